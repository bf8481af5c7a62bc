"""Tenants: one machine serves many, apart from each other by construction.

    tenants = fp.Tenants({"blue": fp.Tenant({"vlan": ["100-199"]}, rules=blue), "red": fp.Tenant({"vni": [5000]}, rules=red)})
    result = tenants.replay("traffic.pcap");  result["blue"].alerts, result["blue"].digest
    verdicts = tenants.inspect(packets, port=3)
    tenants.reload("blue", rules)

Every tenant has an engine of its own: rules, policy, share of the memory caps, statistics, outputs, ordinals and time. What one does,
sends or reloads changes nothing of another's: a tenant's digest is that of its packets alone. The tags of a packet (its port, VLANs,
network identifiers, tunnel endpoints) are read once, before all of them (dataplane/tenants.pyx); what no tenant claims goes to the
default tenant, or is *unclaimed*: counted, and dropped in ips mode.

A fragment has the tags that its own headers show: later fragments of a tunnel's outer packet have no network identifier.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastpath.control.config import Config
from fastpath.control.engine import STEP, Engine, Progress, _Interrupts, _listed
from fastpath.control.keylog import key_ring
from fastpath.control.packets import ETHERNET, PacketBatch, as_batch
from fastpath.control.policy.model import PolicyError
from fastpath.control.policy.yaml import Node, document
from fastpath.control.result import KEPT, Action, Damage, Reason, Result, Sink, Verdicts
from fastpath.control.side import Clock, Side, walk
from fastpath.control.stats import InternalError
from fastpath.dataplane import rows
from fastpath.rules.plan import Place

if TYPE_CHECKING:
    from fastpath.control.policy import Policy

#: Most that a tag of each kind can be.
TAGS = {"port": (1 << 32) - 1, "vlan": 4095, "vni": (1 << 24) - 1, "teid": (1 << 32) - 1}
MEMCAPS = ("flow.memcap", "defrag.memcap", "stream.memcap", "stream.reassembly.memcap")
CHOICES = ("outermost", "innermost")
UNCLAIMED = 0xFFFF          # the number of no tenant, as in dataplane/tenants.pyx
LEDGER = ("inspected", "offloaded", "dropped", "errored")


class TenantError(ValueError):
    """Tenants that cannot be: the message begins with the place, where there is one, and names the other where two collide."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The tags low to high of one kind, as `place` says."""
    kind: str
    low: int
    high: int
    place: Place

    def __str__(self) -> str:
        return f"{self.kind} {self.low}" + (f"-{self.high}" if self.high != self.low else "")


@dataclass(slots=True)
class Tenant:
    """claims: kind ("port", "vlan", "vni", "teid") -> tags: numbers, "low-high", or several. rules: a RuleSet; policy: a Policy. share:
    of the memory caps, 0 to 1; None: an even one. sets: settings of its own, as key=value."""
    claims: Mapping[str, Any] | Sequence[Claim] = field(default_factory=dict)
    rules: Any = None
    policy: Policy | None = None
    share: float | None = None
    sets: Sequence[str] = ()


def tags(kind: str, said: Any, place: Place) -> Claim:
    """A claim from a number or "low-high", decimal or 0x hexadecimal."""
    if kind not in TAGS:
        raise TenantError(f"{place}: tenants are told apart by {', '.join(TAGS)}, not by {kind!r}")
    parts = str(said).replace(" ", "").split("-")
    try:
        low, high = (int(part, 0) for part in (parts[0], parts[-1]))
    except ValueError:
        low, high = 1, 0
    if len(parts) > 2 or not 0 <= low <= high <= TAGS[kind]:
        raise TenantError(f"{place}: expected a {kind} from 0 to {TAGS[kind]}, or a range of them such as 10-20, found {str(said)[:60]!r}")
    return Claim(kind, low, high, place)


def _claims_of(name: str, tenant: Tenant) -> list[Claim]:
    if not isinstance(tenant.claims, Mapping):
        return list(tenant.claims)
    made = []
    for kind, said in tenant.claims.items():
        for one in [said] if isinstance(said, (int, str)) else said:
            made.append(tags(kind, one, Place(name, 1, 1)))
    return made


def _check_overlaps(claims: Sequence[tuple[str, Claim]]) -> None:
    ordered = sorted(claims, key=lambda one: (one[1].kind, one[1].low, one[1].high))
    for (first, before), (second, after) in zip(ordered, ordered[1:], strict=False):
        if before.kind == after.kind and after.low <= before.high:
            earlier, later = ((first, before), (second, after))
            if (later[1].place.line, later[1].place.column) < (earlier[1].place.line, earlier[1].place.column):
                earlier, later = later, earlier
            raise TenantError(f"{later[1].place}: {later[1]} of {later[0]!r} overlaps {earlier[1]} of {earlier[0]!r} ({earlier[1].place})")


