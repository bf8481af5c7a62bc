# The raw stream: what of a direction stream rules are inspected over, in which windows, and how far that has come.
#
# Passive: with an entry of the same direction, once a chunk of bytes was acknowledged that was not inspected before, or when
# the application layer asks for it, or the session is over; then all that is acknowledged, a window for each run without a
# gap. Inline: with each segment, itself and as much around it as a chunk holds.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.tcp.held cimport SIDE_DEPTH, run_at, run_bytes, run_end, run_t, side_t
from fastpath.dataplane.tcp.session cimport HALF_RAW_LAST, HALF_RAW_OFF, HALF_TRIGGER, SESSION_NO_APP, acked_offset, held_of
from fastpath.dataplane.tcp.state cimport TCP_CLOSED, TCP_TIME_WAIT, stream_config_t
from fastpath.dataplane.types cimport PM_PSEUDO, PM_TO_CLIENT, flow_t, packet_meta_t, tcp_session_t
from fastpath.dataplane.wire.load cimport be32
from fastpath.dataplane.wire.tcp cimport TCP_SEQ_AT

cdef struct raw_t:              # a raw window, and how far the iteration is. Zeroed before the first call
    const uint8_t *data
    uint32_t length
    uint32_t started
    uint64_t offset             # of data[0] in the stream
    uint64_t progress           # where inspection will have come to: for settle_stream


