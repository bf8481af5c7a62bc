# Linux cooked captures (LINKTYPE_LINUX_SLL and _SLL2 of tcpdump.org) and Cisco HDLC.
from fastpath.dataplane.events cimport EVENT_CHDLC_PKT_TOO_SMALL, EVENT_SLL2_PKT_TOO_SMALL, EVENT_SLL_PKT_TOO_SMALL
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport NO_EVENT, to_type, too_short, walk_t

cdef enum:
    SLL_LEN = 16
    SLL_TYPE_AT = 14
    SLL2_LEN = 20
    SLL2_TYPE_AT = 0
    CHDLC_LEN = 4               # address, control, type 2
    CHDLC_TYPE_AT = 2


cdef inline void walk_sll(walk_t *walk) noexcept nogil:
    if walk.end - walk.at < SLL_LEN:
        too_short(walk, EVENT_SLL_PKT_TOO_SMALL)
        return
    to_type(walk, be16(walk.frame + walk.at + SLL_TYPE_AT), NO_EVENT)
    walk.at += SLL_LEN


cdef inline void walk_sll2(walk_t *walk) noexcept nogil:
    if walk.end - walk.at < SLL2_LEN:
        too_short(walk, EVENT_SLL2_PKT_TOO_SMALL)
        return
    to_type(walk, be16(walk.frame + walk.at + SLL2_TYPE_AT), NO_EVENT)
    walk.at += SLL2_LEN


cdef inline void walk_chdlc(walk_t *walk) noexcept nogil:
    if walk.end - walk.at < CHDLC_LEN:
        too_short(walk, EVENT_CHDLC_PKT_TOO_SMALL)
        return
    to_type(walk, be16(walk.frame + walk.at + CHDLC_TYPE_AT), NO_EVENT)
    walk.at += CHDLC_LEN
