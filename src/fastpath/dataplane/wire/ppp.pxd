# PPP (RFC 1661, RFC 1662), with or without address and control, its protocol field whole or compressed.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_PPP_IP4_PKT_TOO_SMALL, EVENT_PPP_IP6_PKT_TOO_SMALL, EVENT_PPP_PKT_TOO_SMALL, EVENT_PPP_UNSUP_PROTO,
    EVENT_PPP_VJU_PKT_TOO_SMALL, EVENT_PPP_WRONG_TYPE,
)
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, STEP_IPV4, STEP_IPV6, STEP_MPLS, malformed, too_short, walk_t

cdef enum:
    PPP_LEN = 4                 # address 1, control 1, protocol 2
    PPP_ADDRESS = 0xff
    PPP_IPV4 = 0x0021
    PPP_VJ_UNCOMPRESSED = 0x002f
    PPP_IPV6 = 0x0057
    PPP_MPLS = 0x0281
    PPP_MPLS_MULTICAST = 0x0283
    IPV4_LEAST = 20
    IPV6_LEAST = 40


cdef inline bint ppp_known(uint16_t protocol) noexcept nogil:
    """Assigned, yet what it carries is not decoded: other networks, bridging, compression, control protocols (IANA PPP)."""
    return protocol in (0x0023, 0x0025, 0x0027, 0x0029, 0x002b, 0x002d, 0x0031, 0x0033, 0x0035, 0x0201, 0x0231, 0x0233, 0x0281,
                        0x0283, 0x8021, 0x8023, 0x8025, 0x8027, 0x8029, 0x802b, 0x8033, 0x8035, 0x8057, 0x8281, 0xc021, 0xc023,
                        0xc025, 0xc223)


cdef inline void walk_ppp_protocol(walk_t *walk, uint16_t protocol, uint16_t unknown_event) noexcept nogil:
    """What follows the protocol field, whose place differs between PPP and PPPoE."""
    cdef uint32_t left = walk.end - walk.at
    walk.step = STEP_DONE
    if protocol == PPP_IPV4:
        if left < IPV4_LEAST:
            too_short(walk, EVENT_PPP_IP4_PKT_TOO_SMALL)
        else:
            walk.step = STEP_IPV4
    elif protocol == PPP_VJ_UNCOMPRESSED:
        if left < IPV4_LEAST:
            too_short(walk, EVENT_PPP_VJU_PKT_TOO_SMALL)
        elif walk.frame[walk.at] >> 4 == 4:
            walk.step = STEP_IPV4
    elif protocol == PPP_IPV6:
        if left < IPV6_LEAST:
            too_short(walk, EVENT_PPP_IP6_PKT_TOO_SMALL)
        else:
            walk.step = STEP_IPV6
    elif (protocol == PPP_MPLS or protocol == PPP_MPLS_MULTICAST) and not walk.config.compat:
        walk.step = STEP_MPLS
    else:
        malformed(walk, EVENT_PPP_UNSUP_PROTO if ppp_known(protocol) else unknown_event)
        walk.failed = False         # it is PPP all the same


cdef inline void walk_ppp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t skip
    cdef uint16_t protocol
    if walk.end - walk.at < PPP_LEN:
        too_short(walk, EVENT_PPP_PKT_TOO_SMALL)
        return
    skip = 2 if at[0] == PPP_ADDRESS else 0         # address and control may have been negotiated away
    if at[skip] & 1:                                # the last byte of the protocol is odd, all others are even
        walk.at += skip + 1
        walk_ppp_protocol(walk, at[skip], EVENT_PPP_UNSUP_PROTO)
        return
    protocol = be16(at + skip)
    walk.at += skip + 2
    walk_ppp_protocol(walk, protocol, EVENT_PPP_UNSUP_PROTO if protocol in (0x00fd, 0x80fd, 0xc029) else EVENT_PPP_WRONG_TYPE)
