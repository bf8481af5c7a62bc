# Talk with language models in bodies of HTTP: llm.prompt, llm.response and what is known beside them.
#
# A body is read if it begins as JSON or is an event stream, whatever the path says, and is believed once its keys show what it is
# (llm_shape.h). Only where a rule asks, or events are wanted (app_work_t.llm). llm_bytes is the one way in.
#
# A module that cimports from here links with libcrypto (setup.py: LINKS).
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from fastpath.dataplane.applayer.applayer cimport (
    BUFFER_LLM_FACTS, BUFFER_LLM_MODEL, BUFFER_LLM_PROMPT, BUFFER_LLM_SECONDS, HTTP1_COMPLETE, LLM_INVALID_JSON,
    LLM_TEXT_LIMIT, LLM_TOO_DEEP, VIEW_END, VIEW_LATER, VIEW_NONE, VIEW_READY, VIEW_START, app_context_t, llm_facts_t, view_t,
)
from fastpath.dataplane.applayer.files cimport SHA256_CTX, SHA256_Final, SHA256_Init, SHA256_Update
from fastpath.dataplane.applayer.http1_headers cimport find_header
from fastpath.dataplane.applayer.http1_state cimport (
    body_is_over, bytes_of, header_t, http1_tx_t, index_of, index_of_caseless, is_blank, message_t, same,
)
from fastpath.dataplane.applayer.llm_json cimport restart, walk
from fastpath.dataplane.applayer.llm_shape cimport is_shown
from fastpath.dataplane.applayer.llm_state cimport *
from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, put_hex, put_key, say_bool, say_bytes, say_uint, writer_t
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER

cdef enum:
    WHOLE_MAX = 16384           # bytes of a text that grows which are shown from its start on, each time there is more
    WINDOW_BACK = 8192          # of a longer one, what is shown again before what is new


cdef inline llm_t *llm_of(const http1_tx_t *tx) noexcept nogil:
    return <llm_t *> tx.llm


# ---- reading ----

cdef inline uint32_t form_of(const http1_tx_t *tx, uint32_t direction, uint8_t first) noexcept nogil:
    """Of a body, by its first byte and what its header says."""
    cdef const message_t *message = &tx.side[direction]
    cdef header_t *header
    if direction == TO_CLIENT:
        header = find_header(message, b"content-type", 12)
        if header != NULL and index_of_caseless(bytes_of(&message.text, header.value), header.value.length,
                                                b"text/event-stream", 17) >= 0:
            return FORM_EVENTS
    return FORM_JSON if first == 123 or first == 91 or first == 0xef or first <= 32 else FORM_NONE


cdef inline void give_up(app_context_t *context, llm_side_t *side) noexcept nogil:
    """It is no body for a model."""
    side.ended = True
    bytes_free(context.pool, ACCOUNT_APPLAYER, &side.text)


cdef inline bint is_sure(const llm_t *llm, uint32_t direction) noexcept nogil:
    """What answers a request to a model is of a model."""
    return is_shown(llm.side[direction].evidence) or direction == TO_CLIENT and is_shown(llm.side[TO_SERVER].evidence)


cdef inline void note_trouble(http1_tx_t *tx, uint32_t direction) noexcept nogil:
    cdef llm_t *llm = llm_of(tx)
    cdef llm_side_t *side = &llm.side[direction]
    if not is_sure(llm, direction):
        return
    if side.json.state == JSON_BROKEN:
        tx_event(&tx.head, LLM_INVALID_JSON)
    elif side.json.state == JSON_DEEP:
        tx_event(&tx.head, LLM_TOO_DEEP)


cdef inline void read_events(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                             uint32_t length) noexcept nogil:
    """text/event-stream, as the HTML standard has it (section 9.2): the data of each event are a value. A broken one ends with
    its event."""
    cdef llm_t *llm = llm_of(tx)
    cdef llm_side_t *side = &llm.side[direction]
    cdef const char *field = b"data:"
    cdef const uint8_t *found
    cdef uint32_t at = 0, end
    while at < length and side.json.state != JSON_DEEP:
        if side.line == LINE_FIELD:
            if data[at] == field[side.matched]:
                side.matched += 1
                if side.matched == 5:
                    side.line = LINE_DATA
            elif data[at] == 10 or data[at] == 13:
                if side.matched == 0 and data[at] == 10:    # an empty line ends the event
                    if side.json.state != JSON_START:
                        side.json.state = JSON_BROKEN
                        note_trouble(tx, direction)
                    restart(side)
                side.matched = 0
            else:
                side.line = LINE_OTHER
            at += 1
            continue
        found = <const uint8_t *> memchr(data + at, 10, length - at)
        end = length if found == NULL else <uint32_t> (found - data)
        if side.line == LINE_DATA:
            while side.json.state == JSON_START and at < end and (is_blank(data[at]) or data[at] == 13):
                at += 1
            if at < end and side.json.state == JSON_START and data[at] != 123:
                side.line = LINE_OTHER      # such as [DONE]
            elif at < end:
                walk(context, llm, direction, data + at, end - at)
                note_trouble(tx, direction)
        at = end
        if found != NULL:
            side.line = LINE_FIELD
            side.matched = 0
            at += 1


