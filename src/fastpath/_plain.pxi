# plain: the way of an entry of a known flow where nobody asks but rules, and nothing is out of the ordinary: most of all entries.
# What it leaves out of inspect_entry (_worker.pxi) has nothing to do there. Part of _core.pyx.

cdef enum:
    STREAM_UNUSUAL = STREAM_REJECTED | STREAM_MIDSTREAM | STREAM_NO_SESSION | STREAM_NO_SEGMENT


cdef inline bint asks_rules_alone(const engine_t *engine, const slot_t *slot) noexcept nogil:
    """Is there nobody but the rules who has to do with entries?"""
    return (slot.rules != NULL and slot.policy == NULL and engine.isolation == NULL and engine.sessions and not engine.offloads
            and not engine.keep_log and not each_packet(engine))


cdef inline bint is_ordinary(const engine_t *engine, const slot_t *slot, uint32_t entry, const flow_t *flow,
                             uint64_t now) noexcept nogil:
    """Is this an entry of a flow that goes on, with nothing to say of either?"""
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    if ((meta.flags & (PM_KEYED | PM_INVALID | PM_QUOTED)) != PM_KEYED or meta.events != NO_INDEX or flow == NULL
            or flow.flags & (FLOW_FREE | FLOW_OFFLOADED | FLOW_DROP | FLOW_PASS | FLOW_BYPASS)
            or not flow_has_key(flow, &slot.burst.key[entry]) or is_timed_out(&engine.flow, flow, now)):
        return False
    return meta.proto == UDP or meta.proto == TCP and flow.more != NULL and not meta.tcp_flags & TCP_SYN


cdef inline void inspect_plainly(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry) noexcept nogil:
    """One entry where asks_rules_alone; what is not ordinary goes the whole way."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef flow_t *flow = slot.likely[entry]
    cdef uint64_t now = slot.burst.now[meta.packet]
    cdef uint32_t told = 0, rank = slot.steering.rank[entry]
    cdef bint decided = False
    if rarely(not is_ordinary(engine, slot, entry, flow, now)):
        inspect_entry(engine, worker, slot, entry, False)
        return
    worker.ordinal = slot.burst.first_ordinal + meta.packet
    worker.order = entry_order(meta.packet, rank)
    count_on_flow(&engine.flow, flow, meta, now, False)
    if meta.proto == TCP:
        told = track_session(engine, meta, flow, &slot.burst, entry, now)
        if rarely(told & STREAM_UNUSUAL):
            heed_stream(engine, worker, slot, entry, flow, told, &decided)
    inspect_session(engine, worker, slot, entry, flow, told, now, &decided)
    if rarely(meta.events != NO_INDEX):
        write_event_rows(&worker.rows.events, &slot.burst, entry, rank, worker.events)
    if not decided:
        inspect_by_rules(engine, worker, slot, entry, flow, told, now)
    settle_session(engine, worker, meta, flow, not flow.flags & (FLOW_DROP | FLOW_PASS | FLOW_BYPASS))
    if rarely(slot.verdict[entry].ledger != LEDGER_INSPECTED):
        count_in_ledger(engine, flow, meta, slot.verdict[entry].ledger)
