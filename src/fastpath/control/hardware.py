"""Manifests of hardware: which address has which MAC, what its DHCP client asks for, which neighbours LLDP tells of.

    hardware:
    - {name: bmc-7, address: 10.9.0.7, mac: 3c:ec:ef:00:00:07, dhcp: {options: [1, 3, 6, 15], vendor: "OpenBMC"}}
    neighbours:
    - {name: leaf-1, mac: 50:6b:4b:00:00:01, lldp: {chassis: "50:6b:4b:00:00:00", port: swp7, system: leaf-1}}
"""
from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastpath.control.policy.compile import fnv1a
from fastpath.control.policy.yaml import Node, document
from fastpath.rules.plan import Place

KNOWN_ADDRESS, KNOWN_NEIGHBOUR, KNOWN_DHCP = 1, 2, 3    # dataplane/bind/hardware.pxd
FACTS_MAX = 40_000
MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")


class Hardware:
    """What a manifest says. facts: rows of bindings.KNOWN_ROW; neighbours: whether it names any, so that others are strangers; names: by
    MAC. Raises PolicyError, with its place, for what cannot be read."""

    def __init__(self, top: Node):
        from fastpath.dataplane.bindings import KNOWN_ROW
        found = top.mapping("a manifest of hardware", ("hardware", "neighbours"))
        facts: dict[tuple[int, bytes, int], tuple[int, Place]] = {}
        self.names: dict[int, str] = {}
        for node in found["hardware"].listed("hardware") if "hardware" in found else ():
            self._machine(node.mapping("a machine", ("name", "address", "mac", "dhcp"), ("mac",)), facts)
        for node in found["neighbours"].listed("neighbours") if "neighbours" in found else ():
            self._neighbour(node.mapping("a neighbour", ("name", "mac", "lldp"), ("mac", "lldp")), facts)
        if len(facts) > FACTS_MAX:
            raise top.fail(f"a manifest has at most {FACTS_MAX} facts, this one {len(facts)}")
        self.neighbours = "neighbours" in found
        self.facts = np.zeros(len(facts), KNOWN_ROW)
        for row, ((kind, address, number), (value, _)) in zip(self.facts, facts.items(), strict=True):
            row["kind"], row["id"], row["value"] = kind, number, value
            row["address"][:len(address)] = np.frombuffer(address, "u1")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a YAML file. OSError where it cannot be read."""
        return cls.parse(Path(path).read_bytes(), str(path))

    @classmethod
    def parse(cls, text: str | bytes, name: str = "<text>") -> Self:
        return cls(document(text, name, "a manifest of hardware"))

    def _machine(self, found: dict[str, Node], facts: dict[Any, Any]) -> None:
        mac = self._mac(found)
        for one in found["address"].items("addresses") if "address" in found else ():
            try:
                address = ipaddress.ip_address(one.text("an address"))
            except ValueError:
                raise one.fail("expected an IP address") from None
            _add(facts, one, (KNOWN_ADDRESS, address.packed, address.version), mac)
        if "dhcp" in found:
            told = found["dhcp"].mapping("a DHCP fingerprint", ("options", "vendor"), ("options",))
            options = bytes(one.number("an option", 1, 254) for one in told["options"].items("options"))
            vendor = told["vendor"].text("a vendor class").encode() if "vendor" in told else b""
            _add(facts, found["dhcp"], (KNOWN_DHCP, b"", mac), fnv1a(options + b"\0" + vendor) | 1)

    def _neighbour(self, found: dict[str, Node], facts: dict[Any, Any]) -> None:
        mac = self._mac(found)
        told = found["lldp"].mapping("what LLDP says", ("chassis", "port", "system"), ("chassis", "port"))
        said = _identifier(told["chassis"]) + b"\0" + _identifier(told["port"]) + b"\0"
        if "system" in told:
            said += told["system"].text("a system name").encode()
        _add(facts, found["mac"], (KNOWN_NEIGHBOUR, b"", mac), fnv1a(said) | 1)

    def _mac(self, found: dict[str, Node]) -> int:
        text = found["mac"].text("a MAC address")
        if not MAC.fullmatch(text):
            raise found["mac"].fail(f"expected a MAC address, found {text[:60]!r}")
        mac = int(re.sub("[:-]", "", text), 16)
        if "name" in found:
            self.names[mac] = found["name"].text("a name")
        return mac


def _identifier(node: Node) -> bytes:
    """Of a chassis or a port: a MAC address stands for its bytes."""
    text = node.text("an identifier")
    return bytes.fromhex(re.sub("[:-]", "", text)) if MAC.fullmatch(text) else text.encode()


def _add(facts: dict[Any, Any], node: Node, key: tuple[int, bytes, int], value: int) -> None:
    if key in facts:
        raise node.fail("is told twice", facts[key][1])
    facts[key] = value, node.place
