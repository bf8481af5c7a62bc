"""The day of an AI factory: every scene of `fastpath demo --ai` is what happened, not what is written."""
from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fastpath.demo import factory


@pytest.fixture(scope="module")
def day():
    return factory.run_day()


def test_the_servers_are_found_by_what_they_answer(day):
    assert {item.service: item.status for item in day.result.inventory} == dict.fromkeys(
        ("LiteLLM", "OpenAI-compatible server", "MLflow", "Ray", "Chroma", "MCP server"), "sanctioned") | {"Jupyter": "tolerated"}


def test_an_injected_prompt_is_seen_inside_tls_and_only_with_the_keys(day):
    found = [alert for alert in day.result.alerts if alert["msg"].startswith("AI factory prompt")]
    assert found and all(alert["decrypted"] and alert["src_ip"] == factory.SUSPECT for alert in found)
    assert day.result.stats["decryption"]["sessions"] == 3


def test_weights_do_not_leave_and_a_note_does(day):
    flows = [flow for flow in day.result.flows if flow["dest_ip"] == "203.0.113.5" and flow["proto"] == 6]
    left = {flow["src_ip"]: flow["dropped_pkts"] for flow in flows}
    assert left["10.20.0.3"] == 0 and left[factory.SUSPECT] > 20
    assert day.result.stats["policy"]["denied_flows"] == {"data": 1}


def test_the_poisoned_model_is_dropped_on_its_way_in_and_out(day):
    dropped = {(alert["sid"], alert["src_ip"]) for alert in day.result.alerts if alert["action"] == "drop"}
    assert {(9_900_001, factory.SUSPECT), (9_900_003, "10.20.0.10")} <= dropped
    assert any("manifest" in alert["msg"] and alert["action"] == "drop" for alert in day.result.alerts)


def test_the_flood_is_throttled_and_nobody_else(day):
    asked = next(talker.requests for talker in day.result.llm if talker.client == factory.SUSPECT)
    blocked = [alert["src_ip"] for alert in day.result.alerts if alert["sid"] == 9_900_002]
    assert set(blocked) == {factory.SUSPECT} and len(blocked) == 60 - 20 and asked == 61


def test_the_laptop_is_isolated_and_what_it_sends_then_is_dropped(day):
    order, = day.orders
    assert (order.isolation.workload, order.isolation.standby) == (factory.SUSPECT, "spare-4")
    isolated = [row["ordinal"] for row in day.result.packets if row["reason"] == "isolated"]
    assert len(isolated) > 5 and min(isolated) >= order.ordinal


def test_the_day_is_the_same_for_workers_and_bursts(day):
    assert {factory.run_day(workers=workers, burst=burst).result.digest for workers, burst in ((1, 1), (2, 7), (4, 256))} == {day.result.digest}


def test_nothing_of_the_weights_got_out(day):
    leaving = next(model for model in day.result.models if model.server == "203.0.113.5")
    assert leaving.size > 0 and factory.let_through(day.result, leaving.flow) == 0


def test_it_is_told_on_the_terminal():
    out = Console(file=io.StringIO(), record=True, width=120)
    factory.tell_factory(out)
    text = re.sub(r"\s+", " ", out.export_text())
    assert "…" not in text, "nothing is cut off at the width of the demo"
    for words in ("What AI runs here", "decrypted TLS", "weights stay here", "posix.system", "throttled", "spare-4"):
        assert words in text, words


def test_it_is_told_as_a_page(day):
    """What happened, what is left to do, and how it is known; nothing loaded from elsewhere."""
    pytest.importorskip("jinja2", reason="makes the page")
    from fastpath.demo.page import render
    text = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", render(day), flags=re.S))
    for words in ("7 AI services are in use", "None of their bytes got out", "40 of 61 questions were dropped", "spare-4 is to take its place", "2026-11-22 21:35 UTC",
                  "What is left to do", "LiteLLM 1.106.2 gateway sanctioned", "earlier instructions ignored in a prompt a laptop reported 9403002 AML.T0051",
                  "weights stay here: 32 packets denied a laptop stopped policy", "posix.system", "AML.T0020, LLM04", day.result.digest):
        assert words in text, words
    assert "src=" not in render(day) and "http://" not in render(day).replace("http://www.w3.org", "")


def test_the_page_is_written_from_the_command_line(tmp_path):
    pytest.importorskip("jinja2", reason="makes the page")
    from typer.testing import CliRunner

    from fastpath.cli import app
    made = CliRunner().invoke(app, ["demo", "--ai", "--html", str(tmp_path / "day.html")])
    assert made.exit_code == 0 and "<h1>One day of an AI factory</h1>" in (tmp_path / "day.html").read_text()
