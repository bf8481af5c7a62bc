"""stream: which segments count, and their bytes once and in order."""
from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segments import SERVER, handshake, segment, timestamp, wild_session

from fastpath.dataplane.stream_trial import StreamTrial

BEGIN = (1001, 5001)        # the sequence numbers after handshake()


def trial(**options) -> StreamTrial:
    return StreamTrial(checksums=False, **options)


def begun(**options) -> StreamTrial:
    """With a handshake behind it."""
    made = trial(**options)
    made.segments(handshake(window=60000))
    return made


def data(at: int, payload: bytes, flags: str = "PA", ack: int = BEGIN[1]) -> bytes:
    """From the client, `at` bytes into its direction."""
    return segment(0, flags, BEGIN[0] + at, ack, payload, window=60000)


def acknowledge(upto: int) -> bytes:
    return segment(1, "A", BEGIN[1], BEGIN[0] + upto, window=60000)


def events(made: StreamTrial, *frames: bytes) -> list[str]:
    return [name.removeprefix("stream.") for result in made.segments(frames) for name in result["events"]]


# ---- bytes ----

@st.composite
def deliveries(draw):
    """(bytes, pieces as (offset, length) in any order, some of them again or over each other, all with the right bytes)"""
    whole = draw(st.binary(min_size=1, max_size=300))
    cuts = sorted(draw(st.sets(st.integers(1, len(whole)), max_size=12)) | {len(whole)})
    pieces = [(a, b - a) for a, b in zip([0, *cuts], cuts)]
    again = draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 60)), max_size=6))
    pieces += [(a, min(n, len(whole) - a)) for a, n in again]
    return whole, draw(st.permutations(pieces))


@settings(deadline=None, max_examples=200)
@given(deliveries(), st.integers(0, 0xFFFFFFFF), st.sampled_from([None, 1, 7]), st.booleans(), st.booleans())
def test_bytes_come_once_and_in_order(delivery, isn, take, inline, acknowledged):
    whole, pieces = delivery
    made = trial(take=take, inline=inline)
    made.segments([segment(0, "S", isn, window=60000), segment(1, "SA", 5000, isn + 1, window=60000), segment(0, "A", isn + 1, 5001, window=60000)])
    windows = []
    for at, length in pieces:
        result = made.segment(segment(0, "PA", isn + 1 + at, 5001, whole[at:at + length], window=60000))
        windows += result["raw"]
        assert inline or not result["fed"]      # nothing was acknowledged
        assert bytes(made.flow.bytes[0]) == whole[:len(made.flow.bytes[0])]
    if acknowledged:
        made.segment(segment(1, "A", 5001, isn + 1 + len(whole), window=60000))
        assert take or bytes(made.flow.bytes[0]) == whole
    for result in made.end():
        windows += result["raw"]
    assert bytes(made.flow.bytes[0]) == whole
    assert made.flow.ended[0] == "end"
    for offset, window in windows:
        assert whole[offset:offset + len(window)] == window
    if not inline:
        assert b"".join(window for _, window in windows) == whole
    made.forget(made.flow)
    assert made.memory == (0, 0)


def newer_holds(os: str, seq: int, end: int, held: int, held_end: int) -> bool:
    """Novak and Sturges, table by table: does the new segment win?"""
    if os == "last":
        return True
    if held < seq:
        return os in ("solaris", "hpux11") and end > held_end
    if held == seq:
        return (os in ("solaris", "hpux11", "old-linux") and end >= held_end) or (os == "linux" and end > held_end)
    if os in ("solaris", "hpux11"):
        return end >= held_end
    return os not in ("first", "vista")


def naive(os: str, pieces: list[tuple[int, bytes]]) -> bytes:
    """Overlaps by the policy of an OS, byte by byte. Only a segment that its neighbours touch is weighed at all."""
    held: list[tuple[int, int]] = []
    stream: dict[int, int] = {}
    for at, payload in pieces:
        mine = (at, len(payload))
        new = dict(enumerate(payload, at))
        twice = mine in held
        order = sorted(held if twice else [*held, mine])
        place = order.index(mine)
        below, above = order[:place], order[place + 1:]
        if twice or (below and sum(below[-1]) > at) or (above and above[0][0] < at + len(payload)):
            stopped = False
            over = [mine] if twice else []
            for one in reversed(below):
                stopped = stopped or sum(one) <= at
                over += [] if stopped else [one]
            over += [one for one in above if one[0] < at + len(payload)]
            for start, length in over:
                if not newer_holds(os, at, at + len(payload), start, start + length):
                    new.update({i: stream[i] for i in range(max(start, at), min(start + length, at + len(payload)))})
        stream.update(new)
        held = order
    return bytes(stream[i] for i in sorted(stream))


