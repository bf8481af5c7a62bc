# SMTP (RFC 5321): commands and replies matched in order, messages by DATA (read as MIME, mime.pxd) and BDAT (RFC 3030).
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_smtp(room_t *room) noexcept nogil
