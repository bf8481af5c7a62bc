"""threshold.config: what becomes of alerts beside what rules say themselves. User guide, "Global Thresholds"."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .lexer import RuleError
from .plan import AddressSet, RulePlan, Suppression, Threshold
from .variables import Groups

_LINE = re.compile(r"(?P<what>suppress|threshold|event_filter|rate_filter)\s+(?P<rest>.*)", re.DOTALL)
_KINDS = ("limit", "threshold", "both")
_TRACKS = ("by_src", "by_dst", "by_rule", "by_both")
_SIDES = ("by_src", "by_dst", "by_either")
_U32 = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One line. gid, sid: 0 for any. Without addresses a suppression is of every alert."""
    gid: int
    sid: int
    threshold: Threshold | None = None
    suppression: Suppression | None = None

    def apply(self, plan: RulePlan) -> None:
        """A suppression is one more; a threshold replaces that of the rule, if the line names the rule."""
        if (self.gid not in (0, plan.gid)) or self.sid not in (0, plan.sid):
            return
        if self.suppression is not None:
            plan.suppressions.append(self.suppression)
        elif self.threshold is None:
            plan.noalert = True
        elif self.gid and self.sid or plan.threshold is None and plan.detection_filter is None:
            plan.threshold = self.threshold


def load_thresholds(path: str | Path, groups: Groups) -> list[Line]:
    """The lines of a file. ValueError with file and line for one that cannot be honoured."""
    return parse_thresholds(Path(path).read_text("latin-1"), groups, str(path))


def parse_thresholds(text: str, groups: Groups, file: str = "threshold.config") -> list[Line]:
    """The lines of a text. groups: what addresses and variables stand for. ValueError as above."""
    out, held = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        line = held + line.strip()
        held = line[:-1] if line.endswith("\\") else ""
        if not held and line and line[0] != "#":
            try:
                out.append(_line(line, groups))
            except (ValueError, RuleError) as error:
                raise ValueError(f"{file}:{number}: {error}") from None
    return out


def _line(line: str, groups: Groups) -> Line:
    form = _LINE.match(line)
    if form is None:
        raise ValueError(f"found {line!r} where suppress, threshold or event_filter was expected")
    if form["what"] == "rate_filter":
        raise ValueError("a rate_filter changes what a rule does, which is not known")
    rest, _, addresses = re.sub(r"\s+", " ", form["rest"]).partition(", ip ")
    said = dict(_pair(part) for part in rest.split(","))
    gid, sid = _number(said, "gen_id"), _number(said, "sig_id")
    if form["what"] == "suppress":
        side = said.pop("track", "")
        if said or bool(side) != bool(addresses) or side not in ("", *_SIDES):
            raise ValueError(f"found {line!r} where gen_id, sig_id, and perhaps track by_src, by_dst or by_either and ip were expected")
        return Line(gid, sid, suppression=Suppression(side, _addresses(addresses, groups)) if side else None)
    kind, track = said.pop("type", ""), said.pop("track", "")
    if kind not in _KINDS or track not in _TRACKS or addresses:
        raise ValueError(f"found {line!r} where type limit, threshold or both and track by_src, by_dst, by_rule or by_both were expected")
    return Line(gid, sid, Threshold(kind, track, _number(said, "count"), _number(said, "seconds")))     # type: ignore[arg-type]


def _addresses(text: str, groups: Groups) -> AddressSet:
    return groups.addresses(text.replace(" ", ""))


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.strip().partition(" ")
    return name, value.strip()


def _number(said: dict[str, str], name: str) -> int:
    value = said.pop(name, "")
    if not value.isdigit() or int(value) > _U32:
        raise ValueError(f"found {value!r} where a number was expected for {name}")
    return int(value)


def apply_thresholds(plans: Iterable[RulePlan], lines: Iterable[Line]) -> None:
    """Applies every line to every rule that it is about, in the order of the file."""
    lines = list(lines)
    for plan in plans:
        for line in lines:
            line.apply(plan)
