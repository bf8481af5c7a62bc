"""Which rules an entry can meet at all: by protocol, direction and the server's port.

Ports that ask for the same rules, or nearly so, share a group; where there are too many, the smaller are merged into the one
that grows least by it. A rule too many costs time, never a result.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from fastpath.rules.program import PORTS

TO_SERVER, TO_CLIENT = 0, 1
#: An entry may meet so many rules too many, and this part of its own.
SPARE = (16, 0.1)
TCP, UDP, SCTP = 6, 17, 132

Ranges = Iterable[tuple[int, int]]


@dataclass(slots=True)
class Groups:
    """Sets of rules as bit masks (bit i is rule i), and the tables that name them by index. What TCP meets is apart: it has a
    stream."""
    members: list[int] = field(default_factory=list)
    tcp: list[bool] = field(default_factory=list)
    protos: np.ndarray = field(default_factory=lambda: np.zeros((2, 256), np.uint16))
    ports: np.ndarray = field(default_factory=lambda: np.zeros((4, PORTS), np.uint16))

    def index(self, members: int, tcp: bool = False) -> int:
        """The group with these rules, made if there is none yet."""
        for i, known in enumerate(zip(self.members, self.tcp, strict=True)):
            if known == (members, tcp):
                return i
        self.members.append(members)
        self.tcp.append(tcp)
        return len(self.members) - 1


def by_port(rules: Iterable[tuple[int, Ranges]]) -> list[tuple[int, int]]:
    """(first port, rules) of each run of ports that meets the same rules, from port 0 on."""
    change: dict[int, int] = {0: 0}
    for index, ranges in rules:
        for low, high in ranges:
            change[low] = change.get(low, 0) ^ 1 << index
            if high + 1 < PORTS:
                change[high + 1] = change.get(high + 1, 0) ^ 1 << index
    runs, members = [], 0
    for port in sorted(change):
        members ^= change[port]
        runs.append((port, members))
    return runs


def merge(sets: Iterable[int], limit: int, spare: tuple[int, float] = SPARE, heavy: int = 0) -> dict[int, int]:
    """Each set -> the set that stands for it: itself, or a larger one, `limit` of them at most.

    Sets that differ little share a group whatever the limit: no entry then meets more than a few rules too many, and there are
    fewer databases to compile and to keep in the processor's caches. Of the rules in `heavy` none is one too many.
    """
    kept: list[list[int]] = []          # of each group its rules, and the size of the smallest set in it
    home: dict[int, int] = {}
    for members in sorted(set(sets), key=lambda members: (-members.bit_count(), members)):
        size = members.bit_count()
        best = min(range(len(kept)), key=lambda i: (((kept[i][0] ^ members) & heavy).bit_count(), (kept[i][0] | members).bit_count() - size, i),
                   default=None)
        if best is not None:
            union = (kept[best][0] | members).bit_count()
            smallest = min(size, kept[best][1])
            alike = not (kept[best][0] ^ members) & heavy
            if len(kept) >= limit or alike and union - smallest <= spare[0] + smallest * spare[1]:
                kept[best] = [kept[best][0] | members, smallest]
                home[members] = best
                continue
        home[members] = len(kept)
        kept.append([members, size])
    return {members: kept[i][0] for members, i in home.items()}


def group(count: int, protocols: Callable[[int], frozenset[int] | None], direction: Callable[[int], int | None],
          ports: Callable[[int, int], Ranges], event_only: int, heavy: int = 0, *, limits: tuple[int, int] = (64, 32),
          spare: tuple[int, float] = SPARE) -> Groups:
    """Groups of `count` rules.

    protocols(i): IP protocols of rule i, None for all. direction(i): the only one it looks at, or None. ports(i, direction):
    the ranges of the server's port. event_only: mask of the rules that packets without a decodable header can meet. heavy: mask of those
    that cost much wherever they are met.
    """
    groups = Groups([0, event_only], [False, False])
    for way in (TO_SERVER, TO_CLIENT):
        mine = [i for i in range(count) if direction(i) in (None, way)]
        for at, proto in ((0, TCP), (2, UDP)):
            runs = by_port((i, ports(i, way)) for i in mine if (known := protocols(i)) is None or proto in known)
            stands = merge((members for _, members in runs), limits[way], spare, heavy)
            for port, members in runs:
                groups.ports[at + way, port:] = groups.index(stands[members], proto == TCP) if members else 0
        everywhere = 0
        special: dict[int, int] = {}
        for i in mine:
            known = protocols(i)
            if known is None:
                everywhere |= 1 << i
            else:
                for proto in known:
                    special[proto] = special.get(proto, 0) | 1 << i
        for proto in range(256):
            members = everywhere | special.get(proto, 0)
            groups.protos[way, proto] = groups.index(members, proto == TCP) if members else 0
    return groups
