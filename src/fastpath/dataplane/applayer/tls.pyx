# See tls.pxd. Records: RFC 8446 section 5.1, RFC 6101 appendix E for SSL 2.0; heartbeats: RFC 6520.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be24, read_bytes
from fastpath.dataplane.applayer.ja4 cimport ja4_free
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_map, put_key, say_bool, say_bytes, say_text, writer_t,
)
from fastpath.dataplane.applayer.tls_hello cimport read_hello, session_event
from fastpath.dataplane.applayer.tls_session cimport *
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_progress
from fastpath.dataplane.applayer.unseal cimport OPENER_SHUT, RECORD_FAILED, RECORD_OPENED, new_unseal, open_record
from fastpath.dataplane.applayer.x509 cimport *
from fastpath.dataplane.libcrypto cimport sha1_of, write_hex
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be16, be24

cdef extern from *:
    """
    #define FASTPATH_PROTOCOL_NAME(id, name) name,
    static const char *const protocol_names[] = { FASTPATH_PROTOCOLS(FASTPATH_PROTOCOL_NAME) };
    """
    const char *protocol_names[]

cdef enum content:
    CHANGE_CIPHER_SPEC = 20, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT

cdef enum message:
    HELLO_REQUEST = 0, CLIENT_HELLO = 1, SERVER_HELLO = 2, NEW_SESSION_TICKET = 4, CERTIFICATE = 11, SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13, SERVER_HELLO_DONE = 14, CERTIFICATE_VERIFY = 15, CLIENT_KEY_EXCHANGE = 16, FINISHED = 20
    CERTIFICATE_URL = 21, CERTIFICATE_STATUS = 22

cdef enum v2_message:
    V2_ERROR = 0, V2_CLIENT_HELLO_MESSAGE = 1, V2_CLIENT_MASTER_KEY = 2, V2_CLIENT_FINISHED = 3, V2_SERVER_HELLO_MESSAGE = 4
    V2_SERVER_VERIFY = 5, V2_SERVER_FINISHED = 6, V2_REQUEST_CERTIFICATE = 7, V2_CLIENT_CERTIFICATE = 8

cdef enum:
    RECORD_HEADER = 5
    RECORD_LENGTH_MAX = (1 << 14) + 1024
    RECORD_SMALLEST = 6

cdef enum handling:             # tls_config_t.encryption_handling
    TRACK_ONLY, BYPASS, FULL


# ---- recognition ----

cdef uint32_t recognise(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags, uint32_t hint) noexcept nogil:
    """The first record of a side, SSL 3.0 to TLS 1.2 by its version; a client hello of SSL 2.0."""
    if length >= 3 and data[1] == 3 and data[2] <= 3:
        if data[0] == HANDSHAKE or data[0] == 1 and direction == TO_SERVER:
            return RECOGNISED_YES
        if direction == TO_CLIENT and (data[0] == ALERT or data[0] == APPLICATION_DATA):
            return RECOGNISED_YES
    if length < 3:
        if length and data[0] & 0x80 == 0 and data[0] != 1 and not ALERT <= data[0] <= APPLICATION_DATA:
            return RECOGNISED_NO
        return RECOGNISED_NO if length == 2 and data[0] & 0x80 == 0 and data[1] != 3 else RECOGNISED_MORE
    if direction == TO_SERVER and data[0] & 0x80 and data[2] == 1:
        if hint:
            return RECOGNISED_YES
        if length < 5:
            return RECOGNISED_MORE
        if data[3] == 0 and data[4] == 2:
            return RECOGNISED_YES
    return RECOGNISED_NO


# ---- certificates ----

cdef uint16_t event_of_certificate(uint32_t wrong) noexcept nogil:
    if wrong == X509_BAD_LENGTH:
        return TLS_CERTIFICATE_INVALID_LENGTH
    if wrong == X509_BAD_VERSION:
        return TLS_CERTIFICATE_INVALID_VERSION
    if wrong == X509_BAD_SERIAL:
        return TLS_CERTIFICATE_INVALID_SERIAL
    if wrong == X509_BAD_ALGORITHM:
        return TLS_CERTIFICATE_INVALID_ALGORITHMIDENTIFIER
    if wrong == X509_BAD_DATE:
        return TLS_CERTIFICATE_INVALID_DATE
    if wrong == X509_BAD_EXTENSIONS:
        return TLS_CERTIFICATE_INVALID_EXTENSIONS
    if wrong == X509_BAD_DER:
        return TLS_CERTIFICATE_INVALID_DER
    if wrong == X509_NO_SUBJECT:
        return TLS_CERTIFICATE_INVALID_SUBJECT
    if wrong == X509_NO_ISSUER:
        return TLS_CERTIFICATE_INVALID_ISSUER
    return TLS_INVALID_CERTIFICATE


