# See dcerpc.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_bytes, read_le16, read_u8
from fastpath.dataplane.applayer.dcerpc_wire cimport (
    PDU_ALTER_CONTEXT, PDU_ALTER_CONTEXT_RESP, PDU_BIND, PDU_BIND_ACK, PDU_FIRST_FRAGMENT, PDU_HEADER, PDU_REQUEST, PDU_RESPONSE,
    PDU_UNKNOWN, add_interface, free_interfaces, interface_t, interfaces_t, pdu_t, put_uuid, read_16, read_interface, read_pdu,
    read_results, say_pdu_type, say_uuid, say_version,
)
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_key, say_text, say_uint, writer_t,
)
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_progress
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t
from fastpath.dataplane.wire.load cimport be16, be32, le16, le32

cdef enum:
    UDP = 17
    DATAGRAM_HEADER = 80        # C706 section 12.5.1
    DATAGRAM_FRAGMENT = 4, DATAGRAM_LAST = 2        # flags of a datagram

cdef struct dcerpc_tx_t:
    tx_t tx
    uint32_t call               # over UDP: the sequence number
    uint16_t item, opnum
    uint16_t fragments[2]
    uint8_t type[2]             # enum pdu_type
    bint requested              # a request has been seen
    bint little[2]              # the numbers of its stub are little-endian
    bint lost[2]                # behind a gap, or what is no datagram of it
    uint8_t activity[16]        # over UDP
    bytes_t stub[2]

cdef struct dcerpc_state_t:
    interfaces_t asked          # by the latest bind
    interfaces_t accepted       # of those, by the latest acknowledgment
    uint8_t minor               # version
    bint gap[2]
    bint had_gap[2]


cdef bint is_version(const uint8_t *data, uint32_t length, uint32_t version) noexcept nogil:
    return length >= 2 and data[0] == version and data[1] == 0


cdef uint32_t recognise(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags, uint32_t hint) noexcept nogil:
    """Over TCP by the header; over UDP a request, or what a server has to say to one."""
    cdef bint datagram = flags & PARSE_DATAGRAM != 0
    cdef uint32_t wanted = DATAGRAM_HEADER if datagram else PDU_HEADER
    cdef const uint8_t *labels = data + 4
    if length == 0:
        return RECOGNISED_NO
    if length < wanted:
        if datagram or data[0] != 5 or length > 1 and data[1]:
            return RECOGNISED_NO
        return RECOGNISED_MORE
    if datagram and (direction != TO_SERVER or not is_version(data, length, 4) or data[3] & 0xfc):
        return RECOGNISED_NO
    if not datagram and (not is_version(data, length, 5)):
        return RECOGNISED_NO
    return RECOGNISED_YES if labels[0] & 0xee == 0 and labels[1] <= 3 else RECOGNISED_NO


# ---- transactions ----

cdef dcerpc_tx_t *next_call(const dcerpc_tx_t *tx) noexcept nogil:
    return <dcerpc_tx_t *> tx.tx.next


cdef void complete(app_context_t *context, dcerpc_tx_t *tx, uint32_t direction) noexcept nogil:
    tx_progress(context, &tx.tx, direction, DCERPC_COMPLETE)
    tx.tx.flags |= TX_NEW
    context.app.flags |= APP_RAW_TO_CLIENT if direction == TO_CLIENT else APP_RAW_TO_SERVER


cdef bint is_complete(const dcerpc_tx_t *tx, uint32_t direction) noexcept nogil:
    return tx.tx.progress[direction] >= DCERPC_COMPLETE


cdef dcerpc_tx_t *new_call(app_context_t *context, uint32_t call) noexcept nogil:
    """NULL where memory is refused. Of too many the oldest is closed."""
    cdef dcerpc_tx_t *tx
    cdef dcerpc_tx_t *old = <dcerpc_tx_t *> context.app.first
    if context.config.dcerpc.max_tx and context.app.txs > context.config.dcerpc.max_tx:
        while old != NULL and is_complete(old, TO_SERVER) and is_complete(old, TO_CLIENT):
            old = next_call(old)
        if old != NULL:
            complete(context, old, TO_SERVER)
            complete(context, old, TO_CLIENT)
    tx = <dcerpc_tx_t *> new_tx(context, sizeof(dcerpc_tx_t))
    if tx != NULL:
        tx.call = call
        tx.type[TO_SERVER] = PDU_REQUEST
        tx.type[TO_CLIENT] = PDU_RESPONSE
    return tx


