# sessions: what stream and the application layer make of an entry before the rules see it, and what they have to say after. Part
# of _core.pyx. Read from the bottom up: end_flow, settle_session, open_inspection.

cdef void turn_flow_round(flow_t *flow, packet_meta_t *meta) noexcept nogil:
    """The first packet seen was the answer: who was held to be the client is the server."""
    flow.pkts[0], flow.pkts[1] = flow.pkts[1], flow.pkts[0]
    flow.bytes[0], flow.bytes[1] = flow.bytes[1], flow.bytes[0]
    flow.flags ^= FLOW_REVERSED
    if flow.flags & FLOW_SEEN_TO_CLIENT == 0 or flow.flags & FLOW_SEEN_TO_SERVER == 0:
        flow.flags ^= FLOW_SEEN_TO_CLIENT | FLOW_SEEN_TO_SERVER
    flow.flags &= ~<uint16_t>(FLOW_GROUPED_TO_SERVER | FLOW_GROUPED_TO_CLIENT)
    meta.flags ^= PM_TO_CLIENT


cdef bint feed_stream(engine_t *engine, app_context_t *context, burst_t *burst, uint32_t entry,
                      uint32_t direction) noexcept nogil:
    """Hands on what a direction of the stream has for its room. If it is recognised and the other spoke first, that one is fed
    before. True: the flow was turned round."""
    cdef bint turned = False
    cdef const uint8_t *data
    cdef uint32_t length, used, supply, flags
    while True:
        supply = next_bytes(&engine.stream, context.flow, burst, entry, direction, &data, &length)
        if supply == SUPPLY_NONE:
            return turned
        flags = PARSE_GAP if supply == SUPPLY_GAP else PARSE_EOF if supply >= SUPPLY_END else 0
        if not context.app.flags & APP_SHOWN:
            context.spoke_first = waiting_bytes(&engine.stream, context.flow, context.held, context.hold_max)
            if from_midstream(context.flow) and not turned:
                flags |= EITHER_WAY
        used = feed_bytes(&engine.apps, context, direction, data, length, flags)
        if used == FEED_REVERSED:
            turned = True
            turn_stream(context.flow)
            turn_flow_round(context.flow, &burst.meta[entry])
            direction = 1 - direction
            continue
        if context.app.flags & APP_TURN_TO_SERVER << direction:
            feed_stream(engine, context, burst, entry, 1 - direction)
            supply = SUPPLY_BYTES if supply == SUPPLY_ALL else supply       # what there is may be another's now
            used = feed_bytes(&engine.apps, context, direction, data, length, flags)
        consume_bytes(context.flow, direction, used)
        if context.app.proto == ALPROTO_FAILED:
            stop_feeding(context.flow)
            return turned
        if context.app.flags & APP_NO_REASSEMBLY:
            stop_reassembly(context.flow, TO_SERVER)
            stop_reassembly(context.flow, TO_CLIENT)
            return turned
        if supply >= SUPPLY_END or supply == SUPPLY_ALL:
            return turned
        if used < length:
            supply = behind_bytes(&engine.stream, context.flow, burst, entry, direction) if context.app.need[direction] \
                else <uint32_t>SUPPLY_NONE
            if supply == SUPPLY_NONE:
                return turned
            if supply == SUPPLY_END:
                feed_bytes(&engine.apps, context, direction, data + used, length - used, PARSE_EOF)
            consume_bytes(context.flow, direction, length - used)


cdef uint32_t meet_flow(app_context_t *context, uint32_t direction) noexcept nogil:
    """Is this flow one that another told of? What the other told hangs on the session then."""
    cdef worker_t *worker = <worker_t *>context.work.worker
    cdef flow_key_t key = flow_key_of(context.flow)
    cdef uint16_t server_port = key.port[0 if context.flow.flags & FLOW_REVERSED else 1]
    cdef expectation_t expected
    cdef expectation_t *kept
    wait_turn(worker.engine, worker)
    if not meet_expectation(worker.engine.expectations, &key, server_port, direction, context.now, &expected):
        return False
    kept = <expectation_t *>pool_take_raw(context.pool, ACCOUNT_APPLAYER, sizeof(expectation_t))
    if kept == NULL:
        return False
    kept[0] = expected
    context.app.expected = kept
    return True


