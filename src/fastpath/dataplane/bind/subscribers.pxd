# Which subscriber a GTP tunnel belongs to: sessions, as the control planes tell of them (gtpc.pxd, pfcp.pxd), and their
# endpoints. Of a subscriber's number nothing is kept but its last four digits, of the device's number but its model.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastpath.dataplane.applayer.cursor cimport cursor_t, read_bytes
from fastpath.dataplane.bind.table cimport (
    BINDING_FOREIGN, BINDING_TUNNEL, add_binding, bind_key_t, binding_row_t, binding_rows_t, find_bound, table_t,
)
from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6, PM_REVERSED, flow_key_t, packet_meta_t

cdef enum:
    SUBSCRIBERS = 1 << 16       # sessions at once; the oldest gives way
    ENDPOINTS = 1 << 18
    ASKED = 1 << 12             # requests that wait for an answer
    TUNNELS_OF_ONE = 8          # whose endpoints are told anew when more becomes known
    SUBSCRIBER_UNKNOWN = 0xffff

cdef extern from *:
    """
    #define ANSWER_NS 60000000000ULL
    """
    const uint64_t ANSWER_NS    # after which a request waits for no answer

cdef enum endpoint_kind:        # bind_key_t.kind
    ENDPOINT_NONE
    ENDPOINT_CONTROL            # GTPv2-C; the id is a TEID
    ENDPOINT_SESSION            # PFCP; the id is a SEID
    ENDPOINT_USER               # GTP-U; the id is a TEID

cdef enum endpoint_side:        # of a user plane endpoint
    SIDE_EITHER
    SIDE_UPLINK                 # what comes there is from the subscriber
    SIDE_DOWNLINK               # what comes there is for the subscriber

cdef enum bound_by:
    BOUND_BY_GTPC, BOUND_BY_PFCP

cdef struct subscriber_t:
    uint32_t generation         # of this place; endpoints of others are void
    uint32_t slice              # SST << 24 | SD
    uint32_t device             # TAC
    uint16_t digits             # the last four of the IMSI
    uint8_t by, has_v4, has_v6, name_length, tunnels, in_use
    uint8_t v4[4]
    uint8_t v6[8]               # the prefix: of 64 bits
    char name[64]
    bind_key_t tunnel[8]

cdef struct endpoint_t:
    bind_key_t key
    uint32_t subscriber, generation
    uint8_t side
    uint8_t told                # a foreign address has been told of
    uint8_t reserved[6]
    uint8_t foreign[16]         # that one

cdef struct asked_session_t:
    bind_key_t key              # who asks, the sequence number
    uint64_t until              # ns: numbers come round again
    uint32_t subscriber, generation

cdef struct subscribers_t:
    subscriber_t *sessions
    table_t endpoints
    asked_session_t *asked
    uint32_t next               # place that is taken next
    uint64_t replaced           # sessions that gave way
    uint64_t messages

cdef struct message_t:          # what one message tells
    subscriber_t *session
    uint32_t index
    bint changed


cdef inline bind_key_t endpoint_key(uint8_t kind, const uint8_t *address, uint32_t size, uint64_t id) noexcept nogil:
    cdef bind_key_t key
    memset(&key, 0, sizeof(key))
    memcpy(key.address, address, size)
    key.kind = kind | size << 8
    key.id = id
    return key


cdef inline subscriber_t *session_at(subscribers_t *all, const bind_key_t *key, uint32_t *index) noexcept nogil:
    cdef endpoint_t *found = <endpoint_t *>find_bound(&all.endpoints, key, False)
    if found == NULL or all.sessions[found.subscriber].generation != found.generation:
        return NULL
    if not all.sessions[found.subscriber].in_use:
        return NULL
    index[0] = found.subscriber
    return &all.sessions[found.subscriber]


cdef inline subscriber_t *new_session(subscribers_t *all, uint8_t by, uint32_t *index) noexcept nogil:
    cdef subscriber_t *session = &all.sessions[all.next]
    cdef uint32_t generation = session.generation + 1
    all.replaced += session.in_use
    memset(session, 0, sizeof(subscriber_t))
    session.generation = generation
    session.digits = SUBSCRIBER_UNKNOWN
    session.by = by
    session.in_use = 1
    index[0] = all.next
    all.next = (all.next + 1) & (SUBSCRIBERS - 1)
    return session


cdef inline void remember_asked(subscribers_t *all, const bind_key_t *key, uint32_t index, uint64_t now) noexcept nogil:
    """A request: its answer has the same number. One that was asked before may give way."""
    cdef asked_session_t *asked = &all.asked[(key.id * 31 + key.address[3] * 7 + key.address[15]) & (ASKED - 1)]
    asked.key = key[0]
    asked.until = now + ANSWER_NS
    asked.subscriber = index
    asked.generation = all.sessions[index].generation


