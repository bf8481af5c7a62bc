"""Quarantine: what a workload is, the table of ranges, and what becomes of packets, flows and offloads."""
from __future__ import annotations

import ipaddress
import json
import logging
import threading
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from captures import conversation, ethernet, fragments, ipv4, ipv6, tcp, udp, write_pcap
from hypothesis import given
from hypothesis import strategies as st
from runs import assert_ledger, rules_of

import fastpath as fp
from fastpath.control import isolation as isolation_module
from fastpath.control.isolation import FOREVER, Isolation, merge
from fastpath.outputs.eve import EveWriter

START = 1_700_000_000
SECOND = 1_000_000_000
GET = 'alert tcp any any -> any any (msg:"get"; content:"GET "; depth:4; sid:1;)'
BYPASS = 'alert udp any any -> any any (msg:"leave it"; content:"bypass"; bypass; sid:1;)'


def reasons(verdicts: fp.Verdicts) -> list[str]:
    return [verdicts.reasons[code] for code in verdicts.reason]


# ---- what a workload is ----

@pytest.mark.parametrize("workload, networks, name", [
    ("10.0.0.7", ["10.0.0.7/32"], "10.0.0.7"),
    ("10.0.0.7/8", ["10.0.0.0/8"], "10.0.0.7/8"),
    ("2001:db8::/32", ["2001:db8::/32"], "2001:db8::/32"),
    (ipaddress.ip_address("::1"), ["::1/128"], "::1"),
    (ipaddress.ip_network("10.0.0.0/31"), ["10.0.0.0/31"], "10.0.0.0/31"),
    (["10.0.0.1", "10.0.0.0", "::2"], ["10.0.0.0/31", "::2/128"], "10.0.0.0, 10.0.0.1, ::2"),
    (SimpleNamespace(name="db", addresses=["10.1.0.0/16"]), ["10.1.0.0/16"], "db"),
    (SimpleNamespace(addresses=["10.1.0.0/16"]), ["10.1.0.0/16"], "10.1.0.0/16"),
])
def test_workloads(workload, networks, name):
    made = Isolation.of(workload)
    assert ([str(one) for one in made.networks], made.workload) == (networks, name)


def test_a_name_is_looked_up_in_the_policy():
    known = {"db": SimpleNamespace(name="db", addresses=["10.1.0.9"])}
    assert Isolation.of("db", resolve=known.get).networks == (ipaddress.ip_network("10.1.0.9"),)


@pytest.mark.parametrize("workload, until, error, message", [
    ("web", None, ValueError, "an address, a network or a name that the policy has, not 'web'"),
    ("10.0.0.300", None, ValueError, "not '10.0.0.300'"), ([], None, ValueError, "no address to isolate"),
    (5, None, TypeError, "a workload must be an address"), (b"10.0.0.1", None, TypeError, "not bytes"),
    ("10.0.0.1", "tomorrow", TypeError, "until: a stamp must be a number"),
    ("10.0.0.1", -1, ValueError, "lies outside 1970"), ("10.0.0.1", datetime(2026, 1, 1), ValueError, "must know its time zone"),
])
def test_faults_of_orders(workload, until, error, message):
    with fp.Engine() as engine, pytest.raises(error, match=message):
        engine.isolate(workload, until)


def test_until_is_ns_seconds_or_a_datetime():
    assert {Isolation.of("::1", until).until for until in (START * SECOND, float(START), datetime.fromtimestamp(START, UTC))} == {START * SECOND}


# ---- the table ----

@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.sampled_from([5, 9, FOREVER])), max_size=8))
def test_merged_ranges_say_of_each_address_how_long(drawn):
    ranges = [(low, low + size, until) for low, size, until in drawn]
    merged = merge(ranges)
    for address in range(60):
        wanted = max((until for low, high, until in ranges if low <= address <= high), default=0)
        assert sum(until for low, high, until in merged if low <= address <= high) == wanted
    assert all(one[1] < two[0] for one, two in zip(merged, merged[1:], strict=False))
    assert not any(one[1] + 1 == two[0] and one[2] == two[2] for one, two in zip(merged, merged[1:], strict=False))


