"""Two directions of a TLS session: whatever the bytes and however they are cut, the same is seen, and all memory comes back."""
from __future__ import annotations

import sys

from fuzz import harness
from made_tls import HEARTBEAT, certificate, newer_session, older_hello, record, session

from fastpath.dataplane.applayer.room_trial import RoomTrial

BUFFERS = ("tls.sni", "tls.cert_subject", "tls.cert_issuer", "tls.cert_serial", "tls.cert_fingerprint", "tls.certs", "ja3.hash", "ja3.string",
           "ja4.hash", "tls.version", "ssl.version", "tls.cert_notbefore", "tls.cert_notafter", "tls.cert_chain_len")
PROTO, DATA_OF_A_TURN = "tls", 2048


def written(moves) -> bytes:
    """A byte of choices, then turns: two bytes of direction and length, and that many bytes."""
    out = bytearray([3])
    for direction, data in moves:
        for i in range(0, len(data), DATA_OF_A_TURN):
            piece = data[i:i + DATA_OF_A_TURN]
            out += (direction << 15 | len(piece)).to_bytes(2, "big") + piece
    return bytes(out)


def turns(data: bytes):
    at = 1
    while at + 2 <= len(data):
        head = int.from_bytes(data[at:at + 2], "big")
        yield head >> 15, data[at + 2:at + 2 + (head & 0x7FFF)]
        at += 2 + (head & 0x7FFF)


def seeds() -> list[bytes]:
    moves = [session(), newer_session(), session(b"junk", certificate()), [(0, older_hello()), (1, older_hello(4))],
             [*session()[:2], (0, record(HEARTBEAT, b"\1\0\5" + bytes(21)))]]
    return [written(one) for one in moves]


def seen(proto: str, moves, step: int, buffers) -> tuple:
    trial = RoomTrial(proto)
    held = [b"", b""]
    for direction, data in moves:
        for i in range(0, len(data), step):
            held[direction] += data[i:i + step]
            consumed = trial.feed(direction, held[direction])
            assert consumed <= len(held[direction])
            held[direction] = held[direction][consumed:]
    result = (trial.stopped,)
    for transaction in trial.transactions():
        found = tuple(trial.buffer(0, direction, name) for direction in (0, 1) for name in buffers)
        result += (transaction["progress"], transaction["events"], trial.log(0, 1), trial.log(0, 2), found)
    for direction in (0, 1):
        trial.feed(direction, held[direction], eof=True)
    assert trial.close() == {"flow": 0, "applayer": 0}
    return result


def target(data: bytes) -> None:
    if not data:
        return
    moves = list(turns(data))
    whole = seen(PROTO, moves, 1 << 16, BUFFERS)
    # what depends on how much is there at once is left out: how many records a call may hold, and what an old version ignores
    if any("too_many" in event or "record_type" in event for part in whole[2:3] for event in part):
        return
    assert seen(PROTO, moves, 1 + data[0] % 64, BUFFERS)[3:] == whole[3:]


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
