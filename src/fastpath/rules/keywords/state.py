"""Variables that outlive the packet: flowint, xbits, hostbits. User guide, "Flow Keywords", "Xbits Keyword"."""
from __future__ import annotations

import re

from ..draft import Draft, number
from ..lexer import RuleError
from ..plan import Flowint, Value, Xbits
from .table import keyword

_U32 = 2**32 - 1
_FLOWINT = re.compile(r"\s*(?P<name>[a-zA-Z][\w./]+)\s*,\s*(?P<op>==|!=|<=|>=|[-+=<>]|isset|notset|isnotset)\s*,?\s*"
                      r"(?P<value>[a-zA-Z]\w+|[0-9]{1,10})?\s*", re.ASCII)
_XBITS = re.compile(r"(?P<op>[a-z]+)(?:,\s*(?P<name>[^,]+))?(?:,\s*track\s+(?P<track>[^,]+))(?:,\s*expire\s+(?P<expire>[^,]+))?")
_HOSTBITS = re.compile(r"(?P<op>[a-z]+)(?:\s*,\s*(?P<name>[^ \t,]+))?(?:\s*,\s*(?P<track>[^,]+))?\s*")

_CHANGES = ("set", "unset", "toggle")
_OPS = (*_CHANGES, "isset", "isnotset")
_EXPIRE = 30            # seconds, of an xbit that does not say
_HOSTBIT_SECONDS = 300  # a hostbit lives


@keyword("flowint", "variables")
def flowint(draft: Draft, text: str, at: int) -> None:
    form = _FLOWINT.fullmatch(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where a name, + - = < <= == != >= > isset or isnotset, and a number or a name were expected")
    op = "notset" if form["op"] == "isnotset" else form["op"]
    value: Value = 0
    if op not in ("isset", "notset"):
        written = form["value"]
        if written is None:
            raise RuleError(at + form.end("op"), "found nothing where a number or the name of a variable was expected")
        value = number(written, at + form.start("value"), 0, _U32) if written[0].isdigit() else written
    (draft.after if op in "+-=" else draft.conditions).append(Flowint(op, form["name"], value))


@keyword("xbits", "variables", note="track ip_src, ip_dst and ip_pair")
def xbits(draft: Draft, text: str, at: int) -> None:
    form = _XBITS.match(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where an action, a name, 'track ip_src', 'track ip_dst' or 'track ip_pair', and "
                            "perhaps 'expire SECONDS' were expected")
    if form["track"] not in ("ip_src", "ip_dst", "ip_pair"):
        raise RuleError(at + form.start("track"), f"found {form['track']!r} where ip_src, ip_dst or ip_pair was expected")
    expire = _EXPIRE
    if form["expire"] is not None:
        expire = number(form["expire"].strip(), at + form.start("expire"), 1, _U32)
    _bit(draft, at, form["op"], form["name"], form["track"], expire)


@keyword("hostbits", "variables", note="a bit lives for five minutes")
def hostbits(draft: Draft, text: str, at: int) -> None:
    form = _HOSTBITS.fullmatch(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where an action, a name, and perhaps src or dst were expected")
    if form["op"] == "noalert" and form["name"] is None:
        draft.noalert = True
        return
    track = (form["track"] or "src").strip()
    if track not in ("src", "dst"):
        raise RuleError(at + form.start("track"), f"found {track!r} where src or dst was expected")
    _bit(draft, at, form["op"], form["name"], f"ip_{track}", _HOSTBIT_SECONDS, by_host=True)


def _bit(draft: Draft, at: int, op: str, name: str | None, track: str, expire: int, by_host: bool = False) -> None:
    if op == "noalert":
        raise RuleError(at, "noalert has neither name nor track")
    if op not in _OPS:
        raise RuleError(at, f"found {op!r} where one of {', '.join(_OPS)} or noalert was expected")
    if not name:
        raise RuleError(at, "found no name where the name of a bit was expected")
    (draft.after if op in _CHANGES else draft.conditions).append(Xbits(op, name, track, expire, by_host))
