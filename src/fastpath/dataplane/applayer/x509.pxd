# X.509 certificates (RFC 5280): the fields that rules and logs ask for, as text. Names are written as RFC 2253 does, though in
# the order of the certificate: "C=US, O=Example, CN=example.org".
#
# Errors: the number of the step that failed. What memory refuses counts as a name that cannot be read.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, strlen

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_bytes
from fastpath.dataplane.applayer.der cimport (
    DER_BIT_STRING, DER_BMP, DER_DESCRIPTOR, DER_GENERAL, DER_GRAPHIC, DER_IA5, DER_INTEGER, DER_NUMERIC, DER_OID, DER_PRINTABLE,
    DER_SEQUENCE, DER_SET, DER_T61, DER_UTF8, DER_VIDEOTEX, DER_VISIBLE, element_t, next_tag, read_element, read_of, read_time,
)
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t, pool_t

cdef enum:
    X509_GOOD, X509_BAD, X509_BAD_LENGTH, X509_BAD_VERSION, X509_BAD_SERIAL, X509_BAD_ALGORITHM, X509_BAD_NAME, X509_BAD_DATE
    X509_BAD_EXTENSIONS, X509_BAD_DER, X509_NO_SUBJECT, X509_NO_ISSUER

cdef enum:
    NAME_GOOD, NAME_BAD, NAME_REFUSED           # of a name as text: memory may be refused

cdef struct certificate_t:
    cursor_t serial, issuer, subject            # bodies of their elements
    int64_t not_before, not_after               # seconds since 1970


cdef inline uint32_t read_certificate(const uint8_t *data, uint32_t length, certificate_t *certificate) noexcept nogil:
    """Finds the fields of a DER certificate; they lie in its bytes. X509_GOOD or what was wrong."""
    cdef cursor_t whole = cursor_over(data, length)
    cdef cursor_t outer, fields, part
    cdef uint8_t tag
    outer = read_of(&whole, DER_SEQUENCE)
    if outer.failed:
        return X509_BAD_LENGTH if length < 2 or data[0] == DER_SEQUENCE else X509_BAD_DER
    fields = read_of(&outer, DER_SEQUENCE)
    if fields.failed:
        return X509_BAD_DER
    if next_tag(&fields) == 0xa0:
        part = read_element(&fields).body
        part = read_of(&part, DER_INTEGER)
        if part.failed or cursor_left(&part) != 1:
            return X509_BAD_VERSION
    certificate.serial = read_of(&fields, DER_INTEGER)
    if certificate.serial.failed:
        return X509_BAD_SERIAL
    part = read_of(&fields, DER_SEQUENCE)
    if not algorithm_is_good(part):
        return X509_BAD_ALGORITHM
    certificate.issuer = read_of(&fields, DER_SEQUENCE)
    if not name_is_good(certificate.issuer):
        return X509_BAD_NAME
    part = read_of(&fields, DER_SEQUENCE)
    if part.failed or not read_time(&part, &certificate.not_before) or not read_time(&part, &certificate.not_after):
        return X509_BAD_DATE
    certificate.subject = read_of(&fields, DER_SEQUENCE)
    if not name_is_good(certificate.subject):
        return X509_BAD_NAME
    part = read_of(&fields, DER_SEQUENCE)       # the public key
    if not algorithm_is_good(read_of(&part, DER_SEQUENCE)):
        return X509_BAD
    if read_of(&part, DER_BIT_STRING).failed:
        return X509_BAD
    while cursor_left(&fields):                 # unique identifiers, extensions
        tag = next_tag(&fields)
        part = read_element(&fields).body
        if tag == 0xa3:
            if not extensions_are_good(part):
                return X509_BAD_EXTENSIONS
        elif part.failed:
            return X509_BAD
    if not algorithm_is_good(read_of(&outer, DER_SEQUENCE)):
        return X509_BAD_ALGORITHM
    if read_of(&outer, DER_BIT_STRING).failed:
        return X509_BAD_DER
    return X509_GOOD


cdef inline bint algorithm_is_good(cursor_t algorithm) noexcept nogil:
    return not algorithm.failed and not read_of(&algorithm, DER_OID).failed


