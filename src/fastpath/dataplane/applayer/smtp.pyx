"""SMTP: a transaction is a mail, or what is said until one begins (RFC 5321; Suricata 7 guide, "SMTP Keywords")."""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.files cimport file_at, file_forget, file_view
from fastpath.dataplane.applayer.mime cimport (
    ENTITY_ATTACHMENT, FIELD_CC, FIELD_FROM, FIELD_TO, MIME_BODY_END_BOUND, MIME_BODY_STARTED, MIME_HEADER_DONE,
    MIME_HEADER_READY, MIME_HEADER_STARTED, MIME_INVALID_QP, MIME_LONG_BOUNDARY, MIME_LONG_ENC_LINE, MIME_LONG_FILENAME,
    MIME_LONG_HEADER_NAME, MIME_LONG_HEADER_VALUE, MIME_LONG_LINE, MIME_MALFORMED_MSG, MIME_PARSE_DONE, MIME_PARSE_ERROR,
    URL_ADDRESS, URL_EXE, entity_t, find_byte, free_mime, line_length, mime_cut, mime_end, mime_line, mime_t, new_mime,
    pass_lines, same_text,
)
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_bytes, put_key, say_bool, say_bytes, say_text, writer_t,
)
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef enum:
    LINE_MAX = 4096
    COMMANDS_MAX = 65535        # that wait for a reply
    RECIPIENTS_MAX = 1 << 18    # bytes of them in one mail

cdef enum command:
    COMMAND_OTHER, COMMAND_STARTTLS, COMMAND_DATA, COMMAND_BDAT, COMMAND_RSET
    COMMAND_MESSAGE             # the end of a message, which has a reply of its own

cdef enum:      # smtp_state_t.flags
    DATA_MODE = 1 << 0          # what the client says is a message
    FIRST_REPLY_SEEN = 1 << 1
    MULTILINE_REPLY = 1 << 2
    PIPELINING = 1 << 3         # the server offers it
    HAS_HELO = 1 << 4
    DISCARD_TO_SERVER = 1 << 5  # up to the end of a line that was too long
    DISCARD_TO_CLIENT = 1 << 6

ctypedef struct smtp_tx_t:
    tx_t head
    mime_t *mime
    bytes_t mail_from
    bytes_t recipients          # of each: length (2 bytes, the machine's order), text
    uint32_t has_from
    uint32_t done

ctypedef struct smtp_state_t:
    smtp_tx_t *tx               # at work; NULL for none
    bytes_t helo
    bytes_t commands            # enum command of each, in the order in which replies are due
    uint32_t answered           # of them
    uint32_t flags
    uint32_t command            # the latest one
    uint64_t bdat_length, bdat_seen
    uint32_t bdat_waits         # bytes of a chunk that a line is still to end

ctypedef struct line_t:
    const uint8_t *data
    uint32_t length             # without its end
    uint32_t ending             # bytes of its end: 0 for a line that was cut

cdef enum next_line:
    LINE_READY, LINE_CUT, LINE_NEED, LINE_NONE


# ---- lines ----

cdef uint32_t strict_line(smtp_state_t *state, uint32_t direction, const uint8_t *data, uint32_t length, uint32_t *at,
                          line_t *line) noexcept nogil:
    """The next line that a line feed ends, moving on behind it. One that is too long is cut, and all that was shown with it
    is passed over."""
    cdef uint32_t left = length - at[0], discard = DISCARD_TO_SERVER << direction
    cdef int32_t found
    if left == 0:
        return LINE_NONE
    line.data = data + at[0]
    line.ending = 0
    found = find_byte(line.data, left, 10)
    if state.flags & discard:
        line.length = 0
        if found < 0:
            at[0] = length
            return LINE_NONE
        at[0] += <uint32_t> found + 1
        state.flags &= ~discard
        return LINE_READY
    if found < 0 and left < LINE_MAX:
        return LINE_NEED
    if found < 0 or <uint32_t> found + 1 >= LINE_MAX:
        line.length = LINE_MAX
        if found < 0:
            state.flags |= discard
        at[0] = length
        return LINE_CUT
    at[0] += <uint32_t> found + 1
    line.length = <uint32_t> found
    line.ending = 1
    if found and line.data[found - 1] == 13:
        line.length -= 1
        line.ending = 2
    return LINE_READY


