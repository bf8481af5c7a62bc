"""flowint, xbits, hostbits and asn1 on packets: what rules keep from one packet to the next."""
from __future__ import annotations

from random import Random

import pytest
from captures import udp
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import rules_of

from fastpath.dataplane.trial import Trial
from fastpath.rules import RuleSet
from fastpath.rules.reputation import Reputations

SECOND = 10**9


def alerts(text: str, packets: list[bytes], stamps: list[int] | None = None, **memory: int) -> list[list[int]]:
    """The sids that each packet matches."""
    rules = rules_of(text)
    trial = Trial(rules.compile(), **memory)
    return [[rules.plans[rule].sid for rule, flags in found if "alert" in flags] for found in trial.match(packets, stamps=stamps)]


def test_flowint_counts():
    rules = """
    alert udp any any -> any any (content:"add"; flowint:times,+,2; noalert; sid:1;)
    alert udp any any -> any any (content:"less"; flowint:times,-,1; noalert; sid:2;)
    alert udp any any -> any any (flowint:times,>,3; content:"x"; sid:3;)
    alert udp any any -> any any (flowint:times,isset; content:"x"; sid:4;)
    alert udp any any -> any any (flowint:times,notset; content:"x"; sid:5;)
    alert udp any any -> any any (flowint:times,==,most; content:"x"; sid:6;)
    alert udp any any -> any any (content:"most"; flowint:most,=,4; noalert; sid:7;)
    """
    texts = [b"less x", b"add x", b"add x", b"most x", b"less x"]
    assert [sorted(one) for one in alerts(rules, [udp(text) for text in texts])] == [[5], [4], [3, 4], [3, 4, 6], [4]]


def test_a_flowint_belongs_to_its_flow_and_wraps():
    rules = """
    alert udp any any -> any any (content:"set"; flowint:small,=,0; noalert; sid:1;)
    alert udp any any -> any any (content:"less"; flowint:small,-,1; noalert; sid:2;)
    alert udp any any -> any any (flowint:small,>=,4294967295; sid:3;)
    """
    packets = [udp(b"set"), udp(b"less"), udp(b"x"), udp(b"x", sport=40001)]
    assert alerts(rules, packets) == [[], [3], [3], []]


@pytest.mark.parametrize("track, who", [("ip_src", [3]), ("ip_dst", []), ("ip_pair", [3])])
def test_xbits_by_whom_they_follow(track, who):
    rules = f"""
    alert udp any any -> any 1 (xbits:set,seen,track {track},expire 10; noalert; sid:1;)
    alert udp any any -> any 2 (xbits:isset,seen,track {track}; sid:3;)
    """
    packets = [udp(b"a", "10.0.0.1", 5, "10.0.0.2", 1), udp(b"a", "10.0.0.1", 5, "10.0.0.2" if track == "ip_pair" else "10.0.0.3", 2)]
    assert alerts(rules, packets)[1] == who


def test_a_pair_is_the_same_both_ways_and_hostbits_share_with_xbits():
    rules = """
    alert udp any any -> any 1 (xbits:set,pair,track ip_pair; hostbits:set,host,dst; noalert; sid:1;)
    alert udp any any -> any 2 (xbits:isset,pair,track ip_pair; sid:2;)
    alert udp any any -> any 2 (xbits:isset,host,track ip_src; sid:3;)
    """
    packets = [udp(b"a", "10.0.0.1", 5, "10.0.0.2", 1), udp(b"a", "10.0.0.2", 5, "10.0.0.1", 2)]
    assert [sorted(one) for one in alerts(rules, packets)] == [[], [2, 3]]


