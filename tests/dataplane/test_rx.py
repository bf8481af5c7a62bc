"""rx: what capture files, streams and batches hold, byte for byte, held against made files and against libpcap."""
from __future__ import annotations

import ctypes
import ctypes.util
import io
import os
import struct
import subprocess
import sys
from array import array

import dpkt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.dataplane.rx import DAMAGES, BatchSource, FileSource, Source, Status, StreamSource

RAW = 101


# ---- made files ----

def pcap(packets, order="<", magic=0xa1b2c3d4, linktype=1, snaplen=65535, version=(2, 4)):
    """packets: (seconds, fraction, bytes, wire length)."""
    out = struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, linktype)
    for seconds, fraction, data, wirelen in packets:
        lengths = (len(data), wirelen) if version >= (2, 3) and version[0] == 2 else (wirelen, len(data))
        out += struct.pack(order + "IIII", seconds, fraction, *lengths)
        out += (b"\1\0\0\0\2\0\3\0" if magic == 0xa1b2cd34 else b"") + data
    return out


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))


def option(order, code, value):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def shb(order="<", version=(1, 0), length=-1):
    return block(order, 0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, *version, length))


def idb(order="<", linktype=1, snaplen=0, options=b""):
    return block(order, 1, struct.pack(order + "HHI", linktype, 0, snaplen) + options)


def epb(order, number, ticks, data, wirelen=None, options=b""):
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xffffffff, len(data), len(data) if wirelen is None else wirelen)
    return block(order, 6, head + data + bytes(-len(data) % 4) + options)


def spb(order, data, wirelen=None):
    return block(order, 3, struct.pack(order + "I", len(data) if wirelen is None else wirelen) + data)


def pb(order, number, ticks, data):
    return block(order, 2, struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xffffffff, len(data), len(data)) + data)


@pytest.fixture
def from_file(tmp_path):
    """Reads a capture from a file, mapped: (packets, damage)."""
    def read(data):
        path = tmp_path / "made.pcap"
        path.write_bytes(data)
        with FileSource(path) as source:
            packets = source.read()
            assert source.status == (Status.DAMAGED if source.damage else Status.END)
            assert source.offset == (source.damage[0] if source.damage else len(data))
            return packets, source.damage
    return read


def from_chunks(chunks, limit=None, damaged=False):
    """Reads a capture from chunks: (packets, damage)."""
    source = StreamSource()
    packets = []
    chunks = [*chunks, None]
    for chunk in chunks:
        source.feed(b"" if chunk is None else chunk, last=chunk is None, damaged=damaged and chunk is None)
        while True:
            packets += source.read(limit)
            if source.status != Status.MORE:
                break
        if source.status == Status.DAMAGED:
            break
    assert source.status in (Status.END, Status.DAMAGED)
    return packets, source.damage


PACKETS = [(1, 2, b"first packet", 12), (1700000000, 999999, bytes(range(60)), 1500), (0xffffffff, 0, b"", 0)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "unit"), [(0xa1b2c3d4, 1000), (0xa1b23c4d, 1), (0xa1b2cd34, 1000)])
def test_pcap(from_file, order, magic, unit):
    packets, damage = from_file(pcap(PACKETS, order, magic))
    assert packets == [(s * 10**9 + f * unit, data, wirelen, 1) for s, f, data, wirelen in PACKETS]
    assert damage is None


@pytest.mark.parametrize("version", [(2, 0), (2, 2), (2, 3), (2, 4), (543, 0)])
def test_pcap_versions(from_file, version):
    packets, damage = from_file(pcap(PACKETS, version=version))
    assert [p[1:3] for p in packets] == [p[2:] for p in PACKETS]
    assert damage is None


def test_pcap_version_2_3_with_the_lengths_the_other_way_round(from_file):
    data = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 3, 0, 0, 100, 1) + struct.pack("<IIII", 1, 0, 70, 3) + b"abc"
    assert from_file(data) == ([(10**9, b"abc", 70, 1)], None)


