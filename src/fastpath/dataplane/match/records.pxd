# What keywords ask of sizes, numbers and records.
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport FILE_CLOSED, FILE_MD5, FILE_OPEN, FILE_SHA1, FILE_SHA256, file_t
from fastpath.dataplane.match.program cimport *

cdef enum:
    RECORD_INTERFACE = 19       # dcerpc.iface: uuid (16 bytes), version (uint16_t), first fragment (uint8_t)


cdef inline bint size_holds(const ruleset_t *rules, const number_op_t *op, uint64_t size, bint end) noexcept nogil:
    """bsize, urilen: while a buffer grows only a range without an upper end can be met."""
    cdef const number_range_t *known = rules.numbers + op.ranges.first
    cdef uint32_t i
    for i in range(op.ranges.count):
        if known[i].low <= size <= known[i].high and (end or known[i].high == UINT64_MAX):
            return True
    return False


cdef inline bint in_ranges(const ruleset_t *rules, span_t span, uint64_t value) noexcept nogil:
    cdef const number_range_t *known = rules.numbers + span.first
    cdef uint32_t i
    for i in range(span.count):
        if known[i].low <= value <= known[i].high:
            return True
    return False


cdef inline bint value_holds(const ruleset_t *rules, const number_op_t *op, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint64_t value = 0
    if length != sizeof(value):
        return False
    memcpy(&value, data, sizeof(value))
    return in_ranges(rules, op.ranges, value) != (op.flags & NEGATED)


cdef inline int compared(const uint8_t *data, uint32_t length, const uint8_t *other, uint32_t other_length) noexcept nogil:
    """Below, at or above 0, by bytes; of two that begin alike the shorter is first."""
    cdef int order = memcmp(data, other, min(length, other_length))
    return order if order else <int> (length > other_length) - <int> (length < other_length)


cdef inline int64_t dataset_rank(const ruleset_t *rules, const dataset_op_t *op, const uint8_t *data,
                                 uint32_t length) noexcept nogil:
    """The rank of a loaded entry; -1 for what was not loaded."""
    cdef const uint32_t *entry = rules.lists + op.entries.first
    cdef uint32_t low = 0, high = op.entries.count // DATASET_ENTRY, middle
    cdef int order
    while low < high:
        middle = (low + high) // 2
        order = compared(data, length, rules.bytes + entry[DATASET_ENTRY * middle], entry[DATASET_ENTRY * middle + 1])
        if order == 0:
            return entry[DATASET_ENTRY * middle + 2]
        if order < 0:
            high = middle
        else:
            low = middle + 1
    return -1


cdef inline bint clock_holds(const plain_op_t *op, const uint8_t *data, uint32_t length, uint64_t now) noexcept nogil:
    """tls_cert_expired, tls_cert_valid: has a time, in seconds, passed (or is it still to come)? `now`: ns."""
    cdef uint64_t value = 0
    if length != sizeof(value):
        return False
    memcpy(&value, data, sizeof(value))
    return value < now // 1000000000 if op.value else value > now // 1000000000


cdef inline bint interface_holds(const ruleset_t *rules, const interface_op_t *op, const uint8_t *data,
                                 uint32_t length) noexcept nogil:
    cdef uint16_t version
    if length < RECORD_INTERFACE or memcmp(data, rules.bytes + op.uuid, 16) != 0:
        return False
    memcpy(&version, data + 16, sizeof(version))
    return in_ranges(rules, op.versions, version) and (data[18] != 0 or op.flags & INTERFACE_ANY_FRAG != 0)


cdef inline bint in_digests(const uint8_t *list, uint32_t count, uint32_t width, const uint8_t *digest) noexcept nogil:
    cdef uint32_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if memcmp(list + middle * width, digest, width) < 0:
            low = middle + 1
        else:
            high = middle
    return low < count and memcmp(list + low * width, digest, width) == 0


cdef inline bint ends_as(const uint8_t *text, uint32_t length, const uint8_t *end, uint32_t size) noexcept nogil:
    """Does the text end with these bytes, which are in lower case, in any case?"""
    cdef uint32_t i
    cdef uint8_t c
    if size > length:
        return False
    text += length - size
    for i in range(size):
        c = text[i]
        if (c | 32 if 65 <= c <= 90 else c) != end[i]:
            return False
    return True


cdef inline bint contains_as(const uint8_t *text, uint32_t length, const uint8_t *part, uint32_t size) noexcept nogil:
    cdef uint32_t i
    if size <= length:
        for i in range(size, length + 1):
            if ends_as(text, i, part, size):
                return True
    return False


cdef inline bint file_holds(const ruleset_t *rules, const file_op_t *op, const uint8_t *data, uint32_t length) noexcept nogil:
    """Over file.facts: the file_t itself."""
    cdef const file_t *file = <const file_t *> data
    cdef const uint8_t *texts = rules.bytes + op.at
    cdef const uint8_t *name
    cdef uint32_t dot
    cdef bint negated = op.flags & NEGATED
    if length != sizeof(file_t):
        return False
    if op.what == FILE_IS_STORED:
        return True
    if op.what == FILE_IS_SIZE:
        return file.state != FILE_OPEN and size_holds(rules, <const number_op_t *> op, file.size, file.state == FILE_CLOSED)
    if op.what == FILE_IS_NAME:
        return file.name.length > 0 and contains_as(file.name.data, file.name.length, texts, op.count) != negated
    if op.what == FILE_IS_EXTENSION:
        name = file.name.data
        dot = file.name.length
        if dot <= op.count or name[dot - op.count - 1] != 46:
            return file.name.length > 0 and negated
        return ends_as(name, file.name.length, texts, op.count) != negated
    if file.state != FILE_CLOSED:
        return False
    if op.what == FILE_IS_MD5:
        return file.flags & FILE_MD5 != 0 and in_digests(texts, op.count, 16, file.md5) != negated
    if op.what == FILE_IS_SHA1:
        return file.flags & FILE_SHA1 != 0 and in_digests(texts, op.count, 20, file.sha1) != negated
    return file.flags & FILE_SHA256 != 0 and in_digests(texts, op.count, 32, file.sha256) != negated
