/* Which strings of a body are text for a model, or from one, by the keys that lead to them; and what shows that it is such a body.

   Requests: OpenAI (chat, completions, responses, embeddings), Anthropic, Ollama, TGI, Triton, Gemini, Cohere, Bedrock, MCP.
   Responses: theirs, whole or in pieces. Arrays are looked through: their elements are what they are. */
#ifndef FASTPATH_LLM_SHAPE_H
#define FASTPATH_LLM_SHAPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum llm_place {                /* what a value is, by the keys that lead to it */
    PLACE_SKIP,                 /* nothing in it is looked for */
    PLACE_ROOT,
    PLACE_PROSE,                /* a string is text; so are the strings of an object that messages keep theirs in */
    PLACE_ALL,                  /* every string in it is text */
    PLACE_MODEL,
    PLACE_CHOICES, PLACE_PARAMS, PLACE_RESULT, PLACE_TOOLS,
    PLACE_NESTED,               /* Gemini's candidates, Bedrock's results, Cohere's generations */
    PLACE_MASK = 0x7f,
    PLACE_OBJECT = 0x80,        /* of a container that is open */
};

enum llm_evidence {
    SAYS_MODEL = 1 << 0,
    SAYS_OPTION = 1 << 1,       /* temperature, stream and the like */
    SAYS_TURNS = 1 << 2,        /* messages */
    SAYS_ROLE = 1 << 3,         /* of which one has a role */
    SAYS_PARTS = 1 << 4, SAYS_CONTENTS = 1 << 5,
    SAYS_PLAIN = 1 << 6,        /* a key under which other services keep text too */
    SAYS_SURE = 1 << 7,         /* one that by itself says enough */
    SAYS_RPC = 1 << 8,          /* JSON-RPC */
    SAYS_CALL = 1 << 9,         /* with what MCP has in it */
};

typedef struct llm_key {
    const char *name;
    uint8_t length;
    uint8_t place;              /* enum llm_place: what its value is */
    uint16_t evidence;          /* enum llm_evidence, 0 for none */
} llm_key_t;

#define LLM_KEY(name, place, evidence) {name, sizeof(name) - 1, place, evidence}
#define LLM_KEYS(list, ...) static const llm_key_t list[] = {__VA_ARGS__, {NULL, 0, PLACE_SKIP, 0}}

#define LLM_ROOT \
    LLM_KEY("model", PLACE_MODEL, SAYS_MODEL), LLM_KEY("jsonrpc", PLACE_SKIP, SAYS_RPC), LLM_KEY("params", PLACE_PARAMS, 0)

