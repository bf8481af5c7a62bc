from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.match.program cimport match_scratch_t, ruleset_t
from fastpath.dataplane.types cimport burst_t, flow_t

# The flow meets a new rule set: its open transactions are to be inspected anew, from their first buffer on; what matched on one
# does not match on it again.
cdef void renew_transactions(match_scratch_t *scratch, flow_t *flow) noexcept nogil

# True: what it has found it would find again, until more is parsed, or the payload of an entry brings candidates.
cdef bint inspect_transactions(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                               flow_t *flow, uint64_t now) noexcept nogil
