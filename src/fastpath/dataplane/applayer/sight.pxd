# sight: what one bucket may take for decryption, and what it counts of it; and how much of which service stayed sealed.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    SERVICE_NAME_MAX = 255
    SERVICES_FIRST = 64         # slots of the table of a bucket
    SERVICES_MAX = 8192

cdef struct service_t:          # a service as one pair of endpoint classes uses it
    uint64_t flows              # 0: a free slot
    uint64_t sealed             # bytes of their streams that nobody could look into
    uint64_t carried            # all of them
    uint32_t hash
    uint32_t source, target     # classes of the policy (policy.pxd); 0, 0 without one
    uint16_t epoch              # of the policy, 0 for none
    uint8_t proto               # enum alproto
    uint8_t length              # of the name, 0 where the session named no server
    uint8_t name[255]

cdef struct sight_t:
    uint32_t ciphers, ciphers_max       # cipher contexts: two a session that is decrypted
    uint64_t sessions           # that were decrypted, or at least begun
    uint64_t full               # for which there was no cipher context: they stay encrypted
    uint64_t failed             # of which a record did not fit its key
    uint64_t records, bytes     # decrypted
    service_t *services         # open-addressed by name and classes
    uint32_t service_slots, services_used
    service_t rest              # beyond SERVICES_MAX, or without memory for a larger table
