# safetensors: the length of a JSON header (u64, little-endian), the header, the tensors. The header names each tensor with
# dtype, shape and data_offsets; together the tensors are all that follows, without holes. Source: the format's description in
# huggingface/safetensors.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.applayer.model.facts cimport (
    FOUND_SAFETENSORS_HEADER, FOUND_SAFETENSORS_LENGTH, find_word, many_times, model_facts_t, note_told,
)
from fastpath.dataplane.applayer.model.json cimport (
    JSON_BROKEN, JSON_DONE, JSON_TEXT, TOLD_CLOSE, TOLD_KEY, TOLD_NUMBER, TOLD_STRING, TOLD_WORD, json_byte, json_open,
    json_t, json_text_t, text_is,
)

cdef enum:
    SAFETENSORS_HEADER_MAX = 100_000_000        # what the library takes

cdef struct safetensors_t:
    uint64_t header, seen       # its length; bytes of the file so far
    uint64_t end                # of the last tensor, behind the header
    uint64_t filled             # bytes of all tensors
    uint64_t elements           # of the tensor at work
    uint64_t offsets[2]
    uint32_t bits               # of an element; 0 where dtype is not known
    uint8_t has_offsets
    json_t json


cdef inline void safetensors_open(safetensors_t *s) noexcept nogil:
    memset(s, 0, sizeof(safetensors_t))
    json_open(&s.json)


cdef inline uint32_t bits_of(const json_text_t *dtype) noexcept nogil:
    """F64 I32 BF16 F8_E4M3 F4 BOOL ...: the number in its name."""
    cdef uint32_t i = 0, bits = 0
    if text_is(dtype, b"BOOL", 4):
        return 8
    if text_is(dtype, b"C64", 3):
        return 64
    while i < min(dtype.length, <uint32_t> JSON_TEXT) and not 48 <= dtype.bytes[i] <= 57:
        i += 1
    while i < min(dtype.length, <uint32_t> JSON_TEXT) and 48 <= dtype.bytes[i] <= 57 and bits < 1000:
        bits = bits * 10 + dtype.bytes[i] - 48
        i += 1
    return bits


cdef inline void end_tensor(safetensors_t *s, model_facts_t *facts) noexcept nogil:
    cdef uint64_t size = s.offsets[1] - s.offsets[0]
    facts.tensors += 1
    facts.parameters = min(facts.parameters + s.elements, <uint64_t> 1 << 62)
    if not s.has_offsets or s.offsets[1] < s.offsets[0] or s.bits and size != many_times(s.elements, s.bits) // 8:
        find_word(facts, FOUND_SAFETENSORS_LENGTH, b"tensor")
    else:
        s.filled += size
        s.end = max(s.end, s.offsets[1])


cdef inline void told_of(safetensors_t *s, model_facts_t *facts, uint32_t told) noexcept nogil:
    cdef json_t *j = &s.json
    if text_is(&j.key[0], b"__metadata__", 12):
        if told == TOLD_STRING and j.depth == 2 and text_is(&j.key[1], b"format", 6):
            note_told(facts, j.text.bytes, min(j.text.length, <uint32_t> JSON_TEXT))
        return
    if told == TOLD_KEY and j.depth == 1:
        s.elements = 1
        s.bits = s.has_offsets = 0
    elif told == TOLD_STRING and j.depth == 2 and text_is(&j.key[1], b"dtype", 5):
        s.bits = bits_of(&j.text)
    elif told == TOLD_NUMBER and j.depth == 2 and text_is(&j.key[1], b"shape", 5):
        s.elements = many_times(s.elements, j.number if j.is_whole else <uint64_t> 1 << 62)
    elif told == TOLD_NUMBER and j.depth == 2 and text_is(&j.key[1], b"data_offsets", 12) and j.index < 2 and j.is_whole:
        s.offsets[j.index] = j.number
        s.has_offsets = j.index == 1
    elif told == TOLD_CLOSE and j.depth == 1:
        end_tensor(s, facts)


cdef inline void safetensors_feed(safetensors_t *s, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t at = 0, told, depth
    while at < length and s.seen < 8:
        s.header |= <uint64_t> data[at] << (8 * s.seen)
        s.seen += 1
        at += 1
        if s.seen == 8 and s.header > SAFETENSORS_HEADER_MAX:
            find_word(facts, FOUND_SAFETENSORS_HEADER, b"length")
            s.json.state = JSON_BROKEN
    while at < length and s.seen < 8 + s.header and s.json.state < JSON_DONE:
        depth = s.json.depth
        told = json_byte(&s.json, data[at])
        if told == TOLD_NUMBER or told == TOLD_WORD:
            # an array of numbers is one level below its tensor
            if s.json.depth == 3 and told == TOLD_NUMBER:
                s.json.depth = 2
                told_of(s, facts, told)
                s.json.depth = 3
        else:
            at += 1
            s.seen += 1
            if told == TOLD_KEY or told == TOLD_STRING or told == TOLD_CLOSE and depth == 2:
                told_of(s, facts, told)
        if s.json.state == JSON_BROKEN:
            find_word(facts, FOUND_SAFETENSORS_HEADER, b"json")
    while at < length and s.seen < 8 + s.header and s.json.state == JSON_DONE:
        if data[at] != 32:
            find_word(facts, FOUND_SAFETENSORS_HEADER, b"json")
            s.json.state = JSON_BROKEN
        at += 1
        s.seen += 1
    s.seen += length - at


cdef inline void safetensors_end(safetensors_t *s, model_facts_t *facts, bint whole) noexcept nogil:
    """whole: the file came to its end, without gaps."""
    if s.json.state == JSON_BROKEN:
        return
    if s.json.state != JSON_DONE:
        if whole or s.seen >= 8 + s.header:
            find_word(facts, FOUND_SAFETENSORS_HEADER, b"truncated")
    elif s.filled != s.end:
        find_word(facts, FOUND_SAFETENSORS_LENGTH, b"holes or overlaps")
    elif whole and s.seen != 8 + s.header + s.end:
        find_word(facts, FOUND_SAFETENSORS_LENGTH, b"file")
