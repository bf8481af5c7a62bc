"""The compiled policy says what a walk line by line says, for any policy and any packet."""
from __future__ import annotations

import random

import naive_policy as naive
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.control.policy import alprotos
from fastpath.control.policy.classes import classify
from fastpath.control.policy.compile import compile_arrays
from fastpath.control.policy.model import EVERYWHERE, SERVICES, Addresses, Line, Segment, Selector, Settings, union
from fastpath.dataplane.policy import Classifier
from fastpath.rules.plan import Place

APPS = alprotos()
TUNNELS = {0: 0, naive.VNI: 9, naive.TEID: 11}     # to enum tunnel: VXLAN, GTP-U
NAMES = ("example.com", ".example.com", ".com", "a.example.com", "example.org")


def ranges(rng, bits):
    made = []
    for _ in range(rng.randint(0, 4)):
        prefix = rng.choice([0, 3, 8, 15, 16, 17, 22, 24, 28, bits - 2, bits])
        # few distinct ones, so that they meet
        base = rng.choice([0, 10 << (bits - 8), (10 << (bits - 8)) + (1 << (bits - 16)), 2**bits - 1, 2**(bits - 1), 1 << (bits // 2), 5])
        low = base >> (bits - prefix) << (bits - prefix)
        made.append((low, low + (1 << (bits - prefix)) - 1))
    return union(made)


def made_policy(rng):
    place = Place("p.yaml", 1, 1)
    segments = [Segment("any", place, (Selector(),))]
    for number in range(rng.randint(1, 8)):
        selectors = []
        for _ in range(rng.randint(1, 2)):
            addresses = rng.choice([Addresses(ranges(rng, 32), ranges(rng, 128)), EVERYWHERE])
            vlans = rng.choice([None, None, ((0, 0),), ((100, 200),), ((150, 150), (300, 300))])
            tunnels = rng.choice([None, None, ((1 << 32 | 5000, 1 << 32 | 5001),), ((2 << 32 | 7, 2 << 32 | 9),),
                                  ((1 << 32 | 5001, 1 << 32 | 5001), (2 << 32 | 8, 2 << 32 | 8))])
            selectors.append(Selector(addresses, vlans, tunnels))
        segments.append(Segment(f"s{number}", place, tuple(selectors)))
    lines = []
    for _ in range(rng.randint(0, 12)):
        services = rng.choice([(SERVICES,), ((6 << 16, 6 << 16 | 65535),), ((6 << 16 | 80, 6 << 16 | 90),),
                               ((6 << 16 | 85, 6 << 16 | 85), (17 << 16 | 53, 17 << 16 | 53)), ((17 << 16, 17 << 16 | 65535),)])
        apps = rng.choice([None, None, frozenset(("http",)), frozenset(("tls", "ssh")), frozenset(("tls",))])
        names = frozenset(rng.sample(NAMES, rng.randint(1, 3))) if apps == frozenset(("tls",)) and rng.random() < .7 else None
        some = [tuple(rng.sample(range(len(segments)), rng.randint(1, min(3, len(segments))))) for _ in range(2)]
        lines.append(Line("", place, *some, services, apps, names, rng.choice(["allow", "allow", "deny"]), rng.choice([None, None, 100, 200])))
    return segments, lines


def packets(random_: random.Random, segments, count):
    for _ in range(count):
        version = random_.choice([4, 4, 6])
        bits = 32 if version == 4 else 128
        edges = [0, 2**bits - 1]
        for segment in segments[1:]:
            for selector in segment.selectors:
                for low, high in selector.addresses.v4 if version == 4 else selector.addresses.v6:
                    edges += [low, high, max(low - 1, 0), min(high + 1, 2**bits - 1), random_.randint(low, high)]
        tunnel = random_.choice([0, naive.VNI, naive.TEID])
        app = random_.choice([None, "http", "tls", "tls", "ssh", "smb"])
        yield naive.Packet(
            random_.choice(edges), random_.choice(edges), version, random_.choice([6, 6, 17, 1]), random_.choice([0, 53, 79, 80, 85, 90, 91, 65535]),
            random_.choice([0, 100, 150, 201, 300]), tunnel, random_.choice([4999, 5000, 5001, 7, 8, 10]) if tunnel else 0,
            random_.choice([0, 99, 100, 150, 200]), app,
            random_.choice([None, "", "example.com", "A.Example.com", "b.a.example.com", "xexample.com", ".example.com", "org", "example.org."])
            if app == "tls" else "" if app else None, random_.choice([False, True]))


def told(classifier, packet):
    size = 4 if packet.version == 4 else 16
    return classifier.decide(
        packet.source.to_bytes(size, "big"), packet.target.to_bytes(size, "big"), packet.protocol, packet.port, second=packet.second,
        app=APPS[packet.app] if packet.app else 0, name=None if packet.name is None else packet.name.encode(), final=packet.final,
        vlan=packet.vlan, tunnel=TUNNELS[packet.tunnel], tunnel_id=packet.tunnel_id)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_compiled_agrees_with_naive(seed):
    rng = random.Random(seed)
    segments, lines = made_policy(rng)
    classes = classify(segments)
    classifier = Classifier(compile_arrays(segments, lines, Settings(), classes, APPS, lambda _: 1))
    for packet in packets(rng, segments, 60):
        # of ICMP the type stands for the port, and is the source's
        if packet.protocol == 1:
            packet = naive.Packet(packet.source, packet.target, packet.version, 1, 0, second=packet.second, final=packet.final)
        assert told(classifier, packet) == naive.decide(segments, lines, packet), packet


def test_large_policy_agrees_with_naive():
    random_ = random.Random(7)
    place = Place("p.yaml", 1, 1)
    segments = [Segment("any", place, (Selector(),))]
    for number in range(400):
        low = 10 << 24 | number << 12 | random_.randrange(4) << 8
        six = 0x20010DB8 << 96 | number << 64
        segments.append(Segment(f"s{number}", place, (Selector(Addresses(((low, low + (1 << random_.choice([0, 4, 8, 10])) - 1),),
                                                                         ((six, six + (1 << random_.choice([0, 16, 64])) - 1),))),)))
    segments.append(Segment("all", place, (Selector(Addresses(((10 << 24, (11 << 24) - 1),), ())),)))
    lines = [Line("", place, (random_.randrange(1, 402),), (random_.randrange(0, 402),),
                  ((6 << 16 | (port := random_.randrange(1000)), 6 << 16 | port + random_.randrange(20)),), action=random_.choice(["allow", "deny"]))
             for _ in range(4000)]
    classifier = Classifier(compile_arrays(segments, lines, Settings(), classify(segments), APPS, lambda _: 1))
    seen = set()
    for _ in range(1500):
        line = random_.choice(lines)
        ends = [random_.choice(random_.choice([segments[one] for one in (line.sources + line.targets) if one] or segments[1:]).selectors)
                .addresses.v4 or ((0, 2**32 - 1),) for _ in range(2)]
        packet = naive.Packet(random_.randint(*ends[0][0]), random_.randint(*ends[1][0]), port=line.services[0][0] & 0xFFFF)
        found = told(classifier, packet)
        assert found == naive.decide(segments, lines, packet)
        seen.add(found[0])
    assert seen == {"allowed", "denied"}
