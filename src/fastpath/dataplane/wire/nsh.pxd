# The network service header (RFC 8300).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_NSH_BAD_HEADER_LENGTH, EVENT_NSH_HEADER_TOO_SMALL, EVENT_NSH_RESERVED_TYPE, EVENT_NSH_UNKNOWN_PAYLOAD,
    EVENT_NSH_UNSUPPORTED_TYPE, EVENT_NSH_UNSUPPORTED_VERSION,
)
from fastpath.dataplane.wire.walk cimport STEP_ETHERNET, STEP_IPV4, STEP_IPV6, STEP_MPLS, malformed, too_short, walk_t

cdef enum:
    NSH_LEN = 8                 # version, flags, time to live and length 2, metadata type 1, next 1, path 4
    NSH_METADATA_AT = 2
    NSH_NEXT_AT = 3
    NSH_TYPE_1_LEN = 24
    NSH_NEXT_IPV4 = 1
    NSH_NEXT_IPV6 = 2
    NSH_NEXT_ETHERNET = 3
    NSH_NEXT_NSH = 4
    NSH_NEXT_MPLS = 5


cdef inline void walk_nsh(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, size
    cdef uint8_t metadata, following
    if left < NSH_LEN:
        too_short(walk, EVENT_NSH_HEADER_TOO_SMALL)
        return
    size = (at[1] & 0x3f) * 4
    metadata = at[NSH_METADATA_AT]
    following = at[NSH_NEXT_AT]
    if at[0] >> 6:
        malformed(walk, EVENT_NSH_UNSUPPORTED_VERSION)
    elif size >= left:
        too_short(walk, EVENT_NSH_BAD_HEADER_LENGTH)
    elif (size < NSH_LEN and not walk.config.compat) or (metadata == 1 and size != NSH_TYPE_1_LEN):
        malformed(walk, EVENT_NSH_BAD_HEADER_LENGTH)
    elif metadata == 0 or metadata == 15:
        malformed(walk, EVENT_NSH_RESERVED_TYPE)
    elif metadata > 2:
        malformed(walk, EVENT_NSH_UNSUPPORTED_TYPE)
    else:
        walk.at += size
        if following == NSH_NEXT_IPV4:
            walk.step = STEP_IPV4
        elif following == NSH_NEXT_IPV6:
            walk.step = STEP_IPV6
        elif following == NSH_NEXT_ETHERNET:
            walk.step = STEP_ETHERNET
        elif following == NSH_NEXT_MPLS:
            walk.step = STEP_MPLS
        else:
            malformed(walk, EVENT_NSH_UNKNOWN_PAYLOAD)
