"""What expressions ask for wherever they match: never more than is there, and looked for alike by every way of looking."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import RuleSet
from fastpath.dataplane.match.prefilter import scan_shapes
from fastpath.rules import program as p
from fastpath.rules.compile import fast_patterns, merged, settled
from fastpath.rules.fastpattern import Pattern
from fastpath.rules.shapes import PLACES, TOGETHER, Shape, found_by, shape_of, tables


def told(expression: str, options: str = "") -> list[str] | None:
    found = found_by(expression.encode("latin-1"), options)
    return found and [repr(one.text) + "i" * one.nocase if isinstance(one, Pattern) else str(one) for one in found[1]]


@pytest.mark.parametrize("expression, options, expected", [
    ("abcdef", "", ["b'abcdef'"]), ("AbCd", "i", ["b'abcd'i"]), ("(?i)ab(?-i)CD", "", ["b'abcd'i"]), (r"\bfoo\x2fbar\b", "", ["b'foo/bar'"]),
    (r"\w+@evil\.com", "", ["b'@evil.com'"]), ("(?:cat|do[gt])fish", "", ["b'fish'"]), ("(?:alpha|beta) *=", "", ["b'alpha'", "b'beta'"]),
    ("xox[abp]-", "", ["b'xoxa-'", "b'xoxb-'", "b'xoxp-'"]), ("a(?=bcd).{3}efgh", "", ["b'efgh'"]),
    ("[0-9]{3}-[0-9]{2}-[0-9]{4}", "", [r"\x2d[0-9]{2}\x2d[0-9]{4}"]), ("[AB]{2}(?:-?[0-9]{6}){2}(?![0-9])", "", [r"[AB]{2}[\x2d0-9][0-9]{5}[\x2d0-9]{2}[0-9]{4}"]),
    # nothing that is there whatever matches
    ("a*", "", None), ("", "", None), ("^$", "", None), ("(?:abcd)?", "", None),
    # syntax that is not looked into
    (r"(abcd)\1", "", None), (r"abcd(?R)?", "", None), (r"abcd\p{L}", "", None), ("abcd", "x", None), ("abcd[[:alpha:]]", "", None),
    ("(?x)ab cd", "", None), (r"\Qab.d\E", "", None), ("abcd{,3}", "", None), ("(*UTF8)abcd", "", None), ("(?(1)ab|cd)", "", None),
])
def test_what_is_asked_for(expression, options, expected):
    assert told(expression, options) == expected


def test_a_class_that_is_often_there_is_expected_often():
    seldom, often = found_by(b"[0-9]{3}-[0-9]{2}-[0-9]{4}", ""), found_by(rb"\w{4}", "")
    assert seldom[0] < 1e-6 < 0.1 < often[0]


# ---- whatever matches has it ----

BYTES = st.sampled_from([*b"abcXYZ019 -_./@", 0, 10, 200])


@st.composite
def expressions(draw, depth: int = 3) -> tuple[str, bytes]:
    """An expression and something that it matches."""
    kind = draw(st.sampled_from(("byte", "class", "sequence", "choice", "repeat", "assertion") if depth else ("byte", "class")))
    if kind == "byte":
        c = draw(BYTES)
        return draw(st.sampled_from((f"\\x{c:02x}", f"\\x{{{c:x}}}"))), bytes([c])
    if kind == "class":
        text, members = draw(st.sampled_from(((r"\d", b"0199"), (r"\w", b"aX0_"), (r"\s", b" \n"), (".", b"a. "), (r"[^\d]", b"a-@"), ("[a-c]", b"abc"),
                                              (r"[X-Z0-9\-]", b"XZ05-"), ("[]a]", b"]a"), (r"[^]\n]", b"a0"), (r"\D", b"a "), (r"[\w.]", b"a.0"))))
        return text, bytes([draw(st.sampled_from(members))])
    if kind == "sequence":
        parts = draw(st.lists(expressions(depth - 1), min_size=1, max_size=4))
        return "".join(text for text, _ in parts), b"".join(sample for _, sample in parts)
    if kind == "choice":
        ways = draw(st.lists(expressions(depth - 1), min_size=1, max_size=3))
        opening = draw(st.sampled_from(("(?:", "(", "(?<n>", "(?>", "(?i:")))
        if opening == "(?<n>" and depth < 3:
            opening = "(?:"
        return opening + "|".join(text for text, _ in ways) + ")", draw(st.sampled_from(ways))[1]
    text, sample = draw(expressions(depth - 1))
    if kind == "assertion":
        return draw(st.sampled_from((f"(?:{text})(?=.?)", f"\\b?(?:{text})", f"(?<!zzz)(?:{text})", f"(?:{text})(?!\\x01)"))), sample
    least = draw(st.integers(0, 3))
    most = draw(st.integers(max(least, 1), 20))
    sign = draw(st.sampled_from((f"{{{least},{most}}}", f"{{{least},}}", f"{{{most}}}", "*", "+", "?")))
    low, high = {"*": (0, 4), "+": (1, 4), "?": (0, 1), f"{{{most}}}": (most, most)}.get(sign, (least, most))
    return f"(?:{text}){sign}" + draw(st.sampled_from(("", "?", "+"))), sample * draw(st.integers(low, high))


def is_in(one: Pattern | Shape, data: bytes) -> bool:
    if isinstance(one, Pattern):
        return one.text in (data.lower() if one.nocase else data)
    return any(all(members >> data[at + i] & 1 for i, members in enumerate(one.classes)) for at in range(len(data) - len(one.classes) + 1))


@settings(max_examples=400, deadline=None)
@given(expressions(), st.binary(max_size=6), st.binary(max_size=6), st.sampled_from(("", "i", "s", "m")))
def test_what_matches_has_it(made, before, after, options):
    """Also where possessive repeats and atomic groups would keep PCRE2 from matching: what it asks for is at most what such samples have."""
    expression, sample = made
    found = found_by(expression.encode(), options)
    assert found is None or any(is_in(one, before + sample + after) for one in found[1])
    if "i" in options and found is not None:
        assert any(is_in(one, before + sample.swapcase() + after) for one in found[1])


# ---- looking for shapes ----

SHAPES = st.lists(st.builds(lambda classes: Shape(tuple(classes)), st.lists(
    st.sampled_from([sum(1 << c for c in members) for members in (b"a", b"ab", b"0123456789", b"ABC ", bytes(range(256)), b"\x00\xff", b"a1!")]),
    min_size=1, max_size=PLACES)), min_size=1, max_size=TOGETHER)


@settings(max_examples=300, deadline=None)
@given(SHAPES, st.lists(st.sampled_from([b"a", b"b", b"1", b"A ", b"\x00", b"\xff", b"z", b"0123456789", b"aaaaaaaaaa", b"B1a!" * 9]), max_size=30))
def test_shapes_are_found_where_they_are(shapes, parts):
    data = b"".join(parts)
    [row] = np.array(tables(list(enumerate(shapes, 5))), p.WIDTHS["SHAPES"])
    ends = {}
    for number, shape in enumerate(shapes, 5):
        size = len(shape.classes)
        at = next((at for at in range(len(data) - size + 1) if all(members >> data[at + i] & 1 for i, members in enumerate(shape.classes))), None)
        if at is not None:
            ends[number] = at + size
    assert scan_shapes(row.tobytes(), data) == scan_shapes(row.tobytes(), data, plainly=True) == ends


def test_what_is_no_row_of_shapes():
    for table in (b"", bytes(4416), b"\xff" * 4416, bytes(100)):
        with pytest.raises(ValueError, match="no row"):
            scan_shapes(table, b"a")


def test_many_shapes_fill_several_rows():
    rows = tables(list(enumerate([shape_of(Pattern(bytes([c]), False)) for c in range(97, 97 + 2 * TOGETHER + 1)])))
    assert [row[0] for row in rows] == [TOGETHER, TOGETHER, 1]


# ---- which rules go by them ----

def patterns(options: str, proto: str = "http") -> list[str]:
    [plan] = RuleSet.parse(f"alert {proto} any any -> any any ({options} sid:1;)").plans
    return [type(one).__name__ for one in fast_patterns(plan, settled(merged(plan.blocks)))[1]]


@pytest.mark.parametrize("options, proto, expected", [
    ('http.uri; pcre:"/[0-9]{3}-[0-9]{4}/";', "http", ["Shape"]), ('file.data; pcre:"/abcd/";', "smtp", ["Pattern"]),
    ('flow:established,to_server; http.uri; pcre:"/abcd/";', "http", ["Pattern"]), ('pcre:"/[0-9]{3}-[0-9]{4}/";', "udp", ["Shape"]),
    ('http.uri; content:"abcd"; pcre:"/[0-9]{3}-[0-9]{4}/";', "http", ["Pattern"]), ('http.uri; content:"-"; pcre:"/[0-9]{3}-[0-9]{4}/";', "http", ["Shape"]),
    ('http.uri; content:"-"; fast_pattern; pcre:"/[0-9]{3}-[0-9]{4}/";', "http", ["Pattern"]),
    # what a rule asks of the entry may hold later: it is looked at with every one
    ('flowbits:isset,a; http.uri; pcre:"/abcd/";', "http", []), ('flow:established,to_server,no_frag; http.uri; pcre:"/abcd/";', "http", []),
    ('dns.query; pcre:"/abcd/";', "dns", []), ('http.uri; pcre:"/abcd/"; http.host; pcre:"/efgh/";', "http", []),
    # not what must not be there, nor what is behind what is decoded
    ('http.uri; pcre:!"/abcd/";', "http", []), ('base64_decode:bytes 9; base64_data; pcre:"/abcd/";', "tcp", []),
])
def test_which_rules_have_one(options, proto, expected):
    assert patterns(options, proto) == expected
