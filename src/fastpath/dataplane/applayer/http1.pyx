# See http1.pxd.
#
# Behaves as Suricata with libhtp in its personality IDS: lenient, leaning to what the laxest server or browser makes of bytes.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.http1_body cimport forget_inspected
from fastpath.dataplane.applayer.http1_buffers cimport http1_view
from fastpath.dataplane.applayer.http1_inflate cimport free_inflaters
from fastpath.dataplane.applayer.http1_log cimport http1_record
from fastpath.dataplane.applayer.http1_multipart cimport read_multipart
from fastpath.dataplane.applayer.http1_request cimport complete_request, request_step
from fastpath.dataplane.applayer.http1_response cimport complete_response, response_step
from fastpath.dataplane.applayer.http1_side cimport hold
from fastpath.dataplane.applayer.http1_state cimport *
from fastpath.dataplane.applayer.llm cimport llm_free, llm_inspected, llm_record
from fastpath.dataplane.applayer.msgpack cimport writer_t
from fastpath.dataplane.pool cimport bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER

# ---- parsing ----

cdef http1_t *state_of(app_context_t *context) noexcept nogil:
    if context.app.state == NULL:
        context.app.state = pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(http1_t))
    return <http1_t *> context.app.state


cdef uint32_t run(app_context_t *context, http1_t *http, uint32_t direction) noexcept nogil:
    """Steps until a side stops. STEP_ERROR ends the session."""
    cdef side_t *side = &http.side[direction]
    cdef uint32_t said
    while side.status != SIDE_TUNNEL:
        said = request_step(context, http) if direction == TO_SERVER else response_step(context, http)
        if said == STEP_ON:
            continue
        if said == STEP_HOLD and not hold(context, side, direction):
            said = STEP_ERROR
        if said == STEP_WAIT and side.at < side.length:
            side.status = SIDE_WAITING
        elif side.status == SIDE_WAITING:
            side.status = SIDE_OPEN
        if said == STEP_ERROR:
            side.status = SIDE_ERROR
        return said
    return STEP_MORE


cdef uint32_t run_over(app_context_t *context, http1_t *http, uint32_t direction, const uint8_t *data,
                       uint32_t length) noexcept nogil:
    cdef side_t *side = &http.side[direction]
    cdef uint32_t said
    side.data = data
    side.length = length
    side.at = side.start = 0
    said = run(context, http, direction)
    side.data = NULL
    side.length = side.at = side.start = 0
    return said


cdef uint32_t skip_gap(app_context_t *context, http1_t *http, uint32_t direction, uint32_t length) noexcept nogil:
    """Missing bytes are those of a body where one is at work; anywhere else parsing goes on behind them."""
    cdef side_t *side = &http.side[direction]
    if side.tx == NULL:
        return STEP_MORE
    if direction == TO_SERVER and side.state == REQUEST_FINALIZE:
        return complete_request(context, side)
    if direction == TO_CLIENT and side.state == RESPONSE_FINALIZE:
        return complete_response(context, http)
    if (side.state == REQUEST_BODY or side.state == REQUEST_IGNORE) if direction == TO_SERVER else (
            side.state == RESPONSE_BODY or side.state == RESPONSE_BODY_TO_END):
        return run_gap(context, http, direction, length)
    return STEP_MORE


cdef uint32_t run_gap(app_context_t *context, http1_t *http, uint32_t direction, uint32_t length) noexcept nogil:
    cdef side_t *side = &http.side[direction]
    cdef uint32_t said
    side.data = NULL
    side.length = length
    side.at = side.start = 0
    said = request_step(context, http) if direction == TO_SERVER else response_step(context, http)
    side.length = side.at = side.start = 0
    return said


cdef uint32_t close_side(app_context_t *context, http1_t *http, uint32_t direction) noexcept nogil:
    cdef side_t *side = &http.side[direction]
    if side.status == SIDE_ERROR or side.status == SIDE_TUNNEL and side.tx == NULL:
        return STEP_MORE
    side.status = SIDE_CLOSED
    if run_over(context, http, direction, NULL, 0) == STEP_ERROR:
        return STEP_ERROR
    if direction == TO_SERVER and side.tx != NULL and side.tx.flags & HTTP1_MULTIPART:
        read_multipart(context, side.tx, True)
    return STEP_MORE


