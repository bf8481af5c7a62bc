# See http2.pxd.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.files cimport file_forget
from fastpath.dataplane.applayer.hpack cimport free_hpack
from fastpath.dataplane.applayer.http1_state cimport body_is_over, free_messages
from fastpath.dataplane.applayer.http1_inflate cimport free_inflaters
from fastpath.dataplane.applayer.http2_buffers cimport INSPECT_MIN, http2_view
from fastpath.dataplane.applayer.http2_frames cimport begin_long, drop_block, frame_of, read_long, take_frame
from fastpath.dataplane.applayer.http2_headers cimport note
from fastpath.dataplane.applayer.http2_log cimport http2_record
from fastpath.dataplane.applayer.http2_state cimport *
from fastpath.dataplane.applayer.http2_upgrade cimport take_carried
from fastpath.dataplane.applayer.llm cimport llm_free, llm_inspected, llm_record
from fastpath.dataplane.applayer.msgpack cimport writer_t
from fastpath.dataplane.applayer.probes cimport probe_http2
from fastpath.dataplane.pool cimport bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER

cdef enum:
    PREFACE = 24


cdef http2_t *state_of(app_context_t *context) noexcept nogil:
    cdef http2_t *http
    if context.app.state == NULL:
        http = <http2_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(http2_t))
        context.app.state = http
        if http != NULL and not take_carried(context, http):
            return NULL
    return <http2_t *> context.app.state


# ---- parsing ----

cdef bint parse_frames(app_context_t *context, http2_t *http, uint32_t direction, const uint8_t *data, uint32_t length,
                       parsed_t *parsed) noexcept nogil:
    """False: the session cannot go on."""
    cdef uint32_t at = 0, left, passed, header
    cdef frame_t frame
    while at < length:
        left = length - at
        if http.left[direction]:
            passed = min(left, http.left[direction])
            read_long(context, http, direction, data + at, passed)
            at += passed
            continue
        if left < FRAME_HEADER:
            parsed.need = FRAME_HEADER
            break
        frame = frame_of(data + at)
        if frame.length < FRAME_HELD_MAX:
            if left < FRAME_HEADER + frame.length:
                parsed.need = FRAME_HEADER + frame.length
                break
            if not take_frame(context, http, direction, &frame, data + at + FRAME_HEADER):
                return False
            at += FRAME_HEADER + frame.length
            continue
        if left < FRAME_HEADER + FRAME_HELD_MIN:
            parsed.need = FRAME_HEADER + FRAME_HELD_MIN
            break
        header = FRAME_HEADER
        if frame.kind == FRAME_DATA and frame.flags & PADDED:
            header += 1
            frame.length -= 1
        if not begin_long(context, http, direction, &frame, data[at + FRAME_HEADER] if header > FRAME_HEADER else 0):
            return False
        at += header
    parsed.consumed += at
    return True


cdef parsed_t parse(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                    uint32_t flags) noexcept nogil:
    cdef http2_t *http = state_of(context)
    cdef parsed_t parsed
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_ERROR
    if http == NULL:
        return parsed
    if flags & PARSE_EOF:
        http.eof[direction] = True
    if direction == TO_SERVER and not http.greeted:
        if length < PREFACE:
            parsed.need = PREFACE
            parsed.status = PARSE_NEED
            return parsed
        if memcmp(data, <const char *> b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PREFACE) != 0:
            note(context.app.last, HTTP2_INVALID_CLIENT_MAGIC)
        else:
            parsed.consumed = PREFACE
        http.greeted = True
    if parse_frames(context, http, direction, data + parsed.consumed, length - parsed.consumed, &parsed):
        parsed.status = PARSE_NEED if parsed.need else PARSE_OK
    return parsed


# ---- looking ----

cdef uint32_t buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                     view_t *view) noexcept nogil:
    return http2_view(context, <http2_tx_t *> tx, direction, buffer, index, view)


cdef void inspected(app_context_t *context, tx_t *head, uint32_t direction) noexcept nogil:
    cdef http2_tx_t *tx = <http2_tx_t *> head
    cdef http2_t *http = <http2_t *> context.app.state
    cdef bint over = body_is_over(&tx.http, direction) or http.eof[direction]
    cdef file_t *file = head.files[direction]
    while file != NULL:
        if file.state != FILE_OPEN or file.size >= INSPECT_MIN or over:
            file.inspected = file.size
            file_forget(file, file.size)
        file = file.next
    llm_inspected(&tx.http, direction)


cdef uint32_t log(app_context_t *context, tx_t *head, uint32_t kind, void *writer) noexcept nogil:
    """One event a transaction, when it is complete; of a frame that says nothing there is none, but its alerts have a
    transaction."""
    cdef http2_tx_t *tx = <http2_tx_t *> head
    cdef bint said
    if kind == LOG_LLM:
        return llm_record(<writer_t *> writer, &tx.http)
    if kind == LOG_TO_SERVER:
        return False
    said = http2_record(context, <writer_t *> writer, tx)
    if kind == LOG_ALERT:
        llm_record(<writer_t *> writer, &tx.http)
    return said or kind == LOG_ALERT


# ---- freeing ----

cdef void free_tx(app_context_t *context, tx_t *head) noexcept nogil:
    cdef http2_tx_t *tx = <http2_tx_t *> head
    cdef http2_t *http = <http2_t *> context.app.state
    cdef uint32_t direction
    if http != NULL and tx.stream:
        drop_stream(http, tx)
    for direction in range(2):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &tx.facts[direction])
        free_inflaters(context, &tx.inflater[direction])
    free_messages(context, &tx.http)
    llm_free(context, &tx.http)


cdef void free_state(app_context_t *context) noexcept nogil:
    cdef http2_t *http = <http2_t *> context.app.state
    cdef uint32_t direction
    if http == NULL:
        return
    for direction in range(2):
        free_hpack(context, &http.table[direction])
        drop_block(context, &http.block[direction])
    pool_give(context.pool, ACCOUNT_APPLAYER, http, sizeof(http2_t))
    context.app.state = NULL


cdef void describe_http2(room_t *room) noexcept nogil:
    room.name = b"http2"
    room.proto = ALPROTO_HTTP2
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = HTTP2_CLOSED
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = HTTP2_CLOSED
    room.recognise = probe_http2
    room.parse = parse
    room.buffer = buffer
    room.inspected = inspected
    room.log = log
    room.free_tx = free_tx
    room.free_state = free_state
