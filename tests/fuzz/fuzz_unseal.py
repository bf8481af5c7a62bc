"""Sealed records of TLS 1.2 and 1.3: whatever is said inside, and however the records are cut, what comes out is what went in, and all
memory and all cipher contexts come back; whatever is done to the records, nothing breaks."""
from __future__ import annotations

import sys

from fuzz import harness
from made_tls import DATA, HANDSHAKE, client_hello, message, server_hello
from sealed_tls import FINISHED, KEY_UPDATE, SUITES12, SUITES13, Sealed12, Sealed13

from fastpath.dataplane.applayer.room_trial import RoomTrial
from fastpath.dataplane.applayer.keyring import KeyRing

SUITES = [*SUITES13, *SUITES12]
KINDS = (DATA, HANDSHAKE, DATA, 21)


def seeds() -> list[bytes]:
    """A byte of the suite, one of how it is cut and one that is flipped; then turns: two bytes of direction, kind, padding and length."""
    def turn(direction: int, kind: int, data: bytes, padding: int = 0) -> bytes:
        return bytes([direction << 7 | KINDS.index(kind) << 5 | padding, len(data)]) + data
    talk = turn(0, DATA, b"GET / HTTP/1.1\r\n\r\n") + turn(1, DATA, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 9)
    update = turn(1, HANDSHAKE, message(KEY_UPDATE, b"\0")) + turn(0, HANDSHAKE, message(KEY_UPDATE, b"\1"))
    hellos = turn(0, HANDSHAKE, client_hello()[:200]) + turn(1, HANDSHAKE, server_hello())
    parts = message(KEY_UPDATE, b"\0") + message(4, bytes(40)) + message(FINISHED, bytes(12))
    split = b"".join(turn(1, HANDSHAKE, parts[at:at + 3]) for at in range(0, len(parts), 3))
    return [bytes([suite, 7, 0]) + talk + update + talk + hellos + split for suite in range(len(SUITES))] \
        + [bytes([suite, 200, 90]) + talk for suite in range(len(SUITES))]


def flights(data: bytes):
    """The session that they describe, its bytes by turns, and what is said inside by direction."""
    suite = SUITES[data[0] % len(SUITES)]
    session = Sealed13(suite) if suite in SUITES13 else Sealed12(suite)
    moves = [*session.hellos, *session.handshake]
    plain, at = [b"", b""], 3
    while at + 2 <= len(data) and len(moves) < 60:
        direction, kind, padding = data[at] >> 7, KINDS[data[at] >> 5 & 3], data[at] & 31
        inside = data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
        moves.append((direction, session.sides[direction].seal(kind, inside, padding)))
        if kind == DATA:
            plain[direction] += inside
    return session, moves, plain


def seen(session, moves, step: int) -> tuple:
    ring = KeyRing()
    assert ring.take(session.keylog.encode()) == []
    trial = RoomTrial("tls", keys=ring)
    held = [b"", b""]
    for direction, data in moves:
        for i in range(0, len(data), step):
            held[direction] += data[i:i + step]
            held[direction] = held[direction][trial.feed(direction, held[direction]):]
    result = (trial.plain, trial.decryption)
    for direction in (0, 1):
        trial.feed(direction, held[direction], eof=True)
    assert trial.close() == {"flow": 0, "applayer": 0}
    assert trial.ciphers == 0
    return result


def target(data: bytes) -> None:
    if len(data) < 3:
        return
    session, moves, plain = flights(data)
    whole = seen(session, moves, 1 << 16)
    assert whole[0] == tuple(plain), data
    assert whole[1]["failed"] == 0
    assert seen(session, moves, 1 + data[1])[0] == whole[0]
    if data[2]:         # one byte flipped somewhere: what comes out is the beginning of it
        at = data[2] % len(moves)
        direction, flight = moves[at]
        flipped = bytearray(flight)
        flipped[data[2] * 37 % len(flight)] ^= 1 << data[2] % 8
        broken = seen(session, [*moves[:at], (direction, bytes(flipped)), *moves[at + 1:]], 1 << 16)
        assert all(one.startswith(some) for one, some in zip(plain, broken[0], strict=True))


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
