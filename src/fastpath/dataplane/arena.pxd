# Memory that is taken bit by bit and given back at once: what is made for one burst lives until the burst retires.
#
# A chunk is kept from burst to burst, so that memory is asked for when a burst needs more than any has before it.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc

cdef enum:
    ARENA_CHUNK = 256 * 1024

ctypedef struct arena_chunk_t:
    arena_chunk_t *before       # filled earlier
    size_t used, room           # bytes behind this header

ctypedef struct arena_t:
    arena_chunk_t *chunk        # the one being filled; NULL until something is taken


cdef inline uint8_t *take_bytes(arena_t *arena, size_t size) noexcept nogil:
    """`size` bytes, unset; NULL where memory is out."""
    cdef arena_chunk_t *chunk = arena.chunk
    cdef size_t room
    if chunk == NULL or chunk.room - chunk.used < size:
        room = size if size > ARENA_CHUNK else ARENA_CHUNK
        chunk = <arena_chunk_t *>malloc(sizeof(arena_chunk_t) + room)
        if chunk == NULL:
            return NULL
        chunk.before = arena.chunk
        chunk.used = 0
        chunk.room = room
        arena.chunk = chunk
    chunk.used += size
    return <uint8_t *>(chunk + 1) + chunk.used - size


cdef inline void empty_arena(arena_t *arena) noexcept nogil:
    """All that was taken is given back; one chunk stays."""
    cdef arena_chunk_t *before
    if arena.chunk != NULL:
        while arena.chunk.before != NULL:
            before = arena.chunk.before
            free(arena.chunk)
            arena.chunk = before
        arena.chunk.used = 0


cdef inline void close_arena(arena_t *arena) noexcept nogil:
    empty_arena(arena)
    free(arena.chunk)
    arena.chunk = NULL