cdef void remember_expectations(engine_t *engine, worker_t *worker) noexcept nogil:
    """What rooms announced while they parsed is known to all from here on."""
    cdef announced_t *announced = <announced_t *>worker.work.announced
    if announced.count:
        wait_turn(engine, worker)
        remember_announced(engine.expectations, announced)


cdef void feed_session(engine_t *engine, app_context_t *context, burst_t *burst, uint32_t entry, uint32_t told) noexcept nogil:
    """Both directions, first the one that this entry acknowledges."""
    cdef uint32_t direction = TO_SERVER if burst.meta[entry].flags & PM_TO_CLIENT else TO_CLIENT
    cdef uint32_t other = 1 - direction
    if told & STREAM_FED_TO_SERVER << direction and feed_stream(engine, context, burst, entry, direction):
        other = direction
    if told & STREAM_FED_TO_SERVER << (1 - direction):
        feed_stream(engine, context, burst, entry, other)
    for direction in range(2):
        if context.app.flags & APP_RAW_TO_SERVER << direction:
            trigger_raw(context.flow, direction)
    context.app.flags &= ~<uint32_t>(APP_RAW_TO_SERVER | APP_RAW_TO_CLIENT)


cdef inline bint enter_session(engine_t *engine, worker_t *worker, flow_t *flow, uint32_t bucket, uint64_t now) noexcept nogil:
    """Makes worker.context that of this flow; False where it has no application layer, or no memory for one."""
    cdef app_context_t *context = &worker.context
    cdef pool_t *pool = &engine.bucket[bucket].pool
    if flow.more == NULL and ensure_more(flow, pool) == NULL:
        return False
    context.flow = flow
    context.app = <app_t *>flow.more.app
    context.pool = pool
    context.sight = &engine.sight[bucket]
    context.now = now
    context.ordinal = worker.ordinal
    return context.app != NULL or open_session(context)


cdef uint32_t datagram_length(const packet_meta_t *meta) noexcept nogil:
    """Bytes of a datagram. Of a tunnel's, which has no payload for the rules, what it carries."""
    cdef uint32_t announced
    if not meta.flags & PM_OUTER:
        return meta.payload_len
    if meta.proto != UDP or meta.l4 == NO_INDEX or meta.payload > meta.caplen:
        return 0
    announced = be16(meta.frame + meta.l4 + UDP_LENGTH_AT)
    return min(announced - UDP_LEN if announced > UDP_LEN else 0, meta.caplen - meta.payload)


cdef void open_inspection(engine_t *engine, worker_t *worker, burst_t *burst, uint32_t entry, flow_t *flow, uint32_t told,
                          uint64_t now) noexcept nogil:
    """Brings the application layer of the entry's flow up to date, and says in worker.inspection what the rules have to look at
    beside the packet. `told`: what take_segment said."""
    cdef packet_meta_t *meta = &burst.meta[entry]
    cdef inspection_t *inspection = &worker.inspection
    cdef app_context_t *context = &worker.context
    cdef uint32_t direction = meta.flags // PM_TO_CLIENT & 1
    memset(inspection, 0, sizeof(inspection_t))
    worker.raw.started = 0
    worker.raw.progress = 0
    if meta.flags & PM_PSEUDO:
        inspection.flags = INSPECT_FLUSH | INSPECT_STREAM_END
    if told & STREAM_IN:
        inspection.flags |= INSPECT_IN_STREAM
    if told & STREAM_BEGUN and flow.tcp_state >= TCP_ESTABLISHED:
        inspection.flags |= INSPECT_PICKED_UP
    if flow.key.proto == TCP:
        if (flow.more == NULL or flow.more.app == NULL) and not told & (STREAM_FED_TO_SERVER | STREAM_FED_TO_CLIENT):
            return
    elif flow.key.proto != UDP:
        return
    if not enter_session(engine, worker, flow, meta.bucket, now):
        return
    inspection.events_before = context.app.event_count
    if context.app.flags & APP_NO_PAYLOAD:      # said by an entry before this one
        inspection.flags |= INSPECT_NO_PAYLOAD
    if flow.key.proto == TCP:
        if context.app.flags & APP_UPGRADE and context.app.next_proto == ALPROTO_HTTP2:
            told |= STREAM_FED_TO_SERVER | STREAM_FED_TO_CLIENT     # what came with the 101 waits until that was inspected
        if told & (STREAM_FED_TO_SERVER | STREAM_FED_TO_CLIENT):
            feed_session(engine, context, burst, entry, told)
            remember_expectations(engine, worker)
    elif (not passes_by(&engine.apps, context, direction)
          and feed_datagram(&engine.apps, context, direction, meta.frame + meta.payload, datagram_length(meta)) & FEED_REVERSED):
        turn_flow_round(flow, meta)
    inspection.context = context
    inspection.room = room_of(&engine.apps, context)
    if flow.key.proto == UDP or meta.flags & PM_ESTABLISHED or flow.tcp_state >= TCP_ESTABLISHED:
        inspection.flags |= INSPECT_TX
    direction = meta.flags // PM_TO_CLIENT & 1
    if context.app.flags & APP_QUIET_TO_SERVER << direction:
        inspection.flags |= INSPECT_QUIET
    if context.app.inner != NULL:
        inspection.inner = enter_inner(engine, context)
        leave_inner(context)
    if flow.key.proto == UDP:
        if context.app.proto > ALPROTO_FAILED:
            inspection.flags |= INSPECT_PROTO_FOUND
    elif context.app.flags & APP_SOUGHT_TO_SERVER << direction and not context.app.flags & APP_TOLD_TO_SERVER << direction:
        context.app.flags |= APP_TOLD_TO_SERVER << direction
        inspection.flags |= INSPECT_PROTO_FOUND


