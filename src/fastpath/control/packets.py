"""Packets from Python: a PacketBatch, and what can be made into one."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

# link types: the LINKTYPE_* numbers of the pcap formats
NULL, ETHERNET, RAW, LINUX_SLL, LINUX_SLL2 = 0, 1, 101, 113, 276


@dataclass(slots=True)
class PacketBatch:
    """Packets that lie in one buffer; nothing is copied.

    buffer: bytes-like, contiguous. offsets, lengths: where each packet begins and how many bytes it has. stamps: ns since
    1970, one a packet, or None for the time of the call. wirelens: bytes that each packet had on the wire, None where none was
    cut. Arrays of other integer types are converted; a batch that is to be inspected often has offsets and stamps as uint64,
    lengths and wirelens as uint32. TypeError and ValueError name the argument.
    """
    buffer: Any
    offsets: np.ndarray
    lengths: np.ndarray
    stamps: np.ndarray | None = None
    wirelens: np.ndarray | None = None

    def __post_init__(self) -> None:
        try:
            view = memoryview(self.buffer)
        except TypeError:
            raise TypeError(f"buffer must be bytes-like, not {type(self.buffer).__name__}") from None
        if not view.contiguous:
            raise ValueError("buffer must be contiguous")
        self.offsets = _numbers(self.offsets, "offsets", np.uint64)
        self.lengths = _numbers(self.lengths, "lengths", np.uint32)
        if len(self.lengths) != len(self.offsets):
            raise ValueError(f"lengths has {len(self.lengths)} elements, offsets {len(self.offsets)}")
        for name, dtype in (("stamps", np.uint64), ("wirelens", np.uint32)):
            if getattr(self, name) is not None:
                setattr(self, name, _numbers(getattr(self, name), name, dtype))
                if len(getattr(self, name)) != len(self.offsets):
                    raise ValueError(f"{name} has {len(getattr(self, name))} elements, offsets {len(self.offsets)}")
        if len(self.offsets):
            room = view.nbytes
            worst = int((self.offsets + self.lengths).max())
            if worst > room or int(self.offsets.max()) > room:
                raise ValueError(f"offsets and lengths reach byte {max(worst, int(self.offsets.max()))} of a buffer of {room} bytes")

    def __len__(self) -> int:
        return len(self.offsets)

    def packet(self, index: int) -> bytes:
        """The bytes of one packet."""
        start = int(self.offsets[index])
        return bytes(memoryview(self.buffer).cast("B")[start:start + int(self.lengths[index])])

    @classmethod
    def of(cls, packets: Iterable[Any], ts: Any = None) -> PacketBatch:
        """A batch of anything iterable: buffers, (ts, buffer) pairs as dpkt gives them, scapy packets. Stamps found in the
        packets (seconds) hold unless ts is given: one stamp for all, or one a packet; integers are ns, floats seconds."""
        chunks: list[bytes] = []
        stamps: list[int] | None = []
        for at, packet in enumerate(packets):
            stamp = None
            if isinstance(packet, (bytes, bytearray, memoryview)):
                chunk = packet
            elif isinstance(packet, tuple) and len(packet) == 2:
                stamp, chunk = packet
            elif hasattr(packet, "time") and hasattr(packet, "__bytes__"):
                stamp, chunk = packet.time, bytes(packet)
            else:
                chunk = packet
            try:
                chunks.append(bytes(memoryview(chunk).cast("B")) if not isinstance(chunk, bytes) else chunk)
            except TypeError:
                raise TypeError(f"packets[{at}] must be bytes-like, a (ts, buffer) pair or a scapy packet, "
                                f"not {type(packet).__name__}") from None
            if stamp is None:
                stamps = None
            elif stamps is not None:
                stamps.append(nanoseconds(stamp, f"packets[{at}]"))
        lengths = np.fromiter(map(len, chunks), np.uint32, len(chunks))
        offsets = np.zeros(len(chunks), np.uint64)
        np.cumsum(lengths[:-1], out=offsets[1:], dtype=np.uint64)
        given = np.array(stamps, np.uint64) if stamps is not None and chunks else None
        return cls(b"".join(chunks), offsets, lengths, stamps_of(ts, len(chunks)) if ts is not None else given)


def nanoseconds(stamp: Any, what: str) -> int:
    """ns since 1970 of a stamp: an int is ns already, anything else that is a number is seconds."""
    if isinstance(stamp, (int, np.integer)) and not isinstance(stamp, bool):
        value = int(stamp)
    else:
        try:
            whole = int(stamp)
            value = whole * 1_000_000_000 + round((stamp - whole) * 1_000_000_000)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{what}: a stamp must be a number, not {stamp!r}") from None
    if not 0 <= value < 1 << 63:
        raise ValueError(f"{what}: the stamp {stamp!r} lies outside 1970 to 2262")
    return value


def stamps_of(ts: Any, count: int) -> np.ndarray:
    """`count` stamps of ns: from one stamp for all, or one a packet."""
    if np.ndim(ts) == 0:
        return np.full(count, nanoseconds(ts, "ts"), np.uint64)
    array = np.asarray(ts)
    if array.shape != (count,):
        raise ValueError(f"ts has shape {array.shape}, there are {count} packets")
    if array.dtype.kind in "iu":
        return _numbers(array, "ts", np.uint64)
    return np.fromiter((nanoseconds(one, "ts") for one in array.tolist()), np.uint64, count)


def as_batch(packets: Any, ts: Any = None) -> PacketBatch:
    """The batch to inspect; a PacketBatch is taken as it is unless ts is given."""
    if not isinstance(packets, PacketBatch):
        if isinstance(packets, (bytes, bytearray, memoryview, str)) or not isinstance(packets, Iterable):
            raise TypeError(f"packets must be a PacketBatch or an iterable of packets, not {type(packets).__name__}")
        return PacketBatch.of(packets, ts)
    if ts is None:
        return packets
    made = PacketBatch.__new__(PacketBatch)     # checked already
    made.buffer, made.offsets, made.lengths, made.wirelens = packets.buffer, packets.offsets, packets.lengths, packets.wirelens
    made.stamps = stamps_of(ts, len(packets))
    return made


def _numbers(values: Any, what: str, dtype: type) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{what} must have one dimension, not {array.ndim}")
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{what} must hold integers, not {array.dtype}")
    if array.size and (int(array.min()) < 0 or int(array.max()) > np.iinfo(dtype).max):
        raise ValueError(f"{what} must lie between 0 and {np.iinfo(dtype).max}")
    return array.astype(dtype)
