# See policy.pxd.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memset

import numpy as np

from fastpath.dataplane.types cimport (
    NET_IPV4, TUNNEL_GENEVE, TUNNEL_GTPU, TUNNEL_NVGRE, TUNNEL_VXLAN, flow_key_t, packet_meta_t,
)
from fastpath.dataplane.wire.load cimport be32, be64

cdef extern from *:
    """
    #define count_bits(x) __builtin_popcountll(x)
    """
    uint32_t count_bits(uint64_t) noexcept nogil

cdef enum:
    TOP_BITS = 16
    STRIDE = 6
    LAST_OFFSET = 124           # of a branch in an IPv6 address: four bits are left
    TUNNEL_VNI = 1, TUNNEL_TEID = 2

#: Kinds of tunnel identifiers, as policies number them: kind << 32 | identifier.
VNI, TEID = TUNNEL_VNI, TUNNEL_TEID


# ---- addresses ----

cdef uint32_t find_class(const trie_t *trie, uint64_t high, uint64_t low) noexcept nogil:
    cdef uint32_t at = trie.top[high >> (64 - TOP_BITS)]
    cdef uint32_t offset = TOP_BITS
    cdef uint64_t branch
    cdef const trie_node_t *node
    while at & TRIE_INNER:
        node = &trie.nodes[at ^ TRIE_INNER]
        branch = 1ULL << ((high << offset if offset < 64 else low << (offset - 64)) >> (64 - STRIDE))
        if node.inner & branch:
            at = TRIE_INNER | (node.children + count_bits(node.inner & (branch - 1)))
        else:
            return trie.classes[node.leaves + count_bits(node.fresh & (branch | (branch - 1))) - 1]
        offset += STRIDE
    return at


cdef uint64_t hash_pair(uint64_t key) noexcept nogil:
    key ^= key >> 31
    key *= 0x7fb5d329728ea185ULL
    key ^= key >> 27
    key *= 0x81dadef4bc2dd44dULL
    return key ^ key >> 33


cdef uint32_t find_pair(const pairs_t *pairs, uint64_t key) noexcept nogil:
    """Its value, NO_LINE where there is none."""
    cdef uint64_t at = hash_pair(key) & pairs.mask
    while pairs.slots[at].value != NO_LINE:
        if pairs.slots[at].key == key:
            return pairs.slots[at].value
        at = (at + 1) & pairs.mask
    return NO_LINE


cdef uint16_t find_encapsulation(const policy_t *policy, const packet_meta_t *meta, const flow_key_t *key) noexcept nogil:
    cdef uint64_t tunnel = 0
    cdef uint32_t low = 0, high = policy.tunnel_count, middle
    if not policy.encapsulated:
        return 0
    if meta.tunnel == TUNNEL_VXLAN or meta.tunnel == TUNNEL_GENEVE or meta.tunnel == TUNNEL_NVGRE:
        tunnel = <uint64_t>TUNNEL_VNI << 32 | meta.tunnel_id
    elif meta.tunnel == TUNNEL_GTPU:
        tunnel = <uint64_t>TUNNEL_TEID << 32 | meta.tunnel_id
    while high - low > 1:
        middle = (low + high) // 2
        if policy.tunnel_starts[middle] <= tunnel:
            low = middle
        else:
            high = middle
    return policy.encapsulation[(policy.vlan_class[key.vlan[0] & 4095] * policy.tunnel_classes + policy.tunnel_class[low])
                                * policy.qfi_classes + policy.qfi_class[meta.qfi & 63 if meta.tunnel == TUNNEL_GTPU else 0]]


cdef uint32_t find_endpoint(const policy_t *policy, const flow_key_t *key, uint32_t which, uint16_t encapsulation) noexcept nogil:
    cdef const uint8_t *address = key.addr[which]
    cdef uint32_t found, member
    if key.net == NET_IPV4:
        found = find_class(&policy.v4, <uint64_t>be32(address) << 32, 0)
    else:
        found = find_class(&policy.v6, be64(address), be64(address + 8))
    if encapsulation:
        member = find_pair(&policy.members, <uint64_t>found << 32 | encapsulation)
        if member != NO_LINE:
            return member
    return policy.plain[found]


# ---- server names ----

cdef uint64_t hash_text(const uint8_t *text, uint32_t length) noexcept nogil:
    """FNV-1a; what it finds is compared."""
    cdef uint64_t value = 0xcbf29ce484222325ULL
    cdef uint32_t i
    for i in range(length):
        value = (value ^ text[i]) * 0x100000001b3ULL
    return value