cdef void open_windows(engine_t *engine, worker_t *worker, const packet_meta_t *meta, flow_t *flow, uint32_t told) noexcept nogil:
    """The windows of the raw stream that are inspected with this entry."""
    cdef inspection_t *inspection = &worker.inspection
    cdef window_t *window
    inspection.windows = worker.windows
    inspection.stream_size[TO_SERVER] = stream_size(flow, TO_SERVER)
    inspection.stream_size[TO_CLIENT] = stream_size(flow, TO_CLIENT)
    if inspection.flags & INSPECT_NO_PAYLOAD or not raw_ready(&engine.stream, flow, meta, told):
        return
    while inspection.window_count < WINDOWS_MAX and next_raw(&engine.stream, flow, meta, told, False, &worker.raw):
        window = &worker.windows[inspection.window_count]
        window.data = worker.raw.data
        window.length = worker.raw.length
        window.offset = worker.raw.offset
        inspection.window_count += 1


# ---- what transactions have to say ----

cdef app_row_t *begin_row(worker_t *worker, const packet_meta_t *meta, uint8_t kind, uint64_t tx,
                          uint32_t direction) noexcept nogil:
    """A row about the session of worker.context, now."""
    cdef app_row_t *row = begin_app_row(worker.rows, worker.order, worker.number, worker.context.flow, kind)
    if row != NULL:
        row.ordinal = 0 if meta.flags & PM_PSEUDO else worker.ordinal
        row.ts = meta.ts
        row.tx = tx
        row.proto = worker.context.app.proto
        row.direction = <uint8_t>direction
        row.depth = meta.depth
        row.to_client = (meta.flags & PM_TO_CLIENT) != 0
        row.decrypted = worker.context.app.flags & APP_DECRYPTED != 0
    return row


cdef void write_file(worker_t *worker, const room_t *room, const packet_meta_t *meta, tx_t *tx, const file_t *file,
                     uint8_t kind) noexcept nogil:
    cdef app_row_t *row = begin_row(worker, meta, kind, tx.id, file.direction)
    if row != NULL:
        row.code = file.flags & FILE_STORED != 0
        say_file(&worker.rows.bytes, file)
        say_uint(&worker.rows.bytes, b"id", file.id)
        room.log(&worker.context, tx, LOG_ALERT, &worker.rows.bytes)
        say_vars_of(worker)
        end_app_row(worker.rows, True)


cdef void write_files(engine_t *engine, worker_t *worker, const room_t *room, const packet_meta_t *meta, tx_t *tx,
                      bint ended, bint rules) noexcept nogil:
    """Files that have come to their end since. Where rules look at them, those of the packet's direction, which the rules have
    seen."""
    cdef uint32_t direction, packet = meta.flags // PM_TO_CLIENT & 1
    cdef file_t *file
    for direction in range(2):
        file = tx.files[direction]
        while file != NULL:
            if not file.flags & FILE_LOGGED and (file.state != FILE_OPEN and (direction == packet or not rules) or ended):
                file.flags |= FILE_LOGGED
                if file.flags & FILE_STORE and engine.keep_files:
                    file.flags |= FILE_STORED
                file_cut(&worker.context, tx, file)
                if engine.apps.config.files.force_magic:
                    name_magic(&worker.context, file)
                if engine.keep_apps:
                    write_file(worker, room, meta, tx, file, APP_ROW_FILE)
                if is_model(file):
                    write_file(worker, room, meta, tx, file, APP_ROW_MODEL)
            file = file.next


