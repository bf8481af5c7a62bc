"""Kubernetes NetworkPolicies as a Policy.

A flow is allowed where the egress of its source and the ingress of its target both allow it; a pod that no policy selects for a
direction is free in it. So a line is one egress rule and one ingress rule at once: the endpoints and services that both name. What is
about no pod at all is none of NetworkPolicy's business, and is denied as by any policy. Which pods and namespaces there are, their
labels, addresses and named ports, says a file beside:

    namespaces:
      shop: {team: web}
    pods:
    - {name: web-0, namespace: shop, labels: {app: web}, addresses: [10.1.0.5], ports: {http: 8080}}

Source: Kubernetes API reference, NetworkPolicy v1 (networking.k8s.io); Kubernetes documentation, Network Policies. A field that is
not honoured refuses the policy at its place.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from fastpath.control.policy.model import (
    ANY,
    EVERYWHERE,
    SERVICES,
    Addresses,
    Line,
    Parts,
    PolicyError,
    Ranges,
    Segment,
    Selector,
    intersection,
    union,
)
from fastpath.control.policy.reader import address_range
from fastpath.control.policy.yaml import Node
from fastpath.rules.plan import Place

PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
NAME_LABEL = "kubernetes.io/metadata.name"      # that every namespace bears
LINES_MAX = 250_000
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    namespace: str
    labels: Labels
    addresses: Addresses
    ports: dict[str, tuple[int, int]]       # name -> (protocol, port)


@dataclass(slots=True)
class Cluster:
    namespaces: dict[str, Labels] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    place: Place = Place("", 1, 1)

    @property
    def addresses(self) -> Addresses:
        return joined(self.pods)


@dataclass(frozen=True, slots=True)
class Rule:
    """One way for one direction: from these to those, over these services. place None: of what is free."""
    name: str
    place: Place | None
    sources: Addresses
    targets: Addresses
    services: Ranges


def joined(pods: Iterable[Pod]) -> Addresses:
    v4, v6 = [], []
    for pod in pods:
        v4 += pod.addresses.v4
        v6 += pod.addresses.v6
    return Addresses(union(v4), union(v6))


# ---- the file of labels ----

def read_cluster(top: Node) -> Cluster:
    found = top.mapping("a file of labels", ("namespaces", "pods"), ("pods",))
    cluster = Cluster(place=top.place)
    if "namespaces" in found:
        for _, name, node in found["namespaces"].pairs("namespaces by their names"):
            cluster.namespaces[name] = {} if node.is_null else labels(node)
    seen: dict[tuple[str, str], Place] = {}
    for node in found["pods"].listed("pods"):
        pod = node.mapping("a pod", ("name", "namespace", "labels", "addresses", "ports"), ("name", "addresses"))
        name = pod["name"].text("a name")
        namespace = pod["namespace"].text("a namespace") if "namespace" in pod else "default"
        if (namespace, name) in seen:
            raise node.fail(f"pod {namespace}/{name} is there twice", seen[namespace, name])
        seen[namespace, name] = node.place
        cluster.namespaces.setdefault(namespace, {})
        v4, v6 = [], []
        for one in pod["addresses"].items("addresses"):
            low, high, version = address_range(one)
            (v4 if version == 4 else v6).append((low, high))
        cluster.pods.append(Pod(name, namespace, labels(pod["labels"]) if "labels" in pod else {}, Addresses(union(v4), union(v6)),
                                ports(pod["ports"]) if "ports" in pod else {}))
    for name, own in cluster.namespaces.items():
        own.setdefault(NAME_LABEL, name)
    return cluster


def labels(node: Node) -> Labels:
    return {name: value.text("a label's value") for _, name, value in node.pairs("labels")}


def ports(node: Node) -> dict[str, tuple[int, int]]:
    made = {}
    for _, name, value in node.pairs("ports by their names"):
        if value.kind == "mapping":
            found = value.mapping("a port", ("port", "protocol"), ("port",))
            made[name] = (protocol(found), found["port"].number("a port", 1, 65535))
        else:
            made[name] = (PROTOCOLS["TCP"], value.number("a port", 1, 65535))
    return made


def protocol(found: dict[str, Node]) -> int:
    if "protocol" not in found:
        return PROTOCOLS["TCP"]
    word = found["protocol"].text("a protocol")
    if word not in PROTOCOLS:
        raise found["protocol"].fail(f"expected {', '.join(PROTOCOLS)}, found {word[:60]!r}")
    return PROTOCOLS[word]


# ---- selectors ----

def label_selector(node: Node) -> Callable[[Labels], bool]:
    """matchLabels and matchExpressions, all of which must hold; {} fits everything."""
    found = node.mapping("a label selector", ("matchLabels", "matchExpressions"))
    tests: list[Callable[[Labels], bool]] = []
    if "matchLabels" in found:
        wanted = labels(found["matchLabels"])
        tests.append(lambda own: all(own.get(name) == value for name, value in wanted.items()))
    for one in found["matchExpressions"].listed("expressions") if "matchExpressions" in found else ():
        tests.append(expression(one))
    return lambda own: all(test(own) for test in tests)


def expression(node: Node) -> Callable[[Labels], bool]:
    found = node.mapping("an expression", ("key", "operator", "values"), ("key", "operator"))
    key, operator = found["key"].text("a label"), found["operator"].text("an operator")
    values = {one.text("a value") for one in found["values"].listed("values")} if "values" in found else set()
    if operator in ("In", "NotIn"):
        if not values:
            raise node.fail(f"{operator} needs values")
        return (lambda own: own.get(key) in values) if operator == "In" else (lambda own: own.get(key) not in values)
    if operator in ("Exists", "DoesNotExist"):
        if values:
            raise found["values"].fail(f"{operator} takes no values")
        return (lambda own: key in own) if operator == "Exists" else (lambda own: key not in own)
    raise found["operator"].fail(f"expected In, NotIn, Exists or DoesNotExist, found {operator[:60]!r}")


# ---- policies ----

def read(documents: list[Node], cluster: Cluster) -> Parts:
    """The policies of these documents, for the pods of this cluster."""
    reader = _Reader(cluster)
    for node in documents:
        reader.take(node)
    return reader.parts()


class _Reader:
    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.everyone = cluster.addresses
        self.isolated: dict[str, set[int]] = {"Ingress": set(), "Egress": set()}     # pods by their index
        self.rules: dict[str, list[Rule]] = {"Ingress": [], "Egress": []}
        self.seen: dict[tuple[str, str], Place] = {}

    def take(self, node: Node) -> None:
        found = node.mapping("a NetworkPolicy", ("apiVersion", "kind", "metadata", "spec", "items"), ("apiVersion", "kind"))
        kind = found["kind"].text("a kind")
        if kind in ("List", "NetworkPolicyList") and "items" in found:
            for one in found["items"].listed("policies"):
                self.take(one)
            return
        version = found["apiVersion"].text("a version")
        if kind != "NetworkPolicy" or version != "networking.k8s.io/v1":
            raise found["kind"].fail(f"expected a NetworkPolicy of networking.k8s.io/v1, found {kind[:60]!r} of {version[:60]!r}")
        for name in ("metadata", "spec"):
            if name not in found:
                raise node.fail(f"a NetworkPolicy needs {name!r}")
        if "items" in found:
            raise found["items"].fail("a NetworkPolicy has no items")
        self.policy(found["spec"], *self.named(found["metadata"]))

    def named(self, node: Node) -> tuple[str, str]:
        """(name, namespace); what else metadata says changes nothing."""
        said = {key: value for _, key, value in node.pairs("metadata")}
        if "name" not in said:
            raise node.fail("metadata needs 'name'")
        name = said["name"].text("a name")
        namespace = said["namespace"].text("a namespace") if "namespace" in said else "default"
        if (namespace, name) in self.seen:
            raise node.fail(f"{namespace}/{name} is there twice", self.seen[namespace, name])
        self.seen[namespace, name] = node.place
        return name, namespace

    def policy(self, spec: Node, name: str, namespace: str) -> None:
        found = spec.mapping("a policy's spec", ("podSelector", "policyTypes", "ingress", "egress"), ("podSelector",))
        fits = label_selector(found["podSelector"])
        chosen = [at for at, pod in enumerate(self.cluster.pods) if pod.namespace == namespace and fits(pod.labels)]
        for direction in self.types(found):
            section = found.get(direction.lower())
            self.isolated[direction].update(chosen)
            for node in section.listed("rules") if section is not None and not section.is_null else ():
                self.rules[direction] += self.rule(node, direction, f"{namespace}/{name}", namespace, [self.cluster.pods[at] for at in chosen])

    def types(self, found: dict[str, Node]) -> list[str]:
        if "policyTypes" not in found:
            return ["Ingress", *(["Egress"] if "egress" in found else [])]
        made = []
        for one in found["policyTypes"].listed("types"):
            word = one.text("Ingress or Egress")
            if word not in ("Ingress", "Egress"):
                raise one.fail(f"expected Ingress or Egress, found {word[:60]!r}")
            made.append(word)
        for direction in ("Ingress", "Egress"):
            section = found.get(direction.lower())
            if section is not None and direction not in made and not section.is_null and section.listed("rules"):
                raise section.fail(f"has rules, but policyTypes does not name {direction}", found["policyTypes"].place)
        return list(dict.fromkeys(made))

    def rule(self, node: Node, direction: str, name: str, namespace: str, chosen: list[Pod]) -> Iterator[Rule]:
        side = "from" if direction == "Ingress" else "to"
        found = node.mapping("a rule", (side, "ports"))
        pods: list[Pod] | None = None
        blocks: list[Addresses] = []
        peers = found[side].listed("peers") if side in found and not found[side].is_null else []
        for one in peers:
            picked, block = self.peer(one, namespace)
            if block is not None:
                blocks.append(block)
            else:
                pods = (pods or []) + picked
        anyone = not peers
        own = joined(chosen)
        for services, where in self.services(found.get("ports"), chosen if direction == "Ingress" else self.cluster.pods if anyone else pods or [],
                                             direction == "Egress" and bool(blocks or anyone)):
            others = EVERYWHERE if anyone else joined(pods or [])
            for block in blocks:
                others |= block
            if direction == "Ingress":
                yield Rule(name, node.place, others, own if where is None else joined(where), services)
            else:
                yield Rule(name, node.place, own, others if where is None else joined(where), services)

    def peer(self, node: Node, namespace: str) -> tuple[list[Pod], Addresses | None]:
        found = node.mapping("a peer", ("podSelector", "namespaceSelector", "ipBlock"))
        if not found:
            raise node.fail("a peer needs podSelector, namespaceSelector or ipBlock")
        if "ipBlock" in found:
            if len(found) > 1:
                raise found["ipBlock"].fail("an ipBlock stands alone in its peer")
            block = found["ipBlock"].mapping("an ipBlock", ("cidr", "except"), ("cidr",))
            addresses = cidr(block["cidr"])
            for one in block["except"].listed("networks") if "except" in block and not block["except"].is_null else ():
                hole = cidr(one)
                if hole & addresses != hole:
                    raise one.fail("an exception lies within its cidr", block["cidr"].place)
                addresses -= hole
            return [], addresses
        pod_fits = label_selector(found["podSelector"]) if "podSelector" in found else (lambda own: True)
        if "namespaceSelector" in found:
            space_fits = label_selector(found["namespaceSelector"])
            spaces = {name for name, own in self.cluster.namespaces.items() if space_fits(own)}
        else:
            spaces = {namespace}
        return [pod for pod in self.cluster.pods if pod.namespace in spaces and pod_fits(pod.labels)], None

    def services(self, node: Node | None, targets: list[Pod], beyond: bool) -> Iterator[tuple[Ranges, list[Pod] | None]]:
        """Services, and for named ports the targets that they are about (None: all). beyond: targets may be no pods."""
        if node is None or node.is_null or not node.listed("ports"):
            yield (SERVICES,), None
            return
        plain: list[tuple[int, int]] = []
        for one in node.listed("ports"):
            found = one.mapping("a port", ("protocol", "port", "endPort"))
            number = protocol(found)
            if "port" not in found:
                if "endPort" in found:
                    raise found["endPort"].fail("endPort needs a port")
                plain.append((number << 16, number << 16 | 65535))
                continue
            text = found["port"].text("a port")
            if text.isascii() and text.isdigit():
                low = found["port"].number("a port", 1, 65535)
                high = found["endPort"].number("endPort", low, 65535) if "endPort" in found else low
                plain.append((number << 16 | low, number << 16 | high))
                continue
            if "endPort" in found:
                raise found["endPort"].fail("endPort needs a port that is a number")
            if beyond:
                raise found["port"].fail(f"the named port {text[:60]!r} cannot be known of what is no pod")
            by_port: dict[int, list[Pod]] = {}
            for pod in targets:
                if pod.ports.get(text, (0, 0))[0] == number:
                    by_port.setdefault(pod.ports[text][1], []).append(pod)
            if targets and not by_port:
                raise found["port"].fail(f"no pod that is meant has a port named {text[:60]!r}", self.cluster.place)
            for port, pods in by_port.items():
                yield ((number << 16 | port, number << 16 | port),), pods
        if plain:
            yield union(plain), None

    # ---- both directions at once ----

    def free(self, direction: str) -> Addresses:
        return joined(pod for at, pod in enumerate(self.cluster.pods) if at not in self.isolated[direction])

    def parts(self) -> Parts:
        nobody = EVERYWHERE - self.everyone
        parts = Parts("NetworkPolicies", checked=False)
        segments = _Segments(parts, self.cluster)
        # (rule, its source is a pod) and (rule, its target is a pod)
        leaving = [(rule, True) for rule in self.rules["Egress"]] + [
            (Rule("", None, self.free("Egress"), EVERYWHERE, (SERVICES,)), True), (Rule("", None, nobody, EVERYWHERE, (SERVICES,)), False)]
        entering = [(rule, True) for rule in self.rules["Ingress"]] + [
            (Rule("", None, EVERYWHERE, self.free("Ingress"), (SERVICES,)), True), (Rule("", None, EVERYWHERE, nobody, (SERVICES,)), False)]
        for out, from_pod in leaving:
            for into, to_pod in entering:
                if not from_pod and not to_pod:
                    continue
                services = intersection(out.services, into.services)
                sources, targets = out.sources & into.sources, out.targets & into.targets
                if not services or not sources or not targets:
                    continue
                places = [place for place in (out.place, into.place) if place is not None]
                parts.lines.append(Line(" and ".join(dict.fromkeys(name for name in (out.name, into.name) if name)) or "not selected",
                                        places[0] if places else self.cluster.place, (segments(sources),), (segments(targets),), services,
                                        other=places[1] if len(places) > 1 else None))
                if len(parts.lines) > LINES_MAX:
                    raise PolicyError(parts.lines[-1].place, f"egress and ingress meet in more than {LINES_MAX} ways")
        return parts


class _Segments:
    """Sets of addresses as segments, each once, named by the pods in them."""

    def __init__(self, parts: Parts, cluster: Cluster):
        self.parts = parts
        self.cluster = cluster
        self.numbers: dict[Addresses, int] = {EVERYWHERE: ANY}
        self.names: dict[str, int] = {}
        parts.segments.append(Segment("any", cluster.place, (Selector(),)))

    def __call__(self, addresses: Addresses) -> int:
        number = self.numbers.get(addresses)
        if number is None:
            number = self.numbers[addresses] = len(self.parts.segments)
            self.parts.segments.append(Segment(self.name(addresses), self.cluster.place, (Selector(addresses),)))
        return number

    def name(self, addresses: Addresses) -> str:
        pods = [pod for pod in self.cluster.pods if pod.addresses & addresses]
        name = ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:3]) + (f" and {len(pods) - 3} pods more" if len(pods) > 3 else "")
        if addresses - joined(pods):
            name = f"{name} and others" if name else "outside"
        self.names[name] = self.names.get(name, 0) + 1
        return name if self.names[name] == 1 else f"{name} ({self.names[name]})"


def cidr(node: Node) -> Addresses:
    text = node.text("a network")
    if "/" not in text:
        raise node.fail(f"expected a network such as 10.0.0.0/8, found {text[:60]!r}")
    low, high, version = address_range(node)
    return Addresses(((low, high),)) if version == 4 else Addresses((), ((low, high),))
