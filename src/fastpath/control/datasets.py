"""Data sets at the end of a run: what rules have changed is written to the files that they name. User guide, "Datasets".

A file is replaced as a whole, by a rename, once the run is over: who reads it meanwhile, or after a crash, finds the one before.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.rules.datasets import written_list


@dataclass(slots=True)
class SavedSets:
    """What the sets hold that rules save. A set that a later rule set names anew goes on as it is."""
    _numbers: dict[str, int] = field(default_factory=dict)
    _files: dict[str, tuple[str, str]] = field(default_factory=dict)    # name -> kind, file
    _entries: dict[str, set[bytes]] = field(default_factory=dict)

    def know(self, sets: Iterable[tuple[str, int, str, str, list[bytes]]]) -> None:
        """A rule set comes into force: its Database.sets."""
        for name, number, kind, path, loaded in sets:
            self._numbers[name] = number
            self._files.setdefault(name, (kind, path))
            self._entries.setdefault(name, set(loaded))

    def change(self, changes: Mapping[int, Mapping[bytes, bool]]) -> None:
        """What rules have changed, as DataPlane.changed_sets() gives it."""
        for name, entries in self._entries.items():
            for entry, member in changes.get(self._numbers[name], {}).items():
                (entries.add if member else entries.discard)(entry)

    def write(self, folder: str) -> None:
        """Writes every set to its file below the folder. OSError where that cannot be."""
        for name, (kind, path) in self._files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f"{target.name}.{os.getpid()}.new")
            try:
                with beside.open("w", encoding="ascii") as out:
                    out.write(written_list(kind, self._entries[name]))
                    out.flush()
                    os.fsync(out.fileno())
                beside.replace(target)
            finally:
                beside.unlink(missing_ok=True)
