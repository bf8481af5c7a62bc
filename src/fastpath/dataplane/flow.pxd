# flow: the table of flows. A bucket owns its flows, its index and its timer wheel; buckets share nothing.
#
# Flows lie flat in address space that is reserved for the bucket's share of flow.memcap and becomes memory as it is used.
# The index is open addressing over flow numbers, each beside some bits of its hash; made larger when it is half full. A flow
# sits in the wheel at the second when it may time out; the wheel looks at it then and moves it on if packets came since, so
# that a packet costs the wheel nothing.
#
# Errors: none. At the memcap the flow nearest to its timeout is ended (END_FORCED) and counted in `forced`.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.hash cimport flow_has_key
from fastpath.dataplane.types cimport (
    FLOW_ESTABLISHED, FLOW_NEW, FLOW_REVERSED, FLOW_SEEN_TO_CLIENT, FLOW_SEEN_TO_SERVER, NET_IPV4, PM_ESTABLISHED, PM_FLOW,
    PM_REVERSED, PM_TO_CLIENT, TUNNEL_ERSPAN, TUNNEL_VXLAN, flow_key_t, flow_t, pool_t, packet_meta_t,
)
from fastpath.dataplane.wire.load cimport be16

cdef enum:
    WHEEL = 1024                # seconds; later timeouts are looked at again after that
    SECOND = 1000000000
    ERSPAN_PROTOCOL = 0x88be
    FLOWS_MAX = (1 << 24) - 1   # of a bucket, and the mask of a flow's number in its slot
    ANSWERED_ESTABLISHES = 2    # flow_config_t.answers

cdef enum flow_class:
    CLASS_DEFAULT, CLASS_TCP, CLASS_UDP, CLASS_ICMP, CLASS_MAX

ctypedef uint32_t flow_slot_t   # number + 1, and in the bits above it the hash's; 0: empty

cdef struct flow_config_t:
    uint64_t timeout[4][3]      # ns, by flow_class and flow_state
    uint8_t class_of[256]       # flow_class by IP protocol
    # 1: packets against the initiator's direction are to the client; 0: all are to the server. With 2: and the first of them
    # establishes the flow (TCP's are established by stream)
    uint8_t answers[256]
    uint64_t memcap             # bytes a bucket
    bint captured_bytes         # count a flow's bytes as Suricata does, instead of those on the wire

cdef struct bucket_t

# Told of every flow that ends, while it still stands; `order` as in telemetry.pxd.
ctypedef void (*flow_sink_t)(bucket_t *bucket, flow_t *flow, uint8_t end, uint64_t ordinal, uint64_t order) noexcept nogil

cdef struct bucket_t:
    void *region                # of the flows, reserved
    size_t region_size
    flow_t *flows
    flow_slot_t *slots
    uint32_t mask               # slots - 1
    uint32_t used               # flows alive
    uint32_t fresh              # flows ever taken from the region
    uint32_t limit              # flows that fit under the memcap
    uint32_t free               # number + 1 of the first flow given back, linked by wheel_next
    uint32_t number             # of the bucket
    pool_t pool            # of flow_more_t and what hangs on it
    uint64_t second             # that the wheel has reached
    uint32_t wheel[1024]
    const flow_config_t *config
    flow_sink_t sink
    void *owner
    uint64_t created, forced, memcap_hits
    uint64_t ended[4]           # by flow_end

# The memory of a bucket that is closed, all zero where there is none. The one that is opened in its place takes it, and finds
# pages that it need not have the kernel look for and clear.
cdef struct tables_t:
    void *region
    size_t region_size
    flow_slot_t *slots          # empty
    uint32_t mask

cdef class FlowMemory:
    cdef tables_t tables[128]   # by bucket

# 0, or -1 when address space or memory is lacking. The bucket's sink and owner are the caller's to set.
cdef int open_bucket(bucket_t *bucket, const flow_config_t *config, uint32_t number, tables_t *left) noexcept nogil
# left: NULL to keep nothing.
cdef void close_bucket(bucket_t *bucket, tables_t *left) noexcept nogil

# A flow for this key, whose first packet this is; slot: where find_slot ended, empty. NULL only when the memcap leaves no room
# for a single flow.
cdef flow_t *create_flow(bucket_t *bucket, flow_slot_t *slot, const packet_meta_t *meta, const flow_key_t *key, uint64_t now,
                         uint64_t ordinal, uint64_t order) noexcept nogil

