"""What an expression asks of bytes wherever it matches, so that it is run only where that is there: a literal for Hyperscan, or a
shape, which is a class of bytes for each of a few places in a row.

Nothing is exact here but the direction: whatever PCRE2 matches has the shape; what has the shape may match or not. Assertions are
left out of account, and where a part of the syntax is not known the expression has no shape at all.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, takewhile

import numpy as np

from fastpath.rules.fastpattern import Pattern
from fastpath.rules.plan import Base64Decode, Block, Pcre

#: Places of a shape, at most; those that are looked at first, all at once; shapes that are looked for in one go.
PLACES, EARLY, TOGETHER = 16, 8, 8
#: What is expected more often than once in so many bytes does not spare much.
SELDOM = 1 << 12
#: Alternatives that are told apart, at most.
_ALTERNATIVES = 8
#: Hyperscan looks for literals of so many bytes instead of a shape, rather of so many more, up to so many of them for their classes.
_SHORT, _LONG, _SPELLED_OUT = 3, 4, 16
#: Classes, groups and repeats of an expression that are looked at.
_STATES, _DEEP = 4096, 32

#: Bytes as the bits of a number.
Class = int
_ALL: Class = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class Shape:
    """A class of bytes for each place, 1 to PLACES of them, as 256-bit numbers: bit c for byte c."""
    classes: tuple[Class, ...]

    def __str__(self) -> str:
        """As an expression."""
        parts: list[tuple[str, int]] = []
        for one in map(_spelled, self.classes):
            parts[-1:] = [(one, parts[-1][1] + 1)] if parts and parts[-1][0] == one else [*parts[-1:], (one, 1)]
        return "".join(one + (f"{{{count}}}" if count > 1 else "") for one, count in parts)


def _spelled(one: Class) -> str:
    members = [c for c in range(256) if one >> c & 1]
    if len(members) == 256:
        return "."
    runs: list[list[int]] = []
    for c in members:
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    text = "".join(_byte(low) + ("-" if high > low + 1 else "") + (_byte(high) if high > low else "") for low, high in runs)
    return text if len(members) == 1 else f"[{text}]"


def _byte(c: int) -> str:
    return chr(c) if chr(c).isalnum() and c < 128 or c in b" _:/@=#%&,<>~" else f"\\x{c:02x}"


def shape_of(pattern: Pattern) -> Shape:
    """A literal, or the seldomest places of a longer one, as a shape."""
    start = min(range(max(1, len(pattern.text) - PLACES + 1)), key=lambda at: math.prod(_OFTEN[c] for c in pattern.text[at:at + PLACES]))
    text = pattern.text[start:start + PLACES]
    return Shape(tuple(1 << c | (1 << ord(chr(c).upper()) if pattern.nocase and c < 128 else 0) for c in text))


# ---- the expression as a tree ----

@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    ways: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    what: _Node
    least: int
    most: int | None


_Node = Class | _Sequence | _Choice | _Repeat
_NOTHING = _Sequence(())


class _Unknown(Exception):
    """Syntax that is not looked into."""


def _of(text: bytes) -> Class:
    return sum(1 << c for c in set(text))


_DIGITS = _of(b"0123456789")
_LOWER, _UPPER = _of(bytes(range(97, 123))), _of(bytes(range(65, 91)))
_WORD = _DIGITS | _LOWER | _UPPER | _of(b"_")
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _of(b" \t\n\v\f\r"), "h": _of(b"\t \xa0"), "v": _of(b"\n\v\f\r\x85")}
_CLASSES |= {letter.upper(): _ALL ^ members for letter, members in _CLASSES.items()}
_CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "a": 7, "e": 27}
_ASSERTIONS = "bBAZzGK"
_COUNT = re.compile(r"\{(\d{1,5})(,(\d{0,5}))?\}")
_GROUP = re.compile(r"\?(?:(?P<kind>:|>|\||=|!|<=|<!)|P?<\w+>|'\w+'|(?P<on>[ims]*)(?:-(?P<off>[ims]*))?(?P<open>[:)]))")


class _Parser:
    """Of what expressions in rules are made of; _Unknown for the rest."""

    def __init__(self, text: str, nocase: bool):
        self.text, self.at, self.depth, self.states = text, 0, 0, 0
        self.nocase = nocase

    def whole(self) -> _Node:
        made = self.choice()
        if self.at != len(self.text):
            raise _Unknown
        return made

    def choice(self) -> _Node:
        self.depth += 1
        if self.depth > _DEEP:
            raise _Unknown
        outside, ways = self.nocase, [self.sequence()]
        while self.text[self.at:self.at + 1] == "|":
            self.at += 1
            ways.append(self.sequence())
        self.nocase = outside           # letters inside a group end with it
        self.depth -= 1
        return ways[0] if len(ways) == 1 else _Choice(tuple(ways))

    def sequence(self) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            one = self.one()
            one = self.repeated(one)
            if one != _NOTHING:
                parts.append(one)
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def repeated(self, one: _Node) -> _Node:
        sign = self.text[self.at:self.at + 1]
        if sign in ("?", "*", "+"):
            self.at += 1
            least, most = (1 if sign == "+" else 0), (1 if sign == "?" else None)
        elif sign == "{":
            found = _COUNT.match(self.text, self.at)
            if found is None:
                raise _Unknown          # a literal brace, or a form that not every PCRE2 reads alike
            self.at = found.end()
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else None
        else:
            return one
        if self.text[self.at:self.at + 1] in ("?", "+"):        # lazy, possessive
            self.at += 1
        if self.text[self.at:self.at + 1] in ("?", "*", "+", "{"):
            raise _Unknown
        return one if (least, most) == (1, 1) else _Repeat(one, least, most)

    def one(self) -> _Node:
        self.states += 1
        if self.states > _STATES:
            raise _Unknown
        c = self.text[self.at]
        self.at += 1
        if c == "(":
            return self.group()
        if c == "[":
            return self.members()
        if c == ".":
            return _ALL
        if c in "^$":
            return _NOTHING
        if c == "\\":
            kind, what = self.escaped()
            if kind == "assertion":
                return _NOTHING
            return self.folded(what) if kind == "byte" else what
        if c in "*+?{":
            raise _Unknown
        return self.folded(1 << ord(c))

    def folded(self, members: Class) -> Class:
        if self.nocase:
            members |= (members & _UPPER) << 32 | (members & _LOWER) >> 32
        return members

    def escaped(self) -> tuple[str, Class]:
        """What follows a backslash: a "byte", a "class", or an "assertion"."""
        c = self.text[self.at:self.at + 1]
        self.at += 1
        if not c or ord(c) > 127:
            raise _Unknown
        if c in _CLASSES:
            return "class", _CLASSES[c]
        if c in _CONTROLS:
            return "byte", 1 << _CONTROLS[c]
        if c == "x":
            found = re.compile(r"[0-9A-Fa-f]{2}|\{([0-9A-Fa-f]{1,2})\}").match(self.text, self.at)
            if found is None:
                raise _Unknown
            self.at = found.end()
            return "byte", 1 << int(found[1] or found[0], 16)
        if c in _ASSERTIONS:
            return "assertion", 0
        if c.isalnum():
            raise _Unknown
        return "byte", 1 << ord(c)

    def members(self) -> Class:
        negated = self.text[self.at:self.at + 1] == "^"
        self.at += negated
        found, begins, low = 0, self.at, -1     # low: the byte that a range may start at
        while True:
            c = self.text[self.at:self.at + 1]
            if not c or c == "[" and self.text[self.at + 1:self.at + 2] in (":", ".", "="):
                raise _Unknown
            self.at += 1
            if c == "]" and self.at - 1 > begins:
                break
            if c == "-" and low >= 0 and self.text[self.at:self.at + 1] not in ("]", ""):
                high = self.member()
                if high.bit_count() != 1 or high < 1 << low:
                    raise _Unknown
                found |= self.folded((high << 1) - (1 << low))
                low = -1
                continue
            self.at -= 1
            one = self.member()
            low = one.bit_length() - 1 if one.bit_count() == 1 else -1
            found |= self.folded(one) if one.bit_count() == 1 else one
        return _ALL ^ found if negated else found

    def member(self) -> Class:
        c = self.text[self.at]
        self.at += 1
        if c != "\\":
            return 1 << ord(c)
        if self.text[self.at:self.at + 1] == "b":       # a backspace, inside a class
            self.at += 1
            return 1 << 8
        kind, what = self.escaped()
        if kind == "assertion":
            raise _Unknown
        return what

    def group(self) -> _Node:
        if self.text[self.at:self.at + 1] == "*":
            raise _Unknown
        kind, outside = "", self.nocase
        if self.text[self.at:self.at + 1] == "?":
            found = _GROUP.match(self.text, self.at)
            if found is None:
                raise _Unknown
            self.at = found.end()
            kind = found["kind"] or ""
            if found["open"] is not None:
                self.nocase = "i" in found["on"] or self.nocase and "i" not in (found["off"] or "")
                if found["open"] == ")":        # for the rest of the group around it
                    return _NOTHING
        made = self.choice()
        if self.text[self.at:self.at + 1] != ")":
            raise _Unknown
        self.at += 1
        self.nocase = outside
        return _NOTHING if kind in ("=", "!", "<=", "<!") else made


# ---- from the tree to places ----

def _least(node: _Node) -> int:
    """Bytes that it takes at least."""
    if isinstance(node, int):
        return 1
    if isinstance(node, _Sequence):
        return sum(map(_least, node.parts))
    if isinstance(node, _Choice):
        return min(map(_least, node.ways))
    return node.least * _least(node.what)


def _flat(node: _Node) -> Iterator[_Node]:
    """As parts one after the other: what is there several times as so many parts, up to PLACES of them."""
    if isinstance(node, _Sequence):
        for part in node.parts:
            yield from _flat(part)
    elif isinstance(node, _Repeat) and node.least:
        must = min(node.least, PLACES)
        rest = None if node.most is None else node.most - must
        for _ in range(must):
            yield from _flat(node.what)
        if rest != 0:
            yield _Repeat(node.what, node.least - must, rest)
    else:
        yield node


def _parts(node: _Node) -> list[_Node]:
    """The first of them."""
    return list(islice(_flat(node), 5 * PLACES))


class _Automaton:
    """States and what leads from each to others: a class of bytes, or 0 for nothing at all."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[Class, int]]] = [[]]

    def state(self) -> int:
        if len(self.edges) >= _STATES:
            raise _Unknown
        self.edges.append([])
        return len(self.edges) - 1

    def add(self, node: _Node, start: int) -> int:
        """Where the node ends that begins at this state."""
        if isinstance(node, int):
            end = self.state()
            self.edges[start].append((node, end))
            return end
        if isinstance(node, _Sequence):
            for part in node.parts:
                start = self.add(part, start)
            return start
        if isinstance(node, _Choice):
            end = self.state()
            for way in node.ways:
                self.edges[self.add(way, start)].append((0, end))
            return end
        for _ in range(min(node.least, PLACES)):
            start = self.add(node.what, start)
        if node.most is None or node.most > PLACES:     # no more places are looked at than it can fill
            again = self.state()
            self.edges[start].append((0, again))
            self.edges[self.add(node.what, again)].append((0, again))
            return again
        end = self.state()
        for _ in range(node.most - node.least):
            self.edges[start].append((0, end))
            start = self.add(node.what, start)
        self.edges[start].append((0, end))
        return end

    def places(self, count: int) -> tuple[Class, ...]:
        """The bytes that can stand at each of the first `count` places."""
        found, here = [], self.reached({0})
        for _ in range(count):
            found.append(0)
            after = set()
            for state in here:
                for members, to in self.edges[state]:
                    if members:
                        found[-1] |= members
                        after.add(to)
            here = self.reached(after)
        return tuple(found)

    def reached(self, states: set[int]) -> set[int]:
        waiting = list(states)
        while waiting:
            for members, to in self.edges[waiting.pop()]:
                if not members and to not in states:
                    states.add(to)
                    waiting.append(to)
        return states


