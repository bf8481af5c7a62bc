# See _core.pxd. Read from the bottom up: DataPlane, run_bursts, fill_slot, pass_slot, inspect_entry.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import os

import numpy as np

from fastpath.dataplane import rows as row_types
from fastpath.dataplane.decode import EVENT_NAMES

from fastpath.dataplane.decap cimport decap_burst
from fastpath.dataplane.decode cimport decode_burst, decode_defaults, decode_settings
from fastpath.dataplane.device cimport (
    OFFLOAD_DROP, OFFLOAD_FORWARD, add_session, close_device, delete_session, hit_session, open_device,
)
from fastpath.dataplane.flow cimport (
    CLASS_ICMP, CLASS_TCP, CLASS_UDP, close_bucket, count_on_flow, create_flow, find_flow, flush_bucket, open_bucket,
    rearm_flow, restart_flow, tick_bucket, timeout_of,
)
from fastpath.dataplane.hash cimport flow_id_of
from fastpath.dataplane.match.confirm cimport confirm_entry
from fastpath.dataplane.match.database cimport Database, Scratch
from fastpath.dataplane.match.prefilter cimport prefilter_entry
from fastpath.dataplane.match.program cimport KIND_PASS, MATCH_ALERT, MATCH_BYPASS, MATCH_FLOW, MATCH_THRESHOLD, match_t
from fastpath.dataplane.more cimport ensure_more
from fastpath.dataplane.match.threshold cimport (
    THRESHOLD_ALERT, THRESHOLD_SUPPRESS, clear_thresholds, close_thresholds, open_thresholds, threshold_check,
)
from fastpath.dataplane.rx cimport RX_MORE, Source, rx_burst
from fastpath.dataplane.steer cimport steer_burst
from fastpath.dataplane.stream cimport begins_anew, is_tcp_control, track_tcp
from fastpath.dataplane.telemetry cimport (
    add_row, add_run, close_buffer, close_rows, entry_order, merge_rows, open_buffer, open_rows, packet_row_t, tick_order,
    write_alert_row, write_event_rows, write_flow_row,
)
from fastpath.dataplane.threads cimport (
    clock_ns, load_acquire, prefetch, pthread_cond_broadcast, pthread_cond_init, pthread_cond_wait, pthread_create,
    pthread_join, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock, sched_yield, store_release,
)
from fastpath.dataplane.types cimport (
    ACTION_DROP, ACTION_PASS, BURST_MAX, ENTRIES_MAX, END_REUSE, END_SHUTDOWN, END_TIMEOUT, FLOW_ALERTED, FLOW_BYPASS,
    FLOW_CLOSED, FLOW_DROP, FLOW_OFFLOADED, FLOW_PASS, LEDGER_DROPPED, LEDGER_ERRORED, LEDGER_INSPECTED, LEDGER_OFFLOADED,
    NO_INDEX, NO_RULE, PM_INVALID, PM_KEYED, PM_L3_CHECKSUM, PM_L4_CHECKSUM, PM_QUOTED, REASON_FLOW_MEMCAP, REASON_OFFLOAD_DROP,
    REASON_OFFLOAD_FORWARD, alert_row_t, flow_key_t, flow_more_t, flow_row_t, flow_t, packet_meta_t,
    verdict_run_t, verdict_t,
)
from fastpath.dataplane.verdict cimport clear_verdict, judge_flow, judge_malformed, judge_match, raise_verdict

DECODE_SETTINGS = ("compat", "vlan_tracking", "vni_in_key", "max_depth", "max_layers")

cdef extern from "<stdlib.h>":
    void *aligned_alloc(size_t alignment, size_t size) noexcept nogil

cdef enum:
    SECOND = 1000000000
    CACHE_LINE = 64
    AUTO_SAMPLE = 1000


# ---- worker: entry by entry ----

cdef void end_session(engine_t *engine, uint32_t bucket, flow_t *flow) noexcept nogil:
    if flow.more != NULL and flow.more.session:
        delete_session(&engine.device[bucket], flow.more.session)
        flow.more.session = 0


cdef void take_flow(bucket_t *bucket, flow_t *flow, uint8_t end, uint64_t ordinal, uint64_t order) noexcept nogil:
    """The sink of every bucket: a flow has ended."""
    cdef worker_t *worker = <worker_t *>bucket.owner
    cdef flow_row_t *row = <flow_row_t *>add_row(&worker.rows.flows, order)
    if row != NULL:
        write_flow_row(row, flow, end, ordinal)
    end_session(worker.engine, bucket.number, flow)


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


