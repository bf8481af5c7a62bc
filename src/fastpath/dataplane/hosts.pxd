# What a host runs, by its address (host-os-policy of a suricata.yaml): it decides which of two overlapping fragments, or
# segments, the host believes. A library: the table is built once and read by the stages.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath.dataplane.types cimport NET_IPV4
from fastpath.dataplane.wire.load cimport be32, be64

cdef enum host_os:              # hosts.py has the names
    OS_UNKNOWN, OS_FIRST, OS_LAST, OS_BSD, OS_BSD_RIGHT, OS_OLD_LINUX, OS_LINUX, OS_OLD_SOLARIS, OS_SOLARIS, OS_HPUX10, OS_HPUX11
    OS_IRIX, OS_MACOS, OS_WINDOWS, OS_VISTA, OS_WINDOWS2K3

cdef struct host_range_t:       # from this address up to the next range
    uint64_t high, low
    uint8_t os

cdef struct hosts_t:
    host_range_t *ranges[2]     # of IPv4 and IPv6, by address
    uint32_t count[2]


cdef inline int open_hosts(hosts_t *hosts, tuple ranges) except -1:
    """`ranges`: as hosts.host_ranges gives them. MemoryError."""
    cdef uint32_t version, i
    for version in range(2):
        hosts.ranges[version] = <host_range_t *>calloc(len(ranges[version]) + 1, sizeof(host_range_t))
        if hosts.ranges[version] == NULL:
            raise MemoryError("no memory for the host policies")
        for i, (address, os) in enumerate(ranges[version]):
            hosts.ranges[version][i].high = address >> 64 if version else address
            hosts.ranges[version][i].low = address & 0xffffffffffffffff if version else 0
            hosts.ranges[version][i].os = os
        hosts.count[version] = len(ranges[version])
    return 0


cdef inline void close_hosts(hosts_t *hosts) noexcept nogil:
    free(hosts.ranges[0])
    free(hosts.ranges[1])


cdef inline uint8_t os_of(const hosts_t *hosts, uint8_t net, const uint8_t *address) noexcept nogil:
    """enum host_os of an address in network order; OS_UNKNOWN where nothing is said of it."""
    cdef uint32_t version = 0 if net == NET_IPV4 else 1
    cdef const host_range_t *ranges = hosts.ranges[version]
    cdef uint32_t below = 0, above = hosts.count[version], middle
    cdef uint64_t high = be32(address) if net == NET_IPV4 else be64(address)
    cdef uint64_t low = 0 if net == NET_IPV4 else be64(address + 8)
    while below < above:
        middle = (below + above) // 2
        if ranges[middle].high < high or (ranges[middle].high == high and ranges[middle].low <= low):
            below = middle + 1
        else:
            above = middle
    return ranges[below - 1].os if below else <uint8_t>OS_UNKNOWN
