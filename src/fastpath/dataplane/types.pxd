# The structs of types.h for Cython. What a field means is said there.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "types.h" nogil:
    enum:
        BURST_MAX, DEPTH_MAX, ENTRIES_MAX, EVENTS_MAX, VLANS_MAX, BUCKETS_MAX, NO_INDEX
    enum:
        PM_KEYED, PM_REVERSED, PM_FRAGMENT, PM_L3_CHECKSUM, PM_L4_CHECKSUM, PM_CUT, PM_INVALID, PM_QUOTED, PM_ROCE
        PM_OUTER, PM_TO_CLIENT, PM_ESTABLISHED, PM_FLOW, PM_PSEUDO, PM_REASSEMBLED
    enum:
        NET_NONE, NET_IPV4, NET_IPV6, NET_ARP
    enum:
        TUNNEL_NONE, TUNNEL_IPIP, TUNNEL_6IN4, TUNNEL_4IN6, TUNNEL_6IN6, TUNNEL_GRE, TUNNEL_NVGRE, TUNNEL_ERSPAN
        TUNNEL_TEREDO, TUNNEL_VXLAN, TUNNEL_GENEVE, TUNNEL_GTPU, TUNNEL_MAX
    enum:
        ACTION_PASS, ACTION_DROP, ACTION_REJECT, ACTION_REJECT_DST, ACTION_REJECT_BOTH
    enum:
        REASON_NONE, REASON_RULE, REASON_FLOW, REASON_FLOW_PASS, REASON_OFFLOAD_DROP, REASON_OFFLOAD_FORWARD
        REASON_MALFORMED, REASON_FLOW_MEMCAP, REASON_ISOLATED, REASON_STREAM, REASON_POLICY, REASON_DEFRAG_MEMCAP
        REASON_STREAM_MEMCAP, REASON_REASSEMBLY_MEMCAP, REASON_MIDSTREAM, REASON_APPLAYER, REASON_MAX
    enum:
        LEDGER_INSPECTED, LEDGER_OFFLOADED, LEDGER_DROPPED, LEDGER_ERRORED, LEDGER_MAX
    enum:
        FLOW_REVERSED, FLOW_SEEN_TO_CLIENT, FLOW_SEEN_TO_SERVER, FLOW_ALERTED, FLOW_DROP, FLOW_PASS, FLOW_BYPASS
        FLOW_OFFLOADED, FLOW_IPONLY_TO_SERVER, FLOW_IPONLY_TO_CLIENT, FLOW_GROUPED_TO_SERVER, FLOW_GROUPED_TO_CLIENT
        FLOW_FREE
    enum:
        FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED, FLOW_STATE_MAX
    enum:
        END_TIMEOUT, END_FORCED, END_SHUTDOWN, END_REUSE, END_MAX

    enum:
        SOURCE_PACKET, SOURCE_STREAM, SOURCE_FLUSH, SOURCE_DEFRAG

    const uint32_t NO_RULE

    ctypedef struct packet_meta_t:
        const uint8_t *frame
        uint64_t ts
        uint32_t caplen, wirelen, hash, flags, tunnel_id
        uint16_t l3, l4, payload, payload_len, packet, parent, events, linktype
        uint8_t net, proto, tcp_flags, depth, tunnel, carries
        uint16_t inner
        uint8_t bucket, qfi, icmp_type, icmp_code

    ctypedef struct flow_key_t:
        uint8_t addr[2][16]
        uint16_t port[2]
        uint16_t vlan[3]
        uint8_t proto, tunnel, net
        uint8_t vni[3]

    ctypedef struct key_head_t:
        uint32_t addr[2]
        uint16_t port[2]
        uint16_t vlan[3]
        uint8_t proto, tunnel, net

    ctypedef struct event_note_t:
        uint16_t code, next

    ctypedef struct verdict_t:
        uint8_t action, reason, ledger, alerts
        uint32_t rule
        uint64_t flow

    ctypedef struct burst_t:
        uint64_t first_ordinal
        uint32_t packets, entries, notes_used, events_lost, has_interfaces
        packet_meta_t meta[2048]
        flow_key_t key[2048]
        uint64_t now[256]
        event_note_t notes[8192]
        uint16_t interface[256]

    ctypedef struct tcp_half_t:
        uint32_t isn, next_seq, last_ack, next_win, window, last_ts

    ctypedef struct tcp_session_t:
        tcp_half_t half[2]
        uint32_t flags
        uint8_t half_flags[2]
        uint8_t scale, os
        void *held

    ctypedef struct flow_more_t:
        uint64_t *bits
        uint32_t bits_words, alerts, session, dropped_pkts
        uint64_t dropped_bytes, offloaded_bytes
        uint32_t offloaded_pkts, errored_pkts
        uint64_t errored_bytes
        void *app
        tcp_session_t tcp

    enum:
        ACCOUNT_FLOW, ACCOUNT_STREAM, ACCOUNT_REASSEMBLY, ACCOUNT_APPLAYER, ACCOUNT_MAX
    enum:
        POOL_CLASSES, POOL_LARGEST, POOL_CHUNK
    enum:
        TO_SERVER, TO_CLIENT

    ctypedef struct pool_t:
        uint64_t used[4]
        uint64_t cap[4]
        uint64_t refused[4]
        void *free[20]
        uint8_t *fresh
        uint64_t fresh_left
        void *chunks

    ctypedef struct bytes_t:
        uint8_t *data
        uint32_t length, room

    ctypedef struct flow_t:
        uint64_t last
        uint32_t pkts[2]
        uint64_t bytes[2]
        key_head_t key
        uint16_t flags
        uint8_t state, tcp_state
        uint8_t tcp_flags[2]
        uint8_t epoch, reason
        uint64_t first_ordinal, first_ts
        flow_more_t *more
        uint32_t wheel_next, wheel_prev, rule
        uint16_t group[2]

    ctypedef struct alert_row_t:
        uint64_t ordinal, ts, flow, flow_start
        uint64_t bytes[2]
        uint32_t pkts[2]
        flow_key_t key, outer
        uint32_t rule, tunnel_id
        uint16_t index, entry
        uint8_t action, source, to_client, reversed, outer_reversed, depth, icmp_type, icmp_code, net, has_flow
        uint8_t app_proto[4]
        uint8_t verdict, reject, qfi, decrypted

    enum:
        ALERT_ALERTED, ALERT_DROPPED, ALERT_PASSED

    ctypedef struct flow_row_t:
        uint64_t flow, first_ordinal, end_ordinal, start, last
        uint64_t bytes[2]
        uint32_t pkts[2]
        flow_key_t key
        uint64_t offloaded_bytes, dropped_bytes, errored_bytes
        uint32_t offloaded_pkts, dropped_pkts, errored_pkts, alerts, rule
        uint16_t flags
        uint8_t state, end, tcp_state
        uint8_t tcp_flags[2]
        uint8_t reason
        uint8_t app_proto[4]

    ctypedef struct event_row_t:
        uint64_t ordinal, ts
        flow_key_t key
        uint16_t code, entry
        uint8_t reversed, net
        uint16_t reserved

    enum:
        APP_ROW_EVENT, APP_ROW_FILE, APP_ROW_ANOMALY, APP_ROW_ALERT, APP_ROW_BYTES, APP_ROW_MODEL

    ctypedef struct app_row_t:
        uint64_t ordinal, ts, flow, flow_start, tx, offset
        flow_key_t key
        uint32_t length
        uint16_t code, entry
        uint8_t kind, proto, direction, reversed, to_client, worker, depth, decrypted

    ctypedef struct verdict_run_t:
        uint64_t packets
        uint32_t rule
        uint8_t action, reason, ledger, reserved

    void note_event(burst_t *burst, uint32_t entry, uint16_t code) noexcept
