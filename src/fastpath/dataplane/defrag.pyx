"""See defrag.pxd."""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

from fastpath.dataplane.arena cimport take_bytes
from fastpath.dataplane.events cimport (
    EVENT_IPV4_FRAG_IGNORED, EVENT_IPV4_FRAG_OVERLAP, EVENT_IPV4_FRAG_PKT_TOO_LARGE, EVENT_IPV6_FRAG_IGNORED,
    EVENT_IPV6_FRAG_INVALID_LENGTH, EVENT_IPV6_FRAG_OVERLAP, EVENT_IPV6_FRAG_PKT_TOO_LARGE,
)
from fastpath.dataplane.hash cimport hash_key, same_key
from fastpath.dataplane.hosts cimport os_of
from fastpath.dataplane.overlap cimport WEIGH_ON, WEIGH_REFUSE, end_of, policy_of, weigh
from fastpath.dataplane.types cimport NET_IPV4, NO_INDEX, PM_REASSEMBLED, note_event, packet_meta_t
from fastpath.dataplane.wire.checksum cimport adjust_checksum
from fastpath.dataplane.wire.ipv4 cimport (
    IPV4_CHECKSUM_AT, IPV4_DESTINATION_AT, IPV4_FRAGMENT_AT, IPV4_ID_AT, IPV4_LEN, IPV4_MORE_FRAGMENTS, IPV4_OFFSET,
    IPV4_SOURCE_AT, IPV4_TOTAL_AT, IPV4_VERSION_AT,
)
from fastpath.dataplane.wire.ipv6 cimport (
    FRAGMENT_IDENT_AT, FRAGMENT_LEN, FRAGMENT_MORE, FRAGMENT_OFFSET, FRAGMENT_OFFSET_AT, IPV6_DESTINATION_AT, IPV6_LEN,
    IPV6_NEXT_AT, IPV6_PAYLOAD_LEN_AT, IPV6_SOURCE_AT, NEXT_FRAGMENT, extension_size,
)
from fastpath.dataplane.wire.load cimport be16, put_be16, raw16

cdef enum:
    PACKET_MAX = 65535          # bytes that the length field of either header can announce
    CELLS_MAX = 1 << 30


cdef struct parsed_t:           # what the headers of a fragment say
    fragment_t fragment         # its trim is what it has lost so far
    uint32_t data               # offset of its data from frame
    uint32_t next_at            # IPv6: offset of the field that announces the fragment header
    uint8_t next                # and of what this header announces
    uint32_t end                # captured bytes of the frame that are the packet's


# ---- pools ----

cdef void *map_pages(size_t length) noexcept nogil:
    """Address space that becomes memory as it is touched; NULL where there is none."""
    cdef void *pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    return NULL if pages == MAP_FAILED else pages


cdef int open_pool(pool_t *pool, uint32_t limit, size_t size) noexcept nogil:
    pool.limit = limit
    pool.length = <size_t>limit * size
    pool.base = <uint8_t *>map_pages(pool.length)
    return 0 if pool.base != NULL else -1


cdef void close_pool(pool_t *pool) noexcept nogil:
    if pool.base != NULL:
        munmap(pool.base, pool.length)


cdef void empty_pool(pool_t *pool) noexcept nogil:
    pool.fresh = pool.free = pool.used = 0


cdef inline datagram_t *datagram_at(const defrag_t *defrag, uint32_t number) noexcept nogil:
    return <datagram_t *>defrag.datagrams.base + number - 1


cdef inline fragment_t *fragment_at(const defrag_t *defrag, uint32_t number) noexcept nogil:
    return <fragment_t *>defrag.fragments.base + number - 1


cdef inline cell_t *cell_at(const defrag_t *defrag, uint32_t number) noexcept nogil:
    return <cell_t *>defrag.cells.base + number - 1


