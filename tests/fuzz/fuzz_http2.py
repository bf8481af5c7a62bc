"""Sessions of HTTP/2 in two directions, cut as the input says: whatever the bytes are, nothing is kept, and every stream can be looked at."""
from __future__ import annotations

import gzip
import struct
import sys

from fuzz import harness
from fuzz.fuzz_tls import turns, written
from made_http2 import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    OK,
    PADDED,
    POST,
    PUSH_PROMISE,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    headers,
    hello,
    literal,
    message,
    number,
    settings,
)

from fastpath.dataplane.applayer.room_trial import RoomTrial

NUMBERS = tuple(f"http2.{name}" for name in ("frametype", "errorcode", "priority", "window", "size_update", "settings"))
BUFFERS = ("http.uri", "http.host", "http.header", "http.header.raw", "http.header_names", "http.cookie", "http.request_line", "http.response_line",
           "http.request_header", "http.response_header", "http2.header_name", "http.request_body", "file.data", "file.name", "grpc.service",
           "grpc.method", "llm.prompt", "llm.response", "llm.model", "llm.facts", "llm.seconds", *NUMBERS)


def seeds() -> list[bytes]:
    call = (*POST[:2], (":path", "/a.B/C"), ("content-type", "application/grpc"))
    ask = b'{"model":"m","messages":[{"role":"user","content":"\\u0041"}]}'
    return [
        written([(0, hello((1, 100)) + headers(1, *GET, end=True)), (1, settings((3, 9)) + headers(1, *OK) + data(1, b"body", end=True))]),
        written([(0, hello() + headers(1, *call) + data(1, message(b"x" * 9)) + data(1, b"", end=True)),
                 (1, headers(1, *OK, ("content-type", "application/grpc")) + data(1, message(b"y")) + headers(1, ("grpc-status", "0"), end=True))]),
        written([(0, hello() + frame(HEADERS, 1, b"\x01" + struct.pack(">IB", 3, 7) + block(*GET)[:9] + b"\0", END_STREAM | PADDED | HAS_PRIORITY)),
                 (0, frame(CONTINUATION, 1, block(*GET)[9:] + b"\xbe\xff\x20\x80" + number(1 << 40, 5, 0x20) + literal("a", "b", kept=True), END_HEADERS))]),
        written([(0, hello() + headers(1, *GET, end=True)), (1, frame(PUSH_PROMISE, 1, struct.pack(">I", 2) + block(*GET), END_HEADERS)
                 + headers(1, *OK, ("content-encoding", "gzip")) + data(1, gzip.compress(b"packed " * 9), end=True) + headers(2, *OK)
                 + frame(GOAWAY, 0, struct.pack(">II", 1, 2)) + frame(WINDOW_UPDATE, 0, b"\0\0\0\1"))]),
        written([(0, hello() + headers(1, *POST) + data(1, ask, end=True)), (1, headers(1, *OK, ("content-type", "text/event-stream"))
                 + data(1, b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n', end=True))]),
        written([(0, hello() + headers(1, *POST) + frame(0, 1, b"z" * 400, END_STREAM | PADDED, length=70_000)), (0, b"z" * 300)]),
    ]


def target(data: bytes) -> None:
    if not data:
        return
    trial = RoomTrial("http2", memory=1 << 20, beyond=bool(data[0] & 1), **{"llm.always": True, "http2.max-streams": 50})
    held = [b"", b""]
    for at, (direction, piece) in enumerate(turns(data)):
        if at == data[0] & 7:
            trial.feed(direction, gap=5)
        held[direction] += piece
        held[direction] = held[direction][trial.feed(direction, held[direction]):]
        for transaction in trial.transactions():
            trial.inspected(transaction["id"], direction)
    for transaction in trial.transactions():
        for direction in (0, 1):
            trial.log(transaction["id"], direction)
            for name in BUFFERS:
                index = 0
                while trial.buffer(transaction["id"], direction, name, index) is not None and index < 40:
                    index += 1
        trial.log(transaction["id"], 2)
    for direction in (0, 1):
        trial.feed(direction, held[direction], eof=True)
    trial.free_done()
    assert trial.close() == {"flow": 0, "applayer": 0}


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
