# What is used of zlib.
from libc.stdint cimport uint8_t, uint32_t

cdef extern from "zlib.h" nogil:
    ctypedef struct z_stream:
        uint8_t *next_in
        uint32_t avail_in
        uint8_t *next_out
        uint32_t avail_out
        void *(*zalloc)(void *, unsigned int, unsigned int) noexcept
        void (*zfree)(void *, void *) noexcept
        void *opaque
    int inflateInit2(z_stream *stream, int bits)
    int inflate(z_stream *stream, int flush)
    int inflateReset(z_stream *stream)
    int inflateEnd(z_stream *stream)
    int Z_OK, Z_STREAM_END, Z_BUF_ERROR, Z_DATA_ERROR, Z_NO_FLUSH
