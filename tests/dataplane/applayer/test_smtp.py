"""The SMTP room and MIME: commands and replies, mails, attachments, links, oddities. What is expected is what Suricata 7.0.10 says."""
from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
BANNER, HELO, HELO_REPLY = b"220 hi ESMTP\r\n", b"EHLO me\r\n", b"250-ok\r\n250 SIZE\r\n"
MAIL, RCPT, OK = b"MAIL FROM:<a@b> SIZE=10\r\n", b"RCPT TO:<c@d>\r\n", b"250 ok\r\n"
MULTIPART = b'From: a\r\nContent-Type: multipart/mixed;\r\n boundary="BB"\r\n\r\n'
TEXT = (b"From: X <x@y>\r\nTo: <c@d>, \"q, r\" <e@f>\r\nCc: g@h\r\nSubject: s\r\n folded\r\n\r\n"
        b"Hello http://www.example.com/a/B.exe and https://no/\r\nline2\r\n.\r\n")


def parts(*bodies: bytes) -> bytes:
    return b"".join(b"--BB\r\n" + body + b"\r\n" for body in bodies) + b"--BB--\r\n.\r\n"


MIXED = MULTIPART + parts(
    b"Content-Type: text/plain\r\n\r\ntext http://a.b/c",
    b"Content-Type: application/octet-stream; name=n.bin\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="f.bin"\r\n\r\nSGVsbG8gd29y\r\nbGQh',
    b"Content-Type: text/plain; name=q.txt\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc",
    b"Content-Disposition: attachment; filename*0=r;filename*1=.txt\r\n\r\nl1\r\n\r\nl3")


def dialogue(*mails: bytes) -> list[tuple[int, bytes]]:
    said = [(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, HELO_REPLY)]
    for mail in mails:
        said += [(TO_SERVER, MAIL), (TO_CLIENT, OK), (TO_SERVER, RCPT), (TO_CLIENT, OK), (TO_SERVER, b"DATA\r\n"),
                 (TO_CLIENT, b"354 go\r\n"), (TO_SERVER, mail), (TO_CLIENT, OK)]
    return said


def play(said, size: int | None = None, **more) -> RoomTrial:
    trial, held = RoomTrial("smtp", **more), [b"", b""]
    for direction, data in said:
        for at in range(0, len(data), size or len(data) or 1):
            held[direction] += data[at:at + (size or len(data))]
            held[direction] = held[direction][trial.feed(direction, held[direction]):]
    return trial


def seen(trial: RoomTrial) -> list:
    return [(tx["id"], tx["progress"], tx["events"], [(f["name"], f["data"], f["size"], f["state"]) for f in tx["files"][0]],
             trial.log(tx["id"], 0)) for tx in trial.transactions()]


def files(body: bytes) -> list[tuple[bytes, bytes]]:
    trial = play(dialogue(MULTIPART + parts(body)))
    return [(file["name"], file["data"]) for file in trial.transactions()[0]["files"][0]]


