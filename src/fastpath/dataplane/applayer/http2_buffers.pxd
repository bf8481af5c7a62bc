# The inspect buffers of HTTP/2 (guide: rules/http2-keywords, rules/http-keywords). Headers are looked for under their names as
# they came, and pseudo-headers stand among them; values of one name are joined.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.files cimport file_at, file_view
from fastpath.dataplane.applayer.grpc cimport is_call, split_path
from fastpath.dataplane.applayer.http1_buffers cimport (
    field_name_t, field_of_buffer, is_cookie, put, put_header, room_writer_t, show, show_bytes, show_names,
)
from fastpath.dataplane.applayer.http1_headers cimport header_at
from fastpath.dataplane.applayer.http1_state cimport body_is_over, bytes_of, header_t, is_blank, lower, message_t
from fastpath.dataplane.applayer.http2_headers cimport is_exactly
from fastpath.dataplane.applayer.http2_state cimport (
    FACT_LEAVE, FACT_PRIORITY, FACT_RESET, FACT_SETTING, FACT_SIZE, FACT_WINDOW, FRAME_TYPES, fact_at, facts_of, http2_t,
    http2_tx_t,
)
from fastpath.dataplane.applayer.llm cimport llm_view
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER

cdef enum:
    CONTENT_LIMIT = 100000      # as Suricata has it for files of every protocol but HTTP/1, SMTP and SMB
    INSPECT_MIN = 32768


cdef inline uint32_t show_number(app_context_t *context, uint64_t value, view_t *view) noexcept nogil:
    memcpy(context.work.room, &value, sizeof(value))
    return show(view, context.work.room, sizeof(value))


cdef inline uint32_t show_frame(app_context_t *context, const http2_tx_t *tx, uint32_t direction, uint32_t index,
                                view_t *view) noexcept nogil:
    """The index-th kind of frame that came."""
    cdef uint32_t kind
    for kind in range(FRAME_TYPES):
        if tx.frames[direction] >> kind & 1:
            if index == 0:
                return show_number(context, kind, view)
            index -= 1
    return VIEW_NONE


cdef inline uint32_t show_fact(app_context_t *context, const http2_tx_t *tx, uint32_t direction, uint64_t kind, uint32_t index,
                               view_t *view) noexcept nogil:
    cdef uint32_t i
    for i in range(facts_of(tx, direction)):
        if fact_at(tx, direction, i).kind == kind or kind == FACT_RESET and fact_at(tx, direction, i).kind == FACT_LEAVE:
            if index == 0:
                return show_number(context, fact_at(tx, direction, i).value, view)
            index -= 1
    return VIEW_NONE


cdef inline uint32_t joined(room_writer_t *out, const message_t *message, const char *name, uint32_t length, bint first_alone,
                            view_t *view) noexcept nogil:
    """The value of a header; of several, all of them with ", " between, or the first alone."""
    cdef header_t *header
    cdef header_t *found = NULL
    cdef uint32_t i, start = out.length
    for i in range(message.header_count):
        header = header_at(message, i)
        if not is_exactly(bytes_of(&message.text, header.name), header.name.length, name, length):
            continue
        if found == NULL:
            found = header
            if first_alone:
                break
            continue
        if out.length == start:
            put(out, bytes_of(&message.text, found.value), found.value.length)
        put(out, <const uint8_t *> b", ", 2)
        put(out, bytes_of(&message.text, header.value), header.value.length)
    if found == NULL:
        return VIEW_NONE
    if out.length > start:
        return show(view, out.data + start, out.length - start)
    return show(view, bytes_of(&message.text, found.value), found.value.length)


