# See dispatch.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.beyond cimport look_beyond
from fastpath.dataplane.applayer.expectations cimport expectation_t
from fastpath.dataplane.applayer.files cimport file_cut, free_files
from fastpath.dataplane.applayer.models cimport describe_models
from fastpath.dataplane.applayer.recognition cimport (
    EITHER_WAY, TRIED_ALL, TRIED_PROBES, gave_up, open_recogniser, recognise_protocol,
)
from fastpath.dataplane.applayer.quic_wire cimport is_strictly_quic
from fastpath.dataplane.applayer.rooms cimport describe_rooms, free_kept, settle_rooms
from fastpath.dataplane.applayer.settings cimport default_settings, read_settings
from fastpath.dataplane.applayer.transaction cimport app_event
from fastpath.dataplane.pool cimport bytes_append, bytes_drop, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER

from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS

cdef enum:
    OFF, ON, DETECTION_ONLY     # app_config_t.enabled
    SEEK_HOLD, SEEK_PARSE, SEEK_REVERSED    # what seek says
    TCP_ESTABLISHED = 3         # flow_t.tcp_state
    TLS_PORT = 443              # whose probes are asked after STARTTLS
    CHANGE_MAX = 4096           # bytes by which a session must have shown what it goes on as
    INNER_HELD_MAX = 1 << 18    # decrypted bytes that may wait for a parser
    INNER_SOUGHT_MAX = 32768    # and for the other side, while the protocol is sought


# ---- setting up ----

cdef void open_table(app_table_t *table, settings) except *:
    cdef uint32_t number
    memset(table, 0, sizeof(app_table_t))
    table.fail_at[TO_SERVER] = table.fail_at[TO_CLIENT] = <uint64_t>-1
    describe_rooms(table.room)
    default_settings(&table.config)
    for number in range(ALPROTO_MAX):
        table.config.enabled[number] = ON
    for name, value in settings.get("enabled", {}).items():
        if name in PROTOCOL_NUMBERS:
            table.config.enabled[PROTOCOL_NUMBERS[name]] = ("no", "yes", "detection-only").index(value)
    table.config.beyond = settings.get("beyond", False)
    read_settings(&table.config, settings)
    settle_rooms(table.room, &table.config)
    describe_models(&table.config.files)
    open_recogniser(&table.recogniser, &table.config, settings)


cdef bint open_session(app_context_t *context) noexcept nogil:
    if context.app == NULL:
        context.app = <app_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(app_t))
        if context.app == NULL:
            return False
        context.flow.more.app = context.app
    return True


# ---- recognition ----

cdef void turn_round(app_t *app) noexcept nogil:
    """The client is the server."""
    app.seen[0], app.seen[1] = app.seen[1], app.seen[0]
    app.tried[0], app.tried[1] = app.tried[1], app.tried[0]
    app.probed[0], app.probed[1] = app.probed[1], app.probed[0]


cdef void stop_session(app_context_t *context) noexcept nogil:
    """The parser has failed, or cannot go on behind a gap. Files that were on their way end here."""
    cdef app_t *outer = context.app
    cdef tx_t *tx = context.app.first
    cdef file_t *file
    cdef uint32_t direction
    context.app.flags |= APP_STOPPED_TO_SERVER | APP_STOPPED_TO_CLIENT | APP_ERROR
    while tx != NULL:
        for direction in range(2):
            file = tx.files[direction]
            while file != NULL:
                file_cut(context, tx, file)
                file = file.next
        tx = tx.next
    if context.app.inner != NULL:       # the parser of what was inside has done nothing wrong
        context.app = context.app.inner
        stop_session(context)
        context.app.flags &= ~<uint32_t> APP_ERROR
        context.app = outer


cdef void leave_protocol(const app_table_t *table, app_context_t *context) noexcept nogil:
    """Frees what the room has: what was before has been inspected."""
    free_transactions(table, context)
    if table.room[context.app.proto].free_state != NULL:
        table.room[context.app.proto].free_state(context)
    context.app.state = NULL