def test_xbits_expire_are_unset_and_toggled():
    rules = """
    alert udp any any -> any 1 (xbits:set,bit,track ip_src,expire 10; noalert; sid:1;)
    alert udp any any -> any 2 (xbits:unset,bit,track ip_src; noalert; sid:2;)
    alert udp any any -> any 3 (xbits:toggle,bit,track ip_src,expire 10; noalert; sid:3;)
    alert udp any any -> any 4 (xbits:isset,bit,track ip_src; sid:4;)
    alert udp any any -> any 4 (xbits:isnotset,bit,track ip_src; sid:5;)
    """
    steps = [(0, 1), (10, 4), (11, 4), (12, 1), (12, 2), (12, 4), (13, 3), (14, 4), (14, 3), (14, 4), (20, 1), (25, 1), (31, 4)]
    packets = [udp(b"a", sport=100 + i, dport=port) for i, (_, port) in enumerate(steps)]
    found = alerts(rules, packets, [second * SECOND for second, _ in steps])
    assert [one for one, (_, port) in zip(found, steps, strict=True) if port == 4] == [[4], [5], [5], [4], [5], [5]]


def test_xbits_are_bounded():
    rules = rules_of("alert udp any any -> any any (xbits:set,bit,track ip_src,expire 1000; content:\"a\"; sid:1;)")
    trial = Trial(rules.compile(), xbits_memory=64 * 100)
    trial.match([udp(b"a", f"10.0.{i // 250}.{i % 250 + 1}") for i in range(500)])
    assert 350 < trial.xbits_refused < 500


class Bits:
    """xbits as the guide tells them."""

    def __init__(self) -> None:
        self.until: dict[object, int] = {}

    def run(self, op: str, key: object, now: int, expire: int) -> bool:
        known = key in self.until and self.until[key] >= now
        if op in ("isset", "isnotset"):
            if not known:
                self.until.pop(key, None)
            return known == (op == "isset")
        if op == "unset" or op == "toggle" and key in self.until:
            self.until.pop(key, None)
        else:
            self.until.setdefault(key, now + expire)
        return True


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_against_a_plain_reading(seed):
    choice = Random(seed)
    ops = [(choice.choice(("set", "unset", "toggle", "isset", "isnotset")), choice.choice("ab"),
            choice.choice(("ip_src", "ip_dst", "ip_pair")), choice.choice((1, 3, 20))) for _ in range(12)]
    text = "\n".join(f'alert udp any any -> any {port} (content:"a"; xbits:{op},{name},track {track},expire {expire}; sid:{port};)'
                     for port, (op, name, track, expire) in enumerate(ops, 1))
    bits, now, packets, stamps, expected = Bits(), 0, [], [], []
    for i in range(150):
        now += choice.choice((0, 0, 1, 2))
        port = choice.randint(1, len(ops))
        src, dst = (f"10.0.0.{choice.randint(1, 3)}" for _ in range(2))
        op, name, track, expire = ops[port - 1]
        key = (name, {"ip_src": src, "ip_dst": dst, "ip_pair": frozenset((src, dst))}[track])
        packets.append(udp(b"a", src, 1000 + i, dst, port))
        stamps.append(now * SECOND)
        expected.append([port] if bits.run(op, key, now, expire) else [])
    assert alerts(text, packets, stamps) == expected


@pytest.mark.parametrize("options, payload, holds", [
    ("oversize_length 3", b"\x04\x04abcd", True), ("oversize_length 4", b"\x04\x04abcd", False),
    ("oversize_length 3", b"\x30\x06\x04\x04abcd", True), ("oversize_length 6", b"\x30\x06\x04\x04abcd", False),
    ("oversize_length 3", b"\x60\x04\x04\x02ab", True), ("oversize_length 3", b"\x04\x09abcd", False),
    ("oversize_length 300", b"\x04\x82\x01\x40" + bytes(320), True), ("oversize_length 3", b"AA\x04\x04abcd", False),
    ("absolute_offset 2, oversize_length 3", b"AA\x04\x04abcd", True), ("bitstring_overflow", b"\x03\x01\xff", True),
    ("bitstring_overflow", b"\x03\x01\x07", False), ("double_overflow", b"\x09\x82\x01\x01" + bytes([5]) * 257, True),
    ("double_overflow", b"\x09\x82\x01\x00" + bytes([5]) * 256, False), ("oversize_length 1", b"\x01\x02ab\x04\x04abcd", False),
    ("oversize_length 1", b"\x04\x01a\x04\x04abcd\x05\x01", True), ("oversize_length 1", b"\x04\x80ab", False),
])
def test_asn1(options, payload, holds):
    """User guide, asn1; elements as X.690 writes them."""
    assert alerts(f"alert udp any any -> any any (asn1:{options}; sid:1;)", [udp(payload)]) == [[1] if holds else []]


