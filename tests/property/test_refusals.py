"""No silent weakening: every rule of a text is loaded or listed with its place and the reason, and a bad one stops no other."""
from __future__ import annotations

import random

from captures import udp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import MIXED_RULES, replay

import fastpath as fp

quiet = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
GOOD = [line for line in MIXED_RULES.strip().splitlines()]


def accounted(text: str) -> fp.RuleSet:
    rules = fp.RuleSet.parse(text)
    for refusal in rules.refusals:
        assert refusal.reason
        assert refusal.place.line >= 1 and refusal.place.column >= 1
    return rules


def test_an_unknown_keyword_is_refused_where_it_stands():
    text = 'alert tcp any any -> any any (content:"a"; frobnicate:1; sid:1;)\nalert tcp any any -> any any (content:"b"; sid:2;)\n'
    rules = accounted(text)
    assert [plan.sid for plan in rules.plans] == [2]
    refusal, = rules.refusals
    assert (refusal.sid, refusal.keyword, refusal.place.line) == (1, "frobnicate", 1)
    assert text.splitlines()[0][refusal.place.column - 1:].startswith("frobnicate")


@quiet
@given(data=st.data())
def test_broken_rules_are_listed(data):
    """Characters of good rules are replaced, dropped or doubled: each line is a plan or a refusal on its own line."""
    lines, rng = list(GOOD), data.draw(st.randoms(use_true_random=False))
    for number in data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=5)):
        line = list(lines[number])
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(line))
            line[at] = rng.choice(["x", line[at] * 2, ";", ")", '"', ":", "|", "\\", "!", "[", "\x00", "ä", "9" * 30])
        lines[number] = "".join(line)
    rules = accounted("\n".join(lines) + "\n")
    seen = [plan.place.line for plan in rules.plans] + [refusal.place.line for refusal in rules.refusals]
    assert set(seen) <= set(range(1, len(lines) + 1))
    number = 1
    while number <= len(lines):
        first = number
        while lines[number - 1].endswith("\\") and number < len(lines):     # the next line belongs to it, and may be where it is wrong
            number += 1
        assert lines[first - 1][0] in "#; " or set(range(first, number + 1)) & set(seen), lines[first - 1:number]
        number += 1


@quiet
@given(st.binary(max_size=400))
def test_random_text_is_read(text):
    accounted(text.decode("latin-1"))


def test_what_loads_works_beside_what_does_not(capture):
    rng = random.Random(3)
    lines = [f'alert udp any any -> any any (content:"needle{number}"; sid:{number};)' for number in range(1, 21)]
    bad = set(rng.sample(range(20), 10))
    text = "\n".join(line.replace("content", "kontent") if number in bad else line for number, line in enumerate(lines))
    rules = accounted(text)
    assert len(rules.refusals) == 10 and len(rules.plans) == 10
    result = replay(capture([udp(f"needle{number};".encode()) for number in range(20, 0, -1)]), rules)
    loaded = {number + 1 for number in range(20) if number not in bad}
    assert set(result.alerts["sid"].tolist()) == loaded
