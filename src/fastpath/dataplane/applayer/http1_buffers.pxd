# The inspect buffers of HTTP/1 (guide: rules/http-keywords). Those that are put together are put together in the work room.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.files cimport file_at
from fastpath.dataplane.applayer.http1_body cimport body_view, file_body_view
from fastpath.dataplane.applayer.http1_headers cimport find_header, header_at
from fastpath.dataplane.applayer.http1_state cimport (
    HTTP1_HAS_HOST, bytes_of, header_t, http1_t, http1_tx_t, message_t, same, span_t,
)
from fastpath.dataplane.applayer.llm cimport llm_view
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER, bytes_t

cdef extern from "http_fields.h" nogil:
    ctypedef struct field_name_t:
        const char *text
        uint32_t length
    field_name_t field_of_buffer(uint32_t buffer, uint32_t direction)

cdef struct room_writer_t:
    uint8_t *data
    uint32_t length


cdef inline void put(room_writer_t *out, const uint8_t *data, uint32_t length) noexcept nogil:
    """What does not fit is left out."""
    length = min(length, <uint32_t> WORK_ROOM - out.length)
    if length:
        memcpy(out.data + out.length, data, length)
        out.length += length


cdef inline uint32_t show(view_t *view, const uint8_t *data, uint32_t length) noexcept nogil:
    view.data = data
    view.length = length
    view.offset = 0
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY


cdef inline uint32_t show_bytes(view_t *view, const bytes_t *bytes, bint there) noexcept nogil:
    return show(view, bytes.data, bytes.length) if there else VIEW_NONE


cdef inline uint32_t show_span(view_t *view, const bytes_t *bytes, span_t span, bint there) noexcept nogil:
    return show(view, bytes.data + span.at, span.length) if there else VIEW_NONE


cdef inline uint32_t show_header(view_t *view, const message_t *message, const char *name, uint32_t length) noexcept nogil:
    cdef header_t *header = find_header(message, name, length)
    return VIEW_NONE if header == NULL else show(view, bytes_of(&message.text, header.value), header.value.length)


cdef inline void put_header(room_writer_t *out, const message_t *message, const header_t *header) noexcept nogil:
    put(out, bytes_of(&message.text, header.name), header.name.length)
    put(out, <const uint8_t *> b": ", 2)
    put(out, bytes_of(&message.text, header.value), header.value.length)


cdef inline bint is_cookie(const message_t *message, const header_t *header, uint32_t direction) noexcept nogil:
    cdef field_name_t field = field_of_buffer(BUFFER_HTTP_COOKIE, direction)
    return same(bytes_of(&message.text, header.name), header.name.length, field.text, field.length)


cdef inline uint32_t show_headers(room_writer_t *out, const message_t *message, uint32_t direction, view_t *view) noexcept nogil:
    """http.header: "name: value" lines, as the names were first seen, cookies left out."""
    cdef uint32_t i
    cdef header_t *header
    for i in range(message.header_count):
        header = header_at(message, i)
        if is_cookie(message, header, direction):
            continue
        put_header(out, message, header)
        put(out, <const uint8_t *> b"\r\n", 2)
    return show(view, out.data, out.length) if out.length else VIEW_NONE


cdef inline uint32_t show_names(room_writer_t *out, const message_t *message, view_t *view) noexcept nogil:
    """http.header_names: each name in a line of its own, between empty ones."""
    cdef uint32_t i
    cdef header_t *header
    if message.header_count == 0:
        return VIEW_NONE
    put(out, <const uint8_t *> b"\r\n", 2)
    for i in range(message.header_count):
        header = header_at(message, i)
        put(out, bytes_of(&message.text, header.name), header.name.length)
        put(out, <const uint8_t *> b"\r\n", 2)
    put(out, <const uint8_t *> b"\r\n", 2)
    return show(view, out.data, out.length)


cdef inline uint32_t show_start(room_writer_t *out, const message_t *message, view_t *view) noexcept nogil:
    """http.start: the first line and all headers; without any there is none."""
    cdef uint32_t i
    if not message.has_line or message.header_count == 0:
        return VIEW_NONE
    put(out, message.line.data, message.line.length)
    put(out, <const uint8_t *> b"\r\n", 2)
    for i in range(message.header_count):
        put_header(out, message, header_at(message, i))
        put(out, <const uint8_t *> b"\r\n", 2)
    put(out, <const uint8_t *> b"\r\n", 2)
    return show(view, out.data, out.length)


