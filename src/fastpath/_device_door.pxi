# The device as Python asks for it: the five calls of its contract, and its counters. Part of _core.pyx.

cdef dict row_of_session(engine_t *engine, uint32_t bucket, uint32_t session):
    """A session as those who ask are told of it."""
    cdef device_t *device = &engine.device[bucket]
    cdef session_t *it = &device.sessions[session - 1]
    cdef counters_t told
    cdef keyed_t *row
    cdef flow_t *flow
    cdef flow_key_t key
    cdef bint reversed
    if it.owner & OWNER_KEYED:
        row = &engine.keyed[bucket].rows[(it.owner & ~<uint32_t>OWNER_KEYED) - 1]
        key, reversed = row.key, row.reversed
    else:
        flow = &engine.bucket[bucket].flows[it.owner - 1]
        key, reversed = flow_key_of(flow), flow.flags & FLOW_REVERSED
    told = told_counters(device, it, engine.time)
    return {"id": session_id(engine, bucket, session), "key": (<const uint8_t *>&key)[:sizeof(flow_key_t)], "reversed": reversed,
            "action": it.action, "reason": it.reason, "state": it.state & STATE_MASK, "code": CLOSE_NOT,
            "packets": (told.pkts[0], told.pkts[1]), "bytes": (told.bytes[0], told.bytes[1]),
            "start": it.start * <uint64_t>SECOND, "end": 0, "timeout": it.timeout}


cdef tuple place_of(engine_t *engine, dict outside, object number):
    """(bucket, session) of an identifier; None where there is no such session."""
    cdef uint64_t name = number
    cdef uint32_t bucket, session
    cdef session_t *it
    cdef keyed_t *row
    if name >> 63:
        bucket, session = name >> 56 & 127, name & 0xffffffff
        if bucket >= engine.buckets or not 1 <= session <= engine.device[bucket].fresh:
            return None
        it = &engine.device[bucket].sessions[session - 1]
        if it.owner == 0 or it.owner & OWNER_KEYED or it.serial != (name >> 32 & 0xffffff):
            return None
        return bucket, session
    if number not in outside:
        return None
    bucket, session = outside[number]
    row = &engine.keyed[bucket].rows[session - 1]
    if session > engine.keyed[bucket].fresh or row.session == 0 or row.id != name:
        del outside[number]
        return None
    return bucket, row.session


cdef list add_outside(engine_t *engine, dict outside, object requests):
    """Inserts sessions from outside. requests: (id, flow key of 48 bytes, is its source endpoint 1, action, timeout in s) each.
    Gives the ordinals of those that exist already; None when the rest does not fit, and then none is inserted. MemoryError
    where there is no memory for their keys."""
    cdef device_t *device
    cdef request_t request
    cdef flow_key_t key
    cdef uint64_t hash
    cdef uint32_t bucket, row, i
    cdef uint64_t used = 0
    cdef bint fits = True
    cdef flow_t *flow
    cdef const uint8_t *raw
    cdef list wanted = [], exist = []
    cdef dict more = {}
    names, keys = set(), set()
    for i, (name, data, reversed, action, timeout) in enumerate(requests):
        raw = data
        memcpy(&key, raw, sizeof(flow_key_t))
        hash = hash_key(&key)
        bucket = bucket_of(engine, hash)
        flow = find_flow(&engine.bucket[bucket], <uint32_t>hash, &key)
        if name in names or data in keys or place_of(engine, outside, name) is not None \
                or find_keyed(&engine.keyed[bucket], <uint32_t>hash, &key) or (flow != NULL and session_of_flow(flow)):
            exist.append(i)
            continue
        names.add(name)
        keys.add(data)
        more[bucket] = more.get(bucket, 0) + 1
        wanted.append((name, data, reversed, action, timeout, bucket, hash))
    for bucket in more:
        engine.device[bucket].asked[ASK_OUTSIDE] += more[bucket]
        fits = fits and engine.device[bucket].used + more[bucket] <= engine.device[bucket].config.capacity
    if not fits:
        for bucket in more:
            engine.device[bucket].full += more[bucket]
        engine.device[bucket].full_batches += 1
        return None
    for bucket in range(engine.buckets):
        used += engine.keyed[bucket].used
    if len(outside) > 1024 + 2 * used:
        for name in list(outside):
            place_of(engine, outside, name)        # forgets it if it is gone
    for name, data, reversed, action, timeout, bucket, hash in wanted:
        raw = data
        memcpy(&key, raw, sizeof(flow_key_t))
        device = &engine.device[bucket]
        row = put_keyed(&engine.keyed[bucket], &key, <uint32_t>hash, name, reversed)
        if row == 0:
            raise MemoryError("no memory for the keys of sessions from outside")
        device.timeless |= engine.time == 0
        request.asked, request.owner, request.timeout = engine.time, OWNER_KEYED | row, timeout
        request.action, request.reason = action, ASK_OUTSIDE
        engine.keyed[bucket].rows[row - 1].session = insert_session(device, &request, engine.time)
        outside[name] = (bucket, row)
        flow = find_flow(&engine.bucket[bucket], <uint32_t>hash, &key)
        if flow != NULL:
            meet_session(engine, bucket, flow, row)
    return exist


