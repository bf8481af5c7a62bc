# The response side of a session, step by step.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_HTTP2, ALPROTO_UNKNOWN, APP_UPGRADE, HTTP1_ABNORMAL_CE_HEADER, HTTP1_BODY, HTTP1_COMPLETE, HTTP1_COMPRESSION_BOMB,
    HTTP1_CONTINUE_ALREADY_SEEN, HTTP1_FAILED_PROTOCOL_CHANGE, HTTP1_HEADERS, HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE,
    HTTP1_INVALID_RESPONSE_CHUNK_LEN, HTTP1_LINE, HTTP1_REQUEST_LINE_INCOMPLETE, HTTP1_RESPONSE_ABNORMAL_TRANSFER_ENCODING,
    HTTP1_RESPONSE_CHUNKED_OLD_PROTO, HTTP1_RESPONSE_MULTIPART_BYTERANGES, HTTP1_TOO_MANY_ENCODING_LAYERS, HTTP1_TRAILER,
    HTTP1_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST, TX_NEW, app_context_t, tx_t,
)
from fastpath.dataplane.applayer.http1_headers cimport content_length_of, find_header, header_at
from fastpath.dataplane.applayer.http1_decoders cimport AS_BROTLI, AS_DEFLATE, AS_GZIP, AS_LZMA
from fastpath.dataplane.applayer.http1_inflate cimport add_inflater, free_inflaters
from fastpath.dataplane.applayer.http1_line cimport looks_like_response, read_response_line
from fastpath.dataplane.applayer.http1_passing cimport pass_head
from fastpath.dataplane.applayer.http1_request cimport begin_tx, complete_request, request_line_done
from fastpath.dataplane.applayer.http1_side cimport (
    CHUNK_EMPTY, add_raw, body_bytes, body_step, chunk_end_step, chunk_length, end_message, flush_header, header_line, hold,
    line_at_work, line_done, read_upto, shown, unread,
)
from fastpath.dataplane.applayer.http1_state cimport *
from fastpath.dataplane.applayer.http1_uri cimport part
from fastpath.dataplane.applayer.transaction cimport tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef extern from *:
    """
    #define HTTP1_NOT_SEEN "/libhtp::request_uri_not_seen"
    """
    const char *HTTP1_NOT_SEEN
    const uint32_t HTTP1_NOT_SEEN_LENGTH "(sizeof(HTTP1_NOT_SEEN) - 1)"


cdef inline http1_tx_t *answered_tx(app_context_t *context, http1_t *http) noexcept nogil:
    """The oldest transaction that no response has begun for; NULL for none."""
    cdef tx_t *tx = context.app.first
    while tx != NULL and tx.id < http.side[TO_CLIENT].next_tx:
        tx = tx.next
    return <http1_tx_t *> tx


cdef inline http1_tx_t *tx_without_request(app_context_t *context, http1_t *http) noexcept nogil:
    """For a response to nothing. The name stands where rules and logs look for a URI."""
    cdef side_t *requests = &http.side[TO_SERVER]
    cdef const uint8_t *name = <const uint8_t *> HTTP1_NOT_SEEN
    cdef http1_tx_t *tx
    if requests.tx != NULL and requests.state == REQUEST_FINALIZE:
        complete_request(context, requests)
    tx = begin_tx(context)
    if tx == NULL:
        return NULL
    tx_event(&tx.head, HTTP1_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST)
    if not (bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.side[TO_SERVER].line, name, HTTP1_NOT_SEEN_LENGTH)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.path, name, HTTP1_NOT_SEEN_LENGTH)):
        return NULL
    tx.side[TO_SERVER].second = part(0, HTTP1_NOT_SEEN_LENGTH)
    tx.side[TO_SERVER].has_uri = True
    tx.has_path = True
    requests.tx = tx
    requests.state = REQUEST_FINALIZE
    return tx


