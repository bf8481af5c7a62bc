# steer: gives every entry of a burst its hash and its bucket, and says in which order entries are inspected.
#
# Symmetric RSS: the key is normalised, so both directions of a flow hash alike and reach the same bucket. Entries without a
# key touch no flow; they are dealt out by ordinal.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.types cimport burst_t

cdef struct steering_t:
    uint32_t bucket_bits        # log2 of the number of buckets
    uint16_t order[2048]        # entries, by wire packet, innermost first
    uint8_t rank[2048]          # of an entry within its wire packet: 0 is the innermost

# Hash, bucket and order for all entries of the burst.
cdef void steer_burst(steering_t *steering, burst_t *burst) noexcept nogil
