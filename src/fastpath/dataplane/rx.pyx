"""rx: capture bytes become bursts. Packets are borrowed, never copied.

Formats: classic pcap (draft-ietf-opsawg-pcap: microseconds, nanoseconds, Kuznetzov's modified records, either byte order)
and pcapng (draft-ietf-opsawg-pcapng). There is one loop a format; which one runs is decided once a burst.
"""
import os
from operator import index as integer
from stat import S_ISREG

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.errno cimport EFAULT, errno
from libc.stdint cimport INT32_MAX, UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset
from posix.mman cimport MADV_DONTNEED, MADV_SEQUENTIAL, MADV_WILLNEED, MAP_FAILED, MAP_PRIVATE, PROT_READ, madvise, mmap, munmap

from fastpath.dataplane.bpf cimport BPF_PROGRAM_MAX, bpf_insn_t, bpf_run, bpf_valid
from fastpath.dataplane.types cimport BURST_MAX, NO_INDEX, PM_CUT, burst_t, packet_meta_t

cdef extern from *:
    """
    #ifdef __linux__
    #ifndef MADV_POPULATE_READ
    #define MADV_POPULATE_READ 22   /* Linux 5.14; older kernels answer EINVAL */
    #endif
    #else
    #define MADV_POPULATE_READ -1
    #endif
    typedef unsigned __int128 uint128_t;
    #define rarely(x) __builtin_expect(!!(x), 0)
    """
    const int MADV_POPULATE_READ
    ctypedef unsigned long long uint128_t
    bint rarely(bint) noexcept nogil
    uint16_t __builtin_bswap16(uint16_t) noexcept nogil
    uint32_t __builtin_bswap32(uint32_t) noexcept nogil
    uint64_t __builtin_bswap64(uint64_t) noexcept nogil

#: What is wrong with a damaged capture, by code.
DAMAGES = {
    DAMAGE_NONE: "none",
    DAMAGE_MAGIC: "neither pcap nor pcapng",
    DAMAGE_VERSION: "a version of the format that is not supported",
    DAMAGE_HEADER_CUT: "ends inside the file header",
    DAMAGE_RECORD_CUT: "ends inside a packet record",
    DAMAGE_BLOCK_CUT: "ends inside a block",
    DAMAGE_CAPLEN: "a captured length above the maximum",
    DAMAGE_BLOCK_LENGTH: "a block length that is too small, too large or no multiple of 4",
    DAMAGE_BLOCK_TRAILER: "the two lengths of a block differ",
    DAMAGE_BLOCK_BODY: "a block whose content does not fit into it",
    DAMAGE_BYTE_ORDER: "a section without a byte-order magic",
    DAMAGE_INTERFACE: "a packet of an interface that is not described",
    DAMAGE_INTERFACES: "too many interfaces",
    DAMAGE_TIME: "a time resolution out of range",
    DAMAGE_COMPRESSION: "the compressed stream is damaged or cut",
    DAMAGE_READ: "the file shrank or cannot be read",
    DAMAGE_BATCH: "the arrays of the batch were changed while it was read",
    DAMAGE_MEMORY: "out of memory",
}

cdef enum:
    CAPLEN_MAX = 262144             # libpcap's maximum for most link types
    BLOCK_MAX = 16777216            # libpcap's maximum for a pcapng block
    SECRETS_MAX = 16777216          # bytes of decryption secrets kept
    INTERFACES_MAX = 65536          # of a section
    FILTERS_MAX = 256               # link types of one source
    BUDGET = 65536                  # blocks and rejected packets before a burst returns, so that Ctrl-C is heard
    WINDOW = 8388608                # bytes of a mapped file made present at a time
    PAGE = 4096
    LINKTYPE_RAW = 101

    MAGIC_US = 0xa1b2c3d4
    MAGIC_NS = 0xa1b23c4d
    MAGIC_MODIFIED = 0xa1b2cd34
    BLOCK_SECTION = 0x0a0d0d0a
    BLOCK_INTERFACE = 1
    BLOCK_PACKET = 2                # obsolete
    BLOCK_SIMPLE = 3
    BLOCK_ENHANCED = 6
    BLOCK_SECRETS = 10
    BYTE_ORDER_MAGIC = 0x1a2b3c4d
    IF_TSRESOL = 9
    IF_TSOFFSET = 14

