"""Community ID, version 1: the same short text for a flow in every tool that computes it.

Source: the Community ID specification (github.com/corelight/community-id-spec), "Pseudo code" and "ICMP".
"""
from __future__ import annotations

import base64
import hashlib
import ipaddress
import struct

# type -> the type that answers it; for these, both directions have one ID
ICMP_ANSWERS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10}
ICMPV6_ANSWERS = {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 144: 145, 145: 144, 139: 140,
                  140: 139}
WITH_PORTS = (1, 6, 17, 58, 132)


def community_id(src: str, dst: str, proto: int, sport: int | None = None, dport: int | None = None, seed: int = 0) -> str:
    """The ID of a flow. Ports are those of TCP, UDP and SCTP, or type and code of ICMP; other protocols have none.
    Raises ValueError for what is no address."""
    addresses = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    one_way = False
    if proto in (1, 58) and sport is not None:
        answers = ICMP_ANSWERS if proto == 1 else ICMPV6_ANSWERS
        one_way = sport not in answers
        dport = answers.get(sport, dport)
    return identify(addresses[0], addresses[1], proto, sport, dport, seed, one_way)


def identify(src: bytes, dst: bytes, proto: int, sport: int | None, dport: int | None, seed: int = 0, one_way: bool = False) -> str:
    """The ID from packed addresses; one_way keeps the direction."""
    if not one_way and (dst, dport or 0) < (src, sport or 0):
        src, dst, sport, dport = dst, src, dport, sport
    data = struct.pack("!H", seed) + src + dst + struct.pack("!BB", proto, 0)
    if sport is not None and dport is not None:
        data += struct.pack("!HH", sport, dport)
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
