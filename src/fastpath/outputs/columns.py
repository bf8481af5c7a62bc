"""Rows as Parquet: one file a kind, written batch by batch through pyarrow (the extra `parquet`)."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastpath.control.columns import Captures, Columns
from fastpath.control.result import Batch
from fastpath.control.signatures import Signatures

ROWS = 1 << 16      # gathered before a row group is written


class ParquetWriter:
    """A sink that writes DIR/alerts.parquet, flows.parquet, events.parquet ... Those of an interrupted run say so: the metadata
    of the file have the key fastpath.partial.

    Raises ImportError without pyarrow, and FileExistsError for a file that is there unless overwrite is set.
    """

    def __init__(self, folder: str | Path, kinds: Iterable[str] = ("alerts", "flows", "events"), overwrite: bool = False):
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ImportError("Parquet needs pyarrow: pip install 'fastpath-dpu[parquet]'") from None
        self._arrow = pyarrow
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._paths = {kind: self._folder / f"{kind}.parquet" for kind in kinds}
        for path in self._paths.values():
            if path.exists() and not overwrite:
                raise FileExistsError(f"{path} exists")
        self.wants = frozenset(self._paths) & {"packets"}
        self._writers: dict[str, Any] = {}
        self._waiting: dict[str, list[Columns]] = {kind: [] for kind in self._paths}

    def write(self, batch: Batch) -> None:
        for kind, waiting in self._waiting.items():
            if len(batch.rows[kind]):
                waiting.append(batch.columns(kind))
                if sum(map(len, waiting)) >= ROWS:
                    self._put(kind)

    def close(self, stats: dict[str, Any]) -> None:
        """Writes what is left; a kind without rows is an empty file with its columns."""
        for kind in self._paths:
            self._put(kind)
            if stats["partial"]:
                self._writers[kind].add_key_value_metadata({"fastpath.partial": "true"})
            self._writers[kind].close()

    def _put(self, kind: str) -> None:
        waiting = self._waiting[kind]
        about = waiting[0] if waiting else Columns(kind, [], Signatures(), Captures())
        table = self._arrow.table(Columns(kind, [one.rows for one in waiting], about.signatures, about.captures))
        if kind not in self._writers:
            self._writers[kind] = self._arrow.parquet.ParquetWriter(self._paths[kind], table.schema)
        self._writers[kind].write_table(table)
        waiting.clear()
