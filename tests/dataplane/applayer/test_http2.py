"""The room of HTTP/2: frames, streams, header blocks, bodies, gRPC, and what it does with bytes that are none of these."""
from __future__ import annotations

import gzip
import random
import struct
import zlib

import pytest
from made_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    OK,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
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

TO_SERVER, TO_CLIENT = 0, 1
OPEN, DATA_CLIENT, HALF_CLOSED_CLIENT, DATA_SERVER, HALF_CLOSED_SERVER, CLOSED, GLOBAL = 1, 3, 4, 5, 6, 7, 8
UPGRADE = b"GET /up?a=1 HTTP/1.1\r\nHost: a.example\r\nX-Odd: 1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def play(*turns: tuple[int, bytes], proto: str | None = "http2", **settings) -> RoomTrial:
    trial = RoomTrial(proto, **settings)
    for direction, sent in turns:
        assert trial.feed(direction, sent) == len(sent)
    return trial


def tx_of(trial: RoomTrial, stream: int) -> dict:
    return next(tx for tx in trial.transactions() if trial.log(tx["id"], 2) and trial.log(tx["id"], 2)["http"]["http2"]["stream_id"] == stream)


def shown(trial: RoomTrial, stream: int, direction: int, name: str) -> bytes | int | None:
    found = trial.buffer(tx_of(trial, stream)["id"], direction, name)
    return found[0] if isinstance(found, tuple) else found


def many(trial: RoomTrial, tx: int, direction: int, name: str) -> list:
    found = []
    while (one := trial.buffer(tx, direction, name, len(found))) is not None:
        found.append(one[0] if isinstance(one, tuple) else one)
    return found


def events(trial: RoomTrial) -> set[str]:
    return {event for tx in trial.transactions() for event in tx["events"]}


# ---- recognition ----

def test_the_preface_tells_it_on_any_port():
    assert play((TO_SERVER, hello()), proto=None, ports=(40000, 12345)).proto == "http2"


def test_the_server_may_speak_first_on_port_80():
    trial = play((TO_CLIENT, settings((3, 100))), proto=None, ports=(40000, 80))
    assert trial.proto == "http2"
    trial.feed(TO_SERVER, hello() + headers(1, *GET, end=True))
    assert shown(trial, 1, TO_SERVER, "http.uri") == b"/x"


def upgraded(answer: bytes = SWITCH) -> RoomTrial:
    trial = RoomTrial(None, ports=(40000, 80))
    trial.feed(TO_SERVER, UPGRADE)
    used = trial.feed(TO_CLIENT, answer)
    assert trial.proto == "http" and used == len(SWITCH)        # what is behind is the next room's
    return trial


def test_a_101_goes_on_as_http2():
    """RFC 7540 section 3.2: the request is stream 1, and half closed."""
    trial = upgraded(SWITCH + settings((3, 100)))
    trial.feed(TO_CLIENT, settings((3, 100)) + headers(1, *OK, end=True))
    assert trial.proto == "http2"
    assert shown(trial, 1, TO_SERVER, "http.uri") == b"/up?a=1" and shown(trial, 1, TO_SERVER, "http.host") == b"a.example"
    assert tx_of(trial, 1)["progress"] == (CLOSED, CLOSED)
    assert many(trial, 0, TO_SERVER, "http2.header_name")[:4] == [b":method", b":path", b":authority", b"X-Odd"]
    assert trial.log(1, 2)["http"]["http2"]["request"]["settings"] == [
        {"settings_id": "SETTINGSMAXCONCURRENTSTREAMS", "settings_value": 100}]
    assert trial.close() == {"flow": 0, "applayer": 0}


def test_settings_of_an_upgrade_that_are_none():
    trial = RoomTrial(None, ports=(40000, 80))
    trial.feed(TO_SERVER, UPGRADE.replace(b"AAMAAABk", b"!!!"))
    trial.feed(TO_CLIENT, SWITCH)
    trial.feed(TO_CLIENT, settings((3, 100)))
    assert events(trial) == {"http2.invalid_http1_settings"}


