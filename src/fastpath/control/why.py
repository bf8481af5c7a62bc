"""Why a rule did or did not fire: a run of that rule alone, and of those that it depends on, with every step noted.

The trace (dataplane/match/trace.pyx) gives rows entry by entry. They are gathered into attempts: what became of the rule on one
packet, or on one transaction over all packets that it took. Of each flow the attempt that came furthest is kept, and every match.
"""
from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fastpath.control.columns import Captures, address_text
from fastpath.control.community_id import WITH_PORTS, identify
from fastpath.control.mask import Masker
from fastpath.dataplane import rows
from fastpath.dataplane.applayer.tables import APP_BUFFERS, PROTOCOL_NUMBERS
from fastpath.dataplane.match.trace import ENGINES, FATES, HEADER_PARTS, KINDS, Trace
from fastpath.rules import program as p
from fastpath.rules.compile import FastPattern, compile_blob, fast_patterns, merged
from fastpath.rules.leaks import finds_data
from fastpath.rules.plan import Block, Flowbits, Flowint, FlowvarIs, InDataset, Keep, RulePlan, Xbits
from fastpath.rules.shapes import Shape
from fastpath.rules.spelling import quoted, spelled

#: Matches of a flow that are told one by one; the rest are counted.
MATCHES = 20
#: Attempts of one flow that are open at a time: transactions that are not over.
OPEN = 64
#: Flows that are remembered. What ends a flow is told after it, so that all of a capture's wait for its end.
FLOWS = 200_000
NO_TX = 2**64 - 1
#: Protocols of rules that look at flows of any application.
ANY_PROTOCOL = frozenset(("ip", "tcp", "tcp-pkt", "tcp-stream", "pkthdr", "ipv4", "ipv6"))
STREAM = 0xffff     # BUFFER_STREAM of program.h

STAGES = ("header", "fast pattern", "condition", "step", "matched")


@dataclass(slots=True)
class Step:
    """One condition or step: what it asks, whether it holds, and, of a buffer, where it was looked for and what is there."""
    asks: str
    holds: bool
    start: int | None = None        # in the buffer; None where nothing was found
    end: int | None = None
    value: int | None = None        # the number that was read
    excerpt: bytes = b""
    excerpt_at: int = 0
    tries: int = 1


@dataclass(slots=True)
class Look:
    """Steps over one buffer, down to the first that failed."""
    buffer: str
    offset: int
    length: int
    state: str                      # holds, does not hold, cannot hold any more, not reached yet
    steps: list[Step] = field(default_factory=list)
    views: int = 1                  # instances of the buffer, or windows of it, that were tried; this one came furthest
    limit: bool = False             # a limit ended it


@dataclass(slots=True)
class Scan:
    """The fast pattern in a buffer: where it ends, None for not found."""
    buffer: str
    offset: int
    length: int
    end: int | None
    excerpt: bytes = b""
    excerpt_at: int = 0


@dataclass(slots=True)
class Attempt:
    """What became of the rule on a packet or a transaction."""
    ordinal: int                    # of the wire packet; 0 for the end of the flow
    capture: str
    pcap_cnt: int
    ts: int
    to_client: bool
    tx: int | None
    header: str                     # "" where it holds, else the part that fails
    group: int
    in_group: bool
    scans: list[Scan] = field(default_factory=list)
    confirmed: bool = False         # it was a candidate
    conditions: list[Step] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    matched: bool = False

    @property
    def stage(self) -> str:
        """How far it came: what failed, or "matched"."""
        if self.matched:
            return "matched"
        if self.header:
            return "header"
        if not self.confirmed:
            return "fast pattern"
        return "step" if all(step.holds for step in self.conditions) else "condition"

    @property
    def depth(self) -> tuple[int, ...]:
        """What came further is greater."""
        held = sum(step.holds for step in self.conditions) + sum(100 * (look.state == "holds") + sum(step.holds for step in look.steps)
                                                                 for look in self.looks)
        part = HEADER_PARTS.index(self.header) if self.header else 0
        return STAGES.index(self.stage), part, any(scan.end is not None for scan in self.scans), held, len(self.scans)


@dataclass(slots=True)
class Match:
    """One match, and what became of it."""
    capture: str
    pcap_cnt: int                   # 0 at the end of the flow
    ts: int
    tx: int | None
    fate: str


