# Flows that another flow has told of: the data connections of FTP. A room announces one while it parses; what it announces waits
# in the worker's own list. The table spans flows, so it belongs to the ordered section: there the announced ones go into it,
# and there a new TCP flow asks it, once a direction, whether it is expected.
#
# Bounded: ANNOUNCED_MAX of one call, EXPECTATIONS_MAX in the table; the oldest makes way. One that nobody meets within 30 s is
# forgotten. (Suricata 7 keeps up to 10 for a pair of addresses.)
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastpath.dataplane.applayer.applayer cimport app_context_t
from fastpath.dataplane.hash cimport flow_key_of
from fastpath.dataplane.types cimport flow_key_t

cdef enum:
    ANNOUNCED_MAX = 64
    EXPECTATIONS_MAX = 1024
    EXPECTED_NAME_MAX = 1024

cdef extern from *:
    const uint64_t EXPECTATION_LIFE "30000000000ull"    # ns

cdef struct expectation_t:          # no pointers: it is copied as it is
    uint64_t until                  # engine time, ns; 0 for none
    uint64_t parent                 # first ordinal of the flow that told of it
    uint8_t addr[2][16]             # of both ends, in the order of a flow key
    uint16_t vlan[3]
    uint16_t port                   # of the end that is connected to
    uint8_t net, tunnel
    uint8_t proto                   # enum alproto
    uint8_t direction               # in which the data will flow, and which asks
    uint16_t command                # numbers of ftpdata.command
    uint16_t name_length
    uint8_t name[1024]

cdef struct announced_t:
    uint32_t count
    expectation_t list[64]

cdef struct expectations_t:         # a ring: all wait equally long, so that the oldest is the first to be given up
    uint32_t first, count           # with those that were met
    expectation_t list[1024]


cdef inline bint expect_flow(app_context_t *context, uint8_t proto, uint32_t direction, uint16_t port, uint16_t command,
                             const uint8_t *name, uint32_t length) noexcept nogil:
    """Announces a flow between the ends of this one to a port. False where it cannot be remembered."""
    cdef announced_t *announced = <announced_t *> context.work.announced
    cdef expectation_t *expectation
    cdef flow_key_t key
    if announced == NULL or announced.count >= ANNOUNCED_MAX:
        return False
    expectation = &announced.list[announced.count]
    announced.count += 1
    memset(expectation, 0, sizeof(expectation_t))
    expectation.until = context.now + EXPECTATION_LIFE
    expectation.parent = context.flow.first_ordinal
    key = flow_key_of(context.flow)
    memcpy(expectation.addr, key.addr, sizeof(expectation.addr))
    memcpy(expectation.vlan, key.vlan, sizeof(expectation.vlan))
    expectation.net = key.net
    expectation.tunnel = key.tunnel
    expectation.proto = proto
    expectation.direction = <uint8_t> direction
    expectation.port = port
    expectation.command = command
    expectation.name_length = <uint16_t> min(length, <uint32_t> EXPECTED_NAME_MAX)
    memcpy(expectation.name, name, expectation.name_length)
    return True


cdef inline void remember_announced(expectations_t *table, announced_t *announced) noexcept nogil:
    """Ordered section: what was announced goes into the table."""
    cdef uint32_t i
    for i in range(announced.count):
        table.list[(table.first + table.count) % EXPECTATIONS_MAX] = announced.list[i]
        if table.count < EXPECTATIONS_MAX:
            table.count += 1
        else:
            table.first = (table.first + 1) % EXPECTATIONS_MAX
    announced.count = 0


cdef inline bint meet_expectation(expectations_t *table, const flow_key_t *key, uint16_t server_port, uint32_t direction,
                                  uint64_t now, expectation_t *met) noexcept nogil:
    """Ordered section: is a flow whose data come in this direction expected? What was expected of it goes to `met`, once."""
    cdef uint32_t i
    cdef expectation_t *expectation
    while table.count and table.list[table.first].until < now:
        table.first = (table.first + 1) % EXPECTATIONS_MAX
        table.count -= 1
    for i in range(table.count):
        expectation = &table.list[(table.first + i) % EXPECTATIONS_MAX]
        if (expectation.until >= now and expectation.until and expectation.port == server_port
                and expectation.direction == direction and expectation.net == key.net and expectation.tunnel == key.tunnel
                and memcmp(expectation.addr, key.addr, sizeof(expectation.addr)) == 0
                and memcmp(expectation.vlan, key.vlan, sizeof(expectation.vlan)) == 0):
            met[0] = expectation[0]
            expectation.until = 0
            return True
    return False
