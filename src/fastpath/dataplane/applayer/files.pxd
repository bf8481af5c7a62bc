# Files on their way through a transaction: opened, fed and closed by rooms; looked at by the rules; hashed as they pass.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    FILE_HAS_GAPS, FILE_NO_INSPECTION, FILE_OPEN, TX_NEW, app_context_t, file_t, tx_t,
)
from fastpath.dataplane.pool cimport bytes_append, bytes_drop, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER

cdef enum:
    FILE_NAME_MAX = 2048


cdef inline file_t *file_open(app_context_t *context, tx_t *tx, uint32_t direction, const uint8_t *name,
                              uint32_t length) noexcept nogil:
    """A new file, last of its direction; NULL where memory is refused."""
    cdef file_t *file = <file_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(file_t))
    cdef file_t **link = &tx.files[direction]
    if file == NULL:
        return NULL
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &file.name, name, min(length, <uint32_t> FILE_NAME_MAX)):
        pool_give(context.pool, ACCOUNT_APPLAYER, file, sizeof(file_t))
        return NULL
    context.app.files += 1
    file.id = context.app.files
    file.direction = <uint8_t> direction
    while link[0] != NULL:
        link = &link[0].next
    link[0] = file
    tx.flags |= TX_NEW
    return file


cdef inline void file_append(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length) noexcept nogil:
    """More of the file. What memory refuses can be inspected no more, but counts."""
    file.size += length
    if file.flags & FILE_NO_INSPECTION:
        return
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &file.data, data, length):
        file.flags |= FILE_NO_INSPECTION
        bytes_free(context.pool, ACCOUNT_APPLAYER, &file.data)
        file.base = file.size
    tx.flags |= TX_NEW


cdef inline void file_gap(file_t *file, uint64_t length) noexcept nogil:
    """Bytes that were never seen. What follows is inspected for itself."""
    file.flags |= FILE_HAS_GAPS
    file.size += length


cdef inline void file_close(app_context_t *context, tx_t *tx, file_t *file, uint32_t state) noexcept nogil:
    """FILE_CLOSED: all of it came; FILE_TRUNCATED, FILE_ERROR."""
    if file.state == FILE_OPEN:
        file.state = <uint8_t> state
        file.closed_ordinal = context.ordinal
        tx.flags |= TX_NEW


cdef inline void file_forget(app_context_t *context, file_t *file, uint64_t upto) noexcept nogil:
    """Data below this offset has been inspected and may go."""
    cdef uint64_t drop
    if upto > file.base:
        drop = min(upto - file.base, <uint64_t> file.data.length)
        bytes_drop(&file.data, <uint32_t> drop)
        file.base += drop


cdef inline void free_files(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef uint32_t direction
    cdef file_t *file
    for direction in range(2):
        while tx.files[direction] != NULL:
            file = tx.files[direction]
            tx.files[direction] = file.next
            bytes_free(context.pool, ACCOUNT_APPLAYER, &file.name)
            bytes_free(context.pool, ACCOUNT_APPLAYER, &file.data)
            pool_give(context.pool, ACCOUNT_APPLAYER, file, sizeof(file_t))
