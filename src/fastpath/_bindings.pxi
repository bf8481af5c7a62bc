# bindings: what belongs together, looked at in ingest. Part of _core.pyx.

cdef void bind_all(engine_t *engine, bindings_t *bindings) except *:
    """Opens the tables, once; from here on they are kept, and flows are looked at beyond what recognition knows."""
    cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")
    if engine.bindings == NULL:
        if open_bindings(bindings, seed):
            close_bindings(bindings)
            memset(bindings, 0, sizeof(bindings_t))
            raise MemoryError("no memory for the tables of what belongs together")
        engine.bindings = bindings
    engine.apps.config.beyond = True
    engine.sessions = True


cdef inline bint has_event(const burst_t *burst, uint32_t entry, uint16_t code) noexcept nogil:
    cdef uint16_t at = burst.meta[entry].events
    while at != NO_INDEX:
        if burst.notes[at].code == code:
            return True
        at = burst.notes[at].next
    return False


cdef inline bint is_astray(const policy_t *policy, const burst_t *burst, uint32_t entry) noexcept nogil:
    """Does policy deny an entry for what it belongs to?"""
    return (policy.queue_pairs_apart and has_event(burst, entry, EVENT_ROCE_ANOTHER_SEGMENT)
            or policy.tunnels_bound and has_event(burst, entry, EVENT_GTPU_FOREIGN_ADDRESS))
