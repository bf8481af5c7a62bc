"""Measuring: works that run in turn, so that the machine's moods fall on all of them alike, and records to compare with.

Behind `fastpath bench`, and what bench/ of the repository builds its table with.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import datetime
import json
import math
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

ROUNDS = 5
LEAST = 0.05            # seconds a time is taken over: a shorter work is run several times for each
NOISE = 1.10            # a median further off than this, and outside the other's range, is a change
SLOWER = 3              # exit code
SURICATA_YAML = "/etc/suricata/suricata.yaml"
PEERS = ("libpcap", "dpkt", "scapy", "suricata")
PEER_PACKETS = {"dpkt": 50_000, "scapy": 4_000}     # of a capture: these are slow, and their rate does not change on the way


@dataclass(slots=True)
class Work:
    """Something to measure. `run` does it once and returns the seconds it took; `packets` and `bytes` are what it read. `warms`:
    a first time takes longer than those after it, which count."""
    name: str
    run: Callable[[], float]
    packets: int
    bytes: int
    warms: bool = True
    times: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def pps(self) -> float:
        return self.packets / self.median

    @property
    def gbps(self) -> float:
        return self.bytes * 8e-9 / self.median

    def record(self) -> dict[str, Any]:
        return {"packets": self.packets, "bytes": self.bytes, "seconds": self.times, "median": self.median, "pps": self.pps,
                "gbps": self.gbps}


def timed(action: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """`action` as a Work runs it: by the wall clock, or another."""
    def run() -> float:
        started = clock()
        action()
        return clock() - started
    return run


def interleave(works: Sequence[Work], rounds: int = ROUNDS, progress: Callable[[str], None] = lambda name: None) -> None:
    """Each work once to warm up, then `rounds` times round about; a short one several times on end, for the mean of them."""
    repeats = {}
    for work in works:
        progress(work.name)
        if work.warms:
            work.run()
            repeats[work.name] = max(1, math.ceil(LEAST / max(work.run(), 1e-6)))
    for _ in range(rounds):
        for work in works:
            progress(work.name)
            count = repeats.get(work.name, 1)
            work.times.append(math.fsum(work.run() for _ in range(count)) / count)


def machine() -> dict[str, Any]:
    """What a record must say of where it was made."""
    cpu = {}
    try:
        cpu = dict(re.findall(r"^(model name|vendor_id|cpu family|model|stepping)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    except OSError:
        pass
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {"cpu": cpu.get("model name") or platform.processor() or platform.machine(),
            "cpu_model": "-".join(cpu[key] for key in ("cpu family", "model", "stepping") if key in cpu),
            "cores": os.cpu_count(), "governor": governor.read_text().strip() if governor.exists() else "", "load": os.getloadavg()[0],
            "system": platform.platform(), "python": platform.python_version(), "fastpath": installed("fastpath-dpu")}


def installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def slug(machine: dict[str, Any]) -> str:
    """A folder name for a processor."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((?:R|TM)\)", "", f"{machine['cpu']} {machine['cpu_model']}").lower()).strip("-")


def record_of(works: Sequence[Work], **more: Any) -> dict[str, Any]:
    return {"format": 1, "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "machine": machine(),
            "works": {work.name: work.record() for work in works}, **more}


@dataclass(frozen=True, slots=True)
class Change:
    """A work of two records. `factor`: how many times as long it takes now."""
    name: str
    before: float
    now: float
    factor: float
    slower: bool
    faster: bool


def compare(now: dict[str, Any], before: dict[str, Any]) -> list[Change]:
    """What changed between two records, work by work, where both read the same packets.

    A work is slower (or faster) when its median lies outside the other record's range of times and more than 10 % off.
    ValueError when they have no work in common.
    """
    changes = []
    for name, mine in now["works"].items():
        theirs = before["works"].get(name)
        if theirs is None or (mine["packets"], mine["bytes"]) != (theirs["packets"], theirs["bytes"]):
            continue
        factor = mine["median"] / theirs["median"]
        changes.append(Change(name, theirs["median"], mine["median"], factor,
                              slower=factor > NOISE and mine["median"] > max(theirs["seconds"]) and theirs["median"] < min(mine["seconds"]),
                              faster=factor < 1 / NOISE and mine["median"] < min(theirs["seconds"]) and theirs["median"] > max(mine["seconds"])))
    if not changes:
        raise ValueError("the two records have no work in common: they measured other captures, rules or settings")
    return changes


def read_record(path: str | Path) -> dict[str, Any]:
    """A record from a file. ValueError where it is none."""
    try:
        found = json.loads(Path(path).read_text())
        if found["format"] != 1 or not all({"median", "seconds", "packets", "bytes"} <= set(work) for work in found["works"].values()):
            raise KeyError("works")
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a record of fastpath bench ({error})") from None
    return found


