# base64 as RFC 4648 has it, decoded up to the first thing that is not base64.
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
    """Decodes four characters at a time into `out`; returns the bytes written."""
    cdef uint32_t i, held = 0, digits = 0, used = 0
    cdef int digit
    for i in range(length):
        digit = base64_digit(data[i])
        if digit < 0:
            break
        held = held << 6 | <uint32_t> digit
        digits += 1
        if digits == 4:
            if used + 3 > room:
                return used
            out[used] = <uint8_t> (held >> 16)
            out[used + 1] = <uint8_t> (held >> 8)
            out[used + 2] = <uint8_t> held
            used += 3
            held = digits = 0
    if digits >= 2 and used + digits - 1 <= room:
        held <<= 6 * (4 - digits)
        out[used] = <uint8_t> (held >> 16)
        if digits == 3:
            out[used + 1] = <uint8_t> (held >> 8)
        used += digits - 1
    return used
