"""validate: what the content or expression before it took is a number of that kind, as its checksum says. fastpath's own."""
from __future__ import annotations

from ..draft import Draft, Pattern
from ..lexer import RuleError
from ..plan import Pcre, Validate
from ..program import VALIDATORS
from .table import keyword

COUNT_MAX = 1000


@keyword("validate", "payload", note="fastpath's own: card, iban, us_ssn, uk_nino, de_tax, fr_nir, es_dni, it_fiscal; `card,10`: ten or more")
def validate(draft: Draft, text: str, at: int) -> None:
    kind, comma, number = (part.strip() for part in text.partition(","))
    if kind not in VALIDATORS:
        raise RuleError(at, f"found {kind!r} where one of {', '.join(VALIDATORS)} was expected")
    if comma and not (number.isdecimal() and 1 <= int(number) <= COUNT_MAX):
        raise RuleError(at, f"found {number!r} where a number from 1 to {COUNT_MAX} was expected")
    steps = draft.steps()
    if not steps or not isinstance(steps[-1], Pattern | Pcre) or steps[-1].negated:
        raise RuleError(at, "stands behind the content or pcre whose bytes it is about")
    count = int(number) if comma else 1
    if count > 1 and (not isinstance(steps[-1], Pcre) or steps[-1].relative):
        raise RuleError(at, "several are counted behind a pcre that is not relative")
    steps.append(Validate(kind, count))