cdef int open_defrag(defrag_t *defrag, const hosts_t *hosts, uint64_t memcap, uint32_t datagrams, uint32_t fragments,
                     uint64_t timeout) noexcept nogil:
    """0, or -1 where address space is lacking."""
    cdef uint64_t cells = memcap // sizeof(cell_t)
    memset(defrag, 0, sizeof(defrag_t))
    defrag.hosts = hosts
    defrag.memcap = memcap
    defrag.timeout = timeout
    defrag.mask = 1023
    while defrag.mask < datagrams and defrag.mask < 0xfffff:
        defrag.mask = defrag.mask * 2 + 1
    defrag.heads = <uint32_t *>map_pages((<size_t>defrag.mask + 1) * sizeof(uint32_t))
    if defrag.heads == NULL or open_pool(&defrag.datagrams, datagrams, sizeof(datagram_t)) \
            or open_pool(&defrag.fragments, fragments, sizeof(fragment_t)) \
            or open_pool(&defrag.cells, <uint32_t>min(cells, CELLS_MAX) + 1, sizeof(cell_t)):
        close_defrag(defrag)
        return -1
    return 0


cdef void close_defrag(defrag_t *defrag) noexcept nogil:
    if defrag.heads != NULL:
        munmap(defrag.heads, (<size_t>defrag.mask + 1) * sizeof(uint32_t))
    close_pool(&defrag.datagrams)
    close_pool(&defrag.fragments)
    close_pool(&defrag.cells)
    memset(defrag, 0, sizeof(defrag_t))


cdef void clear_defrag(defrag_t *defrag) noexcept nogil:
    if defrag.datagrams.fresh:
        memset(defrag.heads, 0, (<size_t>defrag.mask + 1) * sizeof(uint32_t))
    empty_pool(&defrag.datagrams)
    empty_pool(&defrag.fragments)
    empty_pool(&defrag.cells)
    defrag.oldest = defrag.newest = 0
    defrag.memory = 0


cdef void give_cells(defrag_t *defrag, fragment_t *fragment) noexcept nogil:
    cdef uint32_t at = fragment.cells, last = 0, n = 0
    while at:
        n += 1
        last = at
        at = cell_at(defrag, at).next
    if last:
        cell_at(defrag, last).next = defrag.cells.free
        defrag.cells.free = fragment.cells
        defrag.cells.used -= n
        defrag.memory -= n * sizeof(cell_t)


cdef void give_fragment(defrag_t *defrag, uint32_t number) noexcept nogil:
    cdef fragment_t *fragment = fragment_at(defrag, number)
    give_cells(defrag, fragment)
    fragment.after = defrag.fragments.free
    defrag.fragments.free = number
    defrag.fragments.used -= 1
    defrag.memory -= sizeof(fragment_t)


# ---- datagrams ----

cdef void unlink_age(defrag_t *defrag, datagram_t *it) noexcept nogil:
    if it.older:
        datagram_at(defrag, it.older).newer = it.newer
    else:
        defrag.oldest = it.newer
    if it.newer:
        datagram_at(defrag, it.newer).older = it.older
    else:
        defrag.newest = it.older


cdef void link_age(defrag_t *defrag, uint32_t number) noexcept nogil:
    cdef datagram_t *it = datagram_at(defrag, number)
    it.newer = 0
    it.older = defrag.newest
    if defrag.newest:
        datagram_at(defrag, defrag.newest).newer = number
    else:
        defrag.oldest = number
    defrag.newest = number


cdef void end_datagram(defrag_t *defrag, uint32_t number) noexcept nogil:
    cdef datagram_t *it = datagram_at(defrag, number)
    cdef uint32_t *link = &defrag.heads[hash_key(&it.key) & defrag.mask]
    cdef uint32_t fragment = it.first, following
    while link[0] != number:
        link = &datagram_at(defrag, link[0]).chained
    link[0] = it.chained
    unlink_age(defrag, it)
    while fragment:
        following = fragment_at(defrag, fragment).after
        give_fragment(defrag, fragment)
        fragment = following
    it.chained = defrag.datagrams.free
    defrag.datagrams.free = number
    defrag.datagrams.used -= 1
    defrag.memory -= sizeof(datagram_t)


cdef void end_late(defrag_t *defrag, uint64_t now) noexcept nogil:
    while defrag.oldest and datagram_at(defrag, defrag.oldest).last + defrag.timeout < now:
        end_datagram(defrag, defrag.oldest)
        defrag.timed_out += 1


