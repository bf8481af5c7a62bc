"""The SSH room: banners, key exchange and its fingerprints."""
from __future__ import annotations

import hashlib
import random

import pytest

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
STARTED, WAIT, BANNER_DONE, FINISHED = range(4)
NO_PAYLOAD = 1 << 6
CLIENT, SERVER = b"SSH-2.0-OpenSSH_9.7\r\n", b"SSH-1.99-Srv_1 comments here\r\n"
LISTS = [f"a{i},b{i}".encode() for i in range(10)]
KEX_INIT, NEW_KEYS = 20, 21


def packet(kind: int, body: bytes = b"", *, padding: int = 4, length: int | None = None) -> bytes:
    size = len(body) + 2 + padding if length is None else length
    return size.to_bytes(4, "big") + bytes([padding, kind]) + body + bytes(padding)


def key_exchange(lists=LISTS, tail: bytes = bytes(5)) -> bytes:
    return packet(KEX_INIT, bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists) + tail)


def session() -> list[tuple[int, bytes]]:
    return [(1, SERVER), (0, CLIENT), (0, key_exchange()), (1, key_exchange()), (0, packet(30, b"e" * 33)), (1, packet(31, b"f" * 90)),
            (1, packet(NEW_KEYS)), (0, packet(NEW_KEYS)), (0, b"\x99" * 80), (1, b"\x88" * 80)]


def fed(moves, **settings) -> RoomTrial:
    trial = RoomTrial("ssh", **settings)
    held = [b"", b""]
    for direction, data in moves:
        held[direction] += data
        held[direction] = held[direction][trial.feed(direction, held[direction]):]
    return trial


def events(trial: RoomTrial) -> list[str]:
    return [event.removeprefix("ssh.") for event in trial.transactions()[0]["events"]]


def seen(trial: RoomTrial):
    transaction, = trial.transactions()
    return transaction["progress"], transaction["events"], trial.log(0, TO_CLIENT), trial.stopped, trial.flags & NO_PAYLOAD


def hassh(*which: int) -> tuple[bytes, bytes]:
    text = b";".join(LISTS[i] for i in which)
    return hashlib.md5(text).hexdigest().encode(), text


def test_a_session():
    trial = fed(session())
    client, server = hassh(0, 2, 4, 6), hassh(0, 3, 5, 7)
    assert trial.log(0, TO_CLIENT)["ssh"] == {
        "client": {"proto_version": b"2.0", "software_version": b"OpenSSH_9.7", "hassh": {"hash": client[0], "string": client[1]}},
        "server": {"proto_version": b"1.99", "software_version": b"Srv_1", "hassh": {"hash": server[0], "string": server[1]}},
    }
    assert trial.log(0, TO_SERVER) is None
    assert events(trial) == []
    buffers = {"ssh.proto": (b"2.0", b"1.99"), "ssh.software": (b"OpenSSH_9.7", b"Srv_1")}
    for name, values in buffers.items():
        assert tuple(trial.buffer(0, direction, name)[0] for direction in (0, 1)) == values
    assert trial.buffer(0, 0, "ssh.hassh")[0] == client[0] and trial.buffer(0, 0, "ssh.hassh.string")[0] == client[1]
    assert trial.buffer(0, 1, "ssh.hassh.server")[0] == server[0] and trial.buffer(0, 1, "ssh.hassh.server.string")[0] == server[1]


def test_progress():
    trial = RoomTrial("ssh")
    steps = []
    for direction, data in session():
        trial.feed(direction, data)
        steps.append(trial.transactions()[0]["progress"])
    assert steps == [(STARTED, BANNER_DONE)] + [(BANNER_DONE, BANNER_DONE)] * 6 + [(FINISHED, FINISHED)] * 3
    assert trial.flags & NO_PAYLOAD
    assert fed(session()[:7]).flags & NO_PAYLOAD == 0


def test_fingerprints_can_be_switched_off():
    trial = fed(session(), **{"ssh.hassh": 0})
    assert trial.log(0, TO_CLIENT)["ssh"]["client"] == {"proto_version": b"2.0", "software_version": b"OpenSSH_9.7"}
    assert trial.buffer(0, 0, "ssh.hassh") is None


@pytest.mark.parametrize(("banner", "proto", "software"), [
    (b"SSH-2.0-x\n", b"2.0", b"x"), (b"SSH-2.0-x\rmore", b"2.0", b"x"), (b"SSH-2.0-\n", b"2.0", None), (b"SSH-2.0-a-b c\r\n", b"2.0", b"a-b"),
    (b"SSH-2.0- x\n", b"2.0", b" x"), (b"SSH-one-x\0y\n", b"one", b"x\0y"),
])
def test_banners(banner, proto, software):
    trial = fed([(0, banner)])
    assert trial.buffer(0, 0, "ssh.proto")[0] == proto
    assert (trial.buffer(0, 0, "ssh.software") or [None])[0] == software
    assert events(trial) == []


