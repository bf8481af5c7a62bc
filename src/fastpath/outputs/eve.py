"""EVE: one JSON object a line for each alert, flow and anomaly, each order of the control plane, and one with statistics at the end.

Fields and spelling are those of Suricata 7.0's EVE output (User Guide, Eve JSON Format; the schema etc/schema.json); times
are UTC. `flow_id` is fastpath's own. What fastpath does not know yet (the application protocol) is absent.
"""
from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import IO, Any

import msgspec
import numpy as np

from fastpath.control.community_id import WITH_PORTS, identify
from fastpath.control.reload import Order
from fastpath.control.result import Batch
from fastpath.dataplane import rows
from fastpath.outputs.eve_app import AppRows, app_proto, printable
from fastpath.outputs.guard import Guard
from fastpath.outputs.protocols import PROTOCOLS

#: Event types of the application layers.
APP_EVENT_TYPES = ("http", "tls", "dns", "ssh", "smtp", "ftp", "ftp_data", "smb", "dcerpc", "quic", "fileinfo", "model")
#: Event types, by the names of `--events`.
EVENTS = ("alert", "anomaly", "flow", "gtp", "hardware", "inventory", "llm", "policy", "roce", "stats", *APP_EVENT_TYPES)

WITH_L4_PORTS = frozenset((6, 17, 132))
ICMP = frozenset((1, 58))
SECOND = 1_000_000_000
ETHERNET = 1
LINKTYPES = {101: 12}       # as libpcap calls a bare IP packet, in Suricata's numbers

#: How an inner packet was found, in Suricata's words where it has that tunnel.
PACKET_SOURCES = {"": "wire/pcap", "ipip": "ipv4 tunnel", "6in4": "ipv4 tunnel", "4in6": "ipv6 tunnel", "6in6": "ipv6 tunnel",
                  "gre": "gre tunnel", "nvgre": "gre tunnel", "erspan": "gre tunnel", "teredo": "teredo tunnel",
                  "vxlan": "vxlan encapsulation", "geneve": "geneve encapsulation", "gtpu": "gtpu tunnel"}
TCP_STATES = ("none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2", "time_wait", "last_ack", "close_wait",
              "closing", "closed")
SOURCES = {2: "stream (flow timeout)", 3: "defrag"}     # by alert_row_t.source; the others: PACKET_SOURCES
SOURCE_DEFRAG = 3
TCP_FLAGS = ((0x02, "syn"), (0x01, "fin"), (0x04, "rst"), (0x08, "psh"), (0x10, "ack"), (0x20, "urg"), (0x40, "ecn"), (0x80, "cwr"))
FLOW_REASONS = {"reuse": "tcp_reuse"}
VERDICTS = ("alert", "drop", "pass")        # by enum alert_verdict
REJECTIONS = {"TCP": "tcp-reset", "UDP": "icmp-prohib", "ICMP": "icmp-prohib", "IPv6-ICMP": "icmp-prohib"}
REJECT_TARGETS = {2: "to_client", 3: "to_server", 4: "both"}

#: Suricata's names of reasons to drop, where they are not fastpath's with underscores.
DROP_REASONS = {"rule": "rules", "flow dropped": "flow_drop", "malformed": "decode_error",
                "stream reassembly memcap": "stream_reassembly"}


def check_events(names: Iterable[str]) -> frozenset[str]:
    """The event types that names stand for; "all" is every one. ValueError for a name that there is not."""
    asked = {name.strip() for name in names}
    unknown = asked - set(EVENTS) - {"all"}
    if unknown:
        raise ValueError(f"no events named {', '.join(sorted(unknown))}; there are {', '.join(EVENTS)} and all")
    return frozenset(EVENTS if "all" in asked else asked)


@lru_cache(4096)
def _clock(second: int) -> str:
    return str(np.datetime64(second, "s"))


def timestamp(ns: int) -> str:
    """As EVE writes it: microseconds, cut, and the offset of UTC."""
    return f"{_clock(ns // SECOND)}.{ns % SECOND // 1000:06d}+0000"


@lru_cache(65536)
def address(net: int, raw: bytes) -> str:
    """As EVE writes it: IPv6 in full."""
    if net == rows.NET_IPV4:
        return str(ipaddress.IPv4Address(raw[:4]))
    return ipaddress.IPv6Address(raw).exploded


