# Models that are one message of Protocol Buffers: ONNX (ModelProto) and TensorFlow's SavedModel. A walk down the few fields
# that say something; all others are passed over. Sources: onnx/onnx.proto, tensorflow/core/protobuf/saved_model.proto,
# meta_graph.proto, framework/graph.proto.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset, strlen

from fastpath.dataplane.applayer.model.facts cimport (
    FOUND_ONNX_MALFORMED, FOUND_ONNX_PATH, FOUND_SAVEDMODEL_MALFORMED, FOUND_TENSORFLOW_OP, find_word, many_times, model_facts_t,
    note_finding, note_told,
)
from fastpath.dataplane.applayer.model.paths cimport leads_out

cdef enum:
    PROTO_DEPTH = 24            # messages in one another: graphs hold graphs
    PROTO_TEXT = 112

cdef enum proto_message:
    ONNX_MODEL, ONNX_GRAPH, ONNX_NODE, ONNX_ATTRIBUTE, ONNX_TENSOR, ONNX_EXTERNAL, ONNX_DIMS
    SAVED_MODEL, SAVED_META, SAVED_INFO, SAVED_GRAPH, SAVED_NODE, SAVED_LIBRARY, SAVED_FUNCTION
    PROTO_TEXT_FIELD, PROTO_SKIPPED

cdef enum proto_state:
    PROTO_KEY, PROTO_VARINT, PROTO_LENGTH, PROTO_FIXED, PROTO_BYTES, PROTO_BROKEN

cdef struct proto_t:
    uint8_t state, shift, is_onnx, has_graph
    uint32_t depth, field
    uint64_t number             # the varint at work
    uint64_t left               # bytes to pass over, or to take as text
    uint8_t message[24]         # enum proto_message, by depth
    uint64_t rest[24]           # its bytes still to come; ~0 for the whole file
    uint8_t bytes_are           # PROTO_TEXT_FIELD or PROTO_SKIPPED
    uint64_t elements           # of the tensor at work
    uint8_t dims
    uint8_t is_location         # of an external datum
    uint32_t text_length
    uint8_t text[112]


cdef inline void proto_open(proto_t *p, bint is_onnx) noexcept nogil:
    memset(p, 0, sizeof(proto_t))
    p.is_onnx = is_onnx
    p.message[0] = ONNX_MODEL if is_onnx else SAVED_MODEL
    p.rest[0] = <uint64_t> -1


cdef inline void proto_broken(proto_t *p, model_facts_t *facts, const char *why) noexcept nogil:
    p.state = PROTO_BROKEN
    find_word(facts, FOUND_ONNX_MALFORMED if p.is_onnx else FOUND_SAVEDMODEL_MALFORMED, why)


cdef inline uint32_t below(uint32_t message, uint32_t field) noexcept nogil:
    """What a field with a length is: a message to walk through, a text to take, or nothing of interest."""
    if message == ONNX_MODEL:
        return ONNX_GRAPH if field == 7 else PROTO_TEXT_FIELD if field == 2 else PROTO_SKIPPED
    if message == ONNX_GRAPH:
        return ONNX_NODE if field == 1 else ONNX_TENSOR if field == 5 else PROTO_SKIPPED
    if message == ONNX_NODE:
        return ONNX_ATTRIBUTE if field == 5 else PROTO_SKIPPED
    if message == ONNX_ATTRIBUTE:
        return ONNX_TENSOR if field in (5, 10) else ONNX_GRAPH if field in (6, 11) else PROTO_SKIPPED
    if message == ONNX_TENSOR:
        return ONNX_EXTERNAL if field == 13 else ONNX_DIMS if field == 1 else PROTO_SKIPPED
    if message == ONNX_EXTERNAL:
        return PROTO_TEXT_FIELD
    if message == SAVED_MODEL:
        return SAVED_META if field == 2 else PROTO_SKIPPED
    if message == SAVED_META:
        return SAVED_INFO if field == 1 else SAVED_GRAPH if field == 2 else PROTO_SKIPPED
    if message == SAVED_INFO:
        return PROTO_TEXT_FIELD if field == 5 else PROTO_SKIPPED
    if message == SAVED_GRAPH:
        return SAVED_NODE if field == 1 else SAVED_LIBRARY if field == 2 else PROTO_SKIPPED
    if message == SAVED_LIBRARY:
        return SAVED_FUNCTION if field == 1 else PROTO_SKIPPED
    if message == SAVED_FUNCTION:
        return SAVED_NODE if field == 3 else PROTO_SKIPPED
    if message == SAVED_NODE:
        return PROTO_TEXT_FIELD if field == 2 else PROTO_SKIPPED
    return PROTO_SKIPPED


cdef inline void take_dimension(proto_t *p, uint64_t value) noexcept nogil:
    p.elements = many_times(p.elements, value)
    p.dims += p.dims < 255


cdef inline void take_varint(proto_t *p, model_facts_t *facts, uint64_t value) noexcept nogil:
    cdef uint32_t message = p.message[p.depth]
    if (message == ONNX_MODEL or message == SAVED_MODEL) and p.field == 1:
        facts.version = <uint32_t> min(value, <uint64_t> <uint32_t> -1)
    elif message == ONNX_TENSOR and p.field == 1:
        take_dimension(p, value)


cdef inline bint opens_files(const uint8_t *op, uint32_t length) noexcept nogil:
    """Operations of a graph that run Python or reach files of whoever loads it."""
    cdef const char **names = [b"ReadFile", b"WriteFile", b"MatchingFiles", b"PyFunc", b"PyFuncStateless", b"EagerPyFunc", NULL]
    cdef uint32_t i = 0
    while names[i] != NULL:
        if strlen(names[i]) == length and memcmp(names[i], op, length) == 0:
            return True
        i += 1
    return False


