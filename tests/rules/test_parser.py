"""The header of a rule, and rules that are none."""
from __future__ import annotations

import pytest

from fastpath.rules import RuleSet
from fastpath.rules.lexer import RuleText
from fastpath.rules.parser import parse_rule


def refused(text: str):
    refusal, = RuleSet.parse(text).refusals
    return refusal


def test_the_words_of_a_rule():
    rule = parse_rule(RuleText("x", 1, 'alert  tcp [10.0.0.0/8, !10.1.0.0/16]\t[80,[81, 82]] <> $HOME_NET any (msg:"a"; sid:1;)'))
    assert [word.text for word in (rule.action, rule.proto, rule.src, rule.sport, rule.arrow, rule.dst, rule.dport)] == [
        "alert", "tcp", "[10.0.0.0/8, !10.1.0.0/16]", "[80,[81, 82]]", "<>", "$HOME_NET", "any"]
    assert [option.name for option in rule.options] == ["msg", "sid"]
    assert rule.source.text[rule.dst.at:].startswith("$HOME_NET")


@pytest.mark.parametrize("action", ["alert", "pass", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "ALERT"])
def test_actions(action):
    assert RuleSet.parse(f"{action} tcp any any -> any any (sid:1;)").plans[0].action == action.lower()


@pytest.mark.parametrize("proto, planned", [
    ("ip", "ip"), ("ip4", "ipv4"), ("ipv4", "ipv4"), ("ip6", "ipv6"), ("ipv6", "ipv6"), ("tcp", "tcp"), ("tcp-pkt", "tcp-pkt"),
    ("tcp-stream", "tcp-stream"), ("udp", "udp"), ("icmp", "icmp"), ("icmpv4", "icmpv4"), ("icmpv6", "icmpv6"), ("sctp", "sctp"),
    ("pkthdr", "pkthdr"), ("TCP", "tcp"),
])
def test_protocols(proto, planned):
    assert RuleSet.parse(f"alert {proto} any any -> any any (sid:1;)").plans[0].proto == planned


@pytest.mark.parametrize("proto, why", [("sip", "needs the sip room"), ("ikev2", "needs the ikev2 room"),
                                        ("bittorrent-dht", "needs the bittorrent-dht room"),
                                        ("modbus", "recognition of modbus is off in the stock configuration")])
def test_protocols_of_the_application_layer_wait(proto, why):
    refusal = refused(f"alert {proto} any any -> any any (sid:1;)")
    assert not refusal.malformed and refusal.reason == why and refusal.place.column == 7


@pytest.mark.parametrize("proto", ["http", "http1", "tls", "dns", "smtp", "ftp", "ftp-data", "ssh", "smb", "dcerpc"])
def test_protocols_that_have_a_room(proto):
    assert RuleSet.parse(f"alert {proto} any any -> any any (sid:1;)").plans[0].app_proto == proto


def test_direction():
    plan, = RuleSet.parse("alert tcp 1.2.3.4 any <> any 80 (sid:1;)").plans
    assert plan.bidirectional and plan.src.v4 == ((0x01020304, 0x01020304),) and plan.dport.ranges == ((80, 80),)


@pytest.mark.parametrize("text, column, found", [
    ("log tcp any any -> any any (sid:1;)", 1, "an action"),
    ("alert igmp any any -> any any (sid:1;)", 7, "a protocol"),
    ("alert tcp any any <- any any (sid:1;)", 19, "'->' or '<>'"),
    ("alert tcp any any => any any (sid:1;)", 19, "'->' or '<>'"),
    ("alert tcp any any -> any", 25, "a destination port"),
    ("alert tcp any any -> any any", 29, "'('"),
    ("alert tcp any any -> any any sid:1;)", 30, "'('"),
    ("alert tcp any any -> any any(sid:1;)", 29, "a blank"),
    ("alert tcp [1.2.3.4 any -> any any (sid:1;)", 11, "']'"),
    ("alert tcp any any -> any any (sid:1; rev:2)", 38, "';'"),
    ("alert tcp any any -> any any (msg:\"a;b\"; sid:1;)", 35, "double quotes"),
    ("alert tcp any any -> any any (frobnicate:1; sid:1;)", 31, "no keyword"),
    ("alert tcp any any -> any any (;sid:1;)", 31, "a keyword"),
    ("alert tcp $NOPE any -> any any (sid:1;)", 11, "$NOPE"),
    ("alert tcp any any -> any [80,70000] (sid:1;)", 30, "70000"),
    ("alert tcp any any -> any any (msg:\"a\";)", 40, "sid"),
])
def test_malformed_rules_name_the_column(text, column, found):
    refusal = refused(text)
    assert refusal.malformed and found in refusal.reason
    assert refusal.place.column == column


def test_the_rest_still_loads():
    rules = RuleSet.parse("nonsense\nalert tcp any any -> any any (sid:1;)\nalert tcp any any -> any any (sid:x;)\n")
    assert [plan.sid for plan in rules.plans] == [1]
    assert [refusal.place.line for refusal in rules.refusals] == [1, 3]


def test_the_sid_of_a_broken_rule_is_told_where_it_can_be():
    assert refused('alert tcp any any -> any any (content:"|4|"; sid:77; rev:1;)').sid == 77
    assert refused("alert tcp any any -> any any (rev:1;)").sid == 0


def test_a_rule_may_do_without_its_last_bracket():
    assert RuleSet.parse("alert tcp any any -> any any (sid:1;").exact == 1
