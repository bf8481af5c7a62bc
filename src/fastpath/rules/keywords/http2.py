"""Keywords of HTTP/2: numbers of its frames; and of gRPC over it, which are fastpath's own. User guide, "HTTP2 Keywords".

A frame is of the transaction of its stream; one of no stream is a transaction of its own.
"""
from __future__ import annotations

import re

from ..draft import Draft, number
from ..lexer import BLANK, RuleError
from ..plan import NumberIs
from .header import Ranges, unsigned
from .table import Keyword, Setup, add, keyword

_U8, _U32 = 2**8 - 1, 2**32 - 1
_OWN = "fastpath's own"

#: RFC 9113, sections 6, 7 and 6.5.2
_TYPES = ("data", "headers", "priority", "rststream", "settings", "pushpromise", "ping", "goaway", "windowupdate", "continuation")
_ERRORS = ("no_error", "protocol_error", "internal_error", "flow_control_error", "settings_timeout", "stream_closed", "frame_size_error",
           "refused_stream", "cancel", "compression_error", "connect_error", "enhance_your_calm", "inadequate_security",
           "http_1_1_required")
_SETTINGS = ("header_table_size", "enable_push", "max_concurrent_streams", "initial_window_size", "max_frame_size", "max_header_list_size")
_SETTING = re.compile(r"\s*(?P<name>[^ <>=!]+)\s*(?P<value>.*)", re.DOTALL)


def _ask(draft: Draft, at: int, buffer: str, ranges: Ranges) -> None:
    draft.protocol("http2", at)
    draft.over(buffer, at, NumberIs(ranges))


def _named(text: str, at: int, names: tuple[str, ...], highest: int) -> Ranges:
    """One of these names, in any case, or a number."""
    word = text.strip(BLANK)
    if word.isascii() and word.isdigit():
        value = number(word, at, 0, highest)
    elif word.lower() in names:
        value = names.index(word.lower())
    else:
        raise RuleError(at, f"found {word!r} where a number or one of {', '.join(name.upper() for name in names)} was expected")
    return ((value, value),)


@keyword("http2.frametype", "http2")
def frametype(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "http2.frametype", _named(text, at, _TYPES, _U8))


@keyword("http2.errorcode", "http2")
def errorcode(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "http2.errorcode", _named(text, at, _ERRORS, _U32))


@keyword("http2.priority", "http2")
def priority(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "http2.priority", unsigned(text.strip(BLANK), at, _U8))


@keyword("http2.window", "http2")
def window(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "http2.window", unsigned(text.strip(BLANK), at, _U32))


@keyword("http2.size_update", "http2")
def size_update(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "http2.size_update", unsigned(text.strip(BLANK), at, 2**64 - 1))


@keyword("http2.settings", "http2")
def settings(draft: Draft, text: str, at: int) -> None:
    form = _SETTING.fullmatch(text)
    name = form["name"].lower().removeprefix("settings_") if form else ""
    if form is None or name not in _SETTINGS or not form["name"].lower().startswith("settings_"):
        raise RuleError(at, f"found {text!r} where one of {', '.join(f'SETTINGS_{each.upper()}' for each in _SETTINGS)} was expected")
    value = form["value"].strip(BLANK)
    if value.startswith("!"):
        raise RuleError(at, f"found {value!r} where N, <N, <=N, >N, >=N or N-M was expected")
    # the buffer holds the setting above, its value below
    above = (_SETTINGS.index(name) + 1) << 32
    ranges = unsigned(value, at, _U32) if value else ((0, _U32),)
    _ask(draft, at, "http2.settings", tuple((above | low, above | high) for low, high in ranges))


def _sticky(buffer: str) -> Setup:
    def setup(draft: Draft, text: str, at: int) -> None:
        draft.enter(buffer, at)
        draft.protocol("http2", at)
    return setup


for _name, _holds in (("service", "package and service that a call of gRPC names; towards the client, once who has it answers"),
                      ("method", "the method likewise")):
    add(Keyword(f"grpc.{_name}", "http2", "none", _sticky(f"grpc.{_name}"), note=f"{_OWN}: {_holds}", kind="sticky"))
