# What the SMB room keeps of a session: its transactions, and what of one record a later one needs (names, offsets, trees).
#
# Every list is bounded: of what is remembered the oldest goes, of too many transactions the oldest is closed.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastpath.dataplane.applayer.applayer cimport (
    SMB_COMPLETE, SMB_TOO_MANY_TRANSACTIONS, TX_NEW, app_context_t, file_t, tx_t,
)
from fastpath.dataplane.applayer.dcerpc_wire cimport interfaces_t
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef enum:
    MEMOS_MAX = 4096            # of a session
    MEMO_TABLE = 256
    CHUNKS_MAX = 1024           # of a file, out of order
    CHUNKS_SIZE = 1 << 24       # bytes of them
    SMB_TEXTS = 7
    FID_MAX = 16                # SMB 2: 16 bytes; SMB 1: 2, and 4 of the user

cdef enum smb_kind:
    SMB_GENERIC, SMB_FILE, SMB_TREE, SMB_NEGOTIATE, SMB_DCERPC, SMB_CREATE, SMB_SETUP, SMB_IOCTL, SMB_RENAME, SMB_SET_INFO

# What is remembered, and the kinds of headers that transactions are found by.
cdef enum header_kind:
    HEADER_FID = 1              # message -> file
    HEADER_SHARE                # tree -> its name
    HEADER_NAME                 # message -> name of a file to be opened
    HEADER_OFFSET               # message -> file, offset of a read
    HEADER_GENERIC
    HEADER_ANY
    HEADER_FRAGMENT             # tree, file -> the part of a DCERPC record that came so far
    HEADER_TREE
    HEADER_FILE                 # file -> its name

cdef enum:                      # indexes of smb_tx_t.text, by kind
    TEXT_NAME = 0               # of a file or a share; dialects of SMB 1, each with a NUL; of SMB 2, two bytes each; user
    TEXT_SHARE = 1              # of a file
    TEXT_TO = 1                 # of a rename
    TEXT_ASKED = 1              # service of a tree
    TEXT_ANSWERED = 2
    TEXT_DOMAIN = 1, TEXT_HOST = 2, TEXT_OS = 3, TEXT_LM = 4, TEXT_SERVER_OS = 5, TEXT_SERVER_LM = 6
    TEXT_STUB = 0               # to server, to client

cdef struct header_t:
    uint32_t kind               # enum header_kind
    uint32_t tree
    uint64_t session, message

cdef struct fid_t:
    uint8_t data[16]
    uint64_t length

cdef struct memo_key_t:
    header_t header
    fid_t fid

cdef struct memo_t:
    memo_t *next                # of its list in the table
    memo_t *older
    memo_t *newer
    memo_key_t key
    fid_t fid
    uint64_t offset
    uint8_t pipe
    bytes_t text

cdef struct chunk_t:            # of a file, ahead of what there is of it
    chunk_t *next
    uint64_t offset
    bint gap
    bytes_t data

cdef struct track_t:            # a file, written or read in pieces
    file_t *file                # that is open
    uint64_t tracked            # bytes from its beginning
    uint64_t ahead              # where the piece at work belongs, if not there
    uint64_t queued
    uint64_t closes             # engine time after which it is given up, behind a gap; 0 for never
    uint32_t left               # of the piece at work
    uint32_t chunk_count
    bint open, truncated, out_of_order
    chunk_t *chunks

cdef struct call_t:             # of DCERPC
    uint16_t opnum, item
    uint16_t fragments[2]
    uint32_t id
    uint8_t request, response
    bint asked, answered

