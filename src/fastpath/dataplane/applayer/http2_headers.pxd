# Header blocks: their fields into the messages of a transaction, one after the other, and what they say of the body that follows.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from fastpath.dataplane.applayer.applayer cimport (
    HTTP2_AUTHORITY_HOST_MISMATCH, HTTP2_EXTRA_HEADER_DATA, HTTP2_HEADER_INTEGER_OVERFLOW, HTTP2_HEADER_LIST_LIMIT,
    HTTP2_INVALID_FRAME_DATA, HTTP2_INVALID_HEADER, HTTP2_USERINFO_IN_URI, TX_NEW, app_context_t, tx_t,
)
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t
from fastpath.dataplane.applayer.grpc cimport is_grpc
from fastpath.dataplane.applayer.hpack cimport (
    FIELD_CUT, FIELD_OK, FIELD_OVERFLOW, FIELD_REFUSED, FIELD_SIZE, block_done, field_t, forget_table, hpack_t, read_field,
)
from fastpath.dataplane.applayer.http1_decoders cimport AS_BROTLI, AS_DEFLATE, AS_GZIP
from fastpath.dataplane.applayer.http1_headers cimport content_length_of
from fastpath.dataplane.applayer.http1_inflate cimport add_inflater
from fastpath.dataplane.applayer.http1_line cimport method_of
from fastpath.dataplane.applayer.http1_state cimport bytes_of, header_t, message_t, same, span_t
from fastpath.dataplane.applayer.http2_state cimport (
    FACT_SIZE, FIELDS_MAX, FIELDS_TEXT_MAX, add_fact, http2_tx_t,
)
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER


cdef inline void note(tx_t *teller, uint16_t event) noexcept nogil:
    """Of the session: it stands with the transaction that was the latest before the frame, as in Suricata."""
    if teller != NULL:
        tx_event(teller, event)


cdef inline bint is_exactly(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    return length == size and memcmp(data, text, size) == 0


cdef inline bint keep_field(app_context_t *context, http2_tx_t *tx, uint32_t direction, const uint8_t *name, uint32_t name_length,
                            const uint8_t *value, uint32_t length, uint32_t status) noexcept nogil:
    """A field, or what stands in its place (header_t.repeated: enum field_status). False, with the event, where there are too
    many or memory is refused."""
    cdef message_t *message = &tx.http.side[direction]
    cdef header_t header
    if message.header_count >= FIELDS_MAX or <uint64_t> message.text.length + name_length + length > FIELDS_TEXT_MAX:
        tx_event(&tx.http.head, HTTP2_HEADER_LIST_LIMIT)
        return False
    header.name.at = message.text.length
    header.name.length = name_length
    header.value.at = message.text.length + name_length
    header.value.length = length
    header.repeated = status
    if not (bytes_append(context.pool, ACCOUNT_APPLAYER, &message.text, name, name_length)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, &message.text, value, length)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, &message.headers, <const uint8_t *> &header, sizeof(header))):
        return False
    message.header_count += 1
    return True


cdef inline void read_path(app_context_t *context, http2_tx_t *tx, const uint8_t *value, uint32_t length) noexcept nogil:
    """The name of what is asked for, and of the file that comes of it."""
    cdef const uint8_t *query = <const uint8_t *> memchr(value, 63, length) if length else NULL
    if tx.http.has_path:
        return
    if query != NULL:
        length = <uint32_t> (query - value)
    tx.http.has_path = bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.http.path, value, length)


cdef inline void set_coding(app_context_t *context, http2_tx_t *tx, uint32_t direction, const uint8_t *value,
                            uint32_t length) noexcept nogil:
    """One layer is undone."""
    cdef int kind
    if tx.inflater[direction] != NULL or tx.http.side[direction].seen:
        return
    if is_exactly(value, length, b"gzip", 4):
        kind = AS_GZIP
    elif is_exactly(value, length, b"deflate", 7):
        kind = AS_DEFLATE
    elif is_exactly(value, length, b"br", 2):
        kind = AS_BROTLI
    else:
        return
    add_inflater(context, &tx.inflater[direction], kind)


