# The Internet checksum (RFC 1071). The sum is taken over native words and is the same in either byte order, so that
# nothing is swapped; a message with a right checksum folds to 0xffff.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.wire.load cimport __builtin_bswap16, raw16, raw32, raw64


cdef inline uint64_t checksum_add(uint64_t total, const uint8_t *at, uint32_t length) noexcept nogil:
    """Adds `length` bytes to a running sum; only the last piece of a message may have an odd length."""
    cdef uint64_t low = 0, high = 0, word
    cdef uint32_t i, whole = length // 8
    for i in range(whole):      # halves of 32 bits each into sums of 64: no carry is lost, and the compiler takes several at once
        word = raw64(at + 8 * i)
        low += <uint32_t>word
        high += word >> 32
    at += 8 * whole
    length -= 8 * whole
    if length >= 4:
        low += raw32(at)
        at += 4
        length -= 4
    if length >= 2:
        low += raw16(at)
        at += 2
        length -= 2
    if length:
        low += at[0]            # the missing byte is a zero behind it
    return total + low + high


cdef inline uint16_t checksum_fold(uint64_t total) noexcept nogil:
    total = <uint64_t><uint32_t>total + (total >> 32)
    total = <uint64_t><uint32_t>total + (total >> 32)
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return <uint16_t>((total & 0xffff) + (total >> 16))


cdef inline bint checksum_wrong(uint64_t pseudo, const uint8_t *at, uint32_t length) noexcept nogil:
    return checksum_fold(checksum_add(pseudo, at, length)) != 0xffff


cdef inline uint64_t pseudo_ipv4(const uint8_t *addresses, uint8_t proto, uint32_t length) noexcept nogil:
    """The pseudo header of TCP and UDP over IPv4: source and destination stand side by side at `addresses`."""
    return <uint64_t>raw32(addresses) + raw32(addresses + 4) + __builtin_bswap16(proto) + __builtin_bswap16(<uint16_t>length)


cdef inline uint64_t pseudo_ipv6(const uint8_t *source, const uint8_t *destination, uint8_t proto,
                                 uint32_t length) noexcept nogil:
    """The pseudo header of RFC 8200 section 8.1."""
    cdef uint64_t total = checksum_add(0, source, 16)
    total = checksum_add(total, destination, 16)
    return total + __builtin_bswap16(proto) + __builtin_bswap16(<uint16_t>length) + __builtin_bswap16(<uint16_t>(length >> 16))


cdef inline uint16_t adjust_checksum(uint16_t checksum, uint64_t before, uint64_t after) noexcept nogil:
    """The checksum of a message some words of which have changed, their sums being `before` and `after` (RFC 1624)."""
    cdef uint16_t gone = <uint16_t>~checksum_fold(before)
    return <uint16_t>~checksum_fold(<uint64_t><uint16_t>~checksum + gone + checksum_fold(after))