@dataclass(slots=True)
class FlowStory:
    """One flow: what matched, and the attempt that came furthest."""
    flow: int
    community_id: str = ""
    proto: int = 0
    src_ip: str = ""
    src_port: int = 0
    dest_ip: str = ""
    dest_port: int = 0
    app_proto: str = ""
    entries: int = 0
    matches: list[Match] = field(default_factory=list)
    match_count: int = 0
    best: Attempt | None = None

    @property
    def stage(self) -> str:
        return self.best.stage if self.best is not None else "header"


@dataclass(slots=True)
class Needed:
    """A rule that the rule depends on, and how often it matched."""
    gid: int
    sid: int
    msg: str
    matches: int


@dataclass(slots=True)
class Why:
    """The answer. near: flows in which the rule was confirmed on some packet or transaction, or, where there is none, those whose
    header it accepts; those that matched or came furthest first. far: of the others, how many flows failed at "fast pattern" or at
    which part of the header."""
    gid: int
    sid: int
    rev: int
    msg: str
    rule: str
    needs: list[Needed]             # rules that were run beside it
    pattern: str                    # the fast pattern, "" for none
    on_transactions: bool           # it looks at transactions, rather than packets
    limits: list[str]               # its thresholds
    near: list[FlowStory]
    far: dict[str, int]
    lost: int                       # rows without room; the answer may then lack something

    def as_dict(self) -> dict[str, Any]:
        """Plain values; bytes as hex."""
        made = asdict(self, dict_factory=_plain)
        for shown, story in zip(made["near"], self.near, strict=True):
            shown["stage"] = story.stage
        return made


def _plain(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in pairs}


# ---- which rules ----

def find_plan(rules: Any, sid: int, gid: int | None = None) -> RulePlan:
    """The rule; LookupError, with the reason, for one that was refused or is not there."""
    for plan in rules.plans:
        if plan.sid == sid and gid in (None, plan.gid):
            return plan     # type: ignore[no-any-return]
    for refusal in rules.refusals:
        if refusal.sid == sid:
            raise LookupError(f"rule {sid} was refused: {refusal.place}: {refusal.reason}")
    raise LookupError(f"no rule has the sid {sid}" + ("" if gid is None else f" and the gid {gid}"))


def _names(parts: Iterable[object]) -> set[tuple[str, str]]:
    """What flowbits, flowints, texts and xbits are named in these conditions or actions."""
    out: set[tuple[str, str]] = set()
    for part in parts:
        if isinstance(part, Flowbits):
            out |= {("flowbits", name) for name in part.names}
        elif isinstance(part, FlowvarIs | Keep):
            out.add(("texts", part.name))
        elif isinstance(part, Flowint | Xbits):
            out.add((type(part).__name__, part.name))
            if isinstance(part, Flowint) and isinstance(part.value, str):
                out.add(("Flowint", part.value))
    return out


def _sets(plan: RulePlan, changed: bool = False) -> set[tuple[str, str]]:
    """The data sets that a rule asks or, `changed`, changes."""
    return {("dataset", step.dataset.name) for block in plan.blocks for step in block.steps
            if isinstance(step, InDataset) and (step.change or not changed)}


def needed(plan: RulePlan, plans: Sequence[RulePlan], acts: bool) -> list[RulePlan]:
    """The rule, those that change what it reads, those that change what these read, and so on; and those that let pass (and,
    where rules act, that drop), in the order of loading."""
    wanted, chosen = _names((*plan.conditions, *plan.after)) | _sets(plan), {id(plan)}
    stops = {"pass", *(("drop", "reject", "rejectsrc", "rejectdst", "rejectboth") if acts else ())}
    setters = [(each, _names(each.after) | _sets(each, True)) for each in plans if each.after or _sets(each, True)]
    chosen |= {id(each) for each in plans if each.action in stops}
    for each in plans:
        if id(each) in chosen:
            wanted |= _names(each.conditions) | _sets(each)
    grown = True
    while grown:
        grown = False
        for each, changes in setters:
            if id(each) not in chosen and changes & wanted:
                chosen.add(id(each))
                wanted |= _names(each.conditions) | _sets(each)
                grown = True
    return [each for each in plans if id(each) in chosen]


# ---- what a blob says of the rule ----

_BUFFERS = ({number: name for name, number in p.BUFFERS.items()} | {number: name for name, (number, _) in APP_BUFFERS.items()}
            | {STREAM: "raw stream"})


