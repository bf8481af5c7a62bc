# The memory of a session's pool for libraries that take their own: zlib, lzma, brotli.
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, pool_t


cdef inline void *pool_zalloc(void *pool, unsigned int items, unsigned int size) noexcept nogil:
    return pool_alloc(pool, <size_t> items * size)


cdef inline void *pool_alloc(void *pool, size_t size) noexcept nogil:
    cdef uint64_t *piece
    if size > <size_t> 1 << 40:
        return NULL
    piece = <uint64_t *> pool_take(<pool_t *> pool, ACCOUNT_APPLAYER, size + 16)
    if piece == NULL:
        return NULL
    piece[0] = size + 16
    return piece + 2


cdef inline void *pool_items(void *pool, size_t items, size_t size) noexcept nogil:
    if size and items > (<size_t> 1 << 40) // size:
        return NULL
    return pool_alloc(pool, items * size)


cdef inline void pool_free(void *pool, void *piece) noexcept nogil:
    cdef uint64_t *start
    if piece != NULL:
        start = <uint64_t *> piece - 2
        pool_give(<pool_t *> pool, ACCOUNT_APPLAYER, start, start[0])
