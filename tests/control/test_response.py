"""Rules that isolate: who is cut off, from which packet on, until when, and who is told."""
from __future__ import annotations

import json
from io import BytesIO

import pytest
from captures import conversation, ethernet, ipv6, tcp, udp
from runs import assert_ledger, rules_of

import fastpath as fp
from fastpath.outputs.eve import EveWriter

EVIL = "10.0.0.1"
RULE = 'alert udp any any -> any any (msg:"evil"; content:"evil"; isolate:src, seconds 10, standby gpu-17; sid:7;)'
OTHERS = [udp(b"good", "10.0.0.5", 41000), tcp(b"x", "10.0.0.9", 42000, dst=EVIL), udp(b"good", EVIL, 43000)]


def run(path, rules=RULE, mode="ips", sinks=(), **options):
    with fp.Engine(rules_of(rules), mode=mode, **options) as engine:
        result = engine.replay(path, keep=("alerts", "packets"), sinks=sinks)
        orders = engine.orders
    assert_ledger(result.stats)
    return result, orders


def dropped(result):
    return [number + 1 for number, action in enumerate(result.packets["action"].tolist()) if action == "drop"]


def at(*stamped):
    return [(float(second), frame) for second, frame in stamped]


def test_the_next_packet_of_a_workload_is_cut_whatever_its_flow(capture):
    path = capture(at((1, OTHERS[2]), (2, udp(b"evil", EVIL)), *((3, frame) for frame in OTHERS), (11, OTHERS[2]), (13, OTHERS[2])))
    result, orders = run(path)
    assert dropped(result) == [4, 5, 6] and result.stats["drops"] == {"isolated": 3}
    order, = (one for one in orders if one.kind == "isolate")
    assert (order.ordinal, order.isolation.workload, order.isolation.why, order.isolation.standby, order.isolation.rule) == (
        3, EVIL, "evil", "gpu-17", "1:7")
    assert order.isolation.until == 12_000_000_000


def test_in_ids_mode_verdicts_say_so_and_nothing_is_cut(capture):
    result, orders = run(capture(at((1, udp(b"evil", EVIL)), *((2, frame) for frame in OTHERS))), mode="ids")
    assert not dropped(result) and [str(reason) for reason in result.packets["reason"]].count("isolated") == 2 and len(orders) == 1


def test_the_destination_and_ipv6(capture):
    rule = RULE.replace("isolate:src", "isolate:dst")
    path = capture(at((1, udp(b"evil", "10.0.0.3", dst=EVIL)), *((2, frame) for frame in OTHERS), (2, udp(b"good", "10.0.0.3"))))
    assert dropped(run(path, rule)[0]) == [3, 4]
    frames = [ethernet(ipv6(17, udp(payload)[34:42] + payload, src="2001:db8::7"), 0x86DD) for payload in (b"evil", b"good")]
    assert len(run(capture(frames), RULE, checksums="none")[1]) == 1


def test_a_threshold_decides_when(capture):
    rule = RULE.replace("isolate:src", "threshold:type threshold, track by_src, count 3, seconds 60; isolate:src")
    path = capture(at(*((second, udp(b"evil", EVIL, 43000 + second)) for second in range(1, 6))))
    result, _ = run(path, rule)
    assert dropped(result) == [4, 5]


def test_it_is_told_once_and_lasts_from_the_latest_alert(capture):
    path = capture(at(*((second, udp(b"evil", EVIL, 43000 + second)) for second in (1, 6, 13, 20))))
    with BytesIO() as out:
        result, orders = run(path, mode="ids", sinks=(EveWriter(out, frozenset(("alert",))),))
        events = [json.loads(line) for line in out.getvalue().splitlines()]
    told = [event["isolation"] for event in events if event["event_type"] == "isolation"]
    assert len(result.alerts) == 4 and len(orders) == 1
    assert told == [{"ordinal": 2, "action": "isolate", "workload": EVIL, "addresses": [EVIL + "/32"], "until": "1970-01-01T00:00:11.000000+0000",
                     "why": "evil", "rule": "1:7", "standby": "gpu-17", "offloads_deleted": 0}]


@pytest.mark.parametrize("mode", ["ips", "ids"])
def test_workers_and_bursts_change_nothing(capture, mode):
    rules = RULE + '\nalert http any any -> any any (msg:"web"; http.uri; content:"/evil"; isolate:src, seconds 2; sid:8;)'
    frames = [frame for number in range(120) for frame in (
        conversation([(b"GET /%s HTTP/1.1\r\n\r\n" % (b"evil" if number % 17 == 0 else b"good"), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
                     src=f"10.0.{number % 5}.1", sport=40000 + number)
        + [udp(b"evil" if number % 13 == 0 else b"good", f"10.0.{number % 7}.1", 50000 + number)])]
    path = capture([(1 + number / 200, frame) for number, frame in enumerate(frames)])
    found = [run(path, rules, mode, workers=workers, burst=burst) for workers, burst in ((1, 1), (1, 256), (2, 7), (4, 128))]
    assert len({result.digest for result, _ in found}) == 1
    assert len({tuple((one.ordinal, one.isolation) for one in orders) for _, orders in found}) == 1
    assert found[0][0].stats["drops"].get("isolated", 0) > 20 or mode == "ids"


def test_a_live_engine_lists_and_releases(capture):
    with fp.Engine(rules_of(RULE), mode="ips") as engine:
        assert engine.inspect([udp(b"evil", EVIL)], ts=[1.0]).action.tolist() == [0]
        assert [one.workload for one in engine.isolated] == [EVIL]
        cut = engine.inspect([OTHERS[2]], ts=[2.0])
        assert [cut.reasons[code] for code in cut.reason] == ["isolated"]
        engine.release(EVIL)
        assert engine.isolated == () and engine.inspect([OTHERS[2]], ts=[3.0]).action.tolist() == [0]


def test_it_survives_a_reload(capture):
    with fp.Engine(rules_of(RULE), mode="ips") as engine:
        engine.inspect([udp(b"evil", EVIL)], ts=[1.0])
        engine.reload(rules_of('alert udp any any -> any any (content:"other"; sid:1;)'))
        cut = engine.inspect([OTHERS[2]], ts=[2.0])
        assert [cut.reasons[code] for code in cut.reason] == ["isolated"]


def test_more_than_there_is_room_for_fails_closed(capture):
    frames = [udp(b"evil", f"10.{number >> 8 & 255}.{number & 255}.1", 40000) for number in range(8200)]
    frames += [udp(b"good", "10.31.255.1", 40000), udp(b"good", "10.32.5.1", 40000)]
    with fp.Engine(rules_of(RULE.replace("seconds 10", "seconds 1000")), mode="ips") as engine:
        result = engine.replay(capture([(1.0, frame) for frame in frames]), keep=("packets",))
        assert engine.snapshot()["orders"] == {"isolate": 8192}
    assert_ledger(result.stats)
    assert dropped(result)[-2:] == [8201, 8202] and result.stats["exceptions"]["isolations_refused"] == 8


@pytest.mark.parametrize(("said", "why"), [
    ("isolate:both, seconds 3;", "src or dst"), ("isolate:src;", "seconds"), ("isolate:src, seconds 0;", "0"), ("isolate:src, minutes 3;", "minutes"),
    ("isolate:src, seconds 3; isolate:dst, seconds 3;", "second isolate"),
])
def test_what_cannot_be_read_is_refused(said, why):
    rules = fp.RuleSet.parse(RULE.replace("isolate:src, seconds 10, standby gpu-17;", said))
    assert not rules.plans and why in rules.refusals[0].reason