class Tenants:
    """The engines of tenants, by name. default: the tenant of what nobody claims. choose: which tag decides where several are claimed,
    "outermost" or "innermost". config: settings that all have. The rest is as for an Engine.

    Raises TenantError for claims that overlap or shares beyond the whole, and whatever Engine raises.
    """

    def __init__(self, tenants: Mapping[str, Tenant], *, default: str | None = None, choose: str = "outermost", config: Config | None = None,
                 mode: str = "ids", workers: int = 1, burst: int = 128, checksums: str | None = None, compat: bool = False,
                 anonymiser: Any = None, keylog: Any = None):
        from fastpath.dataplane.tenants import Selector
        if not tenants:
            raise TenantError("there are no tenants")
        if default is not None and default not in tenants:
            raise TenantError(f"default: there is no tenant {default!r}; there are {', '.join(tenants)}")
        if choose not in CHOICES:
            raise TenantError(f"choose must be outermost or innermost, not {choose!r}")
        claims = [(name, claim) for name, tenant in tenants.items() for claim in _claims_of(name, tenant)]
        _check_overlaps(claims)
        given = sum(tenant.share or 0.0 for tenant in tenants.values())
        silent = sum(tenant.share is None for tenant in tenants.values())
        if given > 1.000001 or silent and given >= 1:
            raise TenantError(f"the shares of the memory caps come to {given:g}, and {silent} tenants more have none")
        self.mode = mode
        self.names = tuple(tenants)
        self.engines: dict[str, Engine] = {}
        config = config if config is not None else Config()
        keys = key_ring(keylog)
        try:
            for name, tenant in tenants.items():
                share = (1 - given) / silent if tenant.share is None else tenant.share
                self.engines[name] = Engine(tenant.rules, policy=tenant.policy, config=_own(config, share, tenant.sets), mode=mode,
                                            workers=workers, burst=burst, checksums=checksums, compat=compat, anonymiser=anonymiser,
                                            keylog=keys)
        except BaseException:
            self.close()
            raise
        number = {name: at for at, name in enumerate(self.names)}
        self._select = lambda: Selector([(claim.kind, claim.low, claim.high, number[name]) for name, claim in claims], len(number),
                                        None if default is None else number[default], choose == "innermost", config.settings()["tunnels"])
        self._live = self._select()

    @classmethod
    def load(cls, path: str | Path, rules: Any = None, load_rules: Callable[[list[Path]], Any] | None = None, **options: Any) -> Tenants:
        """The tenants of a file. rules: of those that name none. load_rules: makes a RuleSet of files, RuleSet.load where None.
        Raises TenantError, at its file:line:column, and OSError."""
        tenants, said = read_tenants(path, rules, load_rules)
        return cls(tenants, **(said | options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all engines."""
        for engine in self.engines.values():
            engine.close()

    def __getitem__(self, name: str) -> Engine:
        """A tenant's engine: its statistics, its policy, its device."""
        return self.engines[name]

    def reload(self, name: str, *args: Any, **options: Any) -> None:
        """Engine.reload of one tenant: the others go on as they were."""
        self.engines[name].reload(*args, **options)

    # ---- captures ----

    def replay(self, paths: Any, bpf: str | None = None, *, keep: Iterable[str] = ("alerts", "flows"), limit: int = KEPT,
               sinks: Mapping[str, Sequence[Sink]] | None = None, continuous: bool = False,
               progress: Callable[[Progress], None] | None = None) -> TenantsResult:
        """Inspects captures: as Engine.replay, for each tenant its own packets, which count from 1. sinks: by tenant."""
        from fastpath.control.captures import open_captures
        from fastpath.dataplane.tenants import Picked
        selector = self._select()
        picks = [Picked() for _ in self.names]
        damages: list[Damage] = []
        captures = open_captures(_listed(paths), bpf)
        partial = False
        sides: list[Side] = []
        try:
            sides.extend(Side(self.engines[name], keep, limit, (sinks or {}).get(name, ())) for name in self.names)

            def flush() -> None:
                for side in sides:
                    while side.flush()[0]:
                        pass

            clock = Clock(captures, progress)
            with _Interrupts() as interrupts:
                def begin(capture: Any) -> Callable[[], bool]:
                    for side in sides:
                        side.begin(capture.path)
                    return lambda: step(capture.source)

                def step(source: Any) -> bool:
                    with interrupts.held():
                        more: bool = selector.split(source, picks, STEP)
                        for side, pick in zip(sides, picks, strict=True):
                            while side.step(pick)[0]:
                                pass
                    return more

                try:
                    for capture, done in walk(captures, damages, begin, None if continuous else flush):
                        clock.tell(capture, done, selector.packets, selector.bytes, sum(side.run.counts["alerts"] for side in sides))
                except KeyboardInterrupt:
                    partial = True
            flush()
            results = {name: side.finish([], partial) for name, side in zip(self.names, sides, strict=True)}
        finally:
            for side in sides:
                side.close()
        return TenantsResult(results, selector, self.mode, damages, partial)

    # ---- packets from Python ----

    def inspect(self, packets: Any, *, linktype: int = ETHERNET, ts: Any = None, port: int | None = None) -> TenantsVerdicts:
        """Inspects packets now, each by its tenant's engine: as Engine.inspect."""
        from fastpath.dataplane.rx import BatchSource
        batch = as_batch(packets, ts)
        with BatchSource(batch.buffer, batch.offsets, batch.lengths, batch.stamps, linktype, 0, batch.wirelens) as source:
            owners = self._live.owners_of(source, len(batch), port)
        out = np.zeros(len(batch), rows.VERDICT)
        out["rule"] = rows.NO_RULE
        if self.mode == "ips":      # nobody's packets go nowhere
            nobody = owners == UNCLAIMED
            out["action"][nobody], out["reason"][nobody], out["ledger"][nobody] = Action.DROP, Reason.POLICY, LEDGER.index("dropped")
        told: dict[str, tuple[Verdicts, np.ndarray]] = {}
        for at in np.unique(owners).tolist():
            if at == UNCLAIMED:
                continue
            where = np.flatnonzero(owners == at)
            part = PacketBatch(batch.buffer, *(None if array is None else array[where]
                                               for array in (batch.offsets, batch.lengths, batch.stamps, batch.wirelens)))
            verdicts = self.engines[self.names[at]].inspect(part, linktype=linktype, port=port)
            out[where] = verdicts.array
            told[self.names[at]] = (verdicts, where)
        return TenantsVerdicts(out, owners, told)

    def tick(self, now: Any = None) -> None:
        """Engine.tick of every tenant."""
        for engine in self.engines.values():
            engine.tick(now)

    @property
    def stats(self) -> dict[str, Any]:
        """Of everything that `inspect` saw: as TenantsResult.stats."""
        return _sum({name: engine.stats for name, engine in self.engines.items()}, self._live, self.mode)


class TenantsResult:
    """The outcome of a replay: [name] is a tenant's Result; stats: `packets`, `bytes`, `ledger` of all, `unclaimed` (packets, bytes), and
    `tenants`: by name, of each its Result.stats. `damages` of the captures; `partial`."""

    def __init__(self, results: dict[str, Result], selector: Any, mode: str, damages: list[Damage], partial: bool):
        self.results, self.damages, self.partial = results, damages, partial
        self.stats = _sum({name: result.stats for name, result in results.items()}, selector, mode)

    def __getitem__(self, name: str) -> Result:
        return self.results[name]

    def __iter__(self) -> Any:
        return iter(self.results)

    def items(self) -> Any:
        return self.results.items()


class TenantsVerdicts:
    """The verdicts of one call of `inspect`, in the order of the packets: `action`, `reason`, `flow` as in Verdicts; `tenant`: the number
    of each packet's tenant in Tenants.names, 0xFFFF for none; `of(name)`: a tenant's own Verdicts, and which packets they are of;
    `replies`, their `packet` counted among all."""

    def __init__(self, array: np.ndarray, tenant: np.ndarray, told: dict[str, tuple[Verdicts, np.ndarray]]):
        self.array, self.tenant, self._told = array, tenant, told

    def __len__(self) -> int:
        return len(self.array)

    @property
    def action(self) -> np.ndarray:
        return self.array["action"]

    @property
    def reason(self) -> np.ndarray:
        return self.array["reason"]

    @property
    def flow(self) -> np.ndarray:
        return self.array["flow"]

    def of(self, name: str) -> tuple[Verdicts, np.ndarray] | None:
        """None where the tenant had no packet."""
        return self._told.get(name)

    @property
    def replies(self) -> list[Any]:
        return [reply._replace(packet=int(where[reply.packet])) for verdicts, where in self._told.values() for reply in verdicts.replies]


def _own(config: Config, share: float, sets: Sequence[str]) -> Config:
    """The settings of one tenant: its share of every memory cap, and what it says itself."""
    own = Config(dict(config.values), dict(config.places), list(config.honoured), list(config.inert), list(config.unsupported))
    for key in MEMCAPS:
        own.values[key] = int(config[key] * share)
    for text in sets:
        own.set(text)
    return own


def _sum(stats: dict[str, dict[str, Any]], selector: Any, mode: str) -> dict[str, Any]:
    """The ledger of all closes: what was read is what the tenants had and what nobody claimed."""
    ledger = {name: {unit: sum(one["ledger"][name][unit] for one in stats.values()) for unit in ("packets", "bytes")} for name in LEDGER}
    unclaimed = {"packets": selector.unclaimed_packets, "bytes": selector.unclaimed_bytes}
    for unit in ("packets", "bytes"):
        ledger["dropped" if mode == "ips" else "inspected"][unit] += unclaimed[unit]
        total, read = sum(account[unit] for account in ledger.values()), getattr(selector, unit)
        if total != read:
            raise InternalError(f"the ledger of the tenants does not close: {total} {unit} accounted for, {read} read")
    return {"packets": selector.packets, "bytes": selector.bytes, "alerts": sum(one["alerts"] for one in stats.values()),
            "ledger": ledger, "unclaimed": unclaimed, "tenants": stats}


# ---- tenants.yaml ----

def read_tenants(path: str | Path, rules: Any = None, load_rules: Callable[[list[Path]], Any] | None = None) \
        -> tuple[dict[str, Tenant], dict[str, Any]]:
    """The tenants of a file by name, and what it says of all: arguments of Tenants. Files that it names are below its own folder."""
    path = Path(path)
    try:
        top = document(path.read_bytes(), str(path), "a file of tenants").mapping("a file of tenants", ("tenants", "default", "choose"), ("tenants",))
        tenants = {}
        claims: list[tuple[str, Claim]] = []
        for key, name, node in top["tenants"].pairs("tenants by name"):
            if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith("."):
                raise key.fail("a tenant is named by letters, digits, dots, - and _")     # it names a folder
            tenants[name] = _tenant(node, path.parent, rules, load_rules)
            claims += [(name, claim) for claim in _claims_of(name, tenants[name])]
        _check_overlaps(claims)
        said: dict[str, Any] = {}
        if "default" in top:
            said["default"] = top["default"].text("the name of a tenant")
            if said["default"] not in tenants:
                raise top["default"].fail(f"there is no tenant {said['default']!r}; there are {', '.join(tenants)}")
        if "choose" in top:
            said["choose"] = top["choose"].text("outermost or innermost")
            if said["choose"] not in CHOICES:
                raise top["choose"].fail(f"expected outermost or innermost, found {said['choose']!r}")
        over = sum(tenant.share or 0.0 for tenant in tenants.values())
        if over > 1.000001:
            raise top["tenants"].fail(f"the shares of the memory caps come to {over:g}, which is more than all of them")
        return tenants, said
    except PolicyError as error:
        raise TenantError(str(error)) from None


def _tenant(node: Node, base: Path, rules: Any, load_rules: Callable[[list[Path]], Any] | None) -> Tenant:
    from fastpath.control.policy import Policy
    from fastpath.rules import RuleSet
    said = node.mapping("a tenant", (*TAGS, "rules", "policy", "share", "set"))
    claims = [tags(kind, one.text(f"a {kind}"), one.place) for kind in TAGS if kind in said for one in said[kind].items(f"{kind}s")]
    own = rules
    if "rules" in said:
        files = [base / one.text("a rule file") for one in said["rules"].items("rule files")]
        try:
            own = (load_rules or RuleSet.load)(files)
        except (OSError, ValueError) as error:
            raise said["rules"].fail(str(error)) from None
    policy = None
    if "policy" in said:
        try:
            policy = Policy.load(base / said["policy"].text("a policy file"))
        except OSError as error:
            raise said["policy"].fail(f"{error.filename}: {error.strerror}") from None
    share = None
    if "share" in said:
        text = said["share"].text("a share of the memory caps")
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            raise said["share"].fail(f"expected a share above 0 and up to 1, or such as 25%, found {text[:60]!r}")
    sets = []
    if "set" in said:
        for key, name, value in said["set"].pairs("settings"):
            sets.append(f"{name}={value.text('a value')}")
            try:
                Config().set(sets[-1])
            except ValueError as error:
                raise key.fail(str(error)) from None
    return Tenant(claims, own, policy, share, sets)
