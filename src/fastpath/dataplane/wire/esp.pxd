# ESP (RFC 4303): what follows the two clear words is encrypted. A flow is a security association, and so one direction: the
# halves of its index stand in the key as ports would, the upper one with the source.
from fastpath.dataplane.events cimport EVENT_ESP_PKT_TOO_SMALL, EVENT_IPV6_TRUNC_EXTHDR
from fastpath.dataplane.types cimport NET_IPV6
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, set_key, set_payload, too_short, walk_t

cdef enum:
    ESP_LEN = 8
    ESP_SPI_AT = 0
    ESP_SEQ_AT = 4
    PROTO_ESP = 50


cdef inline void walk_esp(walk_t *walk) noexcept nogil:
    walk.step = STEP_DONE
    if walk.end - walk.at < ESP_LEN:
        # to IPv6 it is an extension header, whose first two bytes are read alike
        too_short(walk, EVENT_IPV6_TRUNC_EXTHDR if walk.meta.net == NET_IPV6 and walk.end - walk.at < 2
                  else EVENT_ESP_PKT_TOO_SMALL)
        return
    walk.meta.l4 = walk.at
    set_payload(walk, walk.at + ESP_LEN, walk.end)
    set_key(walk, walk.meta.net, PROTO_ESP, walk.source, walk.destination, be16(walk.frame + walk.at + ESP_SPI_AT),
            be16(walk.frame + walk.at + ESP_SPI_AT + 2))
