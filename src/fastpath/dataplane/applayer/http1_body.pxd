# Bodies: what of them is kept for the rules, the files that they are, and the windows in which rules see them.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_HTTP1, ALPROTO_HTTP2, APP_RAW_TO_SERVER, FILE_CLOSED, FILE_NO_INSPECTION, FILE_OPEN, FILE_TRUNCATED,
    HTTP1_FILE_NAME_TOO_LONG,
    HTTP1_RANGE_INVALID, HTTP2_INVALID_RANGE, TX_NEW, VIEW_END, VIEW_LATER, VIEW_NONE, VIEW_READY, VIEW_START, app_context_t,
    file_t, http1_config_t, view_t,
)
from fastpath.dataplane.applayer.files cimport (
    FILE_NAME_MAX, file_append, file_at, file_close, file_forget, file_gap, file_open, file_pass, file_span, last_file,
    to_be_stored,
)
from fastpath.dataplane.applayer.http1_headers cimport find_header
from fastpath.dataplane.applayer.http1_multipart cimport find_boundary, find_parameter, read_multipart
from fastpath.dataplane.applayer.http1_state cimport (
    HTTP1_BODY_SETUP, HTTP1_FILE_TO_CLIENT, HTTP1_FILE_TO_SERVER, HTTP1_MULTIPART, HTTP1_UPLOAD, METHOD_POST, METHOD_PUT,
    body_is_over, bytes_of, header_t, http1_tx_t, is_blank, lower, message_t, span_t,
)
from fastpath.dataplane.applayer.llm cimport llm_bytes
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append, bytes_drop, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER

cdef struct range_t:            # Content-Range, RFC 7233 section 4.2; -1 for what it leaves open
    int64_t start, end, size


cdef inline int64_t digits(const uint8_t *data, uint32_t length, uint32_t *at) noexcept nogil:
    cdef int64_t value = 0
    cdef uint32_t first = at[0]
    while at[0] < length and 48 <= data[at[0]] <= 57 and value < (<int64_t> 1 << 58):
        value = value * 10 + data[at[0]] - 48
        at[0] += 1
    return value if at[0] > first else -1


cdef inline bint read_range(const uint8_t *data, uint32_t length, range_t *range) noexcept nogil:
    """unit first-last/size, either part a star."""
    cdef uint32_t at = 0
    range.start = range.end = range.size = -1
    while at < length and is_blank(data[at]):
        at += 1
    while at < length and 97 <= lower(data[at]) <= 122:
        at += 1
    if at >= length or not is_blank(data[at]):
        return False
    while at < length and is_blank(data[at]):
        at += 1
    if at < length and data[at] == 42:
        at += 1
    else:
        range.start = digits(data, length, &at)
        if range.start < 0 or at >= length or data[at] != 45:
            return False
        at += 1
        range.end = digits(data, length, &at)
        if range.end < 0:
            return False
    if at >= length or data[at] != 47:
        return False
    at += 1
    if at < length and data[at] == 42:
        return True
    range.size = digits(data, length, &at)
    return range.size >= 0


cdef inline file_t *open_body_file(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *name,
                                   uint32_t length) noexcept nogil:
    if length > FILE_NAME_MAX:
        tx_event(&tx.head, HTTP1_FILE_NAME_TOO_LONG)
    return file_open(context, &tx.head, direction, name, length)


