"""An entry against the rules: its packet and the raw stream first, then the transactions of its direction."""
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport APP_QUIET_TO_SERVER, app_context_t
from fastpath.dataplane.match.confirm cimport confirm_entry
from fastpath.dataplane.match.prefilter cimport prefilter_entry
from fastpath.dataplane.match.program cimport INSPECT_TX, KIND_PASS, inspection_t, match_scratch_t, ruleset_t
from fastpath.dataplane.match.transactions cimport inspect_transactions, renew_transactions
from fastpath.dataplane.types cimport PM_PSEUDO, PM_TO_CLIENT, burst_t, flow_t


cdef bint inspect_inner(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, flow_t *flow,
                        const inspection_t *inspection, uint64_t now) noexcept nogil:
    """The transactions of the session inside an encrypted one: as those of the session itself."""
    cdef app_context_t context = inspection.context[0]
    cdef inspection_t inner = inspection[0]
    cdef bint quiet
    context.app = inspection.context.app.inner
    inner.context = &context
    inner.room = inspection.inner
    scratch.inspection = &inner
    quiet = inspect_transactions(rules, scratch, burst, entry, flow, now)
    scratch.inspection = inspection
    return quiet


cdef void inspect_session(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, flow_t *flow,
                          const inspection_t *inspection, uint64_t now) noexcept nogil:
    """The transactions of a session, and of the one inside, unless nothing has changed since that was done in vain."""
    cdef uint32_t seen = APP_QUIET_TO_SERVER << (scratch.meta.flags // PM_TO_CLIENT & 1)
    cdef bint quiet
    if (inspection.context.app.flags & seen and not scratch.app_candidate_count and not scratch.meta.flags & PM_PSEUDO
            and scratch.trace == NULL):
        return
    quiet = inspect_transactions(rules, scratch, burst, entry, flow, now)
    if inspection.inner != NULL:
        quiet &= inspect_inner(rules, scratch, burst, entry, flow, inspection, now)
    if quiet:
        inspection.context.app.flags |= seen
    else:
        inspection.context.app.flags &= ~seen


cdef uint32_t run_rules(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, flow_t *flow,
                        const inspection_t *inspection, uint64_t now) noexcept nogil:
    """flow: the entry's, or NULL. inspection: NULL for neither stream nor application. now: engine time, ns.

    A pass rule is the last in scratch.matches: what matches after it has set its flowbits and does no more.
    """
    cdef uint32_t i
    scratch.inspection = inspection
    scratch.meta = &burst.meta[entry]
    scratch.now = now
    if scratch.captures != NULL and scratch.match_count:    # by the entry before: only a rule that matches leaves something there
        scratch.captures.packet.count = scratch.captures.packet.used = scratch.captures.noted_count = 0
    scratch.match_count = 0
    if flow != NULL and flow.epoch != rules.epoch:
        renew_transactions(scratch, flow)
    if prefilter_entry(rules, scratch, burst, entry, flow):
        confirm_entry(rules, scratch, burst, entry, flow, now)
    if inspection != NULL and inspection.flags & INSPECT_TX and inspection.context != NULL and inspection.room != NULL:
        inspect_session(rules, scratch, burst, entry, flow, inspection, now)
    for i in range(scratch.match_count):
        if scratch.matches[i].kind == KIND_PASS:
            scratch.match_count = i + 1
            break
    return scratch.match_count
