"""A policy at work: compiled, bound to the rules that find data, and what it did, line by line."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpath.control.inventory import service_of
from fastpath.control.policy import DATA_CLASS, NO_LINE, Policy
from fastpath.control.policy.compile import DATA_MAX
from fastpath.control.policy.model import PolicyError
from fastpath.dataplane import rows
from fastpath.rules.plan import Place

PAIRS_KEPT = 10_000         # pairs of endpoints whose denials are counted apart
COUNTERS = ("packets", "bytes", "flows", "denied")


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """policy; its Classifier; and for each rule the classes of data that it finds, as bits (None: none does)."""
    policy: Policy
    classifier: Any
    data: np.ndarray | None
    classes: tuple[str, ...]    # of data, by bit
    described: list[tuple[tuple[str, ...], dict[str, Any]]]     # by line, then the default: what makes it the same elsewhere, and all of it

    @classmethod
    def of(cls, policy: Policy, rules: Any, classes: dict[str, int]) -> Judge:
        """classes: bits by name, which grows. Raises PolicyError where there are more than fit."""
        def bit(name: str) -> int:
            number = classes.setdefault(name, len(classes))
            if number >= DATA_MAX:
                place = next((line.place for line in policy.lines if line.data == name), Place("<policy>", 1, 1))
                raise PolicyError(place, f"more than {DATA_MAX} classes of data: {', '.join(classes)}")
            return 1 << number
        classifier = policy.compile(bit)
        return cls(policy, classifier, data_of(rules, policy, bit), tuple(classes), described(policy))


def described(policy: Policy) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    made = []
    seen: Counter[tuple[str, ...]] = Counter()
    for number in (*range(len(policy)), NO_LINE):
        line = policy.describe_line(number)
        said = tuple(f"{name}={value}" for name, value in line.items() if name != "place")
        made.append(((*said, str(seen[said])), line))
        seen[said] += 1
    return made


def data_of(rules: Any, policy: Policy, bit: Any) -> np.ndarray | None:
    """The classes of data that each rule finds, `metadata: data_class NAME`, and the services that the policy cuts off."""
    named = policy.data_classes
    if rules is None or not named:
        return None
    from fastpath.control.signatures import Signatures
    signatures = Signatures(rules)
    found = np.zeros(len(signatures), "u2")
    for number in range(len(signatures)):
        metadata = signatures[number].metadata
        for key, value in metadata:
            if key == DATA_CLASS and value in named:
                found[number] |= bit(value)
        service = service_of(metadata)
        listing = policy.listing_of(*service) if service is not None else None
        if listing is not None and listing.line is not None:
            found[number] |= bit(policy.lines[listing.line].data)
    return found if found.any() else None


class Judges:
    """The policies of a run, by their epochs, and what they counted. A line that two of them have counts on."""

    def __init__(self) -> None:
        self._by_epoch: dict[int, Judge] = {}
        self.latest: Judge | None = None
        self._counts: dict[tuple[str, ...], np.ndarray] = {}
        self._lines: dict[tuple[str, ...], dict[str, Any]] = {}
        self._pending = np.zeros(len(COUNTERS), "u8")
        self._counted: np.ndarray | None = None         # of the policy in force, so far
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._why: Counter[str] = Counter()

    @property
    def any(self) -> bool:
        return bool(self._by_epoch)

    def __getitem__(self, epoch: int) -> Judge:
        return self._by_epoch[epoch]

    def add(self, judge: Judge | None, epoch: int) -> None:
        """Another policy is in force. What the one before has counted must have been taken."""
        if self.latest is not None and self._counted is not None:
            self._settle(self.latest, self._counted)
        self._counted = None
        self.latest = judge
        if judge is not None:
            self._by_epoch[epoch] = judge

    def count(self, counts: np.ndarray) -> None:
        """The counters of the policy in force, since it is."""
        if len(counts):
            self._counted = counts

    def _settle(self, judge: Judge, counts: np.ndarray) -> None:
        for key, line, values in _counted_lines(judge, counts):
            self._lines[key] = line
            self._counts[key] = self._counts.get(key, np.zeros(len(COUNTERS), "u8")) + values
        self._pending += _values(counts[-1])

    def take(self, denials: np.ndarray) -> None:
        """Rows of flows that were denied."""
        if not len(denials):
            return
        for (epoch, source, target, why), number in Counter(denials[["policy", "source", "target", "why"]].tolist()).items():
            policy = self._by_epoch[epoch].policy
            pair = (policy.names_of(source)[0], policy.names_of(target)[0])
            if pair in self._pairs or len(self._pairs) < PAIRS_KEPT:
                self._pairs[pair] += number
            self._why[rows.DENIAL_REASONS[why]] += number

    def stats(self, latest: np.ndarray | None = None) -> dict[str, Any]:
        """latest: counters of the policy in force, where they are newer than those that were taken. name, segments; lines: of each that counted, and of those in force, its description, `line` (its number in the policy
        in force, None for the default and for what is in force no more), packets, bytes, flows (that it decided), denied
        (packets); denied_flows by reason; pairs: segments between which most flows were denied; pending: packets and bytes
        that passed before their flow was decided."""
        counts, lines, pending = dict(self._counts), dict(self._lines), self._pending.copy()
        numbers: dict[tuple[str, ...], int] = {}
        counted = self._counted
        if self.latest is not None and latest is not None and len(latest) == len(self.latest.policy) + 2:
            counted = latest
        if self.latest is not None:
            for number, (key, line, values) in enumerate(_counted_lines(self.latest, counted)):
                lines[key] = line
                counts[key] = counts.get(key, np.zeros(len(COUNTERS), "u8")) + values
                numbers[key] = number
            if counted is not None:
                pending += _values(counted[-1])
        policy = self.latest.policy if self.latest is not None else None
        last = len(policy) if policy is not None else -1
        made = [lines[key] | {"line": number if (number := numbers.get(key, last)) != last else None}
                | dict(zip(COUNTERS, values.tolist(), strict=True)) for key, values in counts.items()]
        return {
            "name": policy.name if policy is not None else "", "segments": len(policy.segments) - 1 if policy is not None else 0,
            "lines": sorted(made, key=lambda one: (one["line"] is None, one["line"] or 0, one["place"])),
            "denied_packets": sum(one["denied"] for one in made), "denied_flows": dict(self._why),
            "pairs": [{"from": source, "to": target, "flows": number} for (source, target), number in self._pairs.most_common(20)],
            "pending": {"packets": int(pending[0]), "bytes": int(pending[1])},
        }


def _values(count: np.void) -> np.ndarray:
    return np.array([count[name] for name in COUNTERS], "u8")


def _counted_lines(judge: Judge, counts: np.ndarray | None) -> list[tuple[tuple[str, ...], dict[str, Any], np.ndarray]]:
    """(what makes a line the same in another policy, its description, its counters) of each line, and of the default."""
    values = np.zeros((len(judge.policy) + 1, len(COUNTERS)), "u8")
    if counts is not None:
        for column, name in enumerate(COUNTERS):
            values[:, column] = counts[name][:-1]
    return [(key, line, value) for (key, line), value in zip(judge.described, values, strict=True)]
