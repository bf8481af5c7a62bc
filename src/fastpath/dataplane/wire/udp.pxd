# UDP (RFC 768) and the ports that open a tunnel or RoCE.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_CAPTURE_HEADER_CUT, EVENT_ROCE_HEADER_TOO_SMALL, EVENT_UDP_HLEN_TOO_SMALL, EVENT_UDP_LEN_INVALID,
    EVENT_UDP_PKT_TOO_SMALL, EVENT_VXLAN_UNKNOWN_PAYLOAD_TYPE, EVENT_GENEVE_UNKNOWN_PAYLOAD_TYPE,
)
from fastpath.dataplane.types cimport PM_ROCE, TUNNEL_GTPU, TUNNEL_NONE
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.roce cimport bth_checked
from fastpath.dataplane.wire.tunnel cimport read_port_tunnel
from fastpath.dataplane.wire.walk cimport (
    NO_EVENT, PORT_ROCE, STEP_DONE, carry, malformed, note, set_key, set_payload, too_short, tunnel_t, verify_transport, walk_t,
)

cdef enum:
    UDP_LEN = 8
    UDP_SOURCE_AT = 0
    UDP_DESTINATION_AT = 2
    UDP_LENGTH_AT = 4
    UDP_CHECKSUM_AT = 6
    PROTO_UDP = 17


cdef inline void walk_udp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, length
    walk.step = STEP_DONE
    if left < UDP_LEN:
        too_short(walk, EVENT_UDP_HLEN_TOO_SMALL)
        return
    length = be16(at + UDP_LENGTH_AT)
    if length < UDP_LEN:
        malformed(walk, EVENT_UDP_LEN_INVALID)
        return
    if length > left and (not walk.cut or walk.config.compat):
        too_short(walk, EVENT_UDP_PKT_TOO_SMALL)
        return
    if length < left:
        walk.end = walk.at + length
        walk.cut = False
    walk.meta.l4 = walk.at
    if at[UDP_CHECKSUM_AT] or at[UDP_CHECKSUM_AT + 1]:
        verify_transport(walk, at, length, PROTO_UDP)
    set_payload(walk, walk.at + UDP_LEN, walk.end)
    set_key(walk, walk.meta.net, PROTO_UDP, walk.source, walk.destination, be16(at), be16(at + UDP_DESTINATION_AT))
    if walk.config.port_hint[at[UDP_SOURCE_AT + 1]] | walk.config.port_hint[at[UDP_DESTINATION_AT + 1]]:
        walk_port(walk, at, walk.end - walk.at)


cdef inline void walk_port(walk_t *walk, const uint8_t *at, uint32_t left) noexcept nogil:
    """What the ports promise, if the payload keeps it. A datagram that does not is one all the same."""
    cdef uint16_t source = be16(at), destination = be16(at + UDP_DESTINATION_AT)
    cdef uint32_t i, event
    cdef uint8_t kind
    cdef tunnel_t found
    for i in range(walk.config.ports_used):
        kind = walk.config.ports[i].kind
        if destination != walk.config.ports[i].port and source != walk.config.ports[i].port:
            continue
        if walk.config.compat and (kind == PORT_ROCE or kind == TUNNEL_GTPU):
            continue
        if kind == PORT_ROCE:
            if bth_checked(at + UDP_LEN, left - UDP_LEN):
                walk.meta.flags |= PM_ROCE
            else:
                note(walk, EVENT_ROCE_HEADER_TOO_SMALL)
            return
        event = read_port_tunnel(walk.config, kind, at + UDP_LEN, left - UDP_LEN, &found)
        if event != NO_EVENT:
            if not walk.config.compat:
                note(walk, EVENT_CAPTURE_HEADER_CUT if found.short and walk.cut else <uint16_t>event)
            elif event == EVENT_VXLAN_UNKNOWN_PAYLOAD_TYPE or event == EVENT_GENEVE_UNKNOWN_PAYLOAD_TYPE:
                note(walk, <uint16_t>event)
        elif found.kind != TUNNEL_NONE:
            carry(walk, kind, walk.at + UDP_LEN)
            return
