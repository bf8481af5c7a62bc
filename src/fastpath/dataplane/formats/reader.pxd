"""What reads a capture: where it stands, what it has learnt of the file, what comes next."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.bpf cimport bpf_insn_t

cdef enum rx_status:      # Source.status
    RX_MORE             # call again; a burst may be empty where a filter rejects much
    RX_NEED             # wants the next chunk, or a filter program for a link type: see Source.wants
    RX_END
    RX_DAMAGED          # everything before the damage has been given

cdef enum rx_damage:      # each with its text in DAMAGES of rx.pyx
    DAMAGE_NONE
    DAMAGE_MAGIC
    DAMAGE_VERSION
    DAMAGE_HEADER_CUT
    DAMAGE_RECORD_CUT
    DAMAGE_BLOCK_CUT
    DAMAGE_CAPLEN
    DAMAGE_BLOCK_LENGTH
    DAMAGE_BLOCK_TRAILER
    DAMAGE_BLOCK_BODY
    DAMAGE_BYTE_ORDER
    DAMAGE_INTERFACE
    DAMAGE_INTERFACES
    DAMAGE_MIXED
    DAMAGE_TIME
    DAMAGE_STREAM
    DAMAGE_READ
    DAMAGE_BATCH
    DAMAGE_MEMORY

cdef enum rx_format:
    FORMAT_UNKNOWN
    FORMAT_PCAP
    FORMAT_PCAPNG
    FORMAT_BATCH

cdef enum rx_unit:      # of the stamps of an interface
    UNIT_TIMES          # ns = ticks * scale
    UNIT_OVER           # ns = ticks / scale
    UNIT_BINARY         # seconds = ticks / 2^shift

ctypedef struct filter_t:
    bpf_insn_t *program
    uint32_t count
    uint16_t linktype

ctypedef struct interface_t:
    uint64_t scale
    int64_t offset              # seconds to add to every stamp
    const bpf_insn_t *filter    # NULL: every packet is taken
    uint32_t snaplen            # as the capture says, 0 for none
    uint16_t linktype
    uint8_t unit, shift

ctypedef struct rx_t:
    # the bytes that can be read now
    const uint8_t *at
    const uint8_t *end
    const uint8_t *fetched      # how far the lines ahead are asked for
    uint64_t end_offset         # of `end` in the uncompressed capture
    uint32_t need               # bytes from `at` without which there is no next step
    uint32_t budget             # blocks and rejected packets that one burst may still pass over
    uint64_t damage_offset      # where the unit that cannot be read begins, in the uncompressed capture
    uint8_t status, damage, format
    uint8_t broken              # enum rx_damage: the bytes end here because of damage around the capture
    bint swapped                # the section's byte order is not this machine's
    bint last                   # no chunk follows
    bint uniform                # as libpcap: every interface and section is like the first
    bint described              # an interface was: `interface` is the first
    bint filtering              # no packet of a link type without a program is taken
    int wants                   # link type that needs a program, -1 for none
    # classic pcap: one interface; pcapng: the first
    uint32_t record_header      # 16, or 24 in the modified form
    uint32_t caplen_at, wirelen_at      # offsets in the record header
    bint lengths_unsure         # version 2.3: the two lengths may stand either way round
    interface_t interface
    # pcapng
    interface_t *interfaces
    uint32_t interfaces_used, interfaces_room
    uint8_t *secrets            # decryption secrets so far: type and length (native order), then the bytes
    uint32_t secrets_used, secrets_room
    # stream: a unit cut by the end of a chunk is completed in `carry`, then reading goes on in the chunk
    uint8_t *carry
    uint64_t carry_room
    bint carrying
    const uint8_t *chunk
    const uint8_t *chunk_end
    # mapped file
    const uint8_t *map
    const uint8_t *map_end
    const uint8_t *released     # pages before it are given back
    int fd                      # of the mapped file, -1 for none
    bint populate               # the kernel has MADV_POPULATE_READ
    # batch
    const uint8_t *buffer
    uint64_t buffer_size
    const uint8_t *offsets
    const uint8_t *lengths
    const uint8_t *wirelens
    const uint8_t *stamps
    uint64_t now                # stamp of a batch without stamps
    uint64_t next, count
    bint offsets_wide, lengths_wide     # 8 bytes each, else 4
    # filters and counters
    filter_t *filters
    uint32_t filters_used
    uint64_t filtered           # packets that the filter rejected
    uint64_t skipped            # pcapng blocks that hold nothing for the data plane
