# IPv4 (RFC 791) and its options (RFC 791, 1108, 1393, 2113, 4782; CIPSO: FIPS 188).
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_IPV4_HLEN_TOO_SMALL, EVENT_IPV4_IPLEN_SMALLER_THAN_HLEN, EVENT_IPV4_OPT_DUPLICATE, EVENT_IPV4_OPT_EOL_REQUIRED,
    EVENT_IPV4_OPT_INVALID, EVENT_IPV4_OPT_INVALID_LEN, EVENT_IPV4_OPT_MALFORMED, EVENT_IPV4_OPT_PAD_REQUIRED,
    EVENT_IPV4_PKT_TOO_SMALL, EVENT_IPV4_TRUNC_PKT, EVENT_IPV4_WRONG_IP_VERSION,
)
from fastpath.dataplane.types cimport NET_IPV4, PM_FRAGMENT, PM_L3_CHECKSUM
from fastpath.dataplane.wire.checksum cimport checksum_wrong
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport NO_EVENT, STEP_DONE, STEP_TRANSPORT, malformed, note, too_short, walk_t

cdef enum:
    IPV4_LEN = 20
    IPV4_VERSION_AT = 0         # version and header length in words
    IPV4_TOS_AT = 1
    IPV4_TOTAL_AT = 2
    IPV4_ID_AT = 4
    IPV4_FRAGMENT_AT = 6        # flags and offset in units of 8
    IPV4_TTL_AT = 8
    IPV4_PROTO_AT = 9
    IPV4_CHECKSUM_AT = 10
    IPV4_SOURCE_AT = 12
    IPV4_DESTINATION_AT = 16
    IPV4_RESERVED = 0x8000
    IPV4_DONT_FRAGMENT = 0x4000
    IPV4_MORE_FRAGMENTS = 0x2000
    IPV4_OFFSET = 0x1fff

cdef enum:                      # option types
    IPOPT_END = 0
    IPOPT_NOP = 1
    IPOPT_RECORD_ROUTE = 7
    IPOPT_QUICK_START = 25
    IPOPT_TIMESTAMP = 68
    IPOPT_SECURITY = 130
    IPOPT_LOOSE_ROUTE = 131
    IPOPT_EXTENDED_SECURITY = 133
    IPOPT_CIPSO = 134
    IPOPT_STREAM = 136
    IPOPT_STRICT_ROUTE = 137
    IPOPT_ROUTER_ALERT = 148


cdef inline uint32_t cipso_event(const uint8_t *option, uint32_t length) noexcept nogil:
    """Tags follow a domain of interpretation; each says its length (0 for none)."""
    cdef uint32_t at = 6, size
    if length < 10:
        return EVENT_IPV4_OPT_INVALID_LEN
    while at < length:
        if length - at < 2:
            return EVENT_IPV4_OPT_MALFORMED
        size = option[at + 1]
        if option[at] in (1, 2, 5, 6, 7):
            if size < 4 or size > length - at or (option[at] != 7 and option[at + 2] != 0):
                return EVENT_IPV4_OPT_MALFORMED
            at += size
        else:
            return EVENT_IPV4_OPT_MALFORMED
    return NO_EVENT


cdef inline uint32_t ipv4_option_event(const uint8_t *option, uint32_t length) noexcept nogil:
    """The event of a single option of `length` bytes with its type and length, NO_EVENT when it is sound."""
    cdef uint32_t pointer
    if option[0] in (IPOPT_RECORD_ROUTE, IPOPT_LOOSE_ROUTE, IPOPT_STRICT_ROUTE):
        if length < 3:
            return EVENT_IPV4_OPT_INVALID_LEN
        pointer = option[2]
        return EVENT_IPV4_OPT_MALFORMED if pointer < 4 or pointer % 4 or pointer > length + 1 else NO_EVENT
    if option[0] == IPOPT_TIMESTAMP:
        if length < 5:
            return EVENT_IPV4_OPT_INVALID_LEN
        pointer = option[2]
        if pointer < 5 or (pointer - 5) % (8 if option[3] & 0x0f in (1, 3) else 4) or pointer > length + 1:
            return EVENT_IPV4_OPT_MALFORMED
        return NO_EVENT
    if option[0] == IPOPT_CIPSO:
        return cipso_event(option, length)
    if option[0] == IPOPT_QUICK_START:
        return NO_EVENT if length >= 8 else EVENT_IPV4_OPT_INVALID_LEN
    if option[0] == IPOPT_STREAM or option[0] == IPOPT_ROUTER_ALERT:
        return NO_EVENT if length == 4 else EVENT_IPV4_OPT_INVALID_LEN
    if option[0] == IPOPT_SECURITY or option[0] == IPOPT_EXTENDED_SECURITY:
        return NO_EVENT if length > 2 else EVENT_IPV4_OPT_INVALID_LEN
    return EVENT_IPV4_OPT_INVALID


