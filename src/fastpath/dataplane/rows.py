"""The rows that leave the data plane, as numpy dtypes: the structs of types.h, field by field, native byte order.

What a field means is said in types.h. The names of actions, ends, tunnels and so on are indexed by their number there;
the texts of reasons and events are read from the headers themselves, so that each is written once.
"""
from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import numpy as np

NO_RULE = 0xFFFFFFFF

ACTIONS = ("pass", "drop", "reject", "reject_dst", "reject_both")
LEDGER = ("inspected", "offloaded", "dropped", "errored")
FLOW_STATES = ("new", "established", "closed")
FLOW_ENDS = ("timeout", "forced", "shutdown", "reuse")
SOURCES = ("packet", "stream", "flush", "defrag")
TUNNELS = ("", "ipip", "6in4", "4in6", "6in6", "gre", "nvgre", "erspan", "teredo", "vxlan", "geneve", "gtpu")
NET_NONE, NET_ARP, NET_IPV4, NET_IPV6 = 0, 1, 4, 6

# the flags of a flow row
FLOW_REVERSED, FLOW_ALERTED, FLOW_DROP, FLOW_PASS, FLOW_BYPASS, FLOW_OFFLOADED = 1 << 0, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7

FLOW_KEY = np.dtype([("addr", "u1", (2, 16)), ("port", "u2", 2), ("vlan", "u2", 3), ("proto", "u1"), ("tunnel", "u1"), ("net", "u1"),
                     ("vni", "u1", 3)])

VERDICT = np.dtype([("action", "u1"), ("reason", "u1"), ("ledger", "u1"), ("alerts", "u1"), ("rule", "u4"), ("flow", "u8")])

RUN = np.dtype([("packets", "u8"), ("rule", "u4"), ("action", "u1"), ("reason", "u1"), ("ledger", "u1"), ("reserved", "u1")])

ALERT = np.dtype([
    ("ordinal", "u8"), ("ts", "u8"), ("flow", "u8"), ("flow_start", "u8"), ("bytes", "u8", 2), ("pkts", "u4", 2),
    ("key", FLOW_KEY), ("outer", FLOW_KEY), ("rule", "u4"), ("tunnel_id", "u4"), ("index", "u2"), ("entry", "u2"),
    ("action", "u1"), ("source", "u1"), ("to_client", "u1"), ("reversed", "u1"), ("outer_reversed", "u1"),
    ("depth", "u1"), ("icmp_type", "u1"), ("icmp_code", "u1"), ("net", "u1"), ("has_flow", "u1"),
    ("app_proto", "u1", 4), ("verdict", "u1"), ("reject", "u1"), ("qfi", "u1"), ("decrypted", "u1"), ("reserved", "u1", 2),
])

FLOW = np.dtype([
    ("flow", "u8"), ("first_ordinal", "u8"), ("end_ordinal", "u8"), ("start", "u8"), ("last", "u8"), ("bytes", "u8", 2),
    ("pkts", "u4", 2), ("key", FLOW_KEY), ("offloaded_bytes", "u8"), ("dropped_bytes", "u8"), ("errored_bytes", "u8"),
    ("offloaded_pkts", "u4"), ("dropped_pkts", "u4"), ("errored_pkts", "u4"), ("alerts", "u4"), ("rule", "u4"), ("flags", "u2"),
    ("state", "u1"), ("end", "u1"), ("tcp_state", "u1"), ("tcp_flags", "u1", 2), ("reason", "u1"), ("app_proto", "u1", 4),
])

EVENT = np.dtype([("ordinal", "u8"), ("ts", "u8"), ("key", FLOW_KEY), ("code", "u2"), ("entry", "u2"), ("reversed", "u1"),
                  ("net", "u1"), ("reserved", "u2")])

APP = np.dtype([
    ("ordinal", "u8"), ("ts", "u8"), ("flow", "u8"), ("flow_start", "u8"), ("tx", "u8"), ("offset", "u8"), ("key", FLOW_KEY),
    ("length", "u4"), ("code", "u2"), ("entry", "u2"), ("kind", "u1"), ("proto", "u1"), ("direction", "u1"), ("reversed", "u1"),
    ("to_client", "u1"), ("worker", "u1"), ("depth", "u1"), ("decrypted", "u1"),
])

