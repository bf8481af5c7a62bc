# What the keywords on headers ask of an entry.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport ALPROTO_UNKNOWN
from fastpath.dataplane.match.flowbits cimport flowbit_read
from fastpath.dataplane.match.header cimport ICMP, ICMPV6, TCP, UDP, be16, be32, bytes_at, known_proto
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.types cimport (
    NET_IPV4, NET_IPV6, NO_INDEX, PM_ESTABLISHED, PM_FLOW, PM_FRAGMENT, PM_OUTER, PM_REASSEMBLED, PM_TO_CLIENT, burst_t, flow_t,
    packet_meta_t,
)

cdef enum:
    IPV6_FRAGMENT = 44


cdef inline const uint8_t *transport(const packet_meta_t *meta, uint8_t proto, uint32_t length) noexcept nogil:
    if meta.proto != proto or meta.flags & PM_FRAGMENT:
        return NULL
    return bytes_at(meta, meta.l4, length)


cdef inline bint ipv6_fragment_offset(const packet_meta_t *meta, uint64_t *value) noexcept nogil:
    """Walks the extension headers to the fragment header; False where there is none."""
    cdef const uint8_t *at = bytes_at(meta, meta.l3, 40)
    cdef uint32_t offset = meta.l3 + 40
    cdef uint8_t header
    if at == NULL:
        return False
    header = at[6]
    while offset < NO_INDEX:
        at = bytes_at(meta, <uint16_t> offset, 8)
        if at == NULL:
            return False
        if header == IPV6_FRAGMENT:
            value[0] = be16(at + 2) >> 3
            return True
        if header != 0 and header != 43 and header != 60 and header != 135:
            return False
        header = at[0]
        offset += (at[1] + 1) * 8
    return False


cdef inline bint tcp_mss(const packet_meta_t *meta, uint64_t *value) noexcept nogil:
    cdef const uint8_t *at = transport(meta, TCP, 20)
    cdef uint32_t length, i = 20
    if at == NULL:
        return False
    length = (at[12] >> 4) * 4
    at = transport(meta, TCP, length)
    if at == NULL:
        return False
    while i < length:
        if at[i] == 0:
            return False
        if at[i] == 1:
            i += 1
            continue
        if i + 1 >= length or at[i + 1] < 2 or i + at[i + 1] > length:
            return False
        if at[i] == 2 and at[i + 1] == 4:
            value[0] = be16(at + i + 2)
            return True
        i += at[i + 1]
    return False


cdef inline bint icmp_echo_word(const packet_meta_t *meta, uint32_t offset, uint64_t *value) noexcept nogil:
    """The identifier (offset 4) or sequence (6) of the ICMP messages that have them."""
    cdef const uint8_t *at
    cdef uint8_t kind
    if meta.proto == ICMP:
        at = transport(meta, ICMP, 8)
        if at == NULL:
            return False
        kind = at[0]
        if kind != 0 and kind != 8 and (kind < 13 or kind > 18):
            return False
    else:
        at = transport(meta, ICMPV6, 8)
        if at == NULL or at[0] != 128 and at[0] != 129:
            return False
    value[0] = be16(at + offset)
    return True


cdef inline bint read_field(const packet_meta_t *meta, uint32_t field, uint64_t *value) noexcept nogil:
    """A header number; False where the entry does not have it."""
    cdef const uint8_t *at
    if field == FIELD_TCP_FLAGS:
        value[0] = meta.tcp_flags
        return transport(meta, TCP, 20) != NULL
    if field == FIELD_ITYPE or field == FIELD_ICODE:
        value[0] = meta.icmp_type if field == FIELD_ITYPE else meta.icmp_code
        return transport(meta, ICMP, 4) != NULL or transport(meta, ICMPV6, 4) != NULL
    if field == FIELD_IP_PROTO:
        value[0] = known_proto(meta)
        return meta.net == NET_IPV4 or meta.net == NET_IPV6
    if field == FIELD_TTL or field == FIELD_TOS or field == FIELD_IP_ID or field == FIELD_FRAGOFFSET or field == FIELD_FRAGBITS:
        if meta.net == NET_IPV4:
            at = bytes_at(meta, meta.l3, 20)
            if at == NULL:
                return False
            if field == FIELD_TTL:
                value[0] = at[8]
            elif field == FIELD_TOS:
                value[0] = at[1]
            elif field == FIELD_IP_ID:
                value[0] = be16(at + 4)
            elif field == FIELD_FRAGOFFSET:
                value[0] = be16(at + 6) & 0x1fff
            else:
                value[0] = be16(at + 6) & 0xe000
            return True
        if meta.net != NET_IPV6:
            return False
        if field == FIELD_TTL:
            at = bytes_at(meta, meta.l3, 40)
            if at == NULL:
                return False
            value[0] = at[7]
            return True
        return field == FIELD_FRAGOFFSET and ipv6_fragment_offset(meta, value)
    if field == FIELD_ICMP_ID:
        return icmp_echo_word(meta, 4, value)
    if field == FIELD_ICMP_SEQ:
        return icmp_echo_word(meta, 6, value)
    if field == FIELD_ICMPV6_MTU:
        at = transport(meta, ICMPV6, 8)
        if at == NULL or at[0] != 2:
            return False
        value[0] = be32(at + 4)
        return True
    if field == FIELD_MSS:
        return tcp_mss(meta, value)
    at = transport(meta, TCP, 20)
    if at == NULL:
        return False
    if field == FIELD_SEQ:
        value[0] = be32(at + 4)
    elif field == FIELD_ACK:
        value[0] = be32(at + 8)
    else:
        value[0] = be16(at + 14)
    return True


