# The headers of a message: one after the other into the table, those of one name joined.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from fastpath.dataplane.applayer.applayer cimport (
    HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST, HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE,
    HTTP1_REQUEST_FIELD_MISSING_COLON, HTTP1_REQUEST_HEADER_INVALID, HTTP1_REQUEST_TOO_MANY_HEADERS,
    HTTP1_RESPONSE_FIELD_MISSING_COLON, HTTP1_RESPONSE_HEADER_INVALID, HTTP1_RESPONSE_TOO_MANY_HEADERS, app_context_t,
)
from fastpath.dataplane.applayer.http1_state cimport (
    HEADER_TEXT_MAX, HEADERS_MAX, HTTP1_INVALID_HEADER, HTTP1_UNPARSEABLE, REPETITIONS_MAX, bytes_of, header_t, is_named,
    http1_tx_t,
    is_blank, is_token, lower, message_t, same, span_t, token_length,
)
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append, pool_take_raw
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_SERVER, bytes_t

cdef enum:
    HEADER_ROOM = 384           # bytes that a message takes for its headers, at first; a size of the pool


cdef inline header_t *header_at(const message_t *message, uint32_t index) noexcept nogil:
    cdef void *table = message.headers.data
    return <header_t *> table + index


cdef inline header_t *find_header(const message_t *message, const char *name, uint32_t length) noexcept nogil:
    """By its name in lower case; NULL for none. One that is longer is it only with NULs among its bytes."""
    cdef uint32_t i
    cdef header_t *header
    cdef const uint8_t *its
    for i in range(message.header_count):
        header = header_at(message, i)
        its = bytes_of(&message.text, header.name)
        if (same(its, length, name, length) if header.name.length == length else header.name.length > length
                and memchr(its, 0, header.name.length) != NULL and is_named(its, header.name.length, name, length)):
            return header
    return NULL


cdef inline bint add_bytes(app_context_t *context, bytes_t *bytes, const uint8_t *data, uint32_t length) noexcept nogil:
    """bytes_append for what many follow: it begins with room for some."""
    if bytes.data == NULL:
        bytes.data = <uint8_t *> pool_take_raw(context.pool, ACCOUNT_APPLAYER, HEADER_ROOM)
        bytes.room = HEADER_ROOM if bytes.data != NULL else 0
    return bytes_append(context.pool, ACCOUNT_APPLAYER, bytes, data, length)


cdef inline bint add_text(app_context_t *context, message_t *message, const uint8_t *data, uint32_t length,
                          span_t *span) noexcept nogil:
    if <uint64_t> message.text.length + length > HEADER_TEXT_MAX:
        return False
    span.at = message.text.length
    span.length = length
    return add_bytes(context, &message.text, data, length)


cdef inline int64_t content_length_of(const uint8_t *data, uint32_t length) noexcept nogil:
    """The first number in the text, whatever surrounds it; negative for none, or for one that is too large."""
    cdef int64_t value = 0
    cdef uint32_t i = 0
    while i < length and not 48 <= data[i] <= 57:
        i += 1
    if i == length:
        return -1
    while i < length and 48 <= data[i] <= 57:
        if value > (<int64_t> 1 << 59):
            return -1
        value = value * 10 + data[i] - 48
        i += 1
    return value


cdef inline bint copy_within(app_context_t *context, bytes_t *text, uint32_t at, uint32_t length) noexcept nogil:
    """Appends a part of the bytes to themselves, a little at a time, as growing moves them."""
    cdef uint8_t part[256]
    cdef uint32_t size
    while length:
        size = min(length, <uint32_t> 256)
        memcpy(part, text.data + at, size)
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, text, part, size):
            return False
        at += size
        length -= size
    return True


cdef inline bint join_value(app_context_t *context, message_t *message, header_t *header, const uint8_t *value,
                            uint32_t length) noexcept nogil:
    """value ", " value, at the end of the text; the first one stays behind unless it is there already."""
    cdef bytes_t *text = &message.text
    cdef uint32_t at = header.value.at, size = header.value.length
    if <uint64_t> text.length + size + 2 + length > HEADER_TEXT_MAX:
        return False
    if at + size != text.length:
        at = text.length
        if not copy_within(context, text, header.value.at, size):
            return False
    if not (bytes_append(context.pool, ACCOUNT_APPLAYER, text, <const uint8_t *> b", ", 2)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, text, value, length)):
        return False
    header.value.at = at
    header.value.length = size + 2 + length
    return True