cdef struct smb_tx_t:
    tx_t tx
    uint8_t kind, version       # enum smb_kind; 1 or 2
    bint has_status, dos_status
    uint16_t command
    uint8_t dos_class
    uint8_t direction           # of a file
    uint32_t status
    header_t header
    fid_t fid
    bytes_t text[7]
    track_t track
    call_t call
    # create, set info
    uint32_t disposition
    bint delete_on_close, directory
    uint32_t times[4]           # created, accessed, modified, changed: seconds since 1970
    uint64_t size
    uint16_t level, subcommand
    # tree connect
    bint pipe, has_asked, has_answered
    uint8_t share_type
    # negotiate
    bint has_client, has_server
    uint8_t client[16]
    uint8_t server[16]
    # session setup
    bint has_ntlm, has_ntlm_version, has_kerberos, has_os, has_server_os
    uint8_t ntlm_version[4]     # major, minor, -, revision
    uint16_t ntlm_build
    bytes_t realm, names        # of a Kerberos ticket; names: each with two bytes of its length before it
    uint32_t function           # of an ioctl

cdef struct smb_state_t:
    memo_t *table[256]
    memo_t *oldest
    memo_t *newest
    uint32_t memos
    uint16_t dialect            # of SMB 2; 0 for none
    bint has_dialect_name
    bytes_t dialect_name        # of SMB 1
    uint32_t max_read, max_write
    interfaces_t interfaces     # of the latest bind
    uint32_t skip[2]            # bytes that are not looked at
    uint32_t file_left[2]       # bytes of a piece of a file, which are not held until it is whole
    fid_t file_fid[2]
    bint gap[2]                 # the next record is to be found
    bint had_gap[2]
    bint files_after_gap

cdef struct record_t:           # of SMB 1 or 2
    uint8_t version
    bint response, unicode, dos_status
    uint16_t command
    uint32_t status, tree
    uint64_t session, message
    const uint8_t *data         # behind the header
    uint32_t length


# ---- headers ----

cdef inline header_t header_of(const record_t *record, uint32_t kind) noexcept nogil:
    cdef header_t header
    header.kind = kind
    header.session = record.session
    header.tree = 0 if kind == HEADER_TREE or kind == HEADER_NAME and record.version == 2 else record.tree
    header.message = 0 if kind == HEADER_FRAGMENT or kind == HEADER_SHARE else record.message
    return header


cdef inline header_t new_header(uint32_t kind, uint64_t session, uint32_t tree, uint64_t message) noexcept nogil:
    cdef header_t header
    header.kind = kind
    header.tree = tree
    header.session = session
    header.message = message
    return header


cdef inline bint same_header(const header_t *one, const header_t *other) noexcept nogil:
    """Answers need not name the tree."""
    return one.kind == other.kind and one.session == other.session and one.message == other.message


