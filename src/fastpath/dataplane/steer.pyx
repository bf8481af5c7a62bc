# See steer.pxd.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastpath.dataplane.hash cimport hash_key
from fastpath.dataplane.threads cimport prefetch
from fastpath.dataplane.types cimport NO_INDEX, PM_KEYED, burst_t, packet_meta_t


cdef void order_entries(steering_t *steering, const burst_t *burst) noexcept nogil:
    """Entries are appended outermost first, so walking them backwards within a packet gives the innermost first."""
    cdef uint16_t[2048] before
    cdef uint16_t[256] last
    cdef uint32_t i, at = 0
    cdef uint16_t entry, rank
    for i in range(burst.packets):
        last[i] = NO_INDEX
    for i in range(burst.entries):
        before[i] = last[burst.meta[i].packet]
        last[burst.meta[i].packet] = <uint16_t>i
    for i in range(burst.packets):
        entry = last[i]
        rank = 0
        while entry != NO_INDEX:
            steering.order[at] = entry
            steering.rank[entry] = <unsigned char>rank
            at += 1
            rank += 1
            entry = before[entry]


cdef void steer_burst(steering_t *steering, burst_t *burst) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t hash
    cdef uint32_t shift = 64 - steering.bucket_bits
    cdef uint32_t mask = (1 << steering.bucket_bits) - 1
    cdef packet_meta_t *meta
    cdef const lookup_t *lookup
    for i in range(burst.entries):
        meta = &burst.meta[i]
        if meta.flags & PM_KEYED:
            hash = hash_key(&burst.key[i])
            meta.hash = <uint32_t>hash
            meta.bucket = <unsigned char>((hash >> shift) & mask) if mask else 0
            lookup = &steering.lookup[meta.bucket]
            prefetch(lookup.slots + 4 * (<uint32_t>hash & lookup.mask))
        else:
            meta.hash = 0
            meta.bucket = <unsigned char>((burst.first_ordinal + meta.packet) & mask)
    if burst.entries > burst.packets:
        order_entries(steering, burst)
    else:
        for i in range(burst.packets):
            steering.order[i] = <uint16_t>i
            steering.rank[i] = 0