def _section(blob: bytes, name: str) -> np.ndarray:
    table = np.frombuffer(blob, p.SECTION, len(p.SECTIONS), p.HEADER.itemsize)[p.SECTIONS.index(name)]
    return np.frombuffer(blob, p.WIDTHS[name], int(table["count"]), int(table["offset"]))


def _groups_with(blob: bytes, compiled: set[int]) -> set[int]:
    """The groups in which these rules are."""
    lists, patterns = _section(blob, "LISTS"), _section(blob, "PATTERNS")

    def has(span: Any) -> bool:
        first, count = int(span["first"]), int(span["count"])
        return not compiled.isdisjoint(lists[first:first + count].tolist())

    def finds(found: Any) -> bool:
        first, count = int(found["patterns"]["first"]), int(found["patterns"]["count"])
        return any(has(span) for span in patterns[first:first + count])
    return {i for i, group in enumerate(_section(blob, "GROUPS"))
            if any(has(group[name]) for name in ("bare", "marked", "payload", "event")) or finds(group["packet"]) or finds(group["stream"])}


# ---- from rows to attempts ----

class Gatherer:
    """Takes rows and keeps the story of each flow."""

    def __init__(self, blob: bytes, plan: int, origins: dict[int, object], captures: Captures):
        self.captures, self.origins = captures, origins
        rules = _section(blob, "RULES")
        mine = {i for i, rule in enumerate(rules) if rule["plan"] == plan}
        self.in_transactions = any(int(rules[i]["engine_count"]) for i in mine)
        self.groups = _groups_with(blob, mine)
        self.ops = {op for i in mine for op in self._program(blob, int(rules[i]["ops"]))}
        self.engines = {}
        for i in mine:
            for at in range(int(rules[i]["engines"]), int(rules[i]["engines"]) + int(rules[i]["engine_count"])):
                self.engines[at] = _section(blob, "ENGINES")[at]
                if self.engines[at]["kind"] != p.ENGINE_EVENT:
                    self.ops |= set(self._span_of(int(self.engines[at]["block"])))
        self.watched = {int(one["buffer"]) for one in self.engines.values()
                        if one["flags"] & p.ENGINE_FAST and one["kind"] == p.ENGINE_BUFFER}
        if self.groups:
            self.watched |= {p.BUFFERS["payload"], STREAM}
        self.stories: dict[int, FlowStory] = {}
        self.open: OrderedDict[tuple[int, int, bool], Attempt] = OrderedDict()
        self.attempt: Attempt | None = None     # at work
        self.look: Look | None = None
        self._reset(None)

    def _program(self, blob: bytes, at: int) -> Iterator[int]:
        """The ops of the conditions and blocks of a program."""
        codes = _section(blob, "OPS").view("u2").reshape(-1, 16)[:, 0]
        while codes[at] != p.OP_MATCH:
            if codes[at] == p.OP_BLOCK:
                yield from self._span_of(at)
                at += len(self._steps_of(at)) + 2
            else:
                yield at
                at += 1

    def _steps_of(self, at: int) -> list[Any]:
        block = self.origins[at]
        assert isinstance(block, Block)
        return block.steps

    def _span_of(self, at: int) -> range:
        return range(at, at + len(self._steps_of(at)) + 1)

    def _reset(self, entry: Any) -> None:
        self.entry = entry
        self.header = ""
        self.headers_seen = 0
        self.look = self.attempt = None

    def take(self, taken: np.ndarray) -> None:
        for row in taken:
            getattr(self, f"_{KINDS[row['kind']]}")(row)

    # one method a kind of row

    def _entry(self, row: Any) -> None:
        self._close_packet()
        self._reset(row)
        story = self._story(int(row["flow"]))
        if story is not None:
            story.entries += 1

    def _header(self, row: Any) -> None:
        """One a direction of the rule; the better one counts."""
        part = "" if row["holds"] else HEADER_PARTS[row["op"]]
        if not self.headers_seen or part == "" or self.header and HEADER_PARTS.index(part) > HEADER_PARTS.index(self.header):
            self.header = part
        self.headers_seen += 1
        self.attempt = self._begin(NO_TX)

    def _scan(self, row: Any) -> None:
        self.scanning = int(row["buffer"]) in self.watched
        if not self.scanning:       # for other rules
            return
        attempt = self._at(row)
        attempt.scans.append(Scan(_BUFFERS.get(int(row["buffer"]), "?"), int(row["offset"]), int(row["length"]), None))
        del attempt.scans[:-OPEN]

    def _pattern(self, row: Any) -> None:
        scans = self._at(row).scans
        if scans and self.scanning:
            scans[-1].end, scans[-1].excerpt, scans[-1].excerpt_at = int(row["end"]), _excerpt(row), int(row["excerpt_at"])

    def _candidate(self, row: Any) -> None:
        self._at(row).confirmed = True

    def _condition(self, row: Any) -> None:
        if int(row["op"]) not in self.ops:
            return
        attempt = self._at(row)
        step = Step(spelled(self.origins[int(row["op"])]), bool(row["holds"]), value=int(row["value"]) if row["length"] else None)
        attempt.confirmed = True
        attempt.conditions = [one for one in attempt.conditions if one.asks != step.asks] + [step]
        self.look = None

    def _block(self, row: Any) -> None:
        self._close_look()
        if int(row["op"]) not in self.ops:
            self.look = None
            return
        block = self.origins[int(row["op"])]
        assert isinstance(block, Block)
        self.look = Look(_called(block), int(row["offset"]), int(row["length"]), "does not hold")
        self.look_rows: list[Any] = []
        self.look_first, self.look_count, self.look_attempt = int(row["op"]) + 1, len(block.steps), self._at(row)
        self.look_attempt.confirmed = True

    def _step(self, row: Any) -> None:
        if self.look is not None and self.look_first <= row["op"] < self.look_first + self.look_count:
            self.look_rows.append(row)
            if len(self.look_rows) > 100_000:       # a long way back and forth: what came last will do
                del self.look_rows[:50_000]

    def _limit(self, row: Any) -> None:
        if self.look is not None:
            self.look.limit = True

    def _engine(self, row: Any) -> None:
        self._close_look()
        engine = self.engines.get(int(row["op"]))
        if engine is None:
            return
        attempt, state = self._at(row), ENGINES[row["holds"]]
        attempt.confirmed = True
        if engine["kind"] == p.ENGINE_EVENT:
            name, looks = "events of the transaction", [look for look in attempt.looks if look.buffer == "events of the transaction"]
        else:
            block = self.origins[int(engine["block"])]
            assert isinstance(block, Block)
            name = _called(block)
            looks = [look for look in attempt.looks if look.buffer == name]
        if not looks:
            looks = [Look(name, 0, 0, state)]
            attempt.looks += looks
        looks[-1].state = state

    def _match(self, row: Any) -> None:
        self._close_look()
        attempt = self._at(row)
        attempt.matched = True
        for look in attempt.looks if attempt.tx is None else ():
            look.state = "holds"

    def _fate(self, row: Any) -> None:
        story = self._story(int(row["flow"]))
        if story is not None:
            story.match_count += 1
            if len(story.matches) < MATCHES:
                name, number = self._place(row)
                story.matches.append(Match(name, number, int(row["ts"]), _tx(row), FATES[row["holds"]]))

    # what they have in common

    def _story(self, flow: int) -> FlowStory | None:
        story = self.stories.get(flow)
        if story is None and len(self.stories) < FLOWS:
            story = self.stories[flow] = FlowStory(flow)
        return story

    def _place(self, row: Any) -> tuple[str, int]:
        found = self.captures.of(int(row["ordinal"]))
        return (found[0].name, found[1]) if found is not None else (self.captures.all[-1].name, 0)

    def _begin(self, tx: int) -> Attempt:
        row = self.entry
        name, number = self._place(row)
        return Attempt(int(row["ordinal"]), name, number, int(row["ts"]), bool(row["to_client"]), None if tx == NO_TX else tx, self.header,
                       int(row["value"]), int(row["value"]) in self.groups)

    def _at(self, row: Any) -> Attempt:
        """The attempt that a row belongs to: of the packet, or of its transaction, wherever that began."""
        if row["tx"] == NO_TX:
            if self.attempt is None:
                self.attempt = self._begin(NO_TX)
            return self.attempt
        key = int(row["flow"]), int(row["tx"]), bool(row["to_client"])
        found = self.open.pop(key, None)
        if found is None:
            found = self._begin(int(row["tx"]))
            if len(self.open) >= OPEN:
                (flow, _, _), oldest = self.open.popitem(last=False)
                self._settle(flow, oldest)
        self.open[key] = found
        if not found.matched:       # the packet that it came furthest with
            found.ordinal, found.ts = int(row["ordinal"]), int(row["ts"])
            found.capture, found.pcap_cnt = self._place(row)
        return found

    def _close_look(self) -> None:
        """The deepest way through a block, down to where it ended."""
        look = self.look
        if look is None:
            return
        self.look = None
        deepest = max((int(row["op"]) for row in self.look_rows), default=self.look_first)
        tries = Counter(int(row["op"]) for row in self.look_rows)
        latest: dict[int, Any] = {}
        for row in self.look_rows:
            latest[int(row["op"])] = row
            if row["op"] == deepest:
                way = dict(latest)
        look.steps = [_step_of(way[op], self.origins[op], tries[op]) for op in sorted(way)] if self.look_rows else []
        whole = len(look.steps) == self.look_count and all(step.holds for step in look.steps)
        look.state = "holds" if whole and not look.limit else "does not hold"
        looks = self.look_attempt.looks
        for i, other in enumerate(looks):
            if other.buffer == look.buffer:
                look.views = other.views + 1
                if _got(other) > _got(look):
                    other.views = look.views
                else:
                    looks[i] = look
                return
        looks.append(look)

    def _close_packet(self) -> None:
        """What was of the packet alone is over."""
        self._close_look()
        if self.attempt is not None:
            self._settle(int(self.entry["flow"]), self.attempt)

    def _settle(self, flow: int, attempt: Attempt) -> None:
        story = self._story(flow)
        if story is not None and (story.best is None or attempt.depth > story.best.depth):
            story.best = attempt

    def finish(self) -> None:
        self._close_packet()
        self._reset(None)
        for (flow, _, _), attempt in self.open.items():
            self._settle(flow, attempt)
        self.open.clear()

    def name_flows(self, ended: np.ndarray) -> None:
        """Gives flows that have ended their addresses."""
        protocols = {number: name for name, number in PROTOCOL_NUMBERS.items()}
        for row in ended:
            story = self.stories.get(int(row["flow"]))
            if story is not None:
                _name(story, row["key"], bool(row["flags"] & rows.FLOW_REVERSED))
                story.app_proto = protocols.get(int(row["app_proto"][0]), "")


