# See flow.pxd.
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from fastpath.dataplane.hash cimport hash_flow, set_flow_key
from fastpath.dataplane.more cimport release_more
from fastpath.dataplane.pool cimport close_pool
from fastpath.dataplane.threads cimport prefetch
from fastpath.dataplane.types cimport (
    ACCOUNT_FLOW, BUCKETS_MAX, END_FORCED, END_TIMEOUT, FLOW_FREE, FLOW_NEW, FLOW_REVERSED, NO_RULE, PM_REVERSED, flow_key_t,
    flow_t, packet_meta_t,
)

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MAP_POPULATE, MADV_HUGEPAGE
    void *MAP_FAILED
    void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int madvise(void *address, size_t length, int advice) noexcept

cdef enum:
    FIRST_SLOTS = 4096
    SMALL_INDEX = 1 << 14       # slots, up to which an index grows fourfold: soon there is more, and each growth makes it anew
    LARGE_PAGE = 1 << 21
    FEW_FLOWS = 1024            # of a bucket lie in small pages: to clear a large one costs more than a handful of flows does
    CACHE_LINE = 64
    FRESH_AHEAD = 8             # flows never taken yet that are fetched before their turn
    WHEEL_HEAD = 1 << 31        # in wheel_prev: the first of a second's list; the low bits name the second


cdef void *map_pages(size_t length, int flags) noexcept nogil:
    """Address space that becomes memory as it is touched; NULL where there is none."""
    cdef void *pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0)
    return NULL if pages == MAP_FAILED else pages


cdef inline size_t index_size(uint32_t mask) noexcept nogil:
    return (<size_t>mask + 1) * sizeof(flow_slot_t)


cdef void unmap_tables(tables_t *tables) noexcept nogil:
    if tables.region != NULL:
        munmap(tables.region, tables.region_size)
    if tables.slots != NULL:
        munmap(tables.slots, index_size(tables.mask))
    memset(tables, 0, sizeof(tables_t))


cdef bint map_tables(tables_t *tables, size_t region_size) noexcept nogil:
    unmap_tables(tables)        # those of another size
    tables.region = map_pages(region_size, 0)
    tables.region_size = region_size
    tables.mask = FIRST_SLOTS - 1
    tables.slots = <flow_slot_t *>map_pages(index_size(tables.mask), 0)
    if tables.region != NULL and tables.slots != NULL:
        return True
    unmap_tables(tables)
    return False


cdef class FlowMemory:
    """The tables of flows that a data plane leaves to the next one of its engine, by the bucket's number."""

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(BUCKETS_MAX):
            unmap_tables(&self.tables[i])


