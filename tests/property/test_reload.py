"""A reload is whole or not at all: from one packet on, with no packet lost and every flow kept, whatever bursts, workers and threads do."""
from __future__ import annotations

import tempfile
import threading
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from captures import conversation, udp, write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.strategies import traffic
from runs import MIXED_RULES, assert_ledger, rules_of

import fastpath as fp

quiet = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
GRID = ((256, 1), (1, 1), (7, 1), (128, 2), (256, 2), (7, 4), (256, 4))
OTHER_RULES = MIXED_RULES.replace("sid:", "sid:1").replace("alert tcp", "drop tcp", 2)
POLICY = """
version: 1
segments:
  hosts: [10.0.0.0/8]
lines:
  - {from: hosts, to: hosts, protocol: udp, ports: [53]}
  - {from: hosts, to: hosts, protocol: tcp, ports: [80]}
"""


@pytest.fixture(scope="module")
def sets():
    return rules_of(MIXED_RULES), rules_of(OTHER_RULES)


def pair(first: int) -> fp.RuleSet:
    """Two rules that every UDP datagram matches."""
    return rules_of("".join(f'alert udp any any -> any any (msg:"{sid}"; dsize:>0; sid:{sid};)\n' for sid in (first, first + 10)))


def sids_by_packet(alerts: fp.Columns) -> dict[int, set[int]]:
    found = defaultdict(set)
    for ordinal, sid in zip(alerts["ordinal"].tolist(), alerts["sid"].tolist(), strict=True):
        found[ordinal].add(sid)
    return found


@quiet
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]), data=st.data())
def test_bursts_and_workers_change_nothing(sets, packets, mode, data):
    """Rules, policy and device, each or together, at some packets of the capture."""
    policy = fp.Policy.parse(POLICY)
    choice = st.lists(st.sampled_from([sets[0], sets[1], policy, fp.Device(5), fp.Device(1000, idle_timeout=1.0)]), min_size=1, max_size=3)
    reload_at = data.draw(st.dictionaries(st.integers(1, len(packets)), choice, min_size=1, max_size=3))
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        path = write_pcap(Path(folder) / "a.pcap", packets)
        for burst, workers in GRID:
            with fp.Engine(sets[0], mode=mode, burst=burst, workers=workers) as engine:
                result = engine.replay(path, reload_at=reload_at)
            assert_ledger(result.stats)
            assert result.stats["packets"] == len(packets)
            digests.add(result.digest)
    assert len(digests) == 1


@pytest.mark.parametrize("burst, workers", GRID)
@pytest.mark.parametrize("at", [1, 2, 100, 128, 129, 1000])
def test_it_is_in_force_from_that_packet_on(tmp_path, burst, workers, at):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x", sport=1024 + i % 50) for i in range(1000)])
    with fp.Engine(pair(1), burst=burst, workers=workers) as engine:
        result = engine.replay(path, reload_at={at: pair(2)})
        assert [(order.kind, order.ordinal, order.what) for order in engine.orders] == [("reload", at, ("rules",))]
    found = sids_by_packet(result.alerts)
    assert all(found[ordinal] == ({1, 11} if ordinal < at else {2, 12}) for ordinal in range(1, 1001))
    assert len(result.flows) == 50


def test_several_captures_count_on(tmp_path):
    paths = [write_pcap(tmp_path / f"{name}.pcap", [udp(b"x")] * 10) for name in "ab"]
    with fp.Engine(pair(1)) as engine:
        found = sids_by_packet(engine.replay(paths, reload_at={11: pair(2), 15: pair(3)}).alerts)
    assert [min(found[ordinal]) for ordinal in range(1, 21)] == [1] * 10 + [2] * 4 + [3] * 6


