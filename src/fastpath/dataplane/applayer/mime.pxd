# MIME (RFC 2045, 2046, 2183, 2231) as mail carries it: a message comes line by line; entities, attachments and links come out.
# What counts as a header, a boundary or a body, and which oddities are noted, is as in Suricata 7.
#
# Decoded bodies go through a chunk of 3,072 bytes. An attachment becomes a file of the transaction, named by its headers; the
# lines of a text or of the message itself are searched for links.
#
# Errors: none raised. A message that makes no sense ends in MIME_PARSE_ERROR and takes no more lines. All memory is of
# ACCOUNT_APPLAYER; a message has at most ENTITIES_MAX entities, an entity URLS_MAX links.
from libc.stdint cimport int8_t, int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport ALPROTO_SMTP, FILE_CLOSED, FILE_OPEN, app_context_t, file_t, tx_t
from fastpath.dataplane.applayer.files cimport file_append, file_close, file_forget, file_open
from fastpath.dataplane.pool cimport bytes_append, bytes_drop, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_SERVER, bytes_t

cdef extern from "applayer/lines.h" nogil:
    uint32_t line_length(const uint8_t *data, uint32_t length) noexcept
    uint32_t plain_lines(const uint8_t *data, uint32_t length, uint32_t most) noexcept

cdef enum:
    MIME_CHUNK = 3072
    MIME_TOKEN_MAX = 255            # of a file name
    MIME_BOUNDARY_MAX = 254
    MIME_LINE_MAX = 998
    MIME_ENCODED_LINE_MAX = 76
    MIME_HEADER_NAME_MAX = 75
    MIME_URL_LINE_MAX = 4096        # a longer line is searched in pieces
    ENTITIES_MAX = 1024
    URLS_MAX = 256

cdef enum mime_state:
    MIME_HEADER_READY, MIME_HEADER_STARTED, MIME_HEADER_DONE, MIME_BODY_STARTED, MIME_BODY_END_BOUND, MIME_PARSE_DONE
    MIME_PARSE_ERROR

cdef enum:      # mime_t.odd
    MIME_INVALID_QP = 1 << 0
    MIME_LONG_LINE = 1 << 1
    MIME_LONG_ENC_LINE = 1 << 2
    MIME_LONG_HEADER_NAME = 1 << 3
    MIME_LONG_HEADER_VALUE = 1 << 4
    MIME_MALFORMED_MSG = 1 << 5
    MIME_LONG_BOUNDARY = 1 << 6
    MIME_LONG_FILENAME = 1 << 7

cdef enum:      # entity_t.flags
    ENTITY_ATTACHMENT = 1 << 0
    ENTITY_TEXT = 1 << 1            # lines of it are searched for links
    ENTITY_BASE64 = 1 << 2
    ENTITY_QP = 1 << 3
    ENTITY_BOUNDARY = 1 << 4        # defines a boundary
    ENTITY_ENCAPSULATED = 1 << 5    # a message in a message

cdef enum:      # url flags
    URL_EXE = 1 << 0
    URL_ADDRESS = 1 << 1            # the host is an address

cdef enum mime_field:               # headers whose values are kept: those of the message, then those of the entity at work
    FIELD_NONE, FIELD_FROM, FIELD_TO, FIELD_CC, FIELD_ENCODING, FIELD_DISPOSITION, FIELD_TYPE, FIELDS

cdef struct entity_t:
    entity_t *parent
    entity_t *child                 # the first one
    entity_t *last_child
    entity_t *sibling
    entity_t *made_before           # all of them, latest first
    uint32_t flags
    uint32_t urls
    bytes_t filename, boundary
    bytes_t url_list                # of each: length (2 bytes, the machine's order), flags (1 byte), text

