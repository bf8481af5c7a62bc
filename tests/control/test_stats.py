"""Throughput over engine time, and the ledger that must close."""
from __future__ import annotations

import random

import pytest
from captures import tcp
from runs import replay

import fastpath as fp
from fastpath.control.stats import InternalError, check_ledger


def test_throughput_by_second_of_engine_time(capture):
    """Engine time is the running maximum of stamps: a packet that comes late counts where it comes."""
    path = capture([(stamp, tcp(b"x" * size)) for stamp, size in ((10, 0), (10.9, 100), (12, 0), (11.5, 0), (12.1, 6))])
    stats = replay(path).stats
    assert stats["throughput"] == [
        {"second": 10, "width": 1, "packets": 2, "bytes": 208, "dropped": 0}, {"second": 11, "width": 1, "packets": 0, "bytes": 0, "dropped": 0},
        {"second": 12, "width": 1, "packets": 3, "bytes": 168, "dropped": 0}]


@pytest.mark.parametrize("engine", [{}, {"burst": 1}, {"burst": 7, "workers": 2}])
def test_bins_are_bounded_and_lose_nothing(capture, engine):
    rng = random.Random(1)
    paths = []
    for exponent in range(9):       # each capture begins where it likes, before the one that went before too
        start = rng.randrange(10 ** 9)
        stamps = sorted(start + rng.uniform(0, 10 ** exponent) for _ in range(20))
        paths.append(capture([(stamp, tcp(dport=rng.choice((23, 80)))) for stamp in stamps]))
    stats = replay(paths, 'drop tcp any any -> any 23 (msg:"x"; sid:1;)', engine={"mode": "ips"} | engine).stats
    bins = stats["throughput"]
    assert 2 < len(bins) <= 512
    assert sum(one["packets"] for one in bins) == stats["packets"] == 180 and sum(one["bytes"] for one in bins) == stats["bytes"]
    assert sum(one["dropped"] for one in bins) == stats["ledger"]["dropped"]["packets"] > 0
    width, = {one["width"] for one in bins}
    assert [one["second"] for one in bins] == [bins[0]["second"] + i * width for i in range(len(bins))]


def test_no_packets_no_bins(capture):
    assert replay(capture([])).stats["throughput"] == []


def test_inspect_counts_throughput_too():
    with fp.Engine() as engine:
        engine.inspect([tcp(), tcp()], ts=5.0)
        engine.inspect([tcp()], ts=7.5)
        assert [(one["second"], one["packets"]) for one in engine.stats["throughput"]] == [(5, 2), (6, 0), (7, 1)]


@pytest.mark.parametrize("unit", ["packets", "bytes"])
def test_a_ledger_that_does_not_close_is_an_internal_error(unit):
    counted = {"packets": 3, "bytes": 30, "ledger": {"inspected": {"packets": 2, "bytes": 20}, "dropped": {"packets": 1, "bytes": 10}}}
    check_ledger(counted)
    counted["ledger"]["inspected"][unit] += 1
    with pytest.raises(InternalError, match=f"{unit} accounted for"):
        check_ledger(counted)
