"""The steps of a block over the bytes of a buffer: contents, expressions and numbers, with backtracking, exactly as Suricata
7.0.10
takes them."""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.base64 cimport base64_decode
from fastpath.dataplane.match.bytes cimport (
    byte_extract_reads, byte_jump_lands, byte_math_gives, byte_test_holds, data_is_at,
)
from fastpath.dataplane.applayer.applayer cimport file_t
from fastpath.dataplane.match.datasets cimport dataset_asked
from fastpath.dataplane.match.flowvars cimport capture
from fastpath.dataplane.match.program cimport *
from fastpath.dataplane.match.records cimport file_holds, clock_holds, interface_holds, size_holds, value_holds
from fastpath.dataplane.match.validators cimport VALIDATOR_BITS, VALIDATOR_MASK, is_valid
from fastpath.dataplane.match.trace cimport trace_block, trace_limit, trace_step
from fastpath.dataplane.pcre2 cimport (
    PCRE2_ERROR_NOMATCH, pcre2_code, pcre2_get_ovector_pointer, pcre2_match, pcre2_match_context, pcre2_match_data,
)
from fastpath.dataplane.threads cimport rarely

cdef extern from "simd.h" nogil:
    ctypedef struct needle_t:
        const uint8_t *text
        uint32_t size
        uint16_t probe[2]
        uint8_t fold
    const uint8_t *find_needle(const needle_t *needle, const uint8_t *data, uint32_t length) noexcept


cdef int64_t content_at(const ruleset_t *rules, const content_op_t *op, const match_scratch_t *scratch, const uint8_t *data,
                        uint32_t length, uint32_t before, uint32_t resume) noexcept nogil:
    """Where the content starts: its first occurrence inside its window, from `resume` on if that is not 0; -1 for none.

    before: where the step before ended, which distance and within count from.
    """
    cdef needle_t needle
    cdef const uint8_t *found
    cdef int64_t start, end, distance = 0, span
    if op.flags & RELATIVE:
        start = before
        end = length
        if op.flags & HAS_DISTANCE:
            distance = <int32_t> scratch.values[op.distance] if op.flags & DISTANCE_VAR else op.distance
            start = max(start + distance, 0)
            if op.flags & DISTANCE_VAR:
                # Suricata counts a variable distance, and where it counts from, twice
                distance = 2 * distance + before
        start = max(start, op.offset)
        if op.flags & HAS_WITHIN:
            span = <int64_t> scratch.values[op.within] if op.flags & WITHIN_VAR else op.within
            # an end before the buffer is none
            if 0 <= before + distance + span < end:
                end = before + distance + span
        if op.flags & HAS_DEPTH:
            end = min(end, <int64_t> before + op.depth)
    else:
        start = <int64_t> scratch.values[op.offset] if op.flags & OFFSET_VAR else op.offset
        end = length
        if op.flags & HAS_DEPTH:
            span = start + (<int64_t> scratch.values[op.depth] if op.flags & DEPTH_VAR else op.depth)
            # in a window of a body depth counts from where the body starts, offset from where the window does
            if scratch.view_offset and span < <int64_t> (scratch.view_offset + length):
                span -= <int64_t> scratch.view_offset
                if span <= 0:
                    return -1
            end = min(end, span)
    if resume:
        start = resume
    if start < 0 or start + op.length > end:
        return -1
    if op.flags & CONTENT_ENDSWITH:
        if end < length:
            return -1
        if not op.flags & NEGATED:
            start = end - op.length
    needle.text = rules.bytes + op.at
    needle.size = op.length
    needle.probe[0] = op.probe[0]
    needle.probe[1] = op.probe[1]
    needle.fold = 0xff if op.flags & CONTENT_NOCASE else 0
    found = find_needle(&needle, data + start, <uint32_t> (end - start))
    if found == NULL:
        return -1
    # Suricata looks at the first occurrence alone, and counts the window's start twice
    if op.flags & CONTENT_ENDSWITH and op.flags & NEGATED and (found - data) + start + op.length != length:
        return -1
    return found - data


cdef bint base64_holds(const ruleset_t *rules, const base64_op_t *op, match_scratch_t *scratch, const uint8_t *data,
                       uint32_t length) noexcept nogil:
    """Decodes and runs the block over what came out. Without such a block nothing can match."""
    cdef uint64_t start = op.offset
    if op.flags & RELATIVE:
        start += scratch.cursor
    if start >= length:
        return False
    length -= <uint32_t> start
    if op.bytes and op.bytes < length:
        length = op.bytes
    scratch.decoded_length = base64_decode(data + start, length, scratch.decoded, BASE64_MAX)
    return (scratch.decoded_length > 0 and op.block != NOTHING
            and steps_hold(rules, scratch, rules.ops + op.block + 1, scratch.decoded, scratch.decoded_length))


