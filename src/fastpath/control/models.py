"""Models that were seen on the wire, from the rows that the data plane writes of files that it is told to know as one."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from fastpath.control.columns import address_text
from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS

MODELS_MAX = 100_000        # of one run
ROW_MODEL = 5               # enum app_row_kind
UPLOADS = (b"STOR", b"STOU", b"APPE")
_PROTOCOLS = {number: name for name, number in PROTOCOL_NUMBERS.items()}
_decode = msgspec.msgpack.Decoder().decode


@dataclass(slots=True)
class Model:
    """One file. ts: ns since 1970, when it ended. client, server: of the flow. upload: the client has sent it. size: bytes. sha256: "" where
    not all of it was seen. told: the architecture (gguf), framework (safetensors) or producer (onnx, savedmodel) that it names. version: of
    the format; 0, as the other numbers, where it does not say. unsafe: findings, each a word and what it is about (docs/models.md)."""
    ts: int
    flow: int
    protocol: str
    client: str
    server: str
    port: int
    upload: bool
    name: str
    host: str
    format: str
    size: int
    whole: bool
    sha256: str
    version: int = 0
    tensors: int = 0
    parameters: int = 0
    imports: int = 0
    told: str = ""
    unsafe: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"unsafe": list(self.unsafe)}


class Models:
    """Takes rows of apps; `left_out` counts what found no room."""

    def __init__(self) -> None:
        self.items: list[Model] = []
        self.left_out = 0

    def take(self, rows: np.ndarray, said: bytes) -> None:
        """rows: of rows.APP; said: the bytes that they point into."""
        for at in np.flatnonzero(rows["kind"] == ROW_MODEL).tolist():
            if len(self.items) == MODELS_MAX:
                self.left_out += 1
                continue
            row = rows[at]
            start = int(row["offset"])
            self.items.append(_model(row, _decode(said[start:start + int(row["length"])])))


def is_upload(direction: int, record: dict[str, Any]) -> bool:
    """Has the client sent it? Over FTP the command says so: who opens the connection for data is the mode's business."""
    command = record.get("ftp_data", {}).get("command")
    if command is not None:
        return (command if isinstance(command, bytes) else str(command).encode()).upper() in UPLOADS
    return direction == 0


def _model(row: np.ndarray, record: dict[str, Any]) -> Model:
    info, key = record["fileinfo"], row["key"]
    model = info["model"]
    client, net = int(row["reversed"]), int(key["net"])
    whole = info["state"] == "CLOSED"
    told = next((model[name] for name in ("architecture", "framework", "producer") if name in model), b"")
    return Model(int(row["ts"]), int(row["flow"]), _PROTOCOLS[int(row["proto"])], address_text(net, key["addr"][client].tobytes()),
                 address_text(net, key["addr"][1 - client].tobytes()), int(key["port"][1 - client]), is_upload(int(row["direction"]), record),
                 _text(info.get("filename", b"")), _text(record.get("http", {}).get("hostname", b"")), model["format"], info["size"], whole,
                 info.get("sha256", "") if whole else "", model.get("version", 0), model.get("tensors", 0), model.get("parameters", 0),
                 model.get("imports", 0), _text(told), tuple(" ".join(map(_text, one.values())) for one in model.get("unsafe", ())))


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")
