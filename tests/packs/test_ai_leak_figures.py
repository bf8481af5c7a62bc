"""Precision and recall of the leak rules, over made-up secrets, what is like them, and text that leaks nothing. docs/privacy.md has the table."""
from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
from captures import conversation, write_pcap
from leak_samples import IDS, MANY, NUMBERS, near_misses, secrets

import fastpath as fp

EACH = int(os.environ.get("FASTPATH_LEAK_SAMPLES", "5"))       # of every entry
BODY = 30_000
MANUALS = Path("/usr/share/man/man1")


@pytest.fixture(scope="module")
def engine():
    with fp.Engine(fp.RuleSet.pack("ai_factory")) as made:
        yield made


def kind(number: int) -> str:
    return "lists" if number in MANY or number == 58 else "numbers" if number in NUMBERS else "credentials"


def found(engine, folder: Path, bodies: list[bytes]) -> list[set[int]]:
    """The entries of leaks.toml that each body raised, posted over a connection of its own."""
    frames, made = [], [set() for _ in bodies]
    for at, body in enumerate(bodies):
        request = b"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % len(body)
        parts = [(request + body[:1400], b""), *((body[cut:cut + 1400], b"") for cut in range(1400, len(body), 1400))]
        frames += conversation([*parts, (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], sport=1024 + at % 60_000, dst="203.0.113.9",
                               src=f"10.1.{at // 60_000}.1")
    alerts = engine.replay(write_pcap(folder / "a.pcap", frames)).alerts
    leaks = [(port, sid) for port, sid in zip(alerts["src_port"].tolist(), alerts["sid"].tolist(), strict=True) if 9_300_000 <= sid < 9_310_000]
    for port, sid in leaks:
        made[port - 1024].add((sid - 9_300_000) // 10)
    return made


def text(secret: str) -> bytes:
    return f'{{"messages": [{{"role": "user", "content": "please use {secret} for the next call"}}]}}'.encode()


def test_secrets_are_found_and_what_is_like_them_is_not(engine, tmp_path):
    positives = [(number, secret) for number in IDS for secret in secrets(number, EACH)]
    negatives = [(number, near) for number in IDS for near in near_misses(number, EACH)]
    hits = found(engine, tmp_path, [text(secret) for _, secret in positives])
    false = found(engine, tmp_path, [text(near) for _, near in negatives])
    counts = Counter()
    for (number, _), raised in zip(positives, hits, strict=True):
        counts[kind(number), "found" if number in raised else "missed"] += 1
    for (number, _), raised in zip(negatives, false, strict=True):
        counts[kind(number), "false" if number in raised else "left alone"] += 1
    print({name: {what: counts[name, what] for what in ("found", "missed", "false", "left alone")} for name in ("credentials", "numbers", "lists")})
    assert not any(counts[name, what] for name in ("credentials", "numbers", "lists") for what in ("missed", "false"))


def test_manual_pages_leak_next_to_nothing(engine, tmp_path):
    pages = sorted(MANUALS.glob("*.gz"))[:400] if MANUALS.is_dir() else []
    if not pages:
        pytest.skip("there are no manual pages on this machine")
    bodies = [content[at:at + BODY] for page in pages for content in (gzip.decompress(page.read_bytes()),) for at in range(0, len(content), BODY)]
    raised = found(engine, tmp_path, bodies)
    by_entry = Counter(number for one in raised for number in one)
    print(f"{len(bodies)} texts, {sum(map(len, bodies))} bytes: {dict(by_entry)}")
    assert sum(map(bool, raised)) <= max(1, len(bodies) // 100)
