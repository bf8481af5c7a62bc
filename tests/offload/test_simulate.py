"""The simulation against a table written plainly, over random logs."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_logs import random_log
from naive_table import NaiveTable

from fastpath.dataplane import rows
from fastpath.offload.settings import Requests, Setting
from fastpath.offload.simulate import LATE, MISSED, RAISED, simulate

numbers = st.one_of(st.none(), st.sampled_from((0, 1, 3, 10)))
requests = st.builds(Requests, bypass=numbers, drop=numbers, passed=numbers, encrypted=numbers,
                     depth=st.one_of(st.none(), st.sampled_from((0, 2000))), elephant=st.one_of(st.none(), st.sampled_from((1, 500, 5000, 50_000))))
tables = st.builds(Setting, sessions=st.sampled_from((1, 5, 63, 64, 65, 200, 1 << 20)), insert_rate=st.sampled_from((None, 3, 1000)),
                   insert_latency=st.sampled_from((0.0, 0.05, 2.5)), idle_timeout=st.sampled_from((0.3, 1.0, 7.5, 2000.0)), requests=requests)


def alerts_of(log: np.ndarray) -> int:
    return int(log["alerts"].sum())


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 1 << 32), count=st.integers(0, 1500), flows=st.sampled_from((1, 3, 40, 300)), pace=st.integers(1, 6), setting=tables)
def test_as_the_naive_table(seed, count, flows, pace, setting):
    log = random_log(seed, count, flows, pace)
    depth = 4000
    naive = NaiveTable(setting, depth)
    naive.run(log)
    counters, fates = simulate(log, flows, alerts_of(log), depth, setting)
    assert [counters["packets"] + counters["dropped_packets"], counters["bytes"] + counters["dropped_bytes"]] == naive.taken
    assert {"asked": sum(counters["asked"].values()), "inserted": counters["inserted"], "full": counters["full"], "peak": counters["peak"],
            "saved": counters["saved_ns"]} == {"asked": naive.asked, "inserted": naive.inserted, "full": naive.full, "peak": naive.peak,
                                               "saved": naive.saved}
    assert fates.tolist() == naive.fates


def test_random_logs_reach_everything():
    """The comparison is worth something only where tables fill, sessions age and alerts are missed."""
    log = random_log(7, 4000, 100, 3)
    counters, fates = simulate(log, 100, alerts_of(log), 4000, Setting(30, idle_timeout=1.0, requests=Requests(encrypted=0, depth=0, elephant=8_000)))
    assert counters["full"] and counters["inserted"] > 30 and counters["ended"]["timeout"] and counters["ended"]["rst"]
    assert all(counters["asked"][name] for name in ("bypass", "drop", "passed", "encrypted", "elephant"))
    assert {RAISED, MISSED, LATE} == set(fates.tolist())


def flow_rows(count: int, **fields) -> np.ndarray:
    """A UDP flow of one packet of 100 bytes a millisecond, after a second in which it was heard first."""
    log = np.zeros(count, rows.LOG)
    log["now"] = 10_000_000_000 + np.arange(count, dtype="u8") * 1_000_000
    log["now"][1:] += 1_000_000_000
    log["flow_pkts"] = np.arange(1, count + 1)
    log["flow_bytes"] = log["flow_pkts"] * 100
    log["size"], log["ns"] = 100, 7
    log["flags"] = rows.LOG_FLOW | rows.LOG_LAST | rows.LOG_DATA
    log["flags"][0] |= rows.LOG_BEGIN | rows.LOG_BYPASS
    for name, values in fields.items():
        log[name] = values
    return log


def test_a_batch_closes_at_the_tick_and_the_rest_is_taken():
    counters, _ = simulate(flow_rows(11), 1, 0, 0, Setting(1))
    assert (counters["packets"], counters["bytes"], counters["saved_ns"]) == (10, 1000, 70)


def test_latency_leaves_packets_to_the_inspectors():
    counters, _ = simulate(flow_rows(11), 1, 0, 0, Setting(1, insert_latency=0.005))
    assert (counters["packets"], counters["early_packets"]) == (6, 4)


def test_an_alert_on_a_packet_that_was_taken_is_missed():
    log = flow_rows(5, alerts=(1, 0, 1, 0, 1))
    _, fates = simulate(log, 1, 3, 0, Setting(1))
    assert fates.tolist() == [RAISED, MISSED, MISSED]


def test_an_alert_on_a_stream_whose_bytes_were_all_seen_comes_late():
    log = flow_rows(5, alerts=(0, 1, 0, 1, 0), stateful=(0, 1, 0, 1, 0))
    log["flags"][1] &= ~np.uint32(rows.LOG_DATA)
    _, fates = simulate(log, 1, 2, 0, Setting(1))
    assert fates.tolist() == [LATE, MISSED]


def test_no_log_at_all():
    counters, fates = simulate(np.empty(0, rows.LOG), 0, 0, 0, Setting(1))
    assert counters["packets"] == 0 and len(fates) == 0


def test_another_dtype_is_refused():
    with pytest.raises(TypeError, match="LOG"):
        simulate(np.zeros(3, "u8"), 1, 0, 0, Setting(1))
