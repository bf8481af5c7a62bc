# Writes what a transaction has to say as MessagePack, which outputs decode into EVE: fields are declared where they are parsed.
# Text off the wire goes in as bin (put_bytes), numbers, flags and the project's own words as themselves. A map or array is opened
# with an unknown count, which its end fills in.
#
# Errors: none here. Where memory is refused the writer fails for good, and the row is dropped and counted by its reader.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, strlen

cdef enum:
    NESTING_MAX = 12
    RECORD_MAX = 1 << 20        # bytes of one record: hostile traffic says no more than this

cdef struct writer_t:
    uint8_t *data
    uint64_t length, room
    uint64_t start              # of the record at work
    bint failed
    uint32_t depth
    uint64_t opened[12]         # where the header of each open map or array stands
    uint32_t count[12]          # its elements so far


cdef inline bint put_raw(writer_t *writer, const void *data, uint32_t length) noexcept nogil:
    cdef uint64_t room
    cdef void *grown
    if writer.failed:
        return False
    if writer.length + length > writer.room:
        room = max(writer.length + length, writer.room * 2, <uint64_t> 65536)
        grown = NULL
        if writer.length + length - writer.start <= RECORD_MAX:
            grown = realloc(writer.data, room)
        if grown == NULL:
            writer.failed = True
            return False
        writer.data = <uint8_t *> grown
        writer.room = room
    if length:
        memcpy(writer.data + writer.length, data, length)
        writer.length += length
    return True


cdef inline void put_head(writer_t *writer, uint8_t code, uint64_t value, uint32_t width) noexcept nogil:
    """A code and a number behind it, big-endian."""
    cdef uint8_t head[9]
    cdef uint32_t i
    head[0] = code
    for i in range(width):
        head[1 + i] = <uint8_t> (value >> 8 * (width - 1 - i))
    put_raw(writer, head, 1 + width)


cdef inline void put_counted(writer_t *writer) noexcept nogil:
    if writer.depth:
        writer.count[writer.depth - 1] += 1


cdef inline void put_key(writer_t *writer, const char *key) noexcept nogil:
    """Of the map at work; its value must follow. At most 255 bytes."""
    cdef uint32_t length = <uint32_t> strlen(key)
    put_head(writer, 0xd9, length, 1)
    put_raw(writer, key, length)


cdef inline void put_uint(writer_t *writer, uint64_t value) noexcept nogil:
    put_counted(writer)
    put_head(writer, 0xcf, value, 8)


cdef inline void put_int(writer_t *writer, int64_t value) noexcept nogil:
    put_counted(writer)
    put_head(writer, 0xd3, <uint64_t> value, 8)


cdef inline void put_bool(writer_t *writer, bint value) noexcept nogil:
    put_counted(writer)
    put_head(writer, 0xc3 if value else 0xc2, 0, 0)


cdef inline void put_bytes(writer_t *writer, const uint8_t *data, uint32_t length) noexcept nogil:
    """Bytes off the wire: outputs escape what is not text."""
    put_counted(writer)
    put_head(writer, 0xc6, length, 4)
    put_raw(writer, data, length)


cdef inline void put_text(writer_t *writer, const char *text) noexcept nogil:
    """A word of the project's own, UTF-8."""
    cdef uint32_t length = <uint32_t> strlen(text)
    put_counted(writer)
    put_head(writer, 0xdb, length, 4)
    put_raw(writer, text, length)


cdef inline void put_hex(writer_t *writer, const uint8_t *data, uint32_t length, bint colons) noexcept nogil:
    """Bytes as lower-case hexadecimal text, with a colon between bytes if asked; at most 128 of them."""
    cdef char text[3 * 128]
    cdef const char *digits = b"0123456789abcdef"
    cdef uint32_t i, at = 0
    for i in range(min(length, <uint32_t> 128)):
        if colons and i:
            text[at] = 58
            at += 1
        text[at] = digits[data[i] >> 4]
        text[at + 1] = digits[data[i] & 15]
        at += 2
    put_counted(writer)
    put_head(writer, 0xdb, at, 4)
    put_raw(writer, text, at)


cdef inline void open_nested(writer_t *writer, uint8_t code) noexcept nogil:
    put_counted(writer)
    if writer.depth == NESTING_MAX:
        writer.failed = True
        return
    writer.opened[writer.depth] = writer.length
    writer.count[writer.depth] = 0
    writer.depth += 1
    put_head(writer, code, 0, 4)


cdef inline void open_map(writer_t *writer) noexcept nogil:
    open_nested(writer, 0xdf)


cdef inline void open_array(writer_t *writer) noexcept nogil:
    open_nested(writer, 0xdd)


cdef inline void close_nested(writer_t *writer) noexcept nogil:
    """Ends the map or array at work."""
    cdef uint32_t i, count
    cdef uint8_t *at
    if writer.failed or writer.depth == 0:
        return
    writer.depth -= 1
    at = writer.data + writer.opened[writer.depth]
    count = writer.count[writer.depth]
    for i in range(4):
        at[1 + i] = <uint8_t> (count >> 8 * (3 - i))


# Pairs, which is what rooms write most.

cdef inline void say_uint(writer_t *writer, const char *key, uint64_t value) noexcept nogil:
    put_key(writer, key)
    put_uint(writer, value)


cdef inline void say_bool(writer_t *writer, const char *key, bint value) noexcept nogil:
    put_key(writer, key)
    put_bool(writer, value)


cdef inline void say_bytes(writer_t *writer, const char *key, const uint8_t *data, uint32_t length) noexcept nogil:
    put_key(writer, key)
    put_bytes(writer, data, length)


cdef inline void say_text(writer_t *writer, const char *key, const char *text) noexcept nogil:
    put_key(writer, key)
    put_text(writer, text)