cdef inline uint32_t response_idle(app_context_t *context, http1_t *http) noexcept nogil:
    cdef side_t *side = &http.side[TO_CLIENT]
    cdef side_t *requests = &http.side[TO_SERVER]
    cdef http1_tx_t *tx
    if side.at >= side.length:
        return STEP_MORE
    tx = answered_tx(context, http)
    if tx == NULL:
        tx = tx_without_request(context, http)
        if tx == NULL:
            return STEP_ERROR
    side.tx = tx
    side.next_tx = tx.head.id + 1
    side.left = -1
    if tx.is_0_9:
        tx.side[TO_CLIENT].coding = CODING_IDENTITY
        tx_progress(context, &tx.head, TO_CLIENT, HTTP1_BODY)
        side.state = RESPONSE_BODY_TO_END
    else:
        tx_progress(context, &tx.head, TO_CLIENT, HTTP1_LINE)
        side.state = RESPONSE_LINE
    if requests.tx == tx and requests.state == REQUEST_LINE and not tx.side[TO_SERVER].has_line:
        tx_event(&tx.head, HTTP1_REQUEST_LINE_INCOMPLETE)
        if requests.held.length:
            # what the request side holds is all of its line; nothing is shown to it now
            requests.data = NULL
            requests.length = requests.at = requests.start = 0
            if request_line_done(context, http) == STEP_ERROR:
                return STEP_ERROR
    return STEP_ON


cdef inline bint read_line_end(side_t *side, bint *waits) noexcept nogil:
    """Reads up to the end of a line: LF, CR LF, or a CR that no LF follows. `waits`: for what follows a CR."""
    waits[0] = False
    while side.at < side.length:
        side.at += line_length(side.data + side.at, side.length - side.at)
        if side.at == side.length:
            return False
        side.at += 1
        if side.data[side.at - 1] == 10:
            return True
        if side.at == side.length:
            waits[0] = True
            return False
        if side.data[side.at] == 10:
            side.at += 1
            return True
        if side.data[side.at] != 13:
            return True
    return False


cdef inline bint ends_with_crlf(const side_t *side) noexcept nogil:
    """Of a line that ends with LF."""
    if side.at > side.start + 1:
        return side.data[side.at - 2] == 13
    return side.held.length and side.held.data[side.held.length - 1] == 13


cdef inline bint read_header_end(side_t *side, bint *waits, bint *odd) noexcept nogil:
    """The same among headers, where LF CR ends a line too (`odd`: one did just before), and a lone CR none that has nothing
    else."""
    cdef bint after_odd = odd[0]
    while True:
        odd[0] = False
        if not read_line_end(side, waits):
            return False
        if side.data[side.at - 1] == 10:
            if ends_with_crlf(side):
                if (after_odd and side.at == side.start + 2 and side.at + 1 < side.length and side.data[side.at] == 13
                        and side.data[side.at + 1] == 10):
                    side.at += 2        # LF CR, CR LF, CR LF are two ends, not three
                    side.start += 2
            elif side.at < side.length and side.data[side.at] == 13:
                side.at += 1
                odd[0] = True
            return True
        after_odd = False
        if side.at > side.start + 1 or side.held.length:
            return True


cdef inline uint32_t response_line(app_context_t *context, side_t *side) noexcept nogil:
    cdef http1_tx_t *tx = side.tx
    cdef message_t *response = &tx.side[TO_CLIENT]
    cdef const uint8_t *data
    cdef uint32_t length, whole
    cdef bint waits
    if not read_line_end(side, &waits) and side.status != SIDE_CLOSED:
        return STEP_HOLD
    if not line_at_work(context, side, TO_CLIENT, &data, &whole):
        return STEP_ERROR
    if whole == 0 or is_empty_line(data, whole):
        if side.status == SIDE_CLOSED:
            side.state = RESPONSE_FINALIZE
        line_done(side)
        return STEP_ON
    length = without_end(data, whole)
    if not looks_like_response(data, length):
        # browsers take this for a body, unless a response seems to follow
        if side.at + 1 < side.length and (side.data[side.at] == 72 or length <= 2):
            line_done(side)
            return STEP_ON
        free_inflaters(context, &side.inflater)
        body_bytes(context, side, TO_CLIENT, data, whole)
        line_done(side)
        if side.at == side.length:
            response.coding = CODING_IDENTITY
            tx_progress(context, &tx.head, TO_CLIENT, HTTP1_BODY)
            side.state = RESPONSE_FINALIZE
        return STEP_ON
    response.line.length = 0
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &response.line, data, length):
        return STEP_ERROR
    read_response_line(tx)
    if tx.flags & HTTP1_CONTINUED:
        # the raw headers go on from the interim response to this one
        add_raw(context, response, data, whole)
    line_done(side)
    side.state = RESPONSE_HEADERS
    if tx.status == 100:
        tx.head.flags |= TX_NEW         # another line may follow: its headers are not looked at
    else:
        tx_progress(context, &tx.head, TO_CLIENT, HTTP1_HEADERS)
    return STEP_ON


