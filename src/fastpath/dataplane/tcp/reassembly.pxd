# Putting a segment's bytes in their place among those held, and whose bytes hold where segments overlap: by what the receiving
# host runs (passive), or what was there first (inline). What each host does: Novak and Sturges, Target-Based TCP Stream
# Reassembly (2007), as Suricata 7.0.10 shows it.
#
# A new segment is weighed against each held segment that it overlaps; where the held one wins, its bytes are laid over the
# new ones. What then stands is written over all that is held.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.tcp.held cimport insert_mark, mark_t, read_bytes, remove_mark, side_t, write_bytes
from fastpath.dataplane.hosts cimport (
    OS_BSD, OS_HPUX10, OS_HPUX11, OS_IRIX, OS_LAST, OS_LINUX, OS_MACOS, OS_OLD_LINUX, OS_SOLARIS, OS_WINDOWS, OS_WINDOWS2K3,
)
from fastpath.dataplane.tcp.segment cimport before, until
from fastpath.dataplane.types cimport pool_t

cdef enum:
    SEGMENT_MAX = 65536

cdef enum insertion:
    INSERTED = 0
    INSERTED_DIFFERENT = 1      # over other bytes than these
    INSERT_REFUSED = 2          # memory
    INSERT_LIMIT = 3            # too many segments held


cdef inline bint newer_holds(uint8_t os, uint32_t seq, uint32_t end, const mark_t *held) noexcept nogil:
    """Whether a new segment's bytes replace those of a held one that it overlaps."""
    cdef uint32_t held_end = held.seq + held.length
    if os == OS_LAST:
        return True
    if os == OS_SOLARIS or os == OS_HPUX11:     # what reaches at least as far
        if before(held.seq, seq):
            return before(held_end, end)
        return until(held_end, end)
    if seq == held.seq:
        if os == OS_LINUX:
            return before(held_end, end)
        return os == OS_OLD_LINUX and until(held_end, end)
    if before(seq, held.seq):
        return os in (OS_BSD, OS_HPUX10, OS_IRIX, OS_WINDOWS, OS_WINDOWS2K3, OS_OLD_LINUX, OS_LINUX, OS_MACOS)
    return False


cdef inline uint32_t place_of(const side_t *side, uint32_t seq, uint32_t length) noexcept nogil:
    """Where a segment stands among the marks: behind those that begin before it, or there and are shorter."""
    cdef uint32_t low = 0, high = side.marks_used, middle
    cdef const mark_t *mark
    if high:
        mark = &side.marks[high - 1]
        if before(mark.seq, seq):
            return high
    while low < high:
        middle = (low + high) // 2
        mark = &side.marks[middle]
        if before(mark.seq, seq) or (mark.seq == seq and mark.length < length):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline bint overlaps_beside(const side_t *side, uint32_t at) noexcept nogil:
    """Whether the mark touches the bytes of its neighbours."""
    cdef const mark_t *mark = &side.marks[at]
    if at + 1 < side.marks_used and before(side.marks[at + 1].seq, mark.seq + mark.length):
        return True
    return at > 0 and before(mark.seq, side.marks[at - 1].seq + side.marks[at - 1].length)


cdef inline bint weigh(const side_t *side, uint8_t os, bint passive, bint compare, const mark_t *held, uint32_t seq,
                       const uint8_t *data, uint8_t *weighed, uint32_t length) noexcept nogil:
    """Lays the bytes of a held segment over `weighed` where they hold. True: the new ones, `data`, differ, and that was asked
    for."""
    cdef uint32_t end = seq + length
    cdef uint32_t left = seq if before(held.seq, seq) else held.seq
    cdef uint32_t right = held.seq + held.length
    cdef uint8_t old[SEGMENT_MAX]
    cdef bint different = True
    if before(left, side.base_seq):
        left = side.base_seq
    if before(end, right):
        right = end
    if until(right, left):
        return False
    if compare or not passive:
        memcpy(old, data + (left - seq), right - left)
        read_bytes(side, side.base + (left - side.base_seq), old, right - left)
        different = memcmp(old, data + (left - seq), right - left) != 0
    if different and not (passive and newer_holds(os, seq, end, held)):
        read_bytes(side, side.base + (left - side.base_seq), weighed + (left - seq), right - left)
    return compare and different


cdef inline bint weigh_all(const side_t *side, uint8_t os, bint passive, bint compare, uint32_t at, uint32_t seq,
                           const uint8_t *data, uint8_t *weighed, uint32_t length) noexcept nogil:
    """Against the marks around `at`, its own: back until one ends before the segment, and on until one begins behind it."""
    cdef bint different = False
    cdef uint32_t i = at
    cdef const mark_t *held
    while i > 0:
        i -= 1
        held = &side.marks[i]
        if until(held.seq + held.length, side.base_seq):
            continue
        if until(held.seq + held.length, seq):
            break
        different |= weigh(side, os, passive, compare, held, seq, data, weighed, length)
    i = at + 1
    while i < side.marks_used and before(side.marks[i].seq, seq + length):
        different |= weigh(side, os, passive, compare, &side.marks[i], seq, data, weighed, length)
        i += 1
    return different


cdef inline bint write_segment(pool_t *pool, side_t *side, uint32_t seq, const uint8_t *data, uint32_t length) noexcept nogil:
    """What lies before the base is not held any more, and not taken again."""
    cdef uint32_t cut
    if before(seq, side.base_seq):
        cut = side.base_seq - seq
        if cut >= length:
            return True
        return write_bytes(pool, side, side.base, data + cut, length - cut)
    return write_bytes(pool, side, side.base + (seq - side.base_seq), data, length)


cdef inline uint32_t insert_overlapping(pool_t *pool, side_t *side, uint8_t os, bint passive, bint compare, uint32_t at,
                                        bint twice, uint32_t seq, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint8_t weighed[SEGMENT_MAX]
    cdef bint different = False
    memcpy(weighed, data, length)
    if twice:
        different = weigh(side, os, passive, compare, &side.marks[at], seq, data, weighed, length) and not passive
    different |= weigh_all(side, os, passive, compare, at, seq, data, weighed, length)
    if not write_segment(pool, side, seq, weighed, length):
        return INSERT_REFUSED
    return INSERTED_DIFFERENT if different else INSERTED


cdef inline uint32_t insert_segment(pool_t *pool, side_t *side, uint8_t os, bint passive, bint compare, uint32_t seq,
                                    const uint8_t *data, uint32_t length) noexcept nogil:
    """enum insertion. The segment ends behind the base; `length` is not 0."""
    cdef uint32_t at = place_of(side, seq, length)
    cdef uint32_t outcome
    cdef uint64_t end = side.base + <uint32_t>(seq + length - side.base_seq)
    cdef bint twice = at < side.marks_used and side.marks[at].seq == seq and side.marks[at].length == length
    if not twice:
        if not insert_mark(pool, side, at, seq, length):
            return INSERT_LIMIT
        if end > side.edge:
            side.edge = end
    if not twice and (side.marks_used == 1 or not overlaps_beside(side, at)):
        outcome = INSERTED if write_segment(pool, side, seq, data, length) else INSERT_REFUSED
    else:
        outcome = insert_overlapping(pool, side, os, passive, compare, at, twice, seq, data, length)
    if outcome == INSERT_REFUSED and not twice:
        remove_mark(side, at)
    return outcome
