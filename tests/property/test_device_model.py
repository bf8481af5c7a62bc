"""The session table against a naive one in Python: requests, batches, rate, latency, timeouts, lag, TCP's closing."""
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastpath.dataplane.device_trial import Table

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
FIN, SYN, RST, ACK = 1, 2, 4, 16
DROP, FORWARD, MIRROR, SNOOP = range(4)
FINACK, RESET, TIMEOUT, DELETED = 1, 2, 3, 4


class Naive:
    """What device.pxd promises, written down with dicts and lists."""

    def __init__(self, capacity, timeout, interval, latency, lag, snoop):
        self.capacity, self.timeout, self.interval, self.latency, self.lag, self.snoop = capacity, timeout, interval, latency, lag, snoop
        self.batch, self.sessions, self.closed, self.busy, self.back_off = [], {}, [], 0, 0

    def ask(self, owner, action, now):
        self.batch.append((owner, action, now))
        return self.settle(now) if len(self.batch) == 64 else None

    def settle(self, now):
        batch, self.batch = self.batch, []
        if len(self.sessions) + len(batch) > self.capacity:
            self.back_off = (now // SECOND + 1) * SECOND
            return {owner: False for owner, _, _ in batch}
        for owner, action, _ in batch:
            self.busy = max(self.busy, now) + self.interval
            force = self.busy + self.latency
            self.sessions[owner] = {"action": action, "force": force, "counted": [], "pkts": [0, 0], "bytes": [0, 0], "fins": []}
        return {owner: True for owner, _, _ in batch}

    def seen(self, session, now):
        """The latest packet that was reported by now."""
        times = [session["force"], *(time for time, _, _ in session["counted"])]
        if self.lag and now >= session["force"]:
            edge = now // self.lag * self.lag
            times = [time for time in times if time < edge] or [session["force"]]
        return times[-1]

    def told(self, owner, now):
        """Packets and bytes by direction that were reported by now."""
        edge = now // self.lag * self.lag if self.lag else now + 1
        counted = [(length, side) for time, length, side in self.sessions[owner]["counted"] if time < edge]
        return tuple(tuple(sum(amount for amount, at in of if at == side) for side in (0, 1))
                     for of in ([(1, side) for _, side in counted], counted))

    def is_idle(self, session, now):
        return now > self.seen(session, now) + self.timeout

    def end(self, owner, code):
        self.closed.append((owner, code, tuple(self.sessions.pop(owner)["pkts"])))

    def tick(self, second):
        made = {}
        if self.batch and second > self.batch[0][2] // SECOND:
            made = self.settle((self.batch[0][2] // SECOND + 1) * SECOND)
        for owner in [owner for owner, session in self.sessions.items() if self.is_idle(session, second * SECOND)]:
            self.end(owner, TIMEOUT)
        return made

    def hit(self, owner, length, to_client, now):
        session = self.sessions[owner]
        if now < session["force"]:
            return "early"
        if self.is_idle(session, now):
            self.end(owner, TIMEOUT)
            return "idle"
        session["counted"].append((now, length, int(to_client)))
        session["pkts"][to_client] += 1
        before = session["bytes"][to_client]
        session["bytes"][to_client] += length
        if session["action"] == MIRROR or session["action"] == SNOOP and before < self.snoop:
            return "copy"
        return "drop" if session["action"] == DROP else "forward"

    def is_control(self, owner, flags):
        return bool(flags & (FIN | SYN | RST)) or len(self.sessions[owner]["fins"]) == 2

    def control(self, owner, flags, to_client):
        fins = self.sessions[owner]["fins"]
        if flags & RST:
            self.end(owner, RESET)
            return RESET
        if flags & FIN:
            if to_client not in fins:
                fins.append(to_client)
        elif len(fins) == 2 and fins[0] == to_client and flags & ACK and not flags & SYN:
            self.end(owner, FINACK)
            return FINACK
        return 0


quiet = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
steps = st.lists(st.tuples(
    st.sampled_from(["ask"] * 6 + ["packet"] * 6 + ["control"] * 2 + ["withdraw", "delete"]), st.integers(1, 90),
    st.sampled_from([0, 0, 1000, SECOND // 50, SECOND // 2, SECOND, 3 * SECOND, 1500 * SECOND, 400_000 * SECOND]), st.booleans(), st.integers(0, 3),
    st.sampled_from([ACK, FIN | ACK, FIN, RST, SYN, SYN | ACK]), st.sampled_from([100, 100, 1 << 31])), max_size=400)


@quiet
@given(steps=steps, capacity=st.sampled_from([0, 1, 63, 64, 100, 1000]), timeout=st.sampled_from([SECOND // 2, 2 * SECOND, 1100 * SECOND, 1_000_000 * SECOND]),
       interval=st.sampled_from([0, 1000, SECOND // 10]), latency=st.sampled_from([0, 5000, SECOND]),
       lag=st.sampled_from([0, SECOND // 2, 3 * SECOND]), snoop=st.sampled_from([0, 250]))
def test_the_table_does_what_a_naive_one_does(steps, capacity, timeout, interval, latency, lag, snoop):
    table = Table(capacity=capacity, timeout=timeout, interval=interval, latency=latency, lag=lag, snoop=snoop)
    naive = Naive(capacity, timeout, interval, latency, lag, snoop)
    asked, session_of, now = set(), {}, START
    table.tick(START // SECOND)

    def settle(mine, theirs):
        assert {owner: session > 0 for owner, session in (mine or {}).items()} == (theirs or {})
        for owner, session in (mine or {}).items():
            asked.discard(owner)
            if session:
                session_of[owner] = session

    def ended():
        mine = table.closed()
        assert sorted(mine) == sorted(naive.closed)
        naive.closed.clear()
        for owner, _, _ in mine:
            del session_of[owner]

    for what, owner, later, to_client, action, flags, length in steps:
        if (now + later) // SECOND > now // SECOND:
            settle(table.tick((now + later) // SECOND), naive.tick((now + later) // SECOND))
            ended()
        now += later
        if what == "ask" and owner not in asked and owner not in session_of:
            assert table.may_ask(now) == (now >= naive.back_off)
            if table.may_ask(now):
                asked.add(owner)
                settle(table.ask(owner, action, now), naive.ask(owner, action, now))
        elif what == "withdraw" and owner in asked:
            table.withdraw(owner)
            naive.batch = [one for one in naive.batch if one[0] != owner]
            asked.discard(owner)
        elif owner in session_of and what == "packet":
            assert table.hit(session_of[owner], length, to_client, now) == naive.hit(owner, length, to_client, now)
            if owner in naive.sessions:
                assert table.told(session_of[owner], now) == naive.told(owner, now)
        elif owner in session_of and what == "control":
            assert bool(table.is_control(session_of[owner], flags)) == naive.is_control(owner, flags)
            if naive.is_control(owner, flags):
                assert table.control(session_of[owner], flags, to_client, now) == naive.control(owner, flags, to_client)
        elif owner in session_of and what == "delete":
            table.delete(session_of[owner], now)
            naive.end(owner, DELETED)
        ended()
        assert table.counters["used"] == len(naive.sessions) <= capacity


@pytest.mark.parametrize("lag", [0, SECOND])
def test_what_outgrows_its_line_counts_on(lag):
    """65,535 packets between two reports, and 4 GiB: the counters move to a row, which serves another session afterwards."""
    table = Table(capacity=64, timeout=3600 * SECOND, lag=lag)
    table.fill(START)
    for _ in range(65_600):
        table.hit(1, 10, False, START)
    assert table.told(1, START) == (((0, 0), (0, 0)) if lag else ((65_600, 0), (656_000, 0)))
    assert table.told(1, START + SECOND) == ((65_600, 0), (656_000, 0))
    assert table.counters["outgrown"] == (1 if lag else 0)
    for _ in range(3):
        table.hit(1, 0xffffffff, True, START + SECOND)
    assert table.told(1, START + 2 * SECOND) == ((65_600, 3), (656_000, 3 * 0xffffffff))
    table.delete(1, START + 2 * SECOND)
    assert table.closed() == [(1, DELETED, (65_600, 3))]
    for _ in range(2):
        table.hit(2, 0xffffffff, False, START + 2 * SECOND)
    assert table.told(2, START + 3 * SECOND) == ((2, 0), (2 * 0xffffffff, 0)) and table.counters["outgrown"] == 1
    assert table.bytes_a_session == 64
