"""iprep: lists of reputation, and the rules that ask them."""
from __future__ import annotations

import pytest
from rules.reading import malformed, refused

from fastpath.rules import RuleSet
from fastpath.rules.plan import AddressSet, Reputation
from fastpath.rules.reputation import Reputations

A = 10 << 24


@pytest.fixture
def known(tmp_path):
    (tmp_path / "categories").write_text("# all\n1,bad,Bad hosts\n2, odd ,Odd ones\n")
    (tmp_path / "list").write_text("10.0.0.0/24,1,50\n10.0.0.7,1,0\n10.0.0.8,1,90\n2001:db8::/126,1,70\n\n10.0.0.9,2,5\n")
    return Reputations.load(tmp_path / "categories", [tmp_path / "list"])


@pytest.mark.parametrize("op, points, expected", [
    (">", 80, ((A + 8, A + 8),)), (">", 40, ((A, A + 6), (A + 8, A + 255))), ("=", 0, ((A + 7, A + 7),)), ("!=", 50, ((A + 7, A + 8),)),
    ("<", 50, ((A + 7, A + 7),)), ("<=", 50, ((A, A + 7), (A + 9, A + 255))), (">=", 91, ()),
])
def test_the_smallest_network_has_the_last_word(known, op, points, expected):
    assert known.addresses("bad", op, points).v4 == expected


def test_both_versions_and_other_categories(known):
    low = 0x20010DB8 << 96
    assert known.addresses("bad", ">", 60).v6 == ((low, low + 3),)
    assert known.addresses("odd", ">", 0) == AddressSet(((A + 9, A + 9),), ())


def test_a_rule(known):
    rules = RuleSet.parse("alert ip any any -> any any (iprep:dst, odd ,>,4; sid:1;)", reputations=known)
    assert rules.plans[0].conditions == [Reputation("dst", AddressSet(((A + 9, A + 9),), ()))]
    refusal, = RuleSet.parse("alert ip any any -> any any (iprep:dst,none,>,4; sid:1;)", reputations=known).refusals
    assert refusal.malformed and refusal.place.column == 40


@pytest.mark.parametrize("text", ["src,bad,>", "here,bad,>,5", "src,bad,<>,5", "src,bad,>,128", "src,bad,>,a"])
def test_rules_that_are_malformed(text):
    malformed(f"iprep:{text};")


def test_without_lists_a_rule_is_refused():
    assert "no categories" in refused("iprep:src,bad,>,5;")


@pytest.mark.parametrize("name, text", [("categories", "61,far,Far\n"), ("categories", "x\n"), ("list", "10.0.0.1,1\n"),
                                        ("list", "10.0.0.1,1,128\n"), ("list", "host,1,5\n"), ("list", "10.0.0.1,0,5\n")])
def test_files_that_are_malformed(tmp_path, name, text):
    (tmp_path / "categories").write_text("1,bad,Bad\n")
    (tmp_path / "list").write_text("10.0.0.1,1,5\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name}:1: found"):
        Reputations.load(tmp_path / "categories", [tmp_path / "list"])
