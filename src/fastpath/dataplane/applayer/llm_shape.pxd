# Which strings of a body are text for a model, or from one, by the keys that lead to them; and what shows that it is such a body.
#
# Requests: OpenAI (chat, completions, responses, embeddings), Anthropic, Ollama, TGI, Triton, Gemini, Cohere, Bedrock, MCP.
# Responses: theirs, whole or in pieces. Arrays are looked through: their elements are what they are.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, strlen

from fastpath.dataplane.applayer.llm_state cimport *
from fastpath.dataplane.types cimport TO_SERVER


cdef inline bint key_is(const json_t *json, const char *name) noexcept nogil:
    cdef size_t length = strlen(name)
    return json.key_length == length and memcmp(json.key, name, length) == 0


cdef inline uint8_t in_prose(llm_side_t *side) noexcept nogil:
    """A message, or a part of one."""
    cdef const json_t *json = &side.json
    if key_is(json, b"role"):
        side.evidence |= SAYS_ROLE
        return PLACE_SKIP
    if key_is(json, b"parts"):
        side.evidence |= SAYS_PARTS
        return PLACE_PROSE
    if (key_is(json, b"content") or key_is(json, b"text") or key_is(json, b"message") or key_is(json, b"output")
            or key_is(json, b"reasoning_content") or key_is(json, b"thinking")):
        return PLACE_PROSE
    return PLACE_SKIP


cdef inline uint8_t in_either_root(llm_side_t *side) noexcept nogil:
    """What requests and responses have at their root alike; PLACE_ROOT for what is none of it."""
    cdef const json_t *json = &side.json
    if key_is(json, b"model"):
        side.evidence |= SAYS_MODEL
        return PLACE_MODEL
    if key_is(json, b"jsonrpc"):
        side.evidence |= SAYS_RPC
        return PLACE_SKIP
    if key_is(json, b"params"):
        return PLACE_PARAMS
    return PLACE_ROOT


cdef inline uint8_t in_request(llm_side_t *side) noexcept nogil:
    cdef const json_t *json = &side.json
    cdef uint8_t found = in_either_root(side)
    if found != PLACE_ROOT:
        return found
    if key_is(json, b"messages"):
        side.evidence |= SAYS_TURNS
        return PLACE_PROSE
    if key_is(json, b"contents"):
        side.evidence |= SAYS_CONTENTS
        return PLACE_PROSE
    if (key_is(json, b"prompt") or key_is(json, b"inputs") or key_is(json, b"text_input") or key_is(json, b"inputText")
            or key_is(json, b"chat_history")):
        side.evidence |= SAYS_SURE
        return PLACE_PROSE
    if (key_is(json, b"input") or key_is(json, b"system") or key_is(json, b"instructions") or key_is(json, b"message")
            or key_is(json, b"texts") or key_is(json, b"preamble") or key_is(json, b"system_prompt")
            or key_is(json, b"systemInstruction") or key_is(json, b"system_instruction") or key_is(json, b"suffix")):
        side.evidence |= SAYS_PLAIN
        return PLACE_PROSE
    if (key_is(json, b"stream") or key_is(json, b"temperature") or key_is(json, b"max_tokens") or key_is(json, b"top_p")
            or key_is(json, b"top_k") or key_is(json, b"max_completion_tokens") or key_is(json, b"max_new_tokens")
            or key_is(json, b"n_predict") or key_is(json, b"keep_alive") or key_is(json, b"generationConfig")):
        side.evidence |= SAYS_OPTION
    return PLACE_SKIP


