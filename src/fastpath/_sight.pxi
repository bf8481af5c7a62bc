# sight: what decryption makes of sessions, and how much of which service stayed sealed. Part of _core.pyx.

cdef void configure_sight(engine_t *engine, KeyRing keys, uint64_t sessions) except *:
    """keys: secrets that were given, or None; whoever calls holds them. sessions: how many may be decrypted at a time."""
    cdef uint32_t i
    engine.sight = <sight_t *>calloc(engine.buckets, sizeof(sight_t))
    if engine.sight == NULL:
        raise MemoryError("no memory for what decryption counts")
    for i in range(engine.buckets):
        engine.sight[i].ciphers_max = <uint32_t>(2 * ((sessions + engine.buckets - 1) // engine.buckets))
    engine.apps.config.tls.keys[0] = &keys.ring if keys is not None else NULL
    engine.apps.config.tls.keys[1] = &engine.capture_keys


# ---- the session inside an encrypted one ----

cdef const room_t *enter_inner(engine_t *engine, app_context_t *context) noexcept nogil:
    """Makes the session inside that of the context, until leave_inner; its room, NULL where it has none."""
    context.app = context.app.inner
    return room_of(&engine.apps, context)


cdef void leave_inner(app_context_t *context) noexcept nogil:
    context.app = <app_t *>context.flow.more.app


cdef void deliver_plain(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                        uint32_t flags) noexcept nogil:
    """What a room has decrypted."""
    feed_inner(&(<worker_t *>context.work.worker).engine.apps, context, direction, data, length, flags)


# ---- secrets that the capture brings ----

cdef enum:
    SECRETS_TLS = 0x544c534b    # type of a Decryption Secrets Block: a TLS key log


cdef void take_secrets(engine_t *engine, rx_t *rx, uint64_t since) noexcept nogil:
    """What has come since the latest burst; it counts from that packet on."""
    cdef uint32_t head[2]
    cdef uint64_t before
    while rx.secrets_used > engine.secrets_read:
        memcpy(head, rx.secrets + engine.secrets_read, 8)
        if head[0] == SECRETS_TLS:
            before = engine.capture_keys.used
            take_key_log(&engine.capture_keys, rx.secrets + engine.secrets_read + 8, head[1], since)
            engine.capture_secrets += engine.capture_keys.used - before
        engine.secrets_read += 8 + head[1]


# ---- what stayed sealed, by service ----

cdef uint64_t stream_bytes(const flow_t *flow, uint32_t direction) noexcept nogil:
    """Of a direction of a TCP stream. Sequence numbers come round; what the flow has carried says how often."""
    cdef uint64_t size = stream_size(flow, direction)
    cdef uint32_t controls = 1 + (flow.tcp_flags[direction] & TCP_FIN != 0)
    size -= min(size, <uint64_t>controls)
    while size + (<uint64_t>1 << 32) <= flow.bytes[direction]:
        size += <uint64_t>1 << 32
    return min(size, flow.bytes[direction])     # who leaps ahead has not sent what lies between


cdef uint64_t sealed_bytes(const flow_t *flow, const app_t *app, uint64_t *carried) noexcept nogil:
    """Bytes of a flow that nobody could look into. `carried` is 0 for a flow that is not encrypted."""
    cdef uint64_t size, sealed = 0
    cdef uint32_t direction
    carried[0] = 0
    if app.proto == ALPROTO_QUIC:
        carried[0] = flow.bytes[0] + flow.bytes[1]
        return carried[0]
    if app.proto != ALPROTO_TLS and not (app.proto == ALPROTO_SSH and app.flags & APP_NO_PAYLOAD):
        return 0
    for direction in range(2):
        size = stream_bytes(flow, direction)
        carried[0] += size
        sealed += size - min(size, app.opened[direction])
    return sealed


cdef bint is_service(const service_t *service, const service_t *asked) noexcept nogil:
    return (service.hash == asked.hash and service.source == asked.source and service.target == asked.target
            and service.epoch == asked.epoch and service.proto == asked.proto and service.length == asked.length
            and memcmp(service.name, asked.name, asked.length) == 0)


cdef service_t *service_place(service_t *services, uint32_t slots, const service_t *asked) noexcept nogil:
    """Its slot, or the free one that it is to have; there is always one free."""
    cdef uint32_t at = asked.hash & (slots - 1)
    while services[at].flows and not is_service(&services[at], asked):
        at = (at + 1) & (slots - 1)
    return &services[at]


cdef bint grow_services(sight_t *sight) noexcept nogil:
    cdef uint32_t slots = 2 * sight.service_slots if sight.service_slots else <uint32_t>SERVICES_FIRST
    cdef service_t *services
    cdef uint32_t i
    if slots > SERVICES_MAX:
        return False
    services = <service_t *>calloc(slots, sizeof(service_t))
    if services == NULL:
        return False
    for i in range(sight.service_slots):
        if sight.services[i].flows:
            service_place(services, slots, &sight.services[i])[0] = sight.services[i]
    free(sight.services)
    sight.services = services
    sight.service_slots = slots
    return True


cdef service_t *find_service(sight_t *sight, const service_t *asked) noexcept nogil:
    """The row of a service, made at the first flow of it; that of the rest, where there is no room for more."""
    cdef service_t *service
    if sight.service_slots:
        service = service_place(sight.services, sight.service_slots, asked)
        if service.flows:
            return service
    if sight.services_used >= sight.service_slots // 2 and not grow_services(sight):
        return &sight.rest
    sight.services_used += 1
    service = service_place(sight.services, sight.service_slots, asked)
    service[0] = asked[0]
    return service


cdef void name_service(engine_t *engine, app_context_t *context, service_t *service) noexcept nogil:
    """By the server's name, lower case, where the session gives one."""
    cdef const room_t *room = room_of(&engine.apps, context)
    cdef view_t view
    cdef uint32_t i, hash = 2166136261
    cdef uint32_t buffer = BUFFER_TLS_SNI if context.app.proto == ALPROTO_TLS else BUFFER_QUIC_SNI
    if context.app.proto in (ALPROTO_TLS, ALPROTO_QUIC) and room != NULL and context.app.state != NULL \
            and room.buffer(context, NULL, TO_SERVER, buffer, 0, &view) == VIEW_READY:
        service.length = <uint8_t>min(view.length, <uint32_t>SERVICE_NAME_MAX)
    for i in range(service.length):
        service.name[i] = view.data[i] | 32 if 65 <= view.data[i] <= 90 else view.data[i]
        hash = (hash ^ service.name[i]) * <uint32_t>16777619
    service.hash = hash ^ service.source * <uint32_t>0x9e3779b1 ^ service.target * <uint32_t>0x85ebca6b


cdef void count_service(engine_t *engine, app_context_t *context, uint32_t bucket, const flow_t *flow) noexcept nogil:
    """The flow of the context ends: what of it was sealed is put down to its service, and to its ends as the policy sees them."""
    cdef const policy_flow_t *kept
    cdef service_t asked
    cdef service_t *service
    cdef uint64_t carried
    cdef uint64_t sealed = sealed_bytes(flow, context.app, &carried)
    if carried == 0:
        return
    memset(&asked, 0, sizeof(service_t))
    asked.proto = context.app.proto
    if engine.policy != NULL:
        kept = &engine.policy_flows[bucket][flow - engine.bucket[bucket].flows]
        if kept.epoch == engine.policy.epoch:
            asked.source, asked.target, asked.epoch = kept.source, kept.target, kept.epoch
    name_service(engine, context, &asked)
    service = find_service(&engine.sight[bucket], &asked)
    service.flows += 1
    service.sealed += sealed
    service.carried += carried


cdef list services_of(engine_t *engine):
    """(name, protocol, source, target, epoch of the policy, flows, sealed, carried) of each, bytes; name None for the rest."""
    cdef uint32_t i, k
    cdef service_t *service
    found = []
    for i in range(engine.buckets):
        for k in range(engine.sight[i].service_slots + 1):
            service = &engine.sight[i].services[k] if k < engine.sight[i].service_slots else &engine.sight[i].rest
            if service.flows:
                name = None if service == &engine.sight[i].rest else (<const char *>service.name)[:service.length]
                found.append((name, service.proto, service.source, service.target, service.epoch, service.flows, service.sealed,
                              service.carried))
    return found


cdef dict sight_stats(engine_t *engine):
    cdef uint32_t i
    cdef uint64_t sessions = 0, full = 0, failed = 0, records = 0, bytes = 0
    for i in range(engine.buckets):
        sessions += engine.sight[i].sessions
        full += engine.sight[i].full
        failed += engine.sight[i].failed
        records += engine.sight[i].records
        bytes += engine.sight[i].bytes
    return {"sessions": sessions, "records": records, "bytes": bytes, "failed": failed, "ciphers_refused": full,
            "capture_secrets": engine.capture_secrets, "capture_bad_lines": engine.capture_keys.bad_lines}