def test_more_than_fit_are_refused_whole(monkeypatch):
    monkeypatch.setattr(isolation_module, "RANGES_MAX", 2)
    with fp.Engine(mode="ips") as engine:
        engine.isolate("10.0.0.1")
        engine.isolate("10.0.0.2")              # beside the first: one range
        with pytest.raises(ValueError, match="no room: 3 ranges of addresses, and 2 can"):
            engine.isolate(["10.0.0.9", "10.0.0.99"])
        assert [one.workload for one in engine.isolated] == ["10.0.0.1", "10.0.0.2"]
        assert reasons(engine.inspect([udp(b"a", src="10.0.0.9", dst="10.0.0.8"), udp(b"a")])) == ["none", "isolated"]
        assert engine.stats["exceptions"] == {"isolations_refused": 1}


def test_many_addresses_agree_with_a_naive_search():
    rng = np.random.default_rng(5)
    isolated = [f"10.{a}.{b}.0/{bits}" for a, b, bits in rng.integers([0, 0, 20], [40, 256, 33], (300, 3))]
    isolated += [f"2001:db8:{a:x}::/{bits}" for a, bits in rng.integers([0, 40], [400, 129], (100, 2))]
    networks = [ipaddress.ip_network(one, strict=False) for one in isolated]
    asked = [ipaddress.ip_address(f"10.{a}.{b}.{c}") for a, b, c in rng.integers(0, [42, 256, 256], (400, 3))]
    asked += [ipaddress.ip_address(f"2001:db8:{a:x}::{b:x}") for a, b in rng.integers(0, [500, 3], (200, 2))]
    asked += [edge for network in networks[::7] for edge in (network.network_address, network.broadcast_address)]
    packets = [udp(b"a", src=str(one), dst="192.0.2.1") if one.version == 4
               else ethernet(ipv6(17, b"\0\x35\0\x35\0\x08\0\0", src=str(one)), 0x86DD) for one in asked]
    with fp.Engine(mode="ips") as engine:
        engine.isolate(isolated)
        found = engine.inspect(packets).action == fp.Action.DROP
    assert found.tolist() == [any(one in network for network in networks if network.version == one.version) for one in asked]


# ---- packets ----

@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode, action", [("ids", fp.Action.PASS), ("ips", fp.Action.DROP)])
def test_the_next_packet_of_every_flow(mode, action, workers):
    frames = conversation([(b"GET /a", b"ok"), (b"GET /b", b"ok")], src="10.0.0.7")
    with fp.Engine(rules_of(GET), mode=mode, workers=workers) as engine:
        assert reasons(engine.inspect(frames[:4])) == ["none"] * 4
        engine.isolate("10.0.0.7", why="odd traffic")
        cut = engine.inspect([*frames[4:8], udp(b"a"), udp(b"a", src="10.0.0.7"), udp(b"a", dst="10.0.0.7")])
        assert cut.action.tolist() == [action] * 4 + [0] + [action] * 2
        assert reasons(cut) == ["isolated"] * 4 + ["none"] + ["isolated"] * 2
        assert len(cut.alerts) == (1 if mode == "ids" else 0)
        engine.release("10.0.0.7")
        after = engine.inspect(frames[4:])          # sent again, as what was dropped is
        assert set(reasons(after)) == {"none"} and len(after.alerts) >= 1
        stats = engine.stats
        assert_ledger(stats)
        assert stats["reasons"]["isolated"] == 6
        assert stats["ledger"]["dropped"]["packets"] == (6 if mode == "ips" else 0)
        assert [(order.kind, order.ordinal) for order in engine.orders] == [("isolate", 5), ("release", 12)]


