# The states before a session is established: no session, SYN_SENT, SYN_RECV. A function gives False where the segment is not
# a part of the session.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from fastpath.dataplane.events cimport (
    EVENT_STREAM_3WHS_ACK_DATA_INJECT, EVENT_STREAM_3WHS_ACK_IN_WRONG_DIR, EVENT_STREAM_3WHS_ASYNC_WRONG_SEQ,
    EVENT_STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION, EVENT_STREAM_3WHS_SYN_FLOOD, EVENT_STREAM_3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV,
    EVENT_STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV, EVENT_STREAM_3WHS_SYNACK_FLOOD, EVENT_STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION,
    EVENT_STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_ACK, EVENT_STREAM_3WHS_SYNACK_TFO_DATA_IGNORED,
    EVENT_STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV, EVENT_STREAM_3WHS_SYNACK_WITH_WRONG_ACK, EVENT_STREAM_3WHS_WRONG_SEQ_WRONG_ACK,
    EVENT_STREAM_4WHS_INVALID_ACK, EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_ACK, EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_SYN,
    EVENT_STREAM_4WHS_WRONG_SEQ, EVENT_STREAM_FIN_BUT_NO_SESSION, EVENT_STREAM_PKT_INVALID_TIMESTAMP,
    EVENT_STREAM_RST_BUT_NO_SESSION,
)
from fastpath.dataplane.tcp.closing cimport reset_session, take_fin
from fastpath.dataplane.tcp.feeding cimport reassemble
from fastpath.dataplane.tcp.held cimport held_t, offer_t
from fastpath.dataplane.hosts cimport OS_LINUX, OS_OLD_LINUX, OS_SOLARIS
from fastpath.dataplane.more cimport ensure_more
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.tcp.segment cimport SCALE_MAX, before, segment_t, until
from fastpath.dataplane.tcp.session cimport (
    HALF_RST_DOUBTED, HALF_STAMP, HALF_STAMP_ZERO, SESSION_ASYNC, SESSION_CHARGED, SESSION_EVASION, SESSION_FAST_OPEN,
    SESSION_FAST_OPEN_LOST, SESSION_FOUR_WAY, SESSION_MIDSTREAM, SESSION_MIDSTREAM_NEW, SESSION_MIDSTREAM_SYNACK, SESSION_SACK,
    SESSION_SCALES, SESSION_STAMPS, SESSION_SYN_SACK, STATE_BEFORE, announced, begin_half, ensure_held, held_of, ordinal_of,
    raise_event, scale_of, set_scale, set_state, update_last_ack, update_next_seq, way_t,
)
from fastpath.dataplane.tcp.state cimport (
    STREAM_BEGUN, STREAM_NO_SESSION, TCP_ACK, TCP_ESTABLISHED, TCP_FIN, TCP_FIN_WAIT1, TCP_RST, TCP_SYN, TCP_SYN_RECV,
    TCP_SYN_SENT,
)
from fastpath.dataplane.tcp.checks cimport ack_valid, answer_stamp_valid, rst_valid, stamp_refused, take_stamp
from fastpath.dataplane.types cimport (
    ACCOUNT_STREAM, FLOW_REVERSED, FLOW_SEEN_TO_CLIENT, FLOW_SEEN_TO_SERVER, PM_ESTABLISHED, PM_TO_CLIENT, flow_more_t,
    tcp_half_t, tcp_session_t,
)

cdef inline bint begin_session(way_t *way) noexcept nogil:
    """A session for the flow; False, and counted, where an account refuses it."""
    cdef flow_more_t *more
    if way.pool.used[ACCOUNT_STREAM] + sizeof(tcp_session_t) > way.pool.cap[ACCOUNT_STREAM] \
            or ordinal_of(way) == way.config.fail_session:
        way.pool.refused[ACCOUNT_STREAM] += 1
        way.result |= STREAM_NO_SESSION
        return False
    more = ensure_more(way.flow, way.pool)
    if more == NULL:
        way.result |= STREAM_NO_SESSION
        return False
    way.pool.used[ACCOUNT_STREAM] += sizeof(tcp_session_t)
    memset(&more.tcp, 0, sizeof(tcp_session_t))
    more.tcp.flags = SESSION_CHARGED | (SESSION_ASYNC if way.config.async_oneside else 0)
    way.session = &more.tcp
    way.own = &more.tcp.half[way.side]
    way.peer = &more.tcp.half[way.side ^ 1]
    way.flow.tcp_flags[way.side ^ 1] = 0
    way.flow.tcp_flags[way.side] = way.segment.flags
    way.result |= STREAM_BEGUN
    return True


