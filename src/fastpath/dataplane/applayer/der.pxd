# DER (X.690), as far as certificates need it: elements of definite length with a tag of one byte, over the checked reader.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_bytes, read_u8, read_within

cdef enum:
    DER_BOOLEAN = 0x01, DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OCTETS = 0x04, DER_DESCRIPTOR = 0x07
    DER_UTF8 = 0x0c, DER_NUMERIC = 0x12, DER_PRINTABLE = 0x13, DER_T61 = 0x14, DER_VIDEOTEX = 0x15, DER_IA5 = 0x16
    DER_UTC_TIME = 0x17, DER_GENERALIZED_TIME = 0x18, DER_GRAPHIC = 0x19, DER_VISIBLE = 0x1a, DER_GENERAL = 0x1b
    DER_UNIVERSAL = 0x1c, DER_BMP = 0x1e
    DER_CONSTRUCTED = 0x20, DER_SEQUENCE = 0x30, DER_SET = 0x31

cdef enum der_end:
    DER_GOOD
    DER_SHORT                   # the bytes end before the header does
    DER_LONG                    # the body is longer than what is there
    DER_BAD                     # an indefinite length, a reserved one

cdef struct element_t:
    uint8_t tag                 # the first byte: class, constructed, number
    cursor_t body


cdef inline uint32_t take_element(cursor_t *cursor, element_t *element) noexcept nogil:
    """The next element, passed. enum der_end; where it is not good, the cursor has failed."""
    cdef uint32_t count, _i
    cdef uint64_t length
    element.body = cursor_over(cursor.at, 0)
    element.body.failed = True
    element.tag = read_u8(cursor)
    if element.tag & 0x1f == 0x1f:                          # a number of several bytes
        while read_u8(cursor) & 0x80:
            pass
    length = read_u8(cursor)
    if cursor.failed:
        return DER_SHORT
    if length & 0x80:
        count = length & 0x7f
        if count == 0 or count == 0x7f:
            cursor.failed = True
            return DER_BAD
        length = 0
        for _i in range(count):
            length = length << 8 | read_u8(cursor)
            if length >> 32:
                length = 0xffffffff
        if cursor.failed:
            return DER_SHORT
    if length > cursor_left(cursor):
        cursor.failed = True
        return DER_LONG
    element.body = read_within(cursor, <uint32_t> length)
    return DER_GOOD


cdef inline element_t read_element(cursor_t *cursor) noexcept nogil:
    """The next element; body.failed, and the cursor failed with it, where there is none."""
    cdef element_t element
    take_element(cursor, &element)
    return element


cdef inline cursor_t read_of(cursor_t *cursor, uint8_t tag) noexcept nogil:
    """The body of the next element, which must have this tag."""
    cdef element_t element = read_element(cursor)
    if element.tag != tag:
        cursor.failed = True
        element.body.failed = True
    return element.body


cdef inline int64_t days_before(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Days from 1970-01-01 to a day of the Gregorian calendar."""
    cdef int64_t shifted = year if month > 2 else year - 1                  # years that begin in March
    cdef int64_t era = (shifted if shifted >= 0 else shifted - 399) // 400
    cdef int64_t of_era = shifted - era * 400
    cdef int64_t of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef inline int64_t two_digits(cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *at = read_bytes(cursor, 2)
    if at == NULL or not (48 <= at[0] <= 57 and 48 <= at[1] <= 57):
        cursor.failed = True
        return 0
    return (at[0] - 48) * 10 + at[1] - 48


cdef inline bint read_time(cursor_t *cursor, int64_t *seconds) noexcept nogil:
    """UTCTime or GeneralizedTime as seconds since 1970; False where it is neither, or no date."""
    cdef element_t element = read_element(cursor)
    cdef cursor_t *body = &element.body
    cdef int64_t year, month, day, hour, minute, second = 0, offset = 0
    cdef uint8_t sign
    cdef bint zoned = False         # an offset from UTC may follow
    if body.failed:
        return False
    if element.tag == DER_UTC_TIME:
        year = two_digits(body)
        year += 1900 if year >= 50 else 2000
    elif element.tag == DER_GENERALIZED_TIME:
        year = two_digits(body) * 100
        year += two_digits(body)
    else:
        return False
    month = two_digits(body)
    day = two_digits(body)
    hour = two_digits(body)
    minute = two_digits(body)
    if cursor_left(body) and 48 <= body.at[0] <= 57:
        second = two_digits(body)
        zoned = element.tag == DER_UTC_TIME
    if element.tag == DER_GENERALIZED_TIME and cursor_left(body) and body.at[0] == 46:      # a fraction
        body.at += 1
        while cursor_left(body) and 48 <= body.at[0] <= 57:
            body.at += 1
    sign = read_u8(body)
    if zoned and (sign == 43 or sign == 45):
        offset = two_digits(body) * 3600
        offset += two_digits(body) * 60
        if sign == 45:
            offset = -offset
    elif sign != 90:
        return False
    if body.failed or cursor_left(body) or not (1 <= month <= 12 and 1 <= day <= days_of(year, month)):
        return False
    if hour > 23 or minute > 59 or second > 59:
        return False
    seconds[0] = days_before(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return True


cdef inline int64_t days_of(int64_t year, int64_t month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
