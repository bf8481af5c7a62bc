"""EVE events of the application layers: transactions, files, anomalies, and what alerts carry of them.

A room of the data plane writes the fields (as MessagePack, bytes off the wire as such); here they become text as Suricata
writes it and get the head that every EVE event has.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from fastpath.control.llm import APP_ROW_LLM
from fastpath.control.models import is_upload
from fastpath.control.result import Batch
from fastpath.dataplane.applayer.tables import APP_EVENTS, PROTOCOL_NUMBERS

#: enum app_row_kind
EVENT, FILE, ANOMALY, ALERT, BYTES, MODEL = range(6)
NO_TX = (1 << 64) - 1
#: Protocols whose events EVE writes in capitals.
CAPITALS = ("applayer", "http", "smtp", "tls")
#: Number of a protocol -> its name in `app_proto`.
APP_PROTOS = {number: name for name, number in PROTOCOL_NUMBERS.items()} | {PROTOCOL_NUMBERS["bittorrent-dht"]: "bittorrent-dht"}
#: Number of a protocol -> the type of its events.
EVENT_TYPES = {number: name.replace("-", "_") for name, number in PROTOCOL_NUMBERS.items()}
_EVENT_NAMES = {number: (proto, name) for (proto, name), number in APP_EVENTS.items()}
_decode = msgspec.msgpack.Decoder().decode


def text_of(raw: bytes) -> str:
    """Bytes off the wire as EVE writes them: UTF-8 where they are, else every byte that is not ASCII escaped."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("ascii", "backslashreplace")


def readable(value: Any) -> Any:
    """A decoded record with all bytes as text."""
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, dict):
        return {key: readable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [readable(one) for one in value]
    return value


def app_proto(protocols: list[int]) -> dict[str, str]:
    """The fields `app_proto` and, where they differ, those by direction (app_proto of a row)."""
    proto, to_server, to_client, original = protocols
    if not any(protocols):
        return {}
    fields = {"app_proto": APP_PROTOS[proto]} if proto else {}
    if to_server and to_server != proto:
        fields["app_proto_ts"] = APP_PROTOS[to_server]
    if to_client and to_client != proto:
        fields["app_proto_tc"] = APP_PROTOS[to_client]
    if original and original != proto:
        fields["app_proto_orig"] = APP_PROTOS[original]
    return fields


class AppRows:
    """The rows of apps of a batch, decoded as they are asked for."""

    def __init__(self, batch: Batch):
        self.rows: np.ndarray = batch.rows["apps"]
        self._bytes: bytes = batch.rows.get("app_bytes", b"")
        self._of_alert: dict[int, dict[tuple[int, int, int, int], int]] = {}

    def record(self, i: int) -> dict[str, Any]:
        row = self.rows[i]
        start = int(row["offset"])
        return readable(_decode(self._bytes[start:start + int(row["length"])]))

    def raw(self) -> Iterator[dict[str, Any]]:
        """What each row says, bytes as such."""
        for start, length in zip(self.rows["offset"].tolist(), self.rows["length"].tolist(), strict=True):
            if length:
                yield _decode(self._bytes[start:start + length])

    def of_alert(self, ordinal: int, entry: int, index: int, flow: int) -> tuple[int, dict[str, Any]] | None:
        """The transaction and the record that belong to an alert."""
        i = self._row_of(ALERT, (ordinal, entry, index, flow))
        return None if i is None else (int(self.rows["tx"][i]), self.record(i))

    def bytes_of(self, ordinal: int, entry: int, index: int, flow: int) -> dict[str, Any] | None:
        """The bytes that an alert is about: "payload", "packet", its "linktype", and "stream" where it is about one."""
        i = self._row_of(BYTES, (ordinal, entry, index, flow))
        if i is None:
            return None
        start = int(self.rows["offset"][i])
        return _decode(self._bytes[start:start + int(self.rows["length"][i])])

    def _row_of(self, kind: int, key: tuple[int, int, int, int]) -> int | None:
        if kind not in self._of_alert:
            found = np.flatnonzero(self.rows["kind"] == kind)
            names = ("ordinal", "entry", "code", "flow")
            keys = zip(*(self.rows[name][found].tolist() for name in names), strict=True)
            self._of_alert[kind] = dict(zip(keys, found.tolist(), strict=True))
        return self._of_alert[kind].get(key)

    def events(self, kinds: frozenset[str], head: Callable[[np.ndarray, str, bool], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The events of these types. head(row, type, towards the client) makes the fields that come first."""
        for i in np.flatnonzero((self.rows["kind"] < ALERT) | np.isin(self.rows["kind"], (APP_ROW_LLM, MODEL))).tolist():
            row = self.rows[i]
            inside = {"decrypted": True} if row["decrypted"] else {}
            kind, proto, tx = int(row["kind"]), int(row["proto"]), int(row["tx"])
            if kind == EVENT and EVENT_TYPES[proto] in kinds:
                record = self.record(i)
                # a DNS request with several questions says so in as many events
                said = record["dns"] if isinstance(record.get("dns"), list) else [None]
                for one in said:
                    yield head(row, EVENT_TYPES[proto], False) | {"tx_id": tx} | inside | (record if one is None else {"dns": one})
            elif kind == APP_ROW_LLM and "llm" in kinds:
                yield head(row, "llm", False) | {"tx_id": tx} | inside | self.record(i)
            elif kind == FILE and "fileinfo" in kinds:
                record = self.record(i)
                record["fileinfo"]["tx_id"] = tx
                info = record.pop("fileinfo")
                yield head(row, "fileinfo", bool(row["direction"])) | inside | record | {"app_proto": APP_PROTOS[proto], "fileinfo": info}
            elif kind == MODEL and "model" in kinds:
                record = self.record(i)
                info = record.pop("fileinfo")
                upload = is_upload(int(row["direction"]), record)
                yield head(row, "model", bool(row["direction"])) | inside | record | {"app_proto": APP_PROTOS[proto], "model": {
                    "direction": "upload" if upload else "download", "filename": info["filename"], "state": info["state"], "size": info["size"],
                    "tx_id": tx} | ({"sha256": info["sha256"]} if info["state"] == "CLOSED" and "sha256" in info else {}) | info["model"]}
            elif kind == ANOMALY and "anomaly" in kinds:
                of, name = _EVENT_NAMES[int(row["code"])]
                event = head(row, "anomaly", False) | inside
                if tx != NO_TX:
                    event["tx_id"] = tx
                if proto and of != "applayer":
                    event["app_proto"] = APP_PROTOS[proto]
                layer = "proto_detect" if of == "applayer" else "proto_parser"
                if of == "applayer":
                    name = f"applayer_{name}"
                yield event | {"anomaly": {"type": "applayer", "event": name.upper() if of in CAPITALS else name, "layer": layer}}
