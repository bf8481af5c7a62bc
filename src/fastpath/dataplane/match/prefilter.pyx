"""Which rules may match an entry: those of its group whose fast pattern Hyperscan finds in the payload, those of its group
that have none, and once per direction of a flow those that ask for addresses alone."""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport BUFFER_FILES, BUFFER_MANY, VIEW_READY, tx_t, view_t
from fastpath.dataplane.hyperscan cimport *
from fastpath.dataplane.match.flowbits cimport has_flowbits
from fastpath.dataplane.match.header cimport NO_NEXT_HEADER, TCP, UDP, be32, be64, bytes_at, in_set, known_proto, read_ports
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.match.trace cimport trace_candidates, trace_entry, trace_patterns, trace_scan
from fastpath.dataplane.match.transforms cimport buffer_view
from fastpath.dataplane.threads cimport rarely
from fastpath.dataplane.types cimport (
    FLOW_GROUPED_TO_CLIENT, FLOW_GROUPED_TO_SERVER, FLOW_IPONLY_TO_CLIENT, FLOW_IPONLY_TO_SERVER, NET_IPV4, NET_IPV6, NO_INDEX,
    PM_PSEUDO, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t,
)


cdef enum:
    ANYWHERE = 0xffff           # pattern_set_t.reach


cdef int note_hit(unsigned int pattern, unsigned long long start, unsigned long long end, unsigned int flags,
                  void *context) noexcept nogil:
    cdef match_scratch_t *scratch = <match_scratch_t *> context
    if pattern < scratch.hit_room and scratch.hit_count < scratch.hit_room:
        scratch.hits[scratch.hit_count] = pattern
        scratch.hit_count += 1
    return 0


cdef void sort_candidates(match_scratch_t *scratch) noexcept nogil:
    """Bottom-up merge sort; few candidates, or runs already in order, cost little more than a look. Drops what is twice."""
    cdef uint32_t n = scratch.candidate_count, width, low, middle, high, i, k, at
    cdef uint32_t *a = scratch.candidates
    cdef uint32_t *b = scratch.merged
    at = 1
    while at < n and a[at - 1] < a[at]:
        at += 1
    if at >= n:
        return
    width = 1
    while width < n:
        low = 0
        while low < n:
            middle = min(low + width, n)
            high = min(low + 2 * width, n)
            i, k = low, middle
            for at in range(low, high):
                if i < middle and (k >= high or a[i] <= a[k]):
                    b[at] = a[i]
                    i += 1
                else:
                    b[at] = a[k]
                    k += 1
            low += 2 * width
        a, b = b, a
        width *= 2
    scratch.candidates, scratch.merged = a, b
    at = 1
    for i in range(1, n):
        if a[i] != a[at - 1]:
            a[at] = a[i]
            at += 1
    scratch.candidate_count = at


cdef inline void add_rules(const ruleset_t *rules, match_scratch_t *scratch, span_t span) noexcept nogil:
    if span.count > scratch.candidate_room - scratch.candidate_count:
        sort_candidates(scratch)        # each rule once: then there is room for every list
    memcpy(scratch.candidates + scratch.candidate_count, rules.lists + span.first, span.count * sizeof(uint32_t))
    scratch.candidate_count += span.count


