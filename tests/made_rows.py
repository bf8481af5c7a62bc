"""Rows as the data plane gives them, made by hand, and the rules that they name."""
from __future__ import annotations

import socket

import numpy as np

from fastpath.control.columns import Captures
from fastpath.control.result import Batch
from fastpath.control.signatures import Signatures
from fastpath.dataplane import rows
from fastpath.rules import RuleSet

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
RULES = r"""
alert tcp any any -> any 80 (msg:"one"; content:"x"; classtype:attempted-admin; metadata:created_at 2020_01_01, tag a, tag b; target:dest_ip; sid:1; rev:3;)
drop udp any any -> any any (msg:"two <b>[red]\; \"quoted\""; content:"y"; priority:2; sid:2;)
"""


def rules() -> RuleSet:
    return RuleSet.parse(RULES)


def key(src: str, sport: int, dst: str, dport: int, proto: int = 6, vlan: tuple = (), tunnel: int = 0) -> tuple[np.ndarray, int]:
    """The normalised key and whether it is reversed."""
    family, net = (socket.AF_INET6, rows.NET_IPV6) if ":" in src else (socket.AF_INET, rows.NET_IPV4)
    ends = [(socket.inet_pton(family, src).ljust(16, b"\0"), sport), (socket.inet_pton(family, dst).ljust(16, b"\0"), dport)]
    reverse = ends[1] < ends[0]
    made = np.zeros((), rows.FLOW_KEY)
    for i, (address, port) in enumerate(reversed(ends) if reverse else ends):
        made["addr"][i] = np.frombuffer(address, "u1")
        made["port"][i] = port
    made["vlan"][:len(vlan)] = vlan
    made["proto"], made["net"], made["tunnel"] = proto, net, tunnel
    return made, int(reverse)


def alert(it: tuple[np.ndarray, int], **fields) -> np.ndarray:
    row = np.zeros(1, rows.ALERT)
    row["key"], row["reversed"] = it
    for name, value in ({"ordinal": 1, "ts": START, "flow": 99, "flow_start": START, "net": it[0]["net"], "has_flow": 1,
                         "pkts": (2, 1), "bytes": (200, 60)} | fields).items():
        row[name] = value
    return row


def flow(it: tuple[np.ndarray, int], **fields) -> np.ndarray:
    row = np.zeros(1, rows.FLOW)
    row["key"], row["flags"] = it
    for name, value in ({"flow": 99, "first_ordinal": 1, "end_ordinal": 5, "start": START, "last": START + 2 * SECOND, "pkts": (4, 3),
                         "bytes": (400, 300), "rule": rows.NO_RULE} | fields).items():
        row[name] = row[name] | value if name == "flags" else value
    return row


def batch(captures: tuple[tuple[str, int], ...] = (("a.pcap", 1),), **kinds) -> Batch:
    """A batch of rows: alerts=[...], flows=[...] and so on."""
    files = Captures()
    for name, first in captures:
        last = files.begin(name, first)
    taken = {name: np.concatenate(kinds[name]) if name in kinds else np.empty(0, dtype) for name, dtype in rows.DTYPES.items()}
    return Batch(taken | {"app_bytes": b""}, Signatures(rules()), files, last)
