# The shape of a DNS message (RFC 1035 section 4): names, questions and records, read where they stand. A transaction keeps the
# bytes of its message, and whatever is asked of it later is read from them again.
#
# A name ends after 255 labels and pointers, and at 1,025 bytes in its written form, as in Suricata 7; loops end there too.
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.applayer.applayer cimport room_t
from fastpath.dataplane.wire.load cimport be16, be32

cdef enum:
    DNS_HEADER = 12
    NAME_MAX = 1025
    NAME_ROOM = NAME_MAX + 64       # a name with the label that makes it too long
    LABELS_MAX = 255

cdef enum:      # how reading went
    DNS_READ
    DNS_SHORT                       # the message ends too soon
    DNS_BAD                         # it cannot be a message

cdef enum:      # what is odd about names
    NAME_TRUNCATED = 1 << 0
    NAME_LOOPS = 1 << 1
    NAME_LABELS = 1 << 2

cdef enum:      # types of records whose data are read
    DNS_A = 1
    DNS_NS = 2
    DNS_CNAME = 5
    DNS_SOA = 6
    DNS_NULL = 10
    DNS_PTR = 12
    DNS_MX = 15
    DNS_TXT = 16
    DNS_AAAA = 28
    DNS_SRV = 33
    DNS_OPT = 41
    DNS_SSHFP = 44

cdef enum:      # bits of the second word of the header
    DNS_QR = 0x8000
    DNS_AA = 0x0400
    DNS_TC = 0x0200
    DNS_RD = 0x0100
    DNS_RA = 0x0080
    DNS_Z = 0x0040

cdef struct message_t:
    const uint8_t *data
    uint32_t length

cdef struct name_t:
    uint8_t text[1089]              # NAME_ROOM
    uint32_t length, flags

cdef struct record_t:
    uint32_t name                   # offset of its name
    uint32_t data, end              # offsets of its data
    uint32_t ttl
    uint16_t rrtype


cdef inline uint32_t read_name(const message_t *message, uint32_t at, uint32_t end, name_t *name, uint32_t *next) noexcept nogil:
    """The name at an offset, labels with dots between; `end` of what it stands in. `next` is the offset behind it."""
    cdef uint32_t size, target, labels = 0
    cdef bint jumped = False
    cdef const uint8_t *data = message.data
    name.length = name.flags = 0
    while at < end:
        size = data[at]
        if size == 0:
            at += 1
            break
        if size < 0x40:
            if end - at - 1 < size:
                return DNS_SHORT
            if not name.flags & NAME_TRUNCATED:
                if name.length:
                    name.text[name.length] = 46
                    name.length += 1
                memcpy(name.text + name.length, data + at + 1, size)
                name.length += size
            at += 1 + size
        elif size >= 0xc0:
            if end - at < 2:
                return DNS_SHORT
            target = be16(data + at) & 0x3fff
            if target > message.length:
                return DNS_BAD
            if message.length - target == end - at and memcmp(data + target, data + at, end - at) == 0:
                name.flags |= NAME_LOOPS
                if not jumped:
                    return DNS_BAD
                break
            if not jumped:
                next[0] = at + 2
                jumped = True
            at = target
            end = message.length
        else:
            return DNS_BAD
        labels += 1
        if labels > LABELS_MAX:
            name.flags |= NAME_LABELS | NAME_TRUNCATED
            if not jumped:
                return DNS_BAD
            break
        if name.length > NAME_MAX:
            name.length = NAME_MAX
            name.flags |= NAME_TRUNCATED
            if jumped:
                break
    if not jumped:
        next[0] = at
    return DNS_READ


