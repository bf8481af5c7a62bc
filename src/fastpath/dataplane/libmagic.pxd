# What fastpath uses of libmagic (magic.h). libmagic takes memory of its own for every buffer that it is asked about, from
# malloc, and
# gives it back with the next one: a cookie belongs to one worker, so no lock stands between them.
from libc.stddef cimport size_t

cdef extern from "magic.h" nogil:
    ctypedef struct magic_set:
        pass
    ctypedef magic_set *magic_t
    int MAGIC_NONE
    magic_t magic_open(int flags)
    void magic_close(magic_t cookie)
    int magic_load(magic_t cookie, const char *files)
    const char *magic_buffer(magic_t cookie, const void *data, size_t length)
    const char *magic_error(magic_t cookie)
    const char *magic_getpath(const char *files, int action)
