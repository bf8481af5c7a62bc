"""A compiled rule set in memory, and the working memory of one worker for it.

A blob lies in aligned memory, its own or a mapped file, and every offset, index and operand in it is checked once, here; the
stages that run it
check nothing again. What is wrong with a blob is said by a ValueError.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from posix.stdlib cimport posix_memalign

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_DCERPC, ALPROTO_FAILED, ALPROTO_MAX, ALPROTO_SMB, BUFFER_APP_END, BUFFER_APP_FIRST, BUFFER_FILE_MAGIC,
    BUFFER_FILE_MODEL, BUFFER_FILE_MODEL_UNSAFE, BUFFER_HTTP_REQUEST_BODY, BUFFER_LLM_PROMPT,
    BUFFER_LLM_SECONDS, FILE_MD5, FILE_MODEL_LIMIT, FILE_MODEL_MALFORMED, FILE_SHA1, FILE_SHA256, LLM_INVALID_JSON,
    LLM_TEXT_LIMIT,
)
from fastpath.dataplane.events cimport EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA
from fastpath.dataplane.hyperscan cimport (
    HS_SUCCESS, hs_alloc_scratch, hs_database_t, hs_deserialize_database, hs_free_database, hs_free_scratch, hs_scratch_t,
)
from fastpath.dataplane.match.validators cimport VALIDATOR_MASK
from fastpath.dataplane.pcre2 cimport (
    PCRE2_ANCHORED, PCRE2_CASELESS, PCRE2_CONFIG_VERSION, PCRE2_DOLLAR_ENDONLY, PCRE2_DOTALL, PCRE2_EXTENDED,
    PCRE2_INFO_CAPTURECOUNT,
    PCRE2_JIT_COMPLETE, PCRE2_MULTILINE, PCRE2_NO_AUTO_CAPTURE,
    PCRE2_UNGREEDY, pcre2_code, pcre2_code_free, pcre2_compile, pcre2_config, pcre2_get_error_message, pcre2_jit_compile,
    pcre2_match_context, pcre2_match_context_create, pcre2_match_context_free, pcre2_match_data, pcre2_match_data_create,
    pcre2_match_data_free, pcre2_pattern_info, pcre2_set_depth_limit, pcre2_set_heap_limit, pcre2_set_match_limit,
)
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.types cimport ACTION_REJECT_BOTH

import numpy as np

cdef enum:
    CAPTURES_MAX = 16           # groups of an expression that are kept, the whole match included


cdef inline bint app_buffer(uint32_t buffer) noexcept nogil:
    return BUFFER_APP_FIRST <= buffer < BUFFER_APP_END


cdef inline bint is_content(uint32_t buffer) noexcept nogil:
    """Of a body or a file."""
    return BUFFER_HTTP_REQUEST_BODY <= buffer <= BUFFER_FILE_MODEL_UNSAFE


cdef bint within(span_t span, uint32_t count) noexcept nogil:
    return span.first <= count and span.count <= count - span.first


cdef bint below(const uint32_t *list, span_t span, uint32_t limit, bint rising) noexcept nogil:
    """Are all numbers of this part of SECTION_LISTS under the limit and, if asked, in rising order?"""
    cdef uint32_t i
    for i in range(span.count):
        if list[span.first + i] >= limit or (rising and i and list[span.first + i] <= list[span.first + i - 1]):
            return False
    return True


cdef pcre2_code *compile_expression(const uint8_t *text, size_t length, uint32_t options, int *error,
                                    size_t *offset) noexcept nogil:
    return pcre2_compile(
        text, length,
        (PCRE2_CASELESS if options & EXPRESSION_CASELESS else 0)
        | (PCRE2_MULTILINE if options & EXPRESSION_MULTILINE else 0)
        | (PCRE2_DOTALL if options & EXPRESSION_DOTALL else 0)
        | (PCRE2_EXTENDED if options & EXPRESSION_EXTENDED else 0)
        | (PCRE2_ANCHORED if options & EXPRESSION_ANCHORED else 0)
        | (PCRE2_DOLLAR_ENDONLY if options & EXPRESSION_DOLLAR_ENDONLY else 0)
        | (PCRE2_UNGREEDY if options & EXPRESSION_UNGREEDY else 0)
        | (PCRE2_NO_AUTO_CAPTURE if options & EXPRESSION_NAMED_ONLY else 0),
        error, offset, NULL)


def pcre_version():
    """The PCRE2 in use, as it calls itself."""
    cdef char text[64]
    return text[:pcre2_config(PCRE2_CONFIG_VERSION, text) - 1].decode()


def expression_error(bytes expression not None, uint32_t options):
    """None for an expression that PCRE2 takes, or where and why it does not: (offset, message). options: EXPRESSION_* bits."""
    cdef int error
    cdef size_t offset
    cdef uint8_t message[256]
    cdef const char *text = expression
    cdef pcre2_code *code = compile_expression(<const uint8_t *> text, len(expression), options, &error, &offset)
    if code == NULL:
        pcre2_get_error_message(error, message, sizeof(message))
        return offset, (<const char *> message).decode()
    pcre2_code_free(code)
    return None


def expression_groups(bytes expression not None, uint32_t options):
    """How many groups an expression captures. options: EXPRESSION_* bits. ValueError for one that PCRE2 does not take."""
    cdef int error
    cdef size_t offset
    cdef uint32_t groups = 0
    cdef const char *text = expression
    cdef pcre2_code *code = compile_expression(<const uint8_t *> text, len(expression), options, &error, &offset)
    if code == NULL:
        raise ValueError(f"PCRE2 does not take {expression!r}")
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups)
    pcre2_code_free(code)
    return groups


cdef class Database:
    """A compiled rule set, ready to match.

    blob: what `fastpath.rules.compile` wrote: bytes or any buffer. Read-only memory that is aligned to 64 bytes is borrowed
    and kept
    alive, and must not change meanwhile; all else is copied.
    names: flowbit names by number, kept for the engine to intern. sets: the data sets that are written at the end of a run, each
    (name, number of its name, kind, path, entries that were loaded).
    Raises ValueError for a blob that is broken, of another version, or whose databases this Hyperscan does not accept.
    """

    def __cinit__(self, blob, *, names=(), sets=()):
        given = memoryview(blob).cast("B")
        cdef const uint8_t[::1] view = given
        self.size = view.shape[0]
        if <size_t> self.size < sizeof(program_header_t):
            raise ValueError(f"rule database: {self.size} bytes are too few for a header")
        if given.readonly and <size_t> &view[0] % 64 == 0:
            self.lender = given
            self.blob = &view[0]
        else:
            if posix_memalign(<void **> &self.copy, 64, self.size) != 0:
                raise MemoryError
            memcpy(self.copy, &view[0], self.size)
            self.blob = self.copy
        self.open_sections()
        self.check_tables()
        self.check_rules()
        self.load_databases()
        self.load_expressions()
        self.names = tuple(names)
        self.sets = tuple(sets)

    def __dealloc__(self):
        cdef uint32_t i
        with nogil:     # a large one takes time, and other threads have better things to wait for
            if self.rules.databases != NULL:
                for i in range(self.database_count):
                    hs_free_database(<hs_database_t *> self.rules.databases[i])
                free(self.rules.databases)
            if self.rules.expressions != NULL:
                for i in range(self.expression_count):
                    pcre2_code_free(<pcre2_code *> self.rules.expressions[i])
                free(self.rules.expressions)
            free(self.copy)

    @property
    def plans(self):
        """Rules as loaded; their indices are the ones in matches and counters."""
        return self.rules.header.plans

    @property
    def rule_count(self):
        """Compiled rules: one that goes both ways counts twice."""
        return self.rules.rule_count

    @property
    def flowbits(self):
        """Flowbit numbers in use are below this."""
        return self.rules.header.flowbits

    @property
    def groups(self):
        return self.rules.header.section[SECTION_GROUPS].count

    @property
    def databases(self):
        """Distinct Hyperscan databases."""
        return self.database_count

    def set_epoch(self, unsigned char epoch):
        """Stamps the rule set: flows grouped under another epoch are grouped anew."""
        self.rules.epoch = epoch

    cdef open_sections(self):
        cdef const program_header_t *header = <const program_header_t *> self.blob
        cdef const section_t *section
        cdef const uint8_t *at[SECTION_MAX]
        cdef uint32_t *widths = [
            sizeof(rule_t), sizeof(op_t), 1, sizeof(address_set_t), sizeof(range4_t), sizeof(range6_t), sizeof(span_t),
            sizeof(port_range_t), sizeof(number_range_t), 4, sizeof(group_t), 2, 2, sizeof(span_t), sizeof(span_t), 1,
            sizeof(expression_t), sizeof(threshold_t), sizeof(iponly_t), sizeof(app_block_t), sizeof(prefilter_t),
            sizeof(app_rules_t), sizeof(span_t), sizeof(transform_t), sizeof(shapes_t),
        ]
        cdef uint32_t i
        if memcmp(header.magic, PROGRAM_MAGIC, 8) != 0:
            raise ValueError("rule database: not one (its first bytes are others)")
        if header.version != PROGRAM_VERSION or header.sections != SECTION_MAX:
            raise ValueError(f"rule database: version {header.version}, but this fastpath reads {PROGRAM_VERSION}")
        if header.size != <uint64_t> self.size:
            raise ValueError(f"rule database: {self.size} bytes, but {header.size} were written")
        for i in range(SECTION_MAX):
            section = &header.section[i]
            if (section.width != widths[i] or section.offset % 64 or section.offset > header.size
                    or <uint64_t> section.count * section.width > header.size - section.offset):
                raise ValueError(f"rule database: section {i} does not lie within the blob")
            at[i] = self.blob + section.offset
        self.rules.header = header
        self.rules.rules = <const rule_t *> at[SECTION_RULES]
        self.rules.rule_count = header.section[SECTION_RULES].count
        self.rules.ops = <const op_t *> at[SECTION_OPS]
        self.rules.bytes = at[SECTION_BYTES]
        self.rules.sets = <const address_set_t *> at[SECTION_SETS]
        self.rules.v4 = <const range4_t *> at[SECTION_V4]
        self.rules.v6 = <const range6_t *> at[SECTION_V6]
        self.rules.port_sets = <const span_t *> at[SECTION_PORT_SETS]
        self.rules.port_ranges = <const port_range_t *> at[SECTION_PORT_RANGES]
        self.rules.numbers = <const number_range_t *> at[SECTION_NUMBERS]
        self.rules.lists = <const uint32_t *> at[SECTION_LISTS]
        self.rules.groups = <const group_t *> at[SECTION_GROUPS]
        self.rules.protos = <const uint16_t *> at[SECTION_PROTOS]
        self.rules.port_tables = <const uint16_t *> at[SECTION_PORT_TABLES]
        self.rules.patterns = <const span_t *> at[SECTION_PATTERNS]
        self.rules.thresholds = <const threshold_t *> at[SECTION_THRESHOLDS]
        self.rules.iponly = <const iponly_t *> at[SECTION_IPONLY]
        self.rules.engines = <const app_block_t *> at[SECTION_ENGINES]
        self.rules.prefilters = <const prefilter_t *> at[SECTION_PREFILTERS]
        self.rules.apps = <const app_rules_t *> at[SECTION_APPS]
        self.rules.chains = <const span_t *> at[SECTION_CHAINS]
        self.rules.transforms = <const transform_t *> at[SECTION_TRANSFORMS]
        self.rules.shapes = <const shapes_t *> at[SECTION_SHAPES]
        self.rules.has_iponly = header.section[SECTION_IPONLY].count > 0 or header.iponly_anywhere.count > 0

    cdef uint32_t count(self, uint32_t section) noexcept nogil:
        return self.rules.header.section[section].count

    cdef bint list_holds(self, span_t span) noexcept nogil:
        return within(span, self.count(SECTION_LISTS)) and below(self.rules.lists, span, self.rules.rule_count, True)

    cdef rule_list(self, span_t span, what):
        if not self.list_holds(span):
            raise ValueError(f"rule database: the rules of {what} are not a rising list of rules")

    cdef check_tables(self):
        cdef uint32_t i, n = self.count(SECTION_GROUPS)
        cdef const group_t *group
        cdef span_t span
        for i in range(self.count(SECTION_SETS)):
            if (not within(self.rules.sets[i].v4, self.count(SECTION_V4))
                    or not within(self.rules.sets[i].v6, self.count(SECTION_V6))):
                raise ValueError(f"rule database: address set {i} lies outside its section")
        for i in range(self.count(SECTION_PORT_SETS)):
            if not within(self.rules.port_sets[i], self.count(SECTION_PORT_RANGES)):
                raise ValueError(f"rule database: port set {i} lies outside its section")
        if n < 2:
            raise ValueError("rule database: groups 0 and 1 are missing")
        if self.count(SECTION_PROTOS) != 2 * 256 or self.count(SECTION_PORT_TABLES) != 4 * PORTS:
            raise ValueError("rule database: a table of groups is not whole")
        for i in range(2 * 256):
            if self.rules.protos[i] >= n:
                raise ValueError("rule database: a protocol names no group")
        for i in range(4 * PORTS):
            if self.rules.port_tables[i] >= n:
                raise ValueError("rule database: a port names no group")
        i = 0
        with nogil:
            while i < self.count(SECTION_PATTERNS) and self.list_holds(self.rules.patterns[i]):
                i += 1
        if i < self.count(SECTION_PATTERNS):
            raise ValueError(f"rule database: the rules of pattern {i} are not a rising list of rules")
        for i in range(n):
            group = &self.rules.groups[i]
            self.rule_list(group.bare, f"group {i}")
            self.rule_list(group.payload, f"group {i}")
            self.rule_list(group.event, f"group {i}")
            self.check_patterns(&group.packet, f"group {i}")
            self.check_patterns(&group.stream, f"group {i}")
        self.check_apps()
        for i in range(self.count(SECTION_DATABASES)):
            span = (<const span_t *> (self.blob + self.rules.header.section[SECTION_DATABASES].offset))[i]
            if not within(span, self.count(SECTION_SERIALIZED)):
                raise ValueError(f"rule database: Hyperscan database {i} lies outside its section")
        for i in range(self.count(SECTION_THRESHOLDS)):
            if self.rules.thresholds[i].kind >= THRESHOLD_KINDS or self.rules.thresholds[i].track >= TRACKS:
                raise ValueError(f"rule database: threshold {i} is of no known kind")
        for i in range(4):
            if not within(self.rules.header.iponly[i], self.count(SECTION_IPONLY)):
                raise ValueError("rule database: a table of IP-only rules lies outside its section")
        self.rule_list(self.rules.header.iponly_anywhere, "no address")
        i = 0
        with nogil:
            while i < self.count(SECTION_IPONLY) and self.list_holds(self.rules.iponly[i].rules):
                i += 1
        if i < self.count(SECTION_IPONLY):
            raise ValueError(f"rule database: the rules of address entry {i} are not a rising list of rules")

    cdef check_patterns(self, const pattern_set_t *patterns, what):
        if not within(patterns.patterns, self.count(SECTION_PATTERNS)):
            raise ValueError(f"rule database: the patterns of {what} lie outside their section")
        if patterns.database != NOTHING and (patterns.database >= self.count(SECTION_DATABASES) or not patterns.patterns.count):
            raise ValueError(f"rule database: {what} names no database")
        if not within(patterns.shapes, self.count(SECTION_SHAPES)):
            raise ValueError(f"rule database: the shapes of {what} lie outside their section")
        cdef const shapes_t *shapes
        cdef uint32_t i, k
        for i in range(patterns.shapes.count):
            shapes = &self.rules.shapes[patterns.shapes.first + i]
            if not 1 <= shapes.count <= SHAPES_TOGETHER:
                raise ValueError(f"rule database: {what} has {shapes.count} shapes together")
            for k in range(shapes.count):
                if not 1 <= shapes.size[k] <= SHAPE_PLACES or shapes.pattern[k] >= patterns.patterns.count:
                    raise ValueError(f"rule database: a shape of {what} is not sound")

    cdef check_apps(self):
        """What belongs to the application layers: prefilters, engines, chains of transforms."""
        cdef uint32_t i
        cdef const app_rules_t *known
        cdef const transform_t *transform
        if self.count(SECTION_APPS) != 2 * ALPROTO_MAX:
            raise ValueError("rule database: the table of application protocols is not whole")
        for i in range(2 * ALPROTO_MAX):
            known = &self.rules.apps[i]
            self.rule_list(known.bare, f"application protocol {i // 2}")
            if not within(known.prefilters, self.count(SECTION_PREFILTERS)):
                raise ValueError(f"rule database: application protocol {i // 2} names no prefilter")
        for i in range(self.count(SECTION_PREFILTERS)):
            self.check_patterns(&self.rules.prefilters[i].set, f"prefilter {i}")
            self.check_patterns(&self.rules.prefilters[i].rest, f"prefilter {i}")
            if (self.rules.prefilters[i].src != NOTHING and self.rules.prefilters[i].src >= self.count(SECTION_SETS)
                    or self.rules.prefilters[i].dst != NOTHING and self.rules.prefilters[i].dst >= self.count(SECTION_SETS)):
                raise ValueError(f"rule database: prefilter {i} names no address set")
            if (not app_buffer(self.rules.prefilters[i].buffer)
                    or not self.chain_holds(self.rules.prefilters[i].chain)):
                raise ValueError(f"rule database: prefilter {i} names no buffer")
        for i in range(self.count(SECTION_CHAINS)):
            if not within(self.rules.chains[i], self.count(SECTION_TRANSFORMS)):
                raise ValueError(f"rule database: transforms {i} lie outside their section")
        for i in range(self.count(SECTION_TRANSFORMS)):
            transform = &self.rules.transforms[i]
            if (transform.kind >= TRANSFORMS or not within(transform.key, self.count(SECTION_BYTES))
                    or transform.kind == TRANSFORM_XOR and not transform.key.count
                    or transform.kind == TRANSFORM_PCREXFORM and transform.expression >= self.count(SECTION_EXPRESSIONS)):
                raise ValueError(f"rule database: transform {i} is of no known kind")
        for i in range(self.count(SECTION_ENGINES)):
            if not self.engine_holds(&self.rules.engines[i]):
                raise ValueError(f"rule database: engine {i} is not sound")

    cdef bint chain_holds(self, uint32_t chain) noexcept nogil:
        return chain == NOTHING or chain < self.count(SECTION_CHAINS)

    cdef bint engine_holds(self, const app_block_t *engine) noexcept nogil:
        cdef const block_op_t *block
        if engine.kind >= ENGINE_KINDS or engine.proto >= ALPROTO_MAX or engine.direction > 1:
            return False
        if not engine.bit or engine.bit & (engine.bit - 1) or engine.bit >= 1 << ENGINES_MAX:
            return False
        if (LLM_INVALID_JSON <= engine.event <= LLM_TEXT_LIMIT if engine.kind == ENGINE_EVENT
                else BUFFER_LLM_PROMPT <= engine.buffer <= BUFFER_LLM_SECONDS):
            self.rules.llm = True
        self.rules.asked.protos |= <uint64_t> 1 << engine.proto
        if engine.kind == ENGINE_EVENT or is_content(engine.buffer):
            self.rules.asked.contents |= <uint64_t> 1 << engine.proto
        if engine.kind == ENGINE_EVENT:
            self.models |= engine.event == FILE_MODEL_MALFORMED or engine.event == FILE_MODEL_LIMIT
            return True
        if engine.block >= self.count(SECTION_OPS) or self.rules.ops[engine.block].code != OP_BLOCK:
            return False
        block = <const block_op_t *> &self.rules.ops[engine.block]
        if (not app_buffer(engine.buffer) if engine.kind == ENGINE_BUFFER else engine.buffer != BUFFER_PAYLOAD):
            return False
        self.models |= engine.buffer == BUFFER_FILE_MODEL or engine.buffer == BUFFER_FILE_MODEL_UNSAFE
        self.magic |= engine.buffer == BUFFER_FILE_MAGIC
        return block.buffer == engine.buffer and self.block_holds(engine.block, True)

    cdef check_rules(self):
        cdef uint32_t i = 0
        with nogil:
            while i < self.rules.rule_count and self.rule_holds(&self.rules.rules[i]):
                i += 1
        if i < self.rules.rule_count:
            raise ValueError(f"rule database: rule {i} points outside the blob")
        for i in range(self.rules.rule_count):
            self.note_events(&self.rules.rules[i])
            self.note_asked(&self.rules.rules[i])

    cdef void note_events(self, const rule_t *rule) noexcept nogil:
        """What events rules ask for."""
        cdef const op_t *op = self.rules.ops + rule.ops
        cdef uint32_t code
        while op.code != OP_MATCH:
            if op.code == OP_EVENT:
                code = (<const plain_op_t *> op).value
                self.rules.events[code // 64] |= <uint64_t> 1 << (code % 64)
            op = self.rules.ops + (<const block_op_t *> op).next if op.code == OP_BLOCK else op + 1

    cdef void note_asked(self, const rule_t *rule) noexcept nogil:
        """What a rule of a protocol asks for whatever its engines name: transactions. DCERPC lies in SMB too."""
        if rule.app > ALPROTO_FAILED and not rule.flags & RULE_PROTO_ONLY:
            self.rules.asked.protos |= <uint64_t> 1 << rule.app | <uint64_t> 1 << rule.app2
            if rule.app == ALPROTO_DCERPC or rule.app2 == ALPROTO_DCERPC:
                self.rules.asked.protos |= <uint64_t> 1 << ALPROTO_SMB

    cdef bint rule_holds(self, const rule_t *rule) noexcept nogil:
        return (rule.plan < self.rules.header.plans and rule.kind <= KIND_ALERT and rule.action <= ACTION_REJECT_BOTH
                and (rule.src == NOTHING or rule.src < self.count(SECTION_SETS))
                and (rule.dst == NOTHING or rule.dst < self.count(SECTION_SETS))
                and (rule.sport == NOTHING or rule.sport < self.count(SECTION_PORT_SETS))
                and (rule.dport == NOTHING or rule.dport < self.count(SECTION_PORT_SETS))
                and (rule.threshold == NOTHING or rule.threshold < self.count(SECTION_THRESHOLDS))
                and (rule.detection_filter == NOTHING or rule.detection_filter < self.count(SECTION_THRESHOLDS))
                and rule.app < ALPROTO_MAX and rule.app2 < ALPROTO_MAX
                and rule.engine_count <= self.count(SECTION_ENGINES)
                and rule.engines <= self.count(SECTION_ENGINES) - rule.engine_count
                and (rule.suppressed == NOTHING or self.suppressions_hold(rule.suppressed))
                and self.program_holds(rule.ops, False) and self.program_holds(rule.after, True))

    cdef bint program_holds(self, uint32_t at, bint after) noexcept nogil:
        """Is this a whole program, up to OP_MATCH, with every operand within bounds?"""
        cdef uint32_t end = self.count(SECTION_OPS)
        cdef const op_t *op
        cdef const block_op_t *block
        while at < end:
            op = &self.rules.ops[at]
            if op.code == OP_MATCH:
                return True
            if after != self.is_action(op):
                return False
            if op.code == OP_BLOCK:
                block = <const block_op_t *> op
                if block.buffer >= BUFFER_BASE64_DATA or not self.block_holds(at, True):
                    return False
                at = block.next
            elif self.condition_holds(op):
                at += 1
            else:
                return False
        return False

    cdef bint is_action(self, const op_t *op) noexcept nogil:
        """Does the op say what a rule that matches does?"""
        if op.code == OP_FLOWBITS:
            return (<const flowbits_op_t *> op).what < FLOWBITS_ISSET
        if op.code == OP_XBITS:
            return (<const xbits_op_t *> op).what < FLOWBITS_ISSET
        if op.code == OP_FLOWINT:
            return (<const flowint_op_t *> op).what < FLOWINT_LT
        if op.code == OP_FILESTORE:
            self.stores = True
            self.rules.asked.contents = <uint64_t> -1
        return op.code == OP_CAPTURE or op.code == OP_FILESTORE or op.code == OP_UNLOG

    cdef bint condition_holds(self, const op_t *op) noexcept nogil:
        cdef const number_op_t *number = <const number_op_t *> op
        cdef const bits_op_t *bits = <const bits_op_t *> op
        cdef const flowbits_op_t *flowbits = <const flowbits_op_t *> op
        if op.code == OP_NUMBER:
            return number.field < FIELD_MAX and within(number.ranges, self.count(SECTION_NUMBERS))
        if op.code == OP_BITS:
            return bits.field < FIELD_MAX and bits.mode < BITS_MODES
        if op.code == OP_FLOWBITS:
            return (flowbits.what < FLOWBITS_OPS and within(flowbits.bits, self.count(SECTION_LISTS))
                    and below(self.rules.lists, flowbits.bits, self.rules.header.flowbits, False))
        if op.code == OP_FLOW:
            return (<const plain_op_t *> op).value <= STATE_MASK
        if op.code == OP_STREAM_SIZE:
            return number.field < SIDES and within(number.ranges, self.count(SECTION_NUMBERS))
        if op.code == OP_FLOW_AGE:
            return within(number.ranges, self.count(SECTION_NUMBERS))
        if op.code == OP_EVENT:
            if (<const plain_op_t *> op).value == EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA:
                self.overlaps = True
            return True
        return (op.code == OP_SAMEIP or op.code == OP_IPOPT or op.code == OP_APP_PROTO
                or op.code == OP_APP_EVENT or self.variable_holds(op))

    cdef bint variable_holds(self, const op_t *op) noexcept nogil:
        cdef const flowint_op_t *flowint = <const flowint_op_t *> op
        cdef const xbits_op_t *xbits = <const xbits_op_t *> op
        cdef const number_op_t *number = <const number_op_t *> op
        cdef const flowvar_op_t *flowvar = <const flowvar_op_t *> op
        cdef span_t text
        cdef uint32_t words = self.rules.header.flowbits // 64
        if op.code == OP_FLOWINT:
            return (flowint.what < FLOWINT_OPS and flowint.word < words
                    and (not op.flags & FLOWINT_OF_NAME or flowint.value < words))
        if op.code == OP_XBITS:
            return xbits.what < FLOWBITS_OPS and xbits.track < XBITS_TRACKS and xbits.name < self.rules.header.flowbits
        if op.code == OP_FLOWVAR:
            text.first, text.count = flowvar.at, flowvar.length
            return flowvar.what < CAPTURE_KEY and flowvar.length > 0 and within(text, self.count(SECTION_BYTES))
        if op.code == OP_CAPTURE:
            return ((<const capture_op_t *> op).what < CAPTURES
                    and ((<const capture_op_t *> op).what != CAPTURE_NOTE or (<const capture_op_t *> op).name < NOTE_WHATS))
        if op.code == OP_FILESTORE:
            return (<const filestore_op_t *> op).scope < STORE_SCOPES and (<const filestore_op_t *> op).directions < 4
        if op.code == OP_REPUTATION:
            return number.field < REPUTATION_SIDES and number.ranges.first < self.count(SECTION_SETS)
        return op.code == OP_ASN1 or op.code == OP_UNLOG

    cdef bint block_holds(self, uint32_t at, bint nest) noexcept nogil:
        """Is this an OP_BLOCK whose steps are sound and end with OP_END, right before its `next`? A block over what
        base64_decode gave may not decode again."""
        cdef uint32_t end = self.count(SECTION_OPS)
        cdef const block_op_t *block = <const block_op_t *> &self.rules.ops[at]
        cdef const base64_op_t *base64
        if block.next <= at or block.next > end or not self.chain_holds(block.chain):
            return False
        for at in range(at + 1, block.next - 1):
            if not self.step_holds(&self.rules.ops[at]):
                return False
            if self.rules.ops[at].code == OP_BASE64:
                base64 = <const base64_op_t *> &self.rules.ops[at]
                if not nest:
                    return False
                if base64.block != NOTHING and (
                        base64.block >= end or self.rules.ops[base64.block].code != OP_BLOCK
                        or (<const block_op_t *> &self.rules.ops[base64.block]).buffer != BUFFER_BASE64_DATA
                        or not self.block_holds(base64.block, False)):
                    return False
        return self.rules.ops[block.next - 1].code == OP_END

    cdef bint step_holds(self, const op_t *op) noexcept nogil:
        cdef const content_op_t *content = <const content_op_t *> op
        cdef const byte_op_t *byte = <const byte_op_t *> op
        cdef span_t text
        if op.code == OP_CONTENT:
            text.first, text.count = content.at, content.length
            return (content.length > 0 and within(text, self.count(SECTION_BYTES))
                    and content.probe[0] < content.length and content.probe[1] < content.length
                    and (not op.flags & OFFSET_VAR or <uint32_t> content.offset < VALUES_MAX)
                    and (not op.flags & DEPTH_VAR or <uint32_t> content.depth < VALUES_MAX)
                    and (not op.flags & DISTANCE_VAR or <uint32_t> content.distance < VALUES_MAX)
                    and (not op.flags & WITHIN_VAR or <uint32_t> content.within < VALUES_MAX))
        if op.code == OP_PCRE:
            return (<const pcre_op_t *> op).expression < self.count(SECTION_EXPRESSIONS) and self.captures_hold(
                (<const pcre_op_t *> op).captures)
        if op.code == OP_ISDATAAT:
            return not op.flags & VALUE_VAR or (<const isdataat_op_t *> op).at < VALUES_MAX
        if op.code == OP_BASE64:
            return True
        if op.code == OP_CLOCK:
            return True
        if op.code == OP_VALIDATE:
            return (<const plain_op_t *> op).value & VALIDATOR_MASK < VALIDATORS
        if op.code == OP_DATASET:
            return self.dataset_is_sound(<const dataset_op_t *> op)
        if op.code == OP_SIZE or op.code == OP_VALUE:
            return within((<const number_op_t *> op).ranges, self.count(SECTION_NUMBERS))
        if op.code == OP_INTERFACE:
            text.first, text.count = (<const interface_op_t *> op).uuid, 16
            return (within(text, self.count(SECTION_BYTES))
                    and within((<const interface_op_t *> op).versions, self.count(SECTION_NUMBERS)))
        if op.code == OP_FILE:
            return self.file_holds(<const file_op_t *> op)
        if op.code != OP_BYTE_TEST and op.code != OP_BYTE_JUMP and op.code != OP_BYTE_EXTRACT and op.code != OP_BYTE_MATH:
            return False
        if op.flags & NBYTES_VAR:
            if byte.nbytes >= VALUES_MAX:
                return False
        elif byte.nbytes > (NUMERAL_MAX if byte.base else 8):
            return False
        if byte.base not in (0, 8, 10, 16) or byte.result >= VALUES_MAX:
            return False
        if op.flags & BYTE_OFFSET_VAR and <uint32_t> byte.offset >= VALUES_MAX:
            return False
        if op.flags & VALUE_VAR:
            if op.code == OP_BYTE_JUMP:
                if <uint32_t> byte.post >= VALUES_MAX:
                    return False
            elif byte.value >= VALUES_MAX:
                return False
        if op.code == OP_BYTE_TEST:
            return byte.what < TESTS
        return op.code != OP_BYTE_MATH or byte.what < MATHS

    cdef bint captures_hold(self, span_t span) noexcept nogil:
        cdef uint32_t i
        if span.count == 0:
            return True
        self.captures = True
        if not within(span, self.count(SECTION_LISTS)) or span.count % 2 or span.count > 2 * RULE_CAPTURES:
            return False
        for i in range(0, span.count, 2):
            if (self.rules.lists[span.first + i] >= CAPTURES
                    or self.rules.lists[span.first + i] == CAPTURE_NOTE and self.rules.lists[span.first + i + 1] >= NOTE_WHATS):
                return False
        return True

    cdef bint file_holds(self, const file_op_t *op) noexcept nogil:
        cdef uint32_t *widths = [0, 16, 20, 32, 1, 1, 0]
        cdef uint64_t length
        if op.what >= FILE_IS or not within(op.ranges, self.count(SECTION_NUMBERS)):
            return False
        if op.what in (FILE_IS_MD5, FILE_IS_SHA1, FILE_IS_SHA256):
            self.hashes |= FILE_MD5 if op.what == FILE_IS_MD5 else FILE_SHA1 if op.what == FILE_IS_SHA1 else FILE_SHA256
        length = <uint64_t> op.count * widths[op.what]
        return op.at <= self.count(SECTION_BYTES) and length <= self.count(SECTION_BYTES) - op.at

    cdef bint suppressions_hold(self, uint32_t at) noexcept nogil:
        cdef uint32_t end = self.count(SECTION_LISTS), i
        if at >= end or self.rules.lists[at] > (end - at - 1) // 2:
            return False
        for i in range(self.rules.lists[at]):
            if (self.rules.lists[at + 1 + 2 * i] >= SUPPRESSIONS
                    or self.rules.lists[at + 2 + 2 * i] >= self.count(SECTION_SETS)):
                return False
        return True

    cdef bint dataset_is_sound(self, const dataset_op_t *op) noexcept nogil:
        cdef const uint32_t *entry
        cdef span_t text
        cdef uint32_t i
        if op.flags & DATASET_CHANGES and op.name >= self.rules.header.flowbits or op.kind >= DATASET_KINDS:
            return False
        if op.what >= DATASET_OPS or not within(op.entries, self.count(SECTION_LISTS)) or op.entries.count % DATASET_ENTRY:
            return False
        for i in range(op.entries.count // DATASET_ENTRY):
            entry = self.rules.lists + op.entries.first + DATASET_ENTRY * i
            text.first, text.count = entry[0], entry[1]
            if not within(text, self.count(SECTION_BYTES)):
                return False
        return True

    cdef load_databases(self):
        cdef uint32_t i, n = self.count(SECTION_DATABASES)
        cdef const span_t *spans = <const span_t *> (self.blob + self.rules.header.section[SECTION_DATABASES].offset)
        cdef const char *serialized = <const char *> (self.blob + self.rules.header.section[SECTION_SERIALIZED].offset)
        cdef int status
        self.rules.databases = <void **> calloc(n + 1, sizeof(void *))
        if self.rules.databases == NULL:
            raise MemoryError
        for i in range(n):
            with nogil:
                status = hs_deserialize_database(serialized + spans[i].first, spans[i].count,
                                                 <hs_database_t **> &self.rules.databases[i])
            if status != HS_SUCCESS:
                raise ValueError(f"rule database: Hyperscan refuses database {i} (error {status}): damaged, or made by another "
                                 "version or for another processor")
            self.database_count = i + 1

    cdef load_expressions(self):
        cdef uint32_t i, n = self.count(SECTION_EXPRESSIONS), options
        cdef const expression_t *known = <const expression_t *> (
            self.blob + self.rules.header.section[SECTION_EXPRESSIONS].offset)
        cdef span_t text
        cdef int error
        cdef size_t offset
        cdef uint8_t message[256]
        cdef pcre2_code *code
        self.rules.expressions = <void **> calloc(n + 1, sizeof(void *))
        if self.rules.expressions == NULL:
            raise MemoryError
        for i in range(n):
            text.first, text.count = known[i].at, known[i].length
            if not within(text, self.count(SECTION_BYTES)):
                raise ValueError(f"rule database: expression {i} lies outside its section")
            options = known[i].options
            with nogil:
                code = compile_expression(self.rules.bytes + text.first, text.count, options, &error, &offset)
                # where there is no just-in-time compiler the interpreter runs the same expression
                if code != NULL:
                    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE)
            self.rules.expressions[i] = code
            if self.rules.expressions[i] == NULL:
                pcre2_get_error_message(error, message, sizeof(message))
                raise ValueError(f"expression {i}, offset {offset}: {(<const char *> message).decode()}")
            self.expression_count = i + 1

    cdef (uint32_t, size_t) rooms(self):
        """The most patterns that one scan can find, and the candidates that there must be room for: every rule once, and a
        list more before those that are there twice are dropped."""
        cdef uint32_t i, patterns = 1
        for i in range(self.count(SECTION_GROUPS)):
            patterns = max(patterns, self.rules.groups[i].packet.patterns.count, self.rules.groups[i].stream.patterns.count)
        for i in range(self.count(SECTION_PREFILTERS)):
            patterns = max(patterns, self.rules.prefilters[i].set.patterns.count)
        return patterns, 2 * <size_t> self.rules.rule_count + 1


cdef class Scratch:
    """The working memory of one worker for one Database: never shared between threads.

    match_limit, depth_limit, heap_limit: of PCRE2, the last in KiB; an expression that meets one does not match.
    """

    def __cinit__(self, Database database not None, *, uint32_t match_limit=3500, uint32_t depth_limit=1500,
                  uint32_t heap_limit=20000):
        cdef match_scratch_t *at = &self.at
        cdef uint32_t i, patterns, plans = database.rules.header.plans + 1
        cdef int status
        cdef size_t rules
        self.database = database
        patterns, rules = database.rooms()
        for i in range(database.database_count):
            with nogil:
                status = hs_alloc_scratch(<hs_database_t *> database.rules.databases[i], <hs_scratch_t **> &at.hyperscan)
            if status != HS_SUCCESS:
                raise MemoryError("Hyperscan scratch")
        at.hits = <uint32_t *> malloc(patterns * sizeof(uint32_t))
        at.candidates = <uint32_t *> malloc(rules * sizeof(uint32_t))
        at.merged = <uint32_t *> malloc(rules * sizeof(uint32_t))
        at.app_candidates = <uint32_t *> malloc(rules * sizeof(uint32_t))
        at.candidate_room = <uint32_t> rules
        at.matches = <match_t *> malloc(MATCHES_MAX * sizeof(match_t))
        at.checks = <uint64_t *> calloc(plans, 4 * sizeof(uint64_t))
        at.decoded = <uint8_t *> malloc(BASE64_MAX)
        at.transformed[0] = <uint8_t *> malloc(TRANSFORMED_MAX + 64)
        at.transformed[1] = <uint8_t *> malloc(TRANSFORMED_MAX + 64)
        if database.captures:
            at.captures = <captures_t *> calloc(1, sizeof(captures_t))
        at.match_data = pcre2_match_data_create(CAPTURES_MAX, NULL)
        at.match_context = pcre2_match_context_create(NULL)
        if (at.hits == NULL or at.candidates == NULL or at.merged == NULL or at.matches == NULL or at.checks == NULL
                or database.captures and at.captures == NULL
                or at.app_candidates == NULL or at.transformed[0] == NULL or at.transformed[1] == NULL
                or at.decoded == NULL or at.match_data == NULL or at.match_context == NULL):
            raise MemoryError
        at.candidate_hits = at.checks + plans
        at.match_hits = at.candidate_hits + plans
        at.ns = at.match_hits + plans
        pcre2_set_match_limit(<pcre2_match_context *> at.match_context, match_limit)
        pcre2_set_depth_limit(<pcre2_match_context *> at.match_context, depth_limit)
        pcre2_set_heap_limit(<pcre2_match_context *> at.match_context, heap_limit)

    def __dealloc__(self):
        with nogil:
            self.free_all()

    cdef void free_all(self) noexcept nogil:
        hs_free_scratch(<hs_scratch_t *> self.at.hyperscan)
        pcre2_match_data_free(<pcre2_match_data *> self.at.match_data)
        pcre2_match_context_free(<pcre2_match_context *> self.at.match_context)
        free(self.at.hits)
        free(self.at.candidates)
        free(self.at.merged)
        free(self.at.app_candidates)
        free(self.at.transformed[0])
        free(self.at.transformed[1])
        free(self.at.matches)
        free(self.at.checks)
        free(self.at.decoded)
        free(self.at.captures)

    @property
    def limits_hit(self):
        """Inspections that a limit ended: of PCRE2, or inspection-recursion-limit."""
        return self.at.limits_hit

    def counters(self):
        """Per rule as loaded, uint64 [4][rules]: times its program was run, times its pattern was found, times the program
        held, ns that it took of the entries that were timed. Counters may move on meanwhile."""
        cdef uint32_t plans = self.database.rules.header.plans
        counts = np.empty((4, plans), np.uint64)
        cdef uint64_t[:, ::1] view = counts
        if plans:
            memcpy(&view[0, 0], self.at.checks, plans * sizeof(uint64_t))
            memcpy(&view[1, 0], self.at.candidate_hits, plans * sizeof(uint64_t))
            memcpy(&view[2, 0], self.at.match_hits, plans * sizeof(uint64_t))
            memcpy(&view[3, 0], self.at.ns, plans * sizeof(uint64_t))
        return counts


def read_struct(str name, const uint8_t[::1] data):
    """The fields of a struct of program.h in these bytes, as a dict: a door for the test that both sides agree.

    name: of a section, or of an op without OP_ ("content", "byte" and so on). Missing bytes are zero; ValueError for other names.
    """
    cdef uint8_t whole[128]
    if data.shape[0] == 0 or data.shape[0] > 128:
        raise ValueError(f"{name}: {data.shape[0]} bytes")
    memset(whole, 0, sizeof(whole))
    memcpy(whole, &data[0], data.shape[0])
    if name == "RULES":
        return (<const rule_t *> whole)[0]
    if name == "SETS":
        return (<const address_set_t *> whole)[0]
    if name == "V4":
        return (<const range4_t *> whole)[0]
    if name == "V6":
        return (<const range6_t *> whole)[0]
    if name == "PORT_SETS":
        return (<const span_t *> whole)[0]
    if name == "PORT_RANGES":
        return (<const port_range_t *> whole)[0]
    if name == "NUMBERS":
        return (<const number_range_t *> whole)[0]
    if name == "GROUPS":
        return (<const group_t *> whole)[0]
    if name == "PATTERNS":
        return (<const span_t *> whole)[0]
    if name == "EXPRESSIONS":
        return (<const expression_t *> whole)[0]
    if name == "THRESHOLDS":
        return (<const threshold_t *> whole)[0]
    if name == "IPONLY":
        return (<const iponly_t *> whole)[0]
    if name == "ENGINES":
        return (<const app_block_t *> whole)[0]
    if name == "PREFILTERS":
        return (<const prefilter_t *> whole)[0]
    if name == "APPS":
        return (<const app_rules_t *> whole)[0]
    if name == "CHAINS":
        return (<const span_t *> whole)[0]
    if name == "TRANSFORMS":
        return (<const transform_t *> whole)[0]
    if name == "interface":
        return (<const interface_op_t *> whole)[0]
    if name == "file":
        return (<const file_op_t *> whole)[0]
    if name == "content":
        return (<const content_op_t *> whole)[0]
    if name == "byte":
        return (<const byte_op_t *> whole)[0]
    if name == "bits":
        return (<const bits_op_t *> whole)[0]
    if name == "base64":
        return (<const base64_op_t *> whole)[0]
    if name == "block":
        return (<const block_op_t *> whole)[0]
    if name == "plain":
        return (<const plain_op_t *> whole)[0]
    if name == "pcre":
        return (<const pcre_op_t *> whole)[0]
    if name == "isdataat":
        return (<const isdataat_op_t *> whole)[0]
    if name == "number":
        return (<const number_op_t *> whole)[0]
    if name == "flowbits":
        return (<const flowbits_op_t *> whole)[0]
    if name == "dataset":
        return (<const dataset_op_t *> whole)[0]
    if name == "capture":
        return (<const capture_op_t *> whole)[0]
    if name == "flowvar":
        return (<const flowvar_op_t *> whole)[0]
    if name == "filestore":
        return (<const filestore_op_t *> whole)[0]
    raise ValueError(f"no struct {name!r}")
