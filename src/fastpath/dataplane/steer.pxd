# steer: gives every entry of a burst its hash and its bucket, and says in which order entries are inspected.
#
# Symmetric RSS: the key is normalised, so both directions of a flow hash alike and reach the same bucket. Entries without a
# key touch no flow; they are dealt out by ordinal.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.types cimport burst_t

# Where the flow of an entry will be looked up: hash & mask is the number of a slot of four bytes behind `slots`.
cdef struct lookup_t:
    const uint8_t *slots
    uint32_t mask

cdef struct steering_t:
    uint32_t bucket_bits        # log2 of the number of buckets
    lookup_t lookup[128]        # by bucket; fetched as soon as the hash is known
    uint16_t order[2048]        # entries, by wire packet, innermost first
    uint8_t rank[2048]          # of an entry within its wire packet: 0 is the innermost

# Hash, bucket and order for all entries of the burst; memory is asked for their places in the index.
cdef void steer_burst(steering_t *steering, burst_t *burst) noexcept nogil
