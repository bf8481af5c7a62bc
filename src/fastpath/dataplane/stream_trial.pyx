"""A door to stream for tests and curious people: segments in, and out what each did: events, bytes, raw windows."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastpath.dataplane.decode cimport decode_burst, decode_defaults, decode_settings
from fastpath.dataplane.events cimport event_text
from fastpath.dataplane.hosts cimport close_hosts, hosts_t, open_hosts
from fastpath.dataplane.hash cimport set_flow_key
from fastpath.dataplane.more cimport release_more
from fastpath.dataplane.pool cimport close_pool
from fastpath.dataplane.stream cimport (
    STREAM_BEGUN, STREAM_CLOSED_NOW, STREAM_DEPTH_REACHED, STREAM_FED_TO_SERVER, STREAM_IN, STREAM_MIDSTREAM, STREAM_REJECTED,
    SUPPLY_ALL, SUPPLY_BYTES, SUPPLY_CUT, SUPPLY_END, SUPPLY_GAP, SUPPLY_NONE, begins_anew, behind_bytes, consume_bytes, deepen,
    keep_raw, left_in_stream, next_bytes, next_raw, release_stream, settle_stream, stop_feeding, stop_raw, stop_reassembly,
    stream_config_t, stream_defaults, stream_size, take_any_segment, take_segment, trigger_raw, turn_stream,
)
from fastpath.dataplane.tcp.straight cimport STRAIGHT, goes_straight, way_of
from fastpath.dataplane.tcp.window cimport raw_t
from fastpath.dataplane.types cimport (
    ACCOUNT_FLOW, ACCOUNT_REASSEMBLY, ACCOUNT_STREAM, FLOW_CLOSED, FLOW_NEW, FLOW_REVERSED, NO_INDEX, PM_ESTABLISHED, PM_FLOW,
    PM_KEYED, PM_PSEUDO, PM_REVERSED, PM_TO_CLIENT, burst_t, flow_t, packet_meta_t, pool_t,
)
from fastpath.dataplane.wire.load cimport be32
from fastpath.dataplane.wire.tcp cimport TCP_ACK_AT, TCP_SEQ_AT
from fastpath.dataplane.wire.walk cimport decode_config_t

from fastpath.dataplane.hosts import host_ranges

STATES = ("none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2", "time_wait", "last_ack", "close_wait",
          "closing", "closed")
RESULTS = (("in", STREAM_IN), ("to_server", STREAM_FED_TO_SERVER), ("to_client", STREAM_FED_TO_SERVER << 1),
           ("closed", STREAM_CLOSED_NOW), ("rejected", STREAM_REJECTED), ("begun", STREAM_BEGUN), ("depth", STREAM_DEPTH_REACHED),
           ("midstream", STREAM_MIDSTREAM))


cdef class StreamFlow:
    """A flow of a StreamTrial: what it was fed is in `bytes` by direction (0 to server), with a gap as so many "?"."""
    cdef flow_t at
    cdef readonly list bytes
    cdef readonly list ended

    def __cinit__(self):
        self.bytes = [bytearray(), bytearray()]
        self.ended = [None, None]

    @property
    def state(self):
        return STATES[self.at.tcp_state]

    @property
    def flags(self):
        """TCP flags seen, by direction."""
        return self.at.tcp_flags[0], self.at.tcp_flags[1]

    def size(self, uint32_t direction):
        """What stream_size compares with."""
        return stream_size(&self.at, direction)


cdef bint seems_straight(const stream_config_t *config, const flow_t *flow, const packet_meta_t *meta):
    cdef const uint8_t *at = meta.frame + meta.l4
    cdef uint32_t seq, side
    if way_of(config, flow, meta) != STRAIGHT or flow.more.tcp.held == NULL:
        return False
    seq = be32(at + TCP_SEQ_AT)
    side = meta.flags // PM_TO_CLIENT & 1
    return goes_straight(&flow.more.tcp, &flow.more.tcp.half[side], &flow.more.tcp.half[side ^ 1], at, side, seq,
                         be32(at + TCP_ACK_AT), seq + meta.payload_len)


cdef class StreamTrial:
    """Packets through decode and stream, one after another; flows are told apart by key alone and never time out.

    inline, midstream, async_oneside, compare_overlaps, urgent: as in a suricata.yaml. depth, chunk: bytes. hosts:
    host-os-policy, OS name -> networks. stream_memory, reassembly_memory: caps in bytes. take: bytes of what it is fed that
    the application layer consumes at a time, None for all. straight: ordinary segments may take the straight
    way, and what SUPPLY_ALL says is believed; `straight_ones` counts such segments. settings: as decode takes them.
    """
    cdef readonly dict flows
    cdef readonly int straight_ones
    cdef stream_config_t config
    cdef hosts_t hosts
    cdef decode_config_t decode
    cdef burst_t *burst
    cdef pool_t pool
    cdef object take
    cdef bint raw, straight

    def __cinit__(self, *, bint inline=False, bint midstream=False, bint async_oneside=False, bint compare_overlaps=True,
                  uint32_t depth=1 << 20, uint32_t chunk=2560, dict hosts=None, uint64_t stream_memory=1 << 26,
                  uint64_t reassembly_memory=1 << 28, take=None, bint raw=True, str urgent="inline",
                  bint straight=True, **settings):
        stream_defaults(&self.config)
        self.config.passive = not inline
        self.config.midstream = midstream
        self.config.async_oneside = async_oneside
        self.config.compare_overlaps = compare_overlaps or inline
        self.config.urgent = self.config.urgent_limit = <uint8_t>("inline", "drop", "oob", "gap").index(urgent)
        self.config.depth = depth
        self.config.chunk[0] = self.config.chunk[1] = chunk
        open_hosts(&self.hosts, host_ranges(hosts or {}))
        self.config.hosts = &self.hosts
        decode_defaults(&self.decode)
        decode_settings(&self.decode, settings)
        self.pool.cap[ACCOUNT_FLOW] = 1 << 24
        self.pool.cap[ACCOUNT_STREAM] = stream_memory
        self.pool.cap[ACCOUNT_REASSEMBLY] = reassembly_memory
        self.flows = {}
        self.take = take
        self.raw = raw
        self.straight = straight
        self.burst = <burst_t *>malloc(sizeof(burst_t))
        if self.burst == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef StreamFlow flow
        for flow in (self.flows or {}).values():
            release_stream(&self.pool, &flow.at)
            release_more(&flow.at, &self.pool)
        close_pool(&self.pool)
        close_hosts(&self.hosts)
        free(self.burst)

    @property
    def memory(self):
        """Bytes in use: of sessions, and of what they hold."""
        return self.pool.used[ACCOUNT_STREAM], self.pool.used[ACCOUNT_REASSEMBLY]

    @property
    def refused(self):
        """Takings that a cap refused: of sessions, and of what they hold."""
        return self.pool.refused[ACCOUNT_STREAM], self.pool.refused[ACCOUNT_REASSEMBLY]

    cdef packet_meta_t *fill(self, const uint8_t[::1] packet, int linktype):
        cdef packet_meta_t *meta = &self.burst.meta[0]
        self.burst.notes_used = self.burst.events_lost = 0
        memset(meta, 0, sizeof(packet_meta_t))
        meta.events = NO_INDEX
        if packet is None:
            return meta
        meta.caplen = meta.wirelen = packet.shape[0]
        meta.frame = &packet[0] if packet.shape[0] else <const uint8_t *>b""
        meta.linktype = linktype
        self.burst.packets = self.burst.entries = 1
        decode_burst(&self.decode, self.burst, 0, 1)
        return meta

    cdef StreamFlow flow_of(self, packet_meta_t *meta):
        """As flow does it."""
        cdef StreamFlow flow
        cdef bint to_client
        key = (<const char *>&self.burst.key[0])[:sizeof(self.burst.key[0])]
        flow = self.flows.get(key)
        if flow is None or begins_anew(&self.config, &flow.at, meta):
            if flow is not None:
                release_stream(&self.pool, &flow.at)
                release_more(&flow.at, &self.pool)
            flow = self.flows[key] = StreamFlow()
            set_flow_key(&flow.at, &self.burst.key[0])
            flow.at.flags = FLOW_REVERSED if meta.flags & PM_REVERSED else 0
        to_client = ((meta.flags & PM_REVERSED) != 0) != ((flow.at.flags & FLOW_REVERSED) != 0)
        flow.at.pkts[to_client] += 1
        meta.flags |= PM_FLOW | to_client * PM_TO_CLIENT | (flow.at.state != FLOW_NEW) * PM_ESTABLISHED
        return flow

    cdef list fed_to(self, StreamFlow flow, uint32_t direction):
        """Hands on what there is, as dispatch does."""
        cdef const uint8_t *data
        cdef uint32_t length, kind, count
        fed = []
        while True:
            kind = next_bytes(&self.config, &flow.at, self.burst, 0, direction, &data, &length)
            if kind == SUPPLY_BYTES or kind == SUPPLY_ALL:
                count = length if self.take is None else min(length, <uint32_t>self.take)
                piece = (<const char *>data)[:count]
                flow.bytes[direction] += piece
                fed.append((direction, piece))
            elif kind == SUPPLY_GAP:
                count = length
                flow.bytes[direction] += b"?" * count
                fed.append((direction, count))
            else:
                if kind == SUPPLY_END or kind == SUPPLY_CUT:
                    flow.ended[direction] = "end" if kind == SUPPLY_END else "cut"
                    fed.append((direction, flow.ended[direction]))
                return fed
            if count == 0:
                return fed
            if kind == SUPPLY_ALL and not self.straight:
                assert behind_bytes(&self.config, &flow.at, self.burst, 0, direction) == SUPPLY_NONE
            consume_bytes(&flow.at, direction, count)
            if kind == SUPPLY_ALL and self.straight and count == length:
                return fed

    cdef dict pass_entry(self, StreamFlow flow):
        cdef packet_meta_t *meta = &self.burst.meta[0]
        cdef uint32_t taken, direction, number
        cdef raw_t raw
        number = (meta.flags & PM_TO_CLIENT) != 0
        taken = 0
        if self.straight:
            self.straight_ones += seems_straight(&self.config, &flow.at, meta)
            taken = take_segment(&self.config, &self.pool, &flow.at, self.burst, 0)
        else:
            taken = take_any_segment(&self.config, &self.pool, &flow.at, self.burst, 0)
        fed = []
        for direction in (number ^ 1, number):
            if taken & STREAM_FED_TO_SERVER << direction:
                fed += self.fed_to(flow, direction)
        memset(&raw, 0, sizeof(raw_t))
        windows = []
        if self.raw:
            while next_raw(&self.config, &flow.at, meta, taken, False, &raw):
                windows.append((raw.offset, (<const char *>raw.data)[:raw.length]))
        settle_stream(&self.config, &self.pool, &flow.at, meta, raw.progress)
        return {"direction": number, "state": STATES[flow.at.tcp_state], "did": {name for name, bit in RESULTS if taken & bit},
                "fed": fed, "raw": windows, "established": (meta.flags & PM_ESTABLISHED) != 0,
                "closed": flow.at.state == FLOW_CLOSED, "events": self.events()}

    cdef list events(self):
        cdef uint32_t at = self.burst.meta[0].events
        names = []
        while at != NO_INDEX:
            names.append(event_text(self.burst.notes[at].code).decode())
            at = self.burst.notes[at].next
        return names

    def segment(self, packet not None, int linktype=1):
        """One packet. A dict: `direction`, `state` after it, `did` (in, to_server, to_client, closed, rejected, begun, depth,
        midstream), `fed`: (direction, bytes | length of a gap | "end" | "cut") in order, `raw`: (offset, bytes) windows,
        `established`, `closed`, `events` (names; also those of decode). None for what is no TCP segment of a flow."""
        cdef packet_meta_t *meta = self.fill(packet, linktype)
        if not meta.flags & PM_KEYED or meta.proto != 6:
            return None
        return self.pass_entry(self.flow_of(meta))

    def segments(self, packets, int linktype=1):
        return [self.segment(packet, linktype) for packet in packets]

    @property
    def flow(self):
        """The latest flow begun."""
        return next(reversed(self.flows.values()))

    def end(self, StreamFlow flow=None):
        """The end of a flow (the latest, if none is named): a pseudo-packet for each direction with something left. Dicts as
        segment gives them."""
        cdef packet_meta_t *meta
        cdef uint32_t direction
        cdef uint32_t left
        flow = self.flow if flow is None else flow
        left = left_in_stream(&flow.at)
        results = []
        for direction in range(2):
            if left & STREAM_FED_TO_SERVER << direction:
                meta = self.fill(None, 0)
                meta.proto = 6
                meta.flags = PM_PSEUDO | PM_FLOW | PM_ESTABLISHED | direction * PM_TO_CLIENT
                results.append(self.pass_entry(flow))
        return results

    def forget(self, StreamFlow flow not None):
        """Gives its memory back."""
        release_stream(&self.pool, &flow.at)
        release_more(&flow.at, &self.pool)
        flow.at.tcp_state = 0

    def stop(self, what, uint32_t direction=0):
        """What a room may ask for: "feeding", "reassembly", "raw"."""
        cdef StreamFlow flow = self.flow
        if what == "feeding":
            stop_feeding(&flow.at)
        elif what == "reassembly":
            stop_reassembly(&flow.at, direction)
        elif what == "raw":
            stop_raw(&flow.at, direction)
        else:
            raise ValueError(f"nothing is named {what!r}")

    def trigger(self, uint32_t direction):
        """Stream rules are due with the next entry."""
        cdef StreamFlow flow = self.flow
        trigger_raw(&flow.at, direction)

    def keep(self, uint32_t direction, uint32_t count):
        cdef StreamFlow flow = self.flow
        keep_raw(&flow.at, direction, count)

    def turn(self):
        """Who was held to be the client is the server."""
        cdef StreamFlow flow = self.flow
        turn_stream(&flow.at)
        flow.at.flags ^= FLOW_REVERSED
        flow.at.pkts[0], flow.at.pkts[1] = flow.at.pkts[1], flow.at.pkts[0]
        flow.bytes.reverse()

    def deepen(self, uint32_t depth):
        cdef StreamFlow flow = self.flow
        deepen(&flow.at, depth)