cdef inline bint in_numbers(const ruleset_t *rules, span_t span, uint64_t value) noexcept nogil:
    cdef const number_range_t *known = rules.numbers + span.first
    cdef uint32_t i
    for i in range(span.count):
        if known[i].low <= value <= known[i].high:
            return True
    return False


cdef inline bint payload_size(const ruleset_t *rules, span_t asked, const packet_meta_t *meta) noexcept nogil:
    """dsize. What a UDP tunnel carries is not inspected as its payload, and yet has a size: only one that may be 0 asks it."""
    cdef const uint8_t *at
    if not meta.flags & PM_OUTER or meta.proto != UDP:
        return in_numbers(rules, asked, meta.payload_len)
    at = transport(meta, UDP, 8)
    return (at != NULL and in_numbers(rules, asked, 0) and be16(at + 4) >= 8
            and in_numbers(rules, asked, <uint64_t> be16(at + 4) - 8))


cdef inline bint bits_hold(const bits_op_t *op, const packet_meta_t *meta) noexcept nogil:
    cdef uint64_t value
    cdef uint32_t bits
    if not read_field(meta, op.field, &value):
        return False
    bits = <uint32_t> value & ~op.ignore
    if op.mode == BITS_EXACT:
        return bits == op.value
    if op.mode == BITS_ALL:
        return bits & op.value == op.value
    if op.mode == BITS_ANY:
        return bits & op.value != 0
    return bits & op.value != op.value


cdef inline bint same_ip(const packet_meta_t *meta) noexcept nogil:
    cdef const uint8_t *at
    cdef uint32_t i, length = 4 if meta.net == NET_IPV4 else 16
    if meta.net == NET_IPV4:
        at = bytes_at(meta, meta.l3, 20)
        if at == NULL:
            return False
        at += 12
    elif meta.net == NET_IPV6:
        at = bytes_at(meta, meta.l3, 40)
        if at == NULL:
            return False
        at += 8
    else:
        return False
    for i in range(length):
        if at[i] != at[length + i]:
            return False
    return True


cdef inline bint ip_option_sound(const uint8_t *at, uint32_t length) noexcept nogil:
    """Is an IPv4 option of this kind and length one that Suricata takes note of?"""
    cdef uint8_t kind = at[0], pointer, step
    if kind == 7 or kind == 131 or kind == 137:         # record route, loose and strict source route
        return length >= 3 and at[2] >= 4 and at[2] % 4 == 0 and at[2] <= length + 1
    if kind == 68:                                      # timestamp
        if length < 5:
            return False
        pointer = at[2]
        step = 8 if at[3] & 3 else 4
        return pointer >= 5 and (pointer - 5) % step == 0 and pointer <= length + 1
    if kind == 130:
        return length == 11
    if kind == 133:
        return length >= 3
    if kind == 134:                                     # CIPSO: its domain, then tags of two bytes and more
        return length >= 10 and (at[2] | at[3] | at[4] | at[5]) != 0 and at[7] >= 4
    return kind != 136 or length == 4


cdef inline bint has_ip_option(const packet_meta_t *meta, uint32_t wanted) noexcept nogil:
    """ipopts. Suricata 7.0.10 asks of "any" that every option there is be set, and so never finds it."""
    cdef const uint8_t *at = bytes_at(meta, meta.l3, 20) if meta.net == NET_IPV4 else NULL
    cdef uint32_t length, size, i = 20
    if at == NULL or wanted == ANY_IPOPT:
        return False
    length = (at[0] & 15) * 4
    at = bytes_at(meta, meta.l3, length)
    if at == NULL:
        return False
    while i < length:
        size = 1
        if at[i] > 1:
            size = at[i + 1] if i + 1 < length else 0
            if size < 2 or i + size > length:
                return False
        if at[i] == wanted and (wanted <= 1 or ip_option_sound(at + i, size)):
            return True
        if at[i] == 0:
            return False
        i += size
    return False


cdef inline bint has_event(const burst_t *burst, const packet_meta_t *meta, uint32_t code) noexcept nogil:
    cdef uint16_t at = meta.events
    while at != NO_INDEX:
        if burst.notes[at].code == code:
            return True
        at = burst.notes[at].next
    return False


