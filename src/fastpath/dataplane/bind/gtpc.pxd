# GTPv2-C (3GPP TS 29.274): who a session's tunnels belong to. Sessions are known by the control endpoints of both sides.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.applayer.cursor cimport (
    cursor_over, cursor_t, read_be16, read_be24, read_be32, read_bytes, read_u8, read_within,
)
from fastpath.dataplane.bind.elements cimport (
    ELEMENT_READ, ELEMENTS_OVER, element_t, elements_of, elements_t, enter_group, next_element,
)
from fastpath.dataplane.bind.subscribers cimport (
    BOUND_BY_GTPC, ENDPOINT_CONTROL, ENDPOINT_USER, SIDE_DOWNLINK, SIDE_EITHER, SIDE_UPLINK, bind_addresses, bind_endpoint,
    endpoint_key,
    message_t, new_session, remember_asked, session_asked, session_at, subscribers_t, take_imei, take_imsi, take_name,
    take_v4, take_v6, tell_tunnels,
)
from fastpath.dataplane.bind.table cimport bind_key_t, binding_rows_t

cdef enum:
    GTPC_CREATE_SESSION = 32
    GTPC_DELETE_SESSION = 36
    GTPC_ELEMENTS_MAX = 128     # of one message
    GTPC_DEPTH_MAX = 3          # the message, and groups in it
    GTPC_MESSAGES_MAX = 2       # of one datagram
    GTPC_PIGGYBACKED = 0x10, GTPC_HAS_TEID = 0x08
    IE_IMSI = 1, IE_CAUSE = 2, IE_APN = 71, IE_MEI = 75, IE_PAA = 79, IE_FTEID = 87, IE_BEARER_CONTEXT = 93
    CAUSE_ACCEPTED = 16, CAUSE_ACCEPTED_LAST = 19
    FTEID_V4 = 0x80, FTEID_V6 = 0x40

cdef struct gtpc_t:
    message_t message
    uint8_t type
    uint8_t cause


cdef inline uint8_t side_of_interface(uint8_t interface, uint8_t *kind) noexcept nogil:
    """TS 29.274, section 8.22: which interface types are of the user plane, and which of their ends."""
    kind[0] = ENDPOINT_USER
    if interface in (0, 2, 4, 15):      # eNodeB, RNC, SGW towards the PGW, SGSN
        return SIDE_DOWNLINK
    if interface in (1, 3, 5, 16):      # SGW towards the eNodeB, the RNC; PGW; SGW towards the SGSN
        return SIDE_UPLINK
    if interface in (6, 7, 8, 9, 10, 11, 12, 17, 18, 30, 32, 35):
        kind[0] = ENDPOINT_CONTROL
    return SIDE_EITHER


cdef inline void take_fteid(subscribers_t *all, message_t *message, cursor_t *data) noexcept nogil:
    cdef uint8_t flags = read_u8(data), kind = ENDPOINT_USER
    cdef uint8_t side = side_of_interface(flags & 0x3f, &kind)
    cdef uint32_t teid = read_be32(data)
    bind_addresses(all, message, data, kind, teid, flags & FTEID_V4, flags & FTEID_V6, side)


cdef inline void take_paa(message_t *message, cursor_t *data) noexcept nogil:
    """PDN address allocation: IPv4; a prefix length and IPv6; or both, IPv6 first."""
    cdef uint8_t kind = read_u8(data) & 7
    cdef const uint8_t *address
    if kind == 2 or kind == 3:
        read_u8(data)
        address = read_bytes(data, 16)
        if address != NULL:
            take_v6(message, address)
    if kind == 1 or kind == 3:
        address = read_bytes(data, 4)
        if address != NULL:
            take_v4(message, address)


