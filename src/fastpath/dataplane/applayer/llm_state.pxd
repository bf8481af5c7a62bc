# What is kept of a body that talks to a language model: where its reading stands, the text found so far, the model's name.
#
# The size is fixed but for the text, which is bounded by the setting llm.text-limit.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport llm_facts_t
from fastpath.dataplane.types cimport bytes_t

cdef enum:
    JSON_DEPTH = 64             # containers within one another
    KEY_MAX = 24                # bytes of a key; a longer one is none that is known
    MODEL_MAX = 64              # bytes of a model's name that are kept
    SOUGHT_MAX = 1 << 20        # bytes of a body within which it must have shown that it is one

cdef enum json_state:
    JSON_START                  # before the first byte of a value at the root
    JSON_VALUE, JSON_FIRST      # a value; the same, or the end of its array
    JSON_KEY, JSON_KEY_NEXT     # a key, or the end of its object; a key
    JSON_COLON, JSON_NEXT       # behind a key; behind a value
    JSON_STRING, JSON_ESCAPE, JSON_HEX, JSON_BARE
    JSON_BROKEN, JSON_DEEP

cdef extern from "llm_shape.h" nogil:
    enum:
        PLACE_SKIP, PLACE_ROOT, PLACE_PROSE, PLACE_ALL, PLACE_MODEL, PLACE_CHOICES, PLACE_PARAMS, PLACE_RESULT, PLACE_TOOLS
        PLACE_NESTED, PLACE_MASK, PLACE_OBJECT
        SAYS_MODEL, SAYS_OPTION, SAYS_TURNS, SAYS_ROLE, SAYS_PARTS, SAYS_CONTENTS, SAYS_PLAIN, SAYS_SURE, SAYS_RPC, SAYS_CALL

cdef enum sink:
    SINK_NONE, SINK_KEY, SINK_TEXT, SINK_MODEL

cdef struct json_t:
    uint8_t state, depth
    uint8_t place               # of the value that is at work or comes next
    uint8_t sink                # where the string at work goes
    uint8_t key_length          # KEY_MAX + 1: too long
    uint8_t digits              # of \uXXXX that are still to come
    uint16_t unit               # of what has come
    uint16_t high               # a surrogate that waits for the other one, 0 for none
    uint8_t key[24]
    uint8_t open[64]            # containers: place | PLACE_OBJECT

cdef enum form:
    FORM_NONE, FORM_JSON, FORM_EVENTS           # text/event-stream

cdef enum line:                 # of FORM_EVENTS
    LINE_FIELD, LINE_OTHER, LINE_DATA

cdef struct llm_side_t:
    uint8_t form, line
    uint8_t matched             # bytes of "data:" that the line at work began with
    uint8_t ended               # nothing more is read of it
    uint8_t fetched             # its text was shown since the rules were done with it last
    uint8_t whole               # and shown to its end
    uint16_t evidence           # enum llm_evidence: SAYS_*
    uint32_t values             # at the root that have come to their end
    uint32_t inspected          # bytes of text
    uint64_t walked             # bytes of the body
    uint64_t bytes              # of text, those too that were over the limit
    uint64_t started            # engine time of its first byte, ns
    uint64_t seconds            # what llm.seconds shows
    bytes_t text
    json_t json

cdef struct llm_t:
    llm_side_t side[2]
    uint8_t model[64]
    uint8_t model_length
    uint8_t key_known           # the header was looked for
    llm_facts_t facts
