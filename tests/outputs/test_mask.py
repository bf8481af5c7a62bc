"""No output holds what a leak rule looks for, however it came: every entry of leaks.toml is planted in every place, and every output searched."""
from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from captures import conversation, tcp, write_pcap
from hypothesis import given, settings
from hypothesis import strategies as st
from leak_samples import IDS, NUMBERS, TEMPLATES, pieces, secrets

import fastpath as fp
from fastpath.control.mask import LEARNT_MAX, Masker, views
from fastpath.dataplane.match.secrets import Finder
from fastpath.outputs.eve import EveWriter, Shows
from fastpath.packs.ai_factory.leaks import entries, places
from fastpath.rules.leaks import Sought, sought_by

ALL = Shows(payload=True, payload_printable=True, packet=True, verdict=True, ethernet=True)
OUTSIDE = "203.0.113.9"
OTHERS = """
alert http any any -> any any (msg:"any uri"; http.uri; content:"/"; sid:1;)
alert tcp any any -> any any (msg:"any bytes"; flow:established; content:"e"; sid:2;)
alert http any any -> any any (msg:"any body"; file.data; content:"e"; sid:3;)
alert smtp any any -> any any (msg:"any mail"; content:"@"; sid:4;)
alert ftp-data any any -> any any (msg:"any file"; flow:established; sid:5;)
alert tcp any any -> any any (msg:"any segment"; flow:established; dsize:>0; sid:6;)
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "others.rules"
    path.write_text(OTHERS)
    return fp.RuleSet.load([path], packs=["ai_factory"])


@pytest.fixture(scope="module")
def masker(rules):
    return Masker.of([rules])


# ---- places ----

def http(uri: str = "/x", body: bytes = b"", answer: bytes = b"", more: str = "", said: str = "") -> tuple[bytes, bytes]:
    length = "" if "Transfer" in more else f"Content-Length: {len(body)}\r\n"
    request = f"POST {uri} HTTP/1.1\r\nHost: a.test\r\n{length}{more}\r\n".encode() + body
    length = "" if "Transfer" in said else f"Content-Length: {len(answer)}\r\n"
    return request, f"HTTP/1.1 200 OK\r\n{length}{said}\r\n".encode() + answer


def chunked(data: bytes, size: int) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(data[at:at + size]), data[at:at + size]) for at in range(0, len(data), size)) + b"0\r\n\r\n"


def mail(text: bytes, encoding: str = "") -> list[tuple[bytes, bytes]]:
    head = b"From: <a@corp.test>\r\nTo: <b@out.test>\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=x\r\n"
    head += f"Content-Transfer-Encoding: {encoding}\r\n".encode() if encoding else b""
    return [(b"", b"220 out.test\r\n"), (b"EHLO me\r\n", b"250 hi\r\n"), (b"MAIL FROM:<a@corp.test>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@out.test>\r\n", b"250 ok\r\n"), (b"DATA\r\n", b"354 go\r\n"), (head + b"\r\n" + text + b"\r\n.\r\n", b"250 ok\r\n")]


def wrapped(data: bytes) -> bytes:
    text = b64encode(data)
    return b"\r\n".join(text[at:at + 76] for at in range(0, len(text), 76))


class Wire:
    """Connections one after the other, each with ports of its own."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.port = 20000

    def add(self, said, **ends) -> None:
        self.port += 1
        self.frames += conversation(said, **{"sport": self.port, "dst": OUTSIDE} | ends)

    def upload(self, data: bytes) -> None:
        """A file sent to an FTP server, over a passive connection."""
        self.port += 1
        passive = 30000 + self.port % 20000
        said = f"227 Entering Passive Mode (203,0,113,9,{passive >> 8},{passive & 255})\r\n".encode()
        control = conversation([(b"", b"220 hi\r\n"), (b"USER a\r\n", b"331 ok\r\n"), (b"PASS b\r\n", b"230 ok\r\n"), (b"PASV\r\n", said),
                                (b"STOR x.bin\r\n", b"150 go\r\n"), (b"", b"226 done\r\n")], sport=self.port, dst=OUTSIDE, dport=21)
        self.frames += control[:-5] + conversation([(data, b"")], sport=self.port + 20000, dst=OUTSIDE, dport=passive) + control[-5:]


