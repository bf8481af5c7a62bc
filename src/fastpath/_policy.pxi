# policy: what a flow is told, and when it is told anew. Part of _core.pyx. Read from the bottom up: judge_data,
# judge_application, judge_by_policy.
#
# What stands beside a flow is good until the policy changes, a line expires, or the application or the server name becomes known.
# A denied flow stays denied until then. In ids mode all is the same, but nothing is cut.

cdef void count_by_policy(worker_t *worker, const policy_t *policy, uint32_t line, uint32_t state,
                          const packet_meta_t *meta) noexcept nogil:
    cdef policy_count_t *count = &worker.policy_counts[policy.line_count + 1 if state == POLICY_PENDING
                                                       else min(line, policy.line_count)]
    count.packets += 1
    count.bytes += meta.wirelen
    count.denied += state == POLICY_DENIED


cdef void cut_by_policy(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t line, verdict_t *verdict) noexcept nogil:
    if engine.inline_mode:
        raise_verdict(verdict, ACTION_DROP, REASON_POLICY, LEDGER_DROPPED, line)
        slot.eventful[worker.number] = 1


cdef inline uint32_t line_of(const engine_t *engine, const packet_meta_t *meta, const flow_t *flow) noexcept nogil:
    """The line that a flow was told last."""
    return engine.policy_flows[meta.bucket][flow - engine.bucket[meta.bucket].flows].line


cdef inline bint may_offload(const engine_t *engine, const slot_t *slot, const packet_meta_t *meta,
                             const flow_t *flow) noexcept nogil:
    """What policy has not decided yet, or cuts itself, does not leave the inspectors."""
    cdef uint32_t state
    if slot.policy == NULL:
        return True
    state = engine.policy_flows[meta.bucket][flow - engine.bucket[meta.bucket].flows].flags & POLICY_STATE
    return state != POLICY_PENDING and not (state == POLICY_DENIED and engine.inline_mode)


cdef void write_denial(worker_t *worker, const policy_t *policy, const policy_flow_t *kept, const told_t *told,
                       const flow_t *flow, const packet_meta_t *meta, uint32_t rank, uint8_t action) noexcept nogil:
    """The row of a denied flow."""
    cdef policy_row_t *row = <policy_row_t *>add_row(&worker.rows.denials, worker.order)
    if row == NULL:
        return
    row.ordinal = 0 if meta.flags & PM_PSEUDO else worker.ordinal
    row.ts = meta.ts
    row.key = flow_key_of(flow)
    row.flow = flow_id_of(<uint32_t>hash_key(&row.key), flow.first_ordinal)
    row.line = told.line
    row.source = kept.source
    row.target = kept.target
    row.tunnel_id = meta.tunnel_id
    row.policy = policy.epoch
    row.entry = <uint16_t>rank
    row.data = kept.data[0] | kept.data[1]
    row.reversed = (kept.flags & POLICY_REVERSED) != 0
    row.app = kept.app
    row.action = action
    row.why = told.why


cdef void end_offload(engine_t *engine, uint32_t bucket, flow_t *flow) noexcept nogil:
    """The device forgets a flow that is denied."""
    if engine.inline_mode:
        end_session(engine, bucket, flow, CLOSE_UNKNOWN, flow.last)


cdef void tell_flow(engine_t *engine, worker_t *worker, const policy_t *policy, policy_flow_t *kept, flow_t *flow,
                    const packet_meta_t *meta, uint32_t rank, const told_t *told) noexcept nogil:
    """A decision stands beside the flow from here on, and what follows from it is done."""
    cdef uint32_t before = kept.flags & POLICY_STATE
    if told.state != POLICY_PENDING and (before != told.state or kept.line != told.line or kept.epoch != policy.epoch):
        worker.policy_counts[min(told.line, policy.line_count)].flows += 1
    if told.state == POLICY_DENIED and before != POLICY_DENIED:
        write_denial(worker, policy, kept, told, flow, meta, rank, ACTION_DROP if engine.inline_mode else ACTION_PASS)
        end_offload(engine, meta.bucket, flow)
    if told.state == POLICY_DENIED and engine.inline_mode and not flow.flags & FLOW_DROP:
        flow.flags |= FLOW_DROP
        flow.reason = REASON_POLICY
        flow.rule = NO_RULE
        kept.flags |= POLICY_CUT
    elif told.state != POLICY_DENIED and kept.flags & POLICY_CUT:
        flow.flags &= ~<uint16_t>FLOW_DROP
        flow.reason = REASON_NONE
        kept.flags &= ~<uint8_t>POLICY_CUT
    kept.line = told.line
    kept.until = told.until
    kept.epoch = policy.epoch
    kept.flags = <uint8_t>(kept.flags & ~(POLICY_STATE | POLICY_CONDITIONAL) | told.state
                           | told.conditional * POLICY_CONDITIONAL)


