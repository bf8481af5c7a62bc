# See telemetry.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, put_raw
from fastpath.dataplane.hash cimport flow_id_of, flow_key_of, hash_key
from fastpath.dataplane.log cimport log_row_t
from fastpath.dataplane.types cimport (
    FLOW_REVERSED, NET_IPV4, NET_IPV6, NET_NONE, NO_INDEX, PM_KEYED, PM_QUOTED, PM_REASSEMBLED, PM_REVERSED, PM_TO_CLIENT,
    SOURCE_DEFRAG, alert_row_t, app_row_t, burst_t, event_row_t, flow_key_t, flow_row_t, flow_t, packet_meta_t, verdict_run_t,
    verdict_t,
)
from fastpath.dataplane.wire.vlan cimport read_vlans
from fastpath.dataplane.wire.walk cimport LINKTYPE_ETHERNET


cdef void open_buffer(row_buffer_t *buffer, uint32_t size) noexcept nogil:
    memset(buffer, 0, sizeof(row_buffer_t))
    buffer.size = size


cdef void close_buffer(row_buffer_t *buffer) noexcept nogil:
    free(buffer.rows)
    free(buffer.order)
    open_buffer(buffer, buffer.size)


cdef void open_rows(rows_t *rows) noexcept nogil:
    open_buffer(&rows.alerts, sizeof(alert_row_t))
    open_buffer(&rows.flows, sizeof(flow_row_t))
    open_buffer(&rows.events, sizeof(event_row_t))
    open_buffer(&rows.apps, sizeof(app_row_t))
    open_buffer(&rows.log, sizeof(log_row_t))
    open_buffer(&rows.denials, sizeof(policy_row_t))
    memset(&rows.bytes, 0, sizeof(rows.bytes))


cdef void close_rows(rows_t *rows) noexcept nogil:
    close_buffer(&rows.alerts)
    close_buffer(&rows.flows)
    close_buffer(&rows.events)
    close_buffer(&rows.apps)
    close_buffer(&rows.log)
    close_buffer(&rows.denials)
    free(rows.bytes.data)
    memset(&rows.bytes, 0, sizeof(rows.bytes))


cdef bint make_room(row_buffer_t *buffer, uint32_t more) noexcept nogil:
    cdef uint32_t room = buffer.room if buffer.room else 64
    cdef void *rows
    cdef void *order
    while room < buffer.used + more:
        room *= 2
    if room == buffer.room:
        return True
    rows = realloc(buffer.rows, <size_t>room * buffer.size)
    if rows == NULL:
        return False
    buffer.rows = <char *>rows
    order = realloc(buffer.order, <size_t>room * sizeof(uint64_t))
    if order == NULL:
        return False
    buffer.order = <uint64_t *>order
    buffer.room = room
    return True


cdef void *add_row(row_buffer_t *buffer, uint64_t order) noexcept nogil:
    cdef void *row
    if buffer.used == buffer.room and not make_room(buffer, 1):
        buffer.lost += 1
        return NULL
    row = buffer.rows + <size_t>buffer.used * buffer.size
    memset(row, 0, buffer.size)
    buffer.order[buffer.used] = order
    buffer.used += 1
    return row


cdef void merge_rows(row_buffer_t *into, row_buffer_t **buffers, uint32_t n) noexcept nogil:
    cdef uint32_t[64] at
    cdef uint32_t i, best, total = 0
    for i in range(n):
        at[i] = 0
        total += buffers[i].used
        into.lost += buffers[i].lost
        buffers[i].lost = 0
    if total == 0:
        return
    if not make_room(into, total):
        into.lost += total
    else:
        while total:
            best = n
            for i in range(n):
                if at[i] < buffers[i].used and (best == n or buffers[i].order[at[i]] < buffers[best].order[at[best]]):
                    best = i
            memcpy(into.rows + <size_t>into.used * into.size, buffers[best].rows + <size_t>at[best] * into.size, into.size)
            into.order[into.used] = buffers[best].order[at[best]]
            into.used += 1
            at[best] += 1
            total -= 1
    for i in range(n):
        buffers[i].used = 0


cdef void merge_app_rows(rows_t *into, rows_t *workers, uint32_t n) noexcept nogil:
    cdef row_buffer_t *buffers[64]
    cdef uint32_t i, first = into.apps.used
    cdef app_row_t *row
    for i in range(n):
        buffers[i] = &workers[i].apps
    merge_rows(&into.apps, buffers, n)
    for i in range(first, into.apps.used):
        row = <app_row_t *>(into.apps.rows + <size_t>i * into.apps.size)
        into.bytes.start = into.bytes.length
        into.bytes.failed = False
        if put_raw(&into.bytes, workers[row.worker].bytes.data + row.offset, row.length):
            row.offset = into.bytes.start
        else:
            row.offset = row.length = 0
            into.apps.lost += 1
        row.worker = 0
    for i in range(n):
        workers[i].bytes.length = 0