cdef const uint64_t SECOND = 1000000000


# ---- loads ----

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


# ---- what all formats share ----

cdef inline void fill(packet_meta_t *meta, uint32_t n, const uint8_t *frame, uint64_t ts, uint32_t caplen, uint32_t wirelen,
                      uint16_t linktype) noexcept nogil:
    """An entry as rx leaves it. A record that claims fewer bytes on the wire than it holds had at least those it holds."""
    meta.frame = frame
    meta.ts = ts
    meta.caplen = caplen
    meta.wirelen = wirelen if wirelen > caplen else caplen
    meta.flags = PM_CUT if caplen < wirelen else 0
    meta.packet = <uint16_t>n
    meta.parent = <uint16_t>n
    meta.events = NO_INDEX
    meta.linktype = linktype
    meta.depth = 0
    meta.tunnel = 0


cdef void fail(rx_t *rx, const uint8_t *at, uint8_t damage) noexcept nogil:
    rx.at = at
    rx.status = RX_DAMAGED
    rx.damage = damage
    rx.damage_offset = rx.end_offset - (rx.end - at)


cdef uint16_t plain_linktype(uint16_t linktype) noexcept nogil:
    """DLT_RAW has three numbers: 101 in files, 12 or 14 by operating system."""
    return LINKTYPE_RAW if linktype == 12 or linktype == 14 else linktype


cdef uint32_t caplen_max(uint16_t linktype) noexcept nogil:
    """libpcap's: D-Bus and USB messages are longer than any packet of a network."""
    if linktype == 231 or linktype == 189 or linktype == 220 or linktype == 249 or linktype == 266:
        return 134217728
    if linktype == 279:
        return 8388608
    return CAPLEN_MAX


cdef bint choose_filter(rx_t *rx, interface_t *interface) noexcept nogil:
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


# ---- classic pcap ----

cdef inline uint32_t read_pcap(rx_t *rx, burst_t *burst, uint32_t n, uint32_t limit, bint swapped,
                               bint filtering) noexcept nogil:
    cdef const uint8_t *at = rx.at
    cdef const uint8_t *end = rx.end
    cdef const uint8_t *frame
    cdef uint32_t header = rx.record_header, caplen_at = rx.caplen_at, wirelen_at = rx.wirelen_at
    cdef uint32_t snaplen = rx.interface.snaplen, caplen, held, wirelen
    cdef uint64_t scale = rx.interface.scale, room, ts
    cdef uint16_t linktype = rx.interface.linktype
    while n < limit:
        room = end - at
        if rarely(room < header):
            rx.need = header
            break
        caplen = held = load32(at + caplen_at, swapped)
        wirelen = load32(at + wirelen_at, swapped)
        if rarely(caplen > snaplen or caplen > room - header):
            if rx.lengths_unsure and caplen > wirelen:
                caplen, wirelen = wirelen, caplen
            if caplen > caplen_max(linktype):
                fail(rx, at, DAMAGE_CAPLEN)
                return n
            if caplen > room - header:
                rx.need = header + caplen
                break
            held = min(caplen, snaplen)
        elif rarely(caplen > wirelen) and rx.lengths_unsure:
            held = caplen = wirelen
            wirelen = load32(at + caplen_at, swapped)
        frame = at + header
        at = frame + caplen
        if filtering and not bpf_run(rx.interface.filter, frame, wirelen, held):
            rx.filtered += 1
            rx.budget -= 1
            if rx.budget == 0:
                break
            continue
        ts = load32(frame - header, swapped) * SECOND + load32(frame - header + 4, swapped) * scale
        fill(&burst.meta[n], n, frame, ts, held, wirelen, linktype)
        n += 1
    rx.at = at
    return n


