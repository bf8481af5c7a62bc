# Files on their way through a transaction: opened, fed and closed by rooms; looked at by the rules; hashed as they pass.
#
# A module that cimports from here links with libcrypto (setup.py: LINKS).
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    APP_STORE_TO_SERVER, FILE_CLOSED, FILE_HAS_GAPS, FILE_HELD, FILE_MD5, FILE_NO_INSPECTION, FILE_OPEN, FILE_SHA1, FILE_SHA256,
    FILE_STORE,
    FILE_TRUNCATED, TX_NEW, TX_STORE_TO_SERVER,
    VIEW_END, VIEW_LATER, VIEW_NONE, VIEW_READY, VIEW_START, app_context_t, file_t, tx_t, view_t,
)
from fastpath.dataplane.pool cimport bytes_append, bytes_drop, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER

cdef extern from *:
    """
    /* the interface whose state lies in our own memory: the other one takes its own from malloc */
    #define OPENSSL_SUPPRESS_DEPRECATED
    #include <openssl/md5.h>
    #include <openssl/sha.h>
    """
    ctypedef struct MD5_CTX:
        pass
    ctypedef struct SHA_CTX:
        pass
    ctypedef struct SHA256_CTX:
        pass
    int MD5_Init(MD5_CTX *) nogil
    int MD5_Update(MD5_CTX *, const void *, size_t) nogil
    int MD5_Final(uint8_t *, MD5_CTX *) nogil
    int SHA1_Init(SHA_CTX *) nogil
    int SHA1_Update(SHA_CTX *, const void *, size_t) nogil
    int SHA1_Final(uint8_t *, SHA_CTX *) nogil
    int SHA256_Init(SHA256_CTX *) nogil
    int SHA256_Update(SHA256_CTX *, const void *, size_t) nogil
    int SHA256_Final(uint8_t *, SHA256_CTX *) nogil

cdef enum:
    FILE_NAME_MAX = 4096
    FILE_HELD_MAX = 1 << 20         # what of a file waits for libmagic, where nothing else asks for it any more
    FILE_HASHES = FILE_MD5 | FILE_SHA1 | FILE_SHA256

cdef struct hashes_t:           # file_t.hashes, while it is open
    uint8_t wanted              # FILE_MD5 | FILE_SHA1 | FILE_SHA256
    MD5_CTX md5
    SHA_CTX sha1
    SHA256_CTX sha256


cdef inline void hashes_start(app_context_t *context, file_t *file, uint8_t wanted) noexcept nogil:
    """Where memory is refused the file has no digests."""
    cdef hashes_t *hashes
    if wanted & FILE_HASHES == 0:
        return
    hashes = <hashes_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(hashes_t))
    if hashes == NULL:
        return
    file.hashes = hashes
    hashes.wanted = wanted
    if wanted & FILE_MD5:
        MD5_Init(&hashes.md5)
    if wanted & FILE_SHA1:
        SHA1_Init(&hashes.sha1)
    if wanted & FILE_SHA256:
        SHA256_Init(&hashes.sha256)