cdef flow_t *flow_of(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, uint64_t now) noexcept nogil:
    """The flow of a keyed entry, counted; NULL where it has none (an ICMP error about an unknown flow, the memcap)."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef const flow_key_t *key = &slot.burst.key[entry]
    cdef bucket_t *bucket = &engine.bucket[meta.bucket]
    cdef flow_t *flow = find_flow(bucket, meta.hash, key)
    if flow == NULL:
        if meta.flags & PM_QUOTED:
            return NULL
        flow = create_flow(bucket, meta, key, now, worker.ordinal, worker.order)
        if flow == NULL:
            worker.flow_failed += 1
            return NULL
    elif flow.last + timeout_of(&engine.flow, flow) <= now or (meta.proto == 6 and begins_anew(flow, meta)):
        restart_flow(bucket, flow, meta, now, worker.ordinal, worker.order,
                     END_TIMEOUT if flow.last + timeout_of(&engine.flow, flow) <= now else END_REUSE)
    count_on_flow(&engine.flow, flow, meta, now)
    if meta.proto == 6 and not meta.flags & PM_QUOTED and track_tcp(flow, meta):
        rearm_flow(bucket, flow)
        if flow.more != NULL and flow.more.session:
            engine.device[meta.bucket].closed += 1
            end_session(engine, meta.bucket, flow)
    return flow


cdef void wait_turn(engine_t *engine, worker_t *worker, uint32_t rank) noexcept nogil:
    """Returns when no other worker can touch shared state before this entry any more: state that spans flows changes in
    the order of the packets, whatever the number of workers."""
    cdef uint64_t turn = worker.ordinal << 8 | rank
    cdef uint32_t i = 0
    store_release(&worker.turn, turn)
    while i < engine.workers:
        if i == worker.number or load_acquire(&engine.worker[i].turn) >= turn:
            i += 1
        else:
            sched_yield()


cdef void match_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, flow_t *flow,
                      uint64_t now) noexcept nogil:
    """Runs the rules over an entry and acts on what matched, in order."""
    cdef uint32_t i, n, alerts = 0
    cdef uint8_t action, state
    cdef match_t *match
    cdef alert_row_t *row
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef verdict_t *verdict = &slot.verdict[entry]
    cdef flow_more_t *more
    cdef uint32_t rank = slot.steering.rank[entry]
    worker.scratch.pool = &engine.bucket[meta.bucket].pool
    if prefilter_entry(slot.rules, worker.scratch, &slot.burst, entry, flow) == 0:
        return
    n = confirm_entry(slot.rules, worker.scratch, &slot.burst, entry, flow, now)
    if n == 0:
        return
    slot.eventful[worker.number] = 1
    for i in range(n):
        match = &worker.scratch.matches[i]
        state = THRESHOLD_ALERT
        if match.flags & MATCH_THRESHOLD:
            if engine.workers > 1:
                wait_turn(engine, worker, rank)
            state = threshold_check(engine.thresholds, slot.rules, match.compiled, &slot.burst, entry,
                                    flow_id_of(meta.hash, flow.first_ordinal) if flow != NULL else 0, now)
            if state == THRESHOLD_SUPPRESS:
                continue
        action = match.action if engine.inline_mode else <uint8_t>ACTION_PASS
        judge_match(verdict, flow, action, match.flags & MATCH_FLOW, match.rule)
        if match.flags & MATCH_ALERT and state == THRESHOLD_ALERT and alerts == engine.packet_alert_max:
            worker.alerts_lost += 1
        elif match.flags & MATCH_ALERT and state == THRESHOLD_ALERT:
            row = <alert_row_t *>add_row(&worker.rows.alerts, worker.order)
            if row != NULL:
                write_alert_row(row, &slot.burst, entry, rank, flow, match.rule, alerts, action)
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
    verdict.alerts = <uint8_t>(alerts if alerts < 255 else 255)


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


cdef void inspect_entry(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t entry, bint sample) noexcept nogil:
    """One entry on its way from flow to verdict."""
    cdef packet_meta_t *meta = &slot.burst.meta[entry]
    cdef verdict_t *verdict = &slot.verdict[entry]
    cdef uint64_t now = slot.burst.now[meta.packet]
    cdef uint64_t started
    cdef flow_t *flow = NULL
    worker.ordinal = slot.burst.first_ordinal + meta.packet
    worker.order = entry_order(meta.packet, slot.steering.rank[entry])
    if meta.events != NO_INDEX:
        write_event_rows(&worker.rows.events, &slot.burst, entry, slot.steering.rank[entry], worker.events)
    if meta.flags & PM_KEYED:
        flow = flow_of(engine, worker, slot, entry, now)
        if flow == NULL and not meta.flags & PM_QUOTED:
            raise_verdict(verdict, engine.memcap_action, REASON_FLOW_MEMCAP,
                          LEDGER_DROPPED if engine.memcap_action >= ACTION_DROP else LEDGER_INSPECTED, NO_RULE)
            slot.eventful[worker.number] = 1
    if meta.flags & PM_INVALID:
        judge_malformed(verdict, engine.malformed_action)
        slot.eventful[worker.number] = 1
    if flow != NULL and flow.flags & (FLOW_DROP | FLOW_PASS | FLOW_BYPASS):
        slot.eventful[worker.number] = 1
        if not hit_device(engine, flow, meta, now, verdict) and not judge_flow(verdict, flow) and slot.rules != NULL:
            match_entry(engine, worker, slot, entry, flow, now)
    elif slot.rules != NULL:
        if sample:
            started = clock_ns()
            match_entry(engine, worker, slot, entry, flow, now)
            worker.match_sampled_ns += clock_ns() - started
        else:
            match_entry(engine, worker, slot, entry, flow, now)
    if flow != NULL:
        if flow.flags & (FLOW_DROP | FLOW_BYPASS):
            ask_for_offload(engine, meta.bucket, flow, now)
        if verdict.ledger != LEDGER_INSPECTED:
            count_in_ledger(engine, flow, meta, verdict.ledger)
        if engine.verdicts_out != NULL or engine.keep_packets:
            verdict.flow = flow_id_of(meta.hash, flow.first_ordinal)


cdef void tick_worker(engine_t *engine, worker_t *worker, slot_t *slot, uint32_t packet) noexcept nogil:
    cdef uint32_t i = worker.number
    cdef uint64_t second = slot.burst.now[packet] // SECOND
    while i < engine.buckets:
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


# A lookup reads the index, then the flow that it names. Each is fetched for a whole burst at once, some time before it is
# needed, so that memory works on many at a time.

cdef void prefetch_index(const engine_t *engine, const slot_t *slot, const uint16_t *entries, uint32_t n) noexcept nogil:
    cdef uint32_t i
    cdef const packet_meta_t *meta
    cdef const bucket_t *bucket
    for i in range(n):
        meta = &slot.burst.meta[entries[i]]
        bucket = &engine.bucket[meta.bucket]
        prefetch(&bucket.slots[meta.hash & bucket.mask])


cdef void prefetch_flows(const engine_t *engine, const slot_t *slot, const uint16_t *entries, uint32_t n) noexcept nogil:
    cdef uint32_t i
    cdef const packet_meta_t *meta
    cdef const bucket_t *bucket
    cdef const char *flow
    for i in range(n):
        meta = &slot.burst.meta[entries[i]]
        bucket = &engine.bucket[meta.bucket]
        flow = <const char *>&bucket.flows[bucket.slots[meta.hash & bucket.mask].flow] - sizeof(flow_t)
        prefetch(flow)
        prefetch(flow + CACHE_LINE)


cdef void pass_slot(engine_t *engine, worker_t *worker, slot_t *slot, const uint16_t *entries, uint32_t n) noexcept nogil:
    """A worker's way through a burst: it takes its entries in order, and ticks between them."""
    cdef uint32_t i, tick = 0
    cdef uint16_t entry
    cdef bint sample = slot.number % SAMPLE == 0
    cdef uint64_t started = clock_ns()
    for i in range(n):
        entry = entries[i]
        while tick < slot.ticks and slot.tick_at[tick] <= slot.burst.meta[entry].packet:
            tick_worker(engine, worker, slot, slot.tick_at[tick])
            tick += 1
        inspect_entry(engine, worker, slot, entry, sample)
    while tick < slot.ticks:
        tick_worker(engine, worker, slot, slot.tick_at[tick])
        tick += 1
    worker.burst_ns += clock_ns() - started


cdef void *run_worker(void *argument) noexcept nogil:
    """A worker thread: waits for the next slot, passes it, says so."""
    cdef worker_t *worker = <worker_t *>argument
    cdef engine_t *engine = worker.engine
    cdef slot_t *slot
    cdef const uint16_t *entries
    cdef uint32_t n
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
        n = own_entries(engine, worker, slot, &entries)
        prefetch_index(engine, slot, entries, n)
        prefetch_flows(engine, slot, entries, n)
        pass_slot(engine, worker, slot, entries, n)
        store_release(&worker.turn, (slot.burst.first_ordinal + slot.burst.packets) << 8)
        pthread_mutex_lock(&engine.lock)
        worker.passed += 1
        pthread_cond_broadcast(&engine.moved)
        pthread_mutex_unlock(&engine.lock)


# ---- ingest: burst by burst ----

cdef void advance_time(engine_t *engine, slot_t *slot) noexcept nogil:
    """Engine time is the running maximum of stamps; a tick stands before the packet that crosses a second."""
    cdef uint32_t i
    cdef uint64_t time = engine.time
    cdef uint64_t boundary = (engine.second + 1) * SECOND
    cdef uint64_t total = 0
    slot.ticks = 0
    for i in range(slot.burst.packets):
        total += slot.burst.meta[i].wirelen
        if slot.burst.meta[i].ts > time:
            time = slot.burst.meta[i].ts
            if time >= boundary:
                slot.tick_at[slot.ticks] = <uint16_t>i
                slot.ticks += 1
                engine.second = time // SECOND
                boundary = (engine.second + 1) * SECOND
        slot.burst.now[i] = time
    engine.time = time
    slot.bytes = total


