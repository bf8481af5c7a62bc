# worker: entry by entry. Part of _core.pyx. Read from the bottom up: run_worker, pass_slot, inspect_entry.
include "_plain.pxi"


cdef void take_flow(bucket_t *bucket, flow_t *flow, uint8_t end, uint64_t ordinal, uint64_t order) noexcept nogil:
    """The sink of every bucket: a flow has ended."""
    cdef worker_t *worker = <worker_t *>bucket.owner
    cdef uint64_t entry_ordinal = worker.ordinal, its_order = worker.order
    cdef uint8_t protocols[4]
    cdef flow_row_t *row
    memset(protocols, 0, sizeof(protocols))
    worker.ordinal = ordinal
    worker.order = order
    end_flow(worker.engine, worker, bucket.number, flow, protocols)
    worker.ordinal = entry_ordinal
    worker.order = its_order
    row = <flow_row_t *>add_row(&worker.rows.flows, order)
    if row != NULL:
        write_flow_row(row, flow, end, ordinal)
        if rarely(worker.engine.keep_vars):
            write_vars(worker, NULL, flow, 0, 0)
        memcpy(row.app_proto, protocols, sizeof(protocols))
    leave_session(worker.engine, bucket.number, flow, CLOSE_TIMEOUT if end == END_TIMEOUT else CLOSE_UNKNOWN,
                  bucket.second * SECOND)
    if rarely(worker.engine.keep_log):
        log_end(worker, bucket, flow)


cdef inline bint each_packet(const engine_t *engine) noexcept nogil:
    """Does somebody want the verdict of every packet, with its flow?"""
    return engine.verdicts_out != NULL or engine.keep_packets or engine.ring != NULL


cdef inline bint has_session(const engine_t *engine, const flow_t *flow) noexcept nogil:
    """Does stream follow this TCP flow? Without rules, or from a time without, its flags alone are followed."""
    return engine.sessions and (flow.more != NULL or flow.tcp_state == TCP_NONE)


