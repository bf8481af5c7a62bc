# Loads of network-order fields, and of the little-endian ones that some protocols have. The caller has checked the length; no
# load
# needs alignment.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #ifndef rarely
    #define rarely(x) __builtin_expect(!!(x), 0)
    #endif
    """
    bint rarely(bint) noexcept nogil
    uint16_t __builtin_bswap16(uint16_t value) noexcept nogil
    uint32_t __builtin_bswap32(uint32_t value) noexcept nogil
    uint64_t __builtin_bswap64(uint64_t value) noexcept nogil
    void prefetch "__builtin_prefetch" (const void *address) noexcept nogil


cdef inline uint16_t raw16(const uint8_t *at) noexcept nogil:
    """Two bytes as the host sees them: for comparing and storing, not for reckoning."""
    cdef uint16_t value
    memcpy(&value, at, 2)
    return value


cdef inline uint32_t raw32(const uint8_t *at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value


cdef inline uint64_t raw64(const uint8_t *at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return value


cdef inline uint16_t be16(const uint8_t *at) noexcept nogil:
    return <uint16_t>((at[0] << 8) | at[1])


cdef inline uint32_t be24(const uint8_t *at) noexcept nogil:
    return (<uint32_t>at[0] << 16) | (<uint32_t>at[1] << 8) | at[2]


cdef inline uint32_t be32(const uint8_t *at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline uint64_t be64(const uint8_t *at) noexcept nogil:
    return (<uint64_t>be32(at) << 32) | be32(at + 4)


cdef inline uint16_t le16(const uint8_t *at) noexcept nogil:
    return <uint16_t>((at[1] << 8) | at[0])


cdef inline uint32_t le32(const uint8_t *at) noexcept nogil:
    return (<uint32_t>at[3] << 24) | (<uint32_t>at[2] << 16) | (<uint32_t>at[1] << 8) | at[0]


cdef inline uint64_t le64(const uint8_t *at) noexcept nogil:
    return (<uint64_t>le32(at + 4) << 32) | le32(at)


cdef inline void put_be16(uint8_t *at, uint16_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


# One store of several fields that lie side by side, as the machine orders them (little-endian).
cdef inline void put32(void *at, uint32_t value) noexcept nogil:
    memcpy(at, &value, 4)


cdef inline void put64(void *at, uint64_t value) noexcept nogil:
    memcpy(at, &value, 8)


# Turned left by up to half the width. The machine has one instruction for it.
cdef inline uint32_t rotate32(uint32_t value, uint32_t by) noexcept nogil:
    return value << by | value >> (0 - by & 31)


cdef inline uint64_t rotate64(uint64_t value, uint32_t by) noexcept nogil:
    return value << by | value >> (0 - by & 63)
