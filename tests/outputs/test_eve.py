"""EVE lines: fields, spelling and order of Suricata 7.0.10, from rows made by hand."""
from __future__ import annotations

import io
import json

import numpy as np
import pytest
from made_rows import SECOND, START, alert, batch, flow, key

from fastpath.dataplane import rows
from fastpath.outputs.eve import EveWriter, check_events

WEB = ("10.0.0.1", 1234, "192.0.2.9", 80)
BACK = ("192.0.2.9", 80, "10.0.0.1", 1234)


def lines(made, events="all", mode="ids") -> list[dict]:
    out = io.BytesIO()
    writer = EveWriter(out, [events], mode)
    writer.write(made)
    assert writer.lines == out.getvalue().count(b"\n")
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_alert_on_a_packet():
    [event] = lines(batch(alerts=[alert(key(*WEB, vlan=(7,)), ordinal=3, ts=START + 500_000_999)], captures=(("a.pcap", 2),)))
    # as Suricata 7.0.10 writes it, but for the application layer; key order included
    assert json.dumps(event) == json.dumps({
        "timestamp": "2023-11-14T22:13:20.500000+0000", "flow_id": 99, "pcap_cnt": 2, "event_type": "alert", "vlan": [7],
        "src_ip": "10.0.0.1", "src_port": 1234, "dest_ip": "192.0.2.9", "dest_port": 80, "proto": "TCP", "pkt_src": "wire/pcap",
        "community_id": "1:ldX/6e4LCtM6O+1sE9Bf5QaA8Fo=",
        "alert": {"action": "allowed", "gid": 1, "signature_id": 1, "rev": 3, "signature": "one",
                  "category": "Attempted Administrator Privilege Gain", "severity": 1, "source": {"ip": "10.0.0.1", "port": 1234},
                  "target": {"ip": "192.0.2.9", "port": 80}, "metadata": {"created_at": ["2020_01_01"], "tag": ["a", "b"]}},
        "direction": "to_server",
        "flow": {"pkts_toserver": 2, "pkts_toclient": 1, "bytes_toserver": 200, "bytes_toclient": 60,
                 "start": "2023-11-14T22:13:20.000000+0000", "src_ip": "10.0.0.1", "dest_ip": "192.0.2.9", "src_port": 1234, "dest_port": 80},
        "pcap_filename": "a.pcap"})


def test_source_and_destination_are_those_of_the_packet():
    [event] = lines(batch(alerts=[alert(key(*BACK), to_client=1)]))
    assert (event["src_ip"], event["src_port"], event["dest_ip"], event["dest_port"]) == BACK
    assert event["direction"] == "to_client"
    assert (event["flow"]["src_ip"], event["flow"]["src_port"], event["flow"]["dest_port"]) == ("10.0.0.1", 1234, 80)


def test_an_alert_inside_a_tunnel():
    inner = key("fd00::1", 128, "fd00::2", 129, 58, tunnel=rows.TUNNELS.index("vxlan") << 4 | 1)
    outer = key("10.0.0.1", 9, "192.0.2.9", 4789, 17)
    [event] = lines(batch(alerts=[alert(inner, depth=1, outer=outer[0], outer_reversed=outer[1], icmp_type=128, ordinal=15)]))
    assert "pcap_cnt" not in event and "src_port" not in event
    assert event["pkt_src"] == "vxlan encapsulation"
    assert (event["src_ip"], event["proto"]) == ("fd00:0000:0000:0000:0000:0000:0000:0001", "IPv6-ICMP")
    assert (event["icmp_type"], event["icmp_code"]) == (128, 0)
    assert event["tunnel"] == {"src_ip": "10.0.0.1", "src_port": 9, "dest_ip": "192.0.2.9", "dest_port": 4789, "proto": "UDP", "depth": 1,
                               "pcap_cnt": 15, "pkt_src": "wire/pcap"}
    assert event["community_id"] == "1:cHVm51rRL0MQihNiyq5ZLwFkyko="


def test_an_icmp_error_bears_its_own_protocol():
    [event] = lines(batch(alerts=[alert(key("192.0.2.9", 53, "10.0.0.1", 5000, 17), icmp_type=3, icmp_code=3, to_client=1)]))
    assert (event["src_ip"], event["dest_ip"], event["proto"]) == ("192.0.2.9", "10.0.0.1", "ICMP")
    assert "src_port" not in event and "src_port" not in event["flow"]
    assert event["community_id"] == "1:/JnlAdcEsYpXg627d6hSbQCKyCI="        # of the flow that it quotes


def test_an_alert_without_addresses_or_flow():
    row = alert(key("10.0.0.1", 0, "10.0.0.2", 0), net=0, has_flow=0)
    row["key"] = 0
    [event] = lines(batch(alerts=[row]))
    assert set(event) == {"timestamp", "pcap_cnt", "event_type", "pkt_src", "alert", "pcap_filename"}


def test_a_flush_pseudo_packet_has_no_number():
    [event] = lines(batch(alerts=[alert(key(*WEB), ordinal=0, source=2)]))
    assert "pcap_cnt" not in event
    assert (event["pkt_src"], event["pcap_filename"]) == ("stream (flow timeout)", "a.pcap")


def test_ips_mode_adds_the_verdict():
    [event] = lines(batch(alerts=[alert(key(*WEB), rule=1, action=1, verdict=1)]), mode="ips")
    assert event["alert"]["action"] == "blocked"
    assert event["alert"]["signature"] == 'two <b>[red]; "quoted"'
    assert event["verdict"] == {"action": "drop"}
    [event] = lines(batch(alerts=[alert(key(*WEB), action=4, verdict=1, reject=4)]), mode="ips")
    assert event["verdict"] == {"action": "drop", "reject-target": "both", "reject": ["tcp-reset"]}
    # the verdict is that of the packet, whatever this rule says; a pass rule may be behind it
    [event] = lines(batch(alerts=[alert(key(*WEB), action=0, verdict=2)]), mode="ips")
    assert (event["alert"]["action"], event["verdict"]) == ("allowed", {"action": "pass"})


