"""Nothing raises on bytes: whatever stands in a packet or a file, a run ends with a ledger."""
from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from captures import read_packets, write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.strategies import LINKTYPES, traffic
from runs import MIXED_RULES, assert_ledger, replay, rules_of

import fastpath as fp

quiet = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def rules():
    return rules_of(MIXED_RULES)


@quiet
@given(packets=st.lists(st.binary(max_size=200), max_size=30), linktype=st.sampled_from(LINKTYPES) | st.integers(0, 300))
def test_random_bytes(rules, packets, linktype):
    with tempfile.TemporaryDirectory() as folder:
        result = replay(write_pcap(Path(folder) / "a.pcap", packets, linktype=linktype), rules)
    assert result.stats["packets"] == len(packets)


@quiet
@given(packets=traffic(most=4), data=st.data())
def test_damaged_file(rules, packets, data):
    """A file with bytes overwritten or missing gives what it holds; no error but those that a replay reports."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_pcap(Path(folder) / "a.pcap", packets)
        damaged = bytearray(path.read_bytes())
        for at in data.draw(st.lists(st.integers(24, max(24, len(damaged) - 1)), max_size=4)):
            if at < len(damaged):
                damaged[at] = data.draw(st.integers(0, 255))
        path.write_bytes(damaged[:data.draw(st.integers(24, len(damaged)))])
        result = replay(path, rules)
    assert result.stats["packets"] <= 1 + len(damaged) // 16


@pytest.mark.parametrize("seed", range(4))
def test_mutated_packets_of_real_captures(rules, corpus, seed):
    rng = random.Random(seed)
    found = sorted(path for path in (corpus / "pcaps").rglob("*.pcap") if path.stat().st_size < 100_000)
    with fp.Engine(rules) as engine:
        for path in rng.sample(found, 40):
            for linktype, packets in read_packets(path, most=40).items():
                mutated = []
                for packet in packets:
                    packet = bytearray(packet)
                    for _ in range(rng.randrange(1, 6)):
                        if packet:
                            packet[rng.randrange(min(len(packet), 120))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
                    mutated.append(bytes(packet[:rng.randrange(len(packet) + 1)] if rng.random() < 0.3 else packet))
                verdicts = engine.inspect(mutated, linktype=linktype)
                assert len(verdicts.action) == len(mutated)


def test_inspect_keeps_a_ledger_too(rules):
    with fp.Engine(rules) as engine:
        engine.inspect([b"", b"\0" * 14, b"\xff" * 60])
        assert_ledger(engine.stats)
        assert engine.stats["packets"] == 3