def body_of(encoding: bytes, data: bytes) -> bytes:
    (name, content), = files(b"Content-Type: text/plain; name=n\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + data)
    assert name == b"n"
    return content


def test_a_plain_mail():
    trial = play(dialogue(TEXT))
    tx, = trial.transactions()
    assert tx["progress"] == (1, 1) and tx["events"] == [] and tx["files"] == [[], []]
    assert trial.log(0, 0) == {
        "smtp": {"helo": b"me", "mail_from": b"<a@b>", "rcpt_to": [b"<c@d>"]},
        "email": {"status": "PARSE_DONE", "from": b"X <x@y>", "to": [b"<c@d>", b'"q, r" <e@f>'], "cc": [b"g@h"],
                  "url": [b"www.example.com/a/b.exe"], "has_ipv6_url": False, "has_ipv4_url": False, "has_exe_url": True}}
    assert trial.log(0, 1) is None and trial.log(0, 2) == trial.log(0, 0)
    trial.free_done()
    trial.feed(TO_SERVER, b"QUIT\r\n")
    assert trial.log(1, 0) == {"smtp": {"helo": b"me"}}
    assert set(trial.close().values()) == {0}


def test_attachments_are_files():
    trial = play(dialogue(MIXED))
    assert seen(trial)[0][3] == [(b"f.bin", b"Hello world!", 12, "closed"), (b"q.txt", b"a=bc\r\n", 6, "closed"),
                                 (b"r.txt", b"l1\r\n\r\nl3", 8, "closed")]
    assert trial.log(0, 0)["email"]["attachment"] == [b"f.bin", b"q.txt", b"r.txt"]
    assert trial.log(0, 0)["email"]["url"] == [b"a.b/c"]
    assert trial.buffer(0, TO_SERVER, "file.data", 1) == (b"a=bc\r\n", 0, 3)
    assert trial.buffer(0, TO_SERVER, "file.name", 2) == (b"r.txt", 0, 3)
    assert trial.buffer(0, TO_SERVER, "file.data", 3) is None
    trial.inspected(0, TO_SERVER)
    assert trial.buffer(0, TO_SERVER, "file.data", 0) is None


@pytest.mark.parametrize(("data", "decoded"), [
    (b"SGVs!G8=", b"Hel\x1b"), (b"SGVs bG8=", b"Hello"), (b"SGVsbG8=SGVsbG8=\r\nS=GVs", b"HelloHelloH\x01"), (b"S\r\nG\r\nV\r\ns\r\nQQ", b"HelA"),
    (b"=QQ==QUJD", b"\x01\x01\x05"), (b"QUJD\r\n\r\nQUJD", b"ABCABC"), (b"SGVsb", b"Hel"), (b"", b"")])
def test_base64(data, decoded):
    assert body_of(b"BASE64", data) == decoded


ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@given(st.binary(max_size=600), st.lists(st.integers(1, 300), min_size=1, max_size=12),
       st.lists(st.tuples(st.integers(0, 800), st.sampled_from([9, 33, 42, 46, 58, 64, 91, 96, 123, 127, 128, 175, 200, 255])), max_size=4))
def test_base64_of_any_line_length_with_bytes_that_are_skipped(data, lengths, dirt):
    text = bytearray(base64.b64encode(data))
    for at, byte in dirt:
        text.insert(min(at, len(text)), byte)
    lines, at = [], 0
    while at < len(text):
        lines.append(bytes(text[at:at + lengths[len(lines) % len(lengths)]]))
        at += len(lines[-1])
    assert body_of(b"base64", b"\r\n".join(lines)) == data


def links(line: bytes) -> list[bytes]:
    """Naively: what stands behind each http:// up to what ends it. Where an end stands at once, the word behind it is passed over."""
    found, at = [], 0
    while (at := line.lower().find(b"http://", at)) >= 0:
        at += 7
        start = at
        while start < len(line) and line[start] in b" \"'<>]\t":
            start += 1
        end = start
        while end < len(line) and line[end] not in b" \"'<>]\t":
            end += 1
        if start == at < end and line[at:end].lower() not in found:
            found.append(line[at:end].lower())
        at = end + 1 if end > start else at
    return found


@given(st.lists(st.sampled_from([b"http://", b"HTTP://", b"http:/", b"http:", b":", b"//", b"h", b"ttp://", b"a.b", b" ", b"<", b"/"]), max_size=20))
def test_links_are_found_where_a_naive_search_finds_them(pieces):
    line = b"x" + b"".join(pieces)
    trial = play(dialogue(b"From: a\r\n\r\n" + line + b"\r\n.\r\n"))
    assert trial.log(0, 0)["email"].get("url", []) == links(line)[::-1]       # the latest first, as Suricata


def test_base64_broken_at_any_place():
    """Quanta that a line's end, or what does not count, breaks in two: the same bytes."""
    plain = bytes(range(256))
    text = base64.b64encode(plain)
    for at in range(0, len(text), 7):
        for between in (b"\r\n", b"!", b" \r\n "):
            assert body_of(b"BASE64", text[:at] + between + text[at:]) == plain, (at, between)


@pytest.mark.parametrize(("data", "decoded"), [
    (b"\r\na\r\n\r\nb=\r\n\r\nc\n\r\n", b"\r\na\r\n\r\nb\r\nc\r\n\r\n\r\n"), (b"l=c3=20=\r\n", b"lc3 \r\n"), (b"a=ZZ=", b"aZZ"), (b"x=e", b"xe\r\n")])
def test_quoted_printable(data, decoded):
    assert body_of(b"quoted-printable", data) == decoded


@pytest.mark.parametrize(("data", "decoded"), [
    (b"a\r\n\r\nb\nc\rd\r\n", b"a\r\n\r\nb\nc\rd\r\n"), (b"\r\n\r\na", b"\r\n\r\na"), (b"..dot", b"..dot")])
def test_plain_bodies_keep_their_line_ends(data, decoded):
    assert body_of(b"8bit", data) == decoded


@pytest.mark.parametrize(("header", "name"), [
    (b'attachment; FileName="up"', None), (b'attachment; filename= "sp.txt" ', b' "sp.txt" '), (b"attachment; filename=x y.txt ; a=b", b"x y.txt "),
    (b"attachment; filename*=utf-8''e.txt", None), (b'attachment; filename=""', b""), (b'attachment; filename="cut', None),
    (b'attachment; filename="a\\"b"; x=y', b"a\\"), (b"attachment; filename=1; filename=2", b"2"), (b"filename=f", None),
    (b"attachment; filename*1=b; filename*0=a; filename*3=d", b"ab"), (b"attachment; filename =f", None),
    (b'attachment; filename="' + b"n" * 300 + b'"', b"n" * 255)])
def test_file_names(header, name):
    assert [each for each, _ in files(b"Content-Disposition: " + header + b"\r\n\r\nabc")] == ([] if name is None else [name])


@pytest.mark.parametrize(("mail", "events", "status"), [
    (b"From: " + b"a" * 2100 + b"\r\n\r\nx\r\n.\r\n", {"mime_long_line", "mime_long_header_value"}, "PARSE_DONE"),
    (b"X" * 80 + b": a\r\n\r\nx\r\n.\r\n", {"mime_long_header_name"}, "PARSE_DONE"),
    (b"From: x\r\n\r\n" + b"y" * 1100 + b"\r\n.\r\n", {"mime_long_line"}, "PARSE_DONE"),
    (b"Content-Type: a; boundary=" + b"B" * 300 + b"\r\n\r\n.\r\n", {"mime_long_boundary", "mime_parse_failed"}, "PARSE_ERROR"),
    (MULTIPART + b"--BB\r\n\r\nj\r\n.\r\n", {"mime_malformed_msg"}, "PARSE_DONE"),
    (MULTIPART + b"--BB\r\n\r\nj\r\n--BB--\r\nx\r\n--BB--\r\n.\r\n", {"mime_parse_failed"}, None),
    (MULTIPART + parts(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=zz"), {"mime_invalid_qp"}, "PARSE_DONE"),
    (MULTIPART + parts(b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 20), {"mime_long_enc_line"}, "PARSE_DONE"),
])
def test_mime_oddities_are_events(mail, events, status):
    trial = play(dialogue(mail))
    assert set(trial.transactions()[0]["events"]) == {f"smtp.{event}" for event in events}
    assert trial.log(0, 0).get("email", {}).get("status") == status


@pytest.mark.parametrize(("said", "events", "stops"), [
    ([(TO_SERVER, HELO)], {"no_server_welcome_message"}, False),
    ([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, b"25\r\n")], {"invalid_reply"}, True),
    ([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, b"999 x\r\n")], {"invalid_reply"}, True),
    ([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, OK), (TO_SERVER, HELO)], {"duplicate_fields"}, False),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"STARTTLS\r\n"), (TO_CLIENT, b"502 no\r\n")], {"tls_rejected"}, False),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"DATA\r\n"), (TO_CLIENT, b"554 no\r\n")], {"data_command_rejected"}, False),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"DATA\r\nNOOP\r\n")], {"invalid_pipelined_sequence"}, False),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"BDAT 5 LAST\r\n12345678\r\n")], {"bdat_chunk_len_exceeded"}, True),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"BDAT\r\n")], set(), True),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"MAIL FROM:<" + b"a" * 5000 + b">\r\n")], {"truncated_line"}, False),
    ([(TO_CLIENT, BANNER), (TO_SERVER, b"DATA\r\n"), (TO_CLIENT, b"354 go\r\n"), (TO_SERVER, b"F: x\r\n\r\nx\r\n"), (TO_SERVER, b".\r\n")], set(), False),
])
def test_dialogues(said, events, stops):
    trial = play(said)
    assert set().union(*(tx["events"] for tx in trial.transactions())) == {f"smtp.{event}" for event in events}
    assert trial.stopped == (stops, stops)
    assert set(trial.close().values()) == {0}