cdef inline uint32_t show_host(room_writer_t *out, const message_t *request, bint normal, view_t *view) noexcept nogil:
    """http.host: of :authority, in lower case, without user and port; http.host.raw: as it came."""
    cdef const uint8_t *data
    cdef const uint8_t *mark
    cdef uint32_t i, length, start
    if joined(out, request, b":authority", 10, False, view) == VIEW_NONE:
        return VIEW_NONE
    if not normal:
        return VIEW_READY
    data = view.data
    length = view.length
    mark = <const uint8_t *> memchr(data, 64, length) if length else NULL
    if mark != NULL:
        length -= <uint32_t> (mark - data) + 1
        data = mark + 1
    mark = <const uint8_t *> memchr(data, 58, length) if length else NULL
    if mark != NULL:
        length = <uint32_t> (mark - data)
    start = out.length
    put(out, data, length)
    for i in range(start, out.length):
        out.data[i] = <uint8_t> lower(out.data[i])
    return show(view, out.data + start, out.length - start)


cdef inline uint32_t show_fields(room_writer_t *out, const message_t *message, uint32_t direction, bint raw,
                                 view_t *view) noexcept nogil:
    """http.header: "name: value" lines, one a field, cookies and blanks around values left out; http.header.raw: with them."""
    cdef uint32_t i, start, end
    cdef header_t *header
    cdef const uint8_t *name
    cdef const uint8_t *value
    for i in range(message.header_count):
        header = header_at(message, i)
        name = bytes_of(&message.text, header.name)
        value = bytes_of(&message.text, header.value)
        start = 0
        end = header.value.length
        if not raw:
            if is_cookie(message, header, direction):
                continue
            while start < end and is_blank(value[start]):
                start += 1
            while end > start and is_blank(value[end - 1]):
                end -= 1
        put(out, name, header.name.length)
        put(out, <const uint8_t *> b": ", 2)
        put(out, value + start, end - start)
        put(out, <const uint8_t *> b"\r\n", 2)
    return show(view, out.data, out.length) if out.length else VIEW_NONE


cdef inline uint32_t show_request_line(room_writer_t *out, const message_t *request, view_t *view) noexcept nogil:
    """http.request_line: method and path, as HTTP/1 would have it."""
    if joined(out, request, b":method", 7, True, view) == VIEW_NONE:
        return VIEW_NONE
    put(out, view.data, view.length)
    put(out, <const uint8_t *> b" ", 1)
    if joined(out, request, b":path", 5, True, view) != VIEW_NONE:
        put(out, view.data, view.length)
    put(out, <const uint8_t *> b" HTTP/2\r\n", 9)
    return show(view, out.data, out.length)


cdef inline uint32_t show_response_line(room_writer_t *out, const message_t *response, view_t *view) noexcept nogil:
    if joined(out, response, b":status", 7, True, view) == VIEW_NONE:
        return VIEW_NONE
    put(out, <const uint8_t *> b"HTTP/2 ", 7)
    put(out, view.data, view.length)
    put(out, <const uint8_t *> b"\r\n", 2)
    return show(view, out.data, out.length)


cdef inline uint32_t one_field(room_writer_t *out, const message_t *message, uint32_t index, bint named,
                               view_t *view) noexcept nogil:
    """http2.header_name; http.request_header and http.response_header: "name: value"."""
    cdef header_t *header
    cdef uint32_t i
    if named:
        for i in range(message.header_count):
            header = header_at(message, i)
            if header.name.length and index == 0:
                return show(view, bytes_of(&message.text, header.name), header.name.length)
            index -= header.name.length > 0
        return VIEW_NONE
    if index >= message.header_count:
        return VIEW_NONE
    put_header(out, message, header_at(message, index))
    return show(view, out.data, out.length)


cdef inline uint32_t show_call(const http2_tx_t *tx, uint32_t direction, bint method, view_t *view) noexcept nogil:
    """grpc.service, grpc.method"""
    cdef const uint8_t *part[2]
    cdef uint32_t length[2]
    if not is_call(tx, direction) or not split_path(tx, &part[0], &length[0], &part[1], &length[1]):
        return VIEW_NONE
    return show(view, part[method], length[method])


