"""The SMB room: what messages say, which answer which, and the files and calls that they carry. Expected is what Suricata 7.0.10 says."""
from __future__ import annotations

import random

import pytest
from made_smb import (
    CLOSE,
    CREATE,
    END_OF_FILE,
    FID,
    IOCTL,
    NOT_FOUND,
    PIPE_FID,
    READ,
    SET_INFO,
    SETUP,
    WRITE,
    Exchange,
    answer_create,
    answer_ioctl,
    answer_negotiate,
    answer_read,
    answer_write,
    ask_close,
    ask_create,
    ask_ioctl,
    ask_read,
    ask_rename,
    ask_setup,
    ask_write,
    beginning,
    bind,
    nbss,
    ntlm,
    pipe_session,
    request,
    session,
    session1,
    smb1,
    smb2,
    spnego,
    ticket,
)

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
HALF = b"x" * 1500


def play(moves, size: int | None = None, **more) -> RoomTrial:
    trial, held = RoomTrial("smb", **more), [b"", b""]
    for direction, data in moves:
        for at in range(0, len(data), size or len(data) or 1):
            held[direction] += data[at:at + (size or len(data))]
            held[direction] = held[direction][trial.feed(direction, held[direction]):]
    return trial


def said(trial: RoomTrial) -> list[dict]:
    return [trial.log(tx["id"], TO_CLIENT)["smb"] for tx in trial.transactions()]


def seen(trial: RoomTrial) -> list:
    files = ("name", "state", "size", "md5")
    return [(tx["id"], tx["progress"], tx["events"], trial.log(tx["id"], TO_CLIENT),
             [[[file[key] for key in files] for file in side] for side in tx["files"]]) for tx in trial.transactions()]


def commands(trial: RoomTrial) -> list[str]:
    return [each["command"].removeprefix("SMB2_COMMAND_").removeprefix("SMB1_COMMAND_") for each in said(trial)]


def events(trial: RoomTrial) -> list[str]:
    return [event.removeprefix("smb.") for tx in trial.transactions() for event in tx["events"]]


def test_a_session():
    trial = play(session())
    assert commands(trial) == ["NEGOTIATE_PROTOCOL", "SESSION_SETUP", "SESSION_SETUP", "TREE_CONNECT", "CREATE", "WRITE", "READ", "CLOSE",
                               "TREE_DISCONNECT", "SESSION_LOGOFF"]
    assert all(tx["progress"] == (1, 1) and tx["events"] == [] for tx in trial.transactions())
    negotiate, setup, auth, tree, create, write, read, *_ = said(trial)
    assert negotiate == {
        "id": 1, "dialect": "3.11", "command": "SMB2_COMMAND_NEGOTIATE_PROTOCOL", "status": "STATUS_SUCCESS", "status_code": "0x0",
        "session_id": 0, "tree_id": 0, "client_dialects": ["2.02", "3.11"], "client_guid": "03020100-0504-0706-0908-0b0a0f0e0d0c",
        "server_guid": "00000000-0000-0000-0000-000000000000", "max_read_size": 1 << 20, "max_write_size": 1 << 20}
    assert (setup["status"], setup["status_code"], setup["session_id"]) == ("STATUS_MORE_PROCESSING_REQUIRED", "0xc0000016", 7)
    assert auth["ntlmssp"] == {"domain": "DOM", "user": "user", "host": "HOST", "version": "6.1 build 7600 rev 15"}
    assert (tree["share"], tree["share_type"], tree["tree_id"]) == ("\\\\srv\\docs", "FILE", 1)
    assert create["filename"] == "dir\\a.txt" and create["disposition"] == "FILE_CREATE" and create["access"] == "normal"
    assert create["created"] == 1655526400 and create["size"] == 3000 and create["fuid"] == "03020100-0504-0706-0908-0b0a0f0e0d0c"
    assert write["filename"] == read["filename"] == "dir\\a.txt"
    assert (write["share"], read["share"]) == ("", tree["share"])