def test_pipelining_needs_no_reply_to_data():
    said = [(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, b"250-ok\r\n250-PIPELINING\r\n250 SIZE\r\n"), (TO_SERVER, MAIL + RCPT + b"DATA\r\n" + TEXT)]
    trial = play(said)
    assert trial.transactions()[0]["progress"] == (1, 1) and trial.log(0, 0)["email"]["status"] == "PARSE_DONE"


def test_bdat_chunks_are_passed_over():
    trial = play([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, HELO_REPLY), (TO_SERVER, MAIL), (TO_CLIENT, OK),
                  (TO_SERVER, b"BDAT 10 LAST\r\n12345678\r\n"), (TO_CLIENT, OK), (TO_SERVER, b"RSET\r\n"), (TO_CLIENT, OK)])
    assert [(tx["progress"], tx["events"]) for tx in trial.transactions()] == [((1, 1), [])]


@pytest.mark.parametrize(("pieces", "exceeded"), [
    ((b"", b"abc\r\ndef"), False), ((b"", b"abc", b"def"), False), ((b"", b"-def"), False), ((b"abc\r\nd", b"ef"), False),
    ((b"abcdef",), True), ((b"abc\r\ndef",), True), ((b"", b"abc\r\n--def"), True), ((b"", b"abc\r\n-"), True),
    ((b"", b"abc\r\n--x\r\ndef"), True), ((b"", b"abc\r\n--x\r\n", b"def"), False), ((b"", b"abc\r\n--x", b"y\r\ndef"), True),
    ((b"", b"--x\r\nfoo\r\nb", b"ar"), False), ((b"", b"abc\r\n--\r\n"), False),
])
def test_a_chunk_without_an_end_of_line(pieces, exceeded):
    """As the oracle has it: where a chunk ends so in what came with its command, or behind a line like a boundary's, the next command is
    taken for its own."""
    head = b"BDAT %d LAST\r\n" % sum(map(len, pieces)) + pieces[0]
    trial = play([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, HELO_REPLY), (TO_SERVER, MAIL), (TO_CLIENT, OK), (TO_SERVER, head),
                  *((TO_SERVER, piece) for piece in pieces[1:]), (TO_CLIENT, OK), (TO_SERVER, b"QUIT\r\n"), (TO_CLIENT, OK)])
    assert ("smtp.bdat_chunk_len_exceeded" in trial.transactions()[0]["events"]) is exceeded and trial.stopped == (exceeded, exceeded)