cdef inline bint dataset_holds(const ruleset_t *rules, match_scratch_t *scratch, const dataset_op_t *op, const uint8_t *data,
                               uint32_t length) noexcept nogil:
    """A set that some rule changes is asked in the order of the packets."""
    if not op.flags & DATASET_CHANGES or scratch.shared == NULL:
        return dataset_asked(rules, NULL, op, data, length)
    if scratch.shared.wait != NULL:
        scratch.shared.wait(scratch.worker)
    return dataset_asked(rules, scratch.shared.datasets, op, data, length)


cdef bint enough_follow(const ruleset_t *rules, const plain_op_t *op, match_scratch_t *scratch, const uint8_t *data,
                        uint32_t length) noexcept nogil:
    """Are there as many valid numbers as are asked for, the one just taken among them? Further ones are what the same expression
    takes from there on."""
    cdef uint32_t missing = op.value >> VALIDATOR_BITS, at = scratch.cursor
    cdef const pcre_op_t *pcre = <const pcre_op_t *> (<const op_t *> op - 1)
    cdef const size_t *ends
    while missing and pcre.code == OP_PCRE:
        if at > length or pcre2_match(<const pcre2_code *> rules.expressions[pcre.expression], data, length, at, 0,
                                      <pcre2_match_data *> scratch.match_data,
                                      <pcre2_match_context *> scratch.match_context) < 0:
            return False
        ends = pcre2_get_ovector_pointer(<pcre2_match_data *> scratch.match_data)
        if ends[1] > ends[0] and is_valid(op.value & VALIDATOR_MASK, data + ends[0], <uint32_t> (ends[1] - ends[0])):
            missing -= 1
            at = <uint32_t> ends[1]
        else:
            at = <uint32_t> ends[0] + 1
    return missing == 0


cdef inline bint fails(match_scratch_t *scratch, bint settled) noexcept nogil:
    scratch.give_up |= settled
    return False