def test_files():
    trial = play(session())
    written, read = (tx["files"] for tx in trial.transactions() if any(tx["files"]))
    assert [file["size"] for file in written[TO_SERVER] + read[TO_CLIENT]] == [3000, 3000]
    assert [file["state"] for file in written[TO_SERVER] + read[TO_CLIENT]] == ["closed", "closed"]
    assert written[TO_SERVER][0]["name"] == b"dir\\a.txt" and written[TO_SERVER][0]["data"] == HALF * 2
    assert trial.buffer(5, TO_SERVER, "file.data")[0] == HALF * 2 and trial.buffer(5, TO_SERVER, "file.name")[0] == b"dir\\a.txt"
    trial.inspected(5, TO_SERVER)
    assert trial.buffer(5, TO_SERVER, "file.data") is None


def test_pieces_out_of_order():
    talk = beginning().both(CREATE, ask_create("f"), answer_create(FID))
    for offset in (4, 0, 8):
        talk.both(WRITE, ask_write(FID, offset, b"%04d" % offset), answer_write(4))
    trial = play(talk.both(CLOSE, ask_close(FID)).moves)
    file, = trial.transactions()[5]["files"][TO_SERVER]
    assert (file["data"], file["state"]) == (b"000000040008", "closed")
    overlap = play(talk.moves[:-2] + [(0, nbss(smb2(WRITE, ask_write(FID, 2, b"zz"), message=99)))])
    assert events(overlap) == ["file_overlap"]


@pytest.mark.parametrize("moves", [session(), pipe_session(), session1()], ids=["files", "pipes", "smb1"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 513, 1460])
def test_cuts_change_nothing(moves, size):
    whole = play(moves)
    cut = play(moves, size)
    assert seen(cut) == seen(whole)
    assert cut.close() == whole.close() == {"flow": 0, "applayer": 0}


def test_every_truncation():
    """Of every record of either version, and both directions."""
    for direction, data in session() + pipe_session()[8:] + session1():
        for end in range(0, min(len(data), 220)):
            trial = RoomTrial("smb")
            trial.feed(direction, data[:end])
            trial.feed(direction, nbss(data[4:end]))
            trial.feed(direction, eof=True)
            for tx in trial.transactions():
                trial.log(tx["id"], TO_CLIENT)
            assert trial.close() == {"flow": 0, "applayer": 0}


def test_hostile_lengths():
    for fill in (b"\xff", b"\0", b"\x7f"):
        for direction, data in session() + pipe_session()[8:] + session1():
            for at in range(4, min(len(data), 180)):
                trial = RoomTrial("smb", memory=1 << 18)
                trial.feed(direction, data[:at] + fill * 4 + data[at + 4:])
                for tx in trial.transactions():
                    trial.log(tx["id"], TO_CLIENT)
                    for name in ("smb.share", "smb.named_pipe", "dcerpc.stub_data", "dcerpc.iface", "dcerpc.opnum", "file.data"):
                        trial.buffer(tx["id"], direction, name)
                assert trial.close() == {"flow": 0, "applayer": 0}


def test_memory_refused():
    moves = session() + pipe_session() + session1()
    for memory in range(0, 40000, 700):
        try:
            trial = play(moves, memory=memory)
        except MemoryError:
            continue
        for tx in trial.transactions():
            trial.log(tx["id"], TO_CLIENT)
        assert trial.memory <= memory and trial.close()["applayer"] == 0


def test_noise():
    noise = random.Random(3)
    for _ in range(300):
        trial = RoomTrial("smb", memory=1 << 20)
        for direction, data in session() + session1() + pipe_session():
            spoilt = bytearray(data)
            for _ in range(noise.randrange(4)):
                spoilt[noise.randrange(4, len(spoilt))] = noise.randrange(256)
            if not trial.stopped[direction]:
                trial.feed(direction, bytes(spoilt))
        assert trial.close()["applayer"] == 0


