# See recognition.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.probes cimport (
    probe_dhcp, probe_dnp3, probe_enip, probe_ike, probe_krb5, probe_modbus, probe_mqtt, probe_nfs,
    probe_ntp, probe_pgsql, probe_rdp, probe_sip, probe_snmp, probe_telnet, probe_tftp,
)
from fastpath.dataplane.types cimport FLOW_REVERSED

from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS

cdef extern from "recognition.h" nogil:
    ctypedef struct pattern_row_t:
        uint8_t proto, transport, direction, cased, offset, length, probed, least, most
        char text[24]
    ctypedef struct probe_row_t:
        uint8_t proto, transport, directions
        uint16_t least, most
        uint16_t port[2]
        uint16_t source
    const pattern_row_t pattern_rows[]
    const probe_row_t probe_rows[]
    enum:
        PATTERN_ROWS, PROBE_ROWS, OVER_TCP, OVER_UDP

cdef extern from *:
    int lowest "__builtin_ctzll"(unsigned long long) noexcept nogil     # bit that is set

cdef enum:
    UDP = 17


ctypedef uint32_t (*probe_f)(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                             uint32_t hint) noexcept nogil


# ---- setting up ----

cdef hint_t *hint_at(recogniser_t *recogniser, uint32_t transport, uint32_t port) except NULL:
    cdef uint32_t i
    for i in range(recogniser.hints[transport]):
        if recogniser.hint[transport][i].port == port:
            return &recogniser.hint[transport][i]
    if recogniser.hints[transport] == PORTS_MAX:
        raise ValueError(f"app-layer.protocols: more than {PORTS_MAX} ports to look at over {'udp' if transport else 'tcp'}")
    i = recogniser.hints[transport]
    recogniser.hints[transport] += 1
    recogniser.hint[transport][i].port = <uint16_t> port
    recogniser.hinted[transport][port & 63] |= <uint64_t> 1 << i
    return &recogniser.hint[transport][i]


cdef void enter_probe(recogniser_t *recogniser, uint32_t row, uint32_t port, bint source) except *:
    cdef hint_t *hint = hint_at(recogniser, probe_rows[row].transport, port)
    if (hint.asked_source if source else hint.asked) == ASKED_MAX:
        raise ValueError(f"app-layer.protocols: more than {ASKED_MAX} protocols to look for at port {port}")
    if source:
        hint.source[hint.asked_source] = <uint8_t> row
        hint.asked_source += 1
    else:
        hint.probe[hint.asked] = <uint8_t> row
        hint.asked += 1
    hint.mask |= <uint32_t> 1 << probe_rows[row].proto


