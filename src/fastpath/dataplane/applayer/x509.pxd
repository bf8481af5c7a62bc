# X.509 certificates (RFC 5280): the fields that rules and logs ask for, as text. Names are written as RFC 2253 does, though in
# the order of the certificate: "C=US, O=Example, CN=example.org".
#
# Errors: the number of the step that failed. What memory refuses counts as a name that cannot be read.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, strlen

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_bytes
from fastpath.dataplane.applayer.der cimport (
    DER_BAD, DER_BIT_STRING, DER_BMP, DER_BOOLEAN, DER_CONSTRUCTED, DER_DESCRIPTOR, DER_GENERAL, DER_GOOD, DER_GRAPHIC, DER_IA5,
    DER_INTEGER, DER_LONG, DER_NUMERIC, DER_OCTETS, DER_PRINTABLE, DER_SEQUENCE, DER_SET, DER_SHORT, DER_T61, DER_UTF8,
    DER_VIDEOTEX, DER_VISIBLE, element_t, read_of, read_time, take_element,
)
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t, pool_t

cdef enum:
    X509_GOOD, X509_BAD, X509_BAD_LENGTH, X509_BAD_VERSION, X509_BAD_SERIAL, X509_BAD_ALGORITHM, X509_BAD_DATE
    X509_BAD_EXTENSIONS, X509_BAD_DER, X509_NO_SUBJECT, X509_NO_ISSUER

cdef enum:
    NAME_GOOD, NAME_BAD, NAME_REFUSED           # of a name as text: memory may be refused

cdef struct certificate_t:
    cursor_t serial, issuer, subject            # bodies of their elements
    int64_t not_before, not_after               # seconds since 1970


# Readers by which the errors are told apart. What is too long is X509_BAD in a structure of the certificate, but
# X509_BAD_LENGTH in what may hold anything.

cdef inline uint32_t take_sequence(cursor_t *cursor, cursor_t *body) noexcept nogil:
    cdef element_t element
    cdef uint32_t end = take_element(cursor, &element)
    body[0] = element.body
    if end == DER_SHORT:
        return X509_BAD_LENGTH
    if end == DER_LONG:
        return X509_BAD
    return X509_GOOD if end == DER_GOOD and element.tag == DER_SEQUENCE else X509_BAD_DER


cdef inline uint32_t take_anything(cursor_t *cursor, element_t *element) noexcept nogil:
    cdef uint32_t end = take_element(cursor, element)
    return X509_GOOD if end == DER_GOOD else X509_BAD_DER if end == DER_BAD else X509_BAD_LENGTH


cdef inline uint32_t take_version(cursor_t *cursor) noexcept nogil:
    """[0] INTEGER, which need not be there."""
    cdef element_t element
    cdef cursor_t number
    cdef uint32_t end
    if cursor_left(cursor) == 0 or cursor.at[0] & 0xdf != 0x80:
        return X509_GOOD
    end = take_anything(cursor, &element)
    if end != X509_GOOD:
        return end
    number = read_of(&element.body, DER_INTEGER)
    if number.failed or not 1 <= cursor_left(&number) <= 4 or number.at[0] & 0x80 \
            or cursor_left(&number) > 1 and number.at[0] == 0 and number.at[1] & 0x80 == 0:
        return X509_BAD_VERSION
    return X509_GOOD


cdef inline uint32_t take_algorithm(cursor_t *cursor) noexcept nogil:
    """An object identifier, whatever its tag, and parameters, which need not be there."""
    cdef element_t element, part
    cdef uint32_t end = take_anything(cursor, &element)
    if end != X509_GOOD:
        return end
    if element.tag != DER_SEQUENCE:
        return X509_BAD_DER
    end = take_anything(&element.body, &part)
    if end == X509_BAD_DER or end == X509_GOOD and part.tag & DER_CONSTRUCTED:
        return X509_BAD_ALGORITHM
    if end != X509_GOOD:
        return end
    return take_anything(&element.body, &part) if cursor_left(&element.body) else X509_GOOD


cdef inline uint32_t take_bits(cursor_t *cursor) noexcept nogil:
    """A BIT STRING: its first byte counts the bits that its last one has not."""
    cdef cursor_t bits = read_of(cursor, DER_BIT_STRING)
    if bits.failed or cursor_left(&bits) == 0 or bits.at[0] > 7 or cursor_left(&bits) == 1 and bits.at[0]:
        return X509_BAD
    return X509_GOOD


cdef inline uint32_t take_validity(cursor_t *cursor, certificate_t *certificate) noexcept nogil:
    cdef cursor_t body
    cdef uint32_t end = take_sequence(cursor, &body)
    if end == X509_GOOD and not (read_time(&body, &certificate.not_before) and read_time(&body, &certificate.not_after)):
        end = X509_BAD_DATE
    return end


