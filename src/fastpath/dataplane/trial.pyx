"""A door to the match room for tests, benchmarks and curious people: rules tried on packets, without an engine around them."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from fastpath.dataplane.decode cimport decode_burst, decode_defaults, decode_settings
from fastpath.dataplane.hash cimport set_flow_key
from fastpath.dataplane.hyperscan cimport hs_database_t, hs_scan, hs_scratch_t
from fastpath.dataplane.match.database cimport Database, Scratch
from fastpath.dataplane.pool cimport close_pool
from fastpath.dataplane.match.inspect cimport run_rules
from fastpath.dataplane.match.prefilter cimport prefilter_entry
from fastpath.dataplane.match.program cimport (
    KIND_PASS, MATCH_ALERT, MATCH_BYPASS, MATCH_FLOW, MATCH_STREAM, MATCH_THRESHOLD, match_scratch_t, match_t, ruleset_t,
    shared_t,
)
from fastpath.dataplane.match.threshold cimport (
    THRESHOLD_ALERT, THRESHOLD_SILENT, THRESHOLD_SUPPRESS, close_thresholds, open_thresholds, threshold_check, threshold_table_t,
)
from fastpath.dataplane.match.xbits cimport close_xbits, open_xbits
from fastpath.dataplane.types cimport (
    ACCOUNT_FLOW, BURST_MAX, FLOW_SEEN_TO_CLIENT, FLOW_SEEN_TO_SERVER, NO_INDEX, PM_ESTABLISHED, PM_FLOW, PM_KEYED,
    PM_REVERSED, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t, pool_t,
)
from fastpath.dataplane.wire.walk cimport decode_config_t


cdef class Flow:
    cdef flow_t at              # what hangs on it lies in the Trial's pool
    cdef bint reversed_


cdef class Trial:
    """Packets against a rule set, one after another, with flows told apart by key alone and never ended.

    settings: as decode takes them. flowbits_memory: cap of the flowbits of all flows, threshold_memory: of the threshold table,
    xbits_memory: of the bits of hosts, all in bytes.
    """
    cdef readonly Database database
    cdef readonly Scratch scratch
    cdef decode_config_t config
    cdef burst_t *burst
    cdef pool_t pool
    cdef threshold_table_t *thresholds
    cdef shared_t shared
    cdef dict flows

    def __cinit__(self, Database database not None, *, uint64_t flowbits_memory=1 << 24, uint64_t threshold_memory=1 << 20,
                  uint64_t xbits_memory=1 << 20, scratch=None, **settings):
        self.database = database
        self.scratch = Scratch(database) if scratch is None else scratch
        decode_defaults(&self.config)
        decode_settings(&self.config, settings)
        self.pool.cap[ACCOUNT_FLOW] = flowbits_memory
        self.scratch.at.pool = &self.pool
        self.scratch.at.shared = &self.shared
        self.shared.xbits = open_xbits(xbits_memory)
        self.flows = {}
        self.burst = <burst_t *> malloc(sizeof(burst_t))
        self.thresholds = open_thresholds(threshold_memory)
        if self.burst == NULL or self.thresholds == NULL or self.shared.xbits == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.burst)
        close_thresholds(self.thresholds)
        close_xbits(self.shared.xbits)
        close_pool(&self.pool)

    @property
    def flowbits_refused(self):
        """Flowbits that found no room."""
        return self.pool.refused[ACCOUNT_FLOW]

    @property
    def xbits_refused(self):
        """Bits of hosts that found no room."""
        return self.shared.xbits.refused

    def reload(self, Database database not None):
        """Swaps the rule set; flows and thresholds go on."""
        database.set_epoch(self.database.rules.epoch + 1 & 0xff)
        self.database = database
        self.scratch = Scratch(database)
        self.scratch.at.pool = &self.pool
        self.scratch.at.shared = &self.shared

    cdef fill(self, packets, int linktype):
        """As rx and decode do it."""
        cdef packet_meta_t *meta
        cdef const uint8_t[::1] view
        cdef uint32_t i = 0
        self.burst.notes_used = self.burst.events_lost = 0
        for packet in packets:
            view = packet
            meta = &self.burst.meta[i]
            memset(meta, 0, sizeof(packet_meta_t))
            meta.caplen = meta.wirelen = view.shape[0]
            meta.frame = &view[0] if view.shape[0] else <const uint8_t *> b""
            meta.packet = meta.parent = i
            meta.events = NO_INDEX
            meta.linktype = linktype
            i += 1
        self.burst.packets = self.burst.entries = i
        decode_burst(&self.config, self.burst, 0, i)

    cdef Flow flow_of(self, uint32_t entry):
        """As flow does it: the first packet of a key goes to the server."""
        cdef packet_meta_t *meta = &self.burst.meta[entry]
        cdef Flow flow
        cdef uint16_t both = FLOW_SEEN_TO_CLIENT | FLOW_SEEN_TO_SERVER
        if not meta.flags & PM_KEYED:
            return None
        key = (<const char *> &self.burst.key[entry])[:sizeof(self.burst.key[entry])]
        flow = self.flows.get(key)
        if flow is None:
            flow = self.flows[key] = Flow()
            set_flow_key(&flow.at, &self.burst.key[entry])
            flow.reversed_ = (meta.flags & PM_REVERSED) != 0
        meta.flags |= PM_FLOW
        if flow.reversed_ == ((meta.flags & PM_REVERSED) != 0):
            flow.at.flags |= FLOW_SEEN_TO_SERVER
        else:
            flow.at.flags |= FLOW_SEEN_TO_CLIENT
            meta.flags |= PM_TO_CLIENT
        if flow.at.flags & both == both:
            meta.flags |= PM_ESTABLISHED
        return flow

    @property
    def thresholds_refused(self):
        """Matches that were judged without a count."""
        return self.thresholds.refused

    def match(self, packets, int linktype=1, *, stamps=None):
        """Matches of each packet: a list per packet, in the order of inspection, of (rule index, flags): flags is a set of
        "alert", "flow", "stream", "pass", "bypass". What a threshold suppresses is not there, what it silences has no "alert".

        stamps: engine time at each packet, ns; all 0 if not given.
        """
        cdef uint64_t now
        cdef uint8_t state
        cdef Flow flow
        cdef uint32_t entry, i, n
        cdef match_t *match
        cdef flow_t *at
        held = list(packets)
        results = []
        for start in range(0, len(held), BURST_MAX):
            self.fill(held[start:start + BURST_MAX], linktype)
            for entry in range(self.burst.packets):
                flow = self.flow_of(entry)
                at = &flow.at if flow is not None else NULL
                now = stamps[start + entry] if stamps is not None else 0
                with nogil:
                    n = run_rules(&self.database.rules, &self.scratch.at, self.burst, entry, at, NULL, now)
                found = []
                for i in range(n):
                    match = &self.scratch.at.matches[i]
                    state = THRESHOLD_ALERT
                    if match.flags & MATCH_THRESHOLD:
                        state = threshold_check(self.thresholds, &self.database.rules, match, self.burst, entry,
                                                <uint64_t> <size_t> at, NULL, now)
                    if state == THRESHOLD_SUPPRESS:
                        continue
                    if state == THRESHOLD_SILENT:
                        match.flags &= <uint16_t> ~MATCH_ALERT
                    flags = {name for name, flag in (("alert", MATCH_ALERT), ("flow", MATCH_FLOW), ("stream", MATCH_STREAM),
                                                     ("bypass", MATCH_BYPASS)) if match.flags & flag}
                    if match.kind == KIND_PASS:
                        flags.add("pass")
                    found.append((match.rule, flags))
                results.append(found)
        return results

    def candidates(self, packets, int linktype=1):
        """Candidates of each packet: a list per packet of rule indices, in the order of inspection."""
        cdef Flow flow
        cdef uint32_t entry, i, n
        held = list(packets)
        results = []
        for start in range(0, len(held), BURST_MAX):
            self.fill(held[start:start + BURST_MAX], linktype)
            for entry in range(self.burst.packets):
                flow = self.flow_of(entry)
                self.scratch.at.inspection = NULL
                n = prefilter_entry(&self.database.rules, &self.scratch.at, self.burst, entry,
                                    &flow.at if flow is not None else NULL)
                results.append([self.database.rules.rules[self.scratch.at.candidates[i]].plan for i in range(n)])
        return results

    def speed(self, packets, int linktype=1, *, int repeats=5):
        """What matching costs beside bare hs_scan with an empty callback over the same buffers and databases.

        Returns a dict: `scans`, `bytes`, and lists of `repeats` times in ns: `bare` (hs_scan), `match` (prefilter and
        confirm). Decoding and flow lookup are in neither.
        """
        cdef size_t total = len(packets), at = 0, used = 0
        cdef timespec before, after
        cdef uint32_t entry
        cdef Flow flow
        cdef scan_t *log = <scan_t *> calloc(2 * total + 1, sizeof(scan_t))
        cdef flow_t **flows = <flow_t **> calloc(total + 1, sizeof(flow_t *))
        cdef packet_meta_t *metas = <packet_meta_t *> calloc(total + 1, sizeof(packet_meta_t))
        cdef uint64_t scans
        cdef const ruleset_t *rules = &self.database.rules
        cdef match_scratch_t *scratch = &self.scratch.at
        times = {"bare": [], "match": []}
        held = list(packets)
        try:
            if log == NULL or flows == NULL or metas == NULL:
                raise MemoryError
            for start in range(0, len(held), BURST_MAX):
                self.fill(held[start:start + BURST_MAX], linktype)
                for entry in range(self.burst.packets):
                    flow = self.flow_of(entry)
                    flows[at] = &flow.at if flow is not None else NULL
                    metas[at] = self.burst.meta[entry]
                    metas[at].events = NO_INDEX
                    scans = scratch.scans
                    scratch.inspection = NULL
                    prefilter_entry(rules, scratch, self.burst, entry, flows[at])
                    for scans in range(scans, scratch.scans):
                        log[used].database = scratch.scanning[scans & 1]
                        log[used].data = <const char *> metas[at].frame + metas[at].payload
                        log[used].length = metas[at].payload_len
                        used += 1
                    at += 1
            for _ in range(repeats):
                clock_gettime(CLOCK_MONOTONIC, &before)
                with nogil:
                    for at in range(used):
                        hs_scan(<hs_database_t *> rules.databases[log[at].database], log[at].data, log[at].length, 0,
                                <hs_scratch_t *> scratch.hyperscan, count_nothing, NULL)
                clock_gettime(CLOCK_MONOTONIC, &after)
                times["bare"].append((after.tv_sec - before.tv_sec) * 10**9 + after.tv_nsec - before.tv_nsec)
                clock_gettime(CLOCK_MONOTONIC, &before)
                with nogil:
                    for at in range(total):
                        self.burst.meta[0] = metas[at]
                        run_rules(rules, scratch, self.burst, 0, flows[at], NULL, 0)
                clock_gettime(CLOCK_MONOTONIC, &after)
                times["match"].append((after.tv_sec - before.tv_sec) * 10**9 + after.tv_nsec - before.tv_nsec)
            return times | {"scans": used, "bytes": sum(log[at].length for at in range(used))}
        finally:
            free(log)
            free(flows)
            free(metas)


ctypedef struct scan_t:
    const char *data
    uint32_t length, database


cdef int count_nothing(unsigned int pattern, unsigned long long start, unsigned long long end, unsigned int flags,
                       void *context) noexcept nogil:
    return 0
