# stream: TCP. Which segments belong to a session (state, windows, timestamps), and the bytes of each direction, once and in
# order, whatever the segmentation.
#
# The way of an entry: take_segment; for each direction that it says was fed, the one against the entry's own first,
# next_bytes and consume_bytes until there is no more (a gap is consumed as bytes are; what is not consumed is shown again);
# the raw windows of the entry's own direction, with next_raw; and, when the rules are through, settle_stream. A flow that
# ends with bytes left over (left_in_stream) goes the same way once more, with a pseudo-packet for each direction. A pseudo-
# packet is an entry with PM_PSEUDO | PM_FLOW | PM_ESTABLISHED, proto 6 and its direction; it has no header.
#
# Passive: bytes are handed on when the other side has acknowledged them. Inline: on arrival. Source: Suricata
# User Guide 7.0, Configuration (stream engine), and what Suricata 7.0.10 does (tests/differential/test_stream_events.py).
#
# Errors: none. What a memory account refuses is counted there, and is a gap. Memory: a session is a part of flow_more_t; held
# bytes, and what few sessions need, come from the pool of the bucket.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.tcp.held cimport run_t, side_t
from fastpath.dataplane.tcp.session cimport (
    HALF_NO_REASSEMBLY, HALF_RAW_OFF, SESSION_MIDSTREAM, SESSION_MIDSTREAM_SYNACK, held_of,
)
from fastpath.dataplane.tcp.state cimport (     # for those who cimport from here
    STREAM_BEGUN, STREAM_CLOSED_NOW, STREAM_DEPTH_REACHED, STREAM_FED_TO_CLIENT, STREAM_FED_TO_SERVER, STREAM_IN,
    STREAM_MIDSTREAM, STREAM_NO_SEGMENT, STREAM_NO_SESSION, STREAM_REJECTED, TCP_ACK, TCP_CLOSED, TCP_ESTABLISHED, TCP_FIN,
    TCP_NONE, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG, URGENT_DROP, URGENT_GAP, URGENT_INLINE, URGENT_OOB, stream_config_t,
)
from fastpath.dataplane.tcp.window cimport chunk_due, is_settled, raw_t
from fastpath.dataplane.types cimport PM_TO_CLIENT, burst_t, flow_t, packet_meta_t, pool_t, tcp_session_t

cdef enum supply:               # what next_bytes says
    SUPPLY_NONE                 # no more for now
    SUPPLY_ALL                  # bytes, and nothing behind them for now: next_bytes and behind_bytes need not be asked
    SUPPLY_BYTES
    SUPPLY_GAP                  # so many bytes will never come
    SUPPLY_END                  # no more will come. Said once a direction
    SUPPLY_CUT                  # no more will be held: the reassembly depth was reached. Said once a direction

cdef inline tcp_session_t *session_of(const flow_t *flow) noexcept nogil:
    """NULL for a flow that no session was begun for."""
    return &flow.more.tcp if flow.more != NULL and flow.tcp_state != TCP_NONE else NULL


# Stock, but for hosts.
cdef void stream_defaults(stream_config_t *config) noexcept nogil

# State and reassembly of one TCP entry of a flow, counted on it already (PM_TO_CLIENT). Notes stream events on the entry, sets
# PM_ESTABLISHED where the entry itself shows an established session. `entry` may be a pseudo-packet. Entries that are not
# TCP: 0.
cdef uint32_t take_segment(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                           uint32_t entry) noexcept nogil
# The same, with no shorter way for those that are as most are (tcp/straight.pxd): what tests hold it against.
cdef uint32_t take_any_segment(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                               uint32_t entry) noexcept nogil

# Parts of take_segment: functions of their own, so that each goes by little code.
cdef uint32_t take_with_bytes(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                              const packet_meta_t *meta) noexcept nogil
cdef uint32_t take_without_bytes(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst,
                                 const packet_meta_t *meta) noexcept nogil

# A segment that the device decided on: what its header says of both directions, so that segments which come to the inspectors
# later find their place. Its payload, if the other side acknowledges it, is a gap.
cdef void skip_segment(flow_t *flow, const packet_meta_t *meta) noexcept nogil

# What the application layer has not consumed yet of a direction (enum supply); the bytes hold until the next take_segment or
# settle_stream of the flow. Notes the event of a gap.
cdef uint32_t next_bytes(const stream_config_t *config, flow_t *flow, burst_t *burst, uint32_t entry, uint32_t direction,
                         const uint8_t **data, uint32_t *length) noexcept nogil
cdef uint32_t next_but_bytes(flow_t *flow, burst_t *burst, uint32_t entry, uint32_t direction, const run_t *run, uint64_t edge,
                             uint32_t *length) noexcept nogil       # a part of it
# The room wants more than the bytes it was shown last. SUPPLY_GAP: what follows them is lost, and they with it; SUPPLY_END:
# nothing
# follows. Else SUPPLY_NONE: more may come.
cdef uint32_t behind_bytes(const stream_config_t *config, flow_t *flow, burst_t *burst, uint32_t entry,
                           uint32_t direction) noexcept nogil
cdef void consume_bytes(flow_t *flow, uint32_t direction, uint32_t count) noexcept nogil

