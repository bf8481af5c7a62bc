# DCE RPC through the named pipes of SMB: what WRITE, READ, TRANS and IOCTL carry.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, strlen

from fastpath.dataplane.applayer.applayer cimport SMB_COMPLETE, SMB_MALFORMED_DATA, TX_NEW, app_context_t
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_t, read_be16, read_bytes, read_le16, read_u8
from fastpath.dataplane.applayer.dcerpc_wire cimport (
    PDU_BIND, PDU_BIND_ACK, PDU_FIRST_FRAGMENT, PDU_LAST, PDU_LAST_FRAGMENT, PDU_REQUEST, PDU_RESPONSE, PDU_STUB,
    add_interface, free_interfaces, interface_t, interfaces_t, pdu_t, put_uuid, read_pdu, read_results, read_stub,
)
from fastpath.dataplane.applayer.smb_state cimport (
    HEADER_FRAGMENT, SMB_DCERPC, TEXT_STUB, complete, drop_memo, fid_t, file_memo, find_memo, find_smb, header_t, keep_memo,
    memo_key, memo_key_t, memo_t, new_header, new_smb, next_smb, note, set_status, smb_state_t, smb_tx_t,
)
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef enum:
    STATUS_SUCCESS = 0, STATUS_PENDING = 0x103, STATUS_BUFFER_OVERFLOW = 0x80000005, STATUS_END_OF_FILE = 0xc0000011
    SMB2_READ = 8, SMB2_WRITE = 9
    FRAGMENT_MAX = 1 << 17      # held of a record that comes in pieces

cdef struct carrier_t:          # the SMB message around it
    header_t header
    uint8_t version
    uint16_t command
    bint has_status
    uint32_t status


cdef inline carrier_t new_carrier(const header_t *header, uint32_t version, uint32_t command) noexcept nogil:
    cdef carrier_t carrier
    carrier.header = header[0]
    carrier.version = <uint8_t> version
    carrier.command = <uint16_t> command
    carrier.has_status = False
    carrier.status = STATUS_SUCCESS
    return carrier


cdef inline bint looks_like_rpc(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef pdu_t pdu
    return read_pdu(&pdu, data, length) and pdu.major == 5 and pdu.minor < 3 and pdu.length > 0 and pdu.type <= PDU_LAST


cdef inline smb_tx_t *find_call(app_context_t *context, const carrier_t *carrier, uint32_t id) noexcept nogil:
    """The call of this number in the same session; where question and answer are one SMB exchange, with its message too."""
    cdef bint by_message = carrier.version == 2 and carrier.command != SMB2_READ and carrier.command != SMB2_WRITE
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while tx != NULL and not (tx.kind == SMB_DCERPC and tx.call.id == id and tx.header.session == carrier.header.session
                              and (not by_message or tx.header.message == carrier.header.message)):
        tx = next_smb(tx)
    return tx


cdef inline void add_stub(app_context_t *context, smb_tx_t *tx, uint32_t direction, const cursor_t *stub) noexcept nogil:
    cdef bytes_t *kept = &tx.text[TEXT_STUB + direction]
    tx.call.fragments[direction] += 1
    tx.tx.flags |= TX_NEW
    if <uint64_t> kept.length + cursor_left(stub) <= context.config.dcerpc.max_stub:
        bytes_append(context.pool, ACCOUNT_APPLAYER, kept, stub.at, cursor_left(stub))


cdef inline bint read_pipe_interface(cursor_t *cursor, bint little, interface_t *interface) noexcept nogil:
    """One item of a bind, which is numbered little-endian in any case."""
    cdef const uint8_t *uuid
    read_le16(cursor)                                       # its number
    read_bytes(cursor, 2)
    uuid = read_bytes(cursor, 16)
    if little:
        interface.version = read_le16(cursor)
        interface.minor = read_le16(cursor)
    else:
        interface.minor = read_be16(cursor)
        interface.version = read_be16(cursor)
    read_bytes(cursor, 20)
    if cursor.failed:
        return False
    put_uuid(interface.uuid, uuid, little)
    interface.item = interface.result = interface.reason = 0
    interface.answered = 0
    interface.first = 1
    return True


cdef inline bint take_bind(app_context_t *context, smb_state_t *state, pdu_t *pdu) noexcept nogil:
    """The interfaces of the session are those of the latest bind."""
    cdef interface_t interface
    cdef interfaces_t asked
    cdef uint32_t count, _i
    asked.list = NULL
    asked.count = asked.room = 0
    read_bytes(&pdu.body, 8)
    count = read_u8(&pdu.body)
    read_bytes(&pdu.body, 3)
    for _i in range(count):
        if not read_pipe_interface(&pdu.body, pdu.little, &interface):
            break
        add_interface(context.pool, &asked, &interface)
    if pdu.body.failed:
        free_interfaces(context.pool, &asked)
        return False
    free_interfaces(context.pool, &state.interfaces)
    state.interfaces = asked
    return True


cdef inline void take_question(app_context_t *context, smb_state_t *state, const carrier_t *carrier, const uint8_t *data,
                               uint32_t length) noexcept nogil:
    cdef pdu_t pdu
    cdef cursor_t stub
    cdef uint16_t item = 0, opnum = 0
    cdef smb_tx_t *tx
    if not read_pdu(&pdu, data, length):
        note(context, SMB_MALFORMED_DATA)
        return
    if pdu.type == PDU_REQUEST and not pdu.flags & PDU_FIRST_FRAGMENT:
        stub = read_stub(&pdu, &item, &opnum)
        if stub.failed:
            note(context, SMB_MALFORMED_DATA)
            return
        tx = find_call(context, carrier, pdu.call)
        if tx != NULL:
            add_stub(context, tx, TO_SERVER, &stub)
            if pdu.flags & PDU_LAST_FRAGMENT:
                complete(context, tx, TO_SERVER)
        return
    tx = new_smb(context, SMB_DCERPC, carrier.version, carrier.command, &carrier.header)
    if tx == NULL:
        return
    if carrier.has_status:
        set_status(tx, carrier.status, False)
    tx.call.id = pdu.call
    tx.call.request = pdu.type
    tx.call.asked = True
    if pdu.type == PDU_REQUEST:
        stub = read_stub(&pdu, &item, &opnum)
        if stub.failed:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)
        else:
            tx.call.opnum = opnum
            tx.call.item = item
            add_stub(context, tx, TO_SERVER, &stub)
        if stub.failed or pdu.flags & PDU_LAST_FRAGMENT:
            complete(context, tx, TO_SERVER)
        return
    if pdu.type == PDU_BIND and not take_bind(context, state, &pdu) or pdu.type > PDU_LAST:
        tx_event(&tx.tx, SMB_MALFORMED_DATA)
    complete(context, tx, TO_SERVER)


