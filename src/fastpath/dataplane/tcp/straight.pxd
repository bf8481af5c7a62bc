# The straight way of the segments that most are: of an established session, what the receiver expects next or an acknowledgment
# alone, and nothing out of the ordinary about it; or of a session whose beginning was not seen, and that is not followed. Of what
# state_established asks for, only what changes is left. A segment that is not plainly of this kind changes nothing here and goes
# the general way, which says the same of those that are (tests/dataplane/test_stream_straight.py).
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.tcp.feeding cimport fed
from fastpath.dataplane.tcp.held cimport (
    ROOM_BULK, SIDE_DEPTH, begin_run, held_t, mark_t, run_bytes, run_end, run_t, side_t, widen, widen_marks,
)
from fastpath.dataplane.tcp.segment cimport before
from fastpath.dataplane.tcp.session cimport (
    HALF_KEEPALIVE, HALF_NO_REASSEMBLY, HALF_RAW_LAST, HALF_RST_DOUBTED, HALF_STAMP_ZERO, SESSION_ASYNC, SESSION_CONFIRMED,
    SESSION_MIDSTREAM_NEW, SESSION_NO_APP, SESSION_PROBE, SESSION_PROBE_CLIENT, SESSION_SPOKE_TO_CLIENT, SESSION_SPOKE_TO_SERVER,
    SESSION_STAMPS, held_of, scale_of,
)
from fastpath.dataplane.tcp.state cimport (
    STREAM_IN, STREAM_MIDSTREAM, TCP_ACK, TCP_ESTABLISHED, TCP_FIN, TCP_NONE, TCP_RST, TCP_SYN, TCP_URG, stream_config_t,
)
from fastpath.dataplane.threads cimport rarely
from fastpath.dataplane.types cimport (
    ACCOUNT_REASSEMBLY, PM_L4_CHECKSUM, PM_PSEUDO, PM_TO_CLIENT, flow_t, packet_meta_t, pool_t, tcp_half_t, tcp_session_t,
)
from fastpath.dataplane.wire.load cimport be16, be32
from fastpath.dataplane.wire.tcp cimport (
    TCP_ACK_AT, TCP_LEN, TCP_OFFSET_AT, TCP_SEQ_AT, TCP_TIMESTAMP_LEN, TCP_WINDOW_AT, tcp_only_timestamp,
)

cdef extern from *:
    """
    /* An address that is kept, where the compiler would reckon it anew at each use. */
    #define kept(address) ({ __typeof__(address) kept_ = (address); __asm__("" : "+r"(kept_)); kept_; })
    """
    tcp_half_t *kept_half "kept"(tcp_half_t *) noexcept nogil
    side_t *kept_side "kept"(side_t *) noexcept nogil

cdef enum:
    STRAIGHT_FLAGS = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG        # of these, TCP_ACK alone
    WINDING_SESSION = SESSION_ASYNC | SESSION_MIDSTREAM_NEW | SESSION_PROBE | SESSION_PROBE_CLIENT
    WINDING_HALF = HALF_STAMP_ZERO | HALF_KEEPALIVE | HALF_RST_DOUBTED

cdef enum way_kind:
    WINDING                     # the general way
    STRAIGHT                    # take_ack or take_bytes may do
    UNFOLLOWED                  # of a session whose beginning was not seen: nothing to be done


cdef inline bint make_room(pool_t *pool, side_t *side, uint32_t length) noexcept nogil:
    """Sees to it that side.last ends at the edge with room for so many bytes behind it, and that there is room for a mark."""
    cdef run_t *run = side.last
    cdef uint32_t held = 0 if run == NULL else run.length
    cdef uint64_t most = ROOM_BULK + 3 * (<uint64_t>length + held) + 4 * sizeof(mark_t) * side.marks_used
    if pool.used[ACCOUNT_REASSEMBLY] + most > pool.cap[ACCOUNT_REASSEMBLY]:
        return False            # what the account refuses is for the general way to say
    if side.marks_used == side.marks_room and not widen_marks(pool, side):
        return False
    if run != NULL:
        return run_end(run) == side.edge and widen(pool, run, 0, length)
    return begin_run(pool, side, NULL, side.edge, length) != NULL


cdef inline bint append_segment(pool_t *pool, side_t *side, uint32_t isn, uint32_t seq, uint32_t length) noexcept nogil:
    """A segment behind all that came before, but for its bytes: the end of side.last is theirs then. False, and nothing done,
    where it does not lie there."""
    cdef run_t *run = side.last
    cdef mark_t *mark
    if (seq != side.base_seq + <uint32_t>(side.edge - side.base)
            or side.depth and (side.edge + length > side.depth or before(seq, isn))):
        return False
    if rarely(run == NULL or run_end(run) != side.edge or run.room - run.head - run.length < length
              or side.marks_used == side.marks_room):
        if not make_room(pool, side, length):
            return False
        run = side.last
    run.length += length
    side.edge += length
    mark = &side.marks[side.marks_used]
    mark.seq = seq
    mark.length = length
    side.marks_used += 1
    return True


