# The walk over the headers of one entry: where it stands, how far it may read, which header comes next.
# Every header file has `walk_<header>(walk_t *)`: one length check, its events, then the next step.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.events cimport EVENT_CAPTURE_HEADER_CUT, EVENT_TOO_MANY_LAYERS
from fastpath.dataplane.types cimport (
    NET_IPV4, NO_INDEX, PM_INVALID, PM_KEYED, PM_L4_CHECKSUM, PM_REVERSED, TUNNEL_4IN6, TUNNEL_6IN4, TUNNEL_6IN6, TUNNEL_IPIP,
    TUNNEL_TEREDO, burst_t, flow_key_t, note_event, packet_meta_t,
)
from fastpath.dataplane.wire.checksum cimport checksum_wrong, pseudo_ipv4, pseudo_ipv6
from fastpath.dataplane.wire.load cimport be32, be64, put64, raw32, raw64

cdef enum:
    PORTS_MAX = 16              # UDP ports that open a tunnel or RoCE

cdef enum:                      # what a UDP port of decode_config_t opens; beside the TUNNEL_* kinds
    PORT_ROCE = 32

ctypedef struct port_t:
    uint16_t port
    uint8_t kind                # TUNNEL_TEREDO, _VXLAN, _GENEVE, _GTPU or PORT_ROCE

# What the straight path of decode has to know of an IP protocol, as masks and lengths: it takes TCP and UDP alike, without a
# branch.
ctypedef struct straight_t:
    uint32_t udp                # all ones: the header says the length again
    uint32_t other              # neither TCP nor UDP
    uint16_t usual              # length of the header without options
    uint8_t offset              # mask of TCP's data offset
    uint8_t fixed               # the length of a header that has but one
    uint8_t flags               # mask of TCP's flags

ctypedef struct decode_config_t:
    bint checksums              # verify them; a wrong one sets PM_L3_CHECKSUM or PM_L4_CHECKSUM
    bint compat                 # decode only what Suricata 7 decodes, and as it does
    bint vlan_tracking          # VLAN identifiers are part of the flow key
    bint vni_in_key             # the 24 bits of VXLAN, GENEVE and NVGRE are part of the key of inner flows
    bint erspan_type1           # take GRE ERSPAN without a sequence number as type I
    uint32_t max_depth          # tunnels inside a wire packet that are opened, at most DEPTH_MAX
    uint32_t max_layers         # headers of a wire packet, as decoder.max-layers of a suricata.yaml
    uint32_t ports_used
    port_t ports[16]
    straight_t straight[256]    # by IP protocol
    uint8_t port_hint[256]      # 1 where a port with this low byte is in `ports`

cdef enum:                      # link types of inner entries that LINKTYPE_* has no number for
    LINK_VLAN = 0xff01          # begins with the VLAN tag
    LINK_MPLS = 0xff02

cdef enum:
    LINKTYPE_NULL = 0
    LINKTYPE_ETHERNET = 1
    LINKTYPE_PPP = 9
    LINKTYPE_DLT_RAW = 12       # what BSD systems write for raw IP
    LINKTYPE_DLT_RAW_OPENBSD = 14
    LINKTYPE_PPP_HDLC = 50
    LINKTYPE_PPP_ETHER = 51
    LINKTYPE_RAW = 101
    LINKTYPE_C_HDLC = 104
    LINKTYPE_LOOP = 108
    LINKTYPE_LINUX_SLL = 113
    LINKTYPE_IPV4 = 228
    LINKTYPE_IPV6 = 229
    LINKTYPE_LINUX_SLL2 = 276

cdef enum:
    NO_EVENT = 0xffff           # where an event may stand and none is due

cdef enum:                      # walk_t.step
    STEP_DONE
    STEP_ETHERNET
    STEP_TYPE                   # what walk_t.ethertype names
    STEP_LLC
    STEP_VLAN
    STEP_MPLS
    STEP_8021AH
    STEP_VNTAG
    STEP_ETAG
    STEP_DCE
    STEP_NSH
    STEP_NULL
    STEP_RAW
    STEP_SLL
    STEP_SLL2
    STEP_CHDLC
    STEP_PPP
    STEP_PPPOE_DISCOVERY
    STEP_PPPOE_SESSION
    STEP_ARP
    STEP_IPV4
    STEP_IPV6
    STEP_TRANSPORT              # what packet_meta_t.proto names

ctypedef struct tunnel_t:       # what a tunnel header says of the packet inside
    uint32_t inner              # its offset from the tunnel header
    uint32_t id                 # VNI, TEID, key, session
    uint16_t linktype
    uint8_t kind                # TUNNEL_*
    uint8_t qfi
    bint short                  # the header reaches beyond the bytes that there are

ctypedef struct walk_t:
    const decode_config_t *config
    burst_t *burst
    packet_meta_t *meta
    flow_key_t *key
    const uint8_t *frame
    const uint8_t *source       # IP addresses, where meta.net says so
    const uint8_t *destination
    uint32_t entry
    uint32_t step
    uint32_t at                 # offset of the header to read next
    uint32_t end                # offset behind the last byte that may be read
    uint32_t layers             # headers of this entry
    uint32_t before             # those of the entries around it
    uint32_t vlans
    uint16_t ethertype
    uint16_t unknown_type       # the event if ethertype is unknown
    bint cut                    # what would follow `end` is missing because the capture cut it
    bint failed                 # a header could not be read
    bint decoded                # the first IP header could be, whatever comes of the rest


cdef inline void note(walk_t *walk, uint16_t event) noexcept nogil:
    """Odd, but decoding goes on. An entry has an event once, however often it gives rise to it."""
    cdef uint16_t at = walk.meta.events
    while at != NO_INDEX:
        if walk.burst.notes[at].code == event:
            return
        at = walk.burst.notes[at].next
    note_event(walk.burst, walk.entry, event)


