# offload: between the flows of the inspectors and the sessions of the device. Part of _core.pyx. A flow names its session by
# number; a session names its owner: the flow, by its number in the bucket, or the row of `keyed` of one added from outside.

cdef enum:
    OWNER_KEYED = 1 << 31       # session_t.owner: a row of `keyed`


cdef inline uint32_t flow_number(const engine_t *engine, uint32_t bucket, const flow_t *flow) noexcept nogil:
    return <uint32_t>(flow - engine.bucket[bucket].flows) + 1


cdef inline uint32_t session_of_flow(const flow_t *flow) noexcept nogil:
    """Its session in the device, in force or soon; 0 for none."""
    return session_number(flow.more.session) if flow.more != NULL else 0


cdef inline void fetch_ahead(const engine_t *engine, const slot_t *slot, const uint16_t *entries, uint32_t i,
                             uint32_t n) noexcept nogil:
    """From a flow to its session are two steps: each is taken some entries before its turn."""
    cdef const flow_t *flow
    cdef uint32_t session
    if i + 8 < n:
        flow = slot.likely[entries[i + 8]]
        if flow != NULL and flow.flags & FLOW_OFFLOADED and flow.more != NULL:
            prefetch(&flow.more.session)
    if i + 4 < n:
        flow = slot.likely[entries[i + 4]]
        session = session_of_flow(flow) if flow != NULL and flow.flags & FLOW_OFFLOADED else 0
        if session:
            fetch_session(&engine.device[slot.burst.meta[entries[i + 4]].bucket], session)


cdef inline uint64_t session_id(const engine_t *engine, uint32_t bucket, uint32_t session) noexcept nogil:
    """The name of a session: as whoever added it said; of one that the engine itself asked for, its place, and the how
    manieth it is of all."""
    cdef const session_t *it = &engine.device[bucket].sessions[session - 1]
    if it.owner & OWNER_KEYED:
        return engine.keyed[bucket].rows[(it.owner & ~<uint32_t>OWNER_KEYED) - 1].id
    return <uint64_t>1 << 63 | <uint64_t>bucket << 56 | <uint64_t>it.serial << 32 | session


