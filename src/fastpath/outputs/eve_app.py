"""EVE events of the application layers: transactions, files, anomalies, and what alerts carry of them.

A room of the data plane writes the fields (as MessagePack, bytes off the wire as such); here they become text as Suricata
writes it and get the head that every EVE event has.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from fastpath.control.llm import APP_ROW_LLM
from fastpath.control.models import is_upload
from fastpath.control.result import Batch
from fastpath.dataplane.applayer.tables import APP_EVENTS, PROTOCOL_NUMBERS

#: enum app_row_kind
EVENT, FILE, ANOMALY, ALERT, BYTES, MODEL = range(6)
#: and of telemetry.pxd: variables, bytes of files
VARS, CHUNK = 32, 33
#: Of its events, each is of one packet, and has its addresses.
QUIC = PROTOCOL_NUMBERS["quic"]
NO_TX = (1 << 64) - 1
#: Protocols whose events EVE writes in capitals.
CAPITALS = ("applayer", "http", "smtp", "tls")
#: Number of a protocol -> its name in `app_proto`.
APP_PROTOS = {number: name for name, number in PROTOCOL_NUMBERS.items()} | {PROTOCOL_NUMBERS["bittorrent-dht"]: "bittorrent-dht"}
#: Number of a protocol -> the type of its events.
EVENT_TYPES = {number: name.replace("-", "_") for name, number in PROTOCOL_NUMBERS.items()} | {PROTOCOL_NUMBERS["http2"]: "http"}
_EVENT_NAMES = {number: (proto, name) for (proto, name), number in APP_EVENTS.items()}
_NUMBER = "flowint "     # what the name of a number begins with (rules/state.py)
_decode = msgspec.msgpack.Decoder().decode


def text_of(raw: bytes) -> str:
    """Bytes off the wire as EVE writes them: UTF-8 where they are, else every byte that is not ASCII escaped."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("ascii", "backslashreplace")


def printable(raw: bytes) -> str:
    """Bytes as `payload_printable` has them: a dot for what is neither printable nor the end of a line."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F or byte in (0x0A, 0x0D) else "." for byte in raw)


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


def metadata_of(said: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The fields `metadata` and `traffic` of what a row says of variables, nothing where none is set. names: of bits, numbers and texts,
    by number (Database.names)."""
    bits: list[str] = []
    numbers: dict[str, int] = {}
    for at, word in enumerate(said.get("words", ())):
        if word and names[at * 64].startswith(_NUMBER):
            numbers[names[at * 64].removeprefix(_NUMBER)] = word & 0xFFFFFFFF
        else:
            bits += [names[at * 64 + bit] for bit in range(64) if word >> bit & 1]
    texts, packet = said.get("texts", ()), said.get("packet", ())
    metadata: dict[str, Any] = {}
    plain = [name for name in bits if not name.startswith("traffic/")]
    if plain:
        metadata["flowbits"] = plain
    if numbers:
        metadata["flowints"] = numbers
    for field, listed in (("flowvars", texts), ("pktvars", packet)):
        if listed:
            metadata[field] = [{printable(name) if isinstance(name, bytes) else names[name].partition(" ")[2]: printable(text)}
                               for name, text in zip(listed[::2], listed[1::2], strict=True)]
    traffic: dict[str, list[str]] = {}
    for name in bits:
        if name.startswith(("traffic/id/", "traffic/label/")):
            _, kind, value = name.split("/", 2)
            traffic.setdefault(kind, []).append(value)
        elif name not in plain:
            metadata.setdefault("flowbits", []).append(name)
    return ({"traffic": traffic} if traffic else {}) | ({"metadata": metadata} if metadata else {})