def test_pcap_snaplen_cuts(from_file):
    """Like libpcap: a record that holds more than the snaplen gives that much of it, and the next record follows it whole."""
    assert from_file(pcap([(1, 0, b"0123456789", 20), (2, 0, b"next", 4)], snaplen=6)) == (
        [(10**9, b"012345", 20, 1), (2 * 10**9, b"next", 4, 1)], None)


def test_pcap_wirelen_is_at_least_what_was_captured(from_file):
    assert from_file(pcap([(1, 0, b"0123456789", 3)]))[0] == [(10**9, b"0123456789", 10, 1)]


@pytest.mark.parametrize(("linktype", "read_as"), [(12, RAW), (14, RAW), (101, RAW), (113, 113), (0x10000001, 1)])
def test_linktype(from_file, linktype, read_as):
    """Above 16 bits the field holds the length of the frame check sequence."""
    assert from_file(pcap(PACKETS, linktype=linktype))[0][0][3] == read_as


@pytest.mark.parametrize("order", "<>")
def test_pcapng(from_file, order):
    data = (shb(order) + idb(order) + idb(order, linktype=12, snaplen=4, options=option(order, 9, b"\x09") + option(order, 13, b"\4"))
            + block(order, 0xbad, b"unknown") + block(order, 5, bytes(12))
            + epb(order, 0, 1_700_000_000_123_456, b"micro") + epb(order, 1, 1_700_000_000_123_456_789, b"nano", 99)
            + spb(order, b"simple") + pb(order, 1, 7, b"old"))
    assert from_file(data) == ([
        (1_700_000_000_123_456_000, b"micro", 5, 1), (1_700_000_000_123_456_789, b"nano", 99, RAW), (0, b"simple", 6, 1),
        (7, b"old", 3, RAW)], None)


def test_pcapng_sections(from_file):
    """Each has its byte order, and its own interfaces."""
    data = shb("<") + idb("<", 1) + epb("<", 0, 1, b"a") + shb(">", version=(1, 2)) + idb(">", 113) + epb(">", 0, 2, b"b") + shb("<")
    assert from_file(data) == ([(1000, b"a", 1, 1), (2000, b"b", 1, 113)], None)
    assert from_file(data + epb("<", 0, 3, b"c"))[1] == (len(data), "a packet of an interface that is not described")


@pytest.mark.parametrize(("other", "stops"), [
    (shb("<") + idb("<"), False), (idb("<", snaplen=262144), False), (idb("<", snaplen=2 ** 31), False), (shb("<"), False),
    (idb("<", linktype=113), True), (idb("<", snaplen=65535), True), (shb(">") + idb(">"), True),
    (shb("<") + idb("<", linktype=113), True)])
def test_pcapng_as_libpcap(tmp_path, other, stops):
    """libpcap knows one link type, one snapshot length and one byte order a file."""
    head = shb("<") + idb("<") + epb("<", 0, 1, b"a")
    path = tmp_path / "mixed.pcapng"
    path.write_bytes(head + other + (idb("<") + epb("<", 0, 2, b"b") if other == shb("<") else b""))
    with FileSource(path) as source:
        source.require_uniform()
        assert source.read()[0] == (1000, b"a", 1, 1)
        if stops:
            assert source.damage[0] >= len(head)
            assert "libpcap stops" in source.damage[1]
        else:
            assert source.damage is None


def test_pcapng_simple_packet_is_cut_by_the_snaplen(from_file):
    assert from_file(shb() + idb(snaplen=3) + spb("<", b"abc", 70)) == ([(0, b"abc", 70, 1)], None)


