"""Classes of endpoints: all those that lie in the same segments. A sweep over the boundaries of all address sets finds the classes
of addresses; where VLAN, VNI, TEID or QFI count, each of these and the classes of encapsulation make those of endpoints."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastpath.control.policy.model import ANY, PolicyError, Ranges, Segment

MEMBERS_MAX = 1 << 22       # of the table of classes
VLANS = 4096
QFIS = 64
HALF = (1 << 64) - 1


class Numbers:
    """Numbers things in the order in which they come."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._of: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        at = self._of.get(thing)
        if at is None:
            at = self._of[thing] = len(self.all)
            self.all.append(thing)
        return at


@dataclass(slots=True)
class Classes:
    """endpoints: of each class of endpoints its segments, ascending, without `any`. plain: class of addresses -> that of endpoints
    where no encapsulation counts. v4, v6: boundaries and classes of addresses. members: (class of addresses << 32 | class of
    encapsulation) -> class of endpoints, where it is not the plain one."""
    endpoints: list[tuple[int, ...]]
    plain: list[int]
    v4: tuple[np.ndarray, np.ndarray]
    v6: tuple[np.ndarray, np.ndarray]
    members: dict[int, int] = field(default_factory=dict)
    encapsulated: bool = False
    vlan_class: np.ndarray = field(default_factory=lambda: np.zeros(VLANS, "u2"))
    tunnel_starts: list[int] = field(default_factory=lambda: [0])
    tunnel_class: list[int] = field(default_factory=lambda: [0])
    tunnel_classes: int = 1
    qfi_class: np.ndarray = field(default_factory=lambda: np.zeros(QFIS, "u2"))
    qfi_classes: int = 1
    encapsulation: list[int] = field(default_factory=lambda: [0])


def classify(segments: Sequence[Segment]) -> Classes:
    """Raises PolicyError where VLANs, VNIs, TEIDs or QFIs and addresses overlap in too many ways."""
    selectors = Numbers()
    owners: dict[int, set[int]] = {}
    for number, segment in enumerate(segments):
        for selector in segment.selectors if number != ANY else ():
            owners.setdefault(selectors(selector), set()).add(number)
    classes = Numbers()
    classes(frozenset())
    v4 = sweep(((selector.addresses.v4, number) for number, selector in enumerate(selectors.all)), classes, 96)
    v6 = sweep(((selector.addresses.v6, number) for number, selector in enumerate(selectors.all)), classes, 0)
    conditions = [selector.encapsulation for selector in selectors.all]
    endpoints = Numbers()

    def endpoint(found: Iterable[int], fits: frozenset[int]) -> int:
        return endpoints(tuple(sorted({owner for one in found if conditions[one] is None or one in fits for owner in owners[one]})))

    made = Classes(endpoints.all, [endpoint(found, frozenset()) for found in classes.all], v4, v6)
    if any(conditions):
        encapsulate(made, selectors.all, classes.all, endpoint, segments)
    return made


def sweep(sets: Iterable[tuple[Ranges, int]], classes: Numbers, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Where classes begin, as words of a 128-bit address whose first bits are used, and the class from each on."""
    events: list[tuple[int, int, int]] = []
    for ranges, number in sets:
        for low, high in ranges:
            events.append((low, 1, number))
            events.append((high + 1, 0, number))
    events.sort()
    active: set[int] = set()
    starts, found = [0], [classes(frozenset())]
    for at, begins, number in events:
        if begins:
            active.add(number)
        else:
            active.discard(number)
        if at << shift >> 128:
            break
        number = classes(frozenset(active))
        if starts[-1] == at:
            found[-1] = number
        else:
            starts.append(at)
            found.append(number)
    words = np.array([((at << shift) >> 64, (at << shift) & HALF) for at in starts], "u8").reshape(-1, 2)
    return words, np.array(found, "u4")


def encapsulate(made: Classes, selectors: list[Any], classes: list[frozenset[int]], endpoint: Any, segments: Sequence[Segment]) -> None:
    """Fills in what VLANs, VNIs, TEIDs and QFIs make of the classes."""
    conditional = [number for number, selector in enumerate(selectors) if selector.encapsulation is not None]
    by_vlan = fits(((selectors[one].vlans, one) for one in conditional), VLANS)
    by_tunnel = fits(((selectors[one].tunnels, one) for one in conditional), 3 << 32)
    by_qfi = fits(((selectors[one].qfis, one) for one in conditional), QFIS)
    vlans, tunnels, qfis, encapsulations = Numbers(), Numbers(), Numbers(), Numbers()
    encapsulations(frozenset())
    for by_number, numbers, of_number, end in ((by_vlan, vlans, made.vlan_class, VLANS), (by_qfi, qfis, made.qfi_class, QFIS)):
        ends = [start for start, _ in by_number[1:]] + [end]
        for (start, found), last in zip(by_number, ends, strict=True):
            of_number[start:last] = numbers(found)
    made.tunnel_starts = [start for start, _ in by_tunnel]
    made.tunnel_class = [tunnels(found) for _, found in by_tunnel]
    made.tunnel_classes, made.qfi_classes = len(tunnels.all), len(qfis.all)
    if len(vlans.all) * len(tunnels.all) * len(qfis.all) > MEMBERS_MAX:
        raise PolicyError(segments[1].place, f"{len(vlans.all)} kinds of VLANs, {len(tunnels.all)} of tunnels and {len(qfis.all)} of QFIs are "
                          "too many at once")
    made.encapsulation = [encapsulations(of_vlan & of_tunnel & of_qfi)
                          for of_vlan in vlans.all for of_tunnel in tunnels.all for of_qfi in qfis.all]
    if len(encapsulations.all) > 65535:
        raise PolicyError(segments[1].place, f"VLANs, VNIs, TEIDs and QFIs overlap in {len(encapsulations.all)} ways; 65535 are allowed")
    made.encapsulated = True
    where: dict[int, list[int]] = {}
    for number, found in enumerate(encapsulations.all):
        for one in found:
            where.setdefault(one, []).append(number)
    for number, found in enumerate(classes):
        for one in sorted({one for selector in found for one in where.get(selector, ())}):
            made.members[number << 32 | one] = endpoint(found, encapsulations.all[one])
        if len(made.members) > MEMBERS_MAX:
            raise PolicyError(segments[1].place, f"addresses and encapsulations meet in more than {MEMBERS_MAX} ways")


def fits(conditions: Iterable[tuple[Ranges | None, int]], end: int) -> list[tuple[int, frozenset[int]]]:
    """(first number, the conditions that hold) from each boundary on; a condition of None holds everywhere."""
    always: set[int] = set()
    events: list[tuple[int, int, int]] = []
    for ranges, number in conditions:
        if ranges is None:
            always.add(number)
        for low, high in ranges or ():
            events += [(low, 1, number), (high + 1, 0, number)]
    events.sort()
    active = set(always)
    made = [(0, frozenset(active))]
    for at, begins, number in events:
        if begins:
            active.add(number)
        else:
            active.discard(number)
        if at >= end:
            break
        if made[-1][0] == at:
            made[-1] = (at, frozenset(active))
        else:
            made.append((at, frozenset(active)))
    return made
