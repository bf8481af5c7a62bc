"""Two directions of an SSH session: whatever the bytes, nothing is kept; what a banner says does not hang on how it is cut."""
from __future__ import annotations

import sys

from fuzz import harness
from fuzz.fuzz_tls import seen, turns, written

BUFFERS = ("ssh.proto", "ssh.software", "ssh.hassh", "ssh.hassh.string", "ssh.hassh.server", "ssh.hassh.server.string")
LISTS = b"".join(len(one).to_bytes(4, "big") + one for one in [b"curve25519-sha256,x", b"rsa", b"aes", b"aes", b"mac", b"mac", b"none", b"none", b"", b""])


def packet(kind: int, body: bytes) -> bytes:
    return (len(body) + 6).to_bytes(4, "big") + bytes([4, kind]) + body + bytes(4)


def seeds() -> list[bytes]:
    exchange = packet(20, bytes(16) + LISTS + bytes(5))
    moves = [(1, b"SSH-2.0-server\r\n"), (0, b"SSH-2.0-client comment\n"), (0, exchange), (1, exchange), (0, packet(30, b"e" * 33)), (1, packet(21, b"")),
             (0, packet(21, b"")), (0, b"\x99" * 90)]
    return [written(moves), written([(0, b"SSH-2.0-" + b"y" * 300), (0, b"zz\r\n" + exchange)])]


def target(data: bytes) -> None:
    if not data:
        return
    moves = list(turns(data))
    whole = seen("ssh", moves, 1 << 16, BUFFERS)
    # a banner without an end is taken for as long as it is when it grows too long
    if any("banner" in event for part in whole[2:3] for event in part):
        return
    assert seen("ssh", moves, 1 + data[0] % 64, BUFFERS) == whole


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
