# Teredo (RFC 4380): IPv6 in UDP, behind an authentication and an origin indication that may be absent.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.types cimport TUNNEL_NONE, TUNNEL_TEREDO
from fastpath.dataplane.wire.ipv6 cimport IPV6_HOP_LIMIT_AT, IPV6_LEN, IPV6_PAYLOAD_LEN_AT
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport LINKTYPE_IPV6, decode_config_t, tunnel_t

cdef enum:
    TEREDO_ORIGIN_LEN = 8
    TEREDO_AUTHENTICATION_LEN = 4   # then the client identifier, the value, a nonce of 8 and a byte


cdef inline void read_teredo(const decode_config_t *config, const uint8_t *at, uint32_t left, tunnel_t *found) noexcept nogil:
    """The port alone says little: it is Teredo where the lengths agree to the byte."""
    cdef uint32_t skip = 0
    found.kind = TUNNEL_NONE
    found.id = 0
    found.qfi = 0
    if not config.compat and left >= TEREDO_AUTHENTICATION_LEN and at[0] == 0 and at[1] == 1:
        skip = TEREDO_AUTHENTICATION_LEN + at[2] + at[3] + 9
    if left >= skip + TEREDO_ORIGIN_LEN and at[skip] == 0 and at[skip + 1] == 0:
        skip += TEREDO_ORIGIN_LEN
    if left < skip + IPV6_LEN or at[skip] >> 4 != 6 or at[skip + IPV6_HOP_LIMIT_AT] == 0 \
            or be16(at + skip + IPV6_PAYLOAD_LEN_AT) + IPV6_LEN != left - skip:
        return
    found.inner = skip
    found.linktype = LINKTYPE_IPV6
    found.kind = TUNNEL_TEREDO
