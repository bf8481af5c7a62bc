"""A live run of two cores behind receive rings, to hold the queueing simulation against: the same packets at the same moments, by the
clock, to two engines in two processes. What it gives hangs on the machine and what else runs on it: it is a measurement, not a test."""
from __future__ import annotations

import mmap
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastpath.control.packets import PacketBatch
from fastpath.offload.projection import Projection, queue_of

if TYPE_CHECKING:
    from fastpath.control.engine import Engine

CORES = 2
BURST = 128
MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}      # of a pcap in this machine's byte order: ns a unit of its stamps


def read_pcap(path: str | Path) -> tuple[PacketBatch, int]:
    """The packets of a plain pcap, mapped, and its link type. ValueError for another format."""
    with Path(path).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head = np.frombuffer(mapped, "u4", 6) if len(mapped) >= 24 else np.zeros(6, "u4")
    unit = MAGIC.get(int(head[0]))
    if unit is None:
        raise ValueError(f"{path}: the live check reads plain pcap of this machine's byte order")
    view, at, offsets = memoryview(mapped), 24, []
    while at + 16 <= len(mapped):
        offsets.append(at)
        at += 16 + int.from_bytes(view[at + 8:at + 12], "little")
    if at > len(mapped):
        offsets.pop()
    starts = np.array(offsets, "u8")
    heads = np.lib.stride_tricks.sliding_window_view(np.frombuffer(mapped, "u1"), 16)[starts].copy().view("u4")
    stamps = heads[:, 0].astype("u8") * 1_000_000_000 + heads[:, 1].astype("u8") * np.uint64(unit)
    return PacketBatch(mapped, starts + np.uint64(16), heads[:, 2].copy(), stamps, heads[:, 3].copy()), int(head[5] & 0xFFFF)


def service_ns(engine: Engine, packets: PacketBatch, linktype: int) -> float:
    """What a packet takes in this run, on one core without waiting: its bursts come as in the run."""
    started = time.perf_counter_ns()
    for first in range(0, len(packets), BURST):
        engine.inspect(_part(packets, np.arange(first, min(first + BURST, len(packets)))), linktype=linktype)
    return (time.perf_counter_ns() - started) / max(len(packets), 1)


def _part(packets: PacketBatch, which: np.ndarray) -> PacketBatch:
    stamps, wirelens = packets.stamps, packets.wirelens
    return PacketBatch(packets.buffer, packets.offsets[which], packets.lengths[which], None if stamps is None else stamps[which],
                       None if wirelens is None else wirelens[which])


def run_core(engine: Engine, packets: PacketBatch, arrivals: np.ndarray, linktype: int, depth: int, begin: int) -> int:
    """A ring of `depth` packets and the engine that empties it, in bursts. How many packets found it full."""
    came = lost = 0
    ring = np.arange(0)                 # packets that wait
    while came < len(arrivals) or len(ring):
        until = int(np.searchsorted(arrivals, time.perf_counter_ns() - begin, "right"))
        room = max(0, min(until - came, depth - len(ring)))
        if room:
            ring = np.concatenate((ring, np.arange(came, came + room)))
        lost += until - came - room
        came = until
        burst, ring = ring[:BURST], ring[BURST:]
        if len(burst):
            engine.inspect(_part(packets, burst), linktype=linktype)
    return lost


def on_cores(make: Callable[[], Engine], projection: Projection, packets: PacketBatch, linktype: int,
             work: Callable[[Engine, PacketBatch, np.ndarray], float]) -> list[float]:
    """What `work` gives on each core, all at once, each a process of its own with its own engine: for the packets that come to
    that core, and where they stand among all. RuntimeError where a process ends early."""
    context = multiprocessing.get_context("fork")
    queues = queue_of(projection.hashes, CORES)
    ready, told = context.Barrier(CORES), context.SimpleQueue()

    def core(number: int) -> None:
        which = np.flatnonzero(queues == number)
        part = _part(packets, which)
        with make() as engine:
            engine.inspect(_part(part, np.arange(0)), linktype=linktype)
            ready.wait()
            told.put(work(engine, part, which))

    started = [context.Process(target=core, args=(number,)) for number in range(CORES)]
    for one in started:
        one.start()
    for one in started:
        one.join()
        if one.exitcode:
            for other in started:
                other.terminate()
            raise RuntimeError(f"a core of the live check ended with {one.exitcode}")
    return [told.get() for _ in started]


def check(make: Callable[[], Engine], projection: Projection, path: str, loads: tuple[float, ...] = (0.7, 0.9, 1.1, 1.3), depth: int = 1024) -> list[dict[str, float]]:
    """Loss simulated and live, a dict a load. make: gives a new engine. The simulation takes what each packet took in the log's pass,
    scaled to what a packet takes in bursts from Python, which the live run pays."""
    from fastpath.offload.queues import run_queues
    packets, linktype = read_pcap(path)
    if len(packets) != len(projection.services):
        raise ValueError(f"{path}: {len(packets)} packets, the log has {len(projection.services)}")
    count = max(len(packets), 1)
    made = []
    for load in loads:
        # measured anew for each, with all cores at work: they share caches and memory, and machines do not keep their pace
        mean = sum(on_cores(make, projection, packets, linktype, lambda engine, part, which: service_ns(engine, part, linktype) * len(which))) / count
        services = projection.services * (mean / max(float(projection.services.mean()), 1e-9))
        arrivals = (np.arange(len(packets)) * (mean / CORES / load)).astype("i8")
        lost = sum(on_cores(make, projection, packets, linktype, lambda engine, part, which, when=arrivals: run_core(
            engine, part, when[which], linktype, depth, time.perf_counter_ns())))
        came = run_queues(arrivals.astype("u8"), services.astype("u4"), queue_of(projection.hashes, CORES), CORES, depth)
        made.append({"load": load, "depth": depth, "simulated": came["lost"] / count, "live": lost / count, "service_ns": mean})
    return made
