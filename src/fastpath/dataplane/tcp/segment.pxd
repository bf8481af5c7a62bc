# A TCP segment as stream sees it: the header's numbers and the options that say something about the session.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, int32_t

from fastpath.dataplane.types cimport PM_TO_CLIENT, packet_meta_t
from fastpath.dataplane.wire.load cimport be16, be32
from fastpath.dataplane.wire.tcp cimport (
    TCP_ACK_AT, TCP_FLAGS_AT, TCP_LEN, TCP_OFFSET_AT, TCP_SEQ_AT, TCP_TIMESTAMP_LEN, TCP_URGENT_AT, TCP_WINDOW_AT, TCPOPT_AO,
    TCPOPT_END, TCPOPT_EXPERIMENT_1, TCPOPT_EXPERIMENT_2, TCPOPT_FAST_OPEN, TCPOPT_FAST_OPEN_MAGIC, TCPOPT_MD5, TCPOPT_NOP,
    TCPOPT_SACK, TCPOPT_SACK_OK, TCPOPT_TIMESTAMP, TCPOPT_WINDOW_SCALE, tcp_only_timestamp,
)

cdef enum:
    SCALE_MAX = 14              # RFC 7323, section 2.3

cdef struct segment_t:
    uint32_t seq, ack
    uint32_t window             # as written, not scaled
    uint32_t length             # of the payload
    uint32_t end                # sequence number behind the payload
    uint32_t stamp, echo        # of the timestamp option
    uint32_t direction
    const uint8_t *payload
    const uint8_t *sack         # pairs of edges
    uint8_t flags
    uint8_t sacks               # pairs
    uint8_t scale
    bint has_stamp, has_scale, sack_ok, fast_open, signed_
    uint16_t urgent


# Sequence numbers wrap: RFC 9293, section 3.4.
cdef inline bint before(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t>(a - b) < 0


cdef inline bint until(uint32_t a, uint32_t b) noexcept nogil:
    """a is before b, or b."""
    return <int32_t>(a - b) <= 0


cdef inline void read_option(segment_t *segment, const uint8_t *at, uint8_t length) noexcept nogil:
    """One sound option; of two of a kind, the first counts."""
    cdef uint8_t kind = at[0]
    if kind == TCPOPT_TIMESTAMP and length == 10 and not segment.has_stamp:
        segment.has_stamp = True
        segment.stamp = be32(at + 2)
        segment.echo = be32(at + 6)
    elif kind == TCPOPT_WINDOW_SCALE and length == 3 and not segment.has_scale:
        segment.has_scale = True
        segment.scale = at[2] if at[2] <= SCALE_MAX else 0
    elif kind == TCPOPT_SACK_OK and length == 2:
        segment.sack_ok = True
    elif kind == TCPOPT_SACK and 10 <= length <= 34 and (length - 2) % 8 == 0 and segment.sacks == 0:
        segment.sacks = <uint8_t>((length - 2) // 8)
        segment.sack = at + 2
    elif kind == TCPOPT_FAST_OPEN and (length == 2 or 6 <= length <= 18 and not length & 1):
        segment.fast_open = True
    elif (kind == TCPOPT_EXPERIMENT_1 or kind == TCPOPT_EXPERIMENT_2) and (length == 4 or length == 12):
        segment.fast_open |= be16(at + 2) == TCPOPT_FAST_OPEN_MAGIC
    elif kind == TCPOPT_MD5 and length == 18 or kind == TCPOPT_AO and length >= 4:
        segment.signed_ = True


cdef inline void read_options(segment_t *segment, const uint8_t *at, uint32_t left) noexcept nogil:
    if left == TCP_TIMESTAMP_LEN and tcp_only_timestamp(at):
        segment.has_stamp = True
        segment.stamp = be32(at + 4)
        segment.echo = be32(at + 8)
        return
    while left and at[0] != TCPOPT_END:
        if at[0] == TCPOPT_NOP:
            at += 1
            left -= 1
            continue
        if left < 2 or at[1] < 2 or at[1] > left:
            return
        read_option(segment, at, at[1])
        left -= at[1]
        at += at[1]


cdef inline void read_segment(segment_t *segment, const packet_meta_t *meta) noexcept nogil:
    """Of an entry that decode found to be TCP with a whole header. `segment` is zeroed."""
    cdef const uint8_t *at = meta.frame + meta.l4
    cdef uint32_t header = (at[TCP_OFFSET_AT] >> 4) * 4
    segment.seq = be32(at + TCP_SEQ_AT)
    segment.ack = be32(at + TCP_ACK_AT)
    segment.window = be16(at + TCP_WINDOW_AT)
    segment.urgent = be16(at + TCP_URGENT_AT)
    segment.flags = at[TCP_FLAGS_AT]
    segment.length = meta.payload_len
    segment.payload = meta.frame + meta.payload
    segment.end = segment.seq + segment.length
    segment.direction = (meta.flags & PM_TO_CLIENT) != 0
    if header > TCP_LEN:
        read_options(segment, at + TCP_LEN, header - TCP_LEN)