cdef bint make_room(defrag_t *defrag, uint64_t bytes, uint32_t but) noexcept nogil:
    """Gives up the datagrams that have waited longest, all but one, until so much more fits under the memcap."""
    cdef uint32_t oldest
    while defrag.memory + bytes > defrag.memcap:
        oldest = defrag.oldest
        if oldest == but and oldest:
            oldest = datagram_at(defrag, oldest).newer
        if oldest == 0:
            return False
        end_datagram(defrag, oldest)
        defrag.given_up += 1
    return True


cdef uint32_t find_datagram(defrag_t *defrag, const flow_key_t *key, uint64_t hash) noexcept nogil:
    cdef uint32_t number = defrag.heads[hash & defrag.mask]
    while number and not same_key(&datagram_at(defrag, number).key, key):
        number = datagram_at(defrag, number).chained
    return number


cdef uint32_t begin_datagram(defrag_t *defrag, const flow_key_t *key, uint64_t hash, uint8_t policy) noexcept nogil:
    cdef uint32_t number
    cdef datagram_t *it
    if defrag.datagrams.used == defrag.datagrams.limit:
        end_datagram(defrag, defrag.oldest)
        defrag.given_up += 1
    if not make_room(defrag, sizeof(datagram_t), 0):
        return 0
    if defrag.datagrams.free:
        number = defrag.datagrams.free
        defrag.datagrams.free = datagram_at(defrag, number).chained
    else:
        defrag.datagrams.fresh += 1
        number = defrag.datagrams.fresh
    defrag.datagrams.used += 1
    defrag.memory += sizeof(datagram_t)
    it = datagram_at(defrag, number)
    memset(it, 0, sizeof(datagram_t))
    it.key = key[0]
    it.policy = policy
    it.chained = defrag.heads[hash & defrag.mask]
    defrag.heads[hash & defrag.mask] = number
    link_age(defrag, number)
    return number


# ---- one fragment ----

cdef void key_of(const packet_meta_t *meta, const flow_key_t *around, const parsed_t *parsed, flow_key_t *key) noexcept nogil:
    """Whose fragment it is. The lower address first: either direction is the same datagram, as in Suricata."""
    cdef const uint8_t *l3 = meta.frame + meta.l3
    cdef uint32_t size = 4 if meta.net == NET_IPV4 else 16
    cdef const uint8_t *source = l3 + (IPV4_SOURCE_AT if meta.net == NET_IPV4 else IPV6_SOURCE_AT)
    cdef const uint8_t *destination = source + size
    cdef const uint8_t *ident = l3 + IPV4_ID_AT if meta.net == NET_IPV4 \
        else meta.frame + parsed.data - FRAGMENT_LEN + FRAGMENT_IDENT_AT
    cdef bint reversed = memcmp(source, destination, size) > 0
    memset(key, 0, sizeof(flow_key_t))
    memcpy(key.addr[1 if reversed else 0], source, size)
    memcpy(key.addr[0 if reversed else 1], destination, size)
    key.port[0] = be16(ident)
    if meta.net != NET_IPV4:
        key.port[1] = be16(ident + 2)
    memcpy(key.vlan, around.vlan, sizeof(key.vlan))
    key.proto = meta.proto
    key.net = meta.net


cdef void parse_ipv4(const packet_meta_t *meta, parsed_t *parsed) noexcept nogil:
    cdef const uint8_t *at = meta.frame + meta.l3
    cdef uint32_t total = be16(at + IPV4_TOTAL_AT), word = be16(at + IPV4_FRAGMENT_AT)
    parsed.data = meta.l3 + (at[IPV4_VERSION_AT] & 0x0f) * 4
    parsed.end = meta.l3 + total if total else meta.caplen
    parsed.fragment.offset = (word & IPV4_OFFSET) * 8
    parsed.fragment.more = word & IPV4_MORE_FRAGMENTS != 0
    parsed.fragment.length = parsed.end - parsed.data
    parsed.fragment.head = <uint16_t>parsed.data