cdef void give_up(const app_table_t *table, app_context_t *context) noexcept nogil:
    """No application layer for the rest of this flow."""
    cdef app_t *app = context.app
    cdef uint32_t direction
    leave_protocol(table, context)
    app.proto = ALPROTO_FAILED
    app.flags |= APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT
    for direction in range(2):
        if app.seen[direction] == ALPROTO_UNKNOWN:
            app.seen[direction] = ALPROTO_FAILED


cdef bint is_over_with(const app_context_t *context, uint32_t direction) noexcept nogil:
    return (context.app.flags & APP_SOUGHT_TO_SERVER << direction) != 0 or gave_up(context, direction)


cdef void despair(const app_table_t *table, app_context_t *context) noexcept nogil:
    """Nobody knows either side: gives up if nobody ever will, or if one of them holds more than may wait for the other."""
    cdef uint32_t direction, other
    if context.flow.tcp_state < TCP_ESTABLISHED:
        return
    if is_over_with(context, TO_SERVER) and is_over_with(context, TO_CLIENT):
        give_up(table, context)
        return
    for direction in range(2):
        other = 1 - direction
        if context.held[direction] > context.hold_max[direction] and (context.held[other] == 0 or (
                gave_up(context, direction) and context.app.tried[other] & TRIED_ALL == TRIED_PROBES)):
            app_event(context.app, APP_PROTO_DETECTION_SKIPPED)
            give_up(table, context)
            return


cdef uint32_t first_parse(const app_table_t *table, app_context_t *context, uint32_t direction) noexcept nogil:
    """A direction has just been recognised: may its bytes go to the parser?"""
    cdef app_t *app = context.app
    cdef uint8_t first = table.room[app.proto].first_data
    if not app.flags & APP_SHOWN and first:
        if not first & context.spoke_first:
            app_event(app, APP_WRONG_DIRECTION_FIRST_DATA)
            give_up(table, context)
            return SEEK_HOLD
        if not first >> direction & 1:
            return SEEK_HOLD        # the other side's bytes are there, but not acknowledged yet
    return SEEK_PARSE


cdef uint32_t seek(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                   uint32_t flags, uint16_t server_port) noexcept nogil:
    """Recognises a direction of a stream: may it be parsed?"""
    cdef app_t *app = context.app
    cdef uint8_t other = app.seen[1 - direction], first
    cdef bint reversed = False
    cdef uint8_t proto = recognise_protocol(&table.recogniser, table.room, context, direction, data, length, flags, server_port,
                                            &reversed)
    if reversed and flags & EITHER_WAY and proto != ALPROTO_UNKNOWN and other == ALPROTO_UNKNOWN:
        app.tried[direction] = 0
        turn_round(app)
        return SEEK_REVERSED
    if proto != ALPROTO_UNKNOWN:
        app.seen[direction] = proto
        app.flags |= APP_SOUGHT_TO_SERVER << direction
        if other == ALPROTO_UNKNOWN or other == proto:
            app.proto = proto
        else:
            app_event(app, APP_MISMATCH_PROTOCOL_BOTH_DIRECTIONS)
            # what was parsed stays; else the server is trusted more
            app.proto = proto if direction == TO_CLIENT and not app.flags & APP_SHOWN else other
        if not app.flags & APP_SHOWN and context.spoke_first & 1 << (1 - direction):
            app.flags |= APP_TURN_TO_SERVER << direction
            return SEEK_HOLD
        return first_parse(table, context, direction)
    if other == ALPROTO_UNKNOWN:
        despair(table, context)
        return SEEK_HOLD
    first = table.room[other].first_data
    if not app.flags & APP_SHOWN and first and not first >> direction & 1:
        give_up(table, context)
        return SEEK_HOLD
    if not gave_up(context, direction):
        return SEEK_HOLD
    app.seen[direction] = ALPROTO_FAILED
    app.flags |= APP_SOUGHT_TO_SERVER << direction
    if other != ALPROTO_FAILED:
        app_event(app, APP_DETECT_PROTOCOL_ONLY_ONE_DIRECTION)
    return SEEK_PARSE