def _windows(parts: Sequence[_Node]) -> Iterable[tuple[Class, ...]]:
    """The places from each part on: each of these must be there, one byte after the other."""
    for begin in range(len(parts)):
        count, rest = 0, []
        for part in parts[begin:]:
            rest.append(part)
            count += _least(part)
            if count >= PLACES:
                break
        if count:
            automaton = _Automaton()
            automaton.add(_Sequence(tuple(rest)), 0)
            yield automaton.places(min(count, PLACES))


# ---- how seldom ----

_NUMERIC = _DIGITS | _of(b" .-")
#: Of a byte in text, roughly; a class is never seldomer than its bytes together.
_OFTEN = [0.03 if c in b" etaoinshrdlcumwfgypbvkjxqz" else 0.015 if chr(c).isalnum() and c < 128 else 0.006 for c in range(256)]


@cache
def _chance(members: Class) -> float:
    return min(1.0, sum(often for c, often in enumerate(_OFTEN) if members >> c & 1))


def _expected(classes: Iterable[Class]) -> float:
    """How often places in a row are expected to be so. Where one digit is, another is likely."""
    made, before = 1.0, False
    for members in classes:
        numeric = members & _DIGITS != 0 and members & ~_NUMERIC == 0
        made *= max(_chance(members), 0.35) if numeric and before else _chance(members)
        before = numeric
    return made


