# The rooms there are. A new one is entered here, and nowhere else.
from libc.stdint cimport uint32_t

from fastpath.dataplane.applayer.applayer cimport ALPROTO_DNS, ALPROTO_FTP, ALPROTO_FTP_DATA, ALPROTO_HTTP1, ALPROTO_SMTP, room_t
from fastpath.dataplane.applayer.dns cimport describe_dns
from fastpath.dataplane.applayer.ftp cimport describe_ftp
from fastpath.dataplane.applayer.ftp_data cimport describe_ftp_data
from fastpath.dataplane.applayer.http1 cimport describe_http1
from fastpath.dataplane.applayer.smtp cimport describe_smtp


cdef inline void describe_rooms(room_t *rooms) noexcept nogil:
    """Fills in rooms[ALPROTO_*] of every protocol that has a parser."""
    describe_http1(&rooms[<uint32_t> ALPROTO_HTTP1])
    describe_dns(&rooms[<uint32_t> ALPROTO_DNS])
    describe_smtp(&rooms[<uint32_t> ALPROTO_SMTP])
    describe_ftp(&rooms[<uint32_t> ALPROTO_FTP])
    describe_ftp_data(&rooms[<uint32_t> ALPROTO_FTP_DATA])