cdef void forget_recognition(app_t *app) noexcept nogil:
    app.proto = app.seen[0] = app.seen[1] = ALPROTO_UNKNOWN
    app.tried[0] = app.tried[1] = 0
    app.probed[0] = app.probed[1] = 0
    app.flags &= ~<uint32_t> (APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT)


cdef uint32_t change_protocol(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                              uint32_t length, uint32_t flags) noexcept nogil:
    """The session goes on as another protocol, once these bytes show as which."""
    cdef app_t *app = context.app
    cdef uint8_t before = app.proto, wanted = app.next_proto, following
    cdef uint32_t said
    forget_recognition(app)
    said = seek(table, context, direction, data, length, flags, TLS_PORT if wanted == ALPROTO_TLS else 0)
    following = app.proto
    if following == ALPROTO_UNKNOWN:
        if length >= CHANGE_MAX or flags & PARSE_EOF:
            app.proto = before
            give_up(table, context)
            app.original_proto = before
        else:
            app.proto = app.seen[0] = app.seen[1] = before
            app.flags |= APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT
        return SEEK_HOLD
    app.proto = before
    leave_protocol(table, context)
    app.next_tx = 0
    app.proto = following
    app.original_proto = before
    app.next_proto = ALPROTO_UNKNOWN
    context.changing = True
    app.flags &= ~<uint32_t> (APP_UPGRADE | APP_UNASKED | APP_STOPPED_TO_SERVER | APP_STOPPED_TO_CLIENT)
    if wanted != ALPROTO_UNKNOWN and following != wanted:
        app_event(app, APP_UNEXPECTED_PROTOCOL)
        if wanted == ALPROTO_TLS:
            app_event(app, APP_NO_TLS_AFTER_STARTTLS)
    return said


# ---- feeding ----

cdef uint32_t feed_gap(const app_table_t *table, app_context_t *context, uint32_t direction, uint32_t length) noexcept nogil:
    """False where the gap is no business of the parser's."""
    cdef app_t *app = context.app
    if app.seen[direction] == ALPROTO_UNKNOWN:
        app.flags |= APP_SOUGHT_TO_SERVER << direction      # nobody recognises what is missing
    if app.flags & APP_UPGRADE:
        app.flags &= ~<uint32_t> APP_UPGRADE
        return False
    return app.proto != ALPROTO_UNKNOWN


cdef inline bint passes_unasked(app_context_t *context, const room_t *room) noexcept nogil:
    """Likewise of a stream; one that began unasked for cannot be parsed from its middle on."""
    cdef app_t *app = context.app
    if app.fed[TO_SERVER] + app.fed[TO_CLIENT] == 0 and asks_nobody(context, room):
        app.flags |= APP_UNASKED
    return app.flags & APP_UNASKED != 0


cdef uint32_t feed_bytes(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                         uint32_t length, uint32_t flags) noexcept nogil:
    context.changing = False
    context.app.flags &= ~<uint32_t> (APP_QUIET_TO_SERVER | APP_QUIET_TO_CLIENT)
    return feed_room(table, context, direction, data, length, flags)


