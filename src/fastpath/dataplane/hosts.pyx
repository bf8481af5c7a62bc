"""See hosts.pxd."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

cimport cython

import ipaddress

OS_NAMES = {"first": OS_FIRST, "last": OS_LAST, "bsd": OS_BSD, "bsd-right": OS_BSD_RIGHT, "old-linux": OS_OLD_LINUX,
            "linux": OS_LINUX, "old-solaris": OS_OLD_SOLARIS, "solaris": OS_SOLARIS, "hpux10": OS_HPUX10, "hpux11": OS_HPUX11,
            "irix": OS_IRIX, "macos": OS_MACOS, "windows": OS_WINDOWS, "vista": OS_VISTA, "windows2k3": OS_WINDOWS2K3}


@cython.wraparound(True)
def ranges_of(networks):
    """[(network, OS)] -> [(first address, OS)] by address, for IPv4 and for IPv6: each holds up to the next."""
    found = ([], [])
    for version, ranges in zip((4, 6), found):
        open_ = []              # the networks around this address, widest first: (last address, OS)

        def close_until(address):
            while open_ and open_[-1][0] < address:
                last, _ = open_.pop()
                ranges.append((last + 1, open_[-1][1] if open_ else OS_UNKNOWN))

        for network, os in sorted(((n, os) for n, os in networks if n.version == version),
                                  key=lambda one: (int(one[0].network_address), one[0].prefixlen)):
            first = int(network.network_address)
            close_until(first)
            ranges.append((first, os))
            open_.append((int(network.broadcast_address), os))
        close_until(1 << 128)
        # of several at one address the last, and narrowest, holds
        ranges[:] = sorted((address, os) for address, os in dict(ranges).items() if address < 1 << (32 if version == 4 else 128))
    return found


cdef int open_hosts(hosts_t *hosts, dict policies) except -1:
    cdef uint32_t i, at
    networks = []
    for name, texts in policies.items():
        if name not in OS_NAMES:
            raise ValueError(f"no host-os-policy is named {name!r}; there are {', '.join(OS_NAMES)}")
        networks += [(ipaddress.ip_network(text, strict=False), OS_NAMES[name]) for text in texts]
    for i, ranges in enumerate(ranges_of(networks)):
        hosts.ranges[i] = <host_range_t *>calloc(len(ranges) or 1, sizeof(host_range_t))
        if hosts.ranges[i] == NULL:
            raise MemoryError("no memory for the host policies")
        for at, (address, os) in enumerate(ranges):
            hosts.ranges[i][at].high = address if i == 0 else (address >> 64) & 0xffffffffffffffff
            hosts.ranges[i][at].low = 0 if i == 0 else address & 0xffffffffffffffff
            hosts.ranges[i][at].os = os
        hosts.count[i] = len(ranges)
    return 0


cdef void close_hosts(hosts_t *hosts) noexcept nogil:
    free(hosts.ranges[0])
    free(hosts.ranges[1])
