# See ssh.pxd.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.cursor cimport cursor_over, cursor_t, read_be32, read_bytes, read_u8
from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, put_key, say_bytes, writer_t
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.libcrypto cimport md5_of, write_hex
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t
from fastpath.dataplane.wire.load cimport be32

cdef enum:
    BANNER_MAX = 256
    RECORD_HEADER = 6           # length, padding length, message number
    KEX_INIT = 20, NEW_KEYS = 21
    KEX_INIT_MAX = 65535        # a longer one has no fingerprint
    HASSH_MAX = 1 << 18         # bytes of the strings of all key exchanges in the clear
    LIST_COUNT = 10             # name lists of a KEXINIT (RFC 4253 section 7.1)

cdef struct side_t:             # of one direction
    uint8_t progress            # enum ssh_progress
    uint8_t line_ended          # of the banner
    uint32_t left               # bytes of a record still to pass
    bytes_t proto, software, hassh, hassh_string

cdef struct session_t:
    tx_t *tx                    # NULL once it has been freed
    side_t side[2]


cdef session_t *session_of(app_context_t *context) noexcept nogil:
    """Made at the first call, with its one transaction; NULL where memory is refused."""
    cdef session_t *session = <session_t *> context.app.state
    if session != NULL:
        return session
    session = <session_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(session_t))
    if session == NULL:
        return NULL
    session.tx = new_tx(context, sizeof(tx_t))
    if session.tx == NULL:
        pool_give(context.pool, ACCOUNT_APPLAYER, session, sizeof(session_t))
        return NULL
    context.app.state = session
    return session


cdef void session_event(session_t *session, uint16_t event) noexcept nogil:
    if session.tx != NULL:
        tx_event(session.tx, event)


# ---- banners (RFC 4253 section 4.2) ----

cdef bint read_banner(app_context_t *context, side_t *side, const uint8_t *data, uint32_t length) noexcept nogil:
    """SSH-protoversion-softwareversion, comments behind a space; False for anything else."""
    cdef const uint8_t *dash
    cdef uint32_t i
    if length < 4 or memcmp(data, b"SSH-", 4) != 0:
        return False
    data += 4
    length -= 4
    dash = <const uint8_t *> memchr(data, 45, length) if length else NULL
    if dash == NULL or dash == data:
        return False
    bytes_append(context.pool, ACCOUNT_APPLAYER, &side.proto, data, <uint32_t> (dash - data))
    length -= <uint32_t> (dash - data) + 1
    data = dash + 1
    i = 0
    while i < length and data[i] != 32 and data[i] != 13 and data[i] != 10:
        i += 1
    bytes_append(context.pool, ACCOUNT_APPLAYER, &side.software, data, length if i == 0 else i)
    return True


cdef uint32_t line_end(const uint8_t *data, uint32_t length, uint32_t *rest) noexcept nogil:
    """Length of the line, and where what follows begins; rest 0 where no line ends here yet."""
    cdef uint32_t i = 0
    rest[0] = 0
    while i < length and data[i] != 10 and data[i] != 13:
        i += 1
    if i < length and data[i] == 10:
        rest[0] = i + 1
    elif i + 1 < length:                                    # a CR alone ends it as well
        rest[0] = i + 2 if data[i + 1] == 10 else i + 1
    return i


# ---- key exchange ----

