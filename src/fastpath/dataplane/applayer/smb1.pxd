# SMB 1 (MS-CIFS): what requests and responses say, and which answer which. Commands may be chained (AndX).
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport (
    SMB_DUPLICATE_NEGOTIATE, SMB_MALFORMED_DATA, SMB_NEGOTIATE_MALFORMED_DIALECTS, app_context_t,
)
from fastpath.dataplane.applayer.cursor cimport (
    cursor_left, cursor_over, cursor_t, read_bytes, read_le16, read_le32, read_le64, read_u8, read_within,
)
from fastpath.dataplane.applayer.ntlmssp cimport take_security
from fastpath.dataplane.applayer.smb2 cimport CREATE_DELETE_ON_CLOSE, CREATE_DIRECTORY, drop_first, unix_time
from fastpath.dataplane.applayer.smb_files cimport (
    close_file, expect_rest, open_file_tx, piece_t, skip_rest, take_piece,
)
from fastpath.dataplane.applayer.smb_rpc cimport (
    STATUS_BUFFER_OVERFLOW, STATUS_SUCCESS, carrier_t, is_rpc_pipe, new_carrier, take_answer, take_question,
)
from fastpath.dataplane.applayer.smb_state cimport (
    HEADER_ANY, HEADER_FID, HEADER_FRAGMENT, HEADER_GENERIC, HEADER_NAME, HEADER_OFFSET, HEADER_SHARE, HEADER_TREE, SMB_CREATE,
    SMB_GENERIC, SMB_NEGOTIATE, SMB_RENAME, SMB_SET_INFO, SMB_SETUP, SMB_TREE, TEXT_ANSWERED, TEXT_ASKED, TEXT_LM, TEXT_NAME,
    TEXT_OS, TEXT_SERVER_LM, TEXT_SERVER_OS, TEXT_TO, complete, drop_memo, fid_of, fid_t, file_memo, find_file, find_kind,
    find_negotiate, find_smb, header_of, header_t, keep_at, keep_file, keep_memo, memo_at, memo_key, memo_key_t, memo_t,
    new_header,
    new_smb, note, record_t, set_narrow, set_status, set_text, smb_state_t, smb_tx_t, user_fid,
)
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef enum smb1_command:
    CLOSE1 = 0x04, RENAME1 = 0x07, WRITE1 = 0x0b, LOCKING1 = 0x24, TRANS1 = 0x25, WRITE_AND_CLOSE1 = 0x2c, OPEN1 = 0x2d
    READ1 = 0x2e, WRITE_ANDX1 = 0x2f, TRANS2_1 = 0x32, TRANS2_SECONDARY1 = 0x33, TREE_DISCONNECT1 = 0x71, NEGOTIATE1 = 0x72
    SETUP1 = 0x73, LOGOFF1 = 0x74, TREE_CONNECT1 = 0x75, CREATE1 = 0xa2, CANCEL1 = 0xa4, NONE1 = 0xff

cdef enum:
    SMB1_HEADER = 32
    SMB1_RESPONSE = 0x80                    # flags
    SMB1_NT_STATUS = 0x4000, SMB1_UNICODE = 0x8000      # flags2
    TRANS2_SET_PATH = 6, TRANS2_SET_FILE = 8
    LEVEL_RENAME = 1010, LEVEL_DISPOSITION = 1013


