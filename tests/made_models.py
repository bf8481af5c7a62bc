"""Model files, well-formed and not, and captures in which they travel."""
from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Sequence

from captures import tcp

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


class Runs:
    """What a pickle of it does when it is loaded."""

    def __init__(self, call=os.system, *arguments):
        self.call, self.arguments = call, arguments or ("id",)

    def __reduce__(self):
        return self.call, self.arguments


def safetensors(tensors: dict[str, tuple[str, list[int], int]] | None = None, *, metadata: dict[str, str] | None = None, extra: bytes = b"") -> bytes:
    """tensors: name -> (dtype, shape, bytes)."""
    head: dict[str, object] = {"__metadata__": metadata} if metadata is not None else {}
    at = 0
    for name, (dtype, shape, size) in (tensors if tensors is not None else {"w": ("F32", [2, 3], 24)}).items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at) + extra


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf(template: bytes = b"{% for m in messages %}{{ m['content'] }}{% endfor %}", *, tensors: int = 1, version: int = 3, extra: bytes = bytes(64)) -> bytes:
    pairs = [(b"general.architecture", struct.pack("<I", 8) + _string(b"llama")), (b"tokenizer.chat_template", struct.pack("<I", 8) + _string(template)),
             (b"llama.context_length", struct.pack("<II", 4, 2048)),
             (b"tokenizer.ggml.tokens", struct.pack("<IIQ", 9, 8, 2) + _string(b"<s>") + _string(b"a")),
             (b"tokenizer.ggml.scores", struct.pack("<IIQ", 9, 6, 2) + bytes(8))]
    made = b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(_string(key) + value for key, value in pairs)
    for number in range(tensors):
        made += _string(b"blk.%d" % number) + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    return made + extra


def torch_zip(data: bytes = pickle.dumps(OrderedDict(a=1), 2), *, method: int = zipfile.ZIP_STORED, more: Sequence[tuple[str, bytes]] = ()) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in (("model/data.pkl", data), ("model/byteorder", b"little"), ("model/data/0", bytes(range(256))), *more):
            archive.writestr(name, content)
    return out.getvalue()


class _Pipe(io.RawIOBase):
    """What cannot be gone back in: a ZIP written to it has the lengths of its members behind them."""

    def __init__(self) -> None:
        self.made = b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.made += bytes(data)
        return len(data)


def streamed_zip(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = _Pipe()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.made


def keras_zip(layer: str = "Dense") -> bytes:
    out = io.BytesIO()
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [{"class_name": layer, "config": {"name": "a"}}]}}
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    return out.getvalue()


def keras_hdf5(layer: str = "Dense") -> bytes:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": layer, "config": {}}]}}
    return b"\x89HDF\r\n\x1a\n" + bytes(40) + b"keras_version\x00" + bytes(8) + b"2.15.0" + b"model_config\x00" + json.dumps(config).encode() + bytes(64)


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = b""
    while value > 127:
        made += bytes([value & 127 | 128])
        value >>= 7
    return made + bytes([value])


def onnx(location: bytes = b"weights.bin", *, nodes: int = 2) -> bytes:
    tensor = _field(1, 3) + _field(1, 4) + _field(2, 1) + _field(8, b"w") + _field(13, _field(1, b"location") + _field(2, location))
    graph = b"".join(_field(1, _field(1, b"x") + _field(4, b"Add")) for _ in range(nodes)) + _field(2, b"g") + _field(5, tensor)
    return _field(1, 9) + _field(2, b"pytorch") + _field(3, b"2.1") + _field(7, graph) + _field(8, _field(2, 17))


def savedmodel(op: bytes = b"MatMul") -> bytes:
    graph = _field(1, _field(1, b"n") + _field(2, b"Const")) + _field(1, _field(1, b"m") + _field(2, op))
    meta = _field(1, _field(5, b"2.15.0") + _field(4, b"serve")) + _field(2, graph)
    return _field(1, 1) + _field(2, meta)


def npy(descr: str = "'<f4'", data: bytes = bytes(24)) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (2, 3), }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def tar(members: Sequence[tuple[str, bytes | str]], *, format: int = tarfile.PAX_FORMAT) -> bytes:
    """Of names and what they hold; a text is where a symbolic link leads."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=format) as made:
        for name, held in members:
            entry = tarfile.TarInfo(name)
            if isinstance(held, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, held
                made.addfile(entry)
            else:
                entry.size = len(held)
                made.addfile(entry, io.BytesIO(held))
    return into.getvalue()


def transfer(turns: Sequence[tuple[bytes, bytes]], *, src: str = CLIENT, sport: int = 40000, dst: str = SERVER, dport: int = 80,
             size: int = 1400) -> list[bytes]:
    """A TCP session in which each pair is sent, there and back, in segments of `size` bytes."""
    ends = ((src, sport, dst, dport), (dst, dport, src, sport))
    seq = [1000, 5000]
    frames = [tcp(b"", *ends[0], flags=2, seq=999), tcp(b"", *ends[1], flags=0x12, seq=4999, ack=1000), tcp(b"", *ends[0], flags=0x10, seq=1000, ack=5000)]
    for pair in turns:
        for side, data in enumerate(pair):
            for at in range(0, len(data), size):
                frames.append(tcp(data[at:at + size], *ends[side], flags=0x18, seq=seq[side], ack=seq[1 - side]))
                seq[side] += len(data[at:at + size])
                frames.append(tcp(b"", *ends[1 - side], flags=0x10, seq=seq[1 - side], ack=seq[side]))
    frames.append(tcp(b"", *ends[0], flags=0x11, seq=seq[0], ack=seq[1]))
    frames.append(tcp(b"", *ends[1], flags=0x11, seq=seq[1], ack=seq[0] + 1))
    frames.append(tcp(b"", *ends[0], flags=0x10, seq=seq[0] + 1, ack=seq[1] + 1))
    return frames


def download(body: bytes, path: str = "/models/model.bin", host: str = "models.local", **options) -> list[bytes]:
    return transfer([(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)], **options)


def upload(body: bytes, path: str = "/models/model.bin", host: str = "models.local", method: str = "PUT", **options) -> list[bytes]:
    return transfer([(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body,
                      b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")], **options)


def linked_zip() -> bytes:
    """A torch archive with a symbolic link."""
    out = io.BytesIO(torch_zip())
    with zipfile.ZipFile(out, "a") as archive:
        link = zipfile.ZipInfo("model/data/1")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()