cdef inline void take_text(proto_t *p, model_facts_t *facts) noexcept nogil:
    cdef uint32_t message = p.message[p.depth], kept = min(p.text_length, <uint32_t> PROTO_TEXT)
    if message == ONNX_MODEL or message == SAVED_INFO:
        note_told(facts, p.text, kept)
    elif message == SAVED_NODE:
        if opens_files(p.text, p.text_length):
            note_finding(facts, FOUND_TENSORFLOW_OP, p.text, kept, NULL, 0)
    elif p.field == 1:
        p.is_location = p.text_length == 8 and memcmp(p.text, b"location", 8) == 0
    elif p.field == 2 and p.is_location and leads_out(p.text, kept):
        note_finding(facts, FOUND_ONNX_PATH, p.text, kept, NULL, 0)


cdef inline void begin_message(proto_t *p, model_facts_t *facts, uint32_t message, uint64_t length) noexcept nogil:
    if p.depth + 1 == PROTO_DEPTH:
        p.left = length
        p.bytes_are = PROTO_SKIPPED
        p.state = PROTO_BYTES
        return
    p.depth += 1
    p.message[p.depth] = <uint8_t> message
    p.rest[p.depth] = length
    p.state = PROTO_VARINT if message == ONNX_DIMS else PROTO_KEY
    if message == ONNX_TENSOR:
        p.elements = 1
        p.dims = 0
    elif message == ONNX_EXTERNAL:
        p.is_location = False
    elif message == ONNX_NODE or message == SAVED_NODE:
        facts.inner += 1
    elif message == ONNX_GRAPH or message == SAVED_META:
        p.has_graph = True


cdef inline void begin_bytes(proto_t *p, model_facts_t *facts, uint64_t length) noexcept nogil:
    cdef uint32_t what = below(p.message[p.depth], p.field)
    if p.depth and length > p.rest[p.depth] or length >> 40:
        proto_broken(p, facts, b"length")
    elif what < PROTO_TEXT_FIELD:
        begin_message(p, facts, what, length)
    else:
        p.left = length
        p.bytes_are = <uint8_t> what
        p.text_length = 0
        p.state = PROTO_BYTES


cdef inline void end_messages(proto_t *p, model_facts_t *facts) noexcept nogil:
    """Those that are over, and the bytes that are."""
    while p.state != PROTO_BROKEN:
        if p.state == PROTO_BYTES and p.left == 0:
            if p.bytes_are == PROTO_TEXT_FIELD:
                take_text(p, facts)
            p.state = PROTO_KEY
        elif p.depth and p.rest[p.depth] == 0:
            if p.state != PROTO_KEY and (p.message[p.depth] != ONNX_DIMS or p.shift):
                proto_broken(p, facts, b"message")
                return
            if p.message[p.depth] == ONNX_TENSOR:
                facts.tensors += 1
                facts.parameters = min(facts.parameters + (p.elements if p.dims else 1), <uint64_t> 1 << 62)
            p.depth -= 1
            p.state = PROTO_KEY
        else:
            return


cdef inline void spend(proto_t *p, uint64_t count) noexcept nogil:
    """Bytes that belong to all messages that are open; what a message claims to be cannot exceed what is around it."""
    cdef uint32_t i
    for i in range(1, p.depth + 1):
        p.rest[i] -= min(p.rest[i], count)


cdef inline void end_varint(proto_t *p, model_facts_t *facts) noexcept nogil:
    cdef uint64_t value = p.number
    p.number = 0
    p.shift = 0
    if p.state == PROTO_KEY:
        p.field = <uint32_t> (value >> 3)
        if value & 7 == 0:
            p.state = PROTO_VARINT
        elif value & 7 == 2:
            p.state = PROTO_LENGTH
        elif value & 7 == 1 or value & 7 == 5:
            p.left = 8 if value & 7 == 1 else 4
            p.bytes_are = PROTO_SKIPPED
            p.state = PROTO_BYTES
            if p.depth and p.left > p.rest[p.depth]:
                proto_broken(p, facts, b"length")
                return
        else:
            proto_broken(p, facts, b"wire type")
        if p.state != PROTO_BROKEN and (value >> 3 == 0 or value >> 32):
            proto_broken(p, facts, b"field")
    elif p.state == PROTO_VARINT:
        if p.message[p.depth] == ONNX_DIMS:
            take_dimension(p, value)
            return
        take_varint(p, facts, value)
        p.state = PROTO_KEY
    else:
        begin_bytes(p, facts, value)


cdef inline void proto_feed(proto_t *p, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t at = 0, size, i
    while at < length and p.state != PROTO_BROKEN:
        if p.state == PROTO_BYTES:
            size = <uint32_t> min(p.left, <uint64_t> (length - at))
            if p.bytes_are == PROTO_TEXT_FIELD:
                for i in range(size):
                    if p.text_length < PROTO_TEXT:
                        p.text[p.text_length] = data[at + i]
                    p.text_length += p.text_length < <uint32_t> -1
            p.left -= size
            spend(p, size)
            at += size
        else:
            if p.shift > 63:
                proto_broken(p, facts, b"varint")
                return
            p.number |= <uint64_t> (data[at] & 127) << p.shift
            p.shift += 7
            spend(p, 1)
            at += 1
            if data[at - 1] < 128:
                end_varint(p, facts)
        end_messages(p, facts)


cdef inline void proto_end(proto_t *p, model_facts_t *facts, bint whole) noexcept nogil:
    if whole and p.state != PROTO_BROKEN and (p.depth or p.state != PROTO_KEY or p.shift):
        proto_broken(p, facts, b"truncated")
