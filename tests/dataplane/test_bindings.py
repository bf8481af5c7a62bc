"""What belongs together: queue pairs and their segments, GTP tunnels and their subscribers, hardware and its addresses."""
from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import pytest
from captures import ethernet, ipv4, read_packets, udp, write_pcap

import fastpath as fp
from fastpath.control.bindings import Bindings
from fastpath.control.hardware import Hardware
from fastpath.outputs.eve import EveWriter

EDGE = Path(__file__).resolve().parents[2] / "pcaps" / "edge"
OPEN = "version: 1\nsegments: {}\nlines:\n- {from: any, to: any}\n"
MANIFEST = """
hardware:
- {name: bmc-7, address: 10.9.0.7, mac: 3c:ec:ef:00:00:07, dhcp: {options: [1, 3, 6, 15], vendor: OpenBMC}}
neighbours:
- {name: leaf-1, mac: 50:6b:4b:00:00:01, lldp: {chassis: "50:6b:4b:00:00:00", port: swp7, system: leaf-1}}
"""
TENANTS = "version: 1\nqueue_pairs: apart\ntenants: {blue: {vlan: 100, vni: 5001}, red: {vlan: 200, vni: 5002}}\nsegments: {}\nlines:\n- {from: any, to: any}\n"
ASTRAY = {"decoder.roce.another_segment", "decoder.gtpu.foreign_address", "decoder.gtpc.malformed", "decoder.pfcp.malformed",
          "decoder.hardware.address_moved", "decoder.hardware.neighbour_changed", "decoder.hardware.dhcp_changed"}


def replay(path, *, policy=OPEN + "queue_pairs: apart\ntunnels: bound\n", hardware=None, **options):
    out = io.BytesIO()
    with fp.Engine(policy=fp.Policy.parse(policy), hardware=hardware, **options) as engine:
        writer = EveWriter(out, ("gtp", "roce", "hardware", "policy", "inventory"))
        result = engine.replay(path, keep=("events", "flows", "packets"), sinks=[writer])
    return result, [json.loads(line) for line in out.getvalue().splitlines()]


def astray(result) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in result.events:
        if event["event"] in ASTRAY:
            found.setdefault(event["event"], []).append(event["ordinal"])
    return found


# ---- RoCE ----

def test_queue_pairs_by_opcode_and_segment():
    result, events = replay(EDGE / "roce.pcap")
    pairs = {(pair["address"], pair["queue_pair"]): pair for pair in result.roce}
    assert pairs["10.30.0.12", 0x11]["opcodes"] == {"write": 7, "read": 1}
    assert pairs["10.30.0.11", 0x12]["opcodes"] == {"ack": 6, "cnp": 1}
    assert pairs["10.31.0.12", 0x21]["opcodes"] == {"send": 6}
    assert pairs["10.30.0.12", 0x11]["segment"] == {"vlan": [100]}
    assert pairs["10.32.0.12", 0x31]["segment"] == {"vni": 5001}
    assert pairs["10.30.0.12", 0x11]["partition"] == 0xFFFF
    assert sum(pair["packets"] for pair in pairs.values()) == result.stats["packets"]
    assert astray(result) == {"decoder.roce.another_segment": [22, 23]}
    assert result.stats["roce"] == result.roce
    told = [event["roce"] for event in events if event["event_type"] == "roce"]
    assert [one["what"] for one in told].count("queue pair") == 4
    assert {"what": "another segment", "address": "10.30.0.12", "queue_pair": 0x11, "segment": {"vlan": [200]}, "first": {"vlan": [100]}} in told


def test_tenants_are_kept_apart():
    ids, _ = replay(EDGE / "roce.pcap", policy=TENANTS)
    assert ids.stats["drops"] == {}
    assert ids.stats["policy"]["denied_flows"] == {"binding": 2}
    ips, events = replay(EDGE / "roce.pcap", policy=TENANTS, mode="ips")
    assert ips.stats["drops"] == {"policy": 2}
    assert [packet["ordinal"] for packet in ips.packets if packet["action"] != "pass"] == [22, 23]
    assert [event["policy"]["why"] for event in events if event["event_type"] == "policy"] == ["binding", "binding"]
    pair = next(pair for pair in ips.roce if pair["queue_pair"] == 0x11)
    assert (pair["segment"], pair["elsewhere"], pair["foreign"]) == ({"tenant": "blue"}, {"tenant": "red"}, 1)


