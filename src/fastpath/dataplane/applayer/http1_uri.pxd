# The request URI: its parts, and the form in which rules see it.
#
# The server behind is not known, so what any common server would decode is decoded: %HH and %uHHHH, encoded separators,
# backslashes as slashes, runs of slashes as one, UTF-8 and two-byte code points as the nearest single byte, dot segments
# removed (RFC 3986 section 5.2.4). What is not well encoded stays as it is. Guide: configuration/suricata-yaml, libhtp, "IDS".
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr

from fastpath.dataplane.applayer.http1_state cimport digit_of, span_t

cdef extern from "applayer/http1_bestfit.h" nogil:
    ctypedef struct bestfit_t:
        unsigned short code
        unsigned char byte
    const bestfit_t http1_bestfit[]
    const uint32_t HTTP1_BESTFIT_COUNT

cdef struct uri_t:              # spans of the raw URI
    span_t scheme, credentials, host, port, path, query, fragment
    bint has_scheme, has_host, has_port, has_path, has_query, has_fragment


cdef inline span_t part(uint32_t start, uint32_t end) noexcept nogil:
    cdef span_t span
    span.at = start
    span.length = end - start
    return span


cdef inline uint32_t upto(const uint8_t *data, uint32_t at, uint32_t end, uint8_t one, uint8_t two, uint8_t three) noexcept nogil:
    while at < end and data[at] != one and data[at] != two and data[at] != three:
        at += 1
    return at


cdef inline void split_authority(const uint8_t *data, uint32_t start, uint32_t end, uri_t *uri) noexcept nogil:
    """user:password@host:port; an IPv6 host is in brackets."""
    cdef const uint8_t *found = <const uint8_t *> memchr(data + start, 64, end - start)
    cdef uint32_t host_end
    if found != NULL:
        uri.credentials = part(start, <uint32_t> (found - data))
        start = <uint32_t> (found - data) + 1
    host_end = end
    if start < end and data[start] == 91:
        found = <const uint8_t *> memchr(data + start, 93, end - start)
        if found != NULL:
            host_end = <uint32_t> (found - data) + 1
            found = <const uint8_t *> memchr(data + host_end, 58, end - host_end)
    else:
        found = <const uint8_t *> memchr(data + start, 58, end - start)
        if found != NULL:
            host_end = <uint32_t> (found - data)
    if found != NULL:
        uri.port = part(<uint32_t> (found - data) + 1, end)
        uri.has_port = True
    uri.host = part(start, host_end)
    uri.has_host = True


cdef inline uri_t split_uri(const uint8_t *data, uint32_t length) noexcept nogil:
    """RFC 3986 section 3, without judging what stands where. An authority is looked for behind a scheme alone."""
    cdef uri_t uri
    cdef uint32_t at = 0, start
    uri.has_scheme = uri.has_host = uri.has_port = uri.has_path = uri.has_query = uri.has_fragment = False
    uri.scheme = uri.credentials = uri.host = uri.port = uri.path = uri.query = uri.fragment = part(0, 0)
    if length == 0:
        return uri
    if data[0] != 47:
        at = upto(data, 0, length, 58, 58, 58)
        if at >= length:
            at = 0
        else:
            uri.scheme = part(0, at)
            uri.has_scheme = True
            at += 1
    if uri.has_scheme and at + 2 < length and data[at] == 47 and data[at + 1] == 47 and data[at + 2] != 47:
        start = at + 2
        at = upto(data, start, length, 63, 47, 35)
        split_authority(data, start, at, &uri)
    start = at
    at = upto(data, at, length, 63, 35, 35)
    uri.path = part(start, at)
    uri.has_path = True
    if at < length and data[at] == 63:
        start = at + 1
        at = upto(data, start, length, 35, 35, 35)
        uri.query = part(start, at)
        uri.has_query = True
    if at < length:
        uri.fragment = part(at + 1, length)
        uri.has_fragment = True
    return uri


cdef inline uint8_t bestfit(uint32_t code) noexcept nogil:
    """The single byte nearest to a code point; a question mark for none."""
    cdef uint32_t low = 0, high = HTTP1_BESTFIT_COUNT, middle
    if code < 0x100:
        return <uint8_t> code
    while low < high:
        middle = (low + high) // 2
        if http1_bestfit[middle].code < code:
            low = middle + 1
        else:
            high = middle
    if low < HTTP1_BESTFIT_COUNT and http1_bestfit[low].code == code:
        return http1_bestfit[low].byte
    return 63


cdef inline int hex_pair(const uint8_t *data) noexcept nogil:
    """-1 where these are no two hexadecimal digits."""
    cdef int high = digit_of(data[0]), low = digit_of(data[1])
    return -1 if high < 0 or low < 0 else high << 4 | low


