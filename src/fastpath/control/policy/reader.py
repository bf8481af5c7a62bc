"""fastpath's own policy files. docs/policy.md says what stands in one; policy.schema.json, beside this file, is its JSON schema."""
from __future__ import annotations

import ipaddress
import re
from datetime import UTC, date, datetime
from typing import Any

from fastpath.control.policy.model import (
    ANY,
    EVERYWHERE,
    SERVICES,
    STATUSES,
    Addresses,
    Line,
    Listing,
    Parts,
    Ranges,
    Segment,
    Selector,
    Settings,
    union,
)
from fastpath.control.policy.yaml import Node
from fastpath.rules.plan import Place

PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ospf": 89, "sctp": 132}
WITH_PORTS = (6, 17, 132)
ICMP = (1, 58)
TOP = ("version", "name", "pending", "carriers", "queue_pairs", "tunnels", "tenants", "workloads", "segments", "exceptions", "lines",
       "residency", "services")
MEMBER = ("addresses", "except", "vlan", "vni", "teid", "qfi", "tenant")
LINE = ("name", "from", "to", "protocol", "ports", "icmp_types", "application", "server_name", "action", "until", "why")
SEGMENTS_MAX, LINES_MAX = 1 << 20, 1 << 20
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
SERVER_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
VNI, TEID = 1 << 32, 2 << 32


def read(top: Node, applications: frozenset[str]) -> Parts:
    """A policy from its YAML document. applications: the names that may be recognised."""
    return _Reader(applications).read(top)


