"""Talk with language models: which strings of a body are text, however the body was cut; what of it is known; what is bounded."""
from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastpath.dataplane.applayer.room_trial import RoomTrial

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


def trial(**options) -> RoomTrial:
    return RoomTrial("http", ports=(40000, 80), **{"llm.always": True} | options)


def request(body: bytes, path: bytes = b"/v1/chat/completions", headers: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s" % (path, headers, len(body), body)


def shown(room: RoomTrial, direction: int = 0) -> str | None:
    found = room.buffer(0, direction, "llm.response" if direction else "llm.prompt")
    return None if found is None else found[0].decode()


def prompt(body: object, **options) -> str | None:
    room = trial(**options)
    room.feed(0, request(body if isinstance(body, bytes) else json.dumps(body).encode()))
    return shown(room)


def answer(body: bytes, kind: bytes = b"application/json", asked: object = None, room: RoomTrial | None = None) -> str | None:
    room = room or trial()
    room.feed(0, request(json.dumps(asked if asked is not None else {"model": "m", "prompt": "q"}).encode()))
    room.feed(1, HEAD % (kind, len(body)) + body)
    return shown(room, 1)


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


PROMPTS = {
    "chat": ({"model": "m", "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]}, "be kind\nhi"),
    "parts": ({"messages": [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}},
                                                           {"type": "text", "text": "two"}]}]}, "one\ntwo"),
    "completion": ({"model": "m", "prompt": "go on"}, "go on"),
    "completions": ({"prompt": ["a", "b"], "max_tokens": 5}, "a\nb"),
    "responses": ({"model": "m", "instructions": "be brief", "input": [{"role": "user", "content": [{"type": "input_text", "text": "why"}]}]},
                  "be brief\nwhy"),
    "embeddings": ({"input": ["x", "y"], "model": "e"}, "x\ny"),
    "anthropic": ({"model": "c", "system": [{"type": "text", "text": "s"}], "messages": [{"role": "user", "content": [
        {"type": "tool_result", "content": [{"type": "text", "text": "from a tool"}]}]}]}, "s\nfrom a tool"),
    "ollama": ({"model": "l", "system": "s", "prompt": "p", "stream": False}, "s\np"),
    "tgi": ({"inputs": "in", "parameters": {"max_new_tokens": 5, "stop": ["never"]}}, "in"),
    "gemini": ({"system_instruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user", "parts": [{"text": "g"}]}]}, "s\ng"),
    "cohere": ({"model": "r", "chat_history": [{"role": "USER", "message": "before"}], "message": "now"}, "before\nnow"),
    "triton": ({"text_input": "t", "max_tokens": 3}, "t"),
    "mcp": ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run", "arguments": {"q": "one", "deep": [{"x": "two"}]}}},
            "one\ntwo"),
    "mcp batch": ([{"jsonrpc": "2.0", "params": {"arguments": {"a": "1"}}}, {"jsonrpc": "2.0", "params": {"arguments": {"a": "2"}}}], "1\n2"),
    "escaped key": (rb'{"model": "m", "mess\u0061ges": [{"role": "user", "\u0063ontent": "h\u0069"}]}', "hi"),
    "order": ({"input": "before it is known", "model": "m"}, "before it is known"),
}
NO_PROMPTS = {
    "api": {"user": "a", "content": "c", "text": "t"}, "message": {"message": "hello", "id": 5}, "json-rpc": {"jsonrpc": "2.0", "method": "eth_call", "params": ["0x1"]},
    "messages": {"messages": [{"id": 1, "content": "c"}]}, "contents": {"contents": [{"name": "box", "text": "books"}]},
    "car": {"model": "golf", "colour": "red"}, "array": [1, 2, 3], "text": b"prompt=hello", "empty": b"{}",
}
ANSWERS = {
    "chat": (json.dumps({"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}).encode(), b"", "hello"),
    "text": (json.dumps({"choices": [{"text": "a"}, {"text": "b"}]}).encode(), b"", "a\nb"),
    "anthropic": (json.dumps({"content": [{"type": "text", "text": "x"}], "model": "c"}).encode(), b"", "x"),
    "gemini": (json.dumps([{"candidates": [{"content": {"parts": [{"text": "g"}]}}]}, {"candidates": [{"content": {"parts": [{"text": "h"}]}}]}]).encode(),
               b"", "g\nh"),
    "tgi": (json.dumps([{"generated_text": "t"}]).encode(), b"", "t"),
    "ollama": (b'{"model":"l","response":"he","done":false}\n{"model":"l","response":"llo","done":true}\n', b"application/x-ndjson", "hello"),
    "ollama chat": (b'{"message":{"role":"assistant","content":"a"}}\n{"message":{"role":"assistant","content":"b"}}\n', b"application/x-ndjson", "ab"),
    "openai events": (event({"choices": [{"delta": {"role": "assistant"}}]}) + event({"choices": [{"delta": {"content": "ig"}}]})
                      + event({"choices": [{"delta": {"content": "nore"}}]}) + b"data: [DONE]\n\n", b"text/event-stream; charset=utf-8", "ignore"),
    "anthropic events": (b"event: content_block_delta\r\ndata: " + json.dumps({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "ab"}}).encode()
                         + b"\r\n\r\n: ping\r\n\r\n" + event({"type": "content_block_delta", "delta": {"text": "cd"}}), b"text/event-stream", "abcd"),
    "responses events": (event({"type": "response.output_text.delta", "delta": "x"}) + event({"type": "response.output_text.done", "text": "x"})
                         + event({"type": "response.completed", "response": {"output": [{"content": [{"text": "x"}]}]}}), b"text/event-stream", "x"),
    "tgi events": (event({"token": {"id": 1, "text": "a"}}) + event({"token": {"text": "b"}, "generated_text": "ab"}), b"text/event-stream", "ab"),
    "mcp": (json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "found"}, {"type": "text", "text": "more"}]}}).encode(),
            b"", "found\nmore"),
    "mcp events": (b"event: message\n" + event({"jsonrpc": "2.0", "result": {"content": [{"text": "a"}]}})
                   + event({"jsonrpc": "2.0", "result": {"content": [{"text": "b"}]}}), b"text/event-stream", "a\nb"),
    "mcp tools": (json.dumps({"jsonrpc": "2.0", "result": {"tools": [{"name": "t", "description": "reads", "inputSchema": {"description": "no"}}]}}).encode(),
                  b"", "reads"),
    "over lines": (b'data: {"choices": [{"delta":\ndata: {"content": "x"}}]}\n\n', b"text/event-stream", "x"),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts(name):
    body, expected = PROMPTS[name]
    assert prompt(body) == expected


