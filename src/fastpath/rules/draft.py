"""A rule while its keywords are read: what the keyword table writes into, and what becomes the plan."""
from __future__ import annotations

import re
from dataclasses import dataclass, field

from .lexer import RuleError
from .plan import Block, Condition, Content, Flowbits, FlowState, RulePlan, Step, Tag, Threshold, Value

_NUMBER = re.compile(r"[+-]?[0-9]+\Z")
_HEX = re.compile(r"[+-]?0[xX][0-9a-fA-F]+\Z")


@dataclass(slots=True)
class Pattern:
    """A content while its modifiers are read. `at` is the offset of the keyword."""
    pattern: bytes
    at: int
    negated: bool = False
    nocase: bool = False
    offset: Value | None = None
    depth: Value | None = None
    distance: Value | None = None
    within: Value | None = None
    startswith: bool = False
    endswith: bool = False
    rawbytes: bool = False
    fast_pattern: bool = False
    only: bool = False                              # fast_pattern:only
    chop: tuple[int, int] | None = None

    @property
    def relative(self) -> bool:
        return self.distance is not None or self.within is not None

    def step(self) -> Content:
        return Content(self.pattern, self.negated, self.nocase, self.offset, self.depth, self.distance, self.within,
                       self.startswith, self.endswith, self.fast_pattern, self.chop)


DraftStep = Pattern | Step


@dataclass(slots=True)
class Room:
    """A buffer and the steps over it. `at` is the offset of the keyword that chose it."""
    buffer: str
    at: int
    steps: list[DraftStep] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """What is known of a rule so far. Keywords write into it in the order in which they are written."""
    proto: str
    event_names: frozenset[str] | None                  # None: decode events are not known, and refused

    keyword: str = ""                                   # that is being read
    negated: bool = False                               # a "!" stood before its quoted value
    refusal: RuleError | None = None                    # the first reason why the rule cannot be honoured
    sid: int | None = None
    gid: int = 1
    rev: int | None = None
    msg: str | None = None
    classtype: str = ""
    priority: int | None = None
    references: list[tuple[str, str]] = field(default_factory=list)
    metadata: list[tuple[str, str]] = field(default_factory=list)
    target: str = ""
    conditions: list[Condition] = field(default_factory=list)
    flow: FlowState | None = None
    after: list[Flowbits] = field(default_factory=list)
    rooms: list[Room] = field(default_factory=list)
    room: Room | None = None                            # the sticky buffer in force; None: payload
    pattern: Pattern | None = None                      # the latest content, wherever it is
    names: set[str] = field(default_factory=set)        # that byte_extract and byte_math have set
    dsize: tuple[tuple[int, int], ...] | None = None
    threshold: Threshold | None = None
    detection_filter: Threshold | None = None
    tag: Tag | None = None
    noalert: bool = False
    bypass: bool = False
    needs_packet: str = ""                              # the keyword that can only be answered packet by packet
    needs_stream: str = ""                              # the one that asks for stream data alone

    # ---- for keywords ----

    def refuse(self, at: int, reason: str) -> None:
        """Notes that the rule is good but cannot be honoured; its text is still read to the end."""
        if self.refusal is None:
            self.refusal = RuleError(at, reason, self.keyword, malformed=False)

    def steps(self) -> list[DraftStep]:
        """The steps of the buffer in force."""
        return (self.room or self.payload()).steps

    def payload(self) -> Room:
        """The one room of the payload."""
        return self._named("payload")

    def base64_data(self) -> Room:
        return self._named("base64_data")

    def _named(self, buffer: str) -> Room:
        for room in self.rooms:
            if room.buffer == buffer:
                return room
        self.rooms.append(Room(buffer, 0))
        return self.rooms[-1]

    def enter(self, buffer: str, at: int) -> None:
        """A sticky buffer: what follows looks at it."""
        if self.room is not None and self.room.buffer == "base64_data":
            raise RuleError(at, "after base64_data no other buffer can follow")
        if self.room is not None and not self.room.steps:
            raise RuleError(self.room.at, f"nothing looks at the buffer {self.room.buffer}", self.room.buffer)
        for room in self.rooms:
            if room.buffer == buffer:
                self.room = room
                return
        self.room = Room(buffer, at)
        self.rooms.append(self.room)

    def move(self, pattern: Pattern, buffer: str) -> None:
        """A content modifier that names a buffer: the content belongs there."""
        for room in self.rooms:
            room.steps[:] = [step for step in room.steps if step is not pattern]
        self._named(buffer).steps.append(pattern)

    def last(self, at: int) -> Pattern:
        """The content that a modifier is about."""
        if self.pattern is None:
            raise RuleError(at, "there is no content before it")
        return self.pattern

    def value(self, text: str, at: int, low: int, high: int) -> Value:
        """A number within bounds, or the name of a variable that was set before."""
        if text in self.names:
            return text
        if text[:1].isalpha() or text[:1] == "_":
            raise RuleError(at, f"found {text!r} where a number or a name set by byte_extract or byte_math before was expected")
        return number(text, at, low, high)

    # ---- for the planner ----

    def blocks(self) -> list[Block]:
        return [Block(room.buffer, [step.step() if isinstance(step, Pattern) else step for step in room.steps])
                for room in self.rooms if room.steps]

    def fill(self, plan: RulePlan) -> None:
        """Writes all that keywords have said into the plan."""
        plan.gid, plan.rev, plan.msg = self.gid, self.rev or 0, self.msg or ""
        plan.classtype, plan.priority = self.classtype, self.priority
        plan.references, plan.metadata, plan.target = self.references, self.metadata, self.target
        plan.conditions = ([self.flow] if self.flow else []) + self.conditions
        plan.blocks, plan.after = self.blocks(), self.after
        plan.threshold, plan.detection_filter, plan.tag = self.threshold, self.detection_filter, self.tag
        plan.noalert, plan.bypass = self.noalert, self.bypass


def number(text: str, at: int, low: int, high: int) -> int:
    """A decimal or 0x number within bounds."""
    if _NUMBER.match(text):
        value = int(text)
    elif _HEX.match(text):
        value = int(text, 16)
    else:
        raise RuleError(at, f"found {text!r} where a number was expected")
    if not low <= value <= high:
        raise RuleError(at, f"found {value} where a number from {low} to {high} was expected")
    return value


def words(text: str, at: int) -> list[tuple[str, int]]:
    """The comma-separated words of a value, trimmed, each with its offset."""
    out = []
    for part in text.split(","):
        word = part.strip()
        out.append((word, at + (part.find(word) if word else 0)))
        at += len(part) + 1
    return out
