"""The rules on transactions: each block of a rule is looked at when the transaction has come so far, and what has held is
remembered until the last one holds."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove

from fastpath.dataplane.applayer.applayer cimport (
    APP_QUIET_TO_CLIENT, APP_QUIET_TO_SERVER, BUFFER_BODY, BUFFER_FILES, BUFFER_MANY, BUFFER_NUMBER, TX_DETECTED_TO_SERVER,
    TX_NEW, TX_NO_INSPECTION, VIEW_END, VIEW_LITTLE, VIEW_READY, app_context_t, app_t, file_t, room_t, tx_t, view_t,
)
from fastpath.dataplane.match.confirm cimport rule_begins, rule_matched, windows_hold
from fastpath.dataplane.match.header cimport TCP, UDP
from fastpath.dataplane.match.prefilter cimport prefilter_tx
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.match.steps cimport begin_rule, block_holds
from fastpath.dataplane.match.trace cimport trace_engine, trace_tx
from fastpath.dataplane.match.transforms cimport buffer_view
from fastpath.dataplane.pool cimport pool_give, pool_resize, pool_take
from fastpath.dataplane.threads cimport clock_ns, rarely
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t

cdef enum held:                 # of an engine
    HOLDS, HOLDS_NOT, HOLDS_NEVER

cdef enum:
    STORED_FIRST = 6            # rules that a new detect_state_t has room for
    MATCHED_MAX = 256           # that a direction of a transaction knows to have matched


# ---- what a transaction remembers ----

cdef inline detect_state_t *state_of(tx_t *tx, uint32_t direction) noexcept nogil:
    return <detect_state_t *> tx.detect[direction]


cdef void forget(match_scratch_t *scratch, tx_t *tx, uint32_t direction) noexcept nogil:
    cdef detect_state_t *state = state_of(tx, direction)
    if state != NULL:
        tx.detect[direction] = NULL
        pool_give(scratch.pool, ACCOUNT_APPLAYER, state, state.size)


cdef detect_state_t *room_for_one(match_scratch_t *scratch, tx_t *tx, uint32_t direction) noexcept nogil:
    """The memory of a direction with room for one rule more; NULL where the pool or the limit refuses."""
    cdef detect_state_t *state = state_of(tx, direction)
    cdef uint64_t size
    cdef uint32_t behind
    if state == NULL:
        size = sizeof(detect_state_t) + STORED_FIRST * sizeof(stored_t)
        state = <detect_state_t *> pool_take(scratch.pool, ACCOUNT_APPLAYER, size)
        if state == NULL:
            return NULL
        state.size = size
        state.room = STORED_FIRST
        tx.detect[direction] = state
    elif state.count + state.matched == state.room:
        if state.room >= STORED_MAX:
            scratch.limits_hit += 1
            return NULL
        size = sizeof(detect_state_t) + 2 * state.room * sizeof(stored_t)
        state = <detect_state_t *> pool_resize(scratch.pool, ACCOUNT_APPLAYER, state, state.size, size)
        if state == NULL:
            return NULL
        state.size = size
        behind = state.room - state.matched
        state.room *= 2
        memmove(&state.stored[state.room - state.matched], &state.stored[behind], state.matched * sizeof(stored_t))
        tx.detect[direction] = state
    return state


cdef void remember(match_scratch_t *scratch, tx_t *tx, uint32_t direction, uint32_t rule, uint32_t flags) noexcept nogil:
    """Enters a rule that is not there yet. Without memory for it the rule begins anew with the next entry."""
    cdef detect_state_t *state = room_for_one(scratch, tx, direction)
    cdef uint32_t at
    if state == NULL:
        return
    at = state.count
    while at and state.stored[at - 1].rule > rule:
        at -= 1
    memmove(&state.stored[at + 1], &state.stored[at], (state.count - at) * sizeof(stored_t))
    state.stored[at].rule = rule
    state.stored[at].state = flags
    state.count += 1


cdef bint matches_anew(match_scratch_t *scratch, tx_t *tx, uint32_t direction, const rule_t *rule) noexcept nogil:
    """Notes that a rule matches. False: it did under an earlier rule set, and is not told of again."""
    cdef detect_state_t *state = state_of(tx, direction)
    cdef const stored_t *known
    cdef uint32_t i
    if state != NULL:
        for i in range(state.matched):
            known = &state.stored[state.room - 1 - i]
            if known.rule == rule.sid and known.state == rule.gid:
                return i >= state.barred
        if state.matched == MATCHED_MAX:
            return True
    state = room_for_one(scratch, tx, direction)
    if state != NULL:
        state.matched += 1
        state.stored[state.room - state.matched].rule = rule.sid
        state.stored[state.room - state.matched].state = rule.gid
    return True


cdef void renew_transactions(match_scratch_t *scratch, flow_t *flow) noexcept nogil:
    cdef app_t *app = <app_t *> flow.more.app if flow.more != NULL else NULL
    while app != NULL:
        renew_session(app)
        app = app.inner


cdef void renew_session(app_t *app) noexcept nogil:
    cdef tx_t *tx = app.first
    cdef detect_state_t *state
    cdef uint32_t direction
    app.flags &= ~<uint32_t> (APP_QUIET_TO_SERVER | APP_QUIET_TO_CLIENT)
    while tx != NULL:
        for direction in range(2):
            state = state_of(tx, direction)
            tx.inspected[direction] = 0
            if state != NULL:
                state.count = state.files_seen = 0
                state.barred = state.matched
        tx = tx.next


cdef uint32_t newest_file(const tx_t *tx, uint32_t direction) noexcept nogil:
    cdef uint32_t newest = 0
    cdef const file_t *file = tx.files[direction]
    while file != NULL:
        newest = max(newest, file.id)
        file = file.next
    return newest


# ---- engines ----

cdef uint32_t payload_holds(const ruleset_t *rules, match_scratch_t *scratch, const packet_meta_t *meta,
                            const app_block_t *engine) noexcept nogil:
    """The payload contents of a rule on transactions: over the raw stream that came with this entry, or the datagram."""
    cdef const inspection_t *inspection = scratch.inspection
    scratch.view_offset = 0
    scratch.view_end = True
    scratch.view_little = False
    if meta.proto == TCP:
        if windows_hold(rules, scratch, engine.block):
            return HOLDS
        return HOLDS_NEVER if inspection.flags & INSPECT_STREAM_END else HOLDS_NOT
    if meta.proto == UDP and meta.payload_len and block_holds(rules, scratch, engine.block, meta.frame + meta.payload,
                                                              meta.payload_len):
        return HOLDS
    return HOLDS_NOT


cdef uint32_t event_holds(const tx_t *tx, uint32_t event, bint over) noexcept nogil:
    cdef uint32_t i
    for i in range(tx.event_count):
        if tx.events[i] == event:
            return HOLDS
    return HOLDS_NEVER if over else HOLDS_NOT


cdef uint32_t buffer_holds(const ruleset_t *rules, match_scratch_t *scratch, tx_t *tx, uint32_t direction,
                           const app_block_t *engine, bint over) noexcept nogil:
    """A block over a buffer: over some instance of it. `over`: the transaction is past the buffer."""
    cdef const block_op_t *block = <const block_op_t *> &rules.ops[engine.block]
    cdef uint32_t flags = engine.flags >> 8, index = 0
    cdef view_t view
    while buffer_view(rules, scratch, tx, direction, engine.buffer, index, block.chain, &view) == VIEW_READY:
        scratch.view_offset = view.offset
        scratch.view_end = over or not flags & BUFFER_BODY or view.flags & VIEW_END != 0
        scratch.view_little = view.flags & VIEW_LITTLE != 0
        if block_holds(rules, scratch, engine.block, view.data, view.length):
            return HOLDS
        index += 1
        if not flags & BUFFER_MANY:
            break
    # numbers that there are several of are those of frames, of which more may come
    return HOLDS_NEVER if over and flags & (BUFFER_MANY | BUFFER_NUMBER) != BUFFER_MANY | BUFFER_NUMBER else HOLDS_NOT


cdef bint rule_on_tx(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, const packet_meta_t *meta,
                     flow_t *flow, tx_t *tx, uint32_t direction, uint32_t compiled, stored_t *stored,
                     uint64_t now) noexcept nogil:
    """Goes on with a rule on a transaction (or, without `stored`, begins) as far as the transaction's progress allows.

    The engine of the fast pattern comes first; where it is not reached, or does not hold, nothing else is looked at."""
    cdef const rule_t *rule = &rules.rules[compiled]
    cdef const app_block_t *engine
    cdef uint8_t proto = scratch.inspection.context.app.proto
    cdef uint8_t progress = tx.progress[direction]
    cdef uint32_t state = 0, result, i, count = 0
    cdef bint passed = False, at_work = False, done = True, no_file = False, over
    cdef uint16_t flags = 0
    if stored != NULL:
        state = stored.state
    elif not rule_begins(rules, rule, scratch, burst, meta, flow, now, &flags):
        return False
    for i in range(rule.engine_count):
        engine = &rules.engines[rule.engines + i]
        if (engine.direction != direction or engine.proto != proto and engine.kind != ENGINE_STREAM
                or state & engine.bit):
            continue
        if progress < engine.progress:
            passed = passed or engine.flags & ENGINE_FAST != 0
            if rarely(scratch.trace != NULL):
                trace_engine(rules, scratch, rule.engines + i, ENGINE_TRACE_EARLY)
            done = False
            break
        over = progress > engine.progress
        if engine.flags & ENGINE_FAST:
            passed = over
            at_work = not over
        if engine.kind == ENGINE_STREAM:
            result = payload_holds(rules, scratch, meta, engine)
        elif engine.kind == ENGINE_EVENT:
            result = event_holds(tx, engine.event, over)
        else:
            result = buffer_holds(rules, scratch, tx, direction, engine, over)
        if rarely(scratch.trace != NULL):
            trace_engine(rules, scratch, rule.engines + i, result)
        if engine.flags & ENGINE_FILE:
            state |= STORED_FILE
        if result == HOLDS:
            state |= engine.bit
            count += 1
            continue
        if result == HOLDS_NEVER:
            state |= STORED_CANNOT
            no_file = engine.flags & ENGINE_FILE != 0
        elif engine.flags & ENGINE_FAST and passed:
            state |= STORED_CANNOT
        done = False
        break
    if done and count:
        state |= STORED_FULL
    if stored != NULL:
        stored.state = state
    elif state & STORED_CANNOT:
        if no_file:
            remember(scratch, tx, direction, compiled, state)
    elif state & STORED_FULL:
        if not passed or state & STORED_FILE:
            remember(scratch, tx, direction, compiled, state)
    elif state & ~<uint32_t> STORED_FILE or not at_work:
        # without a fast pattern that will be met again it goes on from here, and is asked for nothing of later packets
        remember(scratch, tx, direction, compiled, state)
    return state & STORED_FULL != 0 and done and count > 0


cdef void renew_files(match_scratch_t *scratch, const ruleset_t *rules, tx_t *tx, uint32_t direction) noexcept nogil:
    """A new file is a new chance for the rules that look at files."""
    cdef detect_state_t *state = state_of(tx, direction)
    cdef uint32_t newest = newest_file(tx, direction)
    cdef uint32_t i, k, bits
    cdef const rule_t *rule
    if state == NULL or newest <= state.files_seen:
        return
    for i in range(state.count):
        if state.stored[i].state & STORED_FILE:
            rule = &rules.rules[state.stored[i].rule]
            bits = STORED_CANNOT | STORED_FULL | STORED_FILE
            for k in range(rule.engine_count):
                if rules.engines[rule.engines + k].flags & ENGINE_FILE:
                    bits |= rules.engines[rule.engines + k].bit
            state.stored[i].state &= ~bits
    state.files_seen = newest


cdef bint inspect_tx(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, const packet_meta_t *meta,
                     flow_t *flow, tx_t *tx, uint32_t direction, uint64_t now) noexcept nogil:
    """The candidates of a transaction and the rules that it remembers, in the order of inspection. True: there were none, and
    will be none before more of it is parsed, unless the payload of an entry brings some."""
    cdef detect_state_t *state = state_of(tx, direction)
    cdef stored_t *stored
    cdef uint32_t i = 0, k = 0, compiled
    cdef uint64_t started
    cdef bint holds, quiet
    prefilter_tx(rules, scratch, meta, tx, direction)
    renew_files(scratch, rules, tx, direction)
    quiet = scratch.candidate_count == 0
    while True:
        # rules that are remembered while this runs stand at or below the one at work
        state = state_of(tx, direction)
        if i < scratch.candidate_count:
            compiled = scratch.candidates[i]
            while state != NULL and k < state.count and state.stored[k].rule < compiled:
                if not state.stored[k].state & (STORED_FULL | STORED_CANNOT):
                    break
                k += 1
            if state != NULL and k < state.count and state.stored[k].rule <= compiled:
                stored = &state.stored[k]
                if stored.rule == compiled:
                    i += 1
            else:
                stored = NULL
                i += 1
        elif state != NULL and k < state.count:
            stored = &state.stored[k]
        else:
            break
        if stored != NULL:
            k += 1
            compiled = stored.rule
            if stored.state & (STORED_FULL | STORED_CANNOT):
                continue
            quiet = False
        started = clock_ns() if rarely(scratch.timing) else 0
        begin_rule(scratch)
        holds = rule_on_tx(rules, scratch, burst, meta, flow, tx, direction, compiled, stored, now)
        if rarely(scratch.timing):
            scratch.ns[rules.rules[compiled].plan] += clock_ns() - started
        if holds and matches_anew(scratch, tx, direction, &rules.rules[compiled]):
            rule_matched(rules, scratch, compiled, flow, tx, tx.id, MATCH_STATE)
        if stored == NULL and state_of(tx, direction) != NULL:
            # one that was remembered just now is not met again
            state = state_of(tx, direction)
            if k < state.count and state.stored[k].rule == compiled:
                k += 1
    state = state_of(tx, direction)
    if state != NULL:
        state.files_seen = newest_file(tx, direction)
    return quiet


cdef bint asks_files_alone(const ruleset_t *rules, const app_rules_t *known) noexcept nogil:
    """Do the rules of a protocol and direction look at files, and at nothing else?"""
    cdef uint32_t i
    if known.bare.count:
        return False
    for i in range(known.prefilters.first, known.prefilters.first + known.prefilters.count):
        if not rules.prefilters[i].flags & BUFFER_FILES:
            return False
    return True


cdef bint inspect_transactions(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                               flow_t *flow, uint64_t now) noexcept nogil:
    """The transactions of the entry's direction that are not wholly inspected, in the order of their ids. True: see inspect_tx,
    of all of them."""
    cdef const inspection_t *inspection = scratch.inspection
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef app_context_t *context = inspection.context
    cdef const room_t *room = inspection.room
    cdef uint32_t direction = 1 if meta.flags & PM_TO_CLIENT else 0
    cdef uint16_t done = <uint16_t> (TX_DETECTED_TO_SERVER << direction)
    cdef tx_t *tx = context.app.first
    cdef bint quiet = True, files_alone
    files_alone = (asks_files_alone(rules, &rules.apps[context.app.proto * 2 + direction]) and not scratch.app_candidate_count
                   and scratch.trace == NULL)
    while tx != NULL:
        if not tx.flags & (done | TX_NO_INSPECTION):
            if not files_alone or tx.files[direction] != NULL or tx.detect[direction] != NULL:
                scratch.view_known = False
                if rarely(scratch.trace != NULL):
                    trace_tx(scratch, tx, direction)
                quiet &= inspect_tx(rules, scratch, burst, meta, flow, tx, direction, now)
            tx.inspected[direction] = tx.progress[direction]
            tx.flags &= <uint16_t> ~TX_NEW
            if tx.progress[direction] >= room.complete[direction]:
                tx.flags |= done
                forget(scratch, tx, direction)
            if room.inspected != NULL:
                room.inspected(context, tx, direction)
        tx = tx.next
    scratch.view_known = False
    return quiet