cdef void parse_ipv6(const packet_meta_t *meta, parsed_t *parsed) noexcept nogil:
    """decode has walked these headers: the fragment header is there."""
    cdef const uint8_t *frame = meta.frame
    cdef uint32_t at = meta.l3 + IPV6_LEN, word, announced = be16(frame + meta.l3 + IPV6_PAYLOAD_LEN_AT)
    cdef uint8_t following = frame[meta.l3 + IPV6_NEXT_AT]
    parsed.next_at = meta.l3 + IPV6_NEXT_AT
    parsed.end = at + announced if announced else meta.caplen
    while following != NEXT_FRAGMENT:
        parsed.next_at = at
        at += extension_size(following, frame[at + 1])
        following = frame[parsed.next_at]
    word = be16(frame + at + FRAGMENT_OFFSET_AT)
    parsed.next = frame[at]
    parsed.data = at + FRAGMENT_LEN
    parsed.fragment.offset = word & FRAGMENT_OFFSET
    parsed.fragment.more = word & FRAGMENT_MORE
    parsed.fragment.length = parsed.end - parsed.data
    parsed.fragment.head = <uint16_t>at


cdef bint too_large(const packet_meta_t *meta, const fragment_t *fragment) noexcept nogil:
    """It ends where no packet can: the ping of death."""
    return end_of(fragment) + (IPV4_LEN if meta.net == NET_IPV4 else 0) > PACKET_MAX


cdef inline uint32_t stretch_of(const fragment_t *fragment) noexcept nogil:
    return (fragment.offset >> STRETCH_BITS) & 63


cdef uint32_t last_before(const defrag_t *defrag, const datagram_t *it, uint32_t offset) noexcept nogil:
    """The last fragment that begins before this offset, 0 for none."""
    cdef int32_t stretch = offset >> STRETCH_BITS if offset < PACKET_MAX else 63
    cdef uint32_t at = it.stretch[stretch], following
    if at == 0 or fragment_at(defrag, at).offset >= offset:
        at = 0
        while at == 0 and stretch:
            stretch -= 1
            at = it.stretch[stretch]
    following = fragment_at(defrag, at).after if at else 0
    while following and fragment_at(defrag, following).offset < offset:
        at = following
        following = fragment_at(defrag, at).after
    return at


cdef void unlink_fragment(defrag_t *defrag, datagram_t *it, uint32_t number) noexcept nogil:
    cdef fragment_t *fragment = fragment_at(defrag, number)
    cdef uint32_t stretch = stretch_of(fragment)
    if it.stretch[stretch] == number:
        it.stretch[stretch] = fragment.after \
            if fragment.after and stretch_of(fragment_at(defrag, fragment.after)) == stretch else 0
    if fragment.before:
        fragment_at(defrag, fragment.before).after = fragment.after
    else:
        it.first = fragment.after
    if fragment.after:
        fragment_at(defrag, fragment.after).before = fragment.before
    else:
        it.final = fragment.before
    it.fragments -= 1
    give_fragment(defrag, number)


cdef void link_fragment(defrag_t *defrag, datagram_t *it, uint32_t number) noexcept nogil:
    """Behind those that begin before it or together with it."""
    cdef fragment_t *new = fragment_at(defrag, number)
    cdef uint32_t stretch = stretch_of(new), at
    if it.final and fragment_at(defrag, it.final).offset <= new.offset:
        new.before = it.final
    else:
        new.before = last_before(defrag, it, new.offset + 1)
    new.after = fragment_at(defrag, new.before).after if new.before else it.first
    if new.before:
        fragment_at(defrag, new.before).after = number
    else:
        it.first = number
    if new.after:
        fragment_at(defrag, new.after).before = number
    else:
        it.final = number
    if it.stretch[stretch] == 0 or it.stretch[stretch] == new.after:
        it.stretch[stretch] = number
    it.fragments += 1
    if end_of(new) > it.reach:
        it.reach = end_of(new)
    at = number
    while at and fragment_at(defrag, at).offset <= it.gap:
        if end_of(fragment_at(defrag, at)) > it.gap:
            it.gap = end_of(fragment_at(defrag, at))
        elif at == number:
            break               # it has nothing of the gap, so that what follows has not either
        at = fragment_at(defrag, at).after


