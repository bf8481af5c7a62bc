"""Keywords that look at a header field. User guide, "Header Keywords"."""
from __future__ import annotations

import re
from typing import cast

from ..draft import Draft, number, words
from ..events import STREAM_ALIASES, engine_events
from ..lexer import BLANK, RuleError
from ..plan import Bits, Condition, HasEvent, Mode, Number, Presence
from .protocols import PROTOCOLS
from .table import keyword

_UNSIGNED = re.compile(r"(?P<op>!=?|<=|>=|<|>|=)?\s*(?P<low>[0-9]+)(?P<unit>[kKmMgG][bB]?)?"
                       r"(?:\s*(?:<>|-)\s*(?P<high>[0-9]+)(?P<unit2>[kKmMgG][bB]?)?)?\Z")
_FRAGOFFSET = re.compile(r"([<>])?\s*([0-9]+)")
_IP_PROTO = re.compile(r"([<>!])?\s*(\S+)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

Ranges = tuple[tuple[int, int], ...]


def unsigned(text: str, at: int, highest: int) -> Ranges:
    """`N =N !N !=N <N <=N >N >=N N-M N<>M` as inclusive ranges. Between two numbers neither end counts. RuleError for what is
    malformed, never true or always true."""
    form = _UNSIGNED.match(text)
    if form is None or (form["high"] and form["op"]) or (form["unit"] and highest < 65535):
        raise RuleError(at, f"found {text!r} where N, !N, <N, <=N, >N, >=N, N-M or N<>M was expected")
    low, op = int(form["low"]) * _UNITS[(form["unit"] or "")[:1].lower()], form["op"] or "="
    if form["high"]:
        low, high = low + 1, int(form["high"]) * _UNITS[(form["unit2"] or "")[:1].lower()] - 1
        if high >= highest:
            raise RuleError(at, f"found {high + 1} where a number up to {highest} was expected")
        ranges: Ranges = ((low, high),)
    else:
        bounds = {"=": ((low, low),), "!": _one(low, True, highest), "!=": _one(low, True, highest), "<": ((0, low - 1),),
        "<=": ((0, low),),
                  ">": ((low + 1, highest),), ">=": ((low, highest),)}
        ranges = tuple((first, last) for first, last in bounds[op] if first <= last)
    if low > highest or ranges and ranges[-1][0] > highest:
        raise RuleError(at, f"found {low} where a number up to {highest} was expected")
    if not ranges or ranges[0][0] > ranges[0][1]:
        raise RuleError(at, f"{text!r} is never true")
    if op != "=" and ranges == ((0, highest),):
        raise RuleError(at, f"{text!r} is always true")
    return ranges


def _comparison(name: str, field: str, highest: int) -> None:
    @keyword(name, "header")
    def setup(draft: Draft, text: str, at: int) -> None:
        _packet(draft, Number(field, unsigned(text, at, highest)))


def _equality(name: str, field: str, highest: int, *aliases: str, negatable: bool = False) -> None:
    @keyword(name, "header", *aliases)
    def setup(draft: Draft, text: str, at: int) -> None:
        negated = negatable and text.startswith("!")
        _packet(draft, Number(field, _one(number(text[negated:].strip(BLANK), at, 0, highest), negated, highest)))


_comparison("ttl", "ttl", 255)
_comparison("itype", "itype", 255)
_comparison("icode", "icode", 255)
_comparison("tcp.mss", "tcp.mss", 65535)
_comparison("icmpv6.mtu", "icmpv6.mtu", 2**32 - 1)
_equality("id", "ip.id", 65535)
_equality("tcp.seq", "seq", 2**32 - 1, "seq")
_equality("tcp.ack", "ack", 2**32 - 1, "ack")
_equality("icmp_id", "icmp_id", 65535)
_equality("icmp_seq", "icmp_seq", 65535)
_equality("tcp.window", "window", 65535, "window", negatable=True)


@keyword("tos", "header", quotes="optional")
def tos(draft: Draft, text: str, at: int) -> None:
    negated = text.startswith("!")
    body = text[negated:].strip(BLANK)
    value = number("0" + body, at, 0, 255, 16) if body[:1] in ("x", "X") else number(body, at, 0, 255)
    _packet(draft, Number("tos", _one(value, negated, 255)))


@keyword("fragoffset", "header", note="in units of eight bytes, as in the header")
def fragoffset(draft: Draft, text: str, at: int) -> None:
    form = _FRAGOFFSET.fullmatch(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where N, <N or >N was expected")
    value = number(form[2], at, 0, 65535)
    ranges = {"<": ((0, value - 1),), ">": ((value + 1, 8191),)}.get(form[1], ((value, value),))
    if ranges[0][0] > ranges[0][1]:
        draft.refuse(at, f"{text!r} is never true")
    _packet(draft, Number("fragoffset", ranges))


@keyword("ip_proto", "header", quotes="optional")
def ip_proto(draft: Draft, text: str, at: int) -> None:
    form = _IP_PROTO.fullmatch(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where a protocol, !N, <N or >N was expected")
    op, name = form[1] or "", form[2]
    value = PROTOCOLS.get(name)
    if value is None:
        value = number(name, at, 0, 255)
    if draft.proto not in ("ip", "ip4", "ip6", "ipv4", "ipv6", "pkthdr"):
        raise RuleError(at, f"a rule for {draft.proto} has its protocol already; ip_proto stands with ip")
    if draft.ip_protos and (not op or op != "!" and op in draft.ip_protos or "" in draft.ip_protos):
        raise RuleError(at, "cannot stand beside the ip_proto before it")
    draft.ip_protos += (op,)
    ranges = {"<": ((0, value - 1),), ">": ((value + 1, 255),)}.get(op) or _one(value, op == "!", 255)
    if ranges[0][0] > ranges[0][1]:
        draft.refuse(at, f"{text!r} is never true")
    draft.conditions.append(Number("ip_proto", ranges))


@keyword("sameip", "header", value="none")
def sameip(draft: Draft, text: str, at: int) -> None:
    _packet(draft, Presence("sameip"))


#: IP options by the names that rules use.
IPOPTS = ("rr", "lsrr", "eol", "nop", "ts", "sec", "ssrr", "satid", "any", "cipso", "esec")


@keyword("ipopts", "header")
def ipopts(draft: Draft, text: str, at: int) -> None:
    if text.lower() not in IPOPTS:
        raise RuleError(at, f"found {text!r} where one of {', '.join(IPOPTS)} was expected")
    _packet(draft, Presence(f"ipopts:{text.lower()}"))


_FLAGS = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, "A": 0x10, "U": 0x20, "E": 0x40, "2": 0x40, "C": 0x80, "1": 0x80, "0": 0}
_SYN, _OPEN_OR_CLOSE, _UNUSUAL = 0x02, 0x07, 0xe0
_FRAGBITS = {"R": 0x8000, "D": 0x4000, "M": 0x2000}


@keyword("tcp.flags", "header", "flags")
def flags(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    mode, value = _bits(parts[0], _FLAGS)
    ignore = 0
    if len(parts) > 2 or (len(parts) == 2 and not parts[1][0]):
        raise RuleError(at, f"found {text!r} where flags and flags to ignore were expected")
    for letter in parts[1][0] if len(parts) == 2 else "":
        if letter not in _FLAGS or letter == "0":
            raise RuleError(parts[1][1], f"found {letter!r} where a flag to ignore was expected (F S R P A U C E 1 2)")
        ignore |= _FLAGS[letter]
    _flags(draft, mode, value, ignore)


def _flags(draft: Draft, mode: Mode, value: int, ignore: int) -> None:
    """What Suricata 7.0.10 makes of flags: without a bit to look for, all bits count; rules that name bits which open or
    close a connection, or unusual ones, see only packets with such a bit; those that name SYN only packets with SYN."""
    if value == 0:
        if mode == "*":
            draft.refuse(0, "any of no flags is never true")
        _packet(draft, Bits("tcp.flags", "*", 0xff) if mode == "!" else Bits("tcp.flags", "=", 0))
        return
    _packet(draft, Bits("tcp.flags", mode, value, ignore))
    if mode in "*!":
        if mode == "*" and value & _SYN:
            _packet(draft, Bits("tcp.flags", "+", _SYN))
        elif value & _OPEN_OR_CLOSE:
            _packet(draft, Bits("tcp.flags", "*", _OPEN_OR_CLOSE))
        if value & _UNUSUAL:
            _packet(draft, Bits("tcp.flags", "*", _UNUSUAL))


@keyword("fragbits", "header", note="the mode stands before the letters; + asks for one more bit besides")
def fragbits(draft: Draft, text: str, at: int) -> None:
    if text[-1] in "+*!":
        raise RuleError(at, f"found {text!r} where the mode was expected before the letters", malformed=text[0] in "+*!")
    mode, value = _bits((text, at), _FRAGBITS)
    if mode == "+":     # with at least one more
        others = sum(_FRAGBITS.values()) & ~value
        if not others:
            draft.refuse(at, f"{text!r} is never true: there is no other bit")
        _packet(draft, Bits("fragbits", "*", others))
    _packet(draft, Bits("fragbits", mode, value))


@keyword("decode-event", "header", note="names of the decoder's events")
def decode_event(draft: Draft, text: str, at: int) -> None:
    _event(draft, "decoder." + text.lower(), at)


@keyword("stream-event", "header", note="names of the events of TCP streams")
def stream_event(draft: Draft, text: str, at: int) -> None:
    name = "stream." + text.lower()
    _event(draft, STREAM_ALIASES.get(name, name), at)


@keyword("engine-event", "header", note="events of the decoder alone")
def engine_event(draft: Draft, text: str, at: int) -> None:
    _event(draft, text.lower(), at)


def _event(draft: Draft, name: str, at: int) -> None:
    if name not in (engine_events() if draft.event_names is None else draft.event_names):
        draft.refuse(at, f"the engine has no event {name}")
    draft.conditions.append(HasEvent(name))


def _bits(word: tuple[str, int], known: dict[str, int]) -> tuple[Mode, int]:
    """Mode and value of letters with at most one of + * ! before or behind them."""
    text, at = word
    mode: Mode = "="
    value = letters = 0
    for letter in text:
        if letter in "+*!":
            if mode != "=":
                raise RuleError(at, f"found {letter!r} where a mode is given already")
            mode = cast(Mode, letter)
        elif letter in known:
            value |= known[letter]
            letters += 1
        else:
            raise RuleError(at, f"found {letter!r} where one of {' '.join(known)} was expected")
        at += 1
    if not letters:
        raise RuleError(at, f"found {text!r} where at least one of {' '.join(known)} was expected")
    return mode, value


def _one(value: int, negated: bool, highest: int) -> Ranges:
    if not negated:
        return ((value, value),)
    return tuple((low, high) for low, high in ((0, value - 1), (value + 1, highest)) if low <= high)


def _packet(draft: Draft, condition: Condition) -> None:
    draft.conditions.append(condition)
    draft.needs_packet = draft.keyword