cdef inline llm_t *open_llm(app_context_t *context, http1_tx_t *tx, uint32_t direction, uint8_t first) noexcept nogil:
    """A body begins. NULL for one that is not looked at, or where memory is refused."""
    cdef uint32_t form = form_of(tx, direction, first)
    cdef llm_t *llm
    if form == FORM_NONE:
        return NULL
    if tx.llm == NULL:
        tx.llm = pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(llm_t))
    llm = llm_of(tx)
    if llm != NULL:
        llm.side[direction].form = <uint8_t> form
        llm.side[direction].started = context.now
    return llm


cdef inline void llm_bytes(app_context_t *context, http1_tx_t *tx, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """Decoded bytes of a body, in order."""
    cdef llm_t *llm = llm_of(tx)
    cdef llm_side_t *side
    cdef bint shown
    if tx.side[direction].seen == 0:
        llm = open_llm(context, tx, direction, data[0])
    if llm == NULL or llm.side[direction].form == FORM_NONE or llm.side[direction].ended:
        return
    side = &llm.side[direction]
    shown = is_sure(llm, direction)
    if side.form == FORM_EVENTS:
        read_events(context, tx, direction, data, length)
    else:
        walk(context, llm, direction, data, length)
        note_trouble(tx, direction)
    side.walked += length
    if side.json.state >= JSON_BROKEN and side.form == FORM_JSON or side.json.state == JSON_DEEP:
        side.ended = True
    if side.bytes > side.text.length and is_sure(llm, direction):
        tx_event(&tx.head, LLM_TEXT_LIMIT)
    if not shown and not is_sure(llm, direction) and (side.ended or side.walked > SOUGHT_MAX):
        give_up(context, side)


cdef inline void llm_gap(http1_tx_t *tx, uint32_t direction) noexcept nogil:
    """Bytes are missing: JSON cannot be read on, an event stream from its next line."""
    cdef llm_side_t *side
    if tx.llm == NULL:
        return
    side = &llm_of(tx).side[direction]
    if side.form == FORM_EVENTS:
        restart(side)
        side.line = LINE_OTHER
    else:
        side.ended = True


cdef inline void llm_free(app_context_t *context, http1_tx_t *tx) noexcept nogil:
    if tx.llm == NULL:
        return
    bytes_free(context.pool, ACCOUNT_APPLAYER, &llm_of(tx).side[TO_SERVER].text)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &llm_of(tx).side[TO_CLIENT].text)
    pool_give(context.pool, ACCOUNT_APPLAYER, tx.llm, sizeof(llm_t))
    tx.llm = NULL


# ---- whose it is ----

cdef inline bint key_header(const http1_tx_t *tx, const uint8_t **data, uint32_t *length) noexcept nogil:
    """The API key of a request. A name and password are none: few bytes would be guessed from their digest."""
    cdef const message_t *request = &tx.side[TO_SERVER]
    cdef const char **names = [b"x-api-key", b"api-key", b"x-goog-api-key"]
    cdef uint32_t *lengths = [9, 7, 14]
    cdef header_t *header = find_header(request, b"authorization", 13)
    cdef uint32_t i
    if header != NULL and header.value.length > 7 and same(bytes_of(&request.text, header.value), 7, b"bearer ", 7):
        data[0] = bytes_of(&request.text, header.value) + 7
        length[0] = header.value.length - 7
        return True
    for i in range(3):
        header = find_header(request, names[i], lengths[i])
        if header != NULL and header.value.length:
            data[0] = bytes_of(&request.text, header.value)
            length[0] = header.value.length
            return True
    return False


cdef inline void model_of_path(llm_t *llm, const http1_tx_t *tx) noexcept nogil:
    """.../models/NAME:generateContent, where the body names no model."""
    cdef int64_t found = index_of(tx.path.data, tx.path.length, <const uint8_t *> b"/models/", 8) if tx.has_path else -1
    cdef uint32_t at
    if found < 0:
        return
    at = <uint32_t> found + 8
    while at < tx.path.length and llm.model_length < MODEL_MAX and tx.path.data[at] != 58 and tx.path.data[at] != 47:
        llm.model[llm.model_length] = tx.path.data[at]
        llm.model_length += 1
        at += 1


