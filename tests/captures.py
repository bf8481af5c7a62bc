"""Packets and captures made on the spot, with right checksums unless said otherwise."""
from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

ETHERNET = 1


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(proto: int, payload: bytes, src: str = "10.0.0.1", dst: str = "10.0.0.2", *, ttl: int = 64, ident: int = 0,
         fragment: int = 0x4000) -> bytes:
    """An IPv4 packet without options, its checksum right. `fragment`: flags and offset, as on the wire."""
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, ttl, proto, 0,
                         socket.inet_aton(src), socket.inet_aton(dst))
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def ethernet(packet: bytes, ethertype: int = 0x0800) -> bytes:
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + struct.pack(">H", ethertype) + packet


def udp(payload: bytes, src: str = "10.0.0.1", sport: int = 40000, dst: str = "10.0.0.2", dport: int = 53) -> bytes:
    """An Ethernet frame; checksums right."""
    length = 8 + len(payload)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">BBH", 0, 17, length)
    total = checksum(pseudo + struct.pack(">HHHH", sport, dport, length, 0) + payload) or 0xFFFF
    return ethernet(ipv4(17, struct.pack(">HHHH", sport, dport, length, total) + payload, src, dst))


def tcp(payload: bytes = b"", src: str = "10.0.0.1", sport: int = 40000, dst: str = "10.0.0.2", dport: int = 80, *,
        flags: int = 0x10, seq: int = 0, ack: int = 0) -> bytes:
    """An Ethernet frame; checksums right. `flags`: FIN 1, SYN 2, RST 4, PSH 8, ACK 16."""
    header = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, 0xFFFF, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">BBH", 0, 6, len(header) + len(payload))
    total = checksum(pseudo + header + payload)
    return ethernet(ipv4(6, header[:16] + struct.pack(">HH", total, 0) + payload, src, dst))


def ipv6(following: int, payload: bytes, src: str = "2001:db8::1", dst: str = "2001:db8::2") -> bytes:
    """An IPv6 packet; `following` is the next header."""
    return (b"\x60\0\0\0" + struct.pack(">HBB", len(payload), following, 64) + socket.inet_pton(socket.AF_INET6, src)
            + socket.inet_pton(socket.AF_INET6, dst) + payload)


def fragment(proto: int, offset: int, data: bytes, more: bool, *, ident: int = 7, net: int = 4, src: str | None = None,
             dst: str | None = None) -> bytes:
    """An Ethernet frame with one fragment of IPv4 or IPv6 (`net`). `offset`: in bytes, a multiple of 8."""
    ends = {name: end for name, end in (("src", src), ("dst", dst)) if end is not None}
    if net == 4:
        return ethernet(ipv4(proto, data, ident=ident, fragment=more * 0x2000 | offset >> 3, **ends))
    return ethernet(ipv6(44, struct.pack(">BBHI", proto, 0, offset | more, ident) + data, **ends), 0x86DD)


def fragments(proto: int, payload: bytes, cuts: Sequence[int], **options) -> list[bytes]:
    """Ethernet frames: the payload of an IP packet, cut at these offsets. Options as for `fragment`."""
    edges = [0, *cuts, len(payload)]
    return [fragment(proto, low, payload[low:high], high < len(payload), **options) for low, high in zip(edges, edges[1:], strict=False)]


def conversation(requests: Sequence[tuple[bytes, bytes]], *, src: str = "10.0.0.1", sport: int = 40000, dst: str = "10.0.0.2",
                 dport: int = 80) -> list[bytes]:
    """A whole TCP connection: handshake, each (request, reply) acknowledged, FIN both ways."""
    client, server = 1000, 9000
    frames = [tcp(b"", src, sport, dst, dport, flags=0x02, seq=client), tcp(b"", dst, dport, src, sport, flags=0x12, seq=server, ack=client + 1)]
    client, server = client + 1, server + 1
    frames.append(tcp(b"", src, sport, dst, dport, flags=0x10, seq=client, ack=server))
    for request, reply in requests:
        if request:
            frames.append(tcp(request, src, sport, dst, dport, flags=0x18, seq=client, ack=server))
            client += len(request)
            frames.append(tcp(b"", dst, dport, src, sport, flags=0x10, seq=server, ack=client))
        if reply:
            frames.append(tcp(reply, dst, dport, src, sport, flags=0x18, seq=server, ack=client))
            server += len(reply)
            frames.append(tcp(b"", src, sport, dst, dport, flags=0x10, seq=client, ack=server))
    frames.append(tcp(b"", src, sport, dst, dport, flags=0x11, seq=client, ack=server))
    frames.append(tcp(b"", dst, dport, src, sport, flags=0x11, seq=server, ack=client + 1))
    frames.append(tcp(b"", src, sport, dst, dport, flags=0x10, seq=client + 1, ack=server + 1))
    return frames