def test_another_preface():
    trial = RoomTrial("http2")
    trial.feed(TO_CLIENT, settings((3, 100)))
    trial.feed(TO_SERVER, PREFACE[:18] + b"XX\r\n\r\n" + bytes(300))
    assert events(trial) >= {"http2.invalid_client_magic"}


# ---- streams ----

def test_a_request_and_its_answer():
    trial = play((TO_SERVER, hello() + headers(1, *POST)), (TO_CLIENT, settings((3, 100))))
    assert tx_of(trial, 1)["progress"] == (OPEN, OPEN)
    trial.feed(TO_SERVER, data(1, b"to "))
    assert tx_of(trial, 1)["progress"] == (DATA_CLIENT, DATA_CLIENT)
    trial.feed(TO_SERVER, data(1, b"server", end=True))
    assert tx_of(trial, 1)["progress"] == (HALF_CLOSED_CLIENT, HALF_CLOSED_CLIENT)
    trial.feed(TO_CLIENT, headers(1, *OK) + data(1, b"to client"))
    assert tx_of(trial, 1)["progress"] == (DATA_SERVER, DATA_SERVER)
    trial.feed(TO_CLIENT, headers(1, ("x-trailer", "1"), end=True))
    assert tx_of(trial, 1)["progress"] == (CLOSED, CLOSED)
    assert [tx_of(trial, 1)["files"][way][0]["data"] for way in (0, 1)] == [b"to server", b"to client"]
    assert [tx_of(trial, 1)["files"][way][0]["state"] for way in (0, 1)] == ["closed", "closed"]


def test_a_client_that_goes_on_sending_is_looked_at_until_it_ends():
    trial = play((TO_SERVER, hello() + headers(1, *POST) + data(1, b"a")), (TO_CLIENT, headers(1, *OK) + data(1, b"b")))
    assert tx_of(trial, 1)["progress"] == (DATA_CLIENT, DATA_SERVER)
    trial.feed(TO_SERVER, data(1, b"c", end=True))
    assert tx_of(trial, 1)["progress"] == (DATA_SERVER, DATA_SERVER)
    trial.feed(TO_CLIENT, data(1, b"d", end=True))
    assert tx_of(trial, 1)["progress"] == (CLOSED, CLOSED) and tx_of(trial, 1)["files"][0][0]["data"] == b"ac"


def test_a_server_may_end_first():
    trial = play((TO_SERVER, hello() + headers(1, *POST)), (TO_CLIENT, headers(1, (":status", "413"), end=True)))
    assert tx_of(trial, 1)["progress"] == (DATA_CLIENT, HALF_CLOSED_SERVER)
    trial.feed(TO_SERVER, data(1, b"x", end=True))
    assert tx_of(trial, 1)["progress"] == (CLOSED, CLOSED)


def test_a_frame_of_no_stream_is_a_transaction():
    trial = play((TO_SERVER, hello((1, 4096), (2, 0)) + frame(PING, 0, b"12345678") + frame(SETTINGS, 0, b"", 1)))
    assert [tx["progress"] for tx in trial.transactions()] == [(GLOBAL, GLOBAL)] * 2        # not of an acknowledgement
    assert many(trial, 0, TO_SERVER, "http2.settings") == [1 << 32 | 4096, 2 << 32]
    assert many(trial, 0, TO_SERVER, "http2.frametype") == [SETTINGS] and many(trial, 1, TO_SERVER, "http2.frametype") == [PING]
    assert trial.log(0, 1)["http"]["http2"]["request"]["settings"][0] == {"settings_id": "SETTINGSHEADERTABLESIZE", "settings_value": 4096}
    assert trial.log(1, 1) is None and trial.log(1, 2) == {}        # nothing to tell; its alerts have a transaction all the same


