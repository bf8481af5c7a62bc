"""A link type and a packet: whatever the bytes, entries and events, every offset inside the packet."""
from __future__ import annotations

import sys

from captures import ethernet, ipv4, tcp, udp
from fuzz import harness

from fastpath.dataplane.decode import EVENT_NAMES
from fastpath.dataplane.dissect import dissect

LINKTYPES = (1, 0, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 127, 228, 229, 276)
NO_INDEX = 0xFFFF
CUT, INVALID, KEYED = 1 << 5, 1 << 6, 1 << 0
EVENTS = frozenset(EVENT_NAMES)


def v6(following: int, payload: bytes) -> bytes:
    return b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([following, 64]) + bytes(range(32)) + payload


def seeds() -> list[bytes]:
    """Two bytes of choices, then the packet: the link type, and by bits cut, compat, without checksums."""
    datagram, segment = udp(b"payload"), tcp(b"GET / HTTP/1.1")
    inner = ipv4(17, b"\0\1\0\2\0\x0a\0\0ab")
    frames = [
        datagram, segment, ethernet(v6(17, b"\0\1\0\2\0\x0a\0\0ab"), 0x86DD),
        ethernet(v6(0, b"\x3c\0\5\2\0\0\0\0" b"\x2b\0\x26\4abcd" b"\x2c\0\2\0\0\0\0\0" b"\x33\0\0\0\0\0\0\7" b"\6\1" + bytes(10) + bytes(20)), 0x86DD),
        ethernet(b"\0\7\x88\xa8\0\x08\x81\0\0\x09\x08\0" + inner, 0x8100), ethernet(b"\1\x38\x80\x40\1\x38\x81\x40" + inner, 0x8847),
        ethernet(b"\1\x38\x81\x40" + bytes(4) + datagram, 0x8847), ethernet(b"\x11\0\0\1\0\x20\0\x21" + inner, 0x8864),
        ethernet(b"\x11\x09\0\0\0\x0c\1\1\0\0\1\3\0\4abcd", 0x8863), ethernet(bytes(16) + b"\x08\0" + inner, 0x88E7),
        ethernet(bytes([0, 6, 1, 1]) + bytes(20) + inner, 0x894F), ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + inner, len(inner) + 8),
        ethernet(ipv4(47, b"\xf0\0\x08\0" + bytes(12) + b"\0\1\0\4abcd" + bytes(4) + inner)),
        ethernet(ipv4(47, b"\x30\x81\x88\x0b\0\x20\0\7" + bytes(8) + b"\xff\3\0\x21" + inner)),
        ethernet(ipv4(47, b"\x10\0\x88\xbe" + bytes(4) + b"\x10\5\x08\5\0\0\0\0" + datagram)),
        ethernet(ipv4(47, b"\x10\0\x22\xeb" + bytes(4) + b"\x20\0\x08\5" + bytes(7) + b"\1" + bytes(8) + datagram)),
        ethernet(ipv4(4, ipv4(41, v6(4, ipv4(4, inner))))), ethernet(ipv4(51, b"\x11\4" + bytes(22) + bytes(8))),
        udp(b"\x08\0\0\0\0\x12\x34\0" + datagram, dport=4789), udp(b"\2\0\x65\x58\0\x12\x34\0\1\2\x80\1abcd" + datagram, dport=6081),
        udp(b"\x34\xff\0\x35\0\0\x12\x34\0\0\0\x85\1\0\x09\0" + inner, dport=2152), udp(bytes(8) + v6(17, b"\0\1\0\2\0\x08\0\0"), dport=3544),
        udp(bytes([4, 0x40]) + bytes(10), dport=4791), ethernet(ipv4(1, b"\3\1" + bytes(6) + inner)), ethernet(v6(58, b"\1\0" + bytes(6) + v6(6, bytes(20))), 0x86DD),
        ethernet(ipv4(2, b"\x22\0\0\0\0\0\0\1" + bytes(12))), ethernet(ipv4(132, bytes(16))), ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), 0x806),
    ]
    ether = [bytes([0, choice]) + frame for frame in frames for choice in (0, 3)]
    return ether + [bytes([number, 0]) + bytes(20) + inner for number in range(1, len(LINKTYPES))]


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    packet = data[2:]
    entries, = dissect([packet], LINKTYPES[data[0] % len(LINKTYPES)], compat=bool(data[1] & 2), checksums=not data[1] & 4,
                       wirelens=[len(packet) + 100 * (data[1] & 1)])
    assert 1 <= len(entries) <= 8
    for number, entry in enumerate(entries):
        assert entry["frame"] in packet and len(entry["frame"]) == entry["caplen"]
        assert entry["depth"] == number and entry["parent"] == max(number - 1, 0)
        for offset in ("l3", "l4", "inner"):
            assert entry[offset] == NO_INDEX or entry[offset] <= entry["caplen"]
        assert entry["payload_len"] == 0 or entry["payload_at"] + entry["payload_len"] <= entry["caplen"]
        assert EVENTS.issuperset(entry["events"]) and len(set(entry["events"])) == len(entry["events"])
        assert not (entry["flags"] & INVALID and entry["flags"] & KEYED)
        assert entry["events"] or not entry["flags"] & INVALID or data[1] & 2


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
