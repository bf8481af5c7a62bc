"""The captures in pcaps/: made again they are the same, the demo has the same bytes, and each hostile packet gets its name."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import fastpath as fp
from fastpath import demo

PCAPS = Path(__file__).resolve().parents[1] / "pcaps"


@pytest.fixture(scope="module")
def make():
    pytest.importorskip("scapy")
    spec = importlib.util.spec_from_file_location("make", PCAPS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_has_the_same_captures():
    recorded = {path.name: path.read_bytes() for path in PCAPS.glob("*.pcap")}
    packaged = {path.name: path.read_bytes() for path in demo.HERE.glob("*.pcap")}
    assert recorded == packaged
    assert set(recorded) == {f"{name}.pcap" for name in (*demo.BENIGN, *demo.MADE)}
    assert sum(map(len, recorded.values())) < 1_000_000


def test_made_again_they_are_the_same(make, tmp_path):
    subprocess.run([sys.executable, PCAPS / "make.py", tmp_path], check=True, stdout=subprocess.DEVNULL)
    for name in demo.MADE:
        assert (tmp_path / f"{name}.pcap").read_bytes() == (PCAPS / f"{name}.pcap").read_bytes(), name


def test_the_edge_made_again_is_the_same(tmp_path):
    pytest.importorskip("scapy")
    subprocess.run([sys.executable, PCAPS / "make_edge.py", tmp_path], check=True, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.pcap")}
    assert len(made) == 5
    assert made == {name: (PCAPS / "edge" / name).read_bytes() for name in made}


def test_every_hostile_packet_is_named(make):
    with fp.Engine(checksums="none") as engine:
        result = engine.replay(PCAPS / "hostile.pcap", keep=("events", "packets"))
    named = {}
    for event in result.events:
        named.setdefault(event["ordinal"], set()).add(event["event"])
    expected = {number: name for number, (name, _) in enumerate(make.hostile(), 1) if name}
    assert {number: name for number, name in expected.items() if name not in named.get(number, ())} == {}
    assert result.stats["packets"] == len(list(make.hostile()))


@pytest.mark.parametrize("name", [*demo.BENIGN, "attack", "tunnels"])
def test_nothing_else_is_malformed(name):
    with fp.Engine(checksums="all") as engine:
        stats = engine.replay(PCAPS / f"{name}.pcap").stats
    assert stats["ledger"]["errored"]["packets"] == 0
    assert stats["packets"] > 0
