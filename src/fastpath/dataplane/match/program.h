/* The compiled form of a rule set: what rules/program.py writes and this room reads, the one thing that both sides know.
   A program is one relocatable blob without pointers: a header with a table of sections, then the sections, each an array of
   one of the structs below in the machine's own byte order, 64-byte aligned. Indices point into sections; NOTHING is none. */
#ifndef FASTPATH_PROGRAM_H
#define FASTPATH_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "applayer/applayer.h"
#include "match/shapes.h"
#include "types.h"

#define NOTHING 0xffffffffu
#define PROGRAM_MAGIC "fprules\n"

enum {
    PROGRAM_VERSION = 6,
    VALUES_MAX = 32,            /* variables of one rule (byte_extract, byte_math) */
    PORTS = 65536,
    NUMERAL_MAX = 23,           /* digits that a number written as text may have */
    BASE64_MAX = 65535,         /* bytes that base64_decode may give */
    TRANSFORMED_MAX = 1 << 18,  /* bytes of a buffer that transforms look at */
    ENGINES_MAX = 24,           /* blocks of one rule over what a transaction has */
    STORED_MAX = 4096,          /* rules that one direction of a transaction remembers */
    MATCHES_MAX = 4096,         /* of one entry */
    RULE_CAPTURES = 8,          /* groups that one expression keeps */
    CAPTURED_MAX = 64,          /* texts that a rule has captured, or a packet has, at most */
    CAPTURED_BYTES = 1 << 18,   /* and their bytes */
    NOTED_MAX = 16,              /* texts for the inventory from one entry; the rest is counted with the limits */
    NOTED_BYTES = 64,            /* of one; what is longer is cut */
    FLOW_TEXTS = 64,            /* that a flow keeps, at most */
    FLOW_TEXT_BYTES = 1 << 16,  /* and their bytes */
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
    SECTION_ENGINES,            /* app_block_t: what a rule asks of transactions */
    SECTION_PREFILTERS,         /* prefilter_t: the databases over buffers of the application layers */
    SECTION_APPS,               /* app_rules_t [ALPROTO_MAX][2]: by protocol and direction */
    SECTION_CHAINS,             /* span_t over SECTION_TRANSFORMS */
    SECTION_TRANSFORMS,         /* transform_t */
    SECTION_SHAPES,             /* shapes_t */
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
    RULE_APP = 1 << 11,         /* matches transactions, by its engines: no entry's candidate */
    RULE_PROTO_ONLY = 1 << 12,  /* app-layer-protocol and nothing that needs more: once, when the protocol is found */
    RULE_FILE = 1 << 13,        /* looks at files: a new one is a new chance */
    RULE_REAL = 1 << 14,        /* is about packets as they came, not about what is flushed at the end of a flow */
    RULE_STREAM_ALONE = 1 << 16,    /* flow:only_stream: payload that did not enter the stream is not looked at either */
    RULE_MARKED = 1 << 17,      /* asks for a flowbit that is set */
    RULE_NOTE = 1 << 15,        /* what it finds is for the inventory: a row, but no alert */
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
    uint8_t app, app2;          /* enum alproto that the flow must have, either of them; ALPROTO_UNKNOWN for any */
    uint16_t engine_count;
    uint32_t engines;           /* first in SECTION_ENGINES: the one of the fast pattern, then by progress */
    uint32_t suppressed;        /* in SECTION_LISTS: how many, then SUPPRESS_* and an address set each; NOTHING for none */
} rule_t;
_Static_assert(sizeof(rule_t) == 64, "one cache line a rule");

typedef struct pattern_set {
    uint32_t database;          /* of its literals; NOTHING where it has none */
    uint16_t shortest;          /* bytes of its shortest pattern */
    uint16_t reach;             /* bytes from the start in which all of them must be found; 0xffff for anywhere */
    span_t patterns;            /* in SECTION_PATTERNS: entry i belongs to pattern i of the database, or of a shape */
    span_t shapes;              /* in SECTION_SHAPES */
} pattern_set_t;
_Static_assert(sizeof(pattern_set_t) == 24, "packed by rules/program.py");