cdef inline void malformed(walk_t *walk, uint16_t event) noexcept nogil:
    """Decoding ends here: a header says what cannot be."""
    note(walk, event)
    walk.meta.flags |= PM_INVALID
    walk.failed = True
    walk.step = STEP_DONE


cdef inline void too_short(walk_t *walk, uint16_t event) noexcept nogil:
    """Decoding ends here: bytes are missing. If it was the capture that cut them, the packet is not to blame."""
    if walk.cut:
        note(walk, event if walk.config.compat else <uint16_t>EVENT_CAPTURE_HEADER_CUT)
    else:
        note(walk, event)
        walk.meta.flags |= PM_INVALID
    walk.failed = True
    walk.step = STEP_DONE


cdef inline void to_type(walk_t *walk, uint16_t ethertype, uint16_t unknown_type) noexcept nogil:
    walk.ethertype = ethertype
    walk.unknown_type = unknown_type
    walk.step = STEP_TYPE


cdef inline void set_payload(walk_t *walk, uint32_t at, uint32_t end) noexcept nogil:
    walk.meta.payload = <uint16_t>at
    walk.meta.payload_len = <uint16_t>(end - at if end - at < 0xffff else 0xffff)


cdef inline void carry(walk_t *walk, uint8_t kind, uint32_t at) noexcept nogil:
    """A tunnel: its header (or, for IP in IP, the inner packet) is at `at`, for decap to open."""
    cdef uint32_t layers = walk.before + walk.layers + 1
    if kind not in (TUNNEL_IPIP, TUNNEL_6IN4, TUNNEL_4IN6, TUNNEL_6IN6, TUNNEL_TEREDO):
        layers += 1             # a header of its own
    if walk.meta.depth >= walk.config.max_depth or layers >= walk.config.max_layers:
        note(walk, EVENT_TOO_MANY_LAYERS)
        return
    walk.meta.hash = layers     # until steer writes it: decap hands it on
    walk.meta.carries = kind
    walk.meta.inner = <uint16_t>at


cdef inline void tag_vlan(walk_t *walk, uint16_t identifier) noexcept nogil:
    """The caller has checked that there is room."""
    if walk.config.vlan_tracking:
        walk.key.vlan[walk.vlans] = identifier
    walk.vlans += 1


cdef inline void set_key(walk_t *walk, uint8_t net, uint8_t proto, const uint8_t *source, const uint8_t *destination,
                         uint16_t source_port, uint16_t destination_port) noexcept nogil:
    """The normalised flow key: the lower (address, port) first. VLANs, tunnel and VNI have been written before.

    Which end is the lower one is a coin toss: chosen by masks, not by branches, and stored in whole words."""
    cdef flow_key_t *key = walk.key
    cdef uint64_t source_high, source_low = 0, destination_high, destination_low = 0, mask, high, low
    cdef bint reversed
    if net == NET_IPV4:
        source_high = raw32(source)
        destination_high = raw32(destination)
        reversed = (<uint64_t>be32(source) << 16 | source_port) > (<uint64_t>be32(destination) << 16 | destination_port)
    else:
        source_high = raw64(source)
        source_low = raw64(source + 8)
        destination_high = raw64(destination)
        destination_low = raw64(destination + 8)
        reversed = ends_reversed(be64(source), be64(source + 8), source_port,
                                 be64(destination), be64(destination + 8), destination_port)
    mask = 0 - <uint64_t>reversed
    high = (source_high ^ destination_high) & mask
    low = (source_low ^ destination_low) & mask
    put64(&key.addr[0][0], source_high ^ high)
    put64(&key.addr[0][8], source_low ^ low)
    put64(&key.addr[1][0], destination_high ^ high)
    put64(&key.addr[1][8], destination_low ^ low)
    mask &= source_port ^ destination_port
    put64(&key.port, (source_port ^ mask) | (destination_port ^ mask) << 16
          | <uint64_t>key.vlan[0] << 32 | <uint64_t>key.vlan[1] << 48)
    put64(&key.vlan[2], key.vlan[2] | <uint64_t>proto << 16 | <uint64_t>key.tunnel << 24 | <uint64_t>net << 32
          | <uint64_t>key.vni[0] << 40 | <uint64_t>key.vni[1] << 48 | <uint64_t>key.vni[2] << 56)
    walk.meta.flags |= PM_KEYED | (reversed * PM_REVERSED)


cdef inline bint ends_reversed(uint64_t source_high, uint64_t source_low, uint16_t source_port,
                               uint64_t destination_high, uint64_t destination_low, uint16_t destination_port) noexcept nogil:
    """Whether the source is the higher end, by address and then port."""
    cdef bint low = (source_low > destination_low) | ((source_low == destination_low) & (source_port > destination_port))
    return (source_high > destination_high) | ((source_high == destination_high) & low)


cdef inline void verify_transport(walk_t *walk, const uint8_t *at, uint32_t length, uint8_t proto) noexcept nogil:
    """The checksum of TCP, UDP and ICMPv6, over `length` bytes as the headers say. Of a cut packet nothing can be said."""
    cdef uint64_t pseudo
    if not walk.config.checksums or walk.cut or length > walk.end - walk.at:
        return
    if walk.meta.net == NET_IPV4:
        pseudo = pseudo_ipv4(walk.source, proto, length)
    else:
        pseudo = pseudo_ipv6(walk.source, walk.destination, proto, length)
    if checksum_wrong(pseudo, at, length):
        walk.meta.flags |= PM_L4_CHECKSUM
