from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.match.program cimport match_scratch_t, ruleset_t
from fastpath.dataplane.types cimport burst_t, flow_t

cdef void inspect_transactions(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                               flow_t *flow, uint64_t now) noexcept nogil
