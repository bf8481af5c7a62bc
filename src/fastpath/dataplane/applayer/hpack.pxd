# HPACK (RFC 7541): header fields out of a header block, and the dynamic table that they leave behind.
#
# A table holds what its owner says may be kept: beyond that the oldest fields are forgotten, as when they were evicted, and an
# index that means one of them means none. What a field says stands in hpack_t.scratch until the next one is read.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport app_context_t
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_t, read_bytes, read_u8
from fastpath.dataplane.pool cimport bytes_append, bytes_drop, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t

cdef extern from "applayer/hpack_tables.h" nogil:
    ctypedef struct hpack_length_t:
        uint32_t below, first
        uint16_t symbol
        uint8_t bits
    ctypedef struct hpack_pair_t:
        const char *name
        const char *value
        uint16_t name_length, value_length
    const hpack_length_t hpack_lengths[]
    const uint16_t hpack_symbols[257]
    const hpack_pair_t hpack_static[]
    enum:
        HPACK_LENGTHS, HPACK_EOS, HPACK_STATIC

cdef enum:
    FIELD_OVERHEAD = 32         # of a field in the table, section 4.1
    TABLE_FIRST = 4096          # bytes of a table before anybody says another size
    SCRATCH_KEPT = 4096         # bytes of room that stay between header blocks
    ENTRIES_LAZY = 64           # evicted entries that may wait until their memory is used again

cdef enum field_status:
    FIELD_OK
    FIELD_SIZE                  # no field: the table changes its size
    FIELD_UNKNOWN               # its index means nothing
    FIELD_ZERO                  # its index is 0
    FIELD_OVERFLOW              # a number is too large: nothing behind it can be read
    FIELD_CUT                   # the block ends within it
    FIELD_REFUSED               # by the memory

cdef struct hpack_entry_t:
    uint64_t at                 # of its name, counted from the first byte that ever was in the table; the value is behind it
    uint32_t name_length, value_length

cdef struct hpack_t:            # what one direction encodes with
    bytes_t text                # of the entries, from `base` on
    bytes_t entries             # hpack_entry_t, oldest first; those before `first` are evicted
    bytes_t scratch             # name and value of the field at work
    uint64_t base
    uint32_t first, size, most  # most: as the encoder has said, no more than may be kept
    uint8_t ready               # `most` is set

cdef struct field_t:
    uint32_t name_length, value_length      # of scratch: the value is behind the name
    uint64_t size               # FIELD_SIZE


cdef inline hpack_entry_t *entry_at(const hpack_t *hpack, uint32_t index) noexcept nogil:
    cdef void *entries = hpack.entries.data
    return <hpack_entry_t *> entries + index


cdef inline uint32_t entries_of(const hpack_t *hpack) noexcept nogil:
    """Evicted ones among them."""
    return hpack.entries.length // <uint32_t> sizeof(hpack_entry_t)


cdef inline void free_hpack(app_context_t *context, hpack_t *hpack) noexcept nogil:
    bytes_free(context.pool, ACCOUNT_APPLAYER, &hpack.text)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &hpack.entries)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &hpack.scratch)


cdef inline void block_done(app_context_t *context, hpack_t *hpack) noexcept nogil:
    if hpack.scratch.room > SCRATCH_KEPT:
        bytes_free(context.pool, ACCOUNT_APPLAYER, &hpack.scratch)


# ---- the table ----

cdef inline void evict_to(hpack_t *hpack, uint32_t size) noexcept nogil:
    """Evicts from the oldest on until the table has no more than so many bytes. What lies there is moved up once half of it is
    evicted."""
    cdef hpack_entry_t *entry
    cdef uint32_t count = entries_of(hpack), dead
    while hpack.first < count and hpack.size > size:
        entry = entry_at(hpack, hpack.first)
        hpack.size -= FIELD_OVERHEAD + entry.name_length + entry.value_length
        hpack.first += 1
    if hpack.first == count:
        hpack.base += hpack.text.length
        hpack.text.length = hpack.entries.length = hpack.first = hpack.size = 0
    elif hpack.first >= ENTRIES_LAZY and hpack.first * 2 >= count:
        dead = <uint32_t> (entry_at(hpack, hpack.first).at - hpack.base)
        bytes_drop(&hpack.text, dead)
        hpack.base += dead
        bytes_drop(&hpack.entries, hpack.first * <uint32_t> sizeof(hpack_entry_t))
        hpack.first = 0


