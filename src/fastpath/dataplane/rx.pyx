"""rx: capture bytes become bursts. Packets are borrowed, never copied.

Formats: classic pcap (draft-ietf-opsawg-pcap: microseconds, nanoseconds, Kuznetzov's modified records, either byte order)
and pcapng (draft-ietf-opsawg-pcapng). There is one loop a format; which one runs is decided once a burst.
"""
import os
from enum import IntEnum
from operator import index as integer
from stat import S_ISREG

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.errno cimport EFAULT, errno
from libc.stdint cimport UINT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy
from posix.mman cimport MADV_DONTNEED, MADV_SEQUENTIAL, MADV_WILLNEED, MAP_FAILED, MAP_PRIVATE, PROT_READ, madvise, mmap, munmap
from posix.stat cimport fstat, struct_stat
from posix.unistd cimport close

from fastpath.dataplane.bpf cimport BPF_PROGRAM_MAX, bpf_insn_t, bpf_run, bpf_valid
from fastpath.dataplane.formats.pcap cimport MAGIC_MODIFIED, MAGIC_NS, MAGIC_US, open_pcap, read_pcap
from fastpath.dataplane.formats.pcapng cimport BLOCK_SECTION, open_section, read_pcapng
from fastpath.dataplane.formats.reader cimport (
    DAMAGE_BATCH, DAMAGE_BLOCK_BODY, DAMAGE_BLOCK_CUT, DAMAGE_BLOCK_LENGTH, DAMAGE_BLOCK_TRAILER, DAMAGE_BYTE_ORDER,
    DAMAGE_CAPLEN, DAMAGE_HEADER_CUT, DAMAGE_INTERFACE, DAMAGE_INTERFACES, DAMAGE_MAGIC, DAMAGE_MEMORY, DAMAGE_MIXED, DAMAGE_NONE,
    DAMAGE_READ,
    DAMAGE_RECORD_CUT, DAMAGE_STREAM, DAMAGE_TIME, DAMAGE_VERSION, FORMAT_BATCH, FORMAT_PCAP, FORMAT_PCAPNG, FORMAT_UNKNOWN,
    filter_t, rx_t,
)
from fastpath.dataplane.formats.record cimport (
    CAPLEN_MAX, LINE, __builtin_prefetch, choose_filter, fail, fill, load32, load64, plain_linktype, rarely,
)
from fastpath.dataplane.types cimport BURST_MAX, burst_t, packet_meta_t

cdef extern from *:
    """
    #ifdef __linux__
    #ifndef MADV_POPULATE_READ
    #define MADV_POPULATE_READ 22   /* Linux 5.14; older kernels answer EINVAL */
    #endif
    #else
    #define MADV_POPULATE_READ -1
    #define MADV_HUGEPAGE -1
    #endif
    """
    const int MADV_POPULATE_READ, MADV_HUGEPAGE


class Status(IntEnum):
    """What comes next of a source."""
    MORE = RX_MORE          # packets
    NEED = RX_NEED          # nothing before it is given a chunk, or the filter for a link type: Source.wants
    END = RX_END
    DAMAGED = RX_DAMAGED    # nothing: everything before the damage has been given


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
    DAMAGE_MIXED: "an interface or section of another kind than the first, where libpcap stops",
    DAMAGE_TIME: "a time resolution out of range",
    DAMAGE_STREAM: "the stream around the capture is damaged or cut",
    DAMAGE_READ: "the file shrank or cannot be read",
    DAMAGE_BATCH: "the arrays of the batch were changed while it was read",
    DAMAGE_MEMORY: "out of memory",
}

