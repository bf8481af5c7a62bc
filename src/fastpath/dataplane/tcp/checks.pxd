# The checks of a segment that most states share: acknowledgment, timestamp, RST, retransmission. Each notes its event.
from libc.stdint cimport int32_t, uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_STREAM_PKT_BAD_WINDOW_UPDATE, EVENT_STREAM_PKT_INVALID_ACK, EVENT_STREAM_PKT_INVALID_TIMESTAMP,
    EVENT_STREAM_PKT_RETRANSMISSION, EVENT_STREAM_RST_INVALID_ACK, EVENT_STREAM_RST_WITH_DATA,
)
from fastpath.dataplane.hosts cimport OS_HPUX11, OS_LINUX, OS_OLD_LINUX, OS_SOLARIS, OS_VISTA, OS_WINDOWS, OS_WINDOWS2K3
from fastpath.dataplane.tcp.sack cimport sacks_nothing_new
from fastpath.dataplane.tcp.segment cimport before, until
from fastpath.dataplane.tcp.session cimport (
    HALF_KEEPALIVE, HALF_NO_REASSEMBLY, HALF_RST_DOUBTED, HALF_STAMP, HALF_STAMP_ZERO, SESSION_ASYNC, SESSION_LOSSY,
    SESSION_PROBE, SESSION_STAMPS, announced, base_seq_of, held_of, os_of_receiver, raise_event, way_t,
)
from fastpath.dataplane.tcp.state cimport (
    TCP_ACK, TCP_CLOSE_WAIT, TCP_CLOSED, TCP_ESTABLISHED, TCP_FIN, TCP_LAST_ACK, TCP_RST, TCP_SYN, TCP_SYN_SENT, TCP_TIME_WAIT,
)
from fastpath.dataplane.types cimport tcp_half_t

cdef enum:
    CONTROL = TCP_SYN | TCP_FIN | TCP_RST


cdef inline bint ack_valid(way_t *way, uint32_t side) noexcept nogil:
    """Whether the acknowledgment of the segment lies in what that side may have sent."""
    cdef const tcp_half_t *half = &way.session.half[side]
    cdef uint32_t ack = way.segment.ack
    if not way.segment.flags & TCP_ACK or ack == half.last_ack:
        return True
    if before(half.last_ack, ack) and until(ack, half.next_win):
        return True
    if before(ack, half.last_ack):
        if half.window == 0 or not before(ack, half.last_ack - half.window):
            return True
    elif way.session.flags & SESSION_ASYNC:
        return True
    elif way.flow.tcp_state == TCP_SYN_SENT and way.segment.direction and way.segment.flags & TCP_RST and ack == half.isn + 1:
        return True     # the answer of a closed port
    raise_event(way, EVENT_STREAM_PKT_INVALID_ACK)
    return False


# ---- timestamps: RFC 7323, section 5, with the ways of the hosts ----

cdef inline bint zero_stamp_allowed(uint8_t os) noexcept nogil:
    return os in (OS_OLD_LINUX, OS_WINDOWS, OS_WINDOWS2K3, OS_VISTA, OS_SOLARIS)


cdef inline bint stamp_grows(way_t *way, uint8_t os, uint32_t last) noexcept nogil:
    """Not older than the last; Linux takes one that is older by one."""
    cdef uint32_t slack = os == OS_LINUX or way.config.liberal_timestamps
    return <int32_t>(way.segment.stamp - last + slack) >= 0


cdef inline bint stamp_valid(way_t *way) noexcept nogil:
    """Changes nothing but the event."""
    cdef uint8_t os = os_of_receiver(way, way.side ^ 1)
    cdef bint check = True
    if not way.segment.has_stamp:
        return True
    if way.session.half_flags[way.side] & HALF_STAMP_ZERO:
        if os == OS_LINUX or os == OS_WINDOWS2K3:
            check = False
        elif os in (OS_OLD_LINUX, OS_WINDOWS, OS_VISTA) and way.own.next_seq == way.segment.seq:
            check = False
    if os == OS_HPUX11 and way.own.next_seq != way.segment.seq:
        check = False
    if (way.segment.stamp == 0 and not zero_stamp_allowed(os)) or (check and not stamp_grows(way, os, way.own.last_ts)):
        raise_event(way, EVENT_STREAM_PKT_INVALID_TIMESTAMP)
        return False
    return True