cdef inline uint32_t read_record(const message_t *message, uint32_t at, name_t *name, record_t *record) noexcept nogil:
    """The record at an offset, its name read into `name`, its data not read."""
    cdef uint32_t behind = 0, size, status
    record.name = record.data = record.end = at
    record.rrtype = 0
    status = read_name(message, at, message.length, name, &behind)
    if status != DNS_READ:
        return status
    if message.length - behind < 10:
        return DNS_SHORT
    size = be16(message.data + behind + 8)
    record.rrtype = be16(message.data + behind)
    record.ttl = be32(message.data + behind + 4)
    record.data = behind + 10
    if message.length - record.data < size:
        return DNS_SHORT
    record.end = record.data + size
    return DNS_READ


cdef inline uint32_t name_at(const record_t *record) noexcept nogil:
    """Offset of the first name in a record's data; the end where it has none."""
    cdef uint32_t rrtype = record.rrtype
    if rrtype == DNS_CNAME or rrtype == DNS_PTR or rrtype == DNS_NS or rrtype == DNS_SOA:
        return record.data
    if rrtype == DNS_MX:
        return min(record.data + 2, record.end)
    if rrtype == DNS_SRV:
        return min(record.data + 6, record.end)
    return record.end


cdef inline uint32_t check_data(const message_t *message, const record_t *record, name_t *name, uint32_t *flags) noexcept nogil:
    """DNS_READ where the data of a record are what its type says; what is odd about names in it is added to `flags`."""
    cdef uint32_t at = record.data, end = record.end, rrtype = record.rrtype, size = record.end - record.data
    if size == 0:
        return DNS_READ if rrtype == DNS_OPT else DNS_BAD
    if rrtype == DNS_TXT:
        return DNS_READ if size > message.data[at] else DNS_BAD     # strings behind the first may be cut
    if rrtype == DNS_SSHFP:
        return DNS_READ if size >= 2 else DNS_BAD
    if rrtype == DNS_OPT:
        while at < end:
            if end - at < 4 or end - at - 4 < be16(message.data + at + 2):
                return DNS_BAD
            at += 4 + be16(message.data + at + 2)
        return DNS_READ
    if rrtype == DNS_CNAME or rrtype == DNS_PTR or rrtype == DNS_NS or rrtype == DNS_MX or rrtype == DNS_SRV or rrtype == DNS_SOA:
        if size < (2 if rrtype == DNS_MX else 6 if rrtype == DNS_SRV else 0):
            return DNS_BAD
        if read_name(message, name_at(record), end, name, &at) != DNS_READ:
            return DNS_BAD
        flags[0] |= name.flags
        if rrtype == DNS_SOA:
            if read_name(message, at, end, name, &at) != DNS_READ or end - at < 20:
                return DNS_BAD
            flags[0] |= name.flags
    return DNS_READ


cdef inline uint32_t check_message(const message_t *message, bint response, uint32_t *flags) noexcept nogil:
    """DNS_READ for a message of at least a header whose questions and, in a response, answers and authorities can be read;
    `flags` of their names."""
    cdef name_t name
    cdef record_t record
    cdef uint32_t at = DNS_HEADER, i, status
    cdef uint32_t records = be16(message.data + 6) + be16(message.data + 8) if response else 0
    flags[0] = 0
    for i in range(be16(message.data + 4)):  # no-cython-lint
        status = read_name(message, at, message.length, &name, &at)
        if status != DNS_READ:
            return status
        flags[0] |= name.flags
        if message.length - at < 4:
            return DNS_SHORT
        at += 4
    for i in range(records):  # no-cython-lint
        status = read_record(message, at, &name, &record)
        if status != DNS_READ:
            return status
        flags[0] |= name.flags
        if check_data(message, &record, &name, flags) != DNS_READ:
            return DNS_BAD
        at = record.end
    return DNS_READ


cdef inline bint header_fits(const message_t *message, uint32_t announced) noexcept nogil:
    """Are there a header and, in a message of so many bytes, room for the records that it counts?"""
    if message.length < DNS_HEADER:
        return False
    return DNS_HEADER + 2 * (be16(message.data + 4) + be16(message.data + 6) + be16(message.data + 8)
                             + be16(message.data + 10)) <= announced


cdef void describe_dns(room_t *room) noexcept nogil
