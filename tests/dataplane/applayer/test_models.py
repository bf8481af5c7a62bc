"""Formats of models and what is wrong with them: each walk, whole, cut short at every byte, and in pieces of any size."""
from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import struct
import tarfile
import zipfile

import made_models as made
import pytest

from fastpath.dataplane.applayer.models import examine, formats

#: What a file is told to be: (file, format, findings).
FILES = {
    "safetensors": (made.safetensors(), "safetensors", []),
    "safetensors, empty": (made.safetensors({}), "safetensors", []),
    "safetensors, more behind": (made.safetensors(extra=b"x"), "safetensors", ["safetensors_length file"]),
    "safetensors, wrong size": (made.safetensors({"w": ("F32", [2, 3], 20)}), "safetensors",
                                ["safetensors_length tensor", "safetensors_length file"]),
    "safetensors, no json": (b"\x20\0\0\0\0\0\0\0" + b'{"a":[1,2}' + b" " * 40, "safetensors", ["safetensors_header json"]),
    "gguf": (made.gguf(), "gguf", []),
    "gguf, reaching": (made.gguf(b"{{ self.__init__.__globals__ }}"), "gguf", ["gguf_template __init__", "gguf_template __globals__"]),
    "gguf, filter": (made.gguf(b"{{ x | attr ('a') }}"), "gguf", ["gguf_template attr"]),
    "gguf, escaped": (made.gguf(b"{{ x['\\x5f\\x5fclass'] }}"), "gguf", ["gguf_template x5f", "gguf_template x5fclass"]),
    "gguf, harmless words": (made.gguf(b"{{ attr }} {% set a_b__c = 1 %} {{ x.attr }}"), "gguf", []),
    "gguf, version": (made.gguf(version=77), "gguf", ["gguf_header version"]),
    "gguf, count": (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 1) + bytes(30), "gguf", ["gguf_header count"]),
    "gguf, length": (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60) + bytes(30), "gguf", ["gguf_header length"]),
    "gguf, cut": (made.gguf()[:100], "gguf", ["gguf_header truncated"]),
    "gguf, big-endian": (b"GGUF" + struct.pack(">IQQQ", 3, 0, 1, 20) + b"general.architecture" + struct.pack(">IQ", 8, 3) + b"mpt", "gguf", []),
    "torch": (made.torch_zip(), "pytorch", []),
    "torch, deflated": (made.torch_zip(pickle.dumps(made.Runs(), 2), method=8), "pytorch", ["pickle_import posix.system"]),
    "torch, streamed": (made.streamed_zip([("m/data.pkl", pickle.dumps(made.Runs())), ("m/x", b"PK\x07\x08" * 9)]), "pytorch", ["pickle_import posix.system"]),
    "torch, streamed and stored": (made.streamed_zip([("m/x", b"PK\x07\x08" * 9), ("m/data.pkl", pickle.dumps(made.Runs()))], 0), "pytorch",
                                   ["pickle_import posix.system"]),
    "torch, of old": (b"".join(pickle.dumps(one, 2) for one in (0x1950a86a20f9469cfc6c, 1001, {"little_endian": True}, made.Runs(), ["0"])) + bytes(64), "pickle",
                      ["pickle_import posix.system"]),
    "step up": (made.torch_zip(more=[("../x", b"1")]), "pytorch", ["zip_path ../x"]),
    "drive": (made.torch_zip(more=[("C:\\x", b"1")]), "pytorch", ["zip_path C:\\x"]),
    "link": (made.linked_zip(), "pytorch", ["zip_symlink model/data/1"]),
    "mismatch": (made.torch_zip().replace(b"model/data/0PK\x05", b"model/data/9PK\x05"), "pytorch", ["zip_mismatch"]),
    "keras": (made.keras_zip(), "keras", []),
    "keras, lambda": (made.keras_zip("Lambda"), "keras", ["keras_lambda Lambda"]),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "hdf5", []),
    "keras hdf5": (made.keras_hdf5(), "keras_hdf5", []),
    "keras hdf5, lambda": (made.keras_hdf5("Lambda"), "keras_hdf5", ["keras_lambda Lambda"]),
    "keras hdf5, lambda in escapes": (made.keras_hdf5("Lambda").replace(b'"Lambda"', b'"\\u004cambda"'), "keras_hdf5", ["keras_lambda Lambda"]),
    "onnx": (made.onnx(), "onnx", []),
    "onnx, outside": (made.onnx(b"/etc/passwd"), "onnx", ["onnx_external_path /etc/passwd"]),
    "savedmodel": (made.savedmodel(), "savedmodel", []),
    "savedmodel, files": (made.savedmodel(b"ReadFile"), "savedmodel", ["tensorflow_op ReadFile"]),
    "npy": (made.npy(), "npy", []),
    "npy of objects": (made.npy("'|O'", pickle.dumps(made.Runs())), "npy", ["pickle_import posix.system"]),
    "npz": (made.streamed_zip([("a.npy", made.npy()), ("b.npy", made.npy("[('x', '|O')]", pickle.dumps(made.Runs())))]), "npz", ["pickle_import posix.system"]),
    "tar": (made.tar([("m/config.json", b"{}"), ("m/data.pkl", pickle.dumps(made.Runs())), ("m/model.safetensors", made.safetensors())]), "safetensors",
            ["pickle_import posix.system"]),
    "tar of GNU": (made.tar([("m/" * 80 + "weights.gguf", made.gguf())], format=tarfile.GNU_FORMAT), "gguf", []),
    "tar that leads out": (made.tar([("../" + "m/" * 80 + "x.npy", made.npy()), ("a/b", "../c"), ("a/d", "../../e")]), "npy",
                           ["tar_path " + ("../" + "m/" * 80)[:117], "tar_path ../../e"]),
    "tar, broken": (made.tar([("a.npy", made.npy()), ("b", bytes(600))]).replace(b"b" + bytes(99), b"c" + bytes(99)), "npy", ["tar_malformed checksum"]),
    "tar, a pickle of text": (made.tar([("a.npy", made.npy()), ("notes", b"cos is a function\nof angles")]), "npy", []),
    "tar with a model of torch": (made.tar([("model.ckpt", made.torch_zip(pickle.dumps(made.Runs(), 2), method=8)), ("model_config.yaml", b"a: 1")]), "pytorch",
                                  ["pickle_import posix.system"]),
    "layer": (gzip.compress(made.tar([("opt/tokenizer.pkl", pickle.dumps(made.Runs()))])), "pickle", ["pickle_import posix.system"]),
    "layer of several streams": (gzip.compress(made.tar([("a", b"x" * 900), ("b.onnx", made.onnx())])[:1536]) + gzip.compress(b"")
                                 + gzip.compress(made.tar([("a", b"x" * 900), ("b.onnx", made.onnx())])[1536:]) + bytes(7), "onnx", []),
    "gzip": (gzip.compress(pickle.dumps(made.Runs())), "pickle", ["pickle_import posix.system"]),
    "gzip, cut": (gzip.compress(made.safetensors(), 0)[:-20], "safetensors", ["gzip_malformed truncated"]),
    "gzip, broken": (gzip.compress(made.gguf(extra=random.Random(1).randbytes(9000)), 0)[:4000] + b"\xff" * 6000, "gguf", ["gzip_malformed deflate"]),
    "tensorrt": (b"ftrt" + bytes(60), "tensorrt", []),
    "tensorrt behind a header": (b"\x11\0\0\0" + b'{"task":"detect"}' + b"ftrt" + bytes(60), "tensorrt", []),
    "tensorrt behind a long one": ((4000).to_bytes(4, "little") + b'{"names":"' + b"n" * 3988 + b'"}' + b"ftrt" + bytes(60), "tensorrt", []),
    "archive": (made.streamed_zip([("x.pkl", pickle.dumps(made.Runs()))]), "archive", ["pickle_import posix.system"]),
}
#: What is no model.
OTHERS = [b"", b"P", b"PK\x03\x04", made.streamed_zip([("a.txt", b"text"), ("config.json", b'{"class_name": "Lambda"}')]), b"(function () { return 1; })();" * 3,
          gzip.compress(b"<html>" * 99), made.tar([("a.html", b"<html>"), ("../b", b"")]), gzip.compress(made.tar([("a", b"cos of angles")]))[:90],
          b"const x = 3;\nlet y = 4;\n" * 3, b"cat\ndog\npig\n(cow\n" * 9, b'{"class_name": "Lambda"}', b"<!doctype html>", b"\x80\x02" + b"\xff" * 40,
          b"\x08\x01\x12\x03abc\x3a\x01a", b"\x80\x05hello, I am a text", bytes(100), b"\x11\0\0\0" + b'{"task":"detect"}' + b"ftrs" + bytes(60), b"\x11\0\0\0" + b'{"task":"detect"}' + b"ftr",
          b"\0\0\x20\0" + b'{"task":"detect"}' + bytes(60), b"\x89PNG\r\n\x1a\n" + bytes(50), b"GGU", b"(c) 2024 Somebody\n" * 3]


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    made, at = [], 0
    while at < len(data):
        size = rng.choice((1, 1, 2, 5, 17, 300))
        made.append(data[at:at + size])
        at += size
    return made


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_is(name):
    file, format, findings = FILES[name]
    found = examine([file])
    assert (found["format"], found["unsafe"]) == (format, findings)
    for seed in range(5):
        assert examine(pieces(file, random.Random(seed))) == found


