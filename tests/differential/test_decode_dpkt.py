"""Every field that dpkt names too, packet by packet, on captures of the corpus."""
from __future__ import annotations

import struct
from collections import Counter

import dpkt
from differential.decoders import CUT, FRAGMENT, INVALID, KEYED, NO_INDEX, QUOTED, sample

LINKS = {1: dpkt.ethernet.Ethernet, 113: dpkt.sll.SLL, 0: dpkt.loopback.Loopback}
PORTED = {6: dpkt.tcp.TCP, 17: dpkt.udp.UDP}


def transport_of(packet) -> tuple[object, int]:
    """dpkt's transport layer, and its protocol."""
    if isinstance(packet, dpkt.ip.IP):
        return packet.data, packet.p
    following = packet.nxt
    for header in packet.all_extension_headers:
        following = getattr(header, "nxt", following)
    return packet.data, following


def test_decode_agrees_with_dpkt(corpus):
    seen = Counter()
    for path, linktype, packet, entry in sample(corpus / "pcaps", tuple(LINKS)):
        try:
            link = LINKS[linktype](packet)
        except (dpkt.Error, struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError):
            seen["not for dpkt"] += 1
            continue
        network = link.data
        where = f"{path}: {packet.hex()}"
        if isinstance(network, dpkt.arp.ARP):
            assert entry["net"] == 1 or entry["flags"] & INVALID, where
            seen["arp"] += 1
            continue
        if not isinstance(network, (dpkt.ip.IP, dpkt.ip6.IP6)) or entry["flags"] & INVALID or entry["l3"] == NO_INDEX:
            seen["other"] += 1
            continue
        if isinstance(network, dpkt.ip.IP) and network.len == 0:
            seen["no length"] += 1
            continue
        assert entry["net"] == network.v, where
        four = network.v == 4
        frame = packet[entry["l3"]:]
        assert (frame[12:16], frame[16:20]) == (network.src, network.dst) if four else (frame[8:24], frame[24:40]) == (network.src, network.dst), where
        tags = [tag.id for tag in getattr(link, "vlan_tags", ()) if hasattr(tag, "id")]
        if linktype == 1 and entry["key"]:
            assert {*tags[:3]} <= {*entry["vlan"], 0}, where         # dpkt reads two
        fragment = bool(network.mf or network.offset) if four else False
        if four:
            assert bool(entry["flags"] & FRAGMENT) == fragment, where
        transport, proto = transport_of(network)
        if entry["flags"] & (FRAGMENT | CUT) or fragment or not isinstance(transport, PORTED.get(entry["proto"], ())):
            seen["network"] += 1
            continue
        if entry["flags"] & QUOTED or not entry["flags"] & KEYED or entry["carries"]:
            seen["network"] += 1
            continue
        assert entry["proto"] == proto, where
        assert (entry["src"], entry["dst"], entry["sport"], entry["dport"]) == (network.src, network.dst, transport.sport, transport.dport), where
        if proto == 6:
            assert entry["tcp_flags"] == transport.flags & 0xFF, where
        assert entry["payload"] == bytes(transport.data)[:len(entry["payload"])], where
        if proto == 17 or four:         # dpkt keeps what follows the IPv6 payload
            assert len(entry["payload"]) == (transport.ulen - 8 if proto == 17 else network.len - network.hl * 4 - transport.off * 4), where
        seen["transport"] += 1
    assert seen["transport"] > 2000 and seen["arp"] > 10, seen
    assert seen["not for dpkt"] < sum(seen.values()) / 4, seen
