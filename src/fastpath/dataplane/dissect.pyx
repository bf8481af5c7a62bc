"""A door to decode, defrag and decap for tests, fuzzing and curious people: packets in, every entry as a dict out."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastpath.dataplane.arena cimport arena_t, close_arena, empty_arena
from fastpath.dataplane.decap cimport decap_burst
from fastpath.dataplane.decode cimport decode_burst, decode_defaults, decode_settings
from fastpath.dataplane.defrag cimport clear_defrag, close_defrag, defrag_t, open_defrag, take_fragment
from fastpath.dataplane.hosts cimport close_hosts, hosts_t, open_hosts
from fastpath.dataplane.types cimport (
    BURST_MAX, NET_IPV4, NO_INDEX, PM_CUT, PM_FRAGMENT, PM_KEYED, PM_REVERSED, TUNNEL_NONE, burst_t, flow_key_t, packet_meta_t,
)
from fastpath.dataplane.wire.walk cimport decode_config_t

from fastpath.dataplane.decode import EVENT_NAMES
from fastpath.dataplane.hosts import host_ranges


def dissect(packets, int linktype=1, *, wirelens=None, **settings):
    """The entries of each packet: a list per packet, outermost first, of dicts of the fields of packet_meta_t, with
    `events` (names), `vlan` (identifiers), `key` (None or the flow key: addresses, ports, proto, tunnel, net), `src`, `dst`,
    `sport`, `dport` in the packet's own direction, and `payload` and `frame` as bytes.

    packets: bytes each, one link type for all; wirelens: their lengths on the wire where the capture cut them.
    settings: as in decode_settings; ValueError for unknown ones.
    """
    cdef decode_config_t config
    cdef burst_t *burst
    cdef uint32_t first, count, i
    cdef bytes packet
    decode_defaults(&config)
    decode_settings(&config, settings)
    held = [bytes(p) for p in packets]
    lengths = [len(p) for p in held] if wirelens is None else list(wirelens)
    if len(lengths) != len(held):
        raise ValueError("wirelens: one length a packet")
    found = [[] for _ in held]
    burst = <burst_t *>malloc(sizeof(burst_t))
    if burst == NULL:
        raise MemoryError
    try:
        for start in range(0, len(held), BURST_MAX):
            taken = held[start:start + BURST_MAX]
            burst.notes_used = 0
            burst.events_lost = 0
            burst.packets = burst.entries = len(taken)
            for i in range(burst.packets):
                packet = taken[i]
                place(&burst.meta[i], packet, len(packet), lengths[start + i], linktype, i)
            first = 0
            count = burst.packets
            with nogil:
                while count:
                    decode_burst(&config, burst, first, count)
                    first += count
                    count = decap_burst(&config, burst, first - count, count)
            for i in range(burst.entries):
                found[start + burst.meta[i].packet].append(entry_of(burst, i))
    finally:
        free(burst)
    return found


cdef class Defragmenter:
    """dissect for packets that may be fragments of one another, one packet after the other.

    memcap, trackers, max_frags, timeout (seconds) and policies ({OS: networks}) as in a suricata.yaml; settings: as in
    decode_settings. ValueError on others. `stats`: counters.
    """
    cdef decode_config_t config
    cdef hosts_t hosts
    cdef defrag_t defrag
    cdef arena_t arena
    cdef burst_t *burst

    def __init__(self, *, uint64_t memcap=32 << 20, uint32_t trackers=65535, uint32_t max_frags=65535, uint64_t timeout=60,
                 policies=None, **settings):
        if self.burst != NULL:
            raise RuntimeError("a Defragmenter is set up once")
        decode_defaults(&self.config)
        decode_settings(&self.config, settings)
        open_hosts(&self.hosts, host_ranges(policies or {}))
        self.burst = <burst_t *>malloc(sizeof(burst_t))
        if self.burst == NULL or open_defrag(&self.defrag, &self.hosts, memcap, trackers, max_frags, timeout * 1000000000):
            raise MemoryError

    def __dealloc__(self):
        close_defrag(&self.defrag)
        close_hosts(&self.hosts)
        close_arena(&self.arena)
        free(self.burst)

    def take(self, bytes packet not None, double now=0.0, int linktype=1, wirelen=None):
        """The entries of a packet that came at `now` (seconds), outermost first; see dissect."""
        cdef burst_t *burst = self.burst
        cdef uint32_t entry = 0, found = 1
        cdef packet_meta_t *meta
        empty_arena(&self.arena)
        burst.notes_used = 0
        burst.events_lost = 0
        burst.packets = burst.entries = 1
        burst.now[0] = <uint64_t>(now * 1e9)
        place(&burst.meta[0], packet, len(packet), len(packet) if wirelen is None else wirelen, linktype, 0)
        while found:
            decode_burst(&self.config, burst, entry, 1)
            meta = &burst.meta[entry]
            found = burst.entries
            if meta.flags & PM_FRAGMENT:
                take_fragment(&self.defrag, burst, entry, burst.now[0], &self.arena)
            elif meta.carries != TUNNEL_NONE:
                decap_burst(&self.config, burst, entry, 1)
            found = burst.entries - found
            entry = burst.entries - 1
        return [entry_of(burst, i) for i in range(burst.entries)]

    def clear(self):
        clear_defrag(&self.defrag)

    @property
    def stats(self):
        return {"memory": self.defrag.memory, "seen": list(self.defrag.seen), "whole": list(self.defrag.whole),
                "timed_out": self.defrag.timed_out, "given_up": self.defrag.given_up, "left_out": self.defrag.left_out,
                "datagrams": self.defrag.datagrams.used, "fragments": self.defrag.fragments.used, "cells": self.defrag.cells.used}


cdef void place(packet_meta_t *meta, const uint8_t *frame, uint32_t caplen, uint32_t wirelen, int linktype, uint32_t i) noexcept:
    """As rx does it. The rest is set to nonsense: decode has to write it."""
    memset(meta, 0xee, sizeof(packet_meta_t))
    meta.frame = frame
    meta.ts = 0
    meta.caplen = caplen
    meta.wirelen = wirelen
    meta.flags = PM_CUT if caplen < wirelen else 0
    meta.packet = meta.parent = i
    meta.events = NO_INDEX
    meta.linktype = linktype
    meta.depth = 0
    meta.tunnel = 0


cdef dict entry_of(burst_t *burst, uint32_t i):
    cdef packet_meta_t *meta = &burst.meta[i]
    cdef flow_key_t *key = &burst.key[i]
    entry = dict(meta[0])
    del entry["frame"], entry["bucket"]
    entry["entry"] = i
    entry["frame"] = meta.frame[:meta.caplen]
    entry["payload_at"] = meta.payload
    entry["payload"] = meta.frame[meta.payload:meta.payload + meta.payload_len] if meta.payload_len else b""
    entry["vlan"] = [v for v in key.vlan]
    entry["events"] = []
    note = meta.events
    while note != NO_INDEX:
        entry["events"].append(EVENT_NAMES[burst.notes[note].code])
        note = burst.notes[note].next
    entry["key"] = None
    if meta.flags & PM_KEYED:
        size = 4 if key.net == NET_IPV4 else 16
        source = 1 if meta.flags & PM_REVERSED else 0
        entry["key"] = (key.addr[0][:size], key.port[0], key.addr[1][:size], key.port[1], tuple(key.vlan), key.proto, key.tunnel,
                        key.net, key.vni[:3])
        entry["src"] = key.addr[source][:size]
        entry["dst"] = key.addr[1 - source][:size]
        entry["sport"] = key.port[source]
        entry["dport"] = key.port[1 - source]
    return entry
