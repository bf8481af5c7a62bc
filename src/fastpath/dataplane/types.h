/* The structs that cross modules. Sizes are asserted: a field added is a decision, not an accident. */
#ifndef FASTPATH_TYPES_H
#define FASTPATH_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "events.h"

enum {
    BURST_MAX = 256,      /* wire packets taken in one go */
    DEPTH_MAX = 7,        /* tunnels inside one wire packet */
    ENTRIES_MAX = 2048,   /* BURST_MAX * (1 + DEPTH_MAX) */
    EVENTS_MAX = 8192,    /* event notes of one burst; a note that does not fit is counted in burst.events_lost */
    VLANS_MAX = 3,
    BUCKETS_MAX = 128,
    NO_INDEX = 0xffff,
};

/* ---- an entry: a wire packet, or a packet found inside one. One cache line. ---- */

enum {                          /* packet_meta_t.flags */
    PM_KEYED = 1 << 0,          /* has a flow key: a flow lookup is due */
    PM_REVERSED = 1 << 1,       /* the source is endpoint 1 of the key */
    PM_FRAGMENT = 1 << 2,       /* an IP fragment: no transport header is trusted, no flow */
    PM_L3_CHECKSUM = 1 << 3,    /* the IPv4 header checksum is wrong */
    PM_L4_CHECKSUM = 1 << 4,    /* the TCP, UDP, ICMP or SCTP checksum is wrong */
    PM_CUT = 1 << 5,            /* caplen < wirelen: the capture cut it; not malformed */
    PM_INVALID = 1 << 6,        /* malformed: some header could not be decoded; errored in the ledger */
    PM_QUOTED = 1 << 7,         /* an ICMP error: the key is that of the packet it quotes */
    PM_ROCE = 1 << 8,           /* RoCEv2: the payload begins with a base transport header */
    PM_OUTER = 1 << 9,          /* carries another entry */
    PM_TO_CLIENT = 1 << 10,     /* set by flow: against the initiator's direction */
    PM_ESTABLISHED = 1 << 11,   /* set by flow: both directions have been seen */
    PM_FLOW = 1 << 12,          /* set by flow: the entry belongs to a flow */
    PM_PSEUDO = 1 << 13,        /* made by the engine, not read from the wire */
    PM_REASSEMBLED = 1 << 14,   /* made by defrag */
};

enum { NET_NONE = 0, NET_IPV4 = 4, NET_IPV6 = 6, NET_ARP = 1 };   /* packet_meta_t.net */

enum tunnel {                   /* packet_meta_t.tunnel and .carries */
    TUNNEL_NONE, TUNNEL_IPIP, TUNNEL_6IN4, TUNNEL_4IN6, TUNNEL_6IN6, TUNNEL_GRE, TUNNEL_NVGRE, TUNNEL_ERSPAN,
    TUNNEL_TEREDO, TUNNEL_VXLAN, TUNNEL_GENEVE, TUNNEL_GTPU, TUNNEL_MAX,
};

typedef struct packet_meta {
    const uint8_t *frame;       /* first byte of this entry: link header of a wire packet, or the inner packet. Borrowed. */
    uint64_t ts;                /* ns since 1970, as the capture says */
    uint32_t caplen, wirelen;   /* bytes from frame: captured, and on the wire */
    uint32_t hash;              /* of the flow key, symmetric; up to steer: headers decoded so far, for decap */
    uint32_t flags;             /* PM_* */
    uint32_t tunnel_id;         /* VNI, TEID, GRE key or ERSPAN session of the tunnel that carried this entry */
    uint16_t l3, l4;            /* offsets from frame; NO_INDEX where absent */
    uint16_t payload;           /* offset of the transport payload from frame */
    uint16_t payload_len;       /* its captured bytes, within what the IP header announces */
    uint16_t packet;            /* index of the wire packet in the burst */
    uint16_t parent;            /* index of the entry around this one; its own index for a wire packet */
    uint16_t events;            /* first note in burst.notes, NO_INDEX for none */
    uint16_t linktype;          /* LINKTYPE_* number of what frame points at (DLT_RAW 101 for a bare IP packet) */
    uint8_t net;                /* NET_* */
    uint8_t proto;              /* IP protocol after the extension headers */
    uint8_t tcp_flags;
    uint8_t depth;              /* 0 for a wire packet */
    uint8_t tunnel;             /* what carried this entry */
    uint8_t carries;            /* what this entry carries, for decap; TUNNEL_NONE for nothing */
    uint16_t inner;             /* offset of the tunnel header (or, for IP in IP, of the inner packet) from frame */
    uint8_t bucket;
    uint8_t qfi;                /* GTP-U PDU session container */
    uint8_t icmp_type, icmp_code;
} packet_meta_t;
_Static_assert(sizeof(packet_meta_t) == 64, "one cache line an entry");

