"""dataset and datarep: the whole buffer as an entry of a list. User guide, "Datasets"."""
from __future__ import annotations

import re

from ..datasets import RANKS, BadList, Dataset
from ..draft import Draft, number, words
from ..lexer import BLANK, RuleError
from ..plan import HasRank, InDataset
from .table import keyword

_ACTIONS = ("isset", "isnotset", "set", "unset")
_SIZE = re.compile(r"(\d+)\s*(kb|mb|gb|kib|mib|gib)?", re.IGNORECASE)
_UNITS = {"": 0, "kb": 10, "kib": 10, "mb": 20, "mib": 20, "gb": 30, "gib": 30}
_CHANGES = ("set", "unset")
_SAID = ("type", "load", "save", "state", "memcap", "hashsize")
_BUCKET = 64        # bytes that Suricata takes for one of hashsize


@keyword("dataset", "datasets", note="sets that rules change are written below the data folder at the end of a run")
def dataset(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    if len(parts) < 2 or not parts[1][0]:
        raise RuleError(at, f"found {text!r} where an action and the name of a set were expected")
    action, where = parts[0]
    if action not in _ACTIONS:
        raise RuleError(where, f"found {action!r} where one of {', '.join(_ACTIONS)} was expected")
    found = _find(draft, at, parts[1], parts[2:])
    if found is not None:
        _room(draft, at, InDataset(found, negated=action == "isnotset", change=action if action in _CHANGES else ""))


@keyword("datarep", "datasets", note="with lists that are loaded")
def datarep(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    if len(parts) < 3:
        raise RuleError(at, f"found {text!r} where the name of a set, an operator and a rank were expected")
    op, where = parts[1]
    if op not in ("<", ">", "=="):
        raise RuleError(where, f"found {op!r} where <, > or == was expected")
    rank = number(*parts[2], 0, RANKS)
    found = _find(draft, at, parts[0], parts[3:])
    if found is not None:
        _room(draft, at, HasRank(found, op, rank))


def _find(draft: Draft, at: int, name: tuple[str, int], options: list[tuple[str, int]]) -> Dataset | None:
    """The set, or None for a rule that is refused."""
    said: dict[str, str] = {}
    if draft.room is not None:
        draft.room.used = True
    for word, where in options:
        option, _, value = word.partition(" ")
        if option not in _SAID or not value.strip(BLANK):
            draft.refuse(where, f"found {word!r} where type, load, save, state, memcap or hashsize was expected")
            return None
        said[option] = value.strip(BLANK)
    try:
        if "memcap" in said:
            said["memcap"] = str(size(said["memcap"]))
            if "hashsize" in said and int(said["memcap"]) < _BUCKET * number(said["hashsize"], at, 1, 2**31):
                raise ValueError(f"a memcap of {said['memcap']} bytes has no room for a hashsize of {said['hashsize']}")
        return draft.datasets.find(name[0], said, draft.folder)
    except (ValueError, OSError) as error:
        raise RuleError(name[1], f"{error}", malformed=not isinstance(error, BadList)) from None


def size(text: str) -> int:
    """Bytes: "100mb", "32 kb", "4096". ValueError for what is none."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"found {text!r} where a size such as 100mb was expected")
    return int(found[1]) << _UNITS[(found[2] or "").lower()]


def _room(draft: Draft, at: int, step: InDataset | HasRank) -> None:
    if draft.room is None:
        raise RuleError(at, "stands behind a sticky buffer, which it looks up")
    draft.room.steps.append(step)
