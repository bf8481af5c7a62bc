# Whether bytes are the first ones of a protocol: one function each, for the protocols that have no room of their own. They stand
# in room_t.recognise and are asked where a pattern or a port makes their protocol likely. RECOGNISED_MORE leaves it open.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp

from fastpath.dataplane.applayer.applayer cimport (
    PARSE_DATAGRAM, RECOGNISED_MORE, RECOGNISED_NO, RECOGNISED_REVERSED, RECOGNISED_YES,
)
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_bytes, read_u8
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be16, be24, be32, le16, le32

cdef enum:
    DER_APPLICATION = 0x40
    DER_SEQUENCE = 0x30
    KRB5_RECORD_MAX = 16384
    NFS_PROGRAM = 100003
    NTP_HEADER = 48
    NTP_AUTHENTICATOR = 20
    NFS_COMMIT = 21             # the last procedure of version 3


cdef inline uint32_t yes_if(bint holds) noexcept nogil:
    return RECOGNISED_YES if holds else RECOGNISED_NO


# ---- Kerberos (RFC 4120, sections 5.4 and 7.2.2) ----

cdef inline bint pass_header(cursor_t *cursor, uint8_t *identifier) noexcept nogil:
    """Passes identifier and length of a DER element."""
    cdef uint8_t size
    identifier[0] = read_u8(cursor)
    size = read_u8(cursor)
    if size > 0x80:
        read_bytes(cursor, size & 0x7f)
    return not cursor.failed