cdef inline bint read_smb1(record_t *record, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint32_t flags
    read_bytes(&cursor, 4)
    record.command = read_u8(&cursor)
    record.status = read_le32(&cursor)
    record.response = read_u8(&cursor) & SMB1_RESPONSE != 0
    flags = read_le16(&cursor)
    read_bytes(&cursor, 12)
    record.tree = read_le16(&cursor)
    read_bytes(&cursor, 2)
    record.session = read_le16(&cursor)
    record.message = read_le16(&cursor)
    record.version = 1
    record.unicode = flags & SMB1_UNICODE != 0
    record.dos_status = flags & SMB1_NT_STATUS == 0
    record.data = cursor.at
    record.length = cursor_left(&cursor)
    return not cursor.failed


cdef inline cursor_t words_of(const record_t *record, uint32_t offset) noexcept nogil:
    """From the count of words of a command on; `offset`: of it in the message."""
    return cursor_over(record.data + offset - SMB1_HEADER, record.length + SMB1_HEADER - offset)


cdef inline bint has_tx1(uint32_t command) noexcept nogil:
    return command != READ1 and command != WRITE_ANDX1 and command != TRANS1 and command != TRANS2_1


# ---- text ----

cdef inline bint read_wide(app_context_t *context, cursor_t *cursor, bytes_t *text) noexcept nogil:
    """UTF-16 up to a NUL, which may be cut to one byte; of each character the first byte is kept. text NULL: passed."""
    cdef uint32_t left = cursor_left(cursor), at = 0, kept = 0
    cdef const uint8_t *data = cursor.at
    while at < left and data[at] or at + 1 < left and data[at + 1]:
        at += 2
    if at >= left:
        cursor.failed = True
        return False
    if text != NULL:
        set_text(context, text, data, at)
        while 2 * kept < text.length:
            text.data[kept] = text.data[2 * kept]
            kept += 1
        text.length = kept
    cursor.at += min(at + 2, left)
    return True


cdef inline bint read_narrow(app_context_t *context, cursor_t *cursor, bytes_t *text) noexcept nogil:
    cdef uint32_t left = cursor_left(cursor)
    cdef const uint8_t *end = <const uint8_t *> memchr(cursor.at, 0, left) if left else NULL
    if end == NULL:
        cursor.failed = True
        return False
    if text != NULL:
        set_text(context, text, cursor.at, <uint32_t> (end - cursor.at))
    cursor.at = end + 1
    return True


cdef inline bint read_name(app_context_t *context, const record_t *record, cursor_t *cursor, uint32_t offset,
                           bytes_t *text) noexcept nogil:
    """As the message's flags say; UTF-16 begins at even offsets."""
    if not record.unicode:
        return read_narrow(context, cursor, text)
    if offset % 2:
        read_bytes(cursor, 1)
    return not cursor.failed and read_wide(context, cursor, text)


cdef inline void read_host(app_context_t *context, const record_t *record, cursor_t *cursor, bytes_t *system,
                           bytes_t *manager) noexcept nogil:
    """Operating system and LAN manager, as far as they are there."""
    if record.unicode and cursor_left(cursor) > 1:
        if (cursor.at - record.data) % 2:
            read_bytes(cursor, 1)
        if read_wide(context, cursor, system):
            read_wide(context, cursor, manager)
    elif read_narrow(context, cursor, system):
        read_narrow(context, cursor, manager)


# ---- transactions of one exchange ----

cdef inline void ask_generic(app_context_t *context, const record_t *record, bint bad) noexcept nogil:
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef smb_tx_t *tx
    if has_tx1(record.command) or bad:
        tx = new_smb(context, SMB_GENERIC, 1, record.command, &header)
        if tx != NULL and bad:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)


cdef inline void answer_generic(app_context_t *context, const record_t *record, bint bad) noexcept nogil:
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef smb_tx_t *tx = find_smb(context, 1, record.command, &header)
    if tx == NULL and bad:
        tx = new_smb(context, SMB_GENERIC, 1, record.command, &header)
    if tx == NULL:
        return
    complete(context, tx, TO_SERVER)
    complete(context, tx, TO_CLIENT)
    set_status(tx, record.status, record.dos_status)
    if bad:
        tx_event(&tx.tx, SMB_MALFORMED_DATA)


# ---- pieces of files, and pipes ----

cdef inline bint read_write1(const record_t *record, uint32_t command, uint32_t offset, piece_t *piece) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef cursor_t start = cursor
    cdef uint32_t words, high, low, place, count
    cdef const uint8_t *fid
    words = read_u8(&cursor)
    if command == WRITE_ANDX1:
        read_bytes(&cursor, 4)
    fid = read_bytes(&cursor, 2)
    if command == WRITE_ANDX1:
        piece.offset = read_le32(&cursor)
        read_bytes(&cursor, 8)
        high = read_le16(&cursor)
        low = read_le16(&cursor)
        place = read_le16(&cursor)
        piece.size = high << 16 | low
        if words == 14:
            piece.offset |= <uint64_t> read_le32(&cursor) << 32
        else:
            piece.offset = 0
        read_le16(&cursor)
        if place < 0x3c or place < offset:
            return False
        read_bytes(&start, place - offset)
        if start.failed:
            return False
        piece.data = start.at
        piece.length = cursor_left(&start)
    else:
        count = read_le16(&cursor)
        piece.offset = read_le32(&cursor)
        if command == WRITE1:
            read_bytes(&cursor, 5)                          # bytes to come, bytes here, format
            count = read_le16(&cursor)
        else:
            read_bytes(&cursor, 4)
            low = read_le16(&cursor)
            if low > count:
                read_bytes(&cursor, low - count)
        piece.size = piece.length = count
        piece.data = read_bytes(&cursor, count)
    if cursor.failed:
        return False
    piece.length = min(piece.length, piece.size)
    piece.fid = user_fid(fid, record.session)
    return True


