"""What libmagic says of files, and transactions that are not logged. What is expected is what Suricata 7.0.10 wrote of the same capture."""
from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from captures import conversation
from runs import assert_ledger, replay, rules_of

import fastpath as fp
from fastpath.dataplane.applayer import magic
from fastpath.outputs.eve import EveWriter
from fastpath.rules.datasets import DataFiles

CAPTURE = Path(__file__).parents[1] / "golden" / "magic" / "input.pcap"
RULES = CAPTURE.with_name("test.rules")
FORCED = ["outputs.1.eve-log.types.6.files.force-magic=yes"]
CONFIG = "config: logging disable, type tx, scope tx;"
TYPES = ("alert", "http", "dns", "smtp", "fileinfo", "anomaly")
PNG = "PNG image data, 16 x 8, 8-bit/color RGB, non-interlaced"
SAID = [("/a.png", PNG), ("/b.txt", "ASCII text"), ("/c", "PDF document, version 1.4"), ("/d", "very short file (no magic)"),
        ("/e.pdf", "PDF document, version 1.4"), ("/up", PNG), ("/up", "ASCII text"), ("a.pdf", "PDF document, version 1.4")]


def events(path, rules="", sets=(), **engine) -> list[dict]:
    out = io.BytesIO()
    with fp.Engine(rules_of(rules), config=fp.Config.load(None, sets), **engine) as made:
        assert_ledger(made.replay(str(path), sinks=[EveWriter(out, TYPES)]).stats)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def kinds(found: list[dict]) -> Counter:
    return Counter(one["event_type"] for one in found)


def files(found: list[dict]) -> list[tuple[str, str | None]]:
    return sorted((one["fileinfo"]["filename"], one["fileinfo"].get("magic")) for one in found if one["event_type"] == "fileinfo")


# ---- magic ----

@pytest.mark.parametrize("rules, sets", [('alert ip any any -> any any (filemagic:"nothing such"; sid:1;)', ()), ("", FORCED)])
def test_magic_is_told_where_a_rule_or_the_setting_asks(rules, sets):
    assert files(events(CAPTURE, rules, sets)) == sorted(SAID)
    assert {said for _, said in files(events(CAPTURE))} == {None}


def test_the_files_of_an_alert_tell_their_magic():
    alert = next(one for one in events(CAPTURE, 'alert http any any -> any any (filemagic:"PNG"; sid:1;)') if one["event_type"] == "alert")
    assert [one["magic"] for one in alert["files"]] == [PNG]


