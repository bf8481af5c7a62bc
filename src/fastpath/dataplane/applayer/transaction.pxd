# Transactions of a session: made by rooms, in the order of their ids; freed from the front, or wherever one is done, by
# dispatch. All of their memory is of ACCOUNT_APPLAYER.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport (
    APP_DECRYPTED, APP_EVENTS_MAX, TX_DECRYPTED, TX_EVENTS_MAX, TX_NEW, app_context_t, app_t, tx_t,
)
from fastpath.dataplane.pool cimport pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER


cdef inline tx_t *new_tx(app_context_t *context, uint32_t size) noexcept nogil:
    """A transaction of so many bytes, tx_t first, zeroed, last in its session; NULL where memory is refused."""
    cdef app_t *app = context.app
    cdef tx_t *tx = <tx_t *> pool_take(context.pool, ACCOUNT_APPLAYER, size)
    if tx == NULL:
        return NULL
    tx.size = size
    tx.id = app.next_tx
    tx.flags = TX_NEW | TX_DECRYPTED if app.flags & APP_DECRYPTED else TX_NEW
    tx.first_ordinal = context.ordinal
    app.next_tx += 1
    app.txs += 1
    if app.last == NULL:
        app.first = tx
    else:
        app.last.next = tx
    app.last = tx
    return tx


cdef inline void tx_progress(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t progress) noexcept nogil:
    """Progress only grows."""
    if progress > tx.progress[direction]:
        tx.progress[direction] = <unsigned char> progress
        tx.ts[direction] = context.now
        tx.flags |= TX_NEW


cdef inline void tx_event(tx_t *tx, uint16_t event) noexcept nogil:
    """Each event once a transaction."""
    cdef uint32_t i
    for i in range(tx.event_count):
        if tx.events[i] == event:
            return
    if tx.event_count < TX_EVENTS_MAX:
        tx.events[tx.event_count] = event
        tx.event_count += 1
        tx.flags |= TX_NEW


cdef inline void app_event(app_t *app, uint16_t event) noexcept nogil:
    cdef uint32_t i
    for i in range(app.event_count):
        if app.events[i] == event:
            return
    if app.event_count < APP_EVENTS_MAX:
        app.events[app.event_count] = event
        app.event_count += 1
