"""A policy compiled into the arrays that dataplane/policy.pyx walks. Memory grows with boundaries of addresses, pairs of segments and
services that lines name; what would outgrow that is refused."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastpath.control.policy.classes import Classes, Numbers
from fastpath.control.policy.model import ANY, Line, PolicyError, Segment, Settings
from fastpath.control.policy.services import Table, table

NO_LINE = 0xFFFFFFFF
OVERLAP_MAX = 32            # segments in which one endpoint may lie, by role
PAIRS_MAX = 1 << 22         # of segments
ITEMS_MAX = 1 << 24         # of lists of lines
DATA_MAX = 16


class Lists:
    """Lists of numbers behind each other, each once; `head` puts its length before a list, else NO_LINE ends it."""

    def __init__(self, head: bool) -> None:
        self.numbers: list[int] = []
        self._at: dict[tuple[int, ...], int] = {}
        self._head = head

    def __call__(self, items: tuple[int, ...]) -> int:
        at = self._at.get(items)
        if at is None:
            at = self._at[items] = len(self.numbers)
            self.numbers += (len(items), *items) if self._head else (*items, NO_LINE)
        return at


def pairs_of(lines: Sequence[Line]) -> dict[tuple[int, int], list[int]]:
    """The lines by pair of segments, ascending. Zones and lists of services are not among them."""
    pairs: dict[tuple[int, int], list[int]] = {}
    for number, line in enumerate(lines):
        if line.data:
            continue
        for source in line.sources:
            for target in line.targets:
                pairs.setdefault((source, target), []).append(number)
        if len(pairs) > PAIRS_MAX:
            raise PolicyError(line.place, f"lines name more than {PAIRS_MAX} pairs of segments")
    return pairs


def compile_arrays(segments: Sequence[Segment], lines: Sequence[Line], settings: Settings, classes: Classes,
                   alprotos: Mapping[str, int], data: Callable[[str], int]) -> dict[str, Any]:
    """What Classifier takes. alprotos: the numbers of applications. data: gives a class of data its bit."""
    from fastpath.dataplane.policy import LINE, ZONE
    pairs = pairs_of(lines)
    roles = Lists(head=True)
    made: dict[str, Any] = {
        "v4": classes.v4, "v6": classes.v6, "plain": np.array(classes.plain, "u4"), "encapsulated": classes.encapsulated,
        "members": table_of(classes.members), "vlan_class": classes.vlan_class,
        "tunnel_starts": np.array(classes.tunnel_starts, "u8"), "tunnel_class": np.array(classes.tunnel_class, "u2"),
        "tunnel_classes": classes.tunnel_classes, "encapsulation": np.array(classes.encapsulation, "u2"),
        "qfi_class": classes.qfi_class, "qfi_classes": classes.qfi_classes,
        "queue_pairs_apart": settings.queue_pairs_apart, "tunnels_bound": settings.tunnels_bound,
        "source_roles": roles_of(classes, {source for source, _ in pairs}, roles, segments),
        "target_roles": roles_of(classes, {target for _, target in pairs}, roles, segments),
        "roles": np.array(roles.numbers, "u4"),
    }
    made |= service_arrays(pairs, lines)
    every = Lists(head=True)
    made["endpoint_segments"] = np.array([every((ANY, *found)) for found in classes.endpoints], "u4")
    made["segment_lists"] = np.array(every.numbers, "u4")
    numbers: list[int] = []         # ranges of patterns and of segments
    patterns = Numbers()
    rows, zones, services = np.zeros(len(lines), LINE), [], 0

    def listed(items: Any) -> tuple[int, int]:
        at = len(numbers)
        numbers.extend(sorted(items))
        return at, len(numbers) - at

    for number, line in enumerate(lines):
        row = rows[number]
        row["apps"] = sum(1 << alprotos[name] for name in line.applications or ())
        row["until"] = NO_LINE if line.until is None else line.until
        row["denies"] = line.action == "deny"
        if line.server_names is not None:
            row["names"], row["name_count"] = listed(map(patterns, sorted(line.server_names)))
        if line.kind == "residency":
            zones.append((data(line.data), *listed(line.sources), *listed(line.targets), number))
        elif line.kind == "services":       # as if a zone let these segments send anywhere, and the others nowhere
            services |= data(line.data)
            zones += [(data(line.data), *listed(line.sources), *listed((ANY,)), number), (data(line.data), *listed((ANY,)), *listed(()), number)]
    texts = [name.encode() for name in patterns.all]
    made["lines"], made["zones"], made["services"] = rows, np.array(zones, ZONE), services
    made["numbers"] = np.array(numbers, "u4")
    made["texts"] = np.frombuffer(b"".join(texts), "u1")
    made["text_at"] = np.cumsum([0, *map(len, texts)]).astype("u4")
    made["patterns"] = (np.array([fnv1a(text) for text in texts], "u8"), np.arange(len(texts), dtype="u4"))
    made["pending_packets"], made["pending_bytes"] = settings.pending_packets, settings.pending_bytes
    made["judges_carriers"] = settings.judges_carriers
    return made


def table_of(pairs: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return (np.fromiter(pairs.keys(), "u8", len(pairs)), np.fromiter(pairs.values(), "u4", len(pairs)))


def roles_of(classes: Classes, named: set[int], lists: Lists, segments: Sequence[Segment]) -> np.ndarray:
    """For each class of endpoints where the list of those of its segments stands that lines name."""
    made = []
    always = (ANY,) if ANY in named else ()
    for found in classes.endpoints:
        role = always + tuple(one for one in found if one in named)
        if len(role) > OVERLAP_MAX:
            first, last = segments[found[0]], segments[found[-1]]
            raise PolicyError(last.place, f"an address lies in {len(role)} segments, from {first.name!r} to {last.name!r}; "
                              f"{OVERLAP_MAX} are allowed", first.place)
        made.append(lists(role))
    return np.array(made, "u4")


def service_arrays(pairs: Mapping[tuple[int, int], list[int]], lines: Sequence[Line]) -> dict[str, Any]:
    """Pairs of segments, and their tables of services; pairs with the same lines share one."""
    by_lines, items = Numbers(), Lists(head=False)
    keys = {source << 32 | target: by_lines(tuple(numbers)) for (source, target), numbers in pairs.items()}
    tables, starts, lists = [0], [], []
    for numbers in by_lines.all:
        first, found = tables_of(numbers, lines, ITEMS_MAX - len(items.numbers))
        starts += first
        lists += map(items, found)
        tables.append(len(starts))
    return {"pairs": table_of(keys), "tables": np.array(tables, "u4"), "starts": np.array(starts, "u4"),
            "lists": np.array(lists, "u4"), "items": np.array(items.numbers, "u4")}


def tables_of(numbers: Sequence[int], lines: Sequence[Line], most: int) -> Table:
    try:
        return table(numbers, lines, most)
    except OverflowError:
        raise PolicyError(lines[numbers[0]].place, "lines of one pair of segments overlap in too many ways") from None


def fnv1a(text: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value

