"""What can be inspected from Python, and how its faults are named."""
from __future__ import annotations

import time

import numpy as np
import pytest

from fastpath.control.packets import PacketBatch, as_batch, nanoseconds


def test_of_buffers():
    batch = PacketBatch.of([b"abc", bytearray(b"de"), memoryview(b"f")])
    assert [batch.packet(i) for i in range(3)] == [b"abc", b"de", b"f"]
    assert batch.stamps is None
    assert PacketBatch.of([]).lengths.tolist() == []


def test_of_dpkt_pairs():
    batch = PacketBatch.of(iter([(1.5, b"a"), (2, b"b")]))
    assert batch.stamps.tolist() == [1_500_000_000, 2]


def test_of_scapy_packets():
    scapy = pytest.importorskip("scapy.all")
    packet = scapy.Ether() / scapy.IP() / scapy.UDP()
    packet.time = 1700000000.25
    batch = PacketBatch.of([packet])
    assert batch.packet(0) == bytes(packet)
    assert batch.stamps.tolist() == [1_700_000_000_250_000_000]


def test_a_batch_is_taken_as_it_is():
    buffer = bytearray(b"abcdef")
    batch = PacketBatch(buffer, np.array([0, 3], "u8"), np.array([3, 3], "u4"), np.array([1, 2], "u8"))
    assert as_batch(batch) is batch
    stamped = as_batch(batch, 7)
    assert stamped.buffer is buffer and stamped.stamps.tolist() == [7, 7] and batch.stamps.tolist() == [1, 2]


@pytest.mark.parametrize("arguments, error, message", [
    (("text", [0], [1]), TypeError, "buffer must be bytes-like, not str"),
    ((b"abc", [0, 1], [1]), ValueError, "lengths has 1 elements, offsets 2"),
    ((b"abc", [0], [1], [1, 2]), ValueError, "stamps has 2 elements, offsets 1"),
    ((b"abc", [0], [4]), ValueError, "reach byte 4 of a buffer of 3"),
    ((b"abc", [5], [0]), ValueError, "reach byte 5 of a buffer of 3"),
    ((b"abc", [-1], [1]), ValueError, "offsets must lie between"),
    ((b"abc", [0.5], [1]), TypeError, "offsets must hold integers"),
    ((b"abc", [[0]], [1]), ValueError, "offsets must have one dimension"),
    ((b"abc", [0], [1 << 40]), ValueError, "lengths must lie between"),
    ((memoryview(b"abcdef")[::2], [0], [1]), ValueError, "buffer must be contiguous"),
])
def test_faults_name_the_argument(arguments, error, message):
    with pytest.raises(error, match=message):
        PacketBatch(*arguments)


@pytest.mark.parametrize("packets, message", [(b"abc", "packets must be"), (3, "packets must be"), ("abc", "packets must be"),
                                              ([b"a", "b"], r"packets\[1\] must be"), ([(1, 2, 3)], r"packets\[0\] must be"),
                                              ([("soon", b"a")], r"packets\[0\]: a stamp must be a number")])
def test_what_is_no_packet(packets, message):
    with pytest.raises(TypeError, match=message):
        as_batch(packets)


def test_stamps():
    assert as_batch([b"a", b"b"], 1.5).stamps.tolist() == [1_500_000_000] * 2
    assert as_batch([b"a", b"b"], [1.5, 2.5]).stamps.tolist() == [1_500_000_000, 2_500_000_000]
    assert as_batch([b"a", b"b"], np.array([5, 6])).stamps.tolist() == [5, 6]
    with pytest.raises(ValueError, match="ts has shape"):
        as_batch([b"a", b"b"], [1.0])
    assert abs(nanoseconds(time.time(), "ts") - time.time_ns()) < 10_000_000_000
    with pytest.raises(ValueError, match="outside"):
        nanoseconds(-1, "ts")
    with pytest.raises(TypeError):
        nanoseconds(float("nan"), "ts")