@pytest.mark.parametrize("workers", [1, 2])
def test_under_load_every_packet_is_judged_by_one_set(tmp_path, workers):
    """One thread replays, another reloads fifty times: each packet has the alerts of one whole set, and the sets change where the
    orders say."""
    count = 60_000
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x", sport=1024 + i % 977) for i in range(count)])
    sets = [pair(1), pair(2)]
    given_orders, replays = 0, 0
    with fp.Engine(sets[0], workers=workers) as engine:
        done = threading.Event()

        def reload() -> None:
            for turn in range(50):
                engine.reload(sets[(turn + 1) % 2])
            done.set()

        thread = threading.Thread(target=reload)
        thread.start()
        while not done.is_set() or not replays:
            before = len(engine.orders)
            result = engine.replay(path, limit=4 * count)
            assert_ledger(result.stats)
            assert result.stats["packets"] == count and len(result.flows) == 977
            changes = [order.ordinal for order in engine.orders[before:]]
            given_orders += len(changes)
            replays += 1
            sid, ordinal = result.alerts["sid"], result.alerts["ordinal"]
            assert ordinal.tolist() == np.repeat(np.arange(1, count + 1), 2).tolist()
            low = sid[::2]
            assert (sid[1::2] == low + 10).all()
            # where the set changed between two packets, there is an order for it
            assert {int(at) + 2 for at in np.flatnonzero(np.diff(low))} <= set(changes)
        thread.join()
        assert engine._staged.now.rules is sets[0]
    assert given_orders <= 50


def test_under_load_through_inspect():
    sets = [pair(1), pair(2)]
    batch = [udp(b"x", sport=1024 + i) for i in range(300)]
    with fp.Engine(sets[0], workers=2, burst=16) as engine:
        done = threading.Event()

        def reload() -> None:
            for turn in range(50):
                engine.reload(sets[turn % 2])
            done.set()

        thread = threading.Thread(target=reload)
        thread.start()
        seen = 0
        while not done.is_set():
            verdicts = engine.inspect(batch)
            seen += len(batch)
            assert verdicts.raised.tolist() == [2] * 300
            first, second = verdicts.alerts["sid"][::2], verdicts.alerts["sid"][1::2]
            assert (second == first + 10).all()
        thread.join()
        stats = engine.stats
    assert_ledger(stats)
    assert stats["packets"] == seen and stats["alerts"] == 2 * seen


def test_flows_and_their_bits_are_kept(tmp_path):
    frames = conversation([(b"login now", b"ok"), (b"pass word", b"ok")])
    text = ('alert tcp any any -> any any (msg:"login"; content:"login"; flowbits:set,login; sid:{0}1;)'
            'alert tcp any any -> any any (msg:"pass"; flowbits:isset,login; content:"pass"; sid:{0}2;)').replace(")alert", ")\nalert")
    other = 'alert tcp any any -> any any (msg:"x"; flowbits:isset,before; sid:9;)\n' + text.format(2)
    with fp.Engine(rules_of(text.format(1)), mode="ips") as engine:
        result = engine.replay(write_pcap(tmp_path / "a.pcap", frames), reload_at={6: rules_of(other)})
    sids = result.alerts["sid"].tolist()
    assert sids[0] == 11 and 22 in sids and 12 not in sids
    assert len(result.flows) == 1


def test_sessions_of_the_device_are_kept():
    rules = rules_of('alert udp any any -> any any (msg:"x"; content:"bypass"; bypass; sid:1;)')
    with fp.Engine(rules, device=fp.Device(2 * 128)) as engine:
        def passed(host: int, data: bytes) -> list[str]:
            verdicts = engine.inspect([udp(data, src=f"10.0.{host}.1")] * 3)
            return [verdicts.reasons[code] for code in verdicts.reason]

        for host in range(100):
            passed(host, b"bypass")
        engine.tick(engine._plane.time + 2_000_000_000)
        held = engine.stats["device"]["sessions"]
        assert held > 50
        for device in (fp.Device(100_000, idle_timeout=1000.0, counter_lag=1.0), fp.Device(10, idle_timeout=1000.0), fp.Device(5000, idle_timeout=1000.0)):
            engine.reload(device=device)
            assert engine.inspect([udp(b"a", src="10.1.1.1")]).action.tolist() == [0]
            stats = engine.stats["device"]
            assert (stats["sessions"], stats["capacity"]) == (held, device.sessions)
            assert engine.device.settings is device
        assert sum("offloaded: forward" in passed(host, b"on") for host in range(100)) == held


