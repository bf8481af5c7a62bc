# See keyed.pxd.
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from fastpath.dataplane.types cimport flow_key_t

cdef enum:
    FIRST_ROWS = 1024


cdef void close_keyed(keyed_table_t *table) noexcept nogil:
    free(table.rows)
    free(table.chains)
    memset(table, 0, sizeof(keyed_table_t))


cdef bint grow(keyed_table_t *table) noexcept nogil:
    """Twice the room, and a chain for each row."""
    cdef uint32_t room = table.room * 2 if table.room else <uint32_t>FIRST_ROWS
    cdef uint32_t i, at
    cdef uint32_t *chains = <uint32_t *>calloc(room, sizeof(uint32_t))
    cdef keyed_t *rows = <keyed_t *>realloc(table.rows, room * sizeof(keyed_t))
    if rows != NULL:
        table.rows = rows
    if rows == NULL or chains == NULL:
        free(chains)
        return False
    free(table.chains)
    table.chains = chains
    table.room = room
    table.mask = room - 1
    for i in range(table.fresh):        # all of them stand: one that is free would have been taken
        at = rows[i].hash & table.mask
        rows[i].next = chains[at]
        chains[at] = i + 1
    return True


cdef uint32_t put_keyed(keyed_table_t *table, const flow_key_t *key, uint32_t hash, uint64_t id, bint reversed) noexcept nogil:
    cdef uint32_t row = table.free, at
    cdef keyed_t *it
    if row == 0 and table.fresh == table.room and not grow(table):
        return 0
    if row:
        table.free = table.rows[row - 1].next
    else:
        table.fresh += 1
        row = table.fresh
    at = hash & table.mask
    it = &table.rows[row - 1]
    it.key = key[0]
    it.hash = hash
    it.id = id
    it.session = it.flow = 0
    it.reversed = reversed
    it.next = table.chains[at]
    table.chains[at] = row
    table.used += 1
    return row


cdef void drop_keyed(keyed_table_t *table, uint32_t row) noexcept nogil:
    cdef uint32_t *link = &table.chains[table.rows[row - 1].hash & table.mask]
    while link[0] != row:
        link = &table.rows[link[0] - 1].next
    link[0] = table.rows[row - 1].next
    table.rows[row - 1].session = 0
    table.rows[row - 1].next = table.free
    table.free = row
    table.used -= 1
