"""Transactions are freed while their session goes on: as soon as they are over, between any two pieces."""
from __future__ import annotations

import importlib

import pytest
from fuzz import harness
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dataplane.applayer.room_trial import RoomTrial

COMPLETE = 5
REQUESTS = [b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"GET /\r\n"]
ANSWERS = [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"HTTP/1.1 403 N\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n",
           b"HTTP/1.1 407 N\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n", b"HTTP/1.1 304 N\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nbody", b"junk"]


class Freeing(RoomTrial):
    def feed(self, direction, data=b"", **how):
        taken = super().feed(direction, data, **how)
        self.free_done()
        return taken


@pytest.mark.parametrize("room", ["dns", "ftp", "http1", "smb", "smtp"])
def test_targets_that_free_early(room, monkeypatch):
    module = importlib.import_module(f"fuzz.fuzz_{room}")
    monkeypatch.setattr(module, "RoomTrial", Freeing)
    assert harness.fuzz(module.target, module.seeds(), seed=2, runs=300) == 300


moves = st.lists(st.one_of(
    st.tuples(st.just(0), st.sampled_from(REQUESTS)), st.tuples(st.just(1), st.sampled_from(ANSWERS)),
    st.tuples(st.integers(0, 1), st.integers(1, 5)), st.just("free"),
), max_size=9)


@given(moves, st.tuples(st.booleans(), st.booleans()))
def test_http_messages_gaps_and_ends(said, freed):
    trial = RoomTrial("http", memory=1 << 22)
    for move in said:
        if move == "free":
            trial.free_done()
        elif isinstance(move[1], int):
            trial.feed(move[0], gap=move[1])
        else:
            trial.feed(*move)
    for direction in (0, 1):
        if freed[direction]:
            trial.free_done()
        trial.feed(direction, eof=True)
    assert trial.close() == {"flow": 0, "applayer": 0}


def test_a_proxy_that_refuses_is_asked_again():
    trial = RoomTrial("http", memory=1 << 22)
    for asked, answered in zip(REQUESTS[1::-1] * 2, (ANSWERS[3], ANSWERS[0]) * 2, strict=True):
        trial.feed(0, asked)
        trial.feed(1, answered)
        assert trial.transactions()[-1]["progress"][1] == COMPLETE
        trial.free_done()
    assert trial.transactions() == []