cdef inline void take_write1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t command,
                             uint32_t offset) noexcept nogil:
    """The message may be cut: what is missing comes as bytes of the file."""
    cdef piece_t piece
    cdef carrier_t carrier
    cdef header_t header
    cdef memo_t *memo
    cdef const uint8_t *name = b"<unknown>"
    cdef uint32_t length = 9
    cdef smb_tx_t *tx
    if not read_write1(record, command, offset, &piece):
        ask_generic(context, record, True)
        return
    memo = file_memo(state, &piece.fid)
    if memo != NULL:
        name = memo.text.data
        length = memo.text.length
    tx = find_file(context, &piece.fid, TO_SERVER, True)
    if tx == NULL:
        memo = memo_at(state, record, HEADER_SHARE)
        if memo != NULL and memo.pipe:
            header = header_of(record, HEADER_ANY)
            carrier = new_carrier(&header, 1, command)
            carrier.has_status = True
            carrier.status = record.status
            take_question(context, state, &carrier, piece.data, piece.length)
        else:
            tx = open_file_tx(context, state, record, &piece, TO_SERVER, WRITE_ANDX1, name, length)
    if tx != NULL:
        take_piece(context, tx, &piece, name, length)
    expect_rest(state, TO_SERVER, &piece)
    if command == WRITE_AND_CLOSE1:
        close_file(context, &piece.fid, TO_SERVER)
    ask_generic(context, record, False)


cdef inline bint read_read1(const record_t *record, uint32_t offset, piece_t *piece) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef uint32_t words, low, place, high, count
    words = read_u8(&cursor)
    read_bytes(&cursor, 10)
    low = read_le16(&cursor)
    place = read_le16(&cursor)
    high = read_le32(&cursor)
    read_bytes(&cursor, 6)
    count = read_le16(&cursor)
    if count > low:
        read_bytes(&cursor, count - low)
    if place > 36 + 2 * words:
        read_bytes(&cursor, place - (36 + 2 * words))
    piece.size = high << 16 | low
    piece.data = cursor.at
    piece.length = min(cursor_left(&cursor), piece.size)
    return not cursor.failed


cdef inline void take_read1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t offset) noexcept nogil:
    """The answer to a read, which may be cut."""
    cdef piece_t piece
    cdef carrier_t carrier
    cdef header_t header
    cdef fid_t plain
    cdef memo_t *memo
    cdef const uint8_t *name = NULL
    cdef uint32_t length = 0
    cdef smb_tx_t *tx
    if record.status != STATUS_SUCCESS:
        answer_generic(context, record, False)
        return
    if not read_read1(record, offset, &piece):
        answer_generic(context, record, True)
        return
    memo = memo_at(state, record, HEADER_OFFSET)
    if memo == NULL:
        skip_rest(state, TO_CLIENT, &piece)
        return
    piece.fid = memo.fid
    piece.offset = memo.offset
    drop_memo(context, state, memo)
    memo = memo_at(state, record, HEADER_SHARE)
    if memo != NULL and memo.pipe:
        header = header_of(record, HEADER_ANY)
        carrier = new_carrier(&header, 1, READ1)
        plain = fid_of(piece.fid.data, 2)
        take_answer(context, state, &carrier, &plain, piece.data, piece.length)
    else:
        memo = file_memo(state, &piece.fid)
        if memo != NULL:
            name = memo.text.data
            length = memo.text.length
        tx = find_file(context, &piece.fid, TO_CLIENT, True)
        if tx == NULL:
            tx = open_file_tx(context, state, record, &piece, TO_CLIENT, READ1, name, length)
        if tx != NULL:
            take_piece(context, tx, &piece, name, length)
    expect_rest(state, TO_CLIENT, &piece)
    answer_generic(context, record, False)


