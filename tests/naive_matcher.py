"""A slow, plain reading of what a rule's steps mean, to hold the engine against: one function a step, recursion for the rest.

What looks odd is Suricata 7.0.10, found out by asking it: see the golden cases. pcre is Python's re, for expressions that both
read alike.
"""
from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace

from fastpath.rules.plan import (
    Base64Decode,
    Block,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Content,
    IsDataAt,
    Pcre,
    Step,
)

WORD = 2**64
STEP_LIMIT = 3000


class GivenUp(Exception):
    """No other place of an earlier step can help."""


@dataclass
class Run:
    """One block at work over one buffer."""
    steps: list[Step]
    data: bytes
    decoded_steps: list[Step]
    values: dict[str, int]
    taken: int = 0
    number: dict[str, int] = field(default_factory=dict)        # of a variable among those of its kind

    def value(self, value: int | str) -> int:
        """A number or a variable. byte_extract and byte_math share places by their order within their kind."""
        return self.values.get(self.number[value], 0) if isinstance(value, str) else value


def matches(blocks: list[Block], payload: bytes) -> bool:
    """Do the blocks over payload and base64_data hold?"""
    steps = [step for block in blocks if block.buffer == "payload" for step in block.steps]
    decoded = [step for block in blocks if block.buffer == "base64_data" for step in block.steps]
    steps, decoded = without_lost_endswith(folded(steps), folded(decoded))
    if not payload:
        return not steps
    run = Run(steps, payload, decoded, {})
    for part in (steps, decoded):
        for kind in (ByteExtract, ByteMath):
            names = [step.name if isinstance(step, ByteExtract) else step.result for step in part if isinstance(step, kind)]
            run.number.update({name: i for i, name in enumerate(names)})
    try:
        return holds(run, 0, 0)
    except GivenUp:
        return False


def folded(steps: list[Step]) -> list[Step]:
    """`isdataat:!1,relative` right behind a content is endswith."""
    out: list[Step] = []
    for step in steps:
        if step == IsDataAt(1, True, True) and out and isinstance(out[-1], Content):
            out[-1] = replace(out[-1], endswith=True)
        else:
            out.append(step)
    return out


def without_lost_endswith(steps: list[Step], decoded: list[Step]) -> tuple[list[Step], list[Step]]:
    """With negated contents only, the longest is the fast pattern, and an endswith of it is lost unless it has a position."""
    contents = [(part, i) for part in (steps, decoded) for i, step in enumerate(part) if isinstance(step, Content)]
    if contents and all(part[i].negated for part, i in contents):
        part, i = max(contents, key=lambda at: len(at[0][at[1]].pattern))
        content = part[i]
        bare = content.offset is content.depth is content.within is None and not content.startswith
        if bare and (content.distance is None or (content.distance == 0 and i == 0)):
            part[i] = replace(content, endswith=False)
    return steps, decoded


def holds(run: Run, index: int, cursor: int) -> bool:
    """Do the steps from `index` on hold, where the step before ended at `cursor`?"""
    if index == len(run.steps):
        return True
    run.taken += 1
    if run.taken == STEP_LIMIT:
        raise GivenUp
    step = run.steps[index]
    if isinstance(step, Content):
        return content_holds(run, index, step, cursor)
    if isinstance(step, Pcre):
        return pcre_holds(run, index, step, cursor)
    if isinstance(step, Base64Decode):
        return base64_holds(run, step, cursor)
    if isinstance(step, IsDataAt):
        at = run.value(step.at)
        there = cursor + at <= len(run.data) if step.relative else at < len(run.data)
        return there != step.negated and holds(run, index + 1, cursor)
    found = number_at(run, step, cursor)
    if found is None:
        return False
    number, start, width = found
    if isinstance(step, ByteTest):
        return byte_test(run, step, number) and holds(run, index + 1, cursor)
    if isinstance(step, ByteJump):
        target = jump_target(run, step, number, start + width)
        return target <= len(run.data) and holds(run, index + 1, max(target, 0))
    if isinstance(step, ByteExtract):
        number = number * step.multiplier % WORD
        if step.align and number % step.align:
            number += step.align - number % step.align
        run.values[run.number[step.name]] = number % WORD
        return holds(run, index + 1, start + width)
    assert isinstance(step, ByteMath)
    result = calculate(run, step, number)
    if result is None:
        return False
    run.values[run.number[step.result]] = masked(result, step.bitmask)
    return holds(run, index + 1, start + width)