@pytest.mark.parametrize(("resolution", "ticks", "ns"), [
    (0, 7, 7 * 10**9), (3, 1_700_000_000_001, 1_700_000_000_001_000_000), (6, 5, 5000), (9, 5, 5), (12, 5999, 5), (19, 10**19, 10**9),
    (0x80, 3, 3 * 10**9), (0x80 | 10, 1536, 1_500_000_000), (0x80 | 63, 3 << 62, 1_500_000_000),
    (6, 2**64 - 1, 2**64 - 1), (0, 2**64 - 1, 2**64 - 1), (9, 2**64 - 1, 2**64 - 1),
    (6, (2**64 - 1) // 1000, (2**64 - 1) // 1000 * 1000), (6, (2**64 - 1) // 1000 + 1, 2**64 - 1),
])
def test_pcapng_resolution(from_file, resolution, ticks, ns):
    """Stamps are held within 64 bits."""
    data = shb() + idb(options=option("<", 9, bytes([resolution]))) + epb("<", 0, ticks, b"x")
    assert from_file(data) == ([(ns, b"x", 1, 1)], None)


@pytest.mark.parametrize(("offset", "ns"), [(0, 5_000_000), (10, 10_005_000_000), (-1, 0), (2**63 - 1, 2**64 - 1), (-2**63, 0)])
def test_pcapng_time_offset(from_file, offset, ns):
    data = shb() + idb(options=option("<", 14, struct.pack("<q", offset))) + epb("<", 0, 5000, b"x")
    assert from_file(data)[0] == [(ns, b"x", 1, 1)]


def test_pcapng_secrets(tmp_path):
    keys = b"CLIENT_RANDOM 00 01\n"
    path = tmp_path / "made.pcapng"
    path.write_bytes(shb() + idb() + block("<", 10, struct.pack("<II", 0x544c534b, len(keys)) + keys) + epb("<", 0, 1, b"x")
                     + block("<", 10, struct.pack("<II", 1, 0)) + block("<", 10, struct.pack("<II", 1, 99)))
    with FileSource(path) as source:
        assert source.secrets == []
        assert len(source.read()) == 1
        assert source.secrets == [(0x544c534b, keys), (1, b"")]


GOOD = pcap(PACKETS[:1])
SECTION = shb() + idb()


@pytest.mark.parametrize(("data", "packets", "offset", "reason"), [
    (b"no capture at all", 0, 0, "neither pcap nor pcapng"),
    (b"\xd4\xc3", 0, 0, "ends inside the file header"),
    (GOOD[:23], 0, 0, "ends inside the file header"),
    (pcap([], version=(2, 5)), 0, 0, "a version of the format that is not supported"),
    (pcap([], version=(1, 2)), 0, 0, "a version of the format that is not supported"),
    (GOOD + b"\0" * 15, 1, len(GOOD), "ends inside a packet record"),
    (GOOD[:-1], 0, 24, "ends inside a packet record"),
    (GOOD + struct.pack("<IIII", 1, 0, 262145, 262145) + bytes(300000), 1, len(GOOD), "a captured length above the maximum"),
    (SECTION[:27], 0, 0, "ends inside the file header"),
    (shb(version=(2, 0)), 0, 0, "a version of the format that is not supported"),
    (SECTION + shb()[:20], 0, len(SECTION), "ends inside a block"),
    (SECTION + b"\6\0", 0, len(SECTION), "ends inside a block"),
    (SECTION + struct.pack("<III", 6, 8, 8), 0, len(SECTION), "a block length that is too small, too large or no multiple of 4"),
    (SECTION + struct.pack("<IIII", 6, 15, 8, 15), 0, len(SECTION), "a block length that is too small, too large or no multiple of 4"),
    (SECTION + struct.pack("<III", 6, 1 << 25, 8), 0, len(SECTION), "a block length that is too small, too large or no multiple of 4"),
    (SECTION + struct.pack("<III", 6, 12, 16), 0, len(SECTION), "the two lengths of a block differ"),
    (SECTION + struct.pack("<III", 6, 12, 12), 0, len(SECTION), "a block whose content does not fit into it"),
    (SECTION + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"abcd"), 0, len(SECTION),
     "a block whose content does not fit into it"),
    (SECTION + block("<", 3, b""), 0, len(SECTION), "a block whose content does not fit into it"),
    (SECTION + block("<", 3, struct.pack("<I", 5) + b"abcd"), 0, len(SECTION), "a block whose content does not fit into it"),
    (SECTION + block("<", 1, bytes(4)), 0, len(SECTION), "a block whose content does not fit into it"),
    (SECTION + idb(options=struct.pack("<HH", 2, 9)), 0, len(SECTION), "a block whose content does not fit into it"),
    (SECTION + idb(options=option("<", 9, b"\x14")), 0, len(SECTION), "a time resolution out of range"),
    (SECTION + idb(options=option("<", 9, b"\xc0")), 0, len(SECTION), "a time resolution out of range"),
    (SECTION + epb("<", 1, 0, b""), 0, len(SECTION), "a packet of an interface that is not described"),
    (shb() + spb("<", b"x"), 0, len(shb()), "a packet of an interface that is not described"),
    (SECTION + struct.pack("<IIII", 0x0a0d0d0a, 28, 7, 0) + bytes(12), 0, len(SECTION), "a section without a byte-order magic"),
    (shb() + idb() * 65537, 0, len(shb()) + 65536 * len(idb()), "too many interfaces"),
])
def test_damage(from_file, data, packets, offset, reason):
    """What stands before the damage is given; the offset is that of the record or block; a stream says the same."""
    found, damage = from_file(data)
    assert (len(found), damage) == (packets, (offset, reason))
    assert reason in DAMAGES.values()
    assert from_chunks([data]) == (found, damage)


