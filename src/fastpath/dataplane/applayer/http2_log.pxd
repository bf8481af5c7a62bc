# The `http` object of EVE for a transaction of HTTP/2 (guide: output/eve/eve-json-format), as Suricata 7.0.10 writes it.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport app_context_t
from fastpath.dataplane.applayer.grpc cimport grpc_record
from fastpath.dataplane.applayer.hpack cimport FIELD_OK, FIELD_OVERFLOW, FIELD_SIZE, FIELD_UNKNOWN, FIELD_ZERO
from fastpath.dataplane.applayer.http1_headers cimport header_at
from fastpath.dataplane.applayer.http1_state cimport bytes_of, header_t, message_t, same
from fastpath.dataplane.applayer.http2_state cimport (
    FACT_PRIORITY, FACT_RESET, FACT_SETTING, FACT_SIZE, FRAME_SETTINGS, fact_at, fact_t, facts_of, http2_tx_t,
)
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_key, say_bytes, say_text, say_uint, writer_t,
)
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER

cdef extern from *:
    """
    /* RFC 9113, sections 7 and 6.5.2 */
    static const char *const http2_errors[] = {"NOERROR", "PROTOCOLERROR", "INTERNALERROR", "FLOWCONTROLERROR", "SETTINGSTIMEOUT",
        "STREAMCLOSED", "FRAMESIZEERROR", "REFUSEDSTREAM", "CANCEL", "COMPRESSIONERROR", "CONNECTERROR", "ENHANCEYOURCALM",
        "INADEQUATESECURITY", "HTTP11REQUIRED"};
    static const char *const http2_resets[] = {"NoError", "ProtocolError", "InternalError", "FlowControlError", "SettingsTimeout",
        "StreamClosed", "FrameSizeError", "RefusedStream", "Cancel", "CompressionError", "ConnectError", "EnhanceYourCalm",
        "InadequateSecurity", "Http11Required"};
    static const char *const http2_settings[] = {"", "SETTINGSHEADERTABLESIZE", "SETTINGSENABLEPUSH",
        "SETTINGSMAXCONCURRENTSTREAMS", "SETTINGSINITIALWINDOWSIZE", "SETTINGSMAXFRAMESIZE", "SETTINGSMAXHEADERLISTSIZE"};
    #define HTTP2_ERRORS (sizeof(http2_errors) / sizeof(http2_errors[0]))
    """
    const char *const http2_errors[]
    const char *const http2_resets[]
    const char *const http2_settings[]
    uint32_t HTTP2_ERRORS

cdef struct common_t:           # the latest header of each of the names that stand on their own
    const header_t *header[6]
    const message_t *message[6]


cdef inline void mark_common(common_t *common, const message_t *message, const header_t *header) noexcept nogil:
    cdef const char **names = [b":method", b":path", b"host", b"user-agent", b":status", b"content-length"]
    cdef uint32_t *lengths = [7, 5, 4, 10, 7, 14]
    cdef uint32_t i
    for i in range(6):
        if same(bytes_of(&message.text, header.name), header.name.length, names[i], lengths[i]):
            common.header[i] = header
            common.message[i] = message


cdef inline bint is_credential(const message_t *message, const header_t *header) noexcept nogil:
    """Whose value lets in whoever has it."""
    cdef const char **names = [b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key", b"api-key",
                               b"x-goog-api-key"]
    cdef uint32_t *lengths = [13, 19, 6, 10, 9, 7, 14]
    cdef uint32_t i
    for i in range(7):
        if same(bytes_of(&message.text, header.name), header.name.length, names[i], lengths[i]):
            return True
    return False


cdef inline void say_fields(writer_t *writer, const char *key, const http2_tx_t *tx, uint32_t direction, bint hide,
                            common_t *common) noexcept nogil:
    """All headers, credentials starred out with `hide`."""
    cdef const message_t *message = &tx.http.side[direction]
    cdef uint32_t i, fact = 0
    cdef const header_t *header
    put_key(writer, key)
    open_array(writer)
    for i in range(message.header_count):
        header = header_at(message, i)
        open_map(writer)
        if header.repeated == FIELD_OK:
            say_bytes(writer, b"name", bytes_of(&message.text, header.name), header.name.length)
            if hide and is_credential(message, header):
                say_text(writer, b"value", b"***")
            else:
                say_bytes(writer, b"value", bytes_of(&message.text, header.value), header.value.length)
            mark_common(common, message, header)
        elif header.repeated == FIELD_SIZE:
            # the sizes are among the facts, in the same order
            while fact < facts_of(tx, direction) and fact_at(tx, direction, fact).kind != FACT_SIZE:
                fact += 1
            if fact < facts_of(tx, direction):
                say_uint(writer, b"table_size_update", fact_at(tx, direction, fact).value)
                fact += 1
        else:
            say_text(writer, b"error", b"HTTP2HeaderDecodeIndex0" if header.repeated == FIELD_ZERO
                     else b"HTTP2HeaderDecodeIntegerOverflow" if header.repeated == FIELD_OVERFLOW
                     else b"HTTP2HeaderDecodeNotIndexed")
        close_nested(writer)
    close_nested(writer)


