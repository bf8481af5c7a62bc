"""Flows: direction, state, ends, and what timeouts do; told from outside, by the rows that come out."""
from __future__ import annotations

import numpy as np
import pytest
from captures import conversation, tcp, udp, write_pcap
from runs import replay

import fastpath as fp

START = 1_700_000_000
SYN, SYN_ACK, ACK, RST = 0x02, 0x12, 0x10, 0x14


def flows(tmp_path, packets, sets=(), **engine):
    return replay(write_pcap(tmp_path / "flows.pcap", packets), sets=sets, engine=engine or None).flows


def test_the_first_packet_makes_its_sender_the_client(tmp_path):
    """Whichever end point is the lower one."""
    for src, dst in (("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")):
        rows = flows(tmp_path, [udp(b"ask", src, 5000, dst, 53), udp(b"answer!", dst, 53, src, 5000)])
        assert len(rows) == 1
        row = next(iter(rows))
        assert (row["src_ip"], row["src_port"], row["dest_ip"], row["dest_port"]) == (src, 5000, dst, 53)
        assert (row["pkts_toserver"], row["pkts_toclient"]) == (1, 1)
        assert (row["bytes_toserver"], row["bytes_toclient"]) == (len(udp(b"ask")), len(udp(b"answer!")))


@pytest.mark.parametrize("frames, state", [
    ([tcp(flags=SYN)], "new"),
    ([tcp(flags=SYN), tcp(b"", "10.0.0.2", 80, "10.0.0.1", 40000, flags=SYN_ACK)], "new"),
    (conversation([(b"GET", b"200")])[:3], "established"),
    (conversation([(b"GET", b"200")]), "closed"),
    ([*conversation([(b"GET", b"200")])[:3], tcp(flags=RST)], "closed"),
    ([tcp(b"midstream"), tcp(b"and back", "10.0.0.2", 80, "10.0.0.1", 40000)], "new"),
    ([udp(b"once")], "new"),
    ([udp(b"once"), udp(b"back", "10.0.0.2", 53, "10.0.0.1", 40000)], "established"),
], ids=["syn", "syn-ack", "handshake", "fin", "rst", "midstream", "udp", "udp both ways"])
def test_states(tmp_path, frames, state):
    rows = flows(tmp_path, frames)
    assert list(rows["state"]) == [state]


def test_a_syn_on_a_closed_session_begins_another_flow(tmp_path):
    rows = flows(tmp_path, [*conversation([(b"a", b"b")]), *conversation([(b"c", b"d")])])
    assert len(rows) == 2
    assert sorted(rows["end"]) == ["reuse", "shutdown"]
    assert len(set(rows["flow"].tolist())) == 2


@pytest.mark.parametrize("gap, expected", [(29.5, 1), (30.9, 1), (31, 2)])
def test_a_flow_that_was_idle_too_long_is_another_one(tmp_path, gap, expected):
    """UDP flows seen one way only have 30 seconds, of which whole ones count."""
    assert len(flows(tmp_path, [(START, udp(b"a")), (START + gap, udp(b"b"))])) == expected


def test_a_tick_ends_what_has_timed_out(tmp_path):
    """A packet of somebody else moves the time on; the flow ends there, not at the end of the run."""
    rows = flows(tmp_path, [(START, udp(b"a", sport=1)), (START + 100, udp(b"b", sport=2))])
    assert set(zip(rows["end"], rows["end_ordinal"].tolist())) == {("timeout", 2), ("shutdown", 2)}


def test_closed_flows_leave_by_their_own_shorter_timeout(tmp_path):
    sets = ["flow-timeouts.tcp.closed=5", "flow-timeouts.tcp.established=600"]
    packets = [(START + number * 0.01, frame) for number, frame in enumerate(conversation([(b"a", b"b")]))]
    rows = flows(tmp_path, [*packets, (START + 10, udp(b"later")), (START + 20, udp(b"later"))], sets)
    assert [(row["end"], row["end_ordinal"]) for row in rows if row["proto"] == 6] == [("timeout", len(packets) + 1)]


