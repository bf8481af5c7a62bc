# The packet that an ICMP error quotes (RFC 792, RFC 4443 section 3): its flow is the error's flow.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6, PM_QUOTED
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport set_key, walk_t

cdef enum:
    QUOTED_TCP = 6
    QUOTED_UDP = 17
    QUOTED_ICMP = 1
    QUOTED_ICMPV6 = 58
    QUOTED_SCTP = 132
    QUOTED_ESP = 50


cdef inline uint16_t icmp_counterpart(uint8_t kind) noexcept nogil:
    """The type that answers, or that asks; 0 where there is none, which leaves either direction a flow of its own."""
    if kind == 8 or kind == 0:          # echo
        return <uint16_t>(8 - kind)
    if kind == 13 or kind == 14:        # timestamp
        return 27 - kind
    if kind == 15 or kind == 16:        # information
        return 31 - kind
    if kind == 17 or kind == 18:        # address mask
        return 35 - kind
    if kind == 9 or kind == 10:         # router advertisement and solicitation
        return 19 - kind
    return 0


cdef inline uint16_t icmpv6_counterpart(uint8_t kind) noexcept nogil:
    if kind == 128 or kind == 129:      # echo
        return 257 - kind
    if kind == 130 or kind == 131:      # listener query and report
        return 261 - kind
    if kind == 133 or kind == 134:      # router solicitation and advertisement
        return 267 - kind
    if kind == 135 or kind == 136:      # neighbour solicitation and advertisement
        return 271 - kind
    if kind == 139 or kind == 140:      # node information
        return 279 - kind
    if kind == 144 or kind == 145:      # home agent address discovery
        return 289 - kind
    if kind == 146 or kind == 147:      # mobile prefix solicitation and advertisement
        return 293 - kind
    if kind == 148 or kind == 149:      # certification path solicitation and advertisement
        return 297 - kind
    return 0


cdef inline void key_quoted(walk_t *walk, uint8_t net, uint8_t proto, const uint8_t *source, const uint8_t *destination,
                            const uint8_t *transport, uint32_t left) noexcept nogil:
    """The key of the quoted packet. The error travels against it, towards the quoted source, so its ends are turned."""
    cdef uint16_t from_port = 0, to_port = 0
    if proto in (QUOTED_TCP, QUOTED_UDP, QUOTED_SCTP):
        if left < 4:
            return
        from_port = be16(transport)
        to_port = be16(transport + 2)
    elif (proto == QUOTED_ICMP and net == NET_IPV4) or (proto == QUOTED_ICMPV6 and net == NET_IPV6):
        if left < 1:
            return
        from_port = transport[0]
        to_port = icmp_counterpart(transport[0]) if net == NET_IPV4 else icmpv6_counterpart(transport[0])
    elif proto != QUOTED_ESP:
        return
    set_key(walk, net, proto, destination, source, to_port, from_port)
    walk.meta.flags |= PM_QUOTED
