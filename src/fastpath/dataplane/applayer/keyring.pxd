# keyring: the secrets of TLS sessions, by client random and kind: from a key log that was given, or from the capture itself.
#
# One writer, any number of readers, no lock: a slot's tag is written last, and a table that grows is a new one, published when
# it is whole; the one before is kept until the end. A secret from the capture counts from an ordinal on, so that what a worker
# finds does not hang on how far ingest is ahead. Secrets leave this memory only into ciphers; it is wiped when it is freed.
#
# Errors: none; what finds no room is counted in `refused`.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.threads cimport load_acquire, store_release
from fastpath.dataplane.wire.load cimport raw64

cdef enum secret_kind:
    SECRET_NONE
    SECRET_MASTER               # CLIENT_RANDOM: the master secret of TLS 1.2
    SECRET_CLIENT_HANDSHAKE, SECRET_SERVER_HANDSHAKE, SECRET_CLIENT_TRAFFIC, SECRET_SERVER_TRAFFIC

cdef enum:
    RANDOM_LENGTH = 32
    SECRET_MAX = 48             # bytes: of the hash SHA-384, or a master secret
    PROBES_MAX = 64             # slots that are looked at for a secret: who picks randoms that collide gains no more
    KEYRING_FIRST = 1024        # slots
    KEYRING_MAX = 1 << 22

cdef struct secret_t:
    uint64_t tag                # kind | length << 8; 0: a free slot
    uint64_t since              # ordinal of the first packet that it may be used for
    uint8_t random[32]
    uint8_t bytes[48]

cdef struct secrets_t:
    secrets_t *before           # the smaller table that it took the place of
    uint64_t slots
    secret_t *slot

cdef struct keyring_t:
    uint64_t table              # secrets_t *, published; 0 before the first secret
    uint64_t used
    uint64_t refused            # no room, no memory
    uint64_t lines, bad_lines   # of key logs that the capture brought

cdef bint put_secret(keyring_t *keyring, uint32_t kind, const uint8_t *random, const uint8_t *bytes, uint32_t length,
                     uint64_t since) noexcept nogil
cdef void empty_keyring(keyring_t *keyring) noexcept nogil

# A text of lines of which some may be bad: what holds is put into the ring.
cdef void take_key_log(keyring_t *keyring, const uint8_t *text, uint64_t length, uint64_t since) noexcept nogil


cdef inline uint64_t secret_place(uint32_t kind, const uint8_t *random) noexcept nogil:
    cdef uint64_t hash = raw64(random) ^ raw64(random + 8) ^ raw64(random + 16) ^ raw64(random + 24)
    hash = (hash ^ hash >> 30 ^ kind) * <uint64_t> 0xbf58476d1ce4e5b9
    hash = (hash ^ hash >> 27) * <uint64_t> 0x94d049bb133111eb
    return hash ^ hash >> 31


cdef inline const secret_t *find_secret(const keyring_t *keyring, uint32_t kind, const uint8_t *random,
                                        uint64_t ordinal) noexcept nogil:
    """NULL where there is none, or none yet at that packet."""
    cdef const secrets_t *table
    cdef const secret_t *slot
    cdef uint64_t at, tag
    cdef uint32_t i
    if keyring == NULL:
        return NULL
    table = <const secrets_t *> load_acquire(&keyring.table)
    if table == NULL:
        return NULL
    at = secret_place(kind, random)
    for i in range(PROBES_MAX):
        slot = &table.slot[(at + i) & (table.slots - 1)]
        tag = load_acquire(&slot.tag)
        if tag == 0:
            return NULL
        if tag & 0xff == kind and memcmp(slot.random, random, RANDOM_LENGTH) == 0:
            return slot if slot.since <= ordinal else NULL
    return NULL


cdef inline uint32_t secret_length(const secret_t *secret) noexcept nogil:
    return <uint32_t> (secret.tag >> 8)


cdef class KeyRing:
    cdef keyring_t ring
