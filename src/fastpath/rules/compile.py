"""Plans -> the blob that the data plane matches with.

Rules are put into the order in which Suricata inspects them, each becomes a program of fixed-size ops, groups say which of
them an entry can meet, and one Hyperscan database a set of patterns finds the few that are worth a program.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from fastpath.dataplane.applayer.tables import APP_BUFFERS, MANY_OF
from fastpath.dataplane.match.database import Database
from fastpath.dataplane.match.prefilter import compile_literals
from fastpath.rules import program as p
from fastpath.rules.apps import CARRIERS, AppRule, app_names, app_tables, engines_of, on_transactions
from fastpath.rules.fastpattern import Pattern, choose, choose_in, chosen_block, literal
from fastpath.rules.groups import SPARE, TO_CLIENT, TO_SERVER, Groups, group
from fastpath.rules.plan import (
    AddressSet,
    AppEvent,
    AppProtocol,
    Bits,
    Block,
    Content,
    FlowAge,
    Flowbits,
    Flowint,
    FlowState,
    FlowvarIs,
    HasEvent,
    HasRank,
    InDataset,
    IsDataAt,
    Number,
    Pcre,
    PortSet,
    Presence,
    Reputation,
    RulePlan,
    StreamSize,
    Threshold,
    Xbits,
)
from fastpath.rules.shapes import SELDOM, TOGETHER, Shape, often, seldomest, shape_of, tables
from fastpath.rules.steps import Assembler

#: rule protocol -> (IP protocols or None for all, flags)
PROTOCOLS: dict[str, tuple[tuple[int, ...] | None, int]] = {
    "ip": (None, 0), "pkthdr": (None, 0), "ipv4": (None, p.RULE_IPV4), "ip4": (None, p.RULE_IPV4),
    "ipv6": (None, p.RULE_IPV6), "ip6": (None, p.RULE_IPV6), "tcp": ((6,), 0), "tcp-pkt": ((6,), p.RULE_PACKET),
    "tcp-stream": ((6,), p.RULE_STREAM), "udp": ((17,), 0), "icmp": ((1, 58), 0), "icmpv4": ((1,), 0), "icmpv6": ((58,), 0),
    "sctp": ((132,), 0), **{name: (carriers, 0) for name, carriers in CARRIERS.items()},
}
#: A data set that is written to a file: its name, the number of that, its kind, the file, the entries that were loaded.
SavedSet = tuple[str, int, str, str, list[bytes]]
#: Suricata's priority of a rule that names none and whose class is not known.
DEFAULT_PRIORITY = 3
ACTION_ORDER = ("pass", "drop", "reject", "alert")
_RANKED_AS = {"config": "alert", "rejectsrc": "reject", "rejectdst": "reject", "rejectboth": "reject"}
STEP_LIMIT = 3000


HEADERS = ("ipv4.hdr", "ipv6.hdr", "tcp.hdr", "udp.hdr", "icmpv4.hdr", "icmpv6.hdr")


class Lists:
    """SECTION_LISTS: lists of numbers, each written once."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.known: dict[tuple[int, ...], tuple[int, int]] = {(): (0, 0)}

    def span(self, numbers: Iterable[int]) -> tuple[int, int]:
        key = tuple(numbers)
        if key not in self.known:
            self.known[key] = len(self.values), len(key)
            self.values += key
        return self.known[key]


class Sets:
    """Address and port sets, each written once."""

    def __init__(self) -> None:
        self.v4: list[tuple[int, int]] = []
        self.v6: list[tuple[list[int], list[int]]] = []
        self.addresses: dict[AddressSet, int] = {}
        self.address_spans: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self.ports: dict[PortSet, int] = {}
        self.port_spans: list[tuple[int, int]] = []
        self.port_ranges: list[tuple[int, int]] = []

    def address(self, addresses: AddressSet) -> int:
        return p.NOTHING if addresses.is_any else self.listed(addresses)

    def listed(self, addresses: AddressSet) -> int:
        """The set as it is written, even that of all addresses."""
        if addresses not in self.addresses:
            self.addresses[addresses] = len(self.address_spans)
            self.address_spans.append(((len(self.v4), len(addresses.v4)), (len(self.v6), len(addresses.v6))))
            self.v4 += addresses.v4
            self.v6 += [(words(low), words(high)) for low, high in addresses.v6]
        return self.addresses[addresses]

    def port(self, ports: PortSet) -> int:
        if ports.is_any:
            return p.NOTHING
        if ports not in self.ports:
            self.ports[ports] = len(self.port_spans)
            self.port_spans.append((len(self.port_ranges), len(ports.ranges)))
            self.port_ranges += ports.ranges
        return self.ports[ports]


