"""The pieces by themselves, with pytest-benchmark:  pytest bench --benchmark-only

Stage times are in the extra info, in ns a packet; the table of the whole is bench/run.py.
"""
from __future__ import annotations

from pathlib import Path

import build
import numpy as np
import pytest
import traces

import fastpath as fp
from fastpath.dataplane import rows

PACKETS, FLOWS = 200_000, 10_000
LITERALS = Path(__file__).parent / "definitions" / "literals.rules"


@pytest.fixture(scope="session")
def capture():
    """60-byte frames, kept in the cache."""
    path = build.cache() / f"sixty-{PACKETS}-{FLOWS}.pcap"
    if not path.exists():
        traces.sixty(path.with_suffix(".part"), PACKETS, FLOWS)
        path.with_suffix(".part").rename(path)
    return path


@pytest.fixture(scope="session")
def literals():
    rules = fp.RuleSet.load([str(LITERALS)])
    assert not rules.refusals
    return rules


def stages(benchmark, stats):
    benchmark.extra_info |= {f"{name}_ns": round(ns / stats["packets"], 1) for name, ns in stats["stages"].items()}


@pytest.mark.parametrize("burst", [1, 32, 256])
def test_replay(benchmark, capture, burst):
    with fp.Engine(checksums="none", burst=burst) as engine:
        stages(benchmark, benchmark(engine.replay, str(capture), keep=()).stats)


def test_replay_with_checksums(benchmark, capture):
    with fp.Engine(checksums="all") as engine:
        stages(benchmark, benchmark(engine.replay, str(capture), keep=()).stats)


def test_replay_keeping_flows(benchmark, capture):
    with fp.Engine(checksums="none") as engine:
        stages(benchmark, benchmark(engine.replay, str(capture), keep=("flows",)).stats)


def test_replay_with_literals(benchmark, capture, literals):
    with fp.Engine(literals, checksums="none") as engine:
        stages(benchmark, benchmark(engine.replay, str(capture), keep=()).stats)


@pytest.mark.parametrize("size", [1, 256, 4096])
def test_inspect(benchmark, capture, size):
    data = np.fromfile(capture, np.uint8)
    count = min(size, PACKETS)
    batch = fp.PacketBatch(data, 40 + np.arange(count, dtype=np.uint64) * 76, np.full(count, 60, np.uint32), np.zeros(count, np.uint64))
    out = np.empty(count, rows.VERDICT)
    with fp.Engine(checksums="none") as engine:
        benchmark(engine.inspect, batch, out=out)


def test_inspect_list_of_bytes(benchmark, capture):
    data = capture.read_bytes()
    packets = [data[40 + 76 * at:100 + 76 * at] for at in range(256)]
    with fp.Engine(checksums="none") as engine:
        benchmark(engine.inspect, packets, ts=0)


def test_parse_rules(benchmark):
    assert len(benchmark(fp.RuleSet.load, [str(LITERALS)]).plans) == 1000


def test_compile_rules(benchmark, literals):
    benchmark(literals.compile)


def test_plain_loop(benchmark, capture):
    benchmark(build.load("plain").run, np.fromfile(capture, np.uint8), 1 << 16)