def test_the_tags_of_one_tenant_are_one_segment(tmp_path):
    """The same pair in the tenant's VLAN and in its VNI is where it belongs."""
    policy = TENANTS.replace("{vlan: 100, vni: 5001}", "{vlan: [100, 200], vni: 5001-5002}").replace("red: {vlan: 200, vni: 5002}", "red: {vlan: 300}")
    result, _ = replay(EDGE / "roce.pcap", policy=policy, mode="ips")
    assert astray(result) == {}
    assert result.stats["drops"] == {}


def test_without_the_line_nothing_is_dropped():
    result, _ = replay(EDGE / "roce.pcap", policy=OPEN + "tunnels: bound\n", mode="ips")
    assert result.stats["drops"] == {}
    assert astray(result) == {"decoder.roce.another_segment": [22, 23]}


def test_nobody_asked_nothing_is_looked_at():
    with fp.Engine(policy=fp.Policy.parse(OPEN)) as engine:
        result = engine.replay(EDGE / "roce.pcap", keep=("events",))
    assert result.roce == []
    assert astray(result) == {}


def test_more_pairs_than_there_is_room_for(tmp_path):
    def packet(number):
        bth = bytes([10, 0, 0xFF, 0xFF, 0]) + number.to_bytes(3, "big") + bytes(4) + bytes(8)
        return udp(bth, dport=4791)
    result, _ = replay(write_pcap(tmp_path / "a.pcap", (packet(number) for number in range(50_000))))
    assert len(result.roce) == 49_152
    assert result.stats["exceptions"]["bindings_refused"] == 50_000 - 49_152


# ---- GTP ----

@pytest.mark.parametrize(("name", "foreign", "device", "digits"), [("gtp", [7, 8], "35672108", "*3210"), ("n4", [7], "86422304", "*6789")])
def test_a_tunnel_belongs_to_a_subscriber(name, foreign, device, digits):
    result, events = replay(EDGE / f"{name}.pcap")
    assert astray(result) == {"decoder.gtpu.foreign_address": foreign}
    bound = [event["gtp"] for event in events if event["event_type"] == "gtp" and event["gtp"]["what"] == "bound"]
    assert {one["device"] for one in bound} == {device}
    assert {one["subscriber"] for one in bound} == {digits}
    assert len({(one["endpoint"], one["teid"]) for one in bound}) == 2


def test_what_a_session_is_for():
    _, events = replay(EDGE / "n4.pcap")
    said = next(event["gtp"] for event in events if event["event_type"] == "gtp")
    assert said == {"what": "bound", "endpoint": "10.112.0.3", "teid": 0x5001, "address": "10.46.0.7", "subscriber": "*6789",
                    "device": "86422304", "slice": {"sst": 2, "sd": "abcdef"}, "by": "pfcp"}
    _, events = replay(EDGE / "gtp.pcap")
    assert next(event["gtp"] for event in events if event["event_type"] == "gtp")["network"] == "factory.iot"


@pytest.mark.parametrize(("name", "dropped"), [("gtp", [7, 8]), ("n4", [7])])
def test_a_foreign_address_is_dropped_where_policy_says_so(name, dropped):
    result, events = replay(EDGE / f"{name}.pcap", mode="ips")
    assert [packet["ordinal"] for packet in result.packets if packet["action"] != "pass"] == dropped
    assert {event["policy"]["why"] for event in events if event["event_type"] == "policy"} == {"binding"}


