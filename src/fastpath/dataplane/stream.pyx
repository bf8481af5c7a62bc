# See stream.pxd. Most segments go by tcp/straight. The states are in tcp/handshake, established and closing; the bytes in
# tcp/held, reassembly, feeding, window.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.events cimport (
    EVENT_STREAM_PKT_BROKEN_ACK, EVENT_STREAM_PKT_SPURIOUS_RETRANSMISSION, EVENT_STREAM_REASSEMBLY_SEQ_GAP,
    EVENT_STREAM_SUSPECTED_RST_INJECT,
)
from fastpath.dataplane.tcp.checks cimport (
    bad_window_update, final_ack, keep_alive, keep_alive_answer, outdated_ack, probe_answer, spurious, window_update,
)
from fastpath.dataplane.tcp.closing cimport (
    state_close_wait, state_closing, state_fin_wait1, state_fin_wait2, state_last_ack, state_time_wait,
)
from fastpath.dataplane.tcp.established cimport state_established
from fastpath.dataplane.tcp.feeding cimport handed_on_until, lost, reassemble
from fastpath.dataplane.tcp.handshake cimport state_none, state_syn_recv, state_syn_sent
from fastpath.dataplane.tcp.held cimport (
    SIDE_CUT_SAID, SIDE_DEPTH, SIDE_END_SAID, SIDE_GAP_SAID, empty_side, give_held, held_t, let_go, run_at, run_bytes, run_end,
    run_t, side_t, turn_held,
)
from fastpath.dataplane.tcp.segment cimport before, read_segment, segment_t
from fastpath.dataplane.tcp.session cimport (
    HALF_KEEPALIVE, HALF_NO_REASSEMBLY, HALF_RAW_LAST, HALF_RAW_OFF, HALF_RST_DOUBTED, HALF_TRIGGER, SESSION_ASYNC,
    SESSION_CHARGED,
    SESSION_FAST_OPEN_LOST, SESSION_LOSSY, SESSION_NO_APP, SESSION_PROBE, SESSION_RESET, SESSION_SPOKE_TO_SERVER, STATE_BEFORE,
    held_of, raise_event, scale_of, update_last_ack, update_next_seq, update_next_win, way_t,
)
from fastpath.dataplane.tcp.state cimport (
    TCP_CLOSE_WAIT, TCP_CLOSING, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK, TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT,
)
from fastpath.dataplane.tcp.straight cimport STRAIGHT, UNFOLLOWED, take_ack, take_bytes, way_of
from fastpath.dataplane.tcp.window cimport advance_raw, left_edge, next_inline, next_passive
from fastpath.dataplane.types cimport (
    ACCOUNT_STREAM, FLOW_REVERSED, PM_L4_CHECKSUM, PM_PSEUDO, PM_REVERSED, PM_TO_CLIENT, TO_SERVER, note_event,
)
from fastpath.dataplane.wire.load cimport be32
from fastpath.dataplane.wire.tcp cimport TCP_SEQ_AT


cdef enum:
    WAITING_MAX = 100000        # bytes of one side that may wait for a protocol, at least


cdef void stream_defaults(stream_config_t *config) noexcept nogil:
    memset(config, 0, sizeof(stream_config_t))
    config.depth = 1 << 20
    config.chunk[0] = config.chunk[1] = 2560
    config.passive = config.checksums = config.raw = config.liberal_timestamps = config.compare_overlaps = True
    config.urgent = config.urgent_limit = URGENT_INLINE
    config.max_syn = 10
    config.max_synack = 5
    config.fail_session = config.fail_segment = <uint64_t>-1


# ---- states ----

cdef bint by_state(way_t *way, uint8_t state) noexcept nogil:
    """False: the segment is not a part of the session."""
    if state == TCP_ESTABLISHED:
        return state_established(way)
    if state == TCP_SYN_SENT:
        return state_syn_sent(way)
    if state == TCP_SYN_RECV:
        return state_syn_recv(way)
    if state == TCP_FIN_WAIT1:
        return state_fin_wait1(way)
    if state == TCP_FIN_WAIT2:
        return state_fin_wait2(way)
    if state == TCP_CLOSING:
        return state_closing(way)
    if state == TCP_CLOSE_WAIT:
        return state_close_wait(way)
    if state == TCP_LAST_ACK:
        return state_last_ack(way)
    if state == TCP_TIME_WAIT:
        return state_time_wait(way)
    return True


