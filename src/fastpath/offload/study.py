"""A study of session tables over captures: one pass writes the log, every setting is simulated over it, some are confirmed by a pass
with a real device.

An alert is *missed* under a setting if the pass without a device raises it and the pass with the device does not. The simulation says
which will be (simulate.pyx): those on a packet that the device took, and those on a stream or a transaction of which the device
took bytes. It does not see what hangs on more than one flow, or on what the inspectors make of a stream with a hole in it; a
confirmation does, since it is the engine itself with that device, and says where the two differ.
"""
from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpath.control.columns import Columns, address_text
from fastpath.control.community_id import identify
from fastpath.control.device import SESSIONS_MAX
from fastpath.control.result import Result, Run
from fastpath.control.stats import InternalError
from fastpath.dataplane import rows
from fastpath.offload.log import AlertSink, LogSink
from fastpath.offload.settings import REQUESTS, Setting, read_grid, resized, spread

if TYPE_CHECKING:
    from fastpath.control.engine import Engine

CONFIRM_MAX = 3
FORMAT = 1
REASON_DROPPED = "offloaded: drop"       # types.h
TELLING = 0.5       # seconds of processor time from which on two passes are compared
NEAR = 0.95         # of the best share: a table that takes so much is held as good

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of the pass without a device. packet: its number in the run, 0 for one at a flow's end."""
    sid: int
    gid: int
    msg: str
    severity: int
    flow: str           # community ID
    src: str            # address, port where there is one
    dest: str
    packet: int
    source: str         # packet, stream, flush, defrag

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Row:
    """What came of a setting. packets, bytes: of wire packets that the device took off the inspectors, and their shares of all;
    full: requests that a full table refused, full_batches: the batches they came in; peak: most sessions at a time; saved: share of
    the inspectors' time that those packets took in the log's pass; missed, late: alerts, as indices into Study.alerts (late: raised,
    but with a later packet or at the flow's end)."""
    setting: Setting
    packets: int
    bytes: int
    packet_share: float
    byte_share: float
    requests: dict[str, int]
    inserted: int
    full: int
    full_batches: int
    peak: int
    saved_ns: int
    saved: float
    fates: np.ndarray = field(repr=False)       # two bits an alert
    alerts: int = 0
    missed_count: int = 0

    def _with(self, fate: int) -> list[int]:
        return np.flatnonzero(_unpacked(self.fates, self.alerts) == fate).tolist()

    @property
    def missed(self) -> list[int]:
        from fastpath.offload.simulate import MISSED
        return self._with(MISSED)

    @property
    def late(self) -> list[int]:
        from fastpath.offload.simulate import LATE
        return self._with(LATE)

    def as_dict(self) -> dict[str, Any]:
        return {"setting": self.setting.as_dict(), "packets": self.packets, "bytes": self.bytes, "packet_share": self.packet_share,
                "byte_share": self.byte_share, "requests": self.requests, "inserted": self.inserted, "table_full": self.full,
                "table_full_batches": self.full_batches, "peak_sessions": self.peak, "saved_seconds": self.saved_ns / 1e9,
                "saved_share": self.saved, "alerts_missed": self.missed_count, "missed": self.missed, "late": self.late}


@dataclass(slots=True)
class Confirmation:
    """A pass with a real device. row: what the simulation said. seconds: processor time of the pass; log_seconds: of the one
    without a device.
    missed: indices into Study.alerts. only_simulated, only_confirmed: alerts that one of the two holds missed and the other not.
    anew: alerts that the pass without a device does not raise."""
    row: Row
    packets: int
    bytes: int
    packet_share: float
    byte_share: float
    full: int
    inserted: int
    seconds: float
    log_seconds: float
    missed: list[int]
    only_simulated: list[int]
    only_confirmed: list[int]
    anew: list[Alert]

    @property
    def saved(self) -> float | None:
        """Share of the processor time; None where a pass is too short to tell."""
        return 1 - self.seconds / self.log_seconds if self.log_seconds >= TELLING else None

    def as_dict(self) -> dict[str, Any]:
        return {"setting": self.row.setting.as_dict(), "packets": self.packets, "bytes": self.bytes, "packet_share": self.packet_share,
                "byte_share": self.byte_share, "table_full": self.full, "inserted": self.inserted, "seconds": self.seconds,
                "seconds_without_device": self.log_seconds, "saved_share": self.saved, "alerts_missed": len(self.missed),
                "missed": self.missed, "only_simulated": self.only_simulated, "only_confirmed": self.only_confirmed,
                "anew": [one.as_dict() for one in self.anew],
                "difference": {"packets": self.packets - self.row.packets, "bytes": self.bytes - self.row.bytes,
                               "alerts_missed": len(self.missed) - self.row.missed_count}}


