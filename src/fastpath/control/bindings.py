"""What belongs together, as the data plane tells of it: GTP tunnels and their subscribers, queue pairs and their segments, hardware."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpath.control.columns import address_text
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.anonymise import Anonymiser

TUNNELS_MAX = 1_000_000     # of which is known whose they are
SEGMENT_TENANT, SEGMENT_VNI = 1 << 63, 1 << 62     # dataplane/bind/roce.pxd


class Bindings:
    """Takes rows of rows.BINDING. tenants: the labels that segments of queue pairs count by, from 1 on. names: of hardware, by MAC."""

    def __init__(self) -> None:
        self.tenants: Sequence[str] = ()
        self.names: dict[int, str] = {}
        self.anonymiser: Anonymiser | None = None       # rows are mapped already; what comes otherwise is mapped here
        self._tunnels: dict[tuple[bytes, int], list[tuple[int, np.void]]] = {}

    def take(self, taken: np.ndarray) -> None:
        """Rows, in the order of their packets."""
        for row in taken[taken["kind"] == rows.BINDINGS.index("tunnel")]:
            key = row["address"].tobytes(), int(row["id"])
            if key in self._tunnels or len(self._tunnels) < TUNNELS_MAX:
                self._tunnels[key] = [*self._tunnels.get(key, ())[-3:], (int(row["ordinal"]), row)]

    def tunnel(self, address: bytes, teid: int, ordinal: int) -> dict[str, Any]:
        """Whose a tunnel endpoint was at a packet; {} where nobody has told."""
        for first, row in reversed(self._tunnels.get((address, teid), ())):
            if first <= ordinal:
                return subscriber(row)
        return {}

    def segment(self, number: int) -> dict[str, Any]:
        """The segment of a queue pair in words."""
        if number & SEGMENT_TENANT:
            at = number & 0xFFFFFFFF
            label = self.tenants[at - 1] if at <= len(self.tenants) else str(at)
            return {"tenant": label if self.anonymiser is None else self.anonymiser.name(label)}
        vlans = [vlan for vlan in (number >> 12 & 4095, number & 4095) if vlan]
        return ({"vni": number >> 24 & 0xFFFFFF} if number & SEGMENT_VNI and self.anonymiser is None else {}) | ({"vlan": vlans} if vlans else {})

    def queue_pairs(self, seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The table of RoCE queue pairs, most bytes first; `seen` as DataPlane.queue_pairs_seen gives it, one of each capture."""
        made: dict[tuple[bytes, int, int, int], dict[str, Any]] = {}
        for one in seen:
            key = one["address"], one["net"], one["queue_pair"], one["segment"]
            have = made.get(key)
            if have is None:
                made[key] = have = {
                    "address": address_text(one["net"], one["address"]), "queue_pair": one["queue_pair"], "partition": one["partition"],
                    "transports": one["transports"], "packets": 0, "bytes": 0, "opcodes": {}, "segment": self.segment(one["segment"]),
                    "elsewhere": None, "foreign": 0, "first": one["first"], "last": one["last"]}
            for name in ("packets", "bytes", "foreign"):
                have[name] += one[name]
            for name, count in one["opcodes"].items():
                have["opcodes"][name] = have["opcodes"].get(name, 0) + count
            have["transports"] = sorted({*have["transports"], *one["transports"]})
            have["first"], have["last"] = min(have["first"], one["first"]), max(have["last"], one["last"])
            if one["elsewhere"] is not None:
                have["elsewhere"] = self.segment(one["elsewhere"])
        return sorted(made.values(), key=lambda one: (-one["bytes"], one["address"], one["queue_pair"]))

    def told(self, taken: np.ndarray) -> Iterator[tuple[str, np.void, dict[str, Any]]]:
        """(event type of EVE, the row, what it says) of each."""
        for row in taken:
            kind = rows.BINDINGS[row["kind"]]
            address = address_text(int(row["net"]), row["address"].tobytes()) if row["net"] else None
            if kind == "tunnel":
                yield "gtp", row, {"what": "bound", "endpoint": address, "teid": int(row["id"])} | subscriber(row)
            elif kind == "foreign":
                yield "gtp", row, {"what": "foreign address", "endpoint": address, "teid": int(row["id"])} | subscriber(row) \
                    | {"address": address_text(int(row["user_net"]), row["user"].tobytes())}
            elif kind == "queue_pair":
                yield "roce", row, {"what": "another segment", "address": address, "queue_pair": int(row["slice"]),
                                    "segment": self.segment(int(row["id"])), "first": self.segment(int(row["expected"]))}
            else:
                yield "hardware", row, self._hardware(kind, row, address)

    def _hardware(self, kind: str, row: np.void, address: str | None) -> dict[str, Any]:
        mac, expected = int(row["id"]), int(row["expected"])
        said: dict[str, Any] = {"what": {"address": "address moved", "neighbour": "neighbour changed", "dhcp": "DHCP fingerprint changed"}[kind],
                                "mac": mac_text(mac)}
        if address is not None:
            said["address"] = address
        if kind == "address":
            said["expected"] = mac_text(expected)
        if kind == "neighbour" and not expected:
            said["what"] = "unknown neighbour"
        name = self.names.get(expected if kind == "address" else mac)
        if name:
            said["name"] = name
        if row["name_length"]:
            said["says"] = text(row)
        return said


def segment_text(segment: dict[str, Any]) -> str:
    """A segment of queue pairs in words."""
    if "tenant" in segment:
        return str(segment["tenant"])
    tags = [f"VNI {segment['vni']}"] if "vni" in segment else []
    tags += ["VLAN " + ", ".join(map(str, segment["vlan"]))] if "vlan" in segment else []
    return ", ".join(tags) or "untagged"


def subscriber(row: np.void) -> dict[str, Any]:
    """Whose a tunnel is: of the subscriber's number the last four digits, of the device its model (TAC)."""
    told: dict[str, Any] = {}
    if row["user_net"] and rows.BINDINGS[row["kind"]] == "tunnel":
        told["address"] = address_text(int(row["user_net"]), row["user"].tobytes())
    if row["has_prefix"]:
        told["prefix"] = address_text(rows.NET_IPV6, row["prefix"].tobytes()) + "/64"
    if row["subscriber"] != 0xFFFF:
        told["subscriber"] = f"*{int(row['subscriber']):04d}"
    if row["device"]:
        told["device"] = f"{int(row['device']):08d}"
    if row["slice"]:
        told["slice"] = {"sst": int(row["slice"]) >> 24, "sd": f"{int(row['slice']) & 0xFFFFFF:06x}"}
    if row["name_length"]:
        told["network"] = text(row)
    if rows.BINDINGS[row["kind"]] == "tunnel":
        told["by"] = rows.BOUND_BY[row["by"]]
    return told


def text(row: np.void) -> str:
    return bytes(row["name"][:row["name_length"]].tobytes()).decode("utf-8", "replace")


def mac_text(mac: int) -> str:
    return mac.to_bytes(6, "big").hex(":")