cdef bint state_closed(way_t *way) noexcept nogil:
    """A session that an RST of doubtful origin closed goes on where it was, if its receiver does."""
    cdef uint8_t past
    if way.segment.flags & TCP_RST:
        return True
    if way.session.half_flags[way.side] & HALF_RST_DOUBTED or not way.session.half_flags[way.side ^ 1] & HALF_RST_DOUBTED:
        return True
    past = <uint8_t>(way.session.flags >> STATE_BEFORE)
    if not by_state(way, past):
        return False
    if way.flow.tcp_state == TCP_CLOSED:
        way.flow.tcp_state = past
    return True


cdef void check_reset(way_t *way) noexcept nogil:
    """Who goes on after its RST did not send it."""
    if way.segment.flags & TCP_RST or not way.session.half_flags[way.side ^ 1] & HALF_RST_DOUBTED:
        return
    way.session.half_flags[way.side ^ 1] &= <uint8_t>~HALF_RST_DOUBTED
    way.session.flags &= ~<uint32_t>SESSION_RESET
    raise_event(way, EVENT_STREAM_SUSPECTED_RST_INJECT)


cdef bint is_idle(way_t *way) noexcept nogil:
    """Segments that change nothing: keep-alives, probes, old acknowledgments, bytes that are done with."""
    cdef bint probed
    cdef uint32_t again
    if keep_alive(way):
        return True
    if keep_alive_answer(way):
        way.session.half_flags[way.side] &= <uint8_t>~HALF_KEEPALIVE
        return True
    way.session.half_flags[way.side] &= <uint8_t>~HALF_KEEPALIVE
    probed = probe_answer(way)
    way.session.flags &= ~(<uint32_t>SESSION_PROBE << (way.side ^ 1))
    if probed:
        return True
    if not final_ack(way) and not window_update(way) and (bad_window_update(way) or outdated_ack(way)):
        return True
    again = spurious(way)
    if again:
        raise_event(way, EVENT_STREAM_PKT_SPURIOUS_RETRANSMISSION)
    return again == 2


cdef void take_known(way_t *way) noexcept nogil:
    """A segment of a flow with a session."""
    cdef bint taken = True
    way.flow.tcp_flags[way.side] |= way.segment.flags
    if way.session.flags & SESSION_ASYNC and way.flow.tcp_flags[way.side ^ 1]:
        way.session.flags &= ~<uint32_t>SESSION_ASYNC
    if not way.segment.flags & TCP_ACK and way.segment.ack:
        raise_event(way, EVENT_STREAM_PKT_BROKEN_ACK)
    if not is_idle(way):
        taken = state_closed(way) if way.flow.tcp_state == TCP_CLOSED else by_state(way, way.flow.tcp_state)
    if taken:
        check_reset(way)
    else:
        way.result |= STREAM_REJECTED