cdef struct mime_t:
    entity_t *message
    entity_t *top                   # the entity at work; NULL when more were ended than begun
    entity_t *latest
    file_t *file                    # of the attachment at work
    uint32_t entities
    uint32_t header_limit           # bytes of a header value
    uint16_t odd                    # MIME_*
    uint8_t state                   # enum mime_state
    uint8_t field                   # enum mime_field of the header at work
    uint8_t in_header               # there is one
    uint8_t found_child             # a boundary was defined and not met yet
    uint8_t body_begin              # nothing of this body has gone out yet
    uint8_t body_line               # this body has had a line
    uint8_t ending_length           # of that line
    uint8_t ending[2]
    uint8_t quantum_length          # base64 characters that wait for more
    uint8_t quantum[4]
    uint32_t chunk_length
    bytes_t value                   # of the header at work
    bytes_t kept[7]                 # by enum mime_field
    bytes_t url_line
    uint8_t chunk[3072]


# ---- text ----

cdef inline uint8_t lower(uint8_t c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef inline bint same_text(const uint8_t *data, const char *text, uint32_t length) noexcept nogil:
    """Without regard to case; the text in lower case."""
    cdef uint32_t i
    for i in range(length):
        if lower(data[i]) != <uint8_t> text[i]:
            return False
    return True


cdef inline int32_t find_text(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    """Where the text, in lower case, stands; -1 for nowhere."""
    cdef uint32_t i
    if size > length:
        return -1
    for i in range(length - size + 1):
        if same_text(data + i, text, size):
            return <int32_t> i
    return -1


cdef inline bint is_space(uint8_t c) noexcept nogil:
    return c == 32 or c == 9 or c == 10 or c == 13


cdef inline int32_t find_byte(const uint8_t *data, uint32_t length, uint8_t byte) noexcept nogil:
    cdef const uint8_t *found = <const uint8_t *> memchr(data, byte, length) if length else NULL
    return -1 if found == NULL else <int32_t> (found - data)


# ---- parameters of a header ----

cdef inline bint next_token(const uint8_t *data, uint32_t length, uint32_t *at, uint32_t *name, uint32_t *name_length,
                            uint32_t *value, uint32_t *value_length) noexcept nogil:
    """The next `name=value` of a header, moving on behind it; False at the end."""
    cdef uint32_t i = at[0]
    cdef int32_t found
    while i < length and is_space(data[i]):
        i += 1
    found = find_byte(data + i, length - i, 61)
    if i >= length or found < 0:
        return False
    name[0] = i
    name_length[0] = <uint32_t> found
    i += <uint32_t> found + 1
    found = -1
    if i < length and data[i] == 34:
        found = find_byte(data + i + 1, length - i - 1, 34)
        if found < 0:
            return False
        value[0] = i + 1
        value_length[0] = <uint32_t> found
        i += <uint32_t> found + 2
    else:
        found = find_byte(data + i, length - i, 59)
        value[0] = i
        value_length[0] = <uint32_t> found if found >= 0 else length - i
        i += value_length[0]
    while i < length and is_space(data[i]):
        i += 1
    if i < length and data[i] == 59:
        i += 1
    at[0] = i
    return True


cdef inline bint find_section(const bytes_t *header, const char *wanted, uint32_t size, int32_t section, uint32_t *value,
                              uint32_t *value_length) noexcept nogil:
    """The value of a parameter, the last one of its name; of its n-th section (name*n, RFC 2231) where `section` is not -1."""
    cdef uint32_t at, name, name_length, start, length, digits, number, i
    cdef bint found = False
    cdef int32_t first = find_byte(header.data, header.length, 59)
    if first < 0:
        return False
    at = <uint32_t> first + 1
    while next_token(header.data, header.length, &at, &name, &name_length, &start, &length):
        if name_length < size or memcmp(header.data + name, wanted, size) != 0:
            continue
        if section >= 0:
            digits = name_length - size - 1 if name_length > size else 0
            if digits == 0 or digits > 4 or header.data[name + size] != 42 or digits > 1 and header.data[name + size + 1] == 48:
                continue
            number = 0
            for i in range(digits):
                if not 48 <= header.data[name + size + 1 + i] <= 57:
                    number = 0xffff
                    break
                number = 10 * number + header.data[name + size + 1 + i] - 48
            if number != <uint32_t> section:
                continue
        elif name_length != size:
            continue
        found = True
        value[0] = start
        value_length[0] = length
    return found


cdef inline bint read_token(const bytes_t *header, const char *wanted, uint32_t size, uint8_t *text,
                            uint32_t *length) noexcept nogil:
    """Copies a parameter's value, at most MIME_TOKEN_MAX bytes of it; `length` is of the whole."""
    cdef uint32_t at, part, copied
    cdef int32_t section = 0
    length[0] = 0
    if find_section(header, wanted, size, -1, &at, &part):
        length[0] = part
        memcpy(text, header.data + at, min(part, <uint32_t> MIME_TOKEN_MAX))
        return True
    while find_section(header, wanted, size, section, &at, &part):
        copied = min(length[0], <uint32_t> MIME_TOKEN_MAX)
        memcpy(text + copied, header.data + at, min(part, MIME_TOKEN_MAX - copied))
        length[0] += part
        section += 1
    return section > 0


# ---- entities ----

cdef inline entity_t *add_entity(app_context_t *context, mime_t *mime, entity_t *parent) noexcept nogil:
    """A new entity, at work from now on; NULL where there are too many, or memory is refused."""
    cdef entity_t *entity
    if mime.entities >= ENTITIES_MAX:
        return NULL
    entity = <entity_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(entity_t))
    if entity == NULL:
        return NULL
    mime.entities += 1
    entity.made_before = mime.latest
    mime.latest = entity
    entity.parent = parent
    if parent != NULL:
        if parent.last_child == NULL:
            parent.child = entity
        else:
            parent.last_child.sibling = entity
        parent.last_child = entity
    mime.top = entity
    return entity


cdef inline void free_mime(app_context_t *context, mime_t *mime) noexcept nogil:
    cdef entity_t *entity
    cdef uint32_t i
    if mime == NULL:
        return
    while mime.latest != NULL:
        entity = mime.latest
        mime.latest = entity.made_before
        bytes_free(context.pool, ACCOUNT_APPLAYER, &entity.filename)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &entity.boundary)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &entity.url_list)
        pool_give(context.pool, ACCOUNT_APPLAYER, entity, sizeof(entity_t))
    for i in range(FIELDS):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &mime.kept[i])
    bytes_free(context.pool, ACCOUNT_APPLAYER, &mime.value)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &mime.url_line)
    pool_give(context.pool, ACCOUNT_APPLAYER, mime, sizeof(mime_t))


