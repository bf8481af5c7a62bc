# device: the session table of the emulated DPU, one slice a bucket. A session says what happens to the packets of a flow that
# no longer reach the inspectors. The contract is OpenOffload's (sessionOffload v2); its actions, states and close codes have
# its numbers.
#
# All here works on a device_t alone and knows of no flow: whoever asks for a session names its owner by a number, and is told
# of a session's end by that number. Times are engine time, ns, and never go back.
#
# The way of a session: ask_session puts a request into the batch. The batch closes at 64 requests, or at the tick that ends
# the second of its first one, never at a burst's end (batch_is_due, settle_batch). One that does not fit is refused whole
# (SESSION_TABLE_FULL), and nobody asks again before the next tick. Sessions are inserted one after another at the insert rate,
# each comes into force the insert latency later; until then its packets go to the inspectors. It ends by what TCP says
# (follow_control), by its idle timeout, or when it is deleted.
#
# What the actions do. DROP, FORWARD: the device drops or forwards, the inspectors see nothing. MIRROR ("create a copy of the
# packet and send to a traffic collector"): the packet is counted on the session, and the inspectors are the collector: it is
# inspected as if there were no session. SNOOP ("apply policy and send copy of packet to a collector"): the inspectors get the
# first `snoop` bytes of each direction, what comes after is forwarded. Segments with SYN, FIN or RST, and all those after the
# second FIN, go to the inspectors whatever the action.
#
# A session is one cache line (session.h), whatever the settings: with a counter lag, what has not been reported is counted beside
# the whole. What outgrows its counters there, 4 GiB of a direction or 65,535 packets of one between two reports, goes on in a row
# of its own (grown_t), which is given back with the session.
# Source: opiproject/sessionOffload, openoffload.proto v2; Implementation Guide SmartNIC; Integration FAQ 8 and 12.
#
# Errors: none. What a full table refuses is counted.
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from fastpath.dataplane.threads cimport prefetch

cdef enum offload_action:
    OFFLOAD_DROP, OFFLOAD_FORWARD, OFFLOAD_MIRROR, OFFLOAD_SNOOP

cdef enum session_state:
    SESSION_ESTABLISHED, SESSION_CLOSING_1, SESSION_CLOSING_2, SESSION_CLOSED

cdef enum close_code:
    CLOSE_NOT, CLOSE_FINACK, CLOSE_RST, CLOSE_TIMEOUT, CLOSE_UNKNOWN    # the last: deleted, or its flow is gone

cdef enum:                      # ask_reason: what asked for a session; in this order everywhere
    ASK_RULE, ASK_DROP, ASK_PASS, ASK_ENCRYPTED, ASK_DEPTH, ASK_ELEPHANT, ASK_OUTSIDE, ASK_MAX

cdef enum hit:
    HIT_DROP, HIT_FORWARD       # the device decides
    HIT_COPY                    # counted, and to be inspected
    HIT_EARLY                   # not in force yet: to be inspected
    HIT_IDLE                    # has timed out: whoever asked ends it

cdef enum:
    BATCH = 64                  # requests
    AGES = 1024                 # seconds of the wheel; later timeouts are looked at again after that
    SECOND_NS = 1000000000
    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    ACK = 0x10

cdef extern from "session.h" nogil:
    ctypedef struct session_t:
        uint64_t last, told
        uint32_t bytes[2]
        uint32_t pkts[2]
        uint32_t fresh_bytes[2]
        uint16_t fresh_pkts[2]
        uint32_t owner, start, next, prev, serial
        uint16_t timeout
        uint8_t outgrown, state, action, reason

cdef enum:
    SIDE_CLOSED_FIRST = 1 << 2  # session_t.state: the first FIN was to the client
    STATE_MASK = 3
    TOLD_BITS = 48              # of session_t.told
    FRESH_MAX = 0xffff          # of session_t.fresh_pkts

cdef struct counters_t:
    uint64_t bytes[2]           # to server, to client
    uint64_t pkts[2]

