# The hash of a flow key, see hash.h.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.types cimport flow_key_t, flow_t

cdef extern from "hash.h" nogil:
    uint64_t hash_key(const flow_key_t *key) noexcept
    bint same_key(const flow_key_t *a, const flow_key_t *b) noexcept
    bint flow_has_key(const flow_t *flow, const flow_key_t *key) noexcept
    void set_flow_key(flow_t *flow, const flow_key_t *key) noexcept
    flow_key_t flow_key_of(const flow_t *flow) noexcept
    uint64_t hash_flow(const flow_t *flow) noexcept
    uint64_t flow_id_of(uint32_t hash, uint64_t first_ordinal) noexcept
