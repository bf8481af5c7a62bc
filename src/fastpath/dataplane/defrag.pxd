# defrag: fragments of IPv4 and IPv6 become whole packets (RFC 791, RFC 8200 section 4.5).
#
# One table for the whole of ingest. A datagram is known by its addresses (either way round), protocol, identification and
# VLANs. It holds its fragments by offset, their bytes in cells; overlap.pxd says whose bytes hold. The whole packet is made in
# an arena of the caller's, with the link header of its first fragment in front, and gives back all that the table held of it.
#
# Errors: none. At the memcap, or where there are as many datagrams as `trackers` says, those that have waited longest are
# given up and counted. A fragment beyond what one datagram, or all, may have is left out and noted.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.arena cimport arena_t
from fastpath.dataplane.hosts cimport hosts_t
from fastpath.dataplane.overlap cimport fragment_t
from fastpath.dataplane.types cimport burst_t, flow_key_t

cdef enum:
    CELL_BYTES = 508
    DATAGRAM_FRAGMENTS = 8192   # that a datagram may have: its offsets count in eights
    STRETCH_BITS = 10

cdef struct cell_t:
    uint32_t next               # number + 1; 0 ends a fragment
    uint8_t bytes[508]

cdef struct datagram_t:
    flow_key_t key              # `port` holds the identification
    uint64_t last               # engine time of its latest fragment, ns
    uint32_t chained            # the next under the same hash
    uint32_t older, newer       # by latest fragment
    uint32_t first, final       # of its fragments; numbers, 0 for none
    uint32_t fragments
    uint32_t gap                # the first byte that none of them has
    uint32_t reach              # where the furthest one ends
    uint32_t stretch[64]        # the first fragment that begins in each KiB, 0 for none: no search is long
    uint8_t policy              # enum overlap_policy
    uint8_t ends                # the last fragment has been seen
    uint8_t overlaps

cdef struct pool_t:             # elements by number, from 1 on; those given back are linked through their first free word
    uint8_t *base
    size_t length               # of the reserved address space
    uint32_t fresh, free, used, limit

cdef struct defrag_t:
    const hosts_t *hosts
    pool_t datagrams, fragments, cells
    uint32_t *heads             # by hash
    uint32_t mask
    uint32_t oldest, newest     # datagrams
    uint64_t memcap, memory     # bytes
    uint64_t timeout            # ns
    uint64_t seen[2]            # fragments, of IPv4 and IPv6
    uint64_t whole[2]           # packets made of them
    uint64_t timed_out, given_up, left_out      # datagrams, datagrams, fragments
    uint64_t refused            # of those left out: for which there was no room

cdef int open_defrag(defrag_t *defrag, const hosts_t *hosts, uint64_t memcap, uint32_t datagrams, uint32_t fragments,
                     uint64_t timeout) noexcept nogil
cdef void close_defrag(defrag_t *defrag) noexcept nogil
cdef void clear_defrag(defrag_t *defrag) noexcept nogil     # forgets every datagram; the counters stay

# Takes in the fragment that is an entry; `now` is engine time. Where it makes a packet whole, appends that as an entry, for
# decode to take up, and returns it; else NO_INDEX. The caller has seen to it that there is room for an entry.
cdef uint32_t take_fragment(defrag_t *defrag, burst_t *burst, uint32_t entry, uint64_t now, arena_t *arena) noexcept nogil
