# The rooms there are. A new one is entered here, and nowhere else.
from libc.stdint cimport uint32_t

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_DCERPC, ALPROTO_DNS, ALPROTO_FTP, ALPROTO_FTP_DATA, ALPROTO_HTTP1, ALPROTO_HTTP2, ALPROTO_QUIC, ALPROTO_SMB,
    ALPROTO_SMTP, ALPROTO_SSH, ALPROTO_TLS, SSH_FINISHED, app_config_t, app_work_t, room_t,
)
from fastpath.dataplane.applayer.dcerpc cimport describe_dcerpc
from fastpath.dataplane.applayer.dns cimport describe_dns
from fastpath.dataplane.applayer.ftp cimport describe_ftp
from fastpath.dataplane.applayer.ftp_data cimport describe_ftp_data
from fastpath.dataplane.applayer.http1 cimport describe_http1
from fastpath.dataplane.applayer.http2 cimport describe_http2
from fastpath.dataplane.applayer.quic cimport describe_quic, free_quic_work
from fastpath.dataplane.applayer.recognition cimport describe_probes
from fastpath.dataplane.applayer.smb cimport describe_smb
from fastpath.dataplane.applayer.smtp cimport describe_smtp
from fastpath.dataplane.applayer.ssh cimport describe_ssh
from fastpath.dataplane.applayer.tls cimport describe_tls


cdef inline void describe_rooms(room_t *rooms) noexcept nogil:
    """Fills in rooms[ALPROTO_*] of every protocol that has a parser, and of those that are but recognised."""
    describe_dcerpc(&rooms[<uint32_t> ALPROTO_DCERPC])
    describe_dns(&rooms[<uint32_t> ALPROTO_DNS])
    describe_http1(&rooms[<uint32_t> ALPROTO_HTTP1])
    describe_http2(&rooms[<uint32_t> ALPROTO_HTTP2])
    describe_quic(&rooms[<uint32_t> ALPROTO_QUIC])
    describe_smb(&rooms[<uint32_t> ALPROTO_SMB])
    describe_smtp(&rooms[<uint32_t> ALPROTO_SMTP])
    describe_ftp(&rooms[<uint32_t> ALPROTO_FTP])
    describe_ftp_data(&rooms[<uint32_t> ALPROTO_FTP_DATA])
    describe_ssh(&rooms[<uint32_t> ALPROTO_SSH])
    describe_tls(&rooms[<uint32_t> ALPROTO_TLS])
    describe_probes(rooms)


cdef inline void settle_rooms(room_t *rooms, const app_config_t *config) noexcept nogil:
    """What settings change about a room's own description."""
    # with fingerprints there is something to say until the key exchanges are over
    if config.ssh.hassh:
        rooms[<uint32_t> ALPROTO_SSH].log_at[0] = rooms[<uint32_t> ALPROTO_SSH].log_at[1] = SSH_FINISHED


cdef inline void free_kept(app_work_t *work) noexcept nogil:
    """What rooms keep in the memory of a worker."""
    free_quic_work(work.of_room[<uint32_t> ALPROTO_QUIC])
    work.of_room[<uint32_t> ALPROTO_QUIC] = NULL