cdef inline void say_number(writer_t *writer, const char *key, const common_t *common, uint32_t which) noexcept nogil:
    """A header that is a number and nothing else."""
    cdef const uint8_t *data = bytes_of(&common.message[which].text, common.header[which].value)
    cdef uint32_t length = common.header[which].value.length, i
    cdef uint64_t value = 0
    if not 0 < length < 19:
        return
    for i in range(length):
        if not 48 <= data[i] <= 57:
            return
        value = value * 10 + data[i] - 48
    say_uint(writer, key, value)


cdef inline void say_common(writer_t *writer, const common_t *common, bint hostname) noexcept nogil:
    cdef const char **keys = [b"http_method", b"url", b"hostname", b"http_user_agent"]
    cdef uint32_t i
    for i in range(4):
        if common.header[i] != NULL and (i != 2 or not hostname):
            say_bytes(writer, keys[i], bytes_of(&common.message[i].text, common.header[i].value), common.header[i].value.length)
    if common.header[4] != NULL:
        say_number(writer, b"status", common, 4)
    if common.header[5] != NULL:
        say_number(writer, b"length", common, 5)


cdef inline bint say_authority(writer_t *writer, const message_t *request) noexcept nogil:
    """fastpath's own: Suricata's hostname is of Host alone, which HTTP/2 has no need of."""
    cdef const header_t *header
    cdef uint32_t i
    for i in range(request.header_count):
        header = header_at(request, i)
        if same(bytes_of(&request.text, header.name), header.name.length, b":authority", 10):
            say_bytes(writer, b"hostname", bytes_of(&request.text, header.value), header.value.length)
            return True
    return False


cdef inline void say_settings(writer_t *writer, const http2_tx_t *tx, uint32_t direction) noexcept nogil:
    cdef uint32_t i
    cdef const fact_t *fact
    if not tx.frames[direction] >> FRAME_SETTINGS & 1:
        return
    put_key(writer, b"settings")
    open_array(writer)
    for i in range(facts_of(tx, direction)):
        fact = fact_at(tx, direction, i)
        if fact.kind != FACT_SETTING:
            continue
        open_map(writer)
        say_text(writer, b"settings_id", http2_settings[fact.value >> 32])
        say_uint(writer, b"settings_value", fact.value & 0xffffffffU)
        close_nested(writer)
    close_nested(writer)


cdef inline void say_error(writer_t *writer, uint64_t error, bint reset) noexcept nogil:
    """Its name, or its number as text."""
    cdef uint8_t digits[20]
    cdef uint32_t at = 20
    if error < HTTP2_ERRORS:
        say_text(writer, b"error_code", http2_resets[error] if reset else http2_errors[error])
        return
    while error:
        at -= 1
        digits[at] = <uint8_t> (48 + error % 10)
        error //= 10
    say_bytes(writer, b"error_code", digits + at, 20 - at)


cdef inline void say_frames(writer_t *writer, const char *key, const http2_tx_t *tx, uint32_t direction) noexcept nogil:
    """What frames with numbers say: the first error and the first priority."""
    cdef bint error = False, priority = False, multiple = False
    cdef const fact_t *fact
    cdef uint32_t i
    put_key(writer, key)
    open_map(writer)
    say_settings(writer, tx, direction)
    for i in range(facts_of(tx, direction)):
        fact = fact_at(tx, direction, i)
        if fact.kind <= FACT_RESET and not error:
            say_error(writer, fact.value, fact.kind == FACT_RESET)
            error = True
        elif fact.kind == FACT_PRIORITY and not priority:
            say_uint(writer, b"priority", fact.value)
            priority = True
        elif fact.kind <= FACT_PRIORITY and not multiple:
            say_text(writer, b"has_multiple", b"priority" if fact.kind == FACT_PRIORITY else b"error_code")
            multiple = True
    close_nested(writer)


cdef inline bint has_news(const http2_tx_t *tx, uint32_t direction) noexcept nogil:
    """Headers, or frames that are told of."""
    cdef uint32_t i
    for i in range(facts_of(tx, direction)):
        if fact_at(tx, direction, i).kind <= FACT_PRIORITY:
            return True
    return tx.frames[direction] >> FRAME_SETTINGS & 1 or tx.http.side[direction].header_count > 0


cdef inline bint http2_record(app_context_t *context, writer_t *writer, const http2_tx_t *tx) noexcept nogil:
    """False, and nothing, where there is nothing to say."""
    cdef common_t common
    cdef bint named = False
    cdef uint32_t i
    if not has_news(tx, TO_SERVER) and not has_news(tx, TO_CLIENT):
        return False
    for i in range(6):
        common.header[i] = NULL
        common.message[i] = NULL
    put_key(writer, b"http")
    open_map(writer)
    say_text(writer, b"version", b"2")
    if tx.http.side[TO_SERVER].header_count:
        say_fields(writer, b"request_headers", tx, TO_SERVER, context.config.beyond, &common)
    if tx.http.side[TO_CLIENT].header_count:
        say_fields(writer, b"response_headers", tx, TO_CLIENT, context.config.beyond, &common)
    if context.config.beyond:
        named = say_authority(writer, &tx.http.side[TO_SERVER])
    say_common(writer, &common, named)
    put_key(writer, b"http2")
    open_map(writer)
    say_uint(writer, b"stream_id", tx.stream)
    say_frames(writer, b"request", tx, TO_SERVER)
    say_frames(writer, b"response", tx, TO_CLIENT)
    close_nested(writer)
    if context.config.beyond:
        grpc_record(writer, tx)
    close_nested(writer)
    return True
