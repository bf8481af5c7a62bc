"""Statistics while packets run: snapshots from other threads, and what is served of them."""
from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request

import pytest
from captures import udp, write_pcap
from runs import rules_of

import fastpath as fp
from fastpath.outputs import metrics

RULES = """
alert udp any any -> any 53 (msg:"question"; content:"question"; sid:1; rev:3;)
alert udp any any -> any any (msg:"never"; content:"question"; pcre:"/nothing/"; sid:2;)
"""
POLICY = """
version: 1
segments:
  hosts: [10.0.0.0/8]
lines:
  - {name: dns, from: hosts, to: hosts, protocol: udp, ports: [53]}
"""


def get(server: metrics.Server, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
        return answer.read().decode()


def test_a_snapshot_at_rest():
    with fp.Engine(rules_of(RULES)) as engine:
        assert engine.snapshot() == {"running": False, "orders": {}, "isolated": []}
        engine.isolate("10.9.9.9")
        engine.inspect([udp(b"question")] * 40)
        now = engine.snapshot()
        assert (now["packets"], now["under_way"], now["running"], now["isolated"]) == (40, 0, False, ["10.9.9.9"])
        assert now["orders"] == {"isolate": 1} and now["packet_time"] > 0
        stats = engine.stats
        assert {name: now[name] for name in ("ledger", "flows", "events")} == {name: stats[name] for name in ("ledger", "flows", "events")}


def test_costs_of_rules():
    """Every burst of these is timed: the first of each call, with calls of one packet."""
    with fp.Engine(rules_of(RULES), burst=1) as engine:
        for _ in range(100):
            engine.inspect([udp(b"question")])
        first, second = engine.stats["rules"]
    assert (first["sid"], first["alerts"], first["candidates"], first["checks"], first["confirms"]) == (1, 100, 100, 100, 100)
    assert (second["sid"], second["alerts"], second["confirms"]) == (2, 0, 0)
    assert first["ns"] > 0


def test_snapshots_while_a_replay_runs(tmp_path):
    """Asked for again and again while rules are swapped: what only grows never falls, and nobody is disturbed."""
    path = write_pcap(tmp_path / "a.pcap", [udp(b"question", sport=1024 + i % 999) for i in range(150_000)])
    sets = [rules_of(RULES), rules_of(RULES.replace("sid:", "sid:1"))]
    seen: list[dict] = []
    failed: list[BaseException] = []
    with fp.Engine(sets[0], policy=fp.Policy.parse(POLICY), workers=2) as engine:
        done = threading.Event()

        def ask() -> None:
            try:
                turn = 0
                while not done.is_set():
                    turn += 1
                    if turn % 7 == 0:
                        engine.reload(sets[turn // 7 % 2])
                    seen.append(engine.snapshot())
                    json.dumps(seen[-1])
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        result = engine.replay(path)
        done.set()
        thread.join()
        last = engine.snapshot()
    assert not failed
    during = [one for one in seen if one.get("packets")]
    assert during
    for one, two in zip(during, during[1:], strict=False):
        assert one["packets"] <= two["packets"]
    for one in during:
        assert sum(each["packets"] for each in one["ledger"].values()) + one["under_way"] >= one["packets"]
        assert one["policy"]["lines"]
    assert last["packets"] == result.stats["packets"] == 150_000 and not last["running"]
    assert sum(rule["checks"] for rule in result.stats["rules"] if rule["msg"] == "question") == 150_000


def test_what_is_served(tmp_path):
    pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families
    with fp.Engine(rules_of(RULES), mode="ips", policy=fp.Policy.parse(POLICY), device=fp.Device(100)) as engine, \
            metrics.Server(engine.snapshot, 0) as server:
        assert "fastpath_running 0.0" in get(server, "/metrics") and get(server, "/") == "no packet yet\n"
        engine.subscribe(on_full="lose")
        engine.isolate("10.0.0.7")
        engine.inspect([*[udp(b"question")] * 5, *[udp(b"question", src="10.0.0.7")] * 3, udp(b"question", dport=99)])
        samples = {(sample.name, *sorted(sample.labels.values())): sample.value
                   for family in text_string_to_metric_families(get(server, "/metrics")) for sample in family.samples}
        assert samples["fastpath_packets_total", "inspected"] == 5 and samples["fastpath_packets_total", "dropped"] == 4
        assert samples["fastpath_rule_alerts_total", "1", "1", "3"] == 5
        assert samples["fastpath_policy_line_packets_total", "0", "dns"] == 5
        assert samples["fastpath_isolated_workloads",] == 1 and samples["fastpath_orders_total", "isolate"] == 1
        assert samples["fastpath_device_capacity",] == 100 and samples["fastpath_verdicts_lost_total",] == 0
        assert all(name.startswith("fastpath_") for name, *_ in samples)
        stats = json.loads(get(server, "/stats.json"))
        assert stats["packets"] == 9 and stats["rules"][0]["sid"] == 1
        lines = get(server, "/").splitlines()
        assert lines[0].startswith("at rest: 9 packets") and "isolated: 10.0.0.7" in lines
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(server, "/secrets")


def test_a_port_that_is_taken():
    pytest.importorskip("prometheus_client")
    with fp.Engine() as engine, metrics.Server(engine.snapshot, 0) as server, pytest.raises(OSError):
        metrics.Server(engine.snapshot, server.port)
