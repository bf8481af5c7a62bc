# See quic.pxd. Frames: RFC 9000 section 19. What is made of them, and in which order, is Suricata's (7.0.10), so that events are.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset, strlen

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_u8
from fastpath.dataplane.applayer.gquic cimport read_stream_frame, read_tags
from fastpath.dataplane.applayer.ja3 cimport ja3_hash
from fastpath.dataplane.applayer.ja4 cimport ja4_finish, ja4_free, ja4_lists_t, ja4_work_t
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_bytes, put_key, say_bytes, say_text, say_uint, writer_t,
)
from fastpath.dataplane.applayer.quic_hello cimport (
    ALGORITHMS_EXTENSION, ALPN_EXTENSION, NAME_EXTENSION, QUIC_HELLO_READ, QUIC_HELLO_SHORT, VERSIONS_EXTENSION,
    extension_t, next_extension, next_text, quic_hello_t, read_quic_hello,
)
from fastpath.dataplane.applayer.quic_keys cimport (
    NOT_OPENED, free_quic_ciphers, make_quic_ciphers, make_quic_keys, open_initial, quic_ciphers_t,
)
from fastpath.dataplane.applayer.quic_state cimport (
    CRYPTO_MAX, SERVICE_MAX, add_crypto, empty_tx, free_crypto, keep_text, quic_state_t, quic_tx_t,
)
from fastpath.dataplane.applayer.quic_wire cimport (
    GQUIC_Q039, QUIC_INITIAL, QUIC_RETRY, QUIC_SHORT, QUIC_V2, is_gquic, quic_header_t, read_quic_header, read_varint,
)
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.libcrypto cimport md5_of, write_hex
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be24

cdef extern from * nogil:
    """
    /* Names of TLS extensions (IANA's registry), as Suricata 7 writes them; NULL for those that it does not name. */
    static inline const char *extension_name(unsigned kind)
    {
        static const char *const names[] = {
            "server_name", "max_fragment_length", "client_certificate_url", "trusted_ca_keys", "truncated_hmac", "status_request",
            "user_mapping", "client_authz", "server_authz", "cert_type", "supported_groups", "ec_point_formats", "srp",
            "signature_algorithms", "use_srtp", "heartbeat", "alpn", "status_request_v2", "signed_certificate_timestamp",
            "client_certificate_type", "server_certificate_type", "padding", "encrypt_then_mac", "extended_master_secret",
            "token_binding", "cached_info", "tls_lts", "compress_certificate", "record_size_limit", "pwd_protect", "pwd_clear",
            "password_salt", "ticket_pinning", "tls_cert_with_extern_psk", "delegated_credentials", "session_ticket", "tlmsp",
            "tlmsp_proxying", "tlmsp_delegate", "supported_ekt_ciphers", NULL, "pre_shared_key", "early_data",
            "supported_versions", "cookie", "psk_key_exchange_modes", NULL, "certificate_authorities", "oid_filters",
            "post_handshake_auth", "signature_algorithms_cert", "key_share", "transparency_info", "connection_id_deprecated",
            "connection_id", "external_id_hash", "external_session_id", "quic_transport_parameters", "ticket_request",
            "dnssec_chain" };
        if (kind < sizeof(names) / sizeof(names[0]))
            return names[kind];
        return kind == 13172 ? "next_protocol_negotiation" : kind == 65281 ? "renegotiation_info" : NULL;
    }
    """
    const char *extension_name(uint32_t kind)

cdef enum frame:
    FRAME_PADDING, FRAME_PING, FRAME_ACK, FRAME_ACK_ECN, FRAME_CRYPTO = 6, FRAME_GOOGLE_CRYPTO = 8, FRAME_GOOGLE_STREAM = 0x80

cdef enum:
    PLAIN_AT = 1 << 17          # in the working room, behind the packet and what JA4 is made in


# ---- recognition ----

cdef uint32_t recognise(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags, uint32_t hint) noexcept nogil:
    cdef quic_header_t header
    return RECOGNISED_YES if read_quic_header(data, length, &header) else RECOGNISED_NO


# ---- hellos ----

cdef void keep_service(quic_state_t *state, const quic_tx_t *tx) noexcept nogil:
    """The name that counts of the session, beside the packets that say it."""
    if tx.has_name and tx.from_client:
        state.name_length = <uint8_t> min(tx.name.length, <uint32_t> SERVICE_MAX)
        if state.name_length:
            memcpy(state.name, tx.name.data, state.name_length)