cdef void open_pcap(rx_t *rx, bint swapped, uint32_t magic) noexcept nogil:
    """Reads the file header (24 bytes, present) and settles how records look."""
    cdef uint16_t major = load16(rx.at + 4, swapped), minor = load16(rx.at + 6, swapped)
    # 2.0 to 2.2 and DG/UX's 543.0 wrote the lengths the other way round, 2.3 either way
    cdef bint reversed = (major == 2 and minor < 3) or major == 543
    if not (major == 2 and minor <= 4) and not (major == 543 and minor == 0):
        fail(rx, rx.at, DAMAGE_VERSION)
        return
    rx.interface.linktype = plain_linktype(load32(rx.at + 20, swapped) & 0xffff)
    rx.interface.snaplen = load32(rx.at + 16, swapped)
    if rx.interface.snaplen == 0 or rx.interface.snaplen > INT32_MAX:
        rx.interface.snaplen = caplen_max(rx.interface.linktype)
    rx.interface.scale = 1 if magic == MAGIC_NS else 1000
    if not choose_filter(rx, &rx.interface):
        return
    rx.record_header = 24 if magic == MAGIC_MODIFIED else 16
    rx.caplen_at = 12 if reversed else 8
    rx.wirelen_at = 8 if reversed else 12
    rx.lengths_unsure = major == 2 and minor == 3
    rx.swapped = swapped
    rx.format = FORMAT_PCAP
    rx.at += 24


# ---- pcapng ----

cdef uint64_t scaled_stamp(const interface_t *interface, uint64_t ticks) noexcept nogil:
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


cdef uint8_t describe(interface_t *interface, const uint8_t *at, uint32_t length, bint swapped) noexcept nogil:
    """Reads an Interface Description Block (section 4.2) of `length` bytes; returns the damage."""
    cdef uint32_t position = 16, code, size, i
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
                for i in range(9 - resolution):
                    interface.scale *= 10
            elif resolution <= 19:
                interface.unit = UNIT_OVER
                for i in range(resolution - 9):
                    interface.scale *= 10
            else:
                return DAMAGE_TIME
        elif code == IF_TSOFFSET and size == 8:
            interface.offset = <int64_t>load64(at + position, swapped)
        position += (size + 3) & ~3u
    return DAMAGE_NONE


cdef bint add_interface(rx_t *rx, const uint8_t *at, uint32_t length, bint swapped) noexcept nogil:
    """False where reading must stop: damage, or a filter program is wanted first."""
    cdef interface_t interface
    cdef interface_t *grown
    cdef uint32_t room
    cdef uint8_t damage = describe(&interface, at, length, swapped)
    if damage == DAMAGE_NONE and rx.interfaces_used == INTERFACES_MAX:
        damage = DAMAGE_INTERFACES
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


cdef void keep_secrets(rx_t *rx, const uint8_t *at, uint32_t length, bint swapped) noexcept nogil:
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


cdef void open_section(rx_t *rx) noexcept nogil:
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
    else:
        rx.swapped = swapped
        rx.interfaces_used = 0
        rx.format = FORMAT_PCAPNG
        rx.at = at + length


cdef bint other_block(rx_t *rx, const uint8_t *at, uint32_t kind, uint32_t length, bint swapped) noexcept nogil:
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
            continue
        at += length
        if interface.filter != NULL and not bpf_run(interface.filter, frame, wirelen, caplen):
            rx.filtered += 1
            rx.budget -= 1
            continue
        fill(&burst.meta[n], n, frame, ts, caplen, wirelen, interface.linktype)
        n += 1
    rx.at = at
    return n


# ---- a batch from Python ----

cdef inline uint64_t element(const uint8_t *array, uint64_t i, bint wide) noexcept nogil:
    return load64(array + 8 * i, False) if wide else load32(array + 4 * i, False)


