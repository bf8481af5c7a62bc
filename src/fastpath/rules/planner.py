"""A rule's parts into its plan: header, keywords one by one, then what can only be checked when all is read."""
from __future__ import annotations

from pathlib import Path
from typing import cast

from .applications import PROTOCOLS, missing
from .datasets import DataFiles, Datasets
from .draft import Draft, Pattern, Room
from .keywords import TABLE, Keyword, settle
from .lexer import BLANK, Option, RuleError, RuleText, readable, unquote
from .parser import RuleAst, parse_rule
from .plan import Action, ByteExtract, ByteMath, Keep, Refusal, RulePlan
from .program import VALUES_MAX
from .reputation import Reputations
from .variables import Groups

#: Protocols that a packet's headers tell.
PACKET_PROTOCOLS = ("ip", "ip4", "ip6", "ipv4", "ipv6", "tcp", "tcp-pkt", "tcp-stream", "udp", "icmp", "icmpv4", "icmpv6", "sctp",
                    "pkthdr")

_SAME = {"ip4": "ipv4", "ip6": "ipv6", "ikev2": "ike"}


class Planner:
    """Plans rules with one set of variables and known names.

    groups: addresses and ports. event_names: full names of the events that the engine raises, None for its own. reputations: what
    iprep asks, None for nothing. files: where data sets have their files. files: where data sets have their files, and what the configuration says of them.
    """

    def __init__(self, groups: Groups, event_names: frozenset[str] | None = None, reputations: Reputations | None = None,
                 files: DataFiles | None = None):
        self._groups = groups
        self._event_names = event_names
        self._reputations = reputations
        self._datasets = Datasets(files)

    @property
    def lists(self) -> dict[str, bytes]:
        """The files that rules asked for, each with its digest."""
        return self._datasets.lists

    def plan(self, source: RuleText) -> RulePlan | Refusal:
        """The plan of a rule, or why there is none."""
        draft = None
        try:
            ast = parse_rule(source)
            draft = Draft(ast.proto.text.lower(), self._event_names, reputations=self._reputations, datasets=self._datasets,
                          folder=str(Path(source.file).parent))
            return self._planned(ast, draft)
        except RuleError as error:
            sid = draft.sid if draft is not None and draft.sid is not None else _sid_in(source)
            return Refusal(source.place(error.at), sid, error.keyword, error.reason, error.malformed)

    def _planned(self, ast: RuleAst, draft: Draft) -> RulePlan:
        for option in ast.options:      # a rule for another Suricata may hold what this one does not know
            if option.name == "requires":
                _read(draft, option)
        if draft.refusal is not None:
            raise draft.refusal
        proto = draft.proto
        if proto in PROTOCOLS:
            draft.app_proto = _SAME.get(proto, proto)
            if reason := missing(proto):
                draft.refuse(ast.proto.at, reason)
        elif proto not in PACKET_PROTOCOLS:
            raise RuleError(ast.proto.at, f"found {ast.proto.text!r} where a protocol was expected")
        action = ast.action.text.lower()
        src = self._groups.addresses(ast.src.text, ast.src.at)
        sport = self._groups.ports(ast.sport.text, ast.sport.at)
        dst = self._groups.addresses(ast.dst.text, ast.dst.at)
        dport = self._groups.ports(ast.dport.text, ast.dport.at)
        for option in ast.options:
            _read(draft, option)
        _check(draft, ast)
        if draft.refusal is not None:
            raise draft.refusal
        plan = RulePlan(ast.source.place(0), readable(ast.source.text), cast(Action, action),
                        _SAME.get(proto, proto), src, sport, dst, dport,
                        ast.arrow.text == "<>", cast(int, draft.sid))
        draft.fill(plan)
        variables = sum(isinstance(step, ByteExtract | ByteMath) for block in plan.blocks for step in block.steps)
        if variables > VALUES_MAX:
            raise RuleError(0, f"sets {variables} variables, of which a rule may have {VALUES_MAX}", "byte_extract", malformed=False)
        return plan


