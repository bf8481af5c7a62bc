# See device.pxd.
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_HUGEPAGE
    void *MAP_FAILED
    void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int madvise(void *address, size_t length, int advice) noexcept

cdef extern from *:
    """
    #include <string.h>
    /* Moves rows to another mapping, page by page where the system can (the rest of the last page goes with them), and gives
       back the region that they lay in. What the pages leave is no longer ours: it must not be unmapped again. */
    static inline void move_rows(void *to, void *from, size_t size, void *region, size_t region_size)
    {
    #ifdef __linux__
        size_t pages = (size + 4095) & ~(size_t)4095;
        char *end = (char *)region + region_size;
        if (pages && mremap(from, pages, pages, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED) {
            if (from != region)
                munmap(region, (size_t)((char *)from - (char *)region));
            if ((char *)from + pages < end)
                munmap((char *)from + pages, (size_t)(end - ((char *)from + pages)));
            return;
        }
    #endif
        memcpy(to, from, size);
        munmap(region, region_size);
    }
    """
    void move_rows(void *to, void *source, size_t size, void *region, size_t region_size) noexcept nogil

cdef enum:
    LARGE_PAGE = 1 << 21
    MANY_SESSIONS = 4096        # from which on large pages are worth their clearing
    SERIALS = (1 << 24) - 1     # of session_t.serial, but 0
    AGE_HEAD = 1 << 31          # in session_t.prev: the first of a second's list; the low bits name the second


cdef void *map_rows(size_t count, size_t size) noexcept nogil:
    """Address space that becomes memory as it is touched; NULL where there is none, or none is asked for."""
    cdef void *rows
    if count == 0:
        return NULL
    rows = mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    return NULL if rows == MAP_FAILED else rows


cdef inline session_t *rows_in(void *region) noexcept nogil:
    """Where a table begins: where a large page can, for over small ones every lookup would miss the TLB as well."""
    return <session_t *>((<uintptr_t>region + LARGE_PAGE - 1) & ~<uintptr_t>(LARGE_PAGE - 1))


cdef inline size_t region_size(size_t room) noexcept nogil:
    return room * sizeof(session_t) + LARGE_PAGE


cdef int open_device(device_t *device, const device_config_t *config) noexcept nogil:
    memset(device, 0, sizeof(device_t))
    if config == NULL:
        return 0
    device.on = True
    device.config = config[0]
    device.room = config.capacity
    if config.capacity:
        device.region = map_rows(region_size(config.capacity), 1)
    if device.region != NULL:
        device.sessions = rows_in(device.region)
    device.closed = <closed_t *>map_rows(config.closed_room, sizeof(closed_t))
    device.grown = <grown_t *>map_rows(config.capacity, sizeof(grown_t))
    if config.capacity and (device.sessions == NULL or device.grown == NULL) \
            or config.closed_room and device.closed == NULL:
        close_device(device)
        return -1
    return 0


cdef void close_device(device_t *device) noexcept nogil:
    if device.region != NULL:
        munmap(device.region, region_size(device.room))
    if device.grown != NULL:
        munmap(device.grown, device.room * sizeof(grown_t))
    if device.closed != NULL:
        munmap(device.closed, device.config.closed_room * sizeof(closed_t))
    memset(device, 0, sizeof(device_t))


cdef int make_room(device_t *device, const device_config_t *config) noexcept nogil:
    cdef uint32_t room = config.capacity
    cdef void *region
    cdef void *grown
    if room <= device.room:
        return 0
    region = map_rows(region_size(room), 1)
    grown = map_rows(room, sizeof(grown_t))
    if region == NULL or grown == NULL:
        if region != NULL:
            munmap(region, region_size(room))
        if grown != NULL:
            munmap(grown, room * sizeof(grown_t))
        return -1
    if device.region != NULL:
        move_rows(rows_in(region), device.sessions, device.fresh * sizeof(session_t), device.region, region_size(device.room))
        move_rows(grown, device.grown, device.grown_used * sizeof(grown_t), device.grown, device.room * sizeof(grown_t))
    device.region = region
    device.sessions = rows_in(region)
    device.grown = <grown_t *>grown
    device.room = room
    if device.fresh >= MANY_SESSIONS:
        use_large_pages(device)
    return 0


cdef void apply_config(device_t *device, const device_config_t *config) noexcept nogil:
    cdef uint32_t i, room = device.config.closed_room
    cdef bint reported = device.config.lag != 0
    device.config = config[0]
    device.config.closed_room = room
    device.back_off = 0
    memset(device.wheel, 0, sizeof(device.wheel))
    for i in range(device.fresh):
        if device.sessions[i].serial:
            if not (config.lag and reported):
                tell_session(device, &device.sessions[i], True)
            age(device, i + 1)


cdef void use_large_pages(device_t *device) noexcept nogil:
    """A hint."""
    madvise(device.sessions, device.room * sizeof(session_t), MADV_HUGEPAGE)


# ---- the wheel ----

cdef void age(device_t *device, uint32_t session) noexcept nogil:
    """Into the wheel, at the first second at which it may have timed out."""
    cdef session_t *it = &device.sessions[session - 1]
    cdef uint64_t seen = told_last(device, it) if device.config.lag else it.last
    cdef uint64_t due = (seen + idle_timeout(device, it)) // SECOND_NS + 1
    cdef uint32_t at, following
    if due <= device.second:
        due = device.second + 1
    if due >= device.second + AGES:
        due = device.second + AGES - 1
    at = <uint32_t>(due % AGES)
    following = device.wheel[at]
    it.next = following
    it.prev = AGE_HEAD | at
    if following:
        device.sessions[following - 1].prev = session
    device.wheel[at] = session