cdef inline bint ask_read1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t offset) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef uint32_t words = read_u8(&cursor)
    cdef const uint8_t *fid
    cdef uint64_t place
    cdef memo_t *memo
    read_bytes(&cursor, 4)
    fid = read_bytes(&cursor, 2)
    place = read_le32(&cursor)
    read_bytes(&cursor, 10)
    if words == 12:
        place |= <uint64_t> read_le32(&cursor) << 32
    else:
        place = 0
    if cursor.failed:
        return False
    memo = keep_at(context, state, record, HEADER_OFFSET)
    if memo != NULL:
        memo.fid = user_fid(fid, record.session)
        memo.offset = place
    return True


cdef inline void ask_trans(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    """What a transaction on a named pipe writes."""
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef uint32_t words, parameters, parameters_at, size, data_at, setup, offset, pad
    cdef const uint8_t *fid = NULL
    cdef fid_t pipe
    cdef header_t header = header_of(record, HEADER_ANY)
    cdef carrier_t carrier = new_carrier(&header, 1, record.command)
    cdef cursor_t body
    cdef memo_t *memo
    words = read_u8(&cursor)
    read_bytes(&cursor, 18)
    parameters = read_le16(&cursor)
    parameters_at = read_le16(&cursor)
    size = read_le16(&cursor)
    data_at = read_le16(&cursor)
    setup = read_u8(&cursor)
    read_bytes(&cursor, 1)
    if words == 16 and setup == 2 and size > 0:
        read_bytes(&cursor, 2)
        fid = read_bytes(&cursor, 2)
    read_le16(&cursor)
    if not cursor.failed:
        read_name(context, record, &cursor, <uint32_t> (cursor.at - record.data) + SMB1_HEADER, NULL)
    offset = <uint32_t> (cursor.at - record.data) + SMB1_HEADER
    body = cursor_over(cursor.at, 0)
    if size:
        # what should stand at a multiple of four does not always
        pad = 0 if offset == parameters_at or offset == data_at else offset % 4
        read_bytes(&cursor, pad)
        read_bytes(&cursor, parameters)
        offset += pad + parameters
        read_bytes(&cursor, 0 if offset == data_at else offset % 4)
        body = read_within(&cursor, size)
    if not cursor.failed and fid != NULL:
        memo = keep_at(context, state, record, HEADER_FID)
        if memo != NULL:
            memo.fid = fid_of(fid, 2)
        pipe = user_fid(fid, record.session)
        if is_rpc_pipe(state, &pipe):
            take_question(context, state, &carrier, body.at, cursor_left(&body))
    ask_generic(context, record, cursor.failed)


cdef inline void answer_trans(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef header_t header = header_of(record, HEADER_ANY)
    cdef header_t fragment = header_of(record, HEADER_FRAGMENT)
    cdef carrier_t carrier = new_carrier(&header, 1, record.command)
    cdef memo_key_t key
    cdef memo_t *memo
    cdef fid_t plain, pipe
    cdef cursor_t body = cursor_over(record.data, 0)
    cdef uint32_t words, size, place
    words = read_u8(&cursor)
    if words:
        read_bytes(&cursor, 12)
        size = read_le16(&cursor)
        place = read_le16(&cursor)
        read_bytes(&cursor, 7)                              # displacement, setup, count of bytes, padding
        if place > 36 + 2 * words:
            read_bytes(&cursor, place - (36 + 2 * words))
        body = read_within(&cursor, size)
    else:
        read_le16(&cursor)
    if not cursor.failed:
        memo = memo_at(state, record, HEADER_FID)
        plain = memo.fid if memo != NULL else fid_of(NULL, 0)
        drop_memo(context, state, memo)
        if record.status == STATUS_BUFFER_OVERFLOW:
            key = memo_key(&fragment, &plain)
            memo = keep_memo(context, state, &key)
            if memo != NULL:
                set_text(context, &memo.text, body.at, cursor_left(&body))
        elif plain.length == 2:
            pipe = user_fid(plain.data, record.session)
            if is_rpc_pipe(state, &pipe):
                carrier.has_status = True
                carrier.status = record.status
                take_answer(context, state, &carrier, &plain, body.at, cursor_left(&body))
    answer_generic(context, record, cursor.failed)


# ---- requests ----

cdef inline bint ask_rename1(app_context_t *context, const record_t *record) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef cursor_t names
    cdef smb_tx_t *tx
    read_bytes(&cursor, 6)
    names = cursor
    read_wide(context, &cursor, NULL)
    read_bytes(&cursor, 2)                                  # format, and a byte that makes the offset even
    read_wide(context, &cursor, NULL)
    if cursor.failed:
        return False
    tx = new_smb(context, SMB_RENAME, 1, RENAME1, &header)
    if tx != NULL:
        read_wide(context, &names, &tx.text[TEXT_NAME])
        read_bytes(&names, 2)
        read_wide(context, &names, &tx.text[TEXT_TO])
    return True


cdef inline void name_of_file(app_context_t *context, smb_state_t *state, const fid_t *fid, bytes_t *text) noexcept nogil:
    cdef memo_t *memo = file_memo(state, fid)
    if memo != NULL:
        set_text(context, text, memo.text.data, memo.text.length)
    else:
        set_text(context, text, b"<unknown>", 9)


cdef inline bint ask_trans2(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    """Renaming and deleting of a file, by name or by number. What is malformed is no transaction."""
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef uint32_t subcommand, parameters, size, level, deletes = 0
    cdef const uint8_t *fid = NULL
    cdef fid_t file
    cdef cursor_t setup, body, name, path
    cdef smb_tx_t *tx
    read_bytes(&cursor, 19)
    parameters = read_le16(&cursor)
    read_bytes(&cursor, 2)
    size = read_le16(&cursor)
    read_bytes(&cursor, 4)
    subcommand = read_le16(&cursor)
    read_bytes(&cursor, 5)
    setup = read_within(&cursor, parameters)
    body = read_within(&cursor, size)
    if cursor.failed or subcommand != TRANS2_SET_PATH and subcommand != TRANS2_SET_FILE:
        return False
    if subcommand == TRANS2_SET_FILE:
        fid = read_bytes(&setup, 2)
        level = read_le16(&setup)
        path = setup
    else:
        level = read_le16(&setup)
        read_bytes(&setup, 4)
        path = setup
        read_wide(context, &setup, NULL)
    if setup.failed or level != LEVEL_RENAME and level != LEVEL_DISPOSITION:
        return False
    if level == LEVEL_DISPOSITION:
        deletes = read_u8(&body)
        read_bytes(&body, 3)
        name = body
    else:
        read_bytes(&body, 8)
        name = read_within(&body, read_le32(&body))
    if body.failed:
        return False
    tx = new_smb(context, SMB_RENAME if level == LEVEL_RENAME else SMB_SET_INFO, 1, TRANS2_1, &header)
    if tx == NULL:
        return True
    tx.subcommand = <uint16_t> subcommand
    tx.level = <uint16_t> level
    tx.delete_on_close = deletes & 1
    if fid != NULL:
        file = user_fid(fid, record.session)
        tx.fid = fid_of(fid, 2)
        name_of_file(context, state, &file, &tx.text[TEXT_NAME])
    else:
        read_wide(context, &path, &tx.text[TEXT_NAME])
    if level == LEVEL_RENAME:
        set_narrow(context, &tx.text[TEXT_TO], name.at, cursor_left(&name))
    return True


cdef inline bint ask_negotiate1(app_context_t *context, const record_t *record) noexcept nogil:
    """Dialects: a byte of format, text and a NUL each."""
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef const uint8_t *end
    cdef uint32_t size
    cdef bint bad = False
    cdef smb_tx_t *tx
    read_bytes(&cursor, 3)
    if cursor_left(&cursor) == 0 or memchr(cursor.at, 0, cursor_left(&cursor)) == NULL:
        return False
    tx = find_negotiate(context, 1)
    if tx != NULL:
        tx_event(&tx.tx, SMB_DUPLICATE_NEGOTIATE)
        return True
    tx = new_smb(context, SMB_NEGOTIATE, 1, NEGOTIATE1, NULL)
    if tx == NULL:
        return True
    while cursor_left(&cursor):
        end = <const uint8_t *> memchr(cursor.at, 0, cursor_left(&cursor))
        if end == NULL:
            break
        size = <uint32_t> (end - cursor.at)
        bad |= size < 2
        if size:
            bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.text[TEXT_NAME], cursor.at + 1, size)
        cursor.at = end + 1
    if bad:
        tx_event(&tx.tx, SMB_NEGOTIATE_MALFORMED_DIALECTS)
    return True


cdef inline bint ask_create1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t offset) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef uint32_t size, disposition, options, count
    cdef cursor_t name
    cdef bint named
    cdef memo_t *memo
    cdef smb_tx_t *tx
    read_bytes(&cursor, 6)
    size = read_le16(&cursor)
    read_bytes(&cursor, 28)
    disposition = read_le32(&cursor)
    options = read_le32(&cursor)
    read_bytes(&cursor, 5)
    count = read_le16(&cursor)
    name = cursor
    named = count >= size
    if named:
        read_name(context, record, &cursor, count - size, NULL)
    if cursor.failed:
        return False
    memo = keep_at(context, state, record, HEADER_NAME)
    tx = new_smb(context, SMB_CREATE, 1, CREATE1, &header)
    cursor = name
    if named and memo != NULL:
        read_name(context, record, &cursor, count - size, &memo.text)
    if tx != NULL:
        if named:
            read_name(context, record, &name, count - size, &tx.text[TEXT_NAME])
        tx.disposition = disposition
        tx.delete_on_close = options & CREATE_DELETE_ON_CLOSE != 0
        tx.directory = options & CREATE_DIRECTORY != 0
    return True


cdef inline void ask_setup1(app_context_t *context, const record_t *record, uint32_t offset) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef header_t header = new_header(HEADER_ANY, record.session, 0, record.message)
    cdef uint32_t size
    cdef cursor_t blob
    cdef smb_tx_t *tx
    read_bytes(&cursor, 15)
    size = read_le16(&cursor)
    read_bytes(&cursor, 10)
    blob = read_within(&cursor, size)
    if cursor.failed:
        return
    tx = new_smb(context, SMB_SETUP, 1, record.command, &header)
    if tx != NULL:
        take_security(context, tx, blob.at, cursor_left(&blob))
        tx.has_os = True
        read_host(context, record, &cursor, &tx.text[TEXT_OS], &tx.text[TEXT_LM])


cdef inline bint ask_tree1(app_context_t *context, const record_t *record, uint32_t offset) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef header_t header = header_of(record, HEADER_TREE)
    cdef uint32_t size
    cdef cursor_t names
    cdef smb_tx_t *tx
    read_bytes(&cursor, 7)
    size = read_le16(&cursor)
    read_bytes(&cursor, 2)
    read_bytes(&cursor, size)
    names = cursor
    if not cursor.failed and read_name(context, record, &cursor, 11 + size, NULL):
        read_narrow(context, &cursor, NULL)
    if cursor.failed:
        return False
    tx = new_smb(context, SMB_TREE, 1, TREE_CONNECT1, &header)
    if tx != NULL:
        read_name(context, record, &names, 11 + size, &tx.text[TEXT_NAME])
        drop_first(&tx.text[TEXT_NAME])
        tx.has_asked = True
        read_narrow(context, &names, &tx.text[TEXT_ASKED])
    return True


cdef inline bint ask_close1(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    cdef fid_t fid
    cdef memo_t *memo
    if record.length < 3:
        return False
    fid = user_fid(record.data + 1, record.session)
    memo = keep_at(context, state, record, HEADER_FID)
    if memo != NULL:
        memo.fid = fid
    close_file(context, &fid, TO_SERVER)
    return True


cdef inline void take_request1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t command,
                               uint32_t offset) noexcept nogil:
    """One command of the message."""
    cdef header_t header
    cdef smb_tx_t *tx
    cdef bint done = False, bad = False
    if command == RENAME1:
        done = ask_rename1(context, record)
        bad = not done
    elif command == TRANS2_1:
        done = ask_trans2(context, state, record)
    elif command == READ1:
        ask_read1(context, state, record, offset)
    elif command == WRITE_ANDX1 or command == WRITE1 or command == WRITE_AND_CLOSE1:
        take_write1(context, state, record, command, offset)
        done = True
    elif command == TRANS1:
        ask_trans(context, state, record)
        done = True
    elif command == NEGOTIATE1:
        done = ask_negotiate1(context, record)
        bad = not done
    elif command == CREATE1:
        done = ask_create1(context, state, record, offset)
        bad = not done
    elif command == SETUP1:
        ask_setup1(context, record, offset)
        done = True
    elif command == TREE_CONNECT1:
        done = ask_tree1(context, record, offset)
        bad = not done
    elif command == TREE_DISCONNECT1:
        drop_memo(context, state, memo_at(state, record, HEADER_SHARE))
    elif command == CLOSE1:
        bad = not ask_close1(context, state, record)
    if done or not has_tx1(command):
        return
    header = header_of(record, HEADER_GENERIC)
    tx = new_smb(context, SMB_GENERIC, 1, command, &header)
    if tx != NULL:
        if bad:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)
        if command == CANCEL1 or command == TRANS2_SECONDARY1 or command == LOCKING1:     # which nobody answers
            complete(context, tx, TO_CLIENT)


