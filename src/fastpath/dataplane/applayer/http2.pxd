# The room of HTTP/2 (RFC 9113): frames, streams as transactions, headers by HPACK, bodies as HTTP/1 has them, and gRPC over it.
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_http2(room_t *room) noexcept nogil
