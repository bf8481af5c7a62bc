# Notes on what becomes of one rule. Each is called where scratch.trace is not NULL, which it is only when somebody asks why.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport tx_t
from fastpath.dataplane.match.program cimport match_scratch_t, op_t, pattern_set_t, rule_t, ruleset_t, trace_t
from fastpath.dataplane.types cimport burst_t, flow_t, packet_meta_t

cdef void trace_entry(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, const flow_t *flow,
                      uint32_t group) noexcept nogil
cdef void trace_tx(match_scratch_t *scratch, const tx_t *tx, uint32_t direction) noexcept nogil
cdef void trace_scan(match_scratch_t *scratch, uint32_t buffer, const uint8_t *data, uint32_t length,
                     uint64_t offset) noexcept nogil
cdef void trace_patterns(const ruleset_t *rules, match_scratch_t *scratch, const pattern_set_t *patterns, const uint8_t *data,
                         uint32_t length) noexcept nogil
cdef void trace_candidates(const ruleset_t *rules, match_scratch_t *scratch) noexcept nogil
cdef void trace_condition(const ruleset_t *rules, match_scratch_t *scratch, const op_t *op, bint holds) noexcept nogil
cdef void trace_block(const ruleset_t *rules, match_scratch_t *scratch, uint32_t block, const uint8_t *data,
                      uint32_t length) noexcept nogil
cdef void trace_step(const ruleset_t *rules, match_scratch_t *scratch, const op_t *op, const uint8_t *data, uint32_t length,
                     uint32_t before, uint32_t start, uint32_t end, bint holds) noexcept nogil
cdef void trace_limit(match_scratch_t *scratch) noexcept nogil
cdef void trace_engine(const ruleset_t *rules, match_scratch_t *scratch, uint32_t engine, uint32_t state) noexcept nogil
cdef void trace_match(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled) noexcept nogil
cdef void trace_fate(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled, uint64_t tx,
                     uint32_t fate) noexcept nogil


cdef class Trace:
    cdef trace_t at
    cdef readonly object database