cdef inline uint32_t decode_one(const uint8_t *data, uint32_t left, uint8_t *byte) noexcept nogil:
    """What a percent sign begins, as one byte; returns how many bytes it takes. A sign that begins nothing is itself."""
    cdef int high, low
    byte[0] = data[0]
    if left <= 2:
        return 1
    if data[1] == 117 or data[1] == 85:         # %uHHHH
        if left <= 5:
            return 1
        high = hex_pair(data + 2)
        low = hex_pair(data + 4)
        if high < 0 or low < 0:
            return 1
        byte[0] = bestfit(<uint32_t> high << 8 | <uint32_t> low)
        return 6
    high = hex_pair(data + 1)
    if high < 0:
        return 1
    byte[0] = <uint8_t> high
    return 3


cdef inline uint32_t decode_inplace(uint8_t *data, uint32_t length) noexcept nogil:
    """Percent signs decoded; returns the new length."""
    cdef uint32_t read = 0, write = 0
    while read < length:
        if data[read] == 37:
            read += decode_one(data + read, length - read, data + write)
        else:
            data[write] = data[read]
            read += 1
        write += 1
    return write


cdef inline uint32_t decode_path_inplace(uint8_t *data, uint32_t length) noexcept nogil:
    """As decode_inplace; a backslash is a slash, and slashes in a row are one."""
    cdef uint32_t read = 0, write = 0
    cdef uint8_t byte
    while read < length:
        byte = data[read]
        if byte == 37:
            read += decode_one(data + read, length - read, &byte)
        else:
            read += 1
        if byte == 92:
            byte = 47
        if byte == 47 and write and data[write - 1] == 47:
            continue
        data[write] = byte
        write += 1
    return write


cdef inline uint32_t utf8_length(uint8_t first) noexcept nogil:
    """Of the sequence that a byte of 0x80 or more begins, overlong ones among them; 1 where it begins none."""
    if 0xc0 <= first <= 0xdf:
        return 2
    if 0xe0 <= first <= 0xef:
        return 3
    return 4 if 0xf0 <= first <= 0xf4 else 1


cdef inline uint32_t utf8_inplace(uint8_t *data, uint32_t length) noexcept nogil:
    """UTF-8 as single bytes: the nearest one, a question mark for what has none or is no UTF-8. A sequence that the end cuts
    short is left out."""
    cdef uint32_t read = 0, write = 0, size, have, code
    cdef uint8_t first
    while read < length:
        first = data[read]
        if first < 0x80:
            data[write] = first
            read += 1
            write += 1
            continue
        size = utf8_length(first)
        have = 1
        code = first & (0xff >> (size + 1)) if size > 1 else 0x10000
        while have < size and read + have < length and data[read + have] & 0xc0 == 0x80:
            if have == 1 and ((first == 0xed and data[read + 1] > 0x9f) or (first == 0xf4 and data[read + 1] > 0x8f)):
                break
            code = code << 6 | (data[read + have] & 0x3f)
            have += 1
        if have < size and read + have == length:
            break
        data[write] = bestfit(code) if have == size and code <= 0xffff else 63
        write += 1
        read += have
    return write


cdef inline uint32_t drop_segment(const uint8_t *data, uint32_t write) noexcept nogil:
    while write and data[write - 1] != 47:
        write -= 1
    return write - 1 if write else 0


cdef inline uint32_t remove_dots_inplace(uint8_t *data, uint32_t length) noexcept nogil:
    """RFC 3986 section 5.2.4, but that a slash which a last dot segment leaves goes with it."""
    cdef uint32_t read = 0, write = 0
    cdef int byte = -1          # in hand; -1 for none
    while read < length:
        if byte < 0:
            byte = data[read]
            read += 1
        if byte == 46:
            if read + 1 < length and data[read] == 46 and data[read + 1] == 47:
                read += 2
                byte = -1
                continue
            if read < length and data[read] == 47:
                read += 1
                byte = -1
                continue
            if read == length or (read + 1 == length and data[read] == 46):
                break
        elif byte == 47:
            if read + 1 < length and data[read] == 46 and data[read + 1] == 47:
                read += 2
                continue
            if read + 1 == length and data[read] == 46:
                read += 1
                continue
            if read + 2 < length and data[read] == 46 and data[read + 1] == 46 and data[read + 2] == 47:
                read += 3
                write = drop_segment(data, write)
                continue
            if read + 2 == length and data[read] == 46 and data[read + 1] == 46:
                read += 2
                write = drop_segment(data, write)
                continue
        data[write] = <uint8_t> byte
        write += 1
        while read < length and data[read] != 47:
            data[write] = data[read]
            write += 1
            read += 1
        byte = -1
    return write


cdef inline uint32_t normalise_path(uint8_t *data, uint32_t length) noexcept nogil:
    return remove_dots_inplace(data, utf8_inplace(data, decode_path_inplace(data, length)))
