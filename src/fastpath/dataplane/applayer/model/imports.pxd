# What a name that a pickle imports is held to be: imports.h.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, strlen

cdef extern from "applayer/model/imports.h" nogil:
    const char *const *dangerous_imports
    const char *const *ordinary_imports
    const uint32_t DANGEROUS "(sizeof(dangerous_imports) / sizeof(dangerous_imports[0]))"
    const uint32_t ORDINARY "(sizeof(ordinary_imports) / sizeof(ordinary_imports[0]))"

cdef enum import_judgement:
    IMPORT_ORDINARY, IMPORT_UNKNOWN, IMPORT_DANGEROUS

cdef enum:
    IMPORT_KEY_MAX = 256


cdef inline bint is_listed(const char *const *list, uint32_t count, const char *key, uint32_t length) noexcept nogil:
    cdef uint32_t low = 0, high = count, middle, size
    cdef int order
    while low < high:
        middle = (low + high) // 2
        size = <uint32_t> strlen(list[middle])
        order = memcmp(list[middle], key, min(size, length))
        if order == 0 and size == length:
            return True
        if order < 0 or order == 0 and size < length:
            low = middle + 1
        else:
            high = middle
    return False


cdef inline bint is_dangerous(const char *key, uint32_t module, uint32_t length) noexcept nogil:
    """key: the module, a blank, the name; `module`: the length of the first."""
    cdef char prefix[256]
    cdef uint32_t i
    if is_listed(dangerous_imports, DANGEROUS, key, length):
        return True
    memcpy(prefix, key, module)
    for i in range(1, module + 1):
        if i == module or key[i] == 46:
            prefix[i] = 46
            if is_listed(dangerous_imports, DANGEROUS, prefix, i + 1):
                return True
    return False


cdef inline bint is_class(const char *name, uint32_t length) noexcept nogil:
    """By its capital, behind underscores, or as Cython calls what makes one again; no attribute of something."""
    cdef uint32_t i = 15 if length > 15 and memcmp(name, b"__pyx_unpickle_", 15) == 0 else 0
    while i < length and name[i] == 95:
        i += 1
    if i == length or not 65 <= name[i] <= 90:
        return False
    while i < length and name[i] != 46:
        i += 1
    return i == length


cdef inline bint is_ordinary(const char *key, uint32_t module, uint32_t length) noexcept nogil:
    cdef char prefix[256]
    cdef uint32_t i
    if is_listed(ordinary_imports, ORDINARY, key, length):
        return True
    if not is_class(key + module + 1, length - module - 1):
        return False
    memcpy(prefix, key, module)
    for i in range(1, module + 1):
        if i == module or key[i] == 46:
            prefix[i] = 43
            if is_listed(ordinary_imports, ORDINARY, prefix, i + 1):
                return True
            prefix[i] = 46
    return False


cdef inline uint32_t judge_import(const uint8_t *module, uint32_t module_length, const uint8_t *name,
                                  uint32_t name_length) noexcept nogil:
    """A name with dots reaches through what it names first: every module that it passes counts."""
    cdef char key[256]
    cdef uint32_t length = module_length + 1 + name_length, at, start, i
    if length > IMPORT_KEY_MAX or module_length == 0 or name_length == 0:
        return IMPORT_UNKNOWN
    memcpy(key, module, module_length)
    key[module_length] = 32
    memcpy(key + module_length + 1, name, name_length)
    if is_dangerous(key, module_length, length):
        return IMPORT_DANGEROUS
    if is_ordinary(key, module_length, length):
        return IMPORT_ORDINARY
    # of a.b.c: "a" with "b", "a.b" with "c", "b" with "c"
    start = module_length + 1
    while start < length:
        at = start
        while at < length:
            if key[at] == 46:
                key[at] = 32
                i = at + 1
                while i < length and key[i] != 46:
                    i += 1
                if is_dangerous(key + start, at - start, i - start):
                    return IMPORT_DANGEROUS
                key[at] = 46
            at += 1
        while start < length and key[start] != 46:
            start += 1
        start += 1
    return IMPORT_UNKNOWN
