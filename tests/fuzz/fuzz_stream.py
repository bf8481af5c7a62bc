"""Choices and segments: whatever they are, each byte is handed on at most once, memory stays below its caps and comes back."""
from __future__ import annotations

import random
import sys

from fuzz import harness
from segments import segment, wild_session

from fastpath.dataplane.stream_trial import StreamTrial

CAP = 1 << 16
HEADER = 15     # bytes of a record: flags, choices, seq, ack, window, length


def record(frame: bytes) -> bytes:
    """A frame of tests/segments.py as the target reads it."""
    tcp = frame[34:]
    payload = tcp[(tcp[12] >> 4) * 4:][:255]
    to_client = frame[26:30] != b"\x0a\0\0\1"
    return bytes([tcp[13], to_client]) + tcp[4:12] + tcp[14:16] + bytes([0, 0, len(payload)]) + payload


def seeds() -> list[bytes]:
    rng = random.Random(3)
    return [bytes([choice]) + b"".join(map(record, wild_session(rng, 2000))) for choice in range(16) for _ in range(3)]


def target(data: bytes) -> None:
    if not data:
        return
    made = StreamTrial(checksums=False, inline=bool(data[0] & 1), midstream=bool(data[0] & 2), async_oneside=bool(data[0] & 4),
                       take=5 if data[0] & 8 else None, depth=3000 if data[0] & 16 else 0, chunk=50, stream_memory=CAP, reassembly_memory=CAP)
    at, sent = 1, 0
    while at + HEADER <= len(data):
        flags, choice = data[at], data[at + 1]
        seq, ack = int.from_bytes(data[at + 2:at + 6], "big"), int.from_bytes(data[at + 6:at + 10], "big")
        payload = data[at + HEADER:at + HEADER + data[at + 14]]
        frame = bytearray(segment(choice & 1, "", seq, ack, payload, window=int.from_bytes(data[at + 10:at + 12], "big"),
                                  options=data[at:at + 12] if choice & 2 else b""))
        frame[47] = flags
        made.segment(bytes(frame))
        sent += len(payload)
        at += HEADER + len(payload)
        assert all(used <= CAP for used in made.memory)
        if choice & 0x30 == 0x30 and made.flows:
            made.stop(("feeding", "reassembly", "raw")[choice >> 6 & 1], choice & 1)
    for flow in list(made.flows.values()):
        made.end(flow)
        for direction in range(2):
            assert len(flow.bytes[direction]) - flow.bytes[direction].count(b"?") <= sent
        made.forget(flow)
    assert made.memory == (0, 0)


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
