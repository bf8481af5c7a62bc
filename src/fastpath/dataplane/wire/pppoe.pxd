# PPP over Ethernet (RFC 2516): discovery and session.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_PPPOE_MALFORMED_TAGS, EVENT_PPPOE_PKT_TOO_SMALL, EVENT_PPPOE_WRONG_CODE, EVENT_PPP_WRONG_TYPE,
)
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.ppp cimport walk_ppp_protocol
from fastpath.dataplane.wire.walk cimport STEP_DONE, malformed, too_short, walk_t

cdef enum:
    PPPOE_LEN = 6               # version and type 1, code 1, session 2, length 2
    PPPOE_CODE_AT = 1
    PPPOE_LENGTH_AT = 4
    PPPOE_TAG_LEN = 4           # type 2, length 2


cdef inline void walk_pppoe_session(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    if walk.end - walk.at < PPPOE_LEN + 1:
        too_short(walk, EVENT_PPPOE_PKT_TOO_SMALL)
        return
    if be16(at + PPPOE_LENGTH_AT) == 0:
        walk.step = STEP_DONE
    elif at[PPPOE_LEN] & 1:
        walk.at += PPPOE_LEN + 1
        walk_ppp_protocol(walk, at[PPPOE_LEN], EVENT_PPP_WRONG_TYPE)
    elif walk.end - walk.at < PPPOE_LEN + 2:
        too_short(walk, EVENT_PPPOE_PKT_TOO_SMALL)
    else:
        walk.at += PPPOE_LEN + 2
        walk_ppp_protocol(walk, be16(at + PPPOE_LEN), EVENT_PPP_WRONG_TYPE)


cdef inline void walk_pppoe_discovery(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, tags, size
    walk.step = STEP_DONE
    if left < PPPOE_LEN:
        too_short(walk, EVENT_PPPOE_PKT_TOO_SMALL)
        return
    if at[PPPOE_CODE_AT] not in (0x09, 0x07, 0x19, 0x65, 0xa7):     # PADI PADO PADR PADS PADT
        malformed(walk, EVENT_PPPOE_WRONG_CODE)
        return
    tags = be16(at + PPPOE_LENGTH_AT)
    left -= PPPOE_LEN
    if tags > left:
        too_short(walk, EVENT_PPPOE_MALFORMED_TAGS)
        return
    at += PPPOE_LEN
    while tags >= PPPOE_TAG_LEN and not walk.config.compat:
        size = PPPOE_TAG_LEN + be16(at + 2)
        if size > tags:
            malformed(walk, EVENT_PPPOE_MALFORMED_TAGS)
            return
        tags -= size
        at += size
