"""Settings of a session table that are tried, and how they are written on the command line."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

from fastpath.control.device import RANGES, SESSIONS_MAX, Device

SECOND = 1_000_000_000
SETTINGS_MAX = 20_000


def in_range(name: str, value: Any) -> Any:
    """The value, or a ValueError that says the range (control.device.RANGES)."""
    least, most, unit = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} must lie between {least:,} and {most:,} {unit}, not {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Requests:
    """Which requests for offload count, and from which number on; None: it does not count.

    bypass: of rules with `bypass` (and of exception policies), from so many packets of the flow on; drop, passed: flows that a rule
    has dropped or passed for good, likewise. encrypted: payload that is encrypted after the handshake (TLS, SSH), so many packets
    later. depth: so many bytes of a TCP stream beyond the reassembly depth. elephant: so many bytes of the flow.
    """
    bypass: int | None = 0
    drop: int | None = 0
    passed: int | None = 0
    encrypted: int | None = None
    depth: int | None = None
    elephant: int | None = None

    def __post_init__(self) -> None:
        for name in REQUESTS:
            if getattr(self, name) is not None:
                in_range(f"offload.{DEVICE_NAMES.get(name, name)}", getattr(self, name))

    @classmethod
    def parse(cls, text: str) -> Self:
        """"bypass+verdict+encrypted=10+depth+elephant=10mb": the requests that count; verdict is drop+pass. ValueError for anything
        else."""
        found: dict[str, int | None] = dict.fromkeys(REQUESTS)
        for part in text.split("+"):
            name, given, number = part.strip().partition("=")
            names = {"verdict": ("drop", "passed"), "pass": ("passed",)}.get(name, (name,))
            if not found.keys() >= set(names) or name == "passed" or (name == "elephant" and not given):
                raise ValueError(f"a policy is made of bypass, drop, pass, verdict (drop and pass), encrypted (each with =PACKETS or without), "
                                 f"depth, depth=BYTES and elephant=BYTES, joined by +; not {part.strip()!r}")
            value = (size if name in ("depth", "elephant") else count)(number) if given else 0
            found.update(dict.fromkeys(names, value))
        return cls(**found)

    def __str__(self) -> str:
        given = {name: value for name in REQUESTS if (value := getattr(self, name)) is not None}
        if "drop" in given and given["drop"] == given.get("passed"):
            given = {"verdict" if name == "drop" else name: value for name, value in given.items() if name != "passed"}
        return "+".join(("pass" if name == "passed" else name)
                        + (f"={written(value) if name in ('depth', 'elephant') else value}" if value else "") for name, value in given.items()) or "none"


#: The fields of Requests, in the order of enum ask_reason, and what Device.offload calls those that it calls otherwise.
REQUESTS = ("bypass", "drop", "passed", "encrypted", "depth", "elephant")
DEVICE_NAMES = {"bypass": "rule", "passed": "pass"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A session table: sessions that it holds; insert_rate (sessions a second, None: no limit); insert_latency (seconds until a
    session is in force); idle_timeout (seconds without a packet); all in packet time. requests: what is asked of it."""
    sessions: int
    insert_rate: float | None = None
    insert_latency: float = 0.0
    idle_timeout: float = 10.0
    requests: Requests = Requests()

    def __post_init__(self) -> None:
        if not isinstance(self.sessions, int) or self.sessions == 0:
            raise ValueError(f"sessions must be a whole number from 1 to {SESSIONS_MAX:,}, not {self.sessions!r}")
        for name in ("sessions", "insert_latency", "idle_timeout"):
            in_range(name, getattr(self, name))
        if self.insert_rate is not None:
            in_range("insert_rate", self.insert_rate)

    @property
    def table(self) -> tuple[float | None, float, float]:
        """All but the size and the requests: what a curve over table sizes keeps fixed."""
        return self.insert_rate, self.insert_latency, self.idle_timeout

    def device(self) -> Device:
        """The device of this setting."""
        return Device(self.sessions, insert_rate=self.insert_rate, insert_latency=self.insert_latency, idle_timeout=self.idle_timeout,
                      offload={DEVICE_NAMES.get(name, name): getattr(self.requests, name) for name in REQUESTS})

    def as_dict(self) -> dict[str, Any]:
        return {"sessions": self.sessions, "insert_rate": self.insert_rate, "insert_latency": self.insert_latency,
                "idle_timeout": self.idle_timeout, "policy": str(self.requests)}

    def __str__(self) -> str:
        rate = "any rate" if self.insert_rate is None else f"{self.insert_rate:,.0f}/s"
        return f"{self.sessions:,} sessions, {rate}, {self.insert_latency * 1000:g} ms, {self.idle_timeout:g} s idle, {self.requests}"


