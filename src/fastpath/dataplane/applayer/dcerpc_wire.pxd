# PDUs of DCE RPC (The Open Group C706, chapter 12), as they stand on TCP and in the named pipes of SMB.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.cursor cimport (
    cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_le16, read_u8, read_within,
)
from fastpath.dataplane.applayer.msgpack cimport put_text, put_key, writer_t
from fastpath.dataplane.pool cimport pool_give, pool_resize
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, pool_t
from fastpath.dataplane.wire.load cimport be16, be32, le16, le32

cdef enum pdu_type:
    PDU_REQUEST = 0, PDU_RESPONSE = 2, PDU_BIND = 11, PDU_BIND_ACK = 12, PDU_ALTER_CONTEXT = 14, PDU_ALTER_CONTEXT_RESP = 15
    PDU_LAST = 20, PDU_UNKNOWN = 99

cdef enum pdu_flag:
    PDU_FIRST_FRAGMENT = 1, PDU_LAST_FRAGMENT = 2

cdef enum:
    PDU_HEADER = 16
    PDU_STUB = 24               # where the stub of a request or a response begins
    INTERFACES_MAX = 256        # of one bind: its count is a byte

cdef struct pdu_t:
    uint8_t major, minor, type, flags
    bint little                 # numbers are little-endian
    uint16_t length             # of the fragment, header included, as it says
    uint32_t call
    cursor_t body               # behind the header

cdef struct interface_t:        # that a bind asks for
    uint8_t uuid[16]            # in the order in which it is written
    uint16_t version, minor
    uint16_t result, reason     # of the server, once `answered`
    uint16_t item               # context id
    uint8_t answered
    uint8_t first               # asked for by a first fragment

cdef struct interfaces_t:
    interface_t *list
    uint32_t count, room


cdef inline void add_interface(pool_t *pool, interfaces_t *interfaces, const interface_t *interface) noexcept nogil:
    """At most INTERFACES_MAX, and as many as memory allows."""
    cdef uint32_t wanted
    cdef void *grown
    if interfaces.count == interfaces.room:
        if interfaces.count >= INTERFACES_MAX:
            return
        wanted = max(<uint32_t> 4, 2 * interfaces.room)
        grown = pool_resize(pool, ACCOUNT_APPLAYER, interfaces.list, interfaces.room * sizeof(interface_t), wanted * sizeof(interface_t))
        if grown == NULL:
            return
        interfaces.list = <interface_t *> grown
        interfaces.room = wanted
    interfaces.list[interfaces.count] = interface[0]
    interfaces.count += 1


cdef inline void free_interfaces(pool_t *pool, interfaces_t *interfaces) noexcept nogil:
    pool_give(pool, ACCOUNT_APPLAYER, interfaces.list, interfaces.room * sizeof(interface_t))
    interfaces.list = NULL
    interfaces.count = interfaces.room = 0


cdef inline bint read_pdu(pdu_t *pdu, const uint8_t *data, uint32_t length) noexcept nogil:
    """False where the header is not whole."""
    if length < PDU_HEADER:
        return False
    pdu.major = data[0]
    pdu.minor = data[1]
    pdu.type = data[2]
    pdu.flags = data[3]
    pdu.little = data[4] & 0x10 != 0
    pdu.length = le16(data + 8) if pdu.little else be16(data + 8)
    pdu.call = le32(data + 12) if pdu.little else be32(data + 12)
    pdu.body = cursor_over(data + PDU_HEADER, length - PDU_HEADER)
    return True


cdef inline uint16_t read_16(cursor_t *cursor, bint little) noexcept nogil:
    return read_le16(cursor) if little else read_be16(cursor)


cdef inline void put_uuid(uint8_t *uuid, const uint8_t *data, bint little) noexcept nogil:
    """In the order in which it is written: three little-endian numbers and eight bytes, or as it stands."""
    cdef uint32_t i
    memcpy(uuid, data, 16)
    if little:
        for i in range(4):
            uuid[i] = data[3 - i]
        for i in range(2):
            uuid[4 + i] = data[5 - i]
            uuid[6 + i] = data[7 - i]


