"""Key logs: the secrets with which TLS sessions are decrypted, as browsers and servers write them where SSLKEYLOGFILE names a file.

Format: draft-ietf-tls-keylogfile, one secret a line. What is read goes into a KeyRing and nowhere else: no message, row or file names
a secret.
"""
from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterable
from os import PathLike
from typing import Any

from fastpath.dataplane.applayer.keyring import KeyRing
from fastpath.rules.plan import Place

WARNINGS_MAX = 100      # of one file; the others are counted


class KeyLogWarning(UserWarning):
    """A line of a key log that is no secret; the message begins with its place."""


def read_key_logs(paths: str | PathLike[str] | Iterable[str | PathLike[str]]) -> KeyRing:
    """The secrets of these files. A bad line is a KeyLogWarning, FILE:LINE:COLUMN and what was expected; the others count. Raises
    OSError for a file that cannot be read."""
    ring = KeyRing()
    for path in [paths] if isinstance(paths, (str, PathLike)) else paths:
        bad = _read(ring, path)
        for line, column, expected in bad[:WARNINGS_MAX]:
            warnings.warn(f"{Place(str(path), line, column)}: {expected}", KeyLogWarning, stacklevel=2)
        if len(bad) > WARNINGS_MAX:
            warnings.warn(f"{path}: {len(bad) - WARNINGS_MAX} more lines that are no secrets", KeyLogWarning, stacklevel=2)
    return ring


def _read(ring: KeyRing, path: str | PathLike[str]) -> list[tuple[int, int, str]]:
    with open(path, "rb") as file:
        try:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)     # no copy of the secrets is left behind
        except (ValueError, OSError):       # an empty file; a pipe
            return ring.take(file.read())
        with text:
            return ring.take(text)


def key_ring(keylog: Any) -> KeyRing | None:
    """The ring of an engine's `keylog`: a KeyRing, files, or None. Raises TypeError for anything else."""
    if keylog is None or isinstance(keylog, KeyRing):
        return keylog
    if isinstance(keylog, (bytes, bytearray)) or not isinstance(keylog, (str, PathLike, Iterable)):
        raise TypeError(f"keylog must be a path, paths or a KeyRing, not {type(keylog).__name__}")
    return read_key_logs(keylog)
