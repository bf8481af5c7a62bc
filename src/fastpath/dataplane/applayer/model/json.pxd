# JSON as its bytes come: what the headers of safetensors and the configurations of Keras are written in. One value; each scalar
# is told with the keys that lead to it. State is of a fixed size: of strings the beginning is kept, nesting is bounded.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

cdef enum:
    JSON_TEXT = 112
    JSON_KEYS = 4               # levels whose key is kept
    JSON_DEPTH = 63

cdef enum json_state:
    JSON_VALUE, JSON_FIRST, JSON_KEY, JSON_COLON, JSON_NEXT, JSON_STRING, JSON_ESCAPE, JSON_HEX, JSON_NUMBER, JSON_WORD, JSON_DONE
    JSON_BROKEN

cdef enum json_told:            # what a byte has brought to its end
    TOLD_NOTHING, TOLD_KEY, TOLD_STRING, TOLD_NUMBER, TOLD_WORD, TOLD_OPEN, TOLD_CLOSE

cdef struct json_text_t:
    uint32_t length             # beyond JSON_TEXT: the rest is not kept
    uint8_t bytes[112]

cdef struct json_t:
    uint8_t state, depth
    uint8_t in_key, digits
    uint32_t code               # of an escape
    uint64_t objects            # by depth, a bit: an object; else an array
    uint64_t index              # of an element in its array
    uint64_t number
    uint8_t is_whole            # the number is an integer without sign
    json_text_t text            # the string at work
    json_text_t key[4]          # of the objects that lead here, from depth 1


cdef inline void json_open(json_t *j) noexcept nogil:
    memset(j, 0, sizeof(json_t))


cdef inline bint text_is(const json_text_t *text, const char *word, uint32_t length) noexcept nogil:
    return text.length == length and memcmp(text.bytes, word, length) == 0


cdef inline void add_byte(json_text_t *text, uint8_t byte) noexcept nogil:
    if text.length < JSON_TEXT:
        text.bytes[text.length] = byte
    text.length += text.length < <uint32_t> -1


cdef inline bint in_object(const json_t *j) noexcept nogil:
    return j.depth > 0 and j.objects >> j.depth & 1


cdef inline uint32_t value_ended(json_t *j, uint32_t told) noexcept nogil:
    j.state = JSON_NEXT if j.depth else JSON_DONE
    return told


cdef inline uint32_t open_nest(json_t *j, bint is_object) noexcept nogil:
    if j.depth == JSON_DEPTH:
        j.state = JSON_BROKEN
        return TOLD_NOTHING
    j.depth += 1
    j.objects &= ~(<uint64_t> 1 << j.depth)
    j.objects |= <uint64_t> is_object << j.depth
    j.index = 0
    j.state = JSON_FIRST
    return TOLD_OPEN


cdef inline uint32_t close_nest(json_t *j, bint is_object) noexcept nogil:
    if j.depth == 0 or in_object(j) != is_object:
        j.state = JSON_BROKEN
        return TOLD_NOTHING
    j.depth -= 1
    return value_ended(j, TOLD_CLOSE)


cdef inline uint32_t begin_value(json_t *j, uint8_t c) noexcept nogil:
    if c == 34:
        j.text.length = 0
        j.in_key = False
        j.state = JSON_STRING
    elif c == 123:
        return open_nest(j, True)
    elif c == 91:
        return open_nest(j, False)
    elif c == 45 or 48 <= c <= 57:
        j.state = JSON_NUMBER
        j.is_whole = c != 45
        j.number = c - 48 if c != 45 else 0
    elif 97 <= c <= 122 or c == 78 or c == 73:      # true, false, null; NaN and Infinity, which Python writes
        j.state = JSON_WORD
    else:
        j.state = JSON_BROKEN
    return TOLD_NOTHING


cdef inline uint32_t end_string(json_t *j) noexcept nogil:
    if j.in_key:
        if j.depth <= JSON_KEYS:
            j.key[j.depth - 1] = j.text
        j.state = JSON_COLON
        return TOLD_KEY
    return value_ended(j, TOLD_STRING)


cdef inline uint32_t json_byte(json_t *j, uint8_t c) noexcept nogil:
    """The next byte; what it has ended. After TOLD_NUMBER and TOLD_WORD the byte is not taken: it must be shown again."""
    cdef uint8_t low
    if j.state == JSON_STRING:
        if c == 34:
            return end_string(j)
        if c == 92:
            j.state = JSON_ESCAPE
        elif c < 32:
            j.state = JSON_BROKEN
        else:
            add_byte(&j.text, c)
        return TOLD_NOTHING
    if j.state == JSON_NUMBER:
        if 48 <= c <= 57:
            if j.number > (<uint64_t> 1 << 59):
                j.is_whole = False
            j.number = j.number * 10 + c - 48
        elif c in (43, 45, 46, 69, 101):            # + - . E e
            j.is_whole = False
        else:
            return value_ended(j, TOLD_NUMBER)
        return TOLD_NOTHING
    if j.state == JSON_WORD:
        if 97 <= c <= 122 or c == 78:
            return TOLD_NOTHING
        return value_ended(j, TOLD_WORD)
    if j.state == JSON_ESCAPE:
        j.state = JSON_STRING
        if c == 117:
            j.state = JSON_HEX
            j.digits = 0
            j.code = 0
        elif c in (34, 47, 92):
            add_byte(&j.text, c)
        elif c in (98, 102, 110, 114, 116):
            add_byte(&j.text, 32)
        else:
            j.state = JSON_BROKEN
        return TOLD_NOTHING
    if j.state == JSON_HEX:
        low = c | 32
        if 48 <= c <= 57:
            j.code = j.code << 4 | (c - 48)
        elif 97 <= low <= 102:
            j.code = j.code << 4 | (low - 87)
        else:
            j.state = JSON_BROKEN
            return TOLD_NOTHING
        j.digits += 1
        if j.digits == 4:
            add_byte(&j.text, <uint8_t> j.code if j.code < 128 else 63)
            j.state = JSON_STRING
        return TOLD_NOTHING
    if c == 32 or c == 10 or c == 13 or c == 9:
        return TOLD_NOTHING
    if j.state == JSON_VALUE:
        return begin_value(j, c)
    if j.state == JSON_FIRST:
        if c == 125 and in_object(j) or c == 93 and not in_object(j):
            return close_nest(j, c == 125)
        if not in_object(j):
            return begin_value(j, c)
        j.state = JSON_KEY
    if j.state == JSON_KEY and c == 34:
        j.text.length = 0
        j.in_key = True
        j.state = JSON_STRING
    elif j.state == JSON_COLON and c == 58:
        j.state = JSON_VALUE
    elif j.state == JSON_NEXT and c == 44:
        j.index += 1
        j.state = JSON_KEY if in_object(j) else JSON_VALUE
    elif j.state == JSON_NEXT and (c == 125 or c == 93):
        return close_nest(j, c == 125)
    else:
        j.state = JSON_BROKEN
    return TOLD_NOTHING
