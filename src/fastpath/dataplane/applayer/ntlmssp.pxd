# How a client says who it is when it sets up a session: NTLMSSP (MS-NLMP 2.2.1.3), bare or in SPNEGO (RFC 4178), and the ticket
# of Kerberos (RFC 4120 5.5.1).
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.applayer cimport SMB_MALFORMED_NTLMSSP_REQUEST, app_context_t
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_le16, read_le32
from fastpath.dataplane.applayer.der cimport (
    DER_CONSTRUCTED, DER_OCTETS, DER_SEQUENCE, element_t, read_element,
)
from fastpath.dataplane.applayer.smb_state cimport TEXT_DOMAIN, TEXT_HOST, TEXT_NAME, set_narrow, set_text, smb_tx_t
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER

cdef enum:
    DER_OID = 0x06, DER_APPLICATION = 0x60, DER_CONTEXT = 0xa0, DER_GENERAL_STRING = 0x1b
    NTLM_AUTHENTICATE = 3
    NTLM_HEADER = 12            # signature and type
    NTLM_HAS_VERSION = 1 << 1   # of the last byte of the flags: NTLMSSP_NEGOTIATE_VERSION
    NAMES_MAX = 16              # of a ticket's service


cdef inline element_t next_part(cursor_t *cursor) noexcept nogil:
    """The next element of DER proper, where a length takes as few bytes as it can."""
    cdef uint32_t left = cursor_left(cursor), count = 0
    if left > 2 and cursor.at[1] & 0x80:
        count = cursor.at[1] & 0x7f
        if cursor.at[2] == 0 or count == 1 and cursor.at[2] < 0x80:
            cursor.failed = True
    return read_element(cursor)


cdef inline cursor_t part_of(cursor_t *cursor, uint8_t tag) noexcept nogil:
    """The body of the next element, which must have this tag."""
    cdef element_t element = next_part(cursor)
    if element.tag != tag:
        cursor.failed = True
        element.body.failed = True
    return element.body


cdef inline bint is_oid(const cursor_t *body, const char *value, uint32_t length) noexcept nogil:
    return not body.failed and cursor_left(body) == length and memcmp(body.at, value, length) == 0


cdef inline cursor_t ntlm_text(cursor_t *fields, const uint8_t *message, uint32_t length, uint32_t *start) noexcept nogil:
    """What the next (length, room, offset) of the message points at."""
    cdef uint32_t size = read_le16(fields)
    cdef cursor_t text
    read_le16(fields)
    start[0] = read_le32(fields)
    if size >= length or start[0] >= length:
        fields.failed = True
    text = cursor_over(message, 0)
    text.failed = fields.failed or start[0] < NTLM_HEADER or start[0] + size > length
    if not text.failed:
        text = cursor_over(message + start[0], size)
    return text