cdef inline mime_t *new_mime(app_context_t *context) noexcept nogil:
    """A message of which nothing was seen; NULL where memory is refused."""
    cdef mime_t *mime = <mime_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(mime_t))
    if mime == NULL:
        return NULL
    mime.message = add_entity(context, mime, NULL)
    if mime.message == NULL:
        free_mime(context, mime)
        return NULL
    mime.message.flags = ENTITY_TEXT
    mime.header_limit = 2000
    mime.state = MIME_HEADER_READY
    return mime


# ---- links ----

cdef inline bint is_address(const uint8_t *host, uint32_t length) noexcept nogil:
    """Is what stands before the first slash an IPv4 or IPv6 address in writing?"""
    cdef uint32_t i, dots = 0, colons = 0, value = 0, digits = 0, groups = 0, gaps = 0
    cdef int32_t slash = find_byte(host, length, 47)
    cdef uint8_t c
    if slash >= 0:
        length = <uint32_t> slash
    if length == 0 or length > 45:
        return False
    for i in range(length):
        c = lower(host[i])
        if 48 <= c <= 57:
            value = 10 * value + c - 48
            digits += 1
        elif 97 <= c <= 102:
            value = 1000
            digits += 1
        elif c == 46:
            if digits == 0 or digits > 3 or value > 255:
                return False
            dots += 1
            digits = value = 0
        elif c == 58:
            if dots or digits > 4 or digits == 0 and i and host[i - 1] != 58:
                return False
            if i and host[i - 1] == 58:
                gaps += 1
            if digits:
                groups += 1
            colons += 1
            digits = value = 0
        else:
            return False
    if dots and (dots != 3 or digits == 0 or digits > 3 or value > 255):
        return False
    if colons == 0:
        return dots == 3
    if dots:
        groups += 2
    elif digits:
        groups += 1
    if digits > 4 or gaps > 1 or colons == 1 or digits == 0 and host[length - 2] != 58 or host[0] == 58 and host[1] != 58:
        return False
    return groups == 8 and gaps == 0 or groups < 8 and gaps == 1


