"""threshold, detection_filter and llm_rate: how often a rule may alert, by address, pair, flow, key, model or at all.

Counts belong to (gid, sid) and so outlive a reload. They are bounded: at the cap a count whose period is over makes room, and
where there is none a match is judged as the first of its period, and counted. User guide, "Thresholding Keywords".
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from fastpath.dataplane.applayer.applayer cimport BUFFER_LLM_FACTS, VIEW_READY, llm_facts_t, view_t
from fastpath.dataplane.match.ends cimport ENDS_DST, ENDS_PAIR, ENDS_SRC, mix_ends, write_ends
from fastpath.dataplane.match.header cimport in_set
from fastpath.dataplane.match.program cimport (
    NOTHING, SUPPRESS_DST, SUPPRESS_SRC, THRESHOLD_BOTH, THRESHOLD_DETECTION_FILTER, THRESHOLD_LIMIT, THRESHOLD_LLM_PROMPT_BYTES,
    THRESHOLD_LLM_REQUESTS, TRACK_DST, TRACK_FLOW, TRACK_LLM_CLIENT, TRACK_LLM_KEY, TRACK_RULE, TRACK_SRC, inspection_t, match_t,
    rule_t, ruleset_t, threshold_t,
)
from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6, TO_SERVER, burst_t, packet_meta_t

cdef enum:
    LOOKED_AT = 64              # counts looked at for an expired one


cdef threshold_table_t *open_thresholds(uint64_t memcap) noexcept nogil:
    cdef threshold_table_t *table = <threshold_table_t *> calloc(1, sizeof(threshold_table_t))
    cdef uint64_t room = memcap // (sizeof(count_t) + 2 * sizeof(uint32_t)) + 1
    cdef uint32_t chains = 1
    if table == NULL:
        return NULL
    if room > 0x40000000:
        room = 0x40000000
    while chains < room:
        chains *= 2
    table.room = <uint32_t> room
    table.mask = chains - 1
    # zero pages are not memory until a count is written
    table.counts = <count_t *> calloc(room, sizeof(count_t))
    table.chains = <uint32_t *> calloc(chains, sizeof(uint32_t))
    if table.counts == NULL or table.chains == NULL:
        close_thresholds(table)
        return NULL
    return table


cdef void close_thresholds(threshold_table_t *table) noexcept nogil:
    if table != NULL:
        free(table.counts)
        free(table.chains)
        free(table)


cdef void clear_thresholds(threshold_table_t *table) noexcept nogil:
    if table.used:
        memset(table.chains, 0, (<uint64_t> table.mask + 1) * sizeof(uint32_t))
    table.used = table.hand = 0


cdef inline uint32_t chain_of(const threshold_table_t *table, const count_t *count) noexcept nogil:
    return <uint32_t> mix_ends(<uint64_t> count.sid << 32 ^ <uint64_t> count.gid << 8 ^ count.kind, count.track) & table.mask


cdef inline bint same_key(const count_t *a, const count_t *b) noexcept nogil:
    return (a.sid == b.sid and a.gid == b.gid and a.kind == b.kind and a.net == b.net
            and memcmp(a.track, b.track, sizeof(a.track)) == 0)


cdef void unlink(threshold_table_t *table, uint32_t index) noexcept nogil:
    cdef uint32_t *link = &table.chains[chain_of(table, &table.counts[index])]
    while link[0] != index + 1:
        link = &table.counts[link[0] - 1].next
    link[0] = table.counts[index].next


cdef uint32_t take_room(threshold_table_t *table, uint64_t now) noexcept nogil:
    """The index of a free count, or of one whose period is over; NOTHING at the cap."""
    cdef count_t *count
    cdef uint32_t _i, index
    if table.used < table.room:
        table.used += 1
        return table.used - 1
    for _i in range(LOOKED_AT):
        index = table.hand
        table.hand = index + 1 if index + 1 < table.room else 0
        count = &table.counts[index]
        if count.since + <uint64_t> count.seconds * 1000000 < now:
            unlink(table, index)
            return index
    return NOTHING


cdef bint track(count_t *key, uint8_t kind, const packet_meta_t *meta, uint64_t flow) noexcept nogil:
    """Fills in what is counted by; False where the entry does not have it. A pair is the same both ways."""
    memset(key.track, 0, sizeof(key.track))
    key.kind = kind
    key.net = 0
    if kind == TRACK_RULE:
        return True
    if kind == TRACK_FLOW:
        memcpy(key.track, &flow, sizeof(flow))
        return flow != 0
    if not write_ends(key.track, meta, ENDS_SRC if kind == TRACK_SRC else ENDS_DST if kind == TRACK_DST else ENDS_PAIR):
        return False
    key.net = meta.net
    return True


cdef uint8_t judge(count_t *count, const threshold_t *asked, uint64_t now, bint first) noexcept nogil:
    """Counts one more match, and says what becomes of it. `first`: there was no count before."""
    if not first and now <= count.since + <uint64_t> asked.seconds * 1000000:
        count.count += 1
    else:
        count.since = now
        count.count = 1
    if asked.kind == THRESHOLD_LIMIT:
        return THRESHOLD_ALERT if count.count <= asked.count else THRESHOLD_SILENT
    if asked.kind == THRESHOLD_BOTH:
        if count.count == asked.count:
            return THRESHOLD_ALERT
        return THRESHOLD_SILENT if count.count > asked.count else THRESHOLD_SUPPRESS
    if asked.kind == THRESHOLD_DETECTION_FILTER:
        return THRESHOLD_ALERT if count.count > asked.count else THRESHOLD_SUPPRESS
    if count.count < asked.count:
        return THRESHOLD_SUPPRESS
    count.count = 0
    return THRESHOLD_ALERT


cdef const llm_facts_t *facts_of(const match_t *match, const inspection_t *inspection) noexcept nogil:
    """Of the request to a model that matched; NULL where it is none."""
    cdef view_t view
    if match.tx == NULL or inspection == NULL or inspection.room == NULL:
        return NULL
    memset(&view, 0, sizeof(view))
    if inspection.room.buffer(inspection.context, match.tx, TO_SERVER, BUFFER_LLM_FACTS, 0, &view) != VIEW_READY:
        return NULL
    return <const llm_facts_t *> view.data


cdef bint track_llm(count_t *key, uint8_t kind, const packet_meta_t *meta, const llm_facts_t *facts) noexcept nogil:
    """The same for a request to a model: by client, API key or model. The packet is the client's."""
    memset(key.track, 0, sizeof(key.track))
    key.kind = kind
    key.net = 0
    if kind == TRACK_LLM_CLIENT:
        key.net = meta.net
        return write_ends(key.track, meta, ENDS_SRC)
    if kind == TRACK_LLM_KEY:
        memcpy(key.track, facts.key, sizeof(facts.key))
        return facts.has_key
    memcpy(key.track, &facts.model, sizeof(facts.model))
    return facts.model != 0