def words(address: int) -> list[int]:
    return [address >> 64, address & 2**64 - 1]


def directions(plan: RulePlan) -> list[tuple[AddressSet, PortSet, AddressSet, PortSet]]:
    """The header of a rule, and the same turned round where the rule goes both ways."""
    there = (plan.src, plan.sport, plan.dst, plan.dport)
    back = (plan.dst, plan.dport, plan.src, plan.sport)
    return [there, back] if plan.bidirectional and there != back else [there]


def way_of(plan: RulePlan) -> int | None:
    """The one direction that the flow keyword asks for."""
    for condition in plan.conditions:
        if isinstance(condition, FlowState) and condition.direction:
            return TO_SERVER if condition.direction == "to_server" else TO_CLIENT
    return None


def is_iponly(plan: RulePlan) -> bool:
    """Header alone: addresses, ports and protocol, bits and reputation of hosts, nothing asked of the packet or the flow."""
    asked = any(not (isinstance(c, Xbits | Reputation) or isinstance(c, Number) and c.field == "ip_proto") for c in plan.conditions)
    changed = any(not isinstance(a, Xbits) and (not isinstance(a, Flowbits) or a.op != "set") for a in plan.after)
    return not (plan.blocks or asked or plan.proto == "pkthdr" or app_names(plan) != (0, 0) or changed)


def asks(plan: RulePlan) -> bool:
    """Does the rule ask for more than a direction, its header and its protocol?"""
    return any(not isinstance(c, FlowState) or c.state or c.stream or c.frag for c in plan.conditions)


def is_event_only(plan: RulePlan) -> bool:
    return not plan.blocks and bool(plan.conditions) and all(isinstance(c, HasEvent) for c in plan.conditions)


def is_protocol_only(plan: RulePlan) -> bool:
    """app-layer-protocol with nothing that must be asked of each packet: it is answered once, when the protocol is found."""
    def harmless(condition: object) -> bool:
        return (isinstance(condition, AppProtocol) or isinstance(condition, Flowbits) and condition.op == "isset"
                or isinstance(condition, FlowState) and not (condition.state or condition.stream or condition.frag)
                or isinstance(condition, Number) and condition.field == "ip_proto")
    return (not plan.blocks and any(isinstance(c, AppProtocol) for c in plan.conditions)
            and all(harmless(c) for c in plan.conditions))


def inspects(plan: RulePlan) -> int:
    """RULE_PACKET and RULE_STREAM: what of a TCP flow the rule looks at."""
    flags = PROTOCOLS[plan.proto][1] & (p.RULE_PACKET | p.RULE_STREAM)
    for condition in plan.conditions:
        if isinstance(condition, FlowState):
            flags |= {"only_stream": p.RULE_STREAM, "no_stream": p.RULE_PACKET, "": 0}[condition.stream]
        elif isinstance(condition, Number | Bits | Presence | HasEvent | FlowAge):
            flags |= p.RULE_PACKET
    for block in plan.blocks:
        if block.buffer in HEADERS:
            flags |= p.RULE_PACKET
    if not flags and any(block.buffer == "payload" for block in plan.blocks):
        flags = p.RULE_STREAM
        if any(isinstance(condition, StreamSize) for condition in plan.conditions):
            flags |= p.RULE_PACKET
        for block in plan.blocks:
            if block.buffer == "payload" and any(
                    isinstance(step, Content) and (step.depth is not None or step.offset is not None or step.startswith)
                    for step in block.steps):
                flags |= p.RULE_PACKET
    return flags