cdef parsed_t parse(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                    uint32_t flags) noexcept nogil:
    cdef http1_t *http = state_of(context)
    cdef parsed_t parsed
    cdef uint32_t said = STEP_MORE
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_ERROR
    if http == NULL:
        return parsed
    if length and direction == TO_SERVER and http.side[TO_SERVER].state == REQUEST_IGNORE and http.side[TO_SERVER].tx == NULL:
        return parsed               # nothing may come behind a request of HTTP/0.9
    if flags & PARSE_GAP:
        said = skip_gap(context, http, direction, length)
    elif length:
        said = run_over(context, http, direction, data, length)
        parsed.consumed -= http.left
        http.left = 0
    if flags & PARSE_EOF and said != STEP_ERROR and not http.eof[direction]:
        http.eof[direction] = True
        # a server that closes ends what its client was saying
        said = close_side(context, http, TO_SERVER)
        if direction == TO_CLIENT:
            said = close_side(context, http, TO_CLIENT)
    parsed.status = PARSE_ERROR if said == STEP_ERROR else PARSE_OK
    return parsed


# ---- looking ----

cdef uint32_t buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                     view_t *view) noexcept nogil:
    return http1_view(context, <http1_tx_t *> tx, direction, buffer, index, view)


cdef void inspected(app_context_t *context, tx_t *tx, uint32_t direction) noexcept nogil:
    cdef http1_t *http = <http1_t *> context.app.state
    forget_inspected(&context.config.http1, <http1_tx_t *> tx, direction, http.eof[direction])
    llm_inspected(<http1_tx_t *> tx, direction)


cdef uint32_t log(app_context_t *context, tx_t *tx, uint32_t kind, void *writer) noexcept nogil:
    """One event a transaction, when both directions are complete. What an alert carries says what is known of a model, too."""
    if kind == LOG_LLM:
        return llm_record(<writer_t *> writer, <http1_tx_t *> tx)
    if kind == LOG_TO_SERVER:
        return False
    http1_record(<writer_t *> writer, <http1_tx_t *> tx)
    if kind == LOG_ALERT:
        llm_record(<writer_t *> writer, <http1_tx_t *> tx)
    return True


# ---- freeing ----

cdef void forsake(side_t *side, uint32_t direction) noexcept nogil:
    """The transaction of a side is freed. Where only its end was waited for, another message may come; else what follows is
    none."""
    cdef bint refused = side.state == REQUEST_CONNECT_WAIT and not 200 <= side.tx.status <= 299
    side.tx = NULL
    if direction == TO_SERVER and (refused or side.state == REQUEST_FINALIZE):
        side.state = REQUEST_IDLE
    elif direction == TO_CLIENT and side.state == RESPONSE_FINALIZE:
        side.state = RESPONSE_IDLE
    else:
        side.status = SIDE_TUNNEL


cdef void free_tx(app_context_t *context, tx_t *head) noexcept nogil:
    cdef http1_tx_t *tx = <http1_tx_t *> head
    cdef http1_t *http = <http1_t *> context.app.state
    cdef uint32_t direction
    for direction in range(2):
        if http != NULL and http.side[direction].tx == tx:
            forsake(&http.side[direction], direction)
    free_messages(context, tx)
    llm_free(context, tx)


cdef void free_state(app_context_t *context) noexcept nogil:
    cdef http1_t *http = <http1_t *> context.app.state
    cdef uint32_t direction
    if http == NULL:
        return
    for direction in range(2):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &http.side[direction].held)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &http.side[direction].header)
        free_inflaters(context, &http.side[direction].inflater)
    pool_give(context.pool, ACCOUNT_APPLAYER, http, sizeof(http1_t))
    context.app.state = NULL


cdef void describe_http1(room_t *room) noexcept nogil:
    room.name = b"http"
    room.proto = ALPROTO_HTTP1
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = HTTP1_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = HTTP1_COMPLETE
    room.gaps = True
    room.parse = parse
    room.buffer = buffer
    room.inspected = inspected
    room.log = log
    room.free_tx = free_tx
    room.free_state = free_state
