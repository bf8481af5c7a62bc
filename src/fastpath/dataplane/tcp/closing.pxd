# The states from the first FIN on, and RST. As in handshake.pxd, False is a segment that is not a part of the session. The
# two sides are not alike: a FIN of the client leads to CLOSE_WAIT, one of the server to FIN_WAIT1, and a FIN of the server
# counts as a sequence number, one of the client does not.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW, EVENT_STREAM_CLOSEWAIT_FIN_OUT_OF_WINDOW, EVENT_STREAM_CLOSEWAIT_INVALID_ACK,
    EVENT_STREAM_CLOSEWAIT_PKT_BEFORE_LAST_ACK, EVENT_STREAM_CLOSING_ACK_WRONG_SEQ, EVENT_STREAM_CLOSING_INVALID_ACK,
    EVENT_STREAM_FIN1_ACK_WRONG_SEQ, EVENT_STREAM_FIN1_FIN_WRONG_SEQ, EVENT_STREAM_FIN1_INVALID_ACK,
    EVENT_STREAM_FIN2_ACK_WRONG_SEQ, EVENT_STREAM_FIN2_FIN_WRONG_SEQ, EVENT_STREAM_FIN2_INVALID_ACK, EVENT_STREAM_FIN_INVALID_ACK,
    EVENT_STREAM_FIN_OUT_OF_WINDOW, EVENT_STREAM_FIN_SYN, EVENT_STREAM_LASTACK_ACK_WRONG_SEQ, EVENT_STREAM_LASTACK_INVALID_ACK,
    EVENT_STREAM_SHUTDOWN_SYN_RESEND, EVENT_STREAM_TIMEWAIT_ACK_WRONG_SEQ, EVENT_STREAM_TIMEWAIT_INVALID_ACK,
)
from fastpath.dataplane.tcp.feeding cimport reassemble
from fastpath.dataplane.tcp.sack cimport take_sacks
from fastpath.dataplane.tcp.segment cimport before, until
from fastpath.dataplane.tcp.session cimport (
    SESSION_ASYNC, SESSION_MIDSTREAM, SESSION_RESET, allow_peer, announced, ensure_held, raise_event, set_state, update_last_ack,
    update_next_seq, update_next_win, way_t,
)
from fastpath.dataplane.tcp.state cimport (
    TCP_ACK, TCP_CLOSE_WAIT, TCP_CLOSED, TCP_CLOSING, TCP_FIN, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK, TCP_RST, TCP_SYN,
    TCP_TIME_WAIT,
)
from fastpath.dataplane.tcp.checks cimport ack_valid, retransmitted, rst_valid, stamp_refused, take_stamp


cdef inline bint refuse(way_t *way, uint16_t code) noexcept nogil:
    raise_event(way, code)
    return False


cdef inline void reset_session(way_t *way) noexcept nogil:
    way.session.flags |= SESSION_RESET
    set_state(way, TCP_CLOSED)


cdef inline void ack_peer(way_t *way) noexcept nogil:
    update_last_ack(way.session, way.side ^ 1, way.segment.ack)


cdef inline void catch_up(way_t *way, uint32_t fin) noexcept nogil:
    """What is acknowledged was sent, seen or not. `fin`: sequence numbers that a FIN of the other side took."""
    if before(way.peer.next_seq - fin, way.segment.ack):
        way.peer.next_seq = way.segment.ack


cdef inline void take_ack(way_t *way) noexcept nogil:
    """Acknowledgment, selective ones, and the window that they leave; then the bytes."""
    ack_peer(way)
    if way.segment.sacks and ensure_held(way) != NULL:
        take_sacks(way.pool, &ensure_held(way).side[way.side ^ 1], way.peer, &way.segment)
    update_next_win(way.session, way.side ^ 1)
    reassemble(way, way.side)


cdef inline bint take_rest(way_t *way) noexcept nogil:
    """What is left to do with a segment of a closing session once its state is settled: stamp, acknowledgment, bytes. True."""
    take_stamp(way)
    catch_up(way, 0)
    if way.segment.flags & TCP_ACK:
        ack_peer(way)
    reassemble(way, way.side)
    return True


cdef inline bint beyond_window(const way_t *way) noexcept nogil:
    return before(way.own.last_ack + way.own.window, way.segment.seq)


cdef inline bint in_window(const way_t *way) noexcept nogil:
    return until(way.segment.end, way.own.next_win) or (way.session.flags & (SESSION_MIDSTREAM | SESSION_ASYNC)) != 0