cdef inline bint read_interface(cursor_t *cursor, bint little, interface_t *interface) noexcept nogil:
    """One item of a bind; the transfer syntaxes behind the first are not looked at."""
    cdef const uint8_t *uuid
    interface.item = read_16(cursor, little)
    read_bytes(cursor, 2)
    uuid = read_bytes(cursor, 16)
    interface.version = read_16(cursor, little)
    interface.minor = read_16(cursor, little)
    read_bytes(cursor, 20)
    if cursor.failed:
        return False
    put_uuid(interface.uuid, uuid, little)
    interface.result = interface.reason = 0
    interface.answered = 0
    return True


cdef inline uint32_t read_results(cursor_t *cursor) noexcept nogil:
    """Of a bind's acknowledgment: passes all that stands before its results, and returns their count."""
    cdef uint32_t size, count
    read_bytes(cursor, 8)
    size = read_le16(cursor)
    read_bytes(cursor, size)
    if (size + 2) % 4:
        read_bytes(cursor, 4 - (size + 2) % 4)
    count = read_u8(cursor)
    read_bytes(cursor, 3)
    return count


cdef inline cursor_t read_stub(pdu_t *pdu, uint16_t *item, uint16_t *opnum) noexcept nogil:
    """The stub of a request or a response; failed where it is not all there."""
    cdef cursor_t stub
    read_bytes(&pdu.body, 4)
    item[0] = read_16(&pdu.body, pdu.little)
    opnum[0] = read_16(&pdu.body, pdu.little)
    if pdu.length < PDU_STUB:
        pdu.body.failed = True
    stub = read_within(&pdu.body, <uint32_t> pdu.length - PDU_STUB if pdu.length >= PDU_STUB else 0)
    return stub


cdef inline void put_number(writer_t *writer, uint32_t value) noexcept nogil:
    """A number as text."""
    cdef char text[11]
    cdef uint32_t at = 10
    text[10] = 0
    while True:
        at -= 1
        text[at] = <char> (48 + value % 10)
        value //= 10
        if value == 0:
            break
    put_text(writer, text + at)


cdef inline void say_pdu_type(writer_t *writer, const char *key, uint8_t type) noexcept nogil:
    cdef const char **names = [
        b"REQUEST", b"PING", b"RESPONSE", b"FAULT", b"WORKING", b"NOCALL", b"REJECT", b"ACK", b"CL_CANCEL", b"FACK", b"CANCEL_ACK",
        b"BIND", b"BINDACK", b"BINDNAK", b"ALTER_CONTEXT", b"ALTER_CONTEXT_RESP", b"AUTH3", b"SHUTDOWN", b"CO_CANCEL", b"ORPHANED", b"RTS"]
    put_key(writer, key)
    if type <= PDU_LAST:
        put_text(writer, names[type])
    elif type == PDU_UNKNOWN:
        put_text(writer, b"UNKNOWN")
    else:
        put_number(writer, type)


cdef inline void say_uuid(writer_t *writer, const char *key, const uint8_t *uuid) noexcept nogil:
    cdef char text[37]
    cdef const char *digits = b"0123456789abcdef"
    cdef uint32_t i, at = 0
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            text[at] = 45
            at += 1
        text[at] = digits[uuid[i] >> 4]
        text[at + 1] = digits[uuid[i] & 15]
        at += 2
    text[36] = 0
    put_key(writer, key)
    put_text(writer, text)


cdef inline void say_version(writer_t *writer, const char *key, uint32_t major, uint32_t minor) noexcept nogil:
    """Two numbers of 16 bits with a dot between them."""
    cdef char text[12]
    cdef uint32_t at = 11, value, i
    text[11] = 0
    for i in range(2):
        value = major if i else minor
        while True:
            at -= 1
            text[at] = <char> (48 + value % 10)
            value //= 10
            if value == 0:
                break
        if i == 0:
            at -= 1
            text[at] = 46
    put_key(writer, key)
    put_text(writer, text + at)