def state_rank(plan: RulePlan) -> tuple[int, ...]:
    """Flowbits, then flowints, texts of the flow and of the packet: rules that set them run before those that do both, before those that
    read them, before the rest; of what sets texts only expressions over payload count. Then what sets hostbits before the rest, and what
    reads xbits before the rest: Suricata 7.0.10 looks no further."""
    captured = {what for block in plan.blocks if block.buffer == "payload" and not block.transforms for step in block.steps
                if isinstance(step, Pcre) for what, _ in step.captures}
    def rank(what: Callable[[object], bool]) -> int:
        reads, sets = any(what(each) for each in plan.conditions), any(what(each) for each in plan.after)
        return 0 if sets and not reads else 1 if sets else 2 if reads else 3
    def text_rank(what: str) -> int:
        reads, sets = any(isinstance(c, FlowvarIs) and c.packet == (what == "packet") for c in plan.conditions), what in captured
        return 0 if sets and not reads else 1 if sets else 2 if reads else 3
    return (rank(lambda each: isinstance(each, Flowbits)), rank(lambda each: isinstance(each, Flowint)), text_rank("flow"), text_rank("packet"),
            not any(isinstance(each, Xbits) and each.by_host for each in plan.after),
            not any(isinstance(each, Xbits) and not each.by_host for each in plan.conditions))


def ordered(plans: Sequence[RulePlan], priorities: Mapping[str, int],
            action_order: Sequence[str] = ACTION_ORDER) -> list[int]:
    """Indices of the plans in the order of inspection: of those that nothing else tells apart the lower sid first."""
    rank = {action: action_order.index(_RANKED_AS.get(action, action)) for action in p.KINDS}
    def key(index: int) -> tuple[int, tuple[int, ...], int, int, int, int]:
        plan = plans[index]
        priority = plan.priority if plan.priority is not None else priorities.get(plan.classtype, DEFAULT_PRIORITY)
        return rank[plan.action], state_rank(plan), priority, plan.sid, plan.order, index
    return sorted(range(len(plans)), key=key)


def threshold_row(threshold: Threshold | None, rows: list[tuple[int, ...]]) -> int:
    if threshold is None:
        return p.NOTHING
    rows.append((p.THRESHOLD_KINDS[threshold.kind], p.TRACKS[threshold.track], 0, threshold.count, threshold.seconds, 0))
    return len(rows) - 1


def suppressions(plan: RulePlan, lists: Lists, sets: Sets) -> int:
    """Where SECTION_LISTS tells whose alerts are hidden: how many, then a side and an address set each; NOTHING for none."""
    if not plan.suppressions:
        return p.NOTHING
    numbers = [n for each in plan.suppressions for n in (p.SUPPRESSIONS[each.track], sets.listed(each.addresses))]
    return lists.span([len(plan.suppressions), *numbers])[0]


def merged(blocks: Iterable[Block]) -> list[Block]:
    """One block a buffer: what a rule asks of a buffer in several places is asked in one go, but for buffers that there may be
    several of. `isdataat:!1,relative` behind a content is its endswith."""
    known: dict[object, Block] = {}
    for number, block in enumerate(blocks):
        many = APP_BUFFERS.get(block.buffer, (0, 0))[1] & MANY_OF
        key = number if many else (block.buffer, block.transforms)
        steps = known.setdefault(key, Block(block.buffer, [], block.transforms)).steps
        for step in block.steps:
            if step == IsDataAt(1, negated=True, relative=True) and steps and isinstance(steps[-1], Content):
                steps[-1] = replace(steps[-1], endswith=True)
            else:
                steps.append(step)
    return list(known.values())


