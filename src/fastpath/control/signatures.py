"""The rules of an engine as its outputs name them: by index, as rows give it, to gid, sid, rev, text and class."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpath.dataplane.rows import NO_RULE

if TYPE_CHECKING:
    from fastpath.control.mask import Masker

#: Severity of a rule without classtype and priority.
DEFAULT_PRIORITY = 3


@dataclass(frozen=True, slots=True)
class Signature:
    """What an alert says of its rule."""
    gid: int
    sid: int
    rev: int
    msg: str
    action: str
    category: str               # description of the class, "" for none
    severity: int
    references: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    target: str                 # "", "src_ip", "dest_ip"


class Signatures:
    """The rules of every rule set that an engine had, one after the other. Arrays have one element more than there are
    rules: for NO_RULE."""

    def __init__(self, rules: Any = None):
        self.gid = self.sid = self.rev = self.note = self.isolate = np.zeros(1, "u4")
        self._sets: list[tuple[int, Any]] = []       # (index of its first rule, RuleSet)
        self._made: dict[int, Signature] = {}
        self.count = 0
        self.notes = False           # whether there are rules for the inventory
        self.isolates = False        # whether there are rules that isolate
        self._masker: tuple[int, Masker | None] = (0, None)     # of so many rule sets
        if rules is not None:
            self.extend(rules)

    def extend(self, rules: Any) -> int:
        """Takes one more RuleSet; returns what is to be added to its own rule indices."""
        base = self.count
        numbers = rules.numbers
        for name in ("gid", "sid", "rev", "note", "isolate"):
            setattr(self, name, np.concatenate([getattr(self, name)[:-1], numbers[name], np.zeros(1, "u4")]))
        self._sets.append((base, rules))
        self.count += len(numbers)
        self.notes = bool(self.note.any())
        self.isolates = bool(self.isolate.any())
        return base

    @property
    def masker(self) -> Masker | None:
        """Keeps out of outputs what these rules find of data; None where none of them does."""
        known, masker = self._masker
        if known != len(self._sets):
            from fastpath.control.mask import Masker
            masker = Masker.of((rules for _, rules in self._sets), masker)
            self._masker = len(self._sets), masker
        return masker

    def __len__(self) -> int:
        return self.count

    def at(self, rule: np.ndarray) -> np.ndarray:
        """Indices into the arrays of this class, for the rule field of rows."""
        return np.minimum(rule, self.count)

    def __getitem__(self, rule: int) -> Signature:
        """The signature of one rule index. IndexError for NO_RULE and for what is not there."""
        made = self._made.get(rule)
        if made is None:
            if rule == NO_RULE or not 0 <= rule < self.count:
                raise IndexError(f"no rule {rule}")
            base, rules = next(one for one in reversed(self._sets) if one[0] <= rule)
            plan = rules.text(rule - base)
            category, priority = rules.classifications.get(plan.classtype, ("", DEFAULT_PRIORITY))
            made = self._made[rule] = Signature(
                plan.gid, plan.sid, plan.rev, plan.msg, plan.action, category, priority if plan.priority is None else plan.priority,
                tuple(plan.references), tuple(plan.metadata), plan.target)
        return made


def identity(rules: Any) -> bytes:
    """What the digest takes of a rule set: gid, sid and rev of each rule, in order."""
    if rules is None:
        return b""
    return np.column_stack([rules.numbers[name] for name in ("gid", "sid", "rev")]).tobytes()
