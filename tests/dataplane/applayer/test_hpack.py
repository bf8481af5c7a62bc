"""HPACK held against the package hpack: what its encoder writes, with and without Huffman, with a table of changing size, is read back."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_http2 import END_HEADERS, HEADERS, PREFACE, frame, number

from fastpath.dataplane.applayer.room_trial import RoomTrial

hpack = pytest.importorskip("hpack")

names = st.sampled_from([b":path", b"accept", b"cookie", b"x-one", b"x-two"]) | st.binary(min_size=1, max_size=40)
values = st.sampled_from([b"", b"/", b"gzip, deflate", b"a" * 200]) | st.binary(max_size=300)
blocks = st.lists(st.tuples(st.lists(st.tuples(names, values, st.booleans()), max_size=12), st.booleans(),
                            st.none() | st.integers(0, 5000)), min_size=1, max_size=8)


def read(trial: RoomTrial, tx: int) -> list[tuple[bytes, bytes]]:
    return [(row["name"], row["value"]) for row in trial.log(tx, 2)["http"]["request_headers"] if "name" in row]


@settings(deadline=None, max_examples=150)
@given(blocks)
def test_what_another_encoder_writes(sent):
    encoder, trial = hpack.Encoder(), RoomTrial("http2")
    trial.feed(0, PREFACE)
    for at, (fields, huffman, size) in enumerate(sent):
        if size is not None:
            encoder.header_table_size = size
        coded = encoder.encode([hpack.NeverIndexedHeaderTuple(name, value) if never else hpack.HeaderTuple(name, value)
                                for name, value, never in fields], huffman=huffman)
        trial.feed(0, frame(HEADERS, 2 * at + 1, coded, END_HEADERS))
        if fields:
            assert read(trial, at) == [(name, value) for name, value, _ in fields]
    assert all(not tx["events"] for tx in trial.transactions())
    assert trial.close() == {"flow": 0, "applayer": 0}


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_what_another_decoder_reads(coded):
    """Blocks of any bytes: where the other decoder is content, both read the same."""
    decoder, trial = hpack.Decoder(max_header_list_size=1 << 30), RoomTrial("http2")
    trial.feed(0, PREFACE)
    trial.feed(0, frame(HEADERS, 1, coded, END_HEADERS))
    try:
        fields = [(name, value) for name, value in decoder.decode(coded, raw=True)]
    except hpack.HPACKError:
        return
    if fields:
        assert read(trial, 0) == fields


def test_every_symbol():
    text = bytes(range(256)) * 3
    coded = b"\0\x01x" + number(len(packed := hpack.huffman.HuffmanEncoder(hpack.huffman_constants.REQUEST_CODES,
                                hpack.huffman_constants.REQUEST_CODES_LENGTH).encode(text)), 7, 0x80) + packed
    trial = RoomTrial("http2")
    trial.feed(0, PREFACE + frame(HEADERS, 1, coded, END_HEADERS))
    assert read(trial, 0) == [(b"x", text)]


@pytest.mark.parametrize(("value", "bits"), [(10, 5), (1337, 5), (42, 8), (127, 7), (128, 7), (2**32, 5), (2**63, 5)])
def test_numbers(value, bits):
    """RFC 7541 appendix C.1, and large ones: as sizes of the table."""
    trial = RoomTrial("http2")
    trial.feed(0, PREFACE + frame(HEADERS, 1, number(value, 5, 0x20), END_HEADERS))
    assert trial.buffer(0, 0, "http2.size_update") == value


def test_appendix_c():
    """RFC 7541 appendix C.4 (Huffman) and C.6, whose table holds 256 bytes: the last fields evict the first."""
    c4 = ("828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")
    trial = RoomTrial("http2")
    trial.feed(0, PREFACE + b"".join(frame(HEADERS, 2 * at + 1, bytes.fromhex(each), END_HEADERS) for at, each in enumerate(c4)))
    assert read(trial, 1)[-2:] == [(b":authority", b"www.example.com"), (b"cache-control", b"no-cache")]
    assert read(trial, 2) == [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html"), (b":authority", b"www.example.com"),
                              (b"custom-key", b"custom-value")]
    c6 = (number(256, 5, 0x20).hex() + "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
          "4883640effc1c0bf")
    trial = RoomTrial("http2")
    trial.feed(0, PREFACE + b"".join(frame(HEADERS, 2 * at + 1, bytes.fromhex(each), END_HEADERS) for at, each in enumerate(c6)))
    assert read(trial, 0)[0] == (b":status", b"302") and read(trial, 1) == [
        (b":status", b"307"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"), (b"location", b"https://www.example.com")]