cdef inline void take_bind_ack(app_context_t *context, smb_state_t *state, const carrier_t *carrier, pdu_t *pdu) noexcept nogil:
    cdef uint32_t count, i
    cdef cursor_t results
    cdef interface_t *interfaces = state.interfaces.list
    cdef smb_tx_t *tx
    count = read_results(&pdu.body)
    results = pdu.body
    read_bytes(&pdu.body, 24 * count)
    if pdu.body.failed:
        note(context, SMB_MALFORMED_DATA)
        return
    tx = find_call(context, carrier, pdu.call)
    if tx == NULL:
        return
    tx.call.answered = True
    tx.call.response = PDU_BIND_ACK
    set_status(tx, carrier.status, False)
    complete(context, tx, TO_CLIENT)
    for i in range(min(count, state.interfaces.count)):
        interfaces[i].result = read_le16(&results)
        read_bytes(&results, 22)
        interfaces[i].answered = 1


cdef inline void take_reply(app_context_t *context, smb_tx_t *tx, const carrier_t *carrier, pdu_t *pdu) noexcept nogil:
    cdef uint16_t item = 0, opnum = 0
    cdef cursor_t stub
    if pdu.type == PDU_RESPONSE:
        stub = read_stub(pdu, &item, &opnum)
        if stub.failed:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)
            return
        add_stub(context, tx, TO_CLIENT, &stub)
    elif pdu.type > PDU_LAST:
        tx_event(&tx.tx, SMB_MALFORMED_DATA)
    tx.call.answered = True
    tx.call.response = pdu.type
    set_status(tx, carrier.status, False)
    if pdu.type != PDU_RESPONSE or pdu.flags & PDU_LAST_FRAGMENT:
        complete(context, tx, TO_CLIENT)


cdef inline void take_answer(app_context_t *context, smb_state_t *state, const carrier_t *carrier, const fid_t *fid,
                             const uint8_t *data, uint32_t length) noexcept nogil:
    """A record that is longer than a read was comes with the reads that follow."""
    cdef header_t header = new_header(HEADER_FRAGMENT, carrier.header.session, carrier.header.tree, 0)
    cdef memo_key_t key = memo_key(&header, fid)
    cdef memo_t *memo
    cdef pdu_t pdu
    cdef smb_tx_t *tx
    if carrier.status != STATUS_SUCCESS and carrier.status != STATUS_BUFFER_OVERFLOW:
        tx = find_smb(context, carrier.version, carrier.command, &carrier.header)
        if tx != NULL:
            set_status(tx, carrier.status, False)
            complete(context, tx, TO_CLIENT)
        return
    memo = find_memo(state, &key)
    if memo != NULL:
        if memo.text.length + length > FRAGMENT_MAX \
                or not bytes_append(context.pool, ACCOUNT_APPLAYER, &memo.text, data, length):
            drop_memo(context, state, memo)
            return
        data = memo.text.data
        length = memo.text.length
    if length == 0:
        return
    if not read_pdu(&pdu, data, length):
        note(context, SMB_MALFORMED_DATA)
    elif carrier.status == STATUS_BUFFER_OVERFLOW and length < pdu.length:
        if memo == NULL:
            memo = keep_memo(context, state, &key)
            if memo != NULL:
                bytes_append(context.pool, ACCOUNT_APPLAYER, &memo.text, data, length)
        return
    elif pdu.type == PDU_BIND_ACK:
        take_bind_ack(context, state, carrier, &pdu)
    else:
        tx = find_call(context, carrier, pdu.call)
        if tx == NULL:                                      # the question was not seen
            tx = new_smb(context, SMB_DCERPC, carrier.version, carrier.command, &carrier.header)
            if tx != NULL:
                tx.call.id = pdu.call
        if tx != NULL:
            take_reply(context, tx, carrier, &pdu)
    drop_memo(context, state, memo)


cdef inline bint is_rpc_pipe(const smb_state_t *state, const fid_t *fid) noexcept nogil:
    """Is the file a named pipe that is known to carry DCE RPC?"""
    cdef const memo_t *memo = file_memo(state, fid)
    cdef const char **names = [b"svcctl", b"srvsvc", b"atsvc", b"lsarpc", b"samr", b"spoolss", b"winreg", b"suricata::dcerpc"]
    cdef const uint8_t *name
    cdef uint32_t length, i
    if memo == NULL:
        return False
    name = memo.text.data
    length = memo.text.length
    if length > 1 and name[0] == 92:
        name += 1
        length -= 1
    for i in range(8):
        if length == strlen(names[i]) and memcmp(name, names[i], length) == 0:
            return True
    return False