def test_a_table_that_became_too_small_takes_nothing_new():
    rules = rules_of('alert udp any any -> any any (msg:"x"; content:"bypass"; bypass; sid:1;)')
    with fp.Engine(rules, device=fp.Device(1000, idle_timeout=1000.0)) as engine:
        engine.inspect([udp(b"bypass", src=f"10.0.0.{host}") for host in range(50)])
        engine.tick(engine._plane.time + 2_000_000_000)
        held = engine.stats["device"]["sessions"]
        engine.reload(device=fp.Device(0, idle_timeout=1000.0))
        engine.inspect([udp(b"bypass", src=f"10.0.1.{host}") for host in range(50)])
        engine.tick(engine._plane.time + 2_000_000_000)
        stats = engine.stats["device"]
        assert held > 0 and stats["sessions"] == held and stats["full"] > 0


def test_a_device_where_there_was_none():
    rules = rules_of('alert udp any any -> any any (msg:"x"; content:"bypass"; bypass; sid:1;)')
    with fp.Engine(rules) as engine:
        assert engine.device is None
        engine.inspect([udp(b"bypass")])
        engine.reload(device=fp.Device(1000))
        engine.inspect([udp(b"bypass")])
        engine.tick(engine._plane.time + 2_000_000_000)
        assert engine.stats["device"]["sessions"] == 1


# ---- nothing changes where it fails ----

@pytest.mark.parametrize("what, error, message", [
    ({}, TypeError, "reload takes rules, a policy or a device"),
    ({"rules": 5}, TypeError, "rules must be a RuleSet or paths, not int"),
    ({"rules": "gone.rules"}, OSError, "no rules at gone.rules"),
    ({"policy": "p.yaml"}, TypeError, "policy must be a Policy"), ({"device": {"sessions": 5}}, TypeError, "device must be a Device"),
])
def test_what_fails_leaves_the_old(what, error, message):
    with fp.Engine(pair(1)) as engine:
        before = engine._staged.now
        with pytest.raises(error, match=message):
            engine.reload(**what)
        assert engine._staged.now is before
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [1, 11]


def test_where_memory_is_lacking_the_old_stays():
    """A data plane that cannot take what it is given goes on with what it has, and says so."""
    with fp.Engine(pair(1), device=fp.Device(100)) as engine:
        engine.inspect([udp(b"x")])

        class Short:
            """The plane, without address space for a session table."""
            def __getattr__(self, name: str):
                return getattr(plane, name)

            def set_device(self, settings: dict) -> None:
                raise MemoryError("no address space")

        plane, short = engine._plane, Short()
        follower = engine._staged._followers.pop(id(plane))
        follower.plane = engine._plane = short
        engine._staged._followers[id(short)] = follower
        engine.reload(pair(2), policy=fp.Policy.parse(POLICY), device=fp.Device(200))
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [1, 11]
        assert [(order.kind, order.why) for order in engine.orders] == [("refused", "no address space")]
        assert engine.device.settings == fp.Device(100) and "policy" not in engine.stats["reasons"]
        engine.reload(pair(3))
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [3, 13]
        engine._staged._followers[id(plane)] = engine._staged._followers.pop(id(short))
        follower.plane = engine._plane = plane


def test_rules_by_path_are_read_and_compiled_apart(tmp_path):
    """As those in force were read: with their variables; and a rule of theirs that is refused is refused."""
    first, second = tmp_path / "first.rules", tmp_path / "second.rules"
    first.write_text('alert udp $HERE any -> any any (msg:"a"; dsize:>0; sid:1;)\n')
    second.write_text('alert udp $HERE any -> any any (msg:"b"; dsize:>0; sid:2;)\nalert udp any any -> any any (nonsense; sid:3;)\n')
    with fp.Engine(fp.RuleSet.load(first, variables={"HERE": "10.0.0.1"})) as engine:
        engine.reload(second)
        assert engine.inspect([udp(b"x"), udp(b"x", src="10.0.0.9")]).alerts["sid"].tolist() == [2]
        assert [refusal.sid for refusal in engine._staged.now.rules.refusals] == [3]
        engine.reload([first, second])
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [1, 2]


@pytest.fixture
def jobs(monkeypatch):
    """What other processes have been asked for; rules are never few."""
    from fastpath.rules import apart
    monkeypatch.setattr(apart, "FEW", 0)
    asked, there = [], apart._there
    monkeypatch.setattr(apart, "_there", lambda what, *job: (asked.append(what.__name__), there(what, *job))[1])
    return asked


