"""rx: capture bytes become bursts. Packets are borrowed, never copied.

One `rx_t` reads one capture: a classic pcap or a pcapng file that is mapped, the same as a stream of chunks, or a batch of
packets that Python holds. What it borrows stays valid until the source's next chunk is fed, or until it is closed.
"""
from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.formats.reader cimport RX_DAMAGED, RX_END, RX_MORE, RX_NEED, rx_t
from fastpath.dataplane.types cimport burst_t

cdef uint32_t rx_burst(rx_t *rx, burst_t *burst, uint32_t limit) noexcept nogil


cdef class Source:
    cdef rx_t rx
    cdef burst_t *burst         # of `read` alone


cdef class FileSource(Source):
    cdef readonly uint64_t size
    cdef void unmap(self) noexcept


cdef class StreamSource(Source):
    cdef Py_buffer chunk
    cdef bint holds
    cdef void drop(self) noexcept


cdef class BatchSource(Source):
    cdef Py_buffer views[5]
    cdef uint32_t held
    cdef int take(self, name, value, int flags) except -1
    cdef Py_buffer *array(self, name, value, bytes formats) except NULL
    cdef void release(self) noexcept