def test_damage_of_the_stream():
    assert from_chunks([GOOD], damaged=True) == (from_chunks([GOOD])[0], (len(GOOD), "the stream around the capture is damaged or cut"))
    assert from_chunks([GOOD[:-1]], damaged=True)[1] == (24, "the stream around the capture is damaged or cut")


# ---- cut and split ----

SAMPLES = {
    "pcap": pcap(PACKETS),
    "swapped": pcap(PACKETS, ">", 0xa1b23c4d),
    "modified": pcap(PACKETS, "<", 0xa1b2cd34),
    "pcapng": (shb() + idb() + epb("<", 0, 1, b"abc") + block("<", 9, bytes(40)) + spb("<", b"simple") + shb(">")
               + idb(">", 113, options=option(">", 9, b"\x09")) + epb(">", 0, 2, bytes(50), 80) + pb(">", 0, 3, b"old")),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_at_every_byte(from_file, name):
    """A prefix gives the packets that it holds whole, and damage where the first that it does not hold begins."""
    data = SAMPLES[name]
    whole, _ = from_file(data)
    ends = set()
    for end in range(1, len(data)):
        packets, damage = from_file(data[:end])
        assert packets == whole[:len(packets)]
        if damage is None:
            ends.add(end)
        else:
            assert damage[0] <= end
            assert damage[0] in ends or damage[0] == 0
            assert "ends inside" in damage[1]
        assert from_chunks([data[:end]]) == (packets, damage)


@pytest.mark.parametrize("name", SAMPLES)
def test_split_at_every_byte(from_file, name):
    data = SAMPLES[name]
    whole = from_file(data)
    for at in range(len(data) + 1):
        assert from_chunks([data[:at], data[at:]]) == whole
    for size in (1, 2, 3, 17, 28):
        assert from_chunks([data[i:i + size] for i in range(0, len(data), size)]) == whole


frames = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 999999), st.binary(max_size=90), st.integers(0, 200)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(frames, st.sampled_from("<>"), st.booleans(), st.lists(st.integers(0, 2000), max_size=6), st.integers(1, 300))
def test_any_split_gives_the_same(packets, order, ng, cuts, limit):
    if ng:
        data = shb(order) + idb(order) + b"".join(epb(order, 0, s, data, max(wirelen, len(data))) for s, _, data, wirelen in packets)
        expected = [(s * 1000, data, max(wirelen, len(data)), 1) for s, _, data, wirelen in packets]
    else:
        data = pcap(packets, order)
        expected = [(s * 10**9 + f * 1000, data, max(wirelen, len(data)), 1) for s, f, data, wirelen in packets]
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    assert from_chunks([data[a:b] for a, b in zip(edges, edges[1:], strict=False)], limit) == (expected, None)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
       st.integers(1, 100))
def test_damaged_bytes_never_raise(name, changes, size):
    """Whatever the bytes: an end or a damage within them, the same for every way to hand them over."""
    data = bytearray(SAMPLES[name])
    for at, value in changes:
        data[at % len(data)] = value
    packets, damage = from_chunks([bytes(data)])
    assert damage is None or 0 <= damage[0] <= len(data)
    assert from_chunks([bytes(data[i:i + size]) for i in range(0, len(data), size)]) == (packets, damage)