/* The normalised key: the lower (address, port) endpoint first. Compared and hashed as six words. */
typedef struct flow_key {
    uint8_t addr[2][16];        /* network order; an IPv4 address is in the first four bytes, the rest zero */
    uint16_t port[2];           /* host order; port[i] belongs to addr[i]; ICMP: type and counter type */
    uint16_t vlan[VLANS_MAX];   /* identifiers (12 bits), outermost first */
    uint8_t proto;
    uint8_t tunnel;             /* kind << 4 | depth */
    uint8_t net;                /* NET_IPV4 or NET_IPV6 */
    uint8_t vni[3];             /* zero unless the setting puts the VNI into the key */
} flow_key_t;
_Static_assert(sizeof(flow_key_t) == 48, "six words");

/* What a flow keeps of its key in its first line, in the key's order: of IPv4 that is all (flow_has_key, flow_key_of). */
typedef struct key_head {
    uint32_t addr[2];           /* the first four bytes of each */
    uint16_t port[2];
    uint16_t vlan[VLANS_MAX];
    uint8_t proto, tunnel, net, vni[3];
} key_head_t;
_Static_assert(sizeof(key_head_t) == 24, "three words");

typedef struct event_note {
    uint16_t code;              /* enum event */
    uint16_t next;              /* NO_INDEX ends the list of an entry */
} event_note_t;
_Static_assert(sizeof(event_note_t) == 4, "no padding");

/* ---- verdict ---- */

/* ordered by severity: the verdict of a wire packet is the most severe of its entries' */
enum action { ACTION_PASS, ACTION_DROP, ACTION_REJECT, ACTION_REJECT_DST, ACTION_REJECT_BOTH };

#define FASTPATH_REASONS(X) \
    X(REASON_NONE, "none") \
    X(REASON_RULE, "rule") \
    X(REASON_FLOW, "flow dropped") \
    X(REASON_FLOW_PASS, "flow passed") \
    X(REASON_OFFLOAD_DROP, "offloaded: drop") \
    X(REASON_OFFLOAD_FORWARD, "offloaded: forward") \
    X(REASON_MALFORMED, "malformed") \
    X(REASON_FLOW_MEMCAP, "flow memcap") \
    X(REASON_ISOLATED, "isolated") \
    X(REASON_STREAM, "stream error") \
    X(REASON_POLICY, "policy") \
    X(REASON_DEFRAG_MEMCAP, "defrag memcap") \
    X(REASON_STREAM_MEMCAP, "stream memcap") \
    X(REASON_REASSEMBLY_MEMCAP, "stream reassembly memcap") \
    X(REASON_MIDSTREAM, "stream midstream") \
    X(REASON_APPLAYER, "applayer error")

#define FASTPATH_ENUM(name, text) name,
enum reason { FASTPATH_REASONS(FASTPATH_ENUM) REASON_MAX };

enum ledger { LEDGER_INSPECTED, LEDGER_OFFLOADED, LEDGER_DROPPED, LEDGER_ERRORED, LEDGER_MAX };

#define NO_RULE 0xffffffffu

typedef struct verdict {
    uint8_t action;             /* enum action */
    uint8_t reason;             /* enum reason */
    uint8_t ledger;             /* enum ledger */
    uint8_t alerts;             /* raised by this entry, at most 255 counted */
    uint32_t rule;              /* index in the rule set, NO_RULE for none */
    uint64_t flow;              /* flow id, 0 for none */
} verdict_t;
_Static_assert(sizeof(verdict_t) == 16, "four a cache line");

/* ---- burst ---- */

