# The SMB room: SMB 1, 2 and 3 over NetBIOS sessions (RFC 1002 section 4.3) and straight over TCP, which are framed alike.
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_smb(room_t *room) noexcept nogil
