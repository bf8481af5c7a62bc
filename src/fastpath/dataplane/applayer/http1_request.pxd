# The request side of a session, step by step. RFC 7230, and what servers and browsers make of messages that do not keep to it.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.applayer cimport (
    HTTP1_BODY, HTTP1_COMPLETE, HTTP1_HEADERS, HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST, HTTP1_INVALID_REQUEST_CHUNK_LEN,
    HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST, HTTP1_LINE, HTTP1_REQUEST_AUTH_UNRECOGNIZED, HTTP1_REQUEST_BODY_UNEXPECTED,
    HTTP1_TRAILER, app_context_t,
)
from fastpath.dataplane.applayer.http1_headers cimport content_length_of, find_header
from fastpath.dataplane.applayer.http1_decoders cimport AS_BROTLI, AS_DEFLATE, AS_GZIP, AS_LZMA
from fastpath.dataplane.applayer.http1_inflate cimport add_inflater
from fastpath.dataplane.applayer.http1_line cimport find_host, method_of, read_request_line, read_uri
from fastpath.dataplane.applayer.http1_passing cimport pass_head
from fastpath.dataplane.applayer.http1_side cimport (
    body_bytes, body_step, chunk_end_step, chunk_length, end_message, flush_header, header_line, line_at_work, line_done,
    read_upto, unread,
)
from fastpath.dataplane.applayer.http1_state cimport *
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER


cdef enum:
    JUNK_MAX = 16               # white space that may follow a request of HTTP/0.9


cdef inline http1_tx_t *begin_tx(app_context_t *context) noexcept nogil:
    """NULL where there are too many alive, or memory is refused."""
    cdef http1_tx_t *tx
    if context.app.txs >= context.config.http1.max_txs:
        return NULL
    tx = <http1_tx_t *> new_tx(context, sizeof(http1_tx_t))
    if tx != NULL:
        tx.uri_port = -1
        tx.status = -1
        tx.side[0].protocol = tx.side[1].protocol = PROTOCOL_UNKNOWN
        tx.side[0].content_length = tx.side[1].content_length = -1
    return tx


cdef inline bint has_token(const uint8_t *data, uint32_t length, const char *token, uint32_t size) noexcept nogil:
    """Is this one of those that commas and blanks part? `token` in lower case."""
    cdef uint32_t at = 0, start
    while at < length:
        start = at
        while at < length and data[at] != 44 and not is_space(data[at]):
            at += 1
        if same(data + start, at - start, token, size):
            return True
        at += 1
    return False


cdef inline uint32_t request_line_done(app_context_t *context, http1_t *http) noexcept nogil:
    cdef side_t *side = &http.side[TO_SERVER]
    cdef http1_tx_t *tx = side.tx
    cdef const uint8_t *data
    cdef uint32_t length
    if not line_at_work(context, side, TO_SERVER, &data, &length):
        return STEP_ERROR
    if length == 0:
        return STEP_MORE
    if is_empty_line(data, length):
        line_done(side)
        return STEP_ON
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.side[TO_SERVER].line, data, without_end(data, length)):
        return STEP_ERROR
    line_done(side)
    read_request_line(tx)
    if not read_uri(context, tx):
        return STEP_ERROR
    side.state = REQUEST_PROTOCOL
    return STEP_ON


cdef inline uint32_t request_protocol(app_context_t *context, side_t *side) noexcept nogil:
    """Without a protocol it is HTTP/0.9, unless more follows than a little white space."""
    cdef http1_tx_t *tx = side.tx
    cdef uint32_t at = side.at
    if side.length - side.at > JUNK_MAX:
        tx.is_0_9 = False
    while tx.is_0_9 and at < side.length:
        tx.is_0_9 = is_space(side.data[at])
        at += 1
    if tx.is_0_9:
        side.state = REQUEST_FINALIZE
    else:
        side.state = REQUEST_HEADERS
        tx_progress(context, &tx.head, TO_SERVER, HTTP1_HEADERS)
    return STEP_ON


cdef inline void find_request_body(http1_tx_t *tx) noexcept nogil:
    """Whether there is a body, and where it ends: RFC 7230 section 3.3.3."""
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef header_t *length = find_header(request, b"content-length", 14)
    cdef header_t *transfer = find_header(request, b"transfer-encoding", 17)
    request.coding = CODING_NONE
    if transfer != NULL:
        if has_token(bytes_of(&request.text, transfer.value), transfer.value.length, b"chunked", 7):
            request.coding = CODING_CHUNKED
            if request.protocol < PROTOCOL_1_1:
                tx_event(&tx.head, HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST)
        else:
            request.coding = CODING_INVALID
            tx_event(&tx.head, HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST)
    elif length != NULL:
        request.coding = CODING_IDENTITY
        request.content_length = content_length_of(bytes_of(&request.text, length.value), length.value.length)
        if request.content_length < 0:
            request.coding = CODING_INVALID
            tx_event(&tx.head, HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST)


