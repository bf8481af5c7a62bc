"""Sets that rules change while packets run: dataset:set and dataset:unset. User guide, "Datasets".

The entries that were loaded lie in the compiled rules. The table holds what has changed since: entries that were added, and
loaded ones that were taken away. Sets span flows, so whoever asks or changes one does so in the order of the packets. What a
set may take is its memcap; at the cap nothing is added, and that is counted.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from fastpath.dataplane.match.program cimport (
    DATASET_ABOVE, DATASET_BELOW, DATASET_HEAD, DATASET_IP, DATASET_IPV4, DATASET_MD5, DATASET_MEMBER, DATASET_SET,
    DATASET_SHA256,
    DATASET_UNSET, NEGATED, dataset_entry_t, dataset_op_t, datasets_t, ruleset_t,
)
from fastpath.dataplane.match.records cimport dataset_rank
from fastpath.dataplane.pool cimport close_pool, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER

cdef enum:
    FIRST_CHAINS = 1024
    CHAINS_MAX = 1 << 24


cdef datasets_t *open_datasets(uint64_t memcap) noexcept nogil:
    cdef datasets_t *table = <datasets_t *> calloc(1, sizeof(datasets_t))
    if table == NULL:
        return NULL
    table.chains = <dataset_entry_t **> calloc(FIRST_CHAINS, sizeof(void *))
    table.mask = FIRST_CHAINS - 1
    table.pool.cap[ACCOUNT_APPLAYER] = memcap
    if table.chains == NULL:
        close_datasets(table)
        return NULL
    return table


cdef void close_datasets(datasets_t *table) noexcept nogil:
    if table != NULL:
        if table.chains != NULL:
            clear_datasets(table)
        close_pool(&table.pool)
        free(table.chains)
        free(table.memory)
        free(table)


cdef bint name_datasets(datasets_t *table, uint32_t names) noexcept nogil:
    cdef uint64_t *grown
    if names <= table.names:
        return True
    grown = <uint64_t *> realloc(table.memory, names * sizeof(uint64_t))
    if grown == NULL:
        return False
    memset(grown + table.names, 0, (names - table.names) * sizeof(uint64_t))
    table.memory = grown
    table.names = names
    return True


cdef void drop(datasets_t *table, dataset_entry_t **link) noexcept nogil:
    """Takes the entry that a link leads to out of its chain."""
    cdef dataset_entry_t *entry = link[0]
    cdef uint64_t size = DATASET_HEAD + entry.length
    link[0] = entry.next
    table.used -= 1
    table.memory[entry.name] -= size
    pool_give(&table.pool, ACCOUNT_APPLAYER, entry, size)


cdef void clear_datasets(datasets_t *table) noexcept nogil:
    cdef uint64_t i
    for i in range(table.mask + 1):
        while table.chains[i] != NULL:
            drop(table, &table.chains[i])


cdef uint64_t hash_of(uint32_t name, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint64_t mixed = <uint64_t> 0x9e3779b97f4a7c15U * (<uint64_t> name + 1) ^ length, word
    cdef uint32_t i = 0
    while i < length:
        word = 0
        memcpy(&word, data + i, min(<uint32_t> 8, length - i))
        mixed = (mixed ^ word) * <uint64_t> 0xff51afd7ed558ccdU
        mixed ^= mixed >> 32
        i += 8
    return mixed


cdef dataset_entry_t **link_to(datasets_t *table, uint32_t name, const uint8_t *data, uint32_t length,
                               uint64_t hash) noexcept nogil:
    """The link that leads to the entry, or the one that ends its chain: NULL."""
    cdef dataset_entry_t **link = &table.chains[hash & table.mask]
    while link[0] != NULL:
        if (link[0].hash == hash and link[0].name == name and link[0].length == length
                and memcmp(link[0].data, data, length) == 0):
            break
        link = &link[0].next
    return link


cdef void widen(datasets_t *table) noexcept nogil:
    """As many chains again, where there is memory: entries are found either way."""
    cdef uint64_t old = table.mask + 1, i
    cdef dataset_entry_t **chains
    cdef dataset_entry_t *entry
    if table.used < 2 * old or old >= CHAINS_MAX:
        return
    chains = <dataset_entry_t **> calloc(2 * old, sizeof(void *))
    if chains == NULL:
        return
    table.mask = 2 * old - 1
    for i in range(old):
        while table.chains[i] != NULL:
            entry = table.chains[i]
            table.chains[i] = entry.next
            entry.next = chains[entry.hash & table.mask]
            chains[entry.hash & table.mask] = entry
    free(table.chains)
    table.chains = chains


cdef bint note(datasets_t *table, const dataset_op_t *op, const uint8_t *data, uint32_t length, bint member) noexcept nogil:
    """Enters a change. False, and counted, at a cap."""
    cdef uint64_t size = DATASET_HEAD + length, hash = hash_of(op.name, data, length)
    cdef dataset_entry_t *entry
    if op.name >= table.names or table.memory[op.name] + size > <uint64_t> op.memcap << 10:
        table.refused += 1
        return False
    entry = <dataset_entry_t *> pool_take(&table.pool, ACCOUNT_APPLAYER, size)
    if entry == NULL:
        table.refused += 1
        return False
    entry.hash = hash
    entry.name = op.name
    entry.length = length
    entry.member = member
    memcpy(entry.data, data, length)
    entry.next = table.chains[hash & table.mask]
    table.chains[hash & table.mask] = entry
    table.used += 1
    table.memory[op.name] += size
    widen(table)
    return True


cdef bint normal(const dataset_op_t *op, const uint8_t **data, uint32_t *length, uint8_t *room) noexcept nogil:
    """Makes the bytes what an entry of the set would be; False for what can be none. An IPv4 address in a set of addresses of
    both kinds is found there, but neither added nor taken away; and of a longer address a set of IPv4 takes the front: as
    Suricata 7.0.10 does."""
    if op.kind == DATASET_MD5:
        return length[0] == 16
    if op.kind == DATASET_SHA256:
        return length[0] == 32
    if op.kind == DATASET_IPV4:
        if op.what == DATASET_SET and length[0] > 4:
            length[0] = 4
        return length[0] == 4
    if op.kind == DATASET_IP:
        if length[0] == 4 and op.what != DATASET_SET and op.what != DATASET_UNSET:
            memset(room, 0, 16)
            memcpy(room, data[0], 4)
            data[0] = room
            length[0] = 16
        return length[0] == 16
    return length[0] > 0


cdef bint dataset_asked(const ruleset_t *rules, datasets_t *table, const dataset_op_t *op, const uint8_t *data,
                        uint32_t length) noexcept nogil:
    cdef uint8_t room[16]
    cdef dataset_entry_t **link = NULL
    cdef int64_t loaded
    cdef uint32_t rank = 0
    cdef bint member, changed = False
    if not normal(op, &data, &length, room):
        return op.what == DATASET_MEMBER and op.flags & NEGATED
    loaded = dataset_rank(rules, op, data, length)
    member = loaded >= 0
    if table != NULL:
        link = link_to(table, op.name, data, length, hash_of(op.name, data, length))
        if link[0] != NULL:
            changed = True
            member = link[0].member != 0
    if op.what == DATASET_MEMBER:
        return member != (op.flags & NEGATED != 0)
    if op.what == DATASET_SET or op.what == DATASET_UNSET:
        if member == (op.what == DATASET_SET) or table == NULL:
            return False
        if changed:
            if (loaded >= 0) == (op.what == DATASET_SET):
                drop(table, link)       # as it was loaded
            else:
                link[0].member = op.what == DATASET_SET
            return True
        return note(table, op, data, length, op.what == DATASET_SET)
    if not member:
        return False
    if not changed:
        rank = <uint32_t> loaded
    if op.what == DATASET_BELOW:
        return rank < op.rank
    return rank > op.rank if op.what == DATASET_ABOVE else rank == op.rank
