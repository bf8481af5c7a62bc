"""iprep: the reputation of an address. User guide, "IP Reputation Keyword"."""
from __future__ import annotations

from ..draft import Draft, number, words
from ..lexer import RuleError
from ..plan import Reputation
from ..reputation import OPERATORS
from .table import keyword


@keyword("iprep", "datasets", note="with the categories and lists that the configuration names")
def iprep(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    if len(parts) != 4:
        raise RuleError(at, f"found {text!r} where a side, a category, an operator and points were expected")
    (side, side_at), (category, category_at), (op, op_at), (points, points_at) = parts
    if side not in ("any", "src", "dst", "both"):
        raise RuleError(side_at, f"found {side!r} where any, src, dst or both was expected")
    if op not in OPERATORS:
        raise RuleError(op_at, f"found {op!r} where one of {', '.join(OPERATORS)} was expected")
    value = number(points, points_at, 0, 127)
    if draft.reputations is None:
        draft.refuse(at, "the configuration names no categories of reputation")
    elif category not in draft.reputations.categories:
        raise RuleError(category_at, f"found {category!r} where one of the categories of reputation was expected")
    else:
        draft.conditions.append(Reputation(side, draft.reputations.addresses(category, op, value)))
