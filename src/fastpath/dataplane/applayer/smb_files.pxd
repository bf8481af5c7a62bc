# Pieces of files and of pipes, as WRITE and READ of both versions carry them.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport SMB_FILE_OVERLAP, app_context_t
from fastpath.dataplane.applayer.smb_rpc cimport is_rpc_pipe, looks_like_rpc
from fastpath.dataplane.applayer.smb_state cimport (
    HEADER_ANY, HEADER_SHARE, SMB_FILE, TEXT_NAME, TEXT_SHARE, complete, fid_t, file_memo, find_file, header_t, is_complete,
    keep_at,
    keep_file, memo_at, memo_t, new_header, new_smb, note, record_t, set_text, smb_state_t, smb_tx_t,
)
from fastpath.dataplane.applayer.smb_track cimport track_close, track_piece
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef struct piece_t:
    fid_t fid
    uint64_t offset
    uint32_t size               # as the message says
    const uint8_t *data
    uint32_t length             # of it that is here

cdef enum pipe_kind:
    NO_PIPE, PIPE, RPC_PIPE


cdef inline void skip_rest(smb_state_t *state, uint32_t direction, const piece_t *piece) noexcept nogil:
    state.skip[direction] = piece.size - min(piece.size, piece.length)


cdef inline void expect_rest(smb_state_t *state, uint32_t direction, const piece_t *piece) noexcept nogil:
    state.file_left[direction] = piece.size - min(piece.size, piece.length)
    state.file_fid[direction] = piece.fid


cdef inline uint32_t pipe_of(app_context_t *context, smb_state_t *state, const record_t *record,
                             const piece_t *piece) noexcept nogil:
    """Is the tree one of pipes? Where it was not seen, the bytes may tell, and are believed from then on."""
    cdef memo_t *tree = memo_at(state, record, HEADER_SHARE)
    cdef bytes_t name
    cdef bint known = tree != NULL and tree.text.length
    if known or tree != NULL and tree.pipe:
        if not tree.pipe:
            return NO_PIPE
        return RPC_PIPE if is_rpc_pipe(state, &piece.fid) else PIPE
    if not looks_like_rpc(piece.data, piece.length):
        return NO_PIPE
    name.data = <uint8_t *> b"suricata::dcerpc"
    name.length = 16
    name.room = 0
    tree = keep_at(context, state, record, HEADER_SHARE)
    if tree != NULL:
        tree.pipe = True
        bytes_append(context.pool, ACCOUNT_APPLAYER, &tree.text, name.data, name.length)
    if not is_rpc_pipe(state, &piece.fid):
        keep_file(context, state, &piece.fid, &name)
    return RPC_PIPE


cdef inline smb_tx_t *open_file_tx(app_context_t *context, smb_state_t *state, const record_t *record, const piece_t *piece,
                                   uint32_t direction, uint32_t command, const uint8_t *name, uint32_t length) noexcept nogil:
    """The transaction of a file that is written or read from now on."""
    cdef header_t header = new_header(HEADER_ANY, record.session, record.tree, 0)
    cdef memo_t *tree
    cdef smb_tx_t *tx = new_smb(context, SMB_FILE, record.version, command, &header if record.version == 2 else NULL)
    if tx == NULL:
        return NULL
    tx.direction = <uint8_t> direction
    tx.fid = piece.fid
    set_text(context, &tx.text[TEXT_NAME], name, length)
    tree = memo_at(state, record, HEADER_SHARE)
    if tree != NULL and not (record.version == 2 and direction == TO_SERVER):
        set_text(context, &tx.text[TEXT_SHARE], tree.text.data, tree.text.length)
    return tx


cdef inline void take_piece(app_context_t *context, smb_tx_t *tx, const piece_t *piece, const uint8_t *name,
                            uint32_t length) noexcept nogil:
    cdef bint overlaps = piece.offset < tx.track.tracked
    track_piece(context, tx, name, length, piece.data, piece.length, piece.offset, piece.size)
    if overlaps:
        note(context, SMB_FILE_OVERLAP)


cdef inline void close_file(app_context_t *context, const fid_t *fid, uint32_t direction) noexcept nogil:
    """SMB 1's close of one direction."""
    cdef smb_tx_t *tx = find_file(context, fid, direction, False)
    if tx != NULL and not is_complete(tx, TO_SERVER):
        track_close(context, tx)
        complete(context, tx, TO_SERVER)
        complete(context, tx, TO_CLIENT)