cdef void begin_time(device_t *device, uint64_t second) noexcept nogil:
    """What was added before the first packet begins to live with it."""
    cdef uint32_t i
    device.timeless = False
    device.second = second
    device.busy += second * SECOND_NS
    memset(device.wheel, 0, sizeof(device.wheel))
    for i in range(device.fresh):
        if device.sessions[i].serial:
            device.sessions[i].last += second * SECOND_NS
            device.sessions[i].start += <uint32_t>second
            tell_session(device, &device.sessions[i], True)
            age(device, i + 1)


cdef void tick_device(device_t *device, uint64_t second) noexcept nogil:
    cdef uint64_t first = device.second + 1
    cdef uint64_t at
    cdef uint32_t session, following
    if second <= device.second:
        return
    if device.timeless:
        begin_time(device, second)
    if device.used == 0:
        device.second = second
        return
    if second - device.second > AGES:
        first = second - AGES + 1
    device.second = second
    for at in range(first, second + 1):
        session = device.wheel[at % AGES]
        device.wheel[at % AGES] = 0
        while session:
            following = device.sessions[session - 1].next
            age(device, session)        # whatever it is, it has to stand somewhere
            if is_idle(device, &device.sessions[session - 1], second * SECOND_NS):
                end_device_session(device, session, CLOSE_TIMEOUT, second * SECOND_NS)
            session = following


# ---- a session's life ----

cdef uint32_t insert_session(device_t *device, const request_t *request, uint64_t now) noexcept nogil:
    cdef uint32_t session = device.free
    cdef session_t *it
    if session:
        device.free = device.sessions[session - 1].next
    else:
        device.fresh += 1
        session = device.fresh
        if session == MANY_SESSIONS:
            use_large_pages(device)
    if device.busy < now:
        device.busy = now
    device.busy += device.config.interval
    device.serial = device.serial % SERIALS + 1
    it = &device.sessions[session - 1]
    memset(it, 0, sizeof(session_t))
    it.last = it.told = device.busy + device.config.latency
    it.owner = request.owner
    it.start = <uint32_t>(it.last // SECOND_NS)
    it.serial = device.serial
    it.timeout = request.timeout
    it.action = request.action
    it.reason = request.reason
    age(device, session)
    device.used += 1
    device.inserted += 1
    device.waited += it.last - request.asked
    device.waited_most = max(device.waited_most, it.last - request.asked)
    return session


cdef void outgrow(device_t *device, session_t *it) noexcept nogil:
    cdef uint32_t number = device.grown_free
    cdef grown_t *row
    cdef uint32_t i
    if number:
        device.grown_free = device.grown[number - 1].next
    else:
        device.grown_used += 1
        number = device.grown_used
    row = &device.grown[number - 1]
    row.all = counters_of(device, it)
    row.told = told_last(device, it)
    for i in range(2):
        row.fresh.bytes[i] = it.fresh_bytes[i]
        row.fresh.pkts[i] = it.fresh_pkts[i]
        it.fresh_pkts[i] = 0
    it.bytes[0] = number
    it.outgrown = 1


cdef void count_beside(device_t *device, session_t *it, uint32_t length, uint32_t to_client) noexcept nogil:
    cdef grown_t *row
    if not it.outgrown:
        outgrow(device, it)
    row = grown_of(device, it)
    row.all.bytes[to_client] += length
    row.all.pkts[to_client] += 1
    if device.config.lag:
        row.fresh.bytes[to_client] += length
        row.fresh.pkts[to_client] += 1


cdef bint settle_batch(device_t *device, uint64_t now) noexcept nogil:
    cdef uint32_t i
    cdef bint fits = device.used + device.batch_count <= device.config.capacity
    for i in range(device.batch_count):
        device.batch[i].session = insert_session(device, &device.batch[i], now) if fits else 0
    device.settled = device.batch_count
    device.batches += 1
    if not fits:
        device.full += device.batch_count
        device.full_batches += 1
        device.back_off = (now // SECOND_NS + 1) * SECOND_NS
    device.batch_count = 0
    return fits


cdef void end_device_session(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil:
    cdef session_t *it = &device.sessions[session - 1]
    if device.sink != NULL:
        device.sink(device, session, code, now)
    if it.next:
        device.sessions[it.next - 1].prev = it.prev
    if it.prev & AGE_HEAD:
        device.wheel[it.prev & (AGES - 1)] = it.next
    else:
        device.sessions[it.prev - 1].next = it.next
    if it.outgrown:
        grown_of(device, it).next = device.grown_free
        device.grown_free = it.bytes[0]
        it.outgrown = 0
    it.owner = it.serial = 0
    it.next = device.free
    device.free = session
    device.used -= 1
    device.ended[code] += 1


cdef void keep_closed(device_t *device, uint32_t session, uint64_t id, uint8_t code, uint64_t now) noexcept nogil:
    cdef const session_t *it = &device.sessions[session - 1]
    cdef closed_t *closed
    if device.config.closed_room == 0:
        return
    if device.closed_count == device.config.closed_room:
        device.closed_first = (device.closed_first + 1) % device.config.closed_room
        device.closed_count -= 1
        device.closed_lost += 1
    closed = &device.closed[(device.closed_first + device.closed_count) % device.config.closed_room]
    closed.id = id
    closed.start = it.start * <uint64_t>SECOND_NS
    closed.end = now
    closed.counters = counters_of(device, it)
    closed.action = it.action
    closed.reason = it.reason
    closed.code = code
    closed.state = SESSION_CLOSED
    device.closed_count += 1


cdef void clear_device(device_t *device) noexcept nogil:
    device.used = device.fresh = device.free = device.grown_used = device.grown_free = 0
    device.batch_count = device.settled = device.timeless = 0
    device.second = device.busy = device.back_off = device.reported = 0
    memset(device.wheel, 0, sizeof(device.wheel))
