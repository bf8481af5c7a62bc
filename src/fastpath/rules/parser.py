"""A rule's text into its parts: header words and options, each with its place. Nothing is interpreted here."""
from __future__ import annotations

import re
from dataclasses import dataclass

from .lexer import ACTIONS, BLANK, Option, RuleError, RuleText, split_options

_WORD = re.compile(rf"[{BLANK}]*([^{BLANK}]+)")
_PLAIN = re.compile(rf"[{BLANK}]*([^{BLANK}(\[\]]+)(?=[{BLANK}])")     # an item without brackets


@dataclass(slots=True)
class Word:
    """A word of the header and its offset."""
    text: str
    at: int


@dataclass(slots=True)
class RuleAst:
    """The parts of a rule, in the order in which they are written."""
    source: RuleText
    action: Word
    proto: Word
    src: Word
    sport: Word
    arrow: Word
    dst: Word
    dport: Word
    options: list[Option]


def parse_rule(source: RuleText) -> RuleAst:
    """Takes a rule apart. Raises RuleError at the first thing that is not a rule."""
    text = source.text
    if source.unfinished:
        raise RuleError(max(len(text) - 1, 0), "found the end of the file where a continuation line was expected")
    action, at = _word(text, 0, "an action")
    if action.text.lower() not in ACTIONS:
        raise RuleError(action.at, f"found {action.text!r} where an action was expected ({', '.join(ACTIONS[:-1])})")
    proto, at = _word(text, at, "a protocol")
    src, at = _list(text, at, "a source address")
    sport, at = _list(text, at, "a source port")
    arrow, at = _word(text, at, "'->' or '<>'")
    if arrow.text not in ("->", "<>"):
        raise RuleError(arrow.at, f"found {arrow.text!r} where '->' or '<>' was expected")
    dst, at = _list(text, at, "a destination address")
    dport, at = _list(text, at, "a destination port")
    while at < len(text) and text[at] in BLANK:
        at += 1
    if at == len(text):
        raise RuleError(at, "found the end of the rule where '(' and options were expected")
    if text[at] != "(" or text[at - 1] not in BLANK:
        expected = "a blank before the options" if text[at] == "(" else "'('"
        raise RuleError(at, f"found {text[at]!r} where {expected} was expected")
    while at < len(text) and text[at] in BLANK + "(":
        at += 1
    return RuleAst(source, action, proto, src, sport, arrow, dst, dport, split_options(text, at))


def _word(text: str, at: int, expected: str) -> tuple[Word, int]:
    word = _WORD.match(text, at)
    if word is None:
        raise RuleError(len(text), f"found the end of the rule where {expected} was expected")
    return Word(word[1], word.start(1)), word.end()


def _list(text: str, at: int, expected: str) -> tuple[Word, int]:
    """A word that may hold blanks within square brackets."""
    plain = _PLAIN.match(text, at)
    if plain is not None:
        return Word(plain[1], plain.start(1)), plain.end()
    while at < len(text) and text[at] in BLANK:
        at += 1
    start, depth = at, 0
    while at < len(text):
        char = text[at]
        if char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        elif char == "(" or char in BLANK and depth <= 0:
            break
        at += 1
    if start == at:
        found = repr(text[at]) if at < len(text) else "the end of the rule"
        raise RuleError(at, f"found {found} where {expected} was expected")
    if depth > 0:
        raise RuleError(text.index("[", start), "found no ']' for this '['")
    return Word(text[start:at].rstrip(BLANK), start), at
