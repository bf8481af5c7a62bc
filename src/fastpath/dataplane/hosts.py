"""host-os-policy of a suricata.yaml in the form that hosts.pxd looks addresses up in.

Source: Suricata User Guide 7.0, Configuration (host-os-policy).
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

#: By enum host_os. Beside Suricata's names "first" and "last", for hosts that are known to go by that rule.
OS_NAMES = ("", "first", "last", "bsd", "bsd-right", "old-linux", "linux", "old-solaris", "solaris", "hpux10", "hpux11", "irix", "macos",
            "windows", "vista", "windows2k3")


def host_ranges(policies: Mapping[str, Iterable[str]]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(first address, enum host_os) by address, for IPv4 and for IPv6; each range ends where the next begins.

    policies: OS name -> addresses and networks. Of nested networks the narrowest holds, of equal ones the last named.
    ValueError for what is neither.
    """
    networks = []
    for name, texts in policies.items():
        if name not in OS_NAMES[1:]:
            raise ValueError(f"no host-os-policy is named {name!r}; there are {', '.join(OS_NAMES[1:])}")
        networks += [(ip_network(text, strict=False), OS_NAMES.index(name)) for text in texts]
    return _ranges([one for one in networks if one[0].version == 4]), _ranges([one for one in networks if one[0].version == 6])


def _ranges(networks: list) -> list[tuple[int, int]]:
    found: dict[int, int] = {}
    around: list[tuple[int, int]] = []      # the networks that an address lies in, widest first: (address behind it, OS)

    def leave(address: float) -> None:
        while around and around[-1][0] <= address:
            behind, _ = around.pop()
            found[behind] = around[-1][1] if around else 0

    for network, os in sorted(networks, key=lambda one: (int(one[0].network_address), one[0].prefixlen)):
        first = int(network.network_address)
        leave(first)
        found[first] = os
        around.append((first + network.num_addresses, os))
    leave(float("inf"))
    return sorted((address, os) for address, os in found.items() if address < 1 << networks[0][0].max_prefixlen)