# ---- the engine ----

def replay_work(name: str, engine: Any, captures: Sequence[Path]) -> Work:
    """Replays of a warm engine that keeps nothing: the whole call, from opening the files to the last flow's end."""
    paths = [str(capture) for capture in captures]
    stats = engine.replay(paths, keep=()).stats
    return Work(name, timed(lambda: engine.replay(paths, keep=())), stats["packets"], stats["bytes"])


# ---- peers: what else reads packets ----

def libpcap_loop(path: Path) -> Callable[[], int]:
    """libpcap's bare read loop, at the speed of C: the handler it calls for each packet is a function of libc that does nothing
    with it. Returns a function that reads the capture once. OSError where libpcap is missing or cannot read the file."""
    library = ctypes.util.find_library("pcap")
    if library is None:
        raise OSError("libpcap is not installed")
    pcap = ctypes.CDLL(library)
    pcap.pcap_open_offline.restype = ctypes.c_void_p
    pcap.pcap_open_offline.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    pcap.pcap_loop.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    pcap.pcap_close.argtypes = [ctypes.c_void_p]
    nothing = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p)

    def read() -> int:
        error = ctypes.create_string_buffer(256)
        handle = pcap.pcap_open_offline(os.fsencode(path), error)
        if not handle:
            raise OSError(error.value.decode(errors="replace"))
        status = pcap.pcap_loop(handle, -1, nothing, None)
        pcap.pcap_close(handle)
        return status
    read()
    return read


def dpkt_read(path: Path, most: int) -> tuple[int, int]:
    """dpkt: read, parse, count by 5-tuple. (packets, bytes) read."""
    import dpkt
    flows: dict[tuple, int] = {}
    packets = size = 0
    with path.open("rb") as file:
        for _, data in islice(dpkt.pcap.UniversalReader(file), most):
            packets, size = packets + 1, size + len(data)
            try:
                ip = dpkt.ethernet.Ethernet(data).data
                key = (ip.src, ip.dst, ip.p, getattr(ip.data, "sport", 0), getattr(ip.data, "dport", 0))
            except (dpkt.Error, AttributeError, IndexError, ValueError):
                continue            # not IP, or damaged
            flows[key] = flows.get(key, 0) + 1
    return packets, size


def scapy_read(path: Path, most: int) -> tuple[int, int]:
    """scapy: read, parse. (packets, bytes) read."""
    import scapy.layers.all  # noqa: F401  binds the layers
    from scapy.utils import PcapReader
    packets = size = 0
    with PcapReader(str(path)) as reader:
        for packet in islice(reader, most):
            packets, size = packets + 1, size + len(packet.original)
    return packets, size


def suricata_run(captures: Sequence[Path], rules: Path | None) -> float:
    """Seconds that Suricata's packet processing of one capture took, without its start; one thread."""
    with tempfile.TemporaryDirectory() as folder:
        total = 0.0
        for capture in captures:
            done = subprocess.run(["suricata", "-r", str(capture), "-l", folder, "-k", "none", "--runmode", "single",
                                   *(["-S", str(rules)] if rules else ["-S", os.devnull])], capture_output=True, text=True, check=True)
            found = re.search(r"time elapsed ([\d.]+)s", done.stderr + done.stdout)
            log = Path(folder) / "suricata.log"
            found = found or re.search(r"time elapsed ([\d.]+)s", log.read_text(errors="replace") if log.exists() else "")
            if not found:
                raise OSError("suricata told no elapsed time")
            total += float(found[1])
        return total


