from libc.stdint cimport uint32_t

from fastpath.dataplane.applayer.applayer cimport tx_t
from fastpath.dataplane.match.program cimport match_scratch_t, ruleset_t
from fastpath.dataplane.types cimport burst_t, flow_t, packet_meta_t

# Which rules may match an entry: those of its group whose fast pattern Hyperscan finds in the payload or the raw stream, those
# of its group that have none, and once per direction of a flow those that ask for addresses alone.
cdef uint32_t prefilter_entry(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                              flow_t *flow) noexcept nogil

cdef void prefilter_tx(const ruleset_t *rules, match_scratch_t *scratch, const packet_meta_t *meta, tx_t *tx,
                       uint32_t direction) noexcept nogil
