# The bits of hosts and of pairs of hosts: xbits, hostbits.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.program cimport xbits_op_t, xbits_t
from fastpath.dataplane.types cimport packet_meta_t

# A table of at most `memcap` bytes; NULL where there is no memory.
cdef xbits_t *open_xbits(uint64_t memcap) noexcept nogil
cdef void close_xbits(xbits_t *table) noexcept nogil
# Forgets every bit.
cdef void clear_xbits(xbits_t *table) noexcept nogil
# isset and isnotset for an entry. `now`: ns.
cdef bint xbits_hold(xbits_t *table, const xbits_op_t *op, const packet_meta_t *meta, uint64_t now) noexcept nogil
# set, unset and toggle for an entry.
cdef void xbits_run(xbits_t *table, const xbits_op_t *op, const packet_meta_t *meta, uint64_t now) noexcept nogil
