"""The conditions and steps of a plan as ops."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_EVENTS, PROTOCOL_NUMBERS
from fastpath.rules import program as p
from fastpath.rules.fastpattern import probes
from fastpath.rules.plan import (
    AddressSet,
    AppEvent,
    AppProtocol,
    Asn1,
    Base64Decode,
    Bits,
    Block,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Clock,
    Condition,
    Content,
    FileIs,
    FlowAge,
    Flowbits,
    Flowint,
    FlowState,
    FlowvarIs,
    HasEvent,
    HasRank,
    InDataset,
    Interface,
    IsDataAt,
    Keep,
    Number,
    NumberIs,
    Pcre,
    Presence,
    Reputation,
    Size,
    Step,
    StoreFiles,
    StreamSize,
    Transform,
    Unlog,
    Validate,
    Value,
    Xbits,
)
from fastpath.rules.state import flowvar_op, text_name, variable_op


class Spans(Protocol):
    def span(self, numbers: Iterable[int]) -> tuple[int, int]: ...


class Addresses(Protocol):
    def listed(self, addresses: AddressSet) -> int: ...


class Assembler:
    """Writes programs. What several share (patterns, expressions, transforms, the empty program) is written once."""

    def __init__(self, lists: Spans, sets: Addresses, event_codes: Mapping[str, int], names: Sequence[str] = (),
                 changed: Iterable[str] = ()) -> None:
        """names: those that are numbered already. changed: the data sets that some rule changes."""
        self.chains: list[tuple[int, int]] = []
        self.transforms: list[tuple[int, int, tuple[int, int]]] = []
        self.known_chains: dict[tuple[Transform, ...], int] = {}
        self.ops = bytearray()
        self.bytes = bytearray()
        self.numbers: list[tuple[int, int]] = []
        self.expressions: list[tuple[int, int, int, int]] = []
        self.names: dict[str, int] = {name: i for i, name in enumerate(names)}
        self.lists, self.sets = lists, sets
        self.event_codes = event_codes
        self.changed = frozenset(changed) | {name.removeprefix("dataset ") for name in names if name.startswith("dataset ")}
        self.known_bytes: dict[bytes, int] = {}
        self.known_expressions: dict[tuple[bytes, int], int] = {}
        self.empty: int | None = None
        self.origins: dict[int, object] = {}    # op -> the block, step or condition that it is made of

    def program(self, conditions: Sequence[Condition], blocks: Sequence[Block]) -> int:
        """Writes one program and returns where it starts."""
        return self.programs(conditions, blocks, ())[0]

    def programs(self, conditions: Sequence[Condition], blocks: Sequence[Block], apart: Sequence[Block]) -> tuple[int, list[int]]:
        """Writes one program and, each for itself, the blocks that are run over transactions; returns where each starts."""
        if not conditions and not blocks and not apart and self.empty is not None:
            return self.empty, []
        decoded = [block for block in blocks if block.buffer == "base64_data"]
        values: dict[str, int] = {}
        for block in (*blocks, *apart):
            number(block.steps, values)
        base64 = self.block(decoded[0], values, p.NOTHING) if decoded else p.NOTHING
        starts = [self.block(block, values, base64) for block in apart]
        start = self.here()
        for condition in conditions:
            if not isinstance(condition, Asn1 | Xbits):
                self.origins[self.here()] = condition
                self.ops += self.condition(condition)
        for block in blocks:
            if block.buffer != "base64_data":
                self.block(block, values, base64)
        for condition in conditions:        # asked once the blocks hold: who asks for a bit whose time is over takes it away
            if isinstance(condition, Asn1 | Xbits):
                self.origins[self.here()] = condition
                self.ops += variable_op(condition, self.names)
        self.ops += p.PLAIN_OP.pack(p.OP_MATCH, 0, 0)
        if not conditions and not blocks and not apart:
            self.empty = start
        return start, starts

    def here(self) -> int:
        return len(self.ops) // 32

    def block(self, block: Block, values: dict[str, int], base64: int) -> int:
        start = self.here()
        follow = [any_relative_after(block.steps, i) for i in range(len(block.steps))]
        buffer = p.BUFFERS[block.buffer] if block.buffer in p.BUFFERS else APP_BUFFERS[block.buffer][0]
        self.ops += p.BLOCK_OP.pack(p.OP_BLOCK, 0, buffer, start + len(block.steps) + 2, self.chain(block.transforms))
        limit = limits(block.steps, values)
        self.origins[start] = block
        for i, step in enumerate(block.steps):
            self.origins[self.here()] = step
            self.ops += self.step(step, block.buffer, follow[i], limit[i], values, base64)
        self.ops += p.PLAIN_OP.pack(p.OP_END, 0, 0)
        return start

    def chain(self, transforms: tuple[Transform, ...]) -> int:
        """The number of a chain of transforms."""
        if not transforms:
            return p.NOTHING
        if transforms not in self.known_chains:
            self.known_chains[transforms] = len(self.chains)
            self.chains.append((len(self.transforms), len(transforms)))
            for one in transforms:
                key, expression = (0, 0), 0
                if one.name == "pcrexform":
                    expression = self.expression(one.argument, 0)
                elif one.argument:
                    key = self.text(one.argument), len(one.argument)
                self.transforms.append((p.TRANSFORMS[one.name], expression, key))
        return self.known_chains[transforms]

    def expression(self, text: bytes, options: int) -> int:
        key = text, options
        if key not in self.known_expressions:
            self.known_expressions[key] = len(self.expressions)
            self.expressions.append((self.text(text), len(text), options, 0))
        return self.known_expressions[key]

    def ranges(self, ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Number ranges as a span."""
        first = len(self.numbers)
        self.numbers += ranges
        return first, len(ranges)

    def text(self, data: bytes) -> int:
        if data not in self.known_bytes:
            self.known_bytes[data] = len(self.bytes)
            self.bytes += data
        return self.known_bytes[data]

    def flowbits(self, names: Iterable[str]) -> tuple[int, int]:
        return self.lists.span([self.names.setdefault(name, len(self.names)) for name in names])

    def condition(self, condition: Condition) -> bytes:
        if isinstance(condition, Number):
            return p.NUMBER_OP.pack(p.OP_NUMBER, 0, p.FIELDS[condition.field], *self.ranges(condition.ranges))
        if isinstance(condition, Bits):
            return p.BITS_OP.pack(p.OP_BITS, 0, p.FIELDS[condition.field], p.BITS_MODES[condition.mode], condition.value,
                                  condition.ignore)
        if isinstance(condition, Flowbits):
            return p.FLOWBITS_OP.pack(p.OP_FLOWBITS, 0, p.FLOWBITS_OPS[condition.op], *self.flowbits(condition.names))
        if isinstance(condition, HasEvent):
            return p.PLAIN_OP.pack(p.OP_EVENT, 0, self.event_codes[condition.name])
        if isinstance(condition, FlowState):
            state = {"": 0, "to_server": p.STATE_TO_SERVER, "to_client": p.STATE_TO_CLIENT}[condition.direction]
            state |= {"": 0, "stateless": 0, "established": p.STATE_ESTABLISHED,
                      "not_established": p.STATE_NOT_ESTABLISHED}[condition.state]
            state |= {"": 0, "only_frag": p.STATE_REASSEMBLED, "no_frag": p.STATE_NOT_REASSEMBLED}[condition.frag]
            if condition.state == "stateless" or condition.stream == "only_stream" or condition.stream and condition.direction:
                state |= p.STATE_FLOW
            return p.PLAIN_OP.pack(p.OP_FLOW, 0, state)
        if isinstance(condition, AppProtocol):
            first, second = app_numbers(condition.name)
            return p.PLAIN_OP.pack(p.OP_APP_PROTO, p.NEGATED if condition.negated else 0, first | second << 8)
        if isinstance(condition, AppEvent):
            return p.PLAIN_OP.pack(p.OP_APP_EVENT, 0, APP_EVENTS[condition.proto, condition.name])
        if isinstance(condition, StreamSize):
            return p.NUMBER_OP.pack(p.OP_STREAM_SIZE, 0, p.SIDES[condition.side], *self.ranges(compared(condition.op, condition.size)))
        if isinstance(condition, FlowAge):
            return p.NUMBER_OP.pack(p.OP_FLOW_AGE, 0, 0, *self.ranges(condition.ranges))
        if isinstance(condition, Flowint | Keep | StoreFiles | Unlog):
            return variable_op(condition, self.names)
        if isinstance(condition, FlowvarIs):
            return flowvar_op(condition, self.names, self.text(condition.pattern))
        if isinstance(condition, Reputation):
            return p.NUMBER_OP.pack(p.OP_REPUTATION, 0, p.REPUTATION_SIDES[condition.side], self.sets.listed(condition.addresses), 0)
        if isinstance(condition, Presence):
            return self.presence(condition)
        raise ValueError(f"{condition!r} has no compiled form")

    def presence(self, condition: Presence) -> bytes:
        flags = p.NEGATED if condition.negated else 0
        kind, _, option = condition.what.partition(":")
        if kind == "sameip":
            return p.PLAIN_OP.pack(p.OP_SAMEIP, flags, 0)
        if kind == "ipopts":
            return p.PLAIN_OP.pack(p.OP_IPOPT, flags, p.IPOPTS[option])
        raise ValueError(f"{condition.what!r} has no compiled form")

    def step(self, step: Step, block: str, relative_next: bool, limit: tuple[int, int | None], values: dict[str, int],
             base64: int) -> bytes:
        flags = p.NEGATED if getattr(step, "negated", False) else 0
        flags |= p.RELATIVE if getattr(step, "relative", False) else 0
        if isinstance(step, Content):
            return self.content(step, flags | (p.HAS_RELATIVE_NEXT if relative_next else 0), limit, values)
        if isinstance(step, Pcre):
            options = sum(p.EXPRESSION_OPTIONS[letter] for letter in set(step.options)) | p.EXPRESSION_NAMED_ONLY * step.named_only
            captures = self.lists.span(n for what, name in step.captures for n in (p.CAPTURES[what], text_name(what, name, self.names)))
            return p.PCRE_OP.pack(p.OP_PCRE, flags | (p.HAS_RELATIVE_NEXT if relative_next else 0),
                                  self.expression(step.expression, options), *captures)
        if isinstance(step, IsDataAt):
            at, var = operand(step.at, p.VALUE_VAR, values)
            return p.ISDATAAT_OP.pack(p.OP_ISDATAAT, flags | var, at)
        if isinstance(step, Base64Decode):
            if block == "base64_data":
                raise ValueError("base64_decode over base64_data has no compiled form")
            return p.BASE64_OP.pack(p.OP_BASE64, flags, step.bytes, step.offset, base64)
        if isinstance(step, Size):
            return p.NUMBER_OP.pack(p.OP_SIZE, 0, 0, *self.ranges(step.ranges))
        if isinstance(step, NumberIs):
            return p.NUMBER_OP.pack(p.OP_VALUE, flags, 0, *self.ranges(step.ranges))
        if isinstance(step, InDataset | HasRank):
            return self.dataset(step, flags)
        if isinstance(step, Validate):
            return p.PLAIN_OP.pack(p.OP_VALIDATE, 0, p.VALIDATORS[step.kind] | step.count - 1 << p.VALIDATOR_BITS)
        if isinstance(step, Clock):
            return p.PLAIN_OP.pack(p.OP_CLOCK, 0, int(step.passed))
        if isinstance(step, Interface):
            return p.INTERFACE_OP.pack(p.OP_INTERFACE, p.INTERFACE_ANY_FRAG if step.any_frag else 0, self.text(step.uuid),
                                       *self.ranges(step.versions))
        if isinstance(step, FileIs):
            single = step.what in ("extension", "name")
            texts = step.texts[0].lower() if single else b"".join(sorted(step.texts))
            return p.FILE_OP.pack(p.OP_FILE, flags, p.FILE_IS[step.what], *self.ranges(step.ranges), self.text(texts),
                                  len(texts) if single else len(step.texts))
        if isinstance(step, ByteTest | ByteJump | ByteExtract | ByteMath):
            return self.byte(step, flags, values)
        raise ValueError(f"{step!r} has no compiled form")

    def dataset(self, step: InDataset | HasRank, flags: int) -> bytes:
        """The entries, sorted: place and length of each in SECTION_BYTES, and its rank."""
        entries = self.lists.span(n for entry, rank in step.dataset.entries for n in (self.text(entry), len(entry), rank))
        what, value = (step.change, 0) if isinstance(step, InDataset) else (step.op, step.rank)
        known, name = step.dataset, 0
        if known.name in self.changed:
            flags |= p.DATASET_CHANGES
            name = self.names.setdefault(f"dataset {known.name}", len(self.names))
        return p.DATASET_OP.pack(p.OP_DATASET, flags, p.DATASET_OPS[what], *entries, value, name, known.memcap >> 10,
                                 p.DATASET_KINDS[known.kind])

    def content(self, step: Content, flags: int, limit: tuple[int, int | None], values: dict[str, int]) -> bytes:
        floor, reach = limit
        offset, var = operand(step.offset or floor, p.OFFSET_VAR, values)
        flags |= var
        depth = 0
        if step.startswith:
            flags |= p.HAS_DEPTH
            depth = len(step.pattern)
        elif reach is not None:
            flags |= p.HAS_DEPTH
            depth = reach
        elif step.depth is not None:
            depth, var = operand(step.depth, p.DEPTH_VAR, values)
            flags |= p.HAS_DEPTH | var
            if flags & p.OFFSET_VAR and not var:
                depth += offset     # Suricata adds the number of the variable
        distance, var = operand(step.distance or 0, p.DISTANCE_VAR, values)
        flags |= var | (p.HAS_DISTANCE if step.distance is not None else 0)
        within, var = operand(step.within or 0, p.WITHIN_VAR, values)
        flags |= var | (p.HAS_WITHIN if step.within is not None else 0)
        flags |= p.CONTENT_ENDSWITH if step.endswith else 0
        if not step.relative and not flags & p.HAS_RELATIVE_NEXT and step.offset is None and not flags & p.HAS_DEPTH:
            flags |= p.CONTENT_ALONE
        pattern = step.pattern.lower() if step.nocase else step.pattern
        flags |= p.CONTENT_NOCASE if step.nocase else 0
        return p.CONTENT_OP.pack(p.OP_CONTENT, flags, self.text(pattern), len(pattern), offset, depth, distance, within,
                                 *probes(pattern))

    def byte(self, step: ByteTest | ByteJump | ByteExtract | ByteMath, flags: int, values: dict[str, int]) -> bytes:
        flags |= {"little": p.LITTLE_ENDIAN_BYTES, "dce": p.DCE_BYTES, "big": 0}[step.endian]
        nbytes, var = operand(step.nbytes, p.NBYTES_VAR, values)
        flags |= var
        offset, var = operand(step.offset, p.BYTE_OFFSET_VAR, values)
        flags |= var
        bitmask = getattr(step, "bitmask", 0)
        flags |= p.HAS_BITMASK if bitmask else 0
        what = post = result = value = 0
        if isinstance(step, ByteTest):
            code, what = p.OP_BYTE_TEST, p.TESTS[step.op]
            value, var = operand(step.value, p.VALUE_VAR, values)
            flags |= var
        elif isinstance(step, ByteJump):
            code, what = p.OP_BYTE_JUMP, 4 if step.align else 0
            post, var = operand(step.post_offset, p.VALUE_VAR, values)
            flags |= var | (p.FROM_BEGINNING if step.from_beginning else 0) | (p.FROM_END if step.from_end else 0)
        elif isinstance(step, ByteExtract):
            code, what = p.OP_BYTE_EXTRACT, step.align
            result = values[step.name]
        else:
            code, what = p.OP_BYTE_MATH, p.MATHS[step.oper]
            value, var = operand(step.rvalue, p.VALUE_VAR, values)
            flags |= var
            result = values[step.result]
        return p.BYTE_OP.pack(code, flags, nbytes, step.base, what, result, offset, bitmask, post,
                              getattr(step, "multiplier", 1), value)


