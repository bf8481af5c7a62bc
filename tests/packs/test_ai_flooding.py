"""LLM denial of service: rates by client, key and model, slow and endless ones; who asked most; the same whatever the workers."""
from __future__ import annotations

import json
from importlib.resources import files

import pytest
from captures import conversation, tcp, write_pcap
from chats import chat, pieces, reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastpath as fp

RULES = files("fastpath.packs.ai_factory").joinpath("flooding.rules").read_text()


def run(path, frames, rules: str = RULES, **options):
    with fp.Engine(fp.RuleSet.parse(rules), **options) as engine:
        return engine.replay(write_pcap(path, frames), keep=("alerts", "packets"))


def found(path, frames, rules: str = RULES) -> list[int]:
    return run(path, frames, rules).alerts["sid"].tolist()


def asked(times: int, text: str = "hi", *, clients: int = 1, every: float = 0.1, port: int = 20000, **options) -> list[tuple[float, bytes]]:
    """So many requests, from as many clients in turn, a connection each."""
    frames = []
    for number in range(times):
        said = conversation([(chat(text, **options), reply("fine"))], src=f"10.0.1.{number % clients + 1}", sport=port + number)
        frames += [(1_700_000_000 + number * every + at * 1e-4, frame) for at, frame in enumerate(said)]
    return frames


#: sid -> what goes over its number, and what stays below.
RATES = {
    9404001: (lambda: asked(121), lambda: asked(120)),
    9404002: (lambda: asked(601, clients=20, every=0.05), lambda: asked(600, clients=20, every=0.05)),
    9404003: (lambda: asked(3001, clients=200, every=0.01), lambda: asked(3000, clients=200, every=0.01)),
    9404011: (lambda: asked(81, "a" * 50000), lambda: asked(80, "a" * 50000)),
    9404012: (lambda: asked(41, "a" * 500000, clients=20), lambda: asked(40, "a" * 500000, clients=20)),
    9404013: (lambda: asked(21, "a" * 5_000_000, clients=20), lambda: asked(20, "a" * 5_000_000, clients=20)),
}


@pytest.mark.parametrize("sid", sorted(RATES))
def test_rates(tmp_path, sid, monkeypatch):
    rule = next(line for line in RULES.splitlines() if f"sid:{sid};" in line)
    over, below = RATES[sid]
    if sid == 9404013:      # the same shape by a number that a test can carry
        rule = rule.replace("prompt_bytes 100000000", "prompt_bytes 1000000")
        over, below = (lambda: asked(21, "a" * 50000, clients=20)), (lambda: asked(20, "a" * 50000, clients=20))
    if sid == 9404012:
        rule = rule.replace("prompt_bytes 20000000", "prompt_bytes 2000000")
        over, below = (lambda: asked(41, "a" * 50000, clients=20)), (lambda: asked(40, "a" * 50000, clients=20))
    assert found(tmp_path / "a.pcap", over(), rule) == [sid]
    assert found(tmp_path / "b.pcap", below(), rule) == []


def test_a_window_passes(tmp_path):
    assert found(tmp_path / "a.pcap", asked(300, every=0.6), RULES) == []


def test_what_has_no_key_or_model_is_counted_by_client_alone(tmp_path):
    rules = "\n".join(f"alert http any any -> any any (llm_rate:requests 2, seconds 60, by {by}; sid:{sid};)" for sid, by in ((1, "client"), (2, "key"), (3, "model")))
    body = json.dumps({"prompt": "x"}).encode()
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    frames = [frame for number in range(4) for frame in conversation([(request, reply("x"))], sport=30000 + number)]
    assert found(tmp_path / "a.pcap", frames, rules) == [1, 1]


def test_keys_are_told_apart(tmp_path):
    rule = "alert http any any -> any any (llm_rate:requests 2, seconds 60, by key; sid:1;)"
    assert found(tmp_path / "a.pcap", [*asked(2, key="a"), *[(ts + 9, frame) for ts, frame in asked(2, key="b", port=30000)]], rule) == []


def test_other_http_does_not_count(tmp_path):
    frames = [frame for number in range(200) for frame in conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")],
                                                                       sport=30000 + number)]
    assert found(tmp_path / "a.pcap", frames) == []


def test_in_ips_mode_what_is_above_does_not_pass(tmp_path):
    rule = "drop http any any -> any any (llm_rate:requests 3, seconds 60, by client; sid:1;)"
    result = run(tmp_path / "a.pcap", asked(10), rule, mode="ips")
    assert result.alerts["sid"].tolist() == [1] * 7
    dropped = result.packets["action"] == "drop"
    assert dropped.sum() == 7 * 7       # of ten packets each: the one with the request and the six behind it
    assert result.stats["ledger"]["dropped"]["packets"] == dropped.sum()


# ---- one that is too much, and slow ones ----

#: Rules on shapes rather than rates; the tests below have what each catches, and what it leaves alone.
SHAPES = (9404021, 9404022, 9404023, 9404031, 9404032, 9404033, 9404034)


def test_a_prompt_beyond_the_limit(tmp_path):
    assert found(tmp_path / "a.pcap", pieces(chat("a" * 70000), reply("x"), 1400)) == [9404021]
    assert found(tmp_path / "b.pcap", pieces(chat("a" * 60000), reply("x"), 1400)) == []


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_nesting_and_broken_json(tmp_path):
    assert found(tmp_path / "a.pcap", pieces(post(b'{"model":"m","prompt":' + b"[" * 200), reply("x"), 1400)) == [9404022]
    assert found(tmp_path / "b.pcap", pieces(post(b'{"model":"m","prompt":"x" x}'), reply("x"), 1400)) == [9404023]
    assert found(tmp_path / "c.pcap", pieces(post(b'{"other":"x" x}'), reply("x"), 1400)) == []


