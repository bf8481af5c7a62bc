"""The names of the events that the engine raises, for decode-event and stream-event. Source: dataplane/events.h, the one list of them."""
from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

#: Other names that Suricata 7.0.10 takes in rules.
STREAM_ALIASES = {"stream.3whs_synack_resend_with_different_ack": "stream.3whs_synack_resend_with_diff_ack",
                  "stream.est_synack_resend_with_different_ack": "stream.est_synack_resend_with_diff_ack"}


@cache
def engine_events() -> frozenset[str]:
    """Full names, such as decoder.ipv4.pkt_too_small."""
    text = (files("fastpath") / "dataplane" / "events.h").read_text("ascii")
    return frozenset(re.findall(r'X\(EVENT_[A-Z0-9_]+, "([^"]+)"\)', text))