cdef uint32_t find_pattern(const policy_t *policy, const uint8_t *text, uint32_t length) noexcept nogil:
    cdef uint64_t key = hash_text(text, length)
    cdef uint64_t at = hash_pair(key) & policy.patterns.mask
    cdef uint32_t pattern
    while policy.patterns.slots[at].value != NO_LINE:
        pattern = policy.patterns.slots[at].value
        if policy.patterns.slots[at].key == key and policy.text_at[pattern + 1] - policy.text_at[pattern] == length \
                and memcmp(policy.texts + policy.text_at[pattern], text, length) == 0:
            return pattern
        at = (at + 1) & policy.patterns.mask
    return NO_LINE


cdef uint32_t patterns_of(const policy_t *policy, const asked_t *asked, uint32_t *patterns) noexcept nogil:
    """The patterns that fit a server name: the name itself, and each of its ends from a dot on."""
    cdef uint8_t name[256]
    cdef uint32_t i, n = 0, found, length = asked.name_length
    if length == 0 or length > sizeof(name):
        return 0
    for i in range(length):
        name[i] = asked.name[i] + 32 * (65 <= asked.name[i] <= 90)
    if name[length - 1] == 46:      # the root's dot
        length -= 1
    for i in range(length):
        if (i == 0) != (name[i] == 46):
            found = find_pattern(policy, name + i, length - i)
            if found != NO_LINE and n < LABELS_MAX:
                patterns[n] = found
                n += 1
    return n


cdef bint names_fit(const policy_t *policy, const policy_line_t *line, const uint32_t *patterns, uint32_t n) noexcept nogil:
    cdef uint32_t i, low, high, middle
    cdef const uint32_t *names = policy.line_names + line.names
    for i in range(n):
        low, high = 0, line.name_count
        while low < high:
            middle = (low + high) // 2
            if names[middle] < patterns[i]:
                low = middle + 1
            else:
                high = middle
        if low < line.name_count and names[low] == patterns[i]:
            return True
    return False


# ---- decisions ----

cdef uint32_t find_list(const policy_t *policy, uint32_t table, uint32_t service) noexcept nogil:
    """The list of lines for a service: that of the last start at or below it."""
    cdef uint32_t low = policy.tables[table], high = policy.tables[table + 1], middle
    while high - low > 1:
        middle = (low + high) // 2
        if policy.starts[middle] <= service:
            low = middle
        else:
            high = middle
    return policy.lists[low]


cdef uint32_t open_lists(const policy_t *policy, const asked_t *asked, uint32_t *cursors) noexcept nogil:
    """Where the lists of lines stand that are about these endpoints and this service."""
    cdef const uint32_t *sources = policy.roles + policy.source_roles[asked.source]
    cdef const uint32_t *targets = policy.roles + policy.target_roles[asked.target]
    cdef uint32_t i, j, table, at, n = 0
    for i in range(1, sources[0] + 1):
        for j in range(1, targets[0] + 1):
            table = find_pair(&policy.pairs, <uint64_t>sources[i] << 32 | targets[j])
            if table != NO_LINE:
                at = find_list(policy, table, asked.service)
                if policy.items[at] != NO_LINE:
                    cursors[n] = at
                    n += 1
    return n


cdef uint32_t next_line(const policy_t *policy, uint32_t *cursors, uint32_t n) noexcept nogil:
    """The first line that any of the lists has left, which is taken off each."""
    cdef uint32_t i, line = NO_LINE
    for i in range(n):
        line = min(line, policy.items[cursors[i]])
    if line != NO_LINE:
        for i in range(n):
            cursors[i] += policy.items[cursors[i]] == line
    return line