cdef inline bint extensions_are_good(cursor_t tagged) noexcept nogil:
    cdef cursor_t extensions = read_of(&tagged, DER_SEQUENCE)
    cdef cursor_t extension
    while cursor_left(&extensions):
        extension = read_of(&extensions, DER_SEQUENCE)
        if read_of(&extension, DER_OID).failed:
            return False
    return not extensions.failed


cdef inline bint name_is_good(cursor_t name) noexcept nogil:
    """A sequence of sets of pairs of an object identifier and a value."""
    cdef cursor_t part, pair
    while cursor_left(&name):
        part = read_of(&name, DER_SET)
        while cursor_left(&part):
            pair = read_of(&part, DER_SEQUENCE)
            if read_of(&pair, DER_OID).failed or read_element(&pair).body.failed:
                return False
        if part.failed:
            return False
    return not name.failed


cdef inline const char *name_of_attribute(const uint8_t *oid, uint32_t length) noexcept nogil:
    """What an attribute type is called (X.520, RFC 4519, RFC 2985); NULL for one that is written as its object identifier."""
    if length == 3 and oid[0] == 0x55 and oid[1] == 0x04:                  # 2.5.4.n
        return name_of_x520(oid[2])
    if length == 9 and memcmp(oid, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09", 8) == 0:
        if oid[8] == 1: return b"Email"
        if oid[8] == 2: return b"unstructuredName"
        if oid[8] == 7: return b"challengePassword"
    elif length == 10 and memcmp(oid, b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01", 9) == 0:
        if oid[9] == 1: return b"uid"
        if oid[9] == 25: return b"DC"
    elif length == 11 and memcmp(oid, b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01", 10) == 0:
        if oid[10] == 1: return b"msJurisdictionLocality"
        if oid[10] == 2: return b"msJurisdictionStateOrProvince"
        if oid[10] == 3: return b"msJurisdictionCountry"
    return NULL


cdef inline const char *name_of_x520(uint8_t number) noexcept nogil:
    if number == 0: return b"objectClass"
    if number == 1: return b"aliasedEntryName"
    if number == 2: return b"knowledgeInformation"
    if number == 3: return b"CN"
    if number == 4: return b"surname"
    if number == 5: return b"serialNumber"
    if number == 6: return b"C"
    if number == 7: return b"L"
    if number == 8: return b"ST"
    if number == 9: return b"streetAddress"
    if number == 10: return b"O"
    if number == 11: return b"OU"
    if number == 12: return b"title"
    if number == 13: return b"description"
    if number == 14: return b"searchGuide"
    if number == 15: return b"businessCategory"
    if number == 16: return b"postalAddress"
    if number == 17: return b"postalCode"
    if number == 41: return b"name"
    if number == 42: return b"givenName"
    if number == 43: return b"initials"
    if number == 44: return b"generationQualifier"
    if number == 45: return b"uniqueIdentifier"
    if number == 46: return b"dnQualifier"
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
        if oid[i] & 0x80:
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


cdef inline uint32_t append_attributes(pool_t *pool, bytes_t *text, cursor_t name) noexcept nogil:
    cdef cursor_t part, pair, oid
    cdef element_t value
    cdef const char *known
    cdef uint32_t end
    cdef bint good, first
    while cursor_left(&name):
        part = read_of(&name, DER_SET)
        first = True
        while cursor_left(&part):
            pair = read_of(&part, DER_SEQUENCE)
            oid = read_of(&pair, DER_OID)
            value = read_element(&pair)
            good = append(pool, text, b"" if first and text.length == 0 else b", " if first else b" + ")
            first = False
            known = name_of_attribute(oid.at, cursor_left(&oid))
            good = good and (append(pool, text, known) if known != NULL else append_oid(pool, text, oid.at, cursor_left(&oid)))
            if not good or not append(pool, text, b"="):
                return NAME_REFUSED
            end = append_value(pool, text, value.tag, value.body.at, cursor_left(&value.body))
            if end != NAME_GOOD:
                return end
    return NAME_GOOD


cdef inline bint append_name(pool_t *pool, bytes_t *text, cursor_t name) noexcept nogil:
    """A name that name_is_good. False where memory is refused, or a NUL is in it: no log or rule could hold it."""
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
