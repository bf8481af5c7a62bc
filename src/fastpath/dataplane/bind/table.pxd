# Tables of what belongs together: a fixed number of places, a key of four words in front of each, open addressing. What finds
# no room is counted, and is not there. The hash is seeded, so that nobody can choose keys that collide; what is found does not
# hang on it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

cdef struct bind_key_t:         # the head of every entry
    uint8_t address[16]         # in network order; of IPv4 the first four bytes
    uint64_t id
    uint32_t kind               # of what it is the key; 0: the place is free

cdef struct table_t:
    char *entries
    uint32_t size               # of an entry, bytes
    uint32_t mask               # places - 1
    uint32_t used
    uint64_t seed
    uint64_t refused            # entries for which there was no room


cdef inline int open_bind_table(table_t *table, uint32_t size, uint32_t places, uint64_t seed) noexcept nogil:
    """places: a power of two. Not 0: no memory."""
    memset(table, 0, sizeof(table_t))
    table.entries = <char *>calloc(places, size)
    table.size = size
    table.mask = places - 1
    table.seed = seed
    return table.entries == NULL


cdef inline void close_bind_table(table_t *table) noexcept nogil:
    free(table.entries)
    table.entries = NULL


cdef inline uint64_t mix_words(uint64_t a, uint64_t b) noexcept nogil:
    a = (a ^ b) * 0x9e3779b97f4a7c15ULL
    return a ^ a >> 29


cdef inline void *find_bound(table_t *table, const bind_key_t *key, bint make) noexcept nogil:
    """The entry of a key; with `make` a new one, zero but for its key, where there is none. NULL: there is none, or no room."""
    cdef uint64_t words[2]
    cdef uint64_t hashed
    cdef uint32_t at
    cdef bind_key_t *found
    memcpy(words, key.address, 16)
    hashed = mix_words(mix_words(mix_words(words[0] ^ table.seed, words[1]), key.id), key.kind)
    at = <uint32_t>(hashed >> 32) & table.mask
    while True:
        found = <bind_key_t *>(table.entries + <uint64_t>at * table.size)
        if found.kind == 0:
            break
        if found.kind == key.kind and found.id == key.id and memcmp(found.address, key.address, 16) == 0:
            return found
        at = (at + 1) & table.mask
    if not make:
        return NULL
    if table.used >= table.mask - table.mask // 4:
        table.refused += 1
        return NULL
    table.used += 1
    found[0] = key[0]
    return found


# ---- rows: what was bound, and what does not fit ----

cdef enum binding_kind:         # binding_row_t.kind, as rows.BINDINGS names them
    BINDING_TUNNEL              # a tunnel endpoint belongs to a subscriber
    BINDING_FOREIGN             # a user's address that does not belong to its tunnel
    BINDING_QUEUE_PAIR          # a queue pair in another segment than its first
    BINDING_ADDRESS             # an address with another MAC
    BINDING_NEIGHBOUR           # an LLDP neighbour that is another
    BINDING_DHCP                # a DHCP fingerprint that is another

cdef enum:
    BINDING_NAME = 64
    BINDING_ROWS = 1 << 16      # between two looks of the control plane

cdef struct binding_row_t:      # mirrored by rows.BINDING
    uint64_t ordinal, ts
    uint64_t id                 # tunnel endpoint, queue pair; the MAC that is seen
    uint64_t expected           # the MAC, the segment that was first
    uint8_t address[16]         # of the endpoint, of the queue pair's host, of the hardware
    uint8_t user[16]            # the address that the subscriber was given, or that does not belong
    uint8_t prefix[16]          # its IPv6 prefix
    uint32_t slice              # SST << 24 | SD
    uint32_t device             # TAC of the IMEI, 0 for unknown
    uint16_t subscriber         # the last four digits of the IMSI, 0xffff for unknown
    uint8_t kind                # enum binding_kind
    uint8_t net, user_net       # NET_*; user_net 0: no address was told
    uint8_t has_prefix
    uint8_t by                  # enum bound_by
    uint8_t name_length
    char name[64]               # APN or DNN; system name

cdef struct binding_rows_t:
    binding_row_t *rows
    uint32_t used
    uint64_t lost
    uint64_t ordinal, ts        # of the packet at work


cdef inline binding_row_t *add_binding(binding_rows_t *rows, uint8_t kind) noexcept nogil:
    """One more row, zeroed; NULL (and counted) where there are too many."""
    cdef binding_row_t *row
    if rows.used == BINDING_ROWS:
        rows.lost += 1
        return NULL
    row = &rows.rows[rows.used]
    rows.used += 1
    memset(row, 0, sizeof(binding_row_t))
    row.ordinal = rows.ordinal
    row.ts = rows.ts
    row.kind = kind
    row.subscriber = 0xffff
    return row
