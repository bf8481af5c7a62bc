"""threshold and detection_filter against a plain reading of the guide, and their memory against its cap."""
from __future__ import annotations

from random import Random

import pytest
from captures import udp
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan

from fastpath.dataplane.trial import Trial
from fastpath.rules.compile import compile_rules
from fastpath.rules.plan import Content, Threshold

SECOND = 10**9
KINDS = ("limit", "threshold", "both", "detection_filter")
TRACKS = ("by_src", "by_dst", "by_both", "by_rule", "by_flow")


class Naive:
    """One rule's threshold: alert, silent or suppressed."""

    def __init__(self, asked: Threshold):
        self.asked = asked
        self.counts: dict[object, list[int]] = {}

    def judge(self, key: object, now: int) -> str:
        start, count = self.counts.get(key, (now, 0))
        if now > start + self.asked.seconds * SECOND:
            start, count = now, 0
        count += 1
        most = self.asked.count
        verdict = {"limit": "alert" if count <= most else "silent",
                   "both": "alert" if count == most else "silent" if count > most else "suppressed",
                   "threshold": "alert" if count >= most else "suppressed",
                   "detection_filter": "alert" if count > most else "suppressed"}[self.asked.kind]
        if self.asked.kind == "threshold" and verdict == "alert":
            count = 0
        self.counts[key] = [start, count]
        return verdict


def rule(asked: Threshold, sid: int):
    where = "detection_filter" if asked.kind == "detection_filter" else "threshold"
    return plan([Content(b"x")], sid=sid, **{where: asked})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_against_naive(seed):
    choice = Random(seed)
    asked = [Threshold(choice.choice(KINDS), choice.choice(TRACKS), choice.choice((1, 1, 2, 3, 5)), choice.choice((1, 2, 60)))
             for _ in range(20)]
    naive = [Naive(one) for one in asked]
    packets, stamps, keys, now = [], [], [], 0
    for _ in range(120):
        now += choice.choice((0, 1, 200_000_000, SECOND))
        src, dst, sport = choice.choice("123"), choice.choice("123"), choice.choice((1000, 1001))
        packets.append(udp(b"x", f"10.0.0.{src}", sport, f"10.0.0.{dst}", 53))
        stamps.append(now // 1000 * 1000)
        flow = frozenset([(src, sport), (dst, 53)])
        keys.append({"by_src": src, "by_dst": dst, "by_both": frozenset((src, dst)), "by_rule": None, "by_flow": flow})
    trial = Trial(compile_rules([rule(one, i + 1) for i, one in enumerate(asked)]))
    for key, now, found in zip(keys, stamps, trial.match(packets, stamps=stamps)):
        verdicts = [one.judge(key[one.asked.track], now) for one in naive]
        assert {i: "alert" if "alert" in flags else "silent" for i, flags in found} == {
            i: verdict for i, verdict in enumerate(verdicts) if verdict != "suppressed"}


@pytest.mark.parametrize(("kind", "expected"), [("limit", 1), ("threshold", 0), ("both", 0), ("detection_filter", 0)])
def test_at_the_cap_a_match_is_judged_as_the_first_of_its_period(kind, expected):
    trial = Trial(compile_rules([rule(Threshold(kind, "by_src", 2, 60), 1)]), threshold_memory=1)
    packets = [udp(b"x", f"10.0.0.{last}") for last in (1, 2, 2, 2)]
    found = trial.match(packets)
    assert [sum("alert" in flags for _, flags in one) for one in found][1:] == [expected] * 3
    assert trial.thresholds_refused == 3


def test_what_is_over_makes_room():
    trial = Trial(compile_rules([rule(Threshold("both", "by_src", 2, 1), 1)]), threshold_memory=1)
    packets = [udp(b"x", f"10.0.0.{last}") for last in (1, 2, 2)]
    found = trial.match(packets, stamps=[0, 5 * SECOND, 5 * SECOND])
    assert [bool(one) for one in found] == [False, False, True]
    assert trial.thresholds_refused == 0


def test_counts_outlive_the_rule_set():
    """They belong to gid and sid: another compiled form of the same rule goes on counting."""
    asked = Threshold("limit", "by_rule", 1, 60)
    first = Trial(compile_rules([rule(asked, 7)]))
    assert first.match([udp(b"x")]) == [[(0, {"alert"})]]
    first.reload(compile_rules([rule(asked, 6), rule(asked, 7)]))
    assert first.match([udp(b"x")]) == [[(0, {"alert"}), (1, set())]]
