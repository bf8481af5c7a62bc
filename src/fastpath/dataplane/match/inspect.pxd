from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.match.program cimport inspection_t, match_scratch_t, ruleset_t
from fastpath.dataplane.types cimport burst_t, flow_t

# All that the rules have to say of an entry: its packet, the raw stream and the transactions of its direction. Leaves what
# matched in scratch.matches, in the order of alerts, and returns how many.
cdef uint32_t run_rules(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, flow_t *flow,
                        const inspection_t *inspection, uint64_t now) noexcept nogil
