# IPv6 (RFC 8200) and its extension headers: hop-by-hop and destination options, routing (RFC 5095), fragment,
# authentication (RFC 4302), mobility (RFC 6275), host identity (RFC 7401), shim6 (RFC 5533).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_IPV6_DATA_AFTER_NONE_HEADER, EVENT_IPV6_DSTOPTS_ONLY_PADDING, EVENT_IPV6_DSTOPTS_UNKNOWN_OPT,
    EVENT_IPV6_EXTHDR_AH_RES_NOT_NULL, EVENT_IPV6_EXTHDR_DUPL_AH, EVENT_IPV6_EXTHDR_DUPL_DH, EVENT_IPV6_EXTHDR_DUPL_FH,
    EVENT_IPV6_EXTHDR_DUPL_HH, EVENT_IPV6_EXTHDR_DUPL_RH, EVENT_IPV6_EXTHDR_INVALID_OPTLEN, EVENT_IPV6_EXTHDR_USELESS_FH,
    EVENT_IPV6_FH_NON_ZERO_RESERVED_FIELD, EVENT_IPV6_HOPOPTS_ONLY_PADDING, EVENT_IPV6_HOPOPTS_UNKNOWN_OPT,
    EVENT_IPV6_PKT_TOO_SMALL, EVENT_IPV6_RH_TYPE_0, EVENT_IPV6_TRUNC_EXTHDR, EVENT_IPV6_TRUNC_PKT,
    EVENT_IPV6_WRONG_IP_VERSION, EVENT_IPV6_ZERO_LEN_PADN,
)
from fastpath.dataplane.types cimport NET_IPV6, PM_FRAGMENT
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, STEP_TRANSPORT, malformed, note, too_short, walk_t

cdef enum:
    IPV6_LEN = 40
    IPV6_VERSION_AT = 0
    IPV6_PAYLOAD_LEN_AT = 4
    IPV6_NEXT_AT = 6
    IPV6_HOP_LIMIT_AT = 7
    IPV6_SOURCE_AT = 8
    IPV6_DESTINATION_AT = 24

cdef enum:                      # next header
    NEXT_HOP_OPTIONS = 0
    NEXT_ROUTING = 43
    NEXT_FRAGMENT = 44
    NEXT_AH = 51
    NEXT_NONE = 59
    NEXT_DESTINATION_OPTIONS = 60
    NEXT_MOBILITY = 135
    NEXT_HIP = 139
    NEXT_SHIM6 = 140

cdef enum:
    EXTENSION_LEN = 8           # the smallest: next header 1, length in 8 bytes without the first 8
    ROUTING_TYPE_AT = 2
    FRAGMENT_LEN = 8
    FRAGMENT_OFFSET_AT = 2      # 13 bits of offset, 2 reserved, 1 more fragments
    FRAGMENT_IDENT_AT = 4
    FRAGMENT_MORE = 1
    FRAGMENT_OFFSET = 0xfff8
    AH_LEAST = 12
    AH_RESERVED_AT = 2

cdef enum:                      # options of hop-by-hop and destination headers
    OPTION_PAD1 = 0
    OPTION_PADN = 1
    OPTION_ROUTER_ALERT = 5
    OPTION_JUMBO = 0xc2
    OPTION_HOME_ADDRESS = 0xc9


cdef inline uint32_t extension_size(uint8_t kind, uint8_t length) noexcept nogil:
    """Bytes of an extension header, by its type and what its second byte says."""
    if kind == NEXT_FRAGMENT:
        return FRAGMENT_LEN
    if kind == NEXT_AH:
        return (length + 2) * 4 if length else AH_LEAST
    return (length + 1) * 8


cdef inline void walk_ipv6_options(walk_t *walk, const uint8_t *at, uint32_t left, bint hop) noexcept nogil:
    """`left` bytes of options, the header's first two bytes excluded."""
    cdef uint32_t known = 0, unknown = 0, padding = 0, size
    cdef uint32_t slack = 1 if walk.config.compat else 2        # Suricata lets the last option run over by a byte
    while left:
        if at[0] == OPTION_PAD1:
            padding += 1
            at += 1
            left -= 1
            continue
        if left < 2 or at[1] > left - slack:
            note(walk, EVENT_IPV6_EXTHDR_INVALID_OPTLEN)
            break
        size = at[1]
        if at[0] == OPTION_PADN:
            padding += 1
            if size == 0:
                note(walk, EVENT_IPV6_ZERO_LEN_PADN)
        elif at[0] == OPTION_ROUTER_ALERT or at[0] == OPTION_JUMBO or at[0] == OPTION_HOME_ADDRESS:
            if size < (2 if at[0] == OPTION_ROUTER_ALERT else 4 if at[0] == OPTION_JUMBO else 16):
                note(walk, EVENT_IPV6_EXTHDR_INVALID_OPTLEN)
                break
            known += 1
        else:
            unknown += 1
        at += 2 + size
        left -= 2 + size if 2 + size < left else left
    if unknown:
        note(walk, EVENT_IPV6_HOPOPTS_UNKNOWN_OPT if hop else EVENT_IPV6_DSTOPTS_UNKNOWN_OPT)
    elif padding and not known:
        note(walk, EVENT_IPV6_HOPOPTS_ONLY_PADDING if hop else EVENT_IPV6_DSTOPTS_ONLY_PADDING)


