"""Throughput in bounded bins, and the ledger that must close."""
from __future__ import annotations

import numpy as np
import pytest

from fastpath.control.stats import BINS, InternalError, Throughput, check_ledger
from fastpath.dataplane import rows

SECOND = 1_000_000_000


def packets(*seconds: float, size: int = 100, action: int = 0) -> np.ndarray:
    made = np.zeros(len(seconds), rows.PACKET)
    made["ts"] = [round(one * SECOND) for one in seconds]
    made["wirelen"], made["action"] = size, action
    return made


def test_bins_are_seconds_of_packet_time():
    made = Throughput()
    made.add(packets(10, 10.9, 12))
    made.add(packets(11.5, 9, action=1))
    assert made.bins() == [
        {"second": 9, "width": 1, "packets": 1, "bytes": 100, "dropped": 1}, {"second": 10, "width": 1, "packets": 2, "bytes": 200, "dropped": 0},
        {"second": 11, "width": 1, "packets": 1, "bytes": 100, "dropped": 1}, {"second": 12, "width": 1, "packets": 1, "bytes": 100, "dropped": 0}]


def test_bins_are_bounded_and_lose_nothing():
    made, rng = Throughput(), np.random.default_rng(1)
    for _ in range(50):
        made.add(packets(*rng.uniform(0, 10 ** rng.uniform(0, 9), 20)))
    bins = made.bins()
    assert len(bins) <= BINS
    assert sum(one["packets"] for one in bins) == 1000 and sum(one["bytes"] for one in bins) == 100_000
    assert len({one["width"] for one in bins}) == 1
    assert [one["second"] for one in bins] == [bins[0]["second"] + i * bins[0]["width"] for i in range(len(bins))]


def test_no_packets_no_bins():
    assert Throughput().bins() == []


@pytest.mark.parametrize("unit", ["packets", "bytes"])
def test_a_ledger_that_does_not_close_is_an_internal_error(unit):
    counted = {"packets": 3, "bytes": 30, "ledger": {"inspected": {"packets": 2, "bytes": 20}, "dropped": {"packets": 1, "bytes": 10}}}
    check_ledger(counted)
    counted["ledger"]["inspected"][unit] += 1
    with pytest.raises(InternalError, match=f"{unit} accounted for"):
        check_ledger(counted)
