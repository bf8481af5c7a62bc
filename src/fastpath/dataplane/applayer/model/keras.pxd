# The configuration of a Keras model: JSON, in which every object with code of its own says so in its class_name.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.model.facts cimport (
    FOUND_JSON_MALFORMED, FOUND_KERAS_LAMBDA, find_word, model_facts_t, note_finding,
)
from fastpath.dataplane.applayer.model.json cimport (
    JSON_BROKEN, JSON_DONE, JSON_TEXT, TOLD_KEY, TOLD_NUMBER, TOLD_STRING, TOLD_WORD, json_byte, json_open, json_t,
    json_text_t, text_is,
)

cdef struct keras_t:
    json_t json
    json_text_t key             # the latest, whatever its depth
    uint8_t keys                # that there were: a first one is told, for who looks for the beginning


cdef inline void keras_open(keras_t *k) noexcept nogil:
    json_open(&k.json)
    k.key.length = 0
    k.keys = 0


cdef inline uint32_t keras_feed(keras_t *k, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    """The bytes taken; all, while the value goes on."""
    cdef uint32_t at = 0, told
    while at < length and k.json.state < JSON_DONE:
        told = json_byte(&k.json, data[at])
        if told != TOLD_NUMBER and told != TOLD_WORD:
            at += 1
        if told == TOLD_KEY:
            k.key = k.json.text
            k.keys += k.keys < 255
        elif told == TOLD_STRING and text_is(&k.key, b"class_name", 10):
            facts.inner += 1
            if text_is(&k.json.text, b"Lambda", 6) or text_is(&k.json.text, b"__lambda__", 10):
                note_finding(facts, FOUND_KERAS_LAMBDA, k.json.text.bytes, k.json.text.length, NULL, 0)
    return at


cdef inline void keras_end(keras_t *k, model_facts_t *facts) noexcept nogil:
    if k.json.state == JSON_BROKEN:
        find_word(facts, FOUND_JSON_MALFORMED, b"")
