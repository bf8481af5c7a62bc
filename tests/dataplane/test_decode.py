"""decode: golden cases of every header, malformed ones by event, the straight path against the walk."""
from __future__ import annotations

import random
import re
import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
)
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP

from fastpath.dataplane.decode import EVENT_NAMES
from fastpath.dataplane.dissect import dissect

KEYED, REVERSED, FRAGMENT, L3_CHECKSUM, L4_CHECKSUM, CUT, INVALID, QUOTED, ROCE = (1 << bit for bit in range(9))
TCP_, UDP_, ICMP_, ICMP6, SCTP_, ESP = 6, 17, 1, 58, 132, 50
NULL, ETHERNET, PPP, RAW, C_HDLC, LOOP, SLL, SLL2 = 0, 1, 9, 101, 104, 108, 113, 276
A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"


def address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def one(packet, linktype: int = ETHERNET, **settings) -> dict:
    """The outermost entry."""
    return dissect([bytes(packet)], linktype, **settings)[0][0]


def eth(ethertype: int | None = None):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", **({} if ethertype is None else {"type": ethertype}))


def v4(**fields):
    return IP(src=A, dst=B, **fields)


def v6(**fields):
    return IPv6(src=A6, dst=B6, **fields)


def patched(packet, **changes) -> bytes:
    """The packet with bytes changed: at_14=0x46 sets offset 14."""
    data = bytearray(bytes(packet))
    for name, value in changes.items():
        data[int(name[3:])] = value
    return bytes(data)


DATA = b"payload"
UDP4 = v4() / UDP(sport=1000, dport=2000) / DATA
UDP6 = v6() / UDP(sport=1000, dport=2000) / DATA
TCP4 = v4() / TCP(sport=1000, dport=80, flags="PA") / DATA

GOOD = {
    "ethernet ipv4 udp": (eth() / UDP4, ETHERNET, {"l3": 14, "l4": 34, "payload_at": 42}),
    "ethernet ipv6 udp": (eth() / UDP6, ETHERNET, {"net": 6, "l3": 14, "l4": 54, "payload_at": 62}),
    "vlan": (eth() / Dot1Q(vlan=7) / UDP4, ETHERNET, {"vlan": [7, 0, 0], "l3": 18}),
    "qinq": (eth() / Dot1AD(vlan=7) / Dot1Q(vlan=8) / UDP4, ETHERNET, {"vlan": [7, 8, 0]}),
    "three tags": (eth() / Dot1AD(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=4095) / UDP6, ETHERNET, {"vlan": [7, 8, 4095], "net": 6}),
    "tag of 0x9100": (bytes(eth(0x9100)) + b"\x20\x05\x08\0" + bytes(UDP4), ETHERNET, {"vlan": [5, 0, 0]}),
    "tag of 0x9200": (bytes(eth(0x9200)) + b"\x20\x05\x08\0" + bytes(UDP4), ETHERNET, {"vlan": [5, 0, 0]}),
    "802.3 snap": (eth(len(bytes(LLC() / SNAP() / UDP4))) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x800) / UDP4,
                   ETHERNET, {"l3": 22}),
    "802.3 llc ip": (bytes(eth(len(bytes(UDP4)) + 3)) + b"\x06\x06\x03" + bytes(UDP4), ETHERNET, {"l3": 17}),
    "802.1ah": (bytes(eth(0x88E7)) + bytes(16) + b"\x08\0" + bytes(UDP4), ETHERNET, {"l3": 32}),
    "vntag": (bytes(eth(0x8926)) + bytes(4) + b"\x08\0" + bytes(UDP4), ETHERNET, {"l3": 20}),
    "etag": (bytes(eth(0x893F)) + bytes(6) + b"\x08\0" + bytes(UDP4), ETHERNET, {"l3": 22}),
    "fabricpath": (bytes(eth(0x8903)) + b"\0\1" + bytes(eth() / UDP4), ETHERNET, {"l3": 30}),
    "nsh ipv4": (bytes(eth(0x894F)) + bytes([0, 6, 1, 1]) + bytes(20) + bytes(UDP4), ETHERNET, {"l3": 38}),
    "nsh ethernet": (bytes(eth(0x894F)) + bytes([0, 2, 2, 3]) + bytes(4) + bytes(eth() / UDP4), ETHERNET, {"l3": 36}),
    "mpls explicit null": (bytes(eth(0x8847)) + b"\0\0\x01\x40" + bytes(UDP4), ETHERNET, {"l3": 18}),
    "mpls two labels": (bytes(eth(0x8847)) + b"\x01\x38\x80\x40\x01\x38\x81\x40" + bytes(UDP4), ETHERNET, {"l3": 22}),
    "mpls multicast ipv6": (bytes(eth(0x8848)) + b"\x01\x38\x81\x40" + bytes(UDP6), ETHERNET, {"l3": 18, "net": 6}),
    "mpls pseudowire": (bytes(eth(0x8847)) + b"\x01\x38\x81\x40" + bytes(4) + bytes(eth() / UDP4), ETHERNET, {"l3": 36}),
    "pppoe": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\x25\0\x21" + bytes(UDP4), ETHERNET, {"l3": 22}),
    "pppoe ipv6 compressed": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\x38\x57" + bytes(UDP6), ETHERNET, {"l3": 21, "net": 6}),
    "null": (b"\2\0\0\0" + bytes(UDP4), NULL, {"l3": 4}),
    "null big-endian": (b"\0\0\0\2" + bytes(UDP4), NULL, {"l3": 4}),
    "null ipv6 darwin": (b"\x1e\0\0\0" + bytes(UDP6), NULL, {"l3": 4, "net": 6}),
    "loop": (b"\0\0\0\2" + bytes(UDP4), LOOP, {"l3": 4}),
    "raw": (bytes(UDP4), RAW, {"l3": 0, "l4": 20}),
    "raw ipv6": (bytes(UDP6), RAW, {"l3": 0, "net": 6}),
    "sll": (bytes(14) + b"\x08\0" + bytes(UDP4), SLL, {"l3": 16}),
    "sll2": (b"\x86\xdd" + bytes(18) + bytes(UDP6), SLL2, {"l3": 20, "net": 6}),
    "ppp": (b"\xff\x03\0\x21" + bytes(UDP4), PPP, {"l3": 4}),
    "ppp compressed": (b"\x21" + bytes(UDP4), PPP, {"l3": 1}),
    "hdlc": (b"\x0f\0\x08\0" + bytes(UDP4), C_HDLC, {"l3": 4}),
    "ipv6 options and routing": (eth() / v6(nh=0) / (b"\x2b\0\5\2\0\0\0\0" + b"\x3c\2\2\0" + bytes(20) + b"\x11\0\xc2\4\0\0\0\0"
                                                     + bytes(UDP(sport=1000, dport=2000, len=15) / DATA)),
                                 ETHERNET, {"net": 6, "l4": 14 + 40 + 8 + 24 + 8}),
    "ipv6 ah": (eth() / v6(nh=51) / (b"\x11\4" + bytes(22) + bytes(UDP(sport=1000, dport=2000, len=15) / DATA)), ETHERNET,
                {"net": 6, "l4": 78}),
    "ipv4 ah": (bytes(eth() / v4(proto=51, len=20 + 24 + 15)) + b"\x11\4" + bytes(22) + bytes(UDP(sport=1000, dport=2000, len=15) / DATA),
                ETHERNET, {"l4": 58}),
}


