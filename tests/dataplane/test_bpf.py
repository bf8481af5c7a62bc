"""The BPF machine of rx, held against libpcap's own."""
from __future__ import annotations

import ctypes
import ctypes.util
import struct
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.control.bpf import DLT_OF_LINKTYPE, compile_filter
from fastpath.dataplane.rx import BatchSource, FileSource, Status

ETHERNET, RAW, LINUX_SLL, LINUX_SLL2 = 1, 101, 113, 276

FILTERS = [
    "ip", "ip6", "arp", "tcp", "udp port 53", "tcp port 80", "not tcp", "host 10.0.0.1", "net 10.0.0.0/8 and tcp", "src host 10.0.0.1 or dst port 443",
    "ip6 host 2001:db8::1", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "ip[0] & 0xf != 5", "ip[2:2] > 100", "len > 60", "less 60", "greater 1000",
    "ip[6:2] & 0x1fff = 0", "icmp[icmptype] = icmp-echo", "portrange 1-1024", "ip proto 47", "ip6 protochain 6", "ip protochain 17",
    "udp[4:2] * 2 - 8 > 40", "ip[8] / 2 >= 32", "ip[8] % 3 = 1", "ip[1] ^ 0xff = 0xff", "ip[4:2] << 3 > 64", "ip[4:2] >> ip[8] > 0", "-ip[8] < 0",
    "ip[2:2] / ip[1] > 2", "ip[2:2] % ip[1] = 0", "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "ip[ip[0]] = 0",
    "ip multicast", "sctp",
]
ETHERNET_FILTERS = ["vlan", "vlan 7 and tcp", "ether host 02:00:00:00:00:01", "ether multicast", "mpls", "pppoes", "ether[0] & 1 = 0", "llc"]


def run(program, packets, linktype=ETHERNET, wirelens=None):
    """Which of the packets rx takes, by their index."""
    offsets = array("Q", [0])
    for packet in packets:
        offsets.append(offsets[-1] + len(packet))
    source = BatchSource(b"".join(packets), offsets[:-1], array("I", map(len, packets)), array("Q", range(len(packets))), linktype,
                         wirelens=wirelens)
    source.require_filter()
    assert source.status == Status.NEED
    assert source.wants == linktype
    source.set_filter(linktype, program)
    taken = {packet[0] for packet in source.read()}
    assert source.filtered == len(packets) - len(taken)
    return taken


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.c_char_p)]


class Header(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("fraction", ctypes.c_long), ("caplen", ctypes.c_uint32), ("wirelen", ctypes.c_uint32)]


@pytest.fixture(scope="module")
def peer():
    """Whether libpcap takes a packet."""
    name = ctypes.util.find_library("pcap")
    if name is None:
        pytest.skip("no libpcap")
    library = ctypes.CDLL(name)

    def takes(program, packet):
        made = Program(len(program) // 8, program)
        header = Header(0, 0, len(packet), len(packet))
        return bool(library.pcap_offline_filter(ctypes.byref(made), ctypes.byref(header), packet))
    return takes


def ethernet(proto, body, options=b""):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 3, 20 + len(options) + len(body), 9, 0x4000, 64, proto, 0,
                     b"\x0a\0\0\1", b"\x0a\0\0\2")
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + options + body


WHOLE = [
    ethernet(6, struct.pack(">HHIIBBHHH", 40000, 80, 1, 2, 5 << 4, 2, 9, 0, 0) + b"GET / HTTP/1.0\r\n"),
    ethernet(17, struct.pack(">HHHH", 53, 40000, 8 + 30, 0) + bytes(30), options=b"\1" * 8),
    ethernet(1, struct.pack(">BBHI", 8, 0, 0, 0)),
    ethernet(47, bytes(40)),
    b"\2\0\0\0\0\1\2\0\0\0\0\2\x81\0\0\7" + ethernet(6, bytes(20))[12:],
    b"\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd" + struct.pack(">IHBB", 6 << 28, 28, 0, 64) + bytes(32) + b"\6\0" + bytes(26),
    b"\xff" * 6 + b"\2\0\0\0\0\2\x08\6" + bytes(46),
    b"",
]


@pytest.mark.parametrize("expression", FILTERS + ETHERNET_FILTERS)
def test_against_libpcap(peer, expression):
    """Each packet, whole and cut at every byte."""
    program = compile_filter(expression, ETHERNET)
    packets = [packet[:end] for packet in WHOLE for end in range(len(packet) + 1)]
    assert run(program, packets) == {i for i, packet in enumerate(packets) if peer(program, packet)}