# ---- responses ----

cdef inline bint answer_negotiate1(app_context_t *context, smb_state_t *state, const record_t *record, bint *bad) noexcept nogil:
    cdef cursor_t cursor = cursor_over(record.data, record.length)
    cdef uint32_t index = 0, at = 0
    cdef const uint8_t *server = NULL
    cdef const bytes_t *dialects
    cdef smb_tx_t *tx
    if read_u8(&cursor):
        index = read_le16(&cursor)
        read_bytes(&cursor, 32)
        if read_le16(&cursor) >= 16:
            server = read_bytes(&cursor, 16)
    else:
        read_le16(&cursor)
    if cursor.failed:
        bad[0] = True
        return False
    tx = find_negotiate(context, 1)
    if tx == NULL:
        return False
    set_status(tx, record.status, record.dos_status)
    complete(context, tx, TO_CLIENT)
    tx.has_server = server != NULL
    if server != NULL:
        memcpy(tx.server, server, 16)
    dialects = &tx.text[TEXT_NAME]
    while at < dialects.length and index:
        index -= dialects.data[at] == 0
        at += 1
    if at >= dialects.length:
        tx_event(&tx.tx, SMB_NEGOTIATE_MALFORMED_DIALECTS)
        return True
    index = at
    while index < dialects.length and dialects.data[index]:
        index += 1
    state.has_dialect_name = True
    set_text(context, &state.dialect_name, dialects.data + at, index - at)
    return True


