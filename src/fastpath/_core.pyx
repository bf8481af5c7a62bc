# See _core.pxd. The worker's and the ingest's loops are parts of this module, in files of their own; this is the Python door.
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport UINT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

import os
from operator import itemgetter

import numpy as np

from fastpath.dataplane import rows as row_types
from fastpath.dataplane.decode import EVENT_NAMES
from fastpath.dataplane.policy import COUNT

from fastpath.dataplane.applayer.applayer cimport *
from fastpath.dataplane.applayer.dispatch cimport (
    EITHER_WAY, FEED_REVERSED, close_session, feed_bytes, feed_datagram, feed_inner, free_done, free_work, log_due,
    open_session, open_table, passes_by, room_of,
)
from fastpath.dataplane.applayer.expectations cimport (
    announced_t, expectation_t, expectations_t, meet_expectation, remember_announced,
)
from fastpath.dataplane.applayer.fileinfo cimport is_model, say_file, say_files
from fastpath.dataplane.applayer.files cimport file_cut, name_magic
from fastpath.dataplane.applayer.magic cimport close_magic, open_magic, tell_magic
from fastpath.dataplane.applayer.sight cimport SERVICES_FIRST, SERVICES_MAX, SERVICE_NAME_MAX, service_t, sight_t
from fastpath.dataplane.applayer.msgpack cimport (
    close_nested, open_array, open_map, put_bytes, put_key, put_uint, say_uint, writer_t,
)
from fastpath.dataplane.arena cimport close_arena, empty_arena
from fastpath.dataplane.bindings cimport (
    bind_burst, bindings_stats, bindings_t, clear_bindings, close_bindings, open_bindings, queue_pairs_of, set_hardware, set_tags,
    take_bindings,
)
from fastpath.dataplane.decap cimport decap_burst
from fastpath.dataplane.decode cimport decode_burst, decode_defaults, decode_settings
from fastpath.dataplane.defrag cimport clear_defrag, close_defrag, open_defrag, take_fragment
from fastpath.dataplane.device cimport *
from fastpath.dataplane.events cimport EVENT_GTPU_FOREIGN_ADDRESS, EVENT_ROCE_ANOTHER_SEGMENT, EVENT_TOO_MANY_LAYERS
from fastpath.dataplane.flow cimport (
    ANSWERED_ESTABLISHES, CLASS_ICMP, CLASS_TCP, CLASS_UDP, close_bucket, count_on_flow, create_flow, find_flow, find_slot,
    flow_in, flow_slot_t, FlowMemory, flush_bucket, is_alike, is_timed_out, open_bucket, rearm_flow, restart_flow, tick_bucket,
)
from fastpath.dataplane.hash cimport flow_has_key, flow_id_of, flow_key_of, hash_key
from fastpath.dataplane.hosts cimport close_hosts, open_hosts
from fastpath.dataplane.isolation cimport (
    CUT_PLACES, cut_off, cut_t, entry_isolated, find_cut, isolated4_t, isolated6_t, isolation_t, key_isolated,
)
from fastpath.dataplane.applayer.keyring cimport KeyRing, empty_keyring, take_key_log
from fastpath.dataplane.keyed cimport close_keyed, drop_keyed, find_keyed, keyed_t, keyed_table_t, put_keyed
from fastpath.dataplane.log cimport *
from fastpath.dataplane.match.database cimport Database, Scratch
from fastpath.dataplane.match.datasets cimport clear_datasets, close_datasets, name_datasets, open_datasets
from fastpath.dataplane.match.flowbits cimport BITS_FROM, texts_of
from fastpath.dataplane.match.inspect cimport run_rules
from fastpath.dataplane.match.program cimport (
    CAPTURE_KEY, FATE_ALERT, FATE_NO_ALERT, FATE_SUPPRESSED, FATE_THRESHOLD, FATE_TOO_MANY, INSPECT_FLUSH, INSPECT_IN_STREAM,
    INSPECT_NO_PAYLOAD, INSPECT_PICKED_UP, INSPECT_PROTO_FOUND, INSPECT_QUIET, INSPECT_STREAM_END, INSPECT_TX, KIND_PASS,
    MATCH_ALERT, MATCH_BYPASS, MATCH_FLOW, MATCH_NOTE, MATCH_STATE, MATCH_STREAM, MATCH_THRESHOLD, NOTE_CLIENT, NOTE_VERSION,
    NO_TX, captured_t, captures_t, dataset_entry_t, datasets_t, inspection_t, match_scratch_t, match_t, noted_t, ruleset_t,
    texts_t, window_t,
)
from fastpath.dataplane.match.trace cimport Trace, trace_fate
from fastpath.dataplane.match.xbits cimport clear_xbits, close_xbits, open_xbits
from fastpath.dataplane.more cimport ensure_more, flow_text_t
from fastpath.dataplane.match.threshold cimport (
    THRESHOLD_ALERT, THRESHOLD_SUPPRESS, clear_thresholds, close_thresholds, open_thresholds, threshold_check,
)
from fastpath.dataplane.policy cimport (
    FOR_EVER, NO_LINE, POLICY_ASTRAY, POLICY_CONDITIONAL, POLICY_CUT, POLICY_DENIED, POLICY_NAMED, POLICY_NONE, POLICY_PENDING,
    POLICY_REVERSED, POLICY_STATE, WHY_BINDING, Classifier, asked_t, decide, decide_data, find_encapsulation, find_endpoint,
    policy_count_t, policy_flow_t, policy_t, service_of, told_t,
)
from fastpath.dataplane.pool cimport pool_take_raw
from fastpath.dataplane.ring cimport Ring, publish_rows, write_row
from fastpath.dataplane.rx cimport RX_MORE, Source, rx_burst
from fastpath.dataplane.steer cimport steer_burst, steering_t
from fastpath.dataplane.stream cimport *
from fastpath.dataplane.tcp.flags cimport follow_flags, follows_the_end
from fastpath.dataplane.telemetry cimport (
    APP_ROW_CHUNK, APP_ROW_NOTED, APP_ROW_VARS, KEEP_ALERTS, KEEP_DROPS, KEPT_MAX, add_row, add_run, begin_app_row, bin_of, bin_t,
    close_buffer, close_kept, close_rows, end_app_row, entry_order, keep_packet, merge_app_rows, merge_rows, open_buffer,
    open_rows, packet_row_t, policy_row_t, tick_order, write_alert_row, write_event_rows, write_flow_row,
)
from fastpath.dataplane.threads cimport (
    clock_ns, load_acquire, prefetch, prefetch_later, pthread_cond_broadcast, pthread_cond_init, pthread_cond_wait,
    pthread_create, pthread_join, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock, rarely, sched_yield,
    store_release, ticks,
)
from fastpath.dataplane.types cimport *
from fastpath.dataplane.verdict cimport clear_verdict, judge_flow, judge_malformed, judge_match, raise_verdict
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.udp cimport UDP_LEN, UDP_LENGTH_AT

