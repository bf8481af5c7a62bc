# From an accepted segment to the bytes that may be handed on.
#
# Passive, a segment's acknowledgment hands on what the other side sent before; inline, a segment hands on its own bytes. An
# RST, a FIN that closes and the end of the flow hand on what there is of the sender as well. What an RST carries is no data.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.events cimport (
    EVENT_STREAM_REASSEMBLY_DEPTH_REACHED, EVENT_STREAM_REASSEMBLY_INSERT_LIMIT, EVENT_STREAM_REASSEMBLY_INSERT_MEMCAP,
    EVENT_STREAM_REASSEMBLY_NO_SEGMENT, EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA,
    EVENT_STREAM_REASSEMBLY_URGENT_OOB_LIMIT_REACHED,
)
from fastpath.dataplane.tcp.held cimport SIDE_DEPTH, SIDE_GAP_SAID, SIDE_URGENT_SAID, held_t, side_t
from fastpath.dataplane.tcp.reassembly cimport INSERTED_DIFFERENT, INSERT_LIMIT, INSERT_REFUSED, insert_segment
from fastpath.dataplane.tcp.segment cimport before, until
from fastpath.dataplane.tcp.session cimport (
    HALF_NO_REASSEMBLY, HALF_RAW_LAST, SESSION_NO_APP, SESSION_RESET, SESSION_SPOKE_TO_CLIENT, SESSION_SPOKE_TO_SERVER,
    acked_offset, ensure_held, held_of, ordinal_of, os_of_receiver, raise_event, way_t,
)
from fastpath.dataplane.tcp.state cimport (
    STREAM_DEPTH_REACHED, STREAM_FED_TO_SERVER, STREAM_IN, STREAM_NO_SEGMENT, STREAM_REJECTED, TCP_ACK, TCP_CLOSED, TCP_CLOSING,
    TCP_FIN, TCP_FIN_WAIT1, TCP_RST, TCP_SYN, TCP_TIME_WAIT, TCP_URG, URGENT_DROP, URGENT_GAP, URGENT_OOB,
)
from fastpath.dataplane.types cimport PM_PSEUDO, flow_t, tcp_session_t

cdef enum:
    URGENT_MAX = 65535          # bytes taken out of band of a direction


cdef inline bint within_depth(way_t *way, side_t *side, uint32_t isn, uint32_t seq, uint32_t length) noexcept nogil:
    """A segment that reaches beyond the depth is left out, and all that follow."""
    cdef uint64_t end
    if before(seq, side.base_seq) and until(seq + length, side.base_seq):
        return False
    if side.depth == 0:
        return True
    if side.flags & SIDE_DEPTH:
        return False
    end = side.base + <uint32_t>(seq + length - side.base_seq)
    if end > side.depth:
        side.flags |= SIDE_DEPTH
        raise_event(way, EVENT_STREAM_REASSEMBLY_DEPTH_REACHED)
        return False
    return not before(seq, isn)


cdef inline bint takes_urgent(way_t *way, side_t *side, uint32_t *length) noexcept nogil:
    """RFC 6093: is the last byte of a segment with an urgent pointer of the stream? `length`: without it where it is not.
    False: a segment to be dropped."""
    cdef uint8_t policy = way.config.urgent
    if not way.segment.flags & TCP_URG:
        return True
    if policy != URGENT_DROP and (way.segment.urgent == 0 or way.segment.urgent > length[0]):
        return True
    if policy == URGENT_OOB and side.urgent_seen == URGENT_MAX:
        policy = way.config.urgent_limit
        if not side.flags & SIDE_URGENT_SAID:
            side.flags |= SIDE_URGENT_SAID
            raise_event(way, EVENT_STREAM_REASSEMBLY_URGENT_OOB_LIMIT_REACHED)
    if policy == URGENT_DROP and not way.config.passive:
        way.result |= STREAM_REJECTED
        return False
    if policy == URGENT_OOB or policy == URGENT_GAP:
        length[0] -= 1
        side.urgent_seen += policy == URGENT_OOB
    return True