def test_alerts_say_whose_tunnel_it_was():
    rules = fp.RuleSet.parse('alert udp any any -> any 5000 (msg:"measured"; content:"measured"; sid:1;)')
    out = io.BytesIO()
    with fp.Engine(rules, policy=fp.Policy.parse(OPEN + "tunnels: bound\n")) as engine:
        engine.replay(EDGE / "n4.pcap", sinks=[EveWriter(out, ("alert",))])
    alerts = [json.loads(line) for line in out.getvalue().splitlines()]
    assert alerts[0]["gtp"] == {"teid": 0x5001, "qfi": 9, "address": "10.46.0.7", "subscriber": "*6789", "device": "86422304",
                                "slice": {"sst": 2, "sd": "abcdef"}, "by": "pfcp"}


def test_alerts_bear_teid_and_qfi_without_a_control_plane(tmp_path):
    rules = fp.RuleSet.parse('alert udp any any -> any 5000 (msg:"measured"; content:"measured"; sid:1;)')
    packets = [packet for number, packet in enumerate(one for found in read_packets(EDGE / "n4.pcap").values() for one in found) if number == 4]
    out = io.BytesIO()
    with fp.Engine(rules) as engine:
        engine.replay(write_pcap(tmp_path / "a.pcap", packets), sinks=[EveWriter(out, ("alert",))])
    assert json.loads(out.getvalue())["gtp"] == {"teid": 0x5001, "qfi": 9}


def test_a_subscribers_number_is_nowhere(tmp_path):
    for name, numbers in (("gtp", (b"001019876543210", b"9876543210", b"4915112345678", b"3567210812345670")),
                          ("n4", (b"001010123456789", b"0123456789", b"8642230400112230"))):
        _, events = replay(EDGE / f"{name}.pcap")
        text = json.dumps(events).encode()
        assert not [number for number in numbers if number in text]


def test_a_session_that_is_refused_binds_nothing(tmp_path):
    packets = [one for found in read_packets(EDGE / "gtp.pcap").values() for one in found]
    refused = packets[1].replace(b"\x02\x00\x02\x00\x10", b"\x02\x00\x02\x00\x49", 1)
    assert refused != packets[1]
    result, _ = replay(write_pcap(tmp_path / "a.pcap", [packets[0], refused, *packets[2:]]))
    assert astray(result) == {}


def test_two_messages_in_one_datagram(tmp_path):
    """An echo request before the session's answer, in the same datagram (TS 29.274, section 5.5.1)."""
    packets = [one for found in read_packets(EDGE / "gtp.pcap").values() for one in found]
    payload = packets[1][42:]
    both = udp(bytes.fromhex("50010009000001000300010005") + payload, "10.101.0.3", 2123, "10.101.0.2", 2123)
    result, _ = replay(write_pcap(tmp_path / "a.pcap", [packets[0], both, *packets[2:]]))
    assert astray(result) == {"decoder.gtpu.foreign_address": [7, 8]}


def test_ipv6_goes_by_its_prefix(tmp_path):
    def element(kind, data):
        return struct.pack(">HH", kind, len(data)) + data

    def message(kind, seid, sequence, body):
        body = struct.pack(">Q", seid) + sequence.to_bytes(3, "big") + b"\0" + body
        return struct.pack(">BBH", 0x21, kind, len(body)) + body
    prefix = bytes.fromhex("20010db800460007")
    fseid = element(57, b"\x02" + struct.pack(">Q", 0xA1) + bytes([10, 111, 0, 2]))
    pdi = element(20, b"\0") + element(21, b"\x01" + struct.pack(">I", 0x5001) + bytes([10, 112, 0, 3])) + element(93, b"\x01" + prefix + bytes(8))
    asked = udp(message(50, 0, 1, fseid + element(1, element(2, pdi))), "10.111.0.2", 8805, "10.111.0.3", 8805)

    def sent(source):
        inner = b"\x60\0\0\0\0\x09\x11\x40" + source + bytes.fromhex("20010db8006000000000000000000001") + b"\x9c\x40\x13\x88\0\x09\0\0x"
        return udp(b"\x30\xff" + struct.pack(">HI", len(inner), 0x5001) + inner, "10.112.0.2", 2152, "10.112.0.3", 2152)
    packets = [asked, sent(prefix + bytes(7) + b"\x07"), sent(prefix + bytes(7) + b"\x99"), sent(bytes.fromhex("fe80") + bytes(13) + b"\x07"),
               sent(bytes.fromhex("20010db800460008") + bytes(8)), ]
    result, _ = replay(write_pcap(tmp_path / "a.pcap", packets), checksums="none")
    assert astray(result) == {"decoder.gtpu.foreign_address": [5]}


