# Numbers in a buffer: byte_test, byte_jump, byte_extract, byte_math and isdataat.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.program cimport *

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <stdlib.h>
    #include <string.h>
    /* A number written as text: how many characters it took, -1 for none or one that does not fit 64 bits. */
    static inline int fastpath_numeral(const uint8_t *at, uint32_t length, int base, uint64_t *value)
    {
        char text[NUMERAL_MAX + 1];
        char *end;
        if (length > NUMERAL_MAX)
            return -1;
        memcpy(text, at, length);
        text[length] = 0;
        errno = 0;
        *value = strtoull(text, &end, base);
        return errno == ERANGE || end == text ? -1 : (int)(end - text);
    }
    """
    int numeral "fastpath_numeral"(const uint8_t *at, uint32_t length, int base, uint64_t *value) noexcept
    int ctz "__builtin_ctz"(unsigned int) noexcept


cdef inline const uint8_t *number_at(const byte_op_t *op, const match_scratch_t *scratch, const uint8_t *data, uint32_t length,
                                     uint32_t *width) noexcept nogil:
    """Where the number of this op begins, if all its bytes lie in the buffer, and how many they are; NULL if not."""
    cdef int64_t offset = <int64_t> scratch.values[op.offset] if op.flags & BYTE_OFFSET_VAR else op.offset
    cdef uint64_t nbytes = scratch.values[op.nbytes] if op.flags & NBYTES_VAR else op.nbytes
    if op.flags & RELATIVE:
        if scratch.cursor >= length and nbytes:
            return NULL
        offset += scratch.cursor
    if offset < 0 or offset > length or nbytes > length - <uint64_t> offset:
        return NULL
    if op.base == 0 and nbytes > 8:
        return NULL
    width[0] = <uint32_t> nbytes
    return data + offset


cdef inline uint32_t rest_from(const uint8_t *at, const uint8_t *data, uint32_t length) noexcept nogil:
    return <uint32_t> min(<uint64_t> NUMERAL_MAX, length - <uint64_t> (at - data))


cdef inline bint read_number(const byte_op_t *op, const match_scratch_t *scratch, const uint8_t *at, uint32_t width,
                             uint32_t rest,
                             uint64_t *value, uint32_t *taken) noexcept nogil:
    """`rest`: bytes from `at` to the end of the buffer, NUMERAL_MAX at most."""
    cdef bint little = op.flags & LITTLE_ENDIAN_BYTES or op.flags & DCE_BYTES and scratch.view_little
    cdef uint32_t i
    cdef int characters
    value[0] = 0
    taken[0] = width
    if op.base:
        # no width at all: Suricata reads on as far as the digits go
        characters = numeral(at, width if width else rest, op.base, value)
        if characters < 0:
            return False
        taken[0] = <uint32_t> characters
        return True
    for i in range(width):
        value[0] = value[0] << 8 | at[width - 1 - i if little else i]
    return True


cdef inline uint64_t masked(const byte_op_t *op, uint64_t value) noexcept nogil:
    """The bits under the mask, moved down by its trailing zeros."""
    if not op.flags & HAS_BITMASK or op.bitmask == 0:
        return value
    return (value & op.bitmask) >> ctz(op.bitmask)


cdef inline bint byte_test_holds(const byte_op_t *op, const match_scratch_t *scratch, const uint8_t *data,
                                 uint32_t length) noexcept nogil:
    cdef uint32_t width, taken
    cdef uint64_t found, against = scratch.values[op.value] if op.flags & VALUE_VAR else op.value
    cdef bint holds
    cdef const uint8_t *at = number_at(op, scratch, data, length, &width)
    if at == NULL or (op.flags & RELATIVE and at == data + length):
        return False
    if not read_number(op, scratch, at, width, rest_from(at, data, length), &found, &taken):
        return False
    found = masked(op, found)
    if op.what == TEST_LT:
        holds = found < against
    elif op.what == TEST_GT:
        holds = found > against
    elif op.what == TEST_EQ:
        holds = found == against
    elif op.what == TEST_LE:
        holds = found <= against
    elif op.what == TEST_GE:
        holds = found >= against
    elif op.what == TEST_AND:
        holds = (found & against) != 0
    else:
        holds = (found ^ against) != 0
    return holds != ((op.flags & NEGATED) != 0)


cdef inline bint byte_jump_lands(const byte_op_t *op, match_scratch_t *scratch, const uint8_t *data,
                                 uint32_t length) noexcept nogil:
    """Moves the cursor, at least to the start of the buffer; False where there is no number or the target lies behind it."""
    cdef uint32_t width, taken
    cdef uint64_t value
    cdef int64_t target
    cdef const uint8_t *at = number_at(op, scratch, data, length, &width)
    if at == NULL or not read_number(op, scratch, at, width, rest_from(at, data, length), &value, &taken):
        return False
    value = masked(op, value) * op.multiplier
    if op.what and value % 4:
        value += 4 - value % 4
    if op.flags & VALUE_VAR:
        value += scratch.values[op.post]
    else:
        value += <uint64_t> <int64_t> op.post
    if op.flags & FROM_BEGINNING:
        target = <int64_t> value
    elif op.flags & FROM_END:
        target = <int64_t> (length + value)
    else:
        target = <int64_t> (<uint64_t> (at - data) + taken + value)
    if target > length:
        return False
    scratch.cursor = <uint32_t> max(target, 0)
    return True


cdef inline bint byte_extract_reads(const byte_op_t *op, match_scratch_t *scratch, const uint8_t *data,
                                    uint32_t length) noexcept nogil:
    """Sets the variable and moves the cursor behind the number."""
    cdef uint32_t width, taken
    cdef uint64_t value
    cdef const uint8_t *at = number_at(op, scratch, data, length, &width)
    if at == NULL or not read_number(op, scratch, at, width, rest_from(at, data, length), &value, &taken):
        return False
    value *= op.multiplier
    if op.what and value % op.what:
        value += op.what - value % op.what
    scratch.values[op.result] = value
    scratch.cursor = <uint32_t> (at - data) + taken
    return True


cdef inline bint byte_math_gives(const byte_op_t *op, match_scratch_t *scratch, const uint8_t *data,
                                 uint32_t length) noexcept nogil:
    """Sets the variable and moves the cursor behind the number; division by zero does not match."""
    cdef uint32_t width, taken
    cdef uint64_t value, by = scratch.values[op.value] if op.flags & VALUE_VAR else op.value
    cdef const uint8_t *at = number_at(op, scratch, data, length, &width)
    if at == NULL or not read_number(op, scratch, at, width, rest_from(at, data, length), &value, &taken):
        return False
    if op.what == MATH_ADD:
        value += by
    elif op.what == MATH_SUBTRACT:
        value -= by
    elif op.what == MATH_MULTIPLY:
        value *= by
    elif op.what == MATH_DIVIDE:
        if by == 0:
            return False
        value //= by
    elif op.what == MATH_SHIFT_LEFT:
        value = value << by if by < 64 else 0
    else:
        value >>= by & 63       # as the processor does it
    scratch.values[op.result] = masked(op, value)
    scratch.cursor = <uint32_t> (at - data) + taken
    return True


cdef inline bint data_is_at(const isdataat_op_t *op, const match_scratch_t *scratch, uint32_t length) noexcept nogil:
    cdef uint64_t at = scratch.values[op.at] if op.flags & VALUE_VAR else op.at
    cdef bint there
    if op.flags & RELATIVE:
        there = at <= length and scratch.cursor + at <= length
    else:
        there = at < length
    return there != (op.flags & NEGATED)
