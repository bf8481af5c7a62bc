"""Rows as columns: numpy by name, dicts by iteration, Arrow through `__arrow_c_stream__` (read by pyarrow, polars, DuckDB ...).

A column is made from the rows when it is asked for: addresses become text, rule indices become sid and message, flow and
packet directions become source and destination.
"""
from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpath.control.signatures import Signatures
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.anonymise import Anonymiser


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture of a run: its name and the ordinal of its first packet."""
    name: str
    first_ordinal: int


class Captures:
    """The captures of a run, in order; tells to which one a packet belongs and its number there."""

    def __init__(self, anonymiser: Anonymiser | None = None) -> None:
        self.all: list[Capture] = []
        self.anonymiser = anonymiser        # of the run: what rows say is mapped already, and only declared columns are shown
        self._firsts: list[int] = []

    def begin(self, name: str, first_ordinal: int) -> Capture:
        capture = Capture(name if self.anonymiser is None else self.anonymiser.name(name), first_ordinal)
        self.all.append(capture)
        self._firsts.append(first_ordinal)
        return capture

    def of(self, ordinal: int) -> tuple[Capture, int] | None:
        """(capture, number of the packet in it, from 1), or None for an ordinal of no packet."""
        at = bisect_right(self._firsts, ordinal) - 1
        if at < 0 or ordinal == 0:
            return None
        return self.all[at], ordinal - self._firsts[at] + 1

    def numbers(self, ordinals: np.ndarray) -> np.ndarray:
        """The number of each packet in its capture, 0 for an ordinal of no packet."""
        if not self.all:
            return np.zeros(len(ordinals), "u8")
        firsts = np.array(self._firsts, "u8")
        at = np.searchsorted(firsts, ordinals, "right")
        return np.where((ordinals == 0) | (at == 0), 0, ordinals - firsts[at - 1] + 1).astype("u8")


# ---- from fields to columns ----

def addresses(net: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Text of addresses: net is NET_*, raw is (n, 16) bytes; "" where there is none. An object array."""
    if not len(net):
        return np.empty(0, object)
    packed = np.empty((len(net), 17), "u1")
    packed[:, 0] = net
    packed[:, 1:] = raw
    unique, inverse = np.unique(packed.view("V17").ravel(), return_inverse=True)
    return np.array([address_text(one.tobytes()[0], one.tobytes()[1:]) for one in unique] + [None], object)[:-1][inverse]


def address_text(net: int, raw: bytes) -> str:
    if net == rows.NET_IPV4:
        return str(ipaddress.IPv4Address(raw[:4]))
    return str(ipaddress.IPv6Address(raw)) if net == rows.NET_IPV6 else ""


def _pick(pair: np.ndarray, second: np.ndarray) -> np.ndarray:
    """pair[i, 1] where second[i], else pair[i, 0]."""
    return pair[np.arange(len(pair)), (second != 0).astype("u1")]


def _named(names: tuple[str, ...], codes: np.ndarray) -> np.ndarray:
    table = np.array([*names, "?"], object)
    return table[np.minimum(codes, len(names))]


def _reversed(array: np.ndarray) -> np.ndarray:
    return array["flags"] & rows.FLOW_REVERSED if "flags" in (array.dtype.names or ()) else array["reversed"]


def _end(field: str, source: bool) -> Callable:
    def column(array, context):
        second = _reversed(array) if source else np.logical_not(_reversed(array))
        picked = _pick(array["key"][field], second)
        return addresses(array["key"]["net"], picked) if field == "addr" else picked
    return column


def _field(name: str, at: int | None = None) -> Callable:
    return (lambda array, context: array[name]) if at is None else (lambda array, context: array[name][:, at])


def _time(name: str) -> Callable:
    return lambda array, context: array[name].view("M8[ns]") if array[name].flags.c_contiguous else array[name].astype("M8[ns]")


def _rule(name: str) -> Callable:
    return lambda array, context: getattr(context.signatures, name)[context.signatures.at(array["rule"])]


def _message(array, context):
    signatures = context.signatures
    unique, inverse = np.unique(signatures.at(array["rule"]), return_inverse=True)
    texts = np.empty(len(unique), object)
    texts[:] = [signatures[int(one)].msg if one < len(signatures) else "" for one in unique]
    if context.captures.anonymiser is not None:
        texts[:] = [context.captures.anonymiser.text(text) for text in texts]
    return texts[inverse]