# ---- hardware ----

def test_hardware_that_is_another():
    result, events = replay(EDGE / "hardware.pcap", hardware=Hardware.parse(MANIFEST))
    assert astray(result) == {"decoder.hardware.address_moved": [9, 12], "decoder.hardware.neighbour_changed": [10, 13],
                              "decoder.hardware.dhcp_changed": [11]}
    assert [event["hardware"] for event in events if event["event_type"] == "hardware"] == [
        {"what": "address moved", "mac": "3c:ec:ef:00:00:66", "address": "10.9.0.7", "expected": "3c:ec:ef:00:00:07", "name": "bmc-7"},
        {"what": "neighbour changed", "mac": "50:6b:4b:00:00:01", "name": "leaf-1", "says": "leaf-1"},
        {"what": "DHCP fingerprint changed", "mac": "3c:ec:ef:00:00:07", "name": "bmc-7", "says": "OpenBMC"},
        {"what": "unknown neighbour", "mac": "50:6b:4b:00:00:99", "says": "leaf-9"}]


def test_what_was_seen_first_holds_where_the_manifest_says_nothing():
    result, _ = replay(EDGE / "hardware.pcap", hardware=Hardware.parse("hardware: []"))
    # the address was learned from ARP; IP alone moves only what the manifest or ARP knows
    assert astray(result) == {"decoder.hardware.address_moved": [9, 12], "decoder.hardware.neighbour_changed": [10], "decoder.hardware.dhcp_changed": [11]}


def test_a_manifest_that_says_otherwise_at_once():
    other = MANIFEST.replace("00:00:07", "00:00:08").replace("[1, 3, 6, 15]", "[1, 3]").replace("swp7", "swp9")
    result, _ = replay(EDGE / "hardware.pcap", hardware=Hardware.parse(other))
    assert astray(result)["decoder.hardware.address_moved"] == [1, 4, 5, 8, 9, 12]
    assert astray(result)["decoder.hardware.neighbour_changed"] == [2, 6, 10, 13]


# ---- all of it ----

def whole(tmp_path) -> Path:
    packets = [one for name in ("roce", "gtp", "n4", "hardware", "mqtt", "snmp-set") for found in read_packets(EDGE / f"{name}.pcap").values() for one in found]
    return write_pcap(tmp_path / "whole.pcap", packets)


def test_bursts_and_workers_change_nothing(tmp_path):
    path, seen = whole(tmp_path), []
    rules = fp.RuleSet.pack("ai_factory")
    for burst, workers in ((1, 1), (7, 2), (128, 4), (256, 1), (256, 4)):
        result, events = replay(path, policy=TENANTS + "tunnels: bound\n", hardware=Hardware.parse(MANIFEST), mode="ips", burst=burst, workers=workers)
        with fp.Engine(rules, hardware=Hardware.parse(MANIFEST), burst=burst, workers=workers) as engine:
            found = engine.replay(path)
        seen.append((result.digest, result.roce, astray(result), sorted(map(json.dumps, events)), result.stats["drops"], found.digest,
                     [item.as_dict() for item in found.inventory]))
    assert all(one == seen[0] for one in seen)
    assert seen[0][4]["policy"] == 5


def test_captures_do_not_know_of_each_other():
    with fp.Engine(policy=fp.Policy.parse(TENANTS + "tunnels: bound\n"), hardware=Hardware.parse(MANIFEST)) as engine:
        once = engine.replay([EDGE / "gtp.pcap", EDGE / "roce.pcap", EDGE / "hardware.pcap"], keep=("events",))
        twice = engine.replay([EDGE / "gtp.pcap", EDGE / "roce.pcap", EDGE / "hardware.pcap"] * 2, keep=("events",))
    assert {name: 2 * len(found) for name, found in astray(once).items()} == {name: len(found) for name, found in astray(twice).items()}
    assert {pair["queue_pair"]: 2 * pair["packets"] for pair in once.roce} == {pair["queue_pair"]: pair["packets"] for pair in twice.roce}