cdef uint32_t keep_certificate(app_context_t *context, side_t *side, const uint8_t *data, uint32_t length) noexcept nogil:
    """The fields of the first certificate of a side. X509_GOOD or what was wrong with it."""
    cdef certificate_t certificate
    cdef uint8_t digest[20]
    cdef uint32_t i
    cdef uint32_t wrong = read_certificate(data, length, &certificate)
    if wrong != X509_GOOD:
        return wrong
    if not append_name(context.pool, &side.subject, certificate.subject):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.subject)
        return X509_NO_SUBJECT
    side.has_subject = 1
    if not append_name(context.pool, &side.issuer, certificate.issuer):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.issuer)
        return X509_NO_ISSUER
    side.has_issuer = 1
    side.has_serial = append_serial(context.pool, &side.serial, certificate.serial)
    side.not_before = certificate.not_before
    side.not_after = certificate.not_after
    if sha1_of(data, length, digest):
        for i in range(20):
            write_hex(side.fingerprint + 3 * i, digest + i, 1)
            if i < 19:
                side.fingerprint[3 * i + 2] = 58
        side.has_fingerprint = 1
    return X509_GOOD


cdef void read_chain(app_context_t *context, session_t *session, side_t *side, const uint8_t *data,
                     uint32_t length) noexcept nogil:
    """A Certificate message (RFC 5246 section 7.4.2). The first chain of a side counts."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint32_t chain_length = read_be24(&cursor)
    cdef const uint8_t *chain = read_bytes(&cursor, chain_length)
    cdef const uint8_t *certificate
    cdef uint32_t certificate_length, wrong, begin
    if chain == NULL or side.has_chain or not context.work.asked.protos >> ALPROTO_TLS & 1:
        return
    side.has_chain = 1
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &side.chain, chain, chain_length):
        return
    cursor = cursor_over(side.chain.data, chain_length)
    while cursor_left(&cursor):
        begin = <uint32_t> (cursor.at - side.chain.data)
        certificate_length = read_be24(&cursor)
        certificate = read_bytes(&cursor, certificate_length)
        if certificate == NULL:
            session_event(session, TLS_INVALID_CERTIFICATE)
            return
        if not side.has_subject and not side.has_issuer:
            wrong = keep_certificate(context, side, certificate, certificate_length)
            if wrong != X509_GOOD:
                session_event(session, event_of_certificate(wrong))
                if wrong == X509_NO_SUBJECT or wrong == X509_NO_ISSUER:
                    return
                # it is no part of the chain; the next one may be readable
                side.chain.length -= 3 + certificate_length
                memmove(side.chain.data + begin, cursor.at, side.chain.length - begin)
                cursor = cursor_over(side.chain.data + begin, side.chain.length - begin)
                continue
        side.certificates += 1


# ---- handshake ----

cdef void read_message(app_context_t *context, session_t *session, side_t *side, uint32_t direction, uint8_t kind,
                       const uint8_t *data, uint32_t length) noexcept nogil:
    """A whole handshake message. An empty one says nothing."""
    if length == 0:
        return
    if kind == CLIENT_HELLO or kind == SERVER_HELLO:
        session.latest = SEEN_CLIENT_HELLO if kind == CLIENT_HELLO else SEEN_SERVER_HELLO
        read_hello(context, session, side, kind == CLIENT_HELLO, data, length)
    elif kind == SERVER_KEY_EXCHANGE:
        session.latest = SEEN_SERVER_KEYX
    elif kind == CLIENT_KEY_EXCHANGE:
        session.latest = SEEN_CLIENT_KEYX
    elif kind == CERTIFICATE:
        read_chain(context, session, side, data, length)
    elif kind == CERTIFICATE_REQUEST and direction == TO_CLIENT:
        session.latest = WANTS_CLIENT_CERT
    session.flags |= session.latest


cdef bint is_message(uint8_t kind) noexcept nogil:
    return (kind <= SERVER_HELLO or kind == NEW_SESSION_TICKET or CERTIFICATE <= kind <= CLIENT_KEY_EXCHANGE
            or FINISHED <= kind <= CERTIFICATE_STATUS)


cdef bint read_handshake(app_context_t *context, session_t *session, side_t *side, uint32_t direction, const uint8_t *data,
                         uint32_t length) noexcept nogil:
    """The messages of a record; one that goes on in the next is kept. False where the session cannot go on."""
    cdef uint32_t taken, message_length
    cdef uint8_t kind
    while length:
        if side.in_message:
            taken = min(length, side.message_length - side.message.length)
            if not bytes_append(context.pool, ACCOUNT_APPLAYER, &side.message, data, taken):
                return False
            data += taken
            length -= taken
            if side.message.length == side.message_length:
                side.in_message = 0
                read_message(context, session, side, direction, side.message_type, side.message.data, side.message.length)
                bytes_free(context.pool, ACCOUNT_APPLAYER, &side.message)
            continue
        if length < 4:
            session_event(session, TLS_INVALID_SSL_RECORD)
            return False
        kind = data[0]
        message_length = be24(data + 1)
        data += 4
        length -= 4
        if not is_message(kind):
            taken = min(length, message_length)
            data += taken
            length -= taken
            # behind a change of ciphers messages are encrypted, and their types are nothing
            if not session.flags & (CIPHER_CHANGED_TO_SERVER << direction):
                session_event(session, TLS_INVALID_HANDSHAKE_MESSAGE)
            continue
        if message_length > length:
            side.in_message = 1
            side.message_type = kind
            side.message_length = message_length
            return bytes_append(context.pool, ACCOUNT_APPLAYER, &side.message, data, length)
        read_message(context, session, side, direction, kind, data, message_length)
        data += message_length
        length -= message_length
    return True


# ---- heartbeats ----

cdef bint read_heartbeat(session_t *session, side_t *side, uint32_t direction, const uint8_t *data,
                         uint32_t length) noexcept nogil:
    """False for one that no honest peer sends (CVE-2014-0160)."""
    cdef bint encrypted = session.flags & (CIPHER_CHANGED_TO_SERVER | CIPHER_CHANGED_TO_CLIENT) != 0
    cdef uint32_t own = HEARTBEAT_OF_SERVER if direction == TO_CLIENT else HEARTBEAT_OF_CLIENT
    cdef uint32_t payload
    if length < 3:
        return True
    if not encrypted and data[0] != 1 and data[0] != 2:
        session_event(session, TLS_INVALID_HEARTBEAT_MESSAGE)
        return False
    if not session.flags & HEARTBEAT_PENDING:
        session.flags |= HEARTBEAT_PENDING | own
        if encrypted:
            session.heartbeat_length = side.record_length
            return True
        payload = be16(data + 1)
        if payload + 3 > side.record_length:
            session_event(session, TLS_OVERFLOW_HEARTBEAT_MESSAGE)
            return False
        if side.record_length - payload - 3 < 16:
            session_event(session, TLS_INVALID_HEARTBEAT_MESSAGE)
            return False
        return True
    if session.flags & own:
        session_event(session, TLS_INVALID_HEARTBEAT_MESSAGE)
        return False
    session.flags &= ~<uint32_t> (HEARTBEAT_PENDING | HEARTBEAT_OF_CLIENT | HEARTBEAT_OF_SERVER)
    payload = session.heartbeat_length
    session.heartbeat_length = 0
    if encrypted and payload and payload < side.record_length:
        session_event(session, TLS_DATALEAK_HEARTBEAT_MISMATCH)
        return False
    return True


# ---- decryption ----

cdef bint is_opened(const session_t *session) noexcept nogil:
    """Is a direction decrypted, or may it be yet?"""
    return session.unseal != NULL and (session.unseal.opener[TO_SERVER].state != OPENER_SHUT
                                       or session.unseal.opener[TO_CLIENT].state != OPENER_SHUT)


cdef bint is_sealed(const session_t *session, const side_t *side, uint32_t direction) noexcept nogil:
    """Is the record at work encrypted?"""
    cdef uint16_t version = session.side[TO_CLIENT].version
    if side.content_type == APPLICATION_DATA:
        return True
    return (session.flags & CIPHER_CHANGED_TO_SERVER << direction != 0 and version <= TLS12
            and (side.content_type != CHANGE_CIPHER_SPEC or is_opened(session)))


cdef void ask_for_secrets(app_context_t *context, session_t *session) noexcept nogil:
    """Once a session, with its first sealed record behind the server's hello."""
    cdef uint16_t version = session.side[TO_CLIENT].version
    if session.asked or not session.flags & SEEN_SERVER_HELLO:
        return
    session.asked = 1
    if (version != TLS12 and version != TLS13 or not session.side[TO_SERVER].has_random or context.work.deliver == NULL
            or context.app.flags & APP_DECRYPTED):
        return
    session.unseal = new_unseal(context, session.side[TO_SERVER].random, session.side[TO_CLIENT].random, session.suite,
                                version == TLS13, session.flags & EARLY_DATA != 0)
    if session.unseal != NULL:
        context.app.flags |= APP_OPENED


