# offload: between the flows of the inspectors and the sessions of the device. Part of _core.pyx.

cdef void end_session(engine_t *engine, uint32_t bucket, flow_t *flow) noexcept nogil:
    if flow.more != NULL and flow.more.session:
        delete_session(&engine.device[bucket], flow.more.session)
        flow.more.session = 0


cdef void ask_for_offload(engine_t *engine, uint32_t bucket, flow_t *flow, uint64_t now) noexcept nogil:
    """Punts the rest of a flow to the device: dropped there if it is to be dropped, else forwarded."""
    cdef flow_more_t *more
    if engine.device[bucket].capacity == 0 or flow.state == FLOW_CLOSED:
        return
    more = ensure_more(flow, &engine.bucket[bucket].pool)
    if more == NULL or more.session:
        return
    more.session = add_session(&engine.device[bucket], OFFLOAD_DROP if flow.flags & FLOW_DROP else OFFLOAD_FORWARD, now)
    if more.session:
        flow.flags |= FLOW_OFFLOADED


cdef bint hit_device(engine_t *engine, flow_t *flow, const packet_meta_t *meta, uint64_t now, verdict_t *verdict) noexcept nogil:
    """True when the device, not the inspectors, decides over this entry."""
    cdef uint8_t action
    if flow.more == NULL or flow.more.session == 0:
        if flow.flags & FLOW_BYPASS and engine.device[meta.bucket].capacity == 0 and not is_tcp_control(meta):
            raise_verdict(verdict, ACTION_PASS, REASON_OFFLOAD_FORWARD, LEDGER_OFFLOADED, flow.rule)
            return True
        return False
    if is_tcp_control(meta):
        return False
    action = hit_session(&engine.device[meta.bucket], flow.more.session, meta, now)
    if action == OFFLOAD_DROP:
        raise_verdict(verdict, ACTION_DROP, REASON_OFFLOAD_DROP, LEDGER_DROPPED, flow.rule)
    elif action == OFFLOAD_FORWARD:
        raise_verdict(verdict, ACTION_PASS, REASON_OFFLOAD_FORWARD, LEDGER_OFFLOADED, flow.rule)
    else:
        engine.device[meta.bucket].timed_out += 1
        end_session(engine, meta.bucket, flow)
        return False
    return True
