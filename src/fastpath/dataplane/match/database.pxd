from libc.stdint cimport uint32_t

from fastpath.dataplane.match.program cimport (
    dataset_op_t, app_block_t, file_op_t, match_scratch_t, op_t, pattern_set_t, rule_t, ruleset_t, span_t,
)


cdef class Database:
    cdef ruleset_t rules
    cdef readonly Py_ssize_t size           # bytes of the blob
    cdef readonly unsigned char hashes      # FILE_*: digests that the rules ask of files
    cdef readonly bint models               # a rule asks what files are told to be
    cdef readonly bint magic                # a rule asks libmagic
    cdef readonly bint overlaps             # a rule asks for stream.reassembly_overlap_different_data
    cdef readonly bint captures             # an expression captures something
    cdef readonly bint stores               # a rule stores files
    cdef readonly tuple names               # of flowbits, by number
    cdef readonly tuple sets                # data sets that are written at the end of a run
    cdef const unsigned char *blob
    cdef unsigned char *copy                # blob, where it is our own
    cdef object lender                      # whose memory blob is, where it is not
    cdef unsigned int database_count, expression_count
    cdef open_sections(self)
    cdef uint32_t count(self, uint32_t section) noexcept nogil
    cdef rule_list(self, span_t span, what)
    cdef check_tables(self)
    cdef check_patterns(self, const pattern_set_t *patterns, what)
    cdef check_apps(self)
    cdef bint chain_holds(self, uint32_t chain) noexcept nogil
    cdef bint engine_holds(self, const app_block_t *engine) noexcept nogil
    cdef bint file_holds(self, const file_op_t *op) noexcept nogil
    cdef check_rules(self)
    cdef void note_events(self, const rule_t *rule) noexcept nogil
    cdef void note_asked(self, const rule_t *rule) noexcept nogil
    cdef bint rule_holds(self, const rule_t *rule) noexcept nogil
    cdef bint list_holds(self, span_t span) noexcept nogil
    cdef bint program_holds(self, uint32_t at, bint after) noexcept nogil
    cdef bint condition_holds(self, const op_t *op) noexcept nogil
    cdef bint is_action(self, const op_t *op) noexcept nogil
    cdef bint captures_hold(self, span_t span) noexcept nogil
    cdef bint variable_holds(self, const op_t *op) noexcept nogil
    cdef bint suppressions_hold(self, uint32_t at) noexcept nogil
    cdef bint dataset_is_sound(self, const dataset_op_t *op) noexcept nogil
    cdef bint block_holds(self, uint32_t at, bint nest) noexcept nogil
    cdef bint step_holds(self, const op_t *op) noexcept nogil
    cdef load_databases(self)
    cdef load_expressions(self)
    cdef (uint32_t, size_t) rooms(self)


cdef class Scratch:
    cdef match_scratch_t at
    cdef readonly Database database         # kept alive
    cdef void free_all(self) noexcept nogil
