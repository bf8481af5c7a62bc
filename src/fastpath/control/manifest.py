"""The manifest of approved models and data sets: what each file is by its SHA-256, who may write it, and where it may be read.

It becomes rules, so that everything that is true of rules is true of it: they alert in ids mode, they drop in ips mode, they reload, `why`
explains them. docs/models.md teaches the file.
"""
from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fastpath.control.policy.yaml import Node, document
from fastpath.rules.plan import Place

FIRST_SID = 9_410_000       # + 20 for each entry, + which rule
ENTRIES_MAX = 10_000
TOP = ("version", "segments", "models", "datasets")
ENTRY = ("name", "sha256", "writers", "readers")
_TRANSFERS = "mitre_atlas AML.T0020, owasp_llm LLM04"
_ORIGIN = "mitre_atlas AML.T0010, owasp_llm LLM03"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model or a data set. name: a glob over the name of a file and the end of its path. sha256: those approved, none for any. writers,
    readers: networks as text; None for anybody, () for nobody."""
    place: Place
    kind: str               # "model", "data set"
    name: str
    sha256: tuple[str, ...]
    writers: tuple[str, ...] | None
    readers: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """entries in the order of the file."""
    file: str
    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Raises OSError for a file that cannot be read, PolicyError (a ValueError) with file, line and column for what is wrong in it."""
        return cls.parse(Path(path).read_bytes(), str(path))

    @classmethod
    def parse(cls, text: str | bytes, file: str = "<manifest>") -> Self:
        top = document(text, file, "a manifest").mapping("a manifest", TOP, ("version",))
        if top["version"].text("a version") != "1":
            raise top["version"].fail("expected version 1")
        segments: dict[str, tuple[str, ...]] = {}
        if "segments" in top:
            for _, name, node in top["segments"].pairs("segments by their names"):
                segments[name] = tuple(_network(one) for one in node.items("addresses"))
        entries = []
        for section, kind in (("models", "model"), ("datasets", "data set")):
            for node in top[section].listed(section) if section in top and not top[section].is_null else ():
                entries.append(_entry(node, kind, segments))
                if len(entries) > ENTRIES_MAX:
                    raise node.fail(f"a manifest has at most {ENTRIES_MAX} entries")
        return cls(file, tuple(entries))

    def rules(self) -> str:
        """The rules that it comes to, a line each, in the order of the entries."""
        return "".join(f"{rule}\n" for number, entry in enumerate(self.entries) for rule in _rules(entry, FIRST_SID + 20 * number))

    def texts(self) -> list[tuple[bytes, str]]:
        """As RuleSet.load takes them."""
        return [(self.rules().encode(), self.file)]


def _entry(node: Node, kind: str, segments: dict[str, tuple[str, ...]]) -> Entry:
    said = node.mapping(f"a {kind}", ENTRY, ("name",))
    name = said["name"].text("a name")
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?", name) or not re.search(r"[A-Za-z0-9]", name):
        raise said["name"].fail(f"expected a name of at most 200 printable characters, found {name[:60]!r}")
    digests = []
    for one in said["sha256"].items("SHA-256 digests") if "sha256" in said else ():
        if not re.fullmatch(r"[0-9a-fA-F]{64}", one.text("a SHA-256")):
            raise one.fail(f"expected a SHA-256 of 64 hex digits, found {one.text('a SHA-256')[:80]!r}")
        digests.append(one.text("a SHA-256").lower())

    def who(key: str) -> tuple[str, ...] | None:
        if key not in said:
            return None
        found: list[str] = []
        for one in said[key].items(key):
            text = one.text("an address or a segment")
            found += segments[text] if text in segments else [_network(one)]
        return tuple(found)
    entry = Entry(node.place, kind, name, tuple(digests), who("writers"), who("readers"))
    if not entry.sha256 and entry.writers is None and entry.readers is None:
        raise node.fail(f"says nothing of the {kind}: expected sha256, writers or readers")
    return entry


def _network(node: Node) -> str:
    text = node.text("an address or a network")
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise node.fail(f"expected an address, a network or the name of a segment, found {text[:60]!r} ({error})") from None


def _rules(entry: Entry, sid: int) -> list[str]:
    """Of a digest, nothing is known before the last byte; of who writes and reads, all is with the first."""
    shown = re.sub(r'[";:\\|]', ".", entry.name)
    named = _named(entry.name)
    made: list[str] = []

    def rule(proto: str, source: str, target: str, what: str, steps: str, about: str) -> None:
        made.append(f'drop {proto} {source} any -> {target} any (msg:"AI factory manifest: {entry.kind} {shown} {what}"; {steps}'
                    f"classtype:policy-violation; metadata:{about}; sid:{sid + len(made)}; rev:1;)")
    if entry.sha256:
        digests = f"file.sha256:!{','.join(entry.sha256)}; "
        rule("http", "any", "any", "is not what was approved", f'flow:established,to_client; http.stat_code; content:"200"; {named}{digests}', _ORIGIN)
        rule("http", "any", "any", "is written with other content", f"flow:established,to_server; {named}{digests}", _TRANSFERS)
        rule("smb", "any", "any", "is not what was approved", f"flow:established; {named}{digests}", _ORIGIN)
        rule("ftp-data", "any", "any", "is not what was approved", f"{named}{digests}", _ORIGIN)
    if entry.writers is not None:
        other = _except(entry.writers)
        rule("http", other, "any", "is written by who may not", f"flow:established,to_server; {named}", _TRANSFERS)
        rule("smb", other, "any", "is written by who may not", f"flow:established,to_server; {named}", _TRANSFERS)
        rule("ftp-data", other, "any", "is written by who may not", f'ftpdata_command:stor; {named}', _TRANSFERS)
    if entry.readers is not None:
        other = _except(entry.readers)
        rule("http", "any", other, "is read where it may not be", f'flow:established,to_client; http.stat_code; content:"200"; {named}', _ORIGIN)
        rule("smb", "any", other, "is read where it may not be", f"flow:established,to_client; {named}", _ORIGIN)
        rule("ftp-data", "any", other, "is read where it may not be", f"ftpdata_command:retr; {named}", _ORIGIN)
    return made


def _except(networks: tuple[str, ...]) -> str:
    return f"![{','.join(networks)}]" if networks else "any"


def _named(glob: str) -> str:
    """Steps over the name of a file: the glob holds of whole steps at the end of its path; case counts for nothing, as over SMB."""
    expression = "".join(r"[^\/\\]*" if one == "*" else r"[^\/\\]" if one == "?" else r"[\/\\]" if one == "/" else _letter(one) for one in glob)
    literal = max(re.split(r"[*?/]", glob), key=len)
    content = "".join(one if one.isalnum() else f"|{ord(one):02x}|" for one in literal)
    return f'file.name; content:"{content}"; nocase; fast_pattern; pcre:"/(?:^|[\\/\\\\]){expression}$/i"; '


def _letter(one: str) -> str:
    return one if one.isalnum() else f"\\x{ord(one):02x}"