def test_a_rule_set_is_compiled_apart_and_once(tmp_path, jobs):
    """As it was read: with its variables and limits, of texts that are nowhere but in it; flowbits keep their numbers."""
    limits = tmp_path / "threshold.config"
    limits.write_text("suppress gen_id 1, sig_id 3, track by_src, ip 10.0.0.1\n")
    text = ('alert udp $HERE any -> any any (msg:"b"; dsize:>0; flowbits:set,late; sid:2;)\nalert udp any any -> any any (dsize:>0; sid:3;)\n'
            'alert udp any any -> any any (nonsense; sid:4;)\nalert udp any any -> any any (flowbits:isset,early; dsize:>0; sid:5;)\n')
    second = fp.RuleSet.parse(text, variables={"HERE": "10.0.0.1"})
    second.limit(limits)
    limits.unlink()
    with fp.Engine(rules_of('alert udp any any -> any any (flowbits:set,early; dsize:>0; sid:1;)')) as engine:
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [1]
        engine.reload(second)
        assert jobs == ["_compile_there"]
        assert engine.inspect([udp(b"x"), udp(b"x", src="10.0.0.9")]).alerts["sid"].tolist() == [2, 5, 3]
        engine.reload(second)       # the same, but flowbits that have numbers now
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [2, 5]
        engine.reload(second)
        assert jobs == ["_compile_there"] * 2 and engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [2, 5]
    assert len(second) == 3


def test_a_rule_set_of_a_cache_is_compiled_apart_for_all(tmp_path, jobs):
    path = tmp_path / "a.rules"
    path.write_text('alert udp any any -> any any (dsize:>0; sid:7;)\n')
    with fp.Engine(pair(1)) as engine:
        for _ in range(2):
            engine.reload(fp.RuleSet.load(path, cache=tmp_path / "cache"))
            assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [7]
    assert jobs == ["_compile_there"]


def test_a_rule_set_whose_lists_have_changed_is_compiled_here(tmp_path, jobs):
    """It judges by what it has read."""
    listed = tmp_path / "names.lst"
    listed.write_text("10.0.0.1\n")
    rules = tmp_path / "a.rules"
    rules.write_text('alert udp any any -> any any (dsize:>0; ip.src; dataset:isset,names,type ipv4,load names.lst; sid:8;)\n')
    read = fp.RuleSet.load(rules)
    assert read.exact == 1, read.refusals
    listed.write_text("10.0.0.9\n")
    with fp.Engine(pair(1)) as engine:
        engine.reload(read)
        assert jobs == ["_compile_there"]
        assert engine.inspect([udp(b"x"), udp(b"y", src="10.0.0.9")]).alerts["ordinal"].tolist() == [1]


def test_rules_that_do_not_compile_apart_leave_the_old_in_force(jobs):
    with fp.Engine(pair(1)) as engine:
        wrong = pair(2)
        wrong.told = lambda: ([(b"", "gone")], {"nothing": "known"}, [])
        with pytest.raises(RuntimeError, match="nothing"):
            engine.reload(wrong)
        assert engine.inspect([udp(b"x")]).alerts["sid"].tolist() == [1, 11]


def test_costs_of_all_sets_are_counted(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x", sport=1024 + i) for i in range(30)])
    with fp.Engine(pair(1)) as engine:
        stats = engine.replay(path, reload_at={11: pair(2), 21: pair(1)}).stats
    assert {rule["sid"]: (rule["alerts"], rule["checks"], rule["confirms"]) for rule in stats["rules"]} == {
        1: (20, 20, 20), 11: (20, 20, 20), 2: (10, 10, 10), 12: (10, 10, 10)}


def test_faults_of_reload_at(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x")])
    with fp.Engine(pair(1)) as engine:
        for wrong in (0, -1, "5"):
            with pytest.raises(ValueError, match="packets, which count from 1"):
                engine.replay(path, reload_at={wrong: pair(2)})
        assert engine.replay(path, reload_at={3: pair(2)}).stats["packets"] == 1       # never reached
        assert engine.orders == ()
