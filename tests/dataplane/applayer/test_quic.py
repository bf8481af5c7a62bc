"""The QUIC room: keys of Initial packets, frames, the hello put together, what rules and events say."""
from __future__ import annotations

import itertools
import random

import pytest

from fastpath.dataplane.applayer.room_trial import RoomTrial

pytest.importorskip("cryptography", reason="seals the packets")

from quic import CONNECTION, V1, V2, crypto, hello, initial  # noqa: E402

TO_SERVER, TO_CLIENT = 0, 1
#: RFC 9001 section A.2, RFC 9369 section A.2: the frames of both packets, and how the sealed packets begin and end.
FRAMES = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
    "616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
    "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c0002400100"
    "3900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff")
SEALED = {V1: ("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b", "e221af44860018ab0856972e194cd934"),
          V2: ("d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c", "")}
SERVER_HELLO = b"\2\0\0\x34\3\3" + bytes(32) + b"\0\x13\1\0" + bytes.fromhex("000c" "002b00020304" "003300020000")


def room(*datagrams: bytes | tuple[int, bytes], **options) -> RoomTrial:
    trial = RoomTrial("quic", udp=True, **options)
    for one in datagrams:
        direction, data = one if isinstance(one, tuple) else (TO_SERVER, one)
        trial.feed(direction, data)
    return trial


def said(trial: RoomTrial) -> list[dict]:
    found = []
    for transaction in trial.transactions():
        way = TO_CLIENT if trial.log(transaction["id"], TO_SERVER) is None else TO_SERVER
        found.append(trial.log(transaction["id"], way)["quic"])
    return found


def names(trial: RoomTrial) -> list[bytes | None]:
    return [one.get("sni") for one in said(trial)]


def events(trial: RoomTrial) -> list[str]:
    return [event for transaction in trial.transactions() for event in transaction["events"]]


@pytest.mark.parametrize(("version", "told"), [(V1, "1"), (V2, "v2")])
def test_the_examples_of_the_rfcs(version, told):
    packet = initial(FRAMES, version=version, number=2)
    begins, ends = SEALED[version]
    assert packet.hex().startswith(begins) and packet.hex().endswith(ends) and len(packet) == 1200
    trial = room(packet)
    one, = said(trial)
    assert (one["version"], one["sni"]) == (told, b"example.com")
    assert one["ja3"]["string"] == b"771,4865-4866,0-65281-10-16-5-51-43-13-45-28-57,29-23-24,"
    assert {"name": "alpn", "type": 16, "values": [b"alpn"]} in one["extensions"]
    assert {"name": "supported_versions", "type": 43, "values": [b"Tls13"]} in one["extensions"]
    assert trial.buffer(0, TO_SERVER, "quic.version")[0] == version.to_bytes(4, "big")
    assert trial.buffer(0, TO_SERVER, "quic.sni")[0] == b"example.com"
    assert trial.buffer(0, TO_SERVER, "ja3.string")[0] == one["ja3"]["string"]
    assert trial.buffer(0, TO_SERVER, "ja4.hash")[0].startswith(b"q13d0211an_")
    assert trial.close() == {"flow": 0, "applayer": 0}


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_numbers_of_packets(size):
    assert names(room(initial(crypto(0, hello()), number=200, size=size))) == [b"example.com"]


def test_both_directions_and_what_follows():
    trial = room(initial(crypto(0, hello())), (TO_CLIENT, initial(b"\2\0\0\0\0" + crypto(0, SERVER_HELLO), client=False, target=b"")),
                 initial(b"\1", number=1), (TO_CLIENT, b"\x40" + bytes(40)))
    client, server = said(trial)
    assert client["sni"] == b"example.com" and server["ja3s"]["string"] == b"771,4865,43-51" and events(trial) == []
    assert trial.buffer(1, TO_CLIENT, "ja3s.string")[0] == b"771,4865,43-51" and trial.buffer(1, TO_CLIENT, "ja3.string") is None