#: By stream_config_t.urgent.
URGENT_POLICIES = ("inline", "drop", "oob", "gap")
#: By enum exception_policy.
EXCEPTION_POLICIES = ("ignore", "pass-packet", "pass-flow", "bypass", "drop-packet", "drop-flow", "reject")
#: By enum exception_cause, as Suricata's statistics name them (exception_policy.*).
EXCEPTION_CAUSES = ("defrag.memcap", "flow.memcap", "tcp.ssn_memcap", "tcp.reassembly", "tcp.midstream", "app_layer.error")
#: By enum ask_reason, enum close_code.
ASK_REASONS = ("rule", "drop", "pass", "encrypted", "depth", "elephant", "outside")
CLOSE_CODES = ("not_closed", "finack", "rst", "timeout", "deleted")
DECODE_SETTINGS = ("compat", "vlan_tracking", "vni_in_key", "max_depth", "max_layers")

cdef extern from "<stdlib.h>":
    void *aligned_alloc(size_t alignment, size_t size) noexcept nogil

cdef enum:
    SECOND = 1000000000
    CACHE_LINE = 64
    AHEAD = 16                  # entries whose flow is fetched at a time, before their turn
    LINES_COUNTED = 4           # lines of the capture, at most, that are fetched beside an entry that is but counted,
    LINES_INSPECTED = 24        # and beside one with which there is more to do
    PAYLOADS_AHEAD = 2          # entries whose payload is fetched before its turn
    PAYLOAD_FETCHED = 2048      # bytes of it
    AUTO_SAMPLE = 1000
    ROWS_MAX = 1 << 26          # bytes that rows of applications say, after which they are to be taken
    CLOSED_KEPT = 65536         # closed sessions, to be fetched
    CLOSED_LEAST = 4096         # of a slice
    DECRYPTED_MAX = 16384       # sessions that are decrypted at a time
    TCP = 6
    UDP = 17

include "_exceptions.pxi"
include "_offload.pxi"
include "_bindings.pxi"
include "_configure.pxi"
include "_isolation.pxi"
include "_log.pxi"
include "_state.pxi"
include "_policy.pxi"
include "_worker.pxi"
include "_sessions.pxi"
include "_sight.pxi"
include "_ingest.pxi"
include "_device_door.pxi"


# ---- the Python door ----

cdef object take(row_buffer_t *buffer, object dtype):
    """The rows of a buffer as a numpy array of that dtype; the buffer is empty afterwards."""
    if dtype.itemsize != buffer.size:
        raise AssertionError(f"a row has {buffer.size} bytes, its dtype {dtype.itemsize}")
    array = np.empty(buffer.used, dtype)
    cdef unsigned char[::1] view
    if buffer.used:
        view = array.view(np.uint8)
        memcpy(&view[0], buffer.rows, <size_t>buffer.used * buffer.size)
    buffer.used = 0
    if buffer.room > 65536:
        close_buffer(buffer)
    return array


cdef bint is_for(list rooms, Database database):
    """Is this the working memory for that rule set?"""
    return rooms is not None and (<Scratch>rooms[0]).database is database


