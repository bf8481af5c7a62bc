"""What outputs say of rules, in a form that is mapped and read one rule at a time."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from .plan import Place, Refusal, RulePlan

#: gid, sid and rev of a rule, whether what it finds is a note for the inventory, no alert, and whom it isolates (RulePlan.isolate).
NUMBERS = np.dtype([("gid", "u4"), ("sid", "u4"), ("rev", "u4"), ("note", "u4"), ("isolate", "u4")])


@dataclass(frozen=True, slots=True)
class Text:
    """What alerts say of a rule; the fields are those of RulePlan."""
    gid: int
    sid: int
    rev: int
    msg: str
    action: str
    classtype: str
    priority: int | None
    references: Sequence[tuple[str, str]]
    metadata: Sequence[tuple[str, str]]
    target: str


def numbers_of(plans: Iterable[RulePlan]) -> np.ndarray:
    """An array of NUMBERS, one element a rule."""
    return np.array([(plan.gid, plan.sid, plan.rev, plan.note, plan.isolate) for plan in plans], NUMBERS)


class Texts:
    """The texts of a rule set as a cache keeps them, with all else that is known of it before a rule is read: refusals, how many rules
    are disabled, and the files beside the rules that it was made from."""

    def __init__(self, parts: Sequence[bytes | memoryview]):
        front, numbers, starts, texts = parts
        self.disabled, refusals, self.lists = msgspec.msgpack.decode(front, type=tuple[int, list[tuple[str, int, int, int, str, str, bool]],
                                                                                       dict[str, bytes]])
        self.refusals = [Refusal(Place(file, line, column), sid, keyword, reason, malformed)
                         for file, line, column, sid, keyword, reason, malformed in refusals]
        self.numbers = np.frombuffer(numbers, NUMBERS)
        self._starts = np.frombuffer(starts, "u8")
        self._texts = memoryview(texts)

    @staticmethod
    def parts(plans: Sequence[RulePlan], refusals: Sequence[Refusal], disabled: int, lists: dict[str, bytes]) -> list[bytes]:
        """The parts that __init__ takes."""
        encode = msgspec.msgpack.Encoder().encode
        texts = [encode((plan.msg, plan.action, plan.classtype, plan.priority, plan.references, plan.metadata, plan.target))
                 for plan in plans]
        starts = np.cumsum([0, *map(len, texts)], dtype="u8")
        told = [(each.place.file, each.place.line, each.place.column, each.sid, each.keyword, each.reason, each.malformed)
                for each in refusals]
        return [encode((disabled, told, lists)), numbers_of(plans).tobytes(), starts.tobytes(), b"".join(texts)]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rule: int) -> Text:
        start, end = (int(each) for each in self._starts[rule:rule + 2])
        msg, action, classtype, priority, references, metadata, target = msgspec.msgpack.decode(self._texts[start:end], type=tuple[
            str, str, str, int | None, list[tuple[str, str]], list[tuple[str, str]], str])
        gid, sid, rev, *_ = self.numbers[rule].tolist()
        return Text(gid, sid, rev, msg, action, classtype, priority, references, metadata, target)