def stretched(frames: list[bytes], seconds: float) -> list[tuple[float, bytes]]:
    return [(1_700_000_000 + at * seconds / len(frames), frame) for at, frame in enumerate(frames)]


def test_slow_requests_and_answers(tmp_path):
    slow, quick = pieces(chat("a" * 2000), reply("x"), 20), pieces(chat("a"), reply("b" * 3000), 40)
    assert found(tmp_path / "a.pcap", stretched(slow, 100)) == [9404031]
    assert found(tmp_path / "b.pcap", stretched(slow, 50)) == []
    assert found(tmp_path / "c.pcap", stretched(quick, 700)) == [9404032]
    assert found(tmp_path / "d.pcap", stretched(quick, 500)) == []


def shut_window(frames: list[bytes], times: int, window: bytes = b"\0\0") -> list[bytes]:
    """The client says so often that it has no room."""
    ack = tcp(sport=40000, seq=1000 + len(chat("a")), ack=9000)
    ack = ack[:48] + window + ack[50:]
    return [*frames[:5], *[ack] * times, *frames[5:]]


def test_a_reader_that_keeps_its_window_shut(tmp_path):
    frames = pieces(chat("a"), reply("b"), 4000)
    with fp.Engine(fp.RuleSet.parse(RULES), checksums="none") as engine:
        def sids(name, made):
            return engine.replay(write_pcap(tmp_path / name, made)).alerts["sid"].tolist()
        assert sids("a.pcap", shut_window(frames, 25)) == [9404034]
        assert sids("b.pcap", shut_window(frames, 10)) == []
        assert sids("c.pcap", shut_window(frames, 25, b"\x20\0")) == []
        other = pieces(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * (len(chat("a")) - 27), reply("b"), 4000)
        assert sids("d.pcap", shut_window(other, 25)) == []


def test_what_is_followed_is_a_request_to_a_model(tmp_path):
    """9404033 raises no alert: it marks the flows that 9404034 looks at."""
    rule = next(line for line in RULES.splitlines() if "sid:9404033;" in line).replace("noalert; ", "")
    assert found(tmp_path / "a.pcap", pieces(chat("a"), reply("b"), 4000), rule) == [9404033]
    assert found(tmp_path / "b.pcap", pieces(post(b'{"other":"x"}'), reply("b"), 4000), rule) == []


# ---- who asked most ----

def test_top_talkers(tmp_path):
    frames = [*asked(3, "hello", clients=2), *[(ts + 50, frame) for ts, frame in asked(1, "a" * 100, model="big", key="sk-b", port=30000)]]
    result = run(tmp_path / "a.pcap", frames)
    assert [(each.client, each.model, each.requests, each.prompt_bytes, each.response_bytes) for each in result.llm] == [
        ("10.0.1.1", "big", 1, 100, 4), ("10.0.1.1", "m", 2, 10, 8), ("10.0.1.2", "m", 1, 5, 4)]
    assert len({each.key for each in result.llm}) == 2
    assert result.stats["llm"][0] == result.llm[0].as_dict()
    assert "sk-" not in repr(result.stats)


def test_talkers_are_bounded(monkeypatch):
    import msgspec
    import numpy as np

    from fastpath.control import llm
    from fastpath.dataplane import rows
    monkeypatch.setattr(llm, "TALKERS_MAX", 3)
    held = b"".join(msgspec.msgpack.encode({"llm": {"model": b"m%d" % i, "prompt_bytes": i, "response_bytes": 0, "streamed": False}}) for i in range(5))
    made = np.zeros(5, rows.APP)
    made["kind"], made["length"], made["offset"] = llm.APP_ROW_LLM, len(held) // 5, np.arange(5) * (len(held) // 5)
    made["key"]["net"] = rows.NET_IPV4
    talkers = llm.Talkers()
    talkers.take(made, held)
    assert ([each.prompt_bytes for each in talkers.top()], talkers.left_out) == ([2, 1, 0], 2)


# ---- the same, whatever runs it ----

@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["a", "b"]), st.sampled_from(["m", "n"]), st.integers(0, 40)), min_size=1, max_size=30),
       st.integers(3, 200), st.sampled_from(["ids", "ips"]))
def test_bursts_and_workers_change_nothing(tmp_path_factory, requests, size, mode):
    rules = "\n".join(f"drop http any any -> any any (llm_rate:{what}, seconds 2, by {by}; sid:{sid};)" for sid, (what, by) in enumerate(
        [("requests 3", "client"), ("requests 5", "key"), ("prompt_bytes 40", "model")], 1))
    rules += '\nalert http any any -> any any (flow:to_server; llm.prompt; content:"aaaaa"; sid:9;)\n'
    parts = [pieces(chat("a" * length, key=key, model=model), reply("x"), size, sport=40000 + number)
             for number, (_, key, model, length) in enumerate(requests)]
    frames = [part[at] for at in range(max(map(len, parts))) for part in parts if at < len(part)]
    path = write_pcap(tmp_path_factory.mktemp("x") / "a.pcap", frames, step=0.01)
    results = []
    for burst, workers in ((256, 1), (1, 1), (7, 1), (256, 2), (7, 4)):
        with fp.Engine(fp.RuleSet.parse(rules), mode=mode, burst=burst, workers=workers) as engine:
            result = engine.replay(path)
            results.append((result.digest, result.llm))
    assert all(each == results[0] for each in results)