cdef inline uint32_t ipv4_option_bit(uint8_t kind) noexcept nogil:
    if kind == IPOPT_RECORD_ROUTE:
        return 1
    if kind == IPOPT_QUICK_START:
        return 2
    if kind == IPOPT_TIMESTAMP:
        return 4
    if kind >= IPOPT_SECURITY and kind <= IPOPT_ROUTER_ALERT:
        return 8 << (kind - IPOPT_SECURITY)
    return 0


cdef inline void walk_ipv4_options(walk_t *walk, const uint8_t *at, uint32_t left) noexcept nogil:
    """An option that runs out of the header ends decoding; one that is wrong in itself does not."""
    cdef uint32_t seen = 0, event, bit
    if left % 8:
        note(walk, EVENT_IPV4_OPT_PAD_REQUIRED)
    while left and at[0] != IPOPT_END:
        if at[0] == IPOPT_NOP:
            at += 1
            left -= 1
            continue
        if left < 2:
            note(walk, EVENT_IPV4_OPT_EOL_REQUIRED)
            return
        if at[1] < 2 or at[1] > left:
            malformed(walk, EVENT_IPV4_OPT_INVALID_LEN)
            return
        bit = ipv4_option_bit(at[0])
        if seen & bit:
            note(walk, EVENT_IPV4_OPT_DUPLICATE)
        else:
            event = ipv4_option_event(at, at[1])
            if event == NO_EVENT:
                seen |= bit
            else:
                note(walk, <uint16_t>event)
        left -= at[1]
        at += at[1]


cdef inline void walk_ipv4(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, header, total
    if left < IPV4_LEN:
        too_short(walk, EVENT_IPV4_PKT_TOO_SMALL)
        return
    if at[IPV4_VERSION_AT] >> 4 != 4:
        malformed(walk, EVENT_IPV4_WRONG_IP_VERSION)
        return
    header = (at[IPV4_VERSION_AT] & 0x0f) * 4
    if header < IPV4_LEN:
        malformed(walk, EVENT_IPV4_HLEN_TOO_SMALL)
        return
    total = be16(at + IPV4_TOTAL_AT)
    if total < header:
        if total or walk.config.compat or header > left:
            malformed(walk, EVENT_IPV4_IPLEN_SMALLER_THAN_HLEN)
            return
        note(walk, EVENT_IPV4_IPLEN_SMALLER_THAN_HLEN)
        total = left            # captured before the interface cut it into segments: all there is
    if total > left and (not walk.cut or walk.config.compat or header > left):
        too_short(walk, EVENT_IPV4_TRUNC_PKT)
        return
    if total <= left:
        walk.end = walk.at + total
        walk.cut = False
    walk.meta.l3 = walk.at
    walk.meta.net = NET_IPV4
    walk.meta.proto = at[IPV4_PROTO_AT]
    walk.source = at + IPV4_SOURCE_AT
    walk.destination = at + IPV4_DESTINATION_AT
    walk.step = STEP_TRANSPORT
    if header > IPV4_LEN:
        walk_ipv4_options(walk, at + IPV4_LEN, header - IPV4_LEN)
        if walk.failed:
            return
    if walk.config.checksums and checksum_wrong(0, at, header):
        walk.meta.flags |= PM_L3_CHECKSUM
    walk.decoded = True
    walk.at += header
    if be16(at + IPV4_FRAGMENT_AT) & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET):
        walk.meta.flags |= PM_FRAGMENT
        walk.step = STEP_DONE