def test_numbers_of_frames():
    weight = struct.pack(">IB", 1 << 31 | 3, 254)
    trial = play((TO_SERVER, hello() + frame(HEADERS, 1, weight + block(*GET), END_HEADERS | END_STREAM | HAS_PRIORITY)
                  + frame(PRIORITY, 1, struct.pack(">IB", 0, 16)) + frame(WINDOW_UPDATE, 1, b"\x80\0\0\x10") + frame(RST_STREAM, 1, b"\0\0\0\x08")))
    assert many(trial, 0, TO_SERVER, "http2.priority") == [254, 16]
    assert many(trial, 0, TO_SERVER, "http2.window") == [16] and many(trial, 0, TO_SERVER, "http2.errorcode") == [8]
    assert sorted(many(trial, 0, TO_SERVER, "http2.frametype")) == [HEADERS, PRIORITY, RST_STREAM, WINDOW_UPDATE]
    said = trial.log(0, 1)["http"]["http2"]["request"]
    assert said["error_code"] == "Cancel" and said["priority"] == 254 and said["has_multiple"] == "priority"


@pytest.mark.parametrize(("beyond", "code", "name"), [(False, 5, "STREAMCLOSED"), (True, 11, "ENHANCEYOURCALM")])
def test_goaway(beyond, code, name):
    """Suricata 7.0.10 takes the last stream for the error."""
    trial = play((TO_SERVER, hello() + frame(GOAWAY, 0, struct.pack(">II", 5, 11) + b"why")), beyond=beyond)
    assert many(trial, 0, TO_SERVER, "http2.errorcode") == [code]
    assert trial.log(0, 1)["http"]["http2"]["request"]["error_code"] == name


def test_a_pushed_stream_is_that_of_the_promise():
    promise = frame(PUSH_PROMISE, 1, b"\x02" + struct.pack(">I", 2) + block((":path", "/pushed")) + b"\0\0", END_HEADERS | PADDED)
    trial = play((TO_SERVER, hello() + headers(1, *GET, end=True)), (TO_CLIENT, promise + headers(2, *OK) + data(2, b"body", end=True)))
    tx = tx_of(trial, 2)
    assert tx["progress"][1] == HALF_CLOSED_SERVER and tx["files"][1][0]["data"] == b"body"
    assert trial.buffer(tx["id"], TO_CLIENT, "http.response_header")[0] == b":path: /pushed"


@pytest.mark.parametrize("beyond", [False, True])
def test_a_stream_that_is_reset(beyond):
    """For Suricata it stays to the end of the session."""
    trial = play((TO_SERVER, hello() + headers(1, *POST) + data(1, b"half")), (TO_CLIENT, headers(1, *OK) + frame(RST_STREAM, 1, b"\0\0\0\2")), beyond=beyond)
    tx = trial.transactions()[0]
    assert tx["progress"] == ((CLOSED, CLOSED) if beyond else (DATA_CLIENT, DATA_CLIENT))
    assert tx["files"][0][0]["state"] == ("truncated" if beyond else "open")


def test_streams_that_are_reset_or_pushed_do_not_fill_the_session():
    trial = RoomTrial("http2", beyond=True, **{"http2.max-streams": 20})
    trial.feed(TO_SERVER, PREFACE)
    for stream in range(1, 400, 4):
        trial.feed(TO_SERVER, headers(stream, *POST))
        trial.feed(TO_CLIENT, frame(RST_STREAM, stream, b"\0\0\0\x08"))
        trial.feed(TO_CLIENT, frame(PUSH_PROMISE, stream, struct.pack(">I", stream + 1) + block(*GET), END_HEADERS) + headers(stream + 1, *OK, end=True))
        trial.free_done()
    assert trial.transactions() == [] and trial.stopped == (False, False)