cdef inline void stamp_both(way_t *way, tcp_half_t *sender, tcp_half_t *receiver) noexcept nogil:
    """Of a session whose beginning was not seen."""
    cdef tcp_session_t *session = way.session
    cdef uint32_t i
    if not way.segment.has_stamp:
        return
    sender.last_ts = way.segment.stamp
    receiver.last_ts = way.segment.echo
    session.flags |= SESSION_STAMPS
    for i in range(2):
        if session.half[i].last_ts == 0:
            session.half_flags[i] |= HALF_STAMP_ZERO


cdef inline bint pick_up(way_t *way, uint8_t state, uint32_t more) noexcept nogil:
    """A session from its middle; `more`: sequence numbers that the segment takes beside its payload. Scales and selective
    acknowledgments may have been agreed upon: the most is assumed."""
    cdef tcp_half_t *client
    cdef tcp_half_t *server
    if not begin_session(way):
        return False
    client = &way.session.half[0]
    server = &way.session.half[1]
    set_state(way, state)
    way.session.flags |= SESSION_MIDSTREAM | SESSION_MIDSTREAM_NEW
    set_scale(way.session, 0, SCALE_MAX)
    set_scale(way.session, 1, SCALE_MAX)
    begin_half(way.session, 0, way.segment.seq - 1)
    client.next_seq = way.segment.end + more
    client.window = way.segment.window << SCALE_MAX
    client.last_ack = way.segment.seq
    client.next_win = client.last_ack + client.window
    begin_half(way.session, 1, way.segment.ack - 1)
    server.next_seq = server.last_ack = server.next_win = way.segment.ack
    stamp_both(way, client, server)
    reassemble(way, 0)
    way.session.flags |= SESSION_SACK
    return True


cdef inline bint pick_up_synack(way_t *way) noexcept nogil:
    """The sender of a SYN/ACK is the server: the flow turns round if it was taken for the client."""
    cdef tcp_half_t *client
    cdef tcp_half_t *server
    if way.side == 0:
        way.flow.flags ^= FLOW_REVERSED
        if (way.flow.flags & FLOW_SEEN_TO_SERVER != 0) != (way.flow.flags & FLOW_SEEN_TO_CLIENT != 0):
            way.flow.flags ^= FLOW_SEEN_TO_SERVER | FLOW_SEEN_TO_CLIENT
        way.flow.pkts[0], way.flow.pkts[1] = way.flow.pkts[1], way.flow.pkts[0]
        way.flow.bytes[0], way.flow.bytes[1] = way.flow.bytes[1], way.flow.bytes[0]
        way.flow.tcp_flags[0], way.flow.tcp_flags[1] = way.flow.tcp_flags[1], way.flow.tcp_flags[0]
        way.meta.flags |= PM_TO_CLIENT
        way.segment.direction = way.side = 1
    if not begin_session(way):
        return False
    client = &way.session.half[0]
    server = &way.session.half[1]
    set_state(way, TCP_SYN_RECV)
    way.session.flags |= SESSION_MIDSTREAM | SESSION_MIDSTREAM_SYNACK
    begin_half(way.session, 1, way.segment.seq)
    server.next_seq = way.segment.seq + 1
    server.window = way.segment.window
    begin_half(way.session, 0, way.segment.ack - 1)
    client.next_seq = client.last_ack = way.segment.ack
    server.last_ack = way.segment.seq
    server.next_win = server.last_ack + server.window
    if way.segment.has_scale:
        set_scale(way.session, 0, way.segment.scale)
        set_scale(way.session, 1, SCALE_MAX)
    stamp_both(way, server, client)
    if way.segment.sack_ok:
        way.session.flags |= SESSION_SACK
    return True


