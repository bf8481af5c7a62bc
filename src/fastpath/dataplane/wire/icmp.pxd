# ICMP (RFC 792, 950, 1256, 1393, 8335).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_ICMPV4_IPV4_TRUNC_PKT, EVENT_ICMPV4_IPV4_UNKNOWN_VER, EVENT_ICMPV4_PKT_TOO_SMALL, EVENT_ICMPV4_UNKNOWN_CODE,
    EVENT_ICMPV4_UNKNOWN_TYPE,
)
from fastpath.dataplane.types cimport NET_IPV4, PM_L4_CHECKSUM
from fastpath.dataplane.wire.checksum cimport checksum_wrong
from fastpath.dataplane.wire.ipv4 cimport (
    IPV4_DESTINATION_AT, IPV4_FRAGMENT_AT, IPV4_LEN, IPV4_OFFSET, IPV4_PROTO_AT, IPV4_SOURCE_AT, IPV4_VERSION_AT,
)
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.quoted cimport icmp_counterpart, key_quoted
from fastpath.dataplane.wire.walk cimport STEP_DONE, note, set_key, set_payload, too_short, walk_t

cdef enum:
    ICMP_LEN = 8                # type, code, checksum 2, rest of header 4
    ICMP_TIMESTAMP_LEN = 20     # with three stamps
    ICMP_TYPE_AT = 0
    ICMP_CODE_AT = 1
    ICMP_ROUTERS_AT = 4         # of an advertisement: how many, and the words that each has (RFC 1256)
    ICMP_ROUTER_WORDS_AT = 5
    ICMP_CHECKSUM_AT = 2
    ICMP_ID_AT = 4
    ICMP_SEQ_AT = 6
    PROTO_ICMP = 1

cdef enum:
    ICMP_ECHO_REPLY = 0
    ICMP_UNREACHABLE = 3
    ICMP_SOURCE_QUENCH = 4
    ICMP_REDIRECT = 5
    ICMP_ECHO = 8
    ICMP_ROUTER_ADVERTISEMENT = 9
    ICMP_ROUTER_SOLICITATION = 10
    ICMP_TIME_EXCEEDED = 11
    ICMP_PARAMETER_PROBLEM = 12
    ICMP_TIMESTAMP = 13
    ICMP_TIMESTAMP_REPLY = 14
    ICMP_ADDRESS_REPLY = 18


cdef inline int icmp_code_max(uint8_t kind) noexcept nogil:
    """The highest code of a type; -1 for an unknown type."""
    if kind == ICMP_UNREACHABLE:
        return 15
    if kind == ICMP_REDIRECT:
        return 3
    if kind == ICMP_TIME_EXCEEDED:
        return 1
    if kind == ICMP_ROUTER_ADVERTISEMENT:
        return 255
    if kind in (ICMP_ECHO_REPLY, ICMP_SOURCE_QUENCH, ICMP_ECHO, ICMP_PARAMETER_PROBLEM) \
            or (kind >= ICMP_TIMESTAMP and kind <= ICMP_ADDRESS_REPLY):
        return 0
    return -1


cdef inline bint icmp_is_error(uint8_t kind) noexcept nogil:
    return kind in (ICMP_UNREACHABLE, ICMP_SOURCE_QUENCH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, ICMP_PARAMETER_PROBLEM)


cdef inline void walk_quoted_ipv4(walk_t *walk, const uint8_t *at, uint32_t left) noexcept nogil:
    cdef uint32_t header
    if left < IPV4_LEN:
        note(walk, EVENT_ICMPV4_IPV4_TRUNC_PKT)
        return
    if at[IPV4_VERSION_AT] >> 4 != 4:
        note(walk, EVENT_ICMPV4_IPV4_UNKNOWN_VER)
        return
    header = (at[IPV4_VERSION_AT] & 0x0f) * 4
    if header < IPV4_LEN or header > left or be16(at + IPV4_FRAGMENT_AT) & IPV4_OFFSET:
        return
    if walk.config.compat and walk.meta.icmp_type != ICMP_UNREACHABLE:
        return                  # of the others Suricata does not look up the flow
    key_quoted(walk, NET_IPV4, at[IPV4_PROTO_AT], at + IPV4_SOURCE_AT, at + IPV4_DESTINATION_AT, at + header, left - header)


cdef inline void walk_icmp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at
    cdef uint32_t header = ICMP_LEN, routers
    cdef bint stamps
    cdef uint8_t kind
    cdef int code_max
    walk.step = STEP_DONE
    if left < ICMP_LEN:
        too_short(walk, EVENT_ICMPV4_PKT_TOO_SMALL)
        return
    kind = at[ICMP_TYPE_AT]
    walk.meta.l4 = walk.at
    walk.meta.icmp_type = kind
    walk.meta.icmp_code = at[ICMP_CODE_AT]
    if walk.config.checksums and not walk.cut and checksum_wrong(0, at, left):
        walk.meta.flags |= PM_L4_CHECKSUM
    stamps = kind == ICMP_TIMESTAMP or kind == ICMP_TIMESTAMP_REPLY
    if stamps and left >= ICMP_TIMESTAMP_LEN:
        header = ICMP_TIMESTAMP_LEN
    elif kind == ICMP_ROUTER_ADVERTISEMENT:
        routers = <uint32_t> at[ICMP_ROUTERS_AT] * at[ICMP_ROUTER_WORDS_AT] * 4
        if routers <= left - ICMP_LEN:
            header += routers
    set_payload(walk, walk.at + header, walk.end)
    code_max = icmp_code_max(kind)
    if code_max < 0:
        note(walk, EVENT_ICMPV4_UNKNOWN_TYPE)
    elif at[ICMP_CODE_AT] > code_max:
        note(walk, EVENT_ICMPV4_UNKNOWN_CODE)
    elif icmp_is_error(kind) and (left > ICMP_LEN or kind == ICMP_SOURCE_QUENCH):
        walk_quoted_ipv4(walk, at + ICMP_LEN, left - ICMP_LEN)
    if icmp_is_error(kind):     # has no flow of its own
        return
    if stamps and left < ICMP_TIMESTAMP_LEN:
        note(walk, EVENT_ICMPV4_IPV4_TRUNC_PKT)
    set_key(walk, NET_IPV4, PROTO_ICMP, walk.source, walk.destination, kind, icmp_counterpart(kind))