cdef void enter_pattern(recogniser_t *recogniser, uint32_t row) noexcept:
    cdef const pattern_row_t *pattern = &pattern_rows[row]
    cdef uint32_t transport = pattern.transport, direction = pattern.direction, low
    cdef uint32_t at = recogniser.patterns[transport][direction]
    recogniser.pattern[transport][direction][at] = <uint8_t> row
    recogniser.patterns[transport][direction] += 1
    for low in range(32):
        if pattern.offset or <uint8_t> pattern.text[0] & 31 == low:
            recogniser.begins[transport][direction][low][at // 64] |= <uint64_t> 1 << at % 64
    recogniser.depth[transport][direction] = max(recogniser.depth[transport][direction],
                                                 <uint32_t> pattern.offset + pattern.length)
    recogniser.probed_depth[transport][direction] = max(recogniser.probed_depth[transport][direction], <uint32_t> pattern.most)


cdef void open_recogniser(recogniser_t *recogniser, const app_config_t *config, settings) except *:
    cdef uint32_t row, i
    cdef const probe_row_t *probe
    names = {number: name for name, number in PROTOCOL_NUMBERS.items()}
    memset(recogniser, 0, sizeof(recogniser_t))
    for row in range(PATTERN_ROWS):
        if config.enabled[pattern_rows[row].proto]:
            enter_pattern(recogniser, row)
    for row in range(PROBE_ROWS):
        probe = &probe_rows[row]
        if not config.enabled[probe.proto]:
            continue
        transport = "udp" if probe.transport == OVER_UDP else "tcp"
        name = names[probe.proto]
        ports = settings.get(f"{transport}_ports", {}).get(name)
        sources = settings.get(f"{transport}_source_ports", {}).get(name)
        if ports is None and sources is None:
            ports = [probe.port[i] for i in range(2) if probe.port[i]]
            sources = [probe.source] if probe.source else []
        for port in ports or ():
            enter_probe(recogniser, row, port, False)
        for port in sources or ():
            enter_probe(recogniser, row, port, True)


cdef void describe_probe(room_t *rooms, uint32_t proto, probe_f probe) noexcept nogil:
    rooms[proto].proto = <uint8_t> proto
    rooms[proto].recognise = probe


cdef void describe_probes(room_t *rooms) noexcept nogil:
    describe_probe(rooms, ALPROTO_MODBUS, probe_modbus)
    describe_probe(rooms, ALPROTO_ENIP, probe_enip)
    describe_probe(rooms, ALPROTO_DNP3, probe_dnp3)
    describe_probe(rooms, ALPROTO_NFS, probe_nfs)
    describe_probe(rooms, ALPROTO_NTP, probe_ntp)
    describe_probe(rooms, ALPROTO_TFTP, probe_tftp)
    describe_probe(rooms, ALPROTO_IKE, probe_ike)
    describe_probe(rooms, ALPROTO_KRB5, probe_krb5)
    describe_probe(rooms, ALPROTO_DHCP, probe_dhcp)
    describe_probe(rooms, ALPROTO_SNMP, probe_snmp)
    describe_probe(rooms, ALPROTO_SIP, probe_sip)
    describe_probe(rooms, ALPROTO_MQTT, probe_mqtt)
    describe_probe(rooms, ALPROTO_PGSQL, probe_pgsql)
    describe_probe(rooms, ALPROTO_TELNET, probe_telnet)
    describe_probe(rooms, ALPROTO_RDP, probe_rdp)


# ---- patterns ----

cdef bint stands_there(const pattern_row_t *pattern, const uint8_t *data) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t byte
    if (data[pattern.offset] ^ <uint8_t> pattern.text[0]) & 31:
        return False
    if pattern.cased:
        return memcmp(data + pattern.offset, pattern.text, pattern.length) == 0
    for i in range(pattern.length):
        byte = data[pattern.offset + i]
        if (byte | 32 if 65 <= byte <= 90 else byte) != <uint8_t> pattern.text[i]:
            return False
    return True


cdef uint8_t find_pattern(const recogniser_t *recogniser, const room_t *rooms, uint32_t transport, uint32_t direction,
                          const uint8_t *data, uint32_t length, uint32_t flags, bint *reversed, uint32_t *hits) noexcept nogil:
    """The protocol of the first pattern of a direction that stands there and whose probe does not object."""
    cdef uint32_t half, said
    cdef uint64_t left
    cdef const pattern_row_t *pattern
    if length == 0:
        return ALPROTO_UNKNOWN
    for half in range(2):
        left = recogniser.begins[transport][direction][data[0] & 31][half]
        while left:
            pattern = &pattern_rows[recogniser.pattern[transport][direction][64 * half + lowest(left)]]
            left &= left - 1
            if length < <uint32_t> pattern.offset + pattern.length or not stands_there(pattern, data):
                continue
            hits[0] += 1
            if pattern.probed:
                if length < pattern.least:
                    continue
                said = rooms[pattern.proto].recognise(direction, data, length, flags, True)
                if said != RECOGNISED_YES and said != RECOGNISED_REVERSED:
                    continue
                reversed[0] = said == RECOGNISED_REVERSED
            return pattern.proto
    return ALPROTO_UNKNOWN


cdef uint8_t try_patterns(const recogniser_t *recogniser, const room_t *rooms, app_context_t *context, uint32_t transport,
                          uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                          bint *reversed) noexcept nogil:
    cdef uint32_t hits = 0, others = 0
    cdef uint8_t proto = find_pattern(recogniser, rooms, transport, direction, data, length, flags, reversed, &hits)
    if proto == ALPROTO_UNKNOWN and flags & EITHER_WAY:
        proto = find_pattern(recogniser, rooms, transport, 1 - direction, data, length, flags, reversed, &others)
        reversed[0] = proto != ALPROTO_UNKNOWN and not reversed[0]
    if proto != ALPROTO_UNKNOWN or length >= (recogniser.probed_depth[transport][direction] if hits
                                              else recogniser.depth[transport][direction]):
        context.app.tried[direction] |= TRIED_PATTERNS
    return proto


# ---- probes ----

cdef const hint_t *hint_of(const recogniser_t *recogniser, uint32_t transport, uint16_t port) noexcept nogil:
    cdef const hint_t *hint
    cdef uint64_t left = recogniser.hinted[transport][port & 63]
    while left:
        hint = &recogniser.hint[transport][lowest(left)]
        if hint.port == port:
            return hint
        left &= left - 1
    return NULL


cdef uint8_t ask_probes(const room_t *rooms, app_context_t *context, uint32_t direction, const hint_t *hint, bint source,
                        const uint8_t *data, uint32_t length, uint32_t flags, bint *reversed) noexcept nogil:
    """The first one that says yes. Those that say no are not asked again."""
    cdef uint32_t i, said, mask
    cdef const probe_row_t *probe
    for i in range(hint.asked_source if source else hint.asked):
        probe = &probe_rows[hint.source[i] if source else hint.probe[i]]
        mask = <uint32_t> 1 << probe.proto
        if length < probe.least or context.app.probed[direction] & mask:
            continue
        said = RECOGNISED_MORE
        # of the client's port, the probes stand the other way round
        if probe.directions >> (direction ^ source) & 1:
            said = rooms[probe.proto].recognise(direction, data, length, flags, True)
        if said == RECOGNISED_YES or said == RECOGNISED_REVERSED:
            reversed[0] = said == RECOGNISED_REVERSED
            return probe.proto
        if said == RECOGNISED_NO or probe.most and length > probe.most:
            context.app.probed[direction] |= mask
    return ALPROTO_UNKNOWN


cdef const hint_t *hint_for(const recogniser_t *recogniser, uint32_t transport, uint8_t proto, bint *source) noexcept nogil:
    """The first port at which this protocol is the first to be asked about."""
    cdef uint32_t i
    cdef const hint_t *hint
    for i in range(recogniser.hints[transport]):
        hint = &recogniser.hint[transport][i]
        if hint.asked and probe_rows[hint.probe[0]].proto == proto:
            source[0] = False
            return hint
        if hint.asked_source and probe_rows[hint.source[0]].proto == proto:
            source[0] = True
            return hint
    return NULL


cdef uint8_t try_probes(const recogniser_t *recogniser, const room_t *rooms, app_context_t *context, uint32_t transport,
                        uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags, uint16_t server_port,
                        bint *reversed) noexcept nogil:
    cdef app_t *app = context.app
    cdef uint32_t client = context.flow.flags // FLOW_REVERSED & 1
    cdef uint8_t other = app.seen[1 - direction]
    cdef bint source = False
    cdef const hint_t *by_other = NULL
    cdef const hint_t *by_server = hint_of(recogniser, transport,
                                           server_port if server_port else context.flow.key.port[1 - client])
    cdef const hint_t *by_client = hint_of(recogniser, transport, context.flow.key.port[client])
    cdef uint8_t proto = ALPROTO_UNKNOWN
    if other != ALPROTO_UNKNOWN:
        by_other = hint_for(recogniser, transport, other, &source)
    if by_other == NULL and (by_server == NULL or by_server.asked == 0) and (by_client == NULL or by_client.asked_source == 0):
        app.tried[direction] |= TRIED_PROBES
        return ALPROTO_UNKNOWN
    if by_other != NULL:
        proto = ask_probes(rooms, context, direction, by_other, source, data, length, flags, reversed)
    if proto == ALPROTO_UNKNOWN and by_server != NULL:
        proto = ask_probes(rooms, context, direction, by_server, False, data, length, flags, reversed)
    if proto == ALPROTO_UNKNOWN and by_client != NULL:
        proto = ask_probes(rooms, context, direction, by_client, True, data, length, flags, reversed)
    if proto == ALPROTO_UNKNOWN and app.probed[direction] == ((0 if by_server == NULL else by_server.mask)
                                                              | (0 if by_client == NULL else by_client.mask)):
        app.tried[direction] |= TRIED_PROBES
    return proto


# ---- both, and flows that were told of ----

cdef uint8_t recognise_protocol(const recogniser_t *recogniser, const room_t *rooms, app_context_t *context, uint32_t direction,
                                const uint8_t *data, uint32_t length, uint32_t flags, uint16_t server_port,
                                bint *reversed) noexcept nogil:
    cdef app_t *app = context.app
    cdef uint32_t transport = OVER_UDP if context.flow.key.proto == UDP else OVER_TCP
    cdef uint8_t by_pattern = ALPROTO_UNKNOWN, by_probe = ALPROTO_UNKNOWN
    if not app.tried[direction] & TRIED_PATTERNS:
        by_pattern = try_patterns(recogniser, rooms, context, transport, direction, data, length, flags, reversed)
        if by_pattern != ALPROTO_UNKNOWN:
            # the probe of this protocol may tell more about the other side
            if app.seen[1 - direction] == ALPROTO_UNKNOWN:
                app.tried[1 - direction] &= ~<uint8_t> TRIED_PROBES
            # DNS may look like DCE/RPC over UDP
            if transport == OVER_TCP or by_pattern != ALPROTO_DCERPC:
                return by_pattern
    if not app.tried[direction] & TRIED_PROBES:
        by_probe = try_probes(recogniser, rooms, context, transport, direction, data, length, flags, server_port, reversed)
        if by_probe != ALPROTO_UNKNOWN:
            return by_probe
    if by_pattern == ALPROTO_UNKNOWN and not app.tried[direction] & TRIED_EXPECTED:
        app.tried[direction] |= TRIED_EXPECTED
        if context.work.meet != NULL and transport == OVER_TCP and context.work.meet(context, direction):
            return ALPROTO_FTP_DATA
    return by_pattern
