# VXLAN (RFC 7348): flags 1, reserved 3, network identifier 3, reserved 1, an Ethernet frame.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_VXLAN_BAD_FLAGS, EVENT_VXLAN_HEADER_TOO_SMALL, EVENT_VXLAN_UNKNOWN_PAYLOAD_TYPE,
)
from fastpath.dataplane.types cimport TUNNEL_NONE, TUNNEL_VXLAN
from fastpath.dataplane.wire.ethernet cimport (
    ETHERNET_LEN, ETHERNET_TYPE_AT, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, TYPE_QINQ, TYPE_QINQ_9100, TYPE_VLAN,
)
from fastpath.dataplane.wire.load cimport be16, be24
from fastpath.dataplane.wire.walk cimport LINKTYPE_ETHERNET, NO_EVENT, decode_config_t, tunnel_t

cdef enum:
    VXLAN_LEN = 8
    VXLAN_VNI_AT = 4
    VXLAN_RESERVED_AT = 7
    VXLAN_VALID = 0x08          # the identifier is valid


cdef inline uint32_t read_vxlan(const decode_config_t *config, const uint8_t *at, uint32_t left, tunnel_t *found) noexcept nogil:
    cdef uint16_t inner_type
    found.kind = TUNNEL_NONE
    found.qfi = 0
    found.short = left < VXLAN_LEN + ETHERNET_LEN
    if found.short:
        return EVENT_VXLAN_HEADER_TOO_SMALL
    if not at[0] & VXLAN_VALID or (config.compat and at[VXLAN_RESERVED_AT]):
        return EVENT_VXLAN_BAD_FLAGS
    found.id = be24(at + VXLAN_VNI_AT)
    found.inner = VXLAN_LEN
    found.linktype = LINKTYPE_ETHERNET
    if config.compat:
        inner_type = be16(at + VXLAN_LEN + ETHERNET_TYPE_AT)
        if inner_type == TYPE_ARP:
            return NO_EVENT
        if inner_type not in (TYPE_IPV4, TYPE_IPV6, TYPE_VLAN, TYPE_QINQ, TYPE_QINQ_9100):
            return EVENT_VXLAN_UNKNOWN_PAYLOAD_TYPE
    found.kind = TUNNEL_VXLAN
    return NO_EVENT
