# idle: the entries with which rules have nothing to do, most of what goes by: an acknowledgment, a segment whose bytes are looked at
# in a later window of the stream, a datagram too short for any pattern. For them run_rules would find nothing, write nothing.
from libc.stdint cimport uint16_t, uint32_t

from fastpath.dataplane.applayer.applayer cimport APP_QUIET_TO_SERVER, app_t
from fastpath.dataplane.match.program cimport (
    INSPECT_IN_STREAM, INSPECT_NO_PAYLOAD, INSPECT_TX, group_t, inspection_t, match_scratch_t, pattern_set_t, ruleset_t,
)
from fastpath.dataplane.types cimport (
    FLOW_GROUPED_TO_SERVER, FLOW_IPONLY_TO_SERVER, NO_INDEX, PM_TO_CLIENT, flow_t, packet_meta_t,
)


cdef inline bint are_sought(const pattern_set_t *patterns, uint32_t length) noexcept nogil:
    """Could one of them be in so many bytes?"""
    return patterns.patterns.count != 0 and length >= patterns.shortest


cdef inline bint is_idle(const ruleset_t *rules, const match_scratch_t *scratch, const packet_meta_t *meta, const flow_t *flow,
                         const inspection_t *inspection) noexcept nogil:
    """Would run_rules make nothing of an entry of this flow?"""
    cdef uint32_t to_client = meta.flags // PM_TO_CLIENT & 1
    cdef uint16_t known = FLOW_GROUPED_TO_SERVER << to_client
    cdef const group_t *group
    cdef const app_t *app
    if (flow.epoch != rules.epoch or not flow.flags & known or meta.proto != flow.key.proto or meta.events != NO_INDEX
            or rules.has_iponly and not flow.flags & FLOW_IPONLY_TO_SERVER << to_client
            or scratch.trace != NULL or scratch.captures != NULL and scratch.match_count):
        return False
    group = &rules.groups[flow.group[to_client]]
    if inspection.window_count or group.bare.count or group.marked.count:
        return False
    if meta.payload_len and not inspection.flags & INSPECT_NO_PAYLOAD and (
            group.payload.count or are_sought(&group.packet, meta.payload_len)
            or not inspection.flags & INSPECT_IN_STREAM and are_sought(&group.stream, meta.payload_len)):
        return False
    if inspection.context == NULL or inspection.room == NULL or not inspection.flags & INSPECT_TX:
        return True
    app = inspection.context.app
    return app.flags & APP_QUIET_TO_SERVER << to_client or app.first == NULL and app.inner == NULL