cdef uint32_t feed_room(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                        uint32_t length, uint32_t flags) noexcept nogil:
    cdef app_t *app = context.app
    cdef const room_t *room
    cdef parsed_t parsed
    cdef uint32_t at = 0, said = SEEK_PARSE
    if table.config.beyond and app.proto <= ALPROTO_FAILED and data != NULL:
        look_beyond(app, context.flow, direction, data, length, False)
    if app.proto == ALPROTO_FAILED:
        return length
    if flags & PARSE_GAP:
        if not feed_gap(table, context, direction, length):
            return length
    elif app.flags & APP_TURN_TO_SERVER << direction:
        app.flags &= ~(<uint32_t> APP_TURN_TO_SERVER << direction)
        said = first_parse(table, context, direction)
    elif app.seen[direction] == ALPROTO_UNKNOWN and not app.flags & APP_SOUGHT_TO_SERVER << direction:
        said = seek(table, context, direction, data, length, flags, 0)
    elif app.flags & APP_UPGRADE:
        said = change_protocol(table, context, direction, data, length, flags)
    elif app.proto == ALPROTO_UNKNOWN:
        return 0                    # behind a gap, and the other side has not been recognised
    if said == SEEK_REVERSED:
        return FEED_REVERSED
    if app.proto == ALPROTO_FAILED:
        return length
    if said == SEEK_HOLD:
        return 0
    flags &= ~<uint32_t> EITHER_WAY
    app.flags |= APP_SHOWN
    room = room_of(table, context)
    if (room == NULL or app.flags & APP_STOPPED_TO_SERVER << direction or table.config.enabled[app.proto] == DETECTION_ONLY
            or passes_unasked(context, room)):
        app.fed[direction] += length
        return length
    if flags & PARSE_GAP and not room.gaps or app.fed[direction] >= table.fail_at[direction]:
        stop_session(context)
        return length
    while True:
        parsed = room.parse(context, direction, data, length - at,
                            flags | (PARSE_START if app.fed[direction] == 0 else 0))
        parsed.consumed = min(parsed.consumed, length - at)
        at += parsed.consumed
        if data != NULL:
            data += parsed.consumed
        app.fed[direction] += parsed.consumed
        app.need[direction] = parsed.need if parsed.status == PARSE_NEED else 0
        if not app.flags & APP_NO_PAYLOAD and app.proto != ALPROTO_TLS:     # whose room knows it record by record
            app.opened[direction] = app.fed[direction]
        if parsed.status == PARSE_ERROR:
            stop_session(context)
            return length
        if parsed.status == PARSE_DONE:
            app.flags |= APP_STOPPED_TO_SERVER << direction
            return length
        if app.flags & APP_UPGRADE or parsed.status == PARSE_NEED or at == length or parsed.consumed == 0:
            return at


# ---- the session inside an encrypted one ----

cdef void feed_held(const app_table_t *table, app_context_t *context, inner_t *inner, uint32_t direction, const uint8_t *data,
                    uint32_t length, uint32_t flags) noexcept nogil:
    """What is held of a direction, and these bytes behind it, go to the parser; what it leaves is held."""
    cdef app_t *app = context.app
    cdef bytes_t *held = &inner.held[direction]
    cdef bint sought = app.proto == ALPROTO_UNKNOWN
    cdef uint32_t used
    if app.flags & APP_STOPPED_TO_SERVER << direction or app.proto == ALPROTO_FAILED:
        return
    if length and not inner.spoke_first:
        inner.spoke_first = <uint8_t> (1 << direction)
    if held.length:
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, held, data, length):
            stop_session(context)
            return
        data = held.data
        length = held.length
    if length < app.need[direction] and not flags & PARSE_EOF:
        used = 0
    else:
        context.spoke_first = inner.spoke_first
        context.held[direction], context.held[1 - direction] = length, inner.held[1 - direction].length
        context.hold_max[0] = context.hold_max[1] = INNER_SOUGHT_MAX
        used = feed_bytes(table, context, direction, data, length, flags)
        if app.flags & APP_TURN_TO_SERVER << direction:
            feed_held(table, context, inner, 1 - direction, NULL, 0, 0)
            used = feed_bytes(table, context, direction, data, length, flags)
    if held.length:
        bytes_drop(held, used)
    elif used < length and not bytes_append(context.pool, ACCOUNT_APPLAYER, held, data + used, length - used):
        stop_session(context)
    if held.length > INNER_HELD_MAX:
        stop_session(context)
    if sought and app.proto > ALPROTO_FAILED and inner.held[1 - direction].length:
        feed_held(table, context, inner, 1 - direction, NULL, 0, 0)


cdef void go_on_inside(const app_t *outer, app_t *inner) noexcept nogil:
    """What STARTTLS has interrupted goes on inside; behind CONNECT anything may."""
    cdef uint8_t before = outer.original_proto
    if before == ALPROTO_SMTP or before == ALPROTO_FTP:
        inner.proto = inner.seen[TO_SERVER] = inner.seen[TO_CLIENT] = before
        inner.flags |= APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT


