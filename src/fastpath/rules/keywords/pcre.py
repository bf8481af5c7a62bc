"""pcre: expression, options and buffer letters apart. PCRE2 itself says whether it takes the expression.

User guide, "Payload Keywords", pcre; "HTTP Keywords" for the letters that name a buffer.
"""
from __future__ import annotations

import re

from fastpath.dataplane.match.database import expression_error, expression_groups

from ..draft import Draft, Pattern
from ..lexer import RuleError
from ..plan import Pcre
from ..program import EXPRESSION_NAMED_ONLY, EXPRESSION_OPTIONS
from .table import keyword
from .variables import captures_of

# the last slash that is not behind a single backslash ends the expression
_FORM = re.compile(r'(?P<before>[^/]*)/(?P<expression>.*(?<!(?<!\\)\\))/'
                   r'(?P<options>[A-Za-z]*)(?P<captures>\s*,[^"]*)?\Z', re.DOTALL)

#: Letters that name the buffer of an application protocol.
BUFFERS = {"U": "http.uri", "I": "http.uri.raw", "P": "http.request_body", "Q": "file.data", "H": "http.header",
           "D": "http.header.raw", "M": "http.method", "C": "http.cookie", "S": "http.stat_code", "Y": "http.stat_msg",
           "V": "http.user_agent", "W": "http.host", "Z": "http.host.raw"}


@keyword("pcre", "payload", quotes="optional", negatable=True, note="captures into variables of flow and packet, and for the inventory")
def pcre(draft: Draft, text: str, at: int) -> None:
    form = _FORM.match(text)
    if form is None:
        raise RuleError(at, "found no /expression/options")
    if form["before"].strip():
        draft.refuse(at, f"found {form['before']!r} before the expression, which nothing is done with")
    options, where, buffer = form["options"], at + form.start("options"), ""
    kept = ""
    for letter in options:
        if letter in "imsxAEGR":
            kept += letter if letter not in kept else ""
        elif letter in BUFFERS:
            if buffer:
                raise RuleError(where, f"found {letter!r} where a buffer is named already ({buffer})")
            if draft.room is not None and draft.room.buffer != BUFFERS[letter]:
                raise RuleError(where, f"found {letter!r}, which names a buffer, under the sticky buffer {draft.room.buffer}")
            buffer = BUFFERS[letter]
        elif letter not in "BO":
            raise RuleError(where, f"found {letter!r} where an option of pcre was expected")
        where += 1
    if "U" in options and "B" in options:
        raise RuleError(at + form.start("options"), "B, of raw bytes, contradicts U, of the normalised URI")
    if buffer == "http.host" and "i" not in kept and re.search(r"(?<!\\)[A-Z]|(?<=\\W)[A-Z]", form["expression"]):
        raise RuleError(at + form.start("expression"), "found an upper case letter, which http.host never holds")
    expression = form["expression"].encode("latin-1")
    bits = sum(EXPRESSION_OPTIONS[letter] for letter in kept)
    if wrong := expression_error(expression, bits):
        offset, reason = wrong
        raise RuleError(at + form.start("expression") + offset, f"PCRE2 does not take the expression: {reason}")
    if buffer:
        draft.protocol("http1", where - 1)
    room = draft.room or draft.named(buffer or "payload")
    if "R" in kept and not any(isinstance(step, Pattern | Pcre) for step in room.steps) and (buffer or draft.room is None):
        raise RuleError(at, "a relative expression needs a content or an expression before it")
    draft.latest = room
    listed = (form["captures"] or "").lstrip(" \t,")
    captures: tuple[tuple[str, str], ...] = ()
    named_only = False
    if listed or "(?P<" in form["expression"]:
        # without a list groups without a name are none, unless something in the expression refers to one
        named_only = not listed and expression_error(expression, bits | EXPRESSION_NAMED_ONLY) is None
        groups = expression_groups(expression, bits | EXPRESSION_NAMED_ONLY * named_only)
        captures = captures_of(draft, form["expression"], listed, groups, at)
    room.steps.append(Pcre(expression, kept, draft.negated, captures, named_only and bool(captures)))
