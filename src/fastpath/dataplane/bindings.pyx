# See bindings.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from fastpath.dataplane.bind.gtpc cimport bind_gtpc
from fastpath.dataplane.bind.hardware cimport KNOWN, check_hardware, known_t
from fastpath.dataplane.bind.pfcp cimport bind_pfcp
from fastpath.dataplane.bind.roce cimport QUEUE_PAIRS, bind_queue_pair, queue_pair_t, tag_range_t
from fastpath.dataplane.bind.subscribers cimport (
    ASKED, ENDPOINTS, SUBSCRIBERS, asked_session_t, endpoint_t, is_foreign, subscriber_t, subscribers_t,
)
from fastpath.dataplane.bind.table cimport (
    BINDING_ROWS, bind_key_t, binding_row_t, close_bind_table, find_bound, open_bind_table, table_t,
)
from fastpath.dataplane.events cimport (
    EVENT_GTPC_MALFORMED, EVENT_GTPU_FOREIGN_ADDRESS, EVENT_PFCP_MALFORMED, EVENT_ROCE_ANOTHER_SEGMENT,
)
from fastpath.dataplane.types cimport (
    NET_IPV4, PM_CUT, PM_FRAGMENT, PM_KEYED, PM_QUOTED, PM_REVERSED, PM_ROCE, TUNNEL_GTPU, burst_t, flow_key_t, note_event,
    packet_meta_t,
)

cdef enum:
    UDP = 17
    PORT_GTPC = 2123, PORT_PFCP = 8805

#: By OPCODES_*.
OPCODE_CLASSES = ("send", "write", "read", "read_response", "ack", "atomic", "cnp", "other")
#: By the upper three bits of an opcode.
TRANSPORTS = ("RC", "UC", "RD", "UD", "CNP", "XRC", "", "")
#: Tags of a tenant: kind << 32 | identifier, both ends included; tenant: from 1 on.
TAG = np.dtype([("low", "u8"), ("high", "u8"), ("tenant", "u4"), ("reserved", "u4")])
#: What a manifest says: kind of bind/hardware.pxd, the key's address and number, the value (a MAC, or a hash; 0: any).
KNOWN_ROW = np.dtype([("kind", "u4"), ("address", "u1", 16), ("id", "u8"), ("value", "u8")])


# ---- a burst ----

cdef void bind_message(bindings_t *bindings, burst_t *burst, uint32_t entry, uint32_t port) noexcept nogil:
    """A datagram of a mobile network's control plane."""
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef const flow_key_t *key = &burst.key[entry]
    cdef uint32_t source = 1 if meta.flags & PM_REVERSED else 0
    cdef uint32_t size = 4 if key.net == NET_IPV4 else 16
    cdef const uint8_t *payload = meta.frame + meta.payload
    cdef bint fits
    if port == PORT_GTPC:
        fits = bind_gtpc(&bindings.subscribers, &bindings.rows, key.addr[source], key.addr[1 - source], size, payload,
                         meta.payload_len)
    else:
        fits = bind_pfcp(&bindings.subscribers, &bindings.rows, key.addr[source], key.addr[1 - source], size, payload,
                         meta.payload_len)
    if not fits and not meta.flags & PM_CUT:
        note_event(burst, entry, EVENT_GTPC_MALFORMED if port == PORT_GTPC else EVENT_PFCP_MALFORMED)


cdef void bind_burst(bindings_t *bindings, burst_t *burst, const uint16_t *order) noexcept nogil:
    cdef uint32_t i, entry
    cdef const packet_meta_t *meta
    cdef const flow_key_t *key
    for i in range(burst.entries):
        entry = order[i]
        meta = &burst.meta[entry]
        if not (bindings.hardware.on or meta.proto == UDP or meta.tunnel == TUNNEL_GTPU):     # as RoCE is
            continue
        key = &burst.key[entry]
        bindings.rows.ordinal = burst.first_ordinal + meta.packet
        bindings.rows.ts = burst.now[meta.packet]
        if bindings.hardware.on and meta.depth == 0:
            check_hardware(&bindings.hardware, &bindings.rows, burst, entry)
        if not meta.flags & PM_KEYED or meta.flags & (PM_FRAGMENT | PM_QUOTED):
            continue
        if meta.flags & PM_ROCE and bind_queue_pair(&bindings.queue_pairs, &bindings.rows, bindings.tags, bindings.tag_count,
                                                    meta, key):
            note_event(burst, entry, EVENT_ROCE_ANOTHER_SEGMENT)
        if meta.tunnel == TUNNEL_GTPU and is_foreign(&bindings.subscribers, &bindings.rows, meta, key, &burst.meta[meta.parent],
                                                     &burst.key[meta.parent]):
            note_event(burst, entry, EVENT_GTPU_FOREIGN_ADDRESS)
        if meta.proto == UDP and meta.payload_len:
            if key.port[0] == PORT_GTPC or key.port[1] == PORT_GTPC:
                bind_message(bindings, burst, entry, PORT_GTPC)
            elif key.port[0] == PORT_PFCP or key.port[1] == PORT_PFCP:
                bind_message(bindings, burst, entry, PORT_PFCP)


# ---- life ----