@lru_cache(65536)
def _community_id(key: bytes, seed: int) -> str:
    """Of the bytes of a flow key."""
    it = np.frombuffer(key, rows.FLOW_KEY)[0]
    size = 4 if it["net"] == rows.NET_IPV4 else 16
    first, second = (one.tobytes()[:size] for one in it["addr"])
    ports = it["port"].tolist() if it["proto"] in WITH_PORTS else (None, None)
    return identify(first, second, int(it["proto"]), ports[0], ports[1], seed)


class Ends:
    """Source and destination of rows, from keys and directions, as plain values by row."""

    def __init__(self, keys: np.ndarray, second: np.ndarray):
        """second: where true, the source is endpoint 1. A key of zeros stands for no addresses."""
        at = (second != 0).astype("u1")
        each = np.arange(len(keys))
        self.net = keys["net"].tolist()
        self.source = np.ascontiguousarray(keys["addr"][each, at]).view("V16").ravel().tolist()
        self.destination = np.ascontiguousarray(keys["addr"][each, 1 - at]).view("V16").ravel().tolist()
        self.sport = keys["port"][each, at].tolist()
        self.dport = keys["port"][each, 1 - at].tolist()
        self.proto = keys["proto"].tolist()
        self.vlan = keys["vlan"].tolist()
        self.keys = np.ascontiguousarray(keys).view(f"V{rows.FLOW_KEY.itemsize}").ravel().tolist()

    def put(self, i: int, event: dict[str, Any], ports: bool, proto: int | None = None) -> None:
        """Addresses, ports and protocol of row i, in EVE's order; nothing for what is not IP."""
        net = self.net[i]
        if net not in (rows.NET_IPV4, rows.NET_IPV6):
            return
        proto = self.proto[i] if proto is None else proto
        event["src_ip"] = address(net, self.source[i])
        if ports:
            event["src_port"] = self.sport[i]
        event["dest_ip"] = address(net, self.destination[i])
        if ports:
            event["dest_port"] = self.dport[i]
        event["proto"] = PROTOCOLS[proto]

    def vlans(self, i: int) -> list[int]:
        return [one for one in self.vlan[i] if one]


@dataclass(frozen=True, slots=True)
class Shows:
    """What alerts show beside the stock fields: settings of eve-log, type alert. payload_size: most bytes of a payload that are
    shown of a stream. ethernet: addresses of the first layer, in every event that has a packet."""
    payload: bool = False
    payload_printable: bool = False
    payload_size: int = 4096
    packet: bool = False
    verdict: bool = False
    ethernet: bool = False
    metadata: bool = True       # variables of flows and packets, in every event

    @property
    def any_bytes(self) -> bool:
        return self.payload or self.payload_printable or self.packet or self.ethernet

    @classmethod
    def of(cls, told: Mapping[str, Any], mode: str) -> Shows:
        """From Config.eve(); `verdict` is shown in ips mode unless that says no."""
        told = {name.replace("-", "_").replace("buffer_", ""): value for name, value in told.items()}
        return cls(**{"verdict": mode == "ips"} | told)


