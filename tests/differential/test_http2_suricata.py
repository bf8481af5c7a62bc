"""HTTP/2 held against Suricata 7.0.10 where it is installed: every alert, with its packet, direction and transaction, and every `http` event."""
from __future__ import annotations

import gzip
import json
import random
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from captures import conversation, write_pcap
from differential.test_stream_events import is_installed
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
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    headers,
    hello,
    literal,
    number,
    settings,
)

import fastpath as fp
from fastpath.outputs.eve import EveWriter

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs Suricata 7.0.10")

EVENTS = ("invalid_frame_header", "invalid_client_magic", "invalid_frame_data", "invalid_header", "invalid_frame_length", "extra_header_data",
          "long_frame_data", "stream_id_reuse", "invalid_http1_settings", "failed_decompression", "invalid_range", "header_integer_overflow",
          "too_many_streams", "authority_host_mismatch", "userinfo_in_uri", "reassembly_limit_reached")
ASKED = (*(f"http2.frametype:{number}" for number in range(10)), *(f"http2.errorcode:{number}" for number in (1, 2, 5, 8, 11)), "http2.priority:>250",
         "http2.priority:16", "http2.window:2", "http2.window:10-21", "http2.size_update:5000", "http2.size_update:0", "http2.settings:SETTINGS_ENABLE_PUSH",
         "http2.settings:SETTINGS_HEADER_TABLE_SIZE>99", "http2.settings:SETTINGS_MAX_CONCURRENT_STREAMS=100", "urilen:2", "filesize:>5")
HELD = (("http2.header_name", "x-"), ("http2.header_name", ":status"), ("http.request_header", ":path: /x"), ("http.response_header", ":status: 2"),
        ("http.uri", "/x"), ("http.uri.raw", "/x"), ("http.method", "GET"), ("http.host", "example.com"), ("http.host.raw", "Example.COM:8080"),
        ("http.user_agent", "Agent/1"), ("http.header", "X-Up: padded|0d 0a|"), ("http.header", "cookie"), ("http.header_names", "|0d 0a|:method|0d 0a|"),
        ("http.cookie", "a=1, b=2"), ("http.cookie", "s=1"), ("http.accept", "x, y"), ("http.accept_enc", "gzip"), ("http.accept_lang", "de"),
        ("http.referer", "http://r/"), ("http.connection", "keep"), ("http.content_len", "11"), ("http.content_type", "text/"), ("http.location", "/l"),
        ("http.server", "srv"), ("http.stat_code", "200"), ("http.request_line", "GET /x HTTP/2"), ("http.response_line", "HTTP/2 200"),
        ("http.protocol", "HTTP/2"), ("http.request_body", "hello world"), ("http.response_body", "secret"), ("file.data", "secret"))
RULES = "".join(f"alert http any any -> any any ({text}; sid:{sid};)\n" for sid, text in enumerate([
    *(f"app-layer-event:http2.{name}" for name in EVENTS), *ASKED, *(f'{buffer}; content:"{text}"' for buffer, text in HELD),
    "http.stat_msg; bsize:0", 'flow:to_server; http.header.raw; content:"X-Up:   padded  |0d 0a|"'], 1)) + (
        "alert tcp any any -> any any (app-layer-protocol:http2; sid:900;)\n")

SERVED = settings((3, 100))


def window(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, stream, struct.pack(">I", size))


LATER = (window(0, 1), window(0, 2))
ANSWERED = SERVED + headers(1, *OK, end=True)
WIDE = (*POST, ("content-type", "text/plain"), ("user-agent", "Agent/1"), ("cookie", "a=1"), ("cookie", "b=2"), ("accept", "x"), ("accept", "y"),
        ("accept-encoding", "gzip"), ("accept-language", "de"), ("referer", "http://r/"), ("connection", "keep"), ("content-length", "11"))

