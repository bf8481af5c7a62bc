from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.applayer cimport tx_t, view_t
from fastpath.dataplane.match.program cimport match_scratch_t, ruleset_t

# What a chain of transforms makes of a buffer: bytes in scratch that hold until the next call, `length` their number. At most
# TRANSFORMED_MAX bytes are looked at. NULL where nothing is left.
cdef const uint8_t *transformed(const ruleset_t *rules, match_scratch_t *scratch, uint32_t chain, const uint8_t *data,
                                uint32_t *length) noexcept nogil

# The bytes of a buffer of a transaction, through its transforms; VIEW_NONE, VIEW_READY or VIEW_LATER. The latest one is kept.
cdef uint32_t buffer_view(const ruleset_t *rules, match_scratch_t *scratch, tx_t *tx, uint32_t direction, uint32_t buffer,
                          uint32_t index, uint32_t chain, view_t *view) noexcept nogil
