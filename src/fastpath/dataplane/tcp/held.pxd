# What stream holds of a session in the pool: the bytes of each direction, the segments that they came in, selective
# acknowledgments, and the differing SYNs of a handshake.
#
# The bytes are runs: each without a hole, in order, none touching the next. Data that comes in order is one run, which grows
# at its end and is let go at its front. What comes too early begins a run of its own; where two runs meet, the shorter one is
# copied to the longer one. Offsets count from the first byte behind the SYN; they never wrap.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from fastpath.dataplane.pool cimport pool_give, pool_take, pool_take_raw, size_taken
from fastpath.dataplane.types cimport ACCOUNT_REASSEMBLY, ACCOUNT_STREAM, pool_t

cdef enum:
    RUNS_MAX = 1024             # holes in what is held of a direction
    MARKS_MAX = 16384           # segments held of a direction
    SACKS_MAX = 64
    MARKS_FEW = 6               # for which a side has room of its own
    ROOM_FIRST = 512            # bytes
    ROOM_BULK = 8192            # where as many went by already: for what comes between two windows of the raw stream

cdef enum side_flag:            # side_t.flags
    SIDE_DEPTH = 1 << 0         # reassembly depth was reached
    SIDE_END_SAID = 1 << 1
    SIDE_CUT_SAID = 1 << 2
    SIDE_GAP_SAID = 1 << 3      # the latest thing handed on was a gap
    SIDE_ENDED = 1 << 4         # a pseudo-packet: the flow is over
    SIDE_URGENT_SAID = 1 << 5   # no more bytes are taken out of band
    SIDE_OWN_RUN = 1 << 6       # side_t.own is one of its runs

cdef struct run_t:
    run_t *next
    uint64_t start              # offset of its first byte
    uint8_t *piece              # from the pool; the bytes begin at piece + head
    uint32_t room, head, length
    uint32_t reserved

cdef struct mark_t:             # a segment whose bytes are held
    uint32_t seq, length

cdef struct sack_t:
    uint32_t left, right

cdef struct offer_t:            # a SYN or SYN/ACK that may yet turn out to be the one
    uint32_t seq, ack, stamp
    uint16_t window
    uint8_t scale, has_stamp, has_scale, sack_ok
    uint16_t reserved

cdef struct side_t:             # one direction: two cache lines
    # what a segment in its order, an acknowledgment and the windows ask for
    uint64_t base               # offset of the first byte that may still be held
    uint64_t edge               # behind the last byte that came
    uint64_t app, raw           # handed on, inspected: up to here
    run_t *last
    run_t *runs                 # by offset
    uint32_t base_seq           # sequence number at base, less urgent_seen
    uint16_t marks_used, marks_room
    uint16_t run_count
    uint16_t urgent_seen        # bytes taken out of band so far: what follows counts without them
    uint8_t sacks_used
    uint8_t flags               # SIDE_*
    uint16_t reserved
    # second line
    mark_t *marks               # by sequence number, then length; with room for MARKS_FEW, those of held_t
    sack_t *sacks               # by left edge, not overlapping
    uint32_t depth              # up to which bytes are held; 0 no end
    uint32_t keep               # bytes behind raw that are kept: keep_raw
    run_t own                   # a place for a run: most often there is one

cdef struct held_t:
    side_t side[2]
    mark_t few[2][6]
    offer_t *offers
    uint32_t offers_used, offers_room


# ---- runs ----

cdef inline uint64_t run_end(const run_t *run) noexcept nogil:
    return run.start + run.length


cdef inline uint8_t *run_bytes(const run_t *run) noexcept nogil:
    return run.piece + run.head


cdef inline void give_run(pool_t *pool, side_t *side, run_t *run) noexcept nogil:
    pool_give(pool, ACCOUNT_REASSEMBLY, run.piece, run.room)
    if run == &side.own:
        side.flags &= <uint8_t>~SIDE_OWN_RUN
    else:
        pool_give(pool, ACCOUNT_REASSEMBLY, run, sizeof(run_t))


