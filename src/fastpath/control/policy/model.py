"""A policy as it is understood: segments, lines, zones, each with its place."""
from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from fastpath.rules.plan import Place

ANY = 0                     # the segment of everything
SERVICES = (0, 0xFFFFFF)    # protocol << 16 | port: all of them
Ranges = tuple[tuple[int, int], ...]


class PolicyError(ValueError):
    """A policy that cannot be read, or that contradicts itself. The message begins with its place; `other` is the second place
    where there are two."""

    def __init__(self, place: Place, message: str, other: Place | None = None):
        super().__init__(f"{place}: {message}" + (f" ({other})" if other is not None else ""))
        self.place = place
        self.message = message
        self.other = other


@dataclass(frozen=True, slots=True)
class Warn:
    """What is odd in a policy, with both places."""
    place: Place
    message: str
    other: Place | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f" ({self.other})" if self.other is not None else "")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Sorted, disjoint, inclusive ranges of integers."""
    v4: Ranges = ()
    v6: Ranges = ()

    def __or__(self, other: Addresses) -> Addresses:
        return Addresses(union(self.v4 + other.v4), union(self.v6 + other.v6))

    def __and__(self, other: Addresses) -> Addresses:
        return Addresses(intersection(self.v4, other.v4), intersection(self.v6, other.v6))

    def __sub__(self, other: Addresses) -> Addresses:
        return Addresses(intersection(self.v4, complement(other.v4, 32)), intersection(self.v6, complement(other.v6, 128)))

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)


EVERYWHERE = Addresses(((0, 2**32 - 1),), ((0, 2**128 - 1),))


def union(ranges: Any) -> Ranges:
    made: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], high))
        else:
            made.append((low, high))
    return tuple(made)


def intersection(first: Ranges, second: Ranges) -> Ranges:
    made, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        low, high = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if low <= high:
            made.append((low, high))
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return tuple(made)


def complement(ranges: Ranges, bits: int) -> Ranges:
    made, at = [], 0
    for low, high in ranges:
        if at < low:
            made.append((at, low - 1))
        at = high + 1
    return (*made, (at, 2**bits - 1)) if at < 2**bits else tuple(made)


@dataclass(frozen=True, slots=True)
class Selector:
    """Endpoints: an address among these, and, where they are given, one of these VLANs (the outermost identifier, 0 for none), of these
    tunnels (kind << 32 | VNI or TEID) and of these QoS flows (GTP-U's QFI, 0 where none is said)."""
    addresses: Addresses = EVERYWHERE
    vlans: Ranges | None = None
    tunnels: Ranges | None = None
    qfis: Ranges | None = None

    @property
    def encapsulation(self) -> tuple[Ranges | None, Ranges | None, Ranges | None] | None:
        made = (self.vlans, self.tunnels, self.qfis)
        return None if made == (None, None, None) else made


@dataclass(frozen=True, slots=True)
class Segment:
    """An endpoint lies in it that one of its selectors fits."""
    name: str
    place: Place
    selectors: tuple[Selector, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says: flows from these segments to those, to these services (protocol << 16 | port, inclusive ranges), of
    these applications, to these server names (a suffix begins with its dot). None stands for any. until: second since 1970."""
    name: str
    place: Place
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    services: Ranges = (SERVICES,)
    applications: frozenset[str] | None = None
    server_names: frozenset[str] | None = None
    action: str = "allow"
    until: int | None = None
    why: str = ""
    kind: str = "line"          # or "exception", "residency", "services"
    data: str = ""              # residency: the class of data; services: stands for them as one does
    other: Place | None = None  # of a line that two places make

    @property
    def is_final(self) -> bool:
        """Nothing behind it counts where it fits."""
        return self.applications is None and self.until is None


STATUSES = ("sanctioned", "tolerated", "forbidden")


@dataclass(frozen=True, slots=True)
class Listing:
    """What is thought of services of the inventory: by name (shell patterns, any case), of these kinds where kinds are given. line:
    the number of the line that cuts them off, for all or for some segments; None where they may be used by all."""
    place: Place
    status: str
    services: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    line: int | None = None

    def fits(self, service: str, kind: str) -> bool:
        return (not self.kinds or kind in self.kinds) and any(fnmatchcase(service.lower(), one.lower()) for one in self.services)


@dataclass(slots=True)
class Settings:
    """pending_packets, pending_bytes: what passes of a flow at most before its application is known. judges_carriers: packets
    that carry a tunnel are judged as well. queue_pairs_apart: a RoCE queue pair in another segment than its first is denied.
    tunnels_bound: so is a user's address that does not belong to its GTP tunnel."""
    pending_packets: int = 64
    pending_bytes: int = 65536
    judges_carriers: bool = True
    queue_pairs_apart: bool = False
    tunnels_bound: bool = False


@dataclass(slots=True)
class Parts:
    """What a reader makes. checked: lines stand in an order, and are to be looked over for shadows."""
    name: str
    segments: list[Segment] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    checked: bool = True
    tenants: dict[str, tuple[Ranges | None, Ranges | None, Ranges | None]] = field(default_factory=dict)    # VLANs, tunnels, QFIs of each
