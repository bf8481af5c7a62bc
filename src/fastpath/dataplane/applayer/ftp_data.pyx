"""FTP data: the whole flow is one transaction, its bytes one file (RFC 959 section 3.1; Suricata 7 guide, "FTP")."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.expectations cimport expectation_t
from fastpath.dataplane.applayer.files cimport file_append, file_at, file_close, file_forget, file_open, file_view
from fastpath.dataplane.applayer.ftp cimport FTPDATA_RETR
from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, put_key, say_bytes, say_text, writer_t
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_progress
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER

# What is kept of a file and how much of it is looked at when: Suricata's values for protocols that have none of their own.
cdef enum:
    CONTENT_LIMIT = 100000
    INSPECT_MIN = 32768

ctypedef struct ftp_data_tx_t:
    tx_t head
    file_t *file                # NULL until there are data
    uint64_t command            # a number of ftpdata.command; 0 until there are data


cdef bint begin_file(app_context_t *context, ftp_data_tx_t *tx, const expectation_t *expected) noexcept nogil:
    tx.file = file_open(context, &tx.head, expected.direction, expected.name, expected.name_length)
    if tx.file == NULL:
        return False
    tx.command = expected.command
    tx_progress(context, &tx.head, 1 - expected.direction, FTP_DATA_COMPLETE)
    return True


cdef parsed_t parse_ftp_data(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                             uint32_t flags) noexcept nogil:
    cdef const expectation_t *expected = <const expectation_t *> context.app.expected
    cdef ftp_data_tx_t *tx = <ftp_data_tx_t *> context.app.first
    cdef parsed_t parsed
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_OK
    if context.app.next_tx == 0:
        tx = <ftp_data_tx_t *> new_tx(context, sizeof(ftp_data_tx_t))
    if tx == NULL or expected == NULL:
        parsed.status = PARSE_ERROR
        return parsed
    if direction != expected.direction:
        return parsed           # the other side has nothing to say
    if length and tx.file == NULL and not begin_file(context, tx, expected):
        parsed.status = PARSE_ERROR
        return parsed
    if tx.file == NULL:
        return parsed
    file_append(context, &tx.head, tx.file, data, length)
    if tx.file.data.length > CONTENT_LIMIT:
        file_forget(tx.file, tx.file.size - CONTENT_LIMIT)
    if flags & PARSE_EOF:
        file_close(context, &tx.head, tx.file, FILE_CLOSED)
        tx_progress(context, &tx.head, direction, FTP_DATA_COMPLETE)
    return parsed


cdef uint32_t ftp_data_buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                              view_t *view) noexcept nogil:
    cdef ftp_data_tx_t *transfer = <ftp_data_tx_t *> tx
    cdef file_t *file = file_at(tx, direction, index)
    if buffer == BUFFER_FTPDATA_COMMAND:
        if transfer.command == 0:
            return VIEW_NONE
        view.data = <const uint8_t *> &transfer.command
        view.length = sizeof(transfer.command)
    elif file == NULL:
        return VIEW_NONE
    elif buffer == BUFFER_FILE_DATA:
        return file_view(file, CONTENT_LIMIT, INSPECT_MIN, tx.progress[direction] >= FTP_DATA_COMPLETE, view)
    elif buffer == BUFFER_FILE_NAME and file.name.length:
        view.data = file.name.data
        view.length = file.name.length
    else:
        return VIEW_NONE
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY


cdef void ftp_data_inspected(app_context_t *context, tx_t *tx, uint32_t direction) noexcept nogil:
    cdef file_t *file = tx.files[direction]
    if file != NULL and (file.state != FILE_OPEN or file.size >= INSPECT_MIN):
        file.inspected = file.size
        file_forget(file, file.size)


cdef uint32_t log_ftp_data(app_context_t *context, tx_t *tx, uint32_t kind, void *out) noexcept nogil:
    cdef const ftp_data_tx_t *transfer = <const ftp_data_tx_t *> tx
    cdef writer_t *writer = <writer_t *> out
    if kind == LOG_TO_SERVER:
        return False            # once, when both directions are over
    put_key(writer, b"ftp_data")
    open_map(writer)
    if transfer.file != NULL:
        if transfer.file.name.length:
            say_bytes(writer, b"filename", transfer.file.name.data, transfer.file.name.length)
        if transfer.command == FTPDATA_RETR:
            say_text(writer, b"command", b"RETR")
        else:
            say_text(writer, b"command", b"STOR")
    close_nested(writer)
    return True


cdef void describe_ftp_data(room_t *room) noexcept nogil:
    room.name = b"ftp-data"
    room.proto = ALPROTO_FTP_DATA
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = FTP_DATA_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = FTP_DATA_COMPLETE
    room.inert = True
    room.parse = parse_ftp_data
    room.buffer = ftp_data_buffer
    room.inspected = ftp_data_inspected
    room.log = log_ftp_data