cdef inline uint32_t response_headers(app_context_t *context, side_t *side) noexcept nogil:
    cdef http1_tx_t *tx = side.tx
    cdef bint trailer = tx.head.progress[TO_CLIENT] > HTTP1_HEADERS
    cdef const uint8_t *data
    cdef uint32_t length
    cdef bint waits, odd = False
    cdef uint32_t passed = pass_head(context, side, TO_CLIENT)
    if passed != STEP_HOLD:
        side.state = RESPONSE_BODY_DETERMINE
        return passed
    while True:
        if side.status == SIDE_CLOSED and side.at == side.length:
            if not flush_header(context, side, TO_CLIENT):
                return STEP_ERROR
            side.state = RESPONSE_FINALIZE
            return STEP_ON
        if not read_header_end(side, &waits, &odd):
            if waits:
                # the CR is read again with what follows it
                side.at -= 1
                if not hold(context, side, TO_CLIENT):
                    return STEP_ERROR
                side.at += 1
            return STEP_HOLD
        if not line_at_work(context, side, TO_CLIENT, &data, &length):
            return STEP_ERROR
        if is_empty_line(data, length) or (length == 2 and is_blank(data[0]) and data[1] == 10 and side.at < side.length
                                           and side.data[side.at] != 10):
            bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.side[TO_CLIENT].raw, data, length)
            if not flush_header(context, side, TO_CLIENT):
                return STEP_ERROR
            line_done(side)
            tx.side[TO_CLIENT].trailers |= trailer
            side.state = RESPONSE_FINALIZE if trailer else RESPONSE_BODY_DETERMINE
            return STEP_ON
        if not header_line(context, side, TO_CLIENT, data, length):
            return STEP_ERROR
        line_done(side)


cdef inline void set_inflaters(app_context_t *context, side_t *side) noexcept nogil:
    """The layers of Content-Encoding, in the order in which they are named."""
    cdef http1_tx_t *tx = side.tx
    cdef message_t *response = &tx.side[TO_CLIENT]
    cdef header_t *header = find_header(response, b"content-encoding", 16)
    cdef const uint8_t *value
    cdef uint32_t length, at = 0, start, layers = 0, most = context.config.http1.layers
    free_inflaters(context, &side.inflater)
    if header == NULL:
        return
    value = bytes_of(&response.text, header.value)
    length = header.value.length
    if same(value, length, b"inflate", 7):
        return
    while at < length:
        start = at
        while at < length and value[at] != 44 and value[at] != 32:
            at += 1
        if at > start:
            layers += 1
            if (most and layers > most) or layers > LAYERS_MAX:
                tx_event(&tx.head, HTTP1_TOO_MANY_ENCODING_LAYERS)
                return
            if index_of_caseless(value + start, at - start, b"gzip", 4) >= 0:
                if not (same(value + start, at - start, b"gzip", 4) or same(value + start, at - start, b"x-gzip", 6)):
                    tx_event(&tx.head, HTTP1_ABNORMAL_CE_HEADER)
                add_inflater(context, &side.inflater, AS_GZIP)
            elif index_of_caseless(value + start, at - start, b"deflate", 7) >= 0:
                if not (same(value + start, at - start, b"deflate", 7) or same(value + start, at - start, b"x-deflate", 9)):
                    tx_event(&tx.head, HTTP1_ABNORMAL_CE_HEADER)
                add_inflater(context, &side.inflater, AS_DEFLATE)
            elif same(value + start, at - start, b"lzma", 4):
                if context.config.http1.lzma_memlimit and layers == 1:
                    add_inflater(context, &side.inflater, AS_LZMA)
                elif at - start < length:       # one layer of it, and the outermost, is all that is undone
                    tx_event(&tx.head, HTTP1_COMPRESSION_BOMB)
                    return
            elif same(value + start, at - start, b"br", 2) and context.config.http1.brotli:
                add_inflater(context, &side.inflater, AS_BROTLI)
            elif not same(value + start, at - start, b"inflate", 7):
                tx_event(&tx.head, HTTP1_ABNORMAL_CE_HEADER)
        at += 1


