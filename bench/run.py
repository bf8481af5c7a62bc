"""The speed table: everything in one process, on one core, page cache warm; of each definition the median of five rounds in turn.

    python bench/run.py [--rounds 5] [--only NAME,...] [--no-record] [--against RECORD] [--clock wall|cpu]

--clock cpu counts the processor's time instead of the wall's: the better one where others use the machine too; not recorded.
Writes bench/record/<cpu>/<date>.json. Exit code 1 when a definition's expected counts do not hold, 3 with --against when
something got slower. A missed target is printed as such and is no error: it is a measurement.
"""
from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import build
import numpy as np
from peers import pythonhyperscan
from traces import corpus, trace

import fastpath as fp
from fastpath.control.bench import (
    SLOWER,
    Work,
    compare,
    interleave,
    peer_works,
    print_table,
    read_record,
    record_of,
    slug,
    suricata_inspecting,
    timed,
)
from fastpath.dataplane import rows

HERE = Path(__file__).resolve().parent
DEFINITIONS = HERE / "definitions"
SLOTS = 1 << 18             # of the plain loop's flow table
PEERS = {"mixed": ("dpkt", "scapy", "suricata"), "small": ("dpkt",)}
PAYLOADS = 50_000           # for python-hyperscan


@dataclass(frozen=True, slots=True)
class Target:
    """A line of the table: a rate as part of another, and the least it should be. No target: reported only."""
    work: str
    beside: str
    ratio: float
    least: float | None

    @property
    def met(self) -> bool | None:
        return None if self.least is None else self.ratio >= self.least


class Bench:
    """The works of the chosen definitions, and the lines of the table that they make."""

    def __init__(self, clock: str = "wall") -> None:
        self.clock = clock
        self.works: dict[str, Work] = {}
        self.targets: list[Callable[[], Target]] = []
        self.wrong: list[str] = []
        self.absent: list[str] = []
        self.engines: list[fp.Engine] = []
        self.stages: dict[str, dict[str, float]] = {}      # of a work: ns a packet of each stage

    def timed(self, action: Callable[[], Any]) -> Callable[[], float]:
        return timed(action, time.process_time if self.clock == "cpu" else time.perf_counter)

    def add(self, work: Work) -> Work:
        return self.works.setdefault(work.name, work)

    def engine(self, rules: str | None) -> fp.Engine:
        loaded = fp.RuleSet.load([str(DEFINITIONS / rules)]) if rules else None
        if loaded is not None and loaded.refusals:
            raise ValueError(f"{rules}: {len(loaded.refusals)} rules are refused; {loaded.refusals[0].place}: {loaded.refusals[0].reason}")
        return self.engine_with(loaded)

    def engine_with(self, rules: fp.RuleSet | None) -> fp.Engine:
        self.engines.append(fp.Engine(rules, checksums="none"))
        return self.engines[-1]

    def expect(self, name: str, expected: dict[str, int], stats: dict) -> None:
        counted = {"packets": stats["packets"], "bytes": stats["bytes"], "alerts": stats["alerts"], "flows": stats["flows"]["rows"]}
        self.wrong += [f"{name}: expected {value} {what}, counted {counted[what]}" for what, value in expected.items()
                       if what in counted and counted[what] != value]

    def compare_rates(self, work: Work, beside: Work, least: float | None) -> None:
        self.targets.append(lambda: Target(work.name, beside.name, work.pps / beside.pps, least))

    def replay(self, trace_name: str, rules: str | None, expected: dict[str, int]) -> Work:
        name = f"replay {trace_name}, {rules or 'no rules'}"
        if name in self.works:
            return self.works[name]
        return self.replaying(name, self.engine(rules), str(trace(trace_name)), expected)

    def replaying(self, name: str, engine: fp.Engine, path: str, expected: dict[str, int], sinks: tuple = ()) -> Work:
        """Inspection alone, as `replay` prints its rates: what the digest and the rows of flows cost comes after it."""
        def replay() -> float:
            return engine.replay(path, keep=(), sinks=sinks).stats["seconds"]
        stats = engine.replay(path, keep=(), sinks=sinks).stats
        self.expect(name, expected, stats)
        return self.add(Work(name, replay if self.clock == "wall" else self.timed(replay), stats["packets"], stats["bytes"]))


