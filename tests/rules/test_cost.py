"""What rules are expected to cost, and which touch state that spans flows."""
from __future__ import annotations

import pytest
from rules.reading import plan

from fastpath.rules import RuleSet
from fastpath.rules.cost import cost, is_ordered, summary


@pytest.mark.parametrize("options, proto, reached", [
    ("", "ip", "addresses"), ("decode-event:ipv4.pkt_too_small;", "pkthdr", "event"), ('content:"abcd";', "tcp", "pattern"),
    ('content:"abc";', "tcp", "short pattern"), ('content:!"abcd";', "tcp", "every packet"), ("ttl:5;", "ip", "every packet"),
    ("urilen:5;", "http", "every transaction"), ('http.uri; content:"abcd";', "http", "pattern"),
    ('http.uri; pcre:"/ab+cde/";', "http", "literal of an expression"), ('pcre:"/[0-9]{3}-[0-9]{4}/";', "tcp", "shape of an expression"),
    ('content:"a"; pcre:"/a[xyz]bcd/";', "tcp", "literal of an expression"), ('pcre:"/a.*b/";', "tcp", "every packet"),
])
def test_how_a_rule_is_reached(options, proto, reached):
    assert cost(plan(options, proto)).reached == reached


def test_rules_in_the_order_of_packets():
    assert is_ordered(plan("xbits:isset,a,track ip_src;")) and is_ordered(plan("hostbits:set,a;"))
    assert is_ordered(plan("ip.src; dataset:set,a,type ipv4;"))
    assert not is_ordered(plan("flowbits:set,a;")) and not is_ordered(plan("flowint:ab,+,1;"))


def test_summary_and_assessment():
    text = ('alert tcp any any -> any any (content:"abcd"; sid:1;)\nalert tcp any any -> any 80 (ttl:5; hostbits:set,a; sid:2;)\n'
            "alert sip any any -> any any (sid:3;)\n")
    rules = RuleSet.parse(text)
    told = summary(rules.plans, most=1)
    assert told["reached"] == {"pattern": 1, "every packet": 1} and told["ordered"] == 1
    assert [one["sid"] for one in told["dearest"]] == [2] and told["estimate"] == 2 * 2 + 1000 * 2
    assessed = rules.assess()
    assert (assessed["exact"], assessed["refused"], assessed["cost"]["ordered"]) == (2, 1, 1) and assessed["groups"] >= 2
