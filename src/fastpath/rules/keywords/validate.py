"""validate: what the content or expression before it took is a number of that kind, as its checksum says. fastpath's own."""
from __future__ import annotations

from ..draft import Draft, Pattern
from ..lexer import RuleError
from ..plan import Pcre, Validate
from ..program import VALIDATORS
from .table import keyword


@keyword("validate", "payload", note="fastpath's own: card, iban, us_ssn, uk_nino, de_tax, fr_nir, es_dni, it_fiscal")
def validate(draft: Draft, text: str, at: int) -> None:
    if text not in VALIDATORS:
        raise RuleError(at, f"found {text!r} where one of {', '.join(VALIDATORS)} was expected")
    steps = draft.steps()
    if not steps or not isinstance(steps[-1], Pattern | Pcre) or steps[-1].negated:
        raise RuleError(at, "stands behind the content or pcre whose bytes it is about")
    steps.append(Validate(text))