cdef inline bint begins_again(const engine_t *engine, const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    return begins_anew(&engine.stream, flow, meta) if has_session(engine, flow) else follows_the_end(flow, meta)


cdef flow_t *admit_flow(engine_t *engine, worker_t *worker, bucket_t *bucket, flow_slot_t *place, const packet_meta_t *meta,
                        const flow_key_t *key, uint64_t now) noexcept nogil:
    """A flow that begins, not yet counted; NULL at the memcap."""
    cdef flow_t *flow = NULL
    if worker.ordinal != engine.fail_flow:
        flow = create_flow(bucket, place, meta, key, now, worker.ordinal, worker.order)
    if flow != NULL:
        greet_session(engine, flow, meta, key)
    return flow


cdef flow_t *flow_of(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, uint64_t now) noexcept nogil:
    """The flow of a keyed entry, counted; NULL where it has none (an ICMP error about an unknown flow, the memcap)."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef const flow_key_t *key = &slot.burst.key[entry]
    cdef bucket_t *bucket = &engine.bucket[meta.bucket]
    cdef flow_t *flow = slot.likely[entry]
    cdef flow_slot_t *place
    if rarely(flow == NULL or flow.flags & FLOW_FREE or not flow_has_key(flow, key)):
        place = find_slot(bucket, meta.hash, key)
        if not place[0]:
            flow = NULL if meta.flags & PM_QUOTED else admit_flow(engine, worker, bucket, place, meta, key, now)
            if flow != NULL:
                count_on_flow(&engine.flow, flow, meta, now, False)
            return flow
        flow = flow_in(bucket, place[0])
    if rarely(is_timed_out(&engine.flow, flow, now) or begins_again(engine, flow, meta)):
        restart_flow(bucket, flow, meta, now, worker.ordinal, worker.order,
                     END_TIMEOUT if is_timed_out(&engine.flow, flow, now) else END_REUSE)
        greet_session(engine, flow, meta, key)
    count_on_flow(&engine.flow, flow, meta, now, meta.flags & PM_QUOTED != 0)
    return flow


cdef void wait_turn(engine_t *engine, worker_t *worker) noexcept nogil:
    """Returns when no other worker can touch shared state before what is going on here: state that spans flows changes in the
    order of the packets, and of the ticks before each, whatever the number of workers. One alone has no turn to wait for."""
    cdef uint64_t turn = worker.ordinal << 16 | worker.order & 0xffff
    cdef uint32_t i = 0
    if engine.workers == 1:
        return
    store_release(&worker.turn, turn)
    while i < engine.workers:
        if i == worker.number or load_acquire(&engine.worker[i].turn) >= turn:
            i += 1
        else:
            sched_yield()


cdef void wait_worker(void *worker) noexcept nogil:
    """wait_turn for the rules: shared_t.wait."""
    wait_turn((<worker_t *>worker).engine, <worker_t *>worker)


cdef void conclude_alerts(worker_t *worker, uint32_t first, uint8_t reject, uint8_t verdict) noexcept nogil:
    """The alerts of an entry, which are those from `first` on, are told what became of it."""
    cdef uint32_t i
    cdef alert_row_t *row
    for i in range(first, worker.rows.alerts.used):
        row = <alert_row_t *>(worker.rows.alerts.rows + <size_t>i * worker.rows.alerts.size)
        row.verdict = verdict
        row.reject = reject


cdef uint32_t write_stream(engine_t *engine, writer_t *writer, const flow_t *flow, uint32_t direction,
                           bint pseudo) noexcept nogil:
    """What is held of a direction, as an array: bytes, and between them numbers, of bytes that are missing. How many bytes."""
    cdef uint64_t at = held_from(flow, direction), start
    cdef const uint8_t *data
    cdef uint32_t length, shown = 0
    put_key(writer, b"stream")
    open_array(writer)
    while shown < engine.payload_size and held_bytes(&engine.stream, flow, direction, pseudo, at, &start, &data, &length):
        if start > at:
            put_uint(writer, start - at)
        at = start + length
        length = min(length, engine.payload_size - shown)
        put_bytes(writer, data, length)
        shown += length
    close_nested(writer)
    return shown


cdef void write_alert_bytes(engine_t *engine, worker_t *worker, const burst_t *burst, uint32_t entry, const flow_t *flow,
                            uint32_t rank, uint32_t index, bint stream) noexcept nogil:
    """The bytes that an alert is about: what is held of the stream, the payload, and the packet."""
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef writer_t *writer
    cdef app_row_t *row = begin_app_row(worker.rows, worker.order, worker.number, flow, APP_ROW_BYTES)
    if row == NULL:
        return
    row.ordinal = 0 if meta.flags & PM_PSEUDO else worker.ordinal
    row.ts = meta.ts
    row.entry = <uint16_t>rank
    row.code = <uint16_t>index
    writer = &worker.rows.bytes
    if stream:
        write_stream(engine, writer, flow, meta.flags // PM_TO_CLIENT & 1, meta.flags & PM_PSEUDO != 0)
    put_key(writer, b"payload")
    put_bytes(writer, meta.frame + meta.payload, meta.payload_len)
    say_uint(writer, b"linktype", meta.linktype)
    put_key(writer, b"packet")
    put_bytes(writer, meta.frame, meta.caplen)
    end_app_row(worker.rows, True)


cdef void act_on_matches(engine_t *engine, worker_t *worker, const ruleset_t *rules, burst_t *burst, uint32_t entry,
                         uint32_t rank, flow_t *flow, uint64_t now, verdict_t *verdict, uint32_t n) noexcept nogil:
    """What the rules that matched ask for, in order."""
    cdef uint32_t i, written, alerts = 0, notes = 0
    cdef uint8_t action, state, reject = ACTION_PASS
    cdef match_t *match
    cdef alert_row_t *row
    cdef packet_meta_t *meta = &burst.meta[entry]
    cdef flow_more_t *more
    written = worker.rows.alerts.used
    if worker.inspection.context != NULL and rarely(worker.inspection.context.app.flags & APP_STORING):
        worker.inspection.context.app.flags &= ~<uint32_t>APP_STORING
        deepen(flow, engine.apps.config.files.store_depth)
    if rarely(engine.fail_alert_queue) and n > engine.packet_alert_max:
        worker.alerts_lost += n - engine.packet_alert_max
        n = engine.packet_alert_max
    for i in range(n):
        match = &worker.scratch.matches[i]
        state = THRESHOLD_ALERT
        if match.flags & MATCH_THRESHOLD:
            wait_turn(engine, worker)
            state = threshold_check(engine.thresholds, rules, match, burst, entry,
                                    flow_id_of(meta.hash, flow.first_ordinal) if flow != NULL else 0, &worker.inspection, now)
            if state == THRESHOLD_SUPPRESS:
                if rarely(worker.scratch.trace != NULL):
                    trace_fate(rules, worker.scratch, match.compiled, match.tx_id, FATE_THRESHOLD)
                continue
        if match.action > ACTION_DROP and reject == ACTION_PASS:
            reject = match.action
        action = match.action if engine.inline_mode else <uint8_t>ACTION_PASS
        judge_match(verdict, flow, action, match.flags & MATCH_FLOW, match.rule)
        if rarely(worker.scratch.trace != NULL):
            trace_fate(rules, worker.scratch, match.compiled, match.tx_id,
                       FATE_SUPPRESSED if state != THRESHOLD_ALERT else FATE_NO_ALERT if not match.flags & MATCH_ALERT
                       else FATE_TOO_MANY if alerts == engine.packet_alert_max else FATE_ALERT)
        if rarely(engine.responses != NULL) and match.flags & MATCH_ALERT and state == THRESHOLD_ALERT:
            respond(engine, worker, burst, entry, flow, match.rule, now)
        if match.flags & MATCH_ALERT and state == THRESHOLD_ALERT \
                and (notes if match.flags & MATCH_NOTE else alerts) == engine.packet_alert_max:
            worker.alerts_lost += 1
        elif match.flags & MATCH_ALERT and state == THRESHOLD_ALERT:
            row = <alert_row_t *>add_row(&worker.rows.alerts, worker.order)
            if row != NULL:
                write_alert_row(row, burst, entry, rank, flow, match.rule, alerts + notes, action)
                if worker.inspection.context != NULL:
                    name_protocols(worker.context.app, row.app_proto)
                    if match.tx != NULL and match.tx.flags & TX_DECRYPTED:
                        name_inner(worker.context.app, row)
                if meta.flags & PM_PSEUDO:
                    row.source = SOURCE_FLUSH
                elif row.source == SOURCE_PACKET and match.flags & MATCH_STREAM:
                    row.source = SOURCE_STREAM
                if match.flags & (MATCH_STREAM | MATCH_STATE):
                    worker.stateful |= <uint16_t>(1 << min(alerts, 15))
                if engine.keep_apps and match.tx != NULL:
                    write_alert_context(engine, worker, meta, match.tx, rank, alerts + notes)
                if engine.keep_payloads:
                    write_alert_bytes(engine, worker, burst, entry, flow, rank, alerts + notes,
                                      flow != NULL and meta.proto == TCP and match.flags & (MATCH_STREAM | MATCH_STATE) != 0)
            if match.flags & MATCH_NOTE:
                notes += 1
                continue
            alerts += 1
            if flow != NULL:
                flow.flags |= FLOW_ALERTED
                more = ensure_more(flow, &engine.bucket[meta.bucket].pool)
                if more != NULL:
                    more.alerts += 1
        if flow != NULL:
            if match.kind == KIND_PASS and match.flags & MATCH_FLOW:
                flow.flags |= FLOW_PASS
                flow.rule = match.rule
            if match.flags & MATCH_BYPASS and not flow.flags & FLOW_BYPASS:
                flow.flags |= FLOW_BYPASS
                flow.rule = match.rule
    if rarely(worker.scratch.captures != NULL) and worker.scratch.captures.noted_count and flow != NULL:
        write_noted(worker, meta, flow, rank)
    if n and worker.rows.alerts.used > written:
        match = &worker.scratch.matches[n - 1]
        if verdict.action >= ACTION_DROP:
            conclude_alerts(worker, written, reject, ALERT_DROPPED)
        elif match.kind == KIND_PASS and not match.flags & MATCH_ALERT:
            conclude_alerts(worker, written, reject, ALERT_PASSED)
        else:
            conclude_alerts(worker, written, reject, ALERT_ALERTED)
        if engine.keep_vars:
            write_vars(worker, worker.scratch, flow, 0 if meta.flags & PM_PSEUDO else worker.ordinal, rank)
    verdict.alerts = <uint8_t>(alerts if alerts < 255 else 255)


cdef bint match_entry(engine_t *engine, worker_t *worker, const ruleset_t *rules, burst_t *burst, uint32_t entry, uint32_t rank,
                      flow_t *flow, uint64_t now, verdict_t *verdict) noexcept nogil:
    """Runs the rules over an entry and all that worker.inspection adds to it. Did one match?"""
    cdef uint32_t n
    worker.scratch.pool = &engine.bucket[burst.meta[entry].bucket].pool
    n = run_rules(rules, worker.scratch, burst, entry, flow, &worker.inspection, now)
    if n:
        act_on_matches(engine, worker, rules, burst, entry, rank, flow, now, verdict, n)
    return n != 0


cdef void count_in_ledger(engine_t *engine, flow_t *flow, const packet_meta_t *meta, uint8_t ledger) noexcept nogil:
    """The flow's own ledger: what was not inspected of it."""
    cdef flow_more_t *more = ensure_more(flow, &engine.bucket[meta.bucket].pool)
    if more == NULL:
        return
    if ledger == LEDGER_OFFLOADED:
        more.offloaded_pkts += 1
        more.offloaded_bytes += meta.wirelen
    elif ledger == LEDGER_DROPPED:
        more.dropped_pkts += 1
        more.dropped_bytes += meta.wirelen
    elif ledger == LEDGER_ERRORED:
        more.errored_pkts += 1
        more.errored_bytes += meta.wirelen


cdef uint32_t track_session(engine_t *engine, packet_meta_t *meta, flow_t *flow, burst_t *burst, uint32_t entry,
                            uint64_t now) noexcept nogil:
    """TCP: state and reassembly; what take_segment says."""
    cdef bucket_t *bucket = &engine.bucket[meta.bucket]
    cdef uint32_t told
    if has_session(engine, flow):
        told = take_segment(&engine.stream, &bucket.pool, flow, burst, entry)
    else:
        told = follow_flags(flow, meta) * STREAM_CLOSED_NOW
    if rarely(flow.flags & FLOW_OFFLOADED) and not told & STREAM_REJECTED:
        follow_session(engine, flow, meta, now)
    if told & STREAM_CLOSED_NOW:
        rearm_flow(bucket, flow)
        if flow.tcp_state == TCP_CLOSED or not session_of_flow(flow):   # else the session waits for the last acknowledgment
            end_session(engine, meta.bucket, flow, CLOSE_RST if meta.tcp_flags & TCP_RST else CLOSE_FINACK, now)
    return told


cdef void heed_stream(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow, uint32_t told,
                      bint *decided) noexcept nogil:
    """What follows from STREAM_UNUSUAL."""
    if told & STREAM_REJECTED and engine.inline_mode and flow.tcp_state != TCP_NONE:
        raise_verdict(&slot.verdict[entry], ACTION_DROP, REASON_STREAM, LEDGER_DROPPED, NO_RULE)
        slot.eventful[worker.number] = 1
    except_segment(engine, worker, slot, entry, flow, told, decided)


cdef inline uint64_t lap(worker_t *worker, uint32_t stage, uint64_t since) noexcept nogil:
    """Puts the time since then down to a stage; 0 where this burst is not sampled."""
    cdef uint64_t now
    if since == 0:
        return 0
    now = ticks()
    worker.sampled_ticks[stage] += now - since
    return now


cdef inline bint is_bare(const engine_t *engine, const slot_t *slot) noexcept nogil:
    """Is there nothing to do with an entry but to count it on its flow?"""
    return (slot.rules == NULL and slot.policy == NULL and engine.isolation == NULL and not engine.sessions
            and not engine.offloads and not engine.keep_log)


cdef flow_t *look_again(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, uint64_t now) noexcept nogil:
    """The flow of a keyed entry that had none when the index was asked: it has begun since, or begins now. NULL at the memcap."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef const flow_key_t *key = &slot.burst.key[entry]
    cdef bucket_t *bucket = &engine.bucket[meta.bucket]
    cdef flow_slot_t *place = find_slot(bucket, meta.hash, key)
    cdef bint decided = False
    cdef flow_t *flow
    if place[0]:
        return flow_in(bucket, place[0])
    worker.ordinal = slot.burst.first_ordinal + meta.packet
    worker.order = entry_order(meta.packet, slot.steering.rank[entry])
    flow = admit_flow(engine, worker, bucket, place, meta, key, now)
    if flow == NULL:
        except_entry(engine, worker, slot, entry, NULL, CAUSE_FLOW_MEMCAP, &decided)
    return flow


cdef inline void count_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, packet_meta_t *meta,
                             bint wanted) noexcept nogil:
    """An entry where that is all; what is out of the ordinary with one goes the whole way (inspect_entry). `wanted`: somebody
    wants to know the flow of each packet."""
    cdef flow_t *flow = slot.likely[entry]
    cdef uint64_t now = slot.burst.now[meta.packet]
    if rarely(not is_sound(meta)):
        inspect_entry(engine, worker, slot, entry, False)
        return
    if rarely(flow == NULL):
        flow = look_again(engine, worker, slot, entry, now)
        if flow == NULL:
            return
    if rarely(not continues(engine, flow, &slot.burst.key[entry], now) or follows_the_end(flow, meta)):
        inspect_entry(engine, worker, slot, entry, False)
        return
    count_on_flow(&engine.flow, flow, meta, now, False)
    if rarely(follow_flags(flow, meta)):        # of what is no TCP too: it has no flags, and whether it is, no branch foretells
        worker.ordinal = slot.burst.first_ordinal + meta.packet
        worker.order = entry_order(meta.packet, slot.steering.rank[entry])
        rearm_flow(&engine.bucket[meta.bucket], flow)
    if wanted:
        slot.verdict[entry].flow = flow_id_of(meta.hash, flow.first_ordinal)


cdef void inspect_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, bint sample) noexcept nogil:
    """One entry on its way from flow to verdict."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef verdict_t *verdict = &slot.verdict[entry]
    cdef uint64_t now = slot.burst.now[meta.packet]
    cdef uint64_t since = 0
    cdef uint64_t entered = clock_ns() if rarely(engine.keep_log) else 0
    cdef flow_t *flow = NULL
    cdef uint32_t told = 0, rank = slot.steering.rank[entry]
    cdef bint cut = False, decided = False, offloaded = False, isolated = False
    worker.ordinal = slot.burst.first_ordinal + meta.packet
    worker.order = entry_order(meta.packet, rank)
    worker.inspection.flags = worker.inspection.window_count = 0
    worker.inspection.context = NULL
    worker.inspection.room = NULL
    if meta.flags & PM_KEYED:
        flow = flow_of(engine, worker, slot, entry, now)
        if rarely(flow == NULL) and not meta.flags & PM_QUOTED:
            except_entry(engine, worker, slot, entry, NULL, CAUSE_FLOW_MEMCAP, &decided)
    elif rarely(was_refused(slot, entry)):
        except_entry(engine, worker, slot, entry, NULL, CAUSE_DEFRAG_MEMCAP, &decided)
    if rarely(meta.flags & PM_INVALID):
        judge_malformed(verdict, engine.malformed_action)
        slot.eventful[worker.number] = 1
    if rarely(engine.isolation != NULL):
        isolated = isolate_entry(engine, worker, slot, entry, flow, now)
        if isolated and engine.inline_mode:
            leave_cut(engine, worker, slot, entry, flow, verdict, entered)
            return
    if rarely(slot.policy != NULL) and judge_by_policy(engine, worker, slot, entry, flow, now, verdict):
        leave_cut(engine, worker, slot, entry, flow, verdict, entered)
        return
    if rarely(sample):
        since = ticks()
    if flow != NULL:
        if rarely(flow.flags & FLOW_OFFLOADED):
            offloaded = decided = hit_device(engine, flow, meta, now, verdict)
            slot.eventful[worker.number] = 1
        if rarely(flow.flags & FLOW_DROP):
            cut = dropped_by_rule(engine, flow)
        if meta.proto == TCP and not meta.flags & PM_QUOTED and not offloaded and not cut:
            told = track_session(engine, meta, flow, &slot.burst, entry, now)
            if rarely(told & STREAM_UNUSUAL):
                heed_stream(engine, worker, slot, entry, flow, told, &decided)
        since = lap(worker, SAMPLED_STREAM, since)
        if rarely(flow.flags & (FLOW_DROP | FLOW_PASS | FLOW_BYPASS)):
            slot.eventful[worker.number] = 1
            decided = decided or (not isolated and bypass_entry(engine, flow, meta, verdict)) or judge_flow(verdict, flow)
        if engine.sessions and not meta.flags & PM_QUOTED and not offloaded and not cut:
            inspect_session(engine, worker, slot, entry, flow, told, now, &decided)
            if rarely(slot.policy != NULL) and worker.inspection.context != NULL:
                decided = judge_application(engine, worker, slot, entry, flow, now, verdict) or decided
        since = lap(worker, SAMPLED_APPLAYER, since)
    if rarely(meta.events != NO_INDEX):
        write_event_rows(&worker.rows.events, &slot.burst, entry, rank, worker.events)
    if slot.rules != NULL and not decided:
        if flow != NULL and meta.proto == TCP:
            open_windows(engine, worker, meta, flow, told)
        if match_entry(engine, worker, slot.rules, &slot.burst, entry, rank, flow, now, verdict):
            slot.eventful[worker.number] = 1
            if rarely(slot.policy != NULL) and flow != NULL and judge_data(engine, worker, slot.policy, meta, rank, flow):
                cut_by_policy(engine, worker, slot, line_of(engine, meta, flow), verdict)
        since = lap(worker, SAMPLED_MATCH, since)
    if flow != NULL:
        if rarely(engine.keep_log):
            note_request(worker, flow)
        if engine.sessions and not meta.flags & PM_QUOTED and not offloaded and not cut:
            settle_session(engine, worker, meta, flow,
                           slot.rules != NULL and not flow.flags & (FLOW_DROP | FLOW_PASS | FLOW_BYPASS))
            lap(worker, SAMPLED_APPLAYER, since)
        if rarely(engine.offloads) and not isolated and may_offload(engine, slot, meta, flow):
            ask_for_offload(engine, flow, meta, now)
        if rarely(verdict.ledger != LEDGER_INSPECTED):
            count_in_ledger(engine, flow, meta, verdict.ledger)
        if each_packet(engine):
            verdict.flow = flow_id_of(meta.hash, flow.first_ordinal)
        if rarely(engine.keep_log):
            note_request(worker, flow)
    if rarely(engine.keep_log):
        log_entry(engine, worker, slot, entry, flow, told, entered)


cdef void tick_worker(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t packet) noexcept nogil:
    cdef uint32_t i = worker.number
    cdef uint64_t second = slot.burst.now[packet] // SECOND
    while i < engine.buckets:
        tick_sessions(engine, i, second)
        tick_bucket(&engine.bucket[i], second, slot.burst.first_ordinal + packet, tick_order(packet, i))
        i += engine.workers


cdef uint32_t own_entries(engine_t *engine, worker_t *worker, slot_t *slot, const uint16_t **entries) noexcept nogil:
    """The entries of a burst that lie in a worker's buckets, in order: all of them where there is one worker."""
    cdef uint32_t i, n = 0
    if engine.workers == 1:
        entries[0] = slot.steering.order
        return slot.burst.entries
    for i in range(slot.burst.entries):
        if slot.burst.meta[slot.steering.order[i]].bucket % engine.workers == worker.number:
            worker.mine[n] = slot.steering.order[i]
            n += 1
    entries[0] = worker.mine
    return n


# A lookup reads the index, then the flow that it names. Each is fetched before its turn, so that memory works while the entries
# before are worked on: the index by steer, the flow here.

cdef void prefetch_indexes(const engine_t *engine, const slot_t *slot, const uint16_t *entries, uint32_t n) noexcept nogil:
    """Where steer works in another thread, and so for another core."""
    cdef uint32_t i
    cdef const packet_meta_t *meta
    cdef const bucket_t *bucket
    for i in range(n):
        meta = &slot.burst.meta[entries[i]]
        bucket = &engine.bucket[meta.bucket]
        prefetch(&bucket.slots[meta.hash & bucket.mask])


cdef inline void prefetch_flow(const engine_t *engine, slot_t *slot, uint32_t entry, bint whole, bint policy) noexcept nogil:
    """Also notes which flow the index names now, so that the index need not be read again if nothing has changed by then.
    Of the flow, the second line is wanted by rules, by rows and by whoever asks for the flow of a packet: `whole`."""
    cdef const packet_meta_t *meta = &slot.burst.meta[entry]
    cdef const bucket_t *bucket = &engine.bucket[meta.bucket]
    cdef uint32_t at = meta.hash & bucket.mask
    cdef flow_t *flow
    # the place after the first one is where a fifth of all flows are: a step that no branch foretells
    at = (at + (not is_alike(bucket.slots[at], meta.hash))) & bucket.mask
    while bucket.slots[at] and not is_alike(bucket.slots[at], meta.hash):
        at = (at + 1) & bucket.mask
    flow = flow_in(bucket, bucket.slots[at])
    slot.likely[entry] = flow
    prefetch(flow)
    if whole:
        prefetch(<const char *>flow + CACHE_LINE)
    if policy and flow != NULL:
        prefetch(&engine.policy_flows[meta.bucket][flow - bucket.flows])


cdef inline void look_ahead(const engine_t *engine, slot_t *slot, const uint16_t *entries, uint32_t first, uint32_t n,
                            bint whole, bint policy) noexcept nogil:
    """At the entry `first` of n, then at every AHEADth: fetches what those that come later need. Some at a time: what each waits
    for, the others do not."""
    cdef uint32_t i
    for i in range(0 if first == 0 else first + AHEAD, min(n, first + 2 * AHEAD)):
        prefetch_flow(engine, slot, entries[i], whole, policy)


cdef inline void prefetch_payload(const packet_meta_t *meta) noexcept nogil:
    """For the matcher, which reads a payload from its first byte on: where it goes on, the processor sees by itself."""
    cdef const uint8_t *at = meta.frame + meta.payload
    cdef const uint8_t *end = at + min(<uint32_t>meta.payload_len, <uint32_t>PAYLOAD_FETCHED)
    while at < end:
        prefetch(at)
        at += CACHE_LINE


cdef inline app_asked_t asked_of(const engine_t *engine, const ruleset_t *rules) noexcept nogil:
    """What somebody looks at in the application layers. Where rules alone do, what they ask for."""
    cdef app_asked_t asked
    if rules != NULL and not (engine.keep_apps or engine.keep_files or engine.policy != NULL
                              or engine.exception_policy[<uint32_t>CAUSE_APPLAYER] != EXCEPT_IGNORE):
        asked = rules.asked
    else:
        asked.protos = asked.contents = <uint64_t>-1
    if engine.apps.config.files.models:
        asked.contents = <uint64_t>-1
    return asked


cdef inline uint32_t packet_of_tick(const slot_t *slot, uint32_t tick) noexcept nogil:
    return slot.tick_at[tick] if tick < slot.ticks else <uint32_t>-1


cdef uint32_t pass_ticks(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t packet, uint32_t *tick) noexcept nogil:
    """The ticks that stand before this packet or at it. Before which packet does the next one?"""
    while packet_of_tick(slot, tick[0]) <= packet:
        tick_worker(engine, worker, slot, slot.tick_at[tick[0]])
        tick[0] += 1
    return packet_of_tick(slot, tick[0])


cdef inline ahead_t ahead_of(const rx_t *rx, const slot_t *slot, uint32_t most) noexcept nogil:
    """As much of the capture as this burst was, unless that is more than `most` lines a packet. While entries are worked on
    memory has little to do; rx, which does little but wait for it, finds what it reads next."""
    cdef ahead_t ahead
    ahead.at = ahead.until = NULL
    ahead.lines = <uint32_t>(slot.bytes // (CACHE_LINE * slot.burst.packets)) + 1
    if rx != NULL and ahead.lines <= most:
        ahead.at = rx.fetched
        ahead.until = min(rx.end, rx.at + ahead.lines * CACHE_LINE * slot.burst.packets)
    return ahead


cdef inline void fetch_lines(ahead_t *ahead, bint soon) noexcept nogil:
    """The share of one entry."""
    cdef uint32_t line
    if ahead.at < ahead.until:
        for line in range(ahead.lines):
            if soon:
                prefetch(ahead.at)
            else:
                prefetch_later(ahead.at)
            ahead.at += CACHE_LINE


cdef void count_entries(engine_t *engine, worker_t *worker, slot_t *slot, const uint16_t *entries, uint32_t n,
                        rx_t *rx) noexcept nogil:
    cdef uint32_t first = 0, i, tick = 0, due = packet_of_tick(slot, 0)
    cdef bint wanted = each_packet(engine)
    cdef ahead_t ahead = ahead_of(rx, slot, LINES_COUNTED)
    cdef packet_meta_t *meta
    while first < n:
        if wanted:
            look_ahead(engine, slot, entries, first, n, True, False)
        else:
            look_ahead(engine, slot, entries, first, n, False, False)
        for i in range(first, min(n, first + AHEAD)):
            meta = &slot.burst.meta[entries[i]]
            fetch_lines(&ahead, True)
            if rarely(meta.packet >= due):
                due = pass_ticks(engine, worker, slot, meta.packet, &tick)
            count_entry(engine, worker, slot, entries[i], meta, wanted)
        first += AHEAD
    pass_ticks(engine, worker, slot, BURST_MAX, &tick)
    if ahead.at != NULL:
        rx.fetched = ahead.at


cdef void inspect_entries(engine_t *engine, worker_t *worker, slot_t *slot, const uint16_t *entries, uint32_t n,
                          const rx_t *rx, bint sample) noexcept nogil:
    cdef uint32_t i, packet, tick = 0, due = packet_of_tick(slot, 0)
    cdef bint wanted = each_packet(engine)
    cdef bint whole = slot.rules != NULL or wanted
    cdef bint plain = asks_rules_alone(engine, slot) and not sample
    cdef bint cold = slot.rules != NULL and engine.verdicts_out != NULL     # what rx reads of a capture it has fetched itself
    cdef ahead_t ahead = ahead_of(rx, slot, LINES_INSPECTED)
    for i in range(n):
        if i % AHEAD == 0:
            look_ahead(engine, slot, entries, i, n, whole, slot.policy != NULL)
        fetch_lines(&ahead, False)
        packet = slot.burst.meta[entries[i]].packet
        if rarely(packet >= due):
            due = pass_ticks(engine, worker, slot, packet, &tick)
        if cold and i + PAYLOADS_AHEAD < n:
            prefetch_payload(&slot.burst.meta[entries[i + PAYLOADS_AHEAD]])
        if rarely(engine.offloads):
            fetch_ahead(engine, slot, entries, i, n)
        if plain:
            inspect_plainly(engine, worker, slot, entries[i], wanted)
        else:
            inspect_entry(engine, worker, slot, entries[i], sample)
    pass_ticks(engine, worker, slot, BURST_MAX, &tick)


cdef inline uint64_t timed_bursts(const engine_t *engine) noexcept nogil:
    """Of those so far, how many had their later stages and rules timed: the first, then every SAMPLEth."""
    return (engine.published + SAMPLE - 1) // SAMPLE


cdef uint64_t pass_slot(engine_t *engine, worker_t *worker, slot_t *slot, rx_t *rx, uint64_t started) noexcept nogil:
    """A worker's way through a burst: it takes its entries in order, and ticks between them. rx: where the next burst will be
    read by this thread; NULL where another reads it. From one count of ticks to the next, which it returns."""
    cdef const uint16_t *entries
    cdef bint sample = engine.timing and engine.sessions and slot.number % SAMPLE == 0
    cdef uint64_t ended
    cdef uint32_t n = own_entries(engine, worker, slot, &entries)
    if worker.scratch != NULL:
        worker.scratch.timing = sample
    worker.work.asked = asked_of(engine, slot.rules)
    worker.work.llm = engine.apps.config.llm.always or slot.rules != NULL and slot.rules.llm
    if engine.workers > 1:
        prefetch_indexes(engine, slot, entries, n)
    if is_bare(engine, slot):
        count_entries(engine, worker, slot, entries, n, rx)
    else:
        inspect_entries(engine, worker, slot, entries, n, rx, sample)
    ended = ticks()
    worker.burst_ticks += ended - started
    if sample:
        worker.timed_ticks += ended - started
    return ended


cdef void *run_worker(void *argument) noexcept nogil:
    """A worker thread: waits for the next slot, passes it, says so."""
    cdef worker_t *worker = <worker_t *>argument
    cdef engine_t *engine = worker.engine
    cdef slot_t *slot
    while True:
        pthread_mutex_lock(&engine.lock)
        while worker.passed == engine.published and not engine.stopping:
            pthread_cond_wait(&engine.moved, &engine.lock)
        if engine.stopping:
            pthread_mutex_unlock(&engine.lock)
            return NULL
        pthread_mutex_unlock(&engine.lock)
        slot = &engine.slot[worker.passed % SLOTS]
        worker.rows = &slot.rows[worker.number]
        pass_slot(engine, worker, slot, NULL, ticks())
        store_release(&worker.turn, (slot.burst.first_ordinal + slot.burst.packets) << 16)
        pthread_mutex_lock(&engine.lock)
        worker.passed += 1
        pthread_cond_broadcast(&engine.moved)
        pthread_mutex_unlock(&engine.lock)
