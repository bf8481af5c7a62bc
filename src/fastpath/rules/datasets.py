"""Lists of data that rules look their buffers up in: dataset and datarep. User guide, "Datasets".

A list has one entry a line: text in base64, digests in hex; behind a comma, for datarep, its rank from 0 to 65535.
"""
from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

#: kind -> bytes of an entry, 0 for any number
KINDS = {"string": 0, "md5": 16, "sha256": 32}
RANKS = 65535
_LONGEST = 65535


@dataclass(frozen=True, slots=True)
class Dataset:
    """Entries and their ranks (0 where the list has none), sorted. `load`: the file as rules name it."""
    name: str
    kind: str
    load: str
    entries: tuple[tuple[bytes, int], ...]


class BadList(ValueError):
    """A list that is not as told above."""


class Datasets:
    """The sets that the rules of a rule set have named, each with what it was first named with."""

    def __init__(self) -> None:
        self.known: dict[str, Dataset] = {}
        self.lists: dict[str, bytes] = {}       # every file that was asked for -> its digest, b"" where it could not be read

    def find(self, name: str, kind: str, load: str, folder: str) -> Dataset:
        """The set of this name. kind and load: "" where the rule does not say. ValueError where they contradict an earlier rule,
        say too little, or name a file that is not such a list; OSError where it cannot be read."""
        known = self.known.get(name)
        if known is not None:
            if kind not in ("", known.kind) or load not in ("", known.load):
                raise ValueError(f"the set {name} is of type {known.kind} and loads {known.load or 'nothing'}")
            return known
        if kind not in KINDS:
            raise ValueError(f"the set {name} is of no type" if not kind else f"{kind} is none of {', '.join(KINDS)}")
        made = self.known[name] = Dataset(name, kind, load, _entries(self, Path(folder) / load, kind) if load else ())
        return made

    def lines(self, path: Path) -> list[str]:
        """The lines of a list. OSError where it cannot be read."""
        self.lists[str(path)] = digest_of(path)
        return path.read_bytes().decode("latin-1").splitlines()


def digest_of(path: str | Path) -> bytes:
    """What a list holds, in short; b"" for one that cannot be read."""
    try:
        return blake2b(Path(path).read_bytes(), digest_size=32).digest()
    except OSError:
        return b""


def _entries(sets: Datasets, path: Path, kind: str) -> tuple[tuple[bytes, int], ...]:
    found: dict[bytes, int] = {}
    for number, line in enumerate(sets.lines(path), 1):
        text, comma, rank = line.partition(",")
        if not line or line[0] == "#":
            continue
        try:
            entry = base64.b64decode(text, validate=True) if kind == "string" else bytes.fromhex(text)
            if comma and not 0 <= int(rank) <= RANKS or KINDS[kind] not in (0, len(entry)) or not 0 < len(entry) <= _LONGEST:
                raise ValueError
        except (ValueError, binascii.Error):
            raise BadList(f"{path}:{number} is no entry of type {kind}") from None
        found.setdefault(entry, int(rank) if comma else 0)
    return tuple(sorted(found.items()))
