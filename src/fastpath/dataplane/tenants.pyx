"""Whose packet is this? A door before the data planes of tenants: it reads the tags of every packet once, and hands each tenant
its packets as a batch of borrowed bytes.

The tags of a packet are, from outside to inside: the port that it came in by; the VLANs of its outermost headers; and for each
tunnel in it the network identifier (VXLAN, GENEVE, NVGRE) or the tunnel endpoint (GTP-U), with the VLANs inside. They are found
by decode and decap, to their set depth. The outermost tag that a tenant claims decides, or the innermost.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

import numpy as np

from fastpath.dataplane.decap cimport decap_burst
from fastpath.dataplane.decode cimport decode_burst, decode_defaults, decode_settings
from fastpath.dataplane.formats.reader cimport FORMAT_BATCH, RX_END, RX_MORE
from fastpath.dataplane.rx cimport Source, rx_burst
from fastpath.dataplane.types cimport (
    BURST_MAX, TUNNEL_GENEVE, TUNNEL_GTPU, TUNNEL_NVGRE, TUNNEL_VXLAN, VLANS_MAX, burst_t, packet_meta_t,
)
from fastpath.dataplane.wire.walk cimport decode_config_t

#: What a tag may be; by number.
KINDS = ("port", "vlan", "vni", "teid")
#: The number of no tenant.
UNCLAIMED = 0xffff

cdef enum:
    KIND_PORT, KIND_VLAN, KIND_VNI, KIND_TEID, KIND_MAX
    TENANTS_MAX = 4096
    FIRST_ROOM = 256            # packets
    NOBODY = 0xffff

cdef extern from "<stdint.h>":
    const uint64_t UINT64_MAX

cdef struct claim_t:            # a range of tags of one kind
    uint32_t low, high
    uint16_t tenant

cdef struct claims_t:
    claim_t *claims             # by `low`; none overlaps another
    uint32_t count


cdef void *grown(void *piece, uint64_t size) except NULL:
    cdef void *larger = realloc(piece, size)
    if larger == NULL:
        raise MemoryError("no memory for the packets of a tenant")
    return larger


cdef class Picked(Source):
    """The packets of one tenant out of a Selector's latest `split`, borrowed as its source lends them."""
    cdef uint64_t *addresses
    cdef uint64_t *stamps
    cdef uint32_t *lengths
    cdef uint32_t *wirelens
    cdef uint64_t room
    cdef readonly uint64_t bytes

    def __cinit__(self):
        self.rx.format = FORMAT_BATCH
        self.rx.status = RX_END
        self.rx.buffer_size = UINT64_MAX            # `buffer` is NULL: an offset is an address
        self.rx.offsets_wide = True

    def __dealloc__(self):
        free(self.addresses)
        free(self.stamps)
        free(self.lengths)
        free(self.wirelens)

    def __len__(self):
        return self.rx.count

    cdef void begin(self) noexcept:
        self.rx.count = self.rx.next = self.bytes = 0
        self.rx.status = RX_END

    cdef int grow(self) except -1:
        cdef uint64_t room = self.room * 2 if self.room else FIRST_ROOM
        self.addresses = <uint64_t *>grown(self.addresses, room * sizeof(uint64_t))
        self.stamps = <uint64_t *>grown(self.stamps, room * sizeof(uint64_t))
        self.lengths = <uint32_t *>grown(self.lengths, room * sizeof(uint32_t))
        self.wirelens = <uint32_t *>grown(self.wirelens, room * sizeof(uint32_t))
        self.room = room
        self.rx.offsets = <const uint8_t *>self.addresses
        self.rx.stamps = <const uint8_t *>self.stamps
        self.rx.lengths = <const uint8_t *>self.lengths
        self.rx.wirelens = <const uint8_t *>self.wirelens
        return 0

    cdef int add(self, const packet_meta_t *meta, uint16_t linktype) except -1:
        cdef uint64_t at = self.rx.count
        if at == self.room:
            self.grow()
        self.addresses[at] = <uint64_t>meta.frame
        self.stamps[at] = meta.ts
        self.lengths[at] = meta.caplen
        self.wirelens[at] = meta.wirelen
        self.bytes += meta.wirelen
        self.rx.interface.linktype = linktype
        self.rx.status = RX_MORE
        self.rx.count = at + 1
        return 0


