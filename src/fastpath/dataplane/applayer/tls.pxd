# The room of SSL 2.0 to TLS 1.3: one transaction a session, whose progress is the same in both directions but for
# TLS_CERT_READY. Records over segments, handshake messages over records; after the handshake it only counts records along.
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_tls(room_t *room) noexcept nogil
