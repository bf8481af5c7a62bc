# Conditions and actions on state that outlives the packet, and what a rule asks once all its blocks hold.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.applayer cimport (
    APP_STORE_TO_SERVER, APP_STORING, FILE_OPEN, FILE_STORE, TX_STORE_TO_SERVER, TX_UNLOGGED, app_context_t, file_t, tx_t,
)
from fastpath.dataplane.match.asn1 cimport asn1_holds
from fastpath.dataplane.match.flowbits cimport flowbit_read, flowbit_write
from fastpath.dataplane.match.flowints cimport flowint_holds, flowint_run
from fastpath.dataplane.match.flowvars cimport flowvar_holds, run_capture
from fastpath.dataplane.match.header cimport in_set
from fastpath.dataplane.match.program cimport (
    FLOWBITS_SET, FLOWBITS_TOGGLE, OP_ASN1, OP_CAPTURE, OP_FILESTORE, OP_FLOWBITS, OP_FLOWINT, OP_FLOWVAR, OP_UNLOG,
    OP_XBITS, REPUTATION_ANY, REPUTATION_BOTH, REPUTATION_DST, REPUTATION_SRC, STORE_FLOW, STORE_ONE, asn1_op_t, capture_op_t,
    filestore_op_t, flowbits_op_t, flowint_op_t, flowvar_op_t, match_scratch_t, number_op_t, op_t, ruleset_t, xbits_op_t,
)
from fastpath.dataplane.match.xbits cimport xbits_hold, xbits_run
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, PM_TO_CLIENT, flow_t, packet_meta_t


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
    if op.code == OP_FLOWVAR:
        return flowvar_holds(rules, <const flowvar_op_t *> op, scratch, flow)
    if op.code == OP_XBITS:
        if scratch.shared == NULL:
            return xbits_hold(NULL, <const xbits_op_t *> op, meta, scratch.now)
        wait_in_order(scratch)
        return xbits_hold(scratch.shared.xbits, <const xbits_op_t *> op, meta, scratch.now)
    if op.code == OP_ASN1:
        return meta.payload_len > 0 and asn1_holds(<const asn1_op_t *> op, meta.frame + meta.payload, meta.payload_len,
                                                   scratch.cursor)
    return reputation_holds(rules, <const number_op_t *> op, meta)


cdef inline void note_sid(app_context_t *context, file_t *file, uint32_t sid) noexcept nogil:
    """A rule wants the file stored: fileinfo names it, once."""
    cdef uint32_t at = 0
    while at < file.sids.length:
        if memcmp(file.sids.data + at, &sid, sizeof(sid)) == 0:
            return
        at += sizeof(sid)
    bytes_append(context.pool, ACCOUNT_APPLAYER, &file.sids, <const uint8_t *> &sid, sizeof(sid))


cdef inline void store_files(const filestore_op_t *op, match_scratch_t *scratch, const packet_meta_t *meta) noexcept nogil:
    """filestore: the file at which the rule matched, or all files of its transaction or flow, those to come too."""
    cdef uint32_t packet = 1 if meta.flags & PM_TO_CLIENT else 0
    cdef uint32_t directions = op.directions if op.directions else <uint32_t> 1 << packet, direction
    cdef file_t *file
    if scratch.chosen == NULL or scratch.tx == NULL or scratch.inspection == NULL or scratch.inspection.context == NULL:
        return
    if not scratch.inspection.context.config.files.stores:
        return
    note_sid(scratch.inspection.context, scratch.chosen, scratch.rule.sid)
    scratch.inspection.context.app.flags |= APP_STORING
    if op.scope == STORE_ONE:
        if directions >> packet & 1:
            scratch.chosen.flags |= FILE_STORE
        return
    for direction in range(2):
        if not directions >> direction & 1:
            continue
        if op.scope == STORE_FLOW:
            scratch.inspection.context.app.flags |= APP_STORE_TO_SERVER << direction
        else:
            scratch.tx.flags |= <uint16_t> (TX_STORE_TO_SERVER << direction)
        file = scratch.tx.files[direction]
        while file != NULL:
            if file.state == FILE_OPEN or file == scratch.chosen:
                file.flags |= FILE_STORE
            file = file.next


cdef inline void unlog(match_scratch_t *scratch) noexcept nogil:
    """config: no event is written of the transaction. Of a rule that matched on the entry it is, as in Suricata, the flow's
    first."""
    cdef tx_t *tx = scratch.tx if scratch.of_tx else NULL
    if tx == NULL and scratch.inspection != NULL and scratch.inspection.context != NULL:
        tx = scratch.inspection.context.app.first
        if tx != NULL and tx.id:
            return
    if tx != NULL:
        tx.flags |= TX_UNLOGGED


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
    elif op.code == OP_CAPTURE:
        run_capture(<const capture_op_t *> op, scratch, flow)
    elif op.code == OP_FILESTORE:
        store_files(<const filestore_op_t *> op, scratch, meta)
    elif op.code == OP_UNLOG:
        unlog(scratch)
    elif op.code == OP_FLOWBITS and flow != NULL:
        bits = <const flowbits_op_t *> op
        for i in range(bits.bits.count):
            bit = rules.lists[bits.bits.first + i]
            value = bits.what == FLOWBITS_SET or (bits.what == FLOWBITS_TOGGLE and not flowbit_read(flow, bit))
            flowbit_write(flow, scratch.pool, bit, value)