def test_a_file_with_a_gap_is_told_by_what_came_before(capture):
    text = b"plain words and nothing else\n" * 100
    page = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    frames = conversation([(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", page[:1000]), (b"", page[1000:2000]), (b"", page[2000:])])
    del frames[7]
    assert files(events(capture(frames), sets=FORCED)) == [("/a", "ASCII text")]


@pytest.mark.skipif(shutil.which("file") is None, reason="there is no file(1) here")
@pytest.mark.parametrize("data", [b"", b"a", b"GIF89a\x01\x00\x01\x00", b"%PDF-1.7\n", b"#!/bin/sh\n", b"\x1f\x8b\x08" + bytes(20),
                                  b"MZ" + bytes(200), b"PK\x03\x04" + bytes(30), "schön\n".encode(), bytes(range(256))])
def test_libmagic_says_what_file_says(data):
    said = subprocess.run(["file", "-b", "-"], input=data, capture_output=True, check=True).stdout.decode().strip()
    assert magic.describe(data) == said or said == "/dev/stdin: empty" and not data


@pytest.mark.parametrize("rule", ['alert http any any -> any any (filemagic:"PDF"; sid:1;)',
                                  'alert http any any -> any any (file.magic; content:"PDF"; sid:1;)'])
def test_without_a_database_the_rule_is_refused_with_the_cure(tmp_path, rule):
    refused = fp.RuleSet.parse(rule, data_files=DataFiles(magic=str(tmp_path / "none"))).refusals
    assert len(refused) == 1 and "libmagic" in refused[0].reason and "apt install libmagic-mgc" in refused[0].reason
    assert not refused[0].malformed
    with pytest.raises(ValueError, match="apt install libmagic-mgc"):
        replay(CAPTURE, sets=[*FORCED, f"magic-file={tmp_path / 'none'}"])


def test_a_database_of_the_user_is_asked(tmp_path):
    (tmp_path / "mine").write_text("0\tstring\tplain\\ words\tletters from home\n")
    with fp.Engine(fp.RuleSet.parse('alert http any any -> any any (filemagic:"from home"; sid:1;)', data_files=DataFiles(magic=str(tmp_path / "mine"))),
                   config=fp.Config.load(None, [f"magic-file={tmp_path / 'mine'}"])) as engine:
        assert len(engine.replay(str(CAPTURE)).alerts) == 2


def test_a_cached_rule_set_knows_whether_there_is_a_database(tmp_path):
    mine = tmp_path / "mine"
    rules = tmp_path / "a.rules"
    rules.write_text('alert http any any -> any any (filemagic:"from home"; sid:1;)\n')

    def refused() -> int:
        return len(fp.RuleSet.load([str(rules)], data_files=DataFiles(magic=str(mine)), cache=tmp_path / "cache").refusals)

    assert [refused(), refused()] == [1, 1]
    mine.write_text("0\tstring\tplain\tletters from home\n")
    assert [refused(), refused()] == [0, 0]


# ---- config ----

@pytest.mark.parametrize("rules, left", [
    (f'config http any any -> any any (http.uri; content:"a.png"; {CONFIG} sid:1;)', {"http": 5, "dns": 2, "smtp": 2}),
    (f'config dns any any -> any any (dns.query; content:"www"; {CONFIG} sid:1;)', {"http": 6, "smtp": 2}),
    ('config dns any any -> any any (dns.query; content:"www"; config:logging disable,type flow,scope flow; sid:1;)', {"http": 6, "smtp": 2}),
    (f'config dns any any -> any any (flow:to_client; {CONFIG} sid:1;)', {"http": 6, "dns": 2, "smtp": 2}),
    (f'config udp any any -> any any (content:"www"; {CONFIG} sid:1;)', {"http": 6, "smtp": 2}),
    (f'config smtp any any -> any any (file.name; content:"a"; {CONFIG} sid:1;)', {"http": 6, "dns": 2, "smtp": 2}),    # written by then
    ('config http any any -> any any (http.uri; content:"a.png"; sid:1;)', {"http": 6, "dns": 2, "smtp": 2})])
def test_transactions_that_are_not_logged(rules, left):
    found = kinds(events(CAPTURE, rules))
    assert found["alert"] == 0 and found["fileinfo"] == len(SAID)       # files are told all the same
    assert {kind: found[kind] for kind in ("http", "dns", "smtp") if found[kind]} == left


def test_other_actions_alert_and_say_so():
    found = events(CAPTURE, f'alert http any any -> any any (http.uri; content:"a.png"; {CONFIG} sid:1;)')
    assert kinds(found)["alert"] == 1 and kinds(found)["http"] == 5


def test_only_the_first_answer_to_a_query_is_not_logged(capture):
    from captures import udp
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"
    other = b"\x12\x35" + question[2:].replace(b"www", b"abc")
    packets = [udp(question, dport=53), udp(other, dport=53)]
    packets += [udp(each[:2] + b"\x81\x80" + each[4:], "10.0.0.2", 53, "10.0.0.1", 40000) for each in (question, other, question)]
    found = events(capture(packets), f'config dns any any -> any any (dns.query; content:"www"; {CONFIG} sid:1;)')
    assert [(one["pcap_cnt"], one["dns"]["type"]) for one in found if one["event_type"] == "dns"] == [(2, "query"), (4, "answer"), (5, "answer")]


@pytest.mark.parametrize("value", ["", "logging", "logging disable", "logging disable, type tx", "logging enable, type tx, scope tx",
                                   "tracking disable, type flow, scope packet", '"logging disable, type tx, scope tx"',
                                   "logging disable, type tx, scope packet"])
def test_forms_that_suricata_does_not_know_are_malformed(value):
    refusals = fp.RuleSet.parse(f"config dns any any -> any any (config:{value}; sid:1;)").refusals
    assert [one.malformed for one in refusals] == [True]


def test_workers_and_bursts_change_nothing():
    rules = RULES.read_text()
    assert len({replay(CAPTURE, rules, sets=FORCED, engine={"workers": workers, "burst": burst}).digest
                for workers, burst in ((1, 1), (1, 256), (2, 7), (4, 128))}) == 1