cdef inline uint32_t header_view(room_writer_t *out, http2_tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                                 view_t *view) noexcept nogil:
    cdef message_t *request = &tx.http.side[TO_SERVER]
    cdef message_t *response = &tx.http.side[TO_CLIENT]
    cdef message_t *message = &tx.http.side[direction]
    cdef field_name_t field
    if buffer == BUFFER_HTTP_URI or buffer == BUFFER_HTTP_URI_RAW:
        return joined(out, request, b":path", 5, True, view)
    if buffer == BUFFER_HTTP_METHOD:
        return joined(out, request, b":method", 7, True, view)
    if buffer == BUFFER_HTTP_STAT_CODE:
        return joined(out, response, b":status", 7, True, view)
    if buffer == BUFFER_HTTP_STAT_MSG:          # which HTTP/2 has none of
        return show(view, out.data, 0)
    if buffer == BUFFER_HTTP_PROTOCOL:
        return show(view, <const uint8_t *> b"HTTP/2", 6)
    if buffer == BUFFER_HTTP_REQUEST_LINE:
        return show_request_line(out, request, view)
    if buffer == BUFFER_HTTP_RESPONSE_LINE:
        return show_response_line(out, response, view)
    if buffer == BUFFER_HTTP_HEADER:
        return show_fields(out, message, direction, False, view)
    if buffer == BUFFER_HTTP_HEADER_RAW:
        return show_fields(out, message, direction, True, view)
    if buffer == BUFFER_HTTP_HEADER_NAMES:
        return show_names(out, message, view)
    if buffer == BUFFER_HTTP_REQUEST_HEADER or buffer == BUFFER_HTTP_RESPONSE_HEADER:
        return one_field(out, message, index, False, view)
    if buffer == BUFFER_HTTP2_HEADER_NAME:
        return one_field(out, message, index, True, view)
    if buffer == BUFFER_HTTP_HOST or buffer == BUFFER_HTTP_HOST_RAW:
        return show_host(out, request, buffer == BUFFER_HTTP_HOST, view)
    field = field_of_buffer(buffer, direction)
    return joined(out, message, field.text, field.length, False, view) if field.text != NULL else VIEW_NONE


cdef inline uint32_t http2_view(app_context_t *context, http2_tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                                view_t *view) noexcept nogil:
    cdef http2_t *http = <http2_t *> context.app.state
    cdef file_t *file
    cdef room_writer_t out
    out.data = context.work.room
    out.length = 0
    if buffer == BUFFER_HTTP2_FRAMETYPE:
        return show_frame(context, tx, direction, index, view)
    if BUFFER_HTTP2_ERRORCODE <= buffer <= BUFFER_HTTP2_SETTINGS:
        return show_fact(context, tx, direction, FACT_RESET if buffer == BUFFER_HTTP2_ERRORCODE
                         else FACT_PRIORITY if buffer == BUFFER_HTTP2_PRIORITY
                         else FACT_WINDOW if buffer == BUFFER_HTTP2_WINDOW
                         else FACT_SIZE if buffer == BUFFER_HTTP2_SIZE_UPDATE else FACT_SETTING, index, view)
    if BUFFER_LLM_PROMPT <= buffer <= BUFFER_LLM_SECONDS:
        return llm_view(context, &tx.http, direction, buffer, http.eof[direction], view)
    if buffer == BUFFER_GRPC_SERVICE or buffer == BUFFER_GRPC_METHOD:
        return show_call(tx, direction, buffer == BUFFER_GRPC_METHOD, view)
    if buffer == BUFFER_FILE_DATA or buffer == BUFFER_HTTP_REQUEST_BODY:
        file = file_at(&tx.http.head, direction, index)
        if file == NULL:
            return VIEW_NONE
        return file_view(file, CONTENT_LIMIT, INSPECT_MIN, body_is_over(&tx.http, direction) or http.eof[direction], view)
    if buffer == BUFFER_FILE_NAME:
        file = file_at(&tx.http.head, direction, index)
        return show_bytes(view, &file.name, file != NULL and file.name.length) if file != NULL else VIEW_NONE
    return header_view(&out, tx, direction, buffer, index, view)
