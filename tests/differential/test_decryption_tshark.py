"""What Wireshark makes of the same captures and key logs: byte for byte what fastpath's rooms are given."""
from __future__ import annotations

import shutil
import subprocess

import pytest

pytest.importorskip("cryptography")

from captures import write_pcap
from tls_sessions import SUITES, Sessions, frames_of

from fastpath.dataplane.applayer.room_trial import RoomTrial
from fastpath.dataplane.applayer.keyring import KeyRing

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")


@pytest.mark.parametrize(("version", "suite"), [(version, suite) for version, suites in SUITES.items() for suite in suites])
def test_the_same_comes_out(tmp_path, version, suite):
    made = Sessions(tmp_path, version, suite)
    talk = made.talk()
    for number in range(4):
        talk.say(0, b"question %d, " % number + bytes(range(256)) * (number * 20))
        talk.say(1, b"answer %d, " % number + bytes(range(255, -1, -1)) * (number * 70))
    made.end(talk)
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    said = subprocess.run(["tshark", "-r", str(path), "-o", f"tls.keylog_file:{made.keylog}", "-q", "-z", "follow,tls,raw,0"],
                          check=True, capture_output=True, text=True).stdout
    theirs = [b"", b""]
    first = next(line for line in said.splitlines() if line.startswith("Node 0:")).endswith(":443")     # lines of the other begin with a tab
    for line in said.splitlines():
        if line.strip() and set(line.strip()) <= set("0123456789abcdef"):
            theirs[line.startswith("\t") != first] += bytes.fromhex(line.strip())
    ring = KeyRing()
    assert ring.take(made.keylog.read_bytes()) == []
    trial = RoomTrial("tls", keys=ring)
    held = [b"", b""]
    for direction, data in talk.flights:
        held[direction] += data
        held[direction] = held[direction][trial.feed(direction, held[direction]):]
    assert trial.plain == tuple(talk.plain)
    assert trial.plain == tuple(theirs)
