"""threshold.config: what it says, and what it makes of rules."""
from __future__ import annotations

import pytest

from fastpath.rules import RuleSet
from fastpath.rules.plan import AddressSet, Suppression, Threshold
from fastpath.rules.thresholds import Line, parse_thresholds
from fastpath.rules.variables import Groups

A = 10 << 24


def lines(text: str) -> list[Line]:
    return parse_thresholds(text, Groups({"HOME_NET": "10.0.0.0/8"}), "t")


@pytest.mark.parametrize("text, expected", [
    ("suppress gen_id 1, sig_id 5", Line(1, 5)),
    ("suppress gen_id 0, sig_id 0, track by_src, ip 10.0.0.1", Line(0, 0, suppression=Suppression("by_src", AddressSet(((A + 1, A + 1),), ())))),
    ("suppress gen_id 1, sig_id 5, track by_either, ip [10.0.0.1, 10.0.0.2]",
     Line(1, 5, suppression=Suppression("by_either", AddressSet(((A + 1, A + 2),), ())))),
    ("suppress gen_id 1, sig_id 5, track by_dst, ip $HOME_NET", Line(1, 5, suppression=Suppression("by_dst", AddressSet(((A, A + 2**24 - 1),), ())))),
    ("threshold gen_id 1, sig_id 5, type both, track by_src, count 3, seconds 5", Line(1, 5, Threshold("both", "by_src", 3, 5))),
    ("event_filter gen_id 1,sig_id 5,type limit,track by_both, \\\n  count 3,seconds 5", Line(1, 5, Threshold("limit", "by_both", 3, 5))),
])
def test_a_line(text, expected):
    assert lines(f"# what follows\n\n{text}\n") == [expected]


@pytest.mark.parametrize("text", [
    "suppress", "suppress gen_id 1", "suppress gen_id 1, sig_id 5, track by_src", "suppress gen_id 1, sig_id 5, track by_rule, ip 10.0.0.1",
    "suppress gen_id 1, sig_id 5, track by_src, ip here", "threshold gen_id 1, sig_id 5", "threshold gen_id 1, sig_id 5, type odd, track by_src, count 3, seconds 5",
    "threshold gen_id 1, sig_id 5, type both, track by_src, count x, seconds 5", "hide gen_id 1, sig_id 5",
    "rate_filter gen_id 1, sig_id 5, track by_src, count 10, seconds 60, new_action drop, timeout 300",
])
def test_lines_that_cannot_be_honoured(text):
    with pytest.raises(ValueError, match="^t:1: "):
        lines(text)


def test_what_becomes_of_rules(tmp_path):
    own = "threshold:type limit,track by_src,count 1,seconds 1;"
    rules = RuleSet.parse("".join(f"alert ip any any -> any any ({options} sid:{sid};)\n" for sid, options in
                                  ((1, ""), (2, ""), (3, own), (4, ""), (5, own))))
    path = tmp_path / "threshold.config"
    path.write_text("suppress gen_id 1, sig_id 1\nsuppress gen_id 0, sig_id 0, track by_src, ip 10.0.0.1\n"
                    "threshold gen_id 1, sig_id 3, type both, track by_dst, count 7, seconds 8\n"
                    "threshold gen_id 1, sig_id 0, type both, track by_rule, count 2, seconds 2\n")
    rules.limit(path)
    assert [plan.noalert for plan in rules.plans] == [True, False, False, False, False]
    assert [len(plan.suppressions) for plan in rules.plans] == [1] * 5
    both = Threshold("both", "by_rule", 2, 2)
    assert [plan.threshold for plan in rules.plans] == [both, both, Threshold("both", "by_dst", 7, 8), both, Threshold("limit", "by_src", 1, 1)]
