# What few flows have (flow_more_t), made when first needed from the pool of the flow's bucket.
from libc.stdint cimport uint64_t

from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_FLOW, flow_more_t, flow_t, pool_t


cdef inline flow_more_t *ensure_more(flow_t *flow, pool_t *pool) noexcept nogil:
    """The flow's flow_more_t, made if need be; NULL, and counted, where the pool is at its cap."""
    if flow.more == NULL:
        flow.more = <flow_more_t *> pool_take(pool, ACCOUNT_FLOW, sizeof(flow_more_t))
    return flow.more


cdef inline void release_more(flow_t *flow, pool_t *pool) noexcept nogil:
    """Gives back what ensure_more and flowbit_write took. For the end of a flow."""
    if flow.more != NULL:
        pool_give(pool, ACCOUNT_FLOW, flow.more.bits, flow.more.bits_words * sizeof(uint64_t))
        pool_give(pool, ACCOUNT_FLOW, flow.more, sizeof(flow_more_t))
        flow.more = NULL
