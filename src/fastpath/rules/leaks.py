"""What rules that find data look for (`metadata: data_class NAME`), as expressions that outputs are searched with.

Two more keys of metadata say how it is written out: `data_kept N`: its first N bytes are shown, such as a vendor's prefix (default 0),
or with `all` all of it, where the class is about more than what matched (model weights by the name of their format);
`data_known no`: pieces of it are not looked for elsewhere, because it is made of what may be shown alone.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .plan import Content, Pcre, RulePlan, Validate
from .program import VALIDATORS

#: The key of metadata by which a rule says what kind of data it finds.
DATA_CLASS = "data_class"
CONTENT_MIN = 4             # bytes of a content that is looked for where a rule has no expression
_ANCHORS = re.compile(rb"\A(?:\^|\\A)|(?:(?<!\\)\$|\\[zZ])\Z")


@dataclass(frozen=True, slots=True)
class Sought:
    """One expression (PCRE2), its option letters, the number of its validator, and how what it finds is written out."""
    expression: bytes
    options: str
    validator: int | None
    kept: int
    known: bool

    @property
    def literal(self) -> bytes:
        """The longest text that is in whatever the expression matches, as far as a look at it shows; b"" where none is."""
        return b"" if "i" in self.options or "x" in self.options else _literal(self.expression)


_QUANTIFIERS = b"?*{"


def _literal(expression: bytes) -> bytes:
    if b"(?i" in expression or b"(?x" in expression or b"\\Q" in expression:
        return b""
    runs, run, depth, at = [b""], b"", 0, 0
    while at < len(expression):
        size = 2 if expression[at] == 0x5C else 1
        one, after = expression[at:at + size], expression[at + size:at + size + 1]
        if one == b"[":             # a class, as one thing
            end = expression.index(b"]", at + 2 + (expression[at + 1:at + 2] == b"^"))
            while expression[end - 1] == 0x5C:
                end = expression.index(b"]", end + 1)
            size, one = end + 1 - at, b""
        plain = one[-1:] if size == 2 and not one[1:].isalnum() or size == 1 and one not in b"([)|.^$?*+{}" else b""
        depth += (one == b"(") - (one == b")")
        if one == b"|" and depth == 0:
            return b""
        if one == b"{":
            size = expression.index(b"}", at) + 1 - at
        if plain and depth == 0 and (not after or after not in _QUANTIFIERS):
            run += plain
        else:
            runs.append(run)
            run = b""
        at += size
    return max(*runs, run, key=len)


def finds_data(metadata: Iterable[tuple[str, str]]) -> bool:
    """Whether a rule finds data that is not to be written out."""
    told = list(metadata)
    return any(key == DATA_CLASS for key, _ in told) and ("data_kept", "all") not in told


def sought_by(plans: Iterable[RulePlan]) -> tuple[dict[Sought, set[tuple[int, int]]], frozenset[str]]:
    """Each thing once, with the gid and sid of those that look for it, and the protocols in which they do."""
    found: dict[Sought, set[tuple[int, int]]] = {}
    protocols: set[str] = set()
    for plan in plans:
        if not finds_data(plan.metadata):
            continue
        protocols |= {"http": {"http", "http2"}}.get(plan.app_proto or plan.proto, {plan.app_proto or plan.proto})
        told = dict(plan.metadata)
        kept = int(told["data_kept"]) if told.get("data_kept", "").isdigit() else 0
        known = told.get("data_known") != "no"
        blocks = [(block.steps, "i" if any("case" in str(each) for each in block.transforms) else "") for block in plan.blocks]
        made = [one for steps, letters in blocks for one in _expressions(steps, letters)]
        for expression, options, validator in made or [one for steps, letters in blocks for one in _contents(steps, letters)]:
            found.setdefault(Sought(expression, options, validator, kept, known), set()).add((plan.gid, plan.sid))
    return found, frozenset(protocols)


def _expressions(steps: list[Any], letters: str) -> Iterable[tuple[bytes, str, int | None]]:
    """The expressions of a block; one that another follows upon only says where that is looked for, and what looks ahead takes nothing."""
    for at, step in enumerate(steps):
        if not isinstance(step, Pcre) or step.negated or step.expression.startswith(b"(?="):
            continue
        after = steps[at + 1] if at + 1 < len(steps) else None
        if isinstance(after, Pcre) and after.relative and not after.negated:
            continue
        before = steps[at - 1] if at else None
        yield _behind(before, step), _letters(step.options, letters), VALIDATORS[after.kind] if isinstance(after, Validate) else None


def _behind(before: Any, step: Pcre) -> bytes:
    """The expression without what ties it to the ends of its buffer, behind what it is relative to."""
    own = _ANCHORS.sub(b"", step.expression)
    if not step.relative or before is None:
        return own
    gap = b"" if step.expression.startswith((b"\\A", b"^")) else b"(?s:.*?)"
    if isinstance(before, Pcre) and not before.negated:
        inner = f"(?{_letters(before.options, '')}:" if _letters(before.options, "") else "(?:"
        return inner.encode() + before.expression + b")" + gap + b"\\K(?:" + own + b")"
    if isinstance(before, Content) and not before.negated:
        return b"(?i:" * before.nocase + b"(?:" * (not before.nocase) + re.escape(before.pattern) + b")" + gap + b"\\K(?:" + own + b")"
    return own


def _letters(options: str, more: str) -> str:
    """Those that change what matches, rather than where."""
    return "".join(sorted(set(options + more) & set("imsx")))


def _contents(steps: list[Any], letters: str) -> Iterable[tuple[bytes, str, int | None]]:
    for at, step in enumerate(steps):
        if isinstance(step, Content) and not step.negated and len(step.pattern) >= CONTENT_MIN:
            after = steps[at + 1] if at + 1 < len(steps) else None
            yield (re.escape(step.pattern), _letters("i" if step.nocase else "", letters),
                   VALIDATORS[after.kind] if isinstance(after, Validate) else None)
