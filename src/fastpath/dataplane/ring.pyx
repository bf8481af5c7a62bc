"""The consumer's side of the verdict ring: see ring.pxd."""
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastpath.dataplane.threads cimport load_acquire, store_release

import numpy as np

from fastpath.dataplane import rows as row_types

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec, tv_nsec
    int nanosleep(const timespec *wanted, timespec *left) noexcept

cdef enum:
    NAP_NS = 200000             # between two looks at an empty ring


cdef class Ring:
    """A ring of `size` rows, a power of two from 2 on. wait: what a full ring does to the producer; otherwise rows are lost.
    Raises MemoryError."""

    def __cinit__(self, uint64_t size, bint wait):
        memset(&self.ring, 0, sizeof(ring_t))
        if size < 2 or size & (size - 1):
            raise ValueError(f"the size of a ring must be a power of two from 2 on, not {size}")
        self.ring.rows = <ring_row_t *>calloc(size, sizeof(ring_row_t))
        if self.ring.rows == NULL:
            raise MemoryError(f"no memory for a ring of {size} rows")
        self.ring.size = size
        self.ring.wait = wait

    def __dealloc__(self):
        free(self.ring.rows)

    @property
    def head(self):
        """Rows that were ever published."""
        return load_acquire(&self.ring.head)

    @property
    def tail(self):
        """Rows that were ever taken."""
        return self.ring.tail

    @property
    def lost(self):
        return self.ring.lost

    @property
    def waited_ns(self):
        """For how long the producer stood still."""
        return self.ring.waited_ns

    @property
    def closed(self):
        return load_acquire(&self.ring.closed) != 0

    def close(self):
        """The producer writes no more, and waits no more; what is in the ring can still be taken."""
        store_release(&self.ring.closed, 1)

    def take(self, uint64_t most):
        """Up to so many rows, as an array of rows.RING; the consumer's alone."""
        cdef ring_t *ring = &self.ring
        cdef uint64_t n = min(load_acquire(&ring.head) - ring.tail, most)
        cdef uint64_t at = ring.tail & (ring.size - 1)
        cdef uint64_t first = min(n, ring.size - at)
        cdef unsigned char[::1] view
        taken = np.empty(n, row_types.RING)
        if n:
            view = taken.view(np.uint8)
            memcpy(&view[0], &ring.rows[at], first * sizeof(ring_row_t))
            if n > first:
                memcpy(&view[first * sizeof(ring_row_t)], ring.rows, (n - first) * sizeof(ring_row_t))
            store_release(&ring.tail, ring.tail + n)
        return taken

    def wait(self, uint64_t ns):
        """Returns when there is a row, when the ring is closed, or after so long; other threads go on meanwhile."""
        cdef timespec nap
        cdef uint64_t naps = ns // NAP_NS + 1
        nap.tv_sec, nap.tv_nsec = 0, NAP_NS
        with nogil:
            while naps and load_acquire(&self.ring.head) == self.ring.tail and not load_acquire(&self.ring.closed):
                nanosleep(&nap, NULL)
                naps -= 1