# ---- content ----

def content_holds(run: Run, index: int, content: Content, cursor: int) -> bool:
    start, end = window(run, index, content, cursor)
    data, pattern = (run.data.lower(), content.pattern.lower()) if content.nocase else (run.data, content.pattern)
    if content.endswith and end < len(data):
        places = []
    else:
        places = [at for at in range(start, end - len(pattern) + 1) if data.startswith(pattern, at)]
    if content.negated:
        if places and (not content.endswith or places[0] + start + len(pattern) == len(data)):
            alone = not content.relative and not looked_back_at(run.steps, index)
            if alone and content.offset is content.depth is None and not content.startswith:
                raise GivenUp
            return False
        return holds(run, index + 1, cursor)
    if content.endswith:
        places = [at for at in places if at + len(pattern) == len(data)]
    for at in places:
        if holds(run, index + 1, at + len(pattern)):
            return True
        if not looked_back_at(run.steps, index) or index + 1 == len(run.steps):
            raise GivenUp
    if not content.relative and not isinstance(content.offset, str) and not isinstance(content.depth, str):
        raise GivenUp
    return False


def window(run: Run, index: int, content: Content, cursor: int) -> tuple[int, int]:
    """From where to where a content may lie."""
    length = len(run.data)
    if not content.relative:
        start = run.value(content.offset or 0)
        end = length
        if content.startswith:
            end = min(end, len(content.pattern))
        elif content.depth is not None:
            depth = run.value(content.depth)
            if isinstance(content.offset, str) and not isinstance(content.depth, str):
                depth += run.number[content.offset]
            end = min(end, start + depth)
        return start, end
    distance = signed(run.value(content.distance)) if isinstance(content.distance, str) else content.distance or 0
    floor, reach = derived(run, index)
    start = max(cursor + distance, 0, floor)
    if isinstance(content.distance, str):
        distance = 2 * distance + cursor
    end = length
    if content.within is not None and 0 <= cursor + distance + signed(run.value(content.within), 64) < length:
        end = cursor + distance + signed(run.value(content.within), 64)
    return start, min(end, cursor + reach) if reach is not None else end


def signed(value: int, bits: int = 32) -> int:
    """As a C integer of so many bits."""
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value


def derived(run: Run, index: int) -> tuple[int, int | None]:
    """What the contents right before say about this relative one: the first place where it can be, and how far from the
    cursor it can end. Only what a chain of contents says, the variables in it taken by their number."""
    end, chain, floor, reach = 0, None, 0, None
    for step in run.steps[:index + 1]:
        floor, reach = 0, None
        if not isinstance(step, Content):
            end, chain = 0, None
            continue
        placed = step.offset is not None or step.depth is not None or step.startswith
        if not step.relative and not placed:
            end, chain = len(step.pattern), None
        elif step.negated:
            end, chain = 0, None
        elif not step.relative:
            first = step.offset if isinstance(step.offset, int) else 0
            depth = len(step.pattern) if step.startswith else step.depth
            end = first + len(step.pattern)
            chain = first + depth if isinstance(depth, int) and not isinstance(step.offset, str) else None
        else:
            if isinstance(step.distance, int):
                floor = max(end + step.distance, 0)
                end = floor + len(step.pattern)
            else:
                end = 0
            if chain is not None and step.within is not None:
                chain += sum(run.number[v] if isinstance(v, str) else v for v in (step.distance or 0, step.within))
                reach = chain if chain > 0 else None
            else:
                chain = None
    return floor, reach


def looked_back_at(steps: list[Step], index: int) -> bool:
    """Does a later step start where this one ends? content and pcre look back over other steps, the rest at the last only."""
    for i, step in enumerate(steps[index + 1:], index + 1):
        relative = getattr(step, "relative", False) and not isinstance(step, Base64Decode)
        if isinstance(step, (Content, Pcre)):
            return relative
        if relative and i == index + 1:
            return True
    return False


# ---- pcre, base64 ----

