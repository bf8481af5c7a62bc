"""Rule text into lines, options and bytes; every position is kept.

Text is held as latin-1, one character a byte, so that columns count bytes and nothing is lost whatever the encoding.
Grammar: Suricata 7.0 user guide, "Rules Format".
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .plan import Place

ACTIONS = ("alert", "pass", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "config")

#: What counts as blank: of latin-1, only what is blank in ASCII too (0xa0 is part of many a UTF-8 character).
BLANK = " \t\r\n\f\v"

_DISABLED = re.compile(rf"#[#\s]*(?=(?:{'|'.join(ACTIONS)})\s+\S+\s.*(?:->|<>).*\()")
_ESCAPABLE = ':;\\"'


class RuleError(Exception):
    """What is wrong with a rule: `at` is an offset into its text, `malformed` tells broken text from unsupported text."""

    def __init__(self, at: int, reason: str, keyword: str = "", malformed: bool = True):
        super().__init__(reason)
        self.at = at
        self.reason = reason
        self.keyword = keyword
        self.malformed = malformed


@dataclass(slots=True)
class RuleText:
    """One rule as it stands in a file, its continuation lines joined."""
    file: str
    line: int
    text: str
    disabled: bool = False
    pieces: tuple[tuple[int, int, int], ...] = ()   # (offset in text, line, column) of each line; () for one whole line
    indent: int = 0                                 # columns before the text of a one-line rule
    unfinished: bool = False                        # the file ended in a continuation

    def place(self, at: int) -> Place:
        """Where offset `at` of the joined text stands in the file."""
        line, column = self.line, at + 1 + self.indent
        for offset, piece_line, piece_column in self.pieces:
            if offset > at:
                break
            line, column = piece_line, at - offset + piece_column
        return Place(self.file, line, column)


@dataclass(slots=True)
class Option:
    """`name:value;` of a rule's body. `at` and `value_at` are offsets of their first characters."""
    name: str
    value: str | None
    at: int
    value_at: int


def rule_texts(text: str, file: str, disabled: bool = True) -> Iterator[RuleText]:
    """The rules of a file, in order; comments and empty lines are skipped, rules behind a # come marked as disabled
    (or not at all, without `disabled`)."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        body = line.strip(BLANK)
        if not body:
            continue
        if body[0] == "#":
            mark = _DISABLED.match(body) if disabled else None
            if mark:
                indent = line.find("#") + mark.end()
                yield RuleText(file, number, line[indent:].rstrip(BLANK), True, indent=indent)
            continue
        if body[-1] == "\\":
            rule, number = _join(lines, number - 1, file)
            yield rule
        else:
            indent = len(line) - len(line.lstrip(BLANK))
            yield RuleText(file, number, body, indent=indent)


def _join(lines: list[str], first: int, file: str) -> tuple[RuleText, int]:
    """Joins a rule that is continued by backslashes; gives it with the index of the line after it."""
    pieces: list[tuple[int, int, int]] = []
    joined, number = "", first
    while True:
        if number == len(lines):
            return RuleText(file, first + 1, joined, pieces=tuple(pieces), unfinished=True), number
        line = lines[number].rstrip(BLANK)
        number += 1
        start = len(line) - len(line.lstrip(BLANK)) if not pieces else 0
        pieces.append((len(joined), number, start + 1))
        if not line.endswith("\\"):
            return RuleText(file, first + 1, joined + line[start:], pieces=tuple(pieces)), number
        joined += line[start:-1]


def split_options(text: str, at: int) -> list[Option]:
    """The options of a rule's body, which begins at offset `at`. A `;` ends an option unless a backslash stands before it."""
    end = len(text.rstrip(BLANK + ")"))
    options: list[Option] = []
    while True:
        while at < end and text[at] in BLANK:
            at += 1
        if at >= end:
            return options
        stop = text.find(";", at, end)
        while stop > at and text[stop - 1] == "\\":
            stop = text.find(";", stop + 1, end)
        if stop < 0:
            raise RuleError(at, f"found {_shown(text[at:end])} where an option ended by ';' was expected "
                                "(a ';' within a value is written '\\;')")
        colon = text.find(":", at, stop)
        if colon < 0:
            options.append(Option(text[at:stop].rstrip(BLANK), None, at, stop))
        else:
            value = text[colon + 1:stop]
            trimmed = value.lstrip(BLANK)
            options.append(Option(text[at:colon].rstrip(BLANK), trimmed.rstrip(BLANK), at, colon + 1 + len(value) - len(trimmed)))
        at = stop + 1


def unquote(option: Option, mandatory: bool = True) -> tuple[str, int]:
    """The text between the double quotes of a value, and its offset."""
    value = option.value or ""
    if len(value) >= 2 and value[0] == '"' and value[-1] == '"':
        return value[1:-1], option.value_at + 1
    if mandatory:
        raise RuleError(option.value_at, f"found {_shown(value)} where a value in double quotes was expected", option.name)
    return value, option.value_at


def pattern_bytes(text: str, at: int, keyword: str) -> bytes:
    """The bytes that a content pattern stands for: |41 42| is hex, and : ; \\ " may be escaped by a backslash.
    `at` is the offset of the text, for errors."""
    if "|" not in text and "\\" not in text and '"' not in text:
        return text.encode("latin-1")
    out = bytearray()
    parts = text.split("|")
    if len(parts) % 2 == 0:
        raise RuleError(at + text.rindex("|"), "found the end of the pattern where '|' was expected: hex bytes are not closed",
                        keyword)
    for index, part in enumerate(parts):
        if index % 2:
            out += _hex_bytes(part, at, keyword)
        elif "\\" in part or '"' in part:
            out += _unescaped(part, at, keyword)
        else:
            out += part.encode("latin-1")
        at += len(part) + 1
    return bytes(out)


def _hex_bytes(part: str, at: int, keyword: str) -> bytes:
    digits = part.replace(" ", "")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        for index, char in enumerate(part):
            if char not in " 0123456789abcdefABCDEF":
                raise RuleError(at + index, f"found {char!r} where a hex digit was expected", keyword) from None
        raise RuleError(at + len(part), "found '|' where a second hex digit was expected", keyword) from None


def _unescaped(part: str, at: int, keyword: str) -> bytes:
    out, index = bytearray(), 0
    while index < len(part):
        char = part[index]
        if char == "\\":
            index += 1
            if index == len(part) or part[index] not in _ESCAPABLE:
                found = "the end" if index == len(part) else repr(part[index])
                raise RuleError(at + index - 1, f"found {found} after a backslash where one of : ; \\ \" was expected", keyword)
            char = part[index]
        elif char == '"':
            raise RuleError(at + index, "found '\"' without a backslash before it", keyword)
        out.append(ord(char))
        index += 1
    return bytes(out)


def readable(text: str) -> str:
    """Text for people: what the bytes say as UTF-8, or as latin-1 where they say nothing."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def _shown(text: str) -> str:
    """Text for an error message: short, quoted, printable."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
