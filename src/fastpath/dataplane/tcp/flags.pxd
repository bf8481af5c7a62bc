# A TCP session by the flags of its segments alone: what is followed where nobody looks at the bytes (no rules, no events of the
# application layers). Sequence numbers are not looked at, nothing is held, and a flow costs no memory beyond flow_t.
from libc.stdint cimport uint8_t

from fastpath.dataplane.tcp.state cimport (
    TCP_ACK, TCP_CLOSED, TCP_ESTABLISHED, TCP_FIN, TCP_FIN_WAIT1, TCP_LAST_ACK, TCP_NONE, TCP_RST, TCP_SYN, TCP_SYN_RECV,
    TCP_SYN_SENT,
)
from fastpath.dataplane.types cimport FLOW_CLOSED, FLOW_ESTABLISHED, PM_TO_CLIENT, flow_t, packet_meta_t

cdef enum:
    WAITS_FOR_ACK = 1 << 2 | 1 << 7     # the states that an ACK alone changes: TCP_SYN_RECV and TCP_LAST_ACK


# True when the flow has just closed: its timeout is a shorter one now. An entry that is no TCP segment has no flags, and
# leaves the same early way as the segments of an established session: which of the two comes next, no branch foretells.
cdef inline bint follow_flags(flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    cdef bint to_client = (meta.flags & PM_TO_CLIENT) != 0
    cdef uint8_t flags = meta.tcp_flags
    flow.tcp_flags[to_client] |= flags
    if not flags & (TCP_FIN | TCP_SYN | TCP_RST) and not WAITS_FOR_ACK >> flow.tcp_state & 1:
        return False
    if flags & TCP_RST:
        if flow.tcp_state == TCP_NONE or flow.tcp_state == TCP_CLOSED:
            return False
        flow.tcp_state = TCP_CLOSED
        flow.state = FLOW_CLOSED
        return True
    if flow.tcp_state == TCP_NONE:
        if flags & TCP_SYN and not flags & TCP_ACK and not to_client and flow.pkts[1] == 0:
            flow.tcp_state = TCP_SYN_SENT
    elif flow.tcp_state == TCP_SYN_SENT:
        if to_client and flags & TCP_SYN and flags & TCP_ACK:
            flow.tcp_state = TCP_SYN_RECV
    elif flow.tcp_state == TCP_SYN_RECV:
        if not to_client and flags & TCP_ACK and not flags & TCP_SYN:
            flow.tcp_state = TCP_ESTABLISHED
            flow.state = FLOW_ESTABLISHED
    if flags & TCP_FIN:
        if flow.tcp_state == TCP_ESTABLISHED:
            flow.tcp_state = TCP_FIN_WAIT1
        elif flow.tcp_state == TCP_FIN_WAIT1 and flow.tcp_flags[0] & flow.tcp_flags[1] & TCP_FIN:
            flow.tcp_state = TCP_LAST_ACK
    elif flow.tcp_state == TCP_LAST_ACK and flags & TCP_ACK:
        flow.tcp_state = TCP_CLOSED
        flow.state = FLOW_CLOSED
        return True
    return False


# A SYN on a session that is over begins another one with the same key.
cdef inline bint follows_the_end(const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    return (flow.tcp_state == TCP_LAST_ACK or flow.tcp_state == TCP_CLOSED) and (
        meta.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN
