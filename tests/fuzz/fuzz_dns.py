"""DNS messages, as a datagram or a stream of either direction: whatever the bytes, names and records within their bounds."""
from __future__ import annotations

import sys

from fuzz import harness

from fastpath.dataplane.applayer.room_trial import RoomTrial


def seeds() -> list[bytes]:
    """A byte of choices (datagram, direction), then the bytes."""
    query = bytes.fromhex("000701000001000000000000") + b"\3www\7example\0\0\1\0\1"
    answer = (bytes.fromhex("000785800001000400010000") + b"\3www\7example\0\0\1\0\1" b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"
              b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1c\xc0\x10" b"\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\7\2ab\3abc" b"\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\4\0\5\xc0\x0c"
              b"\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x1a\1m\0\1r\0" + bytes(20))
    return [bytes([choice]) + (len(message).to_bytes(2, "big") if not choice & 1 else b"") + message
            for message in (query, answer) for choice in range(4)]


def target(data: bytes) -> None:
    if not data:
        return
    trial = RoomTrial("dns", udp=bool(data[0] & 1))
    trial.feed(data[0] >> 1 & 1, data[1:])
    for tx in trial.transactions():
        for kind in range(3):
            record = trial.log(tx["id"], kind)
            if record and kind == 1:
                assert len(record["dns"]["rrname"]) <= 1025
        for index in range(4):
            view = trial.buffer(tx["id"], 0, "dns.query", index)
            assert view is None or 0 < len(view[0]) <= 1025
        assert trial.buffer(tx["id"], 0, "dns.opcode") < 16
    assert set(trial.close().values()) == {0}


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