cdef inline void take_ntlm(app_context_t *context, smb_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    """The message may stand anywhere in the bytes."""
    cdef cursor_t fields, domain, user, host
    cdef uint32_t start, domain_start = 0, user_start = 0, host_start = 0, _i
    cdef const uint8_t *flags
    cdef const uint8_t *version = NULL
    while length >= 8 and memcmp(data, b"NTLMSSP\0", 8) != 0:
        data += 1
        length -= 1
    if length < NTLM_HEADER:
        return
    fields = cursor_over(data + 8, length - 8)
    if read_le32(&fields) != NTLM_AUTHENTICATE:
        return
    for _i in range(2):                                     # answers to the challenge
        ntlm_text(&fields, data, length, &start)
    domain = ntlm_text(&fields, data, length, &domain_start)
    user = ntlm_text(&fields, data, length, &user_start)
    host = ntlm_text(&fields, data, length, &host_start)
    ntlm_text(&fields, data, length, &start)                # session key
    flags = read_bytes(&fields, 4)
    if flags != NULL and flags[3] & NTLM_HAS_VERSION:
        version = read_bytes(&fields, 8)
    if fields.failed or domain.failed or user.failed or host.failed:
        return
    tx.has_ntlm = True
    set_narrow(context, &tx.text[TEXT_DOMAIN], domain.at, cursor_left(&domain))
    set_narrow(context, &tx.text[TEXT_NAME], user.at, cursor_left(&user))
    set_narrow(context, &tx.text[TEXT_HOST], host.at, cursor_left(&host))
    if version != NULL:
        tx.has_ntlm_version = True
        tx.ntlm_version[0] = version[0]
        tx.ntlm_version[1] = version[1]
        tx.ntlm_version[3] = version[7]
        tx.ntlm_build = <uint16_t> (version[3] << 8 | version[2])
    if user_start and user_start < domain_start + cursor_left(&domain) \
            or host_start and host_start < user_start + cursor_left(&user):
        tx_event(&tx.tx, SMB_MALFORMED_NTLMSSP_REQUEST)


cdef inline bint take_ticket(app_context_t *context, smb_tx_t *tx, const cursor_t *token) noexcept nogil:
    """Realm and service of the ticket in an AP-REQ."""
    cdef cursor_t bytes = token[0]
    cdef cursor_t body, oid, ticket, names, realm
    cdef element_t name
    cdef uint8_t size[2]
    cdef uint32_t count = 0
    body = part_of(&bytes, DER_APPLICATION)
    oid = part_of(&body, DER_OID)
    if oid.failed:
        return False
    read_be16(&body)                                        # kind of token
    body = part_of(&body, DER_APPLICATION | 14)
    body = part_of(&body, DER_SEQUENCE)
    part_of(&body, DER_CONTEXT)                             # version
    part_of(&body, DER_CONTEXT | 1)                         # type of message
    part_of(&body, DER_CONTEXT | 2)                         # options
    ticket = part_of(&body, DER_CONTEXT | 3)
    ticket = part_of(&ticket, DER_APPLICATION | 1)
    ticket = part_of(&ticket, DER_SEQUENCE)
    part_of(&ticket, DER_CONTEXT)                           # version
    realm = part_of(&ticket, DER_CONTEXT | 1)
    realm = part_of(&realm, DER_GENERAL_STRING)
    names = part_of(&ticket, DER_CONTEXT | 2)
    names = part_of(&names, DER_SEQUENCE)
    part_of(&names, DER_CONTEXT)                            # type of name
    names = part_of(&names, DER_CONTEXT | 1)
    names = part_of(&names, DER_SEQUENCE)
    if realm.failed or names.failed or body.failed:
        return False
    tx.has_kerberos = True
    set_text(context, &tx.realm, realm.at, cursor_left(&realm))
    tx.names.length = 0
    while cursor_left(&names) and count < NAMES_MAX:
        name = next_part(&names)
        if name.body.failed or name.tag != DER_GENERAL_STRING or cursor_left(&name.body) > 0xffff:
            break
        count += 1
        size[0] = <uint8_t> (cursor_left(&name.body) >> 8)
        size[1] = <uint8_t> cursor_left(&name.body)
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.names, size, 2) \
                or not bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.names, name.body.at, cursor_left(&name.body)):
            break
    return True


cdef inline void take_spnego(app_context_t *context, smb_tx_t *tx, cursor_t *parts) noexcept nogil:
    """A NegTokenInit: which mechanisms there are decides what the token is read as."""
    cdef element_t part, inner, mechanism
    cdef bint kerberos = False, ntlm = False
    while cursor_left(parts):
        part = next_part(parts)
        if part.body.failed:
            return
        inner = next_part(&part.body)
        if inner.body.failed:
            continue
        if inner.tag == DER_SEQUENCE:
            while cursor_left(&inner.body):
                mechanism = next_part(&inner.body)
                if mechanism.tag == DER_OID:
                    kerberos |= is_oid(&mechanism.body, b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", 9)
                    ntlm |= is_oid(&mechanism.body, b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a", 10)
        elif inner.tag == DER_OCTETS:
            if kerberos:
                take_ticket(context, tx, &inner.body)
            if ntlm and not tx.has_kerberos:
                take_ntlm(context, tx, inner.body.at, cursor_left(&inner.body))


cdef inline void take_security(app_context_t *context, smb_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    """The security blob of a session setup."""
    cdef cursor_t bytes = cursor_over(data, length)
    cdef element_t outer = next_part(&bytes)
    cdef element_t start
    cdef cursor_t oid, parts
    if not outer.body.failed and outer.tag & DER_CONSTRUCTED:
        oid = part_of(&outer.body, DER_OID)
        if is_oid(&oid, b"\x2b\x06\x01\x05\x05\x02", 6):
            start = next_part(&outer.body)
            if not start.body.failed:
                parts = part_of(&start.body, DER_SEQUENCE)
                take_spnego(context, tx, &parts)
                return
    take_ntlm(context, tx, data, length)