cdef inline bint ends_or_asks(const uint8_t *url, uint32_t length, const char *extension, uint32_t size) noexcept nogil:
    cdef int32_t at = find_text(url, length, extension, size)
    return at >= 0 and (<uint32_t> at + size == length or url[<uint32_t> at + size] == 63)


cdef inline bint is_program(const uint8_t *url, uint32_t length) noexcept nogil:
    """Does a link name something that runs, by its extension?"""
    return (ends_or_asks(url, length, b".exe", 4) or ends_or_asks(url, length, b".vbs", 4)
            or ends_or_asks(url, length, b".bin", 4) or ends_or_asks(url, length, b".cmd", 4)
            or ends_or_asks(url, length, b".bat", 4) or ends_or_asks(url, length, b".jar", 4)
            or ends_or_asks(url, length, b".js", 3))


cdef inline void add_url(app_context_t *context, entity_t *entity, uint8_t *url, uint32_t length) noexcept nogil:
    """Keeps a link, in lower case, once."""
    cdef uint32_t i, at = 0
    cdef uint16_t size
    cdef uint8_t head[3]
    for i in range(length):
        url[i] = lower(url[i])
    while at < entity.url_list.length:
        memcpy(&size, entity.url_list.data + at, 2)
        if size == length and memcmp(entity.url_list.data + at + 3, url, length) == 0:
            return
        at += 3 + size
    if entity.urls >= URLS_MAX:
        return
    size = <uint16_t> length
    memcpy(head, &size, 2)
    head[2] = (URL_EXE if is_program(url, length) else 0) | (URL_ADDRESS if is_address(url, length) else 0)
    if bytes_append(context.pool, ACCOUNT_APPLAYER, &entity.url_list, head, 3):
        if bytes_append(context.pool, ACCOUNT_APPLAYER, &entity.url_list, url, length):
            entity.urls += 1
        else:
            entity.url_list.length -= 3


cdef inline bint ends_url(uint8_t c) noexcept nogil:
    return c == 32 or c == 34 or c == 39 or c == 60 or c == 62 or c == 93 or c == 9


cdef inline void search_line(app_context_t *context, mime_t *mime) noexcept nogil:
    """Looks for http:// in the line at work, which is empty thereafter."""
    cdef uint8_t *line = mime.url_line.data
    cdef uint32_t at = 0, colon, start, end, length = mime.url_line.length
    cdef int32_t found = find_byte(line, length, 0)
    mime.url_line.length = 0
    if found >= 0:
        length = <uint32_t> found
    while at < length:
        found = find_byte(line + at, length - at, 58)
        if found < 0:
            return
        colon = at + <uint32_t> found               # the rarest byte of it
        if found < 4 or length - colon < 3 or not same_text(line + colon - 4, b"http://", 7):
            at = colon + 1
            continue
        start = at = colon + 3
        while start < length and ends_url(line[start]):
            start += 1
        end = start
        while end < length and not ends_url(line[end]):
            end += 1
        if start == at and end > start:
            add_url(context, mime.top, line + start, end - start)
        at = min(end + 1, length) if end > start else at


cdef inline void feed_urls(app_context_t *context, mime_t *mime, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t part, whole
    if mime.top.flags & (ENTITY_TEXT | ENTITY_ATTACHMENT) != ENTITY_TEXT:
        return
    while True:
        whole = line_length(data, length)
        part = min(whole, MIME_URL_LINE_MAX - min(mime.url_line.length, <uint32_t> MIME_URL_LINE_MAX))
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &mime.url_line, data, part):
            mime.url_line.length = 0
        if part == length:
            return
        search_line(context, mime)
        if part == whole:                   # else the line is searched in pieces
            part += 1
        data += part
        length -= part


# ---- bodies ----