@pytest.mark.parametrize("name", GOOD)
def test_link_and_network_headers_lead_to_udp(name):
    packet, linktype, expected = GOOD[name]
    entry = one(packet, linktype, checksums=False)
    assert entry["events"] == []
    assert entry["flags"] == KEYED
    ends = (A6, B6) if expected.get("net") == 6 else (A, B)
    assert (entry["src"], entry["dst"], entry["sport"], entry["dport"]) == (*map(address, ends), 1000, 2000)
    assert (entry["proto"], entry["payload"], entry["wirelen"]) == (UDP_, DATA, len(bytes(packet)))
    for field, value in ({"net": 4, "vlan": [0, 0, 0], "depth": 0, "tunnel": 0, "carries": 0} | expected).items():
        assert entry[field] == value, field


def test_compat_leaves_out_what_suricata_lacks():
    for name in ("tag of 0x9200", "802.3 snap", "802.3 llc ip", "etag", "loop", "sll2", "ipv4 ah"):
        packet, linktype, _ = GOOD[name]
        assert one(packet, linktype, compat=True)["key"] is None, name


TIMESTAMP = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]


@pytest.mark.parametrize("options", [[], TIMESTAMP, [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)],
                                     [("SAck", (1, 2))], [("EOL", None)]])
def test_tcp(options):
    packet = eth() / v4() / TCP(sport=40000, dport=80, flags="PA", options=options) / DATA
    entry = one(packet)
    header = packet[TCP].__class__(bytes(packet[TCP])).dataofs * 4
    assert (entry["tcp_flags"], entry["payload"], entry["payload_at"]) == (0x18, DATA, 34 + header)
    assert (entry["flags"], entry["events"], entry["proto"]) == (KEYED, [], TCP_)


def test_padding_is_no_payload():
    assert one(bytes(eth() / v4() / TCP(sport=1, dport=2) / b"abc") + bytes(20))["payload"] == b"abc"
    assert one(bytes(eth() / v4() / UDP(sport=1, dport=2) / b"abc") + bytes(20))["payload"] == b"abc"
    assert one(bytes(eth() / Dot1Q(vlan=1) / v4() / UDP(sport=1, dport=2) / b"abc") + bytes(20))["payload"] == b"abc"
    assert one(bytes(eth() / v4() / ICMP() / b"abc") + bytes(20))["payload"] == b"abc"