cdef inline void take_stamp(way_t *way) noexcept nogil:
    """The timestamp of a segment that was accepted is the one that the next are held against."""
    cdef uint8_t os
    cdef bint check = True
    if not way.session.flags & SESSION_STAMPS:
        return
    os = os_of_receiver(way, way.side ^ 1)
    if not way.segment.has_stamp:
        if os == OS_SOLARIS:
            way.session.flags &= ~<uint32_t>SESSION_STAMPS
        return
    if way.session.half_flags[way.side] & HALF_STAMP_ZERO:
        if os == OS_LINUX or os == OS_WINDOWS2K3:
            way.session.flags &= ~<uint32_t>SESSION_STAMPS
            check = False
        elif os in (OS_OLD_LINUX, OS_WINDOWS, OS_VISTA):
            way.session.half_flags[way.side] &= <uint8_t>~HALF_STAMP_ZERO
            if way.own.next_seq == way.segment.seq:
                way.own.last_ts = way.segment.stamp
                check = False
    if os == OS_HPUX11 and way.own.next_seq != way.segment.seq:
        check = False
    if (way.segment.stamp == 0 and not zero_stamp_allowed(os)) or (check and not stamp_grows(way, os, way.own.last_ts)):
        raise_event(way, EVENT_STREAM_PKT_INVALID_TIMESTAMP)
    elif check and way.own.next_seq == way.segment.seq:
        way.own.last_ts = way.segment.stamp


cdef inline bint stamp_refused(way_t *way) noexcept nogil:
    return way.session.flags & SESSION_STAMPS and not stamp_valid(way)


cdef inline bint answer_stamp_valid(way_t *way) noexcept nogil:
    """Whether an answer to a SYN echoes its timestamp."""
    if way.segment.direction == 0 or not way.segment.has_stamp or way.segment.echo == 0:
        return True
    if way.session.half_flags[0] & HALF_STAMP:
        return way.session.half[0].last_ts == 0 or way.segment.echo == way.session.half[0].last_ts
    return way.session.half[0].last_ts != 0


# ---- RST: which ones a host believes ----

cdef inline bint rst_in_place(way_t *way, uint8_t os) noexcept nogil:
    if way.session.flags & SESSION_ASYNC or os == OS_HPUX11:
        return until(way.own.next_seq, way.segment.seq)
    if os in (OS_OLD_LINUX, OS_LINUX, OS_SOLARIS):
        return until(way.own.last_ack, way.segment.end) and before(way.segment.seq, way.own.next_seq + way.own.window)
    return way.segment.seq == way.own.next_seq


cdef inline bint rst_valid(way_t *way) noexcept nogil:
    cdef uint8_t os
    if way.session.flags & SESSION_LOSSY:
        return True
    if stamp_refused(way):
        return False
    if way.segment.length:
        raise_event(way, EVENT_STREAM_RST_WITH_DATA)
    os = os_of_receiver(way, way.side ^ 1)
    if way.segment.flags & TCP_ACK and way.segment.ack and not ack_valid(way, way.side ^ 1):
        raise_event(way, EVENT_STREAM_RST_INVALID_ACK)
        return False
    if way.segment.signed_:
        way.session.half_flags[way.side ^ 1] |= HALF_RST_DOUBTED
    return rst_in_place(way, os)


# ---- segments that repeat, probe or only acknowledge ----

cdef inline bint retransmitted(way_t *way) noexcept nogil:
    """Bytes that were seen before: acknowledged wholly or in part, or wholly on their way."""
    if way.segment.length == 0:
        return False
    if before(way.segment.seq, way.own.last_ack) or until(way.segment.end, way.own.next_seq):
        raise_event(way, EVENT_STREAM_PKT_RETRANSMISSION)
        return True
    return False


