"""Key logs: whatever the bytes, the lines that hold are those that a plain expression finds, and bad ones are told by their number."""
from __future__ import annotations

import re
import sys

from fuzz import harness

from fastpath.dataplane.applayer.keyring import KeyRing

RANDOM, MASTER, SECRET = b"0123456789abcDEF" * 4, b"ab" * 48, b"cd" * 32
GOOD = re.compile(rb"(CLIENT_RANDOM|(?:CLIENT|SERVER)_(?:HANDSHAKE_TRAFFIC_SECRET|TRAFFIC_SECRET_0)) ([0-9a-fA-F]{64}) "
                  rb"([0-9a-fA-F]{64}|[0-9a-fA-F]{96})[ \t\r]*")
OTHER = re.compile(rb"[ \t\r]*|#.*|[A-Z0-9_]+ .*", re.DOTALL)
OURS = (b"CLIENT_RANDOM ", b"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", b"SERVER_HANDSHAKE_TRAFFIC_SECRET ", b"CLIENT_TRAFFIC_SECRET_0 ",
        b"SERVER_TRAFFIC_SECRET_0 ")


def seeds() -> list[bytes]:
    tls12 = b"CLIENT_RANDOM " + RANDOM + b" " + MASTER
    tls13 = b"\n".join(label + RANDOM + b" " + SECRET for label in OURS[1:])
    return [tls12, tls13 + b"\r\n", b"# a comment\n\n" + tls12 + b"\n" + tls13, b"EXPORTER_SECRET " + RANDOM + b" " + SECRET, b"RSA 00 11\nnoise"]


def verdict(line: bytes) -> bytes | bool | None:
    """What names the secret of a line, True for a line of no concern, None for a bad one."""
    found = GOOD.fullmatch(line)
    if found and (found[1] != b"CLIENT_RANDOM" or len(found[3]) == 96):
        return found[1] + b" " + found[2].lower()
    line = line.rstrip(b" \t\r")
    return True if OTHER.fullmatch(line) and not line.startswith(OURS) else None


def target(data: bytes) -> None:
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    said = [verdict(line) for line in lines]
    ring = KeyRing()
    bad = ring.take(data)
    assert [number for number, _, _ in bad] == [number for number, one in enumerate(said, 1) if one is None]
    assert len(ring) == len({one for one in said if isinstance(one, bytes)})
    assert all(1 <= column <= len(lines[number - 1]) + 1 for number, column, _ in bad)


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
