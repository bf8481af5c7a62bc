"""decap: each tunnel opened, in each other, cut, and not opened where there is none."""
from __future__ import annotations

import random
import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from fastpath.dataplane.dissect import dissect

KEYED, CUT, INVALID, OUTER = 1 << 0, 1 << 5, 1 << 6, 1 << 9
NONE, IPIP, SIX_IN_4, FOUR_IN_6, SIX_IN_6, GRE, NVGRE, ERSPAN, TEREDO, VXLAN, GENEVE, GTPU = range(12)
ETHERNET, PPP, IPV4, IPV6 = 1, 9, 228, 229
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
OUT4, OUT6 = {"src": "192.0.2.1", "dst": "192.0.2.2"}, {"src": "2001:db8:ffff::1", "dst": "2001:db8:ffff::2"}
IN4 = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1000, dport=80, flags="PA") / b"inner"
IN6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1000, dport=80, flags="PA") / b"inner"
FRAME4, FRAME6 = Ether(**MACS) / IN4, Ether(**MACS) / IN6


def eth(packet):
    return Ether(**MACS) / packet


def gre(flags: bytes, protocol: int, more: bytes, inner, network=None) -> Ether:
    return eth((network or IP(**OUT4, proto=47)) / (flags + protocol.to_bytes(2, "big") + more + bytes(inner)))


def udp(port: int, header: bytes, inner, network=None) -> Ether:
    return eth((network or IP(**OUT4)) / UDP(sport=50000, dport=port, chksum=0) / (header + bytes(inner)))


SESSION = b"\x34\xff\0\x35\0\0\x12\x34" + b"\0\0\0\x85" + b"\1\0\x09\0"       # an extension header: QFI 9

# a packet; kind, link type, identifier, QFI and bytes of what is inside
TUNNELS = {
    "ipip": (eth(IP(**OUT4, proto=4) / IN4), IPIP, IPV4, 0, 0, IN4),
    "6in4": (eth(IP(**OUT4, proto=41) / IN6), SIX_IN_4, IPV6, 0, 0, IN6),
    "4in6": (eth(IPv6(**OUT6, nh=4) / IN4), FOUR_IN_6, IPV4, 0, 0, IN4),
    "6in6": (eth(IPv6(**OUT6, nh=41) / IN6), SIX_IN_6, IPV6, 0, 0, IN6),
    "gre ipv4": (gre(b"\0\0", 0x800, b"", IN4), GRE, IPV4, 0, 0, IN4),
    "gre ipv6 in ipv6": (gre(b"\0\0", 0x86DD, b"", IN6, IPv6(**OUT6, nh=47)), GRE, IPV6, 0, 0, IN6),
    "gre checksum key sequence": (gre(b"\xb0\0", 0x800, bytes(4) + b"\0\0\x30\x39" + bytes(4), IN4), GRE, IPV4, 12345, 0, IN4),
    "gre route": (gre(b"\x40\0", 0x800, bytes(4) + b"\0\1\0\4abcd" + bytes(4), IN4), GRE, IPV4, 0, 0, IN4),
    "gre ethernet": (gre(b"\0\0", 0x6558, b"", FRAME4), GRE, ETHERNET, 0, 0, FRAME4),
    "gre ppp": (gre(b"\0\0", 0x880B, b"", b"\xff\3\0\x21" + bytes(IN4)), GRE, PPP, 0, 0, b"\xff\3\0\x21" + bytes(IN4)),
    "pptp": (gre(b"\x30\x81", 0x880B, b"\0\x32\0\7" + bytes(8), b"\x21" + bytes(IN4)), GRE, PPP, 7, 0, b"\x21" + bytes(IN4)),
    "gre vlan": (gre(b"\0\0", 0x8100, b"", b"\0\x09\x08\0" + bytes(IN4)), GRE, 0xFF01, 0, 0, b"\0\x09\x08\0" + bytes(IN4)),
    "gre mpls": (gre(b"\0\0", 0x8847, b"", b"\1\x38\x81\x40" + bytes(IN4)), GRE, 0xFF02, 0, 0, b"\1\x38\x81\x40" + bytes(IN4)),
    "nvgre": (gre(b"\x20\0", 0x6558, b"\0\x12\x34\x07", FRAME4), NVGRE, ETHERNET, 0x1234, 0, FRAME4),
    "erspan 1": (gre(b"\0\0", 0x88BE, b"", FRAME4), ERSPAN, ETHERNET, 0, 0, FRAME4),
    "erspan 2": (gre(b"\x10\0", 0x88BE, bytes(4) + b"\x10\0\x08\x05\0\0\0\0", FRAME4), ERSPAN, ETHERNET, 5, 0, FRAME4),
    "erspan 3": (gre(b"\x10\0", 0x22EB, bytes(4) + b"\x20\0\x08\x05" + bytes(8), FRAME4), ERSPAN, ETHERNET, 5, 0, FRAME4),
    "erspan 3 subheader": (gre(b"\x10\0", 0x22EB, bytes(4) + b"\x20\0\x08\x05" + bytes(7) + b"\1" + bytes(8), FRAME4),
                           ERSPAN, ETHERNET, 5, 0, FRAME4),
    "teredo": (udp(3544, b"", IN6), TEREDO, IPV6, 0, 0, IN6),
    "teredo origin": (udp(3544, bytes(8), IN6), TEREDO, IPV6, 0, 0, IN6),
    "teredo authentication": (udp(3544, b"\0\1\2\3" + bytes(14) + bytes(8), IN6), TEREDO, IPV6, 0, 0, IN6),
    "vxlan": (udp(4789, b"\x08\0\0\0\0\x12\x34\0", FRAME4), VXLAN, ETHERNET, 0x1234, 0, FRAME4),
    "vxlan over ipv6": (udp(4789, b"\x08\0\0\0\0\x12\x34\0", FRAME6, IPv6(**OUT6)), VXLAN, ETHERNET, 0x1234, 0, FRAME6),
    "geneve": (udp(6081, b"\0\0\x65\x58\0\x12\x34\0", FRAME4), GENEVE, ETHERNET, 0x1234, 0, FRAME4),
    "geneve options": (udp(6081, b"\5\x40\x08\0\0\0\7\0" + b"\1\2\x80\1abcd" + b"\1\2\1\2" + bytes(8), IN4), GENEVE, IPV4, 7, 0, IN4),
    "geneve ipv6": (udp(6081, b"\0\0\x86\xdd\0\0\7\0", IN6), GENEVE, IPV6, 7, 0, IN6),
    "gtpu": (udp(2152, b"\x30\xff\0\x2d\0\0\x12\x34", IN4), GTPU, IPV4, 0x1234, 0, IN4),
    "gtpu sequence ipv6": (udp(2152, b"\x32\xff\0\x45\0\0\x12\x34\0\1\0\0", IN6), GTPU, IPV6, 0x1234, 0, IN6),
    "gtpu session container": (udp(2152, SESSION, IN4), GTPU, IPV4, 0x1234, 9, IN4),
    "gtpu two extensions": (udp(2152, SESSION[:11] + b"\xc0" + b"\1\0\0\x85" + SESSION[12:], IN6), GTPU, IPV6, 0x1234, 9, IN6),
}


