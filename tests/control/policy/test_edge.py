"""Policies about what is beyond recognition and flows: applications on any port, QFIs, queue pairs, tunnels."""
from __future__ import annotations

from pathlib import Path

import pytest
from captures import conversation, read_packets, udp, write_pcap

import fastpath as fp
from fastpath.control.policy import BEYOND, PolicyError, alprotos

EDGE = Path(__file__).resolve().parents[3] / "pcaps" / "edge"
SENSORS = """
version: 1
segments: {sensors: 10.20.0.2, broker: 10.20.0.1, plc: 10.20.0.0/24}
lines:
- {name: sensors speak MQTT to the broker and nothing else, from: sensors, to: broker, protocol: tcp, application: mqtt}
"""
CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04ab12"


def drops(path, policy, **options) -> list[int]:
    with fp.Engine(policy=fp.Policy.parse(policy), mode="ips", **options) as engine:
        packets = engine.replay(path, keep=("packets",)).packets
    return [packet["ordinal"] for packet in packets if packet["action"] != "pass"]


def test_sensors_speak_mqtt_to_the_broker():
    """On the usual port and on another one: recorded from mosquitto."""
    assert drops(EDGE / "mqtt.pcap", SENSORS) == []


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", bytes.fromhex("000100000006010300010004"),
                                  b"\x10\x10\x00\x04MQTX\x04\x02\x00\x3c\x00\x04ab12" + bytes(200)])
def test_and_nothing_else(tmp_path, data):
    """Something else on the broker's port is cut at the packet that tells, or at the limit."""
    for port in (1883, 18830):
        talk = conversation([(data, b"x" * 40)] * 8, src="10.20.0.2", dst="10.20.0.1", dport=port)
        cut = drops(write_pcap(tmp_path / f"{port}.pcap", talk), SENSORS.replace("lines:", "pending: {packets: 8}\nlines:"))
        if not (port == 1883 and data[0] == 0x10):       # Suricata's probe of the port takes any first byte of MQTT
            assert cut and cut[-1] == len(talk)


def test_to_nobody_else(tmp_path):
    talk = conversation([(CONNECT, b"\x20\x02\0\0")], src="10.20.0.2", dst="10.20.0.3", dport=1883)
    assert drops(write_pcap(tmp_path / "a.pcap", talk), SENSORS) == list(range(1, len(talk) + 1))


def test_a_datagram_that_is_something_else_is_cut_at_once(tmp_path):
    policy = SENSORS.replace("protocol: tcp, application: mqtt", "protocol: udp, application: coap")
    read = b"\x41\x01\x12\x34\x07\xb4lamp"
    packets = [udp(data, "10.20.0.2", 40000 + number, "10.20.0.1", port) for number, (data, port) in
               enumerate(((read, 5683), (read, 9000), (b"hello", 5683), (read[:6], 9000)))]
    assert drops(write_pcap(tmp_path / "a.pcap", packets), policy) == [3, 4]


def test_protocols_that_stock_suricata_leaves_off(tmp_path):
    """modbus and dnp3 are off in the stock configuration, and may stand in a line all the same; not with compat, which has nothing beyond."""
    policy = fp.Policy.parse(SENSORS.replace("application: mqtt", "application: [modbus, s7]"))
    assert policy.looks_beyond
    with fp.Engine(policy=policy, mode="ips") as engine:
        reading = bytes.fromhex("000100000006010300010004")
        talk = conversation([(reading, reading)] * 80, src="10.20.0.2", dst="10.20.0.1", dport=1502)
        result = engine.replay([write_pcap(tmp_path / "a.pcap", talk), EDGE / "s7.pcap"])
    assert result.stats["drops"] == {}
    with pytest.raises(ValueError, match="modbus is not recognised"):
        fp.Engine(policy=policy, compat=True)


def test_names():
    assert set(alprotos()) >= BEYOND
    assert not fp.Policy.parse(SENSORS.replace("mqtt", "http")).looks_beyond


GTP = """
version: 1
carriers: pass
segments:
  urllc: {addresses: 10.46.0.0/16, qfi: 9}
  embb: {addresses: 10.46.0.0/16, qfi: 1-8}
  servers: 10.60.0.0/24
  core: 10.111.0.0/24
lines:
- {from: core, to: core}
- {from: urllc, to: servers}
"""


def test_a_segment_may_be_a_qos_flow():
    """Packets 5 and 7 come with QFI 9, 6 is the answer."""
    assert drops(EDGE / "n4.pcap", GTP) == []
    assert drops(EDGE / "n4.pcap", GTP.replace("from: urllc", "from: embb")) == [5, 6, 7]


def test_a_qos_flow_among_tunnels_and_vlans():
    """Each condition holds by itself and with the others."""
    base = "version: 1\ncarriers: pass\nsegments:\n  a: {%s}\n  core: 10.111.0.0/24\nlines:\n- {from: [a, core], to: any}\n"
    for condition, expected in (("qfi: 9", []), ("qfi: 9, teid: 0x5001", []), ("qfi: 8, teid: 0x5001", [5, 6, 7]), ("qfi: 9, teid: 0x5002", [5, 6, 7]),
                                ("qfi: 0-63, vlan: 0", []), ("qfi: 9, vlan: 5", [5, 6, 7]), ("qfi: [1, 9]", []), ("qfi: 0", [5, 6, 7])):
        assert drops(EDGE / "n4.pcap", base % condition.replace("0x5001", "20481").replace("0x5002", "20482")) == expected, condition


@pytest.mark.parametrize(("text", "place", "message"), [
    ("queue_pairs: away\n", "2:14", "expected apart or pass, found 'away'"),
    ("tunnels: [bound]\n", "2:10", "expected bound or pass"),
    ("tenants: {blue: {qfi: 64}}\n", "2:23", "a QFI"),
])
def test_what_cannot_be_is_refused_at_its_place(text, place, message):
    with pytest.raises(PolicyError) as error:
        fp.Policy.parse("version: 1\n" + text + "segments: {}\nlines: []\n", "p.yaml")
    assert f"p.yaml:{place}" in str(error.value)
    assert message in str(error.value)


def test_tags_of_tenants():
    policy = fp.Policy.parse("version: 1\ntenants: {blue: {vlan: [100, 200-210], vni: 5000}, red: {vlan: 205-300, teid: 7}}\nsegments: {}\nlines: []\n")
    assert policy.tags[["low", "high", "tenant"]].tolist() == [(100, 100, 1), (200, 210, 1), (211, 300, 2), ((1 << 32) + 5000, (1 << 32) + 5000, 1)]


def test_the_answer_stays_when_a_policy_comes_later():
    """A reload brings what looks beyond: from then on it does."""
    packets = [one for found in read_packets(EDGE / "roce.pcap").values() for one in found]
    apart = "version: 1\nqueue_pairs: apart\nsegments: {}\nlines:\n- {from: any, to: any}\n"
    with fp.Engine(mode="ips") as engine:
        engine.inspect(packets[:3])
        engine.reload(policy=fp.Policy.parse(apart))
        verdicts = engine.inspect(packets[3:])
    assert [number for number, action in enumerate(verdicts.action.tolist(), 4) if action] == [22, 23]
