"""Turns of an HTTP/1 session: whatever the bytes, nothing raises, memory is bounded, and all of it is given back."""
from __future__ import annotations

import gzip
import lzma
import sys

from fuzz import harness

from fastpath.dataplane.applayer.room_trial import RoomTrial
from fastpath.dataplane.applayer.tables import APP_BUFFERS

BUFFERS = [name for name in APP_BUFFERS if name.startswith(("http.", "file.")) and name != "file.facts"]
TURN = b"\xfe\xfe"      # parts the turns of the two sides
COMPLETE = 5


def seeds() -> list[bytes]:
    """A byte for the size of the pieces, then turns, of the client first."""
    squeezed = gzip.compress(b"hello " * 50)
    upload = b'--BB\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhi\r\n--BB\r\n\r\nx\r\n--BB--\r\n'
    turns = [
        (b"GET /a%2f..%u0041?q=%41#f HTTP/1.1\r\nHost: a:80\r\nA: b\r\n c\r\nCookie: d\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nT: x\r\n\r\n", b"HTTP/1.0 404 No\r\n\r\nbody"),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, deflate\r\nContent-Length: %d\r\n\r\n" % len(squeezed) + squeezed),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: lzma, gzip\r\n\r\n" + lzma.compress(squeezed, lzma.FORMAT_ALONE)),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n\x0b\x05\x80hello world\x03"),
        (b"POST / HTTP/1.1\r\nContent-Type: x; boundary=BB\r\nContent-Length: %d\r\n\r\n" % len(upload) + upload,
         b'HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/2\r\nContent-Disposition: x; filename="y"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\nx"),
        (b"GET /\r\n", b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200\n\n", b"GARBAGE", b"<html>"),
        (b"", b"HTTP/1.1 304 N\r\n\r\nHTTP/1.1 200 O\r\n\r\n"),
    ]
    return [bytes([size]) + TURN.join(said) for said in turns for size in (0, 3, 40)]


def target(data: bytes) -> None:
    if not data:
        return
    size = data[0] % 64 or 1 << 16
    trial = RoomTrial("http", memory=1 << 22, **{"http.brotli": True, "http.lzma-enabled": True})
    for turn, said in enumerate(data[1:].split(TURN)):
        for at in range(0, len(said), size):
            trial.feed(turn & 1, said[at:at + size])
        if data[0] & 0x80:
            trial.feed(turn & 1, gap=turn + 1)
    progress = {tx["id"]: tx["progress"] for tx in trial.transactions()}
    trial.feed(0, eof=True)
    trial.feed(1, eof=True)
    for tx in trial.transactions():
        for direction in (0, 1):
            assert progress.get(tx["id"], (0, 0))[direction] <= tx["progress"][direction] <= COMPLETE
            for name in BUFFERS:
                trial.buffer(tx["id"], direction, name)
            trial.inspected(tx["id"], direction)
        trial.log(tx["id"], 1)
    trial.free_done()
    assert trial.close() == {"flow": 0, "applayer": 0}


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
