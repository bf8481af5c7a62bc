"""What libmagic says of files, by their first bytes, as `file -b` says it. User guide, "File Keywords", filemagic.

A database is named as libmagic names it: one path or several with a colon between, each compiled (with `.mgc` behind it) or
not; "" for the one that libmagic was built to look for.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strlen

from fastpath.dataplane.applayer.applayer cimport FILE_OPEN, app_context_t, file_t
from fastpath.dataplane.libmagic cimport (
    MAGIC_NONE, magic_buffer, magic_close, magic_error, magic_getpath, magic_load, magic_open, magic_t,
)
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER

cdef enum:
    MAGIC_LEAST = 512           # bytes that are there before libmagic is asked, unless there are no more
    MAGIC_TEXT_MAX = 4096

_CURE = "apt install libmagic-mgc | dnf install file-libs | brew install libmagic, or name a database with magic-file"


cdef void *open_magic(files) except NULL:
    cdef magic_t cookie = magic_open(MAGIC_NONE)
    cdef bytes path = str(files).encode()
    cdef const char *named = NULL
    cdef const char *said
    if cookie == NULL:
        raise MemoryError("no memory for libmagic")
    if path:
        named = path
    if magic_load(cookie, named):
        said = magic_error(cookie)
        why = said.decode("utf-8", "replace") if said != NULL else "its database cannot be read"
        magic_close(cookie)
        raise ValueError(f"libmagic: {why}: {_CURE}")
    return cookie


cdef void close_magic(void *cookie) noexcept nogil:
    if cookie != NULL:
        magic_close(<magic_t> cookie)


cdef void tell_magic(app_context_t *context, file_t *file) noexcept nogil:
    cdef const char *said
    if file.data.length == 0 or file.base or file.size < MAGIC_LEAST and file.state == FILE_OPEN:
        return
    said = magic_buffer(<magic_t> context.work.magic, file.data.data, file.data.length)
    if said != NULL:
        bytes_append(context.pool, ACCOUNT_APPLAYER, &file.magic, <const uint8_t *> said,
                     <uint32_t> min(strlen(said), <size_t> MAGIC_TEXT_MAX))


def problem(files=""):
    """Why libmagic cannot be asked, and what helps; "" if it can."""
    cdef void *cookie
    try:
        cookie = open_magic(files)
    except ValueError as error:
        return str(error)
    close_magic(cookie)
    return ""


def databases(files=""):
    """The files that libmagic looks for, whether they are there or not."""
    cdef bytes path = str(files).encode()
    cdef const char *found = magic_getpath(NULL, 0)
    if path:
        found = path
    paths = found.decode("utf-8", "surrogateescape").split(":") if found != NULL else []
    return [f"{each}{end}" for each in paths for end in ("", ".mgc")]


def describe(bytes data, files=""):
    """What libmagic says of these bytes."""
    cdef const char *start = data
    cdef void *cookie = open_magic(files)
    cdef const char *said
    try:
        said = magic_buffer(<magic_t> cookie, start, len(data))
        return said.decode("utf-8", "replace") if said != NULL else ""
    finally:
        close_magic(cookie)
