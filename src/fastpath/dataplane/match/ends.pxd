# What state across flows is kept by: the source, the destination, or the pair of a packet's addresses, as 32 bytes.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.match.header cimport bytes_at
from fastpath.dataplane.types cimport NET_IPV4, packet_meta_t

cdef enum ends:
    ENDS_SRC, ENDS_DST, ENDS_PAIR


cdef inline bint write_ends(uint8_t *key, const packet_meta_t *meta, uint32_t which) noexcept nogil:
    """Into 32 zeroed bytes; False for an entry without addresses. A pair is the same both ways."""
    cdef uint32_t length = 4 if meta.net == NET_IPV4 else 16
    cdef const uint8_t *at = bytes_at(meta, meta.l3, 20 if meta.net == NET_IPV4 else 40)
    if at == NULL:
        return False
    at += 12 if meta.net == NET_IPV4 else 8
    if which == ENDS_SRC:
        memcpy(key, at, length)
    elif which == ENDS_DST:
        memcpy(key, at + length, length)
    elif memcmp(at, at + length, length) < 0:
        memcpy(key, at, length)
        memcpy(key + 16, at + length, length)
    else:
        memcpy(key, at + length, length)
        memcpy(key + 16, at, length)
    return True


cdef inline uint64_t mix_ends(uint64_t mixed, const uint8_t *key) noexcept nogil:
    """A hash of the 32 bytes and what was mixed before."""
    cdef uint64_t word
    cdef uint32_t i
    for i in range(4):
        memcpy(&word, key + 8 * i, 8)
        mixed = (mixed ^ word) * <uint64_t> 0x9e3779b97f4a7c15U
        mixed ^= mixed >> 29
    return mixed