def _names(names: Callable[[], tuple[str, ...]], field: str) -> Callable:
    return lambda array, context: _named(names(), array[field])


def _tunnel(array, context):
    return _named(rows.TUNNELS, array["key"]["tunnel"] >> 4)


_ENDS = (("src_ip", "string", _end("addr", True)), ("src_port", "uint16", _end("port", True)),
         ("dest_ip", "string", _end("addr", False)), ("dest_port", "uint16", _end("port", False)),
         ("proto", "uint8", lambda array, context: array["key"]["proto"]))
_RULE = (("gid", "uint32", _rule("gid")), ("sid", "uint32", _rule("sid")), ("rev", "uint32", _rule("rev")), ("msg", "string", _message))

Schema = tuple[tuple[str, str, Callable], ...]
#: Columns by kind of row: (name, Arrow type, how it is made).
SCHEMAS: dict[str, Schema] = {
    "alerts": (
        ("ordinal", "uint64", _field("ordinal")),
        ("pcap_cnt", "uint64", lambda array, context: context.captures.numbers(array["ordinal"])),
        ("ts", "timestamp", _time("ts")), ("flow", "uint64", _field("flow")), *_ENDS, *_RULE,
        ("action", "string", _names(lambda: rows.ACTIONS, "action")), ("source", "string", _names(lambda: rows.SOURCES, "source")),
        ("to_client", "bool", lambda array, context: array["to_client"] != 0), ("tunnel", "string", _tunnel),
        ("tunnel_id", "uint32", _field("tunnel_id")), ("depth", "uint8", _field("depth")),
        ("icmp_type", "uint8", _field("icmp_type")), ("icmp_code", "uint8", _field("icmp_code")),
        ("decrypted", "bool", lambda array, context: array["decrypted"] != 0),
        ("port", "uint32", lambda array, context: np.full(len(array), context.port or 0, "u4")),
        ("flow_start", "timestamp", _time("flow_start")),
        ("pkts_toserver", "uint32", _field("pkts", 0)), ("pkts_toclient", "uint32", _field("pkts", 1)),
        ("bytes_toserver", "uint64", _field("bytes", 0)), ("bytes_toclient", "uint64", _field("bytes", 1)),
    ),
    "flows": (
        ("flow", "uint64", _field("flow")), ("first_ordinal", "uint64", _field("first_ordinal")),
        ("end_ordinal", "uint64", _field("end_ordinal")), ("start", "timestamp", _time("start")), ("last", "timestamp", _time("last")),
        *_ENDS, ("tunnel", "string", _tunnel),
        ("pkts_toserver", "uint32", _field("pkts", 0)), ("pkts_toclient", "uint32", _field("pkts", 1)),
        ("bytes_toserver", "uint64", _field("bytes", 0)), ("bytes_toclient", "uint64", _field("bytes", 1)),
        ("offloaded_pkts", "uint32", _field("offloaded_pkts")), ("dropped_pkts", "uint32", _field("dropped_pkts")),
        ("errored_pkts", "uint32", _field("errored_pkts")), ("offloaded_bytes", "uint64", _field("offloaded_bytes")),
        ("dropped_bytes", "uint64", _field("dropped_bytes")), ("errored_bytes", "uint64", _field("errored_bytes")),
        ("alerts", "uint32", _field("alerts")), ("sid", "uint32", _rule("sid")),
        ("state", "string", _names(lambda: rows.FLOW_STATES, "state")), ("end", "string", _names(lambda: rows.FLOW_ENDS, "end")),
        ("reason", "string", _names(rows.reasons, "reason")),
        ("tcp_flags_toserver", "uint8", _field("tcp_flags", 0)), ("tcp_flags_toclient", "uint8", _field("tcp_flags", 1)),
    ),
    "events": (
        ("ordinal", "uint64", _field("ordinal")), ("ts", "timestamp", _time("ts")), ("event", "string", _names(rows.events, "code")),
        ("entry", "uint16", _field("entry")), *_ENDS,
    ),
    "packets": (
        ("ordinal", "uint64", _field("ordinal")), ("ts", "timestamp", _time("ts")), ("flow", "uint64", _field("flow")),
        ("caplen", "uint32", _field("caplen")), ("wirelen", "uint32", _field("wirelen")),
        ("action", "string", _names(lambda: rows.ACTIONS, "action")), ("reason", "string", _names(rows.reasons, "reason")),
        ("ledger", "string", _names(lambda: rows.LEDGER, "ledger")), ("sid", "uint32", _rule("sid")), ("alerts", "uint8", _field("alerts")),
    ),
}