typedef struct burst {
    uint64_t first_ordinal;     /* of packet 0; wire packets count from 1 */
    uint32_t packets;           /* wire packets: entries 0 .. packets-1 of meta, in order */
    uint32_t entries;           /* with the inner ones, which follow */
    uint32_t notes_used, events_lost;
    uint32_t has_interfaces;    /* the source numbers its interfaces: interface[] holds them */
    packet_meta_t meta[ENTRIES_MAX] __attribute__((aligned(64)));
    flow_key_t key[ENTRIES_MAX] __attribute__((aligned(64)));
    uint64_t now[BURST_MAX];    /* engine time at each wire packet: the running maximum of stamps, ns */
    event_note_t notes[EVENTS_MAX];
    uint16_t interface[BURST_MAX];      /* of each wire packet, by rx, in the section of the capture */
} burst_t;
_Static_assert(sizeof(burst_t) == 64 + ENTRIES_MAX * (64 + 48) + BURST_MAX * (8 + 2) + EVENTS_MAX * 4, "fits the L2 cache");

/* ---- flow: two cache lines ---- */

enum {                          /* flow_t.flags */
    FLOW_REVERSED = 1 << 0,     /* the initiator is endpoint 1 of the key */
    FLOW_SEEN_TO_CLIENT = 1 << 1,
    FLOW_SEEN_TO_SERVER = 1 << 2,
    FLOW_ALERTED = 1 << 3,
    FLOW_DROP = 1 << 4,         /* every later packet is dropped */
    FLOW_PASS = 1 << 5,         /* no later packet is inspected */
    FLOW_BYPASS = 1 << 6,       /* a rule asked for this flow to be offloaded */
    FLOW_OFFLOADED = 1 << 7,    /* has, or had, a session in the device */
    FLOW_IPONLY_TO_SERVER = 1 << 8,     /* the rules without packet conditions have run for this direction */
    FLOW_IPONLY_TO_CLIENT = 1 << 9,
    FLOW_GROUPED_TO_SERVER = 1 << 10,   /* flow_t.group holds the rule group of this direction */
    FLOW_GROUPED_TO_CLIENT = 1 << 11,
    FLOW_FREE = 1 << 15,
};

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED, FLOW_STATE_MAX };
enum flow_end { END_TIMEOUT, END_FORCED, END_SHUTDOWN, END_REUSE, END_MAX };

typedef struct flow {
    /* all that a packet of a known IPv4 flow reads and writes */
    uint64_t last;              /* engine time of the latest packet, ns */
    uint32_t pkts[2];           /* to server, to client */
    uint64_t bytes[2];
    key_head_t key;
    uint16_t flags;             /* FLOW_* */
    uint8_t state;              /* enum flow_state */
    uint8_t tcp_state;          /* enum tcp_state, belongs to stream */
    uint8_t tcp_flags[2];       /* ORed, by direction */
    uint8_t epoch;              /* low bits of the rule set epoch that group belongs to */
    uint8_t reason;             /* why it is dropped or passed */
    /* second line */
    uint8_t key_tail[2][12];    /* the rest of both addresses; of IPv4 it is zero */
    uint64_t first_ordinal;
    uint64_t first_ts;          /* stamp of the first packet, ns */
    struct flow_more *more;     /* variables, device session, ledger; NULL until one is needed */
    uint32_t wheel_next, wheel_prev;    /* belong to flow */
    uint32_t rule;              /* that dropped or passed the flow */
    uint16_t group[2];          /* rule group by direction, of epoch */
} flow_t;
_Static_assert(offsetof(flow_t, key_tail) == 64, "the first line");
_Static_assert(sizeof(flow_t) == 128, "two cache lines a flow");

/* ---- TCP: belongs to stream ---- */

typedef struct tcp_half {       /* what one side sends, as the other acknowledges it */
    uint32_t isn;               /* sequence number of its SYN */
    uint32_t next_seq;          /* of the first byte not seen */
    uint32_t last_ack;          /* the latest acknowledgment of the other side */
    uint32_t next_win;          /* the first byte that the other side did not yet allow */
    uint32_t window;            /* that the other side announced last, scaled */
    uint32_t last_ts;           /* timestamp option (RFC 7323) */
} tcp_half_t;
_Static_assert(sizeof(tcp_half_t) == 24, "no padding");