def _name(story: FlowStory, key: Any, second: bool) -> None:
    net, proto = int(key["net"]), int(key["proto"])
    size = 4 if net == rows.NET_IPV4 else 16
    raw, ports = [one.tobytes() for one in key["addr"]], key["port"].tolist()
    source, other = (1, 0) if second else (0, 1)
    story.proto = proto
    story.src_ip, story.dest_ip = address_text(net, raw[source]), address_text(net, raw[other])
    story.src_port, story.dest_port = ports[source], ports[other]
    first, last = ports if proto in WITH_PORTS else (None, None)
    story.community_id = identify(raw[0][:size], raw[1][:size], proto, first, last)


def _tx(row: Any) -> int | None:
    return None if row["tx"] == NO_TX else int(row["tx"])


def _excerpt(row: Any) -> bytes:
    return row["excerpt"].tobytes()[:int(row["excerpt_length"])]      # type: ignore[no-any-return]


def _called(block: Block) -> str:
    return block.buffer + "".join(f" | {each.name}" for each in block.transforms)


def _step_of(row: Any, origin: object, tries: int) -> Step:
    start, end = int(row["start"]), int(row["end"])
    found = start != p.NOTHING
    asks = spelled(origin)
    value = int(row["value"]) if asks.startswith("byte_") and found else None
    return Step(asks, bool(row["holds"]), start if found else None, end if found else None, value, _excerpt(row),
                int(row["excerpt_at"]), tries)


