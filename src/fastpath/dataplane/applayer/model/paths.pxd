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


cdef inline bint climbs(const uint8_t *name, uint32_t length, const uint8_t *target, uint32_t target_length) noexcept nogil:
    """Does a relative link of this name lead above where the names begin?"""
    cdef int depth = 0
    cdef uint32_t i, step = 0
    if target_length == 0 or target[0] == 47:
        return False
    for i in range(length):
        if name[i] == 47:
            depth += i > step and not (i - step == 1 and name[step] == 46)
            step = i + 1
    step = 0
    for i in range(target_length + 1):
        if i == target_length or target[i] == 47:
            if i - step == 2 and target[step] == 46 and target[step + 1] == 46:
                depth -= 1
                if depth < 0:
                    return True
            elif i > step and not (i - step == 1 and target[step] == 46):
                depth += 1
            step = i + 1
    return False