typedef struct tcp_session {
    tcp_half_t half[2];         /* of the client, of the server: indexed by the direction of their segments */
    uint32_t flags;             /* SESSION_*, and in the upper bits the state before this one */
    uint8_t half_flags[2];      /* HALF_* */
    uint8_t scale;              /* window scales: of half[0] in the low four bits */
    uint8_t os;                 /* enum host_os of the receivers: of half[0] in the low four bits; 0 not looked up */
    struct held *held;          /* bytes and the rest that few sessions need (held.pxd); NULL for none */
} tcp_session_t;
_Static_assert(sizeof(tcp_session_t) == 64, "one cache line");

/* What all flows but the simplest have, from the pool of the bucket: TCP sessions, and what rules or the device ask for. */
typedef struct flow_more {
    uint64_t *bits;             /* flowbits, by interned number; NULL for none */
    uint32_t bits_words;
    uint32_t alerts;
    uint32_t session;           /* index + 1 in the device, 0 for none */
    uint32_t dropped_pkts;
    uint64_t dropped_bytes;
    uint64_t offloaded_bytes;
    uint32_t offloaded_pkts;
    uint32_t errored_pkts;
    uint64_t errored_bytes;
    struct app *app;            /* protocol and transactions (applayer/applayer.h); NULL until there is data */
    tcp_session_t tcp;          /* valid where flow_t.tcp_state is not TCP_NONE */
} flow_more_t;
_Static_assert(sizeof(flow_more_t) == 128, "two cache lines");

/* The memory of a bucket beside its flows. What is taken stands in an account, and is refused, and counted, at its cap.
   pool.pxd is all that touches it. */
enum account {
    ACCOUNT_FLOW,               /* flow_more_t, flowbits and variables: a part of flow.memcap */
    ACCOUNT_STREAM,             /* sessions: stream.memcap */
    ACCOUNT_REASSEMBLY,         /* their bytes: stream.reassembly.memcap */
    ACCOUNT_APPLAYER,           /* transactions, bodies, files */
    ACCOUNT_MAX,
};
enum { POOL_CLASSES = 20, POOL_LARGEST = 49152, POOL_CHUNK = 1 << 18 };

typedef struct pool {
    uint64_t used[ACCOUNT_MAX], cap[ACCOUNT_MAX];   /* bytes */
    uint64_t refused[ACCOUNT_MAX];
    void *free[POOL_CLASSES];   /* given back, by size: 64, 96, 128, 192, 256, 384 ... bytes */
    uint8_t *fresh;             /* what is left of the latest chunk */
    uint64_t fresh_left;
    void *chunks;               /* all of them, linked */
} pool_t;
_Static_assert(sizeof(pool_t) == 280, "no padding");

/* Bytes that grow. */
typedef struct bytes {
    uint8_t *data;
    uint32_t length, room;
} bytes_t;
_Static_assert(sizeof(bytes_t) == 16, "no padding");

enum { TO_SERVER = 0, TO_CLIENT = 1 };

/* ---- rows that leave the data plane; no padding that is not zeroed: they are hashed into the digest ---- */

enum source { SOURCE_PACKET, SOURCE_STREAM, SOURCE_FLUSH, SOURCE_DEFRAG };     /* flush: at the flow's end */

typedef struct alert_row {
    uint64_t ordinal;           /* wire packet; 0 for a flush pseudo-packet */
    uint64_t ts;                /* ns */
    uint64_t flow;              /* flow id, 0 for none */
    uint64_t flow_start;        /* ns */
    uint64_t bytes[2];          /* of the flow so far */
    uint32_t pkts[2];
    flow_key_t key;
    flow_key_t outer;           /* of the wire packet, where the entry is another */
    uint32_t rule;              /* index in the rule set */
    uint32_t tunnel_id;
    uint16_t index;             /* order of the alert within its entry */
    uint16_t entry;             /* order of the entry within its wire packet: 0 is the innermost */
    uint8_t action;             /* enum action: what was done */
    uint8_t source;             /* enum source */
    uint8_t to_client;
    uint8_t reversed;           /* PM_REVERSED of the entry */
    uint8_t outer_reversed;
    uint8_t depth;
    uint8_t icmp_type, icmp_code;
    uint8_t net;                /* NET_* of the entry: NET_NONE has no addresses */
    uint8_t has_flow;
    uint8_t app_proto[4];       /* as in flow_row_t */
    uint8_t verdict;            /* enum alert_verdict: what became of the entry in the end */
    uint8_t reject;             /* enum action: the reject that a rule on the entry asks for, in ids mode too; else ACTION_PASS */
    uint8_t qfi;                /* of the entry: GTP-U PDU session container */
    uint8_t decrypted;          /* it is about a session inside an encrypted one, whose protocol app_proto[0] is then */
    uint8_t reserved[2];
} alert_row_t;
enum alert_verdict { ALERT_ALERTED, ALERT_DROPPED, ALERT_PASSED };
_Static_assert(sizeof(alert_row_t) == 184, "no padding");