def test_a_closed_stream_is_no_more():
    trial = play((TO_SERVER, hello() + headers(1, *GET, end=True)), (TO_CLIENT, headers(1, *OK, end=True) + frame(WINDOW_UPDATE, 1, b"\0\0\0\1")))
    assert not events(trial)
    trial.feed(TO_SERVER, headers(1, *GET))
    assert events(trial) == {"http2.stream_id_reuse"}
    trial.free_done()
    assert trial.transactions() == []
    trial.feed(TO_SERVER, headers(1, *GET))
    assert [tx["id"] for tx in trial.transactions()] == [1]


def test_streams_are_bounded():
    trial = RoomTrial("http2", **{"http2.max-streams": 10})
    trial.feed(TO_SERVER, PREFACE + b"".join(headers(stream, *POST) for stream in range(1, 41, 2)))
    assert len(trial.transactions()) == 10 and trial.stopped == (True, True)
    assert all(tx["events"] == ["http2.too_many_streams"] for tx in trial.transactions())


@pytest.mark.parametrize("wrong", [frame(PRIORITY, 3, b"1234"), frame(RST_STREAM, 3, b"12"), frame(WINDOW_UPDATE, 3, b"123"), frame(GOAWAY, 0, b"12")])
def test_wrong_lengths(wrong):
    trial = play((TO_SERVER, hello((3, 1)) + wrong))
    assert events(trial) == {"http2.invalid_frame_length"}


@pytest.mark.parametrize("wrong", [frame(HEADERS, 1, b"", PADDED), frame(HEADERS, 1, b"\x05abcd", PADDED | END_HEADERS),
                                   frame(HEADERS, 1, b"1234", HAS_PRIORITY), frame(PUSH_PROMISE, 1, b"123", END_HEADERS)])
def test_frames_without_room_for_what_they_announce(wrong):
    assert events(play((TO_SERVER, hello((3, 1)) + wrong))) == {"http2.invalid_frame_data"}


# ---- header blocks ----

def test_a_block_over_several_frames():
    whole = block(*GET, ("x-last", "yes"))
    trial = RoomTrial("http2")
    trial.feed(TO_SERVER, hello() + frame(HEADERS, 1, b"\x02" + whole[:20] + b"\0\0", END_STREAM | PADDED) + frame(CONTINUATION, 1, whole[20:40]))
    assert trial.transactions()[-1]["progress"] == (OPEN, OPEN)     # its end decides
    trial.feed(TO_SERVER, frame(CONTINUATION, 1, whole[40:], END_HEADERS))
    assert shown(trial, 1, TO_SERVER, "http.header") == b"".join(f"{name}: {value}\r\n".encode() for name, value in (*GET, ("x-last", "yes")))
    assert tx_of(trial, 1)["progress"] == (HALF_CLOSED_CLIENT, HALF_CLOSED_CLIENT)


def test_a_block_is_bounded():
    trial = RoomTrial("http2", **{"http2.max-reassembly-size": 100})
    trial.feed(TO_SERVER, hello() + frame(HEADERS, 1, block(*GET), 0) + frame(CONTINUATION, 1, literal("x", "y" * 200, kept=True), END_HEADERS))
    assert "http2.reassembly_limit_reached" in events(trial) and shown(trial, 1, TO_SERVER, "http.uri") == b"/x"
    trial.feed(TO_SERVER, frame(HEADERS, 3, b"\xbe", END_HEADERS))      # what the table holds nobody knows
    assert "http2.invalid_header" in events(trial)


def test_a_list_is_bounded_and_the_table_goes_on():
    """An index is one byte: a block may say much more than it is long."""
    bomb = literal("name", "v" * 3000, kept=True) + b"\xbe" * 2000 + literal("x", "y", kept=True)
    trial = play((TO_SERVER, hello() + frame(HEADERS, 1, bomb, END_HEADERS)))
    assert "http2.header_list_limit" in events(trial) and trial.memory < 1 << 20
    trial.feed(TO_SERVER, frame(HEADERS, 3, b"\xbe", END_HEADERS))
    assert many(trial, 1, TO_SERVER, "http.request_header") == [b"x: y"]