cdef void unseal_record(app_context_t *context, session_t *session, side_t *side, uint32_t direction,
                        const uint8_t *data) noexcept nogil:
    """A whole sealed record, from its header on: what it holds goes to the session inside."""
    cdef uint8_t content
    cdef uint32_t length
    cdef uint32_t said = open_record(context, session.unseal, direction, data, side.record_length, &content, &length)
    side.sealed = said != RECORD_OPENED
    if side.sealed and not is_opened(session):
        context.app.flags &= ~<uint32_t> APP_OPENED
    if said == RECORD_FAILED:
        session_event(session, TLS_DECRYPT_FAILED)
        session.changed = 1
        context.work.deliver(context, direction, NULL, 0, PARSE_GAP)
    elif said == RECORD_OPENED and content == APPLICATION_DATA and length:
        context.work.deliver(context, direction, context.work.plain, length, 0)


# ---- records ----

cdef void begin_encryption(app_context_t *context, session_t *session) noexcept nogil:
    cdef uint8_t handling = context.config.tls.encryption_handling
    if handling == BYPASS and context.app.flags & APP_OPENED:
        handling = TRACK_ONLY               # there is something to look at
    if handling != FULL:
        context.app.flags |= APP_NO_PAYLOAD
    if handling == BYPASS:
        context.app.flags |= APP_NO_REASSEMBLY | APP_BYPASS
        if session.tx != NULL:
            session.tx.flags |= TX_NO_INSPECTION


