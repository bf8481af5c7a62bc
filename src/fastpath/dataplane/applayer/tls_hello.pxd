# Client and server hellos (RFC 8446 section 4.1, RFC 5246 section 7.4.1), whole messages.
#
# Errors: events of the transaction. A hello that breaks off leaves what was read before; the session goes on.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_TLS, TLS_HANDSHAKE_INVALID_LENGTH, TLS_INVALID_SNI_LENGTH, TLS_INVALID_SNI_TYPE, TLS_MULTIPLE_SNI_EXTENSIONS,
    app_context_t,
)
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_u8, read_within
from fastpath.dataplane.applayer.ja3 cimport is_grease, ja3_field, ja3_hash, ja3_number
from fastpath.dataplane.applayer.ja4 cimport (
    ja4_alpn, ja4_extension, ja4_finish, ja4_lists_t, ja4_value, ja4_version, ja4_work_t,
)
from fastpath.dataplane.applayer.tls_session cimport *
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t, pool_t

cdef enum:
    EXTENSION_SNI = 0, EXTENSION_GROUPS = 10, EXTENSION_POINT_FORMATS = 11, EXTENSION_ALGORITHMS = 13, EXTENSION_ALPN = 16
    EXTENSION_TICKET = 35, EXTENSION_EARLY_DATA = 42, EXTENSION_VERSIONS = 43

cdef struct hello_t:                # one at work
    app_context_t *context
    session_t *session
    side_t *side
    ja4_lists_t *ja4                # NULL for none
    bint client
    bint ja3
    bint asked                      # somebody looks at what is made of it; else what is read of it is read all the same
    bint alpn_seen
    bytes_t groups, formats         # fields of JA3


cdef inline void session_event(session_t *session, uint16_t event) noexcept nogil:
    if session.tx != NULL:
        tx_event(session.tx, event)


cdef inline void add_number(hello_t *hello, bytes_t *text, uint32_t value) noexcept nogil:
    """One more number of JA3."""
    if hello.asked:
        ja3_number(hello.context.pool, text, value)


cdef inline void begin_field(hello_t *hello) noexcept nogil:
    if hello.asked:
        ja3_field(hello.context.pool, &hello.side.ja3)


cdef inline bint invalid_length(hello_t *hello) noexcept nogil:
    session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
    return False


cdef inline bint read_version(hello_t *hello, cursor_t *cursor) noexcept nogil:
    cdef uint16_t version = read_be16(cursor)
    if cursor.failed:
        return invalid_length(hello)
    hello.side.version = version
    # drafts of TLS 1.3 before 22 have no certificate to see, and say so here
    if not hello.client and (version == TLS13 or version >> 8 == 0x7f):
        hello.session.flags |= NO_CERTIFICATE
    if 0x7f01 <= version < 0x7f10 or version == TLS13:
        hello.side.version = TLS13_EARLY_DRAFT
    if hello.ja3 and hello.side.ja3.length == 0:
        add_number(hello, &hello.side.ja3, version)
    if hello.ja4 != NULL:
        ja4_version(hello.ja4, version)
    return True


cdef inline bint read_random(hello_t *hello, cursor_t *cursor) noexcept nogil:
    cdef const uint8_t *random = read_bytes(cursor, 32)
    cdef side_t *side = &hello.session.side[TO_SERVER if hello.client else TO_CLIENT]
    if random == NULL:
        return invalid_length(hello)
    memcpy(side.random, random, 32)
    side.has_random = 1
    return True


cdef inline bint read_session_id(hello_t *hello, cursor_t *cursor) noexcept nogil:
    cdef side_t *client = &hello.session.side[TO_SERVER]
    cdef side_t *server = &hello.session.side[TO_CLIENT]
    cdef uint8_t length = read_u8(cursor)
    cdef const uint8_t *session_id = read_bytes(cursor, length)
    if session_id == NULL:
        return invalid_length(hello)
    if length and hello.side.session_id_length == 0:
        memcpy(hello.side.session_id, session_id, length)
        hello.side.session_id_length = length
        if (not hello.client and client.session_id_length == server.session_id_length
                and memcmp(client.session_id, server.session_id, client.session_id_length) == 0):
            hello.session.flags |= SESSION_RESUMED
    return True


cdef inline bint read_ciphers(hello_t *hello, cursor_t *cursor) noexcept nogil:
    cdef uint32_t length = 2
    cdef uint16_t cipher
    cdef cursor_t list
    if cursor_left(cursor) < 2:
        return invalid_length(hello)
    if hello.client:
        length = read_be16(cursor)
    list = read_within(cursor, length)
    if list.failed or length & 1:
        return invalid_length(hello)
    if hello.ja3:
        begin_field(hello)
    while cursor_left(&list):
        cipher = read_be16(&list)
        if not hello.client:
            hello.session.suite = cipher
        if hello.ja4 != NULL:
            ja4_value(hello.context.pool, &hello.ja4.ciphers, cipher)
        if hello.ja3 and not is_grease(cipher):
            add_number(hello, &hello.side.ja3, cipher)
    return True