cdef bint block_holds(const ruleset_t *rules, match_scratch_t *scratch, uint32_t block, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    scratch.steps = scratch.cursor = scratch.give_up = 0
    if rarely(scratch.trace != NULL):
        trace_block(rules, scratch, block, data, length)
    return steps_hold(rules, scratch, rules.ops + block + 1, data, length)


cdef bint steps_hold(const ruleset_t *rules, match_scratch_t *scratch, const op_t *op, const uint8_t *data,
                     uint32_t length) noexcept nogil:
    """Runs steps up to OP_END from scratch.cursor. A content or pcre that a later step is relative to is tried at its next
    occurrence when what follows it fails; another content is taken where it is, and what fails after it fails the block.
    Every step taken counts towards the limit, which does the same."""
    cdef const content_op_t *content
    cdef const pcre_op_t *pcre
    cdef const size_t *ends
    cdef uint32_t before, resume
    cdef int64_t found
    cdef int status
    cdef bint holds, settled = False
    while op.code != OP_END:
        scratch.steps += 1
        if scratch.steps == rules.header.step_limit:
            scratch.limits_hit += 1
            scratch.give_up = True
            if rarely(scratch.trace != NULL):
                trace_limit(scratch)
            return False
        if op.code == OP_CONTENT:
            content = <const content_op_t *> op
            before = scratch.cursor
            resume = 0
            while True:
                found = content_at(rules, content, scratch, data, length, before, resume)
                if rarely(scratch.trace != NULL):
                    trace_step(rules, scratch, op, data, length, before, NOTHING if found < 0 else <uint32_t> found,
                               NOTHING if found < 0 else <uint32_t> found + content.length, (found >= 0) != (op.flags & NEGATED))
                if op.flags & NEGATED:
                    if found >= 0:
                        if op.flags & CONTENT_ALONE:
                            scratch.give_up = True
                        return fails(scratch, settled)
                    break
                if found < 0:
                    if not op.flags & (RELATIVE | OFFSET_VAR | DEPTH_VAR):
                        scratch.give_up = True
                    return fails(scratch, settled)
                scratch.taken = <uint32_t> found
                scratch.cursor = <uint32_t> found + content.length
                if not op.flags & HAS_RELATIVE_NEXT or op[1].code == OP_END:
                    settled = True
                    break
                if steps_hold(rules, scratch, op + 1, data, length):
                    return True
                if scratch.give_up:
                    return False
                resume = <uint32_t> found + 1
        elif op.code == OP_PCRE:
            pcre = <const pcre_op_t *> op
            before = scratch.cursor if op.flags & RELATIVE else 0
            if before > length:
                return fails(scratch, settled)
            resume = before
            while True:
                if resume > length:
                    return fails(scratch, settled)
                status = pcre2_match(<const pcre2_code *> rules.expressions[pcre.expression], data + before, length - before,
                                     resume - before, 0, <pcre2_match_data *> scratch.match_data,
                                     <pcre2_match_context *> scratch.match_context)
                if rarely(scratch.trace != NULL):
                    ends = pcre2_get_ovector_pointer(<pcre2_match_data *> scratch.match_data)
                    trace_step(rules, scratch, op, data, length, before, NOTHING if status < 0 else before + <uint32_t> ends[0],
                               NOTHING if status < 0 else before + <uint32_t> ends[1],
                               status >= 0 if not op.flags & NEGATED else status == PCRE2_ERROR_NOMATCH)
                if status < 0 and status != PCRE2_ERROR_NOMATCH:
                    scratch.limits_hit += 1
                    return fails(scratch, settled)
                if op.flags & NEGATED:
                    if status >= 0:
                        return fails(scratch, settled)
                    break
                if status < 0:
                    return fails(scratch, settled)
                ends = pcre2_get_ovector_pointer(<pcre2_match_data *> scratch.match_data)
                if rarely(pcre.captures.count != 0):
                    capture(rules, scratch, pcre, data + before, ends, status)
                resume = before + <uint32_t> ends[0] + 1
                scratch.taken = before + <uint32_t> ends[0]
                scratch.cursor = before + <uint32_t> ends[1]
                if not op.flags & HAS_RELATIVE_NEXT or op[1].code == OP_END:
                    break
                if steps_hold(rules, scratch, op + 1, data, length):
                    return True
                if scratch.give_up:
                    return False
        elif op.code == OP_BASE64:
            if rarely(scratch.trace != NULL):
                trace_step(rules, scratch, op, data, length, scratch.cursor, scratch.cursor, length, True)
            if base64_holds(rules, <const base64_op_t *> op, scratch, data, length):
                return True
            return fails(scratch, settled)
        else:
            before = scratch.cursor
            if op.code == OP_BYTE_TEST:
                holds = byte_test_holds(<const byte_op_t *> op, scratch, data, length)
            elif op.code == OP_BYTE_JUMP:
                holds = byte_jump_lands(<const byte_op_t *> op, scratch, data, length)
            elif op.code == OP_BYTE_EXTRACT:
                holds = byte_extract_reads(<const byte_op_t *> op, scratch, data, length)
            elif op.code == OP_BYTE_MATH:
                holds = byte_math_gives(<const byte_op_t *> op, scratch, data, length)
            elif op.code == OP_ISDATAAT:
                holds = data_is_at(<const isdataat_op_t *> op, scratch, length)
            elif op.code == OP_SIZE:
                holds = size_holds(rules, <const number_op_t *> op, scratch.view_offset + length, scratch.view_end)
            elif op.code == OP_VALUE:
                holds = value_holds(rules, <const number_op_t *> op, data, length)
            elif op.code == OP_INTERFACE:
                holds = interface_holds(rules, <const interface_op_t *> op, data, length)
            elif op.code == OP_DATASET:
                holds = dataset_holds(rules, scratch, <const dataset_op_t *> op, data, length)
            elif op.code == OP_VALIDATE:
                holds = (scratch.taken <= scratch.cursor <= length
                         and is_valid((<const plain_op_t *> op).value & VALIDATOR_MASK, data + scratch.taken,
                                      scratch.cursor - scratch.taken)
                         and enough_follow(rules, <const plain_op_t *> op, scratch, data, length))
            elif op.code == OP_CLOCK:
                holds = clock_holds(<const plain_op_t *> op, data, length, scratch.now)
            else:
                holds = file_holds(rules, <const file_op_t *> op, data, length)
                if holds and (<const file_op_t *> op).what == FILE_IS_STORED:
                    scratch.chosen = <file_t *> data
            if rarely(scratch.trace != NULL):
                trace_step(rules, scratch, op, data, length, before, NOTHING, NOTHING, holds)
            if not holds:
                return fails(scratch, settled)
        op += 1
    return True
