"""The emulated DPU's session table: what it takes off the inspectors, and how the ledger tells."""
from __future__ import annotations

import pytest
from captures import conversation, udp, write_pcap
from runs import assert_ledger, replay

import fastpath as fp

START = 1_700_000_000
ONE_BUCKET = ["flow.memcap=8mb"]
BYPASS = 'alert udp any any -> any 53 (msg:"seen enough"; content:"first"; bypass; sid:1;)'


def ask(*payloads, step=1.1):
    """A flow of datagrams, each in a second of its own: a batch closes at the end of the second."""
    return [(START + at * step, udp(payload)) for at, payload in enumerate(payloads)]


def test_a_bypassed_flow_is_forwarded_by_the_device(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", ask(b"first", b"second", b"third"))
    result = replay(path, BYPASS + '\nalert udp any any -> any 53 (content:"third"; sid:2;)', engine={"device": fp.Device(sessions=6400)})
    assert result.alerts["sid"].tolist() == [1]
    assert result.stats["ledger"]["offloaded"]["packets"] == 2
    assert result.flows["offloaded_pkts"].tolist() == [2]
    assert result.flows["offloaded_bytes"].tolist() == [len(udp(b"second")) + len(udp(b"third"))]
    assert_ledger(result.stats)


def test_without_a_device_the_engine_bypasses_by_itself(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", ask(b"first", b"second"))
    assert replay(path, BYPASS).stats["ledger"]["offloaded"]["packets"] == 1


def test_a_full_table_refuses_a_batch_whole(tmp_path):
    """One bucket, 100 places, 200 flows: a batch of 64 fits, two do not, and of the last 8 requests nothing is asked again before
    the tick. Whoever is refused is inspected on and alerts again."""
    packets = [(START + turn, udp(b"first", sport=1000 + flow)) for turn in range(3) for flow in range(200)]
    result = replay(write_pcap(tmp_path / "a.pcap", packets), BYPASS, engine={"device": fp.Device(sessions=100)}, sets=ONE_BUCKET)
    device = result.stats["device"]
    assert device["added"] == 64 and device["full"] == 3 * 64 and device["full_batches"] == 3
    assert device["asked"]["rule"] == 64 * 4
    assert result.stats["ledger"]["offloaded"]["packets"] == 2 * 64
    assert len(result.alerts) == 600 - 2 * 64


def test_a_session_ages_out_and_the_flow_is_inspected_again(tmp_path):
    packets = [(START, udp(b"first")), (START + 1, udp(b"second")), (START + 9, udp(b"first")), (START + 10.5, udp(b"x"))]
    result = replay(write_pcap(tmp_path / "a.pcap", packets), BYPASS, engine={"device": fp.Device(sessions=6400, idle_timeout=5)})
    assert result.stats["device"]["ended"]["timeout"] == 1
    assert result.stats["device"]["added"] == 2
    assert result.alerts["sid"].tolist() == [1, 1]


def test_tcp_control_segments_always_reach_the_inspectors(tmp_path):
    rule = 'alert tcp any any -> any 80 (content:"GET"; dsize:3; bypass; sid:1;)\nalert tcp any any -> any any (flags:F+; sid:2;)'
    packets = conversation([(b"GET", b"200"), (b"more", b"and more")])
    path = write_pcap(tmp_path / "a.pcap", packets, step=1.1)
    result = replay(path, rule, engine={"device": fp.Device(sessions=6400)})
    assert sorted(result.alerts["sid"].tolist()) == [1, 2, 2]
    assert result.stats["ledger"]["offloaded"]["packets"] == 7
    assert result.stats["device"]["ended"]["finack"] == 1


@pytest.mark.parametrize("sessions", [0, 6400])
def test_a_dropped_flow_is_dropped_by_the_device(tmp_path, sessions):
    """The reason differs, the fate does not."""
    rule = 'drop udp any any -> any 53 (content:"first"; sid:1;)\ndrop ip any any -> 10.0.0.2 any (sid:2;)'
    path = write_pcap(tmp_path / "a.pcap", ask(b"first", b"second", b"third"))
    engine = {"mode": "ips", "device": fp.Device(sessions=sessions) if sessions else None}
    result = replay(path, rule, engine=engine)
    assert result.stats["ledger"]["dropped"]["packets"] == 3
    assert result.stats["device"]["added"] == (1 if sessions else 0)
    assert result.flows["dropped_pkts"].tolist() == [3]
