# AH (RFC 4302) over IPv4: what it protects follows in the clear. Over IPv6 it is one of the extension headers.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport EVENT_AH_BAD_LENGTH, EVENT_AH_PKT_TOO_SMALL
from fastpath.dataplane.wire.walk cimport STEP_TRANSPORT, malformed, too_short, walk_t

cdef enum:
    AH_LEN = 12                 # next header, length in words less two, reserved 2, security parameters 4, sequence 4
    AH_NEXT_AT = 0
    AH_LENGTH_AT = 1
    AH_SPI_AT = 4
    PROTO_AH = 51


cdef inline void walk_ah(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, size
    if left < AH_LEN:
        too_short(walk, EVENT_AH_PKT_TOO_SMALL)
        return
    size = (at[AH_LENGTH_AT] + 2) * 4
    if size < AH_LEN:
        malformed(walk, EVENT_AH_BAD_LENGTH)
        return
    if size > left:
        too_short(walk, EVENT_AH_PKT_TOO_SMALL)
        return
    walk.meta.proto = at[AH_NEXT_AT]
    walk.at += size
    walk.step = STEP_TRANSPORT
