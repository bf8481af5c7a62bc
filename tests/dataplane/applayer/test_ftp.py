"""The FTP rooms: commands, replies, the flows that they announce, and the files of those. Expected is what Suricata 7.0.10 says."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
STOR, RETR = 1, 2
BANNER = (TO_CLIENT, b"220 (hi)\r\n")


def play(*said, size: int | None = None, **more) -> RoomTrial:
    trial, held = RoomTrial("ftp", **more), [b"", b""]
    for direction, data in said:
        for at in range(0, len(data), size or len(data) or 1):
            held[direction] += data[at:at + (size or len(data))]
            held[direction] = held[direction][trial.feed(direction, held[direction]):]
    return trial


def seen(trial: RoomTrial) -> list:
    return [(tx["id"], tx["progress"], tx["events"], trial.log(tx["id"], 0)["ftp"]) for tx in trial.transactions()]


def ftp(*said) -> list[dict]:
    """What is written of each transaction, without what it says of nothing being cut."""
    return [{key: value for key, value in each.items() if value is not False} for *_, each in seen(play(*said))]


def test_commands_and_replies():
    assert ftp(BANNER, (TO_SERVER, b"USER x\r\nPASS y\r\nsyst\r\n"), (TO_CLIENT, b"331-a\r\n150 wait\r\n230 b\r\n215 c\r\n")) == [
        {"completion_code": [b"220"], "reply": [b"(hi)"], "reply_received": "yes"},
        {"command": "USER", "command_data": b"x", "completion_code": [b"331"], "reply": [b"a"], "reply_received": "yes"},
        {"command": "PASS", "command_data": b"y", "completion_code": [b"150", b"230"], "reply": [b"wait", b"b"], "reply_received": "yes"},
        {"command": "SYST", "completion_code": [b"215"], "reply": [b"c"], "reply_received": "yes"}]


@pytest.mark.parametrize(("line", "command", "data"), [
    (b"XYZ USER foo", "USER", b"SER foo"), (b"USERfoo", "USER", b"oo"), (b"USER foo PASS bar", "USER", b"foo PASS bar"), (b"PASSUSER", "PASS", b"SER"),
    (b"USER  foo ", "USER", b" foo"), (b"USER ", "USER", None), (b"xpwd", "PWD", None), (b"list\0 a", "LIST", b" a")])
def test_a_command_is_found_anywhere(line, command, data):
    each, = ftp((TO_SERVER, line + b"\r\n"))
    assert (each["command"], each.get("command_data"), each["reply_received"]) == (command, data, "no")


@pytest.mark.parametrize(("reply", "codes", "texts"), [
    (b"33", None, [b"33"]), (b"abc def", None, [b"abc def"]), (b"2570 x", [b"257"], [b" x"]), (b"250", [b"250"], None),
                                                      (b"250-", [b"250"], []), (b"", None, None)])
def test_replies_that_are_none(reply, codes, texts):
    each, = ftp((TO_SERVER, b"PWD\r\n"), (TO_CLIENT, reply + b"\r\n"))
    assert (each.get("completion_code"), each.get("reply"), each["reply_received"]) == (codes, texts, "yes")


@pytest.mark.parametrize(("command", "reply", "transfer", "announced"), [
    (b"PASV", b"227 Entering Passive Mode (10,0,0,2,4,1).", b"RETR some file.txt", (TO_CLIENT, 1025, RETR, b"some file.txt")),
    (b"PASV", b"227 x (10,0,0,2, 4 , 1 )", b"STOR b", (TO_SERVER, 1025, STOR, b"b")),
    (b"EPSV", b"229 ok (|||5000|)", b"RETR c", (TO_CLIENT, 5000, RETR, b"c")),
    (b"PORT 10,0,0,1,4,1", b"200 ok", b"RETR d", (TO_SERVER, 1025, RETR, b"d")),
    (b"EPRT |2|::1|2222|", b"200 ok", b"STOR e", (TO_CLIENT, 2222, STOR, b"e")),
])
def test_data_connections_are_announced(command, reply, transfer, announced):
    trial = play(BANNER, (TO_SERVER, command + b"\r\n"), (TO_CLIENT, reply + b"\r\n"), (TO_SERVER, transfer + b"\r\n"))
    assert trial.take_announced() == [announced]
    assert seen(trial)[1][3]["dynamic_port"] == announced[1]
    trial.feed(TO_SERVER, transfer + b"\r\n")
    assert trial.take_announced() == [] and trial.stopped == (True, True), "a port serves once"


@pytest.mark.parametrize(("command", "reply"), [
    (b"PASV", b"227 no parentheses 10,0,0,2,4,1"), (b"PASV", b"227 (10,0,0,2,400,1)"), (b"PASV", b"425 no"), (b"EPSV", b"229 (|||99999|)"),
    (b"PORT 10.0.0.1.4.1", b"200 ok"), (b"PORT 10,0,0,1,400,1", b"200 ok"), (b"EPRT |1|x", b"200 ok")])
def test_no_port_no_transfer(command, reply):
    trial = play(BANNER, (TO_SERVER, command + b"\r\n"), (TO_CLIENT, reply + b"\r\n"), (TO_SERVER, b"RETR a\r\n"))
    assert trial.take_announced() == [] and trial.stopped == (True, True)
    assert "dynamic_port" not in seen(trial)[1][3]


def test_mode_of_active_transfers():
    assert [each["mode"] for each in ftp((TO_SERVER, b"PORT 1,2,3,4,5,6\r\n"), (TO_CLIENT, b"200 x\r\n"), (TO_SERVER, b"PORT x\r\n"),
                                         (TO_CLIENT, b"500 x\r\n"))] == ["active", "passive"]


def test_long_lines_are_cut():
    trial = play((TO_SERVER, b"CWD " + b"a" * 5000 + b"\r\n"), (TO_CLIENT, b"250 " + b"b" * 5000 + b"\r\n"), (TO_SERVER, b"PWD\r\n"), (TO_CLIENT, b"257 x\r\n"))
    first, second = seen(trial)
    assert first[2] == ["ftp.request_command_too_long", "ftp.response_command_too_long"] and second[2] == []
    assert len(first[3]["command_data"]) == 4092 and first[3]["command_truncated"] and first[3]["reply_truncated"]


def test_auth_tls_ends_the_session_as_ftp():
    trial = play((TO_SERVER, b"AUTH TLS\r\n"), (TO_CLIENT, b"534 no\r\n"), (TO_SERVER, b"AUTH TLS\r\n"))
    assert trial.proto == "ftp"
    trial.feed(TO_CLIENT, b"234 go\r\n")
    trial.feed(TO_SERVER, b"\x16\x03\x01")
    assert trial.proto == "tls" and trial.transactions()[0]["id"] == 0     # that of TLS alone


def test_recognition():
    for direction, first, proto in ((TO_SERVER, b"USER x\r\n", "ftp"), (TO_SERVER, b"feat\r\n", "ftp"), (TO_CLIENT, b"220 (x)\r\n", "ftp"),
                                    (TO_SERVER, b"PASV\r\n", "unknown"), (TO_CLIENT, b"220 x\r\n", "unknown")):
        trial = RoomTrial()
        trial.feed(direction, first)
        assert trial.proto == proto


def test_too_many_open_transactions_stop_the_session():
    trial = play((TO_SERVER, b"PWD\r\n" * 5000))
    assert trial.stopped == (True, True) and len(trial.transactions()) == 1024
    assert set(trial.close().values()) == {0}


def test_endless_preliminary_replies_stay_small():
    trial = play((TO_SERVER, b"PWD\r\n"), (TO_CLIENT, b"150 wait for it\r\n" * 20000))
    assert trial.memory < 200_000 and len(trial.transactions()) == 1
    seen(trial)


@given(st.integers(1, 40))
def test_split_anywhere_it_is_the_same(size):
    said = (BANNER, (TO_SERVER, b"USER x\r\nPASV\r\n"), (TO_CLIENT, b"331-a\r\n227 x (1,2,3,4,5,6)\r\n\r\n230 b\n"), (TO_SERVER, b"RETR f\r\n\r\nQUIT\n"))
    whole, split = play(*said), play(*said, size=size)
    assert seen(whole) == seen(split) and whole.take_announced() == split.take_announced()


def transfer(direction: int, command: int, name: bytes) -> RoomTrial:
    trial = RoomTrial("ftp-data")
    trial.expect(direction, command, name)
    return trial


def test_a_data_connection_is_a_file():
    trial = transfer(TO_CLIENT, RETR, b"a.txt")
    trial.feed(TO_SERVER, b"not what was asked for")
    assert trial.log(0, 1) == {"ftp_data": {}}
    trial.feed(TO_CLIENT, b"content")
    assert trial.log(0, 1) == {"ftp_data": {"filename": b"a.txt", "command": "RETR"}} and trial.log(0, 0) is None
    assert trial.buffer(0, TO_CLIENT, "file.data") == "later" and trial.buffer(0, TO_CLIENT, "ftpdata.command") == RETR
    trial.feed(TO_CLIENT, b" more", eof=True)
    tx, = trial.transactions()
    assert tx["progress"] == (1, 1) and [(f["data"], f["state"]) for f in tx["files"][1]] == [(b"content more", "closed")]
    assert trial.buffer(0, TO_CLIENT, "file.data")[0] == b"content more" and trial.buffer(0, TO_CLIENT, "file.name")[0] == b"a.txt"
    assert set(trial.close().values()) == {0}


def test_a_data_connection_that_nobody_announced_stops():
    trial = RoomTrial("ftp-data")
    trial.feed(TO_CLIENT, b"content")
    assert trial.stopped == (True, True)


def test_a_large_file_is_forgotten_as_it_passes():
    trial = transfer(TO_SERVER, STOR, b"big")
    for _ in range(100):
        trial.feed(TO_SERVER, b"x" * 10000)
    assert trial.transactions()[0]["files"][0][0]["size"] == 1_000_000 and trial.memory < 400_000
    data, offset, _ = trial.buffer(0, TO_SERVER, "file.data")
    assert offset + len(data) == 1_000_000
