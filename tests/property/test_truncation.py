"""Every packet cut at every byte, as a whole packet and as one that the capture cut.

A sample of the corpus, or with FASTPATH_EXHAUSTIVE=1 all of it. Built for the sanitizers, each cut stands between poisoned
bytes, and a read past its end ends the run. Otherwise such a read is found by its effect: two engines see the same cuts with
different bytes behind them, and must come to the same verdicts and events.

All of the corpus, 40 million cuts, each inspected twice by each engine:

    FASTPATH_EXHAUSTIVE=1 python -m pytest -s tests/property/test_truncation.py
    FASTPATH_EXHAUSTIVE=1 make sanitize PYTEST_ARGS='-s tests/property/test_truncation.py'

Either takes about two minutes of one processor; the second also has to build.
"""
from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from captures import captures_in, conversation, ethernet, ipv4, read_packets, tcp, udp
from runs import MIXED_RULES, assert_ledger, replay, rules_of

import fastpath as fp
from fastpath.dataplane.cuts import POISONS, Cuts

EXHAUSTIVE = os.environ.get("FASTPATH_EXHAUSTIVE") == "1"
FILLERS = (0x00,) if POISONS else (0x00, 0xFF)
ROOM, MOST = 4 << 20, 8192      # bytes and cuts of one batch
LONGEST = 262_144               # packets above it are refused at the door
STEP = 1_000_000                # ns between cuts: flows time out on the way


class Cutter:
    """An engine for each filler, which live as long as the module: what one cut leaves behind, the next one meets."""

    def __init__(self, rules: fp.RuleSet) -> None:
        self.engines = [fp.Engine(rules, checksums="all") for _ in FILLERS]
        self.arrays = [(np.zeros(ROOM, np.uint8), np.zeros(MOST, np.uint64), np.zeros(MOST, np.uint32), np.zeros(MOST, np.uint32)) for _ in FILLERS]
        self.cuts = [Cuts(*arrays) for arrays in self.arrays]
        self.now = 1_700_000_000_000_000_000
        self.checked = 0

    def check(self, packets: Iterable[bytes], linktype: int) -> None:
        for whole in packets:
            packet, length = whole[:LONGEST], 0
            while length <= len(packet):
                lengths = {cuts.add(packet, length, filler) for cuts, filler in zip(self.cuts, FILLERS, strict=True)}
                length, = lengths
                if length <= len(packet):
                    self.inspect(linktype)
        self.inspect(linktype)

    def inspect(self, linktype: int) -> None:
        count = self.cuts[0].count
        stamps = self.now + STEP * np.arange(2 * count, dtype=np.uint64)
        self.now += STEP * 2 * count
        self.checked += count
        for wirelens, part in ((False, stamps[:count]), (True, stamps[count:])):
            verdicts = {engine.inspect(fp.PacketBatch(buffer, offsets[:count], lengths[:count], part, wires[:count] if wirelens else None),
                                       linktype=linktype).array.tobytes()
                        for engine, (buffer, offsets, lengths, wires) in zip(self.engines, self.arrays, strict=True)}
            assert len(verdicts) == 1, "what stands behind a cut packet changes a verdict"
        for cuts in self.cuts:
            cuts.clear()

    def compare(self, what: object) -> None:
        stats = [engine.stats for engine in self.engines]
        for each in stats:
            assert_ledger(each)
        assert all(each["events"] == stats[0]["events"] for each in stats), what


@pytest.fixture(scope="module")
def cutter() -> Iterator[Cutter]:
    made = Cutter(rules_of(MIXED_RULES))
    yield made
    for engine in made.engines:
        engine.close()


MADE = [*conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")]), udp(b"\0\1\1\0\0\1" + b"\0" * 20),
        ethernet(ipv4(47, b"\0\0\x08\0" + ipv4(17, udp(b"inner")[34:]))), ethernet(ipv4(4, tcp(b"GET /")[14:])),
        udp(b"\x08\0\0\0\0\0\x4d\0" + tcp(b"login"), dport=4789), udp(b"\x32\xff\0\x20\0\0\0\1\0\0\0\x85\1\0\x09\0" + tcp(b"x")[14:], dport=2152),
        ethernet(ipv4(17, udp(b"fragment" * 4)[34:], fragment=0x2000)), ethernet(b"\0\1" + ipv4(6, tcp()[34:]), 0x8100)]


def test_made_packets(cutter):
    cutter.check(MADE, 1)
    cutter.compare("made packets")


def test_a_door_that_shows_what_is_behind():
    """The cuts are where they are said to be, and what is between them is the filler."""
    buffer, offsets, lengths, wires = np.zeros(4096, np.uint8), np.zeros(8, np.uint64), np.zeros(8, np.uint32), np.zeros(8, np.uint32)
    cuts = Cuts(buffer, offsets, lengths, wires)
    assert cuts.add(b"abcdefghij", 0, 0xEE) == 8 and cuts.count == 8
    cuts.clear()
    assert cuts.add(b"abcdefghij", 8, 0xEE) == 11 and cuts.count == 3
    cuts.clear()        # nothing is poisoned any more
    assert lengths[:3].tolist() == [8, 9, 10] and wires[:3].tolist() == [10] * 3
    for offset, length in zip(offsets[:3].tolist(), lengths[:3].tolist(), strict=True):
        assert bytes(buffer[offset:offset + length]) == b"abcdefghij"[:length] and set(buffer[offset + length:offset + length + 96].tolist()) == {0xEE}
    with pytest.raises(ValueError, match="does not fit"):
        cuts.add(bytes(4096), 0, 0)


def test_a_cut_packet_is_not_malformed(capture):
    whole = tcp(b"x" * 400)
    result = replay(capture([(1_700_000_000.0, whole[:length], len(whole)) for length in range(54, len(whole))]), "", keep=("packets",))
    assert result.stats["ledger"]["errored"]["packets"] == 0
    result = replay(capture([whole[:length] for length in range(14, 54)]), "")
    assert result.stats["ledger"]["errored"]["packets"] == 40


def test_packets_of_real_captures(cutter, corpus):
    rng = random.Random(7)
    found = captures_in(corpus / "pcaps")
    for path in found if EXHAUSTIVE else rng.sample(found, 60):
        for linktype, packets in read_packets(path, most=None if EXHAUSTIVE else 4).items():
            cutter.check(packets, linktype)
        if EXHAUSTIVE:
            print(f"{path.relative_to(corpus)}: {cutter.checked:,} cuts so far", flush=True)
        cutter.compare(path)