cdef void write_anomaly(worker_t *worker, const packet_meta_t *meta, uint64_t tx, uint16_t event) noexcept nogil:
    cdef app_row_t *row = begin_row(worker, meta, APP_ROW_ANOMALY, tx, TO_SERVER)
    if row != NULL:
        row.code = event
        end_app_row(worker.rows, True)


cdef void write_llm(worker_t *worker, const packet_meta_t *meta, const room_t *room, tx_t *tx) noexcept nogil:
    """What a transaction that is over has said to a model."""
    if begin_row(worker, meta, APP_ROW_LLM, tx.id, TO_SERVER) != NULL:
        end_app_row(worker.rows, room.log(&worker.context, tx, LOG_LLM, &worker.rows.bytes))


cdef inline bint may_talk(const worker_t *worker) noexcept nogil:
    """Are transactions of the session of worker.context looked at for what they say to models?"""
    return worker.work.llm and (worker.context.app.proto == ALPROTO_HTTP1 or worker.context.app.proto == ALPROTO_HTTP2)


cdef void write_talk(engine_t *engine, worker_t *worker, const packet_meta_t *meta) noexcept nogil:
    """Of a flow that a rule dropped: who asks a model, and how much, counts all the same."""
    cdef const room_t *room = room_of(&engine.apps, &worker.context)
    cdef tx_t *tx = worker.context.app.first
    while room != NULL and tx != NULL:
        if log_due(room, tx, TO_CLIENT, True) and may_talk(worker):
            write_llm(worker, meta, room, tx)
        tx = tx.next
    if worker.context.app.inner != NULL:
        enter_inner(engine, &worker.context)
        write_talk(engine, worker, meta)
        leave_inner(&worker.context)


cdef void write_session(engine_t *engine, worker_t *worker, const packet_meta_t *meta, bint ended, bint rules) noexcept nogil:
    """Events, files and anomalies of the session of worker.context that are due, and of the one inside.
    Without rows asked for they are but marked. rules: the flow is inspected by some."""
    cdef app_context_t *context = &worker.context
    cdef const room_t *room = room_of(&engine.apps, context)
    cdef tx_t *tx = context.app.first
    cdef uint32_t direction
    cdef bint said, due
    while engine.keep_apps and context.app.events_logged < context.app.event_count:
        write_anomaly(worker, meta, NO_TX, context.app.events[context.app.events_logged])
        context.app.events_logged += 1
    if room == NULL:
        return
    while tx != NULL:
        while engine.keep_apps and tx.events_logged < tx.event_count:
            write_anomaly(worker, meta, tx.id, tx.events[tx.events_logged])
            tx.events_logged += 1
        if (engine.keep_apps or engine.apps.config.files.models) and (tx.files[0] != NULL or tx.files[1] != NULL):
            write_files(engine, worker, room, meta, tx, ended, rules)
        for direction in range(2):
            due = log_due(room, tx, direction, ended)
            if due and direction == TO_CLIENT and may_talk(worker):
                write_llm(worker, meta, room, tx)
            if due and engine.keep_apps \
                    and begin_row(worker, meta, APP_ROW_EVENT, tx.id, direction) != NULL:
                said = not tx.flags & TX_UNLOGGED and room.log(context, tx, direction, &worker.rows.bytes)
                say_vars_of(worker)
                end_app_row(worker.rows, said)
        tx = tx.next
    if context.app.inner != NULL:
        enter_inner(engine, context)
        write_session(engine, worker, meta, ended, rules)
        leave_inner(context)


cdef void write_alert_context(engine_t *engine, worker_t *worker, const packet_meta_t *meta, tx_t *tx, uint32_t rank,
                              uint32_t index) noexcept nogil:
    """What an alert carries of the transaction that it matched on."""
    cdef const room_t *room = worker.inspection.room
    if tx.flags & TX_DECRYPTED:
        room = enter_inner(engine, &worker.context)
    if room != NULL:
        write_tx_context(worker, meta, room, tx, rank, index)
    leave_inner(&worker.context)


