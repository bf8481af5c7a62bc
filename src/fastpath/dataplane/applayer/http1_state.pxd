# What the files of the HTTP/1 room share: the transaction, the two parsers of a session, small classes of bytes. HTTP/2 has the
# same messages in its transactions (http2_state.pxd).
#
# A parser takes all that it is shown. A line that is not over waits in side_t.held, at most FIELD_MAX bytes of it.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.applayer cimport HTTP1_BODY, app_context_t, file_t, tx_t
from fastpath.dataplane.pool cimport bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t
from fastpath.dataplane.zlib cimport z_stream

cdef extern from "applayer/lines.h" nogil:
    uint32_t line_length(const uint8_t *data, uint32_t length) noexcept
    bint is_token(uint8_t c) noexcept
    uint32_t token_length(const uint8_t *data, uint32_t length) noexcept

cdef enum:
    FIELD_MAX = 18000           # bytes of a line, or of a header with its continuations, that may wait for their end
    HEADERS_MAX = 1024          # headers of one message
    HEADER_TEXT_MAX = 1 << 21   # bytes of all of them
    REPETITIONS_MAX = 64        # headers of a message that may join one of the same name, the first of each name aside
    BOUNDARY_MAX = 200
    INFLATE_OUT = 8192          # bytes that an inflater holds before it passes them on
    LAYERS_MAX = 16

cdef enum request_state:
    REQUEST_IDLE, REQUEST_LINE, REQUEST_PROTOCOL, REQUEST_HEADERS, REQUEST_CONNECT_CHECK, REQUEST_CONNECT_WAIT
    REQUEST_CONNECT_PROBE, REQUEST_BODY_DETERMINE, REQUEST_BODY, REQUEST_CHUNK_LENGTH, REQUEST_CHUNK, REQUEST_CHUNK_END
    REQUEST_FINALIZE, REQUEST_IGNORE

cdef enum response_state:
    RESPONSE_IDLE, RESPONSE_LINE, RESPONSE_HEADERS, RESPONSE_BODY_DETERMINE, RESPONSE_BODY, RESPONSE_BODY_TO_END
    RESPONSE_CHUNK_LENGTH, RESPONSE_CHUNK, RESPONSE_CHUNK_END, RESPONSE_FINALIZE

cdef enum side_status:
    SIDE_OPEN, SIDE_CLOSED, SIDE_WAITING, SIDE_TUNNEL, SIDE_ERROR

# How a step of a parser ends. HOLD: more, and the line at work is kept; WAIT: for the other side.
cdef enum step:
    STEP_ON, STEP_MORE, STEP_HOLD, STEP_WAIT, STEP_ERROR

cdef enum coding:
    CODING_UNKNOWN, CODING_NONE, CODING_IDENTITY, CODING_CHUNKED, CODING_INVALID

cdef enum protocol_number:
    PROTOCOL_INVALID = -2, PROTOCOL_UNKNOWN = -1, PROTOCOL_0_9 = 9, PROTOCOL_1_0 = 100, PROTOCOL_1_1 = 101

cdef enum method_number:
    METHOD_UNKNOWN, METHOD_HEAD, METHOD_GET, METHOD_PUT, METHOD_POST, METHOD_CONNECT, METHOD_OTHER

cdef enum:      # http1_tx_t.flags
    HTTP1_UNPARSEABLE = 1 << 0          # a header without colon was seen, and so on: each is told of once a transaction
    HTTP1_INVALID_HEADER = 1 << 1
    HTTP1_INVALID_FOLDING = 1 << 2
    HTTP1_INVALID_REQUEST = 1 << 3      # what follows the headers cannot be understood
    HTTP1_CONTINUED = 1 << 4            # a 100 Continue was seen
    HTTP1_NO_09 = 1 << 5
    HTTP1_BODY_SETUP = 1 << 6           # what kind of body the request has is known
    HTTP1_MULTIPART = 1 << 7
    HTTP1_UPLOAD = 1 << 8               # POST or PUT: the body is a file
    HTTP1_HAS_HOST = 1 << 9             # tx.host is of the URI
    HTTP1_FILE_TO_SERVER = 1 << 10      # a file is open in that direction
    HTTP1_FILE_TO_CLIENT = 1 << 11

cdef struct span_t:             # of a bytes_t
    uint32_t at, length

cdef struct header_t:
    span_t name, value          # of message_t.text
    uint32_t repeated

cdef struct message_t:          # a request or a response
    bytes_t line
    span_t first, second, third     # of line: method, URI, protocol; or protocol, status, message
    bytes_t raw                 # the headers, and trailers, as they came
    bytes_t text                # names and values
    bytes_t headers             # header_t, in the order in which the names were first seen
    uint32_t header_count, repetitions
    bytes_t body                # what may be inspected, decoded, from `base` on
    uint64_t base
    uint64_t seen               # bytes of the body that were within the limit
    uint64_t inspected          # of them
    uint64_t entity             # bytes of the body, decoded
    uint64_t length             # bytes of the body as they came
    int64_t content_length
    int protocol
    uint8_t coding
    uint8_t has_line, has_protocol, has_uri, has_status, has_message
    uint8_t fetched             # its body was shown since the rules were done with it last
    uint8_t trailers
    uint8_t passed              # nobody read its head as it came: most of it was not kept
    uint8_t over                # of HTTP/2: its stream has ended in this direction