def test_a_flow():
    made = flow(key(*BACK, vlan=(7,)), flags=rows.FLOW_ALERTED, state=2, end=2, tcp_state=10, tcp_flags=(0x1B, 0x13))
    made["flags"] ^= rows.FLOW_REVERSED        # the client began
    [event] = lines(batch(flows=[made]))
    assert json.dumps(event) == json.dumps({
        "timestamp": "2023-11-14T22:13:22.000000+0000", "flow_id": 99, "event_type": "flow", "vlan": [7], "src_ip": "10.0.0.1",
        "src_port": 1234, "dest_ip": "192.0.2.9", "dest_port": 80, "proto": "TCP",
        "flow": {"pkts_toserver": 4, "pkts_toclient": 3, "bytes_toserver": 400, "bytes_toclient": 300,
                 "start": "2023-11-14T22:13:20.000000+0000", "end": "2023-11-14T22:13:22.000000+0000", "age": 2, "state": "closed",
                 "reason": "shutdown", "alerted": True},
        "community_id": "1:ldX/6e4LCtM6O+1sE9Bf5QaA8Fo=",
        "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "13", "syn": True, "fin": True, "psh": True, "ack": True,
                "state": "closed"},
        "pcap_filename": "a.pcap"})


def test_a_bypassed_flow_and_icmp():
    [event] = lines(batch(flows=[flow(key("10.0.0.1", 8, "192.0.2.9", 0, 1), flags=rows.FLOW_BYPASS | rows.FLOW_OFFLOADED)]))
    assert (event["flow"]["state"], event["flow"]["bypass"]) == ("bypassed", "capture")
    assert (event["icmp_type"], event["response_icmp_type"], event["community_id"]) == (8, 0, "1:cTuqS6OBO4VAMISWBv3yb7XqHsA=")
    assert "tcp" not in event and "src_port" not in event


def test_anomaly_and_stats():
    row = np.zeros(1, rows.EVENT)
    it, reverse = key("10.0.0.1", 0, "192.0.2.9", 0, 47)
    code = rows.events().index("decoder.ipv4.pkt_too_small")
    row["key"], row["reversed"], row["net"], row["ordinal"], row["ts"], row["code"] = it, reverse, 4, 17, START, code
    [event] = lines(batch(events=[row]))
    assert event == {"timestamp": "2023-11-14T22:13:20.000000+0000", "pcap_cnt": 17, "event_type": "anomaly", "src_ip": "10.0.0.1",
                     "dest_ip": "192.0.2.9", "proto": "GRE", "pkt_src": "wire/pcap",
                     "anomaly": {"type": "decode", "event": "decoder.ipv4.pkt_too_small"}, "pcap_filename": "a.pcap"}
    out = io.BytesIO()
    EveWriter(out, ["stats"]).close({"packets": 5, "bytes": 300, "seconds": 1.5, "alerts": 2, "partial": False,
                                     "ledger": {"errored": {"packets": 1}, "offloaded": {"packets": 2, "bytes": 120}},
                                     "device": {}, "verdicts": {}, "drops": {}, "exceptions": {"flow.memcap.drop-flow": 3},
                                     "decryption": {"sessions": 1, "bytes": 9}, "uninspected": {"flows": 2, "bytes": 77, "by_service": []},
                                     "inventory": [], "events": {"decoder.ipv4.trunc_pkt": 4}, "flows": {"created": 3, "active": 0},
                                     "defrag": {"ipv4": {"fragments": 2, "reassembled": 1}, "ipv6": {"fragments": 0, "reassembled": 0}}})
    stats = json.loads(out.getvalue())["stats"]
    assert stats["decryption"] == {"sessions": 1, "bytes": 9}
    assert stats["uninspected"] == {"flows": 2, "bytes": 77}
    assert stats["exception_policy"] == {"flow": {"memcap": {"drop_flow": 3}}}
    assert stats["flow_bypassed"] == {"local_pkts": 2, "local_bytes": 120, "closed": 0, "pkts": 0, "bytes": 0}
    assert stats["decoder"] == {"pkts": 5, "bytes": 300, "invalid": 1, "event": {"ipv4": {"trunc_pkt": 4}}}


def test_only_what_is_asked_for_is_written():
    made = batch(alerts=[alert(key(*WEB))], flows=[flow(key(*WEB))])
    assert [event["event_type"] for event in lines(made, "flow")] == ["flow"]
    assert [event["event_type"] for event in lines(made, "all")] == ["alert", "flow"]
    assert check_events(["alert", " flow"]) == {"alert", "flow"}
    with pytest.raises(ValueError, match="no events named gopher"):
        check_events(["gopher"])


def test_captures_are_told_apart():
    made = batch(alerts=[alert(key(*WEB), ordinal=n) for n in (1, 10, 11, 15)], captures=(("a.pcap", 1), ("b.pcap", 11)))
    assert [(event["pcap_filename"], event["pcap_cnt"]) for event in lines(made)] == [
        ("a.pcap", 1), ("a.pcap", 10), ("b.pcap", 1), ("b.pcap", 5)]
    assert made.columns("alerts")["pcap_cnt"].tolist() == [1, 10, 1, 5]


def test_time_before_1970_is_not_ours_but_far_future_is():
    [event] = lines(batch(flows=[flow(key(*WEB), start=SECOND * 4_000_000_000, last=SECOND * 4_000_000_000 + 1)]))
    assert event["timestamp"] == "2096-10-02T07:06:40.000000+0000"
