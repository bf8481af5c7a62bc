"""dataset and datarep: lists of data."""
from __future__ import annotations

import pytest

from fastpath.rules import RuleSet
from fastpath.rules.datasets import Dataset
from fastpath.rules.plan import Block, HasRank, InDataset, Transform


@pytest.fixture
def read(tmp_path):
    (tmp_path / "texts").write_text("ZGVm\n# abc\nYWJj,7\n\n")
    (tmp_path / "digests").write_text("900150983cd24fb0d6963f7d28e17f72\n")
    (tmp_path / "broken").write_text("ZGVm\n!!\n")

    def load(*options: str) -> RuleSet:
        text = "\n".join(f"alert http any any -> any any ({each} sid:{sid};)" for sid, each in enumerate(options, 1))
        return RuleSet.parse(text, file=str(tmp_path / "a.rules"))
    return load


def test_lists(read):
    texts = Dataset("words", "string", "texts", ((b"abc", 7), (b"def", 0)))
    digests = Dataset("sums", "md5", "digests", ((bytes.fromhex("900150983cd24fb0d6963f7d28e17f72"), 0),))
    rules = read("http.uri; dataset:isset,words,type string,load texts;", "http.uri; dataset:isnotset,words;",
                 "http.uri; to_md5; dataset:isset, sums, type md5, load digests, memcap 10mb, hashsize 10;",
                 "http.host; datarep:words,>,5,type string,load texts;")
    assert [plan.blocks for plan in rules.plans] == [
        [Block("http.uri", [InDataset(texts)])], [Block("http.uri", [InDataset(texts, negated=True)])],
        [Block("http.uri", [InDataset(digests)], (Transform("to_md5"),))], [Block("http.host", [HasRank(texts, ">", 5)])]]


@pytest.mark.parametrize("options", [
    "dataset:isset,a,type string,load texts;", "http.uri; dataset:isset;", "http.uri; dataset:has,a,type string,load texts;",
    "http.uri; dataset:isset,a;", "http.uri; dataset:isset,a,type far,load texts;", "http.uri; dataset:isset,a,type string,load none;",
    "http.uri; datarep:a,>=,5,type string,load texts;", "http.uri; datarep:a,>,70000,type string,load texts;",
])
def test_what_is_malformed(read, options):
    refusal, = read(options).refusals
    assert refusal.malformed


@pytest.mark.parametrize("options", [
    "http.uri; dataset:set,a,type string;", "http.uri; dataset:isset,a,type string,state texts;", "http.uri; dataset:isset,a,type string,load broken;",
    "http.uri; dataset:isset,a,type md5,load texts;", "ip.src; dataset:isset,a,type ipv4,load texts;",
])
def test_what_is_refused(read, options):
    refusal, = read(options).refusals
    assert not refusal.malformed


def test_a_set_has_one_type_and_one_list(read):
    refusal, = read("http.uri; dataset:isset,a,type string,load texts;", "http.uri; dataset:isset,a,type md5,load digests;").refusals
    assert refusal.malformed and refusal.sid == 2