def everywhere(wire: Wire, secret: str) -> None:
    raw = secret.encode()
    text = f'{{"prompt": "see {secret} please", "e": 1}}'.encode()
    wire.add([http(f"/x?k={quote(secret, safe='')}&e=1")])
    if not re.search(r"[\s]", secret):
        wire.add([http(f"/x?k={secret}&e=1")])
        wire.add([http("/h", more=f"Authorization: Bearer {secret}\r\nX-Key: {secret}\r\n")])
    wire.add([http("/b", text)])
    wire.add([http("/c", chunked(text, 7), more="Transfer-Encoding: chunked\r\n")])
    wire.add([http("/d", text, b"thanks")] * 2)
    # a server of ours answers somebody outside
    for answer, said in ((text, ""), (gzip.compress(text, mtime=0), "Content-Encoding: gzip\r\n"), (chunked(text, 11), "Transfer-Encoding: chunked\r\n")):
        wire.add([http("/e", answer=answer, said=said)], src=OUTSIDE, dst="10.0.0.2")
    wire.add([(one, b"") for one in cut(http("/f", text)[0], raw)] + [(b"", http("/f")[1])])
    wire.add(mail(b"the key is " + raw + b" keep it"), dport=25)
    wire.add(mail(wrapped(b"the key is " + raw + b" keep it"), "base64"), dport=25)
    wire.upload(b"the key is " + raw + b" keep it")


def cut(request: bytes, raw: bytes) -> list[bytes]:
    """In two segments, in the middle of the secret."""
    at = request.index(raw) + len(raw) // 2
    return [request[:at], request[at:]]


# ---- searching ----