cdef inline subscriber_t *session_asked(subscribers_t *all, const bind_key_t *key, uint32_t *index, uint64_t now) noexcept nogil:
    cdef const asked_session_t *asked = &all.asked[(key.id * 31 + key.address[3] * 7 + key.address[15]) & (ASKED - 1)]
    if asked.key.kind != key.kind or asked.key.id != key.id or memcmp(asked.key.address, key.address, 16) != 0:
        return NULL
    if now > asked.until or all.sessions[asked.subscriber].generation != asked.generation:
        return NULL
    index[0] = asked.subscriber
    return &all.sessions[asked.subscriber]


cdef inline void bind_endpoint(subscribers_t *all, message_t *message, const bind_key_t *key, uint8_t side) noexcept nogil:
    """From here on the endpoint is this session's."""
    cdef endpoint_t *found
    cdef uint32_t i
    if message.session == NULL:
        return
    found = <endpoint_t *>find_bound(&all.endpoints, key, True)
    if found == NULL:
        return
    found.subscriber = message.index
    found.generation = message.session.generation
    found.told = 0
    if side or key.kind & 0xff != ENDPOINT_USER:
        found.side = side
    if key.kind & 0xff != ENDPOINT_USER:
        return
    message.changed = True
    for i in range(message.session.tunnels):
        if memcmp(&message.session.tunnel[i], key, sizeof(bind_key_t)) == 0:
            return
    if message.session.tunnels < TUNNELS_OF_ONE:
        message.session.tunnel[message.session.tunnels] = key[0]
        message.session.tunnels += 1


cdef inline void bind_addresses(subscribers_t *all, message_t *message, cursor_t *data, uint8_t kind, uint32_t teid, bint v4,
                                bint v6, uint8_t side) noexcept nogil:
    """The addresses of an endpoint as both protocols have them: an IPv4 one, then an IPv6 one, where it is said that they are
    there."""
    cdef bint there[2]
    cdef uint32_t i, size = 4
    cdef const uint8_t *address
    cdef bind_key_t key
    there[0], there[1] = v4, v6
    for i in range(2):
        if there[i]:
            address = read_bytes(data, size)
            if address != NULL:
                key = endpoint_key(kind, address, size, teid)
                bind_endpoint(all, message, &key, side)
        size = 16

cdef inline void tell_tunnels(subscribers_t *all, binding_rows_t *rows, const message_t *message) noexcept nogil:
    """A row of each endpoint of a session that has changed."""
    cdef const subscriber_t *session = message.session
    cdef binding_row_t *row
    cdef uint32_t i
    if session == NULL or not message.changed:
        return
    for i in range(session.tunnels):
        row = add_binding(rows, BINDING_TUNNEL)
        if row == NULL:
            return
        memcpy(row.address, session.tunnel[i].address, 16)
        row.net = NET_IPV4 if session.tunnel[i].kind >> 8 == 4 else NET_IPV6
        row.id = session.tunnel[i].id
        row.user_net = NET_IPV4 if session.has_v4 else 0
        memcpy(row.user, session.v4, 4)
        row.has_prefix = session.has_v6
        memcpy(row.prefix, session.v6, 8)
        row.slice = session.slice
        row.device = session.device
        row.subscriber = session.digits
        row.by = session.by
        row.name_length = session.name_length
        memcpy(row.name, session.name, session.name_length)


# ---- what both control planes say alike ----

