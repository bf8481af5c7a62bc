"""Packs: rules and facts that belong together, by name. `fastpath replay --pack NAME`, `RuleSet.pack(NAME)`."""
from __future__ import annotations

from importlib import import_module

NAMES = ("ai_factory",)
#: Groups of addresses that the rules of packs name, and what they are unless a configuration says otherwise.
VARIABLES = {"POWER_AND_COOLING": "$HOME_NET"}


def texts(name: str) -> list[tuple[bytes, str]]:
    """The rules of a pack: each text with the file that places name. LookupError for a pack that is not there."""
    if name not in NAMES:
        raise LookupError(f"no pack {name!r}; there is {', '.join(NAMES)}")
    return import_module(f"{__package__}.{name}").texts()
