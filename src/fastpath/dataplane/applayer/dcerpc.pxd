# The DCE RPC room: the connection-oriented protocol over TCP, the connectionless one over UDP. What SMB carries of it is SMB's.
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_dcerpc(room_t *room) noexcept nogil