class AppRows:
    """The rows of apps of a batch, decoded as they are asked for."""

    def __init__(self, batch: Batch):
        self.rows: np.ndarray = batch.rows["apps"]
        self._names = batch.names
        self._stored_before = batch.stored_before
        self._bytes: bytes = batch.rows.get("app_bytes", b"")
        self._of_alert: dict[int, dict[tuple[int, int, int, int], int]] = {}

    def said(self, i: int) -> dict[str, Any]:
        """What a row says, bytes off the wire as such."""
        row = self.rows[i]
        start = int(row["offset"])
        found: dict[str, Any] = _decode(self._bytes[start:start + int(row["length"])])
        return found

    def record(self, i: int) -> dict[str, Any]:
        """What a row says, as EVE writes it."""
        said = self.said(i)
        kept = said.pop("vars", None)
        return readable(said) | (metadata_of(kept, self._names) if kept else {})

    def vars_of(self, ordinal: int, entry: int, flow: int, ended: bool = False) -> dict[str, Any]:
        """The fields `metadata` and `traffic` of the alerts of an entry, or of a flow that has ended."""
        i = self._row_of(VARS, (ordinal, entry, int(ended), flow))
        return {} if i is None else metadata_of(self.said(i), self._names)

    def raw(self) -> Iterator[dict[str, Any]]:
        """What each row says, bytes as such."""
        for start, length in zip(self.rows["offset"].tolist(), self.rows["length"].tolist(), strict=True):
            if length:
                yield _decode(self._bytes[start:start + length])

    def of_alert(self, ordinal: int, entry: int, index: int, flow: int) -> tuple[int, dict[str, Any]] | None:
        """The transaction and the record that belong to an alert."""
        i = self._row_of(ALERT, (ordinal, entry, index, flow))
        if i is None:
            return None
        record = self.record(i)
        for each in record.get("files", ()):
            each.pop("file_id", None)       # which number it is stored under its own event tells
        return int(self.rows["tx"][i]), record

    def bytes_of(self, ordinal: int, entry: int, index: int, flow: int) -> dict[str, Any] | None:
        """The bytes that an alert is about: "payload", "packet", its "linktype", and "stream" where it is about one."""
        i = self._row_of(BYTES, (ordinal, entry, index, flow))
        return None if i is None else self.said(i)

    def _row_of(self, kind: int, key: tuple[int, int, int, int]) -> int | None:
        if kind not in self._of_alert:
            found = np.flatnonzero(self.rows["kind"] == kind)
            names = ("ordinal", "entry", "code", "flow")
            keys = zip(*(self.rows[name][found].tolist() for name in names), strict=True)
            self._of_alert[kind] = dict(zip(keys, found.tolist(), strict=True))
        return self._of_alert[kind].get(key)

    def file(self, i: int, head: Callable[[np.ndarray, str, bool], dict[str, Any]], inside: dict[str, Any]) -> dict[str, Any]:
        """The fileinfo event of a row. inside: what it says where it is of a decrypted session."""
        row = self.rows[i]
        record = self.record(i)
        del record["id"]
        info = record.pop("fileinfo")
        if row["code"]:
            before = self.rows[:i]
            info["file_id"] = self._stored_before + 1 + int(((before["kind"] == FILE) & (before["code"] != 0)).sum())
        info["tx_id"] = int(row["tx"])
        return head(row, "fileinfo", bool(row["direction"])) | inside | record | {"app_proto": APP_PROTOS[int(row["proto"])], "fileinfo": info}

    def events(self, kinds: frozenset[str], head: Callable[[np.ndarray, str, bool], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The events of these types. head(row, type, towards the client) makes the fields that come first."""
        for i in np.flatnonzero((self.rows["kind"] < ALERT) | np.isin(self.rows["kind"], (APP_ROW_LLM, MODEL))).tolist():
            row = self.rows[i]
            inside = {"decrypted": True} if row["decrypted"] else {}
            kind, proto, tx = int(row["kind"]), int(row["proto"]), int(row["tx"])
            if kind == EVENT and EVENT_TYPES[proto] in kinds:
                record = self.record(i)
                if proto == QUIC:
                    yield head(row, "quic", bool(row["direction"])) | record
                    continue
                # a DNS request with several questions says so in as many events
                said = record["dns"] if isinstance(record.get("dns"), list) else [None]
                for one in said:
                    yield head(row, EVENT_TYPES[proto], False) | {"tx_id": tx} | inside | (record if one is None else {"dns": one})
            elif kind == APP_ROW_LLM and "llm" in kinds:
                yield head(row, "llm", False) | {"tx_id": tx} | inside | self.record(i)
            elif kind == FILE and "fileinfo" in kinds:
                yield self.file(i, head, inside)
            elif kind == MODEL and "model" in kinds:
                record = self.record(i)
                del record["id"]
                info = record.pop("fileinfo")
                upload = is_upload(int(row["direction"]), record)
                yield head(row, "model", bool(row["direction"])) | inside | record | {"app_proto": APP_PROTOS[proto], "model": {
                    "direction": "upload" if upload else "download", "filename": info.get("filename", ""), "state": info["state"], "size": info["size"],
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
