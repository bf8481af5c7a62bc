# JA3 and JA3S: the string of a hello, numbers joined by "-" in fields joined by ",", and its MD5
# (https://github.com/salesforce/ja3). GREASE values (RFC 8701) are left out.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.libcrypto cimport md5_of, write_hex
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t, pool_t


cdef inline bint is_grease(uint16_t value) noexcept nogil:
    return value & 0x0f0f == 0x0a0a and value >> 8 == value & 0xff


cdef inline bint ja3_field(pool_t *pool, bytes_t *text) noexcept nogil:
    return bytes_append(pool, ACCOUNT_APPLAYER, text, b",", 1)


cdef inline bint ja3_number(pool_t *pool, bytes_t *text, uint32_t value) noexcept nogil:
    """One more number of the field at work, which ja3_field began."""
    cdef uint8_t digits[6]
    cdef uint32_t at = 6
    while True:
        at -= 1
        digits[at] = <uint8_t> (48 + value % 10)
        value //= 10
        if value == 0:
            break
    if text.length and text.data[text.length - 1] != 44:
        at -= 1
        digits[at] = 45
    return bytes_append(pool, ACCOUNT_APPLAYER, text, digits + at, 6 - at)


cdef inline bint ja3_hash(const bytes_t *text, uint8_t *hash) noexcept nogil:
    """32 hexadecimal digits."""
    cdef uint8_t digest[16]
    if not md5_of(text.data, text.length, digest):
        return False
    write_hex(hash, digest, 16)
    return True