cdef inline uint8_t in_response(llm_side_t *side) noexcept nogil:
    cdef const json_t *json = &side.json
    cdef uint8_t found = in_either_root(side)
    if found != PLACE_ROOT:
        return found
    if key_is(json, b"choices"):
        return PLACE_CHOICES
    if key_is(json, b"result"):
        return PLACE_RESULT
    if key_is(json, b"results") or key_is(json, b"generations") or key_is(json, b"candidates"):
        return PLACE_NESTED
    if side.form == FORM_EVENTS and (key_is(json, b"text") or key_is(json, b"generated_text") or key_is(json, b"response")):
        return PLACE_SKIP       # what the pieces before it have said already
    if key_is(json, b"generated_text") or key_is(json, b"text_output") or key_is(json, b"outputText"):
        side.evidence |= SAYS_SURE
        return PLACE_PROSE
    if (key_is(json, b"response") or key_is(json, b"message") or key_is(json, b"content") or key_is(json, b"text")
            or key_is(json, b"delta") or key_is(json, b"output") or key_is(json, b"token") or key_is(json, b"content_block")
            or key_is(json, b"completion")):
        side.evidence |= SAYS_PLAIN
        return PLACE_PROSE
    return PLACE_SKIP


cdef inline uint8_t in_choices(llm_side_t *side) noexcept nogil:
    cdef const json_t *json = &side.json
    if key_is(json, b"message") or key_is(json, b"delta") or key_is(json, b"text"):
        side.evidence |= SAYS_SURE
        return PLACE_PROSE
    return PLACE_SKIP


cdef inline uint8_t in_nested(llm_side_t *side) noexcept nogil:
    """Gemini's candidates, Bedrock's results, Cohere's generations."""
    cdef const json_t *json = &side.json
    if key_is(json, b"outputText"):
        side.evidence |= SAYS_SURE
        return PLACE_PROSE
    if key_is(json, b"content") or key_is(json, b"text"):
        side.evidence |= SAYS_CONTENTS
        return PLACE_PROSE
    return PLACE_SKIP


cdef inline uint8_t in_params(llm_side_t *side) noexcept nogil:
    """MCP: what a tool is called with; what a server asks the client's model."""
    cdef const json_t *json = &side.json
    if key_is(json, b"arguments"):
        side.evidence |= SAYS_CALL
        return PLACE_ALL
    if key_is(json, b"messages") or key_is(json, b"systemPrompt"):
        side.evidence |= SAYS_CALL
        return PLACE_PROSE
    return PLACE_SKIP


cdef inline uint8_t in_result(llm_side_t *side) noexcept nogil:
    """MCP: what a tool gave, a resource or a prompt holds; and how tools describe themselves."""
    cdef const json_t *json = &side.json
    if key_is(json, b"content") or key_is(json, b"contents") or key_is(json, b"messages"):
        side.evidence |= SAYS_CALL
        return PLACE_PROSE
    if key_is(json, b"structuredContent"):
        side.evidence |= SAYS_CALL
        return PLACE_ALL
    if key_is(json, b"tools") or key_is(json, b"prompts") or key_is(json, b"resources"):
        side.evidence |= SAYS_CALL
        return PLACE_TOOLS
    return PLACE_SKIP


cdef inline uint8_t place_of(llm_side_t *side, uint32_t direction, uint8_t within) noexcept nogil:
    """What the value of json.key is, in an object that is `within`."""
    if within == PLACE_SKIP or within == PLACE_ALL:
        return within
    if within == PLACE_ROOT:
        return in_request(side) if direction == TO_SERVER else in_response(side)
    if within == PLACE_PROSE:
        return in_prose(side)
    if within == PLACE_CHOICES:
        return in_choices(side)
    if within == PLACE_NESTED:
        return in_nested(side)
    if within == PLACE_PARAMS:
        return in_params(side)
    if within == PLACE_RESULT:
        return in_result(side)
    if within == PLACE_TOOLS:
        return PLACE_PROSE if key_is(&side.json, b"description") else PLACE_SKIP
    return PLACE_SKIP


cdef inline bint is_shown(uint16_t evidence) noexcept nogil:
    """Does what was seen show a body for a model, or from one?"""
    if evidence & SAYS_SURE or evidence & SAYS_RPC and evidence & SAYS_CALL:
        return True
    if evidence & SAYS_TURNS and evidence & (SAYS_ROLE | SAYS_MODEL | SAYS_OPTION):
        return True
    if evidence & SAYS_CONTENTS and evidence & (SAYS_PARTS | SAYS_MODEL):
        return True
    return evidence & SAYS_PLAIN and evidence & (SAYS_MODEL | SAYS_OPTION)
