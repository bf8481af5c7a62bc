# ring: verdicts on their way to whoever reads them, one producer (the thread that retires bursts) and one consumer (any thread of
# Python's), without a lock. The producer writes rows and then `head`, the consumer reads rows and then writes `tail`; each
# counts up
# for ever, and a row lies at its number modulo the size.
#
# Where the ring is full the producer waits (RING_WAIT), or the row is lost and counted.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.threads cimport clock_ns, load_acquire, rarely, sched_yield, store_release
from fastpath.dataplane.types cimport NO_RULE, REASON_POLICY, verdict_t

cdef struct ring_row_t:         # mirrored by rows.RING
    uint64_t ordinal, flow
    uint32_t rule               # in the order of the run's rule sets; of REASON_POLICY the line
    uint8_t action, reason, ledger, alerts

cdef struct ring_t:
    ring_row_t *rows
    uint64_t size               # a power of two
    bint wait
    uint64_t closed             # by the consumer, or for it: nothing is written any more
    uint64_t lost, waited_ns
    char apart[64]              # producer and consumer write to cache lines of their own
    uint64_t head, written      # published; written, but not published yet
    uint64_t seen               # `tail`, as the producer read it last
    char apart2[64]
    uint64_t tail


cdef inline void publish_rows(ring_t *ring) noexcept nogil:
    store_release(&ring.head, ring.written)


cdef inline bint has_room(ring_t *ring) noexcept nogil:
    """Is there room for one more row? Waits for it where that is the policy."""
    cdef uint64_t started
    if ring.written - ring.seen < ring.size:
        return True
    ring.seen = load_acquire(&ring.tail)
    if ring.written - ring.seen < ring.size:
        return True
    publish_rows(ring)
    if not ring.wait:
        ring.lost += 1
        return False
    started = clock_ns()
    while ring.written - ring.seen >= ring.size and not load_acquire(&ring.closed):
        sched_yield()
        ring.seen = load_acquire(&ring.tail)
    ring.waited_ns += clock_ns() - started
    return ring.written - ring.seen < ring.size


cdef inline void write_row(ring_t *ring, uint64_t ordinal, const verdict_t *verdict, uint32_t base) noexcept nogil:
    """One verdict; publish_rows shows it to the consumer. base: what rule numbers begin with."""
    cdef ring_row_t *row
    if rarely(load_acquire(&ring.closed)) or not has_room(ring):
        return
    row = &ring.rows[ring.written & (ring.size - 1)]
    row.ordinal = ordinal
    row.flow = verdict.flow
    row.rule = verdict.rule
    if verdict.rule != NO_RULE and verdict.reason != REASON_POLICY:
        row.rule += base
    row.action = verdict.action
    row.reason = verdict.reason
    row.ledger = verdict.ledger
    row.alerts = verdict.alerts
    ring.written += 1


cdef class Ring:
    cdef ring_t ring
