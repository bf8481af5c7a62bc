"""Sets of data that rules look their buffers up in, and that they may change: dataset and datarep. User guide, "Datasets".

A list has one entry a line: text in base64, digests in hex, addresses as such; behind a comma, for datarep, its rank from 0 to 65535.
"""
from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

#: kind -> bytes of an entry, 0 for any number
KINDS = {"string": 0, "md5": 16, "sha256": 32, "ipv4": 4, "ip": 16}
SAME = {"ipv6": "ip"}
RANKS = 65535
MEMCAP = 100 << 20      # bytes, of a set that does not say
_LONGEST = 65535


@dataclass(frozen=True, slots=True)
class Dataset:
    """Entries and their ranks (0 where the list has none), sorted. `load` and `save`: files as rules name them, "" for none; what is in
    `save` at the start is loaded too where the rule says `state`. memcap: bytes that what rules add may take."""
    name: str
    kind: str
    load: str
    entries: tuple[tuple[bytes, int], ...]
    save: str = ""
    memcap: int = MEMCAP


@dataclass(frozen=True, slots=True)
class DataFiles:
    """Where files of sets are, and what rules may do with them: default-data-dir and datasets.rules of a suricata.yaml. folder: where
    those that are saved lie; "" where none are. declared: (name, {"type", "load", "save", "state", "memcap"}) of sets that the
    configuration names. magic: where libmagic has its database, "" for where it looks by itself."""
    folder: str = ""
    absolute: bool = False
    write: bool = True
    declared: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    magic: str = ""


class BadList(ValueError):
    """A list that is not as told above."""


class Datasets:
    """The sets that the rules of a rule set have named, each with what it was first named with."""

    def __init__(self, files: DataFiles | None = None) -> None:
        self.files = files or DataFiles()
        self.known: dict[str, Dataset] = {}
        self.lists: dict[str, bytes] = {}       # every file that was asked for -> its digest, b"" where it could not be read
        self._magic: str | None = None
        for name, said in self.files.declared:
            self.find(name, dict(said), self.files.folder or ".")

    def magic_problem(self) -> str:
        """Why libmagic cannot be asked; "" if it can. What it reads is then one of the lists."""
        if self._magic is None:
            from fastpath.dataplane.applayer import magic
            self._magic = magic.problem(self.files.magic)
            self.lists |= {path: digest_of(path) for path in magic.databases(self.files.magic)}
        return self._magic

    def find(self, name: str, said: dict[str, str], folder: str) -> Dataset:
        """The set of this name. said: "type", "load", "save", "state", "memcap", those that the rule says. ValueError where they
        contradict an earlier rule, say too little, or name a file that is not such a list or may not be; OSError where it cannot be
        read."""
        known = self.known.get(name)
        kind = SAME.get(said.get("type", ""), said.get("type", ""))
        load, save = said.get("load", ""), said.get("state") or said.get("save", "")
        self._check(said.get("state") or "", said.get("save", ""))
        if known is not None:
            if kind not in ("", known.kind) or load not in ("", known.load) or save not in ("", known.save):
                raise ValueError(f"the set {name} is of type {known.kind} and loads {known.load or known.save or 'nothing'}")
            return known
        if kind not in KINDS:
            raise ValueError(f"the set {name} is of no type" if not kind else f"{kind} is none of {', '.join(KINDS)}")
        entries: tuple[tuple[bytes, int], ...] = ()
        if load:
            entries = _entries(self.lines(Path(folder) / load), Path(folder) / load, kind)
        elif said.get("state") and self.files.folder:
            path = Path(self.files.folder) / save
            entries = _entries(self.lines(path) if path.exists() else self._none(path), path, kind)
        made = self.known[name] = Dataset(name, kind, load, entries, save, int(said.get("memcap") or MEMCAP))
        return made

    def _check(self, *paths: str) -> None:
        for path in filter(None, paths):
            if not self.files.write:
                raise ValueError("datasets.rules.allow-write is no: rules write no files")
            if Path(path).is_absolute() and not self.files.absolute or ".." in Path(path).parts:
                raise ValueError(f"{path} lies outside the data folder")

    def _none(self, path: Path) -> list[str]:
        """A list that is not there yet."""
        self.lists[str(path)] = b""
        return []

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


def read_entry(kind: str, text: str) -> bytes:
    """The bytes of an entry as it is written. ValueError for what is none."""
    if kind == "string":
        return base64.b64decode(text, validate=True)
    if kind in ("ipv4", "ip"):
        address: IPv4Address | IPv6Address | None = ip_address(text)
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        if kind == "ipv4" and not isinstance(address, IPv4Address):
            raise ValueError(f"{text} is no IPv4 address")
        return address.packed if kind == "ipv4" else address.packed.ljust(16, b"\0")    # type: ignore[union-attr]
    return bytes.fromhex(text)


def written_entry(kind: str, entry: bytes) -> str:
    """An entry as lists have it."""
    if kind == "string":
        return base64.b64encode(entry).decode()
    if kind == "ipv4" or kind == "ip" and entry[4:] == bytes(12):
        return str(IPv4Address(entry[:4]))
    return IPv6Address(entry).exploded if kind == "ip" else entry.hex()


def written_list(kind: str, entries: Iterable[bytes]) -> str:
    """A list, sorted by its bytes."""
    return "".join(f"{written_entry(kind, entry)}\n" for entry in sorted(entries))


def _entries(lines: list[str], path: Path, kind: str) -> tuple[tuple[bytes, int], ...]:
    found: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        text, comma, rank = line.partition(",")
        if not line or line[0] == "#":
            continue
        try:
            entry = read_entry(kind, text)
            if comma and not 0 <= int(rank) <= RANKS or KINDS[kind] not in (0, len(entry)) or not 0 < len(entry) <= _LONGEST:
                raise ValueError
        except (ValueError, binascii.Error):
            raise BadList(f"{path}:{number} is no entry of type {kind}") from None
        found.setdefault(entry, int(rank) if comma else 0)
    return tuple(sorted(found.items()))