cdef inline void reset_in_order(way_t *way) noexcept nogil:
    """An RST that is believed: acknowledgments count once more, so that the bytes can be handed on."""
    if way.segment.flags & TCP_ACK and ack_valid(way, way.side ^ 1):
        ack_peer(way)
    update_last_ack(way.session, way.side, way.segment.seq)
    take_stamp(way)
    reassemble(way, way.side)


cdef inline bint reset_in_close(way_t *way) noexcept nogil:
    if not rst_valid(way):
        return False
    reset_session(way)
    reset_in_order(way)
    return True


cdef inline bint take_fin(way_t *way) noexcept nogil:
    """The first FIN of a session."""
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_FIN_INVALID_ACK)
    if before(way.segment.seq, way.own.last_ack) or before(way.own.next_win, way.segment.end):
        return refuse(way, EVENT_STREAM_FIN_OUT_OF_WINDOW)
    if way.side == 0 and way.segment.flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_FIN_SYN)
    set_state(way, TCP_FIN_WAIT1 if way.side else TCP_CLOSE_WAIT)
    way.own.next_seq = way.segment.end + way.side
    allow_peer(way)
    return take_rest(way)


# ---- FIN_WAIT1: the server has sent its FIN ----

cdef inline bint fin_in_fin_wait1(way_t *way) noexcept nogil:
    cdef bint with_ack = (way.segment.flags & TCP_ACK) != 0
    cdef bint again = retransmitted(way)
    cdef uint32_t fin = 1 if way.side or not with_ack else 0
    if not again:
        if with_ack and way.side and way.segment.seq == way.own.next_seq - 1 and way.segment.ack == way.peer.last_ack:
            again = True
        elif before(way.segment.seq, way.own.next_seq - 1) or beyond_window(way):
            return refuse(way, EVENT_STREAM_FIN1_FIN_WRONG_SEQ)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_FIN1_INVALID_ACK)
    if not again:
        set_state(way, TCP_TIME_WAIT if with_ack else TCP_CLOSING)
        allow_peer(way)
    take_stamp(way)
    if not (again and with_ack and way.side):
        catch_up(way, 1)
        if way.segment.seq == way.own.next_seq - fin:
            update_next_seq(way.session, way.side, way.segment.end)
        if with_ack:
            ack_peer(way)
    reassemble(way, way.side)
    return True


cdef inline bint ack_in_fin_wait1(way_t *way) noexcept nogil:
    cdef bint again = retransmitted(way)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_FIN1_INVALID_ACK)
    if not again and (way.side or way.segment.ack == way.peer.next_seq):
        if not in_window(way):
            return refuse(way, EVENT_STREAM_FIN1_ACK_WRONG_SEQ)
        if way.segment.seq == way.own.next_seq - way.side:
            set_state(way, TCP_FIN_WAIT2)
        allow_peer(way)
    take_stamp(way)
    catch_up(way, 1)
    if way.segment.seq == way.own.next_seq - way.side:
        update_next_seq(way.session, way.side, way.segment.end)
    take_ack(way)
    return True


cdef inline bint state_fin_wait1(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_close(way)
    if flags & TCP_FIN:
        return not stamp_refused(way) and fin_in_fin_wait1(way)
    if flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_SHUTDOWN_SYN_RESEND)
    return not flags & TCP_ACK or (not stamp_refused(way) and ack_in_fin_wait1(way))


# ---- FIN_WAIT2: and it was acknowledged ----

cdef inline bint fin_in_fin_wait2(way_t *way) noexcept nogil:
    cdef bint again = True
    if way.segment.seq != way.own.next_seq - 1 or way.segment.ack != way.peer.last_ack:
        again = retransmitted(way)
        if not again and (before(way.segment.seq, way.own.next_seq) or beyond_window(way)):
            return refuse(way, EVENT_STREAM_FIN2_FIN_WRONG_SEQ)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_FIN2_INVALID_ACK)
    if not again:
        set_state(way, TCP_TIME_WAIT)
        if way.side == 0 and way.segment.seq == way.own.next_seq:
            update_next_seq(way.session, 0, way.segment.end)
        allow_peer(way)
    return take_rest(way)


cdef inline bint ack_in_fin_wait2(way_t *way) noexcept nogil:
    cdef bint again = retransmitted(way)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_FIN2_INVALID_ACK)
    if not again:
        if not in_window(way):
            return refuse(way, EVENT_STREAM_FIN2_ACK_WRONG_SEQ)
        allow_peer(way)
    take_stamp(way)
    if way.segment.seq == way.own.next_seq:
        update_next_seq(way.session, way.side, way.segment.end)
    take_ack(way)
    return True


cdef inline bint state_fin_wait2(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_close(way)
    if flags & TCP_FIN:
        return not stamp_refused(way) and fin_in_fin_wait2(way)
    if flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_SHUTDOWN_SYN_RESEND)
    return not flags & TCP_ACK or (not stamp_refused(way) and ack_in_fin_wait2(way))