@pytest.mark.parametrize("linktype", [ETHERNET, RAW, LINUX_SLL, LINUX_SLL2, 0])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_packets_against_libpcap(peer, linktype, data):
    program = compile_filter(data.draw(st.sampled_from(FILTERS)), linktype)
    packets = data.draw(st.lists(st.binary(max_size=120) | st.sampled_from(WHOLE), max_size=30))
    for packet in list(packets):
        mutable = bytearray(packet)
        for at, value in data.draw(st.lists(st.tuples(st.integers(0, 119), st.integers(0, 255)), max_size=4)):
            if at < len(mutable):
                mutable[at] = value
        packets.append(bytes(mutable))
    assert run(program, packets, linktype) == {i for i, packet in enumerate(packets) if peer(program, packet)}


def insn(code, k=0, jt=0, jf=0):
    return struct.pack("=HBBI", code, jt, jf, k & 0xffffffff)


ACCEPT, REJECT = insn(0x06, 1), insn(0x06, 0)


@pytest.mark.parametrize(("program", "taken"), [
    (ACCEPT, True), (REJECT, False),
    (insn(0x00, 5) + insn(0x16), True),                                                         # ret A
    (insn(0x01, 5) + insn(0x0e), True),                                                         # ret X
    (insn(0x00, 6) + insn(0x3c) + ACCEPT, False),                                               # division by X = 0 rejects
    (insn(0x00, 6) + insn(0x9c) + ACCEPT, False),                                               # so does the remainder
    (insn(0x00, 6) + insn(0x94, 4) + insn(0x15, 2, 0, 1) + ACCEPT + REJECT, True),              # 6 % 4 == 2
    (insn(0x00, 6) + insn(0xa4, 3) + insn(0x15, 5, 0, 1) + ACCEPT + REJECT, True),              # 6 ^ 3 == 5
    (insn(0x00, 1) + insn(0x64, 32) + insn(0x15, 0, 0, 1) + ACCEPT + REJECT, True),             # 1 << 32 == 0
    (insn(0x00, 1) + insn(0x84) + insn(0x15, -1, 0, 1) + ACCEPT + REJECT, True),                # -1
    (insn(0x00, 7) + insn(0x02, 15) + insn(0x61, 15) + insn(0x0e), True),                       # M[15]
    (insn(0x60, 3) + insn(0x16), False),                                                        # memory begins as zero
    (insn(0x80) + insn(0x15, 99, 0, 1) + ACCEPT + REJECT, True),                                # the length on the wire
    (insn(0x20, 0) + ACCEPT, True), (insn(0x20, 1) + ACCEPT, False),                            # 4 bytes of 4
    (insn(0x28, 0xffffffff) + ACCEPT, False), (insn(0x01, 0xffffffff) + insn(0x50, 1) + ACCEPT, False),
    (insn(0xb1, 4) + ACCEPT, False),
    (insn(0x05, 0) + insn(0x05, -2) + ACCEPT, False),                                           # a loop without an end
])
def test_machine(program, taken):
    assert run(program, [b"\1\2\3\4"], wirelens=array("I", [99])) == ({0} if taken else set())


@pytest.mark.parametrize("program", [
    b"", ACCEPT[:7], insn(0x00), insn(0x05, 0), insn(0x05, 1) + ACCEPT, insn(0x05, -2) + ACCEPT, insn(0x15, 0, 1, 0) + ACCEPT,
    insn(0x15, 0, 0, 1) + ACCEPT, insn(0x02, 16) + ACCEPT, insn(0x34, 0) + ACCEPT, insn(0x94, 0) + ACCEPT, insn(0x8c) + ACCEPT,
    insn(0xff) + ACCEPT, insn(0x0d) + ACCEPT, insn(0x115) + ACCEPT, insn(0x70) + ACCEPT, ACCEPT * 65537,
])
def test_a_bad_program_is_refused(program):
    source = BatchSource(b"", array("I"), array("I"))
    source.require_filter()
    with pytest.raises(ValueError, match="program"):
        source.set_filter(1, program)
    assert source.wants == 1


def test_a_filter_is_asked_for_before_the_first_packet(tmp_path):
    path = tmp_path / "made.pcap"
    path.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 99, 12) + struct.pack("<IIII", 1, 0, 1, 1) + b"x")
    source = FileSource(path)
    with pytest.raises(ValueError, match="not told to require a filter"):
        source.set_filter(1, ACCEPT)
    source.require_filter()
    assert source.read() == []
    assert source.wants == RAW
    with pytest.raises(ValueError, match="linktype: 65536"):
        source.set_filter(65536, ACCEPT)
    source.set_filter(1, REJECT)
    assert source.read() == []
    source.set_filter(RAW, ACCEPT)
    assert len(source.read()) == 1
    with pytest.raises(ValueError, match="already being read"):
        source.require_filter()
    assert DLT_OF_LINKTYPE[RAW] == 12
