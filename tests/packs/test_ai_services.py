"""What the policy thinks of AI services: sanctioned, tolerated, forbidden, for all or for some segments."""
from __future__ import annotations

import pytest
from captures import conversation, udp
from runs import assert_ledger

import fastpath as fp
from fastpath.control.policy.model import PolicyError

SEGMENTS = """version: 1
segments: {research: 10.0.0.1, office: 10.0.0.3, all: 0.0.0.0/0}
lines: [{from: all, to: all}]
services:
- {status: sanctioned, services: [OpenAI, vLLM]}
- {name: research alone, status: tolerated, services: Ollama, from: research}
- {name: not here, status: forbidden, services: "*", kinds: [hosted, model_server]}
"""


def question(name: str, src: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return udp(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1", src)


def asked(host: str, src: str = "10.0.0.1", answer: bytes = b"", again: int = 3) -> list[bytes]:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
    return conversation([(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode(), reply)] * again, src=src)


@pytest.fixture(scope="module")
def rules():
    return fp.RuleSet.pack("ai_factory")


def run(rules, path, text=SEGMENTS, mode="ips", **options):
    with fp.Engine(rules, policy=fp.Policy.parse(text, "policy.yaml"), mode=mode, **options) as engine:
        result = engine.replay(path)
    assert_ledger(result.stats)
    return result


def statuses(result):
    return {item.service: item.status for item in result.inventory}


def test_a_forbidden_service_is_cut_off_and_named(rules, capture):
    result = run(rules, capture(asked("api.anthropic.com")))
    assert statuses(result) == {"Anthropic": "forbidden"} and result.stats["ledger"]["dropped"]["packets"] > 3
    line, = [line for line in result.stats["policy"]["lines"] if line["name"] == "not here"]
    assert line["denied"] and result.stats["policy"]["denied_flows"] == {"data": 1}


def test_in_ids_mode_it_is_only_told(rules, capture):
    result = run(rules, capture(asked("api.anthropic.com")), mode="ids")
    assert statuses(result) == {"Anthropic": "forbidden"} and not result.stats["ledger"]["dropped"]["packets"]
    assert result.stats["policy"]["denied_flows"] == {"data": 1}


def test_a_question_for_its_name_is_cut_off_too(rules, capture):
    assert run(rules, capture([question("claude.ai", "10.0.0.3")])).stats["ledger"]["dropped"]["packets"] == 1


@pytest.mark.parametrize(("src", "dropped"), [("10.0.0.1", False), ("10.0.0.3", True)])
def test_a_service_for_one_segment(rules, capture, src, dropped):
    """The answer gives it away: who uses it counts, not who sent that."""
    result = run(rules, capture(asked("a.test", src, b"Ollama is running")))
    assert statuses(result) == {"Ollama": "tolerated"} and bool(result.stats["ledger"]["dropped"]["packets"]) == dropped


def test_sanctioned_and_unlisted_services_pass(rules, capture):
    for host, status in (("api.openai.com", {"OpenAI": "sanctioned"}), ("other.test", {})):
        result = run(rules, capture(asked(host)))
        assert statuses(result) == status and not result.stats["ledger"]["dropped"]["packets"]
    unlisted = SEGMENTS.replace('services: "*"', "services: DeepSeek")
    assert statuses(run(rules, capture(asked("api.anthropic.com")), unlisted)) == {"Anthropic": ""}


def test_workers_and_bursts_change_nothing(rules, capture):
    frames = [frame for number, host in enumerate(("api.anthropic.com", "api.openai.com", "x.test") * 8)
              for frame in conversation([(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")] * 2,
                                        src="10.0.0.1", sport=40000 + number)]
    path = capture(frames)
    assert len({run(rules, path, workers=workers, burst=burst).digest for workers, burst in ((1, 1), (1, 256), (2, 7), (4, 128))}) == 1


@pytest.mark.parametrize(("said", "why"), [
    ("- {status: good, services: a}", "expected sanctioned, tolerated or forbidden"),
    ("- {status: forbidden}", "services"),
    ("- {status: forbidden, services: []}", "expected the name of a service"),
    ("- {status: forbidden, services: a, from: research}", "forbidden to all"),
    ("- {status: tolerated, services: a, from: nowhere}", "no segment"),
])
def test_lists_that_cannot_be_read(said, why):
    text = SEGMENTS.partition("services:\n")[0] + "services:\n" + said
    with pytest.raises(PolicyError, match=why) as caught:
        fp.Policy.parse(text, "policy.yaml")
    assert caught.value.place.line == 5
