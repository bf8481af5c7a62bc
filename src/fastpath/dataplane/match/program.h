/* The compiled form of a rule set: what rules/program.py writes and this room reads, the one thing that both sides know.
   A program is one relocatable blob without pointers: a header with a table of sections, then the sections, each an array of
   one of the structs below in the machine's own byte order, 64-byte aligned. Indices point into sections; NOTHING is none. */
#ifndef FASTPATH_PROGRAM_H
#define FASTPATH_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "applayer/applayer.h"
#include "types.h"

#define NOTHING 0xffffffffu
#define PROGRAM_MAGIC "fprules\n"

enum {
    PROGRAM_VERSION = 1,
    VALUES_MAX = 32,            /* variables of one rule (byte_extract, byte_math) */
    PORTS = 65536,
    NUMERAL_MAX = 23,           /* digits that a number written as text may have */
    BASE64_MAX = 65535,         /* bytes that base64_decode may give */
};

enum section {
    SECTION_RULES,              /* rule_t, in the order in which they are inspected */
    SECTION_OPS,                /* op_t */
    SECTION_BYTES,              /* patterns, as bytes; those without case in lower case */
    SECTION_SETS,               /* address_set_t */
    SECTION_V4, SECTION_V6,     /* range4_t, range6_t */
    SECTION_PORT_SETS,          /* span_t over SECTION_PORT_RANGES */
    SECTION_PORT_RANGES,        /* port_range_t */
    SECTION_NUMBERS,            /* number_range_t */
    SECTION_LISTS,              /* uint32_t: rules of a pattern, rules of a group, flowbits of an op */
    SECTION_GROUPS,             /* group_t; group 0 is empty, group 1 holds the decode-event rules alone */
    SECTION_PROTOS,             /* uint16_t [2][256]: group by direction and IP protocol */
    SECTION_PORT_TABLES,        /* uint16_t [4][65536]: group by port: TCP to server, to client, UDP to server, to client */
    SECTION_PATTERNS,           /* span_t over SECTION_LISTS: the rules behind each pattern of a group's database */
    SECTION_DATABASES,          /* span_t over SECTION_SERIALIZED */
    SECTION_SERIALIZED,         /* Hyperscan databases, as bytes */
    SECTION_EXPRESSIONS,        /* expression_t */
    SECTION_THRESHOLDS,         /* threshold_t */
    SECTION_IPONLY,             /* iponly_t: address to IP-only rules, four tables (program_header_t.iponly) */
    SECTION_MAX,
};

typedef struct span { uint32_t first, count; } span_t;
_Static_assert(sizeof(span_t) == 8, "packed by rules/program.py");

typedef struct section_entry {
    uint64_t offset;            /* from the start of the blob */
    uint32_t count, width;      /* elements, and bytes of each */
} section_t;
_Static_assert(sizeof(section_t) == 16, "packed by rules/program.py");

typedef struct program_header {
    char magic[8];
    uint32_t version;
    uint32_t sections;          /* SECTION_MAX */
    uint64_t size;              /* of the whole blob */
    uint32_t plans;             /* rules as loaded; a bidirectional one is two in SECTION_RULES */
    uint32_t flowbits;          /* names in use are numbered below this */
    uint32_t step_limit;        /* inspection-recursion-limit */
    uint32_t reserved;
    span_t iponly[4];           /* in SECTION_IPONLY: by source IPv4, source IPv6, destination IPv4, destination IPv6 */
    span_t iponly_anywhere;     /* in SECTION_LISTS: IP-only rules without addresses */
    section_t section[SECTION_MAX];
} program_header_t;
_Static_assert(sizeof(program_header_t) == 80 + 16 * SECTION_MAX, "packed by rules/program.py");

typedef struct address_set { span_t v4, v6; } address_set_t;
_Static_assert(sizeof(address_set_t) == 16, "packed by rules/program.py");