cdef bint pass_application_data(app_context_t *context, session_t *session) noexcept nogil:
    # early data comes before the handshake is over
    if not session.flags & EARLY_DATA or session.flags & SEEN_SERVER_HELLO:
        session.flags |= HANDSHAKE_OVER
        begin_encryption(context, session)
    return True


cdef bint read_record(app_context_t *context, session_t *session, side_t *side, uint32_t direction, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    """The body of a record; all of it, but for application data. False where the session cannot go on."""
    cdef bint changed = session.flags & (CIPHER_CHANGED_TO_SERVER | CIPHER_CHANGED_TO_CLIENT) != 0
    if side.content_type == CHANGE_CIPHER_SPEC:
        session.flags |= CIPHER_CHANGED_TO_SERVER << direction
        return True
    if side.content_type == APPLICATION_DATA:
        return pass_application_data(context, session)
    if side.content_type == HEARTBEAT:
        return read_heartbeat(session, side, direction, data, length)
    if side.content_type != HANDSHAKE:
        return True
    # TLS 1.3 changes ciphers for show (RFC 8446 appendix D.4): a second client hello may follow
    if changed and not (session.flags & SEEN_CLIENT_HELLO and session.side[TO_SERVER].version > TLS12
                        and not session.flags & SEEN_SERVER_HELLO):
        return True
    if side.record_length < 4:
        session_event(session, TLS_INVALID_SSL_RECORD)
        return False
    if not read_handshake(context, session, side, direction, data, length):
        session_event(session, TLS_INVALID_HANDSHAKE_MESSAGE)
        return False
    return True


cdef parsed_t next_record(app_context_t *context, session_t *session, side_t *side, uint32_t direction, const uint8_t *data,
                          uint32_t length) noexcept nogil:
    cdef parsed_t parsed
    cdef uint16_t before = side.version
    cdef uint32_t taken
    parsed.consumed = 0
    parsed.need = RECORD_HEADER
    parsed.status = PARSE_NEED
    if length < RECORD_HEADER:
        return parsed
    side.content_type = data[0]
    # what a hello has said holds
    if side.version == 0 or not session.flags & (SEEN_SERVER_HELLO if direction == TO_CLIENT else SEEN_CLIENT_HELLO):
        side.version = be16(data + 1)
    side.record_length = be16(data + 3)
    parsed.status = PARSE_ERROR
    if not CHANGE_CIPHER_SPEC <= side.content_type <= HEARTBEAT:
        session_event(session, TLS_INVALID_RECORD_TYPE)
        if before == TLS10 or before == TLS11:
            side.version = before
            parsed.status = PARSE_OK
            parsed.consumed = length
        return parsed
    if side.record_length == 0:
        session_event(session, TLS_INVALID_RECORD_LENGTH)
        return parsed
    if not version_is_good(side.version):
        session_event(session, TLS_INVALID_RECORD_VERSION)
        return parsed
    if side.record_length > RECORD_LENGTH_MAX:
        session_event(session, TLS_INVALID_RECORD_LENGTH)
        return parsed
    taken = min(side.record_length, length - RECORD_HEADER)
    side.sealed = is_sealed(session, side, direction)
    if side.sealed:
        ask_for_secrets(context, session)
        if session.unseal != NULL and session.unseal.opener[direction].state != OPENER_SHUT:
            if taken < side.record_length:
                parsed.status = PARSE_NEED
                parsed.need = RECORD_HEADER + side.record_length
                return parsed
            unseal_record(context, session, side, direction, data)
    # nobody looks into application data: it passes as it comes
    if taken < side.record_length and (side.content_type != APPLICATION_DATA or taken == 0):
        parsed.status = PARSE_NEED
        parsed.need = RECORD_HEADER + (1 if side.content_type == APPLICATION_DATA else side.record_length)
        return parsed
    if read_record(context, session, side, direction, data + RECORD_HEADER, taken):
        side.left = side.record_length - taken
        parsed.status = PARSE_OK
        parsed.consumed = RECORD_HEADER + taken
    return parsed


# ---- SSL 2.0 ----

cdef parsed_t next_v2_record(app_context_t *context, session_t *session, side_t *side, uint32_t direction, const uint8_t *data,
                             uint32_t length) noexcept nogil:
    cdef parsed_t parsed
    cdef uint32_t header = 2 if data[0] & 0x80 else 3       # before the type of the message
    cdef const uint8_t *body = data + header + 1
    parsed.consumed = 0
    parsed.need = header + 1
    parsed.status = PARSE_NEED
    if length < header + 1:
        return parsed
    side.record_length = be16(data) & (0x7fff if header == 2 else 0x3fff)
    side.content_type = data[header]
    side.version = SSL2
    if length < header + max(side.record_length, <uint32_t> 2):         # an empty one is known by what follows it
        parsed.need = header + max(side.record_length, <uint32_t> 2)
        return parsed
    parsed.status = PARSE_ERROR
    if side.record_length == 0:
        session_event(session, TLS_INVALID_SSLV2_HEADER)
        session_event(session, TLS_INVALID_SSL_RECORD)
        return parsed
    if side.content_type == V2_ERROR:
        session_event(session, TLS_ERROR_MESSAGE_ENCOUNTERED)
    elif side.content_type == V2_CLIENT_HELLO_MESSAGE:
        if side.record_length < 7:
            session_event(session, TLS_INVALID_SSL_RECORD)
            return parsed
        session.latest = SEEN_CLIENT_HELLO | V2_CLIENT_HELLO
        side.version = be16(body)
        if be16(body + 4) == 0:
            session.latest |= V2_NO_SESSION_ID
    elif side.content_type == V2_CLIENT_MASTER_KEY:
        session.latest = V2_MASTER_KEY
    elif side.content_type == V2_SERVER_HELLO_MESSAGE:
        session.latest = SEEN_SERVER_HELLO | V2_SERVER_HELLO
    elif side.content_type <= V2_CLIENT_CERTIFICATE:
        if side.content_type == V2_CLIENT_CERTIFICATE and direction == TO_SERVER:
            session.latest = SEEN_CLIENT_KEYX
        if session.flags & V2_CLIENT_HELLO and session.flags & V2_SERVER_HELLO:
            if direction == TO_CLIENT:
                session.latest = V2_SERVER_ENCRYPTED
            elif session.flags & (V2_NO_SESSION_ID | V2_MASTER_KEY):
                session.latest |= V2_CLIENT_ENCRYPTED
            if session.flags & V2_CLIENT_ENCRYPTED and session.flags & V2_SERVER_ENCRYPTED:
                begin_encryption(context, session)
                if context.config.tls.encryption_handling != FULL and session.tx != NULL:
                    session.tx.flags |= TX_NO_INSPECTION
    session.flags |= session.latest
    parsed.status = PARSE_OK
    parsed.consumed = header + side.record_length
    return parsed


# ---- the session ----

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


cdef void show_progress(app_context_t *context, session_t *session) noexcept nogil:
    cdef uint32_t direction, progress
    if session.tx == NULL:
        return
    if session.changed:
        session.tx.flags |= TX_NEW
    for direction in range(2):
        progress = TLS_IN_PROGRESS
        if session.flags & SESSION_OVER:
            progress = TLS_FINISHED
        elif session.flags & HANDSHAKE_OVER:
            progress = TLS_HANDSHAKE_DONE
        elif session.side[1 - direction].has_subject or session.side[1 - direction].has_issuer:
            progress = TLS_CERT_READY
        tx_progress(context, session.tx, direction, progress)


cdef parsed_t read_records(app_context_t *context, session_t *session, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    cdef side_t *side = &session.side[direction]
    cdef parsed_t parsed, one
    cdef uint32_t records = 0, records_max = max(length // RECORD_SMALLEST, <uint32_t> 1), taken
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_OK
    session.changed = session.latest != 0
    if side.left == 0:
        session.latest = 0
    while length:
        if side.left:
            taken = min(length, side.left)
            side.left -= taken
            one.consumed = taken
            one.status = PARSE_OK
            pass_application_data(context, session)
        else:
            if records > records_max:
                session_event(session, TLS_TOO_MANY_RECORDS_IN_PACKET)
                parsed.status = PARSE_ERROR
                return parsed
            records += 1
            if data[0] & 0xc0:
                one = next_v2_record(context, session, side, direction, data, length)
                if one.status == PARSE_ERROR:
                    session_event(session, TLS_INVALID_SSL_RECORD)
            else:
                if side.version == SSL2:
                    side.version = 0
                one = next_record(context, session, side, direction, data, length)
            if side.content_type != APPLICATION_DATA or one.status == PARSE_ERROR:
                session.changed = 1
        if one.status != PARSE_OK:
            parsed.status = one.status
            parsed.need = one.need
            return parsed
        if not side.sealed:
            context.app.opened[direction] += one.consumed
        if side.left == 0:
            context.app.flags |= APP_RAW_TO_CLIENT if direction == TO_CLIENT else APP_RAW_TO_SERVER
        data += one.consumed
        length -= one.consumed
        parsed.consumed += one.consumed
    # with the certificate that was asked for, or the only one that can be seen, the handshake is as good as over
    if session.flags & WANTS_CLIENT_CERT:
        side = &session.side[TO_SERVER]
    else:
        side = &session.side[TO_CLIENT]
    if side.has_subject and side.has_issuer:
        session.flags |= HANDSHAKE_OVER
    if session.flags & HANDSHAKE_OVER:
        ja4_free(context.pool, &session.ja4_lists)          # hellos that follow would be encrypted
    return parsed


cdef parsed_t parse(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                    uint32_t flags) noexcept nogil:
    cdef session_t *session = session_of(context)
    cdef parsed_t parsed
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_ERROR
    if session == NULL:
        return parsed
    if flags & PARSE_EOF:
        session.side[direction].ended = 1
    parsed.status = PARSE_OK
    if length:
        parsed = read_records(context, session, direction, data, length)
    elif flags & PARSE_EOF:
        session.flags |= SESSION_OVER
    if flags & PARSE_EOF and session.unseal != NULL:
        context.work.deliver(context, direction, NULL, 0, PARSE_EOF)
    if session.side[TO_SERVER].ended and session.side[TO_CLIENT].ended and parsed.status == PARSE_OK:
        session.flags |= SESSION_OVER
    show_progress(context, session)
    return parsed


cdef void free_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef session_t *session = <session_t *> context.app.state
    if session != NULL:
        session.tx = NULL


cdef void free_state(app_context_t *context) noexcept nogil:
    cdef session_t *session = <session_t *> context.app.state
    if session != NULL:
        free_session(context, session)
        pool_give(context.pool, ACCOUNT_APPLAYER, session, sizeof(session_t))
        context.app.state = NULL


# ---- inspect buffers ----

cdef uint32_t show(view_t *view, const uint8_t *data, uint32_t length, bint there) noexcept nogil:
    view.data = data
    view.length = length
    view.offset = 0
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY if there else VIEW_NONE


cdef uint32_t show_number(session_t *session, view_t *view, uint64_t number, bint there) noexcept nogil:
    session.number = number
    return show(view, <const uint8_t *> &session.number, sizeof(uint64_t), there)


cdef uint32_t show_certificate(const side_t *side, uint32_t index, view_t *view) noexcept nogil:
    cdef const uint8_t *at = side.chain.data
    if index >= side.certificates:
        return VIEW_NONE
    while index:
        at += 3 + be24(at)
        index -= 1
    return show(view, at + 3, be24(at), True)


cdef uint32_t buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t which, uint32_t index,
                     view_t *view) noexcept nogil:
    cdef session_t *session = <session_t *> context.app.state
    cdef side_t *side = &session.side[direction]
    if which == BUFFER_TLS_CERTS:
        return show_certificate(side, index, view)
    if index:
        return VIEW_NONE
    if which == BUFFER_TLS_SNI:
        return show(view, session.name, session.name_length, session.side[TO_SERVER].has_name)
    if which == BUFFER_TLS_CERT_SUBJECT:
        return show(view, side.subject.data, side.subject.length, side.has_subject)
    if which == BUFFER_TLS_CERT_ISSUER:
        return show(view, side.issuer.data, side.issuer.length, side.has_issuer)
    if which == BUFFER_TLS_CERT_SERIAL:
        return show(view, side.serial.data, side.serial.length, side.has_serial)
    if which == BUFFER_TLS_CERT_FINGERPRINT:
        return show(view, side.fingerprint, FINGERPRINT_LENGTH, side.has_fingerprint)
    # a side's random is looked at once the other side's is there, and is zero before its own is
    if which == BUFFER_TLS_RANDOM:
        return show(view, side.random, 32, session.side[1 - direction].has_random)
    if which == BUFFER_TLS_RANDOM_TIME:
        return show(view, side.random, 4, session.side[1 - direction].has_random)
    if which == BUFFER_TLS_RANDOM_BYTES:
        return show(view, side.random + 4, 28, session.side[1 - direction].has_random)
    if which == BUFFER_JA3_HASH or which == BUFFER_JA3S_HASH:
        return show(view, side.ja3_hash, 32, side.has_ja3 == JA3_THERE)
    if which == BUFFER_JA3_STRING or which == BUFFER_JA3S_STRING:
        return show(view, side.ja3.data, side.ja3.length, side.ja3.length != 0)
    if which == BUFFER_JA4_HASH:
        return show(view, session.ja4, 36, session.has_ja4)
    if which == BUFFER_TLS_VERSION or which == BUFFER_SSL_VERSION:
        return show_number(session, view, side.version, side.version != 0)
    if which == BUFFER_SSL_STATE:
        return show_number(session, view, session.latest & STATE_BITS, True)
    if which == BUFFER_TLS_CERT_NOTBEFORE:
        return show_number(session, view, <uint64_t> side.not_before, side.not_before != 0)
    if which == BUFFER_TLS_CERT_NOTAFTER:
        return show_number(session, view, <uint64_t> side.not_after, side.not_after != 0)
    if which == BUFFER_TLS_CERT_CHAIN_LEN:
        return show_number(session, view, side.certificates, True)
    return VIEW_NONE


# ---- what it says ----

cdef void say_version(writer_t *writer, uint16_t version) noexcept nogil:
    cdef const char *text = version_text(version)
    cdef uint8_t digits[6]
    cdef uint8_t pair[2]
    if text != NULL:
        say_text(writer, b"version", text)
        return
    pair[0] = <uint8_t> (version >> 8)
    pair[1] = <uint8_t> version
    digits[0], digits[1] = 48, 120
    write_hex(digits + 2, pair, 2)
    say_bytes(writer, b"version", digits, 6)


cdef void write_decimal(uint8_t *text, int64_t value, uint32_t width) noexcept nogil:
    while width:
        width -= 1
        text[width] = <uint8_t> (48 + value % 10)
        value //= 10


cdef void say_date(writer_t *writer, const char *key, int64_t seconds) noexcept nogil:
    """2019-12-17T01:17:28, from seconds since 1970."""
    cdef uint8_t text[19]
    cdef int64_t days = (seconds if seconds >= 0 else seconds - 86399) // 86400
    cdef int64_t of_day = seconds - days * 86400
    cdef int64_t shifted = days + 719468                # since 0000-03-01
    cdef int64_t era = (shifted if shifted >= 0 else shifted - 146096) // 146097
    cdef int64_t of_era = shifted - era * 146097
    cdef int64_t year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef int64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef int64_t month = (5 * of_year + 2) // 153       # from March
    write_decimal(text, year + era * 400 + (1 if month >= 10 else 0), 4)
    write_decimal(text + 5, month + (3 if month < 10 else -9), 2)
    write_decimal(text + 8, of_year - (153 * month + 2) // 5 + 1, 2)
    write_decimal(text + 11, of_day // 3600, 2)
    write_decimal(text + 14, of_day // 60 % 60, 2)
    write_decimal(text + 17, of_day % 60, 2)
    text[4] = text[7] = 45
    text[10] = 84
    text[13] = text[16] = 58
    say_bytes(writer, key, text, 19)


cdef void say_ja3(writer_t *writer, const char *key, const side_t *side) noexcept nogil:
    if side.ja3.length == 0:
        return
    put_key(writer, key)
    open_map(writer)
    if side.has_ja3 == JA3_THERE:
        say_bytes(writer, b"hash", side.ja3_hash, 32)
    say_bytes(writer, b"string", side.ja3.data, side.ja3.length)
    close_nested(writer)


cdef void say_names(writer_t *writer, const side_t *side) noexcept nogil:
    if side.has_subject:
        say_bytes(writer, b"subject", side.subject.data, side.subject.length)
    if side.has_issuer:
        say_bytes(writer, b"issuerdn", side.issuer.data, side.issuer.length)


cdef void say_dates(writer_t *writer, const side_t *side) noexcept nogil:
    if side.not_before:
        say_date(writer, b"notbefore", side.not_before)
    if side.not_after:
        say_date(writer, b"notafter", side.not_after)


cdef uint32_t log(app_context_t *context, tx_t *tx, uint32_t kind, void *into) noexcept nogil:
    cdef writer_t *writer = <writer_t *> into
    cdef session_t *session = <session_t *> context.app.state
    cdef const side_t *client = &session.side[TO_SERVER]
    cdef const side_t *server = &session.side[TO_CLIENT]
    # one event a session, once both sides are so far; none for one of which nothing can be told
    if kind == LOG_TO_SERVER:
        return False
    if kind == LOG_TO_CLIENT and not (server.has_subject and server.has_issuer) \
            and not session.flags & (SESSION_RESUMED | NO_CERTIFICATE):
        return False
    put_key(writer, b"tls")
    open_map(writer)
    say_names(writer, server)
    if session.flags & SESSION_RESUMED and session.flags & SEEN_SERVER_HELLO and not session.flags & NO_CERTIFICATE \
            and not server.has_subject and not server.has_issuer:
        say_bool(writer, b"session_resumed", True)
    if server.has_serial:
        say_bytes(writer, b"serial", server.serial.data, server.serial.length)
    if server.has_fingerprint:
        say_bytes(writer, b"fingerprint", server.fingerprint, FINGERPRINT_LENGTH)
    if client.has_name:
        say_bytes(writer, b"sni", session.name, session.name_length)
    say_version(writer, server.version)
    say_dates(writer, server)
    say_ja3(writer, b"ja3", client)
    say_ja3(writer, b"ja3s", server)
    if session.has_ja4 and (kind == LOG_ALERT or context.config.tls.log_ja4):
        say_bytes(writer, b"ja4", session.ja4, 36)
    if client.has_subject or client.has_issuer:
        put_key(writer, b"client")
        open_map(writer)
        say_names(writer, client)
        if client.has_fingerprint:
            say_bytes(writer, b"fingerprint", client.fingerprint, FINGERPRINT_LENGTH)
        if client.has_serial:
            say_bytes(writer, b"serial", client.serial.data, client.serial.length)
        say_dates(writer, client)
        close_nested(writer)
    if kind != LOG_ALERT and context.app.original_proto != ALPROTO_UNKNOWN:
        say_text(writer, b"from_proto", protocol_names[context.app.original_proto])
    close_nested(writer)
    return True


cdef void describe_tls(room_t *room) noexcept nogil:
    room.name = b"tls"
    room.proto = ALPROTO_TLS
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = TLS_FINISHED
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = TLS_HANDSHAKE_DONE
    room.first_data = 1 << TO_SERVER
    room.recognise = recognise
    room.parse = parse
    room.buffer = buffer
    room.log = log
    room.free_tx = free_tx
    room.free_state = free_state
