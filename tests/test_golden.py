"""Golden cases: golden/<case>/ holds input.pcap, test.rules, expected.tsv and, where the engine is not stock, args.json.

expected.tsv has a line per (sid, where, action): sid, where, count, action. `where` is the ordinal of the packet, or 0 for the
flush at a flow's end. args.json may have "engine" (arguments of Engine), "set" (settings, key=value) and "replay".
golden/make.py writes the captures and, where Suricata is installed, what is expected: its alerts, not ours.
"""
from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from runs import alert_counts, replay

import fastpath as fp

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/test.rules"))


def expected(path: Path) -> Counter:
    with path.open() as file:
        return Counter({(int(row["sid"]), int(row["where"]), row["action"]): int(row["count"]) for row in csv.DictReader(file, delimiter="\t")})


def run(case: Path, **over) -> fp.Result:
    args = json.loads((case / "args.json").read_text()) if (case / "args.json").exists() else {}
    rules = fp.RuleSet.load([str(case / "test.rules")])
    assert not rules.refusals, [f"{refusal.place}: {refusal.reason}" for refusal in rules.refusals]
    return replay(case / "input.pcap", rules, engine=args.get("engine", {}) | over, sets=args.get("set", ()), **args.get("replay", {}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case):
    assert alert_counts(run(case)) == expected(case / "expected.tsv")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_in_another_shape(case):
    """Other burst sizes and worker counts say the same."""
    assert run(case).digest == run(case, burst=1, workers=2).digest == run(case, burst=3, workers=1).digest


def test_there_are_cases():
    assert len(CASES) >= 6
