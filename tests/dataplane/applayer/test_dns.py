"""The DNS room: messages as transactions, names, sections, EVE records, over UDP and TCP."""
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
REVERSED = 1 << 31


def question(name: bytes, rrtype: int = 1) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in name.split(b".")) + b"\0" + struct.pack(">HH", rrtype, 1)


def header(bits: int, *counts: int, number: int = 7) -> bytes:
    return struct.pack(">HHHHHH", number, bits, *counts, *[0] * (4 - len(counts)))


def record(rrtype: int, data: bytes, name: bytes = b"\xc0\x0c", length: int | None = None) -> bytes:
    return name + struct.pack(">HHIH", rrtype, 1, 60, len(data) if length is None else length) + data


LONG = (b"\x3f" + b"a" * 63) * 20 + b"\0"
SOA = b"\1m\0\1r\0" + struct.pack(">IIIII", 1, 2, 3, 4, 5)
QUERY = header(0x0100, 1) + question(b"www.example")
ANSWER = header(0x8180, 1, 1) + question(b"www.example") + record(1, bytes([1, 2, 3, 4]))
EVERY = header(0x85B0, 1, 11, 1) + question(b"www.example") + b"".join([
    record(1, bytes([1, 2, 3, 4])), record(28, bytes(range(16))), record(15, b"\0\5\1m\xc0\x0c"), record(33, b"\0\1\0\2\0\3\1s\0"),
    record(44, b"\1\2abc"), record(10, b"nul\xff"), record(6, SOA), record(5, b"\1c\xc0\x0c"), record(2, b"\2ns\0"),
    record(16, b"\2ab\0\3abc"), record(65, b"x"), record(12, b"\1p\0")])


def udp(**more) -> RoomTrial:
    return RoomTrial(ports=(40000, 53), udp=True, udp_ports={"dns": [53]}, **more)


def tcp() -> RoomTrial:
    return RoomTrial(ports=(40000, 53), tcp_ports={"dns": [53]})


