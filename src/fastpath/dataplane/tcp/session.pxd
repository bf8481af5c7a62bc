# What the files of stream share about a session: its flags, its halves, and how one is changed.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.tcp.held cimport begin_held, held_t, side_t
from fastpath.dataplane.hash cimport flow_key_of
from fastpath.dataplane.hosts cimport OS_BSD, OS_BSD_RIGHT, OS_OLD_SOLARIS, OS_SOLARIS, OS_UNKNOWN, os_of
from fastpath.dataplane.pool cimport pool_take
from fastpath.dataplane.tcp.sack cimport prune_sacks, sacked
from fastpath.dataplane.tcp.segment cimport before, segment_t
from fastpath.dataplane.tcp.state cimport (
    STREAM_CLOSED_NOW, TCP_CLOSE_WAIT, TCP_CLOSED, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
    TCP_TIME_WAIT, stream_config_t,
)
from fastpath.dataplane.types cimport (
    ACCOUNT_STREAM, FLOW_CLOSED, FLOW_ESTABLISHED, PM_PSEUDO, PM_REVERSED, burst_t, flow_key_t, flow_t, note_event, packet_meta_t,
    pool_t, tcp_half_t, tcp_session_t,
)

cdef enum session_flag:         # tcp_session_t.flags
    SESSION_MIDSTREAM = 1 << 0          # its beginning was not seen
    SESSION_MIDSTREAM_NEW = 1 << 1      # and the other side has not yet sent
    SESSION_MIDSTREAM_SYNACK = 1 << 2   # it began with a SYN/ACK
    SESSION_STAMPS = 1 << 3             # timestamps are in use
    SESSION_SCALES = 1 << 4             # the SYN had a window scale
    SESSION_ASYNC = 1 << 5              # one side alone is seen
    SESSION_FOUR_WAY = 1 << 6           # SYN against SYN
    SESSION_EVASION = 1 << 7            # a handshake's ACK had the right sequence number and a wrong acknowledgment
    SESSION_SACK = 1 << 8
    SESSION_SYN_SACK = 1 << 9           # the SYN offered it
    SESSION_RESET = 1 << 10             # closed by an RST
    SESSION_NO_APP = 1 << 11            # the application layer wants no more
    SESSION_FAST_OPEN = 1 << 12
    SESSION_CONFIRMED = 1 << 13         # the server has sent after the handshake
    SESSION_FAST_OPEN_LOST = 1 << 14    # the server did not take the SYN's data
    SESSION_PROBE = 1 << 15             # zero window probe by the client; << 1 by the server
    SESSION_PROBE_CLIENT = 1 << 16
    SESSION_CHARGED = 1 << 17           # stands in ACCOUNT_STREAM
    SESSION_LOSSY = 1 << 18             # bytes were lost: any RST is believed
    SESSION_SPOKE_TO_SERVER = 1 << 19   # the first bytes of all went there
    SESSION_SPOKE_TO_CLIENT = 1 << 20
    STATE_BEFORE = 28                   # from this bit on: the state before this one

cdef enum half_flag:            # tcp_session_t.half_flags
    HALF_STAMP = 1 << 0         # its SYN had a timestamp
    HALF_STAMP_ZERO = 1 << 1    # of zero
    HALF_KEEPALIVE = 1 << 2
    HALF_RST_DOUBTED = 1 << 3   # got an RST that may not be its peer's
    HALF_NO_REASSEMBLY = 1 << 4
    HALF_RAW_LAST = 1 << 5      # no more for stream rules than what there is
    HALF_RAW_OFF = 1 << 6
    HALF_TRIGGER = 1 << 7       # stream rules are due with the next entry

cdef struct way_t:              # an entry on its way through stream
    const stream_config_t *config
    pool_t *pool
    flow_t *flow
    burst_t *burst
    packet_meta_t *meta
    tcp_session_t *session
    tcp_half_t *own             # of the sender
    tcp_half_t *peer
    uint32_t entry
    uint32_t side               # of the sender: its direction
    uint32_t result             # STREAM_*
    segment_t segment


cdef inline void raise_event(way_t *way, uint16_t code) noexcept nogil:
    note_event(way.burst, way.entry, code)


cdef inline uint64_t ordinal_of(const way_t *way) noexcept nogil:
    return way.burst.first_ordinal + way.meta.packet


cdef inline held_t *held_of(const tcp_session_t *session) noexcept nogil:
    return <held_t *>session.held


