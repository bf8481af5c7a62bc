"""Every fuzz target for a few hundred inputs, and the harness itself."""
from __future__ import annotations

import importlib
import random
from pathlib import Path

import pytest
from fuzz import harness

TARGETS = sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))


@pytest.mark.parametrize("name", TARGETS)
def test_target(name):
    module = importlib.import_module(f"fuzz.{name}")
    assert harness.fuzz(module.target, module.seeds(), seed=1, runs=300) == 300


def test_mutations_repeat():
    one = [harness.mutate(b"abcdef" * 4, [b"xyz"], random.Random(seed)) for seed in range(50)]
    assert one == [harness.mutate(b"abcdef" * 4, [b"xyz"], random.Random(seed)) for seed in range(50)]
    assert len(set(one)) > 40


def test_a_target_that_raises_is_found(tmp_path):
    def target(data: bytes) -> None:
        if data.startswith(b"\xff"):
            raise ValueError("found")
    assert not harness.survives(target, [b"\0"], seed=1, runs=20_000, seconds=None, keep=tmp_path)
    found, = tmp_path.iterdir()
    assert found.read_bytes().startswith(b"\xff")
    assert harness.survives(lambda data: None, [b"\0"], seed=1, runs=10, seconds=None, keep=tmp_path)