cdef inline uint32_t probe_krb5(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    cdef uint8_t identifier = 0
    cdef cursor_t cursor
    if not flags & PARSE_DATAGRAM:
        if length <= 14 or be32(data) > KRB5_RECORD_MAX:
            return RECOGNISED_NO
        data += 4
        length -= 4
    if length <= 10:
        return RECOGNISED_NO
    cursor = cursor_over(data, length)
    if not pass_header(&cursor, &identifier) or identifier & 0xc0 != DER_APPLICATION or identifier & 31 > 30:
        return RECOGNISED_NO
    if not pass_header(&cursor, &identifier) or identifier != DER_SEQUENCE:
        return RECOGNISED_NO
    # version 5, within its own tag
    return yes_if(cursor_left(&cursor) > 5 and cursor.at[2] == 2 and cursor.at[3] == 1 and cursor.at[4] == 5)


# ---- SNMP (RFC 3416): SEQUENCE { version ... ----

cdef inline uint32_t probe_snmp(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    cdef uint8_t identifier = 0
    cdef cursor_t cursor = cursor_over(data, length)
    if length < 4 or not pass_header(&cursor, &identifier) or identifier != DER_SEQUENCE:
        return RECOGNISED_NO
    return yes_if(cursor_left(&cursor) >= 3 and cursor.at[0] == 2 and cursor.at[1] == 1 and cursor.at[2] in (0, 1, 3))


# ---- over UDP, by a header ----

cdef inline uint32_t probe_ntp(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                               uint32_t hint) noexcept nogil:
    """RFC 5905, section 7.3: version 3 or 4; behind the header extension fields and an MD5 authenticator, and nothing else."""
    cdef uint32_t at = NTP_HEADER, size
    if length < NTP_HEADER or not 3 <= data[0] >> 3 & 7 <= 4:
        return RECOGNISED_NO
    while data[0] >> 3 & 7 == 4 and length - at >= 4:
        size = be16(data + at + 2)
        if size < 4 or size > length - at:
            break
        at += size
    return yes_if(length - at == 0 or length - at == NTP_AUTHENTICATOR)


cdef inline uint32_t probe_dhcp(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    """RFC 2131, section 2: the fixed part and the cookie."""
    return yes_if(length >= 240)


cdef inline uint32_t probe_tftp(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    """RFC 1350: an opcode, of which the first byte is zero."""
    return RECOGNISED_YES if length >= 4 and data[0] == 0 else RECOGNISED_MORE


cdef inline uint32_t probe_ike(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                               uint32_t hint) noexcept nogil:
    """RFC 2408 (version 1) and RFC 7296 (version 2), section 3.1: cookies, versions, exchange, length."""
    if length < 28:
        return RECOGNISED_NO
    if data[17] >> 4 == 2:
        if data[17] & 15 or not 34 <= data[18] <= 37 or be32(data + 24) != length:
            return RECOGNISED_NO
    elif data[17] >> 4 != 1:
        return RECOGNISED_NO
    if direction == TO_CLIENT and be32(data + 8) == 0 and be32(data + 12) == 0:
        return RECOGNISED_REVERSED              # no one answered yet: this is the initiator
    return RECOGNISED_YES


# ---- SIP (RFC 3261, section 7): a start line, header lines, an empty line ----

cdef inline bint is_token(uint8_t byte) noexcept nogil:
    return 97 <= byte | 32 <= 122 or 48 <= byte <= 57 or byte and memchr(b"-.!%*_+`'~", byte, 10) != NULL


cdef inline bint is_named(const uint8_t *line, uint32_t length) noexcept nogil:
    """Does it begin with a token and a colon?"""
    cdef uint32_t i = 0
    while i < length and is_token(line[i]):
        i += 1
    if i == 0:
        return False
    while i < length and (line[i] == 32 or line[i] == 9):
        i += 1
    return i < length and line[i] == 58


cdef inline bint is_header_block(const uint8_t *data, uint32_t length) noexcept nogil:
    """Lines of a name, a colon and a value, up to an empty one."""
    cdef const uint8_t *end
    cdef uint32_t size
    while length >= 2:
        if data[0] == 13 and data[1] == 10:
            return True
        end = <const uint8_t *> memchr(data, 10, length)
        if end == NULL or end == data or (end - 1)[0] != 13:
            return False
        size = <uint32_t> (end - data) + 1
        if data[0] != 32 and data[0] != 9 and not is_named(data, size):
            return False
        data += size
        length -= size
    return False


cdef inline uint32_t word_end(const uint8_t *line, uint32_t at, uint32_t length) noexcept nogil:
    """Behind the word at `at` and the space that ends it; 0 where there is none."""
    cdef uint32_t end = at
    while end < length and line[end] != 32:
        end += 1
    return end + 1 if at < end < length else 0


cdef inline uint32_t probe_sip(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                               uint32_t hint) noexcept nogil:
    cdef const uint8_t *end = <const uint8_t *> memchr(data, 10, length) if length else NULL
    cdef uint32_t line, second, third
    if end == NULL or end == data or (end - 1)[0] != 13:
        return RECOGNISED_NO
    line = <uint32_t> (end - data) - 1
    second = word_end(data, 0, line)
    third = word_end(data, second, line) if second else 0
    if third == 0:
        return RECOGNISED_NO
    if direction == TO_SERVER:
        if not 65 <= data[0] & 0xdf <= 90 or line - third < 5 or memcmp(data + third, b"SIP/", 4) != 0:
            return RECOGNISED_NO
    elif memcmp(data, b"SIP/", 4) != 0 or third - second != 4:
        return RECOGNISED_NO
    return yes_if(is_header_block(data + line + 2, length - line - 2))


# ---- NFS over RPC (RFC 5531, sections 9 and 11) ----

cdef inline uint32_t probe_nfs(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                               uint32_t hint) noexcept nogil:
    cdef uint32_t fragment
    cdef bint stream = not flags & PARSE_DATAGRAM
    if stream:
        if length < 4:
            return RECOGNISED_MORE
        fragment = be32(data) & 0x7fffffff
        data += 4
        length -= 4
    else:
        fragment = length
    if direction == TO_CLIENT:
        if stream and length >= 8 and (be32(data + 4) != 1 or not 24 <= fragment <= 35000):
            return RECOGNISED_NO
        if stream and length < 24:
            return RECOGNISED_MORE if length < 8 else yes_if(be32(data) != 0)
        # accepted, and carried out
        return yes_if(length >= 24 and fragment >= (24 if stream else 32) and be32(data + 4) == 1 and be32(data + 8) == 0
                      and be32(data + 20) == 0)
    if length < 32:
        return RECOGNISED_MORE if stream else RECOGNISED_NO
    return yes_if(fragment >= 40 and be32(data + 4) == 0 and be32(data + 8) == 2 and be32(data + 12) == NFS_PROGRAM
                  and (3 if stream else 2) <= be32(data + 16) <= (4 if stream else 3) and be32(data + 20) <= NFS_COMMIT)


# ---- over TCP, by a header ----

cdef inline uint32_t probe_mqtt(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    """MQTT 3.1.1 and 5.0, section 2.1: a known type, a quality of service up to 2, the length."""
    cdef uint32_t i
    if length and (data[0] >> 4 == 0 or data[0] >> 1 & 3 > 2):
        return RECOGNISED_NO
    for i in range(1, 5):
        if i >= length:
            return RECOGNISED_MORE
        if data[i] & 0x80 == 0:
            return RECOGNISED_YES
    return RECOGNISED_NO


cdef inline uint32_t probe_rdp(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                               uint32_t hint) noexcept nogil:
    """TPKT (RFC 1006, section 6)"""
    return RECOGNISED_YES if length and data[0] == 3 else RECOGNISED_MORE


cdef inline uint32_t probe_http2(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                 uint32_t hint) noexcept nogil:
    """A SETTINGS frame (RFC 9113, section 6.5); requests are told by their preface."""
    if length < 9:
        return RECOGNISED_MORE
    return yes_if(data[3] == 4 and data[4] & 0xfe == 0 and data[5] & 0x80 == 0 and be24(data) <= 16384)


cdef inline uint32_t probe_modbus(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                  uint32_t hint) noexcept nogil:
    """Modbus over TCP, section 3.1.3: transaction, protocol 0, length, unit, function."""
    if length < 8:
        return RECOGNISED_MORE
    return yes_if(be16(data + 2) == 0 and 2 <= be16(data + 4) <= 254 and data[7] & 0x7f
                  and data[7] & 0x7f not in (9, 10, 13, 14, 41, 42, 90, 91, 125, 126, 127))      # reserved


cdef inline uint16_t dnp3_crc(const uint8_t *data, uint32_t length) noexcept nogil:
    """IEEE 1815, annex E: x16+x13+x12+x11+x10+x8+x6+x5+x2+1, reflected and inverted."""
    cdef uint16_t crc = 0
    cdef uint32_t i, bit
    for i in range(length):
        crc ^= data[i]
        for bit in range(8):  # no-cython-lint
            crc = crc >> 1 ^ 0xa6bc if crc & 1 else crc >> 1
    return <uint16_t> ~crc


cdef inline uint32_t probe_dnp3(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    """IEEE 1815, section 9.2.4: start bytes, length, and the check of the header."""
    if length < 10:
        return RECOGNISED_MORE
    if data[0] != 5 or data[1] != 0x64 or data[2] < 5 or dnp3_crc(data, 8) != le16(data + 8):
        return RECOGNISED_NO
    return RECOGNISED_YES if (data[3] >> 7 == 1) == (direction == TO_SERVER) else RECOGNISED_REVERSED


cdef inline uint32_t probe_enip(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                uint32_t hint) noexcept nogil:
    """The encapsulation header of EtherNet/IP: a known command, its length, a known status."""
    cdef uint16_t command, size
    if length < 24:
        return RECOGNISED_MORE
    command = le16(data)
    size = le16(data + 2)
    if le32(data + 8) not in (0, 1, 2, 3, 0x64, 0x65, 0x69):
        return RECOGNISED_NO
    if command == 0:
        return yes_if(le32(data + 20) == 0)
    if command == 0x65:                         # register session
        return yes_if(size == 4)
    if command == 0x66:                         # and leave it
        return yes_if(size == 0 or size == 4)
    return yes_if(command in (0x04, 0x63, 0x64, 0x6f, 0x70, 0x72, 0x73))


cdef inline uint32_t probe_pgsql(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                 uint32_t hint) noexcept nogil:
    """PostgreSQL's protocol 3.0: a startup or a request for encryption; a message, or the answer about encryption."""
    cdef uint32_t size, what
    if direction == TO_SERVER:
        if length < 8:
            return RECOGNISED_MORE
        size = be32(data)
        what = be32(data + 4)
        if what == 80877103:                    # TLS
            return yes_if(size == 8)
        if what == 80877102:                    # cancel
            return yes_if(size == 16)
        return yes_if(what >> 16 in (2, 3) and 8 < size <= length)
    if length == 0:
        return RECOGNISED_MORE
    if data[0] == b"S" and length < 5 or data[0] == b"N" and length < 5:
        return RECOGNISED_YES
    if length < 5:
        return RECOGNISED_MORE
    size = be32(data + 1)
    if memchr(b"RSKZTCDEN1A", data[0], 11) == NULL or size < 4:
        return RECOGNISED_MORE
    return RECOGNISED_YES if size < length else RECOGNISED_MORE


cdef inline uint32_t probe_telnet(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                                  uint32_t hint) noexcept nogil:
    """RFC 854: it begins with a command, of which WILL, WONT, DO and DONT (RFC 855) have an option."""
    if length < 2 or data[0] != 255:
        return RECOGNISED_MORE
    return RECOGNISED_YES if data[1] >= 240 and (data[1] < 251 or length >= 3) else RECOGNISED_MORE
