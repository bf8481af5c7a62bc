"""The inventory: which services are spoken, by whom and with whom, from the notes of rules with `inventory`.

Such a rule says in its metadata what it has found: `service NAME` (blanks as underscores), `service_kind KIND`, `service_by EVIDENCE`,
with `service_side client` that the service runs at the flow's client end; otherwise it is the server's; and with `service_domain
NAME` by which server name it goes, `.NAME` for that and all below it.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fastpath.control.columns import address_text
from fastpath.control.signatures import Signatures

ITEMS_MAX = 100_000         # of one inventory
FLOWS_MAX = 1_000_000       # whose bytes are still to come


@dataclass(slots=True)
class Item:
    """One service as one workload uses it. workload: the address of who uses it, peer: of who offers it (of a name that was looked
    up: the resolver). first, last: ns since 1970. bytes_out: from the workload, once its flows have ended."""
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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


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
        self.left_out = 0

    def note(self, notes: np.ndarray, signatures: Signatures) -> None:
        """Rows of rows.ALERT whose rules are marked `inventory`."""
        for row in notes:
            said = dict(signatures[int(row["rule"])].metadata)
            server_end = int(row["reversed"]) ^ int(row["to_client"]) ^ 1
            if said.get("service_side") == "client":
                server_end ^= 1
            net, addr, port = int(row["key"]["net"]), row["key"]["addr"], row["key"]["port"]
            workload = address_text(net, addr[server_end ^ 1].tobytes())
            peer = address_text(net, addr[server_end].tobytes())
            service = said.get("service", "unknown").replace("_", " ")
            key = service, said.get("service_by", ""), workload, peer, int(port[server_end])
            item = self._items.get(key)
            ts = int(row["ts"])
            if item is None:
                if len(self._items) == ITEMS_MAX:
                    self.left_out += 1
                    continue
                item = self._items[key] = Item(service, said.get("service_kind", ""), key[1], workload, peer, key[4], ts, ts)
            item.first, item.last = min(item.first, ts), max(item.last, ts)
            self._follow(int(row["flow"]), item)

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
        if not self._flows:
            return
        for at in np.flatnonzero(np.isin(flows["flow"], np.fromiter(self._flows, "u8", len(self._flows)))).tolist():
            row = flows[at]
            for item in self._flows.pop(int(row["flow"]), ()):
                item.bytes_out += int(row["bytes"][0])
                item.bytes_in += int(row["bytes"][1])
                item.last = max(item.last, int(row["last"]))

    def items(self) -> list[Item]:
        """Most bytes first."""
        return sorted(self._items.values(), key=lambda item: (-item.bytes_out - item.bytes_in, item.service, item.workload, item.peer))
