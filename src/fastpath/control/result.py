"""What comes out of a run: rows batch by batch to sinks, and at its end a Result."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastpath.control import packets as packets_of
from fastpath.control import signatures as signatures_of
from fastpath.control.bindings import Bindings
from fastpath.control.columns import Capture, Captures, Columns
from fastpath.control.datasets import SavedSets
from fastpath.control.digest import Digest
from fastpath.control.inventory import Inventory, Item
from fastpath.control.llm import Talker, Talkers
from fastpath.control.models import Model, Models
from fastpath.control.policy.judge import Judge, Judges
from fastpath.control.replies import Reply, replies_to
from fastpath.control.response import Responses
from fastpath.control.signatures import Signatures
from fastpath.control.told import told
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.policy import Policy
    from fastpath.control.reload import Order
    from fastpath.control.why import Why

APP_ROW_FILE = 1        # enum app_row_kind
KINDS = ("alerts", "flows", "events", "packets")
#: Rows of one kind that a Result holds at most, unless told otherwise.
KEPT = 1_000_000


class Action(IntEnum):
    """What happens to a packet, by rising severity."""
    PASS = 0
    DROP = 1
    REJECT = 2
    REJECT_DST = 3
    REJECT_BOTH = 4


@dataclass(frozen=True, slots=True)
class Damage:
    """A capture that could not be read to its end: where it broke (offset in bytes, None if it could not be opened) and why."""
    name: str
    offset: int | None
    reason: str

    def __str__(self) -> str:
        return self.reason if self.offset is None else f"{self.name}: {self.reason} at byte {self.offset}"


@dataclass(slots=True)
class Batch:
    """Rows that retired together, in global order. `rows` maps "alerts", "flows", "events", "runs" and "packets" to structured
    arrays (fastpath.dataplane.rows) whose rule field counts within `signatures`; `capture` is the one being read; `kept` holds the
    packets whose bytes a sink wanted (outputs/pcapng.py); `port` is that of a call of inspect; `orders`: what the control plane did
    since the batch before."""
    rows: dict[str, np.ndarray]
    signatures: Signatures
    captures: Captures
    capture: Capture | None
    kept: bytes = b""
    port: int | None = None
    orders: Sequence[Order] = ()
    judges: Judges = field(default_factory=Judges)
    names: Sequence[str] = ()       # of bits, numbers and texts that rules keep, by number
    stored_before: int = 0          # files, before the first of this batch
    bindings: Bindings = field(default_factory=Bindings)

    def columns(self, kind: str) -> Columns:
        return Columns(kind, [self.rows[kind]], self.signatures, self.captures, self.port)


class Sink(Protocol):
    """Where rows go while a run goes on. It may say in `wants` that it needs rows of "packets", of "apps", of talk with models ("llm"), of "vars" beside flows, the bytes of "files" that are stored, the "log" of
    every entry (dataplane/log.pxd: with one worker over one bucket), the bytes of packets that "alerted" or were "dropped", or the "payloads" that alerts are about (with `payload_size`, most bytes of a stream)."""
    wants: frozenset[str]

    def write(self, batch: Batch) -> None:
        """Takes the next batch."""

    def close(self, stats: dict[str, Any]) -> None:
        """The run is over; these are its statistics. Called once, after an interruption too."""


@dataclass(slots=True)
class Run:
    """The side of a run that takes rows: digest, counts, sinks and what is kept."""
    keep: frozenset[str]
    limit: int
    sinks: Sequence[Sink]
    signatures: Signatures = field(default_factory=Signatures)
    captures: Captures = field(default_factory=Captures)    # with the run's anonymiser
    capture: Capture | None = None
    digest: Digest | None = field(default_factory=Digest)
    kept: dict[str, list[np.ndarray]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    verdicts: dict[tuple[str, str], int] = field(default_factory=dict)
    matches: dict[int, int] = field(default_factory=dict)
    held: list[np.ndarray] = field(default_factory=list)    # the rules of alerts taken alone, to be counted with the next rows
    orders: list[Order] = field(default_factory=list)       # that wait for the next batch
    costs: list[tuple[int, np.ndarray]] = field(default_factory=list)      # of rule sets before the present one: base, DataPlane.rule_costs()
    inventory: Inventory = field(default_factory=Inventory)
    bindings: Bindings = field(default_factory=Bindings)
    roce: list[dict[str, Any]] = field(default_factory=list)    # at the end of a replay
    talkers: Talkers = field(default_factory=Talkers)
    models: Models = field(default_factory=Models)
    responses: Responses = field(default_factory=Responses)
    record: Callable[[Order], None] = lambda order: None        # who else is told what rules ordered
    base: int = 0               # of the present rule set's indices
    settings: dict[str, Any] = field(default_factory=dict)  # of the data plane, over those of the engine
    judges: Judges = field(default_factory=Judges)
    names: Sequence[str] = ()       # of bits, numbers and texts that rules keep, by number
    sets: SavedSets = field(default_factory=SavedSets)
    stored: int = 0             # files

    @property
    def wants_files(self) -> bool:
        return any("files" in sink.wants for sink in self.sinks)

    @property
    def wants_vars(self) -> bool:
        return any("vars" in sink.wants for sink in self.sinks)

    @property
    def wants_apps(self) -> bool:
        return any("apps" in sink.wants for sink in self.sinks)

    @property
    def wants_llm(self) -> bool:
        return any("llm" in sink.wants for sink in self.sinks)

    @property
    def wants_payloads(self) -> bool:
        return any("payloads" in sink.wants for sink in self.sinks)

    @property
    def payload_size(self) -> int:
        """Most bytes of a stream that an alert shows."""
        return max((getattr(sink, "payload_size", 0) for sink in self.sinks), default=0)

    @property
    def wants_log(self) -> bool:
        return any("log" in sink.wants for sink in self.sinks)

    @property
    def policy(self) -> Policy | None:
        """The one in force last."""
        return self.judges.latest.policy if self.judges.latest is not None else None

    @property
    def wants_packets(self) -> bool:
        return "packets" in self.keep or any("packets" in sink.wants for sink in self.sinks)

    @property
    def wants_bytes(self) -> frozenset[str]:
        """Of which packets a sink wants the bytes."""
        return frozenset(want for sink in self.sinks for want in sink.wants) & {"alerted", "dropped"}

    def use(self, rules: Any, first_ordinal: int) -> None:
        """This rule set holds from that packet on."""
        if self.digest is not None:
            self.digest.rules(first_ordinal, signatures_of.identity(rules))
        if rules is not None:
            self.base = self.signatures.extend(rules)

    def alerted(self) -> Counter[int]:
        """Alerts by rule so far, those too that have not been counted with their rows."""
        counts = Counter(self.matches)
        for held in tuple(self.held):
            counts.update(held.tolist())
        return counts

    def settle_rules(self, costs: np.ndarray | None) -> None:
        """The present rule set is about to give way: this is what its rules have cost."""
        if costs is not None:
            self.costs.append((self.base, costs))

    def note(self, order: Order) -> None:
        """The control plane has done something: sinks are told with the next rows."""
        self.orders.append(order)

    def judge(self, judge: Judge | None, plane: Any) -> None:
        """This policy holds from the next packet on."""
        if judge is not self.judges.latest:
            self.count_policy(plane)
            epoch = plane.load_policy(judge.classifier if judge is not None else None)
            self.judges.add(judge, epoch)
            if self.digest is not None:
                self.digest.policy(plane.next_ordinal, judge.policy.identity if judge is not None else b"")
        if self.judges.any:
            plane.find_data(judge.data if judge is not None else None)

    def count_policy(self, plane: Any) -> None:
        """Takes the counters of the policy in force."""
        self.judges.count(plane.policy_counts())

    def hold(self, alerts: np.ndarray) -> np.ndarray:
        """Alerts taken alone, as DataPlane.alerts() gives them: a batch of inspect is small, and to count what it brought would
        cost more than inspecting it. They are counted with the next rows."""
        self._respond(alerts)
        self._map({"alerts": alerts})
        if self.base:
            alerts["rule"] += self.base
        alerts = self._noted(alerts)
        self.held.append(alerts["rule"].copy())
        return alerts

    def take(self, taken: dict[str, np.ndarray], kept: bytes = b"") -> Batch:
        """The next rows, as DataPlane.rows() and .kept() give them."""
        self._respond(taken["alerts"])
        self._map(taken)
        if self.digest is not None:
            self.digest.add(taken)
        if self.base:
            for kind in ("alerts", "flows", "runs", "packets"):
                rule = taken[kind]["rule"]
                of_rules = rule != rows.NO_RULE
                if kind in ("runs", "packets"):
                    of_rules &= taken[kind]["reason"] != rows.REASON_POLICY
                rule[of_rules] += self.base
        taken["alerts"] = self._noted(taken["alerts"])
        self.inventory.count(taken["flows"])
        self.inventory.take(taken["apps"], taken.get("app_bytes", b""), self.signatures, self.base)    # type: ignore[arg-type]
        self.talkers.take(taken["apps"], taken.get("app_bytes", b""))
        if len(taken["apps"]):
            self.models.take(taken["apps"], taken["app_bytes"])    # type: ignore[arg-type]
        self.judges.take(taken["denials"])
        self.bindings.take(taken["bindings"])
        orders, self.orders = self.orders, []
        batch = Batch(taken, self.signatures, self.captures, self.capture, kept, judges=self.judges, orders=orders,
                      names=self.names, stored_before=self.stored, bindings=self.bindings)
        self.stored += int(((taken["apps"]["kind"] == APP_ROW_FILE) & (taken["apps"]["code"] != 0)).sum())
        self._count(taken)
        for kind in self.keep:
            room = self.limit - sum(map(len, self.kept[kind]))
            if room > 0 and len(taken[kind]):
                self.kept[kind].append(taken[kind][:room])
        for sink in self.sinks:
            sink.write(batch)
        return batch

    def _respond(self, alerts: np.ndarray) -> None:
        """What rules have isolated, before addresses become pseudonyms: orders have a treatment of their own."""
        for order in self.responses.orders(alerts, self.base, self.signatures):
            self.orders.append(order)
            self.record(order)

    def _map(self, taken: dict[str, np.ndarray]) -> None:
        """Before anything is made of rows: pseudonyms in the place of addresses, where that is asked for."""
        if self.captures.anonymiser is not None:
            self.captures.anonymiser.rows(taken)

    def _noted(self, alerts: np.ndarray) -> np.ndarray:
        """The alerts among these rows; the others are notes, which go into the inventory."""
        if not self.signatures.notes or not len(alerts):
            return alerts
        noted = self.signatures.note[self.signatures.at(alerts["rule"])] != 0
        if noted.any():
            self.inventory.note(alerts[noted], self.signatures)
            alerts = alerts[~noted]
        return alerts

    def _count(self, taken: dict[str, np.ndarray]) -> None:
        alerted = [*self.held, taken["alerts"]["rule"]]
        self.held.clear()
        for kind in KINDS:
            self.counts[kind] += len(taken[kind])
        self.counts["alerts"] += sum(map(len, alerted[:-1]))
        if len(taken["runs"]):
            reasons = rows.reasons()
            for packets, action, reason in taken["runs"][["packets", "action", "reason"]].tolist():
                key = (rows.ACTIONS[action], reasons[reason])
                self.verdicts[key] = self.verdicts.get(key, 0) + packets
        for rule, count in Counter(np.concatenate(alerted).tolist()).items():
            self.matches[rule] = self.matches.get(rule, 0) + count

    def columns(self, kind: str) -> Columns:
        return Columns(kind, self.kept[kind], self.signatures, self.captures)


class Result:
    """The outcome of a replay.

    alerts, flows, events, packets: Columns (numpy by name, dicts by iteration, Arrow through `__arrow_c_stream__`), as far as
    they were kept: asking for what was not is a LookupError. stats: a plain dict. digest: "v1:" and hex. partial: the run was
    interrupted; everything inspected until then is in here. truncated: kind -> rows beyond the limit that are not held.
    damages: captures that broke off. ask: what `why` asks, set by the engine.
    """
    ask: Callable[..., Why]

    def __init__(self, run: Run, stats: dict[str, Any], partial: bool, damages: list[Damage]):
        self._run = run
        self.stats = stats
        self.digest = run.digest.value() if run.digest is not None else ""
        self.partial = partial
        self.damages = damages
        self.captures = [capture.name for capture in run.captures.all]
        self.truncated = {kind: over for kind in run.keep
                          if (over := run.counts[kind] - sum(map(len, run.kept[kind]))) > 0}

    def _columns(self, kind: str) -> Columns:
        if kind not in self._run.keep:
            raise LookupError(f"{kind} were not kept: ask for them with keep=({kind!r}, ...)")
        return self._run.columns(kind)

    def why(self, sid: int, *, gid: int | None = None, flow: str | None = None) -> Why:
        """Why a rule did or did not fire: see Engine.why. The captures are read once more."""
        return self.ask(sid, gid=gid, flow=flow)

    def _told(self, what: str, items: list[Any]) -> Any:
        """What a run lists, as it may be told."""
        return told(self._run, items, what)

    @property
    def inventory(self) -> list[Item]:
        """What rules with `inventory` have found, most bytes first: see inventory.Item."""
        return self._told("inventory", self._run.inventory.items(self._run.policy))     # type: ignore[no-any-return]

    @property
    def roce(self) -> list[dict[str, Any]]:
        """RoCEv2 by queue pair, most bytes first, where a pack, the policy or a manifest of hardware had it looked at: address and number
        of the pair written to, partition (key), transports, packets, bytes, opcodes (packets by class), segment (tenant; or vni, vlan) in
        which it was seen first, elsewhere and foreign (another one, packets there), first and last (ns)."""
        return self._told("roce", self._run.roce)       # type: ignore[no-any-return]

    @property
    def llm(self) -> list[Talker]:
        """Who talked to language models, most prompt bytes first, where rules look at that or EVE events `llm` are written."""
        return self._told("llm", self._run.talkers.top())       # type: ignore[no-any-return]

    @property
    def models(self) -> list[Model]:
        """The model files that were seen, in order: see models.Model. They are looked for where a rule asks file.model or
        file.model_unsafe, or the engine was made with models=True."""
        return self._told("models", self._run.models.items)     # type: ignore[no-any-return]

    @property
    def alerts(self) -> Columns:
        return self._columns("alerts")

    @property
    def flows(self) -> Columns:
        return self._columns("flows")

    @property
    def events(self) -> Columns:
        return self._columns("events")

    @property
    def packets(self) -> Columns:
        return self._columns("packets")

    def __repr__(self) -> str:
        counts = self._run.counts
        return (f"<Result{' (partial)' if self.partial else ''}: {self.stats['packets']} packets, {counts['alerts']} alerts, "
                f"{counts['flows']} flows, {self.digest}>")


#: Why a packet has its verdict: NONE, RULE, POLICY, FLOW_MEMCAP and so on; the texts are `Verdicts.reasons`.
Reason = IntEnum("Reason", {text.upper().replace(": ", "_").replace(" ", "_"): number for number, text in enumerate(rows.reasons())})  # type: ignore[misc]


class Verdicts:
    """The verdicts of one call of `inspect`: numpy arrays, one element a packet, in order.

    action: compare with Action. reason: compare with Reason; index into `reasons`. rule: the sid that decided, -1 for none. line: the
    line of the policy that did. flow: the id of the
    flow, 0 for none. raised: alerts by packet, at most 255 counted. alerts: the alerts themselves, as Columns; batch: the same
    as a Batch, for a sink such as outputs.eve.EveWriter. replies: resets and ICMP errors to send for rejects. `array` is the structured array (fastpath.dataplane.rows.VERDICT).
    """

    __slots__ = ("_alerts", "_linktype", "_packets", "_port", "_run", "array")

    def __init__(self, array: np.ndarray, run: Run, alerts: np.ndarray | None, packets: packets_of.PacketBatch, linktype: int,
                 port: int | None = None):
        self.array = array
        self._run = run
        self._alerts = alerts
        self._packets = packets
        self._linktype = linktype
        self._port = port

    def __len__(self) -> int:
        return len(self.array)

    @property
    def action(self) -> np.ndarray:
        return self.array["action"]

    @property
    def reason(self) -> np.ndarray:
        return self.array["reason"]

    @property
    def reasons(self) -> tuple[str, ...]:
        return rows.reasons()

    @property
    def rule(self) -> np.ndarray:
        rule = self.array["rule"]
        signatures = self._run.signatures
        none = (rule == rows.NO_RULE) | (self.array["reason"] == rows.REASON_POLICY)
        return np.where(none, -1, signatures.sid[signatures.at(np.where(none, rows.NO_RULE, rule))].astype("i8"))

    @property
    def line(self) -> np.ndarray:
        """The line of the policy that denied, -1 for none: the default, or another reason."""
        rule = self.array["rule"]
        return np.where((rule != rows.NO_RULE) & (self.array["reason"] == rows.REASON_POLICY), rule.astype("i8"), -1)

    @property
    def flow(self) -> np.ndarray:
        anonymiser = self._run.captures.anonymiser
        return self.array["flow"] if anonymiser is None else anonymiser.flows(self.array["flow"])

    @property
    def alerts(self) -> Columns:
        return self.batch.columns("alerts")

    @property
    def batch(self) -> Batch:
        taken = {kind: np.empty(0, dtype) for kind, dtype in rows.DTYPES.items()}
        if self._alerts is not None:
            taken["alerts"] = self._alerts
        return Batch(taken, self._run.signatures, self._run.captures, None, port=self._port, bindings=self._run.bindings)

    @property
    def raised(self) -> np.ndarray:
        return self.array["alerts"]

    @property
    def replies(self) -> list[Reply]:
        """Made when asked for, from the packets of the batch: read it before the buffer is used again."""
        made: list[Reply] = []
        for index in np.flatnonzero(self.array["action"] >= Action.REJECT).tolist():
            action = self.array["action"][index]
            made += replies_to(self._packets.packet(index), index, self._linktype, to_src=action != Action.REJECT_DST,
                               to_dst=action != Action.REJECT)
        return made

    def __repr__(self) -> str:
        counts = np.bincount(self.array["action"], minlength=len(Action))
        return f"<Verdicts of {len(self)}: {', '.join(f'{n} {a.name}' for a, n in zip(Action, counts, strict=False) if n)}>"


def check_keep(keep: Iterable[str]) -> frozenset[str]:
    if isinstance(keep, str):
        raise TypeError("keep must be a collection of names, not a string")
    unknown = set(keep) - set(KINDS)
    if unknown:
        raise ValueError(f"keep names {', '.join(sorted(map(repr, unknown)))}; there are {', '.join(KINDS)}")
    return frozenset(keep)
