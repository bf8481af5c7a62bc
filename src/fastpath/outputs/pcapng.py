"""Packets that alerted, or were dropped, as pcapng (draft-ietf-opsawg-pcapng): with their stamps, link types and interfaces."""
from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastpath.control.result import Batch
from fastpath.outputs.eve_app import AppRows
from fastpath.outputs.guard import Guard

#: What may be written: what the sink wants of the data plane, and the bit of telemetry.pxd that says so of a packet.
KINDS = {"alerts": ("alerted", 1), "drops": ("dropped", 2)}
#: kept_head_t of telemetry.pxd: ordinal, ts (ns), caplen, wirelen, linktype, interface, why.
HEAD = struct.Struct("=QQIIHHI")
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
OPT_END, IF_DESCRIPTION, SHB_APPLICATION, IF_TSRESOL = 0, 3, 4, 9


class PcapngWriter:
    """A sink that writes packets of one kind, "alerts" or "drops", in their order; what leak rules find in them is starred out, which
    leaves their checksums as they were.

    Every interface of every capture becomes one of the file, described by both; stamps are in nanoseconds. Raises ValueError
    for another kind and FileExistsError where the file exists and is not to be replaced.
    """

    def __init__(self, path: Path, kind: str, overwrite: bool = False):
        if kind not in KINDS:
            raise ValueError(f"{kind!r} cannot be written as packets: {' or '.join(KINDS)}")
        want, self._why = KINDS[kind]
        self.wants = frozenset((want,))
        self.packets = 0
        self._interfaces: dict[tuple[str, int, int], int] = {}
        self._out = path.open("wb" if overwrite else "xb")
        self._block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1) + _option(SHB_APPLICATION, b"fastpath") + _option(OPT_END, b""))

    def write(self, batch: Batch) -> None:
        guard = Guard(batch, AppRows(batch))
        for ordinal, ts, wirelen, linktype, interface, packet in _packets(batch.kept, self._why):
            packet = guard.packet(packet, linktype, ordinal)
            number = batch.captures.of(ordinal)
            at = self._interface(number[0].name if number is not None else "", linktype, interface)
            self._block(PACKET, struct.pack("<5I", at, ts >> 32, ts & 0xFFFFFFFF, len(packet), wirelen) + _padded(packet))
            self.packets += 1
        self._out.flush()

    def close(self, stats: dict[str, Any]) -> None:
        self._out.close()

    def _interface(self, capture: str, linktype: int, interface: int) -> int:
        """The number of an interface in the file; described when it is first met."""
        key = (capture, linktype, interface)
        if key not in self._interfaces:
            self._interfaces[key] = len(self._interfaces)
            self._block(INTERFACE, struct.pack("<HHI", linktype, 0, 0)
                        + _option(IF_DESCRIPTION, f"{capture}, interface {interface}".encode("utf-8", "replace")[:1000])
                        + _option(IF_TSRESOL, b"\x09") + _option(OPT_END, b""))
        return self._interfaces[key]

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        self._out.write(struct.pack("<I", kind) + length + body + length)


def _packets(kept: bytes, why: int) -> Iterator[tuple[int, int, int, int, int, bytes]]:
    """(ordinal, ts, wirelen, linktype, interface, bytes) of the packets kept for this reason, as DataPlane.kept() gives them."""
    at = 0
    while at < len(kept):
        ordinal, ts, caplen, wirelen, linktype, interface, reasons = HEAD.unpack_from(kept, at)
        at += HEAD.size
        if reasons & why:
            yield ordinal, ts, wirelen, linktype, interface, kept[at:at + caplen]
        at += caplen


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)