class Columns:
    """Rows of one kind ("alerts", "flows", "events", "packets").

    `columns["sid"]` is a numpy array, `columns[3]` a dict, `columns[2:5]` Columns; len and iteration count rows. `rows` is the
    structured array itself (fields as in fastpath.dataplane.rows). Times are datetime64[ns], UTC. `port`, of alerts, is that
    given to inspect, 0 without one.
    """

    def __init__(self, kind: str, parts: list[np.ndarray], signatures: Signatures, captures: Captures, port: int | None = None):
        self.kind = kind
        self.port = port
        self.signatures = signatures
        self.captures = captures
        self._parts = [part for part in parts if len(part)]
        self._schema = SCHEMAS[kind]
        if captures.anonymiser is not None:
            from fastpath.control.anonymise import columns
            shown = columns(kind, tuple(name for name, _, _ in self._schema))
            self._schema = tuple(column for column in self._schema if column[0] in shown)

    @property
    def rows(self) -> np.ndarray:
        if len(self._parts) != 1:
            self._parts = [np.concatenate(self._parts) if self._parts else np.empty(0, rows.DTYPES[self.kind])]
        return self._parts[0]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self._schema)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, what: str | int | slice) -> Any:
        if isinstance(what, str):
            for name, _, column in self._schema:
                if name == what:
                    return column(self.rows, self)
            raise KeyError(f"{self.kind} have no column {what!r}; they have {', '.join(self.names)}")
        if isinstance(what, slice):
            return Columns(self.kind, [self.rows[what]], self.signatures, self.captures, self.port)
        at = range(len(self))[what]
        return next(iter(self[at:at + 1]))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = self.names
        for start in range(0, len(self), 4096):
            part = self[start:start + 4096]
            yield from (dict(zip(names, values, strict=True)) for values in zip(*(_listed(part[name]) for name in names), strict=True))

    def __repr__(self) -> str:
        return f"<{len(self)} {self.kind}: {', '.join(self.names)}>"

    # ---- Arrow ----

    def __arrow_c_schema__(self):
        return _arrow_schema(self._schema).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema=None):
        from nanoarrow.c_array_stream import CArrayStream
        batches = [_arrow_batch(self._schema, part, self) for part in self._parts]
        return CArrayStream.from_c_arrays(batches, _arrow_schema(self._schema)).__arrow_c_stream__()


def _listed(column: np.ndarray) -> list:
    return list(column) if column.dtype.kind == "M" else column.tolist()


def _arrow_type(name: str):
    import nanoarrow
    if name == "timestamp":
        return nanoarrow.timestamp("ns", "UTC")
    return {"string": nanoarrow.string, "bool": nanoarrow.bool_, "uint8": nanoarrow.uint8, "uint16": nanoarrow.uint16,
            "uint32": nanoarrow.uint32, "uint64": nanoarrow.uint64}[name]()


def _arrow_schema(schema: Schema):
    import nanoarrow
    return nanoarrow.c_schema(nanoarrow.struct({name: _arrow_type(type_) for name, type_, _ in schema}))


def _arrow_batch(schema: Schema, part: np.ndarray, context: Columns):
    from nanoarrow.c_array import c_array_from_buffers
    children = []
    for _, type_, make in schema:
        column = make(part, context)
        if type_ == "string":
            encoded = [text.encode("utf-8", "replace") for text in column.tolist()]
            offsets = np.zeros(len(encoded) + 1, "i4")
            np.cumsum([len(one) for one in encoded], out=offsets[1:])
            buffers = [None, offsets, b"".join(encoded)]
        elif type_ == "bool":
            buffers = [None, np.packbits(column, bitorder="little")]
        elif type_ == "timestamp":
            buffers = [None, np.ascontiguousarray(column).view("i8")]
        else:
            buffers = [None, np.ascontiguousarray(column, type_)]
        children.append(c_array_from_buffers(_arrow_type(type_), len(part), buffers))
    return c_array_from_buffers(_arrow_schema(schema), len(part), [None], children=children)