cdef app_row_t *begin_app_row(rows_t *rows, uint64_t order, uint32_t worker, const flow_t *flow, uint8_t kind) noexcept nogil:
    cdef app_row_t *row = <app_row_t *>add_row(&rows.apps, order)
    if row == NULL:
        return NULL
    row.kind = kind
    row.worker = <uint8_t>worker
    if flow != NULL:
        row.key = flow_key_of(flow)
        row.reversed = (flow.flags & FLOW_REVERSED) != 0
        row.flow = flow_id_of(<uint32_t>hash_key(&row.key), flow.first_ordinal)
        row.flow_start = flow.first_ts
    row.offset = rows.bytes.start = rows.bytes.length
    rows.bytes.failed = False
    rows.bytes.depth = 0
    open_map(&rows.bytes)
    return row


cdef void end_app_row(rows_t *rows, bint said) noexcept nogil:
    cdef app_row_t *row = <app_row_t *>(rows.apps.rows + <size_t>(rows.apps.used - 1) * rows.apps.size)
    close_nested(&rows.bytes)
    if said and not rows.bytes.failed:
        row.length = <uint32_t>(rows.bytes.length - rows.bytes.start)
        return
    rows.apps.lost += rows.bytes.failed
    rows.bytes.length = rows.bytes.start
    rows.apps.used -= 1


cdef void write_flow_row(flow_row_t *row, const flow_t *flow, uint8_t end, uint64_t ordinal) noexcept nogil:
    row.key = flow_key_of(flow)
    row.flow = flow_id_of(<uint32_t>hash_key(&row.key), flow.first_ordinal)
    row.first_ordinal = flow.first_ordinal
    row.end_ordinal = ordinal
    row.start = flow.first_ts
    row.last = flow.last
    memcpy(row.bytes, flow.bytes, sizeof(flow.bytes))
    memcpy(row.pkts, flow.pkts, sizeof(flow.pkts))
    row.rule = flow.rule
    row.flags = flow.flags
    row.state = flow.state
    row.end = end
    row.tcp_state = flow.tcp_state
    row.tcp_flags[0] = flow.tcp_flags[0]
    row.tcp_flags[1] = flow.tcp_flags[1]
    row.reason = flow.reason
    if flow.more != NULL:
        row.alerts = flow.more.alerts
        row.offloaded_bytes = flow.more.offloaded_bytes
        row.offloaded_pkts = flow.more.offloaded_pkts
        row.dropped_bytes = flow.more.dropped_bytes
        row.dropped_pkts = flow.more.dropped_pkts
        row.errored_bytes = flow.more.errored_bytes
        row.errored_pkts = flow.more.errored_pkts


cdef uint8_t write_end_points(flow_key_t *row, const burst_t *burst, uint32_t entry) noexcept nogil:
    """The end points of an entry, in a row's key; 1 when the source is the second. They are those of its flow key, but for an
    ICMP error, whose key is that of the packet it quotes, and for an IP packet that has none: the header tells theirs."""
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef uint32_t size = 4 if meta.net == NET_IPV4 else 16
    cdef const uint8_t *source
    if meta.net == NET_NONE:
        row.tunnel = burst.key[entry].tunnel
        return 0
    row[0] = burst.key[entry]
    if meta.flags & PM_KEYED and not meta.flags & PM_QUOTED:
        return (meta.flags & PM_REVERSED) != 0
    if meta.net == NET_IPV4 or meta.net == NET_IPV6:
        source = meta.frame + meta.l3 + (12 if meta.net == NET_IPV4 else 8)
        memset(row.addr, 0, sizeof(row.addr))
        memset(row.port, 0, sizeof(row.port))
        memcpy(row.addr[0], source, size)
        memcpy(row.addr[1], source + size, size)
        row.proto = meta.proto
        row.net = meta.net
    return 0


cdef void write_alert_row(alert_row_t *row, const burst_t *burst, uint32_t entry, uint32_t rank, const flow_t *flow,
                          uint32_t rule,
                          uint32_t index, uint8_t action) noexcept nogil:
    cdef const packet_meta_t *meta = &burst.meta[entry]
    row.ordinal = burst.first_ordinal + meta.packet
    row.ts = meta.ts
    row.rule = rule
    row.index = <uint16_t>index
    row.entry = <uint16_t>rank
    row.action = action
    row.net = meta.net
    row.depth = meta.depth
    row.tunnel_id = meta.tunnel_id
    row.qfi = meta.qfi
    row.icmp_type = meta.icmp_type
    row.icmp_code = meta.icmp_code
    row.reversed = write_end_points(&row.key, burst, entry)
    if meta.depth == 0 and row.key.vlan[0] == 0 and meta.linktype == LINKTYPE_ETHERNET:
        read_vlans(meta.frame, meta.caplen, row.key.vlan)
    if meta.flags & PM_REASSEMBLED:
        row.source = SOURCE_DEFRAG
    if meta.depth or meta.flags & PM_REASSEMBLED:
        row.outer_reversed = write_end_points(&row.outer, burst, meta.packet)
    if flow != NULL:
        row.has_flow = 1
        row.flow = flow_id_of(meta.hash, flow.first_ordinal)
        row.flow_start = flow.first_ts
        row.to_client = (meta.flags & PM_TO_CLIENT) != 0
        memcpy(row.bytes, flow.bytes, sizeof(flow.bytes))
        memcpy(row.pkts, flow.pkts, sizeof(flow.pkts))


