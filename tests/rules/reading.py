"""Rules by their options alone."""
from __future__ import annotations

from fastpath.rules import RuleSet
from fastpath.rules.plan import Refusal, RulePlan


def read(options: str, proto: str = "tcp") -> RulePlan | Refusal:
    rules = RuleSet.parse(f"alert {proto} any any -> any any ({options} sid:1;)")
    return rules.plans[0] if rules.plans else rules.refusals[0]


def plan(options: str, proto: str = "tcp") -> RulePlan:
    result = read(options, proto)
    assert isinstance(result, RulePlan), result
    return result


def steps(options: str, proto: str = "tcp") -> list:
    """The steps of the one block."""
    block, = plan(options, proto).blocks
    return block.steps


def malformed(options: str, proto: str = "tcp") -> str:
    result = read(options, proto)
    assert isinstance(result, Refusal) and result.malformed, result
    return result.reason


def refused(options: str, proto: str = "tcp") -> str:
    result = read(options, proto)
    assert isinstance(result, Refusal) and not result.malformed, result
    return result.reason
