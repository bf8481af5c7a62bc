"""One setting of the session table, simulated over a log in global packet order. The table is the data plane's own
(dataplane/device.pxd), and so is why a flow asks for a session; what stands here is what the engine does around it, without
packets."""
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

from fastpath.dataplane import rows as row_types
from fastpath.offload.settings import REQUESTS

from fastpath.dataplane.device cimport (
    ASK_MAX, CLOSE_FINACK, CLOSE_NOT, CLOSE_RST, CLOSE_TIMEOUT, CLOSE_UNKNOWN, HIT_DROP, HIT_FORWARD, HIT_IDLE, asker_t,
    batch_closed_at, batch_is_due, clear_device, close_device, device_config_t, device_t, end_device_session, follow_control,
    has_asked, hit_session, is_control, leave_device, may_ask, open_device, punt_flow, reason_to_ask, session_number,
    settle_batch, tick_device,
)
from fastpath.dataplane.log cimport (
    LOG_BEGIN, LOG_BYPASS, LOG_CLOSED, LOG_CUT, LOG_DATA, LOG_DEPTH, LOG_DROP, LOG_EMPTY, LOG_ENCRYPTED, LOG_END, LOG_FLOW,
    LOG_INVALID, LOG_LAST, LOG_LAST_ACK, LOG_OVER, LOG_PASS, LOG_QUOTED, LOG_REJECTED, LOG_TCP, LOG_TO_CLIENT, log_row_t,
)

#: What became of an alert of the full pass.
RAISED, MISSED, LATE = 0, 1, 2

cdef enum:
    SECOND = 1000000000
    ALERT_RAISED = 0
    ALERT_MISSED = 1
    ALERT_LATE = 2

    RST = 0x04

cdef enum flow_mark:            # place_t.marks
    BYPASSED = 1 << 0           # a rule has asked for it
    BLIND = 1 << 1              # bytes of it were not seen by the inspectors

cdef struct place_t:            # of the flow table
    uint32_t session            # or SESSION_ASKED, SESSION_DUE and what goes with it
    uint32_t marks

cdef struct requests_t:
    uint64_t least[7]           # by enum ask_reason: from which number on; UINT64_MAX for never
    uint64_t depth              # of reassembly, bytes

cdef struct outcome_t:
    uint64_t packets, bytes     # wire packets that the device took, and no entry of them was dropped or malformed
    uint64_t dropped_packets, dropped_bytes     # that it dropped
    uint64_t errored
    uint64_t entries            # that the device decided on
    uint64_t saved_ns           # that the inspectors took for them in the log's pass
    uint32_t peak               # most sessions at a time