def test_either_direction_has_the_same_key():
    for forth, back in ((v4() / TCP(sport=9, dport=5), IP(src=B, dst=A) / TCP(sport=5, dport=9)),
                        (IP(src=A, dst=A) / UDP(sport=9, dport=5), IP(src=A, dst=A) / UDP(sport=5, dport=9)),
                        (v6() / UDP(sport=5, dport=9), IPv6(src=B6, dst=A6) / UDP(sport=9, dport=5)),
                        (IPv6(src=A6, dst=A6) / TCP(sport=5, dport=9), IPv6(src=A6, dst=A6) / TCP(sport=9, dport=5)),
                        (v4() / SCTP(sport=5, dport=9), IP(src=B, dst=A) / SCTP(sport=9, dport=5)),
                        (v4() / ICMP(type=8), IP(src=B, dst=A) / ICMP(type=0)),
                        (v6() / ICMPv6EchoRequest(), IPv6(src=B6, dst=A6) / ICMPv6EchoReply()),
                        (v4(proto=50) / bytes(16), IP(src=B, dst=A, proto=50) / bytes(16))):
        one_way, other = one(eth() / forth), one(eth() / back)
        assert one_way["key"] == other["key"]
        assert (one_way["flags"] ^ other["flags"]) == REVERSED
        assert (one_way["src"], one_way["sport"]) == (other["dst"], other["dport"])
        low, high = (one_way["key"][0], one_way["key"][1]), (one_way["key"][2], one_way["key"][3])
        assert low <= high


def test_the_straight_path_and_the_walk_agree():
    """The same IP packet behind Ethernet, which the straight path takes, and bare, which it does not."""
    rng = random.Random(5)
    for _ in range(2000):
        ends = [".".join(str(rng.choice((0, 1, 9, 10, 255))) for _ in range(4)) for _ in range(2)]
        ports = {"sport": rng.choice((1, 53, 4789, 443, 65535)), "dport": rng.choice((1, 53, 80, 2152, 6081, 40000))}
        layer = TCP(flags=rng.randrange(256), options=rng.choice(([], TIMESTAMP, [("NOP", None)] * 12)), **ports) if rng.random() < .6 else UDP(**ports)
        packet = bytearray(bytes(IP(src=ends[0], dst=ends[1], flags=rng.choice((0, 0, 0, 1)), frag=rng.choice((0, 0, 0, 3))) / layer
                                 / rng.randbytes(rng.randrange(40))))
        if rng.random() < .3:
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        packet = bytes(packet[:rng.randrange(20, len(packet) + 1)] if rng.random() < .1 else packet) + bytes(rng.choice((0, 0, 6)))
        # a frame whose version is not 4 is another thing behind Ethernet than bare
        if packet[0] >> 4 != 4:
            continue
        for settings in ({"checksums": True}, {"checksums": False}):
            framed, bare = dissect([bytes(eth(0x800)) + packet], **settings)[0], dissect([packet], RAW, **settings)[0]
            assert len(framed) == len(bare)
            for left, right in zip(framed, bare, strict=True):
                assert left["l4"] == (right["l4"] + 14 if right["l4"] != 0xFFFF and not right["depth"] else right["l4"])
                for field in ("key", "flags", "proto", "tcp_flags", "payload", "payload_len", "net", "events", "carries", "icmp_type", "qfi", "tunnel_id"):
                    assert left[field] == right[field], (field, packet.hex())


def test_icmp_errors_have_the_key_of_what_they_quote():
    quoted = one(eth() / v4() / UDP(sport=5000, dport=53) / DATA)
    for kind, code in ((3, 3), (11, 0), (4, 0), (5, 1), (12, 0)):
        error = one(eth() / IP(src="192.0.2.1", dst=A) / ICMP(type=kind, code=code) / v4() / UDP(sport=5000, dport=53) / b"12")
        assert error["flags"] & (KEYED | QUOTED) == KEYED | QUOTED
        assert error["key"] == quoted["key"]
        assert (error["src"], error["sport"], error["dst"]) == (address(B), 53, address(A))      # it goes back to the quoted source
        assert (error["proto"], error["icmp_type"], error["icmp_code"]) == (ICMP_, kind, code)
    quoted = one(eth() / v6() / TCP(sport=5000, dport=443))
    error = one(eth() / IPv6(src="2001:db8::9", dst=A6) / ICMPv6DestUnreach(code=4) / v6() / TCP(sport=5000, dport=443))
    assert error["key"] == quoted["key"] and error["flags"] & QUOTED
    ping = one(eth() / v4() / ICMP(type=8))
    error = one(eth() / IP(src=B, dst=A) / ICMP(type=3, code=1) / v4() / ICMP(type=8))
    assert error["key"] == ping["key"]
    fragment = one(eth() / IP(src=B, dst=A) / ICMP(type=3, code=1) / v4(frag=5) / UDP())
    assert fragment["key"] is None