typedef struct range4 { uint32_t low, high; } range4_t;                             /* inclusive, sorted, disjoint */
typedef struct range6 { uint64_t low[2], high[2]; } range6_t;                       /* most significant word first */
typedef struct port_range { uint16_t low, high; } port_range_t;
typedef struct number_range { uint64_t low, high; } number_range_t;
_Static_assert(sizeof(range4_t) == 8 && sizeof(range6_t) == 32, "packed by rules/program.py");
_Static_assert(sizeof(port_range_t) == 4 && sizeof(number_range_t) == 16, "packed by rules/program.py");

/* ---- rules ---- */

enum rule_flag {
    RULE_ANY_PROTO = 1 << 0,
    RULE_IPV4 = 1 << 1,         /* ip4, icmpv4: only over this version */
    RULE_IPV6 = 1 << 2,
    RULE_IPONLY = 1 << 3,       /* header alone: once per direction of a flow */
    RULE_PACKET = 1 << 4,       /* inspects packets: a header keyword, depth, offset, tcp-pkt */
    RULE_STREAM = 1 << 5,       /* inspects the stream of a TCP flow */
    RULE_PAYLOAD = 1 << 6,      /* cannot match without payload */
    RULE_NOALERT = 1 << 7,
    RULE_BYPASS = 1 << 8,
    RULE_EVENT = 1 << 9,        /* cannot match a packet without events */
    RULE_FLOW_ACTION = 1 << 10, /* drop and pass act on the flow, whatever matched */
};

enum rule_kind { KIND_PASS, KIND_DROP, KIND_REJECT, KIND_ALERT };  /* in the order of inspection */

typedef struct rule {
    uint32_t plan;              /* index of the rule as loaded: what the outside knows it by */
    uint32_t flags;             /* RULE_* */
    uint32_t ops;               /* first of its program, which OP_MATCH ends */
    uint32_t after;             /* first of the flowbits to set on a match, which OP_MATCH ends */
    uint32_t src, dst;          /* address sets; NOTHING for any */
    uint32_t sport, dport;      /* port sets; NOTHING for any */
    uint32_t threshold;         /* NOTHING for none */
    uint32_t detection_filter;
    uint32_t sid, gid;
    uint8_t kind;               /* enum rule_kind */
    uint8_t action;             /* enum action */
    uint8_t proto, proto2;      /* IP protocols; the second repeats the first but for icmp */
    uint32_t reserved[3];
} rule_t;
_Static_assert(sizeof(rule_t) == 64, "one cache line a rule");

typedef struct group {
    uint32_t database;          /* NOTHING where no rule has a pattern */
    uint32_t shortest;          /* bytes of its shortest pattern */
    span_t patterns;            /* in SECTION_PATTERNS: entry i belongs to pattern i of the database */
    span_t bare;                /* in SECTION_LISTS: rules without a pattern that any packet may match */
    span_t payload;             /* rules without a pattern that need payload */
    span_t event;               /* rules that need an event */
} group_t;
_Static_assert(sizeof(group_t) == 40, "packed by rules/program.py");

typedef struct iponly {         /* addresses from `low` on, up to the next entry */
    uint64_t low[2];            /* most significant word first; IPv4 in low[1] */
    span_t rules;               /* in SECTION_LISTS */
} iponly_t;
_Static_assert(sizeof(iponly_t) == 24, "packed by rules/program.py");

typedef struct expression {
    uint32_t at, length;        /* in SECTION_BYTES */
    uint32_t options;           /* EXPRESSION_* */
    uint32_t reserved;
} expression_t;
_Static_assert(sizeof(expression_t) == 16, "packed by rules/program.py");

enum {
    EXPRESSION_CASELESS = 1 << 0, EXPRESSION_MULTILINE = 1 << 1, EXPRESSION_DOTALL = 1 << 2, EXPRESSION_EXTENDED = 1 << 3,
    EXPRESSION_ANCHORED = 1 << 4, EXPRESSION_DOLLAR_ENDONLY = 1 << 5, EXPRESSION_UNGREEDY = 1 << 6,
};

enum threshold_kind { THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH, THRESHOLD_DETECTION_FILTER, THRESHOLD_KINDS };
enum threshold_track { TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_FLOW, TRACKS };

typedef struct threshold {
    uint8_t kind, track;
    uint16_t reserved;
    uint32_t count, seconds;
    uint32_t reserved2;
} threshold_t;
_Static_assert(sizeof(threshold_t) == 16, "packed by rules/program.py");

