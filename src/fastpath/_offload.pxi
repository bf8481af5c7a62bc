# offload: between the flows of the inspectors and the sessions of the device. Part of _core.pyx. A flow names its session by
# number; a session names its flow (owner) by the flow's number in its bucket.

cdef enum:
    SESSION_ASKED = 0xffffffff  # flow_more_t.session: the request waits in the batch


cdef inline uint32_t owner_of(const engine_t *engine, uint32_t bucket, const flow_t *flow) noexcept nogil:
    return <uint32_t>(flow - engine.bucket[bucket].flows) + 1


cdef void lose_session(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil:
    """The sink of every slice: a session has ended."""
    cdef engine_t *engine = <engine_t *>device.context
    cdef flow_t *flow = &engine.bucket[device.number].flows[device.sessions[session - 1].owner - 1]
    flow.more.session = 0
    keep_closed(device, session, session_id(device, session), code, now)


cdef inline uint64_t session_id(const device_t *device, uint32_t session) noexcept nogil:
    """The name of a session that the engine itself asked for: its place, and which of those that stood there it is."""
    return <uint64_t>1 << 63 | <uint64_t>device.number << 56 | <uint64_t>(device.sessions[session - 1].serial & 0xffffff) << 32 | session


cdef void end_session(engine_t *engine, uint32_t bucket, flow_t *flow, uint8_t code, uint64_t now) noexcept nogil:
    """A flow is over, and with it its session or its request for one."""
    if flow.more == NULL or flow.more.session == 0:
        return
    if flow.more.session == SESSION_ASKED:
        withdraw_request(&engine.device[bucket], owner_of(engine, bucket, flow))
        flow.more.session = 0
    else:
        end_device_session(&engine.device[bucket], flow.more.session, code, now)


cdef void settle_requests(engine_t *engine, uint32_t bucket, uint64_t now) noexcept nogil:
    """The batch closes: each flow learns what came of its request. Refused, it stays with the inspectors."""
    cdef device_t *device = &engine.device[bucket]
    cdef uint32_t i
    cdef flow_t *flow
    settle_batch(device, now)
    for i in range(device.settled):
        flow = &engine.bucket[bucket].flows[device.batch[i].owner - 1]
        flow.more.session = device.batch[i].session
        if flow.more.session:
            flow.flags |= FLOW_OFFLOADED


cdef void tick_sessions(engine_t *engine, uint32_t bucket, uint64_t second) noexcept nogil:
    """A second of packet time is over: the batch closes, and what has been idle ends."""
    cdef device_t *device = &engine.device[bucket]
    if batch_is_due(device, second * SECOND):
        settle_requests(engine, bucket, batch_closed_at(device))
    tick_device(device, second)


cdef void ask_for_offload(engine_t *engine, uint32_t bucket, flow_t *flow, uint64_t now) noexcept nogil:
    """Punts the rest of a flow to the device: dropped there if it is to be dropped, else forwarded."""
    cdef device_t *device = &engine.device[bucket]
    cdef flow_more_t *more
    if not may_ask(device, now) or flow.state == FLOW_CLOSED:
        return
    more = ensure_more(flow, &engine.bucket[bucket].pool)
    if more == NULL or more.session:
        return
    more.session = SESSION_ASKED
    if ask_session(device, owner_of(engine, bucket, flow), OFFLOAD_DROP if flow.flags & FLOW_DROP else OFFLOAD_FORWARD,
                   ASK_DROP if flow.flags & FLOW_DROP else ASK_RULE, 0, now):
        settle_requests(engine, bucket, now)


cdef bint hit_device(engine_t *engine, flow_t *flow, const packet_meta_t *meta, uint64_t now, verdict_t *verdict) noexcept nogil:
    """True when the device, not the inspectors, decides over this entry."""
    cdef device_t *device = &engine.device[meta.bucket]
    cdef uint8_t hit
    if flow.more == NULL or flow.more.session == 0 or flow.more.session == SESSION_ASKED:
        if flow.flags & FLOW_BYPASS and not device.on and not is_tcp_control(meta):
            raise_verdict(verdict, ACTION_PASS, REASON_OFFLOAD_FORWARD, LEDGER_OFFLOADED, flow.rule)
            return True
        return False
    if meta.proto == TCP and is_control(device, flow.more.session, meta.tcp_flags):
        return False
    hit = hit_session(device, flow.more.session, meta.wirelen, (meta.flags & PM_TO_CLIENT) != 0, now)
    if hit == HIT_DROP:
        raise_verdict(verdict, ACTION_DROP, REASON_OFFLOAD_DROP, LEDGER_DROPPED, flow.rule)
    elif hit == HIT_FORWARD:
        raise_verdict(verdict, ACTION_PASS, REASON_OFFLOAD_FORWARD, LEDGER_OFFLOADED, flow.rule)
    elif hit == HIT_IDLE:
        end_device_session(device, flow.more.session, CLOSE_TIMEOUT, now)
    return hit <= HIT_FORWARD
