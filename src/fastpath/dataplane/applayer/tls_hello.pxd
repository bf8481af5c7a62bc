# Client and server hellos (RFC 8446 section 4.1, RFC 5246 section 7.4.1), whole messages.
#
# Errors: events of the transaction. A hello that breaks off leaves what was read before; the session goes on.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport (
    TLS_HANDSHAKE_INVALID_LENGTH, TLS_INVALID_SNI_LENGTH, TLS_INVALID_SNI_TYPE, TLS_MULTIPLE_SNI_EXTENSIONS, app_context_t,
)
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_u8, read_within
from fastpath.dataplane.applayer.ja3 cimport is_grease, ja3_field, ja3_hash, ja3_number
from fastpath.dataplane.applayer.ja4 cimport (
    ja4_algorithm, ja4_alpn, ja4_begin, ja4_cipher, ja4_extension, ja4_finish, ja4_t, ja4_version,
)
from fastpath.dataplane.applayer.tls_session cimport *
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER

cdef enum:
    EXTENSION_SNI = 0, EXTENSION_GROUPS = 10, EXTENSION_POINT_FORMATS = 11, EXTENSION_ALGORITHMS = 13, EXTENSION_ALPN = 16
    EXTENSION_TICKET = 35, EXTENSION_EARLY_DATA = 42, EXTENSION_VERSIONS = 43

cdef enum extension_end:
    EXTENSION_GOOD
    EXTENSION_LAST                  # the rest of the hello is not looked at, what was read stands
    EXTENSION_BAD                   # and the fingerprint is given up

cdef struct hello_t:                # one at work
    app_context_t *context
    session_t *session
    side_t *side
    ja4_t *ja4                      # NULL for none
    bint client
    bint ja3
    bint alpn_seen


cdef inline void session_event(session_t *session, uint16_t event) noexcept nogil:
    if session.tx != NULL:
        tx_event(session.tx, event)


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
        ja3_number(hello.context.pool, &hello.side.ja3, version)
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
        ja3_field(hello.context.pool, &hello.side.ja3)
    while cursor_left(&list):
        cipher = read_be16(&list)
        if hello.ja4 != NULL:
            ja4_cipher(hello.ja4, cipher)
        if hello.ja3 and not is_grease(cipher):
            ja3_number(hello.context.pool, &hello.side.ja3, cipher)
    return True


cdef inline bint read_compression(hello_t *hello, cursor_t *cursor) noexcept nogil:
    cdef uint8_t length = read_u8(cursor)
    if hello.client:
        read_bytes(cursor, length)
    return not cursor.failed or invalid_length(hello)


# ---- extensions ----

cdef inline uint32_t read_sni(hello_t *hello, cursor_t cursor) noexcept nogil:
    """RFC 6066 section 3. The first host name counts."""
    cdef session_t *session = hello.session
    cdef uint8_t kind
    cdef uint16_t length
    cdef const uint8_t *name
    cdef const uint8_t *nul
    if cursor_left(&cursor) == 0:
        return EXTENSION_GOOD
    read_be16(&cursor)
    kind = read_u8(&cursor)
    if cursor.failed:
        session_event(session, TLS_HANDSHAKE_INVALID_LENGTH)
        return EXTENSION_LAST
    if kind != 0:
        session_event(session, TLS_INVALID_SNI_TYPE)
        return EXTENSION_LAST
    length = read_be16(&cursor)
    if cursor.failed:
        session_event(session, TLS_HANDSHAKE_INVALID_LENGTH)
        return EXTENSION_LAST
    name = read_bytes(&cursor, length)
    if name == NULL or length == 0 or length > NAME_MAX:
        session_event(session, TLS_INVALID_SNI_LENGTH)
        return EXTENSION_LAST
    if session.name_length:
        session_event(session, TLS_MULTIPLE_SNI_EXTENSIONS)
        return EXTENSION_GOOD
    nul = <const uint8_t *> memchr(name, 0, length)
    session.name_length = <uint8_t> (length if nul == NULL else nul - name)
    memcpy(session.name, name, session.name_length)
    return EXTENSION_GOOD


