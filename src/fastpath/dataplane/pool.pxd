# The memory of a bucket: everything that a flow needs beyond flow_t, from lists of equal pieces, so that packets cost no malloc
# and a cap is a cap. Pieces of one size class are carved from chunks and go back to the list of their class; what is larger
# than POOL_LARGEST is malloc's. What is taken counts with the size of its class. Each piece begins a
# cache line.
#
# Errors: none. A taking that its account's cap or the machine refuses gives NULL (or False) and is counted in pool.refused.
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

from fastpath.dataplane.threads cimport prefetch
from fastpath.dataplane.types cimport POOL_CHUNK, POOL_LARGEST, bytes_t, pool_t

cdef enum:
    CACHE_LINE = 64

cdef extern from * nogil:
    int __builtin_clzll(unsigned long long)


# 64, 96, 128, 192, 256, 384, 512 ...: two classes an octave.
cdef inline uint32_t class_of(uint64_t size) noexcept nogil:
    cdef uint32_t octave
    if size <= 64:
        return 0
    octave = 63 - __builtin_clzll(size - 1)             # 64 <= 2**octave <= size - 1
    return 2 * (octave - 6) + (1 if size <= <uint64_t> 3 << (octave - 1) else 2)


cdef inline uint64_t size_of_class(uint32_t number) noexcept nogil:
    return <uint64_t> (96 if number & 1 else 64) << (number // 2)


cdef inline uint64_t size_taken(uint64_t size) noexcept nogil:
    return size if size > POOL_LARGEST else size_of_class(class_of(size))


cdef inline bint new_chunk(pool_t *pool) noexcept nogil:
    cdef void **chunk = <void **> malloc(POOL_CHUNK)
    if chunk == NULL:
        return False
    chunk[0] = pool.chunks
    pool.chunks = chunk
    pool.fresh = <uint8_t *> chunk + sizeof(void *)
    pool.fresh_left = POOL_CHUNK - sizeof(void *)
    return True


cdef inline void *carve(pool_t *pool, uint64_t size) noexcept nogil:
    """A piece of a class from the latest chunk, or from a new one; NULL where the machine has none."""
    cdef uint64_t unused = -<uintptr_t> pool.fresh & CACHE_LINE - 1
    cdef void *piece
    if pool.fresh_left < unused + size:
        if not new_chunk(pool):
            return NULL
        unused = -<uintptr_t> pool.fresh & CACHE_LINE - 1
    piece = pool.fresh + unused
    pool.fresh += unused + size
    pool.fresh_left -= unused + size
    return piece


cdef inline void *pool_take_raw(pool_t *pool, uint32_t account, uint64_t size) noexcept nogil:
    """Memory as its last owner left it, for what is written before it is read; or NULL."""
    cdef uint64_t taken = size_taken(size)
    cdef uint32_t number
    cdef void *piece = NULL
    if pool.used[account] + taken > pool.cap[account]:
        pool.refused[account] += 1
        return NULL
    if size > POOL_LARGEST:
        piece = malloc(size)
    else:
        number = class_of(size)
        piece = pool.free[number]
        if piece != NULL:
            pool.free[number] = (<void **> piece)[0]
            prefetch(pool.free[number])         # which was given back long ago, and will be read when it is taken
        else:
            piece = carve(pool, taken)
    if piece == NULL:
        pool.refused[account] += 1
        return NULL
    pool.used[account] += taken
    return piece


cdef inline void *pool_take(pool_t *pool, uint32_t account, uint64_t size) noexcept nogil:
    """Zeroed memory, or NULL."""
    cdef void *piece = pool_take_raw(pool, account, size)
    if piece != NULL:
        memset(piece, 0, size)
    return piece


cdef inline void pool_give(pool_t *pool, uint32_t account, void *piece, uint64_t size) noexcept nogil:
    """Gives back what was taken with this account and size. NULL is nothing."""
    cdef uint32_t number
    if piece == NULL:
        return
    pool.used[account] -= size_taken(size)
    if size > POOL_LARGEST:
        free(piece)
        return
    number = class_of(size)
    (<void **> piece)[0] = pool.free[number]
    pool.free[number] = piece


cdef inline void *pool_resize(pool_t *pool, uint32_t account, void *piece, uint64_t size, uint64_t wanted) noexcept nogil:
    """A larger or smaller piece with the same bytes, the rest zero; NULL leaves the old one as it is."""
    cdef void *other
    if piece != NULL and size <= POOL_LARGEST and wanted <= POOL_LARGEST and class_of(size) == class_of(wanted):
        if wanted > size:
            memset(<uint8_t *> piece + size, 0, wanted - size)
        return piece
    other = pool_take(pool, account, wanted)
    if other != NULL and piece != NULL:
        memcpy(other, piece, min(size, wanted))
        pool_give(pool, account, piece, size)
    return other


cdef inline void close_pool(pool_t *pool) noexcept nogil:
    """Frees the chunks. Larger pieces must have been given back."""
    cdef void *chunk
    while pool.chunks != NULL:
        chunk = pool.chunks
        pool.chunks = (<void **> chunk)[0]
        free(chunk)
    pool.fresh_left = 0
    memset(pool.free, 0, sizeof(pool.free))


cdef inline bint bytes_append(pool_t *pool, uint32_t account, bytes_t *bytes, const uint8_t *data,
                              uint32_t length) noexcept nogil:
    """False, and nothing appended, where the account refuses."""
    cdef uint64_t room
    cdef void *grown
    if <uint64_t> bytes.length + length > bytes.room:
        if <uint64_t> bytes.length + length > 0x7fffffff:
            return False
        room = size_taken(max(<uint64_t> bytes.length + length, <uint64_t> bytes.room + bytes.room // 2))
        grown = pool_take_raw(pool, account, room)
        if grown == NULL:
            return False
        if bytes.length:
            memcpy(grown, bytes.data, bytes.length)
        pool_give(pool, account, bytes.data, bytes.room)
        bytes.data = <uint8_t *> grown
        bytes.room = <uint32_t> room
    if length:
        memcpy(bytes.data + bytes.length, data, length)
        bytes.length += length
    return True


cdef inline void bytes_drop(bytes_t *bytes, uint32_t length) noexcept nogil:
    """Drops bytes from the front."""
    bytes.length -= length
    if bytes.length:
        memmove(bytes.data, bytes.data + length, bytes.length)


cdef inline void bytes_free(pool_t *pool, uint32_t account, bytes_t *bytes) noexcept nogil:
    pool_give(pool, account, bytes.data, bytes.room)
    bytes.data = NULL
    bytes.length = bytes.room = 0
