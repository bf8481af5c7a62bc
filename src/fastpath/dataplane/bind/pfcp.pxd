# PFCP (3GPP TS 29.244): who a session's tunnels belong to, as its control plane tells the user plane. Sessions are known by the
# identifiers (F-SEID) of both sides.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.applayer.cursor cimport (
    cursor_over, cursor_t, read_be16, read_be24, read_be32, read_bytes, read_u8, read_within,
)
from fastpath.dataplane.bind.elements cimport (
    ELEMENT_READ, ELEMENTS_DEPTH_MAX, ELEMENTS_OVER, element_t, elements_of, elements_t, enter_group, next_element,
)
from fastpath.dataplane.bind.subscribers cimport (
    BOUND_BY_PFCP, ENDPOINT_SESSION, ENDPOINT_USER, SIDE_DOWNLINK, SIDE_EITHER, SIDE_UPLINK, bind_addresses, bind_endpoint,
    endpoint_key,
    message_t, new_session, remember_asked, session_asked, session_at, subscribers_t, take_imei, take_imsi, take_name,
    take_slice, take_v4, take_v6, tell_tunnels,
)
from fastpath.dataplane.bind.table cimport bind_key_t, binding_rows_t

cdef enum:
    PFCP_ESTABLISHMENT = 50
    PFCP_DELETION = 54
    PFCP_ELEMENTS_MAX = 512     # of one message
    PFCP_CREATE_PDR = 1, PFCP_PDI = 2, PFCP_CREATE_FAR = 3, PFCP_FORWARDING = 4, PFCP_CREATED_PDR = 8, PFCP_UPDATE_PDR = 9
    PFCP_UPDATE_FAR = 10, PFCP_UPDATE_FORWARDING = 11, PFCP_CREATE_ENDPOINT = 127, PFCP_CREATED_ENDPOINT = 128
    PFCP_CAUSE = 19, PFCP_SOURCE_INTERFACE = 20, PFCP_FTEID = 21, PFCP_FSEID = 57, PFCP_OUTER_HEADER = 84, PFCP_UE_ADDRESS = 93
    PFCP_USER_ID = 141, PFCP_DNN = 159, PFCP_SLICE = 257
    PFCP_ACCEPTED = 1
    PFCP_ACCESS = 0

cdef struct pfcp_t:
    message_t message
    uint8_t type
    uint8_t cause


cdef inline void take_local_endpoint(subscribers_t *all, message_t *message, cursor_t *data, uint8_t side) noexcept nogil:
    """F-TEID; one that the user plane is to choose is told by its answer."""
    cdef uint8_t flags = read_u8(data)
    cdef uint32_t teid
    if flags & 4 or data.failed:
        return
    teid = read_be32(data)
    bind_addresses(all, message, data, ENDPOINT_USER, teid, flags & 1, flags & 2, side)


cdef inline void take_remote_endpoint(subscribers_t *all, message_t *message, cursor_t *data) noexcept nogil:
    """Outer header creation: where packets for the subscriber are sent."""
    cdef uint8_t what = read_u8(data)
    cdef uint32_t teid
    read_u8(data)
    if what & 3 == 0 or data.failed:
        return
    teid = read_be32(data)
    bind_addresses(all, message, data, ENDPOINT_USER, teid, what & 1, what & 2, SIDE_DOWNLINK)


cdef inline void take_user_address(message_t *message, cursor_t *data) noexcept nogil:
    cdef uint8_t flags = read_u8(data)
    cdef const uint8_t *address
    if flags & 2:
        address = read_bytes(data, 4)
        if address != NULL:
            take_v4(message, address)
    if flags & 1:
        address = read_bytes(data, 16)
        if address != NULL:
            take_v6(message, address)


cdef inline void take_user_id(message_t *message, cursor_t *data) noexcept nogil:
    cdef uint8_t flags = read_u8(data)
    cdef uint32_t length
    cdef const uint8_t *number
    if flags & 1:
        length = read_u8(data)
        number = read_bytes(data, length)
        if number != NULL:
            take_imsi(message, number, length)
    if flags & 2:
        length = read_u8(data)
        number = read_bytes(data, length)
        if number != NULL:
            take_imei(message, number, length)


cdef inline void take_own_session(subscribers_t *all, message_t *message, cursor_t *data) noexcept nogil:
    """F-SEID of who sends"""
    cdef uint8_t flags = read_u8(data)
    cdef uint64_t seid = <uint64_t>read_be32(data) << 32
    cdef const uint8_t *address
    cdef bind_key_t key
    seid |= read_be32(data)
    if flags & 2:
        address = read_bytes(data, 4)
        if address != NULL:
            key = endpoint_key(ENDPOINT_SESSION, address, 4, seid)
            bind_endpoint(all, message, &key, SIDE_EITHER)
    if flags & 1:
        address = read_bytes(data, 16)
        if address != NULL:
            key = endpoint_key(ENDPOINT_SESSION, address, 16, seid)
            bind_endpoint(all, message, &key, SIDE_EITHER)