cdef inline void carry(app_context_t *context, const char *name, uint32_t name_length, const uint8_t *value,
                       uint32_t length) noexcept nogil:
    """A header for the room that follows: both lengths (uint32_t), name, value. What memory refuses is not there."""
    cdef uint32_t *lengths = [name_length, length]
    cdef bytes_t *carried = &context.app.carried
    if (bytes_append(context.pool, ACCOUNT_APPLAYER, carried, <const uint8_t *> lengths, 8)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, carried, <const uint8_t *> name, name_length)):
        bytes_append(context.pool, ACCOUNT_APPLAYER, carried, value, length)


cdef inline void carry_request(app_context_t *context, const message_t *request) noexcept nogil:
    """The request with which the client has asked for HTTP/2 is the first one of that: RFC 7540 section 3.2."""
    cdef uint32_t i
    cdef header_t *header
    if not request.has_line or context.app.carried.length:
        return
    carry(context, b":method", 7, bytes_of(&request.line, request.first), request.first.length)
    carry(context, b":path", 5, bytes_of(&request.line, request.second), request.second.length)
    for i in range(request.header_count):
        header = header_at(request, i)
        if same(bytes_of(&request.text, header.name), header.name.length, b"host", 4):
            carry(context, b":authority", 10, bytes_of(&request.text, header.value), header.value.length)
        else:
            carry(context, <const char *> bytes_of(&request.text, header.name), header.name.length,
                  bytes_of(&request.text, header.value), header.value.length)


cdef inline void upgrade(app_context_t *context, http1_t *http) noexcept nogil:
    """101 Switching Protocols: what follows is no HTTP/1, HTTP/2 where that was asked for and is known."""
    cdef http1_tx_t *tx = http.side[TO_CLIENT].tx
    cdef header_t *header = find_header(&tx.side[TO_CLIENT], b"upgrade", 7)
    http.side[TO_SERVER].status = http.side[TO_CLIENT].status = SIDE_TUNNEL
    if (header != NULL and same(bytes_of(&tx.side[TO_CLIENT].text, header.value), header.value.length, b"h2c", 3)
            and context.config.enabled[<uint32_t> ALPROTO_HTTP2]):
        if context.changing:        # from another protocol, and not through with it
            tx_event(&tx.head, HTTP1_FAILED_PROTOCOL_CHANGE)
            return
        carry_request(context, &tx.side[TO_SERVER])
        http.left = http.side[TO_CLIENT].length - http.side[TO_CLIENT].at
        context.app.next_proto = ALPROTO_HTTP2
        context.app.flags |= APP_UPGRADE


cdef inline bint has_word(const message_t *message, const header_t *header, const char *word, uint32_t length) noexcept nogil:
    return index_of_caseless(bytes_of(&message.text, header.value), header.value.length, word, length) >= 0