cdef uint32_t loose_line(const uint8_t *data, uint32_t length, uint32_t *at, bint end, line_t *line) noexcept nogil:
    """The next line of a message body, which a carriage return alone may end too; a long one comes in pieces."""
    cdef uint32_t left = length - at[0], most = min(left, <uint32_t> LINE_MAX)
    line.data = data + at[0]
    line.ending = 0
    if left == 0:
        return LINE_NONE
    line.length = line_length(line.data, most)
    if line.length < most:
        line.ending = 1
        if line.data[line.length] == 13:
            if line.length + 1 == left:
                if not end:
                    return LINE_NEED
            elif line.data[line.length + 1] == 10:
                line.ending = 2
        at[0] += line.length + line.ending
        return LINE_READY
    if left < LINE_MAX and not end:
        return LINE_NEED
    line.length = min(left, <uint32_t> LINE_MAX)
    if left >= LINE_MAX:                # an escape stays in one piece
        line.length -= 1 if line.data[LINE_MAX - 1] == 61 else 2 if line.data[LINE_MAX - 2] == 61 else 0
    at[0] += line.length
    return LINE_READY


# ---- to server ----

cdef void note(smtp_state_t *state, uint16_t event) noexcept nogil:
    if state.tx != NULL:
        tx_event(&state.tx.head, event)


cdef void note_mime(smtp_state_t *state) noexcept nogil:
    cdef uint32_t odd = state.tx.mime.odd
    if odd & MIME_INVALID_QP:
        note(state, SMTP_MIME_INVALID_QP)
    if odd & MIME_LONG_LINE:
        note(state, SMTP_MIME_LONG_LINE)
    if odd & MIME_LONG_ENC_LINE:
        note(state, SMTP_MIME_LONG_ENC_LINE)
    if odd & MIME_LONG_HEADER_NAME:
        note(state, SMTP_MIME_LONG_HEADER_NAME)
    if odd & MIME_LONG_HEADER_VALUE:
        note(state, SMTP_MIME_LONG_HEADER_VALUE)
    if odd & MIME_MALFORMED_MSG:
        note(state, SMTP_MIME_MALFORMED_MSG)
    if odd & MIME_LONG_BOUNDARY:
        note(state, SMTP_MIME_LONG_BOUNDARY)
    if odd & MIME_LONG_FILENAME:
        note(state, SMTP_MIME_LONG_FILENAME)


cdef bint begin_tx(app_context_t *context, smtp_state_t *state) noexcept nogil:
    cdef smtp_tx_t *tx = <smtp_tx_t *> new_tx(context, sizeof(smtp_tx_t))
    if tx == NULL:
        return False
    state.tx = tx
    return True


cdef void end_tx(app_context_t *context, smtp_tx_t *tx) noexcept nogil:
    if tx == NULL:
        return
    tx.done = True
    tx_progress(context, &tx.head, TO_SERVER, SMTP_COMPLETE)
    tx_progress(context, &tx.head, TO_CLIENT, SMTP_COMPLETE)


cdef bint await_reply(app_context_t *context, smtp_state_t *state, uint8_t sent) noexcept nogil:
    """A command to which a reply is due. False where too many are."""
    cdef uint8_t before
    if state.commands.length:
        before = state.commands.data[state.commands.length - 1]
        if before == COMMAND_STARTTLS or before == COMMAND_DATA:
            note(state, SMTP_INVALID_PIPELINED_SEQUENCE)    # these must be the last before a reply (RFC 2920)
    if state.commands.length >= COMMANDS_MAX:
        return False
    return bytes_append(context.pool, ACCOUNT_APPLAYER, &state.commands, &sent, 1)