cdef inline uint32_t spurious(way_t *way) noexcept nogil:
    """1 where all bytes have been acknowledged, 2 where they are done with as well."""
    if way.segment.length == 0:
        return 0
    if not way.session.half_flags[way.side] & HALF_NO_REASSEMBLY and until(way.segment.end, base_seq_of(way.session, way.side)):
        return 2
    return until(way.segment.end, way.own.last_ack)


cdef inline bint keep_alive(way_t *way) noexcept nogil:
    """RFC 1122, section 4.2.3.6: a byte before the next, or none."""
    if way.segment.length > 1 or way.segment.flags & CONTROL:
        return False
    if way.segment.ack == way.peer.last_ack and way.segment.seq == way.own.next_seq - 1:
        way.session.half_flags[way.side] |= HALF_KEEPALIVE
        return True
    return False


cdef inline bint keep_alive_answer(way_t *way) noexcept nogil:
    if way.segment.length or way.segment.flags & CONTROL or way.segment.window == 0:
        return False
    if not way.session.half_flags[way.side ^ 1] & HALF_KEEPALIVE or announced(way, way.side ^ 1) != way.peer.window:
        return False
    if way.segment.ack == way.peer.last_ack and way.segment.seq == way.own.next_seq:
        way.session.half_flags[way.side ^ 1] &= <uint8_t>~HALF_KEEPALIVE
        return True
    return False


cdef inline bint pure_ack(const way_t *way) noexcept nogil:
    return (way.flow.tcp_state >= TCP_ESTABLISHED and way.segment.length == 0
            and way.segment.flags & (TCP_ACK | CONTROL) == TCP_ACK)


cdef inline bint probe_answer(way_t *way) noexcept nogil:
    """The window is still zero."""
    if not way.session.flags & SESSION_PROBE << (way.side ^ 1) or not pure_ack(way):
        return False
    return (announced(way, way.side) == 0 and way.peer.window == 0 and way.segment.seq == way.own.next_seq
            and way.segment.ack == way.peer.last_ack)


cdef inline bint final_ack(const way_t *way) noexcept nogil:
    """The last acknowledgment of a close."""
    return (way.flow.tcp_state in (TCP_TIME_WAIT, TCP_CLOSE_WAIT, TCP_LAST_ACK) and way.segment.flags == TCP_ACK
            and way.segment.length == 0 and way.segment.seq == way.own.next_seq + 1 and way.segment.ack == way.peer.next_seq + 1)


cdef inline bint window_update(way_t *way) noexcept nogil:
    if way.flow.tcp_state < TCP_ESTABLISHED or way.segment.length or way.segment.flags & CONTROL or way.segment.window == 0:
        return False
    return (announced(way, way.side ^ 1) != way.peer.window and way.segment.ack == way.peer.last_ack
            and way.segment.seq == way.own.next_seq)


cdef inline bint bad_window_update(way_t *way) noexcept nogil:
    """A segment from nowhere that shrinks the window by more than it can account for: what follows would be shut out."""
    cdef uint32_t window, shrunk, acked
    if way.flow.tcp_state < TCP_ESTABLISHED or way.flow.tcp_state == TCP_CLOSED or way.segment.flags & CONTROL:
        return False
    window = announced(way, way.side ^ 1)
    if window >= way.peer.window:
        return False
    shrunk = way.peer.window - window
    if shrunk <= way.segment.length or until(way.segment.ack, way.peer.next_seq) or until(way.segment.seq, way.own.next_seq):
        return False
    acked = way.segment.ack - way.peer.last_ack
    if shrunk > (acked + 32 if window > 1024 else acked):
        raise_event(way, EVENT_STREAM_PKT_BAD_WINDOW_UPDATE)
        return True
    return False


cdef inline bint outdated_ack(way_t *way) noexcept nogil:
    if not pure_ack(way) or way.segment.seq != way.own.next_seq or not before(way.segment.ack, way.peer.last_ack):
        return False
    if way.session.held == NULL:
        return sacks_nothing_new(NULL, way.peer, &way.segment)
    return sacks_nothing_new(&held_of(way.session).side[way.side ^ 1], way.peer, &way.segment)