def settled(blocks: list[Block]) -> list[Block]:
    """Blocks as Suricata inspects them: a rule without any content that must be there has a negated one, the longest, as
    its fast pattern, which counts wherever it is: its endswith is lost."""
    contents = [(block, i) for block in blocks for i, step in enumerate(block.steps) if isinstance(step, Content)]
    if not contents or not all(block.steps[i].negated for block, i in contents):
        return blocks
    block, i = max(contents, key=lambda at: len(at[0].steps[at[1]].pattern))
    content = block.steps[i]
    placed = content.within is not None or content.startswith or content.offset is not None or content.depth is not None
    if content.endswith and not placed and (content.distance is None or content.distance == 0 and i == 0):
        block.steps[i] = replace(content, endswith=False)
    return blocks


def mask(flags: Iterable[bool]) -> int:
    return sum(1 << i for i, flag in enumerate(flags) if flag)


def bits(members: int) -> list[int]:
    """The rules of a mask, rising."""
    text = bin(members)[:1:-1]
    return [i for i, bit in enumerate(text) if bit == "1"]


def iponly_tables(rules: Sequence[np.void], plans: Sequence[tuple[AddressSet, AddressSet]],
                  lists: Lists) -> tuple[list[tuple[list[int], tuple[int, int]]], list[tuple[int, int]], tuple[int, int]]:
    """Entries of SECTION_IPONLY, the four tables over them, and the rules without any address.

    A rule stands under its source; under its destination if its source is any.
    """
    entries: list[tuple[list[int], tuple[int, int]]] = []
    tables = []
    iponly = [i for i, rule in enumerate(rules) if rule["flags"] & p.RULE_IPONLY]
    for side in (0, 1):
        mine = [i for i in iponly if not plans[i][side].is_any and (side == 0 or plans[i][0].is_any)]
        for version, top in (("v4", 2**32), ("v6", 2**128)):
            change: dict[int, set[int]] = {}
            for i in mine:
                for low, high in getattr(plans[i][side], version):
                    change.setdefault(low, set()).symmetric_difference_update({i})
                    change.setdefault(high + 1, set()).symmetric_difference_update({i})
            first, members = len(entries), set()
            for low in sorted(change):
                members ^= change[low]
                if low < top:
                    entries.append((words(low), lists.span(sorted(members))))
            tables.append((first, len(entries) - first))
    anywhere = lists.span(i for i in iponly if plans[i][0].is_any and plans[i][1].is_any)
    return entries, tables, anywhere


#: pattern_set_t.reach
ANYWHERE = 0xFFFF


