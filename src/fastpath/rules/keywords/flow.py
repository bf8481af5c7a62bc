"""flow and flowbits. User guide, "Flow Keywords"."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from ..draft import Draft, words
from ..lexer import BLANK, RuleError
from ..plan import Flowbits, FlowState
from .table import keyword

#: Words of flow: the field of FlowState that each decides, and its value there.
WORDS = {"to_server": ("direction", "to_server"), "from_client": ("direction", "to_server"),
         "to_client": ("direction", "to_client"), "from_server": ("direction", "to_client"),
         "established": ("state", "established"), "not_established": ("state", "not_established"), "stateless": ("state",
         "stateless"),
         "only_stream": ("stream", "only_stream"), "no_stream": ("stream", "no_stream"),
         "only_frag": ("frag", "only_frag"), "no_frag": ("frag", "no_frag")}

_ACTIONS = ("set", "unset", "toggle", "isset", "isnotset")
_WORDS_AT_MOST = 3


@keyword("flow", "flow")
def flow(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    if len(parts) > _WORDS_AT_MOST:
        raise RuleError(parts[_WORDS_AT_MOST][1], f"found a fourth word where at most {_WORDS_AT_MOST} were expected")
    if draft.flow is not None and draft.flow != FlowState(draft.flow.direction):
        raise RuleError(at, "a rule has one flow keyword")
    state, said = draft.flow or FlowState(), set()
    for word, where in parts:
        field, value = WORDS.get(word.lower(), ("", ""))
        if not field:
            raise RuleError(where, f"found {word!r} where one of {', '.join(WORDS)} was expected")
        if field in said and {state.state, value} == {"stateless", "not_established"}:
            draft.refuse(where, f"{word} contradicts {state.state}")
        elif field in said:
            raise RuleError(where, f"{word} says again, or contradicts, what stands before it")
        said.add(field)
        if getattr(state, field) not in ("", value):
            draft.refuse(where, f"{word} contradicts an earlier flow keyword")
        state = replace(state, **cast(Any, {field: value}))
        if value == "only_stream":
            draft.needs_stream = "flow:only_stream"
        elif value == "no_stream":
            draft.needs_packet = "flow:no_stream"
    draft.flow = state


@keyword("flowbits", "flow", note="groups are refused")
def flowbits(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    action, where = parts[0]
    if action == "noalert" and len(parts) == 1:
        draft.noalert = True
        return
    if action not in _ACTIONS:
        raise RuleError(where, f"found {action!r} where one of {', '.join(_ACTIONS)} or noalert was expected")
    if len(parts) < 2 or not parts[1][0]:
        raise RuleError(where, "found no name where the name of a flowbit was expected")
    if len(parts) > 2:
        draft.refuse(parts[2][1], "groups of flowbits are not known")
    written, name_at = parts[1]
    names: tuple[str, ...] = (written,)
    if action in ("isset", "isnotset") and "|" in written:
        names = tuple(name.strip(BLANK) for name in written.split("|") if name.strip(BLANK))
    for name in names:
        if any(char in BLANK for char in name):
            raise RuleError(name_at, f"found {name!r} where a name without blanks was expected")
    if not names:
        raise RuleError(name_at, "found no name where names of flowbits were expected")
    bits = Flowbits(action, names)
    (draft.conditions if action in ("isset", "isnotset") else draft.after).append(bits)