def test_a_stream_copies_only_what_chunks_cut():
    """A chunk is held until the next one comes, and given back then."""
    chunk = bytearray(pcap(PACKETS))
    source = StreamSource()
    source.feed(chunk)
    assert len(source.read()) == len(PACKETS)
    with pytest.raises(BufferError):
        chunk.append(0)
    source.feed(b"", last=True)
    chunk.append(0)
    assert source.read() == []
    assert source.status == Status.END


def test_a_stream_takes_chunks_only_when_it_wants_them():
    source = StreamSource()
    with pytest.raises(TypeError):
        source.feed("text")
    source.feed(GOOD)
    with pytest.raises(ValueError, match="does not want a chunk"):
        source.feed(GOOD)
    source.read()
    source.feed(b"", last=True)
    source.read()
    with pytest.raises(ValueError, match="does not want a chunk"):
        source.feed(b"")
    source.close()
    with pytest.raises(ValueError, match="does not want a chunk"):
        source.feed(b"")


# ---- files ----

def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        FileSource(tmp_path / "missing.pcap")
    (tmp_path / "empty.pcap").touch()
    with pytest.raises(ValueError, match=r"empty\.pcap: the file is empty"):
        FileSource(tmp_path / "empty.pcap")
    with pytest.raises(ValueError, match="not a regular file"):
        FileSource(tmp_path)
    with pytest.raises(TypeError):
        FileSource(3.5)


def test_a_closed_source_has_ended(tmp_path):
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(PACKETS))
    source = FileSource(path)
    assert source.size == path.stat().st_size
    assert len(source.read(1)) == 1
    assert source.status == Status.MORE
    source.close()
    source.close()
    assert source.read() == []
    assert source.status == Status.END
    assert Source().read() == []


LARGE = 300_000     # packets; more than two windows of a mapped file


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("rx") / "large.pcap"
    record = struct.pack("<IIII", 1, 2, 100, 100) + bytes(100)
    path.write_bytes(pcap([], snaplen=0) + record * LARGE)
    return path


def test_a_file_of_several_windows(large):
    count = 0
    with FileSource(large) as source:
        while packets := source.read(50_000):
            count += len(packets)
            assert set(packets) == {(1_000_002_000, bytes(100), 100, 1)}
        assert source.damage is None
    assert count == LARGE


def test_a_file_that_shrinks_is_damaged(large, tmp_path):
    path = tmp_path / "shrinks.pcap"
    path.write_bytes(large.read_bytes())
    with FileSource(path) as source:
        assert len(source.read(10)) == 10
        os.truncate(path, 20 << 20)
        left = source.read()
        assert source.damage == (24 + 116 * (10 + len(left)), "the file shrank or cannot be read")
        assert source.damage[0] <= 20 << 20 < source.damage[0] + 116


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the resident set is read from /proc")
def test_a_large_file_keeps_a_small_resident_set(tmp_path):
    """A sparse file of 1 GiB, one block of pcapng after the other, in a process of its own."""
    path = tmp_path / "sparse.pcapng"
    with path.open("wb") as file:
        file.write(shb() + idb())
        size = 16 << 20
        for _ in range(64):
            start = file.tell()
            file.write(struct.pack("<II", 0xbad, size))
            file.seek(start + size - 4)
            file.write(struct.pack("<I", size))
        file.write(epb("<", 0, 1, b"last"))
    script = ("import sys, resource; from fastpath.dataplane.rx import FileSource\n"
              "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
              "before = peak(); source = FileSource(sys.argv[1]); packets = source.read()\n"
              "assert [p[1] for p in packets] == [b'last'], packets; print(peak() - before)")
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert int(done.stdout) < 100 * 1024


# ---- batches ----

BUFFER = bytes(range(100))


