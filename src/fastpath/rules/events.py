"""The names of the events that the engine raises, for decode-event. Source: dataplane/events.h, the one list of them."""
from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

#: In the list already, but raised by reassembly alone: a rule on one of them would load and never match.
OF_DEFRAG = frozenset(f"decoder.{net}.frag_{what}" for net in ("ipv4", "ipv6") for what in ("pkt_too_large", "overlap", "ignored", "invalid_length"))


@cache
def engine_events() -> frozenset[str]:
    """Full names, such as decoder.ipv4.pkt_too_small."""
    text = (files("fastpath") / "dataplane" / "events.h").read_text("ascii")
    return frozenset(re.findall(r'X\(EVENT_[A-Z0-9_]+, "([^"]+)"\)', text)) - OF_DEFRAG
