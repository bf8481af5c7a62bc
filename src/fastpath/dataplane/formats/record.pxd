"""What every capture format shares: loads, the entry that a record becomes, damage, filters."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.formats.reader cimport RX_DAMAGED, RX_NEED, interface_t, rx_t
from fastpath.dataplane.types cimport NO_INDEX, PM_CUT, packet_meta_t
from fastpath.dataplane.wire.load cimport put64

cdef extern from *:
    """
    #ifndef FASTPATH_RECORD
    #define FASTPATH_RECORD
    typedef unsigned __int128 uint128_t;
    #define rarely(x) __builtin_expect(!!(x), 0)
    #endif
    """
    ctypedef unsigned long long uint128_t
    bint rarely(bint) noexcept nogil
    uint16_t __builtin_bswap16(uint16_t) noexcept nogil
    uint32_t __builtin_bswap32(uint32_t) noexcept nogil
    uint64_t __builtin_bswap64(uint64_t) noexcept nogil
    void __builtin_prefetch(const void *) noexcept nogil

cdef enum:
    CAPLEN_MAX = 262144     # libpcap's maximum for most link types
    LINKTYPE_RAW = 101
    SECOND = 1000000000     # ns
    LINE = 64
    AHEAD = 4096            # bytes fetched ahead of the record that is read
    BLOCK = 1024            # and how many at a time
    FAR = 1 << 20           # more than is ever fetched ahead


cdef inline uint16_t load16(const uint8_t *at, bint swapped) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return __builtin_bswap16(value) if swapped else value


cdef inline uint32_t load32(const uint8_t *at, bint swapped) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return __builtin_bswap32(value) if swapped else value


cdef inline uint64_t load64(const uint8_t *at, bint swapped) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return __builtin_bswap64(value) if swapped else value


cdef inline void fill(packet_meta_t *meta, uint32_t n, const uint8_t *frame, uint64_t ts, uint32_t caplen, uint32_t wirelen,
                      uint16_t linktype) noexcept nogil:
    """An entry as rx leaves it. A record that claims fewer bytes on the wire than it holds had at least those it holds."""
    meta.frame = frame
    meta.ts = ts
    meta.caplen = caplen
    meta.wirelen = wirelen if wirelen > caplen else caplen
    meta.flags = PM_CUT if caplen < wirelen else 0
    # packet and parent are the entry itself; events, linktype
    put64(&meta.packet, n * 0x10001 | <uint64_t>NO_INDEX << 32 | <uint64_t>linktype << 48)
    meta.depth = 0
    meta.tunnel = 0


cdef inline void fail(rx_t *rx, const uint8_t *at, uint8_t damage) noexcept nogil:
    rx.at = at
    rx.status = RX_DAMAGED
    rx.damage = damage
    rx.damage_offset = rx.end_offset - (rx.end - at)


cdef inline uint16_t plain_linktype(uint16_t linktype) noexcept nogil:
    """DLT_RAW has three numbers: 101 in files, 12 or 14 by operating system."""
    return LINKTYPE_RAW if linktype == 12 or linktype == 14 else linktype


cdef inline uint32_t caplen_max(uint16_t linktype) noexcept nogil:
    """libpcap's: D-Bus and USB messages are longer than any packet of a network."""
    if linktype == 231 or linktype == 189 or linktype == 220 or linktype == 249 or linktype == 266:
        return 134217728
    if linktype == 279:
        return 8388608
    return CAPLEN_MAX


cdef inline bint choose_filter(rx_t *rx, interface_t *interface) noexcept nogil:
    """Finds the program for the interface's link type; without one the source stops and asks for it."""
    cdef uint32_t i
    interface.filter = NULL
    if not rx.filtering:
        return True
    for i in range(rx.filters_used):
        if rx.filters[i].linktype == interface.linktype:
            interface.filter = rx.filters[i].program
            return True
    rx.status = RX_NEED
    rx.wants = interface.linktype
    return False


cdef inline const uint8_t *fetch_ahead(const uint8_t *fetched, const uint8_t *at) noexcept nogil:
    """Fetches the lines up to AHEAD bytes behind `at`, given how far that was done before: where the next record header
    stands is known only from this one, so that without it every long record would cost a wait for memory. By blocks: how
    many lines a record has, no branch foretells."""
    cdef uint32_t line
    if rarely(<size_t>(fetched - at) > FAR):        # a record longer than that, or another chunk
        fetched = at
    while rarely(fetched < at + AHEAD):
        for line in range(BLOCK // LINE):
            __builtin_prefetch(fetched + line * LINE)
        fetched += BLOCK
    return fetched
