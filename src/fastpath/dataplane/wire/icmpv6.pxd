# ICMPv6 (RFC 4443), with neighbour discovery (RFC 4861), listener discovery (RFC 2710, 3810) and the rest of IANA's list.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_ICMPV6_EXPERIMENTATION_TYPE, EVENT_ICMPV6_IPV6_TRUNC_PKT, EVENT_ICMPV6_IPV6_UNKNOWN_VERSION,
    EVENT_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL, EVENT_ICMPV6_PKT_TOO_SMALL, EVENT_ICMPV6_UNASSIGNED_TYPE,
    EVENT_ICMPV6_UNKNOWN_CODE, EVENT_ICMPV6_UNKNOWN_TYPE,
)
from fastpath.dataplane.types cimport NET_IPV6
from fastpath.dataplane.wire.ipv6 cimport (
    IPV6_DESTINATION_AT, IPV6_HOP_LIMIT_AT, IPV6_LEN, IPV6_NEXT_AT, IPV6_SOURCE_AT, IPV6_VERSION_AT,
)
from fastpath.dataplane.wire.quoted cimport icmpv6_counterpart, key_quoted
from fastpath.dataplane.wire.walk cimport STEP_DONE, note, set_key, set_payload, too_short, verify_transport, walk_t

cdef enum:
    ICMPV6_LEN = 8
    ICMPV6_TYPE_AT = 0
    ICMPV6_CODE_AT = 1
    ICMPV6_CHECKSUM_AT = 2
    ICMPV6_BODY = 12            # where Suricata's payload begins in what is neither error nor echo
    PROTO_ICMPV6 = 58

cdef enum:
    ICMPV6_UNREACHABLE = 1
    ICMPV6_TOO_BIG = 2
    ICMPV6_TIME_EXCEEDED = 3
    ICMPV6_PARAMETER_PROBLEM = 4
    ICMPV6_ECHO = 128
    ICMPV6_ECHO_REPLY = 129
    ICMPV6_LISTENER_QUERY = 130
    ICMPV6_LISTENER_DONE = 132
    ICMPV6_ROUTER_RENUMBERING = 138
    ICMPV6_NODE_QUERY = 139
    ICMPV6_NODE_REPLY = 140
    ICMPV6_RPL = 155
    ICMPV6_ASSIGNED_MAX = 159


cdef inline int icmpv6_code_max(uint8_t kind) noexcept nogil:
    """The highest code of a type."""
    if kind == ICMPV6_UNREACHABLE:
        return 6
    if kind == ICMPV6_TIME_EXCEEDED:
        return 1
    if kind in (ICMPV6_PARAMETER_PROBLEM, ICMPV6_ROUTER_RENUMBERING, ICMPV6_NODE_QUERY, ICMPV6_NODE_REPLY):
        return 2
    if kind == ICMPV6_RPL:
        return 3
    if kind >= 150 and kind <= 153:     # mobility (RFC 5568), router discovery (RFC 4286): codes of their own
        return 255
    return 0


cdef inline void walk_quoted_ipv6(walk_t *walk, const uint8_t *at, uint32_t left) noexcept nogil:
    if left < IPV6_LEN:
        note(walk, EVENT_ICMPV6_IPV6_TRUNC_PKT)
        return
    if at[IPV6_VERSION_AT] >> 4 != 6:
        note(walk, EVENT_ICMPV6_IPV6_UNKNOWN_VERSION)
        return
    if walk.config.compat:
        return
    key_quoted(walk, NET_IPV6, at[IPV6_NEXT_AT], at + IPV6_SOURCE_AT, at + IPV6_DESTINATION_AT, at + IPV6_LEN, left - IPV6_LEN)


cdef inline void walk_icmpv6(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at
    cdef uint8_t kind, code
    cdef bint quotes = False
    walk.step = STEP_DONE
    if left < ICMPV6_LEN:
        too_short(walk, EVENT_ICMPV6_PKT_TOO_SMALL)
        return
    kind = at[ICMPV6_TYPE_AT]
    code = at[ICMPV6_CODE_AT]
    walk.meta.l4 = walk.at
    walk.meta.icmp_type = kind
    walk.meta.icmp_code = code
    verify_transport(walk, at, left, PROTO_ICMPV6)
    if kind == 0 or kind == 127:
        note(walk, EVENT_ICMPV6_UNKNOWN_TYPE)
    elif kind in (100, 101, 200, 201):
        note(walk, EVENT_ICMPV6_EXPERIMENTATION_TYPE)
    elif (kind > ICMPV6_PARAMETER_PROBLEM and kind < ICMPV6_ECHO) or kind > ICMPV6_ASSIGNED_MAX:
        note(walk, EVENT_ICMPV6_UNASSIGNED_TYPE)
    else:
        quotes = kind <= ICMPV6_PARAMETER_PROBLEM
        if kind >= ICMPV6_LISTENER_QUERY and kind <= ICMPV6_LISTENER_DONE \
                and (walk.source - IPV6_SOURCE_AT)[IPV6_HOP_LIMIT_AT] != 1:
            note(walk, EVENT_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL)
        if code > icmpv6_code_max(kind):
            note(walk, EVENT_ICMPV6_UNKNOWN_CODE)
            quotes = False
    set_payload(walk, walk.at + (ICMPV6_LEN if quotes or (code == 0 and (kind == ICMPV6_ECHO or kind == ICMPV6_ECHO_REPLY))
                                 else ICMPV6_BODY if left > ICMPV6_BODY else left), walk.end)
    if quotes:
        walk_quoted_ipv6(walk, at + ICMPV6_LEN, left - ICMPV6_LEN)
        if not walk.config.compat:      # to Suricata it is a flow of its own
            return
    set_key(walk, NET_IPV6, PROTO_ICMPV6, walk.source, walk.destination, kind, icmpv6_counterpart(kind))