cdef void write_event_rows(row_buffer_t *buffer, const burst_t *burst, uint32_t entry, uint32_t rank,
                           uint64_t *counts) noexcept nogil:
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef uint16_t note = meta.events
    cdef event_row_t *row
    while note != NO_INDEX:
        counts[burst.notes[note].code] += 1
        row = <event_row_t *>add_row(buffer, entry_order(meta.packet, rank))
        if row != NULL:
            row.ordinal = burst.first_ordinal + meta.packet
            row.ts = meta.ts
            row.code = burst.notes[note].code
            row.entry = <uint16_t>rank
            row.net = meta.net
            row.reversed = write_end_points(&row.key, burst, entry)
        note = burst.notes[note].next


cdef void add_run(row_buffer_t *runs, const verdict_t *verdict, uint64_t n) noexcept nogil:
    cdef verdict_run_t *run
    if runs.used:
        run = <verdict_run_t *>(runs.rows + <size_t>(runs.used - 1) * runs.size)
        if (run.rule == verdict.rule and run.action == verdict.action and run.reason == verdict.reason
                and run.ledger == verdict.ledger):
            run.packets += n
            return
    run = <verdict_run_t *>add_row(runs, 0)
    if run != NULL:
        run.packets = n
        run.rule = verdict.rule
        run.action = verdict.action
        run.reason = verdict.reason
        run.ledger = verdict.ledger


cdef void rebin(throughput_t *throughput, uint64_t low, uint64_t high) noexcept nogil:
    """Bins for all seconds from `low` to `high`, those that there are among them."""
    cdef bin_t[512] before
    cdef uint64_t width = throughput.width, first, at
    cdef uint32_t i
    memcpy(before, throughput.bins, sizeof(before))
    while high // width - low // width >= BINS:
        width *= 2
    first = low // width * width
    memset(throughput.bins, 0, sizeof(throughput.bins))
    for i in range(throughput.used):
        at = (throughput.first + i * throughput.width - first) // width
        throughput.bins[at].packets += before[i].packets
        throughput.bins[at].bytes += before[i].bytes
        throughput.bins[at].dropped += before[i].dropped
    throughput.width = width
    throughput.first = first
    throughput.used = <uint32_t>((high - first) // width + 1)


cdef bin_t *bin_of(throughput_t *throughput, uint64_t second) noexcept nogil:
    cdef uint64_t last, at
    if throughput.width == 0:
        throughput.width = 1
        throughput.first = second
    if second < throughput.first or second - throughput.first >= BINS * throughput.width:
        last = throughput.first + throughput.used * throughput.width - 1
        rebin(throughput, second if second < throughput.first else throughput.first, second if second > last else last)
    at = (second - throughput.first) // throughput.width
    if at >= throughput.used:
        throughput.used = <uint32_t>at + 1
    return &throughput.bins[at]


cdef void keep_packet(kept_t *kept, const burst_t *burst, uint32_t packet, uint32_t why) noexcept nogil:
    cdef const packet_meta_t *meta = &burst.meta[packet]
    cdef uint64_t need = kept.used + sizeof(kept_head_t) + meta.caplen
    cdef uint64_t room
    cdef kept_head_t head
    cdef char *grown
    if need > kept.room:
        room = 2 * need
        grown = <char *>realloc(kept.bytes, room)
        if grown == NULL:
            kept.lost += 1
            return
        kept.bytes = grown
        kept.room = room
    memset(&head, 0, sizeof(head))
    head.ordinal = burst.first_ordinal + packet
    head.ts = meta.ts
    head.caplen = meta.caplen
    head.wirelen = meta.wirelen
    head.linktype = meta.linktype
    head.why = why
    head.interface = burst.interface[packet] if burst.has_interfaces else 0
    memcpy(kept.bytes + kept.used, &head, sizeof(head))
    memcpy(kept.bytes + kept.used + sizeof(head), meta.frame, meta.caplen)
    kept.used = need


cdef void close_kept(kept_t *kept) noexcept nogil:
    free(kept.bytes)
    memset(kept, 0, sizeof(kept_t))
