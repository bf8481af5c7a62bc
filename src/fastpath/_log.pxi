# log: a row of every entry for `fastpath offload` (log.pxd). Part of _core.pyx. With one worker and one bucket, so that a flow's
# number is its place in the one table, and alerts follow each other as the rows that tell of them do.

cdef void note_request(worker_t *worker, flow_t *flow) noexcept nogil:
    """A request to offload is taken back as soon as it is made: it is noted for the row, and the flow is inspected on."""
    worker.asked |= flow.flags & FLOW_BYPASS
    flow.flags &= ~<uint16_t>FLOW_BYPASS


cdef log_row_t *begin_log_row(worker_t *worker, uint64_t now) noexcept nogil:
    """A row that tells of the alerts since the one before; NULL without memory."""
    cdef log_row_t *row = <log_row_t *>add_row(&worker.rows.log, worker.order)
    if row == NULL:
        return NULL
    row.now = now
    row.alerts = <uint16_t>(worker.rows.alerts.used - worker.logged_alerts)
    row.stateful = worker.stateful
    worker.logged_alerts = worker.rows.alerts.used
    worker.stateful = 0
    return row


cdef inline bint is_encrypted(const flow_t *flow) noexcept nogil:
    return flow.more != NULL and flow.more.app != NULL and (<const app_t *>flow.more.app).flags & APP_NO_PAYLOAD != 0


cdef uint32_t flow_marks(const flow_t *flow, uint32_t told) noexcept nogil:
    """LOG_* of an entry, as its flow is after it."""
    return (LOG_FLOW | LOG_BEGIN * (flow.pkts[0] + flow.pkts[1] == 1) | LOG_CLOSED * (told & STREAM_CLOSED_NOW != 0)
            | LOG_OVER * (flow.state == FLOW_CLOSED) | LOG_DROP * (flow.flags & FLOW_DROP != 0)
            | LOG_PASS * (flow.flags & FLOW_PASS != 0) | LOG_LAST_ACK * (flow.tcp_state != TCP_CLOSED)
            | LOG_ENCRYPTED * is_encrypted(flow))


cdef void log_entry(engine_t *engine, worker_t *worker, const slot_t *slot, uint32_t entry, const flow_t *flow, uint32_t told,
                    uint64_t entered) noexcept nogil:
    """The inspectors are through with an entry."""
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    cdef log_row_t *row = begin_log_row(worker, slot.burst.now[meta.packet])
    if row == NULL:
        return
    row.size = meta.wirelen
    row.rss = <uint16_t>(meta.hash >> 16)
    row.flags = (LOG_LAST * (entry < slot.burst.packets) | LOG_DATA * (meta.payload_len > 0)
                 | LOG_INVALID * (meta.flags & PM_INVALID != 0) | LOG_CUT * (slot.verdict[entry].action >= ACTION_DROP))
    if flow != NULL:
        row.flow = <uint32_t>(flow - engine.bucket[meta.bucket].flows)
        row.flow_bytes = flow.bytes[0] + flow.bytes[1]
        row.flow_pkts = flow.pkts[0] + flow.pkts[1]
        row.flags |= (flow_marks(flow, told) | LOG_BYPASS * (worker.asked != 0) | LOG_TO_CLIENT * (meta.flags & PM_TO_CLIENT != 0)
                      | LOG_QUOTED * (meta.flags & PM_QUOTED != 0))
        if meta.proto == TCP and not meta.flags & PM_QUOTED:
            row.tcp_flags = meta.tcp_flags
            row.flags |= LOG_TCP
            if told & STREAM_REJECTED or (meta.flags & PM_L4_CHECKSUM and engine.stream.checksums):
                row.flags |= LOG_REJECTED
            row.stream = stream_size(flow, meta.flags // PM_TO_CLIENT & 1)
            row.flags |= LOG_DEPTH * (past_depth(&engine.stream, flow, meta.flags // PM_TO_CLIENT & 1) >= 0)
    worker.asked = 0
    row.ns = <uint32_t>min(clock_ns() - entered, <uint64_t>0xffffffff)


cdef void log_end(worker_t *worker, const bucket_t *bucket, const flow_t *flow) noexcept nogil:
    """A flow has ended; with it what was left of it was inspected."""
    cdef log_row_t *row = begin_log_row(worker, bucket.second * SECOND)
    if row == NULL:
        return
    row.flow = <uint32_t>(flow - bucket.flows)
    row.flags = LOG_FLOW | LOG_END | LOG_TCP * (flow.key.proto == TCP)
    row.stateful = 0xffff


cdef void log_emptied(worker_t *worker) noexcept nogil:
    """All flows have ended, and time begins anew."""
    cdef log_row_t *row = begin_log_row(worker, 0)
    if row != NULL:
        row.flags = LOG_EMPTY
