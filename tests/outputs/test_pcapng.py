"""Packets that alerted or were dropped, written and read back."""
from __future__ import annotations

import struct

import pytest
from captures import tcp, udp
from runs import replay

from fastpath.dataplane.rx import FileSource
from fastpath.outputs.pcapng import PcapngWriter

RULES = """
alert udp any any -> any 53 (msg:"a"; content:"get"; sid:1;)
drop udp any any -> any 23 (msg:"b"; content:"cut"; sid:2;)
"""


def read(path):
    with FileSource(path) as source:
        packets = source.read()
        assert source.damage is None
        return packets


def blocks(path):
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length and length % 4 == 0
        found.append((kind, data[at + 8:at + length - 4]))
        at += length
    return found


@pytest.mark.parametrize("engine", [{}, {"burst": 1}, {"workers": 3, "burst": 7}])
def test_what_alerted_and_what_was_dropped(capture, tmp_path, engine):
    packets = [(1_700_000_000 + i / 4, [udp(b"get %d" % i), udp(b"put"), udp(b"cut", dport=23), tcp(b"get")][i % 4]) for i in range(400)]
    long = (1_700_000_200.5, udp(b"get" + bytes(500))[:120], 545)      # cut by the capture
    first, second = capture([*packets, long]), capture(packets[:4])
    alerts, drops = PcapngWriter(tmp_path / "a.pcapng", "alerts"), PcapngWriter(tmp_path / "d.pcapng", "drops")
    replay([first, second], RULES, engine={"mode": "ips"} | engine, sets=["exception-policy=ignore"], sinks=[alerts, drops])
    whole, again = read(first), read(second)
    assert read(tmp_path / "d.pcapng") == [one for i, one in enumerate(whole[:400]) if i % 4 == 2] + [again[2]]
    # a rule that drops is an alert too
    assert read(tmp_path / "a.pcapng") == [one for i, one in enumerate(whole[:400]) if i % 4 in (0, 2)] + [whole[400], again[0], again[2]]
    assert (alerts.packets, drops.packets) == (203, 101) and whole[400][2] == 545
    described = [body for kind, body in blocks(tmp_path / "a.pcapng") if kind == 1]
    assert len(described) == 2 and all(str(path).encode() in body for path, body in zip((first, second), described, strict=True))


def test_interfaces_of_a_pcapng_stay_apart(tmp_path):
    def block(kind, body):
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    def packet(interface, frame, stamp):
        return block(6, struct.pack("<5I", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)) + frame + bytes(-len(frame) % 4))
    frame = udp(b"get")
    path = tmp_path / "two.pcapng"
    path.write_bytes(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0))
                     + block(1, struct.pack("<HHI", 101, 0, 0)) + block(1, struct.pack("<HHI", 1, 0, 0))
                     + packet(2, frame, 10**15) + packet(1, frame[14:], 10**15 + 1) + packet(2, frame, 10**15 + 2) + packet(0, frame, 10**15 + 3))
    writer = PcapngWriter(tmp_path / "out.pcapng", "alerts")
    replay(path, RULES, sinks=[writer])
    assert read(tmp_path / "out.pcapng") == read(path)
    found = blocks(tmp_path / "out.pcapng")
    assert [struct.unpack_from("<I", body)[0] for kind, body in found if kind == 6] == [0, 1, 0, 2]
    assert [struct.unpack_from("<H", body)[0] for kind, body in found if kind == 1] == [1, 101, 1]
    assert [body[body.index(b"interface "):][:11] for kind, body in found if kind == 1] == [b"interface 2", b"interface 1", b"interface 0"]


def test_much_that_is_kept_is_taken_in_between(capture, tmp_path):
    """Sixteen megabytes are taken before a step ends; the digest does not know."""
    path = capture([(1_700_000_000 + i, udp(b"get" + bytes(60_000))) for i in range(600)])
    writer = PcapngWriter(tmp_path / "a.pcapng", "alerts")
    assert replay(path, RULES, sinks=[writer]).digest == replay(path, RULES, engine={"workers": 2}).digest
    assert writer.packets == 600 and read(tmp_path / "a.pcapng") == read(path)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="'passes' cannot be written as packets: alerts or drops"):
        PcapngWriter(tmp_path / "x", "passes")
    PcapngWriter(tmp_path / "x", "drops").close({})
    with pytest.raises(FileExistsError):
        PcapngWriter(tmp_path / "x", "drops")