cdef uint32_t take_hello(app_context_t *context, quic_state_t *state, quic_tx_t *tx, uint32_t direction, const uint8_t *data,
                         uint32_t length) noexcept nogil:
    """A message from its header on: enum quic_hello_status."""
    cdef quic_hello_t hello
    cdef ja4_lists_t ja4
    cdef bint client = False
    cdef uint32_t status
    memset(&hello, 0, sizeof(hello))
    memset(&ja4, 0, sizeof(ja4))
    status = read_quic_hello(context.pool, data, length, &hello, &client, &tx.ja3, &ja4)
    if status == QUIC_HELLO_READ:
        state.hello[direction] = tx.has_hello = True
        tx.has_ja3_hash = ja3_hash(&tx.ja3, tx.ja3_hash)
        keep_text(context.pool, &tx.extensions, hello.extensions, hello.extensions_length)
        if hello.name != NULL:
            keep_text(context.pool, &tx.name, hello.name, hello.name_length)
            tx.has_name = True
        if client and direction == TO_SERVER and context.config.tls.ja4:
            tx.has_ja4 = ja4_finish(&ja4, <ja4_work_t *> context.work.room, tx.ja4)
            tx.ja4[0] = 113                     # q
    ja4_free(context.pool, &ja4)
    return status


cdef bint take_crypto(app_context_t *context, quic_state_t *state, quic_tx_t *tx, uint32_t direction,
                      cursor_t *cursor) noexcept nogil:
    """A CRYPTO frame. False for what cannot be: the data are no hello."""
    cdef uint64_t offset = read_varint(cursor), length = read_varint(cursor)
    cdef const uint8_t *data = NULL
    cdef uint32_t status
    if length <= cursor_left(cursor):
        data = read_bytes(cursor, <uint32_t> length)
    if data == NULL:
        return False
    if offset == 0:
        status = take_hello(context, state, tx, direction, data, <uint32_t> length)
        if status != QUIC_HELLO_SHORT:
            return status == QUIC_HELLO_READ
    if offset > CRYPTO_MAX or offset + length > CRYPTO_MAX:
        tx_event(&tx.head, QUIC_CRYPTO_FRAG_TOO_LONG)
    else:
        add_crypto(context.pool, &state.crypto[direction], <uint32_t> offset, data, <uint32_t> length)
    return True


# ---- frames ----

cdef void pass_ack(cursor_t *cursor, bint counts) noexcept nogil:
    cdef uint64_t ranges
    read_varint(cursor)
    read_varint(cursor)
    ranges = read_varint(cursor)
    read_varint(cursor)
    while ranges and not cursor.failed:
        read_varint(cursor)
        read_varint(cursor)
        ranges -= 1
    if counts:
        read_varint(cursor)
        read_varint(cursor)
        read_varint(cursor)


cdef void take_google_crypto(app_context_t *context, quic_tx_t *tx, cursor_t *cursor) noexcept nogil:
    cdef uint64_t length
    cdef const uint8_t *data
    read_varint(cursor)
    length = read_varint(cursor)
    data = read_bytes(cursor, <uint32_t> min(length, <uint64_t> 0xffffffff))
    if data != NULL:
        read_tags(context.pool, tx, data, <uint32_t> length)


