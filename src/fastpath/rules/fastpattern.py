"""Which content of a rule stands for it in Hyperscan: the one that costs least, unless the rule says."""
from __future__ import annotations

from collections.abc import Iterable
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


def literal(content: Content) -> Pattern:
    """What Hyperscan looks for on behalf of this content."""
    text = content.pattern
    if content.fast_pattern_chop is not None:
        offset, length = content.fast_pattern_chop
        text = text[offset:offset + length]
    elif len(text) > LONGEST:
        text = max((text[i:i + LONGEST] for i in range(0, len(text) - LONGEST + 1, 8)), key=rarity)
    return Pattern(text.lower() if content.nocase else text, content.nocase and text.lower() != text.upper())


def choose(blocks: Iterable[Block]) -> Pattern | None:
    """The fast pattern of a rule over its payload, None where no content must be there."""
    contents = []
    for block in blocks:
        if block.buffer == "payload":
            # base64_decode ends its buffer: what follows it is not asked for
            steps = takewhile(lambda step: not isinstance(step, Base64Decode), block.steps)
            contents += [step for step in steps if isinstance(step, Content) and not step.negated]
    asked = [content for content in contents if content.fast_pattern]
    patterns = [literal(content) for content in asked or contents]
    patterns = [pattern for pattern in patterns if len(pattern.text) >= SHORTEST]
    return max(patterns, key=lambda pattern: rarity(pattern.text), default=None)
