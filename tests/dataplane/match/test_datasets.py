"""Lists of data at run time: the engine's search against Python's."""
from __future__ import annotations

import base64
from random import Random

import pytest
from captures import udp

from fastpath.dataplane.trial import Trial
from fastpath.rules import RuleSet


def matches(tmp_path, entries: dict[bytes, int], option: str, payloads: list[bytes]) -> list[bool]:
    """Looks up the length and checksum of a UDP header and what of it there is, through the sticky buffer udp.hdr."""
    (tmp_path / "list").write_text("".join(f"{base64.b64encode(entry).decode()},{rank}\n" for entry, rank in entries.items()))
    rules = RuleSet.parse(f"alert udp any any -> any any (udp.hdr; {option},type string,load list; sid:1;)", file=str(tmp_path / "a.rules"))
    assert not rules.refusals, rules.refusals
    return [bool(one) for one in Trial(rules.compile()).match([udp(payload) for payload in payloads])]


def header(payload: bytes) -> bytes:
    return udp(payload)[34:42]


@pytest.mark.parametrize("option, holds", [
    ("dataset:isset,a", lambda rank: rank is not None), ("dataset:isnotset,a", lambda rank: rank is None),
    ("datarep:a,>,5", lambda rank: rank is not None and rank > 5), ("datarep:a,<,5", lambda rank: rank is not None and rank < 5),
    ("datarep:a,==,5", lambda rank: rank == 5),
])
def test_against_a_dictionary(tmp_path, option, holds):
    choice = Random(7)
    payloads = [bytes(choice.choices(range(256), k=choice.randint(0, 40))) for _ in range(120)]
    entries = {header(payload): choice.randint(3, 7) for payload in payloads[::2]}
    entries |= {entry + b"x": 9 for entry in list(entries)[:9]} | {entry[:-1]: 9 for entry in list(entries)[:9]}
    assert matches(tmp_path, entries, option, payloads) == [holds(entries.get(header(payload))) for payload in payloads]


def test_an_empty_list_holds_nothing(tmp_path):
    assert matches(tmp_path, {}, "dataset:isset,a", [b"x"]) == [False]
    assert matches(tmp_path, {}, "dataset:isnotset,a", [b"x"]) == [True]
