# What requests and responses have in common: lines out of what is shown and held, header blocks, chunks, bodies and their ends.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

from fastpath.dataplane.applayer.applayer cimport (
    APP_RAW_TO_SERVER, FILE_CLOSED, FILE_TRUNCATED, HTTP1_COMPLETE, HTTP1_INVALID_REQUEST_FIELD_FOLDING,
    HTTP1_INVALID_RESPONSE_FIELD_FOLDING,
    HTTP1_REQUEST_CHUNK_EXTENSION, HTTP1_REQUEST_FIELD_TOO_LONG, HTTP1_RESPONSE_FIELD_TOO_LONG, TX_NEW, app_context_t,
)
from fastpath.dataplane.applayer.files cimport file_gap, last_file
from fastpath.dataplane.applayer.http1_body cimport add_body, end_body_file, file_flag
from fastpath.dataplane.applayer.http1_headers cimport add_bytes, read_header
from fastpath.dataplane.applayer.http1_inflate cimport finish_inflaters, inflate_bytes
from fastpath.dataplane.applayer.http1_state cimport (
    CODING_NONE, CODING_UNKNOWN, FIELD_MAX, HEADER_TEXT_MAX, HTTP1_INVALID_FOLDING, STEP_ERROR, STEP_HOLD, STEP_MORE, STEP_ON,
    PROTOCOL_1_1, digit_of, http1_tx_t, is_blank, message_t, side_t, without_end,
)
from fastpath.dataplane.applayer.llm cimport llm_gap
from fastpath.dataplane.applayer.transaction cimport tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t


# ---- lines ----

cdef inline bint hold(app_context_t *context, side_t *side, uint32_t direction) noexcept nogil:
    """Keeps the line at work for the next call. False, with the event, where it is too long; or memory is refused."""
    cdef uint32_t length = side.at - side.start
    if length == 0:
        return True
    if <uint64_t> side.held.length + side.header.length + length > FIELD_MAX:
        if side.tx != NULL:
            tx_event(&side.tx.head, HTTP1_REQUEST_FIELD_TOO_LONG if direction == TO_SERVER else HTTP1_RESPONSE_FIELD_TOO_LONG)
        return False
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &side.held, side.data + side.start, length):
        return False
    side.start = side.at
    return True


cdef inline bint line_at_work(app_context_t *context, side_t *side, uint32_t direction, const uint8_t **data,
                              uint32_t *length) noexcept nogil:
    """What was held and what was read since."""
    if side.held.length == 0:
        data[0] = side.data + side.start
        length[0] = side.at - side.start
        return True
    if not hold(context, side, direction):
        return False
    data[0] = side.held.data
    length[0] = side.held.length
    return True


cdef inline void line_done(side_t *side) noexcept nogil:
    side.held.length = 0
    side.start = side.at


cdef inline bint read_upto(side_t *side, uint8_t byte) noexcept nogil:
    """Reads up to and with this byte; False, with all read, where it is not there."""
    cdef const uint8_t *found = NULL
    if side.at < side.length:
        found = <const uint8_t *> memchr(side.data + side.at, byte, side.length - side.at)
    side.at = side.length if found == NULL else <uint32_t> (found - side.data) + 1
    return found != NULL


cdef inline void unread(side_t *side, uint32_t length) noexcept nogil:
    """Goes back to the beginning of the line at work, or, where it began in an earlier call, of what is shown now."""
    if side.held.length:
        side.held.length -= side.at
        side.at = 0
    else:
        side.at -= length
    side.start = side.at


# ---- headers ----

cdef inline bint add_raw(app_context_t *context, message_t *message, const uint8_t *data, uint32_t length) noexcept nogil:
    return (<uint64_t> message.raw.length + length <= HEADER_TEXT_MAX
            and add_bytes(context, &message.raw, data, length))


cdef inline bint is_folding(uint8_t c) noexcept nogil:
    return c == 0 or is_blank(c)


cdef inline bint flush_header(app_context_t *context, side_t *side, uint32_t direction) noexcept nogil:
    """The header that was kept, as it might have gone on, is over."""
    if side.header.length == 0:
        return True
    if not read_header(context, side.tx, direction, side.header.data, side.header.length):
        return False
    side.header.length = 0
    return True


