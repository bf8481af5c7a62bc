"""Verdicts and alerts of one packet: how many, in which order, and which of several wins."""
from __future__ import annotations

from captures import udp, write_pcap
from runs import replay


def test_a_packet_raises_packet_alert_max_alerts_at_most(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"needle")])
    rules = "\n".join(f'alert udp any any -> any any (content:"needle"; sid:{sid};)' for sid in range(1, 21))
    result = replay(path, rules)
    assert result.alerts["sid"].tolist() == list(range(1, 16))
    assert result.stats["exceptions"]["alerts_lost"] == 5
    assert len(replay(path, rules, sets=["packet-alert-max=255"]).alerts) == 20


def test_the_most_severe_of_several_verdicts_stands(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"needle")])
    rules = """alert udp any any -> any any (content:"needle"; sid:1;)
               drop udp any any -> any any (content:"needle"; sid:2;)
               reject udp any any -> any any (content:"needle"; sid:3;)"""
    result = replay(path, rules, engine={"mode": "ips"}, keep=("alerts", "packets"))
    assert result.alerts["sid"].tolist() == [2, 3, 1]
    assert list(result.packets["action"]) == ["reject"]
    assert result.packets["sid"].tolist() == [3]
    assert result.packets["alerts"].tolist() == [3]
    assert result.stats["ledger"]["dropped"]["packets"] == 1


def test_a_pass_rule_silences_what_comes_after(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"good needle"), udp(b"needle", sport=9)])
    rules = """alert udp any any -> any any (content:"needle"; sid:1;)
               pass udp any any -> any any (content:"good"; sid:2;)"""
    result = replay(path, rules)
    assert result.alerts["ordinal"].tolist() == [2]
