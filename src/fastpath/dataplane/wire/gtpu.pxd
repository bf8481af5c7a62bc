# GTP-U (3GPP TS 29.281) and the PDU session container of 5G (TS 38.415).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport (
    EVENT_GTPU_BAD_EXTENSION, EVENT_GTPU_HEADER_TOO_SMALL, EVENT_GTPU_UNKNOWN_PAYLOAD, EVENT_GTPU_UNSUPPORTED_VERSION,
)
from fastpath.dataplane.types cimport TUNNEL_GTPU, TUNNEL_NONE
from fastpath.dataplane.wire.load cimport be32
from fastpath.dataplane.wire.walk cimport LINKTYPE_IPV4, LINKTYPE_IPV6, NO_EVENT, tunnel_t

cdef enum:
    GTPU_LEN = 8                # flags 1, message type 1, length 2, tunnel endpoint 4
    GTPU_TYPE_AT = 1
    GTPU_TEID_AT = 4
    GTPU_OPTIONAL_LEN = 4       # sequence 2, N-PDU number 1, next extension 1; there if any of three flags is set
    GTPU_VERSION_1 = 0x30       # with the protocol type of GTP (not GTP')
    GTPU_OPTIONAL = 0x07
    GTPU_EXTENSION = 0x04
    GTPU_G_PDU = 255
    GTPU_PDU_SESSION = 0x85
    GTPU_QFI = 0x3f


cdef inline uint32_t read_gtpu(const uint8_t *at, uint32_t left, tunnel_t *found) noexcept nogil:
    """Only user packets (G-PDU) carry something; the others leave `found.kind` at none."""
    cdef uint32_t size = GTPU_LEN, extension
    cdef uint8_t following = 0
    found.kind = TUNNEL_NONE
    found.qfi = 0
    found.short = left < GTPU_LEN
    if found.short:
        return EVENT_GTPU_HEADER_TOO_SMALL
    if at[0] & 0xf0 != GTPU_VERSION_1:
        return EVENT_GTPU_UNSUPPORTED_VERSION
    found.id = be32(at + GTPU_TEID_AT)
    if at[0] & GTPU_OPTIONAL:
        size += GTPU_OPTIONAL_LEN
        found.short = left < size
        if found.short:
            return EVENT_GTPU_HEADER_TOO_SMALL
        if at[0] & GTPU_EXTENSION:
            following = at[size - 1]
    while following:
        found.short = left - size < 4
        if found.short:
            return EVENT_GTPU_HEADER_TOO_SMALL
        extension = at[size] * 4
        if extension == 0:
            return EVENT_GTPU_BAD_EXTENSION
        found.short = left - size < extension
        if found.short:
            return EVENT_GTPU_HEADER_TOO_SMALL
        if following == GTPU_PDU_SESSION:
            found.qfi = at[size + 2] & GTPU_QFI
        size += extension
        following = at[size - 1]
    if at[GTPU_TYPE_AT] != GTPU_G_PDU:
        return NO_EVENT
    found.inner = size
    if left > size and at[size] >> 4 == 4:
        found.linktype = LINKTYPE_IPV4
    elif left > size and at[size] >> 4 == 6:
        found.linktype = LINKTYPE_IPV6
    else:
        return EVENT_GTPU_UNKNOWN_PAYLOAD
    found.kind = TUNNEL_GTPU
    return NO_EVENT