cdef inline bint chunk_due(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    """Passive: whether enough has come together."""
    cdef const tcp_session_t *session = &flow.more.tcp
    cdef uint32_t number = (meta.flags & PM_TO_CLIENT) != 0
    cdef const side_t *side = &held_of(session).side[number]
    if (session.half_flags[number] & (HALF_TRIGGER | HALF_RAW_LAST) or side.flags & SIDE_DEPTH
            or flow.tcp_state > TCP_TIME_WAIT or meta.flags & PM_PSEUDO):
        return True
    return <int64_t>(acked_offset(session, number) - side.raw) >= config.chunk[number]


cdef inline bint next_passive(const flow_t *flow, const packet_meta_t *meta, bint depth_kept, raw_t *raw) noexcept nogil:
    cdef const tcp_session_t *session = &flow.more.tcp
    cdef uint32_t number = (meta.flags & PM_TO_CLIENT) != 0
    cdef const side_t *side = &held_of(session).side[number]
    cdef uint64_t acked = acked_offset(session, number), start
    cdef uint64_t edge = <uint64_t>-1 if meta.flags & PM_PSEUDO else acked
    cdef const run_t *run
    if not raw.started:
        raw.started = 1
        raw.progress = side.raw
        if depth_kept and session.half_flags[number] & HALF_TRIGGER and side.keep:
            raw.progress = min(side.raw, side.app - side.keep if side.app > side.keep else 0)
        run = run_at(side, raw.progress)
        start = raw.progress
    else:
        start = raw.offset + raw.length
        run = run_at(side, start)
    if run == NULL:
        return False
    start = max(start, run.start)
    if start >= edge or edge < raw.progress:
        return False
    raw.data = run_bytes(run) + (start - run.start)
    raw.length = <uint32_t>(min(run_end(run), edge) - start)
    raw.offset = start
    if start == raw.progress:
        raw.progress += raw.length
    elif start < acked:         # behind a gap
        raw.progress = start
    return True


cdef inline bint next_inline(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta,
                             raw_t *raw) noexcept nogil:
    """The one window of a segment: its payload in the middle, where there is enough around it."""
    cdef const tcp_session_t *session = &flow.more.tcp
    cdef uint32_t number = (meta.flags & PM_TO_CLIENT) != 0
    cdef const side_t *side = &held_of(session).side[number]
    cdef uint32_t size = meta.payload_len, chunk = config.chunk[number], before, after, half
    cdef uint64_t left, right, acked
    cdef const run_t *run
    if raw.started:
        return False
    raw.started = 1
    if chunk <= size or chunk // 3 * 2 < size:
        chunk = size + chunk // 3
    left = side.base + <uint64_t><int64_t><int>(be32(meta.frame + meta.l4 + TCP_SEQ_AT) - side.urgent_seen
                                                - side.base_seq)
    right = left + size
    run = run_at(side, left)
    if run == NULL or run.start > left or run_end(run) < right or <int64_t>left < 0:
        raw.data = meta.frame + meta.payload
        raw.length = size
        raw.offset = left
    else:
        before = <uint32_t>(left - run.start)
        after = <uint32_t>(run_end(run) - right)
        if run.length > chunk:
            half = (chunk - size) // 2
            if after == 0:
                before = chunk - size
            elif before == 0:
                after = chunk - size
            elif after >= half:
                after = half if before >= half else chunk - size - before
                before = min(before, half)
            elif before >= half:
                before = chunk - size - after
        raw.offset = left - before
        raw.data = run_bytes(run) + (raw.offset - run.start)
        raw.length = before + size + after
    acked = acked_offset(session, number)
    if side.runs != NULL and side.runs.next == NULL and side.runs.start == side.base:
        raw.progress = raw.offset + raw.length
    elif side.raw < acked:
        raw.progress = acked if raw.offset > acked else raw.offset + raw.length
    else:
        raw.progress = side.raw
    return True


cdef inline void advance_raw(const flow_t *flow, tcp_session_t *session, uint32_t number, uint64_t progress) noexcept nogil:
    """After inspection. Where the stream was not looked at (0), what the application layer is through with goes with it, but
    for as much as a window: bytes that a rule may yet ask for."""
    cdef side_t *side = &held_of(session).side[number]
    cdef uint32_t window = session.half[number].window
    if progress > side.raw:
        side.raw = progress
        session.half_flags[number] &= <uint8_t>~HALF_TRIGGER
    elif progress == 0 and side.app > side.raw and not session.flags & SESSION_NO_APP:
        if session.half_flags[number] & HALF_TRIGGER:
            side.raw = side.app
            session.half_flags[number] &= <uint8_t>~HALF_TRIGGER
        elif window > 0 and side.app > window:
            side.raw = max(side.raw, side.app - window)
    elif progress == 0:
        if side.edge > window:
            side.raw = max(side.raw, side.edge - window)
        session.half_flags[number] &= <uint8_t>~HALF_TRIGGER
    if session.half_flags[number] & HALF_RAW_LAST:
        session.half_flags[number] |= HALF_RAW_OFF


cdef inline bint is_settled(const stream_config_t *config, const tcp_session_t *session, uint32_t number,
                            const side_t *side) noexcept nogil:
    """Passive, and without a window with this entry: would advance_raw change nothing, and nothing be let go? So it is where no
    more has come than the window that advance_raw leaves, and some reader has not moved on from the first byte held."""
    return (config.passive and config.raw and not session.half_flags[number] & (HALF_TRIGGER | HALF_RAW_LAST | HALF_RAW_OFF)
            and not side.flags & SIDE_DEPTH and side.edge - side.raw <= session.half[number].window
            and (side.raw == side.base or side.app == side.base and not session.flags & SESSION_NO_APP))


cdef inline uint64_t left_edge(const stream_config_t *config, const flow_t *flow, const tcp_session_t *session,
                               uint32_t number) noexcept nogil:
    """The offset before which nobody needs bytes any more."""
    cdef const side_t *side = &held_of(session).side[number]
    cdef bint app = not session.flags & SESSION_NO_APP
    cdef bint raw = config.raw and not session.half_flags[number] & HALF_RAW_OFF
    cdef uint64_t edge = side.edge
    cdef uint32_t kept = 0
    if raw:
        edge = side.raw
        if not config.passive:
            kept = config.chunk[number]
        if app and flow.tcp_state < TCP_CLOSED:
            kept += side.keep
        edge = edge - kept if edge > kept else 0
    if app:
        edge = min(edge, side.app)
    if not config.passive:      # for comparison with what may still come
        edge = min(edge, acked_offset(session, number))
    elif config.compare_overlaps:
        kept = session.half[number].window or 4096
        edge = edge - kept if edge > kept else 0
    return edge
