# IGMP (RFC 1112, RFC 2236, RFC 3376). It has no flow.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.events cimport EVENT_IGMP_MALFORMED, EVENT_IGMP_PKT_TOO_SMALL, EVENT_IGMP_V3_PKT_TOO_SMALL
from fastpath.dataplane.types cimport PM_L4_CHECKSUM
from fastpath.dataplane.wire.checksum cimport checksum_wrong
from fastpath.dataplane.wire.load cimport be16
from fastpath.dataplane.wire.walk cimport STEP_DONE, too_short, walk_t

cdef enum:
    IGMP_LEN = 8                # type, maximum response time, checksum 2, group 4
    IGMP_TYPE_AT = 0
    IGMP_GROUP_AT = 4
    IGMP_QUERY = 0x11
    IGMP_QUERY_3_LEN = 12
    IGMP_SOURCES_AT = 10        # of a version 3 query
    IGMP_REPORT_3 = 0x22
    IGMP_RECORDS_AT = 6         # of a version 3 report
    IGMP_RECORD_LEN = 8         # type 1, auxiliary words 1, sources 2, group 4
    PROTO_IGMP = 2


cdef inline void walk_igmp(walk_t *walk) noexcept nogil:
    cdef const uint8_t *at = walk.frame + walk.at
    cdef uint32_t left = walk.end - walk.at, size = IGMP_LEN, records, _i
    walk.step = STEP_DONE
    if left < IGMP_LEN:
        too_short(walk, EVENT_IGMP_PKT_TOO_SMALL)
        return
    walk.meta.l4 = walk.at
    if walk.config.checksums and not walk.cut and checksum_wrong(0, at, left):
        walk.meta.flags |= PM_L4_CHECKSUM
    if at[IGMP_TYPE_AT] == IGMP_QUERY and left > IGMP_LEN:
        if left < IGMP_QUERY_3_LEN:
            too_short(walk, EVENT_IGMP_V3_PKT_TOO_SMALL)
        elif left - IGMP_QUERY_3_LEN < be16(at + IGMP_SOURCES_AT) * 4:
            too_short(walk, EVENT_IGMP_MALFORMED)
    elif at[IGMP_TYPE_AT] == IGMP_REPORT_3:
        records = be16(at + IGMP_RECORDS_AT)
        for _i in range(records):
            if left - size < IGMP_RECORD_LEN:
                too_short(walk, EVENT_IGMP_MALFORMED)
                return
            size += IGMP_RECORD_LEN + be16(at + size + 2) * 4 + at[size + 1] * 4
            if size > left:
                too_short(walk, EVENT_IGMP_MALFORMED)
                return
