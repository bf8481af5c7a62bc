# recognition: which protocol the first bytes of a direction are. recognition.h says by what.
#
# Patterns are tried first, then the probing functions of the server's port, then those of the client's. A direction is through
# with patterns when it is longer than any of them, and with probes when all of its ports have said no; what is left open is
# asked again, with more bytes. What one side was recognised as is asked about first on the other.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport app_config_t, app_context_t, room_t

cdef enum:
    PATTERNS_MAX = 80           # of one transport and direction
    PORTS_MAX = 64
    ASKED_MAX = 6               # probes of one port

cdef enum tried:                # app_t.tried[direction]: what is over
    TRIED_PATTERNS = 1 << 0
    TRIED_PROBES = 1 << 1
    TRIED_EXPECTED = 1 << 2
    TRIED_ALL = 3               # what can be tried again with more bytes

cdef enum:
    EITHER_WAY = 1 << 30        # in `flags`: the session was picked up midstream, its client may be the server

cdef struct hint_t:             # a port and whom to ask about it
    uint16_t port
    uint8_t asked, asked_source
    uint8_t probe[6]            # rows of probe_rows: where it is the server's
    uint8_t source[6]           # where it is the client's
    uint32_t mask               # 1 << protocol of all of these

cdef struct recogniser_t:
    uint8_t pattern[2][2][80]   # rows of pattern_rows, by transport and direction
    uint64_t begins[2][2][32][2]    # by the low bits of the first byte, which either case shares: 1 << those that may stand there
    uint32_t patterns[2][2]
    uint32_t depth[2][2]        # bytes that the longest pattern needs
    uint32_t probed_depth[2][2]  # and with a probe's word on it
    hint_t hint[2][64]          # by transport
    uint64_t hinted[2][64]      # by the low bits of a port: 1 << hints that may be of it
    uint32_t hints[2]

# Reads the lists for the protocols that are on. `settings`: of dispatch (tcp_ports, udp_ports, and *_source_ports).
cdef void open_recogniser(recogniser_t *recogniser, const app_config_t *config, settings) except *

# Sets room_t.recognise of the protocols that have no room.
cdef void describe_probes(room_t *rooms) noexcept nogil

# What the bytes are; ALPROTO_UNKNOWN while nobody knows: app_t.tried says whether more bytes could change that. `server_port`:
# to be asked about in place of the flow's, 0 for the flow's. reversed[0]: they are those of the other direction.
cdef uint8_t recognise_protocol(const recogniser_t *recogniser, const room_t *rooms, app_context_t *context, uint32_t direction,
                                const uint8_t *data, uint32_t length, uint32_t flags, uint16_t server_port,
                                bint *reversed) noexcept nogil

cdef inline bint gave_up(const app_context_t *context, uint32_t direction) noexcept nogil:
    """Would more bytes of a direction change nothing?"""
    return context.app.tried[direction] & TRIED_ALL == TRIED_ALL
