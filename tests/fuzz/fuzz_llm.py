"""Bodies for language models and from them, as JSON and as event streams: nothing raises, text and memory are bounded, and where the
bytes were cut changes nothing."""
from __future__ import annotations

import json
import sys

from fuzz import harness

from fastpath.dataplane.applayer.room_trial import RoomTrial

LIMIT = 512
TURN = b"\xfe\xfe"      # parts the request's body from the answer's


def seeds() -> list[bytes]:
    """A byte for the size of the pieces and the form of the answer, then both bodies."""
    asked = [
        json.dumps({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "a\n\u00e9\U0001f600"}]}]}).encode(),
        b'{"prompt": ["\\ud83d\\ude00", "\\ud83d", "\\u00e9"], "max_tokens": 1}',
        b'[{"jsonrpc": "2.0", "params": {"arguments": {"a": [1, true, {"b": "c"}]}}}]',
        b'{"model": "m", "prompt": ' + b"[" * 70, b'\xef\xbb\xbf {"contents": [{"parts": [{"text": "x"}]}]} ',
    ]
    told = [
        b'{"choices": [{"message": {"content": "hello"}}]}', b'{"response": "a"}\n{"response": "b"}\n',
        b'event: x\r\ndata: {"choices": [{"delta": {"content": "a"}}]}\r\n\r\ndata: [DONE]\n\n: c\ndata: {"delta"\ndata: : {"text": "b"}}\n\n',
    ]
    return [bytes([size]) + one + TURN + other for one in asked for other in told for size in (1, 0x87, 40)]


def run(request: bytes, answer: bytes, stream: bool, size: int) -> list[object]:
    room = RoomTrial("http", ports=(40000, 80), memory=1 << 20, **{"llm.always": True, "llm.text-limit": LIMIT})
    kind = b"text/event-stream" if stream else b"application/json"
    said = (b"POST /v1/models/x:y HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nContent-Length: %d\r\n\r\n%s" % (len(request), request),
            b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(answer), answer))
    for direction, data in enumerate(said):
        for at in range(0, len(data), size):
            room.feed(direction, data[at:at + size])
        room.feed(direction, eof=True)
    found: list[object] = [room.transactions()[0]["events"], room.log(0, 3)]
    for direction, name in ((0, "llm.prompt"), (1, "llm.response"), (0, "llm.model"), (0, "llm.facts"), (1, "llm.seconds")):
        shown = room.buffer(0, direction, name)
        assert not isinstance(shown, tuple) or len(shown[0]) <= LIMIT
        found.append(shown)
    room.inspected(0, 0)
    assert room.memory < 1 << 16
    assert room.close() == {"flow": 0, "applayer": 0}
    return found


def target(data: bytes) -> None:
    if not data:
        return
    request, _, answer = data[1:].partition(TURN)
    whole = run(request, answer, data[0] & 0x80 != 0, 1 << 16)
    assert run(request, answer, data[0] & 0x80 != 0, data[0] & 0x7F or 1) == whole


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