cdef bint take_frames(app_context_t *context, quic_state_t *state, quic_tx_t *tx, uint32_t direction, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    """False where they break off, or are wrong. A frame that is none of a handshake's takes the rest with it."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint8_t kind
    while cursor_left(&cursor):
        kind = read_u8(&cursor)
        if kind & FRAME_GOOGLE_STREAM:
            read_stream_frame(context.pool, tx, &cursor, kind)
        elif kind == FRAME_ACK or kind == FRAME_ACK_ECN:
            pass_ack(&cursor, kind == FRAME_ACK_ECN)
        elif kind == FRAME_GOOGLE_CRYPTO:
            take_google_crypto(context, tx, &cursor)
        elif kind == FRAME_CRYPTO:
            if not take_crypto(context, state, tx, direction, &cursor):
                return False
        elif kind != FRAME_PADDING and kind != FRAME_PING:
            break
        if cursor.failed:
            return False
    return True


cdef void join_crypto(app_context_t *context, quic_state_t *state, quic_tx_t *tx, uint32_t direction,
                      uint32_t before) noexcept nogil:
    """The hello, once its pieces are together."""
    cdef uint32_t whole = state.crypto[direction].whole
    if not state.hello[direction] and whole > before and whole >= 4 and whole - 4 >= be24(state.crypto[direction].data.data + 1):
        take_hello(context, state, tx, direction, state.crypto[direction].data.data, whole)
    if state.hello[direction]:
        free_crypto(context.pool, &state.crypto[direction])


# ---- packets ----

cdef quic_tx_t *new_packet(app_context_t *context, uint32_t direction, const quic_header_t *header) noexcept nogil:
    cdef quic_tx_t *tx = <quic_tx_t *> new_tx(context, sizeof(quic_tx_t))
    if tx == NULL:
        return NULL
    # the other direction has no part in it
    tx.head.flags |= (TX_LOGGED_TO_CLIENT | TX_DETECTED_TO_CLIENT if direction == TO_SERVER
                      else TX_LOGGED_TO_SERVER | TX_DETECTED_TO_SERVER)
    tx.version = header.version
    tx.from_client = direction == TO_SERVER
    tx_progress(context, &tx.head, TO_SERVER, QUIC_COMPLETE)
    tx_progress(context, &tx.head, TO_CLIENT, QUIC_COMPLETE)
    return tx


cdef quic_ciphers_t *ciphers_of(app_context_t *context) noexcept nogil:
    """Those of the worker; NULL where there is no memory for them."""
    cdef void **kept = &context.work.of_room[<uint32_t> ALPROTO_QUIC]
    if kept[0] == NULL:
        kept[0] = make_quic_ciphers()
    return <quic_ciphers_t *> kept[0]


cdef void free_quic_work(void *kept) noexcept nogil:
    free_quic_ciphers(<quic_ciphers_t *> kept)


cdef bint take_initial(app_context_t *context, quic_state_t *state, quic_tx_t *tx, uint32_t direction, const uint8_t *data,
                       const quic_header_t *header) noexcept nogil:
    cdef uint8_t *packet = context.work.room
    cdef const uint8_t *plain = data + header.size
    cdef quic_ciphers_t *ciphers
    cdef uint32_t length = header.length, before = state.crypto[direction].whole
    if state.has_keys and length:
        ciphers = ciphers_of(context)
        memcpy(packet, data, header.size + length)
        length = (open_initial(ciphers, &state.keys[direction], packet, header.size, length, packet + PLAIN_AT) if ciphers != NULL
                  else NOT_OPENED)
        plain = packet + PLAIN_AT
    if length == NOT_OPENED:
        tx_event(&tx.head, QUIC_FAILED_DECRYPT)
        return False
    if not take_frames(context, state, tx, direction, plain, length):
        empty_tx(context.pool, tx)
        free_crypto(context.pool, &state.crypto[direction])
        state.hello[direction] = False
        tx_event(&tx.head, QUIC_ERROR_ON_DATA)
        return False
    join_crypto(context, state, tx, direction, before)
    keep_service(state, tx)
    return True


cdef void heed_header(app_context_t *context, quic_state_t *state, uint32_t direction,
                      const quic_header_t *header) noexcept nogil:
    """Keys come with the first Initial packet; the server's Retry makes the client begin anew (RFC 9000 section 17.2.5)."""
    if not state.has_keys and header.kind == QUIC_INITIAL:
        state.has_keys = make_quic_keys(header.version, header.id, header.id_length, state.keys)
    elif state.has_keys and header.kind == QUIC_RETRY and direction == TO_CLIENT and not state.has_retried:
        state.has_keys = state.hello[TO_SERVER] = False
        state.has_retried = True
        free_crypto(context.pool, &state.crypto[<uint32_t> TO_SERVER])


cdef parsed_t parse_quic(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                         uint32_t flags) noexcept nogil:
    cdef parsed_t parsed
    cdef quic_state_t *state = <quic_state_t *> context.app.state
    cdef quic_header_t header
    cdef quic_tx_t *tx
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_OK            # a datagram that cannot be read stops nothing
    if state == NULL:
        context.app.state = state = <quic_state_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(quic_state_t))
        if state == NULL:
            parsed.status = PARSE_ERROR
            return parsed
    while length and read_quic_header(data, length, &header):
        if state.hello[direction] or header.kind == QUIC_SHORT:
            break
        heed_header(context, state, direction, &header)
        tx = new_packet(context, direction, &header)
        if tx == NULL:
            parsed.status = PARSE_ERROR
            break
        if header.kind == QUIC_INITIAL and not take_initial(context, state, tx, direction, data, &header):
            break
        data += header.size + header.length
        length -= header.size + header.length
    return parsed


cdef void free_quic_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    empty_tx(context.pool, <quic_tx_t *> tx)


cdef void free_quic_state(app_context_t *context) noexcept nogil:
    cdef quic_state_t *state = <quic_state_t *> context.app.state
    cdef uint32_t direction
    if state == NULL:
        return
    for direction in range(2):
        free_crypto(context.pool, &state.crypto[direction])
    pool_give(context.pool, ACCOUNT_APPLAYER, state, sizeof(quic_state_t))


