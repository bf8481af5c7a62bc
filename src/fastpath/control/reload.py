"""What packets are judged by, and how it is swapped: rules, policy, device and isolations, in one piece.

An `InForce` is never changed: whoever wants another makes one and puts it into `Staged`, the whole of it in one step. A data plane
takes it between two bursts, when no packet is under way, so that every packet is judged by one of them from its first entry to its
last, and what was before it is nobody's any more. Whatever can fail (reading, compiling, reserving memory) is done before, in the
thread that asked: taking it cannot fail.
"""
from __future__ import annotations

import logging
import sys
import threading
from _thread import start_new_thread
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fastpath.control.device import Device
from fastpath.control.isolation import Isolation, Network, NoRoom, Table

SWITCH = 0.0005     # seconds
ORDERS = 1000       # that an engine remembers
log = logging.getLogger("fastpath.control")


@dataclass(frozen=True, slots=True)
class Order:
    """Something that the control plane did. kind: "isolate", "release", "expire", "reload", or "refused" for a reload that memory did
    not suffice for (why). ordinal: the first packet that it is in force for, 0 for an end in time. time: packet time, ns; 0 before the
    first packet."""
    kind: str
    ordinal: int
    time: int
    isolation: Isolation | None = None
    offloads_deleted: int = 0
    what: tuple[str, ...] = ()      # of a reload: "rules", "policy", "device"
    why: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """All that packets are judged by. database: the compiled form of the rules. policy: a policy.judge.Judge. table: of the
    isolations."""
    rules: Any = None
    database: Any = None
    policy: Any = None
    device: Device | None = None
    isolations: tuple[Isolation, ...] = ()
    table: Table = field(default_factory=Table)

    def of(self, name: str) -> Any:
        """The "rules", "policy" or "device", as it was given."""
        given = getattr(self, name)
        return given.policy if name == "policy" and given is not None else given


class Follower:
    """A data plane that goes by what is in force."""
    __slots__ = ("begun", "has", "plane", "swaps")

    def __init__(self, plane: Any, has: InForce):
        self.plane, self.has, self.begun = plane, has, False
        self.swaps = 0      # odd while one goes on: who reads meanwhile reads again


class Staged:
    """What is to be in force, and the data planes that follow it.

    Any thread may call `change`; a data plane is touched by the thread that runs it alone, in `follow`, but for the call that
    ends its step.
    """

    def __init__(self, first: InForce):
        self.now = first
        #: The latest orders that a data plane has taken.
        self.orders: deque[Order] = deque(maxlen=ORDERS)
        #: Isolations that were refused for want of room.
        self.refused = 0
        #: How many orders of each kind data planes have taken.
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._followers: dict[int, Follower] = {}       # by id of the plane
        self._time = 0
        #: What rules have cut off in the data plane that runs, by addresses.
        self.cut: dict[tuple[Network, ...], Isolation] = {}

    def change(self, change: Callable[[InForce], InForce]) -> None:
        """Puts change(what is in force) in its place. Nothing happens when it raises."""
        with self._lock:
            try:
                self.now = change(self.now)
            except NoRoom:
                self.refused += 1
                raise
            for follower in self._followers.values():
                follower.plane.call()

    def put(self, new: InForce) -> None:
        """Puts rules, policy and device of another into force; isolations stay as they are."""
        for follower in tuple(self._followers.values()):
            follower.plane.prepare(new.database)
        self.change(lambda now: replace(new, isolations=now.isolations, table=now.table))

    def attach(self, plane: Any, device: Device | None) -> None:
        """This data plane, which was made with that device, follows from now on."""
        with self._lock:
            self._followers[id(plane)] = Follower(plane, InForce(device=device))

    def detach(self, plane: Any) -> None:
        with self._lock:
            self._followers.pop(id(plane), None)
            if not self._followers:
                self.cut.clear()

    def record(self, order: Order) -> None:
        """An order that a rule has given: it is in force already."""
        self.counts[order.kind] += 1
        self.orders.append(order)
        assert order.isolation is not None
        self.cut[order.isolation.networks] = order.isolation
        say(order)

    def is_behind(self, plane: Any) -> bool:
        """Does this plane go by something else than what is in force?"""
        return self._followers[id(plane)].has is not self.now

    def follow(self, plane: Any, run: Any) -> None:
        """Puts what is in force into a data plane that no packet is under way in, and tells its run. Where memory does not suffice for it,
        what was before stays in force, and the log says so."""
        follower = self._followers[id(plane)]
        follower.swaps += 1
        try:
            self._follow(follower, run)
        finally:
            follower.swaps += 1

    def swaps(self, plane: Any) -> int:
        """Twice the number of swaps of a plane; odd while one goes on."""
        follower = self._followers.get(id(plane))
        return follower.swaps if follower is not None else 0

    def _follow(self, follower: Follower, run: Any) -> None:
        plane = follower.plane
        plane.heed()
        old, new = follower.has, self.now
        try:
            _swap(plane, run, old, new)
        except MemoryError as error:
            if not follower.begun:
                raise
            log.error("what was to be in force from packet %d on is not: %s", plane.next_ordinal, error)
            self.counts["refused"] += 1
            self.orders.append(Order("refused", plane.next_ordinal, plane.time, why=str(error)))
            with self._lock:
                self.now = replace(old, isolations=self.now.isolations, table=self.now.table)
            return self._follow(follower, run) if self.now.table is not old.table else None
        changed = tuple(name for name in ("rules", "policy", "device") if new.of(name) is not old.of(name))
        orders = [Order("reload", plane.next_ordinal, plane.time, what=changed)] if changed and follower.begun else []
        if "rules" in changed or not follower.begun:
            run.use(new.rules, plane.next_ordinal)
            if new.database is not None:
                run.names = new.database.names
                run.sets.know(new.database.sets)
        if new.table is not old.table:
            deleted = plane.isolate(new.table.ranges4, new.table.ranges6)
            orders += self._isolations(old.isolations, new.isolations, plane, deleted)
        follower.has, follower.begun = new, True
        for order in orders:
            self.counts[order.kind] += 1
            self.orders.append(order)
            run.note(order)
            say(order)
        spent = [plane.spent(), old]
        del old
        start_new_thread(spent.clear, ())       # to give back a rule set takes longer than a burst may wait

    def _isolations(self, old: tuple[Isolation, ...], new: tuple[Isolation, ...], plane: Any, deleted: int) -> list[Order]:
        """The orders between two lists of isolations; the offloads that they deleted together stand with the last."""
        made = []
        for one in old:
            if one not in new and one.until is not None and one.until <= self._time:
                made.append(Order("expire", 0, one.until, one))
            elif all(one.networks != other.networks for other in new):
                made.append(Order("release", plane.next_ordinal, plane.time, one))
        made += [Order("isolate", plane.next_ordinal, plane.time, one) for one in new if one not in old]
        if deleted and made:
            made[-1] = replace(made[-1], offloads_deleted=deleted)
        return made

    def expire(self, time: int) -> None:
        """Packet time has come this far: isolations that ended before are no more. (The data plane knows of each end itself.)"""
        self._time = max(self._time, time)
        for one in [one for one in tuple(self.cut.values()) if one.until is not None and one.until <= time]:
            del self.cut[one.networks]
        over = [one for one in self.now.isolations if one.until is not None and one.until <= time]
        if over:
            self.change(partial(without, isolations=over))


