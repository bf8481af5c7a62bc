# GENEVE (RFC 8926): version and option length 1, flags 1, protocol 2, network identifier 3, reserved 1, options.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_GENEVE_HEADER_TOO_SMALL, EVENT_GENEVE_UNKNOWN_PAYLOAD_TYPE, EVENT_GENEVE_UNSUPPORTED_VERSION,
)
from fastpath.dataplane.types cimport TUNNEL_GENEVE, TUNNEL_NONE
from fastpath.dataplane.wire.ethernet cimport TYPE_ARP, TYPE_BRIDGE, TYPE_IPV4, TYPE_IPV6
from fastpath.dataplane.wire.load cimport be16, be24
from fastpath.dataplane.wire.walk cimport LINKTYPE_ETHERNET, LINKTYPE_IPV4, LINKTYPE_IPV6, NO_EVENT, decode_config_t, tunnel_t

cdef enum:
    GENEVE_LEN = 8
    GENEVE_PROTOCOL_AT = 2
    GENEVE_VNI_AT = 4
    GENEVE_RESERVED_AT = 7
    GENEVE_OPTION_LEN = 4       # class 2, type 1, length of the data in words 1


cdef inline uint32_t read_geneve(const decode_config_t *config, const uint8_t *at, uint32_t left, tunnel_t *found) noexcept nogil:
    cdef uint32_t size, option = GENEVE_LEN
    cdef uint16_t protocol
    found.kind = TUNNEL_NONE
    found.qfi = 0
    found.short = left < GENEVE_LEN
    if found.short:
        return EVENT_GENEVE_HEADER_TOO_SMALL
    if at[0] >> 6 or (config.compat and (at[1] & 0x3f or at[GENEVE_RESERVED_AT])):
        return EVENT_GENEVE_UNSUPPORTED_VERSION
    size = GENEVE_LEN + (at[0] & 0x3f) * 4
    found.short = left < size
    if found.short:
        return EVENT_GENEVE_HEADER_TOO_SMALL
    while option < size:
        option += GENEVE_OPTION_LEN + (at[option + 3] & 0x1f) * 4
    if option != size:
        return EVENT_GENEVE_HEADER_TOO_SMALL
    found.id = be24(at + GENEVE_VNI_AT)
    found.inner = size
    protocol = be16(at + GENEVE_PROTOCOL_AT)
    if protocol == TYPE_BRIDGE:
        found.linktype = LINKTYPE_ETHERNET
    elif protocol == TYPE_IPV4:
        found.linktype = LINKTYPE_IPV4
    elif protocol == TYPE_IPV6:
        found.linktype = LINKTYPE_IPV6
    elif protocol == TYPE_ARP:
        return NO_EVENT
    else:
        return EVENT_GENEVE_UNKNOWN_PAYLOAD_TYPE
    found.kind = TUNNEL_GENEVE
    return NO_EVENT
