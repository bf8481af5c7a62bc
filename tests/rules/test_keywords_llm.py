"""llm.prompt, llm.response, llm.model, llm.seconds, llm_rate."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan, read

from fastpath.rules.plan import Block, Content, FlowState, NumberIs, Threshold, Transform
from fastpath.rules.spelling import spelled


@pytest.mark.parametrize("buffer, direction", [("llm.prompt", "to_server"), ("llm.response", "to_client"), ("llm.model", "to_server")])
def test_buffers(buffer, direction):
    read_as = plan(f'{buffer}; to_lowercase; content:"a"; ')
    assert read_as.blocks == [Block(buffer, [Content(b"a")], (Transform("to_lowercase"),))]
    assert read_as.app_proto == "http"
    assert read_as.conditions == [FlowState(direction=direction)]


def test_seconds():
    assert plan("llm.seconds:>60;").blocks == [Block("llm.seconds", [NumberIs(((61, 2**32 - 1),))])]


@pytest.mark.parametrize("options, expected", [
    ("llm_rate:requests 60, seconds 10, by client;", Threshold("llm_requests", "by_client", 60, 10)),
    ("llm_rate: by key , prompt_bytes 4000000,seconds 60;", Threshold("llm_prompt_bytes", "by_key", 4000000, 60)),
    ("llm_rate:requests 1, seconds 1, by model; threshold:type limit, track by_src, count 1, seconds 60;", Threshold("llm_requests", "by_model", 1, 1)),
])
def test_rate(options, expected):
    read_as = plan(options, "http")
    assert read_as.detection_filter == expected
    assert (read_as.threshold is not None) == ("threshold" in options)
    assert plan(spelled(expected) + ";", "http").detection_filter == expected


@pytest.mark.parametrize("options", [
    "llm_rate:;", "llm_rate:requests 5;", "llm_rate:requests 5, seconds 3;", "llm_rate:requests 5, seconds 3, by host;", "llm_rate:requests x, seconds 3, by key;",
    "llm_rate:requests 5, prompt_bytes 5, seconds 3, by key;", "llm_rate:seconds 3, by key;", "llm_rate:requests 5, seconds 0, by key;",
    "llm_rate:requests 5, seconds 3, by key; llm_rate:requests 5, seconds 3, by model;",
    "llm_rate:requests 5, seconds 3, by key; detection_filter:track by_src, count 1, seconds 1;",
    "detection_filter:track by_src, count 1, seconds 1; llm_rate:requests 5, seconds 3, by key;",
    "llm.prompt;", "llm.prompt:x; content:\"a\";", "llm.seconds:x;", "tls.sni; content:\"a\"; llm.prompt; content:\"b\";",
    "llm.prompt; content:\"a\"; llm.response; content:\"b\";",
])
def test_malformed(options):
    assert malformed(options)


def test_a_fault_names_its_place():
    fault = read("llm_rate:requests 5, seconds 3, by host;")
    assert (fault.place.column, fault.reason) == (66, "found 'host' where one of client, key, model was expected")
    assert malformed("llm.seconds:>=0;") == "'>=0' is always true"
