# See dispatch.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.expectations cimport expectation_t
from fastpath.dataplane.applayer.files cimport free_files
from fastpath.dataplane.applayer.rooms cimport describe_rooms, settle_rooms
from fastpath.dataplane.applayer.settings cimport default_settings, read_settings
from fastpath.dataplane.applayer.transaction cimport app_event
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER

from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS

cdef enum:
    OFF, ON, DETECTION_ONLY     # app_config_t.enabled
    UDP = 17


# ---- setting up ----

cdef void open_table(app_table_t *table, settings) except *:
    cdef uint32_t number, i
    memset(table, 0, sizeof(app_table_t))
    describe_rooms(table.room)
    default_settings(&table.config)
    for number in range(ALPROTO_MAX):
        table.config.enabled[number] = ON
    for name, value in settings.get("enabled", {}).items():
        if name in PROTOCOL_NUMBERS:
            table.config.enabled[PROTOCOL_NUMBERS[name]] = ("no", "yes", "detection-only").index(value)
    for name, ports in settings.get("tcp_ports", {}).items():
        for i, port in enumerate(ports[:HINTS_MAX]):
            table.tcp_hint[PROTOCOL_NUMBERS[name]][i] = port
    for name, ports in settings.get("udp_ports", {}).items():
        for i, port in enumerate(ports[:HINTS_MAX]):
            table.udp_hint[PROTOCOL_NUMBERS[name]][i] = port
    read_settings(&table.config, settings)
    settle_rooms(table.room, &table.config)


cdef bint open_session(app_context_t *context) noexcept nogil:
    if context.app == NULL:
        context.app = <app_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(app_t))
        if context.app == NULL:
            return False
        context.flow.more.app = context.app
    return True


cdef const room_t *room_of(const app_table_t *table, const app_context_t *context) noexcept nogil:
    cdef const room_t *room = &table.room[context.app.proto]
    return room if room.parse != NULL else NULL


# ---- recognition ----

cdef bint hinted(const app_table_t *table, const app_context_t *context, uint32_t proto) noexcept nogil:
    """Is one of the flow's ports a usual one of the protocol's server?"""
    cdef const uint16_t *ports = &table.tcp_hint[proto][0]
    cdef uint32_t i
    if context.flow.proto == UDP:
        ports = &table.udp_hint[proto][0]
    for i in range(HINTS_MAX):
        if ports[i] and (ports[i] == context.flow.port[0] or ports[i] == context.flow.port[1]):
            return True
    return False


cdef uint32_t ask_rooms(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                        uint32_t length, uint32_t flags, uint8_t *proto) noexcept nogil:
    """What the rooms say, most definite answer first; proto[0] is whose."""
    cdef uint32_t number, said, best = RECOGNISED_NO
    cdef bint datagrams = context.flow.proto == UDP
    cdef const room_t *room
    for number in range(ALPROTO_FAILED + 1, ALPROTO_MAX):
        room = &table.room[number]
        if (room.recognise == NULL or table.config.enabled[number] == OFF
                or room.datagrams != 2 and (room.datagrams == 1) != datagrams):
            continue
        said = room.recognise(direction, data, length, flags, hinted(table, context, number))
        if said == RECOGNISED_YES or said == RECOGNISED_REVERSED:
            proto[0] = <uint8_t> number
            return said
        if said == RECOGNISED_MORE:
            best = RECOGNISED_MORE
    return best


cdef uint32_t seek(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                   uint32_t flags) noexcept nogil:
    """Recognises a direction: RECOGNISED_YES once the session's protocol is known for it, RECOGNISED_NO once it is given up,
    else RECOGNISED_MORE."""
    cdef app_t *app = context.app
    cdef uint32_t other = 1 - direction
    cdef uint8_t proto = ALPROTO_UNKNOWN
    cdef uint32_t said = ask_rooms(table, context, direction, data, length, flags, &proto)
    if said == RECOGNISED_MORE and length < RECOGNITION_MAX and not flags & PARSE_EOF:
        return RECOGNISED_MORE
    app.flags |= APP_SOUGHT_TO_SERVER << direction
    if said == RECOGNISED_YES or said == RECOGNISED_REVERSED:
        app.seen[direction] = proto
        if app.proto == ALPROTO_UNKNOWN:
            if table.room[proto].first_data and not table.room[proto].first_data >> direction & 1 \
                    and app.fed[other] == 0 and not app.flags & (APP_SOUGHT_TO_SERVER << other):
                app_event(app, APP_WRONG_DIRECTION_FIRST_DATA)
                app.proto = ALPROTO_FAILED
                return RECOGNISED_NO
            app.proto = proto
        elif app.proto != proto:
            app_event(app, APP_MISMATCH_PROTOCOL_BOTH_DIRECTIONS)
        return said
    if said == RECOGNISED_MORE:
        app_event(app, APP_PROTO_DETECTION_SKIPPED)
    if app.proto == ALPROTO_UNKNOWN and context.work.meet != NULL and context.flow.proto != UDP \
            and context.work.meet(context, direction):
        app.proto = app.seen[0] = app.seen[1] = ALPROTO_FTP_DATA
        app.flags |= APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT
        return RECOGNISED_YES
    if app.proto == ALPROTO_UNKNOWN:
        if app.flags & APP_SOUGHT_TO_SERVER << other:
            app.proto = ALPROTO_FAILED
        return RECOGNISED_NO
    app_event(app, APP_DETECT_PROTOCOL_ONLY_ONE_DIRECTION)
    app.seen[direction] = app.proto
    return RECOGNISED_YES


