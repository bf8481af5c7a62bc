# How the data plane is set up: settings into the structs of the stages. Part of _core.pyx; the settings are those that
# DataPlane takes.


cdef void configure_flow(engine_t *engine, settings) except *:
    cdef uint32_t i, j
    engine.flow.memcap = settings["flow_memcap"] // engine.buckets
    for protocol, flow_class in ((6, CLASS_TCP), (17, CLASS_UDP), (1, CLASS_ICMP), (58, CLASS_ICMP)):
        engine.flow.class_of[protocol] = flow_class
    for protocol in (1, 6, 17, 58, 132):        # as in Suricata, of the others neither end is the client
        engine.flow.answers[protocol] = 1 if protocol == 6 else 1 | ANSWERED_ESTABLISHES
    engine.flow.captured_bytes = settings.get("compat", False)
    for i, name in enumerate(("default", "tcp", "udp", "icmp")):
        for j, state in enumerate(("new", "established", "closed")):
            engine.flow.timeout[i][j] = <uint64_t>settings["flow_timeouts"][name][state] * SECOND


cdef int open_buckets(engine_t *engine, settings, FlowMemory memory) except -1:
    cdef uint32_t i
    for i in range(engine.buckets):
        if open_bucket(&engine.bucket[i], &engine.flow, i, &memory.tables[i]):
            raise MemoryError(f"no address space for a flow table of {engine.flow.memcap} bytes")
        for account, name in ((ACCOUNT_STREAM, "stream"), (ACCOUNT_REASSEMBLY, "reassembly"), (ACCOUNT_APPLAYER, "app_layer")):
            engine.bucket[i].pool.cap[account] = settings["memcaps"][name] // engine.buckets
        engine.bucket[i].sink = take_flow
        engine.bucket[i].owner = &engine.worker[i % engine.workers]
        configure_device(engine, i, settings.get("device"))
    return 0


cdef void configure_stream(engine_t *engine, settings, midstream_policy) except *:
    cdef stream_config_t *config = &engine.stream
    stream_defaults(config)
    config.hosts = &engine.hosts
    config.passive = not (engine.inline_mode if settings["inline"] == "auto" else settings["inline"] == "yes")
    config.depth = settings["depth"]
    config.chunk[TO_SERVER], config.chunk[TO_CLIENT] = settings["to_server_chunk"], settings["to_client_chunk"]
    # a policy that lets nothing through picks nothing up
    permissive = midstream_policy in ("ignore", "pass-packet", "pass-flow")
    config.midstream, config.async_oneside = settings["midstream"] and permissive, settings["async_oneside"]
    config.checksums, config.raw, config.bypass = settings["checksums"], settings["raw"], settings["bypass"]
    config.compare_overlaps = settings["compare_overlaps"] or not config.passive
    config.liberal_timestamps = settings["liberal_timestamps"]
    config.urgent, config.urgent_limit = (URGENT_POLICIES.index(settings[name]) for name in ("urgent", "urgent_limit"))
    config.max_syn, config.max_synack = settings["max_syn"], settings["max_synack"]


cdef void configure_exceptions(engine_t *engine, policies, simulate) except *:
    """simulate: kind (control/exceptions.py) -> where the fault strikes."""
    cdef uint32_t i
    cdef uint64_t nowhere = <uint64_t>-1
    for i, reason in enumerate((REASON_DEFRAG_MEMCAP, REASON_FLOW_MEMCAP, REASON_STREAM_MEMCAP, REASON_REASSEMBLY_MEMCAP,
                                REASON_MIDSTREAM, REASON_APPLAYER)):
        engine.exception_policy[i] = EXCEPTION_POLICIES.index(policies[EXCEPTION_CAUSES[i]])
        if i >= CAUSE_SESSION_MEMCAP and engine.exception_policy[i] != EXCEPT_IGNORE:
            engine.sessions = True          # it is sessions that such a policy is about
        engine.exception_reason[i] = reason
    engine.fail_flow = simulate.get("packet-flow-memcap", nowhere)
    engine.fail_defrag = simulate.get("packet-defrag-memcap", nowhere)
    engine.lose_packet = simulate.get("packet-loss", nowhere)
    engine.fail_alert_queue = simulate.get("alert-queue-realloc-failure", False)
    engine.stream.fail_session = simulate.get("packet-tcp-ssn-memcap", nowhere)
    engine.stream.fail_segment = simulate.get("packet-tcp-reassembly-memcap", nowhere)
    engine.apps.fail_at[TO_SERVER] = simulate.get("applayer-error-at-offset-ts", nowhere)
    engine.apps.fail_at[TO_CLIENT] = simulate.get("applayer-error-at-offset-tc", nowhere)


cdef void configure_offload(engine_t *engine, numbers) except *:
    """numbers: by reason, None for never; "encrypted_bytes" stands in for "encrypted"."""
    cdef uint32_t i
    engine.offload_encrypted_bytes = numbers["encrypted_bytes"] is not None
    for i, name in enumerate(ASK_REASONS[:ASK_OUTSIDE]):
        number = numbers[name]
        if i == ASK_ENCRYPTED and engine.offload_encrypted_bytes:
            number = -(-numbers["encrypted_bytes"] // 1024)
        engine.offload[i] = UINT64_MAX if number is None else number


cdef device_config_t device_config(const engine_t *engine, uint32_t bucket, settings) except *:
    """A bucket's slice of the session table: an even share of its capacity and of its insert rate."""
    cdef device_config_t config
    cdef uint32_t buckets = engine.buckets
    config.capacity = settings["sessions"] // buckets + (bucket < settings["sessions"] % buckets)
    config.closed_room = max(CLOSED_KEPT // buckets, CLOSED_LEAST)
    config.interval = round(SECOND * buckets / settings["insert_rate"]) if settings["insert_rate"] else 0
    config.latency, config.timeout = settings["insert_latency"], settings["idle_timeout"]
    config.lag = settings["counter_lag"]
    config.snoop = settings["snoop"]
    return config


cdef void configure_device(engine_t *engine, uint32_t bucket, settings) except *:
    cdef device_config_t config
    cdef device_t *device = &engine.device[bucket]
    if settings is None:
        open_device(device, NULL)
        return
    config = device_config(engine, bucket, settings)
    if open_device(device, &config):
        raise MemoryError(f"no address space for a session table of {settings['sessions']} sessions")
    device.number = bucket
    device.sink = lose_session
    device.context = engine


cdef void configure_defrag(engine_t *engine, limits, hosts) except *:
    open_hosts(&engine.hosts, hosts)
    if open_defrag(&engine.defrag, &engine.hosts, limits["memcap"], limits["trackers"], limits["max_frags"],
                   <uint64_t>limits["timeout"] * SECOND):
        raise MemoryError(f"no address space to put {limits['memcap']} bytes of fragments into")