# ---- what rules look at ----

cdef bint next_fingerprint(const quic_tx_t *tx, uint32_t *at, const uint8_t **text, uint32_t *length) noexcept nogil:
    if at[0] >= tx.fingerprints.length:
        return False
    text[0] = tx.fingerprints.data + at[0]
    length[0] = <uint32_t> strlen(<const char *> text[0])
    at[0] += length[0] + 1
    return True


cdef bint hash_text(const uint8_t *text, uint32_t length, uint8_t *hash) noexcept nogil:
    """MD5, 32 digits."""
    cdef uint8_t digest[16]
    if not md5_of(text, length, digest):
        return False
    write_hex(hash, digest, 16)
    return True


cdef uint32_t show(view_t *view, const uint8_t *data, uint32_t length, bint there) noexcept nogil:
    if not there:
        return VIEW_NONE
    view.data = data
    view.length = length
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY


cdef uint32_t show_fingerprint(app_context_t *context, const quic_tx_t *tx, uint32_t buffer, uint32_t index,
                               view_t *view) noexcept nogil:
    cdef uint32_t at = 0, length = 0, i
    cdef const uint8_t *text = NULL
    for i in range(index + 1):  # no-cython-lint
        if not next_fingerprint(tx, &at, &text, &length):
            return VIEW_NONE
    if buffer == BUFFER_QUIC_CYU_STRING:
        return show(view, text, length, True)
    return show(view, context.work.room, 32, hash_text(text, length, context.work.room))


cdef uint32_t show_version(app_context_t *context, uint32_t version, view_t *view) noexcept nogil:
    """As it stands in the packet."""
    cdef uint32_t i
    for i in range(4):
        context.work.room[i] = <uint8_t> (version >> (24 - 8 * i))
    return show(view, context.work.room, 4, True)


cdef uint32_t quic_buffer(app_context_t *context, tx_t *any, uint32_t direction, uint32_t buffer, uint32_t index,
                          view_t *view) noexcept nogil:
    """Without a transaction: the name that the session asked for."""
    cdef const quic_tx_t *tx = <const quic_tx_t *> any
    cdef const quic_state_t *state = <const quic_state_t *> context.app.state
    if tx == NULL:
        return show(view, state.name, state.name_length, buffer == BUFFER_QUIC_SNI and state.name_length != 0)
    if buffer == BUFFER_QUIC_VERSION:
        return show_version(context, tx.version, view)
    if buffer == BUFFER_QUIC_SNI:
        return show(view, tx.name.data, tx.name.length, tx.has_name)
    if buffer == BUFFER_QUIC_UA:
        return show(view, tx.agent.data, tx.agent.length, tx.has_agent)
    if buffer == BUFFER_QUIC_CYU_HASH or buffer == BUFFER_QUIC_CYU_STRING:
        return show_fingerprint(context, tx, buffer, index, view)
    if (buffer == BUFFER_JA3_HASH or buffer == BUFFER_JA3S_HASH) and tx.from_client == (buffer == BUFFER_JA3_HASH):
        return show(view, tx.ja3_hash, 32, tx.has_ja3_hash)
    if (buffer == BUFFER_JA3_STRING or buffer == BUFFER_JA3S_STRING) and tx.from_client == (buffer == BUFFER_JA3_STRING):
        return show(view, tx.ja3.data, tx.ja3.length, tx.has_hello)
    return show(view, tx.ja4, 36, buffer == BUFFER_JA4_HASH and tx.has_ja4)


# ---- what is written of a transaction ----

cdef void say_version(writer_t *writer, uint32_t version) noexcept nogil:
    cdef uint8_t text[12]
    cdef uint32_t i
    if is_gquic(version) or version == GQUIC_Q039:
        for i in range(4):
            text[i] = <uint8_t> (version >> (24 - 8 * i))
        text[4] = 0
    elif version == QUIC_V2:
        memcpy(text, b"v2", 3)
    else:
        snprintf(<char *> text, sizeof(text), b"%x", version)
    say_text(writer, b"version", <const char *> text)


cdef void say_fingerprints(writer_t *writer, const quic_tx_t *tx) noexcept nogil:
    cdef uint32_t at = 0, length = 0
    cdef const uint8_t *text = NULL
    cdef uint8_t hash[32]
    if tx.fingerprints.length == 0:
        return
    put_key(writer, b"cyu")
    open_array(writer)
    while next_fingerprint(tx, &at, &text, &length):
        open_map(writer)
        if hash_text(text, length, hash):
            say_bytes(writer, b"hash", hash, 32)
        say_bytes(writer, b"string", text, length)
        close_nested(writer)
    close_nested(writer)


