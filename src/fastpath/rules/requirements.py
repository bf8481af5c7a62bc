"""The requires keyword: which version, features and keywords a rule asks for. User guide, "Meta Keywords", requires.

A rule is read as Suricata 7.0.10 would read it: its version and the keywords that it knows count, and of features none.
"""
from __future__ import annotations

import re
from collections.abc import Container

from .lexer import BLANK, RuleError

VERSION = (7, 0, 10)

_COMPARISON = re.compile(r"(>=|<=|>|<)\s*([0-9]+(?:\.[0-9]+){0,2})(?:-\S+)?\s*")


def unmet(text: str, at: int, keywords: Container[str]) -> str:
    """Why a requirement is not met; "" if it is. RuleError for a requirement that cannot be read."""
    name, _, value = text.partition(" ")
    value = value.strip(BLANK)
    if name == "version":
        read_as = ".".join(map(str, VERSION))
        return "" if _version(value, at) else f"needs Suricata {value}; rules are read as those of {read_as}"
    if name == "feature" and value:
        return f"needs the feature {value}"
    if name == "keyword" and value:
        return "" if value.lower() in keywords else f"needs the keyword {value}"
    return f"found the requirement {text!r}, which is not known"


def _version(text: str, at: int) -> bool:
    """`>= 7.0.3 < 8 | >= 8.0.1`: any of the alternatives, each holding altogether."""
    met = False
    for alternative in text.split("|"):
        rest, holds = alternative.strip(BLANK), True
        while rest:
            form = _COMPARISON.match(rest)
            if form is None:
                raise RuleError(at, f"found {rest!r} where a comparison with a version was expected (>= <= > < and N.N.N)")
            wanted = tuple(int(part) for part in form[2].split("."))
            wanted += (0,) * (3 - len(wanted))
            holds &= {">=": wanted <= VERSION, "<=": wanted >= VERSION, ">": wanted < VERSION, "<": wanted > VERSION}[form[1]]
            rest = rest[form.end():]
        if not alternative.strip(BLANK):
            raise RuleError(at, "found nothing where a comparison with a version was expected")
        met |= holds
    return met