cdef inline uint32_t read_batch(rx_t *rx, burst_t *burst, uint32_t n, uint32_t limit, bint offsets_wide,
                                bint lengths_wide) noexcept nogil:
    """The bounds were checked when the batch was made; they are checked again because its arrays stay Python's."""
    cdef uint64_t i = rx.next, count = rx.count, size = rx.buffer_size, now = rx.now, offset, caplen, wirelen
    cdef const uint8_t *buffer = rx.buffer
    cdef const uint8_t *offsets = rx.offsets
    cdef const uint8_t *lengths = rx.lengths
    cdef const uint8_t *wirelens = rx.wirelens
    cdef const uint8_t *stamps = rx.stamps
    cdef uint16_t linktype = rx.interface.linktype
    cdef const bpf_insn_t *filter = rx.interface.filter
    while n < limit and i < count:
        offset = element(offsets, i, offsets_wide)
        caplen = wirelen = element(lengths, i, lengths_wide)
        if rarely(caplen > CAPLEN_MAX or caplen > size or offset > size - caplen):
            rx.next = i
            rx.status = RX_DAMAGED
            rx.damage = DAMAGE_BATCH
            rx.damage_offset = i
            return n
        if wirelens != NULL:
            wirelen = load32(wirelens + 4 * i, False)
        if filter != NULL and not bpf_run(filter, buffer + offset, <uint32_t>wirelen, <uint32_t>caplen):
            rx.filtered += 1
            i += 1
            rx.budget -= 1
            if rx.budget == 0:
                break
            continue
        fill(&burst.meta[n], n, buffer + offset, load64(stamps + 8 * i, False) if stamps != NULL else now, <uint32_t>caplen,
             <uint32_t>wirelen, linktype)
        n += 1
        i += 1
    rx.next = i
    if i == count:
        rx.status = RX_END
    return n


# ---- segments ----

cdef void finish(rx_t *rx) noexcept nogil:
    """No more bytes will come: either all is read, or something was cut."""
    if rx.broken:
        fail(rx, rx.at, rx.broken)
    elif rx.at == rx.end and rx.format != FORMAT_UNKNOWN:
        rx.status = RX_END
    elif rx.format == FORMAT_PCAP:
        fail(rx, rx.at, DAMAGE_RECORD_CUT)
    elif rx.format == FORMAT_PCAPNG:
        fail(rx, rx.at, DAMAGE_BLOCK_CUT)
    else:
        fail(rx, rx.at, DAMAGE_HEADER_CUT)


cdef void open_window(rx_t *rx) noexcept nogil:
    """Makes the next window of a mapped file present in one call instead of a fault every few pages, and gives back those
    behind, so that a capture of any size keeps a small resident set. Pages given back are still valid to read."""
    cdef const uint8_t *start = rx.end
    cdef const uint8_t *end = rx.map_end if <size_t>(rx.map_end - start) <= WINDOW else start + WINDOW
    cdef const uint8_t *behind
    if rx.populate and madvise(<void *>start, end - start, MADV_POPULATE_READ) != 0:
        if errno == EFAULT:
            # the file has shrunk, or its device fails: the readable pages are all there is
            end = start
            while madvise(<void *>end, PAGE, MADV_POPULATE_READ) == 0:
                end += PAGE
            rx.map_end = end
            rx.broken = DAMAGE_READ
        else:
            rx.populate = False
    rx.end_offset += end - start
    rx.end = end
    if end < rx.map_end:
        madvise(<void *>end, min(<size_t>(rx.map_end - end), <size_t>WINDOW), MADV_WILLNEED)
    behind = rx.released + WINDOW
    if rx.at > behind + WINDOW:
        madvise(<void *>rx.released, WINDOW, MADV_DONTNEED)
        rx.released = behind


cdef bint grow_carry(rx_t *rx, uint64_t size) noexcept nogil:
    """Room for `size` bytes in the carry, the bytes from `at` to `end` kept where they are the carry's."""
    cdef uint8_t *grown
    cdef uint64_t used = rx.end - rx.at
    if size <= rx.carry_room:
        return True
    grown = <uint8_t *>realloc(rx.carry, size)
    if grown == NULL:
        fail(rx, rx.at, DAMAGE_MEMORY)
        return False
    rx.carry = grown
    rx.carry_room = size
    if rx.carrying:
        rx.at = grown
        rx.end = grown + used
    return True


