# The tunnels by their kind: what decode asks to know whether there is one, and decap to open it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.types cimport (
    TUNNEL_4IN6, TUNNEL_ERSPAN, TUNNEL_GENEVE, TUNNEL_GTPU, TUNNEL_IPIP, TUNNEL_NONE, TUNNEL_VXLAN,
)
from fastpath.dataplane.wire.erspan cimport read_erspan
from fastpath.dataplane.wire.geneve cimport read_geneve
from fastpath.dataplane.wire.gre cimport read_gre
from fastpath.dataplane.wire.gtpu cimport read_gtpu
from fastpath.dataplane.wire.teredo cimport read_teredo
from fastpath.dataplane.wire.vxlan cimport read_vxlan
from fastpath.dataplane.wire.walk cimport LINKTYPE_IPV4, LINKTYPE_IPV6, NO_EVENT, decode_config_t, tunnel_t


cdef inline uint32_t read_port_tunnel(const decode_config_t *config, uint8_t kind, const uint8_t *at, uint32_t left,
                                      tunnel_t *found) noexcept nogil:
    """A tunnel in UDP, its header at the datagram's payload: its event or NO_EVENT, and `found`."""
    if kind == TUNNEL_VXLAN:
        return read_vxlan(config, at, left, found)
    if kind == TUNNEL_GENEVE:
        return read_geneve(config, at, left, found)
    if kind == TUNNEL_GTPU:
        return read_gtpu(at, left, found)
    read_teredo(config, at, left, found)
    return NO_EVENT


cdef inline uint32_t read_gre_tunnel(const decode_config_t *config, const uint8_t *at, uint32_t left, tunnel_t *found,
                                     uint16_t *vlan) noexcept nogil:
    """A GRE header and, behind it, that of ERSPAN. `vlan`: of the mirrored port, 0 for none."""
    cdef uint32_t event = read_gre(config, at, left, found)
    vlan[0] = 0
    if event == NO_EVENT and found.kind == TUNNEL_ERSPAN:
        event = read_erspan(at, left, found, vlan)
        if event != NO_EVENT:
            found.kind = TUNNEL_NONE
    return event


cdef inline void read_ip_tunnel(uint8_t kind, tunnel_t *found) noexcept nogil:
    """An IP packet right behind an IP header."""
    found.kind = kind
    found.inner = 0
    found.id = 0
    found.qfi = 0
    found.linktype = LINKTYPE_IPV4 if kind == TUNNEL_IPIP or kind == TUNNEL_4IN6 else LINKTYPE_IPV6
