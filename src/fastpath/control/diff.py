"""What a change of rules or policy does to traffic: old and new over the same captures, at the same time, in one pass.

Two data planes go through the captures step by step, each in its own thread over the same bytes. After each step the verdicts
of the same packets are held against each other, and the alerts by flow and rule; what is alike is forgotten at once. What
differs is kept by rule, with its flows up to FLOWS_KEPT; beyond that it is counted.

A packet is *newly dropped* where new drops it and old does not, *newly allowed* the other way round. A rule is *newly alerting*
on a flow where new has more alerts of it there than old, *no longer* where it has fewer.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpath.control import stats as stats_of
from fastpath.control.captures import open_captures
from fastpath.control.columns import address_text
from fastpath.control.community_id import WITH_PORTS, identify
from fastpath.control.engine import Engine, Progress, _Interrupts
from fastpath.control.keylog import key_ring
from fastpath.control.result import Damage
from fastpath.control.side import Clock, Side, walk
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.config import Config

KINDS = ("dropped", "allowed", "alerted", "silent")
FLOWS_KEPT = 100_000        # (rule, flow) of one kind that are named
EXAMPLES = 3
FORMAT = 1


@dataclass(slots=True)
class Flow:
    """A flow that a rule treats otherwise. capture, packet: where it shows first (0: at the flow's end); count: packets dropped or
    allowed, or alerts more or fewer."""
    flow: str           # community ID, "" where it is none
    proto: int
    src: str            # address, and port where there is one
    dest: str
    capture: str
    packet: int
    ts: int             # ns
    count: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Change:
    """What one rule, line of a policy, or other reason does otherwise. kind: one of KINDS. what: "rule", "policy" or "reason".
    sid, gid, rev, msg, severity are of a rule; place is of a line. count: packets, or alerts; bytes: of packets; flow_count: how many
    flows; flows: those that are named, in the order in which they showed."""
    kind: str
    what: str
    name: str
    gid: int = 0
    sid: int = 0
    rev: int = 0
    msg: str = ""
    severity: int = 0
    place: str = ""
    count: int = 0
    bytes: int = 0
    flow_count: int = 0
    flows: list[Flow] = field(default_factory=list)

    @property
    def examples(self) -> list[Flow]:
        return self.flows[:EXAMPLES]

    def as_dict(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in self.__slots__ if name != "flows"}
        return said | {"flows": [flow.as_dict() for flow in self.flows]}


@dataclass(slots=True)
class Sets:
    """How the two rule sets differ, as (gid, sid): added, removed, and those of another rev."""
    old: int
    new: int
    added: list[tuple[int, int]]
    removed: list[tuple[int, int]]
    revised: list[tuple[int, int]]

    @classmethod
    def of(cls, old: Any, new: Any) -> Sets:
        revs = [{(gid, sid): rev for gid, sid, rev in rules.numbers[["gid", "sid", "rev"]].tolist()} if rules is not None else {}
                for rules in (old, new)]
        return cls(*map(len, revs), sorted(revs[1].keys() - revs[0]), sorted(revs[0].keys() - revs[1]),
                   sorted(one for one in revs[0].keys() & revs[1].keys() if revs[0][one] != revs[1][one]))

    def as_dict(self) -> dict[str, Any]:
        return {"old": self.old, "new": self.new, "added": len(self.added), "removed": len(self.removed), "revised": len(self.revised)}


class Diff:
    """The outcome: `changes`, of each kind those that touch most first; `sets`; `stats` of the old and the new run (as Result.stats);
    `mode`, "ids" or "ips"; `captures`, `damages`; `partial` where it was interrupted. True where anything differs."""

    def __init__(self, changes: list[Change], sets: Sets, stats: tuple[dict[str, Any], dict[str, Any]], mode: str,
                 captures: list[str], damages: list[Damage], partial: bool):
        self.changes = sorted(changes, key=lambda one: (KINDS.index(one.kind), -one.flow_count, -one.count, one.gid, one.sid, one.name))
        self.sets, self.stats, self.mode, self.captures, self.damages, self.partial = sets, stats, mode, captures, damages, partial

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, kind: str) -> list[Change]:
        """The changes of one of KINDS."""
        return [one for one in self.changes if one.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """Plain values: what `fastpath diff --json` prints."""
        def side(stats: dict[str, Any]) -> dict[str, Any]:
            return {"alerts": stats["alerts"], "dropped_packets": sum(stats["drops"].values()), "ledger": stats["ledger"]}
        return {
            "format": FORMAT, "mode": self.mode, "captures": self.captures, "damages": list(map(str, self.damages)), "partial": self.partial,
            "packets": self.stats[0]["packets"], "bytes": self.stats[0]["bytes"], "rules": self.sets.as_dict(),
            "old": side(self.stats[0]), "new": side(self.stats[1]),
            "totals": {kind: {"rules": len(found := self.of(kind)), "count": sum(one.count for one in found),
                              "flows": sum(one.flow_count for one in found)} for kind in KINDS},
            "changes": [one.as_dict() for one in self.changes],
        }


class _Found:
    """What differs so far. A flow is known by its key: its id would differ where one side lets it begin anew."""

    def __init__(self, old: Side, new: Side):
        self.sides = (old, new)
        self.changes: dict[tuple[Any, ...], Change] = {}
        self.flows: dict[tuple[Any, ...], Flow] = {}        # (change, flow)
        self.nameless: dict[int, list[Flow]] = {}           # by flow id: their ends are told when the flow ends
        self.alerts: dict[bytes, list[Any]] = {}            # (key, gid, sid) -> [new - old, an alert that shows it, whose]

    def compare(self, old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> None:
        self._verdicts(old["packets"], new["packets"])
        self._alerts(old["alerts"], new["alerts"])
        for taken in (old, new):
            self._name(taken["flows"])

    # ---- verdicts ----

    def _verdicts(self, old: np.ndarray, new: np.ndarray) -> None:
        if not np.array_equal(old["ordinal"], new["ordinal"]):
            raise stats_of.InternalError("the two runs do not have the same packets")
        was, now = old["action"] != 0, new["action"] != 0
        for kind, which, taken, side in (("dropped", now & ~was, new, 1), ("allowed", was & ~now, old, 0)):
            packets = taken[which]
            if not len(packets):
                continue
            # most packets of a flow have one reason: one look at each
            groups, first, at = np.unique(packets[["flow", "rule", "reason"]], return_index=True, return_inverse=True)
            counts = np.bincount(at.ravel())
            sizes = np.bincount(at.ravel(), packets["wirelen"])
            for (flow, rule, reason), example, count, size in zip(groups.tolist(), packets[first], counts.tolist(), sizes.tolist(),
                                                                  strict=True):
                change = self._change(kind, side, rule, reason)
                self._add(change, flow, (kind, side, flow), int(example["ordinal"]), int(example["ts"]), count, int(size))

    def _change(self, kind: str, side: int, rule: int, reason: int) -> Change:
        run = self.sides[side].run
        if reason == rows.REASON_POLICY:
            line = run.judges.latest.policy.describe_line(rule) if run.judges.latest is not None else {}
            name = str(line.get("place") or "default")
            return self._at((kind, "policy", name), lambda: Change(kind, "policy", name, place=name, msg=str(line.get("why") or "")))
        if rule == rows.NO_RULE:
            name = rows.reasons()[reason]
            return self._at((kind, "reason", name), lambda: Change(kind, "reason", name))
        return self._of_rule(kind, side, rule)

    def _of_rule(self, kind: str, side: int, rule: int) -> Change:
        signatures = self.sides[side].run.signatures
        gid, sid = int(signatures.gid[rule]), int(signatures.sid[rule])

        def made() -> Change:
            one = signatures[rule]
            return Change(kind, "rule", f"{gid}:{sid}:{one.rev}", gid, sid, one.rev, one.msg, one.severity)
        return self._at((kind, "rule", gid, sid), made)

    def _at(self, key: tuple[Any, ...], make: Callable[[], Change]) -> Change:
        if key not in self.changes:
            self.changes[key] = make()
        return self.changes[key]

    def _add(self, change: Change, flow_id: int, flow: Any, ordinal: int, ts: int, count: int, size: int,
             key: np.void | None = None, reversed_: bool = False) -> None:
        """Counts on a flow of a change."""
        change.count += count
        change.bytes += size
        known = self.flows.get((change.kind, change.name, flow))
        if known is not None:
            known.count += count
            known.bytes += size
            return
        change.flow_count += 1
        if len(self.flows) >= FLOWS_KEPT * len(KINDS) or len(change.flows) >= FLOWS_KEPT:
            return
        at = self.sides[1].run.captures.of(ordinal)
        made = Flow("", 0, "", "", at[0].name if at else "", at[1] if at else 0, ts, count, size)
        self.flows[change.kind, change.name, flow] = made
        change.flows.append(made)
        if key is not None:
            _tell_ends(made, key, reversed_)
        elif flow_id:
            self.nameless.setdefault(flow_id, []).append(made)

    def _name(self, flows: np.ndarray) -> None:
        """Flows that have ended say between whom they were."""
        if not self.nameless or not len(flows):
            return
        for at in np.flatnonzero(np.isin(flows["flow"], np.fromiter(self.nameless, "u8", len(self.nameless)))).tolist():
            for one in self.nameless.pop(int(flows["flow"][at]), ()):
                _tell_ends(one, flows["key"][at], bool(flows["flags"][at] & rows.FLOW_REVERSED))

    # ---- alerts ----

    def _alerts(self, old: np.ndarray, new: np.ndarray) -> None:
        sides = []
        for taken, side in ((old, 0), (new, 1)):
            signatures = self.sides[side].run.signatures
            named = np.empty(len(taken), [("key", rows.FLOW_KEY), ("gid", "u4"), ("sid", "u4")])
            named["key"] = taken["key"]
            named["gid"], named["sid"] = signatures.gid[taken["rule"]], signatures.sid[taken["rule"]]
            unique, first, counts = np.unique(named.view(f"V{named.dtype.itemsize}"), return_index=True, return_counts=True)
            sides.append({name: (count, taken[at], side) for name, at, count in zip(unique.tolist(), first.tolist(), counts.tolist(), strict=True)})
        for name in sides[0].keys() | sides[1].keys():
            before, after = (one.get(name) for one in sides)
            more = (after[0] if after else 0) - (before[0] if before else 0)
            if more == 0:
                continue
            pending = self.alerts.setdefault(name, [0, None, 0])
            # the first alert that only one of them raised is the example
            row, side = (after[1], 1) if more > 0 and after else (before[1], 0) if before else (after[1], 1)
            if pending[0] == 0 or (pending[0] > 0) != (more > 0):
                pending[1], pending[2] = row.copy(), side
            pending[0] += more
            if pending[0] == 0:
                del self.alerts[name]
        if len(self.alerts) > FLOWS_KEPT:
            self._settle(len(self.alerts) - FLOWS_KEPT // 2)

    def _settle(self, most: int | None = None) -> None:
        """Alerts that one side has and the other will not have any more: at the end of each capture, or the oldest where there are
        too many."""
        for name in list(self.alerts)[:most]:
            more, row, side = self.alerts.pop(name)
            kind = "alerted" if more > 0 else "silent"
            change = self._of_rule(kind, side, int(row["rule"]))
            self._add(change, 0, row["key"].tobytes(), int(row["ordinal"]), int(row["ts"]), abs(more), 0, row["key"],
                      bool(row["reversed"]))

    def end_capture(self) -> None:
        self._settle()
        self.nameless.clear()


def _tell_ends(flow: Flow, key: np.void, reversed_: bool) -> None:
    net, proto = int(key["net"]), int(key["proto"])
    if net not in (rows.NET_IPV4, rows.NET_IPV6):
        return
    size = 4 if net == rows.NET_IPV4 else 16
    addresses = [key["addr"][side].tobytes() for side in range(2)]
    ports = key["port"].tolist()
    flow.proto = proto
    flow.flow = identify(addresses[0][:size], addresses[1][:size], proto, *(ports if proto in WITH_PORTS else (None, None)), 0)
    ends = [address_text(net, raw) if proto not in WITH_PORTS or proto in (1, 58) else
            f"[{address_text(net, raw)}]:{port}" if net == rows.NET_IPV6 else f"{address_text(net, raw)}:{port}"
            for raw, port in zip(addresses, ports, strict=True)]
    flow.src, flow.dest = (ends[1], ends[0]) if reversed_ else (ends[0], ends[1])


def _cuts(rules: Any, policy: Any) -> bool:
    """Whether something may be dropped."""
    return policy is not None or rules is not None and any(rules.text(number).action in ("drop", "reject", "rejectsrc", "rejectdst", "rejectboth")
                                                           for number in range(len(rules)))


def diff(paths: Any, *, old: Any = None, new: Any = None, old_policy: Any = None, new_policy: Any = None, bpf: str | None = None,
         mode: str | None = None, config: Config | None = None, workers: int = 1, checksums: str | None = None, compat: bool = False,
         keylog: Any = None, continuous: bool = False, progress: Callable[[Progress], None] | None = None) -> Diff:
    """What `new` does otherwise than `old`: RuleSets, or None for none, and Policies likewise.

    paths, bpf, continuous, progress: as in Engine.replay. mode: "ids" or "ips"; None: ips where there is a policy or a rule that drops.
    The rest is as for an Engine, of both. Raises OSError for a capture that cannot be opened.
    """
    if mode is None:
        mode = "ips" if _cuts(old, old_policy) or _cuts(new, new_policy) else "ids"
    arguments = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    options: dict[str, Any] = {"config": config, "mode": mode, "workers": workers, "checksums": checksums, "compat": compat,
                               "keylog": key_ring(keylog)}
    with Engine(old, policy=old_policy, **options) as before, Engine(new, policy=new_policy, **options) as after:
        sides = Side(before, ("packets",), 0), Side(after, ("packets",), 0)
        try:
            return _run(sides, Sets.of(old, new), open_captures(arguments, bpf), mode, continuous, progress)
        finally:
            for side in sides:
                side.close()


def _run(sides: tuple[Side, Side], sets: Sets, captures: Any, mode: str, continuous: bool,
         progress: Callable[[Progress], None] | None) -> Diff:
    found = _Found(*sides)
    damages: list[Damage] = []
    names: list[str] = []
    partial = False
    clock = Clock(captures, progress)
    with ThreadPoolExecutor(1, "old rules") as beside, _Interrupts() as interrupts:
        def both(act: Callable[[Side, Any], tuple[bool, dict[str, np.ndarray]]], sources: Sequence[Any]) -> bool:
            """One step of each, at the same time."""
            with interrupts.held():
                first = beside.submit(act, sides[0], sources[0])
                try:
                    more, new = act(sides[1], sources[1])
                finally:
                    was_more, old = first.result()
                found.compare(old, new)
            if more != was_more:
                raise stats_of.InternalError("the two runs do not step alike")
            return more

        def begin(capture: Any) -> Callable[[], bool]:
            names.append(capture.path)
            for side in sides:
                side.begin(capture.path)
            sources = capture.source, capture.twin()
            return lambda: both(Side.step, sources)

        def flush() -> None:
            while both(lambda side, _: side.flush(), (None, None)):
                pass
            found.end_capture()

        try:
            for capture, done in walk(captures, damages, begin, None if continuous else flush):
                counted = sides[1].plane.stats()
                clock.tell(capture, done, counted["packets"], counted["bytes"], sides[1].run.counts["alerts"])
        except KeyboardInterrupt:
            partial = True
        flush()
    stats = sides[0].finish(damages, partial).stats, sides[1].finish(damages, partial).stats
    return Diff(list(found.changes.values()), sets, stats, mode, names, damages, partial)


def rows_of(found: Diff) -> Iterable[dict[str, Any]]:
    """A row for each flow of each change, for a table."""
    for change in found.changes:
        head = {name: getattr(change, name) for name in ("kind", "what", "name", "gid", "sid", "rev", "msg", "severity")}
        for flow in change.flows:
            yield head | flow.as_dict()