cdef inline uint32_t response_body_determine(app_context_t *context, http1_t *http) noexcept nogil:
    """Whether there is a body, and where it ends: RFC 7230 section 3.3.3, leaning to what browsers take for one."""
    cdef side_t *side = &http.side[TO_CLIENT]
    cdef http1_tx_t *tx = side.tx
    cdef message_t *response = &tx.side[TO_CLIENT]
    cdef header_t *length = find_header(response, b"content-length", 14)
    cdef header_t *transfer = find_header(response, b"transfer-encoding", 17)
    cdef header_t *kind = find_header(response, b"content-type", 12)
    if tx.method == METHOD_CONNECT:
        if 200 <= tx.status <= 299:
            side.state = RESPONSE_FINALIZE
            set_inflaters(context, side)
            return STEP_ON
        if http.side[TO_SERVER].status == SIDE_WAITING:
            http.side[TO_SERVER].status = SIDE_OPEN
        if tx.status != 407:
            http.yields = True
    if tx.status == 101 and length == NULL and transfer == NULL:
        side.state = RESPONSE_FINALIZE
        set_inflaters(context, side)
        upgrade(context, http)
        return STEP_ON
    if (tx.status == 100 and transfer == NULL
            and (length == NULL or content_length_of(bytes_of(&response.text, length.value), length.value.length) <= 0)):
        if tx.flags & HTTP1_CONTINUED:
            tx_event(&tx.head, HTTP1_CONTINUE_ALREADY_SEEN)
        tx.flags |= HTTP1_CONTINUED
        response.text.length = response.headers.length = response.header_count = 0
        side.state = RESPONSE_LINE
        return STEP_ON
    tx_progress(context, &tx.head, TO_CLIENT, HTTP1_HEADERS)
    if tx.method == METHOD_HEAD or ((100 <= tx.status <= 199 or tx.status == 204 or tx.status == 304)
                                    and length == NULL and transfer == NULL):
        response.coding = CODING_NONE
        side.state = RESPONSE_FINALIZE
        set_inflaters(context, side)
        return STEP_ON
    if transfer != NULL and has_word(response, transfer, b"chunked", 7):
        if not same(bytes_of(&response.text, transfer.value), transfer.value.length, b"chunked", 7):
            tx_event(&tx.head, HTTP1_RESPONSE_ABNORMAL_TRANSFER_ENCODING)
        if response.protocol < PROTOCOL_1_1:
            tx_event(&tx.head, HTTP1_RESPONSE_CHUNKED_OLD_PROTO)
        response.coding = CODING_CHUNKED
        side.state = RESPONSE_CHUNK_LENGTH
        tx_progress(context, &tx.head, TO_CLIENT, HTTP1_BODY)
    elif length != NULL:
        response.coding = CODING_IDENTITY
        response.content_length = content_length_of(bytes_of(&response.text, length.value), length.value.length)
        if response.content_length < 0:
            tx_event(&tx.head, HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE)
            return STEP_ERROR
        side.left = response.content_length
        if side.left:
            side.state = RESPONSE_BODY
            tx_progress(context, &tx.head, TO_CLIENT, HTTP1_BODY)
        else:
            side.state = RESPONSE_FINALIZE
    elif kind != NULL and has_word(response, kind, b"multipart/byteranges", 20):
        tx_event(&tx.head, HTTP1_RESPONSE_MULTIPART_BYTERANGES)
        return STEP_ERROR
    else:
        response.coding = CODING_IDENTITY
        side.state = RESPONSE_BODY_TO_END
        tx_progress(context, &tx.head, TO_CLIENT, HTTP1_BODY)
    set_inflaters(context, side)
    return STEP_ON


cdef inline uint32_t response_chunk_length(app_context_t *context, side_t *side) noexcept nogil:
    """What cannot be the length of a chunk, and all that follows, is the body."""
    cdef http1_tx_t *tx = side.tx
    cdef const uint8_t *data
    cdef uint32_t length, at = side.start
    cdef bint junk = False
    if side.held.length == 0:
        while at < side.length and (side.data[at] == 32 or 9 <= side.data[at] <= 13):
            at += 1
            if side.data[at - 1] == 10:
                break
        junk = at < side.length and digit_of(side.data[at]) < 0 and (at == side.start or side.data[at - 1] != 10)
    if junk:
        side.at = at + 1
    elif not read_upto(side, 10):
        return STEP_HOLD
    if not line_at_work(context, side, TO_CLIENT, &data, &length):
        return STEP_ERROR
    tx.side[TO_CLIENT].length += length
    side.left = chunk_length(tx, data, length)
    if side.left == CHUNK_EMPTY:
        line_done(side)
        return STEP_ON
    if side.left < 0:
        tx_event(&tx.head, HTTP1_INVALID_RESPONSE_CHUNK_LEN)
        unread(side, length)
        side.held.length = 0
        tx.side[TO_CLIENT].coding = CODING_IDENTITY
        side.state = RESPONSE_BODY_TO_END
        return STEP_ON
    line_done(side)
    if side.left:
        side.state = RESPONSE_CHUNK
    else:
        side.state = RESPONSE_HEADERS
        tx_progress(context, &tx.head, TO_CLIENT, HTTP1_TRAILER)
    return STEP_ON


