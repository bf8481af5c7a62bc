"""Texts that pcre captures, and what asks for them: flowvar, pktvar. User guide, "Payload Keywords" (pcre), "Flow Keywords".

fastpath's own: `inventory:version`, `inventory:client` and `inventory:client_version`, in a rule with `inventory`, are told to the
inventory."""
from __future__ import annotations

import re

from ..draft import Draft
from ..lexer import RuleError, pattern_bytes
from ..plan import FlowvarIs, Keep
from ..program import CAPTURES_MAX, NOTES
from .table import keyword

_NAMED = re.compile(r"\(\?P<([A-z]+?)_([A-z0-9_]+?)>")
_WHAT = {"flow": "flow", "pkt": "packet"}
_LISTED = {"flow:": "flow", "pkt:": "packet", "inventory:": "note"}
_TEXT_MAX = 63      # characters of a name, and of a value as it is written


@keyword("flowvar", "variables")
def flowvar(draft: Draft, text: str, at: int) -> None:
    _is(draft, text, at, packet=False)


@keyword("pktvar", "variables")
def pktvar(draft: Draft, text: str, at: int) -> None:
    _is(draft, text, at, packet=True)


def _is(draft: Draft, text: str, at: int, packet: bool) -> None:
    name, comma, value = text.rpartition(",")
    if not comma or not packet and max(len(name), len(value)) > _TEXT_MAX:
        raise RuleError(at, f"found {text!r} where a name and a text were expected")
    where = at + len(name) + 1
    if len(value) > 1 and value[0] == '"' and value[-1] == '"':
        value, where = value[1:-1], where + 1
    pattern = pattern_bytes(value, where, draft.keyword)
    if not pattern:
        raise RuleError(where, "found nothing where a text was expected")
    draft.conditions.append(FlowvarIs(name, pattern, packet))


def captures_of(draft: Draft, expression: str, listed: str, groups: int, at: int) -> tuple[tuple[str, str], ...]:
    """What the groups of an expression are kept as: first those of the list behind it, then those named in it. groups: how many it
    has. The rule keeps them when it matches."""
    found: list[tuple[str, str]] = []
    names = listed.replace(",", " ").split() if groups else []
    is_key = False
    for number, name in enumerate(names[:CAPTURES_MAX]):
        if number >= groups:
            raise RuleError(at, f"found {len(names)} names where the expression captures {groups}")
        if is_key or name == "pkt:value":
            if not is_key or name != "pkt:value":
                raise RuleError(at, f"found {name!r}: pkt:value follows pkt:key")
            is_key = False
        elif name == "pkt:key":
            is_key = True
            found.append(("key", ""))
        elif (kind := next((kind for kind in _LISTED if name.startswith(kind)), None)) is not None:
            found.append((_LISTED[kind], name[len(kind):]))
            if _LISTED[kind] == "note" and found[-1][1] not in NOTES:
                raise RuleError(at, f"found {name!r} where inventory:version, :client or :client_version was expected")
        else:
            raise RuleError(at, f"found {name!r} where flow:NAME or pkt:NAME was expected")
    for kind, name in _NAMED.findall(expression):
        if len(found) >= CAPTURES_MAX:
            raise RuleError(at, f"captures more than {CAPTURES_MAX} texts")
        if kind in _WHAT:
            found.append((_WHAT[kind], name))
    draft.after += [Keep(what, name) for what, name in found]
    return tuple(found)
