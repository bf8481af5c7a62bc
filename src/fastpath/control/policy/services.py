"""Tables of services: for every protocol and port the lines that are about it, in order, up to the first behind which none counts."""
from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from fastpath.control.policy.model import Line

Table = tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]


def table(numbers: Sequence[int], lines: Sequence[Line], most: int) -> Table:
    """(first services, the list of lines from each on) of these lines, ascending. Raises OverflowError where the lists have more
    than `most` items."""
    events: list[tuple[int, int, int]] = []
    for number in numbers:
        for low, high in lines[number].services:
            events += [(low, 1, number), (high + 1, 0, number)]
    events.sort()
    active: list[int] = []
    starts: list[int] = [0]
    lists: list[tuple[int, ...]] = [()]
    items = 0
    for at, (service, begins, number) in enumerate(events):
        if begins:
            insort(active, number)
        else:
            active.remove(number)
        if at + 1 < len(events) and events[at + 1][0] == service:
            continue
        found = up_to_final(active, lines)
        items += len(found)
        if items > most:
            raise OverflowError
        if starts[-1] == service:
            lists[-1] = found
        elif lists[-1] != found:
            starts.append(service)
            lists.append(found)
    return tuple(starts), tuple(lists)


def up_to_final(numbers: Sequence[int], lines: Sequence[Line]) -> tuple[int, ...]:
    for at, number in enumerate(numbers):
        if lines[number].is_final:
            return tuple(numbers[:at + 1])
    return tuple(numbers)
