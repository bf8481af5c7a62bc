"""pcapng (draft-ietf-opsawg-pcapng): sections, interfaces, enhanced, simple and obsolete packets, decryption secrets."""
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, memset

from fastpath.dataplane.bpf cimport bpf_run
from fastpath.dataplane.formats.record cimport (
    SECOND, caplen_max, choose_filter, fail, fetch_ahead, fill, load16, load32, load64, plain_linktype, rarely, uint128_t,
)
from fastpath.dataplane.formats.reader cimport (
    DAMAGE_BLOCK_BODY, DAMAGE_BLOCK_LENGTH, DAMAGE_BLOCK_TRAILER, DAMAGE_BYTE_ORDER, DAMAGE_INTERFACE, DAMAGE_INTERFACES,
    DAMAGE_MEMORY, DAMAGE_MIXED, DAMAGE_NONE, DAMAGE_TIME, DAMAGE_VERSION, FORMAT_PCAPNG, UNIT_BINARY, UNIT_OVER, UNIT_TIMES,
    interface_t, rx_t,
)
from fastpath.dataplane.types cimport burst_t

cdef enum:
    BLOCK_MAX = 16777216        # libpcap's maximum for a block
    SECRETS_MAX = 16777216      # bytes of decryption secrets kept
    INTERFACES_MAX = 65536      # of a section
    BLOCK_SECTION = 0x0a0d0d0a
    BLOCK_INTERFACE = 1
    BLOCK_PACKET = 2            # obsolete
    BLOCK_SIMPLE = 3
    BLOCK_ENHANCED = 6
    BLOCK_SECRETS = 10
    BYTE_ORDER_MAGIC = 0x1a2b3c4d
    IF_TSRESOL = 9
    IF_TSOFFSET = 14


cdef inline uint64_t scaled_stamp(const interface_t *interface, uint64_t ticks) noexcept nogil:
    """Nanoseconds since 1970, held within 0 .. 2^64-1 whatever resolution and offset say."""
    cdef uint128_t wide
    cdef uint64_t ns, shift
    if interface.unit == UNIT_OVER:
        ns = ticks // interface.scale
    else:
        wide = <uint128_t>ticks * (SECOND if interface.unit == UNIT_BINARY else interface.scale) >> interface.shift
        ns = UINT64_MAX if wide > UINT64_MAX else <uint64_t>wide
    if interface.offset >= 0:
        wide = <uint128_t>interface.offset * SECOND + ns
        return UINT64_MAX if wide > UINT64_MAX else <uint64_t>wide
    shift = 0 - <uint64_t>interface.offset
    if shift > ns // SECOND:
        return 0
    return ns - shift * SECOND