cdef uint32_t group_of(const ruleset_t *rules, const packet_meta_t *meta, flow_t *flow) noexcept nogil:
    """The group of an entry: by protocol, direction and the server's port. A flow remembers it for each direction."""
    cdef uint32_t to_client = 1 if meta.flags & PM_TO_CLIENT else 0
    cdef uint16_t known = FLOW_GROUPED_TO_CLIENT if to_client else FLOW_GROUPED_TO_SERVER
    cdef uint16_t source, destination, group
    if meta.net != NET_IPV4 and meta.net != NET_IPV6 or meta.proto == NO_NEXT_HEADER and meta.events != NO_INDEX:
        return 1 if meta.events != NO_INDEX else 0
    if flow != NULL:
        if flow.epoch != rules.epoch:
            # a new rule set: what the flow remembers of the old one is void
            flow.epoch = rules.epoch
            flow.flags &= <uint16_t> ~(FLOW_GROUPED_TO_CLIENT | FLOW_GROUPED_TO_SERVER
                                       | FLOW_IPONLY_TO_CLIENT | FLOW_IPONLY_TO_SERVER)
        elif flow.flags & known and meta.proto == flow.key.proto:
            return flow.group[to_client]
    if meta.proto == TCP or meta.proto == UDP:
        read_ports(meta, &source, &destination)
        group = rules.port_tables[((meta.proto == UDP) * 2 + to_client) * <uint32_t> PORTS
                                  + (source if to_client else destination)]
    else:
        group = rules.protos[to_client * 256 + known_proto(meta)]
    if flow != NULL and meta.proto == flow.key.proto:
        flow.group[to_client] = group
        flow.flags |= known
    return group


cdef void add_by_address(const ruleset_t *rules, match_scratch_t *scratch, span_t table, uint64_t upper,
                         uint64_t lower) noexcept nogil:
    """The IP-only rules behind one address: those of the last entry that starts at or below it."""
    cdef const iponly_t *entries = rules.iponly + table.first
    cdef uint32_t low = 0, high = table.count, middle
    while low < high:
        middle = (low + high) // 2
        if entries[middle].low[0] < upper or (entries[middle].low[0] == upper and entries[middle].low[1] <= lower):
            low = middle + 1
        else:
            high = middle
    if low:
        add_rules(rules, scratch, entries[low - 1].rules)


cdef void add_iponly(const ruleset_t *rules, match_scratch_t *scratch, const packet_meta_t *meta, flow_t *flow) noexcept nogil:
    cdef uint16_t done = FLOW_IPONLY_TO_CLIENT if meta.flags & PM_TO_CLIENT else FLOW_IPONLY_TO_SERVER
    cdef const unsigned char *at
    if meta.net != NET_IPV4 and meta.net != NET_IPV6:
        return
    if flow != NULL:
        if flow.flags & done:
            return
        flow.flags |= done
    add_rules(rules, scratch, rules.header.iponly_anywhere)
    if meta.net == NET_IPV4:
        at = bytes_at(meta, meta.l3, 20)
        if at != NULL:
            add_by_address(rules, scratch, rules.header.iponly[0], 0, be32(at + 12))
            add_by_address(rules, scratch, rules.header.iponly[2], 0, be32(at + 16))
    else:
        at = bytes_at(meta, meta.l3, 40)
        if at != NULL:
            add_by_address(rules, scratch, rules.header.iponly[1], be64(at + 8), be64(at + 16))
            add_by_address(rules, scratch, rules.header.iponly[3], be64(at + 24), be64(at + 32))


cdef void find_shapes(const shapes_t *shapes, match_scratch_t *scratch, const uint8_t *data, uint32_t length) noexcept nogil:
    """Notes the shapes that are in these bytes."""
    cdef uint32_t ends[SHAPES_TOGETHER]
    cdef uint32_t found = shapes_in(shapes, data, length, ends)
    cdef uint32_t k
    for k in range(shapes.count):
        if found >> k & 1:
            note_hit(shapes.pattern[k], 0, ends[k], 0, scratch)


cdef void search(const ruleset_t *rules, match_scratch_t *scratch, const pattern_set_t *patterns, const uint8_t *data,
                 uint32_t length) noexcept nogil:
    """Adds the rules whose pattern is in these bytes."""
    cdef uint32_t i, k
    cdef span_t behind
    if length > patterns.reach and patterns.reach != ANYWHERE:
        length = patterns.reach
    scratch.hit_count = 0
    scratch.hit_room = patterns.patterns.count
    scratch.scanned += length
    if patterns.database != NOTHING:
        scratch.scanning[scratch.scans & 1] = patterns.database
        scratch.scans += 1
        hs_scan(<hs_database_t *> rules.databases[patterns.database], <const char *> data, length, 0,
                <hs_scratch_t *> scratch.hyperscan, note_hit, scratch)
    for i in range(patterns.shapes.count):
        find_shapes(&rules.shapes[patterns.shapes.first + i], scratch, data, length)
    if rarely(scratch.trace != NULL):
        trace_patterns(rules, scratch, patterns, data, length)
    for i in range(scratch.hit_count):
        behind = rules.patterns[patterns.patterns.first + scratch.hits[i]]
        add_rules(rules, scratch, behind)
        for k in range(behind.count):
            scratch.candidate_hits[rules.rules[rules.lists[behind.first + k]].plan] += 1