cdef void lose_session(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil:
    """The sink of every slice: a session has ended. What the device itself has ended is kept to be told."""
    cdef engine_t *engine = <engine_t *>device.context
    cdef keyed_table_t *keyed = &engine.keyed[device.number]
    cdef uint32_t owner = device.sessions[session - 1].owner, row
    if code != CLOSE_UNKNOWN:
        keep_closed(device, session, session_id(engine, device.number, session), code, now)
    if owner & OWNER_KEYED:
        row = owner & ~<uint32_t>OWNER_KEYED
        owner = keyed.rows[row - 1].flow
        drop_keyed(keyed, row)
    if owner:
        engine.bucket[device.number].flows[owner - 1].more.session = 0


cdef void end_session(engine_t *engine, uint32_t bucket, flow_t *flow, uint8_t code, uint64_t now) noexcept nogil:
    """What has become of a flow ends its session, or its request for one."""
    if flow.more != NULL and flow.more.session:
        leave_device(&engine.device[bucket], &flow.more.session, flow_number(engine, bucket, flow), code, now)


cdef void leave_session(engine_t *engine, uint32_t bucket, flow_t *flow, uint8_t code, uint64_t now) noexcept nogil:
    """A flow is no more: a session that it asked for goes with it; one from outside stays, for the next flow of that key."""
    cdef uint32_t session = session_of_flow(flow)
    cdef uint32_t owner = engine.device[bucket].sessions[session - 1].owner if session else 0
    if owner & OWNER_KEYED:
        engine.keyed[bucket].rows[(owner & ~<uint32_t>OWNER_KEYED) - 1].flow = 0
    else:
        end_session(engine, bucket, flow, code, now)


cdef void meet_session(engine_t *engine, uint32_t bucket, flow_t *flow, uint32_t row) noexcept nogil:
    """A flow goes by a session that was added from outside. Without memory for it, it stays with the inspectors."""
    cdef keyed_t *it = &engine.keyed[bucket].rows[row - 1]
    cdef flow_more_t *more = ensure_more(flow, &engine.bucket[bucket].pool)
    if more == NULL:
        return
    if more.session == SESSION_ASKED:
        withdraw_request(&engine.device[bucket], flow_number(engine, bucket, flow))
    more.session = it.session
    it.flow = flow_number(engine, bucket, flow)
    flow.flags |= FLOW_OFFLOADED


cdef void greet_session(engine_t *engine, flow_t *flow, const packet_meta_t *meta, const flow_key_t *key) noexcept nogil:
    """A flow begins."""
    cdef uint32_t row
    if rarely(engine.offloads):
        row = find_keyed(&engine.keyed[meta.bucket], meta.hash, key)
        if row:
            meet_session(engine, meta.bucket, flow, row)


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


cdef void empty_device(engine_t *engine, uint32_t bucket) noexcept nogil:
    """Every flow has ended; what was added from outside ends too, and time begins anew."""
    cdef device_t *device = &engine.device[bucket]
    cdef uint32_t i
    if not device.on:
        return
    for i in range(device.fresh):
        if device.used and device.sessions[i].owner:
            end_device_session(device, i + 1, CLOSE_UNKNOWN, device.second * SECOND)
    clear_device(device)


cdef uint8_t reason_of_flow(const engine_t *engine, flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    """Why the rest of a flow may be punted to the device; ASK_MAX for no reason."""
    cdef asker_t asker
    cdef uint32_t none = 0
    asker.pkts = <uint64_t>flow.pkts[0] + flow.pkts[1]
    asker.bytes = flow.bytes[0] + flow.bytes[1]
    asker.so_far = asker.bytes >> 10 if engine.offload_encrypted_bytes else asker.pkts
    asker.past_depth = -1
    if engine.offload[ASK_DEPTH] != UINT64_MAX:
        asker.past_depth = past_depth(&engine.stream, flow, (meta.flags & PM_TO_CLIENT) != 0)
    asker.dropped = flow.flags & FLOW_DROP != 0
    asker.bypassed = flow.flags & FLOW_BYPASS != 0
    asker.passed = flow.flags & FLOW_PASS != 0
    asker.encrypted = flow.more != NULL and flow.more.app != NULL \
        and (<app_t *>flow.more.app).flags & (APP_NO_PAYLOAD | APP_OPENED) == APP_NO_PAYLOAD
    return reason_to_ask(engine.offload, &asker, &flow.more.session if flow.more != NULL else &none)


cdef void ask_for_offload(engine_t *engine, flow_t *flow, const packet_meta_t *meta, uint64_t now) noexcept nogil:
    """Punts the rest of a flow to the device where there is a reason."""
    cdef device_t *device = &engine.device[meta.bucket]
    cdef flow_more_t *more
    cdef uint8_t reason
    if not may_ask(device, now) or flow.state == FLOW_CLOSED or (flow.more != NULL and has_asked(flow.more.session)):
        return
    reason = reason_of_flow(engine, flow, meta)
    if reason == ASK_MAX:
        return
    more = ensure_more(flow, &engine.bucket[meta.bucket].pool)
    if more != NULL and punt_flow(device, &more.session, flow_number(engine, meta.bucket, flow), reason, now):
        settle_requests(engine, meta.bucket, now)


cdef void follow_session(engine_t *engine, flow_t *flow, const packet_meta_t *meta, uint64_t now) noexcept nogil:
    """The inspectors have accepted a segment that the session left to them."""
    cdef uint32_t session = session_of_flow(flow)
    cdef uint8_t code
    if session and not (meta.flags & PM_L4_CHECKSUM and engine.stream.checksums):
        code = follow_control(&engine.device[meta.bucket], session, meta.tcp_flags, (meta.flags & PM_TO_CLIENT) != 0)
        if code != CLOSE_NOT:
            end_session(engine, meta.bucket, flow, code, now)


cdef bint hit_device(engine_t *engine, flow_t *flow, const packet_meta_t *meta, uint64_t now, verdict_t *verdict) noexcept nogil:
    """True when the device, not the inspectors, decides over this entry."""
    cdef device_t *device = &engine.device[meta.bucket]
    cdef uint32_t session = session_of_flow(flow), to_client = (meta.flags & PM_TO_CLIENT) != 0, owner
    cdef uint8_t hit
    if session == 0 or meta.flags & PM_QUOTED or (meta.proto == TCP and is_control(device, session, meta.tcp_flags)):
        return False
    owner = device.sessions[session - 1].owner
    if owner & OWNER_KEYED:     # whoever added it has said which end is the source
        to_client = (meta.flags & PM_REVERSED) != 0
        to_client ^= engine.keyed[meta.bucket].rows[(owner & ~<uint32_t>OWNER_KEYED) - 1].reversed
    hit = hit_session(device, session, meta.wirelen, to_client, now)
    if hit == HIT_DROP:
        raise_verdict(verdict, ACTION_DROP, REASON_OFFLOAD_DROP, LEDGER_DROPPED, flow.rule)
    elif hit == HIT_FORWARD:
        raise_verdict(verdict, ACTION_PASS, REASON_OFFLOAD_FORWARD, LEDGER_OFFLOADED, flow.rule)
    elif hit == HIT_IDLE:
        end_session(engine, meta.bucket, flow, CLOSE_TIMEOUT, now)
    if hit <= HIT_FORWARD and meta.proto == TCP:
        skip_segment(flow, meta)
    return hit <= HIT_FORWARD


cdef bint bypass_entry(const engine_t *engine, const flow_t *flow, const packet_meta_t *meta, verdict_t *verdict) noexcept nogil:
    """Without a device the engine itself bypasses what a rule says."""
    if not flow.flags & FLOW_BYPASS or engine.device[meta.bucket].on or is_tcp_control(meta):
        return False
    raise_verdict(verdict, ACTION_PASS, REASON_OFFLOAD_FORWARD, LEDGER_OFFLOADED, flow.rule)
    return True
