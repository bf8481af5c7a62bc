"""The inventory: which services are spoken, by whom and with whom, from the notes of rules with `inventory`, and from the protocols that
flows were recognised as.

Such a rule says in its metadata what it has found: `service NAME` (blanks as underscores), `service_kind KIND`, `service_by EVIDENCE`,
with `service_side client` that the service runs at the flow's client end; otherwise it is the server's; and with `service_domain
NAME` by which server name it goes, `.NAME` for that and all below it.

What such a rule's expressions capture is told too: `pcre:"/.../, inventory:version"` the version of the server, of each service that
`version_of SERVICE` names (a rule may do that alone, and find nothing by itself: an answer such as {"version":"1.2"} is a version of
whatever was recognised there), `inventory:client` and `inventory:client_version` what the client says that it is. The latest holds.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from fastpath.control.columns import address_text
from fastpath.control.signatures import Signatures
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.policy import Policy

ITEMS_MAX = 100_000         # of one inventory; of versions and of clients likewise
FLOWS_MAX = 1_000_000       # whose bytes are still to come
APP_ROW_NOTED = 34          # app_row_t.kind of what rules captured

_decode = msgspec.msgpack.Decoder().decode

#: What devices and the cluster's fabric speak: protocol -> service, kind.
SPOKEN = {
    "mqtt": ("MQTT", "iot"), "coap": ("CoAP", "iot"),
    "modbus": ("Modbus", "plant"), "dnp3": ("DNP3", "plant"), "enip": ("EtherNet/IP", "plant"), "s7": ("S7", "plant"),
    "opcua": ("OPC UA", "plant"), "bacnet": ("BACnet", "plant"),
    "nvme-tcp": ("NVMe/TCP", "storage"), "nfs": ("NFS", "storage"), "nccl": ("NCCL", "gpu cluster"),
    "gtpc": ("GTPv2-C", "mobile core"), "pfcp": ("PFCP", "mobile core"),
    "ipmi": ("IPMI", "management"), "snmp": ("SNMP", "management"),
}


@dataclass(slots=True)
class Item:
    """One service as one workload uses it. workload: the address of who uses it, peer: of who offers it (of a name that was looked
    up: the resolver). first, last: ns since 1970. bytes_out: from the workload, once its flows have ended. version: as the server has
    told it; client, client_version: what the workload says that it asks with; "" where that was not said."""
    service: str
    kind: str
    by: str                     # what gave it away: tls, http, dns ...
    workload: str
    peer: str
    port: int
    first: int
    last: int
    flows: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    status: str = ""            # sanctioned, tolerated, forbidden, as the policy lists it; "" where it does not
    version: str = ""
    client: str = ""
    client_version: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def service_of(metadata: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """(name, kind) of the service that a rule with this metadata finds."""
    said = dict(metadata)
    return (said["service"].replace("_", " "), said.get("service_kind", "")) if "service" in said else None


def tells_alone(metadata: Iterable[tuple[str, str]]) -> bool:
    """Does a rule with this metadata find nothing by itself, and only tell a version?"""
    names = {name for name, _ in metadata}
    return "version_of" in names and "service" not in names


class Services:
    """What rules with `inventory` call a service, by its server name."""

    def __init__(self, signatures: Signatures) -> None:
        self._names: dict[str, str] = {}
        for number in np.flatnonzero(signatures.note).tolist() if signatures.notes else ():
            said = dict(signatures[number].metadata)
            if "service_domain" in said:
                self._names[said["service_domain"]] = said.get("service", "unknown").replace("_", " ")

    def named(self, name: str) -> str | None:
        if name in self._names:
            return self._names[name]
        labels = name.split(".")
        return next((found for at in range(len(labels)) if (found := self._names.get("." + ".".join(labels[at:])))), None)


class Inventory:
    """Takes notes and flow rows; `left_out` counts what found no room."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str, str, str, int], Item] = {}
        self._flows: dict[int, list[Item]] = {}
        self._versions: dict[tuple[str, int], dict[tuple[str, ...], str]] = {}     # by peer and port: of which services, the latest last
        self._clients: dict[tuple[str, str, int], dict[str, str]] = {}      # by workload, peer and port
        self._spoken: dict[int, tuple[str, str]] = {}       # by number of the protocol; empty: nobody asks
        self.left_out = 0

    def follow_protocols(self) -> None:
        """From now on flows of the protocols of SPOKEN are in it too, with `by` bytes."""
        from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS
        self._spoken = {PROTOCOL_NUMBERS[name]: said for name, said in SPOKEN.items()}

    def note(self, notes: np.ndarray, signatures: Signatures) -> None:
        """Rows of rows.ALERT whose rules are marked `inventory`."""
        for row in notes:
            said = dict(signatures[int(row["rule"])].metadata)
            if tells_alone(said.items()):
                continue
            server_end = int(row["reversed"]) ^ int(row["to_client"]) ^ 1
            if said.get("service_side") == "client":
                server_end ^= 1
            net, addr, port = int(row["key"]["net"]), row["key"]["addr"], row["key"]["port"]
            workload = address_text(net, addr[server_end ^ 1].tobytes())
            peer = address_text(net, addr[server_end].tobytes())
            service, kind = service_of(said.items()) or ("unknown", "")
            key = service, said.get("service_by", ""), workload, peer, int(port[server_end])
            ts = int(row["ts"])
            item = self._item(key, kind, ts, ts)
            if item is not None:
                self._follow(int(row["flow"]), item)

    def take(self, apps: np.ndarray, held: bytes, signatures: Signatures, base: int) -> None:
        """Rows of rows.APP, the bytes that they point into, and where the rules of the present set begin in `signatures`: what rules with
        `inventory` have captured."""
        for row in apps[apps["kind"] == APP_ROW_NOTED]:
            start = int(row["offset"])
            told = _decode(held[start:start + int(row["length"])])
            client = int(row["reversed"])
            net, addr, port = int(row["key"]["net"]), row["key"]["addr"], int(row["key"]["port"][1 - client])
            peer = address_text(net, addr[1 - client].tobytes())
            if "version" in told:
                metadata = signatures[told["rule"] + base].metadata
                services = tuple(value.replace("_", " ") for name, value in metadata if name in ("service", "version_of"))
                if (versions := self._room(self._versions, (peer, port))) is not None:
                    versions.pop(services, None)
                    versions[services] = _text(told["version"])
                continue
            ends = address_text(net, addr[client].tobytes()), peer, port
            if (said := self._room(self._clients, ends)) is not None:
                said |= {name: _text(told[name]) for name in ("client", "client_version") if name in told}

    def _room(self, kept: dict[Any, dict[Any, str]], key: Any) -> dict[Any, str] | None:
        """What is kept under a key; None where there is no room for it."""
        if key not in kept and len(kept) == ITEMS_MAX:
            self.left_out += 1
            return None
        return kept.setdefault(key, {})

    def _item(self, key: tuple[str, str, str, str, int], kind: str, first: int, last: int) -> Item | None:
        """The item of a key, seen in between; None where there is no room."""
        item = self._items.get(key)
        if item is None:
            if len(self._items) == ITEMS_MAX:
                self.left_out += 1
                return None
            item = self._items[key] = Item(key[0], kind, key[1], key[2], key[3], key[4], first, last)
        item.first, item.last = min(item.first, first), max(item.last, last)
        return item

    def _follow(self, flow: int, item: Item) -> None:
        known = self._flows.get(flow)
        if known is None:
            if len(self._flows) == FLOWS_MAX:
                self.left_out += 1
                return
            known = self._flows[flow] = []
        if not any(each is item for each in known):
            known.append(item)
            item.flows += 1

    def count(self, flows: np.ndarray) -> None:
        """Flow rows: what those of the inventory have carried."""
        if self._spoken and len(flows):
            self._count_spoken(flows)
        if not self._flows:
            return
        for at in np.flatnonzero(np.isin(flows["flow"], np.fromiter(self._flows, "u8", len(self._flows)))).tolist():
            row = flows[at]
            for item in self._flows.pop(int(row["flow"]), ()):
                item.bytes_out += int(row["bytes"][0])
                item.bytes_in += int(row["bytes"][1])
                item.last = max(item.last, int(row["last"]))

    def _count_spoken(self, flows: np.ndarray) -> None:
        """Flows that are in the inventory for what they speak."""
        proto = flows["app_proto"][:, 0]
        for at in np.flatnonzero(np.isin(proto, list(self._spoken))).tolist():
            row = flows[at]
            service, kind = self._spoken[int(proto[at])]
            client = int(row["flags"]) & rows.FLOW_REVERSED
            net, addr = int(row["key"]["net"]), row["key"]["addr"]
            key = (service, "bytes", address_text(net, addr[client].tobytes()), address_text(net, addr[1 - client].tobytes()),
                   int(row["key"]["port"][1 - client]))
            item = self._item(key, kind, int(row["start"]), int(row["last"]))
            if item is not None:
                item.flows += 1
                item.bytes_out += int(row["bytes"][0])
                item.bytes_in += int(row["bytes"][1])

    def items(self, policy: Policy | None = None) -> list[Item]:
        """Most bytes first; each with the status that this policy gives it, and what was told of versions."""
        for item in self._items.values():
            listing = policy.listing_of(item.service, item.kind) if policy is not None else None
            item.status = listing.status if listing is not None else ""
            versions = self._versions.get((item.peer, item.port), {})
            item.version = next((version for services, version in reversed(versions.items()) if item.service in services), "")
            said = self._clients.get((item.workload, item.peer, item.port), {})
            item.client, item.client_version = said.get("client", ""), said.get("client_version", "")
        return sorted(self._items.values(), key=lambda item: (-item.bytes_out - item.bytes_in, item.service, item.workload, item.peer))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