# ---- how they are written ----

def number(text: str, units: dict[str, float], expected: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text, re.IGNORECASE)
    if found is None or found[2].lower() not in units:
        raise ValueError(f"expected {expected}, not {text.strip()!r}")
    return float(found[1]) * units[found[2].lower()]


def count(text: str) -> int:
    """"4096", "64k", "1m": thousands and millions."""
    return round(number(text, {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}, "a number such as 4096, 64k or 1m"))


def size(text: str) -> int:
    """Bytes: "4096", "64kb", "1mb"; a kilobyte has 1024 bytes."""
    return round(number(text, {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}, "bytes such as 4096, 64kb or 1mb"))


def seconds(text: str) -> float:
    """"10", "10s", "5ms", "20us", "2min"."""
    return number(text, {"": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "min": 60}, "a time such as 10s, 5ms or 2min")


def rate(text: str) -> float | None:
    """"100k": sessions a second; "unlimited": None."""
    return None if text.strip().lower() == "unlimited" else count(text)


def written(value: int) -> str:
    """Bytes, as `size` reads them."""
    for unit, scale in (("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)):
        if value >= scale and value % scale == 0:
            return f"{value // scale}{unit}"
    return str(value)


def listed(text: str, read: Callable[[str], Any]) -> list[Any]:
    """The values of a list with commas, each once, in order."""
    return list(dict.fromkeys(read(one) for one in text.split(",")))


RATES = "unlimited,1k"
LATENCIES = "0,100ms"
TIMEOUTS = "10s,60s"
POLICIES = ",".join(("bypass+verdict+encrypted", *(f"bypass+verdict+encrypted+{more}" for more in (
    "depth", "elephant=1mb", "elephant=100kb", "elephant=10kb"))))


def grid(sizes: Iterable[int], rates: Iterable[float | None], latencies: Iterable[float], timeouts: Iterable[float],
         policies: Iterable[Requests]) -> list[Setting]:
    """Every combination. ValueError for one that is out of range, or for more than SETTINGS_MAX of them."""
    axes: Sequence[Sequence[Any]] = [list(axis) for axis in (sizes, rates, latencies, timeouts, policies)]
    total = 1
    for axis in axes:
        total *= len(axis)
    if total > SETTINGS_MAX:
        raise ValueError(f"{total:,} settings are too many; at most {SETTINGS_MAX:,} are simulated")
    return [Setting(*one) for one in product(*axes)]


def read_grid(sizes: str | None = None, rates: str = RATES, latencies: str = LATENCIES, timeouts: str = TIMEOUTS,
              policies: str = POLICIES) -> list[Setting]:
    """The grid of the command line's lists; without sizes each setting stands once, with the largest table (see `spread`)."""
    return grid([SESSIONS_MAX] if sizes is None else listed(sizes, count), listed(rates, rate), listed(latencies, seconds),
                listed(timeouts, seconds), listed(policies, Requests.parse))


def spread(peak: int) -> list[int]:
    """Sizes that show the whole curve of a table in which at most `peak` sessions stand at a time: powers of two, from where it is
    nearly always full to where it never is."""
    most = max(4, (max(peak, 1) - 1).bit_length() + 1)
    return [1 << power for power in range(max(0, most - 9), most + 1)]


def resized(setting: Setting, sessions: int) -> Setting:
    return replace(setting, sessions=sessions)
