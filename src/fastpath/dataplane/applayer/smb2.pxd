# SMB 2 and 3 (MS-SMB2): what requests and responses say, and which answer which.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport (
    SMB_FILE_OVERLAP, SMB_MALFORMED_DATA, SMB_READ_REQUEST_TOO_LARGE, SMB_READ_RESPONSE_TOO_LARGE, SMB_WRITE_REQUEST_TOO_LARGE,
    app_context_t,
)
from fastpath.dataplane.applayer.cursor cimport (
    cursor_left, cursor_over, cursor_t, read_bytes, read_le16, read_le32, read_le64, read_u8, read_within,
)
from fastpath.dataplane.applayer.ntlmssp cimport take_security
from fastpath.dataplane.applayer.smb_files cimport (
    NO_PIPE, PIPE, RPC_PIPE, expect_rest, open_file_tx, piece_t, pipe_of, skip_rest, take_piece,
)
from fastpath.dataplane.applayer.smb_rpc cimport (
    STATUS_BUFFER_OVERFLOW, STATUS_END_OF_FILE, STATUS_PENDING, STATUS_SUCCESS, carrier_t, is_rpc_pipe, new_carrier, take_answer,
    take_question,
)
from fastpath.dataplane.applayer.smb_state cimport (
    HEADER_ANY, HEADER_GENERIC, HEADER_NAME, HEADER_OFFSET, HEADER_SHARE, HEADER_TREE, SMB_CREATE, SMB_FILE, SMB_GENERIC, SMB_IOCTL,
    SMB_NEGOTIATE, SMB_RENAME, SMB_SET_INFO, SMB_SETUP, SMB_TREE, TEXT_NAME, TEXT_TO, complete, drop_memo, fid_of, fid_t, file_memo,
    find_file, find_kind, find_negotiate, find_smb, header_of, header_t, is_complete, keep_at, keep_file, memo_at, memo_key,
    memo_key_t, find_memo, memo_t, new_header, new_smb, note, record_t, set_narrow, set_status, set_text, smb_state_t, smb_tx_t,
)
from fastpath.dataplane.applayer.smb_track cimport track_close
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef enum smb2_command:
    NEGOTIATE2 = 0, SETUP2 = 1, TREE_CONNECT2 = 3, TREE_DISCONNECT2 = 4, CREATE2 = 5, CLOSE2 = 6, READ2 = 8, WRITE2 = 9
    IOCTL2 = 11, GET_INFO2 = 16, SET_INFO2 = 17

cdef enum:
    SMB2_HEADER = 64
    SMB2_RESPONSE = 1, SMB2_ASYNC = 2       # flags
    CREATE_DIRECTORY = 1, CREATE_DELETE_ON_CLOSE = 0x1000
    FSCTL_PIPE_TRANSCEIVE = 0x0011c017
    SHARE_PIPE = 2
    INFO_FILE = 1, INFO_RENAME = 10, INFO_DISPOSITION = 13, INFO_END_OF_FILE = 20