typedef struct group {
    pattern_set_t packet;       /* of rules that look at payload where it lies */
    pattern_set_t stream;       /* of rules that look at the raw stream, or at payload that did not enter it */
    span_t bare;                /* in SECTION_LISTS: rules without a pattern that any packet may match */
    span_t payload;             /* rules without a pattern that need payload */
    span_t event;               /* rules that need an event */
} group_t;
_Static_assert(sizeof(group_t) == 72, "packed by rules/program.py");

/* ---- rules on transactions ---- */

enum engine_kind { ENGINE_BUFFER, ENGINE_STREAM, ENGINE_EVENT, ENGINE_KINDS };
enum engine_flag { ENGINE_FAST = 1 << 0, ENGINE_FILE = 1 << 1 };    /* has the fast pattern; looks at files */
typedef struct engine {
    uint8_t kind;
    uint8_t proto;              /* enum alproto */
    uint8_t direction;
    uint8_t progress;           /* of the transaction, from which on it can be looked at */
    uint16_t buffer;
    uint16_t flags;             /* ENGINE_* | buffer_flag << 8 */
    uint32_t bit;               /* of stored_t.state: this block has held */
    uint32_t block;             /* OP_BLOCK */
    uint32_t event;             /* enum app_event of ENGINE_EVENT */
    uint32_t reserved;
} app_block_t;
_Static_assert(sizeof(app_block_t) == 24, "packed by rules/program.py");
enum { STORED_FULL = 1 << 30, STORED_CANNOT = 1 << 29, STORED_FILE = 1 << 28 };     /* stored_t.state beside the bits of engines */

typedef struct prefilter {      /* of one buffer of a protocol and direction */
    pattern_set_t set;
    pattern_set_t rest;         /* where the entry is not from and to these: what is left without the rules that ask for it */
    uint32_t src, dst;          /* in SECTION_SETS; NOTHING for any */
    uint16_t buffer;
    uint8_t progress;
    uint8_t flags;              /* enum buffer_flag */
    uint32_t chain;             /* of transforms, in SECTION_CHAINS; NOTHING for none */
} prefilter_t;
_Static_assert(sizeof(prefilter_t) == 64, "packed by rules/program.py");

typedef struct app_rules {
    span_t prefilters;          /* in SECTION_PREFILTERS, by progress */
    span_t bare;                /* in SECTION_LISTS: rules without a pattern, candidates of every transaction */
} app_rules_t;
_Static_assert(sizeof(app_rules_t) == 16, "packed by rules/program.py");

enum transform_kind {
    TRANSFORM_COMPRESS_WHITESPACE, TRANSFORM_STRIP_WHITESPACE, TRANSFORM_STRIP_PSEUDO_HEADERS, TRANSFORM_MD5, TRANSFORM_SHA1,
    TRANSFORM_SHA256, TRANSFORM_DOTPREFIX, TRANSFORM_PCREXFORM, TRANSFORM_URL_DECODE, TRANSFORM_XOR,
    TRANSFORM_HEADER_LOWERCASE, TRANSFORM_LOWERCASE, TRANSFORM_UPPERCASE, TRANSFORMS,
};
typedef struct transform {
    uint32_t kind;
    uint32_t expression;        /* of pcrexform, in SECTION_EXPRESSIONS */
    span_t key;                 /* of xor, in SECTION_BYTES */
} transform_t;
_Static_assert(sizeof(transform_t) == 16, "packed by rules/program.py");

/* What a direction of a transaction remembers of the rules: tx_t.detect. */
typedef struct stored { uint32_t rule, state; } stored_t;
typedef struct detect_state {
    uint64_t size;              /* bytes, this head included */
    uint32_t count, room;       /* of stored: those at work are the first, by rule; those that matched (sid, gid) the last */
    uint32_t files_seen;        /* the newest file of the direction at the latest inspection */
    uint16_t matched;           /* how many are known to have matched, the latest first */
    uint16_t barred;            /* as many of them, the oldest, matched under an earlier rule set: they do not match again */
    stored_t stored[];
} detect_state_t;

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
    EXPRESSION_NAMED_ONLY = 1 << 7,     /* groups without a name are none */
};