/* ---- ops: a code and flags, then what the code needs ---- */

enum op_code {
    OP_MATCH,                   /* the end of a program: all held */
    OP_NUMBER, OP_BITS, OP_SAMEIP, OP_IPOPT, OP_EVENT, OP_FLOW, OP_FLOWBITS,
    OP_BLOCK,                   /* the steps that follow run over a buffer, up to OP_END */
    OP_END,
    OP_CONTENT, OP_PCRE, OP_BYTE_TEST, OP_BYTE_JUMP, OP_BYTE_EXTRACT, OP_BYTE_MATH, OP_ISDATAAT, OP_BASE64,
    OP_CODES,
};

typedef struct op { uint16_t code, flags; uint8_t operands[28]; } op_t;
_Static_assert(sizeof(op_t) == 32, "two ops a cache line");

enum field {                    /* of OP_NUMBER and OP_BITS */
    FIELD_TTL, FIELD_TOS, FIELD_IP_ID, FIELD_IP_PROTO, FIELD_FRAGOFFSET, FIELD_SEQ, FIELD_ACK, FIELD_WINDOW, FIELD_MSS,
    FIELD_ITYPE, FIELD_ICODE, FIELD_ICMP_ID, FIELD_ICMP_SEQ, FIELD_ICMPV6_MTU, FIELD_DSIZE, FIELD_TCP_FLAGS, FIELD_FRAGBITS,
    FIELD_MAX,
};

enum { NEGATED = 1 << 0, RELATIVE = 1 << 1 };       /* flags of every step that has them */

typedef struct number_op { uint16_t code, flags; uint32_t field; span_t ranges; uint32_t reserved[4]; } number_op_t;
_Static_assert(sizeof(number_op_t) == 32, "an op");

enum { BITS_EXACT, BITS_ALL, BITS_ANY, BITS_NONE, BITS_MODES };
typedef struct bits_op { uint16_t code, flags; uint32_t field, mode, value, ignore; uint32_t reserved[3]; } bits_op_t;
_Static_assert(sizeof(bits_op_t) == 32, "an op");

enum { ANY_IPOPT = 0xffff };
typedef struct plain_op { uint16_t code, flags; uint32_t value; uint32_t reserved[6]; } plain_op_t;  /* SAMEIP IPOPT EVENT FLOW */
_Static_assert(sizeof(plain_op_t) == 32, "an op");

enum {                          /* value of OP_FLOW */
    STATE_TO_SERVER = 1 << 0, STATE_TO_CLIENT = 1 << 1, STATE_ESTABLISHED = 1 << 2, STATE_NOT_ESTABLISHED = 1 << 3,
    STATE_REASSEMBLED = 1 << 4, STATE_NOT_REASSEMBLED = 1 << 5,
    STATE_FLOW = 1 << 6,        /* any flow, but a flow */
    STATE_MASK = 0x7f,
};

enum { FLOWBITS_SET, FLOWBITS_UNSET, FLOWBITS_TOGGLE, FLOWBITS_ISSET, FLOWBITS_ISNOTSET, FLOWBITS_OPS };
typedef struct flowbits_op { uint16_t code, flags; uint32_t what; span_t bits; uint32_t reserved[4]; } flowbits_op_t;
_Static_assert(sizeof(flowbits_op_t) == 32, "an op");

enum buffer {
    BUFFER_PAYLOAD, BUFFER_IPV4_HDR, BUFFER_IPV6_HDR, BUFFER_TCP_HDR, BUFFER_UDP_HDR, BUFFER_ICMPV4_HDR, BUFFER_ICMPV6_HDR,
    BUFFER_BASE64_DATA, BUFFER_MAX,
};
typedef struct block_op { uint16_t code, flags; uint32_t buffer; uint32_t next; uint32_t reserved[5]; } block_op_t;
_Static_assert(sizeof(block_op_t) == 32, "an op");