def forms(piece: str) -> list[bytes]:
    raw = piece.encode()
    made = [raw, quote(piece, safe="").encode(), quote(piece).encode(), raw.hex().encode(), raw.hex(" ").encode(), raw.hex().upper().encode(),
            json.dumps(piece)[1:-1].encode()]
    return made + [b64encode(bytes(shift) + raw)[(8 * shift + 5) // 6:8 * (shift + len(raw)) // 6] for shift in range(3)]


def decoded(content: bytes) -> bytes:
    """With the bytes that base64 in it stands for."""
    found = re.findall(rb'"(?:payload|packet)":"([A-Za-z0-9+/=]+)"', content)
    return content + b"\n" + b"\n".join(map(b64decode, found))


def check(number: int, secret: str, outputs: dict[str, bytes]) -> None:
    for piece in pieces(number, secret):
        parts = {piece, *([piece[:12], piece[-12:]] if number in TEMPLATES and len(piece) >= 16 else [])}
        for form in {form for part in parts for form in forms(part)}:
            for name, content in outputs.items():
                at = content.find(form)
                assert at < 0, f"{number}: {form!r} of {secret!r} in {name}: {content[max(0, at - 300):at + len(form) + 100]!r}"


# ---- tests ----

@pytest.mark.parametrize("number", sorted(IDS))
def test_no_event_holds_a_secret(rules, tmp_path, number):
    wire, [secret] = Wire(), secrets(number, 1)
    everywhere(wire, secret)
    out = io.BytesIO()
    with fp.Engine(rules) as engine:
        result = engine.replay(write_pcap(tmp_path / "a.pcap", wire.frames), sinks=[EveWriter(out, ["all"], shows=ALL)])
    leaked = {sid for sid in result.alerts["sid"].tolist() if sid // 10 == 930_000 + number}
    leak = next(one for one in entries() if one["id"] == number)
    in_headers = 5 in places(leak) and not re.search(r"\s", secret)
    assert {sid % 10 for sid in leaked} == {0, 1, 2, 3, 4, *([5] if in_headers else [])}
    assert set(range(1, 7)) <= set(result.alerts["sid"].tolist())
    check(number, secret, {"eve": decoded(out.getvalue())})


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """One capture with everything everywhere, as a user has it."""
    folder = tmp_path_factory.mktemp("planted")
    wire, found = Wire(), []
    for number in (1, 5, 19, 24, 35, 50, 51, 52, 56, 58, 85, 117):
        [secret] = secrets(number, 1)
        found.append((number, secret))
        everywhere(wire, secret)
    (folder / "others.rules").write_text(OTHERS)
    (folder / "none.rules").write_text('alert tcp any any -> any any (msg:"new"; flow:established; content:"prompt"; sid:77;)\n')
    (folder / "x.yaml").write_text("%YAML 1.1\n---\noutputs:\n  - eve-log:\n      ethernet: yes\n      types:\n        - alert:\n            payload: yes\n"
                                   "            payload-printable: yes\n            packet: yes\n")
    from fastpath.packs import texts
    (folder / "leaks.rules").write_bytes(b"".join(text for text, name in texts("ai_factory") if name.endswith("leaks.toml")))
    write_pcap(folder / "a.pcap", wire.frames)
    return folder, found


def run(folder: Path, *words: str) -> bytes:
    ran = subprocess.run([sys.executable, "-m", "fastpath", *words], check=False, capture_output=True, cwd=folder, env=os.environ | {"COLUMNS": "250"})
    assert ran.returncode in (0, 3), ran.stderr
    return ran.stdout + ran.stderr


def test_no_output_of_the_command_holds_a_secret(planted):
    folder, found = planted
    outputs = {"terminal": run(folder, "replay", "a.pcap", "-S", "others.rules", "--pack", "ai_factory", "-c", "x.yaml", "-l", "out", "--events", "all",
                               "--parquet", "parquet", "--report", "r.html", "--write", "alerts:w.pcapng", "--overwrite")}
    rules = ["-S", "others.rules", "-S", "leaks.rules"]
    outputs["why of a leak rule"] = b"".join(run(folder, "why", "a.pcap", *rules, "--sid", str(sid), "--most", "50") +
                                             run(folder, "why", "a.pcap", *rules, "--sid", str(sid), "--json") for sid in (9_300_010, 9_300_015, 9_300_050, 9_300_500))
    outputs["why"] = b"".join(run(folder, "why", "a.pcap", *rules, "--sid", str(sid), "--most", "200")
                              + run(folder, "why", "a.pcap", *rules, "--sid", str(sid), "--json") for sid in (2, 3, 6))
    outputs["offload"] = run(folder, "offload", "a.pcap", *rules, "--json", "-", "--confirm", "0", "--sizes", "1k", "--latencies", "1ms", "--rates", "1k")
    outputs["diff"] = run(folder, "diff", "a.pcap", *rules, "--new", "none.rules", "--json", "-") + run(folder, "diff", "a.pcap", *rules, "--new", "none.rules")
    for path in (folder / "out" / "eve.json", folder / "r.html", folder / "w.pcapng", *(folder / "parquet").glob("*")):
        outputs[path.name] = path.read_bytes()
    outputs = {name: decoded(content) for name, content in outputs.items()}
    assert all(len(content) > 100 for content in outputs.values()) and b"AI factory leak" in outputs["eve.json"]
    for number, secret in found:
        check(number, secret, outputs)


def test_what_is_no_secret_is_shown(rules, tmp_path):
    """Events, payloads and packets of what leaks nothing are what they are without leak rules."""
    capture = write_pcap(tmp_path / "a.pcap", conversation([http("/x?order=4711&d=2026-01-31", b'{"e": "plain words, 12345 and more"}', b"fine answer")]))
    made = []
    for loaded in (rules, fp.RuleSet.parse(OTHERS)):
        out = io.BytesIO()
        with fp.Engine(loaded) as engine:
            engine.replay(capture, sinks=[EveWriter(out, ["alert", "http", "flow", "fileinfo"], shows=ALL)])
        made.append(sorted(out.getvalue().splitlines()))
    assert made[0] == made[1] and len(made[0]) > 6


def test_a_vendors_prefix_is_kept(rules, tmp_path):
    [secret] = secrets(5, 1)
    out = io.BytesIO()
    with fp.Engine(rules) as engine:
        engine.replay(write_pcap(tmp_path / "a.pcap", conversation([http(f"/x?k={secret}")], dst=OUTSIDE)), sinks=[EveWriter(out, ["http"])])
    [event] = map(json.loads, out.getvalue().splitlines())
    assert event["http"]["url"] == "/x?k=AKIA" + 16 * "*"


def test_pieces_in_the_next_packets_are_known(rules, tmp_path):
    """A private key over many segments: none of its lines shows, in alerts on single packets either."""
    rng_lines = [secrets(19, 1)[0].splitlines()[1], *("".join(secrets(23, 40)[at][3:]) + "abcdefghijklmnop" for at in range(40))]
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(rng_lines) + "\n-----END RSA PRIVATE KEY-----\n"
    request, answer = http("/k", f"e {key}".encode())
    segments = [request[at:at + 100] for at in range(0, len(request), 100)]
    out = io.BytesIO()
    with fp.Engine(rules) as engine:
        result = engine.replay(write_pcap(tmp_path / "a.pcap", conversation([*((one, b"") for one in segments), (b"", answer)], dst=OUTSIDE)),
                               sinks=[EveWriter(out, ["all"], shows=ALL)])
    assert 9_300_190 in result.alerts["sid"].tolist() and result.alerts["sid"].tolist().count(6) > 20
    shown = decoded(out.getvalue())
    for line in rng_lines:
        for at in range(0, len(line) - 12, 4):
            assert line[at:at + 12].encode() not in shown


def test_live_alerts_are_masked(rules):
    [secret] = secrets(5, 1)
    out = io.BytesIO()
    writer = EveWriter(out, ["alert"], shows=ALL)
    with fp.Engine(rules) as engine:
        for packet in conversation([http("/x", f"e {secret}".encode())], dst=OUTSIDE):
            writer.write(engine.inspect([packet], ts=1).batch)
    check(5, secret, {"eve": decoded(out.getvalue())})


def test_rules_of_ones_own(tmp_path):
    """`data_class` is what makes a rule one: its expressions, or contents where it has none, and how much of it is kept."""
    rules = fp.RuleSet.parse(r"""
alert tcp any any -> any any (msg:"a"; content:"Project Bluebird"; nocase; metadata:data_class internal; sid:1;)
alert tcp any any -> any any (msg:"b"; content:"ID:"; pcre:"/\A[0-9]{6}/R"; metadata:data_class internal, data_kept 2; sid:2;)
alert tcp any any -> any any (msg:"c"; content:"ordinary words"; sid:3;)
""")
    masker = Masker.of([rules])
    assert masker.text("see project bluebird now") == "see **************** now"
    assert masker.text("ID:123456 and 123456, ordinary words") == "ID:12**** and 123456, ordinary words"
    assert Masker.of([fp.RuleSet.parse(OTHERS)]) is None
    kept = 'alert tcp any any -> any any (content:"plain words"; metadata:data_class x, data_kept all; sid:1;)'
    assert Masker.of([fp.RuleSet.parse(kept)]) is None


def test_a_reload_keeps_what_is_known(rules):
    old = Masker.of([fp.RuleSet.parse('alert tcp any any -> any any (pcre:"/k[0-9]{12}/"; metadata:data_class x; sid:1;)')])
    assert old.text("k123456789012") == "*" * 13
    new = Masker.of([rules], old)
    assert new.text("part 3456789012 of it") == "part ********** of it"


def test_rules_from_a_cache_are_read_alone(tmp_path):
    (tmp_path / "a.rules").write_text(OTHERS + 'alert tcp any any -> any any (pcre:"/k[0-9]{12}/"; metadata:data_class x; sid:9;)\n'
                                      '# alert tcp any any -> any any (pcre:"/off[0-9]{12}/"; metadata:data_class x; sid:10;)\n')
    (tmp_path / "cache").mkdir(mode=0o700)
    for _ in range(2):
        loaded = fp.RuleSet.load([tmp_path / "a.rules"], cache=tmp_path / "cache")
        loaded.compile({}) if not loaded.finding else None
        assert [plan.sid for plan in loaded.finding] == [9]


# ---- the parts ----

@pytest.mark.parametrize("write", (lambda raw: quote(raw.decode(), safe="").encode(), b64encode, lambda raw: raw.hex().encode(), lambda raw: raw.hex(" ").encode(),
                                   lambda raw: b"".join(b"=%02X" % one for one in raw), lambda raw: chunked(raw, 3), wrapped,
                                   lambda raw: "".join(f"\\u{one:04x}" for one in raw).encode(), lambda raw: b"".join(b"%%%02x" % one for one in raw)),
                         ids=("url", "base64", "hex", "spaced", "quoted", "chunks", "lines", "json", "percent"))
def test_encodings_are_read(masker, write):
    for number in (5, 20, 51, 52):
        [secret] = secrets(number, 1)
        for before in (b"", b"q", b"qq "):
            shown = masker.bytes(b"say: " + write(before + secret.encode() + b" ok ") + b" !")
            assert secret.encode() not in shown and not any(secret.encode() in view.data for view in views(shown))
            assert shown.startswith(b"say: ") and shown.endswith(b" !")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_views_say_where_bytes_come_from(data):
    for view in views(data):
        assert len(view.data) == view.length
        for at in range(view.length):
            start, end = view.origin(at, at + 1)
            assert 0 <= start <= end <= len(data)


@settings(deadline=None)
@given(data=st.binary(max_size=400), protocol=st.sampled_from(("http", "tls", "")))
def test_masking_keeps_lengths_and_does_nothing_twice(masker, data, protocol):
    once = masker.payload(data, protocol)
    assert len(once) == len(data)
    assert len(masker.bytes(data, cut=True)) == len(data)
    assert all(one == other or one == 0x2A for one, other in zip(once, data, strict=True))


@settings(deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_is_taken(masker, text):
    assert masker.event({"a": text, text: [text, 1]}) is not None


def test_what_is_known_is_bounded():
    finder = Finder([])
    for number in range(60_000):
        finder.learn(f"{number * 2654435761:016x}".encode())
    assert finder.overflows >= 1
    assert finder.find(f"{59_999 * 2654435761:016x}".encode()) == [(0, 16, -1)]


def test_a_limit_of_the_expression_hides_the_rest():
    finder = Finder([(rb"(?:a+)+b", "", None, b"")])
    found = finder.find(b"x" + b"a" * 5000)
    assert not found or found[0][1] == 5001


def test_an_expression_that_is_none_is_refused():
    with pytest.raises(ValueError, match="offset"):
        Finder([(b"(", "", None, b"")])


@pytest.mark.parametrize("expression, literal", ((rb"\bAKIA[A-Z2-7]{16}\b", b"AKIA"), (rb"a|bcd", b""), (rb"(?i)abc", b""), (rb"ab?cde{2}f", b"cd"),
                                                 (rb"\bv1\.0-[a-f]{2}", b"v1.0-"), (rb"(?:x|y)zz[\]a]q", b"zz"), (rb"[^\]]abc(d)", b"abc")))
def test_the_text_that_must_be_there(expression, literal):
    assert Sought(expression, "", None, 0, True).literal == literal


def test_every_expression_of_the_pack_is_sought(rules):
    sought, protocols = sought_by(rules.finding)
    assert len(sought) == len(TEMPLATES) + len(NUMBERS) + 1 and protocols == {"http", "http2", "smtp", "ftp-data"}
    assert LEARNT_MAX > 4096 and tcp()
