# What an SMB transaction has to say: the object `smb` of EVE.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport app_context_t
from fastpath.dataplane.applayer.dcerpc_wire cimport (
    PDU_BIND, PDU_REQUEST, PDU_RESPONSE, interface_t, put_number, say_pdu_type, say_uuid, say_version,
)
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_counted, put_head, put_key, put_raw, put_text, say_text, say_uint, writer_t,
)
from fastpath.dataplane.applayer.smb_state cimport (
    SMB_CREATE, SMB_DCERPC, SMB_FILE, SMB_IOCTL, SMB_NEGOTIATE, SMB_RENAME, SMB_SET_INFO, SMB_SETUP, SMB_TREE, TEXT_ANSWERED,
    TEXT_ASKED, TEXT_DOMAIN, TEXT_HOST, TEXT_LM, TEXT_NAME, TEXT_OS, TEXT_SERVER_LM, TEXT_SERVER_OS, TEXT_SHARE, TEXT_STUB, TEXT_TO,
    fid_t, smb_state_t, smb_tx_t,
)
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER, bytes_t

cdef extern from "applayer/smb_names.h" nogil:
    ctypedef struct smb_name_t:
        pass
    const smb_name_t smb1_commands[]
    const smb_name_t smb2_commands[]
    const smb_name_t smb2_dialects[]
    const smb_name_t smb_controls[]
    const smb_name_t smb_dos_errors[]
    const smb_name_t smb_server_errors[]
    const smb_name_t smb_nt_status[]
    const char *name_in "SMB_NAME_OF" (const smb_name_t *, uint32_t)


# ---- text ----

cdef inline uint32_t utf8_length(const uint8_t *data, uint32_t length, bint *good) noexcept nogil:
    """Bytes of the character that begins here; not good: those that one replacement character stands for."""
    cdef uint8_t first = data[0]
    cdef uint32_t wanted, i
    cdef uint8_t low = 0x80, high = 0xbf
    good[0] = True
    if first < 0x80:
        return 1
    good[0] = False
    if 0xc2 <= first <= 0xdf:
        wanted = 2
    elif 0xe0 <= first <= 0xef:
        wanted = 3
        low = 0xa0 if first == 0xe0 else 0x80
        high = 0x9f if first == 0xed else 0xbf
    elif 0xf0 <= first <= 0xf4:
        wanted = 4
        low = 0x90 if first == 0xf0 else 0x80
        high = 0x8f if first == 0xf4 else 0xbf
    else:
        return 1
    for i in range(1, wanted):
        if i >= length or not low <= data[i] <= high:
            return i
        low = 0x80
        high = 0xbf
    good[0] = True
    return wanted


cdef inline void put_readable(writer_t *writer, const uint8_t *data, uint32_t length) noexcept nogil:
    """As UTF-8, with U+FFFD for what is none."""
    cdef uint32_t at = 0, step, size = 0
    cdef bint good
    while at < length:
        step = utf8_length(data + at, length - at, &good)
        size += step if good else 3
        at += step
    put_counted(writer)
    put_head(writer, 0xdb, size, 4)
    at = 0
    while at < length:
        step = utf8_length(data + at, length - at, &good)
        if good:
            put_raw(writer, data + at, step)
        else:
            put_raw(writer, b"\xef\xbf\xbd", 3)
        at += step


cdef inline void say_readable(writer_t *writer, const char *key, const bytes_t *text) noexcept nogil:
    put_key(writer, key)
    put_readable(writer, text.data, text.length)


cdef inline void say_path(writer_t *writer, const char *key, const bytes_t *text) noexcept nogil:
    """A file that has no name is the share itself."""
    if text.length:
        say_readable(writer, key, text)
    else:
        say_text(writer, b"filename", b"<share_root>")


cdef inline void put_hex_number(char *text, uint32_t value, uint32_t digits) noexcept nogil:
    cdef const char *hexadecimal = b"0123456789abcdef"
    cdef uint32_t i
    for i in range(digits):
        text[i] = hexadecimal[value >> 4 * (digits - 1 - i) & 15]
    text[digits] = 0


cdef inline void say_hex(writer_t *writer, const char *key, uint32_t value, uint32_t least) noexcept nogil:
    """0x and as many digits as it takes, `least` at least."""
    cdef char text[11]
    cdef uint32_t digits = least
    while digits < 8 and value >> 4 * digits:
        digits += 1
    memcpy(text, b"0x", 2)
    put_hex_number(text + 2, value, digits)
    say_text(writer, key, text)