cdef uint32_t first_to_weigh(const defrag_t *defrag, const datagram_t *it, const fragment_t *new) noexcept nogil:
    """The last of those that begin before it; the first of all where none begins at or behind it, or none before it."""
    cdef uint32_t at = 0
    if fragment_at(defrag, it.final).offset >= new.offset:
        at = last_before(defrag, it, new.offset)
    return at if at else it.first


cdef uint32_t weigh_against(defrag_t *defrag, datagram_t *it, fragment_t *new, bint *overlaps) noexcept nogil:
    """enum weighing of a new fragment against all that are held; those that lose all their bytes go."""
    cdef uint32_t at, following, outcome = WEIGH_ON
    cdef fragment_t *held
    cdef bint gone, behind
    if it.first == 0 or new.offset >= it.reach:
        return WEIGH_ON         # behind all of them: none decides
    at = first_to_weigh(defrag, it, new)
    while at and outcome == WEIGH_ON:
        held = fragment_at(defrag, at)
        following = held.after
        behind = held.offset >= end_of(new)
        overlaps[0] |= not behind and new.offset < end_of(held)
        outcome = weigh(it.policy, new, held, fragment_at(defrag, following) if following else NULL, &gone)
        if gone:
            unlink_fragment(defrag, it, at)
        if behind:
            break               # as are all that follow
        at = following
    return outcome


cdef void put_bytes(const defrag_t *defrag, uint32_t cell, uint32_t at, const uint8_t *bytes, uint32_t length) noexcept nogil:
    """Into a chain of cells, from the at-th byte on."""
    cdef cell_t *it = cell_at(defrag, cell)
    cdef uint32_t n
    while at >= CELL_BYTES:
        it = cell_at(defrag, it.next)
        at -= CELL_BYTES
    while length:
        n = CELL_BYTES - at if length > CELL_BYTES - at else length
        memcpy(it.bytes + at, bytes, n)
        bytes += n
        length -= n
        at = 0
        if length:
            it = cell_at(defrag, it.next)


cdef void get_bytes(const defrag_t *defrag, uint32_t cell, uint32_t at, uint8_t *bytes, uint32_t length) noexcept nogil:
    """Out of a chain of cells, from the at-th byte on."""
    cdef const cell_t *it = cell_at(defrag, cell)
    cdef uint32_t n
    while at >= CELL_BYTES:
        it = cell_at(defrag, it.next)
        at -= CELL_BYTES
    while length:
        n = CELL_BYTES - at if length > CELL_BYTES - at else length
        memcpy(bytes, it.bytes + at, n)
        bytes += n
        length -= n
        at = 0
        if length:
            it = cell_at(defrag, it.next)


cdef uint32_t take_cells(defrag_t *defrag, uint32_t n) noexcept nogil:
    """A chain of n cells; the caller has made room for them."""
    cdef uint32_t first = 0, number, _
    for _ in range(n):
        number = defrag.cells.free
        if number:
            defrag.cells.free = cell_at(defrag, number).next
        else:
            defrag.cells.fresh += 1
            number = defrag.cells.fresh
        cell_at(defrag, number).next = first
        first = number
    defrag.cells.used += n
    defrag.memory += n * sizeof(cell_t)
    return first


