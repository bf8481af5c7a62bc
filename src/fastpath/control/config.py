"""The settings of an engine: Suricata's stock ones, then a suricata.yaml, then `--set key=value`.

A key is honoured (HONOURED names it and how its value is read), or accepted and without effect because fastpath has no such
thing to set (INERT), or not supported. Nothing is dropped unseen: Config lists all three. Values are kept with their place,
so that an error names file, line and column. `!include FILE` as a value and `include: FILE` (or a list) at the top are
followed, from the folder of the main file. A suricata.yaml changes what it names; the rest stays stock.

Source: Suricata User Guide 7.0, Configuration (suricata.yaml, include directives).
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from fastpath.control.exceptions import FAULTS
from fastpath.dataplane.hosts import OS_NAMES, host_ranges
from fastpath.rules.datasets import DataFiles
from fastpath.rules.plan import Place
from fastpath.rules.stock import STOCK_VARIABLES

INCLUDE_DEPTH = 16
BUCKETS_MAX = 128
APP_MEMCAP = 256 << 20      # bytes of transactions, bodies and files
ACTION_ORDER = ("pass", "drop", "reject", "alert")
BUCKET_SHARE = 8 << 20      # bytes: no memory cap is cut into smaller shares


class ConfigError(ValueError):
    """A setting that cannot be read; the message begins with its place."""

    def __init__(self, place: Place, message: str):
        super().__init__(f"{place}: {message}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as written: text, or a list of texts."""
    value: str | list[str]
    place: Place


# ---- how values are read: each takes the text and raises ValueError saying what was expected ----

def boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "yes", "true", "on"):
        return True
    if word in ("0", "no", "false", "off"):
        return False
    raise ValueError("expected yes or no")


