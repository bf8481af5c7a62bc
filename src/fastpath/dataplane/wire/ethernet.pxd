# Ethernet II and IEEE 802.3 (RFC 894, RFC 1042): destination 6, source 6, type or length 2.
from libc.stdint cimport uint16_t

from fastpath.dataplane.events cimport EVENT_DCE_PKT_TOO_SMALL, EVENT_ETHERNET_PKT_TOO_SMALL, EVENT_IEEE8021AH_HEADER_TOO_SMALL
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport NO_EVENT, STEP_DONE, STEP_ETHERNET, STEP_LLC, to_type, too_short, walk_t

cdef enum:
    ETHERNET_TYPE_AT = 12
    ETHERNET_LEN = 14
    ETHERNET_LENGTH_MAX = 1500  # up to here the type is a length: IEEE 802.3
    ETHERNET_TYPE_MIN = 1536
    PBB_LEN = 18                # 802.1ah: service tag 4, customer addresses 12, type 2
    PBB_TYPE_AT = 16
    DCE_LEN = 2                 # Cisco FabricPath: the tag, then a whole Ethernet frame

cdef enum:
    TYPE_IPV4 = 0x0800
    TYPE_ARP = 0x0806
    TYPE_BRIDGE = 0x6558        # transparent Ethernet bridging, in GRE
    TYPE_RARP = 0x8035
    TYPE_VLAN = 0x8100
    TYPE_IPV6 = 0x86dd
    TYPE_MPLS = 0x8847
    TYPE_MPLS_MULTICAST = 0x8848
    TYPE_PPPOE_DISCOVERY = 0x8863
    TYPE_PPPOE_SESSION = 0x8864
    TYPE_PPP = 0x880b
    TYPE_QINQ = 0x88a8          # IEEE 802.1ad
    TYPE_ERSPAN = 0x88be
    TYPE_ERSPAN3 = 0x22eb
    TYPE_8021AH = 0x88e7
    TYPE_DCE = 0x8903
    TYPE_VNTAG = 0x8926
    TYPE_ETAG = 0x893f          # IEEE 802.1BR
    TYPE_NSH = 0x894f
    TYPE_QINQ_9100 = 0x9100     # tags of before 802.1ad
    TYPE_QINQ_9200 = 0x9200
    TYPE_QINQ_9300 = 0x9300


cdef inline void walk_ethernet(walk_t *walk) noexcept nogil:
    cdef uint16_t ethertype
    if walk.end - walk.at < ETHERNET_LEN:
        too_short(walk, EVENT_ETHERNET_PKT_TOO_SMALL)
        return
    ethertype = be16(walk.frame + walk.at + ETHERNET_TYPE_AT)
    walk.at += ETHERNET_LEN
    if ethertype <= ETHERNET_LENGTH_MAX:
        walk.step = STEP_DONE if walk.config.compat else STEP_LLC
        if walk.end - walk.at > ethertype:      # the rest is padding
            walk.end = walk.at + ethertype
            walk.cut = False
    else:
        to_type(walk, ethertype, NO_EVENT)


cdef inline void walk_8021ah(walk_t *walk) noexcept nogil:
    """Provider backbone bridging (IEEE 802.1ah): the customer's frame behind a service tag."""
    if walk.end - walk.at < PBB_LEN:
        too_short(walk, EVENT_IEEE8021AH_HEADER_TOO_SMALL)
        return
    if walk.config.compat:
        walk.layers -= 1        # Suricata does not count it
    to_type(walk, be16(walk.frame + walk.at + PBB_TYPE_AT), NO_EVENT)
    walk.at += PBB_LEN


cdef inline void walk_dce(walk_t *walk) noexcept nogil:
    if walk.end - walk.at < DCE_LEN + ETHERNET_LEN:
        too_short(walk, EVENT_DCE_PKT_TOO_SMALL)
        return
    walk.layers -= 1            # the Ethernet frame counts
    walk.at += DCE_LEN
    walk.step = STEP_ETHERNET