cdef class DataPlane:
    """The stages and their memory. One thread at a time; `fastpath.Engine` is the face to use.

    settings: see `fastpath.control.config`. Raises MemoryError when the tables cannot be reserved.
    """
    cdef engine_t engine
    cdef list rooms             # Scratch of each worker, for the rule set in force
    cdef Ring ring              # of engine.ring
    cdef list prepared          # the same, for the one that comes next; or None
    cdef list before            # of rule sets that are in force no more
    cdef FlowMemory flow_memory     # that the one before has left, and this one leaves
    cdef dict limits
    cdef dict outside           # (bucket, row of its keyed table) by the identifier of a session that was added from outside
    cdef dict changes           # of data sets, of the run that ended with the latest flush; or None
    cdef object magic_files     # where libmagic has its database, "" for where it looks by itself
    cdef object traced          # the Trace that is filled, or None
    cdef KeyRing keys           # that were given, or None
    cdef isolation_t isolation
    cdef tuple isolated         # the arrays that it points into
    cdef object responses
    cdef unsigned char epoch
    cdef bindings_t bindings
    cdef list queue_pairs       # of captures before this one
    cdef Classifier classifier  # of the policy in force, or None
    cdef Classifier classifier_before
    cdef policy_t policy        # its head, with an epoch of this data plane's own
    cdef unsigned short policy_epoch
    cdef object rule_data
    cdef object owner           # process id: worker threads do not survive a fork
    cdef uint32_t flush_next    # bucket
    cdef bint threads_running

    def __cinit__(self):
        memset(&self.engine, 0, sizeof(engine_t))

    def __init__(self, settings):
        cdef engine_t *engine = &self.engine
        cdef uint32_t i, j, slots, entry
        if engine.worker != NULL:
            raise RuntimeError("a DataPlane is set up once")
        engine.workers = settings["workers"]
        engine.burst = settings["burst"]
        engine.buckets = settings["buckets"]
        if not 1 <= engine.burst <= BURST_MAX:
            raise ValueError(f"burst must be 1 to {BURST_MAX}, not {engine.burst}")
        if not 1 <= engine.buckets <= 128 or engine.buckets & (engine.buckets - 1):
            raise ValueError(f"buckets must be a power of two up to 128, not {engine.buckets}")
        if not 1 <= engine.workers <= WORKERS_MAX:
            raise ValueError(f"workers must be 1 to {WORKERS_MAX}, not {engine.workers}")
        self.owner = os.getpid()
        self.rooms, self.before = [], []
        self.outside = {}
        self.queue_pairs = []
        self.limits = {"match_limit": settings["pcre"]["match_limit"], "depth_limit": settings["pcre"]["recursion_limit"]}
        engine.packet_alert_max = settings.get("packet_alert_max", 15)
        engine.keep_packets = settings.get("keep_packets", False)
        engine.timing = settings.get("statistics", True)
        keep = settings.get("keep_bytes", ())
        engine.keep = (KEEP_ALERTS if "alerted" in keep else 0) | (KEEP_DROPS if "dropped" in keep else 0)
        engine.next_ordinal = 1
        self.set_mode(settings["mode"], settings.get("malformed_action", "pass"))
        decode_defaults(&engine.decode)
        decode_settings(&engine.decode, {name: settings[name] for name in DECODE_SETTINGS if name in settings}
                        | {"checksums": settings["checksums"] != "none"}
                        | {name: ports or [] for name, ports in settings["tunnels"].items()})
        engine.checksums_auto = settings["checksums"] == "auto"
        engine.keep_payloads = settings.get("keep_payloads", False)
        engine.keep_log = settings.get("keep_log", False)
        if engine.keep_log and (engine.workers > 1 or engine.buckets > 1):
            raise ValueError("a log is kept by one worker over one bucket")
        engine.payload_size = settings.get("payload_size", 4096)
        engine.keep_apps = settings.get("keep_apps", False)
        engine.sessions = engine.keep_apps or settings.get("keep_llm", False)
        configure_flow(engine, settings)
        configure_stream(engine, settings["stream"], settings["exceptions"]["tcp.midstream"])
        engine.keep_files = settings.get("keep_files", False)
        engine.keep_vars = engine.keep_apps or settings.get("keep_vars", False)
        open_table(&engine.apps, {"http.http-body-inline": engine.inline_mode,
                                  "llm.always": settings.get("keep_llm", False)} | settings.get("app_layer", {}))
        engine.sessions = engine.sessions or engine.apps.config.files.models
        configure_exceptions(engine, settings["exceptions"], settings["simulate"])
        self.keys = settings.get("keys")
        configure_sight(engine, self.keys, settings.get("app_layer", {}).get("tls.decrypt-sessions", DECRYPTED_MAX))
        if engine.keep_apps:
            engine.apps.config.files.hashes |= FILE_MD5 | FILE_SHA256
        configure_defrag(engine, settings["defrag"], settings["hosts"])
        engine.worker = <worker_t *>calloc(engine.workers, sizeof(worker_t))
        engine.bucket = <bucket_t *>calloc(engine.buckets, sizeof(bucket_t))
        engine.device = <device_t *>calloc(engine.buckets, sizeof(device_t))
        slots = SLOTS if engine.workers > 1 else 1
        engine.slot = <slot_t *>aligned_alloc(CACHE_LINE, slots * sizeof(slot_t))
        engine.keyed = <keyed_table_t *>calloc(engine.buckets, sizeof(keyed_table_t))
        if engine.worker == NULL or engine.bucket == NULL or engine.device == NULL or engine.keyed == NULL or engine.slot == NULL:
            raise MemoryError("no memory for the tables of the data plane")
        memset(engine.slot, 0, slots * sizeof(slot_t))
        pthread_mutex_init(&engine.lock, NULL)
        pthread_cond_init(&engine.moved, NULL)
        open_rows(&engine.rows)
        open_buffer(&engine.runs, sizeof(verdict_run_t))
        open_buffer(&engine.packets, sizeof(packet_row_t))
        if engine.workers > 1:
            engine.shared.wait = wait_worker
        engine.shared.datasets = open_datasets(settings.get("datasets_memcap", 1 << 30))
        if engine.shared.datasets == NULL:
            raise MemoryError("no memory for the sets that rules change")
        engine.shared.xbits = open_xbits(settings.get("xbits_memcap", 16 << 20))
        if engine.shared.xbits == NULL:
            raise MemoryError("no memory for the bits of hosts")
        engine.expectations = <expectations_t *>calloc(1, sizeof(expectations_t))
        if engine.expectations == NULL:
            raise MemoryError("no memory for the flows that others tell of")
        engine.thresholds = open_thresholds(settings.get("threshold_memcap", 16 << 20))
        if engine.thresholds == NULL:
            raise MemoryError("no memory for the threshold table")
        for i in range(slots):
            engine.slot[i].rows = <rows_t *>calloc(engine.workers, sizeof(rows_t))
            engine.slot[i].eventful = <uint8_t *>calloc(engine.workers, 1)
            if engine.slot[i].rows == NULL or engine.slot[i].eventful == NULL:
                raise MemoryError("no memory for the rows of a burst")
            for j in range(engine.workers):
                open_rows(&engine.slot[i].rows[j])
            engine.slot[i].steering.bucket_bits = <uint32_t>(int(engine.buckets).bit_length() - 1)
            for entry in range(ENTRIES_MAX):
                clear_verdict(&engine.slot[i].verdict[entry])
        for i in range(engine.workers):
            engine.worker[i].engine = engine
            engine.worker[i].number = i
            engine.worker[i].rows = &engine.rows
            engine.worker[i].context.config = &engine.apps.config
            engine.worker[i].context.work = &engine.worker[i].work
            engine.worker[i].work.room = <uint8_t *>calloc(1, WORK_ROOM)
            engine.worker[i].work.worker = &engine.worker[i]
            engine.worker[i].work.meet = meet_flow
            if engine.keep_files:
                engine.worker[i].work.store = store_bytes
            engine.worker[i].work.announced = calloc(1, sizeof(announced_t))
            engine.worker[i].work.plain = <uint8_t *>calloc(1, PLAIN_ROOM)
            engine.worker[i].work.deliver = deliver_plain
            engine.worker[i].work.tell_magic = tell_magic
            engine.worker[i].flush = <burst_t *>aligned_alloc(CACHE_LINE, sizeof(burst_t))
            if engine.worker[i].work.room == NULL or engine.worker[i].flush == NULL \
                    or engine.worker[i].work.announced == NULL or engine.worker[i].work.plain == NULL:
                raise MemoryError("no memory for a worker")
            memset(engine.worker[i].flush, 0, sizeof(burst_t))
        self.magic_files = settings.get("magic_file", "")
        if engine.apps.config.files.force_magic:
            ask_magic(engine, self.magic_files)
        if settings.get("device"):
            engine.offloads = True
            configure_offload(engine, settings["device"]["offload"])
        self.flow_memory = settings.get("flow_memory") or FlowMemory()
        open_buckets(engine, settings, self.flow_memory)

    def set_device(self, settings):
        """Changes the session table from the next packet on; its sessions stay. MemoryError when address space is lacking: then
        nothing has changed."""
        cdef device_config_t config
        cdef uint32_t i
        for i in range(self.engine.buckets):
            if self.engine.device[i].on:
                config = device_config(&self.engine, i, settings)
                if make_room(&self.engine.device[i], &config):
                    raise MemoryError(f"no address space for a session table of {settings['sessions']} sessions")
        for i in range(self.engine.buckets):
            if self.engine.device[i].on:
                config = device_config(&self.engine, i, settings)
                apply_config(&self.engine.device[i], &config)
            else:
                configure_device(&self.engine, i, settings)
                self.engine.device[i].second = self.engine.second
        self.engine.offloads = True
        configure_offload(&self.engine, settings["offload"])

    def __dealloc__(self):
        cdef engine_t *engine = &self.engine
        cdef uint32_t i, j
        self._stop_threads()
        if engine.slot != NULL:
            for i in range(SLOTS if engine.workers > 1 else 1):
                if engine.slot[i].rows != NULL:
                    for j in range(engine.workers):
                        close_rows(&engine.slot[i].rows[j])
                close_arena(&engine.slot[i].wholes)
                free(engine.slot[i].rows)
                free(engine.slot[i].eventful)
        for i in range(engine.buckets):
            if engine.bucket != NULL:
                self._drop_sessions(i)
                close_bucket(&engine.bucket[i], &self.flow_memory.tables[i] if self.flow_memory is not None else NULL)
            if engine.device != NULL:
                close_device(&engine.device[i])
            if engine.keyed != NULL:
                close_keyed(&engine.keyed[i])
            if engine.policy_flows != NULL:
                free(engine.policy_flows[i])
            if engine.sight != NULL:
                free(engine.sight[i].services)
        free(engine.policy_flows)
        close_bindings(&self.bindings)
        free(engine.sight)
        empty_keyring(&engine.capture_keys)
        close_defrag(&engine.defrag)
        close_hosts(&engine.hosts)
        close_rows(&engine.rows)
        close_buffer(&engine.runs)
        close_buffer(&engine.packets)
        close_kept(&engine.kept)
        if engine.thresholds != NULL:
            close_thresholds(engine.thresholds)
            free(self.isolation.cuts.places)
        close_datasets(engine.shared.datasets)
        if engine.shared.xbits != NULL:
            close_xbits(engine.shared.xbits)
        free(engine.expectations)
        if engine.worker != NULL:
            for i in range(engine.workers):
                free(engine.worker[i].policy_counts)
                free_work(&engine.worker[i].work)
                free(engine.worker[i].work.room)
                free(engine.worker[i].work.announced)
                free(engine.worker[i].work.plain)
                close_magic(engine.worker[i].work.magic)
                free(engine.worker[i].flush)
        free(engine.worker)
        free(engine.bucket)
        free(engine.device)
        free(engine.keyed)
        free(engine.slot)

    cdef void _drop_sessions(self, uint32_t number) noexcept:
        """Gives back what sessions hold beyond the pool of their bucket."""
        cdef bucket_t *bucket = &self.engine.bucket[number]
        cdef uint32_t i
        cdef flow_t *flow
        if self.engine.worker == NULL or self.engine.sight == NULL:
            return
        for i in range(bucket.fresh):
            flow = &bucket.flows[i]
            if flow.flags & FLOW_FREE or flow.more == NULL:
                continue
            if flow.more.app != NULL and enter_session(&self.engine, self.engine.worker, flow, number, 0):
                close_session(&self.engine.apps, &self.engine.worker.context)
            if flow.key.proto == TCP:
                release_stream(&bucket.pool, flow)

    # ---- threads ----

    def _start_threads(self):
        cdef uint32_t i
        if self.engine.workers == 1 or self.threads_running:
            return
        self.engine.stopping = False
        for i in range(self.engine.workers):
            self.engine.worker[i].turn = self.engine.next_ordinal << 16
            if pthread_create(&self.engine.worker[i].thread, NULL, run_worker, &self.engine.worker[i]):
                raise RuntimeError(f"worker thread {i} could not be started")
        self.threads_running = True

    cdef void _stop_threads(self) noexcept:
        cdef uint32_t i
        if not self.threads_running or os.getpid() != self.owner:
            return
        with nogil:
            pthread_mutex_lock(&self.engine.lock)
            self.engine.stopping = True
            pthread_cond_broadcast(&self.engine.moved)
            pthread_mutex_unlock(&self.engine.lock)
            for i in range(self.engine.workers):
                pthread_join(self.engine.worker[i].thread, NULL)
        self.threads_running = False

    def close(self):
        """Stops the worker threads; what has not been taken is lost."""
        self._stop_threads()

    # ---- control ----

    def set_mode(self, mode, malformed_action="pass"):
        """mode: "ids" cuts nothing, "ips" does. malformed_action: "pass" or "drop"."""
        actions = {"pass": ACTION_PASS, "drop": ACTION_DROP}
        self.engine.inline_mode = {"ids": 0, "ips": 1}[mode]
        self.engine.malformed_action = actions[malformed_action]

    def prepare(self, Database database):
        """Makes the working memory that load(database) needs, so that it takes no time then; from any thread. None: for no
        rules."""
        if database is not None and not is_for(self.prepared, database):
            self.prepared = [Scratch(database, **self.limits) for _ in range(self.engine.workers)]

    def spent(self):
        """Takes what belonged to rule sets before the one in force: it takes time to be freed."""
        spent, self.before = self.before, []
        return spent

    def load(self, Database database):
        """Swaps the rule set: packets from the next ordinal on are inspected by it. The old one stays on any error."""
        cdef uint32_t i
        cdef Scratch scratch
        rooms, self.prepared = self.prepared, None
        if not is_for(rooms, database):
            rooms = [Scratch(database, **self.limits) for _ in range(self.engine.workers)]
        if database.magic:
            ask_magic(&self.engine, self.magic_files)
        if not name_datasets(self.engine.shared.datasets, database.rules.header.flowbits):
            raise MemoryError("no memory for the sets that rules change")
        self.engine.rules_store = database.stores
        self.before.append(self.rooms)
        self.epoch = self.epoch % 255 + 1
        database.set_epoch(self.epoch)
        for i, scratch in enumerate(rooms):
            scratch.at.shared = &self.engine.shared
            scratch.at.worker = &self.engine.worker[i]
            self.engine.worker[i].scratch = &scratch.at
        self.rooms = rooms
        self.engine.apps.config.files.hashes |= database.hashes
        self.engine.apps.config.files.models |= database.models
        self.engine.stream.compare_overlaps |= database.overlaps
        self.engine.rules = &database.rules if database.rules.rule_count else NULL
        self.engine.sessions = self.engine.keep_apps or self.engine.sessions or self.engine.rules != NULL

    def load_policy(self, Classifier classifier):
        """Swaps the policy: packets from the next ordinal on are judged by it, those of known flows too. None for none.
        Gives its epoch, which rows of denials bear; 0 for none. Counters begin anew: take policy_counts() before."""
        cdef engine_t *engine = &self.engine
        cdef uint32_t i
        cdef policy_count_t *counts[WORKERS_MAX]
        if classifier is None:
            engine.policy = NULL
            self.classifier = None
            return 0
        if engine.policy_flows == NULL:
            engine.policy_flows = <policy_flow_t **>calloc(engine.buckets, sizeof(void *))
            if engine.policy_flows == NULL:
                raise MemoryError("no memory for what policy tells flows")
        for i in range(engine.buckets):
            if engine.policy == NULL:       # what was told before a time without policy is about other flows by now
                free(engine.policy_flows[i])
                engine.policy_flows[i] = NULL
            if engine.policy_flows[i] == NULL:
                engine.policy_flows[i] = <policy_flow_t *>calloc(engine.bucket[i].limit, sizeof(policy_flow_t))
            if engine.policy_flows[i] == NULL:
                raise MemoryError(f"no memory for what policy tells {engine.bucket[i].limit} flows")
        for i in range(engine.workers):
            counts[i] = <policy_count_t *>calloc(classifier.policy.line_count + 2, sizeof(policy_count_t))
            if counts[i] == NULL:
                while i:
                    i -= 1
                    free(counts[i])
                raise MemoryError("no memory for the counters of a policy")
        for i in range(engine.workers):
            free(engine.worker[i].policy_counts)
            engine.worker[i].policy_counts = counts[i]
        self.policy_epoch = self.policy_epoch % 65535 + 1
        self.policy = classifier.policy
        self.policy.epoch = self.policy_epoch
        self.classifier_before = self.classifier
        self.classifier = classifier
        engine.policy = &self.policy
        engine.sessions = engine.sessions or classifier.policy.conditional
        return self.policy_epoch

    def find_data(self, data):
        """data: uint16, for each rule of the set in force the classes of data that it finds, as bits; None where none does."""
        cdef const uint16_t[::1] view
        self.engine.rule_data_count = 0
        self.rule_data = data
        if data is not None and len(data):
            view = data
            self.engine.rule_data = &view[0]
            self.engine.rule_data_count = <uint32_t>len(data)

    def policy_counts(self):
        """Of each line of the policy in force, then of the default, then of what was not decided yet: policy.COUNT."""
        cdef uint32_t i
        cdef unsigned char[::1] view
        if self.engine.policy == NULL:
            return np.zeros(0, COUNT)
        made = np.zeros((self.engine.workers, self.classifier.lines + 2), COUNT)
        view = made.reshape(-1).view("u1")
        for i in range(self.engine.workers):
            memcpy(&view[i * (view.shape[0] // self.engine.workers)], self.engine.worker[i].policy_counts,
                   view.shape[0] // self.engine.workers)
        total = np.zeros(made.shape[1], COUNT)
        for name in COUNT.names:
            total[name] = made[name].sum(0)
        return total

    def trace(self, Trace trace):
        """Notes what becomes of the trace's rule, of the Database that was loaded last, from now on; None for no more. With
        one worker:
        RuntimeError for more."""
        cdef Scratch scratch
        if self.engine.workers > 1:
            raise RuntimeError("a trace is of one worker")
        if not self.rooms or trace is not None and trace.database is not self.rooms[0].database:
            raise ValueError("the trace is about another rule set")
        scratch = self.rooms[0]
        scratch.at.trace = &trace.at if trace is not None else NULL
        self.traced = trace

    def begin_capture(self):
        """A capture begins: checksum mode auto judges anew."""
        self.engine.capture_packets = 0
        self.engine.wrong_checksums = 0
        self.engine.stepped = 0
        self.engine.secrets_read = 0

    def step(self, Source source not None, uint32_t bursts=256, uint64_t stop_at=0):
        """Runs up to so many bursts of the source without the GIL, and no packet from the ordinal `stop_at` on (0: none such).
        False when the source has no more for now: its status says why."""
        cdef uint32_t done
        cdef uint64_t waited
        if stop_at and stop_at <= self.engine.next_ordinal:
            raise ValueError(f"packet {stop_at} is not ahead: the next one is {self.engine.next_ordinal}")
        if self.engine.decode.compat:
            source.require_uniform()
        self._start_threads()
        self.engine.stop_at = stop_at
        with nogil:
            if self.engine.stepped:
                waited = clock_ns() - self.engine.stepped
                self.engine.held_up_ns += waited
                self.engine.held_up_longest_ns = max(self.engine.held_up_longest_ns, waited)
            done = run_bursts(&self.engine, &source.rx, bursts)
            self.engine.stepped = clock_ns() if source.rx.status == RX_MORE else 0
        self.engine.stop_at = 0
        return (done == bursts or source.rx.status == RX_MORE or not goes_on(&self.engine)
                or stop_at == self.engine.next_ordinal)

    def publish(self, Ring ring, uint32_t rule_base):
        """Every verdict goes into this ring too, from the next packet on; None for into none. rule_base: what is added to
        the numbers of rules."""
        self.ring = ring
        self.engine.rule_base = rule_base
        self.engine.ring = &ring.ring if ring is not None else NULL

    def call(self):
        """Ends the step or the inspection that runs at its next burst; from any thread."""
        store_release(&self.engine.called, 1)

    def heed(self):
        """A call has been heard. To be said before what it is about is looked up, so that none is missed."""
        store_release(&self.engine.called, 0)

    def look_beyond(self, tags, hardware, bint neighbours):
        """What is beyond Suricata is looked at from the next packet on: bindings.TAG of the tenants, KNOWN_ROW of a manifest of
        hardware or None, and whether it names neighbours. Once begun it goes on; MemoryError."""
        bind_all(&self.engine, &self.bindings)
        set_tags(&self.bindings, tags)
        if hardware is not None and not self.bindings.hardware.on:
            set_hardware(&self.bindings, hardware, neighbours)

    @property
    def queue_pairs_seen(self):
        """Of RoCE, a dict each: bindings.queue_pairs_of."""
        return self.queue_pairs + (queue_pairs_of(&self.bindings) if self.engine.bindings != NULL else [])

    cdef void _consider_isolation(self) noexcept:
        cdef bint any = (self.isolation.count4 or self.isolation.count6 or self.isolation.cuts.taken
                         or self.engine.responses != NULL)
        self.engine.isolation = &self.isolation if any else NULL

    def respond(self, responses):
        """responses: uint32, for each rule in force what RulePlan.isolate says; None where none isolates. MemoryError."""
        cdef const uint32_t[::1] view
        self.engine.responses = NULL
        self.responses = responses
        if responses is not None:
            if self.isolation.cuts.places == NULL:
                self.isolation.cuts.places = <cut_t *>calloc(CUT_PLACES, sizeof(cut_t))
                if self.isolation.cuts.places == NULL:
                    raise MemoryError("no memory for workloads that rules isolate")
            view = responses
            self.engine.responses, self.engine.response_count = &view[0], <uint32_t>len(responses)
        self._consider_isolation()

    def lift(self, uint8_t net, bytes address not None):
        """Ends what rules have cut off: an address of 4 or 16 bytes, network order. False where it is not."""
        cdef cut_t *place
        if self.isolation.cuts.taken == 0:
            return False
        place = find_cut(&self.isolation.cuts, net, <const uint8_t *><const char *>address)
        if place.net == 0 or place.until <= self.engine.time:
            return False
        place.until = 0
        return True

    def isolate(self, ranges4, ranges6):
        """Cuts off these addresses and no others, from the next packet on; gives how many sessions the device had for them:
        they are deleted. ranges4, ranges6: rows.ISOLATED4 and ISOLATED6, sorted, without overlap; they must not change."""
        cdef const unsigned char[::1] bytes4 = ranges4.view(np.uint8), bytes6 = ranges6.view(np.uint8)
        cdef uint32_t ended
        self.isolated = (ranges4, ranges6)
        self.isolation.count4, self.isolation.count6 = len(ranges4), len(ranges6)
        self.isolation.v4 = <const isolated4_t *>&bytes4[0] if self.isolation.count4 else NULL
        self.isolation.v6 = <const isolated6_t *>&bytes6[0] if self.isolation.count6 else NULL
        self._consider_isolation()
        if self.isolation.count4 == 0 and self.isolation.count6 == 0:
            return 0
        with nogil:
            ended = end_isolated_sessions(&self.engine)
        return ended

    def inspect(self, Source source not None, verdicts not None):
        """Inspects the packets of a source that is whole (a batch): all of them, or those up to a call. verdicts: a contiguous,
        writeable array of rows.VERDICT, one element a packet (the caller has checked that). Gives how many packets."""
        cdef uint32_t done = 1
        cdef uint64_t first = self.engine.next_ordinal
        cdef Py_buffer view         # a typed memoryview would read the dtype anew in every call
        self._start_threads()
        PyObject_GetBuffer(verdicts, &view, PyBUF_WRITABLE)
        try:
            with nogil:
                self.engine.verdicts_out = <verdict_t *>view.buf
                self.engine.verdicts_room = view.len // sizeof(verdict_t)
                while done:
                    done = run_bursts(&self.engine, &source.rx, 1024)
                self.engine.verdicts_out = NULL
                self.engine.verdicts_room = 0
        finally:
            PyBuffer_Release(&view)
        return self.engine.next_ordinal - first

    @property
    def waiting(self):
        """Alerts that wait to be taken."""
        return self.engine.rows.alerts.used

    def tick(self, uint64_t now):
        """Moves engine time on to `now` (ns): what has timed out ends. Time never goes back."""
        cdef uint32_t i
        if now <= self.engine.time:
            return
        self.engine.time = now
        self.engine.second = now // SECOND
        for i in range(self.engine.workers):
            self.engine.worker[i].rows = &self.engine.rows
        for i in range(self.engine.buckets):
            tick_sessions(&self.engine, i, self.engine.second)
            tick_bucket(&self.engine.bucket[i], self.engine.second, self.engine.next_ordinal, 0)

    def flush(self):
        """Ends every flow of the next bucket that has not been flushed; True while buckets remain. Rows are to be taken in
        between, so that a million flows need no memory for a million rows. Afterwards all detection state is empty."""
        cdef uint32_t i
        if self.flush_next == 0:
            for i in range(self.engine.workers):
                self.engine.worker[i].rows = &self.engine.rows
        with nogil:
            flush_bucket(&self.engine.bucket[self.flush_next], self.engine.next_ordinal - 1, END_SHUTDOWN)
            empty_device(&self.engine, self.flush_next)
        self.flush_next += 1
        if self.flush_next < self.engine.buckets:
            return True
        self.flush_next = 0
        if self.engine.keep_log:
            log_emptied(&self.engine.worker[0])
        self.engine.time = self.engine.second = 0
        clear_thresholds(self.engine.thresholds)
        clear_xbits(self.engine.shared.xbits)
        self.changes = changed_sets(self.engine.shared.datasets)
        clear_datasets(self.engine.shared.datasets)
        memset(self.engine.expectations, 0, sizeof(expectations_t))
        clear_defrag(&self.engine.defrag)
        if self.engine.bindings != NULL:
            self.queue_pairs += queue_pairs_of(&self.bindings)
            clear_bindings(&self.bindings)
        empty_keyring(&self.engine.capture_keys)
        return False

    # ---- what comes out ----

    def changed_sets(self):
        """Takes what rules have changed of the sets up to the latest flush, or up to now where there was none:
        {number of its name: {entry (bytes): is it a member}}."""
        changes, self.changes = self.changes, None
        return changed_sets(self.engine.shared.datasets) if changes is None else changes

    @property
    def time(self):
        """Of packets: ns since 1970, 0 before the first."""
        return self.engine.time

    @property
    def next_ordinal(self):
        """Of the next wire packet; they count from 1."""
        return self.engine.next_ordinal

    def alerts(self):
        """Takes the alerts alone of what `rows` would take."""
        return take(&self.engine.rows.alerts, row_types.ALERT)

    def rows(self):
        """Takes what has retired: a dict of numpy arrays "alerts", "flows", "events", "runs", "packets", "apps"
        "denials" (dataplane/rows.py), and "app_bytes", the bytes that the rows of apps point into.
        The last run stays until `last_run`, since it may grow."""
        cdef row_buffer_t *runs = &self.engine.runs
        cdef verdict_run_t open_run
        cdef bint is_open = runs.used > 0
        memset(&open_run, 0, sizeof(open_run))
        if is_open:
            runs.used -= 1
            memcpy(&open_run, runs.rows + <size_t>runs.used * runs.size, sizeof(verdict_run_t))
        taken = {"alerts": take(&self.engine.rows.alerts, row_types.ALERT), "runs": take(runs, row_types.RUN),
                 "flows": take(&self.engine.rows.flows, row_types.FLOW),
                 "events": take(&self.engine.rows.events, row_types.EVENT),
                 "packets": take(&self.engine.packets, row_types.PACKET),
                 "apps": take(&self.engine.rows.apps, row_types.APP), "log": take(&self.engine.rows.log, row_types.LOG),
                 "denials": take(&self.engine.rows.denials, row_types.DENIAL),
                 "bindings": take_bindings(&self.bindings, row_types.BINDING),
                 "app_bytes": (self.engine.rows.bytes.data[:self.engine.rows.bytes.length]
                               if self.engine.rows.bytes.length else b"")}
        self.engine.rows.bytes.length = 0
        self.engine.worker[0].logged_alerts = 0
        if is_open:
            memcpy(add_row(runs, 0), &open_run, sizeof(verdict_run_t))
        return taken

    def kept(self):
        """Takes the packets whose bytes were kept ("keep_bytes" of the settings): of each a kept_head_t (telemetry.pxd), then its
        bytes."""
        taken = self.engine.kept.bytes[:self.engine.kept.used]
        self.engine.kept.used = 0
        return taken

    def last_run(self):
        """Takes the run of verdicts that was still growing; to be called once, after the last step."""
        return take(&self.engine.runs, row_types.RUN)

    def rule_costs(self):
        """What the rules in force have cost so far, as Scratch.counters() gives it, of all workers; None without rules. Of
        the time, which is taken of some bursts alone, what it comes to over all."""
        if not self.rooms:
            return None
        costs = sum(room.counters() for room in self.rooms)
        costs[3] = costs[3] * self.engine.published // max(1, timed_bursts(&self.engine))
        return costs

    cdef uint64_t _excepted(self, uint32_t cause, uint32_t policy):
        cdef uint32_t i
        cdef uint64_t count = 0
        for i in range(self.engine.workers):
            count += self.engine.worker[i].exceptions[cause][policy]
        return count

    def stats(self):
        """Counters since the beginning, as a plain dict; times in nanoseconds. From any thread: nobody waits, and while
        packets run counters may be some packets apart."""
        cdef engine_t *engine = &self.engine
        cdef uint64_t now = clock_ns()
        cdef uint64_t began = load_acquire(&engine.began)
        cdef uint32_t i, j
        cdef uint64_t lost, flow_ticks = 0
        cdef uint64_t run_ns = now - began if began else engine.run_ns
        cdef uint64_t run_ticks = ticks() - engine.began_ticks if began else engine.run_ticks
        cdef worker_t *worker
        sampled = [0] * SAMPLED
        ledger = {}
        for i, name in enumerate(("inspected", "offloaded", "dropped", "errored")):
            ledger[name] = {"packets": load_acquire(&engine.ledger_packets[i]), "bytes": load_acquire(&engine.ledger_bytes[i])}
        events = [0] * len(EVENT_NAMES)
        for i in range(engine.workers):
            worker = &engine.worker[i]
            flow_ticks += worker.burst_ticks
            for j in range(SAMPLED):
                sampled[j] += <object>worker.sampled_ticks[j] * worker.burst_ticks // max(1, worker.timed_ticks)
            for j in range(len(EVENT_NAMES)):
                events[j] += worker.events[j]
        flows = {"active": 0, "created": 0, "forced": 0, "memcap_hits": 0, "ended": [0, 0, 0, 0]}
        for i in range(engine.buckets):
            flows["active"] += engine.bucket[i].used
            flows["created"] += engine.bucket[i].created
            flows["forced"] += engine.bucket[i].forced
            flows["memcap_hits"] += engine.bucket[i].memcap_hits
            for j in range(4):
                flows["ended"][j] += engine.bucket[i].ended[j]
        flows["ended"] = dict(zip(("timeout", "forced", "shutdown", "reuse"), flows["ended"]))
        defrag = {name: {"fragments": engine.defrag.seen[i], "reassembled": engine.defrag.whole[i]}
                  for i, name in enumerate(("ipv4", "ipv6"))}
        defrag |= {"active": engine.defrag.datagrams.used, "memory": engine.defrag.memory, "timed_out": engine.defrag.timed_out,
                   "given_up": engine.defrag.given_up, "left_out": engine.defrag.left_out}
        lost = engine.rows.alerts.lost + engine.rows.flows.lost + engine.rows.events.lost + engine.rows.apps.lost \
            + engine.rows.denials.lost + engine.runs.lost + engine.packets.lost + engine.kept.lost
        throughput = [(engine.throughput.first + i * engine.throughput.width, engine.throughput.bins[i].packets,
                       engine.throughput.bins[i].bytes, engine.throughput.bins[i].dropped)
                      for i in range(engine.throughput.used)]
        return {
            "packets": engine.read_packets, "bytes": engine.read_bytes, "entries": engine.entries,
            "run_ns": run_ns,
            "ledger": ledger, "flows": flows, "device": device_stats(&self.engine), "defrag": defrag,
            "throughput": throughput, "throughput_width": engine.throughput.width,
            "events": {name: n for name, n in zip(EVENT_NAMES, events) if n}, "events_lost": engine.events_lost,
            "held_up": {"ns": engine.held_up_ns, "longest_ns": engine.held_up_longest_ns},
            "datasets": {"changes": engine.shared.datasets.used, "memory": engine.shared.datasets.pool.used[ACCOUNT_APPLAYER],
                         "refused": engine.shared.datasets.refused},
            "isolated": sum(engine.worker[i].isolated for i in range(engine.workers)),
            "cuts_refused": self.isolation.cuts.refused,
            "rows_lost": lost, "lost": engine.lost, "decryption": sight_stats(&self.engine), **bindings_stats(&self.bindings),
            "exceptions": {cause: {policy: count for j, policy in enumerate(EXCEPTION_POLICIES)
                                   if (count := self._excepted(i, j))} for i, cause in enumerate(EXCEPTION_CAUSES)},
            "alerts_lost": sum(engine.worker[i].alerts_lost for i in range(engine.workers)),
            "rules": self.rule_costs(),
            "stages": {stage: spent * run_ns // max(1, run_ticks) for stage, spent in (
                ("rx", engine.rx_ticks), ("decode", engine.decode_ticks), ("defrag", engine.defrag_ticks),
                ("decap", engine.decap_ticks), ("steer", engine.steer_ticks),
                ("flow", max(0, <object>flow_ticks - sum(sampled))), ("stream", sampled[SAMPLED_STREAM]),
                ("applayer", sampled[SAMPLED_APPLAYER]), ("match", sampled[SAMPLED_MATCH]),
                ("telemetry", engine.retire_ticks))},
        }

    def services(self):
        """How much of which encrypted service could not be looked into, of flows that have ended: services_of (_sight.pxi). Not
        while packets run."""
        return services_of(&self.engine)

    # ---- the device: see _device_door.pxi ----

    def add_sessions(self, requests):
        return add_outside(&self.engine, self.outside, requests)

    def session(self, number):
        return find_session(&self.engine, self.outside, number)

    def delete_session(self, number):
        return delete_named(&self.engine, self.outside, number)

    def sessions_from(self, uint64_t start, uint32_t most):
        return page_of_sessions(&self.engine, start, most)

    def closed_sessions(self):
        return take_closed(&self.engine)
