"""Captures: which files a command line means, and one source after the other for the engine to read.

    for capture in open_captures(["traffic.pcap", "folder/", "-"], bpf="tcp port 80"):
        read bursts from capture.source until it has no more; while capture.more(): go on reading
        capture.damage      # None, or (offset, reason)

Plain files are mapped. Compressed ones and standard input are streamed: a thread reads and decompresses ahead of the engine
into a queue of a few chunks, so that a capture of any size needs no more memory than a small one.
"""
from __future__ import annotations

import glob
import os
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from queue import Empty, Full, Queue
from typing import BinaryIO

import zstandard

from fastpath.control.bpf import compile_filter
from fastpath.dataplane.rx import FileSource, Source, Status, StreamSource

CHUNK = 1 << 20             # bytes read at a time
CHUNK_OUT = 4 << 20         # bytes decompressed at a time, at most
CHUNKS_AHEAD = 2            # in the queue
SNIFF = 1 << 16             # compressed bytes that tell what a file of a folder holds

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
PCAP = {bytes.fromhex(magic) for magic in ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "34cdb2a1", "a1b2cd34")}
PCAPNG = b"\x0a\x0d\x0d\x0a"


class CaptureError(OSError):
    """A capture that cannot be opened at all; the text names it."""


class _Damage(Exception):
    """What compressed bytes are damaged by, after all that could be had of them."""


# ---- which files ----

def _is_zstd(head: bytes) -> bool:
    """A frame, or a skippable frame before it (RFC 8878, sections 3.1.1 and 3.1.2)."""
    return head[:4] == ZSTD or (len(head) >= 4 and head[0] & 0xf0 == 0x50 and head[1:4] == b"\x2a\x4d\x18")


def _is_capture(path: Path) -> bool:
    """Whether a file holds pcap or pcapng, plain or compressed, by its first bytes."""
    try:
        file = open(path, "rb")
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror}") from None
    with file:
        head = file.read(4)
        if head[:2] == GZIP or _is_zstd(head):
            try:
                head = next(_pieces(BytesIO(head + file.read(SNIFF)), head), b"")[:4]
            except _Damage:
                return False
    return head in PCAP or head == PCAPNG


def expand(arguments: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The capture files that names, globs and folders mean, in order; `-` is standard input.

    Of folders, at any depth, sorted: the files that hold captures by their first bytes; others are passed over.
    CaptureError names what is missing, empty or without captures.
    """
    found: list[str] = []
    for argument in map(os.fspath, arguments):
        if argument == "-":
            found.append(argument)
            continue
        names = [argument]
        if not os.path.lexists(argument) and glob.has_magic(argument):
            names = sorted(glob.glob(argument, recursive=True))
            if not names:
                raise CaptureError(f"{argument}: no file matches")
        for name in names:
            path = Path(name)
            if path.is_dir():
                inside = sorted(str(file) for file in path.rglob("*") if file.is_file() and _is_capture(file))
                if not inside:
                    raise CaptureError(f"{name}: no captures in this folder")
                found += inside
            elif not path.exists():
                raise CaptureError(f"{name}: no such file or folder")
            elif not os.access(path, os.R_OK):
                raise CaptureError(f"{name}: permission denied")
            elif path.is_file() and path.stat().st_size == 0:
                raise CaptureError(f"{name}: the file is empty")
            else:
                found.append(name)
    return found


# ---- decompression ----

def _salvage(inflate, piece: bytes) -> Iterator[bytes]:
    """What a damaged piece of deflate still holds: halves that decompress are taken, until one byte does not."""
    while piece:
        half = piece[:max(1, len(piece) // 2)]
        trial = inflate.copy()
        try:
            data = trial.decompress(half)
        except zlib.error:
            if len(half) == 1:
                return
            piece = half
            continue
        yield data
        inflate, piece = trial, piece[len(half):]


def _gzip_pieces(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a gzip file of one or more members (RFC 1952); zeros may pad its end."""
    member = None       # being decompressed; None between two
    piece = b""
    full = False        # more output waits inside the member
    while True:
        if not piece and not full and not (piece := file.read(CHUNK)):
            break
        if member is None:
            piece = piece.lstrip(b"\0")
            if not piece:
                continue
            member = zlib.decompressobj(wbits=31)
        before = member.copy()
        try:
            data = member.decompress(piece, CHUNK_OUT)
        except zlib.error as error:
            yield from _salvage(before, piece)
            raise _Damage(str(error)) from None
        if data:
            yield data
        full = len(data) == CHUNK_OUT and not member.eof
        piece = member.unconsumed_tail
        if member.eof:
            piece = member.unused_data
            member = None
    if member is not None:
        raise _Damage("the gzip stream is cut")


def _zstd_units(file: BinaryIO) -> Iterator[bytes]:
    """What a zstd file consists of, without the skippable frames: headers of frames, and blocks, of which each decompresses to
    128 KiB at most. The last unit may be cut."""
    data, at = b"", 0

    def take(size: int) -> bytes:
        nonlocal data, at
        if at + size > len(data):
            data, at = data[at:], 0
            while len(data) < size and (more := file.read(CHUNK)):
                data += more
        unit = data[at:at + size]
        at += len(unit)
        return unit

    while magic := take(4):
        if magic[:1] != ZSTD[:1] and _is_zstd(magic):
            left = int.from_bytes(take(4), "little")
            while left and (skipped := take(min(left, CHUNK))):
                left -= len(skipped)
            continue
        head = take(1)
        descriptor = head[0] if head else 0
        single = descriptor >> 5 & 1
        head += take(1 - single + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6])
        yield magic + head
        while len(head := take(3)) == 3:
            block = int.from_bytes(head, "little")
            repeated = block >> 1 & 3 == 1
            yield head + take(1 if repeated else block >> 3)
            if block & 1:
                yield take(4 if descriptor & 4 else 0)      # the checksum
                break
        else:
            yield head


