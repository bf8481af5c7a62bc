"""The keyword table: one row a keyword, written by the modules of this package."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..draft import Draft

Setup = Callable[[Draft, str, int], None]


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword. `setup(draft, value, offset of the value)` reads it into the draft. With a `reason` it is read, so that its
    form is checked, and the rule is refused. `kind`: it chooses an inspect buffer for what follows ("sticky") or for the
    content before it ("modifier"), or changes a buffer ("transform")."""
    name: str
    family: str
    value: Literal["none", "needed", "optional"]
    setup: Setup
    quotes: Literal["no", "optional", "must"] = "no"
    negatable: bool = False         # "!" before the quoted value
    note: str = ""                  # how far it is honoured, where that needs saying
    reason: str = ""                # why it is refused
    kind: str = ""

    @property
    def exact(self) -> bool:
        return not self.reason


#: Keywords by name and by alias, lower case.
TABLE: dict[str, Keyword] = {}


def add(row: Keyword, *aliases: str) -> None:
    """Enters a row, under its name and its aliases."""
    for name in (row.name, *aliases):
        if name in TABLE:
            raise ValueError(f"keyword {name} is in the table already")
        TABLE[name] = row


def keyword(name: str, family: str, *aliases: str, value: Literal["none", "needed", "optional"] = "needed",
            quotes: Literal["no", "optional", "must"] = "no", negatable: bool = False, note: str = "") -> Callable[[Setup],
            Setup]:
    """Enters the decorated function as the setup of a keyword that is honoured."""
    def enter(setup: Setup) -> Setup:
        add(Keyword(name, family, value, setup, quotes, negatable, note), *aliases)
        return setup
    return enter
