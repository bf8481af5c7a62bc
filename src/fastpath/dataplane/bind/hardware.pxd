# Hardware that is not what it was: an address with another MAC, an LLDP neighbour or a DHCP fingerprint that is another. What a
# manifest says is fixed; else what was seen first holds, of ARP, LLDP and DHCP. Values are compared by a hash of 64 bits
# (control/hardware.py makes the same ones).
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_u8
from fastpath.dataplane.bind.table cimport (
    BINDING_ADDRESS, BINDING_DHCP, BINDING_NAME, BINDING_NEIGHBOUR, add_binding, bind_key_t, binding_row_t, binding_rows_t,
    find_bound, table_t,
)
from fastpath.dataplane.events cimport (
    EVENT_HARDWARE_ADDRESS_MOVED, EVENT_HARDWARE_DHCP_CHANGED, EVENT_HARDWARE_NEIGHBOUR_CHANGED,
)
from fastpath.dataplane.types cimport (
    NET_ARP, NET_IPV4, NET_NONE, NO_INDEX, PM_KEYED, PM_QUOTED, PM_REVERSED, burst_t, flow_key_t, note_event, packet_meta_t,
)
from fastpath.dataplane.wire.load cimport be16, be32

cdef enum:
    KNOWN = 1 << 16
    ETHERNET = 1
    ETHERNET_HEAD = 14
    ETHERTYPE_LLDP = 0x88cc, ETHERTYPE_VLAN = 0x8100
    DHCP_SERVER = 67
    DHCP_OPTIONS_AT = 240, DHCP_MAC_AT = 28, DHCP_COOKIE_AT = 236
    DHCP_COOKIE = 0x63825363
    DHCP_PARAMETERS = 55, DHCP_VENDOR = 60, DHCP_END = 255

cdef extern from *:
    """
    #define FNV_BASIS 0xcbf29ce484222325ULL
    #define FNV_PRIME 0x100000001b3ULL
    """
    const uint64_t FNV_BASIS
    const uint64_t FNV_PRIME

cdef enum known_kind:           # bind_key_t.kind, as control/hardware.py numbers them
    KNOWN_NONE
    KNOWN_ADDRESS               # key: an address; value: its MAC
    KNOWN_NEIGHBOUR             # key: the MAC that announces itself; value: chassis, port, system name
    KNOWN_DHCP                  # key: a MAC; value: the list of parameters asked for, the vendor class

cdef struct known_t:
    bind_key_t key
    uint64_t value
    uint64_t told               # another value, of which a row has been written
    uint8_t fixed               # the manifest says so

cdef struct hardware_t:
    table_t known
    bint on
    bint neighbours_listed      # the manifest names neighbours: others are strangers


cdef inline uint64_t add_hash(uint64_t value, const uint8_t *data, uint32_t length) noexcept nogil:
    """FNV-1a"""
    cdef uint32_t i
    for i in range(length):
        value = (value ^ data[i]) * FNV_PRIME
    return value


cdef inline uint64_t mac_at(const uint8_t *at) noexcept nogil:
    return <uint64_t>be16(at) << 32 | be32(at + 2)


cdef inline bint differs(hardware_t *hardware, const bind_key_t *key, uint64_t value, bint learn, bint strangers,
                         uint64_t *expected, bint *is_new) noexcept nogil:
    """Is it another value than is known? expected: the known one, 0 for a stranger; is_new: it has not been told of."""
    cdef known_t *known = <known_t *>find_bound(&hardware.known, key, learn)
    is_new[0] = False
    if known == NULL:
        return False
    if known.value == 0:
        if strangers and not known.fixed:
            is_new[0] = known.told != value
            known.told = value
            expected[0] = 0
            return True
        known.value = value
        return False
    if known.value == value:
        return False
    expected[0] = known.value
    is_new[0] = known.told != value
    known.told = value
    return True


cdef inline void tell_hardware(binding_rows_t *rows, uint8_t kind, uint64_t mac, uint64_t expected, uint8_t net,
                               const uint8_t *address, const uint8_t *name, uint32_t name_length) noexcept nogil:
    cdef binding_row_t *row = add_binding(rows, kind)
    if row == NULL:
        return
    row.id = mac
    row.expected = expected
    row.net = net
    if address != NULL:
        memcpy(row.address, address, 4 if net == NET_IPV4 else 16)
    if name != NULL:
        row.name_length = <uint8_t>min(name_length, <uint32_t>BINDING_NAME)
        memcpy(row.name, name, row.name_length)


cdef inline void check_address(hardware_t *hardware, binding_rows_t *rows, burst_t *burst, uint32_t entry, uint8_t net,
                               const uint8_t *address, uint64_t mac, bint learn) noexcept nogil:
    cdef bind_key_t key
    cdef uint64_t expected = 0
    cdef bint is_new
    memset(&key, 0, sizeof(key))
    memcpy(key.address, address, 4 if net == NET_IPV4 else 16)
    key.kind = KNOWN_ADDRESS
    key.id = net
    if differs(hardware, &key, mac, learn, False, &expected, &is_new):
        note_event(burst, entry, EVENT_HARDWARE_ADDRESS_MOVED)
        if is_new:
            tell_hardware(rows, BINDING_ADDRESS, mac, expected, net, address, NULL, 0)