class Databases:
    """The Hyperscan databases, one a distinct set of patterns, and SECTION_PATTERNS."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists
        self.spans: list[tuple[int, int]] = []
        self.known: dict[tuple[Pattern, ...], int] = {}
        self.shapes: list[tuple[object, ...]] = []

    def pattern_set(self, behind: Mapping[FastPattern, Sequence[int]], within: int = ANYWHERE,
                    brief: bool = False) -> tuple[int, int, int, tuple[int, int], tuple[int, int]]:
        """A row of pattern_set_t: the rules behind each pattern. within: the bytes from the start where all of them must be found.
        brief: they are looked for in few bytes."""
        literals = sorted((one for one in behind if isinstance(one, Pattern)), key=lambda pattern: (pattern.text, pattern.nocase))
        looked_for: list[tuple[FastPattern, Shape]] = sorted(
            ((one, one) for one in behind if isinstance(one, Shape)), key=lambda pair: pair[1].classes)
        if len(behind) <= 2 * TOGETHER and (brief or within != ANYWHERE):
            looked_for += [(one, shape_of(one)) for one in literals]        # it takes longer to call Hyperscan
        else:
            # single bytes slow Hyperscan down, and shapes not at all where a table has room for them
            looked_for += [(one, shape_of(one)) for one in literals if len(one.text) == 1][:-len(looked_for) % TOGETHER]
        shapes = dict(looked_for)
        texts = tuple(one for one in literals if one not in shapes)
        if not behind:
            return p.NOTHING, 0, ANYWHERE, (0, 0), (0, 0)
        first, rows = len(self.spans), tables(list(enumerate(shapes.values(), len(texts))))
        self.spans += [self.lists.span(behind[one]) for one in (*texts, *shapes)]
        self.shapes += rows
        shortest = min([len(text.text) for text in texts] + [len(shape.classes) for shape in shapes.values()])
        return (self.known.setdefault(texts, len(self.known)) if texts else p.NOTHING, shortest, within, (first, len(behind)),
                (len(self.shapes) - len(rows), len(rows)))

    def serialized(self) -> list[bytes]:
        def compiled(texts: tuple[Pattern, ...]) -> bytes:
            return compile_literals([text.text for text in texts], [text.nocase for text in texts])
        order = sorted(self.known, key=len, reverse=True)         # the largest first: no thread is left alone with it
        with ThreadPoolExecutor(os.cpu_count()) as threads:       # Hyperscan compiles without the GIL
            made = dict(zip(order, threads.map(compiled, order), strict=True))
        return [made[texts] for texts in self.known]


#: What is looked for on behalf of a rule: a literal, by Hyperscan, or a shape.
FastPattern = Pattern | Shape


def fast_patterns(plan: RulePlan, blocks: Sequence[Block]) -> tuple[int | None, tuple[FastPattern, ...]]:
    """What must be found before a rule is looked at, one of several things, () for nothing; and, of a rule on transactions, in which of
    its blocks. It is of a content where there is one that is long enough or asked for, else of an expression."""
    if not on_transactions(plan):
        payload = next((block for block in blocks if block.buffer == "payload" and not block.transforms), None)
        return None, better(choose(blocks), payload) if payload is not None else ()
    fast = chosen_block(blocks)
    if fast is not None:
        pattern = choose_in(blocks[fast])
        return fast, better(pattern, blocks[fast]) if pattern is not None else ()
    # a rule without a content is looked at with every entry until it holds, or cannot any more; so that it comes to the same, nothing
    # that it asks of the entry may change from one to the next, and it begins with the block that it begins with anyway
    if len(blocks) == 1 and blocks[0].buffer in APP_BUFFERS and PROTOCOLS[plan.proto][0] == (6,) and all(map(is_lasting, plan.conditions)):
        found = better(None, blocks[0])
        return (0, found) if found else (None, ())
    return None, ()


#: Bytes of a content that is looked for whatever expressions ask for.
LONG_ENOUGH = 4


def better(pattern: Pattern | None, block: Block) -> tuple[FastPattern, ...]:
    """The pattern of a content of this block, or what its expressions ask for where that is seldomer."""
    asked = any(isinstance(step, Content) and step.fast_pattern for step in block.steps)
    if pattern is not None and (asked or len(pattern.text) >= LONG_ENOUGH):
        return (pattern,)
    chance, found = seldomest(block)
    if found and chance < (1 / SELDOM if pattern is None else often(pattern)):
        return found
    return () if pattern is None else (pattern,)


def is_lasting(condition: object) -> bool:
    """Does it hold for every entry of a direction of an established session, or for none?"""
    return (isinstance(condition, FlowState) and condition.state in ("", "established") and not condition.stream and not condition.frag
            or isinstance(condition, Number) and condition.field == "ip_proto")


def reach(blocks: Iterable[Block], patterns: Sequence[FastPattern]) -> int:
    """How many bytes from the start of the payload a rule's pattern must be found in; ANYWHERE where it is not known."""
    bounds = [ANYWHERE]
    for step in (step for block in blocks if block.buffer == "payload" and not block.transforms for step in block.steps):
        if not isinstance(step, Content) or step.negated or step.relative or (literal(step),) != tuple(patterns):
            continue
        if step.startswith:
            bounds.append(len(step.pattern))
        elif isinstance(step.depth, int) and isinstance(step.offset or 0, int):
            bounds.append(int(step.offset or 0) + step.depth)
    return min(bounds)