cdef int open_bindings(bindings_t *bindings, uint64_t seed) noexcept nogil:
    cdef int failed
    memset(bindings, 0, sizeof(bindings_t))
    failed = open_bind_table(&bindings.queue_pairs, sizeof(queue_pair_t), QUEUE_PAIRS, seed)
    failed |= open_bind_table(&bindings.subscribers.endpoints, sizeof(endpoint_t), ENDPOINTS, seed)
    failed |= open_bind_table(&bindings.hardware.known, sizeof(known_t), KNOWN, seed)
    bindings.subscribers.sessions = <subscriber_t *>calloc(SUBSCRIBERS, sizeof(subscriber_t))
    bindings.subscribers.asked = <asked_session_t *>calloc(ASKED, sizeof(asked_session_t))
    bindings.rows.rows = <binding_row_t *>calloc(BINDING_ROWS, sizeof(binding_row_t))
    return failed or bindings.subscribers.sessions == NULL or bindings.subscribers.asked == NULL or bindings.rows.rows == NULL


cdef void close_bindings(bindings_t *bindings) noexcept nogil:
    close_bind_table(&bindings.queue_pairs)
    close_bind_table(&bindings.subscribers.endpoints)
    close_bind_table(&bindings.hardware.known)
    free(bindings.subscribers.sessions)
    free(bindings.subscribers.asked)
    free(bindings.rows.rows)
    free(bindings.tags)


cdef void empty_table(table_t *table) noexcept nogil:
    if table.used:
        memset(table.entries, 0, <uint64_t>table.size * (table.mask + 1))
        table.used = 0


cdef void clear_bindings(bindings_t *bindings) noexcept nogil:
    cdef uint32_t i
    cdef subscribers_t *all = &bindings.subscribers
    cdef known_t *known
    empty_table(&bindings.queue_pairs)
    if all.endpoints.used:
        memset(all.asked, 0, ASKED * sizeof(asked_session_t))
        memset(all.sessions, 0, SUBSCRIBERS * sizeof(subscriber_t))
        all.next = 0
    empty_table(&all.endpoints)
    if not bindings.hardware.on:
        return
    for i in range(bindings.hardware.known.mask + 1):
        known = <known_t *>bindings.hardware.known.entries + i
        if known.key.kind == 0:
            continue
        known.told = 0
        if not known.fixed:             # the place stays its key's: those behind it are found through it
            known.value = 0


# ---- the control plane ----

cdef void set_tags(bindings_t *bindings, tags) except *:
    cdef const unsigned char[::1] view
    made = np.ascontiguousarray(np.sort(tags, order="low"))
    free(bindings.tags)
    bindings.tags = NULL
    bindings.tag_count = 0
    if len(made):
        bindings.tags = <tag_range_t *>calloc(len(made), sizeof(tag_range_t))
        if bindings.tags == NULL:
            raise MemoryError("no memory for the tags of tenants")
        view = made.view("u1")
        memcpy(bindings.tags, &view[0], len(made) * sizeof(tag_range_t))
        bindings.tag_count = <uint32_t>len(made)


cdef void set_hardware(bindings_t *bindings, known, bint neighbours) except *:
    cdef bind_key_t key
    cdef known_t *entry
    cdef const unsigned char[::1] address
    bindings.hardware.on = True
    bindings.hardware.neighbours_listed = neighbours
    for row in known:
        memset(&key, 0, sizeof(key))
        address = np.ascontiguousarray(row["address"])
        memcpy(key.address, &address[0], 16)
        key.id = row["id"]
        key.kind = row["kind"]
        entry = <known_t *>find_bound(&bindings.hardware.known, &key, True)
        if entry == NULL:
            raise ValueError(f"a manifest of hardware has at most {KNOWN - KNOWN // 4} facts")
        entry.value = row["value"]
        entry.fixed = 1


cdef take_bindings(bindings_t *bindings, dtype):
    cdef unsigned char[::1] view
    if dtype.itemsize != sizeof(binding_row_t):
        raise AssertionError(f"a row has {sizeof(binding_row_t)} bytes, its dtype {dtype.itemsize}")
    made = np.empty(bindings.rows.used, dtype)
    if bindings.rows.used:
        view = made.view("u1")
        memcpy(&view[0], bindings.rows.rows, bindings.rows.used * sizeof(binding_row_t))
        bindings.rows.used = 0
    return made


cdef list queue_pairs_of(bindings_t *bindings):
    """One dict a pair, in the order in which they came; segments as numbers (bind/roce.pxd)."""
    cdef uint32_t i, j
    cdef const queue_pair_t *pair
    cdef list made = []
    for i in range(bindings.queue_pairs.mask + 1 if bindings.queue_pairs.used else 0):
        pair = <const queue_pair_t *>bindings.queue_pairs.entries + i
        if pair.key.kind == 0:
            continue
        made.append({
            "address": <bytes>pair.key.address[:16], "net": pair.net, "queue_pair": pair.key.id, "partition": pair.partition,
            "transports": [TRANSPORTS[j] for j in range(8) if pair.transports >> j & 1],
            "packets": pair.packets, "bytes": pair.bytes,
            "opcodes": {name: pair.classes[j] for j, name in enumerate(OPCODE_CLASSES) if pair.classes[j]},
            "segment": pair.segment, "elsewhere": pair.elsewhere if pair.foreign else None, "foreign": pair.foreign,
            "first": pair.first, "last": pair.last, "ordinal": pair.first_ordinal})
    made.sort(key=lambda one: (one["ordinal"], one["address"], one["queue_pair"]))
    return made


cdef dict bindings_stats(bindings_t *bindings):
    return {"bindings_refused": (bindings.queue_pairs.refused + bindings.subscribers.endpoints.refused
                                 + bindings.hardware.known.refused),
            "bindings_replaced": bindings.subscribers.replaced, "bindings_untold": bindings.rows.lost}
