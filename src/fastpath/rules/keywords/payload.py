"""content and its modifiers, isdataat, dsize, and the buffers that packets themselves have.

User guide, "Payload Keywords", "Header Keywords" (ipv4.hdr and so on), "Prefiltering Keywords" (fast_pattern).
"""
from __future__ import annotations

from ..draft import Draft, Pattern, number, words
from ..lexer import RuleError, pattern_bytes
from ..plan import IsDataAt, Number
from .header import unsigned
from .table import keyword

_U16 = 65535
_FAR = 1024 * 1024      # the most that distance and within may say


@keyword("content", "payload", quotes="must", negatable=True)
def content(draft: Draft, text: str, at: int) -> None:
    pattern = pattern_bytes(text, at, "content")
    if not pattern:
        raise RuleError(at, "an empty pattern is everywhere", malformed=text == "")
    if len(pattern) > _U16:
        raise RuleError(at, f"found a pattern of {len(pattern)} bytes where at most {_U16} were expected")
    draft.pattern = Pattern(pattern, at, draft.negated)
    draft.steps().append(draft.pattern)


@keyword("nocase", "payload", value="none")
def nocase(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.nocase, at)
    pattern.nocase = True


@keyword("rawbytes", "payload", value="none", note="accepted; content looks at raw bytes anyway")
def rawbytes(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.rawbytes, at)
    if draft.room is not None:
        raise RuleError(at, f"raw bytes are those of the payload, not of {draft.room.buffer}")
    pattern.rawbytes = True


@keyword("depth", "payload")
def depth(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.depth is not None, at)
    if pattern.startswith:
        raise RuleError(at, "startswith sets the depth already")
    _absolute(pattern, at)
    value = draft.value(text, at, 0, _U16, base=0)
    if isinstance(value, int) and value < len(pattern.pattern):
        raise RuleError(at, f"found {value} where at least the length of the content, {len(pattern.pattern)}, was expected")
    pattern.depth = value


@keyword("offset", "payload")
def offset(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.offset is not None, at)
    if pattern.startswith:
        raise RuleError(at, "offset and startswith contradict each other")
    _absolute(pattern, at)
    pattern.offset = draft.value(text, at, 0, _U16, base=0)


@keyword("startswith", "payload", value="none")
def startswith(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.startswith, at)
    if pattern.depth is not None or pattern.offset is not None:
        raise RuleError(at, "startswith cannot stand with depth or offset")
    _absolute(pattern, at)
    pattern.startswith = True


@keyword("endswith", "payload", value="none")
def endswith(draft: Draft, text: str, at: int) -> None:
    draft.last(at).endswith = True


@keyword("distance", "payload")
def distance(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.distance is not None, at)
    _related(draft, pattern, at)
    pattern.distance = draft.value(text, at, -_FAR, _FAR, base=0)


@keyword("within", "payload")
def within(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.within is not None, at)
    _related(draft, pattern, at)
    value = draft.value(text, at, -_FAR, _FAR, base=0)
    if isinstance(value, int) and value < len(pattern.pattern):
        raise RuleError(at, f"found {value} where at least the length of the content, {len(pattern.pattern)}, was expected")
    pattern.within = value


