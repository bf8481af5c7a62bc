# What the files of the HTTP/2 room share: the transaction of a stream, which has the messages of HTTP/1, and the session.
#
# As in Suricata a transaction is a stream, or one frame of none (SETTINGS, GOAWAY ...), which is complete at once.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    HTTP2_CLOSED, HTTP2_DATA_CLIENT, HTTP2_GLOBAL, HTTP2_OPEN, HTTP2_TOO_MANY_STREAMS, app_context_t, tx_t,
)
from fastpath.dataplane.applayer.hpack cimport hpack_t
from fastpath.dataplane.applayer.http1_state cimport PROTOCOL_UNKNOWN, http1_tx_t, inflater_t
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef enum:
    FRAME_HEADER = 9            # RFC 9113 section 4.1
    FRAME_HELD_MAX = 1 << 16    # a frame below this is waited for; of a longer one, this much is
    FRAME_HELD_MIN = 256
    FACTS_MAX = 256             # of the frames of one direction of a transaction
    FIELDS_MAX = 1024           # headers of a message that are kept, of that many bytes
    FIELDS_TEXT_MAX = 1 << 18
    SLOTS = 128                 # of the table of streams

cdef enum frame_type:
    FRAME_DATA, FRAME_HEADERS, FRAME_PRIORITY, FRAME_RST_STREAM, FRAME_SETTINGS, FRAME_PUSH_PROMISE, FRAME_PING, FRAME_GOAWAY
    FRAME_WINDOW_UPDATE, FRAME_CONTINUATION, FRAME_TYPES

cdef enum frame_flag:
    END_STREAM = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32

cdef enum fact_kind:
    FACT_LEAVE, FACT_RESET      # the errors of GOAWAY and RST_STREAM
    FACT_PRIORITY, FACT_WINDOW, FACT_SETTING
    FACT_SIZE                   # of a header block, not a frame

cdef struct fact_t:             # a number that a frame says
    uint64_t value
    uint64_t kind

cdef struct frame_t:
    uint32_t length, stream
    uint8_t kind, flags, reserved

cdef struct grpc_t:             # the messages of one direction (grpc.pxd)
    uint8_t here                # its content-type says so
    uint8_t held                # bytes of the prefix at work that have come
    uint8_t prefix[5]
    uint32_t left               # bytes of the message at work
    uint32_t messages, compressed

cdef struct http2_tx_t:
    http1_tx_t http
    http2_tx_t *chain           # the next one of its slot
    uint32_t stream             # 0: a frame of none
    uint8_t state               # enum http2_progress
    uint16_t frames[2]          # 1 << frame_type
    bytes_t facts[2]            # fact_t
    inflater_t *inflater[2]
    grpc_t grpc[2]

cdef struct block_t:            # a header block whose end is still to come
    bytes_t data
    uint32_t stream             # of its frames; 0: there is none
    uint32_t subject            # of its transaction: another one where it promises a push
    uint8_t ends                # it ends the stream
    uint8_t cut                 # it had more than is put together

cdef struct http2_t:
    hpack_t table[2]            # of what a direction sends
    block_t block[2]
    http2_tx_t *slot[128]
    uint32_t left[2]            # bytes to come of a frame that is read as it comes, and behind them its padding
    uint32_t padding[2]
    uint32_t reading[2]         # of DATA: its stream; 0: it is passed over
    uint8_t ends[2]
    uint8_t greeted             # the preface has come
    uint8_t eof[2]


cdef inline http2_tx_t *of_message(const http1_tx_t *tx) noexcept nogil:
    return <http2_tx_t *> tx


cdef inline fact_t *fact_at(const http2_tx_t *tx, uint32_t direction, uint32_t index) noexcept nogil:
    cdef void *facts = tx.facts[direction].data
    return <fact_t *> facts + index


cdef inline uint32_t facts_of(const http2_tx_t *tx, uint32_t direction) noexcept nogil:
    return tx.facts[direction].length // <uint32_t> sizeof(fact_t)


cdef inline void add_fact(app_context_t *context, http2_tx_t *tx, uint32_t direction, uint64_t kind,
                          uint64_t value) noexcept nogil:
    """What is beyond FACTS_MAX, or refused by the memory, is not looked at."""
    cdef fact_t fact
    fact.value = value
    fact.kind = kind
    if facts_of(tx, direction) < FACTS_MAX:
        bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.facts[direction], <const uint8_t *> &fact, sizeof(fact))


# ---- streams ----

cdef inline uint32_t slot_of(uint32_t stream) noexcept nogil:
    return stream // 2 % SLOTS


cdef inline http2_tx_t *find_stream(const http2_t *http, uint32_t stream) noexcept nogil:
    cdef http2_tx_t *tx = http.slot[slot_of(stream)]
    while tx != NULL and tx.stream != stream:
        tx = tx.chain
    return tx


cdef inline void drop_stream(http2_t *http, http2_tx_t *tx) noexcept nogil:
    cdef http2_tx_t **link = &http.slot[slot_of(tx.stream)]
    while link[0] != NULL and link[0] != tx:
        link = &link[0].chain
    if link[0] != NULL:
        link[0] = tx.chain


cdef inline void advance(app_context_t *context, http2_tx_t *tx, uint8_t state) noexcept nogil:
    """The client's direction waits for what it still has to send, as rules see a body only as long as it goes on."""
    tx.state = state
    tx_progress(context, &tx.http.head, TO_CLIENT, state)
    if HTTP2_DATA_CLIENT < state < HTTP2_CLOSED and not tx.http.side[TO_SERVER].over:
        state = HTTP2_DATA_CLIENT
    tx_progress(context, &tx.http.head, TO_SERVER, state)


cdef inline http2_tx_t *make_stream(app_context_t *context, http2_t *http, uint32_t stream) noexcept nogil:
    """NULL where too many are alive, with the event, or memory is refused."""
    cdef http2_tx_t *tx
    cdef tx_t *alive = context.app.first
    if context.app.txs >= context.config.http2.max_streams:
        while alive != NULL:
            tx_event(alive, HTTP2_TOO_MANY_STREAMS)
            alive = alive.next
        return NULL
    tx = <http2_tx_t *> new_tx(context, sizeof(http2_tx_t))
    if tx == NULL:
        return NULL
    tx.http.http2 = True
    tx.http.uri_port = tx.http.port = tx.http.status = -1
    tx.http.side[0].protocol = tx.http.side[1].protocol = PROTOCOL_UNKNOWN
    tx.http.side[0].content_length = tx.http.side[1].content_length = -1
    tx.stream = stream
    if stream:
        tx.chain = http.slot[slot_of(stream)]
        http.slot[slot_of(stream)] = tx
    else:
        tx.http.side[0].over = tx.http.side[1].over = True
    advance(context, tx, HTTP2_OPEN if stream else HTTP2_GLOBAL)
    return tx
