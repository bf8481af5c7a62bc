"""Records that were sealed by hand: what OpenSSL never sends, and what the key schedule is held against."""
from __future__ import annotations

import pytest

pytest.importorskip("cryptography")

from made_tls import CHANGE, DATA, HANDSHAKE, client_hello, message, record, server_hello
from sealed_tls import FINISHED, KEY_UPDATE, SUITES12, SUITES13, Sealed12, Sealed13, Side12, prf

from fastpath.dataplane.applayer.room_trial import RoomTrial
from fastpath.dataplane.applayer.keyring import KeyRing

SESSIONS = [*((Sealed13, suite) for suite in SUITES13), *((Sealed12, suite) for suite in SUITES12)]


def trial_of(session, **options) -> RoomTrial:
    ring = KeyRing()
    ring.take(session.keylog.encode())
    return RoomTrial("tls", keys=ring, **options)


def feed(trial: RoomTrial, moves) -> RoomTrial:
    for direction, data in moves:
        assert trial.feed(direction, data) == len(data)
    return trial


@pytest.mark.parametrize(("make", "suite"), SESSIONS)
def test_what_is_said_comes_out(make, suite):
    session = make(suite)
    trial = feed(trial_of(session), session.hellos + session.handshake)
    feed(trial, [(0, session.sides[0].seal(DATA, b"GET / HTTP/1.1\r\n\r\n")), (1, session.sides[1].seal(DATA, b"HTTP/1.1 200 OK\r\n\r\n"))])
    assert trial.plain == (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    assert trial.decryption["inside"] == "http"
    assert trial.transactions()[0]["events"] == []
    assert trial.close() == {"flow": 0, "applayer": 0}
    assert trial.ciphers == 0


@pytest.mark.parametrize(("make", "suite"), SESSIONS)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 255, 256, 16383, 16384])
def test_records_of_any_size(make, suite, size):
    session = make(suite)
    trial = feed(trial_of(session), session.hellos + session.handshake)
    data = bytes(i % 251 for i in range(size))
    feed(trial, [(1, session.sides[1].seal(DATA, data)), (1, session.sides[1].seal(DATA, b"end"))])
    assert trial.plain[1] == data + b"end"


@pytest.mark.parametrize("suite", SUITES13)
def test_padding(suite):
    """RFC 8446 section 5.4: zeros behind the type. A record of nothing but zeros is none, and ends it."""
    session = Sealed13(suite)
    trial = feed(trial_of(session), session.hellos + session.handshake)
    feed(trial, [(0, session.sides[0].seal(DATA, b"a\0\0", 300)), (0, session.sides[0].seal(DATA, b"", 16000)), (0, session.sides[0].seal(DATA, b"b"))])
    assert trial.plain[0] == b"a\0\0b"
    feed(trial, [(0, session.sides[0].seal(0, b"", 10)), (0, session.sides[0].seal(DATA, b"c"))])
    assert trial.plain[0] == b"a\0\0b"
    assert trial.decryption["failed"] == 1
    assert trial.transactions()[0]["events"] == ["tls.decrypt_failed"]


@pytest.mark.parametrize("suite", SUITES13)
def test_key_updates_one_after_the_other(suite):
    session = Sealed13(suite)
    trial = feed(trial_of(session), session.hellos + session.handshake)
    said = b""
    for i in range(20):
        feed(trial, [(1, session.sides[1].seal(DATA, b"%d," % i)), (1, session.sides[1].seal(HANDSHAKE, message(KEY_UPDATE, b"\0")))])
        said += b"%d," % i
    assert trial.plain[1] == said
    assert trial.decryption["failed"] == 0


def test_a_key_update_in_pieces_and_behind_another_message():
    session = Sealed13()
    trial = feed(trial_of(session), session.hellos + session.handshake)
    messages = message(4, bytes(300)) + message(KEY_UPDATE, b"\0")
    feed(trial, [(1, session.sides[1].seal(HANDSHAKE, messages[:303])), (1, session.sides[1].seal(HANDSHAKE, messages[303:306])),
                 (1, session.sides[1].seal(HANDSHAKE, messages[306:])), (1, session.sides[1].seal(DATA, b"after"))])
    assert trial.plain[1] == b"after"


