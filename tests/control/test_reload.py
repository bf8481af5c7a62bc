"""Rules swapped while a transaction is open: it is inspected anew, and tells nobody twice."""
from __future__ import annotations

import pytest
from runs import rules_of
from segments import handshake, segment

import fastpath as fp

HEAD = b"POST /begin HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nfirst."
TAIL = b"second"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BOTH = 'alert http any any -> any any (http.uri; content:"/begin"; http.request_body; content:"second"; sid:{sid};)'
URI = 'alert http any any -> any any (http.uri; content:"/begin"; sid:{sid};)'
BODY = 'alert http any any -> any any (http.request_body; content:"first"; sid:{sid};)'
END = 'alert http any any -> any any (http.request_body; content:"second"; sid:{sid};)'


def rules(*texts: str) -> fp.RuleSet:
    return rules_of("\n".join(texts))


def pieces() -> tuple[list[bytes], list[bytes], list[bytes]]:
    """A request in two, and what ends it and its flow."""
    head = [*handshake(), segment(0, "PA", 1001, 5001, HEAD), segment(1, "A", 5001, 1001 + len(HEAD))]
    at = 1001 + len(HEAD)
    tail = [segment(0, "PA", at, 5001, TAIL), segment(1, "A", 5001, at + len(TAIL))]
    at += len(TAIL)
    answer = [segment(1, "PA", 5001, at, ANSWER), segment(0, "A", at, 5001 + len(ANSWER))]
    return head, tail, answer


def sids(verdicts: fp.Verdicts) -> list[int]:
    return sorted(verdicts.alerts["sid"].tolist())


@pytest.mark.parametrize("mode", ["ids", "ips"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_open_transaction_is_inspected_anew(mode, workers):
    """What the first part of a request holds is known to rules that come behind it and wait for the rest, whatever was there before."""
    head, tail, answer = pieces()
    for before in (rules(BOTH.format(sid=1)), rules(BODY.format(sid=7)), rules("alert udp any any -> any 9 (sid:8;)")):
        with fp.Engine(before, mode=mode, workers=workers, checksums="none") as engine:
            engine.inspect(head)
            engine.reload(rules(BOTH.format(sid=2), BOTH.format(sid=1)))
            told = sids(engine.inspect(tail)), sids(engine.inspect(answer))
            assert told == (([], [1, 2]) if mode == "ids" else ([1, 2], []))    # out of line with the client's next packet


@pytest.mark.parametrize("mode", ["ids", "ips"])
def test_a_rule_that_matched_does_not_match_again(mode):
    """Nor after a second reload; a rule that is new, or whose gid is another, does. Out of line the rest of the request is taken up
    with its acknowledgment, behind the second reload; in line before it, when the request is over. The beginning of the body, which
    nobody asked for when it came, was not kept for a rule on bodies."""
    head, tail, answer = pieces()
    with fp.Engine(rules(URI.format(sid=1)), mode=mode, checksums="none") as engine:
        before = engine.inspect([*head, segment(0, "A", 1001 + len(HEAD), 5001)])
        assert sids(before) == [1]
        engine.reload(rules(URI.format(sid=1), BOTH.format(sid=2), URI.format(sid=3), URI.format(sid="1; gid:9")))
        told = sids(engine.inspect(tail[:1]))
        engine.reload(rules(URI.format(sid=1), BOTH.format(sid=2), URI.format(sid=3), URI.format(sid="1; gid:9"), BODY.format(sid=5),
                            END.format(sid=6)))
        told += sids(engine.inspect(tail[1:])) + sids(engine.inspect(answer))
        assert sorted(told) == ([1, 2, 3, 6] if mode == "ids" else [1, 2, 3])


def test_rules_that_wait_are_forgotten_with_their_set():
    """Half matched under the old set, gone in the new one."""
    head, tail, _ = pieces()
    with fp.Engine(rules(BOTH.format(sid=1)), mode="ips", checksums="none") as engine:
        engine.inspect(head)
        engine.reload(rules(URI.format(sid=9)))
        assert sids(engine.inspect(tail)) == [9]


def test_a_transaction_that_is_over_stays_over():
    head, tail, answer = pieces()
    with fp.Engine(rules(URI.format(sid=1)), mode="ips", checksums="none") as engine:
        assert sids(engine.inspect(head + tail)) == [1]
        engine.reload(rules(URI.format(sid=1), URI.format(sid=2)))
        assert sids(engine.inspect(answer)) == []