cdef void parameter(const line_t *line, uint32_t start, const uint8_t **data, uint32_t *length) noexcept nogil:
    """The word behind a verb of `start` - 1 bytes."""
    cdef uint32_t end
    while start < line.length and line.data[start] == 32:
        start += 1
    end = start
    while end < line.length and line.data[end] != 32:
        end += 1
    data[0] = line.data + start
    length[0] = end - start


cdef bint is_verb(const line_t *line, const char *verb, uint32_t length) noexcept nogil:
    return line.length >= length and same_text(line.data, verb, length)


cdef bint take_bdat(smtp_state_t *state, const line_t *line) noexcept nogil:
    """The length of a chunk; False for a BDAT without one."""
    cdef uint32_t i = 4, start
    while i < line.length and line.data[i] == 32:
        i += 1
    if i == 4 or i == line.length:
        return False
    start = i
    state.bdat_length = 0
    while i < line.length and i - start < 19 and 48 <= line.data[i] <= 57:
        state.bdat_length = 10 * state.bdat_length + line.data[i] - 48
        i += 1
    return True


cdef bint take_recipient(app_context_t *context, smtp_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint16_t size = <uint16_t> length
    if tx.recipients.length + length > RECIPIENTS_MAX:
        return True
    return (bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.recipients, <const uint8_t *> &size, 2)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.recipients, data, length))


cdef bint begin_message(app_context_t *context, smtp_state_t *state) noexcept nogil:
    """DATA: a message follows. One that was not ended makes way for a transaction of its own."""
    if state.tx.mime != NULL:
        state.tx.mime.state = MIME_PARSE_ERROR
        note(state, SMTP_UNPARSABLE_CONTENT)
        if not begin_tx(context, state):
            return False
    state.tx.mime = new_mime(context)
    if state.flags & PIPELINING:
        state.flags |= DATA_MODE
    return state.tx.mime != NULL


cdef bint take_command(app_context_t *context, smtp_state_t *state, const line_t *line) noexcept nogil:
    cdef const uint8_t *data
    cdef uint32_t length
    state.command = COMMAND_OTHER
    if is_verb(line, b"starttls", 8):
        state.command = COMMAND_STARTTLS
    elif is_verb(line, b"data", 4):
        state.command = COMMAND_DATA
        if not begin_message(context, state):
            return False
    elif is_verb(line, b"bdat", 4):
        if not take_bdat(state, line):
            return False
        state.command = COMMAND_BDAT
        state.flags |= DATA_MODE
    elif is_verb(line, b"helo", 4) or is_verb(line, b"ehlo", 4):
        if state.flags & HAS_HELO:
            note(state, SMTP_DUPLICATE_FIELDS)
        else:
            parameter(line, 5, &data, &length)
            state.flags |= HAS_HELO
            if not bytes_append(context.pool, ACCOUNT_APPLAYER, &state.helo, data, length):
                return False
    elif is_verb(line, b"mail from", 9):
        if state.tx.has_from:
            note(state, SMTP_DUPLICATE_FIELDS)
        else:
            parameter(line, 10, &data, &length)
            state.tx.has_from = True
            if not bytes_append(context.pool, ACCOUNT_APPLAYER, &state.tx.mail_from, data, length):
                return False
    elif is_verb(line, b"rcpt to", 7):
        parameter(line, 8, &data, &length)
        if not take_recipient(context, state.tx, data, length):
            return False
    elif is_verb(line, b"rset", 4):
        state.bdat_seen = 0
        state.command = COMMAND_RSET
    return await_reply(context, state, <uint8_t> state.command)


