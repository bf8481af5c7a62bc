"""From what a packet costs here to N cores and line rates.

Measured: ns a packet by stage (the median of several passes on this machine), what each packet of the capture took, which core
symmetric RSS would send it to. Projected: everything else, by FORMULAS; for another processor only by a calibration factor that has a
name. A core is one engine with one worker that does all stages of its packets, fed by a receive queue of the network card.
"""
from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpath.control.bench import machine
from fastpath.control.result import Run
from fastpath.dataplane import rows
from fastpath.offload.log import LogSink
from fastpath.offload.settings import DEVICE_NAMES, REQUESTS, Requests, Setting
from fastpath.offload.study import longest, step

if TYPE_CHECKING:
    from fastpath.control.device import Device
    from fastpath.control.engine import Engine

FORMAT = 1
ROUNDS = 5
CORES = (1, 2, 4, 8, 16, 32, 64, 128)
CORES_MAX = 4096
RATES = (100e9, 200e9, 400e9, 800e9, 1.6e12, 3.2e12)     # bit/s on the wire
WIRE_OVERHEAD = 24          # bytes a packet that no capture holds: preamble 8, FCS 4, gap 12
LOADS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3)
DEPTHS = (256, 1024, 4096)  # packets a ring
INGEST = ("rx", "decode", "defrag", "decap", "steer", "telemetry")
WORKER = ("flow", "match")

FORMULAS = {
    "ns a packet": "c = sum over ingest stages x (1 - p) + sum over worker stages x (1 - t)",
    "packets a second": "pps(N) = 1e9 / (c x s(N))",
    "bits a second": "bps(N) = pps(N) x 8 x (mean bytes + 24)",
    "cores for a rate": "N = rate x c / (8 x (mean bytes + 24) x 1e9); with these flows: the least N with bps(N) >= rate",
}
SYMBOLS = {
    "p": "share of packets offloaded", "t": "share of the inspectors' time that those packets took",
    "s(N)": "share of the time that the busiest of N cores has, by symmetric RSS over the capture's flows; 1/N would be even",
    "24": "bytes a packet that no capture holds: preamble, FCS, gap",
}


@dataclass(slots=True)
class Projection:
    """stages: ns a packet by stage, measured. spread: (least, most) of the passes' sums. share: by number of cores, of the
    busiest. packet_share, time_share: offloaded, simulated. costs: what each wire packet took, ns, and their queues (upper half of the
    RSS hash). factor: of the calibration."""
    packets: int
    bytes: int
    flows: int
    alerts: int             # that the rules raised in it
    setting: Setting | None
    stages: dict[str, float]
    spread: tuple[float, float]
    packet_share: float
    time_share: float
    calibration: tuple[str, float] | None
    services: np.ndarray = field(repr=False)
    hashes: np.ndarray = field(repr=False)
    offloaded: np.ndarray = field(repr=False)
    captures: list[str] = field(default_factory=list)

    @property
    def factor(self) -> float:
        return self.calibration[1] if self.calibration else 1.0

    @property
    def mean_bytes(self) -> float:
        return self.bytes / max(self.packets, 1)

    def stage_costs(self) -> dict[str, float]:
        """ns a wire packet with what is offloaded taken off, by stage; on the processor of the calibration."""
        left = {name: 1 - self.packet_share for name in INGEST} | {name: 1 - self.time_share for name in WORKER}
        return {name: ns * left[name] * self.factor for name, ns in self.stages.items()}

    @property
    def cost(self) -> float:
        return sum(self.stage_costs().values())

    @property
    def binds(self) -> str:
        costs = self.stage_costs()
        return max(costs, key=lambda name: costs[name])

    def share(self, cores: int) -> float:
        """Of the work that stays with the inspectors, that of the busiest of so many cores."""
        work = np.where(self.offloaded, 0, self.services).astype("f8")
        total = float(work.sum())
        if not total:
            return 1 / cores
        return float(np.bincount(queue_of(self.hashes, cores), work, cores).max()) / total

    def packets_a_second(self, cores: int) -> float:
        return 1e9 / (self.cost * self.share(cores)) if self.cost else float("inf")

    def bits_a_second(self, cores: int) -> float:
        return self.packets_a_second(cores) * 8 * (self.mean_bytes + WIRE_OVERHEAD)

    def cores_for(self, rate: float) -> tuple[float, int | None]:
        """Evenly loaded, and the least number with this capture's flows; None where CORES_MAX are not enough, because one flow is
        more than a core can do."""
        even = rate * self.cost / (8 * (self.mean_bytes + WIRE_OVERHEAD) * 1e9)
        low = max(1, int(even))
        floor = self.bits_a_second(CORES_MAX)
        if low > CORES_MAX or floor < rate:
            return even, None
        for cores in range(low, CORES_MAX + 1):
            if self.bits_a_second(cores) >= rate:
                return even, cores
        return even, None

    def arrivals(self, load: float, cores: int) -> np.ndarray:
        """When each packet comes, ns: evenly, so that `cores` cores with even shares would be busy for `load` of the time."""
        mean = float(np.where(self.offloaded, 0, self.services).sum()) / max(len(self.services), 1)
        return (np.arange(len(self.services)) * (mean / cores / load)).astype("u8")

    def queueing(self, cores: int, loads: Sequence[float] = LOADS, depths: Sequence[int] = DEPTHS) -> list[dict[str, Any]]:
        """Loss against load, simulated: a dict a load and depth."""
        from fastpath.offload.queues import run_queues
        queues = queue_of(self.hashes, cores)
        work = np.where(self.offloaded, 0, self.services).astype("u4")
        made = []
        for depth in depths:
            for load in loads:
                came = run_queues(self.arrivals(load, cores), work, queues, cores, depth)
                made.append({"cores": cores, "depth": depth, "load": load, "loss": came["lost"] / max(len(work), 1), "deepest": came["deepest"],
                             "wait_ns": came["wait_ns"], "busy": came["busy"]})
        return made

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: every group says whether it is measured, simulated or projected."""
        rates = {}
        for rate in RATES:
            even, cores = self.cores_for(rate)
            rates[f"{rate:.0f}"] = {"cores_even": even, "cores_these_flows": cores}
        return {
            "format": FORMAT, "machine": machine(), "captures": self.captures,
            "calibration": {"name": self.calibration[0], "factor": self.calibration[1]} if self.calibration else None,
            "capture": {"how": "measured", "packets": self.packets, "bytes": self.bytes, "flows": self.flows, "alerts": self.alerts,
                        "mean_bytes": self.mean_bytes},
            "stages_ns": {"how": "measured", "passes": ROUNDS, "median": self.stages, "sum": sum(self.stages.values()), "sum_least": self.spread[0],
                          "sum_most": self.spread[1]},
            "offload": {"how": "simulated", "setting": self.setting.as_dict() if self.setting else None, "packet_share": self.packet_share,
                        "time_share": self.time_share},
            "cost_ns": {"how": "projected", "by_stage": self.stage_costs(), "sum": self.cost, "binds": self.binds},
            "cores": {"how": "projected", "rows": [{"cores": cores, "busiest_share": self.share(cores), "packets_a_second": self.packets_a_second(cores),
                                                    "bits_a_second": self.bits_a_second(cores)} for cores in CORES]},
            "rates": {"how": "projected", "rows": rates},
            "queueing": {"how": "simulated", "rows": self.queueing(2)},
            "formulas": FORMULAS, "symbols": SYMBOLS,
        }


def queue_of(hashes: np.ndarray, cores: int) -> np.ndarray:
    """The receive queue of each packet, as a card's indirection table would spread the hash."""
    return (hashes.astype("u4") * np.uint32(cores) >> np.uint32(16)).astype("u2")