class EveWriter:
    """A sink that writes EVE lines, a batch at a time.

    out: a binary stream. events: which types. mode: of the engine. seed: of the community ID. shows: what alerts show; with None,
    `verdict` in ips mode and nothing else. Closing the writer flushes the stream and leaves it open.
    """

    def __init__(self, out: IO[bytes], events: Iterable[str] = ("alert",), mode: str = "ids", seed: int = 0,
                 shows: Shows | None = None):
        self._shows = shows if shows is not None else Shows(verdict=mode == "ips")
        self.payload_size = self._shows.payload_size
        self.events = check_events(events)
        self.wants = frozenset(("apps",)) if self.events - {"flow", "policy", "stats"} else self.events & {"flow"} and frozenset(("vars",))
        if "llm" in self.events:
            self.wants |= {"llm"}
        if "alert" in self.events and self._shows.any_bytes:
            self.wants |= {"payloads"}
        self.lines = 0
        self._out = out
        self._mode = mode
        self._seed = seed
        self._encode = msgspec.json.Encoder().encode_lines
        self._latest = 0
        self._guard: Guard | None = None        # of the latest batch

    def write(self, batch: Batch) -> None:
        apps = AppRows(batch)
        self._guard = Guard(batch, apps)
        lines: list[dict[str, Any]] = [_order(order, batch) for order in batch.orders]     # whichever events were asked for
        for name, make in (("alert", self._alerts), ("anomaly", self._anomalies), ("flow", self._flows), ("policy", self._denials)):
            if name in self.events:
                lines.extend(make(batch))
        if len(batch.rows["bindings"]):
            lines.extend(self._bindings(batch))
        if len(batch.rows["apps"]):
            lines.extend(apps.events(self.events, partial(self._app_head, batch)))
        if not self._shows.metadata:
            for line in lines:
                line.pop("metadata", None)
                line.pop("traffic", None)
        self._put(lines)

    def close(self, stats: dict[str, Any]) -> None:
        if "inventory" in self.events:
            self._put([_item(item) for item in stats["inventory"]])
        if "roce" in self.events:
            self._put([_queue_pair(pair) for pair in stats["roce"]])
        if "stats" in self.events or stats["partial"]:      # the last event of an interrupted run says so, whatever was asked for
            self._put([self._stats(stats)])
        self._out.flush()

    def fileinfo(self, batch: Batch, apps: AppRows, i: int) -> dict[str, Any]:
        """The event of a row about a file."""
        return apps.file(i, partial(self._app_head, batch), {"decrypted": True} if apps.rows["decrypted"][i] else {})

    def encoded(self, event: dict[str, Any]) -> bytes:
        """An event as a line."""
        return self._encode([event])

    def _put(self, lines: list[dict[str, Any]]) -> None:
        """The one way out."""
        if lines:
            self._out.write(self._encode(self._guard.events(lines) if self._guard is not None else lines))
            self._out.flush()       # who reads a pipe waits for no buffer
            self.lines += len(lines)

    # ---- one kind each ----

    def _alerts(self, batch: Batch) -> Iterator[dict[str, Any]]:
        taken = batch.rows["alerts"]
        if not len(taken):
            return
        ends = Ends(taken["key"], taken["reversed"])
        outer = Ends(taken["outer"], taken["outer_reversed"])
        apps = AppRows(batch)
        fields = ("ordinal", "ts", "flow", "flow_start", "rule", "action", "source", "to_client", "depth", "icmp_type", "icmp_code",
                  "has_flow", "bytes", "pkts", "entry", "index", "app_proto", "verdict", "reject", "tunnel_id", "qfi", "decrypted")
        tunnels = taken["key"]["tunnel"].tolist()
        for i, (ordinal, ts, flow, start, rule, action, source, to_client, depth, icmp_type, icmp_code, has_flow, size, packets,
                entry, index, protocols, verdict, reject, teid, qfi, decrypted) in enumerate(zip(*(taken[name].tolist() for name in fields), strict=True)):
            signature = batch.signatures[rule]
            number = batch.captures.of(ordinal)
            proto = ends.proto[i]
            # an ICMP error bears the key of what it quotes
            is_icmp = proto in ICMP or icmp_type or icmp_code
            ports = proto in WITH_L4_PORTS and not is_icmp
            tunnel = rows.TUNNELS[tunnels[i] >> 4]
            event: dict[str, Any] = {"timestamp": timestamp(ts)}
            if has_flow:
                event["flow_id"] = flow
            if batch.port is not None:
                event["in_iface"] = str(batch.port)
            if number is not None and not depth and source != 2:
                event["pcap_cnt"] = number[1]
            event["event_type"] = "alert"
            vlans = ends.vlans(i)
            if vlans:
                event["vlan"] = vlans
            ends.put(i, event, ports, (1 if ends.net[i] == rows.NET_IPV4 else 58) if is_icmp else None)
            if is_icmp and (has_flow or icmp_type or icmp_code):        # of a fragment they are not known
                event["icmp_type"], event["icmp_code"] = icmp_type, icmp_code
            event["pkt_src"] = SOURCES.get(source) or PACKET_SOURCES[tunnel]
            if has_flow:
                event["community_id"] = _community_id(ends.keys[i], self._seed)
            event |= apps.vars_of(ordinal if source != 2 else 0, entry, flow)
            event["alert"] = _alert(signature, action, event, ports)
            said = apps.of_alert(ordinal, entry, index, flow) if has_flow else None
            if said is not None:
                event["tx_id"] = said[0]
                event |= said[1]
            if depth or source == SOURCE_DEFRAG:
                event["tunnel"] = _tunnel(outer, i, depth, number if source in (0, SOURCE_DEFRAG) else None)
            if rows.TUNNELS[tunnels[i] >> 4] == "gtpu":
                event["gtp"] = {"teid": teid, "qfi": qfi} | batch.bindings.tunnel(outer.destination[i], teid, ordinal)
            if has_flow:
                event |= app_proto(protocols)
                if decrypted:
                    event["decrypted"] = True
                event["direction"] = "to_client" if to_client else "to_server"
                event["flow"] = _flow_so_far(event, size, packets, start, to_client)
            if self._shows.any_bytes:
                event |= self._bytes(apps.bytes_of(ordinal, entry, index, flow), depth, flow, protocols)
            if self._shows.verdict:
                event["verdict"] = _verdict(verdict, reject, event.get("proto"), self._mode == "ips")
            if number is not None or batch.capture is not None:
                event["pcap_filename"] = number[0].name if number is not None else batch.capture.name  # type: ignore[union-attr]
            yield event

    def _bytes(self, found: dict[str, Any] | None, depth: int, flow: int, protocols: list[int]) -> dict[str, Any]:
        """What an alert shows of the bytes that it is about, or that it shows none because a secret is in them, out of sight."""
        if found is None:
            return {}
        if self._guard is not None:
            found = self._guard.bytes(found, flow, protocols)
        if found is None:
            return {"payload_withheld": True}
        shows, fields = self._shows, {}
        stream = b"".join(b"[%d bytes missing]" % one if isinstance(one, int) else one for one in found.get("stream", ()))
        payload = stream or found["payload"]
        packet = found["packet"]
        if shows.ethernet and found["linktype"] == ETHERNET and not depth and len(packet) >= 12:
            fields["ether"] = {"src_mac": packet[6:12].hex(":"), "dest_mac": packet[:6].hex(":")}
        if payload and shows.payload:
            fields["payload"] = b64encode(payload).decode()
        if payload and shows.payload_printable:
            fields["payload_printable"] = printable(payload)
        if shows.payload or shows.payload_printable:
            fields["stream"] = int("stream" in found)
        if shows.packet:
            fields |= {"packet": b64encode(packet).decode(), "packet_info": {"linktype": LINKTYPES.get(found["linktype"], found["linktype"])}}
        return fields

    def _app_head(self, batch: Batch, row: np.ndarray, kind: str, to_client: bool) -> dict[str, Any]:
        """What every event of the application layers begins with: the packet at work, the end points of the flow."""
        ends = Ends(row["key"][None], np.array([row["reversed"] ^ to_client]))
        number = batch.captures.of(int(row["ordinal"])) if row["ordinal"] else None
        event: dict[str, Any] = {"timestamp": timestamp(int(row["ts"])), "flow_id": int(row["flow"])}
        if number is not None:
            event["pcap_cnt"] = number[1]
        event["event_type"] = kind
        vlans = ends.vlans(0)
        if vlans:
            event["vlan"] = vlans
        ends.put(0, event, ends.proto[0] in WITH_L4_PORTS)
        event["pkt_src"] = PACKET_SOURCES[rows.TUNNELS[int(row["key"]["tunnel"]) >> 4]] if row["ordinal"] else SOURCES[2]
        event["community_id"] = _community_id(ends.keys[0], self._seed)
        capture = number[0] if number is not None else batch.capture
        if capture is not None:
            event["pcap_filename"] = capture.name
        return event

    def _anomalies(self, batch: Batch) -> Iterator[dict[str, Any]]:
        taken = batch.rows["events"]
        if not len(taken):
            return
        names = rows.events()
        ends = Ends(taken["key"], taken["reversed"])
        tunnels = taken["key"]["tunnel"].tolist()
        for i, (ordinal, ts, code) in enumerate(zip(*(taken[name].tolist() for name in ("ordinal", "ts", "code")), strict=True)):
            number = batch.captures.of(ordinal)
            event: dict[str, Any] = {"timestamp": timestamp(ts)}
            if number is not None:
                event["pcap_cnt"] = number[1]
            event["event_type"] = "anomaly"
            vlans = ends.vlans(i)
            if vlans:
                event["vlan"] = vlans
            ends.put(i, event, ends.proto[i] in WITH_L4_PORTS)
            event["pkt_src"] = PACKET_SOURCES[rows.TUNNELS[tunnels[i] >> 4]]
            event["anomaly"] = {"type": "stream" if names[code].startswith("stream.") else "decode", "event": names[code]}
            if number is not None:
                event["pcap_filename"] = number[0].name
            yield event

    def _flows(self, batch: Batch) -> Iterator[dict[str, Any]]:
        taken = batch.rows["flows"]
        if not len(taken):
            return
        ends = Ends(taken["key"], taken["flags"] & rows.FLOW_REVERSED)
        apps = AppRows(batch)
        fields = ("flow", "first_ordinal", "start", "last", "bytes", "pkts", "flags", "state", "end", "tcp_state", "tcp_flags",
                  "app_proto")
        for i, (flow, first, start, last, size, packets, flags, state, end, tcp_state, tcp_flags, protocols) in \
                enumerate(zip(*(taken[name].tolist() for name in fields), strict=True)):
            proto = ends.proto[i]
            event: dict[str, Any] = {"timestamp": timestamp(last), "flow_id": flow, "event_type": "flow"}
            vlans = ends.vlans(i)
            if vlans:
                event["vlan"] = vlans
            ends.put(i, event, proto in WITH_L4_PORTS)
            if proto in ICMP:
                event["icmp_type"] = ends.sport[i]
                if packets[1]:
                    event["response_icmp_type"] = ends.dport[i]
            event |= apps.vars_of(0, 0, flow, ended=True) | app_proto(protocols)
            bypassed = flags & (rows.FLOW_BYPASS | rows.FLOW_OFFLOADED)
            reason = rows.FLOW_ENDS[end]
            event["flow"] = {
                "pkts_toserver": packets[0], "pkts_toclient": packets[1], "bytes_toserver": size[0], "bytes_toclient": size[1],
                "start": timestamp(start), "end": timestamp(last), "age": last // SECOND - start // SECOND,
                "state": "bypassed" if bypassed else rows.FLOW_STATES[state], "reason": FLOW_REASONS.get(reason, reason),
                "alerted": bool(flags & rows.FLOW_ALERTED),
            }
            if bypassed:
                event["flow"]["bypass"] = "capture" if flags & rows.FLOW_OFFLOADED else "local"
            if flags & (rows.FLOW_DROP | rows.FLOW_PASS):
                event["flow"]["action"] = "drop" if flags & rows.FLOW_DROP else "pass"
            event["community_id"] = _community_id(ends.keys[i], self._seed)
            if proto == 6:
                event["tcp"] = _tcp(tcp_flags, tcp_state)
            number = batch.captures.of(first)
            if number is not None:
                event["pcap_filename"] = number[0].name
            self._latest = max(self._latest, last)
            yield event

    def _denials(self, batch: Batch) -> Iterator[dict[str, Any]]:
        """A flow that policy denies, once: an event of fastpath's own."""
        taken = batch.rows["denials"]
        if not len(taken):
            return
        ends = Ends(taken["key"], taken["reversed"])
        fields = ("ordinal", "ts", "flow", "line", "source", "target", "policy", "data", "app", "action", "why")
        for i, (ordinal, ts, flow, line, source, target, epoch, data, app, action, why) in \
                enumerate(zip(*(taken[name].tolist() for name in fields), strict=True)):
            judge = batch.judges[epoch]
            number = batch.captures.of(ordinal)
            event: dict[str, Any] = {"timestamp": timestamp(ts), "flow_id": flow}
            if number is not None:
                event["pcap_cnt"] = number[1]
            event["event_type"] = "policy"
            vlans = ends.vlans(i)
            if vlans:
                event["vlan"] = vlans
            ends.put(i, event, ends.proto[i] in WITH_L4_PORTS)
            event["pkt_src"] = PACKET_SOURCES[rows.TUNNELS[int(taken["key"]["tunnel"][i]) >> 4]]
            event["community_id"] = _community_id(ends.keys[i], self._seed)
            if app:
                event["app_proto"] = app_proto((app, 0, 0, 0))["app_proto"]
            told: dict[str, Any] = {"action": "blocked" if action else "allowed", "why": rows.DENIAL_REASONS[why]}
            if line != rows.NO_RULE:
                said = judge.policy.describe_line(line)
                told |= {"line": line, "name": said["name"], "place": said["place"]}
            told["from"], told["to"] = judge.policy.names_of(source), judge.policy.names_of(target)
            if data:
                told["data"] = [name for bit, name in enumerate(judge.classes) if data >> bit & 1 and name not in judge.policy.stand_ins]
            event["policy"] = told
            if number is not None:
                event["pcap_filename"] = number[0].name
            yield event

    def _bindings(self, batch: Batch) -> Iterator[dict[str, Any]]:
        """What was bound and what does not fit: events of fastpath's own."""
        for kind, row, said in batch.bindings.told(batch.rows["bindings"]):
            if kind not in self.events:
                continue
            number = batch.captures.of(int(row["ordinal"]))
            event: dict[str, Any] = {"timestamp": timestamp(int(row["ts"]))}
            if number is not None:
                event["pcap_cnt"] = number[1]
            event |= {"event_type": kind, kind: said}
            if number is not None:
                event["pcap_filename"] = number[0].name
            yield event

    def _stats(self, stats: dict[str, Any]) -> dict[str, Any]:
        """Suricata's counters, as far as fastpath has them."""
        events: dict[str, Any] = {}
        for name, count in stats["events"].items():
            _, _, rest = name.partition("decoder.")
            at = events
            *path, leaf = (rest or name).split(".")
            for one in path:
                at = at.setdefault(one, {})
            at[leaf] = count
        policies: dict[str, Any] = {}
        for name, count in stats["exceptions"].items():
            if name.count(".") == 2:
                layer, what, policy = name.split(".")
                policies.setdefault(layer, {}).setdefault(what, {})[policy.replace("-", "_")] = count
        verdicts = stats["verdicts"]
        device, offloaded = stats["device"], stats["ledger"]["offloaded"]
        by_device = bool(device.get("capacity"))
        bypassed = {"local_pkts": 0 if by_device else offloaded["packets"], "local_bytes": 0 if by_device else offloaded["bytes"],
                    "closed": sum(device.get("ended", {}).values()), "pkts": device.get("packets", 0), "bytes": device.get("bytes", 0)}
        return {"timestamp": timestamp(self._latest), "event_type": "stats", "stats": {
            "uptime": int(stats["seconds"]),
            **({"partial": True} if stats["partial"] else {}),
            "decoder": {"pkts": stats["packets"], "bytes": stats["bytes"], "invalid": stats["ledger"]["errored"]["packets"],
                        "event": events},
            "defrag": {version: stats["defrag"][version] for version in ("ipv4", "ipv6")},
            "flow": {"total": stats["flows"].get("created", 0), "active": stats["flows"].get("active", 0)},
            "flow_bypassed": bypassed,
            "detect": {"alert": stats["alerts"]},
            "decryption": stats["decryption"],
            "uninspected": {name: stats["uninspected"][name] for name in ("flows", "bytes")},
            "exception_policy": policies,
            "ips": {"accepted": verdicts.get("pass", 0), "blocked": sum(stats["drops"].values()),
                    "rejected": sum(verdicts.get(action, 0) for action in rows.ACTIONS[2:]),
                    "drop_reason": {DROP_REASONS.get(reason, reason.replace(" ", "_")): count
                                    for reason, count in stats["drops"].items()}},
        }}


