# Information elements, one after another and in groups: a type, a length, a value (3GPP TS 29.274 section 8.2.1, TS 29.244
# section 8.1.1).
from libc.stdint cimport uint32_t

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_t, read_be16, read_u8, read_within

cdef enum:
    ELEMENTS_DEPTH_MAX = 4      # of groups, the message counted

cdef enum element_told:
    ELEMENT_READ
    ELEMENTS_OVER               # all of them have been
    ELEMENTS_BROKEN             # one does not fit, or there are too many

cdef struct elements_t:
    cursor_t level[4]
    uint32_t depth, depth_max   # of groups; the message itself is 0
    uint32_t seen, most         # elements

cdef struct element_t:
    uint32_t kind, length
    cursor_t data


cdef inline elements_t elements_of(cursor_t message, uint32_t most, uint32_t depth_max) noexcept nogil:
    """depth_max: levels that are looked at, ELEMENTS_DEPTH_MAX at most."""
    cdef elements_t walk
    walk.level[0] = message
    walk.depth = walk.seen = 0
    walk.depth_max = depth_max
    walk.most = most
    return walk


cdef inline uint32_t next_element(elements_t *walk, bint wide, element_t *element) noexcept nogil:
    """enum element_told. wide: the type has two bytes; else it has one, and one follows the length (spare, instance)."""
    cdef cursor_t *level
    while cursor_left(&walk.level[walk.depth]) == 0:
        if walk.level[walk.depth].failed:
            return ELEMENTS_BROKEN
        if walk.depth == 0:
            return ELEMENTS_OVER
        walk.depth -= 1
    level = &walk.level[walk.depth]
    walk.seen += 1
    if walk.seen > walk.most:
        return ELEMENTS_BROKEN
    element.kind = read_be16(level) if wide else read_u8(level)
    element.length = read_be16(level)
    if not wide:
        read_u8(level)
    element.data = read_within(level, element.length)
    return ELEMENTS_BROKEN if element.data.failed else ELEMENT_READ


cdef inline bint enter_group(elements_t *walk, const element_t *element) noexcept nogil:
    """The elements of this one are the next; False where that is too deep."""
    if walk.depth + 1 >= walk.depth_max:
        return False
    walk.depth += 1
    walk.level[walk.depth] = element.data
    return True
