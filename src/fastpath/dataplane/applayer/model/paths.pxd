# Names of files that lead out of the folder they are meant for.
from libc.stdint cimport uint8_t, uint32_t


cdef inline bint leads_out(const uint8_t *name, uint32_t length) noexcept nogil:
    """Absolute, with a drive letter, or with a step up; either slash parts steps."""
    cdef uint32_t i, step = 0
    if length == 0:
        return False
    if name[0] == 47 or name[0] == 92 or length > 1 and name[1] == 58 and 97 <= name[0] | 32 <= 122:
        return True
    for i in range(length + 1):
        if i == length or name[i] == 47 or name[i] == 92:
            if i - step == 2 and name[step] == 46 and name[step + 1] == 46:
                return True
            step = i + 1
    return False
