# See smb.pxd.
#
# A record of a NetBIOS session is read when it is whole, but for WRITE and READ, whose bytes are passed on as they come. Behind
# a gap the next record is sought by its magic number.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.dcerpc_wire cimport PDU_REQUEST, free_interfaces, interface_t
from fastpath.dataplane.applayer.files cimport file_at, file_forget, file_view
from fastpath.dataplane.applayer.msgpack cimport writer_t
from fastpath.dataplane.applayer.smb1 cimport READ1, SMB1_HEADER, WRITE_ANDX1, read_smb1, take_message1, take_read1, take_write1
from fastpath.dataplane.applayer.smb2 cimport READ2, WRITE2, read_smb2, take_read2, take_request2, take_response2, take_write2
from fastpath.dataplane.applayer.smb_log cimport say_smb
from fastpath.dataplane.applayer.smb_state cimport (
    HEADER_SHARE, SMB_DCERPC, SMB_FILE, SMB_SETUP, SMB_TEXTS, SMB_TREE, TEXT_DOMAIN, TEXT_NAME, TEXT_STUB, complete, drop_memo,
    find_file, memo_at, memo_t, next_smb, note, record_t, smb_state_t, smb_tx_t,
)
from fastpath.dataplane.applayer.smb_track cimport drop_chunks, track_more, track_truncate
from fastpath.dataplane.pool cimport bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be24

cdef enum:
    NBSS_HEADER = 4
    NBSS_MESSAGE = 0x00, NBSS_REQUEST = 0x81, NBSS_KEEP_ALIVE = 0x85
    RECORD_LEAST = 36           # headers of NBSS and SMB 1
    PART_LEAST = 512            # of a record that is not whole, to be looked at
    GAP_SECONDS = 60            # for which a file is waited for behind a gap
    GAP_QUEUE = 2000000         # bytes of a file that wait behind a gap
    SECOND = 1000000000


cdef bint is_magic(const uint8_t *data) noexcept nogil:
    return 0xfd <= data[0] and data[1] == 83 and data[2] == 77 and data[3] == 66


cdef bint is_session_type(uint8_t kind) noexcept nogil:
    return kind == NBSS_MESSAGE or NBSS_REQUEST <= kind <= NBSS_KEEP_ALIVE


# ---- recognition ----

cdef uint32_t recognise(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags, uint32_t hint) noexcept nogil:
    """By the magic number behind the first header; before it there may be one short message of another kind."""
    cdef uint32_t size
    cdef bint beginning = length >= 8 and is_magic(data + 4)
    if length == 0:
        return RECOGNISED_NO
    if not beginning and not hint:
        return RECOGNISED_MORE if length < 8 and is_session_type(data[0]) else RECOGNISED_NO
    if length < RECORD_LEAST:
        return RECOGNISED_MORE
    if not is_session_type(data[0]):
        return RECOGNISED_NO
    if beginning:
        return RECOGNISED_YES
    size = be24(data + 1)
    if data[0] != NBSS_MESSAGE:
        if length >= NBSS_HEADER + size + 8:
            return RECOGNISED_YES if is_magic(data + NBSS_HEADER + size + 4) else RECOGNISED_NO
        if size < 256:
            return RECOGNISED_MORE
    return RECOGNISED_NO


# ---- bytes that belong to no record at work ----

cdef uint32_t pass_file(app_context_t *context, smb_state_t *state, uint32_t direction, const uint8_t *data,
                        uint32_t length) noexcept nogil:
    """The rest of a piece of a file; data NULL: a gap. Returns how many bytes it took."""
    cdef uint32_t left = min(state.file_left[direction], length)
    cdef smb_tx_t *tx
    if left == 0:
        return 0
    state.file_left[direction] -= left
    tx = find_file(context, &state.file_fid[direction], direction, True)
    if tx == NULL:
        return 0
    if (state.had_gap[0] or state.had_gap[1]) and tx.track.queued > GAP_QUEUE:
        track_truncate(context, tx)
    tx.track.closes = 0
    return track_more(context, tx, data, left)


cdef uint32_t pass_skipped(smb_state_t *state, uint32_t direction, uint32_t length) noexcept nogil:
    cdef uint32_t taken = min(state.skip[direction], length)
    state.skip[direction] -= taken
    return taken


