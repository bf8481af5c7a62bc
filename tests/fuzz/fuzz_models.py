"""A file that may be a model, in pieces: whatever the bytes, nothing raises, the findings are the same however they are cut, and all memory is
given back."""
from __future__ import annotations

import gzip
import pickle
import sys

import made_models as made
from fuzz import harness

from fastpath.dataplane.applayer.models import examine


def seeds() -> list[bytes]:
    """A byte for the size of the pieces, then a file: one of each walk, those with members stored and deflated, with and without lengths."""
    files = [*(pickle.dumps({"a": [1, made.Runs(), "x" * 300], "b": (2.5, b"y")}, protocol) for protocol in range(6)), made.safetensors(),
             made.safetensors(metadata={"format": "pt"}, extra=b"x"), made.gguf(), made.gguf(b"{{ x.__class__ }}", version=2), made.torch_zip(),
             made.torch_zip(pickle.dumps(made.Runs()), method=8), made.streamed_zip([("m/data.pkl", pickle.dumps(made.Runs())), ("m/x", bytes(50))]),
             made.streamed_zip([("m/data.pkl", pickle.dumps([1])), ("m/x", bytes(50))], 0), made.linked_zip(), made.keras_zip("Lambda"),
             made.keras_hdf5("Lambda"), made.onnx(b"../x"), made.savedmodel(b"PyFunc"), made.npy(), made.npy("'|O'", pickle.dumps(made.Runs())),
             b"ftrt" + bytes(20), made.tar([("a.pkl", pickle.dumps(made.Runs())), ("../" * 50, b"x"), ("a/b", "../../c")]),
             gzip.compress(made.tar([("m.ckpt", made.torch_zip(method=8)), ("n.gguf", made.gguf())]), mtime=0), gzip.compress(made.npy(), mtime=0) * 2]
    return [bytes([size]) + file for file in files for size in (0, 1, 7)]


def target(data: bytes) -> None:
    if not data:
        return
    size, file = data[0] % 64 or 1 << 16, data[1:]
    found = examine([file])
    assert found == examine(file[at:at + size] for at in range(0, len(file), size))
    assert len(found["unsafe"]) <= 16 and all(len(one) <= 126 and one.isascii() and one.isprintable() for one in found["unsafe"])
    examine([file], whole=False)
    examine([file], memory=1 << 12)


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