cdef inline bint answer_tree1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t offset,
                              bint *bad) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef header_t header = header_of(record, HEADER_TREE)
    cdef uint32_t words
    cdef cursor_t names
    cdef memo_t *tree
    cdef smb_tx_t *tx
    if record.status != STATUS_SUCCESS:
        tx = find_kind(context, SMB_TREE, &header)
        if tx != NULL:
            set_status(tx, record.status, record.dos_status)
            complete(context, tx, TO_CLIENT)
        return True
    words = read_u8(&cursor)
    read_bytes(&cursor, 4)
    read_bytes(&cursor, 2 if words >= 3 else 0)
    read_bytes(&cursor, 8 if words == 7 else 0)
    read_le16(&cursor)
    names = cursor
    if not cursor.failed and read_narrow(context, &cursor, NULL):
        read_narrow(context, &cursor, NULL)
    if cursor.failed:
        bad[0] = True
        return False
    tx = find_kind(context, SMB_TREE, &header)
    if tx == NULL:
        return False
    tx.has_answered = True
    read_narrow(context, &names, &tx.text[TEXT_ANSWERED])
    tx.pipe = tx.text[TEXT_ANSWERED].length == 3 and memcmp(tx.text[TEXT_ANSWERED].data, b"IPC", 3) == 0
    tx.header = header_of(record, HEADER_ANY)
    set_status(tx, record.status, record.dos_status)
    complete(context, tx, TO_CLIENT)
    tree = keep_at(context, state, record, HEADER_SHARE)
    if tree != NULL:
        tree.pipe = tx.pipe
        set_text(context, &tree.text, tx.text[TEXT_NAME].data, tx.text[TEXT_NAME].length)
    return True