cdef inline bint read_compression(hello_t *hello, cursor_t *cursor) noexcept nogil:
    cdef uint8_t length = read_u8(cursor)
    if hello.client:
        read_bytes(cursor, length)
    return not cursor.failed or invalid_length(hello)


# ---- extensions: each reader passes what it reads; False ends the hello, what was read before stands ----

cdef inline bint read_sni(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """RFC 6066 section 3. The first host name counts."""
    cdef session_t *session = hello.session
    cdef uint8_t kind
    cdef uint16_t length
    cdef const uint8_t *name
    cdef const uint8_t *nul
    read_be16(cursor)
    kind = read_u8(cursor)
    if cursor.failed:
        return invalid_length(hello)
    if kind != 0:
        session_event(session, TLS_INVALID_SNI_TYPE)
        return False
    length = read_be16(cursor)
    if cursor.failed:
        return invalid_length(hello)
    name = read_bytes(cursor, length)
    if name == NULL or length == 0 or length > NAME_MAX:
        session_event(session, TLS_INVALID_SNI_LENGTH)
        return False
    if hello.side.has_name:
        session_event(session, TLS_MULTIPLE_SNI_EXTENSIONS)
        return True
    hello.side.has_name = 1
    if hello.side == &session.side[TO_SERVER]:
        nul = <const uint8_t *> memchr(name, 0, length)
        session.name_length = <uint8_t> (length if nul == NULL else nul - name)
        memcpy(session.name, name, session.name_length)
    return True


cdef inline bint read_versions(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """RFC 8446 section 4.2.1. A client's first good version counts."""
    cdef cursor_t list
    cdef uint8_t length
    cdef uint16_t version
    if hello.client:
        length = read_u8(cursor)
        list = read_within(cursor, length)
        if list.failed or length < 2:
            return invalid_length(hello)
        while cursor_left(&list) >= 2:
            version = read_be16(&list)
            if version_is_good(version):
                hello.side.version = version
                if hello.ja4 != NULL:
                    ja4_version(hello.ja4, version)
                break
        hello.session.flags |= VERSIONS_OFFERED
        return True
    version = read_be16(cursor)
    if cursor.failed:
        return invalid_length(hello)
    if hello.session.flags & VERSIONS_OFFERED and version > TLS12:
        hello.session.flags |= NO_CERTIFICATE
    hello.side.version = version
    return True


cdef inline bint read_algorithms(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """RFC 8446 section 4.2.3."""
    cdef uint16_t length = read_be16(cursor)
    cdef cursor_t list = read_within(cursor, length)
    if list.failed or length & 1:
        return invalid_length(hello)
    while hello.ja4 != NULL and cursor_left(&list):
        ja4_value(hello.context.pool, &hello.ja4.algorithms, read_be16(&list))
    return True


cdef inline bint read_alpn(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """RFC 7301 section 3.1."""
    cdef uint32_t left = read_be16(cursor), length
    cdef const uint8_t *name
    if cursor.failed or cursor_left(cursor) < left:
        return invalid_length(hello)
    while hello.client and left:
        length = read_u8(cursor)
        left -= 1
        if cursor_left(cursor) < length:
            return invalid_length(hello)
        if length > left:
            break
        name = read_bytes(cursor, length)
        if hello.ja4 != NULL and not hello.alpn_seen:
            ja4_alpn(hello.ja4, name, length)
        hello.alpn_seen = True
        left -= length
    read_bytes(cursor, cursor_left(cursor))
    return True


cdef inline bint read_groups(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """RFC 8422 section 5.1.1. Half a number at the end of the list is read whole, if it is there."""
    cdef uint32_t left = read_be16(cursor)
    cdef uint16_t group
    if cursor.failed or cursor_left(cursor) < left:
        return invalid_length(hello)
    if not hello.client or not hello.ja3:
        read_bytes(cursor, left)
        return True
    while left:
        group = read_be16(cursor)
        if cursor.failed:
            return invalid_length(hello)
        if not is_grease(group):
            add_number(hello, &hello.groups, group)
        left -= min(left, <uint32_t> 2)
    return True


cdef inline bint read_formats(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """RFC 8422 section 5.1.2."""
    cdef cursor_t list = read_within(cursor, read_u8(cursor))
    if list.failed:
        return invalid_length(hello)
    while hello.client and hello.ja3 and cursor_left(&list):
        add_number(hello, &hello.formats, read_u8(&list))
    return True


cdef inline bint read_extension(hello_t *hello, uint16_t kind, cursor_t *body) noexcept nogil:
    if kind == EXTENSION_TICKET and hello.client:
        hello.session.flags |= SESSION_RESUMED
    if kind == EXTENSION_EARLY_DATA and hello.client:
        hello.session.flags |= EARLY_DATA
    if cursor_left(body) == 0:
        return True
    if kind == EXTENSION_SNI:
        return read_sni(hello, body)
    if kind == EXTENSION_GROUPS:
        return read_groups(hello, body)
    if kind == EXTENSION_POINT_FORMATS:
        return read_formats(hello, body)
    if kind == EXTENSION_ALGORITHMS:
        return read_algorithms(hello, body)
    if kind == EXTENSION_ALPN:
        return read_alpn(hello, body)
    if kind == EXTENSION_VERSIONS:
        return read_versions(hello, body)
    read_bytes(body, cursor_left(body))
    return True


cdef inline bint read_each_extension(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """False where their list does not fit, and the fingerprint is given up. What a reader leaves of an extension is taken for
    the next one: so does the engine whose logs are compared with."""
    cdef uint32_t left, length
    cdef uint16_t kind
    cdef cursor_t body
    if cursor_left(cursor) < 2:
        return True
    left = read_be16(cursor)
    if cursor_left(cursor) < left:
        return invalid_length(hello)
    while left:
        kind = read_be16(cursor)
        length = read_be16(cursor)
        body = read_within(cursor, length)
        if body.failed or 4 + length > left:
            return invalid_length(hello)
        left -= 4 + length
        if not read_extension(hello, kind, &body):
            return True
        cursor.at = body.at
        if hello.ja4 != NULL:
            ja4_extension(hello.context.pool, hello.ja4, kind)
        if hello.ja3 and not is_grease(kind):
            add_number(hello, &hello.side.ja3, kind)
    return True


cdef inline bint read_extensions(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """False where the fingerprint is given up."""
    cdef pool_t *pool = hello.context.pool
    cdef bytes_t *ja3 = &hello.side.ja3
    cdef uint32_t before = ja3.length
    cdef bint good
    if hello.ja3:
        begin_field(hello)
    good = read_each_extension(hello, cursor)
    if not good:
        ja3.length = before
    elif hello.ja3 and hello.client:
        begin_field(hello)
        bytes_append(pool, ACCOUNT_APPLAYER, ja3, hello.groups.data, hello.groups.length)
        begin_field(hello)
        bytes_append(pool, ACCOUNT_APPLAYER, ja3, hello.formats.data, hello.formats.length)
    bytes_free(pool, ACCOUNT_APPLAYER, &hello.groups)
    bytes_free(pool, ACCOUNT_APPLAYER, &hello.formats)
    return good


cdef inline bint read_fields(hello_t *hello, cursor_t *cursor) noexcept nogil:
    # drafts of TLS 1.3 before 22 leave two fields out of the server hello
    cdef bint whole
    if not read_version(hello, cursor) or not read_random(hello, cursor):
        return False
    whole = hello.client or not hello.session.flags & NO_CERTIFICATE
    return ((not whole or read_session_id(hello, cursor)) and read_ciphers(hello, cursor)
            and (not whole or read_compression(hello, cursor)) and read_extensions(hello, cursor))


cdef inline void read_hello(app_context_t *context, session_t *session, side_t *side, bint client, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    """`side` is that of the direction that the bytes went."""
    cdef hello_t hello
    cdef cursor_t cursor = cursor_over(data, length)
    hello.context = context
    hello.session = session
    hello.side = side
    hello.client = client
    hello.ja3 = context.config.tls.ja3 and not side.has_ja3
    hello.asked = context.work.asked.protos >> ALPROTO_TLS & 1
    hello.ja4 = NULL
    hello.alpn_seen = False
    memset(&hello.groups, 0, sizeof(bytes_t))
    memset(&hello.formats, 0, sizeof(bytes_t))
    if (hello.asked and client and context.config.tls.ja4 and side == &session.side[TO_SERVER]
            and not session.flags & HANDSHAKE_OVER):
        hello.ja4 = &session.ja4_lists
    if read_fields(&hello, &cursor) and hello.ja3:
        side.has_ja3 = JA3_UNASKED if not hello.asked else JA3_THERE if ja3_hash(&side.ja3, side.ja3_hash) else JA3_NONE
    if hello.ja4 != NULL:
        session.has_ja4 = ja4_finish(hello.ja4, <ja4_work_t *> context.work.room, session.ja4)
