"""The DCE RPC room over TCP and UDP. Expected is what Suricata 7.0.10 says."""
from __future__ import annotations

import struct

import pytest
from made_smb import SAMR, bind, bind_ack, pdu, request, response

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
UUID = "12345778-1234-abcd-ef00-0123456789ac"
MOVES = [(0, bind(SAMR, SAMR)), (1, bind_ack(0, 2)), (0, request(b"stub", opnum=7, item=0)), (1, response(b"reply"))]


def play(moves, size: int | None = None, **more) -> RoomTrial:
    trial, held = RoomTrial("dcerpc", **more), [b"", b""]
    for direction, data in moves:
        for at in range(0, len(data), size or len(data)):
            held[direction] += data[at:at + (size or len(data))]
            held[direction] = held[direction][trial.feed(direction, held[direction]):]
    return trial


def said(trial: RoomTrial) -> list[dict]:
    found = [trial.log(tx["id"], TO_CLIENT) for tx in trial.transactions()]
    return [each["dcerpc"] for each in found if each is not None]


def test_a_session():
    trial = play(MOVES)
    assert said(trial) == [
        {"request": "BIND", "interfaces": [{"uuid": UUID, "version": "1.0", "ack_result": 0}, {"uuid": UUID, "version": "1.0", "ack_result": 2}],
         "response": "BINDACK", "call_id": 1, "rpc_version": "5.0"},
        {"request": "REQUEST", "req": {"opnum": 7, "frag_cnt": 1, "stub_data_size": 4}, "response": "RESPONSE",
         "res": {"frag_cnt": 1, "stub_data_size": 13}, "call_id": 1, "rpc_version": "5.0"}]
    assert [tx["progress"] for tx in trial.transactions()] == [(1, 1), (1, 1)]
    assert trial.buffer(1, TO_SERVER, "dcerpc.stub_data")[0] == b"stub" and trial.buffer(1, TO_CLIENT, "dcerpc.stub_data")[0] == bytes(8) + b"reply"
    assert trial.buffer(1, TO_SERVER, "dcerpc.opnum") == 7
    assert trial.buffer(1, TO_SERVER, "dcerpc.iface")[0] == bytes.fromhex(UUID.replace("-", "")) + b"\1\0\1"
    assert trial.buffer(1, TO_SERVER, "dcerpc.iface", 1) is None and trial.buffer(0, TO_SERVER, "dcerpc.opnum") is None


@pytest.mark.parametrize("size", range(1, 30))
def test_cuts_change_nothing(size):
    cut = play(MOVES, size)
    assert said(cut) == said(play(MOVES)) and cut.close() == {"flow": 0, "applayer": 0}


def test_the_interface_is_that_of_the_context():
    refused = play([*MOVES[:2], (0, request(b"stub", item=1))])
    assert refused.buffer(1, TO_SERVER, "dcerpc.iface") is None
    later = play([(0, bind(SAMR, flags=2)), (1, bind_ack(0)), (0, request(b"stub"))])
    assert later.buffer(1, TO_SERVER, "dcerpc.iface")[0][18] == 0


def test_unanswered_and_unasked():
    assert said(play([(0, request(b"s"))]))[0]["response"] == "UNREPLIED"
    assert said(play([(1, response(b"s"))]))[0]["request"] == "REQUEST_LOST"
    assert play([(0, request(b""))]).transactions()[0]["progress"] == (0, 0)


def test_a_call_number_used_again():
    calls = said(play([(0, request(b"a", opnum=1)), (1, response(b"b")), (0, request(b"c", opnum=2))]))
    assert [call["req"]["opnum"] for call in calls] == [1, 2]
    parts = said(play([(0, request(b"a", flags=1)), (0, request(b"b", flags=0)), (0, request(b"c", flags=2))]))
    assert [call["req"]["stub_data_size"] for call in parts] == [3]


def test_big_endian():
    trial = play([(0, request(b"stub", opnum=258, little=False))])
    assert trial.buffer(0, TO_SERVER, "dcerpc.opnum") == 258


@pytest.mark.parametrize("wrong", [pdu(16, b"auth"), pdu(3, bytes(16)), pdu(0, b"\0" * 7), pdu(0, b"", length=3), pdu(11, bytes(8) + b"\2\0\0\0" + bytes(44)),
                                   pdu(12, bytes(10) + b"\1\0\0\0")])