def test_pipes():
    trial = play(pipe_session())
    tree, bound, call = (each for each in said(trial) if "named_pipe" in each or "dcerpc" in each)
    assert tree["named_pipe"] == "\\\\srv\\IPC$" and tree["share_type"] == "PIPE"
    interface = {"uuid": "12345778-1234-abcd-ef00-0123456789ac", "version": "1.0"}
    assert bound["dcerpc"] == {"request": "BIND", "response": "BINDACK", "call_id": 1, "interfaces": [interface | {"ack_result": 0, "ack_reason": 0}]}
    assert bound["command"] == "SMB2_COMMAND_WRITE" and call["command"] == "SMB2_COMMAND_IOCTL"
    assert call["dcerpc"] == {"request": "REQUEST", "response": "RESPONSE", "opnum": 64, "req": {"frag_cnt": 1, "stub_data_size": 16},
                              "interfaces": [interface], "res": {"frag_cnt": 1, "stub_data_size": 6}, "call_id": 2}
    number = call["id"] - 1
    assert trial.buffer(number, TO_SERVER, "dcerpc.stub_data")[0] == b"stub" * 4 and trial.buffer(number, TO_CLIENT, "dcerpc.stub_data")[0] == b"answer"
    assert trial.buffer(number, TO_SERVER, "dcerpc.opnum") == 64
    assert trial.buffer(number, TO_SERVER, "dcerpc.iface")[0] == bytes.fromhex("123457781234abcdef000123456789ac") + b"\1\0\1"
    assert trial.buffer(number, TO_SERVER, "dcerpc.iface", 1) is None
    assert trial.buffer(bound["id"] - 1, TO_SERVER, "dcerpc.iface") is None
    assert trial.buffer(tree["id"] - 1, TO_SERVER, "smb.named_pipe")[0] == b"\\\\srv\\IPC$"
    assert trial.buffer(tree["id"] - 1, TO_SERVER, "smb.share") is None


def test_fragments_of_a_call():
    talk = beginning("\\\\srv\\IPC$", 2).both(CREATE, ask_create("\\svcctl"), answer_create(PIPE_FID)).both(WRITE, ask_write(PIPE_FID, 0, bind()), b"")
    for flags in (1, 0, 2):
        talk.both(WRITE, ask_write(PIPE_FID, 0, request(b"abc", opnum=9, call=5, flags=flags)), answer_write(27))
    call = said(play(talk.moves))[-1]["dcerpc"]
    assert call["req"] == {"frag_cnt": 3, "stub_data_size": 9} and call["opnum"] == 9 and call["response"] == "UNREPLIED"


def test_a_pipe_whose_tree_was_not_seen():
    talk = Exchange().both(WRITE, ask_write(PIPE_FID, 0, bind()), answer_write(28))
    assert said(play(talk.moves))[0]["dcerpc"]["request"] == "BIND"
    file = said(play(Exchange().both(WRITE, ask_write(FID, 0, b"no call"), answer_write(7)).moves))[0]
    assert file["filename"] == "" and file["share"] == ""


def test_who_sets_up_a_session():
    kerberos = Exchange().ask(SETUP, ask_setup(spnego("2a864886f712010202", ticket(b"REALM.LOCAL", b"cifs", b"srv"))), session=0).answer(SETUP)
    assert said(play(kerberos.moves))[0]["kerberos"] == {"realm": "REALM.LOCAL", "snames": ["cifs", "srv"]}
    token = Exchange().ask(SETUP, ask_setup(spnego("2b06010401823702020a", ntlm("u", "d", "h")))).answer(SETUP)
    trial = play(token.moves)
    assert said(trial)[0]["ntlmssp"]["user"] == "u"
    assert trial.buffer(0, TO_SERVER, "smb.ntlmssp_user")[0] == b"u" and trial.buffer(0, TO_SERVER, "smb.ntlmssp_domain")[0] == b"d"
    disordered = bytearray(ntlm("uu", "dd", "hh"))
    disordered[40:44] = (72).to_bytes(4, "little")              # the user lies where the domain does
    assert events(play(Exchange().ask(SETUP, ask_setup(bytes(disordered))).moves)) == ["malformed_ntlmssp_request"]


