"""What a change of rules or policy does: old and new held against each other, and against two runs one after the other."""
import json
from collections import Counter

import pytest
from captures import tcp, udp
from runs import MIXED_RULES, alert_counts, replay, rules_of
from segments import handshake, segment
from typer.testing import CliRunner

import fastpath as fp
from fastpath.cli import app

OLD = """alert udp any any -> any 53 (msg:"question"; content:"abc"; sid:1;)
drop udp any any -> any 99 (msg:"closed"; sid:2;)
alert udp any any -> any 7 (msg:"gone"; sid:3;)"""
NEW = """alert udp any any -> any 53 (msg:"question"; content:"ab"; sid:1; rev:2;)
drop udp any any -> any 98 (msg:"closed too"; sid:4;)"""

POLICY = """version: 1
name: names only
segments:
  inside: {addresses: 10.0.0.0/24}
lines:
  - {from: inside, to: inside, protocol: udp, ports: 53}
"""


@pytest.fixture
def traffic(capture):
    frames = [udp(b"abc", sport=1000), udp(b"ab", sport=1001), udp(b"ab", sport=1001), udp(b"x", dport=99), udp(b"x", dport=98),
              udp(b"x", dport=98), udp(b"x", dport=7), udp(b"x", dport=1234)]
    return capture([(1.0 + i, frame) for i, frame in enumerate(frames)])


def found(traffic, old=OLD, new=NEW, **options):
    return fp.diff(traffic, old=rules_of(old), new=rules_of(new), **options)


def test_each_kind_by_rule_and_flow(traffic):
    made = found(traffic)
    assert bool(made) and made.mode == "ips"
    assert {kind: [(one.sid, one.count, one.flow_count) for one in made.of(kind)] for kind in ("dropped", "allowed", "alerted", "silent")} == {
        "dropped": [(4, 2, 1)], "allowed": [(2, 1, 1)], "alerted": [(1, 2, 1), (4, 1, 1)], "silent": [(2, 1, 1), (3, 1, 1)]}
    dropped = made.of("dropped")[0]
    assert (dropped.msg, dropped.bytes) == ("closed too", 2 * 43)
    assert (dropped.flows[0].src, dropped.flows[0].dest, dropped.flows[0].packet) == ("10.0.0.1:40000", "10.0.0.2:98", 5)
    assert dropped.flows[0].flow.startswith("1:") and dropped.flows[0].capture == str(traffic)
    assert [made.sets.added, made.sets.removed, made.sets.revised] == [[(1, 4)], [(1, 2), (1, 3)], [(1, 1)]]
    assert [side["packets"] for side in made.stats] == [8, 8]


def test_nothing_differs(traffic):
    made = found(traffic, OLD, OLD)
    assert not made and made.changes == [] and not made.sets.added
    assert not fp.diff(traffic)


def test_in_ids_mode_nothing_is_dropped(traffic):
    assert not found(traffic, mode="ids").of("dropped")
    assert found(traffic, 'alert udp any any -> any any (sid:1;)', "").mode == "ids"


def test_a_policy(traffic, tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY)
    made = fp.diff(traffic, new_policy=fp.Policy.load(tmp_path / "p.yaml"))
    assert made.mode == "ips"
    assert sum(one.count for one in made.of("dropped")) == 5 and {one.what for one in made.of("dropped")} == {"policy"}
    assert not made.of("alerted")


def test_it_agrees_with_two_runs(capture):
    frames = [*handshake(), segment(0, "PA", 1001, 5001, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), segment(1, "A", 5001, 1028)]
    frames += [udp(bytes([i % 256]) * (i % 40), sport=1000 + i % 17, dport=(53, 5353, 99)[i % 3]) for i in range(300)]
    frames += [tcp(b"login pass 1234567", sport=2000 + i, dport=(23, 80)[i % 2]) for i in range(40)]
    path = capture([(1.0 + i / 10, frame) for i, frame in enumerate(frames)])
    old, new = MIXED_RULES, "\n".join(line for number, line in enumerate(MIXED_RULES.splitlines()) if number % 3)
    for mode in ("ids", "ips"):
        runs = [replay(path, rules, engine={"mode": mode}, keep=("alerts", "packets")) for rules in (old, new)]
        made = found(path, old, new, mode=mode)
        by_sid = [Counter(run.alerts["sid"].tolist()) for run in runs]
        assert {one.sid: one.count for one in made.of("alerted")} == dict(by_sid[1] - by_sid[0])
        assert {one.sid: one.count for one in made.of("silent")} == dict(by_sid[0] - by_sid[1])
        was, now = (run.packets["action"] != "pass" for run in runs)
        assert sum(one.count for one in made.of("dropped")) == (now & ~was).sum()
        assert sum(one.count for one in made.of("allowed")) == (was & ~now).sum()
        assert [side["alerts"] for side in made.stats] == [sum(alert_counts(run).values()) for run in runs]
        for workers in (2, 4):
            assert found(path, old, new, mode=mode, workers=workers).as_dict() == made.as_dict()


def test_compressed_captures_are_read_once(traffic, tmp_path):
    import gzip
    packed = tmp_path / "a.pcap.gz"
    packed.write_bytes(gzip.compress(traffic.read_bytes()))
    one, other = found(traffic).as_dict(), found(packed, bpf="udp").as_dict()
    assert [(change["kind"], change["name"], change["count"]) for change in one["changes"]] \
        == [(change["kind"], change["name"], change["count"]) for change in other["changes"]]
    assert found(packed, bpf="udp port 7").as_dict()["packets"] == 1


def test_the_command(traffic, tmp_path):
    (tmp_path / "old.rules").write_text(OLD)
    (tmp_path / "new.rules").write_text(NEW)
    runner = CliRunner()
    asked = ["diff", str(traffic), "--old", str(tmp_path / "old.rules"), "--new", str(tmp_path / "new.rules")]
    ran = runner.invoke(app, [*asked, "--json", str(tmp_path / "out.json")])
    assert ran.exit_code == 3, ran.output
    for said in ("newly dropped", "newly allowed", "newly alerted", "no longer alerted", "1:4:0", "10.0.0.2:98"):
        assert said in ran.output, ran.output
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["totals"]["dropped"] == {"rules": 1, "count": 2, "flows": 1} and told["rules"]["added"] == 1
    assert runner.invoke(app, [*asked, "--json", str(tmp_path / "out.json")]).exit_code == 2
    same = runner.invoke(app, ["diff", str(traffic), "--old", str(tmp_path / "old.rules"), "--new", str(tmp_path / "old.rules")])
    assert same.exit_code == 0 and "no difference" in same.output
    assert runner.invoke(app, ["diff", str(traffic)]).exit_code == 2
    pyarrow = pytest.importorskip("pyarrow.parquet")
    assert runner.invoke(app, [*asked, "--parquet", str(tmp_path / "out.parquet")]).exit_code == 3
    table = pyarrow.read_table(tmp_path / "out.parquet").to_pylist()
    assert {(row["kind"], row["sid"], row["dest"], row["count"]) for row in table} >= {("dropped", 4, "10.0.0.2:98", 2),
                                                                                      ("silent", 3, "10.0.0.2:7", 1)}
