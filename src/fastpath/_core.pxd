# The door of the data plane: the engine's memory, the ingest loop and the worker loop. The one module that knows the order
# of the stages.
#
# Ingest fills a slot with one burst (rx, decode, defrag, decap, steer); every worker walks through every slot and takes the
# entries
# of its own buckets; when all have passed, the slot retires: rows are merged, verdicts become runs. With one worker all of
# this is one thread and one slot.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport app_context_t, app_work_t
from fastpath.dataplane.applayer.dispatch cimport app_table_t
from fastpath.dataplane.applayer.expectations cimport expectations_t
from fastpath.dataplane.applayer.sight cimport sight_t
from fastpath.dataplane.arena cimport arena_t
from fastpath.dataplane.bindings cimport bindings_t
from fastpath.dataplane.defrag cimport defrag_t
from fastpath.dataplane.device cimport device_t
from fastpath.dataplane.keyed cimport keyed_table_t
from fastpath.dataplane.flow cimport bucket_t, flow_config_t
from fastpath.dataplane.hosts cimport hosts_t
from fastpath.dataplane.isolation cimport isolation_t
from fastpath.dataplane.applayer.keyring cimport keyring_t
from fastpath.dataplane.match.program cimport inspection_t, match_scratch_t, ruleset_t, shared_t, window_t
from fastpath.dataplane.match.threshold cimport threshold_table_t
from fastpath.dataplane.policy cimport policy_count_t, policy_flow_t, policy_t
from fastpath.dataplane.ring cimport ring_t
from fastpath.dataplane.rx cimport rx_t
from fastpath.dataplane.steer cimport steering_t
from fastpath.dataplane.stream cimport raw_t, stream_config_t
from fastpath.dataplane.telemetry cimport kept_t, row_buffer_t, rows_t, throughput_t
from fastpath.dataplane.threads cimport pthread_cond_t, pthread_mutex_t, pthread_t
from fastpath.dataplane.types cimport burst_t, flow_t, verdict_t
from fastpath.dataplane.wire.walk cimport decode_config_t

cdef enum:
    WORKERS_MAX = 64
    SLOTS = 32                  # bursts in flight with several workers
    WINDOWS_MAX = 16            # of the raw stream, inspected with one entry
    PSEUDO_MAX = 80             # bytes of a pseudo-packet: its headers
    SAMPLE = 128                # of so many bursts one has its later stages timed entry by entry
    SAMPLED_STREAM = 0, SAMPLED_APPLAYER, SAMPLED_MATCH, SAMPLED

cdef enum:
    ISOLATE_DST = 1 << 31       # of engine_t.responses: the destination, not the source (RulePlan.isolate)

cdef enum exception_policy:
    EXCEPT_IGNORE, EXCEPT_PASS_PACKET, EXCEPT_PASS_FLOW, EXCEPT_BYPASS, EXCEPT_DROP_PACKET, EXCEPT_DROP_FLOW, EXCEPT_REJECT
    EXCEPT_MAX

cdef enum exception_cause:
    CAUSE_DEFRAG_MEMCAP, CAUSE_FLOW_MEMCAP, CAUSE_SESSION_MEMCAP, CAUSE_REASSEMBLY_MEMCAP, CAUSE_MIDSTREAM, CAUSE_APPLAYER
    CAUSE_MAX

cdef struct slot_t:
    burst_t burst
    steering_t steering
    flow_t *likely[2048]        # by entry: the flow that the index named when it was prefetched
    verdict_t verdict[2048]     # by entry; all alike but where a worker set `eventful`
    uint16_t ticks              # wire packets before which engine time crosses a second
    uint16_t tick_at[256]
    uint64_t bytes              # of the wire packets
    arena_t wholes              # packets that defrag made in this burst
    uint64_t refused[32]        # by entry, a bit: a fragment for which defrag had no room; valid where there are `refusals`
    uint32_t refusals
    uint64_t number
    const ruleset_t *rules      # the epoch of this burst
    const policy_t *policy      # and its policy; NULL for none
    rows_t *rows                # one a worker
    uint8_t *eventful           # one a worker: its verdicts are not all the plain one

cdef struct ahead_t:            # of the capture: what is fetched beside the entries of a burst
    const uint8_t *at
    const uint8_t *until
    uint32_t lines              # beside each

