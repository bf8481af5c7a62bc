# See device.pxd.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
    void *MAP_FAILED
    void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset) noexcept
    int munmap(void *address, size_t length) noexcept


cdef int open_device(device_t *device, uint32_t capacity, uint64_t timeout) noexcept nogil:
    """0, or -1 when address space is lacking. A table takes memory as it fills."""
    memset(device, 0, sizeof(device_t))
    device.timeout = timeout
    if capacity == 0:
        return 0
    device.sessions = <session_t *>mmap(NULL, <size_t>capacity * sizeof(session_t), PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if <void *>device.sessions == MAP_FAILED:
        device.sessions = NULL
        return -1
    device.capacity = capacity
    return 0


cdef void close_device(device_t *device) noexcept nogil:
    if device.sessions != NULL:
        munmap(device.sessions, <size_t>device.capacity * sizeof(session_t))
    memset(device, 0, sizeof(device_t))


cdef uint32_t add_session(device_t *device, uint8_t action, uint64_t now) noexcept nogil:
    cdef uint32_t session = device.free
    if session:
        device.free = device.sessions[session - 1].next
    elif device.fresh < device.capacity:
        device.fresh += 1
        session = device.fresh
    else:
        device.full += 1
        return 0
    memset(&device.sessions[session - 1], 0, sizeof(session_t))
    device.sessions[session - 1].last = now
    device.sessions[session - 1].action = action
    device.used += 1
    device.added += 1
    return session


cdef void delete_session(device_t *device, uint32_t session) noexcept nogil:
    device.sessions[session - 1].next = device.free
    device.free = session
    device.used -= 1