def test_what_waits_is_no_news():
    """Shown again, as packets of the other direction do it, the end of a chunk still waits for its line."""
    trial = play([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, HELO_REPLY), (TO_SERVER, MAIL), (TO_CLIENT, OK)])
    said = b"BDAT 9 LAST\r\nabc\r\ndefg"
    said = said[trial.feed(TO_SERVER, said):]
    for _ in range(3):
        assert trial.feed(TO_SERVER, said) == 0
    trial.feed(TO_SERVER, said + b"QUIT\r\n")
    assert "smtp.bdat_chunk_len_exceeded" in trial.transactions()[0]["events"]


def test_two_mails_are_two_transactions():
    trial = play(dialogue(TEXT, MIXED))
    assert [tx["id"] for tx in trial.transactions()] == [0, 1]
    assert "attachment" in trial.log(1, 0)["email"] and "attachment" not in trial.log(0, 0)["email"]


def test_starttls_ends_the_session_as_smtp():
    trial = play([(TO_CLIENT, BANNER), (TO_SERVER, HELO), (TO_CLIENT, HELO_REPLY), (TO_SERVER, b"STARTTLS\r\n"), (TO_CLIENT, b"220 go\r\n")])
    assert trial.flags & 1 << 9 and trial.transactions()[0]["progress"] == (1, 1)
    trial.feed(TO_SERVER, b"\x16\x03\x01")
    assert trial.proto == "tls" and trial.transactions()[0]["id"] == 0     # that of TLS alone


