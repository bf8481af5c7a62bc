"""dataset and datarep: the whole buffer as an entry of a list. User guide, "Datasets"."""
from __future__ import annotations

from ..datasets import RANKS, BadList, Dataset
from ..draft import Draft, number, words
from ..lexer import BLANK, RuleError
from ..plan import HasRank, InDataset
from .table import keyword

_ACTIONS = ("isset", "isnotset", "set", "unset")
_ADDRESSES = ("ipv4", "ip")


@keyword("dataset", "datasets", note="isset and isnotset, with lists that are loaded; sets that rules change are refused")
def dataset(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    if len(parts) < 2 or not parts[1][0]:
        raise RuleError(at, f"found {text!r} where an action and the name of a set were expected")
    action, where = parts[0]
    if action not in _ACTIONS:
        raise RuleError(where, f"found {action!r} where one of {', '.join(_ACTIONS)} was expected")
    found = _find(draft, at, parts[1], parts[2:])
    if action in ("set", "unset"):
        draft.refuse(where, "sets that rules change are not kept")
    if found is not None:
        _room(draft, at, InDataset(found, negated=action == "isnotset"))


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
    said = {"type": "", "load": ""}
    if draft.room is not None:
        draft.room.used = True
    for word, where in options:
        option, _, value = word.partition(" ")
        value = value.strip(BLANK)
        if option in said and value:
            said[option] = value
        elif option in ("save", "state"):
            draft.refuse(where, "sets that are written to files are not kept")
            return None
        elif option not in ("memcap", "hashsize") or not value:
            draft.refuse(where, f"found {word!r} where type, load, memcap or hashsize was expected")
    if said["type"] in _ADDRESSES:
        draft.refuse(at, f"sets of type {said['type']} need the buffers ip.src and ip.dst")
        return None
    try:
        return draft.datasets.find(name[0], said["type"], said["load"], draft.folder)
    except (ValueError, OSError) as error:
        raise RuleError(name[1], f"{error}", malformed=not isinstance(error, BadList)) from None


def _room(draft: Draft, at: int, step: InDataset | HasRank) -> None:
    if draft.room is None:
        raise RuleError(at, "stands behind a sticky buffer, which it looks up")
    draft.room.steps.append(step)
