# TCP (RFC 9293) and its options (IANA TCP option kinds).
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_TCP_HLEN_TOO_SMALL, EVENT_TCP_INVALID_OPTLEN, EVENT_TCP_OPT_DUPLICATE, EVENT_TCP_OPT_INVALID_LEN,
    EVENT_TCP_PKT_TOO_SMALL,
)
from fastpath.dataplane.wire.load cimport be16, be32
from fastpath.dataplane.wire.walk cimport (
    NO_EVENT, STEP_DONE, malformed, note, set_key, set_payload, too_short, verify_transport, walk_t,
)

cdef enum:
    TCP_LEN = 20
    TCP_SOURCE_AT = 0
    TCP_DESTINATION_AT = 2
    TCP_SEQ_AT = 4
    TCP_ACK_AT = 8
    TCP_OFFSET_AT = 12          # header length in words, upper half
    TCP_FLAGS_AT = 13
    TCP_WINDOW_AT = 14
    TCP_CHECKSUM_AT = 16
    TCP_URGENT_AT = 18
    TCP_TIMESTAMP_LEN = 12      # of options that are a timestamp alone, padded
    PROTO_TCP = 6

cdef enum:                      # option kinds
    TCPOPT_END = 0
    TCPOPT_NOP = 1
    TCPOPT_MSS = 2
    TCPOPT_WINDOW_SCALE = 3
    TCPOPT_SACK_OK = 4
    TCPOPT_SACK = 5
    TCPOPT_TIMESTAMP = 8
    TCPOPT_MD5 = 19
    TCPOPT_AO = 29
    TCPOPT_FAST_OPEN = 34
    TCPOPT_EXPERIMENT_1 = 253
    TCPOPT_EXPERIMENT_2 = 254
    TCPOPT_FAST_OPEN_MAGIC = 0xf989


cdef inline bint tcp_only_timestamp(const uint8_t *options) noexcept nogil:
    """Whether twelve bytes of options are those of nearly every segment of an established connection: NOP NOP timestamp."""
    return be32(options) == (TCPOPT_NOP << 24 | TCPOPT_NOP << 16 | TCPOPT_TIMESTAMP << 8 | 10)


cdef inline uint32_t tcp_option_event(const uint8_t *option, uint32_t length, uint32_t *seen) noexcept nogil:
    """The event of one option of `length` bytes with kind and length, NO_EVENT when it is sound."""
    cdef uint8_t kind = option[0]
    cdef uint32_t bit
    if kind == TCPOPT_MSS:
        if length != 4:
            return EVENT_TCP_OPT_INVALID_LEN
        bit = 1
    elif kind == TCPOPT_WINDOW_SCALE:
        if length != 3:
            return EVENT_TCP_OPT_INVALID_LEN
        bit = 2
    elif kind == TCPOPT_SACK_OK:
        if length != 2:
            return EVENT_TCP_OPT_INVALID_LEN
        bit = 4
    elif kind == TCPOPT_TIMESTAMP:
        if length != 10:
            return EVENT_TCP_OPT_INVALID_LEN
        bit = 8
    elif kind == TCPOPT_SACK:
        if length > 34 or (length - 2) % 8:
            return EVENT_TCP_OPT_INVALID_LEN
        bit = 16
    elif kind == TCPOPT_FAST_OPEN:
        if length != 2 and (length > 18 or length & 1):
            return EVENT_TCP_OPT_INVALID_LEN
        bit = 32
    elif kind == TCPOPT_EXPERIMENT_1 or kind == TCPOPT_EXPERIMENT_2:
        if length != 4 and length != 12:
            return EVENT_TCP_OPT_INVALID_LEN
        if be16(option + 2) != TCPOPT_FAST_OPEN_MAGIC:      # before it had a number: RFC 7413 appendix A
            return NO_EVENT
        bit = 32
    elif kind == TCPOPT_MD5:
        return NO_EVENT if length == 18 else EVENT_TCP_OPT_INVALID_LEN
    elif kind == TCPOPT_AO:
        return NO_EVENT if length >= 4 else EVENT_TCP_OPT_INVALID_LEN
    else:
        return NO_EVENT
    if seen[0] & bit:
        return EVENT_TCP_OPT_DUPLICATE
    seen[0] |= bit
    return NO_EVENT


cdef inline void walk_tcp_options(walk_t *walk, const uint8_t *at, uint32_t left) noexcept nogil:
    """The segment goes on, whatever its options are."""
    cdef uint32_t seen = 0, event
    while left and at[0] != TCPOPT_END:
        if at[0] == TCPOPT_NOP:
            at += 1
            left -= 1
            continue
        if left < 2:
            return
        if at[1] < 2 or at[1] > left:
            note(walk, EVENT_TCP_OPT_INVALID_LEN)
            return
        event = tcp_option_event(at, at[1], &seen)
        if event != NO_EVENT:
            note(walk, <uint16_t>event)
        left -= at[1]
        at += at[1]


cdef inline void walk_tcp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, header
    walk.step = STEP_DONE
    if left < TCP_LEN:
        too_short(walk, EVENT_TCP_PKT_TOO_SMALL)
        return
    header = (at[TCP_OFFSET_AT] >> 4) * 4
    if header > left:
        too_short(walk, EVENT_TCP_HLEN_TOO_SMALL)
        return
    if header < TCP_LEN:
        malformed(walk, EVENT_TCP_INVALID_OPTLEN)
        return
    if header > TCP_LEN and not (header == TCP_LEN + TCP_TIMESTAMP_LEN and tcp_only_timestamp(at + TCP_LEN)):
        walk_tcp_options(walk, at + TCP_LEN, header - TCP_LEN)
    walk.meta.l4 = walk.at
    walk.meta.tcp_flags = at[TCP_FLAGS_AT]
    verify_transport(walk, at, left, PROTO_TCP)
    set_payload(walk, walk.at + header, walk.end)
    set_key(walk, walk.meta.net, PROTO_TCP, walk.source, walk.destination, be16(at), be16(at + TCP_DESTINATION_AT))