@pytest.mark.parametrize("os", ["bsd", "linux", "old-linux", "solaris", "hpux11", "windows", "vista", "first", "last", "macos", "irix"])
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1 << 32))
def test_overlaps_by_policy(os, seed):
    rng = random.Random(seed)
    size = 2 * rng.randrange(3, 30)
    pieces, at = [], 0
    while at < size:        # no single bytes: some of them would be keep-alives
        length = min(2 * rng.randrange(1, 6), size - at)
        pieces.append((at, length))
        at += length
    pieces += [(at, min(rng.randrange(2, 25), size - at)) for at in rng.choices(range(size - 1), k=6)]
    rng.shuffle(pieces)
    pieces = [(at, bytes(rng.choices(b"ABCDEFGH", k=length))) for at, length in pieces]
    made = begun(hosts={os: [SERVER]})
    for at, payload in pieces:
        made.segment(data(at, payload))
    made.segment(acknowledge(size))
    assert bytes(made.flow.bytes[0]) == naive(os, pieces)


def test_inline_keeps_what_was_there():
    made = begun(inline=True, hosts={"last": [SERVER]})
    assert made.segment(data(0, b"first"))["fed"] == [(0, b"first")]
    assert "stream.reassembly_overlap_different_data" in made.segment(data(3, b"XXandon"))["events"]
    assert bytes(made.flow.bytes[0]) == b"firstandon"


def test_a_gap_is_said_once_it_was_acknowledged():
    made = begun()
    assert made.segment(data(10, b"later"))["fed"] == []
    assert made.segment(acknowledge(0))["fed"] == []
    result = made.segment(acknowledge(15))
    assert result["fed"] == [(0, 10), (0, b"later")] and result["events"] == ["stream.reassembly_seq_gap"]


def test_an_acknowledgment_of_nothing_seen_waits():
    made = begun()
    assert made.segment(acknowledge(100))["fed"] == []
    made.segment(data(0, bytes(100)))
    assert made.segment(acknowledge(100))["fed"] == [(0, bytes(100))]


def test_depth_cuts_a_direction():
    made = begun(depth=100)
    for at in range(0, 300, 40):
        result = made.segment(data(at, bytes(40)))
        made.segment(acknowledge(at + 40))
        if at == 80:
            assert result["events"] == ["stream.reassembly_depth_reached"] and "depth" in result["did"]
        assert ("in" in result["did"]) == (at <= 80)
    assert bytes(made.flow.bytes[0]) == bytes(80)
    assert made.flow.ended[0] == "cut"
    assert made.memory[1] == 0


def test_memory_stays_below_its_caps():
    made = begun(reassembly_memory=4096, take=0)
    said = [name for at in range(0, 20000, 100) for name in made.segment(data(at, bytes(100)))["events"]]
    assert "stream.reassembly_insert_memcap" in said or "stream.reassembly_insert_limit" in said
    assert made.memory[1] <= 4096 and made.refused[1]
    none = trial(stream_memory=10)
    assert none.segments(handshake())[-1]["state"] == "none"
    assert none.refused[0]


def test_holes_are_limited():
    made = begun()
    for at in range(2, 6000, 4):
        made.segment(data(at, b"x"))
    assert made.memory[1] < 1 << 20


def test_sequence_numbers_wrap():
    made = trial()
    isn = 0xFFFFFFFE
    made.segments([segment(0, "S", isn), segment(1, "SA", 5000, isn + 1), segment(0, "A", isn + 1, 5001)])
    made.segments([segment(0, "PA", isn + 1, 5001, b"over the"), segment(0, "PA", isn + 9, 5001, b" edge"), segment(1, "A", 5001, isn + 14)])
    assert bytes(made.flow.bytes[0]) == b"over the edge"


