#!/usr/bin/env python3
"""How long a reload holds packets up.

    bench/reload.py CAPTURE RULES [--workers N] [--times N] [--cache DIR] [--objects]

CAPTURE is replayed again and again in one thread while another reloads RULES by path, `--times` times; with `--objects` as so many rule
sets that were read before and never compiled. The longest time between two
steps with no packet under way is said, with and without reloads: what is to be compared with 5 ms. The machine must have a processor
beside those of ingest and workers, or the operating system itself takes turns of several milliseconds.
"""
from __future__ import annotations

import argparse
import gc
import threading
import time

import fastpath as fp


def held_up(engine: fp.Engine, capture: str, until: threading.Event, at_least: int) -> list[float]:
    """The longest hold-up of each replay, in ms."""
    longest = []
    while len(longest) < at_least or not until.is_set():
        longest.append(engine.replay(capture, keep=()).stats["held_up"]["longest_ns"] / 1e6)
    return longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("capture")
    parser.add_argument("rules")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--cache", default=None)
    parser.add_argument("--objects", action="store_true")
    given = parser.parse_args()
    new = [fp.RuleSet.load(given.rules) if given.objects else given.rules for _ in range(given.times)]
    rules = fp.RuleSet.load(given.rules, cache=given.cache or False)
    with fp.Engine(rules, workers=given.workers) as engine:
        gc.collect()
        gc.freeze()         # what rules are made of does not change: the collector need not go through it again
        done = threading.Event()
        done.set()
        without = held_up(engine, given.capture, done, 5)
        done.clear()
        seconds: list[float] = []

        def reload() -> None:
            for rules in new:
                started = time.perf_counter()
                engine.reload(rules)
                seconds.append(time.perf_counter() - started)
            done.set()

        thread = threading.Thread(target=reload)
        thread.start()
        during = held_up(engine, given.capture, done, 1)
        thread.join()
    print(f"{len(rules):,} rules, {given.times} reloads of {min(seconds):.2f} to {max(seconds):.2f} s, "
          f"{sum(order.kind == 'reload' for order in engine.orders)} met packets")
    for name, longest in (("without", without), ("with", during)):
        longest.sort()
        print(f"longest hold-up of a replay {name} reloads: median {longest[len(longest) // 2]:.2f} ms, worst {longest[-1]:.2f} ms, of {len(longest)}")


if __name__ == "__main__":
    main()
