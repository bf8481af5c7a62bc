"""HTTP/2 by hand, for tests: frames (RFC 9113) and header blocks of literals (RFC 7541), right or wrong as asked."""
from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, HAS_PRIORITY = 1, 4, 8, 32
GET = ((":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "example.com"))
POST = ((":method", "POST"), *GET[1:])
OK = ((":status", "200"),)


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0, *, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number(value: int, bits: int, head: int = 0) -> bytes:
    """RFC 7541 section 5.1: behind `head` in as many bits."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([head | value])
    out = [head | most]
    value -= most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def string(text: bytes | str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return number(len(data), 7) + data


def literal(name: bytes | str, value: bytes | str, *, kept: bool = False) -> bytes:
    """A literal field with a name of its own; `kept` in the table."""
    return (b"\x40" if kept else b"\0") + string(name) + string(value)


def block(*fields: tuple[bytes | str, bytes | str], kept: bool = False) -> bytes:
    return b"".join(literal(name, value, kept=kept) for name, value in fields)


def headers(stream: int, *fields: tuple[bytes | str, bytes | str], end: bool = False) -> bytes:
    return frame(HEADERS, stream, block(*fields), END_HEADERS | (END_STREAM if end else 0))


def data(stream: int, body: bytes, *, end: bool = False) -> bytes:
    return frame(DATA, stream, body, END_STREAM if end else 0)


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, b"".join(struct.pack(">HI", name, value) for name, value in pairs))


def message(body: bytes, *, compressed: bool = False) -> bytes:
    """A message of gRPC."""
    return bytes([compressed]) + struct.pack(">I", len(body)) + body


def hello(*pairs: tuple[int, int]) -> bytes:
    return PREFACE + settings(*pairs)
