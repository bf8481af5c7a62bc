# Texts that expressions capture: flowvar, pktvar, versions for the inventory. User guide, "Payload Keywords" (pcre), "Flow
# Keywords" (flowvar).
#
# What an expression captures is the rule's at work until the rule matches; then it is the flow's, or the packet's. The texts of a
# flow lie in its bucket's pool, in a list that begins in the word before its flowbits.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from fastpath.dataplane.match.flowbits cimport ensure_texts, texts_of
from fastpath.dataplane.match.program cimport (
    CAPTURED_BYTES, CAPTURED_MAX, CAPTURE_FLOW, CAPTURE_KEY, CAPTURE_NOTE, CAPTURE_PACKET, FLOW_TEXTS, FLOW_TEXT_BYTES,
    NOTED_BYTES, NOTED_MAX, capture_op_t, captured_t, captures_t, flowvar_op_t, match_scratch_t, noted_t, pcre_op_t, ruleset_t,
    texts_t,
)
from fastpath.dataplane.more cimport flow_text_t, flow_text_size
from fastpath.dataplane.pcre2 cimport PCRE2_UNSET
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_FLOW, flow_t, pool_t

cdef extern from "simd.h" nogil:
    ctypedef struct needle_t:
        const uint8_t *text
        uint32_t size
        uint16_t probe[2]
        uint8_t fold
    const uint8_t *find_needle(const needle_t *needle, const uint8_t *data, uint32_t length) noexcept

cdef enum:
    KEY_MAX = 0xff
    TEXT_MAX = 0xffff


cdef inline void drop_captured(texts_t *texts, uint32_t index) noexcept nogil:
    """Takes one out; the others keep their order."""
    cdef captured_t gone = texts.entries[index]
    cdef uint32_t size = <uint32_t> gone.key_length + gone.length, i
    memmove(texts.data + gone.at, texts.data + gone.at + size, texts.used - gone.at - size)
    texts.used -= size
    texts.count -= 1
    for i in range(index, texts.count):
        texts.entries[i] = texts.entries[i + 1]
    for i in range(texts.count):
        if texts.entries[i].at > gone.at:
            texts.entries[i].at -= size


cdef inline bint add_captured(texts_t *texts, uint32_t what, uint32_t name, const uint8_t *key, uint32_t key_length,
                              const uint8_t *text, uint32_t length) noexcept nogil:
    """False where there is no room."""
    cdef captured_t *entry
    if texts.count == CAPTURED_MAX or texts.used + key_length + length > CAPTURED_BYTES:
        return False
    entry = &texts.entries[texts.count]
    entry.what = what
    entry.name = name
    entry.at = texts.used
    entry.key_length = <uint16_t> key_length
    entry.length = <uint16_t> length
    if key_length:
        memcpy(texts.data + texts.used, key, key_length)
    if length:
        memcpy(texts.data + texts.used + key_length, text, length)
    texts.used += key_length + length
    texts.count += 1
    return True


cdef inline uint32_t find_captured(const texts_t *texts, uint32_t what, uint32_t name) noexcept nogil:
    """The index of one; the number of all where there is none."""
    cdef uint32_t i = 0
    while i < texts.count and (texts.entries[i].what != what or texts.entries[i].name != name):
        i += 1
    return i


cdef inline bint group_of_match(const size_t *ends, int status, uint32_t group, uint32_t most, size_t *start,
                                uint32_t *length) noexcept nogil:
    """Where a group is that took part in the match, `most` bytes of it."""
    if status != 0 and group >= <uint32_t> status or ends[2 * group] == PCRE2_UNSET or ends[2 * group + 1] < ends[2 * group]:
        return False
    start[0] = ends[2 * group]
    length[0] = <uint32_t> min(ends[2 * group + 1] - ends[2 * group], <size_t> most)
    return True


