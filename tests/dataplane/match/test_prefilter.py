"""Which rules become candidates: against bytes.find, against python-hyperscan, and by protocol, direction and port."""
from __future__ import annotations

from random import Random

import pytest
from captures import ethernet, ipv4, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import ANY_PORT, plan

from fastpath.dataplane.match.prefilter import compile_literals, scan_literals
from fastpath.dataplane.trial import Trial
from fastpath.rules.compile import compile_rules
from fastpath.rules.plan import AddressSet, Content, FlowState, HasEvent, Number, PortSet

ALPHABETS = (b"ab", b"aAbB.", b"\x00\x01\xff", bytes(range(256)))


def literal(choice: Random) -> tuple[bytes, bool]:
    return bytes(choice.choices(choice.choice(ALPHABETS), k=choice.randint(2, 10))), choice.random() < 0.4


def literals(seed: int, count: int) -> list[tuple[bytes, bool]]:
    choice = Random(seed)
    known: dict[bytes, bool] = {}
    while len(known) < count:
        text, nocase = literal(choice)
        known.setdefault(text.lower() if nocase else text, nocase)
    return list(known.items())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 40, 300]))
def test_candidates_are_the_rules_whose_pattern_is_there(seed, count):
    patterns = literals(seed, count)
    choice = Random(seed + 1)
    texts = [b"".join(choice.choice(patterns)[0] if choice.random() < 0.5 else literal(choice)[0] for _ in range(choice.randint(0, 12)))
             for _ in range(20)]
    trial = Trial(compile_rules([plan([Content(text, nocase=nocase)], sid=i + 1) for i, (text, nocase) in enumerate(patterns)]))
    for text, found in zip(texts, trial.candidates([udp(text) for text in texts])):
        assert found == [i for i, (pattern, nocase) in enumerate(patterns) if pattern in (text.lower() if nocase else text)]


def test_against_python_hyperscan():
    hyperscan = pytest.importorskip("hyperscan")
    patterns = literals(7, 600)
    choice = Random(8)
    data = b"".join(choice.choice(patterns)[0] + bytes(choice.choices(ALPHABETS[3], k=3)) for _ in range(400))
    ours = scan_literals(compile_literals([p for p, _ in patterns], [n for _, n in patterns], once=False), data, len(patterns))
    theirs = [0] * len(patterns)
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=["".join(f"\\x{byte:02x}" for byte in p).encode() for p, _ in patterns], ids=range(len(patterns)),
                     flags=[hyperscan.HS_FLAG_DOTALL | (hyperscan.HS_FLAG_CASELESS if n else 0) for _, n in patterns])

    def count(pattern, start, end, flags, context):
        theirs[pattern] += 1
    database.scan(data, match_event_handler=count)
    assert ours == theirs
    assert sum(ours) > 100


def test_a_pattern_is_reported_once_a_scan():
    assert scan_literals(compile_literals([b"ab", b"xy"], [False, False]), b"ab ab ab", 2) == [1, 0]


def test_refused_by_hyperscan():
    with pytest.raises(ValueError, match="elements"):
        compile_literals([], [])
    with pytest.raises(ValueError, match="not a database"):
        scan_literals(b"nothing of the kind", b"x", 1)


def test_groups_by_protocol_direction_and_port():
    plans = [plan(proto="tcp", dport=PortSet(((80, 80),)), conditions=[Number("ttl", ((0, 255),))], sid=1),
             plan(proto="tcp", dport=PortSet(((1, 79), (81, 65535))), conditions=[Number("ttl", ((0, 255),))], sid=2),
             plan(proto="udp", sport=PortSet(((53, 53),)), conditions=[Number("ttl", ((0, 255),))], sid=3),
             plan(proto="icmp", conditions=[Number("ttl", ((0, 255),))], sid=4),
             plan(proto="ip", conditions=[Number("ip_proto", ((47, 47),)), Number("ttl", ((0, 255),))], sid=5),
             plan(proto="udp", conditions=[FlowState("to_client")], sid=6), plan(proto="pkthdr", conditions=[HasEvent("odd")], sid=7)]
    trial = Trial(compile_rules(plans, {"odd": 3}, {"spare": (0, 0)}))
    packets = [tcp(dport=80), tcp(dport=81), tcp(dport=0), udp(b"", sport=53), ethernet(ipv4(1, b"\x08\0\xf7\xff\0\0\0\0")),
               ethernet(ipv4(47, b"\0\0\x08\0" + b"\x45" * 20)), udp(b"", "10.0.0.2", 53, "10.0.0.1", 53)]     # the last answers the fourth
    assert trial.candidates(packets) == [[0], [1], [], [2], [3], [4], [2, 5]]


