"""DNS over UDP and TCP: every message is a transaction of its own, in one direction (RFC 1035; Suricata 7 guide, "DNS")."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memmove, memset

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_bytes, put_hex, put_key, put_text, say_bool, say_bytes, say_text, say_uint, writer_t,
)
from fastpath.dataplane.applayer.transaction cimport new_tx, tx_event, tx_progress
from fastpath.dataplane.pool cimport bytes_append, bytes_free, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t
from fastpath.dataplane.wire.load cimport be16, be32

cdef extern from * nogil:
    """
    /* As Suricata 7 writes them, slips included; NULL for one that is written as a number. */
    static inline const char *rrtype_name(unsigned rrtype)
    {
        static const char *const low[] = {
            NULL, "A", "NS", "ND", "MF", "CNAME", "SOA", "MB", "MG", "MR", "NULL", "WKS", "PTR", "HINFO", "MINFO",
            "MX", "TXT", "RP", "AFSDB", "X25", "ISDN", "RT", "NSAP", "NSAPPT", "SIG", "KEY", "PX", "GPOS", "AAAA",
            "LOC", "NXT", NULL, NULL, "SRV", "ATMA", "NAPTR", "KX", "CERT", "A6", "DNAME", NULL, "OPT", "APL", "DS",
            "SSHFP", "IPSECKEY", "RRSIG", "NSEC", "DNSKEY", "DHCID", "NSEC3", "NSEC3PARAM", "TLSA", NULL, NULL, "HIP",
            NULL, NULL, NULL, "CDS", "CDSNKEY", NULL, NULL, NULL, NULL, "HTTPS" };
        if (rrtype < sizeof(low) / sizeof(low[0]))
            return low[rrtype];
        switch (rrtype) {
        case 99: return "SPF";
        case 249: return "TKEY";
        case 250: return "TSIG";
        case 254: return "MAILA";
        case 255: return "ANY";
        case 256: return "URI";
        default: return NULL;
        }
    }
    static inline const char *rcode_name(unsigned rcode)
    {
        static const char *const names[] = {
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
            "NOTZONE", "11", "12", "13", "14", "15" };
        return names[rcode & 15];
    }
    """
    const char *rrtype_name(uint32_t rrtype)
    const char *rcode_name(uint32_t rcode)

cdef enum:
    UDP = 17
    OPCODE_MAX = 6
    STREAM_PROBE = 2 + DNS_HEADER       # bytes of a stream that tell
    UNLOGGED_MAX = 64

ctypedef struct dns_tx_t:
    tx_t head
    bytes_t message
    uint64_t opcode
    uint32_t response           # in the direction of responses, whatever its header says
    uint32_t walked, walked_at  # a question, and its offset: rules go through them in order

ctypedef struct dns_state_t:    # made when it is needed
    uint32_t gap                # bytes are missing: the next ones may be no message
    uint32_t unlogged           # queries of which no event was written, as many as are known
    uint16_t ids[UNLOGGED_MAX]  # and theirs: their answers are not written either


# ---- recognition ----

cdef uint32_t probe_message(const uint8_t *data, uint32_t length, uint32_t announced, uint32_t direction) noexcept nogil:
    """Is this a message, or the beginning of one of so many bytes?"""
    cdef message_t message
    cdef uint32_t flags
    message.data = data
    message.length = min(length, announced)
    if message.length < DNS_HEADER:
        return RECOGNISED_MORE if message.length == announced else RECOGNISED_NO
    if message.length == announced and check_message(&message, False, &flags) == DNS_BAD or not header_fits(&message, announced):
        return RECOGNISED_NO
    return RECOGNISED_YES if (be16(data + 2) & DNS_QR != 0) == (direction == TO_CLIENT) else RECOGNISED_REVERSED


cdef uint32_t recognise_dns(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                            uint32_t hint) noexcept nogil:
    cdef uint32_t said
    if not hint:
        return RECOGNISED_NO
    if flags & PARSE_DATAGRAM:
        said = probe_message(data, length, length, direction)
        return RECOGNISED_NO if said == RECOGNISED_MORE else said
    if length < STREAM_PROBE:
        return RECOGNISED_MORE
    said = probe_message(data + 2, length - 2, be16(data), direction)
    if said == RECOGNISED_MORE or said == RECOGNISED_NO:
        return RECOGNISED_NO if length > STREAM_PROBE else RECOGNISED_MORE
    return said


# ---- parsing ----

cdef dns_state_t *state_of(app_context_t *context) noexcept nogil:
    """NULL where memory is refused."""
    if context.app.state == NULL:
        context.app.state = pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(dns_state_t))
    return <dns_state_t *> context.app.state


cdef void keep_unlogged(app_context_t *context, const dns_tx_t *tx) noexcept nogil:
    """A query goes of which a rule wants no event. Where there are many without an answer, the oldest are forgotten."""
    cdef dns_state_t *state = state_of(context)
    if state != NULL:
        if state.unlogged == UNLOGGED_MAX:
            state.unlogged -= 1
            memmove(state.ids, state.ids + 1, state.unlogged * sizeof(uint16_t))
        state.ids[state.unlogged] = be16(tx.message.data)
        state.unlogged += 1


cdef bint is_unlogged(app_context_t *context, uint16_t id) noexcept nogil:
    """Is an answer to a query of which no event is written? Only the first one is."""
    cdef dns_state_t *state = <dns_state_t *> context.app.state
    cdef uint32_t i
    if state != NULL:
        for i in range(state.unlogged):
            if state.ids[i] == id:
                state.unlogged -= 1
                memmove(state.ids + i, state.ids + i + 1, (state.unlogged - i) * sizeof(uint16_t))
                return True
    return False


cdef bint parse_message(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length) noexcept nogil:
    """Makes a transaction of a message; False for what is none."""
    cdef message_t message
    cdef dns_tx_t *tx
    cdef uint32_t odd, bits
    cdef bint unlogged
    message.data = data
    message.length = length
    if not header_fits(&message, length):
        return False
    if check_message(&message, direction == TO_CLIENT, &odd) != DNS_READ:
        if context.app.last != NULL:
            tx_event(context.app.last, DNS_MALFORMED_DATA)
        return False
    bits = be16(data + 2)
    if (bits & DNS_QR == 0) == (direction == TO_CLIENT) and context.app.last != NULL:
        tx_event(context.app.last, DNS_NOT_RESPONSE if direction == TO_CLIENT else DNS_NOT_REQUEST)
    if bits & DNS_QR and direction == TO_SERVER:
        return False
    unlogged = direction == TO_CLIENT and is_unlogged(context, be16(data))
    tx = <dns_tx_t *> new_tx(context, sizeof(dns_tx_t))
    if tx == NULL:
        return False
    if unlogged:
        tx.head.flags |= TX_UNLOGGED
    # the other direction has no part in it
    tx.head.flags |= (TX_LOGGED_TO_CLIENT | TX_DETECTED_TO_CLIENT if direction == TO_SERVER
                      else TX_LOGGED_TO_SERVER | TX_DETECTED_TO_SERVER)
    tx.response = direction == TO_CLIENT
    tx.opcode = bits >> 11 & 15
    tx_progress(context, &tx.head, TO_SERVER, DNS_COMPLETE)
    tx_progress(context, &tx.head, TO_CLIENT, DNS_COMPLETE)
    if bits & DNS_Z:
        tx_event(&tx.head, DNS_Z_FLAG_SET)
    if tx.opcode > OPCODE_MAX:
        tx_event(&tx.head, DNS_INVALID_OPCODE)
    if odd & NAME_TRUNCATED:
        tx_event(&tx.head, DNS_NAME_TOO_LONG)
    if odd & NAME_LOOPS:
        tx_event(&tx.head, DNS_INFINITE_LOOP)
    if odd & NAME_LABELS:
        tx_event(&tx.head, DNS_TOO_MANY_LABELS)
    return bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.message, data, length)


cdef parsed_t parse_stream(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length) noexcept nogil:
    """Messages with their length before them (RFC 1035 section 4.2.2)."""
    cdef parsed_t parsed
    cdef dns_state_t *state = <dns_state_t *> context.app.state
    cdef uint32_t size
    parsed.consumed = parsed.need = 0
    parsed.status = PARSE_OK
    if state != NULL and state.gap and length:
        if length < 2 or probe_message(data + 2, length - 2, be16(data), direction) != RECOGNISED_NO:
            state.gap = False
        elif direction == TO_CLIENT:
            parsed.consumed = length
            return parsed
    while parsed.consumed < length:
        if length - parsed.consumed < 2:
            parsed.need = 2
            break
        size = be16(data + parsed.consumed)
        if length - parsed.consumed < 2 + size:
            parsed.need = 2 + size
            break
        if size and not parse_message(context, direction, data + parsed.consumed + 2, size):
            parsed.status = PARSE_ERROR
            return parsed
        parsed.consumed += 2 + size
    if parsed.need:
        parsed.status = PARSE_NEED
    return parsed


cdef parsed_t parse_dns(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                        uint32_t flags) noexcept nogil:
    cdef parsed_t parsed
    parsed.consumed = length
    parsed.need = 0
    parsed.status = PARSE_OK
    if context.flow.key.proto == UDP:
        parse_message(context, direction, data, length)     # a datagram that is no message stops nothing
        return parsed
    if not flags & PARSE_GAP:
        return parse_stream(context, direction, data, length)
    if state_of(context) == NULL:
        parsed.status = PARSE_ERROR
        return parsed
    state_of(context).gap = True
    return parsed


cdef void free_dns_tx(app_context_t *context, tx_t *tx) noexcept nogil:
    cdef const dns_tx_t *dns = <const dns_tx_t *> tx
    if tx.flags & TX_UNLOGGED and not dns.response and dns.message.length >= DNS_HEADER:
        keep_unlogged(context, dns)
    bytes_free(context.pool, ACCOUNT_APPLAYER, &(<dns_tx_t *> tx).message)


cdef void free_dns_state(app_context_t *context) noexcept nogil:
    pool_give(context.pool, ACCOUNT_APPLAYER, context.app.state, sizeof(dns_state_t))


# ---- what rules look at ----

cdef message_t message_of(const dns_tx_t *tx) noexcept nogil:
    cdef message_t message
    message.data = tx.message.data
    message.length = tx.message.length
    return message


cdef uint32_t dns_buffer(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                         view_t *view) noexcept nogil:
    cdef dns_tx_t *dns = <dns_tx_t *> tx
    cdef message_t message = message_of(dns)
    cdef name_t *name = <name_t *> context.work.room
    cdef uint32_t at = 0, i
    if message.length < DNS_HEADER:
        return VIEW_NONE
    if buffer == BUFFER_DNS_OPCODE:
        view.data = <const uint8_t *> &dns.opcode
        view.length = sizeof(dns.opcode)
    elif buffer == BUFFER_DNS_QUERY and not dns.response and index < be16(message.data + 4):
        if index < dns.walked or dns.walked == 0:
            dns.walked = 0
            dns.walked_at = DNS_HEADER
        for i in range(dns.walked, index):  # no-cython-lint
            read_name(&message, dns.walked_at, message.length, name, &at)
            dns.walked_at = at + 4
        dns.walked = index
        read_name(&message, dns.walked_at, message.length, name, &at)
        if name.length == 0:
            return VIEW_NONE
        view.data = name.text
        view.length = name.length
    else:
        return VIEW_NONE
    view.flags = VIEW_START | VIEW_END
    return VIEW_READY


# ---- what is written of a transaction ----

cdef void say_rrtype(writer_t *writer, uint32_t rrtype) noexcept nogil:
    cdef char number[8]
    cdef const char *text = rrtype_name(rrtype)
    if text == NULL:
        snprintf(number, sizeof(number), b"%u", rrtype)
        text = number
    say_text(writer, b"rrtype", text)


cdef void say_name(writer_t *writer, const char *key, const char *truncated, const name_t *name) noexcept nogil:
    say_bytes(writer, key, name.text, name.length)
    if truncated != NULL and name.flags & NAME_TRUNCATED:
        say_bool(writer, truncated, True)


cdef void put_address(writer_t *writer, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef char text[48]
    cdef uint32_t i, at = 0
    text[0] = 0
    if length == 4:
        snprintf(text, sizeof(text), b"%u.%u.%u.%u", <uint32_t> data[0], <uint32_t> data[1], <uint32_t> data[2],
                 <uint32_t> data[3])
    elif length == 16:
        for i in range(8):
            at += snprintf(text + at, sizeof(text) - at, b"%04x:", <uint32_t> be16(data + 2 * i))
        text[at - 1] = 0
    put_text(writer, text)


cdef void put_data(writer_t *writer, const message_t *message, const record_t *record, uint32_t at,
                   name_t *name) noexcept nogil:
    """The data of a record (of TXT: the string at an offset) as a value."""
    cdef const uint8_t *data = message.data + record.data
    cdef uint32_t rrtype = record.rrtype, behind = 0
    name.flags = 0
    if rrtype == DNS_A or rrtype == DNS_AAAA:
        put_address(writer, data, record.end - record.data)
    elif rrtype == DNS_TXT:
        put_bytes(writer, message.data + at + 1, message.data[at])
    elif rrtype == DNS_NULL:
        put_bytes(writer, data, record.end - record.data)
    elif rrtype == DNS_SSHFP:
        open_map(writer)
        put_key(writer, b"fingerprint")
        put_hex(writer, data + 2, record.end - record.data - 2, True)
        say_uint(writer, b"algo", data[0])
        say_uint(writer, b"type", data[1])
        close_nested(writer)
    elif rrtype == DNS_SRV:
        read_name(message, name_at(record), record.end, name, &behind)
        open_map(writer)
        say_uint(writer, b"priority", be16(data))
        say_uint(writer, b"weight", be16(data + 2))
        say_uint(writer, b"port", be16(data + 4))
        say_name(writer, b"name", NULL, name)
        close_nested(writer)
    elif rrtype == DNS_SOA:
        open_map(writer)
        read_name(message, record.data, record.end, name, &behind)
        say_name(writer, b"mname", b"mname_truncated", name)
        read_name(message, behind, record.end, name, &behind)
        say_name(writer, b"rname", b"rname_truncated", name)
        say_uint(writer, b"serial", be32(message.data + behind))
        say_uint(writer, b"refresh", be32(message.data + behind + 4))
        say_uint(writer, b"retry", be32(message.data + behind + 8))
        say_uint(writer, b"expire", be32(message.data + behind + 12))
        say_uint(writer, b"minimum", be32(message.data + behind + 16))
        close_nested(writer)
    else:
        read_name(message, name_at(record), record.end, name, &behind)
        put_bytes(writer, name.text, name.length)


cdef const char *key_of(uint32_t rrtype) noexcept nogil:
    """Under which key the data of a record are written; NULL where they are not."""
    if (rrtype == DNS_A or rrtype == DNS_AAAA or rrtype == DNS_TXT or rrtype == DNS_NULL or rrtype == DNS_CNAME
            or rrtype == DNS_NS or rrtype == DNS_PTR or rrtype == DNS_MX):
        return b"rdata"
    if rrtype == DNS_SOA:
        return b"soa"
    if rrtype == DNS_SSHFP:
        return b"sshfp"
    if rrtype == DNS_SRV:
        return b"srv"
    return NULL


cdef bint next_part(const message_t *message, const record_t *record, uint32_t *at) noexcept nogil:
    """Moves on to the next string of a TXT record; False at its end, and for any other record."""
    if record.rrtype != DNS_TXT:
        return False
    at[0] += 1 + message.data[at[0]]
    return at[0] < record.end and record.end - at[0] > message.data[at[0]]


cdef void put_record(writer_t *writer, const message_t *message, const record_t *record, name_t *name) noexcept nogil:
    """One object; one a string for TXT."""
    cdef uint32_t behind = 0, at = record.data
    cdef const char *key = key_of(record.rrtype)
    while True:
        read_name(message, record.name, message.length, name, &behind)
        open_map(writer)
        say_name(writer, b"rrname", b"rrname_truncated", name)
        say_rrtype(writer, record.rrtype)
        say_uint(writer, b"ttl", record.ttl)
        if key != NULL:
            put_key(writer, key)
            put_data(writer, message, record, at, name)
            if key[0] == 114 and name.flags & NAME_TRUNCATED:       # rdata
                say_bool(writer, b"rdata_truncated", True)
        close_nested(writer)
        if not next_part(message, record, &at):
            return


cdef uint32_t say_records(writer_t *writer, const char *key, const message_t *message, uint32_t at, uint32_t count,
                          name_t *name) noexcept nogil:
    """An array of records, nothing for none. Returns the offset behind them."""
    cdef record_t record
    cdef uint32_t i
    if count == 0:
        return at
    if key != NULL:
        put_key(writer, key)
        open_array(writer)
    for i in range(count):  # no-cython-lint
        read_record(message, at, name, &record)
        if key != NULL:
            put_record(writer, message, &record, name)
        at = record.end
    if key != NULL:
        close_nested(writer)
    return at


cdef void say_grouped(writer_t *writer, const message_t *message, uint32_t start, uint32_t count, name_t *name) noexcept nogil:
    """The data of the answers by type, types in the order in which they come."""
    cdef record_t record
    cdef uint8_t seen[64]           # by type: those with data are below 64
    cdef uint32_t i, j, at, part, inner, rrtype
    memset(seen, 0, sizeof(seen))
    put_key(writer, b"grouped")
    open_map(writer)
    at = start
    for i in range(count):  # no-cython-lint
        read_record(message, at, name, &record)
        at = record.end
        rrtype = record.rrtype
        if key_of(rrtype) == NULL or seen[rrtype]:
            continue
        seen[rrtype] = True
        put_key(writer, rrtype_name(rrtype))
        open_array(writer)
        inner = start
        for j in range(count):  # no-cython-lint
            read_record(message, inner, name, &record)
            inner = record.end
            part = record.data
            while record.rrtype == rrtype:
                put_data(writer, message, &record, part, name)
                if not next_part(message, &record, &part):
                    break
        close_nested(writer)
    close_nested(writer)


cdef void put_query(writer_t *writer, const dns_tx_t *tx, uint32_t bits, const name_t *name, uint32_t rrtype,
                    bint version) noexcept nogil:
    open_map(writer)
    if version:
        say_uint(writer, b"version", 2)
    say_text(writer, b"type", b"query")
    say_uint(writer, b"id", be16(tx.message.data))
    say_name(writer, b"rrname", b"rrname_truncated", name)
    say_rrtype(writer, rrtype)
    say_uint(writer, b"tx_id", tx.head.id)
    if bits & DNS_Z:
        say_bool(writer, b"z", True)
    say_uint(writer, b"opcode", tx.opcode)
    close_nested(writer)


cdef bint log_request(writer_t *writer, const dns_tx_t *tx, uint32_t bits, bint alert) noexcept nogil:
    """An object a question: they stand in an array where there are several, and each is an event of its own."""
    cdef message_t message = message_of(tx)
    cdef name_t name
    cdef uint32_t i, at = DNS_HEADER, queries = be16(message.data + 4)
    if queries == 0:
        return False
    put_key(writer, b"dns")
    if alert:
        open_map(writer)
        say_uint(writer, b"version", 2)
        put_key(writer, b"query")
    if alert or queries > 1:
        open_array(writer)
    for i in range(queries):  # no-cython-lint
        read_name(&message, at, message.length, &name, &at)
        put_query(writer, tx, bits, &name, be16(message.data + at), not alert)
        at += 4
    if alert or queries > 1:
        close_nested(writer)
    if alert:
        close_nested(writer)
    return True


cdef bint log_response(writer_t *writer, const dns_tx_t *tx, uint32_t bits, bint alert) noexcept nogil:
    cdef message_t message = message_of(tx)
    cdef name_t name
    cdef char hex[8]
    cdef uint32_t i, at = DNS_HEADER, start, queries = be16(message.data + 4), answers = be16(message.data + 6)
    if queries == 0:
        return False
    put_key(writer, b"dns")
    open_map(writer)
    say_uint(writer, b"version", 2)
    if alert:
        put_key(writer, b"answer")
        open_map(writer)
        say_uint(writer, b"version", 2)
    say_text(writer, b"type", b"answer")
    say_uint(writer, b"id", be16(message.data))
    snprintf(hex, sizeof(hex), b"%x", bits)
    say_text(writer, b"flags", hex)
    if bits & DNS_QR:
        say_bool(writer, b"qr", True)
    if bits & DNS_AA:
        say_bool(writer, b"aa", True)
    if bits & DNS_TC:
        say_bool(writer, b"tc", True)
    if bits & DNS_RD:
        say_bool(writer, b"rd", True)
    if bits & DNS_RA:
        say_bool(writer, b"ra", True)
    if bits & DNS_Z:
        say_bool(writer, b"z", True)
    say_uint(writer, b"opcode", tx.opcode)
    for i in range(queries):
        read_name(&message, at, message.length, &name, &at)
        if i == 0:
            say_name(writer, b"rrname", b"rrname_truncated", &name)
            say_rrtype(writer, be16(message.data + at))
        at += 4
    say_text(writer, b"rcode", rcode_name(bits))
    start = at
    if alert:
        at = say_records(writer, NULL, &message, at, answers, &name)
    else:
        at = say_records(writer, b"answers", &message, at, answers, &name)
    if answers and not alert:
        say_grouped(writer, &message, start, answers, &name)
    say_records(writer, b"authorities", &message, at, be16(message.data + 8), &name)
    close_nested(writer)
    if alert:
        close_nested(writer)
    return True


cdef uint32_t log_dns(app_context_t *context, tx_t *tx, uint32_t kind, void *writer) noexcept nogil:
    cdef const dns_tx_t *dns = <const dns_tx_t *> tx
    cdef uint32_t bits
    if dns.message.length < DNS_HEADER or kind == (LOG_TO_SERVER if dns.response else LOG_TO_CLIENT):
        return False
    bits = be16(dns.message.data + 2)
    if dns.response:
        return log_response(<writer_t *> writer, dns, bits, kind == LOG_ALERT)
    return log_request(<writer_t *> writer, dns, bits, kind == LOG_ALERT)


cdef void describe_dns(room_t *room) noexcept nogil:
    room.name = b"dns"
    room.proto = ALPROTO_DNS
    room.complete[TO_SERVER] = room.complete[TO_CLIENT] = DNS_COMPLETE
    room.log_at[TO_SERVER] = room.log_at[TO_CLIENT] = DNS_COMPLETE
    room.datagrams = 2
    room.gaps = True
    room.inert = True
    room.recognise = recognise_dns
    room.parse = parse_dns
    room.buffer = dns_buffer
    room.log = log_dns
    room.free_tx = free_dns_tx
    room.free_state = free_dns_state