cdef void decide(const policy_t *policy, const asked_t *asked, told_t *told) noexcept nogil:
    cdef uint32_t cursors[OVERLAP_MAX * OVERLAP_MAX]
    cdef uint32_t patterns[LABELS_MAX]
    cdef uint32_t n = open_lists(policy, asked, cursors)
    cdef uint32_t pattern_count = 0
    cdef uint32_t number
    cdef const policy_line_t *line
    cdef bint open = False, named = False
    told.conditional = False
    told.why = WHY_LINE
    told.until = FOR_EVER
    while True:
        number = next_line(policy, cursors, n)
        told.line = number
        if number == NO_LINE:
            told.state = POLICY_DENIED
            told.why = WHY_LIMIT if asked.is_final and told.conditional and not asked.is_named else WHY_DEFAULT
            return
        line = &policy.lines[number]
        if line.until <= asked.second:
            continue
        open = False
        if line.apps:
            told.conditional = True
            if asked.app == 0:
                open = True
            elif not line.apps >> asked.app & 1:
                continue
            elif line.name_count and not asked.is_named:
                open = True
            elif line.name_count:
                if not named:
                    pattern_count = patterns_of(policy, asked, patterns)
                    named = True
                if not names_fit(policy, line, patterns, pattern_count):
                    continue
        if open and not asked.is_final:
            told.state = POLICY_PENDING
            told.line = NO_LINE
            return
        if open and not line.denies:    # what is not known allows nothing, and does not get past a line that denies
            continue
        if open:
            told.why = WHY_LIMIT
        told.state = POLICY_DENIED if line.denies else POLICY_ALLOWED
        told.until = line.until
        return


cdef bint is_among(const uint32_t *segments, const uint32_t *wanted, uint32_t count) noexcept nogil:
    """Is one of the wanted segments among these, which stand behind their count? Both ascend."""
    cdef uint32_t i = 1, j = 0
    while i <= segments[0] and j < count:
        if segments[i] == wanted[j]:
            return True
        if segments[i] < wanted[j]:
            i += 1
        else:
            j += 1
    return False


cdef void decide_data(const policy_t *policy, uint32_t sender, uint32_t receiver, uint32_t data, told_t *told) noexcept nogil:
    cdef const uint32_t *sources = policy.segment_lists + policy.endpoint_segments[sender]
    cdef const uint32_t *targets = policy.segment_lists + policy.endpoint_segments[receiver]
    cdef uint32_t i, allowed = 0, first = NO_LINE
    cdef const zone_t *zone
    data &= policy.confined
    for i in range(policy.zone_count):
        zone = &policy.zones[i]
        if not zone.data & data or not is_among(sources, policy.line_names + zone.sources, zone.source_count):
            continue
        if is_among(targets, policy.line_names + zone.targets, zone.target_count):
            allowed |= zone.data
        elif first == NO_LINE:
            first = zone.line
    told.state = POLICY_ALLOWED if data & ~allowed == 0 else POLICY_DENIED
    told.line = first
    told.why = WHY_DATA
    told.until = FOR_EVER
    told.conditional = False


# ---- building ----

