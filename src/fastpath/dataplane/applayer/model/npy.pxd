# numpy's .npy: magic, version, the length of a header, the header (a dict as Python writes it), the array. An array of objects
# is a pickle. Source: numpy.lib.format.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from fastpath.dataplane.applayer.model.facts cimport many_times, model_facts_t
from fastpath.dataplane.applayer.model.pickle cimport pickle_end, pickle_feed, pickle_open, pickle_t

cdef enum:
    NPY_KEPT = 1024

cdef struct npy_t:
    uint64_t seen
    uint32_t header             # its length
    uint8_t version, is_pickle
    uint32_t kept
    uint8_t text[1024]


cdef inline void npy_open(npy_t *n) noexcept nogil:
    memset(n, 0, sizeof(npy_t))


cdef inline uint32_t find_in(const npy_t *n, const char *word, uint32_t length) noexcept nogil:
    """Where it ends; 0 where it is not."""
    cdef uint32_t i
    for i in range(length, n.kept + 1):
        if memcmp(n.text + i - length, word, length) == 0:
            return i
    return 0


cdef inline void read_header(npy_t *n, model_facts_t *facts) noexcept nogil:
    """Objects have the kind O, alone or as a field; the shape is a tuple of numbers."""
    cdef uint32_t at = find_in(n, b"'shape': (", 10), i
    cdef uint64_t number, elements = 1
    cdef bint has_digits
    for i in range(2, n.kept):
        if n.text[i] == 79 and (n.text[i - 1] == 124 or n.text[i - 1] == 39) and n.text[i + 1 if i + 1 < n.kept else i] == 39:
            n.is_pickle = True
    while at and at < n.kept and n.text[at] != 41:
        number = 0
        has_digits = False
        while at < n.kept and 48 <= n.text[at] <= 57:
            number = min(number * 10 + n.text[at] - 48, <uint64_t> 1 << 58)
            has_digits = True
            at += 1
        if has_digits:
            elements = many_times(elements, number)
        else:
            at += 1
    facts.tensors += 1
    facts.parameters = min(facts.parameters + elements, <uint64_t> 1 << 62)


cdef inline void npy_feed(npy_t *n, pickle_t *pickle, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    """pickle: for the objects; opened here."""
    cdef uint32_t at = 0, start
    while at < length and (n.seen < 12 or n.seen < n.header):
        if n.seen == 6:
            n.version = data[at]
        elif n.seen >= 8 and n.seen < (10 if n.version < 2 else 12):
            n.header |= <uint32_t> data[at] << (8 * (n.seen - 8))
        start = 10 if n.version < 2 else 12
        if n.seen >= start and n.kept < NPY_KEPT:
            n.text[n.kept] = data[at]
            n.kept += 1
        n.seen += 1
        at += 1
        if n.seen == start:
            n.header = min(n.header, <uint32_t> 1 << 30) + start
        if n.seen >= start and n.seen == n.header:
            read_header(n, facts)
            if n.is_pickle:
                pickle_open(pickle)
            break
    if n.is_pickle and n.seen >= n.header:
        pickle_feed(pickle, facts, data + at, length - at)
    n.seen += length - at


cdef inline void npy_end(npy_t *n, pickle_t *pickle, model_facts_t *facts, bint whole) noexcept nogil:
    if n.is_pickle and n.seen >= n.header:
        pickle_end(pickle, facts, whole)