cdef void ask_application(engine_t *engine, worker_t *worker, flow_t *flow, uint32_t bucket, uint64_t now,
                          asked_t *asked) noexcept nogil:
    """What is known of the application, and of TLS the server name."""
    cdef app_context_t *context = &worker.context
    cdef const room_t *room
    cdef view_t view
    if flow.more == NULL or flow.more.app == NULL:
        return
    asked.app = application_of(<app_t *>flow.more.app)
    asked.is_named = asked.app != ALPROTO_UNKNOWN
    if asked.app != ALPROTO_TLS:
        return
    asked.is_named = False
    if not enter_session(engine, worker, flow, bucket, now):
        return
    room = room_of(&engine.apps, context)
    if room != NULL and context.app.state != NULL:
        if room.buffer(context, NULL, TO_SERVER, BUFFER_TLS_SNI, 0, &view) == VIEW_READY:
            asked.name = view.data
            asked.name_length = view.length
            asked.is_named = True
        elif room.buffer(context, NULL, TO_CLIENT, BUFFER_TLS_RANDOM, 0, &view) == VIEW_READY:
            asked.is_named = True       # there was a client hello
    asked.is_named = asked.is_named or context.app.flags & APP_STOPPED_TO_SERVER != 0


cdef void find_ends(const policy_t *policy, policy_flow_t *kept, const flow_key_t *key, uint16_t encapsulation) noexcept nogil:
    cdef uint32_t source = (kept.flags & POLICY_REVERSED) != 0
    kept.encapsulation = encapsulation
    kept.source = find_endpoint(policy, key, source, encapsulation)
    kept.target = find_endpoint(policy, key, 1 - source, encapsulation)


