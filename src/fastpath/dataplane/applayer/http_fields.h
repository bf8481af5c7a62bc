/* The headers that are inspect buffers of their own (guide: rules/http-keywords), for HTTP/1 and HTTP/2: the name of each, in lower
   case, in a message of either direction. */
#ifndef FASTPATH_HTTP_FIELDS_H
#define FASTPATH_HTTP_FIELDS_H

#include <stdint.h>

#include "applayer.h"

typedef struct field_name {
    const char *text;           /* NULL: no header of this direction */
    uint32_t length;
} field_name_t;

#define FIELD_BUFFERS_FIRST BUFFER_HTTP_COOKIE
#define FIELD_NAME(text) {text, sizeof(text) - 1}
#define FIELD(buffer, to_server, to_client) [buffer - FIELD_BUFFERS_FIRST] = {to_server, to_client}
#define OF_BOTH(buffer, text) FIELD(buffer, FIELD_NAME(text), FIELD_NAME(text))
#define OF_REQUESTS(buffer, text) FIELD(buffer, FIELD_NAME(text), {0})
#define OF_RESPONSES(buffer, text) FIELD(buffer, {0}, FIELD_NAME(text))

static const field_name_t field_buffers[][2] = {
    FIELD(BUFFER_HTTP_COOKIE, FIELD_NAME("cookie"), FIELD_NAME("set-cookie")),
    OF_BOTH(BUFFER_HTTP_CONNECTION, "connection"),
    OF_BOTH(BUFFER_HTTP_CONTENT_LEN, "content-length"),
    OF_BOTH(BUFFER_HTTP_CONTENT_TYPE, "content-type"),
    OF_REQUESTS(BUFFER_HTTP_ACCEPT, "accept"),
    OF_REQUESTS(BUFFER_HTTP_ACCEPT_LANG, "accept-language"),
    OF_REQUESTS(BUFFER_HTTP_ACCEPT_ENC, "accept-encoding"),
    OF_REQUESTS(BUFFER_HTTP_REFERER, "referer"),
    OF_REQUESTS(BUFFER_HTTP_USER_AGENT, "user-agent"),
    OF_RESPONSES(BUFFER_HTTP_LOCATION, "location"),
    OF_RESPONSES(BUFFER_HTTP_SERVER, "server"),
};

#undef FIELD
#undef OF_BOTH
#undef OF_REQUESTS
#undef OF_RESPONSES

/* The header that a buffer shows in a direction; a name without text for any other buffer. */
static inline field_name_t field_of_buffer(uint32_t buffer, uint32_t direction)
{
    static const field_name_t none = {0};
    uint32_t row = buffer - FIELD_BUFFERS_FIRST;
    return row < sizeof(field_buffers) / sizeof(field_buffers[0]) ? field_buffers[row][direction] : none;
}

#endif
