"""The Hyperscan library in use is put through known answers before it is trusted: a matcher that misses is worse than none.

Debian's vectorscan 5.4.9 refuses literals that begin with NUL and misses 0.07 % of what hyperscan 5.4 finds.
"""
from __future__ import annotations

import functools
import random

from fastpath.dataplane.match.prefilter import compile_literals, scan_literals, version

CURE = "x86-64: hyperscan 5.4 (apt install libhyperscan-dev); aarch64: vectorscan 5.4.12 or newer"
SEED = 20210126
EVERY_BYTE = bytes(range(256))
LETTERS = b"abcdeABCDE/.= "

#: literals, alphabet, shortest, longest, nocase: a large set, a middling one and a handful are three matchers inside Hyperscan
SETS = ((1000, EVERY_BYTE, 2, 12, False), (250, LETTERS, 2, 8, True), (50, LETTERS, 3, 20, False), (5, LETTERS, 2, 4, False))


class UntrustedMatcher(RuntimeError):
    """The Hyperscan library in use gives wrong answers."""


def literals(choice: random.Random, count: int, alphabet: bytes, shortest: int, longest: int, nocase: bool) -> list[bytes]:
    """Distinct literals, every tenth with a NUL in front; lower case where case does not count."""
    known: dict[bytes, None] = {}
    while len(known) < count:
        text = bytes(choice.choices(alphabet, k=choice.randint(shortest, longest)))
        text = b"\0" + text if len(known) % 10 == 0 else text
        known[text.lower() if nocase else text] = None
    return list(known)


def text(choice: random.Random, patterns: list[bytes], alphabet: bytes, nocase: bool) -> bytes:
    """Every third literal, half of them in upper case where case does not count, with noise between them."""
    parts = []
    for pattern in patterns[::3]:
        parts.append(pattern.upper() if nocase and choice.random() < 0.5 else pattern)
        parts.append(bytes(choice.choices(alphabet, k=choice.randint(0, 8))))
    return b"".join(parts)


def occurrences(pattern: bytes, data: bytes) -> int:
    """How often the pattern is in the data, overlaps too."""
    count, at = 0, data.find(pattern)
    while at >= 0:
        count, at = count + 1, data.find(pattern, at + 1)
    return count


@functools.cache
def failures() -> tuple[str, ...]:
    """What the library gets wrong, found out once a process; () for nothing."""
    wrong = []
    choice = random.Random(SEED)
    for count, alphabet, shortest, longest, nocase in SETS:
        patterns = literals(choice, count, alphabet, shortest, longest, nocase)
        data = text(choice, patterns, alphabet, nocase)
        try:
            found = scan_literals(compile_literals(patterns, [nocase] * count, once=False), data, count)
        except ValueError as error:
            wrong.append(str(error))
            continue
        plain = data.lower() if nocase else data
        missed = sum(occurrences(pattern, plain) != hits for pattern, hits in zip(patterns, found))
        if missed:
            wrong.append(f"{missed} of {count} literals are found too seldom or too often")
    return tuple(wrong)


def verify() -> None:
    """Raises UntrustedMatcher, naming the library's version and the cure, unless every answer is right."""
    wrong = failures()
    if wrong:
        raise UntrustedMatcher(f"the Hyperscan library in use, {version()}, gives wrong answers ({'; '.join(wrong)}); use {CURE}")
