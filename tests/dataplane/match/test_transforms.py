"""What transforms make of a buffer, against Python's own words for it."""
from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import plan

from fastpath.dataplane.match.transaction_trial import TransactionTrial
from fastpath.dataplane.match.transforms import NAMES, transform_bytes
from fastpath.rules.compile import compile_rules
from fastpath.rules.plan import Block, Content, Transform

#: Bytes of which there are many that transforms care about.
DATA = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b":", b"%41", b"%", b"+", b"Ab", b"z", b"\xff"]), max_size=12).map(b"".join)
BLANKS = rb"[ \t-\r]"


@given(DATA)
def test_whitespace(data):
    assert transform_bytes("strip_whitespace", data) == re.sub(BLANKS, b"", data)
    assert transform_bytes("compress_whitespace", data) == re.sub(b"(%s)%s+" % (BLANKS, BLANKS), rb"\1", data)


@given(DATA)
def test_digests(data):
    for name in ("md5", "sha1", "sha256"):
        assert transform_bytes(f"to_{name}", data) == hashlib.new(name, data).digest()


@given(DATA)
def test_letters(data):
    assert transform_bytes("to_lowercase", data) == data.lower()
    assert transform_bytes("to_uppercase", data) == data.upper()


@given(DATA, st.binary(min_size=1, max_size=5))
def test_xor(data, key):
    assert transform_bytes("xor", data, key) == bytes(byte ^ key[i % len(key)] for i, byte in enumerate(data))


@given(DATA)
def test_dotprefix(data):
    assert transform_bytes("dotprefix", data) == b"." + data


@given(DATA)
def test_url_decode(data):
    plain = re.sub(rb"%([0-9a-fA-F]{2})|\+", lambda found: bytes.fromhex(found[1].decode()) if found[1] else b" ", data)
    assert transform_bytes("url_decode", data) == plain


@pytest.mark.parametrize(("data", "expected"), [
    (b":method: GET\r\nhost: a\r\n", b"host: a\r\n"), (b"a: b\n:path: c", b"a: b\n"), (b"a: b", b"a: b"), (b"", b""), (b":", b"")])
def test_strip_pseudo_headers(data, expected):
    assert transform_bytes("strip_pseudo_headers", data) == expected


@pytest.mark.parametrize(("data", "expected"), [
    (b"Host: ABC\r\nX-Y: Z", b"host: ABC\r\nx-y: Z"), (b"No-Colon", b"no-colon"), (b":Path: /A\r\nB: C", b":path: /A\r\nb: C")])
def test_header_lowercase(data, expected):
    assert transform_bytes("header_lowercase", data) == expected


def test_names_are_those_of_plans():
    from fastpath.rules import program
    assert program.TRANSFORMS == {name: number for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(("transforms", "uri", "pattern"), [
    ((Transform("to_lowercase"), Transform("strip_whitespace")), b"/A B", b"/ab"),
    ((Transform("pcrexform", b"id=(\\w+)"), Transform("to_uppercase")), b"/?id=abc&x", b"ABC"),
    ((Transform("xor", b"\x01\x02"),), b"abc", b"``b"),
    ((Transform("dotprefix"),), b"x.org", b".x.org"),
    ((Transform("to_md5"), Transform("to_sha1")), b"a", hashlib.sha1(hashlib.md5(b"a").digest()).digest()),
])
def test_a_chain(transforms, uri, pattern):
    """The fast pattern is looked for in what the transforms give, and so are all steps."""
    from captures import tcp
    made = TransactionTrial(compile_rules([plan_over("http.uri", transforms, pattern, 1), plan_over("http.uri", (), pattern, 2)]))
    tx = made.transaction()
    made.tell(tx, 0, "http.uri", uri)
    made.progress(tx, 0, 1)
    assert [rule for rule, _, _ in made.inspect(tcp(b""))] == [0]


def plan_over(buffer, transforms, pattern, sid):
    made = plan([], sid=sid, proto="http")
    made.blocks = [Block(buffer, [Content(pattern, startswith=True, endswith=True)], transforms)]
    return made