cdef inline void capture(const ruleset_t *rules, match_scratch_t *scratch, const pcre_op_t *op, const uint8_t *data,
                         const size_t *ends, int status) noexcept nogil:
    """What a match of an expression captures, for the rule at work: the later text of a name replaces the earlier one."""
    cdef texts_t *texts = &scratch.captures.rule
    cdef const uint32_t *listed = rules.lists + op.captures.first
    cdef uint32_t i, at, length = 0, key_length = 0
    cdef size_t start = 0, key = 0
    cdef bint room
    for i in range(op.captures.count // 2):
        if listed[2 * i] == CAPTURE_KEY:
            if not group_of_match(ends, status, i + 1, KEY_MAX, &key, &key_length):
                continue
            if not group_of_match(ends, status, i + 2, TEXT_MAX, &start, &length):
                return
            room = add_captured(texts, CAPTURE_KEY, 0, data + key, key_length, data + start, length)
        elif group_of_match(ends, status, i + 1, TEXT_MAX, &start, &length):
            at = find_captured(texts, listed[2 * i], listed[2 * i + 1])
            if at < texts.count:
                drop_captured(texts, at)
            room = add_captured(texts, listed[2 * i], listed[2 * i + 1], NULL, 0, data + start, length)
        else:
            continue
        if not room:
            scratch.limits_hit += 1


cdef inline flow_text_t *find_text(const flow_t *flow, uint32_t name) noexcept nogil:
    cdef flow_text_t *text = texts_of(flow)
    while text != NULL and text.name != name:
        text = text.next
    return text


cdef inline void keep_on_flow(flow_t *flow, pool_t *pool, flow_text_t **link, uint32_t name, const uint8_t *data,
                              uint16_t length) noexcept nogil:
    """The flow's text of this name is this one; it keeps its place among the others. `link`: the head of the list. What the pool
    or the limit has no room for is counted in pool.refused, and what was there before stays."""
    cdef uint32_t count = 0, used = 0
    cdef flow_text_t *text
    while link[0] != NULL and link[0].name != name:
        count += 1
        used += link[0].length
        link = &link[0].next
    text = link[0]
    if text != NULL:
        if text.length == length:
            memcpy(text.data, data, length)
            return
        text = text.next
        while text != NULL:
            count += 1
            used += text.length
            text = text.next
    if count == FLOW_TEXTS or used + length > FLOW_TEXT_BYTES:
        pool.refused[ACCOUNT_FLOW] += 1
        return
    text = <flow_text_t *> pool_take(pool, ACCOUNT_FLOW, flow_text_size(length))
    if text == NULL:
        return
    text.name = name
    text.length = length
    memcpy(text.data, data, length)
    if link[0] != NULL:
        text.next = link[0].next
        pool_give(pool, ACCOUNT_FLOW, link[0], flow_text_size(link[0].length))
    link[0] = text


cdef inline void keep_on_packet(match_scratch_t *scratch, const captured_t *entry) noexcept nogil:
    """A text is changed where it stands; what is of a key is added."""
    cdef texts_t *texts = &scratch.captures.packet
    cdef const uint8_t *data = scratch.captures.rule.data + entry.at
    cdef uint32_t at = texts.count, i
    cdef captured_t last
    if entry.what == CAPTURE_PACKET:
        at = find_captured(texts, CAPTURE_PACKET, entry.name)
    if at < texts.count:
        drop_captured(texts, at)
    if not add_captured(texts, entry.what, entry.name, data, entry.key_length, data + entry.key_length, entry.length):
        scratch.limits_hit += 1
        return
    last = texts.entries[texts.count - 1]
    for i in range(texts.count - 1, at, -1):
        texts.entries[i] = texts.entries[i - 1]
    texts.entries[min(at, texts.count - 1)] = last


cdef inline void keep_as_note(match_scratch_t *scratch, const captured_t *entry) noexcept nogil:
    """For the row that tells of it, as soon as the rules of this entry have run."""
    cdef captures_t *captures = scratch.captures
    cdef noted_t *noted
    if captures.noted_count == NOTED_MAX:
        scratch.limits_hit += 1
        return
    noted = &captures.noted[captures.noted_count]
    noted.rule = scratch.rule.plan
    noted.what = <uint16_t> entry.name
    noted.length = min(entry.length, <uint16_t> NOTED_BYTES)
    memcpy(noted.text, captures.rule.data + entry.at, noted.length)
    captures.noted_count += 1


cdef inline bint flowvar_holds(const ruleset_t *rules, const flowvar_op_t *op, const match_scratch_t *scratch,
                               const flow_t *flow) noexcept nogil:
    cdef const flow_text_t *text
    cdef const texts_t *texts
    cdef uint32_t at
    if op.what == CAPTURE_FLOW:
        text = find_text(flow, op.name) if flow != NULL else NULL
        return text != NULL and holds_text(text.data, text.length, rules.bytes + op.at, op.length)
    if scratch.captures == NULL:
        return False
    texts = &scratch.captures.packet
    at = find_captured(texts, CAPTURE_PACKET, op.name)
    return (at < texts.count and holds_text(texts.data + texts.entries[at].at, texts.entries[at].length, rules.bytes + op.at,
                                            op.length))


cdef inline bint holds_text(const uint8_t *data, uint32_t length, const uint8_t *part, uint32_t size) noexcept nogil:
    cdef needle_t needle
    if size > length:
        return False
    needle.text = part
    needle.size = size
    needle.probe[0] = 0
    needle.probe[1] = <uint16_t> (size - 1)
    needle.fold = 0
    return find_needle(&needle, data, length) != NULL


cdef inline void run_capture(const capture_op_t *op, match_scratch_t *scratch, flow_t *flow) noexcept nogil:
    """The rule has matched: what it captured under this name is kept; under a key all that is left, the latest first."""
    cdef texts_t *texts
    cdef uint32_t at
    if scratch.captures == NULL:
        return
    texts = &scratch.captures.rule
    if op.what != CAPTURE_KEY:
        at = find_captured(texts, op.what, op.name)
        if at < texts.count:
            keep_captured(scratch, flow, at)
        return
    while texts.count:
        keep_captured(scratch, flow, texts.count - 1)


cdef inline void keep_captured(match_scratch_t *scratch, flow_t *flow, uint32_t at) noexcept nogil:
    cdef texts_t *texts = &scratch.captures.rule
    cdef const captured_t *entry = &texts.entries[at]
    cdef flow_text_t **head
    if entry.what == CAPTURE_NOTE:
        keep_as_note(scratch, entry)
    elif entry.what != CAPTURE_FLOW:
        keep_on_packet(scratch, entry)
    elif flow != NULL:
        head = ensure_texts(flow, scratch.pool)
        if head != NULL:
            keep_on_flow(flow, scratch.pool, head, entry.name, texts.data + entry.at, entry.length)
    drop_captured(texts, at)
