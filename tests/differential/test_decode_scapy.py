"""Every field that scapy names too, entry by entry, on captures of the corpus: tunnels are opened and each inner packet is given
to scapy on its own."""
from __future__ import annotations

import random
import socket
import struct
from collections import Counter

from captures import captures_in, read_packets
from differential.decoders import CAPTURES, CUT, EXHAUSTIVE, FRAGMENT, INVALID, KEYED, NO_INDEX, PACKETS, QUOTED
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, Dot1AD, Dot1Q, Ether, Loopback
from scapy.layers.ppp import PPP
from scapy.layers.sctp import SCTP

from fastpath.dataplane.dissect import dissect

LINKS = {1: Ether, 113: CookedLinux, 0: Loopback, 9: PPP, 228: IP, 229: IPv6}
PORTED = {6: TCP, 17: UDP, 132: SCTP}


def packets_of(folder):
    paths = captures_in(folder)
    tunnels = [path for path in paths if any(word in path.name.lower() for word in (
        "gre", "vxlan", "geneve", "teredo", "6in4", "4in6", "6in6", "ipip", "erspan", "gtp", "tunnel", "vlan", "qinq", "mpls", "ppp"))]
    if not EXHAUSTIVE:
        paths = sorted({*random.Random(13).sample(paths, CAPTURES), *tunnels})
    for path in paths:
        for linktype, packets in read_packets(path, None if EXHAUSTIVE else PACKETS if path not in tunnels else 15).items():
            yield path, linktype, packets


def compare(entry: dict, where: str) -> str:
    """One entry against scapy's reading of the same bytes. Says how far it went."""
    if entry["linktype"] not in LINKS:
        return "link"
    try:
        packet = LINKS[entry["linktype"]](entry["frame"])
    except (IndexError, struct.error, ValueError, TypeError, KeyError, AttributeError):     # scapy raises on some damaged bytes
        return "not for scapy"
    network = packet
    tags = []
    while network and not isinstance(network, (IP, IPv6, ARP)):
        if isinstance(network, (Dot1Q, Dot1AD)):
            tags.append(network.vlan)
        if len(tags) > 3 or isinstance(network, (UDP, TCP)):
            return "other"
        network = network.payload
    if not network or entry["l3"] == NO_INDEX or entry["flags"] & INVALID:
        return "other"
    if isinstance(network, ARP):
        assert entry["net"] == 1, where
        return "arp"
    four = isinstance(network, IP)
    if network.version != (4 if four else 6) or (four and not network.len):
        return "other"
    assert entry["net"] == network.version, where
    pack = socket.inet_aton if four else (lambda text: socket.inet_pton(socket.AF_INET6, text))
    source, destination = pack(network.src), pack(network.dst)
    frame = entry["frame"][entry["l3"]:]
    assert (frame[12:16], frame[16:20]) == (source, destination) if four else (frame[8:24], frame[24:40]) == (source, destination), where
    tags = [tag for tag in tags if tag]
    kept = [tag for tag in entry["vlan"] if tag]
    assert kept[len(kept) - len(tags):] == tags, where          # before them, that of an ERSPAN port
    if four:
        assert bool(entry["flags"] & FRAGMENT) == bool(network.frag or "MF" in network.flags), where
    kind = PORTED.get(entry["proto"])
    if entry["flags"] & FRAGMENT or not entry["flags"] & KEYED or entry["flags"] & QUOTED:
        return "network"
    if entry["proto"] == 1 and four:
        if ICMP not in network:
            return "network"
        assert (entry["icmp_type"], entry["icmp_code"]) == (network[ICMP].type, network[ICMP].code), where
        return "icmp"
    if kind is None or kind not in network:
        return "network"
    transport = network[kind]
    assert (entry["src"], entry["dst"], entry["sport"], entry["dport"]) == (source, destination, transport.sport, transport.dport), where
    if kind is TCP:
        assert entry["tcp_flags"] == int(transport.flags) & 0xFF, where
    if kind is not SCTP and not entry["flags"] & CUT and not entry["carries"]:
        if kind is UDP:
            assert entry["payload_len"] == transport.len - 8, where
        elif four:
            assert entry["payload_len"] == network.len - network.ihl * 4 - transport.dataofs * 4, where
        if entry["payload"]:
            assert transport.payload.original.startswith(entry["payload"][:4]), where
    return f"transport {'in a tunnel' if entry['depth'] else 'outside'}"


def test_decode_agrees_with_scapy(corpus):
    seen = Counter()
    for path, linktype, packets in packets_of(corpus / "pcaps"):
        for packet, entries in zip(packets, dissect(packets, linktype, checksums=False), strict=True):
            for entry in entries:
                seen[compare(entry, f"{path}: {packet.hex()} entry {entry['depth']}")] += 1
    assert seen["transport outside"] > 2000 and seen["transport in a tunnel"] > 50 and seen["icmp"] > 20 and seen["arp"] > 10, seen
    assert seen["not for scapy"] < 20, seen