def _order(order: Order, batch: Batch) -> dict[str, Any]:
    """What the control plane did: event_type "isolation" or "reload", which Suricata does not have."""
    kind = "isolation" if order.isolation is not None else "reload"
    event: dict[str, Any] = {"timestamp": timestamp(order.time), "event_type": kind}
    number = batch.captures.of(order.ordinal)
    if number is not None:
        event |= {"pcap_cnt": number[1], "pcap_filename": number[0].name}
    said: dict[str, Any] = {"ordinal": order.ordinal} if order.ordinal else {}
    if order.isolation is None:
        event[kind] = said | {"action": order.kind, "what": list(order.what)}
        return event
    said |= {"action": order.kind, "workload": order.isolation.workload, "addresses": list(map(str, order.isolation.networks))}
    if order.isolation.until is not None:
        said["until"] = timestamp(order.isolation.until)
    if order.isolation.why:
        said["why"] = order.isolation.why
    if order.isolation.rule:
        said["rule"] = order.isolation.rule
    if order.isolation.standby:
        said["standby"] = order.isolation.standby
    if order.kind == "isolate":
        said["offloads_deleted"] = order.offloads_deleted
    event[kind] = said
    return event


def _queue_pair(pair: dict[str, Any]) -> dict[str, Any]:
    """A RoCE queue pair, at the end of a run."""
    said = {name: value for name, value in pair.items() if name not in ("address", "first", "last") and value is not None}
    return {"timestamp": timestamp(pair["last"]), "event_type": "roce", "dest_ip": pair["address"],
            "roce": {"what": "queue pair"} | said | {"first_seen": timestamp(pair["first"]), "last_seen": timestamp(pair["last"])}}


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """A service of the inventory, as one workload uses it."""
    return {"timestamp": timestamp(item["last"]), "event_type": "inventory", "src_ip": item["workload"], "dest_ip": item["peer"],
            "dest_port": item["port"], "inventory": {
                "service": item["service"], "kind": item["kind"], "by": item["by"],
                **{name: item[name] for name in ("status", "version", "client", "client_version") if item[name]}, "flows": item["flows"],
                "bytes_toserver": item["bytes_out"], "bytes_toclient": item["bytes_in"],
                "first_seen": timestamp(item["first"]), "last_seen": timestamp(item["last"])}}