cdef inline llm_facts_t *facts_of(const http1_tx_t *tx) noexcept nogil:
    """What is known by now: of the key eight bytes of its SHA-256, of the model's name a hash."""
    cdef llm_t *llm = llm_of(tx)
    cdef SHA256_CTX sha256
    cdef uint8_t digest[32]
    cdef const uint8_t *data
    cdef uint32_t length, i
    if not llm.key_known:
        llm.key_known = True
        if key_header(tx, &data, &length):
            SHA256_Init(&sha256)
            SHA256_Update(&sha256, data, length)
            SHA256_Final(digest, &sha256)
            memcpy(llm.facts.key, digest, sizeof(llm.facts.key))
            llm.facts.has_key = True
    if llm.model_length == 0:
        model_of_path(llm, tx)
    if llm.model_length:
        llm.facts.model = <uint64_t> 0xcbf29ce484222325U
        for i in range(llm.model_length):
            llm.facts.model = (llm.facts.model ^ llm.model[i]) * <uint64_t> 0x100000001b3U
    llm.facts.prompt_bytes = llm.side[TO_SERVER].bytes
    return &llm.facts


# ---- showing ----

cdef inline uint32_t text_view(const app_context_t *context, http1_tx_t *tx, uint32_t direction, bint ended,
                               view_t *view) noexcept nogil:
    """The text at its end, or at its limit. With bodies that are inspected as they come also while it grows: from its start on as
    long as it is short, then what is new and a window before it."""
    cdef llm_side_t *side = &llm_of(tx).side[direction]
    cdef uint32_t limit = context.config.llm.text_limit, at = 0
    cdef bint over = body_is_over(tx, direction) or ended or side.ended or side.text.length >= limit
    if side.text.length == 0 or side.text.length == side.inspected and (side.whole or not over):
        return VIEW_NONE
    if not over and not context.config.http1.body_inline:
        return VIEW_LATER
    if not over and side.text.length > WHOLE_MAX:
        at = side.inspected - WINDOW_BACK if side.inspected > WINDOW_BACK else 0
    side.fetched = True
    side.whole = over
    view.data = side.text.data + at
    view.length = side.text.length - at
    view.offset = at
    view.flags = (VIEW_START if at == 0 else 0) | (VIEW_END if over else 0)
    return VIEW_READY


cdef inline uint32_t show_seconds(const app_context_t *context, http1_tx_t *tx, uint32_t direction, view_t *view) noexcept nogil:
    cdef llm_side_t *side = &llm_of(tx).side[direction]
    cdef bint complete = tx.side[direction].over if tx.http2 else tx.head.progress[direction] == HTTP1_COMPLETE
    cdef uint64_t until = tx.head.ts[direction] if complete else context.now
    if side.form == FORM_NONE or until < side.started:
        return VIEW_NONE
    side.seconds = (until - side.started) // 1000000000
    view.data = <const uint8_t *> &side.seconds
    view.length = sizeof(side.seconds)
    return VIEW_READY


cdef inline uint32_t llm_view(const app_context_t *context, http1_tx_t *tx, uint32_t direction, uint32_t buffer, bint ended,
                              view_t *view) noexcept nogil:
    cdef llm_t *llm = llm_of(tx)
    if llm == NULL or not is_sure(llm, direction):
        return VIEW_NONE
    if buffer == BUFFER_LLM_SECONDS:
        return show_seconds(context, tx, direction, view)
    if buffer == BUFFER_LLM_FACTS:
        view.data = <const uint8_t *> facts_of(tx)
        view.length = sizeof(llm_facts_t)
        return VIEW_READY
    if buffer == BUFFER_LLM_MODEL:
        facts_of(tx)
        view.data = llm.model
        view.length = llm.model_length
        view.flags = VIEW_START | VIEW_END
        return VIEW_READY if llm.model_length else VIEW_NONE
    return text_view(context, tx, TO_SERVER if buffer == BUFFER_LLM_PROMPT else TO_CLIENT, ended, view)


cdef inline void llm_inspected(http1_tx_t *tx, uint32_t direction) noexcept nogil:
    """The rules are done with what is there now."""
    cdef llm_side_t *side
    if tx.llm == NULL:
        return
    side = &llm_of(tx).side[direction]
    if side.fetched:
        side.fetched = False
        side.inspected = side.text.length


cdef inline bint llm_record(writer_t *writer, const http1_tx_t *tx) noexcept nogil:
    """The object `llm`; False, and nothing, for a transaction that has nothing to do with a model."""
    cdef llm_t *llm = llm_of(tx)
    cdef llm_facts_t *facts
    if llm == NULL or not is_sure(llm, TO_CLIENT):
        return False
    facts = facts_of(tx)
    put_key(writer, b"llm")
    open_map(writer)
    if tx.has_path:
        say_bytes(writer, b"path", tx.path.data, tx.path.length)
    if llm.model_length:
        say_bytes(writer, b"model", llm.model, llm.model_length)
    if facts.has_key:
        put_key(writer, b"key")
        put_hex(writer, facts.key, sizeof(facts.key), False)
    say_uint(writer, b"prompt_bytes", facts.prompt_bytes)
    say_uint(writer, b"response_bytes", llm.side[TO_CLIENT].bytes)
    say_bool(writer, b"streamed", llm.side[TO_CLIENT].form == FORM_EVENTS or llm.side[TO_CLIENT].values > 1)
    close_nested(writer)
    return True
