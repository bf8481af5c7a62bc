# stream: TCP. Today the session's state, from the flags of its segments; what reassembly will need of a flow hangs on
# flow.more. Segments are inspected one by one until then.
from libc.stdint cimport uint8_t

from fastpath.dataplane.types cimport (
    FLOW_CLOSED, FLOW_ESTABLISHED, PM_TO_CLIENT, flow_t, packet_meta_t,
)

cdef enum tcp_flag:
    TCP_FIN = 0x01
    TCP_SYN = 0x02
    TCP_RST = 0x04
    TCP_ACK = 0x10

# RFC 9293, section 3.3.2, as a passive observer sees it; TCP_NONE also stands for sessions whose beginning was not seen
cdef enum tcp_state:
    TCP_NONE, TCP_SYN_SENT, TCP_SYN_RECV, TCP_ESTABLISHED, TCP_FIN_TO_CLIENT, TCP_FIN_TO_SERVER, TCP_FIN_BOTH, TCP_CLOSED

cdef enum:
    WAITS_FOR_ACK = 1 << 2 | 1 << 6     # the states that an ACK alone changes: TCP_SYN_RECV and TCP_FIN_BOTH


# True when the flow has just closed: its timeout is a shorter one now. An entry that is no TCP segment has no flags, and
# leaves the same early way as the segments of an established session: which of the two comes next, no branch foretells.
cdef inline bint track_tcp(flow_t *flow, const packet_meta_t *meta) noexcept nogil:
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
            flow.tcp_state = TCP_FIN_TO_CLIENT if to_client else TCP_FIN_TO_SERVER
        elif flow.tcp_state == (TCP_FIN_TO_SERVER if to_client else TCP_FIN_TO_CLIENT):
            flow.tcp_state = TCP_FIN_BOTH
    elif flow.tcp_state == TCP_FIN_BOTH and flags & TCP_ACK:
        flow.tcp_state = TCP_CLOSED
        flow.state = FLOW_CLOSED
        return True
    return False


# A SYN on a session that is over begins another one with the same key.
cdef inline bint begins_anew(const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    return flow.tcp_state >= TCP_FIN_BOTH and (meta.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN


# Segments that change a session always go to the inspectors (OpenOffload's rule), whatever the device holds.
cdef inline bint is_tcp_control(const packet_meta_t *meta) noexcept nogil:
    return meta.proto == 6 and (meta.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) != 0