cdef void judge_checksums(engine_t *engine, slot_t *slot) noexcept nogil:
    """Checksum mode auto, as Suricata decides it: where more than a tenth of a capture's first 1,000 packets are wrong, the
    machine that captured left them to its network card, and from then on none is held wrong."""
    cdef uint32_t i
    cdef uint64_t at
    cdef packet_meta_t *meta
    for i in range(slot.burst.entries):
        meta = &slot.burst.meta[i]
        at = engine.capture_packets + meta.packet
        if at < AUTO_SAMPLE:
            if i < slot.burst.packets:
                engine.wrong_checksums += (meta.flags & (PM_L3_CHECKSUM | PM_L4_CHECKSUM)) != 0
        elif engine.wrong_checksums > AUTO_SAMPLE // 10:
            meta.flags &= ~<uint32_t>(PM_L3_CHECKSUM | PM_L4_CHECKSUM)
    engine.capture_packets += slot.burst.packets


cdef uint32_t fill_slot(engine_t *engine, rx_t *rx, slot_t *slot) noexcept nogil:
    """Takes one burst through rx, decode, decap and steer; 0 when the source has nothing for now."""
    cdef uint64_t t0 = clock_ns()
    cdef uint64_t t1, t2, t3, t4
    cdef uint32_t first = 0
    cdef uint32_t count = rx_burst(rx, &slot.burst, engine.burst)
    if count == 0:
        return 0
    slot.burst.notes_used = 0
    slot.burst.events_lost = 0
    slot.burst.first_ordinal = engine.next_ordinal
    engine.next_ordinal += slot.burst.packets
    t1 = clock_ns()
    t3 = 0
    while count:
        decode_burst(&engine.decode, &slot.burst, first, count)
        t2 = clock_ns()
        first += count
        count = decap_burst(&engine.decode, &slot.burst, first - count, count)
        t3 += clock_ns() - t2
    t2 = clock_ns()
    if engine.checksums_auto:
        judge_checksums(engine, slot)
    advance_time(engine, slot)
    steer_burst(&slot.steering, &slot.burst)
    t4 = clock_ns()
    slot.number = engine.published
    slot.rules = engine.rules
    engine.read_packets += slot.burst.packets
    engine.read_bytes += slot.bytes
    engine.entries += slot.burst.entries
    engine.events_lost += slot.burst.events_lost
    engine.rx_ns += t1 - t0
    engine.decode_ns += t2 - t1 - t3
    engine.decap_ns += t3
    engine.steer_ns += t4 - t2
    return slot.burst.packets


cdef void retire_packet(engine_t *engine, slot_t *slot, uint32_t packet, const verdict_t *verdict) noexcept nogil:
    cdef const packet_meta_t *meta = &slot.burst.meta[packet]
    cdef packet_row_t *row
    engine.ledger_packets[verdict.ledger] += 1
    engine.ledger_bytes[verdict.ledger] += meta.wirelen
    add_run(&engine.runs, verdict, 1)
    if engine.verdicts_out != NULL and engine.verdicts_room:
        engine.verdicts_out[0] = verdict[0]
        engine.verdicts_out += 1
        engine.verdicts_room -= 1
    if engine.keep_packets:
        row = <packet_row_t *>add_row(&engine.packets, 0)
        if row != NULL:
            row.ordinal = slot.burst.first_ordinal + packet
            row.ts = meta.ts
            row.flow = verdict.flow
            row.rule = verdict.rule
            row.caplen = meta.caplen
            row.wirelen = meta.wirelen
            row.action = verdict.action
            row.reason = verdict.reason
            row.ledger = verdict.ledger
            row.alerts = verdict.alerts


cdef void retire_slot(engine_t *engine, slot_t *slot) noexcept nogil:
    """All workers have passed: rows are merged, and the verdict of a wire packet is the most severe of its entries'."""
    cdef row_buffer_t *buffers[64]
    cdef uint32_t i, packet
    cdef bint eventful = engine.verdicts_out != NULL or engine.keep_packets
    cdef verdict_t verdict
    cdef verdict_t *entry
    cdef uint64_t started = clock_ns()
    for i in range(engine.workers):
        eventful |= slot.eventful[i]
        slot.eventful[i] = 0
    if engine.workers > 1:
        for i in range(engine.workers):
            buffers[i] = &slot.rows[i].alerts
        merge_rows(&engine.rows.alerts, buffers, engine.workers)
        for i in range(engine.workers):
            buffers[i] = &slot.rows[i].flows
        merge_rows(&engine.rows.flows, buffers, engine.workers)
        for i in range(engine.workers):
            buffers[i] = &slot.rows[i].events
        merge_rows(&engine.rows.events, buffers, engine.workers)
    clear_verdict(&verdict)
    if not eventful:
        engine.ledger_packets[LEDGER_INSPECTED] += slot.burst.packets
        engine.ledger_bytes[LEDGER_INSPECTED] += slot.bytes
        add_run(&engine.runs, &verdict, slot.burst.packets)
    else:
        packet = 0
        for i in range(slot.burst.entries):
            entry = &slot.verdict[slot.steering.order[i]]
            if slot.burst.meta[slot.steering.order[i]].packet != packet:
                retire_packet(engine, slot, packet, &verdict)
                clear_verdict(&verdict)
                packet += 1
            raise_verdict(&verdict, entry.action, entry.reason, entry.ledger, entry.rule)
            verdict.alerts = <uint8_t>(verdict.alerts + entry.alerts if verdict.alerts + entry.alerts < 255 else 255)
            if verdict.flow == 0:
                verdict.flow = entry.flow
            clear_verdict(entry)
        retire_packet(engine, slot, packet, &verdict)
    engine.retired += 1
    engine.retire_ns += clock_ns() - started