cdef inline void check_lldp(hardware_t *hardware, binding_rows_t *rows, burst_t *burst, uint32_t entry, const uint8_t *data,
                            uint32_t length, uint64_t mac) noexcept nogil:
    """IEEE 802.1AB, section 8.4: chassis and port are identifiers behind a byte that says of what kind."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint32_t head, kind, size, name_length = 0
    cdef const uint8_t *value
    cdef const uint8_t *name = NULL
    cdef uint64_t hashed = FNV_BASIS, expected = 0
    cdef uint8_t zero = 0
    cdef bind_key_t key
    cdef bint is_new
    while cursor_left(&cursor) >= 2:
        head = read_be16(&cursor)
        kind = head >> 9
        size = head & 511
        value = read_bytes(&cursor, size)
        if kind == 0 or value == NULL:
            break
        if (kind == 1 or kind == 2) and size > 1:
            hashed = add_hash(add_hash(hashed, value + 1, size - 1), &zero, 1)
        elif kind == 3 and size == 2 and be16(value) == 0:
            return              # section 8.5.4: it goes, and says no more than its chassis and port
        elif kind == 5:
            hashed = add_hash(hashed, value, size)
            name = value
            name_length = size
    if cursor.failed or hashed == FNV_BASIS:
        return
    memset(&key, 0, sizeof(key))
    key.kind = KNOWN_NEIGHBOUR
    key.id = mac
    if differs(hardware, &key, hashed | 1, True, hardware.neighbours_listed, &expected, &is_new):
        note_event(burst, entry, EVENT_HARDWARE_NEIGHBOUR_CHANGED)
        if is_new:
            tell_hardware(rows, BINDING_NEIGHBOUR, mac, expected, NET_NONE, NULL, name, name_length)


cdef inline void check_dhcp(hardware_t *hardware, binding_rows_t *rows, burst_t *burst, uint32_t entry, const uint8_t *data,
                            uint32_t length) noexcept nogil:
    """A client's message (RFC 2131): what it asks for (option 55), and what it says it is (option 60)."""
    cdef cursor_t cursor
    cdef const uint8_t *value
    cdef const uint8_t *parameters = NULL
    cdef const uint8_t *vendor = NULL
    cdef uint32_t kind, size, parameters_length = 0, vendor_length = 0
    cdef uint64_t hashed, expected = 0
    cdef uint8_t zero = 0
    cdef bind_key_t key
    cdef bint is_new
    if length < DHCP_OPTIONS_AT or be32(data + DHCP_COOKIE_AT) != DHCP_COOKIE:
        return
    if data[0] != 1 or data[1] != ETHERNET or data[2] != 6:
        return
    cursor = cursor_over(data + DHCP_OPTIONS_AT, length - DHCP_OPTIONS_AT)
    while cursor_left(&cursor):
        kind = read_u8(&cursor)
        if kind == DHCP_END:
            break
        if kind == 0:
            continue
        size = read_u8(&cursor)
        value = read_bytes(&cursor, size)
        if value == NULL:
            return
        if kind == DHCP_PARAMETERS:
            parameters, parameters_length = value, size
        elif kind == DHCP_VENDOR:
            vendor, vendor_length = value, size
    if parameters == NULL:
        return
    hashed = add_hash(add_hash(FNV_BASIS, parameters, parameters_length), &zero, 1)
    if vendor != NULL:
        hashed = add_hash(hashed, vendor, vendor_length)
    memset(&key, 0, sizeof(key))
    key.kind = KNOWN_DHCP
    key.id = mac_at(data + DHCP_MAC_AT)
    if differs(hardware, &key, hashed | 1, True, False, &expected, &is_new):
        note_event(burst, entry, EVENT_HARDWARE_DHCP_CHANGED)
        if is_new:
            tell_hardware(rows, BINDING_DHCP, key.id, expected, NET_NONE, NULL, vendor, vendor_length)


cdef inline void check_hardware(hardware_t *hardware, binding_rows_t *rows, burst_t *burst, uint32_t entry) noexcept nogil:
    """A wire packet with an Ethernet header."""
    cdef const packet_meta_t *meta = &burst.meta[entry]
    cdef const flow_key_t *key = &burst.key[entry]
    cdef const uint8_t *frame = meta.frame
    cdef uint32_t source = 1 if meta.flags & PM_REVERSED else 0
    cdef uint32_t at = ETHERNET_HEAD
    cdef uint16_t ethertype
    if meta.linktype != ETHERNET or meta.depth or meta.caplen < ETHERNET_HEAD:
        return
    if meta.net == NET_ARP and meta.l3 != NO_INDEX and <uint32_t>meta.l3 + 28 <= meta.caplen:
        frame += meta.l3
        if be16(frame + 2) == 0x0800 and frame[4] == 6 and frame[5] == 4 and be32(frame + 14):
            check_address(hardware, rows, burst, entry, NET_IPV4, frame + 14, mac_at(frame + 8), True)
        return
    if meta.net == NET_NONE:
        ethertype = be16(frame + 12)
        if ethertype == ETHERTYPE_VLAN and meta.caplen >= ETHERNET_HEAD + 4:
            ethertype = be16(frame + 16)
            at += 4
        if ethertype == ETHERTYPE_LLDP:
            check_lldp(hardware, rows, burst, entry, frame + at, meta.caplen - at, mac_at(frame + 6))
        return
    if not meta.flags & PM_KEYED or meta.flags & PM_QUOTED:
        return
    check_address(hardware, rows, burst, entry, meta.net, key.addr[source], mac_at(frame + 6), False)
    if meta.proto == 17 and key.port[1 - source] == DHCP_SERVER and meta.payload_len:
        check_dhcp(hardware, rows, burst, entry, frame + meta.payload, meta.payload_len)