LLM_KEYS(llm_request_keys, LLM_ROOT,
    LLM_KEY("messages", PLACE_PROSE, SAYS_TURNS), LLM_KEY("contents", PLACE_PROSE, SAYS_CONTENTS),
    LLM_KEY("prompt", PLACE_PROSE, SAYS_SURE), LLM_KEY("inputs", PLACE_PROSE, SAYS_SURE),
    LLM_KEY("text_input", PLACE_PROSE, SAYS_SURE), LLM_KEY("inputText", PLACE_PROSE, SAYS_SURE),
    LLM_KEY("chat_history", PLACE_PROSE, SAYS_SURE),
    LLM_KEY("input", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("system", PLACE_PROSE, SAYS_PLAIN),
    LLM_KEY("instructions", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("message", PLACE_PROSE, SAYS_PLAIN),
    LLM_KEY("texts", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("preamble", PLACE_PROSE, SAYS_PLAIN),
    LLM_KEY("system_prompt", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("systemInstruction", PLACE_PROSE, SAYS_PLAIN),
    LLM_KEY("system_instruction", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("suffix", PLACE_PROSE, SAYS_PLAIN),
    LLM_KEY("stream", PLACE_SKIP, SAYS_OPTION), LLM_KEY("temperature", PLACE_SKIP, SAYS_OPTION),
    LLM_KEY("max_tokens", PLACE_SKIP, SAYS_OPTION), LLM_KEY("top_p", PLACE_SKIP, SAYS_OPTION),
    LLM_KEY("top_k", PLACE_SKIP, SAYS_OPTION), LLM_KEY("max_completion_tokens", PLACE_SKIP, SAYS_OPTION),
    LLM_KEY("max_new_tokens", PLACE_SKIP, SAYS_OPTION), LLM_KEY("n_predict", PLACE_SKIP, SAYS_OPTION),
    LLM_KEY("keep_alive", PLACE_SKIP, SAYS_OPTION), LLM_KEY("generationConfig", PLACE_SKIP, SAYS_OPTION));

#define LLM_ANSWER \
    LLM_ROOT, \
    LLM_KEY("choices", PLACE_CHOICES, 0), LLM_KEY("result", PLACE_RESULT, 0), \
    LLM_KEY("results", PLACE_NESTED, 0), LLM_KEY("generations", PLACE_NESTED, 0), LLM_KEY("candidates", PLACE_NESTED, 0)
#define LLM_ANSWER_TEXT \
    LLM_KEY("generated_text", PLACE_PROSE, SAYS_SURE), LLM_KEY("text_output", PLACE_PROSE, SAYS_SURE), \
    LLM_KEY("outputText", PLACE_PROSE, SAYS_SURE), \
    LLM_KEY("response", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("message", PLACE_PROSE, SAYS_PLAIN), \
    LLM_KEY("content", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("text", PLACE_PROSE, SAYS_PLAIN), \
    LLM_KEY("delta", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("output", PLACE_PROSE, SAYS_PLAIN), \
    LLM_KEY("token", PLACE_PROSE, SAYS_PLAIN), LLM_KEY("content_block", PLACE_PROSE, SAYS_PLAIN), \
    LLM_KEY("completion", PLACE_PROSE, SAYS_PLAIN)

LLM_KEYS(llm_response_keys, LLM_ANSWER, LLM_ANSWER_TEXT);

LLM_KEYS(llm_event_keys, LLM_ANSWER,        /* of an answer in pieces: these say again what the pieces before have said */
    LLM_KEY("text", PLACE_SKIP, 0), LLM_KEY("generated_text", PLACE_SKIP, 0), LLM_KEY("response", PLACE_SKIP, 0),
    LLM_ANSWER_TEXT);

LLM_KEYS(llm_prose_keys,                    /* a message, or a part of one */
    LLM_KEY("role", PLACE_SKIP, SAYS_ROLE), LLM_KEY("parts", PLACE_PROSE, SAYS_PARTS),
    LLM_KEY("content", PLACE_PROSE, 0), LLM_KEY("text", PLACE_PROSE, 0), LLM_KEY("message", PLACE_PROSE, 0),
    LLM_KEY("output", PLACE_PROSE, 0), LLM_KEY("reasoning_content", PLACE_PROSE, 0), LLM_KEY("thinking", PLACE_PROSE, 0));

LLM_KEYS(llm_choice_keys,
    LLM_KEY("message", PLACE_PROSE, SAYS_SURE), LLM_KEY("delta", PLACE_PROSE, SAYS_SURE), LLM_KEY("text", PLACE_PROSE, SAYS_SURE));

LLM_KEYS(llm_nested_keys,
    LLM_KEY("outputText", PLACE_PROSE, SAYS_SURE), LLM_KEY("content", PLACE_PROSE, SAYS_CONTENTS),
    LLM_KEY("text", PLACE_PROSE, SAYS_CONTENTS));

LLM_KEYS(llm_param_keys,                    /* MCP: what a tool is called with; what a server asks the client's model */
    LLM_KEY("arguments", PLACE_ALL, SAYS_CALL), LLM_KEY("messages", PLACE_PROSE, SAYS_CALL),
    LLM_KEY("systemPrompt", PLACE_PROSE, SAYS_CALL));

LLM_KEYS(llm_result_keys,                   /* MCP: what a tool gave, a resource or a prompt holds; how tools describe themselves */
    LLM_KEY("content", PLACE_PROSE, SAYS_CALL), LLM_KEY("contents", PLACE_PROSE, SAYS_CALL),
    LLM_KEY("messages", PLACE_PROSE, SAYS_CALL), LLM_KEY("structuredContent", PLACE_ALL, SAYS_CALL),
    LLM_KEY("tools", PLACE_TOOLS, SAYS_CALL), LLM_KEY("prompts", PLACE_TOOLS, SAYS_CALL), LLM_KEY("resources", PLACE_TOOLS, SAYS_CALL));

LLM_KEYS(llm_tool_keys, LLM_KEY("description", PLACE_PROSE, 0));

/* The row of a key in a list; the last one, of no name, for a key that is not in it. */
static inline const llm_key_t *find_llm_key(const llm_key_t *list, const uint8_t *key, uint32_t length)
{
    while (list->name != NULL && (list->length != length || memcmp(list->name, key, length) != 0))
        list++;
    return list;
}

#endif