enum {                          /* flags of OP_CONTENT, OP_PCRE; a *_VAR operand is the number of a variable */
    CONTENT_NOCASE = 1 << 2, CONTENT_ENDSWITH = 1 << 3,
    HAS_RELATIVE_NEXT = 1 << 4, /* a later step starts where this one ends: on its failure, look further */
    HAS_DISTANCE = 1 << 5, HAS_WITHIN = 1 << 6, HAS_DEPTH = 1 << 7,
    OFFSET_VAR = 1 << 8, DEPTH_VAR = 1 << 9, DISTANCE_VAR = 1 << 10, WITHIN_VAR = 1 << 11,
    CONTENT_ALONE = 1 << 12,    /* nothing before it can change what it finds */
};
typedef struct content_op {
    uint16_t code, flags;
    uint32_t at, length;        /* in SECTION_BYTES */
    int32_t offset, depth;      /* depth counts from offset; with RELATIVE offset is the first place that counts at all, and
                                   depth counts from where the step before ended */
    int32_t distance, within;
    uint32_t reserved;
} content_op_t;
_Static_assert(sizeof(content_op_t) == 32, "an op");

typedef struct pcre_op { uint16_t code, flags; uint32_t expression; uint32_t reserved[6]; } pcre_op_t;
_Static_assert(sizeof(pcre_op_t) == 32, "an op");

enum {                          /* flags of the byte_* ops */
    LITTLE_ENDIAN_BYTES = 1 << 2, NBYTES_VAR = 1 << 3, VALUE_VAR = 1 << 4, BYTE_OFFSET_VAR = 1 << 5,
    FROM_BEGINNING = 1 << 6, FROM_END = 1 << 7, HAS_BITMASK = 1 << 8,
};
enum { TEST_LT, TEST_GT, TEST_EQ, TEST_LE, TEST_GE, TEST_AND, TEST_OR, TESTS };
enum { MATH_ADD, MATH_SUBTRACT, MATH_MULTIPLY, MATH_DIVIDE, MATH_SHIFT_LEFT, MATH_SHIFT_RIGHT, MATHS };
typedef struct byte_op {
    uint16_t code, flags;
    uint8_t nbytes;             /* or the number of a variable */
    uint8_t base;               /* 0 for binary */
    uint8_t what;               /* TEST_* or MATH_*; byte_extract and byte_jump: align, 0 for none */
    uint8_t result;             /* variable that byte_extract and byte_math set */
    int32_t offset;
    uint32_t bitmask;
    int32_t post;               /* byte_jump: post_offset */
    uint32_t multiplier;
    uint64_t value;             /* of byte_test and byte_math, or the number of a variable */
} byte_op_t;
_Static_assert(sizeof(byte_op_t) == 32, "an op");

typedef struct isdataat_op { uint16_t code, flags; uint32_t at; uint32_t reserved[6]; } isdataat_op_t;
_Static_assert(sizeof(isdataat_op_t) == 32, "an op");

typedef struct base64_op {
    uint16_t code, flags;
    uint32_t bytes, offset;
    uint32_t block;             /* OP_BLOCK over what was decoded; NOTHING for none */
    uint32_t reserved[4];
} base64_op_t;
_Static_assert(sizeof(base64_op_t) == 32, "an op");

/* ---- at run time ---- */

typedef struct ruleset {        /* a validated blob, seen through pointers */
    const program_header_t *header;
    const rule_t *rules;
    const op_t *ops;
    const uint8_t *bytes;
    const address_set_t *sets;
    const range4_t *v4;
    const range6_t *v6;
    const span_t *port_sets;
    const port_range_t *port_ranges;
    const number_range_t *numbers;
    const uint32_t *lists;
    const group_t *groups;
    const uint16_t *protos;
    const uint16_t *port_tables;
    const span_t *patterns;
    const threshold_t *thresholds;
    const iponly_t *iponly;
    void **databases;           /* hs_database_t *, one per SECTION_DATABASES */
    void **expressions;         /* pcre2_code *, one per SECTION_EXPRESSIONS */
    uint32_t rule_count;
    uint8_t has_iponly;
    uint8_t epoch;              /* set by the engine at load; flow_t.epoch is held against it */
} ruleset_t;

/* ---- what there is to inspect with an entry beside the packet itself ---- */

