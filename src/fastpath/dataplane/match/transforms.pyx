"""The buffers of transactions, and what transforms make of them, as Suricata 7.0.10 does (user guide, "Transformations")."""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcpy, strlen

from fastpath.dataplane.applayer.applayer cimport (
    BUFFER_FILE_FACTS, BUFFER_FILE_MAGIC, BUFFER_FILE_MODEL, BUFFER_FILE_MODEL_UNSAFE, MODEL_NONE, VIEW_NONE, VIEW_READY,
    app_context_t, file_t,
    model_facts_t, model_format_names, room_t, tx_t, view_t,
)
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.pcre2 cimport (
    pcre2_code, pcre2_get_ovector_pointer, pcre2_match, pcre2_match_context, pcre2_match_data,
)

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MD:
        pass
    ctypedef struct ENGINE:
        pass
    const EVP_MD *EVP_md5()
    const EVP_MD *EVP_sha1()
    const EVP_MD *EVP_sha256()
    int EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size, const EVP_MD *type, ENGINE *impl)


cdef inline bint is_space(uint8_t c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline int hex_digit(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef uint32_t compress_whitespace(const uint8_t *data, uint32_t length, uint8_t *out) noexcept nogil:
    """The first of each run of whitespace stays as it is."""
    cdef uint32_t i, n = 0
    for i in range(length):
        if not is_space(data[i]) or i == 0 or not is_space(data[i - 1]):
            out[n] = data[i]
            n += 1
    return n


cdef uint32_t strip_whitespace(const uint8_t *data, uint32_t length, uint8_t *out) noexcept nogil:
    cdef uint32_t i, n = 0
    for i in range(length):
        if not is_space(data[i]):
            out[n] = data[i]
            n += 1
    return n


cdef uint32_t strip_pseudo_headers(const uint8_t *data, uint32_t length, uint8_t *out) noexcept nogil:
    """Lines that begin with a colon go, with their end."""
    cdef uint32_t at = 0, end, n = 0
    cdef const uint8_t *newline
    while at < length:
        newline = <const uint8_t *> memchr(data + at, 10, length - at)
        end = <uint32_t> (newline - data) + 1 if newline != NULL else length
        if data[at] != 58:
            memcpy(out + n, data + at, end - at)
            n += end - at
        at = end
    return n


cdef uint32_t url_decode(const uint8_t *data, uint32_t length, uint8_t *out) noexcept nogil:
    """%XX is a byte, + a blank; what is no such escape stays."""
    cdef uint32_t i = 0, n = 0
    cdef int high, low
    while i < length:
        out[n] = data[i]
        if data[i] == 37 and i + 2 < length:
            high, low = hex_digit(data[i + 1]), hex_digit(data[i + 2])
            if high >= 0 and low >= 0:
                out[n] = <uint8_t> (high << 4 | low)
                i += 2
        elif data[i] == 43:
            out[n] = 32
        i += 1
        n += 1
    return n


cdef uint32_t lower_header_names(const uint8_t *data, uint32_t length, uint8_t *out) noexcept nogil:
    """Each line up to its colon; a pseudo header's first colon is part of its name."""
    cdef uint32_t i
    cdef bint name = True, first = True
    cdef uint8_t c
    for i in range(length):
        c = data[i]
        if c == 10:
            name, first = True, True
        elif c == 58 and not first:
            name = False
        elif name and 65 <= c <= 90:
            c |= 32
        if c != 10:
            first = False
        out[i] = c
    return length


cdef uint32_t change_case(const uint8_t *data, uint32_t length, uint8_t *out, uint8_t low, uint8_t high) noexcept nogil:
    """Letters from `low` to `high` are turned into the other case."""
    cdef uint32_t i
    for i in range(length):
        out[i] = data[i] ^ 32 if low <= data[i] <= high else data[i]
    return length


cdef uint32_t digest(const EVP_MD *kind, const uint8_t *data, uint32_t length, uint8_t *out) noexcept nogil:
    cdef unsigned int size = 0
    return size if EVP_Digest(data, length, out, &size, kind, NULL) else 0


cdef uint32_t captured(const ruleset_t *rules, match_scratch_t *scratch, const transform_t *transform, const uint8_t *data,
                       uint32_t length, uint8_t *out) noexcept nogil:
    """pcrexform: the first group of an expression that matches; what does not match is left as it is."""
    cdef const size_t *ends
    cdef uint32_t size
    if pcre2_match(<const pcre2_code *> rules.expressions[transform.expression], data, length, 0, 0,
                   <pcre2_match_data *> scratch.match_data, <pcre2_match_context *> scratch.match_context) > 1:
        ends = pcre2_get_ovector_pointer(<pcre2_match_data *> scratch.match_data)
        if ends[2] <= ends[3] <= length:
            size = <uint32_t> (ends[3] - ends[2])
            memcpy(out, data + ends[2], size)
            return size
    memcpy(out, data, length)
    return length


cdef uint32_t transform_one(const ruleset_t *rules, match_scratch_t *scratch, const transform_t *transform, const uint8_t *data,
                            uint32_t length, uint8_t *out) noexcept nogil:
    cdef uint32_t i
    if transform.kind == TRANSFORM_COMPRESS_WHITESPACE:
        return compress_whitespace(data, length, out)
    if transform.kind == TRANSFORM_STRIP_WHITESPACE:
        return strip_whitespace(data, length, out)
    if transform.kind == TRANSFORM_STRIP_PSEUDO_HEADERS:
        return strip_pseudo_headers(data, length, out)
    if transform.kind == TRANSFORM_MD5:
        return digest(EVP_md5(), data, length, out)
    if transform.kind == TRANSFORM_SHA1:
        return digest(EVP_sha1(), data, length, out)
    if transform.kind == TRANSFORM_SHA256:
        return digest(EVP_sha256(), data, length, out)
    if transform.kind == TRANSFORM_DOTPREFIX:
        length = min(length, <uint32_t> TRANSFORMED_MAX - 1)
        out[0] = 46
        memcpy(out + 1, data, length)
        return length + 1
    if transform.kind == TRANSFORM_PCREXFORM:
        return captured(rules, scratch, transform, data, length, out)
    if transform.kind == TRANSFORM_URL_DECODE:
        return url_decode(data, length, out)
    if transform.kind == TRANSFORM_XOR:
        for i in range(length):
            out[i] = data[i] ^ rules.bytes[transform.key.first + i % transform.key.count]
        return length
    if transform.kind == TRANSFORM_HEADER_LOWERCASE:
        return lower_header_names(data, length, out)
    if transform.kind == TRANSFORM_LOWERCASE:
        return change_case(data, length, out, 65, 90)
    return change_case(data, length, out, 97, 122)


cdef const uint8_t *transformed(const ruleset_t *rules, match_scratch_t *scratch, uint32_t chain, const uint8_t *data,
                                uint32_t *length) noexcept nogil:
    cdef span_t steps = rules.chains[chain]
    cdef uint32_t i
    length[0] = min(length[0], <uint32_t> TRANSFORMED_MAX)
    for i in range(steps.count):
        length[0] = transform_one(rules, scratch, &rules.transforms[steps.first + i], data, length[0], scratch.transformed[i & 1])
        data = scratch.transformed[i & 1]
        if length[0] == 0:
            return NULL
    return data


cdef uint32_t file_facts(const tx_t *tx, uint32_t direction, uint32_t index, view_t *view) noexcept nogil:
    """file.facts: the file itself, whatever the protocol."""
    cdef file_t *file = tx.files[direction]
    while file != NULL and index:
        file = file.next
        index -= 1
    if file == NULL:
        return VIEW_NONE
    view.data = <const uint8_t *> file
    view.length = sizeof(file_t)
    return VIEW_READY


cdef uint32_t model_view(const tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index, view_t *view) noexcept nogil:
    """file.model: the format of each file that is a model. file.model_unsafe: each finding of each."""
    cdef const file_t *file = tx.files[direction]
    cdef const model_facts_t *facts
    cdef uint32_t count
    while file != NULL:
        facts = file.model.facts if file.model != NULL else NULL
        if facts != NULL and facts.format != MODEL_NONE:
            count = 1 if buffer == BUFFER_FILE_MODEL else facts.count
            if index < count:
                if buffer == BUFFER_FILE_MODEL:
                    view.data = <const uint8_t *> model_format_names[facts.format]
                    view.length = <uint32_t> strlen(model_format_names[facts.format])
                else:
                    view.data = <const uint8_t *> facts.findings[index].text
                    view.length = facts.findings[index].length
                return VIEW_READY
            index -= count
        file = file.next
    return VIEW_NONE


cdef uint32_t magic_view(app_context_t *context, const tx_t *tx, uint32_t direction, uint32_t index, view_t *view) noexcept nogil:
    """file.magic: what libmagic says of each file of which there is enough to ask it."""
    cdef file_t *file = tx.files[direction]
    while file != NULL:
        if file.magic.length == 0 and context.work.magic != NULL:
            context.work.tell_magic(context, file)
        if file.magic.length:
            if index == 0:
                view.data = file.magic.data
                view.length = file.magic.length
                return VIEW_READY
            index -= 1
        file = file.next
    return VIEW_NONE


cdef uint32_t buffer_view(const ruleset_t *rules, match_scratch_t *scratch, tx_t *tx, uint32_t direction, uint32_t buffer,
                          uint32_t index, uint32_t chain, view_t *view) noexcept nogil:
    cdef app_context_t *context = scratch.inspection.context
    cdef const room_t *room = scratch.inspection.room
    if (scratch.view_known and scratch.view_tx == tx and scratch.view_buffer == buffer and scratch.view_index == index
            and scratch.view_chain == chain):
        view[0] = scratch.view
        return scratch.view_state
    view.data = NULL
    view.length = view.flags = 0
    view.offset = 0
    if buffer == BUFFER_FILE_MODEL or buffer == BUFFER_FILE_MODEL_UNSAFE:
        scratch.view_state = model_view(tx, direction, buffer, index, view)
    elif buffer == BUFFER_FILE_MAGIC:
        scratch.view_state = magic_view(context, tx, direction, index, view)
    elif buffer == BUFFER_FILE_FACTS:
        scratch.view_state = file_facts(tx, direction, index, view)
    else:
        scratch.view_state = room.buffer(context, tx, direction, buffer, index, view)
    if scratch.view_state == VIEW_READY:
        if chain != NOTHING and view.length:
            view.data = transformed(rules, scratch, chain, view.data, &view.length)
        if view.data == NULL:
            view.data = scratch.transformed[0]
            view.length = 0
    scratch.view = view[0]
    scratch.view_tx, scratch.view_buffer, scratch.view_index, scratch.view_chain = tx, buffer, index, chain
    scratch.view_known = True
    return scratch.view_state


def transform_bytes(str name, data, argument=b""):
    """What one transform (the names of rules; pcrexform apart) makes of these bytes: a door for tests."""
    cdef ruleset_t rules
    cdef match_scratch_t scratch
    cdef transform_t transform
    cdef bytes key = argument, source = bytes(data)[:TRANSFORMED_MAX], out = bytes(TRANSFORMED_MAX + 64)
    cdef const char *text = key
    cdef const char *start = source
    cdef char *end = out
    rules.bytes = <const uint8_t *> text
    transform.kind = NAMES.index(name)
    transform.expression = 0
    transform.key.first, transform.key.count = 0, len(key)
    if transform.kind == TRANSFORM_PCREXFORM or transform.kind == TRANSFORM_XOR and not key:
        raise ValueError(name)
    return out[:transform_one(&rules, &scratch, &transform, <const uint8_t *> start, len(source), <uint8_t *> end)]


#: Transforms by TRANSFORM_*.
NAMES = ("compress_whitespace", "strip_whitespace", "strip_pseudo_headers", "to_md5", "to_sha1", "to_sha256", "dotprefix",
         "pcrexform", "url_decode", "xor", "header_lowercase", "to_lowercase", "to_uppercase")
