from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.program cimport inspection_t, match_t, ruleset_t
from fastpath.dataplane.types cimport burst_t

cdef enum:                      # what a threshold makes of a match
    THRESHOLD_ALERT             # let it be
    THRESHOLD_SILENT            # the action is taken, the alert is hidden
    THRESHOLD_SUPPRESS          # neither: as if the rule had not matched

cdef struct count_t:            # how often a rule has matched for one address, pair, flow, or at all
    uint8_t track[32]           # addresses, in network order, or the flow's id
    uint32_t sid, gid
    uint64_t since              # start of the period, us
    uint32_t seconds            # length of the period
    uint32_t count
    uint32_t next               # in the same chain, index + 1
    uint8_t kind                # TRACK_*
    uint8_t net                 # NET_* of the addresses

cdef struct threshold_table_t:
    count_t *counts
    uint32_t *chains            # index + 1 of the first
    uint32_t mask               # chains - 1
    uint32_t room, used
    uint32_t hand               # where the search for expired ones goes on
    uint64_t refused            # matches judged without a count: at the cap

# A table of at most `memcap` bytes; NULL where there is no memory.
cdef threshold_table_t *open_thresholds(uint64_t memcap) noexcept nogil
cdef void close_thresholds(threshold_table_t *table) noexcept nogil
# Forgets every count.
cdef void clear_thresholds(threshold_table_t *table) noexcept nogil
# What the thresholds of a rule make of its match on an entry. `flow`: its id, 0 for none; `now`: ns.
# To be called for every match with MATCH_THRESHOLD, in global order.
cdef uint8_t threshold_check(threshold_table_t *table, const ruleset_t *rules, const match_t *match, const burst_t *burst,
                             uint32_t entry, uint64_t flow, const inspection_t *inspection, uint64_t now) noexcept nogil
