from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.match.program cimport match_scratch_t, ruleset_t

# Do the steps of an OP_BLOCK hold over these bytes? scratch.view_offset and scratch.view_end say where they lie in their
# buffer.
cdef bint block_holds(const ruleset_t *rules, match_scratch_t *scratch, uint32_t block, const uint8_t *data,
                      uint32_t length) noexcept nogil


cdef inline void begin_rule(match_scratch_t *scratch) noexcept nogil:
    """What the rule before this one captured and chose is no more."""
    scratch.chosen = NULL
    if scratch.captures != NULL:
        scratch.captures.rule.count = scratch.captures.rule.used = 0
