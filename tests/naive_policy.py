"""A policy walked line by line: what the compiled form is held against."""
from __future__ import annotations

from dataclasses import dataclass

from fastpath.control.policy.model import ANY, Line, Ranges, Segment

VNI, TEID = 1, 2


@dataclass(frozen=True)
class Packet:
    """The first of a flow. tunnel: 0, VNI or TEID. app: None while it is sought. name: None while it is not known."""
    source: int
    target: int
    version: int = 4
    protocol: int = 6
    port: int = 0
    vlan: int = 0
    tunnel: int = 0
    tunnel_id: int = 0
    second: int = 0
    app: str | None = None
    name: str | None = None
    final: bool = False


def within(number: int, ranges: Ranges) -> bool:
    return any(low <= number <= high for low, high in ranges)


def lies_in(segment: Segment, address: int, packet: Packet) -> bool:
    return any(within(address, one.addresses.v4 if packet.version == 4 else one.addresses.v6)
               and (one.vlans is None or within(packet.vlan, one.vlans))
               and (one.tunnels is None or within(packet.tunnel << 32 | packet.tunnel_id, one.tunnels)) for one in segment.selectors)


def name_fits(name: str, patterns: frozenset[str]) -> bool:
    name = name.lower().removesuffix(".")
    return any(name.endswith(one) and name != one if one[0] == "." else name == one for one in patterns)


def decide(segments: list[Segment], lines: list[Line], packet: Packet) -> tuple[str, int | None]:
    """("allowed", "denied" or "pending", line or None)."""
    for number, line in enumerate(lines):
        if line.kind == "residency" or line.until is not None and line.until <= packet.second:
            continue
        if not any(one == ANY or lies_in(segments[one], packet.source, packet) for one in line.sources):
            continue
        if not any(one == ANY or lies_in(segments[one], packet.target, packet) for one in line.targets):
            continue
        if not within(packet.protocol << 16 | packet.port, line.services):
            continue
        unknown = False
        if line.applications is not None:
            if packet.app is None:
                unknown = True
            elif packet.app not in line.applications:
                continue
            elif line.server_names is not None and packet.name is None:
                unknown = True
            elif line.server_names is not None and not name_fits(packet.name, line.server_names):
                continue
        if unknown and not packet.final:
            return "pending", None
        if unknown and line.action == "allow":
            continue
        return ("denied" if line.action == "deny" else "allowed"), number
    return "denied", None