cdef uint32_t bucket_of(const engine_t *engine, uint64_t hash):
    cdef uint32_t bits = <uint32_t>(int(engine.buckets).bit_length() - 1)
    return <uint32_t>(hash >> (64 - bits)) if bits else 0


cdef dict find_session(engine_t *engine, dict outside, object number):
    """One session by its identifier, as a dict; None where there is none."""
    place = place_of(engine, outside, number)
    return None if place is None else row_of_session(engine, place[0], place[1])


cdef dict delete_named(engine_t *engine, dict outside, object number):
    """As `session`; it is gone afterwards, and its flow goes to the inspectors."""
    row = find_session(engine, outside, number)
    if row is not None:
        place = place_of(engine, outside, number)
        end_device_session(&engine.device[place[0]], place[1], CLOSE_UNKNOWN, engine.time)
        row |= {"state": SESSION_CLOSED, "code": CLOSE_UNKNOWN, "end": engine.time}
    return row


cdef tuple page_of_sessions(engine_t *engine, uint64_t start, uint32_t most):
    """Up to so many sessions from a place on, 0 for the first, and the place to go on from; 0 for the end."""
    cdef uint32_t bucket = <uint32_t>(start >> 32), session = <uint32_t>start
    cdef list rows = []
    while bucket < engine.buckets:
        while session < engine.device[bucket].fresh:
            if len(rows) == most:
                return rows, <uint64_t>bucket << 32 | session
            session += 1
            if engine.device[bucket].sessions[session - 1].owner:
                rows.append(row_of_session(engine, bucket, session))
        bucket += 1
        session = 0
    return rows, 0


cdef list take_closed(engine_t *engine):
    """Takes the sessions that the device has ended since the last call, in the order in which they did."""
    cdef uint32_t i
    cdef device_t *device
    cdef closed_t *it
    cdef list rows = []
    for i in range(engine.buckets):
        device = &engine.device[i]
        while device.closed_count:
            it = &device.closed[device.closed_first]
            rows.append({"id": it.id, "action": it.action, "reason": it.reason, "state": it.state, "code": it.code,
                         "packets": tuple(it.counters.pkts), "bytes": tuple(it.counters.bytes),
                         "start": it.start, "end": it.end})
            device.closed_first = (device.closed_first + 1) % device.config.closed_room
            device.closed_count -= 1
    rows.sort(key=itemgetter("end"))
    return rows


cdef dict device_stats(const engine_t *engine):
    """Of all slices together. Times in ns."""
    cdef const device_t *device
    cdef uint32_t i, j
    total = dict.fromkeys(("capacity", "sessions", "added", "batches", "full", "full_batches", "packets", "bytes",
                           "copied_packets", "copied_bytes", "early_packets", "early_bytes", "waited_ns", "waited_most_ns",
                           "closed_waiting", "closed_lost"), 0)
    asked, ended = dict.fromkeys(ASK_REASONS, 0), dict.fromkeys(CLOSE_CODES, 0)
    for i in range(engine.buckets):
        device = &engine.device[i]
        total["capacity"] += device.config.capacity
        total["sessions"] += device.used
        total["added"] += device.inserted
        total["batches"] += device.batches
        total["full"] += device.full
        total["full_batches"] += device.full_batches
        total["packets"] += device.pkts
        total["bytes"] += device.bytes
        total["copied_packets"] += device.copied_pkts
        total["copied_bytes"] += device.copied_bytes
        total["early_packets"] += device.early_pkts
        total["early_bytes"] += device.early_bytes
        total["waited_ns"] += device.waited
        total["waited_most_ns"] = max(total["waited_most_ns"], device.waited_most)
        total["closed_waiting"] += device.closed_count
        total["closed_lost"] += device.closed_lost
        for j, name in enumerate(ASK_REASONS):
            asked[name] += device.asked[j]
        for j, name in enumerate(CLOSE_CODES):
            ended[name] += device.ended[j]
    del ended["not_closed"]
    return total | {"asked": asked, "ended": ended}