cdef class Builder:
    """Nodes of a trie while they are made: boundaries of classes in, ascending."""
    cdef trie_t *trie
    cdef const uint64_t *high
    cdef const uint64_t *low
    cdef const uint32_t *classes
    cdef uint32_t count

    cdef uint32_t take_nodes(self, uint32_t count) except? 0xffffffff:
        cdef trie_t *trie = self.trie
        cdef uint32_t first = trie.node_count
        cdef void *grown
        if first + count > trie.node_room:
            trie.node_room = max(trie.node_room * 2, first + count + 64)
            grown = realloc(trie.nodes, <size_t>trie.node_room * sizeof(trie_node_t))
            if grown == NULL:
                raise MemoryError("no memory for the addresses of a policy")
            trie.nodes = <trie_node_t *>grown
        trie.node_count += count
        return first

    cdef int add_leaf(self, uint32_t found) except -1:
        cdef trie_t *trie = self.trie
        cdef void *grown
        if trie.class_count == trie.class_room:
            trie.class_room = trie.class_room * 2 + 64
            grown = realloc(trie.classes, <size_t>trie.class_room * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError("no memory for the addresses of a policy")
            trie.classes = <uint32_t *>grown
        trie.classes[trie.class_count] = found
        trie.class_count += 1
        return 0

    cdef bint splits(self, uint32_t at, uint64_t high, uint64_t low) noexcept:
        """Does another class begin at or before this address?"""
        return at + 1 < self.count and (self.high[at + 1] < high or self.high[at + 1] == high and self.low[at + 1] <= low)

    cdef int fill(self, uint32_t node, uint64_t high, uint64_t low, uint32_t offset, uint32_t at) except -1:
        """A node of the addresses that begin as these do up to `offset`; `at`: the boundary at or before the first of them."""
        cdef uint64_t first_high, first_low, last_high, last_low, inner = 0, fresh = 0
        cdef uint32_t begins[64]
        cdef uint32_t branch, children, leaf = NO_LINE
        cdef uint32_t leaves = self.trie.class_count
        for branch in range(64):
            first_high, first_low, last_high, last_low = high, low, high, low
            if offset < 64:
                first_high |= <uint64_t>branch << (58 - offset)
                last_high = first_high | ((1ULL << (58 - offset)) - 1)
                last_low = ~0ULL
            elif offset < LAST_OFFSET:
                first_low |= <uint64_t>branch << (122 - offset)
                last_low = first_low | ((1ULL << (122 - offset)) - 1)
            else:
                first_low |= branch >> 2
                last_low = first_low
            while self.splits(at, first_high, first_low):
                at += 1
            begins[branch] = at
            if self.splits(at, last_high, last_low):
                inner |= 1ULL << branch
            elif leaf != self.classes[at]:
                leaf = self.classes[at]
                self.add_leaf(leaf)
                fresh |= 1ULL << branch
        children = self.take_nodes(count_bits(inner))
        self.trie.nodes[node].inner = inner
        self.trie.nodes[node].fresh = fresh
        self.trie.nodes[node].children = children
        self.trie.nodes[node].leaves = leaves
        for branch in range(64):
            if inner >> branch & 1:
                if offset < 64:
                    self.fill(children, high | <uint64_t>branch << (58 - offset), low, offset + STRIDE, begins[branch])
                else:
                    self.fill(children, high, low | <uint64_t>branch << (122 - offset), offset + STRIDE, begins[branch])
                children += 1
        return 0


cdef void close_trie(trie_t *trie) noexcept:
    free(trie.top)
    free(trie.nodes)
    free(trie.classes)


cdef class Classifier:
    """A compiled policy, from the arrays that fastpath.control.policy.compile makes (there it says what is in them). Raises
    MemoryError."""

    def __cinit__(self):
        memset(&self.policy, 0, sizeof(policy_t))

    def __init__(self, arrays):
        cdef policy_t *policy = &self.policy
        if policy.plain != NULL:
            raise RuntimeError("a Classifier is built once")
        self.kept = []
        self.build_trie(&policy.v4, arrays["v4"])
        self.build_trie(&policy.v6, arrays["v6"])
        self.build_pairs(&policy.members, arrays["members"])
        self.build_pairs(&policy.pairs, arrays["pairs"])
        self.build_pairs(&policy.patterns, arrays["patterns"])
        policy.plain = <uint32_t *>self.hold(arrays["plain"], "u4")
        policy.encapsulated = arrays["encapsulated"]
        policy.vlan_class = <uint16_t *>self.hold(arrays["vlan_class"], "u2")
        policy.tunnel_starts = <uint64_t *>self.hold(arrays["tunnel_starts"], "u8")
        policy.tunnel_class = <uint16_t *>self.hold(arrays["tunnel_class"], "u2")
        policy.tunnel_count = len(arrays["tunnel_starts"])
        policy.tunnel_classes = arrays["tunnel_classes"]
        policy.encapsulation = <uint16_t *>self.hold(arrays["encapsulation"], "u2")
        policy.qfi_class = <uint16_t *>self.hold(arrays["qfi_class"], "u2")
        policy.qfi_classes = arrays["qfi_classes"]
        policy.queue_pairs_apart, policy.tunnels_bound = arrays["queue_pairs_apart"], arrays["tunnels_bound"]
        policy.source_roles = <uint32_t *>self.hold(arrays["source_roles"], "u4")
        policy.target_roles = <uint32_t *>self.hold(arrays["target_roles"], "u4")
        policy.roles = <uint32_t *>self.hold(arrays["roles"], "u4")
        policy.tables = <uint32_t *>self.hold(arrays["tables"], "u4")
        policy.starts = <uint32_t *>self.hold(arrays["starts"], "u4")
        policy.lists = <uint32_t *>self.hold(arrays["lists"], "u4")
        policy.items = <uint32_t *>self.hold(arrays["items"], "u4")
        policy.lines = <policy_line_t *>self.hold(arrays["lines"], LINE)
        policy.line_count = len(arrays["lines"])
        policy.line_names = <uint32_t *>self.hold(arrays["numbers"], "u4")
        policy.texts = <const uint8_t *>self.hold(arrays["texts"], "u1")
        policy.text_at = <uint32_t *>self.hold(arrays["text_at"], "u4")
        policy.zones = <zone_t *>self.hold(arrays["zones"], ZONE)
        policy.zone_count = len(arrays["zones"])
        policy.confined = int(np.bitwise_or.reduce(arrays["zones"]["data"])) if len(arrays["zones"]) else 0
        policy.services = arrays["services"]
        policy.endpoint_segments = <uint32_t *>self.hold(arrays["endpoint_segments"], "u4")
        policy.segment_lists = <uint32_t *>self.hold(arrays["segment_lists"], "u4")
        policy.pending_packets = arrays["pending_packets"]
        policy.pending_bytes = arrays["pending_bytes"]
        policy.judges_carriers = arrays["judges_carriers"]
        policy.conditional = bool(np.any(arrays["lines"]["apps"]))

    cdef void *hold(self, array, dtype) except? NULL:
        """Where a copy of an array lies that this object keeps; never NULL."""
        cdef const uint8_t[::1] view
        made = np.zeros(max(len(array), 1), dtype)
        made[:len(array)] = array
        self.kept.append(made)
        view = made.view("u1")
        return <void *>&view[0]

    cdef build_trie(self, trie_t *trie, boundaries):
        """boundaries: starts, (n, 2) words, ascending, the first one zero; and the class from each on."""
        starts, classes = boundaries
        cdef Builder builder = Builder()
        cdef const uint64_t[::1] high = np.ascontiguousarray(starts[:, 0], "u8")
        cdef const uint64_t[::1] low = np.ascontiguousarray(starts[:, 1], "u8")
        cdef const uint32_t[::1] numbers = np.ascontiguousarray(classes, "u4")
        cdef uint32_t top, node, at = 0
        trie.top = <uint32_t *>calloc(1 << TOP_BITS, sizeof(uint32_t))
        if trie.top == NULL:
            raise MemoryError("no memory for the addresses of a policy")
        builder.trie, builder.high, builder.low, builder.classes = trie, &high[0], &low[0], &numbers[0]
        builder.count = <uint32_t>len(numbers)
        for top in range(1 << TOP_BITS):
            while builder.splits(at, <uint64_t>top << (64 - TOP_BITS), 0):
                at += 1
            if builder.splits(at, <uint64_t>top << (64 - TOP_BITS) | ((1ULL << (64 - TOP_BITS)) - 1), ~0ULL):
                node = builder.take_nodes(1)
                builder.fill(node, <uint64_t>top << (64 - TOP_BITS), 0, TOP_BITS, at)
                trie.top[top] = TRIE_INNER | node
            else:
                trie.top[top] = numbers[at]

    cdef build_pairs(self, pairs_t *pairs, table):
        """table: keys and values. The same key may stand for several values: then the caller compares. At most half full."""
        keys, values = table
        cdef const uint64_t[::1] key = np.ascontiguousarray(keys, "u8")
        cdef const uint32_t[::1] value = np.ascontiguousarray(values, "u4")
        cdef uint64_t size = 2, at
        cdef Py_ssize_t i
        while size < 2 * <uint64_t>len(key):
            size *= 2
        pairs.slots = <pair_t *>malloc(size * sizeof(pair_t))
        if pairs.slots == NULL:
            raise MemoryError("no memory for the pairs of a policy")
        memset(pairs.slots, 0xff, size * sizeof(pair_t))
        pairs.mask = size - 1
        for i in range(len(key)):
            at = hash_pair(key[i]) & pairs.mask
            while pairs.slots[at].value != NO_LINE:
                at = (at + 1) & pairs.mask
            pairs.slots[at].key = key[i]
            pairs.slots[at].value = value[i]

    def __dealloc__(self):
        close_trie(&self.policy.v4)
        close_trie(&self.policy.v6)
        free(self.policy.members.slots)
        free(self.policy.pairs.slots)
        free(self.policy.patterns.slots)

    @property
    def lines(self):
        """How many there are."""
        return self.policy.line_count

    @property
    def memory(self):
        """Bytes that it takes."""
        cdef const policy_t *it = &self.policy
        return (sum(array.nbytes for array in self.kept) + 2 * (sizeof(uint32_t) << TOP_BITS)
                + (<size_t>it.v4.node_room + it.v6.node_room) * sizeof(trie_node_t)
                + (<size_t>it.v4.class_room + it.v6.class_room) * sizeof(uint32_t)
                + (it.members.mask + it.pairs.mask + it.patterns.mask + 3) * sizeof(pair_t))

    def decide(self, bytes source, bytes target, unsigned char protocol, unsigned short port, *, uint64_t second=0,
               unsigned char app=0, name=None, bint final=False, unsigned short vlan=0, unsigned char tunnel=0,
               uint32_t tunnel_id=0):
        """What a new flow is told: ("allowed", "denied" or "pending", line or None). Addresses are 4 or 16 bytes, tunnel is an
        enum tunnel; name: the server name as bytes, b"" for none, None while it is not known."""
        cdef flow_key_t key
        cdef packet_meta_t meta
        cdef asked_t asked
        cdef told_t told
        cdef uint16_t encapsulation
        cdef uint32_t i
        cdef bytes text = name or b""
        memset(&key, 0, sizeof(key))
        memset(&meta, 0, sizeof(meta))
        memset(&asked, 0, sizeof(asked))
        if len(source) != len(target) or len(source) not in (4, 16):
            raise ValueError("addresses are both 4 or both 16 bytes")
        for i in range(<uint32_t>len(source)):
            key.addr[0][i] = source[i]
            key.addr[1][i] = target[i]
        key.net = 4 if len(source) == 4 else 6
        key.proto = protocol
        key.port[1] = port
        key.vlan[0] = vlan
        meta.tunnel = tunnel
        meta.tunnel_id = tunnel_id
        encapsulation = find_encapsulation(&self.policy, &meta, &key)
        asked.source = find_endpoint(&self.policy, &key, 0, encapsulation)
        asked.target = find_endpoint(&self.policy, &key, 1, encapsulation)
        asked.service = service_of(&key, 1)
        asked.second = <uint32_t>second
        asked.app = app
        asked.is_final = final
        asked.is_named = name is not None
        asked.name = text
        asked.name_length = <uint32_t>len(text)
        decide(&self.policy, &asked, &told)
        return ("none", "allowed", "denied", "pending")[told.state], None if told.line == NO_LINE else told.line

    def decide_keys(self, keys, uint64_t second=0):
        """What new flows are told whose application is not known: states (u1: 1 allowed, 2 denied, 3 pending) and lines (u4,
        NO_LINE for the default). keys: an array of rows.FLOW_KEY; endpoint 0 is the source."""
        cdef const uint8_t[::1] view = np.ascontiguousarray(keys).view("u1")
        cdef Py_ssize_t i, n = view.shape[0] // <Py_ssize_t>sizeof(flow_key_t)
        states, lines = np.zeros(n, "u1"), np.zeros(n, "u4")
        cdef uint8_t[::1] state = states
        cdef uint32_t[::1] line = lines
        cdef const flow_key_t *key = <const flow_key_t *>&view[0] if n else NULL
        cdef packet_meta_t meta
        cdef asked_t asked
        cdef told_t told
        cdef uint16_t encapsulation
        memset(&meta, 0, sizeof(meta))
        memset(&asked, 0, sizeof(asked))
        asked.second = <uint32_t>second
        with nogil:
            for i in range(n):
                encapsulation = find_encapsulation(&self.policy, &meta, &key[i])
                asked.source = find_endpoint(&self.policy, &key[i], 0, encapsulation)
                asked.target = find_endpoint(&self.policy, &key[i], 1, encapsulation)
                asked.service = service_of(&key[i], 1)
                decide(&self.policy, &asked, &told)
                state[i] = told.state
                line[i] = told.line
        return states, lines

    def classes(self, bytes source, unsigned short vlan=0, unsigned char tunnel=0, uint32_t tunnel_id=0):
        """The class of an endpoint: what rows of denials bear."""
        cdef flow_key_t key
        cdef packet_meta_t meta
        cdef uint32_t i
        memset(&key, 0, sizeof(key))
        memset(&meta, 0, sizeof(meta))
        for i in range(<uint32_t>min(len(source), 16)):
            key.addr[0][i] = source[i]
        key.net = 4 if len(source) == 4 else 6
        key.vlan[0] = vlan
        meta.tunnel, meta.tunnel_id = tunnel, tunnel_id
        return find_endpoint(&self.policy, &key, 0, find_encapsulation(&self.policy, &meta, &key))


#: policy_line_t and zone_t.
LINE = np.dtype([("apps", "u8"), ("until", "u4"), ("names", "u4"), ("name_count", "u4"), ("denies", "u4")])
ZONE = np.dtype([(name, "u4") for name in ("data", "sources", "source_count", "targets", "target_count", "line")])
COUNT = np.dtype([("packets", "u8"), ("bytes", "u8"), ("flows", "u8"), ("denied", "u8")])

if LINE.itemsize != sizeof(policy_line_t) or ZONE.itemsize != sizeof(zone_t) or COUNT.itemsize != sizeof(policy_count_t):
    raise AssertionError("the dtypes of a policy are not those of its structs")