cdef bint find_record(const uint8_t *data, uint32_t length, uint32_t *at) noexcept nogil:
    """Where the next record begins, its NBSS header included; False, and from where on to look again."""
    cdef uint32_t i = 4
    while i + 4 <= length:
        if is_magic(data + i) and data[i - 4] == NBSS_MESSAGE:
            at[0] = i - 4
            return True
        i += 1
    at[0] = length - min(length, <uint32_t> 7)
    return False


# ---- records ----

cdef bint take_chain(app_context_t *context, smb_state_t *state, uint32_t direction, const uint8_t *data,
                     uint32_t length) noexcept nogil:
    """Messages of SMB 2, one behind the other. False where one is none."""
    cdef record_t record
    cdef uint32_t size
    while length:
        size = read_smb2(&record, data, length, direction == TO_CLIENT)
        if size == 0:
            return False
        if record.response == (direction == TO_CLIENT):
            if record.response:
                take_response2(context, state, &record)
            else:
                record.status = 0
                take_request2(context, state, &record)
        data += size
        length -= size
    return True


cdef bint pass_encrypted(const uint8_t *data, uint32_t length) noexcept nogil:
    """Messages of SMB 3 whose content is not for us (MS-SMB2 2.2.41). False where one is cut."""
    cdef uint32_t size
    while length:
        if length < 52 or not is_magic(data) or data[0] != 0xfd:
            return False
        size = data[36] | data[37] << 8 | data[38] << 16 | <uint32_t> data[39] << 24
        if length - 52 < size:
            return False
        data += 52 + size
        length -= 52 + size
    return True


cdef bint take_record(app_context_t *context, smb_state_t *state, uint32_t direction, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    """What one session message carries. False where the parser has lost its way."""
    cdef record_t record
    cdef bint good
    if length < 4:
        good = direction == TO_CLIENT
    elif memcmp(data + 1, b"SMB", 3) != 0:
        good = False
    elif data[0] == 0xff:
        good = read_smb1(&record, data, length)
        if good and record.response == (direction == TO_CLIENT):
            take_message1(context, state, &record)
    elif data[0] == 0xfe:
        good = take_chain(context, state, direction, data, length)
    else:
        good = data[0] != 0xfd or pass_encrypted(data, length)
    if not good:
        note(context, SMB_MALFORMED_DATA)
    return good


cdef bint take_part(app_context_t *context, smb_state_t *state, uint32_t direction, const uint8_t *data,
                    uint32_t length) noexcept nogil:
    """The beginning of a session message: is it a WRITE or a READ of a file, whose rest may come as it does?"""
    cdef record_t record
    cdef memo_t *tree
    if length < NBSS_HEADER + 4 or data[0] != NBSS_MESSAGE or not is_magic(data + NBSS_HEADER):
        return False
    data += NBSS_HEADER
    length -= NBSS_HEADER
    if data[0] == 0xfe:
        if not read_smb2(&record, data, length, direction == TO_CLIENT):
            return False
        if record.command == (WRITE2 if direction == TO_SERVER else READ2):
            if direction == TO_SERVER:
                record.status = 0
                take_write2(context, state, &record)
            else:
                take_read2(context, state, &record)
            return True
    elif data[0] == 0xff and read_smb1(&record, data, length):
        if record.command == (WRITE_ANDX1 if direction == TO_SERVER else READ1):
            tree = memo_at(state, &record, HEADER_SHARE)
            if tree != NULL and tree.pipe:
                return False
            if direction == TO_SERVER:
                take_write1(context, state, &record, WRITE_ANDX1, SMB1_HEADER)
            else:
                take_read1(context, state, &record, SMB1_HEADER)
            return True
    return False


cdef void end_lost(app_context_t *context, uint32_t direction) noexcept nogil:
    """Nothing more will be understood of a direction."""
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while tx != NULL:
        complete(context, tx, direction)
        tx = next_smb(tx)


cdef void settle_after_gap(app_context_t *context, smb_state_t *state, uint32_t direction) noexcept nogil:
    """What was under way before a gap is over, but for files, which are waited for some time."""
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while state.had_gap[direction] and tx != NULL and &tx.tx != context.app.last:
        if tx.kind == SMB_FILE:
            if tx.track.closes == 0:
                tx.track.closes = context.now + GAP_SECONDS * <uint64_t> SECOND
                state.files_after_gap = True
        else:
            complete(context, tx, TO_SERVER)
            if direction == TO_CLIENT:
                complete(context, tx, TO_CLIENT)
        tx = next_smb(tx)
    if not state.files_after_gap:
        return
    tx = <smb_tx_t *> context.app.first
    state.files_after_gap = False
    while tx != NULL:
        if tx.kind == SMB_FILE and tx.track.closes:
            if context.now > tx.track.closes:
                complete(context, tx, TO_SERVER)
                complete(context, tx, TO_CLIENT)
                track_truncate(context, tx)
            else:
                state.files_after_gap = True
        tx = next_smb(tx)


# ---- the session ----

cdef smb_state_t *state_of(app_context_t *context) noexcept nogil:
    """Made at the first call; NULL where memory is refused."""
    if context.app.state == NULL:
        context.app.state = pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(smb_state_t))
    return <smb_state_t *> context.app.state