cdef bint take_data(app_context_t *context, smtp_state_t *state, const line_t *line) noexcept nogil:
    """A line of a message."""
    cdef smtp_tx_t *tx = state.tx
    if line.length == 1 and line.data[0] == 46:
        state.flags &= ~<uint32_t> DATA_MODE
        if not await_reply(context, state, COMMAND_MESSAGE):
            return False
        if tx.mime != NULL:
            if not mime_end(context, &tx.head, tx.mime):
                note(state, SMTP_MIME_PARSE_FAILED)
            note_mime(state)
        end_tx(context, tx)
    elif tx.mime != NULL and not mime_line(context, &tx.head, tx.mime, line.data, line.length, line.ending):
        note_mime(state)
        note(state, SMTP_MIME_PARSE_FAILED)
    return True


cdef bint take_chunk(smtp_state_t *state, uint64_t length) noexcept nogil:
    """So many bytes of a BDAT chunk."""
    state.bdat_seen += length
    if state.bdat_seen >= state.bdat_length:
        state.flags &= ~<uint32_t> DATA_MODE
    if state.bdat_seen > state.bdat_length:
        note(state, SMTP_BDAT_CHUNK_LEN_EXCEEDED)
        return False
    return True


cdef bint take_request(app_context_t *context, smtp_state_t *state, const line_t *line) noexcept nogil:
    """False stops the session."""
    cdef bint goes_on
    if line.length == 0 and line.ending == 0:
        return True
    if state.tx != NULL and state.tx.done:
        goes_on = not state.flags & DATA_MODE and (is_verb(line, b"rset", 4) or is_verb(line, b"quit", 4))
        if not goes_on:
            state.tx = NULL
    if state.tx == NULL and not begin_tx(context, state):
        return False
    if not state.flags & FIRST_REPLY_SEEN:
        note(state, SMTP_NO_SERVER_WELCOME_MESSAGE)
    if not state.flags & DATA_MODE:
        return take_command(context, state, line)
    if state.command == COMMAND_DATA:
        return take_data(context, state, line)
    if state.command == COMMAND_BDAT:
        return take_chunk(state, line.length + line.ending)
    return True


cdef uint32_t next_request(smtp_state_t *state, const uint8_t *data, uint32_t length, uint32_t *at, bint end, bint *in_chunk,
                           line_t *line) noexcept nogil:
    """in_chunk: what is at hand began within a BDAT chunk and brings more of it, and no line so far begins like the boundary of
    a part. Then the chunk may end without an end of line; else Suricata 7.0.10 waits for one, and counts what follows as the
    chunk's too."""
    cdef uint32_t left = length - at[0]
    cdef const uint8_t *next = data + at[0]
    if left and state.flags & DATA_MODE and not state.flags & DISCARD_TO_SERVER:
        if state.command == COMMAND_BDAT:
            if next[0] == 45 and (left == 1 or next[1] == 45):
                in_chunk[0] = False
            if in_chunk[0] and find_byte(next, left, 10) < 0 and state.bdat_seen + left == state.bdat_length:
                end = True
            return loose_line(data, length, at, end, line)
        if (state.command == COMMAND_DATA and state.tx != NULL and state.tx.mime != NULL
                and state.tx.mime.state >= MIME_HEADER_DONE):
            if next[0] != 45 or left > 1 and next[1] != 45 or end:
                return loose_line(data, length, at, end, line)
    return strict_line(state, TO_SERVER, data, length, at, line)


# ---- to client ----

cdef bint is_known(uint32_t code) noexcept nogil:
    """The reply codes of Suricata 7."""
    return (code == 211 or code == 214 or code == 220 or code == 221 or code == 235 or 250 <= code <= 252 or code == 334
            or code == 354 or code == 421 or 450 <= code <= 452 or code == 455 or 500 <= code <= 504 or 550 <= code <= 555)


cdef uint32_t code_of(const uint8_t *data) noexcept nogil:
    cdef uint32_t i, code = 0
    for i in range(3):
        if not 48 <= data[i] <= 57:
            return 0
        code = 10 * code + data[i] - 48
    return code


