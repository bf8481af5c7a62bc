# isolation: the addresses that are cut off. Those by order of the operator are sorted ranges that do not overlap, each with the
# packet time at which it ends; control/isolation.py makes them, and nobody changes them while packets run. Those by rules with
# `isolate` are cuts: a bounded table, changed and read in the order of the packets, whatever the number of workers.
#
# An entry is isolated by the addresses of its IP header, with or without a flow: a fragment is, too. An ICMP error is isolated by
# the flow that it quotes as well.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.types cimport (
    NET_IPV4, NET_IPV6, NO_INDEX, PM_KEYED, PM_QUOTED, flow_key_t, packet_meta_t,
)
from fastpath.dataplane.wire.load cimport be32, be64

cdef struct isolated4_t:        # mirrored by rows.ISOLATED4
    uint32_t low, high          # host order, both included
    uint64_t until              # engine time from which on it is no more, ns

cdef struct isolated6_t:        # mirrored by rows.ISOLATED6
    uint64_t low[2]             # the upper half first
    uint64_t high[2]
    uint64_t until

cdef enum:
    CUT_PLACES = 1 << 14
    CUTS_MAX = 1 << 13          # addresses that rules may isolate in one run

cdef struct cut_t:
    uint8_t address[16]
    uint64_t until              # engine time from which on it is no more, ns; 0: it was lifted
    uint32_t net                # NET_*; 0: a place never taken, where a search ends

cdef struct cuts_t:
    cut_t *places               # CUT_PLACES
    uint32_t taken
    uint64_t refused            # for want of room

cdef struct isolation_t:
    const isolated4_t *v4
    const isolated6_t *v6
    uint32_t count4, count6
    cuts_t cuts


cdef inline cut_t *find_cut(const cuts_t *cuts, uint8_t net, const uint8_t *address) noexcept nogil:
    """The place of an address, in network order, or where it would stand."""
    cdef uint32_t length = 4 if net == NET_IPV4 else 16
    cdef uint64_t mixed = be32(address) if net == NET_IPV4 else be64(address) ^ be64(address + 8) * <uint64_t>0x9e3779b97f4a7c15U
    cdef uint32_t at = <uint32_t>((mixed * <uint64_t>0x9e3779b97f4a7c15U) >> 40) & (CUT_PLACES - 1)
    while cuts.places[at].net and not (cuts.places[at].net == net and memcmp(cuts.places[at].address, address, length) == 0):
        at = (at + 1) & (CUT_PLACES - 1)
    return &cuts.places[at]


cdef inline bint cut_off(cuts_t *cuts, uint8_t net, const uint8_t *address, uint64_t until) noexcept nogil:
    """An address is isolated until then, at least. False, and counted, where there is no room for it."""
    cdef cut_t *place = find_cut(cuts, net, address)
    if place.net == 0:
        if cuts.taken == CUTS_MAX:
            cuts.refused += 1
            return False
        cuts.taken += 1
        place.net = net
        memcpy(place.address, address, 4 if net == NET_IPV4 else 16)
    place.until = max(place.until, until)
    return True


cdef inline bint is_cut(const cuts_t *cuts, uint8_t net, const uint8_t *address, uint64_t now) noexcept nogil:
    cdef const cut_t *place = find_cut(cuts, net, address)
    return place.net != 0 and now < place.until


cdef inline bint address4_isolated(const isolation_t *isolation, uint32_t address, uint64_t now) noexcept nogil:
    cdef uint32_t low = 0, high = isolation.count4, middle
    while low < high:
        middle = (low + high) // 2
        if isolation.v4[middle].low <= address:
            low = middle + 1
        else:
            high = middle
    return low != 0 and address <= isolation.v4[low - 1].high and now < isolation.v4[low - 1].until


cdef inline bint address6_isolated(const isolation_t *isolation, uint64_t upper, uint64_t lower, uint64_t now) noexcept nogil:
    cdef uint32_t low = 0, high = isolation.count6, middle
    cdef const isolated6_t *found
    while low < high:
        middle = (low + high) // 2
        found = &isolation.v6[middle]
        if found.low[0] < upper or found.low[0] == upper and found.low[1] <= lower:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return False
    found = &isolation.v6[low - 1]
    return (upper < found.high[0] or upper == found.high[0] and lower <= found.high[1]) and now < found.until


cdef inline bint ends_isolated(const isolation_t *isolation, uint8_t net, const uint8_t *one, const uint8_t *other,
                               uint64_t now) noexcept nogil:
    """Is either of two addresses, in network order?"""
    if isolation.cuts.taken and (net == NET_IPV4 or net == NET_IPV6) and (
            is_cut(&isolation.cuts, net, one, now) or is_cut(&isolation.cuts, net, other, now)):
        return True
    if net == NET_IPV4:
        return address4_isolated(isolation, be32(one), now) or address4_isolated(isolation, be32(other), now)
    if net == NET_IPV6:
        return (address6_isolated(isolation, be64(one), be64(one + 8), now)
                or address6_isolated(isolation, be64(other), be64(other + 8), now))
    return False


cdef inline bint key_isolated(const isolation_t *isolation, const flow_key_t *key, uint64_t now) noexcept nogil:
    return ends_isolated(isolation, key.net, key.addr[0], key.addr[1], now)


cdef inline bint entry_isolated(const isolation_t *isolation, const packet_meta_t *meta, const flow_key_t *key,
                                uint64_t now) noexcept nogil:
    cdef const uint8_t *at = meta.frame + meta.l3
    if meta.flags & PM_KEYED and key_isolated(isolation, key, now):
        return True
    if meta.flags & PM_KEYED and not meta.flags & PM_QUOTED or meta.l3 == NO_INDEX:
        return False
    if meta.net == NET_IPV4:
        return <uint32_t>meta.l3 + 20 <= meta.caplen and ends_isolated(isolation, NET_IPV4, at + 12, at + 16, now)
    return <uint32_t>meta.l3 + 40 <= meta.caplen and ends_isolated(isolation, meta.net, at + 8, at + 24, now)