def _swap(plane: Any, run: Any, old: InForce, new: InForce) -> None:
    """What can fail for want of memory: all of it, or MemoryError and none of it."""
    if new.database is not old.database:
        plane.prepare(new.database)
    if new.policy is not old.policy:
        run.judge(new.policy, plane)
    try:
        if new.device is not old.device and new.device is not None and "device" not in run.settings:
            plane.set_device(new.device.settings())
    except MemoryError:
        run.judge(old.policy, plane)
        raise
    if new.database is not old.database:
        run.settle_rules(plane.rule_costs())
        plane.load(new.database)
        plane.respond(new.rules.numbers["isolate"].copy() if new.rules is not None and new.rules.numbers["isolate"].any() else None)


_prompt_lock = threading.Lock()
_prompt_before: list[float] = []        # the interval that held before, once for each that is inside


@contextmanager
def prompt() -> Iterator[None]:
    """Meanwhile, threads of this process change turns more often, so that one that inspects need not wait long for one that compiles."""
    with _prompt_lock:
        _prompt_before.append(sys.getswitchinterval())
        sys.setswitchinterval(min(_prompt_before[-1], SWITCH))
    try:
        yield
    finally:
        with _prompt_lock:
            if len(_prompt_before) == 1:
                sys.setswitchinterval(_prompt_before[0])
            _prompt_before.pop()


def say(order: Order) -> None:
    """A line in the log of the process: logger "fastpath.control"."""
    if order.isolation is not None:
        log.info("%s %s from packet %d on%s%s", order.kind, order.isolation.workload, order.ordinal,
                 f", {order.offloads_deleted} offloads deleted" if order.offloads_deleted else "",
                 f": {order.isolation.why}" if order.isolation.why else "")
    else:
        log.info("%s of %s from packet %d on", order.kind, ", ".join(order.what), order.ordinal)


def without(in_force: InForce, isolations: Sequence[Isolation]) -> InForce:
    """The same without these isolations."""
    kept = tuple(one for one in in_force.isolations if one not in isolations)
    return replace(in_force, isolations=kept, table=Table(kept))


def with_isolation(in_force: InForce, isolation: Isolation) -> InForce:
    """The same with this isolation; one of the same addresses gives way."""
    kept = (*(one for one in in_force.isolations if one.networks != isolation.networks), isolation)
    return replace(in_force, isolations=kept, table=Table(kept))
