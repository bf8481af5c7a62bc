# keyed: sessions of the device that were added from outside, by the key of their flow: one may stand before the flow's first
# packet, and outlive the flow. One table a bucket.
#
# Rows come and go between bursts, or as sessions end; the lookup is made once a flow, and only where there are such sessions.
# Errors: put_keyed gives 0 where memory is lacking.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.hash cimport same_key
from fastpath.dataplane.types cimport flow_key_t

cdef struct keyed_t:
    flow_key_t key
    uint64_t id                 # as whoever added it named it
    uint32_t hash
    uint32_t session            # number in the device; 0: a free row
    uint32_t flow               # number + 1 of the flow that goes by it, 0 for none
    uint32_t next               # row with the same chain, or the next free one
    uint8_t reversed            # its source is endpoint 1 of the key

cdef struct keyed_table_t:
    keyed_t *rows
    uint32_t *chains            # row numbers, from 1
    uint32_t room, used, fresh, free
    uint32_t mask               # chains - 1

cdef void close_keyed(keyed_table_t *table) noexcept nogil
cdef uint32_t put_keyed(keyed_table_t *table, const flow_key_t *key, uint32_t hash, uint64_t id, bint reversed) noexcept nogil
cdef void drop_keyed(keyed_table_t *table, uint32_t row) noexcept nogil


# Number of the row, from 1; 0 for none.
cdef inline uint32_t find_keyed(const keyed_table_t *table, uint32_t hash, const flow_key_t *key) noexcept nogil:
    cdef uint32_t row
    if table.used == 0:
        return 0
    row = table.chains[hash & table.mask]
    while row and not (table.rows[row - 1].hash == hash and same_key(&table.rows[row - 1].key, key)):
        row = table.rows[row - 1].next
    return row