@pytest.mark.parametrize("name", NO_PROMPTS)
def test_other_bodies_are_none(name):
    assert prompt(NO_PROMPTS[name]) is None
    room = trial()
    room.feed(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    body = NO_PROMPTS[name] if isinstance(NO_PROMPTS[name], bytes) else json.dumps(NO_PROMPTS[name]).encode()
    room.feed(1, HEAD % (b"application/json", len(body)) + body)
    assert shown(room, 1) is None
    assert room.log(0, 3) is None


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name):
    body, kind, expected = ANSWERS[name]
    assert answer(body, kind or b"application/json") == expected


@pytest.mark.parametrize("name", ["chat", "openai events", "tgi", "mcp", "mcp events", "mcp tools"])
def test_an_answer_is_known_without_its_request(name):
    body, kind, expected = ANSWERS[name]
    room = trial()
    room.feed(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    room.feed(1, HEAD % (kind or b"application/json", len(body)) + body)
    assert shown(room, 1) == expected


def test_off_nothing_is_read():
    room = RoomTrial("http", ports=(40000, 80))
    room.feed(0, request(json.dumps(PROMPTS["chat"][0]).encode()))
    assert shown(room) is None
    assert room.log(0, 3) is None


# ---- however it was cut ----

@pytest.mark.parametrize("name", PROMPTS)
def test_a_request_cut_at_every_byte(name):
    body, expected = PROMPTS[name]
    whole = request(body if isinstance(body, bytes) else json.dumps(body).encode())
    for cut in range(len(whole) - 1, 60, -1):
        room = trial()
        room.stream(0, [whole[:cut], whole[cut:]])
        assert shown(room) == expected, cut
    room = trial()
    room.stream(0, [whole[i:i + 1] for i in range(len(whole))])
    assert shown(room) == expected


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_in_chunks_of_every_size(name):
    body, kind, expected = ANSWERS[name]
    for size in range(1, len(body)):
        pieces = [body[i:i + size] for i in range(0, len(body), size)]
        room = trial()
        room.feed(0, request(b'{"model": "m", "prompt": "q"}'))
        room.feed(1, b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % (kind or b"application/json"))
        for piece in pieces:
            room.feed(1, b"%x\r\n%s\r\n" % (len(piece), piece))
        room.feed(1, b"0\r\n\r\n")
        assert shown(room, 1) == expected, size


texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("\\\"/\n\t\x7f\ud83d\ude00\U0001f600é\0", max_size=12)


def told(text: str) -> str:
    """Text as UTF-8 can have it: halves of characters are none."""
    return "".join("�" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


@given(st.lists(texts.filter(bool), min_size=1, max_size=5), st.booleans(), st.integers(1, 7))
@example(["\ud83d", "a"], True, 1)
@example(["\ude00\ud83d\ud83d\ude00"], True, 2)
def test_strings_are_those_of_json(found, ascii_only, size):
    messages = [{"role": "user", "content": text} for text in found]
    try:
        body = json.dumps({"messages": messages}, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    whole = request(body)
    room = trial()
    room.stream(0, [whole[i:i + size] for i in range(0, len(whole), size)])
    expected = "\n".join(told(each["content"]) for each in json.loads(body)["messages"])
    assert shown(room) == expected
    assert room.transactions()[0]["events"] == []


values = st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=8),
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["content", "text", "role", "parts", "a", ""])
                                                                                   | st.text(max_size=4), inner, max_size=4), max_leaves=25)


