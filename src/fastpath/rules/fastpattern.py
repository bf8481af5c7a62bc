"""Which content of a rule stands for it in Hyperscan: the one that costs least, unless the rule says."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from fastpath.rules.plan import Base64Decode, Block, Content

#: Longer patterns are cut: what follows is left to confirm.
LONGEST = 48
#: A shorter one is found so often that it is cheaper to try the rule on every payload.
SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Pattern:
    """A literal for Hyperscan; in lower case where nocase."""
    text: bytes
    nocase: bool


def rarity(text: bytes) -> int:
    """How seldom these bytes are expected: distinct letters, punctuation and odd bytes count more, repeats and fill less."""
    seen: set[int] = set()
    score = 0
    for byte in text:
        if byte in seen:
            score += 1
        elif byte in b"\x00\x01\xff \r\n0":
            score += 2
        elif chr(byte).isalnum() and byte < 128:
            score += 4
        else:
            score += 6
        seen.add(byte)
    return score


#: Bytes of most payloads, the most frequent first, and how seldom each byte is: its place among them, or beyond.
_FREQUENT = b"\x00 eatoinsrhldcu\n\rmpf=\".-/01gw:;<>,x2\xff"
_SELDOM = bytes(1 + (_FREQUENT.find(byte) if byte in _FREQUENT else len(_FREQUENT)) for byte in bytes(range(256)).lower())
_PROBED = 1 << 16


def probes(text: bytes) -> tuple[int, int]:
    """Where in a content its two rarest bytes stand: what looks for it looks there first."""
    seldom = text[:_PROBED].translate(_SELDOM)
    first = seldom.index(max(seldom))
    if len(text) == 1:
        return 0, 0
    rest = seldom[:first] + b"\0" + seldom[first + 1:]
    return first, rest.index(max(rest))


def literal(content: Content) -> Pattern:
    """What Hyperscan looks for on behalf of this content."""
    text = content.pattern
    if content.fast_pattern_chop is not None:
        offset, length = content.fast_pattern_chop
        text = text[offset:offset + length]
    elif len(text) > LONGEST:
        text = max((text[i:i + LONGEST] for i in range(0, len(text) - LONGEST + 1, 8)), key=rarity)
    return Pattern(text.lower() if content.nocase else text, content.nocase and text.lower() != text.upper())


#: Buffers whose patterns Suricata 7.0.10 takes only where there is none in the payload, nor in any other buffer.
_LAST = ("http.method", "http.stat_code")


def chosen_block(blocks: Sequence[Block]) -> int | None:
    """Which block of a rule on transactions has the fast pattern: where the rule asks for it, else as Suricata 7.0.10 ranks
    buffers, and among equals where the longest content is; a negated content only where there is no other. It decides what is
    looked at first, and what of a rule is remembered. None without contents."""
    best = None
    for index, block in enumerate(blocks):
        rank = 1 if block.buffer == "payload" else 0 if block.buffer in _LAST else 2
        for step in takewhile(lambda step: not isinstance(step, Base64Decode), block.steps):
            if isinstance(step, Content):
                key = not step.negated, step.fast_pattern, rank, len(step.pattern)
                if best is None or key > best[0]:
                    best = key, index
    return None if best is None else best[1]


def choose_in(block: Block) -> Pattern | None:
    """The fast pattern within a block of a rule on transactions."""
    steps = takewhile(lambda step: not isinstance(step, Base64Decode), block.steps)
    contents = [step for step in steps if isinstance(step, Content) and not step.negated]
    patterns = [literal(content) for content in [step for step in contents if step.fast_pattern] or contents]
    return max(patterns, key=lambda pattern: rarity(pattern.text), default=None)


def choose(blocks: Iterable[Block]) -> Pattern | None:
    """The fast pattern of a rule over its payload, None where no content must be there."""
    contents = []
    for block in blocks:
        if block.buffer == "payload" and not block.transforms:
            # base64_decode ends its buffer: what follows it is not asked for
            steps = takewhile(lambda step: not isinstance(step, Base64Decode), block.steps)
            contents += [step for step in steps if isinstance(step, Content) and not step.negated]
    asked = [content for content in contents if content.fast_pattern]
    patterns = [literal(content) for content in asked or contents]
    patterns = [pattern for pattern in patterns if len(pattern.text) >= SHORTEST]
    return max(patterns, key=lambda pattern: rarity(pattern.text), default=None)