cdef void put_version(writer_t *writer, uint16_t version) noexcept nogil:
    """Of TLS, by the names that Suricata has for them."""
    cdef char text[40]
    if 0x0301 <= version <= 0x0304:
        snprintf(text, sizeof(text), b"Tls1%u", <uint32_t> (version - 0x0301))
    elif version == 0x0300:
        snprintf(text, sizeof(text), b"Ssl30")
    elif 0x7f12 <= version <= 0x7f17:
        snprintf(text, sizeof(text), b"Tls13Draft%u", <uint32_t> (version & 0xff))
    else:
        snprintf(text, sizeof(text), b"TlsVersion(%u / 0x%x)", <uint32_t> version, <uint32_t> version)
    put_bytes(writer, <const uint8_t *> text, <uint32_t> strlen(text))


cdef void put_number(writer_t *writer, uint16_t number) noexcept nogil:
    cdef char text[8]
    snprintf(text, sizeof(text), b"%u", <uint32_t> number)
    put_bytes(writer, <const uint8_t *> text, <uint32_t> strlen(text))


cdef void say_values(writer_t *writer, extension_t *extension) noexcept nogil:
    """What stands in an extension, of those that are told; nothing for none."""
    cdef const uint8_t *text = NULL
    cdef uint32_t length = 0
    cdef bint numbers = extension.kind == VERSIONS_EXTENSION or extension.kind == ALGORITHMS_EXTENSION
    cdef extension_t ahead = extension[0]
    if not numbers and extension.kind != NAME_EXTENSION and extension.kind != ALPN_EXTENSION:
        return
    if cursor_left(&extension.list) < 2 if numbers else not next_text(&ahead, &text, &length):
        return
    put_key(writer, b"values")
    open_array(writer)
    while numbers and cursor_left(&extension.list) >= 2:
        if extension.kind == VERSIONS_EXTENSION:
            put_version(writer, read_be16(&extension.list))
        else:
            put_number(writer, read_be16(&extension.list))
    while not numbers and next_text(extension, &text, &length):
        put_bytes(writer, text, length)
    close_nested(writer)


cdef void say_extensions(writer_t *writer, const quic_tx_t *tx) noexcept nogil:
    cdef cursor_t cursor = cursor_over(tx.extensions.data, tx.extensions.length)
    cdef cursor_t ahead = cursor
    cdef extension_t extension
    cdef const char *name
    if not next_extension(&ahead, &extension):
        return
    put_key(writer, b"extensions")
    open_array(writer)
    while next_extension(&cursor, &extension):
        open_map(writer)
        name = extension_name(extension.kind)
        if name != NULL:
            say_text(writer, b"name", name)
        say_uint(writer, b"type", extension.kind)
        say_values(writer, &extension)
        close_nested(writer)
    close_nested(writer)


cdef uint32_t log_quic(app_context_t *context, tx_t *any, uint32_t kind, void *to) noexcept nogil:
    cdef const quic_tx_t *tx = <const quic_tx_t *> any
    cdef writer_t *writer = <writer_t *> to
    if kind == (LOG_TO_CLIENT if tx.from_client else LOG_TO_SERVER):
        return False
    put_key(writer, b"quic")
    open_map(writer)
    say_version(writer, tx.version)
    if tx.has_name:
        say_bytes(writer, b"sni", tx.name.data, tx.name.length)
    if tx.has_agent:
        say_bytes(writer, b"ua", tx.agent.data, tx.agent.length)
    say_fingerprints(writer, tx)
    if tx.has_hello:
        put_key(writer, <const char *> b"ja3" if tx.from_client else <const char *> b"ja3s")
        open_map(writer)
        if tx.has_ja3_hash:
            say_bytes(writer, b"hash", tx.ja3_hash, 32)
        say_bytes(writer, b"string", tx.ja3.data, tx.ja3.length)
        close_nested(writer)
    say_extensions(writer, tx)
    close_nested(writer)
    return True


cdef void describe_quic(room_t *room) noexcept nogil:
    room.name = b"quic"
    room.proto = ALPROTO_QUIC
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = QUIC_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = QUIC_COMPLETE
    room.datagrams = 1
    room.recognise = recognise
    room.parse = parse_quic
    room.inert = True
    room.buffer = quic_buffer
    room.log = log_quic
    room.free_tx = free_quic_tx
    room.free_state = free_quic_state
