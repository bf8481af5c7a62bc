# IEEE 802.2 LLC and SNAP (RFC 1042): what an 802.3 frame carries.
from libc.stdint cimport uint8_t

from fastpath.dataplane.events cimport EVENT_ETHERNET_PKT_TOO_SMALL
from fastpath.dataplane.wire.load cimport be16, be24
from fastpath.dataplane.wire.walk cimport NO_EVENT, STEP_DONE, STEP_IPV4, to_type, too_short, walk_t

cdef enum:
    LLC_LEN = 3                 # destination and source access point, control
    SNAP_LEN = 8                # LLC, organisation 3, type 2
    SNAP_ORGANISATION_AT = 3
    SNAP_TYPE_AT = 6
    SAP_IP = 0x06
    SAP_SNAP = 0xaa
    LLC_UNNUMBERED = 0x03
    ORGANISATION_ETHERNET = 0x000000
    ORGANISATION_BRIDGED = 0x0000f8


cdef inline void walk_llc(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef bint snap
    if walk.end - walk.at < LLC_LEN:
        too_short(walk, EVENT_ETHERNET_PKT_TOO_SMALL)
        return
    snap = at[0] == SAP_SNAP and at[1] == SAP_SNAP and at[2] == LLC_UNNUMBERED
    if snap and walk.end - walk.at < SNAP_LEN:
        too_short(walk, EVENT_ETHERNET_PKT_TOO_SMALL)
        return
    walk.step = STEP_DONE       # other access points carry no IP: spanning tree, IS-IS, NetBIOS ...
    if snap:
        walk.at += SNAP_LEN
        if be24(at + SNAP_ORGANISATION_AT) in (ORGANISATION_ETHERNET, ORGANISATION_BRIDGED):
            to_type(walk, be16(at + SNAP_TYPE_AT), NO_EVENT)
    elif at[0] == SAP_IP and at[1] == SAP_IP:
        walk.at += LLC_LEN
        walk.step = STEP_IPV4
