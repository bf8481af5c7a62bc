"""What of the rule language is honoured, for `rules check` and the documentation: the keyword table and protocols as rows."""
from __future__ import annotations

from dataclasses import dataclass

from .applications import PROTOCOLS, missing
from .keywords import TABLE
from .planner import PACKET_PROTOCOLS


@dataclass(frozen=True, slots=True)
class Support:
    """One keyword or protocol. note: what is said of it where it is exact, and the reason where it is refused."""
    name: str
    aliases: tuple[str, ...]
    family: str
    exact: bool
    note: str


def keyword_support() -> list[Support]:
    """Every keyword of Suricata 7.0.10, in order of family and name."""
    names: dict[str, list[str]] = {}
    for name, row in TABLE.items():
        names.setdefault(row.name, []).append(name)
    rows = [Support(name, tuple(each for each in known if each != name), TABLE[name].family, TABLE[name].exact,
                    TABLE[name].note or TABLE[name].reason) for name, known in names.items()]
    return sorted(rows, key=lambda row: (not row.exact, row.family, row.name))


def protocol_support() -> list[Support]:
    """The protocols that a rule may name."""
    return ([Support(name, (), "packet", True, "") for name in PACKET_PROTOCOLS]
            + [Support(name, (), "application", not missing(name), missing(name)) for name in sorted(PROTOCOLS)])


def markdown() -> str:
    """The tables of the documentation."""
    out = []
    for title, rows in (("Keywords", keyword_support()), ("Protocols", protocol_support())):
        out += [f"## {title}", "", "| name | also | family | support | note |", "| --- | --- | --- | --- | --- |"]
        out += [f"| `{row.name}` | {' '.join(f'`{each}`' for each in row.aliases)} | {row.family} | "
                f"{'exact' if row.exact else 'refused'} | {row.note} |" for row in rows]
        out.append("")
    return "\n".join(out)