cdef inline uint32_t way_of(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    """Enum way_kind, by what is known before the session is looked at."""
    if meta.flags & (PM_PSEUDO | PM_L4_CHECKSUM) or meta.tcp_flags & STRAIGHT_FLAGS != TCP_ACK:
        return WINDING
    if flow.tcp_state == TCP_ESTABLISHED and flow.more != NULL:
        return STRAIGHT
    return WINDING if flow.tcp_state != TCP_NONE or config.midstream else UNFOLLOWED


cdef inline bint goes_straight(const tcp_session_t *session, const tcp_half_t *own, const tcp_half_t *peer, const uint8_t *at,
                               uint32_t side, uint32_t seq, uint32_t ack, uint32_t end) noexcept nogil:
    """By what the session allows next, and by the options. `at`: the header. What the receiver runs has been looked up, where it
    is asked for."""
    cdef uint32_t header = at[TCP_OFFSET_AT] >> 4
    cdef uint32_t stamp
    if (session.flags & WINDING_SESSION or (session.half_flags[0] | session.half_flags[1]) & WINDING_HALF
            or seq != own.next_seq or before(seq, own.last_ack) or before(own.next_win, end) or own.window == 0
            or before(ack, peer.last_ack) or before(peer.next_win, ack)):
        return False
    if header == (TCP_LEN + TCP_TIMESTAMP_LEN) // 4 and tcp_only_timestamp(at + TCP_LEN):
        stamp = be32(at + TCP_LEN + 4)
        return not session.flags & SESSION_STAMPS or not (
            stamp == 0 or before(stamp, own.last_ts) or not session.os >> 4 * (side ^ 1) & 15)
    return header == TCP_LEN // 4 and not session.flags & SESSION_STAMPS


cdef inline void advance(flow_t *flow, tcp_session_t *session, tcp_half_t *own, tcp_half_t *peer, const packet_meta_t *meta,
                         uint32_t side, uint32_t end, uint32_t ack, uint32_t window) noexcept nogil:
    """What any straight segment changes of the state. `window`: as written."""
    cdef uint32_t edge
    flow.tcp_flags[side] |= meta.tcp_flags
    session.flags |= side * SESSION_CONFIRMED
    own.next_seq = end
    peer.window = window << scale_of(session, side ^ 1)
    peer.last_ack = ack
    edge = ack + peer.window
    if before(peer.next_win, edge):
        peer.next_win = edge


cdef inline bint take_ack(const stream_config_t *config, flow_t *flow, const packet_meta_t *meta, uint32_t *told) noexcept nogil:
    """The state after an acknowledgment without bytes that way_of calls STRAIGHT. `told`: as take_segment says it. False: nothing
    was done."""
    cdef tcp_session_t *session = &flow.more.tcp
    cdef held_t *held = held_of(session)
    cdef const uint8_t *at = meta.frame + meta.l4
    cdef uint32_t side = meta.flags // PM_TO_CLIENT & 1
    cdef uint32_t seq = be32(at + TCP_SEQ_AT), ack = be32(at + TCP_ACK_AT)
    cdef tcp_half_t *own = kept_half(&session.half[side])
    cdef tcp_half_t *peer = kept_half(&session.half[side ^ 1])
    if not goes_straight(session, own, peer, at, side, seq, ack, seq):
        return False
    if held != NULL and (held.side[side ^ 1].sacks_used or (
            held.side[side].flags & SIDE_DEPTH and not session.half_flags[side] & HALF_NO_REASSEMBLY)):
        return False
    advance(flow, session, own, peer, meta, side, seq, ack, be16(at + TCP_WINDOW_AT))
    if session.flags & SESSION_STAMPS:
        own.last_ts = be32(at + TCP_LEN + 4)
    if held != NULL:
        told[0] = fed(flow, session, held, side ^ config.passive, config.passive, False)
    return True


cdef inline bint take_bytes(const stream_config_t *config, pool_t *pool, flow_t *flow, const packet_meta_t *meta,
                            uint32_t *told) noexcept nogil:
    """As take_ack, of a segment with bytes."""
    cdef tcp_session_t *session = &flow.more.tcp
    cdef held_t *held = held_of(session)
    cdef side_t *into
    cdef const uint8_t *at = meta.frame + meta.l4
    cdef uint32_t side = meta.flags // PM_TO_CLIENT & 1, length = meta.payload_len
    cdef uint32_t seq = be32(at + TCP_SEQ_AT), ack = be32(at + TCP_ACK_AT)
    cdef tcp_half_t *own = kept_half(&session.half[side])
    cdef tcp_half_t *peer = kept_half(&session.half[side ^ 1])
    if held == NULL or not goes_straight(session, own, peer, at, side, seq, ack, seq + length) or held.side[side ^ 1].sacks_used:
        return False
    into = kept_side(&held.side[side])
    if not session.half_flags[side] & HALF_NO_REASSEMBLY:
        if (into.flags & SIDE_DEPTH
                or into.edge == 0 and not session.os >> 4 * side & 15       # with the first bytes of all it was looked up
                or not session.flags & (SESSION_SPOKE_TO_SERVER | SESSION_SPOKE_TO_CLIENT)
                or session.flags & SESSION_NO_APP and session.half_flags[side] & HALF_RAW_LAST
                or config.fail_segment != <uint64_t>-1
                or not append_segment(pool, into, own.isn, seq - into.urgent_seen, length)):
            return False
        told[0] = STREAM_IN
    advance(flow, session, own, peer, meta, side, seq + length, ack, be16(at + TCP_WINDOW_AT))
    told[0] |= fed(flow, session, held, side ^ config.passive, config.passive, False)
    if told[0] & STREAM_IN:
        memcpy(run_bytes(into.last) + (into.last.length - length), meta.frame + meta.payload, length)
    return True
