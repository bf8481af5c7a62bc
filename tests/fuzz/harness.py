"""Seeded mutation of byte strings against a target. See README.md."""
from __future__ import annotations

import argparse
import mmap
import os
import random
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

INTERESTING = (0, 1, 4, 5, 15, 16, 20, 40, 60, 64, 127, 128, 254, 255)
LONGEST = 1 << 16


def mutate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """`data` after one to eight changes: bytes and numbers overwritten, runs cut, doubled or taken from another seed."""
    out = bytearray(data)
    for _ in range(1 << rng.randrange(4)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(8)
        if kind == 0 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice(INTERESTING)
        elif kind == 2 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 3 and at + 4 <= len(out):
            width = rng.choice((2, 4))
            value = rng.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF, 0xFFFFFFFF, len(out), rng.getrandbits(32)))
            out[at:at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(("big", "little")))
        elif kind == 4:
            del out[at:at + 1 + rng.randrange(16)]
        elif kind == 5:
            out[at:at] = out[at:at + rng.randrange(32)]
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            out[at:at + rng.randrange(32)] = other[start:start + rng.randrange(64)]
        else:
            del out[at:]
    return bytes(out[:LONGEST])


def fuzz(target: Callable[[bytes], object], seeds: Sequence[bytes], *, seed: int = 0, runs: int | None = None, seconds: float | None = None,
         note: Callable[[bytes], None] = lambda data: None) -> int:
    """Calls the target with each seed, then with mutations, until `runs` calls or `seconds` are over. What the target raises
    is raised. Inputs that `note` is told of just before the call. Returns the number of calls."""
    rng, pool, calls = random.Random(seed), list(seeds) or [b""], 0
    until = time.monotonic() + seconds if seconds is not None else None
    while (runs is None or calls < runs) and (until is None or time.monotonic() < until):
        data = pool[calls] if calls < len(pool) else mutate(rng.choice(pool), pool, rng)
        note(data)
        target(data)
        calls += 1
        if calls % 64 == 0 and len(data) < 4096 and len(pool) < 10_000:
            pool.append(data)       # mutations pile up
    return calls


def survives(target: Callable[[bytes], object], seeds: Sequence[bytes], *, seed: int, runs: int | None, seconds: float | None, keep: Path) -> bool:
    """fuzz() in a child process. When the child dies or raises, its last input is written below `keep`."""
    with tempfile.TemporaryFile() as file:
        file.truncate(8 + LONGEST)
        last = mmap.mmap(file.fileno(), 8 + LONGEST)

        def note(data: bytes) -> None:
            last[:8] = len(data).to_bytes(8, "little")
            last[8:8 + len(data)] = data
        child = os.fork()
        if child == 0:
            code = 1
            try:
                print(f"{fuzz(target, seeds, seed=seed, runs=runs, seconds=seconds, note=note)} calls", flush=True)
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return True
        keep.mkdir(parents=True, exist_ok=True)
        data = last[8:8 + int.from_bytes(last[:8], "little")]
        path = keep / f"{Path(sys.argv[0]).stem}-{seed}-{zlib.crc32(data):08x}"
        path.write_bytes(data)
        print(f"status {status}: input in {path}")
        return False


def main(target: Callable[[bytes], object], seeds: Sequence[bytes], description: str = "") -> int:
    """The command line of a fuzz target."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    parser.add_argument("inputs", nargs="*", type=Path, help="run these inputs once instead")
    options = parser.parse_args()
    if options.inputs:
        for path in options.inputs:
            target(path.read_bytes())
        return 0
    return 0 if survives(target, seeds, seed=options.seed, runs=options.runs, seconds=None if options.runs else options.seconds,
                         keep=options.keep) else 1
