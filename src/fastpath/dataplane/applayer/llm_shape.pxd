# What a value is, by the key before it: the tables of llm_shape.h.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.applayer.llm_state cimport *
from fastpath.dataplane.types cimport TO_SERVER

cdef extern from "llm_shape.h" nogil:
    ctypedef struct llm_key_t:
        uint8_t place
        uint16_t evidence
    const llm_key_t *llm_request_keys
    const llm_key_t *llm_response_keys
    const llm_key_t *llm_event_keys
    const llm_key_t *llm_prose_keys
    const llm_key_t *llm_choice_keys
    const llm_key_t *llm_nested_keys
    const llm_key_t *llm_param_keys
    const llm_key_t *llm_result_keys
    const llm_key_t *llm_tool_keys
    const llm_key_t *find_llm_key(const llm_key_t *list, const uint8_t *key, uint32_t length)


cdef inline const llm_key_t *keys_of(const llm_side_t *side, uint32_t direction, uint8_t within) noexcept nogil:
    """Those of an object that is `within`; NULL for one in which no key says anything."""
    if within == PLACE_ROOT:
        if direction == TO_SERVER:
            return llm_request_keys
        return llm_event_keys if side.form == FORM_EVENTS else llm_response_keys
    if within == PLACE_PROSE:
        return llm_prose_keys
    if within == PLACE_CHOICES:
        return llm_choice_keys
    if within == PLACE_NESTED:
        return llm_nested_keys
    if within == PLACE_PARAMS:
        return llm_param_keys
    if within == PLACE_RESULT:
        return llm_result_keys
    return llm_tool_keys if within == PLACE_TOOLS else NULL


cdef inline uint8_t place_of(llm_side_t *side, uint32_t direction, uint8_t within) noexcept nogil:
    """What the value of json.key is, in an object that is `within`."""
    cdef const llm_key_t *known
    if within == PLACE_ALL:
        return PLACE_ALL
    known = keys_of(side, direction, within)
    if known == NULL:
        return PLACE_SKIP
    known = find_llm_key(known, side.json.key, side.json.key_length)
    side.evidence |= known.evidence
    return known.place


cdef inline bint is_shown(uint16_t evidence) noexcept nogil:
    """Does what was seen show a body for a model, or from one?"""
    if evidence & SAYS_SURE or evidence & SAYS_RPC and evidence & SAYS_CALL:
        return True
    if evidence & SAYS_TURNS and evidence & (SAYS_ROLE | SAYS_MODEL | SAYS_OPTION):
        return True
    if evidence & SAYS_CONTENTS and evidence & (SAYS_PARTS | SAYS_MODEL):
        return True
    return evidence & SAYS_PLAIN and evidence & (SAYS_MODEL | SAYS_OPTION)