cdef bint hold_fragment(defrag_t *defrag, uint32_t number, const packet_meta_t *meta, const parsed_t *parsed) noexcept nogil:
    """Keeps a copy of what holds of a fragment, with the headers where it is the first. False: no room."""
    cdef datagram_t *it = datagram_at(defrag, number)
    cdef fragment_t new = parsed.fragment
    cdef uint32_t cells, at
    new.offset += new.trim
    new.length -= new.trim
    new.trim = 0
    if new.offset:
        new.head = 0
    cells = (new.head + new.length + CELL_BYTES - 1) // CELL_BYTES
    if it.fragments == DATAGRAM_FRAGMENTS or defrag.fragments.used == defrag.fragments.limit \
            or not make_room(defrag, sizeof(fragment_t) + cells * sizeof(cell_t), number):
        return False
    at = defrag.fragments.free
    if at:
        defrag.fragments.free = fragment_at(defrag, at).after
    else:
        defrag.fragments.fresh += 1
        at = defrag.fragments.fresh
    defrag.fragments.used += 1
    defrag.memory += sizeof(fragment_t)
    new.cells = take_cells(defrag, cells)
    put_bytes(defrag, new.cells, 0, meta.frame, new.head)
    put_bytes(defrag, new.cells, new.head, meta.frame + parsed.data + parsed.fragment.trim, new.length)
    if new.head and meta.net != NET_IPV4:
        put_bytes(defrag, new.cells, parsed.next_at, &parsed.next, 1)      # as if there had been no fragment header
    fragment_at(defrag, at)[0] = new
    link_fragment(defrag, it, at)
    return True


# ---- the whole packet ----

cdef uint32_t size_of_whole(const defrag_t *defrag, const datagram_t *it) noexcept nogil:
    """What it may take with its headers, bytes; 0 while something is missing."""
    cdef const fragment_t *fragment
    cdef uint32_t at = it.first, end = 0, head = 0
    if not it.ends or it.gap < it.reach:
        return 0
    while at:
        fragment = fragment_at(defrag, at)
        if fragment.offset > end:
            return 0
        if end_of(fragment) > end:
            end = end_of(fragment)
        if fragment.head > head:
            head = fragment.head
        at = fragment.after
    return head + end


cdef uint32_t copy_fragments(const defrag_t *defrag, const datagram_t *it, uint8_t *frame, packet_meta_t *meta) noexcept nogil:
    """By offset, the later over the earlier, up to the first that says it is the last. Returns where the data ends, with 0 for
    a packet without headers; `payload` of the entry is where it begins."""
    cdef const fragment_t *fragment
    cdef uint32_t at = it.first, end = 0, last = 0
    cdef bint more = True
    meta.payload = 0
    while at:
        fragment = fragment_at(defrag, at)
        if not more and fragment.offset > last:
            break
        if fragment.trim < fragment.length:
            if fragment.head:
                get_bytes(defrag, fragment.cells, 0, frame, fragment.head + fragment.length)
                meta.payload = fragment.head
                meta.l3 = fragment.l3
                meta.linktype = fragment.linktype
                end = fragment.length
            else:
                get_bytes(defrag, fragment.cells, fragment.trim, frame + meta.payload + fragment.offset + fragment.trim,
                          fragment.length - fragment.trim)
                if end_of(fragment) > end:
                    end = end_of(fragment)
            more = fragment.more
            last = fragment.offset
        at = fragment.after
    return end if meta.payload else 0


cdef bint finish_header(const packet_meta_t *meta, uint8_t *l3, uint32_t length) noexcept nogil:
    """Writes into the IP header what no longer is a fragment's. False: there is no such packet."""
    cdef uint64_t before
    cdef uint16_t checksum
    if meta.net == NET_IPV4:
        if length > PACKET_MAX:
            return False
        before = <uint64_t>raw16(l3 + IPV4_TOTAL_AT) + raw16(l3 + IPV4_FRAGMENT_AT)
        put_be16(l3 + IPV4_TOTAL_AT, <uint16_t>length)
        put_be16(l3 + IPV4_FRAGMENT_AT, 0)
        checksum = adjust_checksum(raw16(l3 + IPV4_CHECKSUM_AT), before, raw16(l3 + IPV4_TOTAL_AT))
        memcpy(l3 + IPV4_CHECKSUM_AT, &checksum, sizeof(checksum))
        return True
    if length - IPV6_LEN > PACKET_MAX:
        return False
    put_be16(l3 + IPV6_PAYLOAD_LEN_AT, <uint16_t>(length - IPV6_LEN))
    return True