enum threshold_kind { THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH, THRESHOLD_DETECTION_FILTER,
                      THRESHOLD_LLM_REQUESTS, THRESHOLD_LLM_PROMPT_BYTES, THRESHOLD_KINDS };    /* llm_rate: as a filter */
enum { SUPPRESS_SRC, SUPPRESS_DST, SUPPRESS_EITHER, SUPPRESSIONS };
enum threshold_track { TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_FLOW,
                       TRACK_LLM_CLIENT, TRACK_LLM_KEY, TRACK_LLM_MODEL, TRACKS };

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
    OP_APP_PROTO, OP_APP_EVENT, OP_STREAM_SIZE, OP_FLOW_AGE,    /* conditions */
    OP_SIZE, OP_VALUE, OP_INTERFACE, OP_FILE,                   /* steps */
    OP_FLOWINT, OP_XBITS, OP_FLOWVAR, OP_REPUTATION, OP_ASN1,   /* variables.pxd: state that outlives the packet, what is asked last */
    OP_CLOCK, OP_DATASET, OP_VALIDATE,              /* steps */
    OP_CAPTURE, OP_FILESTORE, OP_UNLOG,             /* what a rule that matches does: variables.pxd */
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

enum validator {                /* value of OP_VALIDATE: validators.pxd */
    VALIDATE_CARD, VALIDATE_IBAN, VALIDATE_US_SSN, VALIDATE_UK_NINO, VALIDATE_DE_TAX, VALIDATE_FR_NIR, VALIDATE_ES_DNI, VALIDATE_IT_FISCAL,
    VALIDATORS,
};

enum { FLOWBITS_SET, FLOWBITS_UNSET, FLOWBITS_TOGGLE, FLOWBITS_ISSET, FLOWBITS_ISNOTSET, FLOWBITS_OPS };
typedef struct flowbits_op { uint16_t code, flags; uint32_t what; span_t bits; uint32_t reserved[4]; } flowbits_op_t;
_Static_assert(sizeof(flowbits_op_t) == 32, "an op");

enum buffer {
    BUFFER_PAYLOAD, BUFFER_IPV4_HDR, BUFFER_IPV6_HDR, BUFFER_TCP_HDR, BUFFER_UDP_HDR, BUFFER_ICMPV4_HDR, BUFFER_ICMPV6_HDR,
    BUFFER_IP_SRC, BUFFER_IP_DST, BUFFER_BASE64_DATA, BUFFER_MAX,
};
typedef struct block_op { uint16_t code, flags; uint32_t buffer, next, chain; uint32_t reserved[4]; } block_op_t;
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
    uint16_t probe[2];          /* places in it where bytes are seldom: needle_t.probe */
} content_op_t;
_Static_assert(sizeof(content_op_t) == 32, "an op");

typedef struct pcre_op {
    uint16_t code, flags;
    uint32_t expression;
    span_t captures;            /* in SECTION_LISTS: of its groups from the first on, an enum capture and a name each */
    uint32_t reserved[4];
} pcre_op_t;
_Static_assert(sizeof(pcre_op_t) == 32, "an op");

