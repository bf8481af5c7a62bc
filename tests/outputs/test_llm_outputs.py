"""Talk with models as it is told: EVE events, what alerts carry, the terminal, the report. The API key is in none of it."""
from __future__ import annotations

import io
import json
from hashlib import sha256

import pytest
from captures import conversation, write_pcap
from chats import chat, reply
from rich.console import Console

import fastpath as fp
from fastpath.outputs import report, terminal
from fastpath.outputs.eve import EveWriter

KEY = "sk-very-secret-0123456789"
SAID = {"path": "/v1/chat/completions", "model": "gpt <b>", "key": sha256(KEY.encode()).hexdigest()[:16], "prompt_bytes": 5, "response_bytes": 4, "streamed": False}


@pytest.fixture
def capture(tmp_path):
    return write_pcap(tmp_path / "a.pcap", conversation([(chat("hello", model="gpt <b>", key=KEY), reply("fine"))]))


def run(capture, events, rules=None):
    out = io.BytesIO()
    with fp.Engine(rules) as engine:
        result = engine.replay(capture, keep=(), sinks=[EveWriter(out, events)])
    return result, out.getvalue()


def test_events(capture):
    """Wanted, they come without any rule."""
    result, out = run(capture, ["llm"])
    [event] = [json.loads(line) for line in out.splitlines()]
    assert (event["event_type"], event["src_ip"], event["dest_port"], event["tx_id"], event["llm"]) == ("llm", "10.0.0.1", 80, 0, SAID)
    assert len(result.llm) == 1


def test_nothing_is_read_where_nobody_asks(capture):
    result, out = run(capture, ["http"])
    assert result.llm == []
    assert "llm" not in json.loads(out)


def test_alerts_carry_it_and_nothing_holds_the_key(capture):
    rules = fp.RuleSet.parse('alert http any any -> any any (msg:"x"; llm.prompt; content:"hello"; sid:1;)')
    result, out = run(capture, ["all"], rules)
    alert = next(event for event in map(json.loads, out.splitlines()) if event["event_type"] == "alert")
    assert alert["llm"] == SAID
    assert "very-secret" not in out.decode()
    shown = Console(file=io.StringIO(), width=200)
    terminal.print_talkers(shown, result.llm)
    page = report.render(result)
    for text in (shown.file.getvalue(), page):
        assert SAID["key"] in text
        assert "very-secret" not in text
    assert "gpt &lt;b&gt;" in page
    assert "<b>" not in page.split("Language models")[1].split("</section>")[0]
