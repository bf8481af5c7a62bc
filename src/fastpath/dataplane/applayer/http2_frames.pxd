# Frames (RFC 9113 section 6): each to the transaction of its stream, and what it changes there.
#
# A frame below FRAME_HELD_MAX is waited for; a longer one of DATA is read as it comes, any other is passed over.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    APP_RAW_TO_SERVER, FILE_CLOSED, FILE_TRUNCATED, HTTP2_CLOSED, HTTP2_DATA_CLIENT, HTTP2_DATA_SERVER, HTTP2_HALF_CLOSED_CLIENT,
    HTTP2_HALF_CLOSED_SERVER, HTTP2_INVALID_FRAME_DATA, HTTP2_INVALID_FRAME_LENGTH, HTTP2_LONG_FRAME_DATA,
    HTTP2_REASSEMBLY_LIMIT_REACHED, HTTP2_RESERVED, HTTP2_STREAM_ID_REUSE, TX_NEW, app_context_t, tx_t,
)
from fastpath.dataplane.applayer.grpc cimport grpc_bytes
from fastpath.dataplane.applayer.hpack cimport forget_table
from fastpath.dataplane.applayer.http1_body cimport add_body, end_body_file, stream_file
from fastpath.dataplane.applayer.http1_inflate cimport finish_inflaters, flush_inflaters, inflate_bytes
from fastpath.dataplane.applayer.http2_headers cimport note, read_block
from fastpath.dataplane.applayer.http2_state cimport *
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be16, be24, be32

cdef enum:
    SETTING_SIZE = 6
    SETTING_LAST = 6            # RFC 9113 section 6.5.2: from SETTINGS_HEADER_TABLE_SIZE (1) on


cdef inline frame_t frame_of(const uint8_t *data) noexcept nogil:
    cdef frame_t frame
    frame.length = be24(data)
    frame.kind = data[3]
    frame.flags = data[4]
    frame.reserved = data[5] >> 7
    frame.stream = be32(data + 5) & 0x7fffffff
    return frame


# ---- the states of a stream (section 5.1) ----

cdef inline void stream_data(app_context_t *context, http2_tx_t *tx, uint32_t direction) noexcept nogil:
    """DATA that do not end the stream."""
    cdef uint8_t state = HTTP2_DATA_SERVER if direction == TO_CLIENT else HTTP2_DATA_CLIENT
    if tx.state < state:
        advance(context, tx, state)


cdef inline void stream_ends(app_context_t *context, http2_tx_t *tx, uint32_t direction) noexcept nogil:
    """END_STREAM. Once both sides have said it, or the client before the server's DATA, the stream is closed."""
    cdef uint8_t state = HTTP2_HALF_CLOSED_SERVER if direction == TO_CLIENT else HTTP2_HALF_CLOSED_CLIENT
    if tx.state >= HTTP2_CLOSED:
        return
    finish_inflaters(context, &tx.http, direction, &tx.inflater[direction])
    tx.http.side[direction].over = True
    end_body_file(context, &tx.http, direction, FILE_CLOSED)
    context.app.flags |= APP_RAW_TO_SERVER << direction
    if tx.state == HTTP2_HALF_CLOSED_CLIENT or tx.state == HTTP2_DATA_SERVER:
        # what the client sends behind the server's DATA changes nothing but its own side
        state = HTTP2_CLOSED if direction == TO_CLIENT else tx.state
    elif tx.state == HTTP2_HALF_CLOSED_SERVER and direction == TO_SERVER:
        state = HTTP2_CLOSED
    elif context.config.beyond and tx.http.side[1 - direction].over:
        state = HTTP2_CLOSED        # a stream that was pushed
    advance(context, tx, state)


cdef inline void stream_reset(app_context_t *context, http2_tx_t *tx) noexcept nogil:
    """RST_STREAM. For Suricata such a stream stays as it is to the end of the session, which has room for so many of them."""
    cdef uint32_t direction
    if tx.stream == 0 or tx.state >= HTTP2_CLOSED or not context.config.beyond:
        return
    for direction in range(2):
        finish_inflaters(context, &tx.http, direction, &tx.inflater[direction])
        tx.http.side[direction].over = True
        end_body_file(context, &tx.http, direction, FILE_TRUNCATED)
    advance(context, tx, HTTP2_CLOSED)


# ---- header blocks ----

cdef inline void end_block(app_context_t *context, http2_t *http, http2_tx_t *tx, tx_t *teller, uint32_t direction,
                           const uint8_t *data, uint32_t length, bint ends) noexcept nogil:
    read_block(context, &http.table[direction], tx, teller, direction, data, length)
    if ends:
        stream_ends(context, tx, direction)


cdef inline void drop_block(app_context_t *context, block_t *block) noexcept nogil:
    bytes_free(context.pool, ACCOUNT_APPLAYER, &block.data)
    block.stream = block.subject = block.ends = block.cut = 0