@pytest.mark.parametrize("name", TUNNELS)
def test_a_tunnel_is_opened(name):
    packet, kind, linktype, identifier, qfi, inside = TUNNELS[name]
    outer, inner = dissect([bytes(packet)], checksums=False)[0]
    assert outer["carries"] == kind and outer["flags"] & OUTER and outer["events"] == []
    assert (outer["depth"], outer["tunnel"], outer["tunnel_id"], outer["qfi"], outer["payload_len"]) == (0, NONE, 0, 0, 0)
    assert inner["frame"] == bytes(inside)
    assert (inner["linktype"], inner["tunnel"], inner["tunnel_id"], inner["qfi"]) == (linktype, kind, identifier, qfi)
    assert (inner["depth"], inner["packet"], inner["parent"], inner["carries"]) == (1, 0, 0, NONE)
    assert (inner["flags"], inner["events"], inner["wirelen"]) == (KEYED, [], len(bytes(inside)))
    assert inner["src"] == (socket.inet_pton(socket.AF_INET6, "2001:db8::1") if inner["net"] == 6 else socket.inet_aton("10.0.0.1"))
    assert (inner["sport"], inner["dport"], inner["payload"]) == (1000, 80, b"inner")
    assert inner["key"][6] == kind << 4 | 1


def test_the_outer_key_is_there_where_suricata_has_a_flow():
    for name, (packet, kind, *_) in TUNNELS.items():
        outer = dissect([bytes(packet)], checksums=False)[0][0]
        assert (outer["key"] is not None) == (kind in (TEREDO, VXLAN, GENEVE, GTPU, SIX_IN_4)), name


def test_compat_opens_what_suricata_opens():
    unknown = {"ipip", "gre mpls", "erspan 3", "erspan 3 subheader", "teredo authentication", *(n for n in TUNNELS if n.startswith("gtpu"))}
    for name, (packet, *_) in TUNNELS.items():
        assert len(dissect([bytes(packet)], checksums=False, compat=True)[0]) == (1 if name in unknown else 2), name


def test_tunnels_in_tunnels():
    packet = bytes(IN4)
    for depth in range(1, 12):
        packet = bytes(IP(**OUT4, proto=4) / packet)
        for most in (0, 1, 3, 7):
            entries = dissect([bytes(eth(IP(packet)))], max_depth=most, max_layers=32)[0]
            opened = min(depth, most)
            assert [entry["depth"] for entry in entries] == list(range(opened + 1))
            assert [entry["parent"] for entry in entries] == [0, *range(opened)]
            assert [entry["tunnel"] for entry in entries] == [NONE] + [IPIP] * opened
            assert ("decoder.too_many_layers" in entries[-1]["events"]) == (depth > most)
            assert all(not entry["events"] for entry in entries[:-1])


def test_the_deepest_burst_has_room():
    """256 packets of the greatest depth fill the entries to the last."""
    packet = bytes(IN4)
    for _ in range(9):
        packet = bytes(IP(**OUT4, proto=4) / packet)
    assert all(len(entries) == 8 for entries in dissect([bytes(eth(IP(packet)))] * 300))