cdef inline void add_upload(app_context_t *context, http1_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    """The body of a POST or PUT is a file with the name of the path."""
    cdef file_t *file
    if not tx.flags & HTTP1_FILE_TO_SERVER:
        if not tx.has_path:
            return
        if open_body_file(context, tx, TO_SERVER, tx.path.data, tx.path.length) == NULL:
            return
        tx.flags |= HTTP1_FILE_TO_SERVER
    file = last_file(&tx.head, TO_SERVER)
    file_append(context, &tx.head, file, data, length)


cdef inline void add_download(app_context_t *context, http1_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    """The body of a response is a file with the name of its Content-Disposition, else of the path that was asked for."""
    cdef message_t *response = &tx.side[TO_CLIENT]
    cdef const uint8_t *name = tx.path.data
    cdef uint32_t name_length = tx.path.length
    cdef bint named = tx.has_path
    cdef header_t *header
    cdef range_t range
    cdef span_t value
    cdef file_t *file
    if not tx.flags & HTTP1_FILE_TO_CLIENT:
        header = find_header(response, b"content-disposition", 19)
        if header != NULL and find_parameter(bytes_of(&response.text, header.value), header.value.length,
                                             b"filename=", 9, &value):
            name = bytes_of(&response.text, header.value) + value.at
            name_length = value.length
            named = True
        if not named:
            return
        file = open_body_file(context, tx, TO_CLIENT, name, name_length)
        if file == NULL:
            return
        tx.flags |= HTTP1_FILE_TO_CLIENT
        header = find_header(response, b"content-range", 13)
        if header != NULL:
            if not read_range(bytes_of(&response.text, header.value), header.value.length, &range):
                tx_event(&tx.head, HTTP1_RANGE_INVALID)
            elif range.start > range.end or (range.size >= 0 and range.end >= range.size):
                tx_event(&tx.head, HTTP1_RANGE_INVALID)
            elif range.size > 0 and range.start >= 0 and range.end - range.start + 1 < range.size:
                file.start = <uint64_t> range.start
                file.end = <uint64_t> range.end
    file_append(context, &tx.head, last_file(&tx.head, TO_CLIENT), data, length)


cdef inline uint32_t file_flag(uint32_t direction) noexcept nogil:
    return HTTP1_FILE_TO_SERVER if direction == TO_SERVER else HTTP1_FILE_TO_CLIENT


cdef inline void end_body_file(app_context_t *context, http1_tx_t *tx, uint32_t direction, uint32_t state) noexcept nogil:
    cdef file_t *file
    if tx.flags & file_flag(direction):
        tx.flags &= ~file_flag(direction)
        file = last_file(&tx.head, direction)
        if file != NULL:
            file_close(context, &tx.head, file, state)


cdef inline void prune_body(http1_tx_t *tx, const http1_config_t *config, uint32_t direction) noexcept nogil:
    """Lets go of what no window will show again. A body, or file, that no rule looks at is taken for seen after a while."""
    cdef message_t *message = &tx.side[direction]
    cdef file_t *file = tx.head.files[direction]
    cdef uint64_t least = config.inspect_min[direction], window = config.inspect_window[direction]
    cdef uint64_t most = max(least, window)
    cdef uint64_t left, drop
    while file != NULL:
        if file.data.length > 4 * most:
            file_forget(file, file.size - most)
        file = file.next
    if message.inspected == 0 and config.body_limit[direction]:
        return
    if message.seen - message.inspected > 3 * most:
        message.inspected = message.seen - most
    elif message.inspected < most:
        return
    left = message.inspected
    if left < least or left <= window:
        return
    left -= window
    if left > message.base:
        drop = min(left - message.base, <uint64_t> message.body.length)
        bytes_drop(&message.body, <uint32_t> drop)
        message.base += drop


cdef inline bint pass_body(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """What is beyond the limit, for a file that is followed further. False: there is none."""
    cdef file_t *file = last_file(&tx.head, direction) if tx.flags & file_flag(direction) else NULL
    return file != NULL and not tx.flags & HTTP1_MULTIPART and file_pass(context, &tx.head, file, data, length)


cdef inline file_t *stream_file(app_context_t *context, http1_tx_t *tx, uint32_t direction) noexcept nogil:
    """That of a stream's direction, opened with its first DATA; NULL where memory is refused. Suricata's have no name."""
    cdef header_t *header
    cdef range_t range
    if tx.flags & file_flag(direction):
        return last_file(&tx.head, direction)
    if direction == TO_CLIENT:
        header = find_header(&tx.side[TO_CLIENT], b"content-range", 13)
        if header != NULL and not read_range(bytes_of(&tx.side[TO_CLIENT].text, header.value), header.value.length, &range):
            tx_event(&tx.head, HTTP2_INVALID_RANGE)
    if file_open(context, &tx.head, direction, tx.path.data, tx.path.length if context.config.beyond else 0) == NULL:
        return NULL
    tx.flags |= file_flag(direction)
    return last_file(&tx.head, direction)


cdef inline void add_stream_body(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                                 uint32_t length) noexcept nogil:
    """Decoded bytes of a body of HTTP/2: a file, in either direction, and nothing else."""
    cdef uint64_t most = max(context.config.http1.inspect_min[direction], context.config.http1.inspect_window[direction])
    cdef file_t *file
    tx.head.flags |= TX_NEW
    if context.work.llm:
        llm_bytes(context, tx, direction, data, length)
    tx.side[direction].seen += length
    if not context.work.asked.contents >> ALPROTO_HTTP2 & 1:
        return
    file = stream_file(context, tx, direction)
    if file == NULL:
        return
    if file.data.length > 4 * most:
        file_forget(file, file.size - most)
    file_append(context, &tx.head, file, data, length)


cdef inline void keep_body(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """Bytes of a body within the limit, and of the file that it is."""
    cdef message_t *message = &tx.side[direction]
    if not context.work.asked.contents >> ALPROTO_HTTP1 & 1:
        message.base = message.seen     # who asks later looks at what follows
        return
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &message.body, data, length):
        # what memory refuses is not looked at; what follows is, for itself
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.body)
        message.base = message.inspected = message.seen
    if direction == TO_CLIENT:
        add_download(context, tx, data, length)
    elif tx.flags & HTTP1_MULTIPART:
        read_multipart(context, tx, False)
    elif tx.flags & HTTP1_UPLOAD:
        add_upload(context, tx, data, length)


cdef inline void add_body(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                          uint32_t length) noexcept nogil:
    """Decoded bytes of a body. Beyond the limit the body and its file end."""
    cdef const http1_config_t *config = &context.config.http1
    cdef message_t *message = &tx.side[direction]
    cdef uint64_t limit = config.body_limit[direction]
    cdef uint32_t beyond = 0
    if length == 0:
        return
    if tx.http2:
        add_stream_body(context, tx, direction, data, length)
        return
    if to_be_stored(&tx.head, direction):
        limit = context.config.files.store_depth
    tx.head.flags |= TX_NEW
    if context.work.llm:
        llm_bytes(context, tx, direction, data, length)
    if direction == TO_SERVER and not tx.flags & HTTP1_BODY_SETUP:
        tx.flags |= HTTP1_BODY_SETUP
        if (tx.method == METHOD_POST and not find_boundary(context, tx)) or tx.method == METHOD_PUT:
            tx.flags |= HTTP1_UPLOAD
    prune_body(tx, config, direction)
    if limit and message.seen >= limit:
        if not pass_body(context, tx, direction, data, length):
            end_body_file(context, tx, direction, FILE_TRUNCATED)
        return
    if limit and length > limit - message.seen:
        beyond = length - <uint32_t> (limit - message.seen)
        length -= beyond
    message.seen += length
    keep_body(context, tx, direction, data, length)
    if beyond:
        pass_body(context, tx, direction, data + length, beyond)
    if message.inspected == 0 and message.seen >= config.inspect_min[direction]:
        context.app.flags |= APP_RAW_TO_SERVER << direction


cdef inline uint64_t window_start(uint64_t seen, uint64_t inspected, uint64_t window) noexcept nogil:
    """New bytes, and as many old ones as fill the window, or a quarter of it where the new ones do by themselves."""
    cdef uint64_t back = window - (seen - inspected) if seen - inspected < window else window // 4
    return inspected - back if inspected > back else 0


cdef inline uint32_t body_view(const http1_config_t *config, http1_tx_t *tx, uint32_t direction, bint ended,
                               view_t *view) noexcept nogil:
    """http.request_body, http.response_body: from the start until there is enough, then window by window."""
    cdef message_t *message = &tx.side[direction]
    cdef uint64_t least = config.inspect_min[direction], limit = config.body_limit[direction], offset = 0
    cdef bint over = body_is_over(tx, direction)
    if message.seen == message.inspected or message.body.length == 0:
        return VIEW_NONE
    if not config.body_inline and (limit == 0 or message.seen < limit) and message.seen < least and not over and not ended:
        return VIEW_LATER
    if message.inspected > least:
        offset = window_start(message.seen, message.inspected, config.inspect_window[direction])
    offset = max(offset, message.base)
    message.fetched = True
    view.data = message.body.data + (offset - message.base)
    view.length = <uint32_t> (message.base + message.body.length - offset)
    view.offset = offset
    view.flags = (VIEW_START if offset == 0 else 0) | (VIEW_END if over else 0)
    return VIEW_READY


cdef inline uint32_t file_body_view(const http1_config_t *config, http1_tx_t *tx, uint32_t direction, uint32_t index, bint ended,
                                    view_t *view) noexcept nogil:
    """file.data: likewise, of each file for itself."""
    cdef file_t *file = file_at(&tx.head, direction, index)
    cdef uint64_t least = config.inspect_min[direction], limit = config.body_limit[TO_CLIENT]
    cdef bint over = body_is_over(tx, direction)
    if file == NULL or file.size == 0 or file.inspected == file.size or file.flags & FILE_NO_INSPECTION:
        return VIEW_NONE
    if not config.body_inline and (limit == 0 or file.size < limit) and file.size < least and not over and not ended:
        return VIEW_LATER
    if file.inspected == 0:
        return file_span(file, 0, view)
    return file_span(file, window_start(file.size, file.inspected, config.inspect_window[direction]), view)


cdef inline void forget_inspected(const http1_config_t *config, http1_tx_t *tx, uint32_t direction, bint ended) noexcept nogil:
    """The rules are done with what is there now: body and files."""
    cdef message_t *message = &tx.side[direction]
    cdef uint64_t window = config.inspect_window[direction]
    cdef bint over = body_is_over(tx, direction) or ended
    cdef file_t *file = tx.head.files[direction]
    if message.fetched:
        message.fetched = False
        message.inspected = message.seen
    while file != NULL:
        if (file.size >= config.inspect_min[direction] or over or config.body_inline
                or (config.body_limit[TO_CLIENT] and file.size >= config.body_limit[TO_CLIENT])):
            file.inspected = file.size
            if file.inspected > window:
                file_forget(file, file.inspected - window)
        file = file.next
