"""What becomes of one rule, entry by entry and step by step: rows that `fastpath why` reads."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.applayer cimport tx_t
from fastpath.dataplane.hash cimport flow_id_of
from fastpath.dataplane.hyperscan cimport *
from fastpath.dataplane.match.bytes cimport number_at, read_number, rest_from
from fastpath.dataplane.match.conditions cimport read_field
from fastpath.dataplane.match.database cimport Database
from fastpath.dataplane.match.header cimport header_holds, in_ports, in_set, proto_holds, read_ports
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6, PM_PSEUDO, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t

import numpy as np

#: struct trace_row of program.h
ROW = np.dtype([("ordinal", "u8"), ("flow", "u8"), ("ts", "u8"), ("tx", "u8"), ("offset", "u8"), ("value", "u8"), ("rule", "u4"),
                ("op", "u4"), ("length", "u4"), ("start", "u4"), ("end", "u4"), ("excerpt_at", "u4"), ("buffer", "u2"),
                ("kind", "u1"), ("holds", "u1"), ("to_client", "u1"), ("progress", "u1"), ("excerpt_length", "u1"),
                ("reserved", "u1"), ("excerpt", "V64")])
KINDS = ("entry", "header", "scan", "pattern", "candidate", "condition", "block", "step", "limit", "engine", "match", "fate")
#: what of a header can fail, in the order in which it is looked at
HEADER_PARTS = ("protocol", "destination port", "source port", "destination address", "source address", "application protocol")
ENGINES = ("holds", "does not hold", "cannot hold any more", "not reached yet")
FATES = ("alert", "no alert", "not yet: a threshold counts", "hidden by a threshold or suppression",
         "too many alerts of one packet")

cdef enum:
    AHEAD = 16                  # bytes of an excerpt before what it is about


cdef trace_row_t *new_row(match_scratch_t *scratch, uint32_t kind, uint32_t holds) noexcept nogil:
    """One more row of the entry at work; NULL without room."""
    cdef trace_t *trace = scratch.trace
    cdef trace_row_t *row
    if trace.used == trace.room:
        trace.lost += 1
        return NULL
    row = &trace.rows[trace.used]
    trace.used += 1
    memcpy(row, &trace.here, sizeof(trace_row_t))
    row.kind = <uint8_t> kind
    row.holds = <uint8_t> holds
    return row


cdef void cut_excerpt(trace_row_t *row, const uint8_t *data, uint32_t length, uint32_t about) noexcept nogil:
    """The bytes around a place."""
    cdef uint32_t at = about - AHEAD if about > AHEAD else 0
    if data == NULL or at > length:
        at = length
    row.length = length
    row.excerpt_at = at
    row.excerpt_length = <uint8_t> min(length - at, <uint32_t> TRACE_EXCERPT)
    memcpy(row.excerpt, data + at, row.excerpt_length)


cdef bint follows(const ruleset_t *rules, const match_scratch_t *scratch, uint32_t compiled) noexcept nogil:
    return rules.rules[compiled].plan == scratch.trace.plan


cdef uint32_t failing_part(const ruleset_t *rules, const rule_t *rule, const match_scratch_t *scratch,
                           const packet_meta_t *meta) noexcept nogil:
    """header_holds and the application protocol, part by part."""
    cdef uint16_t source, destination
    cdef bint ports = read_ports(meta, &source, &destination)
    if not header_holds(rules, rule, meta, ports, source, destination):
        if (rule.flags & RULE_IPV4 and meta.net != NET_IPV4 or rule.flags & RULE_IPV6 and meta.net != NET_IPV6
                or not rule.flags & RULE_ANY_PROTO and (meta.net != NET_IPV4 and meta.net != NET_IPV6
                                                        or meta.proto != rule.proto and meta.proto != rule.proto2)):
            return HEADER_PROTO
        if rule.dport != NOTHING and (not ports or not in_ports(rules, rule.dport, destination)):
            return HEADER_DPORT
        if rule.sport != NOTHING and (not ports or not in_ports(rules, rule.sport, source)):
            return HEADER_SPORT
        return HEADER_DST if rule.dst != NOTHING and not in_set(rules, rule.dst, meta, True) else HEADER_SRC
    if not proto_holds(rule, scratch.inspection):
        return HEADER_APP
    return HEADER_MAX


cdef void trace_entry(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry, const flow_t *flow,
                      uint32_t group) noexcept nogil:
    """An entry begins: what it is, and how its header stands to the rule, once for each direction of the rule."""
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef trace_row_t *here = &scratch.trace.here
    cdef trace_row_t *row
    cdef uint32_t i, part
    memset(here, 0, sizeof(trace_row_t))
    here.ordinal = 0 if meta.flags & PM_PSEUDO else burst.first_ordinal + meta.packet
    here.flow = flow_id_of(meta.hash, flow.first_ordinal) if flow != NULL else 0
    here.ts = meta.ts
    here.tx = NO_TX
    here.start = here.end = NOTHING
    here.to_client = meta.flags & PM_TO_CLIENT != 0
    row = new_row(scratch, TRACE_ENTRY, 1)
    if row != NULL:
        row.value = group
        cut_excerpt(row, meta.frame + meta.payload, meta.payload_len, 0)
    for i in range(rules.rule_count):
        if follows(rules, scratch, i):
            part = failing_part(rules, &rules.rules[i], scratch, meta)
            row = new_row(scratch, TRACE_HEADER, part == HEADER_MAX)
            if row != NULL:
                row.rule = i
                row.op = part
                if part == HEADER_APP and scratch.inspection != NULL and scratch.inspection.context != NULL:
                    row.value = scratch.inspection.context.app.proto


cdef void trace_tx(match_scratch_t *scratch, const tx_t *tx, uint32_t direction) noexcept nogil:
    """From here on it is about this transaction; NULL for the packet again."""
    scratch.trace.here.tx = tx.id if tx != NULL else NO_TX
    scratch.trace.here.progress = tx.progress[direction] if tx != NULL else 0


cdef void trace_scan(match_scratch_t *scratch, uint32_t buffer, const uint8_t *data, uint32_t length,
                     uint64_t offset) noexcept nogil:
    """The fast patterns are about to be looked for in these bytes."""
    cdef trace_row_t *row
    scratch.trace.here.buffer = <uint16_t> buffer
    scratch.trace.here.offset = offset
    row = new_row(scratch, TRACE_SCAN, 1)
    if row != NULL:
        cut_excerpt(row, data, length, 0)


cdef int note_pattern(unsigned int pattern, unsigned long long start, unsigned long long end, unsigned int flags,
                      void *context) noexcept nogil:
    cdef match_scratch_t *scratch = <match_scratch_t *> context
    cdef trace_row_t *row = new_row(scratch, TRACE_PATTERN, 1)
    if row != NULL:
        row.value = pattern
        row.end = <uint32_t> end
    return 0


cdef void trace_patterns(const ruleset_t *rules, match_scratch_t *scratch, uint32_t patterns, const uint8_t *data,
                         uint32_t length) noexcept nogil:
    """Scans once more, for the places."""
    cdef trace_t *trace = scratch.trace
    cdef trace_row_t *row
    cdef span_t behind
    cdef uint32_t i, k, n, first = trace.used
    cdef bint ours
    hs_scan(<hs_database_t *> rules.databases[scratch.scanning[(scratch.scans - 1) & 1]], <const char *> data, length, 0,
            <hs_scratch_t *> scratch.hyperscan, note_pattern, scratch)
    n = first
    for i in range(first, trace.used):      # what is behind other rules is not kept
        row = &trace.rows[i]
        behind = rules.patterns[patterns + row.value]
        ours = False
        for k in range(behind.count):
            ours = ours or follows(rules, scratch, rules.lists[behind.first + k])
        if ours:
            cut_excerpt(row, data, length, row.end)
            if n != i:
                memcpy(&trace.rows[n], row, sizeof(trace_row_t))
            n += 1
    trace.used = n


cdef void trace_candidates(const ruleset_t *rules, match_scratch_t *scratch) noexcept nogil:
    """What the fast patterns left to be confirmed."""
    cdef uint32_t i
    cdef trace_row_t *row
    for i in range(scratch.candidate_count):
        if follows(rules, scratch, scratch.candidates[i]):
            row = new_row(scratch, TRACE_CANDIDATE, 1)
            if row != NULL:
                row.rule = scratch.candidates[i]


cdef void trace_condition(const ruleset_t *rules, match_scratch_t *scratch, const op_t *op, bint holds) noexcept nogil:
    cdef trace_row_t *row = new_row(scratch, TRACE_CONDITION, holds)
    cdef uint64_t value
    if row == NULL:
        return
    row.op = <uint32_t> (op - rules.ops)
    if op.code == OP_BITS and read_field(scratch.meta, (<const bits_op_t *> op).field, &value):
        row.value = value
        row.length = 1          # there is a value
    elif op.code == OP_NUMBER and (<const number_op_t *> op).field == FIELD_DSIZE:
        row.value = scratch.meta.payload_len
        row.length = 1
    elif op.code == OP_NUMBER and read_field(scratch.meta, (<const number_op_t *> op).field, &value):
        row.value = value
        row.length = 1


cdef void trace_block(const ruleset_t *rules, match_scratch_t *scratch, uint32_t block, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    """A block begins, over these bytes of its buffer."""
    cdef trace_row_t *row
    scratch.trace.here.buffer = <uint16_t> (<const block_op_t *> &rules.ops[block]).buffer
    scratch.trace.here.offset = scratch.view_offset
    row = new_row(scratch, TRACE_BLOCK, 1)
    if row != NULL:
        row.op = block
        cut_excerpt(row, data, length, 0)


cdef void trace_step(const ruleset_t *rules, match_scratch_t *scratch, const op_t *op, const uint8_t *data, uint32_t length,
                     uint32_t before, uint32_t start, uint32_t end, bint holds) noexcept nogil:
    """A step was taken. before: where the one before it ended; start, end: of what it found, NOTHING for nothing."""
    cdef trace_row_t *row = new_row(scratch, TRACE_STEP, holds)
    cdef const byte_op_t *number = <const byte_op_t *> op
    cdef const uint8_t *at
    cdef uint32_t width, taken, cursor = scratch.cursor
    cdef uint64_t value
    if row == NULL:
        return
    row.op = <uint32_t> (op - rules.ops)
    if OP_BYTE_TEST <= op.code <= OP_BYTE_MATH:
        scratch.cursor = before
        at = number_at(number, scratch, data, length, &width)
        if at != NULL and read_number(number, scratch, at, width, rest_from(at, data, length), &value, &taken):
            start = <uint32_t> (at - data)
            end = start + taken
            row.value = value
        scratch.cursor = cursor
    row.start, row.end = start, end
    cut_excerpt(row, data, length, before if start == NOTHING else start)


cdef void trace_limit(match_scratch_t *scratch) noexcept nogil:
    new_row(scratch, TRACE_LIMIT, 0)


cdef void trace_engine(const ruleset_t *rules, match_scratch_t *scratch, uint32_t engine, uint32_t state) noexcept nogil:
    cdef trace_row_t *row = new_row(scratch, TRACE_ENGINE, state)
    if row != NULL:
        row.op = engine
        row.buffer = rules.engines[engine].buffer if rules.engines[engine].kind == ENGINE_BUFFER else BUFFER_STREAM


cdef void trace_match(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled) noexcept nogil:
    cdef trace_row_t *row
    if follows(rules, scratch, compiled):
        row = new_row(scratch, TRACE_MATCH, 1)
        if row != NULL:
            row.rule = compiled


cdef void trace_fate(const ruleset_t *rules, match_scratch_t *scratch, uint32_t compiled, uint64_t tx,
                     uint32_t fate) noexcept nogil:
    """What became of a match."""
    cdef trace_row_t *row
    if follows(rules, scratch, compiled):
        row = new_row(scratch, TRACE_FATE, fate)
        if row != NULL:
            row.rule = compiled
            row.tx = tx


cdef class Trace:
    """Rows on one rule of a Database, for one worker.

    plan: the rule, as loaded. room: rows that are held until they are taken.
    """

    def __cinit__(self, Database database not None, uint32_t plan, uint32_t room=1 << 16):
        if plan >= database.rules.header.plans:
            raise ValueError(f"rule {plan} is not one of {database.rules.header.plans}")
        self.at.rows = <trace_row_t *> malloc(room * sizeof(trace_row_t))
        if self.at.rows == NULL:
            raise MemoryError
        self.at.room = room
        self.at.plan = plan
        self.database = database

    def __dealloc__(self):
        free(self.at.rows)

    @property
    def lost(self):
        """Rows for which there was no room."""
        return self.at.lost

    def take(self):
        """The rows so far, as an array of ROW; there are none afterwards."""
        rows = np.empty(self.at.used, ROW)
        cdef uint8_t[::1] view
        if self.at.used:
            view = rows.view(np.uint8)
            memcpy(&view[0], self.at.rows, self.at.used * sizeof(trace_row_t))
        self.at.used = 0
        return rows