def _alert(signature: Any, action: int, event: dict[str, Any], ports: bool) -> dict[str, Any]:
    alert: dict[str, Any] = {
        "action": "blocked" if action or signature.action.startswith("reject") else "allowed", "gid": signature.gid, "signature_id": signature.sid, "rev": signature.rev,
        "signature": signature.msg, "category": signature.category, "severity": signature.severity,
    }
    if signature.target and "src_ip" in event:
        sides = ("src", "dest") if signature.target == "dest_ip" else ("dest", "src")
        for name, side in zip(("source", "target"), sides, strict=True):
            alert[name] = {"ip": event[side + "_ip"]}
            if ports:
                alert[name]["port"] = event[side + "_port"]
    if signature.metadata:
        metadata: dict[str, list[str]] = {}
        for name, value in signature.metadata:
            metadata.setdefault(name, []).append(value)
        alert["metadata"] = metadata
    return alert


def _tunnel(outer: Ends, i: int, depth: int, number: Any) -> dict[str, Any]:
    tunnel: dict[str, Any] = {}
    outer.put(i, tunnel, True)
    tunnel["depth"] = depth
    if number is not None:
        tunnel["pcap_cnt"] = number[1]
    tunnel["pkt_src"] = "wire/pcap"
    return tunnel


def _flow_so_far(event: dict[str, Any], size: list[int], packets: list[int], start: int, to_client: int) -> dict[str, Any]:
    flow = {"pkts_toserver": packets[0], "pkts_toclient": packets[1], "bytes_toserver": size[0], "bytes_toclient": size[1],
            "start": timestamp(start)}
    source, destination = ("dest", "src") if to_client else ("src", "dest")
    for field in ("ip", "port"):
        if f"src_{field}" in event:
            flow[f"src_{field}"], flow[f"dest_{field}"] = event[f"{source}_{field}"], event[f"{destination}_{field}"]
    return flow


def _verdict(code: int, reject: int, proto: str | None, inline: bool) -> dict[str, Any]:
    """What became of the packet, whichever rule decided it."""
    if reject not in REJECT_TARGETS:
        return {"action": VERDICTS[code]}
    verdict: dict[str, Any] = {"action": "drop" if inline else "alert", "reject-target": REJECT_TARGETS[reject], "reject": []}
    if proto in REJECTIONS:
        verdict["reject"].append(REJECTIONS[proto])
    return verdict


def _tcp(flags: list[int], state: int) -> dict[str, Any]:
    both = flags[0] | flags[1]
    tcp: dict[str, Any] = {"tcp_flags": f"{both:02x}", "tcp_flags_ts": f"{flags[0]:02x}", "tcp_flags_tc": f"{flags[1]:02x}"}
    for bit, name in TCP_FLAGS:
        if both & bit:
            tcp[name] = True
    tcp["state"] = TCP_STATES[state] if state < len(TCP_STATES) else "unknown"
    return tcp