cdef inline bint widen(pool_t *pool, run_t *run, uint32_t front, uint32_t behind) noexcept nogil:
    """Room for so many bytes more before and behind the ones there; False where the account refuses."""
    cdef uint64_t wanted, room
    cdef uint8_t *piece
    if front <= run.head and behind <= run.room - run.head - run.length:
        return True
    wanted = <uint64_t>front + run.length + behind
    if wanted > 0x3fffffff:
        return False
    if front == 0 and wanted <= run.room and run.head >= run.length:    # at the front, where more was let go than is left
        memmove(run.piece, run_bytes(run), run.length)
        run.head = 0
        return True
    room = size_taken(max(wanted + wanted // 2, <uint64_t>ROOM_FIRST) if run.length else max(wanted, <uint64_t>ROOM_FIRST))
    piece = <uint8_t *>pool_take_raw(pool, ACCOUNT_REASSEMBLY, room)
    if piece == NULL:
        return False
    if front:                                                               # what grows forwards will do so again
        front = <uint32_t>(room - run.length - behind)
    if run.length:
        memcpy(piece + front, run_bytes(run), run.length)
    pool_give(pool, ACCOUNT_REASSEMBLY, run.piece, run.room)
    run.piece = piece
    run.room = <uint32_t>room
    run.head = front
    return True


cdef inline run_t *new_run(pool_t *pool, side_t *side, run_t *after, uint64_t start) noexcept nogil:
    """An empty run behind `after` (NULL: the first); NULL where the account refuses, or there are too many."""
    cdef run_t *run
    if side.run_count >= RUNS_MAX:
        return NULL
    if not side.flags & SIDE_OWN_RUN:
        side.flags |= SIDE_OWN_RUN
        run = &side.own
        memset(run, 0, sizeof(run_t))
    else:
        run = <run_t *>pool_take(pool, ACCOUNT_REASSEMBLY, sizeof(run_t))
    if run == NULL:
        return NULL
    run.start = start
    run.next = side.runs if after == NULL else after.next
    if after == NULL:
        side.runs = run
    else:
        after.next = run
    if side.last == after:
        side.last = run
    side.run_count += 1
    return run


cdef inline void drop_run(pool_t *pool, side_t *side, run_t *before, run_t *run) noexcept nogil:
    """`before`: the run before it, NULL for the first."""
    if before == NULL:
        side.runs = run.next
    else:
        before.next = run.next
    if side.last == run:
        side.last = before
    side.run_count -= 1
    give_run(pool, side, run)


cdef inline run_t *begin_run(pool_t *pool, side_t *side, run_t *after, uint64_t start, uint32_t length) noexcept nogil:
    """As new_run, with room for so many bytes."""
    cdef uint32_t room = ROOM_BULK if side.run_count == 0 and side.base >= ROOM_BULK else 0
    cdef run_t *run = new_run(pool, side, after, start)
    if run != NULL and not widen(pool, run, 0, max(length, room)):
        drop_run(pool, side, after, run)
        return NULL
    return run


cdef inline bint join_runs(pool_t *pool, side_t *side, run_t *first, run_t *second) noexcept nogil:
    """Two runs that touch become one: `first`. The shorter is copied."""
    cdef uint8_t *piece
    if first.length >= second.length:
        if not widen(pool, first, 0, second.length):
            return False
        memcpy(run_bytes(first) + first.length, run_bytes(second), second.length)
        first.length += second.length
    else:
        if not widen(pool, second, first.length, 0):
            return False
        second.head -= first.length
        memcpy(run_bytes(second), run_bytes(first), first.length)
        second.length += first.length
        piece = first.piece                 # the second's bytes move under the first's place in the list
        first.piece = second.piece
        second.piece = piece
        first.room, second.room = second.room, first.room
        first.head = second.head
        first.length = second.length
    drop_run(pool, side, first, second)
    return True


cdef inline bint fill_hole(pool_t *pool, side_t *side, run_t *before, uint64_t start, const uint8_t *data, uint32_t length,
                           run_t **filled) noexcept nogil:
    """Bytes that lie in no run, behind `before`. `filled`: the run that they are in now. False: refused, nothing has changed."""
    cdef run_t *following = side.runs if before == NULL else before.next
    cdef run_t *run
    if before != NULL and run_end(before) == start:
        if not widen(pool, before, 0, length):
            return False
        memcpy(run_bytes(before) + before.length, data, length)
        before.length += length
        run = before
    elif following != NULL and start + length == following.start:
        if not widen(pool, following, length, 0):
            return False
        following.head -= length
        following.start = start
        following.length += length
        memcpy(run_bytes(following), data, length)
        filled[0] = following
        return True
    else:
        run = begin_run(pool, side, before, start, length)
        if run == NULL:
            return False
        memcpy(run_bytes(run), data, length)
        run.length = length
    filled[0] = run
    if run.next != NULL and run_end(run) == run.next.start:
        # where there is no room to join them, they stay apart: readers go on from run to run
        join_runs(pool, side, run, run.next)
    return True


cdef inline bint write_bytes(pool_t *pool, side_t *side, uint64_t start, const uint8_t *data, uint32_t length) noexcept nogil:
    """Bytes over what is held, and into its holes. False where an account refused a part of it."""
    cdef run_t *before = NULL
    cdef run_t *run
    cdef uint32_t part
    if side.last != NULL and start >= side.last.start:      # the usual place, at the end
        before = side.last
    else:
        run = side.runs
        while run != NULL and run.start <= start:
            before = run
            run = run.next
    while length:
        if before != NULL and start < run_end(before):
            part = <uint32_t>min(<uint64_t>length, run_end(before) - start)
            memcpy(run_bytes(before) + (start - before.start), data, part)
        else:
            run = side.runs if before == NULL else before.next
            part = length if run == NULL else <uint32_t>min(<uint64_t>length, run.start - start)
            if part and not fill_hole(pool, side, before, start, data, part, &before):
                return False
            if part == 0:
                before = run
        start += part
        data += part
        length -= part
    return True


cdef inline const run_t *run_at(const side_t *side, uint64_t offset) noexcept nogil:
    """The run that holds this offset, or the first one behind it, or NULL."""
    cdef const run_t *run = side.runs
    while run != NULL and run_end(run) <= offset:
        run = run.next
    return run


cdef inline void read_bytes(const side_t *side, uint64_t start, uint8_t *data, uint32_t length) noexcept nogil:
    """What is held of a range; the bytes of `data` over holes stay as they are."""
    cdef const run_t *run = run_at(side, start)
    cdef uint64_t left, right
    while run != NULL and run.start < start + length:
        left = max(run.start, start)
        right = min(run_end(run), start + length)
        memcpy(data + (left - start), run_bytes(run) + (left - run.start), right - left)
        run = run.next


cdef inline void let_go(pool_t *pool, side_t *side, uint64_t offset) noexcept nogil:
    """Bytes before this offset are held no more."""
    cdef uint32_t i = 0, cut
    cdef run_t *run
    if offset <= side.base:
        return
    side.base_seq += <uint32_t>(offset - side.base)
    side.base = offset
    while side.runs != NULL and run_end(side.runs) <= offset:
        drop_run(pool, side, NULL, side.runs)
    run = side.runs
    if run != NULL and run.start < offset:
        cut = <uint32_t>(offset - run.start)
        run.head += cut
        run.length -= cut
        run.start = offset
    while i < side.marks_used and <int>(side.marks[i].seq + side.marks[i].length - side.base_seq) <= 0:
        i += 1
    if i:
        side.marks_used -= i
        if side.marks_used:
            memmove(side.marks, side.marks + i, side.marks_used * sizeof(mark_t))


# ---- marks ----

cdef inline void give_marks(pool_t *pool, side_t *side) noexcept nogil:
    if side.marks_room > MARKS_FEW:
        pool_give(pool, ACCOUNT_REASSEMBLY, side.marks, side.marks_room * sizeof(mark_t))
    side.marks = NULL
    side.marks_room = 0


cdef inline bint widen_marks(pool_t *pool, side_t *side) noexcept nogil:
    """Room for more of them; False where the account refuses, or there are too many."""
    cdef uint32_t room
    cdef mark_t *grown
    if side.marks_room >= MARKS_MAX:
        return False
    room = <uint32_t>(size_taken(max(64, side.marks_room * sizeof(mark_t) * 2)) // sizeof(mark_t))
    grown = <mark_t *>pool_take_raw(pool, ACCOUNT_REASSEMBLY, room * sizeof(mark_t))
    if grown == NULL:
        return False
    if side.marks_used:
        memcpy(grown, side.marks, side.marks_used * sizeof(mark_t))
    give_marks(pool, side)
    side.marks = grown
    side.marks_room = <uint16_t>room
    return True


cdef inline bint insert_mark(pool_t *pool, side_t *side, uint32_t at, uint32_t seq, uint32_t length) noexcept nogil:
    if side.marks_used == side.marks_room and not widen_marks(pool, side):
        return False
    memmove(side.marks + at + 1, side.marks + at, (side.marks_used - at) * sizeof(mark_t))
    side.marks[at].seq = seq
    side.marks[at].length = length
    side.marks_used += 1
    return True


cdef inline void remove_mark(side_t *side, uint32_t at) noexcept nogil:
    side.marks_used -= 1
    memmove(side.marks + at, side.marks + at + 1, (side.marks_used - at) * sizeof(mark_t))


# ---- the whole ----

cdef inline void begin_held(held_t *held, uint32_t depth) noexcept nogil:
    """`held` is zeroed."""
    cdef uint32_t i
    for i in range(2):
        held.side[i].depth = depth
        held.side[i].marks = held.few[i]
        held.side[i].marks_room = MARKS_FEW


cdef inline void turn_held(held_t *held) noexcept nogil:
    """What belongs to one direction belongs to the other, and what points at a place of its own, at that of the other."""
    cdef uint32_t i
    cdef side_t *side
    cdef run_t **link
    held.side[0], held.side[1] = held.side[1], held.side[0]
    for i in range(MARKS_FEW):
        held.few[0][i], held.few[1][i] = held.few[1][i], held.few[0][i]
    for i in range(2):
        side = &held.side[i]
        if side.marks_room == MARKS_FEW:
            side.marks = held.few[i]
        if side.last == &held.side[i ^ 1].own:
            side.last = &side.own
        link = &side.runs
        while link[0] != NULL:
            if link[0] == &held.side[i ^ 1].own:
                link[0] = &side.own
            link = &link[0].next


cdef inline void empty_side(pool_t *pool, side_t *side) noexcept nogil:
    """Gives back the bytes of a direction; how far it has come stays known."""
    cdef run_t *run
    while side.runs != NULL:
        run = side.runs
        side.runs = run.next
        give_run(pool, side, run)
    side.last = NULL
    side.run_count = 0
    give_marks(pool, side)
    side.marks_used = 0


cdef inline void give_held(pool_t *pool, held_t *held) noexcept nogil:
    cdef uint32_t i
    for i in range(2):
        empty_side(pool, &held.side[i])
        pool_give(pool, ACCOUNT_STREAM, held.side[i].sacks, SACKS_MAX * sizeof(sack_t))
    pool_give(pool, ACCOUNT_STREAM, held.offers, held.offers_room * sizeof(offer_t))
    pool_give(pool, ACCOUNT_STREAM, held, sizeof(held_t))
