"""Projections from made figures, the queues against a naive walk, and a run over a small capture."""
from __future__ import annotations

import json

import numpy as np
import pytest
from captures import conversation
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpath as fp
from fastpath.offload.projection import INGEST, WIRE_OVERHEAD, WORKER, Projection, queue_of, read_calibration
from fastpath.offload.queues import run_queues
from fastpath.outputs.projection import as_json


def made(**over) -> Projection:
    rng = np.random.default_rng(1)
    fields = {"packets": 1000, "bytes": 500_000, "flows": 200, "alerts": 0, "setting": None,
              "stages": dict.fromkeys(INGEST, 10.0) | dict.fromkeys(WORKER, 100.0),
              "spread": (250.0, 270.0), "packet_share": 0.0, "time_share": 0.0, "calibration": None, "services": np.full(1000, 260, "u4"),
              "hashes": rng.integers(0, 65536, 1000).astype("u2"), "offloaded": np.zeros(1000, bool)}
    return Projection(**fields | over)


def test_one_core_does_what_its_packets_cost():
    one = made()
    assert one.cost == pytest.approx(260)
    assert one.share(1) == 1
    assert one.packets_a_second(1) == pytest.approx(1e9 / 260)
    assert one.bits_a_second(1) == pytest.approx(1e9 / 260 * 8 * (500 + WIRE_OVERHEAD))
    assert one.binds in WORKER


def test_the_busiest_core_binds():
    skewed = made(hashes=np.r_[np.zeros(900, "u2"), np.full(100, 60_000, "u2")])
    assert skewed.share(2) == pytest.approx(0.9)
    assert skewed.packets_a_second(2) == pytest.approx(1e9 / (260 * 0.9))
    assert skewed.cores_for(100e9)[1] is None           # one queue has nine tenths, whatever the number of cores


def test_cores_for_a_rate():
    even, cores = made().cores_for(100e9)
    assert even == pytest.approx(100e9 * 260 / (8 * 524 * 1e9))
    assert cores is not None and cores >= even and made().bits_a_second(cores) >= 100e9 and made().bits_a_second(cores - 1) < 100e9


def test_offload_and_calibration_scale_the_cost():
    assert made(packet_share=0.5, time_share=0.25).cost == pytest.approx(60 * 0.5 + 200 * 0.75)
    assert made(calibration=("other", 2.0)).cost == pytest.approx(520)


@pytest.mark.parametrize("text", ["", "2", "=2", "x=", "x=0", "x=-1", "x=fast", "x=1e9"])
def test_a_calibration_has_a_name_and_a_factor(text):
    with pytest.raises(ValueError, match="NAME=FACTOR"):
        read_calibration(text)


def naive_queues(arrivals, services, queues, cores, depth):
    done = [[] for _ in range(cores)]
    lost = 0
    for at, service, queue in zip(arrivals.tolist(), services.tolist(), queues.tolist(), strict=True):
        ring = [end for end in done[queue] if end > at]
        if len(ring) == depth:
            lost += 1
            continue
        done[queue] = [*ring, max([at, *ring]) + service]
    return lost


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1 << 32), count=st.integers(0, 300), cores=st.integers(1, 4), depth=st.sampled_from((1, 2, 5, 64)), pace=st.sampled_from((1, 50, 200)))
def test_queues_as_the_naive_walk(seed, count, cores, depth, pace):
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.integers(0, pace + 1, count)).astype("u8")
    services, queues = rng.integers(1, 200, count).astype("u4"), rng.integers(0, cores, count).astype("u2")
    came = run_queues(arrivals, services, queues, cores, depth)
    assert came["lost"] == naive_queues(arrivals, services, queues, cores, depth)
    assert came["lost"] + came["taken"] == count and came["deepest"] <= depth


def test_half_the_load_loses_nothing_and_twice_the_load_half():
    one = made(services=np.full(100_000, 100, "u4"), hashes=np.tile(np.array([0, 40_000], "u2"), 50_000), offloaded=np.zeros(100_000, bool))
    lost = {row["load"]: row["loss"] for row in one.queueing(2, (0.5, 2.0), (256,))}
    assert lost[0.5] == 0 and lost[2.0] == pytest.approx(0.5, abs=0.01)


def test_queues_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="services"):
        run_queues(np.zeros(3, "u8"), np.zeros(2, "u4"), np.zeros(3, "u2"), 1, 1)
    with pytest.raises(ValueError, match="core 5"):
        run_queues(np.zeros(1, "u8"), np.ones(1, "u4"), np.full(1, 5, "u2"), 2, 4)


def test_queue_of_spreads_over_all_cores():
    hashes = np.arange(65536, dtype="u2")
    for cores in (1, 2, 3, 7, 128):
        counts = np.bincount(queue_of(hashes, cores), minlength=cores)
        assert len(counts) == cores and counts.max() - counts.min() <= 1


def test_a_run(capture):
    path = capture([frame for port in range(40000, 40040) for frame in conversation([(b"GET / HTTP/1.1\r\n\r\n", b"x" * 500)], sport=port)])
    with fp.Engine() as engine:
        found = engine.project(path, device=fp.Device(1000), rounds=2)
    assert found.packets == len(found.services) == len(found.hashes) and found.flows == 40
    assert all(found.stages[name] >= 0 for name in (*INGEST, *WORKER)) and found.cost > 0
    assert len(set(found.hashes.tolist())) > 20                       # one a flow: both directions have the same
    said = json.loads(as_json(found))
    assert {name: part["how"] for name, part in said.items() if isinstance(part, dict) and "how" in part} == {
        "capture": "measured", "stages_ns": "measured", "offload": "simulated", "cost_ns": "projected", "cores": "projected", "rates": "projected",
        "queueing": "simulated"}
    assert said["calibration"] is None and said["live_check"] is None


def test_standard_input_is_refused():
    with fp.Engine() as engine, pytest.raises(ValueError, match="several times"):
        engine.project("-")


def test_the_live_check_runs(capture):
    """What it measures is the machine's; that all packets are accounted for is ours."""
    from fastpath.offload.live import check
    path = capture([frame for port in range(40000, 40020) for frame in conversation([(b"GET / HTTP/1.1\r\n\r\n", b"x" * 500)], sport=port)])
    with fp.Engine() as engine:
        found = engine.project(path, rounds=1)
    rows = check(fp.Engine, found, str(path), loads=(0.5,), depth=4096)
    assert [row["load"] for row in rows] == [0.5] and rows[0]["live"] == rows[0]["simulated"] == 0      # the ring holds them all


def test_the_live_check_reads_plain_pcap_alone(tmp_path):
    from fastpath.offload.live import read_pcap
    other = tmp_path / "x.pcapng"
    other.write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(40))
    with pytest.raises(ValueError, match="plain pcap"):
        read_pcap(other)
