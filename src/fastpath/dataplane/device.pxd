# device: the session table of the emulated DPU, one slice a bucket. A session names what happens to the packets of a flow
# that no longer reach the inspectors: forwarded or dropped (sessionOffload v2: ActionType).
#
# Errors: a full slice refuses a session (SESSION_TABLE_FULL), counted in `full`; the flow stays with the inspectors.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.types cimport PM_TO_CLIENT, packet_meta_t

cdef enum offload_action:
    OFFLOAD_FORWARD = 1
    OFFLOAD_DROP = 2

cdef struct session_t:
    uint64_t last               # engine time of the latest packet, ns
    uint64_t bytes[2]
    uint64_t pkts[2]
    uint32_t next               # number of the next free one
    uint8_t action

cdef struct device_t:
    session_t *sessions
    uint32_t capacity           # of this slice; 0: no device
    uint32_t used, fresh, free
    uint64_t timeout            # idle, ns
    uint64_t added, full, timed_out, closed
    uint64_t pkts, bytes        # that hit

cdef int open_device(device_t *device, uint32_t capacity, uint64_t timeout) noexcept nogil
cdef void close_device(device_t *device) noexcept nogil

# Number (from 1) of a new session, 0 when the table is full.
cdef uint32_t add_session(device_t *device, uint8_t action, uint64_t now) noexcept nogil
cdef void delete_session(device_t *device, uint32_t session) noexcept nogil


# The action of the session, counted; 0 when it has aged out (the caller then deletes it).
cdef inline uint8_t hit_session(device_t *device, uint32_t session, const packet_meta_t *meta, uint64_t now) noexcept nogil:
    cdef session_t *it = &device.sessions[session - 1]
    cdef bint to_client = (meta.flags & PM_TO_CLIENT) != 0
    if now > it.last + device.timeout:
        return 0
    it.last = now
    it.pkts[to_client] += 1
    it.bytes[to_client] += meta.wirelen
    device.pkts += 1
    device.bytes += meta.wirelen
    return it.action
