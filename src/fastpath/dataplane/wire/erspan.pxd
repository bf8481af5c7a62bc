# ERSPAN (draft-foschiano-erspan): a mirrored frame in GRE. Type I has no header, type II 8 bytes, type III 12 and more.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.events cimport EVENT_ERSPAN_HEADER_TOO_SMALL, EVENT_ERSPAN_UNSUPPORTED_VERSION
from fastpath.dataplane.wire.ethernet cimport TYPE_ERSPAN3
from fastpath.dataplane.wire.gre cimport GRE_PROTOCOL_AT, GRE_SEQUENCE
from fastpath.dataplane.wire.load cimport be16, be32
from fastpath.dataplane.wire.walk cimport NO_EVENT, tunnel_t

cdef enum:
    ERSPAN2_LEN = 8
    ERSPAN3_LEN = 12
    ERSPAN3_SUBHEADER = 8
    ERSPAN_VLAN = 0x0fff
    ERSPAN_SESSION = 0x03ff


cdef inline uint32_t read_erspan(const uint8_t *gre, uint32_t left, tunnel_t *found, uint16_t *vlan) noexcept nogil:
    """Goes on from read_gre, whose header is at `gre`: moves `found.inner` behind the ERSPAN header and gives the VLAN of
    the mirrored port, 0 for none."""
    cdef const uint8_t *at = gre + found.inner
    cdef uint32_t size
    cdef bint three = be16(gre + GRE_PROTOCOL_AT) == TYPE_ERSPAN3
    vlan[0] = 0
    if not three and not be16(gre) & GRE_SEQUENCE:
        return NO_EVENT
    size = ERSPAN3_LEN if three else ERSPAN2_LEN
    found.short = left - found.inner < size
    if found.short:
        return EVENT_ERSPAN_HEADER_TOO_SMALL
    if at[0] >> 4 != (2 if three else 1):
        return EVENT_ERSPAN_UNSUPPORTED_VERSION
    if three and at[11] & 1:
        size += ERSPAN3_SUBHEADER
        found.short = left - found.inner < size
        if found.short:
            return EVENT_ERSPAN_HEADER_TOO_SMALL
    vlan[0] = be16(at) & ERSPAN_VLAN
    found.id = be32(at) & ERSPAN_SESSION
    found.inner += size
    return NO_EVENT