def test_sizes_of_the_table():
    update = number(0, 5, 0x20) + number(5000, 5, 0x20)
    trial = play((TO_SERVER, hello() + frame(HEADERS, 1, update + block(*GET, kept=True), END_HEADERS | END_STREAM)))
    assert many(trial, 0, TO_SERVER, "http2.size_update") == [0, 5000]
    assert trial.log(0, 2)["http"]["request_headers"][:3] == [{"table_size_update": 0}, {"table_size_update": 5000}, {"name": b":method", "value": b"GET"}]
    trial.feed(TO_SERVER, frame(HEADERS, 3, b"\xc1\xc0\xbf\xbe" + number(0, 5, 0x20), END_HEADERS | END_STREAM))
    assert shown(trial, 3, TO_SERVER, "http.host") == b"example.com"
    trial.feed(TO_SERVER, frame(HEADERS, 5, b"\xbe", END_HEADERS | END_STREAM))
    assert events(trial) == {"http2.invalid_header"}


@pytest.mark.parametrize(("broken", "event", "error"), [
    (b"\x80", "invalid_header", b"HTTP2HeaderDecodeIndex0"), (b"\xff\x20", "invalid_header", b"HTTP2HeaderDecodeNotIndexed"),
    (b"\xff" * 10 + b"\x01", "extra_header_data", b"HTTP2HeaderDecodeIntegerOverflow"), (b"\xff" * 12 + b"\x01", "invalid_header", b"HTTP2HeaderDecodeIndex0"),
    (b"\0\x05ab", "invalid_frame_data", None), (b"\xff\xff", "invalid_frame_data", None)])
def test_broken_fields(broken, event, error):
    """Those before are kept."""
    trial = play((TO_SERVER, hello((3, 1)) + frame(HEADERS, 1, block(*GET) + broken, END_HEADERS | END_STREAM)))
    assert f"http2.{event}" in events(trial) and shown(trial, 1, TO_SERVER, "http.uri") == b"/x"
    rows = trial.log(1, 2)["http"]["request_headers"]
    assert rows[len(GET):] == ([{"error": error.decode()}] if error else [])


# ---- buffers ----

def test_buffers_of_a_request():
    fields = (*POST[:3], (":authority", "me@Example.COM:8080"), ("user-agent", "agent/1"), ("cookie", "a=1"), ("cookie", "b=2"), ("accept", "x"),
              ("accept", "y"), ("accept-encoding", "gzip"), ("accept-language", "de"), ("referer", "http://r/"), ("connection", "keep"),
              ("content-type", "text/plain"), ("content-length", "4"), ("X-Up", "  wide  "))
    trial = play((TO_SERVER, hello() + headers(1, *fields) + data(1, b"body", end=True)))
    for name, wanted in (("uri", b"/x"), ("uri.raw", b"/x"), ("method", b"POST"), ("host", b"example.com"), ("host.raw", b"me@Example.COM:8080"),
                         ("user_agent", b"agent/1"), ("cookie", b"a=1, b=2"), ("accept", b"x, y"), ("accept_enc", b"gzip"), ("accept_lang", b"de"),
                         ("referer", b"http://r/"), ("connection", b"keep"), ("content_type", b"text/plain"), ("content_len", b"4"),
                         ("protocol", b"HTTP/2"), ("request_line", b"POST /x HTTP/2\r\n"), ("request_body", b"body")):
        assert shown(trial, 1, TO_SERVER, f"http.{name}") == wanted, name
    header = shown(trial, 1, TO_SERVER, "http.header")
    assert b"X-Up: wide\r\n" in header and b"cookie" not in header and header.startswith(b":method: POST\r\n")
    assert b"X-Up:   wide  \r\ncookie" not in (raw := shown(trial, 1, TO_SERVER, "http.header.raw")) and b"cookie: a=1\r\n" in raw
    assert shown(trial, 1, TO_SERVER, "http.header_names").startswith(b"\r\n:method\r\n:scheme\r\n") and events(trial) == {"http2.userinfo_in_uri"}
    assert many(trial, 0, TO_SERVER, "http.request_header")[0] == b":method: POST" and shown(trial, 1, TO_CLIENT, "http.stat_code") is None


