# RoCEv2 by queue pair: who is written to, how, how much; and the segment in which a pair was first seen. A segment is a
# tenant's, where the policy says which tags are whose; else it is the tags themselves: the VLANs, and the VNI of the tunnel
# around them.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.bind.table cimport (
    BINDING_QUEUE_PAIR, add_binding, bind_key_t, binding_row_t, binding_rows_t, find_bound, table_t,
)
from fastpath.dataplane.types cimport (
    PM_REVERSED, TUNNEL_GENEVE, TUNNEL_NVGRE, TUNNEL_VXLAN, flow_key_t, packet_meta_t,
)
from fastpath.dataplane.wire.roce cimport BTH_LEN, bth_opcode, bth_partition, bth_queue_pair

cdef enum:
    QUEUE_PAIRS = 1 << 16
    TAG_VLAN = 0, TAG_VNI = 1
    OPCODES_SEND = 0, OPCODES_WRITE, OPCODES_READ, OPCODES_READ_RESPONSE, OPCODES_ACK, OPCODES_ATOMIC, OPCODES_CNP, OPCODES_OTHER
    OPCODES
    OPCODE_CNP = 0x81

cdef extern from *:
    """
    #define SEGMENT_TENANT (1ULL << 63)
    #define SEGMENT_VNI (1ULL << 62)
    """
    const uint64_t SEGMENT_TENANT
    const uint64_t SEGMENT_VNI

cdef struct tag_range_t:        # mirrored by rows.TAG: tags that are a tenant's
    uint64_t low, high          # TAG_* << 32 | identifier, both included
    uint32_t tenant             # from 1 on
    uint32_t reserved

cdef struct queue_pair_t:
    bind_key_t key              # the address of its host, its number
    uint64_t segment            # SEGMENT_TENANT | tenant; SEGMENT_VNI | VNI << 24 | VLANs; VLANs (12 bits each, the outer first)
    uint64_t elsewhere          # the segment in which it was seen last, where that was another
    uint64_t first_ordinal, first, last     # ns
    uint64_t packets, bytes, foreign        # foreign: packets in other segments
    uint64_t classes[8]         # packets by OPCODES_*
    uint16_t partition
    uint8_t net
    uint8_t transports          # 1 << the opcodes' upper three bits


cdef inline uint32_t opcode_class(uint8_t opcode) noexcept nogil:
    """InfiniBand Architecture Specification, section 9.2.1"""
    cdef uint32_t operation = opcode & 31
    if opcode == OPCODE_CNP:
        return OPCODES_CNP
    if operation <= 5 or 22 <= operation <= 23:
        return OPCODES_SEND
    if operation <= 11:
        return OPCODES_WRITE
    if operation == 12:
        return OPCODES_READ
    if operation <= 16:
        return OPCODES_READ_RESPONSE
    if operation == 17:
        return OPCODES_ACK
    return OPCODES_ATOMIC if operation <= 20 else OPCODES_OTHER


cdef inline uint32_t tenant_of(const tag_range_t *tags, uint32_t count, uint64_t tag) noexcept nogil:
    """Ranges ascend and do not overlap; 0 for nobody's."""
    cdef uint32_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if tags[middle].low <= tag:
            low = middle + 1
        else:
            high = middle
    return tags[low - 1].tenant if low and tag <= tags[low - 1].high else 0


cdef inline uint64_t segment_of(const tag_range_t *tags, uint32_t count, const packet_meta_t *meta,
                                const flow_key_t *key) noexcept nogil:
    cdef uint64_t vlans = <uint64_t>(key.vlan[0] & 4095) << 12 | key.vlan[1] & 4095
    cdef bint in_network = meta.tunnel == TUNNEL_VXLAN or meta.tunnel == TUNNEL_GENEVE or meta.tunnel == TUNNEL_NVGRE
    cdef uint32_t tenant = 0
    if count and key.vlan[0]:
        tenant = tenant_of(tags, count, <uint64_t>TAG_VLAN << 32 | key.vlan[0])
    if count and in_network and tenant == 0:
        tenant = tenant_of(tags, count, <uint64_t>TAG_VNI << 32 | meta.tunnel_id)
    if tenant:
        return SEGMENT_TENANT | tenant
    return SEGMENT_VNI | <uint64_t>meta.tunnel_id << 24 | vlans if in_network else vlans


cdef inline bint bind_queue_pair(table_t *table, binding_rows_t *rows, const tag_range_t *tags, uint32_t count,
                                 const packet_meta_t *meta, const flow_key_t *key) noexcept nogil:
    """Counts a packet. True where its pair belongs to another segment."""
    cdef const uint8_t *header = meta.frame + meta.payload
    cdef uint32_t target = 0 if meta.flags & PM_REVERSED else 1
    cdef uint64_t segment
    cdef bind_key_t wanted
    cdef queue_pair_t *pair
    cdef binding_row_t *row
    if meta.payload_len < BTH_LEN:
        return False
    memset(&wanted, 0, sizeof(wanted))
    memcpy(wanted.address, key.addr[target], 16)
    wanted.id = bth_queue_pair(header)
    wanted.kind = key.net
    pair = <queue_pair_t *>find_bound(table, &wanted, True)
    if pair == NULL:
        return False
    segment = segment_of(tags, count, meta, key)
    if pair.packets == 0:
        pair.segment = segment
        pair.first_ordinal = rows.ordinal
        pair.first = meta.ts
        pair.net = key.net
    pair.last = max(pair.last, meta.ts)
    pair.packets += 1
    pair.bytes += meta.wirelen
    pair.classes[opcode_class(bth_opcode(header))] += 1
    pair.transports |= <uint8_t>(1 << (bth_opcode(header) >> 5))
    pair.partition = bth_partition(header)
    if pair.segment == segment:
        return False
    pair.foreign += 1
    if pair.elsewhere != segment or pair.foreign == 1:
        pair.elsewhere = segment
        row = add_binding(rows, BINDING_QUEUE_PAIR)
        if row != NULL:
            memcpy(row.address, wanted.address, 16)
            row.net = key.net
            row.id = segment
            row.slice = <uint32_t>wanted.id
            row.expected = pair.segment
    return True