@pytest.mark.parametrize("name", ["roce", "gtp", "n4", "hardware"])
def test_cut_at_every_byte_nothing_breaks(name, tmp_path):
    """Frames cut short, and payloads cut short whose headers say so: an event at most, and the ledger closes."""
    packets = [one for found in read_packets(EDGE / f"{name}.pcap").values() for one in found]
    cut = [(0.0, packet[:length], len(packet)) for packet in packets for length in range(1, len(packet))]
    result, _ = replay(write_pcap(tmp_path / "cut.pcap", cut), hardware=Hardware.parse(MANIFEST), mode="ips")
    assert result.stats["packets"] == len(cut)
    short = [ethernet(ipv4(17, packet[34:38] + struct.pack(">HH", length - 34, 0) + packet[42:length])) for packet in packets
             if packet[12:14] == b"\x08\0" and packet[23] == 17 for length in range(42, len(packet))]
    result, _ = replay(write_pcap(tmp_path / "short.pcap", short), hardware=Hardware.parse(MANIFEST), checksums="none")
    assert result.stats["packets"] == len(short)
    if name in ("gtp", "n4"):
        assert result.stats["events"][f"decoder.{'gtpc' if name == 'gtp' else 'pfcp'}.malformed"] > 100


def test_a_tunnel_is_whose_it_was_at_that_packet():
    import numpy as np

    from fastpath.dataplane import rows
    taken = np.zeros(2, rows.BINDING)
    taken["ordinal"], taken["subscriber"], taken["id"] = (5, 9), (1111, 2222), 7
    bindings = Bindings()
    bindings.take(taken)
    address = bytes(16)
    assert bindings.tunnel(address, 7, 4) == {}
    assert bindings.tunnel(address, 7, 6)["subscriber"] == "*1111"
    assert bindings.tunnel(address, 7, 9)["subscriber"] == "*2222"


def test_anonymised_nothing_of_it_is_told():
    """Addresses, MACs, names and digits of subscribers give way; what belongs together still does."""
    from fastpath.control.anonymise import Anonymiser
    rules = fp.RuleSet.parse('alert udp any any -> any 5000 (msg:"measured"; content:"measured"; sid:1;)')
    out = io.BytesIO()
    with fp.Engine(rules, policy=fp.Policy.parse(TENANTS + "tunnels: bound\n"), hardware=Hardware.parse(MANIFEST), anonymiser=Anonymiser(bytes(32))) as engine:
        result = engine.replay([EDGE / f"{name}.pcap" for name in ("roce", "gtp", "n4", "hardware")],
                               sinks=[EveWriter(out, ("alert", "gtp", "roce", "hardware", "policy", "inventory"))])
    text = out.getvalue().decode() + json.dumps(result.roce) + json.dumps(result.stats["roce"])
    for secret in ("10.30.0", "10.31.0", "10.102.0", "10.112.0", "10.45.0", "10.46.0", "10.9.0", "3c:ec:ef", "50:6b:4b", "bmc-7", "leaf-", "factory.iot",
                   "blue", "6789", "3210"):
        assert f'"{secret}' not in text and f": {secret}" not in text, secret
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    bound = {(event["gtp"]["endpoint"], event["gtp"]["teid"]) for event in events if event["event_type"] == "gtp" and event["gtp"]["what"] == "bound"}
    alerts = [event for event in events if event["event_type"] == "alert"]
    assert len(bound) == 4 and alerts
    assert {(event["tunnel"]["dest_ip"], event["gtp"]["teid"]) for event in alerts} <= bound
    assert {event["gtp"]["device"] for event in alerts if "device" in event["gtp"]} == {"35672108", "86422304"}
    told = {event["dest_ip"] for event in events if event["event_type"] == "roce" and "dest_ip" in event}
    assert told == {pair["address"] for pair in result.roce}
