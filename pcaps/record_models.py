#!/usr/bin/env python3
"""Records models on their way over HTTP, written by the libraries whose formats they are.

    sudo pcaps/record_models.py

Needs what record.py needs, curl, and of Python safetensors, gguf, h5py, onnx and numpy. Python's http.server serves the files and takes
one upload. Nothing leaves the namespaces. Writes pcaps/models/models.pcap.
"""
import json
import os
import pickle
import sys
import tempfile
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

import record

SERVE = """
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""


class Runs:
    """What a pickle of it would do when it is loaded: a harmless command."""

    def __reduce__(self):
        return os.system, ("true",)


def write_models(folder):
    """One file of each format, and of some another one that is not safe to load."""
    import gguf
    import h5py
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from safetensors.numpy import save_file

    weights = np.arange(12, dtype="f4").reshape(3, 4)
    save_file({"layer.weight": weights, "layer.bias": np.zeros(3, "f2")}, folder / "small.safetensors", metadata={"format": "pt"})
    for name, template in (("small", "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{% endfor %}"),
                           ("reaching", "{{ cycler.__init__.__globals__.os.popen('true') }}")):
        writer = gguf.GGUFWriter(folder / f"{name}.gguf", "llama")
        writer.add_block_count(1)
        writer.add_chat_template(template)
        writer.add_token_list(["<s>", "a", "b"])
        writer.add_tensor("blk.0.weight", weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    for name, content in (("plain", {"weights": weights, "epoch": 3}), ("running", {"weights": weights, "hook": Runs()})):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(content))
        with zipfile.ZipFile(folder / f"{name}.pt", "w") as archive:
            archive.writestr(f"{name}/data.pkl", pickle.dumps(content, 2))
            archive.writestr(f"{name}/data/0", weights.tobytes())
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 4])], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, producer_name="fastpath-test"), folder / "small.onnx")
    for name, layer in (("dense", "Dense"), ("lambda", "Lambda")):
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": layer, "config": {"name": "l"}}]}}
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.attrs["keras_version"] = "2.15.0"
            file.attrs["model_config"] = json.dumps(config)
            file.create_dataset("w", data=weights)
    np.save(folder / "data.npy", weights)
    np.savez(folder / "data.npz", a=weights, b=np.array([{"x": 1}], dtype=object))


def main():
    if os.geteuid() != 0:
        sys.exit("record_models.py makes network namespaces, which needs root")
    out = record.HERE / "models"
    with record.namespaces(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        write_models(work)
        stack.enter_context(record.background(record.SERVER, "env", "-C", work, sys.executable, "-c", SERVE, ready=record.listening(8000)))
        path = out / "models.pcap"
        path.unlink(missing_ok=True)
        with record.background(record.SERVER, "tcpdump", "-i", "wire", "-U", "--immediate-mode", "-Z", "root", "-s", 0, "-w", path, "tcp port 8000",
                               ready=lambda: path.exists() and path.stat().st_size >= 24):
            for file in sorted(work.iterdir()):
                record.inside(record.CLIENT, "curl", "--silent", "-o", "/dev/null", f"http://{record.SERVER_IP}:8000/{file.name}")
            record.inside(record.CLIENT, "curl", "--silent", "-o", "/dev/null", "-T", work / "small.safetensors",
                          f"http://{record.SERVER_IP}:8000/upload/small.safetensors")
            time.sleep(0.5)
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
