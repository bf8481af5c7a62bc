# isolation: entries of addresses that are cut off, and rules that cut off. Part of _core.pyx.

cdef void respond(engine_t *engine, worker_t *worker, const burst_t *burst, uint32_t entry, flow_t *flow, uint32_t rule,
                  uint64_t now) noexcept nogil:
    """A rule has alerted: does it isolate an end of the entry? What there is no room for fails closed: the flow is dropped."""
    cdef uint32_t asked = engine.responses[rule] if rule < engine.response_count else 0
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef const flow_key_t *key = &burst.key[entry]
    cdef uint32_t end = (meta.flags & PM_REVERSED != 0) != (asked & ISOLATE_DST != 0)
    if asked == 0 or not meta.flags & PM_KEYED or (key.net != NET_IPV4 and key.net != NET_IPV6):
        return
    wait_turn(engine, worker)
    if not cut_off(&engine.isolation.cuts, key.net, key.addr[end],
                   now + <uint64_t>(asked & ~<uint32_t>ISOLATE_DST) * SECOND) and flow != NULL:
        flow.flags |= FLOW_DROP
        flow.rule = rule
        flow.reason = REASON_ISOLATED


cdef bint flow_isolated(const engine_t *engine, const flow_t *flow) noexcept nogil:
    cdef flow_key_t key = flow_key_of(flow)
    return key_isolated(engine.isolation, &key, engine.time)


cdef bint session_isolated(const engine_t *engine, uint32_t bucket, uint32_t owner) noexcept nogil:
    if owner & OWNER_KEYED:
        return key_isolated(engine.isolation, &engine.keyed[bucket].rows[(owner & ~<uint32_t>OWNER_KEYED) - 1].key, engine.time)
    return flow_isolated(engine, &engine.bucket[bucket].flows[owner - 1])


cdef uint32_t end_isolated_sessions(engine_t *engine) noexcept nogil:
    """Takes the sessions of isolated addresses back from the device, and requests for more: how many sessions. Between bursts."""
    cdef uint32_t i, j, ended = 0
    cdef device_t *device
    for i in range(engine.buckets):
        device = &engine.device[i]
        j = device.batch_count
        while j:
            j -= 1
            if session_isolated(engine, i, device.batch[j].owner):
                end_session(engine, i, &engine.bucket[i].flows[device.batch[j].owner - 1], CLOSE_UNKNOWN, engine.time)
        for j in range(device.fresh):
            if device.used == 0:
                break
            if device.sessions[j].owner and session_isolated(engine, i, device.sessions[j].owner):
                end_device_session(device, j + 1, CLOSE_UNKNOWN, engine.time)
                ended += 1
    return ended


cdef bint isolate_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow,
                        uint64_t now) noexcept nogil:
    """True for an entry of an isolated address. In ips mode it goes no further: the end points never get it, so neither stream
    nor rules see it. In ids mode the verdict says so, and nothing is cut."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef verdict_t *verdict = &slot.verdict[entry]
    if engine.responses != NULL:
        wait_turn(engine, worker)       # what packets before this one did to the table is done
    if not entry_isolated(engine.isolation, meta, &slot.burst.key[entry], now):
        return False
    slot.eventful[worker.number] = 1
    worker.isolated += 1
    if flow != NULL:
        end_session(engine, meta.bucket, flow, CLOSE_UNKNOWN, now)
    if not engine.inline_mode:
        raise_verdict(verdict, ACTION_PASS, REASON_ISOLATED, LEDGER_INSPECTED, NO_RULE)
        return True
    raise_verdict(verdict, ACTION_DROP, REASON_ISOLATED, LEDGER_DROPPED, NO_RULE)
    return True
