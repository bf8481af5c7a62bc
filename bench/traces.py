"""The captures of the benchmarks, made once into the cache folder: the same bytes everywhere.

    python bench/traces.py [mixed|small|sixty ...]

`mixed` and `small` are merged from the corpus by its own make_trace.py and need it; `sixty` needs nothing.
"""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy
from build import HERE, cache

ROOT = HERE.parent
MERGED = {"mixed": ("400", "it.txt:1", "bulk.txt:6"), "small": ("60", "small.txt:1")}


def corpus() -> Path:
    return Path(os.environ.get("FASTPATH_CORPUS") or ROOT.parent / "shared" / "corpus")


def merged(name: str, out: Path) -> None:
    megabytes, *lists = MERGED[name]
    tools = corpus().parent / "tools"
    maker = tools / "make_trace.py"
    if not maker.exists():
        raise FileNotFoundError(f"{name}.pcap is made by make_trace.py, which is not beside the corpus ({corpus()}); set FASTPATH_CORPUS")
    subprocess.run([sys.executable, str(maker), str(out), megabytes, *(str(tools / "lists" / part) for part in lists),
                    "--corpus", str(corpus())], check=True, stdout=sys.stderr)


def sixty(out: Path, packets: int = 2_000_000, flows: int = 100_000, seed: int = 60) -> None:
    """60-byte Ethernet frames of `flows` TCP and UDP flows in random order, both directions, with good checksums."""
    rng = numpy.random.RandomState(seed)        # its stream is frozen
    flow = rng.randint(0, flows, packets)
    flow[:flows] = rng.permutation(flows)       # every flow is there
    back = rng.randint(0, 2, packets).astype(bool)
    back[:flows] = False
    host = rng.randint(0, 1 << 22, (flows, 2)).astype(numpy.uint32)
    port = numpy.stack([rng.randint(32768, 61000, flows), rng.choice([53, 80, 443, 4791, 8080], flows)], 1).astype(numpy.uint16)
    udp = rng.randint(0, 2, flows).astype(bool)

    row = numpy.zeros((packets, 16 + 60), numpy.uint8)
    micros = numpy.arange(packets, dtype=numpy.uint64) * 5
    record = numpy.stack([1_700_000_000 + micros // 1_000_000, micros % 1_000_000, numpy.full(packets, 60), numpy.full(packets, 60)], 1)
    row[:, :16] = record.astype("<u4").view(numpy.uint8)
    frame = row[:, 16:]
    frame[:, 0] = frame[:, 6] = 2
    frame[:, 5], frame[:, 11] = numpy.where(back, 1, 2), numpy.where(back, 2, 1)
    frame[:, 12] = 8
    words = numpy.zeros((packets, 10), ">u2")   # the IPv4 header
    words[:, 0], words[:, 1], words[:, 3] = 0x4500, 46, 0x4000
    words[:, 4] = numpy.where(udp[flow], 0x4011, 0x4006)
    client, server = 0x0A000000 + host[flow, 0], 0x0A800000 + host[flow, 1]
    source, target = numpy.where(back, server, client), numpy.where(back, client, server)
    words[:, 6], words[:, 7], words[:, 8], words[:, 9] = source >> 16, source & 0xFFFF, target >> 16, target & 0xFFFF
    words[:, 5] = ones_complement(words)
    frame[:, 14:34] = words.view(numpy.uint8)
    frame[:, 42:60] = rng.randint(0, 256, (1, 18))
    sport = numpy.where(back, port[flow, 1], port[flow, 0])
    dport = numpy.where(back, port[flow, 0], port[flow, 1])
    l4 = numpy.zeros((packets, 13), ">u2")
    l4[:, 0], l4[:, 1] = sport, dport
    is_udp = udp[flow]
    l4[:, 2] = numpy.where(is_udp, 26, rng.randint(0, 65536, packets))      # UDP length, or the first half of seq
    l4[:, 4] = numpy.where(is_udp, 0, rng.randint(0, 65536, packets))
    l4[:, 6] = numpy.where(is_udp, 0, 0x5010)                               # TCP: 20 bytes, ACK
    l4[:, 7] = numpy.where(is_udp, 0, 0xFFFF)
    checksum_at = numpy.where(is_udp, 3, 8)
    pseudo = numpy.concatenate([words[:, 6:10], numpy.where(is_udp, 17, 6)[:, None], numpy.full((packets, 1), 26), l4], 1)
    l4[numpy.arange(packets), checksum_at] = ones_complement(pseudo)
    frame[:, 34:60] = l4.view(numpy.uint8)
    with out.open("wb") as file:
        file.write(numpy.array([0xA1B2C3D4, 0x00040002, 0, 0, 65535, 1], "<u4").tobytes())
        row.tofile(file)


def ones_complement(words: numpy.ndarray) -> numpy.ndarray:
    """The Internet checksum (RFC 1071) of each row of 16-bit words."""
    total = words.astype(numpy.uint64).sum(1)
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def trace(name: str) -> Path:
    """The capture `name`, made first if it is not in the cache. FileNotFoundError says what is missing."""
    path = cache() / f"{name}.pcap"
    if not path.exists():
        part = path.with_suffix(".part")
        sixty(part) if name == "sixty" else merged(name, part)
        part.rename(path)
    return path


if __name__ == "__main__":
    for one in sys.argv[1:] or [*MERGED, "sixty"]:
        print(trace(one))
