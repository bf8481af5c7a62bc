# dispatch: which protocol a flow speaks, and everything that is done to its session by way of its room: bytes fed, events
# written, transactions freed.
#
# Recognition: each direction is looked at by itself until it is recognised or nobody is left to ask. What a direction holds is
# not consumed before it or the other is recognised, so that no byte is lost. A direction that nobody knows is parsed as the
# protocol of the other one; app_t.seen says "failed" of it.
#
# Errors: none. Hostile bytes end in events of the session or of a transaction; refused memory stops the session.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_FAILED, ALPROTO_UNKNOWN, TX_LOGGED_TO_SERVER, app_config_t, app_context_t, app_t, app_work_t, room_t, tx_t,
)
from fastpath.dataplane.applayer.recognition cimport EITHER_WAY, recogniser_t    # the first for those who cimport from here
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER, bytes_t

cdef struct app_table_t:
    room_t room[64]
    app_config_t config
    recogniser_t recogniser
    uint64_t fail_at[2]         # by direction: the parser fails from this offset on, to try what happens then; ~0 for nowhere

cdef enum feed_result:
    FEED_REVERSED = 1 << 31     # in the result: the sender is the server. Of a stream, nothing was consumed

cdef struct inner_t:            # the session inside an encrypted one: what hangs on app_t.inner
    app_t app
    bytes_t held[2]             # decrypted bytes that have not been consumed
    uint8_t spoke_first

# Settings: {"enabled": {protocol: "yes" | "no" | "detection-only"}, "tcp_ports": {protocol: [ports]}, "udp_ports": ...} and the
# keys of the rooms (settings.pyx).
cdef void open_table(app_table_t *table, settings) except *

# The session of context.flow, made at the first call; NULL where memory is refused.
cdef bint open_session(app_context_t *context) noexcept nogil

# Bytes in order of one direction: returns how many need not be shown again. PARSE_GAP: data is NULL, `length` bytes are missing.
# FEED_REVERSED: with EITHER_WAY in `flags`, they are the server's; the session has been turned round, its flow is to follow.
cdef uint32_t feed_bytes(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                         uint32_t length, uint32_t flags) noexcept nogil

# One datagram. FEED_REVERSED: it came from the server, though it was the first.
cdef uint32_t feed_datagram(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                            uint32_t length) noexcept nogil

cdef inline const room_t *room_of(const app_table_t *table, const app_context_t *context) noexcept nogil:
    """The room of the session, NULL where none has been recognised."""
    cdef const room_t *room = &table.room[context.app.proto]
    return room if room.parse != NULL else NULL


cdef inline bint asks_nobody(const app_context_t *context, const room_t *room) noexcept nogil:
    """Would nothing follow from parsing what is at hand?"""
    return room.inert and not context.work.asked.protos >> room.proto & 1


cdef inline bint passes_by(const app_table_t *table, const app_context_t *context, uint32_t direction) noexcept nogil:
    """Would feed_datagram make nothing of a datagram of this direction?"""
    cdef const room_t *room = room_of(table, context)
    return (context.app.seen[direction] != ALPROTO_UNKNOWN and not (table.config.beyond and context.app.proto <= ALPROTO_FAILED)
            and (room == NULL or asks_nobody(context, room)))


# Decrypted bytes, in order, of the session at work: they are recognised and parsed as a stream of their own, in app_t.inner.
# PARSE_GAP: no more of this direction will come, though there is more.
cdef void feed_inner(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                     uint32_t flags) noexcept nogil

cdef inline bint log_due(const room_t *room, tx_t *tx, uint32_t direction, bint ended) noexcept nogil:
    """Is an event of this direction due? It is marked as written."""
    cdef uint16_t mark = TX_LOGGED_TO_SERVER << direction
    if tx.flags & mark or not ended and (
            tx.progress[TO_SERVER] < room.log_at[TO_SERVER]
            or direction == TO_CLIENT and tx.progress[TO_CLIENT] < room.log_at[TO_CLIENT]):
        return False
    tx.flags |= mark
    return True


# Frees the transactions that are over in both directions and need neither log nor, with rules, detection.
cdef void free_done(const app_table_t *table, app_context_t *context, bint rules) noexcept nogil

# With an entry of a direction the transactions of a session that nobody looks at count as inspected and written; those that are
# over are freed.
cdef void pass_transactions(const app_table_t *table, app_context_t *context, uint32_t direction) noexcept nogil

# Frees the session.
cdef void close_session(const app_table_t *table, app_context_t *context) noexcept nogil

# The end of a worker: what rooms kept in its memory.
cdef void free_work(app_work_t *work) noexcept nogil
