# What a rule's header asks of an entry, and where the entry has it. One length check before every load.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport ALPROTO_UNKNOWN
from fastpath.dataplane.match.program cimport (
    NOTHING, RULE_ANY_PROTO, RULE_IPV4, RULE_IPV6, address_set_t, inspection_t, port_range_t, range4_t, range6_t, rule_t,
    ruleset_t, span_t,
)
from fastpath.dataplane.types cimport (
    NET_IPV4, NET_IPV6, NO_INDEX, PM_FRAGMENT, packet_meta_t,
)
from fastpath.dataplane.wire.load cimport be16, be32, be64

cdef enum:
    TCP = 6
    UDP = 17
    SCTP = 132
    ICMP = 1
    ICMPV6 = 58
    NO_NEXT_HEADER = 59


cdef inline uint8_t known_proto(const packet_meta_t *meta) noexcept nogil:
    """The protocol that rules see: IPv6 without a next header has none."""
    return meta.proto if meta.proto != NO_NEXT_HEADER else 0


cdef inline const uint8_t *bytes_at(const packet_meta_t *meta, uint16_t offset, uint32_t length) noexcept nogil:
    """`length` captured bytes from this offset of the entry; NULL where there are fewer."""
    if offset == NO_INDEX or offset + length > meta.caplen:
        return NULL
    return meta.frame + offset


cdef inline bint has_ports(const packet_meta_t *meta) noexcept nogil:
    return (meta.proto == TCP or meta.proto == UDP or meta.proto == SCTP) and not meta.flags & PM_FRAGMENT


cdef inline bint read_ports(const packet_meta_t *meta, uint16_t *source, uint16_t *destination) noexcept nogil:
    """False where the entry's protocol has none; 0 where the header that has them is broken."""
    cdef const uint8_t *at
    source[0] = 0
    destination[0] = 0
    if not has_ports(meta):
        return False
    at = bytes_at(meta, meta.l4, 4)
    if at != NULL:
        source[0] = be16(at)
        destination[0] = be16(at + 2)
    return True


cdef inline bint in_ports(const ruleset_t *rules, uint32_t index, uint16_t port) noexcept nogil:
    cdef span_t span = rules.port_sets[index]
    cdef const port_range_t *range_ = rules.port_ranges + span.first
    cdef uint32_t i
    for i in range(span.count):
        if port <= range_[i].high:
            return port >= range_[i].low
    return False


cdef inline bint in_v4(const ruleset_t *rules, span_t span, uint32_t address) noexcept nogil:
    cdef const range4_t *range_ = rules.v4 + span.first
    cdef uint32_t low = 0, high = span.count, middle
    while low < high:
        middle = (low + high) // 2
        if range_[middle].high < address:
            low = middle + 1
        else:
            high = middle
    return low < span.count and range_[low].low <= address


cdef inline bint in_v6(const ruleset_t *rules, span_t span, uint64_t upper, uint64_t lower) noexcept nogil:
    cdef const range6_t *range_ = rules.v6 + span.first
    cdef uint32_t low = 0, high = span.count, middle
    while low < high:
        middle = (low + high) // 2
        if range_[middle].high[0] < upper or (range_[middle].high[0] == upper and range_[middle].high[1] < lower):
            low = middle + 1
        else:
            high = middle
    if low == span.count:
        return False
    range_ += low
    return range_.low[0] < upper or (range_.low[0] == upper and range_.low[1] <= lower)


cdef inline bint in_set(const ruleset_t *rules, uint32_t index, const packet_meta_t *meta, bint destination) noexcept nogil:
    """Is the entry's source or destination address in this set? Without an IP header no address is asked."""
    cdef const address_set_t *known = &rules.sets[index]
    cdef const uint8_t *at
    if meta.net == NET_IPV4:
        at = bytes_at(meta, meta.l3, 20)
        return at != NULL and in_v4(rules, known.v4, be32(at + (16 if destination else 12)))
    if meta.net == NET_IPV6:
        at = bytes_at(meta, meta.l3, 40)
        if at == NULL:
            return False
        at += 24 if destination else 8
        return in_v6(rules, known.v6, be64(at), be64(at + 8))
    return True


cdef inline bint header_holds(const ruleset_t *rules, const rule_t *rule, const packet_meta_t *meta, bint ports,
                              uint16_t source, uint16_t destination) noexcept nogil:
    """Protocol, ports and addresses of a rule against an entry. `ports`: the entry has them."""
    if rule.flags & RULE_IPV4 and meta.net != NET_IPV4 or rule.flags & RULE_IPV6 and meta.net != NET_IPV6:
        return False
    if not rule.flags & RULE_ANY_PROTO and (
            meta.net != NET_IPV4 and meta.net != NET_IPV6 or meta.proto != rule.proto and meta.proto != rule.proto2):
        return False
    if rule.dport != NOTHING and (not ports or not in_ports(rules, rule.dport, destination)):
        return False
    if rule.sport != NOTHING and (not ports or not in_ports(rules, rule.sport, source)):
        return False
    return ((rule.dst == NOTHING or in_set(rules, rule.dst, meta, True))
            and (rule.src == NOTHING or in_set(rules, rule.src, meta, False)))


cdef inline bint proto_holds(const rule_t *rule, const inspection_t *inspection) noexcept nogil:
    """Is the flow of the application protocol that the rule is about, or what was decrypted of it?"""
    cdef uint8_t proto
    if rule.app == ALPROTO_UNKNOWN:
        return True
    if inspection == NULL or inspection.context == NULL:
        return False
    proto = inspection.context.app.proto
    if proto == rule.app or proto == rule.app2:
        return True
    if inspection.context.app.inner == NULL:
        return False
    proto = inspection.context.app.inner.proto
    return proto == rule.app or proto == rule.app2
