# The structs of program.h for Cython. What a field means is said there.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport app_asked_t, app_context_t, file_t, room_t, tx_t, view_t
from fastpath.dataplane.types cimport packet_meta_t, pool_t

cdef extern from "match/program.h" nogil:
    const uint32_t NOTHING
    const char *PROGRAM_MAGIC
    enum:
        PROGRAM_VERSION, VALUES_MAX, PORTS, NUMERAL_MAX, BASE64_MAX, TRANSFORMED_MAX, ENGINES_MAX, STORED_MAX, MATCHES_MAX
        RULE_CAPTURES, CAPTURED_MAX, CAPTURED_BYTES, NOTED_MAX, NOTED_BYTES, FLOW_TEXTS, FLOW_TEXT_BYTES
    enum:
        SECTION_RULES, SECTION_OPS, SECTION_BYTES, SECTION_SETS, SECTION_V4, SECTION_V6, SECTION_PORT_SETS
        SECTION_PORT_RANGES, SECTION_NUMBERS, SECTION_LISTS, SECTION_GROUPS, SECTION_PROTOS, SECTION_PORT_TABLES
        SECTION_PATTERNS, SECTION_DATABASES, SECTION_SERIALIZED, SECTION_EXPRESSIONS, SECTION_THRESHOLDS, SECTION_IPONLY
        SECTION_ENGINES, SECTION_PREFILTERS, SECTION_APPS, SECTION_CHAINS, SECTION_TRANSFORMS, SECTION_SHAPES, SECTION_MAX
    enum:
        RULE_ANY_PROTO, RULE_IPV4, RULE_IPV6, RULE_IPONLY, RULE_PACKET, RULE_STREAM, RULE_PAYLOAD, RULE_NOALERT, RULE_BYPASS
        RULE_NOTE
        RULE_EVENT, RULE_FLOW_ACTION, RULE_APP, RULE_PROTO_ONLY, RULE_FILE, RULE_REAL, RULE_STREAM_ALONE, RULE_MARKED
    enum:
        KIND_PASS, KIND_DROP, KIND_REJECT, KIND_ALERT
    enum:
        EXPRESSION_CASELESS, EXPRESSION_MULTILINE, EXPRESSION_DOTALL, EXPRESSION_EXTENDED, EXPRESSION_ANCHORED
        EXPRESSION_DOLLAR_ENDONLY, EXPRESSION_UNGREEDY, EXPRESSION_NAMED_ONLY
    enum:
        THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH, THRESHOLD_DETECTION_FILTER
        THRESHOLD_LLM_REQUESTS, THRESHOLD_LLM_PROMPT_BYTES, THRESHOLD_KINDS
    enum:
        SUPPRESS_SRC, SUPPRESS_DST, SUPPRESS_EITHER, SUPPRESSIONS
    enum:
        TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_FLOW, TRACK_LLM_CLIENT, TRACK_LLM_KEY, TRACK_LLM_MODEL, TRACKS
    enum:
        OP_MATCH, OP_NUMBER, OP_BITS, OP_SAMEIP, OP_IPOPT, OP_EVENT, OP_FLOW, OP_FLOWBITS, OP_BLOCK, OP_END
        OP_CONTENT, OP_PCRE, OP_BYTE_TEST, OP_BYTE_JUMP, OP_BYTE_EXTRACT, OP_BYTE_MATH, OP_ISDATAAT, OP_BASE64
        OP_APP_PROTO, OP_APP_EVENT, OP_STREAM_SIZE, OP_FLOW_AGE, OP_SIZE, OP_VALUE, OP_INTERFACE, OP_FILE
        OP_FLOWINT, OP_XBITS, OP_FLOWVAR, OP_REPUTATION, OP_ASN1, OP_CLOCK, OP_DATASET, OP_VALIDATE, OP_CAPTURE
        OP_FILESTORE, OP_UNLOG, OP_CODES
        VALIDATE_CARD, VALIDATE_IBAN, VALIDATE_US_SSN, VALIDATE_UK_NINO, VALIDATE_DE_TAX, VALIDATE_FR_NIR, VALIDATE_ES_DNI
        VALIDATE_IT_FISCAL, VALIDATORS
    enum:
        FLOWINT_SET, FLOWINT_ADD, FLOWINT_SUBTRACT, FLOWINT_LT, FLOWINT_LE, FLOWINT_EQ, FLOWINT_NE, FLOWINT_GE, FLOWINT_GT
        FLOWINT_ISSET, FLOWINT_NOTSET, FLOWINT_OPS, FLOWINT_OF_NAME
    enum:
        XBITS_SRC, XBITS_DST, XBITS_PAIR, XBITS_TRACKS, REPUTATION_SRC, REPUTATION_DST, REPUTATION_ANY, REPUTATION_BOTH
        REPUTATION_SIDES, ASN1_BITSTRING, ASN1_DOUBLE, ASN1_OVERSIZE
    enum:
        DATASET_MEMBER, DATASET_BELOW, DATASET_ABOVE, DATASET_EQUAL, DATASET_SET, DATASET_UNSET, DATASET_OPS, DATASET_ENTRY
        DATASET_CHANGES, DATASET_STRING, DATASET_MD5, DATASET_SHA256, DATASET_IPV4, DATASET_IP, DATASET_KINDS
    enum:
        CAPTURE_FLOW, CAPTURE_PACKET, CAPTURE_KEY, CAPTURE_NOTE, CAPTURES, NOTE_VERSION, NOTE_CLIENT, NOTE_CLIENT_VERSION
        NOTE_WHATS, STORE_ONE, STORE_TX, STORE_FLOW, STORE_SCOPES
    enum:
        FIELD_TTL, FIELD_TOS, FIELD_IP_ID, FIELD_IP_PROTO, FIELD_FRAGOFFSET, FIELD_SEQ, FIELD_ACK, FIELD_WINDOW, FIELD_MSS
        FIELD_ITYPE, FIELD_ICODE, FIELD_ICMP_ID, FIELD_ICMP_SEQ, FIELD_ICMPV6_MTU, FIELD_DSIZE, FIELD_TCP_FLAGS, FIELD_FRAGBITS
        FIELD_MAX
    enum:
        NEGATED, RELATIVE
    enum:
        BITS_EXACT, BITS_ALL, BITS_ANY, BITS_NONE, BITS_MODES, ANY_IPOPT
    enum:
        STATE_TO_SERVER, STATE_TO_CLIENT, STATE_ESTABLISHED, STATE_NOT_ESTABLISHED, STATE_REASSEMBLED, STATE_NOT_REASSEMBLED
        STATE_FLOW, STATE_MASK
    enum:
        FLOWBITS_SET, FLOWBITS_UNSET, FLOWBITS_TOGGLE, FLOWBITS_ISSET, FLOWBITS_ISNOTSET, FLOWBITS_OPS
    enum:
        BUFFER_PAYLOAD, BUFFER_IPV4_HDR, BUFFER_IPV6_HDR, BUFFER_TCP_HDR, BUFFER_UDP_HDR, BUFFER_ICMPV4_HDR
        BUFFER_ICMPV6_HDR, BUFFER_IP_SRC, BUFFER_IP_DST, BUFFER_BASE64_DATA, BUFFER_MAX
    enum:
        CONTENT_NOCASE, CONTENT_ENDSWITH, HAS_RELATIVE_NEXT, HAS_DISTANCE, HAS_WITHIN, HAS_DEPTH, OFFSET_VAR, DEPTH_VAR
        DISTANCE_VAR, WITHIN_VAR, CONTENT_ALONE
    enum:
        LITTLE_ENDIAN_BYTES, NBYTES_VAR, VALUE_VAR, BYTE_OFFSET_VAR, FROM_BEGINNING, FROM_END, HAS_BITMASK, DCE_BYTES
    enum:
        TEST_LT, TEST_GT, TEST_EQ, TEST_LE, TEST_GE, TEST_AND, TEST_OR, TESTS
    enum:
        MATH_ADD, MATH_SUBTRACT, MATH_MULTIPLY, MATH_DIVIDE, MATH_SHIFT_LEFT, MATH_SHIFT_RIGHT, MATHS
    enum:
        MATCH_ALERT, MATCH_FLOW, MATCH_STREAM, MATCH_BYPASS, MATCH_THRESHOLD, MATCH_STATE, MATCH_FILE, MATCH_NOTE
    enum:
        INSPECT_IN_STREAM, INSPECT_FLUSH, INSPECT_NO_PAYLOAD, INSPECT_PROTO_FOUND, INSPECT_STREAM_END, INSPECT_TX
        INSPECT_PICKED_UP
    enum:
        ENGINE_BUFFER, ENGINE_STREAM, ENGINE_EVENT, ENGINE_KINDS
    enum:
        ENGINE_FAST, ENGINE_FILE
    enum:
        STORED_FULL, STORED_CANNOT, STORED_FILE
    enum:
        TRANSFORM_COMPRESS_WHITESPACE, TRANSFORM_STRIP_WHITESPACE, TRANSFORM_STRIP_PSEUDO_HEADERS, TRANSFORM_MD5
        TRANSFORM_SHA1, TRANSFORM_SHA256, TRANSFORM_DOTPREFIX, TRANSFORM_PCREXFORM, TRANSFORM_URL_DECODE, TRANSFORM_XOR
        TRANSFORM_HEADER_LOWERCASE, TRANSFORM_LOWERCASE, TRANSFORM_UPPERCASE, TRANSFORMS
    enum:
        SIDE_SERVER, SIDE_CLIENT, SIDE_BOTH, SIDE_EITHER, SIDES
    enum:
        INTERFACE_ANY_FRAG
    enum:
        FILE_IS_SIZE, FILE_IS_MD5, FILE_IS_SHA1, FILE_IS_SHA256, FILE_IS_EXTENSION, FILE_IS_NAME, FILE_IS_STORED, FILE_IS
    const uint64_t NO_TX, DATASET_HEAD

    ctypedef struct span_t:
        uint32_t first, count

    ctypedef struct section_t:
        uint64_t offset
        uint32_t count, width

    ctypedef struct program_header_t:
        char magic[8]
        uint32_t version, sections
        uint64_t size
        uint32_t plans, flowbits, step_limit, reserved
        span_t iponly[4]
        span_t iponly_anywhere
        section_t section[24]

    ctypedef struct address_set_t:
        span_t v4, v6

    ctypedef struct range4_t:
        uint32_t low, high

    ctypedef struct range6_t:
        uint64_t low[2]
        uint64_t high[2]

    ctypedef struct port_range_t:
        uint16_t low, high

    ctypedef struct number_range_t:
        uint64_t low, high

    ctypedef struct rule_t:
        uint32_t plan, flags, ops, after, src, dst, sport, dport, threshold, detection_filter, sid, gid
        uint8_t kind, action, proto, proto2, app, app2
        uint16_t engine_count
        uint32_t engines, suppressed

    enum:
        SHAPES_TOGETHER, SHAPE_PLACES

    ctypedef struct shapes_t:
        uint32_t count
        uint8_t size[8]
        uint32_t pattern[8]

    uint32_t shapes_in(const shapes_t *shapes, const uint8_t *data, uint32_t length, uint32_t *ends) noexcept
    uint32_t shapes_plainly(const shapes_t *shapes, const uint8_t *data, uint32_t length, uint32_t *ends) noexcept

    ctypedef struct pattern_set_t:
        uint32_t database
        uint16_t shortest, reach
        span_t patterns, shapes

    ctypedef struct group_t:
        pattern_set_t packet, stream
        span_t bare, payload, event

    ctypedef struct app_block_t:
        uint8_t kind, proto, direction, progress
        uint16_t buffer, flags
        uint32_t bit, block, event, reserved

    ctypedef struct prefilter_t:
        pattern_set_t set, rest
        uint32_t src, dst
        uint16_t buffer
        uint8_t progress, flags
        uint32_t chain

    ctypedef struct app_rules_t:
        span_t prefilters, bare

    ctypedef struct transform_t:
        uint32_t kind, expression
        span_t key

    ctypedef struct stored_t:
        uint32_t rule, state

    ctypedef struct detect_state_t:
        uint64_t size
        uint32_t count, room, files_seen
        uint16_t matched, barred
        stored_t stored[1]

    ctypedef struct iponly_t:
        uint64_t low[2]
        span_t rules

    ctypedef struct expression_t:
        uint32_t at, length, options, reserved

    ctypedef struct threshold_t:
        uint8_t kind, track
        uint16_t reserved
        uint32_t count, seconds, reserved2

    ctypedef struct op_t:
        uint16_t code, flags
        uint8_t operands[28]

    ctypedef struct number_op_t:
        uint16_t code, flags
        uint32_t field
        span_t ranges
        uint32_t reserved[4]

    ctypedef struct bits_op_t:
        uint16_t code, flags
        uint32_t field, mode, value, ignore
        uint32_t reserved[3]

    ctypedef struct plain_op_t:
        uint16_t code, flags
        uint32_t value
        uint32_t reserved[6]

    ctypedef struct flowbits_op_t:
        uint16_t code, flags
        uint32_t what
        span_t bits
        uint32_t reserved[4]

    ctypedef struct block_op_t:
        uint16_t code, flags
        uint32_t buffer, next, chain
        uint32_t reserved[4]

    ctypedef struct interface_op_t:
        uint16_t code, flags
        uint32_t uuid
        span_t versions
        uint32_t reserved[4]

    ctypedef struct file_op_t:
        uint16_t code, flags
        uint32_t what
        span_t ranges
        uint32_t at, count
        uint32_t reserved[2]

    ctypedef struct content_op_t:
        uint16_t code, flags
        uint32_t at, length
        int32_t offset, depth, distance, within
        uint16_t probe[2]

    ctypedef struct pcre_op_t:
        uint16_t code, flags
        uint32_t expression
        span_t captures
        uint32_t reserved[4]

    ctypedef struct capture_op_t:
        uint16_t code, flags
        uint32_t what, name

    ctypedef struct flowvar_op_t:
        uint16_t code, flags
        uint32_t what, name, at, length

    ctypedef struct filestore_op_t:
        uint16_t code, flags
        uint32_t scope, directions

    ctypedef struct byte_op_t:
        uint16_t code, flags
        uint8_t nbytes, base, what, result
        int32_t offset
        uint32_t bitmask
        int32_t post
        uint32_t multiplier
        uint64_t value

    ctypedef struct isdataat_op_t:
        uint16_t code, flags
        uint32_t at
        uint32_t reserved[6]

    ctypedef struct base64_op_t:
        uint16_t code, flags
        uint32_t bytes, offset, block
        uint32_t reserved[4]

    ctypedef struct ruleset_t:
        const program_header_t *header
        const rule_t *rules
        const op_t *ops
        const uint8_t *bytes
        const address_set_t *sets
        const range4_t *v4
        const range6_t *v6
        const span_t *port_sets
        const port_range_t *port_ranges
        const number_range_t *numbers
        const uint32_t *lists
        const group_t *groups
        const uint16_t *protos
        const uint16_t *port_tables
        const span_t *patterns
        const threshold_t *thresholds
        const iponly_t *iponly
        const app_block_t *engines
        const prefilter_t *prefilters
        const app_rules_t *apps
        const span_t *chains
        const transform_t *transforms
        const shapes_t *shapes
        void **databases
        void **expressions
        uint32_t rule_count
        uint8_t has_iponly, epoch, llm
        app_asked_t asked
        uint64_t events[8]

    ctypedef struct window_t:
        const uint8_t *data
        uint32_t length
        uint64_t offset

    ctypedef struct inspection_t:
        const window_t *windows
        uint32_t window_count, flags
        app_context_t *context
        const room_t *room
        uint32_t events_before
        const room_t *inner
        uint64_t stream_size[2]

    ctypedef struct match_t:
        uint32_t rule, compiled
        uint8_t kind, action
        uint16_t flags
        uint64_t tx_id
        tx_t *tx

    ctypedef struct flowint_op_t:
        uint16_t code, flags
        uint32_t what, word, value

    ctypedef struct xbits_op_t:
        uint16_t code, flags
        uint32_t what, name, track, expire

    ctypedef struct asn1_op_t:
        uint16_t code, flags
        int32_t offset
        uint32_t oversize, frames

    ctypedef struct dataset_op_t:
        uint16_t code, flags
        uint32_t what
        span_t entries
        uint32_t rank, name, memcap, kind

    ctypedef struct dataset_entry_t:
        dataset_entry_t *next
        uint64_t hash
        uint32_t name, length, member
        uint8_t data[1]

    ctypedef struct datasets_t:
        dataset_entry_t **chains
        uint64_t mask, used
        uint64_t *memory
        uint32_t names
        uint64_t refused
        pool_t pool

    ctypedef struct captured_t:
        uint32_t what, name, at
        uint16_t key_length, length

    ctypedef struct texts_t:
        captured_t entries[64]
        uint32_t count, used
        uint8_t data[1]

    ctypedef struct noted_t:
        uint32_t rule
        uint16_t what, length
        uint8_t text[64]

    ctypedef struct captures_t:
        texts_t rule, packet
        uint32_t noted_count
        noted_t noted[16]

    ctypedef struct xbit_t:
        uint8_t address[32]
        uint64_t expires
        uint32_t name, next
        uint8_t net, pair

    ctypedef struct xbits_t:
        xbit_t *bits
        uint32_t *chains
        uint32_t mask, room, used, spare, hand
        uint64_t refused

    ctypedef struct shared_t:
        xbits_t *xbits
        datasets_t *datasets
        void (*wait)(void *worker) noexcept nogil

    enum:
        TRACE_ENTRY, TRACE_HEADER, TRACE_SCAN, TRACE_PATTERN, TRACE_CANDIDATE, TRACE_CONDITION, TRACE_BLOCK, TRACE_STEP
        TRACE_LIMIT, TRACE_ENGINE, TRACE_MATCH, TRACE_FATE, TRACE_EXCERPT, BUFFER_STREAM
    enum:
        HEADER_PROTO, HEADER_DPORT, HEADER_SPORT, HEADER_DST, HEADER_SRC, HEADER_APP, HEADER_MAX
    enum:
        ENGINE_TRACE_EARLY, FATE_ALERT, FATE_NO_ALERT, FATE_THRESHOLD, FATE_SUPPRESSED, FATE_TOO_MANY
    ctypedef struct trace_row_t:
        uint64_t ordinal, flow, ts, tx, offset, value
        uint32_t rule, op, length, start, end, excerpt_at
        uint16_t buffer
        uint8_t kind, holds, to_client, progress, excerpt_length
        uint8_t excerpt[64]
    ctypedef struct trace_t:
        trace_row_t *rows
        uint32_t used, room
        uint64_t lost
        uint32_t plan
        trace_row_t here
    ctypedef struct match_scratch_t:
        void *hyperscan
        void *match_data
        void *match_context
        pool_t *pool
        uint32_t *hits
        uint32_t hit_count, hit_room
        uint32_t *candidates
        uint32_t candidate_count, candidate_room
        uint32_t *merged
        uint32_t *app_candidates
        uint32_t app_candidate_count
        match_t *matches
        uint32_t match_count
        uint64_t *checks
        uint64_t *ns
        uint64_t timing
        uint64_t *candidate_hits
        uint64_t *match_hits
        uint64_t values[32]
        uint8_t *decoded
        uint32_t decoded_length
        uint16_t view_end, view_little
        uint64_t view_offset
        const inspection_t *inspection
        uint8_t *transformed[2]
        view_t view
        tx_t *view_tx
        uint32_t view_buffer, view_index, view_chain, view_state, view_known
        uint32_t steps, cursor, taken, give_up
        trace_t *trace
        uint32_t scanning[2]
        uint64_t scans, scanned, limits_hit
        shared_t *shared
        void *worker
        uint64_t now
        const packet_meta_t *meta
        captures_t *captures
        file_t *chosen
        tx_t *tx
        uint32_t of_tx
        const rule_t *rule