def test_fragments_have_no_flow():
    for packet in (eth() / v4(flags="MF") / UDP() / DATA, eth() / v4(frag=3) / (DATA * 3),
                   eth() / v6() / IPv6ExtHdrFragment(nh=17, m=1) / UDP() / DATA, eth() / v6() / IPv6ExtHdrFragment(nh=17, offset=2) / DATA):
        entry = one(packet)
        assert entry["flags"] & FRAGMENT and entry["key"] is None and entry["payload_len"] == 0
        assert entry["proto"] == 44 or entry["net"] == 4       # what a fragment of IPv6 carries only the whole packet tells


def test_arp_and_igmp_have_no_flow():
    entry = one(eth() / ARP(psrc=A, pdst=B, hwsrc="02:00:00:00:00:01"))
    assert (entry["net"], entry["l3"], entry["key"], entry["events"]) == (1, 14, None, [])
    entry = one(eth() / v4(proto=2) / b"\x16\0\x09\xfe\xe0\0\0\1", checksums=False)
    assert (entry["proto"], entry["l4"], entry["key"], entry["events"]) == (2, 34, None, [])


def test_payload_of_icmp_esp_sctp():
    assert one(eth() / v4() / ICMP() / DATA)["payload"] == DATA
    assert one(eth() / v4() / ICMP(type=13, ts_ori=1, ts_rx=2, ts_tx=3) / DATA)["payload"] == DATA
    assert one(eth() / v6() / ICMPv6EchoRequest(data=DATA))["payload"] == DATA
    assert one(eth() / v4(proto=ESP) / (bytes(8) + DATA))["payload"] == DATA
    assert one(eth() / v4() / SCTP() / DATA)["payload"] == DATA


BTH = bytes([4, 0x40, 0xFF, 0xFF, 0, 0, 0, 0x11, 0x80, 0, 0, 7])


def test_roce():
    entry = one(eth() / v4() / UDP(sport=50000, dport=4791) / BTH)
    assert entry["flags"] == KEYED | ROCE and entry["payload"] == BTH and entry["events"] == []
    assert one(eth() / v4() / UDP(sport=50000, dport=4791) / BTH[:11])["events"] == ["decoder.roce.header_too_small"]
    assert one(eth() / v4() / UDP(sport=50000, dport=4791) / BTH, roce=[])["flags"] == KEYED
    assert one(eth() / v4() / UDP(sport=50000, dport=4791) / BTH, compat=True)["flags"] == KEYED


# ---- checksums ----