def prose(value: object) -> list[str]:
    """The text of a message, the slow way."""
    if isinstance(value, str):
        return [told(value)]
    if isinstance(value, list):
        return [text for each in value for text in prose(each)]
    if isinstance(value, dict):
        return [text for key, each in value.items()
                if key in ("content", "text", "parts", "message", "output", "reasoning_content", "thinking") for text in prose(each)]
    return []


@given(values, st.sampled_from([None, 0, 3]), st.integers(1, 40))
@settings(max_examples=300)
def test_text_is_found_as_json_has_it(value, indent, size):
    body = json.dumps({"x": value, "model": "m", "messages": value}, indent=indent).encode()
    whole = request(body)
    room = trial()
    room.stream(0, [whole[i:i + size] for i in range(0, len(whole), size)])
    assert room.transactions()[0]["events"] == []
    expected = prose(value)
    joined = ""
    for text in expected:
        joined += ("\n" if joined else "") + text
    assert (shown(room) or "") == joined


# ---- what is bounded ----

def events_of(body: bytes, **options) -> list[str]:
    room = trial(**options)
    room.feed(0, request(body))
    return room.transactions()[0]["events"]


@pytest.mark.parametrize("broken", [b'{"model": "m", "prompt": "x"', b'{"prompt": "x" "y"}', b'{"prompt": "\\x"}', b'{"prompt": "\\u12g4"}', b'{"prompt": "x"}}',
                                    b'{"prompt": "x",}', b'{"prompt": ["x"}', b'{"prompt": "x"} trailing'])
def test_broken_json_is_an_event_and_what_was_read_stays(broken):
    cut_short = broken.endswith(b'"x"')
    assert events_of(broken) == ([] if cut_short else ["http.llm_invalid_json"])
    if b"x\"" in broken and b"\\x" not in broken:
        assert prompt(broken) == "x"


def test_a_broken_event_ends_with_itself():
    room = trial()
    body = event({"choices": [{"delta": {"content": "a"}}]}) + b'data: {"choices": [{"delta"\n\n' + event({"choices": [{"delta": {"content": "b"}}]})
    assert answer(body, b"text/event-stream", room=room) == "ab"
    assert room.transactions()[0]["events"] == ["http.llm_invalid_json"]


def test_deep_nesting_stops():
    assert events_of(b'{"model": "m", "prompt": ' + b"[" * 63 + b'"x"' + b"]" * 63 + b"}") == []
    assert events_of(b'{"model": "m", "prompt": ' + b"[" * 100000) == ["http.llm_too_deep"]