def group_rows(groups: Groups, patterns: Sequence[tuple[FastPattern, ...]], reaches: Sequence[int], flags: Sequence[int], made: Databases) -> list[tuple[Any, ...]]:
    """Rows of SECTION_GROUPS."""
    rows = []
    for members, tcp in zip(groups.members, groups.tcp, strict=True):
        packet: dict[FastPattern, list[int]] = {}
        stream: dict[FastPattern, list[int]] = {}
        bare, marked, payload, event = [], [], [], []
        for i in bits(members):
            asked = flags[i]
            if asked & p.RULE_EVENT:
                event.append(i)
            elif patterns[i]:
                for pattern in patterns[i]:
                    if tcp and asked & p.RULE_STREAM:
                        stream.setdefault(pattern, []).append(i)
                    if asked & p.RULE_PACKET or not (tcp and asked & p.RULE_STREAM):
                        packet.setdefault(pattern, []).append(i)
            elif asked & p.RULE_PAYLOAD:
                payload.append(i)
            else:
                (marked if asked & p.RULE_MARKED else bare).append(i)
        within = max((reaches[i] for behind in packet.values() for i in behind), default=ANYWHERE)
        rows.append((made.pattern_set(packet, within), made.pattern_set(stream), made.lists.span(bare), made.lists.span(marked),
                     made.lists.span(payload), made.lists.span(event)))
    return rows


def changed_sets(plans: Iterable[RulePlan]) -> set[str]:
    """The data sets that rules change, or that are written to files, by name."""
    return {step.dataset.name for plan in plans for block in plan.blocks for step in block.steps
            if isinstance(step, InDataset | HasRank) and (step.dataset.save or isinstance(step, InDataset) and step.change)}


def saved_sets(plans: Iterable[RulePlan], names: Mapping[str, int]) -> list[SavedSet]:
    """The data sets that are written to files at the end of a run: name, number of the name, kind, file, the entries loaded."""
    known = {step.dataset.name: step.dataset for plan in plans for block in plan.blocks for step in block.steps
             if isinstance(step, InDataset | HasRank) and step.dataset.save}
    return [(each.name, names[f"dataset {each.name}"], each.kind, each.save, [entry for entry, _ in each.entries])
            for each in known.values()]