def test_every_format_has_a_file():
    assert {format for _, format, _ in FILES.values()} | {"pickle"} == set(formats()[1:])


@pytest.mark.parametrize("name", FILES)
def test_cut_at_every_byte(name):
    """A cut file is never found to be worse than malformed, and bytes missing at the end of what was seen are no fault of it."""
    file, format, findings = FILES[name]
    for end in range(len(file)):
        found = examine([file[:end]], whole=False)
        assert found["format"] in ("", format, "hdf5", "archive", "npz", "pytorch", "pickle")
        assert {one for one in found["unsafe"] if one not in findings} <= {"pickle_unresolved_import"}, (end, found)


@pytest.mark.parametrize("data", OTHERS, ids=range(len(OTHERS)))
def test_what_is_no_model(data):
    assert examine([data])["format"] == "" and examine([data[i:i + 1] for i in range(len(data))])["format"] == ""


@pytest.mark.parametrize("name", FILES)
def test_damaged(name):
    """Whatever is changed, the findings do not hang on how the bytes are cut; memory is given back (examine looks)."""
    rng = random.Random(name)
    file = FILES[name][0]
    for _ in range(150):
        data = bytearray(file)
        for _ in range(rng.choice((1, 1, 3, 10))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        assert examine([bytes(data)]) == examine(pieces(bytes(data), rng))


def test_memory_is_bounded():
    for file, _, _ in FILES.values():
        for memory in (0, 64, 1 << 12, 1 << 15, 1 << 16):
            examine([file], memory=memory)      # None, or what there was room for; that all is given back is looked at inside


def test_numbers():
    found = examine([made.safetensors({"a": ("BF16", [10, 20], 400), "b": ("I64", [], 8), "c": ("F8_E4M3", [3], 3)}, metadata={"format": "pt", "x": "y"})])
    assert (found["tensors"], found["parameters"], found["note"], found["unsafe"]) == (3, 204, "pt", [])
    found = examine([made.gguf(tensors=3)])
    assert (found["version"], found["tensors"], found["parameters"], found["note"]) == (3, 3, 24, "llama")
    found = examine([made.onnx(nodes=5)])
    assert (found["version"], found["tensors"], found["parameters"], found["inner"], found["note"]) == (9, 1, 12, 5, "pytorch")
    assert examine([made.savedmodel()])["note"] == "2.15.0"


def test_shapes_do_not_overflow():
    head = json.dumps({"w": {"dtype": "F64", "shape": [2**40, 2**40, 2**40], "data_offsets": [0, 8]}}).encode()
    found = examine([struct.pack("<Q", len(head)) + head + bytes(8)])
    assert found["parameters"] == 1 << 62 and found["unsafe"][0] == "safetensors_length tensor"


def test_nesting_is_bounded():
    head = b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"
    assert examine([struct.pack("<Q", len(head)) + head])["unsafe"] == ["safetensors_header json"]


def test_an_inflated_bomb_stops():
    assert examine([made.torch_zip(b"\x80\x03B" + struct.pack("<I", 68 << 20) + bytes(68 << 20) + b".", method=8)])["unsafe"] == ["zip_bomb inflated"]
    bomb = gzip.compress(made.tar([("a.npy", made.npy()), ("b", bytes(70 << 20))]))
    assert examine([bomb])["unsafe"] == ["zip_bomb inflated"] == examine(bomb[at:at + 1000] for at in range(0, len(bomb), 1000))["unsafe"]


def test_findings_are_bounded_and_the_worst_stays():
    many = b"".join(b"cm%d\nx\n0" % number for number in range(50))
    found = examine([b"\x80\x02" + many + b"cos\nsystem\n."])["unsafe"]
    assert len(found) == 16 and found[-1] == "pickle_import os.system"


def written(name: str) -> bytes:
    """A file as its own library writes it."""
    out = io.BytesIO()
    np = pytest.importorskip("numpy")
    if name == "npz":
        np.savez_compressed(out, a=np.arange(5), b=np.array([{}], dtype=object))
    elif name == "safetensors":
        return pytest.importorskip("safetensors.numpy").save({"a": np.zeros((3, 4), "f2")})
    elif name == "onnx":
        onnx = pytest.importorskip("onnx")
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [], [], [onnx.numpy_helper.from_array(np.zeros((3, 4), "f4"), "w")])
        return onnx.helper.make_model(graph, producer_name="p").SerializeToString()
    elif name == "keras_hdf5":
        with pytest.importorskip("h5py").File(out, "w") as file:
            file.attrs["keras_version"] = "2.15.0"
            file.attrs["model_config"] = '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}'
    return out.getvalue()


@pytest.mark.parametrize("name, parameters, findings", [("npz", 6, []), ("safetensors", 12, []), ("onnx", 12, []), ("keras_hdf5", 0, ["keras_lambda Lambda"])])
def test_what_libraries_write(name, parameters, findings):
    found = examine([written(name)])
    assert (found["format"], found["parameters"], found["unsafe"]) == (name, parameters, findings)


def test_zip_of_every_method():
    """Members that are neither stored nor deflated are passed over."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("m/data.pkl", pickle.dumps(made.Runs()))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("m/other.pkl", pickle.dumps(made.Runs(eval, "1")))
    assert examine([out.getvalue()])["unsafe"] == ["pickle_import builtins.eval"]
