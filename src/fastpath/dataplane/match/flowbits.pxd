# The bits of a flow, by interned number. They lie in words behind the first, which is where its texts begin (flowvars.pxd).
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.more cimport ensure_more, flow_text_t
from fastpath.dataplane.pool cimport pool_resize
from fastpath.dataplane.types cimport ACCOUNT_FLOW, flow_more_t, flow_t, pool_t

cdef enum:
    BITS_FROM = 1               # word: the one before it is the head of the texts


cdef inline bint ensure_words(flow_t *flow, pool_t *pool, uint32_t words) noexcept nogil:
    """Room for so many words; False, and counted in pool.refused, where the pool has none."""
    cdef flow_more_t *more = ensure_more(flow, pool)
    cdef uint64_t *grown
    if more == NULL:
        return False
    if more.bits_words < words:
        grown = <uint64_t *> pool_resize(pool, ACCOUNT_FLOW, more.bits, more.bits_words * sizeof(uint64_t),
                                         words * sizeof(uint64_t))
        if grown == NULL:
            return False
        more.bits = grown
        more.bits_words = words
    return True


cdef inline bint has_flowbits(const flow_t *flow) noexcept nogil:
    """Was a bit of this flow ever set?"""
    return flow != NULL and flow.more != NULL and flow.more.bits_words > BITS_FROM


cdef inline bint flowbit_read(const flow_t *flow, uint32_t bit) noexcept nogil:
    cdef const flow_more_t *more = flow.more
    cdef uint32_t word = BITS_FROM + bit // 64
    return more != NULL and word < more.bits_words and more.bits[word] >> (bit % 64) & 1


cdef inline void flowbit_write(flow_t *flow, pool_t *pool, uint32_t bit, bint value) noexcept nogil:
    """Sets or clears a flowbit. A set that the pool has no room for is counted in pool.refused."""
    cdef uint32_t word = BITS_FROM + bit // 64
    if not value:
        if flowbit_read(flow, bit):
            flow.more.bits[word] &= ~(<uint64_t> 1 << (bit % 64))
    elif ensure_words(flow, pool, word + 1):
        flow.more.bits[word] |= <uint64_t> 1 << (bit % 64)


cdef inline flow_text_t *texts_of(const flow_t *flow) noexcept nogil:
    cdef const flow_more_t *more = flow.more
    return <flow_text_t *> <size_t> more.bits[0] if more != NULL and more.bits_words else NULL


cdef inline flow_text_t **ensure_texts(flow_t *flow, pool_t *pool) noexcept nogil:
    """The head of the flow's texts; NULL, and counted, where the pool has no room for it."""
    return <flow_text_t **> flow.more.bits if ensure_words(flow, pool, BITS_FROM) else NULL
