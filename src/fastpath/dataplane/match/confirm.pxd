from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport tx_t
from fastpath.dataplane.match.program cimport match_scratch_t, rule_t, ruleset_t
from fastpath.dataplane.types cimport burst_t, flow_t, packet_meta_t

cdef void confirm_entry(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                        flow_t *flow, uint64_t now) noexcept nogil
cdef bint rule_begins(const ruleset_t *rules, const rule_t *rule, match_scratch_t *scratch, const burst_t *burst,
                      const packet_meta_t *meta, flow_t *flow, uint64_t now, uint16_t *flags) noexcept nogil
cdef void rule_matched(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled, flow_t *flow, tx_t *tx,
                       uint64_t tx_id, uint16_t flags) noexcept nogil
cdef bint windows_hold(const ruleset_t *rules, match_scratch_t *scratch, uint32_t block) noexcept nogil
