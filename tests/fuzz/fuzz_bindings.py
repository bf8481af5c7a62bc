"""Packets of control planes, fabrics and hardware: whatever the bytes, an event at most; the ledger closes; no number of a subscriber is
told."""
from __future__ import annotations

import io
import sys
from functools import cache
from pathlib import Path

from captures import read_packets, udp
from fuzz import harness

import fastpath as fp
from fastpath.control.hardware import Hardware
from fastpath.dataplane import rows
from fastpath.outputs.eve import EveWriter

EDGE = Path(__file__).resolve().parents[2] / "pcaps" / "edge"
POLICY = "version: 1\nqueue_pairs: apart\ntunnels: bound\nsegments: {}\nlines:\n- {from: any, to: any}\n"
PORTS = (2123, 8805, 4791, 2152, 67)


@cache
def engine() -> fp.Engine:
    return fp.Engine(policy=fp.Policy.parse(POLICY), hardware=Hardware.parse("hardware: []"), mode="ips", checksums="none")


def seeds() -> list[bytes]:
    """A byte that chooses the port, then a payload; from 128 on a whole frame."""
    frames = [one for name in ("roce", "gtp", "n4", "hardware") for found in read_packets(EDGE / f"{name}.pcap").values() for one in found]
    made = [b"\xff" + frame for frame in frames]
    for frame in frames:
        port = int.from_bytes(frame[36:38], "big")
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and port in PORTS:
            made.append(bytes([PORTS.index(port)]) + frame[42:])
    return made


def target(data: bytes) -> None:
    if not data:
        return
    packet = data[1:] if data[0] >= 128 else udp(data[1:65000], "10.101.0.2", PORTS[data[0] % len(PORTS)], "10.101.0.3", PORTS[data[0] % len(PORTS)])
    verdicts = engine().inspect([packet])
    assert len(verdicts) == 1
    taken = engine()._live()[0].rows()["bindings"]
    assert len(taken) <= 64
    assert set(taken["kind"].tolist()) <= set(range(len(rows.BINDINGS)))
    assert (taken["name_length"] <= 64).all()
    assert ((taken["subscriber"] <= 9999) | (taken["subscriber"] == 0xFFFF)).all()
    out = io.BytesIO()
    EveWriter(out, ("gtp", "roce", "hardware")).write(_batch(taken))


def _batch(taken):
    batch = engine().inspect([]).batch
    batch.rows["bindings"] = taken
    return batch


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