cdef enum:
    FILTERS_MAX = 256       # link types of one source
    BUDGET = 65536          # blocks and rejected packets before a burst returns, so that Ctrl-C is heard
    WINDOW = 8388608        # bytes of a mapped file made present at a time
    PAGE = 4096
    FAULT_AROUND = 65536    # bytes that Linux maps around a page, where they are cached


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
        __builtin_prefetch(buffer + offset)
        __builtin_prefetch(buffer + offset + LINE)
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
    """Makes the next window of a mapped file readable without faults, and gives back those behind, so that a capture of any
    size keeps a small resident set. Pages given back are still valid to read.

    Asking for one page of each block lets the kernel map the whole block around it, which is cheaper than asking for all. To
    read the file by windows into memory of our own was measured too: the copy costs 5 ns a small packet more than the pages.
    """
    cdef const uint8_t *start = rx.end
    cdef const uint8_t *end
    cdef const uint8_t *block
    cdef struct_stat now
    if fstat(rx.fd, &now) == 0 and now.st_size < rx.map_end - rx.map:
        rx.map_end = max(start, rx.map + now.st_size)
        rx.broken = DAMAGE_READ
    end = rx.map_end if rx.map_end - start <= WINDOW else start + WINDOW
    block = start
    while rx.populate and block < end:
        if madvise(<void *>block, PAGE, MADV_POPULATE_READ) != 0:
            if errno == EFAULT:         # reading the file failed
                end = rx.map_end = block
                rx.broken = DAMAGE_READ
            else:
                rx.populate = False     # a kernel without it: pages are mapped when they are touched
        block += FAULT_AROUND
    rx.end_offset += end - start
    rx.end = end
    if end < rx.map_end:
        madvise(<void *>end, WINDOW if rx.map_end - end > WINDOW else rx.map_end - end, MADV_WILLNEED)
    if rx.at > rx.released + 2 * WINDOW:
        madvise(<void *>rx.released, WINDOW, MADV_DONTNEED)
        rx.released += WINDOW


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
                n = (read_pcap(rx, burst, n, limit, True, True) if rx.swapped
                     else read_pcap(rx, burst, n, limit, False, True))
            else:
                n = (read_pcap(rx, burst, n, limit, True, False) if rx.swapped
                     else read_pcap(rx, burst, n, limit, False, False))
        elif rx.format == FORMAT_PCAPNG:
            n = read_pcapng(rx, burst, n, limit, True) if rx.swapped else read_pcapng(rx, burst, n, limit, False)
        elif rx.format == FORMAT_BATCH:
            if rx.offsets_wide:
                n = (read_batch(rx, burst, n, limit, True, True) if rx.lengths_wide
                     else read_batch(rx, burst, n, limit, True, False))
            else:
                n = (read_batch(rx, burst, n, limit, False, True) if rx.lengths_wide
                     else read_batch(rx, burst, n, limit, False, False))
        else:
            open_capture(rx)
        if rx.need and not refill(rx):
            break
    burst.packets = burst.entries = n
    burst.has_interfaces = rx.format == FORMAT_PCAPNG
    return n


# ---- the Python door ----

cdef class Source:
    """One capture being read. Made as a FileSource, a StreamSource or a BatchSource."""

    def __cinit__(self, *args, **kwargs):
        self.rx.status = RX_END
        self.rx.wants = -1
        self.rx.fd = -1

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
        self.rx.count = self.rx.next

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def status(self):
        """A Status."""
        return Status(self.rx.status)

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
        """With Status.NEED: the link type that `set_filter` is asked for, or None where the next chunk is."""
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

    def require_uniform(self):
        """From the start on, reads a pcapng file as libpcap does, which stops at an interface whose link type or snapshot length
        is not the first one's, and at a section in another byte order."""
        self.rx.uniform = True

    def require_filter(self):
        """From the start on, takes packets only through a filter: reading stops with Status.NEED and `wants` at every link type
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
        self.rx.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self.rx.fd)
        if not S_ISREG(status.st_mode):
            raise ValueError(f"{os.fsdecode(path)}: not a regular file")
        if status.st_size == 0:
            raise ValueError(f"{os.fsdecode(path)}: the file is empty")
        self.size = status.st_size
        map = mmap(NULL, self.size, PROT_READ, MAP_PRIVATE, self.rx.fd, 0)
        if map == MAP_FAILED:
            raise OSError(errno, os.strerror(errno), path)
        madvise(map, self.size, MADV_SEQUENTIAL)
        madvise(map, self.size, MADV_HUGEPAGE)      # read from the disk, and from then on mapped, by large pages where there are
        self.rx.map = self.rx.at = self.rx.end = self.rx.released = <const uint8_t *>map
        self.rx.map_end = self.rx.map + self.size
        self.rx.populate = MADV_POPULATE_READ > 0
        self.rx.last = True
        self.rx.status = RX_MORE

    cdef void unmap(self) noexcept:
        if self.rx.map != NULL:
            munmap(<void *>self.rx.map, self.size)
            self.rx.map = self.rx.map_end = NULL
        if self.rx.fd >= 0:
            close(self.rx.fd)
            self.rx.fd = -1

    def close(self):
        Source.close(self)
        self.unmap()

    def __dealloc__(self):
        self.unmap()


cdef class StreamSource(Source):
    """A capture that arrives in chunks: from a pipe, or out of a decompressor."""

    def __cinit__(self):
        self.rx.status = RX_NEED

    def feed(self, chunk, last=False, damaged=False):
        """The next bytes of the capture, borrowed until the next call. `last`: none follow; with `damaged` because the
        compressed stream around them is cut or wrong. Packets of earlier bursts must not be touched after it.

        ValueError where the chunk before is not read yet (status is not NEED), or where a filter is wanted.
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
        rx.broken = DAMAGE_STREAM if damaged else DAMAGE_NONE
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