#: name -> (what the client sends, what the server answers) ...
SESSIONS: dict[str, list[tuple[bytes, bytes]]] = {
    "goaway": [(hello() + headers(1, *GET, end=True), ANSWERED), *[(frame(GOAWAY, 0, struct.pack(">II", 5, 2)), frame(GOAWAY, 0, struct.pack(">II", 1, 11)))]],
    "reset": [(hello() + headers(1, *POST), SERVED), (frame(RST_STREAM, 1, b"\0\0\0\x08"), b""), LATER, LATER],
    "reset by the server": [(hello() + headers(1, *POST) + data(1, b"abc"), SERVED), (b"", frame(RST_STREAM, 1, b"\0\0\0\x02")), LATER, LATER],
    "priority": [(hello() + frame(HEADERS, 1, struct.pack(">IB", 1 << 31 | 3, 254) + block(*GET), END_HEADERS | END_STREAM | HAS_PRIORITY)
                  + frame(PRIORITY, 1, b"\0\0\0\0\x10"), ANSWERED), LATER],
    "padded data": [(hello() + headers(1, *GET, end=True), SERVED + headers(1, *OK) + frame(DATA, 1, b"\x03secret" + bytes(3), END_STREAM | PADDED)), LATER],
    "bodies": [(hello() + headers(1, *WIDE), SERVED), (data(1, b"hello "), b""),
               (data(1, b"world", end=True), headers(1, *OK, ("server", "srv"), ("location", "/l"), ("set-cookie", "s=1"), ("content-type", "text/html"))),
               (b"", data(1, b"sec")), (window(0, 1), data(1, b"ret", end=True)), LATER],
    "gzip": [(hello() + headers(1, *GET, end=True), SERVED + headers(1, *OK, ("content-encoding", "gzip")) + data(1, gzip.compress(b"a secret"), end=True)), LATER],
    "push": [(hello() + headers(1, *GET, end=True), SERVED + frame(PUSH_PROMISE, 1, b"\0\0\0\x02" + block(*GET[:2], (":path", "/pushed")), END_HEADERS)
              + headers(1, *OK) + data(1, b"one", end=True) + headers(2, *OK) + data(2, b"secret", end=True)), LATER],
    "continuation": [(hello() + frame(HEADERS, 1, block(*GET[:2]), END_STREAM) + frame(CONTINUATION, 1, block(*GET[2:]))
                      + frame(CONTINUATION, 1, block(("x-last", "yes")), END_HEADERS), ANSWERED), LATER],
    "user in the host": [(hello() + headers(1, *GET[:3], (":authority", "me@example.com"), end=True), ANSWERED), LATER],
    "another host": [(hello() + headers(1, *GET, ("host", "other.org"), end=True), ANSWERED), LATER],
    "host alone": [(hello() + headers(1, *GET[:3], ("host", "Example.com:80"), end=True), ANSWERED), LATER],
    "letters of the host": [(hello() + headers(1, *GET[:3], (":authority", "Example.COM:8080"), end=True), ANSWERED), LATER],
    "sizes of the table": [(hello((1, 65536)) + frame(HEADERS, 1, number(0, 5, 0x20) + number(5000, 5, 0x20) + block(*GET, kept=True), END_HEADERS | END_STREAM),
                            ANSWERED), (frame(HEADERS, 3, b"\xc1\xc0\xbf\xbe", END_HEADERS | END_STREAM), headers(3, *OK, end=True)), LATER],
    "no such index": [(hello() + headers(1, *GET, end=True), ANSWERED), (frame(HEADERS, 3, block(*GET) + b"\xff\x20", END_HEADERS | END_STREAM),
                      headers(3, *OK, end=True)), (frame(HEADERS, 5, block(*GET) + b"\x80", END_HEADERS | END_STREAM), headers(5, *OK, end=True)), LATER],
    "numbers beyond": [(hello() + headers(1, *GET, end=True), ANSWERED), (frame(HEADERS, 3, block(*GET) + b"\xff" * 12 + b"\x01", END_HEADERS | END_STREAM),
                       headers(3, *OK, end=True)), (frame(HEADERS, 5, block(*GET) + b"\xff" * 10 + b"\x01", END_HEADERS | END_STREAM), headers(5, *OK, end=True)), LATER],
    "stream used again": [(hello() + headers(1, *GET, end=True) + headers(3, *POST), ANSWERED), (headers(1, *GET) + data(1, b"x"), b""), LATER],
    "much": [(hello() + headers(1, *GET, end=True), SERVED + headers(1, *OK)), (window(0, 1), frame(DATA, 1, b"b" * 40000 + b"secret" + b"a" * 4000)),
             (window(0, 1), data(1, b"c" * 3000, end=True)), LATER],
    "nothing": [(hello() + headers(1, *POST), SERVED + headers(1, *OK)), (data(1, b"", end=True), data(1, b"", end=True)), LATER],
    "little": [(hello() + headers(1, (":method", "GET"), end=True), SERVED + headers(1, (":status", "abc"), end=True)), LATER],
    "without an end": [(hello() + headers(1, *POST), SERVED + headers(1, *OK)), LATER],
    "ping": [(hello() + frame(PING, 0, b"12345678"), SERVED + frame(PING, 0, b"12345678", 1)), (headers(1, *GET, end=True), headers(1, *OK, end=True)), LATER],
    "capitals": [(hello() + headers(1, *GET, ("User-Agent", "Agent/1"), ("X-Up", "  padded  "), end=True), SERVED + headers(1, *OK, ("Server", "srv"), end=True)), LATER],
    "ranges": [(hello() + headers(1, *GET, end=True), SERVED + headers(1, (":status", "206"), ("content-range", "bytes 0-5/10")) + data(1, b"secret", end=True)),
               (headers(3, *GET, end=True), headers(3, (":status", "206"), ("content-range", "bytes x-5/10")) + data(3, b"secret", end=True)), LATER],
}


