# The state of most segments. What is refused here is only not reassembled: a sensor in the path lets it pass.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.tcp.closing cimport refuse, reset_in_order, reset_session, take_fin
from fastpath.dataplane.events cimport (
    EVENT_STREAM_EST_ACK_ZWP_DATA, EVENT_STREAM_EST_INVALID_ACK, EVENT_STREAM_EST_PACKET_OUT_OF_WINDOW,
    EVENT_STREAM_EST_PKT_BEFORE_LAST_ACK, EVENT_STREAM_EST_SYN_RESEND, EVENT_STREAM_EST_SYN_RESEND_DIFF_SEQ,
    EVENT_STREAM_EST_SYN_TOCLIENT, EVENT_STREAM_EST_SYNACK_RESEND, EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_ACK,
    EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ, EVENT_STREAM_EST_SYNACK_TOSERVER,
)
from fastpath.dataplane.tcp.feeding cimport reassemble
from fastpath.dataplane.tcp.sack cimport take_sacks
from fastpath.dataplane.tcp.segment cimport before, until
from fastpath.dataplane.tcp.session cimport (
    SESSION_ASYNC, SESSION_CONFIRMED, SESSION_MIDSTREAM, SESSION_MIDSTREAM_NEW, SESSION_PROBE, allow_peer, announced, ensure_held,
    raise_event, update_last_ack, update_next_seq, update_next_win, way_t,
)
from fastpath.dataplane.tcp.state cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from fastpath.dataplane.tcp.checks cimport ack_valid, rst_valid, stamp_refused, take_stamp


cdef inline bint reset_established(way_t *way) noexcept nogil:
    if not rst_valid(way):
        return False
    reset_session(way)
    way.peer.next_seq = way.segment.ack
    way.own.next_seq = way.segment.end + way.side
    way.own.window = announced(way, way.side)
    reset_in_order(way)
    return True


cdef inline bint synack_again(way_t *way) noexcept nogil:
    if way.side == 0:
        return refuse(way, EVENT_STREAM_EST_SYNACK_TOSERVER)
    if way.segment.ack != way.peer.last_ack:
        return refuse(way, EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_ACK)
    if way.segment.seq != way.own.isn:
        return refuse(way, EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ)
    if way.session.flags & SESSION_CONFIRMED:
        return refuse(way, EVENT_STREAM_EST_SYNACK_RESEND)
    return True     # the server did not get the handshake's ACK


cdef inline bint syn_again(way_t *way) noexcept nogil:
    if way.side:
        return refuse(way, EVENT_STREAM_EST_SYN_TOCLIENT)
    if way.segment.seq != way.own.isn:
        return refuse(way, EVENT_STREAM_EST_SYN_RESEND_DIFF_SEQ)
    return refuse(way, EVENT_STREAM_EST_SYN_RESEND)


cdef inline bint seen_before(way_t *way) noexcept nogil:
    """Whether a segment lies before what was acknowledged, and does not count. Of one side alone it moves what counts as
    acknowledged."""
    cdef uint32_t flags = way.session.flags
    if way.segment.length <= 1 and way.segment.seq == way.own.next_seq - 1:
        return False
    if not before(way.segment.end, way.own.last_ack):
        return False
    if flags & SESSION_ASYNC:
        if way.side:
            way.own.last_ack = way.segment.seq
        else:
            update_last_ack(way.session, 0, way.segment.seq)
        return False
    if (way.side == 0 and way.config.async_oneside and flags & SESSION_MIDSTREAM
            and (way.segment.seq == way.own.next_seq or way.own.last_ack == way.own.isn + 1)):
        update_last_ack(way.session, 0, way.segment.seq)
        way.session.flags |= SESSION_ASYNC
        return False
    # bytes that were acknowledged without having been seen
    return not (before(way.own.next_seq, way.own.last_ack) and before(way.own.next_seq, way.segment.end))


cdef inline void take_established(way_t *way) noexcept nogil:
    cdef uint32_t flags = way.session.flags
    if flags & SESSION_PROBE << (way.side ^ 1) and way.segment.ack == way.peer.next_seq + 1:
        raise_event(way, EVENT_STREAM_EST_ACK_ZWP_DATA)
    elif not ack_valid(way, way.side ^ 1):
        raise_event(way, EVENT_STREAM_EST_INVALID_ACK)
        return
    if way.side and flags & SESSION_MIDSTREAM and flags & SESSION_MIDSTREAM_NEW:
        way.own.window = announced(way, way.side)
        way.own.next_win = way.own.last_ack + way.own.window
        way.session.flags &= ~<uint32_t>SESSION_MIDSTREAM_NEW
    if seen_before(way):
        raise_event(way, EVENT_STREAM_EST_PKT_BEFORE_LAST_ACK)
        return
    if way.segment.length == 1 and way.segment.seq == way.own.next_seq and way.own.window == 0:
        way.session.flags |= SESSION_PROBE << way.side
        reassemble(way, way.side)
        return
    if until(way.own.next_seq, way.segment.end):
        update_next_seq(way.session, way.side, way.segment.end)
    if before(way.own.next_win, way.segment.end) and not way.session.flags & (SESSION_MIDSTREAM | SESSION_ASYNC):
        raise_event(way, EVENT_STREAM_EST_PACKET_OUT_OF_WINDOW)
        return
    allow_peer(way)
    update_last_ack(way.session, way.side ^ 1, way.segment.ack)
    take_stamp(way)
    if way.segment.sacks and ensure_held(way) != NULL:
        take_sacks(way.pool, &ensure_held(way).side[way.side ^ 1], way.peer, &way.segment)
    update_next_win(way.session, way.side ^ 1)
    reassemble(way, way.side)


cdef inline bint state_established(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_established(way)
    if flags & TCP_FIN:
        return not stamp_refused(way) and take_fin(way)
    if flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK:
        return synack_again(way)
    if flags & TCP_SYN:
        return syn_again(way)
    if flags & TCP_ACK:
        if stamp_refused(way):
            return False
        if way.side:
            way.session.flags |= SESSION_CONFIRMED
        take_established(way)
    return True
