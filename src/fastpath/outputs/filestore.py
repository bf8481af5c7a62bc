"""Files off the wire, stored: file-store of a suricata.yaml, version 2. User guide, "File Extraction".

A file lies under the first two digits of its SHA-256, named by it, once however often it was seen; `<sha256>.<seconds>.<number>.json`
beside it says where it was seen, where that is wanted. Bytes come as they pass; whether a file is stored is known at its end, until when
they wait, the first of them in memory.
"""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fastpath.control.result import Batch
from fastpath.outputs.eve import EveWriter
from fastpath.outputs.eve_app import CHUNK, FILE, AppRows

IN_MEMORY = 1 << 16         # bytes of a file that wait in memory; what is longer waits in a file of its own
ALL_IN_MEMORY = 1 << 26     # and of all files


@dataclass(slots=True)
class _Waiting:
    """Bytes of a file whose end has not come."""
    digest: Any = field(default_factory=sha256)
    held: bytearray = field(default_factory=bytearray)
    path: Path | None = None


class FileStore:
    """A sink that stores files.

    folder: made if need be. fileinfo: whether the event of each file that is stored is written beside it. seed: of the community ID.
    What cannot be written raises OSError.
    """
    wants = frozenset(("apps", "files"))

    def __init__(self, folder: Path, fileinfo: bool = False, seed: int = 0):
        self._folder = folder
        self._fileinfo = fileinfo
        self._eve = EveWriter(BytesIO(), ("fileinfo",), seed=seed)
        self._waiting: dict[tuple[int, int], _Waiting] = {}
        self._in_memory = 0
        self.stored = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, batch: Batch) -> None:
        apps = AppRows(batch)
        kinds = apps.rows["kind"]
        for i in np.flatnonzero((kinds == CHUNK) | (kinds == FILE)).tolist():
            said = apps.said(i)
            key = int(apps.rows["flow"][i]), int(said["id"])
            if kinds[i] == CHUNK:
                self._take(self._waiting.setdefault(key, _Waiting()), said["data"])
                continue
            waiting = self._waiting.pop(key, None)
            if apps.rows["code"][i]:
                self._store(waiting or _Waiting(), said, batch, apps, i)
            if waiting is not None:
                self._forget(waiting)

    def close(self, stats: dict[str, Any]) -> None:
        for waiting in self._waiting.values():
            self._forget(waiting)
        self._waiting.clear()
        tmp = self._folder / "tmp"
        if tmp.is_dir() and not any(tmp.iterdir()):
            tmp.rmdir()

    def _take(self, waiting: _Waiting, data: bytes) -> None:
        waiting.digest.update(data)
        waiting.held += data
        self._in_memory += len(data)
        if len(waiting.held) > IN_MEMORY or self._in_memory > ALL_IN_MEMORY:
            self._spill(waiting)

    def _spill(self, waiting: _Waiting) -> None:
        """What waits in memory goes to a file."""
        if waiting.path is None:
            tmp = self._folder / "tmp"
            tmp.mkdir(exist_ok=True)
            waiting.path = tmp / f"{os.getpid()}.{id(waiting):x}"
            waiting.path.unlink(missing_ok=True)
        with waiting.path.open("ab") as out:
            out.write(waiting.held)
        self._in_memory -= len(waiting.held)
        waiting.held.clear()

    def _forget(self, waiting: _Waiting) -> None:
        self._in_memory -= len(waiting.held)
        waiting.held.clear()
        if waiting.path is not None:
            waiting.path.unlink(missing_ok=True)

    def _store(self, waiting: _Waiting, said: dict[str, Any], batch: Batch, apps: AppRows, i: int) -> None:
        """A file has ended, and is wanted: it goes where its digest says, if it is not there yet."""
        name = said["fileinfo"].get("sha256") or waiting.digest.hexdigest()
        target = self._folder / name[:2] / name
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            self._spill(waiting)
            assert waiting.path is not None
            waiting.path.replace(target)
        self.stored += 1
        if self._fileinfo:
            event = self._eve.fileinfo(batch, apps, i)
            seconds = int(apps.rows["ts"][i]) // 1_000_000_000
            beside = target.with_name(f"{name}.{seconds}.{event['fileinfo']['file_id']}.json")
            beside.write_bytes(self._eve.encoded(event))