cdef inline fid_t fid_of(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef fid_t fid
    memset(&fid, 0, sizeof(fid))
    fid.length = min(length, <uint32_t> FID_MAX)
    if fid.length:
        memcpy(fid.data, data, fid.length)
    return fid


cdef inline fid_t user_fid(const uint8_t *fid, uint64_t user) noexcept nogil:
    """SMB 1 numbers files by user."""
    cdef uint8_t data[6]
    memcpy(data, fid, 2)
    data[2] = <uint8_t> (user >> 24)
    data[3] = <uint8_t> (user >> 16)
    data[4] = <uint8_t> (user >> 8)
    data[5] = <uint8_t> user
    return fid_of(data, 6)


cdef inline bint same_fid(const fid_t *one, const fid_t *other) noexcept nogil:
    return one.length == other.length and memcmp(one.data, other.data, 16) == 0


# ---- what is remembered ----

cdef inline uint32_t memo_list(const memo_key_t *key) noexcept nogil:
    cdef uint64_t words[6]
    cdef uint64_t hash = 0
    cdef uint32_t i
    memcpy(words, key, 48)
    for i in range(6):
        hash = (hash ^ words[i]) * <uint64_t> 0x9e3779b97f4a7c15
        hash ^= hash >> 29
    return <uint32_t> (hash >> 32) % MEMO_TABLE


cdef inline memo_key_t memo_key(const header_t *header, const fid_t *fid) noexcept nogil:
    """By a header, by a file (header NULL), or by both."""
    cdef memo_key_t key
    memset(&key, 0, sizeof(key))
    if header != NULL:
        key.header = header[0]
    else:
        key.header.kind = HEADER_FILE
    if fid != NULL:
        key.fid = fid[0]
    return key


cdef inline memo_t *find_memo(const smb_state_t *state, const memo_key_t *key) noexcept nogil:
    cdef memo_t *memo = state.table[memo_list(key)]
    while memo != NULL and memcmp(&memo.key, key, sizeof(memo_key_t)) != 0:
        memo = memo.next
    return memo


cdef inline void drop_memo(app_context_t *context, smb_state_t *state, memo_t *memo) noexcept nogil:
    cdef memo_t **link
    if memo == NULL:
        return
    link = &state.table[memo_list(&memo.key)]
    while link[0] != memo:
        link = &link[0].next
    link[0] = memo.next
    if memo.older != NULL:
        memo.older.newer = memo.newer
    else:
        state.oldest = memo.newer
    if memo.newer != NULL:
        memo.newer.older = memo.older
    else:
        state.newest = memo.older
    state.memos -= 1
    bytes_free(context.pool, ACCOUNT_APPLAYER, &memo.text)
    pool_give(context.pool, ACCOUNT_APPLAYER, memo, sizeof(memo_t))


cdef inline memo_t *keep_memo(app_context_t *context, smb_state_t *state, const memo_key_t *key) noexcept nogil:
    """An empty one in place of what there was; NULL where memory is refused."""
    cdef memo_t **list = &state.table[memo_list(key)]
    cdef memo_t *memo
    drop_memo(context, state, find_memo(state, key))
    if state.memos >= MEMOS_MAX:
        drop_memo(context, state, state.oldest)
    memo = <memo_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(memo_t))
    if memo == NULL:
        return NULL
    memo.key = key[0]
    memo.next = list[0]
    list[0] = memo
    memo.older = state.newest
    if state.newest != NULL:
        state.newest.newer = memo
    else:
        state.oldest = memo
    state.newest = memo
    state.memos += 1
    return memo


cdef inline memo_t *memo_at(const smb_state_t *state, const record_t *record, uint32_t kind) noexcept nogil:
    cdef header_t header = header_of(record, kind)
    cdef memo_key_t key = memo_key(&header, NULL)
    return find_memo(state, &key)


cdef inline memo_t *keep_at(app_context_t *context, smb_state_t *state, const record_t *record, uint32_t kind) noexcept nogil:
    cdef header_t header = header_of(record, kind)
    cdef memo_key_t key = memo_key(&header, NULL)
    return keep_memo(context, state, &key)


cdef inline memo_t *file_memo(const smb_state_t *state, const fid_t *fid) noexcept nogil:
    """The name of a file."""
    cdef memo_key_t key = memo_key(NULL, fid)
    return find_memo(state, &key)


cdef inline void keep_file(app_context_t *context, smb_state_t *state, const fid_t *fid, const bytes_t *name) noexcept nogil:
    """The name may be that of another memo, which may have to go."""
    cdef memo_key_t key = memo_key(NULL, fid)
    cdef memo_t *memo
    cdef bytes_t copy
    copy.data = NULL
    copy.length = copy.room = 0
    bytes_append(context.pool, ACCOUNT_APPLAYER, &copy, name.data, name.length)
    memo = keep_memo(context, state, &key)
    if memo != NULL:
        memo.text = copy
    else:
        bytes_free(context.pool, ACCOUNT_APPLAYER, &copy)


# ---- text ----

cdef inline void set_text(app_context_t *context, bytes_t *text, const uint8_t *data, uint32_t length) noexcept nogil:
    text.length = 0
    bytes_append(context.pool, ACCOUNT_APPLAYER, text, data, length)


