"""The rules of an engine as its outputs name them: by index, as rows give it, to gid, sid, rev, text and class."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpath.dataplane.rows import NO_RULE

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
    """Made from a RuleSet, or from None for no rules. Arrays have one element more than there are rules: for NO_RULE."""

    def __init__(self, rules=None):
        self._rules = rules
        plans = rules.plans if rules is not None else []
        self.count = len(plans)
        self.gid = np.array([plan.gid for plan in plans] + [0], "u4")
        self.sid = np.array([plan.sid for plan in plans] + [0], "u4")
        self.rev = np.array([plan.rev for plan in plans] + [0], "u4")
        self._made: dict[int, Signature] = {}

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
            plan = self._rules.plans[rule]
            category, priority = self._rules.classifications.get(plan.classtype, ("", DEFAULT_PRIORITY))
            made = self._made[rule] = Signature(
                plan.gid, plan.sid, plan.rev, plan.msg, plan.action, category, priority if plan.priority is None else plan.priority,
                tuple(plan.references), tuple(plan.metadata), plan.target)
        return made

    def identity(self) -> bytes:
        """What the digest takes of the rules: gid, sid and rev of each, in order."""
        return np.stack([self.gid, self.sid, self.rev])[:, :self.count].T.tobytes()
