# ingest: burst by burst, to retirement. Part of _core.pyx. Read from the bottom up: run_bursts, run_alone, fill_slot.

cdef void count_throughput(engine_t *engine, uint64_t packets, uint64_t bytes) noexcept nogil:
    """Packets of the second that engine time has reached."""
    cdef bin_t *bin
    if packets:
        bin = bin_of(&engine.throughput, engine.second)
        bin.packets += packets
        bin.bytes += bytes


cdef void advance_time(engine_t *engine, slot_t *slot) noexcept nogil:
    """Engine time is the running maximum of stamps; a tick stands before the packet that crosses a second."""
    cdef uint32_t i, counted = 0
    cdef uint64_t time = engine.time
    cdef uint64_t boundary = (engine.second + 1) * SECOND
    cdef uint64_t total = 0, counted_bytes = 0
    for i in range(slot.burst.packets):
        time = max(time, slot.burst.meta[i].ts)
        slot.burst.now[i] = time
        total += slot.burst.meta[i].wirelen
    engine.time = time
    slot.bytes = total
    slot.ticks = 0
    if time >= boundary:
        total = 0
        for i in range(slot.burst.packets):
            if slot.burst.now[i] >= boundary:
                slot.tick_at[slot.ticks] = <uint16_t>i
                slot.ticks += 1
                count_throughput(engine, i - counted, total - counted_bytes)
                counted = i
                counted_bytes = total
                engine.second = slot.burst.now[i] // SECOND
                boundary = (engine.second + 1) * SECOND
            total += slot.burst.meta[i].wirelen
    count_throughput(engine, slot.burst.packets - counted, total - counted_bytes)


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


cdef uint32_t fragments_of(burst_t *burst, uint16_t *fragments) noexcept nogil:
    """The entries that are fragments, in the order of their packets. No packet has two: a fragment carries nothing."""
    cdef uint32_t i, n = 0
    cdef uint16_t by_packet[BURST_MAX]
    memset(by_packet, 0xff, sizeof(by_packet))
    for i in range(burst.entries):
        if burst.meta[i].flags & PM_FRAGMENT:
            by_packet[burst.meta[i].packet] = <uint16_t>i
    for i in range(burst.packets):
        if by_packet[i] != NO_INDEX:
            fragments[n] = by_packet[i]
            n += 1
    return n


cdef void reassemble(engine_t *engine, slot_t *slot) noexcept nogil:
    """The fragments of a burst, packet by packet, so that the size of the burst changes nothing: a datagram made whole is
    decoded at once, and what it carries; that may be a fragment again. A packet never has more entries than 1 + DEPTH_MAX."""
    cdef uint16_t fragments[BURST_MAX]
    cdef uint32_t i, entry, found, links
    cdef burst_t *burst = &slot.burst
    cdef packet_meta_t *meta
    for i in range(fragments_of(burst, fragments)):
        entry = fragments[i]
        links = burst.meta[entry].depth
        while True:
            meta = &burst.meta[entry]
            if not meta.flags & PM_FRAGMENT and meta.carries == TUNNEL_NONE:
                break
            if links == DEPTH_MAX:
                note_event(burst, entry, EVENT_TOO_MANY_LAYERS)
                break
            if meta.flags & PM_FRAGMENT:
                found = defragment(engine, slot, entry)
            else:
                found = burst.entries if decap_burst(&engine.decode, burst, entry, 1) else <uint32_t>NO_INDEX
                if found != NO_INDEX:
                    found -= 1
            if found == NO_INDEX:
                break
            decode_burst(&engine.decode, burst, found, 1)
            entry = found
            links += 1


cdef inline void show_lookups(const engine_t *engine, steering_t *steering) noexcept nogil:
    """Tells steer where it will be looked for; of what other threads may be changing, nothing."""
    cdef uint32_t i
    for i in range(engine.buckets):
        steering.lookup[i].slots = <const uint8_t *>engine.bucket[i].slots if engine.workers == 1 else <const uint8_t *>steering
        steering.lookup[i].mask = engine.bucket[i].mask if engine.workers == 1 else 0


cdef uint64_t fill_slot(engine_t *engine, rx_t *rx, slot_t *slot, uint64_t t0) noexcept nogil:
    """Takes one burst through rx, decode, decap, defrag and steer, from one count of ticks to the next, which it returns; 0 when
    the source has nothing for now."""
    cdef uint64_t t1, t2, t3, t4, t5
    cdef uint32_t first = 0, found, flags
    cdef uint32_t count = take_burst(engine, rx, slot)
    while rarely(rx.secrets_used > engine.secrets_read):
        take_secrets(engine, rx, engine.next_ordinal + count)
        if count == 0 and rx.status == RX_MORE:
            count = take_burst(engine, rx, slot)
    if count == 0:
        return 0
    slot.burst.notes_used = 0
    slot.burst.events_lost = 0
    slot.refusals = 0
    slot.burst.first_ordinal = engine.next_ordinal
    engine.next_ordinal += slot.burst.packets
    advance_time(engine, slot)
    t1 = ticks()
    flags = decode_burst(&engine.decode, &slot.burst, 0, count)
    t2 = t3 = t5 = ticks()
    empty_arena(&slot.wholes)
    if flags:
        while True:
            found = decap_burst(&engine.decode, &slot.burst, first, count)
            if found == 0:
                break
            flags |= decode_burst(&engine.decode, &slot.burst, first + count, found)
            first += count
            count = found
        t3 = ticks()
        if flags & PM_FRAGMENT:
            reassemble(engine, slot)
        t5 = ticks()
    if engine.checksums_auto:
        judge_checksums(engine, slot)
    show_lookups(engine, &slot.steering)
    steer_burst(&slot.steering, &slot.burst)
    if rarely(engine.bindings != NULL):
        bind_burst(engine.bindings, &slot.burst, slot.steering.order)
    t4 = ticks()
    slot.number = engine.published
    slot.rules = engine.rules
    slot.policy = engine.policy
    engine.read_packets += slot.burst.packets
    engine.read_bytes += slot.bytes
    engine.entries += slot.burst.entries
    engine.events_lost += slot.burst.events_lost
    engine.rx_ticks += t1 - t0
    engine.decode_ticks += t2 - t1
    engine.decap_ticks += t3 - t2
    engine.defrag_ticks += t5 - t3
    engine.steer_ticks += t4 - t5
    return t4


