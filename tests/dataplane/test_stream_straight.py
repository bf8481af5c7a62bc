"""stream: the straight way of ordinary segments says and leaves what the general one does."""
from __future__ import annotations

import random

import pytest
from segments import handshake, segment, timestamp, wild_session

from fastpath.dataplane.stream_trial import StreamTrial

WAYS = [{}, {"inline": True}, {"midstream": True, "async_oneside": True}, {"compare_overlaps": False}, {"depth": 3000},
        {"chunk": 100, "urgent": "oob"}, {"raw": False}, {"take": 7}, {"reassembly_memory": 4096}, {"stream_memory": 512},
        {"hosts": {"linux": ["10.0.0.0/8"], "solaris": ["0.0.0.0/0"]}}, {"depth": 0, "inline": True, "chunk": 50}]


def calm_session(rng: random.Random, port: int) -> list[bytes]:
    """A transfer in which little goes wrong: bytes both ways, acknowledged late, and now and then a segment lost, early or again."""
    at = [rng.choice([1000, 0xFFFFE000]), rng.choice([5000, 0xFFFFF800])]
    stamped, clock, later = rng.random() < .5, 100, []
    seen = at[:]            # of each direction, what the other side has acknowledged

    def made(direction: int, seq: int, data: bytes = b"", flags: str = "A", window: int = 60000) -> bytes:
        options = timestamp(clock, clock) if stamped else b""
        return segment(direction, flags, seq, seen[1 - direction], data, window=window, options=options, port=port)

    frames = [made(0, at[0] - 1, flags="S"), made(1, at[1] - 1, flags="SA"), made(0, at[0])]
    for _ in range(rng.randrange(5, 60)):
        clock += rng.randrange(2)
        direction, odd = int(rng.random() < .7), rng.random()
        seen[1 - direction] = at[1 - direction] if rng.random() < .7 else seen[1 - direction]
        data = rng.randbytes(rng.choice([0, 0, 1, 20, 600, 1460, 1460]))
        frame = made(direction, at[direction], data, rng.choice(["A", "PA"]), rng.choice([60000, 60000, 8000, 20]))
        at[direction] += len(data)
        if odd < .03:
            later.append(frame)
        elif odd < .97:
            frames.append(frame)
        if .90 < odd:
            frames.append(frame)
        elif odd > .85 and later:
            frames.append(later.pop())
    return frames + later + [made(0, at[0], flags="FA"), made(1, at[1], flags="FA")] * (rng.random() < .5)


def asked(rng: random.Random) -> tuple[str, int] | None:
    """What a room or the rules may ask for between two segments."""
    return (rng.choice(["feeding", "reassembly", "raw", "trigger", "keep", "deepen"]), rng.randrange(2)) if rng.random() < .05 else None


def followed(frames: list[bytes], seed: int, **ways) -> list:
    """All that can be seen of a session."""
    made, rng, seen = StreamTrial(checksums=False, **ways), random.Random(seed), []
    for frame in frames:
        seen.append((made.segment(frame), made.memory, made.refused, made.flow.size(0), made.flow.size(1), made.flow.flags))
        wish = asked(rng)
        if wish is not None and wish[0] == "trigger":
            made.trigger(wish[1])
        elif wish is not None and wish[0] == "keep":
            made.keep(wish[1], 30)
        elif wish is not None and wish[0] == "deepen":
            made.deepen(5000)
        elif wish is not None:
            made.stop(*wish)
    return [*seen, made.end(), [bytes(side) for side in made.flow.bytes], made.memory]


@pytest.mark.parametrize("ways", WAYS, ids=str)
@pytest.mark.parametrize("session", [wild_session, calm_session])
def test_the_short_way_says_what_the_general_one_does(session, ways):
    rng = random.Random(77)
    for number in range(60):
        frames = session(rng, 2000 + number)
        assert followed(frames, number, **ways) == followed(frames, number, straight=False, **ways)


@pytest.mark.parametrize("ways", [{}, {"inline": True}, {"midstream": True}, {"async_oneside": True}], ids=str)
def test_it_does_so_of_sessions_whose_beginning_was_not_seen(ways):
    rng = random.Random(78)
    for number in range(60):
        frames = calm_session(rng, 2000 + number)[rng.randrange(1, 5):]
        assert followed(frames, number, **ways) == followed(frames, number, straight=False, **ways)


@pytest.mark.parametrize("marks", [2, 40])
@pytest.mark.parametrize("holes", [False, True])
def test_what_is_held_stays_held_when_the_sides_change_places(marks, holes):
    """With a run in its own place and others, with few marks and with many."""
    whole = random.Random(5).randbytes(30 * marks)
    pieces = [(at, whole[at:at + 30]) for at in range(0, len(whole), 30)]
    made = StreamTrial(checksums=False, chunk=1 << 20)
    made.segments(handshake(window=60000))
    early = pieces[1::2] + pieces[::2] if holes else pieces
    frames = [segment(side, "PA", (1001, 5001)[side] + at, (5001, 1001)[side], piece, window=60000)
              for at, piece in early for side in range(2)]
    half = len(frames) // 2 + 1
    made.segments(frames[:half])
    made.turn()
    made.segments(frames[half:])
    made.end()
    assert [bytes(side) for side in made.flow.bytes] == [whole, whole]
    made.forget(made.flow)
    assert made.memory == (0, 0)


def test_ordinary_segments_do_take_it():
    made = StreamTrial(checksums=False)
    made.segments(handshake(window=60000))
    before = made.straight_ones
    made.segments([segment(0, "PA", 1001 + 100 * i, 5001, b"x" * 100, window=60000) for i in range(20)])
    assert made.straight_ones == before + 19        # with the first the general way begins to hold bytes
    made.segments([segment(1, "A", 5001, 1001 + 100 * i, window=60000) for i in range(1, 21)])
    assert made.straight_ones == before + 39
