"""What contents must be like to be found in their buffer: checked, and brought into the form of the buffer, when a rule is read.

Suricata 7.0.10 refuses a rule whose content its buffer can never hold, and changes the case where a buffer has one case alone.
"""
from __future__ import annotations

import re
from collections.abc import Callable

from ..draft import Draft, Pattern, Room
from ..lexer import RuleError

_SPACES = re.compile(rb"[ \t\n\v\f\r]")

#: buffer or transform -> (what a pattern must not be like, why)
_NEVER: dict[str, tuple[Callable[[bytes], bool], str]] = {
    "strip_whitespace": (lambda pattern: bool(_SPACES.search(pattern)), "blanks are stripped"),
    "compress_whitespace": (lambda pattern: bool(re.search(rb"[ \t\n\v\f\r]{2}", pattern)), "blanks in a row are one"),
    "to_lowercase": (lambda pattern: pattern.lower() != pattern, "letters are lower case"),
    "to_uppercase": (lambda pattern: pattern.upper() != pattern, "letters are upper case"),
    "http.host": (lambda pattern: pattern.lower() != pattern, "letters are lower case"),
    "http.method": (lambda pattern: pattern.strip(b" \t") != pattern, "no blank is at its ends"),
    "ja3.hash": (lambda pattern: len(pattern) != 32, "it is 32 digits"),
    "quic.cyu.hash": (lambda pattern: not _MD5.fullmatch(pattern), "it is 32 hex digits"),
    "ja3s.hash": (lambda pattern: len(pattern) != 32, "it is 32 digits"),
    "ssh.hassh": (lambda pattern: not _MD5.fullmatch(pattern), "it is 32 hex digits"),
    "ssh.hassh.server": (lambda pattern: not _MD5.fullmatch(pattern), "it is 32 hex digits"),
    "tls.cert_serial": (lambda pattern: len(pattern) > 2 and b":" not in pattern, "bytes are parted by colons"),
    "tls.cert_fingerprint": (lambda pattern: len(pattern) != 59 or pattern.count(b":") != 19, "it is twenty bytes, parted by colons"),
}
_MD5 = re.compile(rb"[0-9a-fA-F]{32}")

#: Buffers of one case, whose contents are written in it, whatever the rule says.
_LOWER = ("ja3.hash", "ja3s.hash", "quic.cyu.hash", "ssh.hassh", "ssh.hassh.server", "tls.cert_fingerprint")
_UPPER = ("tls.cert_serial",)

#: Protocols that carry files, beside those without any.
_WITH_FILES = ("", "http", "http1", "http2", "smtp", "ftp-data", "smb", "nfs")


def settle(draft: Draft) -> None:
    """Checks every content against its buffer and transforms, and buffers against the rule. RuleError for what can never be."""
    for room in draft.rooms:
        if room.buffer.startswith("file.") and (draft.app_proto not in _WITH_FILES or draft.proto in ("udp", "icmp", "sctp")):
            raise RuleError(room.at, f"there are no files in {draft.app_proto or draft.proto}")
        if room.buffer == "http.header.raw" and not (draft.flow and draft.flow.direction):
            raise RuleError(room.at, "needs a direction: flow:to_server or flow:to_client", "http.header.raw")
        for pattern in (step for step in room.steps if isinstance(step, Pattern)):
            _check(draft, room, pattern)
            if room.transforms:
                continue
            if room.buffer in _LOWER:
                pattern.pattern = pattern.pattern.lower()
            elif room.buffer in _UPPER:
                pattern.pattern = pattern.pattern.upper()


def _check(draft: Draft, room: Room, pattern: Pattern) -> None:
    changes = [transform.name for transform in room.transforms]
    for name in changes or [room.buffer]:
        never, why = _NEVER.get(name, (None, ""))
        if never is not None and never(pattern.pattern):
            raise RuleError(pattern.at, f"{name} never holds this content: {why}", "content")
    if room.buffer == "http.host" and pattern.nocase and not changes:
        raise RuleError(pattern.at, "nocase says nothing of http.host, whose letters are lower case", "nocase")
    if room.buffer == draft.uri_buffer and len(pattern.pattern) > draft.uri_length:
        raise RuleError(pattern.at, f"a URI of {draft.uri_length} bytes (urilen) never holds this content", "content")
