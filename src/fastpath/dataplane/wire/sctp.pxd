# SCTP (RFC 9260): the common header; its chunks are the payload.
from libc.stdint cimport uint8_t

from fastpath.dataplane.events cimport EVENT_SCTP_PKT_TOO_SMALL
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, set_key, set_payload, too_short, walk_t

cdef enum:
    SCTP_LEN = 12
    SCTP_SOURCE_AT = 0
    SCTP_DESTINATION_AT = 2
    SCTP_TAG_AT = 4
    SCTP_CHECKSUM_AT = 8
    PROTO_SCTP = 132


cdef inline void walk_sctp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    walk.step = STEP_DONE
    if walk.end - walk.at < SCTP_LEN:
        too_short(walk, EVENT_SCTP_PKT_TOO_SMALL)
        return
    walk.meta.l4 = walk.at
    set_payload(walk, walk.at + SCTP_LEN, walk.end)
    set_key(walk, walk.meta.net, PROTO_SCTP, walk.source, walk.destination, be16(at), be16(at + SCTP_DESTINATION_AT))
