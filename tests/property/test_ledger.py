"""Every wire packet counts once: errored > dropped > offloaded > inspected."""
from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from captures import conversation, udp, write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.strategies import traffic
from runs import MIXED_RULES, replay, rules_of

import fastpath as fp

quiet = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def rules():
    return rules_of(MIXED_RULES)


@quiet
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]), offload=st.booleans())
def test_accounts_add_up(rules, packets, mode, offload):
    engine = {"mode": mode, **({"device": fp.Device(sessions=4)} if offload else {})}
    with tempfile.TemporaryDirectory() as folder:
        result = replay(write_pcap(Path(folder) / "a.pcap", packets), rules, engine=engine, keep=("alerts", "flows", "packets"))
    stats, kept, flows = result.stats, result.packets, result.flows
    assert stats["packets"] == len(packets)
    for account, counted in stats["ledger"].items():
        mine = kept["ledger"] == account
        assert counted["packets"] == mine.sum()
    for name in ("pkts", "bytes"):
        parts = sum(flows[f"{account}_{name}"].astype("u8") for account in ("offloaded", "dropped", "errored"))
        assert (parts <= flows[f"{name}_toserver"] + flows[f"{name}_toclient"]).all()
    if mode == "ids":
        assert stats["ledger"]["dropped"]["packets"] == 0
    assert np.array_equal(np.sort(kept["ordinal"]), np.arange(1, len(packets) + 1))


def test_each_account_is_reached(capture):
    """A malformed packet, a dropped one, offloaded ones and an inspected one."""
    rules = "drop udp any any -> any 1 (sid:1;) alert udp any any -> any 2 (content:\"bypass\"; bypass; sid:2;)".replace(") alert", ")\nalert")
    packets = [udp(b"x", dport=1), *[udp(b"bypass", dport=2)] * 5, udp(b"x", dport=3), udp(b"x")[:20]]
    packets = [(1_700_000_000.0 + 2 * second, packet) for second, packet in enumerate(packets)]
    result = replay(capture(packets), rules, engine={"mode": "ips", "device": fp.Device(sessions=100)})
    assert {account: counted["packets"] > 0 for account, counted in result.stats["ledger"].items()} == dict.fromkeys(result.stats["ledger"], True)


def test_in_ids_mode_nothing_is_cut(capture):
    packets = conversation([(b"login", b"ok")], dport=23)
    ids = replay(capture(packets), "drop tcp any any -> any 23 (sid:1;)", engine={"mode": "ids"})
    ips = replay(capture(packets), "drop tcp any any -> any 23 (sid:1;)", engine={"mode": "ips"})
    assert ids.stats["ledger"]["dropped"]["packets"] == 0 and len(ids.alerts)
    assert ips.stats["ledger"]["dropped"]["packets"] == len(packets)
