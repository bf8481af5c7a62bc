"""The engine: rules, settings and a device on one side, packets on the other.

Threads: an engine serves one call at a time; a call while another thread is inside raises RuntimeError. `reload`, `isolate`,
`release`, `isolated`, `orders` and `device` are the exceptions: any thread may call them, and what runs goes by them from its next burst
on (see reload.py and boundary.py). Engines share nothing, so several may run in several threads. Fork: an engine belongs to the process that made it; any use in a child raises.
Free-threaded CPython: the extensions ask for the GIL; the data plane itself runs without it on every build.
"""
from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from operator import index
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastpath.control import exceptions
from fastpath.control import stats as stats_of
from fastpath.control.boundary import Boundary
from fastpath.control.columns import Columns
from fastpath.control.config import Config
from fastpath.control.device import Device
from fastpath.control.hardware import Hardware
from fastpath.control.isolation import Isolation, addresses_of, networks_of
from fastpath.control.keylog import key_ring
from fastpath.control.packets import ETHERNET, PacketBatch, as_batch
from fastpath.control.policy import BEYOND, Policy
from fastpath.control.policy.judge import Judge
from fastpath.control.reload import InForce, Order, Staged, prompt, with_isolation, without
from fastpath.control.result import KEPT, Batch, Damage, Result, Run, Sink, Verdicts, check_keep
from fastpath.control.sessions import SessionTable
from fastpath.control.subscription import ON_FULL, Subscription
from fastpath.control.told import told
from fastpath.dataplane import rows
from fastpath.dataplane.bindings import TAG
from fastpath.dataplane.flow import FlowMemory

if TYPE_CHECKING:
    from fastpath.control.anonymise import Anonymiser
    from fastpath.control.why import Why
    from fastpath.offload.projection import Projection
    from fastpath.offload.settings import Setting
    from fastpath.offload.study import Study

