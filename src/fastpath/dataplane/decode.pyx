"""decode: from bytes to metadata and flow keys.

A straight path takes what nearly every packet is; the walk over headers (wire/) takes the rest, header by header.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath.dataplane.events cimport *
from fastpath.dataplane.types cimport *
from fastpath.dataplane.wire.ah cimport PROTO_AH, walk_ah
from fastpath.dataplane.wire.arp cimport walk_arp
from fastpath.dataplane.wire.ethernet cimport *
from fastpath.dataplane.wire.esp cimport PROTO_ESP, walk_esp
from fastpath.dataplane.wire.gre cimport PROTO_GRE
from fastpath.dataplane.wire.icmp cimport PROTO_ICMP, walk_icmp
from fastpath.dataplane.wire.icmpv6 cimport PROTO_ICMPV6, walk_icmpv6
from fastpath.dataplane.wire.igmp cimport PROTO_IGMP, walk_igmp
from fastpath.dataplane.wire.ipv4 cimport (
    IPV4_LEN, IPV4_PROTO_AT, IPV4_TOTAL_AT, walk_ipv4,
)
from fastpath.dataplane.wire.ipv6 cimport IPV6_LEN, walk_ipv6
from fastpath.dataplane.wire.llc_snap cimport walk_llc
from fastpath.dataplane.wire.checksum cimport checksum_wrong, pseudo_ipv4
from fastpath.dataplane.wire.load cimport (
    __builtin_bswap16, __builtin_bswap64, be16, be32, put32, put64, rarely, raw16, raw64, rotate32, rotate64,
)
from fastpath.dataplane.wire.mpls cimport walk_mpls
from fastpath.dataplane.wire.nsh cimport walk_nsh
from fastpath.dataplane.wire.null cimport walk_null, walk_raw
from fastpath.dataplane.wire.ppp cimport walk_ppp
from fastpath.dataplane.wire.pppoe cimport walk_pppoe_discovery, walk_pppoe_session
from fastpath.dataplane.wire.roce cimport bth_checked
from fastpath.dataplane.wire.sctp cimport PROTO_SCTP, walk_sctp
from fastpath.dataplane.wire.sll cimport walk_chdlc, walk_sll, walk_sll2
from fastpath.dataplane.wire.tcp cimport (
    PROTO_TCP, TCP_FLAGS_AT, TCP_LEN, TCP_OFFSET_AT, TCP_TIMESTAMP_LEN, tcp_only_timestamp, walk_tcp,
)
from fastpath.dataplane.wire.tunnel cimport read_gre_tunnel
from fastpath.dataplane.wire.udp cimport PROTO_UDP, UDP_LEN, UDP_LENGTH_AT, walk_udp
from fastpath.dataplane.wire.vlan cimport walk_etag, walk_vlan, walk_vntag
from fastpath.dataplane.wire.walk cimport *

cdef enum:
    STRAIGHT_LEAST = 48         # bytes up to the flags of TCP
    TIMESTAMP_LEAST = 58        # and up to the length of its first option behind two of padding
    COMPAT_FRAME_MAX = 65604
    STRAIGHT_MASK = 0xff3f0000000000ff      # of the first eight bytes of an IPv4 header, as the machine orders them: version and
    STRAIGHT_IPV4 = 0x45                    # length of the header; no further fragments, no offset
    OFFSET_MAX = 0xff00         # headers begin before this, so that every offset fits packet_meta_t
    PROTO_IPV4 = 4
    PROTO_IPV6 = 41

EVENT_NAMES = tuple([(<bytes>event_text(code)).decode("ascii") for code in range(EVENT_MAX)])    # index = event code


cdef void decode_defaults(decode_config_t *config) noexcept nogil:
    cdef uint32_t proto
    memset(config, 0, sizeof(decode_config_t))
    config.checksums = True
    config.vlan_tracking = True
    config.erspan_type1 = True
    config.max_depth = DEPTH_MAX
    config.max_layers = 16
    open_port(config, 3544, TUNNEL_TEREDO)
    open_port(config, 4789, TUNNEL_VXLAN)
    open_port(config, 6081, TUNNEL_GENEVE)
    open_port(config, 2152, TUNNEL_GTPU)
    open_port(config, 4791, PORT_ROCE)
    for proto in range(256):
        config.straight[proto].other = 1
    config.straight[PROTO_TCP] = straight_t(0, 0, TCP_LEN, 0x3c, 0, 0xff)
    config.straight[PROTO_UDP] = straight_t(0xffffffff, 0, UDP_LEN, 0, UDP_LEN, 0)


cdef void open_port(decode_config_t *config, uint16_t port, uint8_t kind) noexcept nogil:
    """The caller has checked that there is room."""
    config.ports[config.ports_used].port = port
    config.ports[config.ports_used].kind = kind
    config.ports_used += 1
    config.port_hint[port & 0xff] = 1


cdef int decode_settings(decode_config_t *config, dict settings) except -1:
    cdef port_t kept[PORTS_MAX]
    cdef uint32_t used, i
    kinds = {"teredo": TUNNEL_TEREDO, "vxlan": TUNNEL_VXLAN, "geneve": TUNNEL_GENEVE, "gtpu": TUNNEL_GTPU, "roce": PORT_ROCE}
    for name, value in settings.items():
        if name == "checksums":
            config.checksums = bool(value)
        elif name == "compat":
            config.compat = bool(value)
        elif name == "vlan_tracking":
            config.vlan_tracking = bool(value)
        elif name == "vni_in_key":
            config.vni_in_key = bool(value)
        elif name == "erspan_type1":
            config.erspan_type1 = bool(value)
        elif name == "max_depth":
            if not 0 <= value <= DEPTH_MAX:
                raise ValueError(f"max_depth: 0 to {DEPTH_MAX}, not {value}")
            config.max_depth = value
        elif name == "max_layers":
            if not 1 <= value <= 255:
                raise ValueError(f"max_layers: 1 to 255, not {value}")
            config.max_layers = value
        elif name in kinds:
            used = 0
            for i in range(config.ports_used):
                if config.ports[i].kind != kinds[name]:
                    kept[used] = config.ports[i]
                    used += 1
            if used + len(value) > PORTS_MAX:
                raise ValueError(f"{name}: at most {PORTS_MAX} tunnel ports in all")
            config.ports_used = 0
            memset(config.port_hint, 0, sizeof(config.port_hint))
            for i in range(used):
                open_port(config, kept[i].port, kept[i].kind)
            for port in value:
                if not 0 < port < 65536:
                    raise ValueError(f"{name}: {port} is no UDP port")
                open_port(config, port, kinds[name])
        else:
            raise ValueError(f"decode has no setting {name!r}")
    return 0


cdef uint32_t decode_burst(const decode_config_t *config, burst_t *burst, uint32_t first, uint32_t count) noexcept nogil:
    cdef uint32_t entry, flags = 0
    if first >= burst.packets:
        for entry in range(first, first + count):
            decode_entry(config, burst, entry)
            flags |= burst.meta[entry].flags
        return flags | <uint32_t>WALKED
    if config.checksums:
        return decode_packets(config, burst, first, first + count, True)
    return decode_packets(config, burst, first, first + count, False)


cdef inline uint32_t decode_packets(const decode_config_t *config, burst_t *burst, uint32_t first, uint32_t end,
                                    bint checksums) noexcept nogil:
    cdef uint32_t entry, flags = 0
    for entry in range(first, end):
        if not decode_straight(config, &burst.meta[entry], &burst.key[entry], checksums):
            decode_entry(config, burst, entry)
            flags |= burst.meta[entry].flags | <uint32_t>WALKED
    return flags


cdef uint8_t port_kind(const decode_config_t *config, uint16_t source, uint16_t destination) noexcept nogil:
    """What the ports promise: a tunnel, RoCE, or TUNNEL_NONE."""
    cdef uint32_t i
    for i in range(config.ports_used):
        if source == config.ports[i].port or destination == config.ports[i].port:
            return config.ports[i].kind
    return TUNNEL_NONE


cdef inline bint decode_straight(const decode_config_t *config, packet_meta_t *meta, flow_key_t *key,
                                 bint checksums) noexcept nogil:
    """A wire packet: Ethernet II, IPv4 without options, no fragment, TCP or UDP that is no tunnel. False: not that, or not
    sound."""
    cdef const uint8_t *frame = meta.frame
    cdef const uint8_t *l4 = frame + ETHERNET_LEN + IPV4_LEN
    cdef const straight_t *kind
    cdef uint32_t total, header, length, flags, ports, reversed
    cdef uint64_t wrong, addresses, source_first
    cdef uint8_t proto, opened
    if rarely(meta.caplen < STRAIGHT_LEAST or meta.linktype != LINKTYPE_ETHERNET):
        return False
    # TCP or UDP, a timestamp or none: no branch foretells that, so all is read and what does not count is masked
    total = be16(frame + ETHERNET_LEN + IPV4_TOTAL_AT)
    proto = frame[ETHERNET_LEN + IPV4_PROTO_AT]
    kind = &config.straight[proto]
    header = l4[TCP_OFFSET_AT] >> 2 & kind.offset | kind.fixed
    length = total - IPV4_LEN - header
    # a product is zero where one of two is: the usual length, or that with a timestamp
    wrong = <uint64_t>(header ^ kind.usual) * (header ^ (TCP_LEN + TCP_TIMESTAMP_LEN) | tcp_only_timestamp(
        l4 + TCP_LEN if meta.caplen >= TIMESTAMP_LEAST else l4) ^ 1)
    wrong |= (be16(l4 + UDP_LENGTH_AT) + IPV4_LEN ^ total) & kind.udp | kind.other
    wrong |= raw16(frame + ETHERNET_TYPE_AT) ^ __builtin_bswap16(TYPE_IPV4)
    wrong |= raw64(frame + ETHERNET_LEN) & STRAIGHT_MASK ^ STRAIGHT_IPV4
    wrong |= (meta.caplen - ETHERNET_LEN - total | length) >> 31
    if rarely(wrong != 0):
        return False
    flags = PM_KEYED | meta.flags
    ports = be32(l4)
    if kind.udp & (config.port_hint[<uint8_t>(ports >> 16)] | config.port_hint[<uint8_t>ports]):
        opened = port_kind(config, <uint16_t>(ports >> 16), <uint16_t>ports)
        if opened == PORT_ROCE and not config.compat and bth_checked(l4 + UDP_LEN, length):
            flags |= PM_ROCE
        elif opened != TUNNEL_NONE:
            return False
    if checksums:
        if checksum_wrong(0, frame + ETHERNET_LEN, IPV4_LEN):
            flags |= PM_L3_CHECKSUM
        if (not kind.udp or l4[6] | l4[7]) \
                and checksum_wrong(pseudo_ipv4(frame + 26, proto, total - IPV4_LEN), l4, total - IPV4_LEN):
            flags |= PM_L4_CHECKSUM
    # Which endpoint is the lower one is a coin toss: both are turned round by a shift, not by a branch. The key and the metadata
    # are made of whole words, since a load of what narrower stores have just written would wait for them.
    addresses = raw64(frame + 26)
    source_first = __builtin_bswap64(addresses)
    reversed = source_first > rotate64(source_first, 32)
    if rarely(source_first == rotate64(source_first, 32)):
        reversed = ports >> 16 > <uint16_t>ports
    addresses = rotate64(addresses, reversed * 32)
    put64(&key.addr[0][0], <uint32_t>addresses)
    put64(&key.addr[0][8], 0)
    put64(&key.addr[1][0], addresses >> 32)
    put64(&key.addr[1][8], 0)
    put64(&key.port, rotate32(ports, 16 - reversed * 16))
    put64(&key.vlan[2], <uint64_t>proto << 16 | <uint64_t>NET_IPV4 << 32)

    put64(&meta.hash, <uint64_t>(flags | reversed * PM_REVERSED) << 32)     # and flags
    put64(&meta.tunnel_id, <uint64_t>ETHERNET_LEN << 32 | <uint64_t>(ETHERNET_LEN + IPV4_LEN) << 48)    # l3, l4
    put32(&meta.payload, ETHERNET_LEN + IPV4_LEN + header | length << 16)   # payload_len
    # proto, tcp_flags; depth, tunnel and what it carries are none; inner
    put64(&meta.net, NET_IPV4 | <uint32_t>proto << 8 | <uint32_t>(l4[TCP_FLAGS_AT] & kind.flags) << 16 | <uint64_t>NO_INDEX << 48)
    put32(&meta.bucket, 0)      # qfi, icmp_type, icmp_code
    return True


cdef void decode_entry(const decode_config_t *config, burst_t *burst, uint32_t entry) noexcept nogil:
    """The whole walk, for what the straight path leaves."""
    cdef walk_t walk
    cdef packet_meta_t *meta = &burst.meta[entry]
    cdef flow_key_t *key = &burst.key[entry]
    memset(&walk, 0, sizeof(walk))
    walk.config = config
    walk.burst = burst
    walk.entry = entry
    walk.meta = meta
    walk.key = key
    walk.frame = meta.frame
    walk.end = meta.caplen
    walk.cut = meta.caplen < meta.wirelen
    if meta.flags & PM_REASSEMBLED:
        walk.at = meta.l3       # the headers in front were the fragments'
        walk.step = STEP_IPV4 if meta.frame[meta.l3] >> 4 == 4 else STEP_IPV6
    else:
        walk.step = first_step(config, meta.linktype, meta.depth)
        walk.before = meta.hash if meta.depth else 0    # by decap
    meta.hash = 0
    meta.l3 = meta.l4 = meta.payload = meta.inner = NO_INDEX
    meta.payload_len = 0
    meta.net = NET_NONE
    meta.proto = meta.tcp_flags = meta.carries = meta.bucket = meta.icmp_type = meta.icmp_code = 0
    if meta.depth or meta.flags & PM_REASSEMBLED:       # VLANs and VNI are already there, by decap or defrag
        memset(key.addr, 0, sizeof(key.addr))
        memset(key.port, 0, sizeof(key.port))
        key.proto = key.net = 0
        key.tunnel = <uint8_t>(meta.tunnel << 4 | meta.depth) if meta.depth else 0
        walk.vlans = key.vlan[0] != 0
    else:
        memset(key, 0, sizeof(flow_key_t))
        meta.tunnel_id = 0
        meta.qfi = 0
    if config.compat and meta.caplen > COMPAT_FRAME_MAX:
        walk.step = STEP_DONE   # nor does Suricata take it in
    elif walk.step == STEP_DONE:
        note(&walk, EVENT_CAPTURE_LINKTYPE_UNSUPPORTED)
    while walk.step != STEP_DONE:
        if walk.step == STEP_TYPE:
            walk_type(&walk)
            continue
        if walk.step == STEP_TRANSPORT and walk.at <= OFFSET_MAX:
            walk_transport(&walk)
            continue
        walk.layers += walk.step not in (STEP_RAW, STEP_NULL, STEP_PPPOE_SESSION, STEP_PPPOE_DISCOVERY)     # as Suricata counts
        if walk.before + walk.layers >= config.max_layers or walk.at > OFFSET_MAX:
            malformed(&walk, EVENT_TOO_MANY_LAYERS)
        elif walk.step == STEP_ETHERNET:
            walk_ethernet(&walk)
        elif walk.step == STEP_IPV4:
            walk_ipv4(&walk)
        elif walk.step == STEP_IPV6:
            walk_ipv6(&walk)
        elif walk.step == STEP_VLAN:
            walk_vlan(&walk)
        elif walk.step == STEP_MPLS:
            walk_mpls(&walk)
        elif walk.step == STEP_LLC:
            walk_llc(&walk)
        elif walk.step == STEP_8021AH:
            walk_8021ah(&walk)
        elif walk.step == STEP_VNTAG:
            walk_vntag(&walk)
        elif walk.step == STEP_ETAG:
            walk_etag(&walk)
        elif walk.step == STEP_DCE:
            walk_dce(&walk)
        elif walk.step == STEP_NSH:
            walk_nsh(&walk)
        elif walk.step == STEP_NULL:
            walk_null(&walk)
        elif walk.step == STEP_RAW:
            walk_raw(&walk)
        elif walk.step == STEP_SLL:
            walk_sll(&walk)
        elif walk.step == STEP_SLL2:
            walk_sll2(&walk)
        elif walk.step == STEP_CHDLC:
            walk_chdlc(&walk)
        elif walk.step == STEP_PPP:
            walk_ppp(&walk)
        elif walk.step == STEP_PPPOE_DISCOVERY:
            walk_pppoe_discovery(&walk)
        elif walk.step == STEP_PPPOE_SESSION:
            walk_pppoe_session(&walk)
        elif walk.step == STEP_ARP:
            walk_arp(&walk)
    if walk.failed and config.compat and meta.depth and (meta.tunnel == TUNNEL_TEREDO or not walk.decoded and walk.layers <= (
            2 if meta.tunnel == TUNNEL_VXLAN or meta.linktype == LINKTYPE_PPP else 1)):
        forget_inner(meta, &burst.meta[meta.parent])


cdef inline void forget_inner(packet_meta_t *meta, packet_meta_t *outer) noexcept nogil:
    """Suricata drops an inner packet whose first header fails, events and all; then the outer one has its payload again."""
    cdef uint32_t length
    meta.events = NO_INDEX
    outer.flags &= ~<uint32_t>PM_OUTER
    if outer.proto == PROTO_UDP:
        length = outer.caplen - outer.payload
        outer.payload_len = be16(outer.frame + outer.l4 + UDP_LENGTH_AT) - UDP_LEN
        if outer.payload_len > length:
            outer.payload_len = length


cdef inline uint32_t first_step(const decode_config_t *config, uint16_t linktype, uint8_t depth) noexcept nogil:
    if linktype == LINKTYPE_ETHERNET:
        return STEP_ETHERNET
    if linktype in (LINKTYPE_RAW, LINKTYPE_DLT_RAW, LINKTYPE_DLT_RAW_OPENBSD):
        return STEP_RAW
    if linktype == LINKTYPE_IPV4 or linktype == LINKTYPE_IPV6:
        if depth == 0:          # libpcap's tools write either for both
            return STEP_RAW
        return STEP_IPV4 if linktype == LINKTYPE_IPV4 else STEP_IPV6
    if linktype == LINKTYPE_LINUX_SLL:
        return STEP_SLL
    if linktype == LINKTYPE_NULL:
        return STEP_NULL
    if linktype == LINKTYPE_PPP or linktype == LINKTYPE_PPP_HDLC:
        return STEP_PPP
    if linktype == LINKTYPE_C_HDLC:
        return STEP_CHDLC
    if linktype == LINK_VLAN:
        return STEP_VLAN
    if linktype == LINK_MPLS:
        return STEP_MPLS
    if config.compat:
        return STEP_DONE
    if linktype == LINKTYPE_LINUX_SLL2:
        return STEP_SLL2
    if linktype == LINKTYPE_LOOP:
        return STEP_NULL
    if linktype == LINKTYPE_PPP_ETHER:
        return STEP_PPPOE_SESSION
    return STEP_DONE


cdef inline void walk_type(walk_t *walk) noexcept nogil:
    cdef uint16_t ethertype = walk.ethertype
    if ethertype == TYPE_IPV4:
        walk.step = STEP_IPV4
    elif ethertype == TYPE_IPV6:
        walk.step = STEP_IPV6
    elif ethertype in (TYPE_VLAN, TYPE_QINQ, TYPE_QINQ_9100):
        walk.step = STEP_VLAN
    elif ethertype in (TYPE_QINQ_9200, TYPE_QINQ_9300) and not walk.config.compat:
        walk.step = STEP_VLAN
    elif ethertype in (TYPE_MPLS, TYPE_MPLS_MULTICAST):
        walk.step = STEP_MPLS
    elif ethertype == TYPE_ARP:
        walk.step = STEP_ARP
    elif ethertype == TYPE_PPPOE_SESSION:
        walk.step = STEP_PPPOE_SESSION
    elif ethertype == TYPE_PPPOE_DISCOVERY:
        walk.step = STEP_PPPOE_DISCOVERY
    elif ethertype == TYPE_8021AH:
        walk.step = STEP_8021AH
    elif ethertype == TYPE_VNTAG:
        walk.step = STEP_VNTAG
    elif ethertype == TYPE_ETAG and not walk.config.compat:
        walk.step = STEP_ETAG
    elif ethertype == TYPE_DCE:
        walk.step = STEP_DCE
    elif ethertype == TYPE_NSH:
        walk.step = STEP_NSH
    else:
        walk.step = STEP_DONE
        if walk.unknown_type != NO_EVENT:
            malformed(walk, walk.unknown_type)
        elif not walk.config.compat:
            note(walk, EVENT_ETHERNET_UNKNOWN_ETHERTYPE)


cdef inline void walk_transport(walk_t *walk) noexcept nogil:
    cdef uint8_t proto = walk.meta.proto
    walk.step = STEP_DONE
    if proto == PROTO_TCP:
        walk_tcp(walk)
    elif proto == PROTO_UDP:
        walk_udp(walk)
    elif proto == PROTO_ICMP:
        if walk.meta.net == NET_IPV4:
            walk_icmp(walk)
        else:
            note(walk, EVENT_IPV6_ICMPV4)
    elif proto == PROTO_ICMPV6:
        if walk.meta.net == NET_IPV6:
            walk_icmpv6(walk)
        else:
            note(walk, EVENT_IPV4_ICMPV6)
    elif proto == PROTO_SCTP:
        walk_sctp(walk)
    elif proto == PROTO_ESP:
        walk_esp(walk)
    elif walk.config.compat and walk.meta.net == NET_IPV6 and (proto == PROTO_IPV6 or proto == PROTO_GRE) \
            and walk.at != walk.meta.l3 + IPV6_LEN:
        note(walk, EVENT_IPV6_UNKNOWN_NEXT_HEADER)      # behind an extension header
    elif proto == PROTO_GRE:
        walk_gre(walk)
    elif proto == PROTO_IPV4:
        walk_inner_ipv4(walk)
    elif proto == PROTO_IPV6:
        walk_inner_ipv6(walk)
    elif walk.config.compat:
        if walk.meta.net == NET_IPV6:
            note(walk, EVENT_IPV6_UNKNOWN_NEXT_HEADER)
    elif proto == PROTO_AH:
        walk_ah(walk)
    elif proto == PROTO_IGMP:
        walk_igmp(walk)
    else:
        note(walk, EVENT_IPV4_UNKNOWN_PROTOCOL if walk.meta.net == NET_IPV4 else EVENT_IPV6_UNKNOWN_NEXT_HEADER)


cdef inline void walk_gre(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef tunnel_t found
    cdef uint16_t vlan
    cdef uint32_t event = read_gre_tunnel(walk.config, at, walk.end - walk.at, &found, &vlan)
    if event == EVENT_ERSPAN_HEADER_TOO_SMALL or event == EVENT_ERSPAN_UNSUPPORTED_VERSION:
        if not walk.config.compat:
            note(walk, EVENT_CAPTURE_HEADER_CUT if found.short and walk.cut else <uint16_t>event)
    elif event != NO_EVENT:
        if found.short:
            too_short(walk, <uint16_t>event)
        else:
            malformed(walk, <uint16_t>event)
        return
    walk.meta.l4 = <uint16_t>walk.at
    if found.kind != TUNNEL_NONE:
        carry(walk, found.kind, walk.at)


cdef inline void walk_inner_ipv4(walk_t *walk) noexcept nogil:
    cdef uint32_t left = walk.end - walk.at
    if walk.meta.net == NET_IPV4:
        if not walk.config.compat:
            carry(walk, TUNNEL_IPIP, walk.at)
    elif left < IPV4_LEN:
        too_short(walk, EVENT_IPV6_IPV4_IN_IPV6_TOO_SMALL)
    elif walk.frame[walk.at] >> 4 != 4:
        malformed(walk, EVENT_IPV6_IPV4_IN_IPV6_WRONG_VERSION)
    else:
        carry(walk, TUNNEL_4IN6, walk.at)


cdef inline void walk_inner_ipv6(walk_t *walk) noexcept nogil:
    cdef uint32_t left = walk.end - walk.at
    if walk.meta.net == NET_IPV4:
        set_key(walk, NET_IPV4, PROTO_IPV6, walk.source, walk.destination, 0, 0)
        carry(walk, TUNNEL_6IN4, walk.at)
    elif left < IPV6_LEN:
        too_short(walk, EVENT_IPV6_IPV6_IN_IPV6_TOO_SMALL)
    elif walk.frame[walk.at] >> 4 != 6:
        malformed(walk, EVENT_IPV6_IPV6_IN_IPV6_WRONG_VERSION)
    else:
        carry(walk, TUNNEL_6IN6, walk.at)