cdef parsed_t read_records(app_context_t *context, smb_state_t *state, uint32_t direction, const uint8_t *data,
                           uint32_t length) noexcept nogil:
    cdef parsed_t parsed
    cdef uint32_t at, size, missing
    at = pass_skipped(state, direction, length)
    at += pass_file(context, state, direction, data + at, length - at)
    parsed.consumed = at
    parsed.need = 0
    parsed.status = PARSE_OK
    if at < length and state.gap[direction]:
        if not find_record(data + at, length - at, &size):
            parsed.consumed = at + size
            parsed.need = length - parsed.consumed + 1
            parsed.status = PARSE_NEED
            return parsed
        at += size
        state.gap[direction] = False
    while at < length:
        parsed.consumed = at
        size = NBSS_HEADER + be24(data + at + 1) if length - at >= NBSS_HEADER else 0
        if size and length - at >= size:
            if data[at] == NBSS_MESSAGE and not take_record(context, state, direction, data + at + NBSS_HEADER,
                                                            size - NBSS_HEADER):
                parsed.status = PARSE_ERROR
                return parsed
            at += size
            parsed.consumed = at
            continue
        parsed.status = PARSE_NEED
        if size == 0:
            parsed.need = NBSS_HEADER
            return parsed
        missing = size - (length - at)
        if length - at < PART_LEAST:
            if missing < PART_LEAST and length - at > 8 and not (is_session_type(data[at]) and is_magic(data + at + NBSS_HEADER)):
                end_lost(context, direction)
            parsed.need = PART_LEAST if missing >= PART_LEAST else length - at + 1
            return parsed
        if take_part(context, state, direction, data + at, length - at):
            parsed.consumed = length
            parsed.status = PARSE_OK
            return parsed
        parsed.need = size
        return parsed
    settle_after_gap(context, state, direction)
    return parsed


cdef parsed_t parse(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                    uint32_t flags) noexcept nogil:
    cdef smb_state_t *state = state_of(context)
    cdef parsed_t parsed
    cdef uint32_t passed
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_ERROR
    if state == NULL:
        return parsed
    parsed.status = PARSE_OK
    if flags & PARSE_GAP:
        passed = pass_skipped(state, direction, length)
        pass_file(context, state, direction, NULL, length - passed)
        state.gap[direction] = state.had_gap[direction] = True
    elif length:
        parsed = read_records(context, state, direction, data, length)
    return parsed


cdef void free_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef smb_tx_t *smb = <smb_tx_t *> tx
    cdef uint32_t i
    for i in range(SMB_TEXTS):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &smb.text[i])
    bytes_free(context.pool, ACCOUNT_APPLAYER, &smb.realm)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &smb.names)
    drop_chunks(context, &smb.track)


cdef void free_state(app_context_t *context) noexcept nogil:
    cdef smb_state_t *state = <smb_state_t *> context.app.state
    if state == NULL:
        return
    while state.oldest != NULL:
        drop_memo(context, state, state.oldest)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &state.dialect_name)
    free_interfaces(context.pool, &state.interfaces)
    pool_give(context.pool, ACCOUNT_APPLAYER, state, sizeof(smb_state_t))
    context.app.state = NULL


