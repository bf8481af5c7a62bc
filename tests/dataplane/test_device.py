"""The emulated DPU's session table: what it takes off the inspectors, and how the ledger tells."""
from __future__ import annotations

from pathlib import Path

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


def test_until_it_is_in_force_a_flow_is_inspected(tmp_path):
    """The batch closes at the end of the second, the rate takes half a second a session, the latency another: 2.0 s."""
    packets = [(START + at, udp(b"first")) for at in (0.25, 0.5, 1.25, 1.75, 1.99, 2.01, 2.5)]
    device = fp.Device(sessions=64, insert_rate=2, insert_latency=0.5)
    result = replay(write_pcap(tmp_path / "a.pcap", packets), BYPASS, engine={"device": device}, sets=ONE_BUCKET, keep=("alerts", "packets"))
    assert list(result.packets["ledger"]) == ["inspected"] * 5 + ["offloaded"] * 2
    stats = result.stats["device"]
    assert stats["early_packets"] == 3 and stats["early_bytes"] == 3 * len(udp(b"first"))
    assert stats["waited_ns"] == 1_750_000_000


def test_sixty_four_requests_close_a_batch_at_once(tmp_path):
    packets = [(START, udp(b"first", sport=1000 + flow)) for flow in range(65)]
    packets += [(START + 0.5, udp(b"first", sport=1000 + flow)) for flow in range(65)]
    result = replay(write_pcap(tmp_path / "a.pcap", packets), BYPASS, engine={"device": fp.Device(sessions=100)}, sets=ONE_BUCKET)
    assert result.stats["ledger"]["offloaded"]["packets"] == 64
    assert result.stats["device"]["batches"] == 1 and result.stats["device"]["asked"]["rule"] == 65


def test_offloaded_bytes_are_a_gap_to_who_comes_back(tmp_path):
    """The session ages out, the segments after it find their place in the stream, and what the device took is not inspected."""
    rules = ('alert tcp any any -> any 80 (content:"GET"; dsize:3; bypass; sid:1;)\nalert tcp any any -> any any (content:"hidden"; sid:2;)\n'
             'alert tcp any any -> any any (content:"shown"; sid:3;)')
    packets = conversation([(b"GET", b"200"), (b"hidden", b"ok"), (b"shown", b"fine")])
    stamps = [0, 0.1, 0.2, 0.3, 0.4, 2, 2.1, 2.2, 2.3, 2.4, 2.5, 20, 20.1, 20.2, 20.3, 21, 21.1, 21.2]
    assert len(stamps) == len(packets)
    path = write_pcap(tmp_path / "a.pcap", [(START + at, packet) for at, packet in zip(stamps, packets, strict=True)])
    result = replay(path, rules, engine={"device": fp.Device(sessions=6400, idle_timeout=5, offload={"rule": 0})})
    assert result.stats["device"]["ended"]["timeout"] == 1
    assert 2 not in result.alerts["sid"].tolist()
    assert sorted(set(replay(path, rules.replace("bypass; ", "")).alerts["sid"].tolist())) == [1, 2, 3]
    assert result.flows["state"].tolist() == ["closed"]
    assert not [name for name in result.stats["events"] if "WINDOW" in name.upper() or "INVALID" in name.upper()]


def asked_by(path, *, rules="", mode="ids", sets=(), **offload):
    """The ledger's offloaded packets, and who asked."""
    never = dict.fromkeys(("rule", "drop", "pass", "encrypted", "depth", "elephant"))
    result = replay(path, rules, engine={"mode": mode, "device": fp.Device(sessions=64, offload=never | offload)}, sets=[*ONE_BUCKET, *sets])
    asked = {reason: count for reason, count in result.stats["device"]["asked"].items() if count}
    return result.stats["ledger"]["offloaded"]["packets"], asked


def test_asked_for_by_a_number(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", ask(b"first", b"first", b"first", b"first", b"first"))
    size = len(udp(b"first"))
    assert asked_by(path, rules=BYPASS, rule=0) == (4, {"rule": 1})
    assert asked_by(path, rules=BYPASS, rule=3) == (2, {"rule": 1})
    assert asked_by(path, rules=BYPASS) == (0, {})
    assert asked_by(path, elephant=2 * size) == (3, {"elephant": 1})
    passing = 'pass ip any any -> any any (sid:1;)\nalert udp any any -> any any (content:"none"; sid:2;)'
    assert asked_by(path, rules=passing, **{"pass": 2}) == (3, {"pass": 1})
    dropping = "drop ip any any -> any any (sid:1;)"
    assert asked_by(path, rules=dropping, mode="ips", drop=0) == (0, {"drop": 1})


def test_asked_for_by_stream_depth(tmp_path):
    packets = conversation([(b"x" * 1000, b"ok")] * 6)
    path = write_pcap(tmp_path / "a.pcap", packets, step=1.1)
    rules = 'alert tcp any any -> any any (content:"none"; sid:1;)'
    sets = ["stream.reassembly.depth=2000"]
    taken, asked = asked_by(path, rules=rules, sets=sets, depth=0)
    assert asked == {"depth": 1} and taken > 0
    later, _ = asked_by(path, rules=rules, sets=sets, depth=2000)
    assert 0 < later < taken


@pytest.mark.parametrize("name", ["tls", "ssh"])
def test_asked_for_by_encrypted_payload(tmp_path, name):
    """The demo's captures, one packet a second."""
    from captures import read_packets

    import fastpath.demo
    packets = [packet for _, stream in sorted(read_packets(Path(fastpath.demo.__file__).with_name(f"{name}.pcap")).items()) for packet in stream]
    path = write_pcap(tmp_path / "a.pcap", packets, step=1.1)
    rules = 'alert tcp any any -> any any (content:"none"; sid:1;)'
    taken, asked = asked_by(path, rules=rules, encrypted=0)
    assert set(asked) == {"encrypted"} and taken > 0
    later, _ = asked_by(path, rules=rules, encrypted=4)
    assert later < taken
    assert asked_by(path, rules=rules, encrypted_bytes=1 << 30) == (0, {})