cdef inline bint begin_with_syn(way_t *way) noexcept nogil:
    cdef tcp_session_t *session
    if not begin_session(way):
        return False
    session = way.session
    set_state(way, TCP_SYN_SENT)
    begin_half(session, way.side, way.segment.seq)
    way.own.next_seq = way.segment.seq + 1
    if way.segment.has_stamp:
        way.own.last_ts = way.segment.stamp
        session.half_flags[way.side] |= HALF_STAMP if way.segment.stamp else HALF_STAMP | HALF_STAMP_ZERO
    way.peer.window = way.segment.window
    if way.segment.has_scale:
        session.flags |= SESSION_SCALES
        set_scale(session, way.side ^ 1, way.segment.scale)
    if way.segment.sack_ok:
        session.flags |= SESSION_SYN_SACK
    if way.segment.fast_open:
        session.flags |= SESSION_FAST_OPEN
        if way.segment.length:
            way.own.last_ack = way.own.next_seq     # nothing of it is acknowledged
            update_next_seq(session, way.side, way.own.next_seq + way.segment.length)
            reassemble(way, way.side)
    return True


cdef inline bint state_none(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        raise_event(way, EVENT_STREAM_RST_BUT_NO_SESSION)
        return False
    if flags & TCP_FIN:
        if not way.config.midstream or way.segment.length == 0:
            raise_event(way, EVENT_STREAM_FIN_BUT_NO_SESSION)
            return False
        return pick_up(way, TCP_FIN_WAIT1, 1)
    if flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK:
        return not (way.config.midstream or way.config.async_oneside) or pick_up_synack(way)
    if flags & TCP_SYN:
        return begin_with_syn(way)
    return not (flags & TCP_ACK and way.config.midstream) or pick_up(way, TCP_ESTABLISHED, 0)


# ---- differing SYNs and SYN/ACKs ----

cdef inline offer_t *keep_offer(way_t *way, uint32_t limit) noexcept nogil:
    """Room for one more; NULL where there are `limit` already, or an account refuses."""
    cdef held_t *held = ensure_held(way)
    if held == NULL or held.offers_used >= limit:
        return NULL
    if held.offers == NULL:
        held.offers = <offer_t *>pool_take(way.pool, ACCOUNT_STREAM, limit * sizeof(offer_t))
        if held.offers == NULL:
            return NULL
        held.offers_room = limit
    held.offers_used += 1
    return &held.offers[held.offers_used - 1]


cdef inline void forget_offers(way_t *way) noexcept nogil:
    cdef held_t *held = held_of(way.session)
    if held != NULL and held.offers != NULL:
        pool_give(way.pool, ACCOUNT_STREAM, held.offers, held.offers_room * sizeof(offer_t))
        held.offers = NULL
        held.offers_used = held.offers_room = 0


cdef inline void offer_of(const segment_t *segment, offer_t *offer) noexcept nogil:
    memset(offer, 0, sizeof(offer_t))
    offer.seq = segment.seq
    offer.ack = segment.ack
    offer.window = <uint16_t>segment.window
    offer.sack_ok = segment.sack_ok
    offer.has_scale = segment.has_scale
    offer.scale = segment.scale if segment.has_scale else 0
    offer.has_stamp = segment.has_stamp
    offer.stamp = segment.stamp if segment.has_stamp else 0


cdef inline void offer_of_session(const tcp_session_t *session, offer_t *offer) noexcept nogil:
    """The SYN that the session goes by."""
    memset(offer, 0, sizeof(offer_t))
    offer.window = <uint16_t>session.half[1].window
    offer.sack_ok = (session.flags & SESSION_SYN_SACK) != 0
    offer.has_scale = (session.flags & SESSION_SCALES) != 0
    offer.scale = scale_of(session, 1) if offer.has_scale else 0
    offer.has_stamp = (session.half_flags[0] & HALF_STAMP) != 0
    offer.stamp = session.half[0].last_ts if offer.has_stamp else 0


cdef inline offer_t *find_offer(held_t *held, bint has_stamp, uint32_t stamp) noexcept nogil:
    """The SYN with this timestamp, the latest first."""
    cdef uint32_t i
    if held != NULL:
        for i in range(held.offers_used, 0, -1):
            if held.offers[i - 1].has_stamp == has_stamp and held.offers[i - 1].stamp == stamp:
                return &held.offers[i - 1]
    return NULL


cdef inline bint same_offer(const offer_t *a, const offer_t *b) noexcept nogil:
    return (a.has_stamp == b.has_stamp and a.stamp == b.stamp and a.window == b.window and a.sack_ok == b.sack_ok
            and a.has_scale == b.has_scale and a.scale == b.scale)


cdef inline void go_by_syn(tcp_session_t *session, const offer_t *offer) noexcept nogil:
    if offer.has_stamp:
        session.half[0].last_ts = offer.stamp
        session.half_flags[0] |= HALF_STAMP
    if offer.has_scale:
        session.flags |= SESSION_SCALES
    else:
        session.flags &= SESSION_SCALES | SESSION_CHARGED | <uint32_t>15 << STATE_BEFORE    # Suricata forgets the others
    set_scale(session, 1, offer.scale if offer.has_scale else 0)
    session.half[1].window = offer.window
    if offer.sack_ok:
        session.flags |= SESSION_SYN_SACK
    else:
        session.flags &= ~<uint32_t>SESSION_SYN_SACK


cdef inline void repeat_syn(way_t *way) noexcept nogil:
    """Another SYN of the client's: the session goes by it, and remembers the one before if it was different."""
    cdef offer_t now, past
    cdef offer_t *kept
    offer_of(&way.segment, &now)
    offer_of_session(way.session, &past)
    if not same_offer(&now, &past) and find_offer(held_of(way.session), past.has_stamp, past.stamp) == NULL:
        kept = keep_offer(way, way.config.max_syn)
        if kept != NULL:
            kept[0] = past
        elif way.session.held != NULL and held_of(way.session).offers_used >= way.config.max_syn:
            raise_event(way, EVENT_STREAM_3WHS_SYN_FLOOD)
    go_by_syn(way.session, &now)


cdef inline bint keep_synack(way_t *way) noexcept nogil:
    """A SYN/ACK with another sequence number, until an ACK shows which one counts. False: there are too many."""
    cdef offer_t now
    cdef offer_t *kept
    cdef held_t *held = held_of(way.session)
    cdef uint32_t i
    offer_of(&way.segment, &now)
    if held != NULL:
        for i in range(held.offers_used):
            if same_offer(&held.offers[i], &now) and held.offers[i].seq == now.seq and held.offers[i].ack == now.ack:
                return True
        if held.offers_used >= way.config.max_synack:
            raise_event(way, EVENT_STREAM_3WHS_SYNACK_FLOOD)
            return False
    kept = keep_offer(way, way.config.max_synack)
    if kept == NULL:
        return False
    kept[0] = now
    return True


cdef inline void go_by_synack(way_t *way, const offer_t *offer) noexcept nogil:
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    set_state(way, TCP_SYN_RECV)
    begin_half(session, 1, offer.seq)
    server.next_seq = offer.seq + 1
    client.window = offer.window
    if offer.has_stamp and session.half_flags[0] & HALF_STAMP:
        server.last_ts = offer.stamp
        session.flags |= SESSION_STAMPS
        if offer.stamp == 0:
            session.half_flags[1] |= HALF_STAMP_ZERO
    else:
        client.last_ts = server.last_ts = 0
        session.half_flags[0] &= <uint8_t>~HALF_STAMP_ZERO
    client.last_ack = offer.ack
    server.last_ack = server.isn + 1
    set_scale(session, 0, offer.scale if session.flags & SESSION_SCALES and offer.has_scale else 0)
    if session.flags & SESSION_SYN_SACK and offer.sack_ok:
        session.flags |= SESSION_SACK
    else:
        session.flags &= ~<uint32_t>SESSION_SACK
    server.next_win = server.last_ack + server.window
    client.next_win = client.last_ack + client.window
    session.flags &= ~<uint32_t>SESSION_FOUR_WAY


# ---- SYN_SENT ----

cdef inline bint fast_open_answer(way_t *way) noexcept nogil:
    """RFC 7413: the SYN/ACK may acknowledge the data of the SYN, or not."""
    cdef tcp_half_t *client = &way.session.half[0]
    if way.segment.ack != client.next_seq:
        if way.segment.ack != client.isn + 1:
            raise_event(way, EVENT_STREAM_3WHS_SYNACK_WITH_WRONG_ACK)
            return False
        client.next_seq = client.isn
        way.session.flags |= SESSION_FAST_OPEN_LOST
        raise_event(way, EVENT_STREAM_3WHS_SYNACK_TFO_DATA_IGNORED)
    way.session.flags |= SESSION_FAST_OPEN
    set_state(way, TCP_ESTABLISHED)
    return True


cdef inline bint synack_answers(way_t *way) noexcept nogil:
    cdef offer_t offer
    cdef offer_t *kept
    if way.segment.fast_open or way.session.flags & SESSION_FAST_OPEN:
        if not fast_open_answer(way):
            return False
    elif way.segment.ack != way.session.half[0].isn + 1:
        raise_event(way, EVENT_STREAM_3WHS_SYNACK_WITH_WRONG_ACK)
        return False
    if not answer_stamp_valid(way):     # it may answer another of several SYNs
        kept = find_offer(held_of(way.session), way.segment.has_stamp, way.segment.echo)
        if kept == NULL:
            raise_event(way, EVENT_STREAM_PKT_INVALID_TIMESTAMP)
            return False
        go_by_syn(way.session, kept)
    forget_offers(way)
    offer_of(&way.segment, &offer)
    go_by_synack(way, &offer)
    return True


cdef inline bint synack_four_way(way_t *way) noexcept nogil:
    """The client's answer to the server's SYN."""
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    if not session.flags & SESSION_FOUR_WAY:
        raise_event(way, EVENT_STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION)
        return False
    if way.segment.ack != server.isn + 1:
        raise_event(way, EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_ACK)
        return False
    if way.segment.seq != client.isn:
        raise_event(way, EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_SYN)
        return False
    set_state(way, TCP_SYN_RECV)
    begin_half(session, 0, way.segment.seq)
    client.next_seq = way.segment.seq + 1
    server.window = way.segment.window
    if way.segment.has_stamp and session.half_flags[1] & HALF_STAMP:
        client.last_ts = way.segment.stamp
        session.flags |= SESSION_STAMPS
        if way.segment.stamp == 0:
            session.half_flags[0] |= HALF_STAMP_ZERO
    else:
        client.last_ts = server.last_ts = 0
        session.half_flags[1] &= <uint8_t>~HALF_STAMP_ZERO
    server.last_ack = way.segment.ack
    client.last_ack = client.isn + 1
    set_scale(session, 1, way.segment.scale if session.flags & SESSION_SCALES and way.segment.has_scale else 0)
    if session.flags & SESSION_SYN_SACK and way.segment.sack_ok:
        session.flags |= SESSION_SACK
    client.next_win = client.last_ack + client.window
    server.next_win = server.last_ack + server.window
    return True


cdef inline void syn_against_syn(way_t *way) noexcept nogil:
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *server = &session.half[1]
    session.flags |= SESSION_FOUR_WAY
    begin_half(session, 1, way.segment.seq)
    server.next_seq = way.segment.seq + 1
    if way.segment.has_stamp:
        server.last_ts = way.segment.stamp
        session.half_flags[1] |= HALF_STAMP if way.segment.stamp else HALF_STAMP | HALF_STAMP_ZERO
    server.window = way.segment.window
    session.flags &= ~<uint32_t>(SESSION_SCALES | SESSION_SYN_SACK)
    session.flags |= SESSION_SCALES * way.segment.has_scale | SESSION_SYN_SACK * way.segment.sack_ok
    set_scale(session, 1, way.segment.scale if way.segment.has_scale else 0)


cdef inline bint go_on_alone(way_t *way) noexcept nogil:
    """The client's ACK without a SYN/ACK before: one side alone is seen."""
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    if way.segment.seq != client.next_seq:
        raise_event(way, EVENT_STREAM_3WHS_ASYNC_WRONG_SEQ)
        return False
    session.flags |= SESSION_ASYNC
    set_state(way, TCP_ESTABLISHED)
    forget_offers(way)
    client.window = way.segment.window
    client.last_ack = way.segment.seq
    client.next_win = client.last_ack + client.window
    begin_half(session, 1, way.segment.ack - 1)
    server.next_seq = server.last_ack = server.next_win = way.segment.ack
    if session.flags & SESSION_SCALES:
        set_scale(session, 0, SCALE_MAX)
    if way.segment.has_stamp and session.half_flags[0] & HALF_STAMP:
        session.flags |= SESSION_STAMPS
        session.half_flags[0] &= <uint8_t>~HALF_STAMP
    else:
        client.last_ts = 0
        session.half_flags[0] &= <uint8_t>~HALF_STAMP_ZERO
    if session.flags & SESSION_SYN_SACK:
        session.flags |= SESSION_SACK
    reassemble(way, 0)
    return True


cdef inline bint reset_in_syn_sent(way_t *way) noexcept nogil:
    if not rst_valid(way):
        return False
    if way.side == 1 or (way.segment.seq == way.own.isn and way.segment.window == 0 and way.segment.ack == way.own.isn + 1):
        way.session.half_flags[way.side ^ 1] |= HALF_RST_DOUBTED
        reset_session(way)
        forget_offers(way)
    return True


cdef inline bint state_syn_sent(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK:
        return synack_answers(way) if way.side == 1 else synack_four_way(way)
    if not answer_stamp_valid(way):
        raise_event(way, EVENT_STREAM_PKT_INVALID_TIMESTAMP)
        return False
    if flags & TCP_RST:
        return reset_in_syn_sent(way)
    if flags & TCP_FIN:
        return True
    if flags & TCP_SYN:
        if way.side == 1:
            syn_against_syn(way)
        else:
            repeat_syn(way)
        return True
    return not (flags & TCP_ACK and way.config.async_oneside) or go_on_alone(way)


# ---- SYN_RECV ----

cdef inline bint reset_in_syn_recv(way_t *way) noexcept nogil:
    cdef uint8_t os
    if not rst_valid(way):
        return False
    if way.session.flags & SESSION_EVASION:     # these hosts take it for a stray segment
        os = way.session.os >> 4 * (way.side ^ 1) & 15
        if os == OS_LINUX or os == OS_OLD_LINUX or os == OS_SOLARIS:
            return True
    reset_session(way)
    take_stamp(way)
    return True


cdef inline bint repeat_synack(way_t *way) noexcept nogil:
    if way.side == 0:
        raise_event(way, EVENT_STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV)
        return False
    if way.segment.ack != way.session.half[0].last_ack:
        raise_event(way, EVENT_STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_ACK)
        return False
    return way.segment.seq == way.session.half[1].isn or keep_synack(way)


cdef inline bint syn_in_syn_recv(way_t *way) noexcept nogil:
    if way.side == 1:
        raise_event(way, EVENT_STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV)
        return False
    if way.segment.seq != way.session.half[0].isn:
        raise_event(way, EVENT_STREAM_3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV)
        return False
    return True


cdef inline bint ack_four_way(way_t *way) noexcept nogil:
    cdef tcp_half_t *client = &way.session.half[0]
    if way.segment.seq != way.session.half[1].next_seq:
        raise_event(way, EVENT_STREAM_4WHS_WRONG_SEQ)
        return False
    if not ack_valid(way, 0):
        raise_event(way, EVENT_STREAM_4WHS_INVALID_ACK)
        return False
    take_stamp(way)
    update_last_ack(way.session, 0, way.segment.ack)
    update_next_seq(way.session, 1, way.session.half[1].next_seq + way.segment.length)
    client.window = announced(way, 0)
    client.next_win = client.last_ack + client.window
    set_state(way, TCP_ESTABLISHED)
    reassemble(way, 1)
    return True


cdef inline void assume_scales(tcp_session_t *session) noexcept nogil:
    set_scale(session, 0, SCALE_MAX)
    set_scale(session, 1, SCALE_MAX)
    session.flags |= SESSION_SACK


cdef inline void complete_handshake(way_t *way) noexcept nogil:
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    take_stamp(way)
    update_last_ack(session, 1, way.segment.ack)
    update_next_seq(session, 0, client.next_seq + way.segment.length)
    server.window = announced(way, 1)
    server.next_win = server.last_ack + server.window
    if session.flags & SESSION_MIDSTREAM:
        client.window = announced(way, 0)
        client.next_win = client.last_ack + client.window
        if not session.flags & SESSION_MIDSTREAM_SYNACK:
            assume_scales(session)
    set_state(way, TCP_ESTABLISHED)
    if way.segment.length:      # the handshake's ACK itself was lost
        way.meta.flags |= PM_ESTABLISHED
    reassemble(way, 0)


cdef inline void server_alone(way_t *way) noexcept nogil:
    """One side alone is seen, and it is the server."""
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    session.flags |= SESSION_ASYNC
    server.next_seq += way.segment.length
    server.last_ack = way.segment.seq
    client.window = announced(way, 0)
    client.last_ack = way.segment.ack
    take_stamp(way)
    if session.flags & SESSION_MIDSTREAM:
        server.next_win = server.last_ack + server.window
        assume_scales(session)
    set_state(way, TCP_ESTABLISHED)
    reassemble(way, 1)


cdef inline void ack_for_missing(way_t *way) noexcept nogil:
    """The server goes on, and acknowledges what was not seen."""
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    take_stamp(way)
    update_last_ack(session, 0, way.segment.ack)
    server.next_seq = way.segment.end
    client.next_win = client.last_ack + announced(way, 0)
    client.window = way.segment.window
    server.next_win = server.last_ack + server.window
    set_state(way, TCP_ESTABLISHED)
    reassemble(way, 1)


cdef inline void data_after_missing(way_t *way) noexcept nogil:
    """The right acknowledgment, and data further on in the window."""
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    take_stamp(way)
    client.next_seq = way.segment.end
    update_last_ack(session, 1, way.segment.ack)
    server.window = announced(way, 1)
    server.next_win = server.last_ack + server.window
    if session.flags & SESSION_MIDSTREAM:
        client.window = way.segment.window
        assume_scales(session)
    set_state(way, TCP_ESTABLISHED)
    reassemble(way, 0)


cdef inline void server_first(way_t *way) noexcept nogil:
    """What follows a SYN/ACK where the handshake's ACK was missed, or need not come first."""
    cdef tcp_half_t *server = &way.session.half[1]
    update_next_seq(way.session, 1, way.segment.end)
    server.window = announced(way, 1)
    server.next_win = server.last_ack + server.window
    set_state(way, TCP_ESTABLISHED)
    reassemble(way, 1)


cdef inline bint ack_in_syn_recv(way_t *way) noexcept nogil:
    cdef tcp_session_t *session = way.session
    cdef tcp_half_t *client = &session.half[0]
    cdef tcp_half_t *server = &session.half[1]
    cdef held_t *held = held_of(session)
    cdef uint32_t i
    cdef bint missed = False
    if held != NULL:
        for i in range(held.offers_used, 0, -1):
            if held.offers[i - 1].seq == way.segment.ack - 1 and held.offers[i - 1].ack == way.segment.seq:
                go_by_synack(way, &held.offers[i - 1])
                break
    if stamp_refused(way):
        return False
    if way.side == 1:
        if session.flags & SESSION_FOUR_WAY:
            return ack_four_way(way)
        if not session.flags & (SESSION_MIDSTREAM_SYNACK | SESSION_FAST_OPEN):
            if not way.config.passive:      # a sensor in the path sees every packet
                if way.segment.length and way.segment.ack == client.last_ack and way.segment.seq == server.next_seq:
                    raise_event(way, EVENT_STREAM_3WHS_ACK_DATA_INJECT)
                else:
                    raise_event(way, EVENT_STREAM_3WHS_ACK_IN_WRONG_DIR)
                return False
            missed = True
    if way.segment.seq == client.next_seq and way.segment.ack == server.next_seq:
        complete_handshake(way)
    elif way.config.async_oneside and way.segment.seq == server.next_seq:
        server_alone(way)
    elif way.segment.seq == client.next_seq:
        session.flags |= SESSION_EVASION
        raise_event(way, EVENT_STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION)
        return False
    elif (way.side == 1 and way.config.passive and before(client.next_seq, way.segment.seq)
            and before(client.last_ack, way.segment.ack)):
        ack_for_missing(way)
    elif (before(client.next_seq, way.segment.seq) and until(way.segment.seq, client.next_win)
            and way.segment.ack == server.next_seq):
        data_after_missing(way)
    elif ((missed or session.flags & SESSION_FAST_OPEN) and way.segment.ack == client.last_ack
            and way.segment.seq == server.next_seq):
        server_first(way)
    else:
        raise_event(way, EVENT_STREAM_3WHS_WRONG_SEQ_WRONG_ACK)
        return False
    return True


cdef inline bint state_syn_recv(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_syn_recv(way)
    if flags & TCP_FIN:
        return not stamp_refused(way) and take_fin(way)
    if flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK:
        return repeat_synack(way)
    if flags & TCP_SYN:
        return syn_in_syn_recv(way)
    return not flags & TCP_ACK or ack_in_syn_recv(way)
