# decode: the bytes of each entry become its metadata and its flow key.
from libc.stdint cimport uint32_t

from fastpath.dataplane.types cimport burst_t
from fastpath.dataplane.wire.walk cimport decode_config_t

# The defaults of Suricata 7.0.10, and fastpath's own tunnels.
cdef void decode_defaults(decode_config_t *config) noexcept nogil

# `settings`: checksums, compat, vlan_tracking, vni_in_key, erspan_type1, max_depth, max_layers, and teredo, vxlan, geneve,
# gtpu, roce, each a list of UDP ports (empty turns it off). Absent ones keep their default. TypeError, ValueError on others.
cdef int decode_settings(decode_config_t *config, dict settings) except -1

# Decodes entries [first, first + count): fills every field of their metadata that rx, decap or defrag has not, and their keys.
# Returns the flags of those that left the straight path, together, with WALKED; 0: none of them is a fragment, carries a packet
# or has an event.
cdef enum:
    WALKED = 1 << 31
cdef uint32_t decode_burst(const decode_config_t *config, burst_t *burst, uint32_t first, uint32_t count) noexcept nogil
