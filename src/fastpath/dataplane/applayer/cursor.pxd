# The one checked reader. A read past the end gives zero and makes the cursor fail for good: a parser reads what it wants and
# asks once, at the end, whether all of it was there.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.wire.load cimport be16, be32, le16, le32, le64

cdef struct cursor_t:
    const uint8_t *at
    const uint8_t *end
    bint failed


cdef inline cursor_t cursor_over(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef cursor_t cursor
    cursor.at = data
    cursor.end = data + length
    cursor.failed = False
    return cursor


cdef inline uint32_t cursor_left(const cursor_t *cursor) noexcept nogil:
    return 0 if cursor.failed else <uint32_t> (cursor.end - cursor.at)


cdef inline const uint8_t *read_bytes(cursor_t *cursor, uint32_t length) noexcept nogil:
    """The next bytes, passed; NULL, and failed, where there are fewer."""
    cdef const uint8_t *at = cursor.at
    if cursor.failed or <uint64_t> (cursor.end - at) < length:
        cursor.failed = True
        return NULL
    cursor.at = at + length
    return at


cdef inline uint8_t read_u8(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 1)
    return 0 if at == NULL else at[0]


cdef inline uint16_t read_be16(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 2)
    return 0 if at == NULL else be16(at)


cdef inline uint32_t read_be24(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 3)
    return 0 if at == NULL else <uint32_t> at[0] << 16 | be16(at + 1)


cdef inline uint32_t read_be32(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 4)
    return 0 if at == NULL else be32(at)


cdef inline uint16_t read_le16(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 2)
    return 0 if at == NULL else le16(at)


cdef inline uint32_t read_le32(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 4)
    return 0 if at == NULL else le32(at)


cdef inline uint64_t read_le64(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 8)
    return 0 if at == NULL else le64(at)


cdef inline cursor_t read_within(cursor_t *cursor, uint32_t length) noexcept nogil:
    """A cursor over the next bytes, which this one passes; failed where there are fewer."""
    cdef cursor_t inner
    inner.at = read_bytes(cursor, length)
    inner.failed = cursor.failed
    inner.end = inner.at if inner.failed else inner.at + length
    return inner
