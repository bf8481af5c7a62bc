"""A train of fragments: whatever they say, whole packets have their length, memory stays under its cap, and nothing is lost."""
from __future__ import annotations

import sys

from captures import ethernet, fragment, fragments, ipv4, udp
from fuzz import harness

from fastpath.dataplane.dissect import Defragmenter
from fastpath.dataplane.hosts import OS_NAMES

REASSEMBLED = 1 << 14
MEMCAP = 32 << 10


def packed(frames: list[bytes], choice: int = 0) -> bytes:
    """A byte of choices, then each frame behind its length."""
    return bytes([choice]) + b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)


def seeds() -> list[bytes]:
    whole = udp(b"payload " * 12)[34:]
    tunnel = [ethernet(ipv4(47, b"\0\0\x08\0" + one[14:])) for one in fragments(17, whole, [24, 48])]
    overlapping = [fragment(253, offset, bytes([offset]) * length, more) for offset, length, more in (
        (0, 24, True), (8, 40, True), (16, 8, True), (0, 8, True), (40, 16, True), (48, 16, False), (24, 24, True))]
    return [packed(frames, choice) for choice, frames in enumerate((
        fragments(17, whole, [24, 48]), fragments(17, whole, [24, 48], net=6), tunnel, overlapping, overlapping * 2, overlapping[::-1],
        fragments(47, b"\0\0\x08\0" + tunnel[0][14:], [16, 32]), [fragment(1, 65504, b"x" * 8, False)],
        [fragment(253, 8 * n, b"x" * 600, True, ident=n % 5) for n in range(100)]))]


def target(data: bytes) -> None:
    choice, at = data[0] if data else 0, 1
    defragmenter = Defragmenter(memcap=MEMCAP, trackers=8, max_frags=64, compat=bool(choice & 16), policies={OS_NAMES[1 + choice % 15]: ["0.0.0.0/0", "::/0"]})
    made = 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at:at + 2], "big")
        entries = defragmenter.take(data[at + 2:at + 2 + length], float(at))
        at += 2 + length
        for number, entry in enumerate(entries):
            assert len(entry["frame"]) == entry["caplen"] and entry["parent"] == max(number - 1, 0)
            if entry["flags"] & REASSEMBLED:
                made += 1
                assert entry["caplen"] == entry["wirelen"] and entry["l3"] != 0xFFFF or entry["events"] or choice & 16
        stats = defragmenter.stats
        assert stats["memory"] <= MEMCAP and stats["datagrams"] <= 8 and stats["fragments"] <= 64
        assert stats["whole"][0] + stats["whole"][1] == made
    defragmenter.clear()
    assert defragmenter.stats["memory"] == 0


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