cdef class Selector:
    """claims: (kind of KINDS, low, high, tenant), whose ranges must not overlap; tenants: how many there are; default: the tenant
    of what nobody claims, or None; innermost: whether the innermost tag decides that is claimed, or the outermost; tunnels: the
    UDP ports of tunnels, by name, as in decode_settings. ValueError for what cannot be.

    packets, bytes: read; unclaimed_packets, unclaimed_bytes: of them those that belong to no tenant.
    """
    cdef claims_t by_kind[4]
    cdef decode_config_t config
    cdef burst_t *burst
    cdef uint16_t links[256]    # the link type of each packet of the burst, as its source says
    cdef uint16_t owners[256]
    cdef uint32_t next, count   # of the burst at work
    cdef uint16_t default
    cdef bint innermost
    cdef uint32_t tenants
    cdef readonly uint64_t packets, bytes, unclaimed_packets, unclaimed_bytes

    def __cinit__(self, claims, tenants, default=None, innermost=False, tunnels=None):
        cdef uint32_t kind, i
        cdef claims_t *these
        if not 0 <= tenants <= TENANTS_MAX:
            raise ValueError(f"tenants: 0 to {TENANTS_MAX}, not {tenants}")
        self.tenants = tenants
        self.default = NOBODY if default is None else default
        self.innermost = innermost
        decode_defaults(&self.config)
        decode_settings(&self.config, {"checksums": False} | (tunnels or {}))
        self.burst = <burst_t *>calloc(1, sizeof(burst_t))
        if self.burst == NULL:
            raise MemoryError("no memory for a burst")
        for kind in range(KIND_MAX):
            found = sorted((low, high, tenant) for name, low, high, tenant in claims if name == KINDS[kind])
            these = &self.by_kind[kind]
            these.claims = <claim_t *>calloc(len(found) + 1, sizeof(claim_t))
            if these.claims == NULL:
                raise MemoryError("no memory for the claims of tenants")
            for i, (low, high, tenant) in enumerate(found):
                if not 0 <= low <= high <= 0xffffffff or not 0 <= tenant < tenants or i and found[i - 1][1] >= low:
                    raise ValueError(f"claims: {KINDS[kind]} {low} to {high} of tenant {tenant}")
                these.claims[i].low = low
                these.claims[i].high = high
                these.claims[i].tenant = tenant
            these.count = len(found)

    def __dealloc__(self):
        cdef uint32_t kind
        free(self.burst)
        for kind in range(KIND_MAX):
            free(self.by_kind[kind].claims)

    cdef void look(self, uint32_t kind, uint32_t value, uint16_t *owner) noexcept nogil:
        """A tag, in its order from outside to inside."""
        cdef const claims_t *these = &self.by_kind[kind]
        cdef uint32_t low = 0, high = these.count, middle
        if owner[0] != NOBODY and not self.innermost:
            return
        while low < high:
            middle = (low + high) // 2
            if these.claims[middle].high < value:
                low = middle + 1
            else:
                high = middle
        if low < these.count and these.claims[low].low <= value:
            owner[0] = these.claims[low].tenant

    cdef void find_owners(self, int64_t port) noexcept nogil:
        """Of every packet of the burst. port: where all of them came in, -1 for what the capture says."""
        cdef burst_t *burst = self.burst
        cdef uint32_t first = 0, count = burst.packets, i, at
        cdef const packet_meta_t *meta
        cdef uint16_t *owner
        burst.notes_used = burst.events_lost = 0
        for i in range(count):
            self.owners[i] = NOBODY
            self.links[i] = burst.meta[i].linktype
            if port >= 0:
                self.look(KIND_PORT, <uint32_t>port, &self.owners[i])
            elif burst.has_interfaces:
                self.look(KIND_PORT, burst.interface[i], &self.owners[i])
        while count:
            decode_burst(&self.config, burst, first, count)
            first += count
            count = decap_burst(&self.config, burst, first - count, count)
        for i in range(burst.entries):      # what is inside stands behind what is around it
            meta = &burst.meta[i]
            owner = &self.owners[meta.packet]
            if meta.depth and meta.tunnel in (TUNNEL_VXLAN, TUNNEL_GENEVE, TUNNEL_NVGRE):
                self.look(KIND_VNI, meta.tunnel_id, owner)
            elif meta.depth and meta.tunnel == TUNNEL_GTPU:
                self.look(KIND_TEID, meta.tunnel_id, owner)
            for at in range(VLANS_MAX):
                if burst.key[i].vlan[at]:
                    self.look(KIND_VLAN, burst.key[i].vlan[at], owner)
        for i in range(burst.packets):
            if self.owners[i] == NOBODY:
                self.owners[i] = self.default

    def split(self, Source source not None, list picks not None, uint64_t limit=32768):
        """Reads up to `limit` packets (or a burst more) and hands them out: picks has a Picked for every tenant. True where there
        may be more now: its status says why not. The packets hold until the source is fed. Packets of another link type than a
        tenant's others wait for the next call."""
        cdef Picked pick
        cdef uint32_t owner
        cdef uint64_t taken = 0
        if len(picks) != <Py_ssize_t>self.tenants:
            raise ValueError(f"picks: {len(picks)} for {self.tenants} tenants")
        for pick in picks:
            pick.begin()
        while taken < limit:
            if self.next == self.count:
                self.next = 0
                with nogil:
                    self.count = rx_burst(&source.rx, self.burst, BURST_MAX)
                    if self.count:
                        self.find_owners(-1)
                if self.count == 0:
                    return source.rx.status == RX_MORE
            while self.next < self.count:
                owner = self.owners[self.next]
                if owner != NOBODY:
                    pick = picks[owner]
                    if pick.rx.count and pick.rx.interface.linktype != self.links[self.next]:
                        return True
                    pick.add(&self.burst.meta[self.next], self.links[self.next])
                else:
                    self.unclaimed_packets += 1
                    self.unclaimed_bytes += self.burst.meta[self.next].wirelen
                self.packets += 1
                self.bytes += self.burst.meta[self.next].wirelen
                self.next += 1
                taken += 1
        return True

    def owners_of(self, Source source not None, count, port=None):
        """The tenant of each of the `count` packets of a source that is whole (a batch), as uint16; UNCLAIMED for none."""
        cdef uint16_t[::1] found
        cdef uint32_t n, i
        cdef uint64_t at = 0
        cdef int64_t came_in = -1 if port is None else port
        owners = np.full(count, UNCLAIMED, np.uint16)
        found = owners
        while True:
            with nogil:
                n = rx_burst(&source.rx, self.burst, BURST_MAX)
                if n:
                    self.find_owners(came_in)
            if n == 0:
                return owners
            for i in range(n):
                found[at] = self.owners[i]
                at += 1
                self.packets += 1
                self.bytes += self.burst.meta[i].wirelen
                if self.owners[i] == NOBODY:
                    self.unclaimed_packets += 1
                    self.unclaimed_bytes += self.burst.meta[i].wirelen