cdef uint8_t rate(count_t *count, const threshold_t *asked, uint64_t amount, uint64_t now, bint first) noexcept nogil:
    """judge() for llm_rate: adds an amount, and holds where there is more than was asked for in one period."""
    if first or now > count.since + <uint64_t> asked.seconds * 1000000:
        count.since = now
        count.count = 0
    count.count = <uint32_t> min(count.count + amount, <uint64_t> 0xffffffff)
    return THRESHOLD_ALERT if count.count > asked.count else THRESHOLD_SUPPRESS


cdef inline uint8_t judge_or_rate(count_t *count, const threshold_t *asked, uint64_t amount, uint64_t now,
                                  bint first) noexcept nogil:
    return rate(count, asked, amount, now, first) if amount else judge(count, asked, now, first)


cdef uint8_t check(threshold_table_t *table, const rule_t *rule, const threshold_t *asked, const packet_meta_t *meta,
                   uint64_t flow, const llm_facts_t *facts, uint64_t now) noexcept nogil:
    """facts: NULL unless asked.kind is one of llm_rate."""
    cdef count_t key
    cdef uint32_t chain, at, index
    cdef uint64_t amount = 0
    if facts != NULL:
        amount = 1 if asked.kind == THRESHOLD_LLM_REQUESTS else facts.prompt_bytes
        if amount == 0 or not track_llm(&key, asked.track, meta, facts):
            return THRESHOLD_SUPPRESS
    elif not track(&key, asked.track, meta, flow):
        return THRESHOLD_ALERT
    key.sid = rule.sid
    key.gid = rule.gid
    chain = chain_of(table, &key)
    at = table.chains[chain]
    while at:
        if same_key(&table.counts[at - 1], &key):
            table.counts[at - 1].seconds = asked.seconds
            return judge_or_rate(&table.counts[at - 1], asked, amount, now, False)
        at = table.counts[at - 1].next
    index = take_room(table, now)
    if index == NOTHING:
        table.refused += 1
        return judge_or_rate(&key, asked, amount, now, True)
    key.seconds = asked.seconds
    key.next = table.chains[chain]
    table.counts[index] = key
    table.chains[chain] = index + 1
    return judge_or_rate(&table.counts[index], asked, amount, now, True)


cdef bint is_suppressed(const ruleset_t *rules, uint32_t at, const packet_meta_t *meta) noexcept nogil:
    """Is an address of the entry among those whose alerts are hidden?"""
    cdef const uint32_t *pair = rules.lists + at + 1
    cdef uint32_t i
    for i in range(rules.lists[at]):  # no-cython-lint
        if pair[0] != SUPPRESS_DST and in_set(rules, pair[1], meta, False):
            return True
        if pair[0] != SUPPRESS_SRC and in_set(rules, pair[1], meta, True):
            return True
        pair += 2
    return False


cdef uint8_t threshold_check(threshold_table_t *table, const ruleset_t *rules, const match_t *match, const burst_t *burst,
                             uint32_t entry, uint64_t flow, const inspection_t *inspection, uint64_t now) noexcept nogil:
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef const rule_t *matched = &rules.rules[match.compiled]
    cdef const threshold_t *filter
    cdef const llm_facts_t *facts = NULL
    cdef uint8_t verdict = THRESHOLD_ALERT
    if meta.net != NET_IPV4 and meta.net != NET_IPV6:
        return THRESHOLD_ALERT
    if matched.suppressed != NOTHING and is_suppressed(rules, matched.suppressed, meta):
        return THRESHOLD_SILENT
    now //= 1000
    if matched.detection_filter != NOTHING:
        filter = &rules.thresholds[matched.detection_filter]
        if filter.kind == THRESHOLD_LLM_REQUESTS or filter.kind == THRESHOLD_LLM_PROMPT_BYTES:
            facts = facts_of(match, inspection)
            if facts == NULL:
                return THRESHOLD_SUPPRESS
        verdict = check(table, matched, filter, meta, flow, facts, now)
    if verdict == THRESHOLD_ALERT and matched.threshold != NOTHING:
        verdict = check(table, matched, &rules.thresholds[matched.threshold], meta, flow, NULL, now)
    return verdict
