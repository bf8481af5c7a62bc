"""What rules cost, as far as it can be told before there is traffic: how each is reached, and how much work it is once reached."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .compile import fast_patterns, is_event_only, is_iponly, merged, settled
from .fastpattern import Pattern
from .plan import Content, InDataset, RulePlan, Xbits
from .shapes import Shape

#: How a rule is reached -> how many of a thousand entries of its protocol and ports are expected to reach it.
REACHED = {"addresses": 1, "event": 1, "pattern": 2, "literal of an expression": 2, "shape of an expression": 5, "short pattern": 50,
           "every transaction": 200, "every packet": 1000}
_SHORT = 4      # bytes; a pattern of fewer is found in most traffic


@dataclass(frozen=True, slots=True)
class Cost:
    """reached: a key of REACHED. steps: conditions and steps of the rule. estimate: expected steps in a thousand entries."""
    reached: str
    steps: int

    @property
    def estimate(self) -> int:
        return REACHED[self.reached] * (1 + self.steps)


def cost(plan: RulePlan) -> Cost:
    """The cost of one rule."""
    steps = len(plan.conditions) + sum(len(block.steps) for block in plan.blocks)
    if is_iponly(plan):
        return Cost("addresses", steps)
    if is_event_only(plan):
        return Cost("event", steps)
    longest = max((len(step.pattern) for block in plan.blocks for step in block.steps
                   if isinstance(step, Content) and not step.negated), default=0)
    if longest >= _SHORT:
        return Cost("pattern", steps)
    _, found = fast_patterns(plan, settled(merged(plan.blocks)))
    if any(isinstance(one, Shape) for one in found):
        return Cost("shape of an expression", steps)
    if found and min(len(one.text) for one in found if isinstance(one, Pattern)) > longest:
        return Cost("literal of an expression", steps)
    if longest:
        return Cost("short pattern", steps)
    return Cost("every transaction" if plan.app_proto else "every packet", steps)


def is_ordered(plan: RulePlan) -> bool:
    """Does the rule touch state that spans flows, which workers do one after the other, in the order of the packets?"""
    return (any(isinstance(each, Xbits) for each in (*plan.conditions, *plan.after))
            or any(isinstance(step, InDataset) and step.change for block in plan.blocks for step in block.steps))


def summary(plans: Iterable[RulePlan], most: int = 10) -> dict[str, object]:
    """For `rules check`: how many rules are reached in which way, the expected steps in a thousand entries, the rules that cost
    `most`, and how many touch state that spans flows."""
    rows = [(cost(plan), plan) for plan in plans]
    reached = Counter(each.reached for each, _ in rows)
    dearest = sorted(rows, key=lambda row: (-row[0].estimate, row[1].sid))[:most]
    return {"reached": {name: reached[name] for name in REACHED if reached[name]},
            "estimate": sum(each.estimate for each, _ in rows),
            "dearest": [{"sid": plan.sid, "gid": plan.gid, "reached": each.reached, "steps": each.steps, "estimate": each.estimate}
                        for each, plan in dearest],
            "ordered": sum(is_ordered(plan) for _, plan in rows)}
