from libc.stdint cimport *
from libc.stdlib cimport calloc, free
from fastpath.dataplane.types cimport *
cdef threshold_table_t *open_thresholds(uint64_t memcap) noexcept nogil: return <threshold_table_t*>calloc(1,100)
cdef void close_thresholds(threshold_table_t *t) noexcept nogil: free(t)
cdef void clear_thresholds(threshold_table_t *t) noexcept nogil: pass
cdef uint8_t threshold_check(threshold_table_t *t, const ruleset_t *rules, uint32_t rule, const burst_t *burst, uint32_t entry, uint64_t flow, uint64_t now) noexcept nogil: return 0
