# The rooms there are. A new one is entered here, and nowhere else.
from libc.stdint cimport uint32_t

from fastpath.dataplane.applayer.applayer cimport ALPROTO_SSH, ALPROTO_TLS, SSH_FINISHED, app_config_t, room_t
from fastpath.dataplane.applayer.ssh cimport describe_ssh
from fastpath.dataplane.applayer.tls cimport describe_tls


cdef inline void describe_rooms(room_t *rooms) noexcept nogil:
    """Fills in rooms[ALPROTO_*] of every protocol that has a parser."""
    describe_tls(&rooms[<uint32_t> ALPROTO_TLS])
    describe_ssh(&rooms[<uint32_t> ALPROTO_SSH])


cdef inline void settle_rooms(room_t *rooms, const app_config_t *config) noexcept nogil:
    """What settings change about a room's own description."""
    # with fingerprints there is something to say until the key exchanges are over
    if config.ssh.hassh:
        rooms[<uint32_t> ALPROTO_SSH].log_at[0] = rooms[<uint32_t> ALPROTO_SSH].log_at[1] = SSH_FINISHED
