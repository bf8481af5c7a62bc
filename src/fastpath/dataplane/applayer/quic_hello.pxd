# The hello in the CRYPTO frames of QUIC (RFC 9001 section 4): what QUIC events and fingerprints say of it. It is read as the
# engine does whose events are compared with, which differs from what it does with TLS (tls_hello.pxd): GREASE is part of JA3,
# the name is of any kind and length, an extension that does not fit ends the list.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.applayer.cursor cimport (
    cursor_left, cursor_over, cursor_t, read_be16, read_be24, read_bytes, read_u8, read_within,
)
from fastpath.dataplane.applayer.ja3 cimport is_grease, ja3_field, ja3_number
from fastpath.dataplane.applayer.ja4 cimport ja4_alpn, ja4_extension, ja4_lists_t, ja4_value, ja4_version
from fastpath.dataplane.types cimport bytes_t, pool_t

cdef enum:
    HELLO_CLIENT = 1, HELLO_SERVER = 2
    NAME_EXTENSION = 0, GROUPS_EXTENSION = 10, FORMATS_EXTENSION = 11, ALGORITHMS_EXTENSION = 13, ALPN_EXTENSION = 16
    VERSIONS_EXTENSION = 43
    GREASE_EXTENSION = 0xfafa       # as which every one of them counts

cdef enum quic_hello_status:
    QUIC_HELLO_READ
    QUIC_HELLO_SHORT                # there is more to come, or what it says breaks off
    QUIC_HELLO_NONE                 # another message, or lengths that cannot be

cdef struct quic_hello_t:
    const uint8_t *name             # of the server, NULL for none
    uint32_t name_length
    const uint8_t *extensions       # all of them, NULL for none
    uint32_t extensions_length

cdef struct extension_t:
    uint16_t kind
    cursor_t list                   # of those that have one which is told: what stands in it
    bint listed
    uint32_t width                  # bytes of an element; 0 for those with a length before them


cdef inline bint list_extension(extension_t *extension, cursor_t *body) noexcept nogil:
    """Finds the list of an extension; False where it does not fit."""
    cdef uint32_t length = cursor_left(body)
    extension.listed = True
    extension.width = 2
    if extension.kind == VERSIONS_EXTENSION:
        if length != 2:             # a client's has a length before it
            read_u8(body)
            length -= 1
        extension.list = read_within(body, length)
        return not body.failed and length & 1 == 0
    if extension.kind == FORMATS_EXTENSION:
        extension.width = 1
        extension.list = read_within(body, read_u8(body))
    elif extension.kind == NAME_EXTENSION and length == 0:
        extension.list = body[0]
    elif (extension.kind == NAME_EXTENSION or extension.kind == ALPN_EXTENSION or extension.kind == ALGORITHMS_EXTENSION
          or extension.kind == GROUPS_EXTENSION):
        if extension.kind == NAME_EXTENSION or extension.kind == ALPN_EXTENSION:
            extension.width = 0
        extension.list = read_within(body, read_be16(body))
    else:
        extension.listed = False
    return not body.failed


cdef inline bint next_extension(cursor_t *cursor, extension_t *extension) noexcept nogil:
    """False behind the last one, and at one that does not fit."""
    cdef cursor_t body
    cdef uint16_t kind
    if cursor_left(cursor) < 4:
        return False
    kind = read_be16(cursor)
    body = read_within(cursor, read_be16(cursor))
    extension.kind = GREASE_EXTENSION if is_grease(kind) else kind
    return not body.failed and list_extension(extension, &body)


cdef inline bint next_text(extension_t *extension, const uint8_t **text, uint32_t *length) noexcept nogil:
    """The next name of a server, or protocol."""
    cdef cursor_t rest = extension.list
    if extension.kind == NAME_EXTENSION:
        read_u8(&rest)
        length[0] = read_be16(&rest)
    else:
        length[0] = read_u8(&rest)
    text[0] = read_bytes(&rest, length[0])
    if rest.failed or text[0] == NULL:
        return False
    extension.list = rest
    return True


