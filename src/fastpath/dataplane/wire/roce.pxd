# RoCEv2: the base transport header of InfiniBand in UDP (InfiniBand Architecture Specification, annex A17).
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.wire.load cimport be16, be24

cdef enum:
    BTH_LEN = 12                # opcode 1, flags and version 1, partition key 2, reserved 1, queue pair 3, ack 1, sequence 3
    BTH_OPCODE_AT = 0
    BTH_VERSION_AT = 1          # lower four bits, always 0
    BTH_PARTITION_AT = 2
    BTH_QUEUE_PAIR_AT = 5
    BTH_SEQUENCE_AT = 9


cdef inline bint bth_checked(const uint8_t *payload, uint32_t length) noexcept nogil:
    """Whether the payload holds a base transport header; the readers below ask for one that does."""
    return length >= BTH_LEN and payload[BTH_VERSION_AT] & 0x0f == 0


cdef inline uint8_t bth_opcode(const uint8_t *payload) noexcept nogil:
    return payload[BTH_OPCODE_AT]


cdef inline uint16_t bth_partition(const uint8_t *payload) noexcept nogil:
    return be16(payload + BTH_PARTITION_AT)


cdef inline uint32_t bth_queue_pair(const uint8_t *payload) noexcept nogil:
    """The destination's queue pair."""
    return be24(payload + BTH_QUEUE_PAIR_AT)


cdef inline uint32_t bth_sequence(const uint8_t *payload) noexcept nogil:
    return be24(payload + BTH_SEQUENCE_AT)