# ---- CLOSING: both have sent a FIN ----

cdef inline bint ack_in_closing(way_t *way) noexcept nogil:
    cdef bint again = retransmitted(way)
    if way.segment.seq != way.own.next_seq:
        return refuse(way, EVENT_STREAM_CLOSING_ACK_WRONG_SEQ)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_CLOSING_INVALID_ACK)
    if not again:
        set_state(way, TCP_TIME_WAIT)
        way.session.half[0].window = announced(way, 0)
    return take_rest(way)


cdef inline bint state_closing(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_close(way)
    if flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_SHUTDOWN_SYN_RESEND)
    return not flags & TCP_ACK or (not stamp_refused(way) and ack_in_closing(way))


# ---- CLOSE_WAIT: the client has sent its FIN ----

cdef inline bint fin_in_close_wait(way_t *way) noexcept nogil:
    cdef bint again = retransmitted(way)
    if not again and (before(way.segment.seq, way.own.next_seq) or beyond_window(way)):
        return refuse(way, EVENT_STREAM_CLOSEWAIT_FIN_OUT_OF_WINDOW)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_CLOSEWAIT_INVALID_ACK)
    if not again:
        if way.side:
            set_state(way, TCP_LAST_ACK)
        allow_peer(way)
    return take_rest(way)


cdef inline bint ack_in_close_wait(way_t *way) noexcept nogil:
    cdef bint again = retransmitted(way)
    if way.segment.length and until(way.segment.end, way.own.last_ack):
        return refuse(way, EVENT_STREAM_CLOSEWAIT_PKT_BEFORE_LAST_ACK)
    if beyond_window(way):
        return refuse(way, EVENT_STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_CLOSEWAIT_INVALID_ACK)
    if not again:
        allow_peer(way)
    take_stamp(way)
    catch_up(way, 0)
    if way.segment.seq == way.own.next_seq:
        update_next_seq(way.session, way.side, way.segment.end)
    ack_peer(way)
    reassemble(way, way.side)
    return True


cdef inline bint state_close_wait(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_close(way)
    if flags & TCP_FIN:
        return not stamp_refused(way) and fin_in_close_wait(way)
    if flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_SHUTDOWN_SYN_RESEND)
    return not flags & TCP_ACK or (not stamp_refused(way) and ack_in_close_wait(way))


# ---- LAST_ACK and TIME_WAIT: an acknowledgment is all that lacks ----

cdef inline bint ack_in_last_ack(way_t *way) noexcept nogil:
    cdef bint again
    if way.side:
        return True
    again = retransmitted(way)
    if not ack_valid(way, 1):
        return refuse(way, EVENT_STREAM_LASTACK_INVALID_ACK)
    if not again:
        if not before(way.segment.seq, way.own.next_seq):
            if way.segment.seq - way.own.next_seq > 1:
                return refuse(way, EVENT_STREAM_LASTACK_ACK_WRONG_SEQ)
            set_state(way, TCP_CLOSED)
        allow_peer(way)
    return take_rest(way)


cdef inline bint state_last_ack(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_close(way)
    if flags & TCP_FIN:
        return True
    if flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_SHUTDOWN_SYN_RESEND)
    return not flags & TCP_ACK or (not stamp_refused(way) and ack_in_last_ack(way))


cdef inline bint ack_in_time_wait(way_t *way) noexcept nogil:
    cdef bint again = retransmitted(way)
    # behind the client's data stands its FIN; in next_seq the server's is counted already
    if not again and way.segment.seq != way.own.next_seq and way.segment.seq + 2 * way.side != way.own.next_seq + 1:
        if way.side and way.segment.length and way.segment.seq == way.own.last_ack:
            return True
        return refuse(way, EVENT_STREAM_TIMEWAIT_ACK_WRONG_SEQ)
    if not ack_valid(way, way.side ^ 1):
        return refuse(way, EVENT_STREAM_TIMEWAIT_INVALID_ACK)
    if not again:
        set_state(way, TCP_CLOSED)
        allow_peer(way)
    return take_rest(way)


cdef inline bint state_time_wait(way_t *way) noexcept nogil:
    cdef uint8_t flags = way.segment.flags
    if flags & TCP_RST:
        return reset_in_close(way)
    if flags & TCP_FIN:
        return True
    if flags & TCP_SYN:
        return refuse(way, EVENT_STREAM_SHUTDOWN_SYN_RESEND)
    return not flags & TCP_ACK or (not stamp_refused(way) and ack_in_time_wait(way))
