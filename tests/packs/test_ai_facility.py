"""The pack's rules on the cluster, the 5G edge and the facility: each fires on what it is for and leaves alone what is nearly so."""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

import made_tls
import pytest
from captures import conversation, read_packets, udp, write_pcap

import fastpath as fp
from fastpath.control.hardware import Hardware
from fastpath.control.inventory import SPOKEN

EDGE = Path(__file__).resolve().parents[2] / "pcaps" / "edge"
FILES = ("cluster.rules", "edge.rules", "facility.rules")
MANIFEST = "hardware: []\nneighbours:\n- {mac: 50:6b:4b:00:00:01, lldp: {chassis: \"50:6b:4b:00:00:00\", port: swp7, system: leaf-1}}\n"
Made = Callable[[], list[bytes]] | str


@pytest.fixture(scope="module")
def engine():
    rules = fp.RuleSet.pack("ai_factory")
    assert not rules.refusals, [f"{refusal.place}: {refusal.reason}" for refusal in rules.refusals]
    with fp.Engine(rules, hardware=Hardware.parse(MANIFEST)) as made:
        yield made


@cache
def rules() -> dict[int, dict[str, str]]:
    """The metadata of every rule of these files, by sid."""
    text = "".join(files("fastpath.packs.ai_factory").joinpath(name).read_text() for name in FILES)
    return {plan.sid: dict(plan.metadata) for plan in fp.RuleSet.parse(text, variables={"POWER_AND_COOLING": "any"}).plans}


def told(engine, tmp_path, made: Made) -> tuple[set[int], set[tuple[str, str]]]:
    """sids of alerts; (service, by) of the inventory."""
    result = engine.replay(EDGE / made if isinstance(made, str) else write_pcap(tmp_path / "a.pcap", made()))
    return set(result.alerts["sid"].tolist()), {(item.service, item.by) for item in result.inventory}


# ---- what is sent ----

def http(method: str, path: str, body: str = "{}", answer: str = "{}") -> Callable[[], list[bytes]]:
    asked = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode()
    return lambda: conversation([(asked, said)])


def tls(subject: tuple[bytes, ...] = (b"www.example.test",), issuer: bytes = b"Example CA", name: bytes = b"www.example.test",
        organisation: bytes = b"Example") -> Callable[[], list[bytes]]:
    who = made_tls.name(made_tls.attribute(made_tls.ORGANISATION, organisation), made_tls.attribute(made_tls.COMMON_NAME, subject[0]))
    by = made_tls.name(made_tls.attribute(made_tls.COMMON_NAME, issuer))
    hello = made_tls.record(22, made_tls.client_hello(made_tls.server_name(name)))
    answer = made_tls.record(22, made_tls.server_hello() + made_tls.chain(made_tls.certificate(subject=who, issuer=by)) + made_tls.message(14))
    return lambda: conversation([(hello, answer)], dport=6443)


def bacnet(service: int, *, routed: bool = False, request: int = 0) -> Callable[[], list[bytes]]:
    network = b"\x01\x24\x00\x05\x01\x07\xff" if routed else b"\x01\x04"
    whole = network + bytes([request << 4, 5, 7, service]) + b"\x0c\x00\x80\x00\x01"
    return lambda: [udp(b"\x81\x0a" + (len(whole) + 4).to_bytes(2, "big") + whole, dport=47808)]


def modbus(function: int) -> Callable[[], list[bytes]]:
    return lambda: conversation([(bytes([0, 1, 0, 0, 0, 6, 1, function, 0, 1, 0, 1]), bytes([0, 1, 0, 0, 0, 3, 1, function, 1]))], dport=502)


def ipmi(head: str, message: str, tail: bytes = b"") -> Callable[[], list[bytes]]:
    return lambda: [udp(bytes.fromhex(head) + bytes.fromhex(message) + tail, dport=623)]


V15, V15_MD5 = "0600ff0700" + "00" * 8 + "09", "0600ff0702" + "00" * 8 + "11" * 16 + "09"
V20, V20_SIGNED = "0600ff070600" + "00" * 8 + "0900", "0600ff070640" + "00" * 8 + "0900"
HEADS = (V15, V20, V20_SIGNED)
CHASSIS, FIRMWARE, HPM = "2000e0810402018c", "2020c08104010000", "20b0308104310000"
STATUS = "2000e08104010000"     # of the chassis: a reading
GET_DEVICE = "2018c881040001"


