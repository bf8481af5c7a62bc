"""The session table against a naive one in Python: requests, batches, rate, latency, timeouts, lag, TCP's closing."""
from __future__ import annotations

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
            self.sessions[owner] = {"action": action, "force": force, "times": [], "pkts": [0, 0], "bytes": [0, 0], "fins": []}
        return {owner: True for owner, _, _ in batch}

    def seen(self, session, now):
        """The latest packet that was reported by now."""
        times = [session["force"], *session["times"]]
        if self.lag and now >= session["force"]:
            edge = now // self.lag * self.lag
            times = [time for time in times if time < edge] or [session["force"]]
        return times[-1]

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
        session["times"].append(now)
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
    st.sampled_from([0, 0, 1000, SECOND // 50, SECOND // 2, SECOND, 3 * SECOND, 1500 * SECOND]), st.booleans(), st.integers(0, 3),
    st.sampled_from([ACK, FIN | ACK, FIN, RST, SYN, SYN | ACK])), max_size=400)


@quiet
@given(steps=steps, capacity=st.sampled_from([0, 1, 63, 64, 100, 1000]), timeout=st.sampled_from([SECOND // 2, 2 * SECOND, 1100 * SECOND]),
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

    for what, owner, later, to_client, action, flags in steps:
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
            assert table.hit(session_of[owner], 100, to_client, now) == naive.hit(owner, 100, to_client, now)
        elif owner in session_of and what == "control":
            assert bool(table.is_control(session_of[owner], flags)) == naive.is_control(owner, flags)
            if naive.is_control(owner, flags):
                assert table.control(session_of[owner], flags, to_client, now) == naive.control(owner, flags, to_client)
        elif owner in session_of and what == "delete":
            table.delete(session_of[owner], now)
            naive.end(owner, DELETED)
        ended()
        assert table.counters["used"] == len(naive.sessions) <= capacity
