"""An FTP dialogue, one line to the server, the next to the client: bounded memory, nothing left behind."""
from __future__ import annotations

import sys

from fuzz import harness

from fastpath.dataplane.applayer.room_trial import RoomTrial


def seeds() -> list[bytes]:
    """Lines; those after a NUL are the server's, up to the next one."""
    return [b"\x00220 (x)\r\n\0USER a\r\n\x00331 b\r\n\0PASV\r\n\x00227 x (1,2,3,4,5,6).\r\n\0RETR f.txt\r\n\x00150 a\r\n226 b\r\n",
            b"EPSV\r\n\x00229 x (|||1234|)\r\n\0STOR f\r\n\x00150-a\r\n", b"PORT 1,2,3,4,5,6\r\n\x00200 x\r\n\0RETR \r\n",
            b"EPRT |2|::1|99|\r\n\x00200\r\n\0AUTH TLS\r\n\x00234 go\r\n\0\x16\x03\1", b"CWD " + b"a" * 5000 + b"\r\n\x00250 " + b"b" * 5000 + b"\r\n"]


def target(data: bytes) -> None:
    trial, held = RoomTrial("ftp", memory=1 << 20), [b"", b""]
    for number, piece in enumerate(data.split(b"\0")):
        side = number & 1
        held[side] += piece
        held[side] = held[side][trial.feed(side, held[side]):]
    if trial.proto == "ftp":
        for tx in trial.transactions():
            assert "ftp" in trial.log(tx["id"], 0)
            assert trial.buffer(tx["id"], 0, "ftp.bounce") in (None, 0, 1)
    for _, port, _, name in trial.take_announced():
        assert port and name
    assert set(trial.close().values()) == {0}


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