cdef inline int three_digits(const uint8_t *value, uint32_t length) noexcept nogil:
    cdef int64_t number = content_length_of(value, length)
    return <int> number if length == 3 and 100 <= number <= 999 else -1


cdef inline void mark_field(app_context_t *context, http2_tx_t *tx, uint32_t direction, const uint8_t *name, uint32_t name_length,
                            const uint8_t *value, uint32_t length) noexcept nogil:
    """What the field says about its message."""
    if is_exactly(name, name_length, b"content-encoding", 16):
        set_coding(context, tx, direction, value, length)
    elif is_exactly(name, name_length, b"content-type", 12):
        tx.grpc[direction].here |= is_grpc(value, length)
    elif direction == TO_CLIENT:
        if is_exactly(name, name_length, b":status", 7) and tx.http.status < 0:
            tx.http.status = three_digits(value, length)
    elif is_exactly(name, name_length, b":path", 5):
        read_path(context, tx, value, length)
    elif is_exactly(name, name_length, b":method", 7):
        tx.http.method = method_of(value, length)
    elif same(name, name_length, b":authority", 10) and length and memchr(value, 64, length) != NULL:
        tx_event(&tx.http.head, HTTP2_USERINFO_IN_URI)


cdef inline void compare_hosts(http2_tx_t *tx, uint32_t first) noexcept nogil:
    """:authority and host of one block, from this field on."""
    cdef message_t *request = &tx.http.side[TO_SERVER]
    cdef void *table = request.headers.data
    cdef const header_t *header
    cdef const header_t *authority = NULL
    cdef const header_t *host = NULL
    cdef const uint8_t *name
    cdef uint32_t i
    for i in range(first, request.header_count):
        header = <const header_t *> table + i
        name = bytes_of(&request.text, header.name)
        if same(name, header.name.length, b":authority", 10):
            authority = header
        elif same(name, header.name.length, b"host", 4):
            host = header
    if authority != NULL and host != NULL and not same(bytes_of(&request.text, authority.value), authority.value.length,
                                                       <const char *> bytes_of(&request.text, host.value), host.value.length):
        tx_event(&tx.http.head, HTTP2_AUTHORITY_HOST_MISMATCH)


cdef inline void read_block(app_context_t *context, hpack_t *hpack, http2_tx_t *tx, tx_t *teller, uint32_t direction,
                            const uint8_t *data, uint32_t length) noexcept nogil:
    """A whole header block. Fields beyond the limits of a message are read all the same, for the table."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint32_t said, first = tx.http.side[direction].header_count
    cdef field_t field
    cdef const uint8_t *value
    while cursor_left(&cursor):
        said = read_field(context, hpack, &cursor, &field)
        if said == FIELD_CUT:
            note(teller, HTTP2_INVALID_FRAME_DATA)
        if said == FIELD_CUT or said == FIELD_REFUSED:
            break
        value = hpack.scratch.data + field.name_length
        keep_field(context, tx, direction, hpack.scratch.data, field.name_length, value, field.value_length, said)
        if said == FIELD_OK:
            mark_field(context, tx, direction, hpack.scratch.data, field.name_length, value, field.value_length)
        elif said == FIELD_SIZE:
            add_fact(context, tx, direction, FACT_SIZE, field.size)
        else:
            note(teller, HTTP2_INVALID_HEADER)
        if said == FIELD_OVERFLOW:
            note(teller, HTTP2_EXTRA_HEADER_DATA)
            if context.config.beyond:       # an event that Suricata 7.0.10 has a name for, and does not raise here
                note(teller, HTTP2_HEADER_INTEGER_OVERFLOW)
            break
    if direction == TO_SERVER:
        compare_hosts(tx, first)
    block_done(context, hpack)
    tx.http.head.flags |= TX_NEW
