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
    """docs/rules.md: every keyword and protocol, and how far it is honoured."""
    keywords, protocols = keyword_support(), protocol_support()
    exact = sum(row.exact for row in keywords)
    out = ["# The rule language", "",
           "Suricata 7.0's rules, read as Suricata 7.0.10 reads them. A rule is honoured exactly or refused, with file, line, column",
           "and reason; no part of a rule is ever ignored. Made from the keyword table by `fastpath rules keywords --markdown`.", "",
           f"Of {len(keywords)} keywords {exact} are exact. The others are known, their form is checked, and a rule that uses one is",
           "refused.", ""]
    for title, rows in (("Keywords that are honoured", [row for row in keywords if row.exact]),
                        ("Keywords that are refused", [row for row in keywords if not row.exact]), ("Protocols", protocols)):
        out += [f"## {title}", "", *_table(rows, title == "Protocols"), ""]
    return "\n".join(out)


def _table(rows: list[Support], protocols: bool) -> list[str]:
    if protocols:
        return ["| protocol | support |", "| --- | --- |",
                *(f"| `{row.name}` | {'exact' if row.exact else f'refused: {row.note}'} |" for row in rows)]
    head = "note" if rows[0].exact else "why"
    return [f"| keyword | also | family | {head} |", "| --- | --- | --- | --- |",
            *(f"| `{row.name}` | {' '.join(f'`{each}`' for each in row.aliases)} | {row.family} | {row.note} |" for row in rows)]
