"""Key logs: the secrets with which TLS sessions are decrypted, as browsers and servers write them where SSLKEYLOGFILE names a file.

Format: draft-ietf-tls-keylogfile, one secret a line. What is read goes into a KeyRing and nowhere else: no message, row or file names
a secret.
"""
from __future__ import annotations

import mmap
from collections.abc import Iterable
from os import PathLike
from typing import Any

from fastpath.dataplane.keyring import KeyRing
from fastpath.rules.plan import Place

WARNINGS_MAX = 100      # of one file; more are counted


def read_key_logs(paths: str | PathLike[str] | Iterable[str | PathLike[str]]) -> tuple[KeyRing, list[str]]:
    """The secrets of these files, and what was wrong in them: FILE:LINE:COLUMN: what was expected. Bad lines are left out, the others
    count. Raises OSError for a file that cannot be read."""
    ring = KeyRing()
    warnings: list[str] = []
    for path in [paths] if isinstance(paths, (str, PathLike)) else paths:
        bad = _read(ring, path)
        warnings += [f"{Place(str(path), line, column)}: {expected}" for line, column, expected in bad[:WARNINGS_MAX]]
        if len(bad) > WARNINGS_MAX:
            warnings.append(f"{path}: {len(bad) - WARNINGS_MAX} more lines that are no secrets")
    return ring, warnings


def _read(ring: KeyRing, path: str | PathLike[str]) -> list[tuple[int, int, str]]:
    with open(path, "rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:     # no copy of the secrets is left behind
                return ring.take(text)
        except ValueError:      # an empty file
            return []
        except OSError:         # a pipe
            return ring.take(file.read())


def key_ring(keylog: Any) -> tuple[KeyRing | None, list[str]]:
    """The ring of an engine's `keylog`: a KeyRing, files, or None."""
    if keylog is None or isinstance(keylog, KeyRing):
        return keylog, []
    return read_key_logs(keylog)
