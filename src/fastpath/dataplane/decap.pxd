# decap: what a tunnel carries becomes an entry of its own.
from libc.stdint cimport uint32_t

from fastpath.dataplane.types cimport burst_t
from fastpath.dataplane.wire.walk cimport decode_config_t

# Appends the inner entry of each of [first, first + count) that carries one, for decode to take up; returns how many.
cdef uint32_t decap_burst(const decode_config_t *config, burst_t *burst, uint32_t first, uint32_t count) noexcept nogil
