# HDF5 as Keras writes it: it says so in an attribute keras_version, and holds its configuration as JSON in another,
# model_config. Where in the file they lie is known only with all of it at hand; as it streams by, the attributes' names and the
# beginning of the configuration are recognised wherever they come, and from there on the configuration is read as the JSON that
# it is.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from fastpath.dataplane.applayer.model.facts cimport MODEL_KERAS_HDF5, model_facts_t
from fastpath.dataplane.applayer.model.json cimport JSON_DONE, json_text_t, text_is
from fastpath.dataplane.applayer.model.keras cimport keras_feed, keras_open, keras_t

cdef struct hdf5_t:
    uint32_t version_at, layers_at      # letters of keras_version, of layer_names that have come
    uint8_t before              # the byte before
    uint8_t reading             # a brace and a quotation mark have come: it may be the configuration
    keras_t keras


cdef inline void hdf5_open(hdf5_t *h) noexcept nogil:
    memset(h, 0, sizeof(hdf5_t))


cdef inline uint32_t next_letter(uint32_t at, const char *word, uint32_t length, uint8_t c) noexcept nogil:
    """Of a word whose first letter it has but once."""
    if c == <uint8_t> word[at]:
        return at + 1
    return 1 if c == <uint8_t> word[0] else 0


cdef inline bint is_configuration(const json_text_t *first) noexcept nogil:
    """By its first key."""
    return text_is(first, b"class_name", 10) or text_is(first, b"module", 6) or text_is(first, b"config", 6)


cdef inline void hdf5_feed(hdf5_t *h, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t at = 0
    cdef uint8_t c
    while at < length:
        if h.reading:
            at += keras_feed(&h.keras, facts, data + at, 1)
            if h.keras.keys == 1 and not is_configuration(&h.keras.key) or h.keras.json.state >= JSON_DONE:
                h.reading = False
            continue
        c = data[at]
        at += 1
        h.version_at = next_letter(h.version_at, b"keras_version", 13, c)
        h.layers_at = next_letter(h.layers_at, b"layer_names", 11, c)
        if h.version_at == 13 or h.layers_at == 11:
            facts.format = MODEL_KERAS_HDF5
            h.version_at = h.layers_at = 0
        if h.before == 123 and c == 34:
            keras_open(&h.keras)
            keras_feed(&h.keras, facts, b"{\"", 2)
            h.reading = True
        h.before = c