cdef struct http1_tx_t:
    tx_t head
    message_t side[2]
    bytes_t uri                 # normalised
    bytes_t path                # likewise, of the URI alone: the name of what has no other
    bytes_t uri_host            # as the URI has it, normalised
    bytes_t host                # of the URI, else of the Host header
    int uri_port                # -1 for none
    int port                    # 0: not known yet, -1: none
    uint8_t has_path, has_host
    uint8_t method              # enum method_number
    uint8_t is_0_9
    uint8_t http2               # it is the head of an http2_tx_t
    int status                  # -1 for one that is no status
    uint32_t flags              # HTTP1_*
    bytes_t boundary
    uint64_t parsed             # of the request's body, by the parser of multipart
    void *llm                   # llm_t: what the bodies say to a model, and it to them; NULL for nothing

cdef struct inflater_t:         # a layer of Content-Encoding: http1_inflate.pxd
    inflater_t *next            # the layer below
    z_stream stream
    void *decoder               # of what is none of zlib's
    int kind                    # http1_decoders.pxd
    bint working                # it is set up
    uint32_t tries
    bint passes                 # bytes are no longer decoded
    uint8_t out[8192]

cdef struct side_t:
    uint8_t state, status
    const uint8_t *data         # what is shown
    uint32_t length, at         # of data; next byte to read
    uint32_t start              # of data: where the line at work begins, beyond what is held
    bytes_t held                # the line at work, as far as earlier calls showed it
    bytes_t header              # a header that may go on in the next line
    int64_t left                # bytes of a chunk or body to come
    http1_tx_t *tx
    uint64_t next_tx            # of the response side: the id of the transaction that the next response answers
    inflater_t *inflater
    bint undecodable            # bytes that were to be decoded are missing: nothing of this body can follow

cdef struct http1_t:
    side_t side[2]
    uint32_t responses          # complete
    uint8_t yields              # the response side stops at the end of its transaction, for the request side
    uint8_t eof[2]              # no more will come
    uint32_t left               # bytes behind a 101 that are none of HTTP/1's: the room that follows reads them


cdef inline bint body_is_over(const http1_tx_t *tx, uint32_t direction) noexcept nogil:
    return tx.side[direction].over if tx.http2 else tx.head.progress[direction] > HTTP1_BODY


cdef inline void free_messages(app_context_t *context, http1_tx_t *tx) noexcept nogil:
    """Request and response, and what was made of them."""
    cdef message_t *message
    cdef uint32_t direction
    for direction in range(2):
        message = &tx.side[direction]
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.line)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.raw)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.text)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.headers)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &message.body)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &tx.uri)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &tx.path)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &tx.uri_host)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &tx.host)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &tx.boundary)


cdef inline bint is_space(int c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline bint is_blank(int c) noexcept nogil:
    return c == 32 or c == 9


cdef inline int lower(int c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef inline int digit_of(int c) noexcept nogil:
    """Of a hexadecimal digit, else -1."""
    if 48 <= c <= 57:
        return c - 48
    c = lower(c)
    return c - 87 if 97 <= c <= 102 else -1


cdef inline bint same(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    """Equal but for the case of letters."""
    cdef uint32_t i
    if length != size:
        return False
    for i in range(length):
        if lower(data[i]) != lower(<uint8_t> text[i]):
            return False
    return True


cdef inline int64_t index_of(const uint8_t *data, uint32_t length, const uint8_t *text, uint32_t size) noexcept nogil:
    """Where the text begins first, -1 for nowhere."""
    cdef uint32_t i
    if size == 0 or size > length:
        return -1
    for i in range(length - size + 1):
        if data[i] == text[0] and memcmp(data + i, text, size) == 0:
            return i
    return -1


cdef inline uint32_t begins_with(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    """How many bytes of data are this text, in any case and whatever NULs stand in between; 0 for none."""
    cdef uint32_t i, at = 0
    for i in range(size):
        while at < length and data[at] == 0:
            at += 1
        if at == length or not same(data + at, 1, text + i, 1):
            return 0
        at += 1
    return at


cdef inline bint is_named(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    """Is data this text, as browsers compare the names of headers: in any case, NULs left out?"""
    cdef uint32_t at = begins_with(data, length, text, size)
    while at and at < length and data[at] == 0:
        at += 1
    return at and at == length


cdef inline int64_t index_of_caseless(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    """NULs in data are left out."""
    cdef uint32_t i
    for i in range(length):
        if begins_with(data + i, length - i, text, size):
            return i
    return -1


cdef inline const uint8_t *bytes_of(const bytes_t *bytes, span_t span) noexcept nogil:
    return bytes.data + span.at


cdef inline uint32_t without_end(const uint8_t *data, uint32_t length) noexcept nogil:
    """The length of a line without the CR and LF that end it, however many."""
    while length and (data[length - 1] == 10 or data[length - 1] == 13):
        length -= 1
    return length


cdef inline bint is_empty_line(const uint8_t *data, uint32_t length) noexcept nogil:
    return (length == 1 and (data[0] == 13 or data[0] == 10)) or (length == 2 and data[0] == 13 and data[1] == 10)
