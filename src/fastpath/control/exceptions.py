"""Exception policies: what becomes of packets that cannot be inspected as they should, and the faults that try them.

A policy is asked for by the setting of its cause, or by `exception-policy` for all of them. `auto` fails closed in ips mode
(drop-flow; midstream: ignore where sessions are picked up midstream) and open in ids mode, where nothing is ever dropped: there,
what one cause is to drop is not inspected, and `exception-policy` itself drops and rejects nothing.

Source: Suricata User Guide 7.0, Exception Policies (settings, values, and the options that simulate faults).
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastpath.control.config import Config

#: Cause, as Suricata's statistics name it -> (its setting, whether the policy can act on a flow, what it is in words).
CAUSES: dict[str, tuple[str, bool, str]] = {
    "defrag.memcap": ("defrag.memcap-policy", False, "fragments for which defrag had no room"),
    "flow.memcap": ("flow.memcap-policy", False, "packets that could have no flow"),
    "tcp.ssn_memcap": ("stream.memcap-policy", True, "segments that could have no session"),
    "tcp.reassembly": ("stream.reassembly.memcap-policy", True, "segments whose bytes could not be held"),
    "tcp.midstream": ("stream.midstream-policy", True, "segments outside of sessions"),
    "app_layer.error": ("app-layer.error-policy", True, "packets with which a parser failed"),
}
DROPS = ("drop-packet", "drop-flow", "reject")
#: What is left of a policy that drops where nothing is cut, if the setting of its cause asks for it: it is not inspected either.
WATCHED = {"drop-packet": "pass-packet", "drop-flow": "pass-flow"}
#: What a policy for flows does where there is none.
WITHOUT_FLOW = {"drop-flow": "drop-packet", "pass-flow": "pass-packet", "bypass": "ignore"}
#: Faults that can be forced, as Suricata's options --simulate-* name them -> what their number means; None for no number.
FAULTS: dict[str, str | None] = {
    "applayer-error-at-offset-ts": "the parser fails from this byte to the server on",
    "applayer-error-at-offset-tc": "the parser fails from this byte to the client on",
    "packet-loss": "this packet of the captures is lost",
    "packet-tcp-reassembly-memcap": "the bytes of this packet find no memory",
    "packet-tcp-ssn-memcap": "the session of this packet finds no memory",
    "packet-flow-memcap": "the flow of this packet finds no memory",
    "packet-defrag-memcap": "the fragment in this packet finds no memory",
    "alert-queue-realloc-failure": None,
}


def policies(config: Config, mode: str) -> dict[str, str]:
    """The policy in force, by cause."""
    found = {}
    for cause, (key, on_flow, _) in CAUSES.items():
        policy = config.get(key, config["exception-policy"])
        if policy == "auto":
            policy = "ignore" if mode != "ips" or cause == "tcp.midstream" and config["stream.midstream"] else "drop-flow"
        if mode != "ips" and policy in DROPS:
            policy = WATCHED.get(policy, "ignore") if key in config.values and cause != "tcp.midstream" else "ignore"
        found[cause] = policy if on_flow else WITHOUT_FLOW.get(policy, policy)
    return found


def faults(config: Config) -> dict[str, Any]:
    """The faults that are to be forced: kind -> number, or True."""
    return {kind: config[f"simulate.{kind}"] for kind in FAULTS if f"simulate.{kind}" in config.values}


def fault_settings(texts: Iterable[str]) -> list[str]:
    """Settings (`key=value`) from what `--simulate` was given: KIND=N. ValueError names the kinds that there are."""
    made = []
    for text in texts:
        kind, equals, number = text.partition("=")
        if kind not in FAULTS or FAULTS[kind] is not None and not equals:
            raise ValueError(f"--simulate takes KIND=N, not {text!r}; kinds: " + ", ".join(
                kind if meaning is None else f"{kind}=N ({meaning})" for kind, meaning in FAULTS.items()))
        made.append(f"simulate.{kind}={number if equals else 'yes'}")
    return made
