# The headers of QUIC packets: RFC 9000 section 17 (version 1 and its drafts), RFC 9369 section 3 (version 2), and the public
# headers of Google's versions before them.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be32, read_bytes, read_u8

cdef enum:
    QUIC_V1 = 1
    QUIC_V2 = 0x6b3343cf
    GQUIC_Q039 = 0x51303339
    GQUIC_Q043 = 0x51303433
    GQUIC_Q046 = 0x51303436
    GQUIC_Q050 = 0x51303530
    QUIC_ID_MAX = 20            # bytes of a connection id, in versions 1 and 2
    QUIC_DATAGRAM_MIN = 1200    # of one with an Initial packet of a client

cdef enum quic_kind:
    QUIC_INITIAL, QUIC_ZERO_RTT, QUIC_HANDSHAKE, QUIC_RETRY, QUIC_NEGOTIATION, QUIC_SHORT

cdef struct quic_header_t:
    uint32_t kind               # enum quic_kind
    uint32_t version
    const uint8_t *id           # the destination's connection id
    uint32_t id_length
    uint32_t size               # bytes of the header, up to the packet number where that is protected
    uint32_t length             # bytes behind it that are of this packet


cdef inline uint64_t read_varint(cursor_t *cursor) noexcept nogil:
    """RFC 9000 section 16."""
    cdef uint8_t first = read_u8(cursor)
    cdef uint64_t value = first & 0x3f
    cdef uint32_t left = (1 << (first >> 6)) - 1
    while left:
        value = value << 8 | read_u8(cursor)
        left -= 1
    return value


cdef inline bint is_gquic(uint32_t version) noexcept nogil:
    return GQUIC_Q043 <= version <= GQUIC_Q046


cdef inline uint32_t long_kind(uint8_t first, uint32_t version) noexcept nogil:
    """Of the four kinds, which version 2 numbers anew."""
    cdef uint32_t bits = first >> 4 & 3
    return (bits + 3) & 3 if version == QUIC_V2 else bits


cdef inline void read_public(cursor_t *cursor, uint8_t first, quic_header_t *header) noexcept nogil:
    """Google's versions up to 43."""
    header.kind = QUIC_INITIAL if first & 1 else QUIC_SHORT
    if first & 8:
        header.id_length = 8
        header.id = read_bytes(cursor, 8)
    elif first & 4:
        read_bytes(cursor, 32)
    if first & 1:
        header.version = read_be32(cursor)
    read_bytes(cursor, 1 + (first >> 4 & 3))
    if first & 8:
        read_bytes(cursor, 12)


cdef inline bint read_long(cursor_t *cursor, uint8_t first, quic_header_t *header) noexcept nogil:
    """Up to the token of an Initial packet, its length and the rest; False for a kind that there is not."""
    cdef uint8_t sizes
    cdef uint64_t token
    header.version = read_be32(cursor)
    if header.version == 0:
        header.kind = QUIC_NEGOTIATION
    elif is_gquic(header.version) and header.version != GQUIC_Q046:
        if first & 0x7f < 0x7c:
            return False
        header.kind = (QUIC_INITIAL if first == 0xff else QUIC_RETRY if first == 0xfe else QUIC_HANDSHAKE if first == 0xfd
                       else QUIC_ZERO_RTT)
    else:
        header.kind = long_kind(first, header.version)
    if is_gquic(header.version):
        sizes = read_u8(cursor)
        header.id_length = (sizes >> 4) + 3 if sizes >> 4 else 0
        header.id = read_bytes(cursor, header.id_length)
        read_bytes(cursor, (sizes & 15) + 3 if sizes & 15 else 0)
        if header.kind == QUIC_INITIAL:
            read_bytes(cursor, 16)
        return True
    header.id_length = read_u8(cursor)
    header.id = read_bytes(cursor, header.id_length)
    read_bytes(cursor, read_u8(cursor))
    if header.kind == QUIC_INITIAL:
        token = read_varint(cursor)
        if token > cursor_left(cursor):
            return False
        read_bytes(cursor, <uint32_t> token)
    return True


cdef inline bint read_quic_header(const uint8_t *data, uint32_t length, quic_header_t *header) noexcept nogil:
    """The header of the packet that begins here; False for none. A packet without a length goes to the datagram's end."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint8_t first = read_u8(&cursor)
    cdef uint64_t said
    header.kind = QUIC_SHORT
    header.version = header.id_length = 0
    header.id = NULL
    if cursor.failed:
        return False
    if first & 0xc0 == 0:
        read_public(&cursor, first, header)
    elif first & 0x80 and not read_long(&cursor, first, header):
        return False
    said = cursor_left(&cursor)
    if header.kind == QUIC_INITIAL and first & 0x80 and not is_gquic(header.version):
        said = read_varint(&cursor)
        if said > cursor_left(&cursor):
            return False
    if cursor.failed or said > 0xffff:
        return False
    header.size = <uint32_t> (cursor.at - data)
    header.length = <uint32_t> said
    return True


cdef inline bint is_strictly_quic(const uint8_t *data, uint32_t length) noexcept nogil:
    """A client's first datagram, by its shape alone: an Initial packet of version 1 or 2 (RFC 9000 sections 14.1, 17.2 and
    17.2.2)."""
    cdef quic_header_t header
    return (length >= QUIC_DATAGRAM_MIN and data[0] & 0xc0 == 0xc0 and read_quic_header(data, length, &header)
            and header.kind == QUIC_INITIAL and (header.version == QUIC_V1 or header.version == QUIC_V2)
            and 8 <= header.id_length <= QUIC_ID_MAX and data[6 + header.id_length] <= QUIC_ID_MAX and header.length >= 20)
