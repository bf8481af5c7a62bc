# X.509 certificates (RFC 5280): the fields that rules and logs ask for, as text. Names are written as RFC 2253 does, though in
# the order of the certificate: "C=US, O=Example, CN=example.org".
#
# Errors: the number of the step that failed. What memory refuses counts as a name that cannot be read.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, strlen

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_bytes
from fastpath.dataplane.applayer.der cimport (
    DER_BIT_STRING, DER_BMP, DER_GENERAL, DER_GRAPHIC, DER_IA5, DER_INTEGER, DER_NUMERIC, DER_OID, DER_PRINTABLE, DER_SEQUENCE,
    DER_SET, DER_T61, DER_UTF8, DER_VIDEOTEX, DER_VISIBLE, element_t, next_tag, read_element, read_of, read_time,
)
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t, pool_t

cdef enum:
    X509_GOOD, X509_BAD, X509_BAD_LENGTH, X509_BAD_VERSION, X509_BAD_SERIAL, X509_BAD_ALGORITHM, X509_BAD_NAME, X509_BAD_DATE
    X509_BAD_EXTENSIONS, X509_BAD_DER, X509_NO_SUBJECT, X509_NO_ISSUER

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


cdef inline const char *short_name(const uint8_t *oid, uint32_t length) noexcept nogil:
    """What an attribute is called in a name; NULL for one that is written as its object identifier."""
    if length == 3 and oid[0] == 0x55 and oid[1] == 0x04:                  # 2.5.4.n
        if oid[2] == 3: return b"CN"
        if oid[2] == 4: return b"surname"
        if oid[2] == 5: return b"serialNumber"
        if oid[2] == 6: return b"C"
        if oid[2] == 7: return b"L"
        if oid[2] == 8: return b"ST"
        if oid[2] == 9: return b"street"
        if oid[2] == 10: return b"O"
        if oid[2] == 11: return b"OU"
        if oid[2] == 12: return b"title"
        return NULL
    if length == 9 and memcmp(oid, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9) == 0:
        return b"Email"
    if length == 10 and memcmp(oid, b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 10) == 0:
        return b"DC"
    return NULL


cdef inline bint append_oid(pool_t *pool, bytes_t *text, const uint8_t *oid, uint32_t length) noexcept nogil:
    """Dotted decimal."""
    cdef uint32_t i, value = 0
    cdef bint first = True
    for i in range(length):
        value = value << 7 | (oid[i] & 0x7f)
        if oid[i] & 0x80:
            continue
        if first:
            if not append_decimal(pool, text, min(value // 40, <uint32_t> 2)):
                return False
            value -= 40 * min(value // 40, <uint32_t> 2)
            first = False
        if not bytes_append(pool, ACCOUNT_APPLAYER, text, b".", 1) or not append_decimal(pool, text, value):
            return False
        value = 0
    return True


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


cdef inline bint append_value(pool_t *pool, bytes_t *text, uint8_t tag, const uint8_t *data, uint32_t length) noexcept nogil:
    """Strings as they are, the rest as hexadecimal text."""
    if (tag == DER_UTF8 or tag == DER_PRINTABLE or tag == DER_IA5 or tag == DER_T61 or tag == DER_NUMERIC or tag == DER_VISIBLE
            or tag == DER_GENERAL or tag == DER_GRAPHIC or tag == DER_VIDEOTEX or tag == DER_BMP):
        return bytes_append(pool, ACCOUNT_APPLAYER, text, data, length)
    return append_hex(pool, text, data, length)


cdef inline bint append_name(pool_t *pool, bytes_t *text, cursor_t name) noexcept nogil:
    """A name that name_is_good. False where memory is refused, or a NUL is in it: no log or rule could hold it."""
    cdef cursor_t part, pair, oid
    cdef element_t value
    cdef const char *known
    cdef uint32_t before = 0
    while cursor_left(&name):
        part = read_of(&name, DER_SET)
        before = 0
        while cursor_left(&part):
            pair = read_of(&part, DER_SEQUENCE)
            oid = read_of(&pair, DER_OID)
            value = read_element(&pair)
            if before:
                if not bytes_append(pool, ACCOUNT_APPLAYER, text, b" + ", 3):
                    return False
            elif text.length and not bytes_append(pool, ACCOUNT_APPLAYER, text, b", ", 2):
                return False
            before += 1
            known = short_name(oid.at, cursor_left(&oid))
            if known != NULL:
                if not bytes_append(pool, ACCOUNT_APPLAYER, text, <const uint8_t *> known, <uint32_t> strlen(known)):
                    return False
            elif not append_oid(pool, text, oid.at, cursor_left(&oid)):
                return False
            if not bytes_append(pool, ACCOUNT_APPLAYER, text, b"=", 1):
                return False
            if not append_value(pool, text, value.tag, value.body.at, cursor_left(&value.body)):
                return False
    return text.length == 0 or memchr(text.data, 0, text.length) == NULL


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