cdef inline void forget_table(hpack_t *hpack) noexcept nogil:
    """A header block was not read: what the table holds now nobody can say."""
    evict_to(hpack, 0)


cdef inline void resize_table(hpack_t *hpack, uint64_t size, uint32_t most) noexcept nogil:
    hpack.most = <uint32_t> min(size, <uint64_t> most)
    hpack.ready = True
    evict_to(hpack, hpack.most)


cdef inline bint enter_field(app_context_t *context, hpack_t *hpack, const field_t *field) noexcept nogil:
    """The field in scratch becomes the newest entry; one that is larger than the table empties it. False: memory is refused, and
    the table is empty."""
    cdef uint64_t size = <uint64_t> FIELD_OVERHEAD + field.name_length + field.value_length
    cdef hpack_entry_t entry
    if not hpack.ready:
        resize_table(hpack, TABLE_FIRST, context.config.http2.max_table)
    if size > hpack.most:
        evict_to(hpack, 0)
        return True
    evict_to(hpack, hpack.most - <uint32_t> size)
    entry.at = hpack.base + hpack.text.length
    entry.name_length = field.name_length
    entry.value_length = field.value_length
    if not (bytes_append(context.pool, ACCOUNT_APPLAYER, &hpack.text, hpack.scratch.data, field.name_length + field.value_length)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, &hpack.entries, <const uint8_t *> &entry, sizeof(entry))):
        evict_to(hpack, 0)
        return False
    hpack.size += <uint32_t> size
    return True


cdef inline bint find_entry(const hpack_t *hpack, uint64_t index, const uint8_t **name, uint32_t *name_length,
                            const uint8_t **value, uint32_t *value_length) noexcept nogil:
    """The field of an index: 1 to 61 the static ones, from 62 on the dynamic ones, newest first (section 2.3.3)."""
    cdef const hpack_entry_t *entry
    cdef uint32_t count = entries_of(hpack)
    if index <= HPACK_STATIC:
        name[0] = <const uint8_t *> hpack_static[index - 1].name
        name_length[0] = hpack_static[index - 1].name_length
        value[0] = <const uint8_t *> hpack_static[index - 1].value
        value_length[0] = hpack_static[index - 1].value_length
        return True
    index -= HPACK_STATIC + 1
    if index >= count - hpack.first:
        return False
    entry = entry_at(hpack, count - 1 - <uint32_t> index)
    name[0] = hpack.text.data + (entry.at - hpack.base)
    name_length[0] = entry.name_length
    value[0] = name[0] + entry.name_length
    value_length[0] = entry.value_length
    return True


# ---- numbers and strings ----

cdef inline uint32_t read_number(cursor_t *cursor, uint32_t first, uint32_t mask, uint64_t *value) noexcept nogil:
    """Section 5.1. first: the byte that it begins in, mask: its bits there. One that goes on beyond 64 bits is 0, as in Suricata;
    one that is but too large by its sum overflows."""
    cdef uint32_t shift = 0
    cdef uint8_t byte
    cdef bint beyond = False
    value[0] = first & mask
    if value[0] < mask:
        return FIELD_OK
    while True:
        byte = read_u8(cursor)
        if cursor.failed:
            return FIELD_CUT
        if beyond or shift > 63 or shift == 63 and byte > 1:
            beyond = True
            if not byte & 0x80:
                value[0] = 0
                return FIELD_OK
            continue
        if value[0] + (<uint64_t> (byte & 0x7f) << shift) < value[0]:
            return FIELD_OVERFLOW
        value[0] += <uint64_t> (byte & 0x7f) << shift
        if not byte & 0x80:
            return FIELD_OK
        shift += 7