def no_rules(bench: Bench, name: str, definition: dict) -> None:
    """The engine without rules beside libpcap's loop and the plain one; peers that parse beside them."""
    path = trace(definition["trace"])
    work = bench.replay(definition["trace"], None, definition.get("expected", {}))
    pcaploop, plain = build.load("pcaploop"), build.load("plain")

    def count_plainly() -> None:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            plain.run(mapped, SLOTS)
    libpcap = bench.add(Work(f"libpcap's loop, {name}", bench.timed(lambda: pcaploop.run(str(path))), work.packets, work.bytes))
    yardstick = bench.add(Work(f"plain loop, {name}", bench.timed(count_plainly), work.packets, work.bytes))
    bench.compare_rates(work, libpcap, definition["libpcap"])
    bench.compare_rates(work, yardstick, definition["plain"])
    beside, absent = peer_works(PEERS.get(name, ()), [path], work.packets, work.bytes)
    bench.absent += absent
    for peer in beside:
        peer.name = f"{peer.name}, {name}"
        bench.compare_rates(work, bench.add(peer), None)


def packet_batches(path: Path, size: int) -> list[fp.PacketBatch]:
    """A little-endian microsecond pcap as batches of packets that lie in the mapped file."""
    mapped = np.memmap(path, np.uint8, "r")
    header = np.dtype([("seconds", "<u4"), ("micros", "<u4"), ("caplen", "<u4"), ("wirelen", "<u4")])
    data, at, offsets = memoryview(mapped), 24, []
    while at + 16 <= len(mapped):
        offsets.append(at)
        at += 16 + int.from_bytes(data[at + 8:at + 12], "little")
    offsets = np.array(offsets, np.uint64)
    records = np.stack([mapped[offsets + np.uint64(byte)] for byte in range(16)], 1).view(header).ravel()
    stamps = records["seconds"].astype(np.uint64) * 1_000_000_000 + records["micros"].astype(np.uint64) * 1000
    lengths = records["caplen"].astype(np.uint32)
    return [fp.PacketBatch(mapped, offsets[first:first + size] + np.uint64(16), lengths[first:first + size], stamps[first:first + size])
            for first in range(0, len(offsets), size)]


