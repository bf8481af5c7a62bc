"""Resets and ICMP errors: read back by scapy, checksums and numbers."""
from __future__ import annotations

import pytest

from fastpath.control.replies import replies_to

scapy = pytest.importorskip("scapy.all")
ETHERNET, RAW = 1, 101


def read_back(frame: bytes, linktype: int = ETHERNET):
    """The frame as scapy sees it; its checksums are those that scapy computes."""
    packet = scapy.Ether(frame) if linktype == ETHERNET else scapy.IP(frame) if frame[0] >> 4 == 4 else scapy.IPv6(frame)
    again = packet.copy()
    for layer in (scapy.IP, scapy.TCP, scapy.ICMP, scapy.ICMPv6DestUnreach):        # the outermost of each, not what is quoted
        if layer in again:
            delattr(again[layer], "cksum" if layer is scapy.ICMPv6DestUnreach else "chksum")
    assert bytes(again) == frame
    return packet


def frame(*layers):
    packet = scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for layer in layers:
        packet /= layer
    return bytes(packet)


IP4 = {"src": "10.0.0.1", "dst": "10.0.0.2"}
IP6 = {"src": "fd00::1", "dst": "fd00::2"}


@pytest.mark.parametrize("ip", [scapy.IP(**IP4), scapy.IPv6(**IP6)])
def test_reset_of_a_syn(ip):
    [reply] = replies_to(frame(ip, scapy.TCP(sport=1000, dport=80, flags="S", seq=7)), 3, ETHERNET, True, False)
    packet = read_back(reply.frame)
    assert (reply.packet, reply.to) == (3, "src")
    assert (packet.src, packet.dst) == ("02:00:00:00:00:02", "02:00:00:00:00:01")
    assert (packet[type(ip)].src, packet[type(ip)].dst) == (ip.dst, ip.src)
    tcp = packet[scapy.TCP]
    assert (tcp.sport, tcp.dport, tcp.seq, tcp.ack, str(tcp.flags)) == (80, 1000, 0, 8, "RA")


def test_resets_both_ways():
    data = frame(scapy.IP(**IP4), scapy.TCP(sport=1000, dport=80, flags="PA", seq=100, ack=500), scapy.Raw(b"x" * 10))
    back, on = (read_back(reply.frame) for reply in replies_to(data, 0, ETHERNET, True, True))
    assert (back[scapy.TCP].seq, str(back[scapy.TCP].flags), back[scapy.IP].dst) == (500, "R", "10.0.0.1")
    assert (on[scapy.TCP].seq, on[scapy.TCP].ack, str(on[scapy.TCP].flags), on[scapy.IP].dst) == (100, 500, "RA", "10.0.0.2")
    assert on.dst == "02:00:00:00:00:02"


def test_icmp_quotes_the_packet():
    data = frame(scapy.IP(**IP4), scapy.UDP(sport=5, dport=53), scapy.Raw(b"question"))
    [reply] = replies_to(data, 0, ETHERNET, True, False)
    packet = read_back(reply.frame)
    assert (packet[scapy.ICMP].type, packet[scapy.ICMP].code, packet[scapy.IP].src) == (3, 13, "10.0.0.2")
    assert reply.frame.endswith(data[14:])


def test_icmpv6_and_vlan_and_raw():
    data = frame(scapy.Dot1Q(vlan=7), scapy.IPv6(**IP6), scapy.UDP(sport=5, dport=53))
    [reply] = replies_to(data, 0, ETHERNET, True, False)
    packet = read_back(reply.frame)
    assert (packet[scapy.Dot1Q].vlan, packet[scapy.ICMPv6DestUnreach].code) == (7, 1)
    [bare] = replies_to(data[18:], 0, RAW, True, False)
    assert bare.frame == reply.frame[18:]


@pytest.mark.parametrize("packet", [
    frame(scapy.IP(**IP4), scapy.TCP(flags="R")),
    frame(scapy.IP(**IP4), scapy.ICMP(type=3, code=1)),
    frame(scapy.IPv6(**IP6), scapy.ICMPv6DestUnreach()),
    frame(scapy.IP(**IP4, frag=10), scapy.UDP()),
    frame(scapy.IP(src="10.0.0.1", dst="224.0.0.1"), scapy.UDP()),
    frame(scapy.IPv6(src="fd00::1", dst="ff02::1"), scapy.UDP()),
    frame(scapy.ARP()),
    b"", b"\0" * 13, frame(scapy.IP(**IP4), scapy.TCP())[:40],
])
def test_what_is_not_answered(packet):
    assert replies_to(packet, 0, ETHERNET, True, True) == []


def test_nothing_raises_on_cut_packets():
    whole = frame(scapy.Dot1Q(vlan=7), scapy.IP(**IP4), scapy.TCP(flags="PA"), scapy.Raw(b"x"))
    for end in range(len(whole)):
        for linktype in (ETHERNET, RAW, 113):
            replies_to(whole[:end], 0, linktype, True, True)
