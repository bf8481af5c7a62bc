"""The same input, rules and settings give the same digest, whatever the burst size, the number of workers and the split."""
from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from captures import write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.strategies import traffic
from runs import MIXED_RULES, assert_ledger, replay, rules_of

import fastpath as fp

BURSTS, WORKERS = (1, 7, 32, 256), (1, 2, 4)
quiet = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def rules():
    return rules_of(MIXED_RULES)


def digests(paths, rules, *, mode="ids", device=None, **options):
    return {(burst, workers): replay(paths, rules, engine={"burst": burst, "workers": workers, "mode": mode, "device": device}, **options).digest
            for burst, workers in [(256, 1), *((burst, 1) for burst in BURSTS[:-1]), *((256, workers) for workers in WORKERS[1:]), (7, 2)]}


@quiet
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]))
def test_bursts_and_workers_change_nothing(rules, packets, mode):
    with tempfile.TemporaryDirectory() as folder:
        found = digests(write_pcap(Path(folder) / "a.pcap", packets), rules, mode=mode)
    assert set(found.values()) == {found[256, 1]}, found


@quiet
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]), sessions=st.sampled_from([0, 200, 1 << 20]), rate=st.sampled_from([None, 200]),
       latency=st.sampled_from([0, 0.3]), timeout=st.sampled_from([0.5, 10]), lag=st.sampled_from([0, 1]), elephant=st.sampled_from([None, 200]))
def test_with_a_device_neither(rules, packets, mode, sessions, rate, latency, timeout, lag, elephant):
    """Batches close at a tick or at 64, whatever the bursts; the table is one slice a bucket, whatever the workers."""
    device = fp.Device(sessions, insert_rate=rate, insert_latency=latency, idle_timeout=timeout, counter_lag=lag, offload={"elephant": elephant})
    with tempfile.TemporaryDirectory() as folder:
        found = digests(write_pcap(Path(folder) / "a.pcap", packets), rules, mode=mode, device=device)
    assert set(found.values()) == {found[256, 1]}, found


@quiet
@given(packets=traffic(), data=st.data())
def test_split_points_change_nothing(rules, packets, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(packets)), min_size=1, max_size=3)))
    with tempfile.TemporaryDirectory() as folder:
        whole = write_pcap(Path(folder) / "whole.pcap", packets)
        parts = [write_pcap(Path(folder) / f"part{number}.pcap", packets[low:high])
                 for number, (low, high) in enumerate(zip([0, *cuts], [*cuts, len(packets)], strict=True))]
        one = replay(whole, rules, continuous=True).digest
        assert replay(parts, rules, continuous=True).digest == one
        assert replay(parts, rules, engine={"burst": 7, "workers": 2}, continuous=True).digest == one


@quiet
@given(packets=traffic())
def test_without_continuous_captures_know_nothing_of_one_another(rules, packets):
    with tempfile.TemporaryDirectory() as folder:
        one, two = (write_pcap(Path(folder) / name, packets) for name in ("one.pcap", "two.pcap"))
        alone, both = replay(one, rules), replay([one, two], rules)
    assert sorted([*alone.alerts["sid"].tolist()] * 2) == sorted(both.alerts["sid"].tolist())
    assert len(both.flows) == 2 * len(alone.flows)


def test_the_digest_tells_runs_apart(rules, capture):
    from captures import udp
    one, two = capture([udp(b"a")]), capture([udp(b"a"), udp(b"a")])
    assert replay(one, rules).digest != replay(two, rules).digest
    assert replay(one, rules).digest.startswith("v1:")
    assert replay(one, rules).digest == replay(one, rules).digest


@pytest.mark.parametrize("folder", ["zeek", "tcpdump", "ndpi", "gopacket"])
def test_real_captures(rules, corpus, folder):
    """A few captures of each folder; replay_corpus.py takes them all."""
    found = sorted(path for path in (corpus / "pcaps" / folder).rglob("*.pcap") if path.stat().st_size < 300_000)
    assert found
    some = found[::max(1, len(found) // 8)][:8]
    seen = digests(some, rules)
    assert set(seen.values()) == {seen[256, 1]}, seen


@quiet
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]), data=st.data())
def test_isolation_changes_nothing_of_it(rules, packets, mode, data):
    """Addresses of the traffic are cut off, some until a time that the capture passes."""
    host = data.draw(st.integers(1, 3))
    until = data.draw(st.one_of(st.none(), st.floats(0, 200).map(lambda seconds: 1_700_000_000 + seconds)))
    with tempfile.TemporaryDirectory() as folder:
        path = write_pcap(Path(folder) / "a.pcap", packets)
        found = set()
        for burst, workers in ((256, 1), (1, 1), (7, 1), (256, 2), (7, 4)):
            with fp.Engine(rules, burst=burst, workers=workers, mode=mode, device=fp.Device(sessions=1 << 20)) as engine:
                engine.isolate(f"10.0.0.{host}", until=until)
                result = engine.replay(path)
            assert_ledger(result.stats)
            found.add(result.digest)
    assert len(found) == 1