cdef void match_reply(app_context_t *context, smtp_state_t *state, uint32_t code) noexcept nogil:
    """What a reply says to the command that it answers."""
    cdef uint8_t answered = state.commands.data[state.answered]
    if answered == COMMAND_STARTTLS:
        if code == 220:
            state.flags |= DATA_MODE
            context.app.flags |= APP_UPGRADE
            context.app.next_proto = ALPROTO_UNKNOWN
            end_tx(context, state.tx)
        else:
            note(state, SMTP_TLS_REJECTED)
    elif answered == COMMAND_DATA:
        if code == 354:
            state.flags |= DATA_MODE
        else:
            note(state, SMTP_DATA_COMMAND_REJECTED)
    elif answered == COMMAND_RSET and code == 250 and not state.flags & MULTILINE_REPLY:
        end_tx(context, state.tx)


cdef bint take_reply(app_context_t *context, smtp_state_t *state, const line_t *line, bint first) noexcept nogil:
    """`first`: of what was shown. False stops the session."""
    cdef uint32_t code
    if line.length == 0 and line.ending == 1 and first:
        return True
    if line.length < 3:
        note(state, SMTP_INVALID_REPLY)
        return False
    if line.length >= 4 and line.data[3] == 45:
        state.flags |= MULTILINE_REPLY
    elif line.length < 4 or state.flags & MULTILINE_REPLY:
        state.flags &= ~<uint32_t> MULTILINE_REPLY
    code = code_of(line.data)
    if not is_known(code):
        note(state, SMTP_INVALID_REPLY)
        return False
    if state.answered == state.commands.length:
        if not state.flags & FIRST_REPLY_SEEN:
            if not state.flags & MULTILINE_REPLY:
                state.flags |= FIRST_REPLY_SEEN
            if code != 220:
                note(state, SMTP_INVALID_REPLY)
        return True
    match_reply(context, state, code)
    if not state.flags & MULTILINE_REPLY:
        state.answered += 1
    elif state.flags & FIRST_REPLY_SEEN and code == 250 and line.length == 14 and same_text(line.data + 4, b"pipelining", 10):
        state.flags |= PIPELINING
    if state.answered == state.commands.length:
        state.answered = state.commands.length = 0
    return True


# ---- parsing ----

cdef inline uint32_t pass_message(app_context_t *context, smtp_state_t *state, const uint8_t *data,
                                  uint32_t length) noexcept nogil:
    """The bytes of a message, from its next line on, that need not be looked at line by line."""
    cdef uint32_t wanted = DATA_MODE | FIRST_REPLY_SEEN
    if (state.flags & (wanted | DISCARD_TO_SERVER) != wanted or state.command != COMMAND_DATA or state.tx == NULL or state.tx.done
            or state.tx.mime == NULL):
        return 0
    return pass_lines(context, state.tx.mime, data, length, LINE_MAX)


cdef parsed_t parse_smtp(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                         uint32_t flags) noexcept nogil:
    cdef smtp_state_t *state = <smtp_state_t *> context.app.state
    cdef parsed_t parsed
    cdef line_t line
    cdef uint32_t at = 0, found
    cdef bint good, first, in_chunk, end = flags & PARSE_EOF != 0
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_OK
    if state == NULL:
        state = <smtp_state_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(smtp_state_t))
        if state == NULL:
            parsed.status = PARSE_ERROR
            return parsed
        context.app.state = state
    in_chunk = state.flags & DATA_MODE and state.command == COMMAND_BDAT and length > state.bdat_waits
    while True:
        first = at == 0
        if direction == TO_SERVER:
            at += pass_message(context, state, data + at, length - at)
            found = next_request(state, data, length, &at, end, &in_chunk, &line)
        else:
            found = strict_line(state, TO_CLIENT, data, length, &at, &line)
        if found == LINE_NONE or found == LINE_NEED:
            break
        good = take_request(context, state, &line) if direction == TO_SERVER else take_reply(context, state, &line, first)
        if not good:
            parsed.status = PARSE_ERROR
            return parsed
        if found == LINE_CUT:
            note(state, SMTP_TRUNCATED_LINE)
        if context.app.flags & APP_UPGRADE:
            break
    if end and direction == TO_SERVER and state.tx != NULL and state.tx.mime != NULL:
        mime_cut(context, &state.tx.head, state.tx.mime)
    if direction == TO_SERVER:
        state.bdat_waits = length - at
    parsed.consumed = at
    if found == LINE_NEED:
        parsed.need = length - at + 1
        parsed.status = PARSE_NEED
    return parsed


