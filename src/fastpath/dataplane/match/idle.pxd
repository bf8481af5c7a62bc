# idle: the entries with which rules have nothing to do, most of what goes by: an acknowledgment, a segment whose bytes are looked
# at in a later window of the stream, a datagram too short for any pattern. For them run_rules would find nothing, write nothing.
from libc.stdint cimport uint32_t

from fastpath.dataplane.applayer.applayer cimport APP_QUIET_TO_SERVER, app_t
from fastpath.dataplane.match.program cimport (
    INSPECT_IN_STREAM, INSPECT_NO_PAYLOAD, group_t, match_scratch_t, pattern_set_t, ruleset_t,
)
from fastpath.dataplane.types cimport (
    FLOW_GROUPED_TO_SERVER, FLOW_IPONLY_TO_SERVER, NO_INDEX, PM_TO_CLIENT, flow_t, packet_meta_t,
)


cdef inline bint are_sought(const pattern_set_t *patterns, uint32_t length) noexcept nogil:
    """Could one of them be in so many bytes?"""
    return patterns.patterns.count != 0 and length >= patterns.shortest


cdef inline bint asks_nothing(const ruleset_t *rules, const match_scratch_t *scratch, const packet_meta_t *meta,
                              const flow_t *flow, uint32_t flags) noexcept nogil:
    """Is there no rule for packets to run on an entry of this flow? flags: INSPECT_*."""
    cdef uint32_t to_client = meta.flags // PM_TO_CLIENT & 1
    cdef const group_t *group
    if (flow.epoch != rules.epoch or not flow.flags & FLOW_GROUPED_TO_SERVER << to_client or meta.proto != flow.key.proto
            or meta.events != NO_INDEX or rules.has_iponly and not flow.flags & FLOW_IPONLY_TO_SERVER << to_client
            or scratch.trace != NULL or scratch.captures != NULL and scratch.match_count):
        return False
    group = &rules.groups[flow.group[to_client]]
    if group.bare.count or group.marked.count:
        return False
    return meta.payload_len == 0 or flags & INSPECT_NO_PAYLOAD or not (
        group.payload.count or are_sought(&group.packet, meta.payload_len)
        or not flags & INSPECT_IN_STREAM and are_sought(&group.stream, meta.payload_len))


cdef inline bint is_settled(const app_t *app, uint32_t to_client) noexcept nogil:
    """Have rules on transactions nothing to look at in this direction?"""
    return app.flags & APP_QUIET_TO_SERVER << to_client or app.first == NULL and app.inner == NULL