def test_what_was_dropped_has_not_been_seen():
    """The end points did not get it, so the stream must not hold it for seen: sent again after the release, it alerts."""
    frames = conversation([(b"GET /a", b"ok")])
    with fp.Engine(rules_of('alert tcp any any -> any any (msg:"get"; flow:established,to_server; content:"GET /a"; sid:1;)'), mode="ips") as engine:
        engine.inspect(frames[:3])
        engine.isolate("10.0.0.1")
        assert len(engine.inspect(frames[3:5]).alerts) == 0
        engine.release("10.0.0.1")
        assert len(engine.inspect(frames[3:]).alerts) == 1


def test_fragments_tunnels_and_quoted_flows():
    whole = udp(b"x" * 64, src="10.0.0.7")[34:]
    inner = udp(b"a", src="10.0.0.7")[14:]
    quoting = ethernet(ipv4(1, b"\x03\x01\0\0\0\0\0\0" + udp(b"a", src="10.0.0.7")[14:42], src="10.0.0.254", dst="10.0.0.3"))
    packets = [*fragments(17, whole, [24], src="10.0.0.7", dst="10.0.0.2"), ethernet(ipv4(4, inner, src="192.0.2.1", dst="192.0.2.2")),
               quoting, ethernet(ipv6(58, b"\x80\0\0\0\0\0\0\0", src="2001:db8::7"), 0x86DD), udp(b"a")]
    with fp.Engine(mode="ips") as engine:
        engine.isolate(["10.0.0.7", "2001:db8::7"])
        assert engine.inspect(packets).action.tolist() == [1] * 5 + [0]


def test_a_malformed_packet_of_a_workload_is_dropped_too():
    broken = bytearray(tcp(b"", src="10.0.0.7"))
    broken[46] = 0x10           # a TCP header of 4 bytes
    with fp.Engine(mode="ips") as engine:
        engine.isolate("10.0.0.7")
        assert engine.inspect([bytes(broken)]).action.tolist() == [fp.Action.DROP]


@pytest.mark.parametrize("mode", ["ids", "ips"])
def test_open_offloads_are_deleted_and_none_are_made(mode):
    with fp.Engine(rules_of(BYPASS), mode=mode, device=fp.Device(sessions=1 << 20, idle_timeout=1000.0)) as engine:
        clock = iter(range(START, START + 100, 2))

        def seen(host: int, data: bytes = b"on") -> list[str]:
            """A datagram, then another two seconds later: the batch has closed between them."""
            found = []
            for _ in range(2):
                found += reasons(engine.inspect([udp(data, src=f"10.0.0.{host}")], ts=float(next(clock))))
            return found

        for host in (7, 8):
            assert seen(host, b"bypass") == ["none", "offloaded: forward"]
        engine.inspect([udp(b"bypass", src="10.0.0.7", sport=7)], ts=float(next(clock)))      # asked for: the batch is open
        assert engine.stats["device"]["sessions"] == 2
        engine.isolate("10.0.0.7")
        assert seen(9) == ["none", "none"]
        assert engine.stats["device"]["sessions"] == 1
        assert engine.orders[0].offloads_deleted == 1
        assert seen(7, b"bypass") == ["isolated"] * 2
        assert engine.stats["device"]["sessions"] == 1
        assert seen(8) == ["offloaded: forward"] * 2
        engine.release("10.0.0.7")
        assert seen(7, b"bypass") == ["none", "offloaded: forward"]
        assert engine.stats["device"]["sessions"] == 2


def test_a_session_from_outside_is_deleted_too():
    with fp.Engine(mode="ips", device=fp.Device(sessions=1 << 20, idle_timeout=1000.0)) as engine:
        engine.inspect([udp(b"a", src="10.9.9.9", dst="10.8.8.8")])
        for number, host in enumerate((7, 8)):
            engine.device.add([fp.SessionRequest(number + 1, f"10.0.0.{host}", 40000, "10.0.0.2", 53, "udp")])
        engine.isolate("10.0.0.7")
        engine.inspect([udp(b"a", src="10.9.9.9", dst="10.8.8.8")])
        assert [session.id for session in engine.device] == [2]
        assert engine.orders[0].offloads_deleted == 1


