# A head that nobody reads: only those of its headers are kept from which it follows where the message ends and what its body is.
#
# It goes this way where all of it is shown at once and every line is plain; else line by line, as a head that somebody reads. No
# limit on headers is in reach of so few lines, so that both ways end alike (tests/property/test_asked.py holds them together).
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport ALPROTO_HTTP1, ALPROTO_HTTP2, HTTP1_HEADERS, app_context_t
from fastpath.dataplane.applayer.http1_headers cimport read_header
from fastpath.dataplane.applayer.http1_side cimport is_folding, line_done
from fastpath.dataplane.applayer.http1_state cimport (
    STEP_ERROR, STEP_HOLD, STEP_ON, line_length, lower, message_t, side_t,
)
from fastpath.dataplane.types cimport TO_CLIENT

cdef enum:
    HEAD_MAX = 1 << 14          # bytes
    LINES_MAX = 64
    KEPT_MAX = 8


cdef inline bint nobody_reads(const app_context_t *context) noexcept nogil:
    """What HTTP says of itself, neither rules nor those who write it down or look for more."""
    cdef uint64_t http = <uint64_t> 1 << ALPROTO_HTTP1 | <uint64_t> 1 << ALPROTO_HTTP2
    return not ((context.work.asked.protos | context.work.asked.contents) & http or context.work.llm
                or context.config.files.models or context.config.beyond)


cdef inline bint may_be(const uint8_t *line, uint32_t length, const char *name, uint32_t size) noexcept nogil:
    """Does a line begin with this name, or NULs in it? `name`: in lower case."""
    cdef uint32_t i
    for i in range(min(size, length)):
        if lower(line[i]) != <uint8_t> name[i]:
            return line[i] == 0
    return size <= length


cdef inline uint32_t pass_head(app_context_t *context, side_t *side, uint32_t direction) noexcept nogil:
    """STEP_ON: it is behind us, the empty line too. STEP_HOLD: it is to be read line by line; nothing has been done."""
    cdef message_t *message = &side.tx.side[direction]
    cdef const uint8_t *data = side.data + side.at
    cdef uint32_t left = min(side.length - side.at, <uint32_t> HEAD_MAX)
    cdef uint32_t at = 0, size, lines = 0, kept = 0, i
    cdef uint32_t begin[8]
    cdef uint32_t sizes[8]
    cdef uint8_t first
    if (side.held.length or side.header.length or message.raw.length or side.tx.head.progress[direction] > HTTP1_HEADERS
            or direction == TO_CLIENT and side.tx.status == 100 or not nobody_reads(context)):
        return STEP_HOLD
    while True:
        size = line_length(data + at, left - at)
        if left - at < size + 2 or data[at + size] != 13 or data[at + size + 1] != 10:
            return STEP_HOLD
        if size == 0:
            break
        first = data[at] | 32
        if is_folding(data[at]) or lines == LINES_MAX:
            return STEP_HOLD
        lines += 1
        if first == 99:
            if may_be(data + at, size, b"content-", 8):
                if kept == KEPT_MAX:
                    return STEP_HOLD
                begin[kept] = at
                sizes[kept] = size
                kept += 1
        elif (first == 116 and may_be(data + at, size, b"transfer-encoding", 17)        # there may be trailers
              or first == 117 and may_be(data + at, size, b"upgrade", 7)                # and a room that goes on with the request
              or first == 104 and may_be(data + at, size, b"http2-settings", 14)):
            return STEP_HOLD
        at += size + 2
    for i in range(kept):
        if not read_header(context, side.tx, direction, data + begin[i], sizes[i]):
            return STEP_ERROR
    message.passed = lines > kept
    side.at += at + 2
    line_done(side)
    return STEP_ON