@pytest.mark.parametrize("banner", [b"SSH-2.0\n", b"SSH--x\n", b"hello\r\n", b"\n", b"SSH-" + b"y" * 300])
def test_invalid_banners(banner):
    trial = fed([(0, banner)])
    assert events(trial) == ["invalid_banner"]
    assert trial.stopped == (True, True)
    assert trial.log(0, TO_CLIENT) is None


def test_long_banners():
    assert events(fed([(0, b"SSH-2.0-" + b"y" * 247 + b"\n")])) == []
    ended = fed([(0, b"SSH-2.0-" + b"y" * 300 + b"\n")])
    assert events(ended) == ["long_banner"]
    assert ended.transactions()[0]["progress"] == (BANNER_DONE, STARTED)
    assert ended.log(0, TO_CLIENT)["ssh"]["client"]["software_version"] == b"y" * 256 + b"[truncated]"
    waiting = fed([(0, b"SSH-2.0-" + b"y" * 300), (0, b"z" * 3000), (0, b"z\r\n" + key_exchange())])
    assert events(waiting) == ["long_banner"]
    assert waiting.transactions()[0]["progress"] == (STARTED, STARTED)
    assert waiting.buffer(0, 0, "ssh.software")[0] == b"y" * 300
    assert waiting.buffer(0, 0, "ssh.hassh")[0] == hassh(0, 2, 4, 6)[0]


@pytest.mark.parametrize("length", [0, 1])
def test_invalid_records(length):
    trial = fed([(0, CLIENT + packet(33, b"abc", length=length))])
    assert events(trial) == ["invalid_record"]
    assert trial.stopped == (True, True)


def test_long_records_pass_as_they_come():
    trial = RoomTrial("ssh")
    data = CLIENT + packet(33, b"abc", length=70_000)
    assert trial.feed(0, data) == len(data)
    assert trial.feed(0, bytes(60_000)) == 60_000
    assert trial.feed(0, packet(KEX_INIT, length=70_000)) == 10     # too long for a fingerprint: not waited for
    assert events(trial) == []


@pytest.mark.parametrize("exchange", [packet(KEX_INIT, bytes(16) + b"\0\0\0\x09ab", padding=0), key_exchange(tail=b""), packet(KEX_INIT)])
def test_broken_key_exchanges_have_no_fingerprint(exchange):
    trial = fed([(0, CLIENT + exchange)])
    assert trial.buffer(0, 0, "ssh.hassh") is None
    assert events(trial) == []


def test_a_second_key_exchange_is_written_behind_the_first():
    trial = fed([(0, CLIENT + key_exchange() + key_exchange())])
    text = hassh(0, 2, 4, 6)[1]
    assert trial.buffer(0, 0, "ssh.hassh.string")[0] == text * 2
    assert trial.buffer(0, 0, "ssh.hassh")[0] == b"".join(hashlib.md5(one).hexdigest().encode() for one in (text, text * 2))
    many = fed([(0, CLIENT)] + [(0, key_exchange([b"z" * 4000] * 10))] * 100)
    assert many.memory < 600_000


def test_a_gap_ends_the_session():
    trial = fed(session()[:3])
    trial.feed(1, gap=10)
    assert trial.stopped == (True, True)


def test_any_split_is_the_same():
    moves = session()
    whole = seen(fed(moves))
    for size in (1, 2, 5):
        assert seen(fed([(direction, data[i:i + size]) for direction, data in moves for i in range(0, len(data), size)])) == whole
    for number, (direction, data) in enumerate(moves):
        for at in range(len(data)):
            assert seen(fed([*moves[:number], (direction, data[:at]), (direction, data[at:]), *moves[number + 1:]])) == whole


def test_any_end_gives_everything_back():
    rng = random.Random(3)
    moves = session()
    for number, (direction, data) in enumerate(moves):
        for at in range(len(data)):
            bad = bytearray(data[:at])
            if bad:
                bad[rng.randrange(len(bad))] = rng.randrange(256)
            trial = fed([*moves[:number], (direction, bytes(bad))])
            trial.feed(direction, eof=True)
            trial.log(0, TO_CLIENT)
            assert trial.close() == {"flow": 0, "applayer": 0}


@pytest.mark.parametrize("memory", [0, 300, 500, 700, 900, 1200])
def test_refused_memory_is_survived(memory):
    try:
        trial = fed(session(), memory=memory)
    except MemoryError:
        return
    if trial.transactions():
        trial.log(0, TO_CLIENT)
    assert trial.close()["applayer"] == 0


@pytest.mark.parametrize(("data", "proto"), [(b"SSH-2.0-x\r\n", "ssh"), (b"SSH", "unknown"), (b"SSX-2.0", "unknown")])
def test_recognition(data, proto):
    trial = RoomTrial()
    trial.feed(0, data)
    assert trial.proto == proto