def test_a_rule_is_grouped_by_the_servers_port():
    """To the client the server's port is the source's."""
    rule = plan(proto="udp", dport=PortSet(((7, 7),)), conditions=[Number("ttl", ((0, 255),))])
    trial = Trial(compile_rules([rule]))
    assert trial.candidates([udp(b"", "10.0.0.1", 9, "10.0.0.2", 7), udp(b"", "10.0.0.2", 7, "10.0.0.1", 9),
                             udp(b"", "10.0.0.1", 9, "10.0.0.2", 7)]) == [[0], [0], [0]]
    assert [bool(found) for found in trial.match([udp(b"", "10.0.0.2", 7, "10.0.0.1", 9)])] == [False]


def test_merged_groups_change_nothing():
    """With room for one group a direction, every port meets every rule, and confirm sorts them out."""
    plans = [plan([Content(b"xyz")], dport=PortSet(((port, port),)), sid=port) for port in range(1, 40)]
    packets = [udp(b"xyz", dport=port) for port in range(1, 45)]
    one, some = Trial(compile_rules(plans, options={"groups": (1, 1)})), Trial(compile_rules(plans))
    many = Trial(compile_rules(plans, options={"spare": (0, 0)}))
    assert one.match(packets) == some.match(packets) == many.match(packets)
    assert one.database.groups < some.database.groups < many.database.groups
    assert [len(found) for found in many.match(packets)] == [1] * 39 + [0] * 5


def test_rules_without_pattern_need_payload_only_if_they_look_at_it():
    trial = Trial(compile_rules([plan([Content(b"x", negated=True)], sid=1), plan(conditions=[Number("dsize", ((0, 0),))], sid=2)]))
    assert trial.candidates([udp(b""), udp(b"y")]) == [[1], [0, 1]]
    assert trial.match([udp(b""), udp(b"y")]) == [[(1, {"alert"})], [(0, {"alert"})]]


def address(text: str) -> AddressSet:
    first, last = (sum(int(part) << shift for part, shift in zip(end.split("."), (24, 16, 8, 0))) for end in text.split("-"))
    return AddressSet(((first, last),), ())


def test_iponly_rules_fire_once_a_direction():
    plans = [plan(src=address("10.0.0.0-10.0.0.255"), sid=1), plan(dst=address("10.0.0.2-10.0.0.2"), sid=2), plan(proto="ip", sid=3),
             plan(src=address("11.0.0.0-11.0.0.9"), sid=4), plan(dport=PortSet(((99, 99),)), sid=5)]
    trial = Trial(compile_rules(plans))
    there, back = udp(b"", "10.0.0.1", 5, "10.0.0.2", 53), udp(b"", "10.0.0.2", 53, "10.0.0.1", 5)
    assert [[rule for rule, _ in found] for found in trial.match([there, there, back, there, back])] == [[0, 1, 2], [], [0, 2], [], []]
    assert all(flags == {"alert", "flow"} for rule, flags in trial.match([udp(b"", "11.0.0.9", 1, "12.0.0.1", 99)])[0])


def test_iponly_with_a_negation_fires_on_every_packet():
    rule = plan(src=AddressSet(((0, 99), (101, 2**32 - 1)), (), negated=True))
    assert [len(found) for found in Trial(compile_rules([rule])).match([udp(b""), udp(b"")])] == [1, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_iponly_tables_against_every_rule(seed):
    """The tables by address give what trying every rule gives."""
    choice = Random(seed)

    def some():
        if choice.random() < 0.3:
            return AddressSet(((0, 2**32 - 1),), ((0, 2**128 - 1),))
        points = sorted(choice.sample(range(40), 2 * choice.randint(1, 3)))
        return AddressSet(tuple((10 << 24 | a, 10 << 24 | b) for a, b in zip(points[::2], points[1::2])), ())
    plans = [plan(proto="ip", src=some(), dst=some(), sid=i + 1) for i in range(30)]
    pairs = [(choice.randrange(45), choice.randrange(45)) for _ in range(40)]
    packets = [udp(b"", f"10.0.0.{a}", 1000 + i, f"10.0.0.{b}", 2000 + i) for i, (a, b) in enumerate(pairs)]

    def inside(addresses, last):
        return any(low <= (10 << 24 | last) <= high for low, high in addresses.v4)
    for (a, b), found in zip(pairs, Trial(compile_rules(plans)).match(packets)):
        assert [rule for rule, _ in found] == [i for i, one in enumerate(plans) if inside(one.src, a) and inside(one.dst, b)]


def test_every_port_has_its_group():
    ranges = [PortSet(((0, 10),)), PortSet(((5, 20), (65530, 65535))), ANY_PORT]
    plans = [plan([Content(b"x")], dport=ports, sid=i + 1) for i, ports in enumerate(ranges)]
    trial = Trial(compile_rules(plans, options={"spare": (0, 0)}))
    for port, expected in ((0, [0, 2]), (5, [0, 1, 2]), (10, [0, 1, 2]), (11, [1, 2]), (21, [2]), (65529, [2]), (65535, [1, 2])):
        assert trial.candidates([udp(b"x", dport=port)]) == [expected]
