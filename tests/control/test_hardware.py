"""Manifests of hardware: what they say, and what is refused at its place."""
from __future__ import annotations

import pytest

from fastpath.control.hardware import Hardware
from fastpath.control.policy import PolicyError

WHOLE = """
hardware:
- {name: bmc-7, address: [10.9.0.7, "fd00::7"], mac: 3c:ec:ef:00:00:07, dhcp: {options: [1, 3, 6, 15], vendor: OpenBMC}}
- {address: 10.9.0.8, mac: 3C-EC-EF-00-00-08}
neighbours:
- {name: leaf-1, mac: 50:6b:4b:00:00:01, lldp: {chassis: "50:6b:4b:00:00:00", port: swp7, system: leaf-1}}
"""


def test_what_it_says():
    hardware = Hardware.parse(WHOLE)
    assert hardware.neighbours
    assert hardware.names == {0x3CECEF000007: "bmc-7", 0x506B4B000001: "leaf-1"}
    addresses = {(row["address"].tobytes().rstrip(b"\0"), int(row["id"])): int(row["value"]) for row in hardware.facts if row["kind"] == 1}
    assert addresses == {(bytes([10, 9, 0, 7]), 4): 0x3CECEF000007, (bytes([0xFD]) + bytes(14) + b"\x07", 6): 0x3CECEF000007,
                         (bytes([10, 9, 0, 8]), 4): 0x3CECEF000008}
    assert sorted(hardware.facts["kind"].tolist()) == [1, 1, 1, 2, 3]
    assert not Hardware.parse("hardware: []").neighbours


@pytest.mark.parametrize(("text", "place", "message"), [
    ("hardware:\n- {address: 10.0.0.1}\n", "2:3", "a machine needs 'mac'"),
    ("hardware:\n- {mac: 3c:ec}\n", "2:9", "expected a MAC address, found '3c:ec'"),
    ("hardware:\n- {mac: 3c:ec:ef:00:00:07, address: ten}\n", "2:37", "expected an IP address"),
    ("hardware:\n- {mac: 3c:ec:ef:00:00:07, dhcp: {options: [255]}}\n", "2:45", "expected an option from 1 to 254"),
    ("hardware:\n- {mac: 3c:ec:ef:00:00:07, address: 10.0.0.1}\n- {mac: 3c:ec:ef:00:00:08, address: 10.0.0.1}\n", "3:37", "is told twice"),
    ("neighbours:\n- {mac: 3c:ec:ef:00:00:07, lldp: {chassis: a}}\n", "2:34", "what LLDP says needs 'port'"),
    ("machines: []\n", "1:1", "a manifest of hardware has no 'machines'"),
    ("hardware: [\n", "2:1", "not YAML"),
])
def test_what_cannot_be_is_refused_at_its_place(text, place, message):
    with pytest.raises(PolicyError) as error:
        Hardware.parse(text, "h.yaml")
    assert f"h.yaml:{place}" in str(error.value)
    assert message in str(error.value)
