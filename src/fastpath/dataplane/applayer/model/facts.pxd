# What is found out about a model, written down: model.h. All text in it is printable ASCII: what is not is written as a
# question mark.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, strlen

cdef extern from "applayer/model/model.h" nogil:
    enum:
        MODEL_NONE, MODEL_SAFETENSORS, MODEL_GGUF, MODEL_PYTORCH, MODEL_PICKLE, MODEL_ONNX, MODEL_SAVEDMODEL, MODEL_HDF5
        MODEL_KERAS_HDF5, MODEL_KERAS, MODEL_TENSORRT, MODEL_NPY, MODEL_NPZ, MODEL_ARCHIVE, MODEL_FORMATS
        FOUND_PICKLE_IMPORT, FOUND_PICKLE_UNKNOWN, FOUND_PICKLE_UNRESOLVED, FOUND_PICKLE_EXTENSION, FOUND_PICKLE_BOMB
        FOUND_PICKLE_LIMIT, FOUND_PICKLE_MALFORMED, FOUND_KERAS_LAMBDA, FOUND_GGUF_TEMPLATE, FOUND_GGUF_HEADER
        FOUND_SAFETENSORS_HEADER, FOUND_SAFETENSORS_LENGTH, FOUND_ONNX_PATH, FOUND_ONNX_MALFORMED, FOUND_TENSORFLOW_OP
        FOUND_SAVEDMODEL_MALFORMED, FOUND_ZIP_PATH, FOUND_ZIP_SYMLINK, FOUND_ZIP_MISMATCH, FOUND_ZIP_BOMB, FOUND_ZIP_MALFORMED
        FOUND_JSON_MALFORMED, FOUND_TAR_PATH, FOUND_TAR_MALFORMED, FOUND_GZIP_MALFORMED, MODEL_FOUND
        MODEL_FINDINGS_MAX, MODEL_FINDING_TEXT, MODEL_NOTE_MAX, MODEL_PREFIX
    const char *const *model_format_names
    const char *const *model_found_names

    ctypedef struct model_finding_t:
        uint8_t kind, length
        char text[126]

    ctypedef struct model_facts_t:
        uint8_t format, count, more, note_length
        uint32_t version
        uint64_t tensors, parameters, imports, inner
        char note[64]
        model_finding_t findings[16]

    ctypedef struct model_t:
        model_facts_t *facts
        void *walk
        uint32_t prefix_length
        uint8_t stopped
        uint8_t prefix[264]


cdef inline uint32_t put_shown(char *into, uint32_t at, uint32_t room, const uint8_t *text, uint32_t length) noexcept nogil:
    """As much as there is room for; the new end."""
    cdef uint32_t i
    for i in range(min(length, room - at)):
        into[at + i] = <char> (text[i] if 0x20 <= text[i] < 0x7f else 63)
    return at + min(length, room - at)


cdef inline void note_finding(model_facts_t *facts, uint8_t kind, const uint8_t *text, uint32_t length,
                              const uint8_t *more, uint32_t more_length) noexcept nogil:
    """Each finding once. Between text and more stands a dot; either may be empty."""
    cdef model_finding_t made
    cdef uint32_t at = <uint32_t> strlen(model_found_names[kind]), i
    made.kind = kind
    memcpy(made.text, model_found_names[kind], at)
    if length or more_length:
        made.text[at] = 32
        at = put_shown(made.text, at + 1, MODEL_FINDING_TEXT, text, length)
        if more_length and at < MODEL_FINDING_TEXT:
            made.text[at] = 46
            at = put_shown(made.text, at + 1, MODEL_FINDING_TEXT, more, more_length)
    made.length = <uint8_t> at
    for i in range(facts.count):
        if facts.findings[i].length == at and memcmp(facts.findings[i].text, made.text, at) == 0:
            return
    if facts.count == MODEL_FINDINGS_MAX:
        facts.more = True
        if kind != FOUND_PICKLE_IMPORT or facts.findings[MODEL_FINDINGS_MAX - 1].kind == FOUND_PICKLE_IMPORT:
            return
        facts.count -= 1        # the worst shall be among them
    facts.findings[facts.count] = made
    facts.count += 1


cdef inline void find_word(model_facts_t *facts, uint8_t kind, const char *word) noexcept nogil:
    note_finding(facts, kind, <const uint8_t *> word, <uint32_t> strlen(word), NULL, 0)


cdef inline void note_told(model_facts_t *facts, const uint8_t *text, uint32_t length) noexcept nogil:
    """The architecture or producer that the file names: the first stays."""
    if facts.note_length == 0:
        facts.note_length = <uint8_t> put_shown(facts.note, 0, MODEL_NOTE_MAX, text, length)


cdef inline uint64_t many_times(uint64_t a, uint64_t b) noexcept nogil:
    """The product, at most 2**62: what is told of shapes is not to be trusted."""
    if a and b > (<uint64_t> 1 << 62) // a:
        return <uint64_t> 1 << 62
    return a * b