cdef void free_smtp_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef smtp_tx_t *smtp = <smtp_tx_t *> tx
    cdef smtp_state_t *state = <smtp_state_t *> context.app.state
    if state != NULL and state.tx == smtp:
        state.tx = NULL
    free_mime(context, smtp.mime)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &smtp.mail_from)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &smtp.recipients)


cdef void free_smtp_state(app_context_t *context) noexcept nogil:
    cdef smtp_state_t *state = <smtp_state_t *> context.app.state
    if state != NULL:
        bytes_free(context.pool, ACCOUNT_APPLAYER, &state.helo)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &state.commands)
        pool_give(context.pool, ACCOUNT_APPLAYER, state, sizeof(smtp_state_t))
        context.app.state = NULL


# ---- what rules look at ----

cdef uint32_t smtp_buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                          view_t *view) noexcept nogil:
    cdef file_t *file = file_at(tx, direction, index)
    if file == NULL:
        return VIEW_NONE
    if buffer == BUFFER_FILE_DATA:
        return file_view(file, context.config.smtp.content_limit, context.config.smtp.content_inspect_min_size,
                         tx.progress[direction] >= SMTP_COMPLETE, view)
    if buffer == BUFFER_FILE_NAME and file.name.length:
        view.data = file.name.data
        view.length = file.name.length
        view.flags = VIEW_START | VIEW_END
        return VIEW_READY
    return VIEW_NONE


cdef void smtp_inspected(app_context_t *context, tx_t *tx, uint32_t direction) noexcept nogil:
    cdef file_t *file = tx.files[direction]
    while file != NULL:
        if file.state != FILE_OPEN or file.size >= context.config.smtp.content_inspect_min_size:
            file.inspected = file.size
            file_forget(file, file.size)
        file = file.next


# ---- what is written of a transaction ----

cdef void say_list(writer_t *writer, const char *key, const bytes_t *value) noexcept nogil:
    """The parts between commas that stand outside quotes, without the blanks before them. A part has a byte at least."""
    cdef uint32_t i, start, at = 0
    cdef bint quoted
    if value.length == 0:
        return
    put_key(writer, key)
    open_array(writer)
    while at < value.length:
        start = i = at
        quoted = False
        while i < value.length and (i == at or quoted or value.data[i] != 44):
            if value.data[i] == 34:
                quoted = not quoted
            i += 1
        at = i + 1
        while start < i and (value.data[start] == 32 or value.data[start] == 9):
            start += 1
        put_bytes(writer, value.data + start, i - start)
    close_nested(writer)


cdef const char *state_name(uint32_t state) noexcept nogil:
    if state == MIME_HEADER_READY:
        return b"HEADER_READY"
    if state == MIME_HEADER_STARTED:
        return b"HEADER_STARTED"
    if state == MIME_HEADER_DONE:
        return b"HEADER_DONE"
    if state == MIME_BODY_STARTED:
        return b"BODY_STARTED"
    if state == MIME_BODY_END_BOUND:
        return b"BODY_END_BOUND"
    if state == MIME_PARSE_DONE:
        return b"PARSE_DONE"
    return b"PARSE_ERROR"