def test_renames_controls_and_failures():
    talk = beginning().both(CREATE, ask_create("old", 5, 0x1001), answer_create(FID)).both(SET_INFO, ask_rename(FID, "new"))
    talk.both(IOCTL, ask_ioctl(0x00140204, FID), answer_ioctl(0x00140204, FID)).both(IOCTL, ask_ioctl(0x77, FID), answer_ioctl(0x77, FID))
    talk.ask(CREATE, ask_create("none")).answer(CREATE, status=NOT_FOUND).ask(77, b"").answer(77, status=0xC123)
    create, rename, control, other, missing, strange = said(play(talk.moves))[4:]
    assert create["directory"] == "old" and create["access"] == "delete on close" and create["disposition"] == "FILE_OVERWRITE_IF"
    assert rename["rename"] == {"from": "old", "to": "new"} and rename["set_info"] == {"class": "FILE_INFO", "info_level": "SMB2_FILE_RENAME_INFO"}
    assert control["function"] == "FSCTL_VALIDATE_NEGOTIATE_INFO" and other["function"] == "119"
    assert missing["status"] == "STATUS_OBJECT_NAME_NOT_FOUND" and missing["fuid"] == ""
    assert (strange["command"], strange["status"], strange["status_code"]) == ("77", "49443", "0xc123")


def test_compounds_and_pipelining():
    first, second = smb2(CREATE, ask_create("a"), message=1), smb2(CLOSE, ask_close(FID), message=2)
    padding = -len(first) % 8
    chain = smb2(CREATE, ask_create("a") + bytes(padding), message=1, following=len(first) + padding) + second
    answers = [(1, nbss(smb2(command, body, message=number, response=True))) for number, command, body in
               ((2, CLOSE, b"\x3c\0"), (1, CREATE, answer_create(FID)))]
    for moves in ([(0, nbss(chain)), *answers], [(0, nbss(first) + nbss(second)), *answers]):
        trial = play(moves)
        assert commands(trial) == ["CREATE", "CLOSE"] and all(tx["progress"] == (1, 1) for tx in trial.transactions())


def test_encrypted_messages_are_passed():
    message = b"\xfdSMB" + bytes(32) + (20).to_bytes(4, "little") + bytes(12) + bytes(20)
    trial = play([(0, nbss(message * 2)), (1, nbss(message)), *session()])
    assert trial.stopped == (False, False) and len(trial.transactions()) == 10
    assert play([(0, nbss(message[:-1]))]).stopped == (True, True)


def test_answers_are_not_taken_for_questions():
    assert play([(0, nbss(smb2(CREATE, answer_create(FID), message=1, response=True)))]).transactions() == []
    assert play([(1, nbss(smb2(CREATE, ask_create("a"), message=1)))]).transactions() == []


@pytest.mark.parametrize(("message", "stops"), [(b"\xfeSMB", True), (b"XSMB" + bytes(60), False), (b"nothing" * 9, True), (b"\xffSMB\x72", True)])
def test_what_is_no_message(message, stops):
    assert play([(0, nbss(message))]).stopped == (stops, stops)


def test_gaps():
    moves = session(b"z" * 4000)
    trial, held = RoomTrial("smb"), [b"", b""]
    for number, (direction, data) in enumerate(moves):
        if number == 10:                                        # the first write: its middle is missing
            trial.feed(direction, data[:700])
            trial.feed(direction, gap=500)
            data = data[1200:]
        held[direction] += data
        held[direction] = held[direction][trial.feed(direction, held[direction]):]
    assert trial.stopped == (False, False)
    file, = trial.transactions()[5]["files"][TO_SERVER]
    assert file["size"] == 4000 and file["state"] == "truncated" and file["flags"] & 1
    lost = RoomTrial("smb")                                     # what is left of a record is passed up to the next one
    for direction, data in moves[:4]:
        lost.feed(direction, data)
    lost.feed(0, gap=77)
    held = b"rest of a record" + moves[4][1]
    assert lost.feed(0, held) == len(held) and len(lost.transactions()) == 3