cdef inline void number_list(pool_t *pool, bytes_t *ja3, const quic_hello_t *hello, uint16_t kind) noexcept nogil:
    """A field of JA3: the numbers of each extension of a kind."""
    cdef cursor_t cursor = cursor_over(hello.extensions, hello.extensions_length)
    cdef extension_t extension
    ja3_field(pool, ja3)
    while next_extension(&cursor, &extension):
        while extension.kind == kind and cursor_left(&extension.list) >= extension.width:
            ja3_number(pool, ja3, read_be16(&extension.list) if extension.width == 2 else read_u8(&extension.list))


cdef inline void note_extension(pool_t *pool, quic_hello_t *hello, extension_t *extension, bint client,
                                ja4_lists_t *ja4) noexcept nogil:
    cdef const uint8_t *text = NULL
    cdef uint32_t length = 0
    cdef uint16_t value
    if client:
        ja4_extension(pool, ja4, extension.kind)
    if extension.kind == NAME_EXTENSION and next_text(extension, &text, &length):
        hello.name = text
        hello.name_length = length
    elif client and extension.kind == ALPN_EXTENSION and not ja4.has_alpn and next_text(extension, &text, &length):
        ja4_alpn(ja4, text, length)
    if not client or extension.kind != VERSIONS_EXTENSION and extension.kind != ALGORITHMS_EXTENSION:
        return
    while cursor_left(&extension.list) >= 2:
        value = read_be16(&extension.list)
        if extension.kind == VERSIONS_EXTENSION:
            ja4_version(ja4, value)
        else:
            ja4_value(pool, &ja4.algorithms, value)


cdef inline void read_quic_extensions(pool_t *pool, quic_hello_t *hello, bint client, bytes_t *ja3,
                                      ja4_lists_t *ja4) noexcept nogil:
    cdef cursor_t cursor = cursor_over(hello.extensions, hello.extensions_length)
    cdef extension_t extension
    while next_extension(&cursor, &extension):
        ja3_number(pool, ja3, extension.kind)
        if extension.listed or client:
            note_extension(pool, hello, &extension, client, ja4)
    if client:
        number_list(pool, ja3, hello, GROUPS_EXTENSION)
        number_list(pool, ja3, hello, FORMATS_EXTENSION)


cdef inline uint32_t read_quic_hello(pool_t *pool, const uint8_t *data, uint32_t length, quic_hello_t *hello, bint *client,
                                     bytes_t *ja3, ja4_lists_t *ja4) noexcept nogil:
    """Of a message with its header: enum quic_hello_status. `ja4` is of a client's."""
    cdef cursor_t message = cursor_over(data, length)
    cdef cursor_t list
    cdef uint8_t kind = read_u8(&message)
    cdef cursor_t cursor = read_within(&message, read_be24(&message))
    cdef uint16_t version
    cdef uint32_t size
    if message.failed:
        return QUIC_HELLO_SHORT
    if kind != HELLO_CLIENT and kind != HELLO_SERVER:
        return QUIC_HELLO_NONE
    client[0] = kind == HELLO_CLIENT
    version = read_be16(&cursor)
    read_bytes(&cursor, 32)
    size = read_u8(&cursor)
    if size > 32:
        return QUIC_HELLO_NONE
    read_bytes(&cursor, size)
    if client[0]:
        size = read_be16(&cursor)
        if size & 1:
            return QUIC_HELLO_NONE
        list = read_within(&cursor, size)
        read_bytes(&cursor, read_u8(&cursor))
    else:
        list = read_within(&cursor, 2)
        read_u8(&cursor)
    if cursor.failed:
        return QUIC_HELLO_SHORT
    ja3.length = 0
    ja3_number(pool, ja3, version)
    ja3_field(pool, ja3)
    if client[0]:
        ja4_version(ja4, version)
    while cursor_left(&list):
        version = read_be16(&list)
        ja3_number(pool, ja3, version)
        if client[0]:
            ja4_value(pool, &ja4.ciphers, version)
    ja3_field(pool, ja3)
    size = read_be16(&cursor)
    hello.name = NULL
    hello.extensions = read_bytes(&cursor, size)
    if hello.extensions != NULL:
        hello.extensions_length = size
        read_quic_extensions(pool, hello, client[0], ja3, ja4)
    return QUIC_HELLO_READ