typedef struct flow_row {
    uint64_t flow;
    uint64_t first_ordinal;
    uint64_t end_ordinal;       /* of the packet or tick that ended it */
    uint64_t start, last;       /* ns */
    uint64_t bytes[2];
    uint32_t pkts[2];
    flow_key_t key;
    uint64_t offloaded_bytes, dropped_bytes, errored_bytes;
    uint32_t offloaded_pkts, dropped_pkts, errored_pkts;
    uint32_t alerts;
    uint32_t rule;
    uint16_t flags;
    uint8_t state, end;         /* enum flow_state, flow_end */
    uint8_t tcp_state;
    uint8_t tcp_flags[2];
    uint8_t reason;
    uint8_t app_proto[4];       /* enum alproto: of the session, of what each direction was recognised as, before an upgrade */
} flow_row_t;
_Static_assert(sizeof(flow_row_t) == 168, "no padding");

typedef struct event_row {
    uint64_t ordinal;
    uint64_t ts;
    flow_key_t key;             /* zero where the packet had none */
    uint16_t code;              /* enum event */
    uint16_t entry;
    uint8_t reversed, net;
    uint16_t reserved;
} event_row_t;
_Static_assert(sizeof(event_row_t) == 72, "no padding");

/* What a transaction, a file or a protocol's event has to say: the rest of it is a MessagePack map among the bytes beside. */
enum app_row_kind { APP_ROW_EVENT, APP_ROW_FILE, APP_ROW_ANOMALY, APP_ROW_ALERT, APP_ROW_BYTES, APP_ROW_MODEL };
typedef struct app_row {
    uint64_t ordinal;           /* of the packet at work; 0 for a flush at the flow's end */
    uint64_t ts;                /* ns */
    uint64_t flow, flow_start;
    uint64_t tx;                /* id; ~0 for an APP_ROW_ANOMALY of the session itself */
    uint64_t offset;            /* of its bytes */
    flow_key_t key;
    uint32_t length;            /* of its bytes */
    uint16_t code;              /* APP_ROW_ANOMALY: enum app_event; APP_ROW_ALERT: index of the alert within its entry */
    uint16_t entry;             /* order of the entry within its wire packet */
    uint8_t kind, proto;        /* enum app_row_kind, enum alproto */
    uint8_t direction;          /* of the transaction's side that speaks */
    uint8_t reversed;           /* the initiator is endpoint 1 of the key */
    uint8_t to_client;          /* the packet at work */
    uint8_t worker;             /* whose bytes, until rows are merged; 0 afterwards */
    uint8_t depth;
    uint8_t decrypted;          /* of a session inside an encrypted one */
} app_row_t;
_Static_assert(sizeof(app_row_t) == 112, "no padding");

/* The same verdict for a run of packets is one row: the digest costs nothing where nothing happens. */
typedef struct verdict_run {
    uint64_t packets;
    uint32_t rule;
    uint8_t action, reason, ledger, reserved;
} verdict_run_t;
_Static_assert(sizeof(verdict_run_t) == 16, "no padding");

/* Notes an event on an entry. Never fails: a note without room is counted. Workers note on entries of their own in one burst at
   the same time: what they share is the count. */
static inline void note_event(burst_t *burst, uint32_t entry, uint16_t code)
{
    uint32_t at = __atomic_fetch_add(&burst->notes_used, 1, __ATOMIC_RELAXED);
    if (at >= EVENTS_MAX) {
        __atomic_fetch_add(&burst->events_lost, 1, __ATOMIC_RELAXED);
        return;
    }
    uint16_t *link = &burst->meta[entry].events;
    while (*link != NO_INDEX)
        link = &burst->notes[*link].next;
    burst->notes[at].code = code;
    burst->notes[at].next = NO_INDEX;
    *link = (uint16_t)at;
}

#endif