cdef inline uint32_t digit_at(const uint8_t *number, uint32_t at) noexcept nogil:
    """Two digits a byte, the lower half first (3GPP TS 29.274, section 8.3)"""
    return number[at // 2] >> 4 if at & 1 else number[at // 2] & 15


cdef inline void take_imsi(message_t *message, const uint8_t *number, uint32_t length) noexcept nogil:
    cdef uint32_t digits = 2 * length, i, value = 0
    if message.session == NULL or length == 0 or length > 8:
        return
    if digit_at(number, digits - 1) == 15:
        digits -= 1
    if digits < 4:
        return
    for i in range(digits - 4, digits):
        if digit_at(number, i) > 9:
            return
        value = value * 10 + digit_at(number, i)
    message.changed = message.changed or message.session.digits != value
    message.session.digits = <uint16_t>value


cdef inline void take_imei(message_t *message, const uint8_t *number, uint32_t length) noexcept nogil:
    """The first eight digits are the type allocation code: the model."""
    cdef uint32_t i, value = 0
    if message.session == NULL or length < 4:
        return
    for i in range(8):
        if digit_at(number, i) > 9:
            return
        value = value * 10 + digit_at(number, i)
    message.changed = message.changed or message.session.device != value
    message.session.device = value


cdef inline void take_name(message_t *message, const uint8_t *labels, uint32_t length) noexcept nogil:
    """APN or DNN: labels, each behind its length (TS 23.003, section 9.1)."""
    cdef uint32_t at = 0, written = 0, i
    cdef char name[64]
    if message.session == NULL or length == 0:
        return
    while at < length and labels[at] and at + 1 + labels[at] <= length and written + labels[at] + 1 < sizeof(name):
        if written:
            name[written] = b"."
            written += 1
        for i in range(labels[at]):
            name[written] = <char>labels[at + 1 + i] if 33 <= labels[at + 1 + i] <= 126 else b"?"
            written += 1
        at += 1 + labels[at]
    if written == message.session.name_length and memcmp(name, message.session.name, written) == 0:
        return
    memcpy(message.session.name, name, written)
    message.session.name_length = <uint8_t>written
    message.changed = True


cdef inline void take_slice(message_t *message, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t value
    if message.session == NULL or length < 4:
        return
    value = <uint32_t>data[0] << 24 | <uint32_t>data[1] << 16 | <uint32_t>data[2] << 8 | data[3]
    message.changed = message.changed or message.session.slice != value
    message.session.slice = value


cdef inline void take_v4(message_t *message, const uint8_t *address) noexcept nogil:
    if message.session == NULL or address[0] | address[1] | address[2] | address[3] == 0:
        return
    message.changed = message.changed or not message.session.has_v4 or memcmp(message.session.v4, address, 4) != 0
    memcpy(message.session.v4, address, 4)
    message.session.has_v4 = 1


cdef inline void take_v6(message_t *message, const uint8_t *address) noexcept nogil:
    cdef uint32_t i, any_bit = 0
    for i in range(8):
        any_bit |= address[i]
    if message.session == NULL or any_bit == 0:
        return
    message.changed = message.changed or not message.session.has_v6 or memcmp(message.session.v6, address, 8) != 0
    memcpy(message.session.v6, address, 8)
    message.session.has_v6 = 1


# ---- the user plane ----

cdef inline bint is_own(const subscriber_t *session, uint8_t net, const uint8_t *address) noexcept nogil:
    """Is it the subscriber's, or one that nothing was told about? Link-local addresses come before the prefix is known."""
    if net == NET_IPV4:
        return not session.has_v4 or memcmp(address, session.v4, 4) == 0
    if net == NET_IPV6:
        return (not session.has_v6 or memcmp(address, session.v6, 8) == 0 or address[0] == 0xfe and address[1] & 0xc0 == 0x80
                or address[0] == 0xff)
    return True


cdef inline bint is_foreign(subscribers_t *all, binding_rows_t *rows, const packet_meta_t *meta, const flow_key_t *key,
                            const packet_meta_t *outer, const flow_key_t *outer_key) noexcept nogil:
    """Does a packet of a tunnel bear an address that does not belong there?"""
    cdef uint32_t target = 0 if outer.flags & PM_REVERSED else 1
    cdef uint32_t source = 1 if meta.flags & PM_REVERSED else 0
    cdef bind_key_t wanted = endpoint_key(ENDPOINT_USER, outer_key.addr[target], 4 if outer_key.net == NET_IPV4 else 16,
                                          meta.tunnel_id)
    cdef endpoint_t *found = <endpoint_t *>find_bound(&all.endpoints, &wanted, False)
    cdef const subscriber_t *session
    cdef const uint8_t *astray
    cdef bint source_fits, target_fits
    cdef binding_row_t *row
    if found == NULL:
        return False
    session = &all.sessions[found.subscriber]
    if session.generation != found.generation or not session.in_use or not (session.has_v4 or session.has_v6):
        return False
    if key.net == NET_IPV4 and not session.has_v4 or key.net == NET_IPV6 and not session.has_v6:
        source_fits = target_fits = False       # it was given no address of this kind
        if key.net == NET_IPV6 and key.addr[source][0] == 0xfe:
            return False
    else:
        source_fits = is_own(session, key.net, key.addr[source])
        target_fits = is_own(session, key.net, key.addr[1 - source])
    if source_fits and found.side != SIDE_DOWNLINK or target_fits and found.side != SIDE_UPLINK:
        return False
    if found.side == SIDE_DOWNLINK:
        source = 1 - source
    astray = key.addr[source]
    if found.told and memcmp(found.foreign, astray, 16) == 0:
        return True
    found.told = 1
    memcpy(found.foreign, astray, 16)
    row = add_binding(rows, BINDING_FOREIGN)
    if row != NULL:
        memcpy(row.address, wanted.address, 16)
        row.net = outer_key.net
        row.id = meta.tunnel_id
        memcpy(row.user, astray, 16)
        row.user_net = key.net
        row.subscriber = session.digits
        row.device = session.device
        row.slice = session.slice
        row.name_length = session.name_length
        memcpy(row.name, session.name, session.name_length)
    return True