cdef void feed_inner(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                     uint32_t flags) noexcept nogil:
    cdef app_context_t outer = context[0]
    cdef inner_t *inner = <inner_t *> context.app.inner
    if inner == NULL:
        if length == 0:
            return
        inner = <inner_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(inner_t))
        if inner == NULL:
            return
        inner.app.flags = APP_DECRYPTED
        go_on_inside(context.app, &inner.app)
        context.app.inner = &inner.app
    context.app = &inner.app
    if flags & PARSE_GAP:
        stop_session(context)
        inner.app.flags &= ~<uint32_t> APP_ERROR        # the parser has done nothing wrong
    else:
        feed_held(table, context, inner, direction, data, length, flags)
    context[0] = outer


cdef void close_inner(const app_table_t *table, app_context_t *context) noexcept nogil:
    cdef app_t *outer = context.app
    cdef inner_t *inner = <inner_t *> outer.inner
    cdef uint32_t direction
    if inner == NULL:
        return
    context.app = &inner.app
    leave_protocol(table, context)
    context.app = outer
    bytes_free(context.pool, ACCOUNT_APPLAYER, &inner.app.carried)
    for direction in range(2):
        bytes_free(context.pool, ACCOUNT_APPLAYER, &inner.held[direction])
    pool_give(context.pool, ACCOUNT_APPLAYER, inner, sizeof(inner_t))
    outer.inner = NULL


cdef void seek_datagram(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                        uint32_t length, bint *reversed) noexcept nogil:
    """Recognises a direction by its first datagram: there is no second try."""
    cdef app_t *app = context.app
    cdef uint8_t other = app.seen[1 - direction]
    cdef uint8_t proto = recognise_protocol(&table.recogniser, table.room, context, direction, data, length,
                                            PARSE_EOF | PARSE_DATAGRAM, 0, reversed)
    app.flags |= APP_SOUGHT_TO_SERVER << direction
    if (proto == ALPROTO_UNKNOWN and other == ALPROTO_UNKNOWN and direction == TO_SERVER and table.config.beyond
            and table.config.enabled[<uint32_t> ALPROTO_QUIC] and is_strictly_quic(data, length)):
        proto = ALPROTO_QUIC
    if proto == ALPROTO_UNKNOWN:
        app.seen[direction] = ALPROTO_FAILED if other == ALPROTO_UNKNOWN else other
        if other != ALPROTO_UNKNOWN:
            app.proto = other
    else:
        app.seen[direction] = proto
        if other == ALPROTO_UNKNOWN or other == ALPROTO_FAILED:
            app.proto = proto
        elif other != proto:
            app_event(app, APP_MISMATCH_PROTOCOL_BOTH_DIRECTIONS)
    if other == ALPROTO_UNKNOWN and app.proto == ALPROTO_UNKNOWN:
        app.proto = ALPROTO_FAILED


