from libc.stdint cimport *
from fastpath.dataplane.types cimport *
from fastpath.dataplane.match.program cimport *
cdef struct threshold_table_t:
    uint32_t a
cdef enum: THRESHOLD_ALERT, THRESHOLD_SUPPRESS
cdef threshold_table_t *open_thresholds(uint64_t memcap) noexcept nogil
cdef void close_thresholds(threshold_table_t *t) noexcept nogil
cdef void clear_thresholds(threshold_table_t *t) noexcept nogil
cdef uint8_t threshold_check(threshold_table_t *t, const ruleset_t *rules, uint32_t rule, const burst_t *burst, uint32_t entry, uint64_t flow, uint64_t now) noexcept nogil
