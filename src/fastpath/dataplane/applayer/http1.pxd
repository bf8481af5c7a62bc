# HTTP/1: requests and responses of a TCP session, pipelined, matched in order. http1_*.pxd hold its parts.
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_http1(room_t *room) noexcept nogil