cdef inline bint take_elements(subscribers_t *all, gtpc_t *found, cursor_t message) noexcept nogil:
    """False where one does not fit."""
    cdef elements_t walk = elements_of(message, GTPC_ELEMENTS_MAX, GTPC_DEPTH_MAX)
    cdef element_t one
    cdef uint32_t told = next_element(&walk, False, &one)
    while told == ELEMENT_READ:
        if one.kind == IE_BEARER_CONTEXT:
            enter_group(&walk, &one)
        elif one.kind == IE_FTEID:
            take_fteid(all, &found.message, &one.data)
        elif one.kind == IE_IMSI:
            take_imsi(&found.message, one.data.at, one.length)
        elif one.kind == IE_MEI:
            take_imei(&found.message, one.data.at, one.length)
        elif one.kind == IE_APN:
            take_name(&found.message, one.data.at, one.length)
        elif one.kind == IE_PAA:
            take_paa(&found.message, &one.data)
        elif one.kind == IE_CAUSE and walk.depth == 0:
            found.cause = read_u8(&one.data)
        if one.data.failed:
            return False
        told = next_element(&walk, False, &one)
    return told == ELEMENTS_OVER


cdef inline bint bind_gtpc_message(subscribers_t *all, binding_rows_t *rows, const uint8_t *source, const uint8_t *target,
                                   uint32_t size, uint8_t flags, uint8_t kind, cursor_t body) noexcept nogil:
    cdef uint32_t teid = 0, sequence
    cdef gtpc_t found
    cdef bind_key_t key, here
    cdef bint fits
    memset(&found, 0, sizeof(found))
    found.type = kind
    if flags & GTPC_HAS_TEID:
        teid = read_be32(&body)
    sequence = read_be24(&body)
    read_u8(&body)
    if body.failed:
        return False
    all.messages += 1
    here = endpoint_key(ENDPOINT_CONTROL, target, size, teid)
    if kind == GTPC_CREATE_SESSION:
        key = endpoint_key(ENDPOINT_CONTROL, source, size, sequence)
        found.message.session = session_asked(all, &key, &found.message.index, rows.ts)     # asked again
        if found.message.session == NULL:
            found.message.session = new_session(all, BOUND_BY_GTPC, &found.message.index)
            remember_asked(all, &key, found.message.index, rows.ts)
    else:
        if kind == GTPC_CREATE_SESSION + 1:
            key = endpoint_key(ENDPOINT_CONTROL, target, size, sequence)
            found.message.session = session_asked(all, &key, &found.message.index, rows.ts)
        if found.message.session == NULL:
            found.message.session = session_at(all, &here, &found.message.index)
    fits = take_elements(all, &found, body)
    if found.message.session != NULL and kind in (GTPC_CREATE_SESSION + 1, GTPC_DELETE_SESSION + 1):
        if (CAUSE_ACCEPTED <= found.cause <= CAUSE_ACCEPTED_LAST) != (kind == GTPC_CREATE_SESSION + 1):
            found.message.session.in_use = 0    # refused, or over
    tell_tunnels(all, rows, &found.message)
    return fits


cdef inline bint bind_gtpc(subscribers_t *all, binding_rows_t *rows, const uint8_t *source, const uint8_t *target, uint32_t size,
                           const uint8_t *payload, uint32_t length) noexcept nogil:
    """One datagram: a message, or two of them, the second behind a bit of the first; size: bytes of an address. False where one
    is malformed."""
    cdef cursor_t cursor = cursor_over(payload, length)
    cdef cursor_t body
    cdef uint8_t first, kind
    cdef uint32_t messages = 0
    while messages < GTPC_MESSAGES_MAX:
        first = read_u8(&cursor)
        kind = read_u8(&cursor)
        body = read_within(&cursor, read_be16(&cursor))
        if first >> 5 != 2 and not cursor.failed:
            return True                 # another version
        if body.failed or not bind_gtpc_message(all, rows, source, target, size, first, kind, body):
            return False
        if not first & GTPC_PIGGYBACKED:
            return True
        messages += 1
    return True