cdef void open_question(const policy_flow_t *kept, const flow_key_t *key, uint64_t now, asked_t *asked) noexcept nogil:
    memset(asked, 0, sizeof(asked_t))
    asked.source = kept.source
    asked.target = kept.target
    asked.service = service_of(key, 0 if kept.flags & POLICY_REVERSED else 1)
    asked.second = <uint32_t>(now // SECOND)


cdef void decide_flow(engine_t *engine, worker_t *worker, const policy_t *policy, policy_flow_t *kept, flow_t *flow,
                      const packet_meta_t *meta, uint32_t rank, uint64_t now, bint is_final) noexcept nogil:
    """A flow is told, or told anew, by all that is known of it."""
    cdef asked_t asked
    cdef told_t told, data
    cdef flow_key_t key = flow_key_of(flow)
    cdef uint32_t side
    open_question(kept, &key, now, &asked)
    asked.is_final = is_final
    if policy.conditional:
        ask_application(engine, worker, flow, meta.bucket, now, &asked)
    decide(policy, &asked, &told)
    for side in range(2):
        if told.state != POLICY_DENIED and kept.data[side] & policy.confined:
            decide_data(policy, kept.target if side else kept.source, kept.source if side else kept.target, kept.data[side],
                        &data)
            if data.state == POLICY_DENIED:
                told = data
    kept.app = asked.app
    kept.flags = <uint8_t>(kept.flags & ~POLICY_NAMED | asked.is_named * POLICY_NAMED)
    tell_flow(engine, worker, policy, kept, flow, meta, rank, &told)


cdef bint judge_flowless(engine_t *engine, worker_t *worker, slot_t *slot, const packet_meta_t *meta, const flow_key_t *key,
                         uint64_t now, verdict_t *verdict) noexcept nogil:
    """An entry that can have no flow is judged as one of its own. An ICMP error about a flow that nobody knows is denied, and IP
    of which no key can be read; of fragments the whole is judged."""
    cdef const policy_t *policy = slot.policy
    cdef policy_flow_t kept
    cdef asked_t asked
    cdef told_t told
    if not meta.flags & (PM_KEYED | PM_INVALID) and (meta.flags & PM_FRAGMENT or meta.net != NET_IPV4 and meta.net != NET_IPV6):
        return False
    told.state = POLICY_DENIED
    told.line = NO_LINE
    if meta.flags & PM_KEYED and not meta.flags & PM_QUOTED:
        memset(&kept, 0, sizeof(kept))
        kept.flags = POLICY_REVERSED if meta.flags & PM_REVERSED else 0
        find_ends(policy, &kept, key, find_encapsulation(policy, meta, key))
        open_question(&kept, key, now, &asked)
        asked.is_final = True
        decide(policy, &asked, &told)
    count_by_policy(worker, policy, told.line, told.state, meta)
    if told.state != POLICY_DENIED:
        return False
    cut_by_policy(engine, worker, slot, told.line, verdict)
    return engine.inline_mode


cdef bint judge_encapsulation(engine_t *engine, worker_t *worker, slot_t *slot, const packet_meta_t *meta,
                              const flow_key_t *key, const policy_flow_t *kept, uint64_t now,
                              verdict_t *verdict) noexcept nogil:
    """An entry of a known flow that comes in another tunnel than its first is no part of what was allowed: it is judged by
    itself. TEIDs differ by direction: answers bear their own."""
    cdef const policy_t *policy = slot.policy
    cdef policy_flow_t other
    cdef asked_t asked
    cdef told_t told
    cdef uint16_t encapsulation = find_encapsulation(policy, meta, key)
    cdef bint is_answer = (meta.flags & PM_REVERSED != 0) != (kept.flags & POLICY_REVERSED != 0)
    if encapsulation == kept.encapsulation or is_answer and meta.tunnel == TUNNEL_GTPU:
        return False
    memset(&other, 0, sizeof(other))
    other.flags = kept.flags & POLICY_REVERSED
    find_ends(policy, &other, key, encapsulation)
    open_question(&other, key, now, &asked)
    asked.app = kept.app
    asked.is_final = True
    decide(policy, &asked, &told)
    if told.state != POLICY_DENIED:
        return False
    count_by_policy(worker, policy, told.line, told.state, meta)
    cut_by_policy(engine, worker, slot, told.line, verdict)
    return True


cdef void deny_astray(engine_t *engine, worker_t *worker, const policy_t *policy, policy_flow_t *kept, const flow_t *flow,
                      const packet_meta_t *meta, uint32_t rank) noexcept nogil:
    """A packet is denied for what it belongs to: a row for the first one of its flow. The flow's own answer stays."""
    cdef told_t told
    if kept.flags & POLICY_ASTRAY:
        return
    kept.flags |= POLICY_ASTRAY
    told.line = NO_LINE
    told.why = WHY_BINDING
    write_denial(worker, policy, kept, &told, flow, meta, rank, ACTION_DROP if engine.inline_mode else ACTION_PASS)


cdef bint judge_by_policy(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, uint64_t now,
                          verdict_t *verdict) noexcept nogil:
    """Before anything else looks at an entry: True where it is dropped, and nothing shall look at it."""
    cdef const policy_t *policy = slot.policy
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    cdef const flow_key_t *key = &slot.burst.key[entry]
    cdef policy_flow_t *kept
    cdef uint32_t state
    if meta.flags & PM_OUTER and not policy.judges_carriers:
        return False
    if rarely(flow == NULL):
        return judge_flowless(engine, worker, slot, meta, key, now, verdict)
    kept = &engine.policy_flows[meta.bucket][flow - engine.bucket[meta.bucket].flows]
    if rarely(flow.pkts[0] + flow.pkts[1] == 1):
        memset(kept, 0, sizeof(policy_flow_t))
    if rarely(kept.epoch != policy.epoch):
        if kept.flags & POLICY_STATE == POLICY_NONE:
            kept.flags = POLICY_REVERSED if flow.flags & FLOW_REVERSED else 0
        find_ends(policy, kept, key, find_encapsulation(policy, meta, key))
        decide_flow(engine, worker, policy, kept, flow, meta, slot.steering.rank[entry], now, False)
    elif rarely(kept.until != FOR_EVER) and now // SECOND >= kept.until:
        decide_flow(engine, worker, policy, kept, flow, meta, slot.steering.rank[entry], now, False)
    elif policy.encapsulated and judge_encapsulation(engine, worker, slot, meta, key, kept, now, verdict):
        return engine.inline_mode
    if rarely(kept.flags & POLICY_STATE == POLICY_PENDING):
        if kept.pending_packets >= policy.pending_packets or kept.pending_bytes + meta.wirelen > policy.pending_bytes:
            decide_flow(engine, worker, policy, kept, flow, meta, slot.steering.rank[entry], now, True)
        else:
            kept.pending_packets += 1
            kept.pending_bytes += meta.wirelen
    state = kept.flags & POLICY_STATE
    if rarely(meta.events != NO_INDEX) and state != POLICY_DENIED and is_astray(policy, &slot.burst, entry):
        deny_astray(engine, worker, policy, kept, flow, meta, slot.steering.rank[entry])
        count_by_policy(worker, policy, NO_LINE, POLICY_DENIED, meta)
        cut_by_policy(engine, worker, slot, NO_LINE, verdict)
        return engine.inline_mode
    count_by_policy(worker, policy, kept.line, state, meta)
    if state != POLICY_DENIED:
        return False
    cut_by_policy(engine, worker, slot, kept.line, verdict)
    return engine.inline_mode


cdef void leave_cut(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, verdict_t *verdict,
                    uint64_t entered) noexcept nogil:
    """What is due of an entry that nothing looks at: events that were noted on it, and its place in all that counts."""
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    if meta.events != NO_INDEX:
        write_event_rows(&worker.rows.events, &slot.burst, entry, slot.steering.rank[entry], worker.events)
    if flow != NULL:
        count_in_ledger(engine, flow, meta, verdict.ledger)
        verdict.flow = flow_id_of(meta.hash, flow.first_ordinal)
    if rarely(engine.keep_log):
        log_entry(engine, worker, slot, entry, flow, 0, entered)


cdef bint judge_application(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, uint64_t now,
                            verdict_t *verdict) noexcept nogil:
    """The application layer has seen an entry: is its flow told otherwise by what is known now? True where it is dropped."""
    cdef const policy_t *policy = slot.policy
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    cdef policy_flow_t *kept = &engine.policy_flows[meta.bucket][flow - engine.bucket[meta.bucket].flows]
    cdef uint8_t app
    if not kept.flags & POLICY_CONDITIONAL or kept.flags & POLICY_STATE == POLICY_DENIED or kept.epoch != policy.epoch:
        return False
    app = application_of(<app_t *>flow.more.app)
    if app == kept.app and (app != ALPROTO_TLS or kept.flags & POLICY_NAMED):
        return False
    decide_flow(engine, worker, policy, kept, flow, meta, slot.steering.rank[entry], now, False)
    if kept.flags & POLICY_STATE != POLICY_DENIED:
        return False
    worker.policy_counts[min(kept.line, policy.line_count)].denied += 1
    cut_by_policy(engine, worker, slot, kept.line, verdict)
    return engine.inline_mode


cdef bint judge_data(engine_t *engine, worker_t *worker, const policy_t *policy, const packet_meta_t *meta, uint32_t rank,
                     flow_t *flow) noexcept nogil:
    """Rules have matched: do they say that a flow carries data that may not go there? True where it is denied for that."""
    cdef policy_flow_t *kept = &engine.policy_flows[meta.bucket][flow - engine.bucket[meta.bucket].flows]
    cdef uint32_t sender = (meta.flags & PM_REVERSED != 0) != (kept.flags & POLICY_REVERSED != 0)
    cdef uint32_t i, rule, all = 0
    cdef uint32_t found[2]
    cdef told_t told
    for i in range(worker.scratch.match_count):
        rule = worker.scratch.matches[i].rule
        if rule < engine.rule_data_count:
            all |= engine.rule_data[rule]
    found[1 - sender] = 0
    found[sender] = all & ~policy.services
    found[0] |= all & policy.services
    if not (found[0] & ~<uint32_t>kept.data[0] or found[1] & ~<uint32_t>kept.data[1]):
        return False
    kept.data[0] |= <uint16_t>found[0]
    kept.data[1] |= <uint16_t>found[1]
    if kept.flags & POLICY_STATE == POLICY_DENIED or kept.epoch != policy.epoch:
        return False
    for sender in range(2):
        if found[sender] == 0:
            continue
        decide_data(policy, kept.target if sender else kept.source, kept.source if sender else kept.target, kept.data[sender],
                    &told)
        if told.state == POLICY_DENIED:
            tell_flow(engine, worker, policy, kept, flow, meta, rank, &told)
            worker.policy_counts[min(told.line, policy.line_count)].packets += 1
            worker.policy_counts[min(told.line, policy.line_count)].denied += 1
            return True
    return False
