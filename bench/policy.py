"""What a policy costs: 10 lines against 10,000, in turn, the least of many rounds.

    python bench/policy.py [--rounds N] [--json]

decide: a new flow judged by the compiled policy alone, over random keys, a quarter of them outside of all segments. inspect: a
packet of 100,000 flows in random order, all known, without rules (`sixty.pcap`); packet: what judging adds to it, which is that
pass with the policy, less one without. Times are those of the processor, of one core.
"""
from __future__ import annotations

import argparse
import json
import random
import time

import numpy as np
import traces

import fastpath as fp
from fastpath.control.policy.model import Addresses, Line, Parts, Segment, Selector
from fastpath.dataplane import rows
from fastpath.rules.plan import Place

SIZES = (10, 10_000)
KEYS, PACKETS = 200_000, 1_000_000


def made(lines: int) -> fp.Policy:
    """So many lines over a tenth as many segments, and one that allows what is left of 10.0.0.0/8."""
    rng = random.Random(lines)
    place = Place("bench", 1, 1)
    count = max(lines // 10, 4)
    segments = [Segment("any", place, (Selector(),)), Segment("all", place, (Selector(Addresses(((10 << 24, (11 << 24) - 1),))),))]
    for number in range(count):
        low = 10 << 24 | number << 8
        six = 0x20010DB8 << 96 | number << 64
        segments.append(Segment(f"s{number}", place, (Selector(Addresses(((low, low + 255),), ((six, six + (1 << 64) - 1),))),)))
    pairs = [(rng.randrange(2, count + 2), rng.randrange(2, count + 2), rng.randrange(1, 1024)) for _ in range(lines - 1)]
    made_lines = [Line("", place, (source,), (target,), ((6 << 16 | port, 6 << 16 | port + 10),)) for source, target, port in pairs]
    return fp.Policy(Parts("bench", segments, [*made_lines, Line("rest", place, (1,), (1,))]))


def keys_of(policy: fp.Policy, version: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    count = len(policy.segments) - 2
    keys = np.zeros(KEYS, rows.FLOW_KEY)
    keys["net"], keys["proto"] = version, 6
    keys["port"] = rng.integers(1, 1024, (KEYS, 2))
    number = rng.integers(0, count * 4 // 3 + 1, (KEYS, 2)).astype(">u4")
    if version == 4:
        keys["addr"][..., 0] = 10
        keys["addr"][..., 1:3] = number.view("u1").reshape(KEYS, 2, 4)[..., 2:]
        keys["addr"][..., 3] = rng.integers(0, 256, (KEYS, 2))
    else:
        keys["addr"][..., :4] = (0x20, 0x01, 0x0D, 0xB8)
        keys["addr"][..., 4:8] = number.view("u1").reshape(KEYS, 2, 4)
        keys["addr"][..., 8:] = rng.integers(0, 256, (KEYS, 2, 8))
    return keys


def packets() -> fp.PacketBatch:
    """The first packets of sixty.pcap, which are all of one size: a record is a header of 16 bytes and 60 of packet."""
    data = traces.trace("sixty").read_bytes()[24:24 + PACKETS * 76]
    return fp.PacketBatch(data, np.arange(PACKETS, dtype="u8") * 76 + 16, np.full(PACKETS, 60, "u4"), np.full(PACKETS, 10**18, "u8"))


def measure(rounds: int) -> dict[str, dict[str, float]]:
    policies = {lines: made(lines) for lines in SIZES}
    classifiers = {lines: policy.compile(lambda _: 1) for lines, policy in policies.items()}
    keys = {(lines, version): keys_of(policies[lines], version) for lines in SIZES for version in (4, 6)}
    batch = packets()
    least: dict[str, dict[str, float]] = {}

    def note(what: str, which: str, value: float) -> None:
        least.setdefault(what, {})[which] = min(least.get(what, {}).get(which, value), value)

    for _ in range(rounds):
        for lines in SIZES:
            for version in (4, 6):
                started = time.process_time_ns()
                classifiers[lines].decide_keys(keys[lines, version])
                note(f"decide, IPv{version}", str(lines), (time.process_time_ns() - started) / KEYS)
        for lines in (0, *SIZES):
            with fp.Engine(None, policy=policies.get(lines)) as engine:
                out = np.empty(len(batch), rows.VERDICT)
                engine.inspect(batch, out=out)      # every flow is decided here
                started = time.process_time_ns()
                engine.inspect(batch, out=out)
                note("inspect", str(lines), (time.process_time_ns() - started) / len(batch))
    least["packet"] = {str(lines): least["inspect"][str(lines)] - least["inspect"]["0"] for lines in SIZES}
    for what in least:
        least[what]["ratio"] = least[what][str(SIZES[1])] / least[what][str(SIZES[0])]
    least["memory, bytes"] = {str(lines): float(classifiers[lines].memory) for lines in SIZES}
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for what, values in found.items():
        print(f"{what:16}" + "".join(f"  {which} {value:,.1f}" for which, value in values.items()))


if __name__ == "__main__":
    main()