def compile_blob(plans: Sequence[RulePlan], event_codes: Mapping[str, int], options: Mapping[str, Any] | None = None
                 ) -> tuple[bytes, list[str], list[SavedSet]]:
    """The blob of a rule set, its flowbit names by number, and the data sets to be saved. See compile_rules."""
    options = options or {}
    lists, sets, thresholds = Lists(), Sets(), []
    assembler = Assembler(lists, sets, event_codes, options.get("flowbits", ()), changed_sets(plans))
    assembler.origins = options.get("origins", assembler.origins)
    made = Databases(lists)
    rows, headers, protocols, ways, patterns, engines = [], [], [], [], [], []
    apps: list[tuple[int, AppRule, tuple[FastPattern, ...], tuple[int, int]]] = []
    reaches: list[int] = []
    for index in ordered(plans, options.get("priorities", {}), options.get("action_order", ACTION_ORDER)):
        plan = plans[index]
        if plan.proto not in PROTOCOLS:
            raise ValueError(f"{plan.place}: protocol {plan.proto!r} has no compiled form")
        known = PROTOCOLS[plan.proto][0]
        flags = rule_flags(plan)
        blocks = settled(merged(plan.blocks))
        flags |= p.RULE_PAYLOAD if any(block.buffer == "payload" for block in blocks) else 0
        of_headers = any(isinstance(one, Number | Bits) and one.field != "ip_proto" for one in plan.conditions)
        flags |= p.RULE_REAL if of_headers or not flags & (p.RULE_APP | p.RULE_PAYLOAD) and (app_names(plan) == (0, 0) or asks(plan)) else 0
        app = None
        if flags & p.RULE_APP:
            ours = [block for block in blocks if block.buffer in APP_BUFFERS or block.buffer == "payload"]
            fast, pattern = fast_patterns(plan, ours)
            conditions = [c for c in plan.conditions if not isinstance(c, AppEvent) or c.proto == "applayer"]
            ops, begins = assembler.programs(conditions, [block for block in blocks if block not in ours], ours)
            app = engines_of(plan, ours, begins, lambda block: assembler.chain(block.transforms), fast, way_of(plan))
            in_payload = fast is not None and pattern != () and ours[fast].buffer == "payload"
            flags |= p.RULE_FILE if app.looks_at_files else 0
        else:
            ops = assembler.program(plan.conditions, blocks)
            _, pattern = fast_patterns(plan, blocks)
        after = assembler.program(plan.after, ())
        threshold = threshold_row(plan.threshold, thresholds)
        detection_filter = threshold_row(plan.detection_filter, thresholds)
        suppressed = suppressions(plan, lists, sets)
        protos = (known[0], known[-1]) if known else (0, 0)
        first, count = len(engines), 0
        if app is not None:
            engines += app.engines
            count = len(app.engines)
        for src, sport, dst, dport in directions(plan):
            if app is not None and not in_payload:
                apps.append((len(rows), app, pattern, (sets.address(src), sets.address(dst))))
            rows.append((index, flags, ops, after, sets.address(src), sets.address(dst), sets.port(sport), sets.port(dport),
                         threshold, detection_filter, plan.sid, plan.gid, p.KINDS[plan.action], p.ACTIONS[plan.action],
                         *protos, *app_names(plan), count, first, suppressed))
            headers.append((src, sport, dst, dport))
            protocols.append(narrowed(plan, frozenset(known) if known else None))
            ways.append(way_of(plan))
            patterns.append(pattern)
            reaches.append(reach(blocks, pattern))
    rules = np.array(rows, p.RULE)
    flags = rules["flags"].tolist()
    event_only = mask(is_event_only(plans[index]) for index in rules["plan"])
    apart = {number for number, *_ in apps}
    grouped = [i for i in range(len(rows)) if not flags[i] & p.RULE_IPONLY and i not in apart]
    found = group(len(grouped), lambda i: protocols[grouped[i]], lambda i: ways[grouped[i]],
                  lambda i, way: headers[grouped[i]][1 if way == TO_CLIENT else 3].ranges,
                  mask(event_only >> i & 1 for i in grouped),
                  mask(is_heavy(flags[i], patterns[i]) for i in grouped), limits=options.get("groups", (64, 32)), spare=options.get("spare", SPARE))
    found.members = [mask_of(grouped, members) for members in found.members]
    groups = group_rows(found, patterns, reaches, flags, made)
    prefilters, app_rows = app_tables(apps, made.pattern_set, lists.span)
    serialized = made.serialized()
    entries, tables, anywhere = iponly_tables(rules, [(h[0], h[2]) for h in headers], lists)
    starts = [0, *accumulate(len(one) for one in serialized)]
    sections = {
        "RULES": rules, "OPS": np.frombuffer(bytes(assembler.ops), p.WIDTHS["OPS"]),
        "BYTES": np.frombuffer(bytes(assembler.bytes), np.uint8),
        "SETS": np.array(sets.address_spans, p.WIDTHS["SETS"]), "V4": np.array(sets.v4, p.WIDTHS["V4"]),
        "V6": np.array(sets.v6, p.WIDTHS["V6"]), "PORT_SETS": np.array(sets.port_spans, p.WIDTHS["PORT_SETS"]),
        "PORT_RANGES": np.array(sets.port_ranges, p.WIDTHS["PORT_RANGES"]),
        "NUMBERS": np.array(assembler.numbers, p.WIDTHS["NUMBERS"]), "GROUPS": np.array(groups, p.GROUP),
        "PROTOS": found.protos, "PORT_TABLES": found.ports, "PATTERNS": np.array(made.spans, p.WIDTHS["PATTERNS"]),
        "DATABASES": np.array([(start, len(one)) for start, one in zip(starts, serialized)], p.WIDTHS["DATABASES"]),
        "SERIALIZED": np.frombuffer(b"".join(serialized), np.uint8),
        "EXPRESSIONS": np.array(assembler.expressions, p.WIDTHS["EXPRESSIONS"]),
        "THRESHOLDS": np.array(thresholds, p.WIDTHS["THRESHOLDS"]), "IPONLY": np.array(entries, p.WIDTHS["IPONLY"]),
        "ENGINES": np.array(engines, p.WIDTHS["ENGINES"]), "PREFILTERS": np.array(prefilters, p.WIDTHS["PREFILTERS"]),
        "APPS": np.array(app_rows, p.WIDTHS["APPS"]), "CHAINS": np.array(assembler.chains, p.WIDTHS["CHAINS"]),
        "TRANSFORMS": np.array(assembler.transforms, p.WIDTHS["TRANSFORMS"]), "SHAPES": np.array(made.shapes, p.WIDTHS["SHAPES"]),
    }
    sections["LISTS"] = np.array(lists.values, np.uint32)
    blob = p.assemble(sections, plans=len(plans), flowbits=len(assembler.names),
                      step_limit=options.get("step_limit", STEP_LIMIT), iponly=tables, iponly_anywhere=anywhere)
    return blob, list(assembler.names), saved_sets(plans, assembler.names)


