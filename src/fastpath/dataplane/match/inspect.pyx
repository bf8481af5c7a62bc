"""An entry against the rules: its packet first, then the transactions of its direction."""
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.match.confirm cimport confirm_entry
from fastpath.dataplane.match.prefilter cimport prefilter_entry
from fastpath.dataplane.match.program cimport inspection_t, match_scratch_t, ruleset_t
from fastpath.dataplane.types cimport burst_t, flow_t


cdef uint32_t run_rules(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, flow_t *flow,
                        const inspection_t *inspection, uint64_t now) noexcept nogil:
    """flow: the entry's, or NULL. inspection: NULL for neither stream nor application. now: engine time, ns."""
    if prefilter_entry(rules, scratch, burst, entry, flow) == 0:
        scratch.match_count = 0
        return 0
    return confirm_entry(rules, scratch, burst, entry, flow, now)