def _got(look: Look) -> tuple[bool, int]:
    return look.state == "holds", sum(step.holds for step in look.steps)


# ---- the run ----

def explain(rules: Any, settings: dict[str, Any], step_limit: int, paths: Sequence[Any], sid: int, *, gid: int | None = None,
            flow: str | None = None, bpf: str | None = None, continuous: bool = False, beyond: tuple[Any, ...] | None = None) -> Why:
    """Runs the captures through the rule. settings: of a DataPlane. beyond: what it looks at beyond Suricata. flow: the community ID of the only flow that is asked for; it is
    told of even where the header of the rule does not hold. Raises LookupError for a rule that is not loaded, OSError for a capture
    that cannot be opened, and ValueError for standard input, which is read only once."""
    from fastpath._core import DataPlane
    from fastpath.control.captures import open_captures
    from fastpath.dataplane.match.database import Database
    if "-" in map(str, paths):
        raise ValueError("standard input cannot be read a second time: name a file")
    plan = find_plan(rules, sid, gid)
    chosen = needed(plan, rules.plans, settings["mode"] == "ips")
    at = next(i for i, each in enumerate(chosen) if each is plan)
    origins: dict[int, object] = {}
    priorities = {name: priority for name, (_, priority) in rules.classifications.items()}
    blob, names, _ = compile_blob(chosen, {name: code for code, name in enumerate(rows.events())},
                               {"priorities": priorities, "step_limit": step_limit, "origins": origins})
    database = Database(blob, names=names)
    trace = Trace(database, at)
    plane = DataPlane(settings | {"workers": 1, "keep_packets": False, "keep_apps": False, "keep_llm": False, "keep_bytes": ()})
    captures = Captures()
    gatherer = Gatherer(blob, at, origins, captures)

    def taken() -> None:
        gatherer.take(trace.take())
        plane.kept()
        gatherer.name_flows(plane.rows()["flows"])

    def flushed() -> None:
        more = True
        while more:
            more = plane.flush()
            taken()
    try:
        plane.load(database)
        if beyond is not None:
            plane.look_beyond(*beyond)
        plane.trace(trace)
        opened = open_captures(paths, bpf)
        _run(plane, opened, captures, taken, flushed, continuous)
        matches = plane.stats()["rules"][2].tolist()
    finally:
        plane.close()
    gatherer.finish()
    why = _told(plan, chosen, matches, gatherer, flow, trace.lost)
    _mask(why, plan, Masker.of([rules]))
    return why