cdef inline uint32_t take_public_key(cursor_t *cursor) noexcept nogil:
    cdef cursor_t body
    cdef uint32_t end = take_sequence(cursor, &body)
    if end == X509_GOOD:
        end = take_algorithm(&body)
    return take_bits(&body) if end == X509_GOOD else end


cdef inline uint32_t take_extensions(cursor_t *cursor) noexcept nogil:
    """[3] of a sequence of them, which need not be there; nothing may follow."""
    cdef element_t element, part
    cdef cursor_t list, extension
    cdef uint32_t end
    if cursor_left(cursor) == 0:
        return X509_GOOD
    if cursor.at[0] & 0x1f != 3:
        return X509_BAD_EXTENSIONS if cursor.at[0] & 0x1f > 3 else X509_BAD
    if take_element(cursor, &element) != DER_GOOD:
        return X509_BAD
    end = take_sequence(&element.body, &list)
    if end != X509_GOOD:
        return end
    while cursor_left(&list):
        if take_sequence(&list, &extension) != X509_GOOD or take_element(&extension, &part) != DER_GOOD:
            return X509_BAD
        if take_element(&extension, &part) != DER_GOOD:
            return X509_BAD
        if part.tag == DER_BOOLEAN and (cursor_left(&part.body) != 1 or take_element(&extension, &part) != DER_GOOD):
            return X509_BAD
        if part.tag != DER_OCTETS:
            return X509_BAD
    return X509_BAD if cursor_left(&element.body) or cursor_left(cursor) else X509_GOOD


cdef inline uint32_t read_certificate(const uint8_t *data, uint32_t length, certificate_t *certificate) noexcept nogil:
    """Finds the fields of a DER certificate; they lie in its bytes. X509_GOOD or what was wrong."""
    cdef cursor_t whole = cursor_over(data, length)
    cdef cursor_t outer, fields
    cdef uint32_t end = take_sequence(&whole, &outer)
    if end == X509_GOOD:
        end = take_sequence(&outer, &fields)
    if end == X509_GOOD:
        end = take_version(&fields)
    if end == X509_GOOD:
        certificate.serial = read_of(&fields, DER_INTEGER)
        end = X509_BAD_SERIAL if certificate.serial.failed else take_algorithm(&fields)
    if end == X509_GOOD:
        end = take_sequence(&fields, &certificate.issuer)
    if end == X509_GOOD:
        end = take_validity(&fields, certificate)
    if end == X509_GOOD:
        end = take_sequence(&fields, &certificate.subject)
    if end == X509_GOOD:
        end = take_public_key(&fields)
    if end == X509_GOOD:
        end = take_extensions(&fields)
    if end == X509_GOOD:
        end = take_algorithm(&outer)
    return take_bits(&outer) if end == X509_GOOD else end


# ---- names ----

cdef extern from * nogil:
    """
    #define X520_NAMES 18
    static const char *const x520_names[] = {                   /* 2.5.4.0 and following */
        "objectClass", "aliasedEntryName", "knowledgeInformation", "CN", "surname", "serialNumber", "C", "L", "ST",
        "streetAddress", "O", "OU", "title", "description", "searchGuide", "businessCategory", "postalAddress", "postalCode"};
    #define X520_LATER_FIRST 41
    #define X520_LATER_END 47
    static const char *const x520_later_names[] = {             /* 2.5.4.41 and following */
        "name", "givenName", "initials", "generationQualifier", "uniqueIdentifier", "dnQualifier"};
    static const struct { const char *oid; uint32_t length; const char *name; } attribute_names[] = {
        {"\\x2a\\x86\\x48\\x86\\xf7\\x0d\\x01\\x09\\x01", 9, "Email"},
        {"\\x2a\\x86\\x48\\x86\\xf7\\x0d\\x01\\x09\\x02", 9, "unstructuredName"},
        {"\\x2a\\x86\\x48\\x86\\xf7\\x0d\\x01\\x09\\x07", 9, "challengePassword"},
        {"\\x09\\x92\\x26\\x89\\x93\\xf2\\x2c\\x64\\x01\\x01", 10, "uid"},
        {"\\x09\\x92\\x26\\x89\\x93\\xf2\\x2c\\x64\\x01\\x19", 10, "DC"},
        {"\\x2b\\x06\\x01\\x04\\x01\\x82\\x37\\x3c\\x02\\x01\\x01", 11, "msJurisdictionLocality"},
        {"\\x2b\\x06\\x01\\x04\\x01\\x82\\x37\\x3c\\x02\\x01\\x02", 11, "msJurisdictionStateOrProvince"},
        {"\\x2b\\x06\\x01\\x04\\x01\\x82\\x37\\x3c\\x02\\x01\\x03", 11, "msJurisdictionCountry"}};
    #define ATTRIBUTE_NAMES (sizeof(attribute_names) / sizeof(attribute_names[0]))
    """
    ctypedef struct attribute_name_t:
        const char *oid
        uint32_t length
        const char *name
    const char *x520_names[]
    const char *x520_later_names[]
    const attribute_name_t attribute_names[]
    const uint32_t X520_NAMES, X520_LATER_FIRST, X520_LATER_END, ATTRIBUTE_NAMES


