# FTP (RFC 959, 2228, 2428): commands and the replies to them; what tells where the data connections will be.
#
# A command is found wherever it stands in a line, as in Suricata 7, and its argument begins as far from the line's start as the
# command is long.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.applayer cimport room_t

cdef enum ftp_command:
    FTP_UNKNOWN, FTP_OTHER, FTP_AUTH_TLS, FTP_EPSV, FTP_EPRT, FTP_PASV, FTP_PORT, FTP_RETR, FTP_STOR

cdef enum:
    FTPDATA_STOR = 1            # numbers of ftpdata.command
    FTPDATA_RETR = 2

cdef void describe_ftp(room_t *room) noexcept nogil


# ---- the ports that commands and replies name; 0 for none ----

cdef struct scan_t:
    const uint8_t *at
    const uint8_t *end
    bint failed


cdef inline scan_t scan_over(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef scan_t scan
    scan.at = data
    scan.end = data + length
    scan.failed = False
    return scan


cdef inline void skip_blanks(scan_t *scan) noexcept nogil:
    while scan.at < scan.end and (scan.at[0] == 32 or 9 <= scan.at[0] <= 10 or scan.at[0] == 13):
        scan.at += 1


cdef inline void expect_text(scan_t *scan, const char *text, uint32_t length) noexcept nogil:
    if scan.failed or scan.end - scan.at < length or memcmp(scan.at, text, length) != 0:
        scan.failed = True
    else:
        scan.at += length


cdef inline void skip_past(scan_t *scan, const char *text, uint32_t length) noexcept nogil:
    while not scan.failed:
        if scan.end - scan.at < length:
            scan.failed = True
        elif memcmp(scan.at, text, length) == 0:
            scan.at += length
            return
        else:
            scan.at += 1


cdef inline uint32_t scan_number(scan_t *scan, uint32_t most) noexcept nogil:
    """Digits; a number above `most` fails."""
    cdef uint64_t value = 0
    cdef const uint8_t *start = scan.at
    while scan.at < scan.end and 48 <= scan.at[0] <= 57:
        value = min(10 * value + scan.at[0] - 48, <uint64_t> 0xffffffff)
        scan.at += 1
    if scan.at == start or value > most:
        scan.failed = True
    return <uint32_t> value


cdef inline uint16_t port_argument(const uint8_t *line, uint32_t length) noexcept nogil:
    """PORT h1,h2,h3,h4,p1,p2 (RFC 959 section 4.1.2)."""
    cdef scan_t scan = scan_over(line, length)
    cdef uint32_t i, high, low
    expect_text(&scan, b"PORT", 4)
    skip_blanks(&scan)
    for i in range(4):
        scan_number(&scan, 0xffffffff)
        if i == 0:
            skip_blanks(&scan)
        expect_text(&scan, b",", 1)
    high = scan_number(&scan, 255)
    expect_text(&scan, b",", 1)
    low = scan_number(&scan, 255)
    return 0 if scan.failed else <uint16_t> (high << 8 | low)


cdef inline uint16_t eprt_argument(const uint8_t *line, uint32_t length) noexcept nogil:
    """EPRT |net|address|port| (RFC 2428)."""
    cdef scan_t scan = scan_over(line, length)
    cdef uint32_t i, port
    expect_text(&scan, b"EPRT", 4)
    for i in range(3):  # no-cython-lint
        skip_past(&scan, b"|", 1)
    skip_blanks(&scan)
    port = scan_number(&scan, 65535)
    skip_blanks(&scan)
    expect_text(&scan, b"|", 1)
    return 0 if scan.failed else <uint16_t> port


cdef inline uint16_t pasv_reply(const uint8_t *line, uint32_t length) noexcept nogil:
    """227 ... (h1,h2,h3,h4,p1,p2)."""
    cdef scan_t scan = scan_over(line, length)
    cdef uint32_t i, high, low
    expect_text(&scan, b"227", 3)
    skip_past(&scan, b"(", 1)
    for i in range(4):  # no-cython-lint
        scan_number(&scan, 0xffffffff)
        expect_text(&scan, b",", 1)
    skip_blanks(&scan)
    high = scan_number(&scan, 255)
    skip_blanks(&scan)
    expect_text(&scan, b",", 1)
    skip_blanks(&scan)
    low = scan_number(&scan, 255)
    skip_blanks(&scan)
    expect_text(&scan, b")", 1)
    return 0 if scan.failed else <uint16_t> (high << 8 | low)


cdef inline uint16_t epsv_reply(const uint8_t *line, uint32_t length) noexcept nogil:
    """229 ... (|||port|)."""
    cdef scan_t scan = scan_over(line, length)
    cdef uint32_t port
    expect_text(&scan, b"229", 3)
    skip_past(&scan, b"|||", 3)
    skip_blanks(&scan)
    port = scan_number(&scan, 65535)
    skip_blanks(&scan)
    expect_text(&scan, b"|)", 2)
    return 0 if scan.failed else <uint16_t> port


cdef inline bint names_other(const uint8_t *line, uint32_t length, const uint8_t *client) noexcept nogil:
    """Does a PORT line name another host than the client (four bytes)?"""
    cdef scan_t scan = scan_over(line, length)
    cdef uint32_t i
    cdef bint other = False
    scan.at += min(length, <uint32_t> 4)
    skip_blanks(&scan)
    for i in range(4):
        if scan_number(&scan, 255) != client[i]:
            other = True
        expect_text(&scan, b",", 1)
    return other and not scan.failed