def test_timeouts_beyond_the_wheel_hold(tmp_path):
    """The wheel spans 1,024 seconds; a timeout of 3,000 must not end a flow at 1,024, nor keep it past 3,000."""
    sets = ["flow-timeouts.udp.new=3000"]
    early = [(START, udp(b"a", sport=1)), *((START + at, udp(b"x", sport=2)) for at in range(500, 3000, 500)), (START + 2990, udp(b"a", sport=1))]
    assert len([row for row in flows(tmp_path, early, sets) if row["src_port"] == 1]) == 1
    late = [(START, udp(b"a", sport=1)), *((START + at, udp(b"x", sport=2)) for at in range(500, 3100, 500)), (START + 3010, udp(b"a", sport=1))]
    assert len([row for row in flows(tmp_path, late, sets) if row["src_port"] == 1]) == 2


def test_time_does_not_go_back(tmp_path):
    """A packet with an old stamp neither ends nor revives anything: engine time is the running maximum."""
    rows = flows(tmp_path, [(START + 25, udp(b"a")), (START, udp(b"b", sport=9)), (START + 26, udp(b"c"))])
    assert sorted(rows["pkts_toserver"].tolist()) == [1, 2]


def test_thousands_of_flows_come_and_go(tmp_path):
    """The index grows, closes its holes and stays exact: every flow is there once, with all its packets."""
    rng = np.random.RandomState(3)
    packets, expected, at = [], {}, START
    for _ in range(6000):
        at += float(rng.exponential(0.02))
        sport = int(rng.randint(1024, 4000))
        packets.append((at, udp(b"x", sport=sport)))
        last, seen = expected.get(sport, (None, []))
        now = round(at * 1e6)
        if last is not None and now // 1_000_000 <= last // 1_000_000 + 30:
            seen[-1] += 1
        else:
            seen.append(1)
        expected[sport] = now, seen
    rows = flows(tmp_path, packets)
    found: dict[int, list[int]] = {}
    for row in sorted(rows, key=lambda row: row["first_ordinal"]):
        found.setdefault(row["src_port"], []).append(row["pkts_toserver"])
    assert found == {sport: seen for sport, (_, seen) in expected.items()}


def test_the_nearest_to_its_timeout_is_forced_out(tmp_path):
    """At the memcap the rest of the flows stays; each that had to go has a row that says so."""
    packets = [(START + number // 1000, udp(b"x", src=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"))
               for number in range(12_000)]
    result = replay(write_pcap(tmp_path / "many.pcap", packets), sets=["flow.memcap=1mb"])
    ends = list(result.flows["end"])
    assert len(ends) == 12_000
    assert ends.count("forced") > 0 and ends.count("shutdown") > 0
    forced = result.flows["first_ordinal"][np.asarray(ends) == "forced"]
    assert forced.max() < 12_000 - ends.count("shutdown") + 1000


def test_engine_tick_ends_flows():
    with fp.Engine() as engine:
        engine.inspect([udp(b"x")], ts=START * 10**9)
        assert len(engine.tick(START * 10**9 + 5 * 10**9)) == 0
        ended = engine.tick(START * 10**9 + 40 * 10**9)
        assert len(ended) == 1


def test_an_engine_that_has_replayed_begins_anew(tmp_path):
    """Whatever tables the replays before have left: many flows, few, none that was ended in order, those of another table."""
    def run(engine, name, **options):
        return engine.replay(tmp_path / name, keep=("flows",), **options)
    packets = [(START + at / 1000, udp(b"x", f"10.{at % 7}.{at >> 8}.{at & 255}", 1024 + at)) for at in range(20_000)]
    write_pcap(tmp_path / "many", packets)
    write_pcap(tmp_path / "others", [(stamp, udp(b"y", "10.9.9.9", 1024 + at % 5000)) for at, (stamp, _) in enumerate(packets)])
    write_pcap(tmp_path / "few", packets[:10])
    names = ["many", "few", "others", "many", "others", "few"]
    for workers in (1, 2):
        expected = {}
        for name in names:
            with fp.Engine(workers=workers) as engine:
                expected[name] = run(engine, name)
        with fp.Engine(workers=workers) as engine:
            for name in names:
                engine.inspect([udp(b"z", sport=at) for at in range(100)])      # by a data plane that stands all the while
                result = run(engine, name)
                assert result.digest == expected[name].digest
                assert result.stats["flows"] == expected[name].stats["flows"]
                with pytest.raises(RuntimeError, match="enough"):
                    run(engine, "many", progress=Stop())


class Stop:
    """Progress that ends a replay in its middle."""

    def __call__(self, progress):
        raise RuntimeError("enough")
