"""Keywords about header fields. Meanings were verified with Suricata 7.0.10 packet by packet."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules.reading import malformed, plan, refused

from fastpath.rules import RuleSet
from fastpath.rules.keywords.header import unsigned
from fastpath.rules.lexer import RuleError
from fastpath.rules.plan import Bits, HasEvent, Number, Presence

# what tcp.flags says of packets with these flags: those that Suricata alerts on
PACKETS = ["S", "SA", "A", "PA", "R", "RA", "F", "FA", "", "SEC", "SE", "SC", "U", "E", "C", "SAEC", "UA", "SU"]
LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}


def holds(conditions: list[Bits], flags: int) -> bool:
    def one(bits: Bits) -> bool:
        seen = flags & ~bits.ignore
        return {"=": seen == bits.value, "+": seen & bits.value == bits.value, "*": seen & bits.value != 0,
                "!": seen & bits.value != bits.value}[bits.mode]
    return all(one(bits) for bits in conditions)


@pytest.mark.parametrize("text, expected", [
    ("S", "S"), ("S+", "S SA SEC SE SC SAEC SU"), ("+A", "SA A PA RA FA SAEC UA"), ("SA", "SA"), ("*SA",
    "S SA SEC SE SC SAEC SU"),
    ("*A", "SA A PA RA FA SAEC UA"), ("*SF", "S SA SEC SE SC SAEC SU"), ("*RF", "R RA F FA"), ("*PU", "U UA SU"),
    ("*SU", "SEC SE SC SAEC SU"), ("*AU", "U SAEC UA SU"), ("*EC", "SEC SE SC E C SAEC"), ("!S", "R RA F FA"),
    ("!A", "S R F  SEC SE SC U E C SU"), ("!U", "SEC SE SC E C SAEC"), ("!SU", "SEC SE SC SAEC"), ("!UA",
    "SEC SE SC U E C SAEC SU"),
    ("!F,SA", "S SA R RA SEC SE SC SAEC SU"), ("0", ""), ("+0", ""), ("!0", "S SA A PA R RA F FA SEC SE SC U E C SAEC UA SU"),
    ("0S", "S"),
    ("S,12", "S SEC SE SC"), ("S,C", "S SC"), ("S12", "SEC"), ("1", "C"), ("2", "E"), ("0,12", ""), ("SA,A", None), ("S,S", None),
])
def test_flags(text, expected):
    conditions = plan(f"flags:{text};").conditions
    alerted = [each for each in PACKETS if holds(conditions, sum(LETTERS[letter] for letter in each))]
    assert alerted == ([] if expected is None else expected.split(" "))


@pytest.mark.parametrize("text", ["s", "X", "+*S", "!S*A", "+", "S A", "S,0", "S,!A", "S,", "S,A,U", ""])
def test_flags_that_are_malformed(text):
    malformed(f"flags:{text};")


FRAGMENTS = {"": 0, "M": 0x2000, "D": 0x4000, "R": 0x8000, "MD": 0x6000, "DR": 0xC000, "MDR": 0xE000}


@pytest.mark.parametrize("text, expected", [
    ("M", ["M"]), ("R", ["R"]), ("MD", ["MD"]), ("MMD", ["MD"]), ("+M", ["MD", "MDR"]), ("+MD", ["MDR"]), ("+D", ["MD", "DR",
    "MDR"]),
    ("*D", ["D", "MD", "DR", "MDR"]), ("!M", ["", "D", "R", "DR"]), ("!MD", ["", "M", "D", "R", "DR"]),
])
def test_fragbits(text, expected):
    conditions = plan(f"fragbits:{text};", "ip").conditions
    assert [name for name, bits in FRAGMENTS.items() if holds(conditions, bits)] == expected


def test_fragbits_that_mean_less_than_they_say():
    refused("fragbits:M+;")         # Suricata does not look at what stands behind the letters
    refused("fragbits:+MDR;")
    malformed("fragbits:X;")


@pytest.mark.parametrize("keyword, field, proto", [("ttl", "ttl", "ip"), ("itype", "itype", "icmp"), ("icode", "icode", "icmp"),
                                                   ("tcp.mss", "tcp.mss", "tcp"), ("icmpv6.mtu", "icmpv6.mtu", "icmpv6")])
def test_comparisons(keyword, field, proto):
    assert plan(f"{keyword}:5<>9;", proto).conditions == [Number(field, ((6, 8),))]
    assert plan(f"{keyword}: < 5;", proto).conditions == [Number(field, ((0, 4),))]
    malformed(f"{keyword}:5:9;", proto)


@pytest.mark.parametrize("keyword, field", [("id", "ip.id"), ("seq", "seq"), ("tcp.seq", "seq"), ("ack", "ack"), ("tcp.ack",
    "ack"),
                                            ("window", "window"), ("tcp.window", "window"), ("icmp_id", "icmp_id"), ("icmp_seq",
                                            "icmp_seq")])
def test_equalities(keyword, field):
    assert plan(f"{keyword}:5;").conditions == [Number(field, ((5, 5),))]
    malformed(f"{keyword}:<5;")
    malformed(f"{keyword}:4294967296;")


def test_the_others():
    assert plan("window:!5;").conditions == [Number("window", ((0, 4), (6, 65535)))]
    assert plan("tos:x10; tos:!0;").conditions == [Number("tos", ((16, 16),)), Number("tos", ((1, 255),))]
    assert plan("fragoffset:>4; fragoffset:<9;", "ip").conditions == [Number("fragoffset", ((5, 8191),)), Number("fragoffset",
        ((0, 8),))]
    assert plan("ip_proto:UDP;", "ip").conditions == [Number("ip_proto", ((17, 17),))]
    assert plan("ip_proto:!6; ip_proto:!17;", "ip").conditions == [Number("ip_proto", ((0, 5), (7, 255))), Number("ip_proto",
        ((0, 16), (18, 255)))]
    assert plan("sameip; ipopts:RR;").conditions == [Presence("sameip"), Presence("ipopts:rr")]


@pytest.mark.parametrize("options, proto", [("ip_proto:6;", "tcp"), ("ip_proto:6; ip_proto:17;", "ip"), ("ip_proto:TcP;", "ip"),
    ("ip_proto:256;", "ip"),
                                            ("ip_proto:>3; ip_proto:>4;", "ip"), ("ipopts:qs;", "ip"), ("sameip:x;", "ip"),
                                            ("tos:256;", "ip"),
                                            ("fragoffset:!5;", "ip"), ("fragoffset:5-9;", "ip"), ("ttl:256;", "ip"),
                                            ("ttl:>255;", "ip")])
def test_the_others_malformed(options, proto):
    malformed(options, proto)


def test_events():
    assert plan("decode-event:ipv4.pkt_too_small;", "pkthdr").conditions == [HasEvent("decoder.ipv4.pkt_too_small")]
    assert plan("engine-event:decoder.IPV4.pkt_too_small;", "pkthdr").conditions == [HasEvent("decoder.ipv4.pkt_too_small")]
    assert "decoder.foo" in refused("decode-event:foo;", "pkthdr")
    rule = "alert pkthdr any any -> any any (decode-event:foo; sid:1;)"
    assert RuleSet.parse(rule, event_names=["decoder.foo"]).exact == 1


@given(st.sampled_from(["", "=", "!", "!=", "<", "<=", ">", ">="]), st.integers(0, 300), st.integers(0, 255))
def test_unsigned_against_the_operator(op, number, value):
    compare = {"": value == number, "=": value == number, "!": value != number, "!=": value != number, "<": value < number,
               "<=": value <= number, ">": value > number, ">=": value >= number}[op]
    try:
        ranges = unsigned(f"{op}{number}", 0, 255)
    except RuleError:
        assert number > 255 or (op, number) in {("<", 0), (">=", 0), (">", 255), ("<=", 255)}
        return
    assert any(low <= value <= high for low, high in ranges) == compare
