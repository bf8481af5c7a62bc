# The decoders that Content-Encoding asks for. zlib does gzip and deflate, liblzma lzma (the .lzma format), libbrotlidec br (RFC
# 7932).
#
# All read from and write to inflater_t.stream, and take their memory from the session's pool. Of lzma a window beyond
# lzma-memlimit is cut to it, and what goes on beyond the limit ends there: a small body with a large window is read.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.applayer cimport HTTP1_LZMA_MEMLIMIT_REACHED, app_context_t
from fastpath.dataplane.applayer.http1_state cimport http1_tx_t, inflater_t
from fastpath.dataplane.applayer.pooled cimport pool_alloc, pool_free, pool_items, pool_zalloc
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, pool_t
from fastpath.dataplane.zlib cimport (
    Z_DATA_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, inflate, inflateEnd, inflateInit2, z_stream,
)

cdef extern from "lzma.h" nogil:
    ctypedef int lzma_ret
    ctypedef struct lzma_allocator:
        void *(*alloc)(void *opaque, size_t items, size_t size) noexcept
        void (*free)(void *opaque, void *piece) noexcept
        void *opaque
    ctypedef struct lzma_stream:
        const uint8_t *next_in
        size_t avail_in
        uint8_t *next_out
        size_t avail_out
        uint64_t total_out
        const lzma_allocator *allocator
    int lzma_alone_decoder(lzma_stream *stream, uint64_t memlimit)
    int lzma_code(lzma_stream *stream, int action)
    void lzma_end(lzma_stream *stream)
    int LZMA_OK, LZMA_STREAM_END, LZMA_BUF_ERROR, LZMA_RUN

cdef extern from "brotli/decode.h" nogil:
    ctypedef struct BrotliDecoderState:
        pass
    BrotliDecoderState *BrotliDecoderCreateInstance(void *(*alloc)(void *opaque, size_t size) noexcept,
                                                    void (*free)(void *opaque, void *piece) noexcept, void *opaque)
    void BrotliDecoderDestroyInstance(BrotliDecoderState *state)
    int BrotliDecoderDecompressStream(BrotliDecoderState *state, size_t *available_in, const uint8_t **next_in,
                                      size_t *available_out, uint8_t **next_out, size_t *total_out)
    int BROTLI_DECODER_RESULT_ERROR, BROTLI_DECODER_RESULT_SUCCESS

cdef enum coding_kind:          # inflater_t.kind
    AS_GZIP = 47                # zlib's windowBits: gzip or zlib, whichever it is
    AS_DEFLATE = -15            # raw
    AS_LZMA = 100
    AS_BROTLI = 101

cdef enum decoded:
    DECODED_ON, DECODED_END, DECODED_BAD
    DECODED_REFUSED             # a fault that says nothing about the data
    DECODED_VOID                # nothing can be made of it, and nobody is told

cdef enum:
    LZMA_HEADER = 13            # properties, window (4 bytes, little-endian), length (8)
    LZMA_WINDOW_AT = 1
    LZMA_LENGTH_AT = 5
    LZMA_WINDOW_MIN = 4096
    LZMA_PROPERTIES = 225       # 9 * 5 * 5

cdef struct lzma_t:
    lzma_stream stream
    lzma_allocator allocator
    uint8_t header[13]
    uint8_t header_length
    uint8_t over
    uint8_t cut                 # its window is larger than the limit


# ---- one at a time ----

cdef inline void stop_stream(inflater_t *inflater) noexcept nogil:
    cdef lzma_t *lzma = <lzma_t *> inflater.decoder
    if not inflater.working:
        return
    if inflater.kind == AS_LZMA:
        lzma_end(&lzma.stream)
        pool_free(inflater.stream.opaque, lzma)
    elif inflater.kind == AS_BROTLI:
        BrotliDecoderDestroyInstance(<BrotliDecoderState *> inflater.decoder)
    else:
        inflateEnd(&inflater.stream)
    inflater.decoder = NULL
    inflater.working = False


cdef inline bint start_stream(app_context_t *context, inflater_t *inflater, int kind) noexcept nogil:
    """Begins anew, as this kind. False where memory is refused."""
    cdef lzma_t *lzma
    stop_stream(inflater)
    inflater.kind = kind
    inflater.stream.zalloc = pool_zalloc
    inflater.stream.zfree = pool_free
    inflater.stream.opaque = context.pool
    inflater.stream.next_in = NULL
    inflater.stream.avail_in = 0
    if kind == AS_LZMA:
        inflater.decoder = lzma = <lzma_t *> pool_alloc(context.pool, sizeof(lzma_t))
        if lzma != NULL:
            lzma.allocator.alloc = pool_items
            lzma.allocator.free = pool_free
            lzma.allocator.opaque = context.pool
            lzma.stream.allocator = &lzma.allocator
        inflater.working = lzma != NULL
    elif kind == AS_BROTLI:
        inflater.decoder = BrotliDecoderCreateInstance(pool_alloc, pool_free, context.pool)
        inflater.working = inflater.decoder != NULL
    else:
        inflater.working = inflateInit2(&inflater.stream, kind) == Z_OK
    return inflater.working