def size(text: str) -> int:
    """Bytes: "64mb", "32 kb", "1gb", "4096". A kilobyte has 1024 bytes."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(kb|mb|gb|kib|mib|gib)?\s*", text, re.IGNORECASE)
    if not found:
        raise ValueError("expected a size such as 64mb")
    unit = (found[2] or "").lower().replace("i", "")
    return int(float(found[1]) * {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}[unit])


def integer(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\s*\d+\s*", text) or not low <= int(text) <= high:
            raise ValueError(f"expected a number from {low} to {high}")
        return int(text)
    return read


def checksums(text: str) -> str:
    """The checksum mode: all, none or auto."""
    word = text.strip().lower()
    if word in ("auto", "all", "none"):
        return word
    try:
        return "all" if boolean(word) else "none"
    except ValueError:
        raise ValueError("expected yes, no or auto") from None


def inline_mode(text: str) -> str:
    """Whether streams are inspected on arrival: auto goes by the mode of the engine."""
    word = text.strip().lower()
    return "auto" if word == "auto" else "yes" if boolean(word) else "no"


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}")
        return text.strip().lower()
    return read


def action_order(text: str) -> tuple[str, ...]:
    """The actions of rules, the one that is looked at first before the others."""
    words = tuple(re.findall(r"[a-z]+", text.lower()))
    if sorted(words) != sorted(ACTION_ORDER):
        raise ValueError(f"expected {', '.join(ACTION_ORDER[:-1])} and {ACTION_ORDER[-1]} in some order")
    return words


EXCEPTION_POLICIES = ("auto", "ignore", "pass-packet", "pass-flow", "bypass", "drop-packet", "drop-flow", "reject")
exception_policy = one_of(*EXCEPTION_POLICIES)


def networks(text: str) -> list[str]:
    """Addresses and networks: "[10.0.0.0/8, ::1]"."""
    found = [one.strip().strip("\"'") for one in text.strip().strip("[]").split(",")]
    for one in filter(None, found):
        try:
            ip_network(one, strict=False)
        except ValueError:
            raise ValueError(f"expected addresses and networks, not {one!r}") from None
    return [one for one in found if one]


def text_of(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a value")
    return text.strip()


def enabled(text: str) -> str:
    """What becomes of a protocol: yes, no, or detection-only."""
    return "detection-only" if text.strip().lower() == "detection-only" else "yes" if boolean(text) else "no"


def port_list(text: str) -> list[int]:
    """Ports: "53", "139, 445"."""
    found = [int(one) for one in re.findall(r"\d+", text)]
    if not found or re.search(r"[^\d,\s\[\]]", text) or max(found) > 65535:
        raise ValueError("expected ports such as 139, 445")
    return found


seconds = integer(0, 1 << 31)
urgent_policy = one_of("inline", "drop", "oob", "gap")
_LIBHTP = "app-layer.protocols.http.libhtp.default-config."
#: What the rooms are told, by its key in a suricata.yaml -> (its key in dataplane/applayer/settings.pyx, how it is read).
ROOM_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    _LIBHTP + "request-body-limit": ("http.request-body-limit", size),
    _LIBHTP + "response-body-limit": ("http.response-body-limit", size),
    _LIBHTP + "request-body-minimal-inspect-size": ("http.request-body-minimal-inspect-size", size),
    _LIBHTP + "response-body-minimal-inspect-size": ("http.response-body-minimal-inspect-size", size),
    _LIBHTP + "request-body-inspect-window": ("http.request-body-inspect-window", size),
    _LIBHTP + "response-body-inspect-window": ("http.response-body-inspect-window", size),
    _LIBHTP + "response-body-decompress-layer-limit": ("http.response-body-decompress-layer-limit", integer(0, 255)),
    _LIBHTP + "compression-bomb-limit": ("http.compression-bomb-limit", size),
    _LIBHTP + "lzma-enabled": ("http.lzma-enabled", boolean),
    _LIBHTP + "lzma-memlimit": ("http.lzma-memlimit", size),
    _LIBHTP + "max-tx": ("http.max-tx", integer(1, 1 << 20)),
    _LIBHTP + "http-body-inline": ("http.http-body-inline", inline_mode),
    _LIBHTP + "double-decode-path": ("http.double-decode-path", boolean),
    _LIBHTP + "double-decode-query": ("http.double-decode-query", boolean),
    "app-layer.protocols.http2.max-streams": ("http2.max-streams", integer(1, 1 << 16)),
    "app-layer.protocols.http2.max-table-size": ("http2.max-table-size", size),
    "app-layer.protocols.http2.max-reassembly-size": ("http2.max-reassembly-size", size),
    "app-layer.protocols.smtp.inspected-tracker.content-limit": ("smtp.content-limit", size),
    "app-layer.protocols.smtp.inspected-tracker.content-inspect-min-size": ("smtp.content-inspect-min-size", size),
    "app-layer.protocols.smtp.inspected-tracker.content-inspect-window": ("smtp.content-inspect-window", size),
    "app-layer.protocols.tls.decrypt-sessions": ("tls.decrypt-sessions", integer(0, 1 << 24)),
    "llm.text-limit": ("llm.text-limit", size),
    "app-layer.protocols.tls.encryption-handling": ("tls.encryption-handling", one_of("default", "track-only", "bypass", "full")),
}
#: Key -> how it is read. `*` stands for one name.
HONOURED: dict[str, Callable[[str], Any]] = {
    "vars.address-groups.*": text_of,
    "vars.port-groups.*": text_of,
    "default-rule-path": text_of,
    "rule-files": text_of,
    "classification-file": text_of,
    "reference-config-file": text_of,
    "threshold-file": text_of,
    "default-reputation-path": text_of,
    "default-data-dir": text_of,
    "datasets.rules.allow-absolute-filenames": boolean,
    "datasets.rules.allow-write": boolean,
    "datasets.*.type": text_of,
    "datasets.*.load": text_of,
    "datasets.*.save": text_of,
    "datasets.*.state": text_of,
    "datasets.*.memcap": text_of,
    "datasets.*.hashsize": text_of,
    "outputs.*.file-store.enabled": boolean,
    "outputs.*.file-store.version": integer(1, 2),
    "outputs.*.file-store.dir": text_of,
    "outputs.*.file-store.force-filestore": boolean,
    "outputs.*.file-store.write-fileinfo": boolean,
    "outputs.*.file-store.stream-depth": size,
    "file-store.enabled": boolean,
    "file-store.version": integer(1, 2),
    "file-store.dir": text_of,
    "file-store.force-filestore": boolean,
    "file-store.write-fileinfo": boolean,
    "file-store.stream-depth": size,
    "magic-file": text_of,
    "reputation-categories-file": text_of,
    "reputation-files": text_of,
    "packet-alert-max": integer(1, 255),
    "pcap-file.checksum-checks": checksums,
    "vlan.use-for-tracking": boolean,
    "decoder.teredo.enabled": boolean,
    "decoder.teredo.ports": text_of,
    "decoder.vxlan.enabled": boolean,
    "decoder.vxlan.ports": text_of,
    "decoder.geneve.enabled": boolean,
    "decoder.geneve.ports": text_of,
    "decoder.max-layers": integer(1, 255),
    "pcre.match-limit": integer(1, (1 << 32) - 1),
    "pcre.match-limit-recursion": integer(1, (1 << 32) - 1),
    "detect.inspection-recursion-limit": integer(1, (1 << 31) - 1),
    "host-os-policy.*": networks,
    "defrag.memcap": size,
    "defrag.trackers": integer(1, 1 << 24),
    "defrag.max-frags": integer(1, 1 << 24),
    "defrag.timeout": integer(1, 86400),
    "app-layer.protocols.*.enabled": enabled,
    "app-layer.protocols.*.detection-ports.dp": port_list,
    "app-layer.protocols.*.detection-ports.sp": port_list,
    "app-layer.protocols.*.*.enabled": enabled,
    "app-layer.protocols.*.*.detection-ports.dp": port_list,
    "app-layer.protocols.*.*.detection-ports.sp": port_list,
    "flow.memcap": size,
    "flow-timeouts.default.new": seconds,
    "flow-timeouts.default.established": seconds,
    "flow-timeouts.default.closed": seconds,
    "flow-timeouts.tcp.new": seconds,
    "flow-timeouts.tcp.established": seconds,
    "flow-timeouts.tcp.closed": seconds,
    "flow-timeouts.udp.new": seconds,
    "flow-timeouts.udp.established": seconds,
    "flow-timeouts.icmp.new": seconds,
    "flow-timeouts.icmp.established": seconds,
    "stream.memcap": size,
    "stream.midstream": boolean,
    "stream.midstream-policy": exception_policy,
    "stream.async-oneside": boolean,
    "stream.inline": inline_mode,
    "stream.checksum-validation": boolean,
    "stream.bypass": boolean,
    "stream.liberal-timestamps": boolean,
    "stream.max-syn-queued": integer(0, 255),
    "stream.max-synack-queued": integer(0, 255),
    "stream.reassembly.memcap": size,
    "stream.reassembly.depth": size,
    "stream.reassembly.toserver-chunk-size": size,
    "stream.reassembly.toclient-chunk-size": size,
    "stream.reassembly.raw": boolean,
    "stream.reassembly.check-overlap-different-data": boolean,
    "stream.reassembly.urgent.policy": urgent_policy,
    "stream.reassembly.urgent.oob-limit-policy": urgent_policy,
    "action-order": action_order,
    "exception-policy": exception_policy,
    "defrag.memcap-policy": exception_policy,
    "flow.memcap-policy": exception_policy,
    "stream.memcap-policy": exception_policy,
    "stream.reassembly.memcap-policy": exception_policy,
    "app-layer.error-policy": exception_policy,
    "outputs.*.eve-log.ethernet": boolean,
    "outputs.*.eve-log.metadata": boolean,
    "outputs.*.eve-log.types.*.alert.payload": boolean,
    "outputs.*.eve-log.types.*.alert.payload-printable": boolean,
    "outputs.*.eve-log.types.*.alert.payload-buffer-size": size,
    "outputs.*.eve-log.types.*.alert.packet": boolean,
    "outputs.*.eve-log.types.*.alert.verdict": boolean,
    "outputs.*.eve-log.types.*.files.force-magic": boolean,
} | {key: read for key, (_, read) in ROOM_SETTINGS.items()} | {
    f"simulate.{kind}": boolean if meaning is None else size for kind, meaning in FAULTS.items()}
LISTS = ("rule-files", "reputation-files")

#: Accepted, and change nothing: they choose how Suricata runs or what it writes, not what it finds.
INERT = (
    "suricata-version", "default-log-dir", "stats", "plugins", "outputs", "logging", "af-packet", "af-xdp", "dpdk", "pcap", "netmap",
    "pfring", "ipfw", "napatech", "nfq", "nflog", "capture", "runmode", "autofp-scheduler", "run-as", "security", "coredump",
    "unix-command", "pid-file", "daemon-directory", "umask", "max-pending-packets", "default-packet-size",
    "engine-analysis", "mpm-algo", "spm-algo", "threading", "luajit", "profiling", "livedev", "sensor-name", "legacy", "cuda",
    "windivert", "device", "flow.hash-size", "flow.prealloc", "defrag.hash-size", "defrag.prealloc", "host.hash-size", "host.prealloc",
    "ippair.hash-size", "ippair.prealloc", "detect.sgh-mpm-context", "detect.profile", "detect.custom-values", "detect.prefilter",
    "detect.grouping", "detect.profiling", "stream.reassembly.randomize-chunk-size", "stream.reassembly.randomize-chunk-range",
    "stream.reassembly.segment-prealloc", "stream.prealloc-sessions", "pcre.match-limit-jit",
)


def _reader(key: str) -> Callable[[str], Any] | None:
    if key in HONOURED:
        return HONOURED[key]
    return next((read for pattern, read in HONOURED.items()
                 if "*" in pattern and fnmatchcase(key, pattern) and key.count(".") == pattern.count(".")), None)


def is_honoured(key: str) -> bool:
    return _reader(key) is not None


def is_inert(key: str) -> bool:
    return any(key == name or key.startswith(name + ".") for name in INERT)


# ---- YAML, with places ----

def _leaves(path: Path, base: Path, root: bool = True, depth: int = 0) -> Iterator[tuple[str, Setting]]:
    """(dotted key, setting) of every leaf of a YAML file, in its order. A list of plain values is one leaf."""
    from ruamel.yaml import YAML, nodes
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    def place(mark) -> Place:
        return Place(str(path), mark.line + 1, mark.column + 1)

    def included(node) -> Path:
        if depth >= INCLUDE_DEPTH:
            raise ConfigError(place(node.start_mark), f"includes nest deeper than {INCLUDE_DEPTH}")
        target = base / node.value
        if not target.is_file():
            raise ConfigError(place(node.start_mark), f"cannot include {node.value}: no such file")
        return target

    def walk(node, key: str, after=None) -> Iterator[tuple[str, Setting]]:
        """`after`: where the key ends, for a value that is not there."""
        if isinstance(node, nodes.ScalarNode):
            if str(node.tag) == "!include":
                for inner, setting in _leaves(included(node), base, False, depth + 1):
                    yield f"{key}.{inner}", setting
            else:
                yield key, Setting(str(node.value), place(node.start_mark if node.value else after or node.start_mark))
        elif isinstance(node, nodes.SequenceNode):
            if all(isinstance(one, nodes.ScalarNode) for one in node.value):
                yield key, Setting([str(one.value) for one in node.value], place(node.start_mark))
            else:
                for at, one in enumerate(node.value):
                    yield from walk(one, f"{key}.{at}")
        else:
            for name, value in node.value:
                if not isinstance(name, nodes.ScalarNode):
                    raise ConfigError(place(name.start_mark), "expected a plain key")
                if root and not key and name.value == "include":
                    for one in value.value if isinstance(value, nodes.SequenceNode) else [value]:
                        yield from _leaves(included(one), base, True, depth + 1)
                else:
                    yield from walk(value, f"{key}.{name.value}" if key else str(name.value), name.end_mark)

    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            top = YAML(typ="safe", pure=True).compose(stream)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place(mark) if mark else Place(str(path), 1, 1)
        raise ConfigError(where, f"not YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise ConfigError(Place(str(path), 1, 1), f"not YAML: {str(error).splitlines()[0]}") from None
    if top is None:
        return
    if not isinstance(top, nodes.MappingNode):
        raise ConfigError(place(top.start_mark), "expected keys and values")
    yield from walk(top, "")


@dataclass(slots=True)
class Config:
    """Settings by dotted key. Config() is stock; `read` and `set` change it."""
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    honoured: list[str] = field(default_factory=list)       # keys that were given and count
    inert: list[str] = field(default_factory=list)          # given, accepted, without effect
    unsupported: list[str] = field(default_factory=list)    # given, and not supported

    def __post_init__(self) -> None:
        if not self.values:
            for name, groups in STOCK_VARIABLES.items():        # Suricata's stock port groups are those named so
                self.values[f"vars.{'port' if name.endswith('_PORTS') else 'address'}-groups.{name}"] = groups
            path = Path(str(files("fastpath.control").joinpath("defaults.yaml")))
            for key, setting in _leaves(path, path.parent):
                self._take(key, setting)
            self.honoured.clear()
            self.unsupported.clear()

    @classmethod
    def load(cls, path: str | Path | None = None, sets: list[str] | tuple[str, ...] = ()) -> Config:
        """Stock, then the file, then each `key=value`. Raises ConfigError, or OSError where the file cannot be read."""
        config = cls()
        if path is not None:
            config.read(path)
        for text in sets:
            config.set(text)
        return config

    def read(self, path: str | Path) -> None:
        """Takes every setting of a suricata.yaml."""
        path = Path(path)
        for key, setting in _leaves(path, path.parent):
            self._take(key, setting)

    def set(self, text: str) -> None:
        """Takes one `key=value`, as `--set` gives it. `key.N=value` changes the N-th of a list."""
        key, equals, value = text.partition("=")
        key = key.strip()
        place = Place("--set", 1, 1)
        if not equals or not key:
            raise ConfigError(place, f"expected key=value, found {text!r}")
        name, _, at = key.rpartition(".")
        if name in LISTS and at.isdigit():
            items = list(self.values.get(name, ()))
            if int(at) > len(items):
                raise ConfigError(place, f"{key}: {name} has {len(items)} entries")
            items[int(at):int(at) + 1] = [value]
            self._take(name, Setting(items, place))
        else:
            self._take(key, Setting(value.strip(), Place("--set", 1, len(text) - len(value) + 1)))

    def _take(self, key: str, setting: Setting) -> None:
        read = _reader(key)
        if read is None:
            (self.inert if is_inert(key) else self.unsupported).append(key)
            return
        try:
            if key in LISTS:
                items = setting.value if isinstance(setting.value, list) else [setting.value]
                value: Any = [read(one) for one in items if one]       # a key with nothing behind it is an empty list
            else:
                value = read(f"[{','.join(setting.value)}]" if isinstance(setting.value, list) else setting.value)
        except ValueError as error:
            raise ConfigError(setting.place, f"{key}: {error}, found {setting.value!r}") from None
        self.values[key] = value
        self.places[key] = setting.place
        (self.honoured if is_honoured(key) else self.unsupported).append(key)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    # ---- what the rest of fastpath asks for ----

    def _group(self, prefix: str) -> dict[str, Any]:
        return {key[len(prefix):]: value for key, value in self.values.items() if key.startswith(prefix)}

    @property
    def variables(self) -> dict[str, str]:
        """Address and port groups, as rules name them (without the $)."""
        return self._group("vars.address-groups.") | self._group("vars.port-groups.")

    @property
    def hosts(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """What hosts run, by address: host_ranges of host-os-policy."""
        policies = self._group("host-os-policy.")
        for name in policies:
            if name not in OS_NAMES[1:]:
                raise ConfigError(self.places[f"host-os-policy.{name}"], f"no host-os-policy is named {name!r}")
        return host_ranges(policies)

    @property
    def rule_files(self) -> list[Path]:
        """The rule files, below default-rule-path unless absolute."""
        base = Path(self.get("default-rule-path", "."))
        return [base / name for name in self.get("rule-files", ())]

    @property
    def reputation_files(self) -> list[Path]:
        """The lists of reputation, below default-reputation-path unless absolute."""
        base = Path(self.get("default-reputation-path", "."))
        return [base / name for name in self.get("reputation-files", ())]

    @property
    def data_files(self) -> DataFiles:
        """Where data sets have their files, and the sets that the configuration names."""
        declared: dict[str, dict[str, str]] = {}
        for key, value in self._group("datasets.").items():
            name, _, what = key.rpartition(".")
            if name not in ("rules", "defaults", ""):
                declared.setdefault(name, {})[what] = str(value)
        return DataFiles(self.get("default-data-dir", ""), self.get("datasets.rules.allow-absolute-filenames", False),
                         self.get("datasets.rules.allow-write", True),
                         tuple((name, tuple(said.items())) for name, said in declared.items()), self.get("magic-file", ""))

    def file_store(self) -> dict[str, Any]:
        """What file-store is told, by its own words; {} where it is not enabled. `--set file-store.enabled=yes` does as well as an entry
        of outputs."""
        found: dict[str, Any] = self._group("file-store.")
        for key, value in self.values.items():
            if key.startswith("outputs.") and ".file-store." in key:
                found.setdefault(key.rpartition(".")[2], value)
        return found if found.get("enabled") else {}

    @property
    def buckets(self) -> int:
        """The largest power of two, up to 128, for which every memory cap's share is 8 MiB or more."""
        least = min(self["flow.memcap"], self["stream.memcap"], self["stream.reassembly.memcap"])
        count = 1
        while count < BUCKETS_MAX and least // (count * 2) >= BUCKET_SHARE:
            count *= 2
        return count

    def ports(self, key: str) -> list[int]:
        """The UDP ports of a tunnel: "4789", "[8472,4789]", "$VXLAN_PORTS"."""
        place = self.places[key]
        groups = self._group("vars.port-groups.")

        def expand(text: str, seen: tuple[str, ...]) -> Iterator[int]:
            for one in text.strip().strip("[]").split(","):
                one = one.strip()
                if one.startswith("$"):
                    name = one[1:]
                    if name in seen or name not in groups:
                        raise ConfigError(place, f"{key}: {one} is {'defined by itself' if name in seen else 'not defined'}")
                    yield from expand(groups[name], (*seen, name))
                elif one.isdigit() and int(one) <= 65535:
                    yield int(one)
                else:
                    raise ConfigError(place, f"{key}: expected ports such as [8472,4789], found {one!r}")

        return list(dict.fromkeys(expand(self.values[key], ())))

    def app_layer(self) -> dict[str, Any]:
        """The protocols: which are looked for, and on which ports they are likely."""
        found: dict[str, Any] = {"enabled": {}, "tcp_ports": {}, "udp_ports": {}, "tcp_source_ports": {}, "udp_source_ports": {}}
        for key, value in self.values.items():
            if not key.startswith("app-layer.protocols."):
                continue
            name, *path = key.split(".")[2:]
            if path[-1] == "enabled":
                found["enabled"][name] = value
            elif path[-1] in ("dp", "sp"):
                for transport in ("tcp", "udp"):
                    if path[0] in (transport, "detection-ports"):
                        found[f"{transport}{'_ports' if path[-1] == 'dp' else '_source_ports'}"][name] = value
        store = self.file_store()
        depth = self["stream.reassembly.depth"]
        found |= {"files.stores": bool(store), "files.force-store": store.get("force-filestore", False),
                  "files.force-magic": any(value for key, value in self.values.items() if key.endswith(".files.force-magic")),
                  "files.store-depth": store.get("stream-depth", depth)}
        return found | {name: self[key] for key, (name, _) in ROOM_SETTINGS.items() if key in self.values}

    def eve(self) -> dict[str, Any]:
        """What eve-log is told of alerts, by its own words; where several say so, the first."""
        found: dict[str, Any] = {}
        for key, value in self.values.items():
            if key.startswith("outputs.") and ".eve-log." in key and ".files." not in key:
                found.setdefault(key.rpartition(".")[2], value)
        return found

    def settings(self) -> dict[str, Any]:
        """What `fastpath._core.DataPlane` is made with, as far as the configuration decides it: sizes in bytes, times in
        seconds, a tunnel that is off has an empty list of ports."""
        timeouts: dict[str, dict[str, int]] = {}
        for name in ("default", "tcp", "udp", "icmp"):
            timeouts[name] = {state: self.get(f"flow-timeouts.{name}.{state}", self[f"flow-timeouts.default.{state}"])
                              for state in ("new", "established", "closed")}
        tunnels = {name: self.ports(f"decoder.{name}.ports") if self[f"decoder.{name}.enabled"] else []
                   for name in ("teredo", "vxlan", "geneve")}
        return {
            "buckets": self.buckets,
            "flow_memcap": self["flow.memcap"],
            "defrag": {name.replace("-", "_"): self[f"defrag.{name}"] for name in ("memcap", "trackers", "max-frags", "timeout")},
            "hosts": self.hosts,
            "app_layer": self.app_layer(),
            "magic_file": self.get("magic-file", ""),
            "flow_timeouts": timeouts,
            "checksums": self["pcap-file.checksum-checks"],
            "vlan_tracking": self["vlan.use-for-tracking"],
            "max_layers": self["decoder.max-layers"],
            "tunnels": tunnels,
            "packet_alert_max": self["packet-alert-max"],
            "memcaps": {"stream": self["stream.memcap"], "reassembly": self["stream.reassembly.memcap"], "app_layer": APP_MEMCAP},
            "stream": {
                "midstream": self["stream.midstream"], "async_oneside": self["stream.async-oneside"],
                "inline": self["stream.inline"], "checksums": self["stream.checksum-validation"], "bypass": self["stream.bypass"],
                "liberal_timestamps": self["stream.liberal-timestamps"], "max_syn": self["stream.max-syn-queued"],
                "max_synack": self["stream.max-synack-queued"],
                "depth": self["stream.reassembly.depth"], "to_server_chunk": self["stream.reassembly.toserver-chunk-size"],
                "to_client_chunk": self["stream.reassembly.toclient-chunk-size"], "raw": self["stream.reassembly.raw"],
                "compare_overlaps": self["stream.reassembly.check-overlap-different-data"],
                "urgent": self["stream.reassembly.urgent.policy"],
                "urgent_limit": self["stream.reassembly.urgent.oob-limit-policy"],
            },
            "pcre": {"match_limit": self["pcre.match-limit"], "recursion_limit": self["pcre.match-limit-recursion"]},
        }

    def summary(self) -> str:
        """One line on what became of the settings that were given."""
        return (f"{len(set(self.honoured))} settings honoured, {len(set(self.inert))} without effect here, "
                f"{len(set(self.unsupported))} not supported")
