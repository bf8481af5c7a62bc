"""The engine against the naive matcher, on random rules and random bytes."""
from __future__ import annotations

import base64
from random import Random

from captures import udp
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_matcher import decode, matches
from plans import plan

from fastpath.dataplane.trial import Trial
from fastpath.rules.compile import compile_rules
from fastpath.rules.plan import Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest, Content, IsDataAt, Pcre, Step

ALPHABETS = (b"ab", b"abc01", b"aAbB019", b"\x00\x01\x02\x03ab", b"abcdABC012\x00\x01\x02\xff =Zz+/")
EXPRESSIONS = (b"a+b", b"[ab]c?", b"^a", b"a.b", b"[0-9]+", b"(?:a|b)+?c", b"\\x00", b"A", b"^.{2}b", b"a*", b"\\d\\w", b"(?<=a)b")


def some_bytes(choice: Random, alphabet: bytes, shortest: int, longest: int) -> bytes:
    return bytes(choice.choices(alphabet, k=choice.randint(shortest, longest)))


def payload(choice: Random) -> bytes:
    text = some_bytes(choice, choice.choice(ALPHABETS), 0, choice.choice((3, 10, 40)))
    if choice.random() < 0.2:
        text = base64.b64encode(text) + some_bytes(choice, ALPHABETS[-1], 0, 4)
    return text


def value(choice: Random, names: list[str], low: int, high: int) -> int | str:
    return choice.choice(names) if names and choice.random() < 0.25 else choice.randint(low, high)


def content(choice: Random, names: list[str]) -> Content:
    pattern = some_bytes(choice, choice.choice(ALPHABETS), 1, 3)
    length = len(pattern)
    numbers = {}
    where = choice.random()
    if where < 0.45:
        numbers = {"distance": value(choice, names, -6, 8) if choice.random() < 0.8 else None,
                   "within": value(choice, names, length, length + 10) if choice.random() < 0.6 else None}
    elif where < 0.7:
        numbers = {"offset": value(choice, names, 0, 10) if choice.random() < 0.6 else None,
                   "depth": value(choice, names, length, length + 12) if choice.random() < 0.6 else None}
    elif where < 0.75:
        numbers = {"startswith": True}
    return Content(pattern, choice.random() < 0.25, choice.random() < 0.3, endswith=choice.random() < 0.12, **numbers)


def step(choice: Random, names: list[str]) -> Step:
    """A random step over the variables set so far; it may set one more."""
    kind = choice.choice((content, content, content, Pcre, ByteTest, ByteJump, ByteExtract, ByteMath, IsDataAt))
    if kind is content:
        return content(choice, names)
    relative, base, endian = choice.random() < 0.5, choice.choice((0, 0, 0, 8, 10, 16)), choice.choice(("big", "little"))
    bitmask = choice.choice((0, 0, 0x0F, 0xFF00, 0x1234))
    if kind is Pcre:
        letters = "".join(letter for letter in "imsx" if choice.random() < 0.15) + "R" * relative
        return Pcre(choice.choice(EXPRESSIONS), letters, choice.random() < 0.2)
    if kind is ByteTest:
        return ByteTest(value(choice, names, 1, 4), choice.choice(("<", ">", "=", "<=", ">=", "&", "^")),
                        value(choice, names, 0, choice.choice((3, 100, 40000))), value(choice, names, 0, 10), choice.random() < 0.2,
                        relative, endian, base, bitmask)
    if kind is ByteJump:
        start = choice.random()
        return ByteJump(value(choice, names, 0, 3), value(choice, names, 0, 6), relative, choice.randint(1, 3), endian, base,
                        choice.random() < 0.2, start < 0.15, 0.15 < start < 0.3, value(choice, names, -5, 5), bitmask)
    if kind is IsDataAt:
        return IsDataAt(value(choice, names, 0, 12), choice.random() < 0.4, relative)
    names.append(f"{kind.__name__}{len(names)}")
    if kind is ByteExtract:
        return ByteExtract(choice.randint(1, 4), choice.randint(0, 5), names[-1], relative, choice.randint(1, 3), endian, base,
                           choice.choice((0, 0, 2, 4)))
    return ByteMath(choice.randint(1, 4), choice.randint(0, 5), choice.choice(("+", "-", "*", "/", "<<", ">>")),
                    value(choice, names[:-1], 1, 20), names[-1], relative, endian, base, bitmask)