def _read(draft: Draft, option: Option) -> None:
    """One option through the keyword table."""
    draft.keyword = option.name
    row = TABLE.get(option.name) or TABLE.get(option.name.lower())
    if row is None:
        raise RuleError(option.at, f"found {option.name!r}, which is no keyword" if option.name
                        else "found nothing where a keyword was expected", option.name)
    try:
        text, at = _value(draft, row, option)
        if row.reason:
            draft.refuse(option.at, row.reason)
            if draft.room is not None and not row.kind:
                draft.room.used = True
        row.setup(draft, text, at)
    except RuleError as error:
        error.keyword = error.keyword or option.name
        raise


def _value(draft: Draft, row: Keyword, option: Option) -> tuple[str, int]:
    """The value that a keyword's row asks for, out of its quotes, and its offset."""
    draft.negated = False
    value = option.value
    if row.value == "none":
        if value:
            raise RuleError(option.value_at, f"found {value!r} where no value was expected")
        return "", option.at
    if not value:
        if row.value == "needed":
            raise RuleError(option.value_at, "found no value where one was expected")
        return "", option.at
    if row.quotes == "no":
        if value[0] == '"':
            raise RuleError(option.value_at, f"found {value!r} where a value without quotes was expected")
        return value, option.value_at
    if row.negatable and value[0] == "!":
        draft.negated = True
        rest = value[1:].lstrip(BLANK)
        option = Option(option.name, rest, option.at, option.value_at + len(value) - len(rest))
    return unquote(option, row.quotes == "must")


def _check(draft: Draft, ast: RuleAst) -> None:
    """What holds for a rule as a whole. The order is that of the causes: a broken text before what cannot be honoured."""
    end = len(ast.source.text)
    if draft.sid is None:
        raise RuleError(end, "found no sid, which every rule has")
    draft.leave()
    draft.point()
    by_packet = draft.needs_packet or ("tcp-pkt" if draft.proto == "tcp-pkt" else "")
    by_stream = draft.needs_stream or ("tcp-stream" if draft.proto == "tcp-stream" else "")
    if by_packet and by_stream:
        raise RuleError(end, f"{by_packet} is about packets, {by_stream} about the stream alone",
                        draft.needs_packet or draft.needs_stream)
    if by_packet and draft.of_transaction():
        raise RuleError(end, f"{by_packet} is about packets, and the rule looks at what an application layer makes of many",
                        draft.needs_packet)
    for room in draft.rooms:
        if room.buffer == "payload" and draft.longest is not None:
            _fits(draft.longest, room, "a payload", "dsize")
        if room.longest is not None:
            _fits(room.longest, room, room.buffer, "bsize")
    if not draft.note and any(isinstance(each, Keep) and each.what == "note" for each in draft.after):
        raise RuleError(end, "captures for the inventory, and has no inventory", "pcre")
    settle(draft)


def _fits(longest: int, room: Room, what: str, keyword: str) -> None:
    """dsize and bsize: whether the buffer has room for the contents, by Suricata 7.0.10's reckoning: the first content counts from its
    offset, then those that are relative to one another; a negated one counts up to where it is looked for."""
    end = furthest = 0
    for index, step in enumerate(step for step in room.steps if isinstance(step, Pattern)):
        distance = step.distance if isinstance(step.distance, int) else 0
        needed = end + distance
        if step.relative and step.negated:
            furthest = max(furthest, needed + (step.within if isinstance(step.within, int) else 0))
        elif step.relative:
            end = needed + len(step.pattern)
        elif index == 0:
            end = (step.offset if isinstance(step.offset, int) else 0) + len(step.pattern)
    furthest = max(furthest, end)
    if furthest > longest:
        raise RuleError(0, f"{what} of {longest} bytes ({keyword}) has no room for contents that end at {furthest}", keyword)


def _sid_in(source: RuleText) -> int:
    """The sid of a rule that could not be read, as far as it can be seen."""
    _, found, rest = source.text.rpartition("sid:")
    digits = rest[:10].split(";")[0].strip(BLANK)
    return int(digits) if found and digits.isdecimal() else 0