cdef inline bint hold_bytes(way_t *way, uint32_t number) noexcept nogil:
    """The payload of the segment into the bytes of a direction. False: an account refused it."""
    cdef held_t *held
    cdef side_t *side
    cdef uint32_t outcome, seq = way.segment.seq, length = way.segment.length
    cdef uint8_t os = os_of_receiver(way, number)
    if not way.session.flags & (SESSION_SPOKE_TO_SERVER | SESSION_SPOKE_TO_CLIENT):
        way.session.flags |= SESSION_SPOKE_TO_SERVER << number
    if way.session.flags & SESSION_NO_APP and way.session.half_flags[number] & HALF_RAW_LAST:
        return True
    held = ensure_held(way) if ordinal_of(way) != way.config.fail_segment else NULL
    if held == NULL:
        way.result |= STREAM_NO_SEGMENT
        raise_event(way, EVENT_STREAM_REASSEMBLY_NO_SEGMENT)
        return False
    side = &held.side[number]
    if way.segment.flags == TCP_SYN:        # the data of a SYN stands behind it
        seq += 1
    seq -= side.urgent_seen
    if not takes_urgent(way, side, &length):
        return False
    if length == 0 or not within_depth(way, side, way.session.half[number].isn, seq, length):
        return True
    outcome = insert_segment(way.pool, side, os, way.config.passive, way.config.compare_overlaps, seq, way.segment.payload,
                             length)
    if outcome == INSERTED_DIFFERENT:
        raise_event(way, EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA)
    elif outcome >= INSERT_REFUSED:
        way.result |= STREAM_NO_SEGMENT
        raise_event(way, EVENT_STREAM_REASSEMBLY_INSERT_MEMCAP if outcome == INSERT_REFUSED
                    else EVENT_STREAM_REASSEMBLY_INSERT_LIMIT)
    return outcome < INSERT_REFUSED


cdef inline uint32_t fed(const flow_t *flow, const tcp_session_t *session, held_t *held, uint32_t number, bint passive,
                         bint over) noexcept nogil:
    """The application layer is due, if there is something for it, or no more will come: STREAM_FED_*, or 0. One that is there
    already needs not be told of bytes that wait for their acknowledgment."""
    cdef side_t *side = &held.side[number]
    if session.flags & SESSION_NO_APP or session.half_flags[number] & HALF_NO_REASSEMBLY:
        return 0
    if side.edge <= side.app and not over and not side.flags & SIDE_DEPTH:
        return 0
    side.flags &= <uint8_t>~SIDE_GAP_SAID
    if (passive and not over and not side.flags & SIDE_DEPTH and flow.more.app != NULL
            and acked_offset(session, number) <= side.app):
        return 0
    return STREAM_FED_TO_SERVER << number


cdef inline void feed(way_t *way, uint32_t number) noexcept nogil:
    if way.session.held != NULL:
        way.result |= fed(way.flow, way.session, held_of(way.session), number, way.config.passive,
                          way.flow.tcp_state >= TCP_CLOSING or way.meta.flags & PM_PSEUDO != 0)


cdef inline void reassemble(way_t *way, uint32_t number) noexcept nogil:
    """A segment was accepted; `number`: the direction that its payload belongs to."""
    cdef uint8_t flags = way.segment.flags
    cdef uint8_t state = way.flow.tcp_state
    cdef bint own, other
    cdef held_t *held
    if not way.config.passive or way.meta.flags & PM_PSEUDO or flags & TCP_RST:
        own, other = True, False
    elif flags & TCP_FIN and state > TCP_TIME_WAIT:
        own, other = True, (flags & TCP_ACK) != 0
    else:
        own, other = state == TCP_CLOSED, True
    if other:
        feed(way, number ^ 1)
    if way.segment.length and not flags & TCP_RST and not way.session.half_flags[number] & HALF_NO_REASSEMBLY:
        if not hold_bytes(way, number):
            return
        way.result |= STREAM_IN
    held = held_of(way.session)
    if held != NULL and held.side[number].flags & SIDE_DEPTH and not way.session.half_flags[number] & HALF_NO_REASSEMBLY:
        own = True
        way.result |= STREAM_DEPTH_REACHED
    if own:
        feed(way, number)


# ---- handing on ----

cdef inline bint lost(const flow_t *flow, const tcp_session_t *session, uint32_t number, uint64_t at) noexcept nogil:
    """Whether what is missing at this offset was acknowledged, and so will not come. A FIN is acknowledged too."""
    cdef const side_t *side = &held_of(session).side[number]
    cdef uint64_t acked = acked_offset(session, number)
    cdef uint64_t next_offset
    cdef uint64_t counted = 1 if flow.tcp_state >= TCP_FIN_WAIT1 else 0
    if acked < counted or acked - counted <= at:
        return False
    if before(session.half[number].next_seq, session.half[number].last_ack):
        if side.runs == NULL:       # acknowledgments are taken generously: wait for something behind it
            return False
        next_offset = side.base + <uint32_t>(session.half[number].next_seq - side.urgent_seen - side.base_seq)
        if side.runs.start > next_offset and side.runs.start < acked:
            return True
    return True


cdef inline uint64_t handed_on_until(const flow_t *flow, const tcp_session_t *session, uint32_t number, bint passive,
                                     bint pseudo) noexcept nogil:
    """The offset up to which bytes may be handed on."""
    if not passive or (pseudo and (flow.tcp_state != TCP_CLOSED or session.flags & SESSION_RESET)):
        return <uint64_t>-1
    return acked_offset(session, number)
