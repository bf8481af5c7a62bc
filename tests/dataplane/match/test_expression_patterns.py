"""Rules whose only patterns are those of expressions match what they match without any."""
from __future__ import annotations

from random import Random

import pytest
from captures import conversation, tcp, udp, write_pcap
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan

import fastpath as fp
from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_INSPECTIONS, PROTOCOL_NUMBERS
from fastpath.dataplane.match.transaction_trial import TransactionTrial
from fastpath.dataplane.trial import Trial
from fastpath.rules import compile as compiler
from fastpath.rules.plan import Block, Pcre, RulePlan

HTTP = PROTOCOL_NUMBERS["http"]
COMPLETE = 5
BUFFERS = {0: ("http.uri", "http.method", "http.host", "http.request_body", "http.request_header"),
           1: ("http.stat_code", "http.server", "http.response_body", "http.response_header")}
EXPRESSIONS = (b"[ab]{3}c", b"(?i)abca", b"[0-9]{2}-[0-9]{3}", b"(?:ab|ba)c(?=a)", b"a[bc]{2,4}1", b"(?<!a)b{3}c", b"1-?2-?3[0-9-]{4}", b"^abc", b"c.*?c1a$")
WORDS = (b"a", b"b", b"c", b"abc", b"ABCA", b"bbbc", b"12-345", b"1-23", b"1", b"-", b"c1a")
PACKETS = tcp(b"", "10.0.0.1", 40000, "10.0.0.2", 80), tcp(b"", "10.0.0.2", 80, "10.0.0.1", 40000)


@pytest.fixture(scope="module", autouse=True)
def often_is_seldom():
    """The bytes of these tests are few: whatever expressions ask for is looked for."""
    patched = pytest.MonkeyPatch()
    patched.setattr(compiler, "SELDOM", 1)
    yield
    patched.undo()


def without_patterns(plans: list[RulePlan]):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiler, "seldomest", lambda block: (1.0, ()))
        return compiler.compile_rules(plans)


def with_patterns(plans: list[RulePlan]):
    made = compiler.compile_rules(plans)
    found = [compiler.fast_patterns(each, compiler.settled(compiler.merged(each.blocks)))[1] for each in plans]
    assert sum(map(bool, found)) > len(plans) / 2
    return made


def progress_of(buffer: str, direction: int) -> int:
    return next(progress for proto, way, progress in APP_INSPECTIONS[APP_BUFFERS[buffer][0]] if (proto, way) == (HTTP, direction))


def random_rule(choice: Random, sid: int) -> RulePlan:
    made = plan([], sid=sid, proto="http")
    made.blocks.append(Block(choice.choice(BUFFERS[choice.randrange(2)]), [Pcre(choice.choice(EXPRESSIONS), "", negated=choice.random() < 0.1)]))
    return made


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_on_transactions(seed):
    """Over histories as rooms make them: what a transaction has gone past does not change."""
    choice = Random(seed)
    rules = [random_rule(choice, sid) for sid in range(1, 25)]
    trials = TransactionTrial(with_patterns(rules)), TransactionTrial(without_patterns(rules))
    progress: list[list[int]] = []
    for _ in range(30):
        if not progress or len(progress) < 3 and choice.random() < 0.2:
            for trial in trials:
                trial.transaction()
            progress.append([0, 0])
        tx, direction = choice.randrange(len(progress)), choice.randrange(2)
        before = progress[tx][direction]
        for buffer in BUFFERS[direction]:
            if before <= progress_of(buffer, direction) and choice.random() < 0.6:
                data = b"".join(choice.choices(WORDS, k=choice.randint(1, 5)))
                for trial in trials:
                    trial.tell(tx, direction, buffer, data, index=0)
        if choice.random() < 0.6:
            progress[tx][direction] = min(COMPLETE, before + choice.randint(1, 2))
            for trial in trials:
                trial.progress(tx, direction, progress[tx][direction])
        found = [trial.inspect(PACKETS[direction], direction) for trial in trials]
        assert found[0] == found[1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_on_payload(seed):
    choice = Random(seed)
    rules = [plan([Pcre(choice.choice(EXPRESSIONS), "")], sid=sid) for sid in range(1, 10)]
    packets = [udp(b"".join(choice.choices(WORDS, k=choice.randint(0, 8)))) for _ in range(20)]
    assert Trial(with_patterns(rules)).match(packets) == Trial(without_patterns(rules)).match(packets)


def test_bodies_and_streams(tmp_path):
    """Bodies in windows, answers in many packets, mail in several parts, raw streams: the same alerts, for bursts and workers too."""
    choice = Random(5)
    bodies = [b"".join(choice.choices([*WORDS, b" filler " * 40], k=400)) for _ in range(12)]
    web = [(b"POST /%s HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s" % (bodies[i][:7].replace(b" ", b"_"), len(bodies[i]), bodies[i]),
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(bodies[-i - 1]), bodies[-i - 1])) for i in range(6)]
    capture = write_pcap(tmp_path / "a.pcap", conversation(web))
    text = ""
    for at, expression in enumerate(EXPRESSIONS):
        quoted = expression.decode()
        for place, (proto, buffer) in enumerate((("http", "http.uri; "), ("http", "http.request_body; "), ("http", "file.data; "), ("tcp", ""),
                                                 ("tcp-pkt", ""))):
            text += f'alert {proto} any any -> any any ({buffer}pcre:"/{quoted}/"; sid:{10 * at + place + 1};)\n'
    digests = set()
    for patterns in (True, False):
        with pytest.MonkeyPatch.context() as patched:
            if not patterns:
                patched.setattr(compiler, "seldomest", lambda block: (1.0, ()))
            for settings_ in ({"burst": 1}, {"burst": 7, "workers": 2}, {"burst": 256, "workers": 4}):
                with fp.Engine(fp.RuleSet.parse(text), **settings_) as engine:
                    result = engine.replay(capture)
                    digests.add((result.digest, tuple(result.alerts["sid"].tolist())))
    [(_, sids)] = digests
    assert {sid % 10 for sid in sids} == {1, 2, 3, 4, 5}
