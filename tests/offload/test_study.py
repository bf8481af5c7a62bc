"""A study over small captures: the log, the simulation beside the pass that confirms it, the JSON and the picture."""
from __future__ import annotations

import json
import random
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from captures import conversation, ethernet, fragments, ipv4, udp
from runs import rules_of

import fastpath as fp
from fastpath.control.result import Run
from fastpath.dataplane import rows
from fastpath.offload.log import LogSink
from fastpath.offload.settings import Requests, Setting, read_grid
from fastpath.offload.study import unmatched
from fastpath.outputs.offload import as_json, page
from fastpath.outputs.offload_picture import draw

RULES = """
alert udp any any -> any 53 (msg:"the word, in a packet"; content:"word"; sid:1;)
alert tcp any any -> any 80 (msg:"the word, in a stream"; flow:established,to_server; content:"secret word"; sid:2;)
alert udp any any -> any 99 (msg:"leave it"; content:"go"; bypass; sid:3;)
alert tcp any any -> any any (msg:"the end"; flags:F+; sid:4;)
"""
ELEPHANT = Requests(elephant=1000)


def traffic(seed: int, flows: int = 40, seconds: int = 12) -> list[tuple[float, bytes]]:
    """UDP flows of many sizes and TCP conversations that last, all at once; some say the word early, some late."""
    rng = random.Random(seed)
    made = []
    for number in range(flows):
        begin, src = rng.random() * seconds, f"10.0.{number}.1"
        port = rng.choice((53, 99, 1000))
        if rng.random() < 0.4:
            said = [(bytes(rng.choices(b"abcdef", k=300)) + (b"secret word" if rng.random() < 0.2 else b""), b"yes") for _ in range(rng.randrange(1, 9))]
            frames = conversation(said, src=src)
        else:
            frames = [udp((b"word " if rng.random() < 0.2 else b"go " if rng.random() < 0.2 else b"") + bytes(rng.randrange(20, 500)), src, dport=port)
                      for _ in range(rng.randrange(1, 25))]
        made += [(begin + at * 0.3, frame) for at, frame in enumerate(frames)]
    return [(1000.0 + when, frame) for when, frame in sorted(made, key=lambda one: one[0])]


@pytest.fixture
def engine():
    with fp.Engine(rules_of(RULES)) as made:
        yield made


SIMPLE = (Setting(1000, requests=ELEPHANT), Setting(4, requests=ELEPHANT), Setting(1000, insert_rate=2, insert_latency=0.5, requests=ELEPHANT),
          Setting(1000, idle_timeout=0.2, requests=ELEPHANT), Setting(3, requests=Requests()), Setting(1000, requests=Requests(elephant=1)))


@pytest.mark.parametrize("seed", range(6))
def test_the_simulation_is_what_the_device_does(engine, capture, seed):
    """Where no rule hangs on more than its flow: the table does the same, and no alert is missed that the simulation does not name. It
    names more where the bytes that a stream rule found had been seen before the session was in force."""
    path = capture(traffic(seed))
    for settings in (SIMPLE[:3], SIMPLE[3:]):
        study = engine.offload(path, settings, confirm=settings)
        assert len(study.confirmed) == 3
        for one in study.confirmed:
            row = one.row
            assert (one.packets, one.bytes, one.full, one.inserted) == (row.packets, row.bytes, row.full, row.inserted), row.setting
            assert one.only_confirmed == [], (row.setting, [study.alert(at) for at in one.only_confirmed])
            assert {study.alert(at).sid for at in one.only_simulated} | {alert.sid for alert in one.anew} <= {2}
    assert any(row.packets and row.missed_count for row in study.rows)


def test_the_log_holds_every_packet_and_every_alert(engine, capture):
    path = capture([*traffic(3), *((1030.0, frame) for frame in fragments(17, udp(bytes(3000))[34:], [800, 1600])),
                    (1031.0, ethernet(ipv4(4, udp(b"word")[14:])))])
    sink = LogSink()
    result = engine._replay([path], None, Run(frozenset(), 0, [sink], settings={"buckets": 1}), False, None)
    log = sink.log.rows()
    assert result.stats["entries"] == result.stats["packets"] + 2      # a datagram made whole, and what a tunnel carries
    assert int(np.count_nonzero(log["flags"] & rows.LOG_LAST)) == result.stats["packets"]
    assert int(log["size"][log["flags"] & rows.LOG_LAST != 0].sum()) == result.stats["bytes"]
    assert int(log["alerts"].sum()) == result.stats["alerts"] == sink.alerts.count
    assert int(np.count_nonzero(log["flags"] & rows.LOG_END)) == result.stats["flows"]["rows"] == int(np.count_nonzero(log["flags"] & rows.LOG_BEGIN))
    assert log["flags"][-1] == rows.LOG_EMPTY
    sink.drop()


def test_a_log_changes_nothing_that_is_found(capture):
    """But bypass: while a log is kept, nobody acts on it."""
    path = capture(traffic(5))
    rules = rules_of(RULES.replace("bypass; ", ""))
    with fp.Engine(rules) as made:
        plain = made.replay(path)
        sink = LogSink()
        logged = made._replay([path], None, Run(frozenset(("alerts", "flows")), 1 << 20, [sink], settings={"buckets": 1}), False, None)
        sink.drop()
    assert sorted(zip(plain.alerts["sid"], plain.alerts["ordinal"], strict=True)) == sorted(zip(logged.alerts["sid"], logged.alerts["ordinal"], strict=True))
    assert len(plain.flows) == len(logged.flows)