cdef uint8_t counterpart(uint8_t type) noexcept nogil:
    """What answers it, or what it answers."""
    if type == PDU_REQUEST:
        return PDU_RESPONSE
    if type == PDU_RESPONSE:
        return PDU_REQUEST
    if type == PDU_BIND or type == PDU_ALTER_CONTEXT:
        return <uint8_t> (type + 1)
    if type == PDU_BIND_ACK or type == PDU_ALTER_CONTEXT_RESP:
        return <uint8_t> (type - 1)
    return PDU_UNKNOWN


cdef dcerpc_tx_t *find_call(app_context_t *context, uint32_t direction, const pdu_t *pdu) noexcept nogil:
    """The call of this number, whose other side fits and this one is still to come; a fragment behind the first may be more of
    the
    latest one."""
    cdef dcerpc_tx_t *tx = <dcerpc_tx_t *> context.app.first
    cdef dcerpc_tx_t *latest = NULL
    while tx != NULL:
        if tx.call == pdu.call and tx.type[1 - direction] == counterpart(pdu.type):
            if not is_complete(tx, direction):
                return tx
            latest = tx
        tx = next_call(tx)
    return NULL if pdu.flags & PDU_FIRST_FRAGMENT else latest


cdef void add_stub(app_context_t *context, dcerpc_tx_t *tx, uint32_t direction, const cursor_t *stub, bint little) noexcept nogil:
    tx.tx.flags |= TX_NEW
    tx.little[direction] = little
    if <uint64_t> tx.stub[direction].length + cursor_left(stub) <= context.config.dcerpc.max_stub:
        bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.stub[direction], stub.at, cursor_left(stub))


# ---- over TCP ----

cdef bint take_bind(app_context_t *context, dcerpc_state_t *state, pdu_t *pdu) noexcept nogil:
    """A bind, or a change of it: the interfaces asked for are those of the latest one."""
    cdef interface_t interface
    cdef dcerpc_tx_t *tx
    cdef uint32_t count, _i
    read_bytes(&pdu.body, 8)
    count = read_u8(&pdu.body)
    read_bytes(&pdu.body, 3)
    if pdu.body.failed:
        return False
    state.asked.count = 0
    for _i in range(count):
        if not read_interface(&pdu.body, pdu.little, &interface):
            return False
        interface.first = pdu.flags & PDU_FIRST_FRAGMENT
        add_interface(context.pool, &state.asked, &interface)
    tx = new_call(context, pdu.call)
    if tx != NULL:
        tx.type[TO_SERVER] = pdu.type
        tx.fragments[TO_SERVER] = 1
        complete(context, tx, TO_SERVER)
    return True


cdef bint take_bind_ack(app_context_t *context, dcerpc_state_t *state, pdu_t *pdu) noexcept nogil:
    cdef interface_t *asked = state.asked.list
    cdef uint32_t count, i
    cdef cursor_t results
    cdef dcerpc_tx_t *tx
    count = read_results(&pdu.body)
    results = pdu.body
    read_bytes(&pdu.body, 24 * count)
    if pdu.body.failed:
        return False
    state.accepted.count = 0
    for i in range(min(count, state.asked.count)):
        asked[i].result = read_le16(&results)
        asked[i].answered = 1
        read_bytes(&results, 22)
        if asked[i].result == 0:
            add_interface(context.pool, &state.accepted, &asked[i])
    tx = find_call(context, TO_CLIENT, pdu)
    if tx == NULL:
        tx = new_call(context, pdu.call)
    if tx != NULL:
        tx.type[TO_CLIENT] = pdu.type
        tx.fragments[TO_CLIENT] = 1
        complete(context, tx, TO_CLIENT)
    return True


