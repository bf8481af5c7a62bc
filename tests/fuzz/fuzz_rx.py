"""Captures of damaged bytes: every run ends with a ledger, and a file that is no capture is a damage or an OSError."""
from __future__ import annotations

import gzip
import struct
import sys
import tempfile
from pathlib import Path

from captures import tcp, udp, write_pcap
from fuzz import harness

import fastpath as fp


def pcapng(packets: list[bytes], order: str = "<") -> bytes:
    """A section header, an interface with if_tsresol, packets as enhanced and simple packet blocks, a block of an unknown type."""
    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))
    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHI", 1, 0, 65535) + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0))
    for number, packet in enumerate(packets):
        if number % 2:
            out += block(3, struct.pack(order + "I", len(packet)) + packet)
        else:
            out += block(6, struct.pack(order + "IIIII", 0, 0, number, len(packet), len(packet)) + packet)
    return out + block(0x0BAD, b"unknown")


def seeds() -> list[bytes]:
    packets = [tcp(b"GET / HTTP/1.1"), udp(b"question"), b"", b"\0" * 20]
    with tempfile.TemporaryDirectory() as folder:
        plain = write_pcap(Path(folder) / "a.pcap", packets).read_bytes()
    big = struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 96, 1) + struct.pack(">IIII", 1, 2, 30, 60) + packets[0][:30]
    return [plain, big, pcapng(packets), pcapng(packets, ">"), pcapng(packets) * 2, gzip.compress(plain, mtime=0), plain[:24], b""]


def target(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(data)
        file.flush()
        with fp.Engine() as engine:
            try:
                result = engine.replay(file.name)
            except OSError:
                return
            assert sum(account["packets"] for account in result.stats["ledger"].values()) == result.stats["packets"]


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