def suricata_processor(capture: Path, rules: Path, variables: Mapping[str, str], folder: Path) -> float:
    """Seconds of the processor that a whole run of Suricata takes, its start included: one packet thread, outputs off."""
    settings = folder / "suricata.yaml"
    settings.write_text(f"%YAML 1.1\n---\ninclude: {SURICATA_YAML}\noutputs: []\nstats:\n  enabled: no\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["suricata", "-c", str(settings), "-r", str(capture), "-S", str(rules), "-l", str(folder), "-k", "none", "--runmode", "single",
                    *(part for name, value in variables.items() for part in ("--set", f"vars.address-groups.{name}={value}"))],
                   capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def suricata_inspecting(capture: Path, rules: Path, variables: Mapping[str, str]) -> float:
    """Seconds of the processor that Suricata takes for the packets of a pcap alone: a run over it less a run over its first packet,
    since it refuses a capture with none. OSError where it is not installed."""
    if shutil.which("suricata") is None:
        raise OSError("not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with capture.open("rb") as file:
            head = file.read(24 + 16)
            order = "little" if head[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else "big"
            (folder / "first.pcap").write_bytes(head + file.read(int.from_bytes(head[32:36], order)))
        started = suricata_processor(folder / "first.pcap", rules, variables, folder)
        return suricata_processor(capture, rules, variables, folder) - started


def peer_works(names: Sequence[str], captures: Sequence[Path], packets: int, size: int, rules: Path | None = None) -> tuple[list[Work], list[str]]:
    """The peers asked for that are here, and a line on each that is not. Rates of dpkt and scapy are of the first capture's first
    packets. ValueError for a name that is none of PEERS."""
    works, absent = [], []
    for name in names:
        if name not in PEERS:
            raise ValueError(f"no peer {name!r}; there are {', '.join(PEERS)}")
        try:
            if name == "libpcap":
                loops = [libpcap_loop(capture) for capture in captures]
                works.append(Work(name, timed(lambda loops=loops: [loop() for loop in loops]), packets, size))
            elif name == "suricata":
                if shutil.which("suricata") is None:
                    raise OSError("not installed")
                works.append(Work(name, lambda: suricata_run(captures, rules), packets, size))
            else:
                read = dpkt_read if name == "dpkt" else scapy_read
                most = PEER_PACKETS[name]
                works.append(Work(name, timed(lambda read=read, most=most: read(captures[0], most)), *read(captures[0], most)))
        except (ImportError, OSError, ValueError) as error:
            absent.append(f"{name}: {error}")
    return works, absent


# ---- fastpath bench ----

def demo_captures() -> list[Path]:
    import fastpath.demo
    return sorted(path for path in Path(fastpath.demo.__file__).parent.rglob("*.pcap*"))


def run_bench(captures: Sequence[str | Path] = (), rules: str | Path | None = None, workers: int = 1, bursts: Sequence[int] = (1, 32, 256),
              peers: Sequence[str] = ("libpcap", "dpkt", "scapy"), json_out: str | Path | None = None, against: str | Path | None = None,
              progress: Callable[[str], None] = lambda name: None) -> int:
    """Measures replays of captures (default: those of the demo), without and with rules, and the peers beside them.

    json_out: a file for the record, or "-" for standard output instead of the table. against: a record to compare with.
    Returns the exit code: 3 when something is slower than in `against` by more than the noise, else 0.
    Raises ValueError for what cannot be measured, OSError for what cannot be read.
    """
    from fastpath import Engine, RuleSet

    before = read_record(against) if against else None
    paths = [Path(capture) for capture in captures] or demo_captures()
    if not paths:
        raise ValueError("nothing to measure: name a capture")
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such capture")
    loaded = RuleSet.load([str(rules)]) if rules else None
    works, engines = [], []
    try:
        for burst in bursts:
            for label, of in [("no rules", None), *([(f"{len(loaded)} rules", loaded)] if loaded else [])]:
                engines.append(Engine(of, workers=workers, burst=burst))
                works.append(replay_work(f"replay, {label}, burst {burst}, workers {workers}", engines[-1], paths))
        beside, absent = peer_works(peers, paths, works[0].packets, works[0].bytes, Path(rules) if rules else None)
        interleave([*works, *beside], progress=progress)
    finally:
        for engine in engines:
            engine.close()
    record = record_of([*works, *beside], captures=[str(path) for path in paths], rules=str(rules) if rules else None, absent=absent)
    changes = compare(record, before) if before else []
    if json_out == "-":
        print(json.dumps(record | {"changes": [asdict(change) for change in changes]}, indent=1))
    else:
        print_table([*works, *beside], changes, absent)
        if json_out:
            Path(json_out).write_text(json.dumps(record, indent=1) + "\n")
    return SLOWER if any(change.slower for change in changes) else 0


def print_table(works: Sequence[Work], changes: Sequence[Change] = (), absent: Sequence[str] = ()) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 170)
    table = Table(title=f"median of {len(works[0].times)}, in turn", title_justify="left")
    for column in ("work", "packets", "Mpps", "Gbps", "ns a packet", "spread", *(["against"] if changes else [])):
        table.add_column(column, justify="left" if column == "work" else "right")
    found = {change.name: change for change in changes}
    for work in works:
        spread = f"{(max(work.times) - min(work.times)) / work.median:.0%}"
        row = [work.name, f"{work.packets:,}", f"{work.pps / 1e6:.3f}", f"{work.gbps:.2f}", f"{1e9 / work.pps:,.0f}", spread]
        if changes:
            change = found.get(work.name)
            word = "" if change is None else "slower" if change.slower else "faster" if change.faster else "same"
            row.append(f"{change.factor:.2f}x {word}" if change else "")
        table.add_row(*row)
    console.print(table)
    for line in absent:
        console.print(f"not measured: {line}", markup=False, highlight=False)