#: One wire packet, on request: made for columns, not hashed.
PACKET = np.dtype([("ordinal", "u8"), ("ts", "u8"), ("flow", "u8"), ("rule", "u4"), ("caplen", "u4"), ("wirelen", "u4"),
                   ("action", "u1"), ("reason", "u1"), ("ledger", "u1"), ("alerts", "u1")])

#: A verdict on its way through a ring (ring.pxd).
RING = np.dtype([("ordinal", "u8"), ("flow", "u8"), ("rule", "u4"), ("action", "u1"), ("reason", "u1"), ("ledger", "u1"), ("alerts", "u1")])

#: Ranges of isolated addresses (isolation.pxd): IPv4 in host order, of IPv6 the upper half first; until: ns.
ISOLATED4 = np.dtype([("low", "u4"), ("high", "u4"), ("until", "u8")])
ISOLATED6 = np.dtype([("low", "u8", 2), ("high", "u8", 2), ("until", "u8")])
#: What the log says of an entry (log.pxd): for `fastpath offload`, on request.
LOG = np.dtype([("now", "u8"), ("flow_bytes", "u8"), ("flow_pkts", "u4"), ("flow", "u4"), ("size", "u4"), ("stream", "u4"), ("ns", "u4"),
                ("flags", "u4"), ("alerts", "u2"), ("stateful", "u2"), ("rss", "u2"), ("tcp_flags", "u1"), ("reserved", "u1")])
(LOG_LAST, LOG_FLOW, LOG_BEGIN, LOG_END, LOG_EMPTY, LOG_CLOSED, LOG_OVER, LOG_TCP, LOG_QUOTED, LOG_REJECTED, LOG_TO_CLIENT, LOG_DATA,
 LOG_INVALID, LOG_CUT, LOG_BYPASS, LOG_DROP, LOG_PASS, LOG_ENCRYPTED, LOG_DEPTH, LOG_LAST_ACK) = (1 << bit for bit in range(20))
#: A flow that policy denies, once.
DENIAL = np.dtype([
    ("ordinal", "u8"), ("ts", "u8"), ("flow", "u8"), ("key", FLOW_KEY), ("line", "u4"), ("source", "u4"), ("target", "u4"),
    ("tunnel_id", "u4"), ("policy", "u2"), ("entry", "u2"), ("data", "u2"), ("reversed", "u1"), ("app", "u1"), ("action", "u1"),
    ("why", "u1"), ("reserved", "u1", 6),
])
#: enum policy_why: a line says so, no line allows it, its application was not known in time, its data may not go there, it does not belong
#: where it is.
DENIAL_REASONS = ("line", "default", "limit", "data", "binding")
#: What was bound, and what does not fit (dataplane/bind/table.pxd).
BINDING = np.dtype([
    ("ordinal", "u8"), ("ts", "u8"), ("id", "u8"), ("expected", "u8"), ("address", "u1", 16), ("user", "u1", 16), ("prefix", "u1", 16),
    ("slice", "u4"), ("device", "u4"), ("subscriber", "u2"), ("kind", "u1"), ("net", "u1"), ("user_net", "u1"), ("has_prefix", "u1"),
    ("by", "u1"), ("name_length", "u1"), ("name", "u1", 64),
])
#: enum binding_kind, bound_by.
BINDINGS = ("tunnel", "foreign", "queue_pair", "address", "neighbour", "dhcp")
BOUND_BY = ("gtpc", "pfcp")

#: What DataPlane.rows() gives, by name.
DTYPES = {"alerts": ALERT, "flows": FLOW, "events": EVENT, "runs": RUN, "packets": PACKET, "apps": APP, "denials": DENIAL,
          "log": LOG, "bindings": BINDING}


def _texts(header: str, prefix: str) -> tuple[str, ...]:
    text = files("fastpath.dataplane").joinpath(header).read_text()
    return tuple(re.findall(rf'X\({prefix}\w+,\s*"([^"]+)"\)', text))


@cache
def reasons() -> tuple[str, ...]:
    """The text of each enum reason, by its number."""
    return _texts("types.h", "REASON_")


#: Of a verdict whose rule is a line of the policy.
REASON_POLICY = reasons().index("policy")


@cache
def events() -> tuple[str, ...]:
    """The name of each enum event, by its number."""
    return _texts("events.h", "EVENT_")