def rakp(kind: int, status: int) -> Callable[[], list[bytes]]:
    return ipmi(f"0600ff0706{kind:02x}" + "00" * 8 + "0800", f"00{status:02x}00000000000000")


def opening(algorithm: int) -> Callable[[], list[bytes]]:
    return ipmi("0600ff070610" + "00" * 8 + "2000", f"0004000001020304 00000008{algorithm:02x}000000".replace(" ", ""), bytes(16))


def reset(path: str) -> Callable[[], list[bytes]]:
    return http("POST", path, '{"ResetType": "ForceOff"}')


#: sid -> (what it is for, what it must leave alone): packets, or a capture of pcaps/edge.
CASES: dict[int, tuple[Made, Made]] = {
    9405001: (http("GET", "/api/v1/pods", answer='{"kind":"PodList","apiVersion":"v1","items":[]}'), http("GET", "/x", answer='{"kind":"book"}')),
    9405002: (tls((b"kube-apiserver",)), tls()),
    9405003: (tls(issuer=b"kubernetes"), tls(issuer=b"kubernetes-like")),
    9405004: (tls(name=b"kubernetes.default.svc"), tls(name=b"docs.kubernetes.default.test")),
    9405005: (tls((b"system:node:gpu-7",), organisation=b"system:nodes"), tls(organisation=b"nodes")),
    9405100: ("roce.pcap", "mqtt.pcap"),
    9406001: ("gtp.pcap", lambda: read(EDGE / "gtp.pcap", 6)),
    9406002: (lambda: [udp(b"\x48\x20\x00\x20" + bytes(12), dport=2123)], lambda: [udp(bytes.fromhex("40010009000001000300010005"), dport=2123)]),
    9406003: (lambda: [udp(b"\x21\x32\x00\x40" + bytes(12), dport=8805)], lambda: [udp(bytes.fromhex("2001000c0000010000600004e0000000"), dport=8805)]),
    9407001: (http("POST", "/redfish/v1/SessionService/Sessions"), http("GET", "/redfish/v1/SessionService/Sessions")),
    9407002: (http("POST", "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"), http("GET", "/redfish/v1/UpdateService")),
    9407003: (http("PUT", "/redfish/v1/UpdateService/FirmwareInventory"), http("POST", "/redfish/v1/UpdateService/Actions/UpdateService.StartUpdate")),
    9407004: (reset("/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"), reset("/redfish/v1/Systems/1/Actions/ComputerSystem.ResetX")),
    9407005: (http("POST", "/redfish/v1/AccountService/Accounts"), http("GET", "/redfish/v1/AccountService/Accounts")),
    9407006: (http("POST", "/redfish/v1/Managers/1/VirtualMedia/2/Actions/VirtualMedia.InsertMedia"),
              http("GET", "/redfish/v1/Managers/1/VirtualMedia/2")),
    9407010: (http("POST", "/data/login", "user=root&password=x"), http("POST", "/data/login", "name=x")),
    9407011: (http("POST", "/json/login_session"), http("GET", "/json/login_session")),
    9407012: (http("POST", "/cgi/login.cgi", "name=ADMIN&pwd=x"), http("GET", "/cgi/login.cgi")),
    9407013: (http("POST", "/login", '{"data": [ "root", "x" ]}'), http("POST", "/login", '{"data": {"user": "x"}}')),
    9407020: ("ipmi-read.pcap", ipmi(V15, GET_DEVICE)),
    9407021: ("ipmi-control.pcap", rakp(0x13, 0)),
    9407022: (opening(0), opening(1)),
    9407032: (ipmi(V15_MD5, CHASSIS), ipmi(V15_MD5, STATUS)),
    9407033: (ipmi(V15_MD5, FIRMWARE), ipmi(V15_MD5, GET_DEVICE)),
    9407034: (ipmi(V15_MD5, HPM), ipmi(V15_MD5, GET_DEVICE)),
    9407040: ("snmp-set.pcap", "snmp-read.pcap"),
    9407041: ("snmp-set.pcap", "snmp-read.pcap"),
    9407080: ("hardware.pcap", lambda: read(EDGE / "hardware.pcap", 8)),
    9407081: ("hardware.pcap", lambda: read(EDGE / "hardware.pcap", 8)),
    9407082: ("hardware.pcap", lambda: read(EDGE / "hardware.pcap", 8)),
}
CASES |= {9407023 + i: (ipmi(head, CHASSIS), ipmi(head, STATUS)) for i, head in enumerate(HEADS)}
CASES |= {9407026 + i: (ipmi(head, FIRMWARE), ipmi(head, GET_DEVICE)) for i, head in enumerate(HEADS)}
CASES |= {9407029 + i: (ipmi(head, HPM), ipmi(head, GET_DEVICE)) for i, head in enumerate(HEADS)}
CASES |= {9407050 + i: (modbus(function), modbus(3)) for i, function in enumerate((5, 6, 15, 16, 22, 23))}
CASES |= {9407060 + 2 * i + routed: (bacnet(service, routed=bool(routed)), bacnet(12, routed=bool(routed)))
          for i, service in enumerate((15, 16, 17, 20, 7)) for routed in range(2)}