# ---- raw windows ----

def test_raw_waits_for_a_chunk():
    made = begun(chunk=100)
    raw = []
    for at in range(0, 200, 30):
        raw += made.segment(data(at, bytes([65 + at // 30]) * 30))["raw"]
        made.segment(acknowledge(at + 30))
    assert [(offset, len(window)) for offset, window in raw] == [(0, 120)]
    raw += [window for result in made.end() for window in result["raw"]]
    assert [(offset, len(window)) for offset, window in raw] == [(0, 120), (120, 90)]


def test_raw_on_demand():
    made = begun()
    made.segments([data(0, b"request"), acknowledge(7)])
    made.trigger(0)
    assert made.segment(data(7, b""))["raw"] == [(0, b"request")]


def test_inline_windows_lie_around_the_segment():
    made = begun(inline=True, chunk=30)
    assert made.segment(data(0, b"a" * 10))["raw"] == [(0, b"a" * 10)]
    assert made.segment(data(10, b"b" * 10))["raw"] == [(0, b"a" * 10 + b"b" * 10)]
    made.segment(data(20, b"c" * 10))
    assert made.segment(data(30, b"d" * 10))["raw"] == [(10, b"b" * 10 + b"c" * 10 + b"d" * 10)]


def test_what_nobody_wants_is_not_held():
    made = begun()
    made.segments([data(0, b"hello"), acknowledge(5)])
    made.stop("reassembly", 0)
    made.segment(data(5, b"secret"))
    result = made.segment(data(11, b"secret"))
    assert "in" not in result["did"] and made.memory[1] == 0


# ---- states ----

def test_a_session_opens_and_closes():
    made = trial()
    frames = [*handshake(), data(0, b"hello"), acknowledge(5), data(5, b"", "FA"), segment(1, "FA", 5001, 1007), data(6, b"", "A", 5002)]
    results = made.segments(frames)
    assert [one["state"] for one in results] == ["syn_sent", "syn_recv", "established", "established", "established", "close_wait",
                                                 "last_ack", "closed"]
    assert [one["established"] for one in results] == [False, False, False] + [True] * 5
    assert [one["closed"] for one in results] == [False] * 6 + [True] * 2
    assert not any(one["events"] for one in results)
    assert made.flow.ended == ["end", "end"]


def test_a_syn_begins_anew_after_the_end():
    made = begun()
    first = made.flow
    made.segment(segment(1, "RA", 5001, 1001))
    assert first.state == "closed"
    made.segment(segment(0, "S", 1000))        # the same SYN again
    assert made.flow is first
    made.segment(segment(0, "S", 2000))
    assert made.flow is not first and made.flow.state == "syn_sent"


def test_midstream_is_a_setting():
    frames = [data(0, b"hello"), acknowledge(5)]
    off, on = trial(), trial(midstream=True)
    off.segments(frames)
    on.segments(frames)
    assert (off.flow.state, bytes(off.flow.bytes[0])) == ("none", b"")
    assert (on.flow.state, bytes(on.flow.bytes[0])) == ("established", b"hello")


def test_a_synack_turns_the_flow_round():
    made = trial(midstream=True)
    result = made.segment(segment(1, "SA", 5000, 1001))
    assert (result["direction"], result["state"]) == (0, "syn_recv")       # as it was when it came
    assert made.segment(data(0, b"hello"))["direction"] == 0


def test_a_wrong_checksum_does_not_count():
    made = StreamTrial()
    assert made.segment(segment(0, "S", 1000))["state"] == "none"


def test_one_side_alone():
    made = trial(async_oneside=True)
    made.segments([segment(0, "S", 1000), segment(0, "A", 1001, 5001), data(0, b"hello"), data(5, b"more")])
    assert made.flow.state == "established"
    assert bytes(made.flow.bytes[0]) == b"" and b"".join(made.end()[0]["raw"][0][1:]) == b"hellomore"


def test_fast_open_carries_data():
    made = trial()
    made.segments([segment(0, "S", 1000, data=b"hello", options=b"\x22\x06abcd"), segment(1, "SA", 5000, 1006)])
    made.segment(segment(0, "A", 1006, 5001))
    made.segment(segment(1, "A", 5001, 1006))
    assert bytes(made.flow.bytes[0]) == b"hello"


@pytest.mark.parametrize("frames, said", [
    ([segment(0, "R", 1)], ["rst_but_no_session"]),
    ([segment(0, "FA", 1, 1)], ["fin_but_no_session"]),
    ([segment(0, "S", 1000), segment(1, "SA", 5000, 2001)], ["3whs_synack_with_wrong_ack"]),
    ([*handshake(), data(100000, b"x")], ["est_packet_out_of_window"]),
    ([*handshake(), acknowledge(200000)], ["pkt_invalid_ack", "est_invalid_ack"]),
    ([*handshake(), segment(0, "S", 1000)], ["est_syn_resend"]),
    ([*handshake(), segment(1, "R", 5001, data=b"why")], ["rst_with_data"]),
    ([*handshake(), data(0, b"hello"), acknowledge(5), data(0, b"hello")], ["pkt_spurious_retransmission"]),
    ([*handshake(), data(0, b"hello"), data(2, b"XXXXXX")], ["reassembly_overlap_different_data"]),
    ([segment(0, "S", 1000, options=timestamp(100, 0)), segment(1, "SA", 5000, 1001, options=timestamp(7, 100)),
      segment(0, "A", 1001, 5001, options=timestamp(101, 7)), segment(0, "PA", 1001, 5001, b"old", options=timestamp(50, 7))],
     ["pkt_invalid_timestamp"]),
])
def test_events(frames, said):
    assert events(trial(), *frames) == said


def test_keep_alives_say_nothing():
    made = begun()
    assert events(made, data(0, b"hello"), acknowledge(5), data(4, b"x", "A"), acknowledge(5), data(4, b"", "A"), acknowledge(5)) == []


# ---- urgent bytes ----

def urgent(at: int, payload: bytes, pointer: int) -> bytes:
    frame = bytearray(data(at, payload, "PAU"))
    frame[14 + 20 + 18:14 + 20 + 20] = pointer.to_bytes(2, "big")
    return bytes(frame)


@pytest.mark.parametrize("policy, pointer, expected", [
    ("inline", 2, b"abXcd"), ("oob", 3, b"abcd"), ("oob", 1, b"abcd"), ("oob", 0, b"abXcd"), ("oob", 4, b"abXcd"), ("drop", 3, b"abXcd"),
])
def test_urgent_bytes(policy, pointer, expected):
    """Of a segment whose urgent pointer lies within it the last byte is taken out, wherever the pointer points; what follows joins."""
    made = begun(urgent=policy)
    made.segments([urgent(0, b"abX", pointer), acknowledge(3), data(3, b"cd"), acknowledge(5)])
    assert bytes(made.flow.bytes[0]) == expected


def test_urgent_bytes_that_are_a_gap():
    made = begun(urgent="gap")
    assert "reassembly_seq_gap" in events(made, urgent(0, b"abX", 3), acknowledge(3), data(3, b"cd"), acknowledge(5))
    assert bytes(made.flow.bytes[0]) == b"ab?cd"       # a gap is a question mark to the trial


def test_urgent_segments_are_dropped_inline():
    made = begun(urgent="drop", inline=True)
    made.segments([urgent(0, b"abX", 0), acknowledge(0), data(0, b"good")])
    assert bytes(made.flow.bytes[0]) == b"good"


# ---- hostile ----

def test_wild_sessions_leave_nothing_behind():
    rng = random.Random(7)
    for port in range(300):
        made = trial(inline=port % 2, midstream=port % 3 == 0, async_oneside=port % 5 == 0, chunk=20)
        made.segments(wild_session(rng, 1024 + port))
        for flow in list(made.flows.values()):
            made.end(flow)
            made.forget(flow)
        assert made.memory == (0, 0)


def test_truncation():
    frames = [*handshake(), segment(0, "PA", 1001, 5001, b"hello", options=timestamp(1, 2))]
    for frame in frames:
        for cut in range(len(frame)):
            made = trial()
            made.segments(frames[:3])
            made.segment(frame[:cut])
