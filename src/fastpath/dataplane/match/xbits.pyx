"""Bits that hosts and pairs of hosts have for a time: xbits and hostbits. User guide, "Xbits Keyword".

They span flows, so whoever touches them does so in the order of the packets. The table is bounded: at the cap a bit whose time is
over makes room, and where there is none a bit is not set, and counted.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from fastpath.dataplane.match.ends cimport ENDS_DST, ENDS_PAIR, ENDS_SRC, mix_ends, write_ends
from fastpath.dataplane.match.program cimport (
    FLOWBITS_ISSET, FLOWBITS_SET, FLOWBITS_TOGGLE, XBITS_DST, XBITS_PAIR, xbit_t, xbits_op_t, xbits_t,
)
from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6, packet_meta_t

cdef enum:
    LOOKED_AT = 64              # bits looked at for one whose time is over


cdef xbits_t *open_xbits(uint64_t memcap) noexcept nogil:
    cdef xbits_t *table = <xbits_t *> calloc(1, sizeof(xbits_t))
    cdef uint64_t room = memcap // (sizeof(xbit_t) + 2 * sizeof(uint32_t)) + 1
    cdef uint32_t chains = 1
    if table == NULL:
        return NULL
    if room > 0x40000000:
        room = 0x40000000
    while chains < room:
        chains *= 2
    table.room = <uint32_t> room
    table.mask = chains - 1
    # zero pages are not memory until a bit is written
    table.bits = <xbit_t *> calloc(room, sizeof(xbit_t))
    table.chains = <uint32_t *> calloc(chains, sizeof(uint32_t))
    if table.bits == NULL or table.chains == NULL:
        close_xbits(table)
        return NULL
    return table


cdef void close_xbits(xbits_t *table) noexcept nogil:
    if table != NULL:
        free(table.bits)
        free(table.chains)
        free(table)


cdef void clear_xbits(xbits_t *table) noexcept nogil:
    if table.used:
        memset(table.chains, 0, (<uint64_t> table.mask + 1) * sizeof(uint32_t))
    table.used = table.hand = table.spare = 0


cdef bint key_of(xbit_t *key, const xbits_op_t *op, const packet_meta_t *meta) noexcept nogil:
    """Fills in whose bit it is; False for an entry without addresses. A pair is the same both ways."""
    memset(key, 0, sizeof(xbit_t))
    if meta.net != NET_IPV4 and meta.net != NET_IPV6:
        return False
    key.name = op.name
    key.net = meta.net
    key.pair = op.track == XBITS_PAIR
    return write_ends(key.address, meta, ENDS_PAIR if key.pair else ENDS_DST if op.track == XBITS_DST else ENDS_SRC)


cdef inline uint32_t chain_of(const xbits_t *table, const xbit_t *key) noexcept nogil:
    return <uint32_t> mix_ends(<uint64_t> key.name << 16 ^ <uint64_t> key.pair << 8 ^ key.net, key.address) & table.mask


cdef uint32_t *link_to(xbits_t *table, const xbit_t *key) noexcept nogil:
    """The link that leads to the bit, or the one that ends its chain: 0."""
    cdef uint32_t *link = &table.chains[chain_of(table, key)]
    cdef const xbit_t *bit
    while link[0]:
        bit = &table.bits[link[0] - 1]
        if (bit.name == key.name and bit.pair == key.pair and bit.net == key.net
                and memcmp(bit.address, key.address, sizeof(bit.address)) == 0):
            break
        link = &table.bits[link[0] - 1].next
    return link


cdef void drop(xbits_t *table, uint32_t *link) noexcept nogil:
    """Takes the bit that a link leads to out of its chain and keeps its room for another."""
    cdef uint32_t index = link[0]
    link[0] = table.bits[index - 1].next
    memset(&table.bits[index - 1], 0, sizeof(xbit_t))
    table.bits[index - 1].next = table.spare
    table.spare = index


cdef uint32_t take_room(xbits_t *table, uint64_t seconds) noexcept nogil:
    """The index + 1 of a free bit; 0 at the cap, once no bit that was looked at has had its time."""
    cdef uint32_t _i, index
    cdef xbit_t key
    if table.spare == 0 and table.used == table.room:
        for _i in range(LOOKED_AT):
            index = table.hand
            table.hand = index + 1 if index + 1 < table.room else 0
            if table.bits[index].expires < seconds:
                key = table.bits[index]
                drop(table, link_to(table, &key))
                break
    if table.spare:
        index = table.spare
        table.spare = table.bits[index - 1].next
        return index
    if table.used < table.room:
        table.used += 1
        return table.used
    return 0


cdef bint xbits_hold(xbits_t *table, const xbits_op_t *op, const packet_meta_t *meta, uint64_t now) noexcept nogil:
    """A bit holds up to and with the second in which its time is over."""
    cdef xbit_t key
    cdef uint32_t *link
    cdef bint found = False
    if table == NULL or not key_of(&key, op, meta):
        return False
    link = link_to(table, &key)
    if link[0]:
        found = table.bits[link[0] - 1].expires >= now // 1000000000
        if not found:
            drop(table, link)
    return found == (op.what == FLOWBITS_ISSET)


cdef void xbits_run(xbits_t *table, const xbits_op_t *op, const packet_meta_t *meta, uint64_t now) noexcept nogil:
    cdef xbit_t key
    cdef uint32_t *link
    cdef uint32_t index
    cdef uint64_t seconds = now // 1000000000
    if table == NULL or not key_of(&key, op, meta):
        return
    link = link_to(table, &key)
    if link[0]:     # a bit that is there keeps its time, even one that is over until somebody asks for it
        if op.what != FLOWBITS_SET:
            drop(table, link)
    elif op.what == FLOWBITS_SET or op.what == FLOWBITS_TOGGLE:
        index = take_room(table, seconds)
        if index == 0:
            table.refused += 1
            return
        link = &table.chains[chain_of(table, &key)]
        key.expires = seconds + op.expire
        key.next = link[0]
        table.bits[index - 1] = key
        link[0] = index
