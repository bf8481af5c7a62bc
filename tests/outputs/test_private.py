"""Counts that may be given away: noise of the stated scale, a budget that adds up, and a bound on what a workload adds."""
from __future__ import annotations

import json
import math
import random
import subprocess
import sys

import pytest
from captures import udp, write_pcap

import fastpath as fp
from fastpath.outputs.private import QUERIES, Bounded, PrivateCounts, noisy

opendp = pytest.importorskip("opendp")
RULES = fp.RuleSet.parse('alert udp any any -> any 53 (msg:"x"; sid:7;)\nalert udp any any -> any 99 (msg:"never"; sid:8;)')


def export(tmp_path, packets, **options) -> dict:
    sink = PrivateCounts(tmp_path / "dp.json", options.pop("epsilon", 1.0), overwrite=True, **options)
    with fp.Engine(RULES) as engine:
        engine.replay(write_pcap(tmp_path / "a.pcap", packets), sinks=[sink])
    assert not sink.refused
    return json.loads((tmp_path / "dp.json").read_text())


@pytest.mark.parametrize("contribution, epsilon", ((1, 1.0), (20, 1 / 3), (5, 2.0)))
def test_noise_is_of_the_stated_scale(contribution, epsilon):
    """Of discrete Laplace noise the mean of |x| is 2q / (1 - q**2) with q = exp(-1/scale); of 40,000 it stays within 5 %."""
    values, cost = noisy([100] * 40_000, contribution, epsilon)
    noise = [value - 100 for value in values]
    q = math.exp(-epsilon / contribution)
    assert cost == pytest.approx(epsilon)
    assert sum(map(abs, noise)) / len(noise) == pytest.approx(2 * q / (1 - q * q), rel=0.05)
    assert abs(sum(noise) / len(noise)) < 0.05 * contribution / epsilon
    far = sum(abs(one) > 3 * contribution / epsilon for one in noise) / len(noise)      # about e**-3
    assert 0.02 < far < 0.09


def test_the_budget_adds_up_and_stands_in_the_file(tmp_path):
    made = export(tmp_path, [udp(b"a")], epsilon=1.5, contribution=3)
    assert [one["query"] for one in made["budget"]] == list(QUERIES) == list(made["counts"])
    assert made["spent"] == pytest.approx(sum(one["epsilon"] for one in made["budget"])) == pytest.approx(made["epsilon"]) == pytest.approx(1.5)
    assert all(one["scale"] == pytest.approx(3 / 0.5) and one["sensitivity"] == 3 for one in made["budget"])


def test_a_workload_adds_a_bounded_number():
    """By any change of all that one workload did, a query's counts change by no more than the contribution, in sum."""
    rng = random.Random(3)
    for _ in range(50):
        rows = [(rng.randint(0, 4), rng.randint(0, 6), rng.randint(1, 9)) for _ in range(60)]
        made = []
        for without in (None, 2):
            counted = Bounded(10)
            for workload, key, times in rows:
                if workload != without:
                    counted.add(workload, key, times)
            made.append(counted.counts)
        assert 0 <= sum(abs(made[0][key] - made[1][key]) for key in made[0] | made[1]) <= 10


def test_counts_are_about_right(tmp_path):
    packets = [udp(b"a", src=f"10.1.{at >> 8}.{at & 255}", sport=5000 + at) for at in range(2000)] + [udp(b"a", src="10.9.9.9", sport=at) for at in range(1, 3000)]
    made = export(tmp_path, packets, epsilon=30.0, contribution=5)
    assert abs(made["counts"]["alerts_by_rule"]["1:7"] - 2005) < 30
    assert sum(made["counts"]["flows_by_app_proto"].values()) == pytest.approx(2005, abs=60)


def test_keys_do_not_hang_on_traffic(tmp_path):
    """Protocols that nobody spoke have a count too; rules are told of where they stand out of the noise."""
    quiet, loud = export(tmp_path, [udp(b"a", dport=1000)]), export(tmp_path, [udp(b"a", src=f"10.1.{at >> 8}.{at & 255}") for at in range(5000)])
    assert list(quiet["counts"]["flows_by_app_proto"]) == list(loud["counts"]["flows_by_app_proto"])
    assert "1:7" in loud["counts"]["alerts_by_rule"] and "1:8" not in loud["counts"]["alerts_by_rule"]
    assert [one["keys"] for one in quiet["budget"]] == [one["keys"] for one in loud["budget"]]


def test_no_workload_more_than_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr("fastpath.outputs.private.WORKLOADS_MAX", 10)
    sink = PrivateCounts(tmp_path / "dp.json", 1.0)
    with fp.Engine(RULES) as engine:
        engine.replay(write_pcap(tmp_path / "a.pcap", [udp(b"a", src=f"10.1.0.{at}") for at in range(20)]), sinks=[sink])
    assert "workloads" in sink.refused and not (tmp_path / "dp.json").exists()


@pytest.mark.parametrize("epsilon", (0.0, -1.0, math.inf, math.nan))
def test_an_epsilon_is_above_zero(tmp_path, epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        PrivateCounts(tmp_path / "x.json", epsilon)


def test_the_command_prints_the_budget(tmp_path):
    write_pcap(tmp_path / "a.pcap", [udp(b"a")])
    words = [sys.executable, "-m", "fastpath", "replay", str(tmp_path / "a.pcap"), "--dp-export", str(tmp_path / "dp.json"), "--dp-epsilon", "0.5"]
    ran = subprocess.run(words, capture_output=True, text=True)
    assert ran.returncode == 0 and "privacy epsilon 0.5 = 0.1667 alerts by rule" in ran.stdout
    again = subprocess.run(words, capture_output=True, text=True)
    assert again.returncode == 2 and "--overwrite" in again.stderr
