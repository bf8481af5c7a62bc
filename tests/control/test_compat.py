"""What stands where Suricata and libpcap are narrower than need be: read or compared so only where somebody asks for it."""
from __future__ import annotations

import struct

import pytest
from captures import tcp, udp, write_pcap
from runs import replay

OVERLAP = "stream.reassembly_overlap_different_data"
OTHER = 'alert tcp any any -> any any (msg:"other"; content:"nothing of the kind"; sid:2;)'
ASKING = 'alert pkthdr any any -> any any (msg:"overlap"; stream-event:reassembly_overlap_different_data; sid:1;)'


@pytest.fixture
def overlap(tmp_path):
    """A segment over another that says something else."""
    frames = [tcp(flags=0x02, seq=1000), tcp(b"", "10.0.0.2", 80, "10.0.0.1", 40000, flags=0x12, seq=9000, ack=1001),
              *(tcp(text, flags=0x18, seq=1001, ack=9001) for text in (b"", b"this", b"THAT and more"))]
    return write_pcap(tmp_path / "overlap.pcap", frames)


@pytest.mark.parametrize(("rules", "sets", "compared"), [
    (OTHER, [], False), (ASKING, [], True), (OTHER, ["stream.reassembly.check-overlap-different-data=true"], True)])
def test_overlaps_are_compared_where_somebody_asks(overlap, rules, sets, compared):
    result = replay(overlap, rules, sets=sets)
    assert result.stats["events"].get(OVERLAP, 0) == compared
    assert len(result.alerts) == (rules == ASKING)


def test_pcapng_as_far_as_libpcap_reads_it(tmp_path):
    """The second interface has another link type."""
    def block(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))

    frame = udp(b"ask?")
    described = [block(1, struct.pack("<HHI", linktype, 0, 0)) for linktype in (1, 101)]
    packets = [block(6, struct.pack("<5I", 0, 0, number, len(frame), len(frame)) + frame + bytes(-len(frame) % 4)) for number in range(2)]
    path = tmp_path / "mixed.pcapng"
    path.write_bytes(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + described[0] + packets[0] + described[1] + packets[1])
    assert replay(path).stats["packets"] == 2
    result = replay(path, engine={"compat": True})
    assert result.stats["packets"] == 1
    assert "libpcap stops" in result.damages[0].reason
