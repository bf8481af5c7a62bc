"""Receive rings and the cores behind them, packet by packet: how many are lost at a load, and how full a ring becomes."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

cdef struct ring_t:
    uint64_t *ends              # when each packet in the ring will be done, ns; a ring of `depth`
    uint64_t first, count
    uint64_t busy               # until when its core works
    uint64_t worked             # ns


cdef void feed(const uint64_t *arrivals, const uint32_t *services, const uint16_t *queues, uint64_t packets, uint32_t depth,
               ring_t *rings, uint64_t *totals) noexcept nogil:
    """totals: lost packets, most in a ring, sum of waiting, ns, packets that were taken."""
    cdef uint64_t i, at
    cdef ring_t *ring
    for i in range(packets):
        ring = &rings[queues[i]]
        at = arrivals[i]
        while ring.count and ring.ends[ring.first] <= at:
            ring.first = (ring.first + 1) % depth
            ring.count -= 1
        if ring.count == depth:
            totals[0] += 1
            continue
        if ring.busy < at:
            ring.busy = at
        totals[2] += ring.busy - at
        ring.busy += services[i]
        ring.worked += services[i]
        ring.ends[(ring.first + ring.count) % depth] = ring.busy
        ring.count += 1
        totals[3] += 1
        if ring.count > totals[1]:
            totals[1] = ring.count


def run_queues(arrivals, services, queues, uint32_t cores, uint32_t depth):
    """Packets arrive in order, each at the ring of its core, which holds `depth` packets, the one being worked on among them; a
    packet that finds it full is lost.

    arrivals: uint64, ns, ascending; services: uint32, ns that a core takes for each; queues: uint16, below `cores`. A dict: lost
    and taken (packets), deepest (most packets in a ring), wait_ns (mean, until a core began), busy (by core: share of the time
    that it worked). Without the GIL. ValueError where the arrays do not fit each other.
    """
    cdef const uint64_t[::1] when = np.ascontiguousarray(arrivals, "u8")
    cdef const uint32_t[::1] cost = np.ascontiguousarray(services, "u4")
    cdef const uint16_t[::1] where = np.ascontiguousarray(queues, "u2")
    cdef uint64_t packets = len(when)
    cdef uint64_t totals[4]
    cdef uint32_t i
    cdef ring_t *rings
    if len(cost) != packets or len(where) != packets:
        raise ValueError(f"{packets} arrivals, {len(cost)} services and {len(where)} queues")
    if not 1 <= cores <= 65536 or depth < 1 or (packets and int(np.max(queues)) >= cores):
        raise ValueError(f"{cores} cores with rings of {depth} packets cannot take packets for core "
                         f"{int(np.max(queues)) if packets else 0}")
    if packets == 0:
        return {"lost": 0, "taken": 0, "deepest": 0, "wait_ns": 0.0, "busy": [0.0] * cores}
    totals[0] = totals[1] = totals[2] = totals[3] = 0
    rings = <ring_t *>calloc(cores, sizeof(ring_t))
    if rings == NULL:
        raise MemoryError("no memory for the rings")
    try:
        for i in range(cores):
            rings[i].ends = <uint64_t *>calloc(depth, sizeof(uint64_t))
            if rings[i].ends == NULL:
                raise MemoryError(f"no memory for a ring of {depth} packets")
        with nogil:
            feed(&when[0], &cost[0], &where[0], packets, depth, rings, totals)
        lasted = max(1, when[packets - 1] - when[0])
        return {"lost": totals[0], "taken": totals[3], "deepest": totals[1], "wait_ns": totals[2] / max(1, totals[3]),
                "busy": [min(1.0, rings[i].worked / lasted) for i in range(cores)]}
    finally:
        for i in range(cores):
            free(rings[i].ends)
        free(rings)
