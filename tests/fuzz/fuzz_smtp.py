"""A mail with attachments, and the dialogue around it: bounded memory, nothing left behind, the same whole or in pieces."""
from __future__ import annotations

import sys

from fuzz import harness

from fastpath.dataplane.applayer.room_trial import RoomTrial

MAIL = (b'From: a <b@c>\r\nTo: d, e\r\nContent-Type: multipart/mixed; boundary="BB"\r\n\r\nhttp://x.y/\r\n--BB\r\nContent-Type: a/b; name=n\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--BB\r\nContent-Type: message/rfc822\r\n\r\nFrom: i\r\n\r\nbody\r\n--BB\r\n"
        b'Content-Disposition: attachment; filename="f"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D=\r\nb\r\n--BB--\r\n.\r\n')


def seeds() -> list[bytes]:
    """What the client says; a NUL and a byte between let the server say one of its replies."""
    commands = b"EHLO x\r\n\0\1MAIL FROM:<a@b>\r\n\0\2RCPT TO:<c@d>\r\n\0\2DATA\r\n\0\3"
    return [commands + MAIL + b"\0\2QUIT\r\n", commands[:-2] + MAIL, b"EHLO x\r\n\0\4STARTTLS\r\n\0\0\x16\x03\1", b"BDAT 9\r\n1234567\r\nRSET\r\n",
            commands + b"\r\n" + b"x" * 9000 + b"\r\n.\r\n"]


REPLIES = (b"220 hi\r\n", b"250-x\r\n250-PIPELINING\r\n250 y\r\n", b"250 ok\r\n", b"354 go\r\n", b"250-a\r\n250 b\r\n", b"554 no\r\n", b"25\r\n", b"\n")


def play(data: bytes, size: int) -> list:
    trial = RoomTrial("smtp", memory=1 << 22)
    trial.feed(1, REPLIES[0])
    held, first = b"", True
    for piece in data.split(b"\0"):
        if not first and piece:
            trial.feed(1, REPLIES[piece[0] % len(REPLIES)])
            piece = piece[1:]
        first = False
        for at in range(0, len(piece), size):
            held += piece[at:at + size]
            held = held[trial.feed(0, held):]
    trial.feed(0, held, eof=True)
    found = [(tx["events"], tx["progress"], [(f["name"], f["size"], f["state"]) for f in tx["files"][0]], trial.log(tx["id"], 0))
             for tx in trial.transactions()]
    assert trial.memory <= 1 << 22
    assert set(trial.close().values()) == {0}
    return found


def target(data: bytes) -> None:
    play(data, 65536)
    play(data, 7)


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
