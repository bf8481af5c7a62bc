"""stream_size, flow.age and asn1. User guide, "Flow Keywords", "Payload Keywords"."""
from __future__ import annotations

import re

from ..draft import Draft, number
from ..lexer import BLANK, RuleError
from ..plan import Asn1, FlowAge, StreamSize
from .header import unsigned
from .table import keyword

_U16, _U32 = 2**16 - 1, 2**32 - 1
_SIZE = re.compile(r"\s*(?P<side>server|client|both|either)\s*,\s*(?P<op><=|>=|!=|!|<|>|=)\s*(?P<comma>,)\s*(?P<size>[0-9]+)\s*")
_ELEMENT = re.compile(r"\s*(?:(?<!\s),\s*)?([a-z_]+)(?:\s+(-?[0-9]+))?")


@keyword("stream_size", "flow")
def stream_size(draft: Draft, text: str, at: int) -> None:
    form = _SIZE.fullmatch(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where server, client, both or either, an operator and a number were expected")
    op = "!=" if form["op"] == "!" else form["op"]
    draft.conditions.append(StreamSize(form["side"], op, number(form["size"], at + form.start("size"), 0, _U32)))


@keyword("flow.age", "flow")
def flow_age(draft: Draft, text: str, at: int) -> None:
    draft.conditions.append(FlowAge(unsigned(text, at, _U32)))
    draft.needs_packet = "flow.age"


@keyword("asn1", "payload", note="over the payload of the packet, from the end of the last match in it")
def asn1(draft: Draft, text: str, at: int) -> None:
    asked: dict[str, int | bool] = {}
    end = 0
    while form := _ELEMENT.match(text, end):
        name, value = form[1], form[2]
        if name in ("bitstring_overflow", "double_overflow") and value is None:
            asked[name] = True
        elif name in ("oversize_length", "absolute_offset", "relative_offset") and value is not None:
            low, high = (-65535, 65535) if name == "relative_offset" else (0, _U16 if name == "absolute_offset" else _U32)
            asked[name] = number(value, at + form.start(2), low, high)
        else:
            raise RuleError(at + form.start(1), f"found {form[0].strip(BLANK + ',')!r} where bitstring_overflow, double_overflow, or "
                            "oversize_length, absolute_offset or relative_offset and a number were expected")
        end = form.end()
    if text[end:].strip(BLANK) or not asked:
        raise RuleError(at + end, f"found {text[end:]!r} where an option of asn1 was expected")
    relative = "absolute_offset" not in asked and "relative_offset" in asked
    offset = asked.get("absolute_offset", asked.get("relative_offset", 0))
    draft.conditions.append(Asn1(bool(asked.get("bitstring_overflow")), bool(asked.get("double_overflow")),
                                 asked.get("oversize_length"), offset, relative))
