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
        raise RuleError(at, "found an empty pattern")
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
    pattern.rawbytes = True


@keyword("depth", "payload")
def depth(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.depth is not None, at)
    if pattern.startswith:
        raise RuleError(at, "startswith sets the depth already")
    _absolute(pattern, at)
    value = draft.value(text, at, 0, _U16)
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
    pattern.offset = draft.value(text, at, 0, _U16)


@keyword("startswith", "payload", value="none")
def startswith(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.startswith, at)
    if pattern.depth is not None or pattern.offset not in (None, 0):
        raise RuleError(at, "startswith cannot stand with depth or offset")
    _absolute(pattern, at)
    pattern.startswith = True


@keyword("endswith", "payload", value="none")
def endswith(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.endswith, at)
    pattern.endswith = True


@keyword("distance", "payload")
def distance(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.distance is not None, at)
    _related(draft, pattern, at)
    pattern.distance = draft.value(text, at, -_FAR, _FAR)


@keyword("within", "payload")
def within(draft: Draft, text: str, at: int) -> None:
    pattern = draft.last(at)
    _once(pattern.within is not None, at)
    _related(draft, pattern, at)
    value = draft.value(text, at, -_FAR, _FAR)
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
            raise RuleError(at, f"found {first} and {length} where a part of a content of {len(pattern.pattern)} bytes was expected")
        pattern.chop = first, length
    pattern.fast_pattern = True


@keyword("isdataat", "payload")
def isdataat(draft: Draft, text: str, at: int) -> None:
    negated = text.startswith("!")
    body = text[1:] if negated else text
    parts = words(body, at + negated)
    options = [word.lower() for word, _ in parts[1:]]
    for (word, where), option in zip(parts[1:], options):
        if option not in ("relative", "rawbytes") or options.count(option) > 1:
            raise RuleError(where, f"found {word!r} where 'relative' or 'rawbytes' was expected")
    distance_at = draft.value(parts[0][0], parts[0][1], 0, _U16)
    draft.steps().append(IsDataAt(distance_at, negated, "relative" in options))


@keyword("dsize", "payload")
def dsize(draft: Draft, text: str, at: int) -> None:
    if draft.dsize is not None:
        raise RuleError(at, "dsize stands at most once in a rule")
    draft.dsize = unsigned(text, at, _U16)
    draft.needs_packet = "dsize"
    draft.conditions.append(Number("dsize", draft.dsize))


@keyword("pkt_data", "payload", value="none")
def pkt_data(draft: Draft, text: str, at: int) -> None:
    draft.room = None


def _sticky(buffer: str) -> None:
    @keyword(buffer, "header", value="none")
    def setup(draft: Draft, text: str, at: int) -> None:
        draft.enter(buffer, at)
        draft.needs_packet = buffer


for _buffer in ("ipv4.hdr", "ipv6.hdr", "tcp.hdr", "udp.hdr", "icmpv4.hdr", "icmpv6.hdr"):
    _sticky(_buffer)


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
