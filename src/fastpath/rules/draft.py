"""A rule while its keywords are read: what the keyword table writes into, and what becomes the plan."""
from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from .applications import common, directions, is_buffer, is_many
from .datasets import Datasets
from .lexer import BLANK, RuleError
from .plan import (
    After,
    AppEvent,
    Block,
    Condition,
    Content,
    FlowState,
    RulePlan,
    Step,
    Tag,
    Threshold,
    Transform,
    Value,
)
from .reputation import Reputations

_TRANSFORMS_MAX = 16
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}\Z")
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,32}\Z")


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
    transforms: tuple[Transform, ...] = ()
    used: bool = False                                  # a keyword other than a step looks at it
    longest: int | None = None                          # bsize: the buffer that the contents must fit into


@dataclass(slots=True)
class Draft:
    """What is known of a rule so far. Keywords write into it in the order in which they are written."""
    proto: str
    event_names: frozenset[str] | None                  # None: those of the engine
    app_proto: str = ""                                 # of the header or of a keyword

    reputations: Reputations | None = None              # None: the configuration names none
    datasets: Datasets = field(default_factory=Datasets)    # that the rules so far have named
    folder: str = "."                                   # of the rule: what files it names are relative to
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
    target: Literal["", "src_ip", "dest_ip"] = ""
    conditions: list[Condition] = field(default_factory=list)
    flow: FlowState | None = None
    after: list[After] = field(default_factory=list)
    rooms: list[Room] = field(default_factory=list)
    room: Room | None = None                            # the sticky buffer in force; None: payload
    latest: Room | None = None                          # where the step before stands
    pattern: Pattern | None = None                      # the latest content, wherever it is
    names: dict[str, Room] = field(default_factory=dict)    # set by byte_extract and byte_math, and where
    longest: int | None = None                          # dsize: the payload that the contents must fit into
    uri_buffer: str = ""                                # urilen, asked of this buffer, leaves each content
    uri_length: int = 0                                 # so much room
    decoded: bool = False                               # a base64_decode waits for its base64_data
    ip_protos: tuple[str, ...] = ()                     # the operators of ip_proto so far
    threshold: Threshold | None = None
    detection_filter: Threshold | None = None
    rate: Threshold | None = None                       # llm_rate: a filter that a threshold may stand beside
    tag: Tag | None = None
    noalert: bool | None = None
    note: bool = False
    isolate: int = 0
    bypass: bool = False
    needs_packet: str = ""                              # the keyword that can only be answered packet by packet
    needs_stream: str = ""                              # the one that asks for stream data alone

    # ---- for keywords ----

    def refuse(self, at: int, reason: str) -> None:
        """Notes that the rule is good but cannot be honoured; its text is still read to the end."""
        if self.refusal is None:
            self.refusal = RuleError(at, reason, self.keyword, malformed=False)

    def protocol(self, name: str, at: int) -> None:
        """A keyword of an application protocol: the rule asks for flows of this one."""
        both = common(self.app_proto, name)
        if both is None:
            raise RuleError(at, f"belongs to {name}, and the rule asks for {self.app_proto}")
        self.app_proto = both

    def steps(self, relative: bool = False) -> list[DraftStep]:
        """The steps of the buffer in force. Without a sticky buffer what is relative belongs to the step before it, and so to the
        buffer that a modifier has moved that one to."""
        self.latest = self.room or (self.latest if relative else None) or self.payload()
        return self.latest.steps

    def payload(self) -> Room:
        """The one room of the payload."""
        return self.named("payload")

    def base64_data(self) -> Room:
        return self.named("base64_data")

    def named(self, buffer: str) -> Room:
        """The latest room of a buffer as it is, without transforms."""
        for room in reversed(self.rooms):
            if room.buffer == buffer and not room.transforms:
                return room
        self.rooms.append(Room(buffer, 0))
        return self.rooms[-1]

    def over(self, buffer: str, at: int, step: DraftStep) -> None:
        """A step over a buffer of its own, whatever buffer is in force."""
        room = self.named(buffer)
        room.at = room.at or at
        room.steps.append(step)

    def first(self, buffer: str, at: int, step: DraftStep) -> None:
        """The same, before all other steps: none of them is relative to it."""
        self.over(buffer, at, step)
        steps = self.named(buffer).steps
        steps.insert(0, steps.pop())

    def enter(self, buffer: str, at: int) -> None:
        """A sticky buffer: what follows looks at it."""
        if self.room is not None and self.room.buffer == "base64_data":
            raise RuleError(at, "after base64_data no other buffer can follow")
        self.leave()
        for room in self.rooms:
            if room.buffer == buffer and not room.transforms and not is_many(buffer):
                self.room = room
                return
        self.room = Room(buffer, at)
        self.rooms.append(self.room)

    def leave(self) -> None:
        """Ends the sticky buffer in force: something must look at it, and one that there is only one of, changed in the same way,
        is looked at in one go."""
        room = self.room
        self.room = None
        if room is None or room.buffer == "base64_data":
            return
        if not room.steps and not room.used:
            raise RuleError(room.at, f"nothing looks at the buffer {room.buffer}", room.buffer)
        for other in self.rooms:
            if other is not room and (other.buffer, other.transforms) == (room.buffer, room.transforms) and not is_many(room.buffer):
                other.steps += room.steps
                other.longest = room.longest if other.longest is None else other.longest
                self.rooms = [each for each in self.rooms if each is not room]
                self.names.update({name: other for name, where in self.names.items() if where is room})
                return

    def transform(self, transform: Transform, at: int) -> None:
        """Changes the sticky buffer in force before anything looks at it."""
        if self.room is None:
            raise RuleError(at, "a transform follows the sticky buffer that it changes")
        if self.room.steps and self.room.transforms:
            self.refuse(at, "a second set of transforms over what is transformed already is not known")
        if self.room.steps:
            self.room = Room(self.room.buffer, at)
            self.rooms.append(self.room)
        if len(self.room.transforms) == _TRANSFORMS_MAX:
            raise RuleError(at, f"found more than {_TRANSFORMS_MAX} transforms")
        self.room.transforms += (transform,)

    def move(self, pattern: Pattern, buffer: str) -> None:
        """A content modifier that names a buffer: the content, which was of the payload, belongs there."""
        steps = self.payload().steps
        steps[:] = [step for step in steps if step is not pattern]
        self.latest = self.named(buffer)
        self.latest.steps.append(pattern)

    def last(self, at: int) -> Pattern:
        """The content that a modifier is about."""
        if self.pattern is None:
            raise RuleError(at, "there is no content before it")
        return self.pattern

    def value(self, text: str, at: int, low: int, high: int, base: int = 10) -> Value:
        """A number within bounds, or the name of a variable that was set before; such a name begins with a letter."""
        if text[:1].isalpha():
            if text not in self.names:
                raise RuleError(at, f"found {text!r} where a number or a name set by byte_extract or byte_math was expected")
            if self._rank(self.names[text]) > self._rank(self.room or self.payload()):
                self.refuse(at, f"{text} is not set yet: headers are looked at before payload, payload before what is decoded")
            return text
        return number(text, at, low, high, base)

    def name(self, text: str, at: int) -> None:
        """byte_extract or byte_math sets a variable."""
        if text in self.names:
            self.refuse(at, f"{text} is set a second time")
        self.names[text] = self.room or self.payload()

    def _rank(self, room: Room) -> int:
        """When a buffer is looked at: headers in the order of the rule, payload, decoded data."""
        last = {"payload": len(self.rooms), "base64_data": len(self.rooms) + 1}
        return last[room.buffer] if room.buffer in last else next(i for i, each in enumerate(self.rooms) if each is room)

    # ---- for the planner ----

    def blocks(self) -> list[Block]:
        return [Block(room.buffer, [step.step() if isinstance(step, Pattern) else step for step in room.steps], room.transforms)
                for room in sorted(self.rooms, key=self._rank) if room.steps]

    def of_transaction(self) -> bool:
        """Does the rule look at transactions: at their buffers or events?"""
        return (any(is_buffer(room.buffer) for room in self.rooms)
                or any(isinstance(each, AppEvent) and each.proto != "applayer" for each in self.conditions))

    def point(self) -> None:
        """The direction that the buffers of a rule imply: some exist in one direction alone."""
        ways = {tuple(sorted(directions(room.buffer, self.app_proto))): room for room in self.rooms
                if is_buffer(room.buffer) and (room.steps or room.used)}
        to_server, to_client = ways.get((0,)), ways.get((1,))
        if to_server is not None and to_client is not None:
            raise RuleError(max(to_server.at, to_client.at), f"{to_server.buffer} goes to the server, {to_client.buffer} to the client: "
                            "no packet has both")
        if to_server is None and to_client is None:
            return
        direction, room = ("to_server", to_server) if to_client is None else ("to_client", to_client)
        state = self.flow or FlowState()
        if state.direction not in ("", direction):
            raise RuleError(room.at, f"{room.buffer} never goes {state.direction.replace('_', ' the ')}")
        self.flow = replace(state, direction=direction)

    def fill(self, plan: RulePlan) -> None:
        """Writes all that keywords have said into the plan."""
        plan.gid, plan.rev, plan.msg = self.gid, self.rev or 0, self.msg or ""
        plan.classtype, plan.priority = self.classtype, self.priority
        plan.references, plan.metadata, plan.target = self.references, self.metadata, self.target
        plan.conditions = ([self.flow] if self.flow else []) + self.conditions
        plan.blocks, plan.after = self.blocks(), self.after
        plan.threshold, plan.detection_filter, plan.tag = self.threshold, self.detection_filter or self.rate, self.tag
        plan.noalert = plan.action == "pass" if self.noalert is None else self.noalert     # who passes says so only when asked
        plan.noalert |= plan.action == "config"
        plan.note, plan.bypass, plan.app_proto = self.note, self.bypass, self.app_proto
        plan.isolate = self.isolate


def number(text: str, at: int, low: int, high: int, base: int = 10) -> int:
    """A number within bounds. base: 10, 16 for 0x..., 0 for either."""
    if base != 16 and _DECIMAL.match(text):
        value = int(text)
    elif base != 10 and _HEX.match(text):
        value = int(text, 16)
    else:
        raise RuleError(at, f"found {text!r} where a {'hex ' if base == 16 else ''}number was expected")
    if not low <= value <= high:
        raise RuleError(at, f"found {value} where a number from {low} to {high} was expected")
    return value


def words(text: str, at: int) -> list[tuple[str, int]]:
    """The comma-separated words of a value, trimmed, each with its offset."""
    out = []
    for part in text.split(","):
        word = part.strip(BLANK)
        out.append((word, at + (part.find(word) if word else 0)))
        at += len(part) + 1
    return out