cdef uint32_t take_segment(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                           uint32_t entry) noexcept nogil:
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef uint32_t way
    if meta.proto != 6:
        return 0
    way = way_of(config, flow, meta)
    if way == STRAIGHT:
        return take_with_bytes(config, pool, flow, burst, meta) if meta.payload_len \
            else take_without_bytes(config, pool, flow, burst, meta)
    if way == UNFOLLOWED:
        flow.tcp_flags[meta.flags // PM_TO_CLIENT & 1] |= meta.tcp_flags
        return STREAM_MIDSTREAM
    return take_any_segment(config, pool, flow, burst, entry)


cdef uint32_t take_with_bytes(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                              const packet_meta_t *meta) noexcept nogil:
    cdef uint32_t told = 0
    if take_bytes(config, pool, flow, meta, &told):
        return told
    return take_any_segment(config, pool, flow, burst, <uint32_t>(meta - &burst.meta[0]))


cdef uint32_t take_without_bytes(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                                 const packet_meta_t *meta) noexcept nogil:
    cdef uint32_t told = 0
    if take_ack(config, flow, meta, &told):
        return told
    return take_any_segment(config, pool, flow, burst, <uint32_t>(meta - &burst.meta[0]))


cdef uint32_t take_any_segment(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                               uint32_t entry) noexcept nogil:
    cdef way_t way
    cdef packet_meta_t *meta = &burst.meta[entry]
    if meta.proto != 6 or (meta.flags & PM_L4_CHECKSUM and config.checksums):
        return 0
    memset(&way.segment, 0, sizeof(segment_t))
    way.own = way.peer = NULL
    way.result = 0
    way.config = config
    way.pool = pool
    way.flow = flow
    way.burst = burst
    way.meta = meta
    way.entry = entry
    way.side = (meta.flags & PM_TO_CLIENT) != 0
    way.session = session_of(flow)
    if way.session != NULL:
        way.own = &way.session.half[way.side]
        way.peer = &way.session.half[way.side ^ 1]
    if meta.flags & PM_PSEUDO:
        way.segment.flags = TCP_ACK
        if way.session != NULL:
            reassemble(&way, way.side)
        return way.result
    read_segment(&way.segment, meta)
    if way.session != NULL:
        take_known(&way)
        return way.result
    flow.tcp_flags[way.side] |= way.segment.flags
    if not way.segment.flags & TCP_ACK and way.segment.ack:
        raise_event(&way, EVENT_STREAM_PKT_BROKEN_ACK)
    if not way.segment.flags & TCP_RST and way.segment.flags & (TCP_FIN | TCP_ACK):
        way.result |= STREAM_MIDSTREAM
    if not state_none(&way):
        way.result |= STREAM_REJECTED
    return way.result


cdef int64_t past_depth(const stream_config_t *config, const flow_t *flow, uint32_t direction) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef uint32_t depth = config.depth
    if session != NULL and session.held != NULL:
        depth = held_of(session).side[direction].depth
    return <int64_t>stream_size(flow, direction) - depth if depth else -1


cdef void skip_segment(flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    cdef uint32_t side = (meta.flags & PM_TO_CLIENT) != 0
    cdef segment_t segment
    flow.tcp_flags[side] |= meta.tcp_flags
    if session == NULL or meta.flags & PM_L4_CHECKSUM:
        return
    memset(&segment, 0, sizeof(segment_t))
    read_segment(&segment, meta)
    if before(session.half[side].next_seq, segment.end):
        update_next_seq(session, side, segment.end)
    if segment.flags & TCP_ACK:
        session.half[side ^ 1].window = segment.window << scale_of(session, side ^ 1)
        update_last_ack(session, side ^ 1, segment.ack)
        update_next_win(session, side ^ 1)


cdef bint renews_session(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef bint answer = (meta.tcp_flags & TCP_ACK) != 0      # a SYN/ACK
    cdef bint to_client = ((meta.flags & PM_REVERSED) != 0) != ((flow.flags & FLOW_REVERSED) != 0)
    if answer and not (config.midstream or config.async_oneside):
        return False
    if session == NULL:
        return not (answer and to_client)
    if not answer and not to_client and session.flags & SESSION_FAST_OPEN_LOST:
        return True
    if to_client == answer and be32(meta.frame + meta.l4 + TCP_SEQ_AT) == session.half[to_client].isn:
        return False            # once more the same one
    return flow.tcp_state >= TCP_LAST_ACK


# ---- what is held ----

cdef uint64_t held_from(const flow_t *flow, uint32_t direction) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    return held_of(session).side[direction].base if session != NULL and session.held != NULL else 0


cdef bint held_bytes(const stream_config_t *config, const flow_t *flow, uint32_t direction, bint pseudo, uint64_t at,
                     uint64_t *start, const uint8_t **data, uint32_t *length) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef const run_t *run
    cdef uint64_t edge
    if session == NULL or session.held == NULL:
        return False
    run = run_at(&held_of(session).side[direction], at)
    edge = handed_on_until(flow, session, direction, config.passive, pseudo)
    if run == NULL or max(at, run.start) >= min(edge, run_end(run)):
        return False
    start[0] = max(at, run.start)
    data[0] = run_bytes(run) + (start[0] - run.start)
    length[0] = <uint32_t>(min(edge, run_end(run)) - start[0])
    return True


# ---- bytes for the application layer ----

cdef uint32_t next_bytes(const stream_config_t *config, flow_t *flow, burst_t *burst, uint32_t entry, uint32_t direction,
                         const uint8_t **data, uint32_t *length) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    cdef bint pseudo = (burst.meta[entry].flags & PM_PSEUDO) != 0
    cdef side_t *side
    cdef const run_t *run
    cdef uint64_t edge
    data[0] = NULL
    length[0] = 0
    if (session == NULL or session.held == NULL or session.flags & SESSION_NO_APP
            or session.half_flags[direction] & HALF_NO_REASSEMBLY):
        return SUPPLY_NONE
    side = &held_of(session).side[direction]
    run = run_at(side, side.app)
    edge = handed_on_until(flow, session, direction, config.passive, pseudo)
    if run == NULL or run.start > side.app or edge <= side.app:
        return next_but_bytes(flow, burst, entry, direction, run, edge, length)
    data[0] = run_bytes(run) + (side.app - run.start)
    length[0] = <uint32_t>(min(edge, run_end(run)) - side.app)
    side.flags &= <uint8_t>~SIDE_GAP_SAID
    if (side.flags & SIDE_DEPTH or pseudo or flow.tcp_state == TCP_CLOSED or run.next != NULL and edge > run_end(run)):
        return SUPPLY_BYTES
    return SUPPLY_ALL


cdef uint32_t next_but_bytes(flow_t *flow, burst_t *burst, uint32_t entry, uint32_t direction, const run_t *run, uint64_t edge,
                             uint32_t *length) noexcept nogil:
    """What next_bytes says where no bytes are due. `run`: of what is not handed on yet; `edge`: until where it may be."""
    cdef tcp_session_t *session = &flow.more.tcp
    cdef side_t *side = &held_of(session).side[direction]
    if (run != NULL and run.start > side.app and edge > side.app and not side.flags & SIDE_GAP_SAID
            and lost(flow, session, direction, side.app)):
        length[0] = <uint32_t>(min(edge, run.start) - side.app)
        side.flags |= SIDE_GAP_SAID
        session.flags |= SESSION_LOSSY
        note_event(burst, entry, EVENT_STREAM_REASSEMBLY_SEQ_GAP)
        return SUPPLY_GAP
    if side.flags & SIDE_DEPTH and not side.flags & SIDE_CUT_SAID:
        side.flags |= SIDE_CUT_SAID
        return SUPPLY_CUT
    return say_end(flow, side, (burst.meta[entry].flags & PM_PSEUDO) != 0)


cdef inline uint32_t say_end(const flow_t *flow, side_t *side, bint pseudo) noexcept nogil:
    if (flow.tcp_state == TCP_CLOSED or pseudo) and not side.flags & SIDE_END_SAID:
        side.flags |= SIDE_END_SAID
        return SUPPLY_END
    return SUPPLY_NONE


cdef uint32_t behind_bytes(const stream_config_t *config, flow_t *flow, burst_t *burst, uint32_t entry,
                           uint32_t direction) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef bint pseudo = (burst.meta[entry].flags & PM_PSEUDO) != 0
    cdef side_t *side = &held_of(session).side[direction]
    cdef const run_t *run = run_at(side, side.app)
    if run != NULL and run.next != NULL and handed_on_until(flow, session, direction, config.passive, pseudo) > run_end(run) \
            and lost(flow, session, direction, run_end(run)):
        return SUPPLY_GAP
    return say_end(flow, side, pseudo)


cdef void consume_bytes(flow_t *flow, uint32_t direction, uint32_t count) noexcept nogil:
    held_of(&flow.more.tcp).side[direction].app += count


cdef uint8_t waiting_bytes(const stream_config_t *config, const flow_t *flow, uint32_t *held, uint32_t *most) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef const run_t *run
    cdef uint32_t number
    for number in range(2):
        held[number] = 0
        most[number] = max(<uint32_t>WAITING_MAX, min(session.half[number].window, config.depth))
        run = held_of(session).side[number].runs
        while run != NULL:
            held[number] += run.length
            run = run.next
    return <uint8_t>(session.flags // SESSION_SPOKE_TO_SERVER & 3)


# ---- the raw stream, and letting go ----

cdef bint next_raw(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta, uint32_t taken, bint depth_kept,
                   raw_t *raw) noexcept nogil:
    if not raw.started and not raw_ready(config, flow, meta, taken):
        return False
    return next_passive(flow, meta, depth_kept, raw) if config.passive else next_inline(config, flow, meta, raw)


cdef void settle_side(const stream_config_t *config, pool_t *pool, flow_t *flow, uint32_t number,
                      uint64_t progress) noexcept nogil:
    cdef tcp_session_t *session = &flow.more.tcp
    cdef side_t *side = &held_of(session).side[number]
    if flow.tcp_state >= TCP_ESTABLISHED:
        advance_raw(flow, session, number, progress)
    if side.flags & SIDE_DEPTH or (session.flags & SESSION_NO_APP
                                   and (session.half_flags[number] & HALF_RAW_OFF or not config.raw)):
        session.half_flags[number] |= HALF_NO_REASSEMBLY
        empty_side(pool, side)
        return
    let_go(pool, side, left_edge(config, flow, session, number))


cdef uint32_t left_in_stream(const flow_t *flow) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef const side_t *side
    cdef uint32_t number, left = 0
    if session == NULL:
        return 0
    if TCP_ESTABLISHED <= flow.tcp_state < TCP_CLOSED:
        return STREAM_FED_TO_SERVER | STREAM_FED_TO_CLIENT
    if session.held != NULL:
        for number in range(2):
            side = &held_of(session).side[number]
            if not session.half_flags[number] & HALF_RAW_OFF and side.edge > side.raw or (
                    not session.flags & SESSION_NO_APP and side.edge > side.app):
                left |= STREAM_FED_TO_SERVER << number
    return left


cdef void release_stream(pool_t *pool, flow_t *flow) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    if session == NULL or not session.flags & SESSION_CHARGED:
        return
    if session.held != NULL:
        give_held(pool, held_of(session))
        session.held = NULL
    session.flags &= ~<uint32_t>SESSION_CHARGED
    pool.used[ACCOUNT_STREAM] -= sizeof(tcp_session_t)


cdef uint32_t swap_bits(uint32_t flags, uint32_t first) noexcept nogil:
    """A bit for the client and the one above it for the server, exchanged."""
    cdef uint32_t both = flags & (first | first << 1)
    return flags ^ both | (both >> 1 & first) | (both << 1 & first << 1)


cdef void turn_stream(flow_t *flow) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    cdef held_t *held
    if session == NULL:
        return
    session.half[0], session.half[1] = session.half[1], session.half[0]
    session.half_flags[0], session.half_flags[1] = session.half_flags[1], session.half_flags[0]
    flow.tcp_flags[0], flow.tcp_flags[1] = flow.tcp_flags[1], flow.tcp_flags[0]
    session.flags = swap_bits(swap_bits(session.flags, SESSION_PROBE), SESSION_SPOKE_TO_SERVER)
    session.scale = <uint8_t>(session.scale >> 4 | session.scale << 4)
    session.os = <uint8_t>(session.os >> 4 | session.os << 4)
    held = held_of(session)
    if held != NULL:
        turn_held(held)


# ---- what a room or dispatch asks for ----

cdef void stop_feeding(flow_t *flow) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    if session != NULL:
        session.flags |= SESSION_NO_APP


cdef void stop_reassembly(flow_t *flow, uint32_t direction) noexcept nogil:
    stop_feeding(flow)
    stop_raw(flow, direction)


cdef void stop_raw(flow_t *flow, uint32_t direction) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    if session != NULL:
        session.half_flags[direction] |= HALF_RAW_LAST


cdef void without_raw(flow_t *flow, uint32_t direction) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    if session != NULL:
        session.half_flags[direction] |= HALF_RAW_OFF


cdef void trigger_raw(flow_t *flow, uint32_t direction) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    if session != NULL:
        session.half_flags[direction] |= HALF_TRIGGER


cdef void keep_raw(flow_t *flow, uint32_t direction, uint32_t bytes) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    if session != NULL and session.held != NULL:
        held_of(session).side[direction].keep = bytes


cdef void deepen(flow_t *flow, uint32_t depth) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    cdef uint32_t direction
    if session != NULL and session.held != NULL and (depth == 0 or depth > held_of(session).side[TO_SERVER].depth):
        for direction in range(2):
            held_of(session).side[direction].depth = depth
