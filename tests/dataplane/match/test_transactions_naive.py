"""Rules on transactions against a slow, plain reading of when each of their blocks is looked at, over random histories."""
from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from captures import tcp
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan

from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_INSPECTIONS, PROTOCOL_NUMBERS
from fastpath.dataplane.match.transaction_trial import TransactionTrial
from fastpath.rules.compile import compile_rules
from fastpath.rules.fastpattern import chosen_block
from fastpath.rules.plan import Block, Content, RulePlan

HTTP = PROTOCOL_NUMBERS["http"]
COMPLETE = 5
BUFFERS = {0: ("http.uri", "http.method", "http.user_agent", "http.host", "http.request_body", "http.request_header"),
           1: ("http.stat_code", "http.server", "http.response_body", "http.response_header")}
WORDS = (b"a", b"b", b"ab", b"ba", b"abc")
PACKETS = tcp(b"", "10.0.0.1", 40000, "10.0.0.2", 80), tcp(b"", "10.0.0.2", 80, "10.0.0.1", 40000)


def progress_of(buffer: str, direction: int) -> int:
    return next(progress for proto, way, progress in APP_INSPECTIONS[APP_BUFFERS[buffer][0]] if (proto, way) == (HTTP, direction))


@dataclass
class Reading:
    """One rule on one transaction in one direction."""
    blocks: list[Block]
    direction: int
    remembered: set[int] | None = None          # blocks that have held; None: it has not begun, or need not be remembered
    over: bool = False
    passed: bool = field(default=False)         # the buffer of its pattern is behind it and its pattern was not there

    def inspect(self, told: dict[tuple[str, int], bytes], progress: int, before: int) -> bool:
        """Does it match now? before: the progress at the latest inspection."""
        if self.over:
            return False
        fast = chosen_block(self.blocks)
        positive = not self.blocks[fast].steps[0].negated
        if self.remembered is None and positive:
            # it begins where its pattern is found, in a buffer that can be seen and has not been passed by
            at = progress_of(self.blocks[fast].buffer, self.direction)
            seen = at <= progress and before <= at
            if not seen or not any(self.blocks[fast].steps[0].pattern in data for data in instances(told, self.blocks[fast])):
                return False
        held = set(self.remembered or ())
        order = [fast, *sorted((i for i in range(len(self.blocks)) if i != fast),
                               key=lambda i: progress_of(self.blocks[i].buffer, self.direction))]
        first = self.remembered is None
        passed = met = False
        for i in order:
            if i in held:
                continue
            at = progress_of(self.blocks[i].buffer, self.direction)
            if progress < at:
                passed = passed or i == fast
                break
            if i == fast:
                passed, met = progress > at, progress == at
            if any(block_holds(self.blocks[i], data) for data in instances(told, self.blocks[i])):
                held.add(i)
                continue
            if progress > at or i == fast and passed:
                self.over = not first
                return False
            break
        else:
            self.over = not (first and passed)
            if first and passed and positive:
                self.over = False               # its pattern will not be looked for again: nothing need be remembered
            return True
        if not first or held or not met:
            self.remembered = held
        return False


def instances(told: dict[tuple[str, int], bytes], block: Block) -> list[bytes]:
    return [data for (buffer, _), data in sorted(told.items()) if buffer == block.buffer]


def block_holds(block: Block, data: bytes) -> bool:
    return all((step.pattern in data) != step.negated for step in block.steps)


def random_rule(choice: Random, sid: int) -> tuple[RulePlan, int]:
    direction = choice.randrange(2)
    made = plan([], sid=sid, proto="http")
    for buffer in choice.sample(BUFFERS[direction], choice.randint(1, 3)):
        made.blocks.append(Block(buffer, [Content(choice.choice(WORDS), negated=choice.random() < 0.2)]))
    return made, direction


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_against_naive(seed):
    choice = Random(seed)
    rules = [random_rule(choice, sid) for sid in range(1, 16)]
    trial = TransactionTrial(compile_rules([made for made, _ in rules]))
    readings: list[list[Reading]] = []
    told: list[tuple[dict[tuple[str, int], bytes], dict[tuple[str, int], bytes]]] = []
    progress: list[list[int]] = []
    inspected: list[list[int]] = []
    for _ in range(30):
        if not progress or len(progress) < 3 and choice.random() < 0.2:
            trial.transaction()
            readings.append([Reading(made.blocks, direction) for made, direction in rules])
            told.append(({}, {}))
            progress.append([0, 0])
            inspected.append([0, 0])
        tx, direction = choice.randrange(len(progress)), choice.randrange(2)
        if choice.random() < 0.5:
            progress[tx][direction] = min(COMPLETE, progress[tx][direction] + choice.randint(1, 2))
            trial.progress(tx, direction, progress[tx][direction])
        for buffer in choice.sample(BUFFERS[direction], 2):
            index = choice.randrange(2) if buffer.endswith("_header") and (buffer, 0) in told[tx][direction] else 0
            data = b"".join(choice.choices(WORDS, k=choice.randint(1, 2)))
            told[tx][direction][buffer, index] = data
            trial.tell(tx, direction, buffer, data, index=index)
        expected = []
        for at in range(len(progress)):
            if inspected[at][direction] < COMPLETE:
                for number, reading in enumerate(readings[at]):
                    if reading.direction == direction and reading.inspect(told[at][direction], progress[at][direction],
                                                                          inspected[at][direction]):
                        expected.append((number, at))
                inspected[at][direction] = progress[at][direction]
        assert [(rule, at) for rule, at, _ in trial.inspect(PACKETS[direction], direction)] == sorted(
            expected, key=lambda one: (one[0], -one[1]))
