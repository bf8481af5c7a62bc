# VLAN tags (IEEE 802.1Q, 802.1ad) and the tags of port extenders: VN-Tag, and the E-Tag of IEEE 802.1BR.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_ETAG_HEADER_TOO_SMALL, EVENT_ETAG_UNKNOWN_TYPE, EVENT_VLAN_HEADER_TOO_SMALL, EVENT_VLAN_TOO_MANY_LAYERS,
    EVENT_VLAN_UNKNOWN_TYPE, EVENT_VNTAG_HEADER_TOO_SMALL, EVENT_VNTAG_UNKNOWN_TYPE,
)
from fastpath.dataplane.types cimport VLANS_MAX
from fastpath.dataplane.wire.ethernet cimport ETHERNET_TYPE_AT, TYPE_QINQ, TYPE_QINQ_9100, TYPE_VLAN
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport malformed, tag_vlan, to_type, too_short, walk_t

cdef enum:
    VLAN_LEN = 4                # priority and identifier 2, type 2
    VLAN_TYPE_AT = 2
    VLAN_IDENTIFIER = 0x0fff
    VNTAG_LEN = 6
    VNTAG_TYPE_AT = 4
    ETAG_LEN = 8
    ETAG_TYPE_AT = 6


cdef inline void walk_vlan(walk_t *walk) noexcept nogil:
    if walk.vlans >= VLANS_MAX:
        malformed(walk, EVENT_VLAN_TOO_MANY_LAYERS)
        return
    if walk.end - walk.at < VLAN_LEN:
        too_short(walk, EVENT_VLAN_HEADER_TOO_SMALL)
        return
    tag_vlan(walk, be16(walk.frame + walk.at) & VLAN_IDENTIFIER)
    to_type(walk, be16(walk.frame + walk.at + VLAN_TYPE_AT), EVENT_VLAN_UNKNOWN_TYPE)
    walk.at += VLAN_LEN


cdef inline void read_vlans(const uint8_t *frame, uint32_t length, uint16_t *vlans) noexcept nogil:
    """The identifiers of an Ethernet frame's tags, for whoever tells of a packet whose key has none: they need not be
    followed."""
    cdef uint32_t at = ETHERNET_TYPE_AT, i = 0
    cdef uint16_t kind
    while i < VLANS_MAX and at + 2 + VLAN_LEN <= length:
        kind = be16(frame + at)
        if kind != TYPE_VLAN and kind != TYPE_QINQ and kind != TYPE_QINQ_9100:
            return
        vlans[i] = be16(frame + at + 2) & VLAN_IDENTIFIER
        at += VLAN_LEN
        i += 1


cdef inline void walk_vntag(walk_t *walk) noexcept nogil:
    if walk.end - walk.at < VNTAG_LEN:
        too_short(walk, EVENT_VNTAG_HEADER_TOO_SMALL)
        return
    to_type(walk, be16(walk.frame + walk.at + VNTAG_TYPE_AT), EVENT_VNTAG_UNKNOWN_TYPE)
    walk.at += VNTAG_LEN


cdef inline void walk_etag(walk_t *walk) noexcept nogil:
    if walk.end - walk.at < ETAG_LEN:
        too_short(walk, EVENT_ETAG_HEADER_TOO_SMALL)
        return
    to_type(walk, be16(walk.frame + walk.at + ETAG_TYPE_AT), EVENT_ETAG_UNKNOWN_TYPE)
    walk.at += ETAG_LEN