cdef inline void walk_ipv6_extensions(walk_t *walk, uint8_t following) noexcept nogil:
    cdef const uint8_t *at
    cdef uint32_t left, size, destinations = 0
    cdef bint hop = False, routing = False, fragment = False, ah = False
    while True:
        at = walk.frame + walk.at
        left = walk.end - walk.at
        if following == NEXT_NONE:
            if left:
                note(walk, EVENT_IPV6_DATA_AFTER_NONE_HEADER)
            walk.step = STEP_DONE
            break
        if following not in (NEXT_HOP_OPTIONS, NEXT_ROUTING, NEXT_FRAGMENT, NEXT_AH, NEXT_DESTINATION_OPTIONS, NEXT_MOBILITY,
                             NEXT_HIP, NEXT_SHIM6):
            if walk.config.compat and left < 2 and walk.at != walk.meta.l3 + IPV6_LEN:
                too_short(walk, EVENT_IPV6_TRUNC_EXTHDR)
            else:
                walk.step = STEP_TRANSPORT
            break
        if left < EXTENSION_LEN:
            too_short(walk, EVENT_IPV6_TRUNC_EXTHDR)
            break
        size = extension_size(following, at[1])
        if size > left:
            too_short(walk, EVENT_IPV6_TRUNC_EXTHDR)
            break
        if following == NEXT_HOP_OPTIONS or following == NEXT_DESTINATION_OPTIONS:
            if following == NEXT_HOP_OPTIONS and hop:
                note(walk, EVENT_IPV6_EXTHDR_DUPL_HH)
            elif following == NEXT_DESTINATION_OPTIONS and destinations == 2:
                note(walk, EVENT_IPV6_EXTHDR_DUPL_DH)
            else:
                walk_ipv6_options(walk, at + 2, size - 2, following == NEXT_HOP_OPTIONS)
                if following == NEXT_HOP_OPTIONS:
                    hop = True
                else:
                    destinations += 1
        elif following == NEXT_ROUTING:
            if routing:
                note(walk, EVENT_IPV6_EXTHDR_DUPL_RH)
            elif at[ROUTING_TYPE_AT] == 0:
                note(walk, EVENT_IPV6_RH_TYPE_0)
            routing = True
        elif following == NEXT_AH:
            if ah:
                note(walk, EVENT_IPV6_EXTHDR_DUPL_AH)
            ah = True
            if be16(at + AH_RESERVED_AT):
                note(walk, EVENT_IPV6_EXTHDR_AH_RES_NOT_NULL)
        elif following == NEXT_FRAGMENT:
            if at[1]:
                note(walk, EVENT_IPV6_FH_NON_ZERO_RESERVED_FIELD)
            if fragment:
                note(walk, EVENT_IPV6_EXTHDR_DUPL_FH)
            else:
                if be16(at + FRAGMENT_OFFSET_AT) & (FRAGMENT_OFFSET | FRAGMENT_MORE):
                    walk.meta.flags |= PM_FRAGMENT
                    walk.meta.proto = NEXT_FRAGMENT
                    walk.step = STEP_DONE
                    return
                note(walk, EVENT_IPV6_EXTHDR_USELESS_FH)
                fragment = True
        following = at[0]
        walk.at += size
    walk.meta.proto = following


cdef inline void walk_ipv6(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, total
    if left < IPV6_LEN:
        if walk.config.compat:          # has the event, never sets it
            walk.failed = True
            walk.step = STEP_DONE
        else:
            too_short(walk, EVENT_IPV6_PKT_TOO_SMALL)
        return
    if at[IPV6_VERSION_AT] >> 4 != 6:
        malformed(walk, EVENT_IPV6_WRONG_IP_VERSION)
        return
    total = IPV6_LEN + be16(at + IPV6_PAYLOAD_LEN_AT)
    if total == IPV6_LEN and at[IPV6_NEXT_AT] == NEXT_HOP_OPTIONS and not walk.config.compat:
        total = left            # a jumbogram (RFC 2675), or captured before the interface cut it into segments
    if total > left and (not walk.cut or walk.config.compat):
        too_short(walk, EVENT_IPV6_TRUNC_PKT)
        return
    if total <= left:
        walk.end = walk.at + total
        walk.cut = False
    walk.meta.l3 = walk.at
    walk.meta.net = NET_IPV6
    walk.source = at + IPV6_SOURCE_AT
    walk.destination = at + IPV6_DESTINATION_AT
    walk.at += IPV6_LEN
    walk.decoded = True
    walk_ipv6_extensions(walk, at[IPV6_NEXT_AT])