class _Reader:
    def __init__(self, applications: frozenset[str]):
        self.known = applications
        self.tenants: dict[str, tuple[Ranges | None, Ranges | None, Ranges | None]] = {}
        self.selectors: dict[str, Selector] = {}
        self.places: dict[str, Place] = {}
        self.numbers: dict[str, int] = {}

    def read(self, top: Node) -> Parts:
        found = top.mapping("a policy", TOP, ("version", "segments", "lines"))
        if found["version"].text("a version") != "1":
            raise found["version"].fail("expected version 1")
        parts = Parts(found["name"].text("a name") if "name" in found else "")
        parts.settings = self.settings(found)
        if "tenants" in found:
            for _, name, node in found["tenants"].pairs("tenants by their labels"):
                self.tenants[name] = self.encapsulation(node.mapping("a tenant", ("vlan", "vni", "teid", "qfi")))
        parts.tenants = self.tenants
        parts.segments.append(Segment("any", top.place, (Selector(),)))
        self.numbers["any"] = ANY
        if "workloads" in found:
            for key, name, node in found["workloads"].pairs("workloads by their names"):
                self.add(parts, key, name, (self.selector(node),))
                self.selectors[name] = parts.segments[-1].selectors[0]
        for key, name, node in found["segments"].pairs("segments by their names"):
            self.add(parts, key, name, self.segment(node))
        if len(parts.segments) > SEGMENTS_MAX:
            raise found["segments"].fail(f"a policy has at most {SEGMENTS_MAX} segments")
        for section in ("exceptions", "lines"):
            for node in found[section].listed(section) if section in found and not found[section].is_null else ():
                parts.lines.append(self.line(node, section == "exceptions"))
        if "residency" in found:
            for node in found["residency"].listed("zones"):
                parts.lines.append(self.zone(node))
        if "services" in found:
            for node in found["services"].listed("lists of services"):
                self.listing(parts, node)
        if len(parts.lines) > LINES_MAX:
            raise found["lines"].fail(f"a policy has at most {LINES_MAX} lines")
        return parts

    def settings(self, found: dict[str, Node]) -> Settings:
        settings = Settings()
        if "pending" in found:
            limits = found["pending"].mapping("pending", ("packets", "bytes"))
            if "packets" in limits:
                settings.pending_packets = limits["packets"].number("packets", 1, 65535)
            if "bytes" in limits:
                settings.pending_bytes = limits["bytes"].number("bytes", 1, 1 << 30)
        if "carriers" in found:
            word = found["carriers"].text("judge or pass")
            if word not in ("judge", "pass"):
                raise found["carriers"].fail(f"expected judge or pass, found {word[:60]!r}")
            settings.judges_carriers = word == "judge"
        settings.queue_pairs_apart = self.choice(found, "queue_pairs", "apart")
        settings.tunnels_bound = self.choice(found, "tunnels", "bound")
        return settings

    def choice(self, found: dict[str, Node], name: str, strict: str) -> bool:
        """Whether a key says this word; `pass` is the other."""
        if name not in found:
            return False
        word = found[name].text(f"{strict} or pass")
        if word not in (strict, "pass"):
            raise found[name].fail(f"expected {strict} or pass, found {word[:60]!r}")
        return word == strict

    # ---- segments ----

    def add(self, parts: Parts, key: Node, name: str, selectors: tuple[Selector, ...]) -> None:
        if not NAME.fullmatch(name):
            raise key.fail("a name has 1 to 128 printable characters")
        if name == "any":
            raise key.fail("'any' is everything, and cannot be another segment")
        if name in self.places:
            raise key.fail(f"{name!r} is defined twice", self.places[name])
        self.places[name] = key.place
        self.numbers[name] = len(parts.segments)
        parts.segments.append(Segment(name, key.place, selectors))

    def segment(self, node: Node) -> tuple[Selector, ...]:
        if node.kind != "mapping":
            return (Selector(self.addresses(node)),)
        found = node.mapping("a segment", (*MEMBER, "workloads"))
        made = []
        for one in found["workloads"].items("names of workloads") if "workloads" in found else ():
            name = one.text("the name of a workload")
            if name not in self.selectors:
                raise one.fail(f"no workload is named {name[:60]!r}" + nearest(name, self.selectors))
            made.append(self.selectors[name])
        if not found.keys() - {"workloads"} and made:
            return tuple(made)
        return (*made, self.selector(node, found))

    def selector(self, node: Node, found: dict[str, Node] | None = None) -> Selector:
        if found is None:
            if node.kind != "mapping":
                return Selector(self.addresses(node))
            found = node.mapping("a workload", MEMBER)
        if not found.keys() & {"addresses", "vlan", "vni", "teid", "qfi", "tenant"}:
            raise node.fail("expected addresses, vlan, vni, teid, qfi or tenant")
        addresses = self.addresses(found["addresses"]) if "addresses" in found else EVERYWHERE
        if "except" in found:
            addresses -= self.addresses(found["except"])
            if not addresses:
                raise found["except"].fail("leaves no address")
        encapsulation = self.encapsulation(found)
        if "tenant" in found:
            name = found["tenant"].text("the label of a tenant")
            if name not in self.tenants:
                raise found["tenant"].fail(f"no tenant is labelled {name[:60]!r}" + nearest(name, self.tenants))
            if encapsulation != (None, None, None):
                raise found["tenant"].fail("says which VLAN, VNI, TEID or QFI: leave one of them out")
            encapsulation = self.tenants[name]
        return Selector(addresses, *encapsulation)

    def encapsulation(self, found: dict[str, Node]) -> tuple[Ranges | None, Ranges | None, Ranges | None]:
        vlans = self.ranges(found["vlan"], "a VLAN identifier", 0, 4094) if "vlan" in found else None
        tunnels: list[tuple[int, int]] = []
        for name, base, high in (("vni", VNI, (1 << 24) - 1), ("teid", TEID, (1 << 32) - 1)):
            if name in found:
                tunnels += [(base + low, base + last) for low, last in self.ranges(found[name], f"a {name.upper()}", 0, high)]
        qfis = self.ranges(found["qfi"], "a QFI", 0, 63) if "qfi" in found else None
        return vlans, union(tunnels) or None, qfis

    def addresses(self, node: Node) -> Addresses:
        v4: list[tuple[int, int]] = []
        v6: list[tuple[int, int]] = []
        for one in node.items("addresses"):
            low, high, version = address_range(one)
            (v4 if version == 4 else v6).append((low, high))
        if not v4 and not v6:
            raise node.fail("expected at least one address")
        return Addresses(union(v4), union(v6))

    def ranges(self, node: Node, what: str, low: int, high: int) -> Ranges:
        """Numbers and ranges such as 80-90."""
        made = []
        for one in node.items(what):
            first, dash, last = one.text(what).partition("-")
            if not all(text.isascii() and text.isdigit() and len(text) < 12 for text in ([first, last] if dash else [first])):
                raise one.fail(f"expected {what} or a range such as 10-20, found {one.text(what)[:60]!r}")
            begin, end = int(first), int(last if dash else first)
            if not low <= begin <= end <= high:
                raise one.fail(f"expected {what} from {low} to {high}, the lower first, found {one.text(what)[:60]!r}")
            made.append((begin, end))
        if not made:
            raise node.fail(f"expected {what}")
        return union(made)

    # ---- lines ----

    def members(self, node: Node) -> tuple[int, ...]:
        made: dict[int, None] = {}
        for one in node.items("names of segments"):
            name = one.text("the name of a segment")
            if name not in self.numbers:
                raise one.fail(f"no segment or workload is named {name[:60]!r}" + nearest(name, self.numbers))
            made[self.numbers[name]] = None
        if not made:
            raise node.fail("expected the name of a segment")
        return (ANY,) if ANY in made else tuple(made)

    def line(self, node: Node, exception: bool) -> Line:
        found = node.mapping("an exception" if exception else "a line", LINE, ("from", "to"))
        until = self.until(found["until"]) if "until" in found else None
        if exception and until is None:
            raise node.fail("an exception needs 'until'")
        action = found["action"].text("allow or deny") if "action" in found else "allow"
        if action not in ("allow", "deny"):
            raise found["action"].fail(f"expected allow or deny, found {action[:60]!r}")
        names = self.server_names(found["server_name"]) if "server_name" in found else None
        applications = self.applications(found["application"]) if "application" in found else None
        if names is not None:
            if applications not in (None, frozenset(("tls",))):
                raise found["server_name"].fail("a server name is TLS's: the application can only be tls", found["application"].place)
            applications = frozenset(("tls",))
        return Line(found["name"].text("a name") if "name" in found else "", node.place, self.members(found["from"]),
                    self.members(found["to"]), self.services(found, applications, names is not None), applications, names, action,
                    until, found["why"].text("a reason") if "why" in found else "", "exception" if exception else "line")

    def zone(self, node: Node) -> Line:
        found = node.mapping("a zone", ("name", "data", "from", "to"), ("data", "from", "to"))
        data = found["data"].text("a class of data")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", data):
            raise found["data"].fail("a class of data has 1 to 64 letters, digits, dots, dashes or underscores")
        return Line(found["name"].text("a name") if "name" in found else "", node.place, self.members(found["from"]),
                    self.members(found["to"]), (), kind="residency", data=data)

    def listing(self, parts: Parts, node: Node) -> None:
        """A list of services, and the line that cuts them off where they are forbidden, or only some segments may use them."""
        found = node.mapping("a list of services", ("name", "status", "services", "kinds", "from"), ("status", "services"))
        status = found["status"].text("a status")
        if status not in STATUSES:
            raise found["status"].fail(f"expected {', '.join(STATUSES[:-1])} or {STATUSES[-1]}, found {status[:60]!r}")
        services = tuple(one.text("the name of a service") for one in found["services"].items("names of services"))
        if not services:
            raise found["services"].fail("expected the name of a service, or a pattern such as '*'")
        kinds = tuple(one.text("a kind of service") for one in found["kinds"].items("kinds of services")) if "kinds" in found else ()
        sources = self.members(found["from"]) if "from" in found else ()
        if status == "forbidden" and sources:
            raise found["from"].fail("what is forbidden is forbidden to all; list it as sanctioned or tolerated for these segments")
        line = None
        if status == "forbidden" or sources:
            line = len(parts.lines)
            name = found["name"].text("a name") if "name" in found else f"{status}: {', '.join(services)}"
            parts.lines.append(Line(name[:128], node.place, sources, (ANY,), (), action="allow" if sources else "deny", kind="services",
                                    data=f"services {line}"))
        parts.listings.append(Listing(node.place, status, services, kinds, line))

    def services(self, found: dict[str, Node], applications: frozenset[str] | None, tls: bool) -> Ranges:
        protocols: list[int] = []
        for one in found["protocol"].items("a protocol") if "protocol" in found else ():
            word = one.text("a protocol").lower()
            if word == "any":
                continue
            if word.isascii() and word.isdigit() and int(word[:5]) < 256:
                protocols.append(int(word))
            elif word in PROTOCOLS:
                protocols.append(PROTOCOLS[word])
            else:
                raise one.fail(f"no protocol is named {word[:60]!r}; there are {', '.join(PROTOCOLS)}, any and numbers to 255")
        if applications is not None:
            if any(one not in (6, 17) for one in protocols):
                raise found["protocol"].fail("applications are recognised over tcp and udp")
            protocols = protocols or ([6] if tls else [6, 17])
        if "ports" in found:
            if not protocols or any(one not in WITH_PORTS for one in protocols):
                raise found["ports"].fail("ports need a protocol that has them: tcp, udp, sctp")
            ports = self.ranges(found["ports"], "a port", 0, 65535)
        elif "icmp_types" in found:
            if not protocols or any(one not in ICMP for one in protocols):
                raise found["icmp_types"].fail("icmp_types need protocol icmp or icmpv6")
            ports = self.ranges(found["icmp_types"], "an ICMP type", 0, 255)
        else:
            ports = ((0, 65535),)
        if not protocols:
            return (SERVICES,)
        return union((one << 16 | low, one << 16 | high) for one in protocols for low, high in ports)

    def applications(self, node: Node) -> frozenset[str]:
        made = set()
        for one in node.items("an application"):
            word = one.text("an application").lower()
            if word not in self.known:
                raise one.fail(f"no application is named {word[:60]!r}; there are {', '.join(sorted(self.known))}")
            made.add(word)
        if not made:
            raise node.fail("expected an application")
        return frozenset(made)

    def server_names(self, node: Node) -> frozenset[str]:
        made = set()
        for one in node.items("a server name"):
            name = one.text("a server name").lower().rstrip(".")
            if len(name) > 255 or not SERVER_NAME.fullmatch(name):
                raise one.fail(f"expected a server name, or *. and the end of one, found {name[:60]!r}")
            made.add(name.removeprefix("*"))
        if not made:
            raise node.fail("expected a server name")
        return frozenset(made)

    def until(self, node: Node) -> int:
        text = node.text("a time")
        try:
            if text.isascii() and text.isdigit():
                second = int(text[:20])
            elif re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                second = int(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp())
            else:
                moment = datetime.fromisoformat(text)
                second = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            raise node.fail(f"expected a time such as 2026-01-31T12:00:00Z, found {text[:60]!r}") from None
        if not 0 < second < (1 << 32) - 1:
            raise node.fail("a time lies between 1970 and 2106")
        return second


def address_range(node: Node) -> tuple[int, int, int]:
    """(first, last, IP version) of "10.0.0.0/8", "10.0.0.1", "10.0.0.1-10.0.0.9"."""
    text = node.text("an address")
    try:
        if "-" in text:
            first, last = (ipaddress.ip_address(one.strip()) for one in text.split("-", 1))
            if first.version != last.version or int(first) > int(last):
                raise ValueError
            return int(first), int(last), first.version
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise node.fail(f"expected an address, a network or a range, found {text[:60]!r}") from None
    if "/" in text and ipaddress.ip_address(text.split("/")[0]) != network.network_address:
        raise node.fail(f"{text} has bits behind its prefix: write {network}")
    return int(network.network_address), int(network.broadcast_address), network.version


def nearest(name: str, names: Any) -> str:
    """"; did you mean ...?" where there is something near."""
    from difflib import get_close_matches
    found = get_close_matches(name[:128], list(names)[:5000], 1)
    return f"; did you mean {found[0]!r}?" if found else ""


