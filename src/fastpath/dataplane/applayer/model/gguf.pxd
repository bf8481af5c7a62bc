# GGUF: magic, version, counts, key-value pairs, tensor infos, tensors. Source: the format's description in ggml-org/ggml,
# docs/gguf.md. Version 1 counts in 32 bits; files of big-endian machines have their version the other way round, and all
# numbers.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from fastpath.dataplane.applayer.model.facts cimport FOUND_GGUF_HEADER, find_word, many_times, model_facts_t, note_told
from fastpath.dataplane.applayer.model.template cimport template_end, template_feed, template_open, template_t

cdef enum:
    GGUF_TENSORS_MAX = 1 << 20
    GGUF_PAIRS_MAX = 1 << 16
    GGUF_STRING_MAX = 1 << 30
    GGUF_DIMENSIONS_MAX = 8
    GGUF_TEXT = 64
    GGUF_STRING = 8, GGUF_ARRAY = 9, GGUF_TYPES = 13

cdef enum gguf_state:           # the number, or the bytes, that are read
    GGUF_MAGIC, GGUF_VERSION, GGUF_TENSORS, GGUF_PAIRS, GGUF_KEY_LENGTH, GGUF_KEY, GGUF_TYPE, GGUF_VALUE, GGUF_LENGTH
    GGUF_TEXT_BYTES, GGUF_ITEM_TYPE, GGUF_ITEMS, GGUF_SKIP, GGUF_NAME_LENGTH, GGUF_NAME, GGUF_DIMENSIONS, GGUF_DIMENSION
    GGUF_TENSOR_TYPE, GGUF_OFFSET, GGUF_DATA, GGUF_BROKEN

cdef struct gguf_t:
    uint8_t state, have, big, is_template
    uint32_t dimensions, type
    uint64_t number, left       # bytes of a string, or to skip
    uint64_t pairs, tensors, items      # still to come
    uint64_t elements, last_offset, seen
    uint32_t text_length
    uint8_t text[64]            # the key, then the value of one that is told
    uint8_t raw[8]
    uint8_t is_architecture
    template_t template


cdef inline void gguf_open(gguf_t *g) noexcept nogil:
    memset(g, 0, sizeof(gguf_t))


cdef inline void gguf_broken(gguf_t *g, model_facts_t *facts, const char *why) noexcept nogil:
    g.state = GGUF_BROKEN
    find_word(facts, FOUND_GGUF_HEADER, why)


cdef inline uint32_t size_of_type(uint32_t type) noexcept nogil:
    """Bytes of a scalar; 0 for a string or an array."""
    if type in (0, 1, 7):
        return 1
    if type in (2, 3):
        return 2
    if type in (4, 5, 6):
        return 4
    return 8 if type in (10, 11, 12) else 0


cdef inline uint32_t number_size(const gguf_t *g, const model_facts_t *facts) noexcept nogil:
    """Bytes of the number that is read; 0: no number is."""
    if g.state in (GGUF_MAGIC, GGUF_VERSION, GGUF_TYPE, GGUF_ITEM_TYPE, GGUF_DIMENSIONS, GGUF_TENSOR_TYPE):
        return 4
    if g.state in (GGUF_TENSORS, GGUF_PAIRS, GGUF_KEY_LENGTH, GGUF_LENGTH, GGUF_ITEMS, GGUF_NAME_LENGTH, GGUF_DIMENSION):
        return 4 if facts.version == 1 else 8
    return 8 if g.state == GGUF_OFFSET else 0


cdef inline void next_pair(gguf_t *g) noexcept nogil:
    if g.pairs:
        g.pairs -= 1
        g.state = GGUF_KEY_LENGTH
    elif g.tensors:
        g.tensors -= 1
        g.state = GGUF_NAME_LENGTH
    else:
        g.state = GGUF_DATA


cdef inline void next_item(gguf_t *g) noexcept nogil:
    """Of an array of strings; or the next pair."""
    if g.items:
        g.items -= 1
        g.state = GGUF_LENGTH
    else:
        next_pair(g)


cdef inline void skip_bytes(gguf_t *g, model_facts_t *facts, uint64_t count) noexcept nogil:
    if count > (<uint64_t> 1 << 40):
        gguf_broken(g, facts, b"length")
        return
    g.left = count
    g.state = GGUF_SKIP
    if count == 0:
        next_pair(g)


cdef inline void begin_string(gguf_t *g, model_facts_t *facts, uint64_t length, uint8_t state) noexcept nogil:
    if length > GGUF_STRING_MAX:
        gguf_broken(g, facts, b"length")
        return
    g.left = length
    g.text_length = 0
    g.state = state


