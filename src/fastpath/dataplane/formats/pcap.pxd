"""Classic pcap (draft-ietf-opsawg-pcap): microseconds, nanoseconds and Kuznetzov's modified records, in either byte order."""
from libc.stdint cimport INT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.bpf cimport bpf_run
from fastpath.dataplane.formats.record cimport (
    CAPLEN_MAX, SECOND, caplen_max, choose_filter, fail, fetch_ahead, fill, load16, load32, plain_linktype, rarely,
)
from fastpath.dataplane.formats.reader cimport DAMAGE_CAPLEN, DAMAGE_VERSION, FORMAT_PCAP, rx_t
from fastpath.dataplane.types cimport burst_t

cdef enum:
    MAGIC_US = 0xa1b2c3d4
    MAGIC_NS = 0xa1b23c4d
    MAGIC_MODIFIED = 0xa1b2cd34


cdef inline void open_pcap(rx_t *rx, bint swapped, uint32_t magic) noexcept nogil:
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


cdef inline uint32_t read_pcap(rx_t *rx, burst_t *burst, uint32_t n, uint32_t limit, bint swapped,
                               bint filtering) noexcept nogil:
    cdef const uint8_t *at = rx.at
    cdef const uint8_t *end = rx.end
    cdef const uint8_t *frame
    cdef const uint8_t *fetched = rx.fetched
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
        fetched = fetch_ahead(fetched, at)
        if filtering and not bpf_run(rx.interface.filter, frame, wirelen, held):
            rx.filtered += 1
            rx.budget -= 1
            if rx.budget == 0:
                break
            continue
        ts = <uint64_t>load32(frame - header, swapped) * SECOND + load32(frame - header + 4, swapped) * scale
        fill(&burst.meta[n], n, frame, ts, held, wirelen, linktype)
        n += 1
    rx.at = at
    rx.fetched = fetched
    return n
