# The data connections of FTP: a file, of which the control connection told (expectations.pxd).
from fastpath.dataplane.applayer.applayer cimport room_t

cdef void describe_ftp_data(room_t *room) noexcept nogil
