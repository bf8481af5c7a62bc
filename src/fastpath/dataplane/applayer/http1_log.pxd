# The `http` object of EVE (guide: output/eve/eve-json-format).
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

from fastpath.dataplane.applayer.http1_body cimport range_t, read_range
from fastpath.dataplane.applayer.http1_headers cimport find_header
from fastpath.dataplane.applayer.http1_state cimport bytes_of, header_t, http1_tx_t, message_t, span_t
from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, put_key, say_bytes, say_uint, writer_t
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER


cdef inline void say_header(writer_t *writer, const char *key, const message_t *message, const char *name,
                            uint32_t length) noexcept nogil:
    cdef header_t *header = find_header(message, name, length)
    if header != NULL:
        say_bytes(writer, key, bytes_of(&message.text, header.value), header.value.length)


cdef inline void say_content_type(writer_t *writer, const message_t *response) noexcept nogil:
    """Without its parameters."""
    cdef header_t *header = find_header(response, b"content-type", 12)
    cdef const uint8_t *data
    cdef const uint8_t *end
    if header == NULL:
        return
    data = bytes_of(&response.text, header.value)
    end = <const uint8_t *> memchr(data, 59, header.value.length)
    say_bytes(writer, b"http_content_type", data, header.value.length if end == NULL else <uint32_t> (end - data))


cdef inline void say_range(writer_t *writer, const message_t *response) noexcept nogil:
    cdef header_t *header = find_header(response, b"content-range", 13)
    cdef range_t range
    cdef bint whole
    if header == NULL:
        return
    whole = read_range(bytes_of(&response.text, header.value), header.value.length, &range)
    put_key(writer, b"content_range")
    open_map(writer)
    say_bytes(writer, b"raw", bytes_of(&response.text, header.value), header.value.length)
    if whole:
        if range.start >= 0:
            say_uint(writer, b"start", <uint64_t> range.start)
        if range.end >= 0:
            say_uint(writer, b"end", <uint64_t> range.end)
        if range.size >= 0:
            say_uint(writer, b"size", <uint64_t> range.size)
    close_nested(writer)


cdef inline uint32_t leading_number(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t at = 0
    while at < length and 48 <= data[at] <= 57:
        value = value * 10 + data[at] - 48
        at += 1
    return <uint32_t> value


cdef inline void http1_record(writer_t *writer, const http1_tx_t *tx) noexcept nogil:
    cdef const message_t *request = &tx.side[TO_SERVER]
    cdef const message_t *response = &tx.side[TO_CLIENT]
    put_key(writer, b"http")
    open_map(writer)
    if tx.has_host:
        say_bytes(writer, b"hostname", tx.host.data, tx.host.length)
    if tx.port >= 0:
        say_uint(writer, b"http_port", <uint64_t> tx.port)
    if request.has_uri:
        say_bytes(writer, b"url", bytes_of(&request.line, request.second), request.second.length)
    say_header(writer, b"http_user_agent", request, b"user-agent", 10)
    say_header(writer, b"xff", request, b"x-forwarded-for", 15)
    say_content_type(writer, response)
    say_range(writer, response)
    say_header(writer, b"http_refer", request, b"referer", 7)
    if request.has_line:
        say_bytes(writer, b"http_method", bytes_of(&request.line, request.first), request.first.length)
    if request.has_protocol:
        say_bytes(writer, b"protocol", bytes_of(&request.line, request.third), request.third.length)
    if response.has_status:
        say_uint(writer, b"status", leading_number(bytes_of(&response.line, response.second), response.second.length))
        say_header(writer, b"redirect", response, b"location", 8)
    say_uint(writer, b"length", response.length)
    close_nested(writer)
