"""dataset and datarep: lists of data."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.rules import RuleSet
from fastpath.rules.datasets import DataFiles, Dataset, read_entry, written_entry, written_list
from fastpath.rules.plan import Block, HasRank, InDataset, Transform


@pytest.fixture
def read(tmp_path):
    (tmp_path / "texts").write_text("ZGVm\n# abc\nYWJj,7\n\n")
    (tmp_path / "digests").write_text("900150983cd24fb0d6963f7d28e17f72\n")
    (tmp_path / "addresses").write_text("1.2.3.4,9\n")
    (tmp_path / "broken").write_text("ZGVm\n!!\n")

    def load(*options: str) -> RuleSet:
        text = "\n".join(f"alert http any any -> any any ({each} sid:{sid};)" for sid, each in enumerate(options, 1))
        return RuleSet.parse(text, file=str(tmp_path / "a.rules"))
    return load


def test_lists(read):
    texts = Dataset("words", "string", "texts", ((b"abc", 7), (b"def", 0)))
    digests = Dataset("sums", "md5", "digests", ((bytes.fromhex("900150983cd24fb0d6963f7d28e17f72"), 0),), memcap=10 << 20)
    rules = read("http.uri; dataset:isset,words,type string,load texts;", "http.uri; dataset:isnotset,words;",
                 "http.uri; to_md5; dataset:isset, sums, type md5, load digests, memcap 10mb, hashsize 10;",
                 "http.host; datarep:words,>,5,type string,load texts;")
    assert [plan.blocks for plan in rules.plans] == [
        [Block("http.uri", [InDataset(texts)])], [Block("http.uri", [InDataset(texts, negated=True)])],
        [Block("http.uri", [InDataset(digests)], (Transform("to_md5"),))], [Block("http.host", [HasRank(texts, ">", 5)])]]


@pytest.mark.parametrize("options", [
    "dataset:isset,a,type string,load texts;", "http.uri; dataset:isset;", "http.uri; dataset:has,a,type string,load texts;",
    "http.uri; dataset:isset,a;", "http.uri; dataset:isset,a,type far,load texts;", "http.uri; dataset:isset,a,type string,load none;",
    "http.uri; dataset:set,a,type string,save ../a;", "http.uri; dataset:set,a,type string,state /a;",
    "http.uri; dataset:set,a,type string,memcap 100,hashsize 64;", "http.uri; dataset:set,a,type string,memcap much;",
    "http.uri; datarep:a,>=,5,type string,load texts;", "http.uri; datarep:a,>,70000,type string,load texts;",
])
def test_what_is_malformed(read, options):
    refusal, = read(options).refusals
    assert refusal.malformed


@pytest.mark.parametrize("options", [
    "http.uri; dataset:isset,a,type string,load broken;",
    "http.uri; dataset:isset,a,type md5,load texts;", "ip.src; dataset:isset,a,type ipv4,load texts;",
])
def test_what_is_refused(read, options):
    refusal, = read(options).refusals
    assert not refusal.malformed


def test_a_set_has_one_type_and_one_list(read):
    refusal, = read("http.uri; dataset:isset,a,type string,load texts;", "http.uri; dataset:isset,a,type md5,load digests;").refusals
    assert refusal.malformed and refusal.sid == 2


def test_sets_that_rules_change(read):
    rules = read("http.uri; dataset:set,a,type string,save a.lst;", "http.uri; dataset:unset,a;", "ip.src; dataset:set,b,type ipv6;",
                 "ip.dst; dataset:isset,c,type ipv4,load addresses;")
    seen, hosts = Dataset("a", "string", "", (), "a.lst"), Dataset("b", "ip", "", ())
    addresses = Dataset("c", "ipv4", "addresses", ((bytes([1, 2, 3, 4]), 9),))
    assert [plan.blocks for plan in rules.plans] == [
        [Block("http.uri", [InDataset(seen, change="set")])], [Block("http.uri", [InDataset(seen, change="unset")])],
        [Block("ip.src", [InDataset(hosts, change="set")])], [Block("ip.dst", [InDataset(addresses)])]]


def test_a_state_is_loaded_from_the_data_folder(tmp_path):
    (tmp_path / "seen").write_text("::ffff:1.2.3.4\n2001:db8::1\n")
    rule = "alert ip any any -> any any (ip.src; dataset:set,a,type ip,state seen; sid:1;)"
    plan, = RuleSet.parse(rule, data_files=DataFiles(str(tmp_path))).plans
    entries = {entry for entry, _ in plan.blocks[0].steps[0].dataset.entries}
    assert entries == {bytes([1, 2, 3, 4]) + bytes(12), bytes.fromhex("20010db8000000000000000000000001")}
    assert written_list("ip", entries) == "1.2.3.4\n2001:0db8:0000:0000:0000:0000:0000:0001\n"
    refusal, = RuleSet.parse(rule, data_files=DataFiles(str(tmp_path), write=False)).refusals
    assert refusal.malformed and "allow-write" in refusal.reason


@given(st.sampled_from(["string", "md5", "sha256", "ipv4", "ip"]), st.data())
def test_what_is_written_is_read_back(kind, data):
    size = {"string": st.integers(1, 40), "md5": st.just(16), "sha256": st.just(32), "ipv4": st.just(4), "ip": st.just(16)}[kind]
    length = data.draw(size)
    entry = data.draw(st.binary(min_size=length, max_size=length))
    if kind == "ip" and entry[:12] == bytes(10) + b"\xff\xff":     # an IPv4 address in another form
        entry = entry[12:] + bytes(12)
    assert read_entry(kind, written_entry(kind, entry)) == entry