cdef inline uint32_t read_versions(hello_t *hello, cursor_t cursor) noexcept nogil:
    """RFC 8446 section 4.2.1."""
    cdef cursor_t list
    cdef uint8_t length
    cdef uint16_t version
    if cursor_left(&cursor) == 0:
        return EXTENSION_GOOD
    if hello.client:
        length = read_u8(&cursor)
        list = read_within(&cursor, length)
        if list.failed or length < 2:
            session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
            return EXTENSION_LAST
        while cursor_left(&list) >= 2:
            version = read_be16(&list)
            if version_is_good(version):
                hello.side.version = version
                if hello.ja4 != NULL:
                    ja4_version(hello.ja4, version)
                break
        hello.session.flags |= VERSIONS_OFFERED
        return EXTENSION_GOOD
    version = read_be16(&cursor)
    if cursor.failed:
        session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
        return EXTENSION_LAST
    if hello.session.flags & VERSIONS_OFFERED and version > TLS12:
        hello.session.flags |= NO_CERTIFICATE
    hello.side.version = version
    return EXTENSION_GOOD


cdef inline uint32_t read_algorithms(hello_t *hello, cursor_t cursor) noexcept nogil:
    """RFC 8446 section 4.2.3."""
    cdef cursor_t list
    cdef uint16_t length
    if cursor_left(&cursor) == 0:
        return EXTENSION_GOOD
    length = read_be16(&cursor)
    list = read_within(&cursor, length)
    if list.failed or length & 1:
        session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
        return EXTENSION_LAST
    if hello.ja4 != NULL:
        while cursor_left(&list):
            ja4_algorithm(hello.ja4, read_be16(&list))
    return EXTENSION_GOOD


cdef inline uint32_t read_alpn(hello_t *hello, cursor_t cursor) noexcept nogil:
    """RFC 7301 section 3.1."""
    cdef uint32_t left, length
    cdef const uint8_t *name
    if cursor_left(&cursor) == 0:
        return EXTENSION_GOOD
    left = read_be16(&cursor)
    if cursor.failed or cursor_left(&cursor) < left:
        session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
        return EXTENSION_LAST
    while hello.client and left:
        length = read_u8(&cursor)
        left -= 1
        name = read_bytes(&cursor, length)
        if name == NULL:
            session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
            return EXTENSION_LAST
        if length > left:
            break
        if hello.ja4 != NULL and not hello.alpn_seen:
            ja4_alpn(hello.ja4, name, length)
        hello.alpn_seen = True
        left -= length
    return EXTENSION_GOOD


cdef inline uint32_t check_list(hello_t *hello, cursor_t cursor, uint32_t width) noexcept nogil:
    """Groups (width 2, RFC 8422 section 5.1.1) and point formats (width 1, 5.1.2), which are parts of JA3."""
    cdef uint32_t length
    if cursor_left(&cursor) == 0:
        return EXTENSION_GOOD
    length = read_be16(&cursor) if width == 2 else read_u8(&cursor)
    if hello.client and hello.ja3 and width == 2:
        length += length & 1        # the second half of a last number is read, wherever the list ends
    read_bytes(&cursor, length)
    if cursor.failed:
        session_event(hello.session, TLS_HANDSHAKE_INVALID_LENGTH)
        return EXTENSION_BAD
    return EXTENSION_GOOD


cdef inline uint32_t read_extension(hello_t *hello, uint16_t kind, cursor_t body) noexcept nogil:
    if kind == EXTENSION_SNI:
        return read_sni(hello, body)
    if kind == EXTENSION_GROUPS:
        return check_list(hello, body, 2)
    if kind == EXTENSION_POINT_FORMATS:
        return check_list(hello, body, 1)
    if kind == EXTENSION_ALGORITHMS:
        return read_algorithms(hello, body)
    if kind == EXTENSION_ALPN:
        return read_alpn(hello, body)
    if kind == EXTENSION_VERSIONS:
        return read_versions(hello, body)
    if kind == EXTENSION_EARLY_DATA and hello.client:
        hello.session.flags |= EARLY_DATA
    elif kind == EXTENSION_TICKET and hello.client:
        hello.session.flags |= SESSION_RESUMED
    return EXTENSION_GOOD