def test_captures_begin_anew(engine, capture):
    paths = [capture(traffic(1)), capture(traffic(1))]
    setting = Setting(5, insert_rate=3, requests=ELEPHANT)
    once, twice = engine.offload(paths[0], [setting], confirm=0), engine.offload(paths, [setting], confirm=1)
    assert twice.rows[0].packets == 2 * once.rows[0].packets == twice.confirmed[0].packets
    assert twice.rows[0].full == 2 * once.rows[0].full


def test_missed_alerts_are_named(engine, capture):
    late = [(0.0, udp(bytes(1200))), *[(1.5 + at, udp(b"word %d" % at)) for at in range(3)]]
    study = engine.offload(capture(late), [Setting(10, requests=ELEPHANT)], confirm=1)
    missed = [study.alert(at) for at in study.rows[0].missed]
    assert [(one.sid, one.msg, one.src, one.dest, one.packet, one.source) for one in missed] == [
        (1, "the word, in a packet", "10.0.0.1:40000", "10.0.0.2:53", packet, "packet") for packet in (2, 3, 4)]
    assert missed[0].flow.startswith("1:") and len({one.flow for one in missed}) == 1
    assert study.by_rule(study.rows[0].missed)[0] | {"example": None} == {
        "gid": 1, "sid": 1, "msg": "the word, in a packet", "severity": 3, "alerts": 3, "flows": 1, "example": None}


def test_json_says_everything(engine, capture):
    study = engine.offload(capture(traffic(2)), read_grid(timeouts="10s", latencies="0"), confirm=1)
    said = json.loads(as_json(study))
    assert set(said) == {"format", "captures", "partial", "damages", "log", "simulation", "alerts", "settings", "confirmed"}
    assert said["simulation"]["settings"] == len(said["settings"]) == len(study.settings)
    for row in said["settings"]:
        assert set(row) == {"setting", "packets", "bytes", "packet_share", "byte_share", "requests", "inserted", "table_full", "table_full_batches",
                            "peak_sessions", "saved_seconds", "saved_share", "alerts_missed", "missed", "late"}
        assert set(row["setting"]) == {"sessions", "insert_rate", "insert_latency", "idle_timeout", "policy"}
        assert row["alerts_missed"] == len(row["missed"]) and all(str(at) in said["alerts"] for at in row["missed"])
        assert 0 <= row["byte_share"] <= 1 and row["packets"] <= said["log"]["packets"]
    for alert in said["alerts"].values():
        assert set(alert) == {"sid", "gid", "msg", "severity", "flow", "src", "dest", "packet", "source"}
    assert said["confirmed"][0]["difference"] == {"packets": 0, "bytes": 0, "alerts_missed": 0}


def test_the_picture_and_the_page_need_nothing_else(engine, capture, tmp_path):
    path = capture(traffic(2)).rename(tmp_path / "<b>&.pcap")
    study = engine.offload(path, read_grid(latencies="0"), confirm=2)
    picture = ElementTree.fromstring(draw(study))
    text = "".join(picture.itertext())
    assert "share of all bytes offloaded" in text and "alerts missed" in text and "sessions that the table holds" in text and "<b>&.pcap" in text
    html = page(study)
    assert "<b>&.pcap" not in html and "&lt;b&gt;" in html
    for made in (draw(study).replace("http://www.w3.org/2000/svg", ""), html.replace("http://www.w3.org/2000/svg", "")):
        assert "http:" not in made and "https:" not in made and "<script" not in made and "url(" not in made


def test_an_empty_capture(engine, capture):
    study = engine.offload(capture([]), confirm=1)
    assert study.rows and all(row.packets == row.missed_count == 0 for row in study.rows)
    ElementTree.fromstring(draw(study))


@pytest.mark.parametrize(("confirm", "said"), [(4, "between 0 and 3"), (-1, "between 0 and 3"), ([Setting(size) for size in range(1, 6)], "between 0 and 3")])
def test_at_most_three_are_confirmed(engine, capture, confirm, said):
    with pytest.raises(ValueError, match=said):
        engine.offload(capture(traffic(1)), [Setting(1)], confirm=confirm)


def test_standard_input_cannot_be_confirmed(engine):
    with pytest.raises(ValueError, match="read once"):
        engine.offload("-", [Setting(1)], confirm=1)


def test_alerts_are_matched_by_packet_then_flow_then_key():
    def alerts(*made):
        array = np.zeros(len(made), rows.ALERT)
        for at, (flow, rule, ordinal, key) in enumerate(made):
            array[at]["flow"], array[at]["rule"], array[at]["ordinal"], array[at]["key"]["port"] = flow, rule, ordinal, (key, 0)
        return array

    full = alerts((1, 7, 10, 1), (1, 7, 11, 1), (1, 8, 12, 1), (2, 7, 13, 2))
    assert unmatched(full, full) == ([], [])
    assert unmatched(full, alerts((1, 7, 11, 1), (5, 8, 99, 1))) == ([0, 3], [])
    assert unmatched(full, alerts((1, 7, 0, 1), (9, 9, 1, 1))) == ([1, 2, 3], [1])