def app_numbers(name: str) -> tuple[int, int]:
    """The protocols that a rule means by a name: http is either version, DCERPC may be carried by SMB."""
    numbers = {"http": ("http", "http2"), "http1": ("http", "http"), "dcerpc": ("dcerpc", "smb")}.get(name, (name, name))
    return PROTOCOL_NUMBERS[numbers[0]], PROTOCOL_NUMBERS[numbers[1]]


def compared(op: str, value: int) -> list[tuple[int, int]]:
    """The numbers for which a comparison holds, as ranges."""
    top = 2**64 - 1
    ranges = {"<": (0, value - 1), "<=": (0, value), "=": (value, value), ">": (value + 1, top), ">=": (value, top)}
    if op == "!=":
        return [one for one in ((0, value - 1), (value + 1, top)) if one[0] <= one[1]]
    return [ranges[op]] if ranges[op][0] <= ranges[op][1] else []


def operand(value: Value, flag: int, values: Mapping[str, int]) -> tuple[int, int]:
    """A number and 0, or the number of a variable and the flag that says so."""
    return (values[value], flag) if isinstance(value, str) else (value, 0)


def number(steps: Iterable[Step], values: dict[str, int]) -> None:
    """Gives the variables of a block their numbers. byte_extract and byte_math count apart, each from 0 in each block, and
    so share places: the later one overwrites the earlier, as in Suricata."""
    extracted = reckoned = 0
    for step in steps:
        if isinstance(step, ByteExtract):
            values[step.name] = extracted
            extracted += 1
        elif isinstance(step, ByteMath):
            values[step.result] = reckoned
            reckoned += 1
    if max(extracted, reckoned) > p.VALUES_MAX:
        raise ValueError(f"more than {p.VALUES_MAX} variables in one rule")


