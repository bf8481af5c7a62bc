"""What a reject sends: a TCP reset, or an ICMP error for everything else, as frames ready for the wire.

Resets follow RFC 9293, section 3.5.2: a segment with ACK is answered with its acknowledgement number as sequence number,
one without is acknowledged up to its end. ICMP errors (type 3 code 13, RFC 1812 section 5.2.7.1; ICMPv6 type 1 code 1,
RFC 4443 section 3.1) quote the packet. Nothing answers a reset, an ICMP error, a later fragment, or a group address.
"""
from __future__ import annotations

import struct
from typing import NamedTuple

from fastpath.control.packets import ETHERNET, RAW

VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
FIN, SYN, RST, ACK = 1, 2, 4, 16
TTL = 64


class Reply(NamedTuple):
    """A frame to send. packet: index of the rejected packet; to: "src" or "dst" of that packet; frame: its link type is
    that of the packet."""
    packet: int
    to: str
    frame: bytes


def replies_to(packet: bytes, index: int, linktype: int, to_src: bool, to_dst: bool) -> list[Reply]:
    """The replies to one rejected packet; empty where none is due or the packet is not IP over Ethernet or bare IP."""
    link, at = _link(packet, linktype)
    made: list[Reply] = []
    if link is None:
        return made
    for to, wanted in (("src", to_src), ("dst", to_dst)):
        inner = _reply(packet[at:], to == "src") if wanted else None
        if inner is not None:
            made.append(Reply(index, to, _front(link, to == "src") + inner))
    return made


def _link(packet: bytes, linktype: int) -> tuple[bytes | None, int]:
    """(link header, its length); None where there is no IP behind it."""
    if linktype == RAW:
        return b"", 0
    if linktype != ETHERNET:
        return None, 0
    at = 12
    while packet[at:at + 2] and int.from_bytes(packet[at:at + 2], "big") in VLAN_TYPES:
        at += 4
    if int.from_bytes(packet[at:at + 2], "big") not in (0x0800, 0x86DD):
        return None, 0
    return packet[:at + 2], at + 2


def _front(link: bytes, back: bool) -> bytes:
    """The link header of a reply: addresses change places on the way back."""
    return link[6:12] + link[:6] + link[12:] if back and link else link


def _reply(packet: bytes, back: bool) -> bytes | None:
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        header, end = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
        if int.from_bytes(packet[6:8], "big") & 0x1FFF or packet[16] >= 224 or header < 20:
            return None
        proto, src, dst = packet[9], packet[12:16], packet[16:20]
    elif version == 6 and len(packet) >= 40:
        header, end = 40, 40 + int.from_bytes(packet[4:6], "big")
        if packet[24] == 0xFF:
            return None
        proto, src, dst = packet[6], packet[8:24], packet[24:40]
    else:
        return None
    if back:
        src, dst = dst, src
    segment = packet[header:end]
    if proto == 6:
        body = _reset(segment, src, dst, back)
        return None if body is None else _ip(src, dst, 6, body)
    if proto in (1, 58):
        errors = (3, 4, 5, 11, 12) if proto == 1 else range(128)
        if not segment or segment[0] in errors:
            return None
    return _ip(src, dst, 1, _unreachable(packet, b"")) if version == 4 else _ip(src, dst, 58, _unreachable(packet, src + dst))


def _reset(segment: bytes, src: bytes, dst: bytes, back: bool) -> bytes | None:
    if len(segment) < 20:
        return None
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", segment)
    if flags & RST:
        return None
    length = max(0, len(segment) - (offset >> 4) * 4) + bool(flags & SYN) + bool(flags & FIN)
    if not back:
        made = (sport, dport, seq, ack if flags & ACK else 0, RST | flags & ACK)
    elif flags & ACK:
        made = (dport, sport, ack, 0, RST)
    else:
        made = (dport, sport, 0, (seq + length) & 0xFFFFFFFF, RST | ACK)
    header = struct.pack("!HHIIBBHHH", *made[:4], 5 << 4, made[4], 0, 0, 0)
    return _summed(header, 16, _pseudo(src, dst, 6, len(header)))


def _unreachable(packet: bytes, addresses: bytes) -> bytes:
    """ICMP (no addresses) or ICMPv6: communication administratively prohibited, with what fits of the packet."""
    if not addresses:
        return _summed(struct.pack("!BBHI", 3, 13, 0, 0) + packet[:548], 2, b"")
    body = struct.pack("!BBHI", 1, 1, 0, 0) + packet[:1232]
    return _summed(body, 2, _pseudo(addresses[:16], addresses[16:], 58, len(body)))


def _pseudo(src: bytes, dst: bytes, proto: int, length: int) -> bytes:
    return src + dst + (struct.pack("!BBH", 0, proto, length) if len(src) == 4 else struct.pack("!IHBB", length, 0, 0, proto))


def _ip(src: bytes, dst: bytes, proto: int, body: bytes) -> bytes:
    if len(src) == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, TTL, proto, 0, src, dst)
        return _summed(header, 10, b"") + body
    return struct.pack("!IHBB16s16s", 6 << 28, len(body), proto, TTL, src, dst) + body


def _summed(data: bytes, at: int, pseudo: bytes) -> bytes:
    """data with its Internet checksum (RFC 1071) over pseudo and data, written at that offset."""
    whole = pseudo + data + b"\0" * ((len(pseudo) + len(data)) & 1)
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + struct.pack("!H", ~total & 0xFFFF) + data[at + 2:]
