"""Random traffic for the property tests: conversations, tunnels, fragments and damage, interleaved."""
from __future__ import annotations

import struct

from captures import checksum, conversation, ethernet, ipv4, tcp, udp
from hypothesis import strategies as st

WORDS = [b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"login: root\r\n", b"pass: hunter2\r\n", b"NICK x\r\n", b"0123456789", b"bypass",
         b"\0\1\1\0\0\1\0\0\0\0\0\0\7example\0\0\1\0\1", b"A" * 700, b""]
payloads = st.lists(st.sampled_from(WORDS) | st.binary(max_size=40), max_size=3).map(b"".join)
hosts = st.integers(1, 6).map(lambda last: f"10.0.0.{last}")
ports = st.sampled_from([23, 53, 80, 443, 5353, 6667, 40000, 40001])
LINKTYPES = [0, 1, 12, 101, 108, 113, 228, 229, 276, 9, 51, 105, 147]


@st.composite
def tcp_conversations(draw):
    src, dst = draw(hosts), draw(hosts)
    requests = draw(st.lists(st.tuples(payloads, payloads), max_size=3))
    frames = conversation(requests, src=src, sport=draw(st.integers(40000, 40003)), dst=dst, dport=draw(ports))
    return frames[:draw(st.integers(1, len(frames)))]


@st.composite
def datagrams(draw):
    return [udp(draw(payloads), draw(hosts), draw(ports), draw(hosts), draw(ports)) for _ in range(draw(st.integers(1, 3)))]


@st.composite
def tunnelled(draw):
    """An inner frame in GRE, IP in IP, VXLAN, GENEVE or GTP-U."""
    inner = draw(tcp_conversations() | datagrams())
    src, dst, kind = draw(hosts), draw(hosts), draw(st.sampled_from(["gre", "ipip", "vxlan", "geneve", "gtpu"]))
    out = []
    for frame in inner:
        packet = frame[14:]
        if kind == "gre":
            out.append(ethernet(ipv4(47, struct.pack(">HH", 0, 0x0800) + packet, src, dst)))
        elif kind == "ipip":
            out.append(ethernet(ipv4(4, packet, src, dst)))
        elif kind == "vxlan":
            out.append(udp(struct.pack(">II", 0x08000000, 77 << 8) + frame, src, 50000, dst, 4789))
        elif kind == "geneve":
            out.append(udp(struct.pack(">BBHI", 0, 0, 0x6558, 77 << 8) + frame, src, 50000, dst, 6081))
        else:
            out.append(udp(struct.pack(">BBHI", 0x30, 255, len(packet), 77) + packet, src, 2152, dst, 2152))
    return out


@st.composite
def fragmented(draw):
    """A UDP datagram in two IPv4 fragments, either order, sometimes one missing."""
    src, dst = draw(hosts), draw(hosts)
    packet = udp(draw(payloads) + b"x" * 64, src, draw(ports), dst, draw(ports))[34:]
    cut = 8 * draw(st.integers(1, len(packet) // 8 - 1))
    ident = draw(st.integers(0, 3))
    frames = [ethernet(ipv4(17, packet[:cut], src, dst, ident=ident, fragment=0x2000)),
              ethernet(ipv4(17, packet[cut:], src, dst, ident=ident, fragment=cut // 8))]
    return draw(st.permutations(frames))[:draw(st.integers(1, 2))]


@st.composite
def echoes(draw):
    body = struct.pack(">HH", draw(st.integers(0, 3)), 1) + draw(payloads)
    kind = draw(st.sampled_from([0, 8]))
    total = checksum(struct.pack(">BBH", kind, 0, 0) + body)
    return [ethernet(ipv4(1, struct.pack(">BBH", kind, 0, total) + body, draw(hosts), draw(hosts), ttl=draw(st.sampled_from([1, 64]))))]


@st.composite
def damaged(draw):
    """A good frame with bytes overwritten, or cut, or no frame at all."""
    frame = bytearray(draw(st.sampled_from([tcp(b"GET / "), udp(b"x" * 30), ethernet(ipv4(1, b"\x08\0\xf7\xff\0\0\0\0"))])))
    for _ in range(draw(st.integers(0, 4))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    return [bytes(frame[:draw(st.integers(0, len(frame)))])]


@st.composite
def traffic(draw, most=12):
    """Packets as write_pcap takes them: several sources interleaved, stamps mostly rising, some packets cut by the capture."""
    sources = draw(st.lists(tcp_conversations() | datagrams() | tunnelled() | fragmented() | echoes() | damaged(), min_size=1, max_size=most))
    rng = draw(st.randoms(use_true_random=False))
    queues, packets, clock = [list(source) for source in sources], [], 1_700_000_000.0
    while queues:
        queue = rng.choice(queues)
        frame = queue.pop(0)
        if not queue:
            queues.remove(queue)
        clock += rng.choice([0.0, 0.0001, 0.01, 0.9, 40.0, -0.5])
        wire = len(frame)
        if rng.random() < 0.05:
            frame = frame[:rng.randrange(wire + 1)]
        packets.append((clock, frame, wire))
    return packets
