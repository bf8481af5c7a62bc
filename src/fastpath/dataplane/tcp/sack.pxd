# Selective acknowledgments (RFC 2018): what the other side has of a direction beyond its acknowledgment. They widen the
# window that segments are accepted in.
from libc.stdint cimport uint32_t
from libc.string cimport memmove

from fastpath.dataplane.tcp.held cimport SACKS_MAX, sack_t, side_t
from fastpath.dataplane.pool cimport pool_take
from fastpath.dataplane.tcp.segment cimport before, until, segment_t
from fastpath.dataplane.types cimport ACCOUNT_STREAM, pool_t, tcp_half_t
from fastpath.dataplane.wire.load cimport be32


cdef inline uint32_t sacked(const side_t *side) noexcept nogil:
    """Bytes acknowledged so."""
    cdef uint32_t i, size = 0
    for i in range(side.sacks_used):
        size += side.sacks[i].right - side.sacks[i].left
    return size


cdef inline void prune_sacks(side_t *side, uint32_t last_ack) noexcept nogil:
    cdef uint32_t gone = 0
    while gone < side.sacks_used and before(side.sacks[gone].right, last_ack):
        gone += 1
    if gone:
        side.sacks_used -= gone
        memmove(side.sacks, side.sacks + gone, side.sacks_used * sizeof(sack_t))
    if side.sacks_used and before(side.sacks[0].left, last_ack):
        side.sacks[0].left = last_ack


cdef inline void add_sack(side_t *side, uint32_t left, uint32_t right) noexcept nogil:
    """One range; what it touches becomes one with it. Beyond SACKS_MAX ranges it is forgotten."""
    cdef uint32_t first = 0, last
    while first < side.sacks_used and before(side.sacks[first].right, left):
        first += 1
    last = first
    while last < side.sacks_used and until(side.sacks[last].left, right):
        if before(side.sacks[last].left, left):
            left = side.sacks[last].left
        if before(right, side.sacks[last].right):
            right = side.sacks[last].right
        last += 1
    if last == first:
        if side.sacks_used == SACKS_MAX:
            return
        memmove(side.sacks + first + 1, side.sacks + first, (side.sacks_used - first) * sizeof(sack_t))
        side.sacks_used += 1
    elif last > first + 1:
        memmove(side.sacks + first + 1, side.sacks + last, (side.sacks_used - last) * sizeof(sack_t))
        side.sacks_used -= last - first - 1
    side.sacks[first].left = left
    side.sacks[first].right = right


cdef inline void take_sacks(pool_t *pool, side_t *side, const tcp_half_t *half, const segment_t *segment) noexcept nogil:
    """Those of a segment, about the direction of `side` and `half`."""
    cdef uint32_t i, left, right
    if side.sacks == NULL:
        side.sacks = <sack_t *>pool_take(pool, ACCOUNT_STREAM, SACKS_MAX * sizeof(sack_t))
        if side.sacks == NULL:
            return
    for i in range(segment.sacks):
        left = be32(segment.sack + 8 * i)
        right = be32(segment.sack + 8 * i + 4)
        if until(right, half.last_ack) or until(right, left) or before(half.last_ack + half.window, left):
            continue
        add_sack(side, left, right)
    prune_sacks(side, half.last_ack)


cdef inline bint sacks_nothing_new(const side_t *side, const tcp_half_t *half, const segment_t *segment) noexcept nogil:
    """`side`: NULL where nothing was acknowledged so before."""
    cdef uint32_t i, j, left, right
    for i in range(segment.sacks):
        left = be32(segment.sack + 8 * i)
        right = be32(segment.sack + 8 * i + 4)
        if until(right, half.last_ack):
            continue
        j = 0
        while side != NULL and j < side.sacks_used and (before(left, side.sacks[j].left)
                                                        or before(side.sacks[j].right, right)):
            j += 1
        if side == NULL or j == side.sacks_used:
            return False
    return True
