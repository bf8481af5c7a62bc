# Sets that rules change: dataset:set, dataset:unset, and what is asked of such sets.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.program cimport dataset_op_t, datasets_t, ruleset_t

# A table whose entries take at most `memcap` bytes; NULL where there is no memory.
cdef datasets_t *open_datasets(uint64_t memcap) noexcept nogil
cdef void close_datasets(datasets_t *table) noexcept nogil
# Room for the counters of this many names; False where there is no memory.
cdef bint name_datasets(datasets_t *table, uint32_t names) noexcept nogil
# Forgets every change.
cdef void clear_datasets(datasets_t *table) noexcept nogil
# Asks a set that rules change, or changes it. For the ordered section. NULL: there is no table, and nothing was ever changed.
cdef bint dataset_asked(const ruleset_t *rules, datasets_t *table, const dataset_op_t *op, const uint8_t *data,
                        uint32_t length) noexcept nogil
