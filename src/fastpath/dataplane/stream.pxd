# stream: TCP. Which segments belong to a session (state, windows, timestamps), and the bytes of each direction, once and in
# order, whatever the segmentation.
#
# The way of an entry: take_segment; for each direction that it says was fed, next_bytes and consume_bytes until there is no
# more; the raw windows of the entry's own direction, with next_raw; and, when the rules are through, settle_stream. A flow
# that ends with bytes left over (left_in_stream) goes the same way once more, with a pseudo-packet for each direction. A
# pseudo-packet is an entry with PM_PSEUDO | PM_FLOW | PM_ESTABLISHED, proto 6 and its direction; it has no header.
#
# Passive: bytes are handed on when the other side has acknowledged them. Inline: on arrival. What is behind the Suricata of
# the comparisons is in its guide, 7.0: Configuration (stream), and shown by what it does with captures (tests/differential).
#
# Errors: none. What a memory account refuses is counted there, and is a gap. Memory: a session is a part of flow_more_t; held
# bytes, and what few sessions need, come from the pool of the bucket.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.hosts cimport hosts_t
from fastpath.dataplane.types cimport FLOW_REVERSED, PM_REVERSED, burst_t, flow_t, packet_meta_t, pool_t, tcp_session_t

cdef enum tcp_flag:
    TCP_FIN = 0x01
    TCP_SYN = 0x02
    TCP_RST = 0x04
    TCP_PSH = 0x08
    TCP_ACK = 0x10
    TCP_URG = 0x20

# RFC 9293, section 3.3.2, of the side that the state is named after in it; TCP_NONE is also a session not picked up. Those
# from TCP_TIME_WAIT on but CLOSE_WAIT and CLOSING are over: what follows is their order's doing, and it is relied upon.
cdef enum tcp_state:
    TCP_NONE, TCP_SYN_SENT, TCP_SYN_RECV, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_LAST_ACK
    TCP_CLOSE_WAIT, TCP_CLOSING, TCP_CLOSED

cdef enum urgent_policy:
    URGENT_INLINE, URGENT_DROP, URGENT_OOB, URGENT_GAP

cdef struct stream_config_t:
    const hosts_t *hosts        # host-os-policy; NULL: none
    uint32_t depth              # stream.reassembly.depth, bytes a direction; 0: no end
    uint32_t chunk[2]           # to server, to client: bytes that a raw window waits for
    uint8_t passive             # bytes wait for their acknowledgment
    uint8_t midstream, async_oneside, checksums, raw, compare_overlaps, liberal_timestamps, bypass
    uint8_t urgent, urgent_limit        # enum urgent_policy
    uint8_t max_syn, max_synack         # of differing SYN or SYN/ACK that are remembered

cdef enum:                      # what take_segment says, together
    STREAM_IN = 1 << 0          # the payload entered the stream: not to be inspected as payload as well
    STREAM_FED_TO_SERVER = 1 << 1       # next_bytes is due; FED_TO_SERVER << direction
    STREAM_FED_TO_CLIENT = 1 << 2
    STREAM_CLOSED_NOW = 1 << 3  # the flow's timeout is a shorter one now
    STREAM_REJECTED = 1 << 4    # not a part of the session (inline: to be dropped, with its event)
    STREAM_BEGUN = 1 << 5       # the session began here
    STREAM_DEPTH_REACHED = 1 << 6       # of either direction; with config.bypass the rest may be offloaded

cdef enum supply:               # what next_bytes says
    SUPPLY_NONE                 # no more for now
    SUPPLY_BYTES
    SUPPLY_GAP                  # so many bytes will never come
    SUPPLY_END                  # no more will come; said once an entry, possibly with no bytes before it

cdef struct raw_t:              # a raw window, and how far the iteration is. Zeroed before the first call
    const uint8_t *data
    uint32_t length
    uint32_t started
    uint64_t offset             # of data[0] in the stream
    uint64_t progress           # where inspection will have come to: for settle_stream