cdef inline uint32_t read_smb2(record_t *record, const uint8_t *data, uint32_t length, bint response) noexcept nogil:
    """One message of a chain. Returns its size; 0 for what is no message."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint32_t header, flags, following
    read_bytes(&cursor, 4)
    header = read_le16(&cursor)
    read_bytes(&cursor, 2)
    record.status = read_le32(&cursor)
    record.command = read_le16(&cursor)
    read_bytes(&cursor, 2)
    flags = read_le32(&cursor)
    following = read_le32(&cursor)
    record.message = read_le64(&cursor)
    record.tree = 0
    if response and flags & SMB2_ASYNC:
        read_bytes(&cursor, 8)
    else:
        read_bytes(&cursor, 4)
        record.tree = read_le32(&cursor)
    record.session = read_le64(&cursor)
    read_bytes(&cursor, 16)
    record.version = 2
    record.response = flags & SMB2_RESPONSE != 0
    record.unicode = True
    record.dos_status = False
    if cursor.failed or data[0] != 0xfe or data[1] != 83 or data[2] != 77 or data[3] != 66:
        return 0
    record.data = cursor.at
    record.length = cursor_left(&cursor)
    if following > header:
        if following - header > record.length:
            return 0
        record.length = following - header
    return SMB2_HEADER + record.length


cdef inline bint has_exchange(uint32_t command) noexcept nogil:
    """Is one request with its answer a transaction?"""
    return command != READ2 and command != WRITE2 and command != GET_INFO2 and command != SET_INFO2


cdef inline void add_fid(cursor_t *cursor, fid_t *fid) noexcept nogil:
    cdef const uint8_t *data = read_bytes(cursor, 16)
    fid[0] = fid_of(data, 16 if data != NULL else 0)


# ---- pieces of files ----

cdef inline void take_write2(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    """The message may be cut: what is missing comes as bytes of the file."""
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef piece_t piece
    cdef carrier_t carrier
    cdef header_t header
    cdef memo_t *name
    cdef smb_tx_t *tx
    cdef uint32_t pipe
    read_bytes(&cursor, 4)
    piece.size = read_le32(&cursor)
    piece.offset = read_le64(&cursor)
    add_fid(&cursor, &piece.fid)
    read_bytes(&cursor, 16)
    if cursor.failed:
        note(context, SMB_MALFORMED_DATA)
        return
    piece.data = cursor.at
    piece.length = min(cursor_left(&cursor), piece.size)
    if state.max_write and piece.size > state.max_write:
        note(context, SMB_WRITE_REQUEST_TOO_LARGE)
        skip_rest(state, TO_SERVER, &piece)
        return
    name = file_memo(state, &piece.fid)
    tx = find_file(context, &piece.fid, TO_SERVER, True)
    if tx == NULL:
        pipe = pipe_of(context, state, record, &piece)
        if pipe == RPC_PIPE:
            header = header_of(record, HEADER_ANY)
            carrier = new_carrier(&header, 2, WRITE2)
            take_question(context, state, &carrier, piece.data, piece.length)
        elif pipe == PIPE:
            skip_rest(state, TO_SERVER, &piece)
        else:
            tx = open_file_tx(context, state, record, &piece, TO_SERVER, WRITE2, name.text.data if name != NULL else NULL,
                              name.text.length if name != NULL else 0)
    if tx != NULL:
        take_piece(context, tx, &piece, name.text.data if name != NULL else NULL, name.text.length if name != NULL else 0)
    expect_rest(state, TO_SERVER, &piece)


cdef inline void take_read2(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    """The answer to a read, which may be cut."""
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef piece_t piece
    cdef carrier_t carrier
    cdef header_t header
    cdef memo_t *asked
    cdef memo_t *memo
    cdef smb_tx_t *tx
    cdef const uint8_t *name = NULL
    cdef uint32_t pipe, name_length = 0
    read_bytes(&cursor, 4)
    piece.size = read_le32(&cursor)
    read_bytes(&cursor, 8)
    if cursor.failed:
        note(context, SMB_MALFORMED_DATA)
        return
    piece.data = cursor.at
    piece.length = min(cursor_left(&cursor), piece.size)
    if record.status != STATUS_SUCCESS and record.status != STATUS_BUFFER_OVERFLOW:
        skip_rest(state, TO_CLIENT, &piece)
        return
    if state.max_read and piece.size > state.max_read:
        note(context, SMB_READ_RESPONSE_TOO_LARGE)
        skip_rest(state, TO_CLIENT, &piece)
        return
    asked = memo_at(state, record, HEADER_OFFSET)
    if asked == NULL:
        skip_rest(state, TO_CLIENT, &piece)
        return
    piece.fid = asked.fid
    piece.offset = asked.offset
    drop_memo(context, state, asked)
    tx = find_file(context, &piece.fid, TO_CLIENT, True)
    if tx != NULL:
        name = tx.text[TEXT_NAME].data
        name_length = tx.text[TEXT_NAME].length
    else:
        pipe = pipe_of(context, state, record, &piece)
        if pipe == RPC_PIPE:
            header = header_of(record, HEADER_ANY)
            carrier = new_carrier(&header, 2, READ2)
            carrier.has_status = True
            carrier.status = record.status
            take_answer(context, state, &carrier, &piece.fid, piece.data, piece.length)
        elif pipe == PIPE:
            skip_rest(state, TO_CLIENT, &piece)
        else:
            memo = file_memo(state, &piece.fid)
            name = memo.text.data if memo != NULL else <uint8_t *> b"<unknown>"
            name_length = memo.text.length if memo != NULL else 9
            tx = open_file_tx(context, state, record, &piece, TO_CLIENT, READ2, name, name_length)
    if tx != NULL:
        take_piece(context, tx, &piece, name, name_length)
    expect_rest(state, TO_CLIENT, &piece)


# ---- requests ----

cdef inline bint ask_set_info(app_context_t *context, smb_state_t *state, const record_t *record, bint *bad) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef cursor_t body, name
    cdef uint32_t kind, level, size
    cdef uint8_t deletes
    cdef fid_t fid
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef memo_key_t key
    cdef memo_t *old
    cdef smb_tx_t *tx
    read_bytes(&cursor, 2)
    kind = read_u8(&cursor)
    level = read_u8(&cursor)
    size = read_le32(&cursor)
    read_bytes(&cursor, 8)
    add_fid(&cursor, &fid)
    body = read_within(&cursor, size)
    if kind == INFO_FILE and level == INFO_RENAME:
        read_bytes(&body, 16)
        name = read_within(&body, read_le32(&body))
        if name.failed:
            bad[0] = True
            return False
        tx = new_smb(context, SMB_RENAME, 2, SET_INFO2, &header)
        if tx != NULL:
            old = file_memo(state, &fid)
            if old != NULL:
                set_text(context, &tx.text[TEXT_NAME], old.text.data, old.text.length)
            else:
                set_text(context, &tx.text[TEXT_NAME], b"<unknown>", 9)
            set_narrow(context, &tx.text[TEXT_TO], name.at, cursor_left(&name))
            tx.fid = fid
        return True
    if kind == INFO_FILE and level == INFO_DISPOSITION:
        deletes = read_u8(&body)
        if body.failed:
            bad[0] = True
            return False
        tx = new_smb(context, SMB_SET_INFO, 2, SET_INFO2, &header)
        if tx != NULL:
            old = file_memo(state, &fid)
            if old == NULL and record.message:              # chained behind the create
                header = new_header(HEADER_NAME, record.session, 0, record.message - 1)
                key = memo_key(&header, NULL)
                old = find_memo(state, &key)
            if old != NULL:
                set_text(context, &tx.text[TEXT_NAME], old.text.data, old.text.length)
            else:
                set_text(context, &tx.text[TEXT_NAME], b"<unknown>", 9)
            tx.fid = fid
            tx.subcommand = <uint16_t> kind
            tx.level = <uint16_t> level
            tx.delete_on_close = deletes & 1
        return True
    if kind == INFO_FILE and level == INFO_END_OF_FILE:
        read_bytes(&body, 8)
    bad[0] = body.failed
    return False


cdef inline void ask_ioctl(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef cursor_t body
    cdef header_t header = header_of(record, HEADER_ANY)
    cdef carrier_t carrier = new_carrier(&header, 2, IOCTL2)
    cdef uint32_t function, size
    cdef fid_t fid
    cdef smb_tx_t *tx
    read_bytes(&cursor, 4)
    function = read_le32(&cursor)
    add_fid(&cursor, &fid)
    read_bytes(&cursor, 4)
    size = read_le32(&cursor)
    read_bytes(&cursor, 24)
    body = read_within(&cursor, size)
    if body.failed:
        tx = new_smb(context, SMB_GENERIC, 2, IOCTL2, &header)
        if tx != NULL:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)
    elif function == FSCTL_PIPE_TRANSCEIVE and is_rpc_pipe(state, &fid):
        take_question(context, state, &carrier, body.at, cursor_left(&body))
    else:
        tx = new_smb(context, SMB_IOCTL, 2, IOCTL2, &header)
        if tx != NULL:
            tx.function = function


cdef inline bint ask_negotiate(app_context_t *context, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef uint32_t count
    cdef const uint8_t *client
    cdef const uint8_t *dialects
    cdef smb_tx_t *tx
    read_bytes(&cursor, 2)
    count = read_le16(&cursor)
    read_bytes(&cursor, 8)
    client = read_bytes(&cursor, 16)
    read_bytes(&cursor, 8)
    dialects = read_bytes(&cursor, 2 * count)
    if cursor.failed:
        return False
    if find_negotiate(context, 2) == NULL:
        tx = new_smb(context, SMB_NEGOTIATE, 2, NEGOTIATE2, NULL)
        if tx != NULL:
            tx.has_client = True
            memcpy(tx.client, client, 16)
            set_text(context, &tx.text[TEXT_NAME], dialects, 2 * count)
    return True


cdef inline bint ask_tree(app_context_t *context, const record_t *record) noexcept nogil:
    cdef header_t header = header_of(record, HEADER_TREE)
    cdef bytes_t *name
    cdef smb_tx_t *tx
    if record.length < 6:
        return False
    tx = new_smb(context, SMB_TREE, 2, TREE_CONNECT2, &header)
    if tx != NULL:
        name = &tx.text[TEXT_NAME]
        set_narrow(context, name, record.data + 6, record.length - 6)       # its length stands before it
        drop_first(name)
    return True


cdef inline void drop_first(bytes_t *name) noexcept nogil:
    """Byte of a text that has more."""
    cdef uint32_t i
    if name.length > 1:
        name.length -= 1
        for i in range(name.length):
            name.data[i] = name.data[i + 1]


cdef inline bint ask_create(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef uint32_t disposition, options, size
    cdef cursor_t name
    cdef memo_t *memo
    cdef smb_tx_t *tx
    read_bytes(&cursor, 36)
    disposition = read_le32(&cursor)
    options = read_le32(&cursor)
    read_bytes(&cursor, 2)
    size = read_le16(&cursor)
    read_bytes(&cursor, 8)
    name = read_within(&cursor, size)
    if name.failed:
        return False
    memo = keep_at(context, state, record, HEADER_NAME)
    if memo != NULL:
        set_narrow(context, &memo.text, name.at, cursor_left(&name))
    tx = new_smb(context, SMB_CREATE, 2, CREATE2, &header)
    if tx != NULL:
        set_narrow(context, &tx.text[TEXT_NAME], name.at, cursor_left(&name))
        tx.disposition = disposition
        tx.delete_on_close = options & CREATE_DELETE_ON_CLOSE != 0
        tx.directory = options & CREATE_DIRECTORY != 0
    return True


cdef inline bint ask_read(app_context_t *context, smb_state_t *state, const record_t *record, bint *too_large) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef uint32_t size
    cdef uint64_t offset
    cdef fid_t fid
    cdef memo_t *memo
    read_bytes(&cursor, 4)
    size = read_le32(&cursor)
    offset = read_le64(&cursor)
    add_fid(&cursor, &fid)
    read_bytes(&cursor, 16)
    if cursor.failed:
        return False
    too_large[0] = state.max_read and size > state.max_read
    if not too_large[0]:
        memo = keep_at(context, state, record, HEADER_OFFSET)
        if memo != NULL:
            memo.fid = fid
            memo.offset = offset
    return True


cdef inline bint ask_close(app_context_t *context, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef fid_t fid
    cdef smb_tx_t *tx
    cdef uint32_t direction
    read_bytes(&cursor, 8)
    add_fid(&cursor, &fid)
    if cursor.failed:
        return False
    for direction in range(2):
        tx = find_file(context, &fid, direction, False)
        if tx != NULL:
            if not is_complete(tx, TO_SERVER):
                track_close(context, tx)
            complete(context, tx, TO_SERVER)
            complete(context, tx, TO_CLIENT)
            set_status(tx, STATUS_SUCCESS, False)
    return True


cdef inline void take_request2(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef header_t header
    cdef smb_tx_t *tx
    cdef bint done = False, bad = False, large = False
    if record.command == SET_INFO2:
        done = ask_set_info(context, state, record, &bad)
    elif record.command == IOCTL2:
        ask_ioctl(context, state, record)
        done = True
    elif record.command == TREE_DISCONNECT2:
        drop_memo(context, state, memo_at(state, record, HEADER_SHARE))
    elif record.command == NEGOTIATE2:
        done = ask_negotiate(context, record)
        bad = not done
    elif record.command == SETUP2:
        if record.length >= 24:
            header = header_of(record, HEADER_ANY)
            tx = new_smb(context, SMB_SETUP, 2, SETUP2, &header)
            if tx != NULL:
                take_security(context, tx, record.data + 24, record.length - 24)
        done = True
    elif record.command == TREE_CONNECT2:
        done = ask_tree(context, record)
        bad = not done
    elif record.command == READ2:
        bad = not ask_read(context, state, record, &large)
    elif record.command == CREATE2:
        done = ask_create(context, state, record)
        bad = not done
    elif record.command == WRITE2:
        take_write2(context, state, record)
        done = True
    elif record.command == CLOSE2:
        bad = not ask_close(context, record)
    if not done and has_exchange(record.command):
        header = header_of(record, HEADER_GENERIC)
        tx = new_smb(context, SMB_GENERIC, 2, record.command, &header)
        if tx != NULL and bad:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)


# ---- responses ----

cdef inline uint32_t unix_time(uint64_t filetime) noexcept nogil:
    """Tenths of microseconds since 1601 as seconds since 1970."""
    cdef uint64_t seconds = filetime // 10000000
    cdef uint64_t epoch = <uint64_t> 116444736 * 100        # 1970 itself
    return <uint32_t> (seconds - epoch) if filetime > epoch * 10000000 else 0


cdef inline void answer_ioctl(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef cursor_t body
    cdef header_t header = header_of(record, HEADER_ANY)
    cdef carrier_t carrier = new_carrier(&header, 2, IOCTL2)
    cdef uint32_t function, asked, size
    cdef fid_t fid
    cdef fid_t none = fid_of(NULL, 0)
    cdef smb_tx_t *tx
    read_bytes(&cursor, 4)
    function = read_le32(&cursor)
    add_fid(&cursor, &fid)
    read_bytes(&cursor, 4)
    asked = read_le32(&cursor)
    read_bytes(&cursor, 4)
    size = read_le32(&cursor)
    read_bytes(&cursor, 8)
    read_bytes(&cursor, asked)
    body = read_within(&cursor, size)
    if not body.failed and function == FSCTL_PIPE_TRANSCEIVE and is_rpc_pipe(state, &fid):
        carrier.has_status = True
        carrier.status = record.status
        take_answer(context, state, &carrier, &none, body.at, cursor_left(&body))
        return
    tx = find_smb(context, 2, IOCTL2, &header)
    if tx != NULL:
        set_status(tx, record.status, False)
        if record.status != STATUS_PENDING:
            complete(context, tx, TO_CLIENT)
        if body.failed and record.status == STATUS_SUCCESS:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)


cdef inline void answer_setup(app_context_t *context, const record_t *record) noexcept nogil:
    """The session has its number from the first answer on."""
    cdef header_t header = header_of(record, HEADER_ANY)
    cdef header_t first = new_header(HEADER_ANY, 0, 0, record.message)
    cdef smb_tx_t *tx = find_kind(context, SMB_SETUP, &header) if record.session else NULL
    if tx == NULL:
        tx = find_kind(context, SMB_SETUP, &first)
    if tx != NULL:
        tx.header = header
        set_status(tx, record.status, False)
        complete(context, tx, TO_CLIENT)


cdef inline bint answer_create(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef uint64_t times[4]
    cdef uint64_t size
    cdef uint32_t i
    cdef fid_t fid
    cdef memo_t *name
    cdef smb_tx_t *tx
    read_bytes(&cursor, 8)
    for i in range(4):
        times[i] = read_le64(&cursor)
    read_bytes(&cursor, 8)
    size = read_le64(&cursor)
    read_bytes(&cursor, 8)
    add_fid(&cursor, &fid)
    read_bytes(&cursor, 8)
    if cursor.failed:
        return False
    name = memo_at(state, record, HEADER_NAME)
    if name != NULL:
        keep_file(context, state, &fid, &name.text)
        drop_memo(context, state, memo_at(state, record, HEADER_NAME))
    tx = find_smb(context, 2, CREATE2, &header)
    if tx != NULL:
        set_status(tx, record.status, False)
        complete(context, tx, TO_CLIENT)
        if tx.kind == SMB_CREATE:
            for i in range(4):
                tx.times[i] = unix_time(times[i])
            tx.size = size
            tx.fid = fid
    return True


cdef inline bint answer_tree(app_context_t *context, smb_state_t *state, const record_t *record, bint *bad) noexcept nogil:
    """True where there was a request."""
    cdef header_t header = header_of(record, HEADER_TREE)
    cdef smb_tx_t *tx = find_kind(context, SMB_TREE, &header)
    cdef memo_t *tree
    if record.status == STATUS_SUCCESS:
        if record.length < 15:
            bad[0] = True
            return False
        if tx == NULL:
            return True
        tx.share_type = record.data[2]
        tx.pipe = tx.share_type == SHARE_PIPE
        tx.header = header_of(record, HEADER_ANY)
        tree = keep_at(context, state, record, HEADER_SHARE)
        if tree != NULL:
            tree.pipe = tx.pipe
            bytes_append(context.pool, ACCOUNT_APPLAYER, &tree.text, tx.text[TEXT_NAME].data, tx.text[TEXT_NAME].length)
    if tx == NULL:
        return False
    set_status(tx, record.status, False)
    complete(context, tx, TO_CLIENT)
    return True


cdef inline bint answer_negotiate(app_context_t *context, smb_state_t *state, const record_t *record, bint *bad) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef bint good = record.status == STATUS_SUCCESS
    cdef const uint8_t *server = NULL
    cdef uint32_t dialect = 0, max_read = 0, max_write = 0
    cdef smb_tx_t *tx
    read_bytes(&cursor, 4)
    if good:
        dialect = read_le16(&cursor)
        read_bytes(&cursor, 2)
        server = read_bytes(&cursor, 16)
        read_bytes(&cursor, 8)
        max_read = read_le32(&cursor)
        max_write = read_le32(&cursor)
    if cursor.failed:
        bad[0] = True
        return False
    state.dialect = <uint16_t> dialect
    state.max_read = max_read
    state.max_write = max_write
    tx = find_negotiate(context, 2)
    if tx == NULL:                                          # asked for with SMB 1
        tx = find_negotiate(context, 1)
    if tx == NULL:
        return False
    tx.has_server = good
    if good:
        memcpy(tx.server, server, 16)
    set_status(tx, record.status, False)
    complete(context, tx, TO_CLIENT)
    return True


cdef inline void answer_end_of_file(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    """A read behind the end closes the file."""
    cdef memo_t *asked = memo_at(state, record, HEADER_OFFSET)
    cdef smb_tx_t *tx
    if asked == NULL:
        return
    tx = find_file(context, &asked.fid, TO_CLIENT, True)
    drop_memo(context, state, asked)
    if tx != NULL:
        if not is_complete(tx, TO_SERVER):
            track_close(context, tx)
        set_status(tx, record.status, False)
        complete(context, tx, TO_SERVER)


cdef inline void take_response2(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef smb_tx_t *tx
    cdef bint done = False, bad = False
    if record.command == IOCTL2:
        answer_ioctl(context, state, record)
        done = True
    elif record.command == SETUP2:
        answer_setup(context, record)
        done = True
    elif record.command == WRITE2:
        bad = record.status == STATUS_SUCCESS and record.length < 14
    elif record.command == READ2:
        if record.status == STATUS_SUCCESS or record.status == STATUS_BUFFER_OVERFLOW:
            take_read2(context, state, record)
        elif record.status == STATUS_END_OF_FILE:
            answer_end_of_file(context, state, record)
    elif record.command == CREATE2:
        if record.status == STATUS_SUCCESS:
            bad = not answer_create(context, state, record)
            done = True
    elif record.command == TREE_DISCONNECT2:
        drop_memo(context, state, memo_at(state, record, HEADER_SHARE))
    elif record.command == TREE_CONNECT2:
        done = answer_tree(context, state, record, &bad)
    elif record.command == NEGOTIATE2:
        done = answer_negotiate(context, state, record, &bad)
    if done:
        return
    tx = find_smb(context, 2, record.command, &header)
    if tx != NULL:
        if record.status != STATUS_PENDING:
            complete(context, tx, TO_CLIENT)
        set_status(tx, record.status, False)
        if bad:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)
