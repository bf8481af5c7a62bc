"""Statistics of a run as a plain dict."""
from __future__ import annotations

from typing import Any

import numpy as np

SECOND = 1_000_000_000

#: What the limits did, in words.
EXCEPTIONS = {
    "alerts_lost": "alerts beyond packet-alert-max",
    "forced": "flows ended early at the flow memcap",
    "memcap_hits": "requests for memory that the flow memcap refused",
    "flow_failed": "packets that could have no flow",
    "given_up": "datagrams that defrag gave up",
    "left_out": "fragments that defrag left out",
    "isolations_refused": "orders to isolate a workload that there was no room for",
    "events_lost": "events beyond the room of a burst",
    "rows_lost": "rows for which there was no memory",
}


#: What a rule has cost: programs run, hits of its fast pattern, programs that held.
COSTS = ("checks", "candidates", "matches")


class InternalError(RuntimeError):
    """A promise of fastpath itself is broken: a bug, whatever the input was."""


def check_ledger(counted: dict[str, Any]) -> None:
    """Every packet read stands once in the ledger, in packets and in bytes."""
    for unit in ("packets", "bytes"):
        total = sum(entry[unit] for entry in counted["ledger"].values())
        if total != counted[unit]:
            raise InternalError(f"the ledger does not close: {total} {unit} accounted for, {counted[unit]} read")


def build(counted: dict[str, Any], run: Any, load_seconds: float, partial: bool) -> dict[str, Any]:
    """The statistics of a run from the counters of the data plane and of the run's rows.

    packets, bytes; seconds (inspection alone), load_seconds; rates (packets and bits a second); ledger; alerts, flows (rows);
    verdicts and reasons (packets by name); stages (ns each); rules (what each cost or raised); events (by name); exceptions
    (what a memory cap or the lack of memory did); held_up (ns in which no
    packet was under way between steps, in all and at the longest); defrag (fragments and packets made whole, by IP version); policy, where there is one (judge.Judges.stats); throughput (over
    engine time, in at most 512 bins: second since 1970 at which each begins, width in seconds, packets, bytes, packets dropped).
    """
    seconds = counted["run_ns"] / SECOND
    verdicts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for (action, reason), packets in run.verdicts.items():
        verdicts[action] = verdicts.get(action, 0) + packets
        reasons[reason] = reasons.get(reason, 0) + packets
    return {
        "packets": counted["packets"], "bytes": counted["bytes"], "entries": counted["entries"],
        "seconds": seconds, "load_seconds": load_seconds, "partial": partial,
        "rates": {"packets_per_second": counted["packets"] / seconds if seconds else 0.0,
                  "bits_per_second": counted["bytes"] * 8 / seconds if seconds else 0.0},
        "ledger": counted["ledger"],
        "alerts": run.counts["alerts"], "flows": counted["flows"] | {"rows": run.counts["flows"]},
        "verdicts": verdicts, "reasons": reasons,
        "stages": counted["stages"], "rules": _rules(counted["rules"], run), "events": counted["events"],
        "exceptions": {name: value for name in EXCEPTIONS if (value := counted.get(name) or counted["flows"].get(name) or counted["defrag"].get(name))},
        "held_up": counted["held_up"], "defrag": counted["defrag"], "inventory": [item.as_dict() for item in run.inventory.items()],
        **({"policy": run.judges.stats()} if run.judges.any else {}),
        "device": counted["device"], "throughput": [{"second": second, "width": counted["throughput_width"], "packets": packets, "bytes": size, "dropped": dropped}
                       for second, packets, size, dropped in counted["throughput"]],
    }


def _rules(latest: np.ndarray | None, run: Any) -> list[dict[str, Any]]:
    """The rules that raised alerts or cost something, most alerts first; a rule that several rule sets of the run had is one.
    latest: DataPlane.rule_costs() of the rule set in force."""
    found: dict[tuple[int, int, int], dict[str, Any]] = {}
    counts: dict[int, list[int]] = {}
    for base, costs in [*run.costs, *([(run.base, latest)] if latest is not None else [])]:
        for rule in np.flatnonzero(costs.any(axis=0)).tolist():
            counts[base + rule] = costs[:, rule].tolist()
    for rule in sorted({*run.matches, *counts}):
        signature = run.signatures[rule]
        one = found.setdefault((signature.gid, signature.sid, signature.rev), {
            "gid": signature.gid, "sid": signature.sid, "rev": signature.rev, "msg": signature.msg, "category": signature.category,
            "severity": signature.severity, "action": signature.action, "alerts": 0} | dict.fromkeys(COSTS, 0))
        one["alerts"] += run.matches.get(rule, 0)
        for name, count in zip(COSTS, counts.get(rule, ()), strict=False):
            one[name] += count
    return sorted(found.values(), key=lambda one: (-one["alerts"], one["gid"], one["sid"]))
