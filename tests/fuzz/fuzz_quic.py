"""Datagrams of a QUIC connection, sealed frames and raw bytes: whatever they are, nothing is kept, and every packet can be written."""
from __future__ import annotations

import sys

from fuzz import harness
from fuzz.fuzz_tls import turns, written
from quic import crypto, hello, initial

from fastpath.dataplane.applayer.room_trial import RoomTrial

BUFFERS = ("quic.version", "quic.sni", "quic.ua", "quic.cyu.hash", "quic.cyu.string", "ja3.string", "ja4.hash", "ja3s.hash")


def seeds() -> list[bytes]:
    whole = hello()
    return [written([(0, crypto(0, whole))]), written([(0, crypto(40, whole[40:])), (0, crypto(0, whole[:40])), (1, b"\2\1\1\0\0\1")]),
            written([(0, b"\xffQ044\x50" + bytes(24) + b"\xa0\1\0\0CHLO\1\0\0\0SNI\0\3\0\0\0a.b")])]


def target(data: bytes) -> None:
    if not data:
        return
    trial = RoomTrial("quic", udp=True, memory=1 << 20)
    for number, (direction, frames) in enumerate(turns(data)):
        sealed = data[0] >> (number & 7) & 1
        trial.feed(direction, initial(frames, number=number, client=direction == 0, least=20) if sealed else frames)
    for transaction in trial.transactions():
        for direction in (0, 1):
            trial.log(transaction["id"], direction)
            for name in BUFFERS:
                trial.buffer(transaction["id"], direction, name)
    assert trial.close() == {"flow": 0, "applayer": 0}


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