def test_recognition_is_by_the_clients_first_word():
    for first, proto in ((b"ehlo x\r\n", "smtp"), (b"QUIT\r\n", "smtp"), (b"MAIL FROM:<a@b>\r\n", "failed")):
        trial = RoomTrial()
        trial.feed(TO_CLIENT, BANNER)
        trial.feed(TO_SERVER, first)
        assert trial.proto == proto


def test_a_large_attachment_is_looked_at_in_windows():
    trial = play(dialogue(MULTIPART + b"--BB\r\nContent-Type: a/b; name=n\r\n\r\n" + b"x" * 20000 + b"\r\n"))
    assert trial.buffer(0, TO_SERVER, "file.data") == "later"
    trial.feed(TO_SERVER, b"y" * 20480)
    data, offset, _ = trial.buffer(0, TO_SERVER, "file.data")
    assert offset == 0 and len(data) >= 32768
    trial.inspected(0, TO_SERVER)
    trial.feed(TO_SERVER, b"z" * 8192)
    again, offset, _ = trial.buffer(0, TO_SERVER, "file.data")
    assert offset == len(data) and set(again) <= set(b"yz\r\n")


def test_a_mail_that_is_cut_off_leaves_a_file_to_the_end_of_the_session():
    trial = play(dialogue(MIXED[:MIXED.index(b"bGQh")])[:-1])
    trial.feed(TO_SERVER, b"", eof=True)
    assert [(file["name"], file["state"]) for file in trial.transactions()[0]["files"][0]] == [(b"f.bin", "open")]


@given(st.integers(1, 60))
def test_split_anywhere_it_is_the_same(size):
    assert seen(play(dialogue(TEXT, MIXED), size)) == seen(play(dialogue(TEXT, MIXED)))


def test_cut_at_every_byte():
    for length in range(0, len(MIXED), 3):
        trial = play(dialogue(MIXED[:length])[:-1])
        seen(trial)
        trial.feed(TO_SERVER, b"", eof=True)
        seen(trial)
        assert set(trial.close().values()) == {0}


@pytest.mark.parametrize("bomb", [
    MULTIPART + b"--BB\r\n\r\n" * 20000, MULTIPART + b"--BB\r\nContent-Type: message/rfc822\r\n\r\n" * 5000,
    b"Content-Type: message/rfc822\r\n\r\n" * 5000, b"X: y\r\n" * 50000, b"\r\n" + b"http://a%d.b/ " * 20000, b"\r\n" + b"A" * 500000,
    b"From: " + b"a,\r\n " * 50000, b"\r\n" + b"\r" * 100000])
def test_bombs_stay_small(bomb):
    trial = play(dialogue(bomb)[:-1], 1400)
    assert trial.memory < 2_000_000
    seen(trial)
    assert set(trial.close().values()) == {0}


def test_full_memory_stops_the_session_and_nothing_else():
    for memory in range(0, 30000, 1500):
        trial = play(dialogue(MIXED), memory=max(memory, 1024))
        seen(trial)
        assert set(trial.close().values()) == {0}
