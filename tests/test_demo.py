"""The demo tells the truth: its alerts are Suricata's, and what it prints holds the scenes, wherever it runs."""
import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

import fastpath as fp
from fastpath import demo

LOG4SHELL = 9000001

#: (packet, sid, action), as Suricata 7.0.10 gives them with --simulate-ips --runmode single; GTP-U, which it does not know, is ours.
EXPECTED = {
    "http": [], "dns": [], "tls": [], "ssh": [],
    "attack": [(27, 9000007, "pass"), (36, LOG4SHELL, "drop"), (50, 9000002, "drop"), (69, 9000004, "drop"), (76, 9000005, "drop"),
               (77, 9000006, "drop")],
    "tunnels": [(34, LOG4SHELL, "drop"), (44, LOG4SHELL, "drop"), (54, LOG4SHELL, "drop")],
    "hostile": [(2, 9000020, "drop"), (4, 9000021, "drop"), (9, 9000022, "drop"), (11, 9000023, "drop"), (20, 9000024, "drop")],
}


@pytest.fixture(scope="module")
def engine():
    rules = fp.RuleSet.load(demo.rule_files())
    assert not rules.refusals
    with fp.Engine(rules, mode="ips") as engine:
        yield engine


@pytest.mark.parametrize("name", EXPECTED)
def test_alerts(engine, name):
    result = engine.replay(demo.capture(name))
    assert [(alert["pcap_cnt"], alert["sid"], alert["action"]) for alert in result.alerts] == EXPECTED[name]


def test_benign_traffic_passes_and_tls_is_offloaded(engine):
    for name in demo.BENIGN:
        stats = engine.replay(demo.capture(name)).stats
        assert stats["verdicts"] == {"pass": stats["packets"]}, name
        assert (stats["ledger"]["offloaded"]["packets"] > 0) == (name == "tls")


def test_the_attacked_flows_are_cut_and_the_visitor_is_not(engine):
    flows = {(flow["src_port"], flow["dest_port"]): flow for flow in engine.replay(demo.capture("attack")).flows}
    assert flows[40100, 80]["dropped_pkts"] == 0 and flows[40100, 80]["alerts"] == 0
    for ports in ((40001, 80), (40002, 80), (40003, 21), (40004, 53), (40004, 5060)):
        assert flows[ports]["dropped_pkts"] > 0, ports


def test_what_is_inside_a_tunnel_is_seen(engine):
    result = engine.replay(demo.capture("tunnels"))
    assert list(result.alerts["tunnel"]) == ["vxlan", "geneve", "gtpu"]
    assert list(result.alerts["tunnel_id"]) == [5001, 6001, 0x1001]
    assert {alert["src_ip"] for alert in result.alerts} == {"10.20.0.7"}


@pytest.mark.parametrize("terminal", [False, True])
def test_story(terminal):
    out = io.StringIO()
    result = demo.run_demo(Console(file=out, width=116, force_terminal=terminal, highlight=False))
    told = out.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", told)
    for said in ("Benign traffic passes", "An attack is stopped", "Tunnels are opened", "Hostile packets are named", "jndi", "VXLAN",
                 "decoder.ipv4.hlen_too_small", result.digest):
        assert said in plain, said
    assert ("\x1b" in told) == terminal


def test_command_writes_nothing(tmp_path):
    told = subprocess.run([sys.executable, "-m", "fastpath", "demo"], cwd=tmp_path, check=False, capture_output=True, text=True,
                          env=os.environ | {"PYTHONIOENCODING": "utf-8"})
    assert told.returncode == 0, told.stderr
    assert told.stdout.rstrip().splitlines()[-1].startswith("digest: v1:")
    assert list(tmp_path.iterdir()) == []