def write_pcap(path: Path, packets: Iterable[bytes | tuple[float, bytes] | tuple[float, bytes, int]], *,
               linktype: int = ETHERNET, start: float = 1_700_000_000.0, step: float = 0.001) -> Path:
    """Writes a little-endian microsecond pcap. A packet is its bytes, or (seconds, bytes), or (seconds, bytes, wire length)."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, linktype))
        for number, packet in enumerate(packets):
            if isinstance(packet, (bytes, bytearray)):
                packet = (start + number * step, packet)
            stamp, data, wire = packet if len(packet) == 3 else (*packet, len(packet[1]))
            micros = round(stamp * 1e6)
            file.write(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(data), wire) + data)
    return path


def syn_flood(path: Path, flows: int, *, handshake: bool = False, last: bytes | None = None) -> Path:
    """A capture of `flows` TCP flows, each of one SYN, or of a whole handshake; 1 ms of packet time in all."""
    rng = np.random.RandomState(1)
    kinds = [(False, 0x02, 0, 0), (True, 0x12, 0, 1), (False, 0x10, 1, 1)] if handshake else [(False, 0x02, 0, 0)]
    number = np.arange(flows)
    client, server = 0x0A000000 + (number >> 8), np.full(flows, 0xC0A80001)
    sport, seq = 1024 + (number & 0xFF), rng.randint(0, 1 << 30, flows)
    frames = np.zeros((len(kinds), flows, 16 + 54), np.uint8)
    for at, (back, flags, ack_seq, ack) in enumerate(kinds):
        frame = frames[at, :, 16:]
        frames[at, :, :16] = np.array([1_700_000_000, 0, 54, 54], "<u4").view(np.uint8)
        frame[:, 12] = 8
        ip, header = np.zeros((flows, 10), ">u2"), np.zeros((flows, 10), ">u2")
        src, dst = (server, client) if back else (client, server)
        ip[:, 0], ip[:, 1], ip[:, 3], ip[:, 4] = 0x4500, 40, 0x4000, 0x4006
        for column, value in ((6, src), (8, dst)):
            ip[:, column], ip[:, column + 1] = value >> 16, value & 0xFFFF
        ip[:, 5] = ones_complement(ip)
        mine, theirs = (7, seq) if back else (seq, 7)
        header[:, 0], header[:, 1] = (80, sport) if back else (sport, 80)
        for column, value in ((2, mine + ack_seq), (4, (theirs + 1) * ack)):
            header[:, column], header[:, column + 1] = np.asarray(value) >> 16, np.asarray(value) & 0xFFFF
        header[:, 6], header[:, 7] = 0x5000 | flags, 0xFFFF
        pseudo = np.concatenate([ip[:, 6:], np.broadcast_to(np.array([6, 20]), (flows, 2)), header], 1)
        header[:, 8] = ones_complement(pseudo)
        frame[:, 14:34], frame[:, 34:] = ip.view(np.uint8), header.view(np.uint8)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        np.swapaxes(frames, 0, 1).tofile(file)
        if last is not None:
            file.write(struct.pack("<IIII", 1_700_000_000, 1, len(last), len(last)) + last)
    return path


def ones_complement(words: np.ndarray) -> np.ndarray:
    """The Internet checksum (RFC 1071) of each row of 16-bit words."""
    total = words.astype(np.uint64).sum(1)
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def captures_in(folder: Path) -> list[Path]:
    """Every capture in a folder, whatever its name, plain or compressed."""
    from fastpath.control.captures import expand

    return [Path(name) for name in expand([folder])]


def read_packets(path: Path, most: int | None = None) -> dict[int, list[bytes]]:
    """Packets of a capture by link type, up to its damage; at most `most`. (tests/dataplane/test_rx.py holds the reader against others.)"""
    from fastpath.control.captures import Capture

    packets: dict[int, list[bytes]] = {}
    left = most
    with Capture(str(path)) as capture:
        while True:
            for _, packet, _, linktype in (found := capture.source.read(left)):
                packets.setdefault(linktype, []).append(packet)
            if left is not None:
                left -= len(found)
            if left == 0 or not capture.more():
                return packets