cdef void begin_upgrade(const app_table_t *table, app_context_t *context) noexcept nogil:
    """The session goes on as another protocol: what was before has been inspected and is freed."""
    cdef app_t *app = context.app
    cdef uint8_t before = app.proto, following = app.next_proto
    free_transactions(table, context)
    if table.room[before].free_state != NULL:
        table.room[before].free_state(context)
    app.state = NULL
    app.original_proto = before
    app.flags &= ~<uint32_t> (APP_UPGRADE | APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT | APP_STOPPED_TO_SERVER
                              | APP_STOPPED_TO_CLIENT)
    app.proto = following
    app.seen[0] = app.seen[1] = following
    app.next_proto = ALPROTO_UNKNOWN
    if following != ALPROTO_UNKNOWN:
        app.flags |= APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT


# ---- feeding ----

cdef void stop_session(app_t *app) noexcept nogil:
    app.flags |= APP_STOPPED_TO_SERVER | APP_STOPPED_TO_CLIENT


cdef uint32_t feed_bytes(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                         uint32_t length, uint32_t flags) noexcept nogil:
    cdef app_t *app = context.app
    cdef const room_t *room
    cdef parsed_t parsed
    cdef uint32_t at = 0, said
    if app.flags & APP_UPGRADE:
        begin_upgrade(table, context)
    if not app.flags & APP_SOUGHT_TO_SERVER << direction and app.proto != ALPROTO_FAILED:
        if flags & PARSE_GAP:
            # nobody recognises what is missing
            app.flags |= APP_SOUGHT_TO_SERVER << direction
            if app.proto == ALPROTO_UNKNOWN and app.flags & APP_SOUGHT_TO_SERVER << (1 - direction):
                app.proto = ALPROTO_FAILED
        elif length or flags & PARSE_EOF:
            said = seek(table, context, direction, data, length, flags)
            if said == RECOGNISED_MORE:
                return 0
    if app.proto == ALPROTO_UNKNOWN:
        # this direction is given up and waits for the other
        return length if length > RECOGNITION_MAX and not flags & PARSE_GAP else 0
    room = room_of(table, context)
    if room == NULL or app.flags & APP_STOPPED_TO_SERVER << direction or table.config.enabled[app.proto] == DETECTION_ONLY:
        app.fed[direction] += length
        return length
    if flags & PARSE_GAP and not room.gaps:
        stop_session(app)
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
        if parsed.status == PARSE_ERROR:
            stop_session(app)
            return length
        if parsed.status == PARSE_DONE:
            app.flags |= APP_STOPPED_TO_SERVER << direction
            return length
        if app.flags & APP_UPGRADE or parsed.status == PARSE_NEED or at == length or parsed.consumed == 0:
            return at


cdef uint32_t feed_datagram(const app_table_t *table, app_context_t *context, uint32_t direction, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    cdef app_t *app = context.app
    cdef const room_t *room
    cdef uint32_t said, result = 0
    if not app.flags & APP_SOUGHT_TO_SERVER << direction and app.proto != ALPROTO_FAILED:
        said = seek(table, context, direction, data, length, PARSE_EOF | PARSE_DATAGRAM)
        if said == RECOGNISED_REVERSED:
            app.seen[1 - direction], app.seen[direction] = app.seen[direction], app.seen[1 - direction]
            app.flags &= ~<uint32_t> (APP_SOUGHT_TO_SERVER | APP_SOUGHT_TO_CLIENT)
            direction = 1 - direction
            app.flags |= APP_SOUGHT_TO_SERVER << direction
            result = FEED_REVERSED
    room = room_of(table, context)
    if room == NULL or app.flags & APP_STOPPED_TO_SERVER << direction or table.config.enabled[app.proto] == DETECTION_ONLY:
        return result
    app.fed[direction] += length
    if room.parse(context, direction, data, length, PARSE_START).status == PARSE_ERROR:
        stop_session(app)
    return result


# ---- the ends of transactions ----

cdef bint log_due(const room_t *room, tx_t *tx, uint32_t direction, bint ended) noexcept nogil:
    cdef uint16_t mark = TX_LOGGED_TO_SERVER << direction
    if tx.flags & mark or not ended and (
            tx.progress[TO_SERVER] < room.log_at[TO_SERVER]
            or direction == TO_CLIENT and tx.progress[TO_CLIENT] < room.log_at[TO_CLIENT]):
        return False
    tx.flags |= mark
    return True


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


cdef void close_session(const app_table_t *table, app_context_t *context) noexcept nogil:
    cdef app_t *app = context.app
    free_transactions(table, context)
    if table.room[app.proto].free_state != NULL:
        table.room[app.proto].free_state(context)
    if context.work.meet != NULL:
        pool_give(context.pool, ACCOUNT_APPLAYER, app.expected, sizeof(expectation_t))
    pool_give(context.pool, ACCOUNT_APPLAYER, app, sizeof(app_t))
    context.app = NULL
    context.flow.more.app = NULL