enum {                          /* flags of the byte_* ops */
    LITTLE_ENDIAN_BYTES = 1 << 2, NBYTES_VAR = 1 << 3, VALUE_VAR = 1 << 4, BYTE_OFFSET_VAR = 1 << 5,
    FROM_BEGINNING = 1 << 6, FROM_END = 1 << 7, HAS_BITMASK = 1 << 8, DCE_BYTES = 1 << 9,   /* in the buffer's own order */
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

/* OP_STREAM_SIZE: `what` is a side, `ranges` the bytes. OP_FLOW_AGE, OP_SIZE, OP_VALUE: ranges alone (number_op). */
enum { SIDE_SERVER, SIDE_CLIENT, SIDE_BOTH, SIDE_EITHER, SIDES };

enum { INTERFACE_ANY_FRAG = 1 << 2 };
typedef struct interface_op {   /* over dcerpc.iface; uuid: 16 bytes in SECTION_BYTES */
    uint16_t code, flags;
    uint32_t uuid;
    span_t versions;
    uint32_t reserved[4];
} interface_op_t;
_Static_assert(sizeof(interface_op_t) == 32, "an op");

enum { FILE_IS_SIZE, FILE_IS_MD5, FILE_IS_SHA1, FILE_IS_SHA256, FILE_IS_EXTENSION, FILE_IS_NAME, FILE_IS_STORED, FILE_IS };
typedef struct file_op {        /* over file.facts */
    uint16_t code, flags;
    uint32_t what;              /* FILE_IS_* */
    span_t ranges;              /* of the size */
    uint32_t at, count;         /* digests, sorted, or the bytes of the text, in SECTION_BYTES */
    uint32_t reserved[2];
} file_op_t;
_Static_assert(sizeof(file_op_t) == 32, "an op");
/* ---- variables: flowint, xbits, hostbits, datasets ---- */

enum {                          /* flowint_op_t.what; the first three change it */
    FLOWINT_SET, FLOWINT_ADD, FLOWINT_SUBTRACT, FLOWINT_LT, FLOWINT_LE, FLOWINT_EQ, FLOWINT_NE, FLOWINT_GE, FLOWINT_GT,
    FLOWINT_ISSET, FLOWINT_NOTSET, FLOWINT_OPS,
};
enum { FLOWINT_OF_NAME = 1 << 2 };      /* value is the word of another flowint */
typedef struct flowint_op {
    uint16_t code, flags;
    uint32_t what;              /* FLOWINT_* */
    uint32_t word;              /* of the flow's bits */
    uint32_t value;
    uint32_t reserved[4];
} flowint_op_t;
_Static_assert(sizeof(flowint_op_t) == 32, "an op");

enum { XBITS_SRC, XBITS_DST, XBITS_PAIR, XBITS_TRACKS };
typedef struct xbits_op {
    uint16_t code, flags;
    uint32_t what;              /* FLOWBITS_* */
    uint32_t name;              /* interned */
    uint32_t track;             /* XBITS_* */
    uint32_t expire;            /* seconds */
    uint32_t reserved[3];
} xbits_op_t;
_Static_assert(sizeof(xbits_op_t) == 32, "an op");

enum { REPUTATION_SRC, REPUTATION_DST, REPUTATION_ANY, REPUTATION_BOTH, REPUTATION_SIDES };  /* OP_REPUTATION, a number_op: field
                                   is the side, ranges.first the address set */

enum { ASN1_BITSTRING = 1 << 2, ASN1_DOUBLE = 1 << 3, ASN1_OVERSIZE = 1 << 4 };
typedef struct asn1_op {
    uint16_t code, flags;
    int32_t offset;
    uint32_t oversize, frames;
    uint32_t reserved[4];
} asn1_op_t;
_Static_assert(sizeof(asn1_op_t) == 32, "an op");

/* A text that an expression captures: for the flow, for the packet, (with the next group) as a key and its value, or for the
   inventory. */
enum capture { CAPTURE_FLOW, CAPTURE_PACKET, CAPTURE_KEY, CAPTURE_NOTE, CAPTURES };
enum note_what { NOTE_VERSION, NOTE_CLIENT, NOTE_CLIENT_VERSION, NOTE_WHATS };
typedef struct capture_op {     /* what was captured is kept, now that the rule has matched */
    uint16_t code, flags;
    uint32_t what;              /* enum capture */
    uint32_t name;              /* interned; of CAPTURE_KEY none: all that is left is kept; of CAPTURE_NOTE: enum note_what */
    uint32_t reserved[5];
} capture_op_t;
_Static_assert(sizeof(capture_op_t) == 32, "an op");

typedef struct flowvar_op {     /* does the text of the flow, or of the packet, hold these bytes? */
    uint16_t code, flags;
    uint32_t what;              /* CAPTURE_FLOW or CAPTURE_PACKET */
    uint32_t name;
    uint32_t at, length;        /* in SECTION_BYTES */
    uint32_t reserved[3];
} flowvar_op_t;
_Static_assert(sizeof(flowvar_op_t) == 32, "an op");

enum { STORE_ONE, STORE_TX, STORE_FLOW, STORE_SCOPES };
typedef struct filestore_op {
    uint16_t code, flags;
    uint32_t scope;             /* STORE_* */
    uint32_t directions;        /* 1 << direction; 0: that of the packet */
    uint32_t reserved[5];
} filestore_op_t;
_Static_assert(sizeof(filestore_op_t) == 32, "an op");

/* The last two change a set, and hold where that changed anything. */
enum { DATASET_MEMBER, DATASET_BELOW, DATASET_ABOVE, DATASET_EQUAL, DATASET_SET, DATASET_UNSET, DATASET_OPS };
enum { DATASET_ENTRY = 3 };     /* numbers an entry has in SECTION_LISTS: place and length in SECTION_BYTES, rank */
enum { DATASET_CHANGES = 1 << 2 };      /* some rule changes the set */
enum dataset_kind { DATASET_STRING, DATASET_MD5, DATASET_SHA256, DATASET_IPV4, DATASET_IP, DATASET_KINDS };
typedef struct dataset_op {
    uint16_t code, flags;
    uint32_t what;              /* DATASET_* */
    span_t entries;             /* in SECTION_LISTS, sorted by their bytes, the shorter first */
    uint32_t rank;
    uint32_t name;              /* of the set, interned */
    uint32_t memcap;            /* KiB that its changes may take */
    uint32_t kind;              /* enum dataset_kind */
} dataset_op_t;
_Static_assert(sizeof(dataset_op_t) == 32, "an op");

/* What rules have changed of the sets: an entry that was added, or one of those loaded that was taken away. */
typedef struct dataset_entry {
    struct dataset_entry *next;
    uint64_t hash;
    uint32_t name, length;
    uint32_t member;
    uint8_t data[];
} dataset_entry_t;
#define DATASET_HEAD offsetof(dataset_entry_t, data)
typedef struct datasets {
    dataset_entry_t **chains;
    uint64_t mask;              /* chains - 1 */
    uint64_t used;              /* entries */
    uint64_t *memory;           /* bytes, by name */
    uint32_t names;
    uint32_t reserved;
    uint64_t refused;           /* not added: at a cap */
    pool_t pool;
} datasets_t;

typedef struct xbit {
    uint8_t address[32];        /* in network order; both of a pair, the lower first */
    uint64_t expires;           /* engine time, seconds */
    uint32_t name;
    uint32_t next;              /* in the same chain, or spare: index + 1 */
    uint8_t net, pair, reserved[6];
} xbit_t;
_Static_assert(sizeof(xbit_t) == 56, "no padding");

typedef struct xbits {
    xbit_t *bits;
    uint32_t *chains;           /* index + 1 of the first */
    uint32_t mask;              /* chains - 1 */
    uint32_t room, used;
    uint32_t spare;             /* index + 1 of one that was dropped */
    uint32_t hand;              /* where the search for one whose time is over goes on */
    uint32_t reserved;
    uint64_t refused;           /* not set: at the cap */
} xbits_t;

/* What spans flows: one an engine. */
typedef struct shared {
    xbits_t *xbits;
    datasets_t *datasets;
    void (*wait)(void *worker); /* returns when no other worker can touch what spans flows before the entry at work; NULL for one
                                   worker alone */
} shared_t;

/* Texts that expressions have captured: of the rule at work, which keeps them if it matches, and those of the packet. */
typedef struct captured {
    uint32_t what;              /* enum capture */
    uint32_t name;              /* of CAPTURE_KEY: none */
    uint32_t at;                /* in its bytes: the key first, where there is one */
    uint16_t key_length, length;
} captured_t;
typedef struct texts {
    captured_t entries[CAPTURED_MAX];
    uint32_t count, used;
    uint8_t data[CAPTURED_BYTES];
} texts_t;
/* What rules with `inventory` have captured from an entry: it is told of, and then forgotten. */
typedef struct noted {
    uint32_t rule;              /* as in match_t */
    uint16_t what;              /* enum note_what */
    uint16_t length;
    uint8_t text[NOTED_BYTES];
} noted_t;
typedef struct captures {
    texts_t rule, packet;
    uint32_t noted_count;
    noted_t noted[NOTED_MAX];
} captures_t;

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
    const app_block_t *engines;
    const prefilter_t *prefilters;
    const app_rules_t *apps;
    const span_t *chains;
    const transform_t *transforms;
    const shapes_t *shapes;
    void **databases;           /* hs_database_t *, one per SECTION_DATABASES */
    void **expressions;         /* pcre2_code *, one per SECTION_EXPRESSIONS */
    uint32_t rule_count;
    uint8_t has_iponly;
    uint8_t epoch;              /* set by the engine at load; flow_t.epoch is held against it */
    uint8_t llm;                /* asks for buffers or events of talk with models */
    app_asked_t asked;          /* of the application layers */
    uint64_t events[8];         /* asked for by rules: bit code % 64 of word code / 64 */
} ruleset_t;
_Static_assert(EVENT_MAX <= 8 * 64, "ruleset_t.events has a bit for each");