@keyword("fast_pattern", "payload", value="optional", note="which pattern is chosen changes no result; its checks are made")
def fast_pattern(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    for room in draft.rooms:
        if any(isinstance(step, Pattern) and step.fast_pattern for step in room.steps):
            raise RuleError(at, "fast_pattern stands at most once in a rule")
    placed = pattern.relative or pattern.offset is not None or pattern.depth is not None or pattern.startswith
    if pattern.negated and placed:
        raise RuleError(at, "fast_pattern cannot stand with a negated content that has a position")
    if text == "only":
        if pattern.negated or placed:
            raise RuleError(at, "fast_pattern:only cannot stand with a negated content or one that has a position")
        pattern.only = True
    elif text:
        parts = words(text, at)
        if len(parts) != 2:
            raise RuleError(at, f"found {text!r} where 'only' or 'offset,length' was expected")
        first, length = (number(part, where, 0, _U16) for part, where in parts)
        if first + length > len(pattern.pattern):
            raise RuleError(at, f"found {text!r} where a part of a content of {len(pattern.pattern)} bytes was expected")
        pattern.chop = first, length
    pattern.fast_pattern = True


@keyword("isdataat", "payload")
def isdataat(draft: Draft, text: str, at: int) -> None:
    negated = text.startswith("!")
    parts = words(text[negated:], at + negated)
    options = [word for word, _ in parts[1:]]
    for word, where in parts[1:]:
        if word not in ("relative", "rawbytes") or options.count(word) > 1:
            raise RuleError(where, f"found {word!r} where 'relative' or 'rawbytes' was expected")
    value, related = draft.value(*parts[0], 0, _U16), "relative" in options
    draft.steps(related).append(IsDataAt(value, negated, related))


@keyword("dsize", "payload")
def dsize(draft: Draft, text: str, at: int) -> None:
    if any(isinstance(one, Number) and one.field == "dsize" for one in draft.conditions):
        raise RuleError(at, "dsize stands at most once in a rule")
    ranges = unsigned(text, at, _U16)
    draft.needs_packet = "dsize"
    draft.longest = _longest(text, ranges)
    if text[0] == "!":      # an empty payload is never another size
        ranges = tuple((max(low, 1), high) for low, high in ranges if high)
    draft.conditions.append(Number("dsize", ranges))


def _longest(text: str, ranges: tuple[tuple[int, int], ...]) -> int | None:
    """The payload for which Suricata 7.0.10 checks that the contents have room: the number compared with, the upper one of
    two; none for > >= <=."""
    if text[0] == "!":
        return ranges[0][1] + 1 if ranges[0][0] == 0 else 0
    if text[0] == ">" or text.startswith("<="):
        return None
    return ranges[0][1] + (text[0] == "<" or "-" in text or "<>" in text)


@keyword("pkt_data", "payload", value="none")
def pkt_data(draft: Draft, text: str, at: int) -> None:
    draft.leave()
    draft.room = None


def _sticky(buffer: str) -> None:
    @keyword(buffer, "header", value="none")
    def setup(draft: Draft, text: str, at: int) -> None:
        protocols = _CARRIERS.get(buffer)
        if protocols and draft.proto not in protocols and draft.proto not in _ANY_PROTOCOL:
            raise RuleError(at, f"a rule for {draft.proto} never sees this header")
        draft.enter(buffer, at)
        draft.needs_packet = buffer


def _address(buffer: str) -> None:
    @keyword(buffer, "header", value="none")
    def setup(draft: Draft, text: str, at: int) -> None:
        draft.enter(buffer, at)


_ANY_PROTOCOL = ("ip", "ip4", "ip6", "ipv4", "ipv6", "pkthdr")
_CARRIERS = {"tcp.hdr": ("tcp", "tcp-pkt", "tcp-stream"), "udp.hdr": ("udp",), "icmpv4.hdr": ("icmp", "icmpv4"),
             "icmpv6.hdr": ("icmp", "icmpv6")}

for _buffer in ("ipv4.hdr", "ipv6.hdr", "tcp.hdr", "udp.hdr", "icmpv4.hdr", "icmpv6.hdr"):
    _sticky(_buffer)
for _buffer in ("ip.src", "ip.dst"):
    _address(_buffer)


def _once(already: bool, at: int) -> None:
    if already:
        raise RuleError(at, "stands at most once with a content")


def _absolute(pattern: Pattern, at: int) -> None:
    """Checks for what counts from the start of the buffer."""
    if pattern.relative:
        raise RuleError(at, "a content is placed either by offset and depth or by distance and within")
    _unhindered(pattern, at)


def _related(draft: Draft, pattern: Pattern, at: int) -> None:
    """Checks for what counts from the match before."""
    if pattern.depth is not None or pattern.offset is not None or pattern.startswith:
        raise RuleError(at, "a content is placed either by offset and depth or by distance and within")
    _unhindered(pattern, at)
    for room in draft.rooms:
        steps = room.steps
        if pattern in steps:
            before = [step for step in steps[:steps.index(pattern)] if isinstance(step, Pattern)]
            if before and before[-1].only:
                raise RuleError(at, "the content before it has fast_pattern:only, which has no place to count from")


def _unhindered(pattern: Pattern, at: int) -> None:
    if pattern.only:
        raise RuleError(at, "the content has fast_pattern:only, which has no position")
    if pattern.negated and pattern.fast_pattern:
        raise RuleError(at, "fast_pattern cannot stand with a negated content that has a position")
