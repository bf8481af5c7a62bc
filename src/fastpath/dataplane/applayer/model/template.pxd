# Chat templates: Jinja, run by whoever loads the model. What reaches from a value to the insides of Python does so by names
# between double underscores, by the filter attr, or by escapes in place of underscores. No template that only formats messages
# has any of them.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memset

from fastpath.dataplane.applayer.model.facts cimport FOUND_GGUF_TEMPLATE, model_facts_t, note_finding

cdef enum:
    WORD_MAX = 48

cdef struct template_t:
    uint32_t length             # of the word at work
    uint8_t before              # the last byte that was no blank, before the word
    uint8_t adjacent            # the byte right before the word
    uint8_t word[48]


cdef inline void template_open(template_t *t) noexcept nogil:
    memset(t, 0, sizeof(template_t))


cdef inline bint starts(const template_t *t, const char *text, uint32_t length) noexcept nogil:
    return t.length >= length and memcmp(t.word, text, length) == 0


cdef inline void end_word(template_t *t, model_facts_t *facts) noexcept nogil:
    cdef uint32_t kept = min(t.length, <uint32_t> WORD_MAX)
    cdef bint found = starts(t, b"__", 2) and t.length > 2
    found = found or t.before == 124 and t.length == 4 and starts(t, b"attr", 4)
    found = found or t.adjacent == 92 and (
        starts(t, b"x5f", 3) or starts(t, b"x5F", 3) or starts(t, b"u005", 4) or starts(t, b"137", 3))
    if found:
        note_finding(facts, FOUND_GGUF_TEMPLATE, t.word, kept, NULL, 0)


cdef inline void template_feed(template_t *t, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t c, low
    for i in range(length):
        c = data[i]
        low = c | 32
        if 97 <= low <= 122 or 48 <= c <= 57 or c == 95:
            if t.length < WORD_MAX:
                t.word[t.length] = c
            t.length += t.length < <uint32_t> -1
            continue
        if t.length:
            end_word(t, facts)
            t.length = 0
            t.before = 0
        t.adjacent = c
        if c not in (32, 9, 10, 13):
            t.before = c


cdef inline void template_end(template_t *t, model_facts_t *facts) noexcept nogil:
    if t.length:
        end_word(t, facts)
    template_open(t)