def rule_flags(plan: RulePlan) -> int:
    """The flags that follow from a rule as written."""
    known, flags = PROTOCOLS[plan.proto]
    flags = flags & ~(p.RULE_PACKET | p.RULE_STREAM) | inspects(plan)
    if is_iponly(plan):
        flags |= p.RULE_FLOW_ACTION
        if not plan.src.negated and not plan.dst.negated:
            flags |= p.RULE_IPONLY
    if is_protocol_only(plan):
        flags |= p.RULE_PROTO_ONLY | p.RULE_FLOW_ACTION
    elif app_names(plan) != (0, 0) and not plan.blocks and not plan.conditions:
        flags |= p.RULE_FLOW_ACTION
    flags |= p.RULE_APP if on_transactions(plan) else 0
    flags |= p.RULE_STREAM_ALONE if any(isinstance(one, FlowState) and one.stream == "only_stream" for one in plan.conditions) else 0
    flags |= p.RULE_ANY_PROTO if known is None else 0
    flags |= p.RULE_EVENT if any(isinstance(c, HasEvent) for c in plan.conditions) else 0
    flags |= p.RULE_NOALERT if plan.noalert else 0
    flags |= p.RULE_BYPASS if plan.bypass else 0
    flags |= p.RULE_NOTE if plan.note else 0
    flags |= p.RULE_MARKED if any(isinstance(c, Flowbits) and c.op == "isset" for c in plan.conditions) else 0
    return flags


def is_heavy(flags: int, patterns: Iterable[FastPattern]) -> bool:
    """Is much of what a rule is looked at with spared where it is in no group that it need not be in?"""
    if flags & p.RULE_EVENT:
        return False
    return not patterns or any(isinstance(one, Pattern) and len(one.text) < SHORT for one in patterns)


#: Bytes of a literal below which it is found in most payloads.
SHORT = 3


def narrowed(plan: RulePlan, known: frozenset[int] | None) -> frozenset[int] | None:
    """The IP protocols that a rule can meet, with ip_proto."""
    for condition in plan.conditions:
        if isinstance(condition, Number) and condition.field == "ip_proto":
            asked = frozenset(n for low, high in condition.ranges for n in range(low, min(high, 255) + 1))
            known = asked if known is None else known & asked
    return known


def mask_of(indices: Sequence[int], members: int) -> int:
    """The mask over all rules of a mask over some of them."""
    return sum(1 << indices[i] for i in bits(members))


def compile_rules(plans: Sequence[RulePlan], event_codes: Mapping[str, int] | None = None,
                  options: Mapping[str, Any] | None = None) -> Database:
    """Compiles plans into a Database.

    event_codes: event name -> number (enum event). options: "priorities" {classtype: priority}, "flowbits" the names that
    already have numbers, in their order, "groups" the most groups a protocol may have (to server, to client), "spare" the rules too
    many that an entry may meet for the sake of fewer groups (a number, and a part of its own), "step_limit"
    Suricata's inspection-recursion-limit, "origins" a dict that is filled with what each op is made of. Raises ValueError for an
    expression or pattern that PCRE2 or Hyperscan refuses.
    """
    blob, names, saved = compile_blob(plans, event_codes or {}, options)
    return Database(blob, names=names, sets=saved)
