"""What a packet costs in the session table of the device, and what a session costs in memory: python bench/device.py [SESSIONS].

Packets hit sessions in random order, so that every one is a miss of the caches; each session is fetched a burst ahead, as the
worker fetches flows. A flow names its session by number: this is the whole lookup.
"""
from __future__ import annotations

import resource
import sys

import numpy as np

from fastpath.dataplane.device_trial import Table

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
PACKETS, ROUNDS = 250_000, 60        # short rounds, of which the best is taken: others share the machine


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def measure(sessions: int, lag: int) -> tuple[float, float]:
    """(ns a packet, the best of some rounds; bytes of memory a session)"""
    before = resident()
    table = Table(capacity=sessions, timeout=3600 * SECOND, closed_room=0, lag=lag)
    table.fill(START)
    memory = (resident() - before) / sessions
    draw = np.random.default_rng(1)
    return min(table.measure(draw.integers(1, sessions + 1, PACKETS, dtype=np.uint32), START + turn * SECOND // 8) for turn in range(8, ROUNDS + 8)), memory


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000
    for lag, name in ((0, "counters at once"), (SECOND, "counters with a lag")):
        cost, memory = measure(sessions, lag)
        print(f"{sessions:,} sessions, {name}: {cost:.1f} ns a packet, {memory:.1f} bytes a session")


if __name__ == "__main__":
    main()
