# The numbers that a flow keeps: flowint. One has a word of the flow's bits to itself: whether it is set, and its value.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.dataplane.match.flowbits cimport BITS_FROM, ensure_words
from fastpath.dataplane.match.program cimport (
    FLOWINT_ADD, FLOWINT_EQ, FLOWINT_GE, FLOWINT_GT, FLOWINT_ISSET, FLOWINT_LE, FLOWINT_LT, FLOWINT_NE, FLOWINT_NOTSET,
    FLOWINT_OF_NAME, FLOWINT_SET, flowint_op_t,
)
from fastpath.dataplane.types cimport flow_more_t, flow_t, pool_t

cdef enum:
    SET_BIT = 63                # of the word; the value is in its lower half


cdef inline bint flowint_read(const flow_t *flow, uint32_t word, uint32_t *value) noexcept nogil:
    """False, and 0, for one that is not set."""
    cdef const flow_more_t *more = flow.more
    value[0] = 0
    if more == NULL or BITS_FROM + word >= more.bits_words or not more.bits[BITS_FROM + word] >> SET_BIT:
        return False
    value[0] = <uint32_t> more.bits[BITS_FROM + word]
    return True


cdef inline uint32_t flowint_operand(const flowint_op_t *op, const flow_t *flow) noexcept nogil:
    """What is compared with or added: a number, or another flowint, which is 0 unless it is set."""
    cdef uint32_t value = op.value
    if op.flags & FLOWINT_OF_NAME:
        flowint_read(flow, op.value, &value)
    return value


cdef inline bint flowint_holds(const flowint_op_t *op, const flow_t *flow) noexcept nogil:
    cdef uint32_t value, other
    cdef bint is_set
    if flow == NULL:
        return False
    is_set = flowint_read(flow, op.word, &value)
    if op.what == FLOWINT_ISSET or op.what == FLOWINT_NOTSET:
        return is_set == (op.what == FLOWINT_ISSET)
    if not is_set:
        return False
    other = flowint_operand(op, flow)
    if op.what == FLOWINT_LT:
        return value < other
    if op.what == FLOWINT_LE:
        return value <= other
    if op.what == FLOWINT_EQ:
        return value == other
    if op.what == FLOWINT_NE:
        return value != other
    if op.what == FLOWINT_GE:
        return value >= other
    return value > other


cdef inline void flowint_run(const flowint_op_t *op, flow_t *flow, pool_t *pool) noexcept nogil:
    """Sets, adds or subtracts, modulo 2**32. What is not set is 0 for an addition, and stays as it is for a subtraction. One that
    the pool has no room for is counted there."""
    cdef uint32_t value, other
    cdef bint is_set
    if flow == NULL:
        return
    is_set = flowint_read(flow, op.word, &value)
    other = flowint_operand(op, flow)
    if op.what == FLOWINT_SET:
        value = other
    elif op.what == FLOWINT_ADD:
        value += other
    elif is_set:
        value -= other
    else:
        return
    if not is_set and not ensure_words(flow, pool, BITS_FROM + op.word + 1):
        return
    flow.more.bits[BITS_FROM + op.word] = <uint64_t> 1 << SET_BIT | value
