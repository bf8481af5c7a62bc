"""Most entries go a shorter way where rules alone ask for anything (_plain.pxi). Nobody can tell: somebody isolated, whom no packet
is of, sends them all the whole way, and everything else is the same."""
from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from captures import conversation, write_pcap
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from property.strategies import traffic
from runs import MIXED_RULES, rules_of

import fastpath as fp

quiet = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
BURST = 1       # packet: of bursts that are timed, as the first one is, all entries go the whole way
RULES = {
    "mixed": MIXED_RULES,
    "literals": 'alert tcp any any -> any any (content:"a"; sid:1;)\nalert udp any any -> any any (content:"com"; sid:2;)',
    "packets": 'alert tcp any any -> any any (dsize:>3; content:"e"; sid:1;)\nalert ip any any -> any any (ttl:<64; sid:2;)\n'
               'alert tcp any any -> any any (flags:A; flowbits:isset,seen; sid:3;)\n'
               'alert tcp any any -> any any (content:"a"; flowbits:set,seen; noalert; sid:4;)',
    "transactions": 'alert http any any -> any any (http.uri; content:"/"; sid:1;)\nalert dns any any -> any any (dns.query; content:"."; sid:2;)\n'
                    'alert tls any any -> any any (tls.sni; content:"."; sid:3;)\ndrop tcp any any -> any any (content:"drop"; sid:4;)',
}
everything = SimpleNamespace(wants=frozenset({"apps"}), write=lambda batch: None, close=lambda stats: None)


def outcome(path: Path, rules: fp.RuleSet, whole: bool, sinks: list, **options):
    with fp.Engine(rules, checksums="none", burst=BURST, **options) as engine:
        if whole:
            engine.isolate("203.0.113.254")
        result = engine.replay(str(path), sinks=sinks)
        return result.digest, result.alerts["sid"].tolist(), result.alerts["ordinal"].tolist(), result.stats["alerts"]


@quiet
@given(packets=traffic(), kind=st.sampled_from(sorted(RULES)), mode=st.sampled_from(["ids", "ips"]), apps=st.booleans())
def test_any_traffic(packets, kind, mode, apps):
    rules, sinks = rules_of(RULES[kind]), [everything] if apps else []
    with tempfile.TemporaryDirectory() as folder:
        path = write_pcap(Path(folder) / "a.pcap", packets)
        assert outcome(path, rules, False, sinks, mode=mode) == outcome(path, rules, True, sinks, mode=mode)


REQUESTS = (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc", b"def", b"a" * 3000)
REPLIES = (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", b"cd", b"HTTP/1.1 204 No Content\r\n\r\n", b"a" * 3000)


@quiet
@given(talk=st.lists(st.tuples(st.sampled_from(REQUESTS), st.sampled_from(REPLIES)), max_size=12), kind=st.sampled_from(sorted(RULES)),
       mode=st.sampled_from(["ids", "ips"]), apps=st.booleans())
@example(talk=[(REQUESTS[2], b""), (REQUESTS[3], b"")], kind="transactions", mode="ids", apps=False)
def test_requests_and_replies(talk, kind, mode, apps):
    """Whoever speaks, and whatever is acknowledged without an answer: transactions are looked at with the same packets."""
    rules, sinks = rules_of(RULES[kind]), [everything] if apps else []
    with tempfile.TemporaryDirectory() as folder:
        path = write_pcap(Path(folder) / "a.pcap", conversation([(REQUESTS[1], b""), *talk]))
        assert outcome(path, rules, False, sinks, mode=mode) == outcome(path, rules, True, sinks, mode=mode)


@quiet
@given(packets=traffic(), mode=st.sampled_from(["ids", "ips"]))
def test_verdicts_and_their_flows(packets, mode):
    rows = []
    for whole in (False, True):
        with fp.Engine(rules_of(MIXED_RULES), mode=mode, burst=BURST) as engine:
            if whole:
                engine.isolate("203.0.113.254")
            rows.append(engine.inspect([frame for _, frame, _ in packets]).array)
    assert np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("kind", RULES)
def test_real_captures(corpus, kind):
    found = sorted(path for folder in ("zeek", "ndpi") for path in (corpus / "pcaps" / folder).rglob("*.pcap") if path.stat().st_size < 1 << 20)
    rules = rules_of(RULES[kind])
    for path in found[1::12]:
        assert outcome(path, rules, False, []) == outcome(path, rules, True, []), path