# Stock, but for hosts.
cdef void stream_defaults(stream_config_t *config) noexcept nogil

# State and reassembly of one TCP entry of a flow, counted on it already (PM_TO_CLIENT). Notes stream events on the entry, sets
# PM_ESTABLISHED where the entry itself shows an established session. `entry` may be a pseudo-packet. Entries that are not
# TCP: 0.
cdef uint32_t take_segment(const stream_config_t *config, pool_t *pool, flow_t *flow, burst_t *burst, uint32_t entry,
                           uint64_t now) noexcept nogil

# What the application layer has not consumed yet of a direction (enum supply); the bytes hold until the next take_segment or
# settle_stream of the flow. Notes the event of a gap.
cdef uint32_t next_bytes(const stream_config_t *config, flow_t *flow, burst_t *burst, uint32_t entry, uint32_t direction,
                         const uint8_t **data, uint32_t *length) noexcept nogil
cdef void consume_bytes(flow_t *flow, uint32_t direction, uint32_t count) noexcept nogil

# Whether stream rules have something to inspect with this entry, and the windows one after another: False, no more.
# `depth_kept`: with as much before as keep_raw asked for (rules that mix stream and application layer).
cdef bint raw_ready(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta, uint32_t taken) noexcept nogil
cdef bint next_raw(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta, uint32_t taken, bint depth_kept,
                   raw_t *raw) noexcept nogil

# After inspection: `progress` of the raw_t that was used up, 0 where none was. Gives back what nobody needs any more.
cdef void settle_stream(const stream_config_t *config, pool_t *pool, flow_t *flow, const packet_meta_t *meta, uint64_t progress) noexcept nogil

# The directions (STREAM_FED_*) in which a flow that ends still has bytes that were not handed on or not inspected.
cdef uint32_t left_in_stream(const flow_t *flow) noexcept nogil

# Memory back; for the end of a flow, before release_more.
cdef void release_stream(pool_t *pool, flow_t *flow) noexcept nogil

# What a room or dispatch asks for.
cdef void stop_feeding(flow_t *flow) noexcept nogil                                 # the application layer has given up
cdef void stop_reassembly(flow_t *flow, uint32_t direction) noexcept nogil          # encrypted: neither it nor rules want more
cdef void stop_raw(flow_t *flow, uint32_t direction) noexcept nogil                 # no more for stream rules
cdef void trigger_raw(flow_t *flow, uint32_t direction) noexcept nogil              # inspect what there is, with the next entry
cdef void keep_raw(flow_t *flow, uint32_t direction, uint32_t bytes) noexcept nogil # behind what was inspected, for depth_kept
cdef void known_protocol(flow_t *flow, uint32_t direction) noexcept nogil           # recognition is over: bytes may be let go
cdef void deepen(flow_t *flow, uint32_t depth) noexcept nogil                       # another depth for this session: larger, or 0


cdef inline tcp_session_t *session_of(const flow_t *flow) noexcept nogil:
    """NULL for a flow that no session was begun for."""
    return &flow.more.tcp if flow.more != NULL and flow.tcp_state != TCP_NONE else NULL


# The bytes of a direction so far, for stream_size: relative sequence number of what comes next.
cdef inline uint32_t stream_size(const flow_t *flow, uint32_t direction) noexcept nogil:
    cdef const tcp_session_t *session = session_of(flow)
    return 0 if session == NULL else session.half[direction].next_seq - session.half[direction].isn


# A segment that begins a session with the key of one that is over, or of a flow that never was one.
cdef inline bint begins_anew(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil:
    if meta.proto != 6 or meta.tcp_flags & (TCP_SYN | TCP_RST | TCP_FIN) != TCP_SYN:
        return False
    return renews_session(config, flow, meta)

cdef bint renews_session(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta) noexcept nogil


# Segments that change a session always go to the inspectors (OpenOffload's rule), whatever the device holds.
cdef inline bint is_tcp_control(const packet_meta_t *meta) noexcept nogil:
    return meta.proto == 6 and (meta.tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) != 0