def inspect(bench: Bench, name: str, definition: dict) -> None:
    """engine.inspect beside replay of the same packets with the same rules."""
    path = trace(definition["trace"])
    for each in definition["batches"]:
        rules, size = each.get("rules"), each["size"]
        replayed = bench.replay(definition["trace"], rules, definition.get("expected", {}))
        batches, out = packet_batches(path, size), np.empty(size, rows.VERDICT)
        work = bench.add(Work(f"inspect {definition['trace']}, {rules or 'no rules'}, batches of {size}",
                              lambda rules=rules, batches=batches, out=out: inspect_once(bench, rules, batches, out),
                              replayed.packets, sum(int(batch.lengths.sum()) for batch in batches)))
        bench.compare_rates(work, replayed, definition["replay"])
    size, most = definition["batches"][0]["size"], definition["list_packets"]
    lists = [[batch.packet(at) for at in range(len(batch))] for batch in packet_batches(path, size)[:most // size]]
    work = bench.add(Work(f"inspect {definition['trace']}, no rules, lists of {size} bytes objects",
                          lambda: inspect_once(bench, None, lists, None), sum(map(len, lists)), sum(len(one) for part in lists for one in part)))
    bench.compare_rates(work, bench.replay(definition["trace"], None, definition.get("expected", {})), None)


def inspect_once(bench: Bench, rules: str | None, batches: list, out: np.ndarray | None) -> float:
    """Seconds of one pass by a new engine: its making and closing are not measured."""
    engine = bench.engine(rules)
    bench.engines.pop()
    with engine:
        engine.inspect([b""])       # the data plane is made with the first packet
        if out is None:
            return bench.timed(lambda: [engine.inspect(batch, ts=0) for batch in batches])()
        return bench.timed(lambda: [engine.inspect(batch, out=out[:len(batch)]) for batch in batches])()


def bare_scan(bench: Bench, name: str, engine: fp.Engine, path: str) -> Work:
    """hs_scan alone, with an empty callback, over the log of what the engine has it scan."""
    recorder = ctypes.CDLL(None)
    recorder.hsrecord_replay.restype = ctypes.c_uint64
    recorder.hsrecord_scans.restype = recorder.hsrecord_bytes.restype = ctypes.c_size_t
    log = recorder.hsrecord_start()
    engine.replay(path, keep=())
    recorder.hsrecord_stop()
    scans, scanned = recorder.hsrecord_scans(log), recorder.hsrecord_bytes(log)
    if not scans:
        raise RuntimeError("no hs_scan was recorded: the recorder is not preloaded, or libhs is linked statically")

    def scan() -> float:
        taken = recorder.hsrecord_replay(log, bench.clock == "cpu")
        if not taken:
            raise RuntimeError("hs_scan failed over its own log")
        return taken * 1e-9
    return bench.add(Work(f"bare hs_scan, {name}", scan, scans, scanned))


def literal_rules(bench: Bench, name: str, definition: dict) -> None:
    """The engine with rules beside what Hyperscan alone would take, plus the run without rules."""
    rules = definition["rules"]
    work = bench.replay(definition["trace"], rules, definition.get("expected", {}))
    without = bench.replay(definition["trace"], None, {})
    bare = bare_scan(bench, name, bench.engine(rules), str(trace(definition["trace"])))
    bench.targets.append(lambda: Target(work.name, "bare hs_scan + no rules", (bare.median + without.median) / work.median, definition["hs_scan"]))
    bench.add(python_hyperscan(bench, trace(definition["trace"]), DEFINITIONS / rules, name))


def rule_set(bench: Bench, name: str, definition: dict) -> None:
    """The engine with a rule set of the corpus beside Suricata with the same, and where the engine's time goes."""
    folder, path = corpus() / definition["rules"], trace(definition["trace"])
    if not folder.is_dir():
        raise FileNotFoundError(f"no {definition['rules']} in the corpus ({corpus()}); set FASTPATH_CORPUS")
    rules = fp.RuleSet.load([str(folder)], variables=definition["variables"])
    engine = fp.Engine(rules, checksums="none", compat=True)
    bench.engines.append(engine)
    stats = engine.replay(str(path), keep=()).stats
    bench.expect(name, definition["expected"], stats)
    label = f"replay {definition['trace']}, {name}"
    least = float("inf")

    def inspect_all() -> float:
        """Keeps the stages of the fastest run: they are told by the wall's clock, which others' work disturbs."""
        nonlocal least
        started = time.process_time()
        stats = engine.replay(str(path), keep=()).stats
        taken = time.process_time() - started
        if stats["seconds"] < least:
            least = stats["seconds"]
            bench.stages[label] = {stage: ns / stats["packets"] for stage, ns in stats["stages"].items()}
        return taken
    work = bench.add(Work(label, inspect_all, stats["packets"], stats["bytes"]))
    whole = build.cache() / f"{name}.rules"
    whole.write_bytes(b"".join(file.read_bytes() for file in sorted(folder.rglob("*.rules"))))
    if shutil.which("suricata") is None:
        bench.absent.append("suricata: not installed")
        return
    peer = bench.add(Work(f"suricata, {name}", lambda: suricata_inspecting(path, whole, definition["variables"]), work.packets, work.bytes,
                          warms=False))
    bench.compare_rates(work, peer, definition["suricata"])


def python_hyperscan(bench: Bench, path: Path, rules: Path, name: str) -> Work:
    payloads = []
    for batch in packet_batches(path, PAYLOADS)[:1]:
        for at in range(len(batch)):
            packet = batch.packet(at)
            payloads.append(packet[54:] or b"\0")     # Ethernet, IPv4 and TCP without options: near enough for a rate
    scan = pythonhyperscan.scanner(rules)
    return Work(f"python-hyperscan, {name}", bench.timed(lambda: scan(payloads)), len(payloads), sum(map(len, payloads)))


class Events:
    """A sink that wants the events of every protocol, and does nothing with them."""
    wants = frozenset({"apps"})

    def write(self, batch: object) -> None:
        pass

    def close(self, stats: dict) -> None:
        pass


def pack(bench: Bench, name: str, definition: dict) -> None:
    """The engine with a pack beside three that look for nothing: without rules, which follows no sessions; with a rule that nothing
    meets, for which sessions of HTTP are parsed; and without rules, but with the events of all protocols. What the pack has
    Hyperscan do is told by itself: less than that it cannot cost."""
    where, path = definition["trace"], str(trace(definition["trace"]))

    def replayed(label: str, engine: fp.Engine, expected: dict[str, int], sinks: tuple = ()) -> Work:
        return bench.replaying(f"replay {where}, {label}", engine, path, expected, sinks)
    engine = bench.engine_with(fp.RuleSet.pack(definition["pack"]))
    followed = fp.RuleSet.parse('alert http any any -> any any (msg:"nobody asks for this"; http.uri; content:"|00|nowhere"; sid:1;)')
    work, without = replayed(f"pack {definition['pack']}", engine, definition["expected"]), bench.replay(where, None, {})
    bench.compare_rates(work, without, definition["none"])
    bench.compare_rates(work, replayed("one rule on HTTP", bench.engine_with(followed), {}), definition["followed"])
    bench.compare_rates(work, replayed("no rules, all events", bench.engine_with(None), {}, (Events(),)), definition["events"])
    bare = bare_scan(bench, name, engine, path)
    bench.targets.append(lambda: Target(without.name, "no rules + bare hs_scan of the pack", without.median / (without.median + bare.median), None))


def forget(path: Path) -> None:
    """Leaves a trace to be read anew, so that the page cache holds it as the first replay asks for it, in large pages, and not in
    the pieces in which it was once written or last read."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


KINDS = {"inspect": inspect, "literals": literal_rules, "et_open": rule_set, "pack": pack}


def table(targets: list[Target], works: dict[str, Work]) -> None:
    from rich.console import Console
    from rich.table import Table
    shown = Table(title="against the targets", title_justify="left")
    for column in ("work", "Mpps", "Gbps", "beside", "ratio", "at least", ""):
        shown.add_column(column, justify="left" if column in ("work", "beside", "") else "right")
    for target in targets:
        work = works[target.work]
        shown.add_row(target.work, f"{work.pps / 1e6:.2f}", f"{work.gbps:.1f}", target.beside, f"{target.ratio:.2f}",
                      "" if target.least is None else f"{target.least:.2f}", {True: "met", False: "MISSED", None: ""}[target.met])
    Console(width=170 if not sys.stdout.isatty() else None).print(shown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="definitions, comma-separated: " + ", ".join(sorted(path.stem for path in DEFINITIONS.glob("*.toml"))))
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    before = read_record(options.against) if options.against else None
    preload = str(build.recorder())
    if preload not in os.environ.get("LD_PRELOAD", ""):
        os.environ["LD_PRELOAD"] = ":".join(filter(None, [preload, os.environ.get("LD_PRELOAD")]))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    definitions = {path.stem: tomllib.loads(path.read_text()) for path in sorted(DEFINITIONS.glob("*.toml"))}
    works: dict[str, Work] = {}
    targets: list[Target] = []
    absent, wrong, stages = [], [], {}
    for name, definition in definitions.items():        # one after the other: what one leaves in caches is no burden for the next
        if options.only and name not in options.only.split(","):
            continue
        bench = Bench(options.clock)
        try:
            forget(trace(definition["trace"]))
            KINDS.get(name, no_rules)(bench, name, definition)
        except FileNotFoundError as missing:
            absent.append(f"{name}: {missing}")
        interleave(list(bench.works.values()), options.rounds,
                   lambda work: print(f"\r\033[K{work}", end="", file=sys.stderr) if sys.stderr.isatty() else None)
        targets += [make() for make in bench.targets]
        works = bench.works | works
        absent += bench.absent
        wrong += bench.wrong
        stages |= bench.stages
        for engine in bench.engines:
            engine.close()
    if not works:
        print("nothing to measure:", *absent, sep="\n", file=sys.stderr)
        return 1
    record = record_of(list(works.values()), targets=[asdict(target) | {"met": target.met} for target in targets], absent=absent, stages=stages)
    changes = compare(record, before) if before else []
    print_table(list(works.values()), changes, absent)
    table(targets, works)
    for work, by_stage in stages.items():
        print(f"{work}, ns a packet by stage:", ", ".join(f"{stage} {ns:,.0f}" for stage, ns in by_stage.items()))
    if not options.no_record and options.clock == "wall":
        folder = HERE / "record" / slug(record["machine"])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{record['date'][:10]}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(path.relative_to(HERE.parent))
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else SLOWER if any(change.slower for change in changes) else 0


if __name__ == "__main__":
    sys.exit(main())