def test_buffers_of_an_answer():
    fields = (*OK, ("server", "s"), ("location", "/l"), ("set-cookie", "c=1"), ("content-type", "text/html"))
    trial = play((TO_SERVER, hello() + headers(1, *GET, ("host", "other.org"), end=True)), (TO_CLIENT, headers(1, *fields) + data(1, b"page", end=True)))
    for name, wanted in (("stat_code", b"200"), ("stat_msg", b""), ("response_line", b"HTTP/2 200\r\n"), ("server", b"s"), ("location", b"/l"),
                         ("cookie", b"c=1"), ("content_type", b"text/html"), ("protocol", b"HTTP/2")):
        assert shown(trial, 1, TO_CLIENT, f"http.{name}") == wanted, name
    assert shown(trial, 1, TO_CLIENT, "file.data") == b"page" and events(trial) == {"http2.authority_host_mismatch"}
    assert shown(trial, 1, TO_CLIENT, "file.name") is None        # as Suricata's
    trial = play((TO_SERVER, hello() + headers(1, *GET[:2], (":path", "/dir/a?b"), end=True)), (TO_CLIENT, headers(1, *OK) + data(1, b"x")), beyond=True)
    assert shown(trial, 1, TO_CLIENT, "file.name") == b"/dir/a"


def test_what_is_told_of_a_stream():
    trial = play((TO_SERVER, hello() + headers(1, *GET, ("user-agent", "agent/1"), ("authorization", "Bearer secret"), end=True)),
                 (TO_CLIENT, headers(1, *OK, ("content-length", "12"), end=True)), beyond=True)
    said = trial.log(0, 1)["http"]
    assert {key: said[key] for key in ("version", "http_method", "url", "hostname", "http_user_agent", "status", "length")} == {
        "version": "2", "http_method": b"GET", "url": b"/x", "hostname": b"example.com", "http_user_agent": b"agent/1", "status": 200, "length": 12}
    assert {"name": b"authorization", "value": "***"} in said["request_headers"]      # credentials are not written out
    trial = play((TO_SERVER, hello() + headers(1, *GET, ("authorization", "Bearer secret"), end=True)))
    said = trial.log(0, 2)["http"]
    assert "hostname" not in said and {"name": b"authorization", "value": b"Bearer secret"} in said["request_headers"]      # as Suricata


# ---- bodies ----

@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", lambda text: zlib.compress(text, wbits=-15))])
def test_packed_bodies(coding, pack):
    text = b"what was packed " * 500
    packed = pack(text)
    pieces = b"".join(data(1, packed[at:at + 11], end=at + 11 >= len(packed)) for at in range(0, len(packed), 11))
    trial = play((TO_SERVER, hello() + headers(1, *GET, end=True)), (TO_CLIENT, headers(1, *OK, ("content-encoding", coding)) + pieces))
    assert tx_of(trial, 1)["files"][1][0]["data"] == text and tx_of(trial, 1)["files"][1][0]["state"] == "closed"
    assert trial.close() == {"flow": 0, "applayer": 0}


def test_a_body_that_is_not_packed_as_it_says():
    trial = play((TO_SERVER, hello() + headers(1, *GET, end=True)), (TO_CLIENT, headers(1, *OK, ("content-encoding", "gzip")) + data(1, b"plain text", end=True)))
    assert events(trial) == {"http2.failed_decompression"} and tx_of(trial, 1)["files"][1][0]["data"] == b"plain text"


def test_padding_is_no_body():
    trial = play((TO_SERVER, hello() + headers(1, *POST) + frame(DATA, 1, b"\x03body" + bytes(3), END_STREAM | PADDED)))
    assert tx_of(trial, 1)["files"][0][0]["data"] == b"body"