cdef inline void say_guid(writer_t *writer, const char *key, const uint8_t *guid) noexcept nogil:
    """As four numbers of 32, 16, 16 and 16 bits, and six bytes turned round in two parts."""
    cdef uint8_t turned[16]
    cdef const uint8_t *order = <const uint8_t *> b"\x03\x02\x01\x00\x05\x04\x07\x06\x09\x08\x0b\x0a\x0f\x0e\x0d\x0c"
    cdef uint32_t i
    for i in range(16):
        turned[i] = guid[order[i]]
    say_uuid(writer, key, turned)


cdef inline void say_fid(writer_t *writer, const fid_t *fid) noexcept nogil:
    cdef char text[5]
    if fid.length == 16:
        say_guid(writer, b"fuid", fid.data)
    elif fid.length:
        put_hex_number(text, fid.data[1] << 8 | fid.data[0], 4)
        say_text(writer, b"fuid", text)
    else:
        say_text(writer, b"fuid", b"")


cdef inline void put_named(writer_t *writer, const char *name, uint32_t number) noexcept nogil:
    if name != NULL:
        put_text(writer, name)
    else:
        put_number(writer, number)


# ---- the parts ----

cdef inline void say_status(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    cdef char text[16]
    if not tx.has_status:
        return
    put_key(writer, b"status")
    if not tx.dos_status:
        put_named(writer, name_in(smb_nt_status, tx.status), tx.status)
        say_hex(writer, b"status_code", tx.status, 1)
        return
    if tx.dos_class == 1:
        put_named(writer, name_in(smb_dos_errors, tx.status & 0xffff), tx.status & 0xffff)
    elif tx.dos_class == 2:
        put_named(writer, name_in(smb_server_errors, tx.status & 0xffff), tx.status & 0xffff)
    else:
        memcpy(text, b"UNKNOWN_", 8)
        put_hex_number(text + 8, tx.dos_class, 2)
        text[10] = 95
        put_hex_number(text + 11, tx.status & 0xffff, 4)
        put_text(writer, text)
    say_hex(writer, b"status_code", tx.status & 0xffff, 4)


cdef inline void say_host(writer_t *writer, const char *key, const bytes_t *system, const bytes_t *manager) noexcept nogil:
    put_key(writer, key)
    open_map(writer)
    say_readable(writer, b"native_os", system)
    say_readable(writer, b"native_lm", manager)
    close_nested(writer)


cdef inline void say_ntlm_version(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    """6.1 build 7600 rev 15"""
    cdef uint32_t numbers[4]
    cdef const char **between = [b".", b" build ", b" rev ", b""]
    cdef uint8_t text[48]
    cdef char digits[8]
    cdef const char *mark
    cdef uint32_t i, at = 0, count, value
    numbers[0] = tx.ntlm_version[0]
    numbers[1] = tx.ntlm_version[1]
    numbers[2] = tx.ntlm_build
    numbers[3] = tx.ntlm_version[3]
    for i in range(4):
        value = numbers[i]
        count = 0
        while count == 0 or value:
            digits[count] = <char> (48 + value % 10)
            value //= 10
            count += 1
        while count:
            count -= 1
            text[at] = <uint8_t> digits[count]
            at += 1
        mark = between[i]
        while mark[0]:
            text[at] = <uint8_t> mark[0]
            mark += 1
            at += 1
    put_key(writer, b"version")
    put_readable(writer, text, at)


cdef inline void say_setup(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    cdef uint32_t at = 0, size
    if tx.has_ntlm:
        put_key(writer, b"ntlmssp")
        open_map(writer)
        say_readable(writer, b"domain", &tx.text[TEXT_DOMAIN])
        say_readable(writer, b"user", &tx.text[TEXT_NAME])
        say_readable(writer, b"host", &tx.text[TEXT_HOST])
        if tx.has_ntlm_version:
            say_ntlm_version(writer, tx)
        close_nested(writer)
    if tx.has_kerberos:
        put_key(writer, b"kerberos")
        open_map(writer)
        say_readable(writer, b"realm", &tx.realm)
        put_key(writer, b"snames")
        open_array(writer)
        while at + 2 <= tx.names.length:
            size = tx.names.data[at] << 8 | tx.names.data[at + 1]
            size = min(size, tx.names.length - at - 2)
            put_readable(writer, tx.names.data + at + 2, size)
            at += 2 + size
        close_nested(writer)
        close_nested(writer)
    if tx.has_os:
        say_host(writer, b"request", &tx.text[TEXT_OS], &tx.text[TEXT_LM])
    if tx.has_server_os:
        say_host(writer, b"response", &tx.text[TEXT_SERVER_OS], &tx.text[TEXT_SERVER_LM])


cdef inline void say_create(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    cdef const char **dispositions = [b"FILE_SUPERSEDE", b"FILE_OPEN", b"FILE_CREATE", b"FILE_OPEN_IF", b"FILE_OVERWRITE",
                                      b"FILE_OVERWRITE_IF"]
    cdef const char **times = [b"created", b"accessed", b"modified", b"changed"]
    cdef uint32_t i
    say_path(writer, b"directory" if tx.directory else b"filename", &tx.text[TEXT_NAME])
    say_text(writer, b"disposition", dispositions[tx.disposition] if tx.disposition < 6 else <const char *> b"UNKNOWN")
    say_text(writer, b"access", b"delete on close" if tx.delete_on_close else b"normal")
    for i in range(4):
        say_uint(writer, times[i], tx.times[i])
    say_uint(writer, b"size", tx.size)
    say_fid(writer, &tx.fid)


cdef inline void say_negotiate(writer_t *writer, const smb_state_t *state, const smb_tx_t *tx) noexcept nogil:
    cdef const bytes_t *dialects = &tx.text[TEXT_NAME]
    cdef uint32_t at = 0, end, number
    put_key(writer, b"client_dialects")
    open_array(writer)
    while tx.version == 1 and at < dialects.length:
        end = at
        while end < dialects.length and dialects.data[end]:
            end += 1
        put_readable(writer, dialects.data + at, end - at)
        at = end + 1
    while tx.version == 2 and at + 2 <= dialects.length:
        number = dialects.data[at + 1] << 8 | dialects.data[at]
        put_named(writer, name_in(smb2_dialects, number), number)
        at += 2
    close_nested(writer)
    if tx.has_client:
        say_guid(writer, b"client_guid", tx.client)
    if tx.has_server:
        say_guid(writer, b"server_guid", tx.server)
    else:
        say_text(writer, b"server_guid", b"")
    if state.max_read:
        say_uint(writer, b"max_read_size", state.max_read)
    if state.max_write:
        say_uint(writer, b"max_write_size", state.max_write)


cdef inline void say_tree(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    cdef const char **types = [b"UNKNOWN", b"FILE", b"PIPE", b"PRINT"]
    say_readable(writer, b"named_pipe" if tx.pipe else b"share", &tx.text[TEXT_NAME])
    if tx.version != 1:
        say_text(writer, b"share_type", types[tx.share_type if tx.share_type < 4 else 0])
        return
    put_key(writer, b"service")
    open_map(writer)
    if tx.has_asked:
        say_readable(writer, b"request", &tx.text[TEXT_ASKED])
    if tx.has_answered:
        say_readable(writer, b"response", &tx.text[TEXT_ANSWERED])
    close_nested(writer)


cdef inline void say_rename(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    if tx.version == 2:
        put_key(writer, b"set_info")
        open_map(writer)
        say_text(writer, b"class", b"FILE_INFO")
        say_text(writer, b"info_level", b"SMB2_FILE_RENAME_INFO")
        close_nested(writer)
    put_key(writer, b"rename")
    open_map(writer)
    say_readable(writer, b"from", &tx.text[TEXT_NAME])
    say_readable(writer, b"to", &tx.text[TEXT_TO])
    close_nested(writer)
    say_fid(writer, &tx.fid)


cdef inline void say_stub(writer_t *writer, const char *key, const smb_tx_t *tx, uint32_t direction) noexcept nogil:
    put_key(writer, key)
    open_map(writer)
    say_uint(writer, b"frag_cnt", tx.call.fragments[direction])
    say_uint(writer, b"stub_data_size", tx.text[TEXT_STUB + direction].length)
    close_nested(writer)


cdef inline void say_interfaces(writer_t *writer, const smb_state_t *state, uint16_t item, bint answers) noexcept nogil:
    """`item`: of the context that is meant; a bind of a pipe numbers them all 0, as Suricata has it."""
    cdef const interface_t *interface = state.interfaces.list
    cdef uint32_t i
    if state.interfaces.count == 0 or interface[0].item != item:
        return
    put_key(writer, b"interfaces")
    open_array(writer)
    for i in range(state.interfaces.count):
        open_map(writer)
        say_uuid(writer, b"uuid", interface[i].uuid)
        say_version(writer, b"version", interface[i].version, interface[i].minor)
        if answers and interface[i].answered:
            say_uint(writer, b"ack_result", interface[i].result)
            say_uint(writer, b"ack_reason", interface[i].reason)
        close_nested(writer)
    close_nested(writer)


cdef inline void say_call(writer_t *writer, const smb_state_t *state, const smb_tx_t *tx) noexcept nogil:
    put_key(writer, b"dcerpc")
    open_map(writer)
    if tx.call.asked:
        say_pdu_type(writer, b"request", tx.call.request)
    else:
        say_text(writer, b"request", b"REQUEST_LOST")
    if tx.call.answered:
        say_pdu_type(writer, b"response", tx.call.response)
    else:
        say_text(writer, b"response", b"UNREPLIED")
    if tx.call.asked and tx.call.request == PDU_REQUEST:
        say_uint(writer, b"opnum", tx.call.opnum)
        say_stub(writer, b"req", tx, TO_SERVER)
        say_interfaces(writer, state, tx.call.item, False)
    elif tx.call.asked and tx.call.request == PDU_BIND:
        say_interfaces(writer, state, 0, True)
    if tx.call.answered and tx.call.response == PDU_RESPONSE:
        say_stub(writer, b"res", tx, TO_CLIENT)
    say_uint(writer, b"call_id", tx.call.id)
    close_nested(writer)


cdef inline void say_set_info(writer_t *writer, const smb_tx_t *tx) noexcept nogil:
    say_path(writer, b"filename", &tx.text[TEXT_NAME])
    say_text(writer, b"access", b"delete on close" if tx.delete_on_close else b"normal")
    if tx.subcommand == 8:
        say_text(writer, b"subcmd", b"SET_FILE_INFO")
    elif tx.subcommand == 6:
        say_text(writer, b"subcmd", b"SET_PATH_INFO")
    if tx.level == 1013:
        say_text(writer, b"level_of_interest", b"Set Disposition Information")
    say_fid(writer, &tx.fid)


cdef inline void say_dialect(writer_t *writer, const smb_state_t *state) noexcept nogil:
    cdef uint32_t at = 0
    cdef bint good = True
    put_key(writer, b"dialect")
    if state.dialect:
        put_named(writer, name_in(smb2_dialects, state.dialect), state.dialect)
        return
    if not state.has_dialect_name:
        put_text(writer, b"unknown")
        return
    while at < state.dialect_name.length and good:
        at += utf8_length(state.dialect_name.data + at, state.dialect_name.length - at, &good)
    if good:
        put_readable(writer, state.dialect_name.data, state.dialect_name.length)
    else:
        put_text(writer, b"invalid")


cdef inline void say_smb(writer_t *writer, const smb_state_t *state, const smb_tx_t *tx) noexcept nogil:
    put_key(writer, b"smb")
    open_map(writer)
    say_uint(writer, b"id", tx.tx.id + 1)
    say_dialect(writer, state)
    put_key(writer, b"command")
    put_named(writer, name_in(smb1_commands, tx.command) if tx.version == 1 else name_in(smb2_commands, tx.command), tx.command)
    say_status(writer, tx)
    say_uint(writer, b"session_id", tx.header.session)
    say_uint(writer, b"tree_id", tx.header.tree)
    if tx.kind == SMB_SETUP:
        say_setup(writer, tx)
    elif tx.kind == SMB_CREATE:
        say_create(writer, tx)
    elif tx.kind == SMB_NEGOTIATE:
        say_negotiate(writer, state, tx)
    elif tx.kind == SMB_TREE:
        say_tree(writer, tx)
    elif tx.kind == SMB_FILE:
        say_readable(writer, b"filename", &tx.text[TEXT_NAME])
        say_readable(writer, b"share", &tx.text[TEXT_SHARE])
        say_fid(writer, &tx.fid)
    elif tx.kind == SMB_RENAME:
        say_rename(writer, tx)
    elif tx.kind == SMB_DCERPC:
        say_call(writer, state, tx)
    elif tx.kind == SMB_IOCTL:
        put_key(writer, b"function")
        put_named(writer, name_in(smb_controls, tx.function), tx.function)
    elif tx.kind == SMB_SET_INFO:
        say_set_info(writer, tx)
    close_nested(writer)