cdef inline void send_chunk(app_context_t *context, tx_t *tx, mime_t *mime, bint end) noexcept nogil:
    """The decoded bytes gathered go into the file of an attachment. `end`: of this body."""
    cdef file_t *file
    if mime.top.flags & ENTITY_ATTACHMENT:
        if mime.body_begin:
            mime.file = file_open(context, tx, TO_SERVER, mime.top.filename.data, mime.top.filename.length)
        file = mime.file
        if file != NULL and file.state == FILE_OPEN:
            file_append(context, tx, file, mime.chunk, mime.chunk_length)
            if file.data.length > context.config.smtp.content_limit:
                file_forget(file, file.size - context.config.smtp.content_limit)
            if end:
                file_close(context, tx, file, FILE_CLOSED)
    mime.chunk_length = 0
    mime.body_begin = False


cdef inline void put_body(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *data, uint32_t length) noexcept nogil:
    """Decoded bytes."""
    cdef uint32_t part
    feed_urls(context, mime, data, length)
    while length:
        part = min(length, MIME_CHUNK - mime.chunk_length)
        memcpy(mime.chunk + mime.chunk_length, data, part)
        mime.chunk_length += part
        data += part
        length -= part
        if mime.chunk_length == MIME_CHUNK:
            send_chunk(context, tx, mime, False)


# Of each byte its six bits, 64 for padding, 255 for what is skipped (RFC 2045 section 6.8); below, four
# characters at once, and blocks of 32 as long as they hold nothing else.
cdef extern from "applayer/base64.h" nogil:
    const uint8_t *BASE64 "fastpath_base64"
    uint32_t NO_QUANTUM "FASTPATH_BASE64_BAD"
    uint32_t base64_quantum "fastpath_base64_quantum"(const uint8_t *text)
    uint32_t base64_wide "fastpath_base64_wide"(const uint8_t *text, uint32_t length, uint8_t *out)


cdef inline uint32_t decode_quantum(const uint8_t *quantum, uint8_t *out) noexcept nogil:
    """Four characters; padding counts wherever it stands."""
    cdef uint32_t i, bits = 0, padding = 0
    for i in range(4):
        padding += quantum[i] == 64
        bits = bits << 6 | quantum[i] & 63
    out[0] = <uint8_t> (bits >> 16)
    out[1] = <uint8_t> (bits >> 8)
    out[2] = <uint8_t> bits
    return 3 - padding if padding < 3 else 0


cdef inline void put_base64(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length) noexcept nogil:
    cdef uint8_t out[224]
    cdef uint32_t i = 0, used = 0, bits, wide
    cdef uint8_t value
    if length > MIME_ENCODED_LINE_MAX:
        mime.odd |= MIME_LONG_ENC_LINE
    while i < length:
        if mime.quantum_length == 0 and used == 0:
            wide = base64_wide(line + i, min(length - i, <uint32_t> 224), out)
            if wide:
                i += wide
                used = wide // 4 * 3
                continue
        bits = base64_quantum(line + i) if mime.quantum_length == 0 and length - i >= 4 else NO_QUANTUM
        if bits < NO_QUANTUM:
            out[used] = <uint8_t> (bits >> 16)
            out[used + 1] = <uint8_t> (bits >> 8)
            out[used + 2] = <uint8_t> bits
            used += 3
            i += 4
        else:
            value = BASE64[line[i]]
            i += 1
            if value == 255:
                continue
            mime.quantum[mime.quantum_length] = value
            mime.quantum_length += 1
            if mime.quantum_length < 4:
                continue
            mime.quantum_length = 0
            used += decode_quantum(mime.quantum, out + used)
        if used > 189:
            put_body(context, tx, mime, out, used)
            used = 0
    put_body(context, tx, mime, out, used)


cdef inline int8_t hex_value(uint8_t c) noexcept nogil:
    """Of a digit or capital letter, -1 for any other."""
    return c - 48 if 48 <= c <= 57 else c - 55 if 65 <= c <= 70 else -1