cdef inline bint answer_create1(app_context_t *context, smb_state_t *state, const record_t *record,
                                uint32_t offset) noexcept nogil:
    cdef cursor_t cursor = words_of(record, offset)
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef uint64_t times[4]
    cdef uint64_t size
    cdef uint32_t words, i
    cdef const uint8_t *fid
    cdef fid_t file
    cdef memo_t *name
    cdef smb_tx_t *tx
    words = read_u8(&cursor)
    read_bytes(&cursor, 5)
    fid = read_bytes(&cursor, 2)
    read_bytes(&cursor, 4)
    for i in range(4):
        times[i] = read_le64(&cursor)
    read_bytes(&cursor, 4)
    size = read_le64(&cursor)
    read_bytes(&cursor, 13)
    read_bytes(&cursor, 32 if words == 42 else 0)
    read_le16(&cursor)
    if cursor.failed:
        return False
    file = user_fid(fid, record.session)
    name = memo_at(state, record, HEADER_NAME)
    if name != NULL:
        keep_file(context, state, &file, &name.text)
        drop_memo(context, state, memo_at(state, record, HEADER_NAME))
    tx = find_smb(context, 1, CREATE1, &header)
    if tx != NULL:
        set_status(tx, record.status, False)
        complete(context, tx, TO_CLIENT)
        if tx.kind == SMB_CREATE:
            for i in range(4):
                tx.times[i] = unix_time(times[i])
            tx.size = size
            tx.fid = fid_of(fid, 2)
    return True


