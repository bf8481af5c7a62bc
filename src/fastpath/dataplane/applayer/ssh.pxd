# The room of SSH (RFC 4253): one transaction a session. Banners, key exchange and its fingerprints (HASSH) until new keys are
# taken into use; what follows is encrypted.
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_ssh(room_t *room) noexcept nogil