def pcre_holds(run: Run, index: int, pcre: Pcre, cursor: int) -> bool:
    flags = sum({"i": re.I, "m": re.M, "s": re.S, "x": re.X}.get(letter, 0) for letter in set(pcre.options))
    base = cursor if pcre.relative else 0
    pattern = re.compile(pcre.expression, flags)
    subject, start = run.data[base:], 0
    while start <= len(subject):
        found = pattern.search(subject, start)
        if pcre.negated:
            return found is None and holds(run, index + 1, cursor)
        if found is None:
            return False
        if holds(run, index + 1, base + found.end()):
            return True
        if not looked_back_at(run.steps, index) or index + 1 == len(run.steps):
            return False
        start = found.start() + 1
    return False


def base64_holds(run: Run, step: Base64Decode, cursor: int) -> bool:
    """Decodes; what base64_data asks goes on from the same cursor. The steps behind it are never looked at."""
    start = step.offset + (cursor if step.relative else 0)
    if start >= len(run.data):
        return False
    decoded = decode(run.data[start:start + step.bytes] if step.bytes else run.data[start:])
    if not decoded or not run.decoded_steps:
        return False
    inner = Run(run.decoded_steps, decoded, [], run.values, run.taken, run.number)
    found = holds(inner, 0, cursor)
    run.taken = inner.taken
    return found


def decode(data: bytes) -> bytes:
    text = re.match(rb"[A-Za-z0-9+/=]*", data)[0]
    out = b""
    for i in range(0, len(text), 4):
        four = text[i:i + 4]
        three = base64.b64decode(four.replace(b"=", b"A").ljust(4, b"A"))
        if len(four) == 4:
            out += three[:max(3 - four.count(b"="), 0)]
        elif len(four) > 1:
            out += three[:len(four) - 1]
        elif len(text) < len(data):
            out += three[:1]
    return out


# ---- numbers ----

def number_at(run: Run, step, cursor: int) -> tuple[int, int, int] | None:
    """The number of a byte_* step, where it starts and how many bytes it took."""
    start = run.value(step.offset)
    start = start - WORD if start >= WORD // 2 else start
    width = run.value(step.nbytes)
    if step.relative:
        if cursor >= len(run.data) and width:
            return None
        start += cursor
    if not 0 <= start <= len(run.data) or width > len(run.data) - start:
        return None
    if isinstance(step, ByteTest) and step.relative and start == len(run.data):
        return None
    raw = run.data[start:start + width]
    if not step.base:
        number = int.from_bytes(raw, step.endian) if width <= 8 else None
        taken = width
    else:
        raw = raw if width else run.data[start:start + 23]
        number, taken = numeral(raw, step.base)
    if number is None:
        return None
    if isinstance(step, (ByteTest, ByteJump)):
        number = masked(number, step.bitmask)
    return number, start, taken


def numeral(raw: bytes, base: int) -> tuple[int | None, int]:
    """As strtoull reads it."""
    digits = {8: b"[0-7]+", 10: b"[0-9]+", 16: b"(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+"}[base]
    found = re.match(rb"[ \t\n\v\f\r]*([+-]?)(" + digits + rb")", raw) if len(raw) <= 23 else None
    if found is None:
        return None, 0
    number = int(found[2], base)
    if number >= WORD:
        return None, 0
    return (-number if found[1] == b"-" else number) % WORD, found.end()


def masked(number: int, bitmask: int) -> int:
    if not bitmask:
        return number
    return (number & bitmask) // (bitmask & -bitmask)


def byte_test(run: Run, step: ByteTest, number: int) -> bool:
    value = run.value(step.value)
    result = {"<": number < value, ">": number > value, "=": number == value, "<=": number <= value, ">=": number >= value,
              "&": number & value != 0, "^": number ^ value != 0}[step.op]
    return result != step.negated


def jump_target(run: Run, step: ByteJump, number: int, behind: int) -> int:
    number = number * step.multiplier % WORD
    if step.align and number % 4:
        number += 4 - number % 4
    number += run.value(step.post_offset)
    target = (number if step.from_beginning else len(run.data) + number if step.from_end else behind + number) % WORD
    return target - WORD if target >= WORD // 2 else target


def calculate(run: Run, step: ByteMath, number: int) -> int | None:
    by = run.value(step.rvalue)
    if step.oper == "/":
        return number // by if by else None
    return {"+": number + by, "-": number - by, "*": number * by, "<<": number << min(by, 64), ">>": number >> (by & 63)}[step.oper] % WORD
