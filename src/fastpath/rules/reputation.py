"""Reputation of addresses: which category gives which address how many points. User guide, "IP Reputation Format".

Categories: `id,short name,description` a line. Lists: `address or network,category,points` a line; points from 0 to 127. What an
address says of itself counts; else what the smallest network around it says.
"""
from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from .plan import AddressSet
from .variables import Ranges, subtracted, united

_CATEGORIES = 60
_POINTS = 127

#: Operators of iprep.
OPERATORS: dict[str, Callable[[int, int], bool]] = {"<": operator.lt, "<=": operator.le, "=": operator.eq, "!=": operator.ne,
                                                    ">=": operator.ge, ">": operator.gt}


class Reputations:
    """The points of addresses by category."""

    def __init__(self) -> None:
        self.categories: dict[str, int] = {}                                            # short name -> number
        self._points: dict[int, dict[IPv4Network | IPv6Network, int]] = {}

    @classmethod
    def load(cls, categories: str | Path, lists: Iterable[str | Path]) -> Reputations:
        """Reads the files. OSError for one that cannot be read; ValueError with file and line for what is not as told above."""
        made = cls()
        for number, parts in _lines(Path(categories)):
            if len(parts) < 2 or not parts[0].isdigit() or not 0 < int(parts[0]) <= _CATEGORIES:
                raise ValueError(f"{categories}:{number}: found {','.join(parts)!r} where a number, a name and a description were expected")
            made.categories[parts[1]] = int(parts[0])
        for path in lists:
            for number, parts in _lines(Path(path)):
                try:
                    address, category, points = parts
                    if not 0 < int(category) <= _CATEGORIES or not 0 <= int(points) <= _POINTS:
                        raise ValueError
                    made._points.setdefault(int(category), {})[ip_network(address, strict=False)] = int(points)
                except ValueError:
                    raise ValueError(f"{path}:{number}: found {','.join(parts)!r} where an address, a category and points "
                                     "were expected") from None
        return made

    def facts(self) -> object:
        """All that is known, in a fixed order."""
        return sorted(self.categories.items()), [(category, sorted((str(network), points) for network, points in known.items()))
                                                 for category, known in sorted(self._points.items())]

    def addresses(self, category: str, op: str, points: int) -> AddressSet:
        """The addresses that have points in a category and compare as asked. KeyError for a category that is not known."""
        known = self._points.get(self.categories[category], {})
        holds = OPERATORS[op]
        ranges: tuple[Ranges, Ranges] = ([], [])
        for network in sorted(known, key=lambda each: each.prefixlen):      # the smaller network has the last word
            family = 0 if network.version == 4 else 1
            bounds = [(int(network.network_address), int(network.broadcast_address))]
            left = subtracted(united(ranges[family]), bounds)
            ranges[family][:] = united(left + bounds) if holds(known[network], points) else left
        return AddressSet(tuple(ranges[0]), tuple(ranges[1]))


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    rows = ((number, line.strip()) for number, line in enumerate(path.read_text("latin-1").splitlines(), 1))
    return [(number, [part.strip() for part in line.split(",")]) for number, line in rows if line and line[0] != "#"]
