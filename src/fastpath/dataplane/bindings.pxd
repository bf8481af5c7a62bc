# bindings: what belongs together and should stay together, packet by packet in ingest, before flows: queue pairs and the segments
# first seen in (bind/roce.pxd), GTP tunnels and the subscribers that the control planes give them to
# (bind/subscribers.pxd, gtpc.pxd, pfcp.pxd), addresses and the hardware that has them (bind/hardware.pxd). What does not fit is an
# event of its entry, which rules (decode-event) and policy act upon, and a row that says what was expected.
#
# One table for each, of a fixed number of places. In ingest, since both ends of a binding may lie in different buckets: the order
# of the packets decides, whatever the number of workers. Errors: none; what finds no room is counted.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.bind.hardware cimport hardware_t
from fastpath.dataplane.bind.roce cimport tag_range_t
from fastpath.dataplane.bind.subscribers cimport subscribers_t
from fastpath.dataplane.bind.table cimport binding_rows_t, table_t
from fastpath.dataplane.types cimport burst_t

cdef struct bindings_t:
    table_t queue_pairs
    subscribers_t subscribers
    hardware_t hardware
    binding_rows_t rows
    tag_range_t *tags           # of tenants, ascending
    uint32_t tag_count

# Not 0: no memory.
cdef int open_bindings(bindings_t *bindings, uint64_t seed) noexcept nogil
cdef void close_bindings(bindings_t *bindings) noexcept nogil

# A capture begins that is none of the one before: all but the manifest is forgotten.
cdef void clear_bindings(bindings_t *bindings) noexcept nogil

# The entries of a burst, in `order` (steering_t.order).
cdef void bind_burst(bindings_t *bindings, burst_t *burst, const uint16_t *order) noexcept nogil

# From and for the control plane; tags, known: arrays of TAG and KNOWN; the others give dicts and arrays of rows.BINDING.
cdef void set_tags(bindings_t *bindings, tags) except *
cdef void set_hardware(bindings_t *bindings, known, bint neighbours) except *
cdef take_bindings(bindings_t *bindings, dtype)
cdef list queue_pairs_of(bindings_t *bindings)
cdef dict bindings_stats(bindings_t *bindings)
