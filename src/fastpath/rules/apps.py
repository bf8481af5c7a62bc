"""Rules on transactions: their engines, and the databases over the buffers of the application layers.

These rules stand in no group of ports: each buffer of a protocol and direction has one database for all of them, and a rule's
ports are held against the entry with the rest of its header.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_EVENTS, APP_INSPECTIONS, GROWING, PROTOCOL_NUMBERS
from fastpath.rules import program as p
from fastpath.rules.fastpattern import Pattern
from fastpath.rules.plan import AppEvent, Block, RulePlan
from fastpath.rules.shapes import Shape
from fastpath.rules.steps import app_numbers

#: Application protocol of a rule's header -> the IP protocols that may carry it.
CARRIERS: dict[str, tuple[int, ...]] = {
    "http": (6,), "http1": (6,), "http2": (6,), "tls": (6,), "ssl": (6,), "smtp": (6,), "ftp": (6,), "ftp-data": (6,), "ssh": (6,),
    "smb": (6,), "dcerpc": (6, 17), "dns": (6, 17), "imap": (6,), "quic": (17,), "rdp": (6,), "telnet": (6,),
}
_HTTP1, _HTTP2 = PROTOCOL_NUMBERS["http"], PROTOCOL_NUMBERS["http2"]
#: A row of SECTION_ENGINES.
Row = tuple[int, ...]


@dataclass(slots=True)
class AppRule:
    """What a rule asks of transactions. engines: rows of SECTION_ENGINES in the order in which they are tried. places: (protocol,
    direction) where it can match; watched: where its fast pattern is, (protocol, direction, progress, buffer, chain)."""
    engines: list[Row] = field(default_factory=list)
    places: set[tuple[int, int]] = field(default_factory=set)
    watched: set[tuple[int, int, int, int, int]] = field(default_factory=set)
    looks_at_files: bool = False


def on_transactions(plan: RulePlan) -> bool:
    """Does the rule match transactions, rather than entries?"""
    return (any(block.buffer in APP_BUFFERS for block in plan.blocks)
            or any(isinstance(c, AppEvent) and c.proto != "applayer" for c in plan.conditions))


def app_names(plan: RulePlan) -> tuple[int, int]:
    """The protocols that the flow of a rule must have: of its header, of a keyword, or of its buffers where they are of one
    protocol alone; (0, 0) for any."""
    name = plan.app_proto or (plan.proto if plan.proto in CARRIERS else "")
    if name:
        return app_numbers("tls" if name == "ssl" else name)
    for condition in plan.conditions:
        if isinstance(condition, AppEvent) and condition.proto not in ("applayer", "file"):
            return app_numbers(condition.proto)
    for block in plan.blocks:
        if block.buffer in APP_BUFFERS:
            carriers = {proto for proto, _, _ in APP_INSPECTIONS[APP_BUFFERS[block.buffer][0]]}
            if block.buffer.startswith("dcerpc."):
                return app_numbers("dcerpc")
            if carriers == {_HTTP1, _HTTP2}:
                return app_numbers("http")
            if len(carriers) == 1:
                proto = carriers.pop()
                return proto, proto
    return 0, 0


def engines_of(plan: RulePlan, blocks: Sequence[Block], starts: Sequence[int], chains: Callable[[Block], int], fast: int | None,
               way: int | None) -> AppRule:
    """The engines of a rule. blocks: those over buffers of applications and payload, starts: where each begins in SECTION_OPS.
    fast: index of the block with the fast pattern. way: the one direction that the rule asks for."""
    rule = AppRule()
    apps = app_names(plan)
    events = [c for c in plan.conditions if isinstance(c, AppEvent) and c.proto != "applayer"]
    if len(blocks) + len(events) > p.ENGINES_MAX:
        raise ValueError(f"{plan.place}: more than {p.ENGINES_MAX} blocks over transactions in one rule")
    ranked: list[tuple[tuple[int, int], Row]] = []
    for index, (block, start) in enumerate(zip(blocks, starts, strict=True)):
        first = index == fast
        flags = p.ENGINE_FAST if first else 0
        if block.buffer == "payload":
            for direction in (0, 1):
                if way in (None, direction):
                    row = p.ENGINE_STREAM, 0, direction, 0, p.BUFFERS["payload"], flags, 1 << index, start, 0, 0
                    ranked.append(((0 if first else 2, 0), row))
            continue
        number, kind = APP_BUFFERS[block.buffer]
        for proto, direction, progress in APP_INSPECTIONS[number]:
            if apps != (0, 0) and proto not in apps or way not in (None, direction):
                continue
            file = block.buffer.startswith("file.") and not (block.buffer == "file.data" and proto == _HTTP1)
            rule.looks_at_files |= block.buffer.startswith("file.")
            row = (p.ENGINE_BUFFER, proto, direction, progress, number, flags | (p.ENGINE_FILE if file else 0) | kind << 8, 1 << index,
                   start, 0, 0)
            ranked.append(((0 if first else 1, progress), row))
            rule.places.add((proto, direction))
            if first:
                rule.watched.add((proto, direction, progress, number, chains(block)))
    for index, event in enumerate(events, len(blocks)):
        for proto in _raised_by(event.proto, apps):
            for direction in (0, 1):
                if way in (None, direction):
                    row = (p.ENGINE_EVENT, proto, direction, 0, 0, 0, 1 << index, 0, APP_EVENTS[event.proto, event.name], 0)
                    ranked.append(((1, 0), row))
                    rule.places.add((proto, direction))
    rule.engines = [row for _, row in sorted(ranked, key=lambda one: one[0])]
    return rule


def _raised_by(proto: str, apps: tuple[int, int]) -> set[int]:
    """The protocols whose transactions raise the events of this one: those of files are of all that carry them."""
    if proto != "file":
        return {*app_numbers(proto)}
    carriers = {number for number, _, _ in APP_INSPECTIONS[APP_BUFFERS["file.facts"][0]]}
    return carriers if apps == (0, 0) else carriers & {*apps}


#: Source and destination of a rule that asks for neither.
ANYWHERE = (p.NOTHING, p.NOTHING)
#: Patterns between the same addresses for which it is worth to leave them out elsewhere.
_WORTHWHILE = 8


def most_between(behind: dict[Pattern | Shape, list[int]], ends: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """The source and destination that the rules behind most patterns ask for; ANYWHERE where it is not worth to ask for them first."""
    counts = Counter(between for numbers in behind.values() for between in {ends[number] for number in numbers} if between != ANYWHERE)
    between, count = max(counts.items(), key=lambda one: (one[1], one[0]), default=(ANYWHERE, 0))
    return between if count >= _WORTHWHILE else ANYWHERE


def app_tables(rules: Iterable[tuple[int, AppRule, tuple[Pattern | Shape, ...], tuple[int, int]]],
               pattern_set: Callable[..., tuple[Any, ...]],
               span: Callable[[Iterable[int]], tuple[int, int]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of SECTION_PREFILTERS and SECTION_APPS.

    rules: (number, what it asks, its patterns in a buffer, one of which must be there, () for none, its source and destination in
    SECTION_SETS), rising. A rule whose pattern is in the payload is no business
    of these tables and must not be given. pattern_set: a row of pattern_set_t of the rules behind each pattern.
    """
    watched: dict[tuple[int, int], dict[tuple[int, int, int], dict[Pattern | Shape, list[int]]]] = {}
    bare: dict[tuple[int, int], list[int]] = {}
    ends: dict[int, tuple[int, int]] = {}
    for index, rule, patterns, between in rules:
        ends[index] = between
        if not patterns:
            for place in rule.places:
                bare.setdefault(place, []).append(index)
            continue
        for proto, direction, progress, buffer, chain in rule.watched:
            found = watched.setdefault((proto, direction), {}).setdefault((progress, buffer, chain), {})
            for pattern in patterns:
                found.setdefault(pattern, []).append(index)
    flags = dict(APP_BUFFERS.values())
    prefilters: list[tuple[Any, ...]] = []
    apps: list[tuple[Any, ...]] = []
    for proto in range(len(PROTOCOL_NUMBERS)):
        for direction in (0, 1):
            mine = watched.get((proto, direction), {})
            apps.append(((len(prefilters), len(mine)), span(bare.get((proto, direction), ()))))
            for progress, buffer, chain in sorted(mine):
                behind = mine[progress, buffer, chain]
                src, dst = most_between(behind, ends) if flags[buffer] & GROWING else ANYWHERE
                rest = {pattern: left for pattern, numbers in behind.items()
                        if (left := [one for one in numbers if ends[one] != (src, dst)])} if (src, dst) != ANYWHERE else {}
                brief = not flags[buffer] & GROWING
                prefilters.append((pattern_set(behind, brief=brief), pattern_set(rest, brief=brief), src, dst, buffer, progress, flags[buffer], chain))
    return prefilters, apps
