# verdict: what happens to an entry, why and by which rule, and which line of the ledger counts its wire packet.
#
# A drop acts on the flow where the match says so (see match/program.h), else on the packet. In ids mode nothing is cut:
# the alert is written, the packet passes.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.types cimport (
    ACTION_DROP, ACTION_PASS, FLOW_DROP, FLOW_PASS, LEDGER_DROPPED, LEDGER_ERRORED, LEDGER_INSPECTED, NO_RULE, REASON_FLOW,
    REASON_FLOW_PASS, REASON_MALFORMED, REASON_NONE, REASON_RULE, flow_t, verdict_t,
)


cdef inline void clear_verdict(verdict_t *verdict) noexcept nogil:
    verdict.action = ACTION_PASS
    verdict.reason = REASON_NONE
    verdict.ledger = LEDGER_INSPECTED
    verdict.alerts = 0
    verdict.rule = NO_RULE
    verdict.flow = 0


# Raises a verdict to this one if it is more severe; of two alike the first stands.
cdef inline void raise_verdict(verdict_t *verdict, uint8_t action, uint8_t reason, uint8_t ledger, uint32_t rule) noexcept nogil:
    if action > verdict.action or (action == verdict.action and ledger > verdict.ledger):
        verdict.action = action
        verdict.reason = reason
        verdict.rule = rule
    elif verdict.reason == REASON_NONE:
        verdict.reason = reason
        verdict.rule = rule
    if ledger > verdict.ledger:
        verdict.ledger = ledger


# A malformed entry is errored in the ledger; `action` is that of the exception policy.
cdef inline void judge_malformed(verdict_t *verdict, uint8_t action) noexcept nogil:
    raise_verdict(verdict, action, REASON_MALFORMED, LEDGER_ERRORED, NO_RULE)


# A rule's action on an entry, in ips mode.
cdef inline void judge_match(verdict_t *verdict, flow_t *flow, uint8_t action, bint on_flow, uint32_t rule) noexcept nogil:
    if action == ACTION_PASS:
        return
    raise_verdict(verdict, action, REASON_RULE, LEDGER_DROPPED, rule)
    if on_flow and flow != NULL and not flow.flags & (FLOW_DROP | FLOW_PASS):
        flow.flags |= FLOW_DROP
        flow.rule = rule
        flow.reason = REASON_RULE


# True when the flow has been judged for good: its entries are not inspected any more.
cdef inline bint judge_flow(verdict_t *verdict, const flow_t *flow) noexcept nogil:
    if flow.flags & FLOW_DROP:
        raise_verdict(verdict, ACTION_DROP, REASON_FLOW, LEDGER_DROPPED, flow.rule)
        return True
    if flow.flags & FLOW_PASS:
        raise_verdict(verdict, ACTION_PASS, REASON_FLOW_PASS, LEDGER_INSPECTED, flow.rule)
        return True
    return False
