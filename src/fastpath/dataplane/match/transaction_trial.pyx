"""Rules on transactions from Python, for tests: a protocol room that says what it is told, and entries that bring its
transactions forward. No engine, no parser."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastpath.dataplane.applayer.applayer cimport (
    APP_QUIET_TO_CLIENT, APP_QUIET_TO_SERVER, TX_EVENTS_MAX, VIEW_NONE, VIEW_READY, app_context_t, app_t, file_t, room_t, tx_t,
    view_t,
)
from fastpath.dataplane.match.database cimport Database, Scratch
from fastpath.dataplane.match.inspect cimport run_rules
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.pool cimport close_pool
from fastpath.dataplane.types cimport (
    ACCOUNT_APPLAYER, ACCOUNT_FLOW, NET_IPV4, NO_INDEX, PM_ESTABLISHED, PM_FLOW, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t,
    pool_t,
)

from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_EVENTS, PROTOCOL_NUMBERS

cdef enum:
    TOLD_MAX = 256              # buffers that one transaction may be told to have
    TXS_MAX = 64
    COMPLETE = 5                # progress at which either direction is over
    HEADERS = 34                # Ethernet and IPv4 in front of TCP or UDP

cdef struct told_t:
    uint32_t direction, buffer, index
    view_t view

cdef struct told_tx_t:
    tx_t tx
    uint32_t count, inspected
    told_t told[TOLD_MAX]


cdef uint32_t told_buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                          view_t *view) noexcept nogil:
    cdef told_tx_t *mine = <told_tx_t *> tx
    cdef uint32_t i
    for i in range(mine.count):
        if mine.told[i].direction == direction and mine.told[i].buffer == buffer and mine.told[i].index == index:
            view[0] = mine.told[i].view
            return VIEW_READY
    return VIEW_NONE


cdef void count_inspected(app_context_t *context, tx_t *tx, uint32_t direction) noexcept nogil:
    (<told_tx_t *> tx).inspected += 1


cdef class TransactionTrial:
    """One flow of an application protocol against a rule set. memory: cap of what transactions may remember, bytes."""
    cdef readonly Database database
    cdef readonly Scratch scratch
    cdef burst_t *burst
    cdef pool_t pool
    cdef flow_t flow
    cdef app_t app
    cdef app_context_t context
    cdef room_t room
    cdef told_tx_t *txs[TXS_MAX]
    cdef file_t files[TXS_MAX]
    cdef list held              # the bytes that views point into

    def __cinit__(self, Database database not None, str proto="http", *, uint64_t memory=1 << 24):
        self.database = database
        self.scratch = Scratch(database)
        self.pool.cap[ACCOUNT_APPLAYER] = self.pool.cap[ACCOUNT_FLOW] = memory
        self.scratch.at.pool = &self.pool
        self.burst = <burst_t *> calloc(1, sizeof(burst_t))
        if self.burst == NULL:
            raise MemoryError
        self.app.proto = PROTOCOL_NUMBERS[proto]
        self.app.seen[0] = self.app.seen[1] = self.app.proto
        self.room.proto = self.app.proto
        self.room.complete[0] = self.room.complete[1] = COMPLETE
        self.room.buffer = told_buffer
        self.room.inspected = count_inspected
        self.context.flow = &self.flow
        self.context.app = &self.app
        self.context.pool = &self.pool
        self.held = []

    def __dealloc__(self):
        cdef uint64_t i
        for i in range(self.app.next_tx):
            free(self.txs[i])
        close_pool(&self.pool)
        free(self.burst)

    cdef void parsed(self) noexcept:
        """As dispatch does with all that it hands to a room."""
        self.app.flags &= ~<uint32_t> (APP_QUIET_TO_SERVER | APP_QUIET_TO_CLIENT)

    def transaction(self):
        """A new transaction; its id."""
        cdef told_tx_t *tx
        if self.app.next_tx == TXS_MAX:
            raise ValueError("too many transactions")
        tx = <told_tx_t *> calloc(1, sizeof(told_tx_t))
        if tx == NULL:
            raise MemoryError
        self.parsed()
        tx.tx.id = self.app.next_tx
        self.txs[tx.tx.id] = tx
        if self.app.last == NULL:
            self.app.first = &tx.tx
        else:
            self.app.last.next = &tx.tx
        self.app.last = &tx.tx
        self.app.next_tx += 1
        return tx.tx.id

    def tell(self, uint32_t tx, uint32_t direction, str buffer, data, *, uint32_t index=0, uint64_t offset=0, uint32_t flags=0):
        """What a buffer holds from now on; an int for one that is a number."""
        cdef told_tx_t *mine = self.txs[tx]
        cdef uint32_t i, number = APP_BUFFERS[buffer][0]
        cdef bytes held = data.to_bytes(8, "little") if isinstance(data, int) else bytes(data)
        self.held.append(held)
        self.parsed()
        for i in range(mine.count):
            if mine.told[i].direction == direction and mine.told[i].buffer == number and mine.told[i].index == index:
                break
        else:
            i = mine.count
            if i == TOLD_MAX:
                raise ValueError("too many buffers")
            mine.count += 1
        mine.told[i].direction, mine.told[i].buffer, mine.told[i].index = direction, number, index
        mine.told[i].view.data = <const uint8_t *> <const char *> held
        mine.told[i].view.length = len(held)
        mine.told[i].view.offset = offset
        mine.told[i].view.flags = flags

    def progress(self, uint32_t tx, uint32_t direction, uint8_t progress):
        self.parsed()
        self.txs[tx].tx.progress[direction] = progress

    def event(self, uint32_t tx, str proto, str name):
        cdef tx_t *at = &self.txs[tx].tx
        if at.event_count == TX_EVENTS_MAX:
            raise ValueError("too many events")
        self.parsed()
        at.events[at.event_count] = APP_EVENTS[proto, name]
        at.event_count += 1

    def new_file(self, uint32_t tx, uint32_t direction):
        """One more file in a direction of a transaction."""
        cdef file_t *file = &self.files[self.app.files]
        if self.app.files == TXS_MAX:
            raise ValueError("too many files")
        self.parsed()
        self.app.files += 1
        file.id = self.app.files
        file.next = self.txs[tx].tx.files[direction]
        self.txs[tx].tx.files[direction] = file

    def inspected(self, uint32_t tx):
        """How often the room was told that a direction has been inspected."""
        return self.txs[tx].inspected

    @property
    def remembered(self):
        """Bytes that transactions take to remember rules."""
        return self.pool.used[ACCOUNT_APPLAYER]

    def inspect(self, packet, uint32_t direction=0, *, windows=(), bint in_stream=True, bint found=False, bint end=False,
                bint transactions=True):
        """An entry (Ethernet, IPv4 without options, TCP or UDP) in a direction, with windows of the raw stream (offset, bytes).

        Returns what matched in the order of alerts: (rule index, transaction or None, flags), flags of "alert", "flow", "stream",
        "state", "file", "pass".
        """
        cdef const uint8_t[::1] view = packet
        cdef packet_meta_t *meta = &self.burst.meta[0]
        cdef window_t *at = <window_t *> calloc(len(windows) + 1, sizeof(window_t))
        cdef inspection_t inspection
        cdef const match_t *match
        cdef uint32_t i, n
        cdef const uint8_t[::1] one
        if at == NULL:
            raise MemoryError
        try:
            memset(meta, 0, sizeof(packet_meta_t))
            memset(&inspection, 0, sizeof(inspection_t))
            meta.frame = &view[0]
            meta.caplen = meta.wirelen = view.shape[0]
            meta.l3, meta.l4 = 14, HEADERS
            meta.net = NET_IPV4
            meta.proto = view[23]
            meta.payload = HEADERS + (8 if meta.proto == 17 else (view[HEADERS + 12] >> 4) * 4)
            meta.payload_len = <uint16_t> (view.shape[0] - meta.payload)
            meta.events = NO_INDEX
            meta.flags = PM_FLOW | PM_ESTABLISHED | (PM_TO_CLIENT if direction else 0)
            self.flow.key.proto = meta.proto
            for i, (offset, data) in enumerate(windows):
                one = data
                at[i].data = &one[0] if one.shape[0] else NULL
                at[i].length = one.shape[0]
                at[i].offset = offset
            inspection.windows = at
            inspection.window_count = len(windows)
            inspection.context = &self.context
            inspection.room = &self.room
            inspection.flags = ((INSPECT_TX if transactions else 0) | (INSPECT_IN_STREAM if in_stream and meta.proto == 6 else 0)
                                | (INSPECT_PROTO_FOUND if found else 0) | (INSPECT_STREAM_END if end else 0))
            with nogil:
                n = run_rules(&self.database.rules, &self.scratch.at, self.burst, 0, &self.flow, &inspection, 0)
            found_ = []
            for i in range(n):
                match = &self.scratch.at.matches[i]
                flags = {name for name, flag in (("alert", MATCH_ALERT), ("flow", MATCH_FLOW), ("stream", MATCH_STREAM),
                                                 ("state", MATCH_STATE), ("file", MATCH_FILE)) if match.flags & flag}
                if match.kind == KIND_PASS:
                    flags.add("pass")
                found_.append((match.rule, None if match.tx == NULL else match.tx_id, flags))
            return found_
        finally:
            free(at)