def test_early_data_is_passed_over():
    """It has a key of its own, which is not asked for; what comes behind it is opened."""
    session = Sealed13(early=True)
    hellos = session.hellos
    trial = feed(trial_of(session), [hellos[0], (0, record(DATA, bytes(50))), hellos[1], (0, record(DATA, bytes(70)))])
    feed(trial, session.handshake)
    feed(trial, [(0, session.sides[0].seal(DATA, b"late"))])
    assert trial.plain[0] == b"late"
    assert trial.decryption["failed"] == 0
    everything = hellos[0][1] + b"".join(record(DATA, bytes(size)) for size in (50, 70)) + record(CHANGE, b"\1")
    finished, late = 5 + 4 + 32 + 1 + 16, 5 + 4 + 1 + 16
    assert trial.decryption["opened"][0] == len(everything) - len(record(DATA, bytes(50))) - len(record(DATA, bytes(70))) + finished + late


def test_a_renegotiation_to_another_suite():
    """Each side goes over to the new keys at its own change of ciphers."""
    session = Sealed12(0xCCA8)
    client, server = bytes(range(200, 232)), bytes(range(150, 182))
    hello = client_hello(ciphers=(0xC030,), random=client)
    answer = server_hello(cipher=0xC030, random=server, session=bytes(32))
    master = bytes(48)
    keys = KeyRing()
    keys.take(session.keylog.encode() + f"CLIENT_RANDOM {client.hex()} {master.hex()}\n".encode())
    trial = feed(RoomTrial("tls", keys=keys), session.hellos + session.handshake)
    feed(trial, [(0, session.sides[0].seal(DATA, b"before,")), (0, session.sides[0].seal(HANDSHAKE, hello)), (1, session.sides[1].seal(HANDSHAKE, answer)),
                 (1, session.sides[1].seal(DATA, b"meanwhile,"))])
    block = prf("sha384", master, b"key expansion" + server + client, 72)
    renewed = Side12(0xC030, block[:32], block[64:68]), Side12(0xC030, block[32:64], block[68:])
    for direction in (0, 1):
        feed(trial, [(direction, session.sides[direction].seal(CHANGE, b"\1")), (direction, renewed[direction].seal(HANDSHAKE, message(FINISHED, bytes(12)))),
                     (direction, renewed[direction].seal(DATA, b"after"))])
    assert trial.plain == (b"before,after", b"meanwhile,after")
    assert trial.decryption["failed"] == 0


@pytest.mark.parametrize(("make", "suite"), SESSIONS)
def test_a_record_out_of_place(make, suite):
    """A record that was left out, doubled or swapped does not fit its place."""
    for order in ([0, 2], [0, 0, 1], [1, 0]):
        session = make(suite)
        trial = feed(trial_of(session), session.hellos + session.handshake)
        records = [session.sides[0].seal(DATA, b"%d" % i) for i in range(3)]
        feed(trial, [(0, records[i]) for i in order])
        assert trial.plain[0] == b"0" * (order[0] == 0)
        assert trial.decryption["failed"] == 1
        assert trial.decryption["ends"] == (1, 0)
        feed(trial, [(1, session.sides[1].seal(DATA, b"the other side"))])
        assert trial.plain[1] == b"the other side"


def test_limits():
    session = Sealed13()
    trial = feed(trial_of(session, ciphers=1), session.hellos + session.handshake)
    assert (trial.decryption["full"], trial.decryption["sessions"], trial.ciphers) == (1, 0, 0)
    trial = feed(trial_of(Sealed13(), memory=1 << 12), [])
    for direction, data in Sealed13().hellos:
        trial.feed(direction, data)
    assert trial.plain == (b"", b"")


def test_records_that_are_cut_are_waited_for():
    session = Sealed13()
    trial = feed(trial_of(session), session.hellos + session.handshake)
    whole = session.sides[0].seal(DATA, bytes(1000))
    for length in (*range(1, 40), 500, len(whole) - 1):
        assert trial.feed(0, whole[:length]) == 0
    assert trial.feed(0, whole) == len(whole)
    assert trial.plain[0] == bytes(1000)


def test_without_keys_records_pass_as_they_come():
    session = Sealed13()
    trial = RoomTrial("tls", keys=KeyRing())
    feed(trial, session.hellos + session.handshake)
    whole = session.sides[0].seal(DATA, bytes(1000))
    assert trial.feed(0, whole[:100]) == 100
    assert trial.decryption["sessions"] == 0


def test_tls_inside_tls_is_not_opened_again():
    inner, outer = Sealed13(0x1302), Sealed13(0x1301)
    ring = KeyRing()
    ring.take(outer.keylog.encode())
    trial = feed(RoomTrial("tls", keys=ring), outer.hellos + outer.handshake)
    for direction, data in inner.hellos + inner.handshake:
        feed(trial, [(direction, outer.sides[direction].seal(DATA, data))])
    assert trial.decryption["inside"] == "tls"
    assert trial.decryption["sessions"] == 1
    assert trial.close() == {"flow": 0, "applayer": 0}