cdef inline const char *name_of_attribute(const uint8_t *oid, uint32_t length) noexcept nogil:
    """What an attribute type is called (X.520, RFC 4519, RFC 2985); NULL for one that is written as its object identifier."""
    cdef uint32_t i
    if length == 3 and oid[0] == 0x55 and oid[1] == 0x04:
        if oid[2] < X520_NAMES:
            return x520_names[oid[2]]
        return x520_later_names[oid[2] - X520_LATER_FIRST] if X520_LATER_FIRST <= oid[2] < X520_LATER_END else NULL
    for i in range(ATTRIBUTE_NAMES):
        if attribute_names[i].length == length and memcmp(attribute_names[i].oid, oid, length) == 0:
            return attribute_names[i].name
    return NULL


cdef inline bint append(pool_t *pool, bytes_t *text, const char *more) noexcept nogil:
    return bytes_append(pool, ACCOUNT_APPLAYER, text, <const uint8_t *> more, <uint32_t> strlen(more))


cdef inline bint append_oid(pool_t *pool, bytes_t *text, const uint8_t *oid, uint32_t length) noexcept nogil:
    """OID(1.2.840): the first byte holds the first two arcs."""
    cdef uint32_t i, value = 0
    if not append(pool, text, b"OID("):
        return False
    for i in range(length):
        if i == 0:
            if not append_decimal(pool, text, oid[0] // 40) or not append(pool, text, b".") \
                    or not append_decimal(pool, text, oid[0] % 40):
                return False
            continue
        value = value << 7 | (oid[i] & 0x7f)
        if oid[i] & 0x80 and i + 1 < length:
            continue
        if not append(pool, text, b".") or not append_decimal(pool, text, value):
            return False
        value = 0
    return append(pool, text, b")")


cdef inline bint append_decimal(pool_t *pool, bytes_t *text, uint32_t value) noexcept nogil:
    cdef uint8_t digits[10]
    cdef uint32_t at = 10
    while True:
        at -= 1
        digits[at] = <uint8_t> (48 + value % 10)
        value //= 10
        if value == 0:
            break
    return bytes_append(pool, ACCOUNT_APPLAYER, text, digits + at, 10 - at)


cdef inline bint append_hex(pool_t *pool, bytes_t *text, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef const char *digits = b"0123456789ABCDEF"
    cdef uint8_t pair[2]
    cdef uint32_t i
    for i in range(length):
        pair[0] = digits[data[i] >> 4]
        pair[1] = digits[data[i] & 15]
        if not bytes_append(pool, ACCOUNT_APPLAYER, text, pair, 2):
            return False
    return True


cdef inline bint is_utf8(const uint8_t *data, uint32_t length) noexcept nogil:
    """RFC 3629."""
    cdef uint32_t i = 0, more, value, j
    while i < length:
        more = 0 if data[i] < 0x80 else 1 if data[i] >> 5 == 6 else 2 if data[i] >> 4 == 14 else 3 if data[i] >> 3 == 30 else 4
        if more == 4 or length - i <= more:
            return False
        value = data[i] if more == 0 else data[i] & 0x3f >> more
        for j in range(more):
            if data[i + 1 + j] >> 6 != 2:
                return False
            value = value << 6 | (data[i + 1 + j] & 0x3f)
        if more == 1 and value < 0x80 or more == 2 and (value < 0x800 or value >> 11 == 27) \
                or more == 3 and not 0x10000 <= value <= 0x10ffff:
            return False
        i += 1 + more
    return True


cdef inline uint32_t append_character(pool_t *pool, bytes_t *text, uint32_t value) noexcept nogil:
    cdef uint8_t coded[4]
    cdef uint32_t length = 1 if value < 0x80 else 2 if value < 0x800 else 3 if value < 0x10000 else 4
    cdef uint32_t i
    for i in range(length - 1, 0, -1):
        coded[i] = <uint8_t> (0x80 | value & 0x3f)
        value >>= 6
    coded[0] = <uint8_t> (value if length == 1 else 0xf00 >> length & 0xff | value)
    return NAME_GOOD if bytes_append(pool, ACCOUNT_APPLAYER, text, coded, length) else NAME_REFUSED


cdef inline uint32_t append_bmp(pool_t *pool, bytes_t *text, const uint8_t *data, uint32_t length) noexcept nogil:
    """UTF-16, as UTF-8. An odd byte at the end stands for itself."""
    cdef uint32_t i = 0, value, low
    while i < length:
        value = data[i] << 8 | data[i + 1] if i + 1 < length else data[i]
        i += 2
        if value >> 11 == 27:
            if value >> 10 == 55 or i >= length:
                return NAME_BAD
            low = data[i] << 8 | data[i + 1] if i + 1 < length else data[i]
            if low >> 10 != 55:
                return NAME_BAD
            value = 0x10000 + ((value & 0x3ff) << 10 | low & 0x3ff)
            i += 2
        if append_character(pool, text, value) != NAME_GOOD:
            return NAME_REFUSED
    return NAME_GOOD


cdef inline uint32_t append_value(pool_t *pool, bytes_t *text, uint8_t tag, const uint8_t *data, uint32_t length) noexcept nogil:
    """Strings as UTF-8, the rest as hexadecimal text."""
    cdef bint good
    if (tag == DER_UTF8 or tag == DER_PRINTABLE or tag == DER_IA5 or tag == DER_T61 or tag == DER_NUMERIC or tag == DER_VISIBLE
            or tag == DER_GENERAL or tag == DER_GRAPHIC or tag == DER_VIDEOTEX or tag == DER_DESCRIPTOR):
        if not is_utf8(data, length):
            return NAME_BAD
        good = bytes_append(pool, ACCOUNT_APPLAYER, text, data, length)
    elif tag == DER_BMP:
        return append_bmp(pool, text, data, length)
    else:
        good = append_hex(pool, text, data, length)
    return NAME_GOOD if good else NAME_REFUSED


cdef inline bint take_attribute(cursor_t *cursor, element_t *kind, element_t *value) noexcept nogil:
    """A pair of an object identifier and a value."""
    cdef element_t pair
    if take_element(cursor, &pair) != DER_GOOD or pair.tag != DER_SEQUENCE:
        return False
    return take_element(&pair.body, kind) == DER_GOOD and take_element(&pair.body, value) == DER_GOOD


cdef inline uint32_t append_attribute(pool_t *pool, bytes_t *text, const element_t *kind, const element_t *value) noexcept nogil:
    cdef const char *known = name_of_attribute(kind.body.at, cursor_left(&kind.body))
    cdef bint good = append(pool, text, known) if known != NULL \
        else append_oid(pool, text, kind.body.at, cursor_left(&kind.body))
    if not good or not append(pool, text, b"="):
        return NAME_REFUSED
    return append_value(pool, text, value.tag & 0x1f, value.body.at, cursor_left(&value.body))


cdef inline uint32_t append_attributes(pool_t *pool, bytes_t *text, cursor_t name) noexcept nogil:
    """A sequence of sets of attributes, as far as it is one."""
    cdef cursor_t part
    cdef element_t kind, value
    cdef uint32_t end
    cdef bint first
    while cursor_left(&name):
        part = read_of(&name, DER_SET)
        if not take_attribute(&part, &kind, &value):
            return NAME_GOOD
        first = True
        while True:
            if not append(pool, text, b" + " if not first else b", " if text.length else b""):
                return NAME_REFUSED
            first = False
            end = append_attribute(pool, text, &kind, &value)
            if end != NAME_GOOD:
                return end
            if not take_attribute(&part, &kind, &value):
                break
    return NAME_GOOD


cdef inline bint append_name(pool_t *pool, bytes_t *text, cursor_t name) noexcept nogil:
    """False where memory is refused, or a NUL is in it: no log or rule could hold it."""
    cdef uint32_t end = append_attributes(pool, text, name)
    if end == NAME_BAD:
        text.length = 0
        return append(pool, text, b"<X509Error: Invalid X.509 name>")
    return end == NAME_GOOD and (text.length == 0 or memchr(text.data, 0, text.length) == NULL)


cdef inline bint append_serial(pool_t *pool, bytes_t *text, cursor_t serial) noexcept nogil:
    """Upper-case hexadecimal bytes, colons between them."""
    cdef bint first = True
    while cursor_left(&serial):
        if not first and not bytes_append(pool, ACCOUNT_APPLAYER, text, b":", 1):
            return False
        first = False
        if not append_hex(pool, text, read_bytes(&serial, 1), 1):
            return False
    return True
