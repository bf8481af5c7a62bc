"""Protocol rooms from Python, for tests: bytes in, transactions out, without packets, streams or rules."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import msgspec

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.dispatch cimport (
    app_table_t, close_session, feed_bytes, feed_datagram, feed_inner, free_done, free_work, open_session, open_table,
    room_of,
)
from fastpath.dataplane.applayer.expectations cimport EXPECTED_NAME_MAX, announced_t, expectation_t
from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, writer_t
from fastpath.dataplane.applayer.sight cimport sight_t
from fastpath.dataplane.applayer.keyring cimport KeyRing
from fastpath.dataplane.pool cimport bytes_append, bytes_free, close_pool
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, ACCOUNT_FLOW, bytes_t, flow_more_t, flow_t, pool_t

from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_EVENTS, PROTOCOL_NUMBERS

PROTOCOL_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}
EVENT_NAMES = {number: f"{proto}.{name}" for (proto, name), number in APP_EVENTS.items()}


cdef struct delivered_t:        # what a room has decrypted
    const app_table_t *table
    pool_t pool
    bytes_t plain[2]
    uint32_t ends[2]            # directions of which no more can be decrypted


cdef void deliver(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                  uint32_t flags) noexcept nogil:
    cdef delivered_t *delivered = <delivered_t *> context.work.worker
    delivered.ends[direction] += flags & PARSE_GAP != 0
    bytes_append(&delivered.pool, ACCOUNT_APPLAYER, &delivered.plain[direction], data, length)
    feed_inner(delivered.table, context, direction, data, length, flags)


cdef class RoomTrial:
    """One session of one flow.

    proto: the name of its protocol, or None to have it recognised from what is fed. ports: of client and server. udp: datagrams.
    memory: cap of the session's pool, bytes. asked: somebody looks at what is parsed. keys: a KeyRing with which it is decrypted,
    by at most `ciphers` cipher contexts. settings: as dispatch takes them.
    """
    cdef app_table_t table
    cdef flow_t flow
    cdef flow_more_t more
    cdef pool_t pool
    cdef app_work_t work
    cdef app_context_t context
    cdef announced_t announced
    cdef expectation_t expected
    cdef bint udp
    cdef sight_t sight
    cdef delivered_t delivered
    cdef KeyRing keys
    cdef bytes held             # keeps the bytes of the latest call: views point into them
    cdef list left              # what the latest call of each direction did not consume
    cdef uint32_t passed[2]     # of that, what was consumed since, when the other direction was recognised

    def __init__(self, proto=None, *, ports=(40000, 0), bint udp=False, uint64_t memory=1 << 26, bint asked=True,
                 KeyRing keys=None, uint32_t ciphers=2, **settings):
        cdef uint32_t number
        open_table(&self.table, settings)
        self.udp = udp
        self.flow.key.proto = 17 if udp else 6
        self.flow.key.port[0], self.flow.key.port[1] = ports
        self.flow.more = &self.more
        self.flow.tcp_state = 3     # established
        self.left = [b"", b""]
        self.context.hold_max[0] = self.context.hold_max[1] = 100000
        self.pool.cap[ACCOUNT_APPLAYER] = memory
        self.pool.cap[ACCOUNT_FLOW] = memory
        self.work.room = <uint8_t *> calloc(1, WORK_ROOM)
        if self.work.room == NULL:
            raise MemoryError
        self.work.announced = &self.announced
        self.work.asked.protos = self.work.asked.contents = <uint64_t> -1 if asked else 0
        self.work.llm = self.table.config.llm.always
        if keys is not None:
            self.keys = keys
            self.table.config.tls.keys[0] = &keys.ring
            self.sight.ciphers_max = ciphers
            self.delivered.table = &self.table
            self.delivered.pool.cap[ACCOUNT_APPLAYER] = 1 << 30
            self.work.plain = <uint8_t *> calloc(1, PLAIN_ROOM)
            if self.work.plain == NULL:
                raise MemoryError
            self.work.worker = &self.delivered
            self.work.deliver = deliver
            self.context.sight = &self.sight
        self.context.flow = &self.flow
        self.context.pool = &self.pool
        self.context.config = &self.table.config
        self.context.work = &self.work
        self.context.ordinal = 1
        if not open_session(&self.context):
            raise MemoryError("the session does not fit its memory")
        if proto is not None:
            number = PROTOCOL_NUMBERS[proto]
            if self.table.room[number].parse == NULL:
                raise ValueError(f"{proto} has no room")
            self.context.app.proto = number
            self.context.app.seen[0] = self.context.app.seen[1] = number
            self.context.app.flags |= APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT

    def __dealloc__(self):
        cdef uint32_t direction
        if self.context.app != NULL:
            close_session(&self.table, &self.context)
        close_pool(&self.pool)
        for direction in range(2):
            bytes_free(&self.delivered.pool, ACCOUNT_APPLAYER, &self.delivered.plain[direction])
        close_pool(&self.delivered.pool)
        free(self.work.plain)
        free_work(&self.work)
        free(self.work.room)

    def close(self):
        """Ends the session; returns the bytes of the pool that it has not given back, by account."""
        close_session(&self.table, &self.context)
        return {"flow": self.pool.used[ACCOUNT_FLOW], "applayer": self.pool.used[ACCOUNT_APPLAYER]}

    def feed(self, uint32_t direction, bytes data not None=b"", *, uint32_t gap=0, bint eof=False):
        """Bytes of a direction (0 to server, 1 to client), or `gap` missing ones. Returns how many were consumed: what was not
        is to be fed again, with more behind it. A datagram is always consumed whole."""
        cdef uint32_t flags = PARSE_EOF if eof else 0
        cdef uint32_t passed = self.passed[direction], used
        if self.udp:
            self.held = data
            return feed_datagram(&self.table, &self.context, direction, <const uint8_t *> <const char *> data, len(data))
        if (data or gap) and not self.context.spoke_first:
            self.context.spoke_first = <uint8_t> (1 << direction)
        if gap:
            return feed_bytes(&self.table, &self.context, direction, NULL, gap, flags | PARSE_GAP)
        self.passed[direction] = 0
        data = data[passed:]
        used = self.show(direction, data, flags)
        if self.context.app.flags & APP_TURN_TO_SERVER << direction:
            self.passed[1 - direction] += self.show(1 - direction, self.left[1 - direction], 0)
            used = self.show(direction, data, flags)
        return passed + used

    cdef uint32_t show(self, uint32_t direction, bytes data, uint32_t flags):
        cdef uint32_t used
        self.held = data
        self.context.held[direction] = len(data)
        used = feed_bytes(&self.table, &self.context, direction, <const uint8_t *> <const char *> data, len(data), flags)
        self.left[direction] = data[used:]
        return used

    def stream(self, uint32_t direction, pieces, *, bint eof=False):
        """Feeds pieces of a direction as a stream does: what is not consumed is shown again before what follows. Returns what
        is left."""
        held = b""
        for piece in pieces:
            held += piece
            held = held[self.feed(direction, held):]
        if eof:
            held = held[self.feed(direction, held, eof=True):]
        return held

    def expect(self, uint32_t direction, uint32_t command, bytes name not None):
        """Makes this flow one that another told of: in which direction its data flow, by which command, under which name."""
        self.expected.direction = direction
        self.expected.command = command
        self.expected.name_length = min(len(name), EXPECTED_NAME_MAX)
        memcpy(self.expected.name, <const char *> name, self.expected.name_length)
        self.context.app.expected = &self.expected

    def take_announced(self):
        """Flows that the room has told of since the latest call: (direction, port, command, name)."""
        found = [(self.announced.list[i].direction, self.announced.list[i].port, self.announced.list[i].command,
                  (<const char *> self.announced.list[i].name)[:self.announced.list[i].name_length])
                 for i in range(self.announced.count)]
        self.announced.count = 0
        return found

    @property
    def plain(self):
        """What was decrypted, by direction."""
        return tuple((<const char *> self.delivered.plain[i].data)[:self.delivered.plain[i].length]
                     if self.delivered.plain[i].length else b"" for i in range(2))

    @property
    def decryption(self):
        """Of this session: counters, cipher contexts in use, how often it was said of a direction that no more can be decrypted,
        the protocol inside."""
        return {"sessions": self.sight.sessions, "full": self.sight.full, "failed": self.sight.failed,
                "records": self.sight.records, "bytes": self.sight.bytes, "ciphers": self.sight.ciphers,
                "ends": (self.delivered.ends[0], self.delivered.ends[1]),
                "opened": (self.context.app.opened[0], self.context.app.opened[1]),
                "inside": (PROTOCOL_NAMES[self.context.app.inner.proto]
                           if self.context.app != NULL and self.context.app.inner != NULL else None)}

    @property
    def ciphers(self):
        """Cipher contexts in use, after close too."""
        return self.sight.ciphers

    @property
    def proto(self):
        return PROTOCOL_NAMES[self.context.app.proto]

    @property
    def application(self):
        """By all that looks at the bytes: beyond.pxd too, with the setting `beyond`."""
        return PROTOCOL_NAMES[application_of(self.context.app)]

    @property
    def seen(self):
        """What each direction by itself was recognised as."""
        return PROTOCOL_NAMES[self.context.app.seen[0]], PROTOCOL_NAMES[self.context.app.seen[1]]

    @property
    def stopped(self):
        """Directions that a parser gave up or was done with."""
        return (bool(self.context.app.flags & APP_STOPPED_TO_SERVER), bool(self.context.app.flags & APP_STOPPED_TO_CLIENT))

    @property
    def flags(self):
        return self.context.app.flags

    @property
    def need(self):
        return self.context.app.need[0], self.context.app.need[1]

    @property
    def memory(self):
        """Bytes of the pool in use."""
        return self.pool.used[ACCOUNT_APPLAYER]

    @property
    def events(self):
        """Of the session itself."""
        return [EVENT_NAMES[self.context.app.events[i]] for i in range(self.context.app.event_count)]

    def transactions(self):
        """Those alive: dicts of id, progress, flags, events, files."""
        cdef tx_t *tx = self.context.app.first
        cdef uint32_t i
        found = []
        while tx != NULL:
            found.append({"id": tx.id, "progress": (tx.progress[0], tx.progress[1]), "flags": tx.flags,
                          "events": [EVENT_NAMES[tx.events[i]] for i in range(tx.event_count)],
                          "files": [files_of(tx, 0), files_of(tx, 1)]})
            tx = tx.next
        return found

    cdef tx_t *find(self, uint64_t number) except NULL:
        cdef tx_t *tx = self.context.app.first
        while tx != NULL and tx.id != number:
            tx = tx.next
        if tx == NULL:
            raise KeyError(f"no transaction {number}")
        return tx

    def buffer(self, uint64_t tx, uint32_t direction, name, uint32_t index=0):
        """An inspect buffer: (bytes, offset, flags), None where there is none, or "later"; a number for numeric ones."""
        cdef view_t view
        cdef uint32_t state
        number, flags = APP_BUFFERS[name]
        memset(&view, 0, sizeof(view))
        state = room_of(&self.table, &self.context).buffer(&self.context, self.find(tx), direction, number, index, &view)
        if state == VIEW_NONE:
            return None
        if state == VIEW_LATER:
            return "later"
        data = (<const char *> view.data)[:view.length] if view.length else b""
        return int.from_bytes(data, "little") if flags & BUFFER_NUMBER else (data, view.offset, view.flags)

    def inspected(self, uint64_t tx, uint32_t direction):
        """Tells the room that the rules have seen this direction."""
        if room_of(&self.table, &self.context).inspected != NULL:
            room_of(&self.table, &self.context).inspected(&self.context, self.find(tx), direction)

    def log(self, uint64_t tx, uint32_t kind):
        """What the transaction says (LOG_TO_SERVER 0, LOG_TO_CLIENT 1, LOG_ALERT 2, LOG_LLM 3): a dict, wire bytes as bytes;
        None for nothing."""
        cdef writer_t writer
        memset(&writer, 0, sizeof(writer))
        try:
            open_map(&writer)
            if not room_of(&self.table, &self.context).log(&self.context, self.find(tx), kind, &writer):
                return None
            close_nested(&writer)
            if writer.failed or writer.depth:
                raise ValueError("the record is too large, or its maps are not closed")
            return msgspec.msgpack.decode((<const char *> writer.data)[:writer.length])
        finally:
            free(writer.data)

    def free_done(self):
        """Frees the transactions that are over, as if they had been inspected and written."""
        cdef tx_t *tx = self.context.app.first
        while tx != NULL:
            tx.flags |= TX_LOGGED_TO_SERVER | TX_LOGGED_TO_CLIENT
            tx = tx.next
        free_done(&self.table, &self.context, False)


cdef list files_of(tx_t *tx, uint32_t direction):
    cdef file_t *file = tx.files[direction]
    found = []
    while file != NULL:
        found.append({"id": file.id, "name": (<const char *> file.name.data)[:file.name.length] if file.name.length else b"",
                      "state": ("open", "closed", "truncated", "error")[file.state], "size": file.size, "flags": file.flags,
                      "data": (<const char *> file.data.data)[:file.data.length] if file.data.length else b"",
                      "base": file.base, "range": (file.start, file.end),
                      "md5": (<const char *> file.md5)[:16].hex(), "sha256": (<const char *> file.sha256)[:32].hex()})
        file = file.next
    return found