cdef bint take_stub(app_context_t *context, uint32_t direction, pdu_t *pdu) noexcept nogil:
    """A request, or a response: of that one, the fields before the stub count as stub. One without a stub is not over."""
    cdef uint16_t item = 0, opnum = 0
    cdef dcerpc_tx_t *tx
    if direction == TO_SERVER:
        read_bytes(&pdu.body, 4)
        item = read_16(&pdu.body, pdu.little)
        opnum = read_16(&pdu.body, pdu.little)
        if pdu.body.failed:
            return False
    tx = find_call(context, direction, pdu)
    if tx == NULL:
        tx = new_call(context, pdu.call)
    if tx == NULL:
        return True
    tx.type[direction] = pdu.type
    if direction == TO_SERVER:
        tx.item = item
        tx.opnum = opnum
        tx.requested = True
    if cursor_left(&pdu.body):
        add_stub(context, tx, direction, &pdu.body, pdu.little)
        tx.fragments[direction] = 1
        complete(context, tx, direction)
    return True


cdef bint take_pdu(app_context_t *context, dcerpc_state_t *state, uint32_t direction, pdu_t *pdu) noexcept nogil:
    """False for what ends the session: another type, or a malformed one."""
    if pdu.type == PDU_BIND or pdu.type == PDU_ALTER_CONTEXT:
        return take_bind(context, state, pdu)
    if pdu.type == PDU_BIND_ACK or pdu.type == PDU_ALTER_CONTEXT_RESP:
        return take_bind_ack(context, state, pdu)
    if pdu.type == PDU_REQUEST:
        return take_stub(context, TO_SERVER, pdu)
    return pdu.type == PDU_RESPONSE and take_stub(context, TO_CLIENT, pdu)


cdef void settle_after_gap(app_context_t *context, dcerpc_state_t *state, uint32_t direction) noexcept nogil:
    """What was under way before a gap is over; what was missing of it is lost."""
    cdef dcerpc_tx_t *tx = <dcerpc_tx_t *> context.app.first
    cdef uint32_t side
    while state.had_gap[direction] and tx != NULL:
        for side in range(direction + 1):
            if not is_complete(tx, side):
                tx.lost[side] = True
                complete(context, tx, side)
        tx = next_call(tx)


cdef parsed_t read_pdus(app_context_t *context, dcerpc_state_t *state, uint32_t direction, const uint8_t *data,
                        uint32_t length) noexcept nogil:
    cdef parsed_t parsed
    cdef pdu_t pdu
    cdef uint32_t at = 0
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_OK
    if state.gap[direction]:
        while at + 1 < length and not is_version(data + at, length - at, 5):
            at += 1
        parsed.consumed = at
        if at + 1 >= length:
            parsed.status = PARSE_NEED
            parsed.need = 2
            return parsed
        state.gap[direction] = False
    while at < length:
        parsed.consumed = at
        if not read_pdu(&pdu, data + at, length - at):
            parsed.status = PARSE_NEED
            parsed.need = PDU_HEADER
            return parsed
        if pdu.major != 5 or pdu.minor > 1:
            parsed.consumed = length
            parsed.status = PARSE_DONE
            return parsed
        if pdu.length > length - at:
            parsed.status = PARSE_NEED
            parsed.need = pdu.length
            return parsed
        state.minor = pdu.minor
        if pdu.length < PDU_HEADER:
            parsed.status = PARSE_ERROR
            return parsed
        pdu.body = cursor_over(data + at + PDU_HEADER, pdu.length - PDU_HEADER)
        if not take_pdu(context, state, direction, &pdu):
            parsed.status = PARSE_ERROR
            return parsed
        at += pdu.length
        parsed.consumed = at
        settle_after_gap(context, state, direction)
    return parsed


# ---- over UDP ----

