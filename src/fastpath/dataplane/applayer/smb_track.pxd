# Files that are written or read in pieces, which may come in any order, but one at a time. A piece ahead of what there is waits.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.applayer.applayer cimport FILE_CLOSED, FILE_TRUNCATED, app_context_t, file_t
from fastpath.dataplane.applayer.files cimport file_append, file_close, file_gap, file_open
from fastpath.dataplane.applayer.smb_state cimport CHUNKS_MAX, CHUNKS_SIZE, chunk_t, smb_tx_t, track_t
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t


cdef inline void drop_chunk(app_context_t *context, track_t *track, chunk_t **link) noexcept nogil:
    cdef chunk_t *chunk = link[0]
    link[0] = chunk.next
    track.queued -= chunk.data.length
    track.chunk_count -= 1
    bytes_free(context.pool, ACCOUNT_APPLAYER, &chunk.data)
    pool_give(context.pool, ACCOUNT_APPLAYER, chunk, sizeof(chunk_t))


cdef inline void drop_chunks(app_context_t *context, track_t *track) noexcept nogil:
    while track.chunks != NULL:
        drop_chunk(context, track, &track.chunks)


cdef inline void track_truncate(app_context_t *context, smb_tx_t *tx) noexcept nogil:
    cdef track_t *track = &tx.track
    if track.truncated or not track.open:
        return
    if track.file != NULL:
        file_close(context, &tx.tx, track.file, FILE_TRUNCATED)
    track.truncated = True
    drop_chunks(context, track)


cdef inline void track_close(app_context_t *context, smb_tx_t *tx) noexcept nogil:
    cdef track_t *track = &tx.track
    if not track.truncated and track.file != NULL:
        file_close(context, &tx.tx, track.file, FILE_CLOSED)
    track.open = False
    track.tracked = 0


cdef inline void track_append(app_context_t *context, smb_tx_t *tx, const uint8_t *data, uint32_t length,
                              bint gap) noexcept nogil:
    """To the file itself. `gap`: the bytes are not known."""
    cdef track_t *track = &tx.track
    if track.file != NULL and not track.truncated:
        if gap:
            file_gap(context, track.file, length)
        else:
            file_append(context, &tx.tx, track.file, data, length)
    track.tracked += length


cdef inline bint queue_piece(app_context_t *context, track_t *track, const uint8_t *data, uint32_t length) noexcept nogil:
    """Adds to the piece that waits for its place. data NULL: a gap. False where there is no room."""
    cdef chunk_t *chunk = track.chunks
    cdef uint8_t zeros[256]
    cdef uint32_t step
    while chunk != NULL and chunk.offset != track.ahead:
        chunk = chunk.next
    if track.queued + length > CHUNKS_SIZE or chunk == NULL and track.chunk_count >= CHUNKS_MAX:
        return False
    if chunk == NULL:
        chunk = <chunk_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(chunk_t))
        if chunk == NULL:
            return False
        chunk.offset = track.ahead
        chunk.next = track.chunks
        track.chunks = chunk
        track.chunk_count += 1
    if data != NULL:
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &chunk.data, data, length):
            return False
        track.queued += length
        return True
    chunk.gap = True
    memset(zeros, 0, sizeof(zeros))
    while length:
        step = min(length, <uint32_t> sizeof(zeros))
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &chunk.data, zeros, step):
            return False
        track.queued += step
        length -= step
    return True


cdef inline void join_chunks(app_context_t *context, smb_tx_t *tx) noexcept nogil:
    """Those whose turn it is."""
    cdef track_t *track = &tx.track
    cdef chunk_t **link = &track.chunks
    cdef bytes_t data
    while link[0] != NULL:
        if link[0].offset != track.tracked or link[0].data.length == 0:
            link = &link[0].next
            continue
        data = link[0].data
        track_append(context, tx, data.data, data.length, link[0].gap)
        drop_chunk(context, track, link)
        link = &track.chunks


cdef inline uint32_t track_more(app_context_t *context, smb_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    """More of the piece at work; data NULL: a gap of so many bytes. Returns how many belonged to it."""
    cdef track_t *track = &tx.track
    cdef uint32_t taken = min(track.left, length)
    if taken == 0:
        return 0
    if not track.out_of_order:
        track_append(context, tx, data, taken, data == NULL)
    elif not queue_piece(context, track, data, taken):
        track_truncate(context, tx)
    track.left -= taken
    if track.left == 0:
        if not track.out_of_order:
            join_chunks(context, tx)
        track.out_of_order = False
    return taken


cdef inline void track_piece(app_context_t *context, smb_tx_t *tx, const uint8_t *name, uint32_t name_length, const uint8_t *data,
                             uint32_t length, uint64_t offset, uint32_t size) noexcept nogil:
    """A piece of the file begins: `size` bytes that belong at `offset`, the first `length` of them here."""
    cdef track_t *track = &tx.track
    if track.left:
        track_truncate(context, tx)
    if offset != track.tracked:
        track.out_of_order = True
        track.ahead = offset
    track.left = size
    if not track.open:
        track.file = file_open(context, &tx.tx, tx.direction, name, name_length)
        track.open = True
    track_more(context, tx, data, length)
