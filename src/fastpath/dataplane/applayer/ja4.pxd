# JA4 of a TLS client hello (https://github.com/FoxIO-LLC/ja4, BSD-3): 36 characters, of which the last two parts are the
# beginnings of SHA-256 over the sorted cipher suites, and over the sorted extensions with the signature algorithms as sent.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.ja3 cimport is_grease
from fastpath.dataplane.libcrypto cimport sha256_of, write_hex
from fastpath.dataplane.pool cimport bytes_append, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t, pool_t

cdef enum:
    JA4_LENGTH = 36
    JA4_VALUES_MAX = 8192       # of each list; what a hostile hello brings beyond is not counted

cdef struct ja4_lists_t:        # what a client has said so far: a second hello adds to the first
    bytes_t ciphers, extensions, algorithms     # 16 bits each, in the machine's order
    uint16_t version            # the greatest that was offered
    uint8_t alpn[2]             # first and last character of the first protocol
    uint8_t has_alpn, has_name

cdef struct ja4_work_t:         # lies in the working memory of a worker
    uint16_t values[8192]
    uint8_t text[81984]         # of two lists: four digits and a comma each


cdef inline void ja4_free(pool_t *pool, ja4_lists_t *ja4) noexcept nogil:
    bytes_free(pool, ACCOUNT_APPLAYER, &ja4.ciphers)
    bytes_free(pool, ACCOUNT_APPLAYER, &ja4.extensions)
    bytes_free(pool, ACCOUNT_APPLAYER, &ja4.algorithms)


cdef inline void ja4_version(ja4_lists_t *ja4, uint16_t version) noexcept nogil:
    if not is_grease(version) and version > ja4.version:
        ja4.version = version


cdef inline void ja4_value(pool_t *pool, bytes_t *list, uint16_t value) noexcept nogil:
    if not is_grease(value) and list.length < 2 * JA4_VALUES_MAX:
        bytes_append(pool, ACCOUNT_APPLAYER, list, <const uint8_t *> &value, 2)


cdef inline void ja4_extension(pool_t *pool, ja4_lists_t *ja4, uint16_t value) noexcept nogil:
    if value == 0:
        ja4.has_name = 1
    ja4_value(pool, &ja4.extensions, value)


cdef inline bint is_alphanumeric(uint8_t c) noexcept nogil:
    return 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122


cdef inline void ja4_alpn(ja4_lists_t *ja4, const uint8_t *name, uint32_t length) noexcept nogil:
    """The first protocol that the client offers; two hexadecimal digits stand for what is no letter or figure."""
    cdef const char *digits = b"0123456789abcdef"
    if length == 0 or length == 2 and is_grease(<uint16_t> (name[0] << 8 | name[1])):
        return
    ja4.has_alpn = 1
    if is_alphanumeric(name[0]) and is_alphanumeric(name[length - 1]):
        ja4.alpn[0] = name[0]
        ja4.alpn[1] = name[length - 1]
    else:
        ja4.alpn[0] = digits[name[0] >> 4]
        ja4.alpn[1] = digits[name[length - 1] & 15]


cdef inline void sift(uint16_t *values, uint32_t root, uint32_t count) noexcept nogil:
    cdef uint32_t child
    cdef uint16_t value = values[root]
    while 2 * root + 1 < count:
        child = 2 * root + 1
        if child + 1 < count and values[child + 1] > values[child]:
            child += 1
        if value >= values[child]:
            break
        values[root] = values[child]
        root = child
    values[root] = value


cdef inline void sort16(uint16_t *values, uint32_t count) noexcept nogil:
    """In place, and never slower than n log n: a hostile hello brings many."""
    cdef uint32_t i
    cdef uint16_t first
    for i in range(count // 2, 0, -1):
        sift(values, i - 1, count)
    for i in range(count, 1, -1):
        first = values[0]
        values[0] = values[i - 1]
        values[i - 1] = first
        sift(values, 0, i - 1)


cdef inline uint32_t write_list(uint8_t *text, const uint16_t *values, uint32_t count, bint plain) noexcept nogil:
    """Four digits each, commas between them; not `plain`: without the server name and the protocol list."""
    cdef const char *digits = b"0123456789abcdef"
    cdef uint32_t i, at = 0
    cdef uint16_t value
    for i in range(count):
        value = values[i]
        if not plain and (value == 0 or value == 16):
            continue
        if at:
            text[at] = 44
            at += 1
        text[at] = digits[value >> 12]
        text[at + 1] = digits[value >> 8 & 15]
        text[at + 2] = digits[value >> 4 & 15]
        text[at + 3] = digits[value & 15]
        at += 4
    return at


cdef inline uint32_t copy_list(uint16_t *values, const bytes_t *list) noexcept nogil:
    if list.length:
        memcpy(values, list.data, list.length)
    return list.length // 2


cdef inline bint ja4_finish(const ja4_lists_t *ja4, ja4_work_t *work, uint8_t *out) noexcept nogil:
    """Writes JA4_LENGTH characters."""
    cdef uint8_t digest[32]
    cdef uint32_t count, at
    cdef const char *versions = b"s31011121300"         # two characters each from SSL 3.0 on; none known is the last
    cdef const char *version = versions + 2 * (ja4.version - 0x0300 if 0x0300 <= ja4.version <= 0x0304 else 5)
    out[0] = 116                                # t: over TCP
    out[1] = version[0]
    out[2] = version[1]
    out[3] = 100 if ja4.has_name else 105
    count = min(ja4.ciphers.length // 2, <uint32_t> 99)
    out[4] = <uint8_t> (48 + count // 10)
    out[5] = <uint8_t> (48 + count % 10)
    count = min(ja4.extensions.length // 2, <uint32_t> 99)
    out[6] = <uint8_t> (48 + count // 10)
    out[7] = <uint8_t> (48 + count % 10)
    out[8] = ja4.alpn[0] if ja4.has_alpn else 48
    out[9] = ja4.alpn[1] if ja4.has_alpn else 48
    out[10] = out[23] = 95
    count = copy_list(work.values, &ja4.ciphers)
    sort16(work.values, count)
    if not sha256_of(work.text, write_list(work.text, work.values, count, True), digest):
        return False
    write_hex(out + 11, digest, 6)
    count = copy_list(work.values, &ja4.extensions)
    sort16(work.values, count)
    at = write_list(work.text, work.values, count, False)
    work.text[at] = 95
    at += 1
    count = copy_list(work.values, &ja4.algorithms)
    at += write_list(work.text + at, work.values, count, True)
    if not sha256_of(work.text, at, digest):
        return False
    write_hex(out + 24, digest, 6)
    return True