/* ---- what there is to inspect with an entry beside the packet itself ---- */

enum inspect_flag {             /* inspection_t.flags */
    INSPECT_IN_STREAM = 1 << 0, /* the payload entered the stream: only rules on packets look at it where it lies */
    INSPECT_FLUSH = 1 << 1,     /* a pseudo-packet at the end of a flow */
    INSPECT_NO_PAYLOAD = 1 << 2,    /* payload and stream are inspected no more (encrypted, or told so) */
    INSPECT_PROTO_FOUND = 1 << 3,   /* the first entry of its direction since recognition of that direction came to its end */
    INSPECT_STREAM_END = 1 << 4,    /* no more raw stream will come in this direction */
    INSPECT_TX = 1 << 5,        /* transactions may be inspected: UDP, or an established TCP session */
    INSPECT_PICKED_UP = 1 << 6, /* the segment with which a session was picked up: of stream and protocol, transactions alone are inspected */
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
    const room_t *inner;        /* of the session inside (app_t.inner); NULL where there is none, or it has no room */
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
    MATCH_NOTE = 1 << 7,        /* with MATCH_ALERT: the row is a note for the inventory, not an alert */
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

/* ---- trace: what becomes of one rule, step by step; nobody but `fastpath why` asks for it ---- */

enum trace_kind {
    TRACE_ENTRY,                /* an entry begins. value: rule group, length: of the payload */
    TRACE_HEADER,               /* op: enum header_part, the first that fails, or HEADER_MAX */
    TRACE_SCAN,                 /* the fast patterns were looked for in a buffer */
    TRACE_PATTERN,              /* and the rule's was found: it ends at `end` */
    TRACE_CANDIDATE,            /* holds: the rule is to be confirmed, on this packet or transaction */
    TRACE_CONDITION,            /* op: in SECTION_OPS; value: what the packet has, where that is a number */
    TRACE_BLOCK,                /* op: the block, which begins over these bytes */
    TRACE_STEP,                 /* op; start and end: of what was found; value: what was read */
    TRACE_LIMIT,                /* a limit ended the block */
    TRACE_ENGINE,               /* op: in SECTION_ENGINES; holds: enum engine_trace */
    TRACE_MATCH,
    TRACE_FATE,                 /* holds: enum match_fate */
};
enum header_part { HEADER_PROTO, HEADER_DPORT, HEADER_SPORT, HEADER_DST, HEADER_SRC, HEADER_APP, HEADER_MAX };
enum engine_trace { ENGINE_TRACE_HOLDS, ENGINE_TRACE_NOT, ENGINE_TRACE_NEVER, ENGINE_TRACE_EARLY };
enum match_fate { FATE_ALERT, FATE_NO_ALERT, FATE_THRESHOLD, FATE_SUPPRESSED, FATE_TOO_MANY };
enum { TRACE_EXCERPT = 64 };

typedef struct trace_row {
    uint64_t ordinal, flow, ts; /* of the entry; ordinal 0: a pseudo-packet */
    uint64_t tx;                /* NO_TX for none */
    uint64_t offset;            /* of the bytes at work in the whole of their buffer */
    uint64_t value;
    uint32_t rule;              /* compiled */
    uint32_t op;
    uint32_t length;            /* of the bytes at work */
    uint32_t start, end;        /* in them; NOTHING for nowhere */
    uint32_t excerpt_at;        /* where the excerpt starts in them */
    uint16_t buffer;            /* enum buffer, or of the application layers; BUFFER_STREAM for the raw stream */
    uint8_t kind, holds, to_client, progress, excerpt_length, reserved;
    uint8_t excerpt[TRACE_EXCERPT];
} trace_row_t;
_Static_assert(sizeof(trace_row_t) == 144, "no padding");
enum { BUFFER_STREAM = 0xffff };

typedef struct trace {
    trace_row_t *rows;
    uint32_t used, room;
    uint64_t lost;
    uint32_t plan;              /* the rule that is followed, as loaded */
    uint32_t reserved;
    trace_row_t here;           /* what the rows of the entry at work have in common */
} trace_t;

typedef struct match_scratch {  /* one per worker and rule set */
    void *hyperscan;            /* hs_scratch_t * */
    void *match_data;           /* pcre2_match_data * */
    void *match_context;        /* pcre2_match_context * */
    pool_t *pool;          /* of the bucket at work; set by the engine */
    uint32_t *hits;             /* patterns found, in the order found */
    uint32_t hit_count, hit_room;
    uint32_t *candidates;       /* rules, in the order of inspection */
    uint32_t candidate_count, candidate_room;
    uint32_t *merged;           /* room for sorting them */
    uint32_t *app_candidates;   /* rules on transactions whose pattern is in the entry's payload or raw stream */
    uint32_t app_candidate_count, reserved;
    match_t *matches;
    uint32_t match_count;
    uint64_t *checks, *candidate_hits, *match_hits;     /* per rule as loaded */
    uint64_t *ns;               /* that its program took, of entries that are timed; per rule as loaded */
    uint64_t timing;            /* the entry at work is */
    uint64_t values[VALUES_MAX];
    uint8_t *decoded;           /* by base64_decode */
    uint32_t decoded_length;
    uint16_t view_end;          /* the bytes at work are the last of their buffer */
    uint16_t view_little;       /* and their numbers are little-endian */
    uint64_t view_offset;       /* of the bytes at work in the whole of their buffer */
    const inspection_t *inspection;     /* of the entry at work; NULL for none */
    uint8_t *transformed[2];    /* TRANSFORMED_MAX bytes each: what a transform reads, what it writes */
    view_t view;                /* the latest that was asked of a room or made from it by transforms, and what it is */
    tx_t *view_tx;
    uint32_t view_buffer, view_index, view_chain, view_state, view_known;
    uint32_t steps;             /* taken by the block at work, held against step_limit */
    uint32_t cursor;            /* where the step before ended: what relative means */
    uint32_t taken;             /* where what the step before took starts: up to cursor */
    uint32_t give_up;           /* no further occurrence can help this block */
    trace_t *trace;             /* NULL unless somebody asks why */
    uint32_t scanning[2];       /* databases of the latest two scans, by scans & 1 */
    uint64_t scans;             /* buffers given to Hyperscan */
    uint64_t scanned;           /* their bytes */
    uint64_t limits_hit;        /* PCRE2 or recursion limits that ended an inspection */
    shared_t *shared;           /* set by the engine; NULL for none: no bit of a host is set */
    void *worker;               /* what shared_t.wait is told */
    uint64_t now;               /* engine time of the entry at work, ns */
    const packet_meta_t *meta;  /* of the entry at work */
    captures_t *captures;       /* NULL where no expression of the rule set captures anything */
    file_t *chosen;             /* that filestore is about, of the rule at work; NULL for none */
    tx_t *tx;                   /* and the transaction that it looks at */
    uint32_t of_tx;             /* it matches on that transaction, not on the entry */
    const rule_t *rule;         /* that has matched just now */
} match_scratch_t;

#endif
