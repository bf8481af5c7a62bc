"""A door for tests: packets cut at every byte, thousands in one buffer, each in memory of its own.

Built for the address sanitizer, what lies between two cuts is poisoned: a read past the end of a cut packet is an error where
it happens. Otherwise it is filled with a byte of the caller's, and such a read is found by its effect.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #ifdef __SANITIZE_ADDRESS__
    #include <sanitizer/asan_interface.h>
    #define FASTPATH_POISONS 1
    #else
    #define FASTPATH_POISONS 0
    #define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
    #define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
    #endif
    """
    const bint FASTPATH_POISONS
    void ASAN_POISON_MEMORY_REGION(void *at, size_t size) nogil
    void ASAN_UNPOISON_MEMORY_REGION(void *at, size_t size) nogil

cdef enum:
    BETWEEN = 96                # bytes at least
    ALIGNED = 8                 # where a cut begins: the sanitizer knows the end of a cut to the byte, its beginning to eight

#: Whether a read between two cuts is an error at once.
POISONS = bool(FASTPATH_POISONS)


cdef class Cuts:
    """A buffer of cuts, filled again and again.

    buffer: a writeable array of bytes. offsets (uint64), lengths and wirelens (uint32): arrays of one length, one element a cut.
    wirelens are those of the whole packets. `count`: of the cuts in it. Must be emptied with `clear` before the buffer is let go.
    """
    cdef uint8_t[::1] buffer
    cdef uint64_t[::1] offsets
    cdef uint32_t[::1] lengths, wirelens
    cdef uint64_t used
    cdef readonly uint32_t count

    def __init__(self, uint8_t[::1] buffer, uint64_t[::1] offsets, uint32_t[::1] lengths, uint32_t[::1] wirelens):
        if not offsets.shape[0] == lengths.shape[0] == wirelens.shape[0]:
            raise ValueError("offsets, lengths and wirelens differ in length")
        self.buffer = buffer
        self.offsets = offsets
        self.lengths = lengths
        self.wirelens = wirelens

    def add(self, const uint8_t[::1] packet, uint32_t first, uint8_t filler):
        """The packet cut to `first` bytes, to one more, and so on up to all of it, as far as there is room. Gives the length
        that comes next, one more than the packet's when it is done. ValueError where not one cut would ever fit."""
        cdef uint64_t room = self.buffer.shape[0], start, whole = packet.shape[0], size
        cdef uint32_t length = first
        cdef uint8_t *at = &self.buffer[0]
        if whole + BETWEEN + ALIGNED > room:
            raise ValueError(f"a packet of {whole} bytes does not fit into {room}")
        with nogil:
            while length <= whole and self.count < <uint64_t>self.offsets.shape[0]:
                start = self.used
                size = (length + BETWEEN + ALIGNED - 1) // ALIGNED * ALIGNED
                if start + size > room:
                    break
                if length:
                    memcpy(at + start, &packet[0], length)
                memset(at + start + length, filler, size - length)
                ASAN_POISON_MEMORY_REGION(at + start + length, size - length)
                self.offsets[self.count] = start
                self.lengths[self.count] = length
                self.wirelens[self.count] = <uint32_t>whole
                self.count += 1
                self.used = start + size
                length += 1
        return length

    def clear(self):
        ASAN_UNPOISON_MEMORY_REGION(&self.buffer[0], self.buffer.shape[0])
        self.used = 0
        self.count = 0