cdef inline void ja3_of_lists(hello_t *hello, cursor_t list, uint16_t wanted) noexcept nogil:
    """The numbers of every extension of this kind; all of them have been checked."""
    cdef uint16_t kind, value
    cdef uint32_t length
    cdef cursor_t body
    ja3_field(hello.context.pool, &hello.side.ja3)
    while cursor_left(&list):
        kind = read_be16(&list)
        body = read_within(&list, read_be16(&list))
        if kind != wanted or cursor_left(&body) == 0:
            continue
        length = read_be16(&body) if kind == EXTENSION_GROUPS else read_u8(&body)
        while length and not body.failed:
            value = read_be16(&body) if kind == EXTENSION_GROUPS else read_u8(&body)
            length -= min(length, <uint32_t> (2 if kind == EXTENSION_GROUPS else 1))
            if not body.failed and not is_grease(value):
                ja3_number(hello.context.pool, &hello.side.ja3, value)


cdef inline bint read_extensions(hello_t *hello, cursor_t *cursor) noexcept nogil:
    """False where the fingerprints are given up."""
    cdef bytes_t *ja3 = &hello.side.ja3
    cdef uint32_t ja3_before = ja3.length
    cdef uint32_t end = EXTENSION_GOOD
    cdef uint16_t kind
    cdef cursor_t list, body, done
    list = done = cursor_over(cursor.at, 0)
    if hello.ja3:
        ja3_field(hello.context.pool, ja3)
    if cursor_left(cursor) >= 2:
        list = read_within(cursor, read_be16(cursor))
        done = cursor_over(list.at, 0)          # those that have been read to their end
        if list.failed:
            end = EXTENSION_BAD
            invalid_length(hello)
        while end == EXTENSION_GOOD and cursor_left(&list):
            kind = read_be16(&list)
            body = read_within(&list, read_be16(&list))
            if list.failed or body.failed:
                invalid_length(hello)
                end = EXTENSION_BAD
                break
            end = read_extension(hello, kind, body)
            if end != EXTENSION_GOOD:
                break
            if hello.ja4 != NULL:
                ja4_extension(hello.ja4, kind)
            if hello.ja3 and not is_grease(kind):
                ja3_number(hello.context.pool, ja3, kind)
            done.end = list.at
    if end == EXTENSION_BAD:
        ja3.length = ja3_before
        return False
    if hello.ja3 and hello.client:
        ja3_of_lists(hello, done, EXTENSION_GROUPS)
        ja3_of_lists(hello, done, EXTENSION_POINT_FORMATS)
    return True


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
    hello.ja4 = <ja4_t *> context.work.room if client and context.config.tls.ja4 and not session.has_ja4 else NULL
    hello.alpn_seen = False
    if hello.ja4 != NULL:
        ja4_begin(hello.ja4)
    if not read_version(&hello, &cursor) or not read_random(&hello, &cursor):
        return
    # drafts of TLS 1.3 before 22 leave these fields out of the server hello
    if client or not session.flags & NO_CERTIFICATE:
        if not read_session_id(&hello, &cursor):
            return
    if not read_ciphers(&hello, &cursor):
        return
    if client or not session.flags & NO_CERTIFICATE:
        if not read_compression(&hello, &cursor):
            return
    if not read_extensions(&hello, &cursor):
        return
    if hello.ja3:
        side.has_ja3 = ja3_hash(&side.ja3, side.ja3_hash)
    if hello.ja4 != NULL:
        session.has_ja4 = ja4_finish(hello.ja4, session.ja4)