cdef uint32_t feed_datagram(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    cdef app_t *app = context.app
    cdef const room_t *room
    cdef uint32_t result = 0
    cdef bint reversed = False
    app.flags &= ~<uint32_t> (APP_QUIET_TO_SERVER | APP_QUIET_TO_CLIENT)
    if app.seen[direction] == ALPROTO_UNKNOWN:
        seek_datagram(table, context, direction, data, length, &reversed)
        if reversed and app.proto > ALPROTO_FAILED:
            turn_round(app)
            app.flags &= ~(<uint32_t> APP_SOUGHT_TO_SERVER << direction)
            direction = 1 - direction
            app.flags |= APP_SOUGHT_TO_SERVER << direction
            result = FEED_REVERSED
    if table.config.beyond and app.proto <= ALPROTO_FAILED:
        look_beyond(app, context.flow, direction, data, length, True)
    room = room_of(table, context)
    if (room == NULL or app.flags & APP_STOPPED_TO_SERVER << direction or table.config.enabled[app.proto] == DETECTION_ONLY
            or asks_nobody(context, room)):
        return result
    app.fed[direction] += length
    if length and (table.fail_at[direction] == 0
                   or room.parse(context, direction, data, length, PARSE_START).status == PARSE_ERROR):
        stop_session(context)
    return result


# ---- the ends of transactions ----

cdef void free_transaction(const app_table_t *table, app_context_t *context, tx_t *tx) noexcept nogil:
    cdef uint32_t direction
    if table.room[context.app.proto].free_tx != NULL:
        table.room[context.app.proto].free_tx(context, tx)
    free_files(context, tx)
    for direction in range(2):
        if tx.detect[direction] != NULL:
            pool_give(context.pool, ACCOUNT_APPLAYER, tx.detect[direction], (<uint64_t *> tx.detect[direction])[0])
    context.app.txs -= 1
    pool_give(context.pool, ACCOUNT_APPLAYER, tx, tx.size)


cdef void free_transactions(const app_table_t *table, app_context_t *context) noexcept nogil:
    cdef tx_t *tx
    while context.app.first != NULL:
        tx = context.app.first
        context.app.first = tx.next
        free_transaction(table, context, tx)
    context.app.last = NULL


cdef bint is_over(const room_t *room, const tx_t *tx, bint rules) noexcept nogil:
    cdef uint16_t wanted = TX_LOGGED_TO_SERVER | TX_LOGGED_TO_CLIENT
    if rules and not tx.flags & TX_NO_INSPECTION:
        wanted |= TX_DETECTED_TO_SERVER | TX_DETECTED_TO_CLIENT
    return tx.flags & wanted == wanted and (
        tx.flags & TX_DONE or tx.progress[0] >= room.complete[0] and tx.progress[1] >= room.complete[1])


cdef void free_done(const app_table_t *table, app_context_t *context, bint rules) noexcept nogil:
    cdef app_t *app = context.app
    cdef const room_t *room = room_of(table, context)
    cdef tx_t **link = &app.first
    cdef tx_t *tx
    cdef tx_t *last = NULL
    if room == NULL:
        return
    while link[0] != NULL:
        tx = link[0]
        if is_over(room, tx, rules):
            link[0] = tx.next
            free_transaction(table, context, tx)
        else:
            last = tx
            link = &tx.next
    app.last = last


cdef void pass_transactions(const app_table_t *table, app_context_t *context, uint32_t direction) noexcept nogil:
    cdef app_t *app = context.app
    cdef const room_t *room = &table.room[app.proto]
    cdef uint16_t done = <uint16_t> (TX_DETECTED_TO_SERVER << direction)
    cdef tx_t **link = &app.first
    cdef tx_t *last = NULL
    cdef tx_t *tx
    while link[0] != NULL:
        tx = link[0]
        if not tx.flags & (done | TX_NO_INSPECTION):
            tx.inspected[direction] = tx.progress[direction]
            tx.flags &= ~<uint16_t> TX_NEW
            if tx.progress[direction] >= room.complete[direction]:
                tx.flags |= done
            if room.inspected != NULL:
                room.inspected(context, tx, direction)
        if tx.progress[TO_SERVER] >= room.log_at[TO_SERVER]:        # else neither event is due
            log_due(room, tx, TO_SERVER, False)
            log_due(room, tx, TO_CLIENT, False)
        if is_over(room, tx, True):
            link[0] = tx.next
            free_transaction(table, context, tx)
        else:
            last = tx
            link = &tx.next
    app.last = last
    app.flags |= APP_QUIET_TO_SERVER << direction


cdef void close_session(const app_table_t *table, app_context_t *context) noexcept nogil:
    cdef app_t *app = context.app
    close_inner(table, context)
    free_transactions(table, context)
    if table.room[app.proto].free_state != NULL:
        table.room[app.proto].free_state(context)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &app.carried)
    if context.work.meet != NULL:
        pool_give(context.pool, ACCOUNT_APPLAYER, app.expected, sizeof(expectation_t))
    pool_give(context.pool, ACCOUNT_APPLAYER, app, sizeof(app_t))
    context.app = NULL
    context.flow.more.app = NULL


cdef void free_work(app_work_t *work) noexcept nogil:
    free_kept(work)