cdef struct grown_t:
    counters_t all, fresh       # of these, what has not been reported
    uint64_t told               # of the latest packet that was reported
    uint32_t next               # of a free row, the next free one

cdef struct request_t:
    uint64_t asked
    uint32_t owner
    uint32_t session            # set by settle_batch; 0: refused
    uint16_t timeout            # idle, s; 0: the device's
    uint8_t action, reason

cdef struct closed_t:
    uint64_t id
    uint64_t start, end         # ns
    counters_t counters
    uint8_t action, reason, code, state

cdef struct device_config_t:
    uint32_t capacity           # of this slice
    uint32_t closed_room        # closed sessions that are kept to be fetched; 0: none
    uint64_t interval           # between two insertions, ns; 0: no limit
    uint64_t latency            # ns
    uint64_t timeout            # idle, ns
    uint64_t lag                # between two reports of counters, ns; 0: no lag
    uint64_t snoop              # bytes a direction

cdef struct device_t

# Told of every session that ends, while it still stands.
ctypedef void (*session_sink_t)(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil

cdef struct device_t:
    void *region                # of the sessions, reserved
    session_t *sessions
    grown_t *grown              # as many rows as there are sessions
    device_config_t config
    uint32_t on                 # there is a device, be its share of the capacity 0
    uint32_t timeless           # sessions were added before the first packet: their time begins with it
    uint32_t used, fresh, free
    uint32_t grown_used, grown_free     # rows that were ever in use; the first free one of them
    uint32_t room               # sessions that the memory holds: the capacity, or a greater one of before
    uint32_t number             # of the slice
    uint32_t serial
    uint32_t batch_count, settled
    uint64_t batch_second       # of the first request
    uint64_t back_off           # until when nobody asks: the table was full
    uint64_t busy               # until when sessions are being inserted
    uint64_t second             # that the wheel has reached
    uint64_t reported           # when counters were reported last
    request_t batch[64]
    uint32_t wheel[1024]
    session_sink_t sink
    void *context               # the sink's
    closed_t *closed            # a ring
    uint32_t closed_first, closed_count
    uint64_t closed_lost        # the oldest, for want of room
    uint64_t asked[7]           # by ask_reason
    uint64_t inserted, batches, full, full_batches      # full: requests that were refused
    uint64_t ended[5]           # by close_code
    uint64_t pkts, bytes        # the device decided on
    uint64_t copied_pkts, copied_bytes
    uint64_t early_pkts, early_bytes
    uint64_t waited, waited_most        # from request to being in force, ns

# 0, or -1 when address space is lacking. A table takes memory as it fills. Without a config there is no device.
cdef int open_device(device_t *device, const device_config_t *config) noexcept nogil
cdef void close_device(device_t *device) noexcept nogil

# Makes room for what a config asks for; -1 when address space is lacking. Nothing else changes: apply_config does that, and
# cannot
# fail. What is in the table stays; a capacity below it takes nothing new until enough has ended.
cdef int make_room(device_t *device, const device_config_t *config) noexcept nogil
cdef void apply_config(device_t *device, const device_config_t *config) noexcept nogil

# Closes the batch: device.batch[i].session of the `settled` first ones is told; False, and all of them 0, when they do not fit.
cdef bint settle_batch(device_t *device, uint64_t now) noexcept nogil

# Number (from 1) of a session inserted outside of batches: the caller has seen to it that there is room.
cdef uint32_t insert_session(device_t *device, const request_t *request, uint64_t now) noexcept nogil

# Ends a session: the sink is told, then its place is free.
cdef void end_device_session(device_t *device, uint32_t session, uint8_t code, uint64_t now) noexcept nogil

# Ends what has been idle for too long at this second. To be called at every tick, after the batch that is due.
cdef void tick_device(device_t *device, uint64_t second) noexcept nogil

# Keeps a session that ends, under its id, until it is fetched.
cdef void keep_closed(device_t *device, uint32_t session, uint64_t id, uint8_t code, uint64_t now) noexcept nogil

# A packet of a session that is outgrown, or is with this packet.
cdef void count_beside(device_t *device, session_t *it, uint32_t length, uint32_t to_client) noexcept nogil

# From here on the counters of a session, and the time that was reported, stand in a row of its own.
cdef void outgrow(device_t *device, session_t *it) noexcept nogil

# Ends every session without telling anyone, and forgets the batch and the time; counters and closed sessions stay.
cdef void clear_device(device_t *device) noexcept nogil


# ---- requests ----

# Whoever was refused for want of room backs off until the next tick.
cdef inline bint may_ask(const device_t *device, uint64_t now) noexcept nogil:
    return device.on and now >= device.back_off


# True when the batch is full: settle_batch is due.
cdef inline bint ask_session(device_t *device, uint32_t owner, uint8_t action, uint8_t reason, uint16_t timeout,
                             uint64_t now) noexcept nogil:
    cdef request_t *request = &device.batch[device.batch_count]
    if device.batch_count == 0:
        device.batch_second = now // SECOND_NS
    request.owner = owner
    request.action = action
    request.reason = reason
    request.timeout = timeout
    request.session = 0
    request.asked = now
    device.asked[reason] += 1
    device.batch_count += 1
    return device.batch_count == BATCH


# The owner wants it no more: the batch has not been sent.
cdef inline void withdraw_request(device_t *device, uint32_t owner) noexcept nogil:
    cdef uint32_t i
    for i in range(device.batch_count):
        if device.batch[i].owner == owner:
            device.batch_count -= 1
            memmove(&device.batch[i], &device.batch[i + 1], (device.batch_count - i) * sizeof(request_t))
            return


cdef inline bint batch_is_due(const device_t *device, uint64_t now) noexcept nogil:
    return device.batch_count != 0 and now // SECOND_NS > device.batch_second


# When a batch that is due did close.
cdef inline uint64_t batch_closed_at(const device_t *device) noexcept nogil:
    return (device.batch_second + 1) * SECOND_NS


# ---- who asks ----

# What a flow holds of its session: 0 for nothing, the session's number, or one of these.
cdef enum:
    SESSION_ASKED = 0xffffffff  # the request waits in the batch
    SESSION_DUE = 1 << 31       # its payload is encrypted; the low bits say from how many packets or KiB on to ask
    DUE_MAX = 0x7ffffffe

# A flow that the inspectors have, as far as it is a reason to offload the rest of it.
cdef struct asker_t:
    uint64_t pkts, bytes
    uint64_t so_far             # packets, or KiB where least[ASK_ENCRYPTED] is of KiB
    int64_t past_depth          # bytes of this direction beyond the reassembly depth, negative before
    bint dropped, bypassed, passed
    bint encrypted              # its payload is, and nobody has the key


cdef inline uint32_t session_number(uint32_t held) noexcept nogil:
    return 0 if held & SESSION_DUE else held


# Has it a session, or does it wait for one?
cdef inline bint has_asked(uint32_t held) noexcept nogil:
    return session_number(held) != 0 or held == SESSION_ASKED


# Why the rest of a flow may be punted to the device: an ask_reason, ASK_MAX for no reason. least: by ask_reason, from which
# number on; UINT64_MAX for never. held: of a flow that has_asked() says no of.
cdef inline uint8_t reason_to_ask(const uint64_t *least, const asker_t *flow, uint32_t *held) noexcept nogil:
    if flow.dropped:
        return ASK_DROP if flow.pkts >= least[ASK_DROP] else ASK_MAX
    if flow.bypassed and flow.pkts >= least[ASK_RULE]:
        return ASK_RULE
    if flow.passed and flow.pkts >= least[ASK_PASS]:
        return ASK_PASS
    if flow.past_depth >= 0 and <uint64_t>flow.past_depth >= least[ASK_DEPTH]:
        return ASK_DEPTH
    if flow.bytes >= least[ASK_ELEPHANT]:
        return ASK_ELEPHANT
    if flow.encrypted and least[ASK_ENCRYPTED] != UINT64_MAX:
        if held[0] == 0:
            held[0] = SESSION_DUE | <uint32_t>min(flow.so_far + least[ASK_ENCRYPTED], <uint64_t>DUE_MAX)
        if flow.so_far >= held[0] & ~<uint32_t>SESSION_DUE:
            return ASK_ENCRYPTED
    return ASK_MAX


# Punts: dropped there if it is to be dropped, else forwarded. True when the batch is full: settle_batch is due.
cdef inline bint punt_flow(device_t *device, uint32_t *held, uint32_t owner, uint8_t reason, uint64_t now) noexcept nogil:
    held[0] = SESSION_ASKED
    return ask_session(device, owner, OFFLOAD_DROP if reason == ASK_DROP else OFFLOAD_FORWARD, reason, 0, now)


# What has become of a flow ends its session, or its request for one.
cdef inline void leave_device(device_t *device, uint32_t *held, uint32_t owner, uint8_t code, uint64_t now) noexcept nogil:
    if held[0] == SESSION_ASKED:
        withdraw_request(device, owner)
    elif session_number(held[0]):
        end_device_session(device, held[0], code, now)
    held[0] = 0


# ---- packets ----

cdef inline void fetch_session(const device_t *device, uint32_t session) noexcept nogil:
    prefetch(&device.sessions[session - 1])


cdef inline uint64_t idle_timeout(const device_t *device, const session_t *session) noexcept nogil:
    return session.timeout * <uint64_t>SECOND_NS if session.timeout else device.config.timeout


cdef inline grown_t *grown_of(const device_t *device, const session_t *it) noexcept nogil:
    return &device.grown[it.bytes[0] - 1]


# What a session has counted.
cdef inline counters_t counters_of(const device_t *device, const session_t *it) noexcept nogil:
    cdef counters_t all
    if it.outgrown:
        return grown_of(device, it).all
    all.bytes[0], all.bytes[1] = it.bytes[0], it.bytes[1]
    all.pkts[0], all.pkts[1] = it.pkts[0], it.pkts[1]
    return all


# What has been reported of it by now; without a lag, everything.
cdef inline counters_t told_counters(device_t *device, session_t *it, uint64_t now) noexcept nogil:
    cdef counters_t told = counters_of(device, it), fresh
    cdef uint32_t i
    if device.config.lag == 0:
        return told
    report_session(device, it, now)
    if it.outgrown:
        fresh = grown_of(device, it).fresh
    else:
        fresh.bytes[0], fresh.bytes[1] = it.fresh_bytes[0], it.fresh_bytes[1]
        fresh.pkts[0], fresh.pkts[1] = it.fresh_pkts[0], it.fresh_pkts[1]
    for i in range(2):
        told.bytes[i] -= fresh.bytes[i]
        told.pkts[i] -= fresh.pkts[i]
    return told


# With a lag: when the latest packet was that has been reported.
cdef inline uint64_t told_last(const device_t *device, const session_t *it) noexcept nogil:
    if it.outgrown:
        return grown_of(device, it).told
    return it.last - ((it.last - it.told) & (<uint64_t>1 << TOLD_BITS) - 1)


# Everything is reported, where that is due. Which packets find it due no branch predictor can know: there is none.
cdef inline void tell_session(device_t *device, session_t *it, bint due) noexcept nogil:
    cdef uint32_t keep = <uint32_t>due - 1
    it.told = it.last if due else it.told
    it.fresh_bytes[0] &= keep
    it.fresh_bytes[1] &= keep
    it.fresh_pkts[0] &= <uint16_t>keep
    it.fresh_pkts[1] &= <uint16_t>keep
    if it.outgrown and due:
        grown_of(device, it).told = it.last
        memset(&grown_of(device, it).fresh, 0, sizeof(counters_t))


# Counters are reported at every multiple of the lag: what came before the latest one is told now.
cdef inline void report_session(device_t *device, session_t *it, uint64_t now) noexcept nogil:
    if now - device.reported >= device.config.lag:
        device.reported = now - now % device.config.lag
    tell_session(device, it, it.last < device.reported)


# The latest packet as the idle timer knows it. The timer goes by what has been reported: with a lag, a session whose packets are
# not told of in time ends too early.
cdef inline uint64_t last_known(device_t *device, session_t *it, uint64_t now) noexcept nogil:
    if device.config.lag == 0 or now < it.last:
        return it.last
    report_session(device, it, now)
    return told_last(device, it)


cdef inline bint is_idle(device_t *device, session_t *it, uint64_t now) noexcept nogil:
    return now > last_known(device, it, now) + idle_timeout(device, it)


# A packet has bytes: before the number of packets, that of bytes is too large for its place.
cdef inline void count_packet(device_t *device, session_t *it, uint32_t length, uint32_t to_client) noexcept nogil:
    if it.outgrown or <uint32_t>~it.bytes[to_client] < length or it.fresh_pkts[to_client] == FRESH_MAX:
        count_beside(device, it, length, to_client)
        return
    it.bytes[to_client] += length
    it.pkts[to_client] += 1
    if device.config.lag:
        it.fresh_bytes[to_client] += length
        it.fresh_pkts[to_client] += 1


# Whether a TCP segment goes to the inspectors whatever the session says.
cdef inline bint is_control(const device_t *device, uint32_t session, uint8_t tcp_flags) noexcept nogil:
    return (tcp_flags & (SYN | FIN | RST)) != 0 or device.sessions[session - 1].state & STATE_MASK == SESSION_CLOSING_2


# A packet of a session that is no control segment; enum hit. What the device decides on or copies is counted.
cdef inline uint8_t hit_session(device_t *device, uint32_t session, uint32_t length, uint32_t to_client,
                                uint64_t now) noexcept nogil:
    cdef session_t *it = &device.sessions[session - 1]
    cdef uint8_t action = it.action
    cdef uint64_t known
    if now < it.last:
        device.early_pkts += 1
        device.early_bytes += length
        return HIT_EARLY
    known = last_known(device, it, now)
    if now > known + idle_timeout(device, it):
        return HIT_IDLE
    if device.config.lag and (now - known) >> TOLD_BITS and not it.outgrown:
        outgrow(device, it)
    it.last = now
    count_packet(device, it, length, to_client)
    if action == OFFLOAD_MIRROR \
            or (action == OFFLOAD_SNOOP and counters_of(device, it).bytes[to_client] - length < device.config.snoop):
        device.copied_pkts += 1
        device.copied_bytes += length
        return HIT_COPY
    device.pkts += 1
    device.bytes += length
    return HIT_DROP if action == OFFLOAD_DROP else HIT_FORWARD


# The inspectors have accepted a control segment: what becomes of the session. A close code once it is closed, else CLOSE_NOT.
# A FIN of one side, CLOSING_1; of both, CLOSING_2; the acknowledgment of the second by the side that closed first, CLOSED.
cdef inline uint8_t follow_control(device_t *device, uint32_t session, uint8_t tcp_flags, uint32_t to_client) noexcept nogil:
    cdef session_t *it = &device.sessions[session - 1]
    cdef uint8_t state = it.state & STATE_MASK
    cdef uint8_t first = it.state & SIDE_CLOSED_FIRST
    cdef uint8_t side = <uint8_t>(to_client * SIDE_CLOSED_FIRST)
    if tcp_flags & RST:
        it.state = SESSION_CLOSED
        return CLOSE_RST
    if tcp_flags & FIN:
        if state == SESSION_ESTABLISHED:
            it.state = SESSION_CLOSING_1 | side
        elif state == SESSION_CLOSING_1 and side != first:
            it.state = SESSION_CLOSING_2 | first
    elif state == SESSION_CLOSING_2 and side == first and tcp_flags & ACK and not tcp_flags & SYN:
        it.state = SESSION_CLOSED
        return CLOSE_FINACK
    return CLOSE_NOT