def test_limits():
    talk = beginning()
    talk.moves[1] = (1, nbss(smb2(0, answer_negotiate(0x0311, 100, 100), message=1, response=True, session=0, tree=0)))
    talk.both(WRITE, ask_write(FID, 0, b"w" * 101), answer_write(101)).both(READ, ask_read(FID, 0, 101), answer_read(b"r" * 101))
    assert events(play(talk.moves)) == ["write_request_too_large", "read_response_too_large"]
    many = [(0, nbss(smb2(13, b"", message=i))) for i in range(1100)]
    trial = play(many)
    assert sum(tx["progress"] == (1, 0) for tx in trial.transactions()) == 1025 and "too_many_transactions" in events(trial)


def test_smb1():
    trial = play(session1())
    negotiate, tree, create, write, close = said(trial)
    assert negotiate["dialect"] == "NT LM 0.12" and negotiate["client_dialects"] == ["LANMAN1.0", "NT LM 0.12"]
    assert negotiate["server_guid"] == "03020100-0504-0706-0908-0b0a0f0e0d0c"
    assert tree["share"] == "\\srv\\c" and tree["service"] == {"request": "?????", "response": "A:"}
    assert create["filename"] == "\\b.txt" and create["disposition"] == "FILE_OVERWRITE_IF" and create["fuid"] == "1234"
    assert write["filename"] == "\\b.txt" and write["fuid"] == "1234" and close["command"] == "SMB1_COMMAND_CLOSE"
    file, = trial.transactions()[3]["files"][TO_SERVER]
    assert (file["data"], file["state"], file["name"]) == (b"y" * 1000, "closed", b"\\b.txt")


def test_smb1_faults():
    assert events(play([(0, nbss(smb1(0x72, b"\0\0\0\2\0\0")))])) == ["negotiate_malformed_dialects"]
    assert events(play([(0, nbss(smb1(0x75, b"\4")))])) == ["malformed_data"]
    twice = nbss(smb1(0x72, b"\0\0\0\2NT LM 0.12\0"))
    assert events(play([(0, twice), (0, twice)])) == ["duplicate_negotiate"]
    unchained = nbss(smb1(0x74, b"\2\x75\0\x20\0\0\0"))         # the next command stands where this one does
    assert commands(play([(0, unchained)])) == ["LOGOFF_ANDX"]


def test_recognition():
    for moves in (session(), session1()):
        for direction in (TO_SERVER, TO_CLIENT):
            trial = RoomTrial(None, ports=(40000, 9000))
            data = moves[direction][1]
            for end in range(len(data) + 1):
                trial.feed(direction, data[:end])
            trial.feed(1 - direction, eof=True)
            assert trial.proto == "smb"
    behind = RoomTrial(None, ports=(40000, 139), tcp_ports={"smb": [139, 445]})
    behind.feed(0, nbss(b"c" * 68, 0x81) + session()[0][1])
    assert behind.proto == "smb"
    other = RoomTrial(None, ports=(40000, 445), tcp_ports={"smb": [139, 445]})
    other.feed(0, b"\0\0\0\x40" + bytes(64))
    assert other.proto != "smb"


def test_a_read_behind_the_end_closes_the_file():
    talk = beginning().both(CREATE, ask_create("f"), answer_create(FID)).both(READ, ask_read(FID, 0, 9), answer_read(b"123456789"))
    talk.ask(READ, ask_read(FID, 9, 9)).answer(READ, status=END_OF_FILE)
    file, = play(talk.moves).transactions()[5]["files"][TO_CLIENT]
    assert (file["data"], file["state"]) == (b"123456789", "closed")