cdef uint32_t make_whole(defrag_t *defrag, uint32_t number, burst_t *burst, uint32_t entry, arena_t *arena) noexcept nogil:
    """The entry of a datagram that is whole by now, NO_INDEX while it is not."""
    cdef datagram_t *it = datagram_at(defrag, number)
    cdef packet_meta_t *meta = &burst.meta[burst.entries]
    cdef uint32_t size = size_of_whole(defrag, it), end = 0
    cdef uint8_t *frame
    if size == 0:
        return NO_INDEX
    meta[0] = burst.meta[entry]
    frame = take_bytes(arena, size)
    if frame != NULL:
        if it.overlaps:
            memset(frame, 0, size)      # what every fragment has lost
        end = copy_fragments(defrag, it, frame, meta)
    end_datagram(defrag, number)
    if end == 0 or not finish_header(meta, frame + meta.l3, meta.payload - meta.l3 + end):
        defrag.given_up += 1
        return NO_INDEX
    defrag.whole[meta.net != NET_IPV4] += 1
    meta.frame = frame
    meta.caplen = meta.wirelen = meta.payload + end
    meta.flags = PM_REASSEMBLED
    meta.parent = <uint16_t>entry
    meta.events = NO_INDEX
    burst.key[burst.entries] = burst.key[entry]
    burst.entries += 1
    return burst.entries - 1


cdef uint32_t take_fragment(defrag_t *defrag, burst_t *burst, uint32_t entry, uint64_t now, arena_t *arena) noexcept nogil:
    cdef packet_meta_t *meta = &burst.meta[entry]
    cdef bint v4 = meta.net == NET_IPV4, overlaps = False
    cdef const uint8_t *destination = meta.frame + meta.l3 + (IPV4_DESTINATION_AT if v4 else IPV6_DESTINATION_AT)
    cdef flow_key_t key
    cdef parsed_t parsed
    cdef uint64_t hash
    cdef uint32_t number, whole = NO_INDEX
    cdef datagram_t *it
    memset(&parsed, 0, sizeof(parsed))
    if v4:
        parse_ipv4(meta, &parsed)
    else:
        parse_ipv6(meta, &parsed)
    parsed.fragment.l3 = meta.l3
    parsed.fragment.linktype = meta.linktype
    defrag.seen[not v4] += 1
    if parsed.end > meta.caplen:        # cut by the capture
        defrag.left_out += 1
        note_event(burst, entry, EVENT_IPV4_FRAG_IGNORED if v4 else EVENT_IPV6_FRAG_IGNORED)
        return NO_INDEX
    if not v4 and parsed.fragment.more and parsed.fragment.length % 8:
        note_event(burst, entry, EVENT_IPV6_FRAG_INVALID_LENGTH)
    if too_large(meta, &parsed.fragment):
        note_event(burst, entry, EVENT_IPV4_FRAG_PKT_TOO_LARGE if v4 else EVENT_IPV6_FRAG_PKT_TOO_LARGE)
        return NO_INDEX
    end_late(defrag, now)
    key_of(meta, &burst.key[entry], &parsed, &key)
    hash = hash_key(&key)
    number = find_datagram(defrag, &key, hash)
    if number == 0:
        number = begin_datagram(defrag, &key, hash, policy_of(os_of(defrag.hosts, meta.net, destination)))
        if number == 0:
            defrag.left_out += 1
            defrag.refused += 1
            return NO_INDEX
    else:
        unlink_age(defrag, datagram_at(defrag, number))
        link_age(defrag, number)
    it = datagram_at(defrag, number)
    it.last = now
    if weigh_against(defrag, it, &parsed.fragment, &overlaps) != WEIGH_REFUSE and parsed.fragment.trim < parsed.fragment.length:
        it.overlaps |= overlaps
        if hold_fragment(defrag, number, meta, &parsed):
            it.ends |= not parsed.fragment.more
            whole = make_whole(defrag, number, burst, entry, arena)
        else:
            defrag.left_out += 1
            defrag.refused += 1
            note_event(burst, entry, EVENT_IPV4_FRAG_IGNORED if v4 else EVENT_IPV6_FRAG_IGNORED)
    if overlaps:
        note_event(burst, entry, EVENT_IPV4_FRAG_OVERLAP if v4 else EVENT_IPV6_FRAG_OVERLAP)
    return whole
