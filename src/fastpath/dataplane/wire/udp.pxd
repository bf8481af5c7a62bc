# UDP (RFC 768) and the ports that open a tunnel or RoCE.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_UDP_HLEN_TOO_SMALL, EVENT_UDP_LEN_INVALID, EVENT_UDP_PKT_TOO_SMALL,
)
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, malformed, set_key, set_payload, too_short, verify_transport, walk_t

cdef enum:
    UDP_LEN = 8
    UDP_SOURCE_AT = 0
    UDP_DESTINATION_AT = 2
    UDP_LENGTH_AT = 4
    UDP_CHECKSUM_AT = 6
    PROTO_UDP = 17


cdef inline void walk_udp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, length
    walk.step = STEP_DONE
    if left < UDP_LEN:
        too_short(walk, EVENT_UDP_HLEN_TOO_SMALL)
        return
    length = be16(at + UDP_LENGTH_AT)
    if length < UDP_LEN:
        malformed(walk, EVENT_UDP_LEN_INVALID)
        return
    if length > left and (not walk.cut or walk.config.compat):
        too_short(walk, EVENT_UDP_PKT_TOO_SMALL)
        return
    if length < left:
        walk.end = walk.at + length
        walk.cut = False
    walk.meta.l4 = walk.at
    if at[UDP_CHECKSUM_AT] or at[UDP_CHECKSUM_AT + 1]:
        verify_transport(walk, at, length, PROTO_UDP)
    set_payload(walk, walk.at + UDP_LEN, walk.end)
    set_key(walk, walk.meta.net, PROTO_UDP, walk.source, walk.destination, be16(at), be16(at + UDP_DESTINATION_AT))
