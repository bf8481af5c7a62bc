# What Content-Encoding names, in layers. An inflater of gzip or deflate that meets what it cannot read tries again, as what it
# was told and then as the other kind (servers mix up raw deflate, zlib and gzip); after the third try bytes pass as they are.
# What says lzma and is none is tried as raw deflate once.
#
# What a layer has decoded goes on when its buffer is full, at the end of the compressed data, and at the end of the body.
# All memory, the decoders' too, is of the session's pool.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.applayer cimport (
    HTTP1_COMPRESSION_BOMB, HTTP1_GZIP_DECOMPRESSION_FAILED, HTTP2_FAILED_DECOMPRESSION, app_context_t,
)
from fastpath.dataplane.applayer.http1_body cimport add_body
from fastpath.dataplane.applayer.http1_decoders cimport (
    AS_BROTLI, AS_DEFLATE, AS_GZIP, AS_LZMA, DECODED_BAD, DECODED_END, DECODED_ON, DECODED_VOID, decode, start_stream,
    stop_stream,
)
from fastpath.dataplane.applayer.http1_state cimport INFLATE_OUT, http1_tx_t, inflater_t, message_t
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER
from fastpath.dataplane.zlib cimport z_stream

cdef enum:
    TRIES_MAX = 3
    BOMB_RATIO = 2048


cdef inline void free_inflaters(app_context_t *context, inflater_t **first) noexcept nogil:
    cdef inflater_t *inflater
    while first[0] != NULL:
        inflater = first[0]
        first[0] = inflater.next
        stop_stream(inflater)
        pool_give(context.pool, ACCOUNT_APPLAYER, inflater, sizeof(inflater_t))


cdef inline bint add_inflater(app_context_t *context, inflater_t **first, int kind) noexcept nogil:
    """A layer below those there are; False where memory is refused."""
    cdef inflater_t *inflater = <inflater_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(inflater_t))
    if inflater == NULL:
        return False
    inflater.stream.next_out = inflater.out
    inflater.stream.avail_out = INFLATE_OUT
    while first[0] != NULL:
        first = &first[0].next
    first[0] = inflater
    return start_stream(context, inflater, kind)


cdef inline uint32_t gzip_header(const uint8_t *data, uint32_t length) noexcept nogil:
    """The length of a gzip header with optional fields (RFC 1952 section 2.3.1), else 0."""
    cdef uint32_t size = 10
    if length < 4 or data[0] != 0x1f or data[1] != 0x8b or data[3] == 0:
        return 0
    if data[3] & 0x18:
        while size < length and data[size]:
            size += 1
        size += 1
    elif data[3] & 2:
        size = 12
    return size if size <= length else 0


cdef inline bint try_again(app_context_t *context, inflater_t *inflater, const uint8_t *data, uint32_t length,
                           uint32_t *skip) noexcept nogil:
    cdef int kind = inflater.kind
    if inflater.tries == TRIES_MAX or kind == AS_BROTLI:
        return False
    if kind == AS_LZMA:
        inflater.tries = TRIES_MAX
        kind = AS_DEFLATE
    else:
        if inflater.tries:
            kind = AS_DEFLATE if kind == AS_GZIP else AS_GZIP
        inflater.tries += 1
    skip[0] = gzip_header(data, length) if kind == AS_DEFLATE else 0
    return start_stream(context, inflater, kind)


cdef inline bint pass_body(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """Decoded bytes; False where there are so many for so few that it ends here."""
    cdef message_t *message = &tx.side[direction]
    message.entity += length
    add_body(context, tx, direction, data, length)
    if message.entity > context.config.http1.bomb_limit and message.entity > BOMB_RATIO * message.length:
        tx_event(&tx.head, HTTP2_FAILED_DECOMPRESSION if tx.http2 else HTTP1_COMPRESSION_BOMB)
        return False
    return True


cdef inline bint flush_out(app_context_t *context, http1_tx_t *tx, uint32_t direction, inflater_t *inflater) noexcept nogil:
    cdef uint32_t length = INFLATE_OUT - inflater.stream.avail_out
    inflater.stream.next_out = inflater.out
    inflater.stream.avail_out = INFLATE_OUT
    return pass_down(context, tx, direction, inflater.next, inflater.out, length)


cdef inline bint pass_down(app_context_t *context, http1_tx_t *tx, uint32_t direction, inflater_t *inflater, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """To the layer below, or, where there is none, to the body."""
    if length == 0:
        return True
    if inflater == NULL:
        return pass_body(context, tx, direction, data, length)
    return inflate_bytes(context, tx, direction, inflater, data, length)


cdef inline void note_failure(http1_tx_t *tx) noexcept nogil:
    tx_event(&tx.head, HTTP2_FAILED_DECOMPRESSION if tx.http2 else HTTP1_GZIP_DECOMPRESSION_FAILED)


cdef inline bint inflate_bytes(app_context_t *context, http1_tx_t *tx, uint32_t direction, inflater_t *inflater,
                               const uint8_t *data, uint32_t length) noexcept nogil:
    """False where no more of the body is wanted."""
    cdef z_stream *stream = &inflater.stream
    cdef uint32_t skip = 0
    cdef int said
    if inflater.passes:
        return pass_down(context, tx, direction, inflater.next, data, length)
    stream.next_in = <uint8_t *> data
    stream.avail_in = length
    while stream.avail_in or stream.avail_out == 0 and inflater.decoder != NULL:     # zlib alone holds nothing back
        if stream.avail_out == 0 and not flush_out(context, tx, direction, inflater):
            stop_stream(inflater)
            return False
        if not inflater.working:
            return False
        said = decode(context, tx, inflater)
        if said == DECODED_BAD and stream.avail_out < INFLATE_OUT and inflater.tries == 0:
            # what came out is right as far as it goes; of a second try it would be chance
            note_failure(tx)
            said = DECODED_END
        if said == DECODED_END:
            if not flush_out(context, tx, direction, inflater):
                stop_stream(inflater)
                return False
            return True
        if said == DECODED_VOID:
            stop_stream(inflater)
            return False
        if said != DECODED_ON:
            note_failure(tx)
            if not try_again(context, inflater, data, length, &skip):
                stop_stream(inflater)
                inflater.passes = True
                return pass_down(context, tx, direction, inflater.next, data, length)
            stream.next_in = <uint8_t *> data + skip
            stream.avail_in = length - skip
    return True


cdef inline void flush_inflaters(app_context_t *context, http1_tx_t *tx, uint32_t direction, inflater_t *inflater) noexcept nogil:
    """What the layers hold goes on, from the top down."""
    while inflater != NULL:
        if inflater.working:
            flush_out(context, tx, direction, inflater)
        inflater = inflater.next


cdef inline void finish_inflaters(app_context_t *context, http1_tx_t *tx, uint32_t direction, inflater_t **first) noexcept nogil:
    """The body is over."""
    flush_inflaters(context, tx, direction, first[0])
    free_inflaters(context, first)