def test_text_beyond_the_limit_is_counted():
    room = trial(**{"llm.text-limit": 1000})
    room.feed(0, request(b'{"model": "m", "prompt": "' + b"a" * 5000 + b'"}'))
    assert shown(room) == "a" * 1000
    assert room.transactions()[0]["events"] == ["http.llm_text_limit"]
    assert room.log(0, 3)["llm"]["prompt_bytes"] == 5000


def test_memory_is_bounded_and_given_back():
    room = trial(**{"http.request-body-limit": 1000, "http.response-body-limit": 1000})
    room.feed(0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000\r\n\r\n" + b'{"model": "m", "prompt": "')
    most = 0
    for _ in range(300):
        room.feed(0, b"endless " * 1000)
        most = max(most, room.memory)
    assert most < 200_000
    assert room.close()["applayer"] == 0


def test_a_refusing_pool_costs_the_text_alone():
    room = trial(memory=6000)
    room.feed(0, request(b'{"model": "m", "prompt": "' + b"a" * 50000 + b'"}'))
    assert room.close()["applayer"] == 0


# ---- what is known beside the text ----

def test_model_key_and_bytes():
    room = trial()
    assert answer(ANSWERS["openai events"][0], b"text/event-stream", PROMPTS["chat"][0], room) == "ignore"
    assert room.log(0, 3) == {"llm": {"path": b"/v1/chat/completions", "model": b"m", "prompt_bytes": 10, "response_bytes": 6, "streamed": True}}
    assert room.log(0, 2)["llm"] == room.log(0, 3)["llm"]
    assert room.buffer(0, 0, "llm.model")[0] == b"m"


@pytest.mark.parametrize("header", [b"Authorization: Bearer sk-secret", b"authorization: bearer sk-secret", b"X-Api-Key: sk-secret", b"api-key: sk-secret",
                                    b"x-goog-api-key: sk-secret"])
def test_a_key_is_told_by_its_digest_alone(header):
    from hashlib import sha256
    room = trial()
    room.feed(0, request(json.dumps(PROMPTS["chat"][0]).encode(), headers=header + b"\r\n"))
    said = room.log(0, 3)
    assert said["llm"]["key"] == sha256(b"sk-secret").hexdigest()[:16]
    assert b"secret" not in repr(said).encode()


def test_a_password_is_no_key():
    room = trial()
    room.feed(0, request(json.dumps(PROMPTS["chat"][0]).encode(), headers=b"Authorization: Basic dXNlcjpwYXNz\r\n"))
    assert "key" not in room.log(0, 3)["llm"]


def test_the_model_of_a_path():
    room = trial()
    room.feed(0, request(json.dumps(PROMPTS["gemini"][0]).encode(), path=b"/v1beta/models/gemini-pro:generateContent?key=x"))
    assert room.log(0, 3)["llm"]["model"] == b"gemini-pro"


# ---- when it is shown ----

def test_passive_text_is_shown_at_its_end():
    room = trial()
    whole = request(b'{"model": "m", "prompt": "first, then more"}')
    room.feed(0, whole[:-7])
    assert room.buffer(0, 0, "llm.prompt") == "later"
    room.feed(0, whole[-7:])
    assert shown(room) == "first, then more"
    room.inspected(0, 0)
    assert shown(room) is None


def test_inline_text_is_shown_as_it_grows():
    room = trial(**{"http.http-body-inline": True})
    whole = request(b'{"model": "m", "prompt": "first, then more"}')
    room.feed(0, whole[:-7])
    assert shown(room) == "first, then"
    room.inspected(0, 0)
    assert shown(room) is None
    room.feed(0, whole[-7:])
    assert shown(room) == "first, then more"


def test_inline_a_long_text_is_shown_by_windows_and_whole_at_its_end():
    room = trial(**{"http.http-body-inline": True})
    whole = request(b'{"model": "m", "prompt": "' + b"a" * 30000 + b'"}')
    room.feed(0, whole[:20000])
    assert len(room.buffer(0, 0, "llm.prompt")[0]) > 16384
    room.inspected(0, 0)
    room.feed(0, whole[20000:25000])
    data, offset, _ = room.buffer(0, 0, "llm.prompt")
    assert (len(data), offset > 0) == (8192 + 5000, True)
    room.inspected(0, 0)
    room.feed(0, whole[25000:])
    assert shown(room) == "a" * 30000