def prefixed(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def said(trial: RoomTrial) -> list:
    """Everything that can be seen of the transactions."""
    found = []
    for tx in trial.transactions():
        found.append((tx["id"], tx["events"], [trial.log(tx["id"], kind) for kind in range(3)],
                      [trial.buffer(tx["id"], TO_SERVER, "dns.query", index) for index in range(3)]))
    return found


def test_a_query_and_its_answer_are_a_transaction_each():
    trial = udp()
    trial.feed(TO_SERVER, QUERY)
    trial.feed(TO_CLIENT, ANSWER)
    assert trial.proto == "dns"
    assert [tx["id"] for tx in trial.transactions()] == [0, 1]
    assert trial.log(0, 0) == {"dns": {"version": 2, "type": "query", "id": 7, "rrname": b"www.example", "rrtype": "A", "tx_id": 0,
                                       "opcode": 0}}
    assert trial.log(0, 1) is None and trial.log(1, 0) is None
    assert trial.log(1, 1) == {"dns": {
        "version": 2, "type": "answer", "id": 7, "flags": "8180", "qr": True, "rd": True, "ra": True, "opcode": 0,
        "rrname": b"www.example", "rrtype": "A", "rcode": "NOERROR",
        "answers": [{"rrname": b"www.example", "rrtype": "A", "ttl": 60, "rdata": "1.2.3.4"}], "grouped": {"A": ["1.2.3.4"]}}}
    assert trial.buffer(0, TO_SERVER, "dns.query") == (b"www.example", 0, 3)
    assert trial.buffer(0, TO_SERVER, "dns.opcode") == 0
    assert trial.buffer(1, TO_CLIENT, "dns.query") is None
    trial.free_done()
    assert trial.transactions() == []
    assert set(trial.close().values()) == {0}


def test_every_record_type_that_is_written():
    trial = udp()
    trial.feed(TO_SERVER, QUERY)
    trial.feed(TO_CLIENT, EVERY)
    dns = trial.log(1, 1)["dns"]
    data = [{key: value for key, value in answer.items() if key not in ("rrname", "ttl")} for answer in dns["answers"]]
    assert data == [
        {"rrtype": "A", "rdata": "1.2.3.4"}, {"rrtype": "AAAA", "rdata": "0001:0203:0405:0607:0809:0a0b:0c0d:0e0f"},
        {"rrtype": "MX", "rdata": b"m.www.example"}, {"rrtype": "SRV", "srv": {"priority": 1, "weight": 2, "port": 3, "name": b"s"}},
        {"rrtype": "SSHFP", "sshfp": {"fingerprint": "61:62:63", "algo": 1, "type": 2}}, {"rrtype": "NULL", "rdata": b"nul\xff"},
        {"rrtype": "SOA", "soa": {"mname": b"m", "rname": b"r", "serial": 1, "refresh": 2, "retry": 3, "expire": 4, "minimum": 5}},
        {"rrtype": "CNAME", "rdata": b"c.www.example"}, {"rrtype": "NS", "rdata": b"ns"}, {"rrtype": "TXT", "rdata": b"ab"},
        {"rrtype": "TXT", "rdata": b""}, {"rrtype": "TXT", "rdata": b"abc"}, {"rrtype": "HTTPS"}]
    assert dns["grouped"]["TXT"] == [b"ab", b"", b"abc"]
    assert "HTTPS" not in dns["grouped"]
    assert dns["authorities"] == [{"rrname": b"www.example", "rrtype": "PTR", "ttl": 60, "rdata": b"p"}]
    assert dns["aa"] and "z" not in dns and dns["flags"] == "85b0"
    assert "answers" not in trial.log(1, 2)["dns"]["answer"]


def test_each_question_is_an_event_and_a_buffer():
    trial = udp()
    trial.feed(TO_SERVER, header(0x0140, 2) + question(b"a.b", 2) + question(b"c", 65280))
    assert [(each["rrname"], each["rrtype"], each["z"]) for each in trial.log(0, 0)["dns"]] == [(b"a.b", "NS", True), (b"c", "65280", True)]
    assert len(trial.log(0, 2)["dns"]["query"]) == 2
    names = {0: (b"a.b", 0, 3), 1: (b"c", 0, 3), 2: None}
    for index in (0, 1, 2, 1, 0, 0, 2):
        assert trial.buffer(0, TO_SERVER, "dns.query", index) == names[index]


@pytest.mark.parametrize(("message", "events"), [
    (header(0x4900, 1) + question(b"a"), ["dns.invalid_opcode"]),
    (header(0x0140, 1) + question(b"a"), ["dns.z_flag_set"]),
    (header(0x0100, 1) + LONG + b"\0\1\0\1", ["dns.name_too_long"]),
    (header(0x0100, 1) + b"\1a\xc0\x0c\0\1\0\1", ["dns.name_too_long", "dns.too_many_labels"]),
    (header(0x0100, 1) + b"\xc0\x0e\xc0\x0e\0\1\0\1\0\1", ["dns.infinite_loop"]),
])
def test_oddities_are_events(message, events):
    trial = udp()
    trial.feed(TO_SERVER, message)
    assert [tx["events"] for tx in trial.transactions()] == [events]
    assert len(trial.log(0, 0)["dns"]["rrname"]) <= 1025


def test_a_long_name_says_that_it_was_cut():
    trial = udp()
    trial.feed(TO_SERVER, header(0x0100, 1) + LONG + b"\0\1\0\1")
    assert trial.log(0, 0)["dns"]["rrname_truncated"] is True


@pytest.mark.parametrize("message", [
    header(0x0100, 1) + b"\xc0\x0c\0\1\0\1", header(0x0100, 1) + b"\1a" * 300 + b"\0\0\1\0\1", header(0x0100, 1) + b"\x80ab\0\0\1\0\1",
    header(0x0100, 1) + b"\xff\xff\0\1\0\1", QUERY[:-1], header(0x0100, 65535, 65535, 65535, 65535), b"",
])
def test_what_is_no_message_makes_no_transaction(message):
    trial = RoomTrial("dns", udp=True)
    trial.feed(TO_SERVER, message)
    assert trial.transactions() == [] and trial.stopped == (False, False)
    trial.feed(TO_SERVER, QUERY)
    assert len(trial.transactions()) == 1


@pytest.mark.parametrize("bad", [record(1, b""), record(5, b""), record(16, b"\5ab"), record(44, b"\1"), record(6, SOA[:-1]),
                                 record(1, b"abc", length=99), record(1, b"abcd", name=b"\x80")])
def test_a_broken_record_breaks_the_answer(bad):
    trial = udp()
    trial.feed(TO_SERVER, QUERY)
    trial.feed(TO_CLIENT, header(0x8180, 1, 1) + question(b"a.b") + bad)
    assert [tx["events"] for tx in trial.transactions()] == [["dns.malformed_data"]]
    trial.feed(TO_CLIENT, header(0x8180, 1, 1, 0, 1) + question(b"a.b") + record(1, b"abcd") + bad)
    assert len(trial.transactions()) == 2, "additional records are not looked at"


def test_recognition_goes_by_port_and_shape():
    trial = RoomTrial(ports=(40000, 54), udp=True, udp_ports={"dns": [53]})
    trial.feed(TO_SERVER, QUERY)
    assert trial.proto != "dns"
    trial = udp()
    trial.feed(TO_SERVER, b"no DNS at all")
    assert trial.proto != "dns"
    trial = udp()
    assert trial.feed(TO_SERVER, ANSWER) == REVERSED
    assert trial.proto == "dns" and trial.log(0, 1)["dns"]["type"] == "answer"
    trial = tcp()
    assert trial.feed(TO_SERVER, prefixed(QUERY)[:13]) == 0 and trial.proto == "unknown"
    trial.feed(TO_SERVER, prefixed(QUERY))
    assert trial.proto == "dns"


def test_tcp_messages_have_their_length_before_them():
    trial = tcp()
    assert trial.stream(TO_SERVER, [prefixed(QUERY) + b"\0\0" + prefixed(QUERY) + b"\0"]) == b"\0"
    assert trial.need[0] == 2
    assert [tx["id"] for tx in trial.transactions()] == [0, 1]
    trial.stream(TO_SERVER, [prefixed(QUERY) + prefixed(QUERY[:-2])])
    assert trial.transactions()[-1]["events"] == ["dns.malformed_data"] and trial.stopped == (True, True)


def test_a_message_of_the_other_kind():
    trial = RoomTrial("dns")
    trial.stream(TO_CLIENT, [prefixed(ANSWER) + prefixed(QUERY)])
    assert [tx["events"] for tx in trial.transactions()] == [["dns.not_response"], []]
    trial = RoomTrial("dns")
    trial.stream(TO_SERVER, [prefixed(QUERY) + prefixed(ANSWER)])
    assert [tx["events"] for tx in trial.transactions()] == [["dns.not_request"]] and trial.stopped[0]


def test_gaps_are_survived_where_messages_go_on():
    trial = RoomTrial("dns")
    trial.feed(TO_SERVER, prefixed(QUERY))
    trial.feed(TO_SERVER, gap=100)
    trial.feed(TO_SERVER, prefixed(QUERY))
    assert len(trial.transactions()) == 2
    trial.feed(TO_CLIENT, gap=5)
    assert trial.feed(TO_CLIENT, b"\0\x0dnot a message") == 15
    trial.feed(TO_CLIENT, prefixed(ANSWER))
    assert len(trial.transactions()) == 3 and trial.stopped == (False, False)
    assert set(trial.close().values()) == {0}


@given(st.lists(st.integers(0, 400), max_size=12))
def test_split_anywhere_it_is_the_same(cuts):
    data = prefixed(EVERY) + b"\0\0" + prefixed(ANSWER) + prefixed(EVERY)
    whole, split = RoomTrial("dns"), RoomTrial("dns")
    whole.stream(TO_CLIENT, [data])
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    split.stream(TO_CLIENT, [data[a:b] for a, b in zip(edges, edges[1:])])
    assert said(whole) == said(split)


def test_cut_at_every_byte():
    for message in (QUERY, EVERY):
        for length in range(len(message)):
            for direction in (TO_SERVER, TO_CLIENT):
                trial = RoomTrial("dns", udp=True)
                trial.feed(direction, message[:length])
                said(trial)
                assert set(trial.close().values()) == {0}


def test_full_memory_stops_the_session_and_nothing_else():
    trial = RoomTrial("dns", memory=4096)
    trial.stream(TO_CLIENT, [prefixed(ANSWER)] * 100)
    assert trial.stopped == (True, True) and 0 < len(trial.transactions()) < 100
    said(trial)
    assert set(trial.close().values()) == {0}
