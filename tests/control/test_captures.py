"""Captures: which files are meant, and what streams of them give."""
from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import threading

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.control import bpf, captures
from fastpath.control.bpf import FilterError, compile_filter
from fastpath.control.captures import Capture, CaptureError, expand, open_captures
from fastpath.dataplane.rx import Status

HEADER = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)


def record(data):
    return struct.pack("<IIII", 1, 0, len(data), len(data)) + data


PLAIN = HEADER + b"".join(record(bytes([i]) * 60) for i in range(50))
PCAPNG = (struct.pack("<IIIHHqI", 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, -1, 28)
          + b"".join(struct.pack("<IIHHII", 1, 20, linktype, 0, 0, 20) for linktype in (1, 113))
          + b"".join(struct.pack("<IIIIIII", 6, 32 + 16, number, 0, 1, 16, 16)
                     + ethertype.rjust(at, b"\0").ljust(16, b"\0") + struct.pack("<I", 32 + 16)
                     for number, at, ethertype in [(0, 14, b"\x08\6"), (1, 16, b"\x08\6"), (1, 14, b"\x08\6")]))


def read(capture):
    packets = capture.source.read()
    while capture.more():
        packets += capture.source.read()
    return packets


def write(path, data):
    path.write_bytes(data)
    return str(path)


@pytest.fixture
def plain(tmp_path):
    with Capture(write(tmp_path / "plain.pcap", PLAIN)) as capture:
        packets = read(capture)
        assert len(packets) == 50
        assert capture.damage is None
        assert capture.bytes_done == capture.bytes_total == len(PLAIN)
    return packets


# ---- which files ----

@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "b.pcap", PLAIN)
    write(tmp_path / "a.pcapng", PCAPNG)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write(tmp_path / "deep" / "c.gz", gzip.compress(PLAIN))
    write(tmp_path / "deep" / "er" / "d", zstandard.compress(PLAIN))
    write(tmp_path / "notes.txt", b"no capture")
    write(tmp_path / "notes.gz", gzip.compress(b"no capture"))
    write(tmp_path / "broken.gz", b"\x1f\x8bno gzip")
    write(tmp_path / "empty.pcap", b"")
    (tmp_path / "nothing").mkdir()
    return tmp_path


def test_folder(folder):
    """Every capture below it, sorted; nothing else."""
    expected = [str(folder / name) for name in ("a.pcapng", "b.pcap", "deep/c.gz", "deep/er/d")]
    assert expand([folder]) == expected
    assert [len(read(capture)) for capture in open_captures([folder])] == [3, 50, 50, 50]


def test_names_and_globs(folder):
    b = str(folder / "b.pcap")
    assert expand([b, "-", b, str(folder / "*.pcapng")]) == [b, "-", b, str(folder / "a.pcapng")]
    assert expand([str(folder / "**" / "c*")]) == [str(folder / "deep" / "c.gz")]
    odd = write(folder / "[odd].pcap", PLAIN)
    assert expand([odd]) == [odd]
    assert expand([str(folder / "notes.txt")]) == [str(folder / "notes.txt")]


@pytest.mark.parametrize(("name", "what"), [
    ("missing.pcap", "no such file or folder"), ("*.none", "no file matches"), ("nothing", "no captures in this folder"),
    ("empty.pcap", "the file is empty"),
])
def test_what_cannot_be_read_is_named(folder, name, what):
    with pytest.raises(CaptureError, match=f"{name.replace('*', '[*]')}: {what}"):
        open_captures([str(folder / "b.pcap"), str(folder / name)])


def test_captures_know_their_size(folder):
    found = open_captures([folder])
    assert len(found) == 4
    assert found.bytes_total == sum(os.path.getsize(path) for path in found.paths)
    for capture in found:
        assert capture.path in found.paths
        read(capture)
        assert capture.bytes_done == capture.bytes_total


def test_each_capture_is_closed_when_the_next_is_asked_for(folder):
    iterator = iter(open_captures([folder]))
    first = next(iterator)
    assert first.source.status == Status.MORE
    next(iterator)
    assert first.source.status == Status.END


