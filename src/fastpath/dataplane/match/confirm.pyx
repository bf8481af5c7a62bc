"""Which candidates match an entry: each one's header, then its program, exactly as Suricata 7.0.10 decides."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_UNKNOWN, TX_DETECTED_TO_SERVER, TX_NO_INSPECTION, tx_t,
)
from fastpath.dataplane.match.conditions cimport condition_holds, transport
from fastpath.dataplane.match.header cimport ICMP, ICMPV6, TCP, UDP, bytes_at, header_holds, proto_holds, read_ports
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.match.steps cimport begin_rule, block_holds
from fastpath.dataplane.match.trace cimport trace_condition, trace_match
from fastpath.dataplane.match.transforms cimport transformed
from fastpath.dataplane.match.variables cimport variable_holds, variable_run
from fastpath.dataplane.threads cimport clock_ns, rarely
from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6, NO_INDEX, PM_PSEUDO, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t

cdef const uint8_t *buffer_of(const packet_meta_t *meta, uint32_t buffer, uint32_t *length) noexcept nogil:
    """The bytes of an inspect buffer of this entry, NULL where it has none."""
    cdef const uint8_t *at
    length[0] = 0
    if buffer == BUFFER_PAYLOAD:
        length[0] = meta.payload_len
        return meta.frame + meta.payload if meta.payload_len else NULL
    if buffer == BUFFER_IPV4_HDR:
        at = bytes_at(meta, meta.l3, 20) if meta.net == NET_IPV4 else NULL
        if at == NULL:
            return NULL
        length[0] = (at[0] & 15) * 4
        return bytes_at(meta, meta.l3, length[0])
    if buffer == BUFFER_IPV6_HDR:
        at = bytes_at(meta, meta.l3, 40) if meta.net == NET_IPV6 else NULL
        if at == NULL:
            return NULL
        length[0] = meta.l4 - meta.l3 if meta.l4 != NO_INDEX and meta.l4 > meta.l3 else 40
        return bytes_at(meta, meta.l3, length[0])
    if buffer == BUFFER_TCP_HDR:
        at = transport(meta, TCP, 20)
        if at == NULL:
            return NULL
        length[0] = (at[12] >> 4) * 4
        return bytes_at(meta, meta.l4, length[0])
    if buffer == BUFFER_IP_SRC or buffer == BUFFER_IP_DST:
        length[0] = 4 if meta.net == NET_IPV4 else 16
        at = bytes_at(meta, meta.l3, 20 if meta.net == NET_IPV4 else 40) if meta.net == NET_IPV4 or meta.net == NET_IPV6 else NULL
        if at == NULL:
            return NULL
        return at + (12 if meta.net == NET_IPV4 else 8) + (length[0] if buffer == BUFFER_IP_DST else 0)
    length[0] = 8
    if buffer == BUFFER_UDP_HDR:
        return transport(meta, UDP, 8)
    if buffer == BUFFER_ICMPV6_HDR:
        return transport(meta, ICMPV6, 8)
    if transport(meta, ICMP, 8) == NULL:
        return NULL
    length[0] = meta.payload - meta.l4      # with the stamps, or routers, that belong to it
    return bytes_at(meta, meta.l4, length[0])


cdef bint windows_hold(const ruleset_t *rules, match_scratch_t *scratch, uint32_t block) noexcept nogil:
    """Does a block over the payload hold over one of the windows of the raw stream?"""
    cdef const inspection_t *inspection = scratch.inspection
    cdef uint32_t i
    if inspection != NULL and not inspection.flags & INSPECT_NO_PAYLOAD:
        for i in range(inspection.window_count):
            if inspection.windows[i].length and block_holds(rules, scratch, block, inspection.windows[i].data,
                                                            inspection.windows[i].length):
                return True
    return False


cdef bint packet_block_holds(const ruleset_t *rules, const rule_t *rule, match_scratch_t *scratch, const packet_meta_t *meta,
                             const block_op_t *block, uint16_t *flags) noexcept nogil:
    """One block over a buffer of the packet; over payload first the raw stream, for the rules that look at it."""
    cdef const inspection_t *inspection = scratch.inspection
    cdef uint32_t at = <uint32_t> (<const op_t *> block - rules.ops)
    cdef const uint8_t *data
    cdef uint32_t length
    scratch.view_offset = 0
    scratch.view_end = True
    scratch.view_little = False
    if block.buffer == BUFFER_PAYLOAD:
        if rule.flags & RULE_STREAM and meta.proto == TCP:
            if inspection == NULL:
                flags[0] |= MATCH_STREAM
            elif windows_hold(rules, scratch, at):
                flags[0] |= MATCH_STREAM
                return True
            elif rule.flags & RULE_STREAM_ALONE or not rule.flags & RULE_PACKET and inspection.flags & INSPECT_IN_STREAM:
                return False
        if inspection != NULL and inspection.flags & INSPECT_NO_PAYLOAD:
            return False
    data = buffer_of(meta, block.buffer, &length)
    if data != NULL and length and block.chain != NOTHING:
        data = transformed(rules, scratch, block.chain, data, &length)
        scratch.view_known = False      # what is kept of a transaction may lie in the same place
    return data != NULL and length != 0 and block_holds(rules, scratch, at, data, length)


cdef bint program_holds(const ruleset_t *rules, const rule_t *rule, match_scratch_t *scratch, const burst_t *burst,
                        const packet_meta_t *meta, flow_t *flow, uint64_t now, uint16_t *flags) noexcept nogil:
    """Conditions and blocks over the packet. flags: MATCH_STREAM is set where the raw stream held."""
    cdef const op_t *op = rules.ops + rule.ops
    cdef bint holds
    while op.code != OP_MATCH:
        if op.code == OP_BLOCK:
            if not packet_block_holds(rules, rule, scratch, meta, <const block_op_t *> op, flags):
                return False
            op = rules.ops + (<const block_op_t *> op).next
            continue
        if OP_FLOWINT <= op.code <= OP_ASN1:
            holds = variable_holds(rules, op, scratch, meta, flow)
        else:
            holds = condition_holds(rules, op, burst, meta, flow, scratch.inspection, now)
        if rarely(scratch.trace != NULL):
            trace_condition(rules, scratch, op, holds)
        if not holds:
            return False
        op += 1
    return True


cdef void run_after(const ruleset_t *rules, const rule_t *rule, match_scratch_t *scratch, flow_t *flow) noexcept nogil:
    cdef const op_t *op = rules.ops + rule.after
    while op.code != OP_MATCH:
        variable_run(rules, op, scratch, scratch.meta, flow)
        op += 1


cdef void note_match(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled, tx_t *tx, uint64_t tx_id,
                     uint16_t flags) noexcept nogil:
    """Enters a match in the order of alerts: by rule, then the latest transaction first, as Suricata 7.0.10 sorts them."""
    cdef const rule_t *rule = &rules.rules[compiled]
    cdef match_t *match
    cdef uint32_t at = scratch.match_count
    if at >= MATCHES_MAX:
        scratch.limits_hit += 1
        return
    while at and (scratch.matches[at - 1].compiled > compiled
                  or scratch.matches[at - 1].compiled == compiled and scratch.matches[at - 1].tx_id < tx_id):
        at -= 1
    match = &scratch.matches[at]
    memmove(match + 1, match, (scratch.match_count - at) * sizeof(match_t))
    scratch.match_count += 1
    if rule.threshold != NOTHING or rule.detection_filter != NOTHING or rule.suppressed != NOTHING:
        flags |= MATCH_THRESHOLD
    if rule.flags & RULE_FLOW_ACTION or flags & (MATCH_STREAM | MATCH_STATE):
        flags |= MATCH_FLOW
    if rule.flags & RULE_BYPASS:
        flags |= MATCH_BYPASS
    if rule.flags & RULE_FILE:
        flags |= MATCH_FILE
    if not rule.flags & RULE_NOALERT:
        flags |= MATCH_ALERT
    if rule.flags & RULE_NOTE:
        flags |= MATCH_NOTE
    match.rule = rule.plan
    match.compiled = compiled
    match.kind = rule.kind
    match.action = rule.action
    match.flags = flags
    match.tx_id = tx_id
    match.tx = tx


cdef tx_t *tx_at_work(const inspection_t *inspection, uint32_t direction) noexcept nogil:
    """The transaction that a match on the raw stream names: the first that is not wholly inspected in this direction."""
    cdef tx_t *tx
    if inspection == NULL or inspection.context == NULL:
        return NULL
    tx = inspection.context.app.first
    while tx != NULL and tx.flags & (TX_DETECTED_TO_SERVER << direction | TX_NO_INSPECTION):
        tx = tx.next
    return tx


cdef bint rule_begins(const ruleset_t *rules, const rule_t *rule, match_scratch_t *scratch, const burst_t *burst,
                      const packet_meta_t *meta, flow_t *flow, uint64_t now, uint16_t *flags) noexcept nogil:
    """Header, protocol and all that a rule asks of the entry itself."""
    cdef uint16_t source, destination
    cdef bint ports = read_ports(meta, &source, &destination)
    scratch.checks[rule.plan] += 1
    return (header_holds(rules, rule, meta, ports, source, destination) and proto_holds(rule, scratch.inspection)
            and program_holds(rules, rule, scratch, burst, meta, flow, now, flags))


cdef void rule_matched(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled, flow_t *flow, tx_t *tx,
                       uint64_t tx_id, uint16_t flags) noexcept nogil:
    """What a rule does when it matches: its flowbits now, so that later rules see them, its alert in its turn."""
    cdef const rule_t *rule = &rules.rules[compiled]
    scratch.match_hits[rule.plan] += 1
    if rarely(scratch.trace != NULL):
        trace_match(rules, scratch, compiled)
    scratch.tx = tx
    scratch.of_tx = flags & MATCH_STATE
    scratch.rule = rule
    run_after(rules, rule, scratch, flow)
    note_match(rules, scratch, compiled, tx, tx_id, flags)


cdef void confirm_entry(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                        flow_t *flow, uint64_t now) noexcept nogil:
    """Enters the candidates that match this entry into scratch.matches.

    flow: the entry's flow, or NULL. now: engine time, ns.
    """
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef const inspection_t *inspection = scratch.inspection
    cdef const rule_t *rule
    cdef tx_t *tx
    cdef uint16_t flags
    cdef uint32_t i
    cdef uint64_t started
    cdef bint begins
    for i in range(scratch.candidate_count):
        rule = &rules.rules[scratch.candidates[i]]
        flags = 0
        if rule.flags & RULE_REAL and meta.flags & PM_PSEUDO:
            continue
        if rule.flags & RULE_PROTO_ONLY and (inspection == NULL or not inspection.flags & INSPECT_PROTO_FOUND):
            continue
        begin_rule(scratch)
        started = clock_ns() if rarely(scratch.timing) else 0
        begins = rule_begins(rules, rule, scratch, burst, meta, flow, now, &flags)
        if rarely(scratch.timing):
            scratch.ns[rule.plan] += clock_ns() - started
        if not begins:
            continue
        tx = NULL
        if flags & MATCH_STREAM or rule.app != ALPROTO_UNKNOWN and meta.proto == UDP:
            tx = tx_at_work(inspection, 1 if meta.flags & PM_TO_CLIENT else 0)
        rule_matched(rules, scratch, scratch.candidates[i], flow, tx, NO_TX if tx == NULL else tx.id, flags)
