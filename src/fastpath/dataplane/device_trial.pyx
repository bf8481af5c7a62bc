"""The session table of the device by itself, for tests and for measuring it: what device.pxd does, call by call."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.device cimport *
from fastpath.dataplane.threads cimport clock_ns

HITS = ("drop", "forward", "copy", "early", "idle")


cdef void note_end(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil:
    keep_closed(device, session, device.sessions[session - 1].owner, code, now)


cdef class Table:
    """One slice. settings: capacity, interval, latency, timeout, lag (ns), snoop (bytes), closed_room. Owners count from 1."""
    cdef device_t device

    def __init__(self, **settings):
        cdef device_config_t config = {"capacity": 0, "closed_room": 0, "interval": 0, "latency": 0, "timeout": 0, "lag": 0,
                                       "snoop": 0}
        config.capacity, config.closed_room = settings["capacity"], settings.get("closed_room", 4096)
        config.interval, config.latency = settings.get("interval", 0), settings.get("latency", 0)
        config.timeout, config.lag, config.snoop = settings["timeout"], settings.get("lag", 0), settings.get("snoop", 0)
        if open_device(&self.device, &config):
            raise MemoryError(f"no address space for a table of {config.capacity} sessions")
        self.device.sink = note_end

    def __dealloc__(self):
        close_device(&self.device)

    def may_ask(self, uint64_t now):
        return may_ask(&self.device, now)

    def ask(self, uint32_t owner, uint8_t action, uint64_t now):
        """{owner: session or 0} of the batch that this request closed; None where it stays open."""
        return self.settled(now) if ask_session(&self.device, owner, action, ASK_RULE, 0, now) else None

    def withdraw(self, uint32_t owner):
        withdraw_request(&self.device, owner)

    cdef dict settled(self, uint64_t now):
        settle_batch(&self.device, now)
        return {self.device.batch[i].owner: self.device.batch[i].session for i in range(self.device.settled)}

    def tick(self, uint64_t second):
        """{owner: session or 0} of the batch that closed, if one did."""
        cdef dict made = {}
        if batch_is_due(&self.device, second * SECOND_NS):
            made = self.settled(batch_closed_at(&self.device))
        tick_device(&self.device, second)
        return made

    def hit(self, uint32_t session, uint32_t length, bint to_client, uint64_t now):
        """One of HITS; an idle session is ended."""
        cdef uint8_t hit = hit_session(&self.device, session, length, to_client, now)
        if hit == HIT_IDLE:
            end_device_session(&self.device, session, CLOSE_TIMEOUT, now)
        return HITS[hit]

    def is_control(self, uint32_t session, uint8_t tcp_flags):
        return is_control(&self.device, session, tcp_flags)

    def control(self, uint32_t session, uint8_t tcp_flags, bint to_client, uint64_t now):
        """The close code, 0 for none; a closed session is ended."""
        cdef uint8_t code = follow_control(&self.device, session, tcp_flags, to_client)
        if code != CLOSE_NOT:
            end_device_session(&self.device, session, code, now)
        return code

    def delete(self, uint32_t session, uint64_t now):
        end_device_session(&self.device, session, CLOSE_UNKNOWN, now)

    def state(self, uint32_t session):
        return self.device.sessions[session - 1].state & STATE_MASK

    def told(self, uint32_t session, uint64_t now):
        """(packets, bytes) by direction, as they have been reported by now."""
        cdef counters_t told = told_counters(&self.device, &self.device.sessions[session - 1], now)
        return tuple(told.pkts), tuple(told.bytes)

    def closed(self):
        """(owner, close code, packets by direction) of what has ended since the last call, in order."""
        rows = []
        while self.device.closed_count:
            it = &self.device.closed[self.device.closed_first]
            rows.append((it.id, it.code, tuple(it.counters.pkts)))
            self.device.closed_first = (self.device.closed_first + 1) % self.device.config.closed_room
            self.device.closed_count -= 1
        return rows

    @property
    def counters(self):
        return {"used": self.device.used, "inserted": self.device.inserted, "full": self.device.full,
                "batches": self.device.batches, "closed_lost": self.device.closed_lost,
                "outgrown": self.device.grown_used}

    def fill(self, uint64_t now):
        """Inserts sessions until the table is full."""
        cdef request_t request
        request.asked, request.timeout, request.action, request.reason = now, 0, OFFLOAD_FORWARD, ASK_RULE
        while self.device.used < self.device.config.capacity:
            request.owner = self.device.used + 1
            insert_session(&self.device, &request, now)

    def measure(self, const uint32_t[::1] order, uint64_t now, uint32_t burst=128):
        """Nanoseconds a packet over hits on these sessions, in this order, each fetched one burst ahead as the worker does."""
        cdef uint64_t i, ahead, n = order.shape[0], started, forwarded = 0
        cdef device_t *device = &self.device
        with nogil:
            started = clock_ns()
            for i in range(n):
                if i % burst == 0:
                    for ahead in range(i + burst, min(i + 2 * burst, n)):
                        fetch_session(device, order[ahead])
                forwarded += hit_session(device, order[i], 1000, i & 1, now) == HIT_FORWARD
            started = clock_ns() - started
        if forwarded != n:
            raise AssertionError(f"{n - forwarded} of {n} packets were not forwarded")
        return started / n

    @property
    def bytes_a_session(self):
        return sizeof(session_t)