cdef inline bint header_line(app_context_t *context, side_t *side, uint32_t direction, const uint8_t *data,
                             uint32_t length) noexcept nogil:
    """A line of a header block, with its end. What begins with a blank or NUL goes on with the header before, unless in a
    response
    of HTTP/1.1 it is a header by its looks."""
    cdef http1_tx_t *tx = side.tx
    if not add_raw(context, &tx.side[direction], data, length):
        return False
    length = without_end(data, length)
    if length == 0 or not is_folding(data[0]):
        if not flush_header(context, side, direction):
            return False
        if side.at < side.length and not is_folding(side.data[side.at]):
            return read_header(context, tx, direction, data, length)
    elif (direction == TO_CLIENT and side.header.length and tx.side[TO_CLIENT].protocol == PROTOCOL_1_1
          and memchr(data, 58, length) != NULL and memchr(side.header.data, 58, side.header.length) != NULL):
        if not tx.flags & HTTP1_INVALID_FOLDING:
            tx.flags |= HTTP1_INVALID_FOLDING
            tx_event(&tx.head, HTTP1_INVALID_RESPONSE_FIELD_FOLDING)
        if not flush_header(context, side, direction):
            return False
        data += 1
        length -= 1
    elif side.header.length == 0 and not tx.flags & HTTP1_INVALID_FOLDING:
        tx.flags |= HTTP1_INVALID_FOLDING
        tx_event(&tx.head, HTTP1_INVALID_REQUEST_FIELD_FOLDING if direction == TO_SERVER
                 else HTTP1_INVALID_RESPONSE_FIELD_FOLDING)
    return bytes_append(context.pool, ACCOUNT_APPLAYER, &side.header, data, length)


# ---- bodies ----

cdef inline bint body_bytes(app_context_t *context, side_t *side, uint32_t direction, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    """Bytes of a body as they came. NULL: so many are missing. What is decoded ends there, as if that was all of it; False where
    more comes then."""
    cdef http1_tx_t *tx = side.tx
    cdef message_t *message = &tx.side[direction]
    message.length += length
    if side.undecodable:
        return False
    if data == NULL and side.inflater != NULL:
        finish_inflaters(context, tx, direction, &side.inflater)
        llm_gap(tx, direction)
        side.undecodable = True
        return True
    if data == NULL:
        message.entity += length
        llm_gap(tx, direction)
        if tx.flags & file_flag(direction):
            file_gap(context, last_file(&tx.head, direction), length)
        # what follows is looked at for itself
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.body)
        message.seen += length
        message.base = message.inspected = message.seen
        tx.head.flags |= TX_NEW
        return True
    if side.inflater != NULL:
        inflate_bytes(context, tx, direction, side.inflater, data, length)
    else:
        message.entity += length
        add_body(context, tx, direction, data, length)
    return True


cdef inline const uint8_t *shown(const side_t *side) noexcept nogil:
    """What is to be read; NULL where it is missing."""
    if side.data == NULL:
        return NULL
    return side.data + side.at


cdef inline uint32_t body_step(app_context_t *context, side_t *side, uint32_t direction, uint8_t following) noexcept nogil:
    """As much of what is left of a body, or chunk, as is there."""
    cdef uint32_t length = <uint32_t> min(<int64_t> (side.length - side.at), side.left)
    if length == 0:
        return STEP_MORE
    if not body_bytes(context, side, direction, shown(side), length):
        return STEP_ERROR
    side.at += length
    side.left -= length
    line_done(side)
    if side.left:
        return STEP_MORE
    side.state = following
    return STEP_ON


cdef inline uint32_t chunk_end_step(side_t *side, uint32_t direction, uint8_t following) noexcept nogil:
    """The line behind a chunk, which is empty, or should be."""
    cdef uint32_t before = side.at
    cdef bint over = read_upto(side, 10)
    side.tx.side[direction].length += side.at - before
    line_done(side)
    if not over:
        return STEP_MORE
    side.state = following
    return STEP_ON


cdef enum:
    CHUNK_EMPTY = -2, CHUNK_INVALID = -1


cdef inline int64_t chunk_length(http1_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    """Of the line before a chunk (RFC 7230 section 4.1), extensions left out."""
    cdef int64_t value = 0
    cdef uint32_t at = 0, first
    while at < length and (data[at] == 32 or 9 <= data[at] <= 13):
        at += 1
    if at == length:
        return CHUNK_EMPTY
    first = at
    while at < length and digit_of(data[at]) >= 0 and value <= 0x7fffffff:
        value = value << 4 | digit_of(data[at])
        at += 1
    if at < length and memchr(data + at, 59, length - at) != NULL:
        tx_event(&tx.head, HTTP1_REQUEST_CHUNK_EXTENSION)
    return value if at > first and value <= 0x7fffffff else CHUNK_INVALID


cdef inline void end_message(app_context_t *context, side_t *side, uint32_t direction) noexcept nogil:
    """The message is complete: its body ends, its file is closed, and the raw stream is inspected together with it."""
    cdef http1_tx_t *tx = side.tx
    if tx.side[direction].coding != CODING_NONE:
        finish_inflaters(context, tx, direction, &side.inflater)
    side.undecodable = False
    tx_progress(context, &tx.head, direction, HTTP1_COMPLETE)
    # a file is closed where the session ends, as in Suricata; where models are looked for, one that lacks bytes is not whole
    end_body_file(context, tx, direction, FILE_TRUNCATED if context.config.files.models and side.left > 0 else FILE_CLOSED)
    context.app.flags |= APP_RAW_TO_SERVER << direction
