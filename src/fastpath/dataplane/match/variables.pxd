# Conditions and actions on state that outlives the packet, and what a rule asks once all its blocks hold.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.match.asn1 cimport asn1_holds
from fastpath.dataplane.match.flowbits cimport flowbit_read, flowbit_write
from fastpath.dataplane.match.flowints cimport flowint_holds, flowint_run
from fastpath.dataplane.match.header cimport in_set
from fastpath.dataplane.match.program cimport (
    FLOWBITS_SET, FLOWBITS_TOGGLE, OP_ASN1, OP_FLOWBITS, OP_FLOWINT, OP_XBITS, REPUTATION_ANY, REPUTATION_BOTH, REPUTATION_DST,
    REPUTATION_SRC, asn1_op_t, flowbits_op_t, flowint_op_t, match_scratch_t, number_op_t, op_t, ruleset_t, xbits_op_t,
)
from fastpath.dataplane.match.xbits cimport xbits_hold, xbits_run
from fastpath.dataplane.types cimport flow_t, packet_meta_t


cdef inline void wait_in_order(match_scratch_t *scratch) noexcept nogil:
    """State that spans flows is touched in the order of the packets."""
    if scratch.shared.wait != NULL:
        scratch.shared.wait(scratch.worker)


cdef inline bint reputation_holds(const ruleset_t *rules, const number_op_t *op, const packet_meta_t *meta) noexcept nogil:
    """iprep: are addresses of the entry, on the side that is asked, among those with such a reputation?"""
    cdef bint source
    if op.field == REPUTATION_DST:
        return in_set(rules, op.ranges.first, meta, True)
    source = in_set(rules, op.ranges.first, meta, False)
    if op.field == REPUTATION_SRC or (op.field == REPUTATION_ANY and source) or (op.field == REPUTATION_BOTH and not source):
        return source
    return in_set(rules, op.ranges.first, meta, True)


cdef inline bint variable_holds(const ruleset_t *rules, const op_t *op, match_scratch_t *scratch, const packet_meta_t *meta,
                                const flow_t *flow) noexcept nogil:
    if op.code == OP_FLOWINT:
        return flowint_holds(<const flowint_op_t *> op, flow)
    if op.code == OP_XBITS:
        if scratch.shared == NULL:
            return xbits_hold(NULL, <const xbits_op_t *> op, meta, scratch.now)
        wait_in_order(scratch)
        return xbits_hold(scratch.shared.xbits, <const xbits_op_t *> op, meta, scratch.now)
    if op.code == OP_ASN1:
        return meta.payload_len > 0 and asn1_holds(<const asn1_op_t *> op, meta.frame + meta.payload, meta.payload_len,
                                                   scratch.cursor)
    return reputation_holds(rules, <const number_op_t *> op, meta)


cdef inline void variable_run(const ruleset_t *rules, const op_t *op, match_scratch_t *scratch, const packet_meta_t *meta,
                              flow_t *flow) noexcept nogil:
    """What a rule that has matched changes."""
    cdef const flowbits_op_t *bits
    cdef uint32_t i, bit
    cdef bint value
    if op.code == OP_FLOWINT:
        flowint_run(<const flowint_op_t *> op, flow, scratch.pool)
    elif op.code == OP_XBITS and scratch.shared != NULL:
        wait_in_order(scratch)
        xbits_run(scratch.shared.xbits, <const xbits_op_t *> op, meta, scratch.now)
    elif op.code == OP_FLOWBITS and flow != NULL:
        bits = <const flowbits_op_t *> op
        for i in range(bits.bits.count):
            bit = rules.lists[bits.bits.first + i]
            value = bits.what == FLOWBITS_SET or (bits.what == FLOWBITS_TOGGLE and not flowbit_read(flow, bit))
            flowbit_write(flow, scratch.pool, bit, value)
