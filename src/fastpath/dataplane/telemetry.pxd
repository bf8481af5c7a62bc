# telemetry: rows that leave the data plane, and their order.
#
# A worker writes rows into a buffer of its own, each with an order key; when a burst retires, the buffers of the workers are
# merged by that key, so that the number of workers shows nowhere. Keys, within a burst:
#     packet index << 16 | bucket                  what a tick before this packet ends
#     packet index << 16 | 1 << 15 | entry rank    what an entry of this packet does
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.msgpack cimport writer_t
from fastpath.dataplane.types cimport (
    alert_row_t, app_row_t, burst_t, event_row_t, flow_key_t, flow_row_t, flow_t, packet_meta_t, verdict_run_t, verdict_t,
)

cdef enum:                      # app_row_t.kind, beside enum app_row_kind
    APP_ROW_VARS = 32           # variables of a flow and its packet: of the alerts of an entry, or (ordinal 0) of a flow's end
    APP_ROW_CHUNK = 33          # bytes of a file that is, or may yet be, stored
    APP_ROW_NOTED = 34          # what a rule with `inventory` has captured: its rule, and version, client or client_version

cdef struct row_buffer_t:
    char *rows
    uint64_t *order
    uint32_t size               # of a row, bytes
    uint32_t used, room         # rows
    uint64_t lost               # for want of memory

cdef struct rows_t:
    row_buffer_t alerts, flows, events, apps, denials
    row_buffer_t log            # log_row_t (log.pxd), where one is kept
    writer_t bytes              # what the rows of apps say

cdef struct packet_row_t:       # mirrored by rows.PACKET
    uint64_t ordinal, ts, flow
    uint32_t rule, caplen, wirelen
    uint8_t action, reason, ledger, alerts

cdef struct policy_row_t:       # mirrored by rows.DENIAL: a flow that policy denies, once
    uint64_t ordinal            # of the packet with which it was; 0 for a flush at the flow's end
    uint64_t ts, flow
    flow_key_t key
    uint32_t line               # of the policy, NO_RULE for the default
    uint32_t source, target     # classes of endpoints, of who sent first and of the other
    uint32_t tunnel_id
    uint16_t policy             # its epoch
    uint16_t entry
    uint16_t data               # classes of data found in it
    uint8_t reversed            # the source is endpoint 1 of the key
    uint8_t app                 # enum alproto
    uint8_t action              # enum action
    uint8_t why                 # enum policy_why
    uint8_t reserved[6]

# Packets and bytes by second of engine time, in bins of equal width: when they are used up, the width doubles. A new capture
# may begin before the one that went before.
cdef enum:
    BINS = 512

cdef struct bin_t:
    uint64_t packets, bytes, dropped    # dropped: packets whose action cut them

cdef struct throughput_t:
    uint64_t width              # seconds a bin; 0 before the first packet
    uint64_t first              # second that the first bin begins with: a multiple of the width
    uint32_t used               # bins, from the first on
    bin_t bins[512]

# Packets that are to be written: a head each, its bytes behind it.
cdef struct kept_head_t:        # mirrored by outputs/pcapng.py
    uint64_t ordinal, ts
    uint32_t caplen, wirelen
    uint16_t linktype, interface
    uint32_t why                # KEEP_*

cdef enum:
    KEEP_ALERTS = 1             # packets that raised an alert
    KEEP_DROPS = 2              # packets that were dropped or rejected
    KEPT_MAX = 1 << 24          # bytes, after which they are to be taken

cdef struct kept_t:
    char *bytes
    uint64_t used, room
    uint64_t lost               # packets, for want of memory

cdef inline uint64_t entry_order(uint32_t packet, uint32_t rank) noexcept nogil:
    return <uint64_t>packet << 16 | 1 << 15 | rank

cdef inline uint64_t tick_order(uint32_t packet, uint32_t bucket) noexcept nogil:
    return <uint64_t>packet << 16 | bucket

cdef void open_buffer(row_buffer_t *buffer, uint32_t size) noexcept nogil
cdef void close_buffer(row_buffer_t *buffer) noexcept nogil
cdef void open_rows(rows_t *rows) noexcept nogil
cdef void close_rows(rows_t *rows) noexcept nogil

# Room for one more row, zeroed; NULL (and counted as lost) when memory is lacking.
cdef void *add_row(row_buffer_t *buffer, uint64_t order) noexcept nogil

# Moves the rows of n buffers to the end of another, in order; each buffer's own rows are in order already.
cdef void merge_rows(row_buffer_t *into, row_buffer_t **buffers, uint32_t n) noexcept nogil

# The same for the rows of apps, whose bytes move with them; `workers[i]` holds the rows of worker i.
cdef void merge_app_rows(rows_t *into, rows_t *workers, uint32_t n) noexcept nogil

# A row of apps about a flow, and an open map for what it says: the pairs go to rows.bytes, then end_app_row. NULL: no memory.
cdef app_row_t *begin_app_row(rows_t *rows, uint64_t order, uint32_t worker, const flow_t *flow, uint8_t kind) noexcept nogil

# Closes the map; or takes the row back, where there is nothing to say or it does not fit (then it is counted as lost).
cdef void end_app_row(rows_t *rows, bint said) noexcept nogil

cdef void write_flow_row(flow_row_t *row, const flow_t *flow, uint8_t end, uint64_t ordinal) noexcept nogil
cdef void write_alert_row(alert_row_t *row, const burst_t *burst, uint32_t entry, uint32_t rank, const flow_t *flow,
                          uint32_t rule,
                          uint32_t index, uint8_t action) noexcept nogil
cdef void write_event_rows(row_buffer_t *buffer, const burst_t *burst, uint32_t entry, uint32_t rank,
                           uint64_t *counts) noexcept nogil

# A copy of a wire packet of the burst.
cdef void keep_packet(kept_t *kept, const burst_t *burst, uint32_t packet, uint32_t why) noexcept nogil
cdef void close_kept(kept_t *kept) noexcept nogil

# The bin of a second.
cdef bin_t *bin_of(throughput_t *throughput, uint64_t second) noexcept nogil

# Adds n packets with this verdict to the runs: the last run is lengthened where the verdict is the same.
cdef void add_run(row_buffer_t *runs, const verdict_t *verdict, uint64_t n) noexcept nogil
