"""Talk with language models over HTTP: sticky buffers for its text, how long it takes, how often and how much. fastpath's own.

docs/packs/ai_factory.md says what the buffers hold and when they are looked at.
"""
from __future__ import annotations

from typing import cast

from ..draft import Draft
from ..lexer import RuleError
from ..plan import NumberIs, Size, Threshold, Track
from .header import unsigned
from .limits import choice, count_of, parts
from .table import Keyword, Setup, add, keyword

_U32, _U64 = 2**32 - 1, 2**64 - 1
_OWN = "fastpath's own"


def _sticky(buffer: str) -> Setup:
    def setup(draft: Draft, text: str, at: int) -> None:
        draft.enter(buffer, at)
        draft.protocol("http", at)
    return setup


for _name, _holds in (("prompt", "what a request says to a language model"), ("response", "what the model, or a tool of MCP, answers"),
                      ("model", "the model that a request names")):
    add(Keyword(f"llm.{_name}", "llm", "none", _sticky(f"llm.{_name}"), note=f"{_OWN}: {_holds}", kind="sticky"))


@keyword("llm.seconds", "llm", note=f"{_OWN}: since the body of a request to a model, or of its answer, began, until it is complete")
def seconds(draft: Draft, text: str, at: int) -> None:
    draft.protocol("http", at)
    draft.over("llm.seconds", at, NumberIs(unsigned(text, at, _U32)))


@keyword("llm_rate", "llm", note=f"{_OWN}: requests or prompt_bytes COUNT, seconds N, by client, key or model: holds for what is above")
def llm_rate(draft: Draft, text: str, at: int) -> None:
    if draft.rate or draft.detection_filter:
        raise RuleError(at, "a rule has one llm_rate or one detection_filter")
    said = parts(text, at, ("requests", "prompt_bytes", "seconds", "by"))
    if ("requests" in said) == ("prompt_bytes" in said):
        raise RuleError(at, f"found {text!r} where either requests or prompt_bytes was expected")
    counted = "requests" if "requests" in said else "prompt_bytes"
    by = cast(Track, f"by_{choice(said, at, 'by', ('client', 'key', 'model'))}")
    draft.protocol("http", at)
    # any request to a model has this record
    draft.over("llm.facts", at, Size(((0, _U64),)))
    draft.rate = Threshold("llm_requests" if counted == "requests" else "llm_prompt_bytes", by, count_of(said, at, counted, 0),
                           count_of(said, at, "seconds", 1))
