"""The emulated DPU as the control plane sees it: how large its session table is, and how long a session lives."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SESSIONS_MAX = 1 << 28      # of any table: more than there can be flows; it takes memory as it fills
SETTINGS = ("capacity", "timeout")


class DeviceError(ValueError):
    """A device file that cannot be read as one: the file, the place where there is one, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Device:
    """The emulated DPU: a session table. sessions: how many it holds; idle_timeout: seconds of packet time."""
    sessions: int = 1_000_000
    idle_timeout: float = 10.0
    insert_rate: float | None = None
    insert_latency: float = 0.0
    counter_lag: float = 0.0
    snoop: int = 4096

    def __post_init__(self) -> None:
        if not isinstance(self.sessions, int) or isinstance(self.sessions, bool) or not 0 <= self.sessions <= SESSIONS_MAX:
            raise ValueError(f"sessions must be a number from 0 to {SESSIONS_MAX}, not {self.sessions!r}")
        if not isinstance(self.idle_timeout, (int, float)) or isinstance(self.idle_timeout, bool) or not 0 < self.idle_timeout <= 1e9:
            raise ValueError(f"idle_timeout must be above 0 seconds and at most 1e9, not {self.idle_timeout!r}")

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """A device from a profile's name (PROFILES), or from a YAML file: `capacity` (sessions) and `timeout` (seconds without a
        packet), either of which may be absent. DeviceError for a file that says anything else, OSError for one that cannot be
        read."""
        if str(source) in PROFILES:
            return cls(**PROFILES[str(source)])
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError
        text = Path(source).read_bytes()
        try:
            read: Any = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, UnicodeDecodeError) as error:
            raise DeviceError(f"{source}: {error}") from None
        if not isinstance(read, dict):
            raise DeviceError(f"{source}: a device is a mapping of {' and '.join(SETTINGS)}")
        unknown = [str(name) for name in read if name not in SETTINGS]
        if unknown:
            raise DeviceError(f"{source}: a device has no setting {unknown[0]!r}; it has {' and '.join(SETTINGS)}")
        names = {"capacity": "sessions", "timeout": "idle_timeout"}
        try:
            return cls(**{names[name]: value for name, value in read.items()})
        except ValueError as error:
            text = str(error)
            for setting, name in names.items():
                text = text.replace(name, setting)
            raise DeviceError(f"{source}: {text}") from None

    def settings(self) -> dict[str, Any]:
        times = {name: round(getattr(self, name) * 1_000_000_000) for name in ("idle_timeout", "insert_latency", "counter_lag")}
        return times | {"sessions": self.sessions, "insert_rate": self.insert_rate, "snoop": self.snoop}


#: Devices by name. `unlimited` takes every session that is asked for, and forgets none: what a table of no limits would do.
PROFILES: dict[str, dict[str, Any]] = {"unlimited": {"sessions": SESSIONS_MAX, "idle_timeout": 1e9}}