cdef void write_tx_context(worker_t *worker, const packet_meta_t *meta, const room_t *room, tx_t *tx, uint32_t rank,
                           uint32_t index) noexcept nogil:
    cdef bint said
    cdef app_row_t *row = begin_row(worker, meta, APP_ROW_ALERT, tx.id, meta.flags // PM_TO_CLIENT & 1)
    if row != NULL:
        row.entry = <uint16_t>rank
        row.code = <uint16_t>index
        said = room.log(&worker.context, tx, LOG_ALERT, &worker.rows.bytes)
        if tx.files[row.direction] != NULL:
            say_files(&worker.rows.bytes, tx.files[row.direction], tx.id)
            said = True
        end_app_row(worker.rows, said)


cdef void settle_transactions(engine_t *engine, worker_t *worker, const packet_meta_t *meta, flow_t *flow,
                              bint rules) noexcept nogil:
    """The rules are through with an entry: of transactions, what is due is written, what is over is freed."""
    cdef uint32_t quiet = APP_QUIET_TO_SERVER << (meta.flags // PM_TO_CLIENT & 1)
    if worker.inspection.context == NULL or (
            rules and worker.inspection.flags & INSPECT_QUIET and worker.context.app.flags & quiet):    # all of that was done
        return
    if worker.context.app.first != NULL or worker.context.app.inner != NULL or engine.keep_apps:
        write_session(engine, worker, meta, False, rules)
        free_done(&engine.apps, &worker.context, rules)
    if worker.context.app.inner != NULL:
        enter_inner(engine, &worker.context)
        free_done(&engine.apps, &worker.context, rules)
        leave_inner(&worker.context)
    if worker.context.app.flags & APP_BYPASS and engine.stream.bypass:
        flow.flags |= FLOW_BYPASS


cdef void settle_session(engine_t *engine, worker_t *worker, const packet_meta_t *meta, flow_t *flow, bint rules) noexcept nogil:
    settle_transactions(engine, worker, meta, flow, rules)
    if flow.key.proto == TCP:
        settle_stream(&engine.stream, &engine.bucket[meta.bucket].pool, flow, meta, worker.raw.progress)


# ---- the end of a flow ----

cdef void make_pseudo(worker_t *worker, uint32_t bucket, const flow_t *flow, uint32_t direction) noexcept nogil:
    """A packet without payload of this direction, in worker.flush: what is left of a flow is inspected with it."""
    cdef burst_t *burst = worker.flush
    cdef packet_meta_t *meta = &burst.meta[0]
    cdef uint8_t *frame = worker.flush_frame
    cdef uint32_t source = direction ^ (flow.flags // FLOW_REVERSED & 1)
    cdef uint32_t size = 20 if flow.key.net == NET_IPV4 else 40
    cdef flow_key_t *key = &burst.key[0]
    burst.packets = burst.entries = 1
    burst.notes_used = 0
    burst.now[0] = flow.last
    key[0] = flow_key_of(flow)
    memset(meta, 0, sizeof(packet_meta_t))
    memset(frame, 0, PSEUDO_MAX)
    if flow.key.net == NET_IPV4:
        frame[0] = 0x45
        frame[3] = 40
        frame[8] = 64
        frame[9] = flow.key.proto
        memcpy(frame + 12, key.addr[source], 4)
        memcpy(frame + 16, key.addr[1 - source], 4)
    else:
        frame[0] = 0x60
        frame[5] = 20
        frame[6] = flow.key.proto
        frame[7] = 64
        memcpy(frame + 8, key.addr[source], 16)
        memcpy(frame + 24, key.addr[1 - source], 16)
    frame[size] = flow.key.port[source] >> 8
    frame[size + 1] = flow.key.port[source] & 255
    frame[size + 2] = flow.key.port[1 - source] >> 8
    frame[size + 3] = flow.key.port[1 - source] & 255
    frame[size + 12] = 0x50
    frame[size + 13] = 0x10
    meta.frame = frame
    meta.ts = flow.last
    meta.caplen = meta.wirelen = size + 20
    meta.hash = <uint32_t>hash_key(key)
    meta.flags = PM_PSEUDO | PM_FLOW | PM_ESTABLISHED | PM_KEYED | direction * PM_TO_CLIENT | source * PM_REVERSED
    meta.l4 = <uint16_t>size
    meta.payload = <uint16_t>(size + 20)
    meta.events = NO_INDEX
    meta.linktype = 101
    meta.net = flow.key.net
    meta.proto = flow.key.proto
    meta.tcp_flags = 0x10
    meta.tunnel = flow.key.tunnel >> 4
    meta.bucket = <uint8_t>bucket


cdef void flush_direction(engine_t *engine, worker_t *worker, uint32_t bucket, flow_t *flow, uint32_t direction,
                          bint bypassed) noexcept nogil:
    cdef uint32_t told
    cdef verdict_t verdict
    make_pseudo(worker, bucket, flow, direction)
    clear_verdict(&verdict)
    told = take_segment(&engine.stream, &engine.bucket[bucket].pool, flow, worker.flush, 0)
    open_inspection(engine, worker, worker.flush, 0, flow, told, flow.last)
    if engine.rules != NULL and not bypassed and not flow.flags & (FLOW_DROP | FLOW_PASS):
        open_windows(engine, worker, &worker.flush.meta[0], flow, told)
        match_entry(engine, worker, engine.rules, worker.flush, 0, 0, flow, flow.last, &verdict)
        if engine.policy != NULL:
            judge_data(engine, worker, engine.policy, &worker.flush.meta[0], 0, flow)
    settle_session(engine, worker, &worker.flush.meta[0], flow, engine.rules != NULL)


cdef void name_protocols(const app_t *app, uint8_t *protocols) noexcept nogil:
    """Fills app_proto of a row."""
    if app != NULL:
        protocols[0] = application_of(app)
        protocols[1] = protocols[0] if protocols[0] != app.proto else app.seen[TO_SERVER]
        protocols[2] = protocols[0] if protocols[0] != app.proto else app.seen[TO_CLIENT]
        protocols[3] = app.original_proto


cdef void name_inner(const app_t *app, alert_row_t *row) noexcept nogil:
    """An alert on what was decrypted names the protocol inside, and the one around it as the original."""
    row.decrypted = 1
    name_protocols(app.inner, row.app_proto)
    row.app_proto[3] = app.proto


cdef bint has_more(const app_t *app, uint32_t direction) noexcept nogil:
    """Is there a transaction that the rules have not seen to its end in this direction, or that has not been written?"""
    cdef const tx_t *tx = app.first
    cdef uint16_t done = TX_DETECTED_TO_SERVER << direction | TX_LOGGED_TO_SERVER | TX_LOGGED_TO_CLIENT
    while tx != NULL:
        if tx.flags & done != done:
            return True
        tx = tx.next
    return app.inner != NULL and has_more(app.inner, direction)


cdef inline bint dropped_by_rule(const engine_t *engine, const flow_t *flow) noexcept nogil:
    """Nothing of such a flow arrives any more: its stream is not followed, and what it did not bring to an end is not written."""
    return engine.inline_mode and flow.flags & FLOW_DROP and flow.reason == REASON_RULE and flow.key.proto == TCP


cdef void end_flow(engine_t *engine, worker_t *worker, uint32_t bucket, flow_t *flow, uint8_t *protocols) noexcept nogil:
    """What is left of a flow is inspected and written, and its session freed. Fills in its protocols."""
    cdef uint32_t direction, left
    cdef bint bypassed = flow.flags & FLOW_BYPASS != 0      # before: a bypass that one direction asks for leaves the other one
    if flow.more == NULL:
        return
    if flow.key.proto == TCP and not dropped_by_rule(engine, flow):
        left = left_in_stream(flow)
        for direction in range(2):
            if left & STREAM_FED_TO_SERVER << direction or engine.rules != NULL and flow.more.app != NULL \
                    and has_more(<const app_t *>flow.more.app, direction):
                flush_direction(engine, worker, bucket, flow, direction, bypassed)
    if flow.more.app != NULL and enter_session(engine, worker, flow, bucket, flow.last):
        make_pseudo(worker, bucket, flow, TO_SERVER)
        if dropped_by_rule(engine, flow):
            write_talk(engine, worker, &worker.flush.meta[0])
        else:
            write_session(engine, worker, &worker.flush.meta[0], True, False)
        name_protocols(worker.context.app, protocols)
        count_service(engine, &worker.context, bucket, flow)
        close_session(&engine.apps, &worker.context)
    if flow.key.proto == TCP:
        release_stream(&engine.bucket[bucket].pool, flow)
