# ARP (RFC 826). It has no flow; the addresses are there for those who ask.
from libc.stdint cimport uint8_t

from fastpath.dataplane.events cimport EVENT_ARP_BAD_LENGTH, EVENT_ARP_PKT_TOO_SMALL
from fastpath.dataplane.types cimport NET_ARP
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, malformed, too_short, walk_t

cdef enum:
    ARP_LEN = 8                 # hardware and protocol type 4, their lengths 2, operation 2
    ARP_PROTOCOL_AT = 2
    ARP_HARDWARE_LEN_AT = 4
    ARP_PROTOCOL_LEN_AT = 5
    ARP_OPERATION_AT = 6


cdef inline void walk_arp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    walk.step = STEP_DONE
    if walk.config.compat:
        return
    if walk.end - walk.at < ARP_LEN:
        too_short(walk, EVENT_ARP_PKT_TOO_SMALL)
    elif be16(at + ARP_PROTOCOL_AT) == 0x0800 and at[ARP_PROTOCOL_LEN_AT] != 4:
        malformed(walk, EVENT_ARP_BAD_LENGTH)
    elif walk.end - walk.at < ARP_LEN + 2 * (at[ARP_HARDWARE_LEN_AT] + at[ARP_PROTOCOL_LEN_AT]):
        too_short(walk, EVENT_ARP_PKT_TOO_SMALL)
    else:
        walk.meta.net = NET_ARP
        walk.meta.l3 = walk.at