def test_what_ends_a_session(wrong):
    trial = play([*MOVES, (0, wrong)])
    assert trial.stopped == (True, True) and trial.close()["applayer"] == 0


def test_truncation_and_hostile_lengths():
    for direction, data in MOVES:
        for end in range(len(data)):
            trial = RoomTrial("dcerpc")
            assert trial.feed(direction, data[:end]) == 0 and trial.transactions() == []
            for fill in (b"\0\0", b"\xff\xff"):
                spoilt = RoomTrial("dcerpc", memory=1 << 16)
                spoilt.feed(direction, data[:end] + fill + data[end + 2:])
                for tx in spoilt.transactions():
                    spoilt.log(tx["id"], TO_CLIENT)
                assert spoilt.close() == {"flow": 0, "applayer": 0}


def test_gaps():
    trial = play(MOVES[:3])
    trial.feed(1, gap=50)
    trial.feed(1, b"rest of one" + bind_ack(0, call=9))
    assert trial.transactions()[1]["progress"] == (1, 1) and said(trial)[1]["response"] == "UNREPLIED"


def test_limits():
    trial = play([(0, request(b"s", call=i)) for i in range(1100)])
    assert sum(tx["progress"] == (1, 0) for tx in trial.transactions()) == 1025
    full = play([(0, request(b"s" * 60000, flags=1 if i == 0 else 0)) for i in range(40)])
    assert full.memory < 2 << 20


def datagram(kind: int, stub: bytes, *, number: int = 1, flags: int = 0, little: bool = True, version: int = 4) -> bytes:
    order = "<" if little else ">"
    return (bytes([version, kind, flags, 0, 0x10 if little else 0, 0, 0, 0]) + bytes(32) + bytes(range(16)) + bytes(8)
            + struct.pack(order + "IHHHHH", number, 26, 0xFFFF, 0xFFFF, len(stub), 0) + b"\0\0" + stub)


def test_datagrams():
    trial = RoomTrial("dcerpc", udp=True)
    trial.feed(0, datagram(0, b"ask", flags=4))
    trial.feed(0, datagram(0, b"more", flags=6))
    assert said(trial) == []
    trial.feed(1, datagram(2, b"reply"))
    assert said(trial) == [{"request": "REQUEST", "req": {"opnum": 0, "frag_cnt": 2, "stub_data_size": 7}, "response": "RESPONSE",
                            "res": {"frag_cnt": 1, "stub_data_size": 5}, "activityuuid": "03020100-0504-0706-0809-0a0b0c0d0e0f", "seqnum": 1,
                            "rpc_version": "4.0"}]
    assert trial.buffer(0, TO_SERVER, "dcerpc.stub_data")[0] == b"askmore" and trial.buffer(0, TO_SERVER, "dcerpc.opnum") is None
    trial.feed(0, datagram(0, b"x", number=2, little=False))
    trial.feed(0, datagram(9, b""))
    assert trial.stopped == (True, True) and said(trial)[1] == {
        "request": "REQUEST", "req": {"opnum": 0, "frag_cnt": 1, "stub_data_size": 1}, "response": "UNREPLIED",
        "activityuuid": "03020100-0504-0706-0809-0a0b0c0d0e0f", "seqnum": 2, "rpc_version": "4.0"}
    assert trial.close() == {"flow": 0, "applayer": 0}


@pytest.mark.parametrize("wrong", [b"", datagram(0, b"abc")[:79], datagram(0, b"abc")[:-1], datagram(0, b"", version=5)])
def test_what_is_no_datagram(wrong):
    trial = RoomTrial("dcerpc", udp=True)
    trial.feed(0, wrong)
    assert trial.transactions() == [] and trial.stopped == (True, True)


def test_recognition():
    for data, udp, proto in ((bind(SAMR), False, "dcerpc"), (datagram(0, b"a"), True, "dcerpc"), (b"\5\1\0\0" * 9, False, "unknown"),
                             (datagram(0, b"", version=3), True, "failed")):
        trial = RoomTrial(None, udp=udp)
        trial.feed(0, data)
        assert trial.proto == proto or proto in ("unknown", "failed") and trial.proto != "dcerpc"
