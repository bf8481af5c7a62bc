# What few flows have (flow_more_t), made when first needed from the pool of the flow's bucket.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_FLOW, flow_more_t, flow_t, pool_t


cdef struct flow_text_t:        # a text that rules keep with a flow: flowvars.pxd
    flow_text_t *next
    uint32_t name               # interned
    uint16_t length
    uint8_t data[2]             # and as many bytes as it is long


cdef inline uint64_t flow_text_size(uint32_t length) noexcept nogil:
    return sizeof(flow_text_t) + length


cdef inline flow_more_t *ensure_more(flow_t *flow, pool_t *pool) noexcept nogil:
    """The flow's flow_more_t, made if need be; NULL, and counted, where the pool is at its cap."""
    if flow.more == NULL:
        flow.more = <flow_more_t *> pool_take(pool, ACCOUNT_FLOW, sizeof(flow_more_t))
    return flow.more


cdef inline void release_more(flow_t *flow, pool_t *pool) noexcept nogil:
    """Gives back what ensure_more, flowbit_write and keep_on_flow took. For the end of a flow."""
    cdef flow_text_t *text
    cdef flow_text_t *after
    if flow.more != NULL:
        if flow.more.bits_words:
            text = <flow_text_t *> <size_t> flow.more.bits[0]
            while text != NULL:
                after = text.next
                pool_give(pool, ACCOUNT_FLOW, text, flow_text_size(text.length))
                text = after
        pool_give(pool, ACCOUNT_FLOW, flow.more.bits, flow.more.bits_words * sizeof(uint64_t))
        pool_give(pool, ACCOUNT_FLOW, flow.more, sizeof(flow_more_t))
        flow.more = NULL
