# exceptions: what becomes of an entry that cannot be inspected as it should: memory refused, a session not seen from its
# beginning, a parser that failed. Part of _core.pyx. Source: Suricata User Guide 7.0, Exception Policies.

cdef void except_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, uint8_t cause,
                       bint *decided) noexcept nogil:
    """The policy of a cause acts on an entry and, as it says, on its flow; `decided`: the rules do not look at it any more.
    Where there is no flow, a policy is one for packets (control/exceptions.py sees to that)."""
    cdef uint8_t policy = engine.exception_policy[cause]
    cdef uint8_t reason = engine.exception_reason[cause]
    cdef verdict_t *verdict = &slot.verdict[entry]
    if flow != NULL and flow.flags & (FLOW_DROP | FLOW_PASS):
        return                  # it has been judged already
    worker.exceptions[cause][policy] += 1
    if policy == EXCEPT_IGNORE:
        return
    decided[0] = True
    slot.eventful[worker.number] = 1
    if policy < EXCEPT_DROP_PACKET:
        raise_verdict(verdict, ACTION_PASS, reason, LEDGER_INSPECTED, NO_RULE)
        if policy != EXCEPT_PASS_PACKET and flow != NULL:
            flow.flags |= FLOW_PASS | FLOW_BYPASS * (policy == EXCEPT_BYPASS)
            flow.reason = reason
        return
    raise_verdict(verdict, ACTION_REJECT if policy == EXCEPT_REJECT else ACTION_DROP, reason, LEDGER_DROPPED, NO_RULE)
    if policy != EXCEPT_DROP_PACKET and flow != NULL:
        flow.flags |= FLOW_DROP
        flow.rule = NO_RULE
        flow.reason = reason
        if flow.key.proto == TCP:
            stop_feeding(flow)


cdef void except_segment(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, uint32_t told,
                         bint *decided) noexcept nogil:
    """What take_segment said of a segment that it could not follow."""
    if told & STREAM_MIDSTREAM:
        except_entry(engine, worker, slot, entry, flow, CAUSE_MIDSTREAM, decided)
    if told & STREAM_NO_SESSION:
        except_entry(engine, worker, slot, entry, flow, CAUSE_SESSION_MEMCAP, decided)
    if told & STREAM_NO_SEGMENT:
        except_entry(engine, worker, slot, entry, flow, CAUSE_REASSEMBLY_MEMCAP, decided)


cdef void inspect_session(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, uint32_t told,
                          uint64_t now, bint *decided) noexcept nogil:
    """open_inspection, and the policy for a parser that fails with this entry, or that has no memory to go on."""
    cdef pool_t *pool = &engine.bucket[slot.burst.meta[entry].bucket].pool
    cdef uint64_t refused = pool.refused[ACCOUNT_APPLAYER]
    cdef app_context_t *context
    cdef bint failed
    open_inspection(engine, worker, &slot.burst, entry, flow, told, now)
    context = worker.inspection.context
    failed = pool.refused[ACCOUNT_APPLAYER] != refused
    if context != NULL and context.app.flags & APP_ERROR:
        context.app.flags &= ~<uint32_t>APP_ERROR
        failed = True
    if context != NULL and context.app.inner != NULL and context.app.inner.flags & APP_ERROR:
        context.app.inner.flags &= ~<uint32_t>APP_ERROR
        failed = True
    if rarely(failed):
        except_entry(engine, worker, slot, entry, flow, CAUSE_APPLAYER, decided)


# ---- defrag, which is ingest's: it marks the fragments, and the worker acts on them ----

cdef inline bint was_refused(const slot_t *slot, uint32_t entry) noexcept nogil:
    return slot.refusals != 0 and slot.refused[entry // 64] >> entry % 64 & 1


cdef uint32_t defragment(engine_t *engine, slot_t *slot, uint32_t entry) noexcept nogil:
    """take_fragment; a fragment for which there was no room is marked in the slot."""
    cdef burst_t *burst = &slot.burst
    cdef uint32_t packet = burst.meta[entry].packet
    cdef uint64_t refused = engine.defrag.refused
    cdef uint32_t found = NO_INDEX
    if burst.first_ordinal + packet == engine.fail_defrag:
        engine.defrag.refused += 1
    else:
        found = take_fragment(&engine.defrag, burst, entry, burst.now[packet], &slot.wholes)
    if rarely(engine.defrag.refused != refused):
        if slot.refusals == 0:
            memset(slot.refused, 0, sizeof(slot.refused))
        slot.refusals += 1
        slot.refused[entry // 64] |= <uint64_t>1 << entry % 64
    return found


# ---- a packet that is lost before rx, to try what happens then ----

cdef uint32_t take_burst(engine_t *engine, rx_t *rx, slot_t *slot) noexcept nogil:
    """rx_burst, but that no burst goes beyond the packet before which the step ends, and the packet that is to be lost is
    counted and left out. Bursts end before it."""
    cdef uint64_t most = engine.burst
    cdef uint64_t ahead = engine.lose_packet - engine.next_ordinal
    if engine.stop_at:
        most = min(most, engine.stop_at - engine.next_ordinal)
    if most and rarely(ahead == 0) and engine.verdicts_out == NULL:
        if rx_burst(rx, &slot.burst, 1) == 0:
            return 0
        engine.next_ordinal += 1
        engine.lost += 1
        ahead = <uint64_t>-1
        if engine.stop_at:
            most = min(most, engine.stop_at - engine.next_ordinal)
    if most == 0:
        return 0
    return rx_burst(rx, &slot.burst, <uint32_t>(min(ahead, most) if ahead else most))