# While a protocol is sought: the bytes held of each direction, how many may be while the other side says nothing, and
# 1 << direction of the first ones of all (0: none).
cdef uint8_t waiting_bytes(const stream_config_t *config, const flow_t *flow, uint32_t *held, uint32_t *most) noexcept nogil

# Whether stream rules have something to inspect with this entry, and the windows one after another: False, no more.
# `depth_kept`: with as much before as keep_raw asked for (rules that mix stream and application layer).
cdef inline bint raw_ready(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta,
                           uint32_t taken) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    cdef uint32_t number = meta.flags // PM_TO_CLIENT & 1
    cdef const side_t *side
    if session == NULL or session.held == NULL or not config.raw:
        return False
    side = &held_of(session).side[number]
    if side.marks_used == 0 or session.half_flags[number] & (HALF_NO_REASSEMBLY | HALF_RAW_OFF):
        return False
    if not config.passive:
        return meta.payload_len > 0 and (taken & STREAM_IN) != 0
    return side.raw != side.edge and chunk_due(config, flow, meta)


cdef bint next_raw(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta, uint32_t taken, bint depth_kept,
                   raw_t *raw) noexcept nogil

# After inspection: `progress` of the raw_t that was used up, 0 where none was. Gives back what nobody needs any more.
cdef inline void settle_stream(const stream_config_t *config, pool_t *pool, flow_t *flow, const packet_meta_t *meta,
                               uint64_t progress) noexcept nogil:
    cdef tcp_session_t *session = session_of(flow)
    cdef uint32_t number = meta.flags // PM_TO_CLIENT & 1
    cdef const side_t *side
    if session == NULL or session.held == NULL or session.half_flags[number] & HALF_NO_REASSEMBLY:
        return
    side = &held_of(session).side[number]
    if progress or not is_settled(config, session, number, side):
        settle_side(config, pool, flow, number, progress)

cdef void settle_side(const stream_config_t *config, pool_t *pool, flow_t *flow, uint32_t number,
                      uint64_t progress) noexcept nogil

# The directions (STREAM_FED_*) in which a flow that ends still has bytes that were not handed on or not inspected.
cdef uint32_t left_in_stream(const flow_t *flow) noexcept nogil

# What is held of a direction, from `at` on: where the bytes begin (behind a hole, maybe), and how many; False for no more. To be
# begun with held_from. Only what may be handed on already is shown.
cdef uint64_t held_from(const flow_t *flow, uint32_t direction) noexcept nogil
cdef bint held_bytes(const stream_config_t *config, const flow_t *flow, uint32_t direction, bint pseudo, uint64_t at,
                     uint64_t *start, const uint8_t **data, uint32_t *length) noexcept nogil

# Memory back; for the end of a flow, before release_more.
cdef void release_stream(pool_t *pool, flow_t *flow) noexcept nogil

# The server was held to be the client: what belongs to one side belongs to the other.
cdef void turn_stream(flow_t *flow) noexcept nogil

# What a room or dispatch asks for.
cdef void stop_feeding(flow_t *flow) noexcept nogil                                 # the application layer has given up
cdef void stop_reassembly(flow_t *flow, uint32_t direction) noexcept nogil          # encrypted: neither it nor rules want more
cdef void stop_raw(flow_t *flow, uint32_t direction) noexcept nogil                 # no more for stream rules
cdef void without_raw(flow_t *flow, uint32_t direction) noexcept nogil              # no rule of its group looks at the stream
cdef void trigger_raw(flow_t *flow, uint32_t direction) noexcept nogil              # inspect what there is, with the next entry
cdef void keep_raw(flow_t *flow, uint32_t direction, uint32_t bytes) noexcept nogil  # behind what was inspected, for depth_kept
cdef void deepen(flow_t *flow, uint32_t depth) noexcept nogil                       # another depth for this session: larger, or 0


# Was the session picked up from one of its segments, so that its client may be the server? A SYN/ACK shows who is who.
cdef inline bint from_midstream(const flow_t *flow) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    return session != NULL and session.flags & (SESSION_MIDSTREAM | SESSION_MIDSTREAM_SYNACK) == SESSION_MIDSTREAM


# The bytes of a direction so far, for stream_size: relative sequence number of what comes next.
cdef inline uint32_t stream_size(const flow_t *flow, uint32_t direction) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    return 0 if session == NULL else session.half[direction].next_seq - session.half[direction].isn


# By how many bytes a direction is past the depth up to which it is reassembled; below 0 where it is not, or has no depth.
cdef int64_t past_depth(const stream_config_t *config, const flow_t *flow, uint32_t direction) noexcept nogil


# A segment that begins a session with the key of one that is over, or of a flow that never was one.
cdef inline bint begins_anew(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    if meta.proto != 6 or meta.tcp_flags & (TCP_SYN | TCP_RST | TCP_FIN) != TCP_SYN:
        return False
    return renews_session(config, flow, meta)

cdef bint renews_session(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil


# Segments that change a session always go to the inspectors (OpenOffload's rule), whatever the device holds.
cdef inline bint is_tcp_control(const packet_meta_t *meta) noexcept nogil:
    return meta.proto == 6 and (meta.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) != 0