cdef bint all_passed(engine_t *engine, uint64_t slot) noexcept nogil:
    cdef uint32_t i
    for i in range(engine.workers):
        if engine.worker[i].passed <= slot:
            return False
    return True


cdef void retire_passed(engine_t *engine, uint64_t target) noexcept nogil:
    """Retires slots until `target` of them have retired, waiting for the workers as need be; then what else has passed."""
    cdef bint passed
    while engine.retired < engine.published:
        pthread_mutex_lock(&engine.lock)
        passed = all_passed(engine, engine.retired)
        while not passed and engine.retired < target:
            pthread_cond_wait(&engine.moved, &engine.lock)
            passed = all_passed(engine, engine.retired)
        pthread_mutex_unlock(&engine.lock)
        if not passed:
            return
        retire_slot(engine, &engine.slot[engine.retired % SLOTS])


cdef uint32_t run_alone(engine_t *engine, rx_t *rx, uint32_t bursts) noexcept nogil:
    """Ingest and the one worker in one thread. The next burst is taken before this one is passed: while this one is worked
    on, memory brings the index lines of the next, and while the one after is taken, its flows."""
    cdef uint32_t done = 0
    cdef worker_t *worker = engine.worker
    cdef slot_t *slot = &engine.slot[0]
    cdef slot_t *following = &engine.slot[1]
    cdef const uint16_t *entries
    cdef const uint16_t *entries_following
    cdef uint32_t n, n_following
    if bursts == 0 or fill_slot(engine, rx, slot) == 0:
        return 0
    n = own_entries(engine, worker, slot, &entries)
    prefetch_index(engine, slot, entries, n)
    prefetch_flows(engine, slot, entries, n)
    while n:
        done += 1
        engine.published += 1
        n_following = 0
        if done < bursts and fill_slot(engine, rx, following):
            n_following = own_entries(engine, worker, following, &entries_following)
            prefetch_index(engine, following, entries_following, n_following)
        pass_slot(engine, worker, slot, entries, n)
        prefetch_flows(engine, following, entries_following, n_following)
        retire_slot(engine, slot)
        slot, following = following, slot
        entries, n = entries_following, n_following
    return done


cdef uint32_t run_workers(engine_t *engine, rx_t *rx, uint32_t bursts) noexcept nogil:
    """Ingest in this thread, the workers in theirs, at most SLOTS bursts between the first and the last of them."""
    cdef uint32_t done = 0
    while done < bursts:
        if engine.published - engine.retired == SLOTS:
            retire_passed(engine, engine.retired + 1)
        if fill_slot(engine, rx, &engine.slot[engine.published % SLOTS]) == 0:
            break
        pthread_mutex_lock(&engine.lock)
        engine.published += 1
        pthread_cond_broadcast(&engine.moved)
        pthread_mutex_unlock(&engine.lock)
        done += 1
    retire_passed(engine, engine.published)
    return done


cdef uint32_t run_bursts(engine_t *engine, rx_t *rx, uint32_t bursts) noexcept nogil:
    """Up to so many bursts from ingest to retirement; returns how many there were."""
    cdef uint64_t started = clock_ns()
    cdef uint32_t done
    if engine.workers == 1:
        done = run_alone(engine, rx, bursts)
    else:
        done = run_workers(engine, rx, bursts)
    engine.run_ns += clock_ns() - started
    return done


# ---- the Python door ----

cdef object take(row_buffer_t *buffer, object dtype):
    """The rows of a buffer as a numpy array of that dtype; the buffer is empty afterwards."""
    if dtype.itemsize != buffer.size:
        raise AssertionError(f"a row has {buffer.size} bytes, its dtype {dtype.itemsize}")
    array = np.empty(buffer.used, dtype)
    cdef unsigned char[::1] view
    if buffer.used:
        view = array.view(np.uint8)
        memcpy(&view[0], buffer.rows, <size_t>buffer.used * buffer.size)
    buffer.used = 0
    if buffer.room > 65536:
        close_buffer(buffer)
    return array