# ---- inspect buffers, and what it says ----

cdef uint32_t show(view_t *view, const uint8_t *data, uint32_t length) noexcept nogil:
    view.data = data
    view.length = length
    view.offset = 0
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY if length else VIEW_NONE


cdef uint32_t show_interface(app_context_t *context, const smb_state_t *state, uint32_t index, view_t *view) noexcept nogil:
    """The index-th of those that the server accepted."""
    cdef const interface_t *interface = state.interfaces.list
    cdef uint32_t i
    for i in range(state.interfaces.count):
        if not interface[i].answered or interface[i].result:
            continue
        if index == 0:
            memcpy(context.work.room, interface[i].uuid, 16)
            memcpy(context.work.room + 16, &interface[i].version, 2)
            context.work.room[18] = interface[i].first
            return show(view, context.work.room, 19)
        index -= 1
    return VIEW_NONE


cdef uint32_t show_file(tx_t *tx, uint32_t direction, uint32_t which, uint32_t index, view_t *view) noexcept nogil:
    cdef file_t *file = file_at(tx, direction, index)
    if file == NULL:
        return VIEW_NONE
    if which == BUFFER_FILE_DATA:
        return file_view(file, 0, 0, False, view)
    if which == BUFFER_FILE_NAME:
        return show(view, file.name.data, file.name.length)
    return VIEW_NONE


cdef uint32_t buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t which, uint32_t index,
                     view_t *view) noexcept nogil:
    cdef smb_tx_t *smb = <smb_tx_t *> tx
    cdef const smb_state_t *state = <const smb_state_t *> context.app.state
    cdef uint64_t number
    if BUFFER_FILE_DATA <= which <= BUFFER_FILE_FACTS:
        return show_file(tx, direction, which, index, view)
    if which == BUFFER_DCERPC_IFACE and smb.kind == SMB_DCERPC and smb.call.request == PDU_REQUEST:
        return show_interface(context, state, index, view)
    if index:
        return VIEW_NONE
    if smb.kind == SMB_TREE:
        if which == (BUFFER_SMB_NAMED_PIPE if smb.pipe else BUFFER_SMB_SHARE):
            return show(view, smb.text[TEXT_NAME].data, smb.text[TEXT_NAME].length)
    elif smb.kind == SMB_SETUP and smb.has_ntlm:
        if which == BUFFER_SMB_NTLMSSP_USER:
            return show(view, smb.text[TEXT_NAME].data, smb.text[TEXT_NAME].length)
        if which == BUFFER_SMB_NTLMSSP_DOMAIN:
            return show(view, smb.text[TEXT_DOMAIN].data, smb.text[TEXT_DOMAIN].length)
    elif smb.kind == SMB_DCERPC:
        if which == BUFFER_DCERPC_STUB_DATA:
            return show(view, smb.text[TEXT_STUB + direction].data, smb.text[TEXT_STUB + direction].length)
        if which == BUFFER_DCERPC_OPNUM and smb.call.request == PDU_REQUEST:
            number = smb.call.opnum
            memcpy(context.work.room, &number, sizeof(number))
            return show(view, context.work.room, sizeof(number))
    return VIEW_NONE


cdef void inspected(app_context_t *context, tx_t *tx, uint32_t direction) noexcept nogil:
    cdef file_t *file = tx.files[direction]
    while file != NULL:
        file.inspected = file.size
        file_forget(file, file.size)
        file = file.next


cdef uint32_t log(app_context_t *context, tx_t *tx, uint32_t kind, void *writer) noexcept nogil:
    if kind == LOG_TO_SERVER or context.app.state == NULL:
        return False
    say_smb(<writer_t *> writer, <const smb_state_t *> context.app.state, <const smb_tx_t *> tx)
    return True


cdef void describe_smb(room_t *room) noexcept nogil:
    room.name = b"smb"
    room.proto = ALPROTO_SMB
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = SMB_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = SMB_COMPLETE
    room.gaps = 1
    room.inert = True
    room.recognise = recognise
    room.parse = parse
    room.buffer = buffer
    room.inspected = inspected
    room.log = log
    room.free_tx = free_tx
    room.free_state = free_state
