# What rules keep beyond a packet, on its way out: variables of flows and packets, what is told to the inventory, files that are
# stored, sets that have changed.
# Part of _core.pyx.

cdef bint has_vars(const match_scratch_t *scratch, const flow_t *flow) noexcept nogil:
    return (flow != NULL and flow.more != NULL and flow.more.bits_words > 0
            or scratch != NULL and scratch.captures != NULL and scratch.captures.packet.count > 0)


cdef void say_vars(writer_t *writer, const match_scratch_t *scratch, const flow_t *flow) noexcept nogil:
    """Into an open map: "words", the flow's bits and numbers; "texts", of the flow, each with its name; "packet", likewise, with
    a key as text for those that have one."""
    cdef const flow_text_t *text
    cdef const texts_t *texts
    cdef const captured_t *entry
    cdef uint32_t i
    if flow != NULL and flow.more != NULL and flow.more.bits_words:
        put_key(writer, b"words")
        open_array(writer)
        for i in range(BITS_FROM, flow.more.bits_words):
            put_uint(writer, flow.more.bits[i])
        close_nested(writer)
        put_key(writer, b"texts")
        open_array(writer)
        text = texts_of(flow)
        while text != NULL:
            put_uint(writer, text.name)
            put_bytes(writer, text.data, text.length)
            text = text.next
        close_nested(writer)
    if scratch == NULL or scratch.captures == NULL or scratch.captures.packet.count == 0:
        return
    texts = &scratch.captures.packet
    put_key(writer, b"packet")
    open_array(writer)
    for i in range(texts.count):
        entry = &texts.entries[i]
        if entry.what == CAPTURE_KEY:
            put_bytes(writer, texts.data + entry.at, entry.key_length)
        else:
            put_uint(writer, entry.name)
        put_bytes(writer, texts.data + entry.at + entry.key_length, entry.length)
    close_nested(writer)


cdef void say_vars_of(worker_t *worker) noexcept nogil:
    """Into the open row of a transaction: the variables of its flow."""
    cdef const flow_t *flow = worker.context.flow
    if has_vars(NULL, flow):
        put_key(&worker.rows.bytes, b"vars")
        open_map(&worker.rows.bytes)
        say_vars(&worker.rows.bytes, NULL, flow)
        close_nested(&worker.rows.bytes)


cdef void write_vars(worker_t *worker, const match_scratch_t *scratch, const flow_t *flow, uint64_t ordinal,
                     uint32_t rank) noexcept nogil:
    """A row with the variables of the entry at work, once its rules have run (without `scratch`: of a flow that ends)."""
    cdef app_row_t *row
    if not has_vars(scratch, flow):
        return
    row = begin_app_row(worker.rows, worker.order, worker.number, flow, APP_ROW_VARS)
    if row != NULL:
        row.ordinal = ordinal
        row.entry = <uint16_t>rank
        row.code = scratch == NULL
        say_vars(&worker.rows.bytes, scratch, flow)
        end_app_row(worker.rows, True)


cdef void write_noted(worker_t *worker, const packet_meta_t *meta, const flow_t *flow, uint32_t rank) noexcept nogil:
    """Rows of what rules with `inventory` have captured from this entry."""
    cdef const captures_t *captures = worker.scratch.captures
    cdef const noted_t *noted
    cdef app_row_t *row
    cdef uint32_t i
    for i in range(captures.noted_count):
        row = begin_app_row(worker.rows, worker.order, worker.number, flow, APP_ROW_NOTED)
        if row == NULL:
            return
        noted = &captures.noted[i]
        row.ordinal = 0 if meta.flags & PM_PSEUDO else worker.ordinal
        row.ts = meta.ts
        row.entry = <uint16_t>rank
        say_uint(&worker.rows.bytes, b"rule", noted.rule)
        put_key(&worker.rows.bytes, b"version" if noted.what == NOTE_VERSION else b"client" if noted.what == NOTE_CLIENT
                else b"client_version")
        put_bytes(&worker.rows.bytes, noted.text, noted.length)
        end_app_row(worker.rows, True)


cdef void store_bytes(app_context_t *context, const tx_t *tx, const file_t *file, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    """app_work_t.store. Whether a file is to be stored is known for certain at its end: until then its bytes are handed on, if
    there is a rule that might say so."""
    cdef worker_t *worker = <worker_t *>context.work.worker
    cdef uint64_t depth = context.config.files.store_depth, before = file.size - length
    cdef app_row_t *row
    if length == 0 or not (file.flags & FILE_STORE or worker.engine.rules_store) or depth and before >= depth:
        return
    row = begin_app_row(worker.rows, worker.order, worker.number, context.flow, APP_ROW_CHUNK)
    if row != NULL:
        row.tx = tx.id
        row.ordinal = worker.ordinal
        row.direction = file.direction
        say_uint(&worker.rows.bytes, b"id", file.id)
        put_key(&worker.rows.bytes, b"data")
        put_bytes(&worker.rows.bytes, data, <uint32_t>min(<uint64_t>length, depth - before) if depth else length)
        end_app_row(worker.rows, True)


cdef ask_magic(engine_t *engine, files):
    """Gives every worker a cookie of libmagic's, unless it has one. ValueError where libmagic has no database."""
    cdef uint32_t i
    for i in range(engine.workers):
        if engine.worker[i].work.magic == NULL:
            engine.worker[i].work.magic = open_magic(files)


cdef object changed_sets(datasets_t *table):
    """What rules have changed of the sets: {number of the name: {entry: whether it is a member}}."""
    cdef uint64_t i
    cdef const dataset_entry_t *entry
    found = {}
    for i in range(table.mask + 1):
        entry = table.chains[i]
        while entry != NULL:
            found.setdefault(entry.name, {})[(<const char *>entry.data)[:entry.length]] = entry.member != 0
            entry = entry.next
    return found