cdef bint take_datagram(app_context_t *context, const uint8_t *data, uint32_t length) noexcept nogil:
    """False for what ends the session."""
    cdef bint little
    cdef uint32_t call, side
    cdef uint16_t size
    cdef uint8_t activity[16]
    cdef cursor_t stub
    cdef dcerpc_tx_t *tx
    if length < DATAGRAM_HEADER or data[0] != 4:
        return False
    little = data[4] != 0
    call = le32(data + 64) if little else be32(data + 64)
    size = le16(data + 74) if little else be16(data + 74)
    if length - DATAGRAM_HEADER < size or data[1] != PDU_REQUEST and data[1] != PDU_RESPONSE:
        return False
    put_uuid(activity, data + 40, True)                     # in whatever order the numbers are, as Suricata has it
    side = TO_SERVER if data[1] == PDU_REQUEST else TO_CLIENT
    stub = cursor_over(data + DATAGRAM_HEADER, size)
    tx = <dcerpc_tx_t *> context.app.first
    while tx != NULL and (tx.call != call or is_complete(tx, side) or memcmp(tx.activity, activity, 16) != 0):
        tx = next_call(tx)
    if tx == NULL:
        tx = new_call(context, call)
        if tx == NULL:
            return True
        memcpy(tx.activity, activity, 16)
    add_stub(context, tx, side, &stub, little)
    tx.fragments[side] += 1
    if not data[2] & DATAGRAM_FRAGMENT or data[2] & DATAGRAM_LAST:
        complete(context, tx, side)
    return True


cdef void give_up(app_context_t *context) noexcept nogil:
    """The exchanges of datagrams that are not over will not be."""
    cdef dcerpc_tx_t *tx = <dcerpc_tx_t *> context.app.first
    cdef uint32_t side
    while tx != NULL:
        for side in range(2):
            if not is_complete(tx, side):
                tx.lost[side] = True
                complete(context, tx, side)
        tx = next_call(tx)


# ---- the session ----

cdef parsed_t parse(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                    uint32_t flags) noexcept nogil:
    cdef dcerpc_state_t *state
    cdef parsed_t parsed
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_OK
    if context.app.state == NULL:
        context.app.state = pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(dcerpc_state_t))
    state = <dcerpc_state_t *> context.app.state
    if state == NULL:
        parsed.status = PARSE_ERROR
    elif context.flow.key.proto == UDP:
        if not take_datagram(context, data, length):
            give_up(context)
            parsed.status = PARSE_ERROR
    elif flags & PARSE_GAP:
        state.gap[direction] = state.had_gap[direction] = True
    elif length:
        parsed = read_pdus(context, state, direction, data, length)
    return parsed


cdef void free_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef dcerpc_tx_t *call = <dcerpc_tx_t *> tx
    bytes_free(context.pool, ACCOUNT_APPLAYER, &call.stub[TO_SERVER])
    bytes_free(context.pool, ACCOUNT_APPLAYER, &call.stub[TO_CLIENT])


cdef void free_state(app_context_t *context) noexcept nogil:
    cdef dcerpc_state_t *state = <dcerpc_state_t *> context.app.state
    if state == NULL:
        return
    free_interfaces(context.pool, &state.asked)
    free_interfaces(context.pool, &state.accepted)
    pool_give(context.pool, ACCOUNT_APPLAYER, state, sizeof(dcerpc_state_t))
    context.app.state = NULL


# ---- inspect buffers, and what it says ----

cdef uint32_t show(view_t *view, const uint8_t *data, uint32_t length) noexcept nogil:
    view.data = data
    view.length = length
    view.offset = 0
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY if length else VIEW_NONE


cdef uint32_t show_interface(app_context_t *context, const dcerpc_state_t *state, const dcerpc_tx_t *tx, uint32_t index,
                             view_t *view) noexcept nogil:
    """The index-th of those that the request may mean: accepted, and of its context."""
    cdef const interface_t *accepted = state.accepted.list
    cdef uint32_t i
    for i in range(state.accepted.count):
        if accepted[i].item != tx.item:
            continue
        if index == 0:
            memcpy(context.work.room, accepted[i].uuid, 16)
            memcpy(context.work.room + 16, &accepted[i].version, 2)
            context.work.room[18] = accepted[i].first
            return show(view, context.work.room, 19)
        index -= 1
    return VIEW_NONE