cdef uint32_t put_urls(writer_t *writer, const entity_t *entity, bint opened) noexcept nogil:
    """Adds the links of an entity to the array, latest first; opens it before the first. Returns all their flags."""
    cdef uint32_t i, j, at, flags = 0
    cdef uint16_t size
    if entity.urls and not opened:
        put_key(writer, b"url")
        open_array(writer)
    for i in range(entity.urls):
        at = 0
        for j in range(entity.urls - i):
            memcpy(&size, entity.url_list.data + at, 2)
            if j == entity.urls - i - 1:
                put_bytes(writer, entity.url_list.data + at + 3, size)
                flags |= entity.url_list.data[at + 2]
            at += 3 + size
    return flags


cdef void say_email(writer_t *writer, const mime_t *mime) noexcept nogil:
    cdef const entity_t *entity
    cdef const bytes_t *sender = &mime.kept[<uint32_t> FIELD_FROM]
    cdef uint32_t flags, start = 0
    cdef bint opened
    put_key(writer, b"email")
    open_map(writer)
    say_text(writer, b"status", state_name(mime.state))
    if sender.length:
        while start < sender.length and (sender.data[start] == 32 or sender.data[start] == 9):
            start += 1
        say_bytes(writer, b"from", sender.data + start, sender.length - start)
    say_list(writer, b"to", &mime.kept[<uint32_t> FIELD_TO])
    say_list(writer, b"cc", &mime.kept[<uint32_t> FIELD_CC])
    opened = False
    entity = mime.top.child
    while entity != NULL:
        if entity.flags & ENTITY_ATTACHMENT:
            if not opened:
                put_key(writer, b"attachment")
                open_array(writer)
                opened = True
            if entity.filename.length:
                put_bytes(writer, entity.filename.data, entity.filename.length)
        entity = entity.sibling
    if opened:
        close_nested(writer)
    opened = mime.top.urls > 0
    flags = put_urls(writer, mime.top, False)
    entity = mime.top.child
    while entity != NULL:
        put_urls(writer, entity, opened)
        opened |= entity.urls > 0
        entity = entity.sibling
    if opened:
        close_nested(writer)
    if mime.top.urls:
        say_bool(writer, b"has_ipv6_url", flags & URL_ADDRESS != 0)     # of either version, as Suricata 7 has it
        say_bool(writer, b"has_ipv4_url", False)
        say_bool(writer, b"has_exe_url", flags & URL_EXE != 0)
    close_nested(writer)


cdef uint32_t log_smtp(app_context_t *context, tx_t *tx, uint32_t kind, void *out) noexcept nogil:
    cdef const smtp_tx_t *smtp = <const smtp_tx_t *> tx
    cdef const smtp_state_t *state = <const smtp_state_t *> context.app.state
    cdef writer_t *writer = <writer_t *> out
    cdef uint32_t at = 0
    cdef uint16_t size
    if kind == LOG_TO_CLIENT or state == NULL:
        return False
    put_key(writer, b"smtp")
    open_map(writer)
    if state.flags & HAS_HELO:
        say_bytes(writer, b"helo", state.helo.data, state.helo.length)
    if smtp.has_from:
        say_bytes(writer, b"mail_from", smtp.mail_from.data, smtp.mail_from.length)
    if smtp.recipients.length:
        put_key(writer, b"rcpt_to")
        open_array(writer)
        while at + 2 <= smtp.recipients.length:
            memcpy(&size, smtp.recipients.data + at, 2)
            put_bytes(writer, smtp.recipients.data + at + 2, min(<uint32_t> size, smtp.recipients.length - at - 2))
            at += 2 + size
        close_nested(writer)
    close_nested(writer)
    if smtp.mime != NULL and smtp.mime.top != NULL:
        say_email(writer, smtp.mime)
    return True


cdef void describe_smtp(room_t *room) noexcept nogil:
    room.name = b"smtp"
    room.proto = ALPROTO_SMTP
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = SMTP_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = SMTP_COMPLETE
    room.parse = parse_smtp
    room.buffer = smtp_buffer
    room.inspected = smtp_inspected
    room.log = log_smtp
    room.free_tx = free_smtp_tx
    room.free_state = free_smtp_state