def rule(choice: Random) -> tuple[list[Step], list[Step]]:
    """Steps over the payload, and over what they decode."""
    names: list[str] = []
    steps = [step(choice, names) for _ in range(choice.choice((1, 1, 2, 2, 3, 3, 4, 5)))]
    if choice.random() < 0.2:
        steps.append(Base64Decode(choice.choice((0, choice.randint(1, 20))), choice.choice((0, choice.randint(1, 4))), choice.random() < 0.5))
        return steps, [content(choice, []) for _ in range(choice.randint(0, 2))]
    return steps, []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_against_naive(seed):
    """Forty random rules on forty random payloads at a time."""
    choice = Random(seed)
    plans = [plan(steps, sid=i + 1, decoded=decoded) for i, (steps, decoded) in enumerate(rule(choice) for _ in range(40))]
    data = [payload(choice) for _ in range(40)]
    found = Trial(compile_rules(plans)).match([udp(one) for one in data])
    for one, matched in zip(data, found):
        engine = {index for index, _ in matched}
        for i, asked in enumerate(plans):
            assert (i in engine) == matches(asked.blocks, one), (asked.blocks, one)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_contents_in_long_payloads(seed):
    """Wider than the processor looks at a time, with near misses and the content at every distance from both ends."""
    choice = Random(seed)
    alphabet = choice.choice((b"ab", b"aAbB\xc1\xe1", b"@`[{aA", bytes(range(256))))
    text = bytearray(some_bytes(choice, alphabet, 0, 150))
    patterns = [some_bytes(choice, alphabet, 1, choice.choice((2, 8, 40))) for _ in range(20)]
    for pattern in patterns[::3]:
        at = choice.randint(0, len(text))
        text[at:at + len(pattern)] = pattern.swapcase() if choice.random() < 0.5 else pattern
    for cut in (0, choice.randint(0, len(text))):
        data = bytes(text[cut:])
        plans = [plan([Content(pattern, nocase, negated)], sid=i + 1) for i, (pattern, nocase, negated) in enumerate(
            (pattern, nocase, negated) for pattern in patterns for nocase in (False, True) for negated in (False, True))]
        found = {index for index, _ in Trial(compile_rules(plans)).match([udp(data)])[0]}
        for i, asked in enumerate(plans):
            assert (i in found) == (matches(asked.blocks, data) and bool(data)), (asked.blocks, data)


def test_backtracking():
    """The second "a" is the one that "b" follows at the right distance; an earlier end of "a" would not do."""
    steps = [Content(b"a"), Content(b"b", distance=1, within=1), Content(b"c", distance=0, within=1)]
    trial = Trial(compile_rules([plan(steps)]))
    found = trial.match([udp(text) for text in (b"axb axbc", b"axbxc", b"aabac axbc", b"abc")])
    assert [bool(one) for one in found] == [True, False, True, False]


def test_the_step_limit_ends_a_block():
    """Nested repeats that never end: the limit stops them, and they do not match."""
    steps = [Content(b"a"), *[Content(b"a", distance=0) for _ in range(6)], Content(b"z", distance=0)]
    text = b"a" * 60
    assert Trial(compile_rules([plan(steps)])).match([udp(text + b"z")]) == [[(0, {"alert"})]]
    assert Trial(compile_rules([plan([*steps, Content(b"y", distance=0)])])).match([udp(text + b"zzy")]) == [[(0, {"alert"})]]
    assert Trial(compile_rules([plan(steps)])).match([udp(text + b"b" * 400)]) == [[]]
    late = [*steps[:-1], Content(b"aaz", distance=0)]
    assert Trial(compile_rules([plan(late)], options={"step_limit": 5})).match([udp(text + b"z")]) == [[]]


def test_base64_as_suricata_reads_it():
    """What the naive decoder says, said once by hand."""
    for text, decoded in ((b"YWJj", b"abc"), (b"YW", b"a"), (b"Y", b""), (b"b\x01", b"l"), (b"YQ==YWJj", b"aabc"), (b" YWJj", b""),
                          (b"Y===", b""), (b"YWJjY\x01", b"abc`")):
        assert decode(text) == decoded


def test_pcre_limits():
    """A runaway expression ends without a match, is counted, and costs other rules nothing."""
    plans = [plan([Pcre(rb"(x+x+)+[yz]", "")], sid=1), plan([Pcre(rb"(x+x+)+[yz]", "", negated=True)], sid=2), plan([Content(b"xx")], sid=3)]
    trial = Trial(compile_rules(plans))
    assert trial.match([udp(b"x" * 200)]) == [[(2, {"alert"})]]
    assert trial.scratch.limits_hit >= 2
