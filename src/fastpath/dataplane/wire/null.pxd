# Link types without addresses: NULL and LOOP (an address family in four bytes), RAW (a bare IP packet).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_IPRAW_INVALID_IP_VERSION, EVENT_IPV4_PKT_TOO_SMALL, EVENT_LTNULL_PKT_TOO_SMALL, EVENT_LTNULL_UNSUPPORTED_TYPE,
)
from fastpath.dataplane.wire.load cimport be32
from fastpath.dataplane.wire.walk cimport STEP_IPV4, STEP_IPV6, malformed, too_short, walk_t

cdef enum:
    NULL_LEN = 4
    RAW_LEN = 20                # the smallest IP header
    FAMILY_INET = 2
    FAMILY_INET6_BSD = 24       # NetBSD, OpenBSD
    FAMILY_INET6_FREEBSD = 28
    FAMILY_INET6_DARWIN = 30


cdef inline void walk_null(walk_t *walk) noexcept nogil:
    """The family is in the order of the host that captured, or (LOOP) in network order: both are read."""
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t family
    if walk.end - walk.at < NULL_LEN:
        too_short(walk, EVENT_LTNULL_PKT_TOO_SMALL)
        return
    family = be32(at)
    if family >> 16 or walk.config.compat:
        family = at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24
    walk.at += NULL_LEN
    if family == FAMILY_INET:
        walk.step = STEP_IPV4
    elif family in (FAMILY_INET6_BSD, FAMILY_INET6_FREEBSD, FAMILY_INET6_DARWIN):
        walk.step = STEP_IPV6
    else:
        malformed(walk, EVENT_LTNULL_UNSUPPORTED_TYPE)


cdef inline void walk_raw(walk_t *walk) noexcept nogil:
    cdef uint8_t version
    if walk.end - walk.at < RAW_LEN:
        too_short(walk, EVENT_IPV4_PKT_TOO_SMALL)
        return
    version = walk.frame[walk.at] >> 4
    if version == 4:
        walk.step = STEP_IPV4
    elif version == 6:
        walk.step = STEP_IPV6
    else:
        malformed(walk, EVENT_IPRAW_INVALID_IP_VERSION)