class Study:
    """The outcome of Engine.offload: rows (one a setting), confirmed, and what they are about.

    stats: of the pass without a device, as in Result.stats. settings and rows stand in the same order. alert(i): one that rows
    name. log_seconds: processor time of the log's pass; simulation_seconds: of all simulations, by the clock.
    """

    def __init__(self, result: Result, log: LogSink, settings: Sequence[Setting], seconds: float):
        self.stats = result.stats
        self.captures = result.captures
        self.damages = result.damages
        self.partial = result.partial
        self.entries = log.log.count
        self.settings = settings
        self.rows: list[Row] = []
        self.confirmed: list[Confirmation] = []
        self.simulation_seconds = 0.0
        self.log_seconds = seconds
        self.inspection_ns = 0
        self._columns = Columns("alerts", [np.array(log.alerts.rows())], result._run.signatures, result._run.captures)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def alert_count(self) -> int:
        return len(self._columns)

    def alert(self, index: int) -> Alert:
        return _alert(self._columns, index)

    @cached_property
    def sizes(self) -> list[int]:
        return sorted({setting.sessions for setting in self.settings})

    def curve(self, requests: Any, table: tuple[float | None, float, float]) -> list[Row]:
        """The rows of a policy over table sizes, everything else fixed (Setting.table)."""
        return sorted((row for row in self.rows if row.setting.requests == requests and row.setting.table == table),
                      key=lambda row: row.setting.sessions)

    def by_rule(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """Missed alerts by rule, the severest and most first: sid, gid, msg, severity, alerts, flows, an example."""
        found: dict[tuple[int, int], list[Alert]] = defaultdict(list)
        for index in indices:
            one = self.alert(index)
            found[one.gid, one.sid].append(one)
        made = [{"gid": gid, "sid": sid, "msg": alerts[0].msg, "severity": alerts[0].severity, "alerts": len(alerts),
                 "flows": len({one.flow for one in alerts}), "example": alerts[0]} for (gid, sid), alerts in found.items()]
        return sorted(made, key=lambda one: (one["severity"], -one["alerts"], one["gid"], one["sid"]))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON. Numbers of time are measured in the log's pass and in the confirming ones; what the rows of a simulated
        setting say of time is projected from the former."""
        named = sorted({index for row in self.rows for index in row.missed + row.late} | {index for one in self.confirmed for index in one.missed})
        return {
            "format": FORMAT, "captures": self.captures, "partial": self.partial, "damages": [str(one) for one in self.damages],
            "log": {"packets": self.stats["packets"], "bytes": self.stats["bytes"], "entries": self.entries,
                    "flows": self.stats["flows"]["rows"], "alerts": self.alert_count, "seconds": self.log_seconds,
                    "inspection_seconds": self.inspection_ns / 1e9},
            "simulation": {"settings": len(self.rows), "seconds": self.simulation_seconds},
            "alerts": {str(index): self.alert(index).as_dict() for index in named},
            "settings": [row.as_dict() for row in self.rows],
            "confirmed": [one.as_dict() for one in self.confirmed],
        }


# ---- alerts ----

def _alert(columns: Columns, index: int) -> Alert:
    row = columns.rows[index]
    signature = columns.signatures[int(columns.signatures.at(columns.rows["rule"][index:index + 1])[0])]
    key = row["key"]
    second = int(row["reversed"])
    ends = [(key["addr"][end], int(key["port"][end])) for end in (second, 1 - second)]
    net, proto = int(key["net"]), int(key["proto"])
    raw = [end[0].tobytes()[:4 if net == rows.NET_IPV4 else 16] for end in ends]
    ports: tuple[int | None, int | None] = (None, None)
    if proto in (1, 58):
        ports = int(row["icmp_type"]), int(row["icmp_code"])
    elif proto in (6, 17, 132):
        ports = ends[0][1], ends[1][1]
    texts = [_endpoint(net, end[0].tobytes(), end[1] if proto in (6, 17, 132) else None) for end in ends]
    return Alert(int(signature.sid), int(signature.gid), signature.msg, int(signature.severity),
                 identify(raw[0], raw[1], proto, *ports) if net in (rows.NET_IPV4, rows.NET_IPV6) else "", texts[0], texts[1],
                 int(row["ordinal"]), rows.SOURCES[row["source"]])


def _endpoint(net: int, raw: bytes, port: int | None) -> str:
    address = address_text(net, raw)
    if port is None:
        return address
    return f"[{address}]:{port}" if net == rows.NET_IPV6 else f"{address}:{port}"


def unmatched(full: np.ndarray, other: np.ndarray) -> tuple[list[int], list[int]]:
    """The alerts of one pass that the other does not raise, and the other way round, as indices. They are held alike where flow, rule
    and packet are; what is left, where flow and rule are; and what is left then, where the flow's key and the rule are."""
    left, right = list(range(len(full))), list(range(len(other)))
    ways: tuple[Callable[[np.ndarray], list[Any]], ...] = (
        lambda array: list(zip(array["flow"].tolist(), array["rule"].tolist(), array["ordinal"].tolist(), strict=True)),
        lambda array: list(zip(array["flow"].tolist(), array["rule"].tolist(), strict=True)),
        lambda array: list(zip([key.tobytes() for key in array["key"]], array["rule"].tolist(), strict=True)),
    )
    for way in ways:
        keys = way(other[right])
        room = Counter(keys)
        matched: Counter[Any] = Counter()
        kept = []
        for index, key in zip(left, way(full[left]), strict=True):
            if matched[key] < room[key]:
                matched[key] += 1
            else:
                kept.append(index)
        left = kept
        rest = []
        for index, key in zip(right, keys, strict=True):
            if matched[key]:
                matched[key] -= 1
            else:
                rest.append(index)
        right = rest
    return left, right


def _packed(fates: np.ndarray) -> np.ndarray:
    """Two bits an alert."""
    padded = np.zeros(-(-len(fates) // 4) * 4, "u1")
    padded[:len(fates)] = fates
    quads = padded.reshape(-1, 4)
    return (quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6).astype("u1")


def _unpacked(packed: np.ndarray, count: int) -> np.ndarray:
    return np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], 1).ravel()[:count]


# ---- the study ----

def study(engine: Engine, paths: list[Any], settings: Iterable[Setting] | None, confirm: int | Sequence[Setting], bpf: str | None,
          continuous: bool, progress: Progress | None) -> Study:
    """See Engine.offload."""
    tried = list(dict.fromkeys(read_grid() if settings is None else settings))
    wanted = confirm if isinstance(confirm, int) else len(confirm)
    if not 0 <= wanted <= CONFIRM_MAX:
        raise ValueError(f"confirm must lie between 0 and {CONFIRM_MAX} settings, not {wanted}")
    if not isinstance(confirm, int):
        tried = list(dict.fromkeys([*tried, *confirm]))
    if not tried:
        raise ValueError("there is no setting to try")
    if wanted and "-" in [str(path) for path in paths]:
        raise ValueError("standard input can be read once: confirm 0 settings, or name a file")
    say = progress or (lambda what, fraction: None)
    sink = LogSink()
    try:
        started = time.thread_time()
        result = engine._replay(paths, bpf, Run(frozenset(), 0, [sink], settings={"device": None, "buckets": 1, "workers": 1}), continuous,
                                step(say, "inspecting, without a device"))
        made = Study(result, sink, tried, time.thread_time() - started)
        _simulate(made, sink, engine._settings["stream"]["depth"], say)
        if not result.partial:
            chosen = choose(made, confirm) if isinstance(confirm, int) else [made.rows[made.settings.index(one)] for one in confirm]
            for number, row in enumerate(chosen, 1):
                made.confirmed.append(_confirm(engine, made, row, paths, bpf, continuous, say, f"confirming {number} of {len(chosen)}"))
        return made
    finally:
        sink.drop()


def step(say: Progress, what: str) -> Callable[[Any], None]:
    return lambda at: say(f"{what}: {at.packets:,} packets, {at.alerts:,} alerts", at.fraction)


def _simulate(made: Study, sink: LogSink, engine_depth: int, say: Progress) -> None:
    from fastpath.offload.simulate import MISSED, simulate
    log = sink.log.rows()
    if int(log["alerts"].sum(dtype="u8")) != made.alert_count:
        raise InternalError(f"the log tells of {int(log['alerts'].sum(dtype='u8'))} alerts, there are {made.alert_count}")
    cap = longest(log["ns"])
    made.inspection_ns = int(np.minimum(log["ns"], cap).sum(dtype="u8"))
    packets, size, depth = max(made.stats["packets"], 1), max(made.stats["bytes"], 1), engine_depth
    started = time.perf_counter()

    def one(setting: Setting) -> Row:
        counted, fates = simulate(log, sink.flows, made.alert_count, depth, setting, cap=cap)
        taken, taken_bytes = counted["packets"] + counted["dropped_packets"], counted["bytes"] + counted["dropped_bytes"]
        return Row(setting, taken, taken_bytes, taken / packets, taken_bytes / size,
                   {name: counted["asked"][name] for name in REQUESTS}, counted["inserted"], counted["full"], counted["full_batches"],
                   counted["peak"], counted["saved_ns"], counted["saved_ns"] / max(made.inspection_ns, 1), _packed(fates), len(fates),
                   int(np.count_nonzero(fates == MISSED)))

    with ThreadPoolExecutor(os.cpu_count() or 1, "offload") as pool:
        endless = [setting for setting in made.settings if setting.sessions == SESSIONS_MAX]
        if endless:
            peak = 0
            for done, row in enumerate(pool.map(one, endless), 1):
                say("simulating tables without limit", done / len(endless))
                peak = max(peak, row.peak)
            made.settings = list(dict.fromkeys(resized(setting, sessions) for setting in made.settings
                                               for sessions in (spread(peak) if setting.sessions == SESSIONS_MAX else [setting.sessions])))
        for done, row in enumerate(pool.map(one, made.settings), 1):
            made.rows.append(row)
            say(f"simulating {len(made.settings):,} settings", done / len(made.settings))
    made.simulation_seconds = time.perf_counter() - started


def longest(ns: np.ndarray) -> int:
    """What an entry took at most, but for one in two thousand: those were interrupted by the machine, not inspected longer."""
    return max(1, int(np.percentile(ns[::max(1, len(ns) >> 20)], 99.95))) if len(ns) else 1


def choose(made: Study, count: int) -> list[Row]:
    """Settings worth a confirmation, of those that have rate, latency and timeout of the first: the smallest table that takes nearly
    as many bytes as any; of those that miss no alert the one that takes most; of those that miss a quarter of the first one's at
    most, likewise. Fewer where these are the same."""
    rows = [row for row in made.rows if row.setting.table == made.settings[0].table]
    best = max(row.bytes for row in rows)
    near = min((row for row in rows if row.bytes >= NEAR * best), key=lambda row: (row.setting.sessions, -row.bytes, row.missed_count))

    def most(allowed: float) -> Row:
        """The one that takes most and misses no more than so many; of equals the smallest table."""
        return max((row for row in rows if row.missed_count <= allowed), key=lambda row: (row.bytes, -row.setting.sessions), default=near)
    return list({id(row): row for row in (near, most(0), most(near.missed_count / 4))}.values())[:count]


def _confirm(engine: Engine, made: Study, row: Row, paths: list[Any], bpf: str | None, continuous: bool, say: Progress, what: str) -> Confirmation:
    sink = AlertSink()
    try:
        over = {"device": row.setting.device().settings(), "buckets": 1, "workers": 1}
        started = time.thread_time()
        result = engine._replay(paths, bpf, Run(frozenset(), 0, [sink], settings=over), continuous, step(say, what))
        seconds = time.thread_time() - started
        full, other = made._columns.rows, np.array(sink.alerts.rows())
        missed, anew = unmatched(full, other)
        columns = Columns("alerts", [other], result._run.signatures, result._run.captures)
        simulated, confirmed = set(row.missed), set(missed)
        stats = result.stats
        taken = dict(stats["ledger"]["offloaded"])
        cut = stats["reasons"].get(REASON_DROPPED, 0)
        if cut:                             # the ledger has them among all that was dropped
            taken = {"packets": taken["packets"] + cut, "bytes": stats["device"]["bytes"]}
        return Confirmation(row, taken["packets"], taken["bytes"], taken["packets"] / max(stats["packets"], 1), taken["bytes"] / max(stats["bytes"], 1),
                            stats["device"]["full"], stats["device"]["added"], seconds, made.log_seconds, missed,
                            sorted(simulated - confirmed), sorted(confirmed - simulated), [_alert(columns, index) for index in anew])
    finally:
        sink.drop()