cdef inline void take_piece(app_context_t *context, http2_t *http, http2_tx_t *tx, uint32_t direction, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    """More of the block at work, within its limit."""
    cdef block_t *block = &http.block[direction]
    cdef uint32_t most = context.config.http2.max_block, room = most - min(most, block.data.length)
    if length > room:
        block.cut = True
        length = room
        tx_event(&tx.http.head, HTTP2_REASSEMBLY_LIMIT_REACHED)
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &block.data, data, length):
        block.cut = True


cdef inline void take_headers(app_context_t *context, http2_t *http, http2_tx_t *tx, tx_t *teller, uint32_t direction,
                              const frame_t *frame, const uint8_t *data, uint32_t length, bint ends) noexcept nogil:
    """The block of HEADERS or PUSH_PROMISE, or its first part."""
    cdef block_t *block = &http.block[direction]
    if frame.flags & END_HEADERS:
        end_block(context, http, tx, teller, direction, data, length, ends)
        return
    if block.stream:
        # its end never came: nobody knows what it would have left in the table
        forget_table(&http.table[direction])
        drop_block(context, block)
    block.stream = frame.stream
    block.subject = tx.stream
    block.ends = ends
    take_piece(context, http, tx, direction, data, length)


cdef inline void take_continuation(app_context_t *context, http2_t *http, http2_tx_t *tx, tx_t *teller, uint32_t direction,
                                   const frame_t *frame, const uint8_t *data) noexcept nogil:
    cdef block_t *block = &http.block[direction]
    if block.stream != frame.stream:
        end_block(context, http, tx, teller, direction, data, frame.length, False)
        return
    take_piece(context, http, tx, direction, data, frame.length)
    if frame.flags & END_HEADERS:
        end_block(context, http, tx, teller, direction, block.data.data, block.data.length, block.ends)
        if block.cut:
            forget_table(&http.table[direction])
        drop_block(context, block)


cdef inline bint open_headers(http2_tx_t *tx, const frame_t *frame, const uint8_t **data, uint32_t *length,
                              uint32_t *weight) noexcept nogil:
    """Takes padding and priority (weight[0]: above 255 for none) from around a block; False where there is no room for them."""
    cdef uint32_t padding = 0, before = 0
    weight[0] = 256
    if frame.flags & PADDED:
        if length[0] < 1:
            return False
        padding = data[0][0]
        before = 1
    if frame.kind == FRAME_HEADERS and frame.flags & HAS_PRIORITY:
        if length[0] < before + 5:
            return False
        weight[0] = data[0][before + 4]
        before += 5
    if length[0] < before + padding:
        return False
    data[0] += before
    length[0] -= before + padding
    return True


# ---- DATA ----