@pytest.mark.parametrize("offset_type", [np.uint32, np.uint64, np.int64])
@pytest.mark.parametrize("length_type", [np.uint32, np.uint64, np.int64])
def test_batch(offset_type, length_type):
    offsets, lengths = np.array([0, 10, 100, 5], offset_type), np.array([10, 90, 0, 2], length_type)
    source = BatchSource(BUFFER, offsets, lengths, np.array([4, 3, 2, 1], np.uint64), linktype=12,
                         wirelens=np.array([10, 200, 0, 1], np.uint32))
    assert source.read(3) == [(4, BUFFER[:10], 10, RAW), (3, BUFFER[10:], 200, RAW), (2, b"", 0, RAW)]
    assert source.status == Status.MORE
    assert source.read() == [(1, BUFFER[5:7], 2, RAW)]
    assert source.status == Status.END


def test_batch_without_stamps_and_without_numpy():
    assert BatchSource(bytearray(b"abcdef"), array("I", [0, 3]), array("Q", [3, 3]), now=77).read() == [
        (77, b"abc", 3, 1), (77, b"def", 3, 1)]
    assert BatchSource(b"", array("I"), array("I")).read() == []


def test_batch_is_borrowed_until_closed():
    buffer = bytearray(b"abcdef")
    source = BatchSource(buffer, array("I", [0]), array("I", [3]))
    with pytest.raises(BufferError):
        buffer.append(1)
    source.close()
    source.close()
    buffer.append(1)
    assert source.read() == []


def test_batch_whose_arrays_change_is_damaged_not_read_past():
    lengths = np.array([3, 3], np.uint32)
    source = BatchSource(b"abcdef", np.array([0, 3], np.uint64), lengths)
    lengths[1] = 4
    assert source.read() == [(0, b"abc", 3, 1)]
    assert source.damage == (1, "the arrays of the batch were changed while it was read")


u32 = np.array([0], np.uint32)


@pytest.mark.parametrize(("arguments", "keywords", "error", "match"), [
    (("text", u32, u32), {}, TypeError, "buffer"),
    ((BUFFER, [0], u32), {}, TypeError, "offsets"),
    ((BUFFER, np.array([0.5]), u32), {}, TypeError, "offsets must be a 1-D contiguous array of uint32, uint64 or int64"),
    ((BUFFER, np.array([[0]], np.uint32), u32), {}, TypeError, "offsets must"),
    ((BUFFER, np.array([0, 0], np.uint32)[::2], u32), {}, None, ""),
    ((BUFFER, np.array([0, 0, 0], np.uint32)[::2], np.array([0, 0], np.uint32)), {}, TypeError, "offsets"),
    ((BUFFER, np.array([0], ">u4"), u32), {}, TypeError, "offsets must"),
    ((BUFFER, np.array([0], np.int32), u32), {}, TypeError, "offsets must"),
    ((BUFFER, u32, np.array([0], np.uint16)), {}, TypeError, "lengths must"),
    ((BUFFER, u32, np.array([0, 0], np.uint32)), {}, ValueError, "lengths: 2 entries for 1 offsets"),
    ((BUFFER, u32, u32, np.array([0, 0], np.uint64)), {}, ValueError, "stamps: 2 entries for 1 offsets"),
    ((BUFFER, u32, u32, u32), {}, TypeError, "stamps must be a 1-D contiguous array of uint64 or int64"),
    ((BUFFER, u32, u32), {"wirelens": np.array([0], np.uint64)}, TypeError, "wirelens must be a 1-D contiguous array of uint32"),
    ((BUFFER, u32, np.array([101], np.uint32)), {}, ValueError, "offsets: packet 0 of 101 bytes at 0 lies outside a buffer of 100"),
    ((BUFFER, np.array([0, 99], np.uint32), np.array([1, 2], np.uint32)), {}, ValueError, "packet 1 of 2 bytes at 99"),
    ((BUFFER, np.array([-1], np.int64), u32), {}, ValueError, "offsets: packet 0"),
    ((BUFFER, np.array([2**64 - 1], np.uint64), np.array([2], np.uint32)), {}, ValueError, "offsets: packet 0"),
    ((bytes(300000), u32, np.array([262145], np.uint32)), {}, ValueError, "lengths: packet 0 has 262145 bytes, more than 262144"),
    ((BUFFER, u32, u32), {"linktype": 65536}, ValueError, "linktype: 65536"),
    ((BUFFER, u32, u32), {"linktype": -1}, ValueError, "linktype: -1"),
    ((BUFFER, u32, u32), {"linktype": "ethernet"}, TypeError, "linktype must be a number, not str"),
])
def test_batch_arguments(arguments, keywords, error, match):
    if error is None:
        assert len(BatchSource(*arguments, **keywords).read()) == 1
    else:
        with pytest.raises(error, match=match):
            BatchSource(*arguments, **keywords)