cdef inline void answer_setup1(app_context_t *context, const record_t *record, uint32_t offset) noexcept nogil:
    """The session has its number from the first answer on."""
    cdef cursor_t cursor = words_of(record, offset)
    cdef header_t header = new_header(HEADER_ANY, record.session, 0, record.message)
    cdef header_t first = new_header(HEADER_ANY, 0, 0, record.message)
    cdef smb_tx_t *tx = find_kind(context, SMB_SETUP, &header) if record.session else NULL
    cdef uint32_t words, size = 0
    if tx == NULL:
        tx = find_kind(context, SMB_SETUP, &first)
    if tx == NULL:
        return
    words = read_u8(&cursor)
    if words:
        read_bytes(&cursor, 6)
        if words != 3:
            size = read_le16(&cursor)
    read_le16(&cursor)
    read_bytes(&cursor, size)
    if cursor.failed:
        tx_event(&tx.tx, SMB_MALFORMED_DATA)
    else:
        tx.has_server_os = True
        read_host(context, record, &cursor, &tx.text[TEXT_SERVER_OS], &tx.text[TEXT_SERVER_LM])
    tx.header = header_of(record, HEADER_ANY)
    set_status(tx, record.status, record.dos_status)
    complete(context, tx, TO_CLIENT)


cdef inline void take_response1(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t command,
                                uint32_t offset) noexcept nogil:
    cdef header_t header = header_of(record, HEADER_GENERIC)
    cdef memo_t *memo
    cdef fid_t fid
    cdef smb_tx_t *tx = NULL
    cdef bint done = False, bad = False
    if command == READ1:
        take_read1(context, state, record, offset)
        done = True
    elif command == NEGOTIATE1:
        done = answer_negotiate1(context, state, record, &bad)
    elif command == TREE_CONNECT1:
        done = answer_tree1(context, state, record, offset, &bad)
    elif command == TREE_DISCONNECT1:
        drop_memo(context, state, memo_at(state, record, HEADER_SHARE))
    elif command == CREATE1:
        if record.status == STATUS_SUCCESS:
            done = answer_create1(context, state, record, offset)
            bad = not done
    elif command == CLOSE1:
        memo = memo_at(state, record, HEADER_FID)
        if memo != NULL:
            fid = memo.fid
            drop_memo(context, state, memo)
            close_file(context, &fid, TO_CLIENT)
    elif command == TRANS1:
        answer_trans(context, state, record)
        done = True
    elif command == SETUP1:
        answer_setup1(context, record, offset)
        done = True
    if done:
        return
    if command == LOGOFF1:                                  # the latest transaction, if it is that
        tx = <smb_tx_t *> context.app.last
        if tx != NULL and (tx.version != 1 or tx.command != command):
            tx = NULL
    elif command != WRITE_ANDX1 and command != TRANS1:
        tx = find_smb(context, 1, command, &header)
        if tx != NULL:
            complete(context, tx, TO_SERVER)
    if tx != NULL:
        complete(context, tx, TO_CLIENT)
        set_status(tx, record.status, record.dos_status)
        if bad:
            tx_event(&tx.tx, SMB_MALFORMED_DATA)


cdef inline bint is_chained(uint32_t command) noexcept nogil:
    return (command == LOCKING1 or command == OPEN1 or command == READ1 or command == SETUP1 or command == LOGOFF1
            or command == TREE_CONNECT1 or command == CREATE1 or command == WRITE_ANDX1)


cdef inline void take_message1(app_context_t *context, smb_state_t *state, const record_t *record) noexcept nogil:
    """All commands of a message: each says where the next one stands, further on."""
    cdef uint32_t command = record.command, offset = SMB1_HEADER, following
    cdef cursor_t cursor
    while True:
        if record.response:
            take_response1(context, state, record, command, offset)
        else:
            take_request1(context, state, record, command, offset)
        if not is_chained(command):
            return
        cursor = words_of(record, offset)
        read_u8(&cursor)
        command = read_u8(&cursor)
        read_u8(&cursor)
        following = read_le16(&cursor)
        if cursor.failed or command == NONE1 or following <= offset or following - SMB1_HEADER >= record.length:
            return
        offset = following
