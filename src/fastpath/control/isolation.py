"""Quarantine: the workloads that the operator has cut off, and the table of addresses that the data plane looks them up in.

An isolation is an order of the operator, not a rule. In ips mode the next packet of every flow from or to the workload is dropped,
and so is every one after it; in ids mode, where nothing is cut, verdicts and rows say "isolated" and the packet passes. In both the
device's sessions for such flows are deleted and none are made, so that every packet is seen again.
"""
from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_network, summarize_address_range
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastpath.control.packets import nanoseconds
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.policy import Policy

#: Ranges of addresses that all isolations of an engine may have together.
RANGES_MAX = 1 << 16
FOREVER = (1 << 64) - 1
HALF = (1 << 64) - 1

Network = IPv4Network | IPv6Network
#: (first address, last address, until), both included.
Range = tuple[int, int, int]


class NoRoom(ValueError):
    """More is to be isolated than there is room for; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """One workload that is cut off, by the operator or by a rule. until: packet time in ns at which that ends, None for until it is released."""
    workload: str
    networks: tuple[Network, ...]
    until: int | None = None
    why: str = ""
    standby: str = ""           # the workload that takes its place
    rule: str = ""              # gid:sid of the rule that isolated it; "" for the operator

    @classmethod
    def of(cls, workload: Any, until: Any = None, why: str = "", resolve: Callable[[str], Any] | None = None) -> Self:
        """workload: an address or a network (text, or an object of `ipaddress`), an object with `.addresses`, a collection of any of
        them, or a name that `resolve` turns into one of them. until: as Engine.isolate has it. Raises ValueError for what names
        no address, TypeError for what cannot."""
        if not isinstance(why, str):
            raise TypeError(f"why must be a str, not {type(why).__name__}")
        return cls(name_of(workload), networks_of(workload, resolve), until_of(until), why)


def name_of(workload: Any) -> str:
    """What a workload is called: its name where it has one, else its addresses."""
    name = getattr(workload, "name", None)
    if isinstance(name, str) and name:
        return name
    if isinstance(workload, Iterable) and not isinstance(workload, (str, bytes, IPv4Network, IPv6Network)):
        return ", ".join(sorted(map(name_of, workload)))
    return str(workload) if not hasattr(workload, "addresses") else name_of(list(workload.addresses))


def networks_of(workload: Any, resolve: Callable[[str], Any] | None = None) -> tuple[Network, ...]:
    """The networks of a workload, without overlap, IPv4 first."""
    found = list(_networks(workload, resolve))
    if not found:
        raise ValueError(f"{name_of(workload) or workload!r}: there is no address to isolate")
    return (*collapse_addresses(one for one in found if isinstance(one, IPv4Network)),
            *collapse_addresses(one for one in found if isinstance(one, IPv6Network)))


def _networks(workload: Any, resolve: Callable[[str], Any] | None) -> Iterable[Network]:
    if isinstance(workload, (IPv4Network, IPv6Network)):
        yield workload
    elif isinstance(workload, (IPv4Address, IPv6Address)):
        yield ip_network(workload)
    elif isinstance(workload, str):
        try:
            yield ip_network(workload.strip(), strict=False)
        except ValueError:
            named = resolve(workload) if resolve is not None else None
            if named is None:
                raise ValueError(f"a workload is an address, a network or a name that the policy has, not {workload!r}") from None
            yield from _networks(named, None)
    elif hasattr(workload, "addresses"):
        yield from _networks(workload.addresses, resolve)
    elif isinstance(workload, Iterable) and not isinstance(workload, (bytes, bytearray)):
        for one in workload:
            yield from _networks(one, resolve)
    else:
        raise TypeError(f"a workload must be an address, a network or have .addresses, not {type(workload).__name__}")


def addresses_of(policy: Policy, segment: str) -> list[Network] | None:
    """The addresses of a segment; None where there is no such segment. ValueError for one that is not made of addresses alone."""
    found = next((one for one in policy.segments[1:] if one.name == segment), None)
    if found is None:
        return None
    made: list[Network] = []
    for selector in found.selectors:
        if selector.encapsulation is not None:
            raise ValueError(f"{found.place}: segment {segment} is told by VLAN or tunnel; what is isolated is addresses")
        for make, ranges in ((IPv4Address, selector.addresses.v4), (IPv6Address, selector.addresses.v6)):
            for low, high in ranges:
                made += summarize_address_range(make(low), make(high))
    return made


def until_of(until: Any) -> int | None:
    """ns of an end: an int is ns, a float seconds since 1970, a datetime must know its zone."""
    if until is None:
        return None
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise ValueError(f"until must know its time zone: {until.isoformat()} does not")
        until = until.timestamp()
    return nanoseconds(until, "until")


def merge(ranges: Iterable[Range]) -> list[Range]:
    """The same as sorted ranges without overlap: where several cover an address, the one that lasts longest holds."""
    opening = sorted(ranges)
    edges = sorted({edge for low, high, _ in opening for edge in (low, high + 1)})
    merged: list[Range] = []
    covering: list[tuple[int, int]] = []        # (-until, last address), the longest first
    at = 0
    for low, following in zip(edges, edges[1:], strict=False):
        while at < len(opening) and opening[at][0] <= low:
            heapq.heappush(covering, (-opening[at][2], opening[at][1]))
            at += 1
        while covering and covering[0][1] < low:
            heapq.heappop(covering)
        if not covering:
            continue
        until = -covering[0][0]
        if merged and merged[-1][1] + 1 == low and merged[-1][2] == until:
            merged[-1] = (merged[-1][0], following - 1, until)
        else:
            merged.append((low, following - 1, until))
    return merged


class Table:
    """The arrays that DataPlane.isolate takes: `ranges4` (rows.ISOLATED4) and `ranges6` (rows.ISOLATED6).

    Raises NoRoom, a ValueError, when the isolations have more than RANGES_MAX ranges.
    """

    def __init__(self, isolations: Sequence[Isolation] = ()):
        given: dict[int, list[Range]] = {4: [], 6: []}
        for one in isolations:
            for network in one.networks:
                given[network.version].append((int(network.network_address), int(network.broadcast_address),
                                               FOREVER if one.until is None else one.until))
        merged4, merged6 = merge(given[4]), merge(given[6])
        if len(merged4) + len(merged6) > RANGES_MAX:
            raise NoRoom(f"no room: {len(merged4) + len(merged6)} ranges of addresses, and {RANGES_MAX} can be isolated at a time; "
                             "release some, or name networks instead of addresses")
        self.ranges4 = np.array(merged4, rows.ISOLATED4)
        self.ranges6 = np.array([((low >> 64, low & HALF), (high >> 64, high & HALF), until) for low, high, until in merged6],
                                rows.ISOLATED6)