# Ends the flow where it stands and begins a new one with the same key.
cdef void restart_flow(bucket_t *bucket, flow_t *flow, const packet_meta_t *meta, uint64_t now, uint64_t ordinal, uint64_t order,
                       uint8_t end) noexcept nogil

# To be called when the state of a flow, and so its timeout, has changed for a shorter one.
cdef void rearm_flow(bucket_t *bucket, flow_t *flow) noexcept nogil

# Ends what has timed out at this second (engine time); rows go to the sink under this ordinal.
cdef void tick_bucket(bucket_t *bucket, uint64_t second, uint64_t ordinal, uint64_t order) noexcept nogil

# Ends every flow, in the order of first ordinals, and leaves the bucket empty.
cdef void flush_bucket(bucket_t *bucket, uint64_t ordinal, uint8_t end) noexcept nogil


cdef inline uint64_t timeout_of(const flow_config_t *config, const flow_t *flow) noexcept nogil:
    return config.timeout[config.class_of[flow.key.proto]][flow.state]


# Whether a flow is over at this time: whole seconds count, and there must be more of them than the timeout has.
cdef inline bint is_timed_out(const flow_config_t *config, const flow_t *flow, uint64_t now) noexcept nogil:
    cdef uint64_t due = flow.last + timeout_of(config, flow)
    return due <= now and due // SECOND < now // SECOND


# Of a slot that is not empty: may it name a flow of this hash? One of 256 that do not says yes.
cdef inline bint is_alike(flow_slot_t slot, uint32_t hash) noexcept nogil:
    return (slot ^ hash) <= FLOWS_MAX


# NULL of an empty one.
cdef inline flow_t *flow_in(const bucket_t *bucket, flow_slot_t slot) noexcept nogil:
    return &bucket.flows[slot & FLOWS_MAX] - 1 if slot else NULL


# Where the index names the flow of a key, or the empty place where it would.
cdef inline flow_slot_t *find_slot(const bucket_t *bucket, uint32_t hash, const flow_key_t *key) noexcept nogil:
    cdef uint32_t at = hash & bucket.mask
    while bucket.slots[at] and not (is_alike(bucket.slots[at], hash) and flow_has_key(flow_in(bucket, bucket.slots[at]), key)):
        at = (at + 1) & bucket.mask
    return &bucket.slots[at]


cdef inline flow_t *find_flow(const bucket_t *bucket, uint32_t hash, const flow_key_t *key) noexcept nogil:
    return flow_in(bucket, find_slot(bucket, hash, key)[0])


# Captured bytes; of what VXLAN carries those from the IP header on, of ERSPAN type II its header as well (type I has none: what
# stands before its frames is the protocol of GRE).
cdef inline uint32_t as_suricata_counts(const packet_meta_t *meta) noexcept nogil:
    if meta.depth == 0:
        return meta.caplen
    if meta.tunnel == TUNNEL_VXLAN:
        return meta.caplen - meta.l3
    return meta.caplen + (8 if meta.tunnel == TUNNEL_ERSPAN and be16(meta.frame - 2) != ERSPAN_PROTOCOL else 0)


# Counts an entry on its flow and says on the entry in which direction it goes. `quoted`: it is an error about the flow, which in
# IPv4 is no sign of life of its other side. Which side sends is a coin toss to the processor, and whether there was an answer
# yet is another: they are an index and a sum, never a branch.
cdef inline void count_on_flow(const flow_config_t *config, flow_t *flow, packet_meta_t *meta, uint64_t now,
                               bint quoted) noexcept nogil:
    cdef uint32_t answers = config.answers[flow.key.proto]
    cdef uint32_t to_client = (meta.flags // PM_REVERSED ^ flow.flags // FLOW_REVERSED) & answers & 1
    cdef uint32_t speaks = not (quoted and meta.net == NET_IPV4)
    flow.last = now
    flow.pkts[to_client] += 1
    flow.bytes[to_client] += as_suricata_counts(meta) if config.captured_bytes else meta.wirelen
    flow.flags |= <uint16_t>((FLOW_SEEN_TO_SERVER >> to_client) * speaks)
    # an error about a flow is no answer in it; only TCP has a state beyond the two
    flow.state |= <uint8_t>(flow.flags // FLOW_SEEN_TO_CLIENT & flow.flags // FLOW_SEEN_TO_SERVER
                            & answers // ANSWERED_ESTABLISHES & speaks) * FLOW_ESTABLISHED
    meta.flags |= PM_FLOW | to_client * PM_TO_CLIENT | (flow.state != FLOW_NEW) * PM_ESTABLISHED