cdef inline uint32_t one_header(room_writer_t *out, const message_t *message, uint32_t index, view_t *view) noexcept nogil:
    """http.request_header, http.response_header: "name: value"."""
    if index >= message.header_count:
        return VIEW_NONE
    put_header(out, message, header_at(message, index))
    return show(view, out.data, out.length)


cdef inline uint32_t host_raw(http1_tx_t *tx, view_t *view) noexcept nogil:
    """http.host.raw: of the URI, else the Host header as it came."""
    if tx.flags & HTTP1_HAS_HOST:
        return show_bytes(view, &tx.uri_host, True)
    return show_header(view, &tx.side[TO_SERVER], b"host", 4)


cdef inline uint32_t http1_view(app_context_t *context, http1_tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                                view_t *view) noexcept nogil:
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef message_t *response = &tx.side[TO_CLIENT]
    cdef message_t *message = &tx.side[direction]
    cdef http1_t *http = <http1_t *> context.app.state
    cdef room_writer_t out
    cdef field_name_t field
    cdef file_t *file
    out.data = context.work.room
    out.length = 0
    if buffer == BUFFER_HTTP_URI:
        return show_bytes(view, &tx.uri, request.has_line and request.has_uri)
    if buffer == BUFFER_HTTP_URI_RAW:
        return show_span(view, &request.line, request.second, request.has_uri)
    if buffer == BUFFER_HTTP_METHOD:
        return show_span(view, &request.line, request.first, request.has_line)
    if buffer == BUFFER_HTTP_REQUEST_LINE:
        return show_bytes(view, &request.line, request.has_line)
    if buffer == BUFFER_HTTP_RESPONSE_LINE:
        return show_bytes(view, &response.line, response.has_line)
    if buffer == BUFFER_HTTP_PROTOCOL:
        return show_span(view, &message.line, message.third if direction == TO_SERVER else message.first, message.has_protocol)
    if buffer == BUFFER_HTTP_STAT_CODE:
        return show_span(view, &response.line, response.second, response.has_status)
    if buffer == BUFFER_HTTP_STAT_MSG:
        return show_span(view, &response.line, response.third, response.has_message)
    if message.passed and (buffer == BUFFER_HTTP_START or buffer == BUFFER_HTTP_HEADER or buffer == BUFFER_HTTP_HEADER_NAMES):
        return VIEW_NONE            # a reload asks for what was not kept
    if buffer == BUFFER_HTTP_START:
        return show_start(&out, message, view)
    if buffer == BUFFER_HTTP_HEADER:
        return show_headers(&out, message, direction, view)
    if buffer == BUFFER_HTTP_HEADER_RAW:
        return show_bytes(view, &message.raw, message.raw.length > 0)
    if buffer == BUFFER_HTTP_HEADER_NAMES:
        return show_names(&out, message, view)
    if buffer == BUFFER_HTTP_REQUEST_HEADER:
        return one_header(&out, request, index, view)
    if buffer == BUFFER_HTTP_RESPONSE_HEADER:
        return one_header(&out, response, index, view)
    if buffer == BUFFER_HTTP_HOST:
        return show_bytes(view, &tx.host, tx.has_host)
    if buffer == BUFFER_HTTP_HOST_RAW:
        return host_raw(tx, view)
    if buffer == BUFFER_HTTP_REQUEST_BODY:
        return body_view(&context.config.http1, tx, TO_SERVER, http.eof[TO_SERVER], view)
    if buffer == BUFFER_HTTP_RESPONSE_BODY:
        return body_view(&context.config.http1, tx, TO_CLIENT, http.eof[TO_CLIENT], view)
    if buffer == BUFFER_FILE_DATA:
        return file_body_view(&context.config.http1, tx, direction, index, http.eof[direction], view)
    if buffer == BUFFER_FILE_NAME:
        file = file_at(&tx.head, direction, index)
        return show_bytes(view, &file.name, True) if file != NULL else VIEW_NONE
    if BUFFER_LLM_PROMPT <= buffer <= BUFFER_LLM_SECONDS:
        return llm_view(context, tx, direction, buffer, http.eof[direction], view)
    field = field_of_buffer(buffer, direction)
    return show_header(view, message, field.text, field.length) if field.text != NULL else VIEW_NONE
