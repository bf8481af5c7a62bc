# plain: the way of an entry of a known flow where nobody asks but rules, and nothing is out of the ordinary: most of all entries.
# What it leaves out of inspect_entry (_worker.pxi) has nothing to do there. Part of _core.pyx. Read from the bottom up.

from fastpath.dataplane.applayer.dispatch cimport pass_transactions
from fastpath.dataplane.match.idle cimport asks_nothing, is_settled

cdef enum:
    STREAM_UNUSUAL = STREAM_REJECTED | STREAM_MIDSTREAM | STREAM_NO_SESSION | STREAM_NO_SEGMENT


cdef inline bint asks_rules_alone(const engine_t *engine, const slot_t *slot) noexcept nogil:
    """Is there nobody but the rules who has to do with entries?"""
    return (slot.rules != NULL and slot.policy == NULL and engine.isolation == NULL and engine.sessions and not engine.offloads
            and not engine.keep_log)


cdef inline bint is_sound(const packet_meta_t *meta) noexcept nogil:
    """Is this an entry of a flow, with no event to tell of?"""
    return (meta.flags & (PM_KEYED | PM_INVALID | PM_QUOTED)) == PM_KEYED and meta.events == NO_INDEX


cdef inline bint continues(const engine_t *engine, const flow_t *flow, const flow_key_t *key, uint64_t now) noexcept nogil:
    """Is it the flow of the key, one that goes on and about which nothing has been decided?"""
    return not (flow.flags & (FLOW_FREE | FLOW_OFFLOADED | FLOW_DROP | FLOW_PASS | FLOW_BYPASS)
                or not flow_has_key(flow, key) or is_timed_out(&engine.flow, flow, now))


cdef inline bint is_ordinary(const engine_t *engine, const slot_t *slot, uint32_t entry, const flow_t *flow,
                             uint64_t now) noexcept nogil:
    """Is this an entry of a flow that goes on, with nothing to say of either?"""
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    if not is_sound(meta) or flow == NULL or not continues(engine, flow, &slot.burst.key[entry], now):
        return False
    return meta.proto == UDP or meta.proto == TCP and flow.more != NULL and not meta.tcp_flags & TCP_SYN


cdef inline bint brings_nothing(const engine_t *engine, const worker_t *worker, const slot_t *slot, const packet_meta_t *meta,
                                const flow_t *flow, uint32_t told) noexcept nogil:
    """A TCP entry with which no byte goes to the application layer, no window of the stream is looked at, and no rule runs: an
    acknowledgment, or bytes that wait for one. `told`: what take_segment said."""
    cdef const app_t *app = <const app_t *>flow.more.app
    cdef uint32_t to_client = meta.flags // PM_TO_CLIENT & 1
    cdef uint32_t flags = INSPECT_IN_STREAM * (told & STREAM_IN != 0)
    if told & (STREAM_FED_TO_SERVER | STREAM_FED_TO_CLIENT):
        return False
    if app != NULL:
        if (app.flags & (APP_UPGRADE | APP_BYPASS) or app.inner != NULL or not is_settled(app, to_client)
                or app.flags & APP_SOUGHT_TO_SERVER << to_client and not app.flags & APP_TOLD_TO_SERVER << to_client
                or app.events_logged != app.event_count and engine.keep_apps):
            return False
        if app.flags & APP_NO_PAYLOAD:
            flags |= INSPECT_NO_PAYLOAD
    return asks_nothing(slot.rules, worker.scratch, meta, flow, flags) and (
        flags & INSPECT_NO_PAYLOAD or not raw_ready(&engine.stream, flow, meta, told))


cdef inline bint nobody_looks(const engine_t *engine, const worker_t *worker) noexcept nogil:
    """At the transactions of the session of worker.context: neither a rule nor a log nor anybody else."""
    cdef const app_t *app = worker.context.app
    return not (worker.work.asked.protos >> app.proto & 1 or worker.work.llm or engine.apps.config.files.models
                or app.inner != NULL or app.flags & APP_BYPASS)


cdef inline void inspect_and_settle(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow,
                                    uint64_t now) noexcept nogil:
    """What rules have to do with an entry, and what follows for its transactions; worker.inspection says what there is."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef inspection_t *inspection = &worker.inspection
    cdef uint32_t to_client = meta.flags // PM_TO_CLIENT & 1
    cdef bint idle = inspection.window_count == 0 and asks_nothing(slot.rules, worker.scratch, meta, flow, inspection.flags)
    cdef bint settled = (inspection.context == NULL or inspection.room == NULL or not inspection.flags & INSPECT_TX
                         or is_settled(inspection.context.app, to_client))
    if idle and not settled and nobody_looks(engine, worker):
        pass_transactions(&engine.apps, &worker.context, to_client)
        return
    if not (idle and settled) and match_entry(engine, worker, slot.rules, &slot.burst, entry, slot.steering.rank[entry], flow,
                                              now, &slot.verdict[entry]):
        slot.eventful[worker.number] = 1
    settle_transactions(engine, worker, meta, flow, not flow.flags & (FLOW_DROP | FLOW_PASS | FLOW_BYPASS))


cdef inline void inspect_plainly(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, bint wanted) noexcept nogil:
    """One entry where asks_rules_alone; what is not ordinary goes the whole way. `wanted`: somebody wants to know the flow of
    each packet."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef flow_t *flow = slot.likely[entry]
    cdef pool_t *pool = &engine.bucket[meta.bucket].pool
    cdef uint64_t now = slot.burst.now[meta.packet]
    cdef uint32_t told = 0
    cdef bint decided = False
    if rarely(not is_ordinary(engine, slot, entry, flow, now)):
        inspect_entry(engine, worker, slot, entry, False)
        return
    worker.ordinal = slot.burst.first_ordinal + meta.packet
    worker.order = entry_order(meta.packet, slot.steering.rank[entry])
    count_on_flow(&engine.flow, flow, meta, now, False)
    if wanted:
        slot.verdict[entry].flow = flow_id_of(meta.hash, flow.first_ordinal)
    if meta.proto == TCP:
        told = track_session(engine, meta, flow, &slot.burst, entry, now)
        if rarely(told & STREAM_UNUSUAL):
            heed_stream(engine, worker, slot, entry, flow, told, &decided)
        elif brings_nothing(engine, worker, slot, meta, flow, told):
            settle_stream(&engine.stream, pool, flow, meta, 0)
            return
    inspect_session(engine, worker, slot, entry, flow, told, now, &decided)
    if rarely(meta.events != NO_INDEX):
        write_event_rows(&worker.rows.events, &slot.burst, entry, slot.steering.rank[entry], worker.events)
    if rarely(decided):
        settle_transactions(engine, worker, meta, flow, not flow.flags & (FLOW_DROP | FLOW_PASS | FLOW_BYPASS))
    else:
        if meta.proto == TCP:
            open_windows(engine, worker, meta, flow, told)
        inspect_and_settle(engine, worker, slot, entry, flow, now)
    if meta.proto == TCP:
        settle_stream(&engine.stream, pool, flow, meta, worker.raw.progress)
    if rarely(slot.verdict[entry].ledger != LEDGER_INSPECTED):
        count_in_ledger(engine, flow, meta, slot.verdict[entry].ledger)