cdef inline uint8_t side_of_group(cursor_t group) noexcept nogil:
    """What source interface a group names: from the access comes what the subscriber sends."""
    cdef elements_t walk = elements_of(group, PFCP_ELEMENTS_MAX, 1)
    cdef element_t one
    while next_element(&walk, True, &one) == ELEMENT_READ:
        if one.kind == PFCP_SOURCE_INTERFACE:
            return SIDE_UPLINK if read_u8(&one.data) & 15 == PFCP_ACCESS else SIDE_DOWNLINK
    return SIDE_EITHER


cdef inline bint is_group(uint32_t kind) noexcept nogil:
    return kind in (PFCP_CREATE_PDR, PFCP_PDI, PFCP_CREATE_FAR, PFCP_FORWARDING, PFCP_CREATED_PDR, PFCP_UPDATE_PDR,
                    PFCP_UPDATE_FAR, PFCP_UPDATE_FORWARDING, PFCP_CREATE_ENDPOINT, PFCP_CREATED_ENDPOINT)


cdef inline bint take_elements(subscribers_t *all, pfcp_t *found, cursor_t message) noexcept nogil:
    """False where one does not fit."""
    cdef elements_t walk = elements_of(message, PFCP_ELEMENTS_MAX, ELEMENTS_DEPTH_MAX)
    cdef uint8_t side[4]        # by depth
    cdef element_t one
    cdef uint32_t told = next_element(&walk, True, &one)
    side[0] = SIDE_EITHER
    while told == ELEMENT_READ:
        if is_group(one.kind):
            if enter_group(&walk, &one):
                side[walk.depth] = side_of_group(one.data)
        elif one.kind == PFCP_FTEID:
            take_local_endpoint(all, &found.message, &one.data, side[walk.depth])
        elif one.kind == PFCP_OUTER_HEADER:
            take_remote_endpoint(all, &found.message, &one.data)
        elif one.kind == PFCP_UE_ADDRESS:
            take_user_address(&found.message, &one.data)
        elif one.kind == PFCP_FSEID and walk.depth == 0:
            take_own_session(all, &found.message, &one.data)
        elif one.kind == PFCP_USER_ID:
            take_user_id(&found.message, &one.data)
        elif one.kind == PFCP_DNN:
            take_name(&found.message, one.data.at, one.length)
        elif one.kind == PFCP_SLICE:
            take_slice(&found.message, one.data.at, one.length)
        elif one.kind == PFCP_CAUSE and walk.depth == 0:
            found.cause = read_u8(&one.data)
        if one.data.failed:
            return False
        told = next_element(&walk, True, &one)
    return told == ELEMENTS_OVER


cdef inline bint bind_pfcp(subscribers_t *all, binding_rows_t *rows, const uint8_t *source, const uint8_t *target, uint32_t size,
                           const uint8_t *payload, uint32_t length) noexcept nogil:
    """One datagram; size: bytes of an address. False where it is malformed."""
    cdef cursor_t cursor = cursor_over(payload, length)
    cdef cursor_t body
    cdef uint8_t first = read_u8(&cursor)
    cdef uint32_t announced, sequence
    cdef uint64_t seid = 0
    cdef pfcp_t found
    cdef bind_key_t key, here
    cdef bint fits
    memset(&found, 0, sizeof(found))
    found.type = read_u8(&cursor)
    announced = read_be16(&cursor)
    if first >> 5 != 1:
        return True                     # another version
    body = read_within(&cursor, announced)
    if first & 1:
        seid = <uint64_t>read_be32(&body) << 32
        seid |= read_be32(&body)
    sequence = read_be24(&body)
    read_u8(&body)
    if body.failed:
        return False
    all.messages += 1
    if not first & 1:
        return True                     # about the node
    here = endpoint_key(ENDPOINT_SESSION, target, size, seid)
    if found.type == PFCP_ESTABLISHMENT:
        key = endpoint_key(ENDPOINT_SESSION, source, size, sequence)
        found.message.session = session_asked(all, &key, &found.message.index, rows.ts)
        if found.message.session == NULL:
            found.message.session = new_session(all, BOUND_BY_PFCP, &found.message.index)
            remember_asked(all, &key, found.message.index, rows.ts)
    else:
        found.message.session = session_at(all, &here, &found.message.index)
    fits = take_elements(all, &found, body)
    if found.message.session != NULL and found.type in (PFCP_ESTABLISHMENT + 1, PFCP_DELETION + 1):
        if (found.cause == PFCP_ACCEPTED) != (found.type == PFCP_ESTABLISHMENT + 1):
            found.message.session.in_use = 0    # refused, or over
    tell_tunnels(all, rows, &found.message)
    return fits