cdef int open_bucket(bucket_t *bucket, const flow_config_t *config, uint32_t number, tables_t *left) noexcept nogil:
    cdef size_t few = FEW_FLOWS * sizeof(flow_t)
    cdef uintptr_t large
    cdef size_t region_size
    memset(bucket, 0, sizeof(bucket_t))
    bucket.config = config
    bucket.number = number
    bucket.pool.cap[ACCOUNT_FLOW] = config.memcap // 4
    # a flow, and its share of an index that is between a quarter and half full
    bucket.limit = <uint32_t>min(config.memcap // (sizeof(flow_t) + 3 * sizeof(flow_slot_t)), <uint64_t>FLOWS_MAX)
    if bucket.limit == 0:
        bucket.limit = 1
    region_size = <size_t>bucket.limit * sizeof(flow_t) + few + LARGE_PAGE
    if left.region_size != region_size and not map_tables(left, region_size):
        return -1
    bucket.region = left.region
    bucket.region_size = region_size
    bucket.slots = left.slots
    bucket.mask = left.mask
    memset(left, 0, sizeof(tables_t))
    # in large pages, but for the first flows: over thousands of small ones, every lookup would miss the TLB as well
    large = (<uintptr_t>bucket.region + few + LARGE_PAGE - 1) & ~<uintptr_t>(LARGE_PAGE - 1)
    bucket.flows = <flow_t *>(large - few)
    madvise(<void *>large, <uintptr_t>bucket.region + region_size - large, MADV_HUGEPAGE)
    return 0


cdef void close_bucket(bucket_t *bucket, tables_t *left) noexcept nogil:
    cdef tables_t tables
    cdef uint32_t i
    for i in range(bucket.fresh):
        release_more(&bucket.flows[i], &bucket.pool)
    close_pool(&bucket.pool)
    tables.region = bucket.region
    tables.region_size = bucket.region_size
    tables.slots = bucket.slots
    tables.mask = bucket.mask
    if left != NULL and left.region == NULL and bucket.region != NULL and bucket.used == 0:     # so that the index is all zero
        left[0] = tables
    else:
        unmap_tables(&tables)
    memset(bucket, 0, sizeof(bucket_t))


# ---- the index ----

cdef inline flow_slot_t slot_of(uint32_t hash, uint32_t flow) noexcept nogil:
    return hash & ~<uint32_t>FLOWS_MAX | flow


cdef inline flow_slot_t *empty_slot(flow_slot_t *slots, uint32_t mask, uint32_t hash) noexcept nogil:
    cdef uint32_t at = hash & mask
    while slots[at]:
        at = (at + 1) & mask
    return &slots[at]


cdef bint grow_index(bucket_t *bucket) noexcept nogil:
    cdef uint32_t mask = bucket.mask * 4 + 3 if bucket.mask + 1 < SMALL_INDEX else bucket.mask * 2 + 1
    cdef uint32_t i, hash
    cdef flow_slot_t *slots = <flow_slot_t *>map_pages(index_size(mask), MAP_POPULATE)
    if slots == NULL:
        return False
    for i in range(bucket.fresh):
        if not bucket.flows[i].flags & FLOW_FREE:
            hash = <uint32_t>hash_flow(&bucket.flows[i])
            empty_slot(slots, mask, hash)[0] = slot_of(hash, i + 1)
    munmap(bucket.slots, index_size(bucket.mask))
    bucket.slots = slots
    bucket.mask = mask
    return True


cdef void remove_slot(bucket_t *bucket, uint32_t flow) noexcept nogil:
    """Takes a flow out of the index and closes the hole, so that no lookup ever passes a tombstone."""
    cdef uint32_t hole = <uint32_t>hash_flow(&bucket.flows[flow - 1]) & bucket.mask
    cdef uint32_t at, home
    while bucket.slots[hole] & FLOWS_MAX != flow:
        hole = (hole + 1) & bucket.mask
    at = (hole + 1) & bucket.mask
    while bucket.slots[at]:
        home = <uint32_t>hash_flow(flow_in(bucket, bucket.slots[at])) & bucket.mask
        if ((at - home) & bucket.mask) >= ((at - hole) & bucket.mask):
            bucket.slots[hole] = bucket.slots[at]
            hole = at
        at = (at + 1) & bucket.mask
    bucket.slots[hole] = 0


cdef inline void prefetch_whole(const flow_t *flow) noexcept nogil:
    prefetch(flow)
    prefetch(<const char *>flow + CACHE_LINE)


# ---- the wheel ----

cdef void arm(bucket_t *bucket, uint32_t flow) noexcept nogil:
    """Into the wheel, at the first second at which the flow may time out."""
    cdef flow_t *it = &bucket.flows[flow - 1]
    cdef uint64_t due = (it.last + timeout_of(bucket.config, it)) // SECOND + 1
    cdef uint32_t at, following
    if due <= bucket.second:
        due = bucket.second + 1
    if due >= bucket.second + WHEEL:
        due = bucket.second + WHEEL - 1
    at = <uint32_t>(due % WHEEL)
    following = bucket.wheel[at]
    it.wheel_next = following
    it.wheel_prev = WHEEL_HEAD | at
    if following:
        bucket.flows[following - 1].wheel_prev = flow
    bucket.wheel[at] = flow


cdef void disarm(bucket_t *bucket, uint32_t flow) noexcept nogil:
    cdef flow_t *it = &bucket.flows[flow - 1]
    if it.wheel_next:
        bucket.flows[it.wheel_next - 1].wheel_prev = it.wheel_prev
    if it.wheel_prev & WHEEL_HEAD:
        bucket.wheel[it.wheel_prev & (WHEEL - 1)] = it.wheel_next
    else:
        bucket.flows[it.wheel_prev - 1].wheel_next = it.wheel_next


cdef void rearm_flow(bucket_t *bucket, flow_t *flow) noexcept nogil:
    cdef uint32_t number = <uint32_t>(flow - bucket.flows) + 1
    disarm(bucket, number)
    arm(bucket, number)


cdef void tick_bucket(bucket_t *bucket, uint64_t second, uint64_t ordinal, uint64_t order) noexcept nogil:
    cdef uint64_t first = bucket.second + 1
    cdef uint64_t at
    cdef uint32_t flow, following
    cdef flow_t *it
    if bucket.second == 0 or bucket.used == 0 or second <= bucket.second:
        if second > bucket.second:
            bucket.second = second
        return
    if second - bucket.second > WHEEL:
        first = second - WHEEL + 1
    bucket.second = second
    for at in range(first, second + 1):
        flow = bucket.wheel[at % WHEEL]
        bucket.wheel[at % WHEEL] = 0
        while flow:
            it = &bucket.flows[flow - 1]
            following = it.wheel_next
            prefetch_whole(&bucket.flows[following] - 1)
            if is_timed_out(bucket.config, it, second * SECOND):
                end_flow(bucket, flow, END_TIMEOUT, ordinal, order)
            else:
                arm(bucket, flow)
            flow = following


# ---- a flow's life ----

cdef void begin_flow(flow_t *flow, const packet_meta_t *meta, uint64_t now, uint64_t ordinal) noexcept nogil:
    """All but the key and the wheel."""
    flow.last = now
    flow.pkts[0] = flow.pkts[1] = 0
    flow.bytes[0] = flow.bytes[1] = 0
    flow.first_ordinal = ordinal
    flow.first_ts = meta.ts
    flow.more = NULL
    flow.rule = NO_RULE
    flow.group[0] = flow.group[1] = 0
    flow.flags = FLOW_REVERSED if meta.flags & PM_REVERSED else 0
    flow.state = FLOW_NEW
    flow.tcp_state = 0
    flow.tcp_flags[0] = flow.tcp_flags[1] = 0
    flow.epoch = 0
    flow.reason = 0


cdef void end_flow(bucket_t *bucket, uint32_t flow, uint8_t end, uint64_t ordinal, uint64_t order) noexcept nogil:
    """A flow that is out of the wheel already: its row, then back to the free list."""
    cdef flow_t *it = &bucket.flows[flow - 1]
    bucket.sink(bucket, it, end, ordinal, order)
    bucket.ended[end] += 1
    remove_slot(bucket, flow)
    release_more(it, &bucket.pool)
    it.flags = FLOW_FREE
    it.wheel_next = bucket.free
    bucket.free = flow
    bucket.used -= 1


cdef bint force_one(bucket_t *bucket, uint64_t ordinal, uint64_t order) noexcept nogil:
    """Ends the flow that stands nearest to its look-over in the wheel."""
    cdef uint64_t at
    cdef uint32_t flow
    for at in range(bucket.second + 1, bucket.second + 1 + WHEEL):
        flow = bucket.wheel[at % WHEEL]
        if flow:
            disarm(bucket, flow)
            end_flow(bucket, flow, END_FORCED, ordinal, order)
            bucket.forced += 1
            return True
    return False


cdef flow_t *create_flow(bucket_t *bucket, flow_slot_t *slot, const packet_meta_t *meta, const flow_key_t *key, uint64_t now,
                         uint64_t ordinal, uint64_t order) noexcept nogil:
    cdef uint32_t flow
    cdef flow_t *it
    if bucket.second == 0:
        bucket.second = now // SECOND
    if bucket.free == 0 and bucket.fresh == bucket.limit:
        bucket.memcap_hits += 1
        if not force_one(bucket, ordinal, order):
            return NULL
        slot = empty_slot(bucket.slots, bucket.mask, meta.hash)     # it closed a hole in the index
    if bucket.used > bucket.mask // 2:
        if grow_index(bucket):
            slot = empty_slot(bucket.slots, bucket.mask, meta.hash)
        else:
            bucket.memcap_hits += 1
            if bucket.used >= bucket.mask - 1:
                return NULL
    if bucket.free:
        flow = bucket.free
        bucket.free = bucket.flows[flow - 1].wheel_next
        prefetch_whole(&bucket.flows[bucket.free] - 1)
    else:
        bucket.fresh += 1
        flow = bucket.fresh
        prefetch_whole(&bucket.flows[flow + FRESH_AHEAD])
    it = &bucket.flows[flow - 1]
    set_flow_key(it, key)
    begin_flow(it, meta, now, ordinal)
    slot[0] = slot_of(meta.hash, flow)
    arm(bucket, flow)
    bucket.used += 1
    bucket.created += 1
    return it


cdef void restart_flow(bucket_t *bucket, flow_t *flow, const packet_meta_t *meta, uint64_t now, uint64_t ordinal, uint64_t order,
                       uint8_t end) noexcept nogil:
    bucket.sink(bucket, flow, end, ordinal, order)
    bucket.ended[end] += 1
    bucket.created += 1
    release_more(flow, &bucket.pool)
    begin_flow(flow, meta, now, ordinal)    # stays where it is in the wheel, which looks before it ends anything


cdef int by_first_ordinal(const void *a, const void *b) noexcept nogil:
    cdef const uint64_t *x = <const uint64_t *>a
    cdef const uint64_t *y = <const uint64_t *>b
    if x[0] != y[0]:
        return 1 if x[0] > y[0] else -1
    return (x[1] > y[1]) - (x[1] < y[1])


cdef void flush_bucket(bucket_t *bucket, uint64_t ordinal, uint8_t end) noexcept nogil:
    cdef uint64_t *order
    cdef uint32_t i, n = 0
    cdef flow_t *it
    if bucket.used:
        order = <uint64_t *>malloc(<size_t>bucket.used * 16)
        if order != NULL:
            for i in range(bucket.fresh):
                it = &bucket.flows[i]
                if not it.flags & FLOW_FREE:
                    order[2 * n] = it.first_ordinal
                    order[2 * n + 1] = i
                    n += 1
            qsort(order, n, 16, by_first_ordinal)
            for i in range(n):
                bucket.sink(bucket, &bucket.flows[order[2 * i + 1]], end, ordinal, 0)
            free(order)
        else:
            for i in range(bucket.fresh):   # out of memory: the rows leave all the same, in table order
                if not bucket.flows[i].flags & FLOW_FREE:
                    bucket.sink(bucket, &bucket.flows[i], end, ordinal, 0)
        bucket.ended[end] += bucket.used
    for i in range(bucket.fresh):
        release_more(&bucket.flows[i], &bucket.pool)
    memset(bucket.slots, 0, index_size(bucket.mask))
    memset(bucket.wheel, 0, sizeof(bucket.wheel))
    bucket.used = bucket.fresh = bucket.free = 0
    bucket.second = 0