cdef inline bint flow_holds(const packet_meta_t *meta, uint32_t asked) noexcept nogil:
    """The flow keyword. Without a flow an entry goes to the server, and nothing else that may be asked holds."""
    cdef bint established = meta.flags & PM_ESTABLISHED
    if not meta.flags & PM_FLOW:
        return asked & ~<uint32_t> STATE_TO_SERVER == 0
    if asked & (STATE_TO_SERVER if meta.flags & PM_TO_CLIENT else STATE_TO_CLIENT):
        return False
    if asked & STATE_ESTABLISHED and not established or asked & STATE_NOT_ESTABLISHED and established:
        return False
    if asked & STATE_REASSEMBLED and not meta.flags & PM_REASSEMBLED:
        return False
    return not (asked & STATE_NOT_REASSEMBLED and meta.flags & PM_REASSEMBLED)


cdef inline bint flowbits_hold(const ruleset_t *rules, const flowbits_op_t *op, const flow_t *flow) noexcept nogil:
    """isset and isnotset, over any of several names."""
    cdef uint32_t i
    cdef bint wanted = op.what == FLOWBITS_ISSET
    if flow == NULL:
        return False
    for i in range(op.bits.count):
        if flowbit_read(flow, rules.lists[op.bits.first + i]) == wanted:
            return True
    return False


cdef inline uint64_t flow_age(const flow_t *flow, uint64_t now) noexcept nogil:
    """Whole seconds since the first packet."""
    return (now - flow.first_ts) // 1000000000 if now > flow.first_ts else 0


cdef inline bint app_proto_holds(const plain_op_t *op, const packet_meta_t *meta, const inspection_t *inspection) noexcept nogil:
    """app-layer-protocol: what this direction was recognised as; while it is sought nothing holds."""
    cdef uint8_t seen
    if inspection == NULL or inspection.context == NULL:
        return False
    seen = inspection.context.app.seen[1 if meta.flags & PM_TO_CLIENT else 0]
    if seen == ALPROTO_UNKNOWN:
        return False
    return ((seen == op.value & 0xff or seen == op.value >> 8)) != (op.flags & NEGATED)


cdef inline bint app_event_holds(uint32_t event, const inspection_t *inspection) noexcept nogil:
    """An event of recognition that came with this entry."""
    cdef uint32_t i
    if inspection != NULL and inspection.context != NULL:
        for i in range(inspection.events_before, inspection.context.app.event_count):
            if inspection.context.app.events[i] == event:
                return True
    return False


cdef inline bint stream_size_holds(const ruleset_t *rules, const number_op_t *op, const inspection_t *inspection) noexcept nogil:
    cdef uint64_t server, client
    if inspection == NULL:
        return False
    client, server = inspection.stream_size[0], inspection.stream_size[1]
    if op.field == SIDE_SERVER:
        return in_numbers(rules, op.ranges, server)
    if op.field == SIDE_CLIENT:
        return in_numbers(rules, op.ranges, client)
    if op.field == SIDE_BOTH:
        return in_numbers(rules, op.ranges, server) and in_numbers(rules, op.ranges, client)
    return in_numbers(rules, op.ranges, server) or in_numbers(rules, op.ranges, client)


cdef inline bint condition_holds(const ruleset_t *rules, const op_t *op, const burst_t *burst, const packet_meta_t *meta,
                                 const flow_t *flow, const inspection_t *inspection, uint64_t now) noexcept nogil:
    cdef uint64_t value
    if op.code == OP_FLOW:
        return flow_holds(meta, (<const plain_op_t *> op).value)
    if op.code == OP_NUMBER:
        if (<const number_op_t *> op).field == FIELD_DSIZE:
            return payload_size(rules, (<const number_op_t *> op).ranges, meta)
        return (read_field(meta, (<const number_op_t *> op).field, &value)
                and in_numbers(rules, (<const number_op_t *> op).ranges, value))
    if op.code == OP_BITS:
        return bits_hold(<const bits_op_t *> op, meta)
    if op.code == OP_FLOWBITS:
        return flowbits_hold(rules, <const flowbits_op_t *> op, flow)
    if op.code == OP_EVENT:
        return has_event(burst, meta, (<const plain_op_t *> op).value)
    if op.code == OP_SAMEIP:
        return same_ip(meta) != (op.flags & NEGATED)
    if op.code == OP_APP_PROTO:
        return app_proto_holds(<const plain_op_t *> op, meta, inspection)
    if op.code == OP_APP_EVENT:
        return app_event_holds((<const plain_op_t *> op).value, inspection)
    if op.code == OP_STREAM_SIZE:
        return stream_size_holds(rules, <const number_op_t *> op, inspection)
    if op.code == OP_FLOW_AGE:
        return flow != NULL and in_numbers(rules, (<const number_op_t *> op).ranges, flow_age(flow, now))
    return has_ip_option(meta, (<const plain_op_t *> op).value) != (op.flags & NEGATED)
