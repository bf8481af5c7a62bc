"""The emulated DPU as the control plane sees it: what its session table holds and can do, and when a flow is punted to it."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from fastpath.rules.plan import Place

SESSIONS_MAX = 1 << 28      # of any table: more than there can be flows; it takes memory as it fills
NANOSECONDS = 1_000_000_000
_PACKETS, _BYTES = 1 << 30, 1 << 50

#: (least, most, unit) of each setting. What may be None has no limit then, or never happens.
RANGES: dict[str, tuple[float, float, str]] = {
    "sessions": (0, SESSIONS_MAX, "sessions"),
    "insert_rate": (1, 1_000_000_000, "sessions a second"),
    "insert_latency": (0, 3600, "seconds"),
    "idle_timeout": (0.001, 1_000_000_000, "seconds"),
    "counter_lag": (0, 3600, "seconds"),
    "snoop": (0, _BYTES, "bytes"),
    "offload.rule": (0, _PACKETS, "packets"), "offload.drop": (0, _PACKETS, "packets"), "offload.pass": (0, _PACKETS, "packets"),
    "offload.encrypted": (0, _PACKETS, "packets"), "offload.encrypted_bytes": (0, 1 << 40, "bytes"),
    "offload.depth": (0, 1 << 30, "bytes"), "offload.elephant": (1, _BYTES, "bytes"),
}
_WHOLE = {name for name, (_, _, unit) in RANGES.items() if unit != "seconds" and name != "insert_rate"}
_OPTIONAL = {"insert_rate", *(name for name in RANGES if name.startswith("offload."))}

#: When a flow is punted to the device, where nothing else is said: by what, and from which number on; None for never.
OFFLOAD: dict[str, int | None] = {"rule": 0, "drop": 0, "pass": 0, "encrypted": 8, "encrypted_bytes": None, "depth": 0, "elephant": None}


class DeviceError(ValueError):
    """A device file that says something that is no device: `place` (file, line, column) and what was expected."""

    def __init__(self, place: Place, message: str):
        super().__init__(f"{place}: {message}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Device:
    """The emulated DPU: a session table, and when flows are punted to it. All times are seconds of packet time.

    sessions: how many it holds; the table is divided evenly among the buckets of the engine, and one bucket (flow.memcap of
    8 MiB, say) gives the single table of the real thing. insert_rate: sessions a second that it takes, None for no limit.
    insert_latency: until an inserted session is in force. idle_timeout: after which a session without packets ends.
    counter_lag: between two reports of its counters; its idle timer goes by what was reported. snoop: bytes of each direction that
    the inspectors still see of a SNOOP session.

    offload: by what a flow is punted to the device, with a number each, None for never:
      rule, drop, pass: once a `bypass` rule, a drop or a pass of the flow has been decided, and it has had so many packets.
      encrypted: so many packets after payload turned to ciphertext (TLS, SSH); or encrypted_bytes: so many bytes after.
      depth: once a direction is so many bytes past the reassembly depth of the stream.
      elephant: once the flow has so many bytes.

    Raises ValueError naming the setting and its range.
    """
    sessions: int = 1_000_000
    insert_rate: float | None = field(default=None, kw_only=True)
    insert_latency: float = field(default=0.0, kw_only=True)
    idle_timeout: float = field(default=10.0, kw_only=True)
    counter_lag: float = field(default=0.0, kw_only=True)
    snoop: int = field(default=4096, kw_only=True)
    offload: Mapping[str, int | None] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        for name in RANGES:
            if "." not in name:
                _check(name, getattr(self, name))
        for name, number in self.offload.items():
            if f"offload.{name}" not in RANGES:
                raise ValueError(f"nothing is offloaded by {name!r}, but by {', '.join(OFFLOAD)}")
            _check(f"offload.{name}", number)
        whole = OFFLOAD | dict(self.offload)
        if whole["encrypted_bytes"] is not None:
            if self.offload.get("encrypted") is not None:
                raise ValueError("offload.encrypted and offload.encrypted_bytes are one threshold: packets or bytes, not both")
            whole["encrypted"] = None
        object.__setattr__(self, "offload", whole)

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """A device from a profile's name (`profiles`), or from a YAML file: the settings above by their names, and `profile`, the
        name of one to begin with. DeviceError, with file, line and column, for a file that says anything else, OSError for one that
        cannot be read."""
        if str(source) in profiles():
            return cls(**_profile(str(source)))
        return cls._read(Path(source))

    @classmethod
    def _read(cls, path: Path) -> Self:
        made: dict[str, Any] = {}
        places: dict[str, Place] = {}
        for name, text, place in _leaves(path):
            places[name] = place
            if name == "profile":
                if text not in profiles():
                    raise DeviceError(place, f"there is no profile {text!r}; there are {', '.join(profiles())}")
                made = _profile(text) | made
                continue
            if name not in RANGES:
                raise DeviceError(place, f"a device has no setting {name!r}; it has profile, {', '.join(RANGES)}")
            try:
                value = _number(name, text)
                _check(name, value)
            except ValueError as error:
                raise DeviceError(place, str(error)) from None
            group, _, inner = name.partition(".")
            if inner:
                made.setdefault(group, {})[inner] = value
            else:
                made[name] = value
        try:
            return cls(**made)
        except ValueError as error:
            raise DeviceError(places.get("offload.encrypted_bytes", Place(str(path), 1, 1)), str(error)) from None

    def settings(self) -> dict[str, Any]:
        """As the data plane takes it: times in ns."""
        times = {name: round(getattr(self, name) * NANOSECONDS) for name in ("idle_timeout", "insert_latency", "counter_lag")}
        return times | {"sessions": self.sessions, "insert_rate": self.insert_rate, "snoop": self.snoop, "offload": dict(self.offload)}


@cache
def profiles() -> dict[str, dict[str, Any]]:
    """The devices by name, as devices.yaml has them: `about`, and of each setting its `value` and its `source` or `guess`."""
    from ruamel.yaml import YAML
    return YAML(typ="safe", pure=True).load(Path(__file__).with_name("devices.yaml"))


def _profile(name: str) -> dict[str, Any]:
    return {setting: said["value"] for setting, said in profiles()[name].items() if setting != "about"}


def _check(name: str, value: Any) -> None:
    least, most, unit = RANGES[name]
    if value is None and name in _OPTIONAL:
        return
    kinds = (int,) if name in _WHOLE else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not least <= value <= most:
        whole = "a whole number" if name in _WHOLE else "a number"
        off = ", or none" if name in _OPTIONAL else ""
        raise ValueError(f"{name} must be {whole} from {least:,} to {most:,} {unit}{off}, not {value!r}")


def _number(name: str, text: str) -> float | int | None:
    """A value as YAML writes it; what is no number stays text, and fails its range."""
    if text in ("", "~", "null", "none", "off", "no", "never") and name in _OPTIONAL:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ValueError(f"{name} must be a number from {RANGES[name][0]:,} to {RANGES[name][1]:,} {RANGES[name][2]}, not {text!r}")


def _leaves(path: Path) -> list[tuple[str, str, Place]]:
    """(name, text, place) of every setting of a file, in its order."""
    from ruamel.yaml import YAML, nodes
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    def place(mark: Any) -> Place:
        return Place(str(path), mark.line + 1, mark.column + 1)

    def walk(node: Any, group: str) -> None:
        if not isinstance(node, nodes.MappingNode):
            raise DeviceError(place(node.start_mark), "a device is a mapping of settings to numbers")
        for key, value in node.value:
            name = group + str(key.value)
            if name in seen:
                raise DeviceError(place(key.start_mark), f"{name} is said twice")
            seen.add(name)
            if isinstance(value, nodes.ScalarNode):
                read.append((name, str(value.value), place(value.start_mark if value.value else key.end_mark)))
            elif name == "offload":
                walk(value, "offload.")
            elif name in RANGES or name == "profile":
                raise DeviceError(place(value.start_mark), f"{name} is one value")
            else:
                raise DeviceError(place(key.start_mark), f"a device has no setting {name!r}; it has profile, {', '.join(RANGES)}")

    read: list[tuple[str, str, Place]] = []
    seen: set[str] = set()
    try:
        root = YAML(typ="safe", pure=True).compose(path.read_bytes())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DeviceError(place(mark) if mark else Place(str(path), 1, 1), f"not YAML: {error.problem or error.context}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise DeviceError(Place(str(path), 1, 1), f"not YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        raise DeviceError(Place(str(path), 1, 1), "a device is a mapping of settings to numbers, and the file is empty")
    walk(root, "")
    return read
