"""Verdicts as a stream: batches of rows out of a ring, read in one thread while another inspects."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastpath.control.signatures import Signatures
from fastpath.dataplane import rows

if TYPE_CHECKING:
    from fastpath.control.anonymise import Anonymiser

LOOK = 50_000_000       # ns that a reader sleeps at most before it looks whether it is to stop
ON_FULL = ("wait", "lose")


@dataclass(frozen=True, slots=True)
class VerdictRows:
    """Verdicts of packets that followed each other. array: rows.RING, one element a packet; `sid`: the rule that decided, -1 for
    none."""
    array: np.ndarray
    signatures: Signatures

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, name: str) -> np.ndarray:
        """A field: "ordinal", "flow", "rule", "action" (compare with Action), "reason" (index into rows.reasons()), "ledger" or
        "alerts" (at most 255 counted)."""
        return self.array[name]

    @property
    def sid(self) -> np.ndarray:
        rule = self.array["rule"]
        of_rules = (rule != rows.NO_RULE) & (self.array["reason"] != rows.REASON_POLICY)
        return np.where(of_rules, self.signatures.sid[self.signatures.at(rule)].astype("i8"), -1)


class Subscription:
    """What Engine.subscribe gives: iterate over it in a thread of its own.

    It yields VerdictRows of at most `batch` packets, in the order of packets, of every run of the engine, and waits while there are none.
    It ends when it, or the engine, is closed, after the last row. To leave the loop closes it. lost: verdicts that found the ring full;
    waited: seconds for which inspection stood still because it was.
    """

    def __init__(self, size: int, on_full: str, batch: int):
        from fastpath.dataplane.ring import Ring
        self.ring = Ring(size, on_full == "wait")
        self.batch = batch
        self._lock = threading.Lock()
        self._runs: list[tuple[int, Signatures]] = []   # from which row on, whose rules
        self._anonymiser: Anonymiser | None = None

    def begin(self, signatures: Signatures, anonymiser: Anonymiser | None = None) -> None:
        """A run begins that names rules by these."""
        self._anonymiser = anonymiser
        with self._lock:
            self._runs.append((self.ring.head, signatures))

    @property
    def lost(self) -> int:
        return self.ring.lost

    @property
    def waited(self) -> float:
        return self.ring.waited_ns / 1e9

    def close(self) -> None:
        """No more verdicts are written; what was written can still be read."""
        self.ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[VerdictRows]:
        try:
            while True:
                closed = self.ring.closed
                found = self._take()
                if found is not None:
                    yield found
                elif closed:
                    return
                else:
                    self.ring.wait(LOOK)
        finally:
            self.close()

    def _take(self) -> VerdictRows | None:
        with self._lock:
            at = self.ring.tail
            while len(self._runs) > 1 and self._runs[1][0] <= at:
                self._runs.pop(0)
            most = min(self.batch, self._runs[1][0] - at) if len(self._runs) > 1 else self.batch
            signatures = self._runs[0][1] if self._runs else Signatures()
        array: Any = self.ring.take(most)
        if self._anonymiser is not None:
            array["flow"] = self._anonymiser.flows(array["flow"])
        return VerdictRows(array, signatures) if len(array) else None