cdef inline void put_quoted(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length,
                            uint32_t ending) noexcept nogil:
    cdef uint32_t i = 0, start = 0
    cdef uint8_t byte
    cdef bint soft = False
    if length > MIME_ENCODED_LINE_MAX:
        mime.odd |= MIME_LONG_ENC_LINE
    while i < length:
        if line[i] != 61:
            i += 1
            continue
        put_body(context, tx, mime, line + start, i - start)
        if i + 1 == length:
            soft = True
        elif length - i < 3 or hex_value(line[i + 1]) < 0 or hex_value(line[i + 2]) < 0:
            mime.odd |= MIME_INVALID_QP
        else:
            byte = <uint8_t> (hex_value(line[i + 1]) << 4 | hex_value(line[i + 2]))
            put_body(context, tx, mime, &byte, 1)
            i += 2
        i += 1
        start = i
    put_body(context, tx, mime, line + start, length - start)
    if ending and not soft:
        put_body(context, tx, mime, b"\r\n", 2)


cdef inline void put_line(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length,
                          uint32_t ending) noexcept nogil:
    """A line of a body. The end of a plain line belongs to the body once another line follows."""
    if not context.work.asked.contents >> ALPROTO_SMTP & 1:
        return
    if mime.top.flags & ENTITY_BASE64:
        put_base64(context, tx, mime, line, length)
    elif mime.top.flags & ENTITY_QP:
        put_quoted(context, tx, mime, line, length, ending)
    else:
        if mime.body_line:
            put_body(context, tx, mime, mime.ending, mime.ending_length)
        put_body(context, tx, mime, line, length)
        mime.body_line = True
        mime.ending_length = <uint8_t> ending
        memcpy(mime.ending, line + length, ending)


cdef inline bint end_body(app_context_t *context, tx_t *tx, mime_t *mime) noexcept nogil:
    """False where there is no entity to end."""
    cdef uint8_t out[3]
    if mime.top == NULL:
        return False
    if mime.quantum_length:
        while mime.quantum_length < 4:
            mime.quantum[mime.quantum_length] = 64
            mime.quantum_length += 1
        put_body(context, tx, mime, out, decode_quantum(mime.quantum, out))
        mime.quantum_length = 0
    search_line(context, mime)
    send_chunk(context, tx, mime, True)
    mime.body_line = False
    return True


# ---- headers ----

cdef inline uint8_t field_of(const uint8_t *name, uint32_t length) noexcept nogil:
    if length == 4 and same_text(name, b"from", 4):
        return FIELD_FROM
    if length == 2 and same_text(name, b"to", 2):
        return FIELD_TO
    if length == 2 and same_text(name, b"cc", 2):
        return FIELD_CC
    if length == 25 and same_text(name, b"content-transfer-encoding", 25):
        return FIELD_ENCODING
    if length == 19 and same_text(name, b"content-disposition", 19):
        return FIELD_DISPOSITION
    if length == 12 and same_text(name, b"content-type", 12):
        return FIELD_TYPE
    return FIELD_NONE


cdef inline void store_header(app_context_t *context, mime_t *mime) noexcept nogil:
    """The header at work is whole: a later one takes the place of an earlier one. One without a value is none."""
    cdef bytes_t *kept
    if mime.in_header and mime.value.length and mime.field != FIELD_NONE and (
            mime.field >= FIELD_ENCODING or mime.top == mime.message):
        kept = &mime.kept[mime.field]
        bytes_free(context.pool, ACCOUNT_APPLAYER, kept)
        kept[0] = mime.value
        mime.value.data = NULL
        mime.value.room = 0
    mime.value.length = 0
    mime.in_header = False


cdef inline void add_value(app_context_t *context, mime_t *mime, const uint8_t *data, uint32_t length) noexcept nogil:
    if mime.value.length + length > mime.header_limit:
        length = mime.header_limit - mime.value.length
        mime.odd |= MIME_LONG_HEADER_VALUE
    bytes_append(context.pool, ACCOUNT_APPLAYER, &mime.value, data, length)


cdef inline void name_file(app_context_t *context, mime_t *mime, const uint8_t *text, uint32_t length) noexcept nogil:
    mime.top.flags |= ENTITY_ATTACHMENT
    if length > MIME_TOKEN_MAX:
        mime.odd |= MIME_LONG_FILENAME
        length = MIME_TOKEN_MAX
    bytes_append(context.pool, ACCOUNT_APPLAYER, &mime.top.filename, text, length)