cdef inline bint begin_lzma(lzma_t *lzma, uint32_t limit) noexcept nogil:
    """The header is whole. Its length is not held to: data goes on to its end mark, or as far as there is any."""
    cdef uint32_t window
    cdef uint8_t nothing[1]
    cdef int said
    memcpy(&window, lzma.header + LZMA_WINDOW_AT, sizeof(window))
    lzma.cut = window > limit
    if lzma.cut:
        window = max(limit, <uint32_t> LZMA_WINDOW_MIN)
        memcpy(lzma.header + LZMA_WINDOW_AT, &window, sizeof(window))
    memset(lzma.header + LZMA_LENGTH_AT, 0xff, LZMA_HEADER - LZMA_LENGTH_AT)
    if lzma_alone_decoder(&lzma.stream, <uint64_t> -1) != LZMA_OK:
        return False
    lzma.stream.next_in = lzma.header
    lzma.stream.avail_in = LZMA_HEADER
    lzma.stream.next_out = nothing      # liblzma reads nothing where there is no room, and a header says nothing
    lzma.stream.avail_out = sizeof(nothing)
    said = lzma_code(&lzma.stream, LZMA_RUN)
    return said == LZMA_OK or said == LZMA_BUF_ERROR


cdef inline int decode_lzma(app_context_t *context, http1_tx_t *tx, inflater_t *inflater) noexcept nogil:
    cdef lzma_t *lzma = <lzma_t *> inflater.decoder
    cdef z_stream *stream = &inflater.stream
    cdef uint32_t taken, limit = context.config.http1.lzma_memlimit, room = stream.avail_out
    cdef int said
    if lzma.over:
        return DECODED_END
    if lzma.header_length < LZMA_HEADER:
        taken = min(stream.avail_in, <uint32_t> (LZMA_HEADER - lzma.header_length))
        memcpy(lzma.header + lzma.header_length, stream.next_in, taken)
        lzma.header_length += <uint8_t> taken
        stream.next_in += taken
        stream.avail_in -= taken
        if lzma.header_length < LZMA_HEADER:
            return DECODED_ON
        if lzma.header[0] >= LZMA_PROPERTIES:
            return DECODED_VOID
        if not begin_lzma(lzma, limit):
            return DECODED_BAD
    if lzma.cut:
        if lzma.stream.total_out >= limit:
            tx_event(&tx.head, HTTP1_LZMA_MEMLIMIT_REACHED)
            return DECODED_BAD
        room = <uint32_t> min(<uint64_t> room, limit - lzma.stream.total_out)
    lzma.stream.next_in = stream.next_in
    lzma.stream.avail_in = stream.avail_in
    lzma.stream.next_out = stream.next_out
    lzma.stream.avail_out = room
    said = lzma_code(&lzma.stream, LZMA_RUN)
    stream.next_in = <uint8_t *> lzma.stream.next_in
    stream.avail_in = <uint32_t> lzma.stream.avail_in
    stream.next_out = lzma.stream.next_out
    stream.avail_out -= room - <uint32_t> lzma.stream.avail_out
    if said == LZMA_STREAM_END:
        lzma.over = True
        return DECODED_END
    return DECODED_ON if said == LZMA_OK or said == LZMA_BUF_ERROR else DECODED_BAD


cdef inline int decode_brotli(inflater_t *inflater) noexcept nogil:
    cdef z_stream *stream = &inflater.stream
    cdef size_t left = stream.avail_in, room = stream.avail_out
    cdef const uint8_t *data = stream.next_in
    cdef int said = BrotliDecoderDecompressStream(<BrotliDecoderState *> inflater.decoder, &left, &data, &room,
                                                  &stream.next_out, NULL)
    stream.next_in = <uint8_t *> data
    stream.avail_in = <uint32_t> left
    stream.avail_out = <uint32_t> room
    if said == BROTLI_DECODER_RESULT_SUCCESS:
        return DECODED_END
    return DECODED_BAD if said == BROTLI_DECODER_RESULT_ERROR else DECODED_ON


cdef inline int decode(app_context_t *context, http1_tx_t *tx, inflater_t *inflater) noexcept nogil:
    """As much of what is in the stream as there is room for (enum decoded)."""
    cdef int said
    if inflater.kind == AS_LZMA:
        return decode_lzma(context, tx, inflater)
    if inflater.kind == AS_BROTLI:
        return decode_brotli(inflater)
    said = inflate(&inflater.stream, Z_NO_FLUSH)
    if said == Z_OK:
        return DECODED_ON
    if said == Z_STREAM_END:
        return DECODED_END
    return DECODED_BAD if said == Z_DATA_ERROR else DECODED_REFUSED