def _letter(members: Class) -> bool:
    """Is it one letter in both its cases?"""
    return members.bit_count() == 2 and members & _UPPER != 0 and (members & _UPPER) << 32 == members & _LOWER


def _literals(classes: Sequence[Class]) -> tuple[Pattern, ...]:
    """The texts that a run of places can hold, where they are few: of long runs that with the fewest texts, else the longest."""
    best: tuple[tuple[bool, int, int], Sequence[Class]] | None = None
    for start in range(len(classes)):
        count = 1
        for end in range(start + 1, len(classes) + 1):
            last = classes[end - 1]
            count *= 1 if _letter(last) else last.bit_count()
            if count > _SPELLED_OUT:
                break
            rank = end - start >= _LONG, -count, end - start
            if end - start >= _SHORT and (best is None or rank > best[0]):
                best = rank, classes[start:end]
    if best is None:
        return ()
    nocase = any(map(_letter, best[1]))
    texts = {b""}
    for members in best[1]:
        ways = bytes(c for c in range(256) if members >> c & 1)
        texts = {text + bytes([c]) for text in texts for c in (ways.lower() if nocase else ways)}
    return tuple(Pattern(text, nocase) for text in sorted(texts))


def _cost(classes: Sequence[Class]) -> float:
    """What a shape costs in a byte, roughly in ns: looks at the later places, exact looks, and runs of the expression."""
    halves = [_ALL & sum(1 << c for c in range(256) if members & _ROWS[c >> 4] and members & _COLUMNS[c & 15]) for members in classes[:EARLY]]
    return 5 * _expected(halves[:EARLY // 2]) + 15 * _expected(halves) + 3000 * _expected(classes)


#: The bytes with the same upper half, and with the same lower half: what is looked at first does not tell them apart.
_ROWS = [sum(1 << (high << 4 | low) for low in range(16)) for high in range(16)]
_COLUMNS = [sum(1 << (high << 4 | low) for high in range(16)) for low in range(16)]


def _best(parts: Sequence[_Node]) -> tuple[float, tuple[Pattern | Shape, ...]] | None:
    """The seldomest of one alternative, and how seldom."""
    windows = list(_windows(parts))
    if not windows:
        return None
    literals = [(sum(map(often, several)), several) for several in map(_literals, windows) if several]
    known = [each for each in literals if each[0] * SELDOM <= 1]
    if known:
        return min(known, key=_rank)
    best = min(windows, key=_cost)
    return _expected(best), (Shape(best),)


def _ways(parts: list[_Node]) -> list[list[_Node]]:
    """The parts with one alternative each of their first choices, up to _ALTERNATIVES lists."""
    made: list[list[_Node]] = [[]]
    for part in parts:
        ways = [_parts(way) for way in part.ways] if isinstance(part, _Choice) and len(part.ways) * len(made) <= _ALTERNATIVES else [[part]]
        made = [one + way for one in made for way in ways]
    return made


@cache
def found_by(expression: bytes, options: str) -> tuple[float, tuple[Pattern | Shape, ...]] | None:
    """What must be there, one of these, wherever the expression (option letters as in Pcre) matches, and how often that is expected in
    a byte; None where nothing is known."""
    if set(options) - set("imsAEGR"):
        return None
    try:
        parts = _parts(_Parser(expression.decode("latin-1"), "i" in options).whole())
        best, several = _best(parts), [_best(way) for way in _ways(parts)]
    except _Unknown:
        return None
    if best is None:
        return None
    apart = [one for one in several if one is not None]
    if len(apart) == len(several) > 1:
        best = min(best, (sum(chance for chance, _ in apart), tuple(dict.fromkeys(one for _, found in apart for one in found))), key=_rank)
    return best


def _rank(found: tuple[float, tuple[Pattern | Shape, ...]]) -> tuple[bool, int, bool, int, float]:
    """Literals before shapes, which cost more; long ones before short ones; few before many."""
    chance, patterns = found
    return (chance * SELDOM > 1, sum(isinstance(one, Shape) for one in patterns),
            any(isinstance(one, Pattern) and len(one.text) < _LONG for one in patterns), len(patterns), chance)


def often(pattern: Pattern) -> float:
    """How often a literal is expected in a byte."""
    return math.prod(_OFTEN[c] for c in pattern.text)


def seldomest(block: Block) -> tuple[float, tuple[Pattern | Shape, ...]]:
    """What is seldomest of what the expressions of a block ask for, one of these, and how often it is expected; () where nothing is."""
    steps = takewhile(lambda step: not isinstance(step, Base64Decode), block.steps)
    known = [found_by(step.expression, step.options) for step in steps if isinstance(step, Pcre) and not step.negated]
    return min((each for each in known if each is not None), key=_rank, default=(1.0, ()))


def tables(shapes: Sequence[tuple[int, Shape]]) -> list[tuple[object, ...]]:
    """Rows of SECTION_SHAPES: shapes, each with the number of its pattern, TOGETHER of them a row. Bit k of a byte stands for shape k:
    whether that byte can stand at a place; `low` and `high` say the same, or more, of its two halves."""
    rows: list[tuple[object, ...]] = []
    for first in range(0, len(shapes), TOGETHER):
        here = shapes[first:first + TOGETHER]
        exact = np.zeros((PLACES, 256), np.uint8)
        numbers, sizes = np.zeros(TOGETHER, np.uint32), np.zeros(TOGETHER, np.uint8)
        for k, (number, shape) in enumerate(here):
            numbers[k], sizes[k] = number, len(shape.classes)
            for place in range(PLACES):
                members = shape.classes[place] if place < len(shape.classes) else _ALL
                bits = np.frombuffer(members.to_bytes(32, "little"), np.uint8)
                exact[place] |= np.unpackbits(bits, bitorder="little") << k
        halves = exact[:EARLY].reshape(EARLY, 16, 16)
        rows.append((len(here), (0,) * 5, sizes, numbers, np.bitwise_or.reduce(halves, 1), np.bitwise_or.reduce(halves, 2), exact))
    return rows