def test_vlans_are_the_entrys_own():
    whole = (Ether(**MACS) / Dot1Q(vlan=7) / IP(**OUT4) / UDP(sport=1, dport=4789, chksum=0)
             / (b"\x08" + bytes(7) + bytes(Ether(**MACS) / Dot1Q(vlan=9) / IN4)))
    outer, inner = dissect([bytes(whole)], checksums=False)[0]
    assert (outer["vlan"], inner["vlan"]) == ([7, 0, 0], [9, 0, 0])
    mirrored = gre(b"\x10\0", 0x88BE, bytes(4) + b"\x10\5\x08\x05\0\0\0\0", Ether(**MACS) / Dot1Q(vlan=9) / IN4)
    assert dissect([bytes(mirrored)])[0][1]["vlan"] == [5, 9, 0]
    assert dissect([bytes(mirrored)], vlan_tracking=False)[0][1]["vlan"] == [0, 0, 0]


def test_the_network_identifier_is_part_of_the_key_by_setting():
    for name in ("vxlan", "geneve", "nvgre"):
        packet = bytes(TUNNELS[name][0])
        assert dissect([packet], checksums=False)[0][1]["key"][8] == bytes(3)
        assert dissect([packet], checksums=False, vni_in_key=True)[0][1]["key"][8] == b"\0\x12\x34"
    assert dissect([bytes(TUNNELS["gtpu"][0])], checksums=False, vni_in_key=True)[0][1]["key"][8] == bytes(3)
    nested = udp(4789, b"\x08\0\0\0\0\x12\x34\0", eth(IP(**OUT4, proto=4) / IN4))
    assert [e["key"][8] for e in dissect([bytes(nested)], checksums=False, vni_in_key=True)[0] if e["key"]] == [bytes(3), b"\0\x12\x34"]


def test_ports_are_settings():
    packet = bytes(udp(9999, b"\x08\0\0\0\0\x12\x34\0", FRAME4))
    assert len(dissect([packet], checksums=False)[0]) == 1
    assert len(dissect([packet], checksums=False, vxlan=[4789, 9999])[0]) == 2
    for name in ("vxlan", "geneve", "gtpu", "teredo"):
        assert len(dissect([bytes(TUNNELS[name][0])], checksums=False, **{name: []})[0]) == 1


@pytest.mark.parametrize("name", TUNNELS)
def test_a_cut_tunnel_is_cut_not_malformed(name):
    packet = bytes(TUNNELS[name][0])
    for length in range(14, len(packet)):
        entries = dissect([packet[:length]], wirelens=[len(packet)], checksums=False)[0]
        for entry in entries:
            assert not entry["flags"] & INVALID
            assert entry["flags"] & CUT
            assert set(entry["events"]) <= {"decoder.capture.header_cut", "decoder.gtpu.unknown_payload"}
        if len(entries) == 2:
            assert entries[1]["wirelen"] == len(bytes(TUNNELS[name][5]))
            assert entries[1]["caplen"] == length - (len(packet) - entries[1]["wirelen"])


@pytest.mark.parametrize("name", TUNNELS)
def test_every_cut_and_flip_stays_inside(name):
    packet = bytes(TUNNELS[name][0])
    rng = random.Random(name)
    damaged = [packet[:length] for length in range(len(packet) + 1)]
    for _ in range(2000):
        changed = bytearray(packet)
        for _ in range(rng.choice((1, 1, 2, 4))):
            changed[rng.randrange(12, len(changed))] = rng.randrange(256)
        damaged.append(bytes(changed[:rng.randrange(14, len(changed) + 1)] if rng.random() < .2 else changed))
    for compat in (False, True):
        for whole, entries in zip(damaged, dissect(damaged, compat=compat), strict=True):
            for entry in entries:
                assert entry["frame"] in whole
                assert entry["payload_len"] == 0 or entry["payload_at"] + entry["payload_len"] <= entry["caplen"]
                assert entry["caplen"] <= entry["wirelen"] or not entry["flags"] & CUT


def test_layers_are_those_of_the_whole_packet():
    """decoder.max-layers, as Suricata counts: a tunnel is a layer, and so is its header where it has one of its own."""
    twice = eth(IP(**OUT4, proto=47) / (b"\0\0\x08\0" + bytes(IP(**OUT4, proto=47) / (b"\0\0\x08\0" + bytes(IN4)))))
    for most, depth, event in ((3, 0, True), (4, 0, True), (5, 1, True), (6, 1, True), (7, 1, True), (8, 2, True), (9, 2, False)):
        entries = dissect([bytes(twice)], max_layers=most)[0]
        assert entries[-1]["depth"] == depth, most
        assert ("decoder.too_many_layers" in entries[-1]["events"]) == event, most
    for most, depth in ((3, 0), (4, 1), (5, 1)):
        assert dissect([bytes(eth(IP(**OUT4, proto=4) / bytes(IN4)))], max_layers=most)[0][-1]["depth"] == depth
