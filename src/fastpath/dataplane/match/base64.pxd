# base64 as RFC 4648 has it, decoded up to the first character that is not base64.
from libc.stdint cimport uint8_t, uint32_t


cdef inline int base64_digit(uint8_t c) noexcept nogil:
    if 65 <= c <= 90:
        return c - 65
    if 97 <= c <= 122:
        return c - 71
    if 48 <= c <= 57:
        return c + 4
    return 62 if c == 43 else 63 if c == 47 else -1


cdef inline uint32_t base64_decode(const uint8_t *data, uint32_t length, uint8_t *out, uint32_t room) noexcept nogil:
    """Decodes four characters at a time into `out`; returns the bytes written. Padding shortens its four characters, and
    does not end the data."""
    cdef uint32_t i, left, held = 0, digits = 0, used = 0, padding = 0
    cdef bint broken = False
    cdef int digit
    for i in range(length):
        digit = base64_digit(data[i])
        if digit < 0:
            if data[i] != 61:
                broken = True
                break
            padding += 1
            digit = 0
        held = held << 6 | <uint32_t> digit
        digits += 1
        if digits == 4:
            if used + 3 > room:
                return used
            out[used] = <uint8_t> (held >> 16)
            out[used + 1] = <uint8_t> (held >> 8)
            out[used + 2] = <uint8_t> held
            used += 3 - min(padding, 3)
            held = digits = padding = 0
    # what is left over; a character alone gives a byte only where something else follows it
    left = digits - 1 if digits > 1 else digits if broken else 0
    if left and used + left <= room:
        held <<= 6 * (4 - digits)
        out[used] = <uint8_t> (held >> 16)
        if left == 2:
            out[used + 1] = <uint8_t> (held >> 8)
        used += left
    return used