def read(path: Path, count: int) -> list[bytes]:
    """The first packets of a capture."""
    return [one for found in read_packets(path).values() for one in found][:count]


def test_every_rule_has_a_case_and_says_what_it_is_about():
    assert set(rules()) == set(CASES)
    for sid, metadata in rules().items():
        assert {"mitre_atlas", "owasp_llm"} <= metadata.keys(), sid


@pytest.mark.parametrize("sid", sorted(CASES))
def test_it_fires_on_what_it_is_for_and_on_nothing_like_it(engine, tmp_path, sid):
    service = rules()[sid].get("service", "").replace("_", " "), rules()[sid].get("service_by", "")
    fired, found = told(engine, tmp_path, CASES[sid][0])
    assert service in found if service[0] else sid in fired
    fired, found = told(engine, tmp_path, CASES[sid][1])
    assert service not in found and sid not in fired
    assert not fired & {other for other in CASES if other // 1000 == sid // 1000 and other not in (9407001, 9407003, 9407020, 9407021)} \
        or isinstance(CASES[sid][1], str)


def test_answers_are_no_writes(engine, tmp_path):
    """A Modbus answer repeats the function; a BACnet answer the service; an SNMP answer is no set."""
    for made in (bacnet(15, request=2), bacnet(15, request=3), bacnet(20, request=5)):
        assert told(engine, tmp_path, made)[0] == set()
    reply = lambda: conversation([(b"", bytes([0, 1, 0, 0, 0, 6, 1, 6, 0, 1, 0, 1]))], dport=502)  # noqa: E731
    assert told(engine, tmp_path, reply)[0] == set()


@pytest.mark.parametrize("name", ["bacnet-read", "modbus-read", "coap", "mqtt", "opcua", "s7", "snmp-read", "redfish-read", "nfs"])
def test_readings_raise_nothing(engine, tmp_path, name):
    assert told(engine, tmp_path, f"{name}.pcap")[0] == set()


def test_power_and_cooling_is_a_group(tmp_path):
    """Writes to others are nobody's business; the default is the home network."""
    for group, expected in (("10.20.0.1", {9407060}), ("10.20.0.9", set())):
        chosen = fp.RuleSet.load((), packs=("ai_factory",), variables={"POWER_AND_COOLING": group})
        with fp.Engine(chosen) as engine:
            assert told(engine, tmp_path, "bacnet-write.pcap")[0] == expected


def test_a_redfish_service_that_is_told_what_to_do(engine, tmp_path):
    """sushy-tools, recorded: a reset, firmware by address, a disc inserted."""
    assert told(engine, tmp_path, "redfish-control.pcap")[0] == {9407002, 9407004, 9407006}


def test_hardware_that_is_another(engine):
    """dnsmasq and udhcpc, recorded: by what was seen first, and by a manifest."""
    fixed = "hardware:\n- {name: bmc-7, address: 10.20.0.2, mac: 3c:ec:ef:00:00:07}\n"
    for manifest, packets in (("hardware: []", {9407082: [20, 22], 9407080: [38, 40]}), (fixed, {9407082: [20, 22], 9407080: [38, 40]}),
                              (fixed.replace(":07", ":08"), {9407082: [20, 22], 9407080: [16, 18, 24, 26, 38, 40]})):
        with fp.Engine(fp.RuleSet.pack("ai_factory"), hardware=Hardware.parse(manifest)) as made:
            alerts = made.replay(EDGE / "hardware-drift.pcap").alerts
        assert {sid: [alert["pcap_cnt"] for alert in alerts if alert["sid"] == sid] for sid in set(alerts["sid"].tolist())} == packets


@pytest.mark.parametrize(("listed", "packets"), [("", []), ('{name: leaf-1, mac: "50:6b:4b:00:00:01", lldp: {chassis: "50:6b:4b:00:00:01", '
                                                             'port: "50:6b:4b:00:00:01", system: leaf-1}}', [10]),
                                                 ('{name: leaf-1, mac: "50:6b:4b:00:00:01", lldp: {chassis: "50:6b:4b:00:00:01", '
                                                  'port: "50:6b:4b:00:00:01", system: leaf-2}}', [2, 10])])
def test_neighbours_that_are_another(listed, packets):
    """lldpd, recorded: one that is not in the manifest; one that goes is none that has changed."""
    manifest = Hardware.parse("hardware: []\n" + (f"neighbours:\n- {listed}\n" if listed else ""))
    with fp.Engine(fp.RuleSet.pack("ai_factory"), hardware=manifest) as made:
        alerts = made.replay(EDGE / "lldp.pcap").alerts
    assert [(alert["sid"], alert["pcap_cnt"]) for alert in alerts] == [(9407081, packet) for packet in packets]


def test_a_community_is_written_nowhere(engine, tmp_path):
    from fastpath.outputs.eve import EVENTS, EveWriter
    with (tmp_path / "eve.json").open("wb") as out:
        result = engine.replay(EDGE / "snmp-set.pcap", sinks=[EveWriter(out, EVENTS)])
    assert 9407040 in set(result.alerts["sid"].tolist())
    assert b"rack-secret" not in (tmp_path / "eve.json").read_bytes()


RECORDED = {"mqtt": {"MQTT"}, "coap": {"CoAP"}, "modbus-read": {"Modbus"}, "bacnet-read": {"BACnet"}, "opcua": {"OPC UA"}, "s7": {"S7"},
            "snmp-read": {"SNMP"}, "ipmi-read": {"IPMI"}, "nfs": {"NFS"}, "gtp": {"GTPv2-C"}, "n4": {"PFCP"}}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_devices_are_in_the_inventory_by_what_they_speak(engine, tmp_path, name):
    assert told(engine, tmp_path, f"{name}.pcap")[1] == {(service, "bytes") for service in RECORDED[name]}


def test_mqtt_on_another_port_too(engine):
    result = engine.replay(EDGE / "mqtt.pcap")
    assert {(item.workload, item.peer, item.port) for item in result.inventory} == {("10.20.0.2", "10.20.0.1", 1883), ("10.20.0.2", "10.20.0.1", 18830)}
    assert {flow["app_proto"] for flow in result.flows} == {"mqtt"} if "app_proto" in result.flows.names else True


#: Captures of others: (where in the corpus, what their devices speak)
CORPUS = [("ndpi/tests/cfgs/default/pcap/dnp3.pcap", "DNP3"), ("ndpi/tests/cfgs/default/pcap/bacnet.pcap", "BACnet"),
          ("ndpi/tests/cfgs/default/pcap/s7comm-plus.pcap", "S7"), ("ndpi/tests/cfgs/default/pcap/gtp_c.pcap", "GTPv2-C"),
          ("ndpi/tests/cfgs/default/pcap/pfcp.pcapng", "PFCP"), ("ndpi/tests/cfgs/default/pcap/coap_mqtt.pcap", "CoAP"),
          ("zeek/testing/btest/Traces/modbus/modbusSmall.pcap", "Modbus")]


@pytest.mark.parametrize(("path", "service"), CORPUS)
def test_what_others_have_recorded(corpus, path, service):
    with fp.Engine(fp.RuleSet.pack("ai_factory"), checksums="none") as engine:
        assert service in {item.service for item in engine.replay(corpus / "pcaps" / path).inventory}


def test_every_protocol_of_the_inventory_has_a_name():
    from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS
    assert set(SPOKEN) <= set(PROTOCOL_NUMBERS)
