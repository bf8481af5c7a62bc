"""Two directions of an SMB session, or of one of DCE RPC: whatever the bytes and however they are cut, nothing is kept, and what
can be asked for can be asked for."""
from __future__ import annotations

import sys

from fuzz import harness
from fuzz.fuzz_tls import turns, written
from made_smb import SAMR, bind, bind_ack, pipe_session, request, response, session, session1

from fastpath.dataplane.applayer.room_trial import RoomTrial

BUFFERS = ("smb.named_pipe", "smb.share", "smb.ntlmssp_user", "smb.ntlmssp_domain", "dcerpc.stub_data", "dcerpc.iface", "dcerpc.opnum",
           "file.data", "file.name")
GAP = b"gap!"               # a turn that begins like this is missing


def seeds() -> list[bytes]:
    calls = [(0, bind(SAMR)), (1, bind_ack(0)), (0, request(b"stub", opnum=3)), (1, response(b"reply"))]
    moves = [session(b"x" * 700), pipe_session(), session1(), [*session()[:9], (0, GAP + bytes(90)), *session()[9:]]]
    return [written(one) for one in moves] + [b"\1" + written(calls)[1:]]


def target(data: bytes) -> None:
    if not data:
        return
    trial, held = RoomTrial("dcerpc" if data[0] == 1 else "smb", memory=1 << 20), [b"", b""]
    for direction, piece in turns(data):
        if piece.startswith(GAP):
            trial.feed(direction, gap=len(piece))
            held[direction] = b""
            continue
        held[direction] += piece
        consumed = trial.feed(direction, held[direction])
        assert consumed <= len(held[direction])
        held[direction] = held[direction][consumed:]
        if data[0] & 2:
            trial.free_done()
    for transaction in trial.transactions():
        for direction in (0, 1):
            assert trial.log(transaction["id"], direction) is None or direction
            for name in BUFFERS:
                trial.buffer(transaction["id"], direction, name)
            trial.inspected(transaction["id"], direction)
    for direction in (0, 1):
        trial.feed(direction, held[direction], eof=True)
    assert trial.close() == {"flow": 0, "applayer": 0}


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