# ---- peers ----

class PacketHeader(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("fraction", ctypes.c_long), ("caplen", ctypes.c_uint32), ("wirelen", ctypes.c_uint32)]


@pytest.fixture(scope="module")
def libpcap():
    """Reads a file: (packets, error), both as libpcap has them; None where it does not open it."""
    name = ctypes.util.find_library("pcap")
    if name is None:
        pytest.skip("no libpcap")
    library = ctypes.CDLL(name)
    library.pcap_open_offline_with_tstamp_precision.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p

    def read(path):
        error = ctypes.create_string_buffer(256)
        handle = library.pcap_open_offline_with_tstamp_precision(os.fsencode(path), 1, error)
        if not handle:
            return None
        with open(path, "rb") as file:
            magic = file.read(4)
        unit = 0 if magic == b"\n\r\r\n" else 1 if b"\x3c" in magic else 1000
        handle = ctypes.c_void_p(handle)
        header, data, packets = ctypes.POINTER(PacketHeader)(), ctypes.c_void_p(), []
        while (code := library.pcap_next_ex(handle, ctypes.byref(header), ctypes.byref(data))) == 1:
            found = header.contents
            seconds, fraction = found.seconds, found.fraction
            if unit:        # classic pcap, whose stamps libpcap 1.10 takes as signed
                seconds, fraction = seconds & 0xffffffff, (fraction // unit & 0xffffffff) * unit
            packets.append((seconds * 10**9 + fraction, ctypes.string_at(data, found.caplen), max(found.wirelen, found.caplen)))
        reason = library.pcap_geterr(handle).decode() if code == -1 else None
        library.pcap_close(handle)
        return packets, reason
    return read


def captures_of(corpus):
    return [path for path in sorted((corpus / "pcaps").rglob("*")) if path.is_file() and path.suffix in (".pcap", ".pcapng", ".cap", ".1", ".3")]


def test_against_libpcap(corpus, libpcap):
    """Every packet of every capture of the corpus: stamp, bytes and length. libpcap stops at a second interface of another
    link type or snaplen, and so does a source that is told to."""
    compared = 0
    for path in captures_of(corpus):
        with FileSource(path) as source:
            source.require_uniform()
            packets = [packet[:3] for packet in source.read()]
            damage = source.damage
        theirs = libpcap(path)
        if theirs is None:
            assert damage or path.stem in ("test002", "test017"), path      # valid, but without an interface
            continue
        expected, reason = theirs
        assert (reason is None) == (damage is None), (path, reason, damage)
        if reason and "different" in reason:
            assert "libpcap stops" in damage[1], (path, reason, damage)
        assert packets == expected, path
        compared += len(packets)
    assert compared > 100_000


def test_against_dpkt(corpus):
    """The bytes of every capture that dpkt reads. It does not apply the snaplen of the file header, and passes over the simple
    packets of pcapng."""
    compared = 0
    for path in captures_of(corpus):
        data = path.read_bytes()
        try:
            theirs = [frame for _, frame in dpkt.pcap.UniversalReader(io.BytesIO(data))]
        except (ValueError, dpkt.Error, struct.error, NotImplementedError, IndexError):
            continue
        with FileSource(path) as source:
            ours = [packet[1] for packet in source.read()]
            if source.damage and "version" in source.damage[1]:     # dpkt reads on
                continue
        if data[:4] == b"\n\r\r\n":
            assert set(theirs) <= set(ours), path
        else:
            snaplen, = struct.unpack(("<" if data[0] in (0xd4, 0x4d) else ">") + "I", data[16:20])
            assert [frame[:snaplen or None] for frame in theirs] == ours, path
        compared += 1
    assert compared > 1500