cdef void make_hassh(app_context_t *context, side_t *side, uint32_t direction, const uint8_t *data,
                     uint32_t length) noexcept nogil:
    """https://github.com/salesforce/hassh: key exchange; ciphers; MACs; compression, of the sender's own direction."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef const uint8_t *list[10]
    cdef uint32_t size[10]
    cdef uint32_t i
    cdef uint8_t digest[16]
    cdef uint8_t text[32]
    read_bytes(&cursor, 16)                                 # the cookie
    for i in range(LIST_COUNT):
        size[i] = read_be32(&cursor)
        list[i] = read_bytes(&cursor, size[i])
    read_u8(&cursor)
    read_be32(&cursor)
    if cursor.failed or side.hassh_string.length + length > HASSH_MAX:
        return
    # a second exchange is written behind the first
    for i in range(0, 8, 2):
        # 0 key exchange; then 2, 4, 6 to the server or 3, 5, 7 to the client
        if i and not bytes_append(context.pool, ACCOUNT_APPLAYER, &side.hassh_string, b";", 1):
            return
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &side.hassh_string, list[i + (direction if i else 0)],
                            size[i + (direction if i else 0)]):
            return
    if md5_of(side.hassh_string.data, side.hassh_string.length, digest):
        write_hex(text, digest, 16)
        bytes_append(context.pool, ACCOUNT_APPLAYER, &side.hassh, text, 32)


cdef void take_new_keys(app_context_t *context, session_t *session, uint32_t direction) noexcept nogil:
    session.side[direction].progress = SSH_FINISHED
    if session.side[1 - direction].progress == SSH_FINISHED:
        context.app.flags |= APP_NO_PAYLOAD | APP_NO_REASSEMBLY | APP_BYPASS
        if session.tx != NULL:
            session.tx.flags |= TX_NO_INSPECTION


cdef parsed_t read_records(app_context_t *context, session_t *session, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    """Binary packets (RFC 4253 section 6) in the clear."""
    cdef side_t *side = &session.side[direction]
    cdef parsed_t parsed
    cdef uint32_t taken, record_length
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_OK
    while length:
        if side.left:
            taken = min(length, side.left)
            side.left -= taken
        else:
            if length < RECORD_HEADER:
                parsed.status = PARSE_NEED
                parsed.need = RECORD_HEADER
                return parsed
            record_length = be32(data)
            if record_length < 2:
                session_event(session, SSH_INVALID_RECORD)
                parsed.status = PARSE_ERROR
                return parsed
            taken = RECORD_HEADER
            if data[5] == NEW_KEYS:
                take_new_keys(context, session, direction)
            elif data[5] == KEX_INIT and context.config.ssh.hassh and record_length - 2 < KEX_INIT_MAX:
                if length - RECORD_HEADER < record_length - 2:
                    parsed.status = PARSE_NEED
                    parsed.need = record_length + 4
                    return parsed
                make_hassh(context, side, direction, data + RECORD_HEADER, record_length - 2)
            side.left = record_length - 2
        data += taken
        length -= taken
        parsed.consumed += taken
    return parsed


# ---- the session ----

cdef parsed_t read_side(app_context_t *context, session_t *session, uint32_t direction, const uint8_t *data,
                        uint32_t length) noexcept nogil:
    cdef side_t *side = &session.side[direction]
    cdef parsed_t parsed
    cdef uint32_t rest = 0, line
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_OK
    if not side.line_ended:
        line = line_end(data, length, &rest)
        if rest == 0 and side.progress == SSH_STARTED and length < BANNER_MAX:
            parsed.status = PARSE_NEED
            parsed.need = length + 1
            return parsed
        if side.progress == SSH_STARTED:
            if not read_banner(context, side, data, line):
                session_event(session, SSH_INVALID_BANNER)
                parsed.status = PARSE_ERROR
                return parsed
            if line >= BANNER_MAX:
                session_event(session, SSH_LONG_BANNER)
            side.progress = SSH_BANNER_DONE if rest else SSH_BANNER_WAIT_EOL
        if rest == 0:                       # the rest of a line that is too long passes unseen
            parsed.consumed = length
            return parsed
        side.line_ended = 1
        context.app.flags |= APP_RAW_TO_CLIENT if direction == TO_CLIENT else APP_RAW_TO_SERVER
    parsed = read_records(context, session, direction, data + rest, length - rest)
    parsed.consumed += rest
    return parsed


cdef parsed_t parse(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                    uint32_t flags) noexcept nogil:
    cdef session_t *session = session_of(context)
    cdef parsed_t parsed
    cdef uint32_t i, progress
    cdef bint finished
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_ERROR
    if session == NULL:
        return parsed
    parsed.status = PARSE_OK
    if length:
        parsed = read_side(context, session, direction, data, length)
    if session.tx != NULL:
        finished = session.side[0].progress == SSH_FINISHED and session.side[1].progress == SSH_FINISHED
        for i in range(2):
            progress = SSH_FINISHED if finished else min(session.side[i].progress, <uint32_t> SSH_BANNER_DONE)
            tx_progress(context, session.tx, i, progress if progress != SSH_BANNER_WAIT_EOL else <uint32_t> SSH_STARTED)
        session.tx.flags |= TX_NEW
    return parsed


cdef void free_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef session_t *session = <session_t *> context.app.state
    if session != NULL:
        session.tx = NULL


cdef void free_state(app_context_t *context) noexcept nogil:
    cdef session_t *session = <session_t *> context.app.state
    cdef uint32_t i
    if session == NULL:
        return
    for i in range(2):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &session.side[i].proto)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &session.side[i].software)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &session.side[i].hassh)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &session.side[i].hassh_string)
    pool_give(context.pool, ACCOUNT_APPLAYER, session, sizeof(session_t))
    context.app.state = NULL


# ---- inspect buffers, and what it says ----

cdef uint32_t show(view_t *view, const uint8_t *data, uint32_t length) noexcept nogil:
    view.data = data
    view.length = length
    view.offset = 0
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY if length else VIEW_NONE


cdef uint32_t buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t which, uint32_t index,
                     view_t *view) noexcept nogil:
    cdef side_t *side = &(<session_t *> context.app.state).side[direction]
    if index:
        return VIEW_NONE
    if which == BUFFER_SSH_PROTO:
        return show(view, side.proto.data, side.proto.length)
    if which == BUFFER_SSH_SOFTWARE:
        return show(view, side.software.data, side.software.length)
    if which == BUFFER_SSH_HASSH or which == BUFFER_SSH_HASSH_SERVER:
        return show(view, side.hassh.data, side.hassh.length)
    if which == BUFFER_SSH_HASSH_STRING or which == BUFFER_SSH_HASSH_SERVER_STRING:
        return show(view, side.hassh_string.data, side.hassh_string.length)
    return VIEW_NONE


cdef void say_version(writer_t *writer, const char *key, const bytes_t *text) noexcept nogil:
    """As much of it as a banner should have."""
    cdef uint8_t cut[267]
    if text.length <= BANNER_MAX:
        say_bytes(writer, key, text.data, text.length)
        return
    memcpy(cut, text.data, BANNER_MAX)
    memcpy(cut + BANNER_MAX, b"[truncated]", 11)
    say_bytes(writer, key, cut, BANNER_MAX + 11)


cdef void say_side(writer_t *writer, const side_t *side, bint server) noexcept nogil:
    if side.proto.length == 0:
        return
    put_key(writer, b"server" if server else b"client")
    open_map(writer)
    say_version(writer, b"proto_version", &side.proto)
    if side.software.length:
        say_version(writer, b"software_version", &side.software)
    if side.hassh.length:
        put_key(writer, b"hassh")
        open_map(writer)
        say_bytes(writer, b"hash", side.hassh.data, side.hassh.length)
        say_bytes(writer, b"string", side.hassh_string.data, side.hassh_string.length)
        close_nested(writer)
    close_nested(writer)


cdef uint32_t log(app_context_t *context, tx_t *tx, uint32_t kind, void *writer) noexcept nogil:
    cdef session_t *session = <session_t *> context.app.state
    # one event a session, once both banners are there
    if kind == LOG_TO_SERVER or session.side[TO_SERVER].proto.length == 0 and session.side[TO_CLIENT].proto.length == 0:
        return False
    put_key(<writer_t *> writer, b"ssh")
    open_map(<writer_t *> writer)
    say_side(<writer_t *> writer, &session.side[TO_SERVER], False)
    say_side(<writer_t *> writer, &session.side[TO_CLIENT], True)
    close_nested(<writer_t *> writer)
    return True


cdef void describe_ssh(room_t *room) noexcept nogil:
    room.name = b"ssh"
    room.proto = ALPROTO_SSH
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = SSH_FINISHED
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = SSH_BANNER_DONE
    room.parse = parse
    room.buffer = buffer
    room.log = log
    room.free_tx = free_tx
    room.free_state = free_state
