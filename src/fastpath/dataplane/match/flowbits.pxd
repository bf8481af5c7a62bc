# What few flows have (flow_more_t), made when first needed and counted against a cap.
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from fastpath.dataplane.match.program cimport more_pool_t
from fastpath.dataplane.types cimport flow_more_t, flow_t


cdef inline flow_more_t *ensure_more(flow_t *flow, more_pool_t *pool) noexcept nogil:
    """The flow's flow_more_t, made if need be; NULL, and counted, where the pool is at its cap."""
    if flow.more == NULL:
        if pool.used + sizeof(flow_more_t) <= pool.cap:
            flow.more = <flow_more_t *> calloc(1, sizeof(flow_more_t))
        if flow.more == NULL:
            pool.refused += 1
        else:
            pool.used += sizeof(flow_more_t)
    return flow.more


cdef inline void release_more(flow_t *flow, more_pool_t *pool) noexcept nogil:
    """Gives back what ensure_more and flowbit_write took. For the end of a flow."""
    if flow.more != NULL:
        pool.used -= sizeof(flow_more_t) + flow.more.bits_words * sizeof(uint64_t)
        free(flow.more.bits)
        free(flow.more)
        flow.more = NULL


cdef inline bint flowbit_read(const flow_t *flow, uint32_t bit) noexcept nogil:
    cdef const flow_more_t *more = flow.more
    return more != NULL and bit // 64 < more.bits_words and more.bits[bit // 64] >> (bit % 64) & 1


cdef inline void flowbit_write(flow_t *flow, more_pool_t *pool, uint32_t bit, bint value) noexcept nogil:
    """Sets or clears a flowbit. A set that the pool has no room for is counted in pool.refused."""
    cdef flow_more_t *more
    cdef uint32_t words = bit // 64 + 1
    cdef uint64_t *grown
    if not value:
        if flowbit_read(flow, bit):
            flow.more.bits[bit // 64] &= ~(<uint64_t> 1 << (bit % 64))
        return
    more = ensure_more(flow, pool)
    if more == NULL:
        return
    if more.bits_words < words:
        grown = NULL
        if pool.used + (words - more.bits_words) * sizeof(uint64_t) <= pool.cap:
            grown = <uint64_t *> realloc(more.bits, words * sizeof(uint64_t))
        if grown == NULL:
            pool.refused += 1
            return
        memset(grown + more.bits_words, 0, (words - more.bits_words) * sizeof(uint64_t))
        pool.used += (words - more.bits_words) * sizeof(uint64_t)
        more.bits = grown
        more.bits_words = words
    more.bits[bit // 64] |= <uint64_t> 1 << (bit % 64)