cdef inline bint headers_done(app_context_t *context, mime_t *mime) noexcept nogil:
    """What the headers of an entity say of it. False where it makes no sense."""
    cdef entity_t *entity = mime.top
    cdef entity_t *inner
    cdef uint8_t text[255]
    cdef uint32_t length, i, start = 0
    cdef bytes_t *value = &mime.kept[<uint32_t> FIELD_ENCODING]
    if find_text(value.data, value.length, b"base64", 6) >= 0:
        entity.flags |= ENTITY_BASE64
    elif find_text(value.data, value.length, b"quoted-printable", 16) >= 0:
        entity.flags |= ENTITY_QP
    if read_token(&mime.kept[<uint32_t> FIELD_DISPOSITION], b"filename", 8, text, &length):
        name_file(context, mime, text, length)
    value = &mime.kept[<uint32_t> FIELD_TYPE]
    if read_token(value, b"boundary", 8, text, &length):
        mime.found_child = True
        if length > MIME_BOUNDARY_MAX:
            if entity == mime.message:
                mime.odd |= MIME_LONG_BOUNDARY
            return False
        entity.flags |= ENTITY_BOUNDARY
        for i in range(length):
            text[i] = lower(text[i])
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &entity.boundary, text, length):
            return False
    if not entity.flags & ENTITY_ATTACHMENT and read_token(value, b"name", 4, text, &length):
        name_file(context, mime, text, length)
    while start < value.length and (is_space(value.data[start]) and value.data[start] != 9 or value.data[start] == 59):
        start += 1
    length = start
    while length < value.length and not (is_space(value.data[length]) and value.data[length] != 9 or value.data[length] == 59):
        length += 1
    mime.body_begin = True
    if find_text(value.data + start, length - start, b"message/", 8) >= 0:
        inner = add_entity(context, mime, entity)
        if inner == NULL:
            return False
        inner.flags = ENTITY_TEXT | ENTITY_ENCAPSULATED
        mime.state = MIME_HEADER_READY
    elif (find_text(value.data + start, length - start, b"text/plain", 10) >= 0
          or find_text(value.data + start, length - start, b"text/html", 9) >= 0):
        entity.flags |= ENTITY_TEXT
    for i in range(FIELD_ENCODING, FIELDS):
        mime.kept[i].length = 0
    return True


cdef inline bint header_line(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length,
                             uint32_t ending) noexcept nogil:
    cdef uint32_t name = 0, value
    while name < length and line[name] != 58 and 33 <= line[name] <= 126:
        name += 1
    if name and name < length and line[name] == 58:
        if name > MIME_HEADER_NAME_MAX:
            mime.odd |= MIME_LONG_HEADER_NAME
        store_header(context, mime)
        mime.state = MIME_HEADER_STARTED
        mime.in_header = True
        mime.field = field_of(line, name)
        value = name + 1
        while value < length and line[value] == 32:
            value += 1
        add_value(context, mime, line + value, length - value)
        return True
    if length == 0:
        store_header(context, mime)
        mime.state = MIME_HEADER_DONE
        return headers_done(context, mime)
    if mime.state == MIME_HEADER_STARTED:
        add_value(context, mime, line, length)
        return True
    mime.state = MIME_BODY_STARTED              # a body without headers
    mime.body_begin = True
    put_line(context, tx, mime, line, length, ending)
    return True


# ---- boundaries ----

cdef inline bint pop_entity(mime_t *mime) noexcept nogil:
    mime.top = mime.top.parent
    return mime.top != NULL


cdef inline bint boundary_line(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length,
                               uint32_t boundary) noexcept nogil:
    """`boundary`: its length. False where entities are ended that were never begun."""
    cdef entity_t *entity
    if mime.state != MIME_BODY_END_BOUND:
        if not end_body(context, tx, mime):
            return False
    else:
        mime.state = MIME_HEADER_READY
    entity = mime.top
    if entity.flags & ENTITY_ENCAPSULATED and entity.boundary.length == 0:
        if entity.parent == NULL or entity.parent.boundary.length == 0 and not pop_entity(mime):
            return False
    if length - boundary - 2 > 1 and line[boundary + 2] == 45 and line[boundary + 3] == 45:
        if not pop_entity(mime):
            return False
        if mime.top.flags & ENTITY_ENCAPSULATED and mime.top.boundary.length and not pop_entity(mime):
            return False
        mime.state = MIME_BODY_END_BOUND
        return True
    if mime.found_child:
        mime.found_child = False
    elif mime.top.parent == NULL or not pop_entity(mime):
        return False
    mime.state = MIME_HEADER_READY
    return add_entity(context, mime, mime.top) != NULL


