"""The first bytes of a direction, in up to six pieces: whatever they are, what is beyond recognition is a name or nothing, and changes
nothing of what recognition says."""
from __future__ import annotations

import sys

from fuzz import harness

from fastpath.dataplane.applayer.room_trial import RoomTrial

PORTS = (5683, 502, 102, 2123, 8805, 44818, 47808, 1883)


def seeds() -> list[bytes]:
    """A byte of choices (over UDP, direction, port), then bytes."""
    said = ["101000044d51545404020003c0004616231320a", "41011234 07b46c616d70", "000100000006010300010004", "0300001902f08032010000000000080000f0000001000101e0",
            "0300001611e00000000100c0010ac1020100c2020102", "0000800080000000" + "00" * 120, "80000028" + "00000007" + "00000000" + "00000002" + "000186a3" + "00000003" + "00" * 20,
            "6c9d4bfcf2b94a5603000000", "056405c401000200", "81 0a 0011 0104 0005 010c 0c00 8000 0119 55", "0600ff0700000000000000000920", "4001000900000100 0300010005",
            "2001000c0000010000600004e0000000", "48454c46390000000000000000000100000001000000000000000000190000006f70632e7463703a2f2f61"]
    return [bytes([choice]) + bytes.fromhex(text.replace(" ", "") + "0" * (len(text.replace(" ", "")) % 2)) for text in said for choice in (0, 1, 2, 17, 33)]


def target(data: bytes) -> None:
    if not data:
        return
    choice, data = data[0], data[1:]
    rooms = [RoomTrial(ports=(40000, PORTS[choice >> 4 & 7] if choice & 4 else 9999), udp=bool(choice & 1), beyond=beyond) for beyond in (True, False)]
    size = max(1, len(data) // 6 + 1)
    for room in rooms:
        for at in range(0, len(data), size):
            room.feed(choice >> 1 & 1, data[at:at + size])
    assert rooms[0].proto == rooms[1].proto
    assert rooms[1].application == rooms[1].proto
    if rooms[0].proto not in ("unknown", "failed"):
        assert rooms[0].application == rooms[0].proto


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