def test_until_is_packet_time():
    packets = [(float(START + i), udp(b"a")) for i in range(6)]
    with fp.Engine(mode="ips") as engine:
        engine.isolate("10.0.0.1", until=START + 3.0)
        assert engine.inspect(packets).action.tolist() == [1, 1, 1, 0, 0, 0]
        engine.tick(START + 6.0)
        assert engine.isolated == ()
        engine.inspect([(START + 7.0, udp(b"a"))])
        assert [(order.kind, order.time) for order in engine.orders] == [("isolate", 0), ("expire", (START + 3) * SECOND)]


def test_the_latest_order_about_a_workload_holds():
    with fp.Engine(mode="ips") as engine:
        engine.isolate("10.0.0.1", until=START + 1.0)
        engine.isolate("10.0.0.1/32", until=START + 3.0, why="longer")
        assert [one.why for one in engine.isolated] == ["longer"]
        assert engine.inspect([(float(START + i), udp(b"a")) for i in range(4)]).action.tolist() == [1, 1, 1, 0]


def test_release_of_what_is_not_isolated():
    with fp.Engine() as engine:
        engine.isolate("10.0.0.0/24")
        with pytest.raises(LookupError, match=r"10.0.0.1 is not isolated; isolated are 10.0.0.0/24"):
            engine.release("10.0.0.1")
        engine.release("10.0.0.9/24")
        assert engine.isolated == ()


def test_it_survives_a_reload():
    with fp.Engine(rules_of(GET), mode="ips") as engine:
        engine.isolate("10.0.0.1")
        engine.inspect([udp(b"a")])
        engine.reload(rules_of(BYPASS))
        assert reasons(engine.inspect([udp(b"a")])) == ["isolated"]


def test_replays_begin_isolated_and_say_so(tmp_path, caplog):
    caplog.set_level(logging.INFO, "fastpath.control")
    path = write_pcap(tmp_path / "a.pcap", [udp(b"a"), udp(b"b", src="10.9.9.9", dst="10.8.8.8")])
    out = BytesIO()
    with fp.Engine(mode="ips") as engine:
        engine.isolate("10.0.0.1", until=float(START + 60), why="it scans")
        result = engine.replay(path, sinks=[EveWriter(out, mode="ips")])
    assert result.stats["reasons"] == {"isolated": 1, "none": 1}
    [line] = map(json.loads, out.getvalue().splitlines())
    assert line["event_type"] == "isolation" and line["isolation"] == {
        "ordinal": 1, "action": "isolate", "workload": "10.0.0.1", "addresses": ["10.0.0.1/32"], "until": "2023-11-14T22:14:20.000000+0000",
        "why": "it scans", "offloads_deleted": 0}
    assert "isolate 10.0.0.1 from packet 1 on: it scans" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_an_order_reaches_a_replay_that_runs(tmp_path, workers):
    """Given from another thread between two steps, or within one: what follows is cut, nothing is lost."""
    path = write_pcap(tmp_path / "a.pcap", [udp(b"a", sport=1024 + i % 5000) for i in range(200_000)])
    with fp.Engine(rules_of(GET), mode="ips", workers=workers) as engine:
        given = threading.Event()

        def order():
            given.wait()
            engine.isolate("10.0.0.1")

        thread = threading.Thread(target=order)
        thread.start()

        def progress(at):
            given.set()
            thread.join()
        result = engine.replay(path, progress=progress)
    [order] = engine.orders
    assert 1 < order.ordinal <= 200_000
    assert_ledger(result.stats)
    assert result.stats["reasons"] == {"none": order.ordinal - 1, "isolated": 200_001 - order.ordinal}
