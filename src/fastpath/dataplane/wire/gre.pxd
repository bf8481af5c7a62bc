# GRE (RFC 2784, RFC 2890, with the source routes of RFC 1701), its version 1 for PPTP (RFC 2637), NVGRE (RFC 7637).
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_GRE_PKT_TOO_SMALL, EVENT_GRE_VERSION0_FLAGS, EVENT_GRE_VERSION0_HDR_TOO_BIG, EVENT_GRE_VERSION0_MALFORMED_SRE_HDR,
    EVENT_GRE_VERSION0_RECUR, EVENT_GRE_VERSION1_CHKSUM, EVENT_GRE_VERSION1_FLAGS, EVENT_GRE_VERSION1_HDR_TOO_BIG,
    EVENT_GRE_VERSION1_NO_KEY, EVENT_GRE_VERSION1_RECUR, EVENT_GRE_VERSION1_ROUTE,
    EVENT_GRE_VERSION1_SSR, EVENT_GRE_VERSION1_WRONG_PROTOCOL, EVENT_GRE_WRONG_VERSION,
)
from fastpath.dataplane.types cimport TUNNEL_ERSPAN, TUNNEL_GRE, TUNNEL_NONE, TUNNEL_NVGRE
from fastpath.dataplane.wire.ethernet cimport (
    TYPE_BRIDGE, TYPE_ERSPAN, TYPE_ERSPAN3, TYPE_IPV4, TYPE_IPV6, TYPE_MPLS, TYPE_MPLS_MULTICAST, TYPE_PPP, TYPE_VLAN,
)
from fastpath.dataplane.wire.load cimport be16, be32
from fastpath.dataplane.wire.walk cimport (
    LINK_MPLS, LINK_VLAN, LINKTYPE_ETHERNET, LINKTYPE_IPV4, LINKTYPE_IPV6, LINKTYPE_PPP, NO_EVENT, decode_config_t, tunnel_t,
)

cdef enum:
    GRE_LEN = 4                 # flags and version 2, protocol 2
    GRE_PROTOCOL_AT = 2
    GRE_CHECKSUM = 0x8000
    GRE_ROUTING = 0x4000
    GRE_KEY = 0x2000
    GRE_SEQUENCE = 0x1000
    GRE_STRICT_ROUTE = 0x0800
    GRE_RECURSION = 0x0700
    GRE_ACK = 0x0080            # of version 1
    GRE_RESERVED = 0x0078
    GRE_VERSION = 0x0007
    GRE_ROUTE_LEN = 4           # address family 2, offset 1, length 1
    PROTO_GRE = 47


cdef inline uint32_t read_gre(const decode_config_t *config, const uint8_t *at, uint32_t left, tunnel_t *found) noexcept nogil:
    """The event of the header, or NO_EVENT; then `found.kind` says whether what it carries can be decoded."""
    cdef uint32_t size = GRE_LEN
    cdef uint16_t flags, protocol
    cdef bint one
    found.kind = TUNNEL_NONE
    found.id = 0
    found.qfi = 0
    found.short = left < GRE_LEN
    if found.short:
        return EVENT_GRE_PKT_TOO_SMALL
    flags = be16(at)
    protocol = be16(at + GRE_PROTOCOL_AT)
    if flags & GRE_VERSION > 1:
        return EVENT_GRE_WRONG_VERSION
    one = flags & GRE_VERSION == 1
    if one:
        if flags & GRE_CHECKSUM:
            return EVENT_GRE_VERSION1_CHKSUM
        if flags & GRE_ROUTING:
            return EVENT_GRE_VERSION1_ROUTE
        if flags & GRE_STRICT_ROUTE:
            return EVENT_GRE_VERSION1_SSR
        if flags & GRE_RECURSION:
            return EVENT_GRE_VERSION1_RECUR
        if flags & GRE_RESERVED:
            return EVENT_GRE_VERSION1_FLAGS
        if protocol != TYPE_PPP:
            return EVENT_GRE_VERSION1_WRONG_PROTOCOL
        if not flags & GRE_KEY:
            return EVENT_GRE_VERSION1_NO_KEY
        size += 4
        if flags & GRE_SEQUENCE:
            size += 4
        if flags & GRE_ACK:
            size += 4
    else:
        if flags & GRE_RECURSION:
            return EVENT_GRE_VERSION0_RECUR
        if flags & GRE_RESERVED:
            return EVENT_GRE_VERSION0_FLAGS
        if flags & (GRE_CHECKSUM | GRE_ROUTING):
            size += 4
        if flags & GRE_KEY:
            size += 4
        if flags & GRE_SEQUENCE:
            size += 4
    found.short = size > left
    if found.short:
        return EVENT_GRE_VERSION1_HDR_TOO_BIG if one else EVENT_GRE_VERSION0_HDR_TOO_BIG
    if flags & GRE_KEY:
        found.id = be32(at + GRE_LEN + (4 if flags & (GRE_CHECKSUM | GRE_ROUTING) else 0))
        if one:
            found.id &= 0xffff                      # the call, behind the length of the payload
    if flags & GRE_ROUTING:
        while True:
            found.short = left - size < GRE_ROUTE_LEN
            if found.short:
                return EVENT_GRE_VERSION0_MALFORMED_SRE_HDR
            if be16(at + size) == 0 and at[size + 3] == 0:
                size += GRE_ROUTE_LEN
                break
            found.short = left - size - GRE_ROUTE_LEN < at[size + 3]
            if found.short:
                return EVENT_GRE_VERSION0_MALFORMED_SRE_HDR
            size += GRE_ROUTE_LEN + at[size + 3]
    found.inner = size
    found.kind = TUNNEL_GRE
    if protocol == TYPE_IPV4:
        found.linktype = LINKTYPE_IPV4
    elif protocol == TYPE_IPV6:
        found.linktype = LINKTYPE_IPV6
    elif protocol == TYPE_PPP:
        found.linktype = LINKTYPE_PPP
        if one and be16(at + GRE_LEN) == 0:         # an acknowledgement
            found.kind = TUNNEL_NONE
    elif protocol == TYPE_VLAN:
        found.linktype = LINK_VLAN
    elif protocol == TYPE_BRIDGE:
        found.linktype = LINKTYPE_ETHERNET
        if flags & (GRE_KEY | GRE_CHECKSUM | GRE_SEQUENCE) == GRE_KEY:
            found.kind = TUNNEL_NVGRE
            found.id >>= 8                          # the virtual subnet; the last byte tells flows apart
    elif protocol == TYPE_ERSPAN:
        found.kind = TUNNEL_ERSPAN
        found.linktype = LINKTYPE_ETHERNET
        if not flags & GRE_SEQUENCE and not config.erspan_type1:
            found.kind = TUNNEL_NONE
    elif protocol == TYPE_ERSPAN3 and not config.compat:
        found.kind = TUNNEL_ERSPAN
        found.linktype = LINKTYPE_ETHERNET
    elif protocol in (TYPE_MPLS, TYPE_MPLS_MULTICAST) and not config.compat:
        found.linktype = LINK_MPLS
    else:
        found.kind = TUNNEL_NONE
    return NO_EVENT
