"""Statistics of a run as a plain dict."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastpath.control.config import EXCEPTION_POLICIES
from fastpath.control.exceptions import CAUSES
from fastpath.control.sight import uninspected

SECOND = 1_000_000_000

#: What the limits did, in words.
EXCEPTIONS = {
    "alerts_lost": "alerts beyond packet-alert-max",
    "forced": "flows ended early at the flow memcap",
    "memcap_hits": "requests for memory that the flow memcap refused",
    "given_up": "datagrams that defrag gave up",
    "left_out": "fragments that defrag left out",
    "isolations_refused": "orders to isolate a workload that there was no room for",
    "events_lost": "events beyond the room of a burst",
    "ciphers_refused": "sessions that stay encrypted: as many as may be are decrypted at the time",
    "rows_lost": "rows for which there was no memory",
    "bindings_refused": "queue pairs, tunnels and hardware that there was no room for",
    "bindings_replaced": "subscribers that gave way to later ones",
    "bindings_untold": "rows about what belongs together that there was no room for",
    "lost": "packets lost before they were read",
    "sets_refused": "entries that the memcap of a data set refused",
    "full": "requests that the device's table was too full for",
} | {f"{cause}.{policy}": f"{words} (policy: {policy})"
     for cause, (_, _, words) in CAUSES.items() for policy in EXCEPTION_POLICIES[1:]}
#: Nothing out of the ordinary: every capture begins in the middle of sessions.
UNREMARKABLE = "tcp.midstream.ignore"


#: What a rule has cost: programs run, hits of its fast pattern, programs that held; ns that they took, reckoned from the bursts that are
#: timed.
COSTS = ("checks", "candidates", "confirms", "ns")


class InternalError(RuntimeError):
    """A promise of fastpath itself is broken: a bug, whatever the input was."""


def check_ledger(counted: dict[str, Any]) -> None:
    """Every packet read stands once in the ledger, in packets and in bytes."""
    for unit in ("packets", "bytes"):
        total = sum(entry[unit] for entry in counted["ledger"].values())
        if total != counted[unit]:
            raise InternalError(f"the ledger does not close: {total} {unit} accounted for, {counted[unit]} read")


def build(counted: dict[str, Any], run: Any, load_seconds: float, partial: bool,
          policy_counts: np.ndarray | None = None, services: Sequence[Any] = ()) -> dict[str, Any]:
    """The statistics of a run from the counters of the data plane and of the run's rows.

    packets, bytes; seconds (inspection alone), load_seconds; rates (packets and bits a second); ledger; alerts, flows (rows);
    verdicts and reasons (packets by name); stages (ns each); rules (what each cost or raised); events (by name); exceptions
    (what a memory cap or the lack of memory did, and, by cause and policy, what became of packets); drops (packets that were not
    passed, by reason); datasets (what rules have changed: entries, their bytes, and how many a memcap refused); llm (who talked to language models: control/llm.py); held_up (ns in which no packet was under way between steps, in all and at the
    longest); defrag (fragments and packets made whole, by IP version); policy, where there is one (judge.Judges.stats);
    throughput (over engine time, in at most 512 bins: second since 1970 at which each begins, width in seconds, packets, bytes,
    packets dropped); decryption (TLS sessions that were decrypted, records and bytes of them, how many `failed`, secrets that captures
    brought and their bad lines); uninspected (what could not be looked into: sight.uninspected; of flows that have ended, and not in
    a snapshot); device (the session table: sessions in it and added, requests by reason in `asked` and refused in `full`, how
    sessions `ended`, packets and bytes that it decided on, that it copied to the inspectors, and that came too early; `share` of all
    packets and bytes that it decided on; `lag`, seconds from a request until the session was in force).
    """
    seconds = counted["run_ns"] / SECOND
    verdicts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    drops: dict[str, int] = {}
    alerted = run.alerted()
    for (action, reason), packets in run.verdicts.items():
        verdicts[action] = verdicts.get(action, 0) + packets
        reasons[reason] = reasons.get(reason, 0) + packets
        if action != "pass":
            drops[reason] = drops.get(reason, 0) + packets
    return {
        "packets": counted["packets"], "bytes": counted["bytes"], "entries": counted["entries"],
        "seconds": seconds, "load_seconds": load_seconds, "partial": partial,
        "rates": {"packets_per_second": counted["packets"] / seconds if seconds else 0.0,
                  "bits_per_second": counted["bytes"] * 8 / seconds if seconds else 0.0},
        "ledger": counted["ledger"],
        "alerts": alerted.total(), "flows": counted["flows"] | {"rows": run.counts["flows"]},
        "verdicts": verdicts, "reasons": reasons, "drops": drops,
        "stages": counted["stages"], "rules": _rules(counted["rules"], alerted, run), "events": counted["events"],
        "exceptions": _exceptions(counted), "datasets": counted.get("datasets", {}),
        "held_up": counted["held_up"], "defrag": counted["defrag"], "inventory": [item.as_dict() for item in run.inventory.items(run.policy)],
        "roce": run.roce, "decryption": counted["decryption"], "uninspected": uninspected(services, run, counted["bytes"]),
        "llm": [talker.as_dict() for talker in run.talkers.top()],
        "models": [model.as_dict() for model in run.models.items],
        **({"policy": run.judges.stats(policy_counts)} if run.judges.any else {}),
        "device": _device(counted), "throughput": [{"second": second, "width": counted["throughput_width"], "packets": packets, "bytes": size, "dropped": dropped}
                       for second, packets, size, dropped in counted["throughput"]],
    }


def _exceptions(counted: dict[str, Any]) -> dict[str, int]:
    """What is not zero, by the names of EXCEPTIONS."""
    acted = {f"{cause}.{policy}": count for cause, by_policy in counted["exceptions"].items() for policy, count in by_policy.items()}
    found = acted | counted["decryption"] | counted["device"] | counted["defrag"] | counted["flows"] | counted
    found["sets_refused"] = counted.get("datasets", {}).get("refused", 0)
    return {name: found[name] for name in EXCEPTIONS if name != UNREMARKABLE and found.get(name)}


def _device(counted: dict[str, Any]) -> dict[str, Any]:
    device = counted["device"]
    if not device.get("added"):
        return device
    share = {unit: device[unit] / counted[unit] if counted[unit] else 0.0 for unit in ("packets", "bytes")}
    return device | {"share": share, "lag": {"mean": device["waited_ns"] / device["added"] / SECOND, "most": device["waited_most_ns"] / SECOND}}


def _rules(latest: np.ndarray | None, alerted: Counter[int], run: Any) -> list[dict[str, Any]]:
    """The rules that raised alerts or cost something, most alerts first; a rule that several rule sets of the run had is one.
    latest: DataPlane.rule_costs() of the rule set in force."""
    found: dict[tuple[int, int, int], dict[str, Any]] = {}
    counts: dict[int, np.ndarray] = {}
    for base, costs in [*run.costs, *([(run.base, latest)] if latest is not None else [])]:
        for rule in np.flatnonzero(costs.any(axis=0)).tolist():
            counts[base + rule] = counts.get(base + rule, 0) + costs[:, rule]
    for rule in sorted({*alerted, *counts}):
        signature = run.signatures[rule]
        one = found.setdefault((signature.gid, signature.sid, signature.rev), {
            "gid": signature.gid, "sid": signature.sid, "rev": signature.rev, "msg": signature.msg, "category": signature.category,
            "severity": signature.severity, "action": signature.action, "alerts": 0} | dict.fromkeys(COSTS, 0))
        one["alerts"] += alerted[rule]
        for name, count in zip(COSTS, counts.get(rule, ()), strict=False):
            one[name] += int(count)
    return sorted(found.values(), key=lambda one: (-one["alerts"], one["gid"], one["sid"]))
