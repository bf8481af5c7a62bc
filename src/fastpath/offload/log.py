"""The log of an inspection pass: one row an entry (dataplane/log.pxd) and the rows of the alerts, spilled to temporary files, so that a
capture of any size needs no more memory."""
from __future__ import annotations

import tempfile
from typing import IO, Any

import numpy as np

from fastpath.control.result import Batch
from fastpath.dataplane import rows


class Spill:
    """Rows of one dtype, in a temporary file without a name."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.count = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="fastpath-")

    def add(self, array: np.ndarray) -> None:
        if len(array):
            self._file.write(np.ascontiguousarray(array).view("u1").data)
            self.count += len(array)

    def rows(self) -> np.ndarray:
        """All of them, mapped."""
        self._file.flush()
        return np.memmap(self._file, self.dtype, "r", shape=(self.count,)) if self.count else np.empty(0, self.dtype)

    def close(self) -> None:
        self._file.close()


class AlertSink:
    """Keeps the alerts of a run (result.Sink)."""
    wants: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.alerts = Spill(rows.ALERT)

    def write(self, batch: Batch) -> None:
        self.alerts.add(batch.rows["alerts"])

    def close(self, stats: dict[str, Any]) -> None:
        """The rows stay until `drop`."""

    def drop(self) -> None:
        self.alerts.close()


class LogSink(AlertSink):
    """Keeps the log of a run, and its alerts. flows: places of the flow table that were used."""
    wants = frozenset(("log",))

    def __init__(self) -> None:
        super().__init__()
        self.log = Spill(rows.LOG)
        self.flows = 0

    def write(self, batch: Batch) -> None:
        super().write(batch)
        log = batch.rows["log"]
        self.log.add(log)
        if len(log):
            self.flows = max(self.flows, int(log["flow"].max()) + 1)

    def drop(self) -> None:
        super().drop()
        self.log.close()
