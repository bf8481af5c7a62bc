# What few flows have (flow_more_t), made when first needed and counted against the pool of the flow's bucket.
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from fastpath.dataplane.types cimport flow_more_t, flow_t, more_pool_t


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