def test_a_file_that_is_no_capture_is_damaged(tmp_path):
    with Capture(write(tmp_path / "notes.txt", b"no capture")) as capture:
        assert read(capture) == []
        assert capture.damage == (0, "neither pcap nor pcapng")


# ---- compressed ----

def skippable(data):
    return struct.pack("<II", 0x184d2a53, len(data)) + data


def zstd(data):
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


COMPRESSED = {
    "gzip": gzip.compress(PLAIN),
    "members": gzip.compress(PLAIN[:110]) + gzip.compress(b"") + gzip.compress(PLAIN[110:]) + bytes(1000),
    "zstd": zstd(PLAIN),
    "frames": skippable(b"skip me") + zstd(PLAIN[:110]) + skippable(b"") + zstd(b"") + zstandard.compress(PLAIN[110:]) + skippable(b""),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed(tmp_path, plain, name):
    data = COMPRESSED[name]
    with Capture(write(tmp_path / name, data)) as capture:
        assert read(capture) == plain
        assert capture.damage is None
        assert capture.bytes_done == capture.bytes_total == len(data)


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_and_cut(tmp_path, plain, name):
    """Whatever is cut: packets from the start, and damage, but where what is left is whole."""
    data = COMPRESSED[name]
    given_before = 0
    for end in range(4, len(data)):
        with Capture(write(tmp_path / name, data[:end])) as capture:
            packets = read(capture)
            assert packets == plain[:len(packets)]
            assert len(packets) >= given_before
            given_before = len(packets)
            if len(packets) < 50:
                assert capture.damage is not None
    assert given_before == 50


def test_damaged_gzip_gives_what_it_holds(tmp_path, plain):
    """A wrong checksum is known at the end alone: every packet is there. The reason is zlib's."""
    data = bytearray(COMPRESSED["gzip"])
    data[-5] ^= 1
    with Capture(write(tmp_path / "crc.gz", data)) as capture:
        assert read(capture) == plain
        assert capture.damage[0] == len(PLAIN)
        assert "stream around the capture is damaged" in capture.damage[1]
        assert "incorrect data check" in capture.damage[1]


def test_damage_in_the_middle_of_gzip(tmp_path):
    """Everything that decompresses before the damage is given, even of the same read."""
    noise = bytes(os.urandom(40_000))
    records = [record(noise[i:i + 1000]) for i in range(0, 40_000, 1000)]
    whole = gzip.compress(HEADER + b"".join(records[:20]), 1)
    data = whole[:-8] + b"\xff" * 100
    with Capture(write(tmp_path / "middle.gz", data)) as capture:
        assert len(read(capture)) == 20
        assert capture.damage is not None
    with Capture(write(tmp_path / "garbage.gz", whole + b"garbage")) as capture:
        assert len(read(capture)) == 20
        assert capture.damage[0] == len(HEADER) + 20 * 1016


def test_damaged_zstd_gives_what_it_holds(tmp_path):
    frames = [zstandard.compress(record(os.urandom(5000))) for _ in range(10)]
    data = zstandard.compress(HEADER) + b"".join(frames[:6]) + b"garbage" + b"".join(frames[6:])
    with Capture(write(tmp_path / "damaged.zst", data)) as capture:
        assert len(read(capture)) == 6
        assert capture.damage is not None


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(COMPRESSED)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_compression_never_raises(tmp_path_factory, name, changes):
    data = bytearray(COMPRESSED[name])
    for at, value in changes:
        data[2 + at % (len(data) - 2)] = value
    with Capture(write(tmp_path_factory.mktemp("damaged") / name, bytes(data))) as capture:
        packets = read(capture)
        assert capture.damage or len(packets) <= 50


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_what_expands_a_thousandfold_is_read_in_chunks(tmp_path, compress):
    """60 MiB of the same packets out of some 100 KiB: never more than a few chunks at a time."""
    path = write(tmp_path / "bomb", compress(HEADER + record(bytes(60_000)) * 1000))
    peaks = []
    with Capture(path) as capture:
        count = len(capture.source.read())
        while capture.more():
            peaks.append(capture.source.offset)
            count += sum(1 for _ in capture.source.read())
        assert capture.damage is None
    assert count == 1000
    steps = [b - a for a, b in zip(peaks, peaks[1:], strict=False)]
    assert len(steps) > 5
    assert max(steps) <= 4 * captures.CHUNK_OUT


def test_closing_early_ends_the_reader(tmp_path):
    path = write(tmp_path / "long.gz", gzip.compress(HEADER + record(bytes(60_000)) * 1000))
    before = threading.active_count()
    capture = Capture(path)
    capture.more()
    assert threading.active_count() == before + 1
    capture.close()
    capture.close()
    assert threading.active_count() == before


# ---- pipes ----

def test_standard_input(plain):
    script = ("from fastpath.control.captures import open_captures\n"
              "for capture in open_captures(['-']):\n"
              "    count = len(capture.source.read())\n"
              "    while capture.more(): count += len(capture.source.read())\n"
              "    print(count, capture.damage, capture.bytes_total)")
    for data, said in [(PLAIN, "50 None None"), (COMPRESSED["gzip"], "50 None None"),
                       (PLAIN[:-1], f"49 ({len(PLAIN) - 76}, 'ends inside a packet record') None")]:
        done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert done.stdout.decode().strip() == said
    done = subprocess.run([sys.executable, "-c", script], input=b"", capture_output=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert b"CaptureError: standard input: empty" in done.stderr


def test_a_pipe_gives_packets_as_they_come(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def talk():
        with open(path, "wb", buffering=0) as file:
            file.write(PLAIN[:-76])
            half.wait(10)
            file.write(PLAIN[-76:])

    half = threading.Event()
    speaker = threading.Thread(target=talk)
    speaker.start()
    with Capture(str(path)) as capture:
        packets = []
        while len(packets) < 49:
            assert capture.more()
            packets += capture.source.read()
        half.set()
        while capture.more():
            packets += capture.source.read()
        assert len(packets) == 50
        assert capture.damage is None
    speaker.join()


# ---- filters ----

def test_filter(tmp_path):
    with Capture(write(tmp_path / "made.pcap", PLAIN), bpf="ether[0] < 7") as capture:
        assert [packet[1][0] for packet in read(capture)] == list(range(7))
        assert capture.source.filtered == 43
    with Capture(write(tmp_path / "made.gz", COMPRESSED["gzip"]), bpf="ether[0] < 7") as capture:
        assert len(read(capture)) == 7


def test_filter_of_several_link_types(tmp_path):
    """Ethernet and Linux cooked captures have the protocol at different places."""
    with Capture(write(tmp_path / "made.pcapng", PCAPNG), bpf="arp") as capture:
        assert [packet[3] for packet in read(capture)] == [1, 113]
        assert capture.source.filtered == 1


def test_a_filter_is_a_text(tmp_path):
    with pytest.raises(TypeError, match="bpf must be"):
        open_captures([str(tmp_path)], bpf=5)


def test_wrong_filters(tmp_path, monkeypatch):
    with Capture(write(tmp_path / "made.pcap", PLAIN), bpf="tcp prt 80") as capture:
        assert capture.source.read() == []
        with pytest.raises(FilterError, match="filter 'tcp prt 80', link type 1: .*syntax error"):
            capture.more()
    with pytest.raises(FilterError, match="NUL"):
        compile_filter("tcp\0", 1)
    with pytest.raises(FilterError, match="link type 65000"):
        compile_filter("tcp port 80", 65000)
    monkeypatch.setattr(bpf.ctypes.util, "find_library", lambda name: "libno-such-pcap.so")
    bpf._libpcap.cache_clear()
    with pytest.raises(FilterError, match=r"apt install libpcap0\.8"):
        compile_filter("tcp", 1)