cdef inline bint known_authorization(const uint8_t *data, uint32_t length) noexcept nogil:
    return (length >= 5 and same(data, 5, b"basic", 5) or length >= 6 and same(data, 6, b"digest", 6)
            or length >= 6 and same(data, 6, b"bearer", 6))


cdef inline uint32_t request_headers_done(app_context_t *context, side_t *side) noexcept nogil:
    cdef http1_tx_t *tx = side.tx
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef header_t *header
    cdef const uint8_t *value
    cdef uint32_t length
    if tx.head.progress[TO_SERVER] > HTTP1_HEADERS:
        request.trailers = True
        side.state = REQUEST_FINALIZE
        return STEP_ON
    find_request_body(tx)
    if not find_host(context, tx):
        return STEP_ERROR
    header = find_header(request, b"authorization", 13)
    if header != NULL and not known_authorization(bytes_of(&request.text, header.value), header.value.length):
        tx_event(&tx.head, HTTP1_REQUEST_AUTH_UNRECOGNIZED)
    if request.coding == CODING_INVALID:
        return STEP_ERROR
    header = find_header(request, b"content-encoding", 16)
    if header != NULL:
        value = bytes_of(&request.text, header.value)
        length = header.value.length
        if same(value, length, b"gzip", 4) or same(value, length, b"x-gzip", 6):
            add_inflater(context, &side.inflater, AS_GZIP)
        elif same(value, length, b"deflate", 7) or same(value, length, b"x-deflate", 9):
            add_inflater(context, &side.inflater, AS_DEFLATE)
        elif same(value, length, b"lzma", 4) and context.config.http1.lzma_memlimit:
            add_inflater(context, &side.inflater, AS_LZMA)
        elif same(value, length, b"br", 2) and context.config.http1.brotli:
            add_inflater(context, &side.inflater, AS_BROTLI)
    side.state = REQUEST_CONNECT_CHECK
    return STEP_ON


cdef inline uint32_t request_headers(app_context_t *context, side_t *side) noexcept nogil:
    cdef const uint8_t *data
    cdef uint32_t length
    cdef uint32_t passed = pass_head(context, side, TO_SERVER)
    if passed == STEP_ON:
        return request_headers_done(context, side)
    if passed == STEP_ERROR:
        return STEP_ERROR
    while True:
        if side.status == SIDE_CLOSED and side.at == side.length:
            # the stream ends among the headers: they are all there will be
            if not flush_header(context, side, TO_SERVER):
                return STEP_ERROR
            line_done(side)
            tx_progress(context, &side.tx.head, TO_SERVER, HTTP1_TRAILER)
            return request_headers_done(context, side)
        if not read_upto(side, 10):
            return STEP_HOLD
        if not line_at_work(context, side, TO_SERVER, &data, &length):
            return STEP_ERROR
        if is_empty_line(data, length):
            bytes_append(context.pool, ACCOUNT_APPLAYER, &side.tx.side[TO_SERVER].raw, data, length)
            if not flush_header(context, side, TO_SERVER):
                return STEP_ERROR
            line_done(side)
            return request_headers_done(context, side)
        if not header_line(context, side, TO_SERVER, data, length):
            return STEP_ERROR
        line_done(side)


cdef inline uint32_t request_body_determine(app_context_t *context, side_t *side) noexcept nogil:
    cdef http1_tx_t *tx = side.tx
    cdef message_t *request = &tx.side[TO_SERVER]
    if request.coding == CODING_CHUNKED:
        side.state = REQUEST_CHUNK_LENGTH
        tx_progress(context, &tx.head, TO_SERVER, HTTP1_BODY)
    elif request.coding == CODING_IDENTITY and request.content_length:
        side.left = request.content_length
        side.state = REQUEST_BODY
        tx_progress(context, &tx.head, TO_SERVER, HTTP1_BODY)
    else:
        side.state = REQUEST_FINALIZE
    return STEP_ON


cdef inline uint32_t request_chunk_length(app_context_t *context, side_t *side) noexcept nogil:
    cdef http1_tx_t *tx = side.tx
    cdef const uint8_t *data
    cdef uint32_t length
    if not read_upto(side, 10):
        return STEP_HOLD
    if not line_at_work(context, side, TO_SERVER, &data, &length):
        return STEP_ERROR
    tx.side[TO_SERVER].length += length
    side.left = chunk_length(tx, data, length)
    line_done(side)
    if side.left < 0:
        tx_event(&tx.head, HTTP1_INVALID_REQUEST_CHUNK_LEN)
        return STEP_ERROR
    if side.left:
        side.state = REQUEST_CHUNK
    else:
        side.state = REQUEST_HEADERS
        tx_progress(context, &tx.head, TO_SERVER, HTTP1_TRAILER)
    return STEP_ON


