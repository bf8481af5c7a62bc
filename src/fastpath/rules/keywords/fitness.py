"""What contents must be like to be found in their buffer: checked, and brought into the form of the buffer, when a rule is read.

Suricata 7.0.10 refuses a rule whose content its buffer can never hold, and changes the case where a buffer has one case alone.
"""
from __future__ import annotations

import re
from collections.abc import Callable

from ..draft import Draft, Pattern
from ..lexer import RuleError

_SPACES = re.compile(rb"[ \t\n\v\f\r]")

#: buffer or transform -> (what a pattern must not hold, why)
_NEVER: dict[str, tuple[Callable[[bytes], bool], str]] = {
    "strip_whitespace": (lambda pattern: bool(_SPACES.search(pattern)), "blanks are stripped"),
    "compress_whitespace": (lambda pattern: bool(re.search(rb"[ \t\n\v\f\r]{2}", pattern)), "blanks in a row are one"),
    "to_lowercase": (lambda pattern: pattern.lower() != pattern, "letters are lower case"),
    "to_uppercase": (lambda pattern: pattern.upper() != pattern, "letters are upper case"),
    "http.host": (lambda pattern: pattern.lower() != pattern, "letters are lower case"),
}

#: Buffers of one case, whose contents are written in it, whatever the rule says.
_LOWER = ("ja3.hash", "ja3s.hash", "ssh.hassh", "ssh.hassh.server", "tls.cert_fingerprint")
_UPPER = ("tls.cert_serial",)


def settle(draft: Draft) -> None:
    """Checks every content against its buffer and transforms. RuleError for one that can never be there."""
    for room in draft.rooms:
        patterns = [step for step in room.steps if isinstance(step, Pattern)]
        for pattern in patterns:
            for name in (room.buffer, *(transform.name for transform in room.transforms)):
                never, why = _NEVER.get(name, (None, ""))
                if never is not None and never(pattern.pattern):
                    raise RuleError(pattern.at, f"{name} never holds this content: {why}", "content")
            if room.buffer == draft.uri_buffer and len(pattern.pattern) > draft.uri_length:
                raise RuleError(pattern.at, f"a URI of {draft.uri_length} bytes (urilen) never holds this content", "content")
            if room.transforms:
                continue
            if room.buffer in _LOWER:
                pattern.pattern = pattern.pattern.lower()
            elif room.buffer in _UPPER:
                pattern.pattern = pattern.pattern.upper()