cdef uint32_t buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t which, uint32_t index,
                     view_t *view) noexcept nogil:
    cdef dcerpc_tx_t *call = <dcerpc_tx_t *> tx
    cdef uint32_t state
    cdef uint64_t number
    if which == BUFFER_DCERPC_IFACE:
        if not call.requested or call.type[TO_SERVER] != PDU_REQUEST and call.type[TO_CLIENT] != PDU_RESPONSE:
            return VIEW_NONE
        return show_interface(context, <const dcerpc_state_t *> context.app.state, call, index, view)
    if index:
        return VIEW_NONE
    if which == BUFFER_DCERPC_STUB_DATA:
        state = show(view, call.stub[direction].data, call.stub[direction].length)
        view.flags |= VIEW_LITTLE * call.little[direction]
        return state
    if which == BUFFER_DCERPC_OPNUM and call.requested:
        number = call.opnum
        memcpy(context.work.room, &number, sizeof(number))
        return show(view, context.work.room, sizeof(number))
    return VIEW_NONE


cdef void say_side(writer_t *writer, const dcerpc_tx_t *tx, uint32_t direction) noexcept nogil:
    put_key(writer, b"req" if direction == TO_SERVER else b"res")
    open_map(writer)
    if direction == TO_SERVER:
        say_uint(writer, b"opnum", tx.opnum)
    say_uint(writer, b"frag_cnt", tx.fragments[direction])
    say_uint(writer, b"stub_data_size", tx.stub[direction].length)
    close_nested(writer)


cdef void say_interfaces(writer_t *writer, const dcerpc_state_t *state) noexcept nogil:
    cdef const interface_t *asked = state.asked.list
    cdef uint32_t i
    put_key(writer, b"interfaces")
    open_array(writer)
    for i in range(state.asked.count):
        open_map(writer)
        say_uuid(writer, b"uuid", asked[i].uuid)
        say_version(writer, b"version", asked[i].version, asked[i].minor)
        say_uint(writer, b"ack_result", asked[i].result)
        close_nested(writer)
    close_nested(writer)


cdef uint32_t log(app_context_t *context, tx_t *tx, uint32_t kind, void *out) noexcept nogil:
    cdef const dcerpc_tx_t *call = <const dcerpc_tx_t *> tx
    cdef const dcerpc_state_t *state = <const dcerpc_state_t *> context.app.state
    cdef writer_t *writer = <writer_t *> out
    if kind == LOG_TO_SERVER or state == NULL:
        return False
    # over UDP nothing tells that no answer will come
    if kind == LOG_TO_CLIENT and context.flow.key.proto == UDP and not (is_complete(call, TO_SERVER) and is_complete(call,
                                                                                                                     TO_CLIENT)):
        return False
    put_key(writer, b"dcerpc")
    open_map(writer)
    if is_complete(call, TO_SERVER) and not call.lost[TO_SERVER]:
        say_pdu_type(writer, b"request", call.type[TO_SERVER])
        if call.type[TO_SERVER] == PDU_REQUEST:
            say_side(writer, call, TO_SERVER)
        elif call.type[TO_SERVER] == PDU_BIND:
            say_interfaces(writer, state)
    else:
        say_text(writer, b"request", b"REQUEST_LOST")
    if is_complete(call, TO_CLIENT) and not call.lost[TO_CLIENT]:
        say_pdu_type(writer, b"response", call.type[TO_CLIENT])
        if call.type[TO_CLIENT] == PDU_RESPONSE:
            say_side(writer, call, TO_CLIENT)
    else:
        say_text(writer, b"response", b"UNREPLIED")
    if context.flow.key.proto == UDP:
        say_uuid(writer, b"activityuuid", call.activity)
        say_uint(writer, b"seqnum", call.call)
        say_text(writer, b"rpc_version", b"4.0")
    else:
        say_uint(writer, b"call_id", call.call)
        say_version(writer, b"rpc_version", 5, state.minor)
    close_nested(writer)
    return True


cdef void describe_dcerpc(room_t *room) noexcept nogil:
    room.name = b"dcerpc"
    room.proto = ALPROTO_DCERPC
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = DCERPC_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = DCERPC_COMPLETE
    room.datagrams = 2
    room.gaps = 1
    room.recognise = recognise
    room.parse = parse
    room.buffer = buffer
    room.log = log
    room.free_tx = free_tx
    room.free_state = free_state