cdef bint refill(rx_t *rx) noexcept nogil:
    """More bytes behind `at`, for a reader that is short of them. False where reading must stop."""
    cdef uint64_t take
    if rx.map != NULL and rx.end < rx.map_end:
        open_window(rx)
        return True
    if not rx.carrying:
        if rx.last:
            finish(rx)
        else:
            rx.status = RX_NEED
        return False
    if rx.at == rx.end:
        # the carried unit is read: on with the chunk
        rx.carrying = False
        rx.at = rx.chunk
        rx.end = rx.chunk_end
        rx.end_offset += rx.end - rx.at
        return True
    take = min(rx.need - <uint64_t>(rx.end - rx.at), <uint64_t>(rx.chunk_end - rx.chunk))
    if take == 0:
        if rx.last:
            finish(rx)
        else:
            rx.status = RX_NEED
        return False
    if not grow_carry(rx, <uint64_t>(rx.end - rx.at) + take):
        return False
    memcpy(<uint8_t *>rx.end, rx.chunk, take)
    rx.end += take
    rx.end_offset += take
    rx.chunk += take
    return True


cdef void open_capture(rx_t *rx) noexcept nogil:
    """Tells the format by the first four bytes."""
    cdef uint64_t room = rx.end - rx.at
    cdef uint32_t magic
    cdef bint swapped
    if room < 4:
        rx.need = 4
        return
    if load32(rx.at, False) == BLOCK_SECTION:
        open_section(rx)
        return
    for swapped in range(2):
        magic = load32(rx.at, swapped)
        if magic == MAGIC_US or magic == MAGIC_NS or magic == MAGIC_MODIFIED:
            if room < 24:
                rx.need = 24
            else:
                open_pcap(rx, swapped, magic)
            return
    fail(rx, rx.at, DAMAGE_MAGIC)


cdef uint32_t rx_burst(rx_t *rx, burst_t *burst, uint32_t limit) noexcept nogil:
    """Fills the burst with up to `limit` packets and returns how many; `rx.status` says what comes next.

    Of each entry it sets frame, ts, caplen, wirelen, linktype, flags, packet, parent, events, depth and tunnel. The burst may
    be short, even empty, with RX_MORE: at the end of a section, or where many packets are rejected.
    """
    cdef uint32_t n = 0
    burst.packets = burst.entries = 0
    if rx.status == RX_END or rx.status == RX_DAMAGED:
        return 0
    rx.status = RX_MORE
    rx.budget = BUDGET
    limit = min(limit, <uint32_t>BURST_MAX)
    while n < limit and rx.budget and rx.status == RX_MORE:
        rx.need = 0
        if rx.format == FORMAT_PCAP:
            if rx.interface.filter != NULL:
                n = read_pcap(rx, burst, n, limit, True, True) if rx.swapped else read_pcap(rx, burst, n, limit, False, True)
            else:
                n = read_pcap(rx, burst, n, limit, True, False) if rx.swapped else read_pcap(rx, burst, n, limit, False, False)
        elif rx.format == FORMAT_PCAPNG:
            n = read_pcapng(rx, burst, n, limit, True) if rx.swapped else read_pcapng(rx, burst, n, limit, False)
        elif rx.format == FORMAT_BATCH:
            if rx.offsets_wide:
                n = read_batch(rx, burst, n, limit, True, True) if rx.lengths_wide else read_batch(rx, burst, n, limit, True, False)
            else:
                n = read_batch(rx, burst, n, limit, False, True) if rx.lengths_wide else read_batch(rx, burst, n, limit, False, False)
        else:
            open_capture(rx)
        if rx.need and not refill(rx):
            break
    burst.packets = burst.entries = n
    return n


# ---- the Python door ----

