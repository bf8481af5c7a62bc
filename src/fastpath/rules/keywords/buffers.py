"""Sizes of inspect buffers, and the transforms of sticky buffers. User guide, "Payload Keywords" (bsize), "HTTP Keywords"
(urilen), "Transformations"."""
from __future__ import annotations

import re

from fastpath.dataplane.match.database import expression_error

from ..draft import Draft
from ..lexer import BLANK, RuleError
from ..plan import Size, Transform
from .header import Ranges, unsigned
from .table import Keyword, add, keyword

_U16, _U64 = 2**16 - 1, 2**64 - 1
_URILEN = re.compile(r"(?P<range>[^,]*?)\s*(?:,\s*(?P<which>.*))?", re.DOTALL)
_GROUPS = re.compile(rb"\\.|\[\^?\]?(?:\\.|[^]\\])*\]|\((?!\?)|\(\?P?<(?![=!])|\(\?'", re.DOTALL)


@keyword("bsize", "buffers")
def bsize(draft: Draft, text: str, at: int) -> None:
    if draft.room is None:
        raise RuleError(at, "stands behind a sticky buffer, whose size it asks")
    ranges = unsigned(text, at, _U64)
    draft.room.steps.append(Size(ranges))
    if "-" in text or "<>" in text or text[:1].isdigit() or text[0] == "=":
        between = "-" in text or "<>" in text
        draft.room.longest = ranges[0][1] + between if draft.room.longest is None else min(draft.room.longest, ranges[0][1] + between)


@keyword("urilen", "http")
def urilen(draft: Draft, text: str, at: int) -> None:
    form = _URILEN.fullmatch(text)
    which = (form["which"] or "norm").strip(BLANK) if form else ""
    if form is None or which not in ("norm", "raw"):
        raise RuleError(at, f"found {which!r} where norm or raw was expected", malformed=False)
    draft.protocol("http", at)
    ranges = _length(form["range"], at)
    buffer = "http.uri.raw" if which == "raw" else "http.uri"
    draft.over(buffer, at, Size(ranges))
    if ranges[0][0] == ranges[0][1] and len(ranges) == 1 and "<" not in text and ">" not in text:
        draft.uri_buffer, draft.uri_length = buffer, ranges[0][1]


def _length(text: str, at: int) -> Ranges:
    low, between, high = text.partition("<>")
    if between and low.strip(BLANK).isdigit() and high.strip(BLANK).isdigit() and not int(low) + 1 < int(high) <= _U16:
        raise RuleError(at, f"{text!r} is never true, or beyond what can be compared", malformed=False)
    return unsigned(text, at, _U16)


def _transform(name: str) -> None:
    def setup(draft: Draft, text: str, at: int) -> None:
        draft.transform(Transform(name), at)
    add(Keyword(name, "buffers", "none", setup, kind="transform"))


for _name in ("compress_whitespace", "strip_whitespace", "strip_pseudo_headers", "to_md5", "to_sha1", "to_sha256", "dotprefix",
              "url_decode", "header_lowercase", "to_lowercase", "to_uppercase"):
    _transform(_name)


def _xor(draft: Draft, text: str, at: int) -> None:
    if len(text) % 2 or not re.fullmatch(r"[0-9a-fA-F]+", text):
        raise RuleError(at, f"found {text!r} where a key of pairs of hex digits was expected")
    if len(text) > 510:
        raise RuleError(at, f"found a key of {len(text) // 2} bytes where at most 255 were expected")
    draft.transform(Transform("xor", bytes.fromhex(text)), at)


def _pcrexform(draft: Draft, text: str, at: int) -> None:
    expression = text.encode("latin-1")
    if wrong := expression_error(expression, 0):
        raise RuleError(at + wrong[0], f"PCRE2 does not take the expression: {wrong[1]}")
    captures = sum(match[0].startswith(b"(") for match in _GROUPS.finditer(expression))
    if captures != 1:
        raise RuleError(at, f"found {captures} captures where one was expected")
    draft.transform(Transform("pcrexform", expression), at)


add(Keyword("xor", "buffers", "needed", _xor, "must", kind="transform"))
add(Keyword("pcrexform", "buffers", "needed", _pcrexform, "must", kind="transform"))