cdef inline void hashes_feed(file_t *file, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef hashes_t *hashes = <hashes_t *> file.hashes
    if hashes == NULL or length == 0:
        return
    if hashes.wanted & FILE_MD5:
        MD5_Update(&hashes.md5, data, length)
    if hashes.wanted & FILE_SHA1:
        SHA1_Update(&hashes.sha1, data, length)
    if hashes.wanted & FILE_SHA256:
        SHA256_Update(&hashes.sha256, data, length)


cdef inline void hashes_end(app_context_t *context, file_t *file, uint8_t which) noexcept nogil:
    """Of the digests that are wanted, these are kept."""
    cdef hashes_t *hashes = <hashes_t *> file.hashes
    if hashes == NULL:
        return
    which &= hashes.wanted
    if which & FILE_MD5:
        MD5_Final(file.md5, &hashes.md5)
    if which & FILE_SHA1:
        SHA1_Final(file.sha1, &hashes.sha1)
    if which & FILE_SHA256:
        SHA256_Final(file.sha256, &hashes.sha256)
    file.flags |= which
    pool_give(context.pool, ACCOUNT_APPLAYER, hashes, sizeof(hashes_t))
    file.hashes = NULL


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
    hashes_start(context, file, context.config.files.hashes)
    if context.config.files.force_magic:
        file.flags |= FILE_HELD
    if (context.config.files.force_store or context.app.flags & APP_STORE_TO_SERVER << direction
            or tx.flags & TX_STORE_TO_SERVER << direction):
        file.flags |= FILE_STORE
    while link[0] != NULL:
        link = &link[0].next
    link[0] = file
    tx.flags |= TX_NEW
    return file


cdef inline bint to_be_stored(const tx_t *tx, uint32_t direction) noexcept nogil:
    """Is a file of this direction to be stored?"""
    cdef const file_t *file = tx.files[direction]
    while file != NULL:
        if file.flags & FILE_STORE:
            return True
        file = file.next
    return False


cdef inline file_t *last_file(const tx_t *tx, uint32_t direction) noexcept nogil:
    """The file that was opened last, NULL for none."""
    cdef file_t *file = tx.files[direction]
    while file != NULL and file.next != NULL:
        file = file.next
    return file


cdef inline void file_count(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    """More of the file, for digests and for what it is told to be."""
    if context.config.files.models:
        context.config.files.feed_model(context, tx, file, data, length)
    file.size += length
    hashes_feed(file, data, length)
    if context.work.store != NULL:
        context.work.store(context, tx, file, data, length)


cdef inline void name_magic(app_context_t *context, file_t *file) noexcept nogil:
    """What libmagic says of the file, once: file_t.magic. What was kept for it may go."""
    if context.work.magic != NULL and file.magic.length == 0:
        context.work.tell_magic(context, file)
    file.flags &= <uint16_t> ~FILE_HELD


cdef inline bint file_pass(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length) noexcept nogil:
    """More of a file than is inspected: where models are looked for, a model is followed to its end, and a file whose digest is
    asked for. False: nobody asks for it."""
    cdef bint inspected = file.inspected == file.size
    if file.state != FILE_OPEN or not context.config.files.models or file.model == NULL and file.hashes == NULL:
        return False
    file_count(context, tx, file, data, length)
    if inspected:
        file.inspected = file.size
    tx.flags |= TX_NEW
    return True


cdef inline void file_append(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length) noexcept nogil:
    """More of the file. What memory refuses can be inspected no more, but counts."""
    if file.state != FILE_OPEN:
        return
    file_count(context, tx, file, data, length)
    if file.flags & FILE_NO_INSPECTION:
        return
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, &file.data, data, length):
        file.flags |= FILE_NO_INSPECTION
        bytes_free(context.pool, ACCOUNT_APPLAYER, &file.data)
        file.base = file.size
    if file.flags & FILE_HELD and file.data.length >= FILE_HELD_MAX:
        name_magic(context, file)
    tx.flags |= TX_NEW


cdef inline void file_gap(app_context_t *context, file_t *file, uint64_t length) noexcept nogil:
    """Bytes that were never seen. What follows is inspected for itself."""
    if file.state != FILE_OPEN:
        return
    if file.flags & FILE_HELD:
        name_magic(context, file)
    file.flags |= FILE_HAS_GAPS
    if file.model != NULL:
        file.model.stopped = True
    file.size += length
    bytes_free(context.pool, ACCOUNT_APPLAYER, &file.data)
    file.base = file.inspected = file.size


cdef inline void file_close(app_context_t *context, tx_t *tx, file_t *file, uint32_t state) noexcept nogil:
    """FILE_CLOSED: all of it came, or it becomes FILE_TRUNCATED for its gaps; FILE_TRUNCATED, FILE_ERROR."""
    if file.state == FILE_OPEN:
        if state == FILE_CLOSED and file.flags & FILE_HAS_GAPS:
            state = FILE_TRUNCATED
        # of a part, SHA-256 alone is told: that of what was seen
        hashes_end(context, file, FILE_HASHES if state == FILE_CLOSED else FILE_SHA256)
        if file.model != NULL:
            context.config.files.end_model(context, tx, file, state == FILE_CLOSED)
        file.state = <uint8_t> state
        file.closed_ordinal = context.ordinal
        tx.flags |= TX_NEW


cdef inline void file_cut(app_context_t *context, tx_t *tx, file_t *file) noexcept nogil:
    """The stream ended before the file did. Of such a one not even SHA-256 is told."""
    if file.state == FILE_OPEN:
        hashes_end(context, file, 0)
        file_close(context, tx, file, FILE_TRUNCATED)


cdef inline void file_forget(file_t *file, uint64_t upto) noexcept nogil:
    """Data below this offset has been inspected and may go."""
    cdef uint64_t drop
    if upto > file.base and not file.flags & FILE_HELD:
        drop = min(upto - file.base, <uint64_t> file.data.length)
        bytes_drop(&file.data, <uint32_t> drop)
        file.base += drop


cdef inline file_t *file_at(const tx_t *tx, uint32_t direction, uint32_t index) noexcept nogil:
    """The index-th file of a direction, NULL for none."""
    cdef file_t *file = tx.files[direction]
    while file != NULL and index:
        file = file.next
        index -= 1
    return file


cdef inline uint32_t file_span(const file_t *file, uint64_t offset, view_t *view) noexcept nogil:
    """From this offset on, as far back as there is data."""
    offset = max(offset, file.base)
    view.data = file.data.data + (offset - file.base)
    view.length = <uint32_t> (file.base + file.data.length - offset)
    view.offset = offset
    view.flags = (VIEW_START if offset == 0 else 0) | (VIEW_END if file.state == FILE_CLOSED else 0)
    return VIEW_READY if view.length else VIEW_NONE


cdef inline uint32_t file_view(const file_t *file, uint64_t limit, uint64_t least, bint ended, view_t *view) noexcept nogil:
    """What was not looked at yet (file.data), once there are `least` bytes, or `limit`, or all: the way of every protocol but
    HTTP. `ended`: no more will come."""
    if file.size == 0 or file.inspected == file.size or file.flags & FILE_NO_INSPECTION:
        return VIEW_NONE
    if (limit == 0 or file.size < limit) and file.size < least and not ended and file.state == FILE_OPEN:
        return VIEW_LATER
    return file_span(file, file.inspected, view)


cdef inline void free_files(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef uint32_t direction
    cdef file_t *file
    for direction in range(2):
        while tx.files[direction] != NULL:
            file = tx.files[direction]
            tx.files[direction] = file.next
            hashes_end(context, file, 0)
            if file.model != NULL:
                context.config.files.free_model(context, file)
            bytes_free(context.pool, ACCOUNT_APPLAYER, &file.name)
            bytes_free(context.pool, ACCOUNT_APPLAYER, &file.data)
            bytes_free(context.pool, ACCOUNT_APPLAYER, &file.sids)
            bytes_free(context.pool, ACCOUNT_APPLAYER, &file.magic)
            pool_give(context.pool, ACCOUNT_APPLAYER, file, sizeof(file_t))