cdef class Source:
    """One capture being read. Made as a FileSource, a StreamSource or a BatchSource."""

    def __cinit__(self, *args, **kwargs):
        self.rx.status = RX_END
        self.rx.wants = -1

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.rx.filters_used):
            free(self.rx.filters[i].program)
        free(self.rx.filters)
        free(self.rx.interfaces)
        free(self.rx.secrets)
        free(self.rx.carry)
        free(self.burst)

    def close(self):
        """Gives back what is borrowed. Packets of earlier bursts must not be touched after it. May be called twice."""
        if self.rx.status != RX_DAMAGED:
            self.rx.status = RX_END
        self.rx.end_offset -= self.rx.end - self.rx.at
        self.rx.at = self.rx.end = self.rx.chunk = self.rx.chunk_end = NULL
        self.rx.map = self.rx.map_end = NULL
        self.rx.count = self.rx.next

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def status(self):
        """RX_MORE, RX_NEED, RX_END or RX_DAMAGED."""
        return self.rx.status

    @property
    def damage(self):
        """None, or where and why reading stopped: (byte offset in the uncompressed capture, text of DAMAGES).

        The offset is that of the record or block that cannot be read; in a batch it is the packet's index.
        """
        if self.rx.damage == DAMAGE_NONE:
            return None
        return self.rx.damage_offset, DAMAGES[self.rx.damage]

    @property
    def offset(self):
        """Bytes of the uncompressed capture that are read."""
        return self.rx.end_offset - (self.rx.end - self.rx.at)

    @property
    def filtered(self):
        """Packets that the filter rejected."""
        return self.rx.filtered

    @property
    def wants(self):
        """With RX_NEED: the link type that `set_filter` is asked for, or None where the next chunk is."""
        return self.rx.wants if self.rx.wants >= 0 else None

    @property
    def secrets(self):
        """Decryption secrets that the capture brought so far, as (type, bytes): the type is pcapng's, section 4.7."""
        cdef uint32_t at = 0
        cdef uint32_t head[2]
        found = []
        while at < self.rx.secrets_used:
            memcpy(head, self.rx.secrets + at, 8)
            found.append((head[0], self.rx.secrets[at + 8:at + 8 + head[1]]))
            at += 8 + head[1]
        return found

    def require_filter(self):
        """From the start on, takes packets only through a filter: reading stops with RX_NEED and `wants` at every link type
        that has no program yet."""
        if self.rx.end_offset != self.rx.end - self.rx.at or self.rx.next:
            raise ValueError("the source is already being read")
        self.rx.filtering = True
        if self.rx.format == FORMAT_BATCH and not choose_filter(&self.rx, &self.rx.interface):
            self.rx.status = RX_NEED

    def set_filter(self, linktype, program):
        """The BPF program for a link type: bytes of struct bpf_insn (2-byte code, jt, jf, 4-byte k; native order)."""
        cdef const uint8_t[::1] view = program
        cdef int number = linktype
        cdef uint32_t count = <uint32_t>(view.shape[0] // sizeof(bpf_insn_t))
        cdef filter_t *filters
        cdef bpf_insn_t *copy
        if number < 0 or number > 0xffff:
            raise ValueError(f"linktype: {linktype} is not within 0 to 65535")
        if view.shape[0] % sizeof(bpf_insn_t) or not 0 < count <= BPF_PROGRAM_MAX:
            raise ValueError(f"program: {view.shape[0]} bytes are no filter program")
        if not self.rx.filtering:
            raise ValueError("the source was not told to require a filter")
        if self.rx.filters_used == FILTERS_MAX:
            raise ValueError(f"linktype: more than {FILTERS_MAX} link types in one capture")
        copy = <bpf_insn_t *>malloc(count * sizeof(bpf_insn_t))
        filters = <filter_t *>realloc(self.rx.filters, (self.rx.filters_used + 1) * sizeof(filter_t))
        if filters != NULL:
            self.rx.filters = filters
        if copy == NULL or filters == NULL:
            free(copy)
            raise MemoryError()
        memcpy(copy, &view[0], count * sizeof(bpf_insn_t))
        if not bpf_valid(copy, count):
            free(copy)
            raise ValueError("program: not a valid filter program")
        filters[self.rx.filters_used].program = copy
        filters[self.rx.filters_used].count = count
        filters[self.rx.filters_used].linktype = plain_linktype(<uint16_t>number)
        self.rx.filters_used += 1
        if self.rx.wants == plain_linktype(<uint16_t>number):
            self.rx.wants = -1
            self.rx.status = RX_MORE
            if self.rx.format == FORMAT_BATCH:
                choose_filter(&self.rx, &self.rx.interface)

    def read(self, limit=None):
        """Copies of the next packets, up to `limit` or all there are before the source wants something: a list of
        (stamp in ns, bytes, length on the wire, link type). For tests and a first look; the engine takes bursts."""
        cdef uint64_t left = UINT64_MAX if limit is None else limit
        cdef uint32_t i, n
        cdef packet_meta_t *meta
        packets = []
        if self.burst == NULL:
            self.burst = <burst_t *>calloc(1, sizeof(burst_t))
            if self.burst == NULL:
                raise MemoryError()
        while left:
            n = rx_burst(&self.rx, self.burst, <uint32_t>min(left, <uint64_t>BURST_MAX))
            for i in range(n):
                meta = &self.burst.meta[i]
                packets.append((meta.ts, meta.frame[:meta.caplen], meta.wirelen, meta.linktype))
            left -= n
            if self.rx.status != RX_MORE:
                break
        return packets


cdef class FileSource(Source):
    """A capture file, mapped. `size` is its length in bytes. OSError where it cannot be opened or mapped, ValueError where it
    is empty or no regular file. A file that shrinks while it is read is reported as damaged."""

    def __cinit__(self, path):
        cdef void *map
        cdef int fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if not S_ISREG(status.st_mode):
                raise ValueError(f"{os.fsdecode(path)}: not a regular file")
            if status.st_size == 0:
                raise ValueError(f"{os.fsdecode(path)}: the file is empty")
            self.size = status.st_size
            map = mmap(NULL, self.size, PROT_READ, MAP_PRIVATE, fd, 0)
            if map == MAP_FAILED:
                raise OSError(errno, os.strerror(errno), path)
        finally:
            os.close(fd)
        madvise(map, self.size, MADV_SEQUENTIAL)
        self.rx.map = self.rx.at = self.rx.end = self.rx.released = <const uint8_t *>map
        self.rx.map_end = self.rx.map + self.size
        self.rx.populate = MADV_POPULATE_READ > 0
        self.rx.last = True
        self.rx.status = RX_MORE

    def close(self):
        cdef const uint8_t *map = self.rx.map
        Source.close(self)
        if map != NULL:
            munmap(<void *>map, self.size)

    def __dealloc__(self):
        if self.rx.map != NULL:
            munmap(<void *>self.rx.map, self.size)


cdef class StreamSource(Source):
    """A capture that arrives in chunks: from a pipe, or out of a decompressor."""

    def __cinit__(self):
        self.rx.status = RX_NEED

    def feed(self, chunk, last=False, damaged=False):
        """The next bytes of the capture, borrowed until the next call. `last`: none follow; with `damaged` because the
        compressed stream around them is cut or wrong. Packets of earlier bursts must not be touched after it.

        ValueError where the chunk before is not read yet (status is not RX_NEED), or where a filter is wanted.
        """
        cdef rx_t *rx = &self.rx
        cdef uint64_t tail = rx.end - rx.at
        cdef Py_buffer view
        if rx.status != RX_NEED or rx.last:
            raise ValueError("the source does not want a chunk now")
        if rx.wants >= 0:
            raise ValueError(f"the source wants a filter for link type {rx.wants} first")
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        if tail and not rx.carrying:
            if not grow_carry(rx, tail):
                PyBuffer_Release(&view)
                raise MemoryError()
            memcpy(rx.carry, rx.at, tail)
            rx.at = rx.carry
            rx.end = rx.carry + tail
            rx.carrying = True
        self.drop()
        self.chunk = view
        self.holds = True
        rx.chunk = <const uint8_t *>view.buf
        rx.chunk_end = rx.chunk + view.len
        if not rx.carrying:
            rx.at = rx.chunk
            rx.end = rx.chunk_end
            rx.end_offset += view.len
        rx.last = last or damaged
        rx.broken = DAMAGE_COMPRESSION if damaged else DAMAGE_NONE
        rx.status = RX_MORE

    cdef void drop(self) noexcept:
        if self.holds:
            self.holds = False
            PyBuffer_Release(&self.chunk)

    def close(self):
        Source.close(self)
        self.rx.last = True
        self.drop()

    def __dealloc__(self):
        self.drop()


#: What the format characters of the buffer protocol mean here.
NUMBERS = {b"I": "uint32", b"ILQlq": "uint32, uint64 or int64", b"LQlq": "uint64 or int64"}


cdef class BatchSource(Source):
    """Packets that Python holds, borrowed until `close`: packet i is buffer[offsets[i] : offsets[i] + lengths[i]].

    buffer: bytes-like, contiguous. offsets, lengths: 1-D arrays (uint32, uint64 or int64). stamps: 1-D array (uint64 or int64)
    of ns since 1970, or None: every packet is stamped `now`. wirelens: 1-D array (uint32) of the lengths on the wire, or None:
    nothing was cut. linktype: a LINKTYPE_ number. All arrays have one entry a packet.

    TypeError and ValueError name the argument.
    """

    def __cinit__(self, buffer, offsets, lengths, stamps=None, linktype=1, now=0, wirelens=None):
        cdef rx_t *rx = &self.rx
        cdef uint64_t i, offset, length
        cdef Py_buffer *view
        self.take("buffer", buffer, PyBUF_SIMPLE)
        rx.buffer = <const uint8_t *>self.views[0].buf
        rx.buffer_size = self.views[0].len
        view = self.array("offsets", offsets, b"ILQlq")
        rx.offsets = <const uint8_t *>view.buf
        rx.offsets_wide = view.itemsize == 8
        rx.count = view.shape[0]
        view = self.array("lengths", lengths, b"ILQlq")
        rx.lengths = <const uint8_t *>view.buf
        rx.lengths_wide = view.itemsize == 8
        if stamps is not None:
            rx.stamps = <const uint8_t *>self.array("stamps", stamps, b"LQlq").buf
        if wirelens is not None:
            rx.wirelens = <const uint8_t *>self.array("wirelens", wirelens, b"I").buf
        try:
            number = integer(linktype)
        except TypeError:
            raise TypeError(f"linktype must be a number, not {type(linktype).__name__}") from None
        if not 0 <= number <= 0xffff:
            raise ValueError(f"linktype: {number} is not within 0 to 65535")
        rx.interface.linktype = plain_linktype(number)
        rx.now = now
        for i in range(rx.count):
            offset = element(rx.offsets, i, rx.offsets_wide)
            length = element(rx.lengths, i, rx.lengths_wide)
            if length > CAPLEN_MAX:
                raise ValueError(f"lengths: packet {i} has {length} bytes, more than {CAPLEN_MAX}")
            if length > rx.buffer_size or offset > rx.buffer_size - length:
                raise ValueError(f"offsets: packet {i} of {length} bytes at {offset} lies outside a buffer of {rx.buffer_size}")
        rx.format = FORMAT_BATCH
        rx.status = RX_MORE

    cdef int take(self, name, value, int flags) except -1:
        try:
            PyObject_GetBuffer(value, &self.views[self.held], flags)
        except (TypeError, BufferError, ValueError) as error:
            raise TypeError(f"{name}: {error}") from None
        self.held += 1
        return 0

    cdef Py_buffer *array(self, name, value, bytes formats) except NULL:
        cdef Py_buffer *view = &self.views[self.held]
        self.take(name, value, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
        if view.ndim != 1 or view.format.lstrip(b"@=") not in formats or (view.itemsize != 8 and view.itemsize != 4):
            raise TypeError(f"{name} must be a 1-D contiguous array of {NUMBERS[formats]}")
        if self.held > 2 and view.shape[0] != <Py_ssize_t>self.rx.count:
            raise ValueError(f"{name}: {view.shape[0]} entries for {self.rx.count} offsets")
        return view

    cdef void release(self) noexcept:
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.views[self.held])

    def close(self):
        Source.close(self)
        self.release()

    def __dealloc__(self):
        self.release()