@pytest.mark.parametrize("flags", [0, PADDED])
def test_a_long_frame_is_read_as_it_comes(flags):
    body = random.Random(1).randbytes(200_000)
    payload = b"\x09" + body + bytes(9) if flags else body
    sent = hello() + headers(1, *POST) + frame(DATA, 1, payload, END_STREAM | flags)
    for size in (1000, 70_000, len(sent)):
        trial = RoomTrial("http2")
        assert trial.stream(TO_SERVER, [sent[at:at + size] for at in range(0, len(sent), size)]) == b""
        file, = tx_of(trial, 1)["files"][0]
        assert file["size"] == len(body) and file["state"] == "closed" and "http2.long_frame_data" in events(trial)
        assert file["data"] == body[file["base"]:]


def test_a_long_frame_of_another_kind_is_passed_over():
    sent = hello() + headers(1, *GET, end=True) + frame(HEADERS, 3, block(*GET) + bytes(70_000), END_HEADERS) + headers(5, *GET, end=True)
    trial = RoomTrial("http2")
    assert trial.stream(TO_SERVER, [sent[at:at + 5000] for at in range(0, len(sent), 5000)]) == b""
    assert "http2.long_frame_data" in events(trial) and shown(trial, 5, TO_SERVER, "http.uri") == b"/x"


def test_a_gap_ends_the_session():
    trial = play((TO_SERVER, hello() + headers(1, *POST)))
    trial.feed(TO_SERVER, gap=10)
    assert trial.stopped == (True, True)


def test_talk_with_a_model():
    ask = b'{"model": "m", "messages": [{"role": "user", "content": "how many?"}]}'
    answer = b'data: {"choices": [{"delta": {"content": "fo"}}]}\n\ndata: {"choices": [{"delta": {"content": "ur"}}]}\n\ndata: [DONE]\n\n'
    trial = play((TO_SERVER, hello() + headers(1, *POST, ("content-type", "application/json")) + data(1, ask[:30]) + data(1, ask[30:], end=True)),
                 (TO_CLIENT, headers(1, *OK, ("content-type", "text/event-stream")) + data(1, answer[:60]) + data(1, answer[60:], end=True)),
                 **{"llm.always": True})
    assert shown(trial, 1, TO_SERVER, "llm.prompt") == b"how many?" and shown(trial, 1, TO_SERVER, "llm.model") == b"m"
    assert shown(trial, 1, TO_CLIENT, "llm.response").replace(b"\n", b"") == b"four"
    assert trial.log(tx_of(trial, 1)["id"], 3)["llm"]["streamed"] is True


# ---- gRPC ----

CALL = (*POST[:2], (":path", "/inference.GRPCInferenceService/ModelInfer"), ("content-type", "application/grpc+proto"))
ANSWER = (*OK, ("content-type", "application/grpc"))


def test_a_call():
    body = message(b"one") + message(b"t" * 300, compressed=True) + message(b"")
    sent = hello() + headers(1, *CALL) + b"".join(data(1, body[at:at + 7]) for at in range(0, len(body), 7)) + data(1, b"", end=True)
    trial = play((TO_SERVER, sent), beyond=True)
    assert shown(trial, 1, TO_SERVER, "grpc.service") == b"inference.GRPCInferenceService" and shown(trial, 1, TO_SERVER, "grpc.method") == b"ModelInfer"
    assert shown(trial, 1, TO_CLIENT, "grpc.service") is None       # nobody has answered
    trial.feed(TO_CLIENT, headers(1, *ANSWER) + data(1, message(b"two")) + headers(1, ("grpc-status", "0"), end=True))
    assert shown(trial, 1, TO_CLIENT, "grpc.service") == b"inference.GRPCInferenceService"
    assert trial.log(tx_of(trial, 1)["id"], 1)["http"]["grpc"] == {
        "service": b"inference.GRPCInferenceService", "method": b"ModelInfer", "requests": 3, "responses": 1, "compressed": 1, "status": 0}