cdef inline void scan(const ruleset_t *rules, match_scratch_t *scratch, const pattern_set_t *patterns, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    if patterns.patterns.count and length >= patterns.shortest:
        search(rules, scratch, patterns, data, length)


cdef void set_app_rules_apart(const ruleset_t *rules, match_scratch_t *scratch) noexcept nogil:
    """Rules on transactions wait for their transactions."""
    cdef uint32_t i, kept = 0
    for i in range(scratch.candidate_count):
        if rules.rules[scratch.candidates[i]].flags & RULE_APP:
            scratch.app_candidates[scratch.app_candidate_count] = scratch.candidates[i]
            scratch.app_candidate_count += 1
        else:
            scratch.candidates[kept] = scratch.candidates[i]
            kept += 1
    scratch.candidate_count = kept


cdef bint asked_for(const ruleset_t *rules, const burst_t *burst, uint16_t note) noexcept nogil:
    """Is there an event from this note on that some rule asks for?"""
    while note != NO_INDEX:
        if rules.events[burst.notes[note].code // 64] >> (burst.notes[note].code % 64) & 1:
            return True
        note = burst.notes[note].next
    return False


cdef uint32_t prefilter_entry(const ruleset_t *rules, match_scratch_t *scratch, const burst_t *burst, uint32_t entry,
                              flow_t *flow) noexcept nogil:
    """Leaves the rules that may match this entry in scratch.candidates, in the order of inspection, and returns how many.

    flow: the entry's flow, or NULL; its group and IP-only marks are read and set. scratch.inspection: the raw stream, or NULL.
    """
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef uint32_t number = group_of(rules, meta, flow)
    cdef const group_t *group = &rules.groups[number]
    cdef const inspection_t *inspection = scratch.inspection
    cdef const uint8_t *payload = meta.frame + meta.payload
    cdef bint asked = group.packet.patterns.count or group.stream.patterns.count or group.payload.count
    cdef bint something = meta.payload_len > 0
    cdef uint32_t i
    scratch.candidate_count = scratch.app_candidate_count = 0
    if rarely(scratch.trace != NULL):
        trace_entry(rules, scratch, burst, entry, flow, number)
    if (asked or scratch.trace != NULL) and (inspection == NULL or not inspection.flags & INSPECT_NO_PAYLOAD):
        if meta.payload_len:
            if rarely(scratch.trace != NULL):
                trace_scan(scratch, BUFFER_PAYLOAD, payload, meta.payload_len, 0)
            scan(rules, scratch, &group.packet, payload, meta.payload_len)
            if inspection == NULL or not inspection.flags & INSPECT_IN_STREAM:
                scan(rules, scratch, &group.stream, payload, meta.payload_len)
        if inspection != NULL:
            for i in range(inspection.window_count):
                something = True
                if rarely(scratch.trace != NULL):
                    trace_scan(scratch, BUFFER_STREAM, inspection.windows[i].data, inspection.windows[i].length,
                               inspection.windows[i].offset)
                scan(rules, scratch, &group.stream, inspection.windows[i].data, inspection.windows[i].length)
        if something and group.payload.count:
            add_rules(rules, scratch, group.payload)
    if group.bare.count:
        add_rules(rules, scratch, group.bare)
    if group.event.count and meta.events != NO_INDEX and (asked_for(rules, burst, meta.events) or scratch.trace != NULL):
        add_rules(rules, scratch, group.event)
    if rules.has_iponly and not meta.flags & PM_PSEUDO:
        add_iponly(rules, scratch, meta, flow)
    if group.marked.count and (scratch.candidate_count or has_flowbits(flow) or scratch.trace != NULL):
        add_rules(rules, scratch, group.marked)     # else no bit is set, and none will be
    if scratch.candidate_count > 1:
        sort_candidates(scratch)
    if rarely(scratch.trace != NULL):
        trace_candidates(rules, scratch)
    if scratch.candidate_count:
        set_app_rules_apart(rules, scratch)
    return scratch.candidate_count


cdef void prefilter_buffer(const ruleset_t *rules, match_scratch_t *scratch, const packet_meta_t *meta,
                           const prefilter_t *prefilter, tx_t *tx, uint32_t direction) noexcept nogil:
    """One buffer of a transaction, each of its instances. Most rules over a buffer may ask for the same addresses: where the
    entry has others, they are left out."""
    cdef const pattern_set_t *patterns = &prefilter.set
    cdef view_t view
    cdef uint32_t index = 0
    if (prefilter.src != NOTHING and not in_set(rules, prefilter.src, meta, False)
            or prefilter.dst != NOTHING and not in_set(rules, prefilter.dst, meta, True)):
        patterns = &prefilter.rest
        if not patterns.patterns.count:
            return
    while buffer_view(rules, scratch, tx, direction, prefilter.buffer, index, prefilter.chain, &view) == VIEW_READY:
        if rarely(scratch.trace != NULL):
            trace_scan(scratch, prefilter.buffer, view.data, view.length, view.offset)
        scan(rules, scratch, patterns, view.data, view.length)
        index += 1
        if not prefilter.flags & BUFFER_MANY:
            return


cdef void prefilter_tx(const ruleset_t *rules, match_scratch_t *scratch, const packet_meta_t *meta, tx_t *tx,
                       uint32_t direction) noexcept nogil:
    """Leaves the rules that may match a transaction in scratch.candidates: those whose pattern is in a buffer that can be looked
    at, unless that was done when the transaction was already past it, and those without a pattern."""
    cdef const app_rules_t *known = &rules.apps[scratch.inspection.context.app.proto * 2 + direction]
    cdef const prefilter_t *prefilter
    cdef uint32_t i
    scratch.candidate_count = 0
    for i in range(known.prefilters.count):
        prefilter = &rules.prefilters[known.prefilters.first + i]
        if prefilter.progress > tx.progress[direction]:
            break
        if tx.inspected[direction] <= prefilter.progress and (tx.files[direction] != NULL or not prefilter.flags & BUFFER_FILES):
            prefilter_buffer(rules, scratch, meta, prefilter, tx, direction)
    if known.bare.count:
        add_rules(rules, scratch, known.bare)
    if scratch.app_candidate_count:
        if scratch.app_candidate_count > scratch.candidate_room - scratch.candidate_count:
            sort_candidates(scratch)
        memcpy(scratch.candidates + scratch.candidate_count, scratch.app_candidates,
               scratch.app_candidate_count * sizeof(uint32_t))
        scratch.candidate_count += scratch.app_candidate_count
    if scratch.candidate_count > 1:
        sort_candidates(scratch)
    if rarely(scratch.trace != NULL):
        trace_candidates(rules, scratch)


def version():
    """The Hyperscan (or vectorscan) in use, as it calls itself."""
    return (<const char *> hs_version()).decode()


def platform():
    """What Hyperscan compiles for here: (tuning, features of the processor), as it numbers them."""
    cdef hs_platform_info_t here
    if hs_populate_platform(&here) != HS_SUCCESS:
        raise RuntimeError("Hyperscan does not know this processor")
    return here.tune, here.cpu_features


def compile_literals(patterns, nocase, *, bint once=True):
    """Compiles literals into one Hyperscan database for block mode and returns it serialized, as bytes.

    patterns: sequence of bytes; pattern i reports as i, `once` a scan or wherever it ends. nocase: sequence of bool, as long.
    Raises ValueError where Hyperscan refuses a pattern.
    """
    cdef unsigned int n = len(patterns), i
    cdef const char **texts = <const char **> calloc(n + 1, sizeof(char *))
    cdef size_t *lengths = <size_t *> calloc(n + 1, sizeof(size_t))
    cdef unsigned int *flags = <unsigned int *> calloc(n + 1, sizeof(int))
    cdef unsigned int *ids = <unsigned int *> calloc(n + 1, sizeof(int))
    cdef hs_database_t *database = NULL
    cdef hs_compile_error_t *error = NULL
    cdef char *serialized = NULL
    cdef size_t length = 0
    cdef int status
    try:
        if texts == NULL or lengths == NULL or flags == NULL or ids == NULL:
            raise MemoryError
        for i in range(n):
            texts[i] = patterns[i]
            lengths[i] = len(patterns[i])
            flags[i] = (HS_FLAG_SINGLEMATCH if once else 0) | (HS_FLAG_CASELESS if nocase[i] else 0)
            ids[i] = i
        with nogil:
            status = hs_compile_lit_multi(texts, flags, ids, lengths, n, HS_MODE_BLOCK, NULL, &database, &error)
        if status != HS_SUCCESS:
            text = (<const char *> error.message).decode(errors="replace")
            at = error.expression
            raise ValueError(f"Hyperscan refuses {patterns[at]!r}: {text}" if at >= 0 else f"Hyperscan: {text}")
        if hs_serialize_database(database, &serialized, &length) != HS_SUCCESS:
            raise MemoryError("serializing a Hyperscan database")
        return serialized[:length]
    finally:
        hs_free_compile_error(error)
        hs_free_database(database)
        free(serialized)
        free(texts)
        free(lengths)
        free(flags)
        free(ids)


cdef int count_hit(unsigned int pattern, unsigned long long start, unsigned long long end, unsigned int flags,
                   void *context) noexcept nogil:
    (<uint32_t *> context)[pattern] += 1
    return 0


def scan_literals(serialized, data, unsigned int patterns):
    """How often each pattern of a database (compile_literals) is reported in the data: a list of int."""
    cdef const unsigned char[::1] form = serialized
    cdef const unsigned char[::1] view = data
    cdef hs_database_t *database = NULL
    cdef hs_scratch_t *scratch = NULL
    cdef uint32_t *found = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    cdef int status
    cdef unsigned int i
    try:
        if found == NULL:
            raise MemoryError
        if form.shape[0] == 0 or hs_deserialize_database(<const char *> &form[0], form.shape[0], &database) != HS_SUCCESS:
            raise ValueError("not a database of this Hyperscan")
        if hs_alloc_scratch(database, &scratch) != HS_SUCCESS:
            raise MemoryError("Hyperscan scratch")
        if view.shape[0]:
            with nogil:
                status = hs_scan(database, <const char *> &view[0], view.shape[0], 0, scratch, count_hit, found)
            if status != HS_SUCCESS:
                raise ValueError(f"hs_scan failed (error {status})")
        return [found[i] for i in range(patterns)]
    finally:
        hs_free_scratch(scratch)
        hs_free_database(database)
        free(found)


def scan_shapes(const uint8_t[::1] table, const uint8_t[::1] data, bint plainly=False):
    """Where each shape of a row of SECTION_SHAPES (rules/shapes.py) that is in the data first ends: {number of its pattern: end}.
    plainly: without the processor's wide instructions. A door for tests; ValueError for what is no row."""
    cdef uint32_t ends[SHAPES_TOGETHER]
    cdef const shapes_t *shapes
    cdef uint32_t found = 0, k
    if table.shape[0] != sizeof(shapes_t) or not 1 <= (<const shapes_t *> &table[0]).count <= SHAPES_TOGETHER:
        raise ValueError(f"{table.shape[0]} bytes are no row of shapes")
    shapes = <const shapes_t *> &table[0]
    if data.shape[0]:
        found = (shapes_plainly if plainly else shapes_in)(shapes, &data[0], <uint32_t> data.shape[0], ends)
    return {shapes.pattern[k]: ends[k] for k in range(shapes.count) if found >> k & 1}
