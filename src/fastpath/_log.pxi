# log: a row of every entry for `fastpath offload` (log.pxd). Part of _core.pyx. With one worker and one bucket, so that a flow's
# number is its place in the one table, and alerts follow each other as the rows that tell of them do.

cdef void note_request(worker_t *worker, flow_t *flow) noexcept nogil:
    """A request to offload is taken back as soon as it is made: it is noted for the row, and the flow is inspected on."""
    worker.asked |= flow.flags & FLOW_BYPASS
    flow.flags &= ~<uint16_t>FLOW_BYPASS


cdef void count_logged_alerts(worker_t *worker, log_row_t *row) noexcept nogil:
    row.alerts = <uint16_t>(worker.rows.alerts.used - worker.logged_alerts)
    worker.logged_alerts = worker.rows.alerts.used


cdef void log_entry(engine_t *engine, worker_t *worker, const slot_t *slot, uint32_t entry, const flow_t *flow, uint32_t told,
                    uint64_t entered) noexcept nogil:
    """The inspectors are through with an entry."""
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    cdef const app_t *app
    cdef uint64_t packets
    cdef log_row_t *row = <log_row_t *>add_row(&worker.rows.log, worker.order)
    if row == NULL:
        return
    row.now = slot.burst.now[meta.packet]
    row.size = meta.wirelen
    row.flags = <uint16_t>(LOG_LAST * (meta.depth == 0) | LOG_DATA * (meta.payload_len > 0) | LOG_INVALID * (meta.flags & PM_INVALID != 0)
                           | LOG_CUT * (slot.verdict[entry].action >= ACTION_DROP))
    count_logged_alerts(worker, row)
    row.stateful = worker.stateful
    worker.stateful = 0
    if flow != NULL:
        row.flow = <uint32_t>(flow - engine.bucket[meta.bucket].flows)
        row.flow_bytes = flow.bytes[0] + flow.bytes[1]
        packets = <uint64_t>flow.pkts[0] + flow.pkts[1]
        row.flags |= <uint16_t>(LOG_FLOW | LOG_BEGIN * (packets == 1) | LOG_TO_CLIENT * (meta.flags & PM_TO_CLIENT != 0)
                                | LOG_CLOSED * (told & STREAM_CLOSED_NOW != 0) | LOG_BYPASS * (worker.asked != 0)
                                | LOG_DROP * (flow.flags & FLOW_DROP != 0) | LOG_PASS * (flow.flags & FLOW_PASS != 0))
        if flow.key.proto == TCP and not meta.flags & PM_QUOTED:
            row.tcp_flags = meta.tcp_flags
            row.flags |= <uint16_t>(LOG_TCP | LOG_DEPTH * (told & STREAM_DEPTH_REACHED != 0))
            row.stream = max(stream_size(flow, TO_SERVER), stream_size(flow, TO_CLIENT))
        if flow.more != NULL and flow.more.app != NULL:
            app = <const app_t *>flow.more.app
            row.flags |= <uint16_t>(LOG_ENCRYPTED * (app.flags & APP_NO_PAYLOAD != 0))
    worker.asked = 0
    row.ns = <uint32_t>min(clock_ns() - entered, <uint64_t>0xffffffff)


cdef void log_end(worker_t *worker, const bucket_t *bucket, const flow_t *flow, uint64_t now) noexcept nogil:
    """A flow has ended; with it what was left of it was inspected."""
    cdef log_row_t *row = <log_row_t *>add_row(&worker.rows.log, worker.order)
    if row == NULL:
        return
    row.now = now
    row.flow = <uint32_t>(flow - bucket.flows)
    row.flags = LOG_FLOW | LOG_END | LOG_TCP * (flow.key.proto == TCP)
    count_logged_alerts(worker, row)
    row.stateful = 0xffff
    worker.stateful = 0