cdef struct worker_t:
    engine_t *engine
    uint32_t number
    pthread_t thread
    rows_t *rows                # where rows go now: the slot's, or the engine's own
    match_scratch_t *scratch
    uint16_t mine[2048]         # entries of the burst at work that lie in its buckets
    uint64_t order              # of what is going on, for rows (telemetry.pxd)
    uint64_t ordinal
    app_context_t context       # of the session at work
    app_work_t work
    inspection_t inspection     # of the entry at work
    window_t windows[16]
    raw_t raw
    burst_t *flush              # one entry: the pseudo-packet of a flow that ends
    uint8_t flush_frame[80]
    uint64_t passed             # slots passed; read by ingest
    uint64_t turn               # (ordinal << 16 | low half of order) below which this worker touches no shared state
    uint64_t events[1024]       # by code
    policy_count_t *policy_counts   # by line, then of the default, then of what is not decided yet
    uint64_t burst_ticks
    uint64_t timed_ticks        # of that, bursts whose stages were timed: sampled_ticks are parts of it
    uint64_t sampled_ticks[SAMPLED]
    uint64_t exceptions[6][7]   # entries, by cause and by the policy that acted
    uint64_t alerts_lost        # beyond packet-alert-max
    uint64_t isolated           # entries of isolated addresses
    uint32_t logged_alerts      # of rows.alerts, those that the log has told of
    uint16_t asked              # FLOW_BYPASS of the flow at work, where a log is kept
    uint16_t stateful           # of the alerts of the entry at work, by bit: log.pxd

cdef struct engine_t:
    uint32_t workers, burst, buckets, packet_alert_max
    uint8_t inline_mode         # ips
    uint8_t malformed_action
    uint8_t exception_policy[6], exception_reason[6]    # by cause
    uint64_t fail_flow, fail_defrag, lose_packet        # ordinals of packets, to try what happens then; ~0 for none
    bint fail_alert_queue       # no more matches of an entry than packet_alert_max are looked at
    bint keep_packets
    bint keep_apps              # rows of transactions, files and their anomalies
    bint keep_vars              # rows of the variables of flows and packets, beside alerts and ended flows
    bint keep_files             # bytes of files that are, or may yet be, stored
    bint rules_store            # some rule stores files
    bint keep_log               # a row of every entry; nobody acts on requests for offload
    bint keep_payloads          # rows of the bytes that alerts are about
    uint32_t payload_size       # of a stream: so many bytes at most
    bint sessions               # the application layer is looked at: there are rules, or such rows are wanted
    bint stopping
    bint checksums_auto
    uint64_t capture_packets, wrong_checksums   # of the capture being read
    decode_config_t decode
    hosts_t hosts
    defrag_t defrag
    flow_config_t flow
    stream_config_t stream
    app_table_t apps
    shared_t shared             # what spans flows in the rules
    expectations_t *expectations    # flows that others told of: the ordered section
    bucket_t *bucket
    device_t *device            # one slice a bucket
    keyed_table_t *keyed        # of each, what was added from outside
    bint offloads               # there is a device
    bint offload_encrypted_bytes        # that number is of KiB, not of packets
    uint64_t offload[7]         # by ask_reason: from which number on; UINT64_MAX for never
    worker_t *worker
    slot_t *slot                # SLOTS of them, or one
    rows_t rows                 # retired, waiting to be taken
    row_buffer_t runs, packets
    throughput_t throughput
    uint32_t keep               # KEEP_*: packets whose bytes are kept to be written
    kept_t kept
    threshold_table_t *thresholds
    const ruleset_t *rules
    isolation_t *isolation      # NULL: nobody is isolated, and no rule isolates
    const uint32_t *responses   # by rule: whom an alert isolates, and for how many seconds; NULL: none does
    uint32_t response_count
    bindings_t *bindings        # NULL: nobody asks for them
    uint64_t called             # somebody wants something between two bursts: the step ends
    const policy_t *policy
    policy_flow_t **policy_flows    # beside the flows of each bucket; NULL before there was a policy
    const uint16_t *rule_data   # by rule: the classes of data that it finds
    uint32_t rule_data_count
    uint64_t next_ordinal
    uint64_t stop_at            # ordinal before which the step ends; 0: none
    uint64_t time               # the running maximum of stamps, ns
    uint64_t second             # of the latest tick
    uint64_t published, retired  # slots
    pthread_mutex_t lock
    pthread_cond_t moved
    verdict_t *verdicts_out     # of inspect: one a wire packet
    uint64_t verdicts_room
    uint64_t ledger_packets[4]
    uint64_t ledger_bytes[4]
    uint64_t read_packets, read_bytes, entries, events_lost
    ring_t *ring                # where every verdict goes as well; NULL for nowhere
    uint32_t rule_base          # what its rule numbers begin with
    bint timing                 # of some bursts, stages and rules are timed
    uint64_t began              # when inspection would have begun, had it never paused; 0 while it does
    uint64_t began_ticks
    uint64_t stepped            # when the latest step ended, where the next one follows at once; else 0
    uint64_t held_up_ns, held_up_longest_ns     # between such steps: no packet was under way
    uint64_t lost               # packets that never reached rx
    sight_t *sight              # one a bucket
    keyring_t capture_keys      # secrets that the captures have brought
    uint64_t capture_secrets    # how many, those too that are forgotten by now
    uint32_t secrets_read       # bytes of rx_t.secrets that are in there
    uint64_t run_ns
    uint64_t rx_ticks, decode_ticks, defrag_ticks, decap_ticks, steer_ticks, retire_ticks, run_ticks