def read_calibration(text: str) -> tuple[str, float]:
    """"NAME=FACTOR": how many times as long a packet takes there. ValueError."""
    name, given, factor = text.partition("=")
    try:
        value = float(factor)
    except ValueError:
        value = 0.0
    if not name.strip() or not given or not 0.01 <= value <= 100:
        raise ValueError(f"a calibration is NAME=FACTOR, the factor from 0.01 to 100 (how many times as long a packet takes there), not {text!r}")
    return name.strip(), value


def setting_of(device: Device) -> Setting:
    """The simulated table of a device: a device's counters without lag."""
    names = {name: device.offload[DEVICE_NAMES.get(name, name)] for name in REQUESTS}
    return Setting(max(device.sessions, 1), device.insert_rate, device.insert_latency, device.idle_timeout, Requests(**names))


def project(engine: Engine, paths: list[Any], device: Device | None, calibration: tuple[str, float] | None, rounds: int,
            progress: Callable[[str, float | None], None] | None) -> Projection:
    """See Engine.project."""
    say = progress or (lambda what, fraction: None)
    if "-" in [str(path) for path in paths]:
        raise ValueError("captures are read several times: name a file instead of standard input")
    sink = LogSink()
    try:
        passes = []
        for number in range(rounds):
            stats = engine._replay(paths, None, Run(frozenset(), 0, [], settings={"device": None, "workers": 1}), False,
                                   step(say, f"measuring {number + 1} of {rounds}")).stats
            passes.append({name: ns / max(stats["packets"], 1) for name, ns in stats["stages"].items()})
        result = engine._replay(paths, None, Run(frozenset(), 0, [sink], settings={"device": None, "buckets": 1, "workers": 1}), False,
                                step(say, "what each packet takes"))
        stages = {name: statistics.median(one[name] for one in passes) for name in (*INGEST, *WORKER)}
        log = sink.log.rows()
        setting = setting_of(device) if device is not None else None
        packet_share, time_share, offloaded = _offloaded(engine, sink, log, setting, result.stats)
        last = np.flatnonzero(log["flags"] & rows.LOG_LAST != 0)
        # what the entries of a wire packet took together; where a flow ends nothing is measured
        spent = np.add.reduceat(np.minimum(log["ns"], longest(log["ns"])), np.r_[0, last[:-1] + 1]) if len(last) else np.empty(0)
        sums = [sum(one.values()) for one in passes]
        return Projection(result.stats["packets"], result.stats["bytes"], result.stats["flows"]["rows"], result.stats["alerts"], setting, stages,
                          (min(sums), max(sums)), packet_share, time_share, calibration, (spent + sum(stages[name] for name in INGEST)).astype("u4"),
                          np.array(log["rss"][last]), offloaded, result.captures)
    finally:
        sink.drop()


def _offloaded(engine: Engine, sink: LogSink, log: np.ndarray, setting: Setting | None, stats: dict[str, Any]) -> tuple[float, float, np.ndarray]:
    """Shares of packets and of the inspectors' time, and which wire packets."""
    from fastpath.offload.simulate import simulate
    packets = int(np.count_nonzero(log["flags"] & rows.LOG_LAST))
    taken = np.zeros(packets, "u1")
    if setting is None or not packets:
        return 0.0, 0.0, taken.astype(bool)
    cap = longest(log["ns"])
    counted, _ = simulate(log, sink.flows, int(log["alerts"].sum(dtype="u8")), engine._settings["stream"]["depth"], setting, taken, cap)
    return ((counted["packets"] + counted["dropped_packets"]) / max(stats["packets"], 1), counted["saved_ns"] / max(int(np.minimum(log["ns"], cap).sum(dtype="u8")), 1),
            taken.astype(bool))