cdef void forget_session(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil:
    """The sink of the table: a session has ended."""
    (<place_t *>device.context)[device.sessions[session - 1].owner].session = 0


cdef void settle(device_t *device, place_t *places, outcome_t *outcome, uint64_t now) noexcept nogil:
    """The batch closes: whoever asked is told, a number or none."""
    cdef uint32_t i
    settle_batch(device, now)
    for i in range(device.settled):
        places[device.batch[i].owner].session = device.batch[i].session
    outcome.peak = max(outcome.peak, device.used)


cdef inline uint8_t reason_of_flow(const requests_t *requests, place_t *place, const log_row_t *row) noexcept nogil:
    """enum ask_reason; ASK_MAX for none."""
    cdef asker_t asker
    asker.pkts = asker.so_far = row.flow_pkts
    asker.bytes = row.flow_bytes
    asker.past_depth = <int64_t>(row.stream - requests.depth) if row.flags & LOG_DEPTH else -1
    asker.dropped = row.flags & LOG_DROP != 0
    asker.bypassed = place.marks & BYPASSED != 0
    asker.passed = row.flags & LOG_PASS != 0
    asker.encrypted = row.flags & LOG_ENCRYPTED != 0
    return reason_to_ask(requests.least, &asker, &place.session)


cdef inline bint takes(device_t *device, const place_t *place, const log_row_t *row, uint8_t *hit) noexcept nogil:
    """Does the device decide on this entry of a flow that has a session?"""
    cdef uint32_t session = place.session
    if row.flags & LOG_QUOTED or (row.flags & LOG_TCP and is_control(device, session, row.tcp_flags)):
        return False
    hit[0] = hit_session(device, session, row.size, (row.flags & LOG_TO_CLIENT) != 0, row.now)
    if hit[0] == HIT_IDLE:
        end_device_session(device, session, CLOSE_TIMEOUT, row.now)
    return hit[0] == HIT_DROP or hit[0] == HIT_FORWARD


cdef inline void inspect(device_t *device, place_t *places, const requests_t *requests, outcome_t *outcome,
                         const log_row_t *row) noexcept nogil:
    """An entry that the inspectors get: what it does to its flow's session, and whether it asks for one."""
    cdef place_t *place = &places[row.flow]
    cdef uint8_t code, reason
    if session_number(place.session) and row.flags & LOG_TCP and not row.flags & LOG_REJECTED:
        code = follow_control(device, place.session, row.tcp_flags, (row.flags & LOG_TO_CLIENT) != 0)
        if code != CLOSE_NOT:
            end_device_session(device, place.session, code, row.now)
    if row.flags & LOG_CLOSED and not (session_number(place.session) and row.flags & LOG_LAST_ACK):
        leave_device(device, &place.session, row.flow, CLOSE_RST if row.tcp_flags & RST else CLOSE_FINACK, row.now)
    if row.flags & LOG_BYPASS:
        place.marks |= BYPASSED
    if has_asked(place.session) or row.flags & LOG_OVER or not may_ask(device, row.now):
        return
    reason = reason_of_flow(requests, place, row)
    if reason != ASK_MAX and punt_flow(device, &place.session, row.flow, reason, row.now):
        settle(device, places, outcome, row.now)


cdef inline void judge_alerts(const log_row_t *row, bint taken, bint blind, uint8_t *fates) noexcept nogil:
    """An alert is missed where the inspectors did not get its packet or, on a stream or transaction, not all bytes before: those
    that it hangs on may be among them. One whose bytes they have had comes late where they do not get the packet it came with:
    with another, or with the flow's end."""
    cdef uint32_t i
    cdef bint stateful
    for i in range(row.alerts):
        stateful = (row.stateful >> min(i, 15)) & 1
        if stateful:
            fates[i] = ALERT_MISSED if blind else ALERT_LATE if taken else ALERT_RAISED
        else:
            fates[i] = ALERT_MISSED if taken else ALERT_RAISED


cdef inline void tick(device_t *device, place_t *places, outcome_t *outcome, uint64_t second) noexcept nogil:
    if batch_is_due(device, second * SECOND):
        settle(device, places, outcome, batch_closed_at(device))
    tick_device(device, second)


cdef void pass_log(const log_row_t *rows, uint64_t count, device_t *device, place_t *places, const requests_t *requests,
                   uint32_t cap, outcome_t *outcome, uint8_t *fates, uint8_t *packets) noexcept nogil:
    cdef uint64_t i, second = 0
    cdef const log_row_t *row
    cdef place_t *place
    cdef uint8_t hit = 0
    cdef bint taken, blind, packet_taken = False, packet_dropped = False, packet_errored = False
    for i in range(count):
        row = &rows[i]
        taken = blind = False
        if row.flags & LOG_EMPTY:
            clear_device(device)
            second = 0
            continue
        if row.now // SECOND > second:
            second = row.now // SECOND
            tick(device, places, outcome, second)
        if row.flags & LOG_FLOW:
            place = &places[row.flow]
            if row.flags & LOG_END:
                judge_alerts(row, False, place.marks & BLIND != 0, fates)
                fates += row.alerts
                leave_device(device, &place.session, row.flow, CLOSE_UNKNOWN, row.now)
                continue
            if row.flags & LOG_BEGIN:
                memset(place, 0, sizeof(place_t))
            if session_number(place.session):
                taken = takes(device, place, row, &hit)
            if taken:
                outcome.entries += 1
                outcome.saved_ns += min(row.ns, cap)
                if row.flags & LOG_DATA:
                    place.marks |= BLIND
            else:
                inspect(device, places, requests, outcome, row)
            blind = place.marks & BLIND != 0
        judge_alerts(row, taken, blind, fates)
        fates += row.alerts
        if taken:
            packet_taken = True
            packet_dropped |= hit == HIT_DROP
        else:
            packet_dropped |= (row.flags & LOG_CUT) != 0
        packet_errored |= (row.flags & LOG_INVALID) != 0
        if row.flags & LOG_LAST:
            if packet_errored:
                outcome.errored += 1
            elif packet_dropped:
                if packet_taken:
                    outcome.dropped_packets += 1
                    outcome.dropped_bytes += row.size
            elif packet_taken:
                outcome.packets += 1
                outcome.bytes += row.size
            if packets != NULL:
                packets[0] = packet_taken
                packets += 1
            packet_taken = packet_dropped = packet_errored = False


def simulate(log, uint32_t flows, uint64_t alerts, uint64_t depth, setting, packets=None, uint32_t cap=0xffffffff):
    """Simulates a setting (settings.Setting) over a log. Without the GIL.

    log: rows.LOG, contiguous. flows: places of the flow table, all of log["flow"] below it. alerts: the sum of log["alerts"].
    depth: of reassembly, bytes. packets: uint8, writeable, one a wire packet, or None: is set where the device took it.
    cap: ns that an entry counts at most in saved_ns: what took longer was interrupted. Gives
    (counters, fates): a dict, and uint8 by alert, RAISED, MISSED or LATE. Raises MemoryError where there is none for the table.
    """
    cdef device_config_t config
    cdef device_t device
    cdef requests_t requests
    cdef outcome_t outcome
    cdef place_t *places
    cdef const unsigned char[::1] bytes_
    cdef unsigned char[::1] fates
    cdef uint64_t count = len(log)
    cdef uint8_t none = 0
    cdef uint8_t *first_fate = &none
    cdef uint8_t *first_packet = NULL
    cdef unsigned char[::1] taken
    cdef const log_row_t *rows = NULL
    cdef uint32_t i
    if log.dtype != row_types.LOG or log.dtype.itemsize != sizeof(log_row_t):
        raise TypeError("log must hold rows of fastpath.dataplane.rows.LOG")
    memset(&config, 0, sizeof(config))
    memset(&outcome, 0, sizeof(outcome))
    config.capacity = setting.sessions
    config.interval = round(SECOND / setting.insert_rate) if setting.insert_rate else 0
    config.latency = round(setting.insert_latency * SECOND)
    config.timeout = round(setting.idle_timeout * SECOND)
    requests.depth = depth
    for i, name in enumerate(REQUESTS):
        number = getattr(setting.requests, name)
        requests.least[i] = UINT64_MAX if number is None else number
    made = np.zeros(alerts, "u1")
    if count:
        bytes_ = log.view("u1")
        rows = <const log_row_t *>&bytes_[0]
    if packets is not None:
        if len(packets) != np.count_nonzero(log["flags"] & row_types.LOG_LAST):
            raise ValueError(f"packets has {len(packets)} elements, one a wire packet of the log is wanted")
        if len(packets):
            taken = packets
            first_packet = &taken[0]
    if alerts:
        fates = made
        first_fate = &fates[0]
    places = <place_t *>calloc(max(flows, 1), sizeof(place_t))
    if places == NULL or open_device(&device, &config):
        free(places)
        raise MemoryError(f"no memory for a table of {setting.sessions} sessions over {flows} flows")
    device.sink = forget_session
    device.context = places
    try:
        with nogil:
            pass_log(rows, count, &device, places, &requests, cap, &outcome, first_fate, first_packet)
        ended = dict(zip(("not", "finack", "rst", "timeout", "flow"), [device.ended[i] for i in range(5)]))
        del ended["not"]
        counters = {
            "packets": outcome.packets, "bytes": outcome.bytes, "dropped_packets": outcome.dropped_packets,
            "dropped_bytes": outcome.dropped_bytes, "errored": outcome.errored, "entries": outcome.entries,
            "saved_ns": outcome.saved_ns, "peak": outcome.peak,
            "asked": {name: device.asked[i] for i, name in enumerate(REQUESTS)},
            "inserted": device.inserted, "batches": device.batches, "full": device.full, "full_batches": device.full_batches,
            "ended": ended, "early_packets": device.early_pkts,
        }
    finally:
        close_device(&device)
        free(places)
    return counters, made