cdef inline bint body_line(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length,
                           uint32_t ending) noexcept nogil:
    cdef entity_t *entity = mime.top
    cdef uint32_t i, size
    if entity == NULL:
        return False
    if length == 0 and mime.state == MIME_BODY_END_BOUND:
        return True
    if mime.state == MIME_BODY_END_BOUND or not entity.flags & ENTITY_BOUNDARY:
        entity = entity.parent
        while entity != NULL and not entity.flags & ENTITY_BOUNDARY:
            entity = entity.parent
    if entity != NULL and length > 1 and line[0] == 45 and line[1] == 45:
        size = entity.boundary.length
        for i in range(length - 1):
            if length - i < size + 2:
                break
            if line[i] == 45 and line[i + 1] == 45 and same_text(line + i + 2, <const char *> entity.boundary.data, size):
                return boundary_line(context, tx, mime, line, length, size)
    mime.state = MIME_BODY_STARTED
    put_line(context, tx, mime, line, length, ending)
    return True


# ---- the message ----

cdef inline bint mime_line(app_context_t *context, tx_t *tx, mime_t *mime, const uint8_t *line, uint32_t length,
                           uint32_t ending) noexcept nogil:
    """A line of the message; its end, of so many bytes, stands behind it, 0 for a piece of a line. False for the one with
    which it stopped making sense."""
    cdef bint good
    if mime.state == MIME_PARSE_ERROR:
        return True
    if length > MIME_LINE_MAX:
        mime.odd |= MIME_LONG_LINE
    if mime.state <= MIME_HEADER_STARTED:
        good = mime.top != NULL and header_line(context, tx, mime, line, length, ending)
    else:
        good = body_line(context, tx, mime, line, length, ending)
    if not good:
        mime.state = MIME_PARSE_ERROR
    return good


cdef inline uint32_t pass_lines(app_context_t *context, mime_t *mime, const uint8_t *data, uint32_t length,
                                uint32_t most) noexcept nogil:
    """The bytes of whole lines of a body that nobody asks for, up to one that may mean more (a boundary, the end of the message)
    or has `most` bytes: what mime_line would make of them, in one go."""
    cdef uint32_t at = 0, size, left
    if context.work.asked.contents >> ALPROTO_SMTP & 1 or mime.state != MIME_BODY_STARTED or mime.top == NULL:
        return 0
    while True:
        at += plain_lines(data + at, length - at, MIME_LINE_MAX)
        left = length - at
        size = line_length(data + at, min(left, most))
        if size <= MIME_LINE_MAX or size == left or size == most or data[at] == 45 or data[at] == 46 \
                or data[at + size] == 13 and size + 1 == left:
            return at
        mime.odd |= MIME_LONG_LINE
        at += size + (2 if data[at + size] == 13 and data[at + size + 1] == 10 else 1)


cdef inline bint mime_end(app_context_t *context, tx_t *tx, mime_t *mime) noexcept nogil:
    """The message is over. False where it did not make sense."""
    if mime.state == MIME_PARSE_ERROR:
        return False
    store_header(context, mime)
    if not end_body(context, tx, mime):
        mime.odd |= MIME_MALFORMED_MSG
        return False
    if mime.top.flags & ENTITY_ENCAPSULATED and not pop_entity(mime):
        mime.odd |= MIME_MALFORMED_MSG
        return False
    if mime.top.parent != NULL:
        mime.odd |= MIME_MALFORMED_MSG
    mime.state = MIME_PARSE_DONE
    return True


cdef inline void mime_cut(app_context_t *context, tx_t *tx, mime_t *mime) noexcept nogil:
    """No more of the message will come."""
    if mime.top != NULL and mime.state < MIME_PARSE_DONE:
        send_chunk(context, tx, mime, False)
