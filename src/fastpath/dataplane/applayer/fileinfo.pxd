# What a file has to say: the object `fileinfo` of EVE, but for what outputs know themselves.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen

from fastpath.dataplane.applayer.applayer cimport (
    FILE_CLOSED, FILE_ERROR, FILE_HAS_GAPS, FILE_OPEN, FILE_MD5, FILE_SHA1, FILE_SHA256, FILE_STORE, FILE_STORED, file_t,
)
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_bytes, put_hex, put_key, put_uint, say_bool, say_bytes, say_text, say_uint, writer_t,
)
from fastpath.dataplane.applayer.model.facts cimport (
    MODEL_GGUF, MODEL_NONE, MODEL_SAFETENSORS, model_facts_t, model_finding_t, model_format_names, model_found_names,
)


cdef inline void say_file(writer_t *writer, const file_t *file) noexcept nogil:
    put_key(writer, b"fileinfo")
    open_map(writer)
    say_facts(writer, file)
    close_nested(writer)


cdef inline void say_files(writer_t *writer, const file_t *file, uint64_t tx) noexcept nogil:
    """The array `files` of alerts: this file and those behind it."""
    put_key(writer, b"files")
    open_array(writer)
    while file != NULL:
        open_map(writer)
        say_facts(writer, file)
        say_uint(writer, b"tx_id", tx)
        close_nested(writer)
        file = file.next
    close_nested(writer)


cdef inline void say_facts(writer_t *writer, const file_t *file) noexcept nogil:
    """Of a file that was cut or has gaps there is SHA-256 alone, of the bytes that were seen, as Suricata has it."""
    cdef bint over = file.state != FILE_OPEN
    cdef uint32_t at = 0, sid
    cdef bint whole = file.state == FILE_CLOSED
    if file.name.length:
        say_bytes(writer, b"filename", file.name.data, file.name.length)
    if file.sids.length:
        put_key(writer, b"sid")
        open_array(writer)
        while at < file.sids.length:
            memcpy(&sid, file.sids.data + at, sizeof(sid))
            put_uint(writer, sid)
            at += sizeof(sid)
        close_nested(writer)
    if file.magic.length:
        say_bytes(writer, b"magic", file.magic.data, file.magic.length)
    say_bool(writer, b"gaps", file.flags & FILE_HAS_GAPS)
    say_text(writer, b"state", b"CLOSED" if file.state == FILE_CLOSED else b"ERROR" if file.state == FILE_ERROR
             else b"UNKNOWN" if file.state == FILE_OPEN else b"TRUNCATED")
    if whole and file.flags & FILE_MD5:
        put_key(writer, b"md5")
        put_hex(writer, file.md5, 16, False)
    if whole and file.flags & FILE_SHA1:
        put_key(writer, b"sha1")
        put_hex(writer, file.sha1, 20, False)
    if over and file.flags & FILE_SHA256:
        put_key(writer, b"sha256")
        put_hex(writer, file.sha256, 32, False)
    say_bool(writer, b"stored", file.flags & FILE_STORED)
    if file.flags & FILE_STORED:
        say_uint(writer, b"file_id", file.id)       # of the flow; who stores it counts anew
    elif file.flags & FILE_STORE:
        say_bool(writer, b"storing", True)
    say_uint(writer, b"size", file.size)
    if file.end:
        say_uint(writer, b"start", file.start)
        say_uint(writer, b"end", file.end)
    if is_model(file):
        say_model(writer, file.model.facts)


cdef inline bint is_model(const file_t *file) noexcept nogil:
    return file.model != NULL and file.model.facts != NULL and file.model.facts.format != MODEL_NONE


cdef inline const char *name_of_note(uint32_t format) noexcept nogil:
    return b"architecture" if format == MODEL_GGUF else b"framework" if format == MODEL_SAFETENSORS else b"producer"


cdef inline void say_finding(writer_t *writer, const model_finding_t *finding) noexcept nogil:
    cdef uint32_t word = <uint32_t> strlen(model_found_names[finding.kind])
    open_map(writer)
    say_text(writer, b"finding", model_found_names[finding.kind])
    if finding.length > word:
        say_bytes(writer, b"about", <const uint8_t *> finding.text + word + 1, finding.length - word - 1)
    close_nested(writer)


cdef inline void say_model(writer_t *writer, const model_facts_t *facts) noexcept nogil:
    cdef uint32_t i
    put_key(writer, b"model")
    open_map(writer)
    say_text(writer, b"format", model_format_names[facts.format])
    if facts.version:
        say_uint(writer, b"version", facts.version)
    if facts.note_length:
        say_bytes(writer, name_of_note(facts.format), <const uint8_t *> facts.note, facts.note_length)
    if facts.tensors:
        say_uint(writer, b"tensors", facts.tensors)
    if facts.parameters:
        say_uint(writer, b"parameters", facts.parameters)
    if facts.imports:
        say_uint(writer, b"imports", facts.imports)
    if facts.count:
        put_key(writer, b"unsafe")
        open_array(writer)
        for i in range(facts.count):
            say_finding(writer, &facts.findings[i])
        close_nested(writer)
    close_nested(writer)
