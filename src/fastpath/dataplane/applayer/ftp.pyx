"""FTP: a transaction is a command with its replies, or a reply that nobody asked for (RFC 959; Suricata 7 guide, "FTP")."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.expectations cimport expect_flow
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_bytes, put_key, say_bool, say_bytes, say_text, say_uint, writer_t,
)
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, FLOW_REVERSED, NET_IPV4, TO_CLIENT, TO_SERVER, bytes_t

cdef extern from * nogil:
    """
    static const struct { const char *name; unsigned char length, kind; } ftp_commands[] = {
        {"", 0, 0}, {"ABOR", 4, 1}, {"ACCT", 4, 1}, {"ALLO", 4, 1}, {"APPE", 4, 1}, {"AUTH TLS", 8, 2},
        {"CDUP", 4, 1}, {"CHMOD", 5, 1}, {"CWD", 3, 1}, {"DELE", 4, 1}, {"EPSV", 4, 3}, {"EPRT", 4, 4},
        {"HELP", 4, 1}, {"IDLE", 4, 1}, {"LIST", 4, 1}, {"MAIL", 4, 1}, {"MDTM", 4, 1}, {"MKD", 3, 1}, {"MLFL", 4, 1},
        {"MODE", 4, 1}, {"MRCP", 4, 1}, {"MRSQ", 4, 1}, {"MSAM", 4, 1}, {"MSND", 4, 1}, {"MSOM", 4, 1},
        {"NLST", 4, 1}, {"NOOP", 4, 1}, {"PASS", 4, 1}, {"PASV", 4, 5}, {"PORT", 4, 6}, {"PWD", 3, 1}, {"QUIT", 4, 1},
        {"REIN", 4, 1}, {"REST", 4, 1}, {"RETR", 4, 7}, {"RMD", 3, 1}, {"RNFR", 4, 1}, {"RNTO", 4, 1}, {"SITE", 4, 1},
        {"SIZE", 4, 1}, {"SMNT", 4, 1}, {"STAT", 4, 1}, {"STOR", 4, 8}, {"STOU", 4, 1}, {"STRU", 4, 1},
        {"SYST", 4, 1}, {"TYPE", 4, 1}, {"UMASK", 5, 1}, {"USER", 4, 1} };
    #define FTP_COMMANDS (sizeof(ftp_commands) / sizeof(ftp_commands[0]))
    """
    ctypedef struct ftp_command_t:
        const char *name
        uint8_t length, kind        # kind: enum ftp_command
    const ftp_command_t ftp_commands[]
    const uint32_t FTP_COMMANDS

cdef enum:
    REPLIES_MAX = 1 << 16       # bytes of replies that a transaction keeps
    CUT_TO_SERVER = 1 << 0      # ftp_state_t.flags: the rest of a long line is to be passed over
    CUT_TO_CLIENT = 1 << 1

ctypedef struct ftp_tx_t:
    tx_t head
    bytes_t request             # without blanks at its end
    bytes_t replies             # of each line: length (2 bytes, the machine's order), text
    uint64_t bounce             # a PORT names another host than the client
    uint32_t command            # index in ftp_commands; 0 for none
    uint16_t port               # of the data connection
    uint8_t active, done, request_cut, reply_cut

ctypedef struct ftp_state_t:
    bytes_t port_line           # the latest PORT or EPRT
    uint32_t flags
    uint32_t command            # the latest one: enum ftp_command
    uint16_t port
    uint8_t active

ctypedef struct line_t:
    const uint8_t *data
    uint32_t length
    bint cut, ended             # too long; its line feed was there

cdef enum:
    LINE_READY, LINE_NEED, LINE_NONE


# ---- lines ----

cdef uint32_t next_line(ftp_state_t *state, uint32_t direction, uint32_t most, const uint8_t *data, uint32_t length, uint32_t *at,
                        line_t *line) noexcept nogil:
    """The next line, moving on behind it. With one that is too long, all that was shown is passed over."""
    cdef uint32_t left = length - at[0], cut = CUT_TO_SERVER << direction
    cdef const uint8_t *found
    if left == 0:
        return LINE_NONE
    line.data = data + at[0]
    line.cut = line.ended = False
    found = <const uint8_t *> memchr(line.data, 10, left)
    if state.flags & cut:
        at[0] = length
        if found != NULL:
            state.flags &= ~cut
        return LINE_NONE
    if found == NULL and left < most:
        return LINE_NEED
    line.ended = found != NULL
    line.length = left if found == NULL else <uint32_t> (found - line.data) + 1
    if line.length >= most:
        line.length = most
        line.cut = True
        if not line.ended:
            state.flags |= cut
        at[0] = length
        return LINE_READY
    at[0] += line.length
    line.length -= 2 if line.length >= 2 and line.data[line.length - 2] == 13 else 1
    return LINE_READY


cdef void trim(line_t *line) noexcept nogil:
    cdef uint8_t last
    while line.length:
        last = line.data[line.length - 1]
        if last != 32 and not 9 <= last <= 13:
            return
        line.length -= 1


cdef uint32_t find_command(const line_t *line) noexcept nogil:
    """Index of the command whose name ends first in the line; 0 for none."""
    cdef uint32_t end, i, j, size
    cdef uint8_t c
    for end in range(3, line.length + 1):
        for i in range(1, FTP_COMMANDS):
            size = ftp_commands[i].length
            if size > end:
                continue
            for j in range(size):
                c = line.data[end - 1 - j]
                if (c & 0xdf if 97 <= c <= 122 else c) != <uint8_t> ftp_commands[i].name[size - 1 - j]:
                    break
            else:
                return i
    return 0


# ---- to server ----

cdef ftp_tx_t *begin_tx(app_context_t *context) noexcept nogil:
    if context.app.txs >= context.config.ftp.max_txs:
        return NULL
    return <ftp_tx_t *> new_tx(context, sizeof(ftp_tx_t))


cdef const uint8_t *client_of(app_context_t *context) noexcept nogil:
    """The IPv4 address of the client, four bytes."""
    return <const uint8_t *> &context.flow.key.addr[1 if context.flow.flags & FLOW_REVERSED else 0]


cdef bint begin_transfer(app_context_t *context, ftp_state_t *state, const line_t *line) noexcept nogil:
    """RETR and STOR: the data connection is announced. False where no port was agreed on, or no name is given."""
    cdef uint32_t direction = TO_CLIENT if (state.command == FTP_STOR) == (state.active != 0) else TO_SERVER
    if state.port == 0 or line.length < 6:
        return False
    expect_flow(context, ALPROTO_FTP_DATA, direction, state.port, FTPDATA_RETR if state.command == FTP_RETR else FTPDATA_STOR,
                line.data + 5, line.length - 5)
    state.port = 0
    state.active = False
    return True


cdef bint take_request(app_context_t *context, ftp_state_t *state, line_t *line) noexcept nogil:
    """False stops the session."""
    cdef uint32_t command = find_command(line)
    cdef ftp_tx_t *tx
    state.command = ftp_commands[command].kind
    if command == 0:
        return True
    tx = begin_tx(context)
    if tx == NULL:
        return False
    trim(line)
    tx.command = command
    tx.request_cut = line.cut
    if line.cut:
        tx_event(&tx.head, FTP_REQUEST_COMMAND_TOO_LONG)
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.request, line.data, line.length):
        return False
    if state.command == FTP_PORT and context.flow.key.net == NET_IPV4:
        tx.bounce = names_other(line.data, line.length, client_of(context))
    if state.command == FTP_PORT or state.command == FTP_EPRT:
        state.port_line.length = 0
        return bytes_append(context.pool, ACCOUNT_APPLAYER, &state.port_line, line.data, line.length)
    if state.command == FTP_RETR or state.command == FTP_STOR:
        return begin_transfer(context, state, line)
    return True


# ---- to client ----

cdef bint keep_reply(app_context_t *context, ftp_tx_t *tx, const line_t *line) noexcept nogil:
    cdef uint16_t length = <uint16_t> line.length
    if tx.replies.length + line.length + 2 > REPLIES_MAX:
        return True
    return (bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.replies, <const uint8_t *> &length, 2)
            and bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.replies, line.data, line.length))


cdef bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef bint is_preliminary(const line_t *line) noexcept nogil:
    """1yz: another reply follows (RFC 959 section 4.2.1)."""
    cdef const uint8_t *data = line.data
    return (line.length >= 4 and data[0] == 49 and is_digit(data[1]) and is_digit(data[2])
            and (data[3] == 32 or 9 <= data[3] <= 13))


cdef bint take_port(ftp_state_t *state, ftp_tx_t *tx, uint16_t port, bint active) noexcept nogil:
    if port == 0:
        return False
    state.port = tx.port = port
    state.active = tx.active = active
    return True


cdef ftp_tx_t *oldest_open(app_context_t *context, ftp_tx_t *tx) noexcept nogil:
    """From this one on; the last one where none is open."""
    while tx != NULL and tx.done and tx.head.next != NULL:
        tx = <ftp_tx_t *> tx.head.next
    return tx if tx != NULL else begin_tx(context)


cdef bint take_reply(app_context_t *context, ftp_state_t *state, ftp_tx_t *tx, line_t *line) noexcept nogil:
    """False stops the session."""
    cdef uint32_t command = state.command
    cdef bint keep = True
    if command == FTP_UNKNOWN:
        tx.command = 0
    if command == FTP_AUTH_TLS and line.length >= 4 and memcmp(line.data, b"234 ", 4) == 0:
        context.app.flags |= APP_UPGRADE
        context.app.next_proto = ALPROTO_UNKNOWN
    elif command == FTP_EPRT:
        keep = take_port(state, tx, eprt_argument(state.port_line.data, state.port_line.length), True)
    elif command == FTP_PORT:
        keep = take_port(state, tx, port_argument(state.port_line.data, state.port_line.length), True)
    elif command == FTP_PASV and line.length >= 4 and memcmp(line.data, b"227 ", 4) == 0:
        take_port(state, tx, pasv_reply(line.data, line.length), False)
    elif command == FTP_EPSV and line.length >= 4 and memcmp(line.data, b"229 ", 4) == 0:
        take_port(state, tx, epsv_reply(line.data, line.length), False)
    if keep:
        if line.length:
            trim(line)
            if line.cut:
                tx.reply_cut = True
                tx_event(&tx.head, FTP_RESPONSE_COMMAND_TOO_LONG)
            if not keep_reply(context, tx, line):
                return False
        if is_preliminary(line):
            return True
    tx.done = True
    tx_progress(context, &tx.head, TO_SERVER, FTP_COMPLETE)
    tx_progress(context, &tx.head, TO_CLIENT, FTP_COMPLETE)
    return True


# ---- parsing ----

cdef parsed_t parse_ftp(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                        uint32_t flags) noexcept nogil:
    cdef ftp_state_t *state = <ftp_state_t *> context.app.state
    cdef ftp_tx_t *tx = <ftp_tx_t *> context.app.first
    cdef parsed_t parsed
    cdef line_t line
    cdef uint32_t at = 0, found
    cdef bint good
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_OK
    if state == NULL:
        state = <ftp_state_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(ftp_state_t))
        if state == NULL:
            parsed.status = PARSE_ERROR
            return parsed
        context.app.state = state
    while True:
        found = next_line(state, direction, context.config.ftp.max_line, data, length, &at, &line)
        if found != LINE_READY:
            break
        if direction == TO_SERVER:
            good = take_request(context, state, &line)
        else:
            tx = oldest_open(context, tx)
            good = tx != NULL and take_reply(context, state, tx, &line)
        if not good:
            parsed.status = PARSE_ERROR
            return parsed
        if context.app.flags & APP_UPGRADE:
            break
    parsed.consumed = at
    if found == LINE_NEED:
        parsed.need = length - at + 1
        parsed.status = PARSE_NEED
    return parsed


cdef void free_ftp_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    bytes_free(context.pool, ACCOUNT_APPLAYER, &(<ftp_tx_t *> tx).request)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &(<ftp_tx_t *> tx).replies)


cdef void free_ftp_state(app_context_t *context) noexcept nogil:
    cdef ftp_state_t *state = <ftp_state_t *> context.app.state
    if state != NULL:
        bytes_free(context.pool, ACCOUNT_APPLAYER, &state.port_line)
        pool_give(context.pool, ACCOUNT_APPLAYER, state, sizeof(ftp_state_t))
        context.app.state = NULL


# ---- what rules look at ----

cdef uint32_t ftp_buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                         view_t *view) noexcept nogil:
    cdef ftp_tx_t *ftp = <ftp_tx_t *> tx
    if buffer != BUFFER_FTP_BOUNCE or ftp_commands[ftp.command].kind != FTP_PORT or context.flow.key.net != NET_IPV4:
        return VIEW_NONE
    view.data = <const uint8_t *> &ftp.bounce
    view.length = sizeof(ftp.bounce)
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY


# ---- what is written of a transaction ----

cdef void say_replies(writer_t *writer, const char *key, const bytes_t *replies, bint codes) noexcept nogil:
    """Of every line of the replies its code, or its text; a line may have either, or both."""
    cdef uint32_t at = 0, start
    cdef uint16_t length
    cdef const uint8_t *line
    cdef bint opened = False
    while at + 2 <= replies.length:
        memcpy(&length, replies.data + at, 2)
        line = replies.data + at + 2
        at += 2 + length
        start = 4 if length >= 3 and is_digit(line[0]) and is_digit(line[1]) and is_digit(line[2]) else 0
        if length == 0 or (start == 0 if codes else length < start):
            continue
        if not opened:
            put_key(writer, key)
            open_array(writer)
            opened = True
        if codes:
            put_bytes(writer, line, 3)
        elif length > start:
            put_bytes(writer, line + start, length - start)
    if opened:
        close_nested(writer)


cdef uint32_t log_ftp(app_context_t *context, tx_t *tx, uint32_t kind, void *out) noexcept nogil:
    cdef const ftp_tx_t *ftp = <const ftp_tx_t *> tx
    cdef writer_t *writer = <writer_t *> out
    cdef uint32_t name = ftp_commands[ftp.command].length, command = ftp_commands[ftp.command].kind
    if kind == LOG_TO_CLIENT:
        return False
    put_key(writer, b"ftp")
    open_map(writer)
    if ftp.command:
        say_text(writer, b"command", ftp_commands[ftp.command].name)
    if ftp.request.length > name:
        if ftp.request.length > name + 1:
            say_bytes(writer, b"command_data", ftp.request.data + name + 1, ftp.request.length - name - 1)
        say_bool(writer, b"command_truncated", ftp.request_cut)
    say_replies(writer, b"completion_code", &ftp.replies, True)
    say_replies(writer, b"reply", &ftp.replies, False)
    if ftp.port:
        say_uint(writer, b"dynamic_port", ftp.port)
    if command == FTP_PORT or command == FTP_EPRT:
        if ftp.active:
            say_text(writer, b"mode", b"active")
        else:
            say_text(writer, b"mode", b"passive")
    if ftp.done:
        say_text(writer, b"reply_received", b"yes")
    else:
        say_text(writer, b"reply_received", b"no")
    say_bool(writer, b"reply_truncated", ftp.reply_cut)
    close_nested(writer)
    return True


cdef void describe_ftp(room_t *room) noexcept nogil:
    room.name = b"ftp"
    room.proto = ALPROTO_FTP
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = FTP_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = FTP_COMPLETE
    room.parse = parse_ftp
    room.buffer = ftp_buffer
    room.log = log_ftp
    room.free_tx = free_ftp_tx
    room.free_state = free_ftp_state
