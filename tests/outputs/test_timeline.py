"""One workload's story: what is told of it, in which order, and nothing of others."""
from __future__ import annotations

import re

import pytest
from captures import conversation, udp
from runs import rules_of

import fastpath as fp
from fastpath.outputs.terminal import console
from fastpath.outputs.timeline import Timeline, print_timeline

HOST = "10.0.0.7"
RULES = """
alert http any any -> any any (msg:"a secret"; http.uri; content:"/secret"; sid:1;)
alert udp any any -> any any (msg:"beacon"; content:"beacon"; isolate:src, seconds 60, standby spare; sid:2;)
"""
WEB = [(b"GET /secret HTTP/1.1\r\nHost: a.test\r\n\r\n", b"HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n")]


def story(path, mode="ids"):
    timeline = Timeline(HOST, mode)
    with fp.Engine(rules_of(RULES), mode=mode) as engine:
        engine.replay(path, sinks=(timeline.sink,))
    return timeline


def test_moments_of_the_host_in_order(capture):
    frames = [*conversation(WEB, src="10.0.0.1"), *conversation(WEB, src=HOST, sport=41000), *conversation(WEB * 2, src=HOST, sport=41001),
              udp(b"beacon", HOST), udp(b"beacon", "10.0.0.8")]
    timeline = story(capture([(10.0 + number, frame) for number, frame in enumerate(frames)]))
    rows = timeline.rows()
    assert [time for time, *_ in rows] == sorted(time for time, *_ in rows)
    kinds = [(kind, peer) for _, kind, peer, _ in rows]
    assert ("alert", "→ 10.0.0.2") in kinds and ("isolation", "") in kinds and all("10.0.0.8" not in said and "10.0.0.1 " not in said
                                                                                   for _, _, _, said in rows)
    told = {said for _, kind, _, said in rows if kind == "http"}
    assert told == {"GET a.test /secret 404 (3 times)"}
    assert any("standby spare" in said and "beacon" in said for _, kind, _, said in rows if kind == "isolation")


def test_what_is_printed(capture):
    out = console()
    with out.capture() as shown:
        print_timeline(out, story(capture(conversation(WEB, src=HOST)), "ips"))
    assert re.search(rf"{HOST}: \d+ moments", shown.get()) and "a secret [1:1]" in shown.get()


def test_what_is_no_address():
    with pytest.raises(ValueError, match="takes an address"):
        Timeline("gpu-17")
