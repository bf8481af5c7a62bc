"""Address and port groups: `any`, single values, CIDR, ranges, lists, negation, nesting and $VARIABLES into plain ranges.

A list is what it names less what it negates, wherever in the list the negations stand; a list of negations only starts from
everything. Two things follow Suricata 7.0.10, not intuition: "everything" is the address family that is negated (so that
!10.0.0.0/8 holds no IPv6 address), and a variable or list that is not itself negated is read as if written in place (so that
[$EXTERNAL_NET,10.1.1.1] still negates all of HOME_NET). User guide, "Rules Format": source and destination, ports.
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address

from .lexer import RuleError
from .plan import AddressSet, PortSet

Ranges = list[tuple[int, int]]

ALL_V4 = (0, 2**32 - 1)
ALL_V6 = (0, 2**128 - 1)
ALL_PORTS = (0, 65535)
ANY_ADDRESS = AddressSet((ALL_V4,), (ALL_V6,))
ANY_PORT = PortSet((ALL_PORTS,))

_NESTING = 64
_PORT = re.compile(r"\+?([0-9]{1,9})\Z")


class Groups:
    """Reads addresses and ports with the values of `variables` (names without $). What was read once is remembered."""

    def __init__(self, variables: Mapping[str, str]):
        self._variables = variables
        self._addresses: dict[str, AddressSet] = {"any": ANY_ADDRESS}
        self._ports: dict[str, PortSet] = {"any": ANY_PORT}

    def addresses(self, text: str, at: int = 0) -> AddressSet:
        """The addresses that `text` stands for. RuleError at `at` and on if it is malformed, undefined or empty."""
        known = self._addresses.get(text)
        if known is None:
            known = self._addresses[text] = _Addresses(self._variables).read(text, at)
        return known

    def ports(self, text: str, at: int = 0) -> PortSet:
        """The ports that `text` stands for. RuleError as above."""
        known = self._ports.get(text)
        if known is None:
            known = self._ports[text] = _Ports(self._variables).read(text, at)
        return known


class _Addresses:
    """One reading of an address group: families 4 and 6, each with what is named and what is negated."""

    def __init__(self, variables: Mapping[str, str]):
        self._variables = variables
        self._within: list[str] = []
        self._negated = False

    def read(self, text: str, at: int) -> AddressSet:
        v4, v6 = self._evaluate(text, at)
        return AddressSet(tuple(v4), tuple(v6), self._negated)

    def _evaluate(self, text: str, at: int) -> tuple[Ranges, Ranges]:
        """A group on its own: the named less the negated."""
        named: tuple[Ranges, Ranges] = ([], [])
        negated: tuple[Ranges, Ranges] = ([], [])
        self._collect(text, at, named, negated, 0)
        if united(negated[0]) == [ALL_V4]:
            raise RuleError(at, f"{text!r} negates every IPv4 address: nothing is left")
        left = []
        for family, everything in enumerate((ALL_V4, ALL_V6)):
            start = named[family] or ([everything] if negated[family] else [])
            left.append(subtracted(united(start), united(negated[family])))
        if not left[0] and not left[1]:
            raise RuleError(at, f"{text!r} holds no address: its negations take everything away")
        return left[0], left[1]

    def _collect(self, text: str, at: int, named: tuple[Ranges, Ranges], negated: tuple[Ranges, Ranges], depth: int) -> None:
        for is_negated, item, where in _items(text, at, depth):
            self._negated |= is_negated
            if item[0] in "[$":
                with _inner(self._variables, item, where, self._within) as (inner, inner_at):
                    if not is_negated:
                        self._collect(inner, inner_at, named, negated, depth + 1)
                        continue
                    for each, ranges in enumerate(self._evaluate(inner, inner_at)):
                        negated[each].extend(ranges)
            else:
                family, bounds = _address(item, where)
                for each in ((0, 1) if family < 0 else (family,)):
                    (negated if is_negated else named)[each].append((ALL_V4, ALL_V6)[each] if family < 0 else bounds)


class _Ports:
    """One reading of a port group. Two negations around a port cancel out."""

    def __init__(self, variables: Mapping[str, str]):
        self._variables = variables
        self._within: list[str] = []

    def read(self, text: str, at: int) -> PortSet:
        named: Ranges = []
        negated: Ranges = []
        self._collect(text, at, named, negated, False, 0)
        if united(negated) == [ALL_PORTS]:
            raise RuleError(at, f"{text!r} negates every port: nothing is left")
        left = subtracted(united(named or [ALL_PORTS]), united(negated))
        if not left:
            raise RuleError(at, f"{text!r} holds no port: its negations take everything away")
        return PortSet(tuple(left))

    def _collect(self, text: str, at: int, named: Ranges, negated: Ranges, outer: bool, depth: int) -> None:
        for is_negated, item, where in _items(text, at, depth):
            if item[0] in "[$":
                with _inner(self._variables, item, where, self._within) as (inner, inner_at):
                    self._collect(inner, inner_at, named, negated, outer ^ is_negated, depth + 1)
            else:
                (negated if outer ^ is_negated else named).append(_port(item, where))


def _items(text: str, at: int, depth: int) -> Iterator[tuple[bool, str, int]]:
    """The items of a list between its brackets: (negated, text, offset). A comma after the last item is allowed."""
    if depth > _NESTING:
        raise RuleError(at, f"lists are nested more than {_NESTING} deep")
    start, level, found = 0, 0, False
    for index in range(len(text) + 1):
        char = text[index] if index < len(text) else ","
        if char == "[":
            level += 1
        elif char == "]":
            level -= 1
            if level < 0:
                raise RuleError(at + index, "found ']' without its '['")
        elif char == "," and (level == 0 or index == len(text)):
            if level:
                raise RuleError(at + start, "found no ']' for this '['")
            item = text[start:index]
            if not (index == len(text) and found and not item):
                yield _item(item, at + start)
            found, start = True, index + 1


def _item(text: str, at: int) -> tuple[bool, str, int]:
    body = text.lstrip(" ")
    negated = body.startswith("!")
    body = body.lstrip("! ")
    at += len(text) - len(body)
    if not body:
        raise RuleError(at, "found nothing where an item of the list was expected")
    if body[0] == "[" and body[-1] != "]":
        raise RuleError(at, f"found {body!r} where '[...]' was expected")
    return negated, body, at


@contextmanager
def _inner(variables: Mapping[str, str], item: str, at: int, within: list[str]) -> Iterator[tuple[str, int]]:
    """The text of a list or variable, and the offset where it stands; of what is wrong inside a variable, its own offset.
    within: the variables being read, outermost first."""
    if item[0] == "[":
        yield item[1:-1], at + 1
        return
    if item in within:
        raise RuleError(at, f"variable {item} is defined by itself: {' -> '.join([*within, item])}")
    value = variables.get(item[1:])
    if value is None:
        raise RuleError(at, f"variable {item} is not defined")
    if not value.strip():
        raise RuleError(at, f"variable {item} is empty")
    within.append(item)
    try:
        yield value.strip(), at
    except RuleError as error:
        raise RuleError(at, f"in {item}: {error.reason}") from None
    finally:
        within.pop()


def _address(text: str, at: int) -> tuple[int, tuple[int, int]]:
    """(0, range) for IPv4, (1, range) for IPv6, (-1, ...) for any."""
    if text.lower() == "any":
        return -1, (0, 0)
    family = 1 if ":" in text else 0
    bits = 128 if family else 32
    try:
        if "/" in text:
            network, _, mask = text.partition("/")
            length = _prefix(mask, bits)
            value = _integer(network, family)
            low = value >> (bits - length) << (bits - length)
            return family, (low, low | ((1 << (bits - length)) - 1))
        if "-" in text:
            first, _, last = text.partition("-")
            bounds = _integer(first, family), _integer(last, family)
            if bounds[0] > bounds[1]:
                raise ValueError("the range runs backwards")
            return family, bounds
        value = _integer(text, family)
        return family, (value, value)
    except ValueError as error:
        raise RuleError(at, f"found {text!r} where an address, a network or a range was expected: {error}") from None


def _integer(text: str, family: int) -> int:
    if "%" in text:
        raise ValueError("a zone has no place here")
    return int(IPv6Address(text) if family else IPv4Address(text))


def _prefix(text: str, bits: int) -> int:
    """Length of a prefix, written as a number or (IPv4) as a netmask."""
    if "." in text and bits == 32:
        mask = int(IPv4Address(text))
        length = mask.bit_count()
        if mask != (ALL_V4[1] >> length) ^ ALL_V4[1]:
            raise ValueError("the netmask has holes")
        return length
    if not text.isdecimal() or int(text) > bits:
        raise ValueError(f"the prefix is not a number from 0 to {bits}")
    return int(text)


def _port(text: str, at: int) -> tuple[int, int]:
    if text.lower() == "any":
        return ALL_PORTS
    first, colon, last = text.partition(":")
    try:
        low = _port_number(first) if first or not colon else 0
        high = (_port_number(last) if last else 65535) if colon else low
        if low > high:
            raise ValueError("the range runs backwards")
        return low, high
    except ValueError as error:
        raise RuleError(at, f"found {text!r} where a port or a range low:high was expected: {error}") from None


def _port_number(text: str) -> int:
    number = _PORT.match(text)
    if number is None or int(number[1]) > 65535:
        raise ValueError(f"{text!r} is not a number from 0 to 65535")
    return int(number[1])


def united(ranges: Ranges) -> Ranges:
    """Sorted, disjoint, not adjacent."""
    out: Ranges = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(out[-1][1], high)
        else:
            out.append((low, high))
    return out


def subtracted(ranges: Ranges, taken: Ranges) -> Ranges:
    """What is in `ranges` and not in `taken`; both as united() gives them, and so is the result."""
    out: Ranges = []
    index = 0
    for low, high in ranges:
        while index < len(taken) and taken[index][1] < low:
            index += 1
        at = index
        while at < len(taken) and taken[at][0] <= high:
            if taken[at][0] > low:
                out.append((low, taken[at][0] - 1))
            low = taken[at][1] + 1
            at += 1
        if low <= high:
            out.append((low, high))
    return out
