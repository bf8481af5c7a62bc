# From HTTP/1 to HTTP/2 (h2c, RFC 7540 section 3.2): what the room of HTTP/1 has left of the request that asked for it.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport HTTP2_HALF_CLOSED_CLIENT, HTTP2_INVALID_HTTP1_SETTINGS, app_context_t
from fastpath.dataplane.applayer.hpack cimport FIELD_OK
from fastpath.dataplane.applayer.http2_frames cimport take_settings
from fastpath.dataplane.applayer.http2_headers cimport is_exactly, keep_field, mark_field, note
from fastpath.dataplane.applayer.http2_state cimport *
from fastpath.dataplane.pool cimport bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_SERVER, bytes_t

cdef enum:
    SETTINGS_MAX = 512          # bytes of an HTTP2-Settings header, decoded


cdef inline int digit_of_base64url(uint8_t c) noexcept nogil:
    """RFC 4648 section 5, and the two characters that base64 has in place of its own; -1 for what is none."""
    if 65 <= c <= 90:
        return c - 65
    if 97 <= c <= 122:
        return c - 71
    if 48 <= c <= 57:
        return c + 4
    return 62 if c == 45 or c == 43 else 63 if c == 95 or c == 47 else -1


cdef inline int32_t from_base64url(const uint8_t *text, uint32_t length, uint8_t *out, uint32_t most) noexcept nogil:
    """How many bytes there are; -1 for what is no base64url, or more than `most`."""
    cdef uint32_t i, held = 0, bits = 0, size = 0
    cdef int digit
    while length and text[length - 1] == 61:
        length -= 1
    for i in range(length):
        digit = digit_of_base64url(text[i])
        if digit < 0:
            return -1
        held = (held << 6 | <uint32_t> digit) & 0xffff
        bits += 6
        if bits >= 8:
            bits -= 8
            if size == most:
                return -1
            out[size] = <uint8_t> (held >> bits)
            size += 1
    return <int32_t> size


cdef inline bint take_carried_settings(app_context_t *context, http2_t *http, const uint8_t *value,
                                       uint32_t length) noexcept nogil:
    """HTTP2-Settings (RFC 7540 section 3.2.1): the client's SETTINGS, in base64url."""
    cdef uint8_t settings[512]
    cdef int32_t size = from_base64url(value, length, settings, SETTINGS_MAX)
    cdef http2_tx_t *tx
    if size < 0:
        note(context.app.last, HTTP2_INVALID_HTTP1_SETTINGS)
        return True
    tx = make_stream(context, http, 0)
    if tx == NULL:
        return False
    tx.frames[TO_SERVER] |= 1 << FRAME_SETTINGS
    take_settings(context, tx, TO_SERVER, settings, <uint32_t> size)
    return True


cdef inline bint take_carried(app_context_t *context, http2_t *http) noexcept nogil:
    """The request of HTTP/1 that asked for HTTP/2 is stream 1, and its client is through with it."""
    cdef bytes_t *carried = &context.app.carried
    cdef const uint8_t *name
    cdef const uint8_t *value
    cdef uint32_t lengths[2]
    cdef uint32_t at = 0
    cdef http2_tx_t *tx
    if carried.length == 0:
        return True
    tx = make_stream(context, http, 1)
    if tx == NULL:
        return False
    tx.frames[TO_SERVER] |= 1 << FRAME_HEADERS
    while carried.length - at >= sizeof(lengths):
        memcpy(lengths, carried.data + at, sizeof(lengths))
        at += sizeof(lengths)
        if carried.length - at < <uint64_t> lengths[0] + lengths[1]:
            break               # memory was refused
        name = carried.data + at
        value = name + lengths[0]
        at += lengths[0] + lengths[1]
        if is_exactly(name, lengths[0], b"HTTP2-Settings", 14):
            if not take_carried_settings(context, http, value, lengths[1]):
                return False
        elif keep_field(context, tx, TO_SERVER, name, lengths[0], value, lengths[1], FIELD_OK):
            mark_field(context, tx, TO_SERVER, name, lengths[0], value, lengths[1])
    bytes_free(context.pool, ACCOUNT_APPLAYER, carried)
    tx.http.side[TO_SERVER].over = True
    advance(context, tx, HTTP2_HALF_CLOSED_CLIENT)
    return True