cdef inline bint add_header(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *name, uint32_t name_length,
                            const uint8_t *value, uint32_t value_length) noexcept nogil:
    """False where the message has too many, or memory is refused: the parser stops."""
    cdef message_t *message = &tx.side[direction]
    cdef header_t *header = NULL
    cdef header_t fresh
    cdef uint32_t i
    cdef const uint8_t *other
    cdef uint32_t k
    cdef bint equal
    for i in range(message.header_count):
        header = header_at(message, i)
        equal = header.name.length == name_length
        if equal:
            other = bytes_of(&message.text, header.name)
            for k in range(name_length):
                if lower(other[k]) != lower(name[k]):
                    equal = False
                    break
        if equal:
            break
        header = NULL
    if header != NULL:
        if header.repeated:
            if message.repetitions >= REPETITIONS_MAX:
                return True
            message.repetitions += 1
        header.repeated = 1
        if same(name, name_length, b"content-length", 14):
            if (content_length_of(bytes_of(&message.text, header.value), header.value.length) < 0
                    or content_length_of(bytes_of(&message.text, header.value), header.value.length)
                    != content_length_of(value, value_length)):
                tx_event(&tx.head, HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST if direction == TO_SERVER
                         else HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE)
            return True
        return join_value(context, message, header, value, value_length)
    if message.header_count >= HEADERS_MAX:
        tx_event(&tx.head, HTTP1_REQUEST_TOO_MANY_HEADERS if direction == TO_SERVER else HTTP1_RESPONSE_TOO_MANY_HEADERS)
        return False
    fresh.repeated = 0
    if not (add_text(context, message, name, name_length, &fresh.name)
            and add_text(context, message, value, value_length, &fresh.value)
            and add_bytes(context, &message.headers, <const uint8_t *> &fresh, sizeof(header_t))):
        return False
    message.header_count += 1
    return True


cdef inline void invalid_header(http1_tx_t *tx, uint32_t direction) noexcept nogil:
    """Once a transaction, in whichever direction it is met first."""
    if not tx.flags & HTTP1_INVALID_HEADER:
        tx.flags |= HTTP1_INVALID_HEADER
        tx_event(&tx.head, HTTP1_REQUEST_HEADER_INVALID if direction == TO_SERVER else HTTP1_RESPONSE_HEADER_INVALID)


cdef inline bint read_header(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                             uint32_t length) noexcept nogil:
    """One header, continuations joined, without the end of its line. One without a colon has no name and is all value."""
    cdef uint32_t colon = token_length(data, length), name_end, start, end, i
    cdef bint to_server = direction == TO_SERVER
    cdef bint proper = colon > 0 and colon < length and data[colon] == 58
    while colon < length and data[colon] != 58 and not (to_server and data[colon] == 0):
        colon += 1
    if colon == length or data[colon] == 0:
        if not tx.flags & HTTP1_UNPARSEABLE:
            tx.flags |= HTTP1_UNPARSEABLE
            tx_event(&tx.head, HTTP1_REQUEST_FIELD_MISSING_COLON if to_server else HTTP1_RESPONSE_FIELD_MISSING_COLON)
        if to_server:
            return add_header(context, tx, direction, data, 0, data, length)
        name_end = start = 0
    elif proper:
        name_end = colon
        start = colon + 1
    else:
        if colon == 0:
            invalid_header(tx, direction)
        name_end = colon
        while name_end and (is_blank(data[name_end - 1]) if to_server else data[name_end - 1] <= 32):
            name_end -= 1
            invalid_header(tx, direction)
        start = colon + 1
    while start < length and is_blank(data[start]):
        start += 1
    end = length
    while end > start + 1 and is_blank(data[end - 1]):
        end -= 1
    if not proper:
        for i in range(name_end):
            if not is_token(data[i]):
                invalid_header(tx, direction)
                break
    return add_header(context, tx, direction, data, name_end, data + start, end - start)