@pytest.mark.parametrize("answer", [(*ANSWER, ("grpc-status", "12")), (*OK, ("content-type", "text/html"))])
def test_a_call_to_who_has_no_such_method(answer):
    trial = play((TO_SERVER, hello() + headers(1, *CALL, end=True)), (TO_CLIENT, headers(1, *answer, end=True)))
    assert shown(trial, 1, TO_CLIENT, "grpc.service") is None and shown(trial, 1, TO_SERVER, "grpc.service") is not None


@pytest.mark.parametrize(("path", "service"), [("/a/B", b"a"), ("/a.b.C/D/E", b"a.b.C/D"), ("/a", None), ("/", None), ("//m", None), ("/a/", None), ("a/B", None)])
def test_paths_of_calls(path, service):
    trial = play((TO_SERVER, hello() + headers(1, (":path", path), CALL[3], end=True)))
    assert shown(trial, 1, TO_SERVER, "grpc.service") == service


def test_grpc_web_is_none():
    trial = play((TO_SERVER, hello() + headers(1, *CALL[:3], ("content-type", "application/grpc-web+proto"), end=True)))
    assert shown(trial, 1, TO_SERVER, "grpc.service") is None


# ---- any cut, any bytes ----

def conversation() -> list[tuple[int, bytes]]:
    return [(TO_SERVER, hello((1, 65536)) + headers(1, *POST, ("content-type", "application/grpc")) + data(1, message(b"hello"))),
            (TO_CLIENT, settings((3, 100)) + headers(1, *ANSWER, ("content-encoding", "gzip"))),
            (TO_SERVER, data(1, b"x" * 50, end=True) + frame(HEADERS, 3, block(*GET, kept=True), END_STREAM) + frame(CONTINUATION, 3, b"\xbe\xbf", END_HEADERS)),
            (TO_CLIENT, data(1, gzip.compress(b"answer " * 40)) + headers(1, ("grpc-status", "0"), end=True) + headers(3, *OK, end=True)
             + frame(GOAWAY, 0, struct.pack(">II", 3, 0)))]


def outcome(pieces: list[tuple[int, bytes]]) -> tuple:
    trial, held = RoomTrial("http2", beyond=True), [b"", b""]
    for direction, piece in pieces:
        held[direction] += piece
        held[direction] = held[direction][trial.feed(direction, held[direction]):]
    found = [(tx["progress"], tx["events"], [[(file["data"], file["state"]) for file in way] for way in tx["files"]], trial.log(tx["id"], 2))
             for tx in trial.transactions()]
    assert trial.close() == {"flow": 0, "applayer": 0}
    return held, found


def test_cuts_change_nothing():
    turns = conversation()
    whole = outcome(turns)
    assert len(whole[1]) == 5 and whole[0] == [b"", b""]
    for size in (1, 2, 3, 7, 50):
        assert outcome([(way, sent[at:at + size]) for way, sent in turns for at in range(0, len(sent), size)]) == whole
    for turn, (way, sent) in enumerate(turns):
        for cut in range(1, len(sent)):
            assert outcome([*turns[:turn], (way, sent[:cut]), (way, sent[cut:]), *turns[turn + 1:]]) == whole


def test_a_conversation_may_end_anywhere():
    turns = conversation()
    for turn, (way, sent) in enumerate(turns):
        for cut in range(0, len(sent), 3):
            trial = play(*turns[:turn]) if turn == 0 else RoomTrial("http2")
            for each in turns[:turn] if turn else ():
                trial.stream(each[0], [each[1]])
            trial.stream(way, [sent[:cut]], eof=True)
            for tx in trial.transactions():
                trial.log(tx["id"], 2)
            assert trial.close() == {"flow": 0, "applayer": 0}


def test_memory_that_is_refused():
    for memory in (2000, 5000, 9000, 20_000, 60_000):
        trial = RoomTrial("http2", memory=memory)
        for way, sent in conversation() * 3:
            trial.stream(way, [sent])
        assert trial.close() == {"flow": 0, "applayer": 0}