def test_asn1_begins_behind_the_content_before_it():
    rule = 'alert udp any any -> any any (content:"AA"; asn1:oversize_length 3, relative_offset {}; sid:1;)'
    assert alerts(rule.format(0), [udp(b"xAA\x04\x04abcd")]) == [[1]]
    assert alerts(rule.format(2), [udp(b"xAA..\x04\x04abcd")]) == [[1]]
    assert alerts(rule.format(-3), [udp(b"\x04\x04AAbcd")]) == [[]]
    assert alerts(rule.format(-4), [udp(b"\x04\x04AAbcd")]) == [[1]]


@pytest.mark.parametrize("payload", [b"\x30\x80", b"\x30\x82\xff\xff", b"\x1f\xff\xff\xff\xff\xff\xff", b"\x30\x02" * 100, b"\x04\x88" + b"\xff" * 8, b"\x31"])
def test_broken_elements_end_the_search(payload):
    for end in range(len(payload) + 1):
        alerts("alert udp any any -> any any (asn1:oversize_length 100000, bitstring_overflow, double_overflow; sid:1;)", [udp(payload[:end])])


@pytest.mark.parametrize("side, ports", [("src", [1, 3]), ("dst", [2, 3]), ("any", [1, 2, 3]), ("both", [3])])
def test_iprep(tmp_path, side, ports):
    (tmp_path / "categories").write_text("1,bad,Bad\n")
    (tmp_path / "list").write_text("10.0.0.1,1,50\n")
    known = Reputations.load(tmp_path / "categories", [tmp_path / "list"])
    rules = RuleSet.parse(f"alert udp any any -> any any (iprep:{side},bad,>,40; dsize:>0; sid:1;)", reputations=known)
    addresses = {1: ("10.0.0.1", "10.0.0.2"), 2: ("10.0.0.2", "10.0.0.1"), 3: ("10.0.0.1", "10.0.0.1"), 4: ("10.0.0.2", "10.0.0.2")}
    packets = [udp(b"a", src, 5, dst, port) for port, (src, dst) in addresses.items()]
    found = Trial(rules.compile()).match(packets)
    assert [port for port, one in zip(addresses, found, strict=True) if one] == ports


@pytest.mark.parametrize("side, ports", [("by_src", [2, 4]), ("by_dst", [1, 4]), ("by_either", [4])])
def test_suppressed_alerts(tmp_path, side, ports):
    (tmp_path / "threshold.config").write_text(f"suppress gen_id 1, sig_id 1, track {side}, ip 10.0.0.1\n")
    rules = RuleSet.parse("alert udp any any -> any any (dsize:>0; flowbits:set,seen; sid:1;)")
    rules.limit(tmp_path / "threshold.config")
    addresses = {1: ("10.0.0.1", "10.0.0.2"), 2: ("10.0.0.2", "10.0.0.1"), 3: ("10.0.0.1", "10.0.0.1"), 4: ("10.0.0.2", "10.0.0.2")}
    found = Trial(rules.compile()).match([udp(b"a", src, 5, dst, port) for port, (src, dst) in addresses.items()])
    assert all(len(one) == 1 for one in found)
    assert [port for port, one in zip(addresses, found, strict=True) if "alert" in one[0][1]] == ports


def test_rules_on_variables_run_in_their_order():
    """As Suricata 7.0.10 runs them: flowbits, flowints, what sets hostbits, what reads xbits, then by priority and place."""
    options = ["flowint:xx,>=,0;", "xbits:set,a,track ip_src;", "hostbits:set,a;", "xbits:isset,a,track ip_src;", "hostbits:isset,a;",
               "flowint:xx,+,1;", "flowbits:set,z;", "flowbits:isset,z;", "priority:1;", "hostbits:unset,b,dst;"]
    text = "\n".join(f'alert udp any any -> any any (content:"a"; {one} sid:{sid};)' for sid, one in enumerate(options, 1))
    assert alerts(text, [udp(b"a")]) == [[7, 8, 6, 1, 3, 10, 4, 9, 2, 5]]