def limits(steps: Sequence[Step], values: Mapping[str, int]) -> list[tuple[int, int | None]]:
    """For each relative content what Suricata derives from the contents before it: the offset before which it is not looked
    for, and how far behind the step before it ends at most.

    Both follow from the lengths and distances, save that a negated content without position counts as if it had been there,
    and that of a variable it is the number that is added up.
    """
    found: list[tuple[int, int | None]] = []
    end, chain = 0, None
    for step in steps:
        floor, reach = 0, None
        if not isinstance(step, Content):
            end, chain = 0, None
        elif not step.relative and step.offset is None and step.depth is None and not step.startswith:
            end, chain = len(step.pattern), None
        elif step.negated:
            end, chain = 0, None
        elif step.relative:
            if isinstance(step.distance, int):
                floor = max(end + step.distance, 0)
                end = floor + len(step.pattern)
            else:
                end = 0
            if chain is not None and step.within is not None:
                chain += operand(step.distance or 0, 0, values)[0] + operand(step.within, 0, values)[0]
                reach = chain if chain > 0 else None
            else:
                chain = None
        else:
            start = step.offset if isinstance(step.offset, int) else 0
            end = start + len(step.pattern)
            depth = len(step.pattern) if step.startswith else step.depth
            chain = start + depth if isinstance(depth, int) and not isinstance(step.offset, str) else None
        found.append((floor, reach))
    return found


def any_relative_after(steps: Sequence[Step], index: int) -> bool:
    """Is a later step relative to this content or pcre, with no other content or pcre between them? Only content and pcre
    look back over other steps; base64_decode does not look back; the rest look no further than to the step before."""
    if not isinstance(steps[index], (Content, Pcre)):
        return False
    for distance, step in enumerate(steps[index + 1:]):
        near = distance == 0 and not isinstance(step, Base64Decode)
        if getattr(step, "relative", False) and (near or isinstance(step, (Content, Pcre))):
            return True
        if isinstance(step, (Content, Pcre)):
            return False
    return False
