# The rooms there are. A new one is entered here, and nowhere else.
from fastpath.dataplane.applayer.applayer cimport room_t


cdef inline void describe_rooms(room_t *rooms) noexcept nogil:
    """Fills in rooms[ALPROTO_*] of every protocol that has a parser."""
    pass