def pieces(data: bytes, *cuts: int) -> list[bytes]:
    bounds = [0, *cuts, len(data)]
    return [crypto(a, data[a:b]) for a, b in itertools.pairwise(bounds)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_hello_in_pieces(order):
    """In frames of one packet, and in packets of their own, in any order."""
    parts = pieces(hello(), 30, 71)
    assert names(room(initial(b"".join(parts[i] for i in order)))) == [b"example.com"]
    trial = room(*(initial(b"\1" + parts[i], number=n) for n, i in enumerate(order)))
    assert names(trial) == [None, None, b"example.com"] and events(trial) == []
    again = room(initial(parts[order[0]]), *(initial(parts[i], number=n) for n, i in enumerate(order)))
    assert names(again)[-1] == b"example.com"


def test_packets_in_one_datagram():
    first, second = pieces(hello(), 50)
    assert names(room(initial(first, least=60) + initial(second, number=1))) == [None, b"example.com"]


def test_a_retry_makes_new_keys():
    """RFC 9001 section 5.2: those of the connection id that the server chose."""
    retry = b"\xf0\0\0\0\1\0\x08SERVERID" + bytes(16) + b"token"
    trial = room(initial(crypto(0, hello("one.test"))), (TO_CLIENT, retry), initial(crypto(0, hello("two.test")), connection=b"SERVERID"))
    assert names(trial) == [b"one.test", None, b"two.test"] and events(trial) == []


def test_what_does_not_open_is_told_and_stops_nothing():
    good = initial(crypto(0, hello()))
    trial = room(good[:-1] + bytes([good[-1] ^ 1]), good)
    assert events(trial) == ["quic.failed_decrypt"] and names(trial) == [None, b"example.com"]


@pytest.mark.parametrize("frames", [crypto(0, b"\x0b\0\0\1x"), b"\x06\0\x7f\xff", b"\2\0", b"\x06"])
def test_frames_that_cannot_be(frames):
    trial = room(initial(frames, least=20 if frames != b"\x06\0\x7f\xff" else 1162))
    assert events(trial) == ["quic.error_on_data"] or names(trial) == [None]
    assert names(trial) == [None]


@pytest.mark.parametrize("size", [2000, 20_000, 60_000])
def test_a_long_hello(size):
    """As post-quantum key shares and padding make it; Suricata 7.0.10 reads hellos of less than 65,535 bytes too."""
    whole = hello(more=b"\0\x15" + size.to_bytes(2, "big") + bytes(size))
    packets = [initial(crypto(at, whole[at:at + 1000]), number=n) for n, at in enumerate(range(0, len(whole), 1000))]
    for order in (packets, packets[::-1]):
        trial = room(*order)
        assert names(trial) == [None] * (len(packets) - 1) + [b"example.com"] and events(trial) == []
        assert trial.close() == {"flow": 0, "applayer": 0}


@pytest.mark.parametrize(("end", "too_long"), [(65_534, False), (65_535, True), (65_536, True), (1 << 32, True), ((1 << 62) - 1, True)])
def test_where_a_stream_is_too_long(end, too_long):
    """The oracle's bound, by its event."""
    first, second = hello()[:50], hello()[50:]
    trial = room(initial(crypto(0, first)), initial(crypto(end - 1, b"x"), number=1), initial(crypto(50, second), number=2))
    assert ("quic.crypto_frag_too_long" in events(trial)) is too_long and names(trial)[-1] == b"example.com"


def test_a_stream_that_is_too_long():
    trial = room(*(initial(crypto(offset, bytes([1]) * 1000), number=n) for n, offset in enumerate(range(500, 70_000, 1000))))
    assert "quic.crypto_frag_too_long" in events(trial)
    packets = len(trial.transactions())
    trial.free_done()
    assert trial.memory < 128 << 10 and packets == 70
    assert trial.close() == {"flow": 0, "applayer": 0}


def test_a_piece_far_off_takes_memory_within_the_cap():
    for memory in (30_000, 100_000, 200_000):
        trial = room(*(initial(crypto(65_000, b"x"), number=n) for n in range(3)), initial(crypto(0, hello()), number=3), memory=memory)
        assert trial.memory <= memory and names(trial)[-1] == b"example.com"
        assert trial.close() == {"flow": 0, "applayer": 0}


def test_without_memory():
    for memory in range(2000, 40_000, 500):
        trial = room(*(initial(part, number=n) for n, part in enumerate(pieces(hello(more=b"\0\x15\7\xd0" + bytes(2000)), 900))), memory=memory)
        assert trial.close() == {"flow": 0, "applayer": 0}


def test_cut_at_every_byte():
    good = initial(crypto(0, hello()), least=0)
    for end in range(len(good)):
        trial = RoomTrial(None, udp=True, ports=(40000, 443))
        trial.feed(TO_SERVER, good[:end])
        trial.feed(TO_SERVER, good)
        assert trial.close() == {"flow": 0, "applayer": 0}
    frames = crypto(0, hello())
    for end in range(len(frames)):
        trial = room(initial(frames[:end] or b"\1", least=4))
        assert names(trial) in ([None], [])
        assert trial.close() == {"flow": 0, "applayer": 0}


def test_bytes_changed_at_random():
    rng = random.Random(1)
    for _ in range(3000):
        frames = bytearray(crypto(0, hello()) + b"\2\1\1\1\1\1\1")
        for _ in range(rng.randrange(1, 6)):
            frames[rng.randrange(len(frames))] = rng.randrange(256)
        trial = room(initial(bytes(frames), least=0))
        said(trial)
        assert trial.close() == {"flow": 0, "applayer": 0}


CHLO = b"CHLO\2\0\0\0SNI\0\x0a\0\0\0UAID\x0f\0\0\0quic.x.comagent"
GOOGLE = b"\xffQ044\x50" + CONNECTION + bytes(16) + b"\xa0\1" + len(CHLO).to_bytes(2, "big") + CHLO


def test_googles_versions():
    trial = room(GOOGLE)
    one, = said(trial)
    assert (one["version"], one["sni"], one["ua"]) == ("Q044", b"quic.x.com", b"agent")
    assert one["cyu"][0]["string"] == b"44,SNI-UAID"
    assert trial.buffer(0, TO_SERVER, "quic.cyu.string", 0)[0] == b"44,SNI-UAID" and trial.buffer(0, TO_SERVER, "quic.cyu.string", 1) is None
    assert trial.buffer(0, TO_SERVER, "quic.cyu.hash")[0] == one["cyu"][0]["hash"] and trial.buffer(0, TO_SERVER, "quic.ua")[0] == b"agent"
    assert trial.close() == {"flow": 0, "applayer": 0}


@pytest.mark.parametrize(("port", "beyond", "proto"), [(443, False, "quic"), (4433, False, "failed"), (4433, True, "quic")])
def test_recognition(port, beyond, proto):
    """At its ports by any header; elsewhere by what a client begins with, where more than Suricata knows is looked for."""
    trial = RoomTrial(None, udp=True, ports=(40000, port), beyond=beyond)
    trial.feed(TO_SERVER, initial(crypto(0, hello())))
    assert trial.proto == proto