cdef void retire_packet(engine_t *engine, slot_t *slot, uint32_t packet, const verdict_t *verdict) noexcept nogil:
    cdef const packet_meta_t *meta = &slot.burst.meta[packet]
    cdef packet_row_t *row
    cdef uint32_t why = (KEEP_ALERTS if verdict.alerts else 0) | (KEEP_DROPS if verdict.action != ACTION_PASS else 0)
    if verdict.action != ACTION_PASS:
        bin_of(&engine.throughput, slot.burst.now[packet] // SECOND).dropped += 1
    if why & engine.keep:
        keep_packet(&engine.kept, &slot.burst, packet, why)
    engine.ledger_packets[verdict.ledger] += 1
    engine.ledger_bytes[verdict.ledger] += meta.wirelen
    add_run(&engine.runs, verdict, 1)
    if engine.verdicts_out != NULL and engine.verdicts_room:
        engine.verdicts_out[0] = verdict[0]
        engine.verdicts_out += 1
        engine.verdicts_room -= 1
    if engine.ring != NULL:
        write_row(engine.ring, slot.burst.first_ordinal + packet, verdict, engine.rule_base)
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


cdef void give_plain_verdicts(engine_t *engine, slot_t *slot) noexcept nogil:
    """To inspect, where nothing was done about any packet: each has but its flow to tell."""
    cdef uint32_t i, packet, entry
    cdef uint32_t n = <uint32_t>min(<uint64_t>slot.burst.packets, engine.verdicts_room)
    cdef verdict_t *out = engine.verdicts_out
    for i in range(n):
        clear_verdict(&out[i])
    for i in range(slot.burst.entries):
        entry = slot.steering.order[i]
        packet = slot.burst.meta[entry].packet
        if packet < n and out[packet].flow == 0:
            out[packet].flow = slot.verdict[entry].flow
        slot.verdict[entry].flow = 0
    engine.verdicts_out += n
    engine.verdicts_room -= n


cdef uint64_t retire_slot(engine_t *engine, slot_t *slot, uint64_t started) noexcept nogil:
    """All workers have passed: rows are merged, and the verdict of a wire packet is the most severe of its entries'. From one
    count of ticks to the next, which it returns."""
    cdef row_buffer_t *buffers[64]
    cdef uint32_t i, packet
    cdef bint eventful = engine.keep_packets or engine.ring != NULL
    cdef verdict_t verdict
    cdef verdict_t *entry
    cdef uint64_t ended
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
        for i in range(engine.workers):
            buffers[i] = &slot.rows[i].denials
        merge_rows(&engine.rows.denials, buffers, engine.workers)
        merge_app_rows(&engine.rows, slot.rows, engine.workers)
    clear_verdict(&verdict)
    if not eventful:
        if engine.verdicts_out != NULL:
            give_plain_verdicts(engine, slot)
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
    if engine.ring != NULL:
        publish_rows(engine.ring)
    engine.retired += 1
    ended = ticks()
    engine.retire_ticks += ended - started
    return ended


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
        retire_slot(engine, &engine.slot[engine.retired % SLOTS], ticks())


cdef inline bint goes_on(const engine_t *engine) noexcept nogil:
    """Does a step take one more burst, as far as its rows and the control plane are concerned?"""
    return engine.kept.used < KEPT_MAX and engine.rows.bytes.length < ROWS_MAX and not load_acquire(&engine.called)


cdef uint32_t run_alone(engine_t *engine, rx_t *rx, uint32_t bursts) noexcept nogil:
    """Ingest and the one worker in one thread. Ticks are read once between two stages."""
    cdef uint32_t done = 0
    cdef slot_t *slot = &engine.slot[0]
    cdef uint64_t now = ticks(), filled
    while done < bursts and goes_on(engine):
        filled = fill_slot(engine, rx, slot, now)
        if filled == 0:
            break
        done += 1
        engine.published += 1
        now = retire_slot(engine, slot, pass_slot(engine, engine.worker, slot, rx, filled))
    return done


cdef uint32_t run_workers(engine_t *engine, rx_t *rx, uint32_t bursts) noexcept nogil:
    """Ingest in this thread, the workers in theirs, at most SLOTS bursts between the first and the last of them."""
    cdef uint32_t done = 0
    while done < bursts and goes_on(engine):
        if engine.published - engine.retired == SLOTS:
            retire_passed(engine, engine.retired + 1)
        if fill_slot(engine, rx, &engine.slot[engine.published % SLOTS], ticks()) == 0:
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
    cdef uint32_t done
    engine.began_ticks = ticks() - engine.run_ticks
    store_release(&engine.began, clock_ns() - engine.run_ns)
    if engine.workers == 1:
        done = run_alone(engine, rx, bursts)
    else:
        done = run_workers(engine, rx, bursts)
    engine.run_ns = clock_ns() - engine.began
    engine.run_ticks = ticks() - engine.began_ticks
    store_release(&engine.began, 0)
    return done
