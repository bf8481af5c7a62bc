"""With a policy in force the promises hold: one digest for every burst size and number of workers, a ledger that closes, and no more rows
than denied flows."""
from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

import pytest
from captures import read_packets, write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.strategies import traffic
from runs import MIXED_RULES, assert_ledger, rules_of

import fastpath as fp

RUNS = [(256, 1), (1, 1), (7, 1), (128, 1), (256, 2), (256, 4), (7, 2)]
RULES = MIXED_RULES + 'alert ip any any -> any any (msg:"data"; content:"a"; metadata:data_class pii; noalert; sid:99;)\n'
POLICY = """version: 1
pending: {packets: 6, bytes: 4000}
segments:
  one: [10.0.0.1, "2001:db8::1"]
  some: [10.0.0.0/30, 192.168.0.0/16, "2001:db8::/64"]
  tagged: {vlan: 1-4000}
exceptions:
- {from: any, to: some, protocol: udp, until: 1700000003}
lines:
- {from: one, to: some, application: [http, ssh, dns]}
- {from: one, to: any, server_name: "*.example.com"}
- {from: some, to: some, protocol: tcp, ports: 0-1023, action: deny}
- {from: some, to: any, protocol: [tcp, icmp]}
- {from: tagged, to: any}
residency:
- {data: pii, from: some, to: one}
"""


@pytest.fixture(scope="module")
def rules():
    return rules_of(RULES)


@pytest.fixture(scope="module")
def policy():
    return fp.Policy.parse(POLICY)


def same_for_all(path, rules, policy, mode, **options):
    found = {}
    for burst, workers in RUNS:
        with fp.Engine(rules, policy=policy, mode=mode, burst=burst, workers=workers) as engine:
            result = engine.replay(path, keep=("flows",), **options)
        assert_ledger(result.stats)
        told = result.stats["policy"]
        assert sum(told["denied_flows"].values()) <= result.stats["flows"]["rows"]
        assert told["denied_packets"] == sum(line["denied"] for line in told["lines"])
        if mode == "ids":
            assert "policy" not in result.stats["reasons"]
        found[burst, workers] = (result.digest, told)
    first = found[RUNS[0]]
    assert all(one == first for one in found.values()), found
    return first


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]))
def test_bursts_and_workers_change_nothing(rules, policy, packets, mode):
    with tempfile.TemporaryDirectory() as folder:
        same_for_all(str(write_pcap(Path(folder) / "a.pcap", packets)), rules, policy, mode)


@pytest.mark.parametrize("name", ["attack", "dns", "hostile", "http", "ssh", "tls", "tunnels"])
@pytest.mark.parametrize("mode", ["ids", "ips"])
def test_captures_of_the_demo(rules, name, mode):
    policy = fp.Policy.parse(POLICY.replace("10.0.0.0/30", "10.0.0.0/8").replace("10.0.0.1,", "10.10.0.0/16,"))
    same_for_all(str(files("fastpath.demo").joinpath(f"{name}.pcap")), rules, policy, mode)


def test_captures_of_the_corpus(rules, policy, corpus):
    path = sorted((corpus / "pcaps").rglob("*.pcap"), key=lambda one: one.stat().st_size)[-40]
    same_for_all(str(path), rules, policy, "ips")


def test_without_a_policy_the_digest_is_what_it_was(rules):
    path = str(files("fastpath.demo").joinpath("http.pcap"))
    digests = set()
    for judge in (None, fp.Policy.parse("version: 1\nsegments: {}\nlines:\n- {from: any, to: any}")):
        with fp.Engine(rules, policy=judge) as engine:
            result = engine.replay(path)
            digests.add(result.digest)
            assert ("policy" in result.stats) == (judge is not None)
    assert len(digests) == 2


def test_every_cut_of_every_packet(policy):
    """Packets cut anywhere are judged, or are malformed; nothing raises."""
    with fp.Engine(None, policy=policy, mode="ips") as engine:
        for name in ("tls", "tunnels", "hostile"):
            for linktype, packets in read_packets(Path(str(files("fastpath.demo").joinpath(f"{name}.pcap"))), 25).items():
                for whole in packets:
                    engine.inspect([whole[:end] for end in (*range(0, len(whole), 3), len(whole))], linktype=linktype)
        stats = engine.stats
    assert_ledger(stats)
    assert stats["policy"]["denied_packets"] > 0
