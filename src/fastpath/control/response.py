"""What rules with `isolate` do besides their alerts: the data plane cuts a workload off from the next entry on, and here it becomes an
order like the operator's, with its reason, its end and the standby that takes its place."""
from __future__ import annotations

from ipaddress import ip_network

import numpy as np

from fastpath.control.columns import address_text
from fastpath.control.isolation import Isolation
from fastpath.control.reload import Order
from fastpath.control.signatures import Signatures
from fastpath.dataplane.rows import NET_IPV4, NET_IPV6
from fastpath.rules.plan import ISOLATE_DST

SECOND = 1_000_000_000
CUTS_MAX = 1 << 13      # addresses that the data plane has room for (dataplane/isolation.pxd); beyond them it dropped the flow alone


class Responses:
    """The orders that alerts amount to. A workload that is cut off already is not told of again until that has ended."""

    def __init__(self) -> None:
        self._until: dict[tuple[int, bytes], int] = {}

    def orders(self, alerts: np.ndarray, base: int, signatures: Signatures) -> list[Order]:
        """alerts: of rows.ALERT, in order, with the rules of the present set, which begin at `base`."""
        made: list[Order] = []
        if not signatures.isolates or not len(alerts):
            return made
        rules = alerts["rule"] + np.uint32(base)
        asked = signatures.isolate[signatures.at(rules)]
        for at in np.flatnonzero(asked).tolist():
            row, seconds = alerts[at], int(asked[at]) & ~ISOLATE_DST
            net, side = int(row["key"]["net"]), int(row["reversed"]) ^ bool(asked[at] & ISOLATE_DST)
            if net not in (NET_IPV4, NET_IPV6):
                continue
            ts, address = int(row["ts"]), row["key"]["addr"][side].tobytes()
            if (net, address) not in self._until and len(self._until) == CUTS_MAX:
                continue
            until, known = ts + seconds * SECOND, self._until.get((net, address), 0)
            self._until[net, address] = max(known, until)
            if known > ts:
                continue
            signature = signatures[int(rules[at])]
            workload = address_text(net, address)
            made.append(Order("isolate", int(row["ordinal"]) + 1, ts, Isolation(
                workload, (ip_network(workload),), until, signature.msg, dict(signature.metadata).get("standby", ""),
                f"{signature.gid}:{signature.sid}")))
        return made