def _mask(why: Why, plan: RulePlan, masker: Masker | None) -> None:
    """No excerpt shows what a rule finds of data; of such a rule itself none shows anything."""
    if masker is None:
        return
    hidden = finds_data(plan.metadata)
    protocol = next(iter(masker.protocols), "") if plan.proto in ANY_PROTOCOL else plan.app_proto or plan.proto
    for story in why.near:
        if story.best is None:
            continue
        steps = [*story.best.conditions, *(step for look in story.best.looks for step in look.steps)]
        for one in (*story.best.scans, *steps):
            one.excerpt = b"*" * len(one.excerpt) if hidden else masker.payload(one.excerpt, protocol)
        for step in steps if hidden else ():
            step.value = None


def _run(plane: Any, opened: Any, captures: Captures, taken: Any, flushed: Any, continuous: bool) -> None:
    """The captures, burst by burst: a trace has room for so much."""
    from fastpath.control.side import walk

    def begin(capture: Any) -> Callable[[], bool]:
        plane.begin_capture()
        captures.begin(capture.path, plane.next_ordinal)
        return lambda: bool(plane.step(capture.source, 1))
    for _ in walk(opened, [], begin, None if continuous else flushed):
        taken()
    flushed()


def _pattern_spelled(pattern: FastPattern) -> str:
    if isinstance(pattern, Shape):
        return f"the shape /{pattern}/"
    return quoted(pattern.text) + (" nocase" if pattern.nocase else "")


def _told(plan: RulePlan, chosen: Sequence[RulePlan], matches: Sequence[int], gatherer: Gatherer, flow: str | None, lost: int) -> Why:
    blocks = merged(plan.blocks)
    _, patterns = fast_patterns(plan, [block for block in blocks if not gatherer.in_transactions or block.buffer in (*APP_BUFFERS, "payload")])
    stories = [story for story in gatherer.stories.values() if story.best is not None and flow in (None, story.community_id)]
    near = [story for story in stories if flow is not None or story.stage not in ("header", "fast pattern")]
    near = near or [story for story in stories if story.stage == "fast pattern"]
    told = {id(story) for story in near}
    far = Counter(story.stage if story.stage != "header" else story.best.header     # type: ignore[union-attr]
                  for story in stories if id(story) not in told)
    near.sort(key=lambda story: (-any(match.fate == FATES[0] for match in story.matches), -bool(story.match_count),
                                 [-each for each in story.best.depth], story.best.ordinal))    # type: ignore[union-attr]
    return Why(plan.gid, plan.sid, plan.rev, plan.msg, plan.text,
               [Needed(each.gid, each.sid, each.msg, matches[i]) for i, each in enumerate(chosen) if each is not plan],
               " or ".join(map(_pattern_spelled, patterns)),
               gatherer.in_transactions and not gatherer.groups,
               [spelled(each) for each in (plan.threshold, plan.detection_filter) if each is not None]
               + [f"suppress:track {each.track}" for each in plan.suppressions] + ["noalert"] * plan.noalert,
               near, dict(far.most_common()), lost)