cdef inline void take_number(gguf_t *g, model_facts_t *facts, uint64_t n) noexcept nogil:
    if g.state == GGUF_MAGIC:
        g.state = GGUF_VERSION
    elif g.state == GGUF_VERSION:
        if n > 0xffff:
            g.big = True
            n = (n & 255) << 24 | (n >> 8 & 255) << 16 | (n >> 16 & 255) << 8 | n >> 24
        facts.version = <uint32_t> n
        g.state = GGUF_TENSORS
        if not 1 <= n <= 16:
            gguf_broken(g, facts, b"version")
    elif g.state == GGUF_TENSORS:
        facts.tensors = g.tensors = n
        g.state = GGUF_PAIRS
        if n > GGUF_TENSORS_MAX:
            gguf_broken(g, facts, b"count")
    elif g.state == GGUF_PAIRS:
        g.pairs = n
        if n > GGUF_PAIRS_MAX:
            gguf_broken(g, facts, b"count")
        else:
            next_pair(g)
    elif g.state == GGUF_KEY_LENGTH:
        begin_string(g, facts, n, GGUF_KEY)
    elif g.state == GGUF_TYPE:
        if n == GGUF_STRING:
            g.items = 0
            g.state = GGUF_LENGTH
        elif n == GGUF_ARRAY:
            g.state = GGUF_ITEM_TYPE
        elif n < GGUF_TYPES:
            skip_bytes(g, facts, size_of_type(<uint32_t> n))
        else:
            gguf_broken(g, facts, b"type")
    elif g.state == GGUF_LENGTH:
        begin_string(g, facts, n, GGUF_TEXT_BYTES)
    elif g.state == GGUF_ITEM_TYPE:
        g.type = <uint32_t> n
        g.state = GGUF_ITEMS
        if n >= GGUF_TYPES or n == GGUF_ARRAY:
            gguf_broken(g, facts, b"type")
    elif g.state == GGUF_ITEMS:
        if g.type != GGUF_STRING:
            skip_bytes(g, facts, many_times(n, size_of_type(g.type)))
        else:
            g.is_template = g.is_architecture = False
            g.items = n
            next_item(g)
    elif g.state == GGUF_NAME_LENGTH:
        begin_string(g, facts, n, GGUF_NAME)
    elif g.state == GGUF_DIMENSIONS:
        g.dimensions = <uint32_t> n
        g.elements = 1
        g.state = GGUF_DIMENSION if n else GGUF_TENSOR_TYPE
        if n > GGUF_DIMENSIONS_MAX:
            gguf_broken(g, facts, b"dimensions")
    elif g.state == GGUF_DIMENSION:
        g.elements = many_times(g.elements, n)
        g.dimensions -= 1
        if g.dimensions == 0:
            g.state = GGUF_TENSOR_TYPE
    elif g.state == GGUF_TENSOR_TYPE:
        g.state = GGUF_OFFSET
    elif g.state == GGUF_OFFSET:
        facts.parameters = min(facts.parameters + g.elements, <uint64_t> 1 << 62)
        g.last_offset = max(g.last_offset, n)
        g.pairs = 0
        next_pair(g)


cdef inline bint key_begins(const gguf_t *g, const char *word, uint32_t length) noexcept nogil:
    return g.text_length >= length and memcmp(g.text, word, length) == 0


cdef inline void end_bytes(gguf_t *g, model_facts_t *facts) noexcept nogil:
    cdef uint32_t kept = min(g.text_length, <uint32_t> GGUF_TEXT)
    if g.state == GGUF_KEY:
        g.is_template = key_begins(g, b"tokenizer.chat_template", 23)
        g.is_architecture = g.text_length == 20 and key_begins(g, b"general.architecture", 20)
        template_open(&g.template)
        g.state = GGUF_TYPE
    elif g.state == GGUF_TEXT_BYTES:
        if g.is_template:
            template_end(&g.template, facts)
        if g.is_architecture:
            note_told(facts, g.text, kept)
        next_item(g)
    elif g.state == GGUF_NAME:
        g.state = GGUF_DIMENSIONS
    else:
        next_pair(g)


cdef inline void gguf_feed(gguf_t *g, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t at = 0, size, i
    cdef uint64_t number
    while at < length and g.state < GGUF_DATA:
        size = number_size(g, facts)
        if size:
            g.raw[g.have] = data[at]
            g.have += 1
            at += 1
            g.seen += 1
            if g.have == size:
                number = 0
                for i in range(size):
                    number = number << 8 | g.raw[i if g.big else size - 1 - i]
                g.have = 0
                take_number(g, facts, number)
        else:
            size = <uint32_t> min(g.left, <uint64_t> (length - at))
            if g.state == GGUF_TEXT_BYTES and g.is_template:
                template_feed(&g.template, facts, data + at, size)
            if g.state != GGUF_SKIP:
                i = 0
                while i < size and g.text_length < GGUF_TEXT:
                    g.text[g.text_length] = data[at + i]
                    g.text_length += 1
                    i += 1
            at += size
            g.left -= size
            g.seen += size
        if g.left == 0 and g.state in (GGUF_KEY, GGUF_TEXT_BYTES, GGUF_NAME, GGUF_SKIP):
            end_bytes(g, facts)
    g.seen += length - at


cdef inline void gguf_end(gguf_t *g, model_facts_t *facts, bint whole) noexcept nogil:
    if whole and g.state < GGUF_DATA:
        find_word(facts, FOUND_GGUF_HEADER, b"truncated")
    elif whole and g.state == GGUF_DATA and g.last_offset >= g.seen and g.last_offset:
        find_word(facts, FOUND_GGUF_HEADER, b"length")
