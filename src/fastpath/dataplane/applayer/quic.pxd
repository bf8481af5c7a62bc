# The room of QUIC over UDP: every packet of the handshake that can be looked into is a transaction of its own, in one direction
# (RFC 9000; the versions of Google's before it as far as they are open).
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_quic(room_t *room) noexcept nogil

# What the room keeps in app_work_t.of_room, NULL for nothing.
cdef void free_quic_work(void *kept) noexcept nogil