cdef inline uint32_t response_body_to_end(app_context_t *context, side_t *side) noexcept nogil:
    if side.at < side.length:
        if not body_bytes(context, side, TO_CLIENT, shown(side), side.length - side.at):
            return STEP_ERROR
        side.at = side.length
        line_done(side)
    if side.status == SIDE_CLOSED:
        side.state = RESPONSE_FINALIZE
        return STEP_ON
    return STEP_MORE


cdef inline uint32_t complete_response(app_context_t *context, http1_t *http) noexcept nogil:
    cdef side_t *side = &http.side[TO_CLIENT]
    cdef http1_tx_t *tx = side.tx
    if tx.head.progress[TO_CLIENT] != HTTP1_COMPLETE:
        end_message(context, side, TO_CLIENT)
        http.responses += 1
        if tx.method == METHOD_CONNECT and 200 <= tx.status <= 299 and http.responses == 1:
            tx_progress(context, &tx.head, TO_SERVER, HTTP1_COMPLETE)
            context.app.next_proto = ALPROTO_UNKNOWN
            context.app.flags |= APP_UPGRADE
    if http.side[TO_SERVER].status == SIDE_WAITING and http.side[TO_SERVER].tx == tx:
        return STEP_WAIT
    if http.yields:
        http.yields = False
        return STEP_WAIT
    side.tx = NULL
    side.state = RESPONSE_IDLE
    return STEP_ON


cdef inline uint32_t response_finalize(app_context_t *context, http1_t *http) noexcept nogil:
    """A response is over. What follows without being a response is more of its body."""
    cdef side_t *side = &http.side[TO_CLIENT]
    cdef const uint8_t *data
    cdef uint32_t length
    if side.status != SIDE_CLOSED:
        if side.at >= side.length:
            return complete_response(context, http)
        if not read_upto(side, 10):
            return STEP_HOLD
    else:
        side.at = side.length
    if not line_at_work(context, side, TO_CLIENT, &data, &length):
        return STEP_ERROR
    if length == 0:
        return complete_response(context, http)
    if not looks_like_response(data, length):
        if not body_bytes(context, side, TO_CLIENT, data, length):
            return STEP_ERROR
        line_done(side)
        return STEP_ON
    unread(side, length)
    return complete_response(context, http)


cdef inline uint32_t response_step(app_context_t *context, http1_t *http) noexcept nogil:
    cdef side_t *side = &http.side[TO_CLIENT]
    if side.state == RESPONSE_IDLE:
        return response_idle(context, http)
    if side.state == RESPONSE_LINE:
        return response_line(context, side)
    if side.state == RESPONSE_HEADERS:
        return response_headers(context, side)
    if side.state == RESPONSE_BODY_DETERMINE:
        return response_body_determine(context, http)
    if side.state >= RESPONSE_BODY and side.status == SIDE_CLOSED and side.at == side.length:
        side.state = RESPONSE_FINALIZE
        return response_finalize(context, http)
    if side.state == RESPONSE_BODY:
        return body_step(context, side, TO_CLIENT, RESPONSE_FINALIZE)
    if side.state == RESPONSE_BODY_TO_END:
        return response_body_to_end(context, side)
    if side.state == RESPONSE_CHUNK_LENGTH:
        return response_chunk_length(context, side)
    if side.state == RESPONSE_CHUNK:
        return body_step(context, side, TO_CLIENT, RESPONSE_CHUNK_END)
    if side.state == RESPONSE_CHUNK_END:
        return chunk_end_step(side, TO_CLIENT, RESPONSE_CHUNK_LENGTH)
    return response_finalize(context, http)
