# isolation: entries of addresses that the operator has cut off. Part of _core.pyx.

cdef uint32_t end_isolated_sessions(engine_t *engine) noexcept nogil:
    """Takes the sessions of isolated flows back from the device: how many. Between bursts."""
    cdef uint32_t i, j, ended = 0
    cdef bucket_t *bucket
    cdef flow_t *flow
    cdef flow_key_t key
    for i in range(engine.buckets):
        bucket = &engine.bucket[i]
        if engine.device[i].used == 0:
            continue
        for j in range(bucket.fresh):
            flow = &bucket.flows[j]
            if not flow.flags & FLOW_OFFLOADED or flow.flags & FLOW_FREE or flow.more == NULL or flow.more.session == 0:
                continue
            key = flow_key_of(flow)
            if key_isolated(engine.isolation, &key, engine.time):
                end_session(engine, i, flow)
                ended += 1
    return ended


cdef bint isolate_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow,
                        uint64_t now) noexcept nogil:
    """True for an entry of an isolated address. In ips mode it goes no further: the end points never get it, so neither stream
    nor rules see it. In ids mode the verdict says so, and nothing is cut."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef verdict_t *verdict = &slot.verdict[entry]
    if not entry_isolated(engine.isolation, meta, &slot.burst.key[entry], now):
        return False
    slot.eventful[worker.number] = 1
    worker.isolated += 1
    if flow != NULL:
        end_session(engine, meta.bucket, flow)
    if not engine.inline_mode:
        raise_verdict(verdict, ACTION_PASS, REASON_ISOLATED, LEDGER_INSPECTED, NO_RULE)
        return True
    raise_verdict(verdict, ACTION_DROP, REASON_ISOLATED, LEDGER_DROPPED, NO_RULE)
    if meta.events != NO_INDEX:
        write_event_rows(&worker.rows.events, &slot.burst, entry, slot.steering.rank[entry], worker.events)
    if flow != NULL:
        count_in_ledger(engine, flow, meta, verdict.ledger)
        verdict.flow = flow_id_of(meta.hash, flow.first_ordinal)
    return True