def _zstd_pieces(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a zstd file of one or more frames (RFC 8878)."""
    decompressor = zstandard.ZstdDecompressor()
    frame = None
    gathered: list[bytes] = []
    size = 0
    why = ""
    for unit in filter(None, _zstd_units(file)):
        frame = frame or decompressor.decompressobj()
        try:
            data = frame.decompress(unit)
        except zstandard.ZstdError as error:
            why = str(error)
            break
        if frame.eof:
            frame = None
        gathered.append(data)
        size += len(data)
        if size >= CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)
    if why or frame is not None:
        raise _Damage(why or "the zstd stream is cut")


def _plain_pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def _pieces(file: BinaryIO, head: bytes) -> Iterator[bytes]:
    """What a file holds, decompressed as its first bytes say; _Damage after the last piece that could be had."""
    if head[:2] == GZIP:
        return _gzip_pieces(file)
    if _is_zstd(head):
        return _zstd_pieces(file)
    return _plain_pieces(file)


class _Ahead:
    """Reads from a file whose first bytes have been looked at, and counts what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.head = b""
        while len(self.head) < 4 and (more := file.read(4 - len(self.head))):
            self.head += more
        self.waiting = self.head
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self.waiting
        if data:
            self.waiting = b""
        else:
            # a pipe gives what it has, so that packets do not wait for a full chunk
            data = self.file.read1(size) if hasattr(self.file, "read1") else self.file.read(size)
        self.count += len(data)
        return data


class _Reader(threading.Thread):
    """Decompresses ahead of the engine: (chunk, last, what is damaged) into a queue of CHUNKS_AHEAD."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__(name=f"read {name}", daemon=True)
        self.ahead = _Ahead(file)
        self.queue: Queue[tuple[bytes, bool, str]] = Queue(CHUNKS_AHEAD)
        self.stopped = threading.Event()

    def put(self, chunk: bytes, last: bool = False, damage: str = "") -> bool:
        while not self.stopped.is_set():
            try:
                self.queue.put((chunk, last, damage), timeout=0.1)
            except Full:
                continue
            return True
        return False

    def run(self) -> None:
        try:
            for piece in _pieces(self.ahead, self.ahead.head):
                if piece and not self.put(piece):
                    return
        except (_Damage, OSError, MemoryError) as error:
            self.put(b"", True, str(error) or "out of memory")
        else:
            self.put(b"", True)

    def stop(self) -> None:
        """Ends the thread, but for one that waits for a pipe that says nothing."""
        self.stopped.set()
        try:
            while True:
                self.queue.get_nowait()
        except Empty:
            self.join(timeout=1.0)


# ---- captures ----

class Capture:
    """One capture: `source` for the engine, fed by `more`. `path` is as it was named, `-` for standard input.

    CaptureError, naming the path, where it cannot be opened or is empty.
    """

    def __init__(self, path: str, bpf: str | None = None) -> None:
        self.path = path
        self.bpf = bpf
        self.source: Source
        #: bytes of the file, as it lies on disk; None where that is not known
        self.bytes_total: int | None = None
        self._twins: list[Source] = []
        self._reader: _Reader | None = None
        self._file: BinaryIO | None = None
        self._why = ""
        try:
            self._open()
        except ValueError as error:
            raise CaptureError(str(error)) from None
        except CaptureError:
            raise
        except OSError as error:
            raise CaptureError(f"{path}: {error.strerror or error}") from None
        if bpf:
            self.source.require_filter()

    def _open(self) -> None:
        if self.path == "-":
            self._stream(sys.stdin.buffer)
            return
        if os.path.isfile(self.path):
            self.bytes_total = os.path.getsize(self.path)
            with open(self.path, "rb") as file:
                head = file.read(4)
            if head[:2] != GZIP and not _is_zstd(head):
                self.source = FileSource(self.path)
                return
        self._file = open(self.path, "rb")
        self._stream(self._file)

    def _stream(self, file: BinaryIO) -> None:
        self._reader = _Reader(file, self.path)
        if not self._reader.ahead.head:
            raise CaptureError(f"{'standard input' if self.path == '-' else self.path}: empty")
        self.source = StreamSource()
        self._reader.start()

    def more(self) -> bool:
        """Gives the source what it waits for: the next chunk, or the filter for a link type. False where it waits for nothing:
        the capture is read to its end or its damage (or is still being read).

        The engine must be done with the packets of earlier bursts. FilterError where the filter does not fit the link type.
        """
        if self.source.status != Status.NEED:
            return False
        linktype = self.source.wants
        sources = (self.source, *self._twins)
        if linktype is not None:
            program = compile_filter(self.bpf, linktype)
            for source in sources:
                source.set_filter(linktype, program)
        else:
            chunk, last, self._why = self._reader.queue.get()
            for source in sources:
                source.feed(chunk, last=last, damaged=bool(self._why))
        return True

    def twin(self) -> Source:
        """A second source of the same packets, for another engine that goes step by step with the first: the capture is read and
        decompressed once. To be asked for before the first packet; `more` feeds both when both wait."""
        source = FileSource(self.path) if self._reader is None else StreamSource()
        if self.bpf:
            source.require_filter()
        self._twins.append(source)
        return source

    @property
    def damage(self) -> tuple[int, str] | None:
        """None, or where the capture is damaged and how: (byte offset in the uncompressed capture, reason)."""
        damage = self.source.damage
        if damage and self._why:
            return damage[0], f"{damage[1]} ({self._why})"
        return damage

    @property
    def bytes_done(self) -> int:
        """Of `bytes_total`: what has been read from the file."""
        return self._reader.ahead.count if self._reader else self.source.offset

    def close(self) -> None:
        """Gives back the file and what the source borrows. May be called twice."""
        for source in (self.source, *self._twins):
            source.close()
        if self._reader and self._reader.is_alive():
            self._reader.stop()
        if self._file and not self._reader.is_alive():     # else it still waits inside a pipe's read, which holds the file
            self._file.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Captures:
    """Iterates over captures, each open until the next is asked for. `paths`: the files; `bytes_total`: their size, with
    standard input and pipes as nothing."""

    def __init__(self, paths: list[str], bpf: str | None) -> None:
        self.paths = paths
        self.bpf = bpf
        self.bytes_total = sum(os.path.getsize(path) for path in paths if path != "-")

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Capture]:
        for path in self.paths:
            with Capture(path, self.bpf) as capture:
                yield capture


def open_captures(arguments: Iterable[str | os.PathLike[str]], bpf: str | None = None) -> Captures:
    """The captures that names, globs, folders and `-` mean, through an optional filter expression (pcap-filter(7)).

    CaptureError names what is missing, empty or without captures, before the first packet is read.
    """
    if bpf is not None and not isinstance(bpf, str):
        raise TypeError(f"bpf must be a filter expression, not {type(bpf).__name__}")
    return Captures(expand(arguments), bpf)
