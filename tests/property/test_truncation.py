"""Every packet cut at every byte. Sampled, or with FASTPATH_EXHAUSTIVE=1 every packet of every capture (`make sanitize`).

Each cut packet stands in memory of its own, where the sanitizer sees a read past its end. Without the sanitizer a read past
the end is found by its effect: what stands behind the cut must change nothing.
"""
from __future__ import annotations

import os
import random

import numpy as np
import pytest
from captures import conversation, ethernet, ipv4, read_packets, tcp, udp, write_pcap
from runs import MIXED_RULES, replay, rules_of

import fastpath as fp

EXHAUSTIVE = os.environ.get("FASTPATH_EXHAUSTIVE") == "1"
PADDING = 96


@pytest.fixture(scope="module")
def rules():
    return rules_of(MIXED_RULES)


def cuts(packet: bytes, rng: random.Random) -> list[int]:
    """Lengths to cut at: all of them, or all of the headers and some of the rest."""
    if EXHAUSTIVE or len(packet) <= 128:
        return list(range(len(packet) + 1))
    return [*range(129), *sorted(rng.sample(range(129, len(packet) + 1), min(8, len(packet) - 128)))]


def padded(packet: bytes, lengths: list[int], filler: int) -> fp.PacketBatch:
    """One buffer of all cuts, each followed by filler bytes."""
    parts = [np.frombuffer(packet[:length] + bytes([filler]) * PADDING, np.uint8) for length in lengths]
    offsets = np.cumsum([0, *map(len, parts[:-1])]).astype(np.uint64)
    return fp.PacketBatch(np.concatenate(parts), offsets, np.array(lengths, np.uint32), np.arange(len(parts), dtype=np.uint64))


def inspected(rules, batch, linktype):
    with fp.Engine(rules, checksums="all") as engine:
        verdicts = engine.inspect(batch, linktype=linktype)
        return verdicts.array.tobytes(), engine.stats["events"]


def check(rules, packets, linktype, rng):
    with fp.Engine(rules) as engine:
        for packet in packets:
            lengths = cuts(packet, rng)
            alone = [np.frombuffer(packet[:length], np.uint8).copy() for length in lengths]     # malloc'ed, each with red zones around it
            assert len(engine.inspect(alone, linktype=linktype).action) == len(lengths)


def check_what_is_behind(rules, packets, linktype, rng):
    for packet in packets:
        lengths = cuts(packet, rng)
        assert inspected(rules, padded(packet, lengths, 0x00), linktype) == inspected(rules, padded(packet, lengths, 0xFF), linktype), packet.hex()


def check_cut_by_the_capture(rules, path, packets, linktype, rng):
    """The same cuts, but the file says that the packet was longer: no packet counts as malformed for being cut."""
    cut = [(1_700_000_000.0, packet[:length], len(packet)) for packet in packets for length in cuts(packet, rng)]
    replay(write_pcap(path, cut, linktype=linktype), rules)


MADE = [*conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")]), udp(b"\0\1\1\0\0\1" + b"\0" * 20),
        ethernet(ipv4(47, b"\0\0\x08\0" + ipv4(17, udp(b"inner")[34:]))), ethernet(ipv4(4, tcp(b"GET /")[14:])),
        udp(b"\x08\0\0\0\0\0\x4d\0" + tcp(b"login"), dport=4789), udp(b"\x32\xff\0\x20\0\0\0\1\0\0\0\x85\1\0\x09\0" + tcp(b"x")[14:], dport=2152),
        ethernet(ipv4(17, udp(b"fragment" * 4)[34:], fragment=0x2000)), ethernet(b"\0\1" + ipv4(6, tcp()[34:]), 0x8100)]


def test_made_packets(rules, tmp_path):
    check(rules, MADE, 1, random.Random(1))
    check_what_is_behind(rules, MADE, 1, random.Random(1))
    check_cut_by_the_capture(rules, tmp_path / "cut.pcap", MADE, 1, random.Random(1))


def test_a_cut_packet_is_not_malformed(capture):
    whole = tcp(b"x" * 400)
    result = replay(capture([(1_700_000_000.0, whole[:length], len(whole)) for length in range(54, len(whole))]), "", keep=("packets",))
    assert result.stats["ledger"]["errored"]["packets"] == 0
    result = replay(capture([whole[:length] for length in range(14, 54)]), "")
    assert result.stats["ledger"]["errored"]["packets"] == 40


def test_packets_of_real_captures(rules, corpus, tmp_path):
    rng = random.Random(7)
    found = sorted(path for path in (corpus / "pcaps").rglob("*") if path.suffix in (".pcap", ".pcapng", ".cap", ".trace"))
    for path in found if EXHAUSTIVE else rng.sample(found, 60):
        for linktype, packets in read_packets(path, most=None if EXHAUSTIVE else 4).items():
            check(rules, packets, linktype, rng)
            check_cut_by_the_capture(rules, tmp_path / "cut.pcap", packets, linktype, rng)
            if not EXHAUSTIVE:
                check_what_is_behind(rules, packets[:2], linktype, rng)
