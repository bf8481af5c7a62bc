# MPLS label stacks (RFC 3032) and what they carry, which no field says (RFC 4385, RFC 4928).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_MPLS_BAD_LABEL_IMPLICIT_NULL, EVENT_MPLS_BAD_LABEL_RESERVED, EVENT_MPLS_BAD_LABEL_ROUTER_ALERT,
    EVENT_MPLS_HEADER_TOO_SMALL, EVENT_MPLS_PKT_TOO_SMALL, EVENT_MPLS_UNKNOWN_PAYLOAD_TYPE,
)
from fastpath.dataplane.wire.load cimport be32
from fastpath.dataplane.wire.walk cimport STEP_DONE, STEP_ETHERNET, STEP_IPV4, STEP_IPV6, malformed, note, too_short, walk_t

cdef enum:
    MPLS_LEN = 4                # label 20 bits, traffic class 3, bottom of stack 1, time to live 8
    MPLS_BOTTOM = 0x100
    MPLS_LABEL_SHIFT = 12
    LABEL_IPV4 = 0              # explicit null
    LABEL_ROUTER_ALERT = 1
    LABEL_IPV6 = 2
    LABEL_IMPLICIT_NULL = 3
    LABEL_RESERVED_MAX = 14     # 15 announces an extended label: RFC 7274
    PSEUDOWIRE_LEN = 4          # control word


cdef inline void walk_mpls(walk_t *walk) noexcept nogil:
    cdef uint32_t shim = 0, label
    cdef uint8_t guess
    while not shim & MPLS_BOTTOM:
        if walk.end - walk.at < MPLS_LEN:
            too_short(walk, EVENT_MPLS_HEADER_TOO_SMALL)
            return
        shim = be32(walk.frame + walk.at)
        walk.at += MPLS_LEN
    label = shim >> MPLS_LABEL_SHIFT
    if label == LABEL_IPV4:
        walk.step = STEP_IPV4
        return
    if label == LABEL_IPV6:
        walk.step = STEP_IPV6
        return
    if label <= LABEL_RESERVED_MAX:
        note(walk, EVENT_MPLS_BAD_LABEL_ROUTER_ALERT if label == LABEL_ROUTER_ALERT
             else EVENT_MPLS_BAD_LABEL_IMPLICIT_NULL if label == LABEL_IMPLICIT_NULL else EVENT_MPLS_BAD_LABEL_RESERVED)
        walk.step = STEP_DONE
        return
    if walk.end - walk.at < PSEUDOWIRE_LEN:
        too_short(walk, EVENT_MPLS_PKT_TOO_SMALL)
        return
    guess = walk.frame[walk.at] >> 4
    if guess == 4:
        walk.step = STEP_IPV4
    elif guess == 6:
        walk.step = STEP_IPV6
    elif guess == 0:
        walk.at += PSEUDOWIRE_LEN
        walk.step = STEP_ETHERNET
    else:
        malformed(walk, EVENT_MPLS_UNKNOWN_PAYLOAD_TYPE)