cdef inline uint32_t complete_request(app_context_t *context, side_t *side) noexcept nogil:
    cdef http1_tx_t *tx = side.tx
    if tx.head.progress[TO_SERVER] != HTTP1_COMPLETE:
        if side.undecodable:
            return STEP_ERROR
        end_message(context, side, TO_SERVER)
    side.state = REQUEST_IGNORE if tx.is_0_9 else REQUEST_IDLE
    side.tx = NULL
    return STEP_ON


cdef inline uint8_t method_before(const uint8_t *data, uint32_t length) noexcept nogil:
    """The method that a line begins with."""
    cdef uint32_t start = 0, end
    while start < length and is_space(data[start]):
        start += 1
    end = start
    while end < length and not is_space(data[end]):
        end += 1
    return method_of(data + start, end - start)


cdef inline uint32_t request_finalize(app_context_t *context, side_t *side) noexcept nogil:
    """A request is over. What follows without being a request is more of its body."""
    cdef http1_tx_t *tx = side.tx
    cdef const uint8_t *data
    cdef uint32_t length
    if side.at >= side.length and side.held.length == 0:
        return complete_request(context, side)
    if side.status != SIDE_CLOSED:
        if side.at >= side.length:
            return complete_request(context, side)
        if not read_upto(side, 10):
            return STEP_HOLD
    if not line_at_work(context, side, TO_SERVER, &data, &length):
        return STEP_ERROR
    if length == 0:
        return complete_request(context, side)
    if method_before(data, length) == METHOD_UNKNOWN:
        if without_end(data, length):
            tx_event(&tx.head, HTTP1_REQUEST_BODY_UNEXPECTED)
        tx_progress(context, &tx.head, TO_SERVER, HTTP1_BODY)
        if not body_bytes(context, side, TO_SERVER, data, length):
            return STEP_ERROR
        line_done(side)
        return STEP_ON
    unread(side, length)
    return complete_request(context, side)


cdef inline uint32_t request_connect_probe(app_context_t *context, http1_t *http) noexcept nogil:
    """What goes through the tunnel may be HTTP again."""
    cdef side_t *side = &http.side[TO_SERVER]
    cdef const uint8_t *data
    cdef uint32_t length
    while side.at < side.length and side.data[side.at] != 10 and side.data[side.at] != 0:
        side.at += 1
    if side.at == side.length:
        return STEP_HOLD
    if not line_at_work(context, side, TO_SERVER, &data, &length):
        return STEP_ERROR
    if method_before(data, length) != METHOD_UNKNOWN:
        side.state = REQUEST_FINALIZE
    else:
        side.status = http.side[TO_CLIENT].status = SIDE_TUNNEL
    return STEP_ON


cdef inline uint32_t request_step(app_context_t *context, http1_t *http) noexcept nogil:
    cdef side_t *side = &http.side[TO_SERVER]
    cdef http1_tx_t *tx = side.tx
    if side.state == REQUEST_IDLE:
        if side.at >= side.length:
            return STEP_MORE
        side.tx = begin_tx(context)
        if side.tx == NULL:
            return STEP_ERROR
        side.state = REQUEST_LINE
        tx_progress(context, &side.tx.head, TO_SERVER, HTTP1_LINE)
        return STEP_ON
    if side.state == REQUEST_LINE:
        if not read_upto(side, 10) and side.status != SIDE_CLOSED:
            return STEP_HOLD
        return request_line_done(context, http)
    if side.state == REQUEST_PROTOCOL:
        return request_protocol(context, side)
    if side.state == REQUEST_HEADERS:
        return request_headers(context, side)
    if side.state == REQUEST_CONNECT_CHECK:
        side.state = REQUEST_BODY_DETERMINE
        if tx.method == METHOD_CONNECT:
            side.state = REQUEST_CONNECT_WAIT
            side.status = SIDE_WAITING
            return STEP_WAIT
        return STEP_ON
    if side.state == REQUEST_CONNECT_WAIT:
        if tx.head.progress[TO_CLIENT] <= HTTP1_LINE:
            return STEP_WAIT
        side.state = REQUEST_CONNECT_PROBE if 200 <= tx.status <= 299 else REQUEST_FINALIZE
        return STEP_ON
    if side.state == REQUEST_CONNECT_PROBE:
        return request_connect_probe(context, http)
    if side.state == REQUEST_BODY_DETERMINE:
        return request_body_determine(context, side)
    if side.state == REQUEST_BODY:
        return body_step(context, side, TO_SERVER, REQUEST_FINALIZE)
    if side.state == REQUEST_CHUNK_LENGTH:
        return request_chunk_length(context, side)
    if side.state == REQUEST_CHUNK:
        return body_step(context, side, TO_SERVER, REQUEST_CHUNK_END)
    if side.state == REQUEST_CHUNK_END:
        return chunk_end_step(side, TO_SERVER, REQUEST_CHUNK_LENGTH)
    if side.state == REQUEST_FINALIZE:
        return request_finalize(context, side)
    side.at = side.start = side.length      # REQUEST_IGNORE: nothing follows HTTP/0.9
    return STEP_MORE
