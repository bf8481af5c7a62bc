"""Zero trust: which segments may speak to which, over what, and until when. What no line allows is denied.

    policy = Policy.load("policy.yaml")
    with fastpath.Engine(rules, policy=policy, mode="ips") as engine: ...

docs/policy.md teaches the files; Kubernetes NetworkPolicies are read by `Policy.load_kubernetes`.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastpath.control.policy.model import Line, Listing, Parts, PolicyError, Segment, Warn
from fastpath.rules.leaks import DATA_CLASS

__all__ = ["DATA_CLASS", "Line", "Policy", "PolicyError", "Segment", "Warn"]

NO_LINE = 0xFFFFFFFF


#: Applications that are recognised on any port by what looks beyond Suricata's recognition (dataplane/applayer/beyond.pxd); some of them
#: Suricata knows on their own ports.
BEYOND = frozenset(("bacnet", "coap", "dnp3", "enip", "gtpc", "ipmi", "modbus", "mqtt", "nccl", "nfs", "nvme-tcp", "opcua", "pfcp", "s7"))


def alprotos() -> dict[str, int]:
    """The numbers of the applications that are recognised, by name."""
    from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS
    return {name: number for name, number in PROTOCOL_NUMBERS.items() if name not in ("unknown", "failed")}


class Policy:
    """Segments and lines. segments[0] is `any`. warnings: what is odd, with places. Raises PolicyError, at its place, for what cannot
    be read or contradicts itself."""

    def __init__(self, parts: Parts):
        from fastpath.control.policy.checks import check
        from fastpath.control.policy.classes import classify
        self.name = parts.name
        self.segments: list[Segment] = parts.segments
        self.lines: list[Line] = parts.lines
        self.listings: list[Listing] = parts.listings
        self.settings = parts.settings
        self.tenants = parts.tenants    # VLANs, tunnels (kind << 32 | VNI or TEID) and QFIs by label
        self.classes = classify(self.segments)
        self.warnings: list[Warn] = check(self.segments, self.lines, self.classes) if parts.checked else []
        self.compile(dict.fromkeys((line.data for line in self.lines if line.data), 1).__getitem__)     # what does not fit is refused now

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a file. OSError where it cannot be read."""
        return cls.parse(Path(path).read_bytes(), str(path))

    @classmethod
    def parse(cls, text: str | bytes, name: str = "<text>") -> Self:
        """From a text; `name` stands in places."""
        from fastpath.control.policy.reader import read
        from fastpath.control.policy.yaml import document
        return cls(read(document(text, name, "a policy"), frozenset(alprotos())))

    @classmethod
    def load_kubernetes(cls, paths: str | Path | Iterable[str | Path], labels: str | Path) -> Self:
        """From files of NetworkPolicies, or folders of them (*.yaml, *.yml), for the pods and namespaces of a file of labels
        (kubernetes.py says what stands in it)."""
        from fastpath.control.policy.kubernetes import read, read_cluster
        from fastpath.control.policy.yaml import document, documents
        named = [Path(one) for one in ([paths] if isinstance(paths, (str, Path)) else paths)]
        found = [one for path in named for one in (sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml")) if path.is_dir() else [path])]
        nodes = [node for path in found for node in documents(path.read_bytes(), str(path))]
        cluster = document(Path(labels).read_bytes(), str(labels), "a file of labels")
        return cls(read(nodes, read_cluster(cluster)))

    @property
    def looks_beyond(self) -> bool:
        """Does it ask for more than recognition and flows tell?"""
        return self.settings.queue_pairs_apart or self.settings.tunnels_bound or any(
            line.applications is not None and line.applications & BEYOND for line in self.lines)

    @property
    def tags(self) -> np.ndarray:
        """bindings.TAG of what its tenants are known by: VLANs and VNIs; of one that several claim it is the first's that comes first."""
        from fastpath.dataplane.bindings import TAG
        claimed = sorted((low, high, number) for number, (vlans, tunnels, _) in enumerate(self.tenants.values(), 1)
                         for low, high in (*(vlans or ()), *(tunnels or ())) if high >> 32 <= 1)
        made, end = [], 0
        for low, high, number in claimed:
            if high >= max(low, end):
                made.append((max(low, end), high, number, 0))
                end = high + 1
        return np.array(made, TAG)

    def compile(self, data: Callable[[str], int]) -> Any:
        """The Classifier for the data plane. data: gives each class of data its bit."""
        from fastpath.control.policy.compile import compile_arrays
        from fastpath.dataplane.policy import Classifier
        return Classifier(compile_arrays(self.segments, self.lines, self.settings, self.classes, alprotos(), data))

    @property
    def data_classes(self) -> list[str]:
        """The classes of data that zones are about, and what stands for lists of services."""
        return list(dict.fromkeys(line.data for line in self.lines if line.data))

    @property
    def stand_ins(self) -> frozenset[str]:
        """Classes of data that stand for lists of services."""
        return frozenset(line.data for line in self.lines if line.kind == "services")

    def listing_of(self, service: str, kind: str) -> Listing | None:
        """The first list that a service of the inventory stands on."""
        return next((one for one in self.listings if one.fits(service, kind)), None)

    @property
    def identity(self) -> bytes:
        """The same for policies that say the same, whatever their places."""
        whole = blake2b(digest_size=16)
        for segment in self.segments:
            whole.update(repr((segment.name, segment.selectors)).encode())
        for line in self.lines:
            whole.update(repr((line.name, line.sources, line.targets, line.services, sorted(line.applications or ()),
                               sorted(line.server_names or ()), line.action, line.until, line.kind, line.data)).encode())
        whole.update(repr([(one.status, one.services, one.kinds, one.line) for one in self.listings]).encode())
        whole.update(repr(self.settings).encode())
        return whole.digest()

    def names_of(self, endpoint: int) -> list[str]:
        """The segments of a class of endpoints, as rows of denials give it; ["any"] where it lies
        in none."""
        return [self.segments[one].name for one in self.classes.endpoints[endpoint]] or ["any"]

    def describe(self) -> dict[str, Any]:
        """As plain values: what `policy check --json` prints."""
        kinds = Counter(line.kind for line in self.lines)
        return {
            "name": self.name, "segments": [{"name": one.name, "place": str(one.place), "selectors": len(one.selectors)} for one in self.segments[1:]],
            "lines": [{"line": number} | self.describe_line(number) for number in range(len(self.lines))],
            "kinds": dict(kinds), "classes": len(self.classes.endpoints), "memory": self.compile(lambda _: 1).memory,
            "warnings": [{"file": one.place.file, "line": one.place.line, "column": one.place.column, "message": one.message,
                          "other": str(one.other) if one.other is not None else None} for one in self.warnings],
        }

    def describe_line(self, number: int) -> dict[str, Any]:
        """A line as plain values, without what it does not say; NO_LINE is the default."""
        if number == NO_LINE:
            return {"name": "default deny", "place": "", "kind": "default", "action": "deny"}
        line = self.lines[number]
        said = {
            "name": line.name, "place": str(line.place) + (f" and {line.other}" if line.other is not None else ""), "kind": line.kind,
            "action": line.action,
            "from": [self.segments[one].name for one in line.sources], "to": [self.segments[one].name for one in line.targets],
            "services": services_text(line), "application": sorted(line.applications or ()),
            "server_name": sorted("*" + name if name[0] == "." else name for name in line.server_names or ()),
            "data": line.data if line.kind == "residency" else "", "until": None if line.until is None else str(np.datetime64(line.until, "s")) + "Z", "why": line.why,
        }
        return {key: value for key, value in said.items() if value not in (None, "", []) or key in ("name", "place")}

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return f"<Policy {self.name!r}: {len(self.segments) - 1} segments, {len(self.lines)} lines>"


def services_text(line: Line) -> list[str]:
    """Services as they are written: "tcp 80", "udp 53-54", "icmp", "any"."""
    from fastpath.control.policy.reader import PROTOCOLS
    names = {number: name for name, number in PROTOCOLS.items()}
    made = []
    for low, high in line.services:
        for protocol in range(low >> 16, (high >> 16) + 1) if high - low < 0xFFFFFF else ():
            first = low & 0xFFFF if protocol == low >> 16 else 0
            last = high & 0xFFFF if protocol == high >> 16 else 0xFFFF
            name = names.get(protocol, str(protocol))
            made.append(name if (first, last) == (0, 0xFFFF) else f"{name} {first}" + (f"-{last}" if last > first else ""))
        if high - low >= 0xFFFFFF:
            made.append("any")
    return made


def schema() -> str:
    """The JSON schema of policy files."""
    return files("fastpath.control.policy").joinpath("policy.schema.json").read_text(encoding="utf-8")
