"""TCP segments of one session between 10.0.0.1 (the client) and 10.0.0.2, for tests of stream; checksums are not reckoned."""
from __future__ import annotations

import random
import struct

from captures import ethernet, ipv4

FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
SERVER = "10.0.0.2"


def segment(direction: int, flags: str, seq: int, ack: int = 0, data: bytes = b"", *, window: int = 8192, options: bytes = b"",
            port: int = 40000, server_port: int = 4444) -> bytes:
    """direction: 0 to server. options: padded to words."""
    options += bytes(-len(options) % 4)
    ports = (port, server_port) if direction == 0 else (server_port, port)
    header = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (20 + len(options)) // 4 << 4,
                         sum(FLAGS[one] for one in flags), window, 0, 0)
    ends = ("10.0.0.1", SERVER) if direction == 0 else (SERVER, "10.0.0.1")
    return ethernet(ipv4(6, header + options + data, *ends))


def handshake(client: int = 1000, server: int = 5000, *, window: int = 8192, port: int = 40000) -> list[bytes]:
    """The next sequence numbers are client + 1 and server + 1."""
    return [segment(0, "S", client, window=window, port=port), segment(1, "SA", server, client + 1, window=window, port=port),
            segment(0, "A", client + 1, server + 1, window=window, port=port)]


def timestamp(value: int, echo: int) -> bytes:
    return b"\x01\x01\x08\x0a" + struct.pack(">II", max(value, 0), echo)


def wild_session(rng: random.Random, port: int) -> list[bytes]:
    """A session in which anything may be wrong: sequence numbers, acknowledgments, flags, windows, timestamps, SACK."""
    seqs = [rng.choice([1000, 0xFFFFFFF0, 123456]), rng.choice([5000, 0xFFFFFF00])]
    stamps, stamped, sack, scaled = [100, 200], rng.random() < .3, rng.random() < .3, rng.random() < .3
    frames = []

    def send(direction: int, flags: str, seq: int, ack: int, data: bytes = b"", *, syn: bool = False) -> None:
        options = b""
        if syn:
            options = b"\x04\x02" * sack + (b"\x03\x03" + bytes([rng.choice([2, 7])])) * scaled
            options += b"\x01" * (-len(options) % 4)
        elif sack and rng.random() < .1:
            left = seqs[1 - direction] + 5
            options = b"\x01\x01\x05\x0a" + struct.pack(">II", left & 0xFFFFFFFF, left + 20 & 0xFFFFFFFF)
        if stamped and rng.random() < .95 and len(options) < 12:
            stamps[direction] += rng.choice([0, 1, 1, 5, -1, -50] if rng.random() < .2 else [0, 1])
            options += timestamp(stamps[direction], 0 if flags == "S" else stamps[1 - direction])
        frames.append(segment(direction, flags, seq, ack, data, window=rng.choice([8192, 8192, 500, 0, 60]), options=options, port=port))

    send(0, "S", seqs[0], 0, syn=True)
    if rng.random() < .1:
        send(0, "S", seqs[0] + rng.choice([0, 0, 5]), 0, syn=True)
    send(1, "SA", seqs[1], seqs[0] + 1, syn=True)
    if rng.random() < .1:
        send(1, "SA", seqs[1] + rng.choice([0, 7]), seqs[0] + 1 + rng.choice([0, 0, 3]), syn=True)
    seqs = [seqs[0] + 1, seqs[1] + 1]
    if rng.random() < .9:
        send(0, "A", seqs[0], seqs[1])
    for _ in range(rng.randrange(2, 14)):
        direction, kind = rng.randrange(2), rng.random()
        data = bytes(rng.choice(b"abcdefgh") for _ in range(rng.choice([0, 0, 1, 3, 10, 50])))
        odd = rng.choice([-1, 1, 5, -5, 100, -20, 9000])
        flags = rng.choices(["A", "FA", "F", "R", "RA", "S", "SA", "SFA", "P"], [82, 8, 2, 2, 2, 1, 1, 1, 1])[0]
        send(direction, flags, seqs[direction] + odd * (kind < .12), seqs[1 - direction] + odd * (kind > .9), data)
        if .12 <= kind <= .9:
            seqs[direction] += len(data) + ("F" in flags)
    return frames
