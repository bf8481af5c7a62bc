# Uploads as multipart/form-data (RFC 7578): the parts that have a file name become files.
#
# Works on that part of the request's body which is not parsed yet: tx.side[TO_SERVER].body from tx.parsed on. What may yet be the
# beginning of a boundary is left for later.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr

from fastpath.dataplane.applayer.applayer cimport (
    FILE_CLOSED, HTTP1_MULTIPART_GENERIC_ERROR, HTTP1_MULTIPART_INVALID_HEADER,
    HTTP1_MULTIPART_NO_FILEDATA, app_context_t, file_t,
)
from fastpath.dataplane.applayer.files cimport file_append, file_close, file_open, last_file
from fastpath.dataplane.applayer.http1_headers cimport find_header
from fastpath.dataplane.applayer.http1_state cimport (
    BOUNDARY_MAX, HTTP1_FILE_TO_SERVER, HTTP1_MULTIPART, bytes_of, header_t, http1_tx_t, index_of, is_space, message_t, same,
    span_t,
)
from fastpath.dataplane.applayer.http1_uri cimport part
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_SERVER

cdef enum:
    PART_HEADERS_MAX = 1 << 14      # bytes: a part whose headers go on beyond them ends the search for parts


cdef inline bint find_parameter(const uint8_t *data, uint32_t length, const char *name, uint32_t name_length,
                                span_t *value) noexcept nogil:
    """The value of a parameter (`name` in lower case, with its equals sign) among those that semicolons part, quotes left off."""
    cdef uint32_t at = 0, start, end, quotes = 0
    while at < length and is_space(data[at]):
        at += 1
    start = at
    while at < length:
        if at > start or quotes:
            if data[at] == 34 and data[at - 1] != 92:
                quotes += 1
        if at + 1 == length or (data[at] == 59 and at > start and data[at - 1] != 92):
            if not quotes & 1:
                end = length if at + 1 == length else at
                if end - start > name_length and same(data + start, name_length, name, name_length):
                    start += name_length
                    if data[start] == 34:
                        start += 1
                    if end > start and data[end - 1] == 34:
                        end -= 1
                    value[0] = part(start, end)
                    return True
                start = at + 1
                while start < length and is_space(data[start]):
                    start += 1
                    at += 1
        at += 1
    return False


cdef inline bint find_boundary(app_context_t *context, http1_tx_t *tx) noexcept nogil:
    """Of the Content-Type, with the hyphens before it and, for the last one, behind it. False for no multipart."""
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef header_t *header = find_header(request, b"content-type", 12)
    cdef span_t value
    if header == NULL or not find_parameter(bytes_of(&request.text, header.value), header.value.length, b"boundary=", 9, &value):
        return False
    tx.flags |= HTTP1_MULTIPART
    if value.length < BOUNDARY_MAX:
        bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.boundary, <const uint8_t *> b"--", 2)
        bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.boundary, bytes_of(&request.text, header.value) + value.at, value.length)
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.boundary, <const uint8_t *> b"--", 2):
            tx.boundary.length = 0
    return True


cdef inline bint part_name(http1_tx_t *tx, const uint8_t *data, uint32_t length, span_t *name) noexcept nogil:
    """The file name among the headers of a part; False for none."""
    cdef uint32_t at = 0, end
    cdef int64_t found
    cdef const uint8_t *colon
    cdef span_t value
    cdef bint named = False
    while at < length:
        found = index_of(data + at, length - at, <const uint8_t *> b"\r\n", 2)
        end = length if found < 0 else at + <uint32_t> found
        colon = <const uint8_t *> memchr(data + at, 58, end - at)
        if colon == NULL or colon == data + end - 1:
            tx_event(&tx.head, HTTP1_MULTIPART_INVALID_HEADER)
        elif end - at >= 20 and same(data + at, 20, b"content-disposition:", 20):
            if find_parameter(data + at + 20, end - at - 20, b"filename=", 9, &value):
                name[0] = part(at + 20 + value.at, at + 20 + value.at + value.length)
                named = True
        at = end + 2
    return named


cdef inline void read_multipart(app_context_t *context, http1_tx_t *tx, bint ended) noexcept nogil:
    """`ended`: no more will come; what is left belongs to the file at work."""
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef uint32_t skip = <uint32_t> (max(tx.parsed, request.base) - request.base)
    cdef const uint8_t *data = request.body.data + skip
    cdef uint32_t length = request.body.length - skip
    cdef const uint8_t *boundary = tx.boundary.data
    cdef uint32_t size = tx.boundary.length - 2         # of a boundary that is not the last
    cdef int64_t start, end, close, following
    cdef uint32_t body, head, stop, at
    cdef file_t *file
    cdef span_t name
    if tx.boundary.length == 0 or length == 0:
        return
    start = index_of(data, length, boundary, size)
    if tx.flags & HTTP1_FILE_TO_SERVER:
        file = last_file(&tx.head, TO_SERVER)
        if start < 0 and not ended:
            if length > size + 1:
                # the line end before a boundary, and the boundary but for its last byte, may be here
                file_append(context, &tx.head, file, data, length - (size + 1))
                tx.parsed += length - (size + 1)
            return
        stop = <uint32_t> max(start - 2, <int64_t> 0) if start >= 0 else length
        file_append(context, &tx.head, file, data, stop)
        if start < 0:
            tx.parsed += length
            return
        file_close(context, &tx.head, file, FILE_CLOSED)
        tx.flags &= ~<uint32_t> HTTP1_FILE_TO_SERVER
    while start >= 0:
        at = <uint32_t> start
        close = index_of(data + at, length - at, boundary, size + 2)
        end = index_of(data + at, length - at, <const uint8_t *> b"\r\n\r\n", 4)
        if end < 0 or close == 0:
            if length - at > PART_HEADERS_MAX:
                tx.boundary.length = 0
            break
        head = at + size + 2
        body = at + <uint32_t> end + 4
        following = index_of(data + body, length - body, boundary, size)
        if head < body - 4 and part_name(tx, data + head, body - 4 - head, &name):
            if following == 0:
                tx_event(&tx.head, HTTP1_MULTIPART_NO_FILEDATA)
                return
            file = file_open(context, &tx.head, TO_SERVER, data + head + name.at, name.length)
            if file == NULL:
                tx.boundary.length = 0
                return
            if following < 0:
                # the end of the part is not there yet
                tx.flags |= HTTP1_FILE_TO_SERVER
                stop = length - body
                stop = stop - (size + 1) if stop >= size + 2 else 0
                file_append(context, &tx.head, file, data + body, stop)
                tx.parsed = request.base + skip + body + stop
                return
            file_append(context, &tx.head, file, data + body, <uint32_t> max(following - 2, <int64_t> 0))
            file_close(context, &tx.head, file, FILE_CLOSED)
        if following < 0:
            # a part without a file: its end is waited for, what is over is not read again
            tx.parsed = request.base + skip + (body if length - body <= size + 2 else length - size - 1)
            return
        start = body + following
        tx.parsed = request.base + skip + <uint32_t> start
    if start < 0 and length > size + 2:
        tx.parsed += length - size - 1
