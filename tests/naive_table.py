"""The session table as its description says it, slowly and plainly, over the rows of a log: what the simulation is held against."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastpath.dataplane import rows
from fastpath.offload.settings import Setting

SECOND = 1_000_000_000
BATCH = 64
FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(slots=True)
class Session:
    last: int                       # until it is in force, when it will be
    drop: bool
    closed_sides: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Flow:
    session: Session | None = None
    waiting: bool = False
    bypassed: bool = False
    due: int | None = None
    blind: bool = False


class NaiveTable:
    """run() gives the counters of simulate.simulate that matter, and the fate of each alert."""

    def __init__(self, setting: Setting, depth: int):
        self.setting, self.depth = setting, depth
        self.flows: dict[int, Flow] = {}
        self.batch: list[tuple[int, bool]] = []
        self.batch_second = self.busy = self.second = self.back_off = 0
        self.taken = [0, 0]         # packets, bytes
        self.asked = self.inserted = self.full = self.peak = self.saved = 0
        self.fates: list[int] = []

    @property
    def used(self) -> int:
        return sum(flow.session is not None for flow in self.flows.values())

    # ---- the table ----

    def close_batch(self, now: int) -> None:
        batch, self.batch = self.batch, []
        fits = self.used + len(batch) <= self.setting.sessions
        for number, drop in batch:
            flow = self.flows[number]
            flow.waiting = False
            if not fits:
                continue
            interval = round(SECOND / self.setting.insert_rate) if self.setting.insert_rate else 0
            self.busy = max(self.busy, now) + interval
            flow.session = Session(self.busy + round(self.setting.insert_latency * SECOND), drop)
            self.inserted += 1
        if not fits:
            self.full += len(batch)
            self.back_off = (now // SECOND + 1) * SECOND
        self.peak = max(self.peak, self.used)

    def idle(self, session: Session, now: int) -> bool:
        return now > session.last + round(self.setting.idle_timeout * SECOND)

    def tick(self, second: int) -> None:
        if self.batch and second > self.batch_second:
            self.close_batch((self.batch_second + 1) * SECOND)
        self.second = second
        for flow in self.flows.values():
            if flow.session is not None and self.idle(flow.session, second * SECOND):
                flow.session = None

    # ---- an entry ----

    def takes(self, flow: Flow, row: Any) -> tuple[bool, bool]:
        session, flags, now = flow.session, int(row["flags"]), int(row["now"])
        assert session is not None
        control = int(row["tcp_flags"]) & (SYN | FIN | RST) or len(session.closed_sides) == 2
        if flags & rows.LOG_QUOTED or (flags & rows.LOG_TCP and control):
            return False, False
        if now < session.last:
            return False, False
        if self.idle(session, now):
            flow.session = None
            return False, False
        session.last = now
        return True, session.drop

    def follow(self, flow: Flow, row: Any) -> None:
        flags, tcp = int(row["flags"]), int(row["tcp_flags"])
        session = flow.session
        if session is None or not flags & rows.LOG_TCP or flags & rows.LOG_REJECTED:
            return
        side = int(flags & rows.LOG_TO_CLIENT != 0)
        if tcp & RST:
            flow.session = None
        elif tcp & FIN:
            if side not in session.closed_sides:
                session.closed_sides.append(side)
        elif len(session.closed_sides) == 2 and side == session.closed_sides[0] and tcp & ACK and not tcp & SYN:
            flow.session = None

    def reason(self, flow: Flow, row: Any) -> str | None:
        wants, flags = self.setting.requests, int(row["flags"])
        packets = int(row["flow_pkts"])

        def reached(least: int | None, value: int) -> bool:
            return least is not None and value >= least

        if flags & rows.LOG_DROP:
            return "drop" if reached(wants.drop, packets) else None
        if flow.bypassed and reached(wants.bypass, packets):
            return "bypass"
        if flags & rows.LOG_PASS and reached(wants.passed, packets):
            return "pass"
        if flags & rows.LOG_DEPTH and wants.depth is not None and int(row["stream"]) >= self.depth + wants.depth:
            return "depth"
        if reached(wants.elephant, int(row["flow_bytes"])):
            return "elephant"
        if flags & rows.LOG_ENCRYPTED and wants.encrypted is not None:
            if flow.due is None:
                flow.due = packets + wants.encrypted
            if packets >= flow.due:
                return "encrypted"
        return None

    def inspect(self, flow: Flow, row: Any) -> None:
        flags, now = int(row["flags"]), int(row["now"])
        self.follow(flow, row)
        if flags & rows.LOG_CLOSED and not (flow.session is not None and flags & rows.LOG_LAST_ACK):
            self.leave(int(row["flow"]))
        flow.bypassed |= flags & rows.LOG_BYPASS != 0
        if flow.session is not None or flow.waiting or flags & rows.LOG_OVER or now < self.back_off:
            return
        reason = self.reason(flow, row)
        if reason is None:
            return
        flow.waiting, flow.due = True, None
        if not self.batch:
            self.batch_second = now // SECOND
        self.batch.append((int(row["flow"]), reason == "drop"))
        self.asked += 1
        if len(self.batch) == BATCH:
            self.close_batch(now)

    def leave(self, number: int) -> None:
        flow = self.flows[number]
        flow.session, flow.waiting, flow.due = None, False, None
        self.batch = [one for one in self.batch if one[0] != number]

    def judge(self, row: Any, taken: bool, blind: bool) -> None:
        for at in range(int(row["alerts"])):
            if int(row["stateful"]) >> min(at, 15) & 1:
                self.fates.append(1 if blind else 2 if taken else 0)
            else:
                self.fates.append(1 if taken else 0)

    def run(self, log: np.ndarray) -> None:
        parts: list[tuple[bool, bool, bool]] = []
        for row in log:
            flags, now = int(row["flags"]), int(row["now"])
            if flags & rows.LOG_EMPTY:
                self.batch, self.busy, self.second, self.back_off = [], 0, 0, 0
                continue
            if now // SECOND > self.second:
                self.tick(now // SECOND)
            taken = dropped = blind = False
            if flags & rows.LOG_FLOW:
                number = int(row["flow"])
                if flags & rows.LOG_END:
                    self.judge(row, False, self.flows[number].blind)
                    self.leave(number)
                    continue
                if flags & rows.LOG_BEGIN:
                    self.flows[number] = Flow()
                flow = self.flows[number]
                if flow.session is not None:
                    taken, dropped = self.takes(flow, row)
                if taken:
                    self.saved += int(row["ns"])
                    flow.blind |= flags & rows.LOG_DATA != 0
                else:
                    self.inspect(flow, row)
                blind = flow.blind
            self.judge(row, taken, blind)
            parts.append((taken, dropped or (not taken and flags & rows.LOG_CUT != 0), flags & rows.LOG_INVALID != 0))
            if flags & rows.LOG_LAST:
                if any(part[0] for part in parts) and not any(part[2] for part in parts):
                    self.taken[0] += 1
                    self.taken[1] += int(row["size"])
                parts = []
