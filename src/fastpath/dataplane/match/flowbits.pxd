# The bits of a flow, by interned number.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.more cimport ensure_more
from fastpath.dataplane.pool cimport pool_resize
from fastpath.dataplane.types cimport ACCOUNT_FLOW, flow_more_t, flow_t, pool_t


cdef inline bint flowbit_read(const flow_t *flow, uint32_t bit) noexcept nogil:
    cdef const flow_more_t *more = flow.more
    return more != NULL and bit // 64 < more.bits_words and more.bits[bit // 64] >> (bit % 64) & 1


cdef inline void flowbit_write(flow_t *flow, pool_t *pool, uint32_t bit, bint value) noexcept nogil:
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
        grown = <uint64_t *> pool_resize(pool, ACCOUNT_FLOW, more.bits, more.bits_words * sizeof(uint64_t),
                                         words * sizeof(uint64_t))
        if grown == NULL:
            return
        more.bits = grown
        more.bits_words = words
    more.bits[bit // 64] |= <uint64_t> 1 << (bit % 64)
