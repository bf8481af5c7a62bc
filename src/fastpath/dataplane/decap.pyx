"""decap: from a tunnel to the packet inside."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.types cimport (
    ENTRIES_MAX, NET_IPV4, NO_INDEX, PM_CUT, PM_OUTER, TUNNEL_4IN6, TUNNEL_6IN4, TUNNEL_6IN6, TUNNEL_ERSPAN, TUNNEL_GENEVE,
    TUNNEL_GRE, TUNNEL_IPIP, TUNNEL_NONE, TUNNEL_NVGRE, TUNNEL_VXLAN, burst_t, packet_meta_t,
)
from fastpath.dataplane.wire.ipv4 cimport IPV4_TOTAL_AT
from fastpath.dataplane.wire.ipv6 cimport IPV6_LEN, IPV6_PAYLOAD_LEN_AT
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.tunnel cimport read_gre_tunnel, read_ip_tunnel, read_port_tunnel
from fastpath.dataplane.wire.udp cimport UDP_LENGTH_AT
from fastpath.dataplane.wire.walk cimport NO_EVENT, decode_config_t, tunnel_t


cdef uint32_t decap_burst(const decode_config_t *config, burst_t *burst, uint32_t first, uint32_t count) noexcept nogil:
    cdef uint32_t entry, before = burst.entries
    for entry in range(first, first + count):
        if burst.meta[entry].carries != TUNNEL_NONE and burst.entries < ENTRIES_MAX:
            open_tunnel(config, burst, entry)
    return burst.entries - before


cdef void open_tunnel(const decode_config_t *config, burst_t *burst, uint32_t entry) noexcept nogil:
    cdef packet_meta_t *outer = &burst.meta[entry]
    cdef packet_meta_t *inner = &burst.meta[burst.entries]
    cdef const uint8_t *at = outer.frame + outer.inner
    cdef uint32_t end = tunnel_end(outer), left
    cdef uint32_t event = NO_EVENT
    cdef uint16_t vlan = 0
    cdef tunnel_t found
    left = (end if end < outer.caplen else outer.caplen) - outer.inner
    if outer.carries in (TUNNEL_IPIP, TUNNEL_6IN4, TUNNEL_4IN6, TUNNEL_6IN6):
        read_ip_tunnel(outer.carries, &found)
    elif outer.carries in (TUNNEL_GRE, TUNNEL_NVGRE, TUNNEL_ERSPAN):
        event = read_gre_tunnel(config, at, left, &found, &vlan)
    else:
        event = read_port_tunnel(config, outer.carries, at, left, &found)
    if event != NO_EVENT or found.kind == TUNNEL_NONE:
        return
    outer.flags |= PM_OUTER
    outer.payload_len = 0       # it is inspected as the inner packet
    inner.frame = at + found.inner
    inner.ts = outer.ts
    inner.caplen = left - found.inner
    inner.wirelen = end - outer.inner - found.inner
    inner.linktype = found.linktype
    inner.flags = PM_CUT if inner.caplen < inner.wirelen else 0
    inner.packet = outer.packet
    inner.parent = <uint16_t>entry
    inner.depth = outer.depth + 1
    inner.tunnel = found.kind
    inner.tunnel_id = found.id
    inner.qfi = found.qfi
    inner.events = NO_INDEX
    # the header of ERSPAN counts; the Ethernet header in VXLAN does not, as in Suricata
    inner.hash = outer.hash + (found.kind == TUNNEL_ERSPAN) - (found.kind == TUNNEL_VXLAN)
    inherit(config, burst, entry, vlan, &found)
    burst.entries += 1


cdef inline uint32_t tunnel_end(const packet_meta_t *outer) noexcept nogil:
    """Offset behind the last byte of what the tunnel carries, as the headers announce it: the capture may have less."""
    cdef const uint8_t *l3 = outer.frame + outer.l3
    cdef uint32_t announced
    if outer.carries not in (TUNNEL_IPIP, TUNNEL_6IN4, TUNNEL_4IN6, TUNNEL_6IN6, TUNNEL_GRE, TUNNEL_NVGRE, TUNNEL_ERSPAN):
        return outer.l4 + be16(outer.frame + outer.l4 + UDP_LENGTH_AT)
    announced = be16(l3 + (IPV4_TOTAL_AT if outer.net == NET_IPV4 else IPV6_PAYLOAD_LEN_AT))
    if announced == 0:          # segmentation offload and jumbograms: all there is
        return outer.wirelen
    return outer.l3 + announced + (0 if outer.net == NET_IPV4 else IPV6_LEN)


cdef inline void inherit(const decode_config_t *config, burst_t *burst, uint32_t entry, uint16_t vlan,
                         const tunnel_t *found) noexcept nogil:
    """What of the inner key the tunnel says: the VLAN of an ERSPAN port and, by setting, the VNI, which tunnels in it share.
    The VLANs around the tunnel are no part of it."""
    cdef uint32_t to = burst.entries
    memset(burst.key[to].vlan, 0, sizeof(burst.key[to].vlan))
    if config.vlan_tracking:
        burst.key[to].vlan[0] = vlan
    memcpy(burst.key[to].vni, burst.key[entry].vni, sizeof(burst.key[to].vni))
    if config.vni_in_key and found.kind in (TUNNEL_VXLAN, TUNNEL_GENEVE, TUNNEL_NVGRE):
        burst.key[to].vni[0] = <uint8_t>(found.id >> 16)
        burst.key[to].vni[1] = <uint8_t>(found.id >> 8)
        burst.key[to].vni[2] = <uint8_t>found.id
