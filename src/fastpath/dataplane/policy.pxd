# policy: which flows may be. The compiled form of a policy and the walk through it; what a flow was told lies beside the flows of
# its bucket.
#
# An address leads through a trie of sixty-four branches a node (poptrie: Asai and Ohara, SIGCOMM 2015) to a class: all addresses
# that lie in the same segments. With VLAN, VNI or TEID that is the class of an endpoint. The segments of both endpoints, few
# each, are looked up pair by pair; a pair has a table of services, protocol << 16 | port, and a service a list of lines. So what
# a decision costs hangs on how deep segments lie in each other, not on how many lines there are, and it is made once a flow.
#
# Errors: none; what no line allows is denied.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.types cimport flow_key_t, packet_meta_t

cdef enum:
    NO_LINE = 0xffffffff        # by default: no line allows it
    FOR_EVER = 0xffffffff       # of policy_line_t.until
    OVERLAP_MAX = 32            # segments in which one endpoint may lie, by role
    DATA_MAX = 16               # classes of data
    TRIE_INNER = 1 << 31
    LABELS_MAX = 64             # patterns that a server name is held against

cdef enum policy_state:         # policy_flow_t.state
    POLICY_NONE, POLICY_ALLOWED, POLICY_DENIED, POLICY_PENDING

cdef enum policy_why:           # of a denial
    WHY_LINE, WHY_DEFAULT, WHY_LIMIT, WHY_DATA, WHY_BINDING

cdef struct trie_node_t:
    uint64_t inner              # 1 << branch: it goes on
    uint64_t fresh              # 1 << branch: its class is not that of the leaf before
    uint32_t children, leaves   # the first of each

cdef struct trie_t:
    uint32_t *top               # by the first 16 bits: a class, or TRIE_INNER | node
    trie_node_t *nodes
    uint32_t *classes
    uint32_t node_count, node_room, class_count, class_room

cdef struct pair_t:
    uint64_t key
    uint32_t value              # NO_LINE: empty
    uint32_t reserved

cdef struct pairs_t:
    pair_t *slots
    uint64_t mask

cdef struct policy_line_t:
    uint64_t apps               # 1 << alproto of each that it is for; 0: any
    uint32_t until              # second of engine time; FOR_EVER
    uint32_t names, name_count  # patterns of server names: a range of policy_t.line_names, ascending
    uint32_t denies

cdef struct zone_t:             # where data of a class may go
    uint32_t data               # 1 << class
    uint32_t sources, source_count, targets, target_count   # ranges of policy_t.zone_segments, ascending
    uint32_t line

cdef struct policy_count_t:     # of a line, by worker
    uint64_t packets, bytes, flows, denied

cdef struct policy_flow_t:      # beside each flow of a bucket
    uint32_t until              # second at which what it was told ends; FOR_EVER
    uint32_t line
    uint32_t source, target     # classes of the endpoints, source the one that sent the first packet
    uint32_t pending_bytes
    uint16_t pending_packets
    uint16_t epoch              # of the policy that decided
    uint16_t data[2]            # 1 << class of what rules have found, by sender: of the source, of the target
    uint16_t encapsulation      # class
    uint8_t app                 # enum alproto, as it was when the flow was told
    uint8_t flags               # policy_state, and POLICY_*

cdef enum:                      # policy_flow_t.flags
    POLICY_STATE = 3
    POLICY_REVERSED = 1 << 2        # the source is endpoint 1 of the key
    POLICY_CONDITIONAL = 1 << 3     # what it was told hangs on the application
    POLICY_NAMED = 1 << 4           # it was told when the server name was known
    POLICY_CUT = 1 << 5             # FLOW_DROP was set by policy
    POLICY_ASTRAY = 1 << 6          # packets of it were denied for what they belong to

cdef struct policy_t:
    trie_t v4, v6
    uint32_t *plain             # class of addresses -> class of endpoints
    pairs_t members             # (class of addresses, of encapsulation) -> class of endpoints, where it is not the plain one
    bint encapsulated           # VLAN, VNI or TEID count
    uint16_t *vlan_class        # by the outermost identifier, 0 for none
    uint64_t *tunnel_starts     # kind << 32 | identifier
    uint16_t *tunnel_class
    uint32_t tunnel_count, tunnel_classes
    uint16_t *encapsulation     # by (vlan class * tunnel_classes + tunnel class) * qfi_classes + qfi class
    uint16_t *qfi_class         # by QFI
    uint32_t qfi_classes
    uint32_t *source_roles      # class of endpoints -> where its segments stand, behind their count
    uint32_t *target_roles
    uint32_t *roles
    pairs_t pairs               # (source segment, target segment) -> table of services
    uint32_t *tables            # where each begins, and the last ends
    uint32_t *starts            # of services
    uint32_t *lists             # of lines, from each start on: where it stands in items
    uint32_t *items             # ascending, each list ended by NO_LINE
    policy_line_t *lines
    uint32_t line_count
    uint32_t *line_names
    pairs_t patterns            # hash of a server name, or of its end -> pattern
    const uint8_t *texts        # of patterns, lower case; a suffix begins with its dot
    uint32_t *text_at
    zone_t *zones
    uint32_t zone_count, confined       # confined: 1 << class of data that zones are about
    uint32_t services           # 1 << class that stands for services: it is the flow's, whoever sent what gave it away
    uint32_t *endpoint_segments     # class of endpoints -> where all its segments stand, behind their count
    uint32_t *segment_lists
    uint32_t pending_packets, pending_bytes
    bint judges_carriers
    bint queue_pairs_apart      # a queue pair in another segment than its first is denied
    bint tunnels_bound          # a user's address that does not belong to its tunnel is
    bint conditional            # some line names an application
    uint16_t epoch

# What a decision hangs on.
cdef struct asked_t:
    uint32_t source, target, service, second
    uint8_t app                 # ALPROTO_UNKNOWN while it is sought
    bint is_final               # nothing more is waited for
    bint is_named               # the server name is known, or there is none
    const uint8_t *name
    uint32_t name_length

cdef struct told_t:
    uint32_t line, until
    uint8_t state, why
    bint conditional

cdef class Classifier:
    cdef policy_t policy
    cdef list kept              # what the pointers of policy point into
    cdef build_trie(self, trie_t *trie, boundaries)
    cdef build_pairs(self, pairs_t *pairs, table)
    cdef void *hold(self, array, dtype) except? NULL

cdef void decide(const policy_t *policy, const asked_t *asked, told_t *told) noexcept nogil

# The line of the zone that forbids this sender to send data of these classes to this receiver; ALLOWED where none does.
cdef void decide_data(const policy_t *policy, uint32_t sender, uint32_t receiver, uint32_t data, told_t *told) noexcept nogil

# The class of encapsulation of an entry.
cdef uint16_t find_encapsulation(const policy_t *policy, const packet_meta_t *meta, const flow_key_t *key) noexcept nogil

# The class of an endpoint of the key.
cdef uint32_t find_endpoint(const policy_t *policy, const flow_key_t *key, uint32_t which, uint16_t encapsulation) noexcept nogil


# Of ICMP the type stands for the port: that of the one who asks.
cdef inline uint32_t service_of(const flow_key_t *key, uint32_t target) noexcept nogil:
    return <uint32_t>key.proto << 16 | key.port[1 - target if key.proto == 1 or key.proto == 58 else target]