enum inspect_flag {             /* inspection_t.flags */
    INSPECT_IN_STREAM = 1 << 0, /* the payload entered the stream: only rules on packets look at it where it lies */
    INSPECT_FLUSH = 1 << 1,     /* a pseudo-packet at the end of a flow */
    INSPECT_NO_PAYLOAD = 1 << 2,    /* payload and stream are inspected no more (encrypted, or told so) */
    INSPECT_PROTO_FOUND = 1 << 3,   /* recognition came to its end in a direction with this entry */
    INSPECT_STREAM_END = 1 << 4,    /* no more raw stream will come in this direction */
    INSPECT_TX = 1 << 5,        /* transactions may be inspected: UDP, or an established TCP session */
};

typedef struct window {         /* raw stream in order, without a gap */
    const uint8_t *data;
    uint32_t length;
    uint32_t reserved;
    uint64_t offset;            /* of data[0] in its direction of the stream */
} window_t;

typedef struct inspection {     /* of an entry's direction; zeroed: neither stream nor application */
    const window_t *windows;    /* what of the raw stream is inspected with this entry, oldest first */
    uint32_t window_count;
    uint32_t flags;             /* INSPECT_* */
    app_context_t *context;     /* NULL where the flow has no app_t */
    const room_t *room;         /* of app_t.proto; NULL where it has none */
    uint32_t events_before;     /* app_t.events below this one are older than the entry */
    uint32_t reserved;
    uint64_t stream_size[2];    /* bytes of the stream so far, by direction: what stream_size asks */
} inspection_t;

#define NO_TX UINT64_MAX

enum match_flag {
    MATCH_ALERT = 1 << 0,       /* an alert is due, unless a threshold hides it */
    MATCH_FLOW = 1 << 1,        /* drop or pass act on the flow, not on this packet alone */
    MATCH_STREAM = 1 << 2,      /* matched on stream data */
    MATCH_BYPASS = 1 << 3,
    MATCH_THRESHOLD = 1 << 4,   /* threshold_check has a say */
    MATCH_STATE = 1 << 5,       /* matched on a transaction, by its buffers or events */
    MATCH_FILE = 1 << 6,        /* a file of the transaction took part: alerts carry fileinfo */
};

typedef struct match {
    uint32_t rule;              /* index of the rule as loaded: rule_t.plan */
    uint32_t compiled;          /* index in ruleset_t.rules */
    uint8_t kind;               /* enum rule_kind */
    uint8_t action;             /* enum action */
    uint16_t flags;             /* MATCH_* */
    uint32_t reserved;
    uint64_t tx_id;             /* NO_TX for none */
    tx_t *tx;                   /* that alerts name: with MATCH_STATE the one that matched; NULL for none. Holds for this entry */
} match_t;
_Static_assert(sizeof(match_t) == 32, "no padding");

typedef struct match_scratch {  /* one per worker and rule set */
    void *hyperscan;            /* hs_scratch_t * */
    void *match_data;           /* pcre2_match_data * */
    void *match_context;        /* pcre2_match_context * */
    pool_t *pool;          /* of the bucket at work; set by the engine */
    uint32_t *hits;             /* patterns found, in the order found */
    uint32_t hit_count, hit_room;
    uint32_t *candidates;       /* rules, in the order of inspection */
    uint32_t candidate_count;
    uint32_t *merged;           /* room for sorting them */
    match_t *matches;
    uint32_t match_count;
    uint64_t *checks, *candidate_hits, *match_hits;     /* per rule as loaded */
    uint64_t values[VALUES_MAX];
    uint8_t *decoded;           /* by base64_decode */
    uint32_t decoded_length;
    uint32_t steps;             /* taken by the block at work, held against step_limit */
    uint32_t cursor;            /* where the step before ended: what relative means */
    uint32_t give_up;           /* no further occurrence can help this block */
    uint32_t scanning;          /* database of the latest scan */
    uint64_t scans;             /* buffers given to Hyperscan */
    uint64_t scanned;           /* their bytes */
    uint64_t limits_hit;        /* PCRE2 or recursion limits that ended an inspection */
} match_scratch_t;

#endif
