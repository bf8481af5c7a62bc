"""threshold, detection_filter and tag. User guide, "Thresholding Keywords" and "Meta Keywords"."""
from __future__ import annotations

from typing import Any, cast

from ..draft import Draft, number, words
from ..lexer import BLANK, RuleError
from ..plan import Tag, Threshold
from .table import keyword

_U32 = 2**32 - 1


@keyword("threshold", "limits", note="type backoff and a multiplier are refused")
def threshold(draft: Draft, text: str, at: int) -> None:
    if draft.threshold or draft.detection_filter:
        raise RuleError(at, "a rule has one threshold or one detection_filter")
    said = parts(text, at, ("type", "track", "count", "seconds", "multiplier"))
    if "multiplier" in said:
        draft.refuse(said["multiplier"][1], "multiplier is not known")
    kind = choice(said, at, "type", ("limit", "threshold", "both", "backoff"))
    if kind == "backoff":
        raise RuleError(said["type"][1], "thresholds that back off are not known", malformed=False)
    track = choice(said, at, "track", ("by_src", "by_dst", "by_both", "by_rule", "by_flow"))     # by_flow: of Suricata 8
    draft.threshold = Threshold(cast(Any, kind), cast(Any, track), count_of(said, at, "count", 0), count_of(said, at, "seconds", 0))


@keyword("detection_filter", "limits")
def detection_filter(draft: Draft, text: str, at: int) -> None:
    if draft.threshold or draft.detection_filter or draft.rate:
        raise RuleError(at, "a rule has one threshold or one detection_filter")
    said = parts(text, at, ("track", "count", "seconds"))
    track = choice(said, at, "track", ("by_src", "by_dst"))
    draft.detection_filter = Threshold("detection_filter", cast(Any, track), count_of(said, at, "count", 1), count_of(said, at,
        "seconds", 1))


@keyword("tag", "limits")
def tag(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    kind = parts[0][0]
    if kind not in ("session", "host") or len(parts) not in (1, 3, 4):
        raise RuleError(at, f"found {text!r} where 'session' or 'host', and then a count, packets, seconds or bytes, "
                            "and src or dst were expected")
    count, metric, direction = 0, "packets", ""
    if len(parts) > 1:
        count = number(*parts[1], 0, _U32)
        metric = parts[2][0]
        if metric not in ("packets", "seconds", "bytes"):
            raise RuleError(parts[2][1], f"found {metric!r} where packets, seconds or bytes was expected")
    if len(parts) == 4:
        direction = parts[3][0]
        if direction not in ("src", "dst"):
            raise RuleError(parts[3][1], f"found {direction!r} where src or dst was expected")
    if kind == "session" and direction:
        draft.refuse(parts[3][1], "a direction has no meaning for the packets of a session")
    draft.tag = draft.tag or Tag(cast(Any, kind), count, cast(Any, metric), direction)


def parts(text: str, at: int, known: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """`name value, name value` by name, each value with its offset."""
    said: dict[str, tuple[str, int]] = {}
    for part, where in words(text, at):
        name, _, value = part.partition(" ")
        if name not in known or not value.strip(BLANK):
            raise RuleError(where, f"found {part!r} where one of {', '.join(known)} and its value was expected")
        if name in said:
            raise RuleError(where, f"{name} is said twice")
        said[name] = value.strip(BLANK), where + part.index(value.strip(BLANK), len(name))
    return said


def choice(said: dict[str, tuple[str, int]], at: int, name: str, choices: tuple[str, ...]) -> str:
    if name not in said:
        raise RuleError(at, f"{name} is missing")
    value, where = said[name]
    if value not in choices:
        raise RuleError(where, f"found {value!r} where one of {', '.join(choices)} was expected")
    return value


def count_of(said: dict[str, tuple[str, int]], at: int, name: str, low: int) -> int:
    if name not in said:
        raise RuleError(at, f"{name} is missing")
    return number(*said[name], low, _U32)
