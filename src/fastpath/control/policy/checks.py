"""What is wrong with the lines of a policy as a whole: lines that can never apply, since others before them take all that they
are about. Where those say the opposite, the policy contradicts itself."""
from __future__ import annotations

from collections.abc import Sequence

from fastpath.control.policy.classes import Classes
from fastpath.control.policy.compile import pairs_of
from fastpath.control.policy.model import ANY, Line, PolicyError, Segment, Warn

WORK_MAX = 4_000_000        # steps, after which shadows are looked for no more


def covers(first: Line, second: Line) -> bool:
    """Does the first line take all flows of the second, of a service that both are about?"""
    if first.until is not None and (second.until is None or second.until > first.until):
        return False
    if first.applications is not None and (second.applications is None or not second.applications <= first.applications):
        return False
    return first.server_names is None or second.server_names is not None and second.server_names <= first.server_names \
        | {name for name in second.server_names if any(name.endswith(end) for end in first.server_names if end[0] == ".")}


def containers(segments: Sequence[Segment], classes: Classes) -> list[frozenset[int]]:
    """Of each segment those that hold all of it, itself among them."""
    found: list[set[int] | None] = [None] * len(segments)
    for endpoint in {*classes.endpoints}:
        inside = set(endpoint)
        for one in endpoint:
            so_far = found[one]
            found[one] = set(inside) if so_far is None else so_far & inside
    return [frozenset(one or ()) | {number, ANY} for number, one in enumerate(found)]


def check(segments: Sequence[Segment], lines: Sequence[Line], classes: Classes) -> list[Warn]:
    """Warnings, in the order of lines. Raises PolicyError for a contradiction."""
    pairs = pairs_of(lines)
    around = containers(segments, classes)
    applies: set[int] = set()
    shadow: dict[int, int] = {}
    work = 0
    for (source, target), own in pairs.items():
        numbers = sorted({number for outer in around[source] for other in around[target] for number in pairs.get((outer, other), ())})
        todo = [number for number in own if number not in applies]
        work += len(numbers) * len(todo)
        if work > WORK_MAX:
            return [*unused(segments, lines), Warn(segments[0].place, "the policy is too large to look for shadowed lines")]
        for number in todo:
            by = shadower(number, numbers, lines)
            if by is None:
                applies.add(number)
            else:
                shadow[number] = by
    found = []
    for number in sorted(shadow.keys() - applies):
        line, by = lines[number], lines[shadow[number]]
        if line.action != by.action:
            raise PolicyError(line.place, f"{told(line)} contradicts {told(by)}, which stands before it and takes all that it is about",
                              by.place)
        found.append(Warn(line.place, f"{told(line)} is shadowed by {told(by)}", by.place))
    return found + unused(segments, lines)


def shadower(number: int, numbers: Sequence[int], lines: Sequence[Line]) -> int | None:
    """The first of the lines before this one that together take all its services, None where something is left."""
    left = list(lines[number].services)
    first = None
    for other in numbers:
        if other >= number or not left:
            break
        if not covers(lines[other], lines[number]):
            continue
        rest = [part for piece in left for part in without(piece, lines[other].services)]
        if rest != left and (first is None or lines[other].action != lines[number].action):
            first = other
        left = rest
    return first if not left else None


def without(piece: tuple[int, int], ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    low, high = piece
    made = []
    for first, last in ranges:
        if last < low or first > high:
            continue
        if first > low:
            made.append((low, first - 1))
        low = last + 1
    return [*made, (low, high)] if low <= high else made


def unused(segments: Sequence[Segment], lines: Sequence[Line]) -> list[Warn]:
    """Segments that no line names, nor a segment of which they are a part."""
    named = {one for line in lines for one in (*line.sources, *line.targets)}
    parts = {selector for number in named for selector in segments[number].selectors}
    return [Warn(segment.place, f"no line names {segment.name!r}") for number, segment in enumerate(segments)
            if number not in named and number != ANY and not parts.issuperset(segment.selectors)]


def told(line: Line) -> str:
    what = {"exception": "the exception", "residency": "the zone", "services": "the list of services"}.get(line.kind, "the line")
    return f"{what} {line.name!r}" if line.name else f"{what} ({line.action})"