cdef inline held_t *ensure_held(way_t *way) noexcept nogil:
    cdef held_t *held = held_of(way.session)
    cdef uint32_t i
    if held == NULL:
        held = <held_t *>pool_take(way.pool, ACCOUNT_STREAM, sizeof(held_t))
        if held != NULL:
            begin_held(held, way.config.depth)
            for i in range(2):
                held.side[i].base_seq = way.session.half[i].isn + 1
            way.session.held = <void *>held
    return held


cdef inline uint32_t base_seq_of(const tcp_session_t *session, uint32_t side) noexcept nogil:
    return session.half[side].isn + 1 if session.held == NULL else held_of(session).side[side].base_seq


cdef inline void begin_half(tcp_session_t *session, uint32_t side, uint32_t isn) noexcept nogil:
    session.half[side].isn = isn
    if session.held != NULL:
        held_of(session).side[side].base_seq = isn + 1


cdef inline uint8_t scale_of(const tcp_session_t *session, uint32_t side) noexcept nogil:
    return session.scale >> 4 * side & 15


cdef inline void set_scale(tcp_session_t *session, uint32_t side, uint8_t scale) noexcept nogil:
    session.scale = <uint8_t>(session.scale & ~(15 << 4 * side) | scale << 4 * side)


cdef inline uint8_t os_of_receiver(way_t *way, uint32_t side) noexcept nogil:
    """What the receiver of this entry runs, remembered at `side`."""
    cdef tcp_session_t *session = way.session
    cdef uint8_t os = session.os >> 4 * side & 15
    cdef flow_key_t key
    if os:
        return os
    if way.config.hosts != NULL:
        key = flow_key_of(way.flow)
        os = os_of(way.config.hosts, way.flow.key.net, key.addr[0 if way.meta.flags & PM_REVERSED else 1])
    if os == OS_UNKNOWN or os == OS_BSD_RIGHT:
        os = OS_BSD
    elif os == OS_OLD_SOLARIS:
        os = OS_SOLARIS
    session.os = <uint8_t>(session.os | os << 4 * side)
    return os


cdef inline void set_state(way_t *way, uint8_t state) noexcept nogil:
    cdef flow_t *flow = way.flow
    if state == flow.tcp_state or way.meta.flags & PM_PSEUDO:
        return
    way.session.flags = way.session.flags & ((1 << STATE_BEFORE) - 1) | <uint32_t>flow.tcp_state << STATE_BEFORE
    flow.tcp_state = state
    if state in (TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_CLOSING, TCP_CLOSE_WAIT):
        flow.state = FLOW_ESTABLISHED
    elif state in (TCP_LAST_ACK, TCP_TIME_WAIT, TCP_CLOSED):
        if flow.state != FLOW_CLOSED:
            way.result |= STREAM_CLOSED_NOW
        flow.state = FLOW_CLOSED


cdef inline void update_last_ack(tcp_session_t *session, uint32_t side, uint32_t ack) noexcept nogil:
    cdef tcp_half_t *half = &session.half[side]
    if before(half.last_ack, ack):
        half.last_ack = ack
        if session.held != NULL and held_of(session).side[side].sacks_used:
            prune_sacks(&held_of(session).side[side], ack)


cdef inline void update_next_seq(tcp_session_t *session, uint32_t side, uint32_t seq) noexcept nogil:
    cdef tcp_half_t *half = &session.half[side]
    half.next_seq = seq
    if session.flags & SESSION_ASYNC and before(half.last_ack, seq):
        half.last_ack = seq


cdef inline void update_next_win(tcp_session_t *session, uint32_t side) noexcept nogil:
    cdef tcp_half_t *half = &session.half[side]
    cdef uint32_t edge = half.last_ack + half.window
    if session.held != NULL:
        edge += sacked(&held_of(session).side[side])
    if before(half.next_win, edge):
        half.next_win = edge


cdef inline uint32_t announced(way_t *way, uint32_t side) noexcept nogil:
    """The window of the segment, with the scale of that side."""
    return way.segment.window << scale_of(way.session, side)


cdef inline void allow_peer(way_t *way) noexcept nogil:
    """The sender says how much the other side may send."""
    way.peer.window = announced(way, way.side ^ 1)


cdef inline uint64_t acked_offset(const tcp_session_t *session, uint32_t side) noexcept nogil:
    """The offset up to which a direction is acknowledged; not before its base."""
    cdef const side_t *held = &held_of(session).side[side]
    cdef uint32_t last_ack = session.half[side].last_ack - held.urgent_seen
    return held.base + (last_ack - held.base_seq) if before(held.base_seq, last_ack) else held.base