cdef inline uint64_t stamp(const interface_t *interface, uint32_t high, uint32_t low) noexcept nogil:
    cdef uint64_t ticks = <uint64_t>high << 32 | low
    if rarely(interface.unit != UNIT_TIMES or interface.offset or ticks > UINT64_MAX // SECOND * 1000000 // 1000):
        return scaled_stamp(interface, ticks)
    return ticks * interface.scale


cdef inline uint8_t describe(interface_t *interface, const uint8_t *at, uint32_t length, bint swapped) noexcept nogil:
    """Reads an Interface Description Block (section 4.2) of `length` bytes; returns the damage."""
    cdef uint32_t position = 16, code, size, _
    cdef uint8_t resolution
    memset(interface, 0, sizeof(interface_t))
    interface.scale = 1000
    if length < 20:
        return DAMAGE_BLOCK_BODY
    interface.linktype = plain_linktype(load16(at + 8, swapped))
    interface.snaplen = load32(at + 12, swapped)
    while length - 4 - position >= 4:
        code = load16(at + position, swapped)
        size = load16(at + position + 2, swapped)
        position += 4
        if code == 0:
            break
        if size > length - 4 - position:
            return DAMAGE_BLOCK_BODY
        if code == IF_TSRESOL and size == 1:
            resolution = at[position]
            interface.unit = UNIT_TIMES
            interface.scale = 1
            interface.shift = 0
            if resolution & 0x80:
                interface.unit = UNIT_BINARY
                interface.shift = resolution & 0x7f
                if interface.shift > 63:
                    return DAMAGE_TIME
            elif resolution <= 9:
                for _ in range(9 - resolution):
                    interface.scale *= 10
            elif resolution <= 19:
                interface.unit = UNIT_OVER
                for _ in range(resolution - 9):
                    interface.scale *= 10
            else:
                return DAMAGE_TIME
        elif code == IF_TSOFFSET and size == 8:
            interface.offset = <int64_t>load64(at + position, swapped)
        position += (size + 3) & ~3u
    return DAMAGE_NONE


cdef inline uint32_t snaplen_read(const interface_t *interface) noexcept nogil:
    """As libpcap reads it: none, or more than the link type's longest packet, is that maximum."""
    cdef uint32_t most = caplen_max(interface.linktype)
    return most if interface.snaplen == 0 or interface.snaplen > most else interface.snaplen


cdef inline bint like_first(rx_t *rx, const interface_t *interface) noexcept nogil:
    if rx.described:
        return interface.linktype == rx.interface.linktype and snaplen_read(interface) == snaplen_read(&rx.interface)
    rx.interface = interface[0]
    rx.described = True
    return True


cdef inline bint add_interface(rx_t *rx, const uint8_t *at, uint32_t length, bint swapped) noexcept nogil:
    """False where reading must stop: damage, or a filter program is wanted first."""
    cdef interface_t interface
    cdef interface_t *grown
    cdef uint32_t room
    cdef uint8_t damage = describe(&interface, at, length, swapped)
    if damage == DAMAGE_NONE and rx.interfaces_used == INTERFACES_MAX:
        damage = DAMAGE_INTERFACES
    if damage == DAMAGE_NONE and rx.uniform and not like_first(rx, &interface):
        damage = DAMAGE_MIXED
    if damage != DAMAGE_NONE:
        fail(rx, at, damage)
        return False
    if not choose_filter(rx, &interface):
        return False
    if rx.interfaces_used == rx.interfaces_room:
        room = rx.interfaces_room * 2 if rx.interfaces_room else 8
        grown = <interface_t *>realloc(rx.interfaces, room * sizeof(interface_t))
        if grown == NULL:
            fail(rx, at, DAMAGE_MEMORY)
            return False
        rx.interfaces = grown
        rx.interfaces_room = room
    rx.interfaces[rx.interfaces_used] = interface
    rx.interfaces_used += 1
    return True


cdef inline void keep_secrets(rx_t *rx, const uint8_t *at, uint32_t length, bint swapped) noexcept nogil:
    """Keeps the content of a Decryption Secrets Block (section 4.7); what goes beyond SECRETS_MAX is not kept."""
    cdef uint32_t head[2]
    cdef uint8_t *grown
    cdef uint32_t room
    if length < 20:
        return
    head[0] = load32(at + 8, swapped)
    head[1] = load32(at + 12, swapped)
    if head[1] > length - 20 or rx.secrets_used + 8 + head[1] > SECRETS_MAX:
        return
    if rx.secrets_used + 8 + head[1] > rx.secrets_room:
        room = (rx.secrets_used + 8 + head[1]) * 2
        grown = <uint8_t *>realloc(rx.secrets, room)
        if grown == NULL:
            return
        rx.secrets = grown
        rx.secrets_room = room
    memcpy(rx.secrets + rx.secrets_used, head, 8)
    memcpy(rx.secrets + rx.secrets_used + 8, at + 16, head[1])
    rx.secrets_used += 8 + head[1]


cdef inline void open_section(rx_t *rx) noexcept nogil:
    """Reads a Section Header Block (section 4.1), which settles byte order and forgets the interfaces."""
    cdef const uint8_t *at = rx.at
    cdef uint64_t room = rx.end - at
    cdef uint32_t length
    cdef bint swapped
    if room < 28:
        rx.need = 28
        return
    if load32(at + 8, False) == BYTE_ORDER_MAGIC:
        swapped = False
    elif load32(at + 8, True) == BYTE_ORDER_MAGIC:
        swapped = True
    else:
        fail(rx, at, DAMAGE_BYTE_ORDER)
        return
    length = load32(at + 4, swapped)
    if length < 28 or length & 3 or length > BLOCK_MAX:
        fail(rx, at, DAMAGE_BLOCK_LENGTH)
    elif room < length:
        rx.need = length
    elif load32(at + length - 4, swapped) != length:
        fail(rx, at, DAMAGE_BLOCK_TRAILER)
    elif load16(at + 12, swapped) != 1 or (load16(at + 14, swapped) != 0 and load16(at + 14, swapped) != 2):
        fail(rx, at, DAMAGE_VERSION)
    elif rx.uniform and rx.format == FORMAT_PCAPNG and swapped != rx.swapped:
        fail(rx, at, DAMAGE_MIXED)
    else:
        rx.swapped = swapped
        rx.interfaces_used = 0
        rx.format = FORMAT_PCAPNG
        rx.at = at + length


cdef inline bint other_block(rx_t *rx, const uint8_t *at, uint32_t kind, uint32_t length, bint swapped) noexcept nogil:
    """A block without a packet. False where reading must stop."""
    if kind == BLOCK_INTERFACE:
        return add_interface(rx, at, length, swapped)
    if kind == BLOCK_SECRETS:
        keep_secrets(rx, at, length, swapped)
    rx.skipped += 1
    rx.budget -= 1
    return True


cdef inline uint32_t read_pcapng(rx_t *rx, burst_t *burst, uint32_t n, uint32_t limit, bint swapped) noexcept nogil:
    cdef const uint8_t *at = rx.at
    cdef const uint8_t *end = rx.end
    cdef const uint8_t *frame
    cdef const uint8_t *fetched = rx.fetched
    cdef const interface_t *interface
    cdef uint32_t kind, length, number, caplen, wirelen
    cdef uint64_t room, ts
    while n < limit and rx.budget:
        room = end - at
        if rarely(room < 12):
            rx.need = 12
            break
        kind = load32(at, swapped)
        if rarely(kind == BLOCK_SECTION):
            # it may change the byte order, for which this loop is made
            rx.at = at
            open_section(rx)
            return n
        length = load32(at + 4, swapped)
        if rarely(length < 12 or length & 3 or length > BLOCK_MAX):
            fail(rx, at, DAMAGE_BLOCK_LENGTH)
            return n
        if rarely(room < length):
            rx.need = length
            break
        if rarely(load32(at + length - 4, swapped) != length):
            fail(rx, at, DAMAGE_BLOCK_TRAILER)
            return n
        if kind == BLOCK_ENHANCED or kind == BLOCK_PACKET:
            if rarely(length < 32):
                fail(rx, at, DAMAGE_BLOCK_BODY)
                return n
            number = load32(at + 8, swapped) if kind == BLOCK_ENHANCED else load16(at + 8, swapped)
            if rarely(number >= rx.interfaces_used):
                fail(rx, at, DAMAGE_INTERFACE)
                return n
            interface = &rx.interfaces[number]
            ts = stamp(interface, load32(at + 12, swapped), load32(at + 16, swapped))
            caplen = load32(at + 20, swapped)
            wirelen = load32(at + 24, swapped)
            if rarely(caplen > length - 32):
                fail(rx, at, DAMAGE_BLOCK_BODY)
                return n
            frame = at + 28
        elif kind == BLOCK_SIMPLE:
            if rarely(rx.interfaces_used == 0 or length < 16):
                fail(rx, at, DAMAGE_INTERFACE if length >= 16 else DAMAGE_BLOCK_BODY)
                return n
            interface = rx.interfaces
            ts = 0
            caplen = wirelen = load32(at + 8, swapped)
            if interface.snaplen and caplen > interface.snaplen:
                caplen = interface.snaplen
            if rarely(caplen > length - 16):
                fail(rx, at, DAMAGE_BLOCK_BODY)
                return n
            frame = at + 12
        else:
            rx.at = at
            if not other_block(rx, at, kind, length, swapped):
                return n
            at += length
            if kind == BLOCK_SECRETS:
                rx.budget = 0           # they are for the packets behind them: the burst ends here
            continue
        at += length
        fetched = fetch_ahead(fetched, at)
        if interface.filter != NULL and not bpf_run(interface.filter, frame, wirelen, caplen):
            rx.filtered += 1
            rx.budget -= 1
            continue
        fill(&burst.meta[n], n, frame, ts, caplen, wirelen, interface.linktype)
        burst.interface[n] = <uint16_t>(interface - rx.interfaces)
        n += 1
    rx.at = at
    rx.fetched = fetched
    return n