cdef inline bint unpack_huffman(app_context_t *context, bytes_t *out, const uint8_t *data, uint32_t length) noexcept nogil:
    """Section 5.2. What is no code ends the string, as padding does. False: memory is refused."""
    cdef uint8_t part[256]
    cdef const hpack_length_t *row
    cdef uint64_t window = 0    # its highest bits are the next ones
    cdef uint32_t bits = 0, at = 0, count = 0, top, i
    while True:
        while bits <= 56 and at < length:
            window |= <uint64_t> data[at] << (56 - bits)
            bits += 8
            at += 1
        top = <uint32_t> (window >> 32)
        i = 0
        while i < HPACK_LENGTHS - 1 and top >= hpack_lengths[i].below:
            i += 1
        row = &hpack_lengths[i]
        if row.bits > bits:
            break
        i = hpack_symbols[row.symbol + ((top - row.first) >> (32 - row.bits))]
        if i == HPACK_EOS:
            break
        part[count] = <uint8_t> i
        count += 1
        if count == sizeof(part):
            if not bytes_append(context.pool, ACCOUNT_APPLAYER, out, part, count):
                return False
            count = 0
        window <<= row.bits
        bits -= row.bits
    return bytes_append(context.pool, ACCOUNT_APPLAYER, out, part, count)


cdef inline uint32_t read_string(app_context_t *context, hpack_t *hpack, cursor_t *cursor, uint32_t *size) noexcept nogil:
    """Appended to scratch."""
    cdef uint8_t first = read_u8(cursor)
    cdef uint64_t length = 0
    cdef uint32_t said, before = hpack.scratch.length
    cdef const uint8_t *data
    cdef bint held
    if cursor.failed:
        return FIELD_CUT
    said = read_number(cursor, first, 0x7f, &length)
    if said != FIELD_OK:
        return said
    if length > cursor_left(cursor):
        return FIELD_CUT
    data = read_bytes(cursor, <uint32_t> length)
    if first & 0x80:
        held = unpack_huffman(context, &hpack.scratch, data, <uint32_t> length)
    else:
        held = bytes_append(context.pool, ACCOUNT_APPLAYER, &hpack.scratch, data, <uint32_t> length)
    size[0] = hpack.scratch.length - before
    return FIELD_OK if held else FIELD_REFUSED


# ---- fields ----

cdef inline uint32_t take_entry(app_context_t *context, hpack_t *hpack, uint64_t index, bint whole,
                                field_t *field) noexcept nogil:
    """Name, and with `whole` value, of an entry into scratch."""
    cdef const uint8_t *name = NULL
    cdef const uint8_t *value = NULL
    cdef uint32_t name_length = 0, value_length = 0
    if index == 0:
        return FIELD_ZERO
    if not find_entry(hpack, index, &name, &name_length, &value, &value_length):
        return FIELD_UNKNOWN
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &hpack.scratch, name, name_length):
        return FIELD_REFUSED
    field.name_length = name_length
    if whole:
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &hpack.scratch, value, value_length):
            return FIELD_REFUSED
        field.value_length = value_length
    return FIELD_OK


cdef inline uint32_t read_field(app_context_t *context, hpack_t *hpack, cursor_t *cursor, field_t *field) noexcept nogil:
    """The next field of a block, of which there is at least one byte left (section 6; enum field_status). Where its name is
    unknown its value is read all the same."""
    cdef uint8_t first = read_u8(cursor)
    cdef uint64_t index = 0
    cdef uint32_t said, named = FIELD_OK
    cdef bint kept = first & 0xc0 == 0x40
    hpack.scratch.length = 0
    field.name_length = field.value_length = 0
    field.size = 0
    if first & 0x80:
        said = read_number(cursor, first, 0x7f, &index)
        return take_entry(context, hpack, index, True, field) if said == FIELD_OK else said
    if first & 0xe0 == 0x20:
        said = read_number(cursor, first, 0x1f, &field.size)
        if said != FIELD_OK:
            return said
        resize_table(hpack, field.size, context.config.http2.max_table)
        return FIELD_SIZE
    said = read_number(cursor, first, 0x3f if kept else 0x0f, &index)
    if said != FIELD_OK:
        return said
    if index:
        named = take_entry(context, hpack, index, False, field)
        if named == FIELD_REFUSED:
            return named
    else:
        said = read_string(context, hpack, cursor, &field.name_length)
        if said != FIELD_OK:
            return said
    said = read_string(context, hpack, cursor, &field.value_length)
    if said != FIELD_OK:
        return said
    if named != FIELD_OK:
        field.value_length = 0
        return named
    if kept and not enter_field(context, hpack, field):
        return FIELD_REFUSED
    return FIELD_OK