cdef inline void take_data(app_context_t *context, http2_tx_t *tx, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """Bytes of a body as they came."""
    tx.http.side[direction].length += length
    if tx.grpc[direction].here:
        grpc_bytes(&tx.grpc[direction], data, length)
    if tx.inflater[direction] != NULL:
        inflate_bytes(context, &tx.http, direction, tx.inflater[direction], data, length)
        flush_inflaters(context, &tx.http, direction, tx.inflater[direction])
    elif length:
        tx.http.side[direction].entity += length
        add_body(context, &tx.http, direction, data, length)
    else:
        stream_file(context, &tx.http, direction)


# ---- frames with numbers ----

cdef inline void take_settings(app_context_t *context, http2_tx_t *tx, uint32_t direction, const uint8_t *data,
                               uint32_t length) noexcept nogil:
    cdef uint32_t at = 0, name
    while length - at >= SETTING_SIZE:
        name = be16(data + at)
        if 0 < name <= SETTING_LAST:
            add_fact(context, tx, direction, FACT_SETTING, <uint64_t> name << 32 | be32(data + at + 2))
        at += SETTING_SIZE


cdef inline bint take_number(app_context_t *context, http2_tx_t *tx, uint32_t direction, const frame_t *frame,
                             const uint8_t *data) noexcept nogil:
    """PRIORITY, RST_STREAM, GOAWAY, WINDOW_UPDATE; False where their length is wrong."""
    if frame.kind == FRAME_PRIORITY:
        if frame.length != 5:
            return False
        add_fact(context, tx, direction, FACT_PRIORITY, data[4])
    elif frame.kind == FRAME_RST_STREAM:
        if frame.length != 4:
            return False
        add_fact(context, tx, direction, FACT_RESET, be32(data))
        stream_reset(context, tx)
    elif frame.kind == FRAME_GOAWAY:
        # the last stream that was taken up, then the error; Suricata 7.0.10 takes the first of the two for it
        if frame.length < (8 if context.config.beyond else 4):
            return False
        add_fact(context, tx, direction, FACT_LEAVE, be32(data + 4 if context.config.beyond else data))
    else:
        if frame.length != 4:
            return False
        add_fact(context, tx, direction, FACT_WINDOW, be32(data) & 0x7fffffff)
    return True


# ---- any frame ----

cdef inline uint32_t subject_of(const http2_t *http, uint32_t direction, const frame_t *frame,
                                const uint8_t *data) noexcept nogil:
    """The stream whose transaction a frame belongs to: of a push, the one that is promised."""
    cdef uint32_t padded = 1 if frame.flags & PADDED else 0
    if frame.kind == FRAME_PUSH_PROMISE and frame.length >= 4 + padded:
        return be32(data + padded) & 0x7fffffff
    if frame.kind == FRAME_CONTINUATION and http.block[direction].stream == frame.stream:
        return http.block[direction].subject
    return frame.stream


cdef inline http2_tx_t *tx_of(app_context_t *context, http2_t *http, uint32_t stream, const frame_t *frame) noexcept nogil:
    cdef tx_t *teller = context.app.last
    cdef http2_tx_t *tx = find_stream(http, stream) if stream else NULL
    if tx == NULL:
        return make_stream(context, http, stream)
    if (tx.state == HTTP2_CLOSED and frame.kind != FRAME_RST_STREAM and frame.kind != FRAME_WINDOW_UPDATE
            and frame.kind != FRAME_PRIORITY):      # which may be on their way for a while
        note(teller, HTTP2_STREAM_ID_REUSE)
    return tx


cdef inline bint take_frame(app_context_t *context, http2_t *http, uint32_t direction, const frame_t *frame,
                            const uint8_t *data) noexcept nogil:
    """A frame that is wholly there. False where there is no room for its stream."""
    cdef tx_t *teller = context.app.last
    cdef uint32_t length = frame.length, weight = 256
    cdef http2_tx_t *tx
    if frame.kind == FRAME_SETTINGS and length == 0:
        return True             # an acknowledgement
    tx = tx_of(context, http, subject_of(http, direction, frame, data), frame)
    if tx == NULL:
        return False
    tx.http.head.flags |= TX_NEW
    if frame.kind < FRAME_TYPES:
        tx.frames[direction] |= <uint16_t> (1 << frame.kind)
    if frame.kind == FRAME_DATA:
        if frame.flags & PADDED and length and data[0] < length:
            length -= 1 + data[0]
            data += 1
        if tx.stream:
            take_data(context, tx, direction, data, length)
            if frame.flags & END_STREAM:
                stream_ends(context, tx, direction)
            else:
                stream_data(context, tx, direction)
    elif frame.kind == FRAME_HEADERS or frame.kind == FRAME_PUSH_PROMISE:
        if not open_headers(tx, frame, &data, &length, &weight) or frame.kind == FRAME_PUSH_PROMISE and length < 4:
            note(teller, HTTP2_INVALID_FRAME_DATA)
            return True
        if weight < 256:
            add_fact(context, tx, direction, FACT_PRIORITY, weight)
        if frame.kind == FRAME_PUSH_PROMISE:
            data += 4
            length -= 4
            tx.http.side[TO_SERVER].over |= context.config.beyond      # nobody asks for it
            if direction == TO_CLIENT and tx.state < HTTP2_RESERVED:
                advance(context, tx, HTTP2_RESERVED)
        take_headers(context, http, tx, teller, direction, frame, data, length,
                     frame.kind == FRAME_HEADERS and frame.flags & END_STREAM)
    elif frame.kind == FRAME_CONTINUATION:
        take_continuation(context, http, tx, teller, direction, frame, data)
    elif frame.kind == FRAME_SETTINGS:
        take_settings(context, tx, direction, data, length)
    elif frame.kind < FRAME_TYPES and frame.kind != FRAME_PING:
        if not take_number(context, tx, direction, frame, data):
            note(teller, HTTP2_INVALID_FRAME_LENGTH)
    return True


# ---- frames that are not waited for ----

cdef inline bint begin_long(app_context_t *context, http2_t *http, uint32_t direction, const frame_t *frame,
                            uint32_t padding) noexcept nogil:
    """The header of a frame that is too long to be held; `frame.length` without the byte that says how much of it is padding.
    False where there is no room for its stream."""
    cdef tx_t *teller = context.app.last
    cdef http2_tx_t *tx = tx_of(context, http, frame.stream, frame)
    if tx == NULL:
        return False
    note(teller, HTTP2_LONG_FRAME_DATA)
    if frame.kind < FRAME_TYPES:
        tx.frames[direction] |= <uint16_t> (1 << frame.kind)
    if frame.kind == FRAME_HEADERS or frame.kind == FRAME_PUSH_PROMISE or frame.kind == FRAME_CONTINUATION:
        forget_table(&http.table[direction])
        drop_block(context, &http.block[direction])
    http.left[direction] = frame.length
    http.padding[direction] = padding
    http.reading[direction] = frame.stream if frame.kind == FRAME_DATA else 0
    http.ends[direction] = frame.kind == FRAME_DATA and frame.flags & END_STREAM
    return True


cdef inline void read_long(app_context_t *context, http2_t *http, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """More of it."""
    cdef uint32_t stream = http.reading[direction]
    cdef http2_tx_t *tx = find_stream(http, stream) if stream else NULL
    cdef uint32_t body = http.left[direction] - min(http.left[direction], http.padding[direction])
    http.left[direction] -= length
    if tx == NULL:
        return
    take_data(context, tx, direction, data, min(length, body))
    stream_data(context, tx, direction)
    if http.left[direction] == 0 and http.ends[direction]:
        stream_ends(context, tx, direction)
