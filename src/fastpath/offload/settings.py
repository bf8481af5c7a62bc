"""Settings of a session table that are tried, and how they are written on the command line."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

SECOND = 1_000_000_000
SETTINGS_MAX = 20_000

#: By setting: the least and the most, and its unit.
RANGES: dict[str, tuple[float, float, str]] = {
    "sessions": (1, 1 << 28, "sessions"),
    "insert_rate": (1, 1e9, "sessions a second"),
    "insert_latency": (0, 60, "seconds"),
    "idle_timeout": (0.001, 1e6, "seconds"),
    "encrypted": (1, 65535, "packets of the flow"),
    "depth": (1, 0xFFFF_FFFF, "bytes of one direction of the stream"),
    "elephant": (1, 1 << 62, "bytes of the flow"),
}


def in_range(name: str, value: float) -> Any:
    """The value, or a ValueError that says the range."""
    least, most, unit = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} must lie between {least:g} and {most:,.15g} {unit}, not {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Requests:
    """Which requests for offload count, and from which number on; None and False: it does not count.

    bypass: of rules with `bypass` (and of exception policies). verdict: flows that a rule has dropped or passed for good.
    encrypted: payload that is encrypted after the handshake (TLS, SSH), from so many packets of the flow on. depth: so many bytes
    of one direction of a TCP stream. elephant: so many bytes of the flow.
    """
    bypass: bool = True
    verdict: bool = True
    encrypted: int | None = None
    depth: int | None = None
    elephant: int | None = None

    def __post_init__(self) -> None:
        for name in ("encrypted", "depth", "elephant"):
            if getattr(self, name) is not None:
                in_range(name, getattr(self, name))

    @classmethod
    def parse(cls, text: str) -> Self:
        """"bypass+verdict+encrypted+depth=1mb+elephant=10mb": the requests that count. ValueError for anything else."""
        found: dict[str, Any] = {"bypass": False, "verdict": False}
        for part in text.split("+"):
            name, given, number = part.strip().partition("=")
            if name in ("bypass", "verdict") and not given:
                found[name] = True
            elif name == "encrypted":
                found[name] = count(number) if given else 1
            elif name in ("depth", "elephant") and given:
                found[name] = size(number)
            else:
                raise ValueError(f"a policy is made of bypass, verdict, encrypted[=PACKETS], depth=BYTES and elephant=BYTES, joined by +; "
                                 f"not {part.strip()!r}")
        return cls(**found)

    def __str__(self) -> str:
        parts = [name for name in ("bypass", "verdict") if getattr(self, name)]
        if self.encrypted is not None:
            parts.append("encrypted" if self.encrypted == 1 else f"encrypted={self.encrypted}")
        parts += [f"{name}={written(getattr(self, name))}" for name in ("depth", "elephant") if getattr(self, name) is not None]
        return "+".join(parts)


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
        for name in ("sessions", "insert_latency", "idle_timeout"):
            in_range(name, getattr(self, name))
        if not isinstance(self.sessions, int):
            raise ValueError(f"sessions must be a whole number, not {self.sessions!r}")
        if self.insert_rate is not None:
            in_range("insert_rate", self.insert_rate)

    @property
    def table(self) -> tuple[float | None, float, float]:
        """All but the size and the requests: what a curve over table sizes keeps fixed."""
        return self.insert_rate, self.insert_latency, self.idle_timeout

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


SIZES = "64,256,1k,4k,16k,64k,256k,1m,4m"
RATES = "unlimited,100k,10k"
LATENCIES = "0,1ms,100ms"
TIMEOUTS = "10s,60s"
POLICIES = "bypass+verdict,bypass+verdict+encrypted,bypass+verdict+encrypted+depth=1mb,bypass+verdict+encrypted+elephant=100kb"


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


def stock_grid() -> list[Setting]:
    """What `fastpath offload` tries without options."""
    return grid(listed(SIZES, count), listed(RATES, rate), listed(LATENCIES, seconds), listed(TIMEOUTS, seconds),
                listed(POLICIES, Requests.parse))


def resized(setting: Setting, sessions: int) -> Setting:
    return replace(setting, sessions=sessions)