BURST = 128
STEP = 1 << 15          # packets between two looks at the rest of the world
TAKE = 1 << 16          # packets of inspect calls after which their rows, but for alerts, are taken


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a replay stands. fraction is None where the size of the input is not known."""
    capture: str
    packets: int
    bytes: int
    alerts: int
    seconds: float
    fraction: float | None


@cache
def check_matcher() -> None:
    """Puts the Hyperscan library in use through known answers, once a process; raises where it fails them."""
    from fastpath.dataplane.match import known_answers
    known_answers.verify()


class _Process:
    """Stands for one process: a child has another."""


_process = _Process()


def _forked() -> None:
    global _process
    _process = _Process()


os.register_at_fork(after_in_child=_forked)


def _expect(name: str, given: Any, kind: type) -> None:
    if given is not None and not isinstance(given, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {type(given).__name__}")


def _lift(plane: Any, address: IPv4Address | IPv6Address) -> None:
    plane.lift(address.version, address.packed)


class Engine:
    """An inspection engine.

    rules: a RuleSet, or None for none. config: a Config (stock where None). mode: "ids" alerts and cuts nothing, "ips" does
    what rules say. policy: a Policy, or None: which flows may be, before any rule. device: a Device, or None. workers: threads; they change no result. burst: packets a burst, up to 256.
    checksums: "all", "none", "auto", over the configuration's. compat: leave out what Suricata 7.0 lacks.
    hardware: a Hardware, or None: what is not as the manifest says is an event.
    statistics: one burst of thirty-two is timed, stage by stage and rule by rule; all else is counted anyway. anonymiser: an
    anonymise.Anonymiser, that maps whatever leaves; None: all is told as it is. models: model files are looked
    for (docs/models.md); they are anyway where a rule asks for them.
    keylog: a key log, or several, with whose secrets TLS is decrypted (a path, paths, or a KeyRing); of bad lines
    Python warns, at FILE:LINE:COLUMN. What captures bring themselves is used without being asked for.

    Raises TypeError or ValueError naming the argument, OSError for a key log that cannot be read, MemoryError when tables cannot be reserved, and RuntimeError when the
    Hyperscan library fails its known answers.
    """

    def __init__(self, rules: Any = None, *, config: Config | None = None, policy: Policy | None = None, device: Device | None = None, mode: str = "ids",
                 workers: int = 1, burst: int = BURST, checksums: str | None = None, compat: bool = False, statistics: bool = True,
                 hardware: Hardware | None = None, keylog: Any = None, anonymiser: Anonymiser | None = None,
                 models: bool = False):
        if rules is not None and not (hasattr(rules, "numbers") and hasattr(rules, "compile")):
            raise TypeError(f"rules must be a RuleSet, not {type(rules).__name__}")
        _expect("device", device, Device)
        _expect("policy", policy, Policy)
        _expect("config", config, Config)
        _expect("hardware", hardware, Hardware)
        if hardware is not None and compat:
            raise ValueError("compat leaves out what Suricata lacks: a manifest of hardware too")
        if mode not in ("ids", "ips"):
            raise ValueError(f"mode must be 'ids' or 'ips', not {mode!r}")
        if checksums not in (None, "all", "none", "auto"):
            raise ValueError(f"checksums must be 'all', 'none' or 'auto', not {checksums!r}")
        for name, value, most in (("workers", workers, 64), ("burst", burst, 256)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if not 1 <= value <= most:
                raise ValueError(f"{name} must lie between 1 and {most}, not {value}")
        self.config = config if config is not None else Config()
        self.mode = mode
        settings = self.config.settings()
        settings |= {"mode": mode, "workers": workers, "burst": burst, "compat": compat, "statistics": bool(statistics)}
        if checksums is not None:
            settings["checksums"] = checksums
        settings["exceptions"] = exceptions.policies(self.config, mode)
        settings["simulate"] = exceptions.faults(self.config)
        inline_bodies = settings["app_layer"].get("http.http-body-inline", "auto")
        settings["app_layer"]["http.brotli"] = not compat     # which Suricata 7.0 leaves alone
        settings["app_layer"]["files.models"] = bool(models)
        settings["app_layer"]["http.http-body-inline"] = mode == "ips" if inline_bodies == "auto" else inline_bodies == "yes"
        settings["keys"] = key_ring(keylog)
        settings["flow_memory"] = FlowMemory()      # which one data plane leaves to the next
        self._settings = settings
        self._hardware = hardware
        self._process = _process
        self._busy = threading.Lock()
        self._boundary = Boundary(self._busy)
        self._reloading = threading.Lock()  # one reload at a time: each goes on from the numbers that the one before gave
        self._closed = False
        self._plane: Any = None             # of inspect and tick, with its run
        self.anonymiser = anonymiser
        self._run = Run(frozenset(), 0, (), digest=None)     # nobody asks a live engine for one
        self._batch_source: Any = None
        self._at_work: tuple[Any, Run] | None = None        # the data plane of a replay that runs, and its run
        self._latest: dict[str, Any] = {}   # statistics of the latest replay
        self._subscription: Subscription | None = None
        self._published: Run | None = None  # whose verdicts go there
        self._taken = 0                     # ordinal up to which the rows of inspect have been taken
        self._ended: list[np.ndarray] = []  # flows that wait for the next tick
        check_matcher()
        started = time.perf_counter()
        self._data_classes: dict[str, int] = {}     # that zones are about, by name: bits for the engine's life
        database = self._compile(rules, ()) if rules is not None else None
        self._staged = Staged(InForce(rules, database, self._judge(policy, rules), device))
        self.load_seconds = time.perf_counter() - started

    # ---- life ----

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the engine; closing twice is allowed. Everything else raises afterwards."""
        if self._closed or self._process is not _process:
            return
        with self._inside():
            self._closed = True
            if self._subscription is not None:
                self._subscription.close()
            plane, self._plane = self._plane, None
            if plane is not None:
                self._staged.detach(plane)
                plane.close()
                stats_of.check_ledger(plane.stats())
                self._run.sets.change(plane.changed_sets())
                self._save(self._run)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._busy.release()

    def _enter(self) -> None:
        """One call at a time, in the process that made the engine, while it is open. The caller releases `_busy`."""
        self._check_open()
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("the engine is busy with another call; an engine serves one call at a time")
        if self._closed:
            self._busy.release()
            self._check_open()

    def _at_boundary(self, act: Callable[[Any], Any]) -> Any:
        """Runs act(plane) for any thread: at once where the engine is at rest, else between two steps."""
        self._check_open()

        def live() -> Any:
            self._check_open()
            return self._live()[0]
        return self._boundary.run(act, live)

    def _check_open(self) -> None:
        if self._process is not _process:
            raise RuntimeError("the engine was made in another process; make one after the fork")
        if self._closed:
            raise ValueError("the engine is closed")

    # ---- captures ----

    def replay(self, paths: Any, bpf: str | None = None, *, keep: Iterable[str] = ("alerts", "flows"), limit: int = KEPT,
               sinks: Sequence[Sink] = (), continuous: bool = False, progress: Callable[[Progress], None] | None = None,
               reload_at: Mapping[int, Any] | None = None) -> Result:
        """Inspects captures, one after the other, and gives a Result.

        paths: a file, a folder, a glob, "-" for standard input, or several of them. bpf: a filter; packets that it refuses
        are not read. keep: what of "alerts", "flows", "events", "packets" the Result holds, up to `limit` rows each. sinks:
        take the rows as they retire (see result.Sink). continuous: the captures are one stream; otherwise every flow ends
        and detection starts anew with each. progress is called between steps, in this thread. reload_at: what `reload` is given, by the
        packet (counted from 1 over all captures) from which on it is in force: a RuleSet, Policy or Device, or several of them; all are
        compiled before the first packet, and the last stays in force.

        Ctrl-C ends the run early: the Result is `partial` and holds all that was inspected. A damaged capture gives what it
        holds up to the damage, and stands in `damages`. Raises OSError for a capture that cannot be opened.
        """
        if not isinstance(limit, int) or limit < 0:
            raise (ValueError if isinstance(limit, int) else TypeError)(f"limit must be a number of rows, not {limit!r}")
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {type(progress).__name__}")
        run = Run(check_keep(keep), limit, sinks)
        if not reload_at:
            return self._replay(paths, bpf, run, continuous, progress)
        self._check_open()
        with self._reloading:
            return self._replay(paths, bpf, run, continuous, progress, self._ahead(reload_at))

    def _ahead(self, reload_at: Mapping[int, Any]) -> list[tuple[int, InForce]]:
        """What is to be in force from which packet on, in order."""
        made: list[tuple[int, InForce]] = []
        for ordinal in sorted(reload_at):
            if not isinstance(ordinal, int) or ordinal < 1:
                raise ValueError(f"reload_at names packets, which count from 1, not {ordinal!r}")
            given = reload_at[ordinal]
            what: dict[str, Any] = {}
            for one in given if isinstance(given, (tuple, list)) else [given]:
                what["policy" if isinstance(one, Policy) else "device" if isinstance(one, Device) else "rules"] = one
            made.append((ordinal, self._compiled(made[-1][1] if made else self._staged.now, self._compile, **what)))
        return made

    def _replay(self, paths: Any, bpf: str | None, run: Run, continuous: bool,
                progress: Callable[[Progress], None] | None, ahead: list[tuple[int, InForce]] | None = None) -> Result:
        from fastpath.control.captures import open_captures
        with self._inside():
            plane = self._new_plane(run)
            self._at_work = (plane, run)
            damages: list[Damage] = []
            partial = False
            try:
                with _Interrupts() as interrupts:
                    try:
                        for _ in self._steps(plane, run, open_captures(_listed(paths), bpf), damages, continuous, progress, interrupts,
                                             ahead or []):
                            pass
                    except KeyboardInterrupt:
                        partial = True
                        for _ in self._flush(plane, run):
                            pass
                    result = self._finish(plane, run, damages, partial)
                    result.ask = self._ask(_listed(paths), bpf, continuous)
                    return result
            finally:
                self._boundary.ended()
                self._at_work = None
                self._staged.detach(plane)
                plane.close()

    def stream(self, paths: Any, bpf: str | None = None, *, what: str = "alerts", rows: int = 65536,
               continuous: bool = False) -> Iterator[Columns]:
        """Inspects captures and yields their rows of one kind while it goes on, as Columns (Arrow through
        `__arrow_c_stream__`) of at most that many rows. The engine is busy until the iterator is exhausted or closed."""
        from fastpath.control.captures import open_captures
        check_keep((what,))
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        with self._inside():
            run = Run(frozenset((what,)) if what == "packets" else frozenset(), 0, ())
            plane = self._new_plane(run)
            self._at_work = (plane, run)
            try:
                for batch in self._steps(plane, run, open_captures(_listed(paths), bpf), [], continuous, None, None, []):
                    columns = batch.columns(what)
                    for start in range(0, len(columns), rows):
                        yield columns[start:start + rows]
                self._finish(plane, run, [], False)
            finally:
                self._boundary.ended()
                self._at_work = None
                self._staged.detach(plane)
                plane.close()

    def why(self, paths: Any, sid: int, *, gid: int | None = None, flow: str | None = None, bpf: str | None = None,
            continuous: bool = False, rules: Any = None) -> Why:
        """Why a rule did or did not fire in these captures: a why.Why, for each flow that came near it. The captures are run through
        that rule, and those that it depends on, with every step noted; the engine itself is not touched.

        flow: the community ID of the only flow that is asked for. rules: a RuleSet to ask instead of the engine's, which need not be
        compiled for it. The rest is as in replay. Raises LookupError for a rule that
        is not there or was refused, OSError for a capture that cannot be opened, ValueError for standard input.
        """
        self._check_open()
        return self._ask(_listed(paths), bpf, continuous, rules)(sid, gid=gid, flow=flow)

    def offload(self, paths: Any, settings: Iterable[Setting] | None = None, *, confirm: int | Sequence[Setting] = 1,
                bpf: str | None = None, continuous: bool = False, progress: Callable[[str, float | None], None] | None = None) -> Study:
        """What session tables would take off the inspectors, and which alerts they would miss: an offload.study.Study.

        The captures are inspected once without a device, and a log is written of it; each of `settings` (offload.settings.Setting;
        None: some hundreds, read_grid()) is simulated over the log. confirm: settings that are confirmed by a pass with a real
        device on one bucket, at most three; a number: so many, chosen from `settings`. progress is called with what is being done,
        and how far it is from 0 to 1, None where that is not known. The rest is as in replay. The device of this engine plays no
        part. Raises OSError for a capture that cannot be opened, ValueError for standard input or more than three to confirm.
        """
        from fastpath.offload.study import study
        return study(self, _listed(paths), settings, confirm, bpf, continuous, progress)

    def project(self, paths: Any, *, device: Device | None = None, calibration: tuple[str, float] | None = None, rounds: int = 5,
                progress: Callable[[str, float | None], None] | None = None) -> Projection:
        """From what a packet of these captures costs here to N cores and line rates: an offload.projection.Projection, that says
        what is measured and what is projected.

        device: whose table takes packets off the inspectors, simulated; None for none. calibration: the name of another processor,
        and how many times as long a packet takes there. rounds: passes, of which the median counts. Raises OSError for a capture
        that cannot be opened, ValueError for standard input.
        """
        from fastpath.offload.projection import project
        return project(self, _listed(paths), device, calibration, rounds, progress)

    def _ask(self, paths: list[Any], bpf: str | None, continuous: bool, rules: Any = None) -> Callable[..., Why]:
        """What answers questions about a run over these captures."""
        rules = self._staged.now.rules if rules is None else rules
        settings, step_limit = self._settings, self.config["detect.inspection-recursion-limit"]
        beyond = self._beyond(rules)

        def ask(sid: int, *, gid: int | None = None, flow: str | None = None) -> Why:
            from fastpath.control.why import explain
            if rules is None:
                raise LookupError("there are no rules")
            if self.anonymiser is not None:
                raise ValueError("why shows packets as they are, which this engine anonymises: ask one that does not")
            return explain(rules, settings, step_limit, paths, sid, gid=gid, flow=flow, bpf=bpf, continuous=continuous,
                           beyond=beyond)
        return ask

    def _new_plane(self, run: Run) -> Any:
        from fastpath._core import DataPlane
        run.captures.anonymiser = self.anonymiser
        run.record = self._staged.record
        device = self._staged.now.device
        plane = DataPlane(self._settings | {"device": device.settings() if device is not None else None} | run.settings
                          | {"keep_log": run.wants_log, "keep_packets": run.wants_packets, "keep_apps": run.wants_apps,
                             "keep_llm": run.wants_llm,
                             "keep_vars": run.wants_vars, "keep_files": run.wants_files,
                             "keep_bytes": run.wants_bytes, "keep_payloads": run.wants_payloads, "payload_size": run.payload_size})
        self._staged.attach(plane, device)
        self._follow(plane, run)
        return plane

    def _follow(self, plane: Any, run: Run) -> None:
        """What is in force is in force in this data plane, and who has subscribed gets its verdicts."""
        self._staged.follow(plane, run)
        self._look_beyond(plane, run)
        ring = self._subscription.ring if self._subscription is not None and not self._subscription.ring.closed else None
        plane.publish(ring, run.base)
        self._publish_as(run)

    def _look_beyond(self, plane: Any, run: Run) -> None:
        """What is beyond Suricata is looked at where a pack, the policy or a manifest of hardware asks for it."""
        beyond = self._beyond(self._staged.now.rules)
        if beyond is None:
            return
        plane.look_beyond(*beyond)
        policy = self._staged.now.of("policy")
        run.inventory.follow_protocols()
        run.bindings.tenants = tuple(policy.tenants) if policy is not None else ()
        run.bindings.anonymiser = self.anonymiser
        run.bindings.names = self._hardware.names if self._hardware is not None else {}

    def _beyond(self, rules: Any) -> tuple[Any, ...] | None:
        """What a data plane that runs these rules is to look at there; None for nothing."""
        policy = self._staged.now.of("policy")
        packs = rules is not None and rules.reading.get("packs")
        if self._settings["compat"] or not (packs or self._hardware is not None or policy is not None and policy.looks_beyond):
            return None
        facts, neighbours = (self._hardware.facts, self._hardware.neighbours) if self._hardware is not None else (None, False)
        return policy.tags if policy is not None else np.zeros(0, TAG), facts, neighbours

    def _publish_as(self, run: Run) -> None:
        """The verdicts that come are of this run."""
        if self._subscription is not None:
            self._subscription.begin(run.signatures, run.captures.anonymiser)
        self._published = run

    def _steps(self, plane: Any, run: Run, captures: Any, damages: list[Damage], continuous: bool,
               progress: Callable[[Progress], None] | None, interrupts: _Interrupts | None,
               ahead: list[tuple[int, InForce]]) -> Iterator[Batch]:
        """Reads the captures to their end, step by step; yields the batches of rows. ahead: what is to be in force from which packet on,
        in order."""
        from fastpath.dataplane.rx import Status
        bursts = max(1, STEP // self._settings["burst"])
        started = time.perf_counter()
        done = 0        # bytes of the captures before this one
        for capture in _opened(captures, damages):
            if not continuous and run.captures.all:
                yield from self._flush(plane, run)
            plane.begin_capture()
            run.capture = run.captures.begin(capture.path, plane.next_ordinal)
            more = True
            while more:
                while ahead and ahead[0][0] == plane.next_ordinal:
                    self._staged.put(ahead.pop(0)[1])
                if self._staged.is_behind(plane):
                    yield run.take(plane.rows(), plane.kept())
                    self._follow(plane, run)
                self._boundary.ended()
                self._boundary.obey(plane)
                more = plane.step(capture.source, bursts, ahead[0][0] if ahead else 0)
                self._boundary.at_rest(plane)
                self._staged.expire(plane.time)
                with interrupts.held() if interrupts is not None else nullcontext():
                    batch = run.take(plane.rows(), plane.kept())
                yield batch
                if progress is not None:
                    counted = plane.stats()
                    progress(Progress(capture.path, counted["packets"], counted["bytes"], run.counts["alerts"],
                                      time.perf_counter() - started,
                                      (done + capture.bytes_done) / captures.bytes_total if captures.bytes_total else None))
                if not more and capture.source.status == Status.NEED:
                    more = _fed(capture, len(run.captures.all) == 1, damages)
            if capture.damage is not None:
                damages.append(Damage(capture.path, *capture.damage))
            done += capture.bytes_total or 0
            self._staged.expire(plane.time)
        yield from self._flush(plane, run)

    def _flush(self, plane: Any, run: Run) -> Iterator[Batch]:
        """Ends every flow, bucket by bucket."""
        more = True
        while more:
            more = plane.flush()
            yield run.take(plane.rows(), plane.kept())
        run.sets.change(plane.changed_sets())

    def _finish(self, plane: Any, run: Run, damages: list[Damage], partial: bool) -> Result:
        run.take(_only_runs(plane.last_run()))
        run.count_policy(plane)
        seen = plane.queue_pairs_seen if self.anonymiser is None else self.anonymiser.pairs(plane.queue_pairs_seen)
        run.roce = run.bindings.queue_pairs(seen)
        counted = self._counted(plane)
        stats_of.check_ledger(counted)
        stats = self._latest = told(run, stats_of.build(counted, run, self.load_seconds, partial, services=plane.services()))
        self._save(run)
        for sink in run.sinks:
            sink.close(stats)
        if self.anonymiser is not None:
            damages = [Damage(self.anonymiser.name(one.name), one.offset, "the capture is damaged") for one in damages]
        return Result(run, stats, partial, damages)

    def _save(self, run: Run) -> None:
        """The sets that rules save are written, where the configuration says where (default-data-dir)."""
        folder = self.config.get("default-data-dir")
        if folder is not None:
            run.sets.write(folder)

    # ---- packets from Python ----

    def inspect(self, packets: Any, *, linktype: int = ETHERNET, ts: Any = None, port: int | None = None,
                out: np.ndarray | None = None) -> Verdicts:
        """Inspects packets now and gives their verdicts.

        packets: a PacketBatch (nothing is copied), or any iterable of buffers, of (ts, buffer) pairs as dpkt gives them, or of
        scapy packets. linktype: a LINKTYPE_* number. ts: the packets' time, one for all or one a packet: int is ns, float
        seconds; None takes the stamps of the packets, or now. port: a number that the caller gives to where the packets came in,
        32 bits; alerts bear it (`port`, and `in_iface` in EVE), and nothing depends on it. out: an array of rows.VERDICT to write into, one element a
        packet; Verdicts.array is then this array. Flows and detection state go on from call to call.
        """
        self._enter()
        try:
            batch = as_batch(packets, ts)
            if port is not None:
                port = _port(port)
            if out is None:
                out = np.empty(len(batch), rows.VERDICT)
            elif not isinstance(out, np.ndarray) or out.dtype != rows.VERDICT:
                raise TypeError("out must be a numpy array of fastpath.dataplane.rows.VERDICT")
            elif out.shape != (len(batch),) or not out.flags.c_contiguous or not out.flags.writeable:
                raise ValueError(f"out must be contiguous, writeable and of length {len(batch)}, not {out.shape}")
            return self._inspect(batch, linktype, port, out)
        finally:
            self._busy.release()

    def _inspect(self, batch: PacketBatch, linktype: int, port: int | None, out: np.ndarray) -> Verdicts:
        plane, run = self._live()
        source = self._batch_source(batch.buffer, batch.offsets, batch.lengths, batch.stamps, linktype,
                                    time.time_ns() if batch.stamps is None else 0, batch.wirelens)
        if self._published is not run:
            self._publish_as(run)
        first, alerts = plane.next_ordinal, None
        self._boundary.obey(plane)
        done = self._inspect_part(plane, run, source, out)
        if plane.waiting:
            alerts = run.hold(plane.alerts())
        while done < len(out):      # somebody has called: the rest goes by what is in force now
            self._live()
            self._boundary.obey(plane)
            self._inspect_part(plane, run, source, out[done:])
            done = plane.next_ordinal - first
            if plane.waiting:
                more = run.hold(plane.alerts())
                alerts = more if alerts is None else np.concatenate([alerts, more])
        source.close()
        if plane.next_ordinal - self._taken > TAKE:
            self._take(plane, run)
            self._taken = plane.next_ordinal
        return Verdicts(out, run, alerts, batch, linktype, port)

    @staticmethod
    def _inspect_part(plane: Any, run: Run, source: Any, out: np.ndarray) -> int:
        """Inspects until the source is through, or somebody calls: how many packets."""
        done: int = plane.inspect(source, out)
        if run.base:
            rule = out["rule"][:done]
            rule[(rule != rows.NO_RULE) & (out["reason"][:done] != rows.REASON_POLICY)] += run.base
        return done

    def _take(self, plane: Any, run: Run) -> Batch:
        """The rows of inspect so far; flows wait for the next tick."""
        taken = run.take(plane.rows())
        if len(taken.rows["flows"]) and sum(map(len, self._ended)) < KEPT:
            self._ended.append(taken.rows["flows"])
        return taken

    def tick(self, now: Any = None) -> Columns:
        """Moves engine time on (int ns or float seconds; None for the clock): what has timed out ends. Gives the flows that
        ended since the last tick, at most some million."""
        from fastpath.control.packets import nanoseconds
        with self._inside():
            plane, run = self._live()
            plane.tick(time.time_ns() if now is None else nanoseconds(now, "now"))
            self._staged.expire(plane.time)
            self._take(plane, run)
            ended, self._ended = self._ended, []
            return Columns("flows", ended, run.signatures, run.captures)

    def _live(self) -> tuple[Any, Run]:
        """The data plane of inspect and tick, made with the first packet; with new rules where there are some."""
        if self._plane is None:
            from fastpath.dataplane.rx import BatchSource
            self._batch_source = BatchSource
            self._plane = self._new_plane(self._run)
        elif self._staged.is_behind(self._plane):
            self._take(self._plane, self._run)
            self._follow(self._plane, self._run)
        return self._plane, self._run

    @property
    def stats(self) -> dict[str, Any]:
        """Statistics of everything that `inspect` saw so far, as in Result.stats."""
        with self._inside():
            plane, run = self._live()
            self._take(plane, run)
            run.count_policy(plane)
            return told(run, stats_of.build(self._counted(plane), run, self.load_seconds, True, services=plane.services()))

    def snapshot(self) -> dict[str, Any]:
        """Statistics at this moment, from any thread, of what runs: of the replay that goes on, or of `inspect`; where neither has begun,
        of the latest replay. Nothing waits for it: counters are read while they move on, so that they may be some packets apart.

        As `stats`, and: running (whether a call is inside); under_way (packets read and not in the ledger yet); packet_time (ns);
        orders (by kind: how many data planes have taken); isolated (workloads); subscription (lost, waited in seconds), where there is
        one. {"running": False} before the first packet.
        """
        self._check_open()
        at_work = self._at_work
        plane, run = at_work if at_work is not None else (self._plane, self._run)
        more: dict[str, Any] = {"running": self._busy.locked(), "orders": dict(self._staged.counts),
                                "isolated": [one.workload if self.anonymiser is None else self.anonymiser.mapped(one.workload)
                                             for one in self.isolated]}
        if self._subscription is not None:
            more["subscription"] = {"lost": self._subscription.lost, "waited": self._subscription.waited}
        if plane is None:
            return ({"under_way": 0} | self._latest if self._latest else {}) | more
        with prompt():
            while True:
                swaps = self._staged.swaps(plane)
                try:
                    counted, policy = self._counted(plane), plane.policy_counts()
                    stats = told(run, stats_of.build(counted, run, self.load_seconds, True, policy))
                except (RuntimeError, IndexError):      # a dict of the run has grown, or its rules are others now
                    continue
                if swaps == self._staged.swaps(plane) and not swaps % 2:
                    break
                time.sleep(0)
        accounted = sum(one["packets"] for one in counted["ledger"].values())
        return stats | more | {"packet_time": plane.time, "under_way": max(0, counted["packets"] - accounted)}

    def subscribe(self, *, ring: int = 65536, on_full: str = "wait", batch: int = 4096) -> Subscription:
        """Verdicts of every packet from the next burst on, in batches, to be read in another thread: see Subscription.

        ring: verdicts that may wait to be read, a power of two. on_full: "wait": inspection stands still until the reader has gone on, so
        that no packet is let through whose verdict nobody has, as a firewall wants it that fails closed; or "lose": the verdict is lost
        and counted, and inspection goes on. batch: most verdicts of one batch. One subscription at a time: RuntimeError for more.
        """
        self._check_open()
        if on_full not in ON_FULL:
            raise ValueError(f"on_full must be {' or '.join(map(repr, ON_FULL))}, not {on_full!r}")
        for name, value in (("ring", ring), ("batch", batch)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        if self._subscription is not None and not self._subscription.ring.closed:
            raise RuntimeError("there is a subscription already; close it first")
        made = Subscription(ring, on_full, batch)
        self._subscription, self._published = made, None
        self._staged.change(replace)        # nothing else is in force, but planes look
        return made

    def _counted(self, plane: Any) -> dict[str, Any]:
        stats = plane.stats()
        return stats | {"isolations_refused": self._staged.refused + stats.get("cuts_refused", 0)}

    # ---- what is in force ----

    @property
    def device(self) -> SessionTable | None:
        """The session table; None without a device."""
        device = self._staged.now.device
        return SessionTable(device, self._at_boundary) if device is not None else None

    def reload(self, rules: Any = None, *, policy: Policy | None = None, device: Device | None = None) -> None:
        """Swaps rules, policy or device settings, or several at once: whole or not at all, from the next burst on, from any thread.
        What is not given stays; on any error all of it does. No packet is lost, flows and sessions go on; a new policy judges them
        anew, and a table that has become smaller takes no session until enough have ended.

        rules: paths, as RuleSet.load takes them, read as the rules in force were; or a RuleSet. Either is compiled in a process of its own,
        so that packets need not wait for it; one that has been compiled before is not compiled again. Of several threads that reload one
        waits for the other, and for a replay that was given `reload_at`.

        Raises TypeError for what is none of these, OSError for what cannot be read, ValueError (PolicyError, with its place) for what
        does not compile, MemoryError.
        """
        self._check_open()
        with self._reloading, prompt():
            started = time.perf_counter()
            new = self._compiled(self._staged.now, self._compile_apart, rules, policy, device)
            self._staged.put(new)
            self.load_seconds = time.perf_counter() - started

    def _compiled(self, now: InForce, compile: Callable[[Any, Sequence[str]], Any], rules: Any = None, policy: Any = None, device: Any = None) -> InForce:
        """What is in force next, after `now`."""
        if rules is None and policy is None and device is None:
            raise TypeError("reload takes rules, a policy or a device")
        is_path = isinstance(rules, (str, os.PathLike, list, tuple))
        if rules is not None and not is_path and not (hasattr(rules, "numbers") and hasattr(rules, "compile")):
            raise TypeError(f"rules must be a RuleSet or paths, not {type(rules).__name__}")
        _expect("policy", policy, Policy)
        _expect("device", device, Device)
        if rules is not None:
            flowbits = now.database.names if now.database is not None else ()
            if is_path:
                from fastpath.rules.apart import load_apart
                reading = now.rules.reading if now.rules is not None else {}
                rules, database = load_apart(rules, _event_codes(), self._compile_options(flowbits), **reading)
            else:
                database = compile(rules, flowbits)
            now = replace(now, rules=rules, database=database)
        if rules is not None and now.policy is not None or policy is not None:
            now = replace(now, policy=self._judge(policy if policy is not None else now.policy.policy, now.rules))
        return now if device is None else replace(now, device=device)

    def isolate(self, workload: Any, until: Any = None, why: str = "") -> Isolation:
        """Cuts a workload off, from the next burst on: by order of the operator, whatever rules and policy say.

        In ips mode every packet from or to it is dropped (reason "isolated"), fragments and what tunnels carry too, before streams and
        rules see it. In ids mode nothing is cut: verdicts and rows say that it would be. In both the device's sessions for its flows are
        deleted and none are made. It survives a reload. What happened stands in `orders`, in EVE (event_type "isolation") and in the log
        "fastpath.control".

        workload: an address or a network, IPv4 or IPv6, as text or an object of `ipaddress`; an object with `.addresses`; a collection of
        them; or a name that the policy has. One that is isolated already is isolated anew, with this `until` and `why`. until: packet time
        at which it ends by itself: ns since 1970 (int), seconds (float) or a datetime with a time zone; None: when it is released.

        Raises ValueError for what names no address, or when more are isolated than there is room for (isolation.RANGES_MAX ranges):
        then nothing has changed, and it is counted (stats: `exceptions`, "isolations_refused"). TypeError for what is no workload.
        """
        self._check_open()
        isolation = Isolation.of(workload, until, why, self._workload)
        self._staged.change(partial(with_isolation, isolation=isolation))
        return isolation

    def release(self, workload: Any) -> None:
        """Ends the isolation of a workload, named as it was to `isolate`: its flows go on with the next burst, where they were. Raises
        LookupError when it is not isolated."""
        self._check_open()
        named = [one for one in self.isolated if one.workload == workload]
        networks = networks_of(workload, self._workload) if not named else ()
        found = named or [one for one in self.isolated if one.networks == networks]
        if not found:
            raise LookupError(f"{workload} is not isolated; isolated are {', '.join(one.workload for one in self.isolated) or 'none'}")
        for one in found:
            if self._staged.cut.pop(one.networks, None) is not None:
                self._boundary.run(partial(_lift, address=ip_address(one.workload)), lambda: self._live()[0])
        if any(one in self._staged.now.isolations for one in found):
            self._staged.change(partial(without, isolations=found))

    @property
    def isolated(self) -> tuple[Isolation, ...]:
        """The workloads that are cut off now."""
        return (*self._staged.now.isolations, *self._staged.cut.values())

    @property
    def orders(self) -> tuple[Order, ...]:
        """What the control plane did while packets ran, and from which one on; the latest thousand."""
        return tuple(self._staged.orders)

    def _workload(self, name: str) -> list[Any] | None:
        """The addresses of what the policy calls by this name; None where it has no such segment."""
        judge = self._staged.now.policy
        return addresses_of(judge.policy, name) if judge is not None else None

    def _judge(self, policy: Policy | None, rules: Any) -> Judge | None:
        """The compiled form of a policy, which finds data by these rules."""
        if policy is None:
            return None
        if not self._settings["vlan_tracking"] and policy.classes.encapsulated and policy.classes.vlan_class.any():
            raise ValueError("the policy names VLANs, which vlan.use-for-tracking: no keeps out of flows")
        enabled = self._settings["app_layer"]["enabled"]
        for line in policy.lines:
            off = [name for name in sorted(line.applications or ()) if enabled.get(name) == "no"
                   and (name not in BEYOND or self._settings["compat"])]
            if off:
                raise ValueError(f"{line.place}: {off[0]} is not recognised: app-layer.protocols.{off[0]}.enabled is no")
        return Judge.of(policy, rules, self._data_classes)

    def _compile(self, rules: Any, flowbits: Sequence[str]) -> Any:
        """The compiled form of a rule set; flowbits that have numbers keep them."""
        return rules.compile(_event_codes(), **self._compile_options(flowbits))

    def _compile_apart(self, rules: Any, flowbits: Sequence[str]) -> Any:
        from fastpath.rules.apart import compile_apart
        return compile_apart(rules, _event_codes(), self._compile_options(flowbits))

    def _compile_options(self, flowbits: Sequence[str]) -> dict[str, Any]:
        return {"flowbits": flowbits, "action_order": self.config["action-order"],
                "step_limit": self.config["detect.inspection-recursion-limit"]}


class _Interrupts:
    """Ctrl-C while a replay goes on: at once, but never between taking rows and writing them."""

    def __init__(self) -> None:
        self._holding = False
        self._pending = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: object) -> None:
        if not self._holding:
            raise KeyboardInterrupt
        self._pending = True

    @contextmanager
    def held(self) -> Iterator[None]:
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt


def _event_codes() -> dict[str, int]:
    return {name: code for code, name in enumerate(rows.events())}


def _port(port: Any) -> int:
    try:
        number = index(port)
    except TypeError:
        raise TypeError(f"port must be an int, not {type(port).__name__}") from None
    if not 0 <= number < 1 << 32:
        raise ValueError(f"port must lie between 0 and {(1 << 32) - 1}, not {number}")
    return number


def _listed(paths: Any) -> list[Any]:
    """One path, or several, as a list."""
    if isinstance(paths, (str, os.PathLike)):
        return [paths]
    if isinstance(paths, bytes) or not isinstance(paths, Iterable):
        raise TypeError(f"paths must be a path or several of them, not {type(paths).__name__}")
    return list(paths)


def _opened(captures: Any, damages: list[Damage]) -> Iterator[Any]:
    """Each capture while it is open; one that cannot be opened is noted and passed over."""
    from fastpath.control.captures import Capture, CaptureError
    for path in captures.paths:
        try:
            capture = Capture(path, captures.bpf)
        except CaptureError as error:
            damages.append(Damage(path, None, str(error)))
            continue
        with capture:
            yield capture


def _fed(capture: Any, first: bool, damages: list[Damage]) -> bool:
    """Gives a capture what it waits for. A filter that does not fit its link type ends it, and the run if it is the first."""
    from fastpath.control.bpf import FilterError
    try:
        capture.more()
    except FilterError as error:
        if first:
            raise
        damages.append(Damage(capture.path, None, f"{capture.path}: {error}"))
        return False
    return True


def _only_runs(runs: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.empty(0, dtype) for name, dtype in rows.DTYPES.items()} | {"runs": runs, "app_bytes": b""}
