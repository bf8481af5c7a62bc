"""decap: from a tunnel to the packet inside."""
from libc.stdint cimport uint32_t

from fastpath.dataplane.types cimport burst_t
from fastpath.dataplane.wire.walk cimport decode_config_t


cdef uint32_t decap_burst(const decode_config_t *config, burst_t *burst, uint32_t first, uint32_t count) noexcept nogil:
    return 0