@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 1399])
def test_checksums(size):
    data = bytes(range(256))[:size] * (1 + size // 256)
    for packet in (v4() / TCP() / data, v4() / UDP() / data, v6() / TCP() / data, v6() / UDP() / data, v4() / ICMP() / data,
                   v6() / ICMPv6EchoRequest(data=data), v4(options=b"\1\1\1\0") / TCP() / data, v4() / UDP(sport=1, dport=4791) / data):
        frame = bytes(eth() / packet)
        assert one(frame)["flags"] & (L3_CHECKSUM | L4_CHECKSUM) == 0
        wrong = bytearray(frame)
        wrong[-1] ^= 0x10
        assert one(wrong)["flags"] & (L3_CHECKSUM | L4_CHECKSUM) == L4_CHECKSUM
        assert one(wrong, checksums=False)["flags"] & L4_CHECKSUM == 0
        assert dissect([bytes(wrong)], wirelens=[len(wrong) + 9])[0][0]["flags"] & L4_CHECKSUM == L4_CHECKSUM     # all of the packet is there
        if packet.version == 4:
            wrong = bytearray(frame)
            wrong[14 + 8] ^= 1
            assert one(wrong)["flags"] & (L3_CHECKSUM | L4_CHECKSUM) == L3_CHECKSUM
    assert one(eth() / v4() / UDP(chksum=0) / data)["flags"] & L4_CHECKSUM == 0


# ---- malformed ----

def tcp_with(options: bytes) -> bytes:
    return bytes(eth() / v4(proto=6) / (patched(TCP(), at_12=(5 + len(options) // 4) << 4) + options))


def ip_with(options: bytes) -> bytes:
    return bytes(eth() / IP(src=A, dst=B, options=b"\0" * len(options)) / UDP())[:34] + options + bytes(UDP())


BAD = {     # a frame, its event, and whether decoding had to stop there
    "ethernet.pkt_too_small": (bytes(13), True),
    "vlan.header_too_small": (bytes(eth(0x8100)) + b"\0\1\x08", True),
    "vlan.unknown_type": (bytes(eth(0x8100)) + b"\0\1\x12\x34" + bytes(20), True),
    "vlan.too_many_layers": (bytes(eth(0x8100)) + b"\0\1\x81\0" * 4 + bytes(UDP4), True),
    "ieee8021ah.header_too_small": (bytes(eth(0x88E7)) + bytes(17), True),
    "vntag.header_too_small": (bytes(eth(0x8926)) + bytes(5), True),
    "vntag.unknown_type": (bytes(eth(0x8926)) + bytes(20), True),
    "etag.header_too_small": (bytes(eth(0x893F)) + bytes(7), True),
    "etag.unknown_type": (bytes(eth(0x893F)) + bytes(20), True),
    "dce.pkt_too_small": (bytes(eth(0x8903)) + bytes(15), True),
    "nsh.header_too_small": (bytes(eth(0x894F)) + bytes(7), True),
    "nsh.unsupported_version": (bytes(eth(0x894F)) + bytes([0x40, 6, 1, 1]) + bytes(40), True),
    "nsh.bad_header_length": (bytes(eth(0x894F)) + bytes([0, 7, 1, 1]) + bytes(40), True),
    "nsh.reserved_type": (bytes(eth(0x894F)) + bytes([0, 6, 0, 1]) + bytes(40), True),
    "nsh.unsupported_type": (bytes(eth(0x894F)) + bytes([0, 6, 3, 1]) + bytes(40), True),
    "nsh.unknown_payload": (bytes(eth(0x894F)) + bytes([0, 6, 1, 9]) + bytes(40), True),
    "mpls.header_too_small": (bytes(eth(0x8847)) + b"\1\x38\x80\x40\1", True),
    "mpls.pkt_too_small": (bytes(eth(0x8847)) + b"\1\x38\x81\x40\x45", True),
    "mpls.bad_label_router_alert": (bytes(eth(0x8847)) + b"\0\0\x11\x40" + bytes(UDP4), False),
    "mpls.bad_label_implicit_null": (bytes(eth(0x8847)) + b"\0\0\x31\x40" + bytes(UDP4), False),
    "mpls.bad_label_reserved": (bytes(eth(0x8847)) + b"\0\0\x41\x40" + bytes(UDP4), False),
    "mpls.unknown_payload_type": (bytes(eth(0x8847)) + b"\1\x38\x81\x40\x50" + bytes(20), True),
    "pppoe.pkt_too_small": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\2", True),
    "pppoe.wrong_code": (bytes(eth(0x8863)) + b"\x11\1\0\0\0\0", True),
    "pppoe.malformed_tags": (bytes(eth(0x8863)) + b"\x11\x09\0\0\0\6\1\1\0\x09ab", True),
    "ppp.ip4_pkt_too_small": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\2\0\x21" + bytes(19), True),
    "ppp.vju_pkt_too_small": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\2\0\x2f" + bytes(19), True),
    "ppp.ip6_pkt_too_small": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\2\0\x57" + bytes(39), True),
    "ppp.wrong_type": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\2\x12\x34" + bytes(39), True),
    "ppp.unsup_proto": (bytes(eth(0x8864)) + b"\x11\0\0\1\0\2\xc0\x21" + bytes(39), True),
    "arp.pkt_too_small": (bytes(eth(0x806)) + bytes(7), True),
    "arp.bad_length": (bytes(eth(0x806)) + b"\0\1\x08\0\6\6\0\1" + bytes(24), True),
    "ipv4.pkt_too_small": (bytes(eth(0x800)) + b"\x45" + bytes(18), True),
    "ipv4.wrong_ip_version": (patched(eth() / UDP4, at_14=0x55), True),
    "ipv4.hlen_too_small": (patched(eth() / UDP4, at_14=0x44), True),
    "ipv4.iplen_smaller_than_hlen": (patched(eth() / UDP4, at_16=0, at_17=19), True),
    "ipv4.trunc_pkt": (bytes(eth() / UDP4)[:-1], True),
    "ipv4.opt_pad_required": (ip_with(b"\1\1\1\0"), False),
    "ipv4.opt_eol_required": (ip_with(b"\1" * 7 + b"\x07"), False),
    "ipv4.opt_invalid_len": (ip_with(b"\x07\x09\4\0\0\0\0\0"), True),
    "ipv4.opt_malformed": (ip_with(b"\x07\x07\5\0\0\0\0\0"), False),
    "ipv4.opt_invalid": (ip_with(b"\xc8\x08\0\0\0\0\0\0"), False),
    "ipv4.opt_duplicate": (ip_with(b"\x94\4\0\0\x94\4\0\0"), False),
    "ipv4.icmpv6": (eth() / v4(proto=58) / bytes(20), False),
    "ipv4.unknown_protocol": (eth() / v4(proto=200) / bytes(20), False),
    "ipv6.pkt_too_small": (bytes(eth(0x86DD)) + b"\x60" + bytes(38), True),
    "ipv6.wrong_ip_version": (patched(eth() / UDP6, at_14=0x40), True),
    "ipv6.trunc_pkt": (bytes(eth() / UDP6)[:-1], True),
    "ipv6.trunc_exthdr": (eth() / v6(nh=60) / b"\x11\1\1\4\0\0\0\0", True),
    "ipv6.exthdr_dupl_hh": (eth() / v6(nh=0) / (b"\0\0\5\2\0\0\1\0" b"\x3b\0\5\2\0\0\1\0"), False),
    "ipv6.exthdr_dupl_dh": (eth() / v6(nh=60) / (b"\x3c\0\xc2\4\0\0\0\0" * 2 + b"\x3b\0\xc2\4\0\0\0\0"), False),
    "ipv6.exthdr_dupl_rh": (eth() / v6(nh=43) / (b"\x2b\0\2\0\0\0\0\0" b"\x3b\0\2\0\0\0\0\0"), False),
    "ipv6.exthdr_dupl_ah": (eth() / v6(nh=51) / (b"\x33\1" + bytes(10) + b"\x3b\1" + bytes(10)), False),
    "ipv6.exthdr_dupl_fh": (eth() / v6(nh=44) / (b"\x2c" + bytes(7) + b"\x3b" + bytes(7)), False),
    "ipv6.exthdr_useless_fh": (eth() / v6(nh=44) / (b"\x3b" + bytes(7)), False),
    "ipv6.fh_non_zero_reserved_field": (eth() / v6(nh=44) / (b"\x3b\1" + bytes(6)), False),
    "ipv6.exthdr_ah_res_not_null": (eth() / v6(nh=51) / (b"\x3b\1\0\1" + bytes(8)), False),
    "ipv6.exthdr_invalid_optlen": (eth() / v6(nh=0) / b"\x3b\0\5\1\0\1\1\0", False),
    "ipv6.hopopts_unknown_opt": (eth() / v6(nh=0) / b"\x3b\0\x26\4\0\0\0\0", False),
    "ipv6.hopopts_only_padding": (eth() / v6() / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]) / UDP(), False),
    "ipv6.dstopts_unknown_opt": (eth() / v6(nh=60) / b"\x3b\0\x26\4\0\0\0\0", False),
    "ipv6.dstopts_only_padding": (eth() / v6(nh=60) / b"\x3b\0\1\4\0\0\0\0", False),
    "ipv6.zero_len_padn": (eth() / v6(nh=60) / b"\x3b\0\1\0\5\2\0\0", False),
    "ipv6.rh_type_0": (eth() / v6(nh=43) / b"\x3b\0\0\0\0\0\0\0", False),
    "ipv6.data_after_none_header": (eth() / v6(nh=59) / b"a", False),
    "ipv6.unknown_next_header": (eth() / v6(nh=200) / bytes(20), False),
    "ipv6.icmpv4": (eth() / v6(nh=1) / bytes(20), False),
    "ipv6.ipv4_in_ipv6_too_small": (eth() / v6(nh=4) / b"\x45", True),
    "ipv6.ipv4_in_ipv6_wrong_version": (eth() / v6(nh=4) / bytes(20), True),
    "ipv6.ipv6_in_ipv6_too_small": (eth() / v6(nh=41) / b"\x60", True),
    "ipv6.ipv6_in_ipv6_wrong_version": (eth() / v6(nh=41) / bytes(40), True),
    "icmpv4.pkt_too_small": (eth() / v4(proto=1) / bytes(7), True),
    "icmpv4.unknown_type": (eth() / v4(proto=1) / (b"\1" + bytes(9)), False),
    "icmpv4.unknown_code": (eth() / v4(proto=1) / (b"\x08\1" + bytes(9)), False),
    "icmpv4.ipv4_trunc_pkt": (eth() / v4(proto=1) / (b"\x03\1" + bytes(25)), False),
    "icmpv4.ipv4_unknown_ver": (eth() / v4(proto=1) / (b"\x03\1" + bytes(26)), False),
    "icmpv6.pkt_too_small": (eth() / v6(nh=58) / bytes(7), True),
    "icmpv6.unknown_type": (eth() / v6(nh=58) / bytes(8), False),
    "icmpv6.unknown_code": (eth() / v6(nh=58) / b"\x80\1\0\0\0\0\0\0", False),
    "icmpv6.ipv6_trunc_pkt": (eth() / v6(nh=58) / (b"\1" + bytes(46)), False),
    "icmpv6.ipv6_unknown_version": (eth() / v6(nh=58) / (b"\1" + bytes(47)), False),
    "icmpv6.mld_message_with_invalid_hl": (eth() / v6(nh=58, hlim=2) / (b"\x83" + bytes(23)), False),
    "icmpv6.unassigned_type": (eth() / v6(nh=58) / (b"\x50" + bytes(7)), False),
    "icmpv6.experimentation_type": (eth() / v6(nh=58) / (b"\x64" + bytes(7)), False),
    "igmp.pkt_too_small": (eth() / v4(proto=2) / bytes(7), True),
    "igmp.v3_pkt_too_small": (eth() / v4(proto=2) / (b"\x11" + bytes(10)), True),
    "igmp.malformed": (eth() / v4(proto=2) / (b"\x22\0\0\0\0\0\0\2" + bytes(8)), True),
    "tcp.pkt_too_small": (eth() / v4(proto=6) / bytes(19), True),
    "tcp.hlen_too_small": (eth() / v4(proto=6) / patched(TCP(), at_12=0x60), True),
    "tcp.invalid_optlen": (eth() / v4(proto=6) / patched(TCP(), at_12=0x40), True),
    "tcp.opt_invalid_len": (tcp_with(b"\2\3\0\0"), False),
    "tcp.opt_duplicate": (tcp_with(b"\2\4\0\0\2\4\0\0"), False),
    "udp.hlen_too_small": (eth() / v4(proto=17) / bytes(7), True),
    "udp.pkt_too_small": (eth() / v4() / UDP(len=16) / DATA, True),
    "udp.len_invalid": (eth() / v4() / UDP(len=7) / DATA, True),
    "sctp.pkt_too_small": (eth() / v4(proto=132) / bytes(11), True),
    "esp.pkt_too_small": (eth() / v4(proto=50) / bytes(7), True),
    "ah.pkt_too_small": (eth() / v4(proto=51) / (b"\x11\4" + bytes(12)), True),
    "ah.bad_length": (eth() / v4(proto=51) / bytes(12), True),
    "gre.pkt_too_small": (eth() / v4(proto=47) / bytes(3), True),
    "gre.wrong_version": (eth() / v4(proto=47) / b"\0\2\x08\0", True),
    "gre.version0_recur": (eth() / v4(proto=47) / b"\1\0\x08\0", True),
    "gre.version0_flags": (eth() / v4(proto=47) / b"\0\x08\x08\0", True),
    "gre.version0_hdr_too_big": (eth() / v4(proto=47) / b"\x20\0\x08\0\0\0\0", True),
    "gre.version0_malformed_sre_hdr": (eth() / v4(proto=47) / b"\x40\0\x08\0\0\0\0\0\0\1\0\5\0", True),
    "gre.version1_chksum": (eth() / v4(proto=47) / b"\x80\1\x88\x0b", True),
    "gre.version1_route": (eth() / v4(proto=47) / b"\x40\1\x88\x0b", True),
    "gre.version1_ssr": (eth() / v4(proto=47) / b"\x08\1\x88\x0b", True),
    "gre.version1_recur": (eth() / v4(proto=47) / b"\x01\1\x88\x0b", True),
    "gre.version1_flags": (eth() / v4(proto=47) / b"\0\x09\x88\x0b", True),
    "gre.version1_no_key": (eth() / v4(proto=47) / b"\0\1\x88\x0b", True),
    "gre.version1_wrong_protocol": (eth() / v4(proto=47) / b"\x20\1\x08\0", True),
    "gre.version1_hdr_too_big": (eth() / v4(proto=47) / b"\x30\1\x88\x0b\0\0\0\0\0", True),
    "erspan.header_too_small": (eth() / v4(proto=47) / (b"\x10\0\x88\xbe" + bytes(11)), False),
    "erspan.unsupported_version": (eth() / v4(proto=47) / (b"\x10\0\x88\xbe" + bytes(40)), False),
    "vxlan.header_too_small": (eth() / v4() / UDP(sport=1, dport=4789) / (b"\x08" + bytes(20)), False),
    "vxlan.bad_flags": (eth() / v4() / UDP(sport=1, dport=4789) / bytes(40), False),
    "geneve.header_too_small": (eth() / v4() / UDP(sport=1, dport=6081) / (b"\2" + bytes(10)), False),
    "geneve.unsupported_version": (eth() / v4() / UDP(sport=1, dport=6081) / (b"\x40" + bytes(10)), False),
    "geneve.unknown_payload_type": (eth() / v4() / UDP(sport=1, dport=6081) / bytes(10), False),
    "gtpu.header_too_small": (eth() / v4() / UDP(sport=1, dport=2152) / b"\x30\xff\0\0", False),
    "gtpu.unsupported_version": (eth() / v4() / UDP(sport=1, dport=2152) / bytes(20), False),
    "gtpu.bad_extension": (eth() / v4() / UDP(sport=1, dport=2152) / (b"\x34\xff\0\x20" + bytes(7) + b"\x85" + bytes(8)), False),
    "gtpu.unknown_payload": (eth() / v4() / UDP(sport=1, dport=2152) / (b"\x30\xff\0\x20" + bytes(20)), False),
    "roce.header_too_small": (eth() / v4() / UDP(sport=1, dport=4791) / bytes(11), False),
    "too_many_layers": (bytes(eth(0x8926)) + b"\0\0\0\0\x89\x26" * 20, True),
    "ethernet.unknown_ethertype": (bytes(eth(0x1234)) + bytes(40), False),
}
BAD_LINKS = {
    "ltnull.pkt_too_small": (b"\2\0\0", NULL), "ltnull.unsupported_type": (b"\7\0\0\0" + bytes(40), NULL),
    "sll.pkt_too_small": (bytes(15), SLL), "sll2.pkt_too_small": (bytes(19), SLL2), "chdlc.pkt_too_small": (bytes(3), C_HDLC),
    "ppp.pkt_too_small": (bytes(3), PPP), "ipraw.invalid_ip_version": (bytes(40), RAW), "ipv4.pkt_too_small": (b"\x45" * 19, RAW),
}
OF_OTHER_STAGES = {"ipv4.frag_pkt_too_large", "ipv4.frag_overlap", "ipv4.frag_ignored", "ipv6.frag_pkt_too_large", "ipv6.frag_overlap",
                   "ipv6.frag_invalid_length", "ipv6.frag_ignored"}
# In Suricata's list, never set by its decoders either; the event of a live interface; and those of compat, tested below.
NEVER = {"ipv4.opt_unknown", "ipv6.exthdr_dupl_eh", "udp.hlen_invalid", "gre.version1_malformed_sre_hdr", "erspan.too_many_vlan_layers", "afpacket.trunc_pkt",
         "vxlan.unknown_payload_type", "capture.header_cut", "capture.linktype_unsupported"}


@pytest.mark.parametrize("event", BAD)
def test_malformed_is_an_event(event):
    packet, stops = BAD[event]
    entry = one(packet, checksums=False)
    assert f"decoder.{event}" in entry["events"]
    assert bool(entry["flags"] & INVALID) == stops
    if stops:
        assert entry["key"] is None


@pytest.mark.parametrize("event", BAD_LINKS)
def test_malformed_link_header_is_an_event(event):
    entry = one(*BAD_LINKS[event])
    assert entry["events"] == [f"decoder.{event}"]
    assert entry["flags"] == INVALID


def test_every_event_has_a_case():
    names = {name.removeprefix("decoder.") for name in EVENT_NAMES if name.startswith("decoder.")}
    known = {*BAD, *BAD_LINKS} | OF_OTHER_STAGES | NEVER
    assert known <= names
    assert {name.partition(".")[0] for name in names - known} <= {"roce", "gtpu", "gtpc", "pfcp", "hardware"}     # test_bindings.py has those


def test_every_event_of_suricatas_rules_has_a_name(corpus):
    text = (corpus / "rules/suricata-events/rules/decoder-events.rules").read_text()
    wanted = {f"decoder.{name}" for name in re.findall(r"decode-event:\s*([\w.]+)\s*;", text)}
    assert len(wanted) > 100
    assert wanted <= set(EVENT_NAMES)
    assert len(set(EVENT_NAMES)) == len(EVENT_NAMES)


def test_unsupported_link_type_is_an_event_and_no_error():
    entry = one(bytes(40), 147)
    assert (entry["events"], entry["flags"]) == (["decoder.capture.linktype_unsupported"], 0)


def test_an_event_is_noted_once():
    packet = eth() / v6(nh=60) / (b"\x3c\0\x26\0\x26\0\x26\0" * 100 + b"\x3b\0\x26\0\x26\0\x26\0")
    assert one(packet)["events"] == ["decoder.ipv6.dstopts_unknown_opt", "decoder.ipv6.exthdr_dupl_dh"]


# ---- cut captures ----

def test_a_cut_packet_is_not_malformed():
    frame = bytes(eth() / TCP4)
    for length in range(len(frame)):
        entry = dissect([frame[:length]], wirelens=[len(frame)])[0][0]
        assert entry["flags"] & CUT and not entry["flags"] & INVALID
        assert entry["events"] == (["decoder.capture.header_cut"] if length < 54 else [])
        assert (entry["key"] is not None) == (length >= 54)
        assert entry["payload"] == frame[54:length]
        assert entry["flags"] & L4_CHECKSUM == 0


def test_compat_calls_a_cut_packet_what_suricata_calls_it():
    frame = bytes(eth() / TCP4)
    for length, event in ((13, "ethernet.pkt_too_small"), (33, "ipv4.pkt_too_small"), (60, "ipv4.trunc_pkt")):
        entry = dissect([frame[:length]], wirelens=[len(frame)], compat=True)[0][0]
        assert entry["events"] == [f"decoder.{event}"]
        assert entry["flags"] == CUT


def test_no_length_for_segmentation_offload():
    entry = one(patched(eth() / TCP4, at_16=0, at_17=0), checksums=False)
    assert (entry["payload"], entry["events"]) == (DATA, ["decoder.ipv4.iplen_smaller_than_hlen"])
    assert one(patched(eth() / TCP4, at_16=0, at_17=0), compat=True)["flags"] == INVALID


# ---- settings ----

def test_settings():
    frame = bytes(eth() / Dot1Q(vlan=7) / UDP4)
    assert one(frame, vlan_tracking=False)["key"][4] == (0, 0, 0)
    for wrong in ({"max_depth": 8}, {"max_layers": 0}, {"vxlan": [0]}, {"gtpu": [70000]}, {"teredo": range(1, 20)}, {"nonsense": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            one(frame, **wrong)
    with pytest.raises(TypeError):
        one(frame, vxlan=5)
    with pytest.raises(ValueError, match="wirelens"):
        dissect([frame], wirelens=[])