cdef inline void set_narrow(app_context_t *context, bytes_t *text, const uint8_t *data, uint32_t length) noexcept nogil:
    """UTF-16 as far as it is ASCII: without its NULs."""
    cdef uint32_t i, kept = 0
    set_text(context, text, data, length)
    for i in range(text.length):
        if text.data[i]:
            text.data[kept] = text.data[i]
            kept += 1
    text.length = kept


# ---- transactions ----

cdef inline smb_tx_t *next_smb(const smb_tx_t *tx) noexcept nogil:
    return <smb_tx_t *> tx.tx.next


cdef inline void complete(app_context_t *context, smb_tx_t *tx, uint32_t direction) noexcept nogil:
    tx_progress(context, &tx.tx, direction, SMB_COMPLETE)
    tx.tx.flags |= TX_NEW


cdef inline bint is_complete(const smb_tx_t *tx, uint32_t direction) noexcept nogil:
    return tx.tx.progress[direction] >= SMB_COMPLETE


cdef inline smb_tx_t *new_smb(app_context_t *context, uint32_t kind, uint32_t version, uint32_t command,
                              const header_t *header) noexcept nogil:
    """A transaction whose request is known; NULL where memory is refused."""
    cdef smb_tx_t *tx
    cdef smb_tx_t *old = <smb_tx_t *> context.app.first
    if context.config.smb.max_tx and context.app.txs > context.config.smb.max_tx:
        while old != NULL and is_complete(old, TO_SERVER) and is_complete(old, TO_CLIENT):
            old = next_smb(old)
        if old != NULL:
            complete(context, old, TO_SERVER)
            complete(context, old, TO_CLIENT)
            tx_event(&old.tx, SMB_TOO_MANY_TRANSACTIONS)
    tx = <smb_tx_t *> new_tx(context, sizeof(smb_tx_t))
    if tx == NULL:
        return NULL
    tx.kind = <uint8_t> kind
    tx.version = <uint8_t> version
    tx.command = <uint16_t> command
    if header != NULL:
        tx.header = header[0]
    if kind != SMB_FILE and kind != SMB_DCERPC:
        complete(context, tx, TO_SERVER)
    return tx


cdef inline void set_status(smb_tx_t *tx, uint32_t status, bint dos) noexcept nogil:
    tx.has_status = True
    if dos:
        tx.dos_status = True
        tx.dos_class = <uint8_t> status
        tx.status = status >> 16
    else:
        tx.status = status
    tx.tx.flags |= TX_NEW


cdef inline smb_tx_t *find_smb(app_context_t *context, uint32_t version, uint32_t command, const header_t *header) noexcept nogil:
    """The oldest of a command with this header."""
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while tx != NULL and not (tx.version == version and tx.command == command and same_header(&tx.header, header)):
        tx = next_smb(tx)
    return tx


cdef inline smb_tx_t *find_kind(app_context_t *context, uint32_t kind, const header_t *header) noexcept nogil:
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while tx != NULL and not (tx.kind == kind and same_header(&tx.header, header)):
        tx = next_smb(tx)
    return tx


cdef inline smb_tx_t *find_negotiate(app_context_t *context, uint32_t version) noexcept nogil:
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while tx != NULL and not (tx.kind == SMB_NEGOTIATE and tx.version == version):
        tx = next_smb(tx)
    return tx


cdef inline smb_tx_t *find_file(app_context_t *context, const fid_t *fid, uint32_t direction, bint opened) noexcept nogil:
    """The transaction of a file; `opened`: one whose file has not been closed."""
    cdef smb_tx_t *tx = <smb_tx_t *> context.app.first
    while tx != NULL and not (tx.kind == SMB_FILE and tx.direction == direction and same_fid(&tx.fid, fid)
                              and (not opened or tx.track.open)):
        tx = next_smb(tx)
    return tx


cdef inline void note(app_context_t *context, uint16_t event) noexcept nogil:
    """An event of the session stands with its latest transaction."""
    if context.app.last != NULL:
        tx_event(context.app.last, event)