cdef class DataPlane:
    """The stages and their memory. One thread at a time; `fastpath.Engine` is the face to use.

    settings: see `fastpath.control.config`. Raises MemoryError when the tables cannot be reserved.
    """
    cdef engine_t engine
    cdef list rooms             # Scratch of each worker, for the rule set in force
    cdef dict limits
    cdef unsigned char epoch
    cdef object owner           # process id: worker threads do not survive a fork
    cdef uint32_t flush_next    # bucket
    cdef bint threads_running

    def __cinit__(self):
        memset(&self.engine, 0, sizeof(engine_t))

    def __init__(self, settings):
        cdef engine_t *engine = &self.engine
        cdef uint32_t i, j, slots, entry
        if engine.worker != NULL:
            raise RuntimeError("a DataPlane is set up once")
        engine.workers = settings["workers"]
        engine.burst = settings["burst"]
        engine.buckets = settings["buckets"]
        if not 1 <= engine.burst <= BURST_MAX:
            raise ValueError(f"burst must be 1 to {BURST_MAX}, not {engine.burst}")
        if not 1 <= engine.buckets <= 128 or engine.buckets & (engine.buckets - 1):
            raise ValueError(f"buckets must be a power of two up to 128, not {engine.buckets}")
        if not 1 <= engine.workers <= WORKERS_MAX:
            raise ValueError(f"workers must be 1 to {WORKERS_MAX}, not {engine.workers}")
        self.owner = os.getpid()
        self.rooms = []
        self.limits = {"match_limit": settings["pcre"]["match_limit"], "depth_limit": settings["pcre"]["recursion_limit"]}
        engine.packet_alert_max = settings.get("packet_alert_max", 15)
        engine.keep_packets = settings.get("keep_packets", False)
        engine.next_ordinal = 1
        self.set_mode(settings["mode"], settings.get("malformed_action", "pass"), settings.get("memcap_action", "pass"))
        decode_defaults(&engine.decode)
        decode_settings(&engine.decode, {name: settings[name] for name in DECODE_SETTINGS if name in settings}
                        | {"checksums": settings["checksums"] != "none"}
                        | {name: ports or [] for name, ports in settings["tunnels"].items()})
        engine.checksums_auto = settings["checksums"] == "auto"
        self._configure_flow(settings)
        engine.worker = <worker_t *>calloc(engine.workers, sizeof(worker_t))
        engine.bucket = <bucket_t *>calloc(engine.buckets, sizeof(bucket_t))
        engine.device = <device_t *>calloc(engine.buckets, sizeof(device_t))
        slots = SLOTS if engine.workers > 1 else 2
        engine.slot = <slot_t *>aligned_alloc(CACHE_LINE, slots * sizeof(slot_t))
        if engine.worker == NULL or engine.bucket == NULL or engine.device == NULL or engine.slot == NULL:
            raise MemoryError("no memory for the tables of the data plane")
        memset(engine.slot, 0, slots * sizeof(slot_t))
        pthread_mutex_init(&engine.lock, NULL)
        pthread_cond_init(&engine.moved, NULL)
        open_rows(&engine.rows)
        open_buffer(&engine.runs, sizeof(verdict_run_t))
        open_buffer(&engine.packets, sizeof(packet_row_t))
        engine.thresholds = open_thresholds(settings.get("threshold_memcap", 16 << 20))
        if engine.thresholds == NULL:
            raise MemoryError("no memory for the threshold table")
        for i in range(slots):
            engine.slot[i].rows = <rows_t *>calloc(engine.workers, sizeof(rows_t))
            engine.slot[i].eventful = <uint8_t *>calloc(engine.workers, 1)
            if engine.slot[i].rows == NULL or engine.slot[i].eventful == NULL:
                raise MemoryError("no memory for the rows of a burst")
            for j in range(engine.workers):
                open_rows(&engine.slot[i].rows[j])
            engine.slot[i].steering.bucket_bits = <uint32_t>(int(engine.buckets).bit_length() - 1)
            for entry in range(ENTRIES_MAX):
                clear_verdict(&engine.slot[i].verdict[entry])
        for i in range(engine.workers):
            engine.worker[i].engine = engine
            engine.worker[i].number = i
            engine.worker[i].rows = &engine.rows
        for i in range(engine.buckets):
            if open_bucket(&engine.bucket[i], &engine.flow, i):
                raise MemoryError(f"no address space for a flow table of {engine.flow.memcap} bytes")
            engine.bucket[i].sink = take_flow
            engine.bucket[i].owner = &engine.worker[i % engine.workers]
            device = settings.get("device") or {"capacity": 0, "timeout": 0}
            if open_device(&engine.device[i], -(-device["capacity"] // engine.buckets), device["timeout"]):
                raise MemoryError(f"no address space for a session table of {device['capacity']} sessions")

    def _configure_flow(self, settings):
        cdef uint32_t i, j
        self.engine.flow.memcap = settings["flow_memcap"] // self.engine.buckets
        for protocol, flow_class in ((6, CLASS_TCP), (17, CLASS_UDP), (1, CLASS_ICMP), (58, CLASS_ICMP)):
            self.engine.flow.class_of[protocol] = flow_class
        self.engine.flow.captured_bytes = settings.get("compat", False)
        for i, name in enumerate(("default", "tcp", "udp", "icmp")):
            for j, state in enumerate(("new", "established", "closed")):
                self.engine.flow.timeout[i][j] = <uint64_t>settings["flow_timeouts"][name][state] * SECOND

    def __dealloc__(self):
        cdef engine_t *engine = &self.engine
        cdef uint32_t i, j
        self._stop_threads()
        if engine.slot != NULL:
            for i in range(SLOTS if engine.workers > 1 else 2):
                if engine.slot[i].rows != NULL:
                    for j in range(engine.workers):
                        close_rows(&engine.slot[i].rows[j])
                free(engine.slot[i].rows)
                free(engine.slot[i].eventful)
        for i in range(engine.buckets):
            if engine.bucket != NULL:
                close_bucket(&engine.bucket[i])
            if engine.device != NULL:
                close_device(&engine.device[i])
        close_rows(&engine.rows)
        close_buffer(&engine.runs)
        close_buffer(&engine.packets)
        if engine.thresholds != NULL:
            close_thresholds(engine.thresholds)
        free(engine.worker)
        free(engine.bucket)
        free(engine.device)
        free(engine.slot)

    # ---- threads ----

    def _start_threads(self):
        cdef uint32_t i
        if self.engine.workers == 1 or self.threads_running:
            return
        self.engine.stopping = False
        for i in range(self.engine.workers):
            self.engine.worker[i].turn = self.engine.next_ordinal << 8
            if pthread_create(&self.engine.worker[i].thread, NULL, run_worker, &self.engine.worker[i]):
                raise RuntimeError(f"worker thread {i} could not be started")
        self.threads_running = True

    cdef void _stop_threads(self) noexcept:
        cdef uint32_t i
        if not self.threads_running or os.getpid() != self.owner:
            return
        with nogil:
            pthread_mutex_lock(&self.engine.lock)
            self.engine.stopping = True
            pthread_cond_broadcast(&self.engine.moved)
            pthread_mutex_unlock(&self.engine.lock)
            for i in range(self.engine.workers):
                pthread_join(self.engine.worker[i].thread, NULL)
        self.threads_running = False

    def close(self):
        """Stops the worker threads; what has not been taken is lost."""
        self._stop_threads()

    # ---- control ----

    def set_mode(self, mode, malformed_action="pass", memcap_action="pass"):
        """mode: "ids" cuts nothing, "ips" does; the other two are exception policies, "pass" or "drop"."""
        actions = {"pass": ACTION_PASS, "drop": ACTION_DROP}
        self.engine.inline_mode = {"ids": 0, "ips": 1}[mode]
        self.engine.malformed_action = actions[malformed_action]
        self.engine.memcap_action = actions[memcap_action]

    def load(self, Database database):
        """Swaps the rule set: packets from the next ordinal on are inspected by it. The old one stays on any error."""
        cdef uint32_t i
        cdef Scratch scratch
        rooms = [Scratch(database, **self.limits) for _ in range(self.engine.workers)]
        self.epoch = self.epoch % 255 + 1
        database.set_epoch(self.epoch)
        for i, scratch in enumerate(rooms):
            self.engine.worker[i].scratch = &scratch.at
        self.rooms = rooms
        self.engine.rules = &database.rules

    def begin_capture(self):
        """A capture begins: checksum mode auto judges anew."""
        self.engine.capture_packets = 0
        self.engine.wrong_checksums = 0

    def step(self, Source source not None, uint32_t bursts=256):
        """Runs up to so many bursts of the source without the GIL. False when it has no more for now: its status says why."""
        cdef uint32_t done
        self._start_threads()
        with nogil:
            done = run_bursts(&self.engine, &source.rx, bursts)
        return done == bursts or source.rx.status == RX_MORE

    def inspect(self, Source source not None, verdict_t[::1] verdicts not None):
        """Inspects all packets of a source that is whole (a batch); verdicts[i] is that of packet i."""
        cdef uint32_t done = 1
        self._start_threads()
        with nogil:
            if verdicts.shape[0]:
                self.engine.verdicts_out = &verdicts[0]
                self.engine.verdicts_room = verdicts.shape[0]
            while done:
                done = run_bursts(&self.engine, &source.rx, 1024)
            self.engine.verdicts_out = NULL
            self.engine.verdicts_room = 0

    def tick(self, uint64_t now):
        """Moves engine time on to `now` (ns): what has timed out ends. Time never goes back."""
        cdef uint32_t i
        if now <= self.engine.time:
            return
        self.engine.time = now
        self.engine.second = now // SECOND
        for i in range(self.engine.workers):
            self.engine.worker[i].rows = &self.engine.rows
        for i in range(self.engine.buckets):
            tick_bucket(&self.engine.bucket[i], self.engine.second, self.engine.next_ordinal, 0)

    def flush(self):
        """Ends every flow of the next bucket that has not been flushed; True while buckets remain. Rows are to be taken in
        between, so that a million flows need no memory for a million rows. Afterwards all detection state is empty."""
        cdef uint32_t i
        if self.flush_next == 0:
            for i in range(self.engine.workers):
                self.engine.worker[i].rows = &self.engine.rows
        with nogil:
            flush_bucket(&self.engine.bucket[self.flush_next], self.engine.next_ordinal - 1, END_SHUTDOWN)
        self.flush_next += 1
        if self.flush_next < self.engine.buckets:
            return True
        self.flush_next = 0
        self.engine.time = self.engine.second = 0
        clear_thresholds(self.engine.thresholds)
        return False

    # ---- what comes out ----

    @property
    def next_ordinal(self):
        """Of the next wire packet; they count from 1."""
        return self.engine.next_ordinal

    def rows(self):
        """Takes what has retired: a dict of numpy arrays "alerts", "flows", "events", "runs", "packets" (dataplane/rows.py).
        The last run stays until `last_run`, since it may grow."""
        cdef row_buffer_t *runs = &self.engine.runs
        cdef verdict_run_t open_run
        cdef bint is_open = runs.used > 0
        memset(&open_run, 0, sizeof(open_run))
        if is_open:
            runs.used -= 1
            memcpy(&open_run, runs.rows + <size_t>runs.used * runs.size, sizeof(verdict_run_t))
        taken = {"alerts": take(&self.engine.rows.alerts, row_types.ALERT), "runs": take(runs, row_types.RUN),
                 "flows": take(&self.engine.rows.flows, row_types.FLOW),
                 "events": take(&self.engine.rows.events, row_types.EVENT),
                 "packets": take(&self.engine.packets, row_types.PACKET)}
        if is_open:
            memcpy(add_row(runs, 0), &open_run, sizeof(verdict_run_t))
        return taken

    def last_run(self):
        """Takes the run of verdicts that was still growing; to be called once, after the last step."""
        return take(&self.engine.runs, row_types.RUN)

    def stats(self):
        """Counters since the beginning, as a plain dict; times in nanoseconds."""
        cdef engine_t *engine = &self.engine
        cdef uint32_t i, j
        cdef uint64_t worker_ns = 0, match_ns = 0, lost
        cdef worker_t *worker
        ledger = {}
        for i, name in enumerate(("inspected", "offloaded", "dropped", "errored")):
            ledger[name] = {"packets": engine.ledger_packets[i], "bytes": engine.ledger_bytes[i]}
        events = [0] * len(EVENT_NAMES)
        for i in range(engine.workers):
            worker = &engine.worker[i]
            worker_ns += worker.burst_ns
            match_ns += worker.match_sampled_ns * SAMPLE
            for j in range(len(EVENT_NAMES)):
                events[j] += worker.events[j]
        flows = {"active": 0, "created": 0, "forced": 0, "memcap_hits": 0, "ended": [0, 0, 0, 0]}
        device = {"sessions": 0, "added": 0, "full": 0, "timed_out": 0, "closed": 0, "packets": 0, "bytes": 0}
        for i in range(engine.buckets):
            flows["active"] += engine.bucket[i].used
            flows["created"] += engine.bucket[i].created
            flows["forced"] += engine.bucket[i].forced
            flows["memcap_hits"] += engine.bucket[i].memcap_hits
            for j in range(4):
                flows["ended"][j] += engine.bucket[i].ended[j]
            device["sessions"] += engine.device[i].used
            device["added"] += engine.device[i].added
            device["full"] += engine.device[i].full
            device["timed_out"] += engine.device[i].timed_out
            device["closed"] += engine.device[i].closed
            device["packets"] += engine.device[i].pkts
            device["bytes"] += engine.device[i].bytes
        flows["ended"] = dict(zip(("timeout", "forced", "shutdown", "reuse"), flows["ended"]))
        lost = engine.rows.alerts.lost + engine.rows.flows.lost + engine.rows.events.lost + engine.runs.lost + engine.packets.lost
        return {
            "packets": engine.read_packets, "bytes": engine.read_bytes, "entries": engine.entries, "run_ns": engine.run_ns,
            "ledger": ledger, "flows": flows, "device": device,
            "events": {name: n for name, n in zip(EVENT_NAMES, events) if n}, "events_lost": engine.events_lost,
            "rows_lost": lost, "flow_failed": sum(engine.worker[i].flow_failed for i in range(engine.workers)),
            "alerts_lost": sum(engine.worker[i].alerts_lost for i in range(engine.workers)),
            "rules": sum(room.counters() for room in self.rooms) if self.rooms else None,
            "stages": {"rx": engine.rx_ns, "decode": engine.decode_ns, "decap": engine.decap_ns, "steer": engine.steer_ns,
                       "flow": worker_ns - match_ns if worker_ns > match_ns else 0, "match": match_ns,
                       "telemetry": engine.retire_ns},
        }
