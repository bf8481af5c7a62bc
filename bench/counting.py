#!/usr/bin/env python3
"""What statistics cost: the same capture with and without them, in turn.

    bench/counting.py CAPTURE [RULES] [--times N] [--cache DIR]

The fastest of N replays each is compared: what is to be at most 3 % apart. `asked` replays while another thread takes a snapshot every
100 ms, as nobody who scrapes metrics does as often.
"""
from __future__ import annotations

import argparse
import threading

import fastpath as fp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("capture")
    parser.add_argument("rules", nargs="?")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--cache", default=None)
    given = parser.parse_args()
    rules = fp.RuleSet.load(given.rules, cache=given.cache or False) if given.rules else None
    with fp.Engine(rules) as counting, fp.Engine(rules, statistics=False) as silent:
        seconds: dict[str, list[float]] = {"on": [], "off": [], "asked": []}
        for _ in range(given.times):
            seconds["on"].append(counting.replay(given.capture, keep=()).stats["seconds"])
            seconds["off"].append(silent.replay(given.capture, keep=()).stats["seconds"])
            done = threading.Event()

            def ask(done: threading.Event = done) -> None:
                while not done.wait(0.1):
                    counting.snapshot()

            thread = threading.Thread(target=ask)
            thread.start()
            seconds["asked"].append(counting.replay(given.capture, keep=()).stats["seconds"])
            done.set()
            thread.join()
    off = min(seconds["off"])
    for name, taken in seconds.items():
        print(f"{name:6} {min(taken):.4f} s, {100 * (min(taken) / off - 1):+.2f} %, of {len(taken)}")


if __name__ == "__main__":
    main()