def by_suricata(capture: Path, folder: Path) -> tuple[Counter, Counter]:
    (folder / "a.rules").write_text(RULES)
    subprocess.run([shutil.which("suricata"), "-r", capture, "-S", folder / "a.rules", "-l", folder, "-k", "none", "--runmode", "single", "--set",
                    "packet-alert-max=255"], check=True, capture_output=True, timeout=120)
    return told(folder / "eve.json")


def by_fastpath(capture: Path, folder: Path) -> tuple[Counter, Counter]:
    rules = fp.RuleSet.parse(RULES)
    assert not rules.refusals
    with fp.Engine(rules, config=fp.Config.load(None, ["packet-alert-max=255"]), checksums="none", compat=True) as engine, \
            (folder / "ours.json").open("wb") as out:
        engine.replay(str(capture), sinks=[EveWriter(out, ("alert", "http"))], keep=())
    return told(folder / "ours.json")


def told(path: Path) -> tuple[Counter, Counter]:
    """Alerts: (port of the client, sid, transaction, direction, packet) -> how many; and the `http` objects."""
    alerts, said = Counter(), Counter()
    for event in map(json.loads, path.read_text().splitlines()):
        port = max(event.get("src_port", 0), event.get("dest_port", 0))
        if event["event_type"] == "alert":
            alerts[port, event["alert"]["signature_id"], event.get("tx_id"), event.get("direction"), event.get("pcap_cnt")] += 1
        elif event["event_type"] == "http":
            said[port, event["tx_id"], json.dumps(event["http"], sort_keys=True)] += 1
    return alerts, said


def test_sessions(tmp_path):
    frames = [each for at, turns in enumerate(SESSIONS.values()) for each in conversation(turns, sport=40000 + at)]
    capture = write_pcap(tmp_path / "sessions.pcap", frames)
    theirs, ours = by_suricata(capture, tmp_path), by_fastpath(capture, tmp_path)
    names = dict(enumerate(SESSIONS, 40000))
    assert sum(theirs[0].values()) > 500 and len(theirs[1]) > 30
    for wanted, found in zip(theirs, ours, strict=True):
        assert sorted((names[key[0]], *key[1:]) for key in (wanted - found)) == sorted((names[key[0]], *key[1:]) for key in (found - wanted))


def random_session(rng: random.Random) -> list[tuple[bytes, bytes]]:
    """Streams that take turns, of which each may stop at any point; both sides' bytes cut anywhere."""
    sides = [[hello((1, 4096)) + window(0, 100)], [SERVED]]
    for stream in range(1, 2 * rng.randrange(2, 7), 2):
        fields = [*(GET if rng.random() < .5 else POST), *rng.sample(WIDE[4:], rng.randrange(4))]
        ask = [frame(HEADERS, stream, b"".join(literal(*field, kept=rng.random() < .5) for field in fields), END_HEADERS | END_STREAM * (fields[0] == GET[0]))]
        if fields[0] != GET[0]:
            ask += [data(stream, b"hello world", end=True)]
        answer = [headers(stream, *OK, ("server", "srv"))] + [data(stream, b"some secret ", end=last) for last in (False, True)]
        for at, side in enumerate((ask, answer)):
            sides[at].append(b"".join(side[:rng.choice([len(side), len(side), 1])]))
    turns = []
    for asked, answered in zip(*sides, strict=True):
        cut, cut_back = rng.randrange(len(asked) + 1), rng.randrange(len(answered) + 1)
        turns += [(asked[:cut], b""), (asked[cut:], answered[:cut_back]), (b"", answered[cut_back:])]
    return [*turns, LATER]


@pytest.mark.parametrize("seed", range(2))
def test_random_sessions(tmp_path, seed):
    rng = random.Random(seed)
    capture = write_pcap(tmp_path / "random.pcap", [each for at in range(60) for each in conversation(random_session(rng), sport=40000 + at)])
    theirs, ours = by_suricata(capture, tmp_path), by_fastpath(capture, tmp_path)
    assert sum(theirs[0].values()) > 1000
    for wanted, found in zip(theirs, ours, strict=True):
        assert (sorted(wanted - found), sorted(found - wanted)) == ([], [])
